/*
 * eventfd: a counter in the description itself (private[0]); object is 1 for a semaphore.
 */
#include "ready.h"
#include "synth.h"

/* Flags of eventfd2; <linux/eventfd.h> is younger than some headers we build with. */
#define EFD_SEMAPHORE 1u
#define EFD_CLOEXEC   ((u32)O_CLOEXEC)
#define EFD_NONBLOCK  ((u32)O_NONBLOCK)

#define EVENTFD_FULL (~0ull) /* never reached by writes: they wait below it */

static struct sched_key eventfd_key(struct ofd *o)
{
	return (struct sched_key){KEY_OFD, ofd_index(o)};
}

/* What a write of `value` needs: the counter stays below EVENTFD_FULL. */
static bool fits(const struct ofd *o, u64 value)
{
	return EVENTFD_FULL - o->private[0] > value;
}

/* As in Linux the count is gone even if it cannot be told. */
static long take(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 value = o->object ? 1 : o->private[0];

	o->private[0] -= value;
	ready_changed(eventfd_key(o), POLLOUT);
	long r = io_give(t, io, 0, &value, sizeof(value));
	return r < 0 ? r : (long)sizeof(value);
}

static long eventfd_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	long r = 0;

	if (io->total < sizeof(u64))
		return -EINVAL;
	if (o->private[0])
		return take(t, o, io);
	if (io->nowait)
		return -EAGAIN;
	park_hold_begin(t, o);
	while (!r && !o->private[0])
		r = ready_wait(t, eventfd_key(o), POLLIN);
	if (!r)
		r = take(t, o, io);
	park_hold_end(t, o);
	return r;
}

static long put(struct ofd *o, u64 value)
{
	o->private[0] += value;
	ready_changed(eventfd_key(o), POLLIN);
	return sizeof(value);
}

static long eventfd_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 value;

	if (io->total != sizeof(value))
		return -EINVAL;
	long r = io_take(t, io, 0, &value, sizeof(value));
	if (r < 0)
		return r;
	if (value == EVENTFD_FULL)
		return -EINVAL;
	if (fits(o, value))
		return put(o, value);
	if (io->nowait)
		return -EAGAIN;
	park_hold_begin(t, o);
	while (!r && !fits(o, value))
		r = ready_wait(t, eventfd_key(o), POLLOUT);
	if (!r)
		r = put(o, value);
	park_hold_end(t, o);
	return r;
}

static u32 eventfd_poll(struct task *t, struct ofd *o)
{
	u32 ready = o->private[0] ? POLLIN : 0;

	(void)t;
	return fits(o, 1) ? ready | POLLOUT : ready;
}

static void eventfd_info(struct ofd *o, struct synth_text *out)
{
	text_add(out, "eventfd-count: %16lx\neventfd-id: %u\neventfd-semaphore: %u\n",
		 o->private[0], (u32)o -> private[1], o -> object != 0);
}

const struct file_ops eventfd_ops = {
	.info = eventfd_info,
	.read = eventfd_read,
	.write = eventfd_write,
	.by_piece = FILE_WRITE_BY_PIECE,
	.poll = eventfd_poll,
	.poll_key = eventfd_key,
	.seek_stays = true,
};

static long eventfd_open(struct task *t, u32 count, u32 flags)
{
	if (flags & ~(EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK))
		return -EINVAL;
	long index = ofd_create(OFD_EVENTFD, O_RDWR | (flags & EFD_NONBLOCK));
	if (index < 0)
		return index;
	struct ofd *o = ofd_at((u32)index);
	o->private[0] = count;
	o->private[1] = READY->eventfd_ids++;
	o->object = flags & EFD_SEMAPHORE;
	return fd_install(t, (u32)index, flags & EFD_CLOEXEC);
}

long sys_eventfd(struct task *t, struct frame *f)
{
	return eventfd_open(t, (u32)f->arg[0], 0);
}

long sys_eventfd2(struct task *t, struct frame *f)
{
	return eventfd_open(t, (u32)f->arg[0], (u32)f->arg[1]);
}
