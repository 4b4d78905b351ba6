/*
 * Purpose: compressed contents kept between recordings.
 * Owns: the folder's descriptor. The files are shared with every other recorder of the user.
 *
 * An entry is the file DEV-INO (hexadecimal):
 *	0	u32	magic "SBLB"
 *	4	u32	version
 *	8	7 u64	dev, ino, size, mtime s, mtime ns, ctime s, ctime ns
 *	64	32	SHA-256 of the contents
 *	96	u64	XXH64 of the bytes 0 to 95 and the chunks
 *	104		chunks: u32 raw size, u32 packed size, zstd frame
 *
 * Invariants: an entry appears by rename, whole; one that is not whole, or of another state of the
 * file, is as good as none. Its bytes go into a log unseen, but not out of one: the reader checks
 * them against their SHA-256.
 */
#include "blob_cache.h"

#include <dirent.h>
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "evlog_section.h"

#define ENTRY_MAGIC    0x424C4253u /* "SBLB" */
#define ENTRY_VERSION  1
#define ENTRY_SUMMED   96
#define ENTRY_START    104
#define NAME_SIZE      64
#define TOTAL_MAX      (512ull * EVLOG_MIB)
#define SETTLE_SECONDS 2
/* A temporary file older than this was left by a recorder that was killed. */
#define STALE_SECONDS 3600

struct blob_cache {
	int fd;
	bool stored;
};

static int folder_name(const char *folder, char ret_path[PATH_MAX])
{
	const char *base = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	int len;

	if (folder)
		len = snprintf(ret_path, PATH_MAX, "%s", folder);
	else if (base && base[0] == '/')
		len = snprintf(ret_path, PATH_MAX, "%s/shadow/blobs", base);
	else if (home && home[0] == '/')
		len = snprintf(ret_path, PATH_MAX, "%s/.cache/shadow/blobs", home);
	else
		return -ENOENT;
	return len < PATH_MAX ? 0 : -ENAMETOOLONG;
}

/* Makes the folder and the folders above it; that they are there already is no error. */
static void folder_make(char *path)
{
	for (char *at = strchr(path + 1, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		mkdir(path, 0700);
		*at = '/';
	}
	mkdir(path, 0700);
}

int blob_cache_open(const char *folder, struct blob_cache **ret_cache)
{
	char path[PATH_MAX];
	struct blob_cache *cache;
	struct stat st;
	int ret = folder_name(folder, path);
	int fd;

	if (ret)
		return ret;
	folder_make(path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	cache = calloc(1, sizeof(*cache));
	ret = cache ? 0 : -ENOMEM;
	if (!ret && (fstat(fd, &st) || st.st_uid != geteuid() || (st.st_mode & 022)))
		ret = -EPERM;
	if (ret) {
		close(fd);
		free(cache);
		return ret;
	}
	cache->fd = fd;
	*ret_cache = cache;
	return 0;
}

static void entry_name(const struct stat *st, char name[NAME_SIZE])
{
	snprintf(name, NAME_SIZE, "%jx-%jx", (uintmax_t)st->st_dev, (uintmax_t)st->st_ino);
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

static bool write_all(int fd, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;

	while (size) {
		ssize_t done = write(fd, at, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		size -= (size_t)done;
	}
	return true;
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

	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size < ENTRY_START ||
	    st.st_size > BLOB_CACHE_ENTRY_MAX)
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
	char name[NAME_SIZE];
	bool found = false;
	int fd;

	entry_name(st, name);
	chunks->len = 0;
	fd = openat(cache->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return false;
	entry_start(&start, st);
	if (!start.error)
		found = entry_read(fd, &start, ret_hash, chunks) &&
			chunks_valid(chunks, (uint64_t)st->st_size);
	/* The newest use decides which entries are the oldest. */
	if (found)
		futimens(fd, NULL);
	evlog_buf_finish(&start);
	close(fd);
	return found;
}

static bool settled(const struct timespec *time, const struct timespec *now)
{
	return now->tv_sec - time->tv_sec > SETTLE_SECONDS;
}

static bool entry_write(int fd, const struct stat *st, const uint8_t *hash,
			const struct evlog_buf *chunks)
{
	struct evlog_buf start = {0};
	bool done;

	entry_start(&start, st);
	evlog_put(&start, hash, EVLOG_HASH_SIZE);
	if (!start.error)
		evlog_put_u64(&start, evlog_section_checksum(start.data, start.len, chunks->data,
							     chunks->len));
	done = !start.error && write_all(fd, start.data, start.len) &&
	       write_all(fd, chunks->data, chunks->len);
	evlog_buf_finish(&start);
	return done;
}

void blob_cache_store(struct blob_cache *cache, const struct stat *st,
		      const uint8_t hash[EVLOG_HASH_SIZE], const struct evlog_buf *chunks)
{
	char name[NAME_SIZE], temporary[NAME_SIZE];
	struct timespec now;
	uint64_t random;
	int fd;

	clock_gettime(CLOCK_REALTIME, &now);
	if (chunks->error || chunks->len > BLOB_CACHE_ENTRY_MAX - ENTRY_START ||
	    !settled(&st->st_mtim, &now) || !settled(&st->st_ctim, &now))
		return;
	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return;
	entry_name(st, name);
	snprintf(temporary, sizeof(temporary), ".new-%016jx", (uintmax_t)random);
	fd = openat(cache->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	if (!entry_write(fd, st, hash, chunks) ||
	    renameat(cache->fd, temporary, cache->fd, name) != 0)
		unlinkat(cache->fd, temporary, 0);
	else
		cache->stored = true;
	close(fd);
}

struct aged {
	struct timespec mtime;
	uint64_t size_bytes;
	char name[NAME_SIZE];
};

static int aged_compare(const void *left, const void *right)
{
	const struct aged *a = left, *b = right;

	if (a->mtime.tv_sec != b->mtime.tv_sec)
		return a->mtime.tv_sec < b->mtime.tv_sec ? -1 : 1;
	return (a->mtime.tv_nsec > b->mtime.tv_nsec) - (a->mtime.tv_nsec < b->mtime.tv_nsec);
}

/* Notes one file of the folder; drops what a killed recorder left. */
static void aged_note(struct blob_cache *cache, const char *name, struct evlog_buf *list)
{
	struct aged aged;
	struct stat st;

	if (strlen(name) >= NAME_SIZE || fstatat(cache->fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return;
	if (!strncmp(name, ".new-", 5)) {
		if (time(NULL) - st.st_mtim.tv_sec > STALE_SECONDS)
			unlinkat(cache->fd, name, 0);
		return;
	}
	memset(&aged, 0, sizeof(aged));
	aged.mtime = st.st_mtim;
	aged.size_bytes = (uint64_t)st.st_size;
	strcpy(aged.name, name);
	evlog_put(list, &aged, sizeof(aged));
}

static void aged_list(struct blob_cache *cache, struct evlog_buf *list)
{
	int fd = openat(cache->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(dir)))
		aged_note(cache, entry->d_name, list);
	closedir(dir);
}

static void evict(struct blob_cache *cache)
{
	struct evlog_buf list = {0};
	struct aged *aged;
	uint64_t total = 0;
	size_t count;

	aged_list(cache, &list);
	aged = (struct aged *)(void *)list.data;
	count = list.len / sizeof(*aged);
	for (size_t i = 0; i < count; i++)
		total += aged[i].size_bytes;
	if (total > TOTAL_MAX)
		qsort(aged, count, sizeof(*aged), aged_compare);
	for (size_t i = 0; i < count && total > TOTAL_MAX; i++) {
		unlinkat(cache->fd, aged[i].name, 0);
		total -= aged[i].size_bytes;
	}
	evlog_buf_finish(&list);
}

void blob_cache_close(struct blob_cache *cache)
{
	if (!cache)
		return;
	if (cache->stored)
		evict(cache);
	close(cache->fd);
	free(cache);
}
