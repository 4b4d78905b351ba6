/*
 * pidfd_open, pidfd_send_signal, and what clone and waitid need of process descriptors.
 *
 * The description keeps private[0], the birth number of what it names, and private[1], its id;
 * object is 1 if it names a task that is not its process's first, which stands for the process.
 * The flag PIDFD_THREAD says whom a signal goes to.  The id is looked up at each use: what is found
 * is the same process if its birth number is, else that process is gone.  Rules are those of
 * kernel/pid.c, kernel/fork.c (pidfd_poll) and kernel/signal.c.
 */
#include "credentials.h"
#include "pidfd.h"
#include "../shim/ids.h"
#include "../shim/signal.h"
#include "ready.h"
#include "signal_send.h"
#include "synth.h"

#define PIDFD_NONBLOCK ((u32)O_NONBLOCK)
#define PIDFD_THREAD   ((u32)O_EXCL)

#define SIGNAL_THREAD	     1u
#define SIGNAL_THREAD_GROUP  2u
#define SIGNAL_PROCESS_GROUP 4u

#define SELF_THREAD  (-10000) /* PIDFD_SELF_*, since Linux 6.15 */
#define SELF_PROCESS (-10001)

enum key_kind { KEY_PIDFD = 0x50460001 };

static struct sched_key key_of(u64 birth)
{
	return (struct sched_key){KEY_PIDFD, birth};
}

void pidfd_changed(u64 birth)
{
	ready_changed(key_of(birth), POLLIN | POLLRDNORM | POLLHUP);
}

/* The process (a zombie perhaps) a description names, or of whose task it is; NONE: gone. */
static u32 process_of(const struct ofd *o)
{
	if (o->object) {
		const struct task *named = proc_find_tid(NONE, (u32)o->private[1]);

		return named != NULL && named->birth == o->private[0] ? named->proc : NONE;
	}
	u32 proc = proc_find_pid((u32)o->private[1]);

	return proc != NONE && proc_at(proc)->birth == o->private[0] ? proc : NONE;
}

/* A task is gone when it ends; a first one stays until its process is reaped. */
static u32 pidfd_poll(struct task *t, struct ofd *o)
{
	u32 proc = process_of(o);

	(void)t;
	if (proc == NONE)
		return POLLIN | POLLRDNORM | POLLHUP;
	return !o->object && proc_at(proc)->state == PROC_ZOMBIE ? POLLIN | POLLRDNORM : 0;
}

static struct sched_key pidfd_key(struct ofd *o)
{
	return key_of(o->private[0]);
}

static void pidfd_info(struct ofd *o, struct synth_text *out)
{
	s32 pid = process_of(o) == NONE ? -1 : (s32)o->private[1];

	text_add(out, "Pid:\t%d\nNSpid:\t%d\n", pid, pid);
}

const struct file_ops pidfd_ops = {
	.info = pidfd_info,
	.poll = pidfd_poll,
	.poll_key = pidfd_key,
};

static long create(u64 birth, u32 id, u32 flags, bool is_task)
{
	long index = ofd_create(OFD_PIDFD, O_RDWR | (flags & (PIDFD_NONBLOCK | PIDFD_THREAD)));

	if (index < 0)
		return index;
	struct ofd *o = ofd_at((u32)index);

	o->private[0] = birth;
	o->private[1] = id;
	o->object = is_task;
	return index;
}

static long open_process(u32 pid, u32 flags)
{
	u32 proc = proc_find_pid(pid);

	if (proc == NONE)
		return proc_find_tid(NONE, pid) != NULL ? -ENOENT : -ESRCH;
	return create(proc_at(proc)->birth, pid, flags, false);
}

/* With PIDFD_THREAD any task. */
static long open_task(u32 tid, u32 flags)
{
	const struct task *named = proc_find_tid(NONE, tid);

	if (named == NULL || proc_find_pid(tid) != NONE)
		return open_process(tid, flags);
	return create(named->birth, tid, flags, true);
}

long sys_pidfd_open(struct task *t, struct frame *f)
{
	s32 pid = (s32)f->arg[0];
	u32 flags = (u32)f->arg[1];

	if (flags & ~(PIDFD_NONBLOCK | PIDFD_THREAD) || pid <= 0)
		return -EINVAL;
	long index =
		flags & PIDFD_THREAD ? open_task((u32)pid, flags) : open_process((u32)pid, flags);

	return index < 0 ? index : fd_install(t, (u32)index, O_CLOEXEC);
}

long pidfd_check(struct task *t, u64 addr)
{
	u32 was;

	if (user_get(was, addr) < 0 || user_put(addr, was) < 0)
		return -EFAULT;
	return fd_has_room(t) ? 0 : -EMFILE;
}

void pidfd_give(struct task *t, const struct task *child, bool is_thread, u64 addr)
{
	u64 birth = is_thread ? child->birth : proc_of(child)->birth;
	long index = create(birth, child->tid, is_thread ? PIDFD_THREAD : 0, is_thread);
	u32 fd = (u32)fd_install(t, (u32)index, O_CLOEXEC);

	user_put(addr, fd);
	digest_u64(t, fd);
}

long pidfd_process(struct task *t, u32 fd, bool *ret_nonblock)
{
	const struct ofd *o = fd_get_io(t, fd);

	if (o == NULL || o->kind != OFD_PIDFD)
		return -EBADF;
	*ret_nonblock = o->flags & O_NONBLOCK;
	return process_of(o) == NONE ? 0 : (long)o->private[1];
}

/* ---- pidfd_send_signal ---- */

/* A process's directory below /proc stands for it, too. */
static u32 directory_process(const struct ofd *o)
{
	static const char below[] = "/proc/";
	const char *s = o->path;
	u32 pid = 0;

	if (s == NULL || strncmp(s, below, sizeof(below) - 1) != 0)
		return 0;
	for (s += sizeof(below) - 1; *s >= '0' && *s <= '9' && pid < 1u << 24; s++)
		pid = pid * 10 + (u32)(*s - '0');
	return *s == '\0' ? pid : 0;
}

/* The id of whom a signal may be sent by `o`; 0 for what names nobody. */
static u32 target_of(const struct ofd *o)
{
	if (o == NULL || o->flags & O_PATH)
		return 0;
	if (o->kind == OFD_PIDFD)
		return (u32)o->private[1];
	return o->kind == OFD_SYNTH_DIR ? directory_process(o) : 0;
}

/*
 * The group that the process made, which may outlive it: while it has members nobody else gets the
 * id.  0, which no group has: there is none.
 */
static u32 group_of(const struct ofd *o, u32 proc)
{
	return proc != NONE || proc_find_pid(target_of(o)) == NONE ? target_of(o) : 0;
}

static long send_to(struct task *t, const struct ofd *o, u32 scope, u64 sig,
		    const struct k_siginfo *info)
{
	u32 proc = o->kind == OFD_PIDFD ? process_of(o) : proc_find_pid(target_of(o));

	if (scope == SIGNAL_PROCESS_GROUP)
		return signal_to_group(t, group_of(o, proc), sig, info);
	if (proc == NONE)
		return -ESRCH;
	if (scope == 0)
		scope = o->kind == OFD_PIDFD && o->flags & PIDFD_THREAD ? SIGNAL_THREAD
									: SIGNAL_THREAD_GROUP;
	if (scope == SIGNAL_THREAD)
		return signal_to_thread(t, 0, target_of(o), sig, info);
	return signal_to_process(t, proc, sig, info);
}

/* What a number stands for: a description, or the caller, who needs none to name itself. */
static const struct ofd *named_by(struct task *t, s32 fd, struct ofd *self)
{
	bool thread = fd == SELF_THREAD;

	if (!thread && fd != SELF_PROCESS)
		return fd_get_io(t, (u32)fd);
	self->kind = OFD_PIDFD;
	self->flags = thread ? PIDFD_THREAD : 0;
	self->object = thread && t->tid != proc_of(t)->pid;
	self->private[0] = self->object ? t->birth : proc_of(t)->birth;
	self->private[1] = thread ? t->tid : proc_of(t)->pid;
	return self;
}

long sys_pidfd_send_signal(struct task *t, struct frame *f)
{
	u32 scope = (u32)f->arg[3];
	struct ofd self = {0};
	const struct ofd *o = named_by(t, (s32)f->arg[0], &self);
	struct k_siginfo info, *given = NULL;

	if (scope & ~(SIGNAL_THREAD | SIGNAL_THREAD_GROUP | SIGNAL_PROCESS_GROUP) ||
	    scope & (scope - 1))
		return -EINVAL;
	if (target_of(o) == 0)
		return -EBADF;
	if (f->arg[2] != 0) {
		s32 signo, sig = (s32)f->arg[1];
		long error = user_get(signo, f->arg[2]) < 0
				     ? -EFAULT
				     : signal_info_in(t, f->arg[2], sig, &info);

		if (error < 0)
			return error;
		if (signo != sig)
			return -EINVAL;
		bool to_self = target_of(o) == t->tid && scope != SIGNAL_PROCESS_GROUP;
		if (!signal_may_fake(&info, to_self))
			return -EPERM;
		given = &info;
	}
	return send_to(t, o, scope, (u32)f->arg[1], given);
}

/* ---- pidfd_getfd ---- */

/* Of a file of the host the kernel's descriptor would be needed, and it is in another table. */
static bool is_host_file(const struct ofd *o)
{
	return o->kind == OFD_HOST_FILE || o->kind == OFD_HOST_DIR || o->kind == OFD_PATH ||
	       o->kind == OFD_SYNTH_FILE;
}

static long take_from(struct task *t, u32 proc, u32 fd)
{
	u32 files = proc_at(proc)->files;
	u32 index = fd < APP_FD_MAX ? FILES->tables[files].fd[fd] & FD_OFD : 0;

	if (index == 0)
		return -EBADF;
	if (files == proc_of(t)->files)
		return fd_duplicate(t, fd, 0, O_CLOEXEC);
	if (is_host_file(ofd_at(index))) {
		HEAD->refused_count[NR_pidfd_getfd]++;
		return -EPERM;
	}
	ofd_hold(ofd_at(index));
	return fd_install(t, index, O_CLOEXEC);
}

long sys_pidfd_getfd(struct task *t, struct frame *f)
{
	const struct ofd *o = fd_get_io(t, (u32)f->arg[0]);

	if ((u32)f->arg[2] != 0)
		return -EINVAL;
	if (o == NULL || o->kind != OFD_PIDFD)
		return -EBADF;
	u32 proc = process_of(o);
	if (proc == NONE)
		return -ESRCH;
	if (!may_look_into(t, proc))
		return -EPERM;
	return proc_at(proc)->state == PROC_LIVE ? take_from(t, proc, (u32)f->arg[1]) : -ESRCH;
}
