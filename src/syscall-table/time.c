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
#include "wait.h"

#define SECOND_NS 1000000000ull

struct timespec64 {
	s64 sec, nsec;
};

static long clock_read(struct task *t, s32 id, u64 *ret)
{
	switch (id) {
	case CLOCK_REALTIME:
	case CLOCK_REALTIME_COARSE:
	case CLOCK_REALTIME_ALARM:
	case CLOCK_TAI:
		*ret = now_ns();
		return 0;
	case CLOCK_MONOTONIC:
	case CLOCK_MONOTONIC_RAW:
	case CLOCK_MONOTONIC_COARSE:
	case CLOCK_BOOTTIME:
	case CLOCK_BOOTTIME_ALARM:
		*ret = now_ns() - clock_monotonic_base();
		return 0;
	case CLOCK_PROCESS_CPUTIME_ID:
		*ret = proc_cpu_ns(t->proc);
		return 0;
	case CLOCK_THREAD_CPUTIME_ID:
		*ret = t->events * HEAD->config.time_step_ns;
		return 0;
	default:
		break;
	}
	if (id >= 0 || (id & 7) > 6 || (id & 3) == 3)
		return -EINVAL;
	/* A cpu clock of another task or process: ~pid << 3 | per-thread << 2 | which. */
	u32 pid = ~((u32)id >> 3 | 0xe0000000u);
	if (id & 4) {
		struct task *of = pid == 0 ? t : proc_find_tid(NONE, pid);

		if (of == NULL)
			return -EINVAL;
		*ret = of->events * HEAD->config.time_step_ns;
		return 0;
	}
	u32 proc = pid == 0 ? t->proc : proc_find_pid(pid);
	if (proc == NONE)
		return -EINVAL;
	*ret = proc_cpu_ns(proc);
	return 0;
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
	u64 ns;
	s32 id = (s32)f->arg[0];
	long error = clock_read(t, id, &ns);
	bool coarse = id == CLOCK_REALTIME_COARSE || id == CLOCK_MONOTONIC_COARSE;

	if (error < 0 || f->arg[1] == 0)
		return error;
	return put_time(t, f->arg[1], coarse ? 4000000 : 1, 1);
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

/* Sleeps until `deadline`; with an address for it, the rest is left there when interrupted. */
static long sleep_until(struct task *t, u64 deadline, u64 rest_addr)
{
	if (deadline <= now_ns())
		return 0;
	if (turn_park(t, deadline) == SCHED_TIMEOUT)
		return 0;
	u64 rest = deadline > now_ns() ? deadline - now_ns() : 0;
	if (rest_addr != 0 && put_time(t, rest_addr, rest, 1) < 0)
		return -EFAULT;
	return 1;
}

static long sleep_restart(struct task *t, struct frame *f, const u64 *args)
{
	(void)f;
	long left = sleep_until(t, args[0], args[1]);

	if (left <= 0)
		return left;
	return signal_set_restart(t, sleep_restart, args[0], args[1], 0, 0);
}

static u64 add_sat(u64 a, u64 b)
{
	return a + b < a ? SCHED_NEVER : a + b;
}

long sys_nanosleep(struct task *t, struct frame *f)
{
	u64 ns;
	long error = get_time(t, f->arg[0], &ns);

	if (error < 0)
		return error;
	u64 args[2] = {add_sat(now_ns(), ns), f->arg[1]};
	return sleep_restart(t, f, args);
}

long sys_clock_nanosleep(struct task *t, struct frame *f)
{
	u64 ns, now;
	s32 id = (s32)f->arg[0];
	long error = id == CLOCK_THREAD_CPUTIME_ID ? -EINVAL : clock_read(t, id, &now);

	if (error == 0 && (id == CLOCK_PROCESS_CPUTIME_ID || id < 0))
		error = -EOPNOTSUPP;
	if (error == 0)
		error = get_time(t, f->arg[2], &ns);
	if (error < 0)
		return error;
	if (!(f->arg[1] & 1)) {
		u64 args[2] = {add_sat(now_ns(), ns), f->arg[3]};
		return sleep_restart(t, f, args);
	}
	u64 ahead = ns > now ? ns - now : 0;
	return sleep_until(t, add_sat(now_ns(), ahead), 0) <= 0 ? 0 : -ERESTARTNOHAND;
}
