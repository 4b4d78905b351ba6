/*
 * TCP on the loopback: opening, transfer, the ways of closing and what each side then sees, and
 * waiting for all of it.
 */
#include <pthread.h>
#include <sys/uio.h>
#include "inet.h"

static char big[1 << 20];

/* ---- opening ---- */

static void check_fresh(void)
{
	int fd = socket_of(SOCK_STREAM);
	char c;

	CHECK(ready(fd) == (POLLOUT | POLLHUP));
	FAILS(recv(fd, &c, 1, 0), ENOTCONN);
	FAILS(send(fd, "x", 1, MSG_NOSIGNAL), EPIPE);
	FAILS(accept(fd, NULL, NULL), EINVAL);
	FAILS(shutdown(fd, SHUT_RD), ENOTCONN);
	FAILS(shutdown(fd, 7), EINVAL);
	FAILS(getpeername(fd, (struct sockaddr *)big, &(socklen_t){16}), ENOTCONN);
	CHECK(port_of(fd) == 0 && close(fd) == 0);
	FAILS(socket(AF_INET, SOCK_STREAM, IPPROTO_UDP), EPROTONOSUPPORT);
	FAILS(socket(AF_INET, SOCK_SEQPACKET, 0), ESOCKTNOSUPPORT);
	FAILS(socket(AF_INET, 77, 0), EINVAL);
	FAILS(socketpair(AF_INET, SOCK_STREAM, 0, (int[2]){0}), EOPNOTSUPP);
	CHECK((fd = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP)) >=
	      0);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	close(fd);
}

static void check_bind_errors(void)
{
	struct sockaddr_in a = in4("127.0.0.1", 0);
	int fd = socket_of(SOCK_STREAM), other = socket_of(SOCK_STREAM);

	FAILS(bind(fd, (struct sockaddr *)&a, 4), EINVAL);
	FAILS(bind(fd, (struct sockaddr *)8, sizeof(a)), EFAULT);
	a.sin_family = AF_UNIX;
	FAILS(bind(fd, (struct sockaddr *)&a, sizeof(a)), EAFNOSUPPORT);
	FAILS(bind4(fd, "8.8.8.8", 0), EADDRNOTAVAIL);
	a = in4("0.0.0.0", 0);
	a.sin_family = AF_UNSPEC; /* as old programs have it */
	CHECK(bind(fd, (struct sockaddr *)&a, sizeof(a)) == 0 && port_of(fd) != 0);
	FAILS(bind4(fd, "127.0.0.1", 0), EINVAL);
	FAILS(bind4(other, "127.0.0.1", port_of(fd)), EADDRINUSE);
	CHECK(bind4(other, "127.1.2.3", 0) == 0);
	close(fd);
	close(other);
	CHECK((fd = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
	FAILS(bind4(fd, "127.0.0.1", 0), EINVAL);
	FAILS(connect4(fd, "127.0.0.1", 1), EINVAL);
	FAILS(bind6(fd, "2001:db8::1", 0), EADDRNOTAVAIL);
	FAILS(bind6(fd, "ff02::1", 0), EINVAL);
	close(fd);
	fd = socket_of(SOCK_STREAM);
	CHECK(listen(fd, 5) == 0 && port_of(fd) != 0); /* unbound: anywhere */
	close(fd);
}

/* Who may bind what somebody else has: by address, state, and the options of both. */
static void check_reuse(void)
{
	int a = socket_of(SOCK_STREAM), b = socket_of(SOCK_STREAM), port;

	CHECK(bind4(a, "127.0.0.1", 0) == 0 && (port = port_of(a)));
	CHECK(bind4(b, "127.0.0.2", port) == 0 && close(b) == 0);
	b = socket_of(SOCK_STREAM);
	CHECK(set_option(b, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	FAILS(bind4(b, "127.0.0.1", port), EADDRINUSE);
	CHECK(set_option(a, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	CHECK(bind4(b, "127.0.0.1", port) == 0);
	CHECK(listen(a, 1) == 0);
	FAILS(listen(b, 1), EADDRINUSE);
	close(b);
	b = socket_of(SOCK_STREAM);
	CHECK(set_option(b, SOL_SOCKET, SO_REUSEADDR, 1) == 0);
	FAILS(bind4(b, "0.0.0.0", port), EADDRINUSE);
	close(a);
	CHECK(bind4(b, "0.0.0.0", port) == 0);
	close(b);
}

static void check_reuseport(void)
{
	int fd[4], got = 0, port = 0, c;

	for (int i = 0; i < 4; i++) {
		fd[i] = socket_of(SOCK_STREAM | SOCK_NONBLOCK);
		CHECK(set_option(fd[i], SOL_SOCKET, SO_REUSEPORT, 1) == 0);
		CHECK(bind4(fd[i], "127.0.0.1", port) == 0 && (port = port_of(fd[i])));
		CHECK(listen(fd[i], 64) == 0);
	}
	c = socket_of(SOCK_STREAM);
	FAILS(bind4(c, "127.0.0.1", port), EADDRINUSE);
	close(c);
	for (int i = 0; i < 16; i++) {
		c = socket_of(SOCK_STREAM);
		CHECK(connect4(c, "127.0.0.1", port) == 0 && close(c) == 0);
	}
	for (int i = 0; i < 4; i++) {
		while ((c = accept(fd[i], NULL, NULL)) >= 0)
			got += close(c) == 0;
		CHECK(errno == EAGAIN && close(fd[i]) == 0);
	}
	CHECK(got == 16);
}

/* The address of both ends, told on both ends. */
static void check_names(void)
{
	struct sockaddr_in a, b;
	socklen_t size = sizeof(a);
	int l = listener(1), c = socket_of(SOCK_STREAM), s;

	CHECK(connect4(c, "0.0.0.0", port_of(l)) == 0);
	CHECK((s = accept(l, (struct sockaddr *)&a, &size)) >= 0 && size == 16);
	CHECK(a.sin_family == AF_INET && ntohs(a.sin_port) == port_of(c));
	CHECK(getsockname(c, (struct sockaddr *)&b, &size) == 0 && memcmp(&a, &b, 16) == 0);
	CHECK(getpeername(c, (struct sockaddr *)&a, &size) == 0);
	CHECK(getsockname(s, (struct sockaddr *)&b, &size) == 0 && memcmp(&a, &b, 16) == 0);
	CHECK(b.sin_addr.s_addr == htonl(INADDR_LOOPBACK) && port_of(s) == port_of(l));
	size = 5;
	memset(&a, 0x55, sizeof(a));
	CHECK(getpeername(s, (struct sockaddr *)&a, &size) == 0 && size == 16);
	CHECK(((char *)&a)[4] == 127 && ((char *)&a)[5] == 0x55);
	FAILS(getpeername(s, (struct sockaddr *)&a, (socklen_t *)8), EFAULT);
	size = (socklen_t)-1;
	FAILS(getpeername(s, (struct sockaddr *)&a, &size), EINVAL);
	FAILS(connect4(c, "127.0.0.1", port_of(l)), EISCONN);
	FAILS(connect4(l, "127.0.0.1", port_of(l)), EISCONN);
	FAILS(listen(c, 1), EINVAL);
	close(c);
	close(s);
	close(l);
}

static void check_nonblocking(void)
{
	int l = listener(2), c = socket_of(SOCK_STREAM | SOCK_NONBLOCK), port = port_of(l);

	FAILS(fcntl(l, F_SETFL, O_NONBLOCK) ? 0 : accept(l, NULL, NULL), EAGAIN);
	CHECK(ready(l) == 0);
	FAILS(connect4(c, "127.0.0.1", port), EINPROGRESS);
	CHECK(ready(c) == POLLOUT && ready(l) == POLLIN);
	CHECK(option(c, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(connect4(c, "127.0.0.1", port) == 0);
	FAILS(connect4(c, "127.0.0.1", port), EISCONN);
	int s = accept4(l, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	CHECK(s >= 0 && fcntl(s, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fcntl(s, F_GETFD) == FD_CLOEXEC);
	FAILS(accept4(l, NULL, NULL, 1), EINVAL);
	close(s);
	close(c);
	close(l);
	c = socket_of(SOCK_STREAM | SOCK_NONBLOCK);
	FAILS(connect4(c, "127.0.0.1", port), EINPROGRESS);
	CHECK(ready(c) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK(option(c, SOL_SOCKET, SO_ERROR) == ECONNREFUSED);
	CHECK(option(c, SOL_SOCKET, SO_ERROR) == 0);
	CHECK(ready(c) == (POLLIN | POLLOUT | POLLHUP | POLLRDHUP));
	FAILS(connect4(c, "127.0.0.1", port), ECONNABORTED);
	FAILS(connect4(c, "127.0.0.1", port), EINPROGRESS);
	FAILS(connect4(c, "127.0.0.1", port), ECONNREFUSED);
	FAILS(connect4(c, "127.0.0.1", port), EINPROGRESS);
	FAILS(recv(c, big, 1, 0), ECONNREFUSED);
	CHECK(recv(c, big, 1, 0) == 0);
	close(c);
	c = socket_of(SOCK_STREAM);
	FAILS(connect4(c, "127.0.0.1", port), ECONNREFUSED);
	FAILS(connect4(c, "127.0.0.1", 0), ECONNREFUSED);
	CHECK(ready(c) == (POLLOUT | POLLHUP));
	close(c);
}

/* Connections beyond the backlog stay under way, and come in when there is room. */
static void check_backlog(void)
{
	int l = listener(1), c[3], port = port_of(l);

	for (int i = 0; i < 3; i++) {
		c[i] = socket_of(SOCK_STREAM | SOCK_NONBLOCK);
		FAILS(connect4(c[i], "127.0.0.1", port), EINPROGRESS);
	}
	CHECK(ready(c[0]) == POLLOUT && ready(c[1]) == POLLOUT && ready(c[2]) == 0);
	FAILS(connect4(c[2], "127.0.0.1", port), EALREADY);
	FAILS(recv(c[2], big, 1, 0), EAGAIN);
	FAILS(send(c[2], "x", 1, 0), EAGAIN);
	FAILS(getpeername(c[2], (struct sockaddr *)big, &(socklen_t){16}), ENOTCONN);
	for (int i = 0; i < 3; i++) {
		int s = accept(l, NULL, NULL);
		CHECK(s >= 0 && close(s) == 0);
	}
	CHECK(ready(c[2]) == (POLLIN | POLLOUT | POLLRDHUP));
	for (int i = 0; i < 3; i++)
		close(c[i]);
	close(l);
}

/* A connection may be aborted before it is accepted, and accept still gives it. */
static void check_accept_aborted(void)
{
	struct linger hard = {1, 0};
	int l = listener(4), c = socket_of(SOCK_STREAM), s;

	CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0);
	CHECK(setsockopt(c, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0 && close(c) == 0);
	CHECK((s = accept(l, NULL, NULL)) >= 0);
	FAILS(recv(s, big, 1, 0), ECONNRESET);
	CHECK(recv(s, big, 1, 0) == 0 && close(s) == 0);
	c = socket_of(SOCK_STREAM);
	CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0 && close(l) == 0);
	FAILS(recv(c, big, 1, 0), ECONNRESET);
	FAILS(send(c, "x", 1, MSG_NOSIGNAL), EPIPE);
	close(c);
}

/* ---- transfer ---- */

static void check_transfer(void)
{
	struct iovec parts[2] = {{big, 3}, {big + 3, 5}};
	struct msghdr m = {.msg_iov = parts, .msg_iovlen = 2};
	int e[2], n;

	tcp_pair(e);
	CHECK(send(e[0], "abc", 3, 0) == 3 && write(e[0], "defgh", 5) == 5);
	CHECK(ioctl(e[1], FIONREAD, &n) == 0 && n == 8);
	CHECK(recv(e[1], big, 4, MSG_PEEK) == 4 && memcmp(big, "abcd", 4) == 0);
	CHECK(recvmsg(e[1], &m, 0) == 8 && memcmp(big, "abcdefgh", 8) == 0);
	CHECK(m.msg_flags == 0 && m.msg_controllen == 0);
	FAILS(recv(e[1], big, 8, MSG_DONTWAIT), EAGAIN);
	CHECK(send(e[1], "12345", 5, 0) == 5);
	CHECK(recv(e[0], big, 2, MSG_TRUNC) == 2); /* thrown away */
	CHECK(recv(e[0], big, 8, 0) == 3 && memcmp(big, "345", 3) == 0);
	CHECK(send(e[0], big, 0, 0) == 0 && recv(e[1], big, 0, MSG_DONTWAIT) == -1);
	CHECK(sendto(e[0], "xy", 2, 0, (struct sockaddr *)8, 200) == -1 && errno == EINVAL);
	CHECK(send(e[0], "xy", 2, MSG_MORE) == 2);
	CHECK(recv(e[1], (void *)8, 2, 0) == -1 && errno == EFAULT);
	CHECK(recv(e[1], big, 2, MSG_WAITALL) == 2 && memcmp(big, "xy", 2) == 0);
	FAILS(send(e[0], (void *)8, 2, 0), EFAULT);
	FAILS(lseek(e[0], 0, SEEK_SET), ESPIPE);
	FAILS(pread(e[0], big, 1, 0), ESPIPE);
	close(e[0]);
	close(e[1]);
}

static void *send_slowly(void *fd)
{
	for (int i = 0; i < 10; i++) {
		CHECK(send(*(int *)fd, "0123456789", 10, 0) == 10);
		usleep(1000);
	}
	return NULL;
}

static void check_waitall(void)
{
	pthread_t thread;
	int e[2];

	tcp_pair(e);
	CHECK(pthread_create(&thread, NULL, send_slowly, &e[0]) == 0);
	CHECK(recv(e[1], big, 95, MSG_WAITALL) == 95 && memcmp(big + 90, "01234", 5) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && close(e[0]) == 0);
	CHECK(recv(e[1], big, 95, MSG_WAITALL) == 5 && recv(e[1], big, 1, MSG_WAITALL) == 0);
	close(e[1]);
}

static void *send_much(void *fd)
{
	static char data[10000000];

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (char)(i * 7 >> 3);
	CHECK(send(*(int *)fd, data, sizeof(data), 0) == sizeof(data));
	CHECK(shutdown(*(int *)fd, SHUT_WR) == 0);
	return NULL;
}

/* More than fits under way at once: the sender waits, all of it comes in order. */
static void check_much(void)
{
	pthread_t thread;
	long n, at = 0;
	int e[2];

	tcp_pair(e);
	CHECK(pthread_create(&thread, NULL, send_much, &e[0]) == 0);
	while ((n = recv(e[1], big, sizeof(big), 0)) > 0) {
		for (long i = 0; i < n; i++, at++)
			CHECK(big[i] == (char)(at * 7 >> 3));
	}
	CHECK(n == 0 && at == 10000000 && pthread_join(thread, NULL) == 0);
	close(e[0]);
	close(e[1]);
}

/* Full is full until much of it was read. */
static void check_full(void)
{
	int e[2];
	long n, sent = 0;

	tcp_pair(e);
	while ((n = send(e[0], big, sizeof(big), MSG_DONTWAIT)) > 0)
		sent += n;
	CHECK(n == -1 && errno == EAGAIN && sent > 65536);
	CHECK((ready(e[0]) & POLLOUT) == 0);
	while ((n = recv(e[1], big, sizeof(big), MSG_DONTWAIT)) > 0 || sent > 0)
		sent -= n > 0 ? n : 0;
	CHECK(ready(e[0]) == POLLOUT);
	close(e[0]);
	close(e[1]);
}

static void check_timeouts(void)
{
	struct timeval tv = {0, 20000}, got;
	socklen_t size = sizeof(got);
	int e[2], l;

	tcp_pair(e);
	CHECK(setsockopt(e[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	CHECK(getsockopt(e[0], SOL_SOCKET, SO_RCVTIMEO, &got, &size) == 0 && got.tv_usec == 20000);
	FAILS(recv(e[0], big, 1, 0), EAGAIN);
	CHECK(setsockopt(e[0], SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) == 0);
	while (send(e[0], big, sizeof(big), 0) > 0)
		;
	CHECK(errno == EAGAIN);
	l = listener(1);
	CHECK(setsockopt(l, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)) == 0);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	close(e[0]);
	close(e[1]);
	close(l);
}

/* ---- closing ---- */

static void check_half_close(void)
{
	int e[2];

	tcp_pair(e);
	CHECK(send(e[0], "end", 3, 0) == 3 && shutdown(e[0], SHUT_WR) == 0);
	CHECK(ready(e[0]) == POLLOUT && ready(e[1]) == (POLLIN | POLLOUT | POLLRDHUP));
	FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(recv(e[1], big, 9, 0) == 3 && recv(e[1], big, 9, 0) == 0);
	CHECK(send(e[1], "back", 4, 0) == 4 && close(e[1]) == 0);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	CHECK(recv(e[0], big, 9, 0) == 4 && recv(e[0], big, 9, 0) == 0);
	CHECK(option(e[0], SOL_SOCKET, SO_ERROR) == 0);
	FAILS(shutdown(e[0], SHUT_RDWR), ENOTCONN);
	close(e[0]);
}

/* After a close in both directions a write finds nobody: first it goes, then it fails. */
static void check_write_to_closed(void)
{
	int e[2];

	tcp_pair(e);
	CHECK(close(e[1]) == 0 && ready(e[0]) == (POLLIN | POLLOUT | POLLRDHUP));
	CHECK(recv(e[0], big, 1, 0) == 0);
	CHECK(send(e[0], "x", 1, MSG_NOSIGNAL) == 1);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK(recv(e[0], big, 1, 0) == 0);
	FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(option(e[0], SOL_SOCKET, SO_ERROR) == 0);
	FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(e[0]);
	tcp_pair(e);
	CHECK(close(e[1]) == 0 && send(e[0], "x", 1, MSG_NOSIGNAL) == 1);
	CHECK(option(e[0], SOL_SOCKET, SO_ERROR) == EPIPE);
	close(e[0]);
	/* Of more than there is room for, the first part goes. */
	struct iovec many[100];
	for (int i = 0; i < 100; i++)
		many[i] = (struct iovec){big, sizeof(big)};
	signal(SIGPIPE, SIG_IGN);
	tcp_pair(e);
	CHECK(close(e[1]) == 0);
	ssize_t n = writev(e[0], many, 100);
	CHECK(n > 0 && n < (ssize_t)(100 * sizeof(big)));
	FAILS(writev(e[0], many, 100), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	close(e[0]);
}

static void check_unread_reset(void)
{
	int e[2];

	tcp_pair(e);
	CHECK(send(e[0], "unread", 6, 0) == 6 && send(e[1], "last", 4, 0) == 4);
	CHECK(close(e[1]) == 0);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	CHECK(recv(e[0], big, 9, 0) == 4);
	FAILS(recv(e[0], big, 9, 0), ECONNRESET);
	CHECK(recv(e[0], big, 9, 0) == 0);
	FAILS(getpeername(e[0], (struct sockaddr *)big, &(socklen_t){16}), ENOTCONN);
	close(e[0]);
	tcp_pair(e);
	CHECK(send(e[0], "unread", 6, 0) == 6 && close(e[1]) == 0);
	FAILS(send(e[0], "x", 1, 0), ECONNRESET);
	FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	close(e[0]);
}

static void check_linger(void)
{
	struct linger hard = {1, 0}, soft = {1, 5}, got;
	socklen_t size = sizeof(got);
	int e[2];

	tcp_pair(e);
	CHECK(setsockopt(e[1], SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)) == 0);
	CHECK(getsockopt(e[1], SOL_SOCKET, SO_LINGER, &got, &size) == 0);
	CHECK(got.l_onoff == 1 && got.l_linger == 0 && close(e[1]) == 0);
	FAILS(recv(e[0], big, 1, 0), ECONNRESET);
	close(e[0]);
	tcp_pair(e);
	CHECK(setsockopt(e[1], SOL_SOCKET, SO_LINGER, &soft, sizeof(soft)) == 0);
	CHECK(close(e[1]) == 0 && recv(e[0], big, 1, 0) == 0 && close(e[0]) == 0);
}

static void check_shutdown_read(void)
{
	int e[2];

	tcp_pair(e);
	CHECK(shutdown(e[0], SHUT_RD) == 0);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLRDHUP) && ready(e[1]) == POLLOUT);
	CHECK(recv(e[0], big, 1, 0) == 0);
	CHECK(send(e[1], "still", 5, 0) == 5 && recv(e[0], big, 9, 0) == 5);
	CHECK(recv(e[0], big, 1, 0) == 0);
	CHECK(shutdown(e[0], SHUT_WR) == 0);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	/* Nobody will read it now: the connection is reset, on both sides. */
	CHECK(send(e[1], "late", 4, 0) == 4);
	CHECK(option(e[1], SOL_SOCKET, SO_ERROR) == EPIPE);
	CHECK(option(e[0], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	close(e[0]);
	close(e[1]);
}

static void check_shutdown_both(void)
{
	int e[2];

	tcp_pair(e);
	CHECK(shutdown(e[0], SHUT_RDWR) == 0 && recv(e[1], big, 1, 0) == 0);
	CHECK(shutdown(e[1], SHUT_RDWR) == 0);
	CHECK(ready(e[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	CHECK(ready(e[1]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	close(e[0]);
	close(e[1]);
	int l = listener(1);
	CHECK(shutdown(l, SHUT_RDWR) == 0);
	FAILS(accept(l, NULL, NULL), EINVAL);
	CHECK(ready(l) == (POLLOUT | POLLHUP));
	close(l);
}

/* AF_UNSPEC takes the connection apart. */
static void check_disconnect(void)
{
	struct sockaddr nothing = {.sa_family = AF_UNSPEC};
	int e[2];

	tcp_pair(e);
	CHECK(connect(e[0], &nothing, sizeof(nothing)) == 0);
	FAILS(recv(e[1], big, 1, 0), ECONNRESET);
	FAILS(getpeername(e[0], (struct sockaddr *)big, &(socklen_t){16}), ENOTCONN);
	CHECK(option(e[0], SOL_SOCKET, SO_ERROR) == ECONNRESET);
	FAILS(recv(e[0], big, 1, 0), ENOTCONN);
	int l = listener(1);
	CHECK(connect4(e[0], "127.0.0.1", port_of(l)) == 0);
	close(l);
	close(e[0]);
	close(e[1]);
}

static volatile sig_atomic_t pipes;

static void on_pipe(int sig)
{
	pipes += sig == SIGPIPE;
}

static void check_sigpipe(void)
{
	int e[2];

	CHECK(signal(SIGPIPE, on_pipe) != SIG_ERR);
	tcp_pair(e);
	CHECK(shutdown(e[0], SHUT_WR) == 0);
	FAILS(write(e[0], "x", 1), EPIPE);
	CHECK(pipes == 1);
	FAILS(send(e[0], "x", 1, MSG_NOSIGNAL), EPIPE);
	CHECK(pipes == 1);
	CHECK(send(e[1], "x", 1, 0) == 1 && close(e[0]) == 0);
	FAILS(send(e[1], "x", 1, 0), EPIPE); /* of the reset: in CLOSE_WAIT it is EPIPE at once */
	CHECK(pipes == 2);
	close(e[1]);
	CHECK(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
}

/* ---- urgent data ---- */

static void check_urgent(void)
{
	int e[2], mark;
	char c = 0;

	tcp_pair(e);
	FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL);
	CHECK(send(e[0], "ab", 2, 0) == 2 && send(e[0], "cU", 2, MSG_OOB) == 2);
	CHECK(send(e[0], "de", 2, 0) == 2);
	CHECK(ready(e[1]) == (POLLIN | POLLOUT | POLLPRI));
	CHECK(recv(e[1], &c, 1, MSG_OOB) == 1 && c == 'U');
	FAILS(recv(e[1], &c, 1, MSG_OOB), EINVAL);
	CHECK(ioctl(e[1], SIOCATMARK, &mark) == 0 && mark == 0);
	CHECK(recv(e[1], big, 9, 0) == 3 && memcmp(big, "abc", 3) == 0);
	CHECK(ioctl(e[1], SIOCATMARK, &mark) == 0 && mark == 1);
	CHECK(recv(e[1], big, 9, 0) == 2 && memcmp(big, "de", 2) == 0);
	CHECK(set_option(e[1], SOL_SOCKET, SO_OOBINLINE, 1) == 0);
	CHECK(send(e[0], "fV", 2, MSG_OOB) == 2);
	CHECK(recv(e[1], big, 9, 0) == 1 && recv(e[1], big, 9, 0) == 1 && big[0] == 'V');
	close(e[0]);
	close(e[1]);
}

/* ---- waiting ---- */

static void check_epoll_edges(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET}, got;
	int e[2], ep = epoll_create1(0);

	tcp_pair(e);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, e[1], &ev) == 0);
	CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == EPOLLOUT);
	CHECK(epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(send(e[0], "x", 1, 0) == 1);
	CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLOUT));
	CHECK(epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(send(e[0], "y", 1, 0) == 1);
	CHECK(epoll_wait(ep, &got, 1, 0) == 1 && got.events == (EPOLLIN | EPOLLOUT));
	CHECK(recv(e[1], big, 9, 0) == 2 && epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(shutdown(e[0], SHUT_WR) == 0);
	CHECK(epoll_wait(ep, &got, 1, 0) == 1);
	CHECK(got.events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP));
	CHECK(shutdown(e[1], SHUT_WR) == 0 && epoll_wait(ep, &got, 1, 0) == 1);
	CHECK(got.events == (EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP));
	close(e[0]);
	close(e[1]);
	close(ep);
}

static void check_oneshot(void)
{
	struct epoll_event ev = {.events = EPOLLIN | EPOLLONESHOT}, got;
	int l = listener(4), ep = epoll_create1(0), c[2];

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, l, &ev) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
	for (int i = 0; i < 2; i++) {
		c[i] = socket_of(SOCK_STREAM);
		CHECK(connect4(c[i], "127.0.0.1", port_of(l)) == 0);
		CHECK(epoll_wait(ep, &got, 1, 0) == !i);
	}
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, l, &ev) == 0 && epoll_wait(ep, &got, 1, 0) == 1);
	close(c[0]);
	close(c[1]);
	close(l);
	close(ep);
}

static void *accept_one(void *fd)
{
	int s = accept(*(int *)fd, NULL, NULL);
	char c;

	CHECK(s >= 0 && recv(s, &c, 1, 0) == 1 && send(s, &c, 1, 0) == 1 && close(s) == 0);
	return NULL;
}

/* Several wait in accept: each gets one. */
static void check_accepters(void)
{
	pthread_t threads[4];
	int l = listener(8), c[4];
	char got;

	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, accept_one, &l) == 0);
	for (int i = 0; i < 4; i++) {
		c[i] = socket_of(SOCK_STREAM);
		CHECK(connect4(c[i], "127.0.0.1", port_of(l)) == 0);
	}
	for (int i = 0; i < 4; i++)
		CHECK(send(c[i], &(char){(char)i}, 1, 0) == 1);
	for (int i = 0; i < 4; i++)
		CHECK(recv(c[i], &got, 1, 0) == 1 && got == i && close(c[i]) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	close(l);
}

static void on_alarm(int sig)
{
	(void)sig;
}

static void *read_much(void *fd)
{
	static char to[1 << 16];
	ssize_t got, all = 0;

	while ((got = recv(*(int *)fd, to, sizeof(to), 0)) > 0)
		all += got;
	return (void *)all;
}

static void *poll_input(void *fd)
{
	struct pollfd p = {*(int *)fd, POLLIN, 0};

	return (void *)(long)(poll(&p, 1, -1) == 1 ? p.revents : -1);
}

static void *send_big(void *fd)
{
	size_t all = 0;

	for (int n = 0; n < 8; n++)
		all += (size_t)send(*(int *)fd, big, sizeof(big), 0);
	close(*(int *)fd);
	return (void *)all;
}

/* What others wait for may come with a larger buffer, or with less that is wanted. */
static void check_tuning(void)
{
	pthread_t thread;
	void *result;
	int p[2];

	tcp_pair(p);
	CHECK(pthread_create(&thread, NULL, send_big, &p[0]) == 0);
	while (ready(p[1]) != (POLLIN | POLLOUT))
		usleep(1000);
	usleep(20000);
	/* More than the container's root has to ask for by force. */
	set_option(p[1], SOL_SOCKET, SO_RCVBUFFORCE, 1 << 23);
	CHECK((long)read_much(&p[1]) == 8l * (long)sizeof(big));
	CHECK(pthread_join(thread, &result) == 0 && (long)result == 8l * (long)sizeof(big));
	close(p[1]);
	tcp_pair(p);
	CHECK(set_option(p[1], SOL_SOCKET, SO_RCVLOWAT, 1000) == 0);
	CHECK(pthread_create(&thread, NULL, poll_input, &p[1]) == 0);
	usleep(20000);
	CHECK(send(p[0], big, 10, 0) == 10 && ready(p[1]) == POLLOUT);
	usleep(20000);
	CHECK(set_option(p[1], SOL_SOCKET, SO_RCVLOWAT, 10) == 0);
	CHECK(pthread_join(thread, &result) == 0 && (long)result == POLLIN);
	close(p[0]);
	close(p[1]);
}

static void check_interrupted(void)
{
	struct sigaction sa = {.sa_handler = on_alarm};
	int e[2], l = listener(1);

	CHECK(sigaction(SIGALRM, &sa, NULL) == 0);
	tcp_pair(e);
	ualarm(20000, 0);
	FAILS(recv(e[0], big, 1, 0), EINTR);
	ualarm(20000, 0);
	FAILS(accept(l, NULL, NULL), EINTR);
	CHECK(send(e[1], "abc", 3, 0) == 3);
	ualarm(20000, 0);
	CHECK(recv(e[0], big, 9, MSG_WAITALL) == 3);
	close(e[0]);
	close(e[1]);
	close(l);
}

/* The server in another process, with what it was given by fork. */
static void check_processes(void)
{
	int l = listener(8), c, status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		for (int i = 0; i < 3; i++)
			accept_one(&l);
		_exit(0);
	}
	for (int i = 0; i < 3; i++) {
		char got;
		c = socket_of(SOCK_STREAM);
		CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0 && send(c, "q", 1, 0) == 1);
		CHECK(recv(c, &got, 1, 0) == 1 && got == 'q' && close(c) == 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0 && close(l) == 0);
}

/* ---- version 6 ---- */

static void check_six(void)
{
	struct sockaddr_in6 a;
	socklen_t size = sizeof(a);
	int l = socket(AF_INET6, SOCK_STREAM, 0), c = socket_of(SOCK_STREAM), s;

	CHECK(l >= 0 && option(l, IPPROTO_IPV6, IPV6_V6ONLY) == 0);
	CHECK(bind6(l, "::", 0) == 0 && listen(l, 4) == 0);
	FAILS(bind4(c, "127.0.0.1", port_of(l)), EADDRINUSE);
	CHECK(connect4(c, "127.0.0.1", port_of(l)) == 0);
	CHECK((s = accept(l, (struct sockaddr *)&a, &size)) >= 0 && size == sizeof(a));
	CHECK(a.sin6_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&a.sin6_addr));
	CHECK(ntohs(a.sin6_port) == port_of(c) && close(s) == 0 && close(c) == 0);
	CHECK((c = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
	CHECK(connect6(c, "::1", port_of(l)) == 0);
	CHECK((s = accept(l, (struct sockaddr *)&a, &size)) >= 0);
	CHECK(IN6_IS_ADDR_LOOPBACK(&a.sin6_addr) && close(c) == 0 && close(s) == 0);
	CHECK((c = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
	CHECK(connect6(c, "::ffff:127.0.0.1", port_of(l)) == 0 && close(c) == 0);
	CHECK(close(l) == 0 && (l = socket(AF_INET6, SOCK_STREAM, 0)) >= 0);
	CHECK(set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, 1) == 0);
	CHECK(bind6(l, "::", 0) == 0 && listen(l, 1) == 0);
	FAILS(set_option(l, IPPROTO_IPV6, IPV6_V6ONLY, 0), EINVAL);
	c = socket_of(SOCK_STREAM);
	FAILS(connect4(c, "127.0.0.1", port_of(l)), ECONNREFUSED);
	CHECK(bind4(c, "127.0.0.1", port_of(l)) == 0 && close(c) == 0 && close(l) == 0);
}

int main(void)
{
	CHECK(signal(SIGALRM, SIG_IGN) != SIG_ERR);
	check_fresh();
	check_bind_errors();
	check_reuse();
	check_reuseport();
	check_names();
	check_nonblocking();
	check_backlog();
	check_accept_aborted();
	check_transfer();
	check_waitall();
	check_much();
	check_full();
	check_timeouts();
	check_half_close();
	check_write_to_closed();
	check_unread_reset();
	check_linger();
	check_shutdown_read();
	check_shutdown_both();
	check_disconnect();
	check_sigpipe();
	check_urgent();
	check_epoll_edges();
	check_oneshot();
	check_accepters();
	check_tuning();
	check_interrupted();
	check_processes();
	check_six();
	printf("tcp ok\n");
	return 0;
}
