/*
 * Memory of the container's own state: power-of-two size classes over one bump area in the region.
 * Owns REGION_HEAP.  A block is preceded by a 16-byte head; freed blocks go to a list per class.
 * Only the holder of the turn allocates, so there is no lock.  Addresses never reach the app.
 */
#include "shim.h"

#define HEAP_CLASSES 40
#define HEAP_MAGIC   0x70616568

struct heap_head {
	u64 brk; /* offset of the first byte never used */
	u64 free[HEAP_CLASSES];
};

struct block {
	u32 magic;
	u32 class;
	u64 next_free;
};

#define HEAP REGION_AT(struct heap_head, REGION_HEAP_OFF)

static u32 class_of(u64 size)
{
	u64 need = size + sizeof(struct block);

	return need <= 64 ? 6 : 64 - (u32)__builtin_clzll(need - 1);
}

void *heap_alloc_unset(u64 size)
{
	u32 class = class_of(size);
	struct block *b;

	SHIM_ASSERT(class < HEAP_CLASSES);
	if (HEAP->free[class] != 0) {
		b = (struct block *)HEAP->free[class];
		HEAP->free[class] = b->next_free;
	} else {
		if (HEAP->brk == 0)
			HEAP->brk = 4096;
		SHIM_ASSERT(HEAP->brk + (1ull << class) <= REGION_HEAP_SIZE);
		b = REGION_AT(struct block, REGION_HEAP_OFF + HEAP->brk);
		HEAP->brk += 1ull << class;
		b->magic = HEAP_MAGIC;
		b->class = class;
	}
	b->next_free = 0;
	return b + 1;
}

void *heap_alloc(u64 size)
{
	u64 used = HEAP->brk;
	void *p = heap_alloc_unset(size);

	/* What was never used is zero. */
	if (HEAP->brk == used)
		memset(p, 0, size);
	return p;
}

void heap_free(void *p)
{
	struct block *b = p;

	if (p == NULL)
		return;
	b--;
	SHIM_ASSERT(b->magic == HEAP_MAGIC);
	b->next_free = HEAP->free[b->class];
	HEAP->free[b->class] = (u64)b;
}

u64 heap_size(const void *p)
{
	const struct block *b = p;

	return (1ull << b[-1].class) - sizeof(*b);
}

char *heap_strdup(const char *s)
{
	size_t n = strlen(s) + 1;
	char *copy = heap_alloc_unset(n);

	memcpy(copy, s, n);
	return copy;
}
