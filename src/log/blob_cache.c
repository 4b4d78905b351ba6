/*
 * Purpose: compressed contents kept between recordings.
 * Owns: nothing but the folder, which is shared with every other recorder of the user.
 *
 * An entry is the file DEV-INO (hexadecimal):
 *	0	u32	magic "SBLB"
 *	4	u32	version
 *	8	7 u64	dev, ino, size, mtime s, mtime ns, ctime s, ctime ns
 *	64	32	SHA-256 of the contents
 *	96	u64	XXH3 of the bytes 0 to 95, and that as the seed for what follows
 *	104		chunks: u32 raw size, u32 packed size, u64 checksum of the section that it
 *			becomes, zstd frame
 *
 * Invariants: an entry that is not whole, or of another state of the file, is as good as none. Its
 * bytes go into a log unseen, but not out of one: the reader checks them against their SHA-256.
 * The checksum is not that of the sections, which takes three times as long: a recording of a short
 * program waits for it.
 */
#include "blob_cache.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "../base/cache_folder.h"
#include "evlog_section.h"
#include "image_sink.h"

#define ENTRY_MAGIC    0x424C4253u /* "SBLB" */
#define ENTRY_VERSION  3
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

/* Of the first bytes of an entry and its chunks. */
static uint64_t entry_sum(const void *head, const void *chunks, size_t size)
{
	return XXH3_64bits_withSeed(chunks, size, XXH3_64bits(head, ENTRY_SUMMED));
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

void blob_cache_chunk_put(struct evlog_buf *chunks, const struct evlog_buf *packed, size_t raw_size)
{
	evlog_put_u32(chunks, (uint32_t)raw_size);
	evlog_put_u32(chunks, (uint32_t)packed->len);
	evlog_put_u64(chunks, image_sink_chunk_checksum(packed->data, packed->len, raw_size));
	evlog_put(chunks, packed->data, packed->len);
}

bool blob_cache_chunk_next(struct blob_cache_entry *entry, struct blob_cache_chunk *ret_chunk)
{
	struct evlog_cursor *cursor = &entry->chunks;

	if (!evlog_cursor_left(cursor))
		return false;
	ret_chunk->raw_size = evlog_get_u32(cursor);
	ret_chunk->packed_size = evlog_get_u32(cursor);
	ret_chunk->checksum = evlog_get_u64(cursor);
	ret_chunk->packed = evlog_get(cursor, ret_chunk->packed_size);
	return !cursor->failed;
}

/* That the chunks fit the limits of a section, and add up to the file. */
static bool chunks_valid(struct blob_cache_entry entry, uint64_t size_bytes)
{
	struct blob_cache_chunk c;
	uint64_t sum = 0;

	while (blob_cache_chunk_next(&entry, &c)) {
		if (!c.raw_size || c.raw_size > EVLOG_SMALL_LIMIT ||
		    ZSTD_getFrameContentSize(c.packed, c.packed_size) != c.raw_size)
			return false;
		sum += c.raw_size;
	}
	return !entry.chunks.failed && sum == size_bytes;
}

/* `start` is the beginning it must have. */
static bool entry_valid(const uint8_t *bytes, size_t size, const struct evlog_buf *start)
{
	uint64_t sum;

	memcpy(&sum, bytes + ENTRY_SUMMED, sizeof(sum));
	return memcmp(bytes, start->data, start->len) == 0 &&
	       le64toh(sum) == entry_sum(bytes, bytes + ENTRY_START, size - ENTRY_START);
}

/* Maps the open entry: it is hashed and written to a log, without a copy. */
static bool entry_map(int fd, struct blob_cache_entry *entry)
{
	struct stat st;

	if (fstat(fd, &st) || st.st_size < ENTRY_START || st.st_size > BLOB_CACHE_ENTRY_MAX)
		return false;
	entry->mapped_size = (size_t)st.st_size;
	entry->mapped =
		mmap(NULL, entry->mapped_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	return entry->mapped != MAP_FAILED;
}

static bool entry_open(int fd, const struct evlog_buf *start, uint64_t size_bytes,
		       struct blob_cache_entry *entry)
{
	const uint8_t *bytes;

	if (!entry_map(fd, entry))
		return false;
	bytes = entry->mapped;
	memcpy(entry->hash, bytes + start->len, EVLOG_HASH_SIZE);
	entry->chunks = evlog_cursor_make(bytes + ENTRY_START, entry->mapped_size - ENTRY_START);
	if (entry_valid(bytes, entry->mapped_size, start) && chunks_valid(*entry, size_bytes))
		return true;
	blob_cache_entry_close(entry);
	return false;
}

bool blob_cache_lookup(struct blob_cache *cache, const struct stat *st,
		       struct blob_cache_entry *ret_entry)
{
	struct evlog_buf start = {0};
	char name[CACHE_NAME_SIZE];
	bool found = false;
	int fd;

	entry_name(st, name);
	fd = cache_folder_find(cache->folder, name);
	if (fd < 0)
		return false;
	entry_start(&start, st);
	if (!start.error)
		found = entry_open(fd, &start, (uint64_t)st->st_size, ret_entry);
	evlog_buf_finish(&start);
	close(fd);
	return found;
}

void blob_cache_entry_close(struct blob_cache_entry *entry)
{
	munmap(entry->mapped, entry->mapped_size);
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
		evlog_put_u64(&start, entry_sum(start.data, chunks->data, chunks->len));
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
