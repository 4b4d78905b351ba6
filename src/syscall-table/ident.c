/*
 * Who and where the app is: ids, host names, processors, memory, limits.  All from the process
 * table and the configuration; nothing of the host shows.
 */
#include <linux/capability.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/sysinfo.h>
#include <linux/times.h>
#include <linux/utsname.h>
#include <asm/prctl.h>
#include "../shim/event.h"
#include "../shim/mm.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "files.h"
#include "seccomp.h"
#include "syscall_handlers.h"
#include "wait.h"

#define SECOND_NS   1000000000ull
#define TICKS_NS    10000000ull /* a clock tick of times(): 100 a second */
#define UPTIME_S    1000	/* at the container's start */
#define SCHED_OTHER 0

static long put_bytes(struct task *t, u64 addr, const void *from, u64 size)
{
	if (user_copy_out(addr, from, size) < 0)
		return -EFAULT;
	digest_bytes(t, from, size);
	return 0;
}

/* ---- process ids (sessions and groups are in session.c) ---- */

long sys_getpid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->pid;
}

long sys_gettid(struct task *t, struct frame *f)
{
	(void)f;
	return t->tid;
}

long sys_getppid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_at(proc_of(t)->parent)->pid;
}

/* ---- users and groups ---- */

long sys_getuid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->uid;
}

long sys_geteuid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->euid;
}

long sys_getgid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->gid;
}

long sys_getegid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->egid;
}

static bool privileged(const struct task *t)
{
	return proc_of(t)->euid == 0;
}

static bool one_of(u32 id, u32 a, u32 b, u32 c)
{
	return id == a || id == b || id == c;
}

static long set_res(bool root, u32 *real, u32 *effective, u32 *saved, u32 *fs, const u32 want[3])
{
	u32 *ids[3] = {real, effective, saved};

	for (int i = 0; i < 3; i++) {
		if (want[i] != NONE && !root && !one_of(want[i], *real, *effective, *saved))
			return -EPERM;
	}
	for (int i = 0; i < 3; i++) {
		if (want[i] != NONE)
			*ids[i] = want[i];
	}
	*fs = *effective;
	return 0;
}

static long set_uids(struct task *t, u32 r, u32 e, u32 s)
{
	struct proc *p = proc_of(t);
	u32 want[3] = {r, e, s};

	return set_res(privileged(t), &p->uid, &p->euid, &p->suid, &p->fsuid, want);
}

static long set_gids(struct task *t, u32 r, u32 e, u32 s)
{
	struct proc *p = proc_of(t);
	u32 want[3] = {r, e, s};

	return set_res(privileged(t), &p->gid, &p->egid, &p->sgid, &p->fsgid, want);
}

long sys_setuid(struct task *t, struct frame *f)
{
	u32 id = (u32)f->arg[0];

	return privileged(t) ? set_uids(t, id, id, id) : set_uids(t, NONE, id, NONE);
}

long sys_setgid(struct task *t, struct frame *f)
{
	u32 id = (u32)f->arg[0];

	return privileged(t) ? set_gids(t, id, id, id) : set_gids(t, NONE, id, NONE);
}

/* setreuid also sets the saved id when the real one changes or the effective becomes another. */
static u32 saved_of(u32 real, u32 effective, u32 old_real)
{
	return real != NONE || (effective != NONE && effective != old_real) ? effective : NONE;
}

long sys_setreuid(struct task *t, struct frame *f)
{
	u32 r = (u32)f->arg[0], e = (u32)f->arg[1];

	return set_uids(t, r, e, saved_of(r, e, proc_of(t)->uid));
}

long sys_setregid(struct task *t, struct frame *f)
{
	u32 r = (u32)f->arg[0], e = (u32)f->arg[1];

	return set_gids(t, r, e, saved_of(r, e, proc_of(t)->gid));
}

long sys_setresuid(struct task *t, struct frame *f)
{
	return set_uids(t, (u32)f->arg[0], (u32)f->arg[1], (u32)f->arg[2]);
}

long sys_setresgid(struct task *t, struct frame *f)
{
	return set_gids(t, (u32)f->arg[0], (u32)f->arg[1], (u32)f->arg[2]);
}

static long put_three(struct frame *f, u32 a, u32 b, u32 c)
{
	if (user_put(f->arg[0], a) < 0 || user_put(f->arg[1], b) < 0 || user_put(f->arg[2], c) < 0)
		return -EFAULT;
	return 0;
}

long sys_getresuid(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);

	return put_three(f, p->uid, p->euid, p->suid);
}

long sys_getresgid(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);

	return put_three(f, p->gid, p->egid, p->sgid);
}

long sys_setfsuid(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);
	u32 old = p->fsuid, id = (u32)f->arg[0];

	if (privileged(t) || one_of(id, p->uid, p->euid, p->suid))
		p->fsuid = id;
	return old;
}

long sys_setfsgid(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);
	u32 old = p->fsgid, id = (u32)f->arg[0];

	if (privileged(t) || one_of(id, p->gid, p->egid, p->sgid))
		p->fsgid = id;
	return old;
}

long sys_getgroups(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);

	if ((s32)f->arg[0] == 0)
		return p->ngroups;
	if ((s32)f->arg[0] < (s32)p->ngroups)
		return -EINVAL;
	return put_bytes(t, f->arg[1], p->groups, p->ngroups * 4ull) < 0 ? -EFAULT
									 : (long)p->ngroups;
}

long sys_setgroups(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);
	u32 groups[64];

	if (!privileged(t))
		return -EPERM;
	if (f->arg[0] > 64)
		return -EINVAL;
	if (user_copy_in(groups, f->arg[1], f->arg[0] * 4) < 0)
		return -EFAULT;
	digest_bytes(t, groups, f->arg[0] * 4);
	memcpy(p->groups, groups, f->arg[0] * 4);
	p->ngroups = (u32)f->arg[0];
	return 0;
}

/* ---- capabilities: all for uid 0, none for others ---- */

struct cap_header {
	u32 version;
	s32 pid;
};

long sys_capget(struct task *t, struct frame *f)
{
	struct cap_header h;
	u32 all = privileged(t) ? 0xffffffff : 0, high = privileged(t) ? 0x1ff : 0;
	u32 data[6] = {all, all, 0, high, high, 0};

	if (user_get(h, f->arg[0]) < 0)
		return -EFAULT;
	digest_bytes(t, &h, sizeof(h));
	if (h.version != _LINUX_CAPABILITY_VERSION_3) {
		h.version = _LINUX_CAPABILITY_VERSION_3;
		return user_put(f->arg[0], h) < 0 ? -EFAULT : f->arg[1] == 0 ? 0 : -EINVAL;
	}
	return f->arg[1] == 0 ? 0 : put_bytes(t, f->arg[1], data, sizeof(data));
}

/* Giving capabilities up is accepted; they are of no consequence here. */
long sys_capset(struct task *t, struct frame *f)
{
	u32 data[6];

	if (user_copy_in(data, f->arg[1], sizeof(data)) < 0)
		return -EFAULT;
	digest_bytes(t, data, sizeof(data));
	return !privileged(t) && (data[0] | data[1] | data[3] | data[4]) ? -EPERM : 0;
}

/* ---- the host ---- */

static void set_name(char *field, const char *text)
{
	memcpy(field, text, strlen(text) + 1);
}

long sys_uname(struct task *t, struct frame *f)
{
	struct new_utsname u;

	memset(&u, 0, sizeof(u));
	set_name(u.sysname, "Linux");
	memcpy(u.nodename, HEAD->config.hostname, sizeof(u.nodename) - 1);
	set_name(u.release, "6.1.0-shadow");
	set_name(u.version, "#1 SMP Shadow");
	set_name(u.machine, "x86_64");
	set_name(u.domainname, "(none)");
	return put_bytes(t, f->arg[0], &u, sizeof(u));
}

long sys_sethostname(struct task *t, struct frame *f)
{
	char name[64];

	if (!privileged(t))
		return -EPERM;
	if (f->arg[1] > sizeof(name))
		return -EINVAL;
	memset(name, 0, sizeof(name));
	if (user_copy_in(name, f->arg[0], f->arg[1]) < 0)
		return -EFAULT;
	digest_bytes(t, name, sizeof(name));
	memset(HEAD->config.hostname, 0, sizeof(HEAD->config.hostname));
	memcpy(HEAD->config.hostname, name, sizeof(name));
	return 0;
}

long sys_setdomainname(struct task *t, struct frame *f)
{
	(void)f;
	return privileged(t) ? 0 : -EPERM;
}

long sys_sysinfo(struct task *t, struct frame *f)
{
	struct sysinfo s;
	u64 memory = HEAD->config.memory_bytes;

	memset(&s, 0, sizeof(s));
	s.uptime = (long)((now_ns() - clock_monotonic_base()) / SECOND_NS);
	s.totalram = memory;
	s.freeram = memory / 2;
	s.bufferram = memory / 64;
	s.procs = (unsigned short)PROCT->nlive_tasks;
	s.mem_unit = 1;
	return put_bytes(t, f->arg[0], &s, sizeof(s));
}

long sys_getcpu(struct task *t, struct frame *f)
{
	u32 zero = 0;

	(void)t;
	if (f->arg[0] != 0 && user_put(f->arg[0], zero) < 0)
		return -EFAULT;
	if (f->arg[1] != 0 && user_put(f->arg[1], zero) < 0)
		return -EFAULT;
	return 0;
}

/* ---- scheduling parameters: accepted where Linux would, without effect ---- */

static struct task *task_or_self(struct task *t, u64 tid)
{
	return (u32)tid == 0 ? t : proc_find_tid(NONE, (u32)tid);
}

long sys_sched_yield(struct task *t, struct frame *f)
{
	(void)f;
	turn_yield_idle(t);
	return 0;
}

long sys_sched_getaffinity(struct task *t, struct frame *f)
{
	u8 mask[128];
	u32 cpus = HEAD->config.cpus;
	u64 size = f->arg[1] < sizeof(mask) ? f->arg[1] : sizeof(mask);

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	if (f->arg[1] * 8 < cpus || f->arg[1] & 7)
		return -EINVAL;
	memset(mask, 0, sizeof(mask));
	for (u32 i = 0; i < cpus && i < sizeof(mask) * 8; i++)
		mask[i / 8] |= (u8)(1u << (i & 7));
	u64 want = size < 8 ? 8 : (cpus + 63) / 64 * 8ull;
	if (put_bytes(t, f->arg[2], mask, want) < 0)
		return -EFAULT;
	return (long)want;
}

long sys_sched_setaffinity(struct task *t, struct frame *f)
{
	u8 mask[128];
	u64 size = f->arg[1] < sizeof(mask) ? f->arg[1] : sizeof(mask);

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	memset(mask, 0, sizeof(mask));
	if (user_copy_in(mask, f->arg[2], size) < 0)
		return -EFAULT;
	digest_bytes(t, mask, size);
	for (u32 i = 0; i < HEAD->config.cpus; i++) {
		if (mask[i / 8] >> (i & 7) & 1)
			return 0;
	}
	return -EINVAL;
}

long sys_sched_getparam(struct task *t, struct frame *f)
{
	u32 priority = 0;

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	return user_put(f->arg[1], priority);
}

long sys_sched_setparam(struct task *t, struct frame *f)
{
	u32 priority;

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	if (user_get(priority, f->arg[1]) < 0)
		return -EFAULT;
	digest_u64(t, priority);
	return priority == 0 ? 0 : -EINVAL;
}

long sys_sched_getscheduler(struct task *t, struct frame *f)
{
	return task_or_self(t, f->arg[0]) == NULL ? -ESRCH : SCHED_OTHER;
}

long sys_sched_setscheduler(struct task *t, struct frame *f)
{
	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	switch ((u32)f->arg[1] & ~(u32)SCHED_RESET_ON_FORK) {
	case 0: /* SCHED_OTHER, BATCH, IDLE: no difference here */
	case SCHED_BATCH:
	case SCHED_IDLE:
		return 0;
	case SCHED_FIFO:
	case SCHED_RR:
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long sys_sched_get_priority_max(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] == SCHED_FIFO || f->arg[0] == SCHED_RR ? 99 : f->arg[0] > 6 ? -EINVAL : 0;
}

long sys_sched_get_priority_min(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] == SCHED_FIFO || f->arg[0] == SCHED_RR ? 1 : f->arg[0] > 6 ? -EINVAL : 0;
}

long sys_sched_rr_get_interval(struct task *t, struct frame *f)
{
	s64 slice[2] = {0, 4000000};

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	return put_bytes(t, f->arg[1], slice, sizeof(slice));
}

long sys_sched_getattr(struct task *t, struct frame *f)
{
	u8 attr[48];
	u32 size = (u32)f->arg[2];

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	if (size < sizeof(attr) || f->arg[3] != 0)
		return -EINVAL;
	memset(attr, 0, sizeof(attr));
	attr[0] = sizeof(attr);
	return put_bytes(t, f->arg[1], attr, sizeof(attr));
}

long sys_sched_setattr(struct task *t, struct frame *f)
{
	u32 head[2];

	if (task_or_self(t, f->arg[0]) == NULL)
		return -ESRCH;
	if (user_get(head, f->arg[1]) < 0)
		return -EFAULT;
	digest_bytes(t, head, sizeof(head));
	return head[1] == 0 || head[1] == SCHED_BATCH || head[1] == SCHED_IDLE ? 0 : -EPERM;
}

long sys_getpriority(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] > 2 ? -EINVAL : 20;
}

long sys_setpriority(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] > 2 ? -EINVAL : (s32)f->arg[2] < 0 ? -EACCES : 0;
}

long sys_ioprio_get(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] < 1 || f->arg[0] > 3 ? -EINVAL : 0;
}

long sys_ioprio_set(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] < 1 || f->arg[0] > 3 ? -EINVAL : 0;
}

/* ---- limits and usage ---- */

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

static long set_limit(struct task *t, struct proc *p, u32 which, const u64 want[2])
{
	if (want[0] > want[1])
		return -EINVAL;
	if (want[1] > p->rlimits[which][1] && !privileged(t))
		return -EPERM;
	if (which == RLIMIT_NOFILE && want[1] > APP_FD_MAX)
		return -EPERM;
	p->rlimits[which][0] = want[0];
	p->rlimits[which][1] = want[1];
	if (which == RLIMIT_CPU)
		cpu_limit_changed((u32)(p - PROCT->procs));
	if (which == RLIMIT_STACK)
		mm_stack_limit(t, want[0]);
	return 0;
}

static long limits_call(struct task *t, u32 proc, u64 which, u64 new, u64 old)
{
	struct proc *p = proc_at(proc);
	u64 want[2], was[2];

	if (which >= 16)
		return -EINVAL;
	memcpy(was, p->rlimits[which], sizeof(was));
	if (new != 0) {
		if (user_get(want, new) < 0)
			return -EFAULT;
		digest_bytes(t, want, sizeof(want));
		long error = set_limit(t, p, (u32)which, want);
		if (error < 0)
			return error;
	}
	return old != 0 ? put_bytes(t, old, was, sizeof(was)) : 0;
}

long sys_getrlimit(struct task *t, struct frame *f)
{
	return limits_call(t, t->proc, f->arg[0], 0, f->arg[1]);
}

long sys_setrlimit(struct task *t, struct frame *f)
{
	return limits_call(t, t->proc, f->arg[0], f->arg[1], 0);
}

long sys_prlimit64(struct task *t, struct frame *f)
{
	u32 proc = (u32)f->arg[0] == 0 ? t->proc : proc_find_pid((u32)f->arg[0]);

	if (proc == NONE)
		return -ESRCH;
	if (proc == PROC_INIT)
		return -EPERM;
	return limits_call(t, proc, f->arg[1], f->arg[2], f->arg[3]);
}

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

/* ---- the rest ---- */

long sys_getrandom(struct task *t, struct frame *f)
{
	u8 chunk[256];
	u64 len = f->arg[1] > 0x1ffffff ? 0x1ffffff : f->arg[1];

	if (f->arg[2] & ~7ull)
		return -EINVAL;
	for (u64 done = 0; done < len;) {
		u64 n = len - done < sizeof(chunk) ? len - done : sizeof(chunk);

		random_fill(chunk, n);
		if (put_bytes(t, f->arg[0] + done, chunk, n) < 0)
			return done > 0 ? (long)done : -EFAULT;
		done += n;
	}
	return (long)len;
}

long sys_arch_prctl(struct task *t, struct frame *f)
{
	switch (f->arg[0]) {
	case ARCH_SET_FS:
		if (f->arg[1] >= APP_ADDR_MAX)
			return -EPERM;
		return SYS2(158, ARCH_SET_FS, f->arg[1]);
	case ARCH_GET_FS: {
		u64 base;
		long error = SYS2(158, ARCH_GET_FS, &base);
		return error < 0 ? error : put_bytes(t, f->arg[1], &base, sizeof(base));
	}
	case ARCH_GET_GS:
		return put_bytes(t, f->arg[1], &t->gs_app, sizeof(t->gs_app));
	case ARCH_SET_GS:
		/* GS is ours: an app that addresses memory by it would read our slot. */
		HEAD->refused_count[158]++;
		return -EPERM;
	default:
		return -EINVAL;
	}
}

long sys_personality(struct task *t, struct frame *f)
{
	(void)t;
	if ((u32)f->arg[0] == 0xffffffff || (u32)f->arg[0] == 0)
		return 0;
	/* Addresses are not random anyway. */
	return (u32)f->arg[0] == 0x0040000 ? 0 : -EINVAL;
}

static long prctl_name(struct task *t, struct frame *f)
{
	char name[16];

	if (f->arg[0] == PR_GET_NAME)
		return put_bytes(t, f->arg[1], t->comm, sizeof(t->comm));
	memset(name, 0, sizeof(name));
	long n = user_string_in(name, f->arg[1], sizeof(name) - 1);
	if (n == -EFAULT)
		return n;
	name[15] = '\0';
	memcpy(t->comm, name, sizeof(name));
	digest_bytes(t, name, sizeof(name));
	return 0;
}

long sys_prctl(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);

	switch ((u32)f->arg[0]) {
	case PR_SET_NAME:
	case PR_GET_NAME:
		return prctl_name(t, f);
	case PR_SET_PDEATHSIG:
		if (f->arg[1] > 64)
			return -EINVAL;
		t->pdeathsig = (u32)f->arg[1];
		return 0;
	case PR_GET_PDEATHSIG:
		return put_bytes(t, f->arg[1], &t->pdeathsig, 4);
	case PR_GET_DUMPABLE:
		return p->dumpable;
	case PR_SET_DUMPABLE:
		if (f->arg[1] > 1)
			return -EINVAL;
		p->dumpable = (u32)f->arg[1];
		return 0;
	case PR_SET_NO_NEW_PRIVS:
		if (f->arg[1] != 1 || f->arg[2] != 0 || f->arg[3] != 0 || f->arg[4] != 0)
			return -EINVAL;
		p->no_new_privs = 1;
		return 0;
	case PR_GET_NO_NEW_PRIVS:
		return p->no_new_privs;
	case PR_SET_CHILD_SUBREAPER:
		p->subreaper = f->arg[1] != 0;
		return 0;
	case PR_GET_CHILD_SUBREAPER:
		return put_bytes(t, f->arg[1], &p->subreaper, 4);
	case PR_SET_TIMERSLACK:
	case PR_SET_THP_DISABLE:
	case PR_SET_PTRACER:
	case PR_SET_VMA:
		return f->arg[0] == PR_SET_VMA ? -EINVAL : 0;
	case PR_GET_TIMERSLACK:
		return 50000;
	case PR_CAPBSET_READ:
		return f->arg[1] > 40 ? -EINVAL : p->euid == 0;
	case PR_SET_SECCOMP:
		return seccomp_prctl(t, f->arg[1], f->arg[2]);
	case PR_GET_SECCOMP:
		return (long)t->seccomp_mode;
	case PR_GET_KEEPCAPS:
	case PR_GET_SECUREBITS:
	case PR_GET_THP_DISABLE:
		return 0;
	case PR_SET_KEEPCAPS:
		return f->arg[1] > 1 ? -EINVAL : 0;
	default:
		HEAD->refused_count[157]++;
		return -EINVAL;
	}
}
