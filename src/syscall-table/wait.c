/*
 * The tree of processes, and wait: wait4 and waitid are answered from here; our init reaps the
 * kernel's processes out of sight.
 *
 * Owns the links below.  Children are reaped in the order in which they became zombies.  Orphans
 * go to the nearest subreaper, else to init, which reaps at once.
 *
 * Invariants: every process but init is in the list of births from proc_tree_add to proc_reap, and
 * in its parent's list of children.  Index 0 (PROC_INIT) ends a list, being in none.  Kernel rules
 * are from kernel/exit.c.
 */
#include <linux/wait.h>
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"
#include "wait.h"

#define REGION_TREE_OFF (REGION_SIGNAL_OFF + 0xc000000)
#define KEY_WAIT	0x57410001 /* object: the waiting process */
#define TICK_NS		10000000   /* si_utime counts hundredths of a second */

struct links {
	u32 next, prev; /* in the list of births */
	u32 child_first, child_last;
	u32 sibling_next, sibling_prev;
	u32 pid;
	u32 stop_report;     /* signal of a stop the parent has yet to wait for */
	u32 continue_report; /* the same for going on */
	u32 pad;
	u64 zombie_number; /* order of death */
};

struct tree {
	u32 first, last;
	u64 zombies; /* so far */
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

static void child_add(u32 parent, u32 proc)
{
	struct links *up = links_of(parent), *own = links_of(proc);

	own->sibling_next = PROC_INIT;
	own->sibling_prev = up->child_last;
	if (up->child_last == PROC_INIT)
		up->child_first = proc;
	else
		links_of(up->child_last)->sibling_next = proc;
	up->child_last = proc;
}

static void child_remove(u32 parent, u32 proc)
{
	struct links *up = links_of(parent), *own = links_of(proc);

	if (own->sibling_prev == PROC_INIT)
		up->child_first = own->sibling_next;
	else
		links_of(own->sibling_prev)->sibling_next = own->sibling_next;
	if (own->sibling_next == PROC_INIT)
		up->child_last = own->sibling_prev;
	else
		links_of(own->sibling_next)->sibling_prev = own->sibling_prev;
}

void proc_tree_add(u32 proc)
{
	struct links *own = links_of(proc);

	*own = (struct links){.prev = TREE->last, .pid = proc_at(proc)->pid};
	if (TREE->last == PROC_INIT)
		TREE->first = proc;
	else
		links_of(TREE->last)->next = proc;
	TREE->last = proc;
	child_add(proc_at(proc)->parent, proc);
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
	child_remove(proc_at(proc)->parent, proc);
}

u32 proc_find_pid(u32 pid)
{
	if (pid == proc_at(PROC_INIT)->pid)
		return PROC_INIT;
	for (u32 p = TREE->first; p != PROC_INIT; p = links_of(p)->next) {
		if (links_of(p)->pid == pid)
			return p;
	}
	return NONE;
}

struct task *proc_find_tid(u32 proc, u32 tid)
{
	if (proc == NONE) {
		struct task *t = NULL;

		for (u32 p = TREE->first; p != PROC_INIT && t == NULL; p = links_of(p)->next)
			t = proc_find_tid(p, tid);
		return t;
	}
	if (proc_at(proc)->state != PROC_LIVE)
		return NULL;
	for (u32 i = proc_at(proc)->threads; i != NONE; i = task_at(i)->next_thread) {
		if (task_at(i)->tid == tid)
			return task_at(i);
	}
	return NULL;
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
	struct links *own = links_of(proc);
	struct k_siginfo info = sig != 0 ? child_info(proc, CLD_IS_STOPPED, sig)
					 : child_info(proc, CLD_IS_CONTINUED, SIG_CONT);
	const struct k_sigaction *action = &SIGNALS->procs[parent].actions[SIG_CHLD - 1];

	own->stop_report = (u32)sig;
	own->continue_report = sig == 0;
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

static void orphan(u32 child, u32 parent, u32 reaper)
{
	struct proc *p = proc_at(child);

	child_remove(parent, child);
	p->parent = reaper;
	child_add(reaper, child);
	p->exit_signal = SIG_CHLD;
	if (p->state == PROC_ZOMBIE) {
		tell_exit(child);
		return;
	}
	if (p->pdeathsig != 0)
		signal_send_proc(child, (int)p->pdeathsig, NULL);
	hang_up_orphans(child, parent, NONE);
}

void proc_became_zombie(u32 proc)
{
	struct links *own = links_of(proc);
	u32 reaper = reaper_of(proc);

	proc_at(proc)->state = PROC_ZOMBIE;
	own->zombie_number = ++TREE->zombies;
	own->stop_report = own->continue_report = 0;
	signal_release_proc(proc);
	while (own->child_first != PROC_INIT)
		orphan(own->child_first, proc, reaper);
	hang_up_orphans(proc, proc_at(proc)->parent, proc);
	tell_exit(proc);
}

void proc_reap(u32 proc)
{
	struct proc *p = proc_at(proc);

	proc_at(p->parent)->cutime_ns += proc_cpu_ns(proc) + p->cutime_ns;
	tree_remove(proc);
	heap_free((void *)p->exe_path);
	heap_free((void *)p->cmdline);
	heap_free((void *)p->environ_blob);
	p->exe_path = p->cmdline = p->environ_blob = 0;
	p->state = PROC_FREE;
}

/* ---- wait4, waitid ---- */

enum wait_kind { WAIT_ALL, WAIT_PID, WAIT_GROUP };

struct wait_request {
	u32 kind, id, options;
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

static bool is_wanted(u32 child, const struct wait_request *r)
{
	const struct proc *p = proc_at(child);
	bool is_clone = p->exit_signal != SIG_CHLD;

	if (r->kind == WAIT_PID && p->pid != r->id)
		return false;
	if (r->kind == WAIT_GROUP && p->pgid != r->id)
		return false;
	return r->options & __WALL || is_clone == !!(r->options & __WCLONE);
}

static bool has_news(u32 child, u32 options)
{
	const struct links *own = links_of(child);

	return (options & WSTOPPED && own->stop_report != 0) ||
	       (options & WCONTINUED && own->continue_report != 0);
}

/* The oldest wanted zombie, else the first child with other news; NONE, or -ECHILD. */
static long pick_child(u32 parent, const struct wait_request *r, u32 *ret_child)
{
	u32 best = NONE, news = NONE;
	long result = -ECHILD;

	for (u32 c = links_of(parent)->child_first; c != PROC_INIT; c = links_of(c)->sibling_next) {
		if (!is_wanted(c, r))
			continue;
		bool zombie = proc_at(c)->state == PROC_ZOMBIE;

		if (!zombie || r->options & WEXITED)
			result = 0;
		if (!zombie && news == NONE && has_news(c, r->options))
			news = c;
		if (zombie && r->options & WEXITED &&
		    (best == NONE || links_of(c)->zombie_number < links_of(best)->zombie_number))
			best = c;
	}
	*ret_child = best != NONE ? best : news;
	return result;
}

static void collect_news(u32 child, u32 options, struct wait_found *ret)
{
	struct links *own = links_of(child);
	bool keep = options & WNOWAIT;

	if (options & WSTOPPED && own->stop_report != 0) {
		ret->status = WAIT_STOPPED((s32)own->stop_report);
		ret->info = child_info(child, CLD_IS_STOPPED, (s32)own->stop_report);
		own->stop_report = keep ? own->stop_report : 0;
	} else {
		ret->status = WAIT_CONTINUED;
		ret->info = child_info(child, CLD_IS_CONTINUED, SIG_CONT);
		own->continue_report = keep;
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
	if (!(options & WNOWAIT))
		proc_reap(child);
}

/* The pid of the child that was found, 0 with WNOHANG, or a negative errno. */
static long do_wait(struct task *t, const struct wait_request *r, struct wait_found *ret)
{
	bool interrupted = false;

	for (;;) {
		u32 child;
		long error = pick_child(t->proc, r, &child);

		if (error < 0)
			return error;
		if (child != NONE) {
			collect(child, r->options, ret);
			return ret->info.pid;
		}
		if (r->options & WNOHANG)
			return 0;
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

static long request_of_id(const struct task *t, u32 which, s32 id, struct wait_request *ret)
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
		/* There are no process descriptors, so this is none. */
		return which == P_PIDFD && id >= 0 ? -EBADF : -EINVAL;
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
