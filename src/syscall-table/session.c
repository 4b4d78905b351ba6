/*
 * Process groups and sessions.  Owns pgid and sid of processes after birth; rules are those of
 * kernel/sys.c.  The group that gets signals from outside is the first process's
 * (signal_from_outside); controlling terminals are in tty_job.c.
 */
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"
#include "tty.h"
#include "wait.h"

static void group_set(u32 proc, u32 pgid)
{
	proc_at(proc)->pgid = pgid;
	/* The index of the first process may be used again after its end. */
	if (proc == PROC_INIT + 1 && !HEAD->root_exited)
		SIGNALS->root_pgid = pgid;
}

/* Whether a group of that number exists within session sid. */
static bool group_exists(u32 pgid, u32 sid)
{
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == pgid && proc_at(p)->sid == sid)
			return true;
	}
	return false;
}

static long check_member(const struct task *t, u32 target)
{
	const struct proc *own = proc_of(t), *p = proc_at(target);

	if (target == t->proc)
		return 0;
	if (p->parent != t->proc)
		return -ESRCH;
	if (p->sid != own->sid)
		return -EPERM;
	return p->exec_count != 0 ? -EACCES : 0;
}

long sys_setpgid(struct task *t, struct frame *f)
{
	s32 pid = (s32)f->arg[0], pgid = (s32)f->arg[1];
	u32 target = pid == 0 ? t->proc : proc_find_pid((u32)pid);

	if (pgid < 0)
		return -EINVAL;
	if (target == NONE || target == PROC_INIT)
		return -ESRCH;
	long error = check_member(t, target);
	if (error < 0)
		return error;
	const struct proc *p = proc_at(target);
	u32 group = pgid == 0 ? p->pid : (u32)pgid;
	if (p->sid == p->pid)
		return -EPERM;
	if (group != p->pid && !group_exists(group, proc_of(t)->sid))
		return -EPERM;
	group_set(target, group);
	return 0;
}

static u32 named_process(const struct task *t, const struct frame *f)
{
	return (u32)f->arg[0] == 0 ? t->proc : proc_find_pid((u32)f->arg[0]);
}

long sys_getpgid(struct task *t, struct frame *f)
{
	u32 target = named_process(t, f);

	return target == NONE ? -ESRCH : (long)proc_at(target)->pgid;
}

long sys_getpgrp(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->pgid;
}

long sys_getsid(struct task *t, struct frame *f)
{
	u32 target = named_process(t, f);

	return target == NONE ? -ESRCH : (long)proc_at(target)->sid;
}

long sys_setsid(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);

	(void)f;
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		if (proc_at(i)->pgid == p->pid)
			return -EPERM;
	}
	p->sid = p->pid;
	tty_job_forget(p);
	group_set(t->proc, p->pid);
	return p->pid;
}
