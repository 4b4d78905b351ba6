/*
 * A thread that works off items in the order they were put.
 */
#ifndef SHADOW_BASE_WORK_QUEUE_H
#define SHADOW_BASE_WORK_QUEUE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

/* The head of an item. */
struct work_item {
	struct work_item *next;
	size_t cost; /* of it, in whatever unit cost_max has */
};

struct work_queue;

struct work_queue_options {
	/* Called by the thread for each item; 0 or a negative errno. After the first error no more
	 * items are worked on, only disposed of. */
	int (*work)(void *arg, struct work_item *item);
	void (*dispose)(struct work_item *item);
	/* Called by the thread when it has nothing else to do; may be NULL.  Fails as work does. */
	int (*idle)(void *arg);
	void *arg;
	size_t cost_max;       /* put waits while the items have more in all */
	const cpu_set_t *cpus; /* where the thread may run; NULL: as its creator */
};

/* Starts the thread.  -ENOMEM, -EAGAIN (no thread). */
int work_queue_create(const struct work_queue_options *options, struct work_queue **ret_queue);

/* Takes the item over; waits while the queue is full.  Thread-safe.  0 or the first error. */
int work_queue_put(struct work_queue *queue, struct work_item *item);

/* Whether no more than `few` items are left to be worked off, and no other work is under way. */
bool work_queue_is_idle(struct work_queue *queue, size_t few);

/* Waits until all that was put before this call has been worked off.  0 or the first error. */
int work_queue_wait(struct work_queue *queue);

/* Waits for everything; the thread does nothing from then on, and ends by and by.  Nothing may be
 * put any more.  0 or the first error. */
int work_queue_end(struct work_queue *queue);

/* Waits for everything and ends the thread.  NULL is allowed. */
void work_queue_destroy(struct work_queue *queue);

#endif
