/* A pipe, with or without a name: what pipe.c and fifo.c share. */
#ifndef SHADOW_PIPE_H
#define SHADOW_PIPE_H

#include "byte_queue.h"
#include "ready.h"

#define PIPE_ATOMIC   4096u /* PIPE_BUF: writes of at most so much are never mixed or cut */
#define PIPE_CAPACITY 65536u

/* What was written in packet mode keeps its end: heap, in order. */
struct pipe_packet {
	struct pipe_packet *next;
	u64 at; /* where it starts, counted in all bytes that ever went through the pipe */
	u64 size;
};

/* Heap; in `state` of the descriptions of both ends.  Lives while there is any. */
struct pipe {
	struct byte_queue in;
	u64 capacity; /* in.most, too */
	u64 padding;  /* of packets: what they are short of a page each */
	struct pipe_packet *packets, *last_packet;
	u32 readers, writers;		/* descriptions; one open for both counts as each */
	u32 reader_opens, writer_opens; /* how many there ever were: what openers of a FIFO await */
	u32 descriptions;
	u32 vnode; /* of a FIFO, or 0 */
	u32 uid, gid;
	u64 ino;
	s64 born_ns, written_ns, read_ns;
};

/* The key of everything that happens to a pipe. */
static inline struct sched_key pipe_key(const struct pipe *p)
{
	return (struct sched_key){KEY_OFD, (u64)p};
}

static inline struct pipe *pipe_of(const struct ofd *o)
{
	return o->state;
}

static inline bool is_pipe(const struct ofd *o)
{
	return o->kind == OFD_PIPE_READ || o->kind == OFD_PIPE_WRITE || o->kind == OFD_FIFO;
}

/* ---- pipe_packets.c ---- */

u64 pipe_room(const struct pipe *p);
bool pipe_is_full(const struct pipe *p);
/* The last `n` bytes, which were added to the queue, are a packet. */
void pipe_packet_added(struct pipe *p, u64 n);
/* How many of the first bytes a read of `want` takes: it ends with a packet. */
u64 pipe_readable(const struct pipe *p, u64 want);
/* How many of the first bytes are of one kind; *ret_packet: which. */
u64 pipe_run(const struct pipe *p, bool *ret_packet);
/* They are gone; of a packet that a read did not take wholly, the rest too. */
void pipe_drop(struct pipe *p, u64 n);
void pipe_drop_read(struct pipe *p, u64 n);
void pipe_queue_free(struct pipe *p);

/* ---- pipe.c ---- */

/* Bytes were taken out, or put in: times, and who waits for it. */
void pipe_taken(struct pipe *p, bool was_full);
void pipe_given(struct pipe *p);
/* SIGPIPE; -EPIPE. */
long pipe_no_reader(struct task *t);

/* A fresh pipe without descriptions. */
struct pipe *pipe_create(struct task *t);
/* Makes a fresh description an end (or both) of a pipe, by its access mode. */
void pipe_attach(struct pipe *p, struct ofd *o);

#endif
