/*
 * Resource limits and the use of resources: getrlimit, prlimit, getrusage, times.
 *
 * Limits are kept here and obeyed where the resource is: memory in mm.c and memory.c, descriptors
 * in fd.c, cpu time in cpu_limit.c, tasks in clone.c.
 */
#include <linux/resource.h>
#include <linux/times.h>
#include "../shim/event.h"
#include "../shim/mm.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "credentials.h"
#include "files.h"
#include "syscall_handlers.h"
#include "wait.h"

#define SECOND_NS 1000000000ull
#define TICKS_NS  10000000ull /* a clock tick of times(): 100 a second */

static long put_bytes(struct task *t, u64 addr, const void *from, u64 size)
{
	if (user_copy_out(addr, from, size) < 0)
		return -EFAULT;
	digest_bytes(t, from, size);
	return 0;
}

/* ---- limits ---- */

static const u64 default_limits[16][2] = {
	[RLIMIT_CPU] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_FSIZE] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_DATA] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_STACK] = {APP_STACK_SIZE, RLIM64_INFINITY},
	[RLIMIT_CORE] = {0, RLIM64_INFINITY},
	[RLIMIT_RSS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_NPROC] = {PROCS_MAX, PROCS_MAX},
	[RLIMIT_NOFILE] = {APP_FD_MAX, APP_FD_MAX},
	[RLIMIT_MEMLOCK] = {8 << 20, 8 << 20},
	[RLIMIT_AS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_LOCKS] = {RLIM64_INFINITY, RLIM64_INFINITY},
	[RLIMIT_SIGPENDING] = {16384, 16384},
	[RLIMIT_MSGQUEUE] = {819200, 819200},
	[RLIMIT_NICE] = {0, 0},
	[RLIMIT_RTPRIO] = {0, 0},
	[RLIMIT_RTTIME] = {RLIM64_INFINITY, RLIM64_INFINITY},
};

void limits_init(struct proc *p)
{
	memcpy(p->rlimits, default_limits, sizeof(default_limits));
}

/* ---- tasks ---- */

/* How many tasks of the user there are, zombies included. */
static u64 tasks_of_user(u32 uid)
{
	u64 n = 0;

	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		const struct proc *p = proc_at(i);

		if (p->uid == uid)
			n += p->state == PROC_LIVE ? p->nthreads : 1;
	}
	return n;
}

bool limits_allow_task(const struct task *t)
{
	const struct proc *p = proc_of(t);
	u64 limit = p->rlimits[RLIMIT_NPROC][0];

	/* Even if all were this user's. */
	if (PROCT->nlive_tasks + PROCT->nzombies < limit)
		return true;
	if (p->uid == 0 || capable(t, CAP_SYS_RESOURCE) || capable(t, CAP_SYS_ADMIN))
		return true;
	return tasks_of_user(p->uid) < limit;
}

/* ---- sizes of files ---- */

bool limits_file_size(const struct task *t)
{
	return proc_of(t)->rlimits[RLIMIT_FSIZE][0] != RLIM64_INFINITY;
}

u64 limits_file_room(struct task *t, u64 begin)
{
	u64 limit = proc_of(t)->rlimits[RLIMIT_FSIZE][0];

	/* Linux compares them as signed: beyond INT64_MAX nothing may be written. */
	if ((s64)begin < (s64)limit)
		return limit - begin;
	signal_send_task(t->index, SIG_XFSZ, NULL);
	return 0;
}

/* ---- calls ---- */

static long set_limit(struct task *t, u32 proc, u32 which, const u64 want[2])
{
	struct proc *p = proc_at(proc);

	if (want[0] > want[1])
		return -EINVAL;
	if (which == RLIMIT_NOFILE && want[1] > APP_FD_MAX)
		return -EPERM;
	if (want[1] > p->rlimits[which][1] && !capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	p->rlimits[which][0] = want[0];
	p->rlimits[which][1] = want[1];
	if (which == RLIMIT_STACK && proc == t->proc)
		mm_stack_limit(t, want[0]);
	if (which == RLIMIT_CPU)
		cpu_limit_changed(proc);
	return 0;
}

static long limits_call(struct task *t, u32 proc, u64 which, const u64 *want, u64 old)
{
	u64 was[2];

	if (which >= 16)
		return -EINVAL;
	memcpy(was, proc_at(proc)->rlimits[which], sizeof(was));
	long error = want != NULL ? set_limit(t, proc, (u32)which, want) : 0;

	if (error < 0)
		return error;
	return old != 0 ? put_bytes(t, old, was, sizeof(was)) : 0;
}

static long limit_in(struct task *t, u64 addr, u64 want[2])
{
	if (user_copy_in(want, addr, 2 * sizeof(want[0])) < 0)
		return -EFAULT;
	digest_bytes(t, want, 2 * sizeof(want[0]));
	return 0;
}

long sys_getrlimit(struct task *t, struct frame *f)
{
	if ((u32)f->arg[0] < 16 && f->arg[1] == 0)
		return -EFAULT;
	return limits_call(t, t->proc, (u32)f->arg[0], NULL, f->arg[1]);
}

long sys_setrlimit(struct task *t, struct frame *f)
{
	u64 want[2];

	if (limit_in(t, f->arg[1], want) < 0)
		return -EFAULT;
	return limits_call(t, t->proc, (u32)f->arg[0], want, 0);
}

/* The same user and group in every respect, or the capability. */
static bool may_limit(const struct task *t, u32 proc)
{
	const struct proc *own = proc_of(t), *p = proc_at(proc);

	if (proc == t->proc || capable(t, CAP_SYS_RESOURCE))
		return true;
	return own->uid == p->uid && own->uid == p->euid && own->uid == p->suid &&
	       own->gid == p->gid && own->gid == p->egid && own->gid == p->sgid;
}

long sys_prlimit64(struct task *t, struct frame *f)
{
	u32 proc = t->proc;
	u64 want[2];

	if (f->arg[2] != 0 && limit_in(t, f->arg[2], want) < 0)
		return -EFAULT;
	if ((u32)f->arg[0] != 0) {
		const struct task *named = proc_find_tid(NONE, (u32)f->arg[0]);

		proc = named != NULL ? named->proc : proc_find_pid((u32)f->arg[0]);
	}
	if (proc == NONE)
		return -ESRCH;
	if (proc == PROC_INIT || !may_limit(t, proc))
		return -EPERM;
	return limits_call(t, proc, (u32)f->arg[1], f->arg[2] != 0 ? want : NULL, f->arg[3]);
}

/* ---- use ---- */

long sys_getrusage(struct task *t, struct frame *f)
{
	u64 usage[18], ns;

	memset(usage, 0, sizeof(usage));
	switch ((s32)f->arg[0]) {
	case 0:
		ns = proc_cpu_ns(t->proc);
		break;
	case -1:
		ns = proc_of(t)->cutime_ns;
		break;
	case 1:
		ns = t->events * HEAD->config.time_step_ns;
		break;
	default:
		return -EINVAL;
	}
	usage[0] = ns / SECOND_NS;
	usage[1] = ns % SECOND_NS / 1000;
	usage[4] = RUSAGE_MAXRSS_KB;
	return put_bytes(t, f->arg[1], usage, sizeof(usage));
}

long sys_times(struct task *t, struct frame *f)
{
	u64 times[4] = {proc_cpu_ns(t->proc) / TICKS_NS, 0, proc_of(t)->cutime_ns / TICKS_NS, 0};

	if (f->arg[0] != 0 && put_bytes(t, f->arg[0], times, sizeof(times)) < 0)
		return -EFAULT;
	return (long)((now_ns() - clock_monotonic_base()) / TICKS_NS);
}
