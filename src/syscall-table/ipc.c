/*
 * The tables of System V objects, their permissions, and tasks that wait for them.
 *
 * Owns IPC->ids.  An id is the index of a slot and, above it, a number that counts how often the
 * indices began anew: indices are given out in a circle, of 64 or half as many again as are in use,
 * so that the id of a removed object stays unknown for long.
 *
 * Invariants: a waiter is in exactly one queue, or over; a task has at most one (task.ipc_waiter).
 */
#include "credentials.h"
#include "ipc.h"

#define CIRCLE_MIN 64u
#define SEQ_MAX	   0xffffu

static struct ipc_ids *ids_of(enum ipc_class class)
{
	return &IPC->ids[class];
}

/* ---- the table ---- */

struct ipc_object *ipc_at(enum ipc_class class, s32 index)
{
	const struct ipc_ids *ids = ids_of(class);

	return index >= 0 && (u32)index < ids->capacity ? ids->slots[index] : NULL;
}

struct ipc_object *ipc_find(enum ipc_class class, s32 id)
{
	struct ipc_object *o = id < 0 ? NULL : ipc_at(class, id & (IPC_IDS_MAX - 1));

	return o && o->id == id ? o : NULL;
}

u32 ipc_index_max(enum ipc_class class)
{
	const struct ipc_ids *ids = ids_of(class);
	u32 i = ids->capacity;

	while (i > 0 && !ids->slots[i - 1])
		i--;
	return i ? i - 1 : 0;
}

static void slots_reserve(struct ipc_ids *ids, u32 count)
{
	u32 capacity = ids->capacity ? ids->capacity : CIRCLE_MIN;

	if (count <= ids->capacity)
		return;
	while (capacity < count)
		capacity *= 2;
	struct ipc_object **bigger = heap_alloc(capacity * sizeof(*bigger));
	if (ids->capacity)
		memcpy(bigger, ids->slots, ids->capacity * sizeof(*bigger));
	heap_free(ids->slots);
	ids->slots = bigger;
	ids->capacity = capacity;
}

/* The first free index in [from, to), or `to`. */
static u32 free_index(const struct ipc_ids *ids, u32 from, u32 to)
{
	while (from < to && from < ids->capacity && ids->slots[from])
		from++;
	return from < to ? from : to;
}

static u32 index_choose(const struct ipc_ids *ids)
{
	u32 circle = ids->used * 3 / 2;

	if (circle < CIRCLE_MIN)
		circle = CIRCLE_MIN;
	if (circle > IPC_IDS_MAX)
		circle = IPC_IDS_MAX;
	u32 i = free_index(ids, ids->next, circle);
	return i < circle ? i : free_index(ids, 0, circle);
}

static long insert(struct ipc_ids *ids, struct ipc_object *o, u32 limit)
{
	if (ids->used >= limit)
		return -ENOSPC;
	u32 i = index_choose(ids);
	if (i < ids->next)
		ids->seq = ids->seq < SEQ_MAX ? ids->seq + 1 : 0;
	slots_reserve(ids, i + 1);
	ids->slots[i] = o;
	ids->next = i + 1;
	ids->used++;
	o->seq = ids->seq;
	o->id = (s32)(o->seq << IPC_INDEX_BITS | i);
	return o->id;
}

void ipc_remove(enum ipc_class class, struct ipc_object *o)
{
	struct ipc_ids *ids = ids_of(class);

	ids->slots[o->id & (IPC_IDS_MAX - 1)] = NULL;
	ids->used--;
}

/* ---- permissions ---- */

bool ipc_permits(const struct task *t, const struct ipc_object *o, u32 want)
{
	const struct proc *p = proc_of(t);
	u32 granted = o->mode, asked = (want >> 6 | want >> 3 | want) & 07;

	if (p->euid == o->cuid || p->euid == o->uid)
		granted >>= 6;
	else if (in_group(p, o->cgid, p->fsgid) || in_group(p, o->gid, p->fsgid))
		granted >>= 3;
	return !(asked & ~granted) || capable(t, CAP_IPC_OWNER);
}

bool ipc_owns(const struct task *t, const struct ipc_object *o)
{
	u32 euid = proc_of(t)->euid;

	return euid == o->cuid || euid == o->uid || capable(t, CAP_SYS_ADMIN);
}

long ipc_find_stat(const struct task *t, enum ipc_class class, s32 id, bool by_index, bool any,
		   struct ipc_object **ret)
{
	struct ipc_object *o =
		by_index ? ipc_at(class, id & (IPC_IDS_MAX - 1)) : ipc_find(class, id);

	if (!o)
		return -EINVAL;
	if (!any && !ipc_permits(t, o, IPC_READ))
		return -EACCES;
	*ret = o;
	return 0;
}

long ipc_find_owned(const struct task *t, enum ipc_class class, s32 id, struct ipc_object **ret)
{
	struct ipc_object *o = ipc_find(class, id);

	if (!o)
		return -EINVAL;
	if (!ipc_owns(t, o))
		return -EPERM;
	*ret = o;
	return 0;
}

void ipc_perm_get(const struct ipc_object *o, struct ipc64_perm *ret)
{
	ret->key = o->key;
	ret->uid = o->uid;
	ret->gid = o->gid;
	ret->cuid = o->cuid;
	ret->cgid = o->cgid;
	ret->mode = o->mode;
	ret->seq = (u16)o->seq;
}

long ipc_perm_set(struct ipc_object *o, const struct ipc64_perm *from)
{
	if (from->uid == NONE || from->gid == NONE)
		return -EINVAL;
	o->uid = from->uid;
	o->gid = from->gid;
	o->mode = (o->mode & ~0777u) | (from->mode & 0777);
	return 0;
}

/* ---- getting one ---- */

static struct ipc_object *find_key(const struct ipc_ids *ids, s32 key)
{
	for (u32 i = 0, seen = 0; seen < ids->used; i++) {
		struct ipc_object *o = ids->slots[i];
		seen += o != NULL;
		if (o && o->key == key)
			return o;
	}
	return NULL;
}

static long create(struct task *t, const struct ipc_get *get)
{
	const struct proc *p = proc_of(t);
	struct ipc_object *o;

	long r = get->make(t, get, &o);
	if (r < 0)
		return r;
	o->key = get->key;
	o->mode = get->flags & 0777;
	o->uid = o->cuid = p->euid;
	o->gid = o->cgid = p->egid;
	r = insert(ids_of(get->class), o, get->limit);
	if (r < 0)
		get->unmake(o);
	return r;
}

long ipc_get(struct task *t, const struct ipc_get *get)
{
	bool private = get->key == IPC_PRIVATE;
	struct ipc_object *o = private ? NULL : find_key(ids_of(get->class), get->key);

	if (!o)
		return private || get->flags & IPC_CREAT ? create(t, get) : -ENOENT;
	if (get->flags & IPC_CREAT && get->flags & IPC_EXCL)
		return -EEXIST;
	long r = get->suits ? get->suits(o, get) : 0;
	if (r < 0)
		return r;
	return ipc_permits(t, o, get->flags & 0777) ? o->id : -EACCES;
}

/* ---- copies ---- */

long ipc_give(struct task *t, u64 user, const void *from, u64 size)
{
	digest_bytes(t, from, size);
	return user_copy_out(user, from, size) ? -EFAULT : 0;
}

long ipc_take(struct task *t, void *to, u64 user, u64 size)
{
	if (user_copy_in(to, user, size))
		return -EFAULT;
	digest_bytes(t, to, size);
	return 0;
}

/* ---- waiting ---- */

static struct ipc_waiter *waiter_of(const struct task *t)
{
	return (struct ipc_waiter *)t->ipc_waiter;
}

void *ipc_wait_begin(struct task *t, u64 size)
{
	struct ipc_waiter *w = heap_alloc(size);

	SHIM_ASSERT(!t->ipc_waiter);
	w->task = t->index;
	w->pid = (s32)proc_of(t)->pid;
	t->ipc_waiter = (u64)w;
	return w;
}

void ipc_wait_enqueue(struct ipc_queue *q, struct ipc_waiter *w)
{
	w->queue = q;
	w->prev = q->last;
	w->next = NULL;
	if (q->last)
		q->last->next = w;
	else
		q->first = w;
	q->last = w;
}

static void dequeue(struct ipc_waiter *w)
{
	struct ipc_queue *q = w->queue;

	if (!q)
		return;
	if (w->prev)
		w->prev->next = w->next;
	else
		q->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		q->last = w->prev;
	w->queue = NULL;
}

void ipc_wait_requeue(struct ipc_waiter *w)
{
	struct ipc_queue *q = w->queue;

	dequeue(w);
	ipc_wait_enqueue(q, w);
}

void ipc_wait_nudge(struct ipc_waiter *w)
{
	sched_task_wake(SCHED, w->task, SCHED_WOKEN_OWN, sched_turn_holder(SCHED));
}

void ipc_wait_done(struct ipc_waiter *w, long status)
{
	dequeue(w);
	w->status = status;
	ipc_wait_nudge(w);
}

long ipc_wait_park(struct task *t, struct ipc_waiter *w, u64 deadline_ns)
{
	long reason = turn_park(t, deadline_ns);

	if (!w->queue)
		return w->status;
	if (reason == -EINTR)
		return -EINTR;
	return reason == SCHED_TIMEOUT ? -EAGAIN : 0;
}

void ipc_wait_end(struct task *t)
{
	struct ipc_waiter *w = waiter_of(t);

	dequeue(w);
	heap_free(w->owned);
	heap_free(w);
	t->ipc_waiter = 0;
}

void ipc_task_gone(struct task *t)
{
	if (t->ipc_waiter)
		ipc_wait_end(t);
	if (t->sem_undo)
		sem_undo_leave(t);
}
