/*
 * The parts of two logs, compared.  Each function adds what differs to `report`, under keys of its
 * own that are absent when nothing does; 0 or a negative errno (-EBADMSG: a log is damaged).
 */
#ifndef SHADOW_DIFF_COMPARE_H
#define SHADOW_DIFF_COMPARE_H

#include <jansson.h>

#include "log/evlog_reader.h"

/* How far a log goes: of one that is incomplete, to the end of its last whole epoch. */
struct log_extent {
	uint64_t epochs;
	uint64_t events; /* UINT64_MAX: it is whole, and goes to the end of the run */
};

struct log_pair {
	struct evlog_reader *reader[2];
	struct log_extent extent[2];
};

/* Fills the extents in.  0 or a negative errno. */
int compare_extents(struct log_pair *logs);

/* The last event that both logs can be re-executed to; UINT64_MAX: to the ends of the runs. */
uint64_t compare_last_event(const struct log_pair *logs);

/*
 * incomplete	{ a, b }: null for a whole log, else where it ends and why:
 *		{ event, epoch, section, what, byte }; epoch: null if none is whole
 */
void compare_incomplete(const struct log_pair *logs, json_t *report);

/*
 * Called last, for logs that are not the same bytes.
 *
 * agree	{ event, epoch, ends }: no event differs up to there, where "a", "b" or
 *		"both" end; what the runs did behind it is not known
 */
void compare_agreement(const struct log_pair *logs, json_t *report);

/*
 * arguments, folder	{ a, b }
 * environment, configuration	[ { name, a, b } ], null where it is absent
 */
int compare_header(const struct log_pair *logs, json_t *report);

/*
 * image	[ { path, what, a, b } ], contents with offset, byte_a and byte_b
 * looked_at	{ a, b }: paths that one run alone looked at, as far as the other is known
 */
int compare_image(const struct log_pair *logs, json_t *report);

/*
 * epochs	{ number, what, a, b }: the first that differs in what was delivered
 * digests	{ equal_events, a, b }: up to which event all is known to be equal
 * Epochs behind the last whole one of either log are not looked at.
 */
int compare_epochs(const struct log_pair *logs, json_t *report);

/*
 * outputs	[ { name, a, b } ] with { bytes, sha256 }
 * status, events	{ a, b }
 */
int compare_end(const struct log_pair *logs, json_t *report);

/* event: see compare_events.c, up to compare_last_event().  Adds `problem` if a log could not be
 * re-executed. */
int compare_events(const struct log_pair *logs, const char *tool, json_t *report);

json_t *compare_hash(const uint8_t hash[EVLOG_HASH_SIZE]);

/* The report for people. */
void compare_print(const json_t *report, FILE *out);

#endif
