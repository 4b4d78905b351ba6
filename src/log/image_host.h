/*
 * The contents that a log recorded with --no-image does not hold: they are those of the host's
 * files at the recorded paths, if these are still what they were.
 */
#ifndef SHADOW_LOG_IMAGE_HOST_H
#define SHADOW_LOG_IMAGE_HOST_H

#include <sys/stat.h>

#include "evlog_reader.h"

/*
 * Opens the host's file for a FILE entry: a regular file of the recorded size. The descriptor, or
 * -ESTALE with the reader told why (evlog_reader_differs).
 */
int image_host_open(struct evlog_reader *reader, const struct image_entry *entry,
		    struct stat *ret_st);

/* Writes its contents to `fd`, an empty file. Of what was empty nothing is asked: a run's own
 * output was.  -ESTALE as above, also for another hash; what write(2) returns. */
int image_host_copy(struct evlog_reader *reader, const struct image_entry *entry, int fd);

#endif
