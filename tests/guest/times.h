/* Times as numbers of nanoseconds. */
#ifndef GUEST_TIMES_H
#define GUEST_TIMES_H

#include <time.h>
#include "check.h"

#define SECOND 1000000000L

static inline struct timespec spec(long ns)
{
	return (struct timespec){ns / SECOND, ns % SECOND};
}

static inline long ns_of(struct timespec t)
{
	return t.tv_sec * SECOND + t.tv_nsec;
}

static inline long clock_ns(clockid_t clock)
{
	struct timespec now;

	CHECK(clock_gettime(clock, &now) == 0);
	return ns_of(now);
}

#endif
