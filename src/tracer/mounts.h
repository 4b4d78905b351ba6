/* What is mounted where, in a container and on the machine that is recorded. */
#ifndef SHADOW_MOUNTS_H
#define SHADOW_MOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Whether anything but directories is mounted over in the mount namespace of the stopped task; also
 * true if that cannot be found out. */
bool mounts_cover_files(pid_t tid);

/*
 * The folders below "/" of the caller that something is mounted on, without those that a container
 * covers: between two of them nothing can be renamed or linked.  Escaped as in mountinfo, separated
 * by spaces; to be freed.  Empty if they cannot be found out; NULL: no memory.
 * *ret_cover_files: as mounts_cover_files, in a container that the caller makes.
 */
char *mounts_list(bool *ret_cover_files);

/* Takes the next path from *text, which mounts_list or a log gave; false: none is left, or it is
 * no absolute path of less than `size` bytes. */
bool mounts_next(const char **text, char *ret_path, size_t size);

#endif
