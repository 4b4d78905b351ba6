/* How a policy is plugged into the scheduler. For src/scheduler only. */
#ifndef SHADOW_SCHED_POLICY_H
#define SHADOW_SCHED_POLICY_H

#include "scheduler.h"

/*
 * A policy decides who runs; tasks, wait keys, deadlines and clocks at a wake are common to all
 * and done before it is asked. Tasks given to it are valid, their state is kept by the caller
 * except where said.
 */
struct sched_policy {
	/* `task` became runnable; `newborn` if its parent has just made it. */
	void (*ready)(struct sched *s, uint32_t task, bool newborn);
	/* A runnable task is about to go away without having been picked. */
	void (*unready)(struct sched *s, uint32_t task);
	/* The slice is used up: true if `task` must give way, else it has a new slice. */
	bool (*slice_end)(struct sched *s, uint32_t task);
	/* Raises the clock of a task that yields, as far as giving way needs it. */
	void (*yield)(struct sched *s, uint32_t task);
	/* Chooses the next task, no longer runnable, and starts its slice, unless it is newborn; or
	 * -SCHED_EAGAIN. */
	int (*pick)(struct sched *s, uint32_t *ret_task);
};

extern const struct sched_policy sched_exclusive;

/* Begins a slice. */
static inline void sched_slice_begin(struct sched *s)
{
	s->slice_left = s->slice_events;
}

#endif
