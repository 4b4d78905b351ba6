/*
 * The devices the container has: null, zero, full, random, urandom, tty, ptmx, and the names of
 * descriptors in /dev.  Other names below /proc, /sys and /dev go on to synth_*.
 */
#include <linux/random.h>
#include "file_kinds.h"
#include "lookup.h"
#include "pty.h"
#include "reopen.h"
#include "tty.h"

#define ENTROPY_BITS 256

struct device {
	const char *path;
	u32 kind; /* OFD_FREE: the terminal of the process, if it has one */
	u32 major, minor, ino, dev;
};

static const struct device devices[] = {
	{"/dev/null", OFD_NULL, 1, 3, 4, DEV_OF_DEVICES},
	{"/dev/zero", OFD_ZERO, 1, 5, 5, DEV_OF_DEVICES},
	{"/dev/full", OFD_FULL, 1, 7, 6, DEV_OF_DEVICES},
	{"/dev/random", OFD_RANDOM, 1, 8, 7, DEV_OF_DEVICES},
	{"/dev/urandom", OFD_RANDOM, 1, 9, 8, DEV_OF_DEVICES},
	{"/dev/tty", OFD_FREE, 5, 0, 9, DEV_OF_DEVICES},
	{"/dev/ptmx", OFD_PTY_MASTER, 5, 2, 10, DEV_OF_DEVICES},
	{"/dev/pts/ptmx", OFD_PTY_MASTER, 5, 2, 2, DEV_OF_PTS},
};
#define DEVICES (sizeof(devices) / sizeof(devices[0]))

static const struct device *device_find(const char *abs)
{
	for (u32 i = 0; i < DEVICES; i++) {
		if (!strcmp(devices[i].path, abs))
			return &devices[i];
	}
	return NULL;
}

/* The number N of "/dev/fd/N", "/dev/stdin" and so on. */
static bool fd_name(const char *abs, u32 *ret_fd)
{
	static const char *const names[] = {"/dev/stdin", "/dev/stdout", "/dev/stderr"};
	u32 n = 0;

	for (u32 i = 0; i < 3; i++) {
		if (!strcmp(abs, names[i])) {
			*ret_fd = i;
			return true;
		}
	}
	if (strncmp(abs, "/dev/fd/", 8) || !abs[8])
		return false;
	for (const char *d = abs + 8; *d; d++) {
		if (*d < '0' || *d > '9' || n > APP_FD_MAX)
			return false;
		n = n * 10 + (u32)(*d - '0');
	}
	*ret_fd = n;
	return true;
}

static void device_stat(const struct device *d, struct vstat *ret)
{
	ret->dev = d->dev;
	ret->ino = d->ino;
	ret->mode = S_IFCHR | 0666;
	ret->nlink = 1;
	ret->blksize = 4096;
	ret->rdev = d->major << 8 | d->minor;
	ret->mtime_ns = ret->ctime_ns = ret->atime_ns = ret->btime_ns =
		(s64)HEAD->config.start_time_ns;
}

static long install(struct task *t, const char *path, u32 kind, u32 flags)
{
	u32 shown = flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_PATH | O_NOFOLLOW);

	if (flags & O_DIRECT && kind != OFD_PATH)
		return -EINVAL;
	long o = ofd_create(kind,
			    kind == OFD_PATH ? shown & (O_PATH | O_NOFOLLOW) : shown | O_LARGEFILE);
	if (o < 0)
		return o;
	ofd_set_path(ofd_at((u32)o), path);
	return fd_install(t, (u32)o, flags);
}

/* The caller's terminal, which can be read only where it is stdin. */
static long outside_terminal_open(struct task *t, const char *path, u32 flags)
{
	if (HEAD->config.stdio[0].kind != STDIO_TTY)
		return -ENXIO;
	return install(t, path, OFD_CHANNEL_IN, flags);
}

/* /dev/tty. */
static long own_terminal_open(struct task *t, const char *path, u32 flags)
{
	struct tty *tty = proc_of(t)->ctty;

	if (!tty)
		return -ENXIO;
	if (!tty->ops)
		return outside_terminal_open(t, path, flags);
	return pty_open_slave(t, pty_of_tty(tty), path, flags);
}

static long device_open(struct task *t, const struct device *d, u32 flags)
{
	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_PATH)
		return install(t, d->path, OFD_PATH, flags);
	if (d->kind == OFD_FREE)
		return own_terminal_open(t, d->path, flags);
	if (d->kind == OFD_PTY_MASTER)
		return pty_open_master(t, d->path, flags);
	return install(t, d->path, d->kind, flags);
}

long link_open(struct task *t, const char *abs, u32 flags)
{
	return flags & O_DIRECTORY ? -ENOTDIR : install(t, abs, OFD_PATH, flags);
}

long terminal_open(struct task *t, const char *abs, u32 number, u32 flags)
{
	struct pty *p = pty_find(number);

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_PATH)
		return install(t, abs, OFD_PATH, flags);
	return p ? pty_open_slave(t, p, abs, flags) : outside_terminal_open(t, abs, flags);
}

long special_open(struct task *t, const char *abs, u32 flags, u32 mode)
{
	const struct device *d = device_find(abs);
	u32 fd;

	/* Nothing else counts beside it. */
	if (flags & O_PATH)
		flags &= O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	if (d)
		return device_open(t, d, flags);
	if (fd_name(abs, &fd))
		return file_reopen(t, t->proc, fd, flags);
	return synth_open(t, abs, flags, mode);
}

long special_stat(struct task *t, const char *abs, bool follow, struct vstat *ret)
{
	const struct device *d = device_find(abs);
	u32 fd;

	memset(ret, 0, sizeof(*ret));
	if (d) {
		device_stat(d, ret);
		return 0;
	}
	if (follow && fd_name(abs, &fd)) {
		struct ofd *o = fd_get(t, fd);
		return o ? fd_stat(t, o, fd, ret) : -ENOENT;
	}
	return synth_stat(t, abs, follow, ret);
}

long special_readlink(struct task *t, const char *abs, char *to, u32 size)
{
	static const char stdio[] = "/proc/self/fd/";
	u64 len = 0;
	u32 fd;

	if (device_find(abs))
		return -EINVAL;
	if (!strcmp(abs, "/dev/fd")) {
		str_format(to, size, &len, "/proc/self/fd");
		return (long)len;
	}
	if (strncmp(abs, "/dev/fd/", 8) && fd_name(abs, &fd)) {
		str_format(to, size, &len, "%s%u", stdio, fd);
		return (long)len;
	}
	return synth_readlink(t, abs, to, size);
}

/* ---- operations ---- */

static long null_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	(void)t;
	(void)o;
	(void)io;
	return 0;
}

static long swallow(struct task *t, struct ofd *o, const struct file_io *io)
{
	(void)t;
	(void)o;
	return (long)io->total;
}

static long zero_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	(void)t;
	(void)o;
	for (u32 i = 0; i < io->count; i++) {
		u64 base = io->iov[i].base, len = io->iov[i].len;
		if (io->inside)
			memset((void *)base, 0, len);
		else if ((base + len > SHIM_BASE && base < SHIM_LIMIT) || user_zero(base, len))
			return -EFAULT;
	}
	return (long)io->total;
}

static long full_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	(void)t;
	(void)o;
	(void)io;
	return -ENOSPC;
}

static long random_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	u8 bytes[256];
	u64 done = 0;

	(void)o;
	while (done < io->total) {
		u64 left = io->total - done, n = left < sizeof(bytes) ? left : sizeof(bytes);
		random_fill(bytes, n);
		if (io_give(t, io, done, bytes, n))
			return done ? (long)done : -EFAULT;
		done += n;
	}
	return (long)done;
}

static long stay_at_zero(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	(void)t;
	(void)o;
	(void)fd;
	(void)offset;
	return whence > 4 ? -EINVAL : 0;
}

static long stat_by_path(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)t;
	(void)fd;
	device_stat(device_find(o->path), ret);
	return 0;
}

/* The pool is always full; only root may do more than ask, and not in a container. */
static long random_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	s32 bits = ENTROPY_BITS;

	(void)o;
	(void)fd;
	if (request == RNDGETENTCNT)
		return tty_put(t, arg, &bits, sizeof(bits));
	return (request & 0xff00) == 'R' << 8 ? -EPERM : -EINVAL;
}

#define DEVICE_OPS(reader, writer, splicing)                                      \
	{                                                                         \
		.read = (reader), .write = (writer), .poll = file_always_ready,   \
		.seek = stay_at_zero, .stat = stat_by_path, .splices = (splicing) \
	}

const struct file_ops null_ops = DEVICE_OPS(null_read, swallow, FILE_SPLICE_OUT);
const struct file_ops zero_ops = DEVICE_OPS(zero_read, swallow, FILE_SPLICE_IN | FILE_SPLICE_OUT);
const struct file_ops full_ops = DEVICE_OPS(zero_read, full_write, FILE_SPLICE_IN);
const struct file_ops random_ops = {
	.read = random_read,
	.write = swallow,
	.poll = file_always_ready,
	.seek = stay_at_zero,
	.ioctl = random_ioctl,
	.stat = stat_by_path,
	.splices = FILE_SPLICE_IN | FILE_SPLICE_OUT,
};
