/*
 * stat in all its forms, statx, access: one `struct vstat`, written out as each call wants it.
 */
#include <asm/stat.h>
#include "lookup.h"

#define NS_PER_SEC 1000000000ll

static long put_stat(struct task *t, u64 user, const struct vstat *v)
{
	struct stat st;

	memset(&st, 0, sizeof(st));
	st.st_dev = v->dev;
	st.st_ino = v->ino;
	st.st_nlink = v->nlink;
	st.st_mode = v->mode;
	st.st_uid = v->uid;
	st.st_gid = v->gid;
	st.st_rdev = v->rdev;
	st.st_size = (long)v->size;
	st.st_blksize = v->blksize;
	st.st_blocks = (long)v->blocks;
	st.st_atime = (u64)(v->atime_ns / NS_PER_SEC);
	st.st_atime_nsec = (u64)(v->atime_ns % NS_PER_SEC);
	st.st_mtime = (u64)(v->mtime_ns / NS_PER_SEC);
	st.st_mtime_nsec = (u64)(v->mtime_ns % NS_PER_SEC);
	st.st_ctime = (u64)(v->ctime_ns / NS_PER_SEC);
	st.st_ctime_nsec = (u64)(v->ctime_ns % NS_PER_SEC);
	digest_bytes(t, &st, sizeof(st));
	return user_put(user, st) ? -EFAULT : 0;
}

long stat_at(struct task *t, s32 dirfd, u64 user_path, u32 at_flags, struct vstat *ret)
{
	struct path p;
	u32 known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | AT_STATX_SYNC_TYPE;

	if (at_flags & ~known)
		return -EINVAL;
	long r = path_in(t, dirfd, user_path, path_flags(at_flags), &p);
	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	return path_stat(t, &p, at_flags & AT_SYMLINK_NOFOLLOW, ret);
}

static long stat_call(struct task *t, s32 dirfd, u64 path, u32 at_flags, u64 out)
{
	struct vstat v;

	long r = stat_at(t, dirfd, path, at_flags, &v);
	return r < 0 ? r : put_stat(t, out, &v);
}

long sys_stat(struct task *t, struct frame *f)
{
	return stat_call(t, AT_FDCWD, f->arg[0], 0, f->arg[1]);
}

long sys_lstat(struct task *t, struct frame *f)
{
	return stat_call(t, AT_FDCWD, f->arg[0], AT_SYMLINK_NOFOLLOW, f->arg[1]);
}

static long stat_fd(struct task *t, u32 fd, u64 out)
{
	struct ofd *o = fd_get(t, fd);
	struct vstat v;

	if (!o)
		return -EBADF;
	long r = fd_stat(t, o, fd, &v);
	return r < 0 ? r : put_stat(t, out, &v);
}

long sys_fstat(struct task *t, struct frame *f)
{
	return stat_fd(t, (u32)f->arg[0], f->arg[1]);
}

long sys_newfstatat(struct task *t, struct frame *f)
{
	char first;

	/* How glibc spells fstat: no path is worth the way through path_in. */
	if (f->arg[3] == AT_EMPTY_PATH && (s32)f->arg[0] >= 0 && !user_get(first, f->arg[1]) &&
	    !first)
		return stat_fd(t, (u32)f->arg[0], f->arg[2]);
	return stat_call(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[3], f->arg[2]);
}

static struct statx_timestamp statx_time(s64 ns)
{
	return (struct statx_timestamp){.tv_sec = ns / NS_PER_SEC,
					.tv_nsec = (u32)(ns % NS_PER_SEC)};
}

static long put_statx(struct task *t, u64 user, const struct vstat *v)
{
	struct statx x;

	memset(&x, 0, sizeof(x));
	x.stx_mask = STATX_BASIC_STATS | STATX_BTIME;
	x.stx_blksize = v->blksize;
	x.stx_nlink = v->nlink;
	x.stx_uid = v->uid;
	x.stx_gid = v->gid;
	x.stx_mode = (u16)v->mode;
	x.stx_ino = v->ino;
	x.stx_size = v->size;
	x.stx_blocks = v->blocks;
	x.stx_atime = statx_time(v->atime_ns);
	x.stx_btime = statx_time(v->btime_ns);
	x.stx_ctime = statx_time(v->ctime_ns);
	x.stx_mtime = statx_time(v->mtime_ns);
	x.stx_rdev_major = (u32)(v->rdev >> 8 & 0xfff);
	x.stx_rdev_minor = (u32)(v->rdev & 0xff) | (u32)(v->rdev >> 12 & 0xfff00);
	x.stx_dev_major = (u32)(v->dev >> 8 & 0xfff);
	x.stx_dev_minor = (u32)(v->dev & 0xff);
	digest_bytes(t, &x, sizeof(x));
	return user_put(user, x) ? -EFAULT : 0;
}

long sys_statx(struct task *t, struct frame *f)
{
	struct vstat v;

	if (f->arg[3] & STATX__RESERVED)
		return -EINVAL;
	long r = stat_at(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], &v);
	return r < 0 ? r : put_statx(t, f->arg[4], &v);
}

/* Permissions are the container's: the kernel is only asked what is there. */
static long access_at(struct task *t, s32 dirfd, u64 user_path, u32 mode, u32 at_flags)
{
	struct vnode v = {0};
	struct vstat st;

	if (mode & ~7u || at_flags & ~(u32)(AT_EACCESS | AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	long r = stat_at(t, dirfd, user_path, at_flags & ~(u32)AT_EACCESS, &st);
	if (r < 0 || !mode)
		return r;
	v.mode = st.mode;
	v.uid = st.uid;
	v.gid = st.gid;
	return vnode_permission(t, &v, mode, !(at_flags & AT_EACCESS));
}

long sys_access(struct task *t, struct frame *f)
{
	return access_at(t, AT_FDCWD, f->arg[0], (u32)f->arg[1], 0);
}

long sys_faccessat(struct task *t, struct frame *f)
{
	return access_at(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], 0);
}

long sys_faccessat2(struct task *t, struct frame *f)
{
	return access_at(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], (u32)f->arg[3]);
}
