/*
 * race [ROUNDS]: a lost-update race between two threads, and the order in which they pass.
 * sysrace (compiled with -DSYSTEM_CALL) makes a system call between load and store, so that
 * the turn can change there.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef SYSTEM_CALL
#define BETWEEN() syscall(SYS_getppid)
#define ROUNDS	  3000
#else
#define BETWEEN() (void)0
#define ROUNDS	  20000000
#endif

static volatile long count;
static long rounds = ROUNDS;
static char order[4096];
static volatile int passed;

static void *racer(void *name)
{
	for (long i = 0; i < rounds; i++) {
		long seen = count;

		BETWEEN();
		count = seen + 1;
		if (i % (ROUNDS / 30) == 0) {
			int at = __sync_fetch_and_add(&passed, 1);

			if (at < 4000)
				order[at] = *(char *)name;
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t threads[2];
	char names[] = "AB";

	if (argc > 1)
		rounds = atol(argv[1]);
	for (int i = 0; i < 2; i++)
		pthread_create(&threads[i], NULL, racer, &names[i]);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	printf("count %ld order %s\n", count, order);
	return 0;
}
