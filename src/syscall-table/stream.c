/*
 * stdout and stderr: bytes go into the output ring, from which a thread of the tracer writes them
 * out.  A full ring stalls the whole container and is no event, so how fast the reader is cannot
 * be told.  That the reader has vanished comes with an epoch.
 */
#include <asm/ioctls.h>
#include "../shim/rings.h"
#include "../shim/signal.h"
#include "file_kinds.h"
#include "ready.h"
#include "tty.h"

/* Fixed: how a write is cut must not depend on the ring's state, because each piece is folded. */
#define STREAM_CHUNK 0x8000u

static long put_chunk(struct task *t, u32 stream, const struct file_io *io, u64 at, u32 size)
{
	struct ring_record *rec;

	while (!(rec = ring_reserve(OUTPUT_RING, RING_OUTPUT_SIZE, size)))
		upcall(UPCALL_DRAIN, RING_OUTPUT, 0, 0);
	rec->what = stream;
	long r = io_take(t, io, at, rec->bytes, size);
	if (r < 0)
		return r;
	ring_publish(OUTPUT_RING, rec);
	return size;
}

static long stream_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 done = 0;

	if (FILES->stream_closed[o->object]) {
		signal_send_task(t->index, SIG_PIPE, NULL);
		return -EPIPE;
	}
	while (done < io->total) {
		u64 left = io->total - done;
		u32 n = left < STREAM_CHUNK ? (u32)left : STREAM_CHUNK;
		long r = put_chunk(t, o->object, io, done, n);
		if (r < 0)
			return done ? (long)done : r;
		done += n;
	}
	ring_wake(OUTPUT_RING);
	return (long)done;
}

void stream_close_input(u32 stream)
{
	if (stream != 1 && stream != 2)
		return;
	FILES->stream_closed[stream] = true;
	ready_changed((struct sched_key){KEY_STREAM, stream}, ~0u);
}

static u32 stream_poll(struct task *t, struct ofd *o)
{
	(void)t;
	return POLLOUT | POLLWRNORM | (FILES->stream_closed[o->object] ? POLLERR : 0);
}

static struct sched_key stream_poll_key(struct ofd *o)
{
	return (struct sched_key){KEY_STREAM, o->object};
}

static long stream_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	(void)fd;
	if (HEAD->config.stdio_kind[o->object] != STDIO_TTY)
		return -ENOTTY;
	return tty_ioctl(t, request, arg);
}

static long stream_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)t;
	(void)fd;
	stdio_stat(o->object, ret);
	return 0;
}

const struct file_ops stream_out_ops = {
	.write = stream_write,
	.poll = stream_poll,
	.poll_key = stream_poll_key,
	.ioctl = stream_ioctl,
	.stat = stream_stat,
};
