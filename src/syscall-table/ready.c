/*
 * Readiness changes, parking on them, and the references of parked tasks.  Owns READY.
 *
 * Invariants: a watch is in exactly one bucket, that of its key, and READY->watches
 * counts them, so a container without epolls pays one comparison a change.
 */
#include "socket.h"
#include "../shim/signal.h"

static u32 bucket_of(struct sched_key key)
{
	u64 h = (key.a ^ key.b * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;

	return (u32)(h >> 40) % READY_BUCKETS;
}

void ready_changed(struct sched_key key, u32 events)
{
	sched_key_wake(SCHED, key, ~0u, events, SCHED_NONE);
	for (struct watch *w = watch_first(key); w; w = w->next) {
		if (watch_has_key(w, key))
			epoll_watch_changed(w, events);
	}
	if (READY->asyncs)
		async_changed(key, events);
}

long ready_wait(struct task *t, struct sched_key key, u32 events)
{
	if (sched_wait_add(SCHED, t->index, key, events, 0) < 0)
		return -ENOMEM;
	return turn_park(t, SCHED_NEVER) == -EINTR ? -ERESTARTSYS : 0;
}

void park_hold_begin(struct task *t, struct ofd *o)
{
	ofd_hold(o);
	READY->hold[READY->holds++] = (struct park_hold){t->index, t->proc, ofd_index(o)};
}

/* Takes the hold out of the list, then drops its reference: that may end the object. */
static void hold_drop(u32 i)
{
	u32 ofd = READY->hold[i].ofd;

	READY->hold[i] = READY->hold[--READY->holds];
	ofd_put(ofd_at(ofd));
}

void park_hold_end(struct task *t, struct ofd *o)
{
	u32 i = READY->holds, ofd = ofd_index(o);

	while (i && (READY->hold[i - 1].task != t->index || READY->hold[i - 1].ofd != ofd))
		i--;
	SHIM_ASSERT(i);
	hold_drop(i - 1);
}

void park_holds_drop(u32 proc)
{
	for (u32 i = READY->holds; i-- > 0;) {
		if (READY->hold[i].proc != proc)
			continue;
		struct ofd *o = ofd_at(READY->hold[i].ofd);
		if (o->kind == OFD_SOCKET)
			socket_waiter_gone(o);
		hold_drop(i);
	}
}

struct sched_key watch_key(struct ofd *o)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	if (o->kind == OFD_CHANNEL_IN)
		return (struct sched_key){KEY_STDIN, 0};
	if (o->kind == OFD_EPOLL)
		return epoll_key(o);
	return ops->poll_key ? ops->poll_key(o) : (struct sched_key){KEY_OFD, ofd_index(o)};
}

struct watch *watch_first(struct sched_key key)
{
	return READY->watches ? READY->bucket[bucket_of(key)] : NULL;
}

void watch_add(struct watch *w, struct ofd *o)
{
	w->key = watch_key(o);
	w->ofd = ofd_index(o);
	struct watch **head = &READY->bucket[bucket_of(w->key)];
	w->prev = NULL;
	w->next = *head;
	if (*head)
		(*head)->prev = w;
	*head = w;
	READY->watches++;
}

void watch_remove(struct watch *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		READY->bucket[bucket_of(w->key)] = w->next;
	if (w->next)
		w->next->prev = w->prev;
	READY->watches--;
}
