/*
 * File locks: fcntl record locks (of processes), their OFD form (of descriptions), and flock.
 *
 * Kept per vnode in the heap, never on the host: who gets a lock next is decided by the order of
 * events.  Record locks and OFD locks exclude each other, flock lives apart, as in Linux.  A waiter
 * parks on {KEY_LOCK, vnode} and looks again when anything there was released.  Waiting in a circle
 * is not EDEADLK here: the container reports the deadlock.
 */
#include <asm/stat.h>
#include "../shim/signal.h"
#include "lock.h"

#define LOCK_END  INT64_MAX
#define OP_SHARED 1u
#define OP_EXCL	  2u
#define OP_NOWAIT 4u
#define OP_UNLOCK 8u

enum lock_kind { LOCK_POSIX, LOCK_OFD, LOCK_FLOCK };

struct file_lock {
	struct file_lock *next;
	s64 start, end;	 /* end inclusive */
	u32 kind, owner; /* descriptor table (as in Linux), or ofd: index */
	u32 pid;
	bool exclusive;
};

static bool same_owner(const struct file_lock *l, u32 kind, u32 owner)
{
	return l->kind == kind && l->owner == owner;
}

static const struct file_lock *conflict(const struct vnode *v, const struct file_lock *want)
{
	for (const struct file_lock *l = v->locks; l; l = l->next) {
		bool same_world = (l->kind == LOCK_FLOCK) == (want->kind == LOCK_FLOCK);
		if (same_world && !same_owner(l, want->kind, want->owner) &&
		    (l->exclusive || want->exclusive) && l->start <= want->end &&
		    want->start <= l->end)
			return l;
	}
	return NULL;
}

static void lock_add(struct vnode *v, const struct file_lock *like, s64 start, s64 end)
{
	struct file_lock *l = heap_alloc(sizeof(*l));

	*l = *like;
	l->start = start;
	l->end = end;
	l->next = v->locks;
	v->locks = l;
}

static void wake_waiters(u32 vnode)
{
	sched_key_wake(SCHED, (struct sched_key){KEY_LOCK, vnode}, ~0u, ~0u,
		       sched_turn_holder(SCHED));
}

/* Takes the range out of what the owner holds. */
static void carve(struct vnode *v, u32 kind, u32 owner, s64 start, s64 end)
{
	for (struct file_lock **link = &v->locks, *l; (l = *link);) {
		if (!same_owner(l, kind, owner) || l->start > end || start > l->end) {
			link = &l->next;
			continue;
		}
		struct file_lock old = *l;
		*link = l->next;
		heap_free(l);
		/* The remains go to the head of the list; they do not overlap, so to meet them
		 * again is harmless. */
		if (old.start < start)
			lock_add(v, &old, old.start, start - 1);
		if (old.end > end)
			lock_add(v, &old, end + 1, old.end);
	}
}

void locks_drop_ofd(struct ofd *o)
{
	struct vnode *v = vnode_at(o->vnode);

	if (!o->vnode || !v->locks)
		return;
	carve(v, LOCK_OFD, ofd_index(o), 0, LOCK_END);
	carve(v, LOCK_FLOCK, ofd_index(o), 0, LOCK_END);
	wake_waiters(o->vnode);
}

void locks_drop_files(u32 files, u32 vnode)
{
	struct vnode *v = vnode_at(vnode);

	if (!v->locks)
		return;
	carve(v, LOCK_POSIX, files, 0, LOCK_END);
	wake_waiters(vnode);
}

/* Sets or clears the lock; waits if `wait`.  The descriptor is looked up again after a park. */
static long lock_apply(struct task *t, u32 fd, const struct file_lock *want, bool unlock, bool wait)
{
	for (;;) {
		struct ofd *o = fd_get(t, fd);
		if (!o || !o->vnode)
			return -EBADF;
		struct vnode *v = vnode_at(o->vnode);
		if (unlock || !conflict(v, want)) {
			carve(v, want->kind, want->owner, want->start, want->end);
			if (!unlock)
				lock_add(v, want, want->start, want->end);
			/* A weaker or narrower lock lets others in as well. */
			wake_waiters(o->vnode);
			return 0;
		}
		if (!wait)
			return -EAGAIN;
		struct sched_key key = {KEY_LOCK, o->vnode};
		if (sched_wait_add(SCHED, t->index, key, ~0u, 0) < 0)
			return -ENOLCK;
		if (turn_park(t, SCHED_NEVER) == -EINTR)
			return -ERESTARTSYS;
	}
}

long sys_flock(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0], op = (u32)f->arg[1];
	struct ofd *o = fd_get_io(t, fd);

	if (!o)
		return -EBADF;
	u32 what = op & ~OP_NOWAIT;
	if (what != OP_SHARED && what != OP_EXCL && what != OP_UNLOCK)
		return -EINVAL;
	if (!o->vnode)
		return 0;
	struct file_lock want = {.end = LOCK_END,
				 .kind = LOCK_FLOCK,
				 .owner = ofd_index(o),
				 .exclusive = what == OP_EXCL};
	return lock_apply(t, fd, &want, what == OP_UNLOCK, !(op & OP_NOWAIT));
}

/* The range of a struct flock, absolute. */
static long range_of(const struct ofd *o, u32 fd, const struct flock *fl, struct file_lock *ret)
{
	struct stat st;
	s64 base = 0;

	if (fl->l_whence == 1 && o->kind == OFD_HOST_FILE) {
		base = SYS3(NR_lseek, fd, 0, 1);
	} else if (fl->l_whence == 2) {
		if (SYS2(NR_fstat, fd, &st) < 0)
			return -EBADF;
		base = (s64)st.st_size;
	} else if (fl->l_whence > 2 || fl->l_whence < 0) {
		return -EINVAL;
	}
	s64 start = base + fl->l_start, end = LOCK_END;
	if (fl->l_len > 0) {
		end = start + fl->l_len - 1;
	} else if (fl->l_len < 0) {
		end = start - 1;
		start += fl->l_len;
	}
	if (start < 0)
		return -EINVAL;
	if (end < start)
		return -EOVERFLOW;
	ret->start = start;
	ret->end = end;
	return 0;
}

static long lock_query(struct task *t, const struct ofd *o, const struct file_lock *want,
		       struct flock *fl, u64 user)
{
	const struct file_lock *l = conflict(vnode_at(o->vnode), want);

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
	if (!o->vnode)
		return -EINVAL;
	if (ofd && fl.l_pid)
		return -EINVAL;
	long r = range_of(o, fd, &fl, &want);
	if (r < 0)
		return r;
	if (fl.l_type != F_RDLCK && fl.l_type != F_WRLCK && (query || fl.l_type != F_UNLCK))
		return -EINVAL;
	want.exclusive = fl.l_type == F_WRLCK;
	if (query)
		return lock_query(t, o, &want, &fl, user);
	u32 mode = o->flags & O_ACCMODE;
	if ((fl.l_type == F_RDLCK && mode == O_WRONLY) ||
	    (fl.l_type == F_WRLCK && mode == O_RDONLY))
		return -EBADF;
	return lock_apply(t, fd, &want, fl.l_type == F_UNLCK,
			  request == F_SETLKW || request == F_OFD_SETLKW);
}
