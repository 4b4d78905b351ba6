/*
 * Extended attributes: there are none, and none can be set.  Which of them the host's file system
 * supports, shows or has set itself (security labels) must not be visible.
 */
#include "lookup.h"

/* Whether the file is there decides first, as in Linux. */
static long check_path(struct task *t, s32 dirfd, u64 user, u32 at_flags)
{
	struct path p;
	struct vstat v;

	long r = path_in(t, dirfd, user, path_flags(at_flags), &p);
	return r < 0 ? r : path_stat(t, &p, at_flags & AT_SYMLINK_NOFOLLOW, &v);
}

static long check_name(struct task *t, u64 user)
{
	char name[256];

	long n = user_string_in(name, user, sizeof(name));
	if (n <= 0)
		return n == -EFAULT ? -EFAULT : -ERANGE;
	digest_bytes(t, name, (u64)n);
	return 0;
}

/* The answer to get, set and remove once file and name are known to be there. */
static long unsupported(long r, struct task *t, u64 name, u32 nr, bool change)
{
	if (r >= 0)
		r = check_name(t, name);
	if (r < 0)
		return r;
	if (change)
		HEAD->refused_count[nr]++;
	return -EOPNOTSUPP;
}

#define FOLLOW	 0
#define NOFOLLOW AT_SYMLINK_NOFOLLOW

long sys_setxattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], FOLLOW), t, f->arg[1], NR_setxattr,
			   true);
}

long sys_lsetxattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], NOFOLLOW), t, f->arg[1], NR_lsetxattr,
			   true);
}

long sys_getxattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], FOLLOW), t, f->arg[1], NR_getxattr,
			   false);
}

long sys_lgetxattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], NOFOLLOW), t, f->arg[1], NR_lgetxattr,
			   false);
}

long sys_removexattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], FOLLOW), t, f->arg[1], NR_removexattr,
			   true);
}

long sys_lremovexattr(struct task *t, struct frame *f)
{
	return unsupported(check_path(t, AT_FDCWD, f->arg[0], NOFOLLOW), t, f->arg[1],
			   NR_lremovexattr, true);
}

static long check_fd(struct task *t, u64 fd)
{
	return fd_get_io(t, (u32)fd) ? 0 : -EBADF;
}

long sys_fsetxattr(struct task *t, struct frame *f)
{
	return unsupported(check_fd(t, f->arg[0]), t, f->arg[1], NR_fsetxattr, true);
}

long sys_fgetxattr(struct task *t, struct frame *f)
{
	return unsupported(check_fd(t, f->arg[0]), t, f->arg[1], NR_fgetxattr, false);
}

long sys_fremovexattr(struct task *t, struct frame *f)
{
	return unsupported(check_fd(t, f->arg[0]), t, f->arg[1], NR_fremovexattr, true);
}

long sys_listxattr(struct task *t, struct frame *f)
{
	return check_path(t, AT_FDCWD, f->arg[0], FOLLOW);
}

long sys_llistxattr(struct task *t, struct frame *f)
{
	return check_path(t, AT_FDCWD, f->arg[0], NOFOLLOW);
}

long sys_flistxattr(struct task *t, struct frame *f)
{
	return check_fd(t, f->arg[0]);
}

/* The family of 6.13: (dirfd, path, at_flags, name...). */
static long check_at(struct task *t, struct frame *f)
{
	if (f->arg[2] & ~(u64)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	return check_path(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2]);
}

long sys_setxattrat(struct task *t, struct frame *f)
{
	return unsupported(check_at(t, f), t, f->arg[3], NR_setxattrat, true);
}

long sys_getxattrat(struct task *t, struct frame *f)
{
	return unsupported(check_at(t, f), t, f->arg[3], NR_getxattrat, false);
}

long sys_listxattrat(struct task *t, struct frame *f)
{
	return check_at(t, f);
}

long sys_removexattrat(struct task *t, struct frame *f)
{
	return unsupported(check_at(t, f), t, f->arg[3], NR_removexattrat, true);
}
