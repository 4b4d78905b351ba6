/* Whether an instruction that met a page fault was writing there. */
#ifndef SHADOW_TRACER_INSN_WRITE_H
#define SHADOW_TRACER_INSN_WRITE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/user.h>

struct insn;

/* `insn` is what insn_decode says of `bytes`; *regs are from before it, `addr` is where it failed.
 */
bool insn_writes(const uint8_t *bytes, const struct insn *insn, const struct user_regs_struct *regs,
		 uint64_t addr);

#endif
