/*
 * Timer descriptors (fs/timerfd.c).  A timer that has fired is not armed again before somebody
 * reads it or asks for its time: only then the periods that passed are counted.
 *
 * Owns a struct timer_file per description, in its `state`.  TFD_TIMER_CANCEL_ON_SET is taken, but
 * nothing ever sets the clock.
 */
#include <linux/capability.h>
#include <linux/time.h>
#include <linux/timerfd.h>
#include "credentials.h"
#include "ready.h"
#include "timer.h"
#include "../shim/signal.h"
#include "synth.h"

#define NS_PER_SEC 1000000000ul

#define SETTIME_FLAGS (TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET)

struct timer_file {
	struct timer timer; /* first: found again by its address */
	u64 ticks;	    /* periods nobody has read */
	bool fired;	    /* and not been armed again */
	s32 clock_id;
	u32 set_flags; /* of the last timerfd_settime */
};

static struct timer_file *file_of(const struct ofd *o)
{
	return o->state;
}

static struct sched_key timerfd_key(struct ofd *o)
{
	return (struct sched_key){KEY_OFD, ofd_index(o)};
}

void timerfd_due(struct timer *timer)
{
	struct timer_file *file = (struct timer_file *)timer;

	file->fired = true;
	file->ticks++;
	ready_changed(timerfd_key(ofd_at(timer->owner)), POLLIN);
}

/* A repeating timer that has fired goes on; `ticks` gets what passed since. */
static void catch_up(struct timer_file *file)
{
	if (file->fired && file->timer.interval_ns != 0) {
		file->ticks += timer_forward(&file->timer) - 1;
		timer_arm(&file->timer);
	}
	file->fired = false;
}

/* As in Linux the ticks are gone even if they cannot be told. */
static long take(struct task *t, struct timer_file *file, const struct file_io *io)
{
	catch_up(file);
	u64 ticks = file->ticks;
	file->ticks = 0;
	long r = io_give(t, io, 0, &ticks, sizeof(ticks));
	return r < 0 ? r : (long)sizeof(ticks);
}

static long timerfd_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct timer_file *file = file_of(o);
	long r = 0;

	if (io->total < sizeof(u64))
		return -EINVAL;
	if (file->ticks)
		return take(t, file, io);
	if (io->nowait)
		return -EAGAIN;
	park_hold_begin(t, o);
	while (!r && !file->ticks)
		r = ready_wait(t, timerfd_key(o), POLLIN);
	if (!r)
		r = take(t, file, io);
	park_hold_end(t, o);
	return r;
}

static u32 timerfd_poll(struct task *t, struct ofd *o)
{
	(void)t;
	return file_of(o)->ticks ? POLLIN : 0;
}

static void timerfd_release(struct ofd *o)
{
	timer_disarm(&file_of(o)->timer);
	heap_free(o->state);
	o->state = NULL;
}

static struct timer_spec file_value(const struct timer_file *file)
{
	const struct timer *timer = &file->timer;
	u64 left = timer_is_armed(timer) ? timer_left_ns(timer) : 0;

	return (struct timer_spec){timer->interval_ns, left};
}

static void timerfd_info(struct ofd *o, struct synth_text *out)
{
	struct timer_file *file = file_of(o);

	if (file->timer.interval_ns != 0)
		catch_up(file);
	struct timer_spec now = file_value(file);
	text_add(out, "clockid: %d\nticks: %lu\nsettime flags: 0%o\n", file->clock_id, file->ticks,
		 file->set_flags);
	text_add(out, "it_value: (%lu, %lu)\nit_interval: (%lu, %lu)\n", now.value_ns / NS_PER_SEC,
		 now.value_ns % NS_PER_SEC, now.interval_ns / NS_PER_SEC,
		 now.interval_ns % NS_PER_SEC);
}

/* For checkpoints: ticks as if so many periods had passed. */
static long timerfd_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	u64 ticks;

	(void)fd;
	if (request != TFD_IOC_SET_TICKS)
		return -ENOTTY;
	if (user_get(ticks, arg) < 0)
		return -EFAULT;
	digest_u64(t, ticks);
	if (ticks == 0)
		return -EINVAL;
	file_of(o)->ticks = ticks;
	ready_changed(timerfd_key(o), POLLIN);
	return 0;
}

const struct file_ops timerfd_ops = {
	.info = timerfd_info,
	.read = timerfd_read,
	.ioctl = timerfd_ioctl,
	.poll = timerfd_poll,
	.poll_key = timerfd_key,
	.seek_stays = true,
	.release = timerfd_release,
};

/* ---- calls ---- */

/* Clocks that wake the machine: for who may do that, though ours never sleeps. */
static bool may_use(const struct task *t, const struct clock *clock)
{
	return !(clock->use & CLOCK_HIDDEN) || capable(t, CAP_WAKE_ALARM);
}

long sys_timerfd_create(struct task *t, struct frame *f)
{
	s32 id = (s32)f->arg[0];
	u32 flags = (u32)f->arg[1];
	struct clock clock;

	if (flags & ~(u32)(TFD_CLOEXEC | TFD_NONBLOCK) ||
	    clock_find_for(t, id, CLOCK_FILES, &clock) < 0)
		return -EINVAL;
	if (!may_use(t, &clock))
		return -EPERM;
	long index = ofd_create(OFD_TIMERFD, O_RDWR | (flags & TFD_NONBLOCK));
	if (index < 0)
		return index;
	struct timer_file *file = heap_alloc(sizeof(*file));
	file->timer.use = TIMER_OF_FD;
	file->timer.owner = (u32)index;
	file->timer.clock = clock;
	file->clock_id = id;
	ofd_at((u32)index)->state = file;
	return fd_install(t, (u32)index, flags & TFD_CLOEXEC);
}

/* -EBADF, -EINVAL: no timer descriptor. */
static long file_find(struct task *t, u64 fd, struct timer_file **ret)
{
	struct ofd *o = fd_get_io(t, (u32)fd);

	if (!o)
		return -EBADF;
	if (o->kind != OFD_TIMERFD)
		return -EINVAL;
	*ret = file_of(o);
	return 0;
}

static void file_set(struct timer_file *file, const struct timer_spec *new, bool absolute)
{
	struct timer *timer = &file->timer;

	timer_disarm(timer);
	file->fired = false;
	file->ticks = 0;
	timer->interval_ns = new->interval_ns;
	timer->deadline_ns = new->value_ns;
	if (new->value_ns == 0)
		return;
	if (!absolute)
		timer->deadline_ns = timer_add_ns(timer_clock_ns(timer), new->value_ns);
	timer_arm(timer);
}

long sys_timerfd_settime(struct task *t, struct frame *f)
{
	struct timer_spec new, old;
	struct timer_file *file;
	long error = timer_spec_in(t, f->arg[2], &new);

	if (error != 0)
		return error;
	if ((u32)f->arg[1] & ~(u32)SETTIME_FLAGS)
		return -EINVAL;
	error = file_find(t, f->arg[0], &file);
	if (error != 0)
		return error;
	if (!may_use(t, &file->timer.clock))
		return -EPERM;
	/* One that repeats tells the rest of the period it is in; nobody will read its ticks. */
	if (file->fired && file->timer.interval_ns != 0)
		catch_up(file);
	old = file_value(file);
	file_set(file, &new, f->arg[1] & TFD_TIMER_ABSTIME);
	file->set_flags = (u32)f->arg[1];
	return f->arg[3] != 0 ? timer_spec_out(t, f->arg[3], &old) : 0;
}

long sys_timerfd_gettime(struct task *t, struct frame *f)
{
	struct timer_file *file;
	long error = file_find(t, f->arg[0], &file);

	if (error < 0)
		return error;
	if (file->timer.interval_ns != 0)
		catch_up(file);
	struct timer_spec now = file_value(file);
	return timer_spec_out(t, f->arg[1], &now);
}
