/*
 * Pseudo terminals: /dev/ptmx and /dev/pts/N, with nothing of them in the kernel.
 *
 *   master --write--> typed --line discipline--> slave reads
 *   master <--read-- screen <--line discipline-- slave writes, echo
 *
 * What is typed is processed at once, as far as the line discipline takes it, so a reader of either
 * side finds what natively it finds once the kernel's worker has run.  A pty lives, and keeps its
 * number, while one of its sides is open; when the master goes, it is hung up: nobody finds it by
 * name, and its slaves read 0.
 *
 * Rules: drivers/tty/pty.c, n_tty.c, tty_io.c of Linux 6.x.  Invariant: whoever changes a line or a
 * queue calls settle before it parks or returns.
 */
#include <asm/ioctls.h>
#include "../shim/signal.h"
#include "credentials.h"
#include "file_kinds.h"
#include "line.h"
#include "lookup.h"
#include "pty.h"
#include "ready.h"

#define TYPED_MAX   (SCREEN_SIZE - LINE_SIZE) /* with a line's bytes as much as the other way */
#define CHUNK	    2048u		      /* a write is processed in pieces of this */
#define READ_MAX    4095u		      /* bytes a read of the master gets at most */
#define LEAST_MAX   64u /* a read with a larger VMIN gets no more: the kernel's piece */
#define TENTH_NS    100000000ull
#define PTS_GID	    5
#define PTS_MODE    0620u
#define PTS_INO	    3 /* of /dev/pts/0 */
#define PTMX_RDEV   (5u << 8 | 2)
#define ALMOST_FULL 256u

struct pty {
	struct tty tty; /* first: see pty_of_tty */
	struct pty *next;
	u32 number;
	u32 uid, gid, mode;
	u32 slaves; /* open descriptions */
	bool has_master, locked;
	bool slave_gone; /* the last slave was closed, and none opened since */
	u64 writers[2];	 /* births of the tasks in the middle of a write: see write_begin */
	s64 born_ns, ctime_ns;
	struct line line;
	struct byte_queue typed, screen;
};

static struct pty *pty_of(const struct ofd *o)
{
	return o->state;
}

struct pty *pty_of_tty(struct tty *tty)
{
	return (struct pty *)tty;
}

static struct sched_key master_key(const struct pty *p)
{
	return (struct sched_key){KEY_PTY_MASTER, p->number};
}

static struct sched_key slave_key(const struct pty *p)
{
	return (struct sched_key){KEY_PTY_SLAVE, p->number};
}

/* ---- one write after the other ---- */

enum pty_side { SIDE_MASTER, SIDE_SLAVE };

/* A write that waits in its middle has a hold; if its task died there, it has none any more. */
static bool is_writing(const struct pty *p, u32 side)
{
	for (u32 i = 0; p->writers[side] && i < READY->holds; i++) {
		const struct park_hold *h = &READY->hold[i];
		if (task_at(h->task)->birth == p->writers[side] && ofd_at(h->ofd)->state == p)
			return true;
	}
	return false;
}

/* Waits until nobody else is in the middle of a write. */
static long write_begin(struct task *t, struct pty *p, u32 side, bool nowait)
{
	struct sched_key key = side == SIDE_MASTER ? master_key(p) : slave_key(p);
	long r = 0;

	while (!r && is_writing(p, side))
		r = nowait ? -EAGAIN : ready_wait(t, key, POLLOUT | POLLHUP);
	if (!r)
		p->writers[side] = t->birth;
	return r;
}

static void write_end(struct task *t, struct pty *p, u32 side)
{
	p->writers[side] = 0;
	if (t->parked)
		ready_changed(side == SIDE_MASTER ? master_key(p) : slave_key(p),
			      POLLOUT | POLLWRNORM);
}

/* ---- names ---- */

struct pty *pty_find(u32 number)
{
	struct pty *p = FILES->ptys;

	while (p && p->number != number)
		p = p->next;
	return p && p->has_master ? p : NULL;
}

u32 pty_next(u32 from)
{
	const struct pty *p = FILES->ptys;

	while (p && (p->number < from || !p->has_master))
		p = p->next;
	return p ? p->number : NONE;
}

u32 pty_count(void)
{
	u32 n = 0;

	for (const struct pty *p = FILES->ptys; p; p = p->next)
		n++;
	return n;
}

/* Enters it under the least free number; false if there is none. */
static bool name_add(struct pty *p)
{
	struct pty **link = &FILES->ptys;

	/* The caller's terminal is /dev/pts/0. */
	p->number = stdio_tty() != NONE;
	for (; *link && (*link)->number == p->number; link = &(*link)->next)
		p->number++;
	if (p->number >= PTY_MAX)
		return false;
	p->next = *link;
	*link = p;
	return true;
}

static void name_remove(struct pty *p)
{
	struct pty **link = &FILES->ptys;

	while (*link != p)
		link = &(*link)->next;
	*link = p->next;
}

static void free_if_closed(struct pty *p)
{
	if (p->has_master || p->slaves)
		return;
	byte_queue_clear(&p->typed);
	byte_queue_clear(&p->screen);
	name_remove(p);
	heap_free(p);
}

/* ---- processing ---- */

/* Gives the line discipline what it takes of the typed bytes. */
static void pump(struct pty *p)
{
	struct byte_queue *q = &p->typed;
	bool was_full = q->used >= TYPED_MAX;
	u64 n = 0, taken = 0;

	while (q->used && taken == n) {
		n = q->allocated - q->start < q->used ? q->allocated - q->start : q->used;
		taken = line_receive(&p->line, q->bytes + q->start, (u32)n);
		byte_queue_drop(q, taken);
	}
	if (was_full && q->used < TYPED_MAX)
		ready_changed(master_key(p), POLLOUT | POLLWRNORM);
}

static void settle(struct pty *p)
{
	u32 changed = p->line.changed;

	p->line.changed = 0;
	if (changed & LINE_READABLE)
		ready_changed(slave_key(p), POLLIN | POLLRDNORM);
	if (changed & LINE_SHOWN)
		ready_changed(master_key(p), POLLIN | POLLRDNORM | POLLPRI);
	if (changed & LINE_WRITABLE)
		ready_changed(slave_key(p), POLLOUT | POLLWRNORM);
}

static void settings_changed(struct tty *tty, const struct termios2 *old)
{
	struct pty *p = pty_of_tty(tty);

	/* Eight bits without parity, and always switched on. */
	tty->termios.c_cflag = (tty->termios.c_cflag & ~(u32)(CSIZE | PARENB)) | CS8 | CREAD;
	line_settings_changed(&p->line, old);
	pump(p);
	settle(p);
}

static void flush(struct tty *tty, u32 queues)
{
	struct pty *p = pty_of_tty(tty);

	if (queues != TCOFLUSH) {
		byte_queue_drop(&p->typed, p->typed.used);
		line_flush_input(&p->line);
		ready_changed(master_key(p), POLLOUT | POLLWRNORM);
	}
	if (queues != TCIFLUSH)
		line_flush_output(&p->line);
	settle(p);
}

/* A key goes to the screen even if that is stopped, unless by a call: tty_send_xchar. */
static void send_key(struct pty *p, u8 key)
{
	struct line *l = &p->line;
	bool stopped = l->stopped;

	if (!key || l->stopped_by_call || p->screen.used >= SCREEN_SIZE)
		return;
	if (stopped)
		line_start(l, false);
	byte_queue_append(&p->screen, &key, 1);
	l->changed |= LINE_SHOWN;
	if (stopped)
		line_stop(l, false);
}

static void flow(struct tty *tty, u32 action)
{
	struct pty *p = pty_of_tty(tty);

	if (action == TCOOFF && !p->line.stopped_by_call)
		line_stop(&p->line, true);
	else if (action == TCOON && p->line.stopped_by_call)
		line_start(&p->line, true);
	else if (action == TCIOFF || action == TCION)
		send_key(p, tty->termios.c_cc[action == TCIOFF ? VSTOP : VSTART]);
	settle(p);
}

static const struct tty_ops pty_tty_ops = {
	.settings_changed = settings_changed, .flush = flush, .flow = flow};

/* ---- reading what was typed ---- */

/* How long a read waits, and for how much: VMIN and VTIME. */
struct patience {
	u64 total;	 /* bytes it may get */
	u64 least;	 /* bytes it waits for */
	u64 pause_ns;	 /* between bytes; 0: for ever */
	u64 deadline_ns; /* for the next byte */
};

static struct patience patience_of(const struct pty *p, u64 total)
{
	const u8 *keys = p->tty.termios.c_cc;
	struct patience w = {.total = total, .least = 1, .deadline_ns = SCHED_NEVER};
	u64 time_ns = keys[VTIME] * TENTH_NS;

	if (p->tty.termios.c_lflag & ICANON) {
		w.least = 0;
	} else if (keys[VMIN]) {
		w.least = keys[VMIN];
		w.pause_ns = time_ns;
		if (w.least > LEAST_MAX && w.total > LEAST_MAX)
			w.total = LEAST_MAX;
	} else {
		w.deadline_ns = now_ns() + time_ns;
	}
	return w;
}

static long take_typed(struct task *t, struct pty *p, const struct file_io *io, u64 at, u64 size)
{
	u8 bytes[LINE_SIZE];

	u32 n = line_take(&p->line, bytes, size < sizeof(bytes) ? (u32)size : LINE_SIZE);
	long r = io_give(t, io, at, bytes, n);
	pump(p);
	settle(p);
	return r < 0 ? r : (long)n;
}

static long wait_typed(struct task *t, struct pty *p, u64 deadline_ns)
{
	if (sched_wait_add(SCHED, t->index, slave_key(p), POLLIN | POLLHUP, 0) < 0)
		return -ENOMEM;
	return turn_park(t, deadline_ns) == -EINTR ? -ERESTARTSYS : 0;
}

/* The next step of a read without input: 0 to look again, 1 when it is over, or an errno. */
static long await_typed(struct task *t, struct pty *p, const struct file_io *io,
			const struct patience *w)
{
	if (!p->has_master)
		return -EIO;
	if (now_ns() >= w->deadline_ns)
		return 1;
	return io->nowait ? -EAGAIN : wait_typed(t, p, w->deadline_ns);
}

static long read_typed(struct task *t, struct pty *p, const struct file_io *io)
{
	struct patience w = patience_of(p, io->total);
	u64 done = 0;
	long r = 0;

	while (!r && done < w.total) {
		if (!line_has_input(&p->line, false)) {
			r = await_typed(t, p, io, &w);
			continue;
		}
		r = take_typed(t, p, io, done, w.total - done);
		if (r < 0)
			break;
		done += (u64)r;
		r = p->tty.termios.c_lflag & ICANON || done >= w.least;
		if (w.pause_ns)
			w.deadline_ns = now_ns() + w.pause_ns;
	}
	return done || r > 0 ? (long)done : r;
}

static long slave_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pty *p = pty_of(o);

	if (!p->has_master)
		return 0;
	long r = tty_job_check(t, &p->tty, SIG_TTIN);
	if (r < 0)
		return r;
	park_hold_begin(t, o);
	r = read_typed(t, p, io);
	park_hold_end(t, o);
	return r;
}

/* ---- writing to the screen ---- */

/* One piece; how much of it went in. */
static long write_piece(struct task *t, struct pty *p, const struct file_io *io, u64 at)
{
	u32 n = io->total - at < CHUNK ? (u32)(io->total - at) : CHUNK;
	u8 chunk[CHUNK];

	if (io_peek(io, at, chunk, n))
		return -EFAULT;
	u32 taken = line_write(&p->line, chunk, n);
	digest_bytes(t, chunk, taken);
	settle(p);
	return taken;
}

static long write_screen(struct task *t, struct pty *p, const struct file_io *io)
{
	u64 done = 0;

	long r = write_begin(t, p, SIDE_SLAVE, io->nowait);
	if (r < 0)
		return r;
	while (r >= 0 && done < io->total) {
		r = p->has_master ? write_piece(t, p, io, done) : -EIO;
		if (r > 0)
			done += (u64)r;
		if (r == 0)
			r = io->nowait ? -EAGAIN : ready_wait(t, slave_key(p), POLLOUT | POLLHUP);
	}
	write_end(t, p, SIDE_SLAVE);
	return done ? (long)done : r;
}

static long slave_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct pty *p = pty_of(o);
	long r = 0;

	if (!p->has_master)
		return -EIO;
	if (p->tty.termios.c_lflag & TOSTOP)
		r = tty_job_check(t, &p->tty, SIG_TTOU);
	if (r < 0)
		return r;
	park_hold_begin(t, o);
	r = write_screen(t, p, io);
	park_hold_end(t, o);
	return r;
}

/* ---- the slave's other operations ---- */

static u32 slave_poll(struct task *t, struct ofd *o)
{
	const struct pty *p = pty_of(o);
	u32 ready = 0;

	(void)t;
	if (!p->has_master)
		return READY_ALWAYS | POLLERR | POLLHUP;
	if (line_has_input(&p->line, true))
		ready |= POLLIN | POLLRDNORM;
	if (line_room(&p->line))
		ready |= POLLOUT | POLLWRNORM;
	return ready;
}

static struct sched_key slave_poll_key(struct ofd *o)
{
	return slave_key(pty_of(o));
}

static long put_count(struct task *t, u64 arg, u32 count)
{
	return tty_put(t, arg, &count, sizeof(count));
}

static long slave_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	struct pty *p = pty_of(o);

	(void)fd;
	if (!p->has_master)
		return request == TIOCSPGRP ? -ENOTTY : -EIO;
	if (request == FIONREAD)
		return put_count(t, arg, line_count(&p->line));
	return tty_ioctl(t, &p->tty, o, false, request, arg);
}

void pty_stat(const struct pty *p, struct vstat *ret)
{
	ret->dev = DEV_OF_PTS;
	ret->ino = PTS_INO + p->number;
	ret->mode = p->mode;
	ret->nlink = 1;
	ret->uid = p->uid;
	ret->gid = p->gid;
	ret->rdev = p->tty.rdev;
	ret->blksize = 1024;
	ret->mtime_ns = ret->atime_ns = ret->btime_ns = p->born_ns;
	ret->ctime_ns = p->ctime_ns;
}

void pty_owner(const struct pty *p, struct vnode *ret)
{
	*ret = (struct vnode){
		.mode = p->mode, .uid = p->uid, .gid = p->gid, .ctime_ns = p->ctime_ns};
}

void pty_set_owner(struct pty *p, const struct vnode *v)
{
	p->mode = v->mode;
	p->uid = v->uid;
	p->gid = v->gid;
	p->ctime_ns = v->ctime_ns;
}

struct pty *pty_behind(const struct ofd *o)
{
	bool slave = o->kind == OFD_PTY_SLAVE && strcmp(o->path, "/dev/tty") != 0;

	return slave ? pty_of(o) : NULL;
}

struct pty *pty_named(const char *abs)
{
	char name[40];

	for (u32 i = pty_next(0); i != NONE; i = pty_next(i + 1)) {
		size_t len = 0;
		str_format(name, sizeof(name), &len, "/dev/pts/%u", i);
		if (!strcmp(name, abs))
			return pty_find(i);
	}
	return NULL;
}

/* Opened as /dev/tty it is that file. */
static long slave_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)fd;
	if (!strcmp(o->path, "/dev/tty"))
		return special_stat(t, o->path, true, ret);
	pty_stat(pty_of(o), ret);
	return 0;
}

static void slave_release(struct ofd *o)
{
	struct pty *p = pty_of(o);

	if (--p->slaves == 0 && p->has_master) {
		p->slave_gone = true;
		ready_changed(master_key(p), POLLHUP | POLLIN | POLLRDNORM | POLLOUT | POLLWRNORM);
	}
	free_if_closed(p);
}

const struct file_ops pty_slave_ops = {
	.read = slave_read,
	.write = slave_write,
	.poll = slave_poll,
	.poll_key = slave_poll_key,
	.ioctl = slave_ioctl,
	.stat = slave_stat,
	.splices = FILE_SPLICE_IN | FILE_SPLICE_OUT,
	.release = slave_release,
};

/* ---- the master ---- */

/* The screen's next bytes, `skip` bytes into the operation; how many. */
static long take_shown(struct task *t, struct pty *p, const struct file_io *io, u32 skip)
{
	u64 n = io->total - skip < READ_MAX ? io->total - skip : READ_MAX;
	bool was_full = p->screen.used + ALMOST_FULL > SCREEN_SIZE;

	n = n < p->screen.used ? n : p->screen.used;
	long r = byte_queue_give(t, &p->screen, 0, io, skip, n);
	if (r < 0)
		return r;
	byte_queue_drop(&p->screen, n);
	if (was_full)
		ready_changed(slave_key(p), POLLOUT | POLLWRNORM);
	return (long)n + skip;
}

/* In packet mode a status comes alone, and before bytes stands a 0. */
static long take_packet(struct task *t, struct pty *p, const struct file_io *io)
{
	u8 status = p->line.packet_status;

	long r = io_give(t, io, 0, &status, 1);
	if (r < 0)
		return r;
	p->line.packet_status = 0;
	return status ? 1 : take_shown(t, p, io, 1);
}

static bool has_shown(const struct pty *p)
{
	return p->screen.used || (p->line.packet && p->line.packet_status);
}

static long read_shown(struct task *t, struct pty *p, const struct file_io *io)
{
	long r = 0;

	while (!r && !has_shown(p)) {
		if (p->slave_gone)
			r = -EIO;
		else
			r = io->nowait ? -EAGAIN : ready_wait(t, master_key(p), POLLIN | POLLHUP);
	}
	if (r)
		return r;
	return p->line.packet ? take_packet(t, p, io) : take_shown(t, p, io, 0);
}

static long master_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	long r;

	if (!io->total)
		return 0;
	park_hold_begin(t, o);
	r = read_shown(t, pty_of(o), io);
	park_hold_end(t, o);
	return r;
}

/* Types as many bytes as there is room for, a piece at most. */
static long type_piece(struct task *t, struct pty *p, const struct file_io *io, u64 at)
{
	u64 n = io->total - at < CHUNK ? io->total - at : CHUNK;
	u64 room = TYPED_MAX > p->typed.used ? TYPED_MAX - p->typed.used : 0;

	n = n < room ? n : room;
	long r = byte_queue_put(t, &p->typed, io, at, n);
	if (r < 0)
		return r;
	pump(p);
	settle(p);
	return (long)n;
}

static long type(struct task *t, struct pty *p, const struct file_io *io)
{
	u64 done = 0;

	long r = write_begin(t, p, SIDE_MASTER, io->nowait);
	if (r < 0)
		return r;
	while (r >= 0 && done < io->total) {
		r = type_piece(t, p, io, done);
		if (r > 0)
			done += (u64)r;
		if (r == 0)
			r = io->nowait ? -EAGAIN : ready_wait(t, master_key(p), POLLOUT | POLLHUP);
	}
	write_end(t, p, SIDE_MASTER);
	return done ? (long)done : r;
}

static long master_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	long r;

	park_hold_begin(t, o);
	r = type(t, pty_of(o), io);
	park_hold_end(t, o);
	return r;
}

static u32 master_poll(struct task *t, struct ofd *o)
{
	const struct pty *p = pty_of(o);
	u32 ready = 0;

	(void)t;
	if (has_shown(p))
		ready |= POLLIN | POLLRDNORM;
	if (p->line.packet && p->line.packet_status)
		ready |= POLLPRI;
	if (p->slave_gone)
		ready |= POLLHUP;
	if (p->typed.used < TYPED_MAX)
		ready |= POLLOUT | POLLWRNORM;
	return ready;
}

static struct sched_key master_poll_key(struct ofd *o)
{
	return master_key(pty_of(o));
}

static long set_lock(struct task *t, struct pty *p, u64 arg)
{
	s32 locked;

	long r = tty_take(t, arg, &locked, sizeof(locked));
	if (!r)
		p->locked = locked != 0;
	return r;
}

static long set_packet(struct task *t, struct pty *p, u64 arg)
{
	s32 packet;

	long r = tty_take(t, arg, &packet, sizeof(packet));
	if (r < 0)
		return r;
	if (packet && !p->line.packet)
		p->line.packet_status = 0;
	p->line.packet = packet != 0;
	return 0;
}

static long send_signal(struct pty *p, u64 sig)
{
	if (sig != SIG_INT && sig != SIG_QUIT && sig != SIG_TSTP)
		return -EINVAL;
	if (p->tty.pgrp)
		signal_send_group(p->tty.pgrp, (int)sig);
	return 0;
}

static long open_peer(struct task *t, struct pty *p, u32 flags)
{
	char path[32];
	size_t len = 0;

	str_format(path, sizeof(path), &len, "/dev/pts/%u", p->number);
	return pty_open_slave(t, p, path, flags);
}

/* The master's own queues, not the slave's. */
static long flush_master(struct pty *p, u64 queues)
{
	if (queues > TCIOFLUSH)
		return -EINVAL;
	if (queues != TCOFLUSH)
		byte_queue_drop(&p->screen, p->screen.used);
	if (queues != TCIFLUSH)
		byte_queue_drop(&p->typed, p->typed.used);
	ready_changed(slave_key(p), POLLOUT | POLLWRNORM);
	return 0;
}

static long master_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	struct pty *p = pty_of(o);
	u32 shown = p->screen.used < READ_MAX ? (u32)p->screen.used : READ_MAX;

	(void)fd;
	switch (request) {
	case FIONREAD:
		return put_count(t, arg, shown);
	case TIOCGPTN:
		return put_count(t, arg, p->number);
	case TIOCSPTLCK:
		return set_lock(t, p, arg);
	case TIOCGPTLCK:
		return put_count(t, arg, p->locked);
	case TIOCPKT:
		return set_packet(t, p, arg);
	case TIOCGPKT:
		return put_count(t, arg, p->line.packet);
	case TIOCSIG:
		return send_signal(p, arg);
	case TIOCGPTPEER:
		return open_peer(t, p, (u32)arg);
	case TCFLSH:
		return flush_master(p, arg);
	case TIOCGDEV:
		return put_count(t, arg, PTMX_RDEV);
	case TIOCGEXCL:
		return put_count(t, arg, 0);
	case TCXONC:
	case TIOCEXCL:
	case TIOCNXCL:
		return -ENOTTY; /* of the master's own: nobody uses them */
	default:
		return tty_ioctl(t, &p->tty, o, true, request, arg);
	}
}

static long master_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)fd;
	return special_stat(t, o->path, true, ret);
}

static void master_release(struct ofd *o)
{
	struct pty *p = pty_of(o);

	p->has_master = false;
	line_flush_input(&p->line);
	p->line.changed = 0;
	tty_job_hang_up(&p->tty);
	ready_changed(slave_key(p), READY_ALWAYS | POLLERR | POLLHUP);
	free_if_closed(p);
}

const struct file_ops pty_master_ops = {
	.read = master_read,
	.write = master_write,
	.poll = master_poll,
	.poll_key = master_poll_key,
	.ioctl = master_ioctl,
	.stat = master_stat,
	.splices = FILE_SPLICE_IN | FILE_SPLICE_OUT,
	.release = master_release,
};

/* ---- opening ---- */

static struct pty *pty_create(struct task *t)
{
	struct pty *p = heap_alloc(sizeof(*p));

	if (!name_add(p)) {
		heap_free(p);
		return NULL;
	}
	tty_init(&p->tty, 136u << 8 | (p->number & 0xff) | (p->number & ~0xffu) << 12);
	p->tty.ops = &pty_tty_ops;
	line_init(&p->line, &p->tty, &p->screen);
	p->has_master = p->locked = true;
	p->uid = proc_of(t)->fsuid;
	p->gid = PTS_GID;
	p->mode = S_IFCHR | PTS_MODE;
	p->born_ns = p->ctime_ns = (s64)now_ns();
	return p;
}

static long install(struct task *t, u32 ofd, const char *path, u32 flags)
{
	ofd_set_path(ofd_at(ofd), path);
	return fd_install(t, ofd, flags);
}

static u32 shown_flags(u32 flags)
{
	return (flags & (O_ACCMODE | O_APPEND | O_NONBLOCK)) | O_LARGEFILE;
}

long pty_open_master(struct task *t, const char *path, u32 flags)
{
	struct pty *p = pty_create(t);

	if (!p)
		return -ENOSPC;
	long o = ofd_create(OFD_PTY_MASTER, shown_flags(flags));
	if (o < 0) {
		name_remove(p);
		heap_free(p);
		return o;
	}
	ofd_at((u32)o)->state = p;
	return install(t, (u32)o, path, flags);
}

long pty_open_slave(struct task *t, struct pty *p, const char *path, u32 flags)
{
	if (!p->has_master || p->locked)
		return -EIO;
	if (p->tty.exclusive && !capable(t, CAP_SYS_ADMIN))
		return -EBUSY;
	long o = ofd_create(OFD_PTY_SLAVE, shown_flags(flags));
	if (o < 0)
		return o;
	ofd_at((u32)o)->state = p;
	p->slaves++;
	p->slave_gone = false;
	long fd = install(t, (u32)o, path, flags);
	if (fd >= 0 && strcmp(path, "/dev/tty") != 0)
		tty_job_open(t, &p->tty, flags);
	return fd;
}

long pty_reopen(struct task *t, struct ofd *o, u32 flags)
{
	if (o->kind == OFD_PTY_MASTER)
		return pty_open_master(t, o->path, flags);
	return pty_open_slave(t, pty_of(o), o->path, flags);
}
