/* Decoding with capstone, one instruction at a time. */
#ifndef SHADOW_TRACER_DISASM_H
#define SHADOW_TRACER_DISASM_H

#include <capstone/capstone.h>

/* A handle with details on.  -ENOMEM. */
int disasm_open(csh *ret_handle);

/* The instruction at the beginning of `bytes`, for cs_free(, 1); NULL: it is none. */
cs_insn *disasm_one(csh handle, const uint8_t *bytes, size_t size, uint64_t address);

#endif
