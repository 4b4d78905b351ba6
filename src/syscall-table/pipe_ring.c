/*
 * The ring of a pipe: its bytes, and where packets begin and end.
 *
 * Invariants: used <= allocated <= capacity, except that a ring stays when capacity shrinks below
 * it; start is 0 when used is 0, so small messages stay in the first page.  Packets are in order,
 * none is empty, all lie within [taken, taken + used); `padding` is what they are short of a page
 * each, so that used + padding is the room that is taken.
 */
#include "pipe.h"

#define RING_FIRST 4080u /* with the heap's head one page */

u64 pipe_room(const struct pipe *p)
{
	u64 taken = p->used + p->padding;

	return taken < p->capacity ? p->capacity - taken : 0;
}

bool pipe_is_full(const struct pipe *p)
{
	return pipe_room(p) < PIPE_ATOMIC;
}

static void piece(const struct pipe *p, u64 from, u64 n, struct user_iov ret[2])
{
	u64 first = p->allocated - from < n ? p->allocated - from : n;

	ret[0] = (struct user_iov){(u64)(p->bytes + from), first};
	ret[1] = (struct user_iov){(u64)p->bytes, n - first};
}

void pipe_span(const struct pipe *p, u64 n, struct user_iov ret[2])
{
	piece(p, p->start, n, ret);
}

/* Makes the ring at least `need` bytes, which capacity allows. */
static void reserve(struct pipe *p, u64 need)
{
	struct user_iov old[2];
	u64 size = RING_FIRST;

	if (need <= p->allocated)
		return;
	while (size < need)
		size = 2 * (size + 16) - 16;
	if (size > p->capacity)
		size = p->capacity;
	u8 *fresh = heap_alloc_unset(size);
	piece(p, p->start, p->used, old);
	if (p->used) {
		memcpy(fresh, (const void *)old[0].base, old[0].len);
		memcpy(fresh + old[0].len, (const void *)old[1].base, old[1].len);
	}
	heap_free(p->bytes);
	p->bytes = fresh;
	p->start = 0;
	p->allocated = size;
}

void pipe_tail(struct pipe *p, u64 n, struct user_iov ret[2])
{
	reserve(p, p->used + n);
	piece(p, (p->start + p->used) % p->allocated, n, ret);
}

void pipe_append(struct pipe *p, u64 n, bool packet)
{
	if (packet) {
		struct pipe_packet *k = heap_alloc(sizeof(*k));
		k->at = p->taken + p->used;
		k->size = n;
		*(p->packets ? &p->last_packet->next : &p->packets) = k;
		p->last_packet = k;
		p->padding += PIPE_ATOMIC - n;
	}
	p->used += n;
}

u64 pipe_run(const struct pipe *p, bool *ret_packet)
{
	const struct pipe_packet *k = p->packets;

	*ret_packet = k && k->at == p->taken;
	if (*ret_packet)
		return k->size;
	return k ? k->at - p->taken : p->used;
}

u64 pipe_readable(const struct pipe *p, u64 want)
{
	const struct pipe_packet *k = p->packets;
	u64 most = k ? k->at + k->size - p->taken : p->used;

	return most < want ? most : want;
}

static void packet_end(struct pipe *p)
{
	struct pipe_packet *k = p->packets;

	p->padding -= PIPE_ATOMIC - k->size;
	p->packets = k->next;
	heap_free(k);
}

static void advance(struct pipe *p, u64 n)
{
	p->taken += n;
	p->used -= n;
	p->start = p->used ? (p->start + n) % p->allocated : 0;
}

void pipe_drop(struct pipe *p, u64 n)
{
	advance(p, n);
	while (p->packets && p->packets->at + p->packets->size <= p->taken)
		packet_end(p);
	struct pipe_packet *k = p->packets;
	if (k && k->at < p->taken) {
		p->padding += p->taken - k->at;
		k->size -= p->taken - k->at;
		k->at = p->taken;
	}
}

void pipe_drop_read(struct pipe *p, u64 n)
{
	const struct pipe_packet *k = p->packets;
	u64 end = p->taken + n;

	if (k && end > k->at && end < k->at + k->size)
		n = k->at + k->size - p->taken;
	pipe_drop(p, n);
}

void pipe_ring_free(struct pipe *p)
{
	while (p->packets)
		packet_end(p);
	heap_free(p->bytes);
}
