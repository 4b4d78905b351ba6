/*
 * The list of mappings of an address space: a sorted array in the heap, split and merged by one
 * routine.  Books only: makes no system call, so that it is tested outside the shim.
 *
 * Invariants: the VMAs are disjoint, sorted, not empty and page-aligned; neighbours that could be
 * one are one; every VMA holds a reference to its file.  total_bytes counts what is the app's.
 *
 * An array rather than a tree: a process has tens to hundreds of mappings, of 40 bytes; moving
 * them is cheaper than the page table work of the change it goes with.  For those that have many
 * there is room at both ends, and a mark above which no gap is left.
 */
#include "mm.h"
#include "shim.h"
#include "vnode.h"

#define VMAS_FIRST 96

static struct vma *array_of(const struct mm *mm)
{
	return (struct vma *)mm->vmas;
}

static struct mm_file *file_of(const struct vma *v)
{
	return (struct mm_file *)v->file;
}

void mm_file_hold(struct mm_file *file)
{
	if (file != NULL)
		file->refs++;
}

void mm_file_put(struct mm_file *file)
{
	if (file == NULL || --file->refs != 0)
		return;
	if (file->writes)
		vnode_write_end(file->vnode);
	if (file->vnode != 0)
		vnode_close(file->vnode);
	heap_free((void *)file->path);
	heap_free(file);
}

struct vma *vma_at(const struct mm *mm, u32 i)
{
	return &array_of(mm)[i];
}

u32 vma_lower(const struct mm *mm, u64 addr)
{
	u32 low = 0, high = mm->count;

	while (low < high) {
		u32 mid = low + (high - low) / 2;
		if (vma_at(mm, mid)->end > addr)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

struct vma *vma_find(const struct mm *mm, u64 addr)
{
	u32 i = vma_lower(mm, addr);

	return i < mm->count && vma_at(mm, i)->start <= addr ? vma_at(mm, i) : NULL;
}

/* The part [start, end) of a VMA. */
static struct vma cut(const struct vma *v, u64 start, u64 end)
{
	struct vma part = *v;

	if (v->file != 0)
		part.file_off += start - v->start;
	part.start = start;
	part.end = end;
	return part;
}

static bool same_file(const struct mm_file *a, const struct mm_file *b)
{
	if (a == b)
		return true;
	/* the same file by another descriptor; a difference in time is a difference in patches */
	return a != NULL && b != NULL && a->vnode != 0 && a->vnode == b->vnode &&
	       a->writes == b->writes && a->dev == b->dev && a->ino == b->ino &&
	       a->size == b->size && a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}

static bool can_merge(const struct vma *a, const struct vma *b)
{
	if (a->end != b->start || a->prot != b->prot || a->kind != b->kind || a->flags != b->flags)
		return false;
	if (a->kind == VMA_STUB || a->flags & VMA_SEGMENT || !same_file(file_of(a), file_of(b)))
		return false;
	return a->file == 0 || a->file_off + (a->end - a->start) == b->file_off;
}

void vma_free(struct mm *mm)
{
	if (mm->vmas != 0)
		heap_free(array_of(mm) - mm->front);
	mm->vmas = 0;
	mm->count = mm->capacity = mm->front = 0;
}

/* A bigger block, half of whose free places stand before the array, half behind. */
static void grow(struct mm *mm, u32 count)
{
	u32 total = VMAS_FIRST, kept = mm->count;

	while (total < 2 * count)
		total *= 2;
	u32 front = (total - count) / 2;
	struct vma *block = heap_alloc(total * sizeof(*block));
	if (kept != 0)
		memcpy(block + front, array_of(mm), kept * sizeof(*block));
	vma_free(mm);
	mm->vmas = (u64)(block + front);
	mm->count = kept;
	mm->front = front;
	mm->capacity = total - front;
}

/* Makes n places of [first, last), by moving what stands before it or behind it, whichever is less:
 * most new mappings are below all others but the program's. */
static void make_places(struct mm *mm, u32 first, u32 last, u32 n)
{
	s64 more = (s64)n - (last - first);
	bool is_low = first < mm->count - last;

	if (more > (is_low ? mm->front : (s64)mm->capacity - mm->count))
		grow(mm, mm->count + (u32)more);
	struct vma *v = array_of(mm);
	if (is_low) {
		memmove(v - more, v, first * sizeof(*v));
		mm->vmas = (u64)(v - more);
		mm->front -= (u32)more;
		mm->capacity += (u32)more;
	} else {
		memmove(v + first + n, v + last, (mm->count - last) * sizeof(*v));
	}
	mm->count += (u32)more;
}

/* Adds (sign 1) or takes off (sign -1) what n VMAs count for. */
static void account(struct mm *mm, const struct vma *v, u32 n, u64 sign)
{
	for (u32 i = 0; i < n; i++) {
		u64 bytes = (v[i].end - v[i].start) * sign;
		if (v[i].kind != VMA_STUB)
			mm->total_bytes += bytes;
		if (v[i].flags & VMA_LOCKED)
			mm->locked_bytes += bytes;
	}
}

static bool is_among(const struct vma *v, const struct vma *list, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (list[i].file == v->file && list[i].start == v->start)
			return true;
	}
	return false;
}

/* Whether what is behind the rest of a VMA, its first part, is gone. */
static bool lost_its_end(const struct vma *v, const struct vma *list, u32 n)
{
	u64 end = 0;

	for (u32 i = 0; i < n; i++) {
		if (list[i].file == v->file && (list[i].start == v->start || list[i].start == end))
			end = list[i].end;
	}
	return end < v->end;
}

/* Tells of segments that come and go.  What gets shorter at its end is the same VMA, whose end was
 * one of its own when it went. */
static void tell_segments(const struct vma *old, u32 nold, const struct vma *new, u32 nnew)
{
	for (u32 i = 0; i < nnew; i++) {
		if (new[i].flags & VMA_SEGMENT && !is_among(&new[i], old, nold))
			segment_attached(&new[i]);
	}
	for (u32 i = 0; i < nold; i++) {
		bool stays = is_among(&old[i], new, nnew);
		if (!(old[i].flags & VMA_SEGMENT) || (stays && !lost_its_end(&old[i], new, nnew)))
			continue;
		if (stays)
			segment_attached(&old[i]);
		segment_detached(&old[i]);
	}
}

/* Replaces VMAs [first, last) by the n pieces. */
static void splice(struct mm *mm, u32 first, u32 last, const struct vma *piece, u32 n)
{
	if (first == last && n == 0)
		return;
	tell_segments(array_of(mm) + first, last - first, piece, n);
	for (u32 i = 0; i < n; i++)
		mm_file_hold(file_of(&piece[i]));
	for (u32 i = first; i < last; i++)
		mm_file_put(file_of(vma_at(mm, i)));
	account(mm, vma_at(mm, first), last - first, (u64)-1);
	account(mm, piece, n, 1);
	make_places(mm, first, last, n);
	memcpy(vma_at(mm, first), piece, n * sizeof(*piece));
}

/* Merges neighbours among n pieces in place; how many are left. */
static u32 merge(struct vma *piece, u32 n)
{
	u32 out = 0;

	for (u32 i = 0; i < n; i++) {
		if (out != 0 && can_merge(&piece[out - 1], &piece[i]))
			piece[out - 1].end = piece[i].end;
		else
			piece[out++] = piece[i];
	}
	return out;
}

void vma_set(struct mm *mm, u64 start, u64 end, const struct vma *proto)
{
	u32 first = vma_lower(mm, start), last = first, n = 0;
	const struct vma *v = array_of(mm);
	struct vma piece[5];

	while (last < mm->count && v[last].start < end)
		last++;
	bool head = first < last && v[first].start < start;
	bool tail = first < last && v[last - 1].end > end;
	bool before = !head && first > 0 && v[first - 1].end == start;
	bool behind = !tail && last < mm->count && v[last].start == end;

	if (before)
		piece[n++] = v[first - 1];
	if (head)
		piece[n++] = cut(&v[first], v[first].start, start);
	if (proto != NULL) {
		piece[n] = *proto;
		piece[n].start = start;
		piece[n++].end = end;
	} else if (end > mm->full_low) {
		mm->full_high = 0;
	}
	if (tail)
		piece[n++] = cut(&v[last - 1], end, v[last - 1].end);
	if (behind)
		piece[n++] = v[last];
	splice(mm, first - before, last + behind, piece, merge(piece, n));
}

bool vma_range_is_free(const struct mm *mm, u64 start, u64 end)
{
	u32 i = vma_lower(mm, start);

	return i == mm->count || vma_at(mm, i)->start >= end;
}

u64 vma_mapped_until(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = vma_lower(mm, start); i < mm->count && start < end; i++) {
		const struct vma *v = vma_at(mm, i);
		if (v->start > start || v->kind == VMA_STUB)
			return start;
		start = v->end;
	}
	return start < end ? start : end;
}

bool vma_range_is_mapped(const struct mm *mm, u64 start, u64 end)
{
	return vma_mapped_until(mm, start, end) == end;
}

static u64 choose(const struct mm *mm, u64 len, u64 align, u64 low, u64 high)
{
	u32 i = vma_lower(mm, high - 1);
	u64 gap_end = high;

	/* The gap below vma i is [end of i-1, gap_end); at first i may lie above `high` or hold it.
	 */
	if (i < mm->count && vma_at(mm, i)->start < high)
		gap_end = vma_at(mm, i)->start;
	for (;;) {
		u64 gap_start = i > 0 ? vma_at(mm, i - 1)->end : 0;
		if (gap_start < low)
			gap_start = low;
		if (gap_end > gap_start && gap_end - gap_start >= len) {
			u64 addr = (gap_end - len) & ~(align - 1);
			if (addr >= gap_start)
				return addr;
		}
		if (i == 0 || gap_start == low)
			return 0;
		gap_end = vma_at(mm, --i)->start;
	}
}

u64 vma_choose(struct mm *mm, u64 len, u64 align, u64 low, u64 high)
{
	bool is_known = high == mm->full_high && len >= mm->full_len;
	u64 addr = choose(mm, len, align, low, is_known ? mm->full_low : high);

	/* Gaps that were passed may be long enough for less alignment. */
	if (addr != 0 && align == MM_PAGE) {
		mm->full_high = high;
		mm->full_low = addr + len;
		mm->full_len = len;
	}
	return addr;
}

u64 vma_choose_low(const struct mm *mm, u64 len, u64 low, u64 high)
{
	u64 addr = low;

	for (u32 i = vma_lower(mm, low); addr < high && high - addr >= len; i++) {
		if (i == mm->count ||
		    (vma_at(mm, i)->start >= addr && vma_at(mm, i)->start - addr >= len))
			return addr;
		addr = vma_at(mm, i)->end;
	}
	return 0;
}
