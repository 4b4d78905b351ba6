/*
 * See spin_cycle.h.  The state now is compared with that at an anchor, which is moved on at powers
 * of two so that it comes to lie in the loop, not on the way into it (Brent).  Of memory only what
 * was touched since the anchor can be other than it was there; its bytes are kept from the first
 * touch on, so it does not matter which instruction writes.
 */
#include "spin_cycle.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX (SPIN_BYTES_MAX / 8)
/* Something that is not back after so many rounds counts them. */
#define MISSES_MAX 16

/* Eight aligned bytes, and which of them were touched. */
struct word {
	uint64_t addr;
	uint64_t value;
	uint8_t touched; /* a bit a byte */
};

struct anchor {
	struct user_regs_struct regs;
	uint8_t extended[SPIN_EXTENDED_MAX];
	int extended_size;
	unsigned at;	 /* instructions before it */
	unsigned misses; /* its registers were back, but something else was not */
	size_t word_count;
	struct word words[WORDS_MAX];
};

/* Of eflags: trap, which a tracer sets for itself, and resume, which no instruction can see. */
#define EFLAGS_OURS 0x10100ull

static struct user_regs_struct plain(const struct user_regs_struct *regs)
{
	struct user_regs_struct r = *regs;

	r.orig_rax = 0;
	r.eflags &= ~EFLAGS_OURS;
	return r;
}

bool spin_regs_equal(const struct user_regs_struct *a, const struct user_regs_struct *b)
{
	if (a->rip != b->rip || a->rax != b->rax)
		return false;
	struct user_regs_struct x = plain(a), y = plain(b);
	return memcmp(&x, &y, sizeof(x)) == 0;
}

/* ---- memory ---- */

static int touch_word(const struct spin_machine *m, struct anchor *a, uint64_t addr, uint8_t bits)
{
	struct word *w = a->words;

	while (w < a->words + a->word_count && w->addr != addr)
		w++;
	if (w == a->words + WORDS_MAX)
		return -E2BIG;
	if (w == a->words + a->word_count) {
		int error = m->read(m->data, addr, &w->value, sizeof(w->value));

		if (error < 0)
			return error;
		w->addr = addr;
		w->touched = 0;
		a->word_count++;
	}
	w->touched |= bits;
	return 0;
}

static int touch(const struct spin_machine *m, struct anchor *a, const struct spin_range *r)
{
	int error = 0;

	if (r->size > SPIN_BYTES_MAX)
		return -E2BIG;
	for (uint64_t at = r->addr; error == 0 && at != r->addr + r->size;) {
		unsigned first = at & 7;
		uint64_t left = r->addr + r->size - at;
		unsigned count = left < 8 - first ? (unsigned)left : 8 - first;

		error = touch_word(m, a, at - first, (uint8_t)(((1u << count) - 1) << first));
		at += count;
	}
	return error;
}

static int touch_all(const struct spin_machine *m, struct anchor *a,
		     const struct user_regs_struct *regs)
{
	struct spin_range ranges[SPIN_ACCESSES_MAX];
	int count = m->accesses(m->data, regs, ranges), error = count < 0 ? count : 0;

	for (int i = 0; error == 0 && i < count; i++)
		error = touch(m, a, &ranges[i]);
	return error;
}

/* 1: what was touched holds what it held at the anchor; 0: it does not. */
static int memory_recurs(const struct spin_machine *m, const struct anchor *a)
{
	for (size_t i = 0; i < a->word_count; i++) {
		uint64_t now;
		int error = m->read(m->data, a->words[i].addr, &now, sizeof(now));

		if (error < 0)
			return error;
		if (now != a->words[i].value)
			return 0;
	}
	return 1;
}

/* ---- the state as a whole ---- */

static int anchor_set(const struct spin_machine *m, struct anchor *a,
		      const struct user_regs_struct *regs, unsigned at)
{
	a->regs = *regs;
	a->at = at;
	a->word_count = a->misses = 0;
	a->extended_size = m->extended(m->data, a->extended);
	return a->extended_size < 0 ? a->extended_size : 0;
}

static int extended_recurs(const struct spin_machine *m, const struct anchor *a)
{
	uint8_t now[SPIN_EXTENDED_MAX];
	int size = m->extended(m->data, now);

	if (size < 0)
		return size;
	return size == a->extended_size && memcmp(now, a->extended, (size_t)size) == 0;
}

static int recurs(const struct spin_machine *m, struct anchor *a,
		  const struct user_regs_struct *regs)
{
	if (!spin_regs_equal(regs, &a->regs))
		return 0;
	int same = memory_recurs(m, a);
	if (same == 1)
		same = extended_recurs(m, a);
	return same == 0 && ++a->misses == MISSES_MAX ? -EAGAIN : same;
}

static int find_recurrence(const struct spin_machine *m, struct user_regs_struct *regs,
			   unsigned budget, struct anchor *a)
{
	int error = anchor_set(m, a, regs, 0), same = 0;

	for (unsigned n = 1; error == 0 && n <= budget; n++) {
		error = touch_all(m, a, regs);
		if (error == 0)
			error = m->step(m->data, regs);
		if (error == 0)
			same = recurs(m, a, regs);
		if (error < 0 || same != 0) {
			a->at = n - a->at; /* the loop's length */
			return error < 0 ? error : same < 0 ? same : 0;
		}
		/* Not in the way of short loops: the first two anchors stand longer. */
		if (n >= 16 && (n & (n - 1)) == 0)
			error = anchor_set(m, a, regs, n);
	}
	return error < 0 ? error : -EAGAIN;
}

/* ---- the canonical place ---- */

static int compare(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int place_compare(const struct user_regs_struct *a, const struct user_regs_struct *b)
{
	const uint64_t x[] = {a->rip, a->rsp, a->rax, a->rbx, a->rcx, a->rdx,
			      a->rsi, a->rdi, a->rbp, a->r8,  a->r9,  a->r10,
			      a->r11, a->r12, a->r13, a->r14, a->r15};
	const uint64_t y[] = {b->rip, b->rsp, b->rax, b->rbx, b->rcx, b->rdx,
			      b->rsi, b->rdi, b->rbp, b->r8,  b->r9,  b->r10,
			      b->r11, b->r12, b->r13, b->r14, b->r15};
	int order = 0;

	for (size_t i = 0; order == 0 && i < sizeof(x) / sizeof(*x); i++)
		order = compare(x[i], y[i]);
	return order;
}

/* Goes round once, then on to the least place, which must be there only once in a round. */
static int go_to_canonical(const struct spin_machine *m, struct user_regs_struct *regs,
			   unsigned length, struct spin_cycle *ret)
{
	bool found = false, unique = true;
	unsigned least_at = 0;
	int error = 0;

	for (unsigned i = 0; error == 0 && i < length; i++) {
		int order = found ? place_compare(regs, &ret->regs) : -1;
		if (!m->may_rest(m->data, regs->rip))
			order = 1;
		if (order < 0) {
			ret->regs = *regs;
			least_at = i;
			found = true;
		}
		unique = order < 0 || (unique && order != 0);
		error = m->step(m->data, regs);
	}
	for (unsigned i = 0; error == 0 && i < least_at; i++)
		error = m->step(m->data, regs);
	if (error < 0 || !found)
		return error < 0 ? error : -EXDEV;
	return unique && spin_regs_equal(regs, &ret->regs) ? 0 : -EXDEV;
}

/* ---- the result ---- */

static int word_order(const void *a, const void *b)
{
	return compare(((const struct word *)a)->addr, ((const struct word *)b)->addr);
}

static int add_byte(struct spin_cycle *c, uint64_t addr)
{
	struct spin_range *last = c->range_count != 0 ? &c->ranges[c->range_count - 1] : NULL;

	if (last != NULL && last->addr + last->size == addr) {
		last->size++;
		return 0;
	}
	if (c->range_count == SPIN_RANGES_MAX)
		return -E2BIG;
	c->ranges[c->range_count++] = (struct spin_range){addr, 1};
	return 0;
}

static int collect_ranges(struct anchor *a, struct spin_cycle *c)
{
	int error = 0;

	qsort(a->words, a->word_count, sizeof(*a->words), word_order);
	c->range_count = 0;
	for (size_t i = 0; i < a->word_count; i++) {
		for (unsigned bit = 0; error == 0 && bit < 8; bit++) {
			if (a->words[i].touched >> bit & 1)
				error = add_byte(c, a->words[i].addr + bit);
		}
	}
	return error;
}

int spin_cycle_find(const struct spin_machine *machine, struct user_regs_struct *regs,
		    unsigned budget, struct spin_cycle *ret_cycle)
{
	struct anchor *a = malloc(sizeof(*a));
	int error = a == NULL ? -ENOMEM : find_recurrence(machine, regs, budget, a);

	if (error == 0) {
		ret_cycle->length = a->at;
		error = collect_ranges(a, ret_cycle);
	}
	if (error == 0)
		error = go_to_canonical(machine, regs, a->at, ret_cycle);
	free(a);
	return error;
}
