/*
 * Queues of bytes: pipes, the streams of sockets, terminals.
 *
 * Invariants: used <= allocated; start < allocated, and 0 when used is 0, so small messages stay in
 * the first page and cost no allocation.
 */
#include "byte_queue.h"

#define QUEUE_FIRST 4080u /* with the heap's head one page */

/* `skip` bytes behind the front, at most all of the ring. */
static u64 end_of(const struct byte_queue *q, u64 skip)
{
	u64 at = q->start + skip;

	return at < q->allocated ? at : at - q->allocated;
}

/* How many of `n` bytes lie between `at` and the ring's end. */
static u64 straight(const struct byte_queue *q, u64 at, u64 n)
{
	return q->allocated - at < n ? q->allocated - at : n;
}

static void reserve(struct byte_queue *q, u64 need)
{
	u64 size = QUEUE_FIRST;

	if (need <= q->allocated)
		return;
	while (size < need)
		size = 2 * (size + 16) - 16;
	if (q->most && size > q->most)
		size = q->most;
	u8 *fresh = heap_alloc_unset(size);
	if (q->used) {
		u64 first = straight(q, q->start, q->used);
		memcpy(fresh, q->bytes + q->start, first);
		memcpy(fresh + first, q->bytes, q->used - first);
	}
	heap_free(q->bytes);
	q->bytes = fresh;
	q->start = 0;
	q->allocated = size;
}

long byte_queue_put(struct task *t, struct byte_queue *q, const struct file_io *io, u64 at, u64 n)
{
	if (!n)
		return 0;
	reserve(q, q->used + n);
	u64 end = end_of(q, q->used), first = straight(q, end, n);

	long r = io_take(t, io, at, q->bytes + end, first);
	if (!r && first < n)
		r = io_take(t, io, at + first, q->bytes, n - first);
	if (!r)
		q->used += n;
	return r;
}

void byte_queue_append(struct byte_queue *q, const void *bytes, u64 n)
{
	if (!n)
		return;
	reserve(q, q->used + n);
	u64 end = end_of(q, q->used), first = straight(q, end, n);

	memcpy(q->bytes + end, bytes, first);
	memcpy(q->bytes, (const u8 *)bytes + first, n - first);
	q->used += n;
}

long byte_queue_give(struct task *t, const struct byte_queue *q, u64 skip, const struct file_io *io,
		     u64 at, u64 n)
{
	if (!n)
		return 0;
	u64 from = end_of(q, skip), first = straight(q, from, n);

	long r = io_give(t, io, at, q->bytes + from, first);
	if (!r && first < n)
		r = io_give(t, io, at + first, q->bytes, n - first);
	return r;
}

void byte_queue_drop(struct byte_queue *q, u64 n)
{
	q->used -= n;
	q->taken += n;
	q->start = q->used ? end_of(q, n) : 0;
}

void byte_queue_clear(struct byte_queue *q)
{
	heap_free(q->bytes);
	*q = (struct byte_queue){.taken = q->taken + q->used, .most = q->most};
}

static void pieces(const struct byte_queue *q, u64 from, u64 n, struct user_iov ret[2])
{
	u64 first = straight(q, from, n);

	ret[0] = (struct user_iov){(u64)(q->bytes + from), first};
	ret[1] = (struct user_iov){(u64)q->bytes, n - first};
}

void byte_queue_span(const struct byte_queue *q, u64 n, struct user_iov ret[2])
{
	pieces(q, q->start, n, ret);
}

void byte_queue_room(struct byte_queue *q, u64 n, struct user_iov ret[2])
{
	reserve(q, q->used + n);
	pieces(q, end_of(q, q->used), n, ret);
}
