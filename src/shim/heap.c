/*
 * Memory of the container's own state: power-of-two size classes over one bump area in the region.
 * Owns REGION_HEAP.  A block is preceded by a 16-byte head; freed blocks go to a list per class.
 * Only the holder of the turn allocates, so there is no lock.  Addresses never reach the app.
 *
 * Memory is scarce when more than `limit` of it is in use, which is what the container is told its
 * memory is: then scarce.c says which calls fail.  What is behind the limit is the reserve of the
 * others.  Blocks that are there for our sake (set aside) do not count, as they are not the same in
 * a run, a recording and a replay.
 */
#include "shim.h"
#include "../syscall-table/seccomp.h"

#define HEAP_CLASSES   40
#define HEAP_MAGIC     0x70616568
#define HEAP_ASIDE     0x64697361
#define HEAP_LIMIT_MIN 0x4000000 /* a container that is told less starts all the same */
#define HEAP_LIMIT_MAX (REGION_HEAP_SIZE / 2)
#define HEAP_ENOUGH    0x100000 /* so much less in use than the limit, and it is scarce no more */

struct heap_head {
	u64 brk;   /* offset of the first byte never used */
	u64 used;  /* bytes of blocks in use that count */
	u64 limit; /* 0: not set yet */
	u32 scarce;
	u32 pad;
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

bool heap_scarce(void)
{
	return HEAP->scarce != 0;
}

/* From now on the calls of all tasks are looked at, or no more. */
static void scarce_set(bool scarce)
{
	HEAP->scarce = scarce;
	for (u32 i = 0; i < TASK_SLOTS_MAX; i++) {
		struct task *t = task_at(i);

		if (t->state == TASK_LIVE)
			seccomp_arm(t);
	}
}

static u64 heap_limit(void)
{
	u64 memory = HEAD->config.memory_bytes;

	if (memory < HEAP_LIMIT_MIN)
		return HEAP_LIMIT_MIN;
	return memory < HEAP_LIMIT_MAX ? memory : HEAP_LIMIT_MAX;
}

static void use(u64 bytes)
{
	struct heap_head *h = HEAP;

	if (h->limit == 0)
		h->limit = heap_limit();
	h->used += bytes;
	if (__builtin_expect(h->used > h->limit, 0) && !h->scarce)
		scarce_set(true);
}

static void use_no_more(u64 bytes)
{
	struct heap_head *h = HEAP;

	h->used -= bytes;
	if (__builtin_expect(h->scarce, 0) && h->used + HEAP_ENOUGH <= h->limit)
		scarce_set(false);
}

static void *take(u64 size, u32 magic)
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
		b->class = class;
	}
	b->magic = magic;
	b->next_free = 0;
	if (magic == HEAP_MAGIC)
		use(1ull << class);
	return b + 1;
}

static void *take_zeroed(u64 size, u32 magic)
{
	u64 used = HEAP->brk;
	void *p = take(size, magic);

	/* What was never used is zero. */
	if (HEAP->brk == used)
		memset(p, 0, size);
	return p;
}

void *heap_alloc_unset(u64 size)
{
	return take(size, HEAP_MAGIC);
}

void *heap_alloc(u64 size)
{
	return take_zeroed(size, HEAP_MAGIC);
}

void *heap_alloc_aside(u64 size)
{
	return take_zeroed(size, HEAP_ASIDE);
}

void heap_free(void *p)
{
	struct block *b = p;

	if (p == NULL)
		return;
	b--;
	SHIM_ASSERT(b->magic == HEAP_MAGIC || b->magic == HEAP_ASIDE);
	if (b->magic == HEAP_MAGIC)
		use_no_more(1ull << b->class);
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
