/*
 * System V message queues.  Rules: ipc/msg.c of Linux.
 *
 * A message goes straight to the first waiting receiver that takes it; receivers are never asked
 * again.  Senders are: when room comes, all that would fit by themselves are woken and try in the
 * order of their turns, and those that would not go to the end of the queue.
 *
 * Invariants: bytes and count of a queue are those of its list; a waiting receiver takes none of
 * the messages that are there.
 */
#include <asm/msgbuf.h>
#include <linux/msg.h>
#include "../shim/signal.h"
#include "credentials.h"
#include "ipc.h"
#include "synth.h"

#define QUEUES_MAX	32000u
#define MESSAGE_MAX	8192
#define QUEUE_BYTES_MAX 16384u
#define SEGMENT_SIZE	16 /* what the kernel once kept messages in: only in msginfo */
#define POOL_SIZE	(QUEUES_MAX * QUEUE_BYTES_MAX / 1024)
#define ANY_SIZE	INT64_MAX
#ifndef MSG_COPY
#define MSG_COPY 040000
#endif

struct message {
	struct message *next;
	s64 type;
	u64 size;
	u8 bytes[];
};

struct msg_queue {
	struct ipc_object ipc; /* first */
	struct message *first, **end;
	u64 bytes, count, bytes_max;
	s64 stime, rtime, ctime;
	s32 lspid, lrpid;
	struct ipc_queue senders, receivers;
};

enum pick { PICK_ANY, PICK_TYPE, PICK_OTHER, PICK_LOWEST, PICK_NUMBER };

/* What a receiver takes. */
struct wanted {
	enum pick pick;
	s64 type; /* PICK_NUMBER: the place in the queue */
	s64 max;  /* bytes; longer ones are an error */
};

/* Waits for a message, which then is `owned`. */
struct receiver {
	struct ipc_waiter wait; /* first */
	struct wanted want;
};

struct sender {
	struct ipc_waiter wait; /* first; owns its message */
	u64 size;
};

static struct msg_queue *find(s32 id)
{
	return (struct msg_queue *)ipc_find(IPC_MSG, id);
}

/* ---- life ---- */

static long make(struct task *t, const struct ipc_get *get, struct ipc_object **ret)
{
	struct msg_queue *q = heap_alloc(sizeof(*q));

	(void)t;
	(void)get;
	q->end = &q->first;
	q->bytes_max = QUEUE_BYTES_MAX;
	q->ctime = ipc_now();
	*ret = &q->ipc;
	return 0;
}

static void unmake(struct ipc_object *o)
{
	heap_free(o);
}

static void end_waits(struct ipc_queue *q)
{
	while (q->first)
		ipc_wait_done(q->first, -EIDRM);
}

static void destroy(struct msg_queue *q)
{
	end_waits(&q->senders);
	end_waits(&q->receivers);
	IPC->msg_bytes -= q->bytes;
	IPC->msg_count -= q->count;
	while (q->first) {
		struct message *m = q->first;
		q->first = m->next;
		heap_free(m);
	}
	ipc_remove(IPC_MSG, &q->ipc);
	heap_free(q);
}

long sys_msgget(struct task *t, struct frame *f)
{
	struct ipc_get get = {
		.class = IPC_MSG,
		.limit = QUEUES_MAX,
		.key = (s32)f->arg[0],
		.flags = (u32)f->arg[1],
		.make = make,
		.unmake = unmake,
	};

	return ipc_get(t, &get);
}

/* ---- the list ---- */

static void append(struct msg_queue *q, struct message *m)
{
	m->next = NULL;
	*q->end = m;
	q->end = &m->next;
	q->bytes += m->size;
	q->count++;
	IPC->msg_bytes += m->size;
	IPC->msg_count++;
}

static struct message *take_out(struct msg_queue *q, struct message **link)
{
	struct message *m = *link;

	*link = m->next;
	if (q->end == &m->next)
		q->end = link;
	q->bytes -= m->size;
	q->count--;
	IPC->msg_bytes -= m->size;
	IPC->msg_count--;
	return m;
}

static bool matches(const struct message *m, const struct wanted *want)
{
	switch (want->pick) {
	case PICK_TYPE:
		return m->type == want->type;
	case PICK_OTHER:
		return m->type != want->type;
	case PICK_LOWEST:
		return m->type <= want->type;
	default:
		return true;
	}
}

/* The link to the message that is wanted, or NULL. */
static struct message **pick(struct msg_queue *q, const struct wanted *want)
{
	struct message **best = NULL;
	s64 number = 0;

	for (struct message **link = &q->first; *link; link = &(*link)->next, number++) {
		if (!matches(*link, want) || (want->pick == PICK_NUMBER && number != want->type))
			continue;
		if (want->pick != PICK_LOWEST)
			return link;
		if (!best || (*link)->type < (*best)->type)
			best = link;
	}
	return best;
}

/* ---- sending ---- */

static bool fits(const struct msg_queue *q, u64 size)
{
	return size + q->bytes <= q->bytes_max && q->count + 1 <= q->bytes_max;
}

/* Gives the message to a receiver who waits for such a one; false: there is none. */
static bool hand_over(struct msg_queue *q, struct message *m)
{
	for (struct ipc_waiter *w = q->receivers.first, *next; w; w = next) {
		const struct wanted *want = &((struct receiver *)w)->want;
		next = w->next;
		if (!matches(m, want))
			continue;
		if (want->max < (s64)m->size) {
			ipc_wait_done(w, -E2BIG);
			continue;
		}
		q->lrpid = w->pid;
		q->rtime = ipc_now();
		w->owned = m;
		ipc_wait_done(w, 0);
		return true;
	}
	return false;
}

static void send(struct task *t, struct msg_queue *q, struct message *m)
{
	q->lspid = (s32)proc_of(t)->pid;
	q->stime = ipc_now();
	if (!hand_over(q, m))
		append(q, m);
}

/* The message of a sender who waits comes from his waiter, so that it is freed if he never runs
 * again. */
static long send_later(struct task *t, s32 id, struct message *m)
{
	struct sender *w = ipc_wait_begin(t, sizeof(*w));
	long r = 0;

	w->size = m->size;
	w->wait.owned = m;
	ipc_wait_enqueue(&find(id)->senders, &w->wait);
	while (r == 0) {
		r = ipc_wait_park(t, &w->wait, SCHED_NEVER);
		if (r < 0)
			break;
		struct msg_queue *q = find(id);
		if (!ipc_permits(t, &q->ipc, IPC_WRITE)) {
			r = -EACCES;
		} else if (fits(q, m->size)) {
			w->wait.owned = NULL;
			ipc_wait_end(t);
			send(t, q, m);
			return 0;
		} else {
			ipc_wait_requeue(&w->wait);
		}
	}
	ipc_wait_end(t);
	return r == -EINTR ? -ERESTARTNOHAND : r;
}

/* The message is freed unless it was sent or is owned by a waiter. */
static long send_or_wait(struct task *t, s32 id, struct message *m, bool wait)
{
	struct msg_queue *q = find(id);
	long r = 0;

	if (!q)
		r = -EINVAL;
	else if (!ipc_permits(t, &q->ipc, IPC_WRITE))
		r = -EACCES;
	else if (!fits(q, m->size) && !wait)
		r = -EAGAIN;
	if (r < 0) {
		heap_free(m);
		return r;
	}
	if (!fits(q, m->size))
		return send_later(t, id, m);
	send(t, q, m);
	return 0;
}

long sys_msgsnd(struct task *t, struct frame *f)
{
	u64 user = f->arg[1], size = f->arg[2];
	s64 type;

	if (ipc_take(t, &type, user, sizeof(type)) < 0)
		return -EFAULT;
	if (size > MESSAGE_MAX || (s32)f->arg[0] < 0 || type < 1)
		return -EINVAL;
	struct message *m = heap_alloc_unset(sizeof(*m) + size);
	m->type = type;
	m->size = size;
	if (ipc_take(t, m->bytes, user + sizeof(type), size) < 0) {
		heap_free(m);
		return -EFAULT;
	}
	return send_or_wait(t, (s32)f->arg[0], m, !(f->arg[3] & IPC_NOWAIT));
}

/* ---- receiving ---- */

/* There is more room: see the top. */
static void wake_senders(struct msg_queue *q)
{
	const struct ipc_waiter *last = q->senders.last;

	for (struct ipc_waiter *w = q->senders.first, *next; w; w = next) {
		bool is_last = w == last;
		next = w->next;
		if (fits(q, ((struct sender *)w)->size))
			ipc_wait_nudge(w);
		else
			ipc_wait_requeue(w);
		if (is_last)
			break;
	}
}

static struct wanted wanted_of(s64 type, u64 size, u32 flags)
{
	struct wanted want = {.type = type, .max = flags & MSG_NOERROR ? ANY_SIZE : (s64)size};

	if (flags & MSG_COPY) {
		want.pick = PICK_NUMBER;
	} else if (type < 0) {
		want.pick = PICK_LOWEST;
		want.type = type == INT64_MIN ? INT64_MAX : -type;
	} else if (type) {
		want.pick = flags & MSG_EXCEPT ? PICK_OTHER : PICK_TYPE;
	}
	return want;
}

/* Type and as many bytes as there is room for. */
static long give(struct task *t, const struct message *m, u64 user, u64 size)
{
	u64 n = m->size < size ? m->size : size;

	if (ipc_give(t, user, &m->type, sizeof(m->type)) < 0 ||
	    ipc_give(t, user + sizeof(m->type), m->bytes, n) < 0)
		return -EFAULT;
	return (long)n;
}

/* A message is there: it is lost if it cannot be stored. */
static long receive(struct task *t, struct msg_queue *q, struct message **link, u64 user, u64 size)
{
	struct message *m = take_out(q, link);

	q->rtime = ipc_now();
	q->lrpid = (s32)proc_of(t)->pid;
	wake_senders(q);
	long r = give(t, m, user, size);
	heap_free(m);
	return r;
}

static long receive_later(struct task *t, struct msg_queue *q, const struct wanted *want, u64 user,
			  u64 size)
{
	struct receiver *w = ipc_wait_begin(t, sizeof(*w));

	long r = 0;

	w->want = *want;
	ipc_wait_enqueue(&q->receivers, &w->wait);
	while (r == 0) {
		r = ipc_wait_park(t, &w->wait, SCHED_NEVER);
		if (r < 0 || w->wait.owned)
			break;
		ipc_wait_requeue(&w->wait);
		r = ipc_permits(t, &q->ipc, IPC_READ) ? 0 : -EACCES;
	}
	if (r == 0)
		r = give(t, w->wait.owned, user, size);
	ipc_wait_end(t);
	return r == -EINTR ? -ERESTARTNOHAND : r;
}

static long copy_of(struct task *t, const struct message *m, u64 user, u64 size)
{
	return m->size > size || m->size > MESSAGE_MAX ? -EINVAL : give(t, m, user, size);
}

/* One try: -ENOMSG when there is none. */
static long receive_now(struct task *t, struct msg_queue *q, const struct wanted *want, u64 user,
			u64 size)
{
	struct message **link = pick(q, want);

	if (!link)
		return -ENOMSG;
	if (want->max < (s64)(*link)->size)
		return -E2BIG;
	if (want->pick == PICK_NUMBER)
		return copy_of(t, *link, user, size);
	return receive(t, q, link, user, size);
}

long sys_msgrcv(struct task *t, struct frame *f)
{
	u64 user = f->arg[1], size = f->arg[2];
	u32 flags = (u32)f->arg[4];
	struct wanted want = wanted_of((s64)f->arg[3], size, flags);

	if ((s32)f->arg[0] < 0 || (s64)size < 0)
		return -EINVAL;
	if (flags & MSG_COPY && (flags & MSG_EXCEPT || !(flags & IPC_NOWAIT)))
		return -EINVAL;
	struct msg_queue *q = find((s32)f->arg[0]);
	if (!q)
		return -EINVAL;
	if (!ipc_permits(t, &q->ipc, IPC_READ))
		return -EACCES;
	long r = receive_now(t, q, &want, user, size);
	if (r != -ENOMSG || flags & IPC_NOWAIT)
		return r;
	return receive_later(t, q, &want, user, size);
}

/* ---- msgctl ---- */

static long stat(struct task *t, s32 id, u32 cmd, u64 user)
{
	bool by_index = cmd != IPC_STAT;
	struct msqid64_ds ds = {0};
	struct ipc_object *o;

	long r = ipc_find_stat(t, IPC_MSG, id, by_index, cmd == MSG_STAT_ANY, &o);
	if (r < 0)
		return r;
	const struct msg_queue *q = (struct msg_queue *)o;
	ipc_perm_get(o, &ds.msg_perm);
	ds.msg_stime = q->stime;
	ds.msg_rtime = q->rtime;
	ds.msg_ctime = q->ctime;
	ds.msg_cbytes = q->bytes;
	ds.msg_qnum = q->count;
	ds.msg_qbytes = q->bytes_max;
	ds.msg_lspid = q->lspid;
	ds.msg_lrpid = q->lrpid;
	r = ipc_give(t, user, &ds, sizeof(ds));
	return r < 0 ? r : by_index ? o->id : 0;
}

static long info(struct task *t, bool used, u64 user)
{
	struct msginfo info = {
		.msgpool = used ? (s32)IPC->ids[IPC_MSG].used : (s32)POOL_SIZE,
		.msgmap = used ? (s32)IPC->msg_count : (s32)QUEUE_BYTES_MAX,
		.msgmax = MESSAGE_MAX,
		.msgmnb = QUEUE_BYTES_MAX,
		.msgmni = QUEUES_MAX,
		.msgssz = SEGMENT_SIZE,
		.msgtql = used ? (s32)IPC->msg_bytes : (s32)QUEUE_BYTES_MAX,
		.msgseg = 0xffff,
	};

	long r = ipc_give(t, user, &info, sizeof(info));
	return r < 0 ? r : (long)ipc_index_max(IPC_MSG);
}

/* What receivers may see and senders may add has changed: all look again, as if they came anew. */
static long set_queue(struct task *t, struct msg_queue *q, const struct msqid64_ds *ds)
{
	if (ds->msg_qbytes > QUEUE_BYTES_MAX && !capable(t, CAP_SYS_RESOURCE))
		return -EPERM;
	long r = ipc_perm_set(&q->ipc, &ds->msg_perm);
	if (r < 0)
		return r;
	q->bytes_max = ds->msg_qbytes;
	q->ctime = ipc_now();
	for (struct ipc_waiter *w = q->receivers.first; w; w = w->next)
		ipc_wait_nudge(w);
	wake_senders(q);
	return 0;
}

static long set(struct task *t, s32 id, u64 user)
{
	struct msqid64_ds ds;
	struct ipc_object *o;

	long r = ipc_take(t, &ds, user, sizeof(ds));
	if (r == 0)
		r = ipc_find_owned(t, IPC_MSG, id, &o);
	return r == 0 ? set_queue(t, (struct msg_queue *)o, &ds) : r;
}

static long remove(struct task *t, s32 id)
{
	struct ipc_object *o;

	long r = ipc_find_owned(t, IPC_MSG, id, &o);
	if (r == 0)
		destroy((struct msg_queue *)o);
	return r;
}

long sys_msgctl(struct task *t, struct frame *f)
{
	s32 id = (s32)f->arg[0], cmd = (s32)f->arg[1];
	u64 user = f->arg[2];

	if (id < 0 || cmd < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case MSG_INFO:
		return info(t, cmd == MSG_INFO, user);
	case IPC_STAT:
	case MSG_STAT:
	case MSG_STAT_ANY:
		return stat(t, id, (u32)cmd, user);
	case IPC_SET:
		return set(t, id, user);
	case IPC_RMID:
		return remove(t, id);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/msg ---- */

static void put_queue(struct synth_text *out, const struct msg_queue *q)
{
	const struct ipc_object *o = &q->ipc;

	text_add(out, "%10d %10d  %4o  %10lu %10lu %5d %5d %5u %5u %5u %5u", o->key, o->id, o->mode,
		 q->bytes, q->count, q->lspid, q->lrpid, o->uid, o->gid, o->cuid, o->cgid);
	text_add(out, " %10lu %10lu %10lu\n", (u64)q->stime, (u64)q->rtime, (u64)q->ctime);
}

void msg_make_text(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "       key      msqid perms      cbytes       qnum lspid lrpid"
			 "   uid   gid  cuid  cgid      stime      rtime      ctime\n");
	for (u32 i = 0; i < IPC->ids[IPC_MSG].capacity; i++) {
		const struct ipc_object *o = ipc_at(IPC_MSG, (s32)i);
		if (o)
			put_queue(out, (const struct msg_queue *)o);
	}
}
