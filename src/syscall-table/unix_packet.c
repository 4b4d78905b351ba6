/*
 * AF_UNIX messages with bounds: SOCK_DGRAM and SOCK_SEQPACKET.
 *
 * A message lies in its receiver's queue and is charged to its sender's account: its bytes and
 * PACKET_COST more.  A sender with less than sndbuf in its account may send one more message, as
 * Linux counts, whose charge is the true size of its buffers.  A receiver that is not connected to
 * the sender takes UNIX_QLEN_MAX messages and one more.  What waits for room in a receiver's queue
 * waits on the receiver; its fans, for whom it is writable again, are told each.
 */
#include "unix_socket.h"

#define PACKET_COST  768u /* what Linux charges for a message of one byte */
#define PACKET_LESS  32u  /* the longest message is so much shorter than sndbuf */
#define PACKET_EVENT (POLLOUT | POLLWRNORM | POLLWRBAND)

/* ---- accounts ---- */

static struct unix_account *account_of(struct unix_socket *u)
{
	if (!u->account) {
		u->account = heap_alloc(sizeof(*u->account));
		u->account->owner = u;
	}
	return u->account;
}

static u64 account_cost(const struct unix_socket *u)
{
	return u->account ? u->account->cost : 0;
}

static bool account_is_light(const struct unix_socket *u)
{
	return account_cost(u) * 4 <= (u64)u->s.sndbuf;
}

static void account_free(struct unix_account *a)
{
	unix_name_put(a->name);
	heap_free(a);
}

void unix_account_close(struct unix_socket *u)
{
	struct unix_account *a = u->account;

	if (!a)
		return;
	a->owner = NULL;
	a->name = unix_name_hold(u->name);
	if (!a->packets)
		account_free(a);
}

/* What the sender is called now, or was last. */
static const struct unix_name *account_name(const struct unix_account *a)
{
	return a->owner ? a->owner->name : a->name;
}

static void account_return(struct unix_account *a, u64 cost)
{
	struct unix_socket *owner = a->owner;
	bool was_light = !owner || account_is_light(owner);

	a->cost -= cost;
	a->packets--;
	if (!owner && !a->packets)
		account_free(a);
	else if (!was_light && account_is_light(owner))
		socket_changed(&owner->s, PACKET_EVENT);
}

/* ---- queues ---- */

static bool queue_is_full(const struct unix_socket *u)
{
	return u->packets > UNIX_QLEN_MAX;
}

/* Whether the queue of `to` has no place for a message of `u`. */
static bool is_full_for(const struct unix_socket *to, const struct unix_socket *u)
{
	return to != u && to->peer != u && queue_is_full(to);
}

bool unix_packet_is_writable(const struct unix_socket *u)
{
	return account_is_light(u) && !(u->peer && is_full_for(u->peer, u));
}

static void packet_add(struct unix_socket *u, struct unix_packet *p)
{
	*(u->packet_last ? &u->packet_last->next : &u->packet_first) = p;
	u->packet_last = p;
	u->packets++;
	socket_changed_one(&u->s, POLLIN | POLLRDNORM);
}

static void packet_free(struct unix_packet *p)
{
	if (p->rights)
		unix_rights_drop(p->rights);
	account_return(p->account, p->cost);
	heap_free(p);
}

static void packet_unlink_first(struct unix_socket *u)
{
	struct unix_packet *p = u->packet_first;
	bool was_full = queue_is_full(u);

	u->packet_first = p->next;
	if (!p->next)
		u->packet_last = NULL;
	u->packets--;
	if (!was_full || queue_is_full(u))
		return;
	socket_changed(&u->s, UNIX_BIT_ROOM);
	for (struct unix_socket *fan = u->fans; fan; fan = fan->fan_next)
		socket_changed(&fan->s, PACKET_EVENT);
}

void unix_packets_clear(struct unix_socket *u)
{
	while (u->packet_first) {
		struct unix_packet *p = u->packet_first;
		packet_unlink_first(u);
		packet_free(p);
	}
}

/* ---- send ---- */

/* The connected peer, or, if that has gone, what it says to send there. */
static long find_peer(struct unix_socket *u, struct unix_socket **ret)
{
	*ret = u->peer;
	if (u->peer)
		return unix_may_send(u, u->peer) ? 0 : -EPERM;
	if (!u->peer_gone)
		return -ENOTCONN;
	if (unix_is_connecting(u))
		return -EPIPE;
	/* Told once: from now on it is not connected. */
	unix_peer_clear(u);
	u->state = UNIX_CLOSED;
	unix_dgram_leave(u, NULL);
	return -ECONNREFUSED;
}

static long find_receiver(struct task *t, struct unix_socket *u, const struct socket_msg *m,
			  struct unix_socket **ret)
{
	if (!m->to || !m->to->len)
		return find_peer(u, ret);
	long r = unix_find(t, m->to, u->s.type, ret);
	if (r < 0)
		return r;
	return unix_may_send(u, *ret) ? 0 : -EPERM;
}

static long own_check(struct task *t, struct unix_socket *u, const struct socket_msg *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	long r = socket_has_option(&u->s, SO_PASSCRED) ? unix_autobind(t, u) : 0;
	if (r < 0)
		return r;
	if (m->io.total > (u64)u->s.sndbuf - PACKET_LESS)
		return -EMSGSIZE;
	r = socket_take_error(&u->s);
	if (r < 0)
		return r;
	if (u->s.shut & SHUT_SEND)
		return -EPIPE;
	return account_cost(u) >= (u64)u->s.sndbuf ? -EAGAIN : 0;
}

static long packet_create(struct task *t, struct unix_socket *u, struct unix_socket *to,
			  const struct socket_msg *m, const struct unix_ancillary *a,
			  struct unix_packet **ret)
{
	u64 len = m->io.total;
	struct unix_packet *p = heap_alloc_unset(sizeof(*p) + len);

	*p = (struct unix_packet){.len = len, .cost = len + PACKET_COST, .time_ns = (s64)now_ns()};
	long r = io_take(t, &m->io, 0, p->bytes, len);
	if (!r)
		r = unix_rights_take(t, a, &p->rights);
	if (r < 0) {
		heap_free(p);
		return r;
	}
	p->cred = unix_cred_of(t, u, to, a);
	p->account = account_of(u);
	p->account->cost += p->cost;
	p->account->packets++;
	*ret = p;
	return 0;
}

static long packet_send(struct task *t, struct unix_socket *u, struct socket_msg *m,
			const struct unix_ancillary *a)
{
	struct unix_socket *to;
	struct unix_packet *p;
	long r = own_check(t, u, m);

	if (!r)
		r = find_receiver(t, u, m, &to);
	if (r < 0)
		return r;
	if (to->s.shut & SHUT_RECEIVE)
		return -EPIPE;
	if (is_full_for(to, u)) {
		m->wait = (struct socket_wait){socket_key(&to->s), UNIX_BIT_ROOM};
		return -EAGAIN;
	}
	r = packet_create(t, u, to, m, a, &p);
	if (r < 0)
		return r;
	packet_add(to, p);
	return (long)m->io.total;
}

static __attribute__((noinline)) long send_with_control(struct task *t, struct unix_socket *u,
							struct socket_msg *m)
{
	struct unix_ancillary a;
	long r = unix_ancillary_in(t, m, &a);

	return r < 0 ? r : packet_send(t, u, m, &a);
}

long unix_dgram_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	m->wait.events = POLLOUT;
	if (m->control)
		return send_with_control(t, unix_of(s), m);
	return packet_send(t, unix_of(s), m, NULL);
}

long unix_seqpacket_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	long r = socket_take_error(s);

	if (r < 0)
		return r;
	if (unix_of(s)->state != UNIX_CONNECTED)
		return -ENOTCONN;
	m->to = NULL;
	return unix_dgram_send(t, s, m);
}

/* ---- receive ---- */

static long receive_none(const struct unix_socket *u, const struct socket_msg *m)
{
	/* As Linux: a datagram socket that shut down ends only calls that would wait. */
	bool ends = u->s.shut & SHUT_RECEIVE && (unix_is_connecting(u) || !m->io.nowait);

	return ends ? 0 : -EAGAIN;
}

/* The message a receive is about, and from which of its bytes on (SO_PEEK_OFF). */
static struct unix_packet *packet_at(const struct unix_socket *u, const struct socket_msg *m,
				     u64 *ret_skip)
{
	struct unix_packet *p = u->packet_first;
	u64 skip = m->flags & MSG_PEEK && u->s.peek_off > 0 ? (u64)u->s.peek_off : 0;

	while (p && skip && skip >= p->len) {
		skip -= p->len;
		p = p->next;
	}
	*ret_skip = skip;
	return p;
}

static void peek_moved(struct unix_socket *u, const struct unix_packet *p, bool peek, u64 n)
{
	s64 off = u->s.peek_off;

	if (off < 0)
		return;
	off = peek ? off + (s64)n : off - (s64)p->len;
	u->s.peek_off = off < 0 ? 0 : (s32)off;
}

/* What the receiver is told besides the data. */
static void packet_tell(struct task *t, struct unix_socket *u, struct socket_msg *m,
			struct unix_packet *p)
{
	const struct unix_name *from = account_name(p->account);

	if (m->from && from)
		unix_name_show(from, m->from);
	socket_put_timestamp(t, &u->s, m, p->time_ns);
	unix_cred_give(t, &u->s, m, &p->cred);
	struct unix_rights *rights = p->rights;
	if (!(m->flags & MSG_PEEK))
		p->rights = NULL;
	if (rights)
		unix_rights_give(t, m, rights, m->flags & MSG_PEEK);
}

static long packet_receive(struct task *t, struct unix_socket *u, struct socket_msg *m)
{
	bool peek = m->flags & MSG_PEEK;
	u64 skip;
	struct unix_packet *p = packet_at(u, m, &skip);

	if (!p)
		return receive_none(u, m);
	u64 left = p->len - skip, n = m->io.total < left ? m->io.total : left;
	long r = io_give(t, &m->io, 0, p->bytes + skip, n);
	if (!r) {
		m->flags_out |= n < left ? MSG_TRUNC : 0;
		packet_tell(t, u, m, p);
		peek_moved(u, p, peek, n);
		r = (long)(m->flags & MSG_TRUNC ? left : n);
	}
	/* Even what could not be copied is gone. */
	if (!peek) {
		packet_unlink_first(u);
		packet_free(p);
	}
	return r;
}

long unix_dgram_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	m->wait.events = SOCKET_BIT_TURN;
	long r = socket_take_error(s);
	return r < 0 ? r : packet_receive(t, unix_of(s), m);
}

long unix_seqpacket_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	if (unix_of(s)->state != UNIX_CONNECTED)
		return -ENOTCONN;
	return unix_dgram_receive(t, s, m);
}
