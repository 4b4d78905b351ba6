/*
 * RLIMIT_CPU: a timer of the process's cpu time.  At the soft limit SIGXCPU, and the limit is a
 * second more from then on, as getrlimit shows; at the hard one SIGKILL
 * (kernel/time/posix-cpu-timers.c).
 */
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "timer.h"

#define RLIMIT_OF_CPU 0
#define SECOND_NS     1000000000ull

enum { SOFT, HARD };

static u64 limit_ns(u32 proc, int which)
{
	u64 seconds = proc_at(proc)->rlimits[RLIMIT_OF_CPU][which];

	if (seconds >= TIMER_NEVER_NS / SECOND_NS)
		return TIMER_NEVER_NS;
	return seconds * SECOND_NS;
}

void cpu_limit_changed(u32 proc)
{
	struct timer *timer = &SIGNALS->procs[proc].cpu_limit;
	u64 soft_ns = limit_ns(proc, SOFT), hard_ns = limit_ns(proc, HARD);

	timer_disarm(timer);
	if (soft_ns == TIMER_NEVER_NS)
		return;
	timer->use = TIMER_OF_LIMIT;
	timer->owner = proc;
	timer->clock.kind = CLOCK_KIND_PROC;
	timer->clock.proc = proc;
	timer->clock.id = proc_at(proc)->pid;
	timer->deadline_ns = soft_ns < hard_ns ? soft_ns : hard_ns;
	timer_arm(timer);
}

void cpu_limit_due(struct timer *timer)
{
	u32 proc = timer->owner;

	if (timer_clock_ns(timer) >= limit_ns(proc, HARD)) {
		signal_send_kernel(proc, SIG_KILL);
		return;
	}
	proc_at(proc)->rlimits[RLIMIT_OF_CPU][SOFT]++;
	cpu_limit_changed(proc);
	signal_send_kernel(proc, SIG_XCPU);
}
