/*
 * Path arguments: taken in once, digested, and classed as host path or as a name below /proc, /sys
 * or /dev that the shim answers itself.
 */
#ifndef SHADOW_PATH_H
#define SHADOW_PATH_H

#include "files.h"

#define PATH_EMPTY_OK 1 /* AT_EMPTY_PATH was given */
/* What the call does with the last component.  Links the kernel follows or not by itself: so for
 * them it counts only where the task has a root of its own. */
#define PATH_NOFOLLOW 2 /* takes a link as it is, if no slash follows */
#define PATH_ENTRY    4 /* makes or removes the name: slashes behind it are taken off, path.slash */
#define PATH_OUTER    8 /* an absolute name begins at the container's root, not at the task's */
#define PATH_CREATE   16 /* the same for a file that is made if it is not there */
/* Of openat2; the shim walks then. */
#define PATH_NO_LINKS 32  /* a link is ELOOP */
#define PATH_NO_XDEV  64  /* another file system is EXDEV */
#define PATH_BENEATH  128 /* what leads out of the directory is EXDEV */
#define PATH_IN_ROOT  256 /* the directory is the root */
#define PATH_NO_MAGIC 512 /* a link of /proc that is no name is ELOOP */
#define PATH_RESOLVE  (PATH_NO_LINKS | PATH_NO_XDEV | PATH_BENEATH | PATH_IN_ROOT | PATH_NO_MAGIC)

static inline u32 path_flags(u32 at_flags)
{
	return (at_flags & AT_EMPTY_PATH ? PATH_EMPTY_OK : 0) |
	       (at_flags & AT_SYMLINK_NOFOLLOW ? PATH_NOFOLLOW : 0);
}

struct path {
	s32 dirfd;    /* for the kernel: AT_FDCWD or the app's number */
	u32 len;      /* of name */
	bool special; /* below /proc, /sys, /dev: `abs` is lexically normal, the kernel is not asked
		       */
	bool is_empty; /* AT_EMPTY_PATH and "": dirfd itself is meant */
	bool slash; /* slashes stood behind a name to be made or removed (PATH_ENTRY, PATH_CREATE)
		     */
	u32 base_vnode; /* of the directory a relative name starts from; 0: absolute name */
	u64 base_hash;
	const char *base; /* its absolute path, or "" */
	char name[FILE_PATH_MAX];
	char abs[FILE_ABS_MAX]; /* set if special */
};

/* Takes a path argument in and folds its bytes.  -EFAULT, -ENAMETOOLONG, -ENOENT (empty), -EBADF,
 * -ENOTDIR as path_resolution(7) and openat(2). */
long path_in(struct task *t, s32 dirfd, u64 user, u32 flags, struct path *ret);

/* The same for a path that is in the shim's memory and already folded. */
long path_set(struct task *t, s32 dirfd, const char *name, u32 flags, struct path *ret);

/* Writes the absolute path (at most FILE_ABS_MAX bytes with NUL), without "//" and "/./" but with
 * ".." as it was; its length. */
u32 path_absolute(const struct path *p, char *to);
/* The same of the first `n` bytes of the name. */
u32 path_absolute_of(const struct path *p, u32 n, char *to);

/* Hash that names the path: equal for equal (base, name). */
u64 path_key(const struct path *p);

/* Of the directory that a relative name starts from, whatever its text: to be mixed with keys of
 * texts. */
static inline u64 path_base_key(const struct path *p)
{
	return p->base_vnode * 0xc2b2ae3d27d4eb4fu;
}

/* Joins base and name and removes ".", "..", "//" lexically; the length. */
u32 path_normalise(const char *base, const char *name, char *to);

/* Replaces an absolute path of less than FILE_PATH_MAX bytes, which leads somewhere, by the one
 * without links (path_walk.c); left as it is if that is too long. */
void path_real(char *abs);
/* The same for the name that a file was opened by, if without links it still leads to that vnode;
 * false if not.  `ret` has FILE_PATH_MAX bytes. */
bool path_real_of(const char *abs, u32 vnode, char *ret);

/*
 * Calls visit for each directory in which a component of the name is looked up, links followed (the
 * last one without PATH_NOFOLLOW), from `start` on, below `root` (both as in path_rooted), until it
 * returns something else than 0, which is returned.
 */
long path_visit(const char *root, const char *start, const char *name, u32 flags,
		long (*visit)(void *arg, const char *dir), void *arg);

/*
 * Makes p, whose name begins at the directory `start`, the absolute path that it leads to where
 * `root` is the root (both without links, "" for the container's).  0 or a negative errno; what is
 * not there is an errno only of the lookup that follows.  With PATH_RESOLVE no name below /proc,
 * /sys and /dev is reached: -ENOSYS, or -EXDEV.
 */
long path_rooted(struct path *p, const char *root, const char *start, u32 flags);

struct path_end {
	u32 type;  /* S_IFMT; 0: nothing is there, and `error` says why */
	u32 vnode; /* of what was looked at last; 0: none that is known */
	long error;
	bool inside;	   /* the container has made or moved it, or what it is in */
	bool below_inside; /* what it is in */
	bool dots;	   /* there was a ".." on the way, or will be where it leads nowhere yet */
	char abs[FILE_ABS_MAX];
};

/*
 * Where the first `len` bytes of the name lead, as far as they do (more components behind what is
 * no directory are left out), from the root and without links; those on the way are announced to
 * the image.  PATH_NOFOLLOW.  0, or a negative errno: it is not known, or special.
 */
long path_lead(const struct path *p, u32 len, u32 flags, struct path_end *ret);

/* These (0: none) have got or lost names: what such a name of another than a regular file leads to
 * is void. */
void path_moved(u32 vnode, u32 other);
/* One of that mode was removed; a symbolic link was made. */
void path_removed(u32 mode);
void path_linked(void);

/* Whether there may be a ".." in it. */
bool path_has_dots(const char *text);

/* Length of the part of a name of `n` bytes, or of the path's, before its last component. */
u32 path_folder_length(const char *name, u32 n);
u32 path_parent_length(const struct path *p);

/* The name, without links, that what is open, or the working directory (AT_FDCWD), has now
 * (FILE_PATH_MAX bytes).  -ENOENT: none; or another errno: not known. */
long path_of_fd(s32 fd, char *ret);

/* Whether the last component is a name in a directory: not "/", "." or "..", which cannot go. */
bool path_is_entry(const struct path *p);

/* Whether a normalised absolute path is one the shim answers. */
bool path_is_special(const char *abs);

/*
 * The directory that holds the path's last component: its vnode (from the host, first sight
 * included).  A negative errno of the lookup.
 */
long path_parent(const struct path *p, u32 *ret_vnode);
/* The same for a recording alone, which must not give numbers away: 0 if the container has not seen
 * the directory. */
u32 path_parent_seen(const struct path *p);

/* After a lookup failed with -ENOENT or ended where path_stands_in: if links on the way, or without
 * PATH_NOFOLLOW the last component, lead to a special name, makes p that name and announces the
 * links.  True if so. */
bool path_follow_special(struct task *t, struct path *p, u32 flags);

/* Whether it is the device of an empty directory that the host has in place of /proc, /sys or /dev.
 * Nothing in it is the app's. */
bool path_stands_in(u64 dev);

/* Whether the host has a symbolic link in the last place. */
bool path_is_link(const struct path *p);

/* Names the directory that holds the last component, until names change (path_generation). */
u64 path_parent_key(const struct path *p);

/* The same, but until directories are made, too: so if there is none, what it is that is missing
 * stays.  0: that cannot be said of this path. */
u64 path_missing_key(const struct path *p);

/* Whether, by the container's permissions, a directory on the way may not be searched, where the
 * host does not judge that (path_search.c).  follow: that of a link in the last place, too. */
bool path_search_denied(struct task *t, const struct path *p, bool follow);

/* After a lookup failed: -EACCES if so, else `error`. */
long path_search_error(struct task *t, const struct path *p, long error);

struct stat;

/* Whether it is the log of this recording, which the container does not see. */
bool stat_is_log(const struct stat *st);
bool is_log(u64 dev, u64 ino);

/* stat of the path by the host, following links unless at_flags say not; the log is -ENOENT. */
long path_host_stat(const struct path *p, u32 at_flags, struct stat *ret);

#endif
