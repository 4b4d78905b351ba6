/*
 * AF_INET and AF_INET6: a network of one interface, lo, wholly inside the shim.
 *
 * Addresses are kept in 16 bytes, those of version 4 as ::ffff:a.b.c.d, so that both versions
 * share ports, lookups and queues, as dual-stack sockets need it.  What comes to a socket is put
 * into its queue by the sender's call: nothing is ever under way, so all of it is a function of
 * the order of calls.
 *
 * | file | what |
 * |---|---|
 * | inet_address.c | addresses in and out, what kind they are, which of them a socket may use |
 * | inet_port.c | who has which port: bind's rules, ports of the system's choice, TIME_WAIT |
 * | inet_option.c | options of the levels IP, IPv6, TCP and UDP |
 * | inet_ioctl.c | requests about interfaces |
 * | inet_socket.c | the families; bind and names, which TCP and UDP share |
 * | tcp.c, tcp_close.c, tcp_io.c | connections: how they begin, how they end, what they carry |
 * | udp.c, udp_io.c | sockets of datagrams: addresses and lookups, messages |
 */
#ifndef SHADOW_INET_H
#define SHADOW_INET_H

#include "socket.h"

#define INET_OFF      (READY_OFF + 0x800000) /* behind ready_state */
#define INET_PORTS    65536u
#define PORT_FIRST    32768u /* net.ipv4.ip_local_port_range */
#define PORT_LAST     60999u
#define PORT_FREE     1024u /* net.ipv4.ip_unprivileged_port_start */
#define LO_INDEX      1
#define LO_MTU	      65536
#define LO_NAME	      "lo"
#define INET_IP_BYTES 16u

enum {
	IPPROTO_IP = 0,
	IPPROTO_ICMP = 1,
	IPPROTO_TCP = 6,
	IPPROTO_UDP = 17,
	IPPROTO_IPV6 = 41,
	IPPROTO_ICMPV6 = 58
};

/* An address and port (of the host's byte order). */
struct inet_end {
	u8 ip[INET_IP_BYTES];
	u16 port;
};

enum inet_kind {
	INET_ANY,	/* 0.0.0.0, :: */
	INET_LOCAL,	/* 127.0.0.0/8, ::1 */
	INET_BROADCAST, /* 127.255.255.255 and 127.0.0.0's like */
	INET_MULTICAST,
	INET_LINK,    /* fe80::/10: needs an interface */
	INET_OUTSIDE, /* not here: unreachable */
};

/*
 * Who has a port: a socket, or what is left of a closed connection.  `rule` is what bind asks of
 * others.
 */
struct inet_port {
	struct inet_port *prev, *next; /* at the same port, the newest first */
	struct inet_socket *socket;    /* NULL: TIME_WAIT */
	struct inet_end local;
};

/* What is left of a connection that this side closed first (TIME_WAIT, or FIN_WAIT2 before). */
struct inet_rest {
	struct inet_port port;
	struct inet_end remote;
	struct tcp_socket *other;      /* which has not closed yet, or NULL */
	struct inet_rest *prev, *next; /* by the end of their time */
	u64 until_ns;
	u32 uid;
	bool only_six, reuse, reuseport;
};

/* Options that are numbers: indices of inet_socket.number, rows of inet_option.c. */
enum inet_number {
	INET_TOS,
	INET_TTL,
	INET_PKTINFO,
	INET_RECVERR,
	INET_RECVTTL,
	INET_RECVTOS,
	INET_RECVORIGDST,
	INET_FREEBIND,
	INET_MULTICAST_TTL,
	INET_MULTICAST_LOOP,
	INET_MULTICAST_ALL,
	INET6_V6ONLY,
	INET6_HOPS,
	INET6_TCLASS,
	INET6_PKTINFO,
	INET6_RECVERR,
	INET6_RECVHOPS,
	INET6_RECVTCLASS,
	INET6_MULTICAST_HOPS,
	INET6_MULTICAST_LOOP,
	INET6_MULTICAST_ALL,
	INET6_MULTICAST_IF,
	INET_NUMBERS = 72, /* all rows, these first */
};

/* A multicast group that was joined. */
struct inet_group {
	struct inet_group *next;
	u8 ip[INET_IP_BYTES];
};

/* Begins with struct socket. */
struct inet_socket {
	struct socket s;
	struct inet_port port; /* in the table while has_port */
	struct inet_end remote;
	bool has_port;
	bool port_is_fixed, address_is_fixed; /* the app has chosen it: stays when disconnected */
	u8 multicast_if[4];
	struct inet_group *groups;
	s32 number[INET_NUMBERS];
};

struct inet_table {
	struct inet_port *first[INET_PORTS];
	u32 last; /* given out by the system */
	u32 held; /* ports of its range that somebody has */
};

struct inet_state {
	struct inet_table tcp, udp;
	struct tcp_socket *listeners[INET_PORTS]; /* at each port, in the order of their listens */
	struct inet_rest *rest_first, *rest_last;
	u64 rests;
};
#define INET REGION_AT(struct inet_state, INET_OFF)
_Static_assert(READY_OFF + sizeof(struct ready_state) <= INET_OFF, "fits");
_Static_assert(INET_OFF + sizeof(struct inet_state) <= VNODES_OFF, "fits");

static inline struct inet_socket *inet_of(struct socket *s)
{
	return (struct inet_socket *)s;
}

/* ---- inet_address.c ---- */

extern const u8 inet_any4[INET_IP_BYTES], inet_any6[INET_IP_BYTES], inet_lo4[INET_IP_BYTES],
	inet_lo6[INET_IP_BYTES];

bool inet_is_four(const u8 *ip);
static inline bool inet_same(const u8 *a, const u8 *b)
{
	return !memcmp(a, b, INET_IP_BYTES);
}
static inline bool inet_same_end(const struct inet_end *a, const struct inet_end *b)
{
	return a->port == b->port && inet_same(a->ip, b->ip);
}
enum inet_kind inet_kind_of(const u8 *ip);
void inet_set_four(u8 *ip, const u8 *four);
/* 0.0.0.0 or ::, as the family has it. */
const u8 *inet_any_of(const struct inet_socket *i);
/* A given address, for bind (`bind`) or as a destination, as this socket takes it: -EINVAL,
 * -EAFNOSUPPORT, -ENETUNREACH. */
long inet_parse(const struct inet_socket *i, const struct socket_address *a, bool bind,
		struct inet_end *ret);
/* In the form of the socket's family. */
void inet_format(const struct inet_socket *i, const struct inet_end *e, struct socket_address *ret);
/* Where a packet to `to` goes: any becomes the loopback.  -ENETUNREACH, counted as refused by name,
 * for what is outside. */
long inet_route(struct inet_socket *i, struct inet_end *to, u32 nr);
/* The address a socket sends to `to` from, if it has not chosen one. */
void inet_source(const struct inet_socket *i, const struct inet_end *to, u8 *ret_ip);

/* ---- inet_port.c ---- */

struct inet_table *inet_table_of(const struct inet_socket *i);
/* Whether packets to one address could be for both. */
bool inet_overlaps(const u8 *a, bool a_only_six, const u8 *b, bool b_only_six);
/* Takes `port` at the socket's local address, or one nobody has (0; `avoid`: but not this one).
 * -EADDRINUSE. */
long inet_port_take(struct task *t, struct inet_socket *i, u32 port, u32 avoid);
/* Whether the socket could have the port it has, now that it is about to listen. */
long inet_port_recheck(struct inet_socket *i);
void inet_port_drop(struct inet_socket *i);
/* Shares the port of a listener: for accepted connections. */
void inet_port_share(struct inet_socket *i, struct inet_socket *listener);
/* A connection between these ends exists, or is not quite over. */
bool inet_is_connected(const struct inet_end *local, const struct inet_end *remote);
/* A connection is over on this side, which closed first; `other`: its other side, still open. */
struct inet_rest *inet_rest_create(struct inet_socket *i, struct tcp_socket *other);
/* The other side has closed too: from now on it is a matter of time. */
void inet_rest_closed(struct inet_rest *r);
void inet_rest_destroy(struct inet_rest *r);
void inet_rests_expire(void);

/* ---- inet_option.c ---- */

void inet_options_init(struct inet_socket *i);
long inet_set_option(struct task *t, struct socket *s, s32 level, s32 name, const void *value,
		     u32 len);
long inet_get_option(struct task *t, struct socket *s, s32 level, s32 name, void *value, u32 *len);
void inet_groups_drop(struct inet_socket *i);
bool inet_is_joined(const struct inet_socket *i, const u8 *group);

/* ---- inet_ioctl.c ---- */
long inet_ioctl(struct task *t, u32 request, u64 arg);

/* ---- inet_socket.c ---- */
struct socket *inet_create(struct task *t, u32 family, const struct socket_ops *ops, u32 type,
			   u32 protocol);
long inet_bind(struct task *t, struct socket *s, const struct socket_address *a);
long inet_name(struct task *t, struct socket *s, bool peer, struct socket_address *ret);
/* MSG_ERRQUEUE of a socket without such a queue. */
extern const struct socket_family inet_family, inet6_family;

/* ---- tcp.c, udp.c ---- */
extern const struct socket_ops tcp_ops, udp_ops;
/* Of a socket with a remote port: whether it has a peer to name. */
bool tcp_has_peer(struct inet_socket *i);
bool tcp_is_listening(struct inet_socket *i);
bool tcp_is_closed(struct inet_socket *i);

#endif
