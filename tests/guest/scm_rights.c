/*
 * Descriptors passed over AF_UNIX sockets: of files, directories, pipes and sockets, within a
 * process and to others; truncation, peeks, bounds in streams, numbers, and cycles of sockets in
 * flight.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))
#define FDS_MAX		   253

static char buf[100000];
static int flags_got; /* of the last receive */

static ssize_t send_fds(int fd, size_t bytes, const int *fds, int count)
{
	_Alignas(8) char control[CMSG_SPACE((FDS_MAX + 1) * sizeof(int))] = {0};
	struct iovec iov = {buf, bytes};
	struct msghdr h = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control};
	struct cmsghdr *c = (struct cmsghdr *)control;

	h.msg_controllen = CMSG_SPACE((size_t)count * sizeof(int));
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN((size_t)count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, (size_t)count * sizeof(int));
	return sendmsg(fd, &h, MSG_DONTWAIT);
}

static ssize_t receive_room(int fd, size_t bytes, int *fds, int *ret_count, int flags, size_t room)
{
	_Alignas(8) char control[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct iovec iov = {buf, bytes};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = room ? control : NULL,
			   .msg_controllen = room};
	ssize_t n = recvmsg(fd, &h, flags);

	*ret_count = 0;
	flags_got = h.msg_flags;
	struct cmsghdr *c = n >= 0 ? CMSG_FIRSTHDR(&h) : NULL;
	if (c) {
		CHECK(c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS);
		*ret_count = (int)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), c->cmsg_len - CMSG_LEN(0));
	}
	return n;
}

static ssize_t receive_fds(int fd, size_t bytes, int *fds, int *ret_count)
{
	return receive_room(fd, bytes, fds, ret_count, MSG_DONTWAIT,
			    CMSG_SPACE(FDS_MAX * sizeof(int)));
}

static int lowest_free(void)
{
	int fd = dup(0);

	CHECK(fd >= 0 && close(fd) == 0);
	return fd;
}

static int open_file(const char *name, const char *text)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

/* A file that another process opened: its offset is shared, its name need not lead to it. */
static void check_file_to_child(int type)
{
	int p[2], fds[3], count, status;
	struct stat st;

	CHECK(socketpair(AF_UNIX, type, 0, p) == 0);
	pid_t child = fork();
	if (child == 0) {
		int sent[3] = {open_file("passed", "hello world"), open(".", O_RDONLY), -1};
		int pipes[2];
		CHECK(unlink("passed") == 0 && pipe(pipes) == 0);
		sent[2] = pipes[1];
		CHECK(read(sent[0], buf, 6) == 6);
		CHECK(send_fds(p[1], 1, sent, 3) == 1);
		CHECK(close(sent[0]) == 0 && close(pipes[1]) == 0);
		CHECK(read(pipes[0], buf, 10) == 4 && memcmp(buf, "back", 4) == 0);
		CHECK(read(pipes[0], buf, 10) == 0);
		_exit(0);
	}
	close(p[1]);
	struct pollfd poll_in = {p[0], POLLIN, 0};
	CHECK(poll(&poll_in, 1, -1) == 1);
	int next = lowest_free();
	CHECK(receive_fds(p[0], 1, fds, &count) == 1 && count == 3 && flags_got == 0);
	CHECK(fds[0] == next && fds[1] == next + 1 && fds[2] == next + 2);
	CHECK(read(fds[0], buf, 100) == 5 && memcmp(buf, "world", 5) == 0);
	CHECK(fstat(fds[0], &st) == 0 && st.st_nlink == 0 && st.st_size == 11);
	CHECK(fstat(fds[1], &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(fcntl(fds[0], F_GETFD) == 0 && write(fds[2], "back", 4) == 4 && close(fds[2]) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(fds[0]);
	close(fds[1]);
	close(p[0]);
}

static void check_errors(void)
{
	int p[2], fds[FDS_MAX + 1], count;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	fds[0] = 900;
	FAILS(send_fds(p[0], 1, fds, 1), EBADF);
	for (int i = 0; i <= FDS_MAX; i++)
		fds[i] = p[0];
	FAILS(send_fds(p[0], 1, fds, FDS_MAX + 1), EINVAL);
	CHECK(send_fds(p[0], 1, fds, 0) == 1 && receive_fds(p[1], 1, fds, &count) == 1 && !count);
	for (int i = 0; i < FDS_MAX; i++)
		fds[i] = i % 2 ? p[1] : 0;
	CHECK(send_fds(p[0], 1, fds, FDS_MAX) == 1);
	CHECK(receive_fds(p[1], 1, fds, &count) == 1 && count == FDS_MAX);
	for (int i = 0; i < FDS_MAX; i++)
		CHECK(close(fds[i]) == 0);
	/* Without bytes a stream carries none. */
	fds[0] = 0;
	CHECK(send_fds(p[0], 0, fds, 1) == 0);
	FAILS(receive_fds(p[1], 1, fds, &count), EAGAIN);
	close(p[0]);
	close(p[1]);
}

static void check_truncation(void)
{
	int p[2], fds[3] = {0, 1, 2}, got[3], count, next;

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
	fds[0] = open_file("t", "x");
	next = lowest_free();
	CHECK(send_fds(p[0], 1, fds, 3) == 1);
	CHECK(receive_room(p[1], 1, got, &count, 0, CMSG_LEN(2 * sizeof(int))) == 1);
	CHECK(count == 2 && flags_got == MSG_CTRUNC && got[1] == next + 1);
	CHECK(close(got[0]) == 0 && close(got[1]) == 0 && lowest_free() == next);
	CHECK(send_fds(p[0], 1, fds, 3) == 1);
	CHECK(receive_room(p[1], 1, got, &count, MSG_CMSG_CLOEXEC, 0) == 1 && count == 0);
	CHECK(flags_got == (MSG_CTRUNC | MSG_CMSG_CLOEXEC) && lowest_free() == next);
	CHECK(send_fds(p[0], 1, fds, 3) == 1 && read(p[1], buf, 1) == 1 && lowest_free() == next);
	CHECK(send_fds(p[0], 1, fds, 3) == 1);
	CHECK(receive_room(p[1], 1, got, &count, MSG_CMSG_CLOEXEC, 64) == 1 && count == 3);
	for (int i = 0; i < 3; i++)
		CHECK(fcntl(got[i], F_GETFD) == FD_CLOEXEC && close(got[i]) == 0);
	/* Where the numbers end, the rest is lost. */
	struct rlimit limit, low;
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	low = limit;
	low.rlim_cur = (rlim_t)next + 1;
	CHECK(send_fds(p[0], 1, fds, 3) == 1 && setrlimit(RLIMIT_NOFILE, &low) == 0);
	CHECK(receive_room(p[1], 1, got, &count, 0, 64) == 1 && count == 1);
	CHECK(flags_got == MSG_CTRUNC && setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(close(got[0]) == 0 && lowest_free() == next);
	close(fds[0]);
	close(p[0]);
	close(p[1]);
	unlink("t");
}

/* A peek gives descriptors of its own, and leaves the message as it was. */
static void check_peek(int type)
{
	int p[2], fds[2], first[2], second[2], count;

	CHECK(socketpair(AF_UNIX, type, 0, p) == 0);
	fds[0] = open_file("peeked", "abc");
	fds[1] = eventfd(5, 0);
	CHECK(send_fds(p[0], 2, fds, 2) == 2 && close(fds[0]) == 0 && close(fds[1]) == 0);
	CHECK(receive_room(p[1], 2, first, &count, MSG_PEEK, 64) == 2 && count == 2);
	CHECK(receive_fds(p[1], 2, second, &count) == 2 && count == 2);
	CHECK(read(first[0], buf, 1) == 1 && read(second[0], buf + 1, 1) == 1);
	CHECK(memcmp(buf, "ab", 2) == 0 && read(second[1], buf, 8) == 8 && buf[0] == 5);
	for (int i = 0; i < 2; i++)
		CHECK(close(first[i]) == 0 && close(second[i]) == 0);
	close(p[0]);
	close(p[1]);
	unlink("peeked");
}

/* A receive ends behind the bytes that brought descriptors. */
static void check_stream_bounds(void)
{
	int p[2], fds[1] = {0}, got[2], count;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
	CHECK(write(p[0], "ab", 2) == 2 && send_fds(p[0], 3, fds, 1) == 3);
	CHECK(write(p[0], "cd", 2) == 2 && send_fds(p[0], 1, fds, 1) == 1);
	CHECK(send_fds(p[0], 1, fds, 1) == 1 && write(p[0], "e", 1) == 1);
	CHECK(receive_fds(p[1], 100, got, &count) == 5 && count == 1 && close(got[0]) == 0);
	CHECK(receive_fds(p[1], 100, got, &count) == 3 && count == 1 && close(got[0]) == 0);
	CHECK(receive_fds(p[1], 100, got, &count) == 1 && count == 1 && close(got[0]) == 0);
	CHECK(receive_fds(p[1], 100, got, &count) == 1 && count == 0);
	/* The first byte takes them. */
	CHECK(send_fds(p[0], 4, fds, 1) == 4 && write(p[0], "f", 1) == 1);
	CHECK(receive_fds(p[1], 1, got, &count) == 1 && count == 1 && close(got[0]) == 0);
	CHECK(receive_fds(p[1], 100, got, &count) == 4 && count == 0);
	CHECK(send_fds(p[0], 50000, fds, 1) == 50000);
	CHECK(receive_fds(p[1], sizeof(buf), got, &count) == 36544 && count == 1);
	CHECK(close(got[0]) == 0);
	CHECK(receive_fds(p[1], sizeof(buf), got, &count) == 50000 - 36544 && count == 0);
	close(p[0]);
	close(p[1]);
}

/* What is in flight lives, and ends with its message. */
static void check_dropped(void)
{
	int p[2], pipes[2], file;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && pipe(pipes) == 0);
	file = open_file("dropped", "x");
	CHECK(send_fds(p[0], 1, (int[]){pipes[1], file}, 2) == 1 && close(pipes[1]) == 0);
	CHECK(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(pipes[0], buf, 1), EAGAIN);
	close(p[1]);
	CHECK(read(pipes[0], buf, 1) == 0);
	close(p[0]);
	close(pipes[0]);
	close(file);
	unlink("dropped");
}

/*
 * Waits for what follows the end of a cycle. Linux ends cycles in the background, and misses one
 * that closes while it looks for others: each socket closed makes it look again.
 */
static short await_collected(int fd)
{
	struct pollfd ended = {fd, POLLIN, 0};
	int p[2];

	while (poll(&ended, 1, 10) == 0)
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0 && !close(p[0]) && !close(p[1]));
	return ended.revents;
}

/* Ends the only ways to sockets that are in each other's queues: what was with them is closed. */
static void check_cycle(int length)
{
	int p[8][2], pipes[2], status;

	CHECK(pipe(pipes) == 0);
	for (int i = 0; i < length; i++)
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p[i]) == 0);
	for (int i = 0; i < length; i++)
		CHECK(send_fds(p[i][0], 1, &p[(i + 1) % length][1], 1) == 1);
	CHECK(send_fds(p[0][0], 1, &pipes[1], 1) == 1 && close(pipes[1]) == 0);
	for (int i = 0; i < length; i++)
		CHECK(close(p[i][0]) == 0);
	CHECK(fcntl(pipes[0], F_SETFL, O_NONBLOCK) == 0);
	FAILS(read(pipes[0], buf, 1), EAGAIN);
	pid_t child = fork();
	if (child == 0)
		_exit(0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	for (int i = 0; i < length; i++)
		CHECK(close(p[i][1]) == 0);
	CHECK(await_collected(pipes[0]) == POLLHUP && read(pipes[0], buf, 1) == 0);
	close(pipes[0]);
}

/* A listener in flight to itself, in a connection nobody accepted. */
static void check_listener_cycle(void)
{
	struct sockaddr_un a = {AF_UNIX, "\0cycle"};
	int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(bind(l, (struct sockaddr *)&a, 8) == 0 && listen(l, 1) == 0);
	CHECK(connect(c, (struct sockaddr *)&a, 8) == 0 && send_fds(c, 1, &l, 1) == 1);
	close(l);
	CHECK(await_collected(c) == (POLLIN | POLLHUP | POLLERR));
	FAILS(read(c, buf, 1), ECONNRESET);
	close(c);
}

/* A chain of sockets, each in the queue of the next, ends without going deep. */
static void check_chain(void)
{
	int in = -1, pipes[2];

	CHECK(pipe(pipes) == 0);
	for (int i = 0; i < 2000; i++) {
		int p[2];
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, p) == 0);
		CHECK(send_fds(p[0], 1, in < 0 ? &pipes[1] : &in, 1) == 1);
		CHECK(close(in < 0 ? pipes[1] : in) == 0 && close(p[0]) == 0);
		in = p[1];
	}
	CHECK(close(in) == 0 && await_collected(pipes[0]) == POLLHUP);
	close(pipes[0]);
}

/* Sockets that are passed go on working. */
static void check_server(void)
{
	int p[2], conn[2], fd, count, status;

	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, p) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(p[0]);
		for (int i = 0; i < 3; i++) {
			char byte;
			struct pollfd poll_in = {p[1], POLLIN, 0};
			CHECK(poll(&poll_in, 1, -1) == 1);
			CHECK(receive_fds(p[1], 1, &fd, &count) == 1 && count == 1);
			CHECK(read(fd, &byte, 1) == 1 && ++byte && write(fd, &byte, 1) == 1);
			close(fd);
		}
		_exit(0);
	}
	for (int i = 0; i < 3; i++) {
		char byte = (char)('a' + i);
		CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, conn) == 0);
		CHECK(send_fds(p[0], 1, &conn[1], 1) == 1 && close(conn[1]) == 0);
		CHECK(write(conn[0], &byte, 1) == 1 && read(conn[0], &byte, 1) == 1);
		CHECK(byte == 'b' + i && read(conn[0], &byte, 1) == 0 && close(conn[0]) == 0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(p[0]);
	close(p[1]);
}

/* Many sets in flight at once, taken in another order than they were sent. */
static void check_many(void)
{
	int p[10][2], fds[2], count;

	for (int i = 0; i < 10; i++) {
		CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p[i]) == 0);
		fds[0] = open_file("many", (char[]){(char)('0' + i), 0});
		CHECK(send_fds(p[i][0], 1, fds, 1) == 1 && close(fds[0]) == 0);
	}
	CHECK(unlink("many") == 0);
	for (int k = 0; k < 9; k++) {
		int i = k * 7 % 10;
		CHECK(receive_fds(p[i][1], 1, fds, &count) == 1 && count == 1);
		CHECK(read(fds[0], buf, 1) == 1 && close(fds[0]) == 0);
	}
	for (int i = 0; i < 10; i++)
		CHECK(close(p[i][0]) == 0 && close(p[i][1]) == 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_file_to_child(SOCK_STREAM);
	check_file_to_child(SOCK_DGRAM);
	check_file_to_child(SOCK_SEQPACKET);
	check_errors();
	check_truncation();
	check_peek(SOCK_STREAM);
	check_peek(SOCK_DGRAM);
	check_stream_bounds();
	check_dropped();
	check_cycle(1);
	check_cycle(2);
	check_cycle(5);
	check_listener_cycle();
	check_chain();
	check_server();
	check_many();
	printf("scm rights ok\n");
	return 0;
}
