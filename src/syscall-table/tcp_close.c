/*
 * TCP: how connections end (net/ipv4/tcp.c, tcp_close, tcp_shutdown and tcp_disconnect;
 * net/ipv4/tcp_input.c, tcp_fin and tcp_reset).
 *
 * What one side sends the other has in the same step: an end (FIN) in order behind all data, a
 * reset at once.  A side that closed first leaves a rest behind, which holds the port and answers
 * for it: with a reset if more data comes, else with silence for a minute.
 */
#include "tcp.h"

void tcp_done(struct tcp_socket *s)
{
	tcp_stop_waiting(s);
	if (s->peer)
		s->peer->peer = NULL;
	s->peer = NULL;
	if (s->rest)
		s->rest->other = NULL;
	s->rest = NULL;
	s->state = TCP_CLOSE;
	s->i.s.shut = SHUT_BOTH;
	if (!s->i.port_is_fixed)
		inet_port_drop(&s->i);
	socket_changed(&s->i.s, SOCKET_ALL);
}

static s32 reset_error(enum tcp_state state)
{
	if (state == TCP_SYN_SENT)
		return ECONNREFUSED;
	return state == TCP_CLOSE_WAIT ? EPIPE : ECONNRESET;
}

void tcp_reset(struct tcp_socket *s)
{
	if (s->state == TCP_CLOSE)
		return;
	s->i.s.error = reset_error(s->state);
	tcp_done(s);
}

void tcp_send_reset(struct tcp_socket *s)
{
	struct tcp_socket *peer = s->peer != s ? s->peer : NULL;
	struct inet_rest *rest = s->rest;

	tcp_done(s);
	if (peer)
		tcp_reset(peer);
	if (rest)
		inet_rest_destroy(rest);
}

/* The peer's end came. */
static void end_came(struct tcp_socket *s)
{
	s->saw_end = true;
	s->segments_in++;
	s->i.s.shut |= SHUT_RECEIVE;
	if (s->state == TCP_ESTABLISHED) {
		s->state = TCP_CLOSE_WAIT;
		socket_changed(&s->i.s, SOCKET_ALL);
	} else {
		inet_rest_create(&s->i, NULL);
		tcp_done(s);
	}
}

void tcp_send_end(struct tcp_socket *s)
{
	struct tcp_socket *peer = s->peer;
	struct inet_rest *rest = s->rest;
	bool is_last = s->state == TCP_CLOSE_WAIT;

	s->segments_out++;
	if (!is_last)
		s->state = TCP_FIN_WAIT2;
	else
		tcp_done(s);
	if (peer)
		end_came(peer);
	if (is_last && rest)
		inet_rest_closed(rest);
}

long tcp_shutdown(struct task *t, struct socket *s, u32 how)
{
	struct tcp_socket *c = tcp_of(s);
	long r = c->state == TCP_CLOSE ? -ENOTCONN : 0;

	(void)t;
	if (c->state == TCP_LISTEN && !(how & SHUT_RECEIVE))
		return 0;
	if (c->state == TCP_LISTEN || c->state == TCP_SYN_SENT) {
		tcp_disconnect(c);
		return 0;
	}
	if (c->call == CALL_CONNECTING)
		c->call = c->state == TCP_CLOSE ? CALL_GIVEN_UP : CALL_CONNECTED;
	s->shut |= how;
	if (how & SHUT_SEND && (c->state == TCP_ESTABLISHED || c->state == TCP_CLOSE_WAIT))
		tcp_send_end(c);
	socket_changed(s, SOCKET_ALL);
	return r;
}

static bool is_open(const struct tcp_socket *s)
{
	return s->state == TCP_ESTABLISHED || s->state == TCP_CLOSE_WAIT ||
	       s->state == TCP_FIN_WAIT2;
}

/* Whatever it is in the middle of ends: the other side is reset. */
static void abandon(struct tcp_socket *s)
{
	if (s->state == TCP_LISTEN)
		tcp_listen_stop(s);
	else if (is_open(s))
		tcp_send_reset(s);
	else
		tcp_stop_waiting(s);
}

void tcp_disconnect(struct tcp_socket *s)
{
	struct inet_socket *i = &s->i;
	bool was_closed = s->state == TCP_CLOSE;

	if (s->state == TCP_SYN_SENT || is_open(s))
		i->s.error = ECONNRESET;
	abandon(s);
	if (!was_closed && !i->port_is_fixed)
		inet_port_drop(i);
	s->state = TCP_CLOSE;
	s->call = CALL_NONE;
	s->saw_end = false;
	s->urgent = URGENT_NONE;
	byte_queue_clear(&s->in);
	memset(&i->remote, 0, sizeof(i->remote));
	i->s.shut = 0;
	if (!i->address_is_fixed)
		memcpy(i->port.local.ip, inet_any_of(i), INET_IP_BYTES);
	socket_changed(&i->s, SOCKET_ALL);
}

/* Nobody has it open any more: how the other side hears of that. */
static void close_connection(struct tcp_socket *s)
{
	bool lingers_not = socket_has_option(&s->i.s, SO_LINGER) && !s->i.s.linger_s;

	if (s->in.used || lingers_not || s->peer == s) {
		tcp_send_reset(s);
		return;
	}
	struct tcp_socket *peer = s->peer;
	if (s->state != TCP_CLOSE_WAIT) {
		/* It has not ended on the other side: the rest answers for this one. */
		s->peer = peer->peer = NULL;
		peer->rest = inet_rest_create(&s->i, peer);
	}
	if (s->state == TCP_ESTABLISHED)
		end_came(peer);
	else if (s->state == TCP_CLOSE_WAIT)
		tcp_send_end(s);
}

void tcp_release(struct socket *s)
{
	struct tcp_socket *c = tcp_of(s);

	if (is_open(c))
		close_connection(c);
	else
		abandon(c);
	inet_port_drop(&c->i);
	byte_queue_clear(&c->in);
	inet_groups_drop(&c->i);
}
