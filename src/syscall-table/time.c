/*
 * Clocks and sleeping, all from virtual time.  CLOCK_MONOTONIC and BOOTTIME count from a boot 1000
 * s before the container's start; cpu-time clocks count a task's or a process's own events.
 */
#include <linux/time.h>
#include <linux/timex.h>
#include "../shim/event.h"
#include "../shim/signal.h"
#include "files.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "timer.h"

#define SECOND_NS 1000000000ull
#define ABSOLUTE  1u /* TIMER_ABSTIME */

struct timespec64 {
	s64 sec, nsec;
};

static long clock_read(struct task *t, s32 id, u64 *ret)
{
	struct clock clock;
	long error = clock_find(t, clock_id_read(t, id), &clock);

	if (error < 0 || clock.use & CLOCK_HIDDEN)
		return -EINVAL;
	return clock_now(&clock, ret) ? 0 : -EINVAL;
}

static long put_time(struct task *t, u64 addr, u64 ns, u64 unit)
{
	struct timespec64 ts = {(s64)(ns / SECOND_NS), (s64)(ns % SECOND_NS / unit)};

	if (user_put(addr, ts) < 0)
		return -EFAULT;
	digest_u64(t, ns);
	return 0;
}

long sys_clock_gettime(struct task *t, struct frame *f)
{
	u64 ns;
	long error = clock_read(t, (s32)f->arg[0], &ns);

	return error < 0 ? error : put_time(t, f->arg[1], ns, 1);
}

/*
 * The short way of entry.S: the same event as sys_clock_gettime makes, for the clocks of wall and
 * monotonic time, when nothing rare is due at its end and the task has no filters.  0, or 1 with
 * nothing done.
 */
long event_clock_fast(u64 clock, u64 addr);

long event_clock_fast(u64 clock, u64 addr)
{
	struct region_head *h = HEAD;
	struct sched *s = SCHED;
	struct task *t = current();
	u64 args[2] = {clock, addr};

	/* Keeps the two addresses in registers: as constants each use would carry 8 bytes of code.
	 */
	__asm__("" : "+r"(h), "+r"(s));

	if (clock >= t->fast_clocks || h->events + 1 >= h->next_check || signal_pending(t) ||
	    s->slice_left <= 1 || h->config.trace_events)
		return 1;
	u64 ns = h->now_ns + h->config.time_step_ns;
	if (clock == CLOCK_MONOTONIC)
		ns -= h->config.start_time_ns - BOOT_NS;
	u64 sec = ns / SECOND_NS;
	if (user_put_pair(addr, sec, ns - sec * SECOND_NS) < 0)
		return 1;
	h->now_ns += h->config.time_step_ns;
	h->call_count[NR_clock_gettime]++;
	event_fold_in(h, t, digest_merge(0, ns),
		      event_word(event_args_word(args, 2), NR_clock_gettime, 0));
	sched_event(s, t->index);
	return 0;
}

long sys_clock_getres(struct task *t, struct frame *f)
{
	struct clock clock;
	long error = clock_find(t, (s32)f->arg[0], &clock);

	if (error < 0 || clock.use & CLOCK_HIDDEN)
		return -EINVAL;
	if (f->arg[1] == 0)
		return 0;
	return put_time(t, f->arg[1], clock.use & CLOCK_COARSE ? CLOCK_TICK_NS : 1, 1);
}

long sys_gettimeofday(struct task *t, struct frame *f)
{
	u32 zone[2] = {0, 0};

	if (f->arg[0] != 0 && put_time(t, f->arg[0], now_ns(), 1000) < 0)
		return -EFAULT;
	if (f->arg[1] != 0 && user_put(f->arg[1], zone) < 0)
		return -EFAULT;
	return 0;
}

long sys_time(struct task *t, struct frame *f)
{
	s64 now = (s64)(now_ns() / SECOND_NS);

	(void)t;
	if (f->arg[0] != 0 && user_put(f->arg[0], now) < 0)
		return -EFAULT;
	return now;
}

/* Virtual time cannot be set: the container is told it lacks the privilege. */
long sys_clock_settime(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return -EPERM;
}

long sys_settimeofday(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return -EPERM;
}

long sys_clock_adjtime(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return -EPERM;
}

long sys_adjtimex(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return -EPERM;
}

static long get_time(struct task *t, u64 addr, u64 *ret_ns)
{
	struct timespec64 ts;

	if (user_get(ts, addr) < 0)
		return -EFAULT;
	digest_bytes(t, &ts, sizeof(ts));
	if (ts.sec < 0 || ts.nsec < 0 || ts.nsec >= (s64)SECOND_NS)
		return -EINVAL;
	*ret_ns = ts.sec > 8000000000 ? SCHED_NEVER : (u64)ts.sec * SECOND_NS + (u64)ts.nsec;
	return 0;
}

static u64 add_sat(u64 a, u64 b)
{
	return a + b < a ? SCHED_NEVER : a + b;
}

/* ---- sleeping ---- */

void sleep_due(struct timer *timer)
{
	sched_task_wake(SCHED, timer->owner, SCHED_TIMEOUT, SCHED_NONE);
}

/* Parks until a clock of cpu time shows `deadline`. */
static long cpu_park(struct task *t, const struct clock *clock, u64 deadline)
{
	struct timer *timer = &signal_task_of(t)->sleep;

	timer->use = TIMER_OF_SLEEP;
	timer->owner = t->index;
	timer->clock = *clock;
	timer->deadline_ns = deadline;
	timer_arm(timer);
	long reason = turn_park(t, SCHED_NEVER);
	timer_disarm(timer);
	return reason;
}

/* Sleeps until the clock shows `deadline`: 0, or 1 if interrupted; then `rest` is what was left. */
static long sleep_until(struct task *t, const struct clock *clock, u64 deadline, u64 *ret_rest)
{
	u64 now;
	long reason;

	if (!clock_now(clock, &now))
		return -ESRCH;
	if (deadline <= now)
		return 0;
	if (clock_is_cpu(clock))
		reason = cpu_park(t, clock, deadline);
	else
		reason = turn_park(t, add_sat(now_ns(), deadline - now));
	if (reason == SCHED_TIMEOUT)
		return 0;
	clock_now(clock, &now);
	*ret_rest = deadline > now ? deadline - now : 0;
	return 1;
}

/* A restart keeps numbers only: deadline, where the rest goes, the clock in two. */
static long sleep_restart(struct task *t, struct frame *f, const u64 *args)
{
	struct clock clock = {
		.kind = (u32)args[2], .proc = (u32)(args[3] >> 32), .id = (u32)args[3]};
	u64 rest, rest_addr = args[1];
	long left = sleep_until(t, &clock, args[0], &rest);

	(void)f;
	if (left <= 0)
		return left;
	if (rest_addr != 0 && put_time(t, rest_addr, rest, 1) < 0)
		return -EFAULT;
	return signal_set_restart(t, sleep_restart, args[0], rest_addr, args[2], args[3]);
}

static long sleep_for(struct task *t, struct frame *f, const struct clock *clock, u64 ns,
		      u64 rest_addr)
{
	u64 now;

	if (!clock_now(clock, &now))
		return -ESRCH;
	u64 args[4] = {add_sat(now, ns), rest_addr, clock->kind,
		       (u64)clock->proc << 32 | clock->id};
	return sleep_restart(t, f, args);
}

long sys_nanosleep(struct task *t, struct frame *f)
{
	const struct clock clock = {.kind = CLOCK_KIND_BOOT};
	u64 ns;
	long error = get_time(t, f->arg[0], &ns);

	return error < 0 ? error : sleep_for(t, f, &clock, ns, f->arg[1]);
}

/* A thread that waits for its own cpu time would never wake. */
static bool is_own_thread(const struct task *t, const struct clock *clock)
{
	return clock->kind == CLOCK_KIND_THREAD && clock->id == t->tid;
}

long sys_clock_nanosleep(struct task *t, struct frame *f)
{
	struct clock clock;
	u64 ns, rest;
	long error = clock_find_for(t, (s32)f->arg[0], CLOCK_SLEEPS, &clock);

	if (error != 0)
		return error;
	error = get_time(t, f->arg[2], &ns);
	if (error != 0)
		return error;
	if (is_own_thread(t, &clock))
		return -EINVAL;
	if (!(f->arg[1] & ABSOLUTE))
		return sleep_for(t, f, &clock, ns, f->arg[3]);
	long left = sleep_until(t, &clock, ns, &rest);
	return left <= 0 ? left : -ERESTARTNOHAND;
}
