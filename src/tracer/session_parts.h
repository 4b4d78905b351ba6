/*
 * What session.c, session_run.c and session_replay.c share: one session, and its steps in the order
 * in which they are taken.
 */
#ifndef SHADOW_TRACER_SESSION_PARTS_H
#define SHADOW_TRACER_SESSION_PARTS_H

#include <nettle/sha2.h>
#include <sched.h>

#include "container.h"
#include "recorder.h"
#include "replay_root.h"
#include "session.h"
#include "source_local.h"
#include "source_log.h"

#define OUR_FAILURE    125
#define NOT_EXECUTABLE 126
#define NOT_FOUND      127
#define PROCESS_LIMIT  " (is the limit of processes reached?)"

struct stream_hash {
	struct sha256_ctx sha;
	uint64_t size_bytes;
};

struct session {
	const struct session_options *options;
	struct session_result *result;
	struct container container;
	bool created;		       /* the container is there */
	struct stream_hash streams[2]; /* stdout, stderr */
	struct recorder *recorder;     /* record */
	struct evlog_reader *reader;   /* replay */
	struct replay_root root;
	struct source_local local;
	struct source_log from_log;
	events_fn event_fn; /* or NULL */
	void *event_arg;
	bool progress;
	bool log_lost; /* the log could not be written on; said */
	uint64_t phase_begun;
};

/* A line on stderr, after the tool's name. */
void session_say(const struct session *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The result of a step of the container's, which says itself what went wrong. */
int session_told(const struct session *s, int error);

uint64_t session_now_ns(void);

/* 0, or a negative errno that was told; session_end is due in any case. */
int session_begin(struct session *s, const struct session_options *options,
		  struct session_result *result);

/* What does not belong to the recorded configuration, or follows from it. */
void session_configure(struct session *s);

/* Has the container made, beside what is still to be done before it runs. */
int session_prepare(struct session *s);

/* Whether this machine has what the configured baseline promises: 0 or -ENOTSUP, told. */
int session_check_baseline(const struct session *s);

/* Launches and runs; the container has ended when this returns.  0 or a negative errno. */
int session_execute(struct session *s);

void session_take_figures(struct session *s);

/* Bytes that reached nobody are a failure of ours, whatever the program made of it. */
void session_check_outputs(struct session *s);

/* What the log says of the end, if it is one that a replay comes to. */
bool session_end_kind(const struct session *s, enum evlog_end_kind *ret_kind);

/* The status of such an end, as wait(2) gives it. */
int session_end_wait_status(enum evlog_end_kind kind);

/* The same as a shell has it. */
int session_status_of(int wait_status);

/* The tool's status after an end; other ends than the program's own are told. */
int session_end_status(struct session *s);

/* Takes the container down, which has ended, and whose region is not needed any more. */
void session_take_down(void *session);

void session_end(struct session *s);

#endif
