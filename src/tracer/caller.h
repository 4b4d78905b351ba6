/* What a run takes over from the caller and the machine: ids, umask, descriptors, processors. */
#ifndef SHADOW_TRACER_CALLER_H
#define SHADOW_TRACER_CALLER_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "../shim/shim_abi.h"

/*
 * Fills those of the descriptors 0 to 2 that the caller left closed with /dev/null, so that nothing
 * of ours takes their place.  Call it first; a second call finds out nothing new.
 */
void caller_fill_stdio(void);

/* The ids, groups, umask, and what stdin, stdout and stderr are.  no_files: outputs that are
 * regular files are taken for pipes.  0, or -E2BIG: he is in more than CONFIG_GROUPS_MAX groups. */
int caller_configure(struct region_config *config, bool no_files);

/* All processors we may run on; and those of them, if there are any, that we are not on now. */
void caller_processors(cpu_set_t *ret_all, cpu_set_t *ret_beside);

#endif
