/*
 * Takes the contents of files into a log: read, hash, each different one once. One thread at a
 * time.
 */
#ifndef SHADOW_LOG_IMAGE_CONTENT_H
#define SHADOW_LOG_IMAGE_CONTENT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "image_capture.h"
#include "image_sink.h"

struct image_content;

/* The sink must outlive it. `cache_folder` as for blob_cache_open(); a cache that cannot be opened
 * is done without. -ENOMEM. */
int image_content_create(struct image_sink *sink, bool no_cache, const char *cache_folder,
			 struct image_content **ret_content);

/* From now on contents are hashed only. */
void image_content_names_only(struct image_content *content);

/* NULL is allowed. */
void image_content_destroy(struct image_content *content);

/*
 * Takes a regular file, open for reading at its start, whose fstat(2) is `st`. *ret_moved: it was
 * changed while it was read; the bytes read are in the log all the same, and *ret_size_bytes of
 * them have the hash. -ENOMEM, the writer's error, or what read(2) returns.
 */
int image_content_take(struct image_content *content, int fd, const struct stat *st,
		       uint64_t *ret_size_bytes, uint8_t ret_hash[EVLOG_HASH_SIZE],
		       bool *ret_moved);

/* The contents of such a file go into the log if they are in the cache.  -ENOMEM, or the writer's
 * error. */
int image_content_ahead(struct image_content *content, const struct stat *st);

/* Adds what was taken to *stats. */
void image_content_stats(const struct image_content *content, struct image_capture_stats *stats);

#endif
