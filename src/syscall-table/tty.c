/*
 * Requests that every terminal answers: settings in the three forms there are, the size, the
 * groups.  What the caller's terminal is told is kept and not carried out; ours do it (tty_ops).
 *
 * Rules: drivers/tty/tty_ioctl.c, tty_io.c and tty_jobctrl.c of Linux 6.x.
 */
#include <asm/ioctls.h>
#include "../shim/signal.h"
#include "tty.h"
#include "wait.h"

#define OLD_KEYS  8 /* of struct termio */
#define SPEED_STD 38400u

void tty_init(struct tty *tty, u32 rdev)
{
	static const u8 keys[NCCS] = {3, 28, 127, 21, 4, 0, 1, 0, 17, 19, 26, 0, 18, 15, 23, 22};

	tty->rdev = rdev;
	tty->termios.c_iflag = ICRNL | IXON;
	tty->termios.c_oflag = OPOST | ONLCR;
	tty->termios.c_cflag = B38400 | CS8 | CREAD;
	tty->termios.c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN;
	tty->termios.c_ispeed = tty->termios.c_ospeed = SPEED_STD;
	memcpy(tty->termios.c_cc, keys, sizeof(keys));
}

u32 stdio_tty(void)
{
	for (u32 i = 0; i < 3; i++) {
		if (HEAD->config.stdio[i].kind == STDIO_TTY)
			return i;
	}
	return NONE;
}

void tty_init_outside(struct task *t)
{
	struct proc *p = proc_of(t);
	struct tty *tty = &FILES->tty;

	tty_init(tty, 136 << 8);
	tty->size.ws_row = (u16)HEAD->config.tty_rows;
	tty->size.ws_col = (u16)HEAD->config.tty_cols;
	if (stdio_tty() == NONE)
		return;
	tty->sid = p->sid;
	tty->pgrp = p->pgid;
	p->ctty = tty;
}

long tty_put(struct task *t, u64 user, const void *from, u64 size)
{
	digest_bytes(t, from, size);
	return user_copy_out(user, from, size) ? -EFAULT : 0;
}

long tty_take(struct task *t, u64 user, void *to, u64 size)
{
	if (user_copy_in(to, user, size))
		return -EFAULT;
	digest_bytes(t, to, size);
	return 0;
}

/* ---- settings ---- */

/* Bits a second of a code of c_cflag; `other` for BOTHER. */
static u32 speed_of(u32 code, u32 other)
{
	static const u32 speeds[] = {0,	  50,	75,   110,  134,  150,	200,   300,
				     600, 1200, 1800, 2400, 4800, 9600, 19200, 38400};
	static const u32 fast[] = {0,	    57600,   115200,  230400,  460800,	500000,
				   576000,  921600,  1000000, 1152000, 1500000, 2000000,
				   2500000, 3000000, 3500000, 4000000};

	if (code == BOTHER)
		return other;
	return code & BOTHER ? fast[code & 15] : speeds[code & 15];
}

/* Speeds are what c_cflag says, unless it says that they stand beside it. */
static void fill_speeds(struct termios2 *s)
{
	u32 in = s->c_cflag >> IBSHIFT & CBAUD;

	s->c_ospeed = speed_of(s->c_cflag & CBAUD, s->c_ospeed);
	s->c_ispeed = in ? speed_of(in, s->c_ispeed) : s->c_ospeed;
}

static void from_termio(struct termios2 *s, const struct termio *given)
{
	s->c_iflag = (s->c_iflag & 0xffff0000) | given->c_iflag;
	s->c_oflag = (s->c_oflag & 0xffff0000) | given->c_oflag;
	s->c_cflag = (s->c_cflag & 0xffff0000) | given->c_cflag;
	s->c_lflag = (s->c_lflag & 0xffff0000) | given->c_lflag;
	s->c_line = given->c_line;
	memcpy(s->c_cc, given->c_cc, OLD_KEYS);
}

static long get_termio(struct task *t, const struct termios2 *s, u64 arg)
{
	struct termio out = {.c_iflag = (u16)s->c_iflag,
			     .c_oflag = (u16)s->c_oflag,
			     .c_cflag = (u16)s->c_cflag,
			     .c_lflag = (u16)s->c_lflag,
			     .c_line = s->c_line};

	memcpy(out.c_cc, s->c_cc, OLD_KEYS);
	return tty_put(t, arg, &out, sizeof(out));
}

enum settings_form { FORM_TERMIO, FORM_TERMIOS, FORM_TERMIOS2 };

static long get_settings(struct task *t, const struct tty *tty, u32 form, u64 arg)
{
	if (form == FORM_TERMIO)
		return get_termio(t, &tty->termios, arg);
	return tty_put(t, arg, &tty->termios,
		       form == FORM_TERMIOS ? sizeof(struct termios) : sizeof(tty->termios));
}

static long take_settings(struct task *t, u32 form, u64 arg, struct termios2 *s)
{
	u64 size = form == FORM_TERMIOS ? sizeof(struct termios) : sizeof(*s);
	struct termio given;

	long r = form == FORM_TERMIO ? tty_take(t, arg, &given, sizeof(given))
				     : tty_take(t, arg, s, size);
	if (r < 0)
		return r;
	if (form == FORM_TERMIO)
		from_termio(s, &given);
	fill_speeds(s);
	return 0;
}

static long set_settings(struct task *t, struct tty *tty, u32 form, bool flush, u64 arg)
{
	struct termios2 fresh = tty->termios, old = tty->termios;

	long r = tty_job_check(t, tty, SIG_TTOU);
	if (!r)
		r = take_settings(t, form, arg, &fresh);
	if (r < 0)
		return r;
	if (flush && tty->ops)
		tty->ops->flush(tty, TCIFLUSH);
	tty->termios = fresh;
	if (tty->ops)
		tty->ops->settings_changed(tty, &old);
	return 0;
}

/* ---- size and groups ---- */

static long set_size(struct task *t, struct tty *tty, u64 arg)
{
	struct winsize size;

	long r = tty_take(t, arg, &size, sizeof(size));
	if (r < 0 || !memcmp(&size, &tty->size, sizeof(size)))
		return r;
	tty->size = size;
	if (tty->pgrp)
		signal_send_group(tty->pgrp, SIG_WINCH);
	return 0;
}

static bool controls(const struct task *t, const struct tty *tty)
{
	return proc_of(t)->ctty == tty;
}

static long set_pgrp(struct task *t, struct tty *tty, u64 arg)
{
	s32 pgrp;

	long r = tty_job_check(t, tty, SIG_TTOU);
	if (r < 0)
		return r == -EIO ? -ENOTTY : r;
	r = tty_take(t, arg, &pgrp, sizeof(pgrp));
	if (r == 0 && pgrp < 0)
		r = -EINVAL;
	if (r == 0 && (!controls(t, tty) || tty->sid != proc_of(t)->sid))
		r = -ENOTTY;
	return r < 0 ? r : tty_job_set_pgrp(t, tty, (u32)pgrp);
}

/* ---- queues ---- */

static long flush(struct task *t, struct tty *tty, u64 queues)
{
	long r = tty_job_check(t, tty, SIG_TTOU);

	if (r < 0)
		return r;
	if (queues > TCIOFLUSH)
		return -EINVAL;
	if (tty->ops)
		tty->ops->flush(tty, (u32)queues);
	return 0;
}

static long flow(struct task *t, struct tty *tty, u64 action)
{
	long r = tty_job_check(t, tty, SIG_TTOU);

	if (r < 0)
		return r;
	if (action > TCION)
		return -EINVAL;
	if (tty->ops)
		tty->ops->flow(tty, (u32)action);
	return 0;
}

static long send_break(struct task *t, struct tty *tty)
{
	return tty_job_check(t, tty, SIG_TTOU);
}

/* ---- the rest ---- */

static long set_discipline(struct task *t, u64 arg)
{
	s32 number;

	long r = tty_take(t, arg, &number, sizeof(number));
	if (r < 0)
		return r;
	return number ? -EINVAL : 0;
}

static long put_number(struct task *t, u64 arg, u32 number)
{
	return tty_put(t, arg, &number, sizeof(number));
}

static long settings_ioctl(struct task *t, struct tty *tty, u32 request, u64 arg)
{
	switch (request) {
	case TCGETS:
		return get_settings(t, tty, FORM_TERMIOS, arg);
	case TCSETS:
	case TCSETSW:
	case TCSETSF:
		return set_settings(t, tty, FORM_TERMIOS, request == TCSETSF, arg);
	case TCGETA:
		return get_settings(t, tty, FORM_TERMIO, arg);
	case TCSETA:
	case TCSETAW:
	case TCSETAF:
		return set_settings(t, tty, FORM_TERMIO, request == TCSETAF, arg);
	case TCGETS2:
		return get_settings(t, tty, FORM_TERMIOS2, arg);
	case TCSETS2:
	case TCSETSW2:
	case TCSETSF2:
		return set_settings(t, tty, FORM_TERMIOS2, request == TCSETSF2, arg);
	case TCFLSH:
		return flush(t, tty, arg);
	case TCXONC:
		return flow(t, tty, arg);
	case TCSBRK:
	case TCSBRKP:
	case TIOCSBRK:
	case TIOCCBRK:
		return send_break(t, tty);
	default:
		return -ENOTTY;
	}
}

static long group_ioctl(struct task *t, struct tty *tty, const struct ofd *o, bool by_master,
			u32 request, u64 arg)
{
	switch (request) {
	case TIOCGPGRP:
		return by_master || controls(t, tty) ? put_number(t, arg, tty->pgrp) : -ENOTTY;
	case TIOCSPGRP:
		return set_pgrp(t, tty, arg);
	case TIOCGSID:
		if (!tty->sid || !(by_master || controls(t, tty)))
			return -ENOTTY;
		return put_number(t, arg, tty->sid);
	case TIOCSCTTY:
		return tty_job_take(t, tty, (o->flags & O_ACCMODE) != O_WRONLY, arg);
	case TIOCNOTTY:
		return by_master ? -ENOTTY : tty_job_leave(t, tty);
	default:
		return -ENOTTY;
	}
}

long tty_ioctl(struct task *t, struct tty *tty, const struct ofd *o, bool by_master, u32 request,
	       u64 arg)
{
	switch (request) {
	case TIOCGWINSZ:
		return tty_put(t, arg, &tty->size, sizeof(tty->size));
	case TIOCSWINSZ:
		return set_size(t, tty, arg);
	case TIOCEXCL:
	case TIOCNXCL:
		tty->exclusive = request == TIOCEXCL;
		return 0;
	case TIOCGEXCL:
		return put_number(t, arg, tty->exclusive);
	case TIOCGETD:
		return put_number(t, arg, 0);
	case TIOCSETD:
		return set_discipline(t, arg);
	case TIOCOUTQ:
		return put_number(t, arg, 0);
	case TIOCGDEV:
		return put_number(t, arg, tty->rdev);
	case TIOCSTI:
		return -EIO;
	default:
		break;
	}
	long r = settings_ioctl(t, tty, request, arg);
	return r == -ENOTTY ? group_ioctl(t, tty, o, by_master, request, arg) : r;
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
		ret->dev = DEV_OF_PTS;
		ret->ino = 3;
		ret->mode = S_IFCHR | 0620;
		ret->rdev = 136 << 8;
	} else if (kind == STDIO_NULL) {
		ret->dev = DEV_OF_DEVICES;
		ret->ino = 4;
		ret->mode = S_IFCHR | 0666;
		ret->rdev = 1 << 8 | 3;
	} else {
		ret->dev = DEV_OF_PIPES;
		ret->ino = 100 + HEAD->config.stdio[stream].same;
		ret->mode = S_IFIFO | 0600;
	}
}
