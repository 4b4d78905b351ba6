/* A run's way into its log: header, epochs, chain values, events, image, outputs, end. */
#ifndef SHADOW_TRACER_RECORDER_H
#define SHADOW_TRACER_RECORDER_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "../log/evlog_types.h"
#include "container.h"

struct recorder;

struct recorder_options {
	const char *log_path;
	char *const *argv, *const *env; /* NULL at their end */
	const char *cwd;		/* absolute; outlives the recorder */
	const char *program;		/* as handed to container_program; outlives it, too */
	uint64_t seed;
	bool names_only; /* of files the log gets names and hashes, not the contents */
};

/* What came out of one stream. */
struct recorder_output {
	const char *name; /* "stdout", "stderr" */
	uint64_t size_bytes;
	uint8_t hash[32];
};

/*
 * Makes the log.
 * Precondition: the configuration in HEAD is complete, and the app does not run yet.  0 or a
 * negative errno; *ret_recorder is untouched on failure.
 */
int recorder_create(const struct recorder_options *options, struct recorder **ret_recorder);

/* Starts the threads of the capture, which run on `cpus`, and takes what the program needs in any
 * case; to be called before container_run, when nobody waits for it.  0 or a negative errno:
 * -EAGAIN, -ENOMEM. */
int recorder_begin(struct recorder *recorder, const cpu_set_t *cpus);

/* What container_observer asks for; errors are kept until recorder_finish. */
void recorder_epoch_end(struct recorder *recorder);
void recorder_epoch_begin(struct recorder *recorder);
void recorder_stopped(struct recorder *recorder);
void recorder_capture_sync(struct recorder *recorder, uint32_t how);

/* The first error of anything so far, or 0.  After one nothing more is written: the log stays as it
 * is, and a replay of it ends at event recorder_last_event. */
int recorder_error(const struct recorder *recorder);
uint64_t recorder_last_event(const struct recorder *recorder);

/* Whether what was announced to it has been taken by now, but for what takes less than a
 * millisecond. */
bool recorder_is_idle(const struct recorder *recorder);

/* One event record of the epoch under way. */
void recorder_event(struct recorder *recorder, const void *record, size_t size);

/* After the container has ended, as `status` and `kind` say: what it left behind. */
void recorder_look(struct recorder *recorder, int32_t status, enum evlog_end_kind kind,
		   const struct recorder_output outputs[2]);
/* After that: the rest of the image, the end record, which may still be on its way when it returns.
 * The region is not needed any more. */
void recorder_finish(struct recorder *recorder);
/* The end of that.  0, or the first error of anything before: then the log is incomplete. */
int recorder_wait(struct recorder *recorder);

/* Whether the path still leads to the log. */
bool recorder_log_is_at(const struct recorder *recorder, const char *path);

/* After recorder_wait: path `i` of those that changed under the recorder's eyes, or NULL. */
const char *recorder_changed_path(const struct recorder *recorder, size_t i);

uint64_t recorder_size_bytes(struct recorder *recorder);

/* Ends the threads and closes the log, finished or not; NULL is allowed. */
void recorder_destroy(struct recorder *recorder);

#endif
