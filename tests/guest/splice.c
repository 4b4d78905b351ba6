/*
 * splice, tee, vmsplice, sendfile and packets in pipes: what moves, what stays, how much fits,
 * which errors come first, and what a waiting call does when it is interrupted.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096
#define ROOM 65536

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

static char big[1 << 20], back[1 << 20];
static int a[2], b[2];

static void pipes_open(int flags)
{
	CHECK(pipe2(a, flags) == 0 && pipe2(b, flags) == 0);
}

static void pipes_close(void)
{
	close(a[0]);
	close(a[1]);
	close(b[0]);
	close(b[1]);
}

static int file_with(const char *name, size_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, big, size) == (ssize_t)size && lseek(fd, 0, SEEK_SET) == 0);
	return fd;
}

static int queued(int fd)
{
	int n = -1;

	CHECK(ioctl(fd, FIONREAD, &n) == 0);
	return n;
}

static void expect(int fd, size_t at, size_t size)
{
	CHECK(read(fd, back, size) == (ssize_t)size && memcmp(back, big + at, size) == 0);
}

static void check_file_to_pipe(void)
{
	int fd = file_with("f", 100000);
	off64_t at = 50;

	pipes_open(O_NONBLOCK);
	CHECK(splice(fd, NULL, a[1], NULL, 10, 0) == 10 && lseek(fd, 0, SEEK_CUR) == 10);
	CHECK(splice(fd, &at, a[1], NULL, 20, SPLICE_F_MOVE | SPLICE_F_MORE) == 20 && at == 70);
	CHECK(lseek(fd, 0, SEEK_CUR) == 10 && queued(a[0]) == 30);
	expect(a[0], 0, 10);
	expect(a[0], 50, 20);
	/* No more than there is room for; a full pipe is one without a page. */
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && splice(fd, NULL, a[1], NULL, 1 << 20, 0) == ROOM);
	FAILS(splice(fd, NULL, a[1], NULL, 1, 0), EAGAIN);
	expect(a[0], 0, PAGE);
	CHECK(splice(fd, NULL, a[1], NULL, 1 << 20, 0) == PAGE);
	expect(a[0], PAGE, ROOM);
	/* The end, and behind it. */
	CHECK(splice(fd, NULL, a[1], NULL, 1 << 20, 0) == 100000 - ROOM - PAGE);
	CHECK(splice(fd, NULL, a[1], NULL, 1, 0) == 0);
	at = 200000;
	CHECK(splice(fd, &at, a[1], NULL, 1, 0) == 0 && at == 200000);
	CHECK(read(a[0], back, sizeof(back)) == 100000 - ROOM - PAGE);
	/* Pages of the file. */
	at = 100;
	CHECK(splice(fd, &at, a[1], NULL, 1 << 20, 0) == ROOM - 100 && at == ROOM);
	CHECK(read(a[0], back, sizeof(back)) == ROOM - 100 && !memcmp(back, big + 100, ROOM - 100));
	pipes_close();
	close(fd);
}

static void check_pipe_to_file(void)
{
	int fd = file_with("f", 10);
	off64_t at = 5;

	pipes_open(O_NONBLOCK);
	FAILS(splice(a[0], NULL, fd, NULL, 10, 0), EAGAIN);
	CHECK(write(a[1], big + 100, 50) == 50);
	CHECK(splice(a[0], NULL, fd, NULL, 20, 0) == 20 && lseek(fd, 0, SEEK_CUR) == 20);
	CHECK(splice(a[0], NULL, fd, &at, 100, 0) == 30 && at == 35);
	CHECK(lseek(fd, 0, SEEK_CUR) == 20 && pread(fd, back, 100, 0) == 35);
	CHECK(!memcmp(back, big + 100, 5) && !memcmp(back + 5, big + 120, 30));
	CHECK(fcntl(fd, F_SETFL, O_APPEND) == 0 && write(a[1], "x", 1) == 1);
	FAILS(splice(a[0], NULL, fd, NULL, 1, 0), EINVAL);
	CHECK(queued(a[0]) == 1 && close(a[1]) == 0 && fcntl(fd, F_SETFL, 0) == 0);
	CHECK(splice(a[0], NULL, fd, NULL, 100, 0) == 1);
	CHECK(splice(a[0], NULL, fd, NULL, 100, 0) == 0);
	pipes_close();
	close(fd);
}

static void check_pipe_to_pipe(void)
{
	pipes_open(O_NONBLOCK);
	FAILS(splice(a[0], NULL, b[1], NULL, 10, 0), EAGAIN);
	CHECK(write(a[1], big, 30000) == 30000);
	CHECK(splice(a[0], NULL, b[1], NULL, 100, 0) == 100 && queued(a[0]) == 29900);
	expect(b[0], 0, 100);
	CHECK(splice(a[0], NULL, b[1], NULL, 1 << 20, 0) == 29900 && queued(a[0]) == 0);
	expect(b[0], 100, 29900);
	FAILS(splice(a[0], NULL, a[1], NULL, 1, 0), EINVAL);
	/* A full sink. */
	CHECK(write(b[1], big, ROOM) == ROOM && write(a[1], big, 10) == 10);
	FAILS(splice(a[0], NULL, b[1], NULL, 10, 0), EAGAIN);
	CHECK(queued(a[0]) == 10);
	/* A sink without reader, a source without writer. */
	signal(SIGPIPE, SIG_IGN);
	close(b[0]);
	FAILS(splice(a[0], NULL, b[1], NULL, 10, 0), EPIPE);
	FAILS(tee(a[0], b[1], 10, 0), EPIPE);
	CHECK(queued(a[0]) == 10);
	close(b[1]);
	CHECK(pipe2(b, O_NONBLOCK) == 0 && close(a[1]) == 0);
	CHECK(splice(a[0], NULL, b[1], NULL, 100, 0) == 10);
	CHECK(splice(a[0], NULL, b[1], NULL, 100, 0) == 0 && tee(a[0], b[1], 100, 0) == 0);
	signal(SIGPIPE, SIG_DFL);
	pipes_close();
}

static void check_tee(void)
{
	pipes_open(O_NONBLOCK);
	FAILS(tee(a[0], b[1], 10, 0), EAGAIN);
	CHECK(write(a[1], big, 10000) == 10000);
	CHECK(tee(a[0], b[1], 100, 0) == 100 && tee(a[0], b[1], 1 << 20, SPLICE_F_MORE) == 10000);
	CHECK(queued(a[0]) == 10000 && queued(b[0]) == 10100);
	expect(b[0], 0, 100);
	expect(b[0], 0, 10000);
	expect(a[0], 0, 10000);
	FAILS(tee(a[0], a[1], 10, 0), EINVAL);
	FAILS(tee(a[0], 0x7fff, 10, 0), EBADF);
	FAILS(tee(a[1], b[1], 10, 0), EBADF);
	FAILS(tee(a[0], b[0], 10, 0), EBADF);
	FAILS(tee(a[0], b[1], 10, 16), EINVAL);
	CHECK(tee(-1, -1, 0, 0) == 0);
	pipes_close();
}

static void check_vmsplice(void)
{
	struct iovec iov[2] = {{big, 10}, {big + 100, 5}};
	struct iovec whole = {big, sizeof(big)}, into[2] = {{back, 3}, {back + 50, 100}};

	pipes_open(0);
	CHECK(vmsplice(a[1], iov, 2, 0) == 15 && queued(a[0]) == 15);
	CHECK(vmsplice(a[0], into, 2, 0) == 15);
	CHECK(!memcmp(back, big, 3) && !memcmp(back + 50, big + 3, 7) && back[57] == big[100]);
	FAILS(vmsplice(a[0], into, 2, SPLICE_F_NONBLOCK), EAGAIN);
	whole.iov_base = (void *)(((uintptr_t)big + PAGE) & ~(uintptr_t)(PAGE - 1));
	whole.iov_len = 500000;
	CHECK(vmsplice(a[1], &whole, 1, SPLICE_F_GIFT) == ROOM);
	FAILS(vmsplice(a[1], &whole, 1, SPLICE_F_NONBLOCK), EAGAIN);
	CHECK(read(a[0], back, ROOM) == ROOM && !memcmp(back, whole.iov_base, ROOM));
	CHECK(vmsplice(a[1], iov, 0, 0) == 0);
	FAILS(vmsplice(-1, iov, 1, 0), EBADF);
	FAILS(vmsplice(a[1], iov, 1, 16), EINVAL);
	FAILS(vmsplice(a[1], iov, 1025, 0), EINVAL);
	FAILS(vmsplice(a[1], bad_address, 1, 0), EFAULT);
	iov[0].iov_base = bad_address;
	FAILS(vmsplice(a[1], iov, 1, 0), EFAULT);
	iov[0].iov_base = big;
	int fd = file_with("f", 1);
	FAILS(vmsplice(fd, iov, 1, 0), EBADF);
	signal(SIGPIPE, SIG_IGN);
	close(a[0]);
	FAILS(vmsplice(a[1], iov, 1, 0), EPIPE);
	signal(SIGPIPE, SIG_DFL);
	pipes_close();
	close(fd);
}

static void check_errors(void)
{
	int fd = file_with("f", 100), other = file_with("g", 100);
	int event = eventfd(0, 0), poll = epoll_create1(0), dir = open(".", O_RDONLY);
	int null = open("/dev/null", O_RDWR), full = open("/dev/full", O_WRONLY);
	int path = open("f", O_PATH), out_only = open("f", O_WRONLY);
	off64_t at = 0, negative = -1;

	pipes_open(O_NONBLOCK);
	CHECK(write(a[1], big, 100) == 100);
	CHECK(splice(-1, NULL, -1, NULL, 0, 0) == 0);
	FAILS(splice(-1, NULL, -1, NULL, 0x10, 0x10), EINVAL);
	FAILS(splice(-1, NULL, b[1], NULL, 1, 0), EBADF);
	FAILS(splice(a[0], NULL, -1, NULL, 1, 0), EBADF);
	FAILS(splice(path, NULL, b[1], NULL, 1, 0), EBADF);
	FAILS(splice(out_only, NULL, b[1], NULL, 1, 0), EBADF);
	FAILS(splice(a[1], NULL, fd, NULL, 1, 0), EBADF);
	FAILS(splice(a[0], NULL, b[0], NULL, 1, 0), EBADF);
	FAILS(splice(fd, NULL, other, NULL, 1, 0), EINVAL);
	FAILS(splice(a[0], &at, fd, NULL, 1, 0), ESPIPE);
	FAILS(splice(fd, NULL, b[1], &at, 1, 0), ESPIPE);
	FAILS(splice(a[0], &at, b[1], NULL, 1, 0), ESPIPE);
	FAILS(splice(fd, bad_address, b[1], NULL, 1, 0), EFAULT);
	FAILS(splice(a[0], NULL, fd, bad_address, 1, 0), EFAULT);
	FAILS(splice(fd, &negative, b[1], NULL, 1, 0), EINVAL);
	FAILS(splice(a[0], NULL, fd, &negative, 1, 0), EINVAL);
	FAILS(splice(event, NULL, b[1], NULL, 8, 0), EINVAL);
	FAILS(splice(a[0], NULL, event, NULL, 8, 0), EINVAL);
	FAILS(splice(poll, NULL, b[1], NULL, 8, 0), EINVAL);
	FAILS(splice(dir, NULL, b[1], NULL, 8, 0), EINVAL);
	FAILS(splice(null, NULL, b[1], NULL, 8, 0), EINVAL);
	FAILS(splice(a[0], NULL, full, NULL, 8, 0), EINVAL);
	CHECK(splice(a[0], NULL, null, NULL, 8, 0) == 8 && queued(a[0]) == 92);
	int zero = open("/dev/zero", O_RDONLY);
	CHECK(splice(zero, NULL, b[1], NULL, 10, 0) == 10 && read(b[0], back, 20) == 10);
	CHECK(back[0] == 0 && back[9] == 0);
	pipes_close();
	for (int i = fd; i <= zero; i++)
		close(i);
}

static void check_sendfile(void)
{
	int fd = file_with("f", 100000), out = file_with("g", 0);
	int zero = open("/dev/zero", O_RDONLY), out_only = open("f", O_WRONLY);
	off_t at = 10, negative = -1;

	pipes_open(O_NONBLOCK);
	CHECK(sendfile(a[1], fd, &at, 20) == 20 && at == 30 && lseek(fd, 0, SEEK_CUR) == 0);
	expect(a[0], 10, 20);
	/* Into a pipe only what fits; into a file everything. */
	CHECK(sendfile(a[1], fd, NULL, 1 << 20) == ROOM && lseek(fd, 0, SEEK_CUR) == ROOM);
	FAILS(sendfile(a[1], fd, NULL, 1), EAGAIN);
	CHECK(sendfile(out, fd, NULL, 1 << 20) == 100000 - ROOM);
	CHECK(sendfile(out, fd, NULL, 1 << 20) == 0 && sendfile(out, fd, NULL, 0) == 0);
	CHECK(pread(out, back, ROOM, 0) == 100000 - ROOM);
	CHECK(!memcmp(back, big + ROOM, 100000 - ROOM));
	CHECK(sendfile(out, zero, NULL, 30) == 30);
	FAILS(sendfile(out, a[0], NULL, 1), EINVAL);
	FAILS(sendfile(out, a[0], &at, 1), ESPIPE);
	FAILS(sendfile(b[1], a[0], NULL, 1), EINVAL);
	FAILS(sendfile(out, -1, NULL, 1), EBADF);
	FAILS(sendfile(-1, fd, NULL, 1), EBADF);
	FAILS(sendfile(out, out_only, NULL, 1), EBADF);
	FAILS(sendfile(a[0], fd, NULL, 1), EBADF);
	FAILS(sendfile(out, fd, bad_address, 1), EFAULT);
	FAILS(sendfile(out, fd, &negative, 1), EINVAL);
	CHECK(fcntl(out, F_SETFL, O_APPEND) == 0);
	FAILS(sendfile(out, fd, NULL, 1), EINVAL);
	pipes_close();
	for (int i = fd; i <= out_only; i++)
		close(i);
}

static void on_signal(int number)
{
	(void)number;
}

static int moved[2];

static void *move_later(void *unused)
{
	moved[0] = (int)splice(a[0], NULL, b[1], NULL, 100, 0);
	moved[1] = (int)splice(b[0], NULL, *(int *)unused, NULL, 3, 0);
	return NULL;
}

/* A call that waits: for bytes, then for room. */
static void check_waiting(void)
{
	int fd = file_with("f", 0);
	pthread_t thread;
	struct sigaction action = {.sa_handler = on_signal};
	pid_t parent = getpid();

	pipes_open(0);
	CHECK(pthread_create(&thread, NULL, move_later, &fd) == 0);
	CHECK(usleep(20000) == 0 && write(a[1], "hello", 5) == 5);
	CHECK(pthread_join(thread, NULL) == 0 && moved[0] == 5 && moved[1] == 3);
	CHECK(queued(b[0]) == 2 && sigaction(SIGUSR1, &action, NULL) == 0);
	for (int way = 0; way < 4; way++) {
		pid_t child = fork();
		if (!child) {
			usleep(20000);
			kill(parent, SIGUSR1);
			_exit(0);
		}
		struct iovec iov = {back, 1};
		long r = way == 0   ? splice(a[0], NULL, fd, NULL, 1, 0)
			 : way == 1 ? tee(a[0], b[1], 1, 0)
			 : way == 2 ? vmsplice(a[0], &iov, 1, 0)
				    : splice(a[0], NULL, b[1], NULL, 1, 0);
		CHECK(r == -1 && errno == EINTR && waitpid(child, NULL, 0) == child);
	}
	/* The sink's reader goes while a move waits for room. */
	CHECK(read(b[0], back, 9) == 2 && write(b[1], big, ROOM) == ROOM);
	CHECK(write(a[1], big, 10) == 10);
	signal(SIGPIPE, SIG_IGN);
	pid_t child = fork();
	if (!child) {
		close(b[0]);
		errno = 0;
		_exit(splice(a[0], NULL, b[1], NULL, 10, 0) == -1 ? errno : 0);
	}
	usleep(20000);
	close(b[0]);
	int status;
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == EPIPE);
	signal(SIGPIPE, SIG_DFL);
	pipes_close();
	close(fd);
}

/* ---- packets ---- */

static void check_packets(void)
{
	pipes_open(O_DIRECT | O_NONBLOCK);
	CHECK(fcntl(a[1], F_GETFL) == (O_WRONLY | O_DIRECT | O_NONBLOCK));
	CHECK(write(a[1], big, 10) == 10 && write(a[1], big + 10, 20) == 20);
	CHECK(write(a[1], big, 0) == 0 && queued(a[0]) == 30);
	CHECK(read(a[0], back, 100) == 10 && !memcmp(back, big, 10));
	/* What does not fit into the buffer is gone. */
	CHECK(read(a[0], back, 5) == 5 && !memcmp(back, big + 10, 5) && queued(a[0]) == 0);
	FAILS(read(a[0], back, 5), EAGAIN);
	CHECK(write(a[1], big, 10000) == 10000);
	CHECK(read(a[0], back, 10000) == PAGE && read(a[0], back, 10000) == PAGE);
	CHECK(read(a[0], back, 10000) == 10000 - 2 * PAGE);
	/* Each takes a page's room. */
	for (int i = 0; i < 16; i++)
		CHECK(write(a[1], big, 1) == 1);
	FAILS(write(a[1], big, 1), EAGAIN);
	CHECK(queued(a[0]) == 16 && read(a[0], back, 100) == 1 && write(a[1], big, 1) == 1);
	FAILS(fcntl(a[1], F_SETPIPE_SZ, PAGE), EBUSY);
	for (int i = 0; i < 16; i++)
		CHECK(read(a[0], back, 100) == 1);
	/* Large writes end where room does. */
	CHECK(write(a[1], big, 100000) == ROOM && read(a[0], back, ROOM) == PAGE);
	while (read(a[0], back, ROOM) > 0)
		;
	pipes_close();
}

static void check_packets_switched(void)
{
	pipes_open(O_NONBLOCK);
	/* A whole page: Linux adds a packet to the bytes of one that is not full. */
	CHECK(write(a[1], big, PAGE) == PAGE);
	CHECK(fcntl(a[1], F_SETFL, O_DIRECT | O_NONBLOCK) == 0);
	CHECK(write(a[1], "defg", 4) == 4 && fcntl(a[1], F_SETFL, O_NONBLOCK) == 0);
	CHECK(write(a[1], "hij", 3) == 3);
	/* A read goes on into a packet and ends with it. */
	CHECK(read(a[0], back, PAGE - 1) == PAGE - 1);
	CHECK(read(a[0], back, 100) == 5 && !memcmp(back + 1, "defg", 4));
	CHECK(read(a[0], back, 100) == 3);
	CHECK(write(a[1], big, PAGE) == PAGE);
	CHECK(fcntl(a[1], F_SETFL, O_DIRECT | O_NONBLOCK) == 0);
	CHECK(write(a[1], "defg", 4) == 4 && read(a[0], back, PAGE + 2) == PAGE + 2);
	FAILS(read(a[0], back, 5), EAGAIN);
	/* Packets stay such as they move. */
	CHECK(write(a[1], "abc", 3) == 3 && write(a[1], "de", 2) == 2);
	CHECK(tee(a[0], b[1], 100, 0) == 5 && splice(a[0], NULL, b[1], NULL, 4, 0) == 4);
	CHECK(read(a[0], back, 100) == 1 && back[0] == 'e');
	CHECK(read(b[0], back, 100) == 3 && read(b[0], back, 100) == 2);
	CHECK(read(b[0], back, 1) == 1 && read(b[0], back, 9) == 1 && back[0] == 'd');
	/* To a file they are bytes. */
	int fd = file_with("f", 0);
	CHECK(write(a[1], "abc", 3) == 3 && write(a[1], "de", 2) == 2);
	CHECK(splice(a[0], NULL, fd, NULL, 4, 0) == 4 && pread(fd, back, 9, 0) == 4);
	CHECK(!memcmp(back, "abcd", 4) && read(a[0], back, 9) == 1);
	pipes_close();
	close(fd);
}

int main(void)
{
	for (size_t i = 0; i < sizeof(big); i++)
		big[i] = (char)(i * 7 + i / 251);
	check_file_to_pipe();
	check_pipe_to_file();
	check_pipe_to_pipe();
	check_tee();
	check_vmsplice();
	check_errors();
	check_sendfile();
	check_waiting();
	check_packets();
	check_packets_switched();
	unlink("f");
	unlink("g");
	puts("splice ok");
	return 0;
}
