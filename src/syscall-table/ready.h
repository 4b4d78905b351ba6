/*
 * Readiness: the way from "this object changed" to whoever waits for it.
 *
 * A wait node's bits are the poll events its task wants, a change wakes by the events it may have
 * brought about, so readers and writers of one object share one key.  Epolls are no tasks: their
 * items hang in a table by key and are told of every change.
 */
#ifndef SHADOW_READY_H
#define SHADOW_READY_H

#include "files.h"

/* Lies between files_state and the vnodes. */
#define READY_OFF	(REGION_FILES_OFF + 0x3000000)
#define READY_BUCKETS	256u
#define READY_ALWAYS	(POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM)
#define READY_FIRST_INO 1000
#define PARK_HOLDS	4u
#define READY_BIT_OPEN	(1u << 28) /* wait nodes: for the other side of a FIFO */
#define READY_BIT_EPOLL (1u << 29) /* wait nodes: in epoll_wait, woken one at a time */

/* An epoll item's place among those who are told of changes of a key. */
struct watch {
	struct sched_key key;
	struct watch *prev, *next; /* in its bucket */
	u32 ofd;		   /* what the item watches */
};

struct socket;
struct unix_socket;
struct unix_rights;

/* A description in use by a parked task: its reference is dropped if the task never returns. */
struct park_hold {
	u32 task, proc, ofd;
};

struct ready_state {
	u64 next_ino; /* inode numbers of pipes and sockets given out, less READY_FIRST_INO */
	u32 holds;
	u32 watches;
	struct async *asyncs;	/* of async.c */
	struct socket *sockets; /* of socket.c: all there are */
	struct park_hold hold[TASK_SLOTS_MAX * PARK_HOLDS];
	struct watch *bucket[READY_BUCKETS];
	struct unix_socket *unix_bound;	  /* of unix_name.c */
	struct unix_rights *unix_dropped; /* of unix_rights.c, with what follows */
	u64 unix_key;
	u32 eventfd_ids;   /* of eventfd.c: the next number */
	u32 unix_autobind; /* of unix_name.c: the next number */
	u32 unix_carried, unix_carried_fds, unix_dropping, unix_suspect;
};
#define READY REGION_AT(struct ready_state, READY_OFF)
_Static_assert(REGION_FILES_OFF + sizeof(struct files_state) <= READY_OFF, "fits");
_Static_assert(READY_OFF + sizeof(struct ready_state) <= VNODES_OFF, "fits");

/* The events that hold for a description now. */
static inline u32 ready_now(struct task *t, struct ofd *o)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	return ops->poll ? ops->poll(t, o) : READY_ALWAYS;
}

/* Readiness behind `key` changed: wakes who waits there for any of `events`, tells epolls. */
void ready_changed(struct sched_key key, u32 events);

/*
 * Parks the task until `key` is woken for one of `events`.  0 after any wake but a signal (the
 * caller looks again); -ERESTARTSYS, -ENOMEM.  The caller has a park_hold on what it goes on with.
 */
long ready_wait(struct task *t, struct sched_key key, u32 events);

/*
 * References of a task that may park and never return (its process is killed, or another thread
 * calls execve).  Of one task up to PARK_HOLDS; the description lives until the end of the last.
 */
void park_hold_begin(struct task *t, struct ofd *o);
void park_hold_end(struct task *t, struct ofd *o);
/* For fd.c: drops those of a process whose other tasks have all ended. */
void park_holds_drop(u32 proc);

/* poll.c: the references of a task in poll or select, if it has any, are dropped. */
void poll_task_gone(struct task *t);

/* ---- watches: for epoll.c ---- */

/* The key of a description's changes; unlike ops->poll_key it announces no waiter. */
struct sched_key watch_key(struct ofd *o);
/* Adds a watch, which the caller embeds and keeps, for changes of `o`; the newest is told first. */
void watch_add(struct watch *w, struct ofd *o);
void watch_remove(struct watch *w);
/* First watch in the bucket of `key`; go on with w->next, comparing keys. */
struct watch *watch_first(struct sched_key key);

static inline bool watch_has_key(const struct watch *w, struct sched_key key)
{
	return w->key.a == key.a && w->key.b == key.b;
}

/* async.c: signals for readiness behind a key; for ofd_put: no more of a description. */
void async_changed(struct sched_key key, u32 events);
void async_forget(const struct ofd *o);
/* epoll.c: what a watch watches may have become ready for `events`. */
void epoll_watch_changed(struct watch *w, u32 events);
/* epoll.c, for ofd_put: the description goes away, and with it all items on it. */
void epoll_forget(struct ofd *o);
/* epoll.c: the key of an epoll's own readiness. */
struct sched_key epoll_key(const struct ofd *o);

#endif
