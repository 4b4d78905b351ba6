/* Moving bytes between pipes and other files: splice.c; sendfile (copy.c) uses a part. */
#ifndef SHADOW_SPLICE_H
#define SHADOW_SPLICE_H

#include "pipe.h"

struct splicing {
	struct task *t;
	struct ofd *in, *out;
	u32 in_fd, out_fd;
	s64 in_at, out_at; /* -1: the position */
	u64 size;
	bool nowait; /* for a pipe: SPLICE_F_NONBLOCK, or O_NONBLOCK of one */
};

/* From a file (FILE_SPLICE_IN) into the pipe `out`: as much as there is room for, once there is
 * any.  Bytes moved, in_at moved on, or a negative errno.  May park. */
long splice_into_pipe(struct splicing *s);

#endif
