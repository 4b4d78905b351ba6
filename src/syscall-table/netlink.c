/*
 * AF_NETLINK: the protocol NETLINK_ROUTE, as far as it asks (net/netlink/af_netlink.c,
 * net/core/rtnetlink.c).
 *
 * The kernel's side is netlink_route.c: it answers within the sender's call, into the sender's
 * queue, one datagram a request.  Nothing ever changes, so groups may be joined but nothing is sent
 * to them.  Port numbers the system chooses: the process's id, then from -4097 downwards.
 */
#include <asm/ioctls.h>
#include "netlink.h"

#define ADDRESS_BYTES 12u /* struct sockaddr_nl */
#define PORT_ROVER    (-4097)
#define SOL_NETLINK   270
#define NETLINK_ROUTE 0
#define PROTOCOLS     32u /* numbers the kernel may have protocols for */
#define REQUEST_MAX   4096u
#define HEADER_BYTES  16u
#define DATAGRAM_COST 768u /* of SO_RCVBUF, besides its bytes: as of UDP */

enum { ADD_MEMBERSHIP = 1, DROP_MEMBERSHIP, PKTINFO, LIST_MEMBERSHIPS = 9, LAST_OPTION = 12 };

/* struct sockaddr_nl. */
struct netlink_address {
	u16 family, pad;
	u32 port, groups;
};

static long address_of(const struct socket_address *a, struct netlink_address *ret)
{
	if (a->len < ADDRESS_BYTES || a->family != AF_NETLINK)
		return -EINVAL;
	memcpy(ret, a->bytes, sizeof(*ret));
	return 0;
}

static void address_put(u32 port, u32 groups, struct socket_address *ret)
{
	struct netlink_address a = {AF_NETLINK, 0, port, groups};

	ret->len = ADDRESS_BYTES;
	memcpy(ret->bytes, &a, sizeof(a));
}

static bool port_is_taken(const struct socket *but, u32 port)
{
	for (struct socket *s = socket_first(); s; s = s->next) {
		if (s != but && s->family == AF_NETLINK && netlink_of(s)->is_bound &&
		    netlink_of(s)->port == port)
			return true;
	}
	return false;
}

static void port_choose(struct task *t, struct netlink_socket *n)
{
	s32 port = (s32)proc_of(t)->pid;

	for (s32 next = PORT_ROVER; port_is_taken(&n->s, (u32)port); next--)
		port = next;
	n->port = (u32)port;
	n->is_bound = true;
}

static long netlink_bind(struct task *t, struct socket *s, const struct socket_address *a)
{
	struct netlink_socket *n = netlink_of(s);
	struct netlink_address given;

	long r = address_of(a, &given);
	if (r < 0)
		return r;
	if (n->is_bound && given.port != n->port)
		return -EINVAL;
	if (!n->is_bound && given.port && port_is_taken(s, given.port))
		return -EADDRINUSE;
	if (!n->is_bound && !given.port)
		port_choose(t, n);
	else if (!n->is_bound)
		n->port = given.port;
	n->is_bound = true;
	n->groups = given.groups;
	return 0;
}

static long netlink_connect(struct task *t, struct socket *s, const struct socket_address *a,
			    struct socket_wait *wait, u32 tries)
{
	struct netlink_socket *n = netlink_of(s);
	struct netlink_address given;

	(void)wait;
	(void)tries;
	if (a->len >= sizeof(a->family) && a->family == AF_UNSPEC) {
		n->peer_port = n->peer_groups = 0;
		return 0;
	}
	long r = address_of(a, &given);
	if (r < 0)
		return r;
	if (!n->is_bound)
		port_choose(t, n);
	n->peer_port = given.port;
	n->peer_groups = given.groups;
	return 0;
}

static long netlink_name(struct task *t, struct socket *s, bool peer, struct socket_address *ret)
{
	const struct netlink_socket *n = netlink_of(s);

	(void)t;
	if (peer)
		address_put(n->peer_port, n->peer_groups, ret);
	else
		address_put(n->port, n->groups, ret);
	return 0;
}

/* ---- messages ---- */

/* There is no room for an answer: told once, until the queue was empty (netlink_overrun). */
static void lose(struct netlink_socket *n)
{
	if (n->is_lost)
		return;
	n->is_lost = true;
	n->s.error = ENOBUFS;
	socket_changed(&n->s, SOCKET_ALL);
}

void netlink_answer(struct netlink_socket *n, const void *bytes, u32 len)
{
	if (n->cost >= (u64)n->s.rcvbuf) {
		lose(n);
		return;
	}
	struct netlink_datagram *d = heap_alloc_unset(sizeof(*d) + len);

	d->next = NULL;
	d->len = len;
	memcpy(d->bytes, bytes, len);
	*(n->last ? &n->last->next : &n->first) = d;
	n->last = d;
	n->cost += len + DATAGRAM_COST;
	socket_changed_one(&n->s, POLLIN | POLLRDNORM);
}

static void drop_first(struct netlink_socket *n)
{
	struct netlink_datagram *d = n->first;

	n->first = d->next;
	if (!n->first) {
		n->last = NULL;
		n->is_lost = false;
	}
	n->cost -= d->len + DATAGRAM_COST;
	heap_free(d);
}

/* Messages follow each other, each 4-byte aligned; a malformed one ends them. */
static void take_requests(struct netlink_socket *n, const u8 *bytes, u64 len)
{
	struct netlink_header h;
	u64 at = 0;

	while (len - at >= HEADER_BYTES) {
		memcpy(&h, bytes + at, sizeof(h));
		if (h.len < HEADER_BYTES || h.len > len - at)
			return;
		route_request(n, &h, bytes + at + HEADER_BYTES);
		at += (h.len + 3) & ~3u;
		if (at > len)
			return;
	}
}

static long netlink_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct netlink_socket *n = netlink_of(s);
	struct netlink_address to = {AF_NETLINK, 0, n->peer_port, n->peer_groups};
	_Alignas(8) u8 request[REQUEST_MAX];
	long r = 0;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->to && m->to->len)
		r = address_of(m->to, &to);
	if (r < 0)
		return r;
	if (!n->is_bound)
		port_choose(t, n);
	/* Nobody but the kernel listens to us. */
	if (to.groups)
		return -EPERM;
	if (to.port)
		return -ECONNREFUSED;
	if (m->io.total > REQUEST_MAX)
		return -EMSGSIZE;
	r = io_take(t, &m->io, 0, request, m->io.total);
	if (r < 0)
		return r;
	take_requests(n, request, m->io.total);
	return (long)m->io.total;
}

static void put_controls(struct task *t, const struct netlink_socket *n, struct socket_msg *m)
{
	u32 group = 0;

	if (m->from)
		address_put(0, 0, m->from);
	if (m->control_out && n->options >> PKTINFO & 1)
		socket_control_put(t, m, SOL_NETLINK, PKTINFO, &group, sizeof(group));
}

static long netlink_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct netlink_socket *n = netlink_of(s);
	struct netlink_datagram *d = n->first;

	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	long r = socket_take_error(s);
	if (r < 0)
		return r;
	if (!d) {
		m->wait.events = SOCKET_BIT_TURN;
		return -EAGAIN;
	}
	u64 size = d->len < m->io.total ? d->len : m->io.total;
	r = io_give(t, &m->io, 0, d->bytes, size);
	if (r < 0)
		return r;
	if (size < d->len)
		m->flags_out |= MSG_TRUNC;
	put_controls(t, n, m);
	r = (long)(m->flags & MSG_TRUNC ? d->len : size);
	if (!(m->flags & MSG_PEEK))
		drop_first(n);
	return r;
}

static u32 netlink_poll(struct task *t, struct socket *s)
{
	(void)t;
	return POLLOUT | POLLWRNORM | POLLWRBAND |
	       (netlink_of(s)->first ? POLLIN | POLLRDNORM : 0) | (s->error ? POLLERR : 0);
}

/* ---- options ---- */

static long netlink_set_option(struct task *t, struct socket *s, s32 level, s32 name,
			       const void *value, u32 len)
{
	struct netlink_socket *n = netlink_of(s);
	s32 number = 0;

	(void)t;
	if (level != SOL_NETLINK)
		return -ENOPROTOOPT;
	if (len >= sizeof(number))
		memcpy(&number, value, sizeof(number));
	if (name < 0 || name > LAST_OPTION || name == LIST_MEMBERSHIPS)
		return -ENOPROTOOPT;
	if (name != ADD_MEMBERSHIP && name != DROP_MEMBERSHIP) {
		n->options &= ~(1u << name);
		n->options |= (u32)(number != 0) << name;
		return 0;
	}
	if (number < 1 || number > 32)
		return -EINVAL;
	n->groups &= ~(1u << (number - 1));
	if (name == ADD_MEMBERSHIP)
		n->groups |= 1u << (number - 1);
	return 0;
}

static long netlink_get_option(struct task *t, struct socket *s, s32 level, s32 name, void *value,
			       u32 *len)
{
	const struct netlink_socket *n = netlink_of(s);
	s32 number = 0;

	(void)t;
	if (level != SOL_NETLINK || name < PKTINFO || name > LAST_OPTION)
		return -ENOPROTOOPT;
	if (*len < sizeof(number))
		return -EINVAL;
	number = name == LIST_MEMBERSHIPS ? (s32)n->groups : (s32)(n->options >> name & 1);
	memcpy(value, &number, sizeof(number));
	*len = sizeof(number);
	return 0;
}

static void netlink_release(struct socket *s)
{
	while (netlink_of(s)->first)
		drop_first(netlink_of(s));
}

static const struct socket_ops netlink_ops = {
	.size = sizeof(struct netlink_socket),
	.bind = netlink_bind,
	.connect = netlink_connect,
	.name = netlink_name,
	.send = netlink_send,
	.receive = netlink_receive,
	.poll = netlink_poll,
	.set_option = netlink_set_option,
	.get_option = netlink_get_option,
	.release = netlink_release,
};

static long netlink_create(struct task *t, u32 type, u32 protocol, struct socket **ret)
{
	if (type != SOCK_RAW && type != SOCK_DGRAM)
		return -ESOCKTNOSUPPORT;
	if (protocol != NETLINK_ROUTE) {
		HEAD->refused_count[NR_socket] += protocol < PROTOCOLS;
		return -EPROTONOSUPPORT;
	}
	*ret = socket_create(t, AF_NETLINK, &netlink_ops, type, protocol);
	return 0;
}

const struct socket_family netlink_family = {AF_NETLINK, netlink_create};
