/*
 * The per-user cache of compressed contents, so that libc is compressed once and not in every
 * recording. An entry counts only for a file with the same device, inode, size, mtime and ctime.
 */
#ifndef SHADOW_LOG_BLOB_CACHE_H
#define SHADOW_LOG_BLOB_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "evlog_format.h"
#include "evlog_wire.h"

/* Entries whose compressed bytes exceed this are not kept. */
#define BLOB_CACHE_ENTRY_MAX (64u * EVLOG_MIB)

struct blob_cache;

/*
 * Opens the cache in `folder` (made, mode 0700, if it is not there), or with NULL in
 * $XDG_CACHE_HOME/shadow/blobs, or ~/.cache/shadow/blobs. -ENOENT: no folder can be named;
 * -EPERM: the folder belongs to another user or others may write to it; -ENOMEM; open(2)'s.
 */
int blob_cache_open(const char *folder, struct blob_cache **ret_cache);

/* Closes, and now and then deletes the oldest entries beyond 512 MiB (cache_folder_close).  NULL is
 * allowed.
 */
void blob_cache_close(struct blob_cache *cache);

/* An entry that was found: the file's hash, and its chunks, to be read with
 * blob_cache_chunk_next. */
struct blob_cache_entry {
	uint8_t hash[EVLOG_HASH_SIZE];
	struct evlog_cursor chunks;
	void *mapped;
	size_t mapped_size;
};

/* A piece of the contents, as a zstd frame, with its image_sink_chunk_checksum(). */
struct blob_cache_chunk {
	const uint8_t *packed;
	uint32_t packed_size, raw_size;
	uint64_t checksum;
};

/* Looks a file up by its fstat(2). True if there is a whole entry for exactly this state of it, to
 * be closed by the caller. */
bool blob_cache_lookup(struct blob_cache *cache, const struct stat *st,
		       struct blob_cache_entry *ret_entry);

/* The next chunk; false at the end. */
bool blob_cache_chunk_next(struct blob_cache_entry *entry, struct blob_cache_chunk *ret_chunk);

void blob_cache_entry_close(struct blob_cache_entry *entry);

/* Appends one chunk to the chunks of an entry. */
void blob_cache_chunk_put(struct evlog_buf *chunks, const struct evlog_buf *packed,
			  size_t raw_size);

/* Stores an entry, or not: a file that changed within the last 2 s may change again without its
 * timestamps showing it. Failure to store is no error of anyone's run. */
void blob_cache_store(struct blob_cache *cache, const struct stat *st,
		      const uint8_t hash[EVLOG_HASH_SIZE], const struct evlog_buf *chunks);

#endif
