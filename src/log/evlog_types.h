/*
 * The plain values that go into a log and come out of it.
 */
#ifndef SHADOW_LOG_EVLOG_TYPES_H
#define SHADOW_LOG_EVLOG_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "evlog_format.h"

struct evlog_strings {
	const char **at;
	size_t count;
};

/* Keys and values in turn: at[2i] is a key, at[2i+1] its value. Keys are unique. */
struct evlog_pairs {
	const char **at;
	size_t pair_count;
};

/*
 * What the run was given. The known keys of `config` are listed in docs/log-format.md; unknown
 * ones are kept, so that a reader of the log can still compare them.
 */
struct evlog_header {
	struct evlog_strings argv;
	struct evlog_strings env;
	const char *cwd;
	struct evlog_pairs config;
};

enum evlog_input_kind {
	EVLOG_INPUT_OPEN = 1,
	EVLOG_INPUT_DATA,
	EVLOG_INPUT_EOF,
	EVLOG_INPUT_CLOSE,
	EVLOG_INPUT_SIGNAL,
	EVLOG_INPUT_FILE,
	EVLOG_INPUT_KINDS
};

struct evlog_input {
	uint32_t channel;
	enum evlog_input_kind kind;
	const uint8_t *bytes;
	uint32_t size_bytes;
};

enum evlog_epoch_flag {
	EVLOG_EPOCH_EARLY = 1, /* taken between two events before its time, for an urgent input */
};

struct evlog_epoch {
	uint64_t number; /* 0, 1, 2, ... without gaps */
	uint64_t timestamp_ns;
	uint64_t delivered_at; /* global event number, never decreasing */
	uint64_t digest;       /* of everything that happened in the previous epoch */
	uint8_t seed[EVLOG_SEED_SIZE];
	uint32_t flags; /* enum evlog_epoch_flag */
	const struct evlog_input *inputs;
	size_t input_count;
};

enum evlog_output_kind {
	EVLOG_OUTPUT_STREAM = 1, /* name: "stdout", "stderr", a channel's name */
	EVLOG_OUTPUT_FILE,	 /* name: the absolute path of a written file */
	EVLOG_OUTPUT_REMOVED,	 /* name: the absolute path of an image file that is gone */
	EVLOG_OUTPUT_KINDS
};

struct evlog_output {
	enum evlog_output_kind kind;
	const char *name;
	uint64_t size_bytes;
	uint8_t hash[EVLOG_HASH_SIZE]; /* SHA-256 of all its bytes; all zeros: not hashed */
};

static inline bool evlog_output_is_hashed(const struct evlog_output *output)
{
	static const uint8_t none[EVLOG_HASH_SIZE];

	return memcmp(output->hash, none, sizeof(none)) != 0;
}

/* Why a run ended.  All of them are at an event that a replay comes to as well. */
enum evlog_end_kind {
	EVLOG_END_EXIT,		 /* its last task was gone */
	EVLOG_END_DEADLOCK,	 /* all tasks waited, and nothing could wake them */
	EVLOG_END_REFUSED,	 /* it executed an instruction that is not supported */
	EVLOG_END_OUTSIDE,	 /* the recorder was told to end it, where an epoch was due */
	EVLOG_END_OUTSIDE_EARLY, /* the same, where none was, after that event */
	EVLOG_END_KINDS
};

struct evlog_end {
	int32_t status; /* as wait(2) gives it */
	enum evlog_end_kind kind;
	uint64_t events;
	uint64_t epochs; /* must equal the number of epochs in the log */
	uint64_t digest;
};

/* Where and why a log is not whole. The strings are static. */
struct evlog_damage {
	uint64_t offset;     /* of the section, from the start of the file */
	const char *section; /* its name, or "file" when not even that can be told */
	const char *what;
};

#endif
