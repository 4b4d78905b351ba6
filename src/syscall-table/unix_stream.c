/*
 * AF_UNIX streams: bytes from one socket's send straight into the other's queue.
 *
 * Room is counted in bytes: a sender may have sndbuf bytes unread at its peer.  As Linux it counts
 * as writable while at most a quarter of that is unread (net/unix/af_unix.c, unix_writable), and
 * blocked senders are woken when it comes back to that, not at every byte read.  Linux counts the
 * true size of its buffers instead, so there between 278 and some 219,000 bytes fit by the size of
 * the writes, here always 212,992.
 */
#include "unix_socket.h"

bool unix_stream_is_writable(const struct unix_socket *u)
{
	return !u->peer || u->peer->in.used * 4 <= (u64)u->s.sndbuf;
}

/* ---- send ---- */

static u64 room_of(const struct unix_socket *u)
{
	u64 used = u->peer->in.used, size = (u64)u->s.sndbuf;

	return used < size ? size - used : 0;
}

static long send_check(const struct unix_socket *u, const struct socket_msg *m)
{
	if (m->to && m->to->len)
		return u->is_connected ? -EISCONN : -EOPNOTSUPP;
	if (!u->is_connected)
		return -ENOTCONN;
	if (u->s.shut & SHUT_SEND || !u->peer || u->peer->s.shut & SHUT_RECEIVE)
		return -EPIPE;
	return 0;
}

long unix_stream_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = unix_of(s);
	long r = send_check(u, m);

	if (r < 0)
		return r;
	u64 left = m->io.total - m->done, room = room_of(u);
	u64 n = left < room ? left : room;
	r = byte_queue_put(t, &u->peer->in, &m->io, m->done, n);
	if (r < 0)
		return r;
	m->done += n;
	if (n)
		socket_changed(&u->peer->s, POLLIN | POLLRDNORM);
	return m->done == m->io.total ? (long)m->done : -EAGAIN;
}

/* ---- receive ---- */

static void consumed(struct unix_socket *u, u64 n)
{
	struct unix_socket *peer = u->peer;
	bool was_writable = !peer || unix_stream_is_writable(peer);

	byte_queue_drop(&u->in, n);
	if (!was_writable && unix_stream_is_writable(peer))
		socket_changed(&peer->s, POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* How many bytes the call wants before it returns. */
static u64 target_of(const struct unix_socket *u, const struct socket_msg *m)
{
	u64 lowat = (u64)u->s.rcvlowat;

	return m->flags & MSG_WAITALL || lowat > m->io.total ? m->io.total : lowat;
}

/* No bytes are left, and the call wants more. */
static long receive_empty(struct unix_socket *u, const struct socket_msg *m)
{
	long r = socket_take_error(&u->s);

	if (m->done || (!r && u->s.shut & SHUT_RECEIVE))
		return u->s.shut & SHUT_RECEIVE ? (long)m->done : -EAGAIN;
	return r ? r : -EAGAIN;
}

long unix_stream_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = unix_of(s);
	u64 left = m->io.total - m->done, n = u->in.used < left ? u->in.used : left;

	if (!u->is_connected)
		return -EINVAL;
	if (!u->in.used)
		return receive_empty(u, m);
	long r = byte_queue_give(t, &u->in, 0, &m->io, m->done, n);
	if (r < 0)
		return r;
	m->done += n;
	if (m->flags & MSG_PEEK)
		return (long)m->done;
	consumed(u, n);
	return m->done < target_of(u, m) ? receive_empty(u, m) : (long)m->done;
}
