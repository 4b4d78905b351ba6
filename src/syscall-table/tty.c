/*
 * The terminal behind the standard streams, as far as programs ask it: settings that are kept but
 * not carried out, the size it had at the start, one foreground group.
 */
#include <asm/ioctls.h>
#include <asm/termios.h>
#include "tty.h"

static void tty_init(struct tty *tty)
{
	static const u8 cc[NCCS] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22};

	tty->is_set = true;
	tty->pgrp = proc_at(PROC_INIT + 1)->pgid;
	tty->termios.c_iflag = ICRNL | IXON;
	tty->termios.c_oflag = OPOST | ONLCR;
	tty->termios.c_cflag = B38400 | CS8 | CREAD;
	tty->termios.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	memcpy(tty->termios.c_cc, cc, sizeof(cc));
}

static long put(struct task *t, u64 user, const void *from, u64 size)
{
	digest_bytes(t, from, size);
	return user_copy_out(user, from, size) ? -EFAULT : 0;
}

static long take(struct task *t, u64 user, void *to, u64 size)
{
	if (user_copy_in(to, user, size))
		return -EFAULT;
	digest_bytes(t, to, size);
	return 0;
}

long tty_ioctl(struct task *t, u32 request, u64 arg)
{
	const struct winsize size = {.ws_row = (u16)HEAD->config.tty_rows,
				     .ws_col = (u16)HEAD->config.tty_cols};
	struct tty *tty = &FILES->tty;
	u32 sid = proc_of(t)->sid;

	if (!tty->is_set)
		tty_init(tty);
	switch (request) {
	case TCGETS:
		return put(t, arg, &tty->termios, sizeof(tty->termios));
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return take(t, arg, &tty->termios, sizeof(tty->termios));
	case TIOCGWINSZ:
		return put(t, arg, &size, sizeof(size));
	case TIOCGPGRP:
		return put(t, arg, &tty->pgrp, sizeof(tty->pgrp));
	case TIOCSPGRP:
		return take(t, arg, &tty->pgrp, sizeof(tty->pgrp));
	case TIOCGSID:
		return put(t, arg, &sid, sizeof(sid));
	case TIOCSWINSZ:
	case TCFLSH:
	case TCSBRK:
	case TCSBRKP:
	case TCXONC:
		return 0;
	default:
		return -ENOTTY;
	}
}

void stdio_stat(u32 stream, struct vstat *ret)
{
	u32 kind = HEAD->config.stdio[stream].kind;

	ret->nlink = 1;
	ret->blksize = 4096;
	ret->uid = HEAD->config.uid;
	ret->gid = HEAD->config.gid;
	ret->mtime_ns = ret->ctime_ns = ret->atime_ns = ret->btime_ns =
		(s64)HEAD->config.start_time_ns;
	if (kind == STDIO_TTY) {
		ret->dev = 24;
		ret->ino = 3;
		ret->mode = S_IFCHR | 0620;
		ret->rdev = 136 << 8;
	} else if (kind == STDIO_NULL) {
		ret->dev = 5;
		ret->ino = 4;
		ret->mode = S_IFCHR | 0666;
		ret->rdev = 1 << 8 | 3;
	} else {
		ret->dev = 13;
		ret->ino = 100 + HEAD->config.stdio[stream].same;
		ret->mode = S_IFIFO | 0600;
	}
}
