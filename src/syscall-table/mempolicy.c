/*
 * Memory policies.  There is one node, 0, so none has an effect; a task's own is remembered, as
 * Linux would tell it.  Those of ranges are checked and forgotten.
 *
 * Rules: mm/mempolicy.c of Linux 6.x.
 */
#include <linux/mempolicy.h>
#include <linux/mman.h>

#include "credentials.h"
#include "mm.h"
#include "shim.h"
#include "syscall_handlers.h"

#define MODES	  7u	/* up to MPOL_WEIGHTED_INTERLEAVE, since Linux 6.9 */
#define NODES_MAX 1024u /* as many as distributions let there be */
#define OWN_NODES ((u32)(MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES))

/* What a call asks for. */
struct policy {
	u32 mode, flags;
	u64 nodes; /* the first of them */
	bool any;
};

static long mode_take(u32 asked, struct policy *ret)
{
	ret->flags = asked & (u32)MPOL_MODE_FLAGS;
	ret->mode = asked & ~(u32)MPOL_MODE_FLAGS;
	if (ret->mode >= MODES || (ret->flags & OWN_NODES) == OWN_NODES)
		return -EINVAL;
	if (ret->flags & MPOL_F_NUMA_BALANCING && ret->mode != MPOL_BIND &&
	    ret->mode != MPOL_PREFERRED_MANY)
		return -EINVAL;
	return 0;
}

/* `count` is one more than there are bits. */
static long nodes_take(struct task *t, u64 user, u64 count, struct policy *ret)
{
	u64 bits = count - 1, word;

	if (!bits || !user)
		return 0;
	if (bits > MM_PAGE * 8)
		return -EINVAL;
	for (u64 at = 0; at < bits; at += 64) {
		if (user_get(word, user + at / 8) < 0)
			return -EFAULT;
		if (bits - at < 64)
			word &= (1ull << (bits - at)) - 1;
		if (word && at >= NODES_MAX)
			return -EINVAL;
		digest_u64(t, word);
		ret->nodes = at ? ret->nodes : word;
		ret->any |= word != 0;
	}
	return 0;
}

/* Whether the nodes suit the mode: mpol_new and mpol_set_nodemask. */
static long check(struct policy *p)
{
	bool here = p->nodes & 1 || p->flags & MPOL_F_RELATIVE_NODES;

	if (p->mode == MPOL_DEFAULT)
		return p->any ? -EINVAL : 0;
	if (p->mode == MPOL_PREFERRED && !p->any)
		p->mode = MPOL_LOCAL;
	if (p->mode == MPOL_LOCAL)
		return p->any || p->flags & OWN_NODES ? -EINVAL : 0;
	return p->any && here ? 0 : -EINVAL;
}

long sys_set_mempolicy(struct task *t, struct frame *f)
{
	struct policy p = {0};

	long r = mode_take((u32)f->arg[0], &p);
	if (!r)
		r = nodes_take(t, f->arg[1], f->arg[2], &p);
	if (!r)
		r = check(&p);
	if (r < 0)
		return r;
	t->policy = p.mode == MPOL_DEFAULT ? 0 : p.mode | p.flags;
	t->policy_nodes = p.flags & OWN_NODES ? p.nodes : p.any;
	return 0;
}

/* Without a policy any part of the range that is mapped will do. */
static long check_range(const struct mm *mm, u64 start, u64 end, u32 mode)
{
	if (mode != MPOL_DEFAULT)
		return vma_range_is_mapped(mm, start, end) ? 0 : -EFAULT;
	for (u32 i = vma_lower(mm, start); i < mm->count && vma_at(mm, i)->start < end; i++) {
		if (vma_at(mm, i)->kind != VMA_STUB)
			return 0;
	}
	return -EFAULT;
}

long sys_mbind(struct task *t, struct frame *f)
{
	u64 start = f->arg[0], end = start + page_up(f->arg[1]);
	u32 flags = (u32)f->arg[5];
	struct policy p = {0};

	long r = mode_take((u32)f->arg[2], &p);
	if (!r)
		r = nodes_take(t, f->arg[3], f->arg[4], &p);
	if (r < 0)
		return r;
	if (flags & ~(u32)(MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL))
		return -EINVAL;
	if (flags & MPOL_MF_MOVE_ALL && !capable(t, CAP_SYS_NICE))
		return -EPERM;
	if (start & (MM_PAGE - 1) || end < start)
		return -EINVAL;
	if (end == start)
		return 0;
	r = check(&p);
	return r < 0 ? r : check_range(mm_of(t), start, end, p.mode);
}

/* ---- telling ---- */

/* What get_mempolicy tells. */
struct told {
	u32 policy;
	u64 nodes;
};

static long tell_address(struct task *t, u64 addr, bool node, struct told *ret)
{
	const struct vma *v = vma_find(mm_of(t), addr);
	u8 byte;

	if (!v || v->kind == VMA_STUB || (node && user_get(byte, addr) < 0))
		return -EFAULT;
	*ret = (struct told){0};
	return 0;
}

static long tell_task(const struct task *t, bool node, struct told *ret)
{
	u32 mode = t->policy & ~(u32)MPOL_MODE_FLAGS;

	if (node && mode != MPOL_INTERLEAVE && mode != MODES - 1)
		return -EINVAL;
	/* The next node to take memory from is the only one. */
	*ret = (struct told){node ? 0 : t->policy, t->policy_nodes};
	return 0;
}

static long tell(struct task *t, u64 addr, u64 flags, struct told *ret)
{
	bool node = flags & MPOL_F_NODE;

	if (flags & ~(u64)(MPOL_F_NODE | MPOL_F_ADDR | MPOL_F_MEMS_ALLOWED))
		return -EINVAL;
	if (flags & MPOL_F_MEMS_ALLOWED) {
		*ret = (struct told){0, 1};
		return flags & (MPOL_F_NODE | MPOL_F_ADDR) ? -EINVAL : 0;
	}
	if (flags & MPOL_F_ADDR)
		return tell_address(t, addr, node, ret);
	return addr ? -EINVAL : tell_task(t, node, ret);
}

static long nodes_put(u64 user, u64 count, u64 nodes)
{
	u64 bytes = (count - 1 + 63) / 64 * 8;

	if (bytes > MM_PAGE && bytes > sizeof(nodes))
		return -EINVAL;
	if (bytes > sizeof(nodes) && user_zero(user + sizeof(nodes), bytes - sizeof(nodes)) < 0)
		return -EFAULT;
	return bytes && user_put(user, nodes) < 0 ? -EFAULT : 0;
}

long sys_get_mempolicy(struct task *t, struct frame *f)
{
	u64 mask = f->arg[1], count = f->arg[2];
	struct told told;

	if (mask && !count)
		return -EINVAL;
	long r = tell(t, f->arg[3], f->arg[4], &told);
	if (r < 0)
		return r;
	digest_u64(t, told.nodes);
	if (f->arg[0] && user_put(f->arg[0], told.policy) < 0)
		return -EFAULT;
	return mask ? nodes_put(mask, count, told.nodes) : 0;
}
