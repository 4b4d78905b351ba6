/*
 * The signal calls: dispositions, masks, waiting for signals, sending them.  The state and its
 * rules live in src/shim/signal_*.c; here is what arguments mean and who may signal whom.
 *
 * Permissions are those of kill(2) over the container's own user ids and capabilities.  Init has no
 * handlers and so takes nothing, as in every pid namespace.
 */
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "credentials.h"
#include "signal_send.h"
#include "syscall_handlers.h"
#include "wait.h"

#define SIGSET_SIZE 8
#define SECOND_NS   1000000000ull
/* The bytes of a siginfo that the kernel keeps. */
#define INFO_USED 48

/* What sigaction keeps of sa_flags (UAPI_SA_FLAGS); 0x800 is SA_EXPOSE_TAGBITS. */
#define SA_KEPT                                                                           \
	(SIG_SA_NOCLDSTOP | SIG_SA_NOCLDWAIT | SIG_SA_SIGINFO | 0x800 | SIG_SA_RESTORER | \
	 SIG_SA_ONSTACK | SIG_SA_RESTART | SIG_SA_NODEFER | SIG_SA_RESETHAND)

enum mask_how { MASK_BLOCK, MASK_UNBLOCK, MASK_SET };

static bool is_signal(u64 sig)
{
	return (u32)sig - 1 < SIG_MAX;
}

/* Copies out and folds: the app is told something. */
static long tell(struct task *t, u64 addr, const void *p, u64 len)
{
	if (user_copy_out(addr, p, len) < 0)
		return -EFAULT;
	digest_bytes(t, p, len);
	return 0;
}

static long learn(struct task *t, void *p, u64 addr, u64 len)
{
	if (user_copy_in(p, addr, len) < 0)
		return -EFAULT;
	digest_bytes(t, p, len);
	return 0;
}

/* ---- dispositions ---- */

static void action_set(struct task *t, int sig, struct k_sigaction *new)
{
	struct k_sigaction *action = signal_action(t->proc, sig);
	bool was_ignored = action->handler == SIG_HANDLER_IGN;

	new->flags &= SA_KEPT;
	new->mask &= ~SIG_UNBLOCKABLE;
	*action = *new;
	if (signal_is_ignored(t->proc, sig)) {
		signal_flush(t->proc, SIG_BIT(sig));
		signal_recalc_proc(t->proc);
	} else if (was_ignored) {
		posix_timers_unignored(t->proc, sig);
	}
}

long sys_rt_sigaction(struct task *t, struct frame *f)
{
	int sig = (int)f->arg[0];
	u64 new_addr = f->arg[1], old_addr = f->arg[2];
	struct k_sigaction new, old;

	if (f->arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (new_addr != 0 && learn(t, &new, new_addr, sizeof(new)) < 0)
		return -EFAULT;
	if (!is_signal((u64)sig) || (new_addr != 0 && SIG_UNBLOCKABLE & SIG_BIT(sig)))
		return -EINVAL;
	old = *signal_action(t->proc, sig);
	if (new_addr != 0)
		action_set(t, sig, &new);
	return old_addr != 0 ? tell(t, old_addr, &old, sizeof(old)) : 0;
}

/* ---- masks ---- */

static long mask_change(struct task *t, int how, u64 set)
{
	u64 mask = signal_task_of(t)->mask;

	switch (how) {
	case MASK_BLOCK:
		signal_set_mask(t, mask | set);
		return 0;
	case MASK_UNBLOCK:
		signal_set_mask(t, mask & ~set);
		return 0;
	case MASK_SET:
		signal_set_mask(t, set);
		return 0;
	default:
		return -EINVAL;
	}
}

long sys_rt_sigprocmask(struct task *t, struct frame *f)
{
	u64 set, old = signal_task_of(t)->mask;

	if (f->arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (f->arg[1] != 0) {
		if (learn(t, &set, f->arg[1], sizeof(set)) < 0)
			return -EFAULT;
		if (mask_change(t, (int)f->arg[0], set) < 0)
			return -EINVAL;
	}
	return f->arg[2] != 0 ? tell(t, f->arg[2], &old, sizeof(old)) : 0;
}

long sys_rt_sigpending(struct task *t, struct frame *f)
{
	struct signal_task *s = signal_task_of(t);
	u64 set = (s->queue.pending | signal_proc_of(t)->queue.pending) & s->mask;

	if (f->arg[1] > SIGSET_SIZE)
		return -EINVAL;
	return tell(t, f->arg[0], &set, f->arg[1]);
}

/* ---- waiting ---- */

/* Parks until a signal is to be taken; signal_deliver decides what becomes of the call. */
static long wait_for_signal(struct task *t)
{
	while (!signal_pending(t))
		turn_park(t, SCHED_NEVER);
	return -ERESTARTNOHAND;
}

long sys_pause(struct task *t, struct frame *f)
{
	(void)f;
	return wait_for_signal(t);
}

long sys_rt_sigsuspend(struct task *t, struct frame *f)
{
	u64 mask;

	if (f->arg[1] != SIGSET_SIZE)
		return -EINVAL;
	if (user_get(mask, f->arg[0]) < 0)
		return -EFAULT;
	signal_mask_begin(t, f->arg[0], SIGSET_SIZE);
	return wait_for_signal(t);
}

static long wait_for_set(struct task *t, u64 set, u64 deadline, struct k_siginfo *ret_info)
{
	struct signal_task *s = signal_task_of(t);

	s->waiting = set;
	signal_recalc(t);
	long reason = turn_park(t, deadline);
	int sig = signal_take(t, set, ret_info);
	s->waiting = 0;
	signal_recalc(t);
	if (sig != 0)
		return sig;
	return reason == SCHED_TIMEOUT ? -EAGAIN : -EINTR;
}

static long get_deadline(struct task *t, u64 addr, u64 *ret_deadline)
{
	struct {
		s64 sec, nsec;
	} limit;

	*ret_deadline = SCHED_NEVER;
	if (addr == 0)
		return 0;
	if (learn(t, &limit, addr, sizeof(limit)) < 0)
		return -EFAULT;
	if (limit.sec < 0 || limit.nsec < 0 || limit.nsec >= (s64)SECOND_NS)
		return -EINVAL;
	/* Beyond the end of virtual time: never. */
	if (limit.sec < (s64)(INT64_MAX / SECOND_NS - now_ns() / SECOND_NS))
		*ret_deadline = now_ns() + (u64)limit.sec * SECOND_NS + (u64)limit.nsec;
	return 0;
}

long sys_rt_sigtimedwait(struct task *t, struct frame *f)
{
	struct k_siginfo info;
	u64 set, deadline;

	if (f->arg[3] != SIGSET_SIZE)
		return -EINVAL;
	if (learn(t, &set, f->arg[0], sizeof(set)) < 0)
		return -EFAULT;
	long error = get_deadline(t, f->arg[2], &deadline);
	if (error < 0)
		return error;
	set &= ~SIG_UNBLOCKABLE;
	long sig = signal_take(t, set, &info);
	if (sig == 0 && deadline <= now_ns())
		return -EAGAIN;
	if (sig == 0)
		sig = wait_for_set(t, set, deadline, &info);
	if (sig > 0 && f->arg[1] != 0 && tell(t, f->arg[1], &info, sizeof(info)) < 0)
		return -EFAULT;
	return sig;
}

long sys_restart_syscall(struct task *t, struct frame *f)
{
	struct signal_task *s = signal_task_of(t);
	signal_restart_fn *fn = s->restart;
	u64 args[4];

	if (fn == NULL)
		return -EINTR;
	memcpy(args, s->restart_args, sizeof(args));
	s->restart = NULL;
	return fn(t, f, args);
}

/* ---- frames ---- */

long sys_rt_sigreturn(struct task *t, struct frame *f)
{
	if (signal_frame_restore(t, f) < 0) {
		f->nr = ~0ull;
		signal_force_segv(t);
	}
	return (long)f->rax;
}

/* The kernel's stack_t. */
struct app_stack {
	u64 sp;
	u32 flags, pad;
	u64 size;
};

static long altstack_from(struct task *t, u64 addr, u64 sp)
{
	struct app_stack new;

	if (user_get(new, addr) < 0)
		return -EFAULT;
	digest_u64(t, new.sp);
	digest_u64(t, new.flags);
	digest_u64(t, new.size);
	return signal_altstack_set(t, new.sp, new.flags, new.size, sp);
}

long sys_sigaltstack(struct task *t, struct frame *f)
{
	const struct signal_task *s = signal_task_of(t);
	struct app_stack old = {s->alt_sp, signal_altstack_flags(t, f->rsp), 0, s->alt_size};
	long error = f->arg[0] != 0 ? altstack_from(t, f->arg[0], f->rsp) : 0;

	if (error < 0 || f->arg[1] == 0)
		return error;
	return tell(t, f->arg[1], &old, sizeof(old));
}

/* ---- sending ---- */

static bool may_signal(const struct task *t, u32 target, u64 sig)
{
	const struct proc *from = proc_of(t), *to = proc_at(target);

	if (t->proc == target || capable(t, CAP_KILL))
		return true;
	if (from->euid == to->suid || from->euid == to->uid || from->uid == to->suid ||
	    from->uid == to->uid)
		return true;
	return sig == SIG_CONT && from->sid == to->sid;
}

static long check_target(const struct task *t, u32 target, u64 sig)
{
	if (sig != 0 && !is_signal(sig))
		return -EINVAL;
	return may_signal(t, target, sig) ? 0 : -EPERM;
}

long signal_to_process(const struct task *t, u32 target, u64 sig, const struct k_siginfo *info)
{
	long error = check_target(t, target, sig);

	return error < 0 ? error : signal_send_proc(target, (int)sig, info);
}

/* As in Linux any thread's id stands for its process. */
static u32 find_target(u32 pid)
{
	u32 proc = proc_find_pid(pid);

	if (proc == NONE) {
		const struct task *thread = proc_find_tid(NONE, pid);

		proc = thread != NULL ? thread->proc : NONE;
	}
	return proc;
}

/* kill(-pgid): succeeds if it reached one member. */
long signal_to_group(const struct task *t, u32 pgid, u64 sig, const struct k_siginfo *info)
{
	long result = -ESRCH;
	bool reached = false;

	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid != pgid)
			continue;
		result = signal_to_process(t, p, sig, info);
		reached |= result == 0;
	}
	return reached ? 0 : result;
}

/* kill(-1): everybody but init and the caller; those out of reach are passed over. */
static long kill_all(const struct task *t, u64 sig)
{
	long result = -ESRCH;

	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (p == t->proc)
			continue;
		long error = signal_to_process(t, p, sig, NULL);

		if (result == -ESRCH)
			result = 0;
		if (error != 0 && error != -EPERM)
			result = error;
	}
	return result;
}

long sys_kill(struct task *t, struct frame *f)
{
	s32 pid = (s32)f->arg[0];
	u64 sig = (u32)f->arg[1];

	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1)
		return kill_all(t, sig);
	if (pid <= 0)
		return signal_to_group(t, pid == 0 ? proc_of(t)->pgid : (u32)-pid, sig, NULL);
	u32 target = find_target((u32)pid);
	return target == NONE ? -ESRCH : signal_to_process(t, target, sig, NULL);
}

long signal_to_thread(const struct task *t, u32 tgid, u32 tid, u64 sig,
		      const struct k_siginfo *info)
{
	struct k_siginfo own = {
		.code = SIG_SI_TKILL, .pid = (s32)proc_of(t)->pid, .uid = proc_of(t)->uid};
	const struct task *target = proc_find_tid(NONE, tid);
	/* The main thread of a zombie is still there, and swallows everything. */
	u32 proc = target != NULL ? target->proc : proc_find_pid(tid);

	if (proc == NONE || (tgid != 0 && proc_at(proc)->pid != tgid))
		return -ESRCH;
	long error = check_target(t, proc, sig);

	if (error < 0 || target == NULL)
		return error;
	return signal_send_task(target->index, (int)sig, info != NULL ? info : &own);
}

long sys_tkill(struct task *t, struct frame *f)
{
	s32 tid = (s32)f->arg[0];

	return tid <= 0 ? -EINVAL : signal_to_thread(t, 0, (u32)tid, (u32)f->arg[1], NULL);
}

long sys_tgkill(struct task *t, struct frame *f)
{
	s32 tgid = (s32)f->arg[0], tid = (s32)f->arg[1];

	return tgid <= 0 || tid <= 0
		       ? -EINVAL
		       : signal_to_thread(t, (u32)tgid, (u32)tid, (u32)f->arg[2], NULL);
}

static bool is_zero(const u8 *bytes, u64 size)
{
	while (size > 0 && bytes[size - 1] == 0)
		size--;
	return size == 0;
}

long signal_info_in(struct task *t, u64 addr, s32 sig, struct k_siginfo *ret_info)
{
	u8 *rest = (u8 *)ret_info + INFO_USED;
	u64 rest_size = sizeof(*ret_info) - INFO_USED;

	if (user_copy_in(ret_info, addr, sizeof(*ret_info)) < 0)
		return -EFAULT;
	digest_bytes(t, ret_info, sizeof(*ret_info));
	ret_info->signo = sig;
	if (!signal_info_known(ret_info) && !is_zero(rest, rest_size))
		return -E2BIG;
	memset(rest, 0, rest_size);
	return 0;
}

bool signal_may_fake(const struct k_siginfo *info, bool to_self)
{
	return to_self || (info->code < 0 && info->code != SIG_SI_TKILL);
}

long sys_rt_sigqueueinfo(struct task *t, struct frame *f)
{
	u32 pid = (u32)f->arg[0];
	struct k_siginfo info;
	long error = signal_info_in(t, f->arg[2], (s32)f->arg[1], &info);

	if (error < 0)
		return error;
	if (!signal_may_fake(&info, pid == t->tid))
		return -EPERM;
	u32 target = find_target(pid);
	return target == NONE ? -ESRCH : signal_to_process(t, target, (u32)f->arg[1], &info);
}

long sys_rt_tgsigqueueinfo(struct task *t, struct frame *f)
{
	s32 tgid = (s32)f->arg[0], tid = (s32)f->arg[1];
	struct k_siginfo info;
	long error = signal_info_in(t, f->arg[3], (s32)f->arg[2], &info);

	if (error < 0)
		return error;
	if (tgid <= 0 || tid <= 0)
		return -EINVAL;
	if (!signal_may_fake(&info, (u32)tid == t->tid))
		return -EPERM;
	return signal_to_thread(t, (u32)tgid, (u32)tid, (u32)f->arg[2], &info);
}
