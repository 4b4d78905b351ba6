/*
 * What a recorded run left behind: the files it made or changed, and the files of the image it
 * removed.  The shim announces places (CAPTURE_OUT_*, rings.h); they are looked at when the
 * container has ended, so that it pays for one announcement a directory (docs/decisions/0007).
 */
#ifndef SHADOW_TRACER_WRITTEN_H
#define SHADOW_TRACER_WRITTEN_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../log/evlog_types.h"
#include "../log/image_capture.h"

/* Files are hashed in the order in which the container came to their folders, and there by name,
 * until there are so many or they have so many bytes; what was mapped for writing always is. */
#define WRITTEN_HASH_FILES_MAX 500
#define WRITTEN_HASH_BYTES_MAX (256ull << 20)
/* Paths beyond so many bytes are left out: the section has a limit (docs/log-format.md). */
#define WRITTEN_LIST_BYTES_MAX (48u << 20)

struct written;

/* `cpus`: for a thread that looks ahead.  plain_mounts: only folders are mounted over.  -ENOMEM. */
int written_create(const cpu_set_t *cpus, bool plain_mounts, struct written **ret_written);

/* Notes a place; `kind` is one of CAPTURE_OUT_FILE, _FOLDER and _TREE.  names: as long as it is the
 * same number, folders lead where they did.  One thread at a time.  -ENOMEM. */
int written_note(struct written *written, uint32_t kind, const char *path, uint64_t names);

/* Notes a file that grows (CAPTURE_OUT_GROWS).  The same thread.  -ENOMEM. */
int written_grows(struct written *written, const char *path, uint64_t dev, uint64_t ino);

/* The container has ended and the last place is noted: looks at them.  The region is not needed
 * afterwards. */
void written_look(struct written *written);

/* Whether files of the image may have been removed. */
bool written_may_remove(const struct written *written);

/* Finds out what was removed.  Precondition: the capture has finished, if anything may have been.
 * -ENOMEM. */
int written_finish(struct written *written, const struct image_capture *capture);

/* After written_look, or written_finish, which adds what was removed: output `i`, sorted by kind
 * and path; NULL behind the last. */
const struct evlog_output *written_at(const struct written *written, size_t i);

/* NULL is allowed. */
void written_destroy(struct written *written);

#endif
