/*
 * read, write and their variants, and the kinds of files the kernel reads and writes for us.
 *
 * Regular files never block, so they go straight to the kernel with the app's own addresses (a
 * fault there is the kernel's EFAULT); what was moved is folded into the digest afterwards, when
 * it is proven readable.
 */
#include <asm/stat.h>
#include <linux/fs.h>
#include "code_pages.h"
#include "credentials.h"
#include "lookup.h"
#include "file_kinds.h"
#include "notify.h"
#include "io_vector.h"
#include "position.h"
#include "process.h"
#include "ready.h"

/* The kernel would write over our own memory as gladly as over the app's. */
static bool range_is_app(u64 base, u64 len)
{
	return base + len <= SHIM_BASE || base >= SHIM_LIMIT || !len;
}

static bool iov_is_app(const struct file_io *io)
{
	for (u32 i = 0; i < io->count && !io->inside; i++) {
		if (!range_is_app(io->iov[i].base, io->iov[i].len))
			return false;
	}
	return true;
}

static void fold_moved(struct task *t, const struct file_io *io, u64 moved)
{
	for (u32 i = 0; i < io->count && moved; i++) {
		u64 n = io->iov[i].len < moved ? io->iov[i].len : moved;
		digest_user(t, io->iov[i].base, n);
		moved -= n;
	}
}

/* One copy between the operation's memory and ours. */
static long io_copy(const struct file_io *io, u64 at, void *to, const void *from, u64 size)
{
	u64 done = 0;

	for (u32 i = 0; i < io->count && done < size; i++) {
		u64 len = io->iov[i].len, base = io->iov[i].base + at;
		if (at >= len) {
			at -= len;
			continue;
		}
		u64 n = len - at < size - done ? len - at : size - done;
		at = 0;
		if (io->inside && to)
			memcpy((u8 *)to + done, (const void *)base, n);
		else if (io->inside)
			memcpy((void *)base, (const u8 *)from + done, n);
		else if (to ? user_copy_in((u8 *)to + done, base, n)
			    : user_copy_out(base, (const u8 *)from + done, n))
			return -EFAULT;
		done += n;
	}
	return 0;
}

long io_take(struct task *t, const struct file_io *io, u64 at, void *to, u64 size)
{
	long r = io_copy(io, at, to, NULL, size);

	if (!r)
		digest_bytes(t, to, size);
	return r;
}

long io_peek(const struct file_io *io, u64 at, void *to, u64 size)
{
	return io_copy(io, at, to, NULL, size);
}

long io_give(struct task *t, const struct file_io *io, u64 at, const void *from, u64 size)
{
	long r = io_copy(io, at, NULL, from, size);

	if (!r)
		digest_bytes(t, from, size);
	return r;
}

/* ---- regular files ---- */

/* Neither the kernel's nor ours: what the kernel need not be asked about. */
static bool iov_is_low(const struct file_io *io)
{
	for (u32 i = 0; i < io->count; i++) {
		if (io->iov[i].base > SHIM_BASE || io->iov[i].len > SHIM_BASE - io->iov[i].base)
			return false;
	}
	return true;
}

static long host_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	long r;

	if (!iov_is_app(io))
		return -EFAULT;
	if (position_is_end(o, io->offset, io->total) && iov_is_low(io))
		return 0;
	if (io->count == 1 && io->offset < 0)
		r = SYS3(NR_read, io->fd, io->iov->base, io->iov->len);
	else if (io->offset < 0)
		r = SYS3(NR_readv, io->fd, io->iov, io->count);
	else
		r = SYS5(NR_preadv, io->fd, io->iov, io->count, io->offset, 0);
	if (r <= 0)
		return r;
	fold_moved(t, io, (u64)r);
	if (io->offset < 0)
		position_read(o, (u64)r);
	return r;
}

static void wrote(struct task *t, struct ofd *o, const struct file_io *io, u64 size)
{
	struct vnode *v = vnode_at(o->vnode);
	s64 begin = position_of_write(o, io->offset);

	vnode_wrote(v);
	capture_wrote(o, io->fd, begin, size);
	position_wrote(o, io->offset, begin, size);
	/* As the kernel: a write by anyone but root takes the set-id bits away. */
	if (v->mode & (S_ISUID | S_ISGID) && !capable(t, CAP_FSETID))
		v->mode &= v->mode & S_IXGRP ? ~(u32)(S_ISUID | S_ISGID) : ~(u32)S_ISUID;
}

static long host_write_all(struct task *t, struct ofd *o, const struct file_io *io)
{
	long r;

	if (!iov_is_app(io))
		return -EFAULT;
	capture_before_write(o, (s32)io->fd);
	if (io->append)
		r = SYS6(NR_pwritev2, io->fd, io->iov, io->count, io->offset, 0, RWF_APPEND);
	else if (io->count == 1 && io->offset < 0)
		r = SYS3(NR_write, io->fd, io->iov->base, io->iov->len);
	else if (io->offset < 0)
		r = SYS3(NR_writev, io->fd, io->iov, io->count);
	else
		r = SYS5(NR_pwritev, io->fd, io->iov, io->count, io->offset, 0);
	if (r == -ENOSPC || r == -EDQUOT)
		shim_host_failed("no space left on the disk the program writes to");
	/* Nothing was copied, but it may be longer now, and has a new mtime. */
	if (r == -EFAULT) {
		vnode_touch(vnode_at(o->vnode));
		size_doubted(vnode_at(o->vnode));
	}
	if (r <= 0)
		return r;
	fold_moved(t, io, (u64)r);
	wrote(t, o, io, (u64)r);
	if (o->object)
		stream_copy(o->object, io, (u64)r);
	return r;
}

/* Only the first `room` bytes. */
static long host_write_some(struct task *t, struct ofd *o, const struct file_io *io, u64 room)
{
	struct user_iov *iov = heap_alloc(io->count * sizeof(*iov));
	struct file_io some = *io;

	some.iov = iov;
	some.total = room;
	for (some.count = 0; room > 0; some.count++) {
		iov[some.count] = io->iov[some.count];
		if (iov[some.count].len > room)
			iov[some.count].len = room;
		room -= iov[some.count].len;
	}
	long r = host_write_all(t, o, &some);

	heap_free(iov);
	return r;
}

/* Where a write would begin, which our books need not know. */
static u64 write_begin(const struct ofd *o, const struct file_io *io)
{
	s64 begin = position_of_write(o, io->offset);
	struct stat st;

	if (begin >= 0)
		return (u64)begin;
	if (!(o->flags & O_APPEND))
		return (u64)SYS3(NR_lseek, io->fd, 0, SEEK_CUR);
	return SYS2(NR_fstat, io->fd, &st) < 0 ? 0 : (u64)st.st_size;
}

static long host_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	if (!limits_file_size(t) || io->total == 0)
		return host_write_all(t, o, io);
	u64 room = limits_file_room(t, write_begin(o, io));

	if (room == 0)
		return -EFBIG;
	return io->total <= room ? host_write_all(t, o, io) : host_write_some(t, o, io, room);
}

static long host_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	struct stat st;
	u64 size;

	(void)t;
	if (o->kind == OFD_HOST_FILE && o->vnode && size_shown(o, &size)) {
		st.st_size = (long)size;
		vnode_stat(o->vnode, &st, ret);
		return 0;
	}
	long r = SYS2(NR_fstat, fd, &st);
	if (r < 0)
		return r;
	if (o->vnode) {
		size_seen(vnode_at(o->vnode), (u64)st.st_size);
		vnode_stat(o->vnode, &st, ret);
	}
	return 0;
}

u32 file_always_ready(struct task *t, struct ofd *o)
{
	(void)t;
	(void)o;
	return POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
}

/* Files have no holes here: whether one shows is the host file system's business. */
static long seek_data(u32 fd, s64 offset, u32 whence)
{
	struct stat st;

	long r = SYS2(NR_fstat, fd, &st);
	if (r < 0)
		return r;
	if (offset < 0 || offset >= (s64)st.st_size)
		return -ENXIO;
	return SYS3(NR_lseek, fd, whence == SEEK_DATA ? offset : (s64)st.st_size, SEEK_SET);
}

static long host_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	long r = -EINVAL;

	(void)t;
	if (whence == SEEK_DATA || whence == SEEK_HOLE)
		r = seek_data(fd, offset, whence);
	else if (whence <= SEEK_END)
		r = SYS3(NR_lseek, fd, offset, whence);
	if (o->kind == OFD_HOST_FILE)
		position_moved(o, r);
	if (o->kind == OFD_HOST_FILE && r >= 0 && whence == SEEK_END)
		size_seen(vnode_at(o->vnode), (u64)(r - offset));
	return r;
}

static long host_fcntl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	(void)t;
	return memfd_fcntl(o, fd, request, arg);
}

const struct file_ops host_file_ops = {
	.read = host_read,
	.write = host_write,
	.poll = file_always_ready,
	.seek = host_seek,
	.fcntl = host_fcntl,
	.stat = host_stat,
	.splices = FILE_SPLICE_IN | FILE_SPLICE_OUT,
};

/* Without a vnode it is a name below /proc, /sys or /dev. */
static long path_ofd_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	if (o->vnode)
		return host_stat(t, o, fd, ret);
	return special_stat(t, o->path, !(o->flags & O_NOFOLLOW), ret);
}

const struct file_ops path_ops = {
	.stat = path_ofd_stat,
};

/* ---- the calls ---- */

/* In code the app wrote our breakpoints may stand, and the kernel cannot write to it while it is
 * executed. */
void io_prepare(struct task *t, const struct file_io *io)
{
	for (u32 i = 0; i < io->count && __builtin_expect(mm_of(t)->code_page_count, 0); i++)
		code_hide(mm_of(t), page_down(io->iov[i].base), io->iov[i].base + io->iov[i].len);
}

/* The description, if it can be read (written) like this; *ret is 0 or the errno. */
static struct ofd *io_target(struct task *t, const struct file_io *io, bool write, long *ret)
{
	struct ofd *o = fd_get_io(t, io->fd);

	*ret = -EBADF;
	if (!o)
		return NULL;
	const struct file_ops *ops = file_ops_of(o->kind);
	bool wrong_way = (o->flags & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY);
	if (io->offset >= 0 && !ops->seek)
		*ret = -ESPIPE;
	else if (!wrong_way)
		*ret = (write ? ops->write != NULL : ops->read != NULL) ? 0 : -EINVAL;
	return *ret ? NULL : o;
}

static bool goes_by_piece(const struct ofd *o, bool write)
{
	return file_ops_of(o->kind)->by_piece & (write ? FILE_WRITE_BY_PIECE : FILE_READ_BY_PIECE);
}

/* fs/read_write.c, do_loop_readv_writev. */
static long io_run_pieces(struct task *t, struct ofd *o, const struct file_io *io, bool write)
{
	struct file_io one = *io;
	u64 done = 0;
	long r = 0;

	/* Each may park us. */
	park_hold_begin(t, o);
	for (one.count = 1; done < io->total; one.iov++) {
		one.total = one.iov->len;
		r = write ? file_ops_of(o->kind)->write(t, o, &one)
			  : file_ops_of(o->kind)->read(t, o, &one);
		if (r > 0)
			done += (u64)r;
		if (r < 0 || (u64)r != one.total)
			break;
	}
	park_hold_end(t, o);
	return done ? (long)done : r;
}

static long io_run(struct task *t, struct ofd *o, struct file_io *io, bool write)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	io->nowait |= (o->flags & O_NONBLOCK) != 0;
	io_prepare(t, io);
	if (io->count > 1 && goes_by_piece(o, write))
		return io_run_pieces(t, o, io, write);
	return write ? ops->write(t, o, io) : ops->read(t, o, io);
}

/* The same while files are watched.  Of readv, as Linux has it, the end of a file is told as well;
 * and a vector without bytes asks nothing of the file. */
static long io_run_watched(struct task *t, struct ofd *o, struct file_io *io, bool write,
			   bool vector)
{
	/* It may be a FIFO, and wait. */
	park_hold_begin(t, o);
	long r = vector && !io->total ? 0 : io_run(t, o, io, write);
	if (r > 0 || (!r && vector && !write))
		notify_opened(o, write ? IN_MODIFY : IN_ACCESS);
	park_hold_end(t, o);
	return r;
}

/* As access_ok of the kernel: asked of the whole length, though less of it will be used. */
static bool can_be_app(u64 base, u64 len)
{
	return len <= APP_ADDR_MAX && base <= APP_ADDR_MAX - len;
}

static long io_single(struct task *t, struct frame *f, s64 offset, bool write)
{
	u64 len = f->arg[2] < FILE_IO_MAX ? f->arg[2] : FILE_IO_MAX;
	struct user_iov iov = {f->arg[1], len};
	struct file_io io = {
		.iov = &iov, .count = 1, .fd = (u32)f->arg[0], .total = len, .offset = offset};
	long r;
	struct ofd *o = io_target(t, &io, write, &r);

	if (!o)
		return r;
	if (!can_be_app(f->arg[1], f->arg[2]))
		return -EFAULT;
	return notify_on() ? io_run_watched(t, o, &io, write, false) : io_run(t, o, &io, write);
}

long sys_read(struct task *t, struct frame *f)
{
	return io_single(t, f, -1, false);
}

long sys_write(struct task *t, struct frame *f)
{
	return io_single(t, f, -1, true);
}

long sys_pread64(struct task *t, struct frame *f)
{
	return (s64)f->arg[3] < 0 ? -EINVAL : io_single(t, f, (s64)f->arg[3], false);
}

long sys_pwrite64(struct task *t, struct frame *f)
{
	return (s64)f->arg[3] < 0 ? -EINVAL : io_single(t, f, (s64)f->arg[3], true);
}

long io_vector_in(struct task *t, u64 user, u64 count, struct user_iov *iov, u64 *ret_total)
{
	u64 total = 0;

	if (count > FILE_IOV_MAX)
		return -EINVAL;
	if (user_copy_in(iov, user, count * sizeof(*iov)))
		return -EFAULT;
	for (u64 i = 0; i < count; i++) {
		if ((s64)iov[i].len < 0)
			return -EINVAL;
	}
	for (u64 i = 0; i < count; i++) {
		/* As the kernel, which cuts a single one first. */
		if (count == 1 && iov->len > FILE_IO_MAX)
			iov->len = FILE_IO_MAX;
		if (!can_be_app(iov[i].base, iov[i].len))
			return -EFAULT;
		if (iov[i].len > FILE_IO_MAX - total)
			iov[i].len = FILE_IO_MAX - total;
		total += iov[i].len;
	}
	digest_bytes(t, iov, count * sizeof(*iov));
	*ret_total = total;
	return 0;
}

#define RWF_KNOWN (RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND)

/* RWF_APPEND: to our books for the time of the call as if the description had O_APPEND. */
static long io_run_appending(struct task *t, struct ofd *o, struct file_io *io)
{
	u32 flags = o->flags;

	io->append = o->kind == OFD_HOST_FILE;
	if (io->append)
		o->flags |= O_APPEND;
	long r = notify_on() ? io_run_watched(t, o, io, true, true) : io_run(t, o, io, true);
	if (io->append)
		o->flags = flags;
	return r;
}

static long io_vector(struct task *t, struct frame *f, s64 offset, u32 rwf, bool write)
{
	struct user_iov iov[FILE_IOV_MAX];
	struct file_io io = {.iov = iov,
			     .count = (u32)f->arg[2],
			     .fd = (u32)f->arg[0],
			     .offset = offset,
			     .nowait = rwf & RWF_NOWAIT};
	long r;
	struct ofd *o = io_target(t, &io, write, &r);

	if (!o)
		return r;
	r = io_vector_in(t, f->arg[1], f->arg[2], iov, &io.total);
	if (r < 0)
		return r;
	if (io.total && rwf & ~(u32)(goes_by_piece(o, write) ? RWF_HIPRI : RWF_KNOWN))
		return -EOPNOTSUPP;
	if (io.total && write && rwf & RWF_APPEND)
		return io_run_appending(t, o, &io);
	if (notify_on())
		return io_run_watched(t, o, &io, write, true);
	return io.total ? io_run(t, o, &io, write) : 0;
}

long sys_readv(struct task *t, struct frame *f)
{
	return io_vector(t, f, -1, 0, false);
}

long sys_writev(struct task *t, struct frame *f)
{
	return io_vector(t, f, -1, 0, true);
}

long sys_preadv(struct task *t, struct frame *f)
{
	return (s64)f->arg[3] < 0 ? -EINVAL : io_vector(t, f, (s64)f->arg[3], 0, false);
}

long sys_pwritev(struct task *t, struct frame *f)
{
	return (s64)f->arg[3] < 0 ? -EINVAL : io_vector(t, f, (s64)f->arg[3], 0, true);
}

/* The second pair of calls takes offset -1 for the position, and flags. */
long sys_preadv2(struct task *t, struct frame *f)
{
	s64 offset = (s64)f->arg[3];

	return offset < -1 ? -EINVAL : io_vector(t, f, offset, (u32)f->arg[5], false);
}

long sys_pwritev2(struct task *t, struct frame *f)
{
	s64 offset = (s64)f->arg[3];

	return offset < -1 ? -EINVAL : io_vector(t, f, offset, (u32)f->arg[5], true);
}

#define WHENCE_MAX 4 /* SEEK_HOLE */

long sys_lseek(struct task *t, struct frame *f)
{
	struct ofd *o = fd_get_io(t, (u32)f->arg[0]);

	if (!o)
		return -EBADF;
	const struct file_ops *ops = file_ops_of(o->kind);
	if (!ops->seek && ops->seek_stays)
		return (u32)f->arg[2] <= WHENCE_MAX ? 0 : -EINVAL;
	if (!ops->seek)
		return -ESPIPE;
	return ops->seek(t, o, (u32)f->arg[0], (s64)f->arg[1], (u32)f->arg[2]);
}
