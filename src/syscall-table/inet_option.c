/*
 * Options of the levels IP, IPv6, TCP and UDP, and those of SOL_SOCKET that are about interfaces.
 *
 * Most are numbers, a row each: their range is checked and they are shown again.  Those of them
 * that tune a transfer over a real network (times of keep-alives, delays, windows) have nothing to
 * tune here and no effect, TCP_DEFER_ACCEPT among them: accept does not wait for data.  Options
 * without a row or handler are refused (ENOPROTOOPT), and named at the end of the run.
 */
#include "inet.h"
#include "tcp.h"

#define SWITCH	  0, 1, 0, fit_switch
#define SWITCH_ON 0, 1, 1, fit_switch
#define INT_MAX	  0x7fffffff
#define INT_MIN	  (-INT_MAX - 1)

enum {
	IP_OPTIONS = 4,
	IP_MTU = 14,
	IP_MULTICAST_IF = 32,
	IP_MULTICAST_TTL = 33,
	IP_ADD_MEMBERSHIP = 35,
	IP_DROP_MEMBERSHIP = 36,
	MCAST_JOIN_GROUP = 42,
	MCAST_LEAVE_GROUP = 45,
	IPV6_MULTICAST_IF = 17,
	IPV6_MULTICAST_HOPS = 18,
	IPV6_ADD_MEMBERSHIP = 20,
	IPV6_DROP_MEMBERSHIP = 21,
	IPV6_MTU = 24,
	IPV6_V6ONLY = 26,
	TCP_MAXSEG = 2,
	TCP_INFO = 11,
	TCP_CONGESTION = 13,
	SO_INCOMING_CPU = 49,
	SO_INCOMING_NAPI_ID = 56,
};

struct number_row {
	s32 level, name;
	s32 min, max, usual;
	/* What a given number means; NULL: itself. */
	s32 (*fit)(const struct inet_socket *i, const struct number_row *row, s32 value);
};

static s32 fit_switch(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)i;
	(void)row;
	return value != 0;
}

/* -1 sets it back. */
static s32 fit_minus(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)i;
	return value == -1 ? row->usual : value;
}

/* The two lowest bits belong to congestion control. */
static s32 without_ecn(const struct inet_socket *i, s32 value)
{
	return i->s.type == SOCK_STREAM ? value & ~3 : value;
}

static s32 fit_tos(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)row;
	return without_ecn(i, value & 0xff);
}

static s32 fit_tclass(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	value = fit_minus(i, row, value);
	return value < row->min || value > row->max ? value : without_ecn(i, value);
}

static s32 fit_linger2(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)i;
	if (!value)
		return row->usual;
	return value < 0 ? -1 : value < row->max ? value : row->max;
}

/* Seconds up to the end of a number of resent answers (net/ipv4/tcp.c, secs_to_retrans). */
static s32 fit_defer(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	s32 seconds = 1, step = 1;

	(void)i;
	(void)row;
	for (u32 count = 1; seconds < value && count < 255; count++) {
		step = step * 2 < 120 ? step * 2 : 120;
		seconds += step;
	}
	return value > 0 ? seconds : 0;
}

static s32 fit_window(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)i;
	(void)row;
	return value && value < 1152 ? 1152 : value;
}

static s32 fit_queue(const struct inet_socket *i, const struct number_row *row, s32 value)
{
	(void)i;
	(void)row;
	return value > (s32)SOCKET_BACKLOG_MAX ? (s32)SOCKET_BACKLOG_MAX : value;
}

static const struct number_row rows[INET_NUMBERS] = {
	[INET_TOS] = {IPPROTO_IP, 1, 0, 255, 0, fit_tos},
	[INET_TTL] = {IPPROTO_IP, 2, 1, 255, 64, fit_minus},
	[INET_PKTINFO] = {IPPROTO_IP, 8, SWITCH},
	[INET_RECVERR] = {IPPROTO_IP, 11, SWITCH},
	[INET_RECVTTL] = {IPPROTO_IP, 12, SWITCH},
	[INET_RECVTOS] = {IPPROTO_IP, 13, SWITCH},
	[INET_RECVORIGDST] = {IPPROTO_IP, 20, SWITCH},
	[INET_FREEBIND] = {IPPROTO_IP, 15, SWITCH},
	[INET_MULTICAST_TTL] = {IPPROTO_IP, IP_MULTICAST_TTL, 0, 255, 1, fit_minus},
	[INET_MULTICAST_LOOP] = {IPPROTO_IP, 34, SWITCH_ON},
	[INET_MULTICAST_ALL] = {IPPROTO_IP, 49, 0, 1, 1, NULL},
	[INET6_V6ONLY] = {IPPROTO_IPV6, IPV6_V6ONLY, SWITCH},
	[INET6_HOPS] = {IPPROTO_IPV6, 16, 0, 255, 64, fit_minus},
	[INET6_TCLASS] = {IPPROTO_IPV6, 67, 0, 255, 0, fit_tclass},
	[INET6_PKTINFO] = {IPPROTO_IPV6, 49, SWITCH},
	[INET6_RECVERR] = {IPPROTO_IPV6, 25, SWITCH},
	[INET6_RECVHOPS] = {IPPROTO_IPV6, 51, SWITCH},
	[INET6_RECVTCLASS] = {IPPROTO_IPV6, 66, SWITCH},
	[INET6_MULTICAST_HOPS] = {IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 0, 255, 1, fit_minus},
	[INET6_MULTICAST_LOOP] = {IPPROTO_IPV6, 19, 0, 1, 1, NULL},
	[INET6_MULTICAST_ALL] = {IPPROTO_IPV6, 29, 0, 1, 1, NULL},
	[INET6_MULTICAST_IF] = {IPPROTO_IPV6, IPV6_MULTICAST_IF, 0, LO_INDEX, 0, NULL},
	{IPPROTO_IP, 6, SWITCH},		      /* IP_RECVOPTS */
	{IPPROTO_IP, 7, SWITCH},		      /* IP_RETOPTS */
	{IPPROTO_IP, 10, 0, 5, 1, NULL},	      /* IP_MTU_DISCOVER */
	{IPPROTO_IP, 21, 0, 255, 0, NULL},	      /* IP_MINTTL */
	{IPPROTO_IP, 24, SWITCH},		      /* IP_BIND_ADDRESS_NO_PORT */
	{IPPROTO_IPV6, 23, 0, 5, 1, NULL},	      /* IPV6_MTU_DISCOVER */
	{IPPROTO_IPV6, 33, SWITCH},		      /* IPV6_FLOWINFO_SEND */
	{IPPROTO_IPV6, 60, SWITCH},		      /* IPV6_RECVPATHMTU */
	{IPPROTO_IPV6, 62, SWITCH},		      /* IPV6_DONTFRAG */
	{IPPROTO_IPV6, 70, SWITCH_ON},		      /* IPV6_AUTOFLOWLABEL */
	{IPPROTO_IPV6, 73, 0, 255, 0, NULL},	      /* IPV6_MINHOPCOUNT */
	{IPPROTO_TCP, 1, SWITCH},		      /* TCP_NODELAY */
	{IPPROTO_TCP, 3, SWITCH},		      /* TCP_CORK */
	{IPPROTO_TCP, 4, 1, 32767, 7200, NULL},	      /* TCP_KEEPIDLE */
	{IPPROTO_TCP, 5, 1, 32767, 75, NULL},	      /* TCP_KEEPINTVL */
	{IPPROTO_TCP, 6, 1, 127, 9, NULL},	      /* TCP_KEEPCNT */
	{IPPROTO_TCP, 7, 1, 127, 6, NULL},	      /* TCP_SYNCNT */
	{IPPROTO_TCP, 8, -1, 120, 60, fit_linger2},   /* TCP_LINGER2 */
	{IPPROTO_TCP, 9, 0, INT_MAX, 0, fit_defer},   /* TCP_DEFER_ACCEPT */
	{IPPROTO_TCP, 10, 0, INT_MAX, 0, fit_window}, /* TCP_WINDOW_CLAMP */
	{IPPROTO_TCP, 12, SWITCH_ON},		      /* TCP_QUICKACK */
	{IPPROTO_TCP, 16, 0, 1, 0, NULL},	      /* TCP_THIN_LINEAR_TIMEOUTS */
	{IPPROTO_TCP, 18, 0, INT_MAX, 0, NULL},	      /* TCP_USER_TIMEOUT */
	{IPPROTO_TCP, 23, 0, INT_MAX, 0, fit_queue},  /* TCP_FASTOPEN: nobody can ask for it */
	{IPPROTO_TCP, 25, INT_MIN, INT_MAX, 0, NULL}, /* TCP_NOTSENT_LOWAT */
};

/* Whether Linux has options of this level for the socket. */
static bool has_level(const struct inet_socket *i, s32 level)
{
	if (level == IPPROTO_TCP || level == IPPROTO_UDP)
		return (u32)level == i->s.protocol;
	return level == IPPROTO_IP || (level == IPPROTO_IPV6 && i->s.family == AF_INET6);
}

static const struct number_row *row_of(const struct inet_socket *i, s32 level, s32 name)
{
	if (!has_level(i, level))
		return NULL;
	for (u32 k = 0; k < INET_NUMBERS && rows[k].name; k++) {
		if (rows[k].level == level && rows[k].name == name)
			return &rows[k];
	}
	return NULL;
}

void inet_options_init(struct inet_socket *i)
{
	for (u32 k = 0; k < INET_NUMBERS; k++)
		i->number[k] = rows[k].usual;
	if (i->s.family == AF_INET6)
		i->number[INET_MULTICAST_ALL] = 0;
	if (i->s.type != SOCK_STREAM)
		return;
	i->s.sndbuf = TCP_SNDBUF;
	i->s.rcvbuf = TCP_RCVBUF;
}

/* Groups are nothing for streams. */
static long check_stream(const struct number_row *row)
{
	if (row->level == IPPROTO_IP)
		return row->name == IP_MULTICAST_TTL ? -EINVAL : 0;
	bool group = row->name == IPV6_MULTICAST_HOPS || row->name == IPV6_MULTICAST_IF;
	return row->level == IPPROTO_IPV6 && group ? -ENOPROTOOPT : 0;
}

static long set_number(struct inet_socket *i, const struct number_row *row, s32 value)
{
	s32 *number = &i->number[row - rows];

	if (row->fit)
		value = row->fit(i, row, value);
	if (value < row->min || value > row->max)
		return number == &i->number[INET6_MULTICAST_IF] ? -ENODEV : -EINVAL;
	if (number == &i->number[INET6_V6ONLY] && i->has_port)
		return -EINVAL;
	*number = value;
	return 0;
}

/* ---- groups ---- */

static struct inet_group **group_at(struct inet_socket *i, const u8 *ip)
{
	struct inet_group **g = &i->groups;

	while (*g && !inet_same((*g)->ip, ip))
		g = &(*g)->next;
	return g;
}

bool inet_is_joined(const struct inet_socket *i, const u8 *group)
{
	const struct inet_group *g = i->groups;

	while (g && !inet_same(g->ip, group))
		g = g->next;
	return g != NULL;
}

void inet_groups_drop(struct inet_socket *i)
{
	struct inet_group *next;

	for (struct inet_group *g = i->groups; g; g = next) {
		next = g->next;
		heap_free(g);
	}
	i->groups = NULL;
}

static long group_change(struct inet_socket *i, const u8 *ip, bool on_lo, bool join)
{
	struct inet_group **g = group_at(i, ip), *fresh;

	if (i->s.type == SOCK_STREAM)
		return -EPROTO;
	if (inet_kind_of(ip) != INET_MULTICAST)
		return -EINVAL;
	/* Without a choice the routes choose, and there is none to any group. */
	if (join && !on_lo)
		return -ENODEV;
	if (join && *g)
		return -EADDRINUSE;
	if (!join && !*g)
		return -EADDRNOTAVAIL;
	if (join) {
		fresh = heap_alloc(sizeof(*fresh));
		memcpy(fresh->ip, ip, INET_IP_BYTES);
		*g = fresh;
		return 0;
	}
	fresh = *g;
	*g = fresh->next;
	heap_free(fresh);
	return 0;
}

static s32 number_at(const u8 *bytes)
{
	s32 number;

	memcpy(&number, bytes, sizeof(number));
	return number;
}

static bool is_lo_four(const u8 *four)
{
	u8 ip[INET_IP_BYTES];

	inet_set_four(ip, four);
	return inet_kind_of(ip) == INET_LOCAL;
}

/* struct ip_mreq, or ip_mreqn with an interface's number. */
static long set_membership(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	u8 ip[INET_IP_BYTES];

	if (len < 8)
		return i->s.type == SOCK_STREAM ? -EPROTO : -EINVAL;
	inet_set_four(ip, v);
	bool on_lo =
		len >= 12 && number_at(v + 8) ? number_at(v + 8) == LO_INDEX : is_lo_four(v + 4);
	return group_change(i, ip, on_lo, name == IP_ADD_MEMBERSHIP);
}

static long set_membership_six(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	if (len < INET_IP_BYTES + 4)
		return -EINVAL;
	if (inet_is_four(v))
		return -EINVAL;
	return group_change(i, v, number_at(v + INET_IP_BYTES) == LO_INDEX,
			    name == IPV6_ADD_MEMBERSHIP);
}

/* struct group_req: an interface's number and, 8 bytes on, the group's address. */
static long set_group(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	struct socket_address a = {.len = 28};
	struct inet_end e;

	if (len < 8 + SOCKET_ADDRESS_MAX)
		return -EINVAL;
	memcpy(a.bytes, v + 8, a.len);
	long r = inet_parse(i, &a, false, &e);
	return r < 0 ? r
		     : group_change(i, e.ip, number_at(v) == LO_INDEX, name == MCAST_JOIN_GROUP);
}

static long set_multicast_if(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	static const u8 none[4];
	const u8 *four = len >= 8 ? v + 4 : v;

	(void)name;
	if (i->s.type == SOCK_STREAM || len < 4)
		return -EINVAL;
	if (len >= 12 && number_at(v + 8) == LO_INDEX)
		four = inet_lo4 + 12;
	if (memcmp(four, none, sizeof(none)) && !is_lo_four(four))
		return -EADDRNOTAVAIL;
	memcpy(i->multicast_if, four, sizeof(none));
	return 0;
}

/* ---- what is no number ---- */

static const char controls[][16] = {"cubic", "reno"}; /* tcp_available_congestion_control */

static long set_congestion(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	(void)name;
	if (!len)
		return -EINVAL;
	for (u32 k = 0; k < sizeof(controls) / sizeof(*controls); k++) {
		u32 n = (u32)strlen(controls[k]);
		if (len >= n && !memcmp(v, controls[k], n) && (len == n || !v[n])) {
			tcp_of(&i->s)->congestion = k;
			return 0;
		}
	}
	return -ENOENT;
}

static long set_device(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	(void)i;
	(void)name;
	if (!len || !v[0])
		return 0;
	return len >= 2 && v[0] == 'l' && v[1] == 'o' && (len == 2 || !v[2]) ? 0 : -ENODEV;
}

static long set_ip_options(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	(void)i;
	(void)name;
	(void)v;
	return len ? -EINVAL : 0;
}

/* TCP_MAXSEG is the network's to find, and IPV6_MTU and IP_MTU only tell. */
static long set_maxseg(struct inet_socket *i, s32 name, const u8 *v, u32 len)
{
	(void)i;
	(void)name;
	if (len < 4)
		return -EINVAL;
	s32 size = number_at(v);
	return size && (size < 88 || size > 32767) ? -EINVAL : 0;
}

struct other_setter {
	s32 level, name;
	long (*set)(struct inet_socket *i, s32 name, const u8 *v, u32 len);
};

static const struct other_setter setters[] = {
	{IPPROTO_IP, IP_OPTIONS, set_ip_options},
	{IPPROTO_IP, IP_MULTICAST_IF, set_multicast_if},
	{IPPROTO_IP, IP_ADD_MEMBERSHIP, set_membership},
	{IPPROTO_IP, IP_DROP_MEMBERSHIP, set_membership},
	{IPPROTO_IP, MCAST_JOIN_GROUP, set_group},
	{IPPROTO_IP, MCAST_LEAVE_GROUP, set_group},
	{IPPROTO_IPV6, IPV6_ADD_MEMBERSHIP, set_membership_six},
	{IPPROTO_IPV6, IPV6_DROP_MEMBERSHIP, set_membership_six},
	{IPPROTO_IPV6, MCAST_JOIN_GROUP, set_group},
	{IPPROTO_IPV6, MCAST_LEAVE_GROUP, set_group},
	{IPPROTO_TCP, TCP_MAXSEG, set_maxseg},
	{IPPROTO_TCP, TCP_CONGESTION, set_congestion},
	{SOL_SOCKET, SO_BINDTODEVICE, set_device},
};

static long set_other(struct inet_socket *i, s32 level, s32 name, const u8 *v, u32 len)
{
	for (u32 k = 0; k < sizeof(setters) / sizeof(*setters); k++) {
		const struct other_setter *s = &setters[k];
		if (s->level == level && s->name == name &&
		    (level == SOL_SOCKET || has_level(i, level)))
			return s->set(i, name, v, len);
	}
	HEAD->refused_count[NR_setsockopt] += has_level(i, level);
	return -ENOPROTOOPT;
}

long inet_set_option(struct task *t, struct socket *s, s32 level, s32 name, const void *value,
		     u32 len)
{
	struct inet_socket *i = inet_of(s);
	const struct number_row *row = row_of(i, level, name);
	const u8 *v = value;

	(void)t;
	if (!row)
		return set_other(i, level, name, v, len);
	long r = i->s.type == SOCK_STREAM ? check_stream(row) : 0;
	if (r < 0)
		return r;
	if (len >= 4)
		return set_number(i, row, number_at(v));
	/* At level IP one byte is enough. */
	return level == IPPROTO_IP && len ? set_number(i, row, v[0]) : -EINVAL;
}

/* ---- reading ---- */

static void put_number(u8 *to, u32 *len, s32 number)
{
	*len = sizeof(number);
	memcpy(to, &number, sizeof(number));
}

static void put32(u8 *info, u32 at, u32 value)
{
	memcpy(info + at, &value, sizeof(value));
}

static void put64(u8 *info, u32 at, u64 value)
{
	memcpy(info + at, &value, sizeof(value));
}

#define TCP_INFO_BYTES 232u
#define LO_MSS	       32768u

/* struct tcp_info of linux/tcp.h: what a short and quiet way through lo measures. */
static long get_tcp_info(struct inet_socket *i, u8 *v, u32 *len)
{
	const struct tcp_socket *s = tcp_of(&i->s);
	u64 received = s->in.taken + s->in.used;
	bool open = s->state != TCP_CLOSE && s->state != TCP_LISTEN;

	memset(v, 0, TCP_INFO_BYTES);
	v[0] = (u8)s->state;
	v[5] = open ? 7 : 0;	/* time stamps, selective acknowledgements, window scaling */
	v[6] = open ? 0xaa : 0; /* by 2^10 */
	put32(v, 8, open ? 201000 : 1000000); /* rto, microseconds */
	put32(v, 12, open ? 40000 : 0);	      /* ato */
	put32(v, 16, open ? LO_MSS : 536);    /* snd_mss */
	put32(v, 20, open ? LO_MSS : 88);     /* rcv_mss */
	put32(v, 24,
	      s->state == TCP_LISTEN ? s->ready.count : 0); /* unacked: of a listener, its queue */
	put32(v, 28, s->state == TCP_LISTEN ? s->backlog : 0);
	put32(v, 60, open ? 65535 : 0);	  /* pmtu */
	put32(v, 64, open ? 65535 : 0);	  /* rcv_ssthresh */
	put32(v, 68, open ? 20 : 0);	  /* rtt */
	put32(v, 72, open ? 10 : 0);	  /* rttvar */
	put32(v, 76, INT_MAX);		  /* snd_ssthresh */
	put32(v, 80, 10);		  /* snd_cwnd */
	put32(v, 84, open ? 65483 : 536); /* advmss */
	put32(v, 88, 3);		  /* reordering */
	put32(v, 96, open ? 65495 : 0);	  /* rcv_space */
	put64(v, 112, ~0ull);		  /* max_pacing_rate */
	put64(v, 120, s->sent);		  /* bytes_acked */
	put64(v, 128, received);
	put32(v, 136, (u32)s->segments_out);
	put32(v, 140, (u32)s->segments_in);
	put32(v, 148, open ? 20 : 0); /* min_rtt */
	put32(v, 192, (u32)s->segments_out);
	put64(v, 200, s->sent);
	put32(v, 228, open ? 65536 : 0); /* snd_wnd */
	if (*len > TCP_INFO_BYTES)
		*len = TCP_INFO_BYTES;
	return 0;
}

static long get_maxseg(struct inet_socket *i, u8 *v, u32 *len)
{
	bool open = tcp_has_peer(i) && !tcp_is_listening(i);

	put_number(v, len, open ? (s32)LO_MSS : 536);
	return 0;
}

static long get_congestion(struct inet_socket *i, u8 *v, u32 *len)
{
	memcpy(v, controls[tcp_of(&i->s)->congestion], sizeof(controls[0]));
	*len = *len < sizeof(controls[0]) ? *len : sizeof(controls[0]);
	return 0;
}

static long get_mtu(struct inet_socket *i, u8 *v, u32 *len)
{
	bool linked = i->remote.port && (i->s.type != SOCK_STREAM || !tcp_is_closed(i));

	if (!linked)
		return -ENOTCONN;
	put_number(v, len, inet_is_four(i->remote.ip) ? LO_MTU - 1 : LO_MTU);
	return 0;
}

static long get_multicast_if(struct inet_socket *i, u8 *v, u32 *len)
{
	*len = *len < 4 ? *len : 4;
	memcpy(v, i->multicast_if, 4);
	return 0;
}

static long get_nothing(struct inet_socket *i, u8 *v, u32 *len)
{
	(void)i;
	(void)v;
	*len = 0;
	return 0;
}

/* The processor that took the last packet: a container's packets take none. */
static long get_cpu(struct inet_socket *i, u8 *v, u32 *len)
{
	put_number(v, len, i->remote.port ? 0 : -1);
	return 0;
}

static long get_zero(struct inet_socket *i, u8 *v, u32 *len)
{
	(void)i;
	put_number(v, len, 0);
	return 0;
}

struct other_getter {
	s32 level, name;
	long (*get)(struct inet_socket *i, u8 *v, u32 *len);
};

static const struct other_getter getters[] = {
	{IPPROTO_IP, IP_OPTIONS, get_nothing},
	{IPPROTO_IP, IP_MTU, get_mtu},
	{IPPROTO_IP, IP_MULTICAST_IF, get_multicast_if},
	{IPPROTO_IPV6, IPV6_MTU, get_mtu},
	{IPPROTO_TCP, TCP_MAXSEG, get_maxseg},
	{IPPROTO_TCP, TCP_INFO, get_tcp_info},
	{IPPROTO_TCP, TCP_CONGESTION, get_congestion},
	{SOL_SOCKET, SO_BINDTODEVICE, get_nothing},
	{SOL_SOCKET, SO_INCOMING_CPU, get_cpu},
	{SOL_SOCKET, SO_INCOMING_NAPI_ID, get_zero},
};

static long get_other(struct inet_socket *i, s32 level, s32 name, u8 *v, u32 *len)
{
	for (u32 k = 0; k < sizeof(getters) / sizeof(*getters); k++) {
		const struct other_getter *g = &getters[k];
		if (g->level == level && g->name == name &&
		    (level == SOL_SOCKET || has_level(i, level)))
			return g->get(i, v, len);
	}
	HEAD->refused_count[NR_getsockopt] += has_level(i, level);
	return -ENOPROTOOPT;
}

long inet_get_option(struct task *t, struct socket *s, s32 level, s32 name, void *value, u32 *len)
{
	struct inet_socket *i = inet_of(s);
	const struct number_row *row = row_of(i, level, name);
	u8 *v = value;

	(void)t;
	if (!row)
		return get_other(i, level, name, v, len);
	s32 number = i->number[row - rows];
	/* At level IP a small number fits a small room. */
	if (level == IPPROTO_IP && *len && *len < 4 && number >= 0 && number <= 255) {
		v[0] = (u8)number;
		*len = 1;
		return 0;
	}
	put_number(v, len, number);
	return 0;
}
