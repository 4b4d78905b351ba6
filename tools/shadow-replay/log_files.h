/* shadow-replay LOG files | outputs: what the image holds, taken out of it, and what came out. */
#ifndef SHADOW_REPLAY_LOG_FILES_H
#define SHADOW_REPLAY_LOG_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "log/evlog_reader.h"

/* One line for each path of the image: kind, mode, size, hash, path; with `json`, an object a line.
 * 0 or a negative errno. */
int log_files_list(struct evlog_reader *reader, bool json, FILE *out);

/* One line for each stream, written file and removed file: kind, size, hash, name. */
int log_outputs_list(struct evlog_reader *reader, bool json, FILE *out);

struct log_extract {
	uint64_t made;	  /* files, directories, links */
	uint64_t without; /* files of which the log has no contents: left out */
	char path[4096];  /* the last one worked on: to be named after an error */
};

/*
 * Makes what the image holds at and below `what` (an absolute path, or "all") at its path below the
 * folder `to`, which is made if need be.  Files and links that are there are replaced; no link is
 * followed, so nothing outside the folder is touched.  Owners and set-id bits are not kept.
 * -ENOENT: no such path in the image; -EINVAL: `what` is not absolute or has ".."; -EBADMSG: the
 * log is damaged, or not to be built; or what the file system returns.
 */
int log_files_extract(struct evlog_reader *reader, const char *what, const char *to,
		      struct log_extract *ret);

#endif
