/*
 * exit and exit_group, and the words the kernel would look after at a task's end.  The event is
 * folded here, because the handler does not return.
 */
#include "../shim/event.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

static void fold_exit(struct task *t, struct frame *f, s64 nr)
{
	event_last(t, f, nr, (u64)nr * DIGEST_P1 ^ f->arg[0]);
}

long sys_exit(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);

	fold_exit(t, f, NR_exit);
	if (p->nthreads == 1 && !p->exiting)
		p->status = WAIT_EXITED(f->arg[0]);
	turn_exit(t, p->exiting);
}

long sys_exit_group(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);

	fold_exit(t, f, NR_exit_group);
	if (!p->exiting) {
		p->exiting = 1;
		p->status = WAIT_EXITED(f->arg[0]);
	}
	turn_exit(t, true);
}

long sys_set_tid_address(struct task *t, struct frame *f)
{
	t->clear_child_tid = f->arg[0];
	return t->tid;
}

long sys_set_robust_list(struct task *t, struct frame *f)
{
	if (f->arg[1] != 24)
		return -EINVAL;
	t->robust_list = f->arg[0];
	t->robust_len = f->arg[1];
	return 0;
}

long sys_get_robust_list(struct task *t, struct frame *f)
{
	struct task *of = f->arg[0] == 0 ? t : proc_find_tid(NONE, (u32)f->arg[0]);

	if (of == NULL)
		return -ESRCH;
	if (user_put(f->arg[1], of->robust_list) < 0 || user_put(f->arg[2], of->robust_len) < 0)
		return -EFAULT;
	return 0;
}
