/*
 * The checker and the interpreter of classic BPF.  Owns nothing.
 *
 * Invariant: bpf_run relies on everything bpf_check has established, and checks none of it again.
 * The few rules that are not in the checker are those of the kernel's translation to eBPF
 * (net/core/filter.c, bpf_convert_filter): a division by zero ends the program with 0, which kills,
 * and shifts take the low five bits of their count.
 */
#include <linux/errno.h>
#include "bpf.h"

#define ALL_CELLS 0xffffu
_Static_assert(BPF_MEMWORDS == 16, "a bit for each cell");

#define LOAD_DATA     (BPF_LD | BPF_W | BPF_ABS)
#define BOTH_KINDS(c) (c) | BPF_K, (c) | BPF_X

static const u16 known_codes[] = {
	LOAD_DATA,
	BPF_LD | BPF_W | BPF_LEN,
	BPF_LDX | BPF_W | BPF_LEN,
	BPF_LD | BPF_IMM,
	BPF_LDX | BPF_IMM,
	BPF_LD | BPF_MEM,
	BPF_LDX | BPF_MEM,
	BPF_ST,
	BPF_STX,
	BPF_MISC | BPF_TAX,
	BPF_MISC | BPF_TXA,
	BPF_RET | BPF_K,
	BPF_RET | BPF_A,
	BPF_ALU | BPF_NEG,
	BPF_JMP | BPF_JA,
	BOTH_KINDS(BPF_ALU | BPF_ADD),
	BOTH_KINDS(BPF_ALU | BPF_SUB),
	BOTH_KINDS(BPF_ALU | BPF_MUL),
	BOTH_KINDS(BPF_ALU | BPF_DIV),
	BOTH_KINDS(BPF_ALU | BPF_AND),
	BOTH_KINDS(BPF_ALU | BPF_OR),
	BOTH_KINDS(BPF_ALU | BPF_XOR),
	BOTH_KINDS(BPF_ALU | BPF_LSH),
	BOTH_KINDS(BPF_ALU | BPF_RSH),
	BOTH_KINDS(BPF_JMP | BPF_JEQ),
	BOTH_KINDS(BPF_JMP | BPF_JGE),
	BOTH_KINDS(BPF_JMP | BPF_JGT),
	BOTH_KINDS(BPF_JMP | BPF_JSET),
};

/* ---- what is let in ---- */

static bool is_known(u16 code)
{
	for (u32 i = 0; i < sizeof(known_codes) / sizeof(*known_codes); i++) {
		if (known_codes[i] == code)
			return true;
	}
	return false;
}

static bool operand_fits(const struct sock_filter *i)
{
	switch (i->code) {
	case LOAD_DATA:
		return i->k < sizeof(struct seccomp_data) && i->k % 4 == 0;
	case BPF_ALU | BPF_DIV | BPF_K:
		return i->k != 0;
	case BPF_ALU | BPF_LSH | BPF_K:
	case BPF_ALU | BPF_RSH | BPF_K:
		return i->k < 32;
	case BPF_LD | BPF_MEM:
	case BPF_LDX | BPF_MEM:
	case BPF_ST:
	case BPF_STX:
		return i->k < BPF_MEMWORDS;
	default:
		return true;
	}
}

/* `left` is the number of instructions behind this one. */
static bool jump_fits(const struct sock_filter *i, u64 left)
{
	if (BPF_CLASS(i->code) != BPF_JMP)
		return true;
	if (BPF_OP(i->code) == BPF_JA)
		return i->k < left;
	return i->jt < left && i->jf < left;
}

/* Follows one instruction: `valid` are the cells written on every way to it. */
static bool cells_follow(const struct sock_filter *i, u16 *ways, u16 *valid)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_ST:
	case BPF_STX:
		*valid |= (u16)(1u << i->k);
		return true;
	case BPF_LD:
	case BPF_LDX:
		return BPF_MODE(i->code) != BPF_MEM || *valid >> i->k & 1;
	case BPF_JMP:
		ways[1 + (BPF_OP(i->code) == BPF_JA ? i->k : i->jt)] &= *valid;
		if (BPF_OP(i->code) != BPF_JA)
			ways[1 + i->jf] &= *valid;
		*valid = ALL_CELLS;
		return true;
	default:
		return true;
	}
}

static bool cells_are_written_first(const struct sock_filter *program, u64 length)
{
	u16 ways[BPF_MAXINSNS]; /* cells valid on all jumps to an instruction */
	u16 valid = 0;

	for (u64 pc = 0; pc < length; pc++)
		ways[pc] = ALL_CELLS;
	for (u64 pc = 0; pc < length; pc++) {
		valid &= ways[pc];
		if (!cells_follow(&program[pc], &ways[pc], &valid))
			return false;
	}
	return true;
}

long bpf_check(const struct sock_filter *program, u64 length)
{
	if (length == 0 || length > BPF_MAXINSNS)
		return -EINVAL;
	for (u64 pc = 0; pc < length; pc++) {
		const struct sock_filter *i = &program[pc];

		if (!is_known(i->code) || !operand_fits(i) || !jump_fits(i, length - pc - 1))
			return -EINVAL;
	}
	if (BPF_CLASS(program[length - 1].code) != BPF_RET)
		return -EINVAL;
	return cells_are_written_first(program, length) ? 0 : -EINVAL;
}

/* ---- what it says ---- */

struct machine {
	const u32 *data;
	u32 a, x;
	u32 cell[BPF_MEMWORDS];
};

static u32 load(const struct machine *m, const struct sock_filter *i)
{
	switch (BPF_MODE(i->code)) {
	case BPF_ABS:
		return m->data[i->k / 4];
	case BPF_MEM:
		return m->cell[i->k];
	case BPF_LEN:
		return sizeof(struct seccomp_data);
	default:
		return i->k;
	}
}

static u32 operand(const struct machine *m, const struct sock_filter *i)
{
	return BPF_SRC(i->code) == BPF_X ? m->x : i->k;
}

/* The divisor is not 0. */
static u32 compute(u16 code, u32 a, u32 b)
{
	switch (BPF_OP(code)) {
	case BPF_ADD:
		return a + b;
	case BPF_SUB:
		return a - b;
	case BPF_MUL:
		return a * b;
	case BPF_DIV:
		return a / b;
	case BPF_AND:
		return a & b;
	case BPF_OR:
		return a | b;
	case BPF_XOR:
		return a ^ b;
	case BPF_LSH:
		return a << (b & 31);
	case BPF_RSH:
		return a >> (b & 31);
	default: /* BPF_NEG */
		return -a;
	}
}

static bool holds(u16 code, u32 a, u32 b)
{
	switch (BPF_OP(code)) {
	case BPF_JEQ:
		return a == b;
	case BPF_JGT:
		return a > b;
	case BPF_JGE:
		return a >= b;
	default: /* BPF_JSET */
		return (a & b) != 0;
	}
}

/* How many instructions are passed over. */
static u32 jump(const struct machine *m, const struct sock_filter *i)
{
	if (BPF_OP(i->code) == BPF_JA)
		return i->k;
	return holds(i->code, m->a, operand(m, i)) ? i->jt : i->jf;
}

/* The instructions that only move values. */
static void move(struct machine *m, const struct sock_filter *i)
{
	switch (BPF_CLASS(i->code)) {
	case BPF_LD:
		m->a = load(m, i);
		break;
	case BPF_LDX:
		m->x = load(m, i);
		break;
	case BPF_ST:
		m->cell[i->k] = m->a;
		break;
	case BPF_STX:
		m->cell[i->k] = m->x;
		break;
	default: /* BPF_MISC */
		if (BPF_MISCOP(i->code) == BPF_TAX)
			m->x = m->a;
		else
			m->a = m->x;
	}
}

u32 bpf_run(const struct sock_filter *program, const struct seccomp_data *data)
{
	struct machine m = {.data = (const u32 *)data};

	for (const struct sock_filter *i = program;; i++) {
		switch (BPF_CLASS(i->code)) {
		case BPF_RET:
			return BPF_RVAL(i->code) == BPF_A ? m.a : i->k;
		case BPF_JMP:
			i += jump(&m, i);
			break;
		case BPF_ALU:
			if (BPF_OP(i->code) == BPF_DIV && operand(&m, i) == 0)
				return 0;
			m.a = compute(i->code, m.a, operand(&m, i));
			break;
		default:
			move(&m, i);
		}
	}
}
