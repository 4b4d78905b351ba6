/*
 * How full a pipe is, and where packets begin and end in it.
 *
 * Invariants: packets are in order, none is empty, all lie within [taken, taken + used) of the
 * queue; `padding` is what they are short of a page each, so that used + padding is the room that
 * is taken.
 */
#include "pipe.h"

u64 pipe_room(const struct pipe *p)
{
	u64 taken = p->in.used + p->padding;

	return taken < p->capacity ? p->capacity - taken : 0;
}

bool pipe_is_full(const struct pipe *p)
{
	return pipe_room(p) < PIPE_ATOMIC;
}

void pipe_packet_added(struct pipe *p, u64 n)
{
	struct pipe_packet *k = heap_alloc(sizeof(*k));

	k->at = p->in.taken + p->in.used - n;
	k->size = n;
	*(p->packets ? &p->last_packet->next : &p->packets) = k;
	p->last_packet = k;
	p->padding += PIPE_ATOMIC - n;
}

u64 pipe_run(const struct pipe *p, bool *ret_packet)
{
	const struct pipe_packet *k = p->packets;

	*ret_packet = k && k->at == p->in.taken;
	if (*ret_packet)
		return k->size;
	return k ? k->at - p->in.taken : p->in.used;
}

u64 pipe_readable(const struct pipe *p, u64 want)
{
	const struct pipe_packet *k = p->packets;
	u64 most = k ? k->at + k->size - p->in.taken : p->in.used;

	return most < want ? most : want;
}

static void packet_end(struct pipe *p)
{
	struct pipe_packet *k = p->packets;

	p->padding -= PIPE_ATOMIC - k->size;
	p->packets = k->next;
	heap_free(k);
}

void pipe_drop(struct pipe *p, u64 n)
{
	byte_queue_drop(&p->in, n);
	while (p->packets && p->packets->at + p->packets->size <= p->in.taken)
		packet_end(p);
	struct pipe_packet *k = p->packets;
	if (k && k->at < p->in.taken) {
		p->padding += p->in.taken - k->at;
		k->size -= p->in.taken - k->at;
		k->at = p->in.taken;
	}
}

void pipe_drop_read(struct pipe *p, u64 n)
{
	const struct pipe_packet *k = p->packets;
	u64 end = p->in.taken + n;

	if (k && end > k->at && end < k->at + k->size)
		n = k->at + k->size - p->in.taken;
	pipe_drop(p, n);
}

void pipe_queue_free(struct pipe *p)
{
	while (p->packets)
		packet_end(p);
	byte_queue_clear(&p->in);
}
