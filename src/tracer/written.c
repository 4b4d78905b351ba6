/*
 * See written.h.  Owns the noted places and the list of files.
 *
 *	note* (capture's thread) -> start -> (two threads) files -> hashes -> finish -> at*
 *
 * When a folder is noted, the one noted before it is mostly done with: it is looked at then, beside
 * the running container.  In the end that holds for what the shim did not touch since.
 *
 * Whether a file found in a noted place came out of the run is asked of the shim's table of vnodes,
 * by (device, inode): names alone say nothing, others may write into the same directory.
 * Invariant: after settle() each path is in `found` once, sorted.
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
#define HELP_FROM      16  /* files to hash that are worth a second thread */

/* A file as it was at a moment, and until its vnode's ctime is another; 0: to be looked at again.
 */
struct early_file {
	char *name;
	uint64_t ino, size_bytes;
	uint32_t vnode;
	int64_t ctime_ns;
};

/* The files of a folder, likewise. */
struct early {
	uint64_t dev, ino;
	uint32_t vnode;
	int64_t ctime_ns;
	struct early_file *files;
	size_t count, room;
};

struct note {
	uint32_t kind;
	char *path;
	struct early *early; /* or NULL */
};

struct written_file {
	struct evlog_output out; /* owns its name */
	bool mapped;
};

/* Files found by one thread. */
struct batch {
	struct written *w;
	struct written_file *files;
	size_t count, room;
	int error;
};

struct written {
	struct keymap *noted; /* kind and path */
	struct note *notes;
	struct batch found; /* everything in the end */
	size_t note_count, note_room;
	pthread_t thread;
	bool started;
	atomic_size_t next; /* note or file */
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

static bool room_for_files(struct batch *b, size_t count)
{
	size_t room = b->room;

	while (room < b->count + count)
		room = room * 2 + 64;
	if (room == b->room)
		return true;
	struct written_file *more = realloc(b->files, room * sizeof(*more));
	if (more == NULL)
		return false;
	b->files = more;
	b->room = room;
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

/* ---- folders looked at while the container runs ---- */

/*
 * The ctime in the shim's books, if what is looked at from now on is that state or a later one with
 * another ctime; else 0.  A call that is going on has the time of now.
 */
static int64_t settled_ctime(uint32_t vnode, uint64_t dev, uint64_t ino)
{
	const struct vnode *v = &VNODES->slots[vnode];
	int64_t now = (int64_t)__atomic_load_n(&HEAD->now_ns, __ATOMIC_SEQ_CST);
	int64_t ctime = __atomic_load_n(&v->ctime_ns, __ATOMIC_SEQ_CST);

	return vnode != 0 && v->dev == dev && v->host_ino == ino && ctime < now ? ctime : 0;
}

/* Nothing was touched since. */
static bool still_holds(uint32_t vnode, uint64_t dev, uint64_t ino, int64_t ctime_ns)
{
	const struct vnode *v = &VNODES->slots[vnode];

	return ctime_ns != 0 && v->dev == dev && v->host_ino == ino && v->ctime_ns == ctime_ns;
}

static bool early_add(struct early *e, int dir_fd, const struct dirent *entry)
{
	struct early_file file = {.ino = entry->d_ino, .vnode = vnode_find(e->dev, entry->d_ino)};
	struct stat st;

	if (e->count == e->room) {
		size_t room = e->room * 2 + 64;
		struct early_file *more = realloc(e->files, room * sizeof(*more));

		if (more == NULL)
			return false;
		e->files = more;
		e->room = room;
	}
	file.ctime_ns = settled_ctime(file.vnode, e->dev, file.ino);
	if (file.ctime_ns != 0) {
		if (fstatat(dir_fd, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		    st.st_dev == e->dev && st.st_ino == file.ino)
			file.size_bytes = (uint64_t)st.st_size;
		else
			file.ctime_ns = 0;
	}
	file.name = strdup(entry->d_name);
	if (file.name == NULL)
		return false;
	e->files[e->count++] = file;
	return true;
}

static void early_destroy(struct early *e)
{
	for (size_t i = 0; e != NULL && i < e->count; i++)
		free(e->files[i].name);
	if (e != NULL)
		free(e->files);
	free(e);
}

/* NULL if it is not to be had: the end will look. */
static struct early *early_look(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct early *e = calloc(1, sizeof(*e));
	const struct dirent *entry;
	struct stat st;
	bool good = dir != NULL && e != NULL && fstat(fd, &st) == 0;

	if (good) {
		e->dev = st.st_dev;
		e->ino = st.st_ino;
		e->vnode = vnode_find(e->dev, e->ino);
		e->ctime_ns = settled_ctime(e->vnode, e->dev, e->ino);
		good = e->ctime_ns != 0;
	}
	while (good && (entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_UNKNOWN)
			good = false;
		else if (entry->d_type == DT_REG)
			good = early_add(e, fd, entry);
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	if (good)
		return e;
	early_destroy(e);
	return NULL;
}

static void look_at_previous(struct written *w)
{
	struct note *last = w->note_count != 0 ? &w->notes[w->note_count - 1] : NULL;

	if (last != NULL && last->kind == CAPTURE_OUT_FOLDER && last->early == NULL)
		last->early = early_look(last->path);
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
	if (kind == CAPTURE_OUT_FOLDER)
		look_at_previous(w);
	w->notes[w->note_count++] = (struct note){kind, copy, NULL};
	return 0;
}

/* ---- which files ---- */

/* Takes the name over. */
static void add_file(struct batch *b, const struct written_file *file, char *name)
{
	if (name == NULL || !room_for_files(b, 1)) {
		free(name);
		b->error = -ENOMEM;
		return;
	}
	b->files[b->count] = *file;
	b->files[b->count++].out.name = name;
}

/* `moved`: it got another name, or a directory above it. */
static bool is_output(const struct stat *st, bool moved, struct written_file *ret_file)
{
	uint32_t vnode = S_ISREG(st->st_mode) ? vnode_find(st->st_dev, st->st_ino) : 0;
	uint32_t flags = vnode != 0 ? VNODES->slots[vnode].flags : 0;

	*ret_file = (struct written_file){
		.out = {.kind = EVLOG_OUTPUT_FILE, .size_bytes = (uint64_t)st->st_size},
		.mapped = flags & VNODE_MAPPED,
	};
	return S_ISREG(st->st_mode) && (moved || (flags & VNODE_OUTPUT && !(flags & VNODE_STREAM)));
}

static char *join(const char *folder, const char *name)
{
	size_t size = strlen(folder) + strlen(name) + 2;
	char *path = malloc(size);

	if (path != NULL)
		stpcpy(stpcpy(stpcpy(path, folder), "/"), name);
	return path;
}

static void walk_folder(struct batch *b, const char *path, unsigned depth, bool tree);

static void walk_name(struct batch *b, int dir_fd, const char *folder, const char *name,
		      unsigned depth, bool tree)
{
	struct written_file file;
	struct stat st;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (is_output(&st, tree, &file)) {
		add_file(b, &file, join(folder, name));
	} else if (tree && S_ISDIR(st.st_mode)) {
		char *path = join(folder, name);

		if (path != NULL)
			walk_folder(b, path, depth + 1, true);
		else
			b->error = -ENOMEM;
		free(path);
	}
}

static bool is_walked(const struct dirent *entry, bool tree)
{
	if (entry->d_type == DT_DIR)
		return tree && strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	return entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN;
}

/* What is no directory has no names. */
static void walk_folder(struct batch *b, const char *path, unsigned depth, bool tree)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = depth < TREE_DEPTH_MAX ? open(path, flags) : -1;
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (is_walked(entry, tree))
			walk_name(b, fd, path[1] != '\0' ? path : "", entry->d_name, depth, tree);
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
}

/* From what was seen before, as far as it holds; false: the folder has changed since. */
static bool walk_early(struct batch *b, const char *path, const struct early *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;
	bool holds = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == e->dev && st.st_ino == e->ino &&
		     still_holds(e->vnode, e->dev, e->ino, e->ctime_ns);

	if (path[1] == '\0')
		path = "";
	for (size_t i = 0; holds && i < e->count; i++) {
		const struct early_file *f = &e->files[i];
		uint32_t flags = VNODES->slots[f->vnode].flags;
		struct written_file file;

		if (flags & VNODE_MAPPED || !still_holds(f->vnode, e->dev, f->ino, f->ctime_ns)) {
			walk_name(b, fd, path, f->name, 0, false);
			continue;
		}
		st = (struct stat){.st_dev = e->dev, .st_ino = f->ino, .st_mode = S_IFREG};
		st.st_size = (off_t)f->size_bytes;
		if (is_output(&st, false, &file))
			add_file(b, &file, join(path, f->name));
	}
	if (fd >= 0)
		close(fd);
	return holds;
}

static void walk_note(struct batch *b, const struct note *note)
{
	struct written_file file;
	char real[PATH_MAX];
	struct stat st;

	if (realpath(note->path, real) == NULL)
		return;
	if (note->early != NULL && walk_early(b, real, note->early))
		return;
	if (note->kind != CAPTURE_OUT_FILE)
		walk_folder(b, real, 0, note->kind == CAPTURE_OUT_TREE);
	else if (lstat(real, &st) == 0 && is_output(&st, false, &file))
		add_file(b, &file, strdup(real));
}

static void *walk_notes(void *arg)
{
	struct batch *b = arg;
	size_t i;

	while ((i = atomic_fetch_add(&b->w->next, 1)) < b->w->note_count)
		walk_note(b, &b->w->notes[i]);
	return NULL;
}

/* Does something on two threads, each with a batch of its own; `count` things are to be done. */
static void on_two(struct written *w, size_t count, void *(*work)(void *batch), struct batch *other)
{
	pthread_t helper;

	w->next = 0;
	w->found.w = other->w = w;
	bool helped = count > 1 && pthread_create(&helper, NULL, work, other) == 0;
	work(&w->found);
	if (helped)
		pthread_join(helper, NULL);
}

/* What the other thread found goes behind what we have. */
static void merge(struct batch *b, struct batch *other)
{
	bool room = room_for_files(b, other->count);

	for (size_t i = 0; i < other->count; i++) {
		if (room)
			b->files[b->count++] = other->files[i];
		else
			free((char *)(uintptr_t)other->files[i].out.name);
	}
	if (other->error < 0 || !room)
		b->error = -ENOMEM;
	free(other->files);
}

static int compare_files(const void *left, const void *right)
{
	const struct evlog_output *a = left, *b = right; /* the first member */

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Sorts, and leaves each file once. */
static void settle(struct batch *b)
{
	size_t kept = 0;

	if (b->count != 0)
		qsort(b->files, b->count, sizeof(*b->files), compare_files);
	for (size_t i = 0; i < b->count; i++) {
		if (kept == 0 || compare_files(&b->files[kept - 1], &b->files[i]) != 0)
			b->files[kept++] = b->files[i];
		else
			free((char *)(uintptr_t)b->files[i].out.name);
	}
	b->count = kept;
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
static void hash_file(struct evlog_output *out)
{
	int fd = open(out->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return;
	if (written_hash(fd, out->hash, &out->size_bytes) < 0)
		memset(out->hash, 0, sizeof(out->hash));
	close(fd);
}

/* Up to `hash_end` everything, behind it what was mapped. */
static void *hash_files(void *arg)
{
	struct written *w = ((struct batch *)arg)->w;
	size_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->found.count) {
		if (i < w->hash_end || w->found.files[i].mapped)
			hash_file(&w->found.files[i].out);
	}
	return NULL;
}

static size_t hash_bound(const struct batch *b)
{
	uint64_t bytes = 0;
	size_t i = 0;

	while (i < b->count && i < WRITTEN_HASH_FILES_MAX &&
	       (bytes += b->files[i].out.size_bytes) <= WRITTEN_HASH_BYTES_MAX)
		i++;
	return i;
}

static void *look(void *arg)
{
	struct written *w = arg;
	struct batch other = {0};

	on_two(w, w->note_count, walk_notes, &other);
	merge(&w->found, &other);
	settle(&w->found);
	w->hash_end = hash_bound(&w->found);
	on_two(w, w->hash_end / HELP_FROM, hash_files, &other);
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
	struct written_file file = {.out.kind = EVLOG_OUTPUT_REMOVED};
	size_t before = w->found.count;

	for (size_t i = 0; i < w->note_count; i++) {
		const struct note *note = &w->notes[i];

		if (note->kind == CAPTURE_OUT_FILE &&
		    image_capture_had_file(capture, note->path, path) && !is_file(path))
			add_file(&w->found, &file, strdup(path));
	}
	if (w->found.count != before)
		settle(&w->found);
}

int written_finish(struct written *w, const struct image_capture *capture)
{
	if (w->started)
		pthread_join(w->thread, NULL);
	w->started = false;
	find_removed(w, capture);
	return w->error < 0 ? w->error : w->found.error;
}

const struct evlog_output *written_at(const struct written *w, size_t i)
{
	return i < w->found.count ? &w->found.files[i].out : NULL;
}

void written_destroy(struct written *w)
{
	if (w == NULL)
		return;
	if (w->started)
		pthread_join(w->thread, NULL);
	for (size_t i = 0; i < w->note_count; i++) {
		early_destroy(w->notes[i].early);
		free(w->notes[i].path);
	}
	for (size_t i = 0; i < w->found.count; i++)
		free((char *)(uintptr_t)w->found.files[i].out.name);
	free(w->notes);
	free(w->found.files);
	keymap_destroy(w->noted);
	free(w);
}
