/*
 * UDP on the loopback: addresses of each datagram, connected sockets and what they refuse, errors
 * that come back, cut and empty datagrams, control messages, broadcast and multicast.
 */
#include <time.h>
#include <linux/errqueue.h>
#include <net/if.h>
#include <pthread.h>
#include "inet.h"

static char big[70000];

static int bound(const char *text)
{
	int fd = socket_of(SOCK_DGRAM);

	CHECK(bind4(fd, text, 0) == 0);
	return fd;
}

static long send4(int fd, const char *data, const char *text, int port)
{
	struct sockaddr_in to = in4(text, port);

	return sendto(fd, data, strlen(data), 0, (struct sockaddr *)&to, sizeof(to));
}

static long recv_now(int fd)
{
	return recv(fd, big, sizeof(big), MSG_DONTWAIT);
}

static void check_fresh(void)
{
	int fd = socket_of(SOCK_DGRAM);

	CHECK(ready(fd) == POLLOUT && port_of(fd) == 0);
	FAILS(recv_now(fd), EAGAIN);
	FAILS(send(fd, "x", 1, 0), EDESTADDRREQ);
	FAILS(listen(fd, 1), EOPNOTSUPP);
	FAILS(accept(fd, NULL, NULL), EOPNOTSUPP);
	FAILS(getpeername(fd, (struct sockaddr *)big, &(socklen_t){16}), ENOTCONN);
	FAILS(shutdown(fd, SHUT_RD), ENOTCONN);
	FAILS(send4(fd, "x", "127.0.0.1", 0), EINVAL);
	CHECK(send4(fd, "x", "127.0.0.1", 9) == 1 && port_of(fd) != 0);
	FAILS(bind4(fd, "127.0.0.1", 0), EINVAL);
	close(fd);
	FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_TCP), EPROTONOSUPPORT);
	FAILS(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP), EACCES);
}

static void check_addresses(void)
{
	struct sockaddr_in from;
	socklen_t size = sizeof(from);
	int a = bound("127.0.0.1"), b = bound("127.0.0.1");

	CHECK(send4(a, "one", "127.0.0.1", port_of(b)) == 3);
	CHECK(send4(a, "", "127.0.0.1", port_of(b)) == 0);
	CHECK(ready(b) == (POLLIN | POLLOUT));
	CHECK(recvfrom(b, big, 9, 0, (struct sockaddr *)&from, &size) == 3 && size == 16);
	CHECK(from.sin_family == AF_INET && ntohs(from.sin_port) == port_of(a));
	CHECK(from.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && memcmp(big, "one", 3) == 0);
	CHECK(recv(b, big, 9, 0) == 0);
	size = 6;
	CHECK(send4(a, "two", "127.0.0.1", port_of(b)) == 3);
	CHECK(recvfrom(b, big, 9, 0, (struct sockaddr *)&from, &size) == 3 && size == 16);
	/* To every address, and from one of the sender's choice. */
	int any = bound("0.0.0.0");
	CHECK(send4(a, "x", "127.9.9.9", port_of(any)) == 1 && recv_now(any) == 1);
	CHECK(send4(any, "y", "127.0.0.1", port_of(a)) == 1 && recv_now(a) == 1);
	CHECK(send4(a, "z", "0.0.0.0", port_of(any)) == 1 && recv_now(any) == 1);
	close(a);
	close(b);
	close(any);
}

static void check_cut(void)
{
	struct iovec part = {big, 4};
	struct msghdr m = {.msg_iov = &part, .msg_iovlen = 1};
	int a = bound("127.0.0.1"), b = bound("127.0.0.1"), n;

	for (int i = 0; i < 5; i++)
		CHECK(send4(a, "0123456789", "127.0.0.1", port_of(b)) == 10);
	CHECK(ioctl(b, FIONREAD, &n) == 0 && n == 10);
	CHECK(recv(b, big, 4, MSG_PEEK) == 4 && recv(b, big, 4, MSG_PEEK | MSG_TRUNC) == 10);
	CHECK(recv(b, big, 4, 0) == 4);
	CHECK(recv(b, big, 4, MSG_TRUNC) == 10);
	CHECK(recvmsg(b, &m, 0) == 4 && m.msg_flags == MSG_TRUNC);
	CHECK(recvmsg(b, &m, MSG_TRUNC) == 10 && m.msg_flags == MSG_TRUNC);
	CHECK(recv_now(b) == 10);
	FAILS(recv_now(b), EAGAIN);
	struct sockaddr_in to = in4("127.0.0.1", port_of(b));
	FAILS(sendto(a, big, 65508, 0, (struct sockaddr *)&to, sizeof(to)), EMSGSIZE);
	CHECK(sendto(a, big, 65507, 0, (struct sockaddr *)&to, sizeof(to)) == 65507);
	CHECK(recv_now(b) == 65507);
	FAILS(sendto(a, big, 3, 0, (struct sockaddr *)&to, 8), EINVAL);
	to.sin_family = AF_UNIX;
	FAILS(sendto(a, big, 3, 0, (struct sockaddr *)&to, 16), EAFNOSUPPORT);
	FAILS(sendto(a, big, 3, MSG_OOB, (struct sockaddr *)&to, 16), EOPNOTSUPP);
	FAILS(recv(b, big, 3, MSG_OOB | MSG_DONTWAIT), EAGAIN);
	close(a);
	close(b);
}

static void check_connected(void)
{
	struct sockaddr nothing = {.sa_family = AF_UNSPEC};
	struct sockaddr_in peer;
	socklen_t size = sizeof(peer);
	int a = bound("127.0.0.1"), b = bound("127.0.0.1"), c = bound("127.0.0.1");

	CHECK(send4(c, "before", "127.0.0.1", port_of(a)) == 6);
	CHECK(connect4(a, "127.0.0.1", port_of(b)) == 0);
	CHECK(getpeername(a, (struct sockaddr *)&peer, &size) == 0);
	CHECK(ntohs(peer.sin_port) == port_of(b));
	CHECK(send(a, "x", 1, 0) == 1 && recv_now(b) == 1);
	CHECK(send4(a, "y", "127.0.0.1", port_of(c)) == 1 && recv_now(c) == 1);
	CHECK(recv_now(a) == 6);
	CHECK(send4(c, "no", "127.0.0.1", port_of(a)) == 2);
	FAILS(recv_now(a), EAGAIN);
	CHECK(send4(b, "yes", "127.0.0.1", port_of(a)) == 3 && recv_now(a) == 3);
	CHECK(connect4(a, "127.0.0.1", port_of(c)) == 0 && send(a, "z", 1, 0) == 1);
	CHECK(recv_now(c) == 1);
	CHECK(connect(a, &nothing, sizeof(nothing)) == 0);
	FAILS(send(a, "x", 1, 0), EDESTADDRREQ);
	CHECK(port_of(a) != 0 && send4(c, "in", "127.0.0.1", port_of(a)) == 2 && recv_now(a) == 2);
	close(a);
	close(b);
	close(c);
	a = socket_of(SOCK_DGRAM); /* chooses its own address */
	CHECK(connect4(a, "127.0.0.1", 9) == 0 && port_of(a) != 0);
	CHECK(getsockname(a, (struct sockaddr *)&peer, &size) == 0);
	CHECK(peer.sin_addr.s_addr == htonl(INADDR_LOOPBACK));
	CHECK(connect(a, &nothing, sizeof(nothing)) == 0 && port_of(a) == 0);
	close(a);
}

/* Nobody is there: a connected socket is told, once. */
static void check_refused(void)
{
	int a = bound("127.0.0.1"), b = bound("127.0.0.1"), port = port_of(b);

	close(b);
	CHECK(send4(a, "x", "127.0.0.1", port) == 1);
	FAILS(recv_now(a), EAGAIN);
	CHECK(connect4(a, "127.0.0.1", port) == 0 && send(a, "x", 1, 0) == 1);
	CHECK(ready(a) == (POLLOUT | POLLERR));
	FAILS(recv(a, big, 1, 0), ECONNREFUSED);
	CHECK(ready(a) == POLLOUT);
	CHECK(send(a, "x", 1, 0) == 1);
	FAILS(send(a, "x", 1, 0), ECONNREFUSED);
	CHECK(send(a, "x", 1, 0) == 1 && option(a, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	CHECK(option(a, SOL_SOCKET, SO_ERROR) == 0);
	close(a);
}

static void check_error_queue(void)
{
	struct sockaddr_in to;
	struct iovec part = {big, 100};
	char control[256];
	struct msghdr m = {.msg_name = &to,
			   .msg_namelen = sizeof(to),
			   .msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int a = bound("127.0.0.1"), b = bound("127.0.0.1"), port = port_of(b);

	close(b);
	FAILS(recv(a, big, 1, MSG_ERRQUEUE), EAGAIN);
	CHECK(set_option(a, IPPROTO_IP, IP_RECVERR, 1) == 0 &&
	      option(a, IPPROTO_IP, IP_RECVERR) == 1);
	CHECK(send4(a, "lost", "127.0.0.1", port) == 4 && ready(a) == (POLLOUT | POLLERR));
	CHECK(recvmsg(a, &m, MSG_ERRQUEUE) == 4 && memcmp(big, "lost", 4) == 0);
	CHECK(m.msg_flags == MSG_ERRQUEUE && ntohs(to.sin_port) == port);
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	CHECK(c && c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR);
	struct sock_extended_err *e = (struct sock_extended_err *)CMSG_DATA(c);
	CHECK(e->ee_errno == ECONNREFUSED && e->ee_origin == SO_EE_ORIGIN_ICMP);
	CHECK(e->ee_type == 3 && e->ee_code == 3 && ready(a) == POLLOUT);
	FAILS(recv(a, big, 1, MSG_ERRQUEUE), EAGAIN);
	CHECK(send4(a, "lost", "127.0.0.1", port) == 4);
	FAILS(recv_now(a), ECONNREFUSED);
	FAILS(recv_now(a), EAGAIN);
	CHECK(ready(a) == (POLLOUT | POLLERR));
	CHECK(recv(a, big, 2, MSG_ERRQUEUE) == 2 && ready(a) == POLLOUT);
	close(a);
}

static void check_shutdown(void)
{
	int a = bound("127.0.0.1"), b = bound("127.0.0.1");

	CHECK(connect4(a, "127.0.0.1", port_of(b)) == 0 && shutdown(a, SHUT_WR) == 0);
	FAILS(send(a, "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(ready(a) == POLLOUT && shutdown(a, SHUT_RD) == 0);
	CHECK(recv(a, big, 1, 0) == 0);
	CHECK(ready(a) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	close(a);
	close(b);
}

static void check_reuse(void)
{
	int a = bound("127.0.0.1"), b = socket_of(SOCK_DGRAM), port = port_of(a);

	FAILS(bind4(b, "127.0.0.1", port), EADDRINUSE);
	FAILS(bind4(b, "0.0.0.0", port), EADDRINUSE);
	CHECK(bind4(b, "127.0.0.7", port) == 0 && close(b) == 0);
	b = socket_of(SOCK_DGRAM);
	CHECK(set_option(b, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	FAILS(bind4(b, "127.0.0.1", port), EADDRINUSE);
	CHECK(set_option(a, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK(bind4(b, "127.0.0.1", port) == 0);
	/* The one bound last has it. */
	CHECK(send4(a, "x", "127.0.0.1", port) == 1 && recv_now(b) == 1);
	FAILS(recv_now(a), EAGAIN);
	close(b);
	CHECK(send4(a, "x", "127.0.0.1", port) == 1 && recv_now(a) == 1);
	/* The one that fits best has it, whenever it was bound. */
	b = socket_of(SOCK_DGRAM);
	CHECK(set_option(b, SOL_SOCKET, SO_REUSEADDR, 1) == 0 && bind4(b, "0.0.0.0", port) == 0);
	CHECK(send4(b, "y", "127.0.0.1", port) == 1 && recv_now(a) == 1);
	CHECK(send4(b, "y", "127.0.0.2", port) == 1 && recv_now(b) == 1);
	close(a);
	close(b);
}

static void check_reuseport(void)
{
	int fd[3], c = bound("127.0.0.1"), port = 0, got = 0;

	for (int i = 0; i < 3; i++) {
		fd[i] = socket_of(SOCK_DGRAM);
		CHECK(set_option(fd[i], SOL_SOCKET, SO_REUSEPORT, 1) == 0);
		CHECK(bind4(fd[i], "127.0.0.1", port) == 0 && (port = port_of(fd[i])));
	}
	for (int i = 0; i < 12; i++)
		CHECK(send4(c, "x", "127.0.0.1", port) == 1);
	for (int i = 0; i < 3; i++) {
		int here = 0; /* of one flow all or nothing */
		while (recv_now(fd[i]) == 1)
			here++;
		CHECK((here == 0 || here == 12) && close(fd[i]) == 0);
		got += here;
	}
	CHECK(got == 12 && close(c) == 0);
}

/* The control message of a type, or NULL. */
static void *control_of(struct msghdr *m, int level, int type)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(m); c; c = CMSG_NXTHDR(m, c)) {
		if (c->cmsg_level == level && c->cmsg_type == type)
			return CMSG_DATA(c);
	}
	return NULL;
}

static void check_control(void)
{
	char control[512];
	struct iovec part = {big, 100};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int a = bound("127.0.0.1"), b = bound("0.0.0.0");

	CHECK(set_option(b, IPPROTO_IP, IP_PKTINFO, 1) == 0);
	CHECK(set_option(b, IPPROTO_IP, IP_RECVTTL, 1) == 0);
	CHECK(set_option(b, IPPROTO_IP, IP_RECVTOS, 1) == 0);
	CHECK(set_option(b, SOL_SOCKET, SO_TIMESTAMP, 1) == 0);
	CHECK(set_option(a, IPPROTO_IP, IP_TTL, 33) == 0 && option(a, IPPROTO_IP, IP_TTL) == 33);
	CHECK(set_option(a, IPPROTO_IP, IP_TOS, 0x10) == 0 &&
	      option(a, IPPROTO_IP, IP_TOS) == 0x10);
	CHECK(send4(a, "x", "127.0.0.5", port_of(b)) == 1 && recvmsg(b, &m, 0) == 1);
	struct in_pktinfo *info = control_of(&m, IPPROTO_IP, IP_PKTINFO);
	CHECK(info && info->ipi_addr.s_addr == in4("127.0.0.5", 0).sin_addr.s_addr);
	CHECK(info->ipi_ifindex == (int)if_nametoindex("lo"));
	int *ttl = control_of(&m, IPPROTO_IP, IP_TTL);
	unsigned char *tos = control_of(&m, IPPROTO_IP, IP_TOS);
	CHECK(ttl && *ttl == 33 && tos && *tos == 0x10);
	struct timeval *tv = control_of(&m, SOL_SOCKET, SO_TIMESTAMP);
	CHECK(tv && tv->tv_sec > 0 && m.msg_flags == 0);
	m.msg_controllen = 20;
	CHECK(send4(a, "x", "127.0.0.5", port_of(b)) == 1 && recvmsg(b, &m, 0) == 1);
	CHECK(m.msg_flags == MSG_CTRUNC);
	/* And the other way: who sends chooses the address. */
	struct sockaddr_in to = in4("127.0.0.1", port_of(a)), from;
	m = (struct msghdr){&to, sizeof(to), &part, 1, control, CMSG_SPACE(sizeof(*info)), 0};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	*c = (struct cmsghdr){CMSG_LEN(sizeof(*info)), IPPROTO_IP, IP_PKTINFO};
	info = (struct in_pktinfo *)CMSG_DATA(c);
	memset(info, 0, sizeof(*info));
	info->ipi_spec_dst = in4("127.0.0.77", 0).sin_addr;
	part.iov_len = 2;
	CHECK(sendmsg(b, &m, 0) == 2);
	CHECK(recvfrom(a, big, 9, 0, (struct sockaddr *)&from, &(socklen_t){16}) == 2);
	CHECK(from.sin_addr.s_addr == in4("127.0.0.77", 0).sin_addr.s_addr);
	close(a);
	close(b);
}

/* Sends a byte to `fd` itself with one number beside it; what came of sending. */
static ssize_t send_number(int fd, int level, int type, int number, size_t size)
{
	char control[64] = {0};
	struct iovec part = {big, 1};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = CMSG_SPACE(size)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);

	*c = (struct cmsghdr){CMSG_LEN(size), level, type};
	memcpy(CMSG_DATA(c), &number, size);
	return sendmsg(fd, &m, 0);
}

/* The number of that kind that comes with the next byte. */
static int receive_number(int fd, int level, int type)
{
	char control[256];
	struct iovec part = {big, 1};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};

	CHECK(recvmsg(fd, &m, 0) == 1);
	int *number = control_of(&m, level, type);
	CHECK(number);
	return *number;
}

static void check_control_numbers(void)
{
	int fd = bound("127.0.0.1");
	struct sockaddr_in own = in4("127.0.0.1", port_of(fd));

	CHECK(connect(fd, (struct sockaddr *)&own, sizeof(own)) == 0);
	CHECK(set_option(fd, IPPROTO_IP, IP_RECVTTL, 1) == 0);
	CHECK(send_number(fd, IPPROTO_IP, IP_TTL, 9, 4) == 1);
	CHECK(receive_number(fd, IPPROTO_IP, IP_TTL) == 9);
	FAILS(send_number(fd, IPPROTO_IP, IP_TTL, 0, 4), EINVAL);
	FAILS(send_number(fd, IPPROTO_IP, IP_TTL, 256, 4), EINVAL);
	FAILS(send_number(fd, IPPROTO_IP, IP_TTL, 9, 2), EINVAL);
	FAILS(send_number(fd, IPPROTO_IP, IP_TOS, -1, 4), EINVAL);
	CHECK(send_number(fd, IPPROTO_IP, IP_TOS, 9, 1) == 1 && recv(fd, big, 1, 0) == 1);
	close(fd);
	CHECK((fd = socket(AF_INET6, SOCK_DGRAM, 0)) >= 0 && bind6(fd, "::1", 0) == 0);
	struct sockaddr_in6 six;
	CHECK(getsockname(fd, (struct sockaddr *)&six, &(socklen_t){sizeof(six)}) == 0);
	CHECK(connect(fd, (struct sockaddr *)&six, sizeof(six)) == 0);
	CHECK(set_option(fd, IPPROTO_IPV6, IPV6_RECVTCLASS, 1) == 0);
	CHECK(set_option(fd, IPPROTO_IPV6, IPV6_TCLASS, 5) == 0);
	CHECK(send_number(fd, IPPROTO_IPV6, IPV6_TCLASS, -1, 4) == 1); /* the socket's own */
	/* Kernels since 6.14 or so send 255 instead, by mistake. */
	CHECK(receive_number(fd, IPPROTO_IPV6, IPV6_TCLASS) >= 0);
	CHECK(send_number(fd, IPPROTO_IPV6, IPV6_TCLASS, 7, 4) == 1);
	CHECK(receive_number(fd, IPPROTO_IPV6, IPV6_TCLASS) == 7);
	FAILS(send_number(fd, IPPROTO_IPV6, IPV6_TCLASS, -2, 4), EINVAL);
	FAILS(send_number(fd, IPPROTO_IPV6, IPV6_HOPLIMIT, 256, 4), EINVAL);
	FAILS(send_number(fd, IPPROTO_IPV6, IPV6_HOPLIMIT, 1, 1), EINVAL);
	close(fd);
}

static void check_many(void)
{
	struct mmsghdr m[3] = {0};
	struct iovec parts[3];
	int a = bound("127.0.0.1"), b = bound("127.0.0.1");

	for (int i = 0; i < 3; i++) {
		parts[i] = (struct iovec){big + 100 * i, (size_t)(10 + i)};
		m[i].msg_hdr = (struct msghdr){.msg_iov = &parts[i], .msg_iovlen = 1};
	}
	CHECK(connect4(a, "127.0.0.1", port_of(b)) == 0);
	CHECK(sendmmsg(a, m, 3, 0) == 3 && m[2].msg_len == 12);
	CHECK(recvmmsg(b, m, 3, MSG_WAITFORONE, NULL) == 3 && m[1].msg_len == 11);
	FAILS(recvmmsg(b, m, 3, MSG_DONTWAIT, NULL), EAGAIN);
	close(a);
	close(b);
}

static void check_groups(void)
{
	struct ip_mreq group = {.imr_multiaddr = in4("239.1.2.3", 0).sin_addr,
				.imr_interface = in4("127.0.0.1", 0).sin_addr};
	int a = bound("127.0.0.1"), b = bound("0.0.0.0"), port = port_of(b);

	FAILS(send4(a, "x", "127.255.255.255", port), EACCES);
	CHECK(set_option(a, SOL_SOCKET, SO_BROADCAST, 1) == 0);
	CHECK(send4(a, "x", "127.255.255.255", port) == 1 && recv_now(b) == 1);
	CHECK(setsockopt(a, IPPROTO_IP, IP_MULTICAST_IF, &group.imr_interface, 4) == 0);
	CHECK(option(a, IPPROTO_IP, IP_MULTICAST_TTL) == 1);
	CHECK(option(a, IPPROTO_IP, IP_MULTICAST_LOOP) == 1);
	CHECK(setsockopt(b, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) == 0);
	FAILS(setsockopt(b, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)), EADDRINUSE);
	CHECK(send4(a, "hello", "239.1.2.3", port) == 5 && recv_now(b) == 5);
	CHECK(setsockopt(b, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)) == 0);
	FAILS(setsockopt(b, IPPROTO_IP, IP_DROP_MEMBERSHIP, &group, sizeof(group)), EADDRNOTAVAIL);
	close(a);
	close(b);
}

static void check_six(void)
{
	struct sockaddr_in6 from, to;
	socklen_t size = sizeof(from);
	int a = bound("127.0.0.1"), b = socket(AF_INET6, SOCK_DGRAM, 0);

	CHECK(b >= 0 && bind6(b, "::", 0) == 0);
	CHECK(send4(a, "four", "127.0.0.1", port_of(b)) == 4);
	CHECK(recvfrom(b, big, 9, 0, (struct sockaddr *)&from, &size) == 4 && size == sizeof(from));
	CHECK(IN6_IS_ADDR_V4MAPPED(&from.sin6_addr) && ntohs(from.sin6_port) == port_of(a));
	CHECK(sendto(b, "back", 4, 0, (struct sockaddr *)&from, size) == 4 && recv_now(a) == 4);
	to = in6("::1", port_of(b));
	CHECK(sendto(b, "self", 4, 0, (struct sockaddr *)&to, sizeof(to)) == 4);
	CHECK(recvfrom(b, big, 9, 0, (struct sockaddr *)&from, &size) == 4);
	CHECK(IN6_IS_ADDR_LOOPBACK(&from.sin6_addr) && from.sin6_port == to.sin6_port);
	close(a);
	close(b);
}

static void *send_later(void *fd)
{
	usleep(10000);
	CHECK(send(*(int *)fd, "late", 4, 0) == 4);
	return NULL;
}

static void check_waiting(void)
{
	struct timeval tv = {0, 5000};
	pthread_t thread;
	int a = bound("127.0.0.1"), b = bound("127.0.0.1");

	CHECK(connect4(a, "127.0.0.1", port_of(b)) == 0);
	CHECK(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	FAILS(recv(b, big, 9, 0), EAGAIN);
	CHECK(set_option(b, SOL_SOCKET, SO_RCVTIMEO, 0) == -1 && errno == EINVAL);
	tv.tv_usec = 0;
	CHECK(setsockopt(b, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(pthread_create(&thread, NULL, send_later, &a) == 0);
	CHECK(recv(b, big, 9, 0) == 4 && pthread_join(thread, NULL) == 0);
	close(a);
	close(b);
}

int main(void)
{
	check_fresh();
	check_addresses();
	check_cut();
	check_connected();
	check_refused();
	check_error_queue();
	check_shutdown();
	check_reuse();
	check_reuseport();
	check_control();
	check_control_numbers();
	check_many();
	check_groups();
	check_six();
	check_waiting();
	printf("udp ok\n");
	return 0;
}
