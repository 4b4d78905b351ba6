/*
 * Process descriptors: a description that names a process, or with PIDFD_THREAD a task.
 *
 * It names it by its birth number, so it never names another that got the same id later.
 */
#ifndef SHADOW_PIDFD_H
#define SHADOW_PIDFD_H

#include "files.h"

/* For clone: whether a descriptor could be made and its number be written at `addr`: 0 or the errno
 * of the call. */
long pidfd_check(struct task *t, u64 addr);

/* Then, for the child that has come to be: makes it and writes the number.  For a thread with
 * PIDFD_THREAD. */
void pidfd_give(struct task *t, const struct task *child, bool is_thread, u64 addr);

/*
 * The pid of the process a descriptor names, for waitid; 0 if it is gone.  -EBADF if the descriptor
 * is none of these.  *ret_nonblock: PIDFD_NONBLOCK is set.
 */
long pidfd_process(struct task *t, u32 fd, bool *ret_nonblock);

extern const struct file_ops pidfd_ops;

/* A process became a zombie or was reaped, or a task ended: pollers look again. */
void pidfd_changed(u64 birth);

#endif
