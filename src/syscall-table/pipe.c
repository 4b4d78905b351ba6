/*
 * Pipes and FIFOs, wholly in the shim: bytes in a ring of the region's heap, room counted in bytes.
 *
 * Semantics of pipe(7): a read takes what is there; a write of at most PIPE_BUF bytes is atomic, a
 * longer one goes in pieces as room appears.  A pipe lives as long as one of its ends is open.
 * private[0] of an ofd is its pipe, private[1] tells which ends it is (END_READ, END_WRITE).
 */
#include <linux/limits.h>
#include "../shim/signal.h"
#include "files.h"
#include "syscall_handlers.h"
#include "wait.h"

#define PIPE_CAPACITY 65536
#define PIPE_MAX      1048576
#define END_READ      1
#define END_WRITE     2
#define PIPE_DEV      0xd

enum pipe_key_kind { KEY_PIPE_READ = 0x50490001, KEY_PIPE_WRITE, KEY_PIPE_OPEN };

struct pipe {
	u8 *bytes;
	u32 capacity, start, used;
	u32 readers, writers;
	u32 read_opens, write_opens; /* ever: who waits in open sees them change */
	u32 vnode;		     /* of a FIFO, else 0 */
	u64 ino;
};

static struct pipe *pipe_of(const struct ofd *o)
{
	return (struct pipe *)o->private[0];
}

static struct sched_key key_of(u32 kind, const struct pipe *p)
{
	return (struct sched_key){kind, (u64)p};
}

static void wake(u32 kind, const struct pipe *p)
{
	sched_key_wake(SCHED, key_of(kind, p), ~0u, ~0u, SCHED_NONE);
}

static struct pipe *pipe_create(void)
{
	struct pipe *p = heap_alloc(sizeof(*p));

	p->bytes = heap_alloc(PIPE_CAPACITY);
	p->capacity = PIPE_CAPACITY;
	p->ino = VNODES->next_ino++;
	return p;
}

static void pipe_free_unused(struct pipe *p)
{
	if (p->readers != 0 || p->writers != 0)
		return;
	if (p->vnode != 0)
		vnode_at(p->vnode)->fifo = 0;
	heap_free(p->bytes);
	heap_free(p);
}

/* ---- reading and writing ---- */

/* Parks until the key is woken; keeps the description alive meanwhile.  0 or -EINTR. */
static long wait_on(struct task *t, struct ofd *o, u32 kind)
{
	if (sched_wait_add(SCHED, t->index, key_of(kind, pipe_of(o)), ~0u, 0) < 0)
		return -ENOMEM;
	ofd_hold(o);
	long reason = turn_park(t, SCHED_NEVER);
	ofd_put(o);
	return reason == -EINTR ? -EINTR : 0;
}

static long take_out(struct task *t, struct pipe *p, const struct file_io *io, u64 n)
{
	u64 first = p->capacity - p->start < n ? p->capacity - p->start : n;

	if (io_give(t, io, 0, p->bytes + p->start, first) < 0 ||
	    (n > first && io_give(t, io, first, p->bytes, n - first) < 0))
		return -EFAULT;
	p->start = (u32)((p->start + n) % p->capacity);
	p->used -= (u32)n;
	if (p->used == 0)
		p->start = 0;
	wake(KEY_PIPE_WRITE, p);
	return (long)n;
}

static long pipe_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pipe *p = pipe_of(o);

	if (io->total == 0)
		return 0;
	while (p->used == 0) {
		if (p->writers == 0)
			return 0;
		if (io->nowait)
			return -EAGAIN;
		long r = wait_on(t, o, KEY_PIPE_READ);
		if (r < 0)
			return r == -EINTR ? -ERESTARTSYS : r;
	}
	return take_out(t, p, io, p->used < io->total ? p->used : io->total);
}

static long put_in(struct task *t, struct pipe *p, const struct file_io *io, u64 at, u64 n)
{
	u64 end = (p->start + p->used) % p->capacity;
	u64 first = p->capacity - end < n ? p->capacity - end : n;

	if (io_take(t, io, at, p->bytes + end, first) < 0 ||
	    (n > first && io_take(t, io, at + first, p->bytes, n - first) < 0))
		return -EFAULT;
	p->used += (u32)n;
	wake(KEY_PIPE_READ, p);
	return (long)n;
}

static long broken_pipe(struct task *t)
{
	signal_send_task(t->index, SIG_PIPE, NULL);
	return -EPIPE;
}

static long pipe_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pipe *p = pipe_of(o);
	u64 least = io->total <= PIPE_BUF ? io->total : 1, done = 0;

	while (done < io->total) {
		u64 room = p->capacity - p->used, left = io->total - done;
		long r = 0;

		if (p->readers == 0)
			return done != 0 ? (long)done : broken_pipe(t);
		if (room >= least)
			r = put_in(t, p, io, done, room < left ? room : left);
		else if (io->nowait)
			r = -EAGAIN;
		else if ((r = wait_on(t, o, KEY_PIPE_WRITE)) == -EINTR)
			r = -ERESTARTSYS;
		if (r < 0)
			return done != 0 ? (long)done : r;
		done += (u64)r;
	}
	return (long)done;
}

/* ---- readiness, size, status ---- */

static u32 pipe_poll(struct task *t, struct ofd *o)
{
	const struct pipe *p = pipe_of(o);
	u32 events = 0;

	(void)t;
	if (o->private[1] & END_READ) {
		events |= p->used != 0 ? POLLIN | POLLRDNORM : 0;
		events |= p->writers == 0 ? POLLHUP : 0;
	}
	if (o->private[1] & END_WRITE) {
		events |= p->capacity - p->used >= PIPE_BUF ? POLLOUT | POLLWRNORM : 0;
		events |= p->readers == 0 ? POLLERR : 0;
	}
	return events;
}

static struct sched_key pipe_read_key(struct ofd *o)
{
	return key_of(KEY_PIPE_READ, pipe_of(o));
}

static struct sched_key pipe_write_key(struct ofd *o)
{
	return key_of(KEY_PIPE_WRITE, pipe_of(o));
}

static long pipe_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	u32 used = pipe_of(o)->used;

	(void)t;
	(void)fd;
	if (request != 0x541b) /* FIONREAD */
		return -ENOTTY;
	return user_put(arg, used);
}

static long resize(struct pipe *p, u64 want)
{
	u32 size = 4096;

	if (want > PIPE_MAX)
		return -EPERM;
	while (size < want)
		size *= 2;
	if (size < p->used)
		return -EBUSY;
	u8 *fresh = heap_alloc(size);
	for (u32 i = 0; i < p->used; i++)
		fresh[i] = p->bytes[(p->start + i) % p->capacity];
	heap_free(p->bytes);
	p->bytes = fresh;
	p->start = 0;
	p->capacity = size;
	wake(KEY_PIPE_WRITE, p);
	return size;
}

static long pipe_fcntl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	(void)t;
	(void)fd;
	if (request == F_GETPIPE_SZ)
		return pipe_of(o)->capacity;
	if (request == F_SETPIPE_SZ)
		return resize(pipe_of(o), arg);
	return -EINVAL;
}

static long pipe_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	const struct proc *proc = proc_of(t);

	(void)fd;
	memset(ret, 0, sizeof(*ret));
	ret->dev = PIPE_DEV;
	ret->ino = pipe_of(o)->ino;
	ret->mode = S_IFIFO | 0600;
	ret->uid = proc->fsuid;
	ret->gid = proc->fsgid;
	ret->nlink = 1;
	ret->blksize = 4096;
	ret->mtime_ns = ret->ctime_ns = ret->atime_ns = ret->btime_ns =
		(s64)HEAD->config.start_time_ns;
	return 0;
}

static void pipe_release(struct ofd *o)
{
	struct pipe *p = pipe_of(o);

	if (o->private[1] & END_READ)
		p->readers--;
	if (o->private[1] & END_WRITE)
		p->writers--;
	wake(KEY_PIPE_READ, p);
	wake(KEY_PIPE_WRITE, p);
	pipe_free_unused(p);
}

const struct file_ops pipe_read_ops = {
	.read = pipe_read,
	.poll = pipe_poll,
	.poll_key = pipe_read_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

const struct file_ops pipe_write_ops = {
	.write = pipe_write,
	.poll = pipe_poll,
	.poll_key = pipe_write_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

const struct file_ops fifo_ops = {
	.read = pipe_read,
	.write = pipe_write,
	.poll = pipe_poll,
	.poll_key = pipe_read_key,
	.ioctl = pipe_ioctl,
	.fcntl = pipe_fcntl,
	.stat = pipe_stat,
	.release = pipe_release,
};

/* ---- making them ---- */

static long end_create(struct pipe *p, u32 ends, u32 flags)
{
	static const u32 kinds[] = {OFD_FREE, OFD_PIPE_READ, OFD_PIPE_WRITE, OFD_FIFO};
	long index = ofd_create(kinds[ends], flags);

	if (index < 0)
		return index;
	ofd_at((u32)index)->private[0] = (u64)p;
	ofd_at((u32)index)->private[1] = ends;
	p->readers += ends & END_READ ? 1 : 0;
	p->writers += ends & END_WRITE ? 1 : 0;
	return index;
}

/* One end with its number; the pipe goes with its last end. */
static long end_install(struct task *t, struct pipe *p, u32 ends, u32 mode, u32 flags)
{
	long index = end_create(p, ends, mode | (flags & O_NONBLOCK));

	if (index < 0) {
		pipe_free_unused(p);
		return index;
	}
	return fd_install(t, (u32)index, flags & O_CLOEXEC);
}

static long make_pipe(struct task *t, u64 addr, u32 flags)
{
	s32 fds[2];

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	struct pipe *p = pipe_create();
	long r = end_install(t, p, END_READ, O_RDONLY, flags);
	if (r < 0)
		return r;
	fds[0] = (s32)r;
	r = end_install(t, p, END_WRITE, O_WRONLY, flags);
	if (r < 0) {
		fd_close(t, (u32)fds[0]);
		return r;
	}
	fds[1] = (s32)r;
	if (user_put(addr, fds) < 0) {
		fd_close(t, (u32)fds[0]);
		fd_close(t, (u32)fds[1]);
		return -EFAULT;
	}
	digest_bytes(t, fds, sizeof(fds));
	return 0;
}

long sys_pipe(struct task *t, struct frame *f)
{
	return make_pipe(t, f->arg[0], 0);
}

long sys_pipe2(struct task *t, struct frame *f)
{
	return make_pipe(t, f->arg[0], (u32)f->arg[1]);
}

/* ---- FIFOs ---- */

static struct pipe *fifo_pipe(u32 vnode)
{
	struct vnode *v = vnode_at(vnode);
	u64 base = REGION_BASE + REGION_HEAP_OFF;

	if (v->fifo != 0)
		return (struct pipe *)(base + (v->fifo - 1ull) * 16);
	struct pipe *p = pipe_create();
	p->vnode = vnode;
	v->fifo = (u32)(((u64)p - base) / 16 + 1);
	return p;
}

/* open(2) of one end waits for the other: until its count of opens changes. */
static long wait_for_peer(struct task *t, struct pipe *p, const u32 *peers, const u32 *opens)
{
	u32 seen = *opens;

	while (*peers == 0 && *opens == seen) {
		if (sched_wait_add(SCHED, t->index, key_of(KEY_PIPE_OPEN, p), ~0u, 0) < 0)
			return -ENOMEM;
		if (turn_park(t, SCHED_NEVER) == -EINTR)
			return -ERESTARTSYS;
	}
	return 0;
}

long fifo_open(struct task *t, u32 vnode, u32 flags)
{
	struct pipe *p = fifo_pipe(vnode);
	u32 access = flags & O_ACCMODE;
	u32 ends = access == O_RDONLY ? END_READ : access == O_WRONLY ? END_WRITE : 3;

	if (ends == END_WRITE && flags & O_NONBLOCK && p->readers == 0) {
		pipe_free_unused(p);
		return -ENXIO;
	}
	long index = end_create(p, ends, access | (flags & O_NONBLOCK)), r = 0;
	if (index < 0) {
		pipe_free_unused(p);
		return index;
	}
	p->read_opens += ends & END_READ ? 1 : 0;
	p->write_opens += ends & END_WRITE ? 1 : 0;
	wake(KEY_PIPE_OPEN, p);
	if (ends == END_READ && !(flags & O_NONBLOCK))
		r = wait_for_peer(t, p, &p->writers, &p->write_opens);
	else if (ends == END_WRITE)
		r = wait_for_peer(t, p, &p->readers, &p->read_opens);
	if (r < 0) {
		ofd_put(ofd_at((u32)index));
		return r;
	}
	return index;
}
