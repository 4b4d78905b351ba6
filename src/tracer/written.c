/*
 * See written.h.  Owns the noted places and the list of files.
 *
 *	note* (capture's thread) -> look: files, hashes (two threads) -> finish -> at*
 *	   '--> lookout (a thread): folders, growing files, beside the running container
 *
 * When a folder is noted, the one noted before it is mostly done with: it is looked at then
 * (written_early.h).  In the end the lookout walks the notes together with the caller, when it is
 * through with the folder it is looking at.
 *
 * Whether a file found in a noted place came out of the run is asked of the shim's table of vnodes,
 * by (device, inode): names alone say nothing, others may write into the same directory.
 * Invariants: `lock` guards the lists of notes and of growing files, `stop` and `under_look`, while
 * the lookout runs; what is in a note is the lookout's until `stop`, and while it is under look,
 * then one walker's.  Each path is in `found` once, sorted, after settle().
 */
#include "written.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "../base/thread_start.h"
#include "../log/keymap.h"
#include "../shim/rings.h"
#include "../syscall-table/vnode.h"
#include "output_hash.h"
#include "written_early.h"
#include "written_grow.h"

#define TREE_DEPTH_MAX	200 /* one descriptor each */
#define HELP_FROM	16  /* files to hash that are worth a second thread */
#define GROWING_LOOK_NS 10000000

struct written_file {
	struct evlog_output out; /* owns its name, or it is an early look's */
	uint64_t dev, ino;
	bool borrowed; /* the name */
	bool mapped;
	bool first; /* among those to be hashed */
};

struct batch {
	struct written_file *files;
	size_t count, room;
	int error;
};

struct note {
	uint32_t kind;
	char *path;
	struct early *early; /* or NULL */
	bool under_look;     /* by the lookout, at this moment */
	struct batch found;  /* in this place */
};

/* The folder of the file that was noted last, as it was named and without links. */
struct known_folder {
	char named[PATH_MAX], real[PATH_MAX];
	uint64_t names; /* see written_note */
};

struct written {
	struct keymap *noted; /* kind and path */
	struct known_folder folder;
	struct note **notes;
	size_t note_count, note_room;
	struct batch found; /* everything in the end */

	pthread_t lookout;
	bool looks_out;
	cpu_set_t cpus; /* for its threads */
	pthread_mutex_t lock;
	pthread_cond_t news;
	bool stop, walk; /* then it walks notes, too */
	size_t looked;	 /* notes */
	struct grown {
		char *path;
		uint64_t dev, ino;
	} grown[GROWING_MAX]; /* told, and up to `opened` the lookout's */
	unsigned grown_count, opened;
	struct early_budget budget;   /* the lookout's */
	size_t early_count;	      /* likewise: files looked at */
	struct growing_files growing; /* likewise */

	atomic_size_t next;  /* note to walk, file to hash */
	struct note *missed; /* not walked, since it was under_look */
	int error;
};

/* ---- beside the running container ---- */

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

/* Without anything to do: until there is news, or a growing file may have grown. */
static void lookout_wait(struct written *w, bool growing)
{
	struct timespec until;

	if (!growing) {
		pthread_cond_wait(&w->news, &w->lock);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += GROWING_LOOK_NS;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(&w->news, &w->lock, &until);
}

static bool has_news(const struct written *w)
{
	return w->looked + 1 < w->note_count || w->opened < w->grown_count;
}

/* Makes room, and touches it: the end is spared the page faults. */
static void reserve(struct batch *b, size_t count)
{
	size_t before = b->room;

	if (room_for_files(b, count) && b->room > before)
		memset(&b->files[before], 0, (b->room - before) * sizeof(*b->files));
}

static void look_early(struct written *w, struct note *note)
{
	note->early = early_look(note->path, &w->budget);
	if (note->early == NULL)
		return;
	w->early_count += early_count(note->early);
	reserve(&note->found, early_count(note->early));
	reserve(&w->found, w->early_count);
}

/* One thing to do, without the lock; false: there is nothing. */
static bool look_once(struct written *w)
{
	struct note *note = w->looked + 1 < w->note_count ? w->notes[w->looked] : NULL;
	struct grown *grown = w->opened < w->grown_count ? &w->grown[w->opened] : NULL;

	if (!has_news(w))
		return false;
	w->looked += note != NULL;
	w->opened += grown != NULL;
	if (note != NULL)
		note->under_look = true;
	pthread_mutex_unlock(&w->lock);
	if (grown != NULL)
		growing_add(&w->growing, grown->path, grown->dev, grown->ino);
	if (note != NULL && note->kind == CAPTURE_OUT_FOLDER)
		look_early(w, note);
	pthread_mutex_lock(&w->lock);
	if (note != NULL)
		note->under_look = false;
	return true;
}

static void *walk_notes(void *written);

static void *look_out(void *arg)
{
	struct written *w = arg;
	bool growing = true;

	pthread_mutex_lock(&w->lock);
	while (!w->stop) {
		if (look_once(w)) {
			growing = true;
			continue;
		}
		pthread_mutex_unlock(&w->lock);
		growing = growing && growing_advance(&w->growing);
		pthread_mutex_lock(&w->lock);
		if (!w->stop && !has_news(w))
			lookout_wait(w, growing);
	}
	pthread_mutex_unlock(&w->lock);
	return w->walk ? walk_notes(w) : NULL;
}

/* With the first news. */
static void lookout_start(struct written *w)
{
	/* Without it the end looks at everything. */
	if (!w->looks_out)
		w->looks_out = thread_start(&w->lookout, &w->cpus, look_out, w) == 0;
}

static void lookout_stop(struct written *w, bool walk)
{
	pthread_mutex_lock(&w->lock);
	w->stop = true;
	w->walk = walk;
	pthread_cond_signal(&w->news);
	pthread_mutex_unlock(&w->lock);
}

static void lookout_join(struct written *w)
{
	if (w->looks_out)
		pthread_join(w->lookout, NULL);
	w->looks_out = false;
}

/* ---- what the shim tells ---- */

int written_create(const cpu_set_t *cpus, bool plain_mounts, struct written **ret_written)
{
	struct written *w = calloc(1, sizeof(*w));
	pthread_condattr_t attr;

	if (w == NULL)
		return -ENOMEM;
	if (keymap_create(&w->noted) < 0) {
		free(w);
		return -ENOMEM;
	}
	w->cpus = *cpus;
	w->budget =
		(struct early_budget){WRITTEN_HASH_FILES_MAX, WRITTEN_HASH_BYTES_MAX, plain_mounts};
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&w->news, &attr);
	pthread_condattr_destroy(&attr);
	*ret_written = w;
	return 0;
}

static void drop(const struct written_file *file)
{
	if (!file->borrowed)
		free((char *)(uintptr_t)file->out.name);
}

static void batch_finish(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++)
		drop(&b->files[i]);
	free(b->files);
}

/* NULL is allowed. */
static void note_destroy(struct note *note)
{
	if (note == NULL)
		return;
	batch_finish(&note->found);
	early_destroy(note->early);
	free(note->path);
	free(note);
}

static struct note *note_make(uint32_t kind, const char *path)
{
	struct note *note = calloc(1, sizeof(*note));

	if (note == NULL || (note->path = strdup(path)) == NULL) {
		free(note);
		return NULL;
	}
	note->kind = kind;
	return note;
}

static bool room_for_note(struct written *w)
{
	if (w->note_count < w->note_room)
		return true;
	struct note **more = realloc(w->notes, (w->note_room * 2 + 64) * sizeof(struct note *));
	if (more == NULL)
		return false;
	w->notes = more;
	w->note_room = w->note_room * 2 + 64;
	return true;
}

/* The folder that the file is in; `len` bytes of its path. */
static bool folder_resolve(struct written *w, const char *path, size_t len, uint64_t names)
{
	struct known_folder *f = &w->folder;

	/* The ring is hostile. */
	if (len >= sizeof(f->named))
		return false;
	if (f->names == names && strncmp(f->named, path, len) == 0 && f->named[len] == '\0')
		return f->named[0] != '\0';
	memcpy(f->named, path, len);
	f->named[len] = '\0';
	f->names = names;
	if (realpath(f->named, f->real) != NULL)
		return true;
	f->named[0] = '\0';
	return false;
}

/* What it is called now, or was a moment ago: links on the way may change. */
static const char *real_name(struct written *w, const char *path, uint64_t names,
			     char real[PATH_MAX])
{
	const char *name = strrchr(path, '/'), *folder = w->folder.real;
	struct stat st;

	if (name == NULL || name == path ||
	    !folder_resolve(w, path, (size_t)(name - path), names) ||
	    snprintf(real, PATH_MAX, "%s%s", folder[1] != '\0' ? folder : "", name) >= PATH_MAX ||
	    (lstat(real, &st) == 0 && !S_ISREG(st.st_mode)))
		return realpath(path, real) != NULL ? real : path;
	return real;
}

int written_note(struct written *w, uint32_t kind, const char *path, uint64_t names)
{
	char key[PATH_MAX + 16], real[PATH_MAX];
	int n = snprintf(key, sizeof(key), "%u%s", kind, path);
	uint64_t value;

	/* A path that long is no path: the ring is hostile. */
	if (n >= (int)sizeof(key) || keymap_get(w->noted, key, (size_t)n, &value))
		return 0;
	if (keymap_put(w->noted, key, (size_t)n, 1) < 0)
		return w->error = -ENOMEM;
	path = real_name(w, path, names, real);
	struct note *note = note_make(kind, path);
	pthread_mutex_lock(&w->lock);
	bool room = note != NULL && room_for_note(w);
	if (room) {
		w->notes[w->note_count++] = note;
		pthread_cond_signal(&w->news);
	}
	pthread_mutex_unlock(&w->lock);
	if (!room) {
		note_destroy(note);
		return w->error = -ENOMEM;
	}
	if (w->note_count > 1)
		lookout_start(w);
	return 0;
}

int written_grows(struct written *w, const char *path, uint64_t dev, uint64_t ino)
{
	char *copy = w->grown_count < GROWING_MAX ? strdup(path) : NULL;

	if (copy == NULL)
		return w->grown_count < GROWING_MAX ? w->error = -ENOMEM : 0;
	pthread_mutex_lock(&w->lock);
	w->grown[w->grown_count++] = (struct grown){copy, dev, ino};
	pthread_cond_signal(&w->news);
	pthread_mutex_unlock(&w->lock);
	lookout_start(w);
	return 0;
}

/* ---- which files ---- */

/* Takes the name over, unless it is borrowed. */
static void add_file(struct batch *b, struct written_file *file, char *name)
{
	file->out.name = name;
	if (name == NULL || !room_for_files(b, 1)) {
		drop(file);
		b->error = -ENOMEM;
		return;
	}
	b->files[b->count++] = *file;
}

/* `moved`: it got another name, or a directory above it. */
static bool is_output(const struct stat *st, bool moved, struct written_file *ret_file)
{
	uint32_t vnode = S_ISREG(st->st_mode) ? vnode_find(st->st_dev, st->st_ino) : 0;
	uint32_t flags = vnode != 0 ? VNODES->slots[vnode].flags : 0;

	*ret_file = (struct written_file){
		.out = {.kind = EVLOG_OUTPUT_FILE, .size_bytes = (uint64_t)st->st_size},
		.dev = st->st_dev,
		.ino = st->st_ino,
		.mapped = flags & VNODE_MAPPED,
	};
	return S_ISREG(st->st_mode) && (moved || vnode_is_output(flags));
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

static void add_early(struct batch *b, const struct early_found *f)
{
	uint32_t flags = VNODES->slots[f->vnode].flags;
	struct written_file file = {
		.out = {.kind = EVLOG_OUTPUT_FILE, .size_bytes = f->size_bytes},
		.dev = f->dev,
		.ino = f->ino,
		.borrowed = true,
	};

	if (!vnode_is_output(flags))
		return;
	memcpy(file.out.hash, f->hash, sizeof(file.out.hash));
	add_file(b, &file, f->path);
}

/* From what was seen before, as far as it holds; false: the folder has changed since. */
static bool walk_early(struct batch *b, const char *path, const struct early *e)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	bool holds = fd >= 0 && early_holds(e, fd);
	struct early_found f;

	if (path[1] == '\0')
		path = "";
	for (size_t i = 0; holds && early_at(e, i, &f); i++) {
		if (f.holds)
			add_early(b, &f);
		else
			walk_name(b, fd, path, f.name, 0, false);
	}
	if (fd >= 0)
		close(fd);
	return holds;
}

static int compare_files(const void *left, const void *right)
{
	const struct evlog_output *a = left, *b = right; /* the first member */

	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Sorted, and each file once. */
static bool is_settled(const struct batch *b)
{
	for (size_t i = 1; i < b->count; i++) {
		if (compare_files(&b->files[i - 1], &b->files[i]) >= 0)
			return false;
	}
	return true;
}

static void sort(struct batch *b)
{
	if (!is_settled(b))
		qsort(b->files, b->count, sizeof(*b->files), compare_files);
}

/* All that is in a directory that has moved there is an output; by now another can have its name.
 */
static bool is_moved(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && vnode_is_inside(st.st_dev, st.st_ino);
}

static void walk_note(struct note *note)
{
	struct written_file file;
	char real[PATH_MAX];
	struct stat st;

	if (realpath(note->path, real) == NULL ||
	    (note->kind == CAPTURE_OUT_TREE && !is_moved(real)))
		return;
	if (note->early != NULL && walk_early(&note->found, real, note->early))
		return;
	if (note->kind != CAPTURE_OUT_FILE)
		walk_folder(&note->found, real, 0, note->kind == CAPTURE_OUT_TREE);
	else if (lstat(real, &st) == 0 && is_output(&st, false, &file))
		add_file(&note->found, &file, strdup(real));
	sort(&note->found);
}

static bool is_under_look(struct written *w, const struct note *note)
{
	pthread_mutex_lock(&w->lock);
	bool is = note->under_look;
	pthread_mutex_unlock(&w->lock);
	return is;
}

static void *walk_notes(void *written)
{
	struct written *w = written;
	size_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->note_count) {
		if (is_under_look(w, w->notes[i]))
			w->missed = w->notes[i]; /* by the one who waits for the lookout */
		else
			walk_note(w->notes[i]);
	}
	return NULL;
}

/* Together with the lookout, which is still looking at one. */
static void walk_all(struct written *w)
{
	lookout_stop(w, true);
	walk_notes(w);
	lookout_join(w);
	if (w->missed != NULL)
		walk_note(w->missed);
}

/* Does something on two threads; `count` things are to be done. */
static void on_two(struct written *w, size_t count, void *(*work)(void *written))
{
	pthread_t helper;

	w->next = 0;
	bool helped = count > 1 && thread_start(&helper, &w->cpus, work, w) == 0;
	work(w);
	if (helped)
		pthread_join(helper, NULL);
}

/* Sorts, and leaves each file once. */
static void settle(struct batch *b)
{
	size_t kept = 0;

	if (is_settled(b))
		return;
	qsort(b->files, b->count, sizeof(*b->files), compare_files);
	for (size_t i = 0; i < b->count; i++) {
		struct written_file *last = kept != 0 ? &b->files[kept - 1] : NULL;

		if (last == NULL || compare_files(last, &b->files[i]) != 0) {
			b->files[kept++] = b->files[i];
			continue;
		}
		last->first |= b->files[i].first;
		if (!evlog_output_is_hashed(&last->out))
			memcpy(last->out.hash, b->files[i].out.hash, sizeof(last->out.hash));
		drop(&b->files[i]);
	}
	b->count = kept;
}

/* Marks what is among the first files of all, as far as the budget goes. */
static void mark_first(struct batch *b, struct early_budget *budget)
{
	for (size_t i = 0; i < b->count && budget->files > 0; i++) {
		if (b->files[i].out.size_bytes > budget->bytes) {
			budget->files = 0;
			return;
		}
		budget->bytes -= b->files[i].out.size_bytes;
		budget->files--;
		b->files[i].first = true;
	}
}

static int compare_notes(const void *left, const void *right)
{
	const struct note *const *a = left, *const *b = right;

	return strcmp((*a)->path, (*b)->path);
}

/* Brings together what was found in the places: mostly sorted then. */
static void gather(struct written *w)
{
	struct early_budget budget = {WRITTEN_HASH_FILES_MAX, WRITTEN_HASH_BYTES_MAX, false};
	struct batch *all = &w->found;
	size_t count = 0;

	/* In the order in which they were told. */
	for (size_t i = 0; i < w->note_count; i++) {
		mark_first(&w->notes[i]->found, &budget);
		count += w->notes[i]->found.count;
	}
	if (!room_for_files(all, count))
		all->error = -ENOMEM;
	if (w->note_count != 0)
		qsort(w->notes, w->note_count, sizeof(struct note *), compare_notes);
	for (size_t i = 0; i < w->note_count; i++) {
		struct batch *b = &w->notes[i]->found;

		if (b->error < 0)
			all->error = b->error;
		if (all->error < 0)
			continue;
		if (b->count != 0)
			memcpy(&all->files[all->count], b->files, b->count * sizeof(*b->files));
		all->count += b->count;
		b->count = 0;
	}
	settle(all);
}

/* ---- hashes ---- */

/* What cannot be opened (any more) keeps its size and no hash. */
static void hash_file(struct written *w, struct written_file *f)
{
	struct evlog_output *out = &f->out;

	if (growing_hash(&w->growing, f->dev, f->ino, out))
		return;
	int fd = open(out->name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return;
	if (output_hash(fd, UINT64_MAX, out->hash, &out->size_bytes) < 0)
		memset(out->hash, 0, sizeof(out->hash));
	close(fd);
}

/* Which files have a hash does not depend on what was looked at early. */
static void *hash_files(void *arg)
{
	struct written *w = arg;
	size_t i;

	while ((i = atomic_fetch_add(&w->next, 1)) < w->found.count) {
		struct written_file *f = &w->found.files[i];

		if (!f->first && !f->mapped)
			memset(f->out.hash, 0, sizeof(f->out.hash));
		else if (!evlog_output_is_hashed(&f->out))
			hash_file(w, f);
	}
	return NULL;
}

static size_t count_to_hash(const struct batch *b)
{
	size_t count = 0;

	for (size_t i = 0; i < b->count; i++)
		count += b->files[i].first && !evlog_output_is_hashed(&b->files[i].out);
	return count;
}

void written_look(struct written *w)
{
	walk_all(w);
	gather(w);
	on_two(w, count_to_hash(&w->found) / HELP_FROM, hash_files);
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
		const struct note *note = w->notes[i];

		if (note->kind == CAPTURE_OUT_FILE &&
		    image_capture_had_file(capture, note->path, path) && !is_file(path))
			add_file(&w->found, &file, strdup(path));
	}
	if (w->found.count != before)
		settle(&w->found);
}

bool written_may_remove(const struct written *w)
{
	for (size_t i = 0; i < w->note_count; i++) {
		if (w->notes[i]->kind == CAPTURE_OUT_FILE)
			return true;
	}
	return false;
}

int written_finish(struct written *w, const struct image_capture *capture)
{
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
	lookout_stop(w, false);
	lookout_join(w);
	batch_finish(&w->found);
	for (size_t i = 0; i < w->note_count; i++)
		note_destroy(w->notes[i]);
	free(w->notes);
	for (unsigned i = 0; i < w->grown_count; i++)
		free(w->grown[i].path);
	growing_finish(&w->growing);
	keymap_destroy(w->noted);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->news);
	free(w);
}
