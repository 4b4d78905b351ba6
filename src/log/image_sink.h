/*
 * Turns image entries and contents into sections of a log. Small contents are packed together
 * before they are compressed: 5,000 files of 3 KB are some sixty zstd frames. One thread at a time.
 */
#ifndef SHADOW_LOG_IMAGE_SINK_H
#define SHADOW_LOG_IMAGE_SINK_H

#include <stddef.h>
#include <stdint.h>

#include "evlog_writer.h"
#include "image_entry.h"

/* Contents from this size on are a row of chunks of their own, and may be cached. */
#define IMAGE_SMALL_MAX (16u * 1024u)
/* The largest chunk, raw. */
#define IMAGE_CHUNK_MAX EVLOG_MIB

struct image_sink;

/* The writer must outlive the sink. -ENOMEM. */
int image_sink_create(struct evlog_writer *writer, struct image_sink **ret_sink);

/* What was not flushed is lost. NULL is allowed. */
void image_sink_destroy(struct image_sink *sink);

/* All calls below: -ENOMEM, or the writer's error. */

int image_sink_entry(struct image_sink *sink, const struct image_entry *entry);

/* A whole blob of fewer than IMAGE_SMALL_MAX bytes. The caller gives each hash once. */
int image_sink_blob(struct image_sink *sink, const uint8_t hash[EVLOG_HASH_SIZE], const void *bytes,
		    size_t size);

/* The next piece of a large blob, at most IMAGE_CHUNK_MAX bytes. *ret_packed is its zstd frame,
 * valid until the next call. */
int image_sink_chunk(struct image_sink *sink, const void *bytes, size_t size,
		     const struct evlog_buf **ret_packed);

/* The checksum that such a piece's section has in the log. */
uint64_t image_sink_chunk_checksum(const void *packed, size_t packed_size, size_t raw_size);

/* The next piece from a zstd frame that is ready, with that checksum. */
int image_sink_packed_chunk(struct image_sink *sink, const void *packed, size_t packed_size,
			    size_t raw_size, uint64_t checksum);

/* Around the chunks and the end of a large blob: no epoch comes between. */
void image_sink_pieces_begin(struct image_sink *sink);
void image_sink_pieces_end(struct image_sink *sink);

/* Ends a large blob: its hash and the sum of its chunks' sizes. */
int image_sink_last(struct image_sink *sink, const uint8_t hash[EVLOG_HASH_SIZE],
		    uint64_t size_bytes);

/* Hands small contents to the writer if they are `least` bytes; 1 then, 0 if not. */
int image_sink_pack(struct image_sink *sink, size_t least);

/* Hands everything to the writer. */
int image_sink_flush(struct image_sink *sink);

#endif
