/* Makes a log whole that was recorded without the contents of its files. */
#ifndef SHADOW_LOG_IMAGE_PACK_H
#define SHADOW_LOG_IMAGE_PACK_H

#include "evlog_reader.h"

/*
 * Writes a log to `path` that is the reader's, which must be whole (EVLOG_WHOLE), and the contents
 * of the host's files at the recorded paths. On failure there is no such file. -ESTALE: a file is
 * not what was recorded (evlog_reader_differs); else as evlog_reader_*() and evlog_writer_*().
 */
int image_pack(struct evlog_reader *reader, const char *path);

#endif
