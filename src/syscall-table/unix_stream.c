/*
 * AF_UNIX streams: bytes from one socket's send straight into the other's queue.
 *
 * Room is counted in bytes: a sender may have sndbuf bytes unread at its peer.  As Linux it counts
 * as writable while at most a quarter of that is unread (net/unix/af_unix.c, unix_writable), and
 * blocked senders are woken when it comes back to that, not at every byte read.  Linux counts the
 * true size of its buffers instead: there 278 writes of a byte fit, or 5 of 50,000 each; here
 * 212,992 bytes, however they are written.
 *
 * Bytes that came with descriptors or credentials are marked as parts (struct unix_part).  A
 * receive stops behind the descriptors it took, and where the credentials change, if it shows them,
 * as Linux does.  MSG_OOB is refused (EOPNOTSUPP), as by a kernel without CONFIG_AF_UNIX_OOB.
 */
#include "unix_socket.h"

/* Of Linux's buffers: descriptors belong to so many bytes of a send (unix_stream_sendmsg). */
#define PART_MAX  36544u
#define PART_LESS 64u

bool unix_stream_is_writable(const struct unix_socket *u)
{
	return !u->peer || u->peer->in.used * 4 <= (u64)u->s.sndbuf;
}

/* ---- parts ---- */

static u64 stream_end(const struct unix_socket *u)
{
	return u->in.taken + u->in.used;
}

/* Marks the last `n` bytes. */
static void part_add(struct unix_socket *u, u64 n, const struct unix_cred *cred,
		     struct unix_rights *rights)
{
	struct unix_part *part = heap_alloc(sizeof(*part));

	part->end = stream_end(u);
	part->begin = part->end - n;
	part->cred = *cred;
	part->rights = rights;
	*(u->part_last ? &u->part_last->next : &u->part_first) = part;
	u->part_last = part;
}

/* The same, as more of the last part if that is alike. */
static void part_extend(struct unix_socket *u, u64 n, const struct unix_cred *cred)
{
	struct unix_part *last = u->part_last;

	if (last && !last->rights && last->end == stream_end(u) - n &&
	    unix_cred_is_same(&last->cred, cred))
		last->end += n;
	else if (!unix_cred_is_same(cred, &unix_no_cred))
		part_add(u, n, cred, NULL);
}

static void part_drop_first(struct unix_socket *u)
{
	struct unix_part *part = u->part_first;

	u->part_first = part->next;
	if (!part->next)
		u->part_last = NULL;
	if (part->rights)
		unix_rights_drop(part->rights);
	heap_free(part);
}

void unix_stream_clear(struct unix_socket *u)
{
	while (u->part_first)
		part_drop_first(u);
	byte_queue_clear(&u->in);
}

/* ---- send ---- */

static u64 room_of(const struct unix_socket *u)
{
	u64 used = u->peer->in.used, size = (u64)u->s.sndbuf;

	return used < size ? size - used : 0;
}

static long send_check(const struct unix_socket *u, const struct socket_msg *m)
{
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (m->to && m->to->len)
		return u->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
	if (!u->peer && !u->peer_gone)
		return -ENOTCONN;
	if (u->s.shut & SHUT_SEND || !u->peer || u->peer->s.shut & SHUT_RECEIVE)
		return -EPIPE;
	return 0;
}

/* How many of `n` bytes the descriptors belong to. */
static u64 part_size(const struct unix_socket *u, u64 n)
{
	u64 most = (u64)u->s.sndbuf / 2 - PART_LESS;

	if (most > PART_MAX)
		most = PART_MAX;
	return n < most ? n : most;
}

/* Up to `n` bytes with what they carry; how many. */
static long send_marked(struct task *t, struct unix_socket *u, const struct socket_msg *m,
			const struct unix_ancillary *a, u64 n)
{
	struct unix_cred cred = unix_cred_of(t, u, u->peer, a);
	struct unix_rights *rights = NULL;

	/* Descriptors go with the first bytes of the call. */
	long r = m->done ? 0 : unix_rights_take(t, a, &rights);
	if (r < 0)
		return r;
	if (rights)
		n = part_size(u, n);
	r = byte_queue_put(t, &u->peer->in, &m->io, m->done, n);
	if (r < 0) {
		if (rights)
			unix_rights_drop(rights);
		return r;
	}
	if (rights)
		part_add(u->peer, n, &cred, rights);
	else
		part_extend(u->peer, n, &cred);
	return (long)n;
}

/* Whether bytes from u to its peer are to be marked at all. */
static bool is_plain(const struct unix_socket *u, const struct socket_msg *m)
{
	const struct socket *peer = &u->peer->s;

	return !m->control && peer->ofd && !u->peer->part_last &&
	       !socket_has_option(&u->s, SO_PASSCRED) && !socket_has_option(peer, SO_PASSCRED);
}

static long send_bytes(struct task *t, struct unix_socket *u, const struct socket_msg *m,
		       const struct unix_ancillary *a, u64 n)
{
	if (!is_plain(u, m))
		return send_marked(t, u, m, a, n);
	long r = byte_queue_put(t, &u->peer->in, &m->io, m->done, n);
	return r < 0 ? r : (long)n;
}

static long stream_send(struct task *t, struct unix_socket *u, struct socket_msg *m,
			const struct unix_ancillary *a)
{
	long r = send_check(u, m);

	while (!r && m->done < m->io.total) {
		u64 left = m->io.total - m->done, room = room_of(u);
		if (!room)
			return -EAGAIN;
		long n = send_bytes(t, u, m, a, left < room ? left : room);
		if (n < 0)
			return n;
		m->done += (u64)n;
		socket_changed(&u->peer->s, POLLIN | POLLRDNORM);
	}
	return r ? r : (long)m->done;
}

/* Apart, because it takes a kilobyte of the stack. */
static __attribute__((noinline)) long send_with_control(struct task *t, struct unix_socket *u,
							struct socket_msg *m)
{
	struct unix_ancillary a;
	long r = unix_ancillary_in(t, m, &a);

	return r < 0 ? r : stream_send(t, u, m, &a);
}

long unix_stream_send(struct task *t, struct socket *s, struct socket_msg *m)
{
	if (m->control)
		return send_with_control(t, unix_of(s), m);
	return stream_send(t, unix_of(s), m, NULL);
}

/* ---- receive ---- */

static void consumed(struct unix_socket *u, u64 n)
{
	struct unix_socket *peer = u->peer;
	bool was_writable = !peer || unix_stream_is_writable(peer);

	byte_queue_drop(&u->in, n);
	while (u->part_first && u->part_first->end <= u->in.taken)
		part_drop_first(u);
	if (!was_writable && unix_stream_is_writable(peer))
		socket_changed(&peer->s, POLLOUT | POLLWRNORM | POLLWRBAND);
}

/* How many bytes the call wants before it returns. */
static u64 target_of(const struct unix_socket *u, const struct socket_msg *m)
{
	u64 lowat = (u64)u->s.rcvlowat;

	return m->flags & MSG_WAITALL || lowat > m->io.total ? m->io.total : lowat;
}

/* No bytes are left, and the call wants more. */
static long receive_empty(struct task *t, struct unix_socket *u, struct socket_msg *m)
{
	long r = socket_take_error(&u->s);

	if (m->done)
		return u->s.shut & SHUT_RECEIVE ? (long)m->done : -EAGAIN;
	if (r)
		return r;
	if (!(u->s.shut & SHUT_RECEIVE))
		return -EAGAIN;
	static const struct unix_cred none;
	unix_cred_give(t, &u->s, m, &none);
	return 0;
}

/* The part that byte `skip` of the queue is in (NULL: none), and how many bytes it goes on. */
static struct unix_part *part_at(const struct unix_socket *u, u64 skip, u64 *ret_size)
{
	struct unix_part *part = u->part_first;
	u64 at = u->in.taken + skip;

	while (part && part->end <= at)
		part = part->next;
	if (part && part->begin <= at) {
		*ret_size = part->end - at;
		return part;
	}
	*ret_size = (part ? part->begin : stream_end(u)) - at;
	return NULL;
}

/* What a call's first bytes say of their sender: its address, its credentials. */
static void tell_sender(struct task *t, struct unix_socket *u, struct socket_msg *m,
			const struct unix_cred *cred)
{
	const struct unix_name *name = u->peer ? u->peer->name : u->peer_name;

	if (m->from && name)
		unix_name_show(name, m->from);
	unix_cred_give(t, &u->s, m, cred);
	m->memory[0] = (u64)cred->uid << 32 | (u32)cred->pid;
	m->memory[1] = cred->gid;
}

static bool is_same_sender(const struct unix_socket *u, const struct socket_msg *m,
			   const struct unix_cred *cred)
{
	return !socket_has_option(&u->s, SO_PASSCRED) ||
	       (m->memory[0] == ((u64)cred->uid << 32 | (u32)cred->pid) &&
		m->memory[1] == cred->gid);
}

/* Bytes of one part, or between two.  1: the call ends here; 0: it may take more. */
static long receive_part(struct task *t, struct unix_socket *u, struct socket_msg *m, u64 *skip)
{
	u64 left = m->io.total - m->done, n;
	struct unix_part *part = part_at(u, *skip, &n);
	const struct unix_cred *cred = part ? &part->cred : &unix_no_cred;

	if (m->done && !is_same_sender(u, m, cred))
		return 1;
	if (n > left)
		n = left;
	long r = byte_queue_give(t, &u->in, *skip, &m->io, m->done, n);
	if (r < 0)
		return r;
	if (!m->done)
		tell_sender(t, u, m, cred);
	m->done += n;
	struct unix_rights *rights = part ? part->rights : NULL;
	if (m->flags & MSG_PEEK) {
		*skip += n;
	} else {
		if (part)
			part->rights = NULL;
		consumed(u, n);
	}
	if (rights)
		unix_rights_give(t, m, rights, m->flags & MSG_PEEK);
	return rights != NULL;
}

/* SO_PEEK_OFF: peeks go on where the last one ended, reads take it back. */
static void peek_moved(struct unix_socket *u, bool peek, u64 n)
{
	s64 off = u->s.peek_off;

	if (off < 0)
		return;
	off = peek ? off + (s64)n : off - (s64)n;
	u->s.peek_off = off < 0 ? 0 : (s32)off;
}

/* A peek that got all it wanted looks on for descriptors, as Linux's does, up to other senders'. */
static void peek_rights(struct task *t, struct unix_socket *u, struct socket_msg *m, u64 skip)
{
	struct unix_part *part = u->part_first;

	while (part && (part->begin < u->in.taken + skip ||
			(!part->rights && is_same_sender(u, m, &part->cred))))
		part = part->next;
	if (part && part->rights && is_same_sender(u, m, &part->cred))
		unix_rights_give(t, m, part->rights, true);
}

static long receive_parts(struct task *t, struct unix_socket *u, struct socket_msg *m, u64 skip)
{
	u64 before = m->done;
	bool peek = m->flags & MSG_PEEK;
	long r = 0;

	/* Once for no bytes too: that takes the descriptors of the first. */
	do
		r = receive_part(t, u, m, &skip);
	while (!r && u->in.used > skip && m->done < m->io.total);
	if (r < 0 && m->done == before)
		return r;
	if (peek && !r)
		peek_rights(t, u, m, skip);
	peek_moved(u, peek, m->done - before);
	if (r || peek || m->done >= target_of(u, m))
		return (long)m->done;
	return receive_empty(t, u, m);
}

long unix_stream_receive(struct task *t, struct socket *s, struct socket_msg *m)
{
	struct unix_socket *u = unix_of(s);
	u64 skip = m->flags & MSG_PEEK && s->peek_off > 0 ? (u64)s->peek_off : 0;

	if (u->state != UNIX_CONNECTED)
		return -EINVAL;
	if (m->flags & MSG_OOB)
		return -EOPNOTSUPP;
	if (u->in.used <= skip)
		return receive_empty(t, u, m);
	return receive_parts(t, u, m, skip);
}
