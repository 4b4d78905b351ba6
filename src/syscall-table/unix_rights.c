/*
 * What AF_UNIX messages carry besides bytes: credentials and descriptors (SCM_RIGHTS).
 *
 * A descriptor in flight is a reference to its description; nothing more for objects of the shim,
 * whose numbers are duplicates of SHIM_FD_HOLDER anyway.  What the kernel has open (files,
 * directories) travels through the carrier, a pair of sockets of the host that every process of the
 * container inherits: each set in flight that has such a descriptor is one datagram in it, by its
 * key, all its descriptors in order.  Whoever takes a set reads the carrier until its key comes and
 * puts the others back at the end; mostly it is the first.  All under the turn.  There is room for
 * CARRIED_MAX sets and CARRIED_FDS_MAX descriptors, then ETOOMANYREFS, as Linux answers at a limit
 * of its own.
 *
 * A socket that is in flight in queues nobody can reach any more (its own, say) is found by looking
 * at who is in whose queue, when a reference to a socket in flight goes; as Linux's
 * net/unix/garbage.c.
 *
 * Owns READY->unix_*.  Dropped sets are put on a list and their references given back by the
 * outermost call (settle), since each may end a socket whose queue holds more: no recursion.
 */
#include "credentials.h"
#include "unix_socket.h"
#include "wait.h"

#define SCM_RIGHTS	1
#define SCM_CREDENTIALS 2
#define OVERFLOW_CRED	65534u
#define CARRIED_MAX	200u  /* sets: the carrier's buffer has room for 270 */
#define CARRIED_FDS_MAX 1000u /* a user of the host may have as many in flight as open files */
#define KERNEL_CMSG_MAX (sizeof(struct socket_cmsg) + UNIX_FDS_MAX * sizeof(s32) + 8)

const struct unix_cred unix_no_cred = {0, OVERFLOW_CRED, OVERFLOW_CRED};

/* ---- credentials ---- */

struct unix_cred unix_own_cred(struct task *t)
{
	const struct proc *p = proc_of(t);

	return (struct unix_cred){(s32)p->pid, p->uid, p->gid};
}

/* net/core/scm.c, scm_check_creds. */
static long cred_check(struct task *t, const struct unix_cred *c)
{
	const struct proc *p = proc_of(t);
	bool uid_ok = c->uid == p->uid || c->uid == p->euid || c->uid == p->suid ||
		      capable(t, CAP_SETUID);
	bool gid_ok = c->gid == p->gid || c->gid == p->egid || c->gid == p->sgid ||
		      capable(t, CAP_SETGID);
	bool own = c->pid == (s32)p->pid;

	if (c->uid == ~0u || c->gid == ~0u)
		return -EINVAL;
	if (!uid_ok || !gid_ok || !(own || capable(t, CAP_SYS_ADMIN)))
		return -EPERM;
	return own || proc_find_pid((u32)c->pid) != NONE ? 0 : -ESRCH;
}

struct unix_cred unix_cred_of(struct task *t, const struct unix_socket *u,
			      const struct unix_socket *to, const struct unix_ancillary *a)
{
	if (a && a->has_cred)
		return a->cred;
	/* Whether a connection that waits to be accepted will ask is not known yet. */
	if (!to->s.ofd || socket_has_option(&to->s, SO_PASSCRED) ||
	    socket_has_option(&u->s, SO_PASSCRED))
		return unix_own_cred(t);
	return unix_no_cred;
}

void unix_cred_give(struct task *t, struct socket *s, struct socket_msg *m,
		    const struct unix_cred *cred)
{
	if (!socket_has_option(s, SO_PASSCRED))
		return;
	if (m->control_out && m->control_out->room)
		socket_control_put(t, m, SOL_SOCKET, SCM_CREDENTIALS, cred, sizeof(*cred));
	else
		m->flags_out |= MSG_CTRUNC;
}

/* ---- what the sender gave ---- */

static long fds_in(struct task *t, const struct socket_cmsg *c, struct unix_ancillary *ret)
{
	u64 count = (c->len - sizeof(*c)) / sizeof(s32);

	if (count > UNIX_FDS_MAX - ret->count)
		return -EINVAL;
	memcpy(ret->fds + ret->count, c->data, count * sizeof(s32));
	for (u64 i = 0; i < count; i++) {
		if (!fd_get(t, (u32)ret->fds[ret->count + i]))
			return -EBADF;
	}
	ret->count += (u32)count;
	return 0;
}

static long cred_in(struct task *t, const struct socket_cmsg *c, struct unix_ancillary *ret)
{
	if (c->len != sizeof(*c) + sizeof(ret->cred))
		return -EINVAL;
	memcpy(&ret->cred, c->data, sizeof(ret->cred));
	ret->has_cred = true;
	return cred_check(t, &ret->cred);
}

long unix_ancillary_in(struct task *t, const struct socket_msg *m, struct unix_ancillary *ret)
{
	const struct socket_cmsg *c = NULL;
	long r = 0;

	ret->has_cred = false;
	ret->count = 0;
	while (!r && (c = socket_cmsg_next(m, c, &r))) {
		if (c->level != SOL_SOCKET)
			continue;
		if (c->type == SCM_RIGHTS)
			r = fds_in(t, c, ret);
		else
			r = c->type == SCM_CREDENTIALS ? cred_in(t, c, ret) : -EINVAL;
	}
	return r;
}

/* ---- the carrier ---- */

void unix_carrier_init(void)
{
	s32 pair[2];

	SHIM_ASSERT(SYS4(NR_socketpair, AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
	for (u32 i = 0; i < 2; i++) {
		SHIM_ASSERT(SYS3(NR_dup3, pair[i], SHIM_FD_CARRIER + i, 0) >= 0);
		SYS1(NR_close, pair[i]);
	}
}

/* The host's struct msghdr is the app's, and so are its control messages. */
struct carrier_msg {
	u64 name, name_len, iov, iov_count, control, control_len, flags;
	struct user_iov part;
	u64 key;
	_Alignas(8) u8 bytes[KERNEL_CMSG_MAX];
};

static struct socket_cmsg *carrier_msg_init(struct carrier_msg *c)
{
	*(u64 *)c->bytes = 0;
	c->name = c->name_len = c->flags = 0;
	c->part = (struct user_iov){(u64)&c->key, sizeof(c->key)};
	c->iov = (u64)&c->part;
	c->iov_count = 1;
	c->control = (u64)c->bytes;
	c->control_len = sizeof(c->bytes);
	return (struct socket_cmsg *)c->bytes;
}

static void carrier_put(u64 key, const s32 *fds, u32 count)
{
	struct carrier_msg c;
	struct socket_cmsg *head = carrier_msg_init(&c);

	c.key = key;
	head->len = sizeof(*head) + count * sizeof(*fds);
	head->level = SOL_SOCKET;
	head->type = SCM_RIGHTS;
	memcpy(head->data, fds, count * sizeof(*fds));
	c.control_len = (head->len + 7) & ~7ull;
	long r = SYS3(NR_sendmsg, SHIM_FD_CARRIER, &c, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (r < 0)
		shim_host_failed("cannot pass descriptors between processes");
}

/* The next datagram; its descriptors become the lowest free numbers. */
static u64 carrier_get(s32 *ret_fds, u32 *ret_count, u32 flags)
{
	struct carrier_msg c;
	struct socket_cmsg *head = carrier_msg_init(&c);

	long r = SYS3(NR_recvmsg, SHIM_FD_CARRIER + 1, &c, MSG_DONTWAIT | flags);
	SHIM_ASSERT(r == sizeof(c.key) && c.control_len >= sizeof(*head));
	if (c.flags & MSG_CTRUNC)
		shim_host_failed("no descriptors left");
	*ret_count = (u32)((head->len - sizeof(*head)) / sizeof(*ret_fds));
	memcpy(ret_fds, head->data, *ret_count * sizeof(*ret_fds));
	return c.key;
}

static void fds_close(const s32 *fds, u32 first, u32 count)
{
	for (u32 i = first; i < count; i++)
		SYS1(NR_close, fds[i]);
}

/* The set's descriptors as fresh numbers. */
static void carrier_take(u64 key, s32 *ret_fds, u32 flags)
{
	u32 count;

	for (u32 tries = READY->unix_carried;; tries--) {
		SHIM_ASSERT(tries);
		u64 got = carrier_get(ret_fds, &count, flags);
		if (got == key)
			return;
		carrier_put(got, ret_fds, count);
		fds_close(ret_fds, 0, count);
	}
}

/* ---- taking and giving ---- */

/* Whether its numbers are duplicates of SHIM_FD_HOLDER; others, or unknown ones, have to travel. */
static bool is_held(u32 kind)
{
	static const bool held[OFD_KIND_COUNT] = {
		[OFD_NULL] = true,	 [OFD_ZERO] = true,	  [OFD_FULL] = true,
		[OFD_RANDOM] = true,	 [OFD_STREAM_OUT] = true, [OFD_STREAM_NULL] = true,
		[OFD_CHANNEL_IN] = true, [OFD_PIPE_READ] = true,  [OFD_PIPE_WRITE] = true,
		[OFD_FIFO] = true,	 [OFD_EVENTFD] = true,	  [OFD_EPOLL] = true,
		[OFD_SOCKET] = true,
	};

	return held[kind];
}

static struct unix_socket *unix_of_ofd(const struct ofd *o)
{
	bool is_unix = o->kind == OFD_SOCKET && socket_of(o)->family == AF_UNIX;

	return is_unix ? unix_of(socket_of(o)) : NULL;
}

static void inflight_count(const struct ofd *o, s32 by)
{
	struct unix_socket *u = unix_of_ofd(o);

	if (u)
		u->inflight += (u32)by;
}

long unix_rights_take(struct task *t, const struct unix_ancillary *a, struct unix_rights **ret)
{
	bool carried = false;

	*ret = NULL;
	if (!a || !a->count)
		return 0;
	for (u32 i = 0; i < a->count; i++)
		carried |= !is_held(fd_get(t, (u32)a->fds[i])->kind);
	if (carried && (READY->unix_carried == CARRIED_MAX ||
			READY->unix_carried_fds + a->count > CARRIED_FDS_MAX))
		return -ETOOMANYREFS;
	struct unix_rights *r = heap_alloc(sizeof(*r) + a->count * sizeof(*r->ofds));
	r->count = a->count;
	for (u32 i = 0; i < a->count; i++) {
		struct ofd *o = fd_get(t, (u32)a->fds[i]);
		ofd_hold(o);
		inflight_count(o, 1);
		r->ofds[i] = ofd_index(o);
	}
	if (carried) {
		r->key = ++READY->unix_key;
		READY->unix_carried++;
		READY->unix_carried_fds += a->count;
		carrier_put(r->key, a->fds, a->count);
	}
	*ret = r;
	return 0;
}

/* Numbers for the first `want` of them; how many there are. */
static u32 install_held(struct task *t, const struct unix_rights *r, u32 want, u32 flags, s32 *fds)
{
	for (u32 i = 0; i < want; i++) {
		ofd_hold(ofd_at(r->ofds[i]));
		long fd = fd_install(t, r->ofds[i], flags);
		if (fd < 0)
			return i;
		fds[i] = (s32)fd;
	}
	return want;
}

static void carried_less(const struct unix_rights *r)
{
	READY->unix_carried--;
	READY->unix_carried_fds -= r->count;
}

static u32 install_carried(struct task *t, const struct unix_rights *r, u32 want, u32 flags,
			   s32 *fds, bool peek)
{
	u32 done = 0;

	carrier_take(r->key, fds, flags & O_CLOEXEC ? MSG_CMSG_CLOEXEC : 0);
	if (peek)
		carrier_put(r->key, fds, r->count);
	else
		carried_less(r);
	while (done < want) {
		ofd_hold(ofd_at(r->ofds[done]));
		if (fd_install_host(t, fds[done], r->ofds[done], flags) < 0)
			break;
		done++;
	}
	/* The one that was not installed is closed already. */
	fds_close(fds, done < want ? done + 1 : done, r->count);
	return done;
}

/* The references of a set that is in flight no longer. */
static void rights_free(struct unix_rights *r)
{
	for (u32 i = 0; i < r->count; i++) {
		inflight_count(ofd_at(r->ofds[i]), -1);
		ofd_put(ofd_at(r->ofds[i]));
	}
	heap_free(r);
}

void unix_rights_give(struct task *t, struct socket_msg *m, struct unix_rights *r, bool peek)
{
	u64 room = socket_control_room(m) / sizeof(s32);
	u32 flags = m->flags & MSG_CMSG_CLOEXEC ? O_CLOEXEC : 0;
	u32 want = room < r->count ? (u32)room : r->count;
	s32 fds[UNIX_FDS_MAX];

	u32 done = r->key ? install_carried(t, r, want, flags, fds, peek)
			  : install_held(t, r, want, flags, fds);
	if (done)
		socket_control_put(t, m, SOL_SOCKET, SCM_RIGHTS, fds, done * sizeof(*fds));
	if (done < r->count)
		m->flags_out |= MSG_CTRUNC;
	if (!peek)
		rights_free(r);
}

/* ---- sockets in flight that nobody can reach ---- */

typedef void queue_visit(struct unix_rights *r);

/* All sets in the queue of one socket, and of connections that wait at it. */
static void queue_each(const struct unix_socket *u, queue_visit *visit)
{
	for (const struct unix_part *p = u->part_first; p; p = p->next) {
		if (p->rights)
			visit(p->rights);
	}
	for (const struct unix_packet *p = u->packet_first; p; p = p->next) {
		if (p->rights)
			visit(p->rights);
	}
	for (const struct unix_socket *e = u->pending_first; e; e = e->pending_next)
		queue_each(e, visit);
}

static struct unix_socket *next_unix(struct socket *s)
{
	while (s && s->family != AF_UNIX)
		s = s->next;
	return s ? unix_of(s) : NULL;
}

/* Only messages name it. */
static bool is_candidate(const struct unix_socket *u)
{
	return u->inflight && ofd_at(u->s.ofd)->refs == u->inflight;
}

/* `reached` counts a candidate's places in queues; those of candidates are taken off again. */
static void visit_candidate(struct unix_rights *r)
{
	for (u32 i = 0; i < r->count; i++) {
		struct unix_socket *u = unix_of_ofd(ofd_at(r->ofds[i]));
		if (u && is_candidate(u))
			u->reached--;
	}
}

static void visit_reached(struct unix_rights *r)
{
	for (u32 i = 0; i < r->count; i++) {
		struct unix_socket *u = unix_of_ofd(ofd_at(r->ofds[i]));
		if (u && is_candidate(u) && !u->reached)
			u->reached = 1;
	}
}

#define WALKED 0x80000000u /* in `reached`: its queue was looked through */

/* Whoever is in the queue of a reached one is reached; true if there was one to look at. */
static bool spread(void)
{
	bool any = false;

	for (struct unix_socket *u = next_unix(socket_first()); u; u = next_unix(u->s.next)) {
		if (!is_candidate(u) || !u->reached || u->reached & WALKED)
			continue;
		u->reached |= WALKED;
		queue_each(u, visit_reached);
		any = true;
	}
	return any;
}

static void collect(void)
{
	struct unix_socket *u;

	for (u = next_unix(socket_first()); u; u = next_unix(u->s.next))
		u->reached = u->inflight;
	for (u = next_unix(socket_first()); u; u = next_unix(u->s.next)) {
		if (is_candidate(u))
			queue_each(u, visit_candidate);
	}
	while (spread())
		continue;
}

/* Empties the queue of a socket that nobody can reach; its own end follows from that. */
static void queue_drop(struct unix_socket *u)
{
	unix_stream_clear(u);
	unix_packets_clear(u);
	for (struct unix_socket *e = u->pending_first; e; e = e->pending_next)
		queue_drop(e);
}

static void drop_unreached(void)
{
	struct unix_socket *u;

	collect();
	for (u = next_unix(socket_first()); u; u = next_unix(u->s.next)) {
		if (is_candidate(u) && !u->reached)
			queue_drop(u);
	}
}

/* ---- dropping ---- */

static void carrier_drop(const struct unix_rights *r)
{
	s32 fds[UNIX_FDS_MAX];

	carrier_take(r->key, fds, 0);
	fds_close(fds, 0, r->count);
	carried_less(r);
}

/* Gives back what is on the list, then looks who cannot be reached any more; until nothing is. */
static void settle(void)
{
	READY->unix_dropping = true;
	while (READY->unix_dropped || READY->unix_suspect) {
		struct unix_rights *r = READY->unix_dropped;
		if (!r) {
			READY->unix_suspect = false;
			drop_unreached();
			continue;
		}
		READY->unix_dropped = r->next;
		if (r->key)
			carrier_drop(r);
		rights_free(r);
	}
	READY->unix_dropping = false;
}

void unix_rights_drop(struct unix_rights *r)
{
	r->next = READY->unix_dropped;
	READY->unix_dropped = r;
	if (!READY->unix_dropping)
		settle();
}

void unix_reference_gone(struct socket *s)
{
	if (!is_candidate(unix_of(s)))
		return;
	READY->unix_suspect = true;
	if (!READY->unix_dropping)
		settle();
}
