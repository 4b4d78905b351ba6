/*
 * stdout and stderr: bytes go into the output ring, from which a thread of the tracer writes them
 * out.  A full ring stalls the whole container and is no event, so how fast the reader is cannot
 * be told.  That the reader has vanished comes with an epoch; so that a program which only writes
 * hears of it, what it writes brings an epoch nearer.
 *
 * A regular file is no such stream: the kernel writes it, as any other file of the container, and
 * the ring gets a copy (docs/architecture.md).
 */
#include <asm/ioctls.h>
#include "../shim/event.h"
#include "../shim/rings.h"
#include "../shim/signal.h"
#include "file_kinds.h"
#include "ready.h"
#include "tty.h"

/* Fixed: how a write is cut must not depend on the ring's state, because each piece is folded. */
#define STREAM_CHUNK 0x8000u

/* An epoch is due after so many bytes; a call costs as much as 4 KiB, so 256 short lines do too. An
 * epoch costs about 0.1 ms, this much output more than 1 ms. */
#define EPOCH_COST 0x100000u
#define CALL_COST  4096u

static struct ring_record *record_begin(u32 what, u32 size)
{
	struct ring_record *rec;

	while (!(rec = ring_reserve(OUTPUT_RING, RING_OUTPUT_SIZE, size)))
		upcall(UPCALL_DRAIN, RING_OUTPUT, 0, 0);
	rec->what = what;
	return rec;
}

static long put_chunk(struct task *t, u32 stream, const struct file_io *io, u64 at, u32 size)
{
	struct ring_record *rec = record_begin(stream, size);

	long r = io_take(t, io, at, rec->bytes, size);
	if (r < 0)
		return r;
	ring_publish(OUTPUT_RING, rec);
	return size;
}

/* Only who can vanish has to be asked after. */
static void charge(u32 stream, u64 bytes)
{
	struct region_head *h = HEAD;

	if (h->config.stdio[stream].kind == STDIO_NULL)
		return;
	FILES->stream_cost += bytes + CALL_COST;
	if (FILES->stream_cost < EPOCH_COST || h->epoch_end_event <= h->events + 1)
		return;
	h->epoch_end_event = h->events + 1;
	turn_timer_changed();
}

void stream_copy(u32 stream, const struct file_io *io, u64 size)
{
	u64 done = 0;

	while (done < size) {
		u32 n = size - done < STREAM_CHUNK ? (u32)(size - done) : STREAM_CHUNK;
		struct ring_record *rec = record_begin(stream | STREAM_COPY, n);
		/* Another process that shares the memory may have unmapped it since. */
		if (io_peek(io, done, rec->bytes, n) < 0)
			break;
		ring_publish(OUTPUT_RING, rec);
		done += n;
	}
	ring_wake(OUTPUT_RING);
}

static long stream_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 done = 0;

	u32 error = FILES->stream_error[o->object];
	if (error == EPIPE)
		signal_send_task(t->index, SIG_PIPE, NULL);
	/* A socket says so once. */
	if (error == ECONNRESET)
		FILES->stream_error[o->object] = EPIPE;
	if (error)
		return -(long)error;
	while (done < io->total) {
		u64 left = io->total - done;
		u32 n = left < STREAM_CHUNK ? (u32)left : STREAM_CHUNK;
		long r = put_chunk(t, o->object, io, done, n);
		if (r < 0)
			return done ? (long)done : r;
		done += n;
	}
	ring_wake(OUTPUT_RING);
	charge(o->object, done);
	return (long)done;
}

/* A terminal is read through any of its descriptors. */
static long stream_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	const struct region_stdio *s = HEAD->config.stdio;

	if (s[o->object].kind != STDIO_TTY || s[0].kind != STDIO_TTY)
		return -EIO;
	return channel_in_ops.read(t, o, io);
}

#define ERROR_MAX 133 /* the greatest errno there is */

void stream_close_input(u32 stream, const u8 *bytes, u32 size)
{
	u32 error = EPIPE;

	if (stream != 1 && stream != 2)
		return;
	if (size == sizeof(error))
		memcpy(&error, bytes, size);
	FILES->stream_error[stream] = error && error <= ERROR_MAX ? error : EPIPE;
	ready_changed((struct sched_key){KEY_STREAM, stream}, ~0u);
}

static u32 stream_poll(struct task *t, struct ofd *o)
{
	(void)t;
	return POLLOUT | POLLWRNORM | (FILES->stream_error[o->object] ? POLLERR : 0);
}

static struct sched_key stream_poll_key(struct ofd *o)
{
	return (struct sched_key){KEY_STREAM, o->object};
}

static long stream_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	(void)fd;
	if (HEAD->config.stdio[o->object].kind != STDIO_TTY)
		return -ENOTTY;
	return tty_ioctl(t, &FILES->tty, o, false, request, arg);
}

static long stream_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)t;
	(void)fd;
	stdio_stat(o->object, ret);
	return 0;
}

const struct file_ops stream_out_ops = {
	.read = stream_read,
	.write = stream_write,
	.poll = stream_poll,
	.poll_key = stream_poll_key,
	.ioctl = stream_ioctl,
	.stat = stream_stat,
	.splices = FILE_SPLICE_OUT,
};

/* /dev/null, which also is seen to be written to. */
static long null_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	return null_ops.read(t, o, io);
}

static long null_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	return null_ops.seek(t, o, fd, offset, whence);
}

const struct file_ops stream_null_ops = {
	.read = null_read,
	.write = stream_write,
	.poll = stream_poll,
	.poll_key = stream_poll_key,
	.seek = null_seek,
	.stat = stream_stat,
	.splices = FILE_SPLICE_OUT,
};
