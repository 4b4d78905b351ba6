/*
 * See patch_near.h.  Of computed jumps in the function there may be only those whose targets the
 * file shows:
 *
 *   movslq (base,index,4), to ; add base, to ; jmp *to        base: a lea of a table, here
 *   jmp *table(,index,8)  or  mov table(,index,8), to ; jmp *to     also with table(%rip)
 *
 * without anything between, and not jumped into. Other forms may add an entry to some address
 * else (the label differences of glibc's printf) and are not followed.
 */
#include "patch_near.h"

#include <string.h>

/* Functions larger than this are not decoded from their start (10 ms). */
#define FUNCTION_MAX (1u << 20)
/* Without known starts: begin this far before the site, for an instruction before it. */
#define UNKNOWN_REACH 64u

static void mark(struct near *near, size_t begin, size_t end, unsigned marks)
{
	if (begin < near->low)
		begin = near->low;
	for (size_t i = begin; i < end && i < near->high; i++)
		near->marks[i - near->low] |= (uint8_t)marks;
}

static void unmark(struct near *near, size_t begin, size_t end, unsigned marks)
{
	for (size_t i = begin < near->low ? near->low : begin; i < end && i < near->high; i++)
		near->marks[i - near->low] &= (uint8_t)~marks;
}

static void mark_target(struct near *near, size_t at, const struct insn *insn)
{
	size_t target = at + insn->length + (size_t)(int64_t)insn->relative;

	if (target < near->high)
		mark(near, target, target + 1, MARK_TARGET);
}

static unsigned modrm_reg(const struct insn *insn)
{
	return (insn->modrm >> 3 & 7) | (insn->rex & 4) << 1;
}

static unsigned modrm_rm(const struct insn *insn)
{
	return (insn->modrm & 7) | (insn->rex & 1) << 3;
}

static bool is_wide(const struct insn *insn, unsigned opcode)
{
	return insn->map == INSN_MAP_ONE && insn->opcode == opcode && (insn->rex & 8) &&
	       !insn->prefixes;
}

/* jmp *register, also with notrack */
static bool is_register_jump(const uint8_t *bytes, const struct insn *insn)
{
	return insn->flow == INSN_FLOW_JUMP_INDIRECT && insn->modrm >= 0xe0 &&
	       (!insn->prefixes || (insn->prefixes == INSN_PREFIX_SEG && bytes[0] == 0x3e));
}

/* Is the memory operand x(%rip) or x(,index,8)? */
static bool is_static_operand(const uint8_t *bytes, const struct insn *insn)
{
	if ((insn->prefixes & ~INSN_PREFIX_SEG) || (insn->prefixes && bytes[0] != 0x3e))
		return false;
	if ((insn->modrm & 0xc7) == 0x05)
		return true;
	return (insn->modrm & 0xc7) == 0x04 && (bytes[insn->opcode_offset + 2] & 0xc7) == 0xc5;
}

/* Do `load` and `sum` make `target` from a table: movslq (base,index,4), x ; add? */
static bool is_table_sum(const uint8_t *load_bytes, const struct insn *load, const struct insn *sum,
			 unsigned target, int *ret_base)
{
	unsigned mode = load->modrm >> 6;
	unsigned sib = load_bytes[load->opcode_offset + 2];
	unsigned base = (sib & 7) | (load->rex & 1) << 3;
	unsigned to = modrm_reg(sum);
	unsigned from = modrm_rm(sum);

	if (!is_wide(load, 0x63) || (load->modrm & 7) != 4 || mode > 1 || (sib & 0xc0) != 0x80)
		return false;
	/* rbp and r13 need a displacement, of 0; without one they would mean none */
	if (mode == 1 ? load_bytes[load->opcode_offset + 3] : (sib & 7) == 5)
		return false;
	if (is_wide(sum, 0x01)) {
		to = modrm_rm(sum);
		from = modrm_reg(sum);
	} else if (!is_wide(sum, 0x03)) {
		return false;
	}
	*ret_base = (int)base;
	return sum->modrm >= 0xc0 && to == target && base != modrm_reg(load) &&
	       ((to == base && from == modrm_reg(load)) || (from == base && to == modrm_reg(load)));
}

/* The two instructions decoded before the one at `at`, if they are of the same function. */
static bool decode_before(const struct near *near, size_t at, struct insn insns[2])
{
	const uint8_t *bytes = near->request->code.bytes;

	for (unsigned i = 0; i < 2; i++) {
		size_t begin = near->previous[i];

		if (begin < near->begin || begin >= at ||
		    insn_decode(bytes + begin, at - begin, &insns[i]) < 0 ||
		    begin + insns[i].length != at)
			return false;
		at = begin;
	}
	return true;
}

/* How the computed jump at `at` gets its target, if that is one of the ways that are followed. */
static bool follow_dispatch(const struct near *near, size_t at, const struct insn *jump,
			    struct dispatch *ret_dispatch)
{
	const uint8_t *bytes = near->request->code.bytes;
	struct insn before[2];

	*ret_dispatch = (struct dispatch){at, at + jump->length, -1};
	if (jump->modrm < 0xc0)
		return (jump->modrm & 0x38) == 0x20 && is_static_operand(bytes + at, jump);
	if (!is_register_jump(bytes + at, jump) || !decode_before(near, at, before))
		return false;
	ret_dispatch->begin = near->previous[0];
	if (is_wide(&before[0], 0x8b) && modrm_reg(&before[0]) == modrm_rm(jump) &&
	    is_static_operand(bytes + near->previous[0], &before[0]))
		return true;
	ret_dispatch->begin = near->previous[1];
	return is_table_sum(bytes + near->previous[1], &before[1], &before[0], modrm_rm(jump),
			    &ret_dispatch->base);
}

/* Does `target` continue to a computed jump at once, or after one addition? */
static bool leads_to_dispatch(const struct near *near, size_t target)
{
	const struct code_view *code = &near->request->code;
	struct insn insn;

	for (unsigned i = 0; i < 2; i++) {
		if (target >= near->end ||
		    insn_decode(code->bytes + target, near->end - target, &insn) < 0)
			return false;
		if (insn.flow == INSN_FLOW_JUMP_INDIRECT)
			return insn.modrm >= 0xc0;
		if (!is_wide(&insn, 0x01) && !is_wide(&insn, 0x03))
			return false;
		target += insn.length;
	}
	return false;
}

/* What the instruction at `at`, of the function of the site, tells of where its jumps go. */
static void note_flow(struct near *near, size_t at, const struct insn *insn)
{
	const struct patch_request *request = near->request;
	size_t next = at + insn->length;
	int32_t relative;

	if (insn->flow == INSN_FLOW_JUMP_INDIRECT) {
		if (!request->data_count || near->dispatch_count == DISPATCH_MAX ||
		    !follow_dispatch(near, at, insn, &near->dispatches[near->dispatch_count++]))
			near->whole = false;
	} else if (insn_has_target(insn)) {
		if (leads_to_dispatch(near, next + (size_t)(int64_t)insn->relative))
			near->whole = false;
	} else if (insn_is_relative_lea(insn) && (insn->rex & 8)) {
		memcpy(&relative, request->code.bytes + next - 4, sizeof(relative));
		if (code_table_entries(&request->code, request->data, request->data_count,
				       (int64_t)next + relative))
			near->table_registers |= 1u << modrm_reg(insn);
	}
	near->previous[1] = near->previous[0];
	near->previous[0] = at;
}

/* An instruction decoded at `at`; *dead tells whether it can be reached from the one before. */
static void note(struct near *near, size_t at, const struct insn *insn, bool *dead)
{
	bool filler = insn_is_nop(insn) || near->request->code.bytes[at] == 0xcc;

	mark(near, at, at + 1, MARK_INSN);
	if (insn_has_target(insn))
		mark_target(near, at, insn);
	if (near->whole && at >= near->begin && at < near->end)
		note_flow(near, at, insn);
	if (*dead && filler)
		mark(near, at, at + insn->length, MARK_DEAD);
	else
		*dead = insn_ends_flow(insn);
}

/*
 * Decode [at, end) of one function. Decoding that goes astray before the site takes it up again
 * there, since the site is known to be an instruction.
 */
static void sweep_function(struct near *near, size_t at, size_t end)
{
	const struct code_view *code = &near->request->code;
	size_t site = near->request->site;
	size_t first = at;
	bool dead = false;

	while (at < end) {
		struct insn insn;
		int r = insn_decode(code->bytes + at, end - at, &insn);

		if (at < site && site < end && (r < 0 || at + insn.length > site)) {
			unmark(near, first, site, MARK_INSN | MARK_DEAD);
			near->before_known = false;
			near->whole = false;
			dead = false;
			at = site;
			continue;
		}
		if (r < 0) {
			if (site >= first && site < end)
				near->whole = false;
			return;
		}
		note(near, at, &insn, &dead);
		at += insn.length;
	}
}

/* All functions that overlap what is near the site. */
static void sweep(struct near *near)
{
	const struct code_view *code = &near->request->code;
	size_t at, end;

	if (code_view_function(code, near->low, &at, &end) < 0 || near->low - at > FUNCTION_MAX)
		at = end;
	while (at < near->high && at < code->size) {
		code_view_function(code, at, &(size_t){0}, &end);
		sweep_function(near, at, end - at > FUNCTION_MAX ? at + FUNCTION_MAX : end);
		at = end;
	}
}

/*
 * Without a known start: code that follows the site is decoded from there; the few instructions
 * before it only if decoding from many places agrees on the site.
 */
static void sweep_unknown(struct near *near)
{
	const struct code_view *code = &near->request->code;
	size_t site = near->request->site;
	size_t at = site;
	struct insn insn;

	near->whole = false;
	near->before_known = site > UNKNOWN_REACH &&
			     insn_decode(code->bytes + site, code->size - site, &insn) == 0 &&
			     insn_agreed(code, site + insn.opcode_offset);
	if (near->before_known)
		at = site - UNKNOWN_REACH;
	sweep_function(near, at, near->high < near->end ? near->high : near->end);
	/* the first of them were perhaps out of step, so no padding is taken from there */
	unmark(near, near->low, site, MARK_DEAD);
	if (near->before_known)
		unmark(near, near->low, site - UNKNOWN_REACH / 2, MARK_INSN);
}

/* Where something jumps into padding, the rest of it is reached. */
static void revive_targets(struct near *near)
{
	for (size_t at = near->low; at < near->high; at++) {
		if (!near_marked(near, at, MARK_DEAD) || !near_marked(near, at, MARK_TARGET))
			continue;
		for (; at < near->high && near_marked(near, at, MARK_DEAD); at++)
			unmark(near, at, at + 1, MARK_DEAD);
	}
}

void near_look(struct near *near)
{
	const struct patch_request *request = near->request;
	size_t site = request->site;
	bool known;

	near->low = site > NEAR_REACH ? site - NEAR_REACH : 0;
	near->high =
		site + NEAR_REACH < request->code.size ? site + NEAR_REACH : request->code.size;
	near->before_known = true;
	near->whole = true;
	known = code_view_function(&request->code, site, &near->begin, &near->end) == 0 &&
		near->end - near->begin <= FUNCTION_MAX;
	if (known)
		sweep(near);
	else
		sweep_unknown(near);
	revive_targets(near);
	for (size_t i = 0; i < request->taken_count; i++)
		mark(near, request->taken[i].begin, request->taken[i].end, MARK_TAKEN);
}

static bool padding_free(const struct near *near, size_t at)
{
	for (size_t i = at; i < at + JUMP_SIZE; i++)
		if (!near_marked(near, i, MARK_DEAD) || near_marked(near, i, MARK_TAKEN))
			return false;
	return true;
}

size_t near_padding(const struct near *near)
{
	size_t from = near->request->site + 2;

	for (size_t distance = 0; distance <= 128; distance++) {
		if (distance < 128 && padding_free(near, from + distance))
			return from + distance;
		if (distance && distance < from && padding_free(near, from - distance))
			return from - distance;
	}
	return 0;
}

bool near_referenced(const struct near *near, size_t begin, size_t end)
{
	return code_targets_relative(near->targets, &near->request->code, begin, end);
}

bool near_dispatches_proven(const struct near *near)
{
	for (size_t i = 0; i < near->dispatch_count; i++) {
		const struct dispatch *dispatch = &near->dispatches[i];

		if ((dispatch->base >= 0 && !(near->table_registers >> dispatch->base & 1)) ||
		    near_referenced(near, dispatch->begin + 1, dispatch->end))
			return false;
	}
	return true;
}

int near_mark_computed(struct near *near)
{
	const struct patch_request *request = near->request;
	int r = code_targets_find_computed(near->targets, &request->code, request->data,
					   request->data_count, request->code_linked);

	for (size_t at = near->low; r == 0 && at < near->high; at++)
		if (code_targets_computed(near->targets, at))
			mark(near, at, at + 1, MARK_TARGET);
	return r;
}
