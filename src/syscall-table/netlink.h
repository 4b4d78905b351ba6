/* AF_NETLINK sockets: what netlink.c and netlink_route.c share. */
#ifndef SHADOW_NETLINK_H
#define SHADOW_NETLINK_H

#include "inet.h"

struct netlink_datagram {
	struct netlink_datagram *next;
	u32 len;
	u8 bytes[];
};

/* Begins with struct socket. */
struct netlink_socket {
	struct socket s;
	bool is_bound;
	u32 port, groups;
	u32 peer_port, peer_groups;
	u32 options; /* bit N: option N of level SOL_NETLINK */
	struct netlink_datagram *first, *last;
	u64 cost;     /* of what is queued */
	bool is_lost; /* something was, since the queue was empty */
};

static inline struct netlink_socket *netlink_of(struct socket *s)
{
	return (struct netlink_socket *)s;
}

/* struct nlmsghdr. */
struct netlink_header {
	u32 len;
	u16 type, flags;
	u32 seq, port;
};

/* A datagram from the kernel. */
void netlink_answer(struct netlink_socket *n, const void *bytes, u32 len);

/* netlink_route.c: does what a request asks; `body` is what follows the header (h->len with it). */
void route_request(struct netlink_socket *n, const struct netlink_header *h, const u8 *body);

extern const struct socket_family netlink_family;

#endif
