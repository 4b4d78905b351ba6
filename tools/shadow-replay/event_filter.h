/* Which events are shown: by task, by call (as strace's -e), by path, by number. */
#ifndef SHADOW_REPLAY_EVENT_FILTER_H
#define SHADOW_REPLAY_EVENT_FILTER_H

#include <stdbool.h>
#include <stdint.h>

#include "inspect/fd_paths.h"
#include "syscall-table/event_decode.h"

#define EVENT_FILTER_LIST_MAX  64
#define EVENT_FILTER_NR_LEAST  (-64)
#define EVENT_FILTER_NR_BEHIND 1024

/* All zeros but `last`: everything passes.  An event passes if it is in the range and, of each kind
 * of condition that was given, one holds. */
struct event_filter {
	uint32_t tasks[EVENT_FILTER_LIST_MAX];
	unsigned task_count;
	const char *paths[EVENT_FILTER_LIST_MAX]; /* the caller's */
	unsigned path_count;
	bool by_call, others; /* others: numbers beyond the table */
	bool calls[EVENT_FILTER_NR_BEHIND - EVENT_FILTER_NR_LEAST];
	uint64_t first, last; /* numbers of events, both shown */
};

void event_filter_init(struct event_filter *filter);

/*
 * Each adds to the filter and returns NULL, or a static text that says what the argument should
 *have been.
 *
 * task: a number.
 * calls: [trace=][!]ITEM,...; an item is a call's name, a set (%file %desc %process %signal %memory
 *	%time %network %instr), /REGEX, all or none; "!" takes all others.
 * path: absolute: it and all below it; relative: what ends in it.  Compared with the paths that are
 *	arguments, as the program wrote them, and with those that descriptors were opened by.
 * range: N, A..B, A.. or ..B
 */
const char *event_filter_task(struct event_filter *filter, const char *text);
const char *event_filter_calls(struct event_filter *filter, const char *text);
const char *event_filter_path(struct event_filter *filter, const char *text);
const char *event_filter_range(struct event_filter *filter, const char *text);

/* `paths`: those of descriptors, as the event found them; may be NULL if path_count is 0. */
bool event_filter_passes(const struct event_filter *filter, const struct event_view *event,
			 const struct fd_paths *paths);

#endif
