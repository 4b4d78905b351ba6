/* shadow-replay's looks at one event: --until, backtrace, and what a divergence shows. */
#ifndef SHADOW_REPLAY_EVENT_LOOK_H
#define SHADOW_REPLAY_EVENT_LOOK_H

#include "tracer/session.h"

/* Re-executes to the end of `event`, prints the output so far, says where it stopped.  The status:
 * 0; 125 if it does not get there. */
int event_look_until(struct evlog_reader *reader, const struct session_options *options,
		     uint64_t event, struct session_result *ret_result);

/* Prints the stack of the task at `event`.  The status: 0, or 125. */
int event_look_backtrace(struct evlog_reader *reader, const struct session_options *options,
			 uint64_t event, bool json);

/* After a replay that diverged, as `result` has it: where, recorded against re-executed, to stderr.
 */
void event_look_divergence(struct evlog_reader *reader, const struct session_options *options,
			   const struct session_result *result);

#endif
