/* Emulation of the listed instructions; see insn.c. */
#ifndef SHADOW_INSN_H
#define SHADOW_INSN_H

#include "shim.h"

/*
 * Carries out the instruction of that code (insn_kind.h) on the frame's registers.  Returns its
 * event number (EVENT_*), and in *ret_word what the digest folds.
 */
s64 insn_emulate(struct task *t, struct frame *f, u32 code, u64 *ret_word);

#endif
