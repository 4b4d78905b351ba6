/*
 * The calls of the memory family.  Arguments are checked against the books of mm.h with Linux's
 * errors in Linux's order; what remains is carried out at addresses of our own choice.
 *
 * Owns nothing.  What depends on the host's memory is answered from the container's: everything
 * mapped is resident, locked pages are only counted, huge pages and protection keys do not exist.
 */
#include <linux/mman.h>
#include <linux/personality.h>

#include "code_pages.h"
#include "credentials.h"
#include "files.h"
#include "mm.h"
#include "patch_table.h"
#include "shim.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"

#define LIMIT_DATA    2 /* RLIMIT_* */
#define LIMIT_MEMLOCK 8
/* What there was before MAP_SHARED_VALIDATE, which takes nothing else: LEGACY_MAP_MASK. */
#define OLD_FLAGS                                                                                \
	(u32)(MAP_SHARED_VALIDATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE | MAP_EXECUTABLE | \
	      MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE | MAP_NONBLOCK |         \
	      MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G | MAP_HUGE_2MB | MAP_HUGE_1GB)
#ifndef MAP_ABOVE4G
#define MAP_ABOVE4G 0x80 /* of x86, since Linux 6.6 */
#endif
#define PROT_ALL (PROT_READ | PROT_WRITE | PROT_EXEC)

/* What READ_IMPLIES_EXEC of personality(2) makes of a private mapping's protection.  What others
 * can write, too, is never executable here: that is left as it was asked for. */
static u32 implied(const struct task *t, u32 prot)
{
	bool implies = proc_of(t)->personality & READ_IMPLIES_EXEC && prot & PROT_READ;

	return implies ? prot | PROT_EXEC : prot;
}

/* How much of [start, end) is mapped by VMAs that have these flags. */
static u64 mapped_in(const struct mm *mm, u64 start, u64 end, u32 flags)
{
	u64 bytes = 0;

	for (u32 i = vma_lower(mm, start); i < mm->count && vma_at(mm, i)->start < end; i++) {
		const struct vma *v = vma_at(mm, i);
		u64 from = v->start > start ? v->start : start, to = v->end < end ? v->end : end;
		if (v->kind != VMA_STUB && (v->flags & flags) == flags)
			bytes += to - from;
	}
	return bytes;
}

/* ---- mmap ---- */

struct mmap_call {
	u64 addr, len, off;
	u32 prot, flags, fd;
	struct ofd *ofd; /* NULL: anonymous */
};

static u32 map_type(const struct mmap_call *c)
{
	return c->flags & MAP_TYPE;
}

static bool is_shared(const struct mmap_call *c)
{
	return map_type(c) == MAP_SHARED || map_type(c) == MAP_SHARED_VALIDATE;
}

static bool is_locked(const struct task *t, const struct mmap_call *c)
{
	return c->flags & MAP_LOCKED || mm_of(t)->lock_future;
}

static bool may_lock_any(const struct task *t)
{
	return proc_of(t)->rlimits[LIMIT_MEMLOCK][0] || capable(t, CAP_IPC_LOCK);
}

static long check_lock(const struct task *t, const struct mmap_call *c)
{
	if (c->flags & MAP_LOCKED && !may_lock_any(t))
		return -EPERM;
	return is_locked(t, c) && !mm_fits_locked(t, c->len) ? -EAGAIN : 0;
}

/* A seal says that nobody may come to write it. */
static bool is_sealed(const struct ofd *o)
{
	return o->vnode && vnode_seals(vnode_at(o->vnode)) & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE);
}

static long check_nothing(const struct mmap_call *c)
{
	if (map_type(c) == MAP_SHARED_VALIDATE)
		return -EINVAL;
	return c->flags & MAP_GROWSDOWN && is_shared(c) ? -EINVAL : 0;
}

/* Rules for what is mapped: descriptor, mode, type. */
static long check_object(struct mmap_call *c)
{
	u32 mode;

	if (map_type(c) == 0 || map_type(c) > MAP_SHARED_VALIDATE)
		return -EINVAL;
	if (c->ofd == NULL)
		return check_nothing(c);
	if (map_type(c) == MAP_SHARED_VALIDATE && c->flags & ~OLD_FLAGS)
		return -EOPNOTSUPP;
	mode = c->ofd->flags & O_ACCMODE;
	if (mode == O_WRONLY || (is_shared(c) && c->prot & PROT_WRITE && mode != O_RDWR))
		return -EACCES;
	if (c->ofd->kind == OFD_ZERO) {
		c->ofd = NULL;
		return 0;
	}
	if (c->ofd->kind != OFD_HOST_FILE)
		return -ENODEV;
	if (is_shared(c) && c->prot & PROT_WRITE && is_sealed(c->ofd))
		return -EPERM;
	return c->flags & MAP_GROWSDOWN ? -EINVAL : 0;
}

static long choose_address(struct task *t, const struct mmap_call *c)
{
	struct mm *mm = mm_of(t);
	u64 end = c->addr + c->len;

	if (!(c->flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)))
		return mm_place(mm, c->addr, c->len,
				c->ofd == NULL ? c->flags | MAP_ANONYMOUS : c->flags);
	if (c->addr & (MM_PAGE - 1))
		return -EINVAL;
	if (c->addr < APP_MIN_ADDR)
		return -EPERM;
	if (c->len > APP_ADDR_MAX || !mm_is_app_range(c->addr, end))
		return -ENOMEM;
	if (c->flags & MAP_FIXED_NOREPLACE && !vma_range_is_free(mm, c->addr, end))
		return -EEXIST;
	return (long)c->addr;
}

static long map_object(struct task *t, const struct mmap_call *c, u64 addr)
{
	struct vma v = {.start = addr, .end = addr + c->len, .kind = VMA_ANON};
	struct mm_file *file = NULL;
	long r;

	v.prot = c->prot & PROT_ALL;
	v.flags = is_shared(c) ? VMA_SHARED : 0;
	if (is_locked(t, c))
		v.flags |= VMA_LOCKED;
	if (c->ofd != NULL) {
		v.kind = VMA_FILE;
		v.file_off = c->off;
		if (is_shared(c) && (c->ofd->flags & O_ACCMODE) == O_RDWR && !is_sealed(c->ofd)) {
			v.flags |= VMA_MAYWRITE;
			file_before_write(t, ofd_index(c->ofd), (s32)c->fd);
		}
		file = mm_file_create((int)c->fd, c->ofd->vnode, c->ofd->path);
		if (file == NULL)
			return -EBADF;
		file->writes = c->ofd->writes;
		if (file->writes)
			vnode_write_begin(file->vnode);
	} else if (is_shared(c)) {
		file = mm_file_create_anon();
	}
	v.file = (u64)file;
	r = mm_map(t, &v, (int)c->fd);
	mm_file_put(file);
	return r < 0 ? r : (long)addr;
}

/* A private writable mapping that no overcommitting kernel with this much memory would grant. */
static bool is_hopeless(const struct mmap_call *c)
{
	return c->prot & PROT_WRITE && !is_shared(c) && !(c->flags & MAP_NORESERVE) &&
	       c->len > HEAD->config.memory_bytes;
}

/* The limits of the process; what the new mapping replaces does not count twice. */
static bool fits(const struct task *t, const struct mmap_call *c, u64 addr)
{
	const struct vma like = {.prot = (u8)c->prot, .flags = is_shared(c) ? VMA_SHARED : 0};
	u64 bytes = c->len;

	if (mm_fits(t, bytes) && (!vma_is_data(&like) || mm_fits_data(t, bytes)))
		return true;
	bytes -= mapped_in(mm_of(t), addr, addr + bytes, 0);
	return mm_fits(t, bytes) && (!vma_is_data(&like) || mm_fits_data(t, bytes));
}

long sys_mmap(struct task *t, struct frame *f)
{
	struct mmap_call c = {.addr = f->arg[0], .len = f->arg[1], .off = f->arg[5]};
	long r;

	c.prot = (u32)f->arg[2];
	c.flags = (u32)f->arg[3];
	c.fd = (u32)f->arg[4];
	if (c.off & (MM_PAGE - 1))
		return -EINVAL;
	if (!(c.flags & MAP_ANONYMOUS)) {
		c.ofd = fd_get_io(t, c.fd);
		if (c.ofd == NULL)
			return -EBADF;
		if (c.flags & MAP_HUGETLB)
			return -EINVAL;
	}
	if (c.len == 0)
		return -EINVAL;
	c.len = page_up(c.len);
	if (c.len == 0 || c.flags & MAP_HUGETLB)
		return -ENOMEM;
	if (c.off + c.len < c.off)
		return -EOVERFLOW;
	long addr = choose_address(t, &c);
	if (addr < 0)
		return addr;
	r = check_lock(t, &c);
	if (r == 0)
		r = check_object(&c);
	if (r < 0)
		return r;
	if (!is_shared(&c) && (c.ofd == NULL || c.ofd->kind == OFD_HOST_FILE))
		c.prot = implied(t, c.prot);
	if (!fits(t, &c, (u64)addr) || is_hopeless(&c))
		return -ENOMEM;
	return map_object(t, &c, (u64)addr);
}

long sys_munmap(struct task *t, struct frame *f)
{
	u64 start = f->arg[0], len = f->arg[1], end = start + page_up(len);

	if (start & (MM_PAGE - 1) || len == 0 || len > APP_ADDR_MAX || end <= start ||
	    end > APP_ADDR_MAX)
		return -EINVAL;
	if (start < SHIM_LIMIT && end > SHIM_BASE)
		return -EINVAL;
	if (start < APP_MIN_ADDR)
		start = APP_MIN_ADDR;
	return end > start ? mm_unmap(t, start, end) : 0;
}

/* ---- mprotect ---- */

static long protect(struct task *t, u64 start, u64 len, u32 prot)
{
	u32 grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	u64 end = start + page_up(len);
	const struct vma *v;

	prot &= ~grows;
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || start & (MM_PAGE - 1))
		return -EINVAL;
	if (len == 0)
		return 0;
	if (end <= start)
		return -ENOMEM;
	if (prot & ~(u32)(PROT_ALL | PROT_SEM))
		return -EINVAL;
	v = vma_find(mm_of(t), start);
	if (v == NULL || v->kind == VMA_STUB)
		return -ENOMEM;
	if (grows != 0 && (grows == PROT_GROWSUP || v->kind != VMA_STACK))
		return -EINVAL;
	if (grows != 0)
		start = v->start;
	if (!(v->flags & VMA_SHARED))
		prot = implied(t, prot);
	return mm_protect(t, start, end, prot & PROT_ALL);
}

long sys_mprotect(struct task *t, struct frame *f)
{
	return protect(t, f->arg[0], f->arg[1], (u32)f->arg[2]);
}

long sys_pkey_mprotect(struct task *t, struct frame *f)
{
	if ((int)f->arg[3] != -1)
		return -EINVAL;
	return protect(t, f->arg[0], f->arg[1], (u32)f->arg[2]);
}

long sys_pkey_alloc(struct task *t, struct frame *f)
{
	(void)t;
	return f->arg[0] != 0 || f->arg[1] & ~3ul ? -EINVAL : -ENOSPC;
}

long sys_pkey_free(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return -EINVAL;
}

/* ---- brk ---- */

static long brk_grow(struct task *t, struct mm *mm, u64 from, u64 to)
{
	struct vma v = {.start = from, .end = to, .kind = VMA_HEAP};

	if (to - mm->brk_start > proc_of(t)->rlimits[LIMIT_DATA][0] || !mm_fits(t, to - from) ||
	    !mm_fits_data(t, to - from) || to - from > HEAD->config.memory_bytes)
		return -ENOMEM;
	if (mm->lock_future && !mm_fits_locked(t, to - from))
		return -EAGAIN;
	/* Linux leaves a page free behind it. */
	if (!mm_is_app_range(from, to) || !vma_range_is_free(mm, from, to + MM_PAGE))
		return -ENOMEM;
	v.prot = (u8)implied(t, PROT_READ | PROT_WRITE);
	v.flags = mm->lock_future ? VMA_LOCKED : 0;
	return mm_map(t, &v, -1);
}

long sys_brk(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);
	u64 want = f->arg[0], old_end = page_up(mm->brk), new_end = page_up(want);

	if (want < mm->brk_start || want > APP_ADDR_MAX)
		return (long)mm->brk;
	if (new_end < old_end)
		mm_unmap(t, new_end, old_end);
	else if (new_end > old_end && brk_grow(t, mm, old_end, new_end) < 0)
		return (long)mm->brk;
	mm->brk = want;
	return (long)want;
}

/* ---- mremap ---- */

struct move {
	u64 from, old_len, to, new_len;
	u32 flags;
	struct vma vma; /* a copy of the one that is moved or grown */
};

/* The kernel may hold as several mappings what the books hold as one, and then moves only parts. */
static long kernel_move(u64 from, u64 to, u64 len, u32 flags)
{
	long r = SYS5(NR_mremap, from, len, len, flags, to);
	u64 half = page_down(len / 2);

	if (r != -EFAULT || half == 0)
		return r;
	r = kernel_move(from, to, half, flags);
	return r < 0 ? r : kernel_move(from + half, to + half, len - half, flags);
}

/* Grows the mapping that ends at `end`, through its last page, which is in one piece. */
static long kernel_grow(u64 end, u64 more)
{
	return SYS5(NR_mremap, end - MM_PAGE, MM_PAGE, MM_PAGE + more, 0, 0);
}

static struct vma part_of(const struct vma *v, u64 start)
{
	struct vma part = *v;

	if (v->file != 0)
		part.file_off += start - v->start;
	return part;
}

static long grow_in_place(struct task *t, const struct move *m)
{
	u64 end = m->from + m->old_len, new_end = m->from + m->new_len;
	struct vma proto = part_of(&m->vma, end);
	long r;

	code_hide(mm_of(t), m->from, end);
	r = kernel_grow(end, new_end - end);
	if (r < 0)
		return r;
	vma_set(mm_of(t), end, new_end, &proto);
	return (long)m->from;
}

static long move_kernel(const struct move *m)
{
	u32 flags = MREMAP_MAYMOVE | MREMAP_FIXED | (m->flags & MREMAP_DONTUNMAP);
	long r = SYS5(NR_mremap, m->from, m->old_len, m->new_len, flags, m->to);

	if (r != -EFAULT)
		return r;
	r = kernel_move(m->from, m->to, m->old_len, flags);
	if (r < 0 || m->new_len == m->old_len)
		return r;
	return kernel_grow(m->to + m->old_len, m->new_len - m->old_len);
}

/* Code cannot leave its stubs, which are jumped to by distance, nor lie where others are. */
static bool leaves_stubs(const struct mm *mm, const struct move *m, u64 len)
{
	if (!patch_exec_overlaps(mm, m->from, m->from + len) &&
	    !patch_stub_blocks(mm, m->to, m->to + m->new_len))
		return false;
	HEAD->refused_count[NR_mremap]++;
	return true;
}

static long move_mapping(struct task *t, const struct move *m)
{
	struct mm *mm = mm_of(t);
	struct vma proto = part_of(&m->vma, m->from);
	struct mm_file *file = (struct mm_file *)proto.file;
	long r;

	if (leaves_stubs(mm, m, m->old_len))
		return -ENOMEM;
	mm_unmap(t, m->to, m->to + m->new_len);
	code_hide(mm, m->from, m->from + m->old_len);
	r = move_kernel(m);
	if (r < 0)
		return r;
	if (proto.kind != VMA_FILE)
		proto.kind = VMA_ANON;
	mm_file_hold(file);
	/* The new one first: with its last mapping a removed segment is gone. */
	vma_set(mm, m->to, m->to + m->new_len, &proto);
	proto = part_of(&m->vma, m->from);
	proto.flags &= (u8)~VMA_LOCKED;
	vma_set(mm, m->from, m->from + m->old_len, m->flags & MREMAP_DONTUNMAP ? &proto : NULL);
	mm_file_put(file);
	return (long)m->to;
}

/* old_len 0: a second view of a shared mapping. */
static long duplicate(struct task *t, const struct move *m)
{
	struct vma proto = part_of(&m->vma, m->from);
	long r;

	if (leaves_stubs(mm_of(t), m, m->new_len))
		return -ENOMEM;
	mm_unmap(t, m->to, m->to + m->new_len);
	r = SYS5(NR_mremap, m->from, 0, m->new_len, MREMAP_MAYMOVE | MREMAP_FIXED, m->to);
	if (r >= 0)
		vma_set(mm_of(t), m->to, m->to + m->new_len, &proto);
	return r;
}

/* MREMAP_DONTUNMAP alone takes the new address as a hint, which has to be as good. */
static long check_target(const struct move *m)
{
	if (!(m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)))
		return 0;
	if (m->to & (MM_PAGE - 1) || m->to + m->new_len < m->to ||
	    m->to + m->new_len > APP_ADDR_MAX)
		return -EINVAL;
	if (m->from < m->to + m->new_len && m->to < m->from + m->old_len)
		return -EINVAL;
	if (!(m->flags & MREMAP_FIXED))
		return 0;
	if (m->to < APP_MIN_ADDR)
		return -EPERM;
	return mm_is_app_range(m->to, m->to + m->new_len) ? 0 : -ENOMEM;
}

static long check_move(const struct mm *mm, struct move *m)
{
	const u32 fixed = MREMAP_FIXED, unmap = MREMAP_DONTUNMAP, may = MREMAP_MAYMOVE;
	const struct vma *v;

	if (m->flags & ~(fixed | unmap | may) || m->from & (MM_PAGE - 1) || m->new_len == 0 ||
	    m->new_len > APP_ADDR_MAX || m->old_len > APP_ADDR_MAX)
		return -EINVAL;
	if (m->flags & (fixed | unmap) && !(m->flags & may))
		return -EINVAL;
	if (m->flags & unmap && m->old_len != m->new_len)
		return -EINVAL;
	if (check_target(m) < 0)
		return check_target(m);
	v = vma_find(mm, m->from);
	if (v == NULL || v->kind == VMA_STUB)
		return -EFAULT;
	m->vma = *v;
	return 0;
}

static long choose_move(struct mm *mm, struct move *m)
{
	u64 hint = m->flags & MREMAP_DONTUNMAP ? m->to : 0;
	long to;

	if (m->flags & MREMAP_FIXED)
		return 0;
	to = mm_place(mm, hint, m->new_len, m->vma.kind == VMA_FILE ? 0 : MAP_ANONYMOUS);
	m->to = (u64)to;
	return to < 0 ? to : 0;
}

static bool can_grow_in_place(const struct mm *mm, const struct move *m)
{
	u64 end = m->from + m->old_len, new_end = m->from + m->new_len;

	return !(m->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && end == m->vma.end &&
	       mm_is_app_range(end, new_end) && vma_range_is_free(mm, end, new_end);
}

/* Behind the end of a segment lies another one, not the nothing that Linux has there. */
static bool leaves_segment(const struct move *m)
{
	if (!(m->vma.flags & VMA_SEGMENT) || segment_holds(&m->vma, m->from, m->new_len))
		return false;
	HEAD->refused_count[NR_mremap]++;
	return true;
}

static bool grows_within(const struct task *t, const struct move *m)
{
	u64 more = m->new_len - m->old_len;

	return mm_fits(t, more) && (!vma_is_data(&m->vma) || mm_fits_data(t, more));
}

long sys_mremap(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);
	struct move m = {.from = f->arg[0], .to = f->arg[4], .flags = (u32)f->arg[3]};
	bool is_moved = m.flags & (MREMAP_FIXED | MREMAP_DONTUNMAP);
	long r;

	m.old_len = page_up(f->arg[1]);
	m.new_len = page_up(f->arg[2]);
	r = check_move(mm, &m);
	if (r < 0)
		return r;
	if (m.old_len > m.new_len) {
		mm_unmap(t, m.from + m.new_len, m.from + m.old_len);
		m.old_len = m.new_len;
	}
	if (m.old_len == m.new_len && !is_moved)
		return (long)m.from;
	if (m.old_len == 0 && !(m.vma.flags & VMA_SHARED))
		return -EINVAL;
	if (m.from + m.old_len > m.vma.end)
		return -EFAULT;
	if (m.new_len > m.old_len && m.vma.flags & VMA_LOCKED &&
	    !mm_fits_locked(t, m.new_len - m.old_len))
		return -EAGAIN;
	if (m.new_len > m.old_len && (!grows_within(t, &m) || leaves_segment(&m)))
		return -ENOMEM;
	if (m.old_len != 0 && can_grow_in_place(mm, &m))
		return grow_in_place(t, &m);
	if (!(m.flags & MREMAP_MAYMOVE))
		return -ENOMEM;
	r = choose_move(mm, &m);
	if (r < 0)
		return r;
	return m.old_len == 0 ? duplicate(t, &m) : move_mapping(t, &m);
}

/* ---- advice ---- */

/* Sets and clears flags of the VMAs in a mapped range. */
static void flag_range(struct mm *mm, u64 start, u64 end, u8 set, u8 clear)
{
	while (start < end) {
		const struct vma *v = vma_find(mm, start);
		u64 stop = v->end < end ? v->end : end;
		struct vma proto = part_of(v, start);
		proto.flags = (u8)((proto.flags & ~clear) | set);
		if (proto.flags != v->flags)
			vma_set(mm, start, stop, &proto);
		start = stop;
	}
}

/* Drops the contents: MADV_FREE does so at once, because when the kernel would is its secret. */
static long drop_contents(struct task *t, const struct vma *v, u64 start, u64 end, u32 advice)
{
	long r;

	if (v->flags & VMA_LOCKED || (advice == MADV_FREE && v->file != 0))
		return -EINVAL;
	code_hide(mm_of(t), start, end);
	r = SYS3(NR_madvise, start, end - start, MADV_DONTNEED);
	if (r == 0 && v->kind == VMA_FILE)
		patch_exec_refresh(t, start, end);
	return r;
}

/* Whether others see what is written there, be it writable now or not. */
static bool may_write_shared(const struct vma *v)
{
	return v->flags & VMA_SHARED && (v->kind != VMA_FILE || v->flags & VMA_MAYWRITE);
}

static long advise(struct task *t, const struct vma *v, u64 start, u64 end, u32 advice)
{
	struct mm *mm = mm_of(t);

	switch (advice) {
	case MADV_DONTNEED:
	case MADV_FREE:
		return drop_contents(t, v, start, end, advice);
	case MADV_REMOVE:
		if (v->flags & VMA_LOCKED || v->file == 0)
			return -EINVAL;
		return may_write_shared(v) ? SYS3(NR_madvise, start, end - start, advice) : -EACCES;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return v->flags & VMA_LOCKED ? -EINVAL : 0;
	case MADV_DONTFORK:
		flag_range(mm, start, end, VMA_DONTFORK, 0);
		return SYS3(NR_madvise, start, end - start, advice);
	case MADV_DOFORK:
		flag_range(mm, start, end, 0, VMA_DONTFORK);
		return SYS3(NR_madvise, start, end - start, advice);
	case MADV_WIPEONFORK:
		if (v->file != 0)
			return -EINVAL;
		return SYS3(NR_madvise, start, end - start, advice);
	case MADV_KEEPONFORK:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE: /* speed only: whether the host has them does not show */
		SYS3(NR_madvise, start, end - start, advice);
		return 0;
	default:
		return 0;
	}
}

static bool is_known_advice(u32 advice)
{
	return advice <= MADV_WILLNEED || advice == MADV_DONTNEED ||
	       (advice >= MADV_FREE && advice <= MADV_DOFORK) ||
	       (advice >= MADV_MERGEABLE && advice <= MADV_PAGEOUT);
}

long sys_madvise(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);
	u64 start = f->arg[0], len = page_up(f->arg[1]), end = start + len;
	u32 advice = (u32)f->arg[2];
	long error = 0;

	if (start & (MM_PAGE - 1) || !is_known_advice(advice) || (f->arg[1] != 0 && len == 0) ||
	    end < start)
		return -EINVAL;
	for (u32 i = vma_lower(mm, start); start < end; i = vma_lower(mm, start)) {
		struct vma v;
		if (i == mm->count || vma_at(mm, i)->start >= end)
			return -ENOMEM;
		v = *vma_at(mm, i);
		if (v.start > start || v.kind == VMA_STUB)
			error = -ENOMEM;
		u64 from = v.start > start ? v.start : start, to = v.end < end ? v.end : end;
		long r = v.kind != VMA_STUB ? advise(t, &v, from, to, advice) : 0;
		if (r < 0)
			return r;
		start = to;
	}
	return error;
}

/* Of what is mapped from the start on it is told, also if there is a hole behind it. */
long sys_mincore(struct task *t, struct frame *f)
{
	u64 start = f->arg[0], len = f->arg[1], vec = f->arg[2];
	u8 ones[512];

	if (start & (MM_PAGE - 1))
		return -EINVAL;
	if (len > APP_ADDR_MAX || start > APP_ADDR_MAX - len)
		return -ENOMEM;
	u64 end = start + page_up(len), stop = vma_mapped_until(mm_of(t), start, end);
	memset(ones, 1, sizeof(ones));
	for (u64 pages = (stop - start) / MM_PAGE; pages > 0;) {
		u64 n = pages < sizeof(ones) ? pages : sizeof(ones);
		if (user_copy_out(vec, ones, n) < 0)
			return -EFAULT;
		vec += n;
		pages -= n;
	}
	return stop == end ? 0 : -ENOMEM;
}

long sys_msync(struct task *t, struct frame *f)
{
	u64 start = f->arg[0], len = page_up(f->arg[1]), end = start + len;
	u32 flags = (u32)f->arg[2];
	const struct mm *mm = mm_of(t);

	if (flags & ~(u32)(MS_ASYNC | MS_INVALIDATE | MS_SYNC) || start & (MM_PAGE - 1) ||
	    (flags & MS_ASYNC && flags & MS_SYNC))
		return -EINVAL;
	if (start + len < start)
		return -ENOMEM;
	for (u32 i = vma_lower(mm, start); i < mm->count && vma_at(mm, i)->start < end; i++) {
		const struct vma *v = vma_at(mm, i);
		u64 from = v->start > start ? v->start : start, to = v->end < end ? v->end : end;
		if (flags & MS_INVALIDATE && v->flags & VMA_LOCKED)
			return -EBUSY;
		if (flags & MS_SYNC && v->kind == VMA_FILE && v->flags & VMA_SHARED &&
		    SYS3(NR_msync, from, to - from, MS_SYNC) < 0)
			return -EIO;
	}
	return vma_range_is_mapped(mm, start, end) ? 0 : -ENOMEM;
}

/* ---- locking: only counted ---- */

/* Whether the pages of [start, end), which is mapped, could be made resident: not those of a
 * mapping that nobody may touch, nor those behind the end of a file or of what is shared. */
static bool can_populate(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = vma_lower(mm, start); i < mm->count && vma_at(mm, i)->start < end; i++) {
		const struct vma *v = vma_at(mm, i);
		u64 last = (v->end < end ? v->end : end) - 1;
		u8 byte;

		if (!(v->prot & PROT_ALL) ||
		    (v->file != 0 && v->prot & PROT_READ && user_get(byte, last) < 0))
			return false;
	}
	return true;
}

static long lock_range(struct task *t, u64 start, u64 len, u8 lock)
{
	struct mm *mm = mm_of(t);
	u64 end, stop;

	len = page_up(len + (start & (MM_PAGE - 1)));
	start = page_down(start);
	end = start + len;
	if (lock && !may_lock_any(t))
		return -EPERM;
	if (end < start)
		return -EINVAL;
	if (lock && !mm_fits_locked(t, len - mapped_in(mm, start, end, VMA_LOCKED)))
		return -ENOMEM;
	stop = vma_mapped_until(mm, start, end);
	flag_range(mm, start, stop, lock, lock ^ VMA_LOCKED);
	return stop == end ? 0 : -ENOMEM;
}

static long lock_and_populate(struct task *t, struct frame *f)
{
	u64 start = page_down(f->arg[0]), end = page_up(f->arg[0] + f->arg[1]);

	long r = lock_range(t, f->arg[0], f->arg[1], VMA_LOCKED);
	return r == 0 && !can_populate(mm_of(t), start, end) ? -ENOMEM : r;
}

long sys_mlock(struct task *t, struct frame *f)
{
	return lock_and_populate(t, f);
}

long sys_mlock2(struct task *t, struct frame *f)
{
	if (f->arg[2] & ~(u64)MLOCK_ONFAULT)
		return -EINVAL;
	return f->arg[2] ? lock_range(t, f->arg[0], f->arg[1], VMA_LOCKED)
			 : lock_and_populate(t, f);
}

long sys_munlock(struct task *t, struct frame *f)
{
	return lock_range(t, f->arg[0], f->arg[1], 0);
}

static void lock_all(struct mm *mm, u8 lock)
{
	for (u64 at = 0; vma_lower(mm, at) < mm->count;) {
		const struct vma *v = vma_at(mm, vma_lower(mm, at));
		at = v->end;
		if (v->kind != VMA_STUB)
			flag_range(mm, v->start, v->end, lock, lock ^ VMA_LOCKED);
	}
}

long sys_mlockall(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);
	u64 flags = f->arg[0];

	if (flags == 0 || flags & ~(u64)(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) ||
	    flags == MCL_ONFAULT)
		return -EINVAL;
	if (!may_lock_any(t))
		return -EPERM;
	if (flags & MCL_CURRENT && !mm_fits_locked(t, mm->total_bytes - mm->locked_bytes))
		return -ENOMEM;
	mm->lock_future = flags & MCL_FUTURE ? 1 : 0;
	if (flags & MCL_CURRENT)
		lock_all(mm, VMA_LOCKED);
	return 0;
}

long sys_munlockall(struct task *t, struct frame *f)
{
	(void)f;
	mm_of(t)->lock_future = 0;
	lock_all(mm_of(t), 0);
	return 0;
}

/* ---- barriers ---- */

/*
 * One task runs at a time, and a turn is handed over through the kernel, which is a full barrier
 * on both sides: every barrier has been executed when the call returns.  Only the bookkeeping of
 * registration remains.  The core-serialising and rseq forms are not offered.
 */
enum {
	BARRIER_QUERY = 0,
	BARRIER_GLOBAL = 1,
	BARRIER_GLOBAL_EXPEDITED = 2,
	BARRIER_REGISTER_GLOBAL = 4,
	BARRIER_PRIVATE = 8,
	BARRIER_REGISTER_PRIVATE = 16,
	BARRIER_REGISTRATIONS = 512,
};

long sys_membarrier(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);

	if (f->arg[1] != 0)
		return -EINVAL;
	switch ((u32)f->arg[0]) {
	case BARRIER_QUERY:
		return BARRIER_GLOBAL | BARRIER_GLOBAL_EXPEDITED | BARRIER_REGISTER_GLOBAL |
		       BARRIER_PRIVATE | BARRIER_REGISTER_PRIVATE | BARRIER_REGISTRATIONS;
	case BARRIER_GLOBAL:
	case BARRIER_GLOBAL_EXPEDITED:
		return 0;
	case BARRIER_REGISTER_GLOBAL:
	case BARRIER_REGISTER_PRIVATE:
		mm->membarrier |= (u32)f->arg[0];
		return 0;
	case BARRIER_PRIVATE:
		return mm->membarrier & BARRIER_REGISTER_PRIVATE ? 0 : -EPERM;
	case BARRIER_REGISTRATIONS:
		return (long)mm->membarrier;
	default:
		return -EINVAL;
	}
}
