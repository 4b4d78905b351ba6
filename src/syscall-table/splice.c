/*
 * splice, tee, vmsplice: bytes between a pipe and another file, without passing through the app.
 *
 * In Linux they move pages and a pipe has so many slots for pages; here as everywhere the room of a
 * pipe is counted in bytes, but what is spliced fills whole pages of it only.  A page given with
 * vmsplice is copied: what the app writes to it later does not show.
 *
 * Nothing is in hand while a task waits: first source and sink are waited for, then bytes go
 * straight between their memory and the ring, in calls that do not park.  What the app does not see
 * needs no place in the digest; what comes from a file or goes to one is folded by its operations.
 */
#include <linux/fs.h>
#include "notify.h"
#include "splice.h"

/* <fcntl.h> of libc has these, no header of the kernel. */
#define SPLICE_F_NONBLOCK 2u
#define SPLICE_F_ALL	  15u /* MOVE, NONBLOCK, MORE, GIFT */

#define PAGE			   4096u
#define SOURCE_HAS_NEWS		   (POLLIN | POLLHUP | POLLERR | POLLRDHUP)
#define KEEPS_NO_ONE_WAITING(kind) ((kind) == OFD_HOST_FILE || (kind) == OFD_SYNTH_FILE)

static u64 least(u64 a, u64 b)
{
	return a < b ? a : b;
}

/* ---- waiting ---- */

/* 0 also if there are no bytes and never will be. */
static long wait_for_bytes(struct task *t, const struct pipe *p, bool nowait)
{
	long r = 0;

	while (!r && !p->in.used && p->writers)
		r = nowait ? -EAGAIN : ready_wait(t, pipe_key(p), POLLIN);
	return r;
}

static long wait_for_room(struct task *t, const struct pipe *p, bool nowait)
{
	long r = 0;

	while (!r && p->readers && pipe_is_full(p))
		r = nowait ? -EAGAIN : ready_wait(t, pipe_key(p), POLLOUT);
	return !r && !p->readers ? pipe_no_reader(t) : r;
}

/* Of a file that is no pipe. */
static long wait_for_file(struct task *t, struct ofd *o, u32 events)
{
	return ready_wait(t, watch_key(o), events);
}

/* References of both ends: the task may never return. */
static void holds_begin(struct splicing *s)
{
	park_hold_begin(s->t, s->in);
	park_hold_begin(s->t, s->out);
}

static void holds_end(const struct splicing *s)
{
	park_hold_end(s->t, s->in);
	park_hold_end(s->t, s->out);
}

/* ---- between two pipes ---- */

/* What of the first bytes of `from` fits now into `to`. */
static u64 movable(const struct pipe *from, u64 skip, const struct pipe *to, u64 size, bool *packet)
{
	struct pipe rest = *from;

	while (skip >= pipe_run(&rest, packet) && skip) {
		u64 n = pipe_run(&rest, packet);
		skip -= n;
		rest.in.taken += n;
		rest.in.used -= n;
		if (*packet)
			rest.packets = rest.packets->next;
	}
	u64 run = pipe_run(&rest, packet) - skip;
	if (pipe_is_full(to))
		return 0;
	return least(least(run, size), *packet ? PAGE : pipe_room(to) & ~(u64)(PAGE - 1));
}

/* Copies `n` bytes behind the first `skip` of one ring to the end of the other. */
static void copy_ring(const struct pipe *from, u64 skip, struct pipe *to, u64 n)
{
	struct user_iov source[2], sink[2];
	u8 *at = NULL;

	byte_queue_span(&from->in, skip + n, source);
	byte_queue_room(&to->in, n, sink);
	for (u64 done = 0; done < n;) {
		u64 here = skip + done, there = done;
		u32 i = here >= source[0].len, k = there >= sink[0].len;
		here -= i ? source[0].len : 0;
		there -= k ? sink[0].len : 0;
		u64 part = least(n - done, least(source[i].len - here, sink[k].len - there));
		at = (u8 *)sink[k].base + there;
		memcpy(at, (const u8 *)source[i].base + here, part);
		done += part;
	}
	byte_queue_added(&to->in, n);
}

/* Takes out what it moves, or (keep) leaves it there. */
static u64 move_now(struct pipe *from, struct pipe *to, u64 size, bool keep)
{
	bool was_full = pipe_is_full(from), packet;
	u64 done = 0, n;

	while (done < size && (keep ? done : 0) < from->in.used &&
	       (n = movable(from, keep ? done : 0, to, size - done, &packet)) != 0) {
		copy_ring(from, keep ? done : 0, to, n);
		if (packet)
			pipe_packet_added(to, n);
		if (!keep)
			pipe_drop(from, n);
		done += n;
	}
	if (done && !keep)
		pipe_taken(from, was_full);
	if (done)
		pipe_given(to);
	return done;
}

static long pipe_to_pipe(struct splicing *s, bool keep)
{
	struct pipe *from = pipe_of(s->in), *to = pipe_of(s->out);
	long r;

	do {
		r = wait_for_bytes(s->t, from, s->nowait);
		if (!r)
			r = wait_for_room(s->t, to, s->nowait);
		if (!r && from->in.used)
			r = (long)move_now(from, to, s->size, keep);
	} while (!r && (from->in.used || from->writers));
	return r;
}

/* ---- from a file into a pipe ---- */

/* Pages of the pipe begin where those of a regular file do. */
static u64 room_for_pages(const struct splicing *s, const struct pipe *p)
{
	u64 room = pipe_room(p) & ~(u64)(PAGE - 1);
	s64 at = s->in_at;

	if (s->in->kind != OFD_HOST_FILE)
		return room;
	if (at < 0)
		at = file_ops_of(s->in->kind)->seek(s->t, s->in, s->in_fd, 0, SEEK_CUR);
	return at > 0 ? room - (u64)at % PAGE : room;
}

static long read_into_pipe(struct splicing *s)
{
	struct pipe *p = pipe_of(s->out);
	struct user_iov span[2];
	u64 n = least(s->size, room_for_pages(s, p));

	byte_queue_room(&p->in, n, span);
	struct file_io io = {.iov = span,
			     .count = span[1].len ? 2 : 1,
			     .fd = s->in_fd,
			     .total = n,
			     .offset = s->in_at,
			     .nowait = true,
			     .inside = true};
	long r = file_ops_of(s->in->kind)->read(s->t, s->in, &io);
	if (r <= 0)
		return r;
	notify_opened(s->in, IN_ACCESS);
	byte_queue_added(&p->in, (u64)r);
	pipe_given(p);
	if (s->in_at >= 0)
		s->in_at += r;
	return r;
}

/* Whether the source has something, or its end, to read. */
static bool has_news(const struct splicing *s)
{
	return KEEPS_NO_ONE_WAITING(s->in->kind) || ready_now(s->t, s->in) & SOURCE_HAS_NEWS;
}

long splice_into_pipe(struct splicing *s)
{
	bool nowait = s->in->flags & O_NONBLOCK;
	long r;

	holds_begin(s);
	do {
		r = wait_for_room(s->t, pipe_of(s->out), s->nowait);
		if (!r && has_news(s))
			r = read_into_pipe(s);
		else if (!r)
			r = -EAGAIN;
		if (r != -EAGAIN || nowait || s->nowait)
			break;
		r = wait_for_file(s->t, s->in, POLLIN);
	} while (!r);
	holds_end(s);
	return r;
}

/* ---- from a pipe into a file ---- */

static long write_from_pipe(struct splicing *s)
{
	struct pipe *p = pipe_of(s->in);
	bool was_full = pipe_is_full(p);
	u64 n = least(s->size, p->in.used);
	struct user_iov span[2];

	byte_queue_span(&p->in, n, span);
	struct file_io io = {.iov = span,
			     .count = span[1].len ? 2 : 1,
			     .fd = s->out_fd,
			     .total = n,
			     .offset = s->out_at,
			     .nowait = true,
			     .inside = true};
	long r = file_ops_of(s->out->kind)->write(s->t, s->out, &io);
	if (r <= 0)
		return r;
	notify_opened(s->out, IN_MODIFY);
	pipe_drop(p, (u64)r);
	pipe_taken(p, was_full);
	if (s->out_at >= 0)
		s->out_at += r;
	s->size -= (u64)r;
	return r;
}

static long splice_out_of_pipe(struct splicing *s)
{
	const struct pipe *p = pipe_of(s->in);
	bool nowait = s->nowait || s->out->flags & O_NONBLOCK;
	long done = 0, r = 0;

	holds_begin(s);
	while (s->size && (p->in.used || !done)) {
		r = wait_for_bytes(s->t, p, s->nowait);
		if (r || !p->in.used)
			break;
		r = write_from_pipe(s);
		if (r > 0)
			done += r;
		else if (r != -EAGAIN || nowait || (r = wait_for_file(s->t, s->out, POLLOUT)))
			break;
	}
	holds_end(s);
	return done ? done : r;
}

/* ---- the calls ---- */

static long offset_in(struct task *t, const struct ofd *o, u64 user, s64 *ret)
{
	*ret = -1;
	if (!user)
		return 0;
	if (is_pipe(o))
		return -ESPIPE;
	if (user_get(*ret, user))
		return -EFAULT;
	digest_u64(t, (u64)*ret);
	return 0;
}

/* Whether a file that is no pipe can be read (written) at the offset given. */
static long file_check(const struct ofd *o, u64 user, s64 at, u32 way)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	if (!(ops->splices & way) || (user && (!ops->seek || at < 0)))
		return -EINVAL;
	return 0;
}

static bool may(const struct ofd *o, u32 not_this)
{
	return (o->flags & O_ACCMODE) != not_this;
}

static long splice_run(struct splicing *s, const struct frame *f)
{
	if (!may(s->in, O_WRONLY) || !may(s->out, O_RDONLY))
		return -EBADF;
	bool from_pipe = is_pipe(s->in), to_pipe = is_pipe(s->out);
	s->nowait |=
		(from_pipe && s->in->flags & O_NONBLOCK) || (to_pipe && s->out->flags & O_NONBLOCK);
	if (from_pipe && to_pipe) {
		if (pipe_of(s->in) == pipe_of(s->out))
			return -EINVAL;
		holds_begin(s);
		long r = pipe_to_pipe(s, false);
		holds_end(s);
		return r;
	}
	if (to_pipe) {
		long r = file_check(s->in, f->arg[1], s->in_at, FILE_SPLICE_IN);
		return r < 0 ? r : splice_into_pipe(s);
	}
	if (!from_pipe || s->out->flags & O_APPEND)
		return -EINVAL;
	long r = file_check(s->out, f->arg[3], s->out_at, FILE_SPLICE_OUT);
	return r < 0 ? r : splice_out_of_pipe(s);
}

static long both_ends(struct splicing *s)
{
	s->in = fd_get_io(s->t, s->in_fd);
	s->out = fd_get_io(s->t, s->out_fd);
	return s->in && s->out ? 0 : -EBADF;
}

long sys_splice(struct task *t, struct frame *f)
{
	u32 flags = (u32)f->arg[5];
	struct splicing s = {.t = t,
			     .in_fd = (u32)f->arg[0],
			     .out_fd = (u32)f->arg[2],
			     .size = least(f->arg[4], FILE_IO_MAX),
			     .nowait = flags & SPLICE_F_NONBLOCK};

	if (!f->arg[4])
		return 0;
	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	long r = both_ends(&s);
	if (r < 0)
		return r;
	if ((is_pipe(s.in) && f->arg[1]) || (is_pipe(s.out) && f->arg[3]))
		return -ESPIPE;
	r = offset_in(t, s.out, f->arg[3], &s.out_at);
	if (!r)
		r = offset_in(t, s.in, f->arg[1], &s.in_at);
	if (!r)
		r = splice_run(&s, f);
	if (r < 0)
		return r;
	if ((f->arg[3] && user_put(f->arg[3], s.out_at)) ||
	    (f->arg[1] && user_put(f->arg[1], s.in_at)))
		return -EFAULT;
	return r;
}

long sys_tee(struct task *t, struct frame *f)
{
	u32 flags = (u32)f->arg[3];
	struct splicing s = {.t = t,
			     .in_fd = (u32)f->arg[0],
			     .out_fd = (u32)f->arg[1],
			     .size = least(f->arg[2], FILE_IO_MAX),
			     .nowait = flags & SPLICE_F_NONBLOCK};

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	if (!f->arg[2])
		return 0;
	long r = both_ends(&s);
	if (r < 0 || !may(s.in, O_WRONLY) || !may(s.out, O_RDONLY))
		return -EBADF;
	if (!is_pipe(s.in) || !is_pipe(s.out) || pipe_of(s.in) == pipe_of(s.out))
		return -EINVAL;
	s.nowait |= ((s.in->flags | s.out->flags) & O_NONBLOCK) != 0;
	holds_begin(&s);
	r = pipe_to_pipe(&s, true);
	holds_end(&s);
	return r;
}

/* ---- vmsplice ---- */

static long memory_to_pipe(struct task *t, struct pipe *p, const struct file_io *io)
{
	long r = wait_for_room(t, p, io->nowait);
	if (r < 0)
		return r;
	u64 n = least(io->total, pipe_room(p) & ~(u64)(PAGE - 1));
	r = byte_queue_put(t, &p->in, io, 0, n);
	if (r < 0)
		return r;
	pipe_given(p);
	return (long)n;
}

static long pipe_to_memory(struct task *t, struct pipe *p, const struct file_io *io)
{
	long r = wait_for_bytes(t, p, io->nowait);
	if (r < 0 || !p->in.used)
		return r;
	bool was_full = pipe_is_full(p);
	u64 n = least(io->total, p->in.used);
	r = byte_queue_give(t, &p->in, 0, io, 0, n);
	if (r < 0)
		return r;
	pipe_drop(p, n);
	pipe_taken(p, was_full);
	return (long)n;
}

long sys_vmsplice(struct task *t, struct frame *f)
{
	struct user_iov iov[FILE_IOV_MAX];
	u32 flags = (u32)f->arg[3];
	struct file_io io = {.iov = iov,
			     .count = (u32)f->arg[2],
			     .fd = (u32)f->arg[0],
			     .offset = -1,
			     .nowait = flags & SPLICE_F_NONBLOCK};

	if (flags & ~SPLICE_F_ALL)
		return -EINVAL;
	struct ofd *o = fd_get_io(t, io.fd);
	if (!o)
		return -EBADF;
	long r = io_vector_in(t, f->arg[1], f->arg[2], iov, &io.total);
	if (r < 0 || !io.total)
		return r;
	if (!is_pipe(o))
		return -EBADF;
	park_hold_begin(t, o);
	r = may(o, O_RDONLY) ? memory_to_pipe(t, pipe_of(o), &io)
			     : pipe_to_memory(t, pipe_of(o), &io);
	park_hold_end(t, o);
	return r;
}
