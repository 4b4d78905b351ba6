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

/* Starts a thread, on `cpus`, that calls take(arg); it returns whether there was anything. -ENOMEM,
 * -EAGAIN.
 */
int poller_create(struct ring *ring, bool (*take)(void *arg), void *arg, const cpu_set_t *cpus,
		  struct poller **ret_poller);

/* It looks now if it was waiting. */
void poller_wake(struct poller *p);

/* Ends the thread; what comes after its last look stays in the ring.  NULL is allowed. */
void poller_destroy(struct poller *p);

#endif
