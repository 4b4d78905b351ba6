/* Opening again what a descriptor names: see reopen.c. */
#ifndef SHADOW_REOPEN_H
#define SHADOW_REOPEN_H

#include "path.h"

/* For names of descriptors in /proc and /dev: opens again what descriptor `fd` of a process, which
 * is alive, names.  The number, or a negative errno as open(2). */
long file_reopen(struct task *t, u32 proc, u32 fd, u32 flags);

/* The host's descriptor of what is open as `fd` in a process, through the host's /proc: of a
 * description of its own, whatever name its file has.  What the kernel says. */
long host_reopen(struct task *t, u32 proc, u32 fd, u32 flags);

/* Whether the name that a description of a file of the host was opened by leads to it still: then
 * *p is that name. */
bool file_has_name(struct task *t, const struct ofd *o, struct path *p);

/* Whether no name leads to the program of a process, which is alive, any more; opens that, or tells
 * of the task's own what stat does. */
bool program_is_nameless(struct task *t, u32 proc);
long program_reopen(struct task *t, u32 proc, u32 flags);
void program_stat(struct task *t, struct vstat *ret);

#endif
