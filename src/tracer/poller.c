/*
 * See poller.h.  Owns the thread.  The futex word is ring->waiting, an enum ring_waiting: the
 * producer wakes a consumer that sleeps, not one that pauses.
 */
#include "poller.h"

#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "../base/thread_start.h"
#include "../shim/rings.h"

/* A look at an empty ring costs 60 ns, waking up 5 us; a producer pays 1 us for waking us. */
#define PAUSE_FIRST_NS 250000
#define PAUSE_LAST_NS  1280000
#define SLEEP_NS       500000000

struct poller {
	pthread_t thread;
	bool started;
	cpu_set_t cpus;
	struct ring *ring;
	atomic_bool stop;
	bool (*take)(void *arg);
	void *arg;
};

static void wait_until_put(struct poller *p, enum ring_waiting how, long ns)
{
	struct timespec timeout = {0, ns};

	if (!p->stop && ring_is_empty(p->ring))
		syscall(SYS_futex, &p->ring->waiting, FUTEX_WAIT, how, &timeout, NULL, 0);
}

static void pause_for(struct poller *p, long ns)
{
	__atomic_store_n(&p->ring->waiting, RING_PAUSES, __ATOMIC_SEQ_CST);
	wait_until_put(p, RING_PAUSES, ns);
	__atomic_store_n(&p->ring->waiting, RING_AWAKE, __ATOMIC_RELAXED);
}

/*
 * The producer looks at the word right behind the record, without a fence, which cost cp a
 * hundredth: so it may have put one and not seen that we sleep.  After a moment its record is
 * visible to us or the word to it.
 */
static void sleep_until_put(struct poller *p)
{
	__atomic_store_n(&p->ring->waiting, RING_SLEEPS, __ATOMIC_SEQ_CST);
	wait_until_put(p, RING_SLEEPS, PAUSE_LAST_NS);
	wait_until_put(p, RING_SLEEPS, SLEEP_NS);
	__atomic_store_n(&p->ring->waiting, RING_AWAKE, __ATOMIC_RELAXED);
}

static void *poller_main(void *arg)
{
	struct poller *p = arg;
	/* The first record comes when the container has been made: for that it is woken. */
	long pause_ns = PAUSE_LAST_NS + 1;

	while (!p->stop) {
		if (p->take(p->arg)) {
			pause_ns = PAUSE_FIRST_NS;
		} else if (pause_ns <= PAUSE_LAST_NS) {
			pause_for(p, pause_ns);
			pause_ns *= 2;
		} else {
			sleep_until_put(p);
		}
	}
	return NULL;
}

int poller_create(struct ring *ring, bool (*take)(void *arg), void *arg, const cpu_set_t *cpus,
		  struct poller **ret_poller)
{
	struct poller *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	p->ring = ring;
	p->take = take;
	p->arg = arg;
	p->cpus = *cpus;
	ring->waiting = RING_NOBODY;
	*ret_poller = p;
	return 0;
}

int poller_start(struct poller *p)
{
	if (p->started)
		return 0;
	__atomic_store_n(&p->ring->waiting, RING_AWAKE, __ATOMIC_SEQ_CST);
	int error = thread_start(&p->thread, &p->cpus, poller_main, p);
	p->started = error == 0;
	if (error < 0)
		__atomic_store_n(&p->ring->waiting, RING_NOBODY, __ATOMIC_SEQ_CST);
	return error;
}

void poller_wake(struct poller *p)
{
	if (!p->started)
		return;
	if (__atomic_exchange_n(&p->ring->waiting, RING_AWAKE, __ATOMIC_SEQ_CST) != RING_AWAKE)
		syscall(SYS_futex, &p->ring->waiting, FUTEX_WAKE, 1, NULL, NULL, 0);
}

/* It ends where we wait for it, not behind what else is there. */
static void come_here(struct poller *p)
{
	cpu_set_t here;

	if (sched_getaffinity(0, sizeof(here), &here) == 0)
		pthread_setaffinity_np(p->thread, sizeof(here), &here);
}

void poller_stop(struct poller *p)
{
	if (p->stop)
		return;
	p->stop = true;
	/* A running thread would have to be moved, and is about to end anyway. */
	if (p->started && __atomic_load_n(&p->ring->waiting, __ATOMIC_RELAXED) != RING_AWAKE)
		come_here(p);
	poller_wake(p);
}

void poller_destroy(struct poller *p)
{
	if (p == NULL)
		return;
	poller_stop(p);
	if (p->started)
		pthread_join(p->thread, NULL);
	free(p);
}
