/*
 * The tree of processes, and wait: wait4 and waitid are answered from here; our init reaps the
 * kernel's processes out of sight.
 *
 * Owns the links below.  As in Linux each child belongs to a thread of its parent, the one that
 * made it or the oldest left, and a wait takes the oldest child with news, those of the calling
 * thread first.  Orphans go to the nearest subreaper, else to init, which reaps at once.
 *
 * Invariants: every process but init is in the list of births from proc_tree_add to proc_reap, and
 * in one of its parent's lists of children.  Index 0 (PROC_INIT) ends a list, being in none. Kernel
 * rules are from kernel/exit.c.
 */
#include <linux/wait.h>
#include "../shim/process.h"
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "pidfd.h"
#include "signal_send.h"
#include "syscall_handlers.h"
#include "wait.h"

#define REGION_TREE_OFF (REGION_SIGNAL_OFF + 0xc000000)
#define KEY_WAIT	0x57410001 /* object: the waiting process */
#define TICK_NS		10000000   /* si_utime counts hundredths of a second */

/* Both in the order of links.order. */
struct child_list {
	u32 first, last;
};

struct links {
	u32 next, prev; /* in the list of births */
	struct child_list living, zombies;
	u32 sibling_next, sibling_prev;
	u32 stop_report;     /* signal of a stop the parent has yet to wait for */
	u32 continue_report; /* the same for going on */
	u32 news;	     /* children with one of these */
	u32 maker;	     /* slot of the parent's thread whose child it is; NONE: of init */
	u64 order;	     /* when it became its parent's child */
};

struct tree {
	u32 first, last;
	u64 orders; /* given out */
	struct links links[PROCS_MAX];
};
#define TREE REGION_AT(struct tree, REGION_TREE_OFF)
_Static_assert(sizeof(struct signal_state) <= 0xc000000, "the tree lies behind it");
_Static_assert(REGION_TREE_OFF + sizeof(struct tree) <= REGION_FILES_OFF, "fits");

static struct links *links_of(u32 proc)
{
	return &TREE->links[proc];
}

/* ---- the tree ---- */

static u32 or_none(u32 proc)
{
	return proc == PROC_INIT ? NONE : proc;
}

u32 proc_tree_first(void)
{
	return or_none(TREE->first);
}

u32 proc_tree_next(u32 proc)
{
	return or_none(links_of(proc)->next);
}

/* ---- children ---- */

/* The list of its parent's that a process belongs in. */
static struct child_list *list_of(u32 proc)
{
	struct links *up = links_of(proc_at(proc)->parent);

	return proc_at(proc)->state == PROC_ZOMBIE ? &up->zombies : &up->living;
}

static u32 has_report(u32 proc)
{
	return links_of(proc)->stop_report != 0 || links_of(proc)->continue_report != 0;
}

/* What its parent has yet to hear of it. */
static void report_set(u32 proc, u32 stop_report, u32 continue_report)
{
	struct links *own = links_of(proc), *up = links_of(proc_at(proc)->parent);

	up->news -= has_report(proc);
	own->stop_report = stop_report;
	own->continue_report = continue_report;
	up->news += has_report(proc);
}

/* Zombies come in the order of death, which is mostly that of their births. */
static void list_add(struct child_list *list, u32 proc)
{
	struct links *own = links_of(proc);
	u32 before = list->last;

	while (before != PROC_INIT && links_of(before)->order > own->order)
		before = links_of(before)->sibling_prev;
	own->sibling_prev = before;
	own->sibling_next = before == PROC_INIT ? list->first : links_of(before)->sibling_next;
	*(before == PROC_INIT ? &list->first : &links_of(before)->sibling_next) = proc;
	*(own->sibling_next == PROC_INIT ? &list->last
					 : &links_of(own->sibling_next)->sibling_prev) = proc;
}

static void list_remove(struct child_list *list, u32 proc)
{
	struct links *own = links_of(proc);

	*(own->sibling_prev == PROC_INIT ? &list->first
					 : &links_of(own->sibling_prev)->sibling_next) =
		own->sibling_next;
	*(own->sibling_next == PROC_INIT ? &list->last
					 : &links_of(own->sibling_next)->sibling_prev) =
		own->sibling_prev;
}

/* Makes it the youngest child of its parent's thread `maker`. */
static void child_add(u32 proc, u32 maker)
{
	struct links *own = links_of(proc);

	own->maker = maker;
	own->order = ++TREE->orders;
	list_add(list_of(proc), proc);
	links_of(proc_at(proc)->parent)->news += has_report(proc);
	if (maker != NONE)
		task_at(maker)->made_children = 1;
}

static void child_remove(u32 proc)
{
	list_remove(list_of(proc), proc);
	links_of(proc_at(proc)->parent)->news -= has_report(proc);
}

/* The thread whose child a new process is: with CLONE_PARENT not the one that made it. */
static u32 maker_of(u32 proc)
{
	const struct task *t = current();

	if (proc_at(proc)->parent == PROC_INIT)
		return NONE;
	return proc_at(proc)->parent == t->proc ? t->index : links_of(t->proc)->maker;
}

void proc_tree_add(u32 proc)
{
	struct links *own = links_of(proc);

	*own = (struct links){.prev = TREE->last};
	proc_at(proc)->birth = ++PROCT->births;
	if (TREE->last == PROC_INIT)
		TREE->first = proc;
	else
		links_of(TREE->last)->next = proc;
	TREE->last = proc;
	ids_add_proc(proc);
	child_add(proc, maker_of(proc));
}

static void tree_remove(u32 proc)
{
	struct links *own = links_of(proc);

	if (own->prev == PROC_INIT)
		TREE->first = own->next;
	else
		links_of(own->prev)->next = own->next;
	if (own->next == PROC_INIT)
		TREE->last = own->prev;
	else
		links_of(own->next)->prev = own->prev;
	ids_remove_proc(proc);
	child_remove(proc);
}

bool pgrp_is_orphaned(u32 pgid, u32 ignored)
{
	for (u32 i = TREE->first; i != PROC_INIT; i = links_of(i)->next) {
		const struct proc *p = proc_at(i), *parent = proc_at(p->parent);

		if (p->pgid != pgid || i == ignored || p->state != PROC_LIVE ||
		    p->parent == PROC_INIT)
			continue;
		if (parent->pgid != pgid && parent->sid == p->sid)
			return false;
	}
	return true;
}

/* ---- telling the parent ---- */

static struct k_siginfo child_info(u32 proc, s32 code, s32 status)
{
	const struct proc *p = proc_at(proc);
	struct k_siginfo info = {
		.signo = SIG_CHLD, .code = code, .pid = (s32)p->pid, .uid = p->uid};

	info.child.status = status;
	info.child.utime = (s64)(proc_cpu_ns(proc) / TICK_NS);
	return info;
}

/* si_code and si_status from a wait status word. */
static struct k_siginfo exit_info(u32 proc)
{
	s32 status = proc_at(proc)->status;

	if ((status & 0x7f) == 0)
		return child_info(proc, CLD_IS_EXITED, status >> 8 & 0xff);
	return child_info(proc, status & 0x80 ? CLD_IS_DUMPED : CLD_IS_KILLED, status & 0x7f);
}

static void wake_parent(u32 parent)
{
	sched_key_wake(SCHED, (struct sched_key){KEY_WAIT, parent}, ~0u, ~0u, SCHED_NONE);
}

void proc_tell_stop(u32 proc, int sig)
{
	u32 parent = proc_at(proc)->parent;
	struct k_siginfo info = sig != 0 ? child_info(proc, CLD_IS_STOPPED, sig)
					 : child_info(proc, CLD_IS_CONTINUED, SIG_CONT);
	const struct k_sigaction *action = signal_action(parent, SIG_CHLD);

	report_set(proc, (u32)sig, sig == 0);
	if (parent == PROC_INIT)
		return;
	if (action->handler != SIG_HANDLER_IGN && !(action->flags & SIG_SA_NOCLDSTOP))
		signal_send_proc(parent, SIG_CHLD, &info);
	wake_parent(parent);
}

static void tell_exit(u32 proc)
{
	struct proc *p = proc_at(proc);
	u32 parent = p->parent;
	bool nobody_waits = parent == PROC_INIT;

	if (!nobody_waits && p->exit_signal == SIG_CHLD)
		nobody_waits = signal_child_ignored(parent);
	if (parent != PROC_INIT && p->exit_signal != 0 && p->exit_signal <= SIG_MAX) {
		struct k_siginfo info = exit_info(proc);

		signal_send_proc(parent, (int)p->exit_signal, &info);
	}
	if (nobody_waits)
		proc_reap(proc);
	if (parent != PROC_INIT)
		wake_parent(parent);
}

/* ---- death ---- */

static u32 reaper_of(u32 proc)
{
	u32 up = proc_at(proc)->parent;

	while (up != PROC_INIT) {
		const struct proc *p = proc_at(up);

		if (p->subreaper && p->state == PROC_LIVE && !p->exiting)
			break;
		up = p->parent;
	}
	return up;
}

static bool group_is_stopped(u32 pgid)
{
	for (u32 i = TREE->first; i != PROC_INIT; i = links_of(i)->next) {
		if (proc_at(i)->pgid == pgid && SIGNALS->procs[i].stop_signal != 0)
			return true;
	}
	return false;
}

/* The group of `proc` loses what tied it to its session, its link to `parent`. */
static void hang_up_orphans(u32 proc, u32 parent, u32 ignored)
{
	const struct proc *p = proc_at(proc), *up = proc_at(parent);

	if (up->pgid == p->pgid || up->sid != p->sid)
		return;
	if (!pgrp_is_orphaned(p->pgid, ignored) || !group_is_stopped(p->pgid))
		return;
	signal_send_group(p->pgid, SIG_HUP);
	signal_send_group(p->pgid, SIG_CONT);
}

/* PR_SET_PDEATHSIG of its threads: the thread whose child it was has ended, and sends it, if it
 * may. */
static void tell_death(u32 child)
{
	for (u32 i = proc_at(child)->threads; i != NONE; i = task_at(i)->next_thread) {
		if (task_at(i)->pdeathsig != 0)
			signal_to_process(current(), child, task_at(i)->pdeathsig, NULL);
	}
}

static void orphan(u32 child, u32 parent, u32 reaper)
{
	struct proc *p = proc_at(child);

	child_remove(child);
	p->parent = reaper;
	child_add(child, reaper == PROC_INIT ? NONE : proc_at(reaper)->threads);
	p->exit_signal = SIG_CHLD;
	if (p->state == PROC_ZOMBIE) {
		tell_exit(child);
		return;
	}
	tell_death(child);
	hang_up_orphans(child, parent, NONE);
}

/* Hands the children of task `t` to the oldest thread of its process. */
static void inherit_list(const struct task *t, u32 first)
{
	u32 heir = proc_of(t)->threads, next;

	for (u32 c = first; c != PROC_INIT; c = next) {
		next = links_of(c)->sibling_next;
		if (links_of(c)->maker != t->index)
			continue;
		child_remove(c);
		child_add(c, heir);
		tell_death(c);
	}
}

void proc_tree_task_ends(const struct task *t)
{
	const struct proc *p = proc_of(t);

	if (!t->made_children || p->threads == NONE || p->state != PROC_LIVE || p->exiting)
		return;
	inherit_list(t, links_of(t->proc)->living.first);
	inherit_list(t, links_of(t->proc)->zombies.first);
}

void proc_became_zombie(u32 proc)
{
	struct links *own = links_of(proc);
	u32 reaper = reaper_of(proc);

	report_set(proc, 0, 0);
	list_remove(list_of(proc), proc);
	proc_at(proc)->state = PROC_ZOMBIE;
	list_add(list_of(proc), proc);
	signal_release_proc(proc);
	while (own->living.first != PROC_INIT)
		orphan(own->living.first, proc, reaper);
	while (own->zombies.first != PROC_INIT)
		orphan(own->zombies.first, proc, reaper);
	hang_up_orphans(proc, proc_at(proc)->parent, proc);
	PROCT->nzombies++;
	pidfd_changed(proc_at(proc)->birth);
	tell_exit(proc);
}

void proc_reap(u32 proc)
{
	struct proc *p = proc_at(proc);

	tree_remove(proc);
	PROCT->nzombies--;
	pidfd_changed(p->birth);
	heap_free((void *)p->exe_path);
	heap_free((void *)p->cmdline);
	heap_free((void *)p->groups);
	heap_free((void *)p->environ_blob);
	p->exe_path = p->cmdline = p->groups = p->environ_blob = 0;
	proc_free(proc);
}

/* ---- wait4, waitid ---- */

enum wait_kind { WAIT_ALL, WAIT_PID, WAIT_GROUP };

struct wait_request {
	u32 kind, id, options;
	bool nonblock; /* of the descriptor: -EAGAIN instead of waiting */
};

struct wait_found {
	struct k_siginfo info;
	s32 status;	 /* as wait4 gives it */
	u64 cpu_time_ns; /* with waited-for children */
};

struct wait_usage {
	s64 user_sec, user_usec, system_sec, system_usec, maxrss_kb, unused[13];
};
_Static_assert(sizeof(struct wait_usage) == 144, "kernel layout");

static bool is_wanted(const struct task *t, u32 child, const struct wait_request *r)
{
	const struct proc *p = proc_at(child);
	bool is_clone = p->exit_signal != SIG_CHLD;

	if (r->kind == WAIT_PID && p->pid != r->id)
		return false;
	if (r->kind == WAIT_GROUP && p->pgid != r->id)
		return false;
	if (r->options & __WNOTHREAD && links_of(child)->maker != t->index)
		return false;
	return r->options & __WALL || is_clone == !!(r->options & __WCLONE);
}

static bool has_news(u32 child, u32 options)
{
	const struct links *own = links_of(child);

	if (proc_at(child)->state == PROC_ZOMBIE)
		return options & WEXITED;
	return (options & WSTOPPED && own->stop_report != 0) ||
	       (options & WCONTINUED && own->continue_report != 0);
}

/* Whether `a` comes before `b` to the caller: its own children first, then those of other threads.
 */
static bool is_before(const struct task *t, u32 a, u32 b)
{
	const struct links *x = links_of(a), *y = links_of(b);
	bool x_own = x->maker == t->index, y_own = y->maker == t->index;

	return x_own != y_own ? x_own : x->order < y->order;
}

/* The first child of a list that is wanted and has news, or NONE. */
static u32 first_with_news(const struct task *t, u32 first, const struct wait_request *r)
{
	u32 best = NONE;

	for (u32 c = first; c != PROC_INIT; c = links_of(c)->sibling_next) {
		if (!is_wanted(t, c, r) || !has_news(c, r->options))
			continue;
		if (links_of(c)->maker == t->index)
			return c;
		if (best == NONE)
			best = c;
	}
	return best;
}

/* Whether there is a child that may yet have news. */
static bool may_have_news(const struct task *t, const struct wait_request *r)
{
	u32 c = links_of(t->proc)->living.first;

	while (c != PROC_INIT && !is_wanted(t, c, r))
		c = links_of(c)->sibling_next;
	return c != PROC_INIT;
}

/* The one that is named, without looking at the others. */
static long pick_named(const struct task *t, const struct wait_request *r, u32 *ret_child)
{
	u32 c = proc_find_pid(r->id);

	if (c == NONE || c == PROC_INIT || proc_at(c)->parent != t->proc || !is_wanted(t, c, r))
		return -ECHILD;
	if (has_news(c, r->options))
		*ret_child = c;
	else if (proc_at(c)->state == PROC_ZOMBIE)
		return -ECHILD;
	return 0;
}

/* The first wanted child with news, NONE if there may be some later; or -ECHILD. */
static long pick_child(const struct task *t, const struct wait_request *r, u32 *ret_child)
{
	const struct links *own = links_of(t->proc);
	u32 zombie = NONE, other = NONE;

	*ret_child = NONE;
	if (r->kind == WAIT_PID)
		return pick_named(t, r, ret_child);
	if (r->options & WEXITED)
		zombie = first_with_news(t, own->zombies.first, r);
	if (r->options & (WSTOPPED | WCONTINUED) && own->news != 0)
		other = first_with_news(t, own->living.first, r);
	if (zombie == NONE || (other != NONE && is_before(t, other, zombie)))
		*ret_child = other;
	else
		*ret_child = zombie;
	return *ret_child != NONE || may_have_news(t, r) ? 0 : -ECHILD;
}

static void collect_news(u32 child, u32 options, struct wait_found *ret)
{
	const struct links *own = links_of(child);
	u32 stop = own->stop_report, keep = options & WNOWAIT;

	if (options & WSTOPPED && stop != 0) {
		ret->status = WAIT_STOPPED((s32)stop);
		ret->info = child_info(child, CLD_IS_STOPPED, (s32)stop);
		report_set(child, keep ? stop : 0, own->continue_report);
	} else {
		ret->status = WAIT_CONTINUED;
		ret->info = child_info(child, CLD_IS_CONTINUED, SIG_CONT);
		report_set(child, stop, keep != 0);
	}
}

static void collect(u32 child, u32 options, struct wait_found *ret)
{
	ret->cpu_time_ns = proc_cpu_ns(child) + proc_at(child)->cutime_ns;
	if (proc_at(child)->state != PROC_ZOMBIE) {
		collect_news(child, options, ret);
		return;
	}
	ret->info = exit_info(child);
	ret->status = proc_at(child)->status;
	if (options & WNOWAIT)
		return;
	proc_at(proc_at(child)->parent)->cutime_ns += ret->cpu_time_ns;
	proc_reap(child);
}

/* The pid of the child that was found, 0 with WNOHANG, or a negative errno. */
static long do_wait(struct task *t, const struct wait_request *r, struct wait_found *ret)
{
	bool interrupted = false;

	for (;;) {
		u32 child;
		long error = pick_child(t, r, &child);

		if (error < 0)
			return error;
		if (child != NONE) {
			collect(child, r->options, ret);
			return ret->info.pid;
		}
		if (r->options & WNOHANG)
			return 0;
		if (r->nonblock)
			return -EAGAIN;
		if (interrupted)
			return -ERESTARTSYS;
		sched_wait_add(SCHED, t->index, (struct sched_key){KEY_WAIT, t->proc}, ~0u, 0);
		interrupted = turn_park(t, SCHED_NEVER) < 0;
	}
}

static long put_usage(struct task *t, u64 addr, u64 cpu_time_ns)
{
	struct wait_usage usage = {
		.user_sec = (s64)(cpu_time_ns / 1000000000),
		.user_usec = (s64)(cpu_time_ns % 1000000000 / 1000),
		.maxrss_kb = RUSAGE_MAXRSS_KB,
	};

	if (addr == 0)
		return 0;
	if (user_put(addr, usage) < 0)
		return -EFAULT;
	digest_u64(t, cpu_time_ns);
	return 0;
}

static void request_of_pid(const struct task *t, s32 pid, struct wait_request *ret)
{
	if (pid == -1) {
		ret->kind = WAIT_ALL;
	} else if (pid > 0) {
		ret->kind = WAIT_PID;
		ret->id = (u32)pid;
	} else {
		ret->kind = WAIT_GROUP;
		ret->id = pid == 0 ? proc_of(t)->pgid : (u32)-pid;
	}
}

long sys_wait4(struct task *t, struct frame *f)
{
	u32 options = (u32)f->arg[2];
	struct wait_request r = {.options = options | WEXITED};
	struct wait_found found = {.status = 0};

	if (options & ~(u32)(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL))
		return -EINVAL;
	if ((s32)f->arg[0] == INT32_MIN)
		return -ESRCH;
	request_of_pid(t, (s32)f->arg[0], &r);
	long pid = do_wait(t, &r, &found);
	if (pid <= 0)
		return pid;
	if (f->arg[1] != 0 && user_put(f->arg[1], found.status) < 0)
		return -EFAULT;
	digest_u64(t, (u64)(u32)found.status);
	return put_usage(t, f->arg[3], found.cpu_time_ns) < 0 ? -EFAULT : pid;
}

static long request_of_pidfd(struct task *t, u32 fd, struct wait_request *ret)
{
	long pid = pidfd_process(t, fd, &ret->nonblock);

	ret->kind = WAIT_PID;
	ret->id = pid > 0 ? (u32)pid : 0; /* gone: nobody's child */
	return pid < 0 ? pid : 0;
}

static long request_of_id(struct task *t, u32 which, s32 id, struct wait_request *ret)
{
	if (which == P_ALL) {
		ret->kind = WAIT_ALL;
	} else if (which == P_PID) {
		ret->kind = WAIT_PID;
		ret->id = (u32)id;
		return id <= 0 ? -EINVAL : 0;
	} else if (which == P_PGID) {
		ret->kind = WAIT_GROUP;
		ret->id = id == 0 ? proc_of(t)->pgid : (u32)id;
		return id < 0 ? -EINVAL : 0;
	} else {
		return which == P_PIDFD && id >= 0 ? request_of_pidfd(t, (u32)id, ret) : -EINVAL;
	}
	return 0;
}

/* The fields Linux writes; the rest of the app's siginfo is left as it was. */
static long put_child_info(struct task *t, u64 addr, const struct k_siginfo *info)
{
	u64 size = offsetof(struct k_siginfo, child.status) + sizeof(info->child.status);
	struct k_siginfo kept;

	if (user_copy_in(&kept, addr, size) < 0)
		return -EFAULT;
	s32 pad = kept.pad;
	kept = *info;
	kept.pad = pad;
	if (user_copy_out(addr, &kept, size) < 0)
		return -EFAULT;
	digest_bytes(t, info, size);
	return 0;
}

long sys_waitid(struct task *t, struct frame *f)
{
	u32 options = (u32)f->arg[3];
	struct wait_request r = {.options = options};
	struct wait_found found = {.status = 0};

	if (options & ~(u32)(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD |
			     __WCLONE | __WALL) ||
	    !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	long error = request_of_id(t, (u32)f->arg[0], (s32)f->arg[1], &r);
	if (error < 0)
		return error;
	long pid = do_wait(t, &r, &found);
	if (pid < 0)
		return pid;
	if (pid > 0 && put_usage(t, f->arg[4], found.cpu_time_ns) < 0)
		return -EFAULT;
	if (f->arg[2] != 0 && put_child_info(t, f->arg[2], &found.info) < 0)
		return -EFAULT;
	return 0;
}
