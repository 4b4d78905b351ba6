/* Sizes and special values of the scheduler, and what it does when an invariant is broken. */
#ifndef SHADOW_SCHED_LIMITS_H
#define SHADOW_SCHED_LIMITS_H

#include <stdint.h>

#define SCHED_TASKS_MAX	  8192u	     /* task indices are below this */
#define SCHED_NODES_MAX	  65536u     /* wait nodes of all tasks together: 16 a task, if all poll */
#define SCHED_BUCKETS_MAX 8192u	     /* of the key table; a power of two */
#define SCHED_NONE	  UINT32_MAX /* no task, no node */
#define SCHED_NEVER	  UINT64_MAX /* no deadline */

/* Errors, negated when returned; the numbers of Linux (errno.h is no freestanding header). */
#define SCHED_EAGAIN 11
#define SCHED_ENOSPC 28

/*
 * A broken invariant: a wrong caller, or damaged shared memory (the tracer runs this code on
 * memory that the program can write, so every index read there is checked before use). Must not
 * return. Who links the scheduler defines sched_bug(), or the macro for all its files; `task`
 * is the task concerned or SCHED_NONE, `what` a constant text.
 */
#ifndef SCHED_BUG
void sched_bug(uint32_t task, const char *what) __attribute__((noreturn));
#define SCHED_BUG(task, what) sched_bug((task), (what))
#endif

#endif
