/* UDP sockets: what their files share. */
#ifndef SHADOW_UDP_H
#define SHADOW_UDP_H

#include "inet.h"

/* What one datagram carries besides its bytes. */
struct udp_head {
	struct inet_end from, to;
	s64 time_ns;
	s32 ttl, tos;
};

/* A datagram in a queue; also what came back of one that nobody took (an ICMP error). */
struct datagram {
	struct datagram *next;
	struct udp_head head;
	u32 len;
	u8 bytes[];
};

struct datagram_list {
	struct datagram *first, *last;
	u64 cost;
};

/* Begins with struct inet_socket. */
struct udp_socket {
	struct inet_socket i;
	struct datagram_list in, errors;
	bool is_connected; /* even to port 0 */
};

static inline struct udp_socket *udp_of(struct socket *s)
{
	return (struct udp_socket *)s;
}

static inline bool udp_is_connected(const struct inet_socket *i)
{
	return ((const struct udp_socket *)i)->is_connected;
}

/* Whether it takes datagrams from there: of its peer, if it has one. */
bool udp_takes_from(const struct inet_socket *i, const struct inet_end *from);

/* ---- udp.c ---- */

/* Gives a socket that sends or connects without bind a port of the system's choice. */
long udp_autobind(struct task *t, struct inet_socket *i);
/* Who gets a datagram with this head: the best fit, or NULL. */
struct udp_socket *udp_find(const struct udp_head *h);
/* The next socket behind `after` (NULL: the first) that is meant by a broadcast or a group. */
struct udp_socket *udp_next_of_many(const struct udp_head *h, struct udp_socket *after);

/* ---- udp_io.c ---- */
long udp_send(struct task *t, struct socket *s, struct socket_msg *m);
long udp_receive(struct task *t, struct socket *s, struct socket_msg *m);
u32 udp_poll(struct task *t, struct socket *s);
long udp_ioctl(struct task *t, struct socket *s, u32 request, u64 arg);
void udp_list_clear(struct datagram_list *l);

#endif
