/*
 * Terminals: settings, sizes, and who is in the foreground; the same for the caller's terminal
 * and for pseudo terminals.  tty.c answers the requests, tty_job.c knows the rules of sessions.
 */
#ifndef SHADOW_TTY_H
#define SHADOW_TTY_H

#include "files.h"

/* What a terminal of ours does about its requests. */
struct tty_ops {
	/* The settings are new; before they were `old`. */
	void (*settings_changed)(struct tty *tty, const struct termios2 *old);
	/* TCIFLUSH, TCOFLUSH, TCIOFLUSH. */
	void (*flush)(struct tty *tty, u32 queues);
	/* TCOOFF, TCOON, TCIOFF, TCION. */
	void (*flow)(struct tty *tty, u32 action);
};

/* Settings of a terminal that was just made, and no size. */
void tty_init(struct tty *tty, u32 rdev);
/* The caller's, once: its size is in the configuration; it controls the first process's session. */
void tty_init_outside(struct task *t);

/*
 * A request that every terminal knows, through the description `o`.  by_master: that is the other
 * side of a pseudo terminal, whose settings are this one's, but which controls nobody.  -ENOTTY
 * for others.
 */
long tty_ioctl(struct task *t, struct tty *tty, const struct ofd *o, bool by_master, u32 request,
	       u64 arg);

/* Results of requests: folds `size` bytes and copies them to the app, or the other way round. */
long tty_put(struct task *t, u64 user, const void *from, u64 size);
long tty_take(struct task *t, u64 user, void *to, u64 size);

/* The first standard stream that is a terminal, which has the name /dev/pts/0; NONE. */
u32 stdio_tty(void);

/* stat of standard stream 0, 1 or 2, by config.stdio: the same whatever the host's really is.
 */
void stdio_stat(u32 stream, struct vstat *ret);

/* ---- sessions and the foreground (tty_job.c) ---- */

/*
 * Whether a process in the background may go on (tty_check_change of Linux): 0, -EIO, or
 * -ERESTARTSYS after its group was sent SIGTTIN or SIGTTOU.
 */
long tty_job_check(struct task *t, const struct tty *tty, int sig);
/* The rules of open: a session leader without a terminal gets this one. */
void tty_job_open(struct task *t, struct tty *tty, u32 flags);
/* TIOCSCTTY, TIOCNOTTY, TIOCSPGRP. */
long tty_job_take(struct task *t, struct tty *tty, bool may_read, u64 steal);
long tty_job_leave(struct task *t, struct tty *tty);
long tty_job_set_pgrp(struct task *t, struct tty *tty, u32 pgrp);
/* The other side is gone: nobody's terminal any more; its session leader is told. */
void tty_job_hang_up(struct tty *tty);
/* setsid: the process has no terminal. */
void tty_job_forget(struct proc *p);
/* A process has ended: if it led a session, that loses its terminal. */
void tty_job_exit(u32 proc);

#endif
