/*
 * Purpose: contents of files into blobs.
 * Owns: one chunk of memory, the hash state, the sets of files and contents taken, the cache.
 * Invariants: a blob's hash is that of the very bytes handed to the sink, also when the file
 * changes under us; each hash is given to the sink as a small blob once. (A large blob is known
 * only when all of it went out: of two equal ones the reader takes the first.)
 */
#include "image_content.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "../base/sha256.h"
#include "blob_cache.h"
#include "keymap.h"

/* What identifies a state of a file. */
struct file_key {
	uint64_t dev, ino, size;
	int64_t mtime_sec, mtime_nsec, ctime_sec, ctime_nsec;
};

struct image_content {
	struct image_sink *sink;
	struct blob_cache *cache; /* or NULL */
	bool names_only;	  /* nothing goes to the sink */
	struct sha256_ctx sha;
	struct keymap *blobs; /* hash to size, of what is in the log */
	struct keymap *links; /* struct file_key to an offset in `link_hashes` */
	bool took_ahead;      /* files of one name are in it too */
	struct evlog_buf link_hashes;
	struct evlog_buf cached; /* chunks of the cache entry being made */
	uint64_t files, bytes, cache_hits;
	uint8_t chunk[IMAGE_CHUNK_MAX];
};

int image_content_create(struct image_sink *sink, bool no_cache, const char *cache_folder,
			 struct image_content **ret_content)
{
	struct image_content *content = malloc(sizeof(*content));

	if (!content)
		return -ENOMEM;
	/* All but the chunk, whose pages shall cost nothing until they are used. */
	memset(content, 0, offsetof(struct image_content, chunk));
	content->sink = sink;
	if (keymap_create(&content->blobs) || keymap_create(&content->links)) {
		image_content_destroy(content);
		return -ENOMEM;
	}
	if (!no_cache && blob_cache_open(cache_folder, &content->cache))
		content->cache = NULL;
	*ret_content = content;
	return 0;
}

void image_content_names_only(struct image_content *content)
{
	content->names_only = true;
}

void image_content_destroy(struct image_content *content)
{
	if (!content)
		return;
	blob_cache_close(content->cache);
	keymap_destroy(content->blobs);
	keymap_destroy(content->links);
	evlog_buf_finish(&content->link_hashes);
	evlog_buf_finish(&content->cached);
	free(content);
}

static struct file_key key_make(const struct stat *st)
{
	return (struct file_key){
		.dev = st->st_dev,
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.mtime_sec = st->st_mtim.tv_sec,
		.mtime_nsec = st->st_mtim.tv_nsec,
		.ctime_sec = st->st_ctim.tv_sec,
		.ctime_nsec = st->st_ctim.tv_nsec,
	};
}

/* Reads until `size` bytes or the end of the file. */
static ssize_t read_full(int fd, uint8_t *bytes, size_t size, uint64_t offset)
{
	size_t have = 0;

	while (have < size) {
		ssize_t done = pread(fd, bytes + have, size - have, (off_t)(offset + have));

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (!done)
			break;
		have += (size_t)done;
	}
	return (ssize_t)have;
}

static bool known(const struct image_content *content, const uint8_t *hash)
{
	uint64_t size;

	return keymap_get(content->blobs, hash, EVLOG_HASH_SIZE, &size);
}

static int known_add(struct image_content *content, const uint8_t *hash, uint64_t size)
{
	return keymap_put(content->blobs, hash, EVLOG_HASH_SIZE, size);
}

static int take_small(struct image_content *content, int fd, size_t size, uint64_t *ret_size,
		      uint8_t *ret_hash)
{
	ssize_t got = read_full(fd, content->chunk, size, 0);
	int ret;

	if (got < 0)
		return (int)got;
	sha256_of(content->chunk, (size_t)got, ret_hash);
	*ret_size = (uint64_t)got;
	if (content->names_only || known(content, ret_hash))
		return 0;
	ret = image_sink_blob(content->sink, ret_hash, content->chunk, (size_t)got);
	return ret ? ret : known_add(content, ret_hash, (uint64_t)got);
}

/* One chunk out; and into the cache entry while that may be kept. */
static int chunk_out(struct image_content *content, size_t size)
{
	const struct evlog_buf *packed;
	int ret;

	if (content->names_only)
		return 0;
	ret = image_sink_chunk(content->sink, content->chunk, size, &packed);

	if (!ret && content->cache && content->cached.len <= BLOB_CACHE_ENTRY_MAX)
		blob_cache_chunk_put(&content->cached, packed, size);
	return ret;
}

/*
 * The next chunk. Holes are not read: the kernel would fill its cache with 4 KiB of zeros each (9 s
 * for 4 GiB). `*data` is where data begins at or behind the chunk, as far as that is known.
 */
static ssize_t chunk_read(struct image_content *content, int fd, uint64_t offset, size_t size,
			  uint64_t *data)
{
	if (*data < offset + size) {
		off_t next = lseek(fd, (off_t)offset, SEEK_DATA);

		if (next >= 0)
			*data = (uint64_t)next;
		else
			*data = errno == ENXIO ? UINT64_MAX : offset;
	}
	if (*data < offset + size)
		return read_full(fd, content->chunk, size, offset);
	memset(content->chunk, 0, size);
	return (ssize_t)size;
}

static int take_chunks(struct image_content *content, int fd, uint64_t size, uint64_t *ret_size)
{
	uint64_t done = 0, data = 0;
	int ret = 0;

	while (!ret && done < size) {
		size_t want = size - done < IMAGE_CHUNK_MAX ? size - done : IMAGE_CHUNK_MAX;
		ssize_t got = chunk_read(content, fd, done, want, &data);

		/* Chunks may be out already, so the blob has to be ended with what there is. */
		if (got <= 0)
			break;
		sha256_update(&content->sha, (size_t)got, content->chunk);
		ret = chunk_out(content, (size_t)got);
		done += (uint64_t)got;
	}
	*ret_size = done;
	return ret;
}

static int take_pieces(struct image_content *content, int fd, const struct stat *st,
		       uint64_t *ret_size, uint8_t *ret_hash)
{
	int ret;

	content->cached.len = 0;
	sha256_init(&content->sha);
	ret = take_chunks(content, fd, (uint64_t)st->st_size, ret_size);
	if (ret)
		return ret;
	sha256_digest(&content->sha, EVLOG_HASH_SIZE, ret_hash);
	if (content->names_only)
		return 0;
	/* Not one byte could be read: an empty blob, as a small one. */
	if (!*ret_size)
		return known(content, ret_hash)
			       ? 0
			       : image_sink_blob(content->sink, ret_hash, content->chunk, 0);
	ret = image_sink_last(content->sink, ret_hash, *ret_size);
	return ret ? ret : known_add(content, ret_hash, *ret_size);
}

static int take_large(struct image_content *content, int fd, const struct stat *st,
		      uint64_t *ret_size, uint8_t *ret_hash)
{
	int ret;

	image_sink_pieces_begin(content->sink);
	ret = take_pieces(content, fd, st, ret_size, ret_hash);
	image_sink_pieces_end(content->sink);
	return ret;
}

static int put_cached(struct image_content *content, struct blob_cache_entry *entry,
		      uint64_t size_bytes)
{
	struct blob_cache_chunk c;
	int ret = 0;

	if (content->names_only || known(content, entry->hash))
		return 0;
	image_sink_pieces_begin(content->sink);
	while (!ret && blob_cache_chunk_next(entry, &c))
		ret = image_sink_packed_chunk(content->sink, c.packed, c.packed_size, c.raw_size,
					      c.checksum);
	if (!ret)
		ret = image_sink_last(content->sink, entry->hash, size_bytes);
	image_sink_pieces_end(content->sink);
	return ret ? ret : known_add(content, entry->hash, size_bytes);
}

/* 1: taken from the cache. */
static int take_cached(struct image_content *content, const struct stat *st, uint8_t *ret_hash)
{
	struct blob_cache_entry entry;
	int ret;

	if (!content->cache || !blob_cache_lookup(content->cache, st, &entry))
		return 0;
	content->cache_hits++;
	memcpy(ret_hash, entry.hash, EVLOG_HASH_SIZE);
	ret = put_cached(content, &entry, (uint64_t)st->st_size);
	blob_cache_entry_close(&entry);
	return ret ? ret : 1;
}

static bool has_moved(int fd, const struct stat *st)
{
	struct stat now;
	struct file_key before = key_make(st), after;

	if (fstat(fd, &now))
		return true;
	after = key_make(&now);
	return memcmp(&before, &after, sizeof(before)) != 0;
}

static int take_read(struct image_content *content, int fd, const struct stat *st,
		     uint64_t *ret_size, uint8_t *ret_hash, bool *ret_moved)
{
	bool small = (uint64_t)st->st_size < IMAGE_SMALL_MAX;
	int ret = small ? 0 : take_cached(content, st, ret_hash);

	if (ret) {
		*ret_size = (uint64_t)st->st_size;
		return ret < 0 ? ret : 0;
	}
	if (small)
		ret = take_small(content, fd, (size_t)st->st_size, ret_size, ret_hash);
	else
		ret = take_large(content, fd, st, ret_size, ret_hash);
	if (ret)
		return ret;
	*ret_moved = *ret_size != (uint64_t)st->st_size || has_moved(fd, st);
	if (!small && content->cache && !*ret_moved && content->cached.len)
		blob_cache_store(content->cache, st, ret_hash, &content->cached);
	return 0;
}

/* Files with several names are read once, and what was taken ahead not again. */
static bool link_find(const struct image_content *content, const struct stat *st, uint8_t *ret_hash)
{
	struct file_key key = key_make(st);
	uint64_t offset;

	if ((st->st_nlink < 2 && !content->took_ahead) ||
	    !keymap_get(content->links, &key, sizeof(key), &offset))
		return false;
	memcpy(ret_hash, content->link_hashes.data + offset, EVLOG_HASH_SIZE);
	return true;
}

static int link_add(struct image_content *content, const struct stat *st, const uint8_t *hash)
{
	struct file_key key = key_make(st);
	uint64_t offset = content->link_hashes.len;

	evlog_put(&content->link_hashes, hash, EVLOG_HASH_SIZE);
	if (content->link_hashes.error)
		return -ENOMEM;
	return keymap_put(content->links, &key, sizeof(key), offset);
}

int image_content_take(struct image_content *content, int fd, const struct stat *st,
		       uint64_t *ret_size_bytes, uint8_t ret_hash[EVLOG_HASH_SIZE], bool *ret_moved)
{
	uint64_t size = (uint64_t)st->st_size;
	bool moved = false;
	int ret = 0;

	if (!link_find(content, st, ret_hash)) {
		ret = take_read(content, fd, st, &size, ret_hash, &moved);
		if (!ret && !moved && st->st_nlink > 1)
			ret = link_add(content, st, ret_hash);
	}
	if (ret)
		return ret;
	content->files++;
	content->bytes += size;
	*ret_size_bytes = size;
	*ret_moved = moved;
	return 0;
}

int image_content_ahead(struct image_content *content, const struct stat *st)
{
	uint8_t hash[EVLOG_HASH_SIZE];
	int ret = content->names_only ? 0 : take_cached(content, st, hash);

	if (ret <= 0)
		return ret;
	content->took_ahead = true;
	return link_add(content, st, hash);
}

void image_content_stats(const struct image_content *content, struct image_capture_stats *stats)
{
	stats->files += content->files;
	stats->file_bytes += content->bytes;
	stats->blobs += keymap_count(content->blobs);
	stats->cache_hits += content->cache_hits;
}
