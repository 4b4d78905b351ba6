/*
 * x86-64 instruction lengths and control flow, and views of executable code.
 *
 * Encoding rules: Intel SDM volume 2, chapter 2 and appendix A; AMD APM volume 3 for XOP and
 * SSE4a. Only 64-bit mode exists here.
 */
#ifndef SHADOW_TRACER_INSN_DECODE_H
#define SHADOW_TRACER_INSN_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define INSN_LENGTH_MAX 15

/* What an instruction does to the flow of control. */
enum insn_flow {
	INSN_FLOW_NEXT,		 /* goes on with the next instruction */
	INSN_FLOW_BRANCH,	 /* conditional, direct; also loop, jrcxz, xbegin */
	INSN_FLOW_CALL,		 /* direct call */
	INSN_FLOW_CALL_INDIRECT, /* call through register or memory */
	INSN_FLOW_JUMP,		 /* unconditional, direct */
	INSN_FLOW_JUMP_INDIRECT, /* unconditional, through register or memory */
	INSN_FLOW_STOP,		 /* ret, iret, hlt, ud2: the next byte is not reached */
};

/* Prefix bits of struct insn. */
#define INSN_PREFIX_66	 0x01u
#define INSN_PREFIX_67	 0x02u
#define INSN_PREFIX_F2	 0x04u
#define INSN_PREFIX_F3	 0x08u
#define INSN_PREFIX_LOCK 0x10u
#define INSN_PREFIX_SEG	 0x20u

/* Opcode maps; the vector bit marks VEX, EVEX and XOP encodings of the same number. */
#define INSN_MAP_ONE	0u
#define INSN_MAP_0F	1u
#define INSN_MAP_0F38	2u
#define INSN_MAP_0F3A	3u
#define INSN_MAP_VECTOR 0x10u

struct insn {
	uint8_t length;	       /* whole, in bytes */
	uint8_t opcode_offset; /* of the escape or opcode byte, after all prefixes and REX */
	uint8_t prefixes;      /* INSN_PREFIX_* */
	uint8_t rex;	       /* 0, or the REX byte in effect */
	uint8_t map;	       /* INSN_MAP_* */
	uint8_t opcode;	       /* last byte of the opcode */
	bool has_modrm;
	uint8_t modrm;
	uint8_t flow;	  /* enum insn_flow */
	int32_t relative; /* direct flows: target = address of the next instruction + relative */
};

/*
 * Code of one executable segment, in memory of ours. Offsets count from bytes[0].
 * starts (may be NULL with a count of 0) are ascending offsets of known function starts.
 */
struct code_view {
	const uint8_t *bytes;
	size_t size;
	const uint32_t *starts;
	size_t start_count;
};

/*
 * Decode the instruction at bytes, of which at most `available` may be read.
 * Returns 0 with *ret_insn filled, -ENODATA if the instruction goes on past the end,
 * -EILSEQ if the bytes are no instruction this decoder knows (APX, invalid opcodes, direct
 * branches with a 66 prefix, which Intel and AMD execute differently).
 */
int insn_decode(const uint8_t *bytes, size_t available, struct insn *ret_insn);

/* True if the instruction changes nothing: the nops assemblers pad with. endbr64 is none. */
bool insn_is_nop(const struct insn *insn);

/* True if the instruction never continues at the byte after it. */
bool insn_ends_flow(const struct insn *insn);

/* True for `lea x(%rip), reg`; the displacement is then the last four bytes. */
bool insn_is_relative_lea(const struct insn *insn);

/* True if the flow has a direct target (`relative` is meaningful). */
bool insn_has_target(const struct insn *insn);

/*
 * The function around `offset` by the known starts: [*ret_begin, *ret_end).
 * Returns 0, or -ENOENT if no start lies at or before the offset; *ret_end is then still the
 * next start (or the end of the code), *ret_begin is 0.
 */
int code_view_function(const struct code_view *code, size_t offset, size_t *ret_begin,
		       size_t *ret_end);

#endif
