/*
 * Which path each descriptor was opened by, followed through the events of a run from its first one
 * on: open, dup, close, fcntl and their like, clone, exec, exit.
 *
 * The path is the one the program wrote, behind that of the folder if it was relative to a
 * descriptor.  A child has what its maker had at the clone's event or at its own first one,
 * whichever is first: other threads of its maker may have had events in between.  A call that a
 * seccomp filter of the program's answered in the kernel's place is taken for one that was made.
 */
#ifndef SHADOW_INSPECT_FD_PATHS_H
#define SHADOW_INSPECT_FD_PATHS_H

#include <stdint.h>

#include "../syscall-table/event_decode.h"

struct fd_paths;

/* `stdio`: the paths of descriptors 0 to 2 at the start, each may be NULL.  0 or -ENOMEM. */
int fd_paths_create(const char *const stdio[3], struct fd_paths **ret_paths);

/* NULL is allowed. */
void fd_paths_destroy(struct fd_paths *paths);

/* For each event in turn: enter, after which descriptors are those the call found, and leave, after
 * which they are what it made of them.  0 or -ENOMEM. */
int fd_paths_enter(struct fd_paths *paths, const struct event_view *event);
int fd_paths_leave(struct fd_paths *paths, const struct event_view *event);

/* The path that descriptor `fd` of a task was opened by, or NULL; good until the next call above.
 */
const char *fd_paths_find(const struct fd_paths *paths, uint32_t task, int fd);

#endif
