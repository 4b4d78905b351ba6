/*
 * Finds the way to a path as the kernel would, and records once what lies on it: directories,
 * symbolic links with their targets, what is missing. One thread at a time.
 */
#ifndef SHADOW_LOG_IMAGE_WALK_H
#define SHADOW_LOG_IMAGE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>

#include "image_entry.h"
#include "image_sink.h"

struct image_walk;

struct image_place {
	char path[EVLOG_PATH_MAX + 1]; /* no symlinks, ".", ".." before the last component */
	size_t len;
	/* Length of the leading part that was absent when the container first looked, or that it
	 * has made or moved: what is there now is no part of the image; 0: none. */
	size_t inside_len;
	bool seen; /* `st` is lstat(2) of the path: it was looked at on the way */
	struct stat st;
};

/* What is asked of the file (dev, ino). */
typedef bool (*image_asks_fn)(uint64_t dev, uint64_t ino);

/*
 * inside: the container has made or moved it, so that neither it nor what is in it is of the image.
 * changed: it has changed the regular file, or taken a name of it, after what it was had been
 * recorded: what is recorded of its other names is late.  NULL: nothing is.  The sink must outlive
 * the walk. -ENOMEM.
 */
int image_walk_create(struct image_sink *sink, image_asks_fn inside, image_asks_fn changed,
		      struct image_walk **ret_walk);

/* NULL is allowed. */
void image_walk_destroy(struct image_walk *walk);

/*
 * Resolves an absolute path; its last component, if `follow`, only as far as it is a symbolic link.
 * -ENOENT, -ENOTDIR, -EACCES, -ELOOP, -ENAMETOOLONG: the way ends before; what ended it has been
 * recorded. -ENOMEM or the writer's error: nothing can be recorded.
 */
int image_walk_resolve(struct image_walk *walk, const char *path, bool follow,
		       struct image_place *ret_place);

/* Would an entry of this kind (and type of file, for IMAGE_DENIED) say something new of the place?
 * The first sight of a path decides what it was. */
bool image_walk_wants(const struct image_walk *walk, const struct image_place *place,
		      enum image_kind kind, unsigned int mode);

/* From now on such an entry counts as recorded; the caller hands it to a sink. -ENOMEM. */
int image_walk_mark(struct image_walk *walk, const struct image_place *place, enum image_kind kind,
		    unsigned int mode);

/* Records an entry for the place if it is wanted; its path is filled in here. */
int image_walk_record(struct image_walk *walk, const struct image_place *place,
		      struct image_entry *entry);

/* Was the path, as it was named when it was resolved, recorded as something that is neither a
 * directory nor a link?  If so, the place is set.  The disk is not looked at: the path may be gone.
 */
bool image_walk_had_file(const struct image_walk *walk, const char *path,
			 struct image_place *ret_place);

/* Fills in the metadata of an entry. */
void image_entry_from_stat(struct image_entry *entry, const struct stat *st);

/* Records the place from an lstat(2): a directory, a placeholder, or a link with its target. */
int image_walk_record_stat(struct image_walk *walk, const struct image_place *place,
			   const struct stat *st);

/* True for an error that is about the path and not about recording it. */
bool image_walk_error_is_of_path(int error);

#endif
