/*
 * Reads the names of a directory for the image.
 */
#ifndef SHADOW_LOG_IMAGE_LISTING_H
#define SHADOW_LOG_IMAGE_LISTING_H

#include <sys/stat.h>

#include "evlog_wire.h"

/* Appends all names but "." and ".." and `hidden`'s (by st_dev and st_ino; none if that is 0) with
 * their types, sorted by bytes, in the form of image_names_put(). `fd` is a directory open for
 * reading. -ENOMEM, or what getdents(2) returns.
 * `files` gets the names of the regular files, unsorted, each as u64 inode number, name, NUL. */
int image_listing_read(int fd, const struct stat *hidden, struct evlog_buf *names,
		       struct evlog_buf *files);

#endif
