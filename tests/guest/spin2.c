/*
 * A loop that waits without a system call and changes something in each round: no fixed point, so
 *it needs a yield point.  The linker puts it at 0x100000:
 *
 *	--yield-at spin2+0x100000  an instruction that can be moved
 *	--yield-at spin2+0x10000d  one that cannot: a breakpoint stands there
 *
 * `spin2` hands a turn to and fro between two threads, `spin2 alarm` counts until SIGALRM.
 */
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

volatile int turn;
volatile long rounds;

/* Waits until the turn is `mine`, counting in memory. */
void wait_turn(int mine);
__asm__(".pushsection .spin2, \"ax\"\n"
	".type wait_turn, @function\n"
	"wait_turn: incq rounds(%rip)\n"
	"cmpl %edi, turn(%rip)\n"
	"jne wait_turn\n"
	"ret\n"
	".size wait_turn, . - wait_turn\n"
	".popsection\n");

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
