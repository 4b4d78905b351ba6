/*
 * TCP: how connections begin.
 *
 * Both ends lie in the container, so a handshake is one step of connect: the other end is made and
 * queued at the listener before the call returns.  A socket that must not wait is told EINPROGRESS
 * nevertheless, as on Linux, whose connect returns before it looks at the answer; the next look
 * finds the connection made or refused.  A listener queues backlog + 1 connections; who comes then
 * waits, and comes in when accept has made room, in order.
 *
 * Of several listeners of one SO_REUSEPORT group a connection goes to number (port of the peer
 * modulo their count), in the order of their listens.
 *
 *   CLOSE --listen--> LISTEN
 *   CLOSE --connect--> [SYN_SENT, while the listener has no room] --> ESTABLISHED
 *   ESTABLISHED --end sent--> FIN_WAIT2 --end came--> CLOSE, a rest remains (TIME_WAIT)
 *   ESTABLISHED --end came--> CLOSE_WAIT --end sent--> CLOSE
 *   any --reset--> CLOSE
 *
 * Invariants: a->peer == b exactly if b->peer == a; in SYN_SENT, and only there, a socket is in
 * the late list of its listener; in the ready list are sockets without description.
 */
#include "tcp.h"

/* ---- lists ---- */

static void list_add(struct tcp_list *l, struct tcp_socket *s)
{
	s->next_waiting = NULL;
	*(l->last ? &l->last->next_waiting : &l->first) = s;
	l->last = s;
	l->count++;
}

static void list_remove(struct tcp_list *l, struct tcp_socket *s)
{
	struct tcp_socket *before = NULL;

	for (struct tcp_socket *i = l->first; i != s; i = i->next_waiting)
		before = i;
	*(before ? &before->next_waiting : &l->first) = s->next_waiting;
	if (l->last == s)
		l->last = before;
	l->count--;
}

void tcp_stop_waiting(struct tcp_socket *s)
{
	if (s->listener)
		list_remove(&s->listener->late, s);
	s->listener = NULL;
}

/* ---- listeners ---- */

static struct tcp_socket **listeners_at(const struct tcp_socket *l)
{
	return &INET->listeners[l->i.port.local.port];
}

static void listener_add(struct tcp_socket *l)
{
	struct tcp_socket **at = listeners_at(l);

	while (*at)
		at = &(*at)->next_listener;
	l->next_listener = NULL;
	*at = l;
}

static void listener_remove(struct tcp_socket *l)
{
	struct tcp_socket **at = listeners_at(l);

	while (*at != l)
		at = &(*at)->next_listener;
	*at = l->next_listener;
}

/* How well a listener fits a destination: 0: not; net/ipv4/inet_hashtables.c, compute_score. */
static u32 listener_score(const struct tcp_socket *l, const struct inet_end *to)
{
	const u8 *ip = l->i.port.local.ip;
	bool four = inet_is_four(to->ip), exact = inet_same(ip, to->ip);
	bool only_six = l->i.s.family == AF_INET6 && l->i.number[INET6_V6ONLY];

	if (!inet_overlaps(ip, only_six, to->ip, !four))
		return 0;
	return 1 + (exact ? 2 : 0) + ((l->i.s.family == AF_INET) == four);
}

static bool in_group(const struct tcp_socket *l, const struct inet_end *to, u32 score)
{
	return listener_score(l, to) == score && socket_has_option(&l->i.s, SO_REUSEPORT);
}

/* The one of its SO_REUSEPORT group that is this connection's. */
static struct tcp_socket *group_member(struct tcp_socket *best, const struct inet_end *to,
				       u32 score, u16 from_port)
{
	struct tcp_socket *first = INET->listeners[to->port], *l;
	u32 count = 0;

	for (l = first; l; l = l->next_listener)
		count += in_group(l, to, score);
	u32 n = count ? from_port % count : 0;
	for (l = first; l; l = l->next_listener) {
		if (in_group(l, to, score) && !n--)
			return l;
	}
	return best;
}

static struct tcp_socket *listener_find(const struct inet_end *to, u16 from_port)
{
	struct tcp_socket *best = NULL;
	u32 best_score = 0;

	for (struct tcp_socket *l = INET->listeners[to->port]; l; l = l->next_listener) {
		u32 score = listener_score(l, to);
		if (score > best_score) {
			best = l;
			best_score = score;
		}
	}
	return best ? group_member(best, to, best_score, from_port) : NULL;
}

static void connection_up(struct tcp_socket *s)
{
	s->state = TCP_ESTABLISHED;
	s->segments_in = s->segments_out = 2;
	if (s->i.s.sndbuf == TCP_SNDBUF)
		s->i.s.sndbuf = TCP_SNDBUF_CONNECTED;
}

/* The listener's end of a connection: what it was told as options holds for it too. */
static struct tcp_socket *child_create(struct task *t, struct tcp_socket *l, struct tcp_socket *c)
{
	struct socket *s = inet_create(t, l->i.s.family, l->i.s.ops, SOCK_STREAM, IPPROTO_TCP);
	struct tcp_socket *child = tcp_of(s);

	s->options = l->i.s.options;
	s->sndbuf = l->i.s.sndbuf;
	s->rcvbuf = l->i.s.rcvbuf;
	s->rcvlowat = l->i.s.rcvlowat;
	s->linger_s = l->i.s.linger_s;
	s->priority = l->i.s.priority;
	s->mark = l->i.s.mark;
	s->receive_timeout_ns = l->i.s.receive_timeout_ns;
	s->send_timeout_ns = l->i.s.send_timeout_ns;
	memcpy(child->i.number, l->i.number, sizeof(child->i.number));
	memcpy(child->i.port.local.ip, c->i.remote.ip, INET_IP_BYTES);
	child->i.address_is_fixed = true;
	child->congestion = l->congestion;
	child->i.remote = c->i.port.local;
	inet_port_share(&child->i, &l->i);
	child->call = CALL_CONNECTED;
	connection_up(child);
	return child;
}

static void connection_make(struct task *t, struct tcp_socket *l, struct tcp_socket *c)
{
	struct tcp_socket *child = child_create(t, l, c);

	c->peer = child;
	child->peer = c;
	connection_up(c);
	list_add(&l->ready, child);
	/* What was shut down before it listened is so in its connections too. */
	child->i.s.shut = l->i.s.shut;
	if (child->i.s.shut & SHUT_SEND)
		tcp_send_end(child);
	socket_changed_one(&l->i.s, POLLIN | POLLRDNORM);
	socket_changed(&c->i.s, SOCKET_ALL);
}

static bool has_room(const struct tcp_socket *l)
{
	return l->ready.count <= l->backlog;
}

/* Lets in who waits for room. */
static void admit(struct task *t, struct tcp_socket *l)
{
	while (l->late.first && has_room(l)) {
		struct tcp_socket *c = l->late.first;
		tcp_stop_waiting(c);
		connection_make(t, l, c);
	}
}

void tcp_listen_stop(struct tcp_socket *l)
{
	struct tcp_socket *child;

	listener_remove(l);
	l->state = TCP_CLOSE;
	l->i.s.is_listening = 0;
	while ((child = l->ready.first)) {
		list_remove(&l->ready, child);
		tcp_send_reset(child);
		socket_destroy(&child->i.s);
	}
	while (l->late.first) {
		struct tcp_socket *c = l->late.first;
		tcp_stop_waiting(c);
		tcp_reset(c);
	}
}

static long tcp_listen(struct task *t, struct socket *s, u32 backlog)
{
	struct tcp_socket *l = tcp_of(s);
	long r = 0;

	if (l->call != CALL_NONE || (l->state != TCP_CLOSE && l->state != TCP_LISTEN))
		return -EINVAL;
	l->backlog = backlog;
	if (l->state == TCP_LISTEN) {
		admit(t, l);
		return 0;
	}
	r = l->i.has_port ? inet_port_recheck(&l->i) : inet_port_take(t, &l->i, 0, 0);
	if (r < 0)
		return r;
	l->state = TCP_LISTEN;
	s->is_listening = 1;
	listener_add(l);
	return 0;
}

static long tcp_accept(struct task *t, struct socket *s, struct socket **ret)
{
	struct tcp_socket *l = tcp_of(s), *child = l->ready.first;

	if (l->state != TCP_LISTEN)
		return -EINVAL;
	if (!child)
		return -EAGAIN;
	list_remove(&l->ready, child);
	admit(t, l);
	*ret = &child->i.s;
	return 0;
}

/* ---- connect ---- */

/* The address and port the connection comes from. */
static long choose_local(struct task *t, struct tcp_socket *c, const struct inet_end *to)
{
	struct inet_end *local = &c->i.port.local, before = *local;
	u8 source[INET_IP_BYTES];
	long r = 0;

	inet_source(&c->i, to, source);
	memcpy(local->ip, source, INET_IP_BYTES);
	if (!c->i.has_port)
		r = inet_port_take(t, &c->i, 0, inet_same(source, to->ip) ? to->port : 0);
	else if (inet_is_connected(local, to))
		r = -EADDRNOTAVAIL;
	if (r < 0)
		*local = before;
	return r < 0 ? -EADDRNOTAVAIL : 0;
}

/* A socket may even connect to itself. */
static void connection_to_itself(struct tcp_socket *c)
{
	c->peer = c;
	connection_up(c);
	socket_changed(&c->i.s, SOCKET_ALL);
}

static long connect_begin(struct task *t, struct tcp_socket *c, const struct socket_address *a)
{
	struct inet_end to;

	long r = inet_parse(&c->i, a, false, &to);
	if (!r)
		r = inet_route(&c->i, &to, NR_connect);
	if (!r && inet_kind_of(to.ip) != INET_LOCAL)
		r = -ENETUNREACH;
	if (!r)
		r = choose_local(t, c, &to);
	if (r < 0)
		return r;
	c->i.remote = to;
	c->state = TCP_SYN_SENT;
	c->call = CALL_CONNECTING;
	struct tcp_socket *l = listener_find(&to, c->i.port.local.port);
	if (l && has_room(l)) {
		connection_make(t, l, c);
	} else if (l) {
		c->listener = l;
		list_add(&l->late, c);
	} else if (inet_same_end(&c->i.port.local, &to)) {
		connection_to_itself(c);
	} else {
		tcp_reset(c);
	}
	return 0;
}

/* What a call of connect returns that finds the handshake done. */
static long connect_end(struct tcp_socket *c)
{
	if (c->state != TCP_CLOSE) {
		c->call = CALL_CONNECTED;
		return 0;
	}
	long r = socket_take_error(&c->i.s);
	tcp_disconnect(c);
	return r ? r : -ECONNABORTED;
}

static bool must_not_wait(const struct socket *s)
{
	return ofd_at(s->ofd)->flags & O_NONBLOCK;
}

static long tcp_connect(struct task *t, struct socket *s, const struct socket_address *a,
			struct socket_wait *wait, u32 tries)
{
	struct tcp_socket *c = tcp_of(s);
	bool is_first = c->call == CALL_NONE;

	if (a->len < sizeof(a->family))
		return -EINVAL;
	if (a->family == AF_UNSPEC) {
		tcp_disconnect(c);
		return 0;
	}
	if (c->call == CALL_GIVEN_UP)
		return -EINVAL;
	if (c->call == CALL_CONNECTED || (is_first && c->state != TCP_CLOSE))
		return -EISCONN;
	if (is_first) {
		long r = connect_begin(t, c, a);
		if (r < 0)
			return r;
		if (must_not_wait(s))
			return -EINPROGRESS;
	}
	if (c->state != TCP_SYN_SENT)
		return connect_end(c);
	wait->events = POLLOUT;
	return !tries && must_not_wait(s) ? -EALREADY : -EAGAIN;
}

/* ---- for the other files ---- */

bool tcp_has_peer(struct inet_socket *i)
{
	enum tcp_state state = tcp_of(&i->s)->state;

	return state != TCP_CLOSE && state != TCP_SYN_SENT;
}

bool tcp_is_listening(struct inet_socket *i)
{
	return tcp_of(&i->s)->state == TCP_LISTEN;
}

bool tcp_is_closed(struct inet_socket *i)
{
	return tcp_of(&i->s)->state == TCP_CLOSE;
}

const struct socket_ops tcp_ops = {
	.size = sizeof(struct tcp_socket),
	.bind = inet_bind,
	.connect = tcp_connect,
	.connect_late = EINPROGRESS,
	.listen = tcp_listen,
	.accept = tcp_accept,
	.name = inet_name,
	.send = tcp_send,
	.receive = tcp_receive,
	.shutdown = tcp_shutdown,
	.poll = tcp_poll,
	.ioctl = tcp_ioctl,
	.set_option = inet_set_option,
	.get_option = inet_get_option,
	.tuned = tcp_tuned,
	.release = tcp_release,
};
