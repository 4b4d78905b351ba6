/*
 * Address spaces: their life, and changes made to books and kernel together.
 *
 * Owns REGION_MM.  Invariants: the kernel maps exactly what the books say (a stub area included)
 * plus the shim's own range; the kernel never chooses an address.  Errors that Linux would give are
 * found in the books first, so that a refusal never depends on the host; memory is mapped with
 * MAP_NORESERVE because what the host would promise is not the container's.
 */
#include <asm/errno.h>
#include <asm/stat.h>
#include <linux/mman.h>

#include "code_pages.h"
#include "../syscall-table/credentials.h"
#include "mm.h"
#include "patch_table.h"
#include "shim.h"
#include "spin.h"
#include "syscall_nr.h"
#include "vnode.h"

#define LIMIT_DATA    2 /* RLIMIT_* */
#define LIMIT_MEMLOCK 8
#define LIMIT_AS      9
#define LOW_START     0x40000000ul
#define LOW_END	      0x80000000ul
/* In names of shared memory: a vnode, or an anonymous object. */
#define SHARED_FILE (1ull << 63)
#define SHARED_ANON (1ull << 62)

static struct mm_file *file_of(const struct vma *v)
{
	return (struct mm_file *)v->file;
}

/* ---- life ---- */

u32 mm_create(void)
{
	u32 i = MMT->first_free != 0 ? MMT->first_free : 1;

	while (i < MMS_MAX && MMT->mms[i].refs != 0)
		i++;
	SHIM_ASSERT(i < MMS_MAX);
	memset(&MMT->mms[i], 0, offsetof(struct mm, exec));
	MMT->mms[i].refs = 1;
	MMT->first_free = i + 1;
	return i;
}

u32 mm_clone(u32 index)
{
	const struct mm *from = mm_at(index);
	u32 copy = mm_create();
	struct mm *to = mm_at(copy);
	struct vma *v = heap_alloc((from->count + 8) * sizeof(*v));

	memcpy(to, from, offsetof(struct mm, exec));
	memcpy(to->exec, from->exec, from->nexec * sizeof(from->exec[0]));
	to->refs = 1;
	to->vmas = (u64)v;
	to->capacity = from->count + 8;
	to->count = to->front = 0;
	to->full_high = 0; /* not all is taken over */
	to->total_bytes = to->locked_bytes = 0;
	to->lock_future = 0;
	if (to->exe)
		vnode_run_begin(to->exe);
	code_clone(from, to);
	for (u32 i = 0; i < from->count; i++) {
		const struct vma *old = vma_at(from, i);
		if (old->flags & VMA_DONTFORK)
			continue;
		v[to->count] = *old;
		v[to->count++].flags &= ~VMA_LOCKED;
		mm_file_hold(file_of(old));
		if (old->flags & VMA_SEGMENT)
			segment_attached(old);
		if (old->kind != VMA_STUB)
			to->total_bytes += old->end - old->start;
	}
	return copy;
}

u32 mm_get(u32 index)
{
	mm_at(index)->refs++;
	return index;
}

void mm_put(u32 index)
{
	struct mm *mm = mm_at(index);

	if (index == 0 || --mm->refs != 0)
		return;
	for (u32 i = 0; i < mm->count; i++) {
		if (vma_at(mm, i)->flags & VMA_SEGMENT)
			segment_detached(vma_at(mm, i));
		mm_file_put(file_of(vma_at(mm, i)));
	}
	vnode_run_end(mm->exe);
	mm->exe = 0;
	code_free(mm);
	vma_free(mm);
	mm->nexec = 0;
	if (index < MMT->first_free)
		MMT->first_free = index;
}

/* ---- files ---- */

struct mm_file *mm_file_create(int fd, u32 vnode, const char *path)
{
	struct mm_file *file;
	struct stat st;

	if (SYS2(NR_fstat, fd, &st) < 0)
		return NULL;
	file = heap_alloc(sizeof(*file));
	file->refs = 1;
	file->vnode = vnode;
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->size = (u64)st.st_size;
	file->mtime_ns = (u64)st.st_mtime * 1000000000ul + st.st_mtime_nsec;
	file->ctime_ns = (u64)st.st_ctime * 1000000000ul + st.st_ctime_nsec;
	if (path != NULL)
		file->path = (u64)heap_strdup(path);
	if (vnode != 0)
		vnode_open(vnode);
	return file;
}

struct mm_file *mm_file_create_anon(void)
{
	struct mm_file *file = heap_alloc(sizeof(*file));

	file->refs = 1;
	file->id = ++MMT->next_id;
	return file;
}

bool mm_shared_object(const struct task *t, u64 addr, u64 *ret_object, u64 *ret_offset)
{
	const struct vma *v = vma_find(mm_of(t), addr);
	const struct mm_file *file;

	if (v == NULL || !(v->flags & VMA_SHARED) || v->file == 0)
		return false;
	file = file_of(v);
	*ret_object = file->vnode != 0 ? SHARED_FILE | file->vnode : SHARED_ANON | file->id;
	*ret_offset = v->file_off + (addr - v->start);
	return true;
}

/* ---- places ---- */

/* Large anonymous memory begins where huge pages do, as Linux has it since 6.7. */
static u64 alignment(u64 len, u32 map_flags)
{
	return map_flags & MAP_ANONYMOUS && len % MM_HUGE_PAGE == 0 ? MM_HUGE_PAGE : MM_PAGE;
}

long mm_place(struct mm *mm, u64 hint, u64 len, u32 map_flags)
{
	u64 addr, align = alignment(len, map_flags);

	hint = page_up(hint);
	if (hint != 0 && hint < APP_MIN_ADDR)
		hint = APP_MIN_ADDR;
	if (len > APP_ADDR_MAX)
		return -ENOMEM;
	if (hint != 0 && hint < APP_ADDR_MAX && mm_is_app_range(hint, hint + len) &&
	    vma_range_is_free(mm, hint, hint + len))
		return (long)hint;
	if (map_flags & MAP_32BIT) {
		addr = vma_choose_low(mm, len, LOW_START, LOW_END);
		return addr != 0 ? (long)addr : -ENOMEM;
	}
	addr = vma_choose(mm, len, align, APP_MMAP_LOW, APP_MMAP_TOP);
	if (addr == 0)
		addr = vma_choose(mm, len, align, SHIM_LIMIT, APP_MMAP_LOW);
	if (addr == 0)
		addr = vma_choose(mm, len, align, APP_MIN_ADDR, SHIM_BASE);
	return addr != 0 ? (long)addr : -ENOMEM;
}

bool mm_fits(const struct task *t, u64 bytes)
{
	u64 limit = proc_at(t->proc)->rlimits[LIMIT_AS][0];

	return bytes <= limit && mm_of(t)->total_bytes <= limit - bytes;
}

bool mm_fits_data(const struct task *t, u64 bytes)
{
	const u64 *limit = proc_at(t->proc)->rlimits[LIMIT_DATA];
	const struct mm *mm = mm_of(t);

	if (limit[0] == ~0ul)
		return true;
	for (u32 i = 0; i < mm->count; i++) {
		const struct vma *v = vma_at(mm, i);
		bytes += vma_is_data(v) ? v->end - v->start : 0;
	}
	/* 0 asks for the hard limit: valgrind sets it, mm/mmap.c */
	return bytes <= page_down(limit[limit[0] == 0]);
}

bool mm_fits_locked(const struct task *t, u64 bytes)
{
	u64 limit = page_down(proc_at(t->proc)->rlimits[LIMIT_MEMLOCK][0]);

	return (bytes <= limit && mm_of(t)->locked_bytes <= limit - bytes) ||
	       capable(t, CAP_IPC_LOCK);
}

/* ---- mapping ---- */

/* A file that nobody can write through the mapping is mapped privately when it holds code: the
 * patches must not reach the file. */
static bool is_kernel_private(const struct vma *v)
{
	return !(v->flags & VMA_SHARED) ||
	       (v->kind == VMA_FILE && v->prot & PROT_EXEC && !(v->flags & VMA_MAYWRITE));
}

static long kernel_map(const struct vma *want, int fd)
{
	u64 flags = MAP_FIXED | MAP_NORESERVE, base = want->file ? file_of(want)->base : 0;

	flags |= is_kernel_private(want) ? MAP_PRIVATE : MAP_SHARED;
	if (want->kind != VMA_FILE) {
		flags |= MAP_ANONYMOUS;
		fd = -1;
	}
	return SYS6(NR_mmap, want->start, want->end - want->start, code_kernel_prot(want), flags,
		    (long)fd, want->kind == VMA_FILE ? base + want->file_off : 0);
}

static void empty(struct mm *mm, u64 start, u64 end)
{
	SYS2(NR_munmap, start, end - start);
	vma_set(mm, start, end, NULL);
}

long mm_map(struct task *t, const struct vma *want, int fd)
{
	struct mm *mm = mm_of(t);
	struct vma v = *want;
	long r;

	if (!mm_is_app_range(v.start, v.end) || patch_stub_blocks(mm, v.start, v.end) ||
	    mm->count + 4 > MM_VMAS_MAX)
		return -ENOMEM;
	if (v.kind == VMA_FILE && is_kernel_private(&v) && v.prot & PROT_WRITE)
		v.flags |= VMA_TOUCHED;
	if (v.prot & PROT_EXEC && !is_kernel_private(&v)) {
		HEAD->refused_count[NR_mmap]++;
		return -EACCES;
	}
	spin_code_changes(mm, v.start, v.end);
	patch_exec_remove(mm, v.start, v.end);
	code_forget(mm, v.start, v.end);
	r = kernel_map(&v, fd);
	if (r < 0) {
		empty(mm, v.start, v.end);
		return r;
	}
	vma_set(mm, v.start, v.end, &v);
	if (!(v.prot & PROT_EXEC) || code_is_watched(&v))
		return 0;
	r = patch_exec_add(t, v.start, v.end, file_of(&v), v.file_off);
	if (r < 0)
		mm_unmap(t, v.start, v.end);
	return r < 0 ? -ENOMEM : 0;
}

/* The first stub area in [start, end), or NULL. */
static const struct vma *first_stub(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = vma_lower(mm, start); i < mm->count; i++) {
		const struct vma *v = vma_at(mm, i);
		if (v->start >= end)
			break;
		if (v->kind == VMA_STUB)
			return v;
	}
	return NULL;
}

long mm_unmap(struct task *t, u64 start, u64 end)
{
	struct mm *mm = mm_of(t);

	if (!mm_is_app_range(start, end))
		return 0;
	spin_code_changes(mm, start, end);
	patch_exec_remove(mm, start, end);
	code_forget(mm, start, end);
	while (start < end) {
		const struct vma *stub = first_stub(mm, start, end);
		u64 stop = stub != NULL ? stub->start : end;
		u64 next = stub != NULL ? stub->end : end;
		if (stop > start)
			empty(mm, start, stop);
		start = next;
	}
	return 0;
}

/* ---- protection ---- */

/* The part of a VMA in [start, end) may be executed from now on. */
static long part_became_exec(struct task *t, const struct vma *v, u64 start, u64 end)
{
	const struct mm_file *file = file_of(v);
	u64 off = v->file_off + (start - v->start);

	if (code_is_watched(v))
		return SYS3(NR_mprotect, start, end - start, code_kernel_prot(v));
	return patch_exec_add(t, start, end, file, off);
}

static long became_exec(struct task *t, u64 start, u64 end)
{
	struct mm *mm = mm_of(t);

	while (start < end) {
		/* a copy: adding a stub area moves the array */
		struct vma v = *vma_find(mm, start);
		u64 stop = v.end < end ? v.end : end;
		long r = part_became_exec(t, &v, start, stop);
		if (r < 0)
			return -ENOMEM;
		start = stop;
	}
	return 0;
}

/* How far [start, end) may get `prot`; *ret_error says what ended it. */
static u64 protectable_until(const struct task *t, u64 start, u64 end, u32 prot, long *ret_error)
{
	const struct mm *mm = mm_of(t);
	u64 new_data = 0;

	for (u64 at = start; at < end;) {
		const struct vma *v = vma_find(mm, at);
		if (v == NULL || v->kind == VMA_STUB) {
			*ret_error = -ENOMEM;
			return at;
		}
		struct vma after = *v;
		after.prot = (u8)prot;
		if (vma_is_data(&after) && !vma_is_data(v)) {
			new_data += (v->end < end ? v->end : end) - at;
			if (!mm_fits_data(t, new_data)) {
				*ret_error = -ENOMEM;
				return at;
			}
		}
		if (prot & PROT_WRITE && v->kind == VMA_FILE && v->flags & VMA_SHARED &&
		    !(v->flags & VMA_MAYWRITE)) {
			*ret_error = -EACCES;
			return at;
		}
		/* What others can write cannot be watched. */
		if (prot & PROT_EXEC && v->flags & VMA_SHARED && !(v->prot & PROT_EXEC)) {
			HEAD->refused_count[NR_mprotect]++;
			*ret_error = -EACCES;
			return at;
		}
		at = v->end;
	}
	*ret_error = 0;
	return end;
}

static void set_prot(struct mm *mm, u64 start, u64 end, u32 prot)
{
	while (start < end) {
		struct vma v = *vma_find(mm, start);
		u64 stop = v.end < end ? v.end : end;
		if (v.file != 0)
			v.file_off += start - v.start;
		v.prot = (u8)prot;
		if (v.kind == VMA_FILE && !(v.flags & VMA_SHARED) && prot & PROT_WRITE)
			v.flags |= VMA_TOUCHED;
		if (v.prot != vma_find(mm, start)->prot)
			vma_set(mm, start, stop, &v);
		start = stop;
	}
}

long mm_protect(struct task *t, u64 start, u64 end, u32 prot)
{
	struct mm *mm = mm_of(t);
	long error, r = 0;
	u64 stop = protectable_until(t, start, end, prot, &error);

	if (mm->count + 4 > MM_VMAS_MAX)
		return -ENOMEM;
	if (stop > start) {
		spin_code_changes(mm, start, stop);
		code_hide(mm, start, stop);
		r = SYS3(NR_mprotect, start, stop - start, code_readable(prot));
		if (r < 0)
			return r;
		set_prot(mm, start, stop, prot);
		if (prot & PROT_EXEC)
			r = became_exec(t, start, stop);
	}
	return r < 0 ? r : error;
}

void mm_stack_limit(struct task *t, u64 limit_bytes)
{
	struct mm *mm = mm_of(t);
	u64 bytes = limit_bytes < MM_STACK_MAX ? page_up(limit_bytes) : MM_STACK_MAX;
	const struct vma *stack = mm->stack_top != 0 ? vma_find(mm, mm->stack_top - 1) : NULL;
	struct vma more;

	if (stack == NULL || stack->kind != VMA_STACK || mm->stack_top - stack->start >= bytes)
		return;
	more = *stack;
	more.end = stack->start;
	more.start = mm->stack_top - bytes;
	if (vma_range_is_free(mm, more.start, more.end))
		mm_map(t, &more, -1);
}
