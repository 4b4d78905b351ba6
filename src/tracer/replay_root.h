/* The private folder in which a replay finds the files of its log. */
#ifndef SHADOW_TRACER_REPLAY_ROOT_H
#define SHADOW_TRACER_REPLAY_ROOT_H

#include "../log/evlog_reader.h"

struct replay_root {
	char path[256];	    /* "": there is none */
	char changed[4096]; /* a file that an outside writer changed while it was recorded, or "" */
	int fd;		    /* of the folder */
};

/* Makes a folder below $TMPDIR or /tmp, and `cwd` and `mounts` (as mounts_list has them, or NULL)
 * in it.  0 or a negative errno; replay_root_remove() is due in any case. */
int replay_root_make(const char *cwd, const char *mounts, struct replay_root *root);

/*
 * Unpacks the image into it, and tells the shim of each file's recorded metadata (the preload table
 * of vnode.h).  Precondition: the region is mapped, the container not launched; it may be in the
 * making.  0 or a negative errno (-EBADMSG: see evlog_reader_damage).
 */
int replay_root_fill(struct evlog_reader *reader, struct replay_root *root);

/* Opens a recorded path below the root for reading; no link is followed.  The descriptor, or a
 * negative errno. */
int replay_root_open(const struct replay_root *root, const char *path, int flags);

/* Removes the folder and everything in it; and some of those that killed replays of the same user
 * have left. */
void replay_root_remove(struct replay_root *root);

#endif
