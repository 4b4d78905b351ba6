/*
 * AF_UNIX sockets of all types, with and without names: thousands of random calls, none of which
 * waits, each result printed. The order of the calls is fixed by the seed, so Linux prints the
 *same.
 *
 * Linux counts the true size of its buffers, we bytes: so all sockets are emptied before any of
 *them could be full, or no longer writable.
 *
 *	unix_random SEED CALLS
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define SOCKETS	     10
#define NAMES	     5 /* of each sort */
#define BYTES_MAX    300
#define SENDS_MAX    30 /* of one socket between two drains */
#define PATH_OFFSET  offsetof(struct sockaddr_un, sun_path)
#define CONTROL_SIZE 128

static char bytes[SENDS_MAX * SOCKETS * BYTES_MAX];
static int sockets[SOCKETS]; /* -1: none */
static int sends[SOCKETS];
static int passed; /* what is sent along */

static void say(const char *what, unsigned i, long result)
{
	printf("%s %u %ld %s\n", what, i, result, result < 0 ? strerrorname_np(errno) : "");
}

static int some_type(void)
{
	static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};

	return types[pick(3)] | SOCK_NONBLOCK;
}

/* An abstract name or a path. */
static socklen_t some_name(struct sockaddr_un *a)
{
	unsigned n = pick(NAMES);

	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	if (pick(2)) {
		a->sun_path[1] = 'r';
		memset(a->sun_path + 2, 'a' + (int)n, n);
		return (socklen_t)(PATH_OFFSET + 2 + n);
	}
	snprintf(a->sun_path, sizeof(a->sun_path), "random%u", n);
	return (socklen_t)(PATH_OFFSET + strlen(a->sun_path) + pick(2));
}

static void print_name(const char *what, unsigned i, const struct sockaddr_un *a, socklen_t len)
{
	size_t size = len > PATH_OFFSET ? len - PATH_OFFSET : 0;

	printf("%s %u len %u ", what, i, len);
	for (size_t k = 0; k < size; k++)
		putchar(a->sun_path[k] ? a->sun_path[k] : '@');
	putchar('\n');
}

static long receive_with_control(unsigned i, int flags)
{
	_Alignas(8) char control[CONTROL_SIZE];
	struct sockaddr_un from;
	struct iovec iov = {bytes, pick(3) ? 2 * BYTES_MAX : pick(BYTES_MAX)};
	struct msghdr h = {.msg_name = &from,
			   .msg_namelen = sizeof(from),
			   .msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct ucred cred;
	long r = recvmsg(sockets[i], &h, flags);

	if (r < 0)
		return r;
	print_name("from", i, &from, h.msg_namelen);
	printf("flags %#x control %zu\n", (unsigned)h.msg_flags, h.msg_controllen);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&h); c; c = CMSG_NXTHDR(&h, c)) {
		printf("type %d size %zu\n", c->cmsg_type, c->cmsg_len);
		if (c->cmsg_type == SCM_CREDENTIALS) {
			memcpy(&cred, CMSG_DATA(c), sizeof(cred));
			printf("own %d uid %d\n", cred.pid == getpid(), (int)cred.uid);
		} else {
			for (size_t k = 0; k < (c->cmsg_len - CMSG_LEN(0)) / sizeof(int); k++)
				close(((int *)CMSG_DATA(c))[k]);
		}
	}
	return r;
}

static void do_receive(unsigned i)
{
	static const int flags[] = {0, MSG_PEEK, MSG_TRUNC, MSG_WAITALL, MSG_PEEK | MSG_TRUNC, 0};
	int f = flags[pick(6)];
	size_t size = pick(3) ? 2 * BYTES_MAX : pick(BYTES_MAX);

	long r = pick(3) ? recv(sockets[i], bytes, size, f) : receive_with_control(i, f);
	say("receive", i, r);
	printf("sum %u\n", r > (long)size || f & MSG_TRUNC ? 0 : sum_of(bytes, r));
}

static void drain_all(void)
{
	for (unsigned i = 0; i < SOCKETS; i++) {
		long r;

		sends[i] = 0;
		if (sockets[i] < 0)
			continue;
		for (unsigned n = 0;
		     n < 1000 && (r = recv(sockets[i], bytes, sizeof(bytes), 0)) > 0; n++)
			printf("drain %u %ld %u\n", i, r, sum_of(bytes, r));
		say("drained", i, r);
	}
}

static long send_with_control(unsigned i, size_t size)
{
	_Alignas(8) char control[CMSG_SPACE(2 * sizeof(int))] = {0};
	struct iovec iov = {bytes, size};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(c), (int[]){passed, 0}, 2 * sizeof(int));
	return sendmsg(sockets[i], &h, 0);
}

static void do_send(unsigned i)
{
	size_t size = pick(BYTES_MAX);
	unsigned seed = pick(1000);
	struct sockaddr_un a;

	if (++sends[i] >= SENDS_MAX)
		drain_all();
	for (size_t k = 0; k < size; k++)
		bytes[k] = (char)(k * 17 + seed);
	switch (pick(6)) {
	case 0: {
		socklen_t len = some_name(&a);
		say("sendto", i, sendto(sockets[i], bytes, size, 0, (struct sockaddr *)&a, len));
		break;
	}
	case 1:
		say("sendfds", i, send_with_control(i, size));
		break;
	default:
		say("send", i, send(sockets[i], bytes, size, 0));
		break;
	}
}

static void put(unsigned i, int fd)
{
	if (sockets[i] >= 0)
		say("close", i, close(sockets[i]));
	sockets[i] = fd;
	sends[i] = 0;
}

static void do_open(unsigned i)
{
	put(i, socket(AF_UNIX, some_type(), 0));
}

static void do_pair(unsigned i)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, some_type(), 0, ends) == 0);
	put(i, ends[0]);
	put((i + 1 + pick(SOCKETS - 1)) % SOCKETS, ends[1]);
}

static void do_bind(unsigned i)
{
	struct sockaddr_un a;
	socklen_t len = some_name(&a);

	say("bind", i, bind(sockets[i], (struct sockaddr *)&a, len));
}

static void do_unlink(unsigned i)
{
	char name[16];

	snprintf(name, sizeof(name), "random%u", pick(NAMES));
	say("unlink", i, unlink(name));
}

static void do_connect(unsigned i)
{
	struct sockaddr_un a;
	socklen_t len = some_name(&a);

	if (!pick(8))
		a.sun_family = AF_UNSPEC;
	say("connect", i, connect(sockets[i], (struct sockaddr *)&a, len));
}

static void do_listen(unsigned i)
{
	say("listen", i, listen(sockets[i], (int)pick(3)));
}

static void do_accept(unsigned i)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int fd = accept4(sockets[i], (struct sockaddr *)&a, &len, SOCK_NONBLOCK);

	say("accept", i, fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	print_name("accepted", i, &a, len);
	put((i + 1 + pick(SOCKETS - 1)) % SOCKETS, fd);
}

static void do_shutdown(unsigned i)
{
	say("shutdown", i, shutdown(sockets[i], (int)pick(3)));
}

static void do_names(unsigned i)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int peer = pick(2);
	int r = peer ? getpeername(sockets[i], (struct sockaddr *)&a, &len)
		     : getsockname(sockets[i], (struct sockaddr *)&a, &len);

	if (r < 0)
		say("name", i, r);
	else
		print_name(peer ? "peer" : "name", i, &a, len);
}

static void do_poll(unsigned i)
{
	struct pollfd p = {sockets[i], POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	poll(&p, 1, 0);
	printf("poll %u %#x\n", i, (unsigned)p.revents);
}

static void do_option(unsigned i)
{
	int value = -1, off = (int)pick(3) * 10 - 1;
	socklen_t len = sizeof(value);

	if (!pick(4))
		setsockopt(sockets[i], SOL_SOCKET, SO_PEEK_OFF, &off, sizeof(off));
	getsockopt(sockets[i], SOL_SOCKET, pick(2) ? SO_ERROR : SO_PEEK_OFF, &value, &len);
	printf("option %u %d\n", i, value);
}

static void do_waiting(unsigned i)
{
	int value = -1;

	say("waiting", i, ioctl(sockets[i], FIONREAD, &value));
	printf("bytes %d\n", value);
}

/* Credentials for those who are named by us: else a random name would be given to them. */
static void do_passcred(unsigned i)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int on = (int)pick(2);

	getsockname(sockets[i], (struct sockaddr *)&a, &len);
	if (len > PATH_OFFSET)
		say("passcred", i,
		    setsockopt(sockets[i], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)));
}

int main(int argc, char **argv)
{
	static void (*const actions[])(unsigned) = {
		do_send,    do_send,   do_send,	  do_send,    do_receive, do_receive,  do_receive,
		do_open,    do_pair,   do_bind,	  do_bind,    do_unlink,  do_connect,  do_connect,
		do_connect, do_listen, do_listen, do_accept,  do_accept,  do_shutdown, do_names,
		do_poll,    do_poll,   do_option, do_waiting, do_passcred};
	unsigned count = argc > 2 ? (unsigned)atoi(argv[2]) : 1000;

	state = argc > 1 ? strtoul(argv[1], NULL, 0) : 1;
	signal(SIGPIPE, SIG_IGN);
	passed = open(".", O_RDONLY);
	for (unsigned i = 0; i < SOCKETS; i++)
		sockets[i] = -1;
	for (unsigned i = 0; i < SOCKETS; i++)
		do_open(i);
	for (unsigned n = 0; n < count; n++) {
		unsigned i = pick(SOCKETS);

		if (sockets[i] < 0)
			do_open(i);
		actions[pick(sizeof(actions) / sizeof(*actions))](i);
	}
	for (unsigned i = 0; i < NAMES; i++)
		do_unlink(i);
	drain_all();
	return 0;
}
