/*
 * See work_queue.h.  Owns the thread and the items put.
 *
 *	put --> queue --> [thread takes all] --> work --> dispose
 *	wait: until `done` reaches `put` as it was
 *
 * Invariants: `lock` guards the queue and the counters and is not held during work; the first error
 * stays and stops the work, but not the queue, so nobody waits forever.
 */
#include "work_queue.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "thread_start.h"

struct work_queue {
	struct work_queue_options options;
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work;  /* the queue has something, or `stop` */
	pthread_cond_t moved; /* `done` reached `wake_at` */
	struct work_item *first;
	struct work_item **last;
	size_t cost;
	uint64_t put;
	uint64_t done;
	uint64_t wake_at; /* the least value of `done` somebody waits for */
	bool idle;	  /* its thread sleeps */
	bool idling;	  /* it is in options.idle */
	bool stop;
	int error;
};

static void keep_error(struct work_queue *q, int error)
{
	if (!q->error)
		q->error = error;
}

/* The lock is held, but not meanwhile. */
static void spend_idle_time(struct work_queue *q)
{
	int ret;

	if (!q->options.idle || q->error)
		return;
	q->idling = true;
	pthread_mutex_unlock(&q->lock);
	ret = q->options.idle(q->options.arg);
	pthread_mutex_lock(&q->lock);
	q->idling = false;
	keep_error(q, ret);
	if (q->stop)
		pthread_cond_broadcast(&q->moved);
}

/* Waits for items and takes all of them.  NULL: the end. */
static struct work_item *take_all(struct work_queue *q)
{
	struct work_item *items;

	pthread_mutex_lock(&q->lock);
	if (!q->first && !q->stop)
		spend_idle_time(q);
	while (!q->first && !q->stop) {
		q->idle = true;
		pthread_cond_wait(&q->work, &q->lock);
	}
	q->idle = false;
	items = q->first;
	q->first = NULL;
	q->last = &q->first;
	pthread_mutex_unlock(&q->lock);
	return items;
}

static void item_done(struct work_queue *q, struct work_item *item, int ret)
{
	size_t cost = item->cost;
	bool moved;

	q->options.dispose(item);
	pthread_mutex_lock(&q->lock);
	keep_error(q, ret);
	q->done++;
	q->cost -= cost;
	/* Waking a waiter at every step made a wait for 5,000 items a fifth slower. */
	moved = q->done >= q->wake_at;
	if (moved)
		q->wake_at = UINT64_MAX;
	pthread_mutex_unlock(&q->lock);
	/* Without the lock, as whoever wakes up takes it. */
	if (moved)
		pthread_cond_broadcast(&q->moved);
}

static void *queue_main(void *arg)
{
	struct work_queue *q = arg;
	struct work_item *item, *next;

	for (item = take_all(q); item; item = take_all(q)) {
		for (; item; item = next) {
			next = item->next;
			item_done(q, item, q->error ? 0 : q->options.work(q->options.arg, item));
		}
	}
	return NULL;
}

int work_queue_create(const struct work_queue_options *options, struct work_queue **ret_queue)
{
	struct work_queue *q = calloc(1, sizeof(*q));
	int ret;

	if (!q)
		return -ENOMEM;
	q->options = *options;
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->work, NULL);
	pthread_cond_init(&q->moved, NULL);
	q->last = &q->first;
	q->wake_at = UINT64_MAX;
	ret = thread_start(&q->thread, q->options.cpus, queue_main, q);
	q->running = !ret;
	if (ret) {
		work_queue_destroy(q);
		return ret;
	}
	*ret_queue = q;
	return 0;
}

/* Waits until so many are done; the lock is held. */
static void wait_done(struct work_queue *q, uint64_t until)
{
	while (q->done < until) {
		if (q->wake_at > until)
			q->wake_at = until;
		pthread_cond_wait(&q->moved, &q->lock);
	}
}

int work_queue_put(struct work_queue *q, struct work_item *item)
{
	bool wake;
	int ret;

	item->next = NULL;
	pthread_mutex_lock(&q->lock);
	/* Waits for half of a full queue, so that both sides go on in long strides. */
	while (q->cost && q->cost + item->cost > q->options.cost_max)
		wait_done(q, q->done + (q->put - q->done + 1) / 2);
	*q->last = item;
	q->last = &item->next;
	q->cost += item->cost;
	q->put++;
	wake = q->idle;
	ret = q->error;
	pthread_mutex_unlock(&q->lock);
	if (wake)
		pthread_cond_signal(&q->work);
	return ret;
}

bool work_queue_is_idle(struct work_queue *q, size_t few)
{
	pthread_mutex_lock(&q->lock);
	bool idle = q->put - q->done <= few && !q->idling;
	pthread_mutex_unlock(&q->lock);
	return idle;
}

int work_queue_wait(struct work_queue *q)
{
	int ret;

	pthread_mutex_lock(&q->lock);
	wait_done(q, q->put);
	ret = q->error;
	pthread_mutex_unlock(&q->lock);
	return ret;
}

int work_queue_end(struct work_queue *q)
{
	int ret;

	pthread_mutex_lock(&q->lock);
	wait_done(q, q->put);
	q->stop = true;
	while (q->idling)
		pthread_cond_wait(&q->moved, &q->lock);
	ret = q->error;
	pthread_mutex_unlock(&q->lock);
	pthread_cond_signal(&q->work);
	return ret;
}

void work_queue_destroy(struct work_queue *q)
{
	if (!q)
		return;
	work_queue_end(q);
	if (q->running)
		pthread_join(q->thread, NULL);
	pthread_cond_destroy(&q->work);
	pthread_cond_destroy(&q->moved);
	pthread_mutex_destroy(&q->lock);
	free(q);
}
