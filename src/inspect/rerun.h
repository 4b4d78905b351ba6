/*
 * Re-executing a log in a process of its own, whose events come back through a pipe.
 *
 * A container occupies fixed addresses and the process's signal handlers, so two at a time, or one
 * after another of whatever end, need a process each.  Output of the program goes nowhere; lines
 * that the session says are kept.
 */
#ifndef SHADOW_INSPECT_RERUN_H
#define SHADOW_INSPECT_RERUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include "../log/evlog_reader.h"
#include "../shim/shim_abi.h"

struct rerun {
	pid_t pid;
	FILE *in;
	uint8_t *bytes;
	size_t room;
};

struct rerun_options {
	const char *tool;
	struct evlog_reader *reader;
	struct region_probe what;
	bool snapshot; /* take one where it stops or diverges */
	const struct rerun
		*other; /* one that runs, whose pipe this one must not hold open; or NULL */
};

enum rerun_kind {
	RERUN_EVENT = 1, /* an event record, unchecked */
	RERUN_SNAPSHOT,	 /* the JSON text of snapshot.h */
	RERUN_END,	 /* a struct rerun_result; nothing follows */
};

struct rerun_result {
	int32_t status; /* of session_replay */
	bool diverged, stopped;
	uint64_t events, digest;
	char said[512]; /* what the session said, without the last line's end */
};

/* The process has a copy of the reader, and reads the log by itself.  0 or a negative errno;
 * rerun_finish() is due after success. */
int rerun_start(const struct rerun_options *options, struct rerun *ret_rerun);

/* The next message, good until the next call.  -EPIPE: the process ended without an end. */
int rerun_next(struct rerun *rerun, enum rerun_kind *ret_kind, const void **ret_bytes,
	       size_t *ret_size);

/* Ends it, also before its end, and waits for it. */
void rerun_finish(struct rerun *rerun);

#endif
