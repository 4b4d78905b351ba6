/*
 * UDP: connect, and whose a datagram is (net/ipv4/udp.c).
 *
 * A socket at the datagram's own address comes before one at any address; then counts how much of
 * family and peer fits; of equals the one bound last has it.  Of a SO_REUSEPORT group it is number
 * (port of the sender modulo their count), the one bound first being 0, so a flow stays with one.
 */
#include "udp.h"

long udp_autobind(struct task *t, struct inet_socket *i)
{
	long r = i->has_port ? 0 : inet_port_take(t, i, 0, 0);

	return r < 0 ? -EAGAIN : 0;
}

static struct udp_socket *owner_of(const struct inet_port *p)
{
	return (struct udp_socket *)p->socket;
}

static bool takes_address(const struct inet_socket *i, const struct inet_end *to)
{
	bool only_six = i->s.family == AF_INET6 && i->number[INET6_V6ONLY];

	return inet_overlaps(i->port.local.ip, only_six, to->ip, !inet_is_four(to->ip));
}

bool udp_takes_from(const struct inet_socket *i, const struct inet_end *from)
{
	if (!udp_is_connected(i))
		return true;
	bool same_port = !i->remote.port || i->remote.port == from->port;
	return same_port && inet_same(i->remote.ip, from->ip);
}

/* 0: not for this socket. */
static u32 score_of(const struct inet_socket *i, const struct udp_head *h)
{
	bool four = inet_is_four(h->to.ip);
	u32 score = 1 + ((i->s.family == AF_INET) == four);

	if (!takes_address(i, &h->to))
		return 0;
	if (!udp_takes_from(i, &h->from))
		return 0;
	if (udp_is_connected(i))
		score += 8;
	return inet_same(i->port.local.ip, h->to.ip) ? score + 16 : score;
}

static bool in_group(const struct inet_socket *i, const struct udp_head *h, u32 score)
{
	return socket_has_option(&i->s, SO_REUSEPORT) && score_of(i, h) == score;
}

static struct udp_socket *group_member(struct udp_socket *best, const struct udp_head *h, u32 score)
{
	struct inet_port *first = INET->udp.first[h->to.port], *p;
	u32 count = 0;

	for (p = first; p; p = p->next)
		count += in_group(p->socket, h, score);
	/* The list begins with the newest. */
	u32 n = count ? count - 1 - h->from.port % count : 0;
	for (p = first; p; p = p->next) {
		if (in_group(p->socket, h, score) && !n--)
			return owner_of(p);
	}
	return best;
}

struct udp_socket *udp_find(const struct udp_head *h)
{
	struct udp_socket *best = NULL;
	u32 best_score = 0;

	for (struct inet_port *p = INET->udp.first[h->to.port]; p; p = p->next) {
		u32 score = score_of(p->socket, h);
		if (score > best_score) {
			best = owner_of(p);
			best_score = score;
		}
	}
	if (best && socket_has_option(&best->i.s, SO_REUSEPORT) && !udp_is_connected(&best->i))
		return group_member(best, h, best_score);
	return best;
}

/* Linux gives a group's datagrams to all sockets at any address too (IP_MULTICAST_ALL), once any
 * socket has made the interface listen to the group. */
static bool wants_group(const struct inet_socket *i, const struct udp_head *h)
{
	enum inet_number all = i->s.family == AF_INET ? INET_MULTICAST_ALL : INET6_MULTICAST_ALL;

	return inet_kind_of(h->to.ip) != INET_MULTICAST || i->number[all] ||
	       inet_is_joined(i, h->to.ip);
}

struct udp_socket *udp_next_of_many(const struct udp_head *h, struct udp_socket *after)
{
	struct inet_port *p = after ? after->i.port.next : INET->udp.first[h->to.port];

	while (p && !(score_of(p->socket, h) && wants_group(p->socket, h)))
		p = p->next;
	return p ? owner_of(p) : NULL;
}

static void disconnect(struct inet_socket *i)
{
	memset(&i->remote, 0, sizeof(i->remote));
	udp_of(&i->s)->is_connected = false;
	if (!i->address_is_fixed)
		memcpy(i->port.local.ip, inet_any_of(i), INET_IP_BYTES);
	if (i->port_is_fixed)
		return;
	inet_port_drop(i);
	i->port.local.port = 0;
}

static long udp_connect(struct task *t, struct socket *s, const struct socket_address *a,
			struct socket_wait *wait, u32 tries)
{
	struct inet_socket *i = inet_of(s);
	struct inet_end to;

	(void)wait;
	(void)tries;
	if (a->len < sizeof(a->family))
		return -EINVAL;
	if (a->family == AF_UNSPEC) {
		disconnect(i);
		return 0;
	}
	long r = inet_parse(i, a, false, &to);
	if (!r)
		r = inet_route(i, &to, NR_connect);
	if (!r && inet_kind_of(to.ip) == INET_BROADCAST && !socket_has_option(s, SO_BROADCAST))
		r = -EACCES;
	if (!r)
		r = udp_autobind(t, i);
	if (r < 0)
		return r;
	u8 source[INET_IP_BYTES];
	inet_source(i, &to, source);
	memcpy(i->port.local.ip, source, INET_IP_BYTES);
	i->remote = to;
	udp_of(s)->is_connected = true;
	return 0;
}

static long udp_shutdown(struct task *t, struct socket *s, u32 how)
{
	(void)t;
	s->shut |= how;
	socket_changed(s, SOCKET_ALL);
	return udp_is_connected(inet_of(s)) ? 0 : -ENOTCONN;
}

static void udp_release(struct socket *s)
{
	struct udp_socket *u = udp_of(s);

	inet_port_drop(&u->i);
	inet_groups_drop(&u->i);
	udp_list_clear(&u->in);
	udp_list_clear(&u->errors);
}

const struct socket_ops udp_ops = {
	.size = sizeof(struct udp_socket),
	.bind = inet_bind,
	.connect = udp_connect,
	.name = inet_name,
	.send = udp_send,
	.receive = udp_receive,
	.shutdown = udp_shutdown,
	.poll = udp_poll,
	.ioctl = udp_ioctl,
	.set_option = inet_set_option,
	.get_option = inet_get_option,
	.release = udp_release,
};
