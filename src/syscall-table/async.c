/*
 * Signals for readiness: who wants them of a description, and sending them (fs/fcntl.c of Linux).
 *
 * Owns the list READY->asyncs, one entry a description that was given an owner, a signal or
 * O_ASYNC (FASYNC in its headers): few programs do, so that a list is enough, and a container
 * without any pays one comparison a change.  Invariant: an entry lives as long as its description.
 */
#include "async.h"
#include "../shim/signal.h"
#include "wait.h"

#define OWNER_TID  0
#define OWNER_PID  1
#define OWNER_PGRP 2

#define CODE_IN	 1 /* POLL_IN of <signal.h> */
#define CODE_OUT 2

struct owner {
	s32 type, pid; /* as F_SETOWN_EX takes them */
};

struct async {
	struct async *next;
	u32 ofd, fd;
	struct owner owner;
	u32 signal;    /* 0: SIGIO without details */
	u32 uid, euid; /* of who set the owner */
};

static struct async *async_find(const struct ofd *o)
{
	struct async *a = READY->asyncs;

	while (a && a->ofd != ofd_index(o))
		a = a->next;
	return a;
}

static struct async *async_make(const struct ofd *o)
{
	struct async *a = async_find(o);

	if (a)
		return a;
	a = heap_alloc(sizeof(*a));
	a->ofd = ofd_index(o);
	a->owner.type = OWNER_PID;
	a->next = READY->asyncs;
	READY->asyncs = a;
	return a;
}

void async_forget(const struct ofd *o)
{
	struct async **at = &READY->asyncs, *a = async_find(o);

	if (!a)
		return;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	heap_free(a);
}

/* ---- sending ---- */

static bool may_signal(const struct async *a, u32 proc)
{
	const struct proc *p = proc_at(proc);

	return !a->euid || a->euid == p->suid || a->euid == p->uid || a->uid == p->suid ||
	       a->uid == p->uid;
}

static struct k_siginfo info_of(const struct async *a, s32 code)
{
	static const u64 bands[] = {
		[CODE_IN] = POLLIN | POLLRDNORM, [CODE_OUT] = POLLOUT | POLLWRNORM | POLLWRBAND};
	struct k_siginfo info = {.code = a->signal ? code : SIG_SI_KERNEL};

	if (a->signal) {
		memcpy(info.raw, &bands[code], sizeof(bands[code]));
		memcpy(info.raw + sizeof(bands[code]), &a->fd, sizeof(a->fd));
	}
	return info;
}

static void send_to_proc(const struct async *a, u32 proc, s32 code)
{
	struct k_siginfo info = info_of(a, code);

	if (!may_signal(a, proc))
		return;
	/* A full queue costs the details. */
	if (signal_send_proc(proc, a->signal ? (int)a->signal : SIG_IO, &info))
		signal_send_kernel(proc, SIG_IO);
}

static void send_to_group(const struct async *a, s32 code)
{
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == (u32)a->owner.pid)
			send_to_proc(a, p, code);
	}
}

static void send(const struct async *a, s32 code)
{
	struct k_siginfo info = info_of(a, code);
	u32 proc = NONE;

	if (a->owner.type == OWNER_PGRP) {
		send_to_group(a, code);
	} else if (a->owner.type == OWNER_TID) {
		const struct task *t = proc_find_tid(NONE, (u32)a->owner.pid);
		if (t && may_signal(a, t->proc))
			signal_send_task(t->index, a->signal ? (int)a->signal : SIG_IO, &info);
	} else {
		proc = proc_find_pid((u32)a->owner.pid);
	}
	if (proc != NONE && proc != PROC_INIT)
		send_to_proc(a, proc, code);
}

static bool has_key(struct ofd *o, struct sched_key key)
{
	struct sched_key own = watch_key(o);

	return own.a == key.a && own.b == key.b;
}

void async_changed(struct sched_key key, u32 events)
{
	for (const struct async *a = READY->asyncs; a; a = a->next) {
		struct ofd *o = ofd_at(a->ofd);
		u32 mode = o->flags & O_ACCMODE;
		if (!(o->flags & FASYNC) || !a->owner.pid || !has_key(o, key))
			continue;
		if (events & POLLIN && mode != O_WRONLY)
			send(a, CODE_IN);
		if (events & POLLOUT && mode != O_RDONLY)
			send(a, CODE_OUT);
	}
}

/* ---- setting ---- */

bool async_is_possible(const struct ofd *o)
{
	static const bool possible[OFD_KIND_COUNT] = {
		[OFD_PIPE_READ] = true, [OFD_PIPE_WRITE] = true, [OFD_FIFO] = true,
		[OFD_SOCKET] = true,	[OFD_INOTIFY] = true,
	};

	return possible[o->kind];
}

void async_switch(struct ofd *o, u32 fd, bool on)
{
	if (on)
		async_make(o)->fd = fd;
	o->flags = on ? o->flags | FASYNC : o->flags & ~(u32)FASYNC;
}

static bool owner_exists(const struct owner *w)
{
	if (w->type == OWNER_TID)
		return proc_find_tid(NONE, (u32)w->pid) != NULL;
	if (w->type == OWNER_PID)
		return proc_find_pid((u32)w->pid) != NONE;
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == (u32)w->pid)
			return true;
	}
	return false;
}

/* As find_vpid of the kernel: whatever the number is of. */
static bool number_exists(s32 pid)
{
	for (s32 type = OWNER_TID; type <= OWNER_PGRP; type++) {
		if (owner_exists(&(struct owner){type, pid}))
			return true;
	}
	return false;
}

static long owner_set(struct task *t, struct ofd *o, const struct owner *w)
{
	if (w->pid && !number_exists(w->pid))
		return -ESRCH;
	struct async *a = async_make(o);
	a->owner = *w;
	a->uid = proc_of(t)->uid;
	a->euid = proc_of(t)->euid;
	return 0;
}

static struct owner owner_get(const struct ofd *o)
{
	const struct async *a = async_find(o);
	struct owner w = a ? a->owner : (struct owner){OWNER_TID, 0};

	if (w.pid && !owner_exists(&w))
		w.pid = 0;
	return w;
}

static long set_owner(struct task *t, struct ofd *o, s32 pid)
{
	if (pid == (s32)0x80000000)
		return -EINVAL;
	struct owner w = {pid < 0 ? OWNER_PGRP : OWNER_PID, pid < 0 ? -pid : pid};
	return owner_set(t, o, &w);
}

static long set_owner_user(struct task *t, struct ofd *o, u64 user)
{
	struct owner w;

	if (user_get(w, user))
		return -EFAULT;
	digest_bytes(t, &w, sizeof(w));
	return w.type < OWNER_TID || w.type > OWNER_PGRP || w.pid < 0 ? -EINVAL
								      : owner_set(t, o, &w);
}

static long get_owner_user(struct task *t, const struct ofd *o, u64 user)
{
	struct owner w = owner_get(o);

	digest_bytes(t, &w, sizeof(w));
	return user_put(user, w) ? -EFAULT : 0;
}

static long set_signal(struct ofd *o, u64 signal)
{
	if (signal > SIG_MAX)
		return -EINVAL;
	async_make(o)->signal = (u32)signal;
	return 0;
}

long async_fcntl(struct task *t, struct ofd *o, u32 request, u64 arg)
{
	const struct async *a = async_find(o);
	struct owner w = owner_get(o);

	switch (request) {
	case F_SETOWN:
		return set_owner(t, o, (s32)arg);
	case F_GETOWN:
		return w.type == OWNER_PGRP ? -(long)w.pid : w.pid;
	case F_SETOWN_EX:
		return set_owner_user(t, o, arg);
	case F_GETOWN_EX:
		return get_owner_user(t, o, arg);
	case F_SETSIG:
		return set_signal(o, arg);
	case F_GETSIG:
		return a ? (long)a->signal : 0;
	default:
		return -ENOSYS;
	}
}
