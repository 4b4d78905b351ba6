/* Pseudo terminals: their names, and the opening of both sides.  See pty.c. */
#ifndef SHADOW_PTY_H
#define SHADOW_PTY_H

#include "files.h"

#define PTY_MAX 4096u /* /proc/sys/kernel/pty/max */

struct pty;

/* The pseudo terminal behind /dev/pts/N, or NULL: only one whose master is open has a name. */
struct pty *pty_find(u32 number);
/* The least number of one that is at least `from`, or NONE. */
u32 pty_next(u32 from);
/* How many there are. */
u32 pty_count(void);
/* stat of /dev/pts/N. */
void pty_stat(const struct pty *p, struct vstat *ret);
/* Its mode, owner and ctime, as those of a file's vnode; new ones. */
void pty_owner(const struct pty *p, struct vnode *ret);
void pty_set_owner(struct pty *p, const struct vnode *v);
/* The pseudo terminal whose slave it is, by its name; NULL for anything else. */
struct pty *pty_behind(const struct ofd *o);
struct pty *pty_named(const char *abs);
/* A new pseudo terminal's master, as opening /dev/ptmx by the name `path` gives; the descriptor,
 * or -ENOSPC, -EMFILE. */
long pty_open_master(struct task *t, const char *path, u32 flags);
/* The other side of a terminal of ours; the descriptor, -EIO while it is locked or hung up, -EBUSY.
 * path: how it was named. */
long pty_open_slave(struct task *t, struct pty *p, const char *path, u32 flags);
/* Another description of what an open description is. */
long pty_reopen(struct task *t, struct ofd *o, u32 flags);
/* The terminal that a struct tty with operations belongs to. */
struct pty *pty_of_tty(struct tty *tty);

#endif
