/* Files whose contents were taken, to be looked at again when the run has ended: an outside writer
 * may have changed one behind the recorder's back. */
#ifndef SHADOW_LOG_IMAGE_WATCH_H
#define SHADOW_LOG_IMAGE_WATCH_H

#include <stdbool.h>
#include <sys/stat.h>

#include "evlog_wire.h"
#include "image_capture.h"
#include "image_changed.h"
#include "image_sink.h"

/* {0}: nothing watched. */
struct image_watch {
	struct evlog_buf files; /* records: see the source */
};

/* `path` and `st` as they stand in the image, `hash` of its contents.  `stamp`: see image_recheck;
 * 0: it is looked at in any case.  -ENOMEM. */
int image_watch_add(struct image_watch *watch, const char *path, const struct stat *st,
		    const uint8_t hash[EVLOG_HASH_SIZE], uint64_t stamp);

/* Looks at all of them that the container used since, and at some others.  Those that are not what
 * they were, and not by the container's doing, are noted in `changed` and get a further entry, with
 * IMAGE_FLAG_CHANGED. -ENOMEM, or the writer's error. */
int image_watch_check(const struct image_watch *watch, const struct image_recheck *recheck,
		      struct image_sink *sink, struct image_changed *changed);

void image_watch_finish(struct image_watch *watch);

#endif
