/*
 * fcntl and ioctl: what concerns every descriptor is answered here, the rest by the kind's
 * operations.
 */
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <linux/fiemap.h>
#include <linux/fs.h>
#include "async.h"
#include "file_kinds.h"
#include "lock.h"
#include "pipe.h"

#define SETTABLE_FLAGS (O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

static long set_cloexec(struct task *t, u32 fd, bool on)
{
	u32 *slot = &FILES->tables[proc_of(t)->files].fd[fd];

	*slot = on ? *slot | FD_CLOEXEC_BIT : *slot & ~FD_CLOEXEC_BIT;
	return SYS3(NR_fcntl, fd, F_SETFD, on ? FD_CLOEXEC : 0);
}

static long get_cloexec(struct task *t, u32 fd)
{
	return FILES->tables[proc_of(t)->files].fd[fd] & FD_CLOEXEC_BIT ? FD_CLOEXEC : 0;
}

/* Of standard input and output nothing is heard as long as nobody waits. */
static long set_async(struct ofd *o, u32 fd, bool on)
{
	if (on == ((o->flags & FASYNC) != 0))
		return 0;
	if (async_is_possible(o)) {
		async_switch(o, fd, on);
		return 0;
	}
	if (o->kind == OFD_CHANNEL_IN || o->kind == OFD_STREAM_OUT)
		HEAD->refused_count[NR_fcntl]++;
	return -ENOTTY;
}

/* Files of the host may be of any file system; the rest of ours have none that could. */
static bool can_be_direct(const struct ofd *o)
{
	return o->kind != OFD_SOCKET && o->kind != OFD_EPOLL;
}

static long set_flags(struct ofd *o, u32 fd, u32 flags)
{
	if (flags & O_DIRECT && !can_be_direct(o))
		return -EINVAL;
	set_async(o, fd, flags & FASYNC);
	o->flags = (o->flags & ~(u32)SETTABLE_FLAGS) | (flags & SETTABLE_FLAGS);
	/* Of these only where a write goes is left to the kernel. */
	if (o->kind == OFD_HOST_FILE)
		SYS3(NR_fcntl, fd, F_SETFL, O_NONBLOCK | (flags & O_APPEND));
	return 0;
}

static long fcntl_own(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	switch (request) {
	case F_GETFL:
		return (long)o->flags;
	case F_SETFL:
		return set_flags(o, fd, (u32)arg);
	case F_GETLK:
	case F_SETLK:
	case F_SETLKW:
	case F_OFD_GETLK:
	case F_OFD_SETLK:
	case F_OFD_SETLKW:
		return lock_fcntl(t, o, fd, request, arg);
	case F_GETPIPE_SZ:
	case F_SETPIPE_SZ:
		if (!is_pipe(o))
			return -EBADF;
		break;
	case F_GETLEASE:
		return F_UNLCK;
	/* As with leases-enable and dir-notify-enable of /proc/sys/fs at 0. */
	case F_SETLEASE:
	case F_NOTIFY:
		HEAD->refused_count[NR_fcntl]++;
		return -EINVAL;
	default:
		break;
	}
	long r = async_fcntl(t, o, request, arg);
	if (r != -ENOSYS)
		return r;
	const struct file_ops *ops = file_ops_of(o->kind);
	if (ops->fcntl)
		return ops->fcntl(t, o, fd, request, arg);
	return -EINVAL;
}

long sys_fcntl(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0], request = (u32)f->arg[1];
	struct ofd *o = fd_get(t, fd);

	if (!o)
		return -EBADF;
	switch (request) {
	case F_DUPFD:
		return fd_duplicate(t, fd, (u32)f->arg[2], 0);
	case F_DUPFD_CLOEXEC:
		return fd_duplicate(t, fd, (u32)f->arg[2], O_CLOEXEC);
	case F_GETFD:
		return get_cloexec(t, fd);
	case F_SETFD:
		return set_cloexec(t, fd, f->arg[2] & FD_CLOEXEC);
	default:
		break;
	}
	if (o->flags & O_PATH)
		return request == F_GETFL ? (long)o->flags : -EBADF;
	return fcntl_own(t, o, fd, request, f->arg[2]);
}

static long bytes_left(struct task *t, u32 fd, u64 user)
{
	struct stat st;

	if (SYS2(NR_fstat, fd, &st) < 0)
		return -EBADF;
	s32 left = (s32)((s64)st.st_size - SYS3(NR_lseek, fd, 0, 1));
	digest_u64(t, (u64)left);
	return user_put(user, left) ? -EFAULT : 0;
}

static long switch_async(struct task *t, struct ofd *o, u32 fd, u64 user)
{
	s32 on;

	if (user_get(on, user))
		return -EFAULT;
	digest_u64(t, (u64)on);
	return set_async(o, fd, on);
}

static long set_nonblock(struct task *t, struct ofd *o, u64 user)
{
	s32 on;

	if (user_get(on, user))
		return -EFAULT;
	digest_u64(t, (u64)on);
	o->flags = on ? o->flags | O_NONBLOCK : o->flags & ~(u32)O_NONBLOCK;
	return 0;
}

/* Every libc and file utility tries these and does without. */
static bool is_probe(u32 request)
{
	return request >> 8 == 0x54 /* of terminals */ || request == FS_IOC_GETFLAGS ||
	       request == FS_IOC_FSGETXATTR;
}

long sys_ioctl(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0], request = (u32)f->arg[1];
	struct ofd *o = fd_get_io(t, fd);

	if (!o)
		return -EBADF;
	const struct file_ops *ops = file_ops_of(o->kind);
	switch (request) {
	case FIOCLEX:
	case FIONCLEX:
		return set_cloexec(t, fd, request == FIOCLEX);
	case FIOASYNC:
		return switch_async(t, o, fd, f->arg[2]);
	case FIONBIO:
		return set_nonblock(t, o, f->arg[2]);
	case FICLONE:
	case FICLONERANGE:
	case FIDEDUPERANGE:
	case FS_IOC_FIEMAP:
		return -EOPNOTSUPP;
	case FIONREAD:
		if (o->kind == OFD_HOST_FILE || o->kind == OFD_SYNTH_FILE)
			return bytes_left(t, fd, f->arg[2]);
		break;
	default:
		break;
	}
	long r = ops->ioctl ? ops->ioctl(t, o, fd, request, f->arg[2]) : -ENOTTY;
	if (r == -ENOTTY && !is_probe(request))
		HEAD->refused_count[NR_ioctl]++;
	return r;
}
