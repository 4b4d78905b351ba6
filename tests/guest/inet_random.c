/*
 * inet_random SEED COUNT: random calls on a few TCP and UDP sockets of one process, none of which
 * waits; prints what each call returned, the bytes that came and what poll says then.  The same
 * as on bare Linux: what depends on the size of its buffers is kept out (little is ever unread), as
 * are the ports the system chooses.
 */
#include "inet.h"

#define SOCKETS	   10
#define UNREAD_MAX 20000

enum kind { NOTHING, FRESH, LISTENER, STREAM, DATAGRAM };

struct end {
	enum kind kind;
	int fd;
	int unread; /* at most so much of what was sent to it */
	int peer;   /* of a stream: which sent it that; -1 */
};

static struct end ends[SOCKETS];
static unsigned long long state;
static char bytes[UNREAD_MAX];

static unsigned rnd(unsigned below)
{
	state = state * 6364136223846793005ull + 1442695040888963407ull;
	return (unsigned)(state >> 33) % below;
}

static int port_at(int i)
{
	return ends[i].kind == NOTHING ? 0 : port_of(ends[i].fd);
}

static int slot_of(enum kind kind)
{
	int from = (int)rnd(SOCKETS);

	for (int i = 0; i < SOCKETS; i++) {
		int at = (from + i) % SOCKETS;
		if (ends[at].kind == kind)
			return at;
	}
	return -1;
}

static void tell(const char *call, int i, long r)
{
	printf("%s %d = %ld", call, i, r < 0 ? -(long)errno : r);
	for (int k = 0; k < SOCKETS; k++) {
		if (ends[k].kind != NOTHING)
			printf(" %x", ready(ends[k].fd));
	}
	printf("\n");
}

/* What is sent is there at once, whatever congestion control the machine prefers. */
static void deliver_at_once(int fd)
{
	CHECK(set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1) == 0);
	CHECK(setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4) == 0);
}

static void do_open(void)
{
	int i = slot_of(NOTHING), type = rnd(3) ? SOCK_STREAM : SOCK_DGRAM;

	if (i < 0)
		return;
	ends[i] = (struct end){type == SOCK_STREAM ? FRESH : DATAGRAM,
			       socket_of(type | SOCK_NONBLOCK), 0, -1};
	if (type == SOCK_STREAM)
		deliver_at_once(ends[i].fd);
	if (type == SOCK_DGRAM || rnd(2))
		CHECK(bind4(ends[i].fd, "127.0.0.1", 0) == 0);
	tell("open", i, 0);
}

static void do_close(void)
{
	int i = (int)rnd(SOCKETS);
	struct linger hard = {1, 0};

	if (ends[i].kind == NOTHING)
		return;
	if (!rnd(4))
		setsockopt(ends[i].fd, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard));
	ends[i].kind = NOTHING;
	for (int k = 0; k < SOCKETS; k++) {
		if (ends[k].peer == i)
			ends[k].peer = -1;
	}
	tell("close", i, close(ends[i].fd));
}

static void do_listen(void)
{
	int i = slot_of(rnd(8) ? FRESH : STREAM);

	if (i < 0)
		return;
	int r = listen(ends[i].fd, 20);
	if (r == 0)
		ends[i].kind = LISTENER;
	tell("listen", i, r);
}

/* The accepted end comes at once, so that it is known whose peer it is. */
static void accept_for(int i, int l)
{
	int s = slot_of(NOTHING);

	if (s < 0)
		return;
	int fd = accept4(ends[l].fd, NULL, NULL, SOCK_NONBLOCK);
	if (fd >= 0) {
		ends[s] = (struct end){STREAM, fd, 0, i};
		ends[i].peer = s;
	}
	tell("accept", l, fd < 0 ? fd : 0);
}

static void do_connect(void)
{
	int i = slot_of(rnd(6) ? FRESH : STREAM), l = slot_of(rnd(5) ? LISTENER : STREAM);

	if (i < 0 || l < 0 || i == l)
		return;
	int r = connect4(ends[i].fd, "127.0.0.1", port_at(l));
	int connected = r == -1 && errno == EINPROGRESS;
	if (connected)
		ends[i].kind = STREAM;
	tell("connect", i, r);
	if (connected && ends[l].kind == LISTENER)
		accept_for(i, l);
}

static void do_send(void)
{
	int i = slot_of(rnd(10) ? STREAM : FRESH), n = (int)rnd(2000);

	if (i < 0)
		return;
	int to = ends[i].peer;
	if (to >= 0 && ends[to].unread + n > UNREAD_MAX)
		return;
	for (int k = 0; k < n; k++)
		bytes[k] = (char)rnd(256);
	long r = send(ends[i].fd, bytes, (size_t)n, MSG_NOSIGNAL);
	if (r > 0 && to >= 0)
		ends[to].unread += (int)r;
	tell("send", i, r);
}

static unsigned sum_of(long n)
{
	unsigned sum = 1;

	for (long k = 0; k < n; k++)
		sum = sum * 31 + (unsigned char)bytes[k];
	return sum;
}

static void do_receive(void)
{
	static const int flags[] = {0, 0, 0, MSG_PEEK, MSG_WAITALL, MSG_TRUNC};
	int i = slot_of(rnd(10) ? STREAM : rnd(2) ? FRESH : LISTENER), f = flags[rnd(6)];

	if (i < 0)
		return;
	long r = recv(ends[i].fd, bytes, rnd(6000), f);
	if (r > 0 && !(f & MSG_PEEK))
		ends[i].unread -= (int)r;
	tell("recv", i, r);
	if (r > 0 && f != MSG_TRUNC)
		printf("  %x\n", sum_of(r));
}

static void do_shutdown(void)
{
	int i = slot_of(rnd(4) ? STREAM : FRESH);

	if (i >= 0)
		tell("shutdown", i, shutdown(ends[i].fd, (int)rnd(3)));
}

static void do_error(void)
{
	int i = (int)rnd(SOCKETS);

	if (ends[i].kind != NOTHING)
		tell("error", i, option(ends[i].fd, SOL_SOCKET, SO_ERROR));
}

static void do_peer(void)
{
	struct sockaddr_in a;
	socklen_t size = sizeof(a);
	int i = (int)rnd(SOCKETS);

	if (ends[i].kind != NOTHING)
		tell("peer", i, getpeername(ends[i].fd, (struct sockaddr *)&a, &size));
}

static void do_unread(void)
{
	int i = slot_of(STREAM), n = -1;

	if (i >= 0)
		tell("unread", i, ioctl(ends[i].fd, FIONREAD, &n) ? -1 : n);
}

static void do_datagram_connect(void)
{
	int i = slot_of(DATAGRAM), to = slot_of(DATAGRAM);
	struct sockaddr nothing = {.sa_family = AF_UNSPEC};

	if (i < 0)
		return;
	if (rnd(3))
		tell("dgram connect", i, connect4(ends[i].fd, "127.0.0.1", port_at(to)));
	else
		tell("dgram apart", i, connect(ends[i].fd, &nothing, sizeof(nothing)));
}

static void do_datagram(void)
{
	int i = slot_of(DATAGRAM), to = slot_of(DATAGRAM);
	size_t n = rnd(300);

	if (i < 0)
		return;
	struct sockaddr_in a = in4("127.0.0.1", port_at(to));
	for (size_t k = 0; k < n; k++)
		bytes[k] = (char)rnd(256);
	if (rnd(2))
		tell("sendto", i,
		     sendto(ends[i].fd, bytes, n, 0, (struct sockaddr *)&a, sizeof(a)));
	else
		tell("dgram send", i, send(ends[i].fd, bytes, n, 0));
}

static void do_datagram_receive(void)
{
	static const int flags[] = {0, 0, MSG_PEEK, MSG_TRUNC};
	int i = slot_of(DATAGRAM);
	size_t room = rnd(400);

	if (i < 0)
		return;
	long r = recv(ends[i].fd, bytes, room, flags[rnd(4)]);
	tell("dgram recv", i, r);
	if (r > 0)
		printf("  %x\n", sum_of(r < (long)room ? r : (long)room));
}

int main(int argc, char **argv)
{
	static void (*const calls[])(void) = {
		do_open,
		do_open,
		do_close,
		do_listen,
		do_connect,
		do_connect,
		do_send,
		do_send,
		do_send,
		do_receive,
		do_receive,
		do_receive,
		do_shutdown,
		do_error,
		do_peer,
		do_unread,
		do_datagram,
		do_datagram,
		do_datagram_connect,
		do_datagram_receive,
	};

	CHECK(argc == 3);
	state = strtoull(argv[1], NULL, 10);
	for (int i = 0; i < SOCKETS; i++)
		ends[i].peer = -1;
	for (long n = atol(argv[2]); n > 0; n--)
		calls[rnd(sizeof(calls) / sizeof(*calls))]();
	return 0;
}
