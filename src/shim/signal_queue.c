/*
 * What is pending for whom: queues, masks, and the inheritance of signal state.
 *
 * Owns the queues of tasks and processes and every task's attention word.
 *
 * Invariants: a bit of queue.pending is set exactly if the list holds a node of that signal;
 * standard signals have at most one node.  A task's attention word is nonzero exactly if there is
 * something it must do about signals; who changes a queue, a mask, a stop or an exit calls
 * signal_recalc or signal_recalc_proc.  Kernel rules are from kernel/signal.c (prepare_signal,
 * complete_signal, dequeue_signal).
 */
#include "shim.h"
#include "process.h"
#include "signal.h"
#include "../syscall-table/wait.h"

/* Caused by the task's own instruction: taken before all others. */
#define SYNCHRONOUS                                                                    \
	(SIG_BIT(SIG_SEGV) | SIG_BIT(SIG_BUS) | SIG_BIT(SIG_ILL) | SIG_BIT(SIG_TRAP) | \
	 SIG_BIT(SIG_FPE) | SIG_BIT(SIG_SYS))
#define STOP_SIGNALS (SIG_BIT(SIG_STOP) | SIG_BIT(SIG_TSTP) | SIG_BIT(SIG_TTIN) | SIG_BIT(SIG_TTOU))
#define IGNORED_BY_DEFAULT \
	(SIG_BIT(SIG_CHLD) | SIG_BIT(SIG_CONT) | SIG_BIT(SIG_URG) | SIG_BIT(SIG_WINCH))

static struct signal_proc *state_of(u32 proc)
{
	return &SIGNALS->procs[proc];
}

/* ---- queues ---- */

static void queue_append(struct signal_queue *q, int sig, const struct k_siginfo *info)
{
	struct signal_node *n = heap_alloc(sizeof(*n));

	n->info = *info;
	n->info.signo = sig;
	if (q->first == NULL)
		q->first = n;
	else
		q->last->next = n;
	q->last = n;
	q->pending |= SIG_BIT(sig);
	SIGNALS->nqueued++;
}

static long queue_add(struct signal_queue *q, int sig, const struct k_siginfo *info)
{
	if (sig < SIG_RTMIN && q->pending & SIG_BIT(sig))
		return 0;
	if (sig >= SIG_RTMIN && SIGNALS->nqueued >= SIGNAL_QUEUE_MAX)
		return -EAGAIN;
	queue_append(q, sig, info);
	return 0;
}

/* Takes `n` out of the list; `before` is its predecessor or NULL. */
static void queue_unlink(struct signal_queue *q, struct signal_node *before, struct signal_node *n)
{
	if (before == NULL)
		q->first = n->next;
	else
		before->next = n->next;
	if (q->last == n)
		q->last = before;
	SIGNALS->nqueued--;
	heap_free(n);
}

static void queue_drop(struct signal_queue *q, u64 set)
{
	struct signal_node *before = NULL, *next;

	if ((q->pending & set) == 0)
		return;
	for (struct signal_node *n = q->first; n != NULL; n = next) {
		next = n->next;
		if (set & SIG_BIT(n->info.signo))
			queue_unlink(q, before, n);
		else
			before = n;
	}
	q->pending &= ~set;
}

/* Takes the oldest of the first signal in `set`; 0 if none is pending. */
static int queue_take(struct signal_queue *q, u64 set, struct k_siginfo *ret_info)
{
	struct signal_node *before = NULL, *n = q->first;
	u64 some = q->pending & set;

	if (some == 0)
		return 0;
	if (some & SYNCHRONOUS)
		some &= SYNCHRONOUS;
	int sig = __builtin_ctzll(some) + 1;
	for (; n->info.signo != sig; n = n->next)
		before = n;
	*ret_info = n->info;
	struct signal_node *more = n->next;
	queue_unlink(q, before, n);
	while (more != NULL && more->info.signo != sig)
		more = more->next;
	if (more == NULL)
		q->pending &= ~SIG_BIT(sig);
	return sig;
}

void signal_flush(u32 proc, u64 set)
{
	if (SIGNALS->nqueued == 0)
		return;
	queue_drop(&state_of(proc)->queue, set);
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread)
		queue_drop(&signal_task_of(task_at(i))->queue, set);
}

/* ---- who takes what ---- */

static u64 blocked_by(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	return s->mask & ~s->waiting;
}

/*
 * The oldest thread that does not block the signal: the main one while it lives.  By age: in which
 * slot a task lies depends on the host.
 */
static struct task *taker_of(u32 proc, u64 bit)
{
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread) {
		if (!(blocked_by(task_at(i)) & bit))
			return task_at(i);
	}
	return NULL;
}

/* The signals of the process that fall to t: no older thread lets them through. */
static u64 share_of(struct task *t)
{
	u64 left = signal_proc_of(t)->queue.pending & ~blocked_by(t);

	for (u32 i = proc_of(t)->threads; left != 0 && i != t->index && i != NONE;
	     i = task_at(i)->next_thread)
		left &= blocked_by(task_at(i));
	return left;
}

static void recalc(struct task *t, u64 share)
{
	struct signal_task *s = signal_task_of(t);

	if (proc_of(t)->exiting)
		s->attention = 1;
	else if (s->flags & (SIGNAL_DEAF | SIGNAL_STOPPED))
		s->attention = 0;
	else
		s->attention =
			(s->queue.pending & ~blocked_by(t)) | share | (s->flags & SIGNAL_STOPPING);
}

void signal_recalc(struct task *t)
{
	recalc(t, share_of(t));
}

static void wake_pending(struct task *t)
{
	if (signal_pending(t))
		sched_task_wake(SCHED, t->index, SCHED_WOKEN_SIGNAL, SCHED_NONE);
}

void signal_recalc_proc(u32 proc)
{
	u64 left = state_of(proc)->queue.pending;

	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread) {
		u64 blocked = blocked_by(task_at(i));

		recalc(task_at(i), left & ~blocked);
		left &= blocked;
		wake_pending(task_at(i));
	}
}

/* Takes one of the process's signals, perhaps from under the thread it fell to. */
static int take_shared(struct task *t, u64 set, struct k_siginfo *ret_info)
{
	int sig = queue_take(&signal_proc_of(t)->queue, set, ret_info);
	struct task *other = sig != 0 ? taker_of(t->proc, SIG_BIT(sig)) : NULL;

	if (other != NULL && other != t)
		signal_recalc(other);
	return sig;
}

int signal_take(struct task *t, u64 set, struct k_siginfo *ret_info)
{
	int sig = queue_take(&signal_task_of(t)->queue, set, ret_info);

	if (sig == 0)
		sig = take_shared(t, set, ret_info);
	signal_recalc(t);
	if (sig != 0 && ret_info->code == SIG_SI_KERNEL)
		HEAD->answers++;
	return sig;
}

/* ---- sending ---- */

bool signal_is_ignored(u32 proc, int sig)
{
	u64 handler = state_of(proc)->actions[sig - 1].handler;

	return handler == SIG_HANDLER_IGN ||
	       (handler == SIG_HANDLER_DFL && IGNORED_BY_DEFAULT & SIG_BIT(sig));
}

/* What happens at once, whoever takes the signal and whatever it does with it. */
static void send_prepare(u32 proc, int sig)
{
	u32 queued = SIGNALS->nqueued;

	if (STOP_SIGNALS & SIG_BIT(sig)) {
		signal_flush(proc, SIG_BIT(SIG_CONT));
	} else if (sig == SIG_CONT) {
		signal_flush(proc, STOP_SIGNALS);
		signal_end_stop(proc);
	}
	if (SIGNALS->nqueued != queued)
		signal_recalc_proc(proc);
}

static struct k_siginfo info_of_current(int sig)
{
	struct task *t = current();

	return (struct k_siginfo){.signo = sig,
				  .code = SIG_SI_USER,
				  .pid = (s32)proc_of(t)->pid,
				  .uid = proc_of(t)->uid};
}

/* `target` is looked at for blocking; the signal goes to its own queue or the process's. */
static long send(u32 proc, struct task *target, bool to_task, int sig, const struct k_siginfo *info)
{
	struct proc *p = proc_at(proc);

	if (sig == 0 || proc == PROC_INIT || p->state != PROC_LIVE || p->exiting)
		return 0;
	if (sig == SIG_KILL) {
		proc_terminate(proc, WAIT_KILLED(SIG_KILL, false));
		return 0;
	}
	send_prepare(proc, sig);
	if (signal_is_ignored(proc, sig) && !(signal_task_of(target)->mask & SIG_BIT(sig)))
		return 0;
	struct k_siginfo own = info == NULL ? info_of_current(sig) : *info;
	struct signal_queue *q = to_task ? &signal_task_of(target)->queue : &state_of(proc)->queue;
	long error = queue_add(q, sig, &own);
	struct task *taker = to_task ? target : taker_of(proc, SIG_BIT(sig));

	if (taker != NULL) {
		signal_recalc(taker);
		wake_pending(taker);
	}
	return error;
}

long signal_send_proc(u32 proc, int sig, const struct k_siginfo *info)
{
	/* The oldest thread: the main one while it lives. */
	u32 looked_at = proc_at(proc)->threads;

	if (looked_at == NONE)
		return 0;
	return send(proc, task_at(looked_at), false, sig, info);
}

long signal_send_task(u32 task, int sig, const struct k_siginfo *info)
{
	struct task *t = task_at(task);

	return t->state == TASK_LIVE ? send(t->proc, t, true, sig, info) : 0;
}

void signal_send_kernel(u32 proc, int sig)
{
	struct k_siginfo info = {.signo = sig, .code = SIG_SI_KERNEL};

	signal_send_proc(proc, sig, &info);
}

void signal_send_group(u32 pgid, int sig)
{
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == pgid)
			signal_send_kernel(p, sig);
	}
}

void signal_from_outside(int sig)
{
	if (sig > 0 && sig <= SIG_MAX)
		signal_send_group(SIGNALS->root_pgid, sig);
}

void signal_force(struct task *t, int sig, const struct k_siginfo *info)
{
	struct signal_task *s = signal_task_of(t);
	struct k_sigaction *action = &signal_proc_of(t)->actions[sig - 1];

	if (s->mask & SIG_BIT(sig) || action->handler == SIG_HANDLER_IGN)
		action->handler = SIG_HANDLER_DFL;
	s->mask &= ~SIG_BIT(sig);
	queue_add(&s->queue, sig, info);
	signal_recalc(t);
}

void signal_force_segv(struct task *t)
{
	struct k_siginfo info = {.signo = SIG_SEGV, .code = SIG_SI_KERNEL};

	signal_force(t, SIG_SEGV, &info);
}

/* ---- masks ---- */

void signal_set_mask(struct task *t, u64 mask)
{
	struct signal_task *s = signal_task_of(t);

	u64 changed = s->mask;

	s->mask = mask & ~SIG_UNBLOCKABLE;
	changed ^= s->mask;
	if (signal_proc_of(t)->queue.pending & changed)
		signal_recalc_proc(t->proc);
	else
		signal_recalc(t);
}

long signal_mask_begin(struct task *t, u64 addr, u64 size)
{
	struct signal_task *s = signal_task_of(t);
	u64 mask;

	if (addr == 0)
		return 0;
	if (size != sizeof(mask))
		return -EINVAL;
	if (user_get(mask, addr) < 0)
		return -EFAULT;
	digest_u64(t, mask);
	s->saved_mask = s->mask;
	s->flags |= SIGNAL_HAS_SAVED;
	signal_set_mask(t, mask);
	return 0;
}

void signal_mask_end(struct task *t, long result)
{
	struct signal_task *s = signal_task_of(t);
	bool interrupted =
		result == -EINTR || (result <= -ERESTARTSYS && result >= -ERESTART_RESTARTBLOCK);

	if (!(s->flags & SIGNAL_HAS_SAVED) || (interrupted && signal_pending(t)))
		return;
	s->flags &= ~(u32)SIGNAL_HAS_SAVED;
	signal_set_mask(t, s->saved_mask);
}

void signal_set_deaf(struct task *t, bool deaf)
{
	struct signal_task *s = signal_task_of(t);

	s->flags = deaf ? s->flags | SIGNAL_DEAF : s->flags & ~(u32)SIGNAL_DEAF;
	signal_recalc(t);
}

long signal_set_restart(struct task *t, signal_restart_fn *fn, u64 a, u64 b, u64 c, u64 d)
{
	struct signal_task *s = signal_task_of(t);

	s->restart = fn;
	s->restart_args[0] = a;
	s->restart_args[1] = b;
	s->restart_args[2] = c;
	s->restart_args[3] = d;
	return -ERESTART_RESTARTBLOCK;
}

/* ---- life ---- */

void signal_first(struct task *t)
{
	SIGNALS->root_pgid = proc_of(t)->pgid;
	proc_tree_add(t->proc);
}

/* What every new task takes over. */
static void inherit(struct task *parent, struct task *child)
{
	struct signal_task *from = signal_task_of(parent), *to = signal_task_of(child);

	memset(to, 0, sizeof(*to));
	to->mask = from->mask;
	to->trapno = from->trapno;
	to->err = from->err;
	to->cr2 = from->cr2;
}

void signal_fork(struct task *parent, struct task *child)
{
	struct signal_task *from = signal_task_of(parent), *to = signal_task_of(child);
	struct signal_proc *state = signal_proc_of(child);

	inherit(parent, child);
	to->alt_sp = from->alt_sp;
	to->alt_size = from->alt_size;
	to->alt_flags = from->alt_flags;
	memset(state, 0, offsetof(struct signal_proc, actions));
	memcpy(state->actions, signal_proc_of(parent)->actions, sizeof(state->actions));
	proc_tree_add(child->proc);
}

void signal_thread(struct task *parent, struct task *child)
{
	struct signal_task *s = signal_task_of(child);
	struct signal_proc *state = signal_proc_of(child);

	inherit(parent, child);
	s->alt_flags = SIG_SS_DISABLE;
	if (state->stop_signal != 0) {
		s->flags |= SIGNAL_STOPPING;
		state->stop_waiting++;
	}
	signal_recalc(child);
}

void signal_clear_handlers(u32 proc)
{
	for (int i = 0; i < SIG_MAX; i++) {
		struct k_sigaction *a = &state_of(proc)->actions[i];
		u64 kept = a->handler == SIG_HANDLER_IGN ? SIG_HANDLER_IGN : SIG_HANDLER_DFL;

		*a = (struct k_sigaction){.handler = kept};
	}
}

void signal_exec(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	signal_clear_handlers(t->proc);
	s->alt_sp = s->alt_size = 0;
	s->restart = NULL;
}

void signal_release(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	queue_drop(&s->queue, ~0ull);
	if (proc_of(t)->state != PROC_LIVE)
		return;
	signal_leave_stop(t);
	if (signal_proc_of(t)->queue.pending & ~blocked_by(t) && !proc_of(t)->exiting)
		signal_recalc_proc(t->proc);
}

void signal_release_proc(u32 proc)
{
	queue_drop(&state_of(proc)->queue, ~0ull);
	signal_drop_timers(proc);
	state_of(proc)->stop_signal = 0;
}

bool signal_child_ignored(u32 proc)
{
	const struct k_sigaction *a = &state_of(proc)->actions[SIG_CHLD - 1];

	return a->handler == SIG_HANDLER_IGN || a->flags & SIG_SA_NOCLDWAIT;
}
