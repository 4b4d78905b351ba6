/* What a terminal answers: see tty.c. */
#ifndef SHADOW_TTY_H
#define SHADOW_TTY_H

#include "files.h"

/* ioctl on a descriptor that stands for the caller's terminal. -ENOTTY for unknown requests. */
long tty_ioctl(struct task *t, u32 request, u64 arg);

/* stat of standard stream 0, 1 or 2, by config.stdio: the same whatever the host's really is.
 */
void stdio_stat(u32 stream, struct vstat *ret);

#endif
