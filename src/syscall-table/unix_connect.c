/*
 * AF_UNIX connections: pairs, connect, listen, accept, shutdown, and what ends them.
 *
 * A socket knows its peer, and the other way round all whose peer it is (fans): of a connection
 * that is one, of a datagram socket any number.  When a socket ends, every fan forgets it and keeps
 * its name, for getpeername.
 *
 * Invariants: u is in peer->fans exactly if u->peer is peer; a connection that waits to be accepted
 * is in its listener's list and has no description.
 */
#include "unix_socket.h"

/* ---- who is whose peer ---- */

void unix_peer_set(struct unix_socket *u, struct unix_socket *peer)
{
	u->peer = peer;
	u->peer_gone = false;
	u->fan_prev = NULL;
	u->fan_next = peer->fans;
	if (peer->fans)
		peer->fans->fan_prev = u;
	peer->fans = u;
}

void unix_peer_clear(struct unix_socket *u)
{
	struct unix_socket *peer = u->peer;

	unix_name_put(u->peer_name);
	u->peer_name = NULL;
	u->peer_gone = false;
	if (!peer)
		return;
	*(u->fan_prev ? &u->fan_prev->fan_next : &peer->fans) = u->fan_next;
	if (u->fan_next)
		u->fan_next->fan_prev = u->fan_prev;
	u->peer = NULL;
}

/* ---- credentials of a connection ---- */

/* SO_PEERCRED and SO_PEERGROUPS: the process as it is now. */
static void cred_set(struct task *t, struct unix_socket *u)
{
	const struct proc *p = proc_of(t);

	u->peer_cred = (struct unix_cred){(s32)p->pid, p->euid, p->egid};
	heap_free(u->peer_groups);
	u->peer_ngroups = p->ngroups;
	u->peer_groups = heap_alloc(sizeof(u32) * (p->ngroups + 1));
	memcpy(u->peer_groups, (void *)p->groups, sizeof(u32) * p->ngroups);
}

static void cred_copy(struct unix_socket *u, const struct unix_socket *from)
{
	u64 size = sizeof(*from->peer_groups) * from->peer_ngroups;

	u->peer_cred = from->peer_cred;
	heap_free(u->peer_groups);
	u->peer_ngroups = from->peer_ngroups;
	u->peer_groups = heap_alloc(size + sizeof(*u->peer_groups));
	memcpy(u->peer_groups, from->peer_groups, size);
}

long unix_pair(struct task *t, struct socket *a, struct socket *b)
{
	struct unix_socket *ua = unix_of(a), *ub = unix_of(b);

	unix_peer_set(ua, ub);
	unix_peer_set(ub, ua);
	ua->state = ub->state = UNIX_CONNECTED;
	cred_set(t, ua);
	cred_set(t, ub);
	return 0;
}

/* ---- listen, accept ---- */

long unix_listen(struct task *t, struct socket *s, u32 backlog)
{
	struct unix_socket *u = unix_of(s);

	if (!u->name || u->state == UNIX_CONNECTED)
		return -EINVAL;
	bool grown = backlog > u->backlog;
	u->backlog = backlog;
	u->state = UNIX_LISTENING;
	s->is_listening = true;
	cred_set(t, u);
	if (grown)
		socket_changed(s, UNIX_BIT_ROOM);
	return 0;
}

static bool backlog_is_full(const struct unix_socket *u)
{
	return u->pending > u->backlog;
}

static void pending_add(struct unix_socket *listener, struct unix_socket *u)
{
	*(listener->pending_last ? &listener->pending_last->pending_next
				 : &listener->pending_first) = u;
	listener->pending_last = u;
	listener->pending++;
	socket_changed_one(&listener->s, POLLIN | POLLRDNORM);
}

static struct unix_socket *pending_take(struct unix_socket *listener)
{
	struct unix_socket *u = listener->pending_first;

	if (!u)
		return NULL;
	listener->pending_first = u->pending_next;
	if (!u->pending_next)
		listener->pending_last = NULL;
	u->pending_next = NULL;
	listener->pending--;
	return u;
}

long unix_accept(struct task *t, struct socket *s, struct socket **ret)
{
	struct unix_socket *listener = unix_of(s);

	(void)t;
	if (listener->state != UNIX_LISTENING)
		return -EINVAL;
	long r = socket_take_error(s);
	if (r < 0)
		return r;
	bool was_full = backlog_is_full(listener);
	struct unix_socket *u = pending_take(listener);
	if (!u)
		return -EAGAIN;
	if (was_full)
		socket_changed(s, UNIX_BIT_ROOM);
	if (listener->pending)
		sched_key_wake(SCHED, socket_key(s), 1, SOCKET_BIT_TURN, SCHED_NONE);
	*ret = &u->s;
	return 0;
}

/* ---- connect ---- */

/* The server's end of a connection of `u`, waiting to be accepted. */
static void connect_to(struct task *t, struct unix_socket *u, struct unix_socket *listener)
{
	const struct socket *l = &listener->s;
	struct unix_socket *end = unix_of(socket_create(t, AF_UNIX, l->ops, l->type, l->protocol));

	end->s.options = l->options & (1ull << SO_PASSCRED | 1ull << SO_PASSSEC);
	end->name = unix_name_hold(listener->name);
	end->state = u->state = UNIX_CONNECTED;
	cred_set(t, end);
	cred_copy(u, listener);
	unix_peer_set(u, end);
	unix_peer_set(end, u);
	pending_add(listener, end);
	socket_changed(&u->s, POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* PASSCRED sockets have names, so that answers find them. */
static long autobind_if_asked(struct task *t, struct unix_socket *u)
{
	return socket_has_option(&u->s, SO_PASSCRED) ? unix_autobind(t, u) : 0;
}

static long listener_find(struct task *t, struct unix_socket *u, const struct socket_address *a,
			  struct unix_socket **ret)
{
	long r = autobind_if_asked(t, u);

	if (!r)
		r = unix_find(t, a, u->s.type, ret);
	if (r)
		return r;
	bool listens = (*ret)->state == UNIX_LISTENING && !((*ret)->s.shut & SHUT_RECEIVE);
	return listens ? 0 : -ECONNREFUSED;
}

long unix_connect_stream(struct task *t, struct socket *s, const struct socket_address *a,
			 struct socket_wait *wait, u32 tries)
{
	struct unix_socket *u = unix_of(s), *listener;
	long r = listener_find(t, u, a, &listener);

	(void)tries;
	if (r)
		return r;
	if (backlog_is_full(listener)) {
		*wait = (struct socket_wait){socket_key(&listener->s), UNIX_BIT_ROOM};
		return -EAGAIN;
	}
	if (u->state != UNIX_CLOSED)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
	connect_to(t, u, listener);
	return 0;
}

/* Only lost messages are an error (net/unix/af_unix.c, unix_dgram_disconnected). */
void unix_dgram_leave(struct unix_socket *u, struct unix_socket *old)
{
	if (!u->packets)
		return;
	unix_packets_clear(u);
	if (old && old->peer == u) {
		old->s.error = ECONNRESET;
		socket_changed(&old->s, SOCKET_ALL);
	}
}

static void dgram_set_peer(struct unix_socket *u, struct unix_socket *peer)
{
	struct unix_socket *old = u->peer;
	bool leaves = u->peer_gone || (old && old != peer);

	unix_peer_clear(u);
	if (peer)
		unix_peer_set(u, peer);
	if (leaves)
		unix_dgram_leave(u, old);
	socket_changed(&u->s, POLLOUT | POLLWRNORM | POLLWRBAND);
}

long unix_connect_dgram(struct task *t, struct socket *s, const struct socket_address *a,
			struct socket_wait *wait, u32 tries)
{
	struct unix_socket *u = unix_of(s), *peer = NULL;

	(void)wait;
	(void)tries;
	if (a->len < UNIX_ADDR_MIN)
		return -EINVAL;
	if (a->family == AF_UNSPEC) {
		u->state = UNIX_CLOSED;
		dgram_set_peer(u, NULL);
		return 0;
	}
	long r = autobind_if_asked(t, u);
	if (!r)
		r = unix_find(t, a, s->type, &peer);
	if (r)
		return r;
	if (!unix_may_send(u, peer))
		return -EPERM;
	u->state = peer->state = UNIX_CONNECTED;
	dgram_set_peer(u, peer);
	return 0;
}

/* ---- the end ---- */

static void shut_side(struct socket *s, u32 how)
{
	s->shut |= how;
	socket_changed(s, SOCKET_ALL | UNIX_BIT_ROOM);
}

long unix_shutdown(struct task *t, struct socket *s, u32 how)
{
	struct unix_socket *u = unix_of(s);

	(void)t;
	shut_side(s, how);
	if (u->peer && unix_is_connecting(u))
		shut_side(&u->peer->s, (how & SHUT_RECEIVE ? SHUT_SEND : 0) |
					       (how & SHUT_SEND ? SHUT_RECEIVE : 0));
	return 0;
}

static bool has_unread(const struct unix_socket *u)
{
	const struct unix_packet *p = u->packet_first;

	while (p && !p->len)
		p = p->next;
	return u->in.used || p;
}

/* Its peer ends; bytes that had not been read are an error. */
static void peer_ends(struct unix_socket *fan, struct unix_socket *u)
{
	bool unread = has_unread(u) || !u->s.ofd;

	unix_peer_clear(fan);
	fan->peer_gone = true;
	fan->peer_name = unix_name_hold(u->name);
	if (!unix_is_connecting(fan)) {
		socket_changed(&fan->s, POLLOUT | POLLWRNORM | POLLWRBAND);
		return;
	}
	if (unread)
		fan->s.error = ECONNRESET;
	shut_side(&fan->s, SHUT_BOTH);
}

void unix_disconnect_all(struct unix_socket *u)
{
	struct unix_socket *end;

	while (u->fans)
		peer_ends(u->fans, u);
	unix_peer_clear(u);
	while ((end = pending_take(u)))
		socket_destroy(&end->s);
	/* Who waits for room in a queue that goes finds another answer. */
	socket_changed(&u->s, UNIX_BIT_ROOM);
}
