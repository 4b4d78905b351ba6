/*
 * What is left of connections holds their ports for a minute, then they are free: the side that
 * closed first, the other side, an end that nobody answers, a reset. Natively it takes minutes, so
 * it is not compared each time.
 */
#include <time.h>

#include "inet.h"

struct connection {
	int server, client;
	int port, client_port;
};

static struct connection connection(void)
{
	int fd = listener(1);
	struct connection c = {.client = socket_of(SOCK_STREAM), .port = port_of(fd)};

	CHECK(connect4(c.client, "127.0.0.1", c.port) == 0);
	CHECK((c.server = accept(fd, NULL, NULL)) >= 0 && close(fd) == 0);
	c.client_port = port_of(c.client);
	return c;
}

/* errno of a bind, 0 if it can be. */
static int bind_error(int port, int reuse)
{
	int fd = socket_of(SOCK_STREAM), error;

	CHECK(set_option(fd, SOL_SOCKET, SO_REUSEADDR, reuse) == 0);
	error = bind4(fd, "127.0.0.1", port) == 0 ? 0 : errno;
	CHECK(close(fd) == 0);
	return error;
}

static void pass(time_t seconds)
{
	struct timespec time = {seconds, 0};

	CHECK(nanosleep(&time, NULL) == 0);
}

static void await_end(int fd)
{
	char byte;

	CHECK(read(fd, &byte, 1) == 0);
}

/* The server's port is held as long as its socket is, and a minute longer. */
static void test_first(void)
{
	struct connection c = connection();

	CHECK(bind_error(c.port, 0) == EADDRINUSE && close(c.server) == 0);
	await_end(c.client);
	CHECK(close(c.client) == 0);
	CHECK(bind_error(c.port, 0) == EADDRINUSE && bind_error(c.client_port, 0) == 0);
	pass(58);
	CHECK(bind_error(c.port, 0) == EADDRINUSE);
	pass(4);
	CHECK(bind_error(c.port, 0) == 0);
}

static void test_other(void)
{
	struct connection c = connection();

	CHECK(close(c.client) == 0);
	await_end(c.server);
	CHECK(close(c.server) == 0);
	CHECK(bind_error(c.port, 0) == 0 && bind_error(c.client_port, 0) == EADDRINUSE);
	pass(62);
	CHECK(bind_error(c.client_port, 0) == 0);
}

/* A minute, too, when the other side never ends. */
static void test_half(void)
{
	struct connection c = connection();

	CHECK(close(c.server) == 0 && bind_error(c.port, 0) == EADDRINUSE);
	pass(58);
	CHECK(bind_error(c.port, 0) == EADDRINUSE);
	pass(4);
	CHECK(bind_error(c.port, 0) == 0);
	CHECK(close(c.client) == 0);
}

/* After a reset nothing is left. */
static void test_reset(void)
{
	struct connection c = connection();
	struct linger now = {1, 0};

	CHECK(setsockopt(c.server, SOL_SOCKET, SO_LINGER, &now, sizeof(now)) == 0);
	CHECK(close(c.server) == 0 && bind_error(c.port, 0) == 0);
	CHECK(close(c.client) == 0 && bind_error(c.client_port, 0) == 0);
}

/* Each rest has a minute of its own. */
static void test_two(void)
{
	struct connection a = connection();

	CHECK(close(a.server) == 0);
	await_end(a.client);
	CHECK(close(a.client) == 0);
	pass(30);
	struct connection b = connection();
	CHECK(close(b.server) == 0);
	await_end(b.client);
	CHECK(close(b.client) == 0);
	pass(32);
	CHECK(bind_error(a.port, 0) == 0 && bind_error(b.port, 0) == EADDRINUSE);
	pass(30);
	CHECK(bind_error(b.port, 0) == 0);
}

int main(void)
{
	test_first();
	test_other();
	test_half();
	test_reset();
	test_two();
	puts("time-wait: ok");
	return 0;
}
