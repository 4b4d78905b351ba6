/* The app's vectors of buffers, for readv and recvmsg alike (read_write.c). */
#ifndef SHADOW_IO_VECTOR_H
#define SHADOW_IO_VECTOR_H

#include "files.h"

/* Takes a vector in and folds it; the total is cut at FILE_IO_MAX as the kernel does. */
long io_vector_in(struct task *t, u64 user, u64 count, struct user_iov *iov, u64 *ret_total);
/* Before the operation's memory is read or written: code in it is made plain memory. */
void io_prepare(struct task *t, const struct file_io *io);

#endif
