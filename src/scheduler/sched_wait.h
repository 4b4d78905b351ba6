/* Wait keys and who waits on them: FIFO queues of wait nodes, found by key. */
#ifndef SHADOW_SCHED_WAIT_H
#define SHADOW_SCHED_WAIT_H

#include <stdint.h>

#include "sched_limits.h"

/*
 * What a task waits for. The meaning is the caller's: (kind, object index), or (address space,
 * address) of a futex word.
 */
struct sched_key {
	uint64_t a, b;
};

/* One task waiting on one key. */
struct sched_node {
	uint64_t cookie;
	uint32_t bits;
	uint32_t task;
	uint32_t queue;	     /* SCHED_NONE while the node is free */
	uint32_t prev, next; /* in the key's queue */
	uint32_t task_next;  /* in the task's list, or in the free list */
};

/* The waiters of one key, oldest first. Exists only while there are any. */
struct sched_queue {
	struct sched_key key;
	uint32_t head, tail;
	uint32_t count;
	uint32_t next; /* in the bucket, or in the free list */
};

struct sched_waits {
	uint32_t nodes_live;
	uint32_t nodes_used, nodes_free;      /* untouched from here on; list of returned ones */
	uint32_t queues_used, queues_free;    /* the same for queues */
	uint32_t bucket[SCHED_BUCKETS_MAX];   /* first queue + 1, so that new memory is empty */
	uint32_t task_nodes[SCHED_TASKS_MAX]; /* list of each task's nodes */
	struct sched_node nodes[SCHED_NODES_MAX];
	struct sched_queue queues[SCHED_NODES_MAX + 1]; /* +1: a requeue's target, briefly */
};

/* Makes an empty table of memory in which `bucket` is zero; the rest may hold anything. */
void sched_waits_init(struct sched_waits *waits);

/* Prepares the (empty) list of `task`; before its first sched_waits_add. */
void sched_waits_task_init(struct sched_waits *waits, uint32_t task);

/*
 * Appends `task` to the queue of `key`. A wake reaches the node if it shares a bit with `bits`;
 * `cookie` is handed back by the wake. -SCHED_ENOSPC if all nodes are in use.
 */
int sched_waits_add(struct sched_waits *waits, uint32_t task, struct sched_key key, uint32_t bits,
		    uint64_t cookie);

/* Takes all nodes of `task` out of their queues. O(number of its nodes). */
void sched_waits_clear(struct sched_waits *waits, uint32_t task);

/* Index of the oldest node of `key`, or SCHED_NONE. */
uint32_t sched_waits_first(const struct sched_waits *waits, struct sched_key key);

/* The node of that index; SCHED_BUG if it is out of range, free, or of no valid task. */
struct sched_node *sched_waits_node(struct sched_waits *waits, uint32_t index);

/* Number of nodes on `key`. */
uint32_t sched_waits_count(const struct sched_waits *waits, struct sched_key key);

/*
 * Moves the oldest `max` nodes of `from` to the end of `to`, in order. Returns how many; with
 * from equal to `to` nothing moves, but they count (as Linux counts them).
 */
uint32_t sched_waits_requeue(struct sched_waits *waits, struct sched_key from, struct sched_key to,
			     uint32_t max);

#endif
