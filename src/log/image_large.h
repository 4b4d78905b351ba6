/*
 * Reads large files on a thread of its own, so that what comes after them in the image need not
 * wait: they are open, and their bytes are looked at before the container may change them.
 */
#ifndef SHADOW_LOG_IMAGE_LARGE_H
#define SHADOW_LOG_IMAGE_LARGE_H

#include <stdbool.h>
#include <sys/stat.h>

#include "image_capture.h"
#include "image_sink.h"

struct image_large;

/* The writer must outlive it.  -ENOMEM, -EAGAIN (no thread). */
int image_large_create(struct evlog_writer *writer, const struct image_capture_options *options,
		       struct image_large **ret_large);

/*
 * Takes over `fd`, a regular file open at its start whose fstat(2) is `st`, found at the canonical
 * path `place`; `path` is what the container called it; `changed`: it is not as the container saw
 * it.  Waits while too many are open.  -ENOMEM, or the first error of the thread, as
 * image_capture_submit.
 */
int image_large_submit(struct image_large *large, int fd, const struct stat *st, const char *place,
		       const char *path, bool changed);

/* Takes over `fd` likewise: what may be wanted soon is put into the log if it is in the cache. */
int image_large_ahead(struct image_large *large, int fd, const struct stat *st);

/* Whether all that was submitted has been read by now. */
bool image_large_is_idle(const struct image_large *large);

/* Waits until all submitted before has been read; with `flush`, also handed to the writer. */
int image_large_wait(struct image_large *large, bool flush);

/* Flushes and ends the thread; then only the functions below may be called. */
int image_large_finish(struct image_large *large);

/* As image_capture_recheck; entries go to `sink`. */
int image_large_recheck(struct image_large *large, const struct image_recheck *recheck,
			struct image_sink *sink);

/* NULL is allowed. */
void image_large_destroy(struct image_large *large);

/* Adds what was taken to *stats. */
void image_large_stats(const struct image_large *large, struct image_capture_stats *stats);

/* Path `i` of those changed by an outside writer; NULL behind the last. */
const char *image_large_changed_path(const struct image_large *large, size_t i);

#endif
