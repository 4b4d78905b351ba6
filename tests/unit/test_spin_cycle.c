/*
 * Fixed points of made-up machines: found from wherever one looks, always with the same canonical
 * place, and never where something changes. Then which memory real instructions touch.
 */
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "tracer/spin_access.h"
#include "tracer/spin_cycle.h"

#define CELLS	    1024
#define CELLS_AT    0x10000ull
#define cell(m, at) ((m)->cells[((at)-CELLS_AT) / 8])

struct machine {
	uint64_t cells[CELLS];
	uint64_t vector;
	unsigned steps;
	/* Executes one instruction; notes in touched (0: nothing) which cell it touches. */
	void (*execute)(struct machine *m, struct user_regs_struct *r);
	uint64_t (*touches)(const struct user_regs_struct *r);
	const unsigned *next; /* of graphs */
	uint64_t no_rest;     /* a rip at which it may not be left */
};

static int accesses(void *data, const struct user_regs_struct *regs,
		    struct spin_range ranges[SPIN_ACCESSES_MAX])
{
	struct machine *m = data;
	uint64_t at = m->touches(regs);

	if (at == UINT64_MAX)
		return -EPERM;
	ranges[0] = (struct spin_range){at, 8};
	return at != 0;
}

static int step(void *data, struct user_regs_struct *regs)
{
	struct machine *m = data;

	m->steps++;
	m->execute(m, regs);
	return 0;
}

static int read_cells(void *data, uint64_t addr, void *to, size_t size)
{
	struct machine *m = data;

	if (addr < CELLS_AT || addr + size > CELLS_AT + sizeof(m->cells))
		return -EFAULT;
	memcpy(to, (uint8_t *)m->cells + (addr - CELLS_AT), size);
	return 0;
}

static int extended(void *data, uint8_t state[SPIN_EXTENDED_MAX])
{
	memcpy(state, &((struct machine *)data)->vector, 8);
	return 8;
}

static bool may_rest(void *data, uint64_t rip)
{
	return rip == 0 || rip != ((struct machine *)data)->no_rest;
}

static int find(struct machine *m, struct user_regs_struct *r, unsigned budget,
		struct spin_cycle *ret)
{
	const struct spin_machine machine = {accesses, step, read_cells, extended, may_rest, m};

	return spin_cycle_find(&machine, r, budget, ret);
}

/* ---- loops of four instructions at 100 to 103, reached from lower places ---- */

static uint64_t touch_flag(const struct user_regs_struct *r)
{
	return r->rip == 101 ? CELLS_AT : 0;
}

static void advance(struct user_regs_struct *r)
{
	r->rip = r->rip == 103 ? 100 : r->rip + 1;
}

static void wait_flag(struct machine *m, struct user_regs_struct *r)
{
	if (r->rip == 101)
		r->rax = cell(m, CELLS_AT);
	if (r->rip == 103)
		r->rax = 5;
	advance(r);
}

static void count_register(struct machine *m, struct user_regs_struct *r)
{
	wait_flag(m, r);
	r->rbx += r->rip == 102;
}

static void count_memory(struct machine *m, struct user_regs_struct *r)
{
	if (r->rip == 101)
		cell(m, CELLS_AT)++;
	advance(r);
}

static void count_vector(struct machine *m, struct user_regs_struct *r)
{
	m->vector++;
	wait_flag(m, r);
}

static uint64_t touch_twice(const struct user_regs_struct *r)
{
	return r->rip == 101 || r->rip == 103 ? CELLS_AT + 16 : 0;
}

/* Writes, and writes the former value again. */
static void toggle(struct machine *m, struct user_regs_struct *r)
{
	if (r->rip == 101)
		cell(m, CELLS_AT + 16) = 1;
	if (r->rip == 103)
		cell(m, CELLS_AT + 16) = 0;
	advance(r);
}

/* The registers recur after every other round of the memory's. */
static void toggle_slowly(struct machine *m, struct user_regs_struct *r)
{
	if (r->rip == 101)
		cell(m, CELLS_AT) ^= 1;
	advance(r);
}

static uint64_t touch_much(const struct user_regs_struct *r)
{
	return CELLS_AT + 8 * (r->rip % CELLS);
}

static void go_far(struct machine *m, struct user_regs_struct *r)
{
	(void)m;
	r->rip = (r->rip + 1) % CELLS;
}

static uint64_t touch_event(const struct user_regs_struct *r)
{
	return r->rip == 102 ? UINT64_MAX : 0;
}

static int loop(void (*execute)(struct machine *, struct user_regs_struct *),
		uint64_t (*touches)(const struct user_regs_struct *), uint64_t from,
		struct spin_cycle *ret)
{
	struct machine m = {.execute = execute, .touches = touches};
	struct user_regs_struct r = {.rip = from};

	return find(&m, &r, 3000, ret);
}

static void test_found(void)
{
	struct spin_cycle c;

	for (uint64_t from = 30; from < 104; from++) {
		CHECK(loop(wait_flag, touch_flag, from, &c) == 0);
		CHECK(c.regs.rip == 100 && c.regs.rax == 5 && c.length == 4);
		CHECK(c.range_count == 1 && c.ranges[0].addr == CELLS_AT && c.ranges[0].size == 8);
		CHECK(loop(toggle, touch_twice, from, &c) == 0);
		CHECK(c.regs.rip == 100 && c.range_count == 1);
	}
}

/* Where it may not be left is not the canonical place, however low. */
static void test_no_rest(void)
{
	struct machine m = {.execute = wait_flag, .touches = touch_flag, .no_rest = 100};

	for (uint64_t from = 30; from < 104; from++) {
		struct user_regs_struct r = {.rip = from};
		struct spin_cycle c;

		CHECK(find(&m, &r, 3000, &c) == 0);
		CHECK(c.regs.rip == 101 && r.rip == 101 && c.length == 4);
	}
}

static void test_not_found(void)
{
	struct spin_cycle c;

	CHECK(loop(count_register, touch_flag, 100, &c) == -EAGAIN);
	CHECK(loop(count_memory, touch_flag, 100, &c) == -EAGAIN);
	CHECK(loop(count_vector, touch_flag, 100, &c) == -EAGAIN);
	CHECK(loop(toggle_slowly, touch_flag, 100, &c) == -EXDEV);
	CHECK(loop(go_far, touch_much, 100, &c) == -E2BIG);
	CHECK(loop(wait_flag, touch_event, 100, &c) == -EPERM);
}

/* ---- random graphs of states ---- */

static void follow(struct machine *m, struct user_regs_struct *r)
{
	unsigned at = (unsigned)(r->rip * 8 + r->rax);

	at = m->next[at];
	r->rip = at / 8;
	r->rax = at % 8;
}

static uint64_t touch_nothing(const struct user_regs_struct *r)
{
	(void)r;
	return 0;
}

/* The least state of the loop that `from` leads into, and how many there are. */
static unsigned least_of(const unsigned *next, unsigned from, unsigned count, unsigned *ret_length)
{
	unsigned at = from, least;

	for (unsigned i = 0; i < count; i++)
		at = next[at];
	least = at;
	*ret_length = 1;
	for (unsigned i = next[at]; i != at; i = next[i], ++*ret_length)
		least = i < least ? i : least;
	return least;
}

static void test_graphs(void)
{
	unsigned next[256], length;

	srand(1);
	for (int round = 0; round < 500; round++) {
		unsigned count = 1 + (unsigned)rand() % 256;

		for (unsigned i = 0; i < count; i++)
			next[i] = (unsigned)rand() % count;
		for (unsigned from = 0; from < count; from += 7) {
			struct machine m = {
				.execute = follow, .touches = touch_nothing, .next = next};
			struct user_regs_struct r = {.rip = from / 8, .rax = from % 8};
			unsigned least = least_of(next, from, count, &length);
			struct spin_cycle c;

			CHECK(find(&m, &r, 2000, &c) == 0);
			CHECK(c.regs.rip == least / 8 && c.regs.rax == least % 8);
			CHECK(r.rip == c.regs.rip && r.rax == c.regs.rax && c.length == length);
		}
	}
}

/* ---- instructions ---- */

struct insn_case {
	uint8_t bytes[16];
	int count; /* or an error */
	struct spin_range ranges[2];
};

static const struct insn_case insns[] = {
	{{0x8b, 0x18}, 1, {{0x1000, 4}}}, /* mov (%rax),%ebx */
	{{0x48, 0x89, 0x5c, 0xc8, 0x10},
	 1,
	 {{0x1000 + 16 * 8 + 16, 8}}},				     /* mov %rbx,16(%rax,%rcx,8) */
	{{0x8a, 0x05, 0x10, 0, 0, 0}, 1, {{0x400016, 1}}},	     /* mov 16(%rip),%al */
	{{0x64, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}, 1, {{0x7010, 4}}}, /* mov %fs:16,%eax */
	{{0x65, 0x8b, 0x04, 0x25, 0x10, 0, 0, 0}, -ENOTSUP, {{0}}},  /* mov %gs:16,%eax */
	{{0x64, 0x3e, 0x8b, 0x18}, -ENOTSUP, {{0}}},  /* mov %fs:(%rax),%ebx, ds before */
	{{0x3e, 0x3e, 0x8b, 0x18}, 1, {{0x1000, 4}}}, /* mov (%rax),%ebx, padded */
	{{0x67, 0x0f, 0xdf, 0x14, 0xe5, 0, 0, 0, 0xe0},
	 -ENOTSUP,
	 {{0}}}, /* pandn 0xe0000000,%mm2, not 0xffffffffe0000000 */
	{{0x67, 0xe8, 0, 0, 0, 0}, 1, {{0x7ff8, 8}}},		    /* call, padded by a linker */
	{{0x8d, 0x18}, 0, {{0}}},				    /* lea (%rax),%ebx */
	{{0x53}, 1, {{0x7ff8, 8}}},				    /* push %rbx */
	{{0xff, 0x30}, 2, {{0x1000, 8}, {0x7ff8, 8}}},		    /* push (%rax) */
	{{0xe8, 0, 0, 0, 0}, 1, {{0x7ff8, 8}}},			    /* call */
	{{0xc3}, 1, {{0x8000, 8}}},				    /* ret */
	{{0xc9}, 1, {{0x9000, 8}}},				    /* leave */
	{{0xf0, 0x0f, 0xb1, 0x18}, 1, {{0x1000, 4}}},		    /* lock cmpxchg %ebx,(%rax) */
	{{0xf3, 0xa4}, 2, {{0x3000, 1}, {0x2000, 1}}},		    /* rep movsb */
	{{0xc5, 0xfe, 0x7f, 0x00}, 1, {{0x1000, 32}}},		    /* vmovdqu %ymm0,(%rax) */
	{{0x0f, 0xba, 0x28, 0x03}, 1, {{0x1000, 4}}},		    /* btsl $3,(%rax) */
	{{0x0f, 0xab, 0x18}, -ENOTSUP, {{0}}},			    /* bts %ebx,(%rax) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x00}, 1, {{0x1000, 64}}},  /* vmovdqu32 %zmm0,(%rax) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x40, 1}, -ENOTSUP, {{0}}}, /* vmovdqu32 %zmm0,64(%rax) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x80, 0x10, 1, 0, 0},
	 1,
	 {{0x1110, 64}}}, /* vmovdqu32 %zmm0,0x110(%rax) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x04, 0xc8}, 1, {{0x1080, 64}}}, /* ...,(%rax,%rcx,8) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x04, 0x24}, 1, {{0x8000, 64}}}, /* ...,(%rsp) */
	{{0x62, 0xd1, 0x7e, 0x48, 0x7f, 0x03}, 1, {{0xb000, 64}}},	 /* ...,(%r11) */
	{{0x62, 0xb1, 0x7e, 0x48, 0x7f, 0x04, 0x18}, 1, {{0xc000, 64}}}, /* ...,(%rax,%r11) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x05, 0x10, 0, 0, 0},
	 1,
	 {{0x40001a, 64}}},						 /* ...,16(%rip) */
	{{0x64, 0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x00}, 1, {{0x8000, 64}}}, /* ...,%fs:(%rax) */
	{{0x67, 0x62, 0xf1, 0x7e, 0x48, 0x7f, 0x00}, -ENOTSUP, {{0}}},	 /* ...,(%eax) */
	{{0x62, 0xf1, 0x7e, 0x48, 0x6f, 0xc1}, 0, {{0}}},		 /* vmovdqu32 %zmm1,%zmm0 */
	{{0x62, 0xf2, 0x7d, 0x49, 0x90, 0x04, 0x08}, -ENOTSUP, {{0}}}, /* vpgatherdd (%rax,%zmm1) */
	{{0x0f, 0xae, 0x20}, -ENOTSUP, {{0}}},			       /* xsave (%rax) */
	{{0x0f, 0x31}, -EPERM, {{0}}},				       /* rdtsc */
	{{0x0f, 0x05}, -EPERM, {{0}}},				       /* syscall */
	{{0xcc}, -EPERM, {{0}}},				       /* int3 */
	{{0x9c}, -ENOTSUP, {{0}}},				       /* pushf: shows the steps */
	{{0x66, 0x9c}, -ENOTSUP, {{0}}},			       /* pushfw */
	{{0x8e, 0xd0}, -ENOTSUP, {{0}}},			       /* mov %eax,%ss */
	{{0x4a, 0x0f, 0xb4, 0x20}, -ENOTSUP, {{0}}}, /* lfs (%rax),%rsp: 10 bytes */
	{{0x8f, 0x04, 0x24}, -ENOTSUP, {{0}}},	     /* pop (%rsp) */
	{{0xff, 0x18}, -ENOTSUP, {{0}}},	     /* lcall *(%rax) */
	{{0xcb}, -ENOTSUP, {{0}}},		     /* lret */
	{{0xf3, 0x90}, 0, {{0}}},		     /* pause */
	{{0x90}, 0, {{0}}},			     /* nop */
	{{0x48, 0xff, 0xc0}, 0, {{0}}},		     /* inc %rax */
};

static void test_insns(void)
{
	const struct user_regs_struct regs = {.rip = 0x400000,
					      .rax = 0x1000,
					      .rcx = 16,
					      .rsp = 0x8000,
					      .rbp = 0x9000,
					      .rsi = 0x2000,
					      .rdi = 0x3000,
					      .r11 = 0xb000,
					      .fs_base = 0x7000};

	for (size_t i = 0; i < sizeof(insns) / sizeof(*insns); i++) {
		const struct insn_case *c = &insns[i];
		struct spin_range ranges[SPIN_ACCESSES_MAX];
		struct spin_decoder *d;

		CHECK(spin_decoder_create(&d) == 0);
		int count = spin_decoder_accesses(d, c->bytes, sizeof(c->bytes), &regs, ranges);
		if (count != c->count)
			printf("instruction %zu: %d, not %d\n", i, count, c->count);
		CHECK(count == c->count);
		for (int k = 0; k < count; k++)
			CHECK(ranges[k].addr == c->ranges[k].addr &&
			      ranges[k].size == c->ranges[k].size);
		spin_decoder_destroy(d);
	}
}

int main(void)
{
	test_found();
	test_no_rest();
	test_not_found();
	test_graphs();
	test_insns();
	return failures != 0;
}
