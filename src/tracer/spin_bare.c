/*
 * See spin_bare.h.  Invariant: between the calls, exactly the pauses in the list are bare, and no
 * other task of the process executes: the one that is looked at has the turn.
 */
#include "spin_bare.h"

#include <errno.h>

#include "tracee.h"

static bool is_in(const struct patched_pause *p, uint64_t rip)
{
	return rip - p->begin < p->size;
}

static bool is_bare(const struct spin_bare *b, uint64_t rip)
{
	for (unsigned i = 0; i < b->count; i++) {
		if (is_in(&b->pauses[i], rip))
			return true;
	}
	return false;
}

int spin_bare_make(struct spin_bare *b, uint64_t rip)
{
	struct patched_pause pause;

	if (is_bare(b, rip) || !patcher_pause_at(b->task, rip, &pause))
		return 0;
	if (b->count == SPIN_BARE_MAX)
		return -E2BIG;
	b->pauses[b->count++] = pause;
	return tracee_write(b->tid, tracee_address(pause.begin), pause.original, pause.size);
}

bool spin_bare_is_inside(const struct spin_bare *b, uint64_t rip)
{
	for (unsigned i = 0; i < b->count; i++) {
		if (is_in(&b->pauses[i], rip) && rip != b->pauses[i].begin)
			return true;
	}
	return false;
}

/* What was moved stands in the stub in the same order, with the same lengths. */
static uint64_t stub_place(const struct patched_pause *p, uint64_t rip)
{
	if (!is_in(p, rip) || rip == p->begin)
		return rip;
	if (rip - p->tail < p->tail_end - p->tail)
		return p->tail_to + (rip - p->tail);
	return p->stub + (rip - p->begin);
}

void spin_bare_end(struct spin_bare *b, struct user_regs_struct *regs)
{
	uint64_t place = regs->rip;

	for (unsigned i = 0; i < b->count; i++) {
		const struct patched_pause *p = &b->pauses[i];

		tracee_write(b->tid, tracee_address(p->begin), p->patched, p->size);
		if (place == regs->rip)
			place = stub_place(p, regs->rip);
	}
	if (place == regs->rip)
		return;
	regs->rip = place;
	tracee_regs_set(b->tid, regs);
}
