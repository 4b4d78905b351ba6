/*
 * See written.h.  Owns the noted places and the list of files.
 *
 *	note* (capture's thread) -> start -> names -> (two threads) files -> hashes -> finish -> at*
 *
 * Whether a file found in a noted place came out of the run is asked of the shim's table of vnodes,
 * by (device, inode): names alone say nothing, others may write into the same directory.
 * Invariant: after settle() each path is in `files` once, sorted.
 */
#include "written.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <nettle/sha2.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../log/keymap.h"
#include "../shim/rings.h"
#include "../syscall-table/vnode.h"

#define READ_BYTES     0x10000
#define TREE_DEPTH_MAX 200 /* one descriptor each */
#define STRIDE	       32  /* files a thread takes at a time; fewer are not worth a second one */

struct note {
	uint32_t kind;
	char *path;
};

struct written_file {
	struct evlog_output out; /* owns its name */
	bool moved;		 /* below a directory that got another name */
	bool wanted, mapped;
};

struct written {
	struct keymap *noted; /* kind and path */
	struct note *notes;
	struct written_file *files;
	size_t note_count, note_room, file_count, file_room;
	pthread_t thread;
	bool started;
	void (*step)(struct written *w, struct written_file *file); /* see for_each */
	atomic_size_t next;
	size_t hash_end;
	int error;
};

static bool room_for_note(struct written *w)
{
	if (w->note_count < w->note_room)
		return true;
	struct note *more = realloc(w->notes, (w->note_room * 2 + 64) * sizeof(*more));
	if (more == NULL)
		return false;
	w->notes = more;
	w->note_room = w->note_room * 2 + 64;
	return true;
}

static bool room_for_file(struct written *w)
{
	if (w->file_count < w->file_room)
		return true;
	struct written_file *more = realloc(w->files, (w->file_room * 2 + 64) * sizeof(*more));
	if (more == NULL)
		return false;
	w->files = more;
	w->file_room = w->file_room * 2 + 64;
	return true;
}

int written_create(struct written **ret_written)
{
	struct written *w = calloc(1, sizeof(*w));

	if (w == NULL)
		return -ENOMEM;
	if (keymap_create(&w->noted) < 0) {
		free(w);
		return -ENOMEM;
	}
	*ret_written = w;
	return 0;
}

int written_note(struct written *w, uint32_t kind, const char *path)
{
	char key[PATH_MAX + 16], real[PATH_MAX];
	int n = snprintf(key, sizeof(key), "%u%s", kind, path);
	uint64_t value;

	/* A path that long is no path: the ring is hostile. */
	if (n >= (int)sizeof(key) || keymap_get(w->noted, key, (size_t)n, &value))
		return 0;
	if (keymap_put(w->noted, key, (size_t)n, 1) < 0)
		return w->error = -ENOMEM;
	/* Directories by what they are called now: a link on the way may change. */
	if (kind != CAPTURE_OUT_FILE && realpath(path, real) != NULL)
		path = real;
	char *copy = room_for_note(w) ? strdup(path) : NULL;
	if (copy == NULL)
		return w->error = -ENOMEM;
	w->notes[w->note_count].kind = kind;
	w->notes[w->note_count++].path = copy;
	return 0;
}

/* ---- which files ---- */

/* Takes the name over. */
static void add_file(struct written *w, enum evlog_output_kind kind, char *name, bool moved)
{
	if (name == NULL || !room_for_file(w)) {
		free(name);
		w->error = -ENOMEM;
		return;
	}
	w->files[w->file_count++] =
		(struct written_file){.out = {.kind = kind, .name = name}, .moved = moved};
}

static void walk_folder(struct written *w, const char *path, unsigned depth, bool tree);

static void walk_name(struct written *w, const char *folder, const struct dirent *entry,
		      unsigned depth, bool tree)
{
	char *path;

	if (asprintf(&path, "%s/%s", folder, entry->d_name) < 0)
		path = NULL;
	if (path != NULL && tree && entry->d_type != DT_REG)
		walk_folder(w, path, depth + 1, true);
	if (entry->d_type != DT_DIR)
		add_file(w, EVLOG_OUTPUT_FILE, path, tree);
	else
		free(path);
}

/* What is no directory has no names. */
static void walk_folder(struct written *w, const char *path, unsigned depth, bool tree)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = depth < TREE_DEPTH_MAX ? open(path, flags) : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN ||
		    (entry->d_type == DT_DIR && tree))
			walk_name(w, path[1] != '\0' ? path : "", entry, depth, tree);
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

static void walk_notes(struct written *w)
{
	char real[PATH_MAX];

	for (size_t i = 0; i < w->note_count; i++) {
		const struct note *note = &w->notes[i];

		if (realpath(note->path, real) == NULL)
			continue;
		if (note->kind == CAPTURE_OUT_FILE)
			add_file(w, EVLOG_OUTPUT_FILE, strdup(real), false);
		else
			walk_folder(w, real, 0, note->kind == CAPTURE_OUT_TREE);
	}
}

/* Whether the container wrote it, and how large it is. */
static void look_at(struct written *w, struct written_file *file)
{
	struct stat st;

	(void)w;
	if (lstat(file->out.name, &st) < 0 || !S_ISREG(st.st_mode))
		return;
	uint32_t vnode = vnode_find(st.st_dev, st.st_ino);
	uint32_t flags = vnode != 0 ? VNODES->slots[vnode].flags : 0;
	file->wanted = file->moved || (flags & VNODE_OUTPUT && !(flags & VNODE_STREAM));
	file->mapped = flags & VNODE_MAPPED;
	file->out.size_bytes = (uint64_t)st.st_size;
}

static int compare_files(const void *left, const void *right)
{
	const struct evlog_output *a = left, *b = right; /* the first member */

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Sorts, and leaves each wanted file once; of one path, some entries may be wanted and some not. */
static void settle(struct written *w)
{
	size_t kept = 0;

	if (w->file_count != 0)
		qsort(w->files, w->file_count, sizeof(*w->files), compare_files);
	for (size_t i = 0; i < w->file_count; i++) {
		struct written_file *f = &w->files[i];

		if (f->wanted && (kept == 0 || compare_files(&w->files[kept - 1], f) != 0))
			w->files[kept++] = *f;
		else
			free((char *)(uintptr_t)f->out.name);
	}
	w->file_count = kept;
}

/* ---- hashes ---- */

int written_hash(int fd, uint8_t ret_hash[EVLOG_HASH_SIZE], uint64_t *ret_size_bytes)
{
	uint8_t bytes[READ_BYTES];
	struct sha256_ctx sha;
	uint64_t size = 0;
	ssize_t n;

	sha256_init(&sha);
	while ((n = read(fd, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		sha256_update(&sha, (size_t)n, bytes);
		size += (uint64_t)n;
	}
	sha256_digest(&sha, EVLOG_HASH_SIZE, ret_hash);
	*ret_size_bytes = size;
	return 0;
}

bool written_is_hashed(const uint8_t hash[EVLOG_HASH_SIZE])
{
	static const uint8_t zeros[EVLOG_HASH_SIZE];

	return memcmp(hash, zeros, sizeof(zeros)) != 0;
}

/* What cannot be opened (any more) keeps its size and no hash. */
static void hash_file(struct written *w, struct written_file *file)
{
	struct evlog_output *out = &file->out;

	if (file >= w->files + w->hash_end && !file->mapped)
		return;
	int fd = open(out->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	if (written_hash(fd, out->hash, &out->size_bytes) < 0)
		memset(out->hash, 0, sizeof(out->hash));
	close(fd);
}

static void *work(void *arg)
{
	struct written *w = arg;
	size_t i;

	while ((i = atomic_fetch_add(&w->next, STRIDE)) < w->file_count) {
		for (size_t k = i; k < i + STRIDE && k < w->file_count; k++)
			w->step(w, &w->files[k]);
	}
	return NULL;
}

/* Does something with each file, on two threads. */
static void for_each(struct written *w, void (*step)(struct written *w, struct written_file *file))
{
	pthread_t helper;

	w->step = step;
	w->next = 0;
	bool helped = w->file_count > STRIDE && pthread_create(&helper, NULL, work, w) == 0;
	work(w);
	if (helped)
		pthread_join(helper, NULL);
}

static size_t hash_bound(const struct written *w)
{
	uint64_t bytes = 0;
	size_t i = 0;

	while (i < w->file_count && i < WRITTEN_HASH_FILES_MAX &&
	       (bytes += w->files[i].out.size_bytes) <= WRITTEN_HASH_BYTES_MAX)
		i++;
	return i;
}

static void *look(void *arg)
{
	struct written *w = arg;

	walk_notes(w);
	for_each(w, look_at);
	settle(w);
	w->hash_end = hash_bound(w);
	for_each(w, hash_file);
	return NULL;
}

int written_start(struct written *w)
{
	int error = pthread_create(&w->thread, NULL, look, w);

	w->started = error == 0;
	return -error;
}

/* ---- what is gone ---- */

static bool is_file(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void find_removed(struct written *w, const struct image_capture *capture)
{
	char path[EVLOG_PATH_MAX + 1];
	size_t before = w->file_count;

	for (size_t i = 0; i < w->note_count; i++) {
		const struct note *note = &w->notes[i];

		if (note->kind == CAPTURE_OUT_FILE &&
		    image_capture_had_file(capture, note->path, path) && !is_file(path))
			add_file(w, EVLOG_OUTPUT_REMOVED, strdup(path), false);
	}
	if (w->file_count == before)
		return;
	for (size_t i = before; i < w->file_count; i++)
		w->files[i].wanted = true;
	settle(w);
}

int written_finish(struct written *w, const struct image_capture *capture)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
	find_removed(w, capture);
	return w->error;
}

const struct evlog_output *written_at(const struct written *w, size_t i)
{
	return i < w->file_count ? &w->files[i].out : NULL;
}

void written_destroy(struct written *w)
{
	if (w == NULL)
		return;
	if (w->started)
		pthread_join(w->thread, NULL);
	for (size_t i = 0; i < w->note_count; i++)
		free(w->notes[i].path);
	for (size_t i = 0; i < w->file_count; i++)
		free((char *)(uintptr_t)w->files[i].out.name);
	free(w->notes);
	free(w->files);
	keymap_destroy(w->noted);
	free(w);
}
