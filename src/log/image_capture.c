/*
 * Purpose: the capture thread and its queue.
 * Owns: the queue; and, used by the thread alone, the sink, the walk, the taker of contents.
 *
 *	submit --> queue --> [take all] --> resolve --> record / read --> sink --> writer
 *	drain waits for `done` to reach `submitted`; flush is a request of its own in the queue.
 *
 * Invariants: requests are worked off in order; `lock` guards the queue and the counters, never a
 * system call of the thread; the first error that is not about a path stays and stops the work, but
 * not the queue, so nobody waits forever.
 */
#include "image_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image_content.h"
#include "image_listing.h"
#include "image_sink.h"
#include "image_walk.h"

#define QUEUE_BYTES_DEFAULT (64u * EVLOG_MIB)
#define CHANGED_KEPT	    100

struct node {
	struct node *next;
	bool flush;
	size_t cost_bytes;
	struct image_request request; /* its path is `path` */
	char path[];
};

struct image_capture {
	pthread_t thread;
	bool running;
	pthread_mutex_t lock;
	pthread_cond_t work;  /* the queue has something, or `stop` */
	pthread_cond_t moved; /* `done` reached `wake_at` */
	struct node *first;
	struct node **last;
	size_t queue_bytes;
	size_t queue_bytes_max;
	uint64_t submitted;
	uint64_t done;
	uint64_t wake_at; /* the least value of `done` somebody waits for */
	bool idle;
	bool stop;
	int error;

	struct image_sink *sink;
	struct image_walk *walk;
	struct image_content *content;
	struct image_capture_stats stats;
	char *changed[CHANGED_KEPT];
	size_t changed_count;
};

static void note_changed(struct image_capture *capture, const char *path)
{
	capture->stats.changed++;
	if (capture->changed_count == CHANGED_KEPT)
		return;
	capture->changed[capture->changed_count] = strdup(path);
	if (capture->changed[capture->changed_count])
		capture->changed_count++;
}

static bool as_expected(const struct image_expected *expected, const struct stat *st)
{
	if (!expected->ino)
		return true;
	return expected->dev == st->st_dev && expected->ino == st->st_ino &&
	       expected->size_bytes == (uint64_t)st->st_size &&
	       expected->mtime_sec == st->st_mtim.tv_sec &&
	       expected->ctime_sec == st->st_ctim.tv_sec &&
	       expected->mtime_nsec == st->st_mtim.tv_nsec &&
	       expected->ctime_nsec == st->st_ctim.tv_nsec;
}

static int open_quietly(const char *path, int flags)
{
	int fd;

	/* Not blocking: by now there may be a FIFO. NOATIME is for the owner of the file only. */
	flags |= O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	fd = open(path, flags | O_NOATIME);
	if (fd < 0 && errno == EPERM)
		fd = open(path, flags);
	return fd < 0 ? -errno : fd;
}

static int record_absent(struct image_capture *capture, const struct image_place *place)
{
	struct image_entry entry = {.kind = IMAGE_ABSENT};

	return image_walk_record(capture->walk, place, &entry);
}

/* It may be seen but not opened. */
static int record_denied(struct image_capture *capture, const struct image_place *place, int error)
{
	struct image_entry entry = {.kind = IMAGE_DENIED, .error = -error};
	struct stat st;

	if (!lstat(place->path, &st))
		image_entry_from_stat(&entry, &st);
	return image_walk_record(capture->walk, place, &entry);
}

static enum image_kind kind_of(const struct stat *st)
{
	if (S_ISLNK(st->st_mode))
		return IMAGE_SYMLINK;
	return S_ISDIR(st->st_mode) ? IMAGE_DIR : IMAGE_PLACEHOLDER;
}

/* What was recorded before is not compared again: since then the container may have changed it. */
static int take_metadata(struct image_capture *capture, const struct image_request *request,
			 const struct image_place *place)
{
	struct stat st;

	if (lstat(place->len ? place->path : "/", &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return record_denied(capture, place, -errno);
		if (request->expected.ino &&
		    image_walk_wants(capture->walk, place, IMAGE_ABSENT, 0))
			note_changed(capture, request->path);
		return record_absent(capture, place);
	}
	if (!image_walk_wants(capture->walk, place, kind_of(&st), st.st_mode))
		return 0;
	if (!as_expected(&request->expected, &st))
		note_changed(capture, request->path);
	return image_walk_record_stat(capture->walk, place, &st);
}

static int record_file(struct image_capture *capture, const struct image_request *request,
		       const struct image_place *place, int fd, const struct stat *st)
{
	struct image_entry entry = {.kind = IMAGE_FILE};
	bool changed = !as_expected(&request->expected, st);
	bool moved = false;
	int ret;

	image_entry_from_stat(&entry, st);
	ret = image_content_take(capture->content, fd, st, &entry.size_bytes, entry.hash, &moved);
	if (ret)
		return image_walk_error_is_of_path(ret) || ret == -EIO
			       ? record_denied(capture, place, ret)
			       : ret;
	if (changed || moved) {
		entry.flags = IMAGE_FLAG_CHANGED;
		note_changed(capture, request->path);
	}
	return image_walk_record(capture->walk, place, &entry);
}

static int record_listing(struct image_capture *capture, const struct image_request *request,
			  const struct image_place *place, int fd, const struct stat *st)
{
	struct image_entry entry = {.kind = IMAGE_LISTING};
	struct evlog_buf names = {0};
	int ret = image_listing_read(fd, &names);

	if (ret == -ENOMEM)
		return ret;
	if (ret)
		return record_denied(capture, place, ret);
	if (request->expected.ino &&
	    (request->expected.dev != st->st_dev || request->expected.ino != st->st_ino))
		note_changed(capture, request->path);
	image_entry_from_stat(&entry, st);
	entry.names = names.data;
	entry.names_size = names.len;
	ret = image_walk_record(capture->walk, place, &entry);
	evlog_buf_finish(&names);
	return ret;
}

/* Contents or names of the open object, or its metadata if it is of another type. */
static int take_open(struct image_capture *capture, const struct image_request *request,
		     const struct image_place *place, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (request->want == IMAGE_WANT_CONTENT && S_ISREG(st.st_mode))
		return record_file(capture, request, place, fd, &st);
	if (request->want == IMAGE_WANT_LISTING && S_ISDIR(st.st_mode))
		return record_listing(capture, request, place, fd, &st);
	return image_walk_record_stat(capture->walk, place, &st);
}

static bool is_wanted(const struct image_capture *capture, const struct image_request *request,
		      const struct image_place *place)
{
	if (request->want == IMAGE_WANT_CONTENT)
		return image_walk_wants(capture->walk, place, IMAGE_FILE, S_IFREG);
	return image_walk_wants(capture->walk, place, IMAGE_LISTING, S_IFDIR);
}

static int open_wanted(const struct image_request *request, const struct image_place *place)
{
	int flags = request->want == IMAGE_WANT_LISTING ? O_DIRECTORY : 0;

	return open_quietly(place->len ? place->path : "/", flags);
}

static int take_opened(struct image_capture *capture, const struct image_request *request,
		       const struct image_place *place, int fd)
{
	int ret;

	if (fd == -ELOOP || fd == -ENOENT || fd == -ENOTDIR || fd == -ENXIO)
		return take_metadata(capture, request, place);
	if (fd < 0)
		return image_walk_error_is_of_path(fd) ? record_denied(capture, place, fd) : fd;
	ret = take_open(capture, request, place, fd);
	close(fd);
	return ret;
}

/* Contents and names. Most paths are no links, so the place is opened before it is looked at; only
 * if it is a link, or is nothing new, it is resolved to its end. */
static int take_contents(struct image_capture *capture, const struct image_request *request,
			 struct image_place *place)
{
	int ret = image_walk_resolve(capture->walk, request->path, false, place);
	int fd = -ELOOP;

	if (ret)
		return ret;
	if (is_wanted(capture, request, place))
		fd = open_wanted(request, place);
	if (request->follow && (fd == -ELOOP || fd == -ENOTDIR)) {
		ret = image_walk_resolve(capture->walk, request->path, true, place);
		if (ret || !is_wanted(capture, request, place))
			return ret;
		fd = open_wanted(request, place);
	}
	return take_opened(capture, request, place, fd);
}

static int take_place(struct image_capture *capture, const struct image_request *request,
		      struct image_place *place)
{
	bool absent = request->want == IMAGE_WANT_ABSENT;
	int ret;

	if (request->want == IMAGE_WANT_CONTENT || request->want == IMAGE_WANT_LISTING)
		return take_contents(capture, request, place);
	ret = image_walk_resolve(capture->walk, request->path, request->follow && !absent, place);
	if (ret)
		return ret;
	return absent ? record_absent(capture, place) : take_metadata(capture, request, place);
}

static int take(struct image_capture *capture, const struct image_request *request)
{
	struct image_place place;
	int ret;

	capture->stats.requests++;
	ret = take_place(capture, request, &place);
	if (!image_walk_error_is_of_path(ret))
		return ret;
	/* That the way ends is part of the image by now; but the container saw where it led. */
	if (request->expected.ino)
		note_changed(capture, request->path);
	return 0;
}

static int work_off(struct image_capture *capture, const struct node *node)
{
	return node->flush ? image_sink_flush(capture->sink) : take(capture, &node->request);
}

/* Waits for work and takes all of it. NULL: the end. */
static struct node *queue_take(struct image_capture *capture)
{
	struct node *nodes;

	pthread_mutex_lock(&capture->lock);
	while (!capture->first && !capture->stop) {
		capture->idle = true;
		pthread_cond_wait(&capture->work, &capture->lock);
	}
	capture->idle = false;
	nodes = capture->first;
	capture->first = NULL;
	capture->last = &capture->first;
	pthread_mutex_unlock(&capture->lock);
	return nodes;
}

static void node_done(struct image_capture *capture, struct node *node, int ret)
{
	pthread_mutex_lock(&capture->lock);
	if (!capture->error)
		capture->error = ret;
	capture->done++;
	capture->queue_bytes -= node->cost_bytes;
	/* Waking a waiter at every step made a flush of 5,000 files a fifth slower. */
	if (capture->done >= capture->wake_at) {
		capture->wake_at = UINT64_MAX;
		pthread_cond_broadcast(&capture->moved);
	}
	pthread_mutex_unlock(&capture->lock);
	free(node);
}

static void *capture_main(void *arg)
{
	struct image_capture *capture = arg;
	struct node *node, *next;

	for (node = queue_take(capture); node; node = queue_take(capture)) {
		for (; node; node = next) {
			next = node->next;
			node_done(capture, node, capture->error ? 0 : work_off(capture, node));
		}
	}
	return NULL;
}

static int start_thread(struct image_capture *capture, const cpu_set_t *cpus)
{
	pthread_attr_t attr;
	sigset_t all, before;
	int ret;

	pthread_attr_init(&attr);
	if (cpus)
		pthread_attr_setaffinity_np(&attr, sizeof(*cpus), cpus);
	/* Signals are for the thread that supervises the container. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = -pthread_create(&capture->thread, &attr, capture_main, capture);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	capture->running = !ret;
	return ret;
}

int image_capture_create(struct evlog_writer *writer, const struct image_capture_options *options,
			 struct image_capture **ret_capture)
{
	struct image_capture *capture = calloc(1, sizeof(*capture));
	int ret;

	if (!capture)
		return -ENOMEM;
	pthread_mutex_init(&capture->lock, NULL);
	pthread_cond_init(&capture->work, NULL);
	pthread_cond_init(&capture->moved, NULL);
	capture->last = &capture->first;
	capture->wake_at = UINT64_MAX;
	capture->queue_bytes_max =
		options->queue_bytes_max ? options->queue_bytes_max : QUEUE_BYTES_DEFAULT;
	ret = image_sink_create(writer, &capture->sink);
	if (!ret)
		ret = image_walk_create(capture->sink, &capture->walk);
	if (!ret)
		ret = image_content_create(capture->sink, options->no_cache, options->cache_folder,
					   &capture->content);
	if (!ret)
		ret = start_thread(capture, options->cpus);
	if (ret) {
		image_capture_destroy(capture);
		return ret;
	}
	*ret_capture = capture;
	return 0;
}

static struct node *node_make(const struct image_request *request)
{
	size_t len = request ? strlen(request->path) + 1 : 0;
	struct node *node = malloc(sizeof(*node) + len);

	if (!node)
		return NULL;
	node->next = NULL;
	node->flush = !request;
	node->cost_bytes = sizeof(*node) + len;
	if (request) {
		node->request = *request;
		memcpy(node->path, request->path, len);
		node->request.path = node->path;
	}
	return node;
}

/* Waits until so many are done; the lock is held. */
static void wait_done(struct image_capture *capture, uint64_t until)
{
	while (capture->done < until) {
		if (capture->wake_at > until)
			capture->wake_at = until;
		pthread_cond_wait(&capture->moved, &capture->lock);
	}
}

/* Queues and returns the count that `done` reaches when it has been worked off. */
static uint64_t node_queue(struct image_capture *capture, struct node *node)
{
	/* Waits for half of a full queue, so that both sides go on in long strides. */
	while (capture->queue_bytes &&
	       capture->queue_bytes + node->cost_bytes > capture->queue_bytes_max)
		wait_done(capture, capture->done + (capture->submitted - capture->done + 1) / 2);
	*capture->last = node;
	capture->last = &node->next;
	capture->queue_bytes += node->cost_bytes;
	if (capture->idle)
		pthread_cond_signal(&capture->work);
	return ++capture->submitted;
}

int image_capture_submit(struct image_capture *capture, const struct image_request *request)
{
	struct node *node;
	int ret;

	if (request->path[0] != '/' || strlen(request->path) > EVLOG_PATH_MAX)
		return -EINVAL;
	node = node_make(request);
	if (!node)
		return -ENOMEM;
	pthread_mutex_lock(&capture->lock);
	node_queue(capture, node);
	ret = capture->error;
	pthread_mutex_unlock(&capture->lock);
	return ret;
}

int image_capture_drain(struct image_capture *capture)
{
	uint64_t until;
	int ret;

	pthread_mutex_lock(&capture->lock);
	until = capture->submitted;
	wait_done(capture, until);
	ret = capture->error;
	pthread_mutex_unlock(&capture->lock);
	return ret;
}

int image_capture_flush(struct image_capture *capture)
{
	struct node *node = node_make(NULL);
	uint64_t until;
	int ret;

	if (!node)
		return -ENOMEM;
	pthread_mutex_lock(&capture->lock);
	until = node_queue(capture, node);
	wait_done(capture, until);
	ret = capture->error;
	pthread_mutex_unlock(&capture->lock);
	return ret;
}

int image_capture_finish(struct image_capture *capture)
{
	int ret;

	if (!capture->running)
		return capture->error;
	ret = image_capture_flush(capture);
	pthread_mutex_lock(&capture->lock);
	capture->stop = true;
	pthread_cond_signal(&capture->work);
	pthread_mutex_unlock(&capture->lock);
	pthread_join(capture->thread, NULL);
	capture->running = false;
	image_content_stats(capture->content, &capture->stats.files, &capture->stats.file_bytes,
			    &capture->stats.blobs, &capture->stats.cache_hits);
	return ret;
}

void image_capture_destroy(struct image_capture *capture)
{
	if (!capture)
		return;
	if (capture->running)
		image_capture_finish(capture);
	image_content_destroy(capture->content);
	image_walk_destroy(capture->walk);
	image_sink_destroy(capture->sink);
	for (size_t i = 0; i < capture->changed_count; i++)
		free(capture->changed[i]);
	pthread_cond_destroy(&capture->work);
	pthread_cond_destroy(&capture->moved);
	pthread_mutex_destroy(&capture->lock);
	free(capture);
}

struct image_capture_stats image_capture_stats(const struct image_capture *capture)
{
	return capture->stats;
}

const char *image_capture_changed_path(const struct image_capture *capture, size_t i)
{
	return i < capture->changed_count ? capture->changed[i] : NULL;
}
