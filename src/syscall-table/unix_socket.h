/* AF_UNIX sockets: what the files of the family share. */
#ifndef SHADOW_UNIX_SOCKET_H
#define SHADOW_UNIX_SOCKET_H

#include "byte_queue.h"
#include "socket.h"

#define UNIX_PATH_MAX 108u /* sun_path */
#define UNIX_ADDR_MIN 2u   /* offset of sun_path */
#define UNIX_FDS_MAX  253u /* SCM_MAX_FD: in one message */
#define UNIX_QLEN_MAX 10u  /* net.unix.max_dgram_qlen */
/* Wait nodes on a socket whose queue is full: for room in it. */
#define UNIX_BIT_ROOM (1u << 26)

/* An address; counted: it may outlive its socket, in what others know of it. */
struct unix_name {
	u32 refs;
	u32 len; /* with the family */
	u64 hash;
	u8 bytes[]; /* sun_path */
};

/* struct ucred */
struct unix_cred {
	s32 pid;
	u32 uid, gid;
};

/* Descriptors on their way; in flight until unix_rights_give or unix_rights_drop. */
struct unix_rights {
	struct unix_rights *next; /* of those to be dropped */
	u64 key;		  /* of those the kernel has, in the carrier; 0: all are ours */
	u32 count;
	u32 ofds[];
};

/* What a sender gave besides data. */
struct unix_ancillary {
	struct unix_cred cred;
	bool has_cred;
	u32 count;
	s32 fds[UNIX_FDS_MAX];
};

/* Bytes of a stream that came with credentials or descriptors: from `begin` to `end`, counted since
 * the stream began.  In order; bytes between two came with neither. */
struct unix_part {
	struct unix_part *next;
	u64 begin, end;
	struct unix_rights *rights; /* NULL: none, or taken with the first byte */
	struct unix_cred cred;
};

/* What a socket has sent in packets and nobody has read; outlives it while there are any. */
struct unix_account {
	u64 cost;
	u32 packets;
	struct unix_socket *owner; /* NULL: it has gone */
	struct unix_name *name;	   /* of an owner that has gone */
};

/* A message of SOCK_DGRAM or SOCK_SEQPACKET. */
struct unix_packet {
	struct unix_packet *next;
	struct unix_account *account;
	struct unix_rights *rights;
	struct unix_cred cred;
	s64 time_ns;
	u64 len, cost;
	u8 bytes[];
};

enum unix_state { UNIX_CLOSED, UNIX_LISTENING, UNIX_CONNECTED };

/* Begins with struct socket. */
struct unix_socket {
	struct socket s;
	u32 state;		  /* enum unix_state */
	struct unix_socket *peer; /* NULL: none, or it has gone */
	struct unix_socket *fans; /* whose peer this is */
	struct unix_socket *fan_prev, *fan_next;
	bool peer_gone; /* its peer has gone; peer_name is what it was called */
	struct unix_name *name, *peer_name;
	bool is_bound;			/* the name leads to it */
	struct unix_socket *bound_next; /* in READY->unix_bound */
	u32 vnode;			/* of its path */
	struct unix_cred peer_cred;
	u32 *peer_groups; /* heap, or NULL */
	u32 peer_ngroups;
	/* A listener's connections, oldest first. */
	struct unix_socket *pending_first, *pending_last, *pending_next;
	u32 pending, backlog;
	/* Streams: what its peer sent. */
	struct byte_queue in;
	struct unix_part *part_first, *part_last;
	/* The others. */
	struct unix_packet *packet_first, *packet_last;
	u32 packets;
	struct unix_account *account;
	u32 inflight; /* how often it is in a queue as a descriptor */
	u32 reached;  /* of the search for such that nobody can reach */
};

static inline struct unix_socket *unix_of(struct socket *s)
{
	return (struct unix_socket *)s;
}

static inline bool unix_is_connecting(const struct unix_socket *u)
{
	return u->s.type != SOCK_DGRAM;
}

/* Whoever has a peer, be it one that has gone, is sent to by that alone. */
static inline bool unix_may_send(const struct unix_socket *u, const struct unix_socket *to)
{
	return to->peer == u || (!to->peer && !to->peer_gone);
}

/* ---- unix_name.c ---- */

struct unix_name *unix_name_hold(struct unix_name *n); /* NULL is fine */
void unix_name_put(struct unix_name *n);
void unix_name_show(const struct unix_name *n, struct socket_address *ret);
long unix_bind(struct task *t, struct socket *s, const struct socket_address *a);
/* Gives a socket without a name one. */
long unix_autobind(struct task *t, struct unix_socket *u);
/* Whom the address leads to; -ECONNREFUSED, -ENOENT and what a path lookup says. */
long unix_find(struct task *t, const struct socket_address *a, u32 type, struct unix_socket **ret);
/* Takes the name away. */
void unix_unbind(struct unix_socket *u);

/* ---- unix_connect.c ---- */

long unix_pair(struct task *t, struct socket *a, struct socket *b);
long unix_connect_stream(struct task *t, struct socket *s, const struct socket_address *a,
			 struct socket_wait *wait, u32 tries);
long unix_connect_dgram(struct task *t, struct socket *s, const struct socket_address *a,
			struct socket_wait *wait, u32 tries);
long unix_listen(struct task *t, struct socket *s, u32 backlog);
long unix_accept(struct task *t, struct socket *s, struct socket **ret);
long unix_shutdown(struct task *t, struct socket *s, u32 how);
void unix_peer_set(struct unix_socket *u, struct unix_socket *peer);
void unix_peer_clear(struct unix_socket *u);
/* A datagram socket's messages are lost when it leaves its peer, which hears of it. */
void unix_dgram_leave(struct unix_socket *u, struct unix_socket *old);
void unix_disconnect_all(struct unix_socket *u);

/* ---- unix_stream.c ---- */
long unix_stream_send(struct task *t, struct socket *s, struct socket_msg *m);
long unix_stream_receive(struct task *t, struct socket *s, struct socket_msg *m);
/* Whether so little of what it sent is unread that it counts as writable. */
bool unix_stream_is_writable(const struct unix_socket *u);
void unix_stream_clear(struct unix_socket *u);

/* ---- unix_packet.c ---- */
long unix_dgram_send(struct task *t, struct socket *s, struct socket_msg *m);
long unix_seqpacket_send(struct task *t, struct socket *s, struct socket_msg *m);
long unix_dgram_receive(struct task *t, struct socket *s, struct socket_msg *m);
long unix_seqpacket_receive(struct task *t, struct socket *s, struct socket_msg *m);
bool unix_packet_is_writable(const struct unix_socket *u);
void unix_packets_clear(struct unix_socket *u);
/* Its owner ends. */
void unix_account_close(struct unix_socket *u);

/* ---- unix_rights.c ---- */

extern const struct unix_cred unix_no_cred; /* of what came without any */
struct unix_cred unix_own_cred(struct task *t);
/* Looks at what the sender gave: -EINVAL, -EBADF, -EPERM, -ESRCH. */
long unix_ancillary_in(struct task *t, const struct socket_msg *m, struct unix_ancillary *ret);
/* The credentials the message has, for the receiver `to`. */
struct unix_cred unix_cred_of(struct task *t, const struct unix_socket *u,
			      const struct unix_socket *to, const struct unix_ancillary *a);
static inline bool unix_cred_is_same(const struct unix_cred *a, const struct unix_cred *b)
{
	return a->pid == b->pid && a->uid == b->uid && a->gid == b->gid;
}
/* Puts the sender's descriptors in flight: *ret NULL if there are none.  -ETOOMANYREFS. */
long unix_rights_take(struct task *t, const struct unix_ancillary *a, struct unix_rights **ret);
/* Tells the receiver: credentials if it asked for them, descriptors if there are any (NULL: none),
 * which are no longer in flight unless `peek`. */
void unix_cred_give(struct task *t, struct socket *s, struct socket_msg *m,
		    const struct unix_cred *cred);
void unix_rights_give(struct task *t, struct socket_msg *m, struct unix_rights *r, bool peek);
/* Nobody will receive them.  May end sockets, so the caller's lists are in order before. */
void unix_rights_drop(struct unix_rights *r);
/* For socket.c: a reference to the socket's description went, and it was not the last. */
void unix_reference_gone(struct socket *s);

#endif
