/* An indexed binary heap of tasks, least (key, number) first. */
#ifndef SHADOW_SCHED_HEAP_H
#define SHADOW_SCHED_HEAP_H

#include <stdbool.h>
#include <stdint.h>

#include "sched_limits.h"

struct sched_heap_entry {
	uint64_t key;
	uint32_t number; /* breaks ties; no two members may share it */
	uint32_t task;
};

struct sched_heap {
	uint32_t count;
	uint32_t pos[SCHED_TASKS_MAX]; /* where a member stands in entry[] */
	struct sched_heap_entry entry[SCHED_TASKS_MAX];
};

/* Empties the heap. Any memory contents will do. */
void sched_heap_init(struct sched_heap *heap);

/*
 * Adds `task` (below SCHED_TASKS_MAX) under (key, number). O(log n).
 * SCHED_BUG if it is a member already.
 */
void sched_heap_insert(struct sched_heap *heap, uint32_t task, uint64_t key, uint32_t number);

/* Takes `task` out wherever it stands. O(log n). Returns false if it was no member. */
bool sched_heap_remove(struct sched_heap *heap, uint32_t task);

/* True if (key, number) of `a` is before that of `b`. */
static inline bool sched_heap_before(const struct sched_heap_entry *a,
				     const struct sched_heap_entry *b)
{
	return a->key != b->key ? a->key < b->key : a->number < b->number;
}

/* The least member, or NULL if there is none. Valid until the next insert or remove. */
static inline const struct sched_heap_entry *sched_heap_top(const struct sched_heap *heap)
{
	return heap->count ? &heap->entry[0] : (const struct sched_heap_entry *)0;
}

#endif
