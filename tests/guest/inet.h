/*
 * What the guests of the internet families share: sockets on the loopback, and errno as a value.
 * Ports are the system's choice and are never printed, but by inet_nd.
 */
#ifndef GUEST_INET_H
#define GUEST_INET_H

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define POLL_ALL (POLLIN | POLLOUT | POLLPRI | POLLRDHUP)

/* The call fails with `error`. */
#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static inline struct sockaddr_in in4(const char *text, int port)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};

	CHECK(inet_pton(AF_INET, text, &a.sin_addr) == 1);
	return a;
}

static inline struct sockaddr_in6 in6(const char *text, int port)
{
	struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_port = htons((unsigned short)port)};

	CHECK(inet_pton(AF_INET6, text, &a.sin6_addr) == 1);
	return a;
}

static inline int bind4(int fd, const char *text, int port)
{
	struct sockaddr_in a = in4(text, port);

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static inline int bind6(int fd, const char *text, int port)
{
	struct sockaddr_in6 a = in6(text, port);

	return bind(fd, (struct sockaddr *)&a, sizeof(a));
}

static inline int connect4(int fd, const char *text, int port)
{
	struct sockaddr_in a = in4(text, port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

static inline int connect6(int fd, const char *text, int port)
{
	struct sockaddr_in6 a = in6(text, port);

	return connect(fd, (struct sockaddr *)&a, sizeof(a));
}

/* The port a socket is bound to; 0: none. */
static inline int port_of(int fd)
{
	struct sockaddr_storage a = {0};
	socklen_t size = sizeof(a);

	CHECK(getsockname(fd, (struct sockaddr *)&a, &size) == 0);
	return ntohs(a.ss_family == AF_INET ? ((struct sockaddr_in *)&a)->sin_port
					    : ((struct sockaddr_in6 *)&a)->sin6_port);
}

static inline int option(int fd, int level, int name)
{
	int value = -1;
	socklen_t size = sizeof(value);

	return getsockopt(fd, level, name, &value, &size) ? -errno : value;
}

static inline int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* What poll says now. */
static inline int ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLL_ALL};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static inline int socket_of(int type)
{
	int fd = socket(AF_INET, type, 0);

	CHECK(fd >= 0);
	return fd;
}

static inline int listener(int backlog)
{
	int fd = socket_of(SOCK_STREAM);

	CHECK(bind4(fd, "127.0.0.1", 0) == 0 && listen(fd, backlog) == 0);
	return fd;
}

/* A connection through a listener that is gone then: end[0] connected, end[1] accepted. */
static inline void tcp_pair(int *end)
{
	int fd = listener(1);

	end[0] = socket_of(SOCK_STREAM);
	CHECK(connect4(end[0], "127.0.0.1", port_of(fd)) == 0);
	CHECK((end[1] = accept(fd, NULL, NULL)) >= 0 && close(fd) == 0);
}

#endif
