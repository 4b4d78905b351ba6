/*
 * See position.h.  Of a description of a regular file, private[0] is its position plus 1, or 0 if
 * that is not known; private[1]: fstat was not called yet.  Of a vnode, `size` holds with
 * VNODE_SIZED.
 *
 * Invariant: whatever a handler does to position or size on the host, it tells; who does not know
 * where it wrote takes VNODE_SIZED away.
 */
#include "position.h"

#define OFFSET_MAX 0x7fffffffffffffffull

static bool is_sized(const struct vnode *v)
{
	return v->flags & VNODE_SIZED;
}

void size_set(struct vnode *v, u64 size)
{
	/* The caller's own stdout: other programs write to it too. */
	if (v->flags & VNODE_STREAM)
		return;
	__atomic_store_n(&v->size, size, __ATOMIC_RELEASE);
	v->flags |= VNODE_SIZED;
}

void size_doubted(struct vnode *v)
{
	v->flags &= ~(u32)VNODE_SIZED;
}

void size_seen(struct vnode *v, u64 size)
{
	if (is_sized(v) && v->size != size)
		size_doubted(v);
}

void position_opened(struct ofd *o, u64 size)
{
	o->private[0] = 1;
	o->private[1] = 1;
	size_set(vnode_at(o->vnode), size);
}

void position_moved(struct ofd *o, long at)
{
	if (at >= 0)
		o->private[0] = (u64)at + 1;
}

void position_read(struct ofd *o, u64 size)
{
	if (o->private[0])
		o->private[0] += size;
}

bool position_is_end(const struct ofd *o, s64 offset, u64 size)
{
	const struct vnode *v = vnode_at(o->vnode);
	u64 from = offset >= 0 ? (u64)offset + 1 : o->private[0];

	/* Files that say they are empty are often made up as they are read; direct reads have rules
	 * of their own, and so has what would end behind the last offset there is. */
	return from > v->size && v->size && is_sized(v) && !(o->flags & O_DIRECT) &&
	       from + size <= OFFSET_MAX;
}

s64 position_of_write(const struct ofd *o, s64 offset)
{
	const struct vnode *v = vnode_at(o->vnode);

	if (o->flags & O_APPEND)
		return is_sized(v) ? (s64)v->size : -1;
	return offset >= 0 ? offset : (s64)o->private[0] - 1;
}

void position_wrote(struct ofd *o, s64 offset, s64 begin, u64 size)
{
	struct vnode *v = vnode_at(o->vnode);
	u64 end = (u64)begin + size;

	if (begin < 0)
		size_doubted(v);
	else if (is_sized(v) && end > v->size)
		size_set(v, end);
	if (offset < 0)
		o->private[0] = begin < 0 ? 0 : end + 1;
}

/* What open has seen holds for one fstat, which most programs call at once. */
bool size_shown(struct ofd *o, u64 *ret_size)
{
	const struct vnode *v = vnode_at(o->vnode);
	bool fresh = o->private[1];

	o->private[1] = 0;
	*ret_size = v->size;
	return is_sized(v) && (fresh || v->flags & VNODE_BORN_INSIDE);
}
