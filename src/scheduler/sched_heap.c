/*
 * Indexed binary heap: the runnable tasks by logical clock, the sleeping ones by deadline.
 *
 * An array in which entry[i] is never after entry[2i+1] and entry[2i+2]; pos[] finds a task's
 * entry, so that a wake can cancel a deadline in O(log n). The keys are copies held in the array:
 * sifting touches one array instead of a task per comparison.
 *
 * Invariant: pos[entry[i].task] == i for all i < count. pos[] of a task that is no member may
 * hold anything: membership is asked by following pos[] and looking back, which is why the heap
 * needs no clean memory. The order of members is total, so what comes out depends only on what
 * went in.
 */
#include "sched_heap.h"

void sched_heap_init(struct sched_heap *heap)
{
	heap->count = 0;
}

static bool heap_contains(const struct sched_heap *heap, uint32_t task)
{
	uint32_t at = heap->pos[task];

	return at < heap->count && at < SCHED_TASKS_MAX && heap->entry[at].task == task;
}

static void heap_place(struct sched_heap *heap, uint32_t at, struct sched_heap_entry entry)
{
	if (entry.task >= SCHED_TASKS_MAX)
		SCHED_BUG(entry.task, "task index in a heap out of range");
	heap->entry[at] = entry;
	heap->pos[entry.task] = at;
}

/* Puts `entry` at `at` or above, moving later entries down. */
static void heap_sift_up(struct sched_heap *heap, uint32_t at, struct sched_heap_entry entry)
{
	while (at > 0) {
		uint32_t up = (at - 1) / 2;

		if (!sched_heap_before(&entry, &heap->entry[up]))
			break;
		heap_place(heap, at, heap->entry[up]);
		at = up;
	}
	heap_place(heap, at, entry);
}

/* Puts `entry` at `at` or below, among the first `count` places. */
static void heap_sift_down(struct sched_heap *heap, uint32_t at, uint32_t count,
			   struct sched_heap_entry entry)
{
	for (;;) {
		uint32_t down = 2 * at + 1;

		if (down >= count)
			break;
		if (down + 1 < count &&
		    sched_heap_before(&heap->entry[down + 1], &heap->entry[down]))
			down++;
		if (!sched_heap_before(&heap->entry[down], &entry))
			break;
		heap_place(heap, at, heap->entry[down]);
		at = down;
	}
	heap_place(heap, at, entry);
}

void sched_heap_insert(struct sched_heap *heap, uint32_t task, uint64_t key, uint32_t number)
{
	struct sched_heap_entry entry = {.key = key, .number = number, .task = task};
	uint32_t at = heap->count;

	if (task >= SCHED_TASKS_MAX || at >= SCHED_TASKS_MAX)
		SCHED_BUG(task, "task index or heap size out of range");
	if (heap_contains(heap, task))
		SCHED_BUG(task, "task entered a heap twice");
	heap->count = at + 1;
	heap_sift_up(heap, at, entry);
}

bool sched_heap_remove(struct sched_heap *heap, uint32_t task)
{
	struct sched_heap_entry last;
	uint32_t at, count = heap->count;

	if (task >= SCHED_TASKS_MAX || count > SCHED_TASKS_MAX)
		SCHED_BUG(task, "task index or heap size out of range");
	if (!heap_contains(heap, task))
		return false;
	at = heap->pos[task];
	last = heap->entry[--count];
	heap->count = count;
	if (at == count)
		return true;
	if (at > 0 && sched_heap_before(&last, &heap->entry[(at - 1) / 2]))
		heap_sift_up(heap, at, last);
	else
		heap_sift_down(heap, at, count, last);
	return true;
}
