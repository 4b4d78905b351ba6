/*
 * Reads a log, which is taken to be hostile. Opening checks all of it, section by section; what is
 * behind the first section that is not right does not exist for the reader. One thread at a time.
 */
#ifndef SHADOW_LOG_EVLOG_READER_H
#define SHADOW_LOG_EVLOG_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evlog_types.h"
#include "image_entry.h"

struct evlog_reader;

enum evlog_state {
	EVLOG_WHOLE,	 /* finished, and every byte checked */
	EVLOG_TRUNCATED, /* right as far as it goes, but it stops: its recorder was killed */
	EVLOG_DAMAGED,	 /* a section is not what its checksum or the format says */
};

/*
 * Opens a log and checks it. Succeeds as soon as the header and host sections are right, so look at
 * evlog_reader_state() next. On failure *ret_damage (may be NULL) says more:
 * -EBADMSG: not a log, or its header is damaged; -ENOMEM; what open(2) and read(2) return.
 */
int evlog_reader_open(const char *path, struct evlog_damage *ret_damage,
		      struct evlog_reader **ret_reader);

/* The same for a descriptor, which the reader owns from now on, also on failure. Its file offset
 * does not matter. */
int evlog_reader_open_fd(int fd, struct evlog_damage *ret_damage, struct evlog_reader **ret_reader);

/* NULL is allowed. */
void evlog_reader_destroy(struct evlog_reader *reader);

enum evlog_state evlog_reader_state(const struct evlog_reader *reader);

/* Where the log stops being right. Meaningful unless its state is EVLOG_WHOLE; a call below that
 * returned -EBADMSG replaces it. */
const struct evlog_damage *evlog_reader_damage(const struct evlog_reader *reader);

const struct evlog_header *evlog_reader_header(const struct evlog_reader *reader);
const struct evlog_pairs *evlog_reader_host(const struct evlog_reader *reader);

/* A value of the header's configuration, or NULL. */
const char *evlog_reader_config(const struct evlog_reader *reader, const char *key);

/* True if the log names the files of its image without holding their contents (record --no-image).
 */
bool evlog_reader_by_name(const struct evlog_reader *reader);

/* The first file of the host that is not what such a log says, and why; NULL if there was none. */
const char *evlog_reader_differs(const struct evlog_reader *reader, const char **ret_why);

/* For image_host.c; `why` is a static string. */
void evlog_reader_note_differs(struct evlog_reader *reader, const char *path, const char *why);

/* How many epochs have a record. */
uint64_t evlog_reader_epoch_count(const struct evlog_reader *reader);

/*
 * How many epochs can be replayed to their end, from 0 on: all of a whole log's, of another's all
 * but the last, of which anything may be missing.
 */
uint64_t evlog_reader_epochs_whole(const struct evlog_reader *reader);

/*
 * Reads one epoch. The caller hands the result to evlog_reader_epoch_finish().
 * -EINVAL: no such epoch. -EBADMSG, -EIO, -ENOMEM: the file changed, or cannot be read.
 */
int evlog_reader_epoch_read(struct evlog_reader *reader, uint64_t number,
			    struct evlog_epoch *ret_epoch);
void evlog_reader_epoch_finish(struct evlog_epoch *epoch);

/*
 * The chain values recorded after epoch `number` and before the next, in an array the caller
 * frees. Errors as above. Zero values are *ret_count 0 and an array that is not NULL.
 */
int evlog_reader_chain_read(struct evlog_reader *reader, uint64_t number, uint32_t **ret_values,
			    size_t *ret_count);

/* Gets some whole event records of an epoch; a non-zero return stops and is handed on. */
typedef int (*evlog_events_fn)(void *arg, uint64_t epoch, const uint8_t *records, size_t size);

/* All event records in order. Errors as above, or what `fn` returned. */
int evlog_reader_events_each(struct evlog_reader *reader, evlog_events_fn fn, void *arg);

/* True if the run was recorded with its events. */
bool evlog_reader_has_events(const struct evlog_reader *reader);

/* Gets one image entry, valid during the call; a non-zero return stops and is handed on. */
typedef int (*evlog_image_fn)(void *arg, const struct image_entry *entry);

/* All image entries in the order they were captured; a path may come more than once (image_tree
 * merges them). Errors as above, or what `fn` returned. */
int evlog_reader_image_each(struct evlog_reader *reader, evlog_image_fn fn, void *arg);

/* Outputs and end record; empty and NULL unless the log is whole. */
const struct evlog_output *evlog_reader_outputs(const struct evlog_reader *reader,
						size_t *ret_count);
const struct evlog_end *evlog_reader_end(const struct evlog_reader *reader);

/* "exit", "deadlock", ... */
const char *evlog_end_kind_name(enum evlog_end_kind kind);

/* Size of the blob with this SHA-256, and a number that grows with its place in the file (blobs are
 * fastest read in that order). False if the log has no such blob. Either result may be NULL. */
bool evlog_reader_blob_find(const struct evlog_reader *reader, const uint8_t hash[EVLOG_HASH_SIZE],
			    uint64_t *ret_size_bytes, uint64_t *ret_order);

/*
 * Writes a blob to `fd` at its current offset. Holds one section in memory at a time.
 * -ENOENT: no such blob. -EBADMSG: its bytes do not have that hash. Else as above, or write(2).
 */
int evlog_reader_blob_copy(struct evlog_reader *reader, const uint8_t hash[EVLOG_HASH_SIZE],
			   int fd);

/* A section as it stands in the file, for tools that list or rewrite a log. */
struct evlog_raw_section {
	enum evlog_section_type type;
	uint64_t offset;
	const uint8_t *inline_bytes;
	size_t inline_size;
	const uint8_t *raw; /* unpacked; valid until the next call on this reader */
	size_t raw_size;
};

size_t evlog_reader_section_count(const struct evlog_reader *reader);

/* -EINVAL: no such section. Else as above. */
int evlog_reader_section_read(struct evlog_reader *reader, size_t i,
			      struct evlog_raw_section *ret_section);

#endif
