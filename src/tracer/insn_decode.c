/*
 * Instruction length decoding.
 *
 * Finding instruction boundaries is asked for whole functions at a time, also for code with
 * EVEX and newer VEX instructions that capstone 4 rejects or misreads; lengths follow from few
 * rules, so they are computed here (about 10 ns an instruction against 400 for capstone).
 * What an instruction means beyond its flow is left to capstone (patch_plan.c).
 *
 * Owns nothing after a call. Invariant: no byte at or past bytes + available is read; length
 * is 1..15.
 */
#include "insn_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Operand bytes that follow an opcode. */
enum {
	M = 0x01, /* ModRM, with SIB and displacement */
	B = 0x02, /* 8-bit immediate */
	W = 0x04, /* 16-bit immediate */
	Z = 0x08, /* 32-bit immediate, 16-bit with 66 */
	V = 0x10, /* as Z, but 64-bit with REX.W */
	O = 0x20, /* memory offset: 64-bit, 32-bit with 67 */
	R = 0x40, /* 32-bit branch displacement */
	X = 0x80, /* no instruction in 64-bit mode, or an escape handled before the table */
};

#define ARITHMETIC(base)                                               \
	[(base)...(base) + 3] = M, [(base) + 4] = B, [(base) + 5] = Z, \
			   [(base) + 6 ...(base) + 7] = X

static const uint8_t one_byte[256] = {
	ARITHMETIC(0x00),
	ARITHMETIC(0x08),
	ARITHMETIC(0x10),
	ARITHMETIC(0x18),
	ARITHMETIC(0x20),
	ARITHMETIC(0x28),
	ARITHMETIC(0x30),
	ARITHMETIC(0x38),
	[0x40 ... 0x4f] = X,
	[0x60 ... 0x62] = X,
	[0x63] = M,
	[0x64 ... 0x67] = X,
	[0x68] = Z,
	[0x69] = M | Z,
	[0x6a] = B,
	[0x6b] = M | B,
	[0x70 ... 0x7f] = B,
	[0x80] = M | B,
	[0x81] = M | Z,
	[0x82] = X,
	[0x83] = M | B,
	[0x84 ... 0x8f] = M,
	[0x9a] = X,
	[0xa0 ... 0xa3] = O,
	[0xa8] = B,
	[0xa9] = Z,
	[0xb0 ... 0xb7] = B,
	[0xb8 ... 0xbf] = V,
	[0xc0 ... 0xc1] = M | B,
	[0xc2] = W,
	[0xc4 ... 0xc5] = X,
	[0xc6] = M | B,
	[0xc7] = M | Z,
	[0xc8] = W | B,
	[0xca] = W,
	[0xcd] = B,
	[0xce] = X,
	[0xd0 ... 0xd3] = M,
	[0xd4 ... 0xd6] = X,
	[0xd8 ... 0xdf] = M,
	[0xe0 ... 0xe7] = B,
	[0xe8 ... 0xe9] = R,
	[0xea] = X,
	[0xeb] = B,
	[0xf0] = X,
	[0xf2 ... 0xf3] = X,
	[0xf6 ... 0xf7] = M,
	[0xfe ... 0xff] = M,
};

static const uint8_t two_byte[256] = {
	[0x00 ... 0x03] = M,
	[0x04] = X,
	[0x0a] = X,
	[0x0c] = X,
	[0x0d] = M,
	[0x0f] = M | B,
	[0x10 ... 0x23] = M,
	[0x24 ... 0x27] = X,
	[0x28 ... 0x2f] = M,
	[0x36] = X,
	[0x38 ... 0x3f] = X,
	[0x40 ... 0x6f] = M,
	[0x70 ... 0x73] = M | B,
	[0x74 ... 0x76] = M,
	[0x78 ... 0x79] = M,
	[0x7a ... 0x7b] = X,
	[0x7c ... 0x7f] = M,
	[0x80 ... 0x8f] = R,
	[0x90 ... 0x9f] = M,
	[0xa3] = M,
	[0xa4] = M | B,
	[0xa5 ... 0xa7] = M,
	[0xab] = M,
	[0xac] = M | B,
	[0xad ... 0xb9] = M,
	[0xba] = M | B,
	[0xbb ... 0xc1] = M,
	[0xc2] = M | B,
	[0xc3] = M,
	[0xc4 ... 0xc6] = M | B,
	[0xc7] = M,
	[0xd0 ... 0xff] = M,
};

struct reader {
	const uint8_t *bytes;
	size_t limit;	/* bytes that may be read, at most 15 */
	size_t at;	/* next byte */
	bool truncated; /* a read past the limit was tried; reads then give 0 */
};

static uint8_t reader_peek(struct reader *reader)
{
	if (reader->at < reader->limit)
		return reader->bytes[reader->at];
	reader->truncated = true;
	return 0;
}

static uint8_t reader_take(struct reader *reader)
{
	uint8_t byte = reader_peek(reader);

	reader->at++;
	return byte;
}

static unsigned prefix_bit(uint8_t byte)
{
	switch (byte) {
	case 0x66:
		return INSN_PREFIX_66;
	case 0x67:
		return INSN_PREFIX_67;
	case 0xf0:
		return INSN_PREFIX_LOCK;
	case 0xf2:
		return INSN_PREFIX_F2;
	case 0xf3:
		return INSN_PREFIX_F3;
	case 0x26:
	case 0x2e:
	case 0x36:
	case 0x3e:
	case 0x64:
	case 0x65:
		return INSN_PREFIX_SEG;
	default:
		return 0;
	}
}

/* Prefixes in any order; a REX counts only directly before the opcode. */
static void read_prefixes(struct reader *reader, struct insn *insn)
{
	for (;;) {
		uint8_t byte = reader_peek(reader);
		unsigned bit = prefix_bit(byte);

		if (reader->truncated || (!bit && (byte & 0xf0) != 0x40))
			break;
		insn->rex = bit ? 0 : byte;
		insn->prefixes |= (uint8_t)bit;
		reader->at++;
	}
	insn->opcode_offset = (uint8_t)reader->at;
}

/* Operands of opcode insn->opcode in a vector map; 77 of map 1 is vzeroupper. */
static unsigned vector_operands(unsigned map, uint8_t opcode)
{
	switch (map) {
	case 1:
		if (opcode == 0x77)
			return 0;
		return (two_byte[opcode] & R) ? X : (unsigned)(M | (two_byte[opcode] & B));
	case 2:
	case 5:
	case 6:
	case 9:
		return M;
	case 3:
	case 8:
		return M | B;
	case 10:
		return M | Z;
	default:
		return X;
	}
}

/*
 * VEX, EVEX, XOP: `payload` bytes after the first, then the opcode. The map is in the first of
 * them, but a two-byte VEX always means map 1.
 */
static unsigned read_vector(struct reader *reader, struct insn *insn, uint8_t first)
{
	unsigned payload = first == 0xc5 ? 1 : first == 0x62 ? 3 : 2;
	uint8_t head = reader_take(reader);
	unsigned map = first == 0xc5 ? 1 : head & (first == 0x62 ? 0x0f : 0x1f);
	bool known = first == 0xc4   ? map >= 1 && map <= 3
		     : first == 0x62 ? (map >= 1 && map <= 3) || map == 5 || map == 6
				     : true;

	for (unsigned i = 1; i < payload; i++)
		reader_take(reader);
	insn->opcode = reader_take(reader);
	insn->map = (uint8_t)(INSN_MAP_VECTOR | map);
	if (!known || insn->rex || (insn->prefixes & ~(INSN_PREFIX_67 | INSN_PREFIX_SEG)))
		return X;
	return vector_operands(map, insn->opcode);
}

static unsigned read_escaped(struct reader *reader, struct insn *insn)
{
	insn->opcode = reader_take(reader);
	insn->map = INSN_MAP_0F;
	if (insn->opcode == 0x38 || insn->opcode == 0x3a) {
		insn->map = insn->opcode == 0x38 ? INSN_MAP_0F38 : INSN_MAP_0F3A;
		insn->opcode = reader_take(reader);
		return insn->map == INSN_MAP_0F38 ? M : M | B;
	}
	/* extrq and insertq with two immediate bytes */
	if (insn->opcode == 0x78 && (insn->prefixes & (INSN_PREFIX_66 | INSN_PREFIX_F2)))
		return M | W;
	return two_byte[insn->opcode];
}

/* The opcode; returns what follows it. */
static unsigned read_opcode(struct reader *reader, struct insn *insn)
{
	uint8_t first = reader_take(reader);
	uint8_t second;

	if (first == 0x0f)
		return read_escaped(reader, insn);
	if (first == 0xc4 || first == 0xc5 || first == 0x62)
		return read_vector(reader, insn, first);
	insn->opcode = first;
	if (first != 0x8f)
		return one_byte[first];
	/* 8f is pop; with an impossible ModRM it introduces XOP */
	second = reader_peek(reader);
	return (second & 0x1f) >= 8 ? read_vector(reader, insn, first) : M;
}

static void read_modrm(struct reader *reader, struct insn *insn)
{
	unsigned mode, base;

	insn->has_modrm = true;
	insn->modrm = reader_take(reader);
	mode = insn->modrm >> 6;
	base = insn->modrm & 7;
	if (mode == 3)
		return;
	if (base == 4)
		base = reader_take(reader) & 7;
	if (mode == 1)
		reader->at += 1;
	else if (mode == 2 || base == 5)
		reader->at += 4;
}

static size_t immediate_size(const struct insn *insn, unsigned operands)
{
	bool wide = insn->rex & 8;
	size_t z = (insn->prefixes & INSN_PREFIX_66) && !wide ? 2 : 4;
	size_t size = 0;

	if (operands & B)
		size += 1;
	if (operands & W)
		size += 2;
	if (operands & Z)
		size += z;
	if (operands & V)
		size += wide ? 8 : z;
	if (operands & O)
		size += insn->prefixes & INSN_PREFIX_67 ? 4 : 8;
	if (operands & R)
		size += 4;
	return size;
}

/* test is the only one of its group with an immediate. */
static unsigned test_operands(const struct insn *insn, unsigned operands)
{
	if (insn->map != INSN_MAP_ONE || (insn->opcode & 0xfe) != 0xf6 || (insn->modrm & 0x38) > 8)
		return operands;
	return operands | (insn->opcode == 0xf6 ? B : Z);
}

static enum insn_flow flow_one_byte(const struct insn *insn)
{
	unsigned reg = insn->modrm >> 3 & 7;

	switch (insn->opcode) {
	case 0x70 ... 0x7f:
	case 0xe0 ... 0xe3:
		return INSN_FLOW_BRANCH;
	case 0xc7:
		return insn->modrm == 0xf8 ? INSN_FLOW_BRANCH : INSN_FLOW_NEXT;
	case 0xe8:
		return INSN_FLOW_CALL;
	case 0xe9:
	case 0xeb:
		return INSN_FLOW_JUMP;
	case 0xc2 ... 0xc3:
	case 0xca ... 0xcb:
	case 0xcf:
	case 0xf4:
		return INSN_FLOW_STOP;
	case 0xff:
		if (reg == 2 || reg == 3)
			return INSN_FLOW_CALL_INDIRECT;
		return reg == 4 || reg == 5 ? INSN_FLOW_JUMP_INDIRECT : INSN_FLOW_NEXT;
	default:
		return INSN_FLOW_NEXT;
	}
}

static enum insn_flow flow_of(const struct insn *insn)
{
	if (insn->map == INSN_MAP_ONE)
		return flow_one_byte(insn);
	if (insn->map != INSN_MAP_0F)
		return INSN_FLOW_NEXT;
	if ((insn->opcode & 0xf0) == 0x80)
		return INSN_FLOW_BRANCH;
	if (insn->opcode == 0x0b || insn->opcode == 0xb9 || insn->opcode == 0xff)
		return INSN_FLOW_STOP;
	return INSN_FLOW_NEXT;
}

/* Fill in flow and displacement; false for a direct branch whose size depends on the maker. */
static bool finish_flow(const uint8_t *bytes, struct insn *insn)
{
	bool wide_branch;
	int8_t narrow;

	insn->flow = (uint8_t)flow_of(insn);
	if (!insn_has_target(insn))
		return true;
	if ((insn->prefixes & INSN_PREFIX_66) && !(insn->rex & 8))
		return false;
	wide_branch = insn->map == INSN_MAP_0F || insn->opcode == 0xe8 || insn->opcode == 0xe9 ||
		      insn->opcode == 0xc7;
	if (wide_branch) {
		memcpy(&insn->relative, bytes + insn->length - 4, 4);
		return true;
	}
	memcpy(&narrow, bytes + insn->length - 1, 1);
	insn->relative = (int32_t)narrow;
	return true;
}

int insn_decode(const uint8_t *bytes, size_t available, struct insn *ret_insn)
{
	size_t limit = available < INSN_LENGTH_MAX ? available : INSN_LENGTH_MAX;
	struct reader reader = {.bytes = bytes, .limit = limit};
	struct insn insn = {0};
	unsigned operands;

	read_prefixes(&reader, &insn);
	operands = read_opcode(&reader, &insn);
	if (!reader.truncated && (operands & X))
		return -EILSEQ;
	if (operands & M) {
		read_modrm(&reader, &insn);
		operands = test_operands(&insn, operands);
	}
	reader.at += immediate_size(&insn, operands);
	if (reader.truncated || reader.at > limit)
		return limit < INSN_LENGTH_MAX ? -ENODATA : -EILSEQ;
	insn.length = (uint8_t)reader.at;
	if (!finish_flow(bytes, &insn))
		return -EILSEQ;
	*ret_insn = insn;
	return 0;
}

bool insn_is_nop(const struct insn *insn)
{
	if (insn->prefixes & (INSN_PREFIX_F2 | INSN_PREFIX_F3 | INSN_PREFIX_LOCK))
		return false;
	if (insn->map == INSN_MAP_ONE)
		return insn->opcode == 0x90 && !(insn->rex & 1);
	return insn->map == INSN_MAP_0F && insn->opcode == 0x1f;
}

bool insn_ends_flow(const struct insn *insn)
{
	return insn->flow == INSN_FLOW_JUMP || insn->flow == INSN_FLOW_JUMP_INDIRECT ||
	       insn->flow == INSN_FLOW_STOP;
}

bool insn_is_relative_lea(const struct insn *insn)
{
	return insn->map == INSN_MAP_ONE && insn->opcode == 0x8d && (insn->modrm & 0xc7) == 0x05;
}

bool insn_has_target(const struct insn *insn)
{
	return insn->flow == INSN_FLOW_BRANCH || insn->flow == INSN_FLOW_CALL ||
	       insn->flow == INSN_FLOW_JUMP;
}

int code_view_function(const struct code_view *code, size_t offset, size_t *ret_begin,
		       size_t *ret_end)
{
	size_t low = 0;
	size_t high = code->start_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (code->starts[middle] <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_begin = low ? code->starts[low - 1] : 0;
	*ret_end = low < code->start_count && code->starts[low] < code->size ? code->starts[low]
									     : code->size;
	return low ? 0 : -ENOENT;
}
