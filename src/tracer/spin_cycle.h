/*
 * Whether a loop is a fixed point: a task that runs alone and makes no event spins for good if all
 * of its state recurs, registers, flags, vector state and the memory it touches.
 *
 * Pure but for the callbacks, which execute and look: tested with made-up machines.
 */
#ifndef SHADOW_TRACER_SPIN_CYCLE_H
#define SHADOW_TRACER_SPIN_CYCLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "../shim/spin.h"

#define SPIN_ACCESSES_MAX 8	/* by one instruction */
#define SPIN_EXTENDED_MAX 16384 /* bytes of floating point and vector state: 11008 with AMX */

/* The machine that is looked at.  Errors are negative and end the examination. */
struct spin_machine {
	/* What the instruction at regs->rip reads or writes: ranges, and how many.  An error if
	 * that is not known for certain, or if executing it may be an event. */
	int (*accesses)(void *data, const struct user_regs_struct *regs,
			struct spin_range ranges[SPIN_ACCESSES_MAX]);
	/* Executes one instruction; *regs is the state behind it. */
	int (*step)(void *data, struct user_regs_struct *regs);
	int (*read)(void *data, uint64_t addr, void *to, size_t size);
	/* Floating point and vector state: its size in bytes. */
	int (*extended)(void *data, uint8_t state[SPIN_EXTENDED_MAX]);
	/* Whether the machine may be left at this rip. */
	bool (*may_rest)(void *data, uint64_t rip);
	void *data;
};

struct spin_cycle {
	/* At the canonical place: that of the least rip in the loop, and there of the least general
	 * registers. */
	struct user_regs_struct regs;
	unsigned length; /* instructions */
	uint32_t range_count;
	struct spin_range ranges[SPIN_RANGES_MAX]; /* memory a round touches: sorted, disjoint */
};

/*
 * Executes up to `budget` instructions from *regs on to find a recurring state; then the machine is
 * left at the canonical place.  0; -EAGAIN: none recurred; -E2BIG: the loop touches too much
 * memory; -EXDEV: it has no canonical place; or the error of a callback.  *regs is where the
 * machine is.
 */
int spin_cycle_find(const struct spin_machine *machine, struct user_regs_struct *regs,
		    unsigned budget, struct spin_cycle *ret_cycle);

/* Whether two register states are the same to the program. */
bool spin_regs_equal(const struct user_regs_struct *a, const struct user_regs_struct *b);

#endif
