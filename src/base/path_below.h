/* Paths from hostile places, taken below a folder: no link is followed, nothing climbs out. */
#ifndef SHADOW_BASE_PATH_BELOW_H
#define SHADOW_BASE_PATH_BELOW_H

#include <stdbool.h>

#define PATH_BELOW_NAME_MAX 256

/*
 * Opens the folder that holds the path's last component, walking from `root_fd` component by
 * component; those that are missing are made (mode 0755) if `make`.  Leading slashes mean nothing.
 * `last` gets the last component, "." for the root itself.  The descriptor, or -EINVAL (a component
 * is ".." or too long), -ELOOP or -ENOTDIR (a link or no folder on the way), what openat(2) and
 * mkdirat(2) return.
 */
int path_below_open(int root_fd, const char *path, bool make, char last[PATH_BELOW_NAME_MAX]);

/* Makes a new regular file of that path, and the folders on its way; a file or link that has the
 * name is replaced, never written through.  The descriptor, open for writing, or as above. */
int path_below_create(int root_fd, const char *path, unsigned mode);

#endif
