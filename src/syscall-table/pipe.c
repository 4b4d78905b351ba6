/*
 * Pipes: bytes in a queue of the region, room counted in bytes, nothing of it in the kernel.
 *
 * A write of at most PIPE_ATOMIC bytes waits until it fits as a whole.  A longer one goes in
 * pieces, as soon as PIPE_ATOMIC bytes (or its rest) fit.  So a pipe with less room than that
 * counts as full: POLLOUT is off, and blocked writers are woken when the room comes back to it, not
 * at every byte read, as in Linux, where a page must have become free.
 *
 * The bytes lie in a queue (byte_queue.c).  What is written through a description with O_DIRECT
 * becomes packets: each takes a page's room, and a read takes no more than one.
 */
#include <asm/ioctls.h>
#include <asm/stat.h>
#include "credentials.h"
#include "pipe.h"
#include "../shim/signal.h"

#define PIPE_USER_MAX 1048576u /* /proc/sys/fs/pipe-max-size: what an ordinary user may set */
#define PIPE_ROOT_MAX 0x80000000u

struct pipe *pipe_create(struct task *t)
{
	struct pipe *p = heap_alloc(sizeof(*p));

	p->capacity = p->in.most = PIPE_CAPACITY;
	p->uid = proc_of(t)->fsuid;
	p->gid = proc_of(t)->fsgid;
	p->ino = READY_FIRST_INO + READY->next_ino++;
	p->born_ns = p->written_ns = p->read_ns = (s64)now_ns();
	return p;
}

static bool may_read(const struct ofd *o)
{
	return (o->flags & O_ACCMODE) != O_WRONLY;
}

static bool may_write(const struct ofd *o)
{
	return (o->flags & O_ACCMODE) != O_RDONLY;
}

void pipe_attach(struct pipe *p, struct ofd *o)
{
	o->state = p;
	p->descriptions++;
	if (may_read(o)) {
		p->readers++;
		p->reader_opens++;
	}
	if (may_write(o)) {
		p->writers++;
		p->writer_opens++;
	}
}

static void pipe_release(struct ofd *o)
{
	struct pipe *p = pipe_of(o);

	p->readers -= may_read(o);
	p->writers -= may_write(o);
	if (!--p->descriptions) {
		if (p->vnode)
			vnode_at(p->vnode)->fifo = 0;
		pipe_queue_free(p);
		heap_free(p);
	} else if (!p->readers != !p->writers) {
		ready_changed(pipe_key(p), READY_ALWAYS | POLLERR | POLLHUP);
	}
}

/* ---- read ---- */

static long take(struct task *t, struct pipe *p, const struct file_io *io)
{
	u64 n = pipe_readable(p, io->total);
	bool was_full = pipe_is_full(p);

	long r = byte_queue_give(t, &p->in, 0, io, 0, n);
	if (r < 0)
		return r;
	pipe_drop_read(p, n);
	pipe_taken(p, was_full);
	return (long)n;
}

void pipe_taken(struct pipe *p, bool was_full)
{
	p->read_ns = (s64)now_ns();
	if (was_full && !pipe_is_full(p))
		ready_changed(pipe_key(p), POLLOUT | POLLWRNORM);
	else if (READY->asyncs)
		async_changed(pipe_key(p), POLLOUT);
}

void pipe_given(struct pipe *p)
{
	p->written_ns = (s64)now_ns();
	ready_changed(pipe_key(p), POLLIN | POLLRDNORM);
}

static long wait_for_bytes(struct task *t, struct pipe *p)
{
	long r = 0;

	while (!r && !p->in.used && p->writers)
		r = ready_wait(t, pipe_key(p), POLLIN);
	return r;
}

static long pipe_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pipe *p = pipe_of(o);

	if (!io->total)
		return 0;
	if (p->in.used)
		return take(t, p, io);
	if (!p->writers)
		return 0;
	if (io->nowait)
		return -EAGAIN;
	park_hold_begin(t, o);
	long r = wait_for_bytes(t, p);
	if (!r && p->in.used)
		r = take(t, p, io);
	park_hold_end(t, o);
	return r;
}

/* ---- write ---- */

/* How much of a write, of which `left` bytes are to do, goes in now; 0: it must wait. */
static u64 puttable(const struct pipe *p, const struct file_io *io, u64 left, bool packets)
{
	u64 room = pipe_room(p);

	if (packets)
		return pipe_is_full(p) ? 0 : left < PIPE_ATOMIC ? left : PIPE_ATOMIC;
	if (left <= room)
		return left;
	if (io->total <= PIPE_ATOMIC || (pipe_is_full(p) && !io->nowait))
		return 0;
	return room;
}

long pipe_no_reader(struct task *t)
{
	signal_send_task(t->index, SIG_PIPE, NULL);
	return -EPIPE;
}

/* Writes until done, or until it would have to wait: then -EAGAIN. */
static long put(struct task *t, struct ofd *o, const struct file_io *io, u64 *done)
{
	struct pipe *p = pipe_of(o);
	bool packets = o->flags & O_DIRECT;

	while (*done < io->total) {
		if (!p->readers)
			return pipe_no_reader(t);
		u64 n = puttable(p, io, io->total - *done, packets);
		if (!n)
			return -EAGAIN;
		long r = byte_queue_put(t, &p->in, io, *done, n);
		if (r < 0)
			return r;
		if (packets)
			pipe_packet_added(p, n);
		*done += n;
		pipe_given(p);
	}
	return 0;
}

static long pipe_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pipe *p = pipe_of(o);
	u64 done = 0;

	long r = put(t, o, io, &done);
	if (r == -EAGAIN && !io->nowait) {
		park_hold_begin(t, o);
		while (r == -EAGAIN) {
			r = ready_wait(t, pipe_key(p), POLLOUT);
			if (!r)
				r = put(t, o, io, &done);
		}
		park_hold_end(t, o);
	}
	return done ? (long)done : r;
}

/* ---- the rest ---- */

static u32 pipe_poll(struct task *t, struct ofd *o)
{
	const struct pipe *p = pipe_of(o);
	u32 ready = 0;

	(void)t;
	if (may_read(o)) {
		if (p->in.used)
			ready |= POLLIN | POLLRDNORM;
		/* No hang-up for a reader who came, without waiting, before any writer. */
		if (!p->writers && o->private[0] != p->writer_opens)
			ready |= POLLHUP;
	}
	if (may_write(o)) {
		if (!pipe_is_full(p))
			ready |= POLLOUT | POLLWRNORM;
		if (!p->readers)
			ready |= POLLERR;
	}
	return ready;
}

static struct sched_key pipe_poll_key(struct ofd *o)
{
	return pipe_key(pipe_of(o));
}

static long pipe_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	s32 used = (s32)pipe_of(o)->in.used;

	(void)fd;
	if (request != FIONREAD)
		return -ENOTTY;
	digest_u64(t, (u64)used);
	return user_put(arg, used) ? -EFAULT : 0;
}

/* fs/pipe.c, pipe_set_size: whole pages, a power of two of them. */
static long set_capacity(struct task *t, struct pipe *p, u32 size)
{
	u64 capacity = PIPE_ATOMIC;

	while (capacity < size)
		capacity *= 2;
	if (capacity > PIPE_ROOT_MAX)
		return -EINVAL;
	if (capacity > p->capacity && capacity > PIPE_USER_MAX && !capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	if (capacity < p->in.used + p->padding)
		return -EBUSY;
	bool was_full = pipe_is_full(p);
	p->capacity = p->in.most = capacity;
	if (was_full && !pipe_is_full(p))
		ready_changed(pipe_key(p), POLLOUT | POLLWRNORM);
	return (long)capacity;
}

static long pipe_fcntl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	(void)fd;
	if (request == F_GETPIPE_SZ)
		return (long)pipe_of(o)->capacity;
	if (request == F_SETPIPE_SZ)
		return set_capacity(t, pipe_of(o), (u32)arg);
	return -EINVAL;
}

static long pipe_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	const struct pipe *p = pipe_of(o);
	struct stat st;

	(void)t;
	(void)fd;
	if (p->vnode) {
		memset(&st, 0, sizeof(st));
		vnode_stat(p->vnode, &st, ret);
		return 0;
	}
	ret->dev = DEV_OF_PIPES;
	ret->ino = p->ino;
	ret->mode = S_IFIFO | 0600;
	ret->nlink = 1;
	ret->uid = p->uid;
	ret->gid = p->gid;
	ret->blksize = 4096;
	ret->btime_ns = p->born_ns;
	ret->mtime_ns = ret->ctime_ns = p->written_ns;
	ret->atime_ns = p->read_ns;
	return 0;
}

const struct file_ops pipe_read_ops = {
	.read = pipe_read,
	.poll = pipe_poll,
	.poll_key = pipe_poll_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

const struct file_ops pipe_write_ops = {
	.write = pipe_write,
	.poll = pipe_poll,
	.poll_key = pipe_poll_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

const struct file_ops fifo_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.poll_key = pipe_poll_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

/* ---- the calls ---- */

/* Both descriptions of a fresh pipe. */
static long ends_create(struct task *t, u32 flags, u32 *ret_reader, u32 *ret_writer)
{
	long reader = ofd_create(OFD_PIPE_READ, O_RDONLY | flags);

	if (reader < 0)
		return reader;
	struct pipe *p = pipe_create(t);
	pipe_attach(p, ofd_at((u32)reader));
	long writer = ofd_create(OFD_PIPE_WRITE, O_WRONLY | flags);
	if (writer < 0) {
		ofd_put(ofd_at((u32)reader));
		return writer;
	}
	pipe_attach(p, ofd_at((u32)writer));
	*ret_reader = (u32)reader;
	*ret_writer = (u32)writer;
	return 0;
}

static long pipe_open(struct task *t, u64 user, u32 flags)
{
	u32 reader, writer;
	s32 fds[2];

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
		return -EINVAL;
	long r = ends_create(t, flags & (O_NONBLOCK | O_DIRECT), &reader, &writer);
	if (r < 0)
		return r;
	long in = fd_install(t, reader, flags);
	if (in < 0) {
		ofd_put(ofd_at(writer));
		return in;
	}
	long out = fd_install(t, writer, flags);
	if (out < 0) {
		fd_close(t, (u32)in);
		return out;
	}
	fds[0] = (s32)in;
	fds[1] = (s32)out;
	digest_bytes(t, fds, sizeof(fds));
	if (!user_put(user, fds))
		return 0;
	fd_close(t, (u32)in);
	fd_close(t, (u32)out);
	return -EFAULT;
}

long sys_pipe(struct task *t, struct frame *f)
{
	return pipe_open(t, f->arg[0], 0);
}

long sys_pipe2(struct task *t, struct frame *f)
{
	return pipe_open(t, f->arg[0], (u32)f->arg[1]);
}
