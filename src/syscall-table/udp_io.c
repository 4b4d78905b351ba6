/*
 * UDP: messages (net/ipv4/udp.c, net/ipv4/ip_sockglue.c, net/ipv6/datagram.c).
 *
 * A datagram goes into the receiver's queue within the sender's call, or is lost if the queue is
 * full: it holds as many as SO_RCVBUF pays for, each costing its bytes and DATAGRAM_COST.  One that
 * nobody takes comes back as an ICMP error in the same step.
 */
#include <asm/ioctls.h>
#include "udp.h"

#define DATAGRAM_COST 768u /* what Linux counts for a short one */
#define MAX_FOUR      65507u
#define MAX_SIX	      65527u
#define QUOTED_FOUR   520u /* of the bytes, how many an ICMP error brings back */
#define QUOTED_SIX    1184u

enum { IP_TOS = 1, IP_TTL = 2, IP_PKTINFO = 8, IP_RECVERR = 11, IP_ORIGDSTADDR = 20 };
enum { IPV6_RECVERR = 25, IPV6_PKTINFO = 50, IPV6_HOPLIMIT = 52, IPV6_TCLASS = 67 };

struct pktinfo_four {
	s32 index;
	u8 spec_dst[4], addr[4];
};

struct pktinfo_six {
	u8 addr[INET_IP_BYTES];
	s32 index;
};

/* struct sock_extended_err, and who sent the error. */
struct extended_error {
	u32 error;
	u8 origin, type, code, pad;
	u32 info, data;
	u8 offender[28];
};

/* ---- queues ---- */

static void append(struct datagram_list *l, struct datagram *d)
{
	d->next = NULL;
	*(l->last ? &l->last->next : &l->first) = d;
	l->last = d;
	l->cost += d->len + DATAGRAM_COST;
}

static void drop_first(struct datagram_list *l)
{
	struct datagram *d = l->first;

	l->first = d->next;
	if (!l->first)
		l->last = NULL;
	l->cost -= d->len + DATAGRAM_COST;
	heap_free(d);
}

void udp_list_clear(struct datagram_list *l)
{
	while (l->first)
		drop_first(l);
}

static bool has_room(const struct inet_socket *i, const struct datagram_list *l)
{
	return l->cost < (u64)i->s.rcvbuf;
}

/* ---- send: where to ---- */

static long destination_six(struct inet_socket *i, const struct socket_msg *m, struct inet_end *to)
{
	u16 family = m->to->len < 2 ? AF_UNSPEC : m->to->family;

	if (family != AF_INET && family != AF_INET6)
		return -EINVAL;
	return inet_parse(i, m->to, false, to);
}

static long destination(struct inet_socket *i, const struct socket_msg *m, struct inet_end *to)
{
	long r = 0;

	*to = i->remote;
	if (m->to && m->to->len)
		r = i->s.family == AF_INET ? inet_parse(i, m->to, false, to)
					   : destination_six(i, m, to);
	else
		return udp_is_connected(i) ? 0 : -EDESTADDRREQ;
	return r < 0 || to->port ? r : -EINVAL;
}

/* Numbers a sender may give with its bytes, from `least` to 255; below 0: the socket's own. */
static const struct number_control {
	s32 level, type, least;
	u32 shortest, member;
} number_controls[] = {
	{IPPROTO_IP, IP_TTL, 1, 4, offsetof(struct udp_head, ttl)},
	{IPPROTO_IP, IP_TOS, 0, 1, offsetof(struct udp_head, tos)},
	{IPPROTO_IPV6, IPV6_HOPLIMIT, -1, 4, offsetof(struct udp_head, ttl)},
	{IPPROTO_IPV6, IPV6_TCLASS, -1, 4, offsetof(struct udp_head, tos)},
};

static long take_number(struct udp_head *h, const struct socket_cmsg *c, u64 len)
{
	for (u32 i = 0; i < sizeof(number_controls) / sizeof(number_controls[0]); i++) {
		const struct number_control *row = &number_controls[i];
		s32 number = 0;

		if (c->level != row->level || c->type != row->type)
			continue;
		if (len != sizeof(number) && len != row->shortest)
			return -EINVAL;
		memcpy(&number, c->data, len);
		if (number < row->least || number > 255)
			return -EINVAL;
		if (number >= 0)
			*(s32 *)((char *)h + row->member) = number;
		return 0;
	}
	return -EINVAL;
}

/* One control message of the sender's. */
static long take_control(struct udp_head *h, const struct socket_cmsg *c)
{
	u64 len = c->len - sizeof(*c);

	if (c->level == IPPROTO_IP && c->type == IP_PKTINFO) {
		struct pktinfo_four info;
		if (len != sizeof(info))
			return -EINVAL;
		memcpy(&info, c->data, sizeof(info));
		inet_set_four(h->from.ip, info.spec_dst);
	} else if (c->level == IPPROTO_IPV6 && c->type == IPV6_PKTINFO) {
		if (len < sizeof(struct pktinfo_six))
			return -EINVAL;
		memcpy(h->from.ip, c->data, INET_IP_BYTES);
	} else {
		return take_number(h, c, len);
	}
	return 0;
}

static long take_controls(const struct inet_socket *i, const struct socket_msg *m,
			  struct udp_head *h)
{
	long r = 0;

	memset(h->from.ip, 0, INET_IP_BYTES);
	for (const struct socket_cmsg *c = NULL; !r && (c = socket_cmsg_next(m, c, &r));)
		r = c->level == SOL_SOCKET ? -EINVAL : take_control(h, c);
	if (r < 0)
		return r;
	enum inet_kind kind = inet_kind_of(h->from.ip);
	if (kind == INET_ANY)
		inet_source(i, &h->to, h->from.ip);
	return kind == INET_ANY || kind == INET_LOCAL ? 0 : -EINVAL;
}

static long head_make(struct task *t, struct inet_socket *i, const struct socket_msg *m,
		      struct udp_head *h)
{
	long r = udp_autobind(t, i);

	if (!r)
		r = destination(i, m, &h->to);
	if (r < 0)
		return r;
	bool four = inet_is_four(h->to.ip), many = inet_kind_of(h->to.ip) == INET_MULTICAST;
	h->ttl = i->number[four ? (many ? INET_MULTICAST_TTL : INET_TTL)
				: (many ? INET6_MULTICAST_HOPS : INET6_HOPS)];
	h->tos = i->number[four ? INET_TOS : INET6_TCLASS];
	h->time_ns = (s64)now_ns();
	r = take_controls(i, m, h);
	if (!r)
		r = inet_route(i, &h->to, NR_sendto);
	if (!r && inet_kind_of(h->to.ip) == INET_BROADCAST &&
	    !socket_has_option(&i->s, SO_BROADCAST))
		r = -EACCES;
	if (r < 0)
		return r;
	h->from.port = i->port.local.port;
	if (inet_kind_of(h->from.ip) == INET_ANY)
		inet_source(i, &h->to, h->from.ip);
	return m->io.total > (four ? MAX_FOUR : MAX_SIX) ? -EMSGSIZE : 0;
}

/* ---- send: what becomes of it ---- */

static void deliver(struct udp_socket *to, struct datagram *d)
{
	append(&to->in, d);
	socket_changed_one(&to->i.s, POLLIN | POLLRDNORM);
}

/* It comes back to its sender, unless that has another peer: the error would not find it. */
static void refuse(struct inet_socket *i, struct datagram *d)
{
	bool four = inet_is_four(d->head.to.ip);
	u32 quoted = four ? QUOTED_FOUR : QUOTED_SIX;
	struct udp_socket *u = udp_of(&i->s);
	bool keeps = i->number[i->s.family == AF_INET ? INET_RECVERR : INET6_RECVERR];

	bool is_told = udp_takes_from(i, &d->head.to);

	if (is_told && (keeps || udp_is_connected(i)))
		i->s.error = ECONNREFUSED;
	if (is_told && keeps && has_room(i, &u->errors)) {
		if (d->len > quoted)
			d->len = quoted;
		append(&u->errors, d);
	} else {
		heap_free(d);
	}
	if (i->s.error)
		socket_changed(&i->s, SOCKET_ALL);
}

static void deliver_one(struct inet_socket *i, struct datagram *d)
{
	struct udp_socket *to = udp_find(&d->head);

	if (!to)
		refuse(i, d);
	else if (has_room(&to->i, &to->in))
		deliver(to, d);
	else
		heap_free(d);
}

static bool somebody_joined(const u8 *group)
{
	for (struct socket *s = socket_first(); s; s = s->next) {
		bool inet = s->family == AF_INET || s->family == AF_INET6;
		if (inet && inet_is_joined(inet_of(s), group))
			return true;
	}
	return false;
}

static void deliver_many(struct inet_socket *i, struct datagram *d)
{
	struct udp_socket *to = NULL;
	bool group = inet_kind_of(d->head.to.ip) == INET_MULTICAST;
	bool loop =
		i->number[inet_is_four(d->head.to.ip) ? INET_MULTICAST_LOOP : INET6_MULTICAST_LOOP];

	if (!group || (loop && somebody_joined(d->head.to.ip))) {
		while ((to = udp_next_of_many(&d->head, to))) {
			if (!has_room(&to->i, &to->in))
				continue;
			struct datagram *copy = heap_alloc_unset(sizeof(*d) + d->len);
			memcpy(copy, d, sizeof(*d) + d->len);
			deliver(to, copy);
		}
	}
	heap_free(d);
}

static long check_message(const struct socket_msg *m)
{
	if (m->io.total > 0xffff)
		return -EMSGSIZE;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->flags & MSG_MORE) {
		HEAD->refused_count[NR_sendto]++;
		return -EOPNOTSUPP;
	}
	return 0;
}

long udp_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct inet_socket *i = inet_of(s);
	struct udp_head h = {0};

	long r = check_message(m);
	if (!r)
		r = head_make(t, i, m, &h);
	if (!r)
		r = socket_take_error(s);
	if (!r && s->shut & SHUT_SEND)
		r = -EPIPE;
	if (r < 0)
		return r;
	struct datagram *d = heap_alloc_unset(sizeof(*d) + m->io.total);
	d->head = h;
	d->len = (u32)m->io.total;
	r = io_take(t, &m->io, 0, d->bytes, d->len);
	if (r < 0) {
		heap_free(d);
		return r;
	}
	enum inet_kind kind = inet_kind_of(h.to.ip);
	if (kind == INET_BROADCAST || kind == INET_MULTICAST)
		deliver_many(i, d);
	else
		deliver_one(i, d);
	return (long)m->io.total;
}

/* ---- receive ---- */

static void put_number(struct task *t, struct socket_msg *m, s32 level, s32 type, s32 value)
{
	socket_control_put(t, m, level, type, &value, sizeof(value));
}

static void put_controls_four(struct task *t, const struct inet_socket *i, struct socket_msg *m,
			      const struct udp_head *h)
{
	if (i->number[INET_PKTINFO]) {
		struct pktinfo_four info = {.index = LO_INDEX};
		memcpy(info.spec_dst,
		       inet_kind_of(h->to.ip) == INET_LOCAL ? h->to.ip + 12 : inet_lo4 + 12, 4);
		memcpy(info.addr, h->to.ip + 12, 4);
		socket_control_put(t, m, IPPROTO_IP, IP_PKTINFO, &info, sizeof(info));
	}
	if (i->number[INET_RECVTTL])
		put_number(t, m, IPPROTO_IP, IP_TTL, h->ttl);
	if (i->number[INET_RECVTOS]) {
		u8 tos = (u8)h->tos;
		socket_control_put(t, m, IPPROTO_IP, IP_TOS, &tos, 1);
	}
	if (i->number[INET_RECVORIGDST]) {
		struct socket_address a;
		inet_format(i, &h->to, &a);
		socket_control_put(t, m, IPPROTO_IP, IP_ORIGDSTADDR, a.bytes, a.len);
	}
}

static void put_controls_six(struct task *t, const struct inet_socket *i, struct socket_msg *m,
			     const struct udp_head *h)
{
	if (i->number[INET6_PKTINFO]) {
		struct pktinfo_six info = {.index = LO_INDEX};
		memcpy(info.addr, h->to.ip, INET_IP_BYTES);
		socket_control_put(t, m, IPPROTO_IPV6, IPV6_PKTINFO, &info, sizeof(info));
	}
	if (i->number[INET6_RECVHOPS] && !inet_is_four(h->to.ip))
		put_number(t, m, IPPROTO_IPV6, IPV6_HOPLIMIT, h->ttl);
	if (i->number[INET6_RECVTCLASS] && !inet_is_four(h->to.ip))
		put_number(t, m, IPPROTO_IPV6, IPV6_TCLASS, h->tos);
}

static void put_controls(struct task *t, struct inet_socket *i, struct socket_msg *m,
			 const struct udp_head *h)
{
	if (!m->control_out)
		return;
	socket_put_timestamp(t, &i->s, m, h->time_ns);
	if (i->s.family == AF_INET)
		put_controls_four(t, i, m, h);
	else
		put_controls_six(t, i, m, h);
}

/* The bytes, cut to the room there is; how many. */
static long give_bytes(struct task *t, struct socket_msg *m, const struct datagram *d)
{
	u64 n = d->len < m->io.total ? d->len : m->io.total;

	long r = io_give(t, &m->io, 0, d->bytes, n);
	if (r < 0)
		return r;
	if (n < d->len)
		m->flags_out |= MSG_TRUNC;
	return (long)n;
}

/* net/ipv4/ip_sockglue.c, ip_recv_error. */
static void put_error(struct task *t, const struct inet_socket *i, struct socket_msg *m,
		      const struct udp_head *h)
{
	bool four = inet_is_four(h->to.ip), as_four = i->s.family == AF_INET;
	struct extended_error e = {.error = ECONNREFUSED,
				   .origin = four ? 2 : 3,
				   .type = four ? 3 : 1,
				   .code = four ? 3 : 4};
	struct inet_end offender = {.port = 0};
	struct socket_address a;

	memcpy(offender.ip, h->to.ip, INET_IP_BYTES);
	inet_format(i, &offender, &a);
	memcpy(e.offender, a.bytes, a.len);
	socket_control_put(t, m, as_four ? IPPROTO_IP : IPPROTO_IPV6,
			   as_four ? IP_RECVERR : IPV6_RECVERR, &e, 16 + a.len);
}

static long receive_error(struct task *t, struct udp_socket *u, struct socket_msg *m)
{
	struct datagram *d = u->errors.first;

	m->io.nowait = true; /* nobody waits for errors */
	if (!d)
		return -EAGAIN;
	long r = give_bytes(t, m, d);
	if (r >= 0) {
		if (m->from)
			inet_format(&u->i, &d->head.to, m->from);
		if (m->control_out)
			put_error(t, &u->i, m, &d->head);
		m->flags_out |= MSG_ERRQUEUE;
	}
	drop_first(&u->errors);
	u->i.s.error = u->errors.first ? ECONNREFUSED : 0;
	return r;
}

static long receive_empty(struct socket *s, struct socket_msg *m)
{
	if (s->shut & SHUT_RECEIVE && !m->io.nowait)
		return 0;
	m->wait.events = SOCKET_BIT_TURN;
	return -EAGAIN;
}

long udp_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct udp_socket *u = udp_of(s);

	if (m->flags & MSG_ERRQUEUE)
		return receive_error(t, u, m);
	long r = socket_take_error(s);
	if (r < 0)
		return r;
	struct datagram *d = u->in.first;
	if (!d)
		return receive_empty(s, m);
	r = give_bytes(t, m, d);
	if (r >= 0) {
		if (m->from)
			inet_format(&u->i, &d->head.from, m->from);
		put_controls(t, &u->i, m, &d->head);
		if (m->flags & MSG_TRUNC)
			r = d->len;
	}
	if (!(m->flags & MSG_PEEK))
		drop_first(&u->in);
	return r;
}

u32 udp_poll(struct task *t, struct socket *s)
{
	const struct udp_socket *u = udp_of(s);
	u32 ready = POLLOUT | POLLWRNORM | POLLWRBAND;

	(void)t;
	if (s->error || u->errors.first)
		ready |= POLLERR;
	if (s->shut & SHUT_RECEIVE)
		ready |= POLLRDHUP | POLLIN | POLLRDNORM;
	if (s->shut == SHUT_BOTH)
		ready |= POLLHUP;
	if (u->in.first)
		ready |= POLLIN | POLLRDNORM;
	return ready;
}

long udp_ioctl(struct task *t, struct socket *s, u32 request, u64 arg)
{
	const struct datagram *d = udp_of(s)->in.first;
	s32 value = 0;

	if (request == FIONREAD)
		value = d ? (s32)d->len : 0;
	else if (request != TIOCOUTQ)
		return -ENOTTY;
	digest_u64(t, (u64)value);
	return user_put(arg, value) ? -EFAULT : 0;
}
