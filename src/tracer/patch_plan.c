/*
 * Planning patches.
 *
 *   padding    site: jmp short pad         pad: jmp stub      (dead bytes within 127)
 *   direct     site: jmp stub                                 (the instruction has 5 bytes)
 *   backward   head: jmp stub ; [site]                        (heads moved; a site that traps
 *                                                              by itself may be jumped to)
 *   forward    site: jmp stub ; [rest]                        (tails moved)
 *   int3       site: int3                                     (not if it traps by itself)
 *
 *   stub:      moved heads
 *              lea after_site(%rip), %rcx ; lea resume(%rip), %r11 ; jmp *entry
 *              moved tails ; jmp end of window                (only with tails; resume is here)
 *
 * Moved tails may touch memory: a fault there is one of the tail's original address, which the
 * tracer and the shim can tell (patcher_original). Moved heads may not.
 *
 * Jumps, never calls: a push would destroy the red zone. No stub touches flags or the stack.
 *
 * Padding is nops and int3 directly behind an instruction that never goes on, which nothing in
 * the functions nearby jumps to. A window may replace several instructions only if no jump can
 * reach its inside: no direct one of its function, no entry of a jump table, no pointer, and
 * nowhere in the segment bytes that would be a jump or lea to it (so cold parts and labels whose
 * address is taken are covered, wherever the code around them begins).
 *
 * Of computed jumps in its function there may be only those whose targets the file shows:
 *
 *   movslq (base,index,4), to ; add base, to ; jmp *to        base: a lea of a table, here
 *   jmp *table(,index,8)  or  mov table(,index,8), to ; jmp *to     also with table(%rip)
 *
 * without anything between, and not jumped into. Other forms may add an entry to some address
 * else (the label differences of glibc's printf) and are not followed.
 *
 * Owns nothing. Invariant: all decoding is of unpatched bytes, so a plan depends only on the
 * file, the ranges taken before, and the stub's address.
 */
#include "patch_plan.h"

#include <capstone/capstone.h>
#include <errno.h>
#include <string.h>

#include "insn_scan.h"

/* Offsets this far around the site are remembered; a short jump reaches 128, padding is shorter. */
#define NEAR_REACH 256u
/* Functions larger than this are not decoded from their start (10 ms). */
#define FUNCTION_MAX (1u << 20)
/* Without known starts: begin this far before the site, for an instruction before it. */
#define UNKNOWN_REACH 64u
#define MOVED_MAX     4u
#define JUMP_SIZE     5u
#define WINDOW_MAX    32u
/* Computed jumps of one function that are followed; more are in interpreters. */
#define DISPATCH_MAX 32u

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

/* Instructions [begin, end), moved except for the site. The site is covered or lies at the end. */
struct window {
	size_t begin;
	size_t end;
	bool covers_site;
};

struct emitter {
	uint8_t *bytes;
	size_t room;
	size_t size;
	uint64_t address;
	int error; /* the first one; emitting goes on without effect */
};

const char *patch_kind_name(enum patch_kind kind)
{
	static const char *const names[] = {"padding", "direct", "backward", "forward", "int3"};

	return (unsigned)kind < sizeof(names) / sizeof(names[0]) ? names[kind] : "?";
}

static void emit(struct emitter *out, const void *bytes, size_t size)
{
	if (!out->error && size > out->room - out->size)
		out->error = -ENOSPC;
	if (out->error)
		return;
	memcpy(out->bytes + out->size, bytes, size);
	out->size += size;
}

/* A 32-bit displacement to `target` that ends the instruction. */
static void emit_relative(struct emitter *out, uint64_t target)
{
	int64_t distance = (int64_t)(target - (out->address + out->size + 4));
	int32_t relative = (int32_t)distance;

	if (!out->error && relative != distance)
		out->error = -ERANGE;
	emit(out, &relative, sizeof(relative));
}

static void emit_jump(struct emitter *out, uint64_t target)
{
	emit(out, "\xe9", 1);
	emit_relative(out, target);
}

static void emit_jump_absolute(struct emitter *out, uint64_t target)
{
	emit(out, "\xff\x25\0\0\0\0", 6); /* jmp *0(%rip) */
	emit(out, &target, sizeof(target));
}

static uint64_t address_of(const struct near *near, size_t offset)
{
	return near->request->code_address + offset;
}

static bool marked(const struct near *near, size_t offset, unsigned marks)
{
	return offset >= near->low && offset < near->high &&
	       (near->marks[offset - near->low] & marks);
}

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
		if (!marked(near, at, MARK_DEAD) || !marked(near, at, MARK_TARGET))
			continue;
		for (; at < near->high && marked(near, at, MARK_DEAD); at++)
			unmark(near, at, at + 1, MARK_DEAD);
	}
}

static void look_around(struct near *near)
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
		if (!marked(near, i, MARK_DEAD) || marked(near, i, MARK_TAKEN))
			return false;
	return true;
}

/* The nearest padding a short jump at the site reaches; 0 if there is none (never a place). */
static size_t find_padding(const struct near *near)
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

/* Registers an instruction may use anywhere: not segment, control or debug registers. */
static bool plain_register(unsigned reg)
{
	switch (reg) {
	case X86_REG_CS:
	case X86_REG_DS:
	case X86_REG_ES:
	case X86_REG_FS:
	case X86_REG_GS:
	case X86_REG_SS:
	case X86_REG_CR0 ... X86_REG_CR15:
	case X86_REG_DR0 ... X86_REG_DR15:
		return false;
	default:
		return true;
	}
}

/*
 * Registers, immediates, and with `memory` what memory means the same at any address, given that
 * displacements from rip are adjusted (gs is not the app's own). lea and nop name memory but do
 * not touch it.
 */
static bool plain_operand(const cs_insn *insn, const cs_x86_op *operand, bool memory)
{
	if (operand->type == X86_OP_REG)
		return plain_register(operand->reg);
	if (operand->type != X86_OP_MEM || insn->id == X86_INS_NOP)
		return true;
	if (insn->id == X86_INS_LEA)
		return operand->mem.base != X86_REG_EIP;
	return memory && operand->mem.base != X86_REG_EIP && operand->mem.segment != X86_REG_GS;
}

/* Does the instruction do the same at any address, without touching memory unless it may? */
static bool position_free(const cs_insn *insn, bool memory)
{
	static const unsigned allowed[] = {
		X86_INS_MOV,	X86_INS_MOVABS, X86_INS_MOVZX, X86_INS_MOVSX,  X86_INS_MOVSXD,
		X86_INS_CMP,	X86_INS_TEST,	X86_INS_ADD,   X86_INS_SUB,    X86_INS_AND,
		X86_INS_OR,	X86_INS_XOR,	X86_INS_NEG,   X86_INS_NOT,    X86_INS_INC,
		X86_INS_DEC,	X86_INS_SHL,	X86_INS_SHR,   X86_INS_SAR,    X86_INS_NOP,
		X86_INS_XCHG,	X86_INS_LEA,	X86_INS_CDQE,  X86_INS_CMOVE,  X86_INS_CMOVNE,
		X86_INS_CMOVS,	X86_INS_CMOVNS, X86_INS_CMOVA, X86_INS_CMOVAE, X86_INS_CMOVB,
		X86_INS_CMOVBE, X86_INS_SETE,	X86_INS_SETNE, X86_INS_SETA,   X86_INS_SETB,
	};
	bool listed = false;

	for (size_t i = 0; i < sizeof(allowed) / sizeof(allowed[0]); i++)
		listed |= insn->id == allowed[i];
	for (unsigned i = 0; i < insn->detail->x86.op_count; i++)
		listed &= plain_operand(insn, &insn->detail->x86.operands[i], memory);
	return listed;
}

/* All instructions of [begin, end) may be moved, by both decoders' account of their lengths. */
static bool range_movable(const struct near *near, csh capstone, size_t begin, size_t end,
			  bool memory)
{
	const struct code_view *code = &near->request->code;

	while (begin < end) {
		struct insn insn;
		cs_insn *decoded;
		bool movable;

		if (insn_decode(code->bytes + begin, end - begin, &insn) < 0 ||
		    cs_disasm(capstone, code->bytes + begin, insn.length, begin, 1, &decoded) != 1)
			return false;
		movable = decoded->size == insn.length && position_free(decoded, memory);
		cs_free(decoded, 1);
		if (!movable)
			return false;
		begin += insn.length;
	}
	return true;
}

/* Is there, anywhere in the code, a 4-byte relative reference to an offset in [begin, end)? */
static bool referenced(const struct near *near, size_t begin, size_t end)
{
	return code_targets_relative(near->targets, &near->request->code, begin, end);
}

/* All computed jumps of the function get their targets as it seemed. */
static bool dispatches_proven(const struct near *near)
{
	for (size_t i = 0; i < near->dispatch_count; i++) {
		const struct dispatch *dispatch = &near->dispatches[i];

		if ((dispatch->base >= 0 && !(near->table_registers >> dispatch->base & 1)) ||
		    referenced(near, dispatch->begin + 1, dispatch->end))
			return false;
	}
	return true;
}

/* Mark what tables and pointers show. Whole segments are read, so this comes only when needed. */
static int mark_computed_targets(struct near *near)
{
	const struct patch_request *request = near->request;
	int r = code_targets_find_computed(near->targets, &request->code, request->data,
					   request->data_count, request->code_linked);

	for (size_t at = near->low; r == 0 && at < near->high; at++)
		if (code_targets_computed(near->targets, at))
			mark(near, at, at + 1, MARK_TARGET);
	return r;
}

/* More than one instruction is replaced, so a jump could go to a later one of them. */
static bool has_inside(const struct near *near, const struct window *window)
{
	struct insn insn;
	const struct code_view *code = &near->request->code;

	return insn_decode(code->bytes + window->begin, code->size - window->begin, &insn) < 0 ||
	       window->begin + insn.length < window->end;
}

static bool window_usable(const struct near *near, csh capstone, const struct window *window)
{
	size_t site = near->request->site;
	size_t site_end = site + near->site.length;
	bool inside = has_inside(near, window);

	if (window->begin < near->begin || window->end > near->end ||
	    window->end - window->begin > WINDOW_MAX || (inside && !near->whole))
		return false;
	for (size_t i = window->begin; i < window->end; i++)
		if (marked(near, i, MARK_TAKEN) ||
		    (i > window->begin && marked(near, i, MARK_TARGET)))
			return false;
	if (!range_movable(near, capstone, window->begin, site, false))
		return false;
	if (window->covers_site && !range_movable(near, capstone, site_end, window->end, true))
		return false;
	return !inside || !referenced(near, window->begin + 1, window->end);
}

/* Begin of the `count`-th instruction before the site, or SIZE_MAX. */
static size_t walk_back(const struct near *near, unsigned count)
{
	size_t at = near->request->site;

	if (count && !near->before_known)
		return SIZE_MAX;
	while (count--) {
		size_t previous = at;

		do {
			if (previous <= near->low || at - previous == INSN_LENGTH_MAX)
				return SIZE_MAX;
			previous--;
		} while (!marked(near, previous, MARK_INSN));
		at = previous;
	}
	return at;
}

/* End of the `count`-th instruction after the site, or SIZE_MAX. */
static size_t walk_on(const struct near *near, unsigned count)
{
	const struct code_view *code = &near->request->code;
	size_t at = near->request->site + near->site.length;

	while (count--) {
		struct insn insn;

		if (at >= near->end || insn_decode(code->bytes + at, near->end - at, &insn) < 0)
			return SIZE_MAX;
		at += insn.length;
	}
	return at;
}

/* The window with so many instructions moved, if it has room for a jump and is usable. */
static bool try_window(const struct near *near, csh capstone, unsigned heads, unsigned tails,
		       bool covers_site, struct window *ret_window)
{
	struct window window = {walk_back(near, heads), near->request->site, covers_site};

	if (covers_site)
		window.end = walk_on(near, tails);
	if (window.begin == SIZE_MAX || window.end == SIZE_MAX ||
	    window.end - window.begin < JUMP_SIZE || !window_usable(near, capstone, &window))
		return false;
	*ret_window = window;
	return true;
}

/* rdtsc is made to trap by PR_SET_TSC, at the price of a breakpoint. */
static bool traps_by_itself(const struct near *near)
{
	return INSN_SET(near->site.kind) &
	       (INSN_SET(INSN_SYSCALL) | INSN_SET(INSN_RDTSC) | INSN_SET(INSN_RDTSCP));
}

/*
 * The best window: moving nothing; heads only, leaving the site intact for jumps onto it, where it
 * traps; heads over the site; tails, as few heads with them as will do.
 */
static bool find_window(const struct near *near, csh capstone, struct window *ret_window)
{
	if (try_window(near, capstone, 0, 0, true, ret_window))
		return true;
	for (unsigned heads = 1; traps_by_itself(near) && heads <= MOVED_MAX; heads++)
		if (try_window(near, capstone, heads, 0, false, ret_window))
			return true;
	for (unsigned heads = 1; heads <= MOVED_MAX; heads++)
		if (try_window(near, capstone, heads, 0, true, ret_window))
			return true;
	for (unsigned heads = 0; heads <= MOVED_MAX; heads++)
		for (unsigned tails = 1; tails <= MOVED_MAX; tails++)
			if (try_window(near, capstone, heads, tails, true, ret_window))
				return true;
	return false;
}

static void emit_syscall(struct emitter *out, const struct patch_plan *plan,
			 const struct patch_target *target)
{
	emit(out, "\x48\x8d\x0d", 3); /* lea after(%rip), %rcx */
	emit_relative(out, plan->return_address);
	emit(out, "\x4c\x8d\x1d", 3); /* lea resume(%rip), %r11 */
	emit_relative(out, plan->resume_address);
	emit_jump_absolute(out, target->syscall_entry);
}

static void emit_insn(struct emitter *out, const struct patch_plan *plan,
		      const struct patch_target *target)
{
	emit(out, "\x65\x4c\x89\x1c\x25", 5); /* mov %r11, %gs:slot */
	emit(out, &target->slot_r11, 4);
	emit(out, "\x4c\x8d\x1d", 3); /* lea resume(%rip), %r11 */
	emit_relative(out, plan->resume_address);
	emit(out, "\x65\x4c\x89\x1c\x25", 5);
	emit(out, &target->slot_resume, 4);
	emit(out, "\x65\x48\xc7\x04\x25", 5); /* movq $code, %gs:slot */
	emit(out, &target->slot_code, 4);
	emit(out, &plan->insn, 4);
	emit_jump_absolute(out, target->insn_entry);
}

/* A transaction that always aborts, and says that retrying is no use. */
static void emit_xbegin(struct emitter *out, const struct patch_plan *plan)
{
	emit(out, "\xb8\0\0\0\0", 5); /* mov $0, %eax */
	emit_jump(out, plan->resume_address);
}

/* Size of what the three functions above emit: the tail comes after it. */
static size_t core_size(unsigned kind)
{
	if (kind == INSN_SYSCALL)
		return 28;
	return kind == INSN_XBEGIN ? 10 : 52;
}

static void plan_moves(const struct near *near, const struct window *window,
		       struct patch_plan *plan)
{
	uint64_t site_end = address_of(near, near->request->site + near->site.length);

	plan->head_size = (uint32_t)(near->request->site - window->begin);
	plan->head_address = address_of(near, window->begin);
	plan->head_to = near->request->stub_address;
	plan->tail_address = site_end;
	plan->tail_to = plan->head_to + plan->head_size + core_size(near->site.kind);
	if (window->covers_site)
		plan->tail_size = (uint32_t)(address_of(near, window->end) - site_end);
	if (plan->tail_size)
		plan->resume_address = plan->tail_to;
}

/* Where in the instruction a displacement from rip is, or 0 if it has none. */
static size_t relative_place(const struct insn *insn)
{
	static const uint8_t opcode_sizes[] = {
		[INSN_MAP_ONE] = 1, [INSN_MAP_0F] = 2, [INSN_MAP_0F38] = 3, [INSN_MAP_0F3A] = 3};

	if (!insn->has_modrm || (insn->modrm & 0xc7) != 0x05 || insn->map > INSN_MAP_0F3A)
		return 0;
	return insn->opcode_offset + opcode_sizes[insn->map] + 1u;
}

/* A copy of one instruction; what it names relative to itself follows it to its new place. */
static void emit_copy(struct emitter *out, const struct near *near, size_t at,
		      const struct insn *insn)
{
	const uint8_t *bytes = near->request->code.bytes + at;
	size_t place = relative_place(insn);
	size_t rest = insn->length - (place + 4);
	int32_t relative;

	if (!place) {
		emit(out, bytes, insn->length);
		return;
	}
	memcpy(&relative, bytes + place, sizeof(relative));
	emit(out, bytes, place);
	/* counted from the end of the instruction, which an immediate may still come before */
	emit_relative(out,
		      address_of(near, at + insn->length) + (uint64_t)(int64_t)relative - rest);
	emit(out, bytes + place + 4, rest);
}

/* Copies of the instructions in [begin, end), which were found movable. */
static void emit_moved(struct emitter *out, const struct near *near, size_t begin, size_t end)
{
	const uint8_t *bytes = near->request->code.bytes;

	while (begin < end) {
		struct insn insn;

		if (insn_decode(bytes + begin, end - begin, &insn) < 0) {
			out->error = -EINVAL;
			return;
		}
		emit_copy(out, near, begin, &insn);
		begin += insn.length;
	}
}

/* The stub, with what the window moves. */
static int plan_stub(const struct near *near, const struct window *window, struct patch_plan *plan)
{
	const struct patch_request *request = near->request;
	size_t site_end = request->site + near->site.length;
	struct emitter out = {.bytes = plan->stub,
			      .room = request->stub_room < PATCH_PLAN_STUB_MAX
					      ? request->stub_room
					      : PATCH_PLAN_STUB_MAX,
			      .address = request->stub_address};

	plan_moves(near, window, plan);
	emit_moved(&out, near, window->begin, request->site);
	if (near->site.kind == INSN_SYSCALL)
		emit_syscall(&out, plan, &request->target);
	else if (near->site.kind == INSN_XBEGIN)
		emit_xbegin(&out, plan);
	else
		emit_insn(&out, plan, &request->target);
	emit_moved(&out, near, site_end, site_end + plan->tail_size);
	if (plan->tail_size)
		emit_jump(&out, address_of(near, window->end));
	plan->stub_size = out.size;
	return out.error;
}

/* Add a write at `begin`, claiming up to `end`; the returned emitter takes its bytes. */
static struct emitter add_write(const struct near *near, struct patch_plan *plan, size_t begin,
				size_t end)
{
	struct patch_store *write = &plan->writes[plan->write_count];

	plan->claimed[plan->write_count] = (struct patch_range){(uint32_t)begin, (uint32_t)end};
	plan->write_count++;
	write->address = address_of(near, begin);
	return (struct emitter){
		.bytes = write->bytes, .room = sizeof(write->bytes), .address = write->address};
}

/* Finish a write; all of them are jumps of a size known before. */
static int end_write(struct patch_plan *plan, const struct emitter *out)
{
	plan->writes[plan->write_count - 1].size = (uint8_t)out->size;
	return out->error;
}

static int write_jump(const struct near *near, struct patch_plan *plan, size_t begin, size_t end)
{
	struct emitter out = add_write(near, plan, begin, end);

	emit_jump(&out, near->request->stub_address);
	return end_write(plan, &out);
}

static int plan_padding(const struct near *near, struct patch_plan *plan)
{
	size_t site = near->request->site;
	size_t padding = find_padding(near);
	struct window nothing = {site, site + near->site.length, true};
	struct emitter out;
	uint8_t distance;
	int r;

	/* a direct jump is as good, and spares the padding */
	if (!padding || near->site.length >= JUMP_SIZE)
		return -ENOENT;
	plan->kind = PATCH_PADDING;
	r = plan_stub(near, &nothing, plan);
	if (r == 0)
		r = write_jump(near, plan, padding, padding + JUMP_SIZE);
	if (r < 0)
		return r;
	out = add_write(near, plan, site, site + near->site.length);
	distance = (uint8_t)(padding - (site + 2));
	emit(&out, "\xeb", 1);
	emit(&out, &distance, 1);
	return end_write(plan, &out);
}

static int plan_window(struct near *near, struct patch_plan *plan)
{
	struct window window;
	csh capstone;
	bool found;
	int r;

	near->whole = near->whole && dispatches_proven(near) && mark_computed_targets(near) == 0;
	if (cs_open(CS_ARCH_X86, CS_MODE_64, &capstone) != CS_ERR_OK)
		return -ENOMEM;
	cs_option(capstone, CS_OPT_DETAIL, CS_OPT_ON);
	found = find_window(near, capstone, &window);
	cs_close(&capstone);
	if (!found)
		return -ENOENT;
	r = plan_stub(near, &window, plan);
	if (r < 0)
		return r;
	plan->kind = plan->tail_size   ? PATCH_FORWARD
		     : plan->head_size ? PATCH_BACKWARD
				       : PATCH_DIRECT;
	return write_jump(near, plan, window.begin, window.end);
}

static int plan_int3(const struct near *near, struct patch_plan *plan)
{
	size_t site = near->request->site;
	struct emitter out;

	if (traps_by_itself(near))
		return -ENOENT;
	plan->kind = PATCH_INT3;
	out = add_write(near, plan, site, site + near->site.length);
	emit(&out, "\xcc", 1);
	return end_write(plan, &out);
}

static int check_request(const struct patch_request *request, struct insn_site *ret_site)
{
	const struct patch_target *target = &request->target;
	const struct code_view *code = &request->code;

	if (request->site >= code->size || code->size > UINT32_MAX ||
	    insn_classify(code->bytes + request->site, code->size - request->site, ret_site) < 0)
		return -EINVAL;
	if ((target->slot_r11 | target->slot_resume | target->slot_code) > INT32_MAX)
		return -EINVAL;
	return INSN_SET(ret_site->kind) & INSN_SET_REFUSED ? -EOPNOTSUPP : 0;
}

/* Where the app goes on after the instruction when nothing is moved. */
static uint64_t natural_resume(const struct near *near, uint64_t return_address)
{
	int32_t relative;

	if (near->site.kind != INSN_XBEGIN)
		return return_address;
	memcpy(&relative, near->request->code.bytes + near->request->site + near->site.length - 4,
	       4);
	return return_address + (uint64_t)(int64_t)relative;
}

static int plan_site(struct near *near, struct patch_plan *ret_plan)
{
	const struct patch_request *request = near->request;
	struct patch_plan plan = {0}, common;
	int r;

	look_around(near);
	for (size_t i = 0; i < near->site.length; i++)
		if (marked(near, request->site + i, MARK_TAKEN))
			return -EINVAL;
	plan.insn = INSN_CODE(near->site.kind, near->site.reg, near->site.operand_size,
			      near->site.length);
	plan.return_address = address_of(near, request->site + near->site.length);
	plan.resume_address = natural_resume(near, plan.return_address);
	common = plan;
	r = plan_padding(near, &plan);
	if (r == -ENOENT)
		r = plan_window(near, &plan);
	if (r < 0) {
		/* better a slow answer than the host's, also if the stubs are full or too far */
		if (plan_int3(near, &common) < 0)
			return r;
		plan = common;
	}
	*ret_plan = plan;
	return 0;
}

int patch_plan(const struct patch_request *request, struct patch_plan *ret_plan)
{
	struct code_targets own = {0};
	struct near near = {.request = request,
			    .targets = request->targets ? request->targets : &own};
	int r = check_request(request, &near.site);

	if (r == 0)
		r = plan_site(&near, ret_plan);
	code_targets_finish(&own);
	return r;
}

/* ---- yield points ---- */

/* The whole of the instruction moves, so it must be large enough, and stay what it is elsewhere. */
bool patch_can_yield(const struct insn *insn)
{
	return insn->length >= JUMP_SIZE && insn->flow == INSN_FLOW_NEXT &&
	       insn->map <= INSN_MAP_0F3A;
}

static int yield_moved(struct near *near, const struct insn *insn, struct patch_plan *plan)
{
	const struct patch_request *request = near->request;
	struct emitter out = {.bytes = plan->stub,
			      .room = request->stub_room < PATCH_PLAN_STUB_MAX
					      ? request->stub_room
					      : PATCH_PLAN_STUB_MAX,
			      .address = request->stub_address};

	plan->kind = PATCH_DIRECT;
	emit_copy(&out, near, request->site, insn);
	emit_insn(&out, plan, &request->target);
	plan->stub_size = out.size;
	plan->tail_address = address_of(near, request->site);
	plan->tail_to = request->stub_address;
	plan->tail_size = insn->length;
	if (out.error < 0)
		return out.error;
	return write_jump(near, plan, request->site, request->site + insn->length);
}

static int yield_breakpoint(struct near *near, const struct insn *insn, struct patch_plan *plan)
{
	struct emitter out =
		add_write(near, plan, near->request->site, near->request->site + insn->length);

	plan->kind = PATCH_INT3;
	emit(&out, "\xcc", 1);
	return end_write(plan, &out);
}

static int plan_yield(struct near *near, const struct insn *insn, struct patch_plan *ret_plan)
{
	struct patch_plan plan = {0}, common;
	int r = -ENOENT;

	plan.insn = INSN_CODE(INSN_YIELD, 0, 0, insn->length);
	plan.return_address = address_of(near, near->request->site + insn->length);
	plan.resume_address = plan.return_address;
	common = plan;
	if (patch_can_yield(insn))
		r = yield_moved(near, insn, &plan);
	if (r < 0) {
		r = yield_breakpoint(near, insn, &common);
		plan = common;
	}
	if (r == 0)
		*ret_plan = plan;
	return r;
}

int patch_plan_yield(const struct patch_request *request, struct patch_plan *ret_plan)
{
	const struct code_view *code = &request->code;
	struct near near = {.request = request};
	struct insn_site listed;
	struct insn insn;

	if (request->site >= code->size || code->size > UINT32_MAX ||
	    insn_classify(code->bytes + request->site, code->size - request->site, &listed) == 0 ||
	    insn_decode(code->bytes + request->site, code->size - request->site, &insn) < 0)
		return -EINVAL;
	for (size_t i = 0; i < request->taken_count; i++) {
		if (request->taken[i].begin < request->site + insn.length &&
		    request->taken[i].end > request->site)
			return -EINVAL;
	}
	return plan_yield(&near, &insn, ret_plan);
}
