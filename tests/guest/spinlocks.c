/*
 * Locks and flags that many threads wait for without system calls, held across a switch: every
 * waiter gets its turn, nothing is lost, and it takes no longer than the rounds need.
 *
 *	spinlocks spin      pthread_spin_lock, whose loop pauses
 *	spinlocks ticket    tickets, a bare loop: only one of the waiters can go on
 *	spinlocks flag      atomic_flag, a bare loop
 *	spinlocks pausing   tickets, a loop that pauses
 *	spinlocks yielding  tickets, a loop of sched_yield
 *	spinlocks barrier   a barrier of a counter and a sense, a bare loop
 */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "check.h"

#define THREADS 80
#define ROUNDS	3

static pthread_spinlock_t spin;
static atomic_flag flag = ATOMIC_FLAG_INIT;
static atomic_uint next_ticket, serving, arrived, sense;
static unsigned long counter; /* under the lock */
static unsigned long after[THREADS];

static void nothing(void)
{
}

static void pause_once(void)
{
	__builtin_ia32_pause();
}

static void yield_once(void)
{
	sched_yield();
}

static void ticket_lock(void (*wait)(void))
{
	unsigned mine = atomic_fetch_add(&next_ticket, 1);

	while (atomic_load(&serving) != mine)
		wait();
}

static void ticket_unlock(void)
{
	atomic_fetch_add(&serving, 1);
}

static void spin_take(void)
{
	CHECK(pthread_spin_lock(&spin) == 0);
}

static void spin_give(void)
{
	CHECK(pthread_spin_unlock(&spin) == 0);
}

static void ticket_take(void)
{
	ticket_lock(nothing);
}

static void pausing_take(void)
{
	ticket_lock(pause_once);
}

static void yielding_take(void)
{
	ticket_lock(yield_once);
}

static void flag_take(void)
{
	while (atomic_flag_test_and_set(&flag))
		continue;
}

static void flag_give(void)
{
	atomic_flag_clear(&flag);
}

/* All of them in each round. */
static void barrier(void)
{
	unsigned now = atomic_load(&sense);

	if (atomic_fetch_add(&arrived, 1) == THREADS - 1) {
		atomic_store(&arrived, 0);
		atomic_fetch_add(&sense, 1);
	}
	while (atomic_load(&sense) == now)
		continue;
}

static const struct kind {
	const char *name;
	void (*take)(void), (*give)(void);
} kinds[] = {
	{"spin", spin_take, spin_give},
	{"ticket", ticket_take, ticket_unlock},
	{"flag", flag_take, flag_give},
	{"pausing", pausing_take, ticket_unlock},
	{"yielding", yielding_take, ticket_unlock},
	{"barrier", barrier, nothing},
};
static const struct kind *kind;

static void *work(void *arg)
{
	unsigned long *mine = arg;

	for (int i = 0; i < ROUNDS; i++) {
		kind->take();
		if (kind->give != nothing) {
			unsigned long seen = counter;

			sched_yield(); /* the others find it held */
			counter = seen + 1;
		}
		++*mine;
		kind->give();
	}
	return NULL;
}

static void run(void)
{
	pthread_t threads[THREADS];

	CHECK(pthread_spin_init(&spin, PTHREAD_PROCESS_PRIVATE) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, work, &after[i]) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0 && after[i] == ROUNDS);
	CHECK(kind->give == nothing || counter == THREADS * ROUNDS);
}

int main(int argc, char **argv)
{
	CHECK(argc == 2);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
		if (strcmp(argv[1], kinds[i].name) == 0)
			kind = &kinds[i];
	}
	CHECK(kind != NULL);
	run();
	printf("%s: %d threads, %d rounds\n", kind->name, THREADS, ROUNDS);
	return 0;
}
