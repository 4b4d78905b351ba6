/*
 * See capture_feed.h.  The ring has one consumer at a time: the thread, or capture_feed_sync on the
 * wait loop's thread, under the lock.  Records are copied before they are looked at.
 */
#include "capture_feed.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../log/evlog_wire.h"
#include "../shim/rings.h"
#include "../syscall-table/files.h"
#include "../syscall-table/vnode.h"
#include "poller.h"

#define TREE_PATH_MAX 4096
#define STRIDE_BYTES  4096u

struct capture_feed {
	struct image_capture *capture;
	struct written *written;
	struct poller *poller;
	pthread_mutex_t lock;
	int error;
	_Alignas(8) uint8_t copy[2 * RING_RECORD_MAX];
};

static bool below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && (path[n] == '/' || path[n] == '\0');
}

static void keep_error(struct capture_feed *f, int error)
{
	if (error < 0 && f->error == 0)
		f->error = error;
}

static void hand_over(struct capture_feed *f, const struct image_request *request)
{
	keep_error(f, image_capture_submit(f->capture, request));
}

static void note_out(struct capture_feed *f, uint32_t kind, const char *path)
{
	uint64_t names = __atomic_load_n(&FILES->path_generation, __ATOMIC_ACQUIRE);

	keep_error(f, written_note(f->written, kind, path, names));
}

/* The names in a directory, one after another with their NULs, "." and ".." left out. */
static void read_names(const char *path, struct evlog_buf *names)
{
	const struct dirent *entry;
	DIR *dir = opendir(path);

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			evlog_put(names, entry->d_name, strlen(entry->d_name) + 1);
	}
	if (dir != NULL)
		closedir(dir);
}

static void take_tree(struct capture_feed *f, char *path, size_t len);

/* One name of a directory; `path` is the directory's, with room behind it. `tree`: the directory is
 * about to be moved, so all of it is taken, else only what the name is. */
static void take_name(struct capture_feed *f, char *path, size_t len, const char *name, bool tree)
{
	struct image_request request = {.path = path, .want = IMAGE_WANT_METADATA};
	size_t n = strlen(name);
	struct stat st;

	if (len + 1 + n >= TREE_PATH_MAX)
		return;
	path[len] = '/';
	memcpy(path + len + 1, name, n + 1);
	if (lstat(path, &st) == 0 && !vnode_is_inside(st.st_dev, st.st_ino)) {
		if (tree && S_ISREG(st.st_mode)) {
			/* By another name it may have changed: then that says what it was. */
			if (!vnode_is_changed(st.st_dev, st.st_ino))
				request.want = IMAGE_WANT_CONTENT;
			note_out(f, CAPTURE_OUT_FILE, path);
		}
		if (tree && S_ISDIR(st.st_mode))
			take_tree(f, path, len + 1 + n);
		else
			hand_over(f, &request);
	}
	path[len] = '\0';
}

/* Every name in a directory, as it is now. The directory is closed before any is looked at: a tree
 * can be deeper than we have descriptors. */
static void take_names(struct capture_feed *f, char *path, size_t len, bool tree)
{
	struct evlog_buf names = {0};

	read_names(path, &names);
	for (size_t at = 0; at < names.len; at += strlen((const char *)names.data + at) + 1)
		take_name(f, path, len, (const char *)names.data + at, tree);
	if (names.error != 0 && f->error == 0)
		f->error = names.error;
	evlog_buf_finish(&names);
}

/* Everything in a directory: once it has moved, its old paths lead nowhere. */
static void take_tree(struct capture_feed *f, char *path, size_t len)
{
	struct image_request request = {.path = path, .want = IMAGE_WANT_LISTING};

	hand_over(f, &request);
	take_names(f, path, len, true);
}

static enum image_want want_of(uint32_t kind)
{
	switch (kind) {
	case CAPTURE_CONTENT:
	case CAPTURE_UNREAD:
	case CAPTURE_DENIED:
		return IMAGE_WANT_CONTENT;
	case CAPTURE_LISTING:
		return IMAGE_WANT_LISTING;
	case CAPTURE_ABSENT:
		return IMAGE_WANT_ABSENT;
	default:
		return IMAGE_WANT_METADATA;
	}
}

/* What the container saw; not of a directory, whose times change with every name it makes there. */
static struct image_expected expected_of(uint32_t kind, const struct capture_record *r)
{
	if (r->ino == 0 || kind == CAPTURE_ABSENT || kind == CAPTURE_WALK || kind == CAPTURE_LATE ||
	    S_ISDIR(r->mode))
		return (struct image_expected){0};
	/* In a user namespace of its own the container sees other ids than we do. */
	bool same_ids = !HEAD->config.own_ids_only;
	return (struct image_expected){
		.mode = same_ids ? r->mode : 0,
		.uid = r->uid,
		.gid = r->gid,
		.nlink = r->nlink,
		.dev = r->dev,
		.ino = r->ino,
		.size_bytes = r->size_bytes,
		.mtime_sec = r->mtime_ns / 1000000000,
		.mtime_nsec = (uint32_t)(r->mtime_ns % 1000000000),
		.ctime_sec = r->ctime_ns / 1000000000,
		.ctime_nsec = (uint32_t)(r->ctime_ns % 1000000000),
	};
}

static bool is_special(const char *path)
{
	return below(path, "/proc") || below(path, "/sys") || below(path, "/dev");
}

static void submit(struct capture_feed *f, uint32_t kind, struct capture_record *r)
{
	char path[TREE_PATH_MAX];
	size_t len;

	if (r->path[0] != '/' || is_special(r->path))
		return;
	if (kind >= CAPTURE_OUT_FILE) {
		if (kind == CAPTURE_OUT_GROWS)
			keep_error(f, written_grows(f->written, r->path, r->dev, r->ino));
		else
			note_out(f, kind, r->path);
		return;
	}
	len = strlen(r->path);
	if ((kind == CAPTURE_TREE || kind == CAPTURE_FOLDER) && len < sizeof(path)) {
		memcpy(path, r->path, len + 1);
		if (kind == CAPTURE_TREE)
			take_tree(f, path, len);
		else
			take_names(f, path, len, false);
		return;
	}
	struct image_request request = {
		.path = r->path,
		.want = want_of(kind),
		.follow = kind != CAPTURE_LINK,
		.late = kind == CAPTURE_LATE,
		.unread = kind == CAPTURE_UNREAD,
		.expected = expected_of(kind, r),
	};
	hand_over(f, &request);
}

static void take(struct capture_feed *f, uint32_t kind, const void *record, uint32_t size)
{
	memcpy(f->copy, record, size);
	f->copy[size] = '\0';
	submit(f, kind, (struct capture_record *)f->copy);
}

/* With the lock; false: there was nothing.  The program goes on beside, so that it is told of the
 * room in strides. */
static bool take_all(struct capture_feed *f)
{
	uint32_t size;
	uint64_t head = CAPTURE_RING->head;
	bool bad = false, any = false;
	const struct ring_record *rec;

	while ((rec = ring_peek(CAPTURE_RING, RING_CAPTURE_SIZE, head, &size, &head, &bad)) !=
	       NULL) {
		if (size > sizeof(struct capture_record) && size <= RING_RECORD_MAX)
			take(f, rec->what, rec->bytes, size);
		if (head - CAPTURE_RING->head >= STRIDE_BYTES)
			__atomic_store_n(&CAPTURE_RING->head, head, __ATOMIC_RELEASE);
		any = true;
	}
	__atomic_store_n(&CAPTURE_RING->head, head, __ATOMIC_RELEASE);
	return any;
}

static bool empty_ring(void *arg)
{
	struct capture_feed *f = arg;

	pthread_mutex_lock(&f->lock);
	bool any = take_all(f);
	pthread_mutex_unlock(&f->lock);
	return any;
}

/* While the container stands still, or when it has gone. */
static void empty_all(struct capture_feed *f)
{
	pthread_mutex_lock(&f->lock);
	ring_publish_held(CAPTURE_RING);
	take_all(f);
	pthread_mutex_unlock(&f->lock);
}

int capture_feed_create(struct image_capture *capture, struct written *written,
			const cpu_set_t *cpus, struct capture_feed **ret_feed)
{
	struct capture_feed *f = malloc(sizeof(*f));

	if (f == NULL)
		return -ENOMEM;
	/* All but the record, whose pages shall cost nothing until they are used. */
	memset(f, 0, offsetof(struct capture_feed, copy));
	f->capture = capture;
	f->written = written;
	pthread_mutex_init(&f->lock, NULL);
	int error = poller_create(CAPTURE_RING, empty_ring, f, cpus, &f->poller);
	if (error == 0)
		error = poller_start(f->poller);
	if (error < 0) {
		poller_destroy(f->poller);
		free(f);
		return error;
	}
	*ret_feed = f;
	return 0;
}

void capture_feed_poke(struct capture_feed *f)
{
	if (!ring_is_empty(CAPTURE_RING))
		poller_wake(f->poller);
}

void capture_feed_sync(struct capture_feed *f, uint32_t how)
{
	int error = 0;

	empty_all(f);
	if (how == CAPTURE_SYNC_NAMES)
		error = image_capture_drain_names(f->capture);
	else if (how != CAPTURE_SYNC_RING)
		error = image_capture_drain(f->capture);
	keep_error(f, error);
}

void capture_feed_end(struct capture_feed *f)
{
	poller_stop(f->poller);
	empty_all(f);
}

void capture_feed_destroy(struct capture_feed *f)
{
	capture_feed_end(f);
	poller_destroy(f->poller);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

int capture_feed_error(const struct capture_feed *f)
{
	return f->error;
}

/* What the container made, moved, or was about to change is its own business; and what it has no
 * vnode of any more it has removed. */
static bool changed_inside(void *arg, uint64_t dev, uint64_t ino)
{
	uint32_t vnode = vnode_find(dev, ino);

	(void)arg;
	return vnode == 0 ||
	       VNODES->slots[vnode].flags & (VNODE_NOT_IMAGE | VNODE_CAPTURED | VNODE_WRITTEN |
					     VNODE_GONE | VNODE_METADATA);
}

struct image_recheck capture_feed_recheck(void)
{
	return (struct image_recheck){.inside = changed_inside,
				      .unused_since = vnode_quiet,
				      .names_moved = FILES->path_generation != 0};
}
