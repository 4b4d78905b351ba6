/*
 * Purpose: a directory as sorted names with types.
 * Owns: nothing beyond a call.
 */
#include "image_listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../syscall-table/listing.h"
#include "image_entry.h"

static uint8_t type_of(int fd, const struct dirent *entry)
{
	struct stat st;

	/* Some file systems leave the type to stat(2). */
	if (entry->d_type != DT_UNKNOWN || fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return entry->d_type;
	return IFTODT(st.st_mode);
}

static bool is_hidden(int fd, const char *name, const struct stat *hidden)
{
	struct stat st;

	return !fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) && st.st_dev == hidden->st_dev &&
	       st.st_ino == hidden->st_ino;
}

/* Whether the numbers that are read with the names are those of stat(2). */
static bool has_numbers(int fd)
{
	struct statfs fs;

	return !fstatfs(fd, &fs) && listing_has_numbers((unsigned long)fs.f_type);
}

static void file_put(int fd, struct evlog_buf *files, const struct dirent *entry, bool numbers)
{
	uint64_t ino = entry->d_ino;
	struct stat st;

	if (!numbers && fstatat(fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW))
		return;
	if (!numbers)
		ino = st.st_ino;
	evlog_put(files, &ino, sizeof(ino));
	evlog_put(files, entry->d_name, strlen(entry->d_name) + 1);
}

/* Gathers "type, name, NUL" records and where each starts, and files. */
static int gather(DIR *dir, const struct stat *hidden, struct evlog_buf *records,
		  struct evlog_buf *offsets, struct evlog_buf *files)
{
	bool numbers = has_numbers(dirfd(dir));
	struct dirent *entry;

	for (errno = 0; (entry = readdir(dir)); errno = 0) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    (entry->d_ino == hidden->st_ino &&
		     is_hidden(dirfd(dir), entry->d_name, hidden)))
			continue;
		evlog_put(offsets, &records->len, sizeof(records->len));
		uint8_t type = type_of(dirfd(dir), entry);
		image_names_put(records, entry->d_name, type);
		if (type == DT_REG)
			file_put(dirfd(dir), files, entry, numbers);
	}
	if (errno)
		return -errno;
	if (files->error)
		return files->error;
	return records->error ? records->error : offsets->error;
}

static int offset_compare(const void *left, const void *right, void *records)
{
	const char *base = records;

	return strcmp(base + *(const size_t *)left + 1, base + *(const size_t *)right + 1);
}

static void put_sorted(struct evlog_buf *names, struct evlog_buf *records,
		       struct evlog_buf *offsets)
{
	size_t *at = (size_t *)(void *)offsets->data;
	size_t count = offsets->len / sizeof(*at);
	const char *before = "";

	if (count)
		qsort_r(at, count, sizeof(*at), offset_compare, records->data);
	for (size_t i = 0; i < count; i++) {
		const char *name = (const char *)records->data + at[i] + 1;

		/* A directory that changes while it is read may give a name twice. */
		if (strcmp(before, name) != 0)
			image_names_put(names, name, records->data[at[i]]);
		before = name;
	}
}

int image_listing_read(int fd, const struct stat *hidden, struct evlog_buf *names,
		       struct evlog_buf *files)
{
	struct evlog_buf records = {0}, offsets = {0};
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	DIR *dir = own < 0 ? NULL : fdopendir(own);
	int ret = dir ? 0 : -errno;

	if (!dir) {
		if (own >= 0)
			close(own);
		return ret;
	}
	ret = gather(dir, hidden, &records, &offsets, files);
	if (!ret)
		put_sorted(names, &records, &offsets);
	closedir(dir);
	evlog_buf_finish(&records);
	evlog_buf_finish(&offsets);
	return ret ? ret : names->error;
}
