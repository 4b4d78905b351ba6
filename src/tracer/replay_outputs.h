/* The files a re-executed run left in its root, against those its log names. */
#ifndef SHADOW_TRACER_REPLAY_OUTPUTS_H
#define SHADOW_TRACER_REPLAY_OUTPUTS_H

#include "../log/evlog_reader.h"
#include "replay_root.h"

/*
 * Compares every written and removed file of the log with the root; where a second thread does a
 * part of it, that has begun when `meanwhile` is called, once in any case.  0; or -EILSEQ,
 * *ret_path the first that differs and *ret_what how, both good as long as the reader and the
 * program; or a negative errno, *ret_path the file.
 */
int replay_outputs_compare(const struct evlog_reader *reader, const struct replay_root *root,
			   void (*meanwhile)(void *arg), void *arg, const char **ret_path,
			   const char **ret_what);

/*
 * Copies every written file of the log from the root to its path below the folder `to_fd`, folders
 * on the way made, mode as the program left it, without set-id bits and with rw for the owner.  0,
 * or a negative errno and *ret_path the file.
 */
int replay_outputs_copy(const struct evlog_reader *reader, const struct replay_root *root,
			int to_fd, const char **ret_path);

#endif
