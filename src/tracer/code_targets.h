/*
 * Where code may be jumped into, by what its file shows: jump tables, pointers, displacements.
 */
#ifndef SHADOW_TRACER_CODE_TARGETS_H
#define SHADOW_TRACER_CODE_TARGETS_H

#include "insn_decode.h"

/*
 * Other bytes of the same file as some code, where they lie beside it in the address space, as the
 * file has them.
 */
struct code_data {
	const uint8_t *bytes;
	size_t size;
	int64_t offset; /* of bytes[0] from the code's bytes[0] */
};

/* What is known of one code view; all zeros at first. */
struct code_targets {
	uint8_t *computed; /* a bit for each offset, or NULL: not looked for yet */
	uint8_t *relative;
	int error; /* of code_targets_find_computed */
};

/*
 * How many entries a jump table at `table` (an offset from the beginning of the code) has: 4-byte
 * distances from the table to places in the code, read until one leads elsewhere, so what
 * follows a table may be counted with it. 0 if there is none.
 */
size_t code_table_entries(const struct code_view *code, const struct code_data *data,
			  size_t data_count, int64_t table);

/*
 * Finds, the first time, all places computed jumps may go to that the file shows: entries of any
 * table whose address a lea in the code names, and pointers (to the code linked at `linked`) in
 * code or data, among which are the addends of relocations. A superset: what only looks like a lea,
 * a table or a pointer counts.
 * Returns 0, -ENOMEM, or -E2BIG if there are more entries than real files have.
 */
int code_targets_find_computed(struct code_targets *targets, const struct code_view *code,
			       const struct code_data *data, size_t data_count, uint64_t linked);

/* Whether the offset is one of them; after code_targets_find_computed returned 0. */
bool code_targets_computed(const struct code_targets *targets, size_t offset);

/*
 * Whether there is, anywhere in the code, a 4-byte displacement of what may be a branch or a lea
 * to an offset in [begin, end). A superset too; true without memory.
 */
bool code_targets_relative(struct code_targets *targets, const struct code_view *code, size_t begin,
			   size_t end);

void code_targets_finish(struct code_targets *targets);

#endif
