/*
 * Signal descriptors (fs/signalfd.c): a set of signals in the description (private[0]); who reads
 * takes signals of its own and its process, whoever made the descriptor.
 *
 * Who waits does so on a key of its process, which every signal sent there wakes.  An epoll item
 * is told of the signals of the process that added it, but looks at those of who waits.
 */
#include "ready.h"
#include "../shim/signal.h"
#include "synth.h"

/* Flags of signalfd4, as of open(2). */
#define SFD_FLAGS ((u32)(O_CLOEXEC | O_NONBLOCK))

#define SIGSET_SIZE 8

/* The kernel's struct signalfd_siginfo. */
struct signal_record {
	u32 signo;
	s32 error, code;
	u32 pid, uid;
	s32 fd;
	u32 tid, band, overrun, trapno;
	s32 status, value_int;
	u64 value, utime, stime, addr;
	u16 addr_lsb, pad2;
	s32 call_nr;
	u64 call_addr;
	u32 call_arch;
	u8 pad[28];
};
_Static_assert(sizeof(struct signal_record) == 128, "kernel layout");

static struct sched_key key_of(u32 pid)
{
	return (struct sched_key){KEY_SIGNALS, pid};
}

static struct sched_key signalfd_key(struct ofd *o)
{
	(void)o;
	return key_of(proc_of(current())->pid);
}

void signalfd_notify(u32 proc)
{
	ready_changed(key_of(proc_at(proc)->pid), POLLIN);
}

/* ---- records ---- */

static void record_fill(struct signal_record *r, const struct k_siginfo *info)
{
	*r = (struct signal_record){
		.signo = (u32)info->signo, .error = info->error, .code = info->code};
	switch (signal_info_layout(info)) {
	case SIGNAL_INFO_TIMER:
		r->tid = (u32)info->pid;
		r->overrun = (u32)info->overrun;
		r->value = info->value;
		r->value_int = (s32)info->value;
		break;
	case SIGNAL_INFO_POLL:
		r->band = (u32)info->poll.band;
		r->fd = info->poll.fd;
		break;
	case SIGNAL_INFO_FAULT:
		r->addr = info->addr;
		break;
	case SIGNAL_INFO_CHILD:
		r->status = info->child.status;
		r->utime = (u64)info->child.utime;
		r->stime = (u64)info->child.stime;
		r->pid = (u32)info->pid;
		r->uid = info->uid;
		break;
	case SIGNAL_INFO_CALL:
		r->call_addr = info->call.addr;
		r->call_nr = info->call.nr;
		r->call_arch = info->call.arch;
		break;
	case SIGNAL_INFO_QUEUE:
		r->value = info->value;
		r->value_int = (s32)info->value;
		__attribute__((fallthrough));
	default:
		r->pid = (u32)info->pid;
		r->uid = info->uid;
	}
}

/* ---- as a file ---- */

static u64 set_of(const struct ofd *o)
{
	return o->private[0];
}

/* Waits for the first signal: its number, -EAGAIN, -ERESTARTSYS.  What may be read is read even if
 * it also interrupts. */
static long first_signal(struct task *t, struct ofd *o, bool nowait, struct k_siginfo *ret_info)
{
	long r = 0;

	for (;;) {
		int sig = signal_take(t, set_of(o), ret_info);
		if (sig)
			return sig;
		if (r < 0)
			return r;
		if (nowait)
			return -EAGAIN;
		r = ready_wait(t, signalfd_key(o), POLLIN);
	}
}

static long record_give(struct task *t, const struct file_io *io, u64 at,
			const struct k_siginfo *info)
{
	struct signal_record record;

	record_fill(&record, info);
	return io_give(t, io, at, &record, sizeof(record));
}

/* As many records as there are signals and room.  As in Linux, one that cannot be told is lost. */
static long signalfd_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 room = io->total / sizeof(struct signal_record) * sizeof(struct signal_record);
	struct k_siginfo info;
	u64 done = 0;

	if (room == 0)
		return -EINVAL;
	park_hold_begin(t, o);
	long r = first_signal(t, o, io->nowait, &info);
	while (r > 0) {
		r = record_give(t, io, done, &info);
		if (r < 0)
			break;
		done += sizeof(struct signal_record);
		r = done < room ? signal_take(t, set_of(o), &info) : 0;
	}
	park_hold_end(t, o);
	return done ? (long)done : r;
}

static u32 signalfd_poll(struct task *t, struct ofd *o)
{
	u64 pending = signal_task_of(t)->queue.pending | signal_proc_of(t)->queue.pending;

	return pending & set_of(o) ? POLLIN : 0;
}

static void signalfd_release(struct ofd *o)
{
	(void)o;
	SIGNALS->signalfds--;
}

static void signalfd_info(struct ofd *o, struct synth_text *out)
{
	text_add(out, "sigmask:\t%016lx\n", o->private[0]);
}

const struct file_ops signalfd_ops = {
	.info = signalfd_info,
	.read = signalfd_read,
	.poll = signalfd_poll,
	.poll_key = signalfd_key,
	.seek_stays = true,
	.release = signalfd_release,
};

/* ---- calls ---- */

static long descriptor_new(struct task *t, u64 set, u32 flags)
{
	long index = ofd_create(OFD_SIGNALFD, O_RDWR | (flags & O_NONBLOCK));

	if (index < 0)
		return index;
	ofd_at((u32)index)->private[0] = set;
	SIGNALS->signalfds++;
	return fd_install(t, (u32)index, flags & O_CLOEXEC);
}

static long signalfd(struct task *t, struct frame *f, u32 flags)
{
	s32 fd = (s32)f->arg[0];
	u64 set;

	if (f->arg[2] != SIGSET_SIZE)
		return -EINVAL;
	if (user_get(set, f->arg[1]) < 0)
		return -EFAULT;
	digest_u64(t, set);
	if (flags & ~SFD_FLAGS)
		return -EINVAL;
	set &= ~SIG_UNBLOCKABLE;
	if (fd == -1)
		return descriptor_new(t, set, flags);
	struct ofd *o = fd_get_io(t, (u32)fd);
	if (!o)
		return -EBADF;
	if (o->kind != OFD_SIGNALFD)
		return -EINVAL;
	o->private[0] = set;
	signalfd_notify(t->proc);
	return fd;
}

long sys_signalfd(struct task *t, struct frame *f)
{
	return signalfd(t, f, 0);
}

long sys_signalfd4(struct task *t, struct frame *f)
{
	return signalfd(t, f, (u32)f->arg[3]);
}
