/*
 * A thread that empties a ring whose producer must not pay for waking it: it looks again and again,
 * less often the longer nothing comes.
 */
#ifndef SHADOW_TRACER_POLLER_H
#define SHADOW_TRACER_POLLER_H

#include <stdbool.h>

struct poller;

/* Starts a thread that calls take(arg); it returns whether there was anything.  -ENOMEM, -EAGAIN.
 */
int poller_create(bool (*take)(void *arg), void *arg, struct poller **ret_poller);

/* Ends the thread; what comes after its last look stays in the ring.  NULL is allowed. */
void poller_destroy(struct poller *p);

#endif
