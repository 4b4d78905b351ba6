/* What is mounted where in a container. */
#ifndef SHADOW_MOUNTS_H
#define SHADOW_MOUNTS_H

#include <stdbool.h>
#include <sys/types.h>

/* Whether anything but directories is mounted over in the mount namespace of the stopped task; also
 * true if that cannot be found out. */
bool mounts_cover_files(pid_t tid);

#endif
