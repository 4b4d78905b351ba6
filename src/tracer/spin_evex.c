/*
 * See spin_evex.h.  Capstone 4 does not know these encodings, but where their memory lies follows
 * from few rules (Intel SDM vol. 2A, 2.7).  Refused: addresses by vectors (gather, scatter), a
 * displacement of 8 bits, which is counted in units of a size that only a table of instructions
 * would tell, and what APX made of the prefix.
 */
#include "spin_evex.h"

#include <errno.h>
#include <string.h>

#include "insn_decode.h"

#define PREFIX	    0x62
#define FS	    0x64
#define ADDRESS_32  0x67
#define VECTOR_SIZE 64
#define MAP_0F38    2
#define NO_REGISTER 0x100u

static size_t prefix_at(const uint8_t *bytes, size_t size)
{
	size_t i = 0;

	while (i < size && (bytes[i] == FS || bytes[i] == ADDRESS_32 || bytes[i] == 0x2e ||
			    bytes[i] == 0x3e || bytes[i] == 0x26 || bytes[i] == 0x36))
		i++;
	return i;
}

bool spin_is_evex(const uint8_t *bytes, size_t size)
{
	size_t at = prefix_at(bytes, size);

	return at < size && bytes[at] == PREFIX;
}

static uint64_t reg_value(const struct user_regs_struct *r, unsigned number)
{
	const uint64_t values[] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
				   r->r8,  r->r9,  r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};

	return number == NO_REGISTER ? 0 : values[number];
}

static int32_t displacement(const uint8_t *at)
{
	int32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

/* Each lane has an address of its own. */
static bool is_by_vector(const uint8_t *evex)
{
	uint8_t opcode = evex[4];

	return (evex[1] & 7) == MAP_0F38 &&
	       ((opcode >= 0x90 && opcode <= 0x93) || (opcode >= 0xa0 && opcode <= 0xa3) ||
		opcode == 0xc6 || opcode == 0xc7);
}

/* Bits that are fixed without APX: bit 3 of the first byte, bit 2 of the second; its maps 4 and 7.
 */
static bool is_plain(const uint8_t *evex)
{
	unsigned map = evex[1] & 7;

	return !(evex[1] & 8) && evex[2] & 4 && map != 0 && map != 4 && map != 7;
}

/* The address that modrm names; `next` is that of the next instruction. */
static int address_of(const uint8_t *evex, const struct user_regs_struct *regs, uint64_t next,
		      uint64_t *ret)
{
	uint8_t modrm = evex[5], sib = evex[6];
	unsigned mod = modrm >> 6, high_base = evex[1] & 0x20 ? 0 : 8,
		 high_index = evex[1] & 0x40 ? 0 : 8;
	unsigned base = modrm & 7, index = NO_REGISTER, scale = 0;
	bool has_sib = base == 4;

	if (has_sib) {
		base = sib & 7;
		index = (sib >> 3 & 7) | high_index;
		index = index == 4 ? NO_REGISTER : index;
		scale = sib >> 6;
	}
	bool no_base = mod == 0 && base == 5, has_disp = mod == 2 || no_base;
	uint64_t disp = has_disp ? (uint64_t)(int64_t)displacement(evex + 6 + has_sib) : 0;
	uint64_t from = no_base && !has_sib
				? next
				: reg_value(regs, no_base ? NO_REGISTER : base | high_base);
	*ret = from + (reg_value(regs, index) << scale) + disp;
	return mod == 1 ? -ENOTSUP : 0;
}

int spin_evex_accesses(const uint8_t *bytes, size_t size, const struct user_regs_struct *regs,
		       struct spin_range *ret_range)
{
	size_t at = prefix_at(bytes, size);
	struct insn insn;

	if (insn_decode(bytes, size, &insn) < 0 || !insn.has_modrm || !is_plain(bytes + at) ||
	    is_by_vector(bytes + at) || memchr(bytes, ADDRESS_32, at) != NULL)
		return -ENOTSUP;
	if (insn.modrm >> 6 == 3)
		return 0;
	uint8_t whole[INSN_LENGTH_MAX + 16] = {0}; /* address_of looks at what may be none of it */
	memcpy(whole, bytes, insn.length);
	int error = address_of(whole + at, regs, regs->rip + insn.length, &ret_range->addr);
	if (memchr(bytes, FS, at) != NULL)
		ret_range->addr += regs->fs_base;
	ret_range->size = VECTOR_SIZE;
	return error < 0 ? error : 1;
}
