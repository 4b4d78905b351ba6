/*
 * Who and where the app is: ids, host names, processors, memory, limits.  All from the process
 * table and the configuration; nothing of the host shows.
 */
#include <linux/personality.h>
#include <linux/sysinfo.h>
#include <linux/utsname.h>
#include <asm/prctl.h>
#include "../shim/event.h"
#include "../shim/mm.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "files.h"
#include "credentials.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

#define SECOND_NS 1000000000ull
#define UPTIME_S  1000 /* at the container's start */

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

	if (!capable(t, CAP_SYS_ADMIN))
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
	return capable(t, CAP_SYS_ADMIN) ? 0 : -EPERM;
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

/*
 * What changes nothing here is remembered: addresses are not random anyway; READ_IMPLIES_EXEC is of
 * memory.c.  Bits that would change what is mapped at 0 or which kernel is shown are refused.
 */
#define PERSONALITY_KEPT                                                                \
	(READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE | ADDR_COMPAT_LAYOUT | STICKY_TIMEOUTS | \
	 WHOLE_SECONDS | SHORT_INODE)

long sys_personality(struct task *t, struct frame *f)
{
	struct proc *p = proc_of(t);
	u32 want = (u32)f->arg[0], old = p->personality;

	if (want == NONE)
		return old;
	if (want & ~(u32)PERSONALITY_KEPT) {
		HEAD->refused_count[NR_personality]++;
		return -EINVAL;
	}
	p->personality = want;
	return old;
}
