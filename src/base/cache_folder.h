/*
 * A per-user folder of files that can be made again: each appears whole, by rename, and those not
 * used for longest are deleted beyond a limit.  Shared by all processes of the user.
 */
#ifndef SHADOW_BASE_CACHE_FOLDER_H
#define SHADOW_BASE_CACHE_FOLDER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* Longest name of an entry, with the NUL. */
#define CACHE_NAME_SIZE 64

struct cache_folder;

/*
 * Opens `folder`, or with NULL $XDG_CACHE_HOME/shadow/NAME or ~/.cache/shadow/NAME; it is made,
 * mode 0700, if it is not there.  limit_bytes is what its entries may have in all, and a little
 * more for a while.  -ENOENT: no folder can be named; -EPERM: the folder belongs to another user or
 * others may write to it; -ENOMEM; open(2)'s.
 */
int cache_folder_open(const char *folder, const char *name, uint64_t limit_bytes,
		      struct cache_folder **ret_cache);

/*
 * Closes; now and then, and always if a 64th of the limit or more was stored, deletes the oldest
 * entries beyond the limit before that.  NULL is allowed.
 */
void cache_folder_close(struct cache_folder *cache);

/* A descriptor of the entry, to be closed by the caller, or a negative errno.  It is a regular
 * file, but nothing vouches for its contents.  Counts as a use of it. */
int cache_folder_find(struct cache_folder *cache, const char *name);

/* Stores an entry of these parts, in place of one of that name.  Failure is no error of anyone's
 * run. */
void cache_folder_store(struct cache_folder *cache, const char *name, const struct iovec *parts,
			int count);

#endif
