/*
 * getsockopt and setsockopt at level SOL_SOCKET, a row an option; families come first and have all
 * other levels (net/core/sock.c, sk_setsockopt and sk_getsockopt).
 *
 * Buffer sizes are what the container's own rule counts with (socket_queue.h), so they are believed
 * as they are set; what only tunes a network card is kept and shown, and does nothing.
 */
#include "credentials.h"
#include "socket.h"

#define SNDBUF_MIN    4608u
#define RCVBUF_MIN    2304u
#define SECOND_US     1000000
#define SECONDS_MAX   8000000000ll /* more is as good as never, and would overflow */
#define PRIORITY_FREE 6		   /* beyond it takes a capability */
#define INT_BYTES     4u
#define COOKIE_BYTES  8u

/* An option's value on its way; `len` as given, or as there is room, then as there is. */
struct option_value {
	union {
		s32 number;
		s64 pair[2];
		s32 numbers[4];
		u8 bytes[SOCKET_OPTION_MAX];
	};
	u32 len;
};

struct option_row {
	s32 name;
	u32 size; /* least bytes to set, bytes there are to get; 0: an int */
	long (*set)(struct task *t, struct socket *s, s32 name, const struct option_value *v);
	void (*get)(struct socket *s, s32 name, struct option_value *v);
};

static bool may_send_raw(const struct task *t)
{
	return capable(t, CAP_NET_RAW) || capable(t, CAP_NET_ADMIN);
}

/* ---- on or off ---- */

static void get_switch(struct socket *s, s32 name, struct option_value *v)
{
	v->number = (s32)(s->options >> name & 1);
}

static long set_switch(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)t;
	s->options &= ~(1ull << name);
	s->options |= (u64)(v->number != 0) << name;
	return 0;
}

static long set_debug(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	return v->number && !capable(t, CAP_NET_ADMIN) ? -EACCES : set_switch(t, s, name, v);
}

/* One of the two stamps at a time. */
static long set_stamp(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	s->options &= ~(1ull << SO_TIMESTAMP | 1ull << SO_TIMESTAMPNS);
	return set_switch(t, s, name, v);
}

static long set_reuseport(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	bool inet = s->family == AF_INET || s->family == AF_INET6;

	return v->number && !inet ? -EOPNOTSUPP : set_switch(t, s, name, v);
}

static long set_passcred(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	bool can = s->family == AF_UNIX || s->family == AF_NETLINK;

	return can ? set_switch(t, s, name, v) : -EOPNOTSUPP;
}

static long set_ignored(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)t;
	(void)s;
	(void)name;
	(void)v;
	return 0;
}

/* ---- numbers ---- */

static s32 buffer_size(s32 asked, s32 most, u32 least)
{
	u32 size = (u32)asked < (u32)most ? (u32)asked : (u32)most;

	return (s32)(2 * size > least ? 2 * size : least);
}

static void tuned(struct socket *s)
{
	if (s->ops->tuned)
		s->ops->tuned(s);
}

/* The second of a pair of options may exceed what everybody may have. */
static long set_buffer(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	bool force = name == SO_SNDBUFFORCE || name == SO_RCVBUFFORCE;
	s32 most = force ? 0x3fffffff : SOCKET_BUFFER, asked = v->number;

	if (force && !capable(t, CAP_NET_ADMIN))
		return -EPERM;
	if (force && asked < 0)
		asked = 0;
	if (name == SO_SNDBUF || name == SO_SNDBUFFORCE)
		s->sndbuf = buffer_size(asked, most, SNDBUF_MIN);
	else
		s->rcvbuf = buffer_size(asked, most, RCVBUF_MIN);
	socket_changed(s, POLLOUT | POLLWRNORM | POLLWRBAND);
	tuned(s);
	return 0;
}

static void get_buffer(struct socket *s, s32 name, struct option_value *v)
{
	v->number = name == SO_SNDBUF ? s->sndbuf : s->rcvbuf;
}

static long set_priority(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)name;
	if ((v->number < 0 || v->number > PRIORITY_FREE) && !may_send_raw(t))
		return -EPERM;
	s->priority = v->number;
	return 0;
}

static long set_mark(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)name;
	if (!may_send_raw(t))
		return -EPERM;
	s->mark = v->number;
	return 0;
}

static long set_lowat(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)t;
	(void)name;
	s->rcvlowat = v->number < 0 ? 0x7fffffff : v->number;
	if (!v->number)
		s->rcvlowat = 1;
	tuned(s);
	return 0;
}

static long set_peek_off(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	(void)t;
	(void)name;
	if (!s->ops->can_peek_off)
		return -EOPNOTSUPP;
	s->peek_off = v->number;
	return 0;
}

static void get_number(struct socket *s, s32 name, struct option_value *v)
{
	switch (name) {
	case SO_TYPE:
		v->number = s->type;
		break;
	case SO_DOMAIN:
		v->number = s->family;
		break;
	case SO_PROTOCOL:
		v->number = (s32)s->protocol;
		break;
	case SO_ACCEPTCONN:
		v->number = s->is_listening != 0;
		break;
	case SO_RCVLOWAT:
		v->number = s->rcvlowat;
		break;
	case SO_PRIORITY:
		v->number = s->priority;
		break;
	case SO_MARK:
		v->number = s->mark;
		break;
	case SO_PEEK_OFF:
		v->number = s->peek_off;
		break;
	default:
		v->number = 1; /* SO_SNDLOWAT */
		break;
	}
}

/* A number no other socket has or had. */
static void get_cookie(struct socket *s, s32 name, struct option_value *v)
{
	(void)name;
	v->pair[0] = (s64)s->ino;
}

static void get_error(struct socket *s, s32 name, struct option_value *v)
{
	(void)name;
	v->number = (s32)-socket_take_error(s);
}

/* ---- structures ---- */

static long set_linger(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	set_switch(t, s, name, v);
	if (v->number)
		s->linger_s = v->numbers[1];
	return 0;
}

static void get_linger(struct socket *s, s32 name, struct option_value *v)
{
	get_switch(s, name, v);
	v->numbers[1] = s->linger_s;
}

static u64 *timeout_of(struct socket *s, s32 name)
{
	return name == SO_RCVTIMEO ? &s->receive_timeout_ns : &s->send_timeout_ns;
}

static long set_timeout(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	s64 sec = v->pair[0], usec = v->pair[1];
	u64 *timeout = timeout_of(s, name);

	(void)t;
	if (usec < 0 || usec >= SECOND_US)
		return -EDOM;
	if (sec < 0)
		*timeout = 0;
	else if ((!sec && !usec) || sec > SECONDS_MAX)
		*timeout = SCHED_NEVER;
	else
		*timeout = (u64)sec * 1000000000ull + (u64)usec * 1000;
	return 0;
}

static void get_timeout(struct socket *s, s32 name, struct option_value *v)
{
	u64 ns = *timeout_of(s, name);

	v->pair[0] = ns == SCHED_NEVER ? 0 : (s64)(ns / 1000000000);
	v->pair[1] = ns == SCHED_NEVER ? 0 : (s64)(ns / 1000 % SECOND_US);
}

/* ---- the rows ---- */

static const struct option_row rows[] = {
	{SO_DEBUG, 0, set_debug, get_switch},
	{SO_REUSEADDR, 0, set_switch, get_switch},
	{SO_TYPE, 0, NULL, get_number},
	{SO_ERROR, 0, NULL, get_error},
	{SO_DONTROUTE, 0, set_switch, get_switch},
	{SO_BROADCAST, 0, set_switch, get_switch},
	{SO_SNDBUF, 0, set_buffer, get_buffer},
	{SO_RCVBUF, 0, set_buffer, get_buffer},
	{SO_KEEPALIVE, 0, set_switch, get_switch},
	{SO_OOBINLINE, 0, set_switch, get_switch},
	{SO_NO_CHECK, 0, set_switch, get_switch},
	{SO_PRIORITY, 0, set_priority, get_number},
	{SO_LINGER, 2 * INT_BYTES, set_linger, get_linger},
	{SO_BSDCOMPAT, 0, set_ignored, NULL},
	{SO_REUSEPORT, 0, set_reuseport, get_switch},
	{SO_PASSCRED, 0, set_passcred, get_switch},
	{SO_RCVLOWAT, 0, set_lowat, get_number},
	{SO_SNDLOWAT, 0, NULL, get_number},
	{SO_RCVTIMEO, 16, set_timeout, get_timeout},
	{SO_SNDTIMEO, 16, set_timeout, get_timeout},
	{SO_TIMESTAMP, 0, set_stamp, get_switch},
	{SO_ACCEPTCONN, 0, NULL, get_number},
	{SO_PEERSEC, 0, NULL, NULL}, /* as without a security module */
	{SO_SNDBUFFORCE, 0, set_buffer, NULL},
	{SO_RCVBUFFORCE, 0, set_buffer, NULL},
	{SO_PASSSEC, 0, set_passcred, get_switch},
	{SO_TIMESTAMPNS, 0, set_stamp, get_switch},
	{SO_MARK, 0, set_mark, get_number},
	{SO_PROTOCOL, 0, NULL, get_number},
	{SO_DOMAIN, 0, NULL, get_number},
	{SO_RXQ_OVFL, 0, set_switch, get_switch},
	{SO_PEEK_OFF, 0, set_peek_off, get_number},
	{SO_COOKIE, COOKIE_BYTES, NULL, get_cookie},
};

static const struct option_row *row_of(s32 name)
{
	for (u32 i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (rows[i].name == name)
			return &rows[i];
	}
	return NULL;
}

static u32 size_of(const struct option_row *row)
{
	return row->size ? row->size : INT_BYTES;
}

static long set_common(struct task *t, struct socket *s, s32 name, const struct option_value *v)
{
	const struct option_row *row = row_of(name);

	if (v->len < INT_BYTES)
		return -EINVAL;
	if (!row || !row->set) {
		HEAD->refused_count[NR_setsockopt] += !row;
		return -ENOPROTOOPT;
	}
	return v->len < size_of(row) ? -EINVAL : row->set(t, s, name, v);
}

static long get_common(struct socket *s, s32 name, struct option_value *v)
{
	const struct option_row *row = row_of(name);

	if (!row || !row->get) {
		HEAD->refused_count[NR_getsockopt] += !row;
		return -ENOPROTOOPT;
	}
	/* The only one that is not cut. */
	if (name == SO_COOKIE && v->len < COOKIE_BYTES)
		return -EINVAL;
	row->get(s, name, v);
	v->len = size_of(row);
	return 0;
}

static struct socket *get_socket(struct task *t, u64 fd, long *ret_error)
{
	struct ofd *o = fd_get_io(t, (u32)fd);

	*ret_error = o ? -ENOTSOCK : -EBADF;
	return o && o->kind == OFD_SOCKET ? socket_of(o) : NULL;
}

long sys_setsockopt(struct task *t, struct frame *f)
{
	s32 level = (s32)f->arg[1], name = (s32)f->arg[2], len = (s32)f->arg[4];
	struct option_value v = {0};
	long r = 0;

	if (len < 0)
		return -EINVAL;
	struct socket *s = get_socket(t, f->arg[0], &r);
	if (!s)
		return r;
	v.len = (u32)len < SOCKET_OPTION_MAX ? (u32)len : SOCKET_OPTION_MAX;
	if (user_copy_in(v.bytes, f->arg[3], v.len))
		return -EFAULT;
	digest_bytes(t, v.bytes, v.len);
	r = s->ops->set_option ? s->ops->set_option(t, s, level, name, v.bytes, v.len)
			       : -ENOPROTOOPT;
	if (r != -ENOPROTOOPT)
		return r;
	if (level == SOL_SOCKET)
		return set_common(t, s, name, &v);
	return s->ops->set_option ? r : -EOPNOTSUPP;
}

/* A value longer than its room is cut; how long it is then is told. */
static long value_out(struct task *t, const struct option_value *v, u32 room, u64 user,
		      u64 user_len)
{
	s32 len = (s32)(v->len < room ? v->len : room);

	digest_bytes(t, v->bytes, (u64)len);
	if (user_copy_out(user, v->bytes, (u64)len) || user_put(user_len, len))
		return -EFAULT;
	return 0;
}

long sys_getsockopt(struct task *t, struct frame *f)
{
	s32 level = (s32)f->arg[1], name = (s32)f->arg[2], room;
	struct option_value v = {0};
	long r;
	struct socket *s = get_socket(t, f->arg[0], &r);

	if (!s)
		return r;
	if (user_get(room, f->arg[4]))
		return -EFAULT;
	digest_u64(t, (u64)room);
	if (room < 0)
		return -EINVAL;
	v.len = (u32)room < SOCKET_OPTION_MAX ? (u32)room : SOCKET_OPTION_MAX;
	r = s->ops->get_option ? s->ops->get_option(t, s, level, name, v.bytes, &v.len)
			       : -ENOPROTOOPT;
	if (r == -ENOPROTOOPT && level == SOL_SOCKET)
		r = get_common(s, name, &v);
	else if (r == -ENOPROTOOPT && !s->ops->get_option)
		r = -EOPNOTSUPP;
	/* ERANGE: how much room it takes is told. */
	if (r == -ERANGE) {
		digest_u64(t, v.len);
		return user_put(f->arg[4], v.len) ? -EFAULT : r;
	}
	return r < 0 ? r : value_out(t, &v, (u32)room, f->arg[3], f->arg[4]);
}

void socket_put_timestamp(struct task *t, struct socket *s, struct socket_msg *m, s64 time_ns)
{
	bool nano = socket_has_option(s, SO_TIMESTAMPNS);
	s64 pair[2] = {time_ns / 1000000000, time_ns % 1000000000};

	if (!m->control_out || (!nano && !socket_has_option(s, SO_TIMESTAMP)))
		return;
	if (!nano)
		pair[1] /= 1000;
	socket_control_put(t, m, SOL_SOCKET, nano ? SO_TIMESTAMPNS : SO_TIMESTAMP, pair,
			   sizeof(pair));
}
