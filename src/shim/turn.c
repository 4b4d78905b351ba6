/*
 * Performs what src/scheduler decides: parks the task that gives the turn away on its own futex
 * word and wakes the next one.  If none is runnable the container is quiescent: it waits for
 * outside input if a task waits on an outside channel, else virtual time jumps to the next
 * deadline.
 *
 * Invariant: exactly one task has turn == 1 or is between taking it and giving it away.
 */
#include "event.h"
#include "process.h"
#include "signal.h"
#include "spin.h"
#include "syscall_nr.h"
#include "../syscall-table/files.h"
#include "../syscall-table/wait.h"

#define FUTEX_WAIT 0
#define FUTEX_WAKE 1
#define EINTR	   4

/* --perturb: a random delay, so that real time differs from run to run while nothing else may. */
static void perturb(void)
{
	struct region_head *h = HEAD;

	if (!h->config.perturb)
		return;
	h->perturb_state = h->perturb_state * 6364136223846793005ull + 1442695040888963407ull;
	u64 r = h->perturb_state >> 33;
	if (r % 4 != 0)
		return;
	u64 delay[2] = {0, r % 300000};
	SYS2(NR_nanosleep, delay, 0);
}

static void turn_wait(struct task *t)
{
	while (__atomic_load_n(&t->turn, __ATOMIC_ACQUIRE) == 0)
		SYS4(NR_futex, &t->turn, FUTEX_WAIT, 0, 0);
}

static void turn_give(struct task *next)
{
	perturb();
	__atomic_store_n(&next->turn, 1, __ATOMIC_RELEASE);
	SYS3(NR_futex, &next->turn, FUTEX_WAKE, 1);
}

/* The deadline time may jump to: parked tasks' and real-time timers', not those of cpu time. */
static u64 idle_until(void)
{
	u64 parked = sched_deadline_next_ns(SCHED), timer = signal_next_timer();

	return parked < timer ? parked : timer;
}

/* Whether a task waits in a call whose purpose is to wait for a signal, which can come from
 * outside. */
static u64 waits_for_signal(void)
{
	/* Who reads one may wait for it in any of the polling calls. */
	if (SIGNALS->signalfds != 0)
		return 1;
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		for (u32 i = proc_at(p)->threads; i != NONE; i = task_at(i)->next_thread) {
			u64 nr = task_at(i)->frame->nr;

			if (nr == NR_pause || nr == NR_rt_sigsuspend || nr == NR_rt_sigtimedwait)
				return 1;
		}
	}
	return 0;
}

static void quiescent(void)
{
	struct region_head *h = HEAD;
	u64 until = idle_until(), spun = spin_cpu_deadline(), from = h->now_ns;

	until = spun < until ? spun : until;
	/* Not for timers of cpu clocks that stand still. */
	h->next_timer_ns = until;
	if (channel_waited()) {
		epoch_take(EPOCH_QUIESCENT);
	} else if (until == SCHED_NEVER) {
		upcall(UPCALL_DEADLOCK, waits_for_signal() || spin_waits_for_signal(), 0, 0);
		epoch_take(EPOCH_QUIESCENT);
	} else if (until > h->now_ns) {
		h->now_ns = until;
	}
	spin_charge(h->now_ns - from);
	sched_deadline_expire(SCHED, h->now_ns);
	signal_expire_timers(h->now_ns);
	turn_timer_changed();
}

/* The next holder of the turn; the container is quiescent as often as it takes. */
static struct task *turn_next(void)
{
	u32 next;

	spin_wake_changed(false);
	while (sched_turn_pick(SCHED, &next) < 0) {
		if (!spin_wake_changed(true))
			quiescent();
	}
	return task_at(next);
}

static void turn_pass(struct task *t)
{
	struct task *next;

	task_tell_events(t);
	next = turn_next();
	if (next != t) {
		__atomic_store_n(&t->turn, 0, __ATOMIC_RELAXED);
		turn_give(next);
		turn_wait(t);
	}
	if (proc_of(t)->exiting)
		turn_exit(t, true);
}

void turn_yield(struct task *t)
{
	sched_turn_yield(SCHED, t->index);
	turn_pass(t);
}

/*
 * Who loops on yielding waits for others, and when all do, for a timer: at a step of time a yield
 * an hour would take 3.6e9 of them.  So after YIELDS_EQUAL yields in a row that no other event came
 * between, the next ones count twice as much each, and so on; but time never passes a deadline by
 * it.  Programs that yield some hundred times before they do something else see nothing of it.
 */
#define YIELDS_EQUAL 1024

static void idle_hurry(struct region_head *h)
{
	u64 until = idle_until(), shift = h->yields_idle / YIELDS_EQUAL;
	u64 ahead = shift < 24 ? h->config.time_step_ns << shift : ~0ull >> 1;

	if (shift == 0 || until == SCHED_NEVER || until <= h->now_ns)
		return;
	h->now_ns = until - h->now_ns < ahead ? until : h->now_ns + ahead;
	turn_timer_changed();
}

void turn_yield_idle(struct task *t)
{
	struct region_head *h = HEAD;
	u64 others = h->events - h->yields;

	h->yields_idle = others == h->yields_others ? h->yields_idle + 1 : 0;
	h->pause_looks = h->yields_idle != 0 ? h->pause_looks : 0;
	h->yields_others = others;
	idle_hurry(h);
	turn_yield(t);
	h->yields++;
}

/*
 * So many yields in a row, and no deadline that would end them: whoever pauses next is looked at,
 * then after twice as many.  A fixed point is parked, so that the container can come to rest.
 */
#define YIELDS_LOOK 65536

bool turn_pause(struct task *t)
{
	struct region_head *h = HEAD;

	turn_yield_idle(t);
	if (h->yields_idle >> h->pause_looks < YIELDS_LOOK || idle_until() != SCHED_NEVER)
		return false;
	h->pause_looks++;
	return true;
}

void turn_release(struct task *t)
{
	sched_turn_release(SCHED, t->index);
	turn_pass(t);
}

long turn_park(struct task *t, u64 deadline_ns)
{
	if (signal_pending(t)) {
		sched_wait_clear(SCHED, t->index);
		return -EINTR;
	}
	t->parked = 1;
	sched_task_park(SCHED, t->index, deadline_ns);
	turn_pass(t);
	u32 reason = sched_task_wake_reason(SCHED, t->index);
	return reason == SCHED_WOKEN_SIGNAL ? -EINTR : (long)reason;
}

void turn_wait_first(struct task *t)
{
	turn_wait(t);
	if (proc_of(t)->exiting)
		turn_exit(t, true);
}

void turn_exit(struct task *t, bool group)
{
	bool last_of_proc = task_end(t, group);

	if (PROCT->nlive_tasks == 0) {
		HEAD->ended = 1;
		upcall(UPCALL_END, 0, 0, 0);
	} else {
		turn_give(turn_next());
	}
	for (;;)
		SYS1(last_of_proc ? NR_exit_group : NR_exit, 0);
}
