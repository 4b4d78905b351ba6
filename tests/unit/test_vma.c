/*
 * The list of mappings against a model of one entry per page: random changes, then every property
 * the shim relies on.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/shim/mm.h"
#include "../../src/syscall-table/vnode.h"

#define CHECK(cond)                                                                          \
	do {                                                                                 \
		if (!(cond)) {                                                               \
			fprintf(stderr, "%s:%d: %s (seed %lu)\n", __FILE__, __LINE__, #cond, \
				seed);                                                       \
			exit(1);                                                             \
		}                                                                            \
	} while (0)

#define PAGES 256u
#define BASE  0x100000ul

static unsigned long seed, state;
static long allocated, segments;

void *heap_alloc(u64 size);
void heap_free(void *p);

void *heap_alloc(u64 size)
{
	allocated++;
	return calloc(1, size);
}

void heap_free(void *p)
{
	allocated -= p != NULL;
	free(p);
}

void vnode_close(u32 index)
{
	(void)index;
}

void vnode_write_end(u32 index)
{
	(void)index;
}

void segment_attached(const struct vma *v)
{
	segments += v->flags & VMA_SEGMENT ? 1 : 1000;
}

void segment_detached(const struct vma *v)
{
	segments -= v->flags & VMA_SEGMENT ? 1 : 1000;
}

static u32 next_random(u32 below)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (u32)(state >> 33) % below;
}

struct page {
	int mapped;
	u8 prot, kind, flags;
	u64 file, off;
};

static struct page model[PAGES];

static u64 addr_of(u32 page)
{
	return BASE + page * MM_PAGE;
}

static void check_against_model(struct mm *mm)
{
	u64 total = 0, locked = 0;
	long attached = 0;

	for (u32 i = 0; i < mm->count; i++) {
		const struct vma *v = vma_at(mm, i);
		CHECK(v->start < v->end && (i == 0 || vma_at(mm, i - 1)->end <= v->start));
		total += v->kind != VMA_STUB ? v->end - v->start : 0;
		locked += v->flags & VMA_LOCKED ? v->end - v->start : 0;
		attached += v->flags & VMA_SEGMENT ? 1 : 0;
	}
	CHECK(attached == segments);
	CHECK(total == mm->total_bytes && locked == mm->locked_bytes);
	for (u32 i = 0; i < PAGES; i++) {
		const struct vma *v = vma_find(mm, addr_of(i));
		CHECK((v != NULL) == model[i].mapped);
		if (v == NULL)
			continue;
		CHECK(v->prot == model[i].prot && v->kind == model[i].kind &&
		      v->flags == model[i].flags && v->file == model[i].file);
		if (v->file != 0)
			CHECK(v->file_off + (addr_of(i) - v->start) == model[i].off);
	}
}

static bool model_free(u32 first, u32 n)
{
	for (u32 i = first; i < first + n; i++) {
		if (model[i].mapped)
			return false;
	}
	return true;
}

static void check_choice(struct mm *mm)
{
	u32 n = 1 + next_random(20), high = 0, low = PAGES;

	for (u32 i = 0; i + n <= PAGES; i++) {
		if (model_free(i, n)) {
			high = i + 1;
			low = low == PAGES ? i : low;
		}
	}
	u64 end = addr_of(PAGES), want = high ? addr_of(high - 1) : 0;
	CHECK(vma_choose(mm, n * MM_PAGE, MM_PAGE, BASE, end) == want);
	want = low != PAGES ? addr_of(low) : 0;
	CHECK(vma_choose_low(mm, n * MM_PAGE, BASE, end) == want);
	CHECK(vma_range_is_free(mm, BASE, addr_of(n)) == model_free(0, n));
}

static void change(struct mm *mm, struct mm_file *files)
{
	u32 first = next_random(PAGES),
	    n = 1 + next_random(PAGES - first < 40 ? PAGES - first : 40);
	struct vma v = {.start = addr_of(first), .end = addr_of(first + n)};
	bool map = next_random(3) != 0;

	v.kind = (u8)next_random(2);
	v.prot = (u8)next_random(4);
	v.flags = next_random(4) == 0 ? VMA_LOCKED : 0;
	if (v.kind == VMA_FILE) {
		u32 file = next_random(3);
		v.file = (u64)&files[file];
		v.flags |= file == 2 ? VMA_SEGMENT : 0;
		v.file_off = v.start; /* neighbours continue each other */
	}
	vma_set(mm, v.start, v.end, map ? &v : NULL);
	for (u32 i = first; i < first + n; i++)
		model[i] = (struct page){map,	  v.prot, v.kind,
					 v.flags, v.file, v.file_off + (i - first) * MM_PAGE};
}

static void run(void)
{
	struct mm *mm = calloc(1, sizeof(*mm));
	struct mm_file files[3] = {{.refs = 1, .vnode = 1}, {.refs = 1, .vnode = 2}, {.refs = 1}};

	memset(model, 0, sizeof(model));
	for (int step = 0; step < 400; step++) {
		change(mm, files);
		check_against_model(mm);
		check_choice(mm);
	}
	vma_set(mm, BASE, addr_of(PAGES), NULL);
	CHECK(mm->count == 0 && mm->total_bytes == 0 && mm->locked_bytes == 0);
	CHECK(files[0].refs == 1 && files[1].refs == 1 && files[2].refs == 1);
	CHECK(segments == 0);
	vma_free(mm);
	free(mm);
	CHECK(allocated == 0);
}

int main(void)
{
	for (seed = 1; seed <= 200; seed++) {
		state = seed;
		run();
	}
	printf("vma: 200 scripts of 400 changes agree with the model\n");
	return 0;
}
