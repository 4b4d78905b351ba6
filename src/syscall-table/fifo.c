/*
 * Opening FIFOs made inside the container: a pipe hangs at the vnode while any description of it is
 * open or being opened.
 *
 * Who opens one side waits until the other was opened at some time after, even if it is closed
 * again by then: that is what the open counters of struct pipe are for (fs/pipe.c, fifo_open).
 */
#include "pipe.h"

/* What F_GETFL shows. */
#define SHOWN_FLAGS (O_ACCMODE | O_APPEND | O_NONBLOCK | O_DIRECT | O_NOATIME)

/* vnode.fifo has room for the block's number in the heap, whose blocks are 16 bytes or more. */
#define HEAP_START (REGION_BASE + REGION_HEAP_OFF)
_Static_assert(REGION_HEAP_SIZE / 16 < 0xffffffffull, "numbers fit");

static struct pipe *pipe_of_vnode(struct task *t, u32 vnode)
{
	struct vnode *v = vnode_at(vnode);

	if (v->fifo)
		return (struct pipe *)(HEAP_START + (u64)(v->fifo - 1) * 16);
	struct pipe *p = pipe_create(t);
	p->vnode = vnode;
	v->fifo = (u32)(((u64)p - HEAP_START) / 16) + 1;
	return p;
}

static u32 kind_of(u32 mode)
{
	if (mode == O_RDWR)
		return OFD_FIFO;
	return mode == O_RDONLY ? OFD_PIPE_READ : OFD_PIPE_WRITE;
}

/* Waits until `*opens`, of the other side, counts on. */
static long wait_for_partner(struct task *t, struct pipe *p, struct ofd *o, const u32 *opens)
{
	u32 before = *opens;
	long r = 0;

	/* The opener's reference becomes the parked task's: it must not outlive the task. */
	park_hold_begin(t, o);
	ofd_put(o);
	while (!r && *opens == before)
		r = ready_wait(t, pipe_key(p), READY_BIT_OPEN);
	if (!r)
		ofd_hold(o);
	park_hold_end(t, o);
	return r;
}

static long wait_open(struct task *t, struct pipe *p, struct ofd *o)
{
	u32 mode = o->flags & O_ACCMODE;

	if (mode == O_WRONLY && !p->readers)
		return wait_for_partner(t, p, o, &p->reader_opens);
	if (mode != O_RDONLY || p->writers)
		return 0;
	if (!(o->flags & O_NONBLOCK))
		return wait_for_partner(t, p, o, &p->writer_opens);
	o->private[0] = p->writer_opens;
	return 0;
}

long fifo_open(struct task *t, u32 vnode, u32 flags)
{
	u32 mode = flags & O_ACCMODE;

	if (mode == O_ACCMODE)
		return -EINVAL;
	struct vnode *v = vnode_at(vnode);
	if (mode == O_WRONLY && flags & O_NONBLOCK &&
	    (!v->fifo || !pipe_of_vnode(t, vnode)->readers))
		return -ENXIO;
	long index = ofd_create(kind_of(mode), (flags & SHOWN_FLAGS) | O_LARGEFILE);
	if (index < 0)
		return index;
	struct ofd *o = ofd_at((u32)index);
	struct pipe *p = pipe_of_vnode(t, vnode);
	ofd_set_vnode(o, vnode);
	/* Never equal to the count of opens, unless wait_open says so. */
	o->private[0] = ~0ull;
	pipe_attach(p, o);
	ready_changed(pipe_key(p), READY_BIT_OPEN);
	long r = wait_open(t, p, o);
	return r < 0 ? r : index;
}
