/*
 * Messages: send, recv and their kin, and read and write of sockets.  Takes the app's structures
 * in, parks what has to wait, gives control messages and addresses out.
 *
 * Control messages the app gives are taken whole onto the stack, since a parked task may never
 * return; so there is room for CONTROL_MAX bytes (a full SCM_RIGHTS is 1 KiB), and ENOBUFS for
 * more, as Linux answers beyond its own limit.
 */
#include "io_vector.h"
#include "socket.h"
#include "time_limit.h"
#include "../shim/signal.h"

#define CONTROL_MAX   4096u
#define MMSG_MAX      1024u /* UIO_MAXIOV */
#define CMSG_HEAD     sizeof(struct socket_cmsg)
#define CMSG_SPACE(n) (((n) + 7) & ~7ull)

/* The kernel's struct msghdr. */
struct user_msghdr {
	u64 name;
	s32 name_len;
	u32 pad0;
	u64 iov, iov_count;
	u64 control, control_len;
	u32 flags, pad1;
};
_Static_assert(sizeof(struct user_msghdr) == 56, "kernel layout");
#define MMSG_SIZE 64u /* with the length behind it, padded */

static struct ofd *get(struct task *t, u64 fd, long *ret_error)
{
	struct ofd *o = fd_get_io(t, (u32)fd);

	*ret_error = o ? -ENOTSOCK : -EBADF;
	return o && o->kind == OFD_SOCKET ? o : NULL;
}

/* ---- send ---- */

static long sent(struct task *t, const struct socket *s, const struct socket_msg *m, long r)
{
	if (r >= 0 || m->done)
		return r >= 0 ? r : (long)m->done;
	if (r == -EPIPE && s->type == SOCK_STREAM && !(m->flags & MSG_NOSIGNAL))
		signal_send_task(t->index, SIG_PIPE, NULL);
	return r;
}

typedef long (*socket_move)(struct task *t, struct socket *s, struct socket_msg *m);

/* Waits for what `move` said it waits for, and calls it again, until it is done or the limit is
 * reached.  The caller holds the description. */
static long move_again(struct task *t, struct socket *s, struct socket_msg *m, socket_move move,
		       u64 timeout_ns)
{
	u64 limit = socket_limit(timeout_ns);
	long r;

	do {
		r = socket_park(t, &m->wait, limit);
		if (r < 0)
			break;
		m->wait.key = socket_key(s);
		r = move(t, s, m);
	} while (r == -EAGAIN);
	return r;
}

static long send_wait(struct task *t, struct ofd *o, struct socket_msg *m)
{
	struct socket *s = socket_of(o);

	park_hold_begin(t, o);
	long r = sent(t, s, m, move_again(t, s, m, s->ops->send, s->send_timeout_ns));
	park_hold_end(t, o);
	return r;
}

static long send_run(struct task *t, struct ofd *o, struct socket_msg *m)
{
	struct socket *s = socket_of(o);

	m->wait = (struct socket_wait){socket_key(s), POLLOUT};
	if (m->flags & MSG_DONTWAIT)
		m->io.nowait = true;
	if (!s->ops->send)
		return -EOPNOTSUPP;
	long r = s->ops->send(t, s, m);
	if (r == -EAGAIN && !m->io.nowait)
		return send_wait(t, o, m);
	return sent(t, s, m, r);
}

long socket_write(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct socket_msg m = {.io = *io};

	/* net/socket.c, sock_write_iter. */
	if (socket_of(o)->type == SOCK_SEQPACKET)
		m.flags = MSG_EOR;
	return send_run(t, o, &m);
}

/* Of sendto and recvfrom: one buffer, which is `iov`. */
static struct socket_msg message_of(const struct ofd *o, const struct frame *f,
				    const struct user_iov *iov)
{
	return (struct socket_msg){.io = {.iov = iov,
					  .count = 1,
					  .fd = (u32)f->arg[0],
					  .total = iov->len,
					  .offset = -1,
					  .nowait = o->flags & O_NONBLOCK},
				   .flags = (u32)f->arg[3]};
}

long sys_sendto(struct task *t, struct frame *f)
{
	struct user_iov iov = {f->arg[1], f->arg[2] < FILE_IO_MAX ? f->arg[2] : FILE_IO_MAX};
	struct socket_address to;
	long r;
	struct ofd *o = get(t, f->arg[0], &r);

	if (!o)
		return r;
	struct socket_msg m = message_of(o, f, &iov);
	if (f->arg[4]) {
		r = socket_address_in(t, f->arg[4], (s32)f->arg[5], &to);
		if (r < 0)
			return r;
		m.to = &to;
	}
	io_prepare(t, &m.io);
	return send_run(t, o, &m);
}

static long header_in(struct task *t, u64 user, struct user_msghdr *ret)
{
	if (user_get(*ret, user))
		return -EFAULT;
	digest_bytes(t, ret, offsetof(struct user_msghdr, flags));
	if (!ret->name)
		ret->name_len = 0;
	if (ret->name_len < 0)
		return -EINVAL;
	if (ret->name_len > (s32)SOCKET_ADDRESS_MAX)
		ret->name_len = (s32)SOCKET_ADDRESS_MAX;
	return ret->iov_count > FILE_IOV_MAX ? -EMSGSIZE : 0;
}

static long control_in(struct task *t, const struct user_msghdr *h, u8 *control,
		       struct socket_msg *m)
{
	if (!h->control_len)
		return 0;
	if (h->control_len > CONTROL_MAX)
		return -ENOBUFS;
	if (user_copy_in(control, h->control, h->control_len))
		return -EFAULT;
	digest_bytes(t, control, h->control_len);
	m->control = control;
	m->control_len = (u32)h->control_len;
	return 0;
}

static long send_message(struct task *t, struct ofd *o, u32 fd, u64 user, u32 flags)
{
	_Alignas(8) u8 control[CONTROL_MAX];
	struct user_iov iov[FILE_IOV_MAX];
	struct socket_address to;
	struct user_msghdr h;
	struct socket_msg m = {.io = {.iov = iov, .fd = fd, .offset = -1}, .flags = flags};

	m.io.nowait = o->flags & O_NONBLOCK;
	long r = header_in(t, user, &h);
	if (!r && h.name_len) {
		r = socket_address_in(t, h.name, h.name_len, &to);
		m.to = &to;
	}
	if (!r)
		r = io_vector_in(t, h.iov, h.iov_count, iov, &m.io.total);
	if (!r)
		r = control_in(t, &h, control, &m);
	if (r < 0)
		return r;
	m.io.count = (u32)h.iov_count;
	io_prepare(t, &m.io);
	return send_run(t, o, &m);
}

long sys_sendmsg(struct task *t, struct frame *f)
{
	long r;
	struct ofd *o = get(t, f->arg[0], &r);

	return o ? send_message(t, o, (u32)f->arg[0], f->arg[1], (u32)f->arg[2]) : r;
}

static long put_message_len(struct task *t, u64 at, long len)
{
	u32 value = (u32)len;

	digest_u64(t, value);
	return user_put(at + sizeof(struct user_msghdr), value) ? -EFAULT : 0;
}

long sys_sendmmsg(struct task *t, struct frame *f)
{
	u32 count = (u32)f->arg[2] < MMSG_MAX ? (u32)f->arg[2] : MMSG_MAX, done = 0;
	long r;

	struct ofd *o = get(t, f->arg[0], &r);
	if (!o)
		return r;
	/* The number may name another socket after a park: this one is meant. */
	park_hold_begin(t, o);
	for (r = 0; done < count; done++) {
		u64 at = f->arg[1] + done * MMSG_SIZE;
		r = send_message(t, o, (u32)f->arg[0], at, (u32)f->arg[3]);
		if (r >= 0)
			r = put_message_len(t, at, r);
		if (r < 0)
			break;
	}
	park_hold_end(t, o);
	return done ? (long)done : r;
}

/* ---- receive ---- */

static long received(const struct socket_msg *m, long r)
{
	return r < 0 && m->done ? (long)m->done : r;
}

static long receive_wait(struct task *t, struct ofd *o, struct socket_msg *m)
{
	struct socket *s = socket_of(o);

	park_hold_begin(t, o);
	long r = move_again(t, s, m, s->ops->receive, s->receive_timeout_ns);
	park_hold_end(t, o);
	return received(m, r);
}

static long receive_run(struct task *t, struct ofd *o, struct socket_msg *m)
{
	struct socket *s = socket_of(o);

	m->wait = (struct socket_wait){socket_key(s), POLLIN};
	if (m->flags & MSG_DONTWAIT)
		m->io.nowait = true;
	if (!s->ops->receive)
		return -EOPNOTSUPP;
	long r = s->ops->receive(t, s, m);
	if (r == -EAGAIN && !m->io.nowait)
		return receive_wait(t, o, m);
	return received(m, r);
}

long socket_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct socket_msg m = {.io = *io};

	return io->total ? receive_run(t, o, &m) : 0;
}

long sys_recvfrom(struct task *t, struct frame *f)
{
	struct user_iov iov = {f->arg[1], f->arg[2] < FILE_IO_MAX ? f->arg[2] : FILE_IO_MAX};
	struct socket_address from;
	long r;
	struct ofd *o = get(t, f->arg[0], &r);

	if (!o)
		return r;
	struct socket_msg m = message_of(o, f, &iov);
	if (f->arg[4]) {
		from.len = 0;
		m.from = &from;
	}
	r = receive_run(t, o, &m);
	if (r < 0 || !m.from)
		return r;
	long error = socket_address_out(t, &from, f->arg[4], f->arg[5]);
	return error < 0 ? error : r;
}

/* What recvmsg tells in the header. */
static long header_out(struct task *t, u64 user, const struct user_msghdr *h,
		       const struct socket_msg *m)
{
	u32 flags = m->flags_out | (m->flags & MSG_CMSG_CLOEXEC);
	u64 control_len = m->control_out->used;

	if (m->from) {
		u64 room = m->from->len < (u32)h->name_len ? m->from->len : (u32)h->name_len;
		s32 len = (s32)m->from->len;
		digest_bytes(t, m->from->bytes, room);
		if (user_copy_out(h->name, m->from->bytes, room) ||
		    user_put(user + offsetof(struct user_msghdr, name_len), len))
			return -EFAULT;
	}
	digest_u64(t, (u64)flags << 32 | control_len);
	if (user_put(user + offsetof(struct user_msghdr, flags), flags) ||
	    user_put(user + offsetof(struct user_msghdr, control_len), control_len))
		return -EFAULT;
	return 0;
}

static long receive_message(struct task *t, struct ofd *o, u32 fd, u64 user, u32 flags)
{
	struct user_iov iov[FILE_IOV_MAX];
	struct socket_control control = {0};
	struct socket_address from;
	struct user_msghdr h;
	struct socket_msg m = {.io = {.iov = iov, .fd = fd, .offset = -1}, .flags = flags};

	m.io.nowait = o->flags & O_NONBLOCK;
	m.control_out = &control;
	long r = header_in(t, user, &h);
	if (!r)
		r = io_vector_in(t, h.iov, h.iov_count, iov, &m.io.total);
	if (r < 0)
		return r;
	m.io.count = (u32)h.iov_count;
	control.addr = h.control;
	control.room = h.control ? h.control_len : 0;
	if (h.name) {
		from.len = 0;
		m.from = &from;
	}
	r = receive_run(t, o, &m);
	if (r < 0)
		return r;
	long error = header_out(t, user, &h, &m);
	return error < 0 ? error : r;
}

long sys_recvmsg(struct task *t, struct frame *f)
{
	long r;
	struct ofd *o = get(t, f->arg[0], &r);

	return o ? receive_message(t, o, (u32)f->arg[0], f->arg[1], (u32)f->arg[2]) : r;
}

static long receive_many(struct task *t, struct ofd *o, struct frame *f, u64 deadline_ns)
{
	u32 count = (u32)f->arg[2] < MMSG_MAX ? (u32)f->arg[2] : MMSG_MAX, done = 0;
	u32 flags = (u32)f->arg[3];
	long r = 0;

	while (done < count) {
		u64 at = f->arg[1] + done * MMSG_SIZE;
		r = receive_message(t, o, (u32)f->arg[0], at, flags & ~(u32)MSG_WAITFORONE);
		if (r >= 0)
			r = put_message_len(t, at, r);
		if (r < 0)
			break;
		done++;
		if (flags & MSG_WAITFORONE)
			flags |= MSG_DONTWAIT;
		/* As Linux: the limit is looked at between messages only. */
		if (now_ns() >= deadline_ns)
			break;
	}
	if (!done)
		return r;
	/* What ended it is told by the next call. */
	if (r < 0 && r != -EAGAIN)
		socket_of(o)->error = r <= -ERESTARTSYS ? EINTR : (s32)-r;
	return (long)done;
}

long sys_recvmmsg(struct task *t, struct frame *f)
{
	struct time_limit limit;
	long r = time_limit_in(t, f->arg[4], LIMIT_NANO, &limit);

	if (r < 0)
		return r;
	struct ofd *o = get(t, f->arg[0], &r);
	if (!o)
		return r;
	r = socket_take_error(socket_of(o));
	if (r < 0)
		return r;
	park_hold_begin(t, o);
	r = receive_many(t, o, f, limit.deadline_ns);
	park_hold_end(t, o);
	return r > 0 ? time_limit_out(t, &limit, r) : r;
}

/* ---- control messages ---- */

u64 socket_control_room(const struct socket_msg *m)
{
	const struct socket_control *c = m->control_out;

	return c && c->room - c->used > CMSG_HEAD ? c->room - c->used - CMSG_HEAD : 0;
}

/* net/core/scm.c, put_cmsg. */
void socket_control_put(struct task *t, struct socket_msg *m, s32 level, s32 type, const void *data,
			u64 len)
{
	struct socket_control *c = m->control_out;
	struct socket_cmsg head = {CMSG_HEAD + len, level, type};

	if (!c || c->room - c->used < CMSG_HEAD) {
		m->flags_out |= MSG_CTRUNC;
		return;
	}
	u64 left = c->room - c->used, at = c->addr + c->used;
	if (left < head.len) {
		m->flags_out |= MSG_CTRUNC;
		head.len = left;
	}
	u64 space = CMSG_SPACE(head.len) < left ? CMSG_SPACE(head.len) : left;
	digest_bytes(t, &head, CMSG_HEAD);
	digest_bytes(t, data, head.len - CMSG_HEAD);
	if (user_copy_out(at, &head, CMSG_HEAD) ||
	    user_copy_out(at + CMSG_HEAD, data, head.len - CMSG_HEAD))
		return;
	c->used += space;
}

const struct socket_cmsg *socket_cmsg_next(const struct socket_msg *m, const struct socket_cmsg *c,
					   long *ret_error)
{
	u64 at = c ? (u64)((const u8 *)c - m->control) + CMSG_SPACE(c->len) : 0;

	if (!m->control || m->control_len < CMSG_HEAD || at > m->control_len - CMSG_HEAD)
		return NULL;
	c = (const struct socket_cmsg *)(m->control + at);
	if (c->len >= CMSG_HEAD && c->len <= m->control_len - at)
		return c;
	*ret_error = -EINVAL;
	return NULL;
}
