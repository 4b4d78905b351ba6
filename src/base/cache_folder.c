/*
 * See cache_folder.h.  Owns the folder's descriptor.
 *
 * Invariant: an entry appears by rename, whole; temporary files are named ".new-*", and one that is
 * old was left by a process that was killed.
 */
#include "cache_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A temporary file older than this was left by a process that was killed. */
#define STALE_SECONDS 3600
/* What is in the folder is added up once for so much of the limit that was stored, on average:
 * looking at ten thousand entries takes 15 ms. */
#define LOOK_PART 64
/* Its time of change says when an entry was used last, as exactly as this. */
#define USED_SECONDS 3600

struct cache_folder {
	int fd;
	uint64_t stored_bytes;
	uint64_t limit_bytes;
};

static int folder_name(const char *folder, const char *name, char ret_path[PATH_MAX])
{
	const char *base = getenv("XDG_CACHE_HOME");
	const char *home = getenv("HOME");
	int len;

	if (folder)
		len = snprintf(ret_path, PATH_MAX, "%s", folder);
	else if (base && base[0] == '/')
		len = snprintf(ret_path, PATH_MAX, "%s/shadow/%s", base, name);
	/* A home that is not there is not for us to make. */
	else if (home && home[0] == '/' && access(home, F_OK) == 0)
		len = snprintf(ret_path, PATH_MAX, "%s/.cache/shadow/%s", home, name);
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

int cache_folder_open(const char *folder, const char *name, uint64_t limit_bytes,
		      struct cache_folder **ret_cache)
{
	char path[PATH_MAX];
	struct cache_folder *cache;
	struct stat st;
	int ret = folder_name(folder, name, path);
	int fd;

	if (ret)
		return ret;
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		folder_make(path);
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
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
	cache->limit_bytes = limit_bytes;
	*ret_cache = cache;
	return 0;
}

int cache_folder_find(struct cache_folder *cache, const char *name)
{
	struct stat st;
	int fd = openat(cache->fd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return -EINVAL;
	}
	if (time(NULL) - st.st_mtime >= USED_SECONDS)
		futimens(fd, NULL);
	return fd;
}

static bool write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t done = write(fd, bytes, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		bytes += done;
		size -= (size_t)done;
	}
	return true;
}

void cache_folder_store(struct cache_folder *cache, const char *name, const struct iovec *parts,
			int count)
{
	char temporary[CACHE_NAME_SIZE];
	uint64_t random, size = 0;
	bool done = true;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return;
	snprintf(temporary, sizeof(temporary), ".new-%016jx", (uintmax_t)random);
	int fd = openat(cache->fd, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	for (int i = 0; done && i < count; i++) {
		done = write_all(fd, parts[i].iov_base, parts[i].iov_len);
		size += parts[i].iov_len;
	}
	if (!done || renameat(cache->fd, temporary, cache->fd, name) != 0)
		unlinkat(cache->fd, temporary, 0);
	else
		cache->stored_bytes += size;
	close(fd);
}

struct aged {
	struct timespec mtime;
	uint64_t size_bytes;
	char name[CACHE_NAME_SIZE];
};

struct aged_list {
	struct aged *at;
	size_t count, room;
};

static int aged_compare(const void *left, const void *right)
{
	const struct aged *a = left, *b = right;

	if (a->mtime.tv_sec != b->mtime.tv_sec)
		return a->mtime.tv_sec < b->mtime.tv_sec ? -1 : 1;
	return (a->mtime.tv_nsec > b->mtime.tv_nsec) - (a->mtime.tv_nsec < b->mtime.tv_nsec);
}

/* Notes one file of the folder; drops what a killed process left. */
static void aged_note(struct cache_folder *cache, const char *name, struct aged_list *list)
{
	struct stat st;

	if (strlen(name) >= CACHE_NAME_SIZE || fstatat(cache->fd, name, &st, AT_SYMLINK_NOFOLLOW) ||
	    !S_ISREG(st.st_mode))
		return;
	if (!strncmp(name, ".new-", 5)) {
		if (time(NULL) - st.st_mtim.tv_sec > STALE_SECONDS)
			unlinkat(cache->fd, name, 0);
		return;
	}
	if (list->count == list->room) {
		size_t room = list->room ? 2 * list->room : 64;
		struct aged *at = realloc(list->at, room * sizeof(*at));

		if (!at)
			return;
		list->at = at;
		list->room = room;
	}
	struct aged *aged = &list->at[list->count++];
	aged->mtime = st.st_mtim;
	aged->size_bytes = (uint64_t)st.st_size;
	strcpy(aged->name, name);
}

static void aged_collect(struct cache_folder *cache, struct aged_list *list)
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

static void evict(struct cache_folder *cache)
{
	struct aged_list list = {0};
	uint64_t total = 0;

	aged_collect(cache, &list);
	for (size_t i = 0; i < list.count; i++)
		total += list.at[i].size_bytes;
	if (total > cache->limit_bytes)
		qsort(list.at, list.count, sizeof(*list.at), aged_compare);
	for (size_t i = 0; i < list.count && total > cache->limit_bytes; i++) {
		unlinkat(cache->fd, list.at[i].name, 0);
		total -= list.at[i].size_bytes;
	}
	free(list.at);
}

/* By chance, so that many short runs need no count in common. */
static bool is_due(const struct cache_folder *cache)
{
	uint64_t random, part = cache->limit_bytes / LOOK_PART;

	if (cache->stored_bytes >= part)
		return true;
	return getrandom(&random, sizeof(random), 0) == sizeof(random) &&
	       random % part < cache->stored_bytes;
}

void cache_folder_close(struct cache_folder *cache)
{
	if (!cache)
		return;
	if (is_due(cache))
		evict(cache);
	close(cache->fd);
	free(cache);
}
