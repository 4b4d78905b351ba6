/*
 * Timers: what interval timers, POSIX timers, timer descriptors and sleeping on cpu time have in
 * common.  A timer is due once; who wants it again arms it again.
 */
#ifndef SHADOW_TIMER_H
#define SHADOW_TIMER_H

#include "clock.h"

/* Whose it is, and so what becomes of it when it is due. */
enum timer_use {
	TIMER_OF_PROC,	/* itimer.c; owner: the process */
	TIMER_OF_POSIX, /* posix_timer.c; owner: the process */
	TIMER_OF_FD,	/* timerfd.c; owner: the description */
	TIMER_OF_SLEEP, /* time.c; owner: the sleeping task */
	TIMER_OF_LIMIT, /* cpu_limit.c; owner: the process */
	TIMER_USES
};

struct timer {
	u64 at_ns; /* virtual time at which it is looked at */
	u64 order; /* breaks ties: as they were armed */
	u32 place; /* in its queue, plus 1; 0: not armed */
	u16 use;   /* enum timer_use */
	u16 number;
	u32 owner;
	struct clock clock;
	u64 deadline_ns; /* as its clock shows it */
	u64 interval_ns;
};

/* The end of time, as in the kernel: a timer that is set beyond it is never due. */
#define TIMER_NEVER_NS ((u64)INT64_MAX)

/* Arms a timer for its deadline_ns, whatever it was armed for before.  What is due already is so
 * at the end of the current event. */
void timer_arm(struct timer *timer);
void timer_disarm(struct timer *timer);

static inline bool timer_is_armed(const struct timer *timer)
{
	return timer->place != 0;
}

/* What its clock shows; 0 once the clock is gone. */
u64 timer_clock_ns(const struct timer *timer);
/* Until its deadline by its clock; 0 if that has passed. */
u64 timer_left_ns(const struct timer *timer);
/* Moves the deadline by whole intervals behind what its clock shows; by how many. */
u64 timer_forward(struct timer *timer);
/* a + b, but at most TIMER_NEVER_NS. */
u64 timer_add_ns(u64 a, u64 b);

/* Times of the app, checked; more than the kernel can count is TIMER_NEVER_NS. */
struct timer_spec {
	u64 interval_ns, value_ns;
};
/* From and to a struct itimerspec of the app; folded.  0, -EFAULT, -EINVAL. */
long timer_spec_in(struct task *t, u64 addr, struct timer_spec *ret);
long timer_spec_out(struct task *t, u64 addr, const struct timer_spec *spec);

/* What the users do when theirs is due.  It is disarmed, its deadline is as it was. */
void itimer_due(struct timer *timer);
void posix_timer_due(struct timer *timer);
void timerfd_due(struct timer *timer);
void sleep_due(struct timer *timer);
void cpu_limit_due(struct timer *timer);

/* Armed timers, the next one first; pointers to them in the heap. */
struct timer_queue {
	struct timer **entries; /* a binary heap by (at_ns, order) */
	u32 count, capacity;
};

/* Part of struct signal_state. */
struct timers {
	struct timer_queue wall; /* due when virtual time is there */
	struct timer_queue cpu;	 /* looked at no later than they can be due */
	u64 armed;		 /* so far */
};

#endif
