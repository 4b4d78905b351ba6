/*
 * See spin_access.h.  A loop may only be taken for a fixed point if nothing it writes escapes us,
 * so all memory operands count, whether read or written, and what is not understood is refused:
 * encodings that capstone 4 does not know or gets wrong (EVEX: see spin_evex.h), operands beside
 * the memory operand (bit strings), sizes that depend on the processor (xsave).  So is what would
 * show that it is single-stepped (pushf), and what holds the trap back for another instruction
 * (loading ss).
 */
#include "spin_access.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "disasm.h"
#include "insn_decode.h"
#include "insn_scan.h"
#include "spin_evex.h"

#define CACHE_SIZE 512 /* instructions, by address */

struct spin_decoder {
	csh capstone;
	cs_insn *known[CACHE_SIZE];
};

int spin_decoder_create(struct spin_decoder **ret_decoder)
{
	struct spin_decoder *d = calloc(1, sizeof(*d));

	if (d == NULL || disasm_open(&d->capstone) < 0) {
		free(d);
		return -ENOMEM;
	}
	*ret_decoder = d;
	return 0;
}

void spin_decoder_destroy(struct spin_decoder *d)
{
	for (size_t i = 0; i < CACHE_SIZE; i++) {
		if (d->known[i] != NULL)
			cs_free(d->known[i], 1);
	}
	cs_close(&d->capstone);
	free(d);
}

/* Those whose memory operands are not all that they touch, or not as large as they say. */
static const unsigned refused[] = {
	X86_INS_ENTER,	   X86_INS_XLATB,    X86_INS_MASKMOVDQU, X86_INS_VMASKMOVDQU,
	X86_INS_MASKMOVQ,  X86_INS_FXSAVE,   X86_INS_FXSAVE64,	 X86_INS_FXRSTOR,
	X86_INS_FXRSTOR64, X86_INS_XSAVE,    X86_INS_XSAVE64,	 X86_INS_XSAVEC,
	X86_INS_XSAVEC64,  X86_INS_XSAVEOPT, X86_INS_XSAVEOPT64, X86_INS_XSAVES,
	X86_INS_XSAVES64,  X86_INS_XRSTOR,   X86_INS_XRSTOR64,	 X86_INS_XRSTORS,
	X86_INS_XRSTORS64, X86_INS_POPFQ,    X86_INS_POPF,	 X86_INS_FNSTENV,
	X86_INS_FNSAVE,	   X86_INS_FRSTOR,   X86_INS_FLDENV,	 X86_INS_INT1,
	X86_INS_INT3,	   X86_INS_INT,	     X86_INS_SYSCALL,	 X86_INS_SYSENTER,
	X86_INS_XBEGIN,	   X86_INS_XTEST,    X86_INS_PUSHFQ,	 X86_INS_PUSHF,
	X86_INS_LCALL,	   X86_INS_LJMP,     X86_INS_RETF,	 X86_INS_RETFQ,
	X86_INS_LSS,	   X86_INS_LFS,	     X86_INS_LGS,
};

static bool is_refused(const cs_insn *insn)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(*refused); i++) {
		if (insn->id == refused[i])
			return true;
	}
	return false;
}

/* The memory lies where a register says, beyond the operand. */
static bool is_bit_string(const cs_insn *insn)
{
	bool bit = insn->id == X86_INS_BT || insn->id == X86_INS_BTS || insn->id == X86_INS_BTR ||
		   insn->id == X86_INS_BTC;

	return bit && insn->detail->x86.operands[0].type == X86_OP_MEM &&
	       insn->detail->x86.operands[1].type != X86_OP_IMM;
}

static bool loads_segment(const cs_insn *insn)
{
	const cs_x86_op *to = &insn->detail->x86.operands[0];

	if (insn->detail->x86.op_count == 0 || to->type != X86_OP_REG)
		return false;
	return to->reg == X86_REG_SS || to->reg == X86_REG_DS || to->reg == X86_REG_ES ||
	       to->reg == X86_REG_FS || to->reg == X86_REG_GS;
}

/* Its address is that after rsp has moved. */
static bool pops_to_memory(const cs_insn *insn)
{
	return insn->id == X86_INS_POP && insn->detail->x86.operands[0].type == X86_OP_MEM;
}

/* They name an address and do not go there. */
static bool only_names(const cs_insn *insn)
{
	switch (insn->id) {
	case X86_INS_LEA:
	case X86_INS_NOP:
	case X86_INS_PREFETCH:
	case X86_INS_PREFETCHNTA:
	case X86_INS_PREFETCHT0:
	case X86_INS_PREFETCHT1:
	case X86_INS_PREFETCHT2:
	case X86_INS_PREFETCHW:
		return true;
	default:
		return false;
	}
}

static bool names_memory(const cs_insn *insn)
{
	bool found = false;

	for (unsigned i = 0; i < insn->detail->x86.op_count; i++)
		found = found || insn->detail->x86.operands[i].type == X86_OP_MEM;
	return found && !only_names(insn);
}

/*
 * Of several prefixes of segments the processor takes the last one that is fs or gs, capstone the
 * last; and it may forget that an address is short.
 */
static bool is_misread(const cs_insn *insn, const uint8_t *bytes, size_t size)
{
	unsigned bases = 0, other_segments = 0, short_addresses = 0;

	for (size_t i = 0; i < size && i < INSN_LENGTH_MAX; i++) {
		bool is_base = bytes[i] == 0x64 || bytes[i] == 0x65;
		bool is_other = (bytes[i] & 0xe7) == 0x26; /* es, cs, ss, ds */

		bases += is_base;
		other_segments += is_other;
		short_addresses += bytes[i] == 0x67;
		if (!is_base && !is_other && bytes[i] != 0x66 && bytes[i] != 0x67 &&
		    bytes[i] != 0xf0 && (bytes[i] & 0xfe) != 0xf2 && (bytes[i] & 0xf0) != 0x40)
			break;
	}
	return (bases != 0 && other_segments != 0) || (short_addresses != 0 && names_memory(insn));
}

/* The value of a general register of 64 bits; false for any other. */
static bool reg_value(const struct user_regs_struct *r, const cs_insn *insn, unsigned reg,
		      uint64_t *ret)
{
	switch (reg) {
#define REG(name, field)         \
	case X86_REG_##name:     \
		*ret = r->field; \
		return true
		REG(RAX, rax);
		REG(RBX, rbx);
		REG(RCX, rcx);
		REG(RDX, rdx);
		REG(RSI, rsi);
		REG(RDI, rdi);
		REG(RBP, rbp);
		REG(RSP, rsp);
		REG(R8, r8);
		REG(R9, r9);
		REG(R10, r10);
		REG(R11, r11);
		REG(R12, r12);
		REG(R13, r13);
		REG(R14, r14);
		REG(R15, r15);
#undef REG
	case X86_REG_INVALID:
	case X86_REG_RIZ:
		*ret = 0;
		return true;
	case X86_REG_RIP:
		*ret = r->rip + insn->size;
		return true;
	default:
		return false;
	}
}

static bool segment_base(const struct user_regs_struct *r, unsigned segment, uint64_t *ret)
{
	*ret = segment == X86_REG_FS ? r->fs_base : 0;
	return segment != X86_REG_GS;
}

/* Capstone knows the size of a vector's memory operand by the mnemonic alone: no less than any
 * other operand is counted. */
static uint64_t operand_size(const cs_insn *insn, const cs_x86_op *op)
{
	uint64_t size = op->size;

	for (unsigned i = 0; i < insn->detail->x86.op_count; i++) {
		uint64_t other = insn->detail->x86.operands[i].size;

		if (other >= 16 && other > size)
			size = other;
	}
	return size;
}

static int operand(const cs_insn *insn, const cs_x86_op *op, const struct user_regs_struct *regs,
		   struct spin_range *ret)
{
	uint64_t base, index, segment;

	if (op->size == 0 || !reg_value(regs, insn, op->mem.base, &base) ||
	    !reg_value(regs, insn, op->mem.index, &index) ||
	    !segment_base(regs, op->mem.segment, &segment))
		return -ENOTSUP;
	ret->addr = segment + base + index * (uint64_t)op->mem.scale + (uint64_t)op->mem.disp;
	ret->size = operand_size(insn, op);
	return 0;
}

/* What of the stack is touched without being named. */
static int on_stack(const cs_insn *insn, const struct user_regs_struct *regs,
		    struct spin_range *ret)
{
	switch (insn->id) {
	case X86_INS_PUSH:
	case X86_INS_CALL:
		*ret = (struct spin_range){regs->rsp - 8, 8};
		return 1;
	case X86_INS_POP:
	case X86_INS_RET:
		*ret = (struct spin_range){regs->rsp, 8};
		return 1;
	case X86_INS_LEAVE:
		*ret = (struct spin_range){regs->rbp, 8};
		return 1;
	default:
		return 0;
	}
}

static bool in_group(const struct spin_decoder *d, const cs_insn *insn, unsigned group)
{
	return cs_insn_group(d->capstone, insn, group);
}

static cs_insn *decode(struct spin_decoder *d, const uint8_t *bytes, size_t size, uint64_t address)
{
	cs_insn **known = &d->known[(address ^ address >> 9) % CACHE_SIZE];

	if (*known != NULL && (*known)->address == address)
		return *known;
	if (*known != NULL)
		cs_free(*known, 1);
	*known = disasm_one(d->capstone, bytes, size, address);
	return *known;
}

static int check(const struct spin_decoder *d, const cs_insn *insn, const uint8_t *bytes,
		 size_t size)
{
	struct insn_site site;

	if (bytes[0] == 0xcc)
		return -EPERM;
	/* pause makes an event by what is patched around it, which is not executed here */
	if (insn_classify(bytes, size, &site) == 0 && site.kind != INSN_PAUSE)
		return -EPERM;
	if (insn == NULL || is_misread(insn, bytes, size) || is_refused(insn) ||
	    is_bit_string(insn) || loads_segment(insn) || pops_to_memory(insn) ||
	    in_group(d, insn, X86_GRP_PRIVILEGE) || in_group(d, insn, X86_GRP_INT) ||
	    in_group(d, insn, X86_GRP_IRET))
		return -ENOTSUP;
	return 0;
}

int spin_decoder_accesses(struct spin_decoder *d, const uint8_t *bytes, size_t size,
			  const struct user_regs_struct *regs,
			  struct spin_range ranges[SPIN_ACCESSES_MAX])
{
	if (spin_is_evex(bytes, size))
		return spin_evex_accesses(bytes, size, regs, &ranges[0]);
	const cs_insn *insn = decode(d, bytes, size, regs->rip);
	int error = check(d, insn, bytes, size), count = 0;

	if (error < 0 || only_names(insn))
		return error;
	for (unsigned i = 0; i < insn->detail->x86.op_count; i++) {
		const cs_x86_op *op = &insn->detail->x86.operands[i];

		if (op->type != X86_OP_MEM)
			continue;
		if (count == SPIN_ACCESSES_MAX - 1)
			return -ENOTSUP;
		error = operand(insn, op, regs, &ranges[count++]);
		if (error < 0)
			return error;
	}
	return count + on_stack(insn, regs, &ranges[count]);
}
