/*
 * AF_UNIX: the family, what its sockets do as files, their own options, and their end.
 */
#include <asm/ioctls.h>
#include "unix_socket.h"

#define WRITABLE (POLLOUT | POLLWRNORM | POLLWRBAND)

/* ---- names ---- */

static long unix_name_of(struct task *t, struct socket *s, bool peer, struct socket_address *ret)
{
	const struct unix_socket *u = unix_of(s);

	(void)t;
	if (!peer)
		unix_name_show(u->name, ret);
	else if (u->peer)
		unix_name_show(u->peer->name, ret);
	else if (u->peer_gone)
		unix_name_show(u->peer_name, ret);
	else
		return -ENOTCONN;
	return 0;
}

/* ---- readiness ---- */

static u32 poll_common(const struct unix_socket *u)
{
	u32 ready = u->s.error ? POLLERR : 0;

	if (u->s.shut == SHUT_BOTH || (unix_is_connecting(u) && u->state == UNIX_CLOSED))
		ready |= POLLHUP;
	if (u->s.shut & SHUT_RECEIVE)
		ready |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (u->in.used || u->packets || u->pending)
		ready |= POLLIN | POLLRDNORM;
	return ready;
}

static u32 stream_poll(struct task *t, struct socket *s)
{
	const struct unix_socket *u = unix_of(s);
	bool writable = u->state != UNIX_LISTENING && unix_stream_is_writable(u);

	(void)t;
	return poll_common(u) | (writable ? WRITABLE : 0);
}

static u32 packet_poll(struct task *t, struct socket *s)
{
	const struct unix_socket *u = unix_of(s);
	bool writable = u->state != UNIX_LISTENING && unix_packet_is_writable(u);

	(void)t;
	return poll_common(u) | (writable ? WRITABLE : 0);
}

/* ---- SIOCINQ, SIOCOUTQ ---- */

/* Unread bytes: of a datagram socket those of its next message. */
static u64 bytes_waiting(const struct unix_socket *u)
{
	u64 bytes = u->in.used;

	for (const struct unix_packet *p = u->packet_first; p; p = p->next) {
		bytes += p->len;
		if (!unix_is_connecting(u))
			break;
	}
	return bytes;
}

static u64 bytes_sent(const struct unix_socket *u)
{
	u64 bytes = u->account ? u->account->cost : 0;

	return u->peer ? bytes + u->peer->in.used : bytes;
}

static long unix_ioctl(struct task *t, struct socket *s, u32 request, u64 arg)
{
	const struct unix_socket *u = unix_of(s);
	s32 bytes;

	if (request != FIONREAD && request != TIOCOUTQ)
		return -ENOTTY;
	if (request == FIONREAD && u->state == UNIX_LISTENING)
		return -EINVAL;
	bytes = (s32)(request == FIONREAD ? bytes_waiting(u) : bytes_sent(u));
	digest_u64(t, (u64)bytes);
	return user_put(arg, bytes) ? -EFAULT : 0;
}

/* ---- options ---- */

static long get_groups(const struct unix_socket *u, void *value, u32 *len)
{
	u32 size = u->peer_ngroups * (u32)sizeof(u32);

	if (!u->peer_groups)
		return -ENODATA;
	if (*len < size) {
		*len = size;
		return -ERANGE;
	}
	*len = size;
	memcpy(value, u->peer_groups, size);
	return 0;
}

static long unix_get_option(struct task *t, struct socket *s, s32 level, s32 name, void *value,
			    u32 *len)
{
	const struct unix_socket *u = unix_of(s);
	struct unix_cred cred = {0, ~0u, ~0u};

	(void)t;
	if (level != SOL_SOCKET)
		return -EOPNOTSUPP;
	if (name == SO_PEERGROUPS)
		return get_groups(u, value, len);
	if (name != SO_PEERCRED)
		return -ENOPROTOOPT;
	if (u->peer_groups)
		cred = u->peer_cred;
	memcpy(value, &cred, sizeof(cred));
	*len = sizeof(cred);
	return 0;
}

/* ---- the end ---- */

static void unix_release(struct socket *s)
{
	struct unix_socket *u = unix_of(s);

	unix_disconnect_all(u);
	unix_stream_clear(u);
	unix_packets_clear(u);
	unix_account_close(u);
	unix_unbind(u);
	unix_name_put(u->peer_name);
	heap_free(u->peer_groups);
}

/* ---- the family ---- */

static const struct socket_ops stream_ops = {
	.size = sizeof(struct unix_socket),
	.pair = unix_pair,
	.bind = unix_bind,
	.connect = unix_connect_stream,
	.listen = unix_listen,
	.accept = unix_accept,
	.name = unix_name_of,
	.send = unix_stream_send,
	.receive = unix_stream_receive,
	.shutdown = unix_shutdown,
	.poll = stream_poll,
	.ioctl = unix_ioctl,
	.get_option = unix_get_option,
	.can_peek_off = true,
	.release = unix_release,
};

static const struct socket_ops dgram_ops = {
	.size = sizeof(struct unix_socket),
	.pair = unix_pair,
	.bind = unix_bind,
	.connect = unix_connect_dgram,
	.name = unix_name_of,
	.send = unix_dgram_send,
	.receive = unix_dgram_receive,
	.shutdown = unix_shutdown,
	.poll = packet_poll,
	.ioctl = unix_ioctl,
	.get_option = unix_get_option,
	.can_peek_off = true,
	.release = unix_release,
};

static const struct socket_ops seqpacket_ops = {
	.size = sizeof(struct unix_socket),
	.pair = unix_pair,
	.bind = unix_bind,
	.connect = unix_connect_stream,
	.listen = unix_listen,
	.accept = unix_accept,
	.name = unix_name_of,
	.send = unix_seqpacket_send,
	.receive = unix_seqpacket_receive,
	.shutdown = unix_shutdown,
	.poll = packet_poll,
	.ioctl = unix_ioctl,
	.get_option = unix_get_option,
	.can_peek_off = true,
	.release = unix_release,
};

static const struct socket_ops *const ops_of_type[SOCK_TYPES] = {
	[SOCK_STREAM] = &stream_ops,
	[SOCK_DGRAM] = &dgram_ops,
	[SOCK_RAW] = &dgram_ops,
	[SOCK_SEQPACKET] = &seqpacket_ops,
};

static long unix_create(struct task *t, u32 type, u32 protocol, struct socket **ret)
{
	if (protocol && protocol != AF_UNIX)
		return -EPROTONOSUPPORT;
	if (!ops_of_type[type])
		return -ESOCKTNOSUPPORT;
	if (type == SOCK_RAW)
		type = SOCK_DGRAM;
	*ret = socket_create(t, AF_UNIX, ops_of_type[type], type, protocol);
	return 0;
}

const struct socket_family unix_family = {AF_UNIX, unix_create};
