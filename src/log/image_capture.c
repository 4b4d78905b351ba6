/*
 * Purpose: the capture thread: which object a path names, and what is recorded of it.
 * Owns: the queue of requests; and, used by the thread alone, the sink, the walk, the taker of
 * contents.
 *
 *	submit --> queue --> resolve --> record / read small files --> sink --> writer
 *	                        \--> large files, open --> image_large --> writer
 *
 * Invariants: requests are worked off in order; a file is counted as recorded once it is open and
 * with image_large; errors that are about a path are part of the image.
 */
#include "image_capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/work_queue.h"
#include "image_changed.h"
#include "image_content.h"
#include "image_large.h"
#include "image_links.h"
#include "image_listing.h"
#include "image_sink.h"
#include "image_walk.h"
#include "image_watch.h"

#define QUEUE_BYTES_DEFAULT (64u * EVLOG_MIB)
/* What is packed in idle time, which is what short programs wait for in the end: so many sections,
 * as small ones pack worse. */
#define IDLE_PACK_BYTES (16u * 1024u)
#define IDLE_PACKS_MAX	8

/* Without a path: hand everything to the writer. */
struct node {
	struct work_item item;
	struct image_request request; /* its path is `path`, or NULL */
	char path[];
};

struct image_capture {
	struct work_queue *queue;
	bool finished;
	unsigned int idle_packs;
	struct image_sink *sink;
	struct image_walk *walk;
	struct image_links *links;
	struct image_content *content;
	struct image_large *large;
	struct image_capture_stats stats;
	struct image_changed changed;
	struct stat log; /* what the container does not see */
	struct image_watch watch;
	uint64_t (*use_stamp)(uint64_t dev, uint64_t ino);
};

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

static int record_absent(struct image_capture *capture, const struct image_place *place,
			 uint8_t flags)
{
	struct image_entry entry = {.kind = IMAGE_ABSENT, .flags = flags};

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

static int record_late(struct image_capture *capture, const struct image_place *place,
		       const struct stat *st)
{
	struct image_entry entry = {.kind = IMAGE_PLACEHOLDER, .flags = IMAGE_FLAG_LATE};

	image_entry_from_stat(&entry, st);
	return image_walk_record(capture->walk, place, &entry);
}

/* What was recorded before is not compared again: since then the container may have changed it. */
static int take_metadata(struct image_capture *capture, const struct image_request *request,
			 struct image_place *place)
{
	struct stat st = place->st;

	/* The file has been moved by another name; this one is the image's. */
	if (request->late && place->inside_len == place->len)
		place->inside_len = 0;

	if (!place->seen && lstat(place->len ? place->path : "/", &st)) {
		if (errno != ENOENT && errno != ENOTDIR)
			return record_denied(capture, place, -errno);
		bool gone = request->expected.ino &&
			    image_walk_wants(capture->walk, place, IMAGE_ABSENT, 0);
		if (gone)
			image_changed_note(&capture->changed, request->path);
		return record_absent(capture, place, gone ? IMAGE_FLAG_CHANGED : 0);
	}
	if (!image_walk_wants(capture->walk, place, kind_of(&st), st.st_mode))
		return 0;
	if (!as_expected(&request->expected, &st))
		image_changed_note(&capture->changed, request->path);
	return request->late && S_ISREG(st.st_mode)
		       ? record_late(capture, place, &st)
		       : image_walk_record_stat(capture->walk, place, &st);
}

/* `*ret_other`, if given: it is not what `st` says, and nothing was recorded. */
static int record_file(struct image_capture *capture, const struct image_request *request,
		       const struct image_place *place, int fd, const struct stat *st,
		       bool *ret_other)
{
	struct image_entry entry = {.kind = IMAGE_FILE};
	bool changed = !as_expected(&request->expected, st);
	bool moved = false;
	/* Before it is read: what was seen up to now is compared with what is there then. */
	uint64_t stamp = capture->use_stamp ? capture->use_stamp(st->st_dev, st->st_ino) : 0;
	int ret;

	image_entry_from_stat(&entry, st);
	ret = image_content_take(capture->content, fd, st, &entry.size_bytes, entry.hash, &moved);
	/* An error of the log's comes again. */
	if (ret_other && (moved || ret)) {
		*ret_other = true;
		return 0;
	}
	if (ret)
		return image_walk_error_is_of_path(ret) || ret == -EIO
			       ? record_denied(capture, place, ret)
			       : ret;
	if (changed || moved) {
		entry.flags = IMAGE_FLAG_CHANGED;
		image_changed_note(&capture->changed, request->path);
	} else {
		ret = image_watch_add(&capture->watch, place->path, st, entry.hash, stamp);
	}
	return ret ? ret : image_walk_record(capture->walk, place, &entry);
}

static int record_listing(struct image_capture *capture, const struct image_request *request,
			  const struct image_place *place, int fd, const struct stat *st)
{
	struct image_entry entry = {.kind = IMAGE_LISTING};
	struct evlog_buf names = {0}, files = {0};
	int ret = image_listing_read(fd, &capture->log, &names, &files);

	if (ret) {
		evlog_buf_finish(&names);
		evlog_buf_finish(&files);
		return ret == -ENOMEM ? ret : record_denied(capture, place, ret);
	}
	if (request->expected.ino &&
	    (request->expected.dev != st->st_dev || request->expected.ino != st->st_ino))
		image_changed_note(&capture->changed, request->path);
	image_entry_from_stat(&entry, st);
	entry.names = names.data;
	entry.names_size = names.len;
	ret = image_walk_record(capture->walk, place, &entry);
	if (!ret)
		ret = image_links_listed(capture->links, place, st->st_dev, &files);
	evlog_buf_finish(&names);
	evlog_buf_finish(&files);
	return ret;
}

/* Its bytes are read by and by; no other request for it is recorded from now on. */
static int hand_over_large(struct image_capture *capture, const struct image_request *request,
			   const struct image_place *place, int fd, const struct stat *st)
{
	int own = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	int ret = own < 0 ? -errno : image_walk_mark(capture->walk, place, IMAGE_FILE, st->st_mode);

	if (ret) {
		if (own >= 0)
			close(own);
		return ret;
	}
	return image_large_submit(capture->large, own, st, place->path, request->path,
				  !as_expected(&request->expected, st));
}

/* What the container saw is enough to read a small file by: afterwards it has to be that still. */
static bool seen_small_file(const struct image_request *request, struct stat *ret_st)
{
	const struct image_expected *e = &request->expected;

	*ret_st = (struct stat){
		.st_dev = e->dev,
		.st_ino = e->ino,
		.st_mode = e->mode,
		.st_nlink = e->nlink,
		.st_uid = e->uid,
		.st_gid = e->gid,
		.st_size = (off_t)e->size_bytes,
		.st_mtim = {.tv_sec = e->mtime_sec, .tv_nsec = e->mtime_nsec},
		.st_ctim = {.tv_sec = e->ctime_sec, .tv_nsec = e->ctime_nsec},
	};
	return request->want == IMAGE_WANT_CONTENT && e->ino && S_ISREG(e->mode) &&
	       e->size_bytes < IMAGE_SMALL_MAX;
}

/* Contents or names of the open object, or its metadata if it is of another type. */
static int take_open(struct image_capture *capture, const struct image_request *request,
		     const struct image_place *place, int fd)
{
	bool other = false;
	struct stat st;

	if (seen_small_file(request, &st)) {
		int ret = record_file(capture, request, place, fd, &st, &other);
		if (ret || !other)
			return ret;
	}
	if (fstat(fd, &st))
		return -errno;
	if (request->want == IMAGE_WANT_LISTING && S_ISDIR(st.st_mode))
		return record_listing(capture, request, place, fd, &st);
	if (request->want != IMAGE_WANT_CONTENT || !S_ISREG(st.st_mode))
		return image_walk_record_stat(capture->walk, place, &st);
	if (st.st_size >= (off_t)IMAGE_SMALL_MAX)
		return hand_over_large(capture, request, place, fd, &st);
	return record_file(capture, request, place, fd, &st, NULL);
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
		       struct image_place *place, int fd)
{
	int ret;

	if (fd == -ELOOP || fd == -ENOENT || fd == -ENOTDIR || fd == -ENXIO ||
	    (fd == -EACCES && request->unread))
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
	return absent ? record_absent(capture, place, 0) : take_metadata(capture, request, place);
}

static int take_ahead(struct image_capture *capture, const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd < 0)
		return 0;
	if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size >= (off_t)IMAGE_SMALL_MAX)
		return image_large_ahead(capture->large, fd, &st);
	close(fd);
	return 0;
}

static int take(struct image_capture *capture, const struct image_request *request)
{
	struct image_place place;
	int ret;

	if (request->want == IMAGE_WANT_AHEAD)
		return take_ahead(capture, request->path);
	capture->stats.requests++;
	ret = take_place(capture, request, &place);
	if (!ret && request->expected.nlink > 1)
		ret = image_links_recorded(capture->links, request->expected.dev,
					   request->expected.ino);
	if (!image_walk_error_is_of_path(ret))
		return ret;
	/* That the way ends is part of the image by now; but the container saw where it led. */
	if (request->expected.ino)
		image_changed_note(&capture->changed, request->path);
	return 0;
}

static int work(void *arg, struct work_item *item)
{
	struct image_capture *capture = arg;
	const struct node *node = (const struct node *)item;

	return node->request.path ? take(capture, &node->request) : image_sink_flush(capture->sink);
}

/* What is packed now need not be at the end. */
static int idle(void *arg)
{
	struct image_capture *capture = arg;
	int ret;

	if (capture->idle_packs >= IDLE_PACKS_MAX)
		return 0;
	ret = image_sink_pack(capture->sink, IDLE_PACK_BYTES);
	capture->idle_packs += ret > 0;
	return ret < 0 ? ret : 0;
}

static void dispose(struct work_item *item)
{
	free(item);
}

int image_capture_create(struct evlog_writer *writer, const struct image_capture_options *options,
			 struct image_capture **ret_capture)
{
	struct image_capture *capture = calloc(1, sizeof(*capture));
	struct work_queue_options queue = {.work = work,
					   .dispose = dispose,
					   .idle = idle,
					   .arg = capture,
					   .cost_max = options->queue_bytes_max
							       ? options->queue_bytes_max
							       : QUEUE_BYTES_DEFAULT,
					   .cpus = options->cpus};
	int ret;

	if (!capture)
		return -ENOMEM;
	capture->use_stamp = options->use_stamp;
	ret = fstat(evlog_writer_fd(writer), &capture->log) ? -errno : 0;
	if (!ret)
		ret = image_sink_create(writer, &capture->sink);
	if (!ret)
		ret = image_walk_create(capture->sink, options->inside, options->changed,
					&capture->walk);
	if (!ret)
		ret = image_links_create(capture->walk, &capture->links);
	/* Small files are not cached. */
	if (!ret)
		ret = image_content_create(capture->sink, true, NULL, &capture->content);
	if (!ret && options->names_only)
		image_content_names_only(capture->content);
	if (!ret)
		ret = image_large_create(writer, options, &capture->large);
	if (!ret)
		ret = work_queue_create(&queue, &capture->queue);
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
	struct node *node = calloc(1, sizeof(*node) + len);

	if (!node)
		return NULL;
	node->item.cost = sizeof(*node) + len;
	if (request) {
		node->request = *request;
		memcpy(node->path, request->path, len);
		node->request.path = node->path;
	}
	return node;
}

int image_capture_submit(struct image_capture *capture, const struct image_request *request)
{
	struct node *node;

	if (request->path[0] != '/' || strlen(request->path) > EVLOG_PATH_MAX)
		return -EINVAL;
	node = node_make(request);
	return node ? work_queue_put(capture->queue, &node->item) : -ENOMEM;
}

bool image_capture_is_idle(struct image_capture *capture, size_t few)
{
	return work_queue_is_idle(capture->queue, few) && image_large_is_idle(capture->large);
}

int image_capture_drain_names(struct image_capture *capture)
{
	return work_queue_wait(capture->queue);
}

int image_capture_drain(struct image_capture *capture)
{
	int ret = image_capture_drain_names(capture);

	return ret ? ret : image_large_wait(capture->large, false);
}

int image_capture_flush(struct image_capture *capture)
{
	struct node *node = node_make(NULL);
	int ret;

	if (!node)
		return -ENOMEM;
	work_queue_put(capture->queue, &node->item);
	ret = image_capture_drain_names(capture);
	return ret ? ret : image_large_wait(capture->large, true);
}

int image_capture_finish(struct image_capture *capture)
{
	int ret, end;

	if (capture->finished)
		return 0;
	capture->finished = true;
	ret = work_queue_end(capture->queue);
	/* Here, while the large files are read there. */
	end = image_sink_flush(capture->sink);
	ret = ret ? ret : end;
	end = image_large_finish(capture->large);
	image_content_stats(capture->content, &capture->stats);
	image_large_stats(capture->large, &capture->stats);
	capture->stats.changed += capture->changed.count;
	return ret ? ret : end;
}

int image_capture_recheck(struct image_capture *capture, const struct image_recheck *recheck)
{
	int ret = image_watch_check(&capture->watch, recheck, capture->sink, &capture->changed);

	if (!ret)
		ret = image_large_recheck(capture->large, recheck, capture->sink);
	return ret ? ret : image_sink_flush(capture->sink);
}

void image_capture_destroy(struct image_capture *capture)
{
	if (!capture)
		return;
	work_queue_destroy(capture->queue);
	image_large_destroy(capture->large);
	image_content_destroy(capture->content);
	image_links_destroy(capture->links);
	image_walk_destroy(capture->walk);
	image_sink_destroy(capture->sink);
	image_changed_finish(&capture->changed);
	image_watch_finish(&capture->watch);
	free(capture);
}

struct image_capture_stats image_capture_stats(const struct image_capture *capture)
{
	return capture->stats;
}

bool image_capture_had_file(const struct image_capture *capture, const char *path, char *ret_path)
{
	struct image_place place;

	if (!image_walk_had_file(capture->walk, path, &place))
		return false;
	memcpy(ret_path, place.path, place.len + 1);
	return true;
}

const char *image_capture_changed_path(const struct image_capture *capture, size_t i)
{
	if (i < capture->changed.kept)
		return capture->changed.paths[i];
	return image_large_changed_path(capture->large, i - capture->changed.kept);
}
