/*
 * What is known of the code around one site: where instructions begin, what is jumped to, which
 * bytes are never reached; and the computed jumps of its function with the tables they read.
 */
#ifndef SHADOW_TRACER_PATCH_NEAR_H
#define SHADOW_TRACER_PATCH_NEAR_H

#include "insn_scan.h"
#include "patch_plan.h"

/* Offsets this far around the site are remembered; a short jump reaches 128, padding is shorter. */
#define NEAR_REACH 256u
/* Computed jumps of one function that are followed; more are in interpreters. */
#define DISPATCH_MAX 32u
/* Bytes of a jump to a stub. */
#define JUMP_SIZE 5u

/* Marks of an offset near the site. */
enum {
	MARK_INSN = 1,	 /* an instruction begins here */
	MARK_TARGET = 2, /* something jumps here */
	MARK_DEAD = 4,	 /* padding that is never reached */
	MARK_TAKEN = 8,	 /* belongs to an earlier patch */
};

/* A computed jump with the instructions before it that make its target, [begin, end). */
struct dispatch {
	size_t begin;
	size_t end;
	int base; /* register with the address of the table, or -1 if the table is in the code */
};

struct near {
	const struct patch_request *request;
	struct code_targets *targets;
	struct insn_site site;
	size_t low; /* marks[i] is of offset low + i */
	size_t high;
	uint8_t marks[2 * NEAR_REACH];
	size_t begin; /* of the function of the site */
	size_t end;
	bool before_known;  /* instructions before the site are marked */
	bool whole;	    /* the whole function was decoded, and all its jumps are known */
	size_t previous[2]; /* begin of the last instruction decoded, and of the one before */
	struct dispatch dispatches[DISPATCH_MAX]; /* of the function of the site */
	size_t dispatch_count;
	unsigned table_registers; /* those a lea of a table in the function writes */
};

static inline uint64_t near_address(const struct near *near, size_t offset)
{
	return near->request->code_address + offset;
}

static inline bool near_marked(const struct near *near, size_t offset, unsigned marks)
{
	return offset >= near->low && offset < near->high &&
	       (near->marks[offset - near->low] & marks);
}

/* Looks around the site of near->request, whose kind and length near->site tells. */
void near_look(struct near *near);

/* The nearest padding a short jump at the site reaches; 0 if there is none (never a place). */
size_t near_padding(const struct near *near);

/* Is there, anywhere in the code, a 4-byte relative reference to an offset in [begin, end)? */
bool near_referenced(const struct near *near, size_t begin, size_t end);

/* All computed jumps of the function get their targets as it seemed. */
bool near_dispatches_proven(const struct near *near);

/* Marks what tables and pointers show. Whole segments are read, so this comes only when needed.
 * 0, or -ENOMEM. */
int near_mark_computed(struct near *near);

/* rdtsc is made to trap by PR_SET_TSC, at the price of a breakpoint. */
static inline bool near_traps(const struct near *near)
{
	return INSN_SET(near->site.kind) &
	       (INSN_SET(INSN_SYSCALL) | INSN_SET(INSN_RDTSC) | INSN_SET(INSN_RDTSCP));
}

#endif
