/*
 * System V semaphores.  Rules: ipc/sem.c of Linux.
 *
 * A set of operations happens as a whole or not at all; a task whose set cannot happen yet waits.
 * Whenever values changed, those that wait are tried again: first those that change nothing (they
 * wait for zeros), then the others in the order they came, from the first again after each that
 * happened.  Linux keeps a queue for each semaphore and another for sets of several, and moves the
 * waiters between them so that who comes first among those that compete is the same.
 *
 * What SEM_UNDO promises to take back is kept per list of tasks that share it (CLONE_SYSVSEM) and
 * set, and is done when the last of these tasks ends.
 *
 * Invariants: 0 <= value <= VALUE_MAX; an undo is in the chain of its list and of its set.
 */
#include <asm/sembuf.h>
#include <linux/sem.h>
#include "ipc.h"
#include "synth.h"

#define SETS_MAX	32000u
#define SEMS_MAX	1024000000u /* in all sets */
#define SEMS_OF_SET_MAX 32000
#define OPS_MAX		500u
#define VALUE_MAX	32767
#define ADJUST_MAX	VALUE_MAX
#define UNDO_SIZE	20 /* what seminfo says an undo takes */
#define BLOCKED		1  /* of try_ops: it has to wait */
#define OPS_ON_STACK	16u
#define SECOND_NS	1000000000ull

struct sem {
	s32 value;
	s32 pid; /* who changed it last */
};

struct sem_undo {
	struct sem_undo *next_of_list, *next_of_set;
	struct undo_list *list;
	struct sem_set *set;
	s32 adjust[]; /* a semaphore each */
};

/* task.sem_undo. */
struct undo_list {
	u32 tasks;
	struct sem_undo *first;
};

struct sem_set {
	struct ipc_object ipc; /* first */
	u32 count;
	s64 otime, ctime;
	struct ipc_queue zero, change; /* waiters whose sets change nothing; the others */
	struct sem_undo *undos;
	struct sem sems[];
};

/* A set of operations to be tried. */
struct sem_ops {
	struct sembuf *op; /* NULL: it went to a waiter */
	u32 count;
	bool is_heap; /* op */
	s32 pid;
	struct sem_undo *undo;	       /* if an operation has SEM_UNDO */
	const struct sembuf *blocking; /* the first that could not happen */
};

struct sem_waiter {
	struct ipc_waiter wait; /* first; owns ops.op */
	struct sem_ops ops;
};

static struct sem_set *find(s32 id)
{
	return (struct sem_set *)ipc_find(IPC_SEM, id);
}

/* ---- operations ---- */

/* One operation: 0, BLOCKED, or -ERANGE. */
static long try_op(struct sem_set *s, const struct sem_ops *ops, const struct sembuf *op)
{
	struct sem *sem = &s->sems[op->sem_num];
	s32 value = sem->value + op->sem_op;

	if ((!op->sem_op && sem->value) || value < 0)
		return BLOCKED;
	if (value > VALUE_MAX)
		return -ERANGE;
	if (op->sem_flg & SEM_UNDO) {
		s32 adjust = ops->undo->adjust[op->sem_num] - op->sem_op;
		if (adjust < -ADJUST_MAX - 1 || adjust > ADJUST_MAX)
			return -ERANGE;
		ops->undo->adjust[op->sem_num] = adjust;
	}
	sem->value = value;
	return 0;
}

static void take_back(struct sem_set *s, const struct sem_ops *ops, u32 done)
{
	while (done-- > 0) {
		const struct sembuf *op = &ops->op[done];
		s->sems[op->sem_num].value -= op->sem_op;
		if (op->sem_flg & SEM_UNDO)
			ops->undo->adjust[op->sem_num] += op->sem_op;
	}
}

/* All or none: 0, BLOCKED, -EAGAIN for what must not wait, -ERANGE. */
static long try_ops(struct sem_set *s, struct sem_ops *ops)
{
	for (u32 i = 0; i < ops->count; i++) {
		long r = try_op(s, ops, &ops->op[i]);
		if (r == 0)
			continue;
		take_back(s, ops, i);
		ops->blocking = &ops->op[i];
		return r == BLOCKED && ops->op[i].sem_flg & IPC_NOWAIT ? -EAGAIN : r;
	}
	for (u32 i = 0; i < ops->count; i++)
		s->sems[ops->op[i].sem_num].pid = ops->pid;
	return 0;
}

/* Tries the waiters of a queue, until one changed something if `one`; whether any happened. */
static bool try_queue(struct sem_set *s, struct ipc_queue *q, bool one)
{
	bool happened = false;

	for (struct ipc_waiter *w = q->first, *next; w; w = next) {
		next = w->next;
		long r = try_ops(s, &((struct sem_waiter *)w)->ops);
		if (r == BLOCKED)
			continue;
		ipc_wait_done(w, r);
		happened |= r == 0;
		if (happened && one)
			break;
	}
	return happened;
}

/* Values may have changed, or `used` says so: lets happen what can, and notes the time. */
static void changed(struct sem_set *s, bool used)
{
	do
		used |= try_queue(s, &s->zero, false);
	while (try_queue(s, &s->change, true) && (used = true));
	if (used)
		s->otime = ipc_now();
}

/* ---- undo ---- */

static struct undo_list *list_of(const struct task *t)
{
	return (struct undo_list *)t->sem_undo;
}

/* The task's list: made when it is needed first. */
static struct undo_list *list_get(struct task *t)
{
	if (!t->sem_undo) {
		t->sem_undo = (u64)heap_alloc(sizeof(struct undo_list));
		list_of(t)->tasks = 1;
	}
	return list_of(t);
}

void sem_undo_share(struct task *parent, struct task *child)
{
	struct undo_list *list = list_get(parent);

	list->tasks++;
	child->sem_undo = (u64)list;
}

static struct sem_undo *undo_get(struct task *t, struct sem_set *s)
{
	struct undo_list *list = list_get(t);

	for (struct sem_undo *u = list->first; u; u = u->next_of_list) {
		if (u->set == s)
			return u;
	}
	struct sem_undo *u = heap_alloc(sizeof(*u) + s->count * sizeof(u->adjust[0]));
	u->list = list;
	u->set = s;
	u->next_of_list = list->first;
	u->next_of_set = s->undos;
	return list->first = s->undos = u;
}

static void leave_list(struct sem_undo *u)
{
	struct sem_undo **link = &u->list->first;

	while (*link != u)
		link = &(*link)->next_of_list;
	*link = u->next_of_list;
}

static void leave_set(struct sem_undo *u)
{
	struct sem_undo **link = &u->set->undos;

	while (*link != u)
		link = &(*link)->next_of_set;
	*link = u->next_of_set;
}

static s32 clamped(s32 value)
{
	return value < 0 ? 0 : value > VALUE_MAX ? VALUE_MAX : value;
}

static void undo(struct sem_undo *u, s32 pid)
{
	struct sem_set *s = u->set;

	leave_set(u);
	for (u32 i = 0; i < s->count; i++) {
		if (!u->adjust[i])
			continue;
		s->sems[i].value = clamped(s->sems[i].value + u->adjust[i]);
		s->sems[i].pid = pid;
	}
	heap_free(u);
	changed(s, true);
}

void sem_undo_leave(struct task *t)
{
	struct undo_list *list = list_of(t);

	t->sem_undo = 0;
	if (--list->tasks)
		return;
	while (list->first) {
		struct sem_undo *u = list->first;
		list->first = u->next_of_list;
		undo(u, (s32)proc_of(t)->pid);
	}
	heap_free(list);
}

/* Values were set by hand: what was to be undone is void. */
static void forget_undos(struct sem_set *s, u32 first, u32 count)
{
	for (struct sem_undo *u = s->undos; u; u = u->next_of_set)
		memset(&u->adjust[first], 0, count * sizeof(u->adjust[0]));
}

/* ---- life ---- */

static void queue_end(struct ipc_queue *q)
{
	while (q->first)
		ipc_wait_done(q->first, -EIDRM);
}

static void destroy(struct sem_set *s)
{
	queue_end(&s->zero);
	queue_end(&s->change);
	while (s->undos) {
		struct sem_undo *u = s->undos;
		leave_list(u);
		s->undos = u->next_of_set;
		heap_free(u);
	}
	IPC->sems -= s->count;
	ipc_remove(IPC_SEM, &s->ipc);
	heap_free(s);
}

static long make(struct task *t, const struct ipc_get *get, struct ipc_object **ret)
{
	u32 count = (u32)get->size;

	(void)t;
	if (!count)
		return -EINVAL;
	if (IPC->sems + count > SEMS_MAX)
		return -ENOSPC;
	struct sem_set *s = heap_alloc(sizeof(*s) + count * sizeof(s->sems[0]));
	s->count = count;
	s->ctime = ipc_now();
	IPC->sems += count;
	*ret = &s->ipc;
	return 0;
}

static void unmake(struct ipc_object *o)
{
	IPC->sems -= ((struct sem_set *)o)->count;
	heap_free(o);
}

static long suits(const struct ipc_object *o, const struct ipc_get *get)
{
	return get->size > ((const struct sem_set *)o)->count ? -EINVAL : 0;
}

long sys_semget(struct task *t, struct frame *f)
{
	s32 count = (s32)f->arg[1];
	struct ipc_get get = {
		.class = IPC_SEM,
		.limit = SETS_MAX,
		.key = (s32)f->arg[0],
		.size = (u64)count,
		.flags = (u32)f->arg[2],
		.make = make,
		.unmake = unmake,
		.suits = suits,
	};

	if (count < 0 || count > SEMS_OF_SET_MAX)
		return -EINVAL;
	return ipc_get(t, &get);
}

/* ---- semop ---- */

/* What a list of operations asks for as a whole. */
struct summary {
	u32 max; /* highest number */
	bool undoes, alters;
};

static struct summary summary_of(const struct sembuf *op, u32 count)
{
	struct summary sum = {0};

	for (u32 i = 0; i < count; i++) {
		if (op[i].sem_num > sum.max)
			sum.max = op[i].sem_num;
		sum.undoes |= (op[i].sem_flg & SEM_UNDO) != 0;
		sum.alters |= op[i].sem_op != 0;
	}
	return sum;
}

/* The waiter's own operations, which end with it even if the task never returns. */
static void take_ops(struct sem_waiter *w, struct sem_ops *ops)
{
	u64 bytes = ops->count * sizeof(*ops->op);

	w->ops = *ops;
	if (ops->is_heap) {
		ops->op = NULL;
	} else {
		w->ops.op = heap_alloc(bytes);
		memcpy(w->ops.op, ops->op, bytes);
		w->ops.blocking = w->ops.op + (ops->blocking - ops->op);
	}
	w->wait.owned = w->ops.op;
}

static long wait(struct task *t, struct sem_set *s, struct sem_ops *ops, bool alters, u64 deadline)
{
	struct sem_waiter *w = ipc_wait_begin(t, sizeof(*w));

	take_ops(w, ops);
	ipc_wait_enqueue(alters ? &s->change : &s->zero, &w->wait);
	long r = ipc_wait_park(t, &w->wait, deadline);
	ipc_wait_end(t);
	return r;
}

static long operate(struct task *t, s32 id, struct sem_ops *ops, u64 deadline)
{
	struct summary sum = summary_of(ops->op, ops->count);
	struct sem_set *s = find(id);

	if (!s)
		return -EINVAL;
	if (sum.max >= s->count)
		return -EFBIG;
	if (!ipc_permits(t, &s->ipc, sum.alters ? IPC_WRITE : IPC_READ))
		return -EACCES;
	if (sum.undoes)
		ops->undo = undo_get(t, s);
	long r = try_ops(s, ops);
	if (r == 0 && sum.alters)
		changed(s, true);
	else if (r == 0)
		s->otime = ipc_now();
	if (r != BLOCKED)
		return r;
	return deadline <= now_ns() ? -EAGAIN : wait(t, s, ops, sum.alters, deadline);
}

/* The end of a relative timeout; without one SCHED_NEVER. */
static long deadline_of(const s64 *timeout, u64 *ret)
{
	*ret = SCHED_NEVER;
	if (!timeout)
		return 0;
	if (timeout[0] < 0 || timeout[1] < 0 || timeout[1] >= (s64)SECOND_NS)
		return -EINVAL;
	if (timeout[0] < 8000000000)
		*ret = now_ns() + (u64)timeout[0] * SECOND_NS + (u64)timeout[1];
	return 0;
}

static long semop(struct task *t, struct frame *f, const s64 *timeout)
{
	struct sembuf few[OPS_ON_STACK];
	u32 count = (u32)f->arg[2];
	struct sem_ops ops = {.op = few,
			      .count = count,
			      .is_heap = count > OPS_ON_STACK,
			      .pid = (s32)proc_of(t)->pid};
	u64 deadline;

	if (count > OPS_MAX)
		return -E2BIG;
	if (count < 1)
		return -EINVAL;
	if (ops.is_heap)
		ops.op = heap_alloc(count * sizeof(*ops.op));
	long r = ipc_take(t, ops.op, f->arg[1], count * sizeof(*ops.op));
	if (r == 0)
		r = (s32)f->arg[0] < 0 ? -EINVAL : deadline_of(timeout, &deadline);
	if (r == 0)
		r = operate(t, (s32)f->arg[0], &ops, deadline);
	if (ops.is_heap)
		heap_free(ops.op);
	return r;
}

long sys_semop(struct task *t, struct frame *f)
{
	return semop(t, f, NULL);
}

long sys_semtimedop(struct task *t, struct frame *f)
{
	s64 timeout[2];

	if (!f->arg[3])
		return semop(t, f, NULL);
	long r = ipc_take(t, timeout, f->arg[3], sizeof(timeout));
	return r < 0 ? r : semop(t, f, timeout);
}

/* ---- semctl ---- */

static u32 count_blocked(const struct ipc_queue *q, u32 num, bool zero)
{
	u32 n = 0;

	for (const struct ipc_waiter *w = q->first; w; w = w->next) {
		const struct sembuf *op = ((const struct sem_waiter *)w)->ops.blocking;
		n += op->sem_num == num && (op->sem_op == 0) == zero;
	}
	return n;
}

static long get_one(struct task *t, s32 id, u32 num, u32 cmd)
{
	struct sem_set *s = find(id);

	if (!s)
		return -EINVAL;
	if (!ipc_permits(t, &s->ipc, IPC_READ))
		return -EACCES;
	if (num >= s->count)
		return -EINVAL;
	switch (cmd) {
	case GETVAL:
		return s->sems[num].value;
	case GETPID:
		return s->sems[num].pid;
	default:
		return count_blocked(&s->zero, num, cmd == GETZCNT) +
		       count_blocked(&s->change, num, cmd == GETZCNT);
	}
}

static long set_one(struct task *t, s32 id, u32 num, s32 value)
{
	struct sem_set *s = find(id);

	if (value < 0 || value > VALUE_MAX)
		return -ERANGE;
	if (!s || num >= s->count)
		return -EINVAL;
	if (!ipc_permits(t, &s->ipc, IPC_WRITE))
		return -EACCES;
	forget_undos(s, num, 1);
	s->sems[num].value = value;
	s->sems[num].pid = (s32)proc_of(t)->pid;
	s->ctime = ipc_now();
	changed(s, false);
	return 0;
}

static long get_all(struct task *t, s32 id, u64 user)
{
	struct sem_set *s = find(id);

	if (!s)
		return -EINVAL;
	if (!ipc_permits(t, &s->ipc, IPC_READ))
		return -EACCES;
	u16 *values = heap_alloc(s->count * sizeof(*values));
	for (u32 i = 0; i < s->count; i++)
		values[i] = (u16)s->sems[i].value;
	long r = ipc_give(t, user, values, s->count * sizeof(*values));
	heap_free(values);
	return r;
}

static long set_values(struct task *t, struct sem_set *s, const u16 *values)
{
	for (u32 i = 0; i < s->count; i++) {
		if (values[i] > VALUE_MAX)
			return -ERANGE;
	}
	for (u32 i = 0; i < s->count; i++)
		s->sems[i] = (struct sem){values[i], (s32)proc_of(t)->pid};
	forget_undos(s, 0, s->count);
	s->ctime = ipc_now();
	changed(s, false);
	return 0;
}

static long set_all(struct task *t, s32 id, u64 user)
{
	struct sem_set *s = find(id);

	if (!s)
		return -EINVAL;
	if (!ipc_permits(t, &s->ipc, IPC_WRITE))
		return -EACCES;
	u16 *values = heap_alloc(s->count * sizeof(*values));
	long r = ipc_take(t, values, user, s->count * sizeof(*values));
	if (r == 0)
		r = set_values(t, s, values);
	heap_free(values);
	return r;
}

static long stat(struct task *t, s32 id, u32 cmd, u64 user)
{
	bool by_index = cmd != IPC_STAT;
	struct semid64_ds ds = {0};
	struct ipc_object *o;

	long r = ipc_find_stat(t, IPC_SEM, id, by_index, cmd == SEM_STAT_ANY, &o);
	if (r < 0)
		return r;
	const struct sem_set *s = (struct sem_set *)o;
	ipc_perm_get(o, &ds.sem_perm);
	ds.sem_otime = s->otime;
	ds.sem_ctime = s->ctime;
	ds.sem_nsems = s->count;
	r = ipc_give(t, user, &ds, sizeof(ds));
	return r < 0 ? r : by_index ? o->id : 0;
}

static long info(struct task *t, bool used, u64 user)
{
	struct seminfo info = {
		.semmap = SEMS_MAX,
		.semmni = SETS_MAX,
		.semmns = SEMS_MAX,
		.semmnu = SEMS_MAX,
		.semmsl = SEMS_OF_SET_MAX,
		.semopm = OPS_MAX,
		.semume = OPS_MAX,
		.semusz = used ? (s32)IPC->ids[IPC_SEM].used : UNDO_SIZE,
		.semvmx = VALUE_MAX,
		.semaem = used ? (s32)IPC->sems : ADJUST_MAX,
	};

	long r = ipc_give(t, user, &info, sizeof(info));
	return r < 0 ? r : (long)ipc_index_max(IPC_SEM);
}

static long set(struct task *t, s32 id, u64 user)
{
	struct semid64_ds ds;
	struct ipc_object *o;

	long r = ipc_take(t, &ds, user, sizeof(ds));
	if (r == 0)
		r = ipc_find_owned(t, IPC_SEM, id, &o);
	if (r == 0)
		r = ipc_perm_set(o, &ds.sem_perm);
	if (r == 0)
		((struct sem_set *)o)->ctime = ipc_now();
	return r;
}

static long remove(struct task *t, s32 id)
{
	struct ipc_object *o;

	long r = ipc_find_owned(t, IPC_SEM, id, &o);
	if (r == 0)
		destroy((struct sem_set *)o);
	return r;
}

long sys_semctl(struct task *t, struct frame *f)
{
	s32 id = (s32)f->arg[0];
	u32 num = (u32)f->arg[1], cmd = (u32)f->arg[2];
	u64 arg = f->arg[3];

	if (id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
	case SEM_INFO:
		return info(t, cmd == SEM_INFO, arg);
	case IPC_STAT:
	case SEM_STAT:
	case SEM_STAT_ANY:
		return stat(t, id, cmd, arg);
	case GETALL:
		return get_all(t, id, arg);
	case SETALL:
		return set_all(t, id, arg);
	case GETVAL:
	case GETPID:
	case GETNCNT:
	case GETZCNT:
		return get_one(t, id, num, cmd);
	case SETVAL:
		return set_one(t, id, num, (s32)arg);
	case IPC_SET:
		return set(t, id, arg);
	case IPC_RMID:
		return remove(t, id);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/sem ---- */

static void put_set(struct synth_text *out, const struct sem_set *s)
{
	const struct ipc_object *o = &s->ipc;

	text_add(out, "%10d %10d  %4o %10u %5u %5u %5u %5u %10lu %10lu\n", o->key, o->id, o->mode,
		 s->count, o->uid, o->gid, o->cuid, o->cgid, (u64)s->otime, (u64)s->ctime);
}

void sem_make_text(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "       key      semid perms      nsems   uid   gid  cuid  cgid"
			 "      otime      ctime\n");
	for (u32 i = 0; i < IPC->ids[IPC_SEM].capacity; i++) {
		const struct ipc_object *o = ipc_at(IPC_SEM, (s32)i);
		if (o)
			put_set(out, (const struct sem_set *)o);
	}
}
