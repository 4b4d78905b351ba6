/*
 * Purpose: compressed contents kept between recordings.
 * Owns: nothing but the folder, which is shared with every other recorder of the user.
 *
 * An entry is the file DEV-INO (hexadecimal):
 *	0	u32	magic "SBLB"
 *	4	u32	version
 *	8	7 u64	dev, ino, size, mtime s, mtime ns, ctime s, ctime ns
 *	64	32	SHA-256 of the contents
 *	96	u64	XXH64 of the bytes 0 to 95 and the chunks
 *	104		chunks: u32 raw size, u32 packed size, zstd frame
 *
 * Invariants: an entry that is not whole, or of another state of the file, is as good as none. Its
 *bytes go into a log unseen, but not out of one: the reader checks them against their SHA-256.
 */
#include "blob_cache.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/cache_folder.h"
#include "evlog_section.h"

#define ENTRY_MAGIC    0x424C4253u /* "SBLB" */
#define ENTRY_VERSION  1
#define ENTRY_SUMMED   96
#define ENTRY_START    104
#define TOTAL_MAX      (512ull * EVLOG_MIB)
#define SETTLE_SECONDS 2

struct blob_cache {
	struct cache_folder *folder;
};

int blob_cache_open(const char *folder, struct blob_cache **ret_cache)
{
	struct blob_cache *cache = calloc(1, sizeof(*cache));
	int ret = cache ? cache_folder_open(folder, "blobs", TOTAL_MAX, &cache->folder) : -ENOMEM;

	if (ret) {
		free(cache);
		return ret;
	}
	*ret_cache = cache;
	return 0;
}

static void entry_name(const struct stat *st, char name[CACHE_NAME_SIZE])
{
	snprintf(name, CACHE_NAME_SIZE, "%jx-%jx", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
}

static void entry_start(struct evlog_buf *buf, const struct stat *st)
{
	evlog_put_u32(buf, ENTRY_MAGIC);
	evlog_put_u32(buf, ENTRY_VERSION);
	evlog_put_u64(buf, st->st_dev);
	evlog_put_u64(buf, st->st_ino);
	evlog_put_u64(buf, (uint64_t)st->st_size);
	evlog_put_u64(buf, (uint64_t)st->st_mtim.tv_sec);
	evlog_put_u64(buf, (uint64_t)st->st_mtim.tv_nsec);
	evlog_put_u64(buf, (uint64_t)st->st_ctim.tv_sec);
	evlog_put_u64(buf, (uint64_t)st->st_ctim.tv_nsec);
}

static bool read_all(int fd, struct evlog_buf *buf, size_t size)
{
	uint8_t *room = evlog_buf_room(buf, size);

	while (room && size) {
		ssize_t done = read(fd, buf->data + buf->len, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		buf->len += (size_t)done;
		size -= (size_t)done;
	}
	return room;
}

void blob_cache_chunk_put(struct evlog_buf *chunks, const struct evlog_buf *packed, size_t raw_size)
{
	evlog_put_u32(chunks, (uint32_t)raw_size);
	evlog_put_u32(chunks, (uint32_t)packed->len);
	evlog_put(chunks, packed->data, packed->len);
}

bool blob_cache_chunk_next(struct evlog_cursor *cursor, const uint8_t **ret_packed,
			   uint32_t *ret_packed_size, uint32_t *ret_raw_size)
{
	uint32_t raw_size = evlog_get_u32(cursor);
	uint32_t packed_size = evlog_get_u32(cursor);
	const uint8_t *packed = evlog_get(cursor, packed_size);

	if (cursor->failed)
		return false;
	*ret_packed = packed;
	*ret_packed_size = packed_size;
	*ret_raw_size = raw_size;
	return true;
}

/* That the chunks are well formed, fit the limits of a section, and add up to the file. */
static bool chunks_valid(const struct evlog_buf *chunks, uint64_t size_bytes)
{
	struct evlog_cursor cursor = evlog_cursor_make(chunks->data, chunks->len);
	const uint8_t *packed;
	uint32_t packed_size, raw_size;
	uint64_t sum = 0;

	while (evlog_cursor_left(&cursor)) {
		if (!blob_cache_chunk_next(&cursor, &packed, &packed_size, &raw_size) ||
		    !raw_size || raw_size > EVLOG_SMALL_LIMIT ||
		    ZSTD_getFrameContentSize(packed, packed_size) != raw_size)
			return false;
		sum += raw_size;
	}
	return sum == size_bytes;
}

/* Reads the open entry; `start` is the beginning it must have. */
static bool entry_read(int fd, const struct evlog_buf *start, uint8_t *ret_hash,
		       struct evlog_buf *chunks)
{
	uint8_t head[ENTRY_START];
	uint64_t sum;
	struct stat st;

	if (fstat(fd, &st) || st.st_size < ENTRY_START || st.st_size > BLOB_CACHE_ENTRY_MAX)
		return false;
	if (read(fd, head, sizeof(head)) != sizeof(head) ||
	    memcmp(head, start->data, start->len) != 0)
		return false;
	if (!read_all(fd, chunks, (size_t)st.st_size - ENTRY_START))
		return false;
	memcpy(&sum, head + ENTRY_SUMMED, sizeof(sum));
	if (le64toh(sum) != evlog_section_checksum(head, ENTRY_SUMMED, chunks->data, chunks->len))
		return false;
	memcpy(ret_hash, head + start->len, EVLOG_HASH_SIZE);
	return true;
}

bool blob_cache_lookup(struct blob_cache *cache, const struct stat *st,
		       uint8_t ret_hash[EVLOG_HASH_SIZE], struct evlog_buf *chunks)
{
	struct evlog_buf start = {0};
	char name[CACHE_NAME_SIZE];
	bool found = false;
	int fd;

	entry_name(st, name);
	chunks->len = 0;
	fd = cache_folder_find(cache->folder, name);
	if (fd < 0)
		return false;
	entry_start(&start, st);
	if (!start.error)
		found = entry_read(fd, &start, ret_hash, chunks) &&
			chunks_valid(chunks, (uint64_t)st->st_size);
	if (found)
		cache_folder_touch(fd);
	evlog_buf_finish(&start);
	close(fd);
	return found;
}

static bool settled(const struct timespec *time, const struct timespec *now)
{
	return now->tv_sec - time->tv_sec > SETTLE_SECONDS;
}

void blob_cache_store(struct blob_cache *cache, const struct stat *st,
		      const uint8_t hash[EVLOG_HASH_SIZE], const struct evlog_buf *chunks)
{
	struct evlog_buf start = {0};
	char name[CACHE_NAME_SIZE];
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	if (chunks->error || chunks->len > BLOB_CACHE_ENTRY_MAX - ENTRY_START ||
	    !settled(&st->st_mtim, &now) || !settled(&st->st_ctim, &now))
		return;
	entry_name(st, name);
	entry_start(&start, st);
	evlog_put(&start, hash, EVLOG_HASH_SIZE);
	if (!start.error)
		evlog_put_u64(&start, evlog_section_checksum(start.data, start.len, chunks->data,
							     chunks->len));
	if (!start.error) {
		struct iovec parts[] = {{start.data, start.len}, {chunks->data, chunks->len}};

		cache_folder_store(cache->folder, name, parts, 2);
	}
	evlog_buf_finish(&start);
}

void blob_cache_close(struct blob_cache *cache)
{
	if (!cache)
		return;
	cache_folder_close(cache->folder);
	free(cache);
}
