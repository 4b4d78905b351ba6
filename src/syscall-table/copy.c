/*
 * sendfile and copy_file_range: read and write in chunks through our own memory, so that every
 * byte is in the digest and the result does not depend on what the host's file systems can do.
 */
#include <asm/stat.h>
#include "capture.h"
#include "notify.h"
#include "position.h"
#include "process.h"
#include "splice.h"

#define COPY_CHUNK 0x10000u

struct copying {
	struct task *t;
	struct ofd *in, *out;
	u32 in_fd, out_fd;
	s64 in_at, out_at; /* -1: the position */
	u64 size;
};

static bool is_file(const struct ofd *o)
{
	return o->kind == OFD_HOST_FILE || o->kind == OFD_SYNTH_FILE;
}

/* Bytes of the chunk that the output took. */
static long copy_out(struct copying *c, u8 *buf, u64 n)
{
	struct user_iov iov = {(u64)buf, n};
	struct file_io io = {.iov = &iov,
			     .count = 1,
			     .fd = c->out_fd,
			     .total = n,
			     .offset = c->out_at,
			     .nowait = c->out->flags & O_NONBLOCK,
			     .inside = true};

	if (!(file_ops_of(c->out->kind)->splices & FILE_SPLICE_OUT))
		return -EINVAL;
	long r = file_ops_of(c->out->kind)->write(c->t, c->out, &io);
	if (r > 0 && c->out_at >= 0)
		c->out_at += r;
	return r;
}

/* The output took less than was read: the input goes back to where it took. */
static void copy_unread(struct copying *c, u64 n)
{
	if (c->in_at < 0 && n)
		position_moved(c->in, SYS3(NR_lseek, c->in_fd, -(s64)n, 1));
}

/* Of a device there is always as much as is asked for, and no position; texts are made as they are
 * read. */
static long read_made(struct copying *c, u8 *buf, u64 want)
{
	struct user_iov iov = {(u64)buf, want};
	struct file_io io = {.iov = &iov,
			     .count = 1,
			     .fd = c->in_fd,
			     .total = want,
			     .offset = c->in_at,
			     .inside = true};

	return file_ops_of(c->in->kind)->read(c->t, c->in, &io);
}

static long read_file(struct copying *c, u8 *buf, u64 want)
{
	long got;

	if (position_is_end(c->in, c->in_at, want))
		return 0;
	if (c->in_at >= 0)
		got = SYS4(NR_pread64, c->in_fd, buf, want, c->in_at);
	else
		got = SYS3(NR_read, c->in_fd, buf, want);
	if (got <= 0)
		return got;
	if (c->in_at < 0)
		position_read(c->in, (u64)got);
	return got;
}

static long copy_chunk(struct copying *c, u8 *buf, u64 want)
{
	bool file = is_file(c->in);

	long got = c->in->kind == OFD_HOST_FILE ? read_file(c, buf, want) : read_made(c, buf, want);
	if (got <= 0)
		return got;
	long put = copy_out(c, buf, (u64)got);
	/* The sink may have parked us, and another thread may have closed the number. */
	if (fd_get(c->t, c->in_fd) != c->in)
		c->size = 0;
	else if (file)
		copy_unread(c, (u64)got - (put > 0 ? (u64)put : 0));
	if (put > 0 && c->in_at >= 0)
		c->in_at += put;
	return put;
}

/* The sink may park us for good: so nothing here is of the heap, and it is there until we return.
 */
static long copy_run(struct copying *c)
{
	u8 buf[COPY_CHUNK];
	u64 done = 0;
	long r = 0;

	park_hold_begin(c->t, c->in);
	park_hold_begin(c->t, c->out);
	while (done < c->size) {
		u64 want = c->size - done < COPY_CHUNK ? c->size - done : COPY_CHUNK;
		r = copy_chunk(c, buf, want);
		if (r <= 0)
			break;
		done += (u64)r;
	}
	park_hold_end(c->t, c->out);
	park_hold_end(c->t, c->in);
	return done ? (long)done : r;
}

static void copy_told(const struct copying *c, long result)
{
	if (result > 0 && fd_get(c->t, c->in_fd) == c->in)
		notify_opened(c->in, IN_ACCESS);
	if (result > 0 && fd_get(c->t, c->out_fd) == c->out)
		notify_opened(c->out, IN_MODIFY);
}

static long offset_in(struct task *t, u64 user, s64 *ret)
{
	*ret = -1;
	if (!user)
		return 0;
	if (user_get(*ret, user))
		return -EFAULT;
	digest_u64(t, (u64)*ret);
	return *ret < 0 ? -EINVAL : 0;
}

static long offset_out(u64 user, s64 value)
{
	return user && user_put(user, value) ? -EFAULT : 0;
}

static long copy_check(const struct copying *c)
{
	if (!c->in || !c->out || (c->in->flags & O_ACCMODE) == O_WRONLY ||
	    (c->out->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	return 0;
}

static s64 position(s64 at, u32 fd)
{
	return at >= 0 ? at : SYS3(NR_lseek, fd, 0, 1);
}

/* Into a pipe goes what fits, as with splice. */
static long send_to_pipe(struct copying *c)
{
	struct splicing s = {.t = c->t,
			     .in = c->in,
			     .out = c->out,
			     .in_fd = c->in_fd,
			     .out_fd = c->out_fd,
			     .in_at = c->in_at,
			     .out_at = -1,
			     .size = c->size,
			     .nowait = c->out->flags & O_NONBLOCK};

	long r = splice_into_pipe(&s);
	c->in_at = s.in_at;
	return r;
}

static long send_run(struct copying *c)
{
	const struct file_ops *in = file_ops_of(c->in->kind);
	bool to_pipe = is_pipe(c->out);

	if (!to_pipe && (!in->seek || c->out->flags & O_APPEND))
		return -EINVAL;
	if (!c->size)
		return 0;
	if (!(in->splices & FILE_SPLICE_IN))
		return -EINVAL;
	if (to_pipe)
		return send_to_pipe(c);
	/* One description: it is read and written from where it stood. */
	if (c->in == c->out && is_file(c->in))
		c->in_at = position(c->in_at, c->in_fd);
	return copy_run(c);
}

long sys_sendfile(struct task *t, struct frame *f)
{
	struct copying c = {.t = t,
			    .in_fd = (u32)f->arg[1],
			    .out_fd = (u32)f->arg[0],
			    .out_at = -1,
			    .size = f->arg[3] < FILE_IO_MAX ? f->arg[3] : FILE_IO_MAX};

	long r = offset_in(t, f->arg[2], &c.in_at);
	if (r == -EFAULT)
		return r;
	c.in = fd_get_io(t, c.in_fd);
	c.out = fd_get_io(t, c.out_fd);
	long denied = copy_check(&c);
	if (denied < 0)
		return denied;
	if (f->arg[2] && !file_ops_of(c.in->kind)->seek)
		return -ESPIPE;
	if (!r)
		r = send_run(&c);
	copy_told(&c, r);
	return r < 0 || !offset_out(f->arg[2], c.in_at) ? r : -EFAULT;
}

/* Of one file, no more is copied than is there now; true: that lies partly where it would go. */
static bool overlaps(struct copying *c)
{
	s64 in = position(c->in_at, c->in_fd), out = position(c->out_at, c->out_fd);
	struct stat st;

	SHIM_ASSERT(SYS2(NR_fstat, c->in_fd, &st) == 0);
	u64 there = (s64)st.st_size > in ? (u64)st.st_size - (u64)in : 0;
	if (c->size > there)
		c->size = there;
	return in < out + (s64)c->size && out < in + (s64)c->size;
}

/* In the order of generic_copy_file_checks of Linux. */
static long range_check(const struct copying *c)
{
	if (c->in->kind == OFD_HOST_DIR || c->out->kind == OFD_HOST_DIR)
		return -EISDIR;
	if (c->in->kind != OFD_HOST_FILE || c->out->kind != OFD_HOST_FILE)
		return -EINVAL;
	long r = copy_check(c);
	return r < 0 || !(c->out->flags & O_APPEND) ? r : -EBADF;
}

/* Cut once to what the limit leaves, unlike a sendfile, which runs into it. */
static long range_limit(struct copying *c)
{
	if (!limits_file_size(c->t))
		return 0;
	u64 room = limits_file_room(c->t, (u64)position(c->out_at, c->out_fd));
	if (c->size > room)
		c->size = room;
	return room ? 0 : -EFBIG;
}

long sys_copy_file_range(struct task *t, struct frame *f)
{
	struct copying c = {.t = t,
			    .in_fd = (u32)f->arg[0],
			    .out_fd = (u32)f->arg[2],
			    .size = f->arg[4] < FILE_IO_MAX ? f->arg[4] : FILE_IO_MAX};

	c.in = fd_get_io(t, c.in_fd);
	c.out = fd_get_io(t, c.out_fd);
	if (!c.in || !c.out)
		return -EBADF;
	long in = offset_in(t, f->arg[1], &c.in_at);
	long out = in == -EFAULT ? in : offset_in(t, f->arg[3], &c.out_at);
	if (out == -EFAULT)
		return out;
	long r = f->arg[5] ? -EINVAL : range_check(&c);
	if (!r)
		r = in ? in : out;
	if (!r)
		r = range_limit(&c);
	if (r < 0)
		return r;
	if (c.in->vnode == c.out->vnode && overlaps(&c))
		return -EINVAL;
	r = copy_run(&c);
	copy_told(&c, r);
	if (r >= 0 && (offset_out(f->arg[1], c.in_at) || offset_out(f->arg[3], c.out_at)))
		return -EFAULT;
	return r;
}
