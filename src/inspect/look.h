/*
 * One look at a re-executed log: its last events and the task's state, where it stops.  As JSON,
 * and as text made from it.
 */
#ifndef SHADOW_INSPECT_LOOK_H
#define SHADOW_INSPECT_LOOK_H

#include <jansson.h>
#include <stdio.h>

#include "rerun.h"

#define LOOK_BEFORE 10 /* events shown before the one looked at */

/*
 * Re-executes to the end of `event`, or with 0 to where the run differs from the log, of which
 * `near` events are known to be equal or there.
 *
 *	event	the last event, as event_to_json, and its line as `text`
 *	before	lines of the events before it, at most LOOK_BEFORE
 *	...	what snapshot.h has
 *
 * 0 and a new reference; *ret_result tells how it ended.  A negative errno: there is nothing.
 */
int look_at(const char *tool, struct evlog_reader *reader, uint64_t event, uint64_t near,
	    struct rerun_result *ret_result, json_t **ret_look);

/* Backtrace and code, `indent` spaces before each line. */
void look_print_stack(const json_t *look, int indent, FILE *out);

/* All of it: the events before, the event, the stack. */
void look_print(const json_t *look, int indent, FILE *out);

#endif
