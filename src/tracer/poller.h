/*
 * The thread that consumes a ring.  The producer should seldom pay for waking it: after a record it
 * looks again and again for some time, and only then sleeps until it is woken.
 */
#ifndef SHADOW_TRACER_POLLER_H
#define SHADOW_TRACER_POLLER_H

#include <sched.h>
#include <stdbool.h>

struct poller;
struct ring;

/* take(arg) returns whether there was anything; a thread for it will run on `cpus`.  Until that is
 * started the ring's producer tells the tracer (RING_NOBODY).  -ENOMEM. */
int poller_create(struct ring *ring, bool (*take)(void *arg), void *arg, const cpu_set_t *cpus,
		  struct poller **ret_poller);

/* Starts the thread.  -EAGAIN: it can be tried again. */
int poller_start(struct poller *p);

/* It looks now if it was waiting. */
void poller_wake(struct poller *p);

/* The thread ends soon. */
void poller_stop(struct poller *p);

/* Ends the thread; what comes after its last look stays in the ring.  NULL is allowed. */
void poller_destroy(struct poller *p);

#endif
