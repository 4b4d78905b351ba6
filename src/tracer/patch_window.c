/*
 * See patch_window.h.  A window may replace several instructions only if no jump can reach its
 * inside: no direct one of its function, no entry of a jump table, no pointer, and nowhere in the
 * segment bytes that would be a jump or lea to it (so cold parts and labels whose address is taken
 * are covered, wherever the code around them begins).
 *
 * Moved tails may touch memory: a fault there is one of the tail's original address, which the
 * tracer and the shim can tell (patcher_original). Moved heads may not.
 */
#include "patch_window.h"

#include <errno.h>

#include "disasm.h"

#define MOVED_MAX  4u
#define WINDOW_MAX 32u

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
		bool movable;

		if (insn_decode(code->bytes + begin, end - begin, &insn) < 0)
			return false;
		cs_insn *decoded = disasm_one(capstone, code->bytes + begin, insn.length, begin);
		if (decoded == NULL)
			return false;
		movable = decoded->size == insn.length && position_free(decoded, memory);
		cs_free(decoded, 1);
		if (!movable)
			return false;
		begin += insn.length;
	}
	return true;
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
		if (near_marked(near, i, MARK_TAKEN) ||
		    (i > window->begin && near_marked(near, i, MARK_TARGET)))
			return false;
	if (!range_movable(near, capstone, window->begin, site, false))
		return false;
	if (window->covers_site && !range_movable(near, capstone, site_end, window->end, true))
		return false;
	return !inside || !near_referenced(near, window->begin + 1, window->end);
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
		} while (!near_marked(near, previous, MARK_INSN));
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

static bool search(const struct near *near, csh capstone, struct window *ret_window)
{
	if (try_window(near, capstone, 0, 0, true, ret_window))
		return true;
	for (unsigned heads = 1; near_traps(near) && heads <= MOVED_MAX; heads++)
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

int window_find(struct near *near, struct window *ret_window)
{
	csh capstone;
	bool found;

	near->whole = near->whole && near_dispatches_proven(near) && near_mark_computed(near) == 0;
	if (disasm_open(&capstone) < 0)
		return -ENOMEM;
	found = search(near, capstone, ret_window);
	cs_close(&capstone);
	return found ? 0 : -ENOENT;
}
