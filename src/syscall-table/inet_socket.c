/*
 * The families AF_INET and AF_INET6, and what TCP and UDP share: making sockets, bind, names.
 *
 * Refused by name: raw sockets (EPERM, as without CAP_NET_RAW), ping sockets (EACCES, as where no
 * group may have them), and all protocols but TCP and UDP.
 */
#include "credentials.h"
#include "inet.h"
#include "tcp.h"

/* net/ipv4/af_inet.c, inet_create: the rows of inetsw. */
struct protocol_row {
	u32 type, protocol;
	const struct socket_ops *ops; /* NULL: refused with `error` */
	s32 error;
};

static const struct protocol_row rows[] = {
	{SOCK_STREAM, IPPROTO_TCP, &tcp_ops, 0},
	{SOCK_DGRAM, IPPROTO_UDP, &udp_ops, 0},
	{SOCK_DGRAM, IPPROTO_ICMP, NULL, -EACCES},
	{SOCK_DGRAM, IPPROTO_ICMPV6, NULL, -EACCES},
};

struct socket *inet_create(struct task *t, u32 family, const struct socket_ops *ops, u32 type,
			   u32 protocol)
{
	struct socket *s = socket_create(t, family, ops, type, protocol);
	struct inet_socket *i = inet_of(s);

	memcpy(i->port.local.ip, inet_any_of(i), INET_IP_BYTES);
	inet_options_init(i);
	if (type == SOCK_STREAM)
		tcp_of(s)->state = TCP_CLOSE;
	return s;
}

static long refused(long error)
{
	HEAD->refused_count[NR_socket]++;
	return error;
}

static long family_create(struct task *t, u32 family, u32 type, u32 protocol, struct socket **ret)
{
	bool known_type = false;

	if (type == SOCK_RAW)
		return refused(-EPERM);
	for (u32 k = 0; k < sizeof(rows) / sizeof(*rows); k++) {
		const struct protocol_row *row = &rows[k];
		known_type |= row->type == type;
		if (row->type != type || (protocol && protocol != row->protocol))
			continue;
		if (!row->ops)
			return refused(row->error);
		*ret = inet_create(t, family, row->ops, type, row->protocol);
		return 0;
	}
	return known_type ? -EPROTONOSUPPORT : -ESOCKTNOSUPPORT;
}

static long create_four(struct task *t, u32 type, u32 protocol, struct socket **ret)
{
	return family_create(t, AF_INET, type, protocol, ret);
}

static long create_six(struct task *t, u32 type, u32 protocol, struct socket **ret)
{
	return family_create(t, AF_INET6, type, protocol, ret);
}

const struct socket_family inet_family = {AF_INET, create_four};
const struct socket_family inet6_family = {AF_INET6, create_six};

/* ---- bind ---- */

/* Whether a socket may have this address. */
static long check_address(const struct inet_socket *i, const u8 *ip)
{
	bool six = i->s.family == AF_INET6;

	switch (inet_kind_of(ip)) {
	case INET_MULTICAST:
		return six && i->s.type == SOCK_STREAM ? -EINVAL : 0;
	case INET_LINK:
		return -EINVAL;
	case INET_OUTSIDE:
		if (!six && inet_is_four(ip) && !memcmp(ip + 12, "\xff\xff\xff\xff", 4))
			return 0;
		return i->number[INET_FREEBIND] ? 0 : -EADDRNOTAVAIL;
	default:
		return 0;
	}
}

long inet_bind(struct task *t, struct socket *s, const struct socket_address *a)
{
	struct inet_socket *i = inet_of(s);
	struct inet_end e;

	long r = inet_parse(i, a, true, &e);
	if (r == -ENETUNREACH)
		r = -EINVAL;
	if (!r)
		r = check_address(i, e.ip);
	if (r < 0)
		return r;
	if (e.port && e.port < PORT_FREE && !capable(t, CAP_NET_BIND_SERVICE))
		return -EACCES;
	if (i->has_port || (s->type == SOCK_STREAM && !tcp_is_closed(i)))
		return -EINVAL;
	struct inet_end before = i->port.local;
	memcpy(i->port.local.ip, e.ip, INET_IP_BYTES);
	r = inet_port_take(t, i, e.port, 0);
	if (r < 0) {
		i->port.local = before;
		return r;
	}
	i->port_is_fixed = e.port != 0;
	i->address_is_fixed = inet_kind_of(e.ip) != INET_ANY;
	return 0;
}

long inet_name(struct task *t, struct socket *s, bool peer, struct socket_address *ret)
{
	struct inet_socket *i = inet_of(s);

	(void)t;
	if (peer && (!i->remote.port || (s->type == SOCK_STREAM && !tcp_has_peer(i))))
		return -ENOTCONN;
	inet_format(i, peer ? &i->remote : &i->port.local, ret);
	return 0;
}
