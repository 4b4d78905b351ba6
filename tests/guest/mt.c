/*
 * mt [ROUNDS]: two threads that count under one mutex; the cost of an uncontended lock.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long count, rounds = 2000000;

static void *counter(void *unused)
{
	(void)unused;
	for (long i = 0; i < rounds; i++) {
		pthread_mutex_lock(&mutex);
		count++;
		pthread_mutex_unlock(&mutex);
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];

	if (argc > 1)
		rounds = atol(argv[1]);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, counter, NULL);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("count %ld\n", count);
	return 0;
}
