/*
 * One run of a container from the caller's options: what run, record and replay have in common.
 */
#ifndef SHADOW_TRACER_SESSION_H
#define SHADOW_TRACER_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "../log/evlog_reader.h"
#include "container.h"
#include "events.h"
#include "probe.h"

#define SESSION_CALLS 512 /* calls with figures of their own, as in struct region_head */

struct session_options {
	const char *tool; /* prefix of messages */
	uint64_t seed;
	uint64_t start_time_ns;
	uint64_t time_step_ns;
	uint64_t epoch_events;
	uint64_t slice_events;
	uint32_t cpus;
	const char *cpu; /* baseline: see cpu_baseline_named */
	uint64_t memory_bytes;
	struct region_yield yields[YIELD_POINTS_MAX];
	size_t yield_count;
	uint32_t perturb;
	bool trace_events;
	bool quiet, verbose;
	bool mute;	   /* the program's output is hashed, not shown */
	bool no_files;	   /* outputs that are regular files are written to as pipes are */
	char *const *argv; /* argv[0] as typed */
	char *const *env;
	const char *cwd;
	bool names_only;      /* record: files by name and hash, without their contents */
	const char *log_path; /* record: where to; NULL: run */
	bool log_optional;    /* when it cannot be written, the program goes on without it */
	const char *files_to; /* replay: a folder that gets the written files, or NULL */
	const struct session_probe *probe; /* replay: what to show of its events; or NULL */
};

/* What a session does in turn. */
enum session_phase {
	PHASE_PREPARE, /* the region, the namespaces, the log; a replay: the image */
	PHASE_LAUNCH,  /* the first task, our threads */
	PHASE_RUN,
	PHASE_FINISH, /* the rest of the image, the outputs, the end of the log; a replay: comparing
		       */
	PHASE_END,    /* taking everything down */
	PHASE_COUNT
};

struct session_result {
	int status; /* exit status for the caller of the tool */
	uint64_t digest, events, trapped;
	bool diverged;	   /* replay: the run is not the recorded one */
	bool stopped;	   /* replay: it ended where its probe said */
	bool as_recorded;  /* replay: it ended as the recorded run did, whatever the status */
	uint64_t image_ns; /* replay: spent on unpacking the image and removing it again */
	uint64_t phase_ns[PHASE_COUNT]; /* wall-clock time */
	uint8_t output_hash[2][32];
	uint32_t call_count[SESSION_CALLS], call_trapped[SESSION_CALLS], refused[SESSION_CALLS];
};

/*
 * Runs, and records if options->log_path is set.  Prints at most its own prefixed lines to stderr;
 * the result's status is 125 for failures of ours, 126 and 127 for a program that cannot be run.
 */
void session_run(const struct session_options *options, struct session_result *ret_result);

/*
 * Re-executes a log and verifies it.  `fn` (or NULL) gets the events, if trace is set.  Status 125
 * with one line for a log that is incomplete or damaged and for a divergence, else the recorded
 * status; 0 if it ended where options->probe says.
 */
void session_replay(struct evlog_reader *reader, const struct session_options *options,
		    events_fn fn, void *arg, struct session_result *ret_result);

#endif
