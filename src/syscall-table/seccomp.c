/*
 * The app's own seccomp filters (seccomp(2), kernel/seccomp.c).  The kernel of the host never sees
 * them: it has the container's filter, and what the app may call is decided in dispatch.
 *
 * Owns the filters: heap memory, each with a link to the one installed before it.  A task points at
 * its youngest.  Children share the chain of their parent, so the filters of a container form a
 * tree whose links lead to the root; each counts the tasks and filters that point at it.
 *
 * A task without filters pays nothing.  Dispatch compares every call's number with the end of the
 * table anyway, and the short way of clock_gettime the clock's number with that of the last clock
 * it knows; both bounds lie in the task, and are 0 for a task that has a mode.  So each of its
 * calls takes the branch for unknown numbers, and there is asked about.
 *
 * Refused: SECCOMP_FILTER_FLAG_NEW_LISTENER and SECCOMP_GET_NOTIF_SIZES, as descriptors on which a
 * supervisor answers calls do not exist here.  SECCOMP_RET_USER_NOTIF and SECCOMP_RET_TRACE fail
 * the call with ENOSYS, as Linux does when nobody listens or traces.
 */
#include <linux/audit.h>
#include "../shim/event.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "bpf.h"
#include "credentials.h"
#include "seccomp.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

#define SYS_SECCOMP_CODE 1     /* si_code of SIGSYS (asm-generic/siginfo.h: SYS_SECCOMP) */
#define ERRNO_MAX	 4095  /* MAX_ERRNO */
#define PATH_INSNS_MAX	 32768 /* MAX_INSNS_PER_PATH: of all filters of a task, */
#define PATH_INSNS_EXTRA 4     /* each of which counts as so many more */
#define FAST_CLOCKS	 2     /* CLOCK_REALTIME and CLOCK_MONOTONIC */

struct seccomp_filter {
	struct seccomp_filter *before;
	u32 references;
	u32 depth; /* filters up to this one */
	u64 path_insns;
	u64 length;
	struct sock_filter program[];
};

/* ---- the tree ---- */

static struct seccomp_filter *filter_get(struct seccomp_filter *f)
{
	if (f != NULL)
		f->references++;
	return f;
}

static void filter_put(struct seccomp_filter *f)
{
	while (f != NULL && --f->references == 0) {
		struct seccomp_filter *before = f->before;

		heap_free(f);
		f = before;
	}
}

static bool is_ancestor(const struct seccomp_filter *old, const struct seccomp_filter *f)
{
	while (f != NULL && f != old)
		f = f->before;
	return f == old;
}

void seccomp_arm(struct task *t)
{
	bool free = t->seccomp_mode == SECCOMP_MODE_DISABLED;

	t->calls_end = free && !heap_scarce() ? SYSCALL_NR_END : 0;
	t->fast_clocks = free ? FAST_CLOCKS : 0;
}

void seccomp_inherit(const struct task *parent, struct task *child)
{
	child->seccomp_mode = parent->seccomp_mode;
	child->seccomp_filter = filter_get(parent->seccomp_filter);
	seccomp_arm(child);
}

void seccomp_release(struct task *t)
{
	filter_put(t->seccomp_filter);
	t->seccomp_filter = NULL;
}

u32 seccomp_count(const struct task *t)
{
	return t->seccomp_filter != NULL ? t->seccomp_filter->depth : 0;
}

/* ---- verdicts ---- */

static bool strict_allows(int nr)
{
	return nr == NR_read || nr == NR_write || nr == NR_exit || nr == NR_rt_sigreturn;
}

/* Actions in the order of severity, as Linux compares them: KILL_PROCESS is the least. */
static s32 action_of(u32 verdict)
{
	return (s32)(verdict & SECCOMP_RET_ACTION_FULL);
}

/* Of equally severe verdicts the youngest filter's holds. */
static u32 filters_verdict(const struct seccomp_filter *youngest, const struct seccomp_data *data)
{
	u32 verdict = SECCOMP_RET_ALLOW;

	for (const struct seccomp_filter *f = youngest; f != NULL; f = f->before) {
		u32 own = bpf_run(f->program, data);

		if (action_of(own) < action_of(verdict))
			verdict = own;
	}
	return verdict;
}

u32 seccomp_verdict(const struct task *t, const struct frame *f)
{
	struct seccomp_data data = {
		.nr = (int)f->nr,
		.arch = AUDIT_ARCH_X86_64,
		.instruction_pointer = f->rip,
	};

	if (t->seccomp_mode == SECCOMP_MODE_STRICT)
		return strict_allows(data.nr) ? SECCOMP_RET_ALLOW : SECCOMP_RET_KILL_THREAD;
	memcpy(data.args, f->arg, sizeof(data.args));
	return filters_verdict(t->seccomp_filter, &data);
}

bool seccomp_allows(u32 verdict)
{
	u32 action = verdict & SECCOMP_RET_ACTION_FULL;

	return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG;
}

static long deny_by_signal(struct task *t, struct frame *f, u32 verdict, bool fatal)
{
	struct k_siginfo info = {
		.signo = SIG_SYS,
		.code = SYS_SECCOMP_CODE,
		.error = (s32)(verdict & SECCOMP_RET_DATA),
		.call = {f->rip, (s32)f->nr, AUDIT_ARCH_X86_64},
	};

	/* The registers are those of before the call. */
	f->rax = f->nr;
	if (fatal)
		signal_action(t->proc, SIG_SYS)->handler = SIG_HANDLER_DFL;
	signal_force(t, SIG_SYS, &info);
	return -ENOSYS;
}

static void end_thread(struct task *t, struct frame *f, int sig) __attribute__((noreturn));

static void end_thread(struct task *t, struct frame *f, int sig)
{
	struct proc *p = proc_of(t);

	event_last(t, f, (s64)f->nr, event_word(event_args_word(f->arg, 6), (s64)f->nr, sig));
	if (p->nthreads == 1 && !p->exiting)
		p->status = WAIT_KILLED(sig, false);
	turn_exit(t, p->exiting);
}

static long deny_with(struct frame *f, long error)
{
	f->rax = (u64)-error;
	return -error;
}

long seccomp_deny(struct task *t, struct frame *f, u32 verdict)
{
	u32 data = verdict & SECCOMP_RET_DATA;

	if (t->seccomp_mode == SECCOMP_MODE_STRICT)
		end_thread(t, f, SIG_KILL);
	switch (verdict & SECCOMP_RET_ACTION_FULL) {
	case SECCOMP_RET_ERRNO:
		return deny_with(f, data < ERRNO_MAX ? (long)data : ERRNO_MAX);
	case SECCOMP_RET_TRAP:
		return deny_by_signal(t, f, verdict, false);
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_USER_NOTIF:
		return deny_with(f, ENOSYS);
	case SECCOMP_RET_KILL_THREAD:
		if (proc_of(t)->nthreads > 1)
			end_thread(t, f, SIG_SYS);
		__attribute__((fallthrough));
	default: /* KILL_PROCESS, and whatever is no action */
		return deny_by_signal(t, f, verdict, true);
	}
}

/* ---- installing ---- */

static long refuse(void)
{
	HEAD->refused_count[NR_seccomp]++;
	return -EINVAL;
}

static bool may_assign(const struct task *t, u32 mode)
{
	return t->seccomp_mode == SECCOMP_MODE_DISABLED || t->seccomp_mode == mode;
}

static long set_strict(struct task *t)
{
	if (!may_assign(t, SECCOMP_MODE_STRICT))
		return -EINVAL;
	t->seccomp_mode = SECCOMP_MODE_STRICT;
	seccomp_arm(t);
	return 0;
}

static long copy_program(struct task *t, struct seccomp_filter *f, u64 addr)
{
	u64 size = f->length * sizeof(*f->program);

	if (user_copy_in(f->program, addr, size) < 0)
		return -EFAULT;
	digest_bytes(t, f->program, size);
	return bpf_check(f->program, f->length);
}

/* A filter by itself, not yet of any task. */
static long filter_make(struct task *t, u64 addr, struct seccomp_filter **ret_filter)
{
	struct sock_fprog program;
	struct seccomp_filter *f;

	if (user_get(program, addr) < 0)
		return -EFAULT;
	digest_u64(t, program.len);
	if (program.len == 0 || program.len > BPF_MAXINSNS)
		return -EINVAL;
	if (!proc_of(t)->no_new_privs && !capable(t, CAP_SYS_ADMIN))
		return -EACCES;
	if (program.filter == NULL)
		return -EINVAL;
	f = heap_alloc(sizeof(*f) + program.len * sizeof(*f->program));
	f->length = program.len;
	long error = copy_program(t, f, (u64)program.filter);
	if (error < 0)
		heap_free(f);
	else
		*ret_filter = f;
	return error;
}

/* Puts it in front of the task's filters.  Linux counts instructions after its translation. */
static long filter_attach(struct task *t, struct seccomp_filter *f)
{
	struct seccomp_filter *before = t->seccomp_filter;
	u64 older = before != NULL ? before->path_insns + PATH_INSNS_EXTRA : 0;

	if (older + f->length > PATH_INSNS_MAX)
		return -ENOMEM;
	f->path_insns = older + f->length;
	f->depth = seccomp_count(t) + 1;
	f->references = 1;
	f->before = before; /* the task's reference is now the filter's */
	t->seccomp_filter = f;
	t->seccomp_mode = SECCOMP_MODE_FILTER;
	seccomp_arm(t);
	return 0;
}

/* The thread that has filters, or a mode, of its own and so cannot take over those of t; NULL. */
static const struct task *stray_thread(const struct task *t)
{
	for (u32 i = proc_of(t)->threads; i != NONE; i = task_at(i)->next_thread) {
		const struct task *other = task_at(i);

		if (other->seccomp_mode == SECCOMP_MODE_STRICT ||
		    !is_ancestor(other->seccomp_filter, t->seccomp_filter))
			return other;
	}
	return NULL;
}

static void threads_follow(const struct task *t)
{
	for (u32 i = proc_of(t)->threads; i != NONE; i = task_at(i)->next_thread) {
		struct task *other = task_at(i);

		if (other == t)
			continue;
		seccomp_release(other);
		seccomp_inherit(t, other);
	}
}

static bool flags_are_valid(u64 flags)
{
	return !(flags & ~(u64)(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_LOG |
				SECCOMP_FILTER_FLAG_SPEC_ALLOW | SECCOMP_FILTER_FLAG_TSYNC_ESRCH));
}

static long set_filter(struct task *t, u64 flags, u64 addr)
{
	struct seccomp_filter *f;
	const struct task *stray = NULL;

	/* Without a program it is libseccomp, which only asks what there is. */
	if (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER)
		return addr != 0 ? refuse() : -EINVAL;
	if (!flags_are_valid(flags))
		return -EINVAL;
	long error = filter_make(t, addr, &f);
	if (error < 0)
		return error;
	if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		stray = stray_thread(t);
	if (!may_assign(t, SECCOMP_MODE_FILTER))
		error = -EINVAL;
	else if (stray != NULL)
		error = flags & SECCOMP_FILTER_FLAG_TSYNC_ESRCH ? -ESRCH : (long)stray->tid;
	else
		error = filter_attach(t, f);
	if (error != 0)
		heap_free(f);
	else if (flags & SECCOMP_FILTER_FLAG_TSYNC)
		threads_follow(t);
	return error;
}

/* ---- the calls ---- */

/* USER_NOTIF is not told of: a filter that relied on it would find nobody to listen. */
static long action_available(struct task *t, u64 addr)
{
	u32 action;

	if (user_get(action, addr) < 0)
		return -EFAULT;
	digest_u64(t, action);
	switch (action) {
	case SECCOMP_RET_KILL_PROCESS:
	case SECCOMP_RET_KILL_THREAD:
	case SECCOMP_RET_TRAP:
	case SECCOMP_RET_ERRNO:
	case SECCOMP_RET_TRACE:
	case SECCOMP_RET_LOG:
	case SECCOMP_RET_ALLOW:
		return 0;
	default:
		return -EOPNOTSUPP;
	}
}

long sys_seccomp(struct task *t, struct frame *f)
{
	u64 flags = (u32)f->arg[1], addr = f->arg[2];

	switch ((u32)f->arg[0]) {
	case SECCOMP_SET_MODE_STRICT:
		return flags != 0 || addr != 0 ? -EINVAL : set_strict(t);
	case SECCOMP_SET_MODE_FILTER:
		return set_filter(t, flags, addr);
	case SECCOMP_GET_ACTION_AVAIL:
		return flags != 0 ? -EINVAL : action_available(t, addr);
	default:
		return refuse();
	}
}

long seccomp_prctl(struct task *t, u64 mode, u64 program)
{
	switch (mode) {
	case SECCOMP_MODE_STRICT:
		return set_strict(t);
	case SECCOMP_MODE_FILTER:
		return set_filter(t, 0, program);
	default:
		return -EINVAL;
	}
}
