/*
 * clone, clone3, fork, vfork: the child is a raw clone onto a fresh slot's shim stack.
 *
 * The kernel is given only what it must do itself (memory, descriptor table, TLS).  Ids, the
 * words CHILD_SETTID and CHILD_CLEARTID name, and the parent's wait for a vfork child are ours.
 * Every process is made with CLONE_PARENT, so all are kernel children of our init, which reaps
 * them; the app's wait() is answered from the process table.
 */
#include <linux/sched.h>
#include "../shim/event.h"
#include "../shim/mm.h"
#include "../shim/patch_table.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "credentials.h"
#include "files.h"
#include "pidfd.h"
#include "priority.h"
#include "ipc.h"
#include "seccomp.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

#define KEY_VFORK 0x70010001

long shim_clone(u64 flags, void *child_stack, u64 tls);
/* Hidden: its address is taken, and the shim has no global offset table. */
__attribute__((visibility("hidden"))) void shim_child(void);

struct clone_request {
	u64 flags; /* without the exit signal */
	u64 stack; /* the child's stack pointer; 0: the parent's */
	u64 tls;
	u64 parent_tid, child_tid;
	u64 pidfd; /* where its number goes */
	u32 exit_signal;
	u32 set_tid; /* the id it is to have; 0: the next */
};

#define CLONE_NEW_ANY                                                                  \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

static long refuse(long error)
{
	HEAD->refused_count[NR_clone]++;
	return error;
}

/* Flags that go only with others, or not with others: kernel/fork.c, copy_process. */
static bool are_consistent(u64 f)
{
	if (f & CLONE_FS && f & (CLONE_NEWNS | CLONE_NEWUSER))
		return false;
	if (f & CLONE_THREAD && (!(f & CLONE_SIGHAND) || f & (CLONE_NEWUSER | CLONE_NEWPID)))
		return false;
	if (f & CLONE_SIGHAND && (!(f & CLONE_VM) || f & CLONE_CLEAR_SIGHAND))
		return false;
	return !(f & CLONE_PIDFD && f & CLONE_DETACHED);
}

static long check_request(struct task *t, const struct clone_request *r)
{
	if (!are_consistent(r->flags))
		return -EINVAL;
	if (r->flags & CLONE_NEW_ANY)
		return refuse(-EPERM);
	if (!limits_allow_task(t))
		return -EAGAIN;
	if (r->set_tid != 0 && id_in_use(r->set_tid))
		return -EEXIST;
	return r->flags & CLONE_PIDFD ? pidfd_check(t, r->pidfd) : 0;
}

static u32 id_for(const struct clone_request *r)
{
	if (r->set_tid == 0)
		return id_next();
	id_taken(r->set_tid);
	return r->set_tid;
}

static long new_process(struct task *t, const struct clone_request *r, struct task **ret_child)
{
	struct proc *parent = proc_of(t), *p;
	u32 index;

	if (proc_create(&index) < 0)
		return -EAGAIN;
	if (task_create(index, ret_child) < 0) {
		PROCT->nlive_procs--;
		proc_free(index);
		return -EAGAIN;
	}
	struct task *child = *ret_child;
	p = proc_at(index);
	*p = *parent;
	p->pid = child->tid = id_for(r);
	p->parent = r->flags & CLONE_PARENT ? parent->parent : t->proc;
	p->leader = child->index;
	p->threads = p->threads_last = NONE;
	p->nthreads = 0;
	task_enter(child);
	p->exiting = 0;
	p->exec_count = 0;
	if (!(r->flags & CLONE_PARENT)) /* else it is the maker's own */
		p->exit_signal = r->exit_signal;
	p->vfork_parent = r->flags & CLONE_VFORK ? t->index : NONE;
	p->subreaper = 0;
	p->utime_ns = p->cutime_ns = p->events = 0;
	p->start_time_ns = now_ns();
	p->exe_path = p->exe_path ? (u64)heap_strdup((char *)p->exe_path) : 0;
	if (p->cmdline != 0) {
		p->cmdline = (u64)heap_alloc(p->cmdline_len);
		memcpy((void *)p->cmdline, (void *)parent->cmdline, p->cmdline_len);
	}
	if (p->ngroups != 0) {
		p->groups = (u64)heap_alloc_unset(p->ngroups * sizeof(u32));
		memcpy((void *)p->groups, (void *)parent->groups, p->ngroups * sizeof(u32));
	}
	if (p->environ_blob != 0) {
		p->environ_blob = (u64)heap_alloc_unset(p->environ_len);
		memcpy((void *)p->environ_blob, (void *)parent->environ_blob, p->environ_len);
	}
	if (r->flags & CLONE_VM) {
		mm_get(p->mm);
	} else {
		patch_exec_catch_up(t);
		p->mm = mm_clone(parent->mm);
	}
	p->maker = parent->pid;
	p->shares_files = (r->flags & CLONE_FILES) != 0;
	p->files = r->flags & CLONE_FILES ? files_share(parent->files) : files_clone(parent->files);
	p->fs = r->flags & CLONE_FS ? fs_share(parent->fs) : fs_clone(parent->fs);
	signal_fork(t, child, r->flags & CLONE_SIGHAND);
	if ((r->flags & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		signal_altstack_forget(child);
	if (r->flags & CLONE_CLEAR_SIGHAND)
		signal_clear_handlers(index);
	return 0;
}

static long new_thread(struct task *t, const struct clone_request *r, struct task **ret_child)
{
	if (task_create(t->proc, ret_child) < 0)
		return -EAGAIN;
	struct task *child = *ret_child;
	child->tid = id_for(r);
	task_enter(child);
	signal_thread(t, child);
	return 0;
}

static void child_frame(const struct task *t, struct task *child, const struct clone_request *r)
{
	struct frame *f = (struct frame *)(child->stack - sizeof(struct frame));

	*f = *t->frame;
	f->rax = 0;
	if (r->stack != 0)
		f->rsp = r->stack;
	((u64 *)f)[-1] = (u64)child;
	((u64 *)f)[-2] = (u64)shim_child;
}

static u64 kernel_flags(const struct clone_request *r)
{
	u64 shared = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SETTLS;

	if (r->flags & CLONE_THREAD)
		return (r->flags & shared) | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	return (r->flags & shared) | CLONE_PARENT;
}

/* Undoes the books of a child the kernel refused to make. */
static void clone_undo(struct task *child, const struct clone_request *r)
{
	proc_of(child)->vfork_parent = NONE;
	child->clear_child_tid = 0;
	if (!(r->flags & CLONE_THREAD))
		proc_of(child)->exit_signal = 0; /* the parent is told by the result alone */
	task_end(child, false);
	__atomic_store_n(&child->host_gone, 1, __ATOMIC_RELEASE);
	if (!(r->flags & CLONE_THREAD) && proc_of(child)->state == PROC_ZOMBIE)
		proc_reap(child->proc);
}

static long vfork_wait(struct task *t, u32 tid)
{
	signal_set_deaf(t, true);
	while (t->vfork_child != NONE) {
		sched_wait_add(SCHED, t->index, (struct sched_key){KEY_VFORK, t->index}, ~0u, 0);
		turn_park(t, SCHED_NEVER);
	}
	signal_set_deaf(t, false);
	return tid;
}

static long do_clone(struct task *t, struct clone_request *r)
{
	struct task *child;
	long error = check_request(t, r);

	if (error != 0)
		return error;
	error = r->flags & CLONE_THREAD ? new_thread(t, r, &child) : new_process(t, r, &child);
	if (error < 0)
		return error;
	memcpy(child->comm, t->comm, sizeof(child->comm));
	child->gs_app = t->gs_app;
	seccomp_inherit(t, child);
	priority_inherit(t, child);
	child->policy = t->policy;
	child->policy_nodes = t->policy_nodes;
	if (r->flags & CLONE_SYSVSEM)
		sem_undo_share(t, child);
	child->clear_child_tid = r->flags & CLONE_CHILD_CLEARTID ? r->child_tid : 0;
	child->child_set_tid = r->flags & CLONE_CHILD_SETTID ? r->child_tid : 0;
	child_frame(t, child, r);
	sched_task_add(SCHED, child->index, child->tid, t->index);
	u32 tid = child->tid;
	t->clone_child = child->index;
	if (r->flags & CLONE_PARENT_SETTID)
		user_put(r->parent_tid, tid);
	if (r->flags & CLONE_VFORK)
		t->vfork_child = child->proc;
	void *stack = (void *)(child->stack - sizeof(struct frame) - 16);
	long made = shim_clone(kernel_flags(r), stack, r->tls);
	if (made == -EAGAIN || made == -ENOMEM)
		shim_host_failed(
			"the host makes no more processes: raise ulimit -u or free memory");
	if (made < 0) {
		t->vfork_child = NONE;
		clone_undo(child, r);
		return made;
	}
	if (r->flags & CLONE_PIDFD)
		pidfd_give(t, child, r->flags & CLONE_THREAD, r->pidfd);
	if (r->flags & CLONE_VFORK)
		return vfork_wait(t, tid);
	turn_yield(t);
	return tid;
}

long sys_clone(struct task *t, struct frame *f)
{
	struct clone_request r = {
		.flags = f->arg[0] & 0xffffff00,
		.stack = f->arg[1],
		.tls = f->arg[4],
		.parent_tid = f->arg[2],
		.child_tid = f->arg[3],
		.pidfd = f->arg[2],
		.exit_signal = (u32)(f->arg[0] & 0xff),
	};

	/* Both would be written to the same place. */
	if (r.flags & CLONE_PIDFD && r.flags & CLONE_PARENT_SETTID)
		return -EINVAL;
	return do_clone(t, &r);
}

/* Members that a younger kernel knows must be 0. */
static long args_in(struct task *t, u64 addr, u64 size, struct clone_args *ret)
{
	u64 known = size < sizeof(*ret) ? size : sizeof(*ret);
	u8 more;

	memset(ret, 0, sizeof(*ret));
	if (size > MM_PAGE)
		return -E2BIG;
	if (size < CLONE_ARGS_SIZE_VER0)
		return -EINVAL;
	if (user_copy_in(ret, addr, known) < 0)
		return -EFAULT;
	digest_bytes(t, ret, known);
	for (u64 at = known; at < size; at++) {
		if (user_get(more, addr + at) < 0)
			return -EFAULT;
		if (more != 0)
			return -E2BIG;
	}
	return 0;
}

static bool are_valid(const struct clone_args *a)
{
	u64 known = 0xffffff00ull | CLONE_CLEAR_SIGHAND | CLONE_INTO_CGROUP;

	if (a->flags & ~known || a->flags & CLONE_DETACHED || a->exit_signal > SIG_MAX)
		return false;
	if (a->flags & (CLONE_THREAD | CLONE_PARENT) && a->exit_signal != 0)
		return false;
	return (a->stack == 0) == (a->stack_size == 0) &&
	       (a->set_tid == 0) == (a->set_tid_size == 0);
}

/* There is one namespace of ids, and in it the id of one of privilege is honoured. */
static long set_tid_in(struct task *t, const struct clone_args *a, u32 *ret_tid)
{
	*ret_tid = 0;
	if (a->set_tid_size == 0)
		return 0;
	if (a->set_tid_size > 1)
		return -EINVAL;
	if (user_get(*ret_tid, a->set_tid) < 0)
		return -EFAULT;
	digest_u64(t, *ret_tid);
	if (*ret_tid < 1 || *ret_tid >= PID_MAX)
		return -EINVAL;
	return capable(t, CAP_SYS_ADMIN) || capable(t, CAP_CHECKPOINT_RESTORE) ? 0 : -EPERM;
}

long sys_clone3(struct task *t, struct frame *f)
{
	struct clone_args args;
	u32 set_tid;
	long error = args_in(t, f->arg[0], f->arg[1], &args);

	if (error < 0)
		return error;
	if (!are_valid(&args))
		return -EINVAL;
	if (args.flags & CLONE_INTO_CGROUP)
		return refuse(-EINVAL);
	error = set_tid_in(t, &args, &set_tid);
	if (error < 0)
		return error;
	struct clone_request r = {
		.flags = args.flags,
		.stack = args.stack != 0 ? args.stack + args.stack_size : 0,
		.tls = args.tls,
		.parent_tid = args.parent_tid,
		.child_tid = args.child_tid,
		.pidfd = args.pidfd,
		.exit_signal = (u32)args.exit_signal,
		.set_tid = set_tid,
	};
	return do_clone(t, &r);
}

long sys_fork(struct task *t, struct frame *f)
{
	struct clone_request r = {.exit_signal = SIG_CHLD};

	(void)f;
	return do_clone(t, &r);
}

long sys_vfork(struct task *t, struct frame *f)
{
	struct clone_request r = {.flags = CLONE_VM | CLONE_VFORK, .exit_signal = SIG_CHLD};

	(void)f;
	return do_clone(t, &r);
}
