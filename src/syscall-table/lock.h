/* File locks of the container: see lock.c. */
#ifndef SHADOW_LOCK_H
#define SHADOW_LOCK_H

#include "files.h"

/* fcntl F_GETLK, F_SETLK, F_SETLKW and their F_OFD_ forms on an open descriptor. */
long lock_fcntl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 user);

/* /proc/locks: all locks, and who waits for them. */
struct synth_ctx;
struct synth_text;
void locks_make_text(const struct synth_ctx *c, struct synth_text *out);

#endif
