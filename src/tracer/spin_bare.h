/*
 * Loops that pause are examined with their own bytes: a pause is executed as it is, and the
 * instructions around it at their own places.
 */
#ifndef SHADOW_TRACER_SPIN_BARE_H
#define SHADOW_TRACER_SPIN_BARE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

#include "patcher.h"

#define SPIN_BARE_MAX 16 /* pauses in one loop */

struct task;

/* Begins as {.tid, .task}, of a stopped task whose process nobody else runs in. */
struct spin_bare {
	pid_t tid;
	const struct task *task;
	unsigned count;
	struct patched_pause pauses[SPIN_BARE_MAX]; /* those that are bare now */
};

/* The pause around `rip`, if there is one, is bare from here on.  0, -E2BIG, or of the write. */
int spin_bare_make(struct spin_bare *b, uint64_t rip);

/* Whether `rip` lies behind the first of bytes that the end will replace. */
bool spin_bare_is_inside(const struct spin_bare *b, uint64_t rip);

/* All are patched again; a task within one of them goes on in its stub. */
void spin_bare_end(struct spin_bare *b, struct user_regs_struct *regs);

#endif
