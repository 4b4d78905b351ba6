/* eventfd: a counter in the description (private[0]); private[1]: semaphore mode. */
#include <asm/fcntl.h>
#include "../shim/signal.h"
#include "files.h"
#include "syscall_handlers.h"

#define EFD_SEMAPHORE 1
#define EFD_CLOEXEC   O_CLOEXEC
#define EFD_NONBLOCK  O_NONBLOCK
#define COUNT_MAX 0xfffffffffffffffeull

static struct sched_key eventfd_key(struct ofd *o)
{
	return (struct sched_key){KEY_OFD, ofd_index(o)};
}

static void changed(struct ofd *o)
{
	sched_key_wake(SCHED, eventfd_key(o), ~0u, ~0u, SCHED_NONE);
}

static long wait_change(struct task *t, struct ofd *o, const struct file_io *io)
{
	if (io->nowait)
		return -EAGAIN;
	if (sched_wait_add(SCHED, t->index, eventfd_key(o), ~0u, 0) < 0)
		return -ENOMEM;
	ofd_hold(o);
	long reason = turn_park(t, SCHED_NEVER);
	ofd_put(o);
	return reason == -EINTR ? -ERESTARTSYS : 0;
}

static long eventfd_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	if (io->total < 8)
		return -EINVAL;
	while (o->private[0] == 0) {
		long r = wait_change(t, o, io);
		if (r < 0)
			return r;
	}
	u64 value = o->private[1] ? 1 : o->private[0];
	if (io_give(t, io, 0, &value, 8) < 0)
		return -EFAULT;
	o->private[0] -= value;
	changed(o);
	return 8;
}

static long eventfd_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 value;

	if (io->total < 8)
		return -EINVAL;
	if (io_take(t, io, 0, &value, 8) < 0)
		return -EFAULT;
	if (value == ~0ull)
		return -EINVAL;
	while (COUNT_MAX - o->private[0] < value) {
		long r = wait_change(t, o, io);
		if (r < 0)
			return r;
	}
	o->private[0] += value;
	changed(o);
	return 8;
}

static u32 eventfd_poll(struct task *t, struct ofd *o)
{
	(void)t;
	return (o->private[0] > 0 ? POLLIN : 0) | (o->private[0] < COUNT_MAX ? POLLOUT : 0);
}

const struct file_ops eventfd_ops = {
	.read = eventfd_read,
	.write = eventfd_write,
	.poll = eventfd_poll,
	.poll_key = eventfd_key,
};

static long make_eventfd(struct task *t, u32 count, u32 flags)
{
	if (flags & ~(u32)(EFD_CLOEXEC | EFD_NONBLOCK | EFD_SEMAPHORE))
		return -EINVAL;
	long index = ofd_create(OFD_EVENTFD, O_RDWR | (flags & O_NONBLOCK));
	if (index < 0)
		return index;
	ofd_at((u32)index)->private[0] = count;
	ofd_at((u32)index)->private[1] = flags & EFD_SEMAPHORE;
	return fd_install(t, (u32)index, flags & O_CLOEXEC);
}

long sys_eventfd(struct task *t, struct frame *f)
{
	return make_eventfd(t, (u32)f->arg[0], 0);
}

long sys_eventfd2(struct task *t, struct frame *f)
{
	return make_eventfd(t, (u32)f->arg[0], (u32)f->arg[1]);
}
