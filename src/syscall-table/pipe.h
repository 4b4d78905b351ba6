/* A pipe, with or without a name: what pipe.c and fifo.c share. */
#ifndef SHADOW_PIPE_H
#define SHADOW_PIPE_H

#include "ready.h"

#define PIPE_ATOMIC   4096u /* PIPE_BUF: writes of at most so much are never mixed or cut */
#define PIPE_CAPACITY 65536u

/* Heap; in `state` of the descriptions of both ends.  Lives while there is any. */
struct pipe {
	u8 *bytes; /* ring of `allocated` bytes: grows with the need up to capacity */
	u64 allocated, start, used, capacity;
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

/* A fresh pipe without descriptions. */
struct pipe *pipe_create(struct task *t);
/* Makes a fresh description an end (or both) of a pipe, by its access mode. */
void pipe_attach(struct pipe *p, struct ofd *o);

#endif
