/*
 * OpenMP's threads wait for each other in loops that count, then in the kernel: the loops end by
 * themselves, and the results are those of one order of the threads.
 */
#include <omp.h>
#include <stdio.h>

#define ROUNDS 6

int main(void)
{
	unsigned long sum = 0, order = 0;

	omp_set_num_threads(3);
	for (int round = 0; round < ROUNDS; round++) {
#pragma omp parallel for reduction(+ : sum) schedule(dynamic, 7)
		for (int i = 0; i < 1000; i++)
			sum += (unsigned long)(i * round);
#pragma omp parallel
		{
#pragma omp critical
			order = order * 7 + (unsigned long)omp_get_thread_num();
#pragma omp barrier
#pragma omp critical
			order = order * 5 + (unsigned long)omp_get_thread_num();
		}
	}
	printf("sum %lu\n", sum);
	fprintf(stderr, "order %lx\n", order);
	return 0;
}
