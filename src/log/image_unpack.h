/*
 * Rebuilds the image of a log in an empty directory. Nothing outside that directory is touched,
 * whatever the log says: every component is opened from the one above it, links are not followed.
 */
#ifndef SHADOW_LOG_IMAGE_UNPACK_H
#define SHADOW_LOG_IMAGE_UNPACK_H

#include <stdint.h>

#include "evlog_reader.h"
#include "image_tree.h"

/* Gets each entry that was made and what the host calls it here, so that its metadata can be made
 * virtual; hard links share (dev, ino). A non-zero return stops and is handed on. */
typedef int (*image_unpack_fn)(void *arg, const struct image_entry *entry, uint64_t dev,
			       uint64_t ino);

/*
 * Makes directories, files with their contents, symbolic and hard links. Files that were only
 * stat'ed become sparse files of their size; devices empty files; names that
 * were only listed empty objects of their type. Modes are those of the image, but the owner may
 * read and write all (and search or execute where anyone could); set-id bits, owners and times are
 * not kept.
 *
 * `dir_fd` is an empty directory. `bytes_max` limits the contents written (0: 64 GiB). `fn` may be
 * NULL.
 * The contents that a log without them names are those of the host's files.
 * -ESTALE: one is not what was recorded (evlog_reader_differs);
 * -EBADMSG: the image cannot be built as it is (see evlog_reader_damage() for damaged contents);
 * -EFBIG: contents exceed bytes_max; -ENOMEM; what the file system returns; what `fn` returned.
 */
int image_unpack(struct evlog_reader *reader, const struct image_tree *tree, int dir_fd,
		 uint64_t bytes_max, image_unpack_fn fn, void *arg);

#endif
