/* Which memory an instruction touches, from its bytes and the registers before it. */
#ifndef SHADOW_TRACER_SPIN_ACCESS_H
#define SHADOW_TRACER_SPIN_ACCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "spin_cycle.h"

struct spin_decoder;

/* 0 or -ENOMEM. */
int spin_decoder_create(struct spin_decoder **ret_decoder);
void spin_decoder_destroy(struct spin_decoder *decoder);

/*
 * The ranges the instruction `bytes` at regs->rip reads or writes; how many.  -EPERM for one whose
 * execution may be an event; -ENOTSUP for one of which it is not known for certain.
 */
int spin_decoder_accesses(struct spin_decoder *decoder, const uint8_t *bytes, size_t size,
			  const struct user_regs_struct *regs,
			  struct spin_range ranges[SPIN_ACCESSES_MAX]);

#endif
