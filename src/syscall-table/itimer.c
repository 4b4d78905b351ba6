/*
 * Interval timers and alarm.  ITIMER_REAL counts virtual time, ITIMER_VIRTUAL and ITIMER_PROF
 * the process's virtual cpu time; there is no time in the kernel, so the latter two are the same.
 *
 * As in Linux (kernel/time/itimer.c), one of real time that repeats is armed again when its signal
 * is taken, so one that nobody hears is due but once; the others repeat by themselves.
 */
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"
#include "timer.h"

#define SECOND_NS 1000000000ull
#define USEC_NS	  1000ull

struct itimerval {
	s64 interval_sec, interval_usec, value_sec, value_usec;
};

static const int timer_signal[ITIMERS] = {SIG_ALRM, SIG_VTALRM, SIG_PROF};

void itimer_due(struct timer *timer)
{
	if (timer->number != ITIMER_OF_REAL && timer->interval_ns != 0) {
		timer_forward(timer);
		timer_arm(timer);
	}
	signal_send_kernel(timer->owner, timer_signal[timer->number]);
}

void itimer_alarm_taken(u32 proc)
{
	struct timer *timer = &SIGNALS->procs[proc].itimers[ITIMER_OF_REAL];

	if (timer_is_armed(timer) || timer->interval_ns == 0)
		return;
	timer_forward(timer);
	timer_arm(timer);
}

void itimers_drop(u32 proc)
{
	for (u32 i = 0; i < ITIMERS; i++)
		timer_disarm(&SIGNALS->procs[proc].itimers[i]);
}

/* ---- calls ---- */

/* Arms (value 0: disarms). */
static void timer_set(struct task *t, u32 which, const struct timer_spec *new)
{
	struct timer *timer = &signal_proc_of(t)->itimers[which];

	timer_disarm(timer);
	timer->use = TIMER_OF_PROC;
	timer->number = (u16)which;
	timer->owner = t->proc;
	timer->clock.kind = which == ITIMER_OF_REAL ? CLOCK_KIND_BOOT : CLOCK_KIND_PROC;
	timer->clock.proc = t->proc;
	timer->clock.id = proc_of(t)->pid;
	timer->interval_ns = new->value_ns != 0 ? new->interval_ns : 0;
	if (new->value_ns == 0)
		return;
	timer->deadline_ns = timer_add_ns(timer_clock_ns(timer), new->value_ns);
	timer_arm(timer);
}

/* Until the timer is due: 0 if it is not armed, never 0 if it is. */
static u64 timer_left(const struct timer *timer)
{
	u64 left;

	if (!timer_is_armed(timer))
		return 0;
	left = timer_left_ns(timer);
	return left > USEC_NS ? left : USEC_NS;
}

static struct itimerval timer_value(const struct task *t, u32 which)
{
	const struct timer *timer = &signal_proc_of(t)->itimers[which];
	u64 left = timer_left(timer), interval = timer->interval_ns;

	return (struct itimerval){
		.interval_sec = (s64)(interval / SECOND_NS),
		.interval_usec = (s64)(interval % SECOND_NS / USEC_NS),
		.value_sec = (s64)(left / SECOND_NS),
		.value_usec = (s64)(left % SECOND_NS / USEC_NS),
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
	*ret_ns = sec < (s64)(TIMER_NEVER_NS / SECOND_NS)
			  ? (u64)sec * SECOND_NS + (u64)usec * USEC_NS
			  : TIMER_NEVER_NS;
	return true;
}

long sys_getitimer(struct task *t, struct frame *f)
{
	u32 which = (u32)f->arg[0];

	if (which >= ITIMERS)
		return -EINVAL;
	struct itimerval now = timer_value(t, which);
	return put_value(t, f->arg[1], &now);
}

long sys_setitimer(struct task *t, struct frame *f)
{
	u32 which = (u32)f->arg[0];
	struct itimerval value = {0, 0, 0, 0};
	struct timer_spec new;

	if (f->arg[1] != 0 && user_get(value, f->arg[1]) < 0)
		return -EFAULT;
	digest_bytes(t, &value, sizeof(value));
	if (which >= ITIMERS || !to_ns(value.value_sec, value.value_usec, &new.value_ns) ||
	    !to_ns(value.interval_sec, value.interval_usec, &new.interval_ns))
		return -EINVAL;
	struct itimerval old = timer_value(t, which);
	timer_set(t, which, &new);
	return f->arg[2] != 0 ? put_value(t, f->arg[2], &old) : 0;
}

/* The seconds left are rounded as Linux does: to the nearest, but never down to 0. */
long sys_alarm(struct task *t, struct frame *f)
{
	u64 left = timer_left(&signal_proc_of(t)->itimers[ITIMER_OF_REAL]);
	u64 seconds = left / SECOND_NS, rest = left % SECOND_NS;
	struct timer_spec once = {0, (f->arg[0] & 0xffffffff) * SECOND_NS};

	if ((seconds == 0 && rest != 0) || rest >= SECOND_NS / 2)
		seconds++;
	timer_set(t, ITIMER_OF_REAL, &once);
	return (long)seconds;
}
