/*
 * Taking signals at the end of an event: default actions, stops, handlers, and what becomes of the
 * call that was interrupted.
 *
 * Owns the stop state of processes:
 *
 *	running --a thread takes a stop signal--> stopping: every thread has SIGNAL_STOPPING
 *	stopping --each thread parks (stop_park)--> stopped: the parent is told by the last one
 *	stopping, stopped --SIGCONT is sent (signal_end_stop)--> running
 *	any --death--> every thread ends as it gets the turn
 *
 * A restarted call executes the bytes at its original site again, two before rip: whether these
 * are the `syscall` or a patch, they lead back into the shim.
 */
#include "shim.h"
#include "mm.h"
#include "process.h"
#include "signal.h"
#include "syscall_nr.h"
#include "../syscall-table/wait.h"

#define KEY_STOP	  0x53470001
#define RLIMIT_CORE_INDEX 4
#define RESUME_FLAG	  0x10000 /* RF: the processor sets it in the flags of a fault */
#define TRAP_PAGE_FAULT	  14
#define PF_PRESENT	  1ull
#define SEGV_ACCERR_CODE  2

/* ---- stops ---- */

static void stop_begin(u32 proc, int sig)
{
	struct signal_proc *state = &SIGNALS->procs[proc];

	state->stop_signal = (u32)sig;
	state->stop_waiting = 0;
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread) {
		signal_task_of(task_at(i))->flags |= SIGNAL_STOPPING;
		state->stop_waiting++;
	}
	signal_recalc_proc(proc);
}

void signal_leave_stop(struct task *t)
{
	struct signal_task *s = signal_task_of(t);
	struct signal_proc *state = signal_proc_of(t);

	if (!(s->flags & SIGNAL_STOPPING))
		return;
	s->flags &= ~(u32)SIGNAL_STOPPING;
	if (--state->stop_waiting == 0 && !proc_of(t)->exiting)
		proc_tell_stop(t->proc, (int)state->stop_signal);
}

static void stop_park(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	s->flags |= SIGNAL_STOPPED;
	signal_leave_stop(t);
	signal_recalc(t);
	while (s->flags & SIGNAL_STOPPED && !proc_of(t)->exiting) {
		sched_wait_add(SCHED, t->index, (struct sched_key){KEY_STOP, t->proc}, ~0u, 0);
		turn_park(t, SCHED_NEVER);
	}
	signal_recalc(t);
}

void signal_end_stop(u32 proc)
{
	struct signal_proc *state = &SIGNALS->procs[proc];
	bool was_complete = state->stop_waiting == 0;

	if (state->stop_signal == 0)
		return;
	state->stop_signal = 0;
	state->stop_waiting = 0;
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread)
		signal_task_of(task_at(i))->flags &= ~(u32)(SIGNAL_STOPPING | SIGNAL_STOPPED);
	sched_key_wake(SCHED, (struct sched_key){KEY_STOP, proc}, ~0u, ~0u, SCHED_NONE);
	signal_recalc_proc(proc);
	if (was_complete)
		proc_tell_stop(proc, 0);
}

/* ---- default actions ---- */

/* No core is written, but the status tells whether the limit would have let one be. */
static void die(struct task *t, int sig)
{
	bool core = SIG_DUMPS_CORE & SIG_BIT(sig) && proc_of(t)->rlimits[RLIMIT_CORE_INDEX][0] != 0;

	proc_terminate(t->proc, WAIT_KILLED(sig, core));
}

static void default_action(struct task *t, int sig)
{
	switch (sig) {
	case SIG_TSTP:
	case SIG_TTIN:
	case SIG_TTOU:
		if (pgrp_is_orphaned(proc_of(t)->pgid, NONE))
			return;
		stop_begin(t->proc, sig);
		return;
	case SIG_STOP:
		stop_begin(t->proc, sig);
		return;
	default:
		if (!signal_is_ignored(t->proc, sig))
			die(t, sig);
	}
}

/* ---- handlers and restarts ---- */

static bool is_restart_code(long result)
{
	return result == -ERESTARTSYS || result == -ERESTARTNOINTR || result == -ERESTARTNOHAND ||
	       result == -ERESTART_RESTARTBLOCK;
}

static void restart_as(struct frame *f, u64 nr)
{
	f->rax = nr;
	f->rip -= 2;
	f->resume = f->rip;
}

/* No handler ran: the call goes on as if nothing had happened. */
static void restart_silently(struct frame *f, long result)
{
	restart_as(f, result == -ERESTART_RESTARTBLOCK ? NR_restart_syscall : f->nr);
}

static void restart_before_handler(struct frame *f, long result, const struct k_sigaction *action)
{
	bool again = result == -ERESTARTNOINTR ||
		     (result == -ERESTARTSYS && action->flags & SIG_SA_RESTART);

	if (again)
		restart_as(f, f->nr);
	else
		f->rax = (u64)-EINTR;
}

static void run_handler(struct task *t, struct frame *f, int sig, const struct k_sigaction *action,
			const struct k_siginfo *info)
{
	struct signal_task *s = signal_task_of(t);
	u64 restored = s->flags & SIGNAL_HAS_SAVED ? s->saved_mask : s->mask;
	u64 own = action->flags & SIG_SA_NODEFER ? 0 : SIG_BIT(sig);

	if (signal_frame_build(t, f, action, info, restored) < 0) {
		if (sig == SIG_SEGV)
			signal_action(t->proc, sig)->handler = SIG_HANDLER_DFL;
		signal_force_segv(t);
		return;
	}
	s->flags &= ~(u32)SIGNAL_HAS_SAVED;
	signal_set_mask(t, s->mask | action->mask | own);
	if (!signal_may_resume(f->rip))
		signal_force_protection(t, 0);
}

static void take_one(struct task *t, struct frame *f, int sig, const struct k_siginfo *info,
		     long *result)
{
	struct k_sigaction *in_force = signal_action(t->proc, sig);
	struct k_sigaction action = *in_force;

	if (action.handler == SIG_HANDLER_IGN)
		return;
	if (action.handler == SIG_HANDLER_DFL) {
		default_action(t, sig);
		return;
	}
	if (action.flags & SIG_SA_RESETHAND)
		in_force->handler = SIG_HANDLER_DFL;
	if (*result != 0)
		restart_before_handler(f, *result, &action);
	*result = 0;
	run_handler(t, f, sig, &action, info);
}

static bool is_call(const struct frame *f)
{
	return (s64)f->nr >= 0;
}

static void restore_saved_mask(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	if (!(s->flags & SIGNAL_HAS_SAVED))
		return;
	s->flags &= ~(u32)SIGNAL_HAS_SAVED;
	signal_set_mask(t, s->saved_mask);
}

void signal_deliver(struct task *t, struct frame *f, long result)
{
	struct signal_task *s = signal_task_of(t);
	struct k_siginfo info;

	if (!is_call(f) || !is_restart_code(result))
		result = 0;
	while (!proc_of(t)->exiting) {
		if (s->flags & SIGNAL_STOPPING) {
			stop_park(t);
			continue;
		}
		int sig = signal_take(t, ~s->mask, &info);
		if (sig == 0) {
			if (result != 0)
				restart_silently(f, result);
			result = 0;
			restore_saved_mask(t);
			/* The old mask may let through what the temporary one held back. */
			if (!signal_pending(t))
				return;
			continue;
		}
		take_one(t, f, sig, &info, &result);
	}
}

long signal_finish_result(struct task *t, struct frame *f, long result)
{
	if (is_call(f) && is_restart_code(result)) {
		restart_silently(f, result);
		restore_saved_mask(t);
	}
	return (long)f->rax;
}

/*
 * Whether a page happened to be present shows in the error code, but is the host's affair: the bit
 * says what the app can know, that there is a mapping which forbade the access and allows others,
 * or that the address is the kernel's, where Linux always sets it.
 */
static u64 fault_error_code(struct task *t)
{
	u64 addr = t->fault_addr;
	const struct vma *v = addr < APP_ADDR_MAX ? vma_find(mm_of(t), addr) : NULL;
	bool forbidden = t->fault_signal == SIG_SEGV && t->fault_code == SEGV_ACCERR_CODE &&
			 v != NULL && v->prot != 0;

	if (t->fault_trapno != TRAP_PAGE_FAULT)
		return t->fault_err;
	return (t->fault_err & ~PF_PRESENT) | (forbidden || addr >= APP_ADDR_MAX ? PF_PRESENT : 0);
}

void signal_fault(struct task *t, struct frame *f)
{
	struct signal_task *s = signal_task_of(t);
	int sig = (int)t->fault_signal;
	struct k_siginfo info = {.signo = sig, .code = t->fault_code, .addr = t->fault_addr};

	SHIM_ASSERT(sig > 0 && sig <= SIG_MAX);
	s->trapno = t->fault_trapno;
	s->err = fault_error_code(t);
	if (t->fault_trapno == TRAP_PAGE_FAULT)
		s->cr2 = t->fault_addr;
	f->nr = ~0ull;
	if (sig != SIG_TRAP)
		f->rflags |= RESUME_FLAG;
	signal_force(t, sig, &info);
}
