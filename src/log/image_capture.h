/*
 * Takes the image of the files a run depends on, on threads of its own.
 *
 * The caller submits each path when the container first uses it, with what the container saw of
 * it, and drains before the container changes anything that was not born inside (contents or
 * metadata: write, truncate, shared writable mapping, unlink, chmod; names: a new one in a listed
 * directory, rename): the thread opens paths by name, later. Paths are those of the host at the
 * start of the container. Before the container creates a path, the caller submits it as
 * IMAGE_WANT_ABSENT (its creation depended on that); what is at or below such a path is then known
 * to be born inside and left out.
 */
#ifndef SHADOW_LOG_IMAGE_CAPTURE_H
#define SHADOW_LOG_IMAGE_CAPTURE_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "evlog_writer.h"

struct image_capture;

struct image_capture_options {
	const char *cache_folder; /* of the blob cache; NULL: the user's own */
	bool no_cache;		  /* neither look up nor store */
	bool names_only;	  /* contents are hashed and left out of the log */
	size_t queue_bytes_max;	  /* 0: 64 MiB */
	const cpu_set_t *cpus;	  /* where the thread may run; NULL: as its creator */
	/* What the container has made or moved, or changed: see image_walk.h.  Or NULL. */
	bool (*inside)(uint64_t dev, uint64_t ino);
	bool (*changed)(uint64_t dev, uint64_t ino);
	/* How far the container has used the file, 0 while it does; see image_recheck.  Or NULL.
	 * Called on the capture's thread. */
	uint64_t (*use_stamp)(uint64_t dev, uint64_t ino);
};

enum image_want {
	IMAGE_WANT_METADATA, /* stat; a symlink's target too unless it is followed */
	IMAGE_WANT_CONTENT,  /* all bytes of a regular file; else as METADATA */
	IMAGE_WANT_LISTING,  /* all names of a directory; else as METADATA */
	IMAGE_WANT_ABSENT,   /* the container saw that nothing is there */
	IMAGE_WANT_AHEAD,    /* it will want the contents most likely: they are put into the log if
				that costs no packing; without an entry, nothing is said of them */
};

/* What the container saw of the file; all of it is compared with what the thread finds. */
struct image_expected {
	uint64_t dev;
	uint64_t ino; /* 0: nothing to compare */
	uint64_t size_bytes;
	int64_t mtime_sec;
	int64_t ctime_sec;
	uint32_t mtime_nsec;
	uint32_t ctime_nsec;
	uint32_t mode; /* 0: this and what follows is not known */
	uint32_t uid, gid, nlink;
};

struct image_request {
	const char *path; /* absolute; copied */
	enum image_want want;
	bool follow; /* a symlink as the last component is followed */
	bool late;   /* METADATA: another name of a file that was captured and has changed since */
	bool unread; /* CONTENT: METADATA will do, where the file may not be read */
	struct image_expected expected;
};

/* What the caller knows of changes by the container itself. */
struct image_recheck {
	/* Whether it may have changed the file (dev, ino), or its name. */
	bool (*inside)(void *arg, uint64_t dev, uint64_t ino);
	void *arg;
	/* Whether the container has not used the file since the stamp was taken: what was taken is
	 * what it saw, then.  NULL if there are no stamps. */
	bool (*unused_since)(uint64_t stamp);
	bool names_moved; /* a path may lead elsewhere by the container's doing */
};

struct image_capture_stats {
	uint64_t requests;
	uint64_t files;	     /* contents taken */
	uint64_t file_bytes; /* of them */
	uint64_t blobs;	     /* different contents among them */
	uint64_t cache_hits;
	uint64_t changed; /* requests that met an outside writer */
};

/* Starts the thread. The writer must outlive the capture. -ENOMEM, -EAGAIN (no thread). */
int image_capture_create(struct evlog_writer *writer, const struct image_capture_options *options,
			 struct image_capture **ret_capture);

/* Queues a request; waits while the queue is full. Thread-safe. -EINVAL: the path is not absolute
 * or too long. -ENOMEM. The first error of the thread, if it had one: -ENOMEM, the writer's. */
int image_capture_submit(struct image_capture *capture, const struct image_request *request);

/* Whether all that was submitted has been opened and read by now, but for a few small things. */
bool image_capture_is_idle(struct image_capture *capture, size_t few);

/* Waits until all that was submitted before this call has been opened: names may change from then
 * on, not contents. Errors as above. */
int image_capture_drain_names(struct image_capture *capture);

/* Waits until all that was submitted before this call has been opened and read. Errors as above. */
int image_capture_drain(struct image_capture *capture);

/* Waits until all that was submitted before this call has been handed to the writer. Call it before
 * evlog_writer_epoch_append(). Errors as above. */
int image_capture_flush(struct image_capture *capture);

/* Flushes and ends the threads; then only the functions below may be called. Errors as above. */
int image_capture_finish(struct image_capture *capture);

/* Calls image_capture_finish() if that was not done, and frees. NULL is allowed. */
void image_capture_destroy(struct image_capture *capture);

/*
 * After image_capture_finish: are the files whose contents were taken still what they were?  All
 * that the container used after that are looked at, and the first 200 others.  Those that are not
 * were changed by an outside writer; the log says so by further entries.  -ENOMEM, or the writer's
 * error.
 */
int image_capture_recheck(struct image_capture *capture, const struct image_recheck *recheck);

/* After image_capture_finish(). */
struct image_capture_stats image_capture_stats(const struct image_capture *capture);

/* After image_capture_finish(): whether the path, as it was submitted, is in the image as something
 * that is neither a directory nor a link.  Its canonical form is copied to `ret_path`, of
 * EVLOG_PATH_MAX + 1 bytes. */
bool image_capture_had_file(const struct image_capture *capture, const char *path, char *ret_path);

/* Path `i` of those an outside writer changed, after image_capture_finish(); NULL behind the last.
 * At most 100 are kept. */
const char *image_capture_changed_path(const struct image_capture *capture, size_t i);

#endif
