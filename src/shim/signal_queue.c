/*
 * What is pending for whom: queues, masks, and the inheritance of signal state.
 *
 * Owns the queues of tasks and processes and every task's attention word.
 *
 * Invariants: a bit of queue.pending is set if the list holds a node of that signal, or if it was
 * sent beyond the limit of queued signals; standard signals have at most one node.  A task's
 * attention word is nonzero exactly if there is something it must do about signals; who changes a
 * queue, a mask, a stop or an exit calls signal_recalc or signal_recalc_proc.  Kernel rules are
 * from kernel/signal.c (prepare_signal, complete_signal, dequeue_signal).
 */
#include "shim.h"
#include "process.h"
#include "signal.h"
#include "../syscall-table/files.h"
#include "../syscall-table/wait.h"

/* Caused by the task's own instruction: taken before all others. */
#define SYNCHRONOUS                                                                    \
	(SIG_BIT(SIG_SEGV) | SIG_BIT(SIG_BUS) | SIG_BIT(SIG_ILL) | SIG_BIT(SIG_TRAP) | \
	 SIG_BIT(SIG_FPE) | SIG_BIT(SIG_SYS))
#define STOP_SIGNALS	  (SIG_BIT(SIG_STOP) | SIG_BIT(SIG_TSTP) | SIG_BIT(SIG_TTIN) | SIG_BIT(SIG_TTOU))
#define RLIMIT_OF_SIGNALS 11
#define TRAP_PROTECTION	  13
#define TAKEN_VOID	  -1 /* a node was taken that means nothing any more */
#define IGNORED_BY_DEFAULT \
	(SIG_BIT(SIG_CHLD) | SIG_BIT(SIG_CONT) | SIG_BIT(SIG_URG) | SIG_BIT(SIG_WINCH))

static struct signal_proc *state_of(u32 proc)
{
	return &SIGNALS->procs[proc];
}

/* ---- queues ---- */

/* Something new is pending: signal descriptors hear of it. */
static void queue_mark(struct signal_queue *q, u32 proc, int sig)
{
	q->pending |= SIG_BIT(sig);
	if (SIGNALS->signalfds != 0)
		signalfd_notify(proc);
}

static void queue_append(struct signal_queue *q, u32 proc, int sig, struct signal_node *n)
{
	n->next = NULL;
	n->info.signo = sig;
	if (q->first == NULL)
		q->first = n;
	else
		q->last->next = n;
	q->last = n;
	SIGNALS->nqueued++;
	queue_mark(q, proc, sig);
}

static long queue_add(struct signal_queue *q, u32 proc, int sig, const struct k_siginfo *info)
{
	struct signal_user *user;

	if (sig < SIG_RTMIN && q->pending & SIG_BIT(sig))
		return 0;
	user = signal_charge(proc, sig < SIG_RTMIN && info->code >= 0);
	if (user == NULL) {
		/* Those of kill are never refused, they lose their info. */
		if (sig >= SIG_RTMIN && info->code != SIG_SI_USER)
			return -EAGAIN;
		SIGNALS->lost = 1;
		queue_mark(q, proc, sig);
		return 0;
	}
	struct signal_node *n = heap_alloc(sizeof(*n));
	n->user = user;
	n->info = *info;
	queue_append(q, proc, sig, n);
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
	signal_uncharge(n->user);
}

/* Drops what `set` names, if anything; with `for_good` the timers of these signals do not go on. */
static bool queue_drop(struct signal_queue *q, u64 set, bool for_good)
{
	struct signal_node *before = NULL, *next;

	if ((q->pending & set) == 0)
		return false;
	for (struct signal_node *n = q->first; n != NULL; n = next) {
		next = n->next;
		if (!(set & SIG_BIT(n->info.signo))) {
			before = n;
			continue;
		}
		queue_unlink(q, before, n);
		if (n->timer != NULL)
			posix_timer_dropped(n->timer, for_good || n->is_void);
		heap_free(n);
	}
	q->pending &= ~set;
	return true;
}

/* exec: the signals of timers go with them. */
static void queue_drop_timers(struct signal_queue *q)
{
	struct signal_node *before = NULL, *next;
	u64 kept = 0, dropped = 0;

	for (struct signal_node *n = q->first; n != NULL; n = next) {
		next = n->next;
		if (n->info.code != SIG_SI_TIMER) {
			kept |= SIG_BIT(n->info.signo);
			before = n;
			continue;
		}
		dropped |= SIG_BIT(n->info.signo);
		queue_unlink(q, before, n);
		heap_free(n);
	}
	q->pending &= ~dropped | kept;
}

/* What the node of a signal that is being taken says. */
static int node_take(struct signal_node *n, struct k_siginfo *ret_info)
{
	int sig = n->info.signo;

	*ret_info = n->info;
	if (n->is_void)
		sig = TAKEN_VOID;
	if (n->timer != NULL && n->is_void)
		posix_timer_dropped(n->timer, true);
	else if (n->timer != NULL)
		posix_timer_taken(n->timer, ret_info);
	heap_free(n);
	return sig;
}

/* Takes the oldest of the first signal in `set`; 0 if none is pending; TAKEN_VOID. */
static int queue_take(struct signal_queue *q, u64 set, struct k_siginfo *ret_info)
{
	struct signal_node *before = NULL, *n = q->first, *more;
	u64 some = q->pending & set;

	if (some == 0)
		return 0;
	if (some & SYNCHRONOUS)
		some &= SYNCHRONOUS;
	int sig = __builtin_ctzll(some) + 1;
	for (; n != NULL && n->info.signo != sig; n = n->next)
		before = n;
	if (n == NULL) {
		/* Sent when there was no room for more than the bit. */
		*ret_info = (struct k_siginfo){.signo = sig, .code = SIG_SI_USER};
		q->pending &= ~SIG_BIT(sig);
		return sig;
	}
	for (more = n->next; more != NULL && more->info.signo != sig;)
		more = more->next;
	if (more == NULL)
		q->pending &= ~SIG_BIT(sig);
	queue_unlink(q, before, n);
	return node_take(n, ret_info);
}

/* ---- who is charged ---- */

static struct signal_user *user_find(u32 uid)
{
	struct signal_user *u = SIGNALS->users;

	while (u != NULL && u->uid != uid)
		u = u->next;
	return u;
}

u32 signal_charged(u32 proc)
{
	const struct signal_user *u = user_find(proc_at(proc)->uid);

	return u != NULL ? u->count : 0;
}

struct signal_user *signal_charge(u32 proc, bool over)
{
	const struct proc *p = proc_at(proc);
	struct signal_user *u = user_find(p->uid);

	if (!over && (u != NULL ? u->count : 0) >= p->rlimits[RLIMIT_OF_SIGNALS][0])
		return NULL;
	if (u == NULL) {
		u = heap_alloc(sizeof(*u));
		u->uid = p->uid;
		u->next = SIGNALS->users;
		SIGNALS->users = u;
	}
	u->count++;
	return u;
}

void signal_uncharge(struct signal_user *user)
{
	struct signal_user **link = &SIGNALS->users;

	if (user == NULL || --user->count != 0)
		return;
	while (*link != user)
		link = &(*link)->next;
	*link = user->next;
	heap_free(user);
}

/* ---- taking ---- */

bool signal_flush(u32 proc, u64 set)
{
	bool dropped;

	if (SIGNALS->nqueued == 0 && !SIGNALS->lost)
		return false;
	dropped = queue_drop(&state_of(proc)->queue, set, false);
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread)
		dropped |= queue_drop(&signal_task_of(task_at(i))->queue, set, false);
	return dropped;
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
	struct task *other = sig != 0 ? taker_of(t->proc, SIG_BIT(ret_info->signo)) : NULL;

	if (sig == SIG_ALRM)
		itimer_alarm_taken(t->proc);
	if (other != NULL && other != t)
		signal_recalc(other);
	return sig;
}

int signal_take(struct task *t, u64 set, struct k_siginfo *ret_info)
{
	int sig;

	do {
		sig = queue_take(&signal_task_of(t)->queue, set, ret_info);
		if (sig == 0)
			sig = take_shared(t, set, ret_info);
	} while (sig == TAKEN_VOID);
	signal_recalc(t);
	if (sig != 0 && ret_info->code == SIG_SI_KERNEL)
		HEAD->answers++;
	return sig;
}

/* ---- sending ---- */

bool signal_is_ignored(u32 proc, int sig)
{
	u64 handler = signal_action(proc, sig)->handler;

	return handler == SIG_HANDLER_IGN ||
	       (handler == SIG_HANDLER_DFL && IGNORED_BY_DEFAULT & SIG_BIT(sig));
}

/* What happens at once, whoever takes the signal and whatever it does with it. */
static void send_prepare(u32 proc, int sig)
{
	bool dropped = false;

	if (STOP_SIGNALS & SIG_BIT(sig)) {
		dropped = signal_flush(proc, SIG_BIT(SIG_CONT));
	} else if (sig == SIG_CONT) {
		dropped = signal_flush(proc, STOP_SIGNALS);
		signal_end_stop(proc);
	}
	if (dropped)
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

static bool is_deaf_for_good(u32 proc)
{
	const struct proc *p = proc_at(proc);

	return proc == PROC_INIT || p->state != PROC_LIVE || p->exiting;
}

/* Whether somebody is to hear it; `target` is looked at for blocking. */
static bool send_begin(u32 proc, struct task *target, int sig)
{
	send_prepare(proc, sig);
	return !signal_is_ignored(proc, sig) || signal_task_of(target)->mask & SIG_BIT(sig);
}

/* Whether the process dies of it as it is sent, not only when somebody takes it. */
static bool kills_at_once(u32 proc, int sig)
{
	u64 survived = IGNORED_BY_DEFAULT | STOP_SIGNALS | SIG_DUMPS_CORE;

	return signal_action(proc, sig)->handler == SIG_HANDLER_DFL && !(survived & SIG_BIT(sig));
}

/*
 * Whether the task would take a new signal at once: it has nothing else to take, and does not
 * stand in a stop (wants_signal).
 */
static bool is_free_for(struct task *t, u64 bit)
{
	const struct signal_task *s = signal_task_of(t);
	u64 others = (s->queue.pending & ~blocked_by(t)) | share_of(t);

	if (blocked_by(t) & bit || s->flags & (SIGNAL_STOPPING | SIGNAL_STOPPED))
		return false;
	return t == current() || !(others & ~bit);
}

/* As in Linux the first such signal decides of what a process dies, whatever is sent after it. */
static bool is_killed(u32 proc, struct task *target, int sig)
{
	u64 bit = SIG_BIT(sig);
	struct task *t = target;

	if (!kills_at_once(proc, sig))
		return false;
	for (u32 i = proc_at(proc)->threads; target == NULL && t == NULL && i != NONE;
	     i = task_at(i)->next_thread)
		t = is_free_for(task_at(i), bit) ? task_at(i) : NULL;
	/* Who waits for it in sigtimedwait gets it, if it was blocked before. */
	return t != NULL && is_free_for(t, bit) && !(signal_task_of(t)->mask & bit);
}

/* Whom a new signal falls to looks at it; `target`: it is of that task alone. */
static void tell_taker(u32 proc, struct task *target, int sig)
{
	struct task *taker = target != NULL ? target : taker_of(proc, SIG_BIT(sig));

	if (taker == NULL)
		return;
	if (is_killed(proc, target, sig)) {
		proc_terminate(proc, WAIT_KILLED(sig, false));
		return;
	}
	signal_recalc(taker);
	wake_pending(taker);
}

/* The signal goes to the target's own queue or the process's. */
static long send(u32 proc, struct task *target, bool to_task, int sig, const struct k_siginfo *info)
{
	if (sig == 0 || is_deaf_for_good(proc))
		return 0;
	if (sig == SIG_KILL) {
		proc_terminate(proc, WAIT_KILLED(SIG_KILL, false));
		return 0;
	}
	if (!send_begin(proc, target, sig))
		return 0;
	struct k_siginfo own = info == NULL ? info_of_current(sig) : *info;
	struct signal_queue *q = to_task ? &signal_task_of(target)->queue : &state_of(proc)->queue;
	long error = queue_add(q, proc, sig, &own);
	tell_taker(proc, to_task ? target : NULL, sig);
	return error;
}

bool signal_send_timer(struct posix_timer *timer, u32 proc, struct task *target,
		       const struct k_siginfo *info, struct signal_node **ret_node)
{
	struct task *looked_at = target != NULL ? target : task_at(proc_at(proc)->threads);
	struct signal_queue *q =
		target != NULL ? &signal_task_of(target)->queue : &state_of(proc)->queue;
	int sig = info->signo;

	if (is_deaf_for_good(proc))
		return true;
	if (sig == SIG_KILL) {
		proc_terminate(proc, WAIT_KILLED(SIG_KILL, false));
		return true;
	}
	if (!send_begin(proc, looked_at, sig))
		return false;
	/* As in Linux a timer's signal is queued even if the like is pending already. */
	struct signal_node *n = heap_alloc(sizeof(*n));
	n->timer = timer;
	n->info = *info;
	queue_append(q, proc, sig, n);
	*ret_node = n;
	tell_taker(proc, target, sig);
	return true;
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

/* What a terminal sends for its keys, and when its size changes. */
#define TERMINAL_SIGNALS \
	(SIG_BIT(SIG_INT) | SIG_BIT(SIG_QUIT) | SIG_BIT(SIG_TSTP) | SIG_BIT(SIG_WINCH))

/* That of the caller's terminal is for the group in its foreground. */
void signal_from_outside(int sig)
{
	u32 front = FILES->tty.pgrp;

	if (sig <= 0 || sig > SIG_MAX)
		return;
	bool by_key = front && SIG_BIT(sig) & TERMINAL_SIGNALS;
	signal_send_group(by_key ? front : SIGNALS->root_pgid, sig);
}

void signal_force(struct task *t, int sig, const struct k_siginfo *info)
{
	struct signal_task *s = signal_task_of(t);
	struct k_sigaction *action = signal_action(t->proc, sig);

	if (s->mask & SIG_BIT(sig) || action->handler == SIG_HANDLER_IGN)
		action->handler = SIG_HANDLER_DFL;
	s->mask &= ~SIG_BIT(sig);
	queue_add(&s->queue, t->proc, sig, info);
	signal_recalc(t);
}

void signal_force_segv(struct task *t)
{
	struct k_siginfo info = {.signo = SIG_SEGV, .code = SIG_SI_KERNEL};

	signal_force(t, SIG_SEGV, &info);
}

void signal_force_protection(struct task *t, u64 err)
{
	signal_task_of(t)->trapno = TRAP_PROTECTION;
	signal_task_of(t)->err = err;
	signal_force_segv(t);
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

static struct signal_actions *actions_new(const struct signal_actions *like)
{
	struct signal_actions *a = heap_alloc_unset(sizeof(*a));

	*a = *like;
	a->refs = 1;
	return a;
}

static void actions_put(struct signal_actions *a)
{
	if (--a->refs == 0)
		heap_free(a);
}

bool signal_actions_are_shared(u32 proc)
{
	return state_of(proc)->actions->refs > 1;
}

void signal_first(struct task *t)
{
	state_of(PROC_INIT)->actions = &SIGNALS->no_actions;
	signal_proc_of(t)->actions = actions_new(&SIGNALS->no_actions);
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

void signal_fork(struct task *parent, struct task *child, bool share)
{
	struct signal_actions *actions = signal_proc_of(parent)->actions;
	struct signal_task *from = signal_task_of(parent), *to = signal_task_of(child);
	struct signal_proc *state = signal_proc_of(child);

	inherit(parent, child);
	to->alt_sp = from->alt_sp;
	to->alt_size = from->alt_size;
	to->alt_flags = from->alt_flags;
	*state = (struct signal_proc){.actions = share ? actions : actions_new(actions)};
	if (share)
		actions->refs++;
	proc_tree_add(child->proc);
	cpu_limit_changed(child->proc);
}

void signal_altstack_forget(struct task *child)
{
	struct signal_task *s = signal_task_of(child);

	s->alt_sp = s->alt_size = 0;
	s->alt_flags = SIG_SS_DISABLE;
}

void signal_thread(struct task *parent, struct task *child)
{
	struct signal_task *s = signal_task_of(child);
	struct signal_proc *state = signal_proc_of(child);

	inherit(parent, child);
	signal_altstack_forget(child);
	if (state->stop_signal != 0) {
		s->flags |= SIGNAL_STOPPING;
		state->stop_waiting++;
	}
	signal_recalc(child);
}

void signal_clear_handlers(u32 proc)
{
	for (int i = 0; i < SIG_MAX; i++) {
		struct k_sigaction *a = signal_action(proc, i + 1);
		u64 kept = a->handler == SIG_HANDLER_IGN ? SIG_HANDLER_IGN : SIG_HANDLER_DFL;

		*a = (struct k_sigaction){.handler = kept};
	}
}

static void actions_unshare(struct signal_proc *state)
{
	struct signal_actions *shared = state->actions;

	if (shared->refs == 1)
		return;
	state->actions = actions_new(shared);
	actions_put(shared);
}

void signal_exec(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	actions_unshare(signal_proc_of(t));
	signal_clear_handlers(t->proc);
	posix_timers_drop(t->proc);
	queue_drop_timers(&s->queue);
	queue_drop_timers(&signal_proc_of(t)->queue);
	s->alt_sp = s->alt_size = 0;
	s->restart = NULL;
}

void signal_release(struct task *t)
{
	struct signal_task *s = signal_task_of(t);

	queue_drop(&s->queue, ~0ull, true);
	timer_disarm(&s->sleep);
	if (proc_of(t)->state != PROC_LIVE)
		return;
	signal_leave_stop(t);
	if (signal_proc_of(t)->queue.pending & ~blocked_by(t) && !proc_of(t)->exiting)
		signal_recalc_proc(t->proc);
}

void signal_release_proc(u32 proc)
{
	posix_timers_drop(proc);
	itimers_drop(proc);
	timer_disarm(&state_of(proc)->cpu_limit);
	queue_drop(&state_of(proc)->queue, ~0ull, true);
	state_of(proc)->stop_signal = 0;
	actions_put(state_of(proc)->actions);
	state_of(proc)->actions = &SIGNALS->no_actions;
}

bool signal_child_ignored(u32 proc)
{
	const struct k_sigaction *a = signal_action(proc, SIG_CHLD);

	return a->handler == SIG_HANDLER_IGN || a->flags & SIG_SA_NOCLDWAIT;
}
