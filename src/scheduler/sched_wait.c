/*
 * The wait table: which tasks wait on which keys, in which order.
 *
 *	bucket[hash(key)] -> queue -> queue ...		one queue per key that has waiters
 *			       |
 *			       head <-> node <-> node	oldest first
 *	task_nodes[task] ------------^-> node ...	all nodes of a task, on any keys
 *
 * It owns nodes and queues: arrays used from the front, with lists of the returned ones, so that
 * a container with few waiters touches few pages of the shared region, and links are indices
 * since each process may see the region elsewhere.
 *
 * Invariants: a queue in a bucket has at least one node; a node is in exactly one queue and in
 * the list of its task, or free (queue == SCHED_NONE). The order within a key is the order of
 * sched_waits_add and of requeues; nothing depends on which index a node or queue happens to have
 * or on the order inside a bucket.
 *
 * Memory may have been damaged from outside: indices are checked where they are read, and each
 * loop frees what it passes or counts its steps, so a ring ends in SCHED_BUG, not in a hang.
 */
#include <stdbool.h>

#include "sched_wait.h"

#define QUEUES_MAX (SCHED_NODES_MAX + 1)

static bool key_equal(struct sched_key x, struct sched_key y)
{
	return x.a == y.a && x.b == y.b;
}

/*
 * Addresses differ in the middle bits and object indices in the low ones; multiplying by odd
 * constants (2^64 / golden ratio, and an unrelated one) and taking the top bits spreads both.
 */
static uint32_t key_bucket(struct sched_key key)
{
	uint64_t h = (key.a * 0x9e3779b97f4a7c15u) ^ (key.b * 0xc2b2ae3d27d4eb4fu);

	h = (h ^ (h >> 32)) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h >> 51) & (SCHED_BUCKETS_MAX - 1);
}

void sched_waits_init(struct sched_waits *waits)
{
	waits->nodes_live = 0;
	waits->nodes_used = 0;
	waits->nodes_free = SCHED_NONE;
	waits->queues_used = 0;
	waits->queues_free = SCHED_NONE;
}

void sched_waits_task_init(struct sched_waits *waits, uint32_t task)
{
	waits->task_nodes[task] = SCHED_NONE;
}

struct sched_node *sched_waits_node(struct sched_waits *waits, uint32_t index)
{
	struct sched_node *node;

	if (index >= SCHED_NODES_MAX)
		SCHED_BUG(SCHED_NONE, "wait node index out of range");
	node = &waits->nodes[index];
	if (node->queue == SCHED_NONE || node->task >= SCHED_TASKS_MAX)
		SCHED_BUG(SCHED_NONE, "wait node damaged");
	return node;
}

static struct sched_queue *queue_at(struct sched_waits *waits, uint32_t index)
{
	if (index >= QUEUES_MAX)
		SCHED_BUG(SCHED_NONE, "wait queue index out of range");
	return &waits->queues[index];
}

/* The first queue of a bucket, or SCHED_NONE. */
static uint32_t bucket_first(const struct sched_waits *waits, uint32_t bucket)
{
	return waits->bucket[bucket] - 1;
}

static void bucket_first_set(struct sched_waits *waits, uint32_t bucket, uint32_t index)
{
	waits->bucket[bucket] = index + 1;
}

static uint32_t queue_find(const struct sched_waits *waits, struct sched_key key)
{
	uint32_t steps = 0;

	for (uint32_t i = bucket_first(waits, key_bucket(key)); i != SCHED_NONE;) {
		const struct sched_queue *queue;

		if (i >= QUEUES_MAX || steps++ > QUEUES_MAX)
			SCHED_BUG(SCHED_NONE, "wait queue chain damaged");
		queue = &waits->queues[i];
		if (key_equal(queue->key, key))
			return i;
		i = queue->next;
	}
	return SCHED_NONE;
}

/* A fresh queue for `key`, without nodes. There is one for every node and one more. */
static uint32_t queue_create(struct sched_waits *waits, struct sched_key key)
{
	uint32_t index = waits->queues_free, bucket = key_bucket(key);
	struct sched_queue *queue;

	if (index == SCHED_NONE)
		index = waits->queues_used++;
	else
		waits->queues_free = queue_at(waits, index)->next;
	queue = queue_at(waits, index);
	queue->key = key;
	queue->head = SCHED_NONE;
	queue->tail = SCHED_NONE;
	queue->count = 0;
	queue->next = bucket_first(waits, bucket);
	bucket_first_set(waits, bucket, index);
	return index;
}

static uint32_t queue_get(struct sched_waits *waits, struct sched_key key)
{
	uint32_t index = queue_find(waits, key);

	return index == SCHED_NONE ? queue_create(waits, key) : index;
}

/* Takes an empty queue out of its bucket. */
static void queue_destroy(struct sched_waits *waits, uint32_t index)
{
	struct sched_queue *queue = queue_at(waits, index);
	uint32_t bucket = key_bucket(queue->key), before = SCHED_NONE, steps = 0;

	for (uint32_t i = bucket_first(waits, bucket); i != index; i = queue_at(waits, i)->next) {
		if (i == SCHED_NONE || steps++ > QUEUES_MAX)
			SCHED_BUG(SCHED_NONE, "wait queue not in its bucket");
		before = i;
	}
	if (before == SCHED_NONE)
		bucket_first_set(waits, bucket, queue->next);
	else
		queue_at(waits, before)->next = queue->next;
	queue->next = waits->queues_free;
	waits->queues_free = index;
}

static void queue_append(struct sched_waits *waits, uint32_t queue_index, uint32_t node_index)
{
	struct sched_queue *queue = queue_at(waits, queue_index);
	struct sched_node *node = &waits->nodes[node_index];

	node->queue = queue_index;
	node->prev = queue->tail;
	node->next = SCHED_NONE;
	if (queue->tail == SCHED_NONE)
		queue->head = node_index;
	else
		sched_waits_node(waits, queue->tail)->next = node_index;
	queue->tail = node_index;
	queue->count++;
}

/* Takes a node out of its queue; the queue goes with its last node. */
static void queue_unlink(struct sched_waits *waits, uint32_t node_index)
{
	struct sched_node *node = sched_waits_node(waits, node_index);
	uint32_t queue_index = node->queue;
	struct sched_queue *queue = queue_at(waits, queue_index);

	if (node->prev == SCHED_NONE)
		queue->head = node->next;
	else
		sched_waits_node(waits, node->prev)->next = node->next;
	if (node->next == SCHED_NONE)
		queue->tail = node->prev;
	else
		sched_waits_node(waits, node->next)->prev = node->prev;
	node->queue = SCHED_NONE;
	if (--queue->count == 0)
		queue_destroy(waits, queue_index);
}

/* Index of an unused node, or SCHED_NONE. */
static uint32_t node_take(struct sched_waits *waits)
{
	uint32_t index = waits->nodes_free;

	if (index == SCHED_NONE)
		return waits->nodes_used < SCHED_NODES_MAX ? waits->nodes_used++ : SCHED_NONE;
	if (index >= SCHED_NODES_MAX || waits->nodes[index].queue != SCHED_NONE)
		SCHED_BUG(SCHED_NONE, "list of free wait nodes damaged");
	waits->nodes_free = waits->nodes[index].task_next;
	return index;
}

int sched_waits_add(struct sched_waits *waits, uint32_t task, struct sched_key key, uint32_t bits,
		    uint64_t cookie)
{
	uint32_t index = node_take(waits);
	struct sched_node *node;

	if (index == SCHED_NONE)
		return -SCHED_ENOSPC;
	node = &waits->nodes[index];
	node->cookie = cookie;
	node->bits = bits;
	node->task = task;
	node->task_next = waits->task_nodes[task];
	waits->task_nodes[task] = index;
	waits->nodes_live++;
	queue_append(waits, queue_get(waits, key), index);
	return 0;
}

void sched_waits_clear(struct sched_waits *waits, uint32_t task)
{
	uint32_t index = waits->task_nodes[task];

	while (index != SCHED_NONE) {
		struct sched_node *node = sched_waits_node(waits, index);
		uint32_t next = node->task_next;

		queue_unlink(waits, index);
		node->task_next = waits->nodes_free;
		waits->nodes_free = index;
		waits->nodes_live--;
		index = next;
	}
	waits->task_nodes[task] = SCHED_NONE;
}

uint32_t sched_waits_first(const struct sched_waits *waits, struct sched_key key)
{
	uint32_t index = queue_find(waits, key);

	return index == SCHED_NONE ? SCHED_NONE : waits->queues[index].head;
}

uint32_t sched_waits_count(const struct sched_waits *waits, struct sched_key key)
{
	uint32_t index = queue_find(waits, key);

	return index == SCHED_NONE ? 0 : waits->queues[index].count;
}

uint32_t sched_waits_requeue(struct sched_waits *waits, struct sched_key from, struct sched_key to,
			     uint32_t max)
{
	uint32_t source = queue_find(waits, from), target, count;

	if (source == SCHED_NONE || max == 0)
		return 0;
	count = waits->queues[source].count < max ? waits->queues[source].count : max;
	if (key_equal(from, to))
		return count;
	target = queue_get(waits, to);
	for (uint32_t moved = 0; moved < count; moved++) {
		uint32_t index = waits->queues[source].head;

		queue_unlink(waits, index);
		queue_append(waits, target, index);
	}
	return count;
}
