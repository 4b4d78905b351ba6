/*
 * System V IPC: what shared memory, semaphores and message queues have in common.
 *
 * Nothing of it is the kernel's: objects live in the heap, reached by id through a table for each
 * of the three.  Ids are given out as in a fresh IPC namespace of Linux, so they are a function of
 * the calls before.  Rules: ipc/util.c of Linux.
 *
 * Everything is reached under the turn.  A pointer to an object is good until the handler parks: a
 * waiter is told (-EIDRM) when its object goes away, and looks at nothing else then.
 */
#ifndef SHADOW_IPC_H
#define SHADOW_IPC_H

#include <asm/errno.h>
#include <linux/ipc.h>
#include <asm/ipcbuf.h>
#include "../shim/shim.h"

_Static_assert(REGION_PROC_OFF + sizeof(struct proc_table) <= REGION_IPC_OFF, "fits");

#define IPC_IDS_MAX    32768 /* as far as an id's index reaches */
#define IPC_INDEX_BITS 15
#define IPC_READ       0444u
#define IPC_WRITE      0222u

enum ipc_class { IPC_SHM, IPC_SEM, IPC_MSG, IPC_CLASSES };

/* The head of every object. */
struct ipc_object {
	s32 key;
	s32 id;
	u32 uid, gid, cuid, cgid;
	u32 mode;
	u32 seq;
};

struct ipc_ids {
	struct ipc_object **slots; /* heap; by index of the id */
	u32 capacity, used;
	u32 seq;
	u32 next; /* index after the last one given out */
};

struct ipc_waiter;
struct ipc_queue {
	struct ipc_waiter *first, *last;
};

struct ipc_state {
	struct ipc_ids ids[IPC_CLASSES];
	u64 shm_pages;		       /* of all segments */
	u64 shm_next;		       /* offset in the region's file where the next segment goes */
	u64 sems;		       /* semaphores in all sets */
	u64 msg_bytes;		       /* in all queues */
	u64 msg_count;		       /* messages in all queues */
	void *mqueues;		       /* POSIX message queues, newest first: see mqueue.c */
	struct ipc_queue lock_waiters; /* who waits for a file lock: see lock.c */
	struct lock_place *lock_places; /* see lock_place.c */
};
#define IPC REGION_AT(struct ipc_state, REGION_IPC_OFF)

/* What a family does about a call to get an object. */
struct ipc_get {
	enum ipc_class class;
	u32 limit; /* objects there may be */
	s32 key;
	u32 flags;
	/* Makes an object without id and permissions (ipc_create does these); heap. */
	long (*make)(struct task *t, const struct ipc_get *get, struct ipc_object **ret);
	/* Undoes `make`: there is no id left. */
	void (*unmake)(struct ipc_object *o);
	/* 0, or why an object that exists does not do; NULL: it does. */
	long (*suits)(const struct ipc_object *o, const struct ipc_get *get);
	u64 size; /* the family's own: bytes, semaphores */
};

/* shmget, semget, msgget: the id, or a negative errno. */
long ipc_get(struct task *t, const struct ipc_get *get);

/* The object of an id: NULL (-EINVAL). */
struct ipc_object *ipc_find(enum ipc_class class, s32 id);
/* The same by the index alone, for the *_STAT commands. */
struct ipc_object *ipc_at(enum ipc_class class, s32 index);
/* The highest index in use, 0 if there is none. */
u32 ipc_index_max(enum ipc_class class);
/* Takes an object out of the table; the family frees it. */
void ipc_remove(enum ipc_class class, struct ipc_object *o);

/* Whether the task may do what the bits of `want` (as in a mode, any class of user) say. */
bool ipc_permits(const struct task *t, const struct ipc_object *o, u32 want);
/* Whether the task may change or remove the object. */
bool ipc_owns(const struct task *t, const struct ipc_object *o);

/* For *_STAT: finds by id or (by_index) by index; checks read permission, unless `any`. */
long ipc_find_stat(const struct task *t, enum ipc_class class, s32 id, bool by_index, bool any,
		   struct ipc_object **ret);
/* For IPC_SET and IPC_RMID: finds and checks that the task owns it. */
long ipc_find_owned(const struct task *t, enum ipc_class class, s32 id, struct ipc_object **ret);
void ipc_perm_get(const struct ipc_object *o, struct ipc64_perm *ret);
long ipc_perm_set(struct ipc_object *o, const struct ipc64_perm *from);

/* Copies a structure to the app and folds it.  0 or -EFAULT. */
long ipc_give(struct task *t, u64 user, const void *from, u64 size);
/* The other way. */
long ipc_take(struct task *t, void *to, u64 user, u64 size);

static inline s64 ipc_now(void)
{
	return (s64)(now_ns() / 1000000000u);
}

/* ---- waiting ---- */

/*
 * A parked task, in the queue of what it waits for.  Its family embeds it as the first member; it
 * lies in the heap, so that whoever ends the wait can reach it, and is freed by ipc_wait_end, or
 * by ipc_task_gone if the task never returns; what `owned` points to goes with it.
 */
struct ipc_waiter {
	struct ipc_waiter *prev, *next;
	struct ipc_queue *queue; /* NULL: out of the queue, the wait is over */
	void *owned;		 /* heap, or NULL */
	long status;		 /* of a wait that is over */
	u32 task;
	s32 pid; /* of its process */
};

/* A zeroed waiter of `size` bytes for the task, which must have none. */
void *ipc_wait_begin(struct task *t, u64 size);
/* Puts it at the end of a queue. */
void ipc_wait_enqueue(struct ipc_queue *q, struct ipc_waiter *w);
/* Ends the wait with `status`: out of the queue, and the task runs. */
void ipc_wait_done(struct ipc_waiter *w, long status);
/* To the end of the queue it is in. */
void ipc_wait_requeue(struct ipc_waiter *w);
/* Lets the task run, which stays in its queue. */
void ipc_wait_nudge(struct ipc_waiter *w);
/*
 * Parks until the wait is over, then its status; -EINTR when a signal came first, -EAGAIN when the
 * deadline did, 0 when it was nudged.
 */
long ipc_wait_park(struct task *t, struct ipc_waiter *w, u64 deadline_ns);
void ipc_wait_end(struct task *t);

/* ---- life of tasks: called by process.c and clone.c ---- */

/* The task is gone: its waiter, and what it was to undo (sysv_sem.c). */
void ipc_task_gone(struct task *t);
/* A child that shares what is to be undone (CLONE_SYSVSEM). */
void sem_undo_share(struct task *parent, struct task *child);
void sem_undo_leave(struct task *t);

/* ---- texts of /proc/sysvipc ---- */
struct synth_ctx;
struct synth_text;
void shm_make_text(const struct synth_ctx *c, struct synth_text *out);
void sem_make_text(const struct synth_ctx *c, struct synth_text *out);
void msg_make_text(const struct synth_ctx *c, struct synth_text *out);

#endif
