/*
 * The app's own seccomp filters: seccomp(2), and what dispatch asks of every call of a task that
 * has some.
 */
#ifndef SHADOW_SECCOMP_H
#define SHADOW_SECCOMP_H

#include "../shim/shim.h"

/* What mode and filters of t say of the call in f: SECCOMP_RET_*, ALLOW for a task without. */
u32 seccomp_verdict(const struct task *t, const struct frame *f);

/* Whether the call is to be made. */
bool seccomp_allows(u32 verdict);

/*
 * Carries out a verdict that does not allow the call: sets f->rax, sends the signal.  The result
 * that the event gets; dispatch then ends the event, delivers signals and ends the task if its
 * process is exiting.  Does not return if only this thread is to end.
 */
long seccomp_deny(struct task *t, struct frame *f, u32 verdict);

/*
 * Sets what dispatch and the short clock_gettime test, from the task's mode and whether memory is
 * scarce.  For a new slot, and after a change.
 */
void seccomp_arm(struct task *t);

/* clone, fork: the child has what its parent has. */
void seccomp_inherit(const struct task *parent, struct task *child);

/* The task ends: its filters go with the last that has them. */
void seccomp_release(struct task *t);

/* How many filters the task has. */
u32 seccomp_count(const struct task *t);

/* prctl(PR_SET_SECCOMP, mode, program): as seccomp(2) without flags. */
long seccomp_prctl(struct task *t, u64 mode, u64 program);

#endif
