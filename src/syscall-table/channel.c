/*
 * stdin as an outside channel: its bytes arrive with epochs and wait in a heap buffer.
 *
 * A read from a pipe fills its count or ends at EOF, so how the other side cut its writes cannot
 * show; a terminal gives a line.  While somebody waits, HEAD->request says so and how many bytes
 * would do.
 */
#include <asm/ioctls.h>
#include "../shim/signal.h"
#include "file_kinds.h"
#include "ready.h"
#include "tty.h"

#define STDIN_KEY ((struct sched_key){KEY_STDIN, 0})

static struct channel *stdin_of(void)
{
	return &FILES->stdin_channel;
}

static u64 buffered(void)
{
	return stdin_of()->end - stdin_of()->start;
}

static void reserve(struct channel *c, u64 size)
{
	u64 have = c->end - c->start, want = c->capacity ? c->capacity : 65536;

	if (c->end + size <= c->capacity)
		return;
	while (want < have + size)
		want *= 2;
	u8 *fresh = heap_alloc_aside(want);
	memcpy(fresh, c->bytes + c->start, have);
	heap_free(c->bytes);
	c->bytes = fresh;
	c->start = 0;
	c->end = have;
	c->capacity = want;
}

static void wake_readers(void)
{
	HEAD->request.wants_stdin = 0;
	HEAD->request.stdin_want_bytes = 0;
	ready_changed(STDIN_KEY, ~0u);
}

void channel_append(u32 channel, const void *bytes, u64 size)
{
	struct channel *c = stdin_of();

	if (channel)
		return;
	reserve(c, size);
	memcpy(c->bytes + c->end, bytes, size);
	c->end += size;
	wake_readers();
}

void channel_eof(u32 channel)
{
	if (channel)
		return;
	stdin_of()->eof = true;
	wake_readers();
}

bool channel_waited(void)
{
	return sched_key_waiters(SCHED, STDIN_KEY) != 0;
}

/* Somebody is about to wait for so many bytes more than there are. */
static void want_bytes(u64 bytes)
{
	struct epoch_request *r = &HEAD->request;

	r->wants_stdin = 1;
	if (!r->stdin_want_bytes || bytes < r->stdin_want_bytes)
		r->stdin_want_bytes = bytes;
}

static bool is_tty(void)
{
	return HEAD->config.stdio[0].kind == STDIO_TTY;
}

/* Bytes a read of at most `want` takes now; 0 with *ret_wait: it must wait. */
static u64 takeable(u64 want, bool nowait, bool *ret_wait)
{
	const struct channel *c = stdin_of();
	u64 have = buffered(), n = have < want ? have : want;

	*ret_wait = false;
	for (u64 i = 0; is_tty() && i < n; i++) {
		if (c->bytes[c->start + i] == '\n')
			return i + 1;
	}
	if (n == want || c->eof || (nowait && n))
		return n;
	*ret_wait = true;
	return 0;
}

static long channel_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct channel *c = stdin_of();
	bool wait;
	u64 n;

	(void)o;
	long allowed = is_tty() ? tty_job_check(t, &FILES->tty, SIG_TTIN) : 0;
	if (allowed < 0)
		return allowed;
	while (n = takeable(io->total, io->nowait, &wait), wait) {
		if (io->nowait)
			return -EAGAIN;
		want_bytes(is_tty() ? 1 : io->total - buffered());
		if (sched_wait_add(SCHED, t->index, STDIN_KEY, ~0u, 0) < 0)
			return -ENOMEM;
		if (turn_park(t, SCHED_NEVER) != -EINTR)
			continue;
		/* Interrupted: what is there is the result, as of a partly filled pipe read. */
		n = buffered() < io->total ? buffered() : io->total;
		if (!n)
			return -ERESTARTSYS;
		break;
	}
	long r = io_give(t, io, 0, c->bytes + c->start, n);
	if (r < 0)
		return r;
	c->start += n;
	if (c->start == c->end)
		c->start = c->end = 0;
	return (long)n;
}

/* Of a terminal; its bytes leave as those of the output that is the same one. */
static long channel_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	const struct region_stdio *s = HEAD->config.stdio;
	struct ofd out = {.kind = OFD_STREAM_OUT, .flags = o->flags, .object = 1};

	if (!is_tty())
		return -EIO;
	if (s[1].kind != STDIO_TTY)
		out.object = 2;
	return s[out.object].kind == STDIO_TTY ? stream_out_ops.write(t, &out, io)
					       : (long)io->total;
}

static u32 channel_poll(struct task *t, struct ofd *o)
{
	u32 ready = 0;

	(void)t;
	(void)o;
	if (buffered() || stdin_of()->eof)
		ready = POLLIN | POLLRDNORM;
	if (stdin_of()->eof && !is_tty())
		ready |= POLLHUP;
	return is_tty() ? ready | POLLOUT | POLLWRNORM : ready;
}

/* Asked for by who is about to wait: one byte makes it readable. */
static struct sched_key channel_poll_key(struct ofd *o)
{
	(void)o;
	want_bytes(1);
	return STDIN_KEY;
}

static long channel_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	s32 n = (s32)buffered();

	(void)fd;
	if (request == FIONREAD) {
		digest_u64(t, (u64)n);
		return user_put(arg, n) ? -EFAULT : 0;
	}
	return is_tty() ? tty_ioctl(t, &FILES->tty, o, false, request, arg) : -ENOTTY;
}

static long channel_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)t;
	(void)o;
	(void)fd;
	stdio_stat(0, ret);
	return 0;
}

const struct file_ops channel_in_ops = {
	.read = channel_read,
	.write = channel_write,
	.poll = channel_poll,
	.poll_key = channel_poll_key,
	.ioctl = channel_ioctl,
	.stat = channel_stat,
};
