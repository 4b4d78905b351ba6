/*
 * One section of a log: a zstd skippable frame with our header and the inline bytes, followed by
 * a zstd frame with the packed bytes (which may be missing).
 */
#ifndef SHADOW_LOG_EVLOG_SECTION_H
#define SHADOW_LOG_EVLOG_SECTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <zstd.h>

#include "evlog_format.h"
#include "evlog_wire.h"

struct evlog_section {
	enum evlog_section_type type;
	uint32_t sequence;    /* 0, 1, 2, ... in file order */
	uint32_t inline_size; /* bytes after the section header, inside the skippable frame */
	uint32_t packed_size; /* bytes of the zstd frame that follows; 0: none */
	uint32_t raw_size;    /* bytes it unpacks to */
	uint64_t checksum;    /* XXH64 of inline and packed bytes together */
};

/* "header", "image", ...; "unknown" for a number that is no type. */
/* What is said of a log that a later tool has written. */
extern const char evlog_newer_version[];

const char *evlog_section_name(unsigned int type);

/* The largest inline or raw size of a section of this type, in bytes. */
uint32_t evlog_section_limit(enum evlog_section_type type);

/* XXH64 of two byte ranges as if they were one. */
uint64_t evlog_section_checksum(const void *first, size_t first_size, const void *second,
				size_t second_size);

void evlog_section_encode(const struct evlog_section *section,
			  uint8_t ret_bytes[EVLOG_SECTION_HEADER_SIZE]);

/* Checks magic numbers, header checksum, version, type and limits. Returns NULL, or what is wrong
 * (a static string); then *ret_section is untouched. */
const char *evlog_section_decode(const uint8_t bytes[EVLOG_SECTION_HEADER_SIZE],
				 struct evlog_section *ret_section);

/* Appends one zstd frame with these bytes to `out`. -ENOMEM, or -EIO if zstd refuses. */
int evlog_section_pack(ZSTD_CCtx *cctx, int level, const void *raw, size_t size,
		       struct evlog_buf *out);

/* Unpacks exactly one zstd frame of `packed_size` bytes into exactly `raw_size` bytes at `out`.
 * -EBADMSG if the frame is anything else. Allocates nothing that depends on the frame. */
int evlog_section_unpack(ZSTD_DCtx *dctx, const void *packed, size_t packed_size, void *out,
			 size_t raw_size);

#endif
