/*
 * One run of a container from the caller's options: what run, record and replay have in common.
 */
#ifndef SHADOW_TRACER_SESSION_H
#define SHADOW_TRACER_SESSION_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "../log/evlog_reader.h"
#include "container.h"

struct session_options {
	const char *tool; /* prefix of messages */
	uint64_t seed;
	uint64_t start_time_ns;
	uint64_t time_step_ns;
	uint64_t epoch_events;
	uint64_t slice_events;
	uint32_t cpus;
	uint64_t memory_bytes;
	uint32_t perturb;
	bool trace_events;
	bool quiet, verbose;
	bool mute;	   /* the program's output is hashed, not shown */
	char *const *argv; /* argv[0] as typed */
	char *const *env;
	const char *cwd;
	const char *log_path; /* record: where to; NULL: run */
};

struct session_result {
	int status; /* exit status for the caller of the tool */
	uint64_t digest, events, trapped;
	uint8_t output_hash[2][32];
	uint32_t call_count[512], call_trapped[512], refused[512];
};

/* Gets each event record of a traced run, in order. */
typedef void (*session_event_fn)(void *arg, const void *record, size_t size);

/*
 * Runs, and records if options->log_path is set.  Prints at most its own prefixed lines to stderr;
 * the result's status is 125 for failures of ours, 126 and 127 for a program that cannot be run.
 */
void session_run(const struct session_options *options, struct session_result *ret_result);

/*
 * Re-executes a log and verifies it.  `fn` (or NULL) gets the events, if trace is set.  Status 125
 * with one line for a log that is incomplete or damaged and for a divergence, else the recorded
 * status.
 */
void session_replay(struct evlog_reader *reader, const struct session_options *options,
		    session_event_fn fn, void *arg, struct session_result *ret_result);

/* --stats: a table or one JSON object, to `out`. */
void session_stats(const struct session_result *result, bool json, FILE *out);

#endif
