/*
 * Prints what natively differs from run to run of sockets on the loopback: ports of the system's
 * choice, who of several accepting processes and threads gets which connection, where reads split a
 * stream, how much fits, what TCP_INFO measures, time stamps of datagrams.
 */
#include <pthread.h>
#include <sys/stat.h>
#include <sys/time.h>
#include "inet.h"

#define WORKERS 4
#define CLIENTS 32

static char big[1 << 20];

static void print_ports(void)
{
	struct stat st;
	int fd[6];

	for (int i = 0; i < 6; i++) {
		fd[i] = socket_of(i % 2 ? SOCK_DGRAM : SOCK_STREAM);
		CHECK(bind4(fd[i], "127.0.0.1", 0) == 0 && fstat(fd[i], &st) == 0);
		printf("port %d inode %lu\n", port_of(fd[i]), st.st_ino);
	}
	for (int i = 0; i < 6; i++)
		close(fd[i]);
}

/* Accepts until its connection says to stop; tells each client who it is. */
static void work(int l, int number)
{
	char c = 0;

	while (c != 's') {
		int s = accept(l, NULL, NULL);
		CHECK(s >= 0 && recv(s, &c, 1, 0) == 1);
		char who = (char)('0' + number);
		CHECK(send(s, &who, 1, 0) == 1 && close(s) == 0);
	}
	_exit(0);
}

static char ask(int port, char what)
{
	int c = socket_of(SOCK_STREAM);
	char who;

	CHECK(connect4(c, "127.0.0.1", port) == 0 && send(c, &what, 1, 0) == 1);
	CHECK(recv(c, &who, 1, 0) == 1 && close(c) == 0);
	return who;
}

static void *ask_some(void *port)
{
	for (int i = 0; i < CLIENTS / 4; i++) {
		char who = ask(*(int *)port, 'q');
		CHECK(write(1, &who, 1) == 1);
	}
	return NULL;
}

/* Processes in accept on one listener, threads that ask it. */
static void print_accepters(void)
{
	int l = listener(CLIENTS), port = port_of(l);
	pthread_t threads[4];

	fflush(stdout);
	for (int i = 0; i < WORKERS; i++) {
		if (fork() == 0)
			work(l, i);
	}
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, ask_some, &port) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	for (int i = 0; i < WORKERS; i++)
		ask(port, 's');
	for (int i = 0; i < WORKERS; i++)
		CHECK(wait(NULL) > 0);
	CHECK(write(1, "\n", 1) == 1 && close(l) == 0);
}

/* Which listener of a group gets a connection goes by the ports. */
static void print_group(void)
{
	int fd[3], port = 0;

	for (int i = 0; i < 3; i++) {
		fd[i] = socket_of(SOCK_STREAM | SOCK_NONBLOCK);
		CHECK(set_option(fd[i], SOL_SOCKET, SO_REUSEPORT, 1) == 0);
		CHECK(bind4(fd[i], "127.0.0.1", port) == 0 && (port = port_of(fd[i])));
		CHECK(listen(fd[i], CLIENTS) == 0);
	}
	for (int i = 0; i < CLIENTS; i++) {
		int c = socket_of(SOCK_STREAM);
		CHECK(connect4(c, "127.0.0.1", port) == 0);
		for (int k = 0; k < 3; k++) {
			int s = accept(fd[k], NULL, NULL);
			if (s >= 0)
				printf("%d", k);
			close(s);
		}
		close(c);
	}
	printf("\n");
	for (int i = 0; i < 3; i++)
		close(fd[i]);
}

static void *send_pieces(void *fd)
{
	for (int i = 0; i < 200; i++)
		CHECK(send(*(int *)fd, big, 20000, 0) == 20000);
	CHECK(shutdown(*(int *)fd, SHUT_WR) == 0);
	return NULL;
}

static void print_splits(void)
{
	pthread_t thread;
	long n;
	int e[2];

	tcp_pair(e);
	CHECK(pthread_create(&thread, NULL, send_pieces, &e[0]) == 0);
	while ((n = recv(e[1], big, sizeof(big), 0)) > 0)
		printf("%ld ", n);
	CHECK(n == 0 && pthread_join(thread, NULL) == 0);
	struct tcp_info info;
	socklen_t size = sizeof(info);
	CHECK(getsockopt(e[1], IPPROTO_TCP, TCP_INFO, &info, &size) == 0);
	printf("\nrtt %u mss %u rto %u segments\n", info.tcpi_rtt, info.tcpi_rcv_mss,
	       info.tcpi_rto);
	close(e[0]);
	close(e[1]);
	tcp_pair(e);
	for (int i = 1; (n = send(e[0], big, 10000, MSG_DONTWAIT)) > 0; i++)
		printf("%s", n < 10000 ? "partial " : i % 100 ? "" : ".");
	printf("buffer %d\n", option(e[0], SOL_SOCKET, SO_SNDBUF));
	close(e[0]);
	close(e[1]);
}

static void print_stamp(void)
{
	char control[64];
	struct iovec part = {big, 10};
	struct msghdr m = {.msg_iov = &part,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	int fd = socket_of(SOCK_DGRAM);

	CHECK(bind4(fd, "127.0.0.1", 0) == 0 && connect4(fd, "127.0.0.1", port_of(fd)) == 0);
	CHECK(set_option(fd, SOL_SOCKET, SO_TIMESTAMP, 1) == 0 && send(fd, "x", 1, 0) == 1);
	CHECK(recvmsg(fd, &m, 0) == 1);
	struct timeval *tv = (struct timeval *)CMSG_DATA(CMSG_FIRSTHDR(&m));
	printf("stamp %ld.%06ld\n", (long)tv->tv_sec, (long)tv->tv_usec);
	close(fd);
}

int main(void)
{
	print_ports();
	print_accepters();
	print_group();
	print_splits();
	print_stamp();
	return 0;
}
