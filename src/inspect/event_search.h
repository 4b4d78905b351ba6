/* The first event in which two runs differ. */
#ifndef SHADOW_INSPECT_EVENT_SEARCH_H
#define SHADOW_INSPECT_EVENT_SEARCH_H

#include <jansson.h>
#include <stdio.h>

#include "rerun.h"

struct event_difference {
	uint64_t number;	 /* of the event; 0: no event differs in more than addresses */
	uint64_t addresses_from; /* the first that differs in addresses alone; 0: none before it */
	json_t *look[2];	 /* the two events, as look_event; NULL: that run was over */
	json_t *addresses[2];	 /* the two at addresses_from */
	json_t *before;		 /* lines of the events before it, of the first run */
	json_t *differs;	 /* what of them does, in words */
	char problem[512];	 /* a re-execution that went wrong: what it said; else "" */
};

/* Both: 0 or a negative errno; event_difference_finish() is due in any case. */

/* Re-executes both logs side by side up to event `last` (from 1 on; UINT64_MAX: to their ends);
 * their events up to `equal` are known to be the same. */
int event_search_two(const char *tool, struct evlog_reader *const readers[2], uint64_t equal,
		     uint64_t last, struct event_difference *ret);

/* Re-executes the log against the events it holds. */
int event_search_kept(const char *tool, struct evlog_reader *reader, struct event_difference *ret);

void event_difference_finish(struct event_difference *difference);

/*
 * Says more of the data than the records hold, if both looks have the buffers: where they differ.
 * Called once.  Either look may be NULL.
 */
void event_difference_refine(struct event_difference *difference, const json_t *look_a,
			     const json_t *look_b);

/* The two sides; each look, or NULL, gives a side its stack. */
void event_difference_print(const struct event_difference *difference, const char *name_a,
			    const json_t *look_a, const char *name_b, const json_t *look_b,
			    FILE *out);

#endif
