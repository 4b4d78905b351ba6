/*
 * File locks: fcntl record locks (of processes), their OFD form (of descriptions), and flock.
 *
 * Kept per object in the heap (lock_place.c), never on the host.  Record locks and OFD locks
 * exclude each other, flock lives apart, as in Linux.  Whenever something is released, those that
 * wait get what they want in the order they came, before they run.
 *
 * Invariants, all to be seen with F_GETLK: the locks of one owner stand together, by their start,
 * the owners in the order of their first lock; what one owner holds in one mode and what touches is
 * one lock.
 */
#include <asm/stat.h>
#include "../shim/signal.h"
#include "ipc.h"
#include "lock.h"
#include "lock_place.h"
#include "lookup.h"
#include "ready.h"
#include "synth.h"

#define LOCK_END     INT64_MAX
#define OP_SHARED    1u
#define OP_EXCL	     2u
#define OP_NOWAIT    4u
#define OP_UNLOCK    8u
#define OP_MANDATORY 32u /* LOCK_MAND: gone from Linux, without effect */
#define CIRCLE_MAX   10	 /* MAX_DEADLK_ITERATIONS: longer circles of waiters are not found */

enum lock_kind { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };

struct file_lock {
	struct file_lock *next;
	s64 start, end;	 /* end inclusive */
	u32 kind, owner; /* descriptor table (as in Linux), or ofd: index */
	u32 pid;
	bool exclusive;
};

/* In IPC->lock_waiters: in conflict with a lock that is held. */
struct lock_waiter {
	struct ipc_waiter wait; /* first */
	struct file_lock want;
	struct file_lock **place;
	u32 fd, ofd;
};

static bool same_owner(const struct file_lock *l, u32 kind, u32 owner)
{
	return l->kind == kind && l->owner == owner;
}

static const struct file_lock *conflict(const struct file_lock *locks, const struct file_lock *want)
{
	for (const struct file_lock *l = locks; l; l = l->next) {
		bool same_world = (l->kind == LOCK_FLOCK) == (want->kind == LOCK_FLOCK);
		if (same_world && !same_owner(l, want->kind, want->owner) &&
		    (l->exclusive || want->exclusive) && l->start <= want->end &&
		    want->start <= l->end)
			return l;
	}
	return NULL;
}

/* Behind the owner's locks that start before it; a new owner comes last. */
static struct file_lock *lock_add(struct file_lock **at, const struct file_lock *like, s64 start,
				  s64 end)
{
	struct file_lock *l = heap_alloc(sizeof(*l));

	while (*at && !same_owner(*at, like->kind, like->owner))
		at = &(*at)->next;
	while (*at && same_owner(*at, like->kind, like->owner) && (*at)->start < start)
		at = &(*at)->next;
	*l = *like;
	l->start = start;
	l->end = end;
	l->next = *at;
	*at = l;
	return l;
}

/* Takes the range out of what the owner holds, but for one lock. */
static void carve(struct file_lock **place, u32 kind, u32 owner, s64 start, s64 end,
		  const struct file_lock *keep)
{
	for (struct file_lock **link = place, *l; (l = *link);) {
		if (l == keep || !same_owner(l, kind, owner) || l->start > end || start > l->end) {
			link = &l->next;
			continue;
		}
		/* What remains stays where it is, so that its owner keeps its place. */
		if (l->end > end && l->start < start)
			lock_add(place, l, end + 1, l->end);
		if (l->start < start) {
			l->end = start - 1;
			link = &l->next;
		} else if (l->end > end) {
			l->start = end + 1;
			link = &l->next;
		} else {
			*link = l->next;
			heap_free(l);
		}
	}
}

/* The lock grows by those of the same mode that it touches. */
static void merge(struct file_lock **place, struct file_lock *into)
{
	for (struct file_lock **link = place, *l; (l = *link);) {
		bool left = into->start && l->end == into->start - 1;
		bool right = into->end != LOCK_END && l->start == into->end + 1;
		if (!same_owner(l, into->kind, into->owner) || l->exclusive != into->exclusive ||
		    !(left || right)) {
			link = &l->next;
			continue;
		}
		into->start = left ? l->start : into->start;
		into->end = right ? l->end : into->end;
		*link = l->next;
		heap_free(l);
	}
}

/* The new lock is there before what it replaces goes: so its owner keeps its place. */
static void lock_set(struct file_lock **place, const struct file_lock *want)
{
	struct file_lock *l = lock_add(place, want, want->start, want->end);

	carve(place, want->kind, want->owner, want->start, want->end, l);
	merge(place, l);
}

/* A record lock goes with the closing of a descriptor: on one that is closed already it would stay.
 */
static bool may_have(const struct lock_waiter *l)
{
	return l->want.kind != LOCK_POSIX ||
	       (FILES->tables[l->want.owner].fd[l->fd] & FD_OFD) == l->ofd;
}

/* Something there was released: who waits for it gets what it wants. */
static void grant(struct file_lock **place)
{
	for (struct ipc_waiter *w = IPC->lock_waiters.first, *next; w; w = next) {
		const struct lock_waiter *l = (struct lock_waiter *)w;
		next = w->next;
		if (l->place != place || conflict(*place, &l->want))
			continue;
		if (may_have(l))
			lock_set(place, &l->want);
		ipc_wait_done(w, may_have(l) ? 0 : -EBADF);
	}
}

void locks_drop_ofd(struct ofd *o)
{
	struct file_lock **place = lock_place_find(o);

	if (!place || !*place)
		return;
	carve(place, LOCK_OFD, ofd_index(o), 0, LOCK_END, NULL);
	carve(place, LOCK_FLOCK, ofd_index(o), 0, LOCK_END, NULL);
	grant(place);
	lock_places_trim();
}

void locks_drop_files(u32 files, const struct ofd *o)
{
	struct file_lock **place = lock_place_find(o);

	if (!place || !*place)
		return;
	carve(place, LOCK_POSIX, files, 0, LOCK_END, NULL);
	grant(place);
	lock_places_trim();
}

/* Whether the description has the very lock; another one it has is lost, even if the new one cannot
 * be had (flock(2)). */
static bool flock_is_held(struct file_lock **place, const struct file_lock *want)
{
	const struct file_lock *l = *place;

	while (l && !same_owner(l, LOCK_FLOCK, want->owner))
		l = l->next;
	if (!l || l->exclusive == want->exclusive)
		return l;
	carve(place, LOCK_FLOCK, want->owner, 0, LOCK_END, NULL);
	return false;
}

/* ---- waiting ---- */

/* What a record lock of the descriptor table waits for, or NULL. */
static const struct file_lock *awaited_by(u32 files)
{
	for (const struct ipc_waiter *w = IPC->lock_waiters.first; w; w = w->next) {
		const struct lock_waiter *l = (const struct lock_waiter *)w;
		if (same_owner(&l->want, LOCK_POSIX, files))
			return conflict(*l->place, &l->want);
	}
	return NULL;
}

/* Whether whoever holds `l` waits, by way of others perhaps, for the owner of `want`. */
static bool closes_circle(const struct file_lock *want, const struct file_lock *l)
{
	if (want->kind != LOCK_POSIX)
		return false;
	for (u32 i = 0; l && l->kind == LOCK_POSIX && i <= CIRCLE_MAX; i++) {
		if (l->owner == want->owner)
			return true;
		l = awaited_by(l->owner);
	}
	return false;
}

static void lock_release(const struct ofd *o, const struct file_lock *want)
{
	struct file_lock **place = lock_place_find(o);

	if (!place)
		return;
	carve(place, want->kind, want->owner, want->start, want->end, NULL);
	grant(place);
	lock_places_trim();
}

static long lock_wait(struct task *t, u32 fd, struct ofd *o, struct file_lock **place,
		      const struct file_lock *want)
{
	struct lock_waiter *w = ipc_wait_begin(t, sizeof(*w));

	w->want = *want;
	w->place = place;
	w->fd = fd;
	w->ofd = ofd_index(o);
	ipc_wait_enqueue(&IPC->lock_waiters, &w->wait);
	park_hold_begin(t, o);
	long r = ipc_wait_park(t, &w->wait, SCHED_NEVER);
	ipc_wait_end(t);
	/* Closed meanwhile, by another thread: then nothing else would release it. */
	if (r == 0 && want->kind == LOCK_POSIX && fd_get(t, fd) != o) {
		lock_release(o, want);
		r = -EBADF;
	}
	park_hold_end(t, o);
	return r == -EINTR ? -ERESTARTSYS : r;
}

/* Sets the lock; waits if `wait`. */
static long lock_apply(struct task *t, u32 fd, struct ofd *o, const struct file_lock *want,
		       bool wait)
{
	struct file_lock **place = lock_place_get(t, o, fd);

	if (want->kind == LOCK_FLOCK && flock_is_held(place, want))
		return 0;
	const struct file_lock *held = conflict(*place, want);
	if (!held)
		lock_set(place, want);
	/* A weaker or narrower lock lets others in as well. */
	grant(place);
	if (!held)
		return 0;
	if (!wait)
		return -EAGAIN;
	if (closes_circle(want, conflict(*place, want)))
		return -EDEADLK;
	return lock_wait(t, fd, o, place, want);
}

long sys_flock(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0], op = (u32)f->arg[1];
	struct ofd *o = fd_get_io(t, fd);
	u32 what = op & ~OP_NOWAIT;

	if (op & OP_MANDATORY)
		return 0;
	if (what != OP_SHARED && what != OP_EXCL && what != OP_UNLOCK)
		return -EINVAL;
	if (!o)
		return -EBADF;
	struct file_lock want = {.end = LOCK_END,
				 .kind = LOCK_FLOCK,
				 .owner = ofd_index(o),
				 .pid = proc_of(t)->pid,
				 .exclusive = what == OP_EXCL};
	if (what != OP_UNLOCK)
		return lock_apply(t, fd, o, &want, !(op & OP_NOWAIT));
	lock_release(o, &want);
	return 0;
}

static long base_of(struct task *t, struct ofd *o, u32 fd, s32 whence, s64 *ret)
{
	struct vstat st;

	*ret = 0;
	if (whence == 1 && (o->kind == OFD_HOST_FILE || o->kind == OFD_SYNTH_FILE))
		*ret = SYS3(NR_lseek, fd, 0, 1);
	else if (whence == 2 && fd_stat(t, o, fd, &st) == 0)
		*ret = (s64)st.size;
	return whence < 0 || whence > 2 ? -EINVAL : 0;
}

/* The range of a struct flock, absolute. */
static long range_of(struct task *t, struct ofd *o, u32 fd, const struct flock *fl,
		     struct file_lock *ret)
{
	s64 start, len = fl->l_len;

	long r = base_of(t, o, fd, fl->l_whence, &start);
	if (r < 0)
		return r;
	if (fl->l_start > LOCK_END - start)
		return -EOVERFLOW;
	start += fl->l_start;
	if (start < 0)
		return -EINVAL;
	if (len > 0 && len - 1 > LOCK_END - start)
		return -EOVERFLOW;
	if (len < 0 && start + len < 0)
		return -EINVAL;
	ret->start = len < 0 ? start + len : start;
	ret->end = len < 0 ? start - 1 : len ? start + (len - 1) : LOCK_END;
	return 0;
}

/* The first one the owner itself has in the range: what F_OFD_GETLK says to F_UNLCK (Linux 6.3). */
static const struct file_lock *own_lock(const struct file_lock *l, const struct file_lock *want)
{
	while (l && (!same_owner(l, want->kind, want->owner) || l->start > want->end ||
		     want->start > l->end))
		l = l->next;
	return l;
}

static long lock_query(struct task *t, const struct ofd *o, const struct file_lock *want,
		       struct flock *fl, u64 user)
{
	struct file_lock **place = lock_place_find(o), *locks = place ? *place : NULL;
	const struct file_lock *l =
		fl->l_type == F_UNLCK ? own_lock(locks, want) : conflict(locks, want);

	fl->l_type = F_UNLCK;
	if (l) {
		fl->l_type = l->exclusive ? F_WRLCK : F_RDLCK;
		fl->l_whence = 0;
		fl->l_start = l->start;
		fl->l_len = l->end == LOCK_END ? 0 : l->end - l->start + 1;
		fl->l_pid = l->kind == LOCK_POSIX ? (int)l->pid : -1;
	}
	digest_bytes(t, fl, sizeof(*fl));
	return user_copy_out(user, fl, sizeof(*fl)) ? -EFAULT : 0;
}

long lock_fcntl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 user)
{
	bool ofd = request >= F_OFD_GETLK && request <= F_OFD_SETLKW;
	bool query = request == F_GETLK || request == F_OFD_GETLK;
	struct file_lock want = {.kind = ofd ? LOCK_OFD : LOCK_POSIX,
				 .owner = ofd ? ofd_index(o) : proc_of(t)->files,
				 .pid = proc_of(t)->pid};
	struct flock fl;

	if (user_get(fl, user))
		return -EFAULT;
	digest_bytes(t, &fl, sizeof(fl));
	bool known = fl.l_type == F_RDLCK || fl.l_type == F_WRLCK || fl.l_type == F_UNLCK;
	if (request == F_GETLK && fl.l_type == F_UNLCK)
		return -EINVAL;
	long r = range_of(t, o, fd, &fl, &want);
	if (r < 0)
		return r;
	if (!known)
		return -EINVAL;
	want.exclusive = fl.l_type == F_WRLCK;
	u32 mode = o->flags & O_ACCMODE;
	if (!query && ((fl.l_type == F_RDLCK && mode == O_WRONLY) ||
		       (fl.l_type == F_WRLCK && mode == O_RDONLY)))
		return -EBADF;
	if (ofd && fl.l_pid)
		return -EINVAL;
	if (query)
		return lock_query(t, o, &want, &fl, user);
	if (fl.l_type != F_UNLCK)
		return lock_apply(t, fd, o, &want, request == F_SETLKW || request == F_OFD_SETLKW);
	lock_release(o, &want);
	return 0;
}

/* ---- /proc/locks ---- */

/* What is locked: as stat tells. */
struct locked {
	struct file_lock *const *place;
	u64 dev, ino;
};

static void put_lock(struct synth_text *out, u32 number, const struct locked *what,
		     const struct file_lock *l, bool waits)
{
	static const char *const names[] = {"POSIX ", "OFDLCK", "FLOCK "};

	text_add(out, "%u: %s%s ADVISORY  %s ", number, waits ? "-> " : "", names[l->kind],
		 l->exclusive ? "WRITE" : "READ");
	text_add(out, "%d %02x:%02x:%lu %ld ", l->kind == LOCK_OFD ? -1 : (s32)l->pid,
		 (u32)what->dev >> 8, (u32)what->dev & 0xff, what->ino, l->start);
	if (l->end == LOCK_END)
		text_add(out, "EOF\n");
	else
		text_add(out, "%ld\n", l->end);
}

static void put_waiters(struct synth_text *out, u32 number, const struct locked *what,
			const struct file_lock *held)
{
	for (const struct ipc_waiter *w = IPC->lock_waiters.first; w; w = w->next) {
		const struct lock_waiter *l = (const struct lock_waiter *)w;
		if (l->place == what->place && conflict(*l->place, &l->want) == held)
			put_lock(out, number, what, &l->want, true);
	}
}

static void put_all(struct synth_text *out, u32 *number, const struct locked *what)
{
	for (const struct file_lock *l = *what->place; l; l = l->next) {
		put_lock(out, ++*number, what, l, false);
		put_waiters(out, *number, what, l);
	}
}

void locks_make_text(const struct synth_ctx *c, struct synth_text *out)
{
	u32 number = 0;

	(void)c;
	for (u32 i = 1; i <= VNODES->count; i++) {
		const struct vnode *v = vnode_at(i);
		put_all(out, &number, &(struct locked){&v->locks, VNODE_DEV, v->ino});
	}
	for (const struct lock_place *p = IPC->lock_places; p; p = p->next)
		put_all(out, &number, &(struct locked){&p->locks, p->dev, p->ino});
}
