/*
 * What calls say when the memory for the container's own state (heap.c) is used up.
 */
#ifndef SHADOW_SCARCE_H
#define SHADOW_SCARCE_H

#include "../shim/shim.h"

/* The errno, negative, that the call in f fails with while memory is scarce; 0: it is made. */
long scarce_error(struct task *t, const struct frame *f);

#endif
