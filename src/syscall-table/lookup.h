/* Looking a path up: the common first step of stat, access, chmod, open and their like. */
#ifndef SHADOW_LOOKUP_H
#define SHADOW_LOOKUP_H

#include "capture.h"

/* The path is special: p->abs says what; nothing else was set. */
#define LOOKUP_SPECIAL 1

/*
 * Finds the file: its host stat and its vnode, announced to the capture.  at_flags:
 * AT_SYMLINK_NOFOLLOW.  0, LOOKUP_SPECIAL, or a negative errno (announced as well).
 */
long lookup(struct task *t, struct path *p, u32 at_flags, struct stat *ret_st, u32 *ret_vnode);

/*
 * What the host would say of a descriptor that it has opened by this name, if the event before was
 * path_stat of a regular file of this name, and changed nothing: nothing in the container has run
 * since.  Whoever puts another file there from outside, in between, has the container use one file
 * for the other, as it would had it come a moment later or earlier; the recheck of a recording
 * finds out.  False: the host must be asked.  nofollow: it was opened with O_NOFOLLOW.
 */
bool lookup_again(const struct path *p, bool nofollow, struct stat *ret_st);

/* Finds the directory that holds the last component, as path_parent; the way there, or that it is
 * not there, is announced. */
long lookup_parent(struct task *t, const struct path *p, u32 *ret_vnode);

/* What a failed call on the path means to the app: announces it, returns the errno. */
long lookup_failed(struct task *t, const struct path *p, long error);

/* ---- names below /proc, /sys, /dev: devices here, the rest by synth_* (device.c) ---- */
long special_open(struct task *t, const char *abs, u32 flags, u32 mode);
long special_stat(struct task *t, const char *abs, bool follow, struct vstat *ret);
long special_readlink(struct task *t, const char *abs, char *to, u32 size);
/*
 * Where a special path leads that is meant with its last link followed (synth.c).  0: outside, to
 * what lookup would have found there.  SPECIAL_FD: to descriptor *ret_fd of the task itself.
 * LOOKUP_SPECIAL: nowhere else; then p->abs is its name without links.  Or a negative errno.
 */
#define SPECIAL_FD 2
long special_target(struct task *t, struct path *p, struct stat *ret_st, u32 *ret_vnode,
		    u32 *ret_fd);
/* Whether it leads to the task's own program, which has no name any more (SHIM_FD_EXE). */
bool special_is_own_program(struct task *t, const char *abs);

/* Opens /dev/pts/`number`, which there is; `abs` is its name. */
long terminal_open(struct task *t, const char *abs, u32 number, u32 flags);

/* Opens a link itself (O_PATH and O_NOFOLLOW); `abs` is its name. */
long link_open(struct task *t, const char *abs, u32 flags);

/* stat of any descriptor. */
long fd_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret);

/* stat of a path argument; at_flags of the call, -EINVAL for others. */
long stat_at(struct task *t, s32 dirfd, u64 user_path, u32 at_flags, struct vstat *ret);

/* stat of any path. at_flags as lookup.  For calls that change no names: see lookup_again. */
long path_stat(struct task *t, struct path *p, u32 at_flags, struct vstat *ret);

/* ---- open.c ---- */
long open_path(struct task *t, struct path *p, u32 flags, u32 mode);
/* The mode and owner of a file that is created now in directory `parent` (0: unknown). */
u32 born_vnode(struct task *t, const struct stat *st, u32 mode, u32 parent);
/* The mode to give the host for a file the container believes to have `mode`. */
u32 host_mode(u32 mode);
/* Checks that names in the directory may be changed, and captures its listing first. */
long entry_change_begin(struct task *t, const struct path *p, u32 *ret_parent);

/* ---- names.c ---- */
/* mknod of a path that is taken in: a file, FIFO or socket inode, the umask applied. */
long node_make(struct task *t, struct path *p, u32 mode);

#endif
