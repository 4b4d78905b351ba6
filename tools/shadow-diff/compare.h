/*
 * The parts of two logs, compared.  Each function adds what differs to `report`, under keys of its
 * own that are absent when nothing does; 0 or a negative errno (-EBADMSG: a log is damaged).
 */
#ifndef SHADOW_DIFF_COMPARE_H
#define SHADOW_DIFF_COMPARE_H

#include <jansson.h>

#include "log/evlog_reader.h"

struct log_pair {
	struct evlog_reader *reader[2];
};

/*
 * arguments, folder	{ a, b }
 * environment, configuration	[ { name, a, b } ], null where it is absent
 */
int compare_header(const struct log_pair *logs, json_t *report);

/*
 * image	[ { path, what, a, b } ], contents with offset, byte_a and byte_b
 * looked_at	{ a, b }: paths that one run alone looked at
 */
int compare_image(const struct log_pair *logs, json_t *report);

/*
 * epochs	{ number, what, a, b }: the first that differs in what was delivered
 * digests	{ equal_events, a, b }: up to which event all is known to be equal
 */
int compare_epochs(const struct log_pair *logs, json_t *report);

/*
 * outputs	[ { name, a, b } ] with { bytes, sha256 }
 * status, events	{ a, b }
 */
int compare_end(const struct log_pair *logs, json_t *report);

/* event: see compare_events.c.  Adds `problem` if a log could not be re-executed. */
int compare_events(const struct log_pair *logs, const char *tool, json_t *report);

json_t *compare_hash(const uint8_t hash[EVLOG_HASH_SIZE]);

/* The report for people. */
void compare_print(const json_t *report, FILE *out);

#endif
