/*
 * Sockets: what all families share.
 *
 * A socket is an object of the heap that begins with struct socket; a description (OFD_SOCKET) has
 * it in `state`.  One that waits in a listener's queue has no description yet.  What a family does
 * is a const table of functions, none of which ever parks: what would have to wait returns -EAGAIN
 * and says for what (struct socket_wait), and the core parks the task and calls it again.  So
 * timeouts, interruption, O_NONBLOCK and partial results are decided in one place, socket.c and
 * socket_msg.c.
 *
 * A family outside this one: add its row to `families` in socket.c.
 */
#ifndef SHADOW_SOCKET_H
#define SHADOW_SOCKET_H

#include "ready.h"

enum address_family { AF_UNSPEC = 0, AF_UNIX = 1, AF_INET = 2, AF_INET6 = 10, AF_NETLINK = 16 };
enum socket_type {
	SOCK_STREAM = 1,
	SOCK_DGRAM,
	SOCK_RAW,
	SOCK_RDM,
	SOCK_SEQPACKET,
	SOCK_TYPES = 11, /* what the kernel knows numbers for */
	SOCK_TYPE_MASK = 0xf
};

#define MSG_OOB		 0x1u
#define MSG_PEEK	 0x2u
#define MSG_CTRUNC	 0x8u
#define MSG_TRUNC	 0x20u
#define MSG_DONTWAIT	 0x40u
#define MSG_EOR		 0x80u
#define MSG_WAITALL	 0x100u
#define MSG_ERRQUEUE	 0x2000u
#define MSG_NOSIGNAL	 0x4000u
#define MSG_MORE	 0x8000u
#define MSG_WAITFORONE	 0x10000u
#define MSG_CMSG_CLOEXEC 0x40000000u

/* Of sockets that shut down: the bits of socket.shut, as the kernel's sk_shutdown. */
enum socket_shut { SHUT_RECEIVE = 1, SHUT_SEND = 2, SHUT_BOTH = 3 };

#define SOL_SOCKET	   1
#define SOCKET_ADDRESS_MAX 128u	  /* struct sockaddr_storage */
#define SOCKET_BUFFER	   212992 /* net.core.[rw]mem_default and _max */
#define SOCKET_BACKLOG_MAX 4096u  /* net.core.somaxconn */
/* Bits of wait nodes: woken one at a time, in order of coming (accept, datagrams); all of them. */
#define SOCKET_BIT_TURN (1u << 27)
#define SOCKET_ALL                                                                          \
	(READY_ALWAYS | POLLERR | POLLHUP | POLLRDHUP | POLLPRI | POLLRDBAND | POLLWRBAND | \
	 SOCKET_BIT_TURN)

/* SOL_SOCKET options that are on or off: bit N of socket.options is option number N. */
enum socket_option {
	SO_DEBUG = 1,
	SO_REUSEADDR,
	SO_TYPE,
	SO_ERROR,
	SO_DONTROUTE,
	SO_BROADCAST,
	SO_SNDBUF,
	SO_RCVBUF,
	SO_KEEPALIVE,
	SO_OOBINLINE,
	SO_NO_CHECK,
	SO_PRIORITY,
	SO_LINGER,
	SO_BSDCOMPAT,
	SO_REUSEPORT,
	SO_PASSCRED,
	SO_PEERCRED,
	SO_RCVLOWAT,
	SO_SNDLOWAT,
	SO_RCVTIMEO,
	SO_SNDTIMEO,
	SO_BINDTODEVICE = 25,
	SO_TIMESTAMP = 29,
	SO_ACCEPTCONN,
	SO_PEERSEC,
	SO_SNDBUFFORCE,
	SO_RCVBUFFORCE,
	SO_PASSSEC,
	SO_TIMESTAMPNS,
	SO_MARK,
	SO_PROTOCOL = 38,
	SO_DOMAIN,
	SO_RXQ_OVFL,
	SO_PEEK_OFF = 42,
	SO_COOKIE = 57,
	SO_PEERGROUPS = 59,
};

/* An address; len 0: none.  Bytes behind len are not set. */
struct socket_address {
	u32 len;
	union {
		u16 family;
		u8 bytes[SOCKET_ADDRESS_MAX];
	};
};

struct socket {
	const struct socket_ops *ops; /* the shim lies at one place in all processes */
	u16 family, type;
	u32 protocol;
	u32 ofd;  /* its description; 0: it waits to be accepted */
	u32 shut; /* enum socket_shut */
	u32 is_listening;
	s32 error; /* a positive errno that the next call tells, once; SO_ERROR */
	u64 options;
	s32 sndbuf, rcvbuf; /* as getsockopt shows them */
	s32 rcvlowat, peek_off, linger_s, priority, mark;
	u64 receive_timeout_ns, send_timeout_ns; /* SCHED_NEVER: none */
	u64 ino;
	u32 uid, gid, mode;
	s64 born_ns;
	struct socket *prev, *next; /* all sockets of the container, the newest first */
};

static inline struct sched_key socket_key(const struct socket *s)
{
	return (struct sched_key){KEY_OFD, (u64)s};
}

static inline bool socket_has_option(const struct socket *s, enum socket_option option)
{
	return s->options >> option & 1;
}

/* What a call that returned -EAGAIN waits for. */
struct socket_wait {
	struct sched_key key; /* the socket's own, unless the family says another */
	u32 events;
};

/* Where recvmsg puts its control messages. */
struct socket_control {
	u64 addr, room, used;
};

/* One message on its way out or in. */
struct socket_msg {
	struct file_io io; /* nowait: MSG_DONTWAIT or O_NONBLOCK */
	u32 flags;	   /* MSG_* as given */
	u32 flags_out;	   /* receive: MSG_* to tell */
	u64 done;	   /* bytes moved by this call's earlier tries */
	u64 memory[2];	   /* of the family's own, between tries */
	struct socket_wait wait;
	const struct socket_address *to; /* send: NULL: none given */
	struct socket_address *from;	 /* receive: NULL: not wanted; len is 0 before */
	const u8 *control;		 /* send: what the app gave, in our memory */
	u64 control_len;
	struct socket_control *control_out; /* receive: NULL: not wanted */
};

/*
 * What a family does, for one type of its sockets.  NULL members: EOPNOTSUPP; ioctl: ENOTTY;
 * options: ENOPROTOOPT.  `bind` and `connect` get addresses of at least 2 bytes, folded.  None
 * parks: -EAGAIN with *wait (set to the socket's key) says for what.
 */
struct socket_ops {
	u32 size; /* of the family's struct */
	long (*pair)(struct task *t, struct socket *a, struct socket *b);
	long (*bind)(struct task *t, struct socket *s, const struct socket_address *a);
	/* `tries`: how often it has waited in this call.  With O_NONBLOCK, or at SO_SNDTIMEO,
	 * -EAGAIN becomes -connect_late (0: EAGAIN). */
	long (*connect)(struct task *t, struct socket *s, const struct socket_address *a,
			struct socket_wait *wait, u32 tries);
	s32 connect_late;
	long (*listen)(struct task *t, struct socket *s, u32 backlog);
	/* The oldest connection: a socket without description. */
	long (*accept)(struct task *t, struct socket *s, struct socket **ret);
	long (*name)(struct task *t, struct socket *s, bool peer, struct socket_address *ret);
	/* The call's result, or -EAGAIN with m->done as far as it came.  Other errors count only if
	 * m->done is 0; -EPIPE of a stream then becomes SIGPIPE too. */
	long (*send)(struct task *t, struct socket *s, struct socket_msg *m);
	long (*receive)(struct task *t, struct socket *s, struct socket_msg *m);
	/* how: enum socket_shut. */
	long (*shutdown)(struct task *t, struct socket *s, u32 how);
	u32 (*poll)(struct task *t, struct socket *s);
	long (*ioctl)(struct task *t, struct socket *s, u32 request, u64 arg);
	/* Any level; called for what socket_opt.c has no row for.  `len` is at most
	 * SOCKET_OPTION_MAX; get sets it to what there is. */
	long (*set_option)(struct task *t, struct socket *s, s32 level, s32 name, const void *value,
			   u32 len);
	long (*get_option)(struct task *t, struct socket *s, s32 level, s32 name, void *value,
			   u32 *len);
	/* SO_RCVBUF or SO_RCVLOWAT changed: it, or who sends to it, may have become ready. */
	void (*tuned)(struct socket *s);
	/* SO_PEEK_OFF is Linux's for this type. */
	bool can_peek_off;
	/* The last reference went: wake the other side, drop what is queued, but do not free `s`.
	 */
	void (*release)(struct socket *s);
};
#define SOCKET_OPTION_MAX 512u

/* A family: checks type and protocol as socket(2): -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -EPERM...
 * and makes a socket with socket_create. */
struct socket_family {
	u32 family;
	long (*create)(struct task *t, u32 type, u32 protocol, struct socket **ret);
};
extern const struct socket_family unix_family; /* unix_socket.c */
/* unix_rights.c, for the first process: what descriptors travel through. */
void unix_carrier_init(void);

/* A socket without description, of the current process; owner, buffers and timeouts as usual. */
struct socket *socket_create(struct task *t, u32 family, const struct socket_ops *ops, u32 type,
			     u32 protocol);
/* Ends it: ops->release, then it is freed.  For those without description; others end with it. */
void socket_destroy(struct socket *s);
/* The socket with this inode number, or NULL; all of them: socket_first, s->next. */
struct socket *socket_find(u64 ino);
struct socket *socket_first(void);

/* For fd.c: a reference to the description went, and it was not the last. */
void socket_reference_gone(struct ofd *o);
/* For metadata.c: fchmod. */
long socket_chmod(struct task *t, struct ofd *o, u32 mode);
/* For ready.c: who waited there will not return; it may have been woken for what is still there. */
void socket_waiter_gone(struct ofd *o);

static inline struct socket *socket_of(const struct ofd *o)
{
	return o->state;
}

/* It became ready for `events`: all who wait for them are told; `one` of those who take turns. */
void socket_changed(struct socket *s, u32 events);
void socket_changed_one(struct socket *s, u32 events);
/* Takes the pending error: 0 or a negative errno. */
long socket_take_error(struct socket *s);
/* For bind of any family: the app's address in; for names: an address out, with its length as
 * accept and getsockname do. */
long socket_address_in(struct task *t, u64 user, s32 len, struct socket_address *ret);
long socket_address_out(struct task *t, const struct socket_address *a, u64 user, u64 user_len);

/*
 * Parks until `w` or `limit_ns` (virtual, absolute; SCHED_NEVER) comes.  0: look again; -EAGAIN at
 * the limit; -ERESTARTSYS or, with a limit, -EINTR, as Linux.  The caller has a park_hold.
 */
long socket_park(struct task *t, const struct socket_wait *w, u64 limit_ns);
u64 socket_limit(u64 timeout_ns);

/* ---- socket_msg.c ---- */

long socket_read(struct task *t, struct ofd *o, const struct file_io *io);
long socket_write(struct task *t, struct ofd *o, const struct file_io *io);
/* One control message more for the receiver; what does not fit is cut and sets MSG_CTRUNC. */
void socket_control_put(struct task *t, struct socket_msg *m, s32 level, s32 type, const void *data,
			u64 len);
/* Bytes of data that still have room in a control message. */
u64 socket_control_room(const struct socket_msg *m);
/* A control message the sender gave, in the kernel's layout. */
struct socket_cmsg {
	u64 len; /* with this head */
	s32 level, type;
	u8 data[];
};
/* The first, or the one behind `c`; NULL: no more.  -EINVAL in *ret_error if one is malformed. */
const struct socket_cmsg *socket_cmsg_next(const struct socket_msg *m, const struct socket_cmsg *c,
					   long *ret_error);

/* ---- socket_opt.c ---- */

/* Keeps the time the message has for SO_TIMESTAMP and SO_TIMESTAMPNS, if asked for. */
void socket_put_timestamp(struct task *t, struct socket *s, struct socket_msg *m, s64 time_ns);

#endif
