/*
 * Interval timers and alarm.  ITIMER_REAL counts virtual time, ITIMER_VIRTUAL and ITIMER_PROF
 * the process's virtual cpu time; there is no time in the kernel, so the latter two are the same.
 *
 * Owns the list of processes with armed timers and the two cached times.  A cpu-time timer is
 * looked at no later than when its process would have reached it running alone (check_ns): cpu
 * time never grows faster than virtual time.  When everything is parked, time jumps to real
 * timers only: cpu timers of a parked process stand still.
 */
#include "../shim/event.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"

#define SECOND_NS 1000000000ull
#define NEVER	  UINT64_MAX
/* Longer ones are cut: 250 years, within the range of signed nanoseconds. */
#define SECONDS_MAX 8000000000ll

struct itimerval {
	s64 interval_sec, interval_usec, value_sec, value_usec;
};

static const int timer_signal[TIMERS] = {SIG_ALRM, SIG_VTALRM, SIG_PROF};

/* What the timer counts, now. */
static u64 timer_clock(u32 proc, u32 which)
{
	return which == TIMER_REAL ? now_ns() : proc_cpu_ns(proc);
}

/* ---- the list ---- */

static void list_add(u32 proc)
{
	struct signal_proc *state = &SIGNALS->procs[proc];

	if (state->has_timer)
		return;
	state->has_timer = 1;
	state->timer_next = SIGNALS->timers;
	SIGNALS->timers = proc;
}

static bool is_armed(const struct signal_proc *state)
{
	return (state->check_ns[TIMER_REAL] | state->check_ns[TIMER_VIRTUAL] |
		state->check_ns[TIMER_PROF]) != 0;
}

static void earliest(u64 *least, u64 at)
{
	if (at != 0 && at < *least)
		*least = at;
}

/* Drops processes without timers from the list and computes the cached times again. */
static void list_update(void)
{
	u32 *link = &SIGNALS->timers;
	u64 jump = NEVER, check = NEVER;

	while (*link != 0) {
		struct signal_proc *state = &SIGNALS->procs[*link];

		if (!is_armed(state)) {
			state->has_timer = 0;
			*link = state->timer_next;
			continue;
		}
		earliest(&jump, state->check_ns[TIMER_REAL]);
		for (int i = 0; i < TIMERS; i++)
			earliest(&check, state->check_ns[i]);
		link = &state->timer_next;
	}
	SIGNALS->next_timer = jump;
	SIGNALS->next_check = check;
}

u64 signal_next_timer(void)
{
	if (SIGNALS->next_timer == 0)
		list_update();
	return SIGNALS->next_timer;
}

u64 signal_next_check(void)
{
	if (SIGNALS->next_check == 0)
		list_update();
	return SIGNALS->next_check;
}

/* ---- firing ---- */

static void plan_check(u32 proc, u32 which)
{
	struct signal_proc *state = &SIGNALS->procs[proc];
	u64 deadline = state->timers[which].deadline_ns, clock = timer_clock(proc, which);
	u64 left = deadline > clock ? deadline - clock : 0;

	state->check_ns[which] = deadline == 0 ? 0 : now_ns() + left;
}

static void look_at(u32 proc, u32 which)
{
	struct signal_itimer *timer = &SIGNALS->procs[proc].timers[which];
	u64 clock = timer_clock(proc, which);

	if (timer->deadline_ns <= clock) {
		u64 periods = timer->interval_ns == 0
				      ? 0
				      : (clock - timer->deadline_ns) / timer->interval_ns + 1;

		timer->deadline_ns =
			periods == 0 ? 0 : timer->deadline_ns + periods * timer->interval_ns;
		signal_send_kernel(proc, timer_signal[which]);
	}
	plan_check(proc, which);
}

void signal_expire_timers(u64 now)
{
	if (signal_next_check() > now)
		return;
	for (u32 p = SIGNALS->timers; p != 0; p = SIGNALS->procs[p].timer_next) {
		for (u32 i = 0; i < TIMERS; i++) {
			u64 at = SIGNALS->procs[p].check_ns[i];

			if (at != 0 && at <= now)
				look_at(p, i);
		}
	}
	list_update();
}

void signal_drop_timers(u32 proc)
{
	struct signal_proc *state = &SIGNALS->procs[proc];

	if (!state->has_timer)
		return;
	memset(state->timers, 0, sizeof(state->timers));
	memset(state->check_ns, 0, sizeof(state->check_ns));
	list_update();
	turn_timer_changed();
}

/* ---- calls ---- */

/* Arms (value 0: disarms) and tells what was left. */
static void timer_set(struct task *t, u32 which, struct signal_itimer new, u64 value_ns)
{
	struct signal_proc *state = signal_proc_of(t);

	if (value_ns == 0)
		new.interval_ns = 0;
	else
		new.deadline_ns = timer_clock(t->proc, which) + value_ns;
	state->timers[which] = new;
	plan_check(t->proc, which);
	list_add(t->proc);
	list_update();
	turn_timer_changed();
}

/* Until the timer fires: 0 if it is not armed, never 0 if it is. */
static u64 timer_left(const struct task *t, u32 which)
{
	u64 deadline = signal_proc_of(t)->timers[which].deadline_ns;
	u64 clock = timer_clock(t->proc, which);

	if (deadline == 0)
		return 0;
	return deadline > clock + 1000 ? deadline - clock : 1000;
}

static struct itimerval timer_value(const struct task *t, u32 which)
{
	u64 left = timer_left(t, which), interval = signal_proc_of(t)->timers[which].interval_ns;

	return (struct itimerval){
		.interval_sec = (s64)(interval / SECOND_NS),
		.interval_usec = (s64)(interval % SECOND_NS / 1000),
		.value_sec = (s64)(left / SECOND_NS),
		.value_usec = (s64)(left % SECOND_NS / 1000),
	};
}

static long put_value(struct task *t, u64 addr, const struct itimerval *value)
{
	if (user_copy_out(addr, value, sizeof(*value)) < 0)
		return -EFAULT;
	digest_bytes(t, value, sizeof(*value));
	return 0;
}

static bool to_ns(s64 sec, s64 usec, u64 *ret_ns)
{
	if (sec < 0 || usec < 0 || usec >= 1000000)
		return false;
	*ret_ns = (u64)(sec < SECONDS_MAX ? sec : SECONDS_MAX) * SECOND_NS + (u64)usec * 1000;
	return true;
}

long sys_getitimer(struct task *t, struct frame *f)
{
	u32 which = (u32)f->arg[0];

	if (which >= TIMERS)
		return -EINVAL;
	struct itimerval now = timer_value(t, which);
	return put_value(t, f->arg[1], &now);
}

long sys_setitimer(struct task *t, struct frame *f)
{
	u32 which = (u32)f->arg[0];
	struct itimerval value = {0, 0, 0, 0};
	struct signal_itimer new = {0, 0};
	u64 value_ns;

	if (f->arg[1] != 0 && user_get(value, f->arg[1]) < 0)
		return -EFAULT;
	digest_bytes(t, &value, sizeof(value));
	if (which >= TIMERS || !to_ns(value.value_sec, value.value_usec, &value_ns) ||
	    !to_ns(value.interval_sec, value.interval_usec, &new.interval_ns))
		return -EINVAL;
	struct itimerval old = timer_value(t, which);
	timer_set(t, which, new, value_ns);
	return f->arg[2] != 0 ? put_value(t, f->arg[2], &old) : 0;
}

/* The seconds left are rounded as Linux does: to the nearest, but never down to 0. */
long sys_alarm(struct task *t, struct frame *f)
{
	u64 left = timer_left(t, TIMER_REAL);
	u64 seconds = left / SECOND_NS, rest = left % SECOND_NS;
	struct signal_itimer once = {0, 0};

	if ((seconds == 0 && rest != 0) || rest >= SECOND_NS / 2)
		seconds++;
	timer_set(t, TIMER_REAL, once, (f->arg[0] & 0xffffffff) * SECOND_NS);
	return (long)seconds;
}
