/*
 * Socket pairs of streams, and the calls that concern every socket: errno, edges, partial results,
 * options, shutdown, interruption, timeouts, descriptors over fork.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

static char big[1 << 20];
static int ends[2];
static volatile sig_atomic_t signals;

static void on_signal(int number)
{
	(void)number;
	signals++;
}

static void handle(int number, int flags)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = flags};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static void open_pair(int type)
{
	CHECK(socketpair(AF_UNIX, type, 0, ends) == 0);
}

static void close_pair(void)
{
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
}

static int get(int fd, int option)
{
	int value = -1;
	socklen_t size = sizeof(value);

	CHECK(getsockopt(fd, SOL_SOCKET, option, &value, &size) == 0 && size == sizeof(value));
	return value;
}

static void set(int fd, int option, int value)
{
	CHECK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)) == 0);
}

static void check_arguments(void)
{
	struct stat st;
	int fds[2];

	CHECK(socket(-1, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
	CHECK(socket(200, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
	CHECK(socket(AF_UNIX, SOCK_STREAM | 0x40, 0) == -1 && errno == EINVAL);
	CHECK(socket(AF_UNIX, 12, 0) == -1 && errno == EINVAL);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 5) == -1 && errno == EPROTONOSUPPORT);
	CHECK(socket(AF_UNIX, SOCK_RDM, 0) == -1 && errno == ESOCKTNOSUPPORT);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, bad_address) == -1 && errno == EFAULT);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) == 0);
	CHECK(fcntl(ends[0], F_GETFD) == FD_CLOEXEC);
	CHECK(fcntl(ends[1], F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(fstat(ends[0], &st) == 0 && st.st_mode == (S_IFSOCK | 0777) && st.st_size == 0);
	CHECK(recv(ends[0], big, 1, 0) == -1 && errno == EAGAIN);
	CHECK(lseek(ends[0], 0, SEEK_SET) == -1 && errno == ESPIPE);
	CHECK(listen(0, 1) == -1 && errno == ENOTSOCK && listen(-1, 1) == -1 && errno == EBADF);
	CHECK(shutdown(ends[0], 3) == -1 && errno == EINVAL);
	CHECK(pipe(fds) == 0 && send(fds[1], "x", 1, 0) == -1 && errno == ENOTSOCK);
	CHECK(close(fds[0]) == 0 && close(fds[1]) == 0);
	int path = open("/", O_PATH);
	CHECK(send(path, "x", 1, 0) == -1 && errno == EBADF && close(path) == 0);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	CHECK(send(fd, "x", 1, MSG_NOSIGNAL) == -1 && errno == ENOTCONN);
	CHECK(recv(fd, big, 1, 0) == -1 && errno == EINVAL);
	CHECK(close(fd) == 0);
	close_pair();
}

static void check_stream(void)
{
	struct iovec parts[2] = {{big, 2}, {big + 100, 5}};
	int waiting;

	open_pair(SOCK_STREAM);
	CHECK(write(ends[0], "hello", 5) == 5 && write(ends[0], "world", 5) == 5);
	CHECK(ioctl(ends[1], FIONREAD, &waiting) == 0 && waiting == 10);
	CHECK(recv(ends[1], big, 3, MSG_PEEK) == 3 && memcmp(big, "hel", 3) == 0);
	CHECK(recv(ends[1], big, 4, 0) == 4 && memcmp(big, "hell", 4) == 0);
	CHECK(readv(ends[1], parts, 2) == 6 && memcmp(big, "ow", 2) == 0);
	CHECK(memcmp(big + 100, "orld", 4) == 0);
	CHECK(recv(ends[1], big, 10, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(recv(ends[1], big, 0, MSG_DONTWAIT) == -1 && errno == EAGAIN);
	CHECK(read(ends[1], big, 0) == 0 && write(ends[0], big, 0) == 0);
	CHECK(write(ends[0], "abc", 3) == 3);
	CHECK(read(ends[1], bad_address, 3) == -1 && errno == EFAULT);
	CHECK(write(ends[0], bad_address, 3) == -1 && errno == EFAULT);
	CHECK(recv(ends[1], big, 10, MSG_TRUNC) == 3);
	CHECK(sendto(ends[0], "x", 1, 0, (struct sockaddr *)"\1\0abc", 5) == -1);
	CHECK(errno == EISCONN);
	close_pair();
}

static void check_options(void)
{
	struct timeval limit = {1, 500000};
	struct linger linger = {1, 7};
	socklen_t size = sizeof(limit);
	char byte = 0x55;

	open_pair(SOCK_STREAM);
	CHECK(get(ends[0], SO_TYPE) == SOCK_STREAM && get(ends[0], SO_DOMAIN) == AF_UNIX);
	CHECK(get(ends[0], SO_PROTOCOL) == 0 && get(ends[0], SO_ERROR) == 0);
	CHECK(get(ends[0], SO_ACCEPTCONN) == 0 && get(ends[0], SO_RCVLOWAT) == 1);
	CHECK(get(ends[0], SO_SNDLOWAT) == 1 && get(ends[0], SO_PEEK_OFF) == -1);
	set(ends[0], SO_SNDBUF, 10000);
	CHECK(get(ends[0], SO_SNDBUF) == 20000);
	set(ends[0], SO_SNDBUF, 1);
	CHECK(get(ends[0], SO_SNDBUF) == 4608);
	set(ends[0], SO_RCVBUF, 1);
	CHECK(get(ends[0], SO_RCVBUF) == 2304);
	set(ends[0], SO_REUSEADDR, 5);
	CHECK(get(ends[0], SO_REUSEADDR) == 1);
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_PEERSEC, big, &size) == -1 &&
	      errno == ENOPROTOOPT);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_TYPE, &limit, 4) == -1 && errno == ENOPROTOOPT);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_KEEPALIVE, &limit, 3) == -1 && errno == EINVAL);
	CHECK(setsockopt(ends[0], 6, 1, &limit, 4) == -1 && errno == EOPNOTSUPP);
	CHECK(getsockopt(ends[0], 6, 1, &limit, &size) == -1 && errno == EOPNOTSUPP);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, 16) == 0);
	limit.tv_usec = 1000000;
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, 16) == -1 && errno == EDOM);
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, &size) == 0 && size == 16);
	CHECK(limit.tv_sec == 1 && limit.tv_usec == 500000);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) == 0);
	memset(&linger, 0, sizeof(linger));
	size = sizeof(linger);
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_LINGER, &linger, &size) == 0);
	CHECK(linger.l_onoff == 1 && linger.l_linger == 7);
	size = 1;
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_TYPE, &byte, &size) == 0 && size == 1);
	CHECK(byte == SOCK_STREAM);
	close_pair();
}

static short poll_now(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

/* As files, and what tells one from the others. */
static void check_file(void)
{
	unsigned long cookie[2] = {0};
	socklen_t len = 4;
	int pipes[2];

	open_pair(SOCK_STREAM);
	CHECK(fcntl(ends[0], F_SETFL, O_DIRECT) == -1 && errno == EINVAL);
	CHECK(fcntl(ends[0], F_GETFL) == O_RDWR);
	CHECK(posix_fadvise(ends[0], 0, 0, POSIX_FADV_RANDOM) == 0);
	CHECK(posix_fadvise(ends[0], 0, 0, 99) == EINVAL && posix_fadvise(-1, 0, 0, 99) == EBADF);
	CHECK(pipe(pipes) == 0 && posix_fadvise(pipes[0], 0, 0, 99) == ESPIPE);
	CHECK(getsockopt(ends[0], SOL_SOCKET, SO_COOKIE, cookie, &len) == -1 && errno == EINVAL);
	for (int n = 0; n < 2; n++) {
		len = sizeof(*cookie);
		CHECK(getsockopt(ends[n], SOL_SOCKET, SO_COOKIE, &cookie[n], &len) == 0);
		CHECK(len == sizeof(*cookie) && cookie[n]);
	}
	CHECK(cookie[0] != cookie[1]);
	close(pipes[0]);
	close(pipes[1]);
	close_pair();
}

static void check_shutdown(void)
{
	open_pair(SOCK_STREAM);
	CHECK(poll_now(ends[0]) == POLLOUT);
	CHECK(write(ends[1], "ab", 2) == 2 && poll_now(ends[0]) == (POLLIN | POLLOUT));
	CHECK(shutdown(ends[1], SHUT_WR) == 0);
	CHECK(poll_now(ends[0]) == (POLLIN | POLLOUT | POLLRDHUP) && poll_now(ends[1]) == POLLOUT);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(read(ends[0], big, 10) == 2 && read(ends[0], big, 10) == 0);
	CHECK(write(ends[0], "yz", 2) == 2);
	CHECK(shutdown(ends[1], SHUT_RD) == 0 && write(ends[0], "x", 1) == -1 && errno == EPIPE);
	CHECK(read(ends[1], big, 10) == 2 && read(ends[1], big, 10) == 0);
	CHECK(poll_now(ends[1]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP));
	close_pair();

	open_pair(SOCK_STREAM);
	CHECK(write(ends[0], "unread", 6) == 6 && write(ends[1], "mine", 4) == 4);
	CHECK(close(ends[1]) == 0);
	CHECK(poll_now(ends[0]) == (POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR));
	CHECK(read(ends[0], big, 10) == 4);
	CHECK(read(ends[0], big, 10) == -1 && errno == ECONNRESET);
	CHECK(read(ends[0], big, 10) == 0 && write(ends[0], "x", 1) == -1 && errno == EPIPE);
	CHECK(close(ends[0]) == 0);
}

static void check_sigpipe(void)
{
	open_pair(SOCK_STREAM);
	handle(SIGPIPE, 0);
	close(ends[1]);
	signals = 0;
	CHECK(write(ends[0], "x", 1) == -1 && errno == EPIPE && signals == 1);
	CHECK(send(ends[0], "x", 1, MSG_NOSIGNAL) == -1 && errno == EPIPE && signals == 1);
	CHECK(close(ends[0]) == 0);
	signal(SIGPIPE, SIG_IGN);
}

static pid_t signal_parent_later(int number)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		usleep(20000);
		kill(getppid(), number);
		_exit(0);
	}
	return child;
}

static void check_interrupted(void)
{
	struct timeval limit = {10, 0}, brief = {0, 30000};
	pid_t child;

	open_pair(SOCK_STREAM);
	handle(SIGUSR1, 0);
	child = signal_parent_later(SIGUSR1);
	CHECK(read(ends[0], big, 1) == -1 && errno == EINTR && waitpid(child, NULL, 0) == child);
	child = signal_parent_later(SIGUSR1);
	ssize_t some = write(ends[0], big, sizeof(big));
	CHECK(some > 0 && some < (ssize_t)sizeof(big) && waitpid(child, NULL, 0) == child);
	child = signal_parent_later(SIGUSR1);
	CHECK(write(ends[0], big, sizeof(big)) == -1 && errno == EINTR);
	CHECK(waitpid(child, NULL, 0) == child);
	for (ssize_t got = 0; some > 0; some -= got)
		CHECK((got = read(ends[1], big, sizeof(big))) > 0);
	/* A limit takes the restart away. */
	handle(SIGUSR1, SA_RESTART);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) == 0);
	child = signal_parent_later(SIGUSR1);
	CHECK(read(ends[0], big, 1) == -1 && errno == EINTR && waitpid(child, NULL, 0) == child);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &brief, sizeof(brief)) == 0);
	CHECK(read(ends[0], big, 1) == -1 && errno == EAGAIN);
	CHECK(setsockopt(ends[0], SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof(brief)) == 0);
	some = write(ends[0], big, sizeof(big));
	CHECK(some > 0 && some < (ssize_t)sizeof(big));
	CHECK(write(ends[0], big, 1) == -1 && errno == EAGAIN);
	close_pair();
}

/* Bytes go through whole and in order, with both sides waiting in turn. */
static void check_flow(void)
{
	size_t sent = 0, got = 0;
	int status;

	open_pair(SOCK_STREAM);
	pid_t child = fork();
	if (child == 0) {
		for (size_t i = 0; i < sizeof(big); i++)
			big[i] = (char)(i * 7 + i / 1000);
		while (sent < sizeof(big)) {
			size_t size = sent % 5000 + 1;
			size = size > sizeof(big) - sent ? sizeof(big) - sent : size;
			CHECK(write(ends[0], big + sent, size) == (ssize_t)size);
			sent += size;
		}
		_exit(0);
	}
	close(ends[0]);
	memset(big, 0, sizeof(big));
	for (ssize_t n; (n = read(ends[1], big + got, 3000 + got % 777)) > 0;)
		got += (size_t)n;
	CHECK(got == sizeof(big));
	for (size_t i = 0; i < sizeof(big); i++)
		CHECK(big[i] == (char)(i * 7 + i / 1000));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(ends[1]);
}

/* MSG_WAITALL takes what several sends bring; an end of the stream cuts it short. */
static void check_waitall(void)
{
	open_pair(SOCK_STREAM);
	pid_t child = fork();
	if (child == 0) {
		close(ends[1]);
		for (int i = 0; i < 3; i++) {
			CHECK(write(ends[0], "1234567890", 10) == 10);
			usleep(10000);
		}
		_exit(0);
	}
	close(ends[0]);
	CHECK(recv(ends[1], big, 25, MSG_WAITALL) == 25);
	CHECK(recv(ends[1], big, 25, MSG_WAITALL) == 5);
	CHECK(waitpid(child, NULL, 0) == child);
	close(ends[1]);
}

static void *read_one(void *fd)
{
	char byte = 0;
	ssize_t got = read(*(int *)fd, &byte, 1);

	return (void *)(got == 1 ? (ssize_t)byte : got);
}

static void check_closed_number(void)
{
	pthread_t thread;
	void *result;

	open_pair(SOCK_STREAM);
	CHECK(pthread_create(&thread, NULL, read_one, &ends[0]) == 0);
	usleep(20000);
	CHECK(close(ends[0]) == 0 && write(ends[1], "y", 1) == 1);
	CHECK(pthread_join(thread, &result) == 0 && (ssize_t)result == 'y');
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(close(ends[1]) == 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_arguments();
	check_stream();
	check_options();
	check_file();
	check_shutdown();
	check_sigpipe();
	check_interrupted();
	check_flow();
	check_waitall();
	check_closed_number();
	printf("sockets ok\n");
	return 0;
}
