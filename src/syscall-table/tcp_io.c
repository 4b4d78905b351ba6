/*
 * TCP: what connections carry, and what poll says of them (net/ipv4/tcp.c).
 *
 * A sender's bytes go straight into its peer's queue.  Room is counted in bytes: as many as the
 * sender's SO_SNDBUF and the receiver's SO_RCVBUF together may be unread; Linux counts the true
 * size of its buffers and lets them grow as it measures.  A socket is writable while no more than
 * two thirds of that are unread, and blocked senders are woken when it comes back to that.
 *
 * The byte a peer sent as urgent stays in the queue in its place; reading stops before it and,
 * without SO_OOBINLINE, skips it.
 */
#include <asm/ioctls.h>
#include "tcp.h"

#define SIO_ATMARK   0x8905
#define MSG_FASTOPEN 0x20000000u

static u64 capacity_of(const struct tcp_socket *s)
{
	return (u64)s->i.s.sndbuf + (u64)s->peer->i.s.rcvbuf;
}

static bool is_writable(const struct tcp_socket *s)
{
	return !s->peer || s->peer->in.used * 3 <= capacity_of(s) * 2;
}

/* ---- send ---- */

static long send_check(struct tcp_socket *s, const struct socket_msg *m)
{
	if (m->flags & MSG_FASTOPEN)
		return -EOPNOTSUPP;
	if (s->state == TCP_SYN_SENT)
		return -EAGAIN;
	bool can_send = s->state == TCP_ESTABLISHED || s->state == TCP_CLOSE_WAIT;
	if (can_send && !s->i.s.error && !(s->i.s.shut & SHUT_SEND))
		return 0;
	long r = m->done ? 0 : socket_take_error(&s->i.s);
	return r ? r : -EPIPE;
}

/* Nobody will read it: the bytes, as many as there is room for, are lost and the answer is a reset,
 * which keeps the rest from being sent. */
static long send_in_vain(struct task *t, struct tcp_socket *s, struct socket_msg *m)
{
	struct tcp_socket *peer = s->peer;
	struct inet_rest *rest = s->rest;
	struct byte_queue lost = {0};
	u64 left = m->io.total - m->done, room = (u64)s->i.s.sndbuf + (u64)s->i.s.rcvbuf;

	left = left < room ? left : room;
	long r = byte_queue_put(t, &lost, &m->io, m->done, left);
	byte_queue_clear(&lost);
	if (r < 0)
		return r;
	m->done += left;
	tcp_reset(s);
	if (peer)
		tcp_reset(peer);
	if (rest)
		inet_rest_destroy(rest);
	return (long)m->done;
}

static void send_urgent(struct tcp_socket *peer)
{
	const struct byte_queue *q = &peer->in;
	u64 last = (q->start + q->used - 1) % q->allocated;

	peer->urgent = URGENT_THERE;
	peer->urgent_byte = q->bytes[last];
	peer->urgent_at = q->taken + q->used - 1;
	socket_changed(&peer->i.s, POLLPRI);
}

static bool reads_no_more(const struct tcp_socket *peer)
{
	return !peer || (peer->state == TCP_FIN_WAIT2 && peer->i.s.shut & SHUT_RECEIVE);
}

long tcp_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct tcp_socket *c = tcp_of(s), *peer = c->peer;

	long r = send_check(c, m);
	if (r < 0 || m->done == m->io.total)
		return r;
	if (reads_no_more(peer))
		return send_in_vain(t, c, m);
	u64 left = m->io.total - m->done, size = capacity_of(c);
	u64 room = size > peer->in.used ? size - peer->in.used : 0, n = left < room ? left : room;
	r = byte_queue_put(t, &peer->in, &m->io, m->done, n);
	if (r < 0)
		return r;
	m->done += n;
	c->sent += n;
	if (n) {
		c->segments_out++;
		peer->segments_in++;
		if (m->flags & MSG_OOB && n == left)
			send_urgent(peer);
		socket_changed(&peer->i.s, POLLIN | POLLRDNORM);
	}
	return m->done == m->io.total ? (long)m->done : -EAGAIN;
}

/* ---- receive ---- */

static bool is_inline(const struct tcp_socket *s)
{
	return socket_has_option(&s->i.s, SO_OOBINLINE);
}

/* Reading has come to the urgent byte. */
static bool is_at_mark(const struct tcp_socket *s)
{
	return s->urgent && s->urgent_at == s->in.taken;
}

static void drop_read(struct tcp_socket *s, u64 n)
{
	struct tcp_socket *peer = s->peer;
	bool was_writable = !peer || is_writable(peer);

	byte_queue_drop(&s->in, n);
	if (s->urgent && s->in.taken > s->urgent_at)
		s->urgent = URGENT_NONE;
	if (!was_writable && is_writable(peer))
		socket_changed(&peer->i.s, POLLOUT | POLLWRNORM);
}

/* Bytes behind the first `skip` that can be read in one go: up to the urgent one. */
static u64 straight(const struct tcp_socket *s, u64 skip)
{
	u64 n = s->in.used - skip, at = s->in.taken + skip;

	return s->urgent && s->urgent_at > at && s->urgent_at - at < n ? s->urgent_at - at : n;
}

static u64 target_of(const struct tcp_socket *s, const struct socket_msg *m)
{
	u64 lowat = (u64)s->i.s.rcvlowat;
	u64 n = m->flags & MSG_WAITALL || lowat > m->io.total ? m->io.total : lowat;

	return n ? n : 1;
}

static bool has_ended(const struct tcp_socket *s)
{
	return s->saw_end || s->i.s.error || s->i.s.shut & SHUT_RECEIVE || s->state == TCP_CLOSE;
}

/* No bytes are left, and the call wants more. */
static long receive_empty(struct tcp_socket *s, const struct socket_msg *m)
{
	if (m->done)
		return has_ended(s) ? (long)m->done : -EAGAIN;
	if (s->saw_end)
		return 0;
	if (s->i.s.error)
		return socket_take_error(&s->i.s);
	if (s->i.s.shut & SHUT_RECEIVE)
		return 0;
	return s->state == TCP_CLOSE ? -ENOTCONN : -EAGAIN;
}

static long receive_urgent(struct task *t, struct tcp_socket *s, struct socket_msg *m)
{
	if (is_inline(s) || s->urgent == URGENT_NONE || s->urgent == URGENT_READ)
		return -EINVAL;
	if (s->state == TCP_CLOSE && !s->saw_end)
		return -ENOTCONN;
	if (!(m->flags & MSG_PEEK))
		s->urgent = URGENT_READ;
	m->flags_out |= MSG_OOB;
	if (!m->io.total)
		m->flags_out |= MSG_TRUNC;
	else if (!(m->flags & MSG_TRUNC) && io_give(t, &m->io, 0, &s->urgent_byte, 1) < 0)
		return -EFAULT;
	return m->io.total ? 1 : 0;
}

static long peek(struct task *t, struct tcp_socket *s, struct socket_msg *m)
{
	u64 skip = is_at_mark(s) && !is_inline(s), n = straight(s, skip);

	if (n > m->io.total)
		n = m->io.total;
	if (n < target_of(s, m) && !has_ended(s) && !m->io.nowait && n == s->in.used - skip)
		return -EAGAIN;
	if (s->in.used <= skip)
		return receive_empty(s, m);
	if (m->flags & MSG_TRUNC)
		return (long)n;
	long r = byte_queue_give(t, &s->in, skip, &m->io, 0, n);
	return r < 0 ? r : (long)n;
}

/* One stretch of bytes; 0, or an error. */
static long take(struct task *t, struct tcp_socket *s, struct socket_msg *m)
{
	u64 left = m->io.total - m->done, n = straight(s, 0);

	if (n > left)
		n = left;
	long r = 0;
	if (!(m->flags & MSG_TRUNC))
		r = byte_queue_give(t, &s->in, 0, &m->io, m->done, n);
	if (r < 0)
		return r;
	m->done += n;
	drop_read(s, n);
	return 0;
}

long tcp_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct tcp_socket *c = tcp_of(s);

	if (m->flags & MSG_ERRQUEUE) {
		m->io.nowait = true; /* there never is anything */
		return -EAGAIN;
	}
	if (c->state == TCP_LISTEN)
		return -ENOTCONN;
	if (m->flags & MSG_OOB)
		return receive_urgent(t, c, m);
	if (m->flags & MSG_PEEK)
		return peek(t, c, m);
	while (c->in.used) {
		if (is_at_mark(c) && m->done)
			return (long)m->done;
		if (is_at_mark(c) && !is_inline(c)) {
			drop_read(c, 1);
			continue;
		}
		long r = take(t, c, m);
		if (r < 0)
			return r;
		if (m->done >= target_of(c, m) || m->done == m->io.total)
			return (long)m->done;
	}
	return receive_empty(c, m);
}

/* ---- poll and ioctl ---- */

static bool is_readable(const struct tcp_socket *s)
{
	u64 target = (u64)s->i.s.rcvlowat + (is_at_mark(s) && !is_inline(s));

	return s->in.used >= target || (s->in.used && s->in.used >= (u64)s->i.s.rcvbuf);
}

/* A sender is told here of room that comes with a larger SO_RCVBUF: once it counts as writable, no
 * read will tell it. */
void tcp_tuned(struct socket *s)
{
	const struct tcp_socket *c = tcp_of(s);

	if (is_readable(c))
		socket_changed(s, POLLIN | POLLRDNORM);
	if (c->peer && is_writable(c->peer))
		socket_changed(&c->peer->i.s, POLLOUT | POLLWRNORM);
}

u32 tcp_poll(struct task *t, struct socket *s)
{
	const struct tcp_socket *c = tcp_of(s);
	u32 ready = s->error ? POLLERR : 0;

	(void)t;
	if (c->state == TCP_LISTEN)
		return c->ready.first ? POLLIN | POLLRDNORM : 0;
	if (s->shut == SHUT_BOTH || c->state == TCP_CLOSE)
		ready |= POLLHUP;
	if (s->shut & SHUT_RECEIVE)
		ready |= POLLIN | POLLRDNORM | POLLRDHUP;
	if (c->state == TCP_SYN_SENT)
		return ready;
	if (is_readable(c))
		ready |= POLLIN | POLLRDNORM;
	if (s->shut & SHUT_SEND || is_writable(c))
		ready |= POLLOUT | POLLWRNORM;
	if (c->urgent == URGENT_THERE)
		ready |= POLLPRI;
	return ready;
}

static u64 unread(const struct tcp_socket *s)
{
	if (s->urgent && !is_inline(s) && s->urgent_at >= s->in.taken)
		return s->urgent_at - s->in.taken;
	return s->in.used;
}

/* Of what it sent, what the receiver's window has no room for yet. */
static u64 unsent(const struct tcp_socket *s)
{
	u64 window = s->peer ? (u64)s->peer->i.s.rcvbuf : 0;

	return s->peer && s->peer->in.used > window ? s->peer->in.used - window : 0;
}

long tcp_ioctl(struct task *t, struct socket *s, u32 request, u64 arg)
{
	const struct tcp_socket *c = tcp_of(s);
	s32 value;

	if (request == FIONREAD)
		value = (s32)unread(c);
	else if (request == TIOCOUTQ)
		value = (s32)unsent(c);
	else if (request == SIO_ATMARK)
		value = is_at_mark(c);
	else
		return -ENOTTY;
	if (c->state == TCP_LISTEN && request != SIO_ATMARK)
		return -EINVAL;
	digest_u64(t, (u64)value);
	return user_put(arg, value) ? -EFAULT : 0;
}
