/*
 * Sockets: their life, the calls on addresses and connections, and what they do as files.
 *
 * Owns READY->sockets.  Invariants: a socket is in the list from socket_create to its end; a
 * description of kind OFD_SOCKET has exactly one socket, and that socket its index.
 */
#include <asm/ioctls.h>
#include <asm/stat.h>
#include "credentials.h"
#include "netlink.h"
#include "unix_socket.h"
#include "../shim/signal.h"

#define FAMILIES_MAX 46u /* numbers the kernel has families for */

static const struct socket_family *const families[] = {
	&unix_family,
	&inet_family,
	&inet6_family,
	&netlink_family,
};

/* ---- life ---- */

struct socket *socket_first(void)
{
	return READY->sockets;
}

struct socket *socket_create(struct task *t, u32 family, const struct socket_ops *ops, u32 type,
			     u32 protocol)
{
	struct socket *s = heap_alloc(ops->size);

	s->ops = ops;
	s->family = (u16)family;
	s->type = (u16)type;
	s->protocol = protocol;
	s->sndbuf = s->rcvbuf = SOCKET_BUFFER;
	s->rcvlowat = 1;
	s->peek_off = -1;
	s->receive_timeout_ns = s->send_timeout_ns = SCHED_NEVER;
	s->uid = proc_of(t)->fsuid;
	s->gid = proc_of(t)->fsgid;
	s->ino = READY_FIRST_INO + READY->next_ino++;
	s->mode = 0777;
	s->born_ns = (s64)now_ns();
	s->next = READY->sockets;
	if (s->next)
		s->next->prev = s;
	READY->sockets = s;
	return s;
}

void socket_destroy(struct socket *s)
{
	if (s->ops->release)
		s->ops->release(s);
	*(s->prev ? &s->prev->next : &READY->sockets) = s->next;
	if (s->next)
		s->next->prev = s->prev;
	heap_free(s);
}

struct socket *socket_find(u64 ino)
{
	struct socket *s = READY->sockets;

	while (s && s->ino != ino)
		s = s->next;
	return s;
}

/* Gives a socket, which ends on failure, a description and that a number. */
static long install(struct task *t, struct socket *s, u32 flags)
{
	long index = ofd_create(OFD_SOCKET, O_RDWR | (flags & O_NONBLOCK));

	if (index < 0) {
		socket_destroy(s);
		return index;
	}
	ofd_at((u32)index)->state = s;
	s->ofd = (u32)index;
	return fd_install(t, (u32)index, flags & O_CLOEXEC);
}

void socket_changed(struct socket *s, u32 events)
{
	ready_changed(socket_key(s), events);
}

void socket_changed_one(struct socket *s, u32 events)
{
	sched_key_wake(SCHED, socket_key(s), 1, SOCKET_BIT_TURN, SCHED_NONE);
	ready_changed(socket_key(s), events);
}

long socket_take_error(struct socket *s)
{
	long error = s->error;

	s->error = 0;
	return -error;
}

/* ---- waiting ---- */

u64 socket_limit(u64 timeout_ns)
{
	return timeout_ns == SCHED_NEVER ? SCHED_NEVER : now_ns() + timeout_ns;
}

long socket_park(struct task *t, const struct socket_wait *w, u64 limit_ns)
{
	if (now_ns() >= limit_ns)
		return -EAGAIN;
	if (sched_wait_add(SCHED, t->index, w->key, w->events, 0) < 0)
		return -ENOMEM;
	long r = turn_park(t, limit_ns);
	if (r == SCHED_TIMEOUT)
		return -EAGAIN;
	if (r != -EINTR)
		return 0;
	return limit_ns == SCHED_NEVER ? -ERESTARTSYS : -EINTR;
}

/* ---- addresses ---- */

long socket_address_in(struct task *t, u64 user, s32 len, struct socket_address *ret)
{
	if (len < 0 || (u32)len > SOCKET_ADDRESS_MAX)
		return -EINVAL;
	ret->len = (u32)len;
	ret->family = AF_UNSPEC;
	if (user_copy_in(ret->bytes, user, (u64)len))
		return -EFAULT;
	digest_bytes(t, ret->bytes, (u64)len);
	return 0;
}

/* net/socket.c, move_addr_to_user: cut to the room, but the length is the whole one. */
long socket_address_out(struct task *t, const struct socket_address *a, u64 user, u64 user_len)
{
	s32 room, len = (s32)a->len;

	if (user_get(room, user_len))
		return -EFAULT;
	digest_u64(t, (u64)room);
	if (room < 0)
		return -EINVAL;
	if (room > len)
		room = len;
	digest_bytes(t, a->bytes, (u64)room);
	if (user_copy_out(user, a->bytes, (u64)room) || user_put(user_len, len))
		return -EFAULT;
	return 0;
}

/* The socket a number names; its description too. */
static struct socket *socket_get(struct task *t, u64 fd, struct ofd **ret, long *ret_error)
{
	struct ofd *o = fd_get_io(t, (u32)fd);

	*ret_error = o ? -ENOTSOCK : -EBADF;
	*ret = o;
	return o && o->kind == OFD_SOCKET ? socket_of(o) : NULL;
}

/* ---- socket, socketpair ---- */

static long family_create(struct task *t, s32 family, u32 type, u32 protocol, struct socket **ret)
{
	if ((u32)family >= FAMILIES_MAX)
		return -EAFNOSUPPORT;
	if (type >= SOCK_TYPES)
		return -EINVAL;
	for (u32 i = 0; i < sizeof(families) / sizeof(*families); i++) {
		if (families[i]->family == (u32)family)
			return families[i]->create(t, type, protocol, ret);
	}
	HEAD->refused_count[NR_socket]++;
	return -EAFNOSUPPORT;
}

static bool type_flags_are_wrong(u32 type)
{
	return type & ~(u32)(SOCK_TYPE_MASK | O_CLOEXEC | O_NONBLOCK);
}

long sys_socket(struct task *t, struct frame *f)
{
	u32 type = (u32)f->arg[1];
	struct socket *s;

	if (type_flags_are_wrong(type))
		return -EINVAL;
	long r = family_create(t, (s32)f->arg[0], type & SOCK_TYPE_MASK, (u32)f->arg[2], &s);
	return r < 0 ? r : install(t, s, type);
}

/* Installs both; on failure none is left. */
static long install_pair(struct task *t, struct socket *a, struct socket *b, u32 type, s32 *fds)
{
	long first = install(t, a, type);

	if (first < 0) {
		socket_destroy(b);
		return first;
	}
	long second = install(t, b, type);
	if (second < 0) {
		fd_close(t, (u32)first);
		return second;
	}
	fds[0] = (s32)first;
	fds[1] = (s32)second;
	return 0;
}

static long pair_create(struct task *t, struct frame *f, struct socket **a, struct socket **b)
{
	u32 type = (u32)f->arg[1] & SOCK_TYPE_MASK, protocol = (u32)f->arg[2];

	long r = family_create(t, (s32)f->arg[0], type, protocol, a);
	if (r < 0)
		return r;
	r = family_create(t, (s32)f->arg[0], type, protocol, b);
	if (r < 0) {
		socket_destroy(*a);
		return r;
	}
	r = (*a)->ops->pair ? (*a)->ops->pair(t, *a, *b) : -EOPNOTSUPP;
	if (r < 0) {
		socket_destroy(*b);
		socket_destroy(*a);
	}
	return r;
}

long sys_socketpair(struct task *t, struct frame *f)
{
	u32 type = (u32)f->arg[1];
	struct socket *a = NULL, *b = NULL;
	s32 fds[2] = {0};

	if (type_flags_are_wrong(type))
		return -EINVAL;
	long r = pair_create(t, f, &a, &b);
	if (!r)
		r = install_pair(t, a, b, type, fds);
	if (r < 0)
		return r;
	digest_bytes(t, fds, sizeof(fds));
	if (!user_put(f->arg[3], fds))
		return 0;
	fd_close(t, (u32)fds[0]);
	fd_close(t, (u32)fds[1]);
	return -EFAULT;
}

/* ---- bind, listen, names ---- */

/* The socket and the address that bind and connect are given; NULL: *ret_error. */
static struct socket *get_addressed(struct task *t, struct frame *f, struct ofd **ret_ofd,
				    struct socket_address *ret, long *ret_error)
{
	struct socket *s = socket_get(t, f->arg[0], ret_ofd, ret_error);

	if (!s)
		return NULL;
	*ret_error = socket_address_in(t, f->arg[1], (s32)f->arg[2], ret);
	return *ret_error < 0 ? NULL : s;
}

long sys_bind(struct task *t, struct frame *f)
{
	struct socket_address a;
	struct ofd *o;
	long r;
	struct socket *s = get_addressed(t, f, &o, &a, &r);

	if (!s)
		return r;
	return s->ops->bind ? s->ops->bind(t, s, &a) : -EOPNOTSUPP;
}

long sys_listen(struct task *t, struct frame *f)
{
	u32 backlog = (u32)f->arg[1];
	struct ofd *o;
	long r;
	struct socket *s = socket_get(t, f->arg[0], &o, &r);

	if (!s)
		return r;
	if (backlog > SOCKET_BACKLOG_MAX)
		backlog = SOCKET_BACKLOG_MAX;
	return s->ops->listen ? s->ops->listen(t, s, backlog) : -EOPNOTSUPP;
}

static long get_name(struct task *t, struct frame *f, bool peer)
{
	struct socket_address a;
	struct ofd *o;
	long r;
	struct socket *s = socket_get(t, f->arg[0], &o, &r);

	if (!s)
		return r;
	r = s->ops->name ? s->ops->name(t, s, peer, &a) : -EOPNOTSUPP;
	return r < 0 ? r : socket_address_out(t, &a, f->arg[1], f->arg[2]);
}

long sys_getsockname(struct task *t, struct frame *f)
{
	return get_name(t, f, false);
}

long sys_getpeername(struct task *t, struct frame *f)
{
	return get_name(t, f, true);
}

/* ---- connect ---- */

static long connect_wait(struct task *t, struct ofd *o, const struct socket_address *a,
			 struct socket_wait *w)
{
	struct socket *s = socket_of(o);
	u64 limit = socket_limit(s->send_timeout_ns);
	u32 tries = 1;
	long r;

	park_hold_begin(t, o);
	do {
		r = socket_park(t, w, limit);
		if (r < 0)
			break;
		w->key = socket_key(s);
		r = s->ops->connect(t, s, a, w, tries++);
	} while (r == -EAGAIN);
	park_hold_end(t, o);
	return r;
}

long sys_connect(struct task *t, struct frame *f)
{
	struct socket_address a;
	struct ofd *o;
	long r;
	struct socket *s = get_addressed(t, f, &o, &a, &r);

	if (!s)
		return r;
	if (!s->ops->connect)
		return -EOPNOTSUPP;
	struct socket_wait w = {.key = socket_key(s)};
	r = s->ops->connect(t, s, &a, &w, 0);
	if (r == -EAGAIN && !(o->flags & O_NONBLOCK))
		r = connect_wait(t, o, &a, &w);
	return r == -EAGAIN && s->ops->connect_late ? -s->ops->connect_late : r;
}

/* ---- accept ---- */

static long accept_wait(struct task *t, struct ofd *o, struct socket **ret)
{
	struct socket *s = socket_of(o);
	struct socket_wait w = {socket_key(s), SOCKET_BIT_TURN};
	u64 limit = socket_limit(s->receive_timeout_ns);
	long r;

	park_hold_begin(t, o);
	do {
		/* As Linux: only a call that would wait is told of the end. */
		r = s->shut & SHUT_RECEIVE ? -EINVAL : socket_park(t, &w, limit);
		if (r < 0)
			break;
		r = s->ops->accept(t, s, ret);
	} while (r == -EAGAIN);
	park_hold_end(t, o);
	return r;
}

/* The number for the connection, and its address to the app. */
static long accepted(struct task *t, struct socket *s, u64 user, u64 user_len, u32 flags)
{
	struct socket_address a = {0};

	s->uid = proc_of(t)->fsuid;
	s->gid = proc_of(t)->fsgid;
	long fd = install(t, s, flags);
	if (fd < 0 || !user)
		return fd;
	long r = s->ops->name ? s->ops->name(t, s, true, &a) : -EOPNOTSUPP;
	if (r < 0)
		r = -ECONNABORTED;
	if (!r)
		r = socket_address_out(t, &a, user, user_len);
	if (r < 0)
		fd_close(t, (u32)fd);
	return r < 0 ? r : fd;
}

static long do_accept(struct task *t, struct frame *f, u32 flags)
{
	struct socket *fresh;
	struct ofd *o;
	long r;
	struct socket *s = socket_get(t, f->arg[0], &o, &r);

	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (!s)
		return r;
	if (!s->ops->accept)
		return -EOPNOTSUPP;
	/* As Linux: the connection stays where it is if there is no number for it. */
	if (!fd_has_room(t))
		return -EMFILE;
	r = s->ops->accept(t, s, &fresh);
	if (r == -EAGAIN && !(o->flags & O_NONBLOCK))
		r = accept_wait(t, o, &fresh);
	return r < 0 ? r : accepted(t, fresh, f->arg[1], f->arg[2], flags);
}

long sys_accept(struct task *t, struct frame *f)
{
	return do_accept(t, f, 0);
}

long sys_accept4(struct task *t, struct frame *f)
{
	return do_accept(t, f, (u32)f->arg[3]);
}

long sys_shutdown(struct task *t, struct frame *f)
{
	u32 how = (u32)f->arg[1];
	struct ofd *o;
	long r;
	struct socket *s = socket_get(t, f->arg[0], &o, &r);

	if (!s)
		return r;
	/* The kernel's bits are one more than SHUT_RD, SHUT_WR, SHUT_RDWR. */
	if (how > 2)
		return -EINVAL;
	return s->ops->shutdown ? s->ops->shutdown(t, s, how + 1) : -EOPNOTSUPP;
}

/* ---- as a file ---- */

static u32 socket_poll(struct task *t, struct ofd *o)
{
	struct socket *s = socket_of(o);

	return s->ops->poll ? s->ops->poll(t, s) : 0;
}

static struct sched_key socket_poll_key(struct ofd *o)
{
	return socket_key(socket_of(o));
}

static long socket_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	struct socket *s = socket_of(o);

	(void)fd;
	long r = s->ops->ioctl ? s->ops->ioctl(t, s, request, arg) : -ENOTTY;
	/* Sockets of every family may be asked about interfaces. */
	return r == -ENOTTY ? inet_ioctl(t, request, arg) : r;
}

static long socket_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	const struct socket *s = socket_of(o);

	(void)t;
	(void)fd;
	ret->dev = DEV_OF_SOCKETS;
	ret->ino = s->ino;
	ret->mode = S_IFSOCK | s->mode;
	ret->nlink = 1;
	ret->uid = s->uid;
	ret->gid = s->gid;
	ret->blksize = 4096;
	ret->btime_ns = ret->mtime_ns = ret->ctime_ns = ret->atime_ns = s->born_ns;
	return 0;
}

long socket_chmod(struct task *t, struct ofd *o, u32 mode)
{
	struct socket *s = socket_of(o);
	u32 uid = proc_of(t)->fsuid;

	if (uid != s->uid && !capable(t, CAP_FOWNER))
		return -EPERM;
	s->mode = mode & 07777;
	return 0;
}

static void socket_release(struct ofd *o)
{
	socket_destroy(socket_of(o));
}

void socket_reference_gone(struct ofd *o)
{
	if (socket_of(o)->family == AF_UNIX)
		unix_reference_gone(socket_of(o));
}

void socket_waiter_gone(struct ofd *o)
{
	if (socket_poll(current(), o) & POLLIN)
		sched_key_wake(SCHED, socket_poll_key(o), 1, SOCKET_BIT_TURN, SCHED_NONE);
}

const struct file_ops socket_file_ops = {
	.read = socket_read,
	.write = socket_write,
	.poll = socket_poll,
	.poll_key = socket_poll_key,
	.ioctl = socket_ioctl,
	.stat = socket_stat,
	.release = socket_release,
	.splices = FILE_SPLICE_IN | FILE_SPLICE_OUT,
};
