/*
 * See replay_outputs.h.  Outputs are sorted by path, so the folder of the one before is kept open:
 * walking to each anew would cost a replay of cp more than copying did.
 */
#include "replay_outputs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/path_below.h"
#include "../base/thread_start.h"
#include "output_hash.h"

#define ROW 64 /* outputs that are worth going to another thread for */

/* The folder looked into last; fd -1: none. */
struct place {
	const struct replay_root *root;
	const char *path; /* of a file in it */
	size_t length;	  /* of the folder's part of the path */
	int fd;
};

static size_t folder_length(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? (size_t)(slash - path) : 0;
}

/* Makes the folder of the path the place; the file's name in it, or NULL: there is no such folder,
 * or the path is none to follow. */
static const char *place_enter(struct place *place, const char *path)
{
	char last[PATH_BELOW_NAME_MAX];
	size_t length = folder_length(path);

	if (path[0] != '/' || strcmp(path + length + 1, "..") == 0 || path[length + 1] == '\0')
		return NULL;
	if (place->fd >= 0 && place->length == length && memcmp(place->path, path, length) == 0)
		return path + length + 1;
	if (place->fd >= 0)
		close(place->fd);
	place->fd = path_below_open(place->root->fd, path, false, last);
	place->path = path;
	place->length = length;
	return place->fd >= 0 ? path + length + 1 : NULL;
}

static void place_leave(struct place *place)
{
	if (place->fd >= 0)
		close(place->fd);
}

/* The regular file of that path, or -ENOENT. */
static int find(struct place *place, const char *path, struct stat *ret_st)
{
	const char *name = place_enter(place, path);

	if (name == NULL || fstatat(place->fd, name, ret_st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISREG(ret_st->st_mode))
		return -ENOENT;
	return 0;
}

static int open_found(const struct place *place, const char *path)
{
	int fd = openat(place->fd, path + place->length + 1, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/* The size is the recorded one. */
static int compare_contents(int fd, const struct evlog_output *out, const char **ret_what)
{
	uint8_t hash[EVLOG_HASH_SIZE];
	uint64_t size;
	int error = output_hash(fd, out->size_bytes, hash, &size);

	if (error < 0)
		return error;
	*ret_what = "has other contents than recorded";
	return size == out->size_bytes && memcmp(hash, out->hash, sizeof(hash)) == 0 ? 0 : -EILSEQ;
}

static int compare_one(struct place *place, const struct evlog_output *out, const char **ret_what)
{
	struct stat st;
	bool there = find(place, out->name, &st) == 0;

	if (out->kind == EVLOG_OUTPUT_REMOVED) {
		*ret_what = "is there, recorded as removed";
		return there ? -EILSEQ : 0;
	}
	*ret_what = "is missing";
	if (!there)
		return -EILSEQ;
	*ret_what = "has another size than recorded";
	if ((uint64_t)st.st_size != out->size_bytes)
		return -EILSEQ;
	if (!evlog_output_is_hashed(out))
		return 0;
	int fd = open_found(place, out->name);
	if (fd < 0)
		return fd;
	int error = compare_contents(fd, out, ret_what);
	close(fd);
	return error;
}

/* What two threads compare, a row of outputs at a time. */
struct comparison {
	const struct replay_root *root;
	const struct evlog_output *outputs;
	size_t count;
	atomic_size_t next; /* output that nobody has taken */
};

/* One of the threads, and the first output it found to be another; error 0: none. */
struct comparer {
	struct comparison *all;
	const struct evlog_output *differs;
	const char *what;
	int error;
};

static void compare_row(struct comparer *c, struct place *place, size_t first)
{
	const struct comparison *all = c->all;

	for (size_t i = first; c->error == 0 && i < first + ROW && i < all->count; i++) {
		if (all->outputs[i].kind == EVLOG_OUTPUT_STREAM)
			continue;
		c->differs = &all->outputs[i];
		c->error = compare_one(place, c->differs, &c->what);
	}
}

/* Rows are taken in order: behind one that differs no more are needed. */
static void *compare_rows(void *arg)
{
	struct comparer *c = arg;
	struct place place = {.root = c->all->root, .fd = -1};
	size_t first;

	while (c->error == 0 && (first = atomic_fetch_add(&c->all->next, ROW)) < c->all->count)
		compare_row(c, &place, first);
	if (c->error != 0)
		c->all->next = c->all->count;
	place_leave(&place);
	return NULL;
}

static bool is_first(const struct comparer *c, const struct comparer *other)
{
	return c->error != 0 && (other->error == 0 || c->differs < other->differs);
}

int replay_outputs_compare(const struct evlog_reader *reader, const struct replay_root *root,
			   void (*meanwhile)(void *arg), void *arg, const char **ret_path,
			   const char **ret_what)
{
	struct comparison all = {.root = root};
	struct comparer self = {.all = &all}, other = {.all = &all};
	pthread_t helper;

	all.outputs = evlog_reader_outputs(reader, &all.count);
	bool helped = all.count > ROW && thread_start(&helper, NULL, compare_rows, &other) == 0;
	meanwhile(arg);
	compare_rows(&self);
	if (helped)
		pthread_join(helper, NULL);
	const struct comparer *first = is_first(&other, &self) ? &other : &self;
	if (first->error != 0) {
		*ret_path = first->differs->name;
		*ret_what = first->what;
	}
	return first->error;
}

/* copy_file_range would do on one file system only. */
static int copy_bytes(int from, int to)
{
	uint8_t bytes[0x10000];
	ssize_t n;

	while ((n = read(from, bytes, sizeof(bytes))) > 0) {
		for (ssize_t done = 0, m; done < n; done += m) {
			m = write(to, bytes + done, (size_t)(n - done));
			if (m < 0)
				return -errno;
		}
	}
	return n < 0 ? -errno : 0;
}

static int copy_one(struct place *place, const char *path, int to_fd)
{
	struct stat st;
	int error = find(place, path, &st);
	int from = error == 0 ? open_found(place, path) : error;

	if (from < 0)
		return from;
	int to = path_below_create(to_fd, path, st.st_mode & 0777);
	error = to < 0 ? to : copy_bytes(from, to);
	if (to >= 0 && close(to) < 0 && error == 0)
		error = -errno;
	close(from);
	return error;
}

int replay_outputs_copy(const struct evlog_reader *reader, const struct replay_root *root,
			int to_fd, const char **ret_path)
{
	struct place place = {.root = root, .fd = -1};
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(reader, &count);
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		if (outputs[i].kind != EVLOG_OUTPUT_FILE)
			continue;
		*ret_path = outputs[i].name;
		error = copy_one(&place, outputs[i].name, to_fd);
	}
	place_leave(&place);
	return error;
}
