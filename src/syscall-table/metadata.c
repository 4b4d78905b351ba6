/*
 * Modes, owners and times: the container's own, in the vnode, and given to the host as well where
 * it lets us (what a run leaves behind should look right).  Whether the host would have allowed it
 * never shows.
 */
#include "credentials.h"
#include "lookup.h"
#include "pty.h"
#include "socket.h"
#include "notify.h"

#define NS_PER_SEC 1000000000ll

/* The file a call means, by path or descriptor. */
struct target {
	struct path p; /* unset if by_fd */
	bool by_fd;
	bool is_held; /* by a number only: to the kernel it names SHIM_FD_HOLDER */
	u32 fd;
	u32 vnode;
	u32 at_flags;
	struct stat st;
};

static long target_fd(struct task *t, u32 fd, bool io, struct target *ret)
{
	struct ofd *o = io ? fd_get_io(t, fd) : fd_get(t, fd);

	if (!o)
		return -EBADF;
	ret->by_fd = true;
	ret->is_held = o->kind != OFD_HOST_FILE && o->kind != OFD_HOST_DIR && o->kind != OFD_PATH;
	ret->fd = fd;
	ret->vnode = o->vnode;
	if (!o->vnode)
		return LOOKUP_SPECIAL;
	return SYS2(NR_fstat, fd, &ret->st);
}

/* Links of /proc lead to files: C libraries change modes by way of /proc/self/fd. */
static long target_special(struct task *t, struct target *ret)
{
	u32 fd;

	long r = special_target(t, &ret->p, &ret->st, &ret->vnode, &fd);
	return r == SPECIAL_FD ? target_fd(t, fd, false, ret) : r;
}

static long target_path(struct task *t, s32 dirfd, u64 user, u32 at_flags, struct target *ret)
{
	if (at_flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	long r = path_in(t, dirfd, user, path_flags(at_flags), &ret->p);
	if (r < 0)
		return r;
	if (ret->p.is_empty && dirfd != AT_FDCWD)
		return target_fd(t, (u32)dirfd, false, ret);
	ret->by_fd = ret->is_held = false;
	ret->at_flags = at_flags & AT_SYMLINK_NOFOLLOW;
	r = lookup(t, &ret->p, ret->at_flags, &ret->st, &ret->vnode);
	return r == LOOKUP_SPECIAL && !ret->at_flags ? target_special(t, ret) : r;
}

/* The pseudo terminal that a target without a vnode is; NULL: something else. */
static struct pty *target_pty(struct task *t, const struct target *g)
{
	return g->by_fd ? pty_behind(fd_get(t, g->fd)) : pty_named(g->p.abs);
}

/* Only a file's owner, or who may act as one, changes its mode and times; special files but
 * terminals are nobody's. */
static long owner_check(struct task *t, const struct vnode *v)
{
	return proc_of(t)->fsuid == v->uid || vnode_capable(t, v, CAP_FOWNER) ? 0 : -EPERM;
}

static void target_told(struct task *t, const struct target *g, u32 mask)
{
	if (g->by_fd)
		notify_changed(fd_get(t, g->fd), mask);
	else
		notify_path(&g->p, g->at_flags, g->vnode, mask);
}

/* ---- modes ---- */

static void host_chmod(const struct target *g, u32 mode)
{
	bool dir = (vnode_at(g->vnode)->mode & S_IFMT) == S_IFDIR;

	mode = host_mode(mode) | (dir && HEAD->config.replay ? 0100 : 0);
	if (g->is_held)
		return;
	capture_before_metadata(g->vnode);
	if (g->by_fd && SYS2(NR_fchmod, g->fd, mode) == -EBADF)
		SYS4(NR_fchmodat2, g->fd, "", mode, AT_EMPTY_PATH); /* O_PATH; since Linux 6.6 */
	else if (!g->by_fd)
		SYS3(NR_fchmodat, g->p.dirfd, g->p.name, mode);
}

static long set_mode(struct task *t, struct vnode *v, u32 mode)
{
	const struct proc *p = proc_of(t);

	long r = owner_check(t, v);
	if (r < 0)
		return r;
	if ((v->mode & S_IFMT) == S_IFLNK)
		return -EOPNOTSUPP;
	mode &= 07777;
	if (vnode_seals(v) & F_SEAL_EXEC && (mode ^ v->mode) & 0111)
		return -EPERM;
	if (p->fsgid != v->gid && !vnode_capable(t, v, CAP_FSETID))
		mode &= ~(u32)S_ISGID;
	v->mode = (v->mode & S_IFMT) | mode;
	FILES->search_generation += (v->mode & S_IFMT) == S_IFDIR;
	vnode_touch_meta(v);
	return 0;
}

static long change_mode(struct task *t, const struct target *g, u32 mode)
{
	struct vnode *v = vnode_at(g->vnode);

	long r = set_mode(t, v, mode);
	if (r < 0)
		return r;
	host_chmod(g, v->mode & 07777);
	target_told(t, g, IN_ATTRIB);
	return 0;
}

/* Of what the container has no vnode of; `error` if it is no terminal either. */
static long change_mode_special(struct task *t, const struct target *g, u32 mode, long error)
{
	struct pty *p = target_pty(t, g);
	struct vnode v;

	if (!p)
		return error;
	pty_owner(p, &v);
	long r = set_mode(t, &v, mode);
	if (!r)
		pty_set_owner(p, &v);
	return r;
}

static long chmod_path(struct task *t, s32 dirfd, u64 user, u32 mode, u32 at_flags)
{
	struct target g;

	long r = target_path(t, dirfd, user, at_flags, &g);
	if (r == LOOKUP_SPECIAL)
		return change_mode_special(t, &g, mode, -EPERM);
	return r < 0 ? r : change_mode(t, &g, mode);
}

long sys_chmod(struct task *t, struct frame *f)
{
	return chmod_path(t, AT_FDCWD, f->arg[0], (u32)f->arg[1], 0);
}

long sys_fchmodat(struct task *t, struct frame *f)
{
	return chmod_path(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], 0);
}

long sys_fchmodat2(struct task *t, struct frame *f)
{
	return chmod_path(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], (u32)f->arg[3]);
}

long sys_fchmod(struct task *t, struct frame *f)
{
	struct target g;

	long r = target_fd(t, (u32)f->arg[0], true, &g);
	struct ofd *o = fd_get_io(t, (u32)f->arg[0]);
	if (o && o->kind == OFD_SOCKET)
		return socket_chmod(t, o, (u32)f->arg[1]);
	if (r == LOOKUP_SPECIAL) {
		bool synth = o && (o->kind == OFD_SYNTH_FILE || o->kind == OFD_SYNTH_DIR);
		return change_mode_special(t, &g, (u32)f->arg[1],
					   !synth && capable(t, CAP_FOWNER) ? 0 : -EPERM);
	}
	return r < 0 ? r : change_mode(t, &g, (u32)f->arg[1]);
}

/* ---- owners ---- */

static bool may_give_group(const struct proc *p, const struct vnode *v, u32 gid)
{
	return gid == NONE || gid == v->gid || in_group(p, gid, p->fsgid);
}

static long set_owner(struct task *t, struct vnode *v, u32 uid, u32 gid)
{
	const struct proc *p = proc_of(t);
	bool own =
		p->fsuid == v->uid && (uid == NONE || uid == v->uid) && may_give_group(p, v, gid);

	if (!own && !vnode_capable(t, v, CAP_CHOWN))
		return -EPERM;
	if (uid != NONE)
		v->uid = uid;
	if (gid != NONE)
		v->gid = gid;
	if ((v->mode & S_IFMT) == S_IFREG)
		v->mode &= v->mode & S_IXGRP ? ~(u32)(S_ISUID | S_ISGID) : ~(u32)S_ISUID;
	FILES->search_generation += (v->mode & S_IFMT) == S_IFDIR;
	vnode_touch_meta(v);
	return 0;
}

static long change_owner(struct task *t, const struct target *g, u32 uid, u32 gid)
{
	struct vnode *v = vnode_at(g->vnode);
	u32 old_mode = v->mode;

	long r = set_owner(t, v, uid, gid);
	if (r < 0)
		return r;
	if (uid != NONE || gid != NONE || v->mode != old_mode)
		target_told(t, g, IN_ATTRIB);
	/* A replay is mostly not allowed to, and its files are nobody's but the replayer's. */
	if (HEAD->config.replay || g->is_held)
		return 0;
	capture_before_metadata(g->vnode);
	if (g->by_fd)
		SYS5(NR_fchownat, g->fd, "", uid, gid, AT_EMPTY_PATH);
	else
		SYS5(NR_fchownat, g->p.dirfd, g->p.name, uid, gid, g->at_flags);
	return 0;
}

static long change_owner_special(struct task *t, const struct target *g, const u64 *ids, long error)
{
	struct pty *p = target_pty(t, g);
	struct vnode v;

	if (!p)
		return error;
	pty_owner(p, &v);
	long r = set_owner(t, &v, (u32)ids[0], (u32)ids[1]);
	if (!r)
		pty_set_owner(p, &v);
	return r;
}

static long chown_path(struct task *t, s32 dirfd, const u64 *arg, u32 at_flags)
{
	struct target g;

	long r = target_path(t, dirfd, arg[0], at_flags, &g);
	if (r == LOOKUP_SPECIAL)
		return change_owner_special(t, &g, arg + 1, -EPERM);
	return r < 0 ? r : change_owner(t, &g, (u32)arg[1], (u32)arg[2]);
}

long sys_chown(struct task *t, struct frame *f)
{
	return chown_path(t, AT_FDCWD, f->arg, 0);
}

long sys_lchown(struct task *t, struct frame *f)
{
	return chown_path(t, AT_FDCWD, f->arg, AT_SYMLINK_NOFOLLOW);
}

long sys_fchownat(struct task *t, struct frame *f)
{
	return chown_path(t, (s32)f->arg[0], f->arg + 1, (u32)f->arg[4]);
}

long sys_fchown(struct task *t, struct frame *f)
{
	struct target g;

	long r = target_fd(t, (u32)f->arg[0], true, &g);
	if (r == LOOKUP_SPECIAL)
		return change_owner_special(t, &g, f->arg + 1, capable(t, CAP_CHOWN) ? 0 : -EPERM);
	return r < 0 ? r : change_owner(t, &g, (u32)f->arg[1], (u32)f->arg[2]);
}

/* ---- times ---- */

/* New access and modification time: nsec may be UTIME_NOW or UTIME_OMIT. */
struct times {
	struct {
		s64 sec, nsec;
	} v[2];
};
#define UTIME_IS_NOW  0x3fffffff
#define UTIME_IS_OMIT 0x3ffffffe

static s64 time_value(s64 sec, s64 nsec, s64 old)
{
	if (nsec == UTIME_IS_NOW)
		return (s64)now_ns();
	return nsec == UTIME_IS_OMIT ? old : sec * NS_PER_SEC + nsec;
}

/* The host gets real values, so that what is left behind shows the container's times. */
static void host_times(const struct target *g, const struct vnode *v)
{
	s64 ts[4] = {v->atime_ns / NS_PER_SEC, v->atime_ns % NS_PER_SEC, v->mtime_ns / NS_PER_SEC,
		     v->mtime_ns % NS_PER_SEC};

	if (g->is_held)
		return;
	capture_before_metadata(g->vnode);
	if (g->by_fd)
		SYS4(NR_utimensat, g->fd, "", ts, AT_EMPTY_PATH);
	else
		SYS4(NR_utimensat, g->p.dirfd, g->p.name, ts, g->at_flags);
}

/* What a change of times is told as. */
static u32 times_mask(const struct times *n)
{
	if (n->v[0].nsec == UTIME_IS_OMIT)
		return IN_MODIFY;
	return n->v[1].nsec == UTIME_IS_OMIT ? IN_ACCESS : IN_ATTRIB;
}

static long change_times(struct task *t, const struct target *g, const struct times *n)
{
	struct vnode *v = vnode_at(g->vnode);
	bool now = n->v[0].nsec == UTIME_IS_NOW && n->v[1].nsec == UTIME_IS_NOW;

	long r = owner_check(t, v);
	/* "touch" to now needs no more than the right to write. */
	if (r < 0 && (!now || vnode_permission(t, v, 2, false) < 0))
		return now ? -EACCES : r;
	v->atime_ns = time_value(n->v[0].sec, n->v[0].nsec, v->atime_ns);
	v->mtime_ns = time_value(n->v[1].sec, n->v[1].nsec, v->mtime_ns);
	vnode_touch_meta(v);
	host_times(g, v);
	target_told(t, g, times_mask(n));
	return 0;
}

static bool nsec_valid(s64 nsec)
{
	return (nsec >= 0 && nsec < NS_PER_SEC) || nsec == UTIME_IS_NOW || nsec == UTIME_IS_OMIT;
}

static void times_now(struct times *n)
{
	n->v[0].sec = n->v[1].sec = 0;
	n->v[0].nsec = n->v[1].nsec = UTIME_IS_NOW;
}

static long times_path(struct task *t, s32 dirfd, u64 user, u32 at_flags, const struct times *n)
{
	struct target g;
	long r;

	if (!user && dirfd != AT_FDCWD)
		r = target_fd(t, (u32)dirfd, true, &g);
	else
		r = target_path(t, dirfd, user, at_flags, &g);
	if (r == LOOKUP_SPECIAL)
		return 0;
	return r < 0 ? r : change_times(t, &g, n);
}

long sys_utimensat(struct task *t, struct frame *f)
{
	struct times n;

	times_now(&n);
	if (f->arg[2] && user_get(n, f->arg[2]))
		return -EFAULT;
	if (!nsec_valid(n.v[0].nsec) || !nsec_valid(n.v[1].nsec))
		return -EINVAL;
	if (f->arg[2])
		digest_bytes(t, &n, sizeof(n));
	/* Not even the path is looked at. */
	if (n.v[0].nsec == UTIME_IS_OMIT && n.v[1].nsec == UTIME_IS_OMIT)
		return 0;
	return times_path(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[3], &n);
}

/* The older calls give microseconds, or seconds. */
static long utimes_at(struct task *t, s32 dirfd, u64 path, u64 user)
{
	struct times n;

	times_now(&n);
	if (user && user_get(n, user))
		return -EFAULT;
	if (user) {
		digest_bytes(t, &n, sizeof(n));
		for (int i = 0; i < 2; i++) {
			if (n.v[i].nsec < 0 || n.v[i].nsec >= 1000000)
				return -EINVAL;
			n.v[i].nsec *= 1000;
		}
	}
	return times_path(t, dirfd, path, 0, &n);
}

long sys_utimes(struct task *t, struct frame *f)
{
	return utimes_at(t, AT_FDCWD, f->arg[0], f->arg[1]);
}

long sys_futimesat(struct task *t, struct frame *f)
{
	return utimes_at(t, (s32)f->arg[0], f->arg[1], f->arg[2]);
}

long sys_utime(struct task *t, struct frame *f)
{
	s64 seconds[2];
	struct times n;

	times_now(&n);
	if (f->arg[1]) {
		if (user_get(seconds, f->arg[1]))
			return -EFAULT;
		digest_bytes(t, seconds, sizeof(seconds));
		for (int i = 0; i < 2; i++) {
			n.v[i].sec = seconds[i];
			n.v[i].nsec = 0;
		}
	}
	return times_path(t, AT_FDCWD, f->arg[0], 0, &n);
}
