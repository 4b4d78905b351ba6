/* The memory that an instruction with an EVEX prefix can touch. */
#ifndef SHADOW_TRACER_SPIN_EVEX_H
#define SHADOW_TRACER_SPIN_EVEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/user.h>

#include "../shim/spin.h"

/* Whether the bytes begin with one, behind what may come before it. */
bool spin_is_evex(const uint8_t *bytes, size_t size);

/*
 * 0: it touches none; 1: no more than *ret_range, which is as large as the largest vector;
 * -ENOTSUP: it cannot be said.  Precondition: spin_is_evex.
 */
int spin_evex_accesses(const uint8_t *bytes, size_t size, const struct user_regs_struct *regs,
		       struct spin_range *ret_range);

#endif
