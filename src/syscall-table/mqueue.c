/*
 * POSIX message queues: names, messages by priority, waiting on either side, notification, limits.
 * Rules: ipc/mqueue.c of Linux, with its default limits.
 *
 * A queue lives in the heap while it has a name or a description.  A message goes straight to the
 * receiver who waits longest; when one is taken, the message of the sender who waits longest takes
 * its place.  So nobody waits for what is there, and who is served is decided by who came first.
 *
 * Invariants: receivers wait only while there is no message, senders only while the queue is full.
 * What a queue may take at most counts against RLIMIT_MSGQUEUE of its user from birth to end.
 */
#include <asm/stat.h>
#include "../shim/signal.h"
#include "credentials.h"
#include "ipc.h"
#include "netlink.h"
#include "ready.h"
#include "synth.h"

#define PRIORITIES	  32768u /* MQ_PRIO_MAX */
#define QUEUES_MAX	  256u
#define MESSAGES_MAX	  10
#define MESSAGES_ROOT_MAX 65536
#define BYTES_MAX	  8192
#define BYTES_ROOT_MAX	  (16 << 20)
#define MESSAGE_HEAD	  48u /* what a message and a priority take besides: struct msg_msg, ... */
#define TEXT_SIZE	  80  /* st_size: room for what read() tells */
#define NAME_LONGEST	  255
#define LIMIT_MSGQUEUE	  12 /* RLIMIT_MSGQUEUE */
#define SECOND_NS	  1000000000ull
#define SI_MESGQ	  (-3)
#define COOKIE_BYTES	  32
enum { SIGEV_SIGNAL, SIGEV_NONE, SIGEV_THREAD };
enum { COOKIE_TOLD = 1, COOKIE_REMOVED };

struct mq_attr {
	s64 flags, maxmsg, msgsize, curmsgs, reserved[4];
};

struct k_sigevent {
	u64 value;
	s32 signo, notify;
	u8 pad[48];
};
_Static_assert(sizeof(struct k_sigevent) == 64, "kernel layout");

struct message {
	struct message *next;
	u32 priority;
	u64 size;
	u8 bytes[];
};

/*
 * Who is told that a message came to an empty queue: once.  It can outlive its process, whose
 * descriptors another shares (CLONE_FILES): then nobody is told, but until then it is in the way.
 */
struct notice {
	u32 proc;  /* NONE: nobody */
	u32 pid;   /* of it */
	u32 execs; /* of it, as it asked: another program is sent no signal */
	s32 notify, signo;
	u64 value;
	/* SIGEV_THREAD: what is sent, by a netlink socket of its own; its last byte says why. */
	u64 socket_ino;
	u8 cookie[COOKIE_BYTES];
};

struct mqueue {
	struct mqueue *next; /* of IPC->mqueues */
	char *name;	     /* heap; NULL: it has none any more */
	u32 opens;
	u32 mode, uid, gid;
	u32 payer; /* the user whose limit it counts against */
	u64 ino;
	s64 maxmsg, msgsize, count;
	u64 bytes;	       /* in all messages */
	struct message *first; /* highest priority first, oldest first */
	struct ipc_queue senders, receivers;
	struct notice notice;
	s64 born_ns, used_ns;
};

static struct mqueue *mqueue_of(const struct ofd *o)
{
	return o->state;
}

static struct sched_key key_of(const struct mqueue *q)
{
	return (struct sched_key){KEY_OFD, (u64)q};
}

/* ---- life ---- */

static struct mqueue *all(void)
{
	return IPC->mqueues;
}

static struct mqueue *find(const char *name)
{
	struct mqueue *q = all();

	while (q && (!q->name || strcmp(q->name, name) != 0))
		q = q->next;
	return q;
}

/* It has no name and is not open: it ends. */
static void end_if_unused(struct mqueue *q)
{
	struct mqueue **link = (struct mqueue **)&IPC->mqueues;

	if (q->opens || q->name)
		return;
	while (q->first) {
		struct message *m = q->first;
		q->first = m->next;
		heap_free(m);
	}
	while (*link != q)
		link = &(*link)->next;
	*link = q->next;
	heap_free(q);
}

static void mqueue_release(struct ofd *o)
{
	struct mqueue *q = mqueue_of(o);

	q->opens--;
	end_if_unused(q);
}

/* What the queue can take, as the kernel counts it. */
static u64 charge_of(s64 maxmsg, s64 msgsize)
{
	u64 priorities = (u64)maxmsg < PRIORITIES ? (u64)maxmsg : PRIORITIES;

	return (u64)maxmsg * ((u64)msgsize + MESSAGE_HEAD) + priorities * MESSAGE_HEAD;
}

/* The limits of a user: how many queues there are, and how much his may take. */
static long check_limits(const struct task *t, s64 maxmsg, s64 msgsize)
{
	const struct proc *p = proc_of(t);
	bool root = capable(t, CAP_SYS_RESOURCE);
	u64 charged = charge_of(maxmsg, msgsize);
	u32 count = 0;

	for (const struct mqueue *q = all(); q; q = q->next) {
		count++;
		charged += q->payer == p->uid ? charge_of(q->maxmsg, q->msgsize) : 0;
	}
	if (count >= QUEUES_MAX && !root)
		return -ENOSPC;
	if (maxmsg <= 0 || msgsize <= 0 || maxmsg > (root ? MESSAGES_ROOT_MAX : MESSAGES_MAX) ||
	    msgsize > (root ? BYTES_ROOT_MAX : BYTES_MAX))
		return -EINVAL;
	return charged > p->rlimits[LIMIT_MSGQUEUE][0] ? -EMFILE : 0;
}

static long create(struct task *t, const char *name, u32 mode, const struct mq_attr *attr,
		   struct mqueue **ret)
{
	const struct proc *p = proc_of(t);
	s64 maxmsg = attr ? attr->maxmsg : MESSAGES_MAX, msgsize = attr ? attr->msgsize : BYTES_MAX;

	long r = check_limits(t, maxmsg, msgsize);
	if (r < 0)
		return r;
	struct mqueue *q = heap_alloc(sizeof(*q));
	q->name = heap_strdup(name);
	q->mode = S_IFREG | (mode & 07777 & ~FILES->fs[p->fs].umask);
	q->uid = p->fsuid;
	q->gid = p->fsgid;
	q->payer = p->uid;
	q->ino = READY_FIRST_INO + READY->next_ino++;
	q->maxmsg = maxmsg;
	q->msgsize = msgsize;
	q->notice.proc = NONE;
	q->born_ns = q->used_ns = (s64)now_ns();
	q->next = all();
	IPC->mqueues = q;
	*ret = q;
	return 0;
}

/* ---- opening and unlinking ---- */

/* The name as the library hands it over: one component, without the slash. */
static long name_in(struct task *t, u64 user, char *name)
{
	long n = user_string_in(name, user, FILE_PATH_MAX);

	if (n < 0)
		return n;
	digest_bytes(t, name, (u64)n);
	if (n == 0)
		return -ENOENT;
	if (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return -EACCES;
	return n > NAME_LONGEST ? -ENAMETOOLONG : 0;
}

static long check_access(struct task *t, const struct mqueue *q, u32 flags)
{
	static const u32 want[] = {4, 2, 6};
	struct vnode v = {.mode = q->mode, .uid = q->uid, .gid = q->gid};

	if ((flags & O_ACCMODE) == O_ACCMODE)
		return -EINVAL;
	return vnode_permission(t, &v, want[flags & O_ACCMODE], false);
}

static long open_queue(struct task *t, const char *name, u32 flags, u32 mode,
		       const struct mq_attr *attr, struct mqueue **ret)
{
	struct mqueue *q = find(name);

	if (!q)
		return flags & O_CREAT ? create(t, name, mode, attr, ret) : -ENOENT;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	*ret = q;
	return check_access(t, q, flags);
}

static void attach(struct ofd *o, struct mqueue *q)
{
	o->state = q;
	q->opens++;
}

void mqueue_attach(struct ofd *o, const struct ofd *of)
{
	attach(o, mqueue_of(of));
}

static long install(struct task *t, struct mqueue *q, u32 flags)
{
	long index = ofd_create(OFD_MQUEUE, flags & (O_ACCMODE | O_NONBLOCK));

	if (index < 0) {
		end_if_unused(q);
		return index;
	}
	attach(ofd_at((u32)index), q);
	return fd_install(t, (u32)index, O_CLOEXEC);
}

static void unname(struct mqueue *q)
{
	heap_free(q->name);
	q->name = NULL;
	end_if_unused(q);
}

long sys_mq_open(struct task *t, struct frame *f)
{
	char name[FILE_PATH_MAX];
	u32 flags = (u32)f->arg[1];
	struct mq_attr attr;
	struct mqueue *q = NULL;
	bool has_attr = f->arg[3] && flags & O_CREAT;

	if (f->arg[3] && ipc_take(t, &attr, f->arg[3], sizeof(attr)) < 0)
		return -EFAULT;
	long r = name_in(t, f->arg[0], name);
	bool is_new = r == 0 && !find(name);
	if (r == 0)
		r = open_queue(t, name, flags, (u32)f->arg[2], has_attr ? &attr : NULL, &q);
	if (r < 0)
		return r;
	r = install(t, q, flags);
	/* Linux takes the number first: without one there is no new queue. */
	if (r < 0 && is_new)
		unname(q);
	return r;
}

long sys_mq_unlink(struct task *t, struct frame *f)
{
	char name[FILE_PATH_MAX];

	long r = name_in(t, f->arg[0], name);
	if (r < 0)
		return r;
	struct mqueue *q = find(name);
	if (!q)
		return -ENOENT;
	/* Their folder belongs to root and is sticky. */
	u32 uid = proc_of(t)->fsuid;
	if (uid && uid != q->uid && !capable(t, CAP_FOWNER))
		return -EPERM;
	unname(q);
	return 0;
}

/* ---- notification ---- */

static void tell_signal(struct task *t, const struct notice *n)
{
	const struct proc *from = proc_of(t), *to = proc_at(n->proc);
	struct k_siginfo info = {
		.code = SI_MESGQ,
		.pid = (s32)from->pid,
		.uid = from->uid,
		.value = n->value,
	};

	if (n->signo && to->state == PROC_LIVE && to->pid == n->pid && to->exec_count == n->execs)
		signal_send_proc(n->proc, n->signo, &info);
}

/* The socket may be closed by now. */
static void tell_thread(struct notice *n, u8 why)
{
	struct socket *s = socket_find(n->socket_ino);

	n->cookie[COOKIE_BYTES - 1] = why;
	if (s)
		netlink_answer(netlink_of(s), n->cookie, COOKIE_BYTES);
}

static void tell(struct task *t, struct mqueue *q)
{
	struct notice *n = &q->notice;

	if (n->proc == NONE)
		return;
	if (n->notify == SIGEV_SIGNAL)
		tell_signal(t, n);
	else if (n->notify == SIGEV_THREAD)
		tell_thread(n, COOKIE_TOLD);
	n->proc = NONE;
}

/* The process takes back what it asked for. */
static void notice_remove(struct task *t, struct notice *n)
{
	if (n->proc != t->proc || n->pid != proc_of(t)->pid)
		return;
	if (n->notify == SIGEV_THREAD)
		tell_thread(n, COOKIE_REMOVED);
	n->proc = NONE;
}

/* Closing any descriptor of the queue ends what the process asked for. */
static void mqueue_flush(struct task *t, struct ofd *o)
{
	notice_remove(t, &mqueue_of(o)->notice);
}

/* As the C library asks for a thread: the signal is a socket, the value a cookie to send there. */
static long thread_event(struct task *t, const struct k_sigevent *event, struct notice *n)
{
	if (ipc_take(t, n->cookie, event->value, COOKIE_BYTES) < 0)
		return -EFAULT;
	struct ofd *o = fd_get_io(t, (u32)event->signo);
	if (!o)
		return -EBADF;
	if (o->kind != OFD_SOCKET)
		return -ENOTSOCK;
	if (socket_of(o)->family != AF_NETLINK)
		return -EINVAL;
	n->socket_ino = socket_of(o)->ino;
	return 0;
}

static long notice_make(struct task *t, const struct k_sigevent *event, struct notice *n)
{
	*n = (struct notice){.proc = t->proc,
			     .pid = proc_of(t)->pid,
			     .execs = proc_of(t)->exec_count,
			     .notify = event->notify,
			     .signo = event->signo,
			     .value = event->value};

	switch (event->notify) {
	case SIGEV_NONE:
		return 0;
	case SIGEV_SIGNAL:
		return event->signo < 0 || event->signo > SIG_MAX ? -EINVAL : 0;
	case SIGEV_THREAD:
		return thread_event(t, event, n);
	default:
		return -EINVAL;
	}
}

static struct ofd *get(struct task *t, u64 fd)
{
	struct ofd *o = fd_get(t, (u32)fd);

	return o && o->kind == OFD_MQUEUE ? o : NULL;
}

static long notify(struct task *t, struct notice *n, const struct notice *wanted)
{
	if (!wanted) {
		notice_remove(t, n);
		return 0;
	}
	if (n->proc != NONE)
		return -EBUSY;
	*n = *wanted;
	return 0;
}

long sys_mq_notify(struct task *t, struct frame *f)
{
	struct k_sigevent event;
	struct notice wanted;
	bool is_on = f->arg[1] != 0;

	if (is_on && ipc_take(t, &event, f->arg[1], sizeof(event)) < 0)
		return -EFAULT;
	long r = is_on ? notice_make(t, &event, &wanted) : 0;
	if (r < 0)
		return r;
	struct ofd *o = get(t, f->arg[0]);
	return o ? notify(t, &mqueue_of(o)->notice, is_on ? &wanted : NULL) : -EBADF;
}

/* ---- messages ---- */

static void used(struct mqueue *q)
{
	q->used_ns = (s64)now_ns();
}

static void insert(struct mqueue *q, struct message *m)
{
	struct message **link = &q->first;

	while (*link && (*link)->priority >= m->priority)
		link = &(*link)->next;
	m->next = *link;
	*link = m;
	q->count++;
	q->bytes += m->size;
}

static void send(struct task *t, struct mqueue *q, struct message *m)
{
	struct ipc_waiter *w = q->receivers.first;

	used(q);
	if (w) {
		w->owned = m;
		ipc_wait_done(w, 0);
		return;
	}
	insert(q, m);
	if (q->count == 1)
		tell(t, q);
	ready_changed(key_of(q), POLLIN | POLLRDNORM);
}

/* Takes the first message; the place goes to the sender who waits longest. */
static struct message *receive(struct mqueue *q)
{
	struct message *m = q->first;
	struct ipc_waiter *w = q->senders.first;

	used(q);
	q->first = m->next;
	q->count--;
	q->bytes -= m->size;
	if (w) {
		insert(q, w->owned);
		w->owned = NULL;
		ipc_wait_done(w, 0);
	} else {
		ready_changed(key_of(q), POLLOUT | POLLWRNORM);
	}
	return m;
}

/* ---- sending and receiving ---- */

/* An absolute time of the wall clock; SCHED_NEVER without one. */
static long deadline_of(struct task *t, u64 user, u64 *ret)
{
	s64 ts[2];

	*ret = SCHED_NEVER;
	if (!user)
		return 0;
	if (ipc_take(t, ts, user, sizeof(ts)) < 0)
		return -EFAULT;
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (s64)SECOND_NS)
		return -EINVAL;
	if (ts[0] < 8000000000)
		*ret = (u64)ts[0] * SECOND_NS + (u64)ts[1];
	return 0;
}

static long wait_result(long r)
{
	return r == -EINTR ? -ERESTARTSYS : r == -EAGAIN ? -ETIMEDOUT : r;
}

/* `*m` is the message that waits to come in, or, for a receiver, NULL until one came. */
static long wait(struct task *t, struct ofd *o, struct ipc_queue *queue, struct message **m,
		 u64 deadline)
{
	if (o->flags & O_NONBLOCK)
		return -EAGAIN;
	if (deadline <= now_ns())
		return -ETIMEDOUT;
	struct ipc_waiter *w = ipc_wait_begin(t, sizeof(*w));
	w->owned = *m;
	ipc_wait_enqueue(queue, w);
	park_hold_begin(t, o);
	long r = ipc_wait_park(t, w, deadline);
	*m = w->owned;
	w->owned = NULL;
	ipc_wait_end(t);
	park_hold_end(t, o);
	return wait_result(r);
}

static long message_in(struct task *t, const struct frame *f, struct message **ret)
{
	u64 size = f->arg[2];
	struct message *m = heap_alloc_unset(sizeof(*m) + size);

	m->priority = (u32)f->arg[3];
	m->size = size;
	if (ipc_take(t, m->bytes, f->arg[1], size) < 0) {
		heap_free(m);
		return -EFAULT;
	}
	*ret = m;
	return 0;
}

long sys_mq_timedsend(struct task *t, struct frame *f)
{
	struct message *m;
	u64 deadline;

	long r = deadline_of(t, f->arg[4], &deadline);
	if (r < 0)
		return r;
	if ((u32)f->arg[3] >= PRIORITIES)
		return -EINVAL;
	struct ofd *o = get(t, f->arg[0]);
	if (!o || (o->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	struct mqueue *q = mqueue_of(o);
	if (f->arg[2] > (u64)q->msgsize)
		return -EMSGSIZE;
	r = message_in(t, f, &m);
	if (r < 0)
		return r;
	if (q->count < q->maxmsg) {
		send(t, q, m);
		return 0;
	}
	r = wait(t, o, &q->senders, &m, deadline);
	heap_free(m);
	return r;
}

static long message_out(struct task *t, const struct frame *f, struct message *m)
{
	long r = (long)m->size;

	if (f->arg[3] && ipc_give(t, f->arg[3], &m->priority, sizeof(m->priority)) < 0)
		r = -EFAULT;
	if (r >= 0 && ipc_give(t, f->arg[1], m->bytes, m->size) < 0)
		r = -EFAULT;
	heap_free(m);
	return r;
}

long sys_mq_timedreceive(struct task *t, struct frame *f)
{
	struct message *m = NULL;
	u64 deadline;

	long r = deadline_of(t, f->arg[4], &deadline);
	if (r < 0)
		return r;
	struct ofd *o = get(t, f->arg[0]);
	if (!o || (o->flags & O_ACCMODE) == O_WRONLY)
		return -EBADF;
	struct mqueue *q = mqueue_of(o);
	if (f->arg[2] < (u64)q->msgsize)
		return -EMSGSIZE;
	if (q->count)
		m = receive(q);
	else
		r = wait(t, o, &q->receivers, &m, deadline);
	return r < 0 ? r : message_out(t, f, m);
}

long sys_mq_getsetattr(struct task *t, struct frame *f)
{
	struct mq_attr want, now = {0};

	if (f->arg[1] && ipc_take(t, &want, f->arg[1], sizeof(want)) < 0)
		return -EFAULT;
	if (f->arg[1] && want.flags & ~(s64)O_NONBLOCK)
		return -EINVAL;
	struct ofd *o = get(t, f->arg[0]);
	if (!o)
		return -EBADF;
	const struct mqueue *q = mqueue_of(o);
	now.flags = o->flags & O_NONBLOCK;
	now.maxmsg = q->maxmsg;
	now.msgsize = q->msgsize;
	now.curmsgs = q->count;
	if (f->arg[1])
		o->flags = (o->flags & ~(u32)O_NONBLOCK) | ((u32)want.flags & O_NONBLOCK);
	return f->arg[2] ? ipc_give(t, f->arg[2], &now, sizeof(now)) : 0;
}

/* ---- as a file ---- */

static u32 mqueue_poll(struct task *t, struct ofd *o)
{
	const struct mqueue *q = mqueue_of(o);

	(void)t;
	return (q->count ? POLLIN | POLLRDNORM : 0) |
	       (q->count < q->maxmsg ? POLLOUT | POLLWRNORM : 0);
}

static struct sched_key mqueue_poll_key(struct ofd *o)
{
	return key_of(mqueue_of(o));
}

static void put_padded(char *text, u64 *len, const char *name, u64 value, u64 width)
{
	u64 start;

	str_format(text, TEXT_SIZE, len, "%s:", name);
	start = *len;
	str_format(text, TEXT_SIZE, len, "%lu", value);
	while (*len - start < width)
		str_format(text, TEXT_SIZE, len, " ");
}

/* What read() tells of the queue. */
static u64 describe(const struct mqueue *q, char *text)
{
	const struct notice *n = &q->notice;
	bool is_on = n->proc != NONE, is_signal = is_on && n->notify == SIGEV_SIGNAL;
	u64 len = 0;

	put_padded(text, &len, "QSIZE", q->bytes, 10);
	put_padded(text, &len, " NOTIFY", is_on ? (u64)n->notify : 0, 5);
	put_padded(text, &len, " SIGNO", is_signal ? (u64)n->signo : 0, 5);
	put_padded(text, &len, " NOTIFY_PID", is_on ? n->pid : 0, 6);
	str_format(text, TEXT_SIZE, &len, "\n");
	return len;
}

static long mqueue_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	u64 at = io->offset >= 0 ? (u64)io->offset : o->private[0];
	char text[TEXT_SIZE];
	u64 len = describe(mqueue_of(o), text);

	if (at >= len)
		return 0;
	u64 n = len - at < io->total ? len - at : io->total;
	if (io_give(t, io, 0, text + at, n) < 0)
		return -EFAULT;
	if (io->offset < 0)
		o->private[0] = at + n;
	return (long)n;
}

static long mqueue_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	s64 base[] = {0, (s64)o->private[0], TEXT_SIZE};

	(void)t;
	(void)fd;
	if (whence > 2 || base[whence] + offset < 0)
		return -EINVAL;
	o->private[0] = (u64)(base[whence] + offset);
	return (long)o->private[0];
}

static long mqueue_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	const struct mqueue *q = mqueue_of(o);

	(void)t;
	(void)fd;
	ret->dev = DEV_OF_QUEUES;
	ret->ino = q->ino;
	ret->mode = q->mode;
	ret->nlink = q->name ? 1 : 0;
	ret->uid = q->uid;
	ret->gid = q->gid;
	ret->size = TEXT_SIZE;
	ret->blksize = 4096;
	ret->btime_ns = q->born_ns;
	ret->mtime_ns = ret->ctime_ns = ret->atime_ns = q->used_ns;
	return 0;
}

const char *mqueue_name(const struct ofd *o)
{
	return mqueue_of(o)->name;
}

const struct file_ops mqueue_ops = {
	.read = mqueue_read,
	.poll = mqueue_poll,
	.poll_key = mqueue_poll_key,
	.seek = mqueue_seek,
	.stat = mqueue_stat,
	.flush = mqueue_flush,
	.release = mqueue_release,
};
