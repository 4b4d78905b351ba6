/*
 * Spinning tasks: those that wait in a loop without a single event.
 *
 * The tracer finds out that a task's loop is a fixed point (src/tracer/spin_cycle.h), moves the
 * task to the loop's canonical place and has it make one event, EVENT_SPIN, in which it is parked
 * until the memory that its loop touches is other than it was, or a signal is to be taken.  When
 * the tracer looked leaves no trace: the state at the canonical place is the same in every round of
 * the loop.
 *
 * Memory is looked at where turns change and every CHAIN_EVENTS events, so at places which are
 * functions of the container's state.
 */
#ifndef SHADOW_SPIN_H
#define SHADOW_SPIN_H

#include "shim_abi.h"
#include "task.h"

#define SPIN_RANGES_MAX 64
#define SPIN_BYTES_MAX	4096 /* of all ranges together */

struct spin_range {
	u64 addr;
	u64 size;
};

/* A parked spinning task, in the heap. */
struct spinner {
	struct spinner *next;
	u32 task; /* slot */
	u32 mm;
	u32 shared; /* who has another address space can store there, too */
	u32 count;
	u64 turn; /* waits are numbered as they begin */
	struct spin_range ranges[SPIN_RANGES_MAX];
	u8 bytes[SPIN_BYTES_MAX]; /* what the ranges held when it was parked, one after the other */
};

struct spin_state {
	struct spinner *first; /* who waits longest first */
	u64 turns;	       /* waits begun */
	/* What the tracer found: the memory that a round of the loop touches, sorted, disjoint. */
	u32 found_count;
	/* UPCALL_SPIN_PEEK: the memory of a task in another address space. */
	u32 peek_failed;
	struct spin_range found[SPIN_RANGES_MAX];
	u8 peeked[SPIN_BYTES_MAX];
};
#define SPIN REGION_AT(struct spin_state, REGION_SPIN_OFF)
_Static_assert(REGION_SPIN_OFF + sizeof(struct spin_state) <= REGION_GENERATOR_OFF, "region map");

#ifdef SHADOW_SHIM
/* The event of a task that the tracer found at a fixed point: parks it. */
void spin_park(struct task *t);

/*
 * Makes the spinning task runnable that waits longest of those whose memory has changed; true if
 * there is one.  Memory shared with another address space is looked at only if `far`: that costs a
 * stop of the tracer.
 */
bool spin_wake_changed(bool far);

struct mm;

/* Mappings in [start, end) change: if there is code among them, who spins in that address space has
 * another look, since the loop may be in it. */
void spin_code_changes(const struct mm *mm, u64 start, u64 end);

/* Another address space's task has stored into [start, end) of this one, which nobody can who does
 * not share it: whose loop looks there goes on. */
void spin_memory_changes(const struct mm *mm, u64 start, u64 end);

/* The task ends: it may have been parked here. */
void spin_forget(struct task *t);

/* The virtual time at which an armed timer of a spinning task's cpu time is due if that task alone
 * goes on; UINT64_MAX if there is none. */
u64 spin_cpu_deadline(void);

/* So much virtual time passed while nobody but spinning tasks wanted the processor: it was theirs.
 */
void spin_charge(u64 ns);

/* Whether a parked spinning task has a handler for a signal that can come from outside. */
bool spin_waits_for_signal(void);
#endif

#endif
