/*
 * The inside of a reader: what scanning a log finds. Only evlog_reader.c and evlog_scan.c see it.
 */
#ifndef SHADOW_LOG_EVLOG_SCAN_H
#define SHADOW_LOG_EVLOG_SCAN_H

#include <zstd.h>

#include "evlog_reader.h"
#include "evlog_section.h"
#include "keymap.h"

struct scan_section {
	uint64_t offset;
	struct evlog_section header;
};

struct scan_epoch {
	size_t section;
	uint64_t delivered_at;
};

/* A blob is one or more parts, one after another in `parts`. */
struct scan_blob {
	uint64_t size_bytes;
	size_t first_part;
	size_t part_count;
	bool known; /* false: an image entry named it, no section defined it yet */
};

struct scan_part {
	size_t section;
	uint32_t offset; /* in the unpacked bytes of the section */
	uint32_t size;
};

/* The unpacked form of the section read last. */
struct scan_loaded {
	size_t section;
	bool valid;
	struct evlog_buf file; /* inline and packed bytes, as in the file */
	struct evlog_buf raw;
};

struct evlog_reader {
	int fd;
	uint64_t size_bytes;
	enum evlog_state state;
	struct evlog_damage damage;
	ZSTD_DCtx *dctx;

	struct scan_section *sections;
	size_t section_count;
	struct scan_epoch *epochs;
	size_t epoch_count;
	struct scan_part *parts;
	size_t part_count;
	struct scan_blob *blobs;
	size_t blob_count;
	struct keymap *blob_by_hash; /* to an index of `blobs` */
	size_t blobs_missing;
	bool blob_open; /* CHUNK records came, LAST did not yet */
	struct scan_part *open_parts;
	size_t open_count;
	uint64_t open_size;
	bool has_events;
	bool by_name;  /* contents of files are not in the log */
	char *differs; /* path of a host file that is not what was recorded */
	const char *differs_why;

	struct scan_loaded loaded;
	struct evlog_buf header_bytes; /* what header, host and outputs point into */
	struct evlog_buf host_bytes;
	struct evlog_buf output_bytes;
	struct evlog_header header;
	struct evlog_pairs host;
	struct evlog_output *outputs;
	size_t output_count;
	struct evlog_end end;
	uint64_t index_offset;
	bool ended;
};

/* Checks the whole file and fills in everything above. State and damage say how far it got.
 * -ENOMEM, -EIO and the like: it could not be read at all. */
int evlog_scan(struct evlog_reader *reader);

/* Loads and checks section `i` into reader->loaded. -EBADMSG (and damage), -EIO, -ENOMEM. */
int evlog_scan_load(struct evlog_reader *reader, size_t i);

/* The payload of the loaded section: unpacked bytes if it has any, else its inline bytes. */
struct evlog_cursor evlog_scan_payload(const struct evlog_reader *reader);

/* Records where the log is not right. Returns -EBADMSG. */
int evlog_scan_damaged(struct evlog_reader *reader, enum evlog_state state, uint64_t offset,
		       const char *section, const char *what);

#endif
