/* A queue of bytes in the heap: a ring that grows with the need. */
#ifndef SHADOW_BYTE_QUEUE_H
#define SHADOW_BYTE_QUEUE_H

#include "files.h"

/* All zeros is an empty queue.  How much may be in it is its user's business. */
struct byte_queue {
	u8 *bytes;
	u64 allocated, start, used;
	u64 taken; /* bytes ever dropped at the front: the first byte's number in the stream */
	u64 most;  /* it never grows beyond so many bytes; 0: as they come */
};

/* Appends `n` bytes from byte `at` of the operation, folded.  0, or -EFAULT and nothing was. */
long byte_queue_put(struct task *t, struct byte_queue *q, const struct file_io *io, u64 at, u64 n);
/* Appends bytes that are in the shim's memory. */
void byte_queue_append(struct byte_queue *q, const void *bytes, u64 n);
/* Copies `n` bytes that are there, from `skip` bytes behind the front on, to byte `at` of the
 * operation, and folds them; they stay.  0 or -EFAULT. */
long byte_queue_give(struct task *t, const struct byte_queue *q, u64 skip, const struct file_io *io,
		     u64 at, u64 n);
/* Drops `n` bytes at the front, which are there. */
void byte_queue_drop(struct byte_queue *q, u64 n);
/* Frees all; the queue is empty. */
void byte_queue_clear(struct byte_queue *q);

/* Where the first `n` bytes, which are there, lie; the second piece may be empty. */
void byte_queue_span(const struct byte_queue *q, u64 n, struct user_iov ret[2]);
/* Where `n` bytes more are to be put; they are in the queue once byte_queue_added says so. */
void byte_queue_room(struct byte_queue *q, u64 n, struct user_iov ret[2]);

static inline void byte_queue_added(struct byte_queue *q, u64 n)
{
	q->used += n;
}

#endif
