/*
 * What processes share: unshare, which ends it, and kcmp, which tells of it.
 *
 * Descriptors and working directory are a process's here, so a thread cannot have its own.
 * kcmp's order is that of the books (indices), which is the same in every run; what it may
 * look at is as for ptrace.
 */
#include <linux/kcmp.h>
#include <linux/sched.h>
#include "../shim/signal.h"
#include "credentials.h"
#include "files.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

#define NAMESPACES                                                                           \
	((u32)(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	       CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWTIME))
#define OF_A_PROCESS ((u32)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM))
#define OF_A_TASK    ((u32)(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM))

static long refuse(u32 nr, long error)
{
	HEAD->refused_count[nr]++;
	return error;
}

/* A vfork child, or one made with CLONE_VM. */
static bool shares_memory(const struct task *t)
{
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (p != t->proc && proc_at(p)->state == PROC_LIVE &&
		    proc_at(p)->mm == proc_of(t)->mm)
			return true;
	}
	return false;
}

long sys_unshare(struct task *t, struct frame *f)
{
	u32 flags = (u32)f->arg[0];
	bool is_one = proc_of(t)->nthreads == 1;

	if (f->arg[0] & ~(u64)(NAMESPACES | OF_A_PROCESS | OF_A_TASK))
		return -EINVAL;
	if (flags & OF_A_TASK && (!is_one || (flags & CLONE_VM && shares_memory(t))))
		return -EINVAL;
	if (flags & (u32)(CLONE_SIGHAND | CLONE_VM) && signal_actions_are_shared(t->proc))
		return -EINVAL;
	if (flags & NAMESPACES || (flags & OF_A_PROCESS && !is_one))
		return refuse(NR_unshare, -EPERM);
	/* The kernel's tables follow ours. */
	long error = SYS1(NR_unshare, flags & (CLONE_FS | CLONE_FILES));

	if (error < 0)
		return error;
	if (flags & CLONE_FILES)
		files_unshare(t);
	if (flags & CLONE_FS)
		fs_unshare(t);
	return 0;
}

/* ---- kcmp ---- */

static long compare(u64 a, u64 b)
{
	return a == b ? 0 : a < b ? 1 : 2;
}

static long compare_files(struct task *a, struct task *b, u64 fd_a, u64 fd_b)
{
	struct ofd *x = fd_get(a, (u32)fd_a), *y = fd_get(b, (u32)fd_b);

	return x == NULL || y == NULL ? -EBADF : compare(ofd_index(x), ofd_index(y));
}

long sys_kcmp(struct task *t, struct frame *f)
{
	struct task *a = proc_find_tid(NONE, (u32)f->arg[0]);
	struct task *b = proc_find_tid(NONE, (u32)f->arg[1]);

	if (a == NULL || b == NULL)
		return -ESRCH;
	if (!may_look_into(t, a->proc) || !may_look_into(t, b->proc))
		return -EPERM;
	switch ((s32)f->arg[2]) {
	case KCMP_FILE:
		return compare_files(a, b, f->arg[3], f->arg[4]);
	case KCMP_VM:
		return compare(proc_of(a)->mm, proc_of(b)->mm);
	case KCMP_FILES:
		return compare(proc_of(a)->files, proc_of(b)->files);
	case KCMP_FS:
		return compare(proc_of(a)->fs, proc_of(b)->fs);
	case KCMP_SIGHAND:
		return compare((u64)signal_proc_of(a)->actions, (u64)signal_proc_of(b)->actions);
	case KCMP_IO: /* nobody has set one of its own */
		return 0;
	case KCMP_SYSVSEM: /* of who never had an undo, both are none: the same */
		return compare(a->sem_undo, b->sem_undo);
	default:
		/* KCMP_EPOLL_TFD. */
		return (u32)f->arg[2] < KCMP_TYPES ? refuse(NR_kcmp, -EOPNOTSUPP) : -EINVAL;
	}
}
