/* shadow-replay LOG info | events: what is in a log, for people and as JSON. */
#ifndef SHADOW_REPLAY_LOG_SHOW_H
#define SHADOW_REPLAY_LOG_SHOW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "event_filter.h"
#include "log/evlog_reader.h"

/* 0, or the negative errno of a write to `out` that failed: -EPIPE if its reader has gone. */
int log_show_flush(FILE *out);

/* Command line, configuration, host, image, epochs, outputs, end.  0 or a negative errno. */
int log_show_info(struct evlog_reader *reader, bool json, FILE *out);

/* Where event records are printed to; `error` is the first that came up: -EBADMSG, -ENOMEM, or
 * why `out` could not be written. */
struct event_show {
	FILE *out;
	bool json;
	int error;
	const struct event_filter *filter;
	struct fd_paths *paths; /* NULL: the filter asks for none */
};

json_t *log_show_output(const struct evlog_output *output);

/* For the events of that log, from its first one on. */
void event_show_init(struct event_show *show, FILE *out, bool json,
		     const struct event_filter *filter, const struct evlog_reader *reader);

/* Prints the whole event records in `bytes` that pass the filter: a line each. */
void event_show(struct event_show *show, const void *bytes, size_t size);

/* Due in any case. */
void event_show_finish(struct event_show *show);

#endif
