/* The instructions around a place of a stopped task. */
#ifndef SHADOW_INSPECT_CODE_LIST_H
#define SHADOW_INSPECT_CODE_LIST_H

#include <jansson.h>

#include "code_place.h"

/*
 * A new array of { address, bytes, text, here }: some instructions before the address, in the
 * file's own bytes where there is a file (in memory the place may be patched), and a few from it
 * on. `here` marks the one that ended at the address, or with `faulted` began there.  NULL: no
 * memory.
 */
json_t *code_list(const struct task_view *view, const struct code_place *place, uint64_t address,
		  bool faulted);

#endif
