/* The figures of a run, for people and as JSON. */
#ifndef SHADOW_TRACER_STATS_H
#define SHADOW_TRACER_STATS_H

#include <stdbool.h>
#include <stdio.h>

#include "session.h"

/*
 * --stats: events by call, how many of them stopped at the tracer, the final digest, and where the
 * time went.  As JSON one object on one line: digest (16 hexadecimal digits), events, trapped,
 * image_ns, phase_ns (see enum session_phase), by_call.
 */
void stats_print(const struct session_result *result, bool json, FILE *out);

/* One line for each refused call that programs do not make just to see (SYSCALL_QUIET). */
void stats_print_refused(const struct session_result *result, const char *tool, FILE *out);

#endif
