/*
 * Ports: who has which, who may have it too (net/ipv4/inet_connection_sock.c, net/ipv4/udp.c), and
 * what is left of closed connections.
 *
 * A port that the system chooses is the next one up from the last it gave out that nobody has, from
 * PORT_FIRST to PORT_LAST and around; TCP and UDP count apart.  If there is none, the oldest rest
 * of a connection gives up its own: virtual time goes slowly, so that a minute of TIME_WAIT would
 * hold them for longer than it does natively.
 *
 * Invariants: whoever is in the table at a port has it as port.local.port; rests are in the order
 * of their ends.
 */
#include "inet.h"
#include "tcp.h"

#define RESTS_MAX  16384u	  /* net.ipv4.tcp_max_tw_buckets, of a small machine */
#define REST_NS	   60000000000ull /* TIME_WAIT and, of a closed socket, FIN_WAIT2 */
#define RANGE_SIZE (PORT_LAST - PORT_FIRST + 1)

/* What bind asks of either side. */
struct claim {
	const u8 *ip;
	u32 uid;
	bool only_six, reuse, reuseport, listens, rests;
};

struct inet_table *inet_table_of(const struct inet_socket *i)
{
	return i->s.type == SOCK_STREAM ? &INET->tcp : &INET->udp;
}

static struct inet_rest *rest_of(struct inet_port *p)
{
	return (struct inet_rest *)p;
}

static struct claim claim_of_socket(struct inet_socket *i)
{
	return (struct claim){.ip = i->port.local.ip,
			      .uid = i->s.uid,
			      .only_six = i->s.family == AF_INET6 && i->number[INET6_V6ONLY],
			      .reuse = socket_has_option(&i->s, SO_REUSEADDR),
			      .reuseport = socket_has_option(&i->s, SO_REUSEPORT),
			      .listens = i->s.type == SOCK_STREAM && tcp_is_listening(i)};
}

static struct claim claim_of(struct inet_port *p)
{
	if (p->socket)
		return claim_of_socket(p->socket);
	const struct inet_rest *r = rest_of(p);
	return (struct claim){.ip = p->local.ip,
			      .uid = r->uid,
			      .only_six = r->only_six,
			      .reuse = r->reuse,
			      .reuseport = r->reuseport,
			      .rests = true};
}

bool inet_overlaps(const u8 *a, bool a_only_six, const u8 *b, bool b_only_six)
{
	bool a_four = inet_is_four(a), b_four = inet_is_four(b);

	if (inet_same(a, inet_any6))
		return !b_four || !a_only_six;
	if (inet_same(b, inet_any6))
		return !a_four || !b_only_six;
	return inet_same(a, b) ||
	       (a_four && b_four && (inet_same(a, inet_any4) || inet_same(b, inet_any4)));
}

static bool conflicts(const struct claim *new, const struct claim *old)
{
	if (!inet_overlaps(new->ip, new->only_six, old->ip, old->only_six))
		return false;
	if (new->reuse && old->reuse && !old->listens)
		return false;
	return !new->reuseport || !old->reuseport || (!old->rests && new->uid != old->uid);
}

static bool is_free_for(struct inet_socket *i, u32 port)
{
	struct claim new = claim_of_socket(i);

	for (struct inet_port *p = inet_table_of(i)->first[port]; p; p = p->next) {
		struct claim old = claim_of(p);
		if (p != &i->port && conflicts(&new, &old))
			return false;
	}
	return true;
}

static bool is_in_range(u32 port)
{
	return port >= PORT_FIRST && port <= PORT_LAST;
}

static void link_port(struct inet_table *table, struct inet_port *p)
{
	struct inet_port **first = &table->first[p->local.port];

	table->held += !*first && is_in_range(p->local.port);
	p->prev = NULL;
	p->next = *first;
	if (*first)
		(*first)->prev = p;
	*first = p;
}

static void unlink_port(struct inet_table *table, struct inet_port *p)
{
	*(p->prev ? &p->prev->next : &table->first[p->local.port]) = p->next;
	if (p->next)
		p->next->prev = p->prev;
	table->held -= !table->first[p->local.port] && is_in_range(p->local.port);
}

/* The next port nobody has; 0: none. */
static u32 port_next(struct inet_table *table, u32 avoid)
{
	u32 port = table->last;

	for (u32 n = 0; n < RANGE_SIZE && table->held < RANGE_SIZE; n++) {
		port = is_in_range(port + 1) ? port + 1 : PORT_FIRST;
		if (!table->first[port] && port != avoid) {
			table->last = port;
			return port;
		}
	}
	return 0;
}

static u32 port_choose(struct inet_table *table, u32 avoid)
{
	u32 port = port_next(table, avoid);

	while (!port && table == &INET->tcp && INET->rest_first) {
		inet_rest_destroy(INET->rest_first);
		port = port_next(table, avoid);
	}
	return port;
}

long inet_port_take(struct task *t, struct inet_socket *i, u32 port, u32 avoid)
{
	struct inet_table *table = inet_table_of(i);

	inet_rests_expire();
	i->s.uid = proc_of(t)->fsuid;
	if (!port)
		port = port_choose(table, avoid);
	else if (!is_free_for(i, port))
		port = 0;
	if (!port)
		return -EADDRINUSE;
	i->port.socket = i;
	i->port.local.port = (u16)port;
	i->has_port = true;
	link_port(table, &i->port);
	return 0;
}

long inet_port_recheck(struct inet_socket *i)
{
	inet_rests_expire();
	return is_free_for(i, i->port.local.port) ? 0 : -EADDRINUSE;
}

void inet_port_drop(struct inet_socket *i)
{
	if (!i->has_port)
		return;
	unlink_port(inet_table_of(i), &i->port);
	i->has_port = false;
}

void inet_port_share(struct inet_socket *i, struct inet_socket *listener)
{
	i->port.socket = i;
	i->port.local.port = listener->port.local.port;
	i->has_port = true;
	i->port_is_fixed = listener->port_is_fixed;
	link_port(inet_table_of(i), &i->port);
}

bool inet_is_connected(const struct inet_end *local, const struct inet_end *remote)
{
	for (struct inet_port *p = INET->tcp.first[local->port]; p; p = p->next) {
		const struct inet_end *r = p->socket ? &p->socket->remote : &rest_of(p)->remote;
		if (p->socket && tcp_is_closed(p->socket))
			continue;
		if (inet_same_end(&p->local, local) && inet_same_end(r, remote))
			return true;
	}
	return false;
}

/* ---- rests ---- */

static void rest_append(struct inet_rest *r)
{
	r->until_ns = now_ns() + REST_NS;
	r->next = NULL;
	r->prev = INET->rest_last;
	*(r->prev ? &r->prev->next : &INET->rest_first) = r;
	INET->rest_last = r;
}

static void rest_remove(struct inet_rest *r)
{
	*(r->prev ? &r->prev->next : &INET->rest_first) = r->next;
	*(r->next ? &r->next->prev : &INET->rest_last) = r->prev;
}

struct inet_rest *inet_rest_create(struct inet_socket *i, struct tcp_socket *other)
{
	struct claim c = claim_of_socket(i);
	struct inet_rest *r = heap_alloc(sizeof(*r));

	/* A server that closes first leaves them all at its one port. */
	if (INET->rests >= RESTS_MAX)
		inet_rest_destroy(INET->rest_first);

	r->port.local = i->port.local;
	r->remote = i->remote;
	r->other = other;
	r->uid = c.uid;
	r->only_six = c.only_six;
	r->reuse = c.reuse;
	r->reuseport = c.reuseport;
	link_port(&INET->tcp, &r->port);
	rest_append(r);
	INET->rests++;
	return r;
}

void inet_rest_closed(struct inet_rest *r)
{
	r->other = NULL;
	rest_remove(r);
	rest_append(r);
}

void inet_rest_destroy(struct inet_rest *r)
{
	if (r->other)
		r->other->rest = NULL;
	unlink_port(&INET->tcp, &r->port);
	rest_remove(r);
	INET->rests--;
	heap_free(r);
}

void inet_rests_expire(void)
{
	while (INET->rest_first && INET->rest_first->until_ns <= now_ns())
		inet_rest_destroy(INET->rest_first);
}
