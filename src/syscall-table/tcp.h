/* TCP sockets: what their files share. */
#ifndef SHADOW_TCP_H
#define SHADOW_TCP_H

#include "byte_queue.h"
#include "inet.h"

/* The kernel's numbers; what loopback passes through at once (SYN_RECV, FIN_WAIT1, CLOSING,
 * LAST_ACK) no socket is ever in, and TIME_WAIT is inet_rest. */
enum tcp_state {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2, /* waits for room in a listener's queue */
	TCP_FIN_WAIT2 = 5,
	TCP_CLOSE = 7,
	TCP_CLOSE_WAIT = 8,
	TCP_LISTEN = 10,
};

/* How far calls of connect are: what they return depends on it as much as on the state. */
enum tcp_call {
	CALL_NONE,
	CALL_CONNECTING, /* one has begun, and none told its end yet */
	CALL_CONNECTED,	 /* one has succeeded, or accept; until disconnected */
	CALL_GIVEN_UP,	 /* shut down before a call told that it failed */
};

enum tcp_urgent { URGENT_NONE, URGENT_THERE, URGENT_READ };

#define TCP_SNDBUF	     16384 /* net.ipv4.tcp_wmem; what a connection has grown to: */
#define TCP_SNDBUF_CONNECTED 2626560
#define TCP_RCVBUF	     131072 /* net.ipv4.tcp_rmem */

/* Sockets that wait at a listener, by their `next_waiting`. */
struct tcp_list {
	struct tcp_socket *first, *last;
	u32 count;
};

/* Begins with struct inet_socket. */
struct tcp_socket {
	struct inet_socket i;
	enum tcp_state state;
	enum tcp_call call;
	bool saw_end;		     /* the peer's FIN: reads end without an error */
	struct tcp_socket *peer;     /* NULL: none, or it is closed */
	struct inet_rest *rest;	     /* what is left of the peer */
	struct tcp_socket *listener; /* whose list it is in */
	struct tcp_socket *next_waiting;
	struct tcp_list ready, late; /* of a listener: to be accepted; for which there is no room */
	struct tcp_socket *next_listener;
	u32 backlog, congestion; /* the latter: which control, of inet_option.c */
	struct byte_queue in;
	enum tcp_urgent urgent;
	u8 urgent_byte;
	u64 urgent_at;			     /* its number in the stream */
	u64 sent, segments_in, segments_out; /* ever, for TCP_INFO */
};

static inline struct tcp_socket *tcp_of(struct socket *s)
{
	return (struct tcp_socket *)s;
}

/* ---- tcp.c ---- */

/* It does not listen any more: its queues end. */
void tcp_listen_stop(struct tcp_socket *l);
/* Takes a socket that waits for room in a listener's queue out of its list. */
void tcp_stop_waiting(struct tcp_socket *s);

/* ---- tcp_close.c ---- */

/* The connection is over: no peer, nothing more in either direction. */
void tcp_done(struct tcp_socket *s);
/* A RST came. */
void tcp_reset(struct tcp_socket *s);
/* Sends one: the other side is reset, or what is left of it is gone. */
void tcp_send_reset(struct tcp_socket *s);
/* Sends the end; the socket itself stays open for reading, if there is something to come. */
void tcp_send_end(struct tcp_socket *s);
long tcp_shutdown(struct task *t, struct socket *s, u32 how);
/* connect to AF_UNSPEC, and after a connect that failed: as new, but for what bind fixed. */
void tcp_disconnect(struct tcp_socket *s);
void tcp_release(struct socket *s);

/* ---- tcp_io.c ---- */
long tcp_send(struct task *t, struct socket *s, struct socket_msg *m);
long tcp_receive(struct task *t, struct socket *s, struct socket_msg *m);
u32 tcp_poll(struct task *t, struct socket *s);
void tcp_tuned(struct socket *s);
long tcp_ioctl(struct task *t, struct socket *s, u32 request, u64 arg);

#endif
