/*
 * Loops that wait without a system call and change something in each round: no fixed points, so
 *they need a yield point, --yield-at spin2+OFFSET with the offset of a symbol here:
 *
 *	yield_small   a small instruction of the loop, where a breakpoint must stand
 *	yield_large   one that can be moved
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

static volatile int turn;
static volatile long rounds;

/* Waits until the turn is `mine`, counting in memory; returns when it is. */
static __attribute__((noinline)) void wait_turn(int mine)
{
	__asm__ volatile(".globl yield_small, yield_large\n"
			 "1:\n"
			 "yield_large: incq %0\n"
			 "cmpl %1, %2\n"
			 "yield_small: jne 1b\n"
			 : "+m"(rounds)
			 : "r"(mine), "m"(turn)
			 : "memory", "cc");
}

static void *other(void *arg)
{
	(void)arg;
	for (int i = 0; i < 100; i++) {
		wait_turn(2 * i + 1);
		turn = 2 * i + 2;
	}
	return NULL;
}

static volatile sig_atomic_t alarmed;

static void on_alarm(int sig)
{
	alarmed = sig;
	turn = 1;
}

/* As `openssl speed` counts how much it does until the alarm. */
static void count_until_alarm(void)
{
	struct timespec before, after;

	signal(SIGALRM, on_alarm);
	clock_gettime(CLOCK_MONOTONIC, &before);
	alarm(1);
	wait_turn(1);
	clock_gettime(CLOCK_MONOTONIC, &after);
	CHECK(alarmed == SIGALRM && after.tv_sec - before.tv_sec >= 1);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	(void)argv;
	if (argc > 1) {
		count_until_alarm();
	} else {
		CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
		for (int i = 0; i < 100; i++) {
			turn = 2 * i + 1;
			wait_turn(2 * i + 2);
		}
		pthread_join(thread, NULL);
	}
	CHECK(rounds > 0);
	printf("done\n");
	return 0;
}
