/*
 * Watches for a task that holds the turn long without an event, and examines it: if its loop is a
 * fixed point it is parked, else it goes on and, once in a run, is reported.
 *
 * Real time decides only when a task is looked at, which leaves no trace in the container.
 */
#ifndef SHADOW_TRACER_SPIN_WATCH_H
#define SHADOW_TRACER_SPIN_WATCH_H

#include <stdbool.h>
#include <sys/types.h>
#include <sys/user.h>

struct container;
struct spin_watch;

/* What became of a stopped task that was examined. */
enum spin_verdict {
	SPIN_NOT_ASKED, /* the stop is nothing of ours */
	SPIN_NO,	/* it goes on from where it is */
	SPIN_PARKS,	/* it goes on with *regs, into the shim, to be parked */
	SPIN_DISTURBED, /* it has stopped for another reason: *ret_status */
};

/* 0 or -ENOMEM.  Without a timer of the kernel's nothing is ever looked at. */
int spin_watch_create(struct spin_watch **ret_watch);
void spin_watch_destroy(struct spin_watch *w);

/* Around waitpid: the timer may interrupt it, and nothing else. */
void spin_watch_wait_begin(struct spin_watch *w);
void spin_watch_wait_end(struct spin_watch *w);

/* To be called between two waits; asks a task to stop if it is time to look at it. */
void spin_watch_tick(struct spin_watch *w, struct container *c);

/* Task `tid` has stopped because somebody asked it to. */
enum spin_verdict spin_watch_stopped(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *ret_regs, int *ret_status);

/* Task `tid`, with *regs, met a breakpoint register, set where it spun before.  As above. */
enum spin_verdict spin_watch_trapped(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *regs, int *ret_status);

/*
 * Task `tid`, with *regs, is in the shim behind a pause, and nobody has done anything else for
 * long. Looks at its loop as if a pause were no event.  As above; SPIN_NO: *regs is where it is.
 */
enum spin_verdict spin_watch_pausing(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *regs, int *ret_status);

#endif
