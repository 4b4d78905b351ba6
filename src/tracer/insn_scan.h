/*
 * Finding the listed instructions in executable code.
 */
#ifndef SHADOW_TRACER_INSN_SCAN_H
#define SHADOW_TRACER_INSN_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "insn_decode.h"
#include "insn_kind.h"

struct insn_site {
	uint32_t offset;      /* of the first byte, prefixes included */
	uint8_t kind;	      /* enum insn_kind */
	uint8_t reg;	      /* register operand, 0..15, or 0 */
	uint8_t operand_size; /* of the register operand in bytes, or 0 */
	uint8_t length;	      /* in bytes */
	bool confirmed;	      /* proven by decoding; others may be data and must not be patched */
};

/* Sets of kinds for insn_scan. */
#define INSN_SET(kind)	 (1u << (kind))
#define INSN_SET_ALL	 (INSN_SET(INSN_KIND_COUNT) - 1)
#define INSN_SET_REFUSED (INSN_SET(INSN_INT80) | INSN_SET(INSN_SYSENTER))
/* what cannot trap, or costs a trap each time: everything but system calls and refused ones */
#define INSN_SET_LISTED (INSN_SET_ALL & ~(INSN_SET_REFUSED | INSN_SET(INSN_SYSCALL)))

/* Name of a kind, as in an assembler; "?" if out of range. */
const char *insn_kind_name(unsigned kind);

/*
 * The listed instruction at bytes[0] (prefixes included), of which `available` may be read.
 * Returns 0 with *ret_site filled (offset 0, confirmed), -ENOENT if it is none of them,
 * or the error of insn_decode.
 */
int insn_classify(const uint8_t *bytes, size_t available, struct insn_site *ret_site);

/*
 * True if decoding from many places before `opcode` (offset of an instruction's opcode byte)
 * always ends up with an instruction that has its opcode there. For code without known starts.
 */
bool insn_agreed(const struct code_view *code, size_t opcode);

/*
 * Find the instructions of the kinds in `kinds` (INSN_SET bits), in ascending order.
 * The bytes must not change meanwhile; they may be hostile (time is linear in their number).
 * A byte pattern inside another instruction is left out; what cannot be decided is given with
 * confirmed false.
 * Returns 0 with *ret_sites (to be freed by the caller; NULL if none) and *ret_count, -ENOMEM,
 * or -E2BIG for code of 4 GiB and more.
 */
int insn_scan(const struct code_view *code, uint32_t kinds, struct insn_site **ret_sites,
	      size_t *ret_count);

#endif
