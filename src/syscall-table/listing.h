/* Both sides: on which file systems a name in a directory has the number that stat shows. */
#ifndef SHADOW_LISTING_H
#define SHADOW_LISTING_H

#include <linux/magic.h>
#include <stdbool.h>

/*
 * Of f_type as statfs(2) gives it.  Not on overlays; and what something is mounted over has another
 * number in any case, so that only names of files and links are spoken of, where enum file_mounts
 * says that there is no such file.
 */
static inline bool listing_has_numbers(unsigned long f_type)
{
	return f_type == TMPFS_MAGIC || f_type == EXT4_SUPER_MAGIC || f_type == XFS_SUPER_MAGIC ||
	       f_type == BTRFS_SUPER_MAGIC;
}

#endif
