/* AF_UNIX sockets: what the files of the family share. */
#ifndef SHADOW_UNIX_SOCKET_H
#define SHADOW_UNIX_SOCKET_H

#include "byte_queue.h"
#include "socket.h"

/* Begins with struct socket. */
struct unix_socket {
	struct socket s;
	struct unix_socket *peer; /* NULL: none, or it has gone */
	bool is_connected;	  /* of a stream: it has, or had, a peer */
	struct byte_queue in;	  /* of a stream: what its peer sent */
};

static inline struct unix_socket *unix_of(struct socket *s)
{
	return (struct unix_socket *)s;
}

/* ---- unix_stream.c ---- */
long unix_stream_send(struct task *t, struct socket *s, struct socket_msg *m);
long unix_stream_receive(struct task *t, struct socket *s, struct socket_msg *m);
/* Whether so little of what it sent is unread that it counts as writable. */
bool unix_stream_is_writable(const struct unix_socket *u);

#endif
