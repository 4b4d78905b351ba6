/*
 * AF_UNIX: the family, what its sockets do as files, and their end.
 */
#include <asm/ioctls.h>
#include "unix_socket.h"

static long stream_pair(struct task *t, struct socket *a, struct socket *b)
{
	(void)t;
	unix_of(a)->peer = unix_of(b);
	unix_of(b)->peer = unix_of(a);
	unix_of(a)->is_connected = unix_of(b)->is_connected = true;
	return 0;
}

static long unix_name(struct task *t, struct socket *s, bool peer, struct socket_address *ret)
{
	(void)t;
	if (peer && !unix_of(s)->peer)
		return -ENOTCONN;
	ret->family = AF_UNIX;
	ret->len = sizeof(ret->family);
	return 0;
}

static void shut_side(struct socket *s, u32 how)
{
	s->shut |= how;
	socket_changed(s, SOCKET_ALL);
}

static long unix_shutdown(struct task *t, struct socket *s, u32 how)
{
	struct unix_socket *peer = unix_of(s)->peer;

	(void)t;
	shut_side(s, how);
	if (peer)
		shut_side(&peer->s, (how & SHUT_RECEIVE ? SHUT_SEND : 0) |
					    (how & SHUT_SEND ? SHUT_RECEIVE : 0));
	return 0;
}

static u32 stream_poll(struct task *t, struct socket *s)
{
	const struct unix_socket *u = unix_of(s);
	u32 ready = s->error ? POLLERR : 0;

	(void)t;
	if (s->shut == SHUT_BOTH)
		ready |= POLLHUP;
	if (s->shut & SHUT_RECEIVE)
		ready |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (u->in.used)
		ready |= POLLIN | POLLRDNORM;
	if (unix_stream_is_writable(u))
		ready |= POLLOUT | POLLWRNORM | POLLWRBAND;
	return ready;
}

/* SIOCINQ and SIOCOUTQ: unread bytes here, and of ours at the peer. */
static long unix_ioctl(struct task *t, struct socket *s, u32 request, u64 arg)
{
	const struct unix_socket *u = unix_of(s);
	s32 bytes;

	if (request == FIONREAD)
		bytes = (s32)u->in.used;
	else if (request == TIOCOUTQ)
		bytes = u->peer ? (s32)u->peer->in.used : 0;
	else
		return -ENOTTY;
	digest_u64(t, (u64)bytes);
	return user_put(arg, bytes) ? -EFAULT : 0;
}

/* The other end hears of it; unread bytes are an error to it. */
static void stream_release(struct socket *s)
{
	struct unix_socket *u = unix_of(s), *peer = u->peer;

	if (peer) {
		peer->peer = NULL;
		if (u->in.used)
			peer->s.error = ECONNRESET;
		shut_side(&peer->s, SHUT_BOTH);
	}
	byte_queue_clear(&u->in);
}

static const struct socket_ops stream_ops = {
	.size = sizeof(struct unix_socket),
	.pair = stream_pair,
	.name = unix_name,
	.send = unix_stream_send,
	.receive = unix_stream_receive,
	.shutdown = unix_shutdown,
	.poll = stream_poll,
	.ioctl = unix_ioctl,
	.can_peek_off = true,
	.release = stream_release,
};

static long unix_create(struct task *t, u32 type, u32 protocol, struct socket **ret)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (type != SOCK_STREAM)
		return -ESOCKTNOSUPPORT;
	*ret = socket_create(t, AF_UNIX, &stream_ops, type, protocol);
	return 0;
}

const struct socket_family unix_family = {AF_UNIX, unix_create};
