/*
 * eventfd: counting and semaphore mode, overflow, waiting on either side, polling, errors.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "children.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static int put(int fd, uint64_t value)
{
	return write(fd, &value, 8) == 8 ? 0 : -1;
}

static uint64_t take(int fd)
{
	uint64_t value;

	CHECK(read(fd, &value, 8) == 8);
	return value;
}

static short ready(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void test_counting(void)
{
	int fd = eventfd(3, EFD_NONBLOCK | EFD_CLOEXEC);
	static void *volatile nowhere = (void *)8;
	uint64_t value[2];

	CHECK(fcntl(fd, F_GETFD) == FD_CLOEXEC && fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK));
	CHECK(ready(fd) == (POLLIN | POLLOUT) && put(fd, 4) == 0 && put(fd, 0) == 0);
	CHECK(read(fd, value, 16) == 8 && value[0] == 7);
	CHECK(ready(fd) == POLLOUT);
	FAILS(read(fd, value, 8), EAGAIN);
	FAILS(read(fd, value, 7), EINVAL);
	FAILS(write(fd, value, 7), EINVAL);
	FAILS(put(fd, UINT64_MAX), EINVAL);
	FAILS(write(fd, nowhere, 8), EFAULT);
	FAILS(pread(fd, value, 8, 0), ESPIPE);
	FAILS(eventfd(0, 0x1000), EINVAL);
	CHECK(put(fd, UINT64_MAX - 1) == 0 && ready(fd) == POLLIN);
	FAILS(put(fd, 1), EAGAIN);
	CHECK(put(fd, 0) == 0 && take(fd) == UINT64_MAX - 1);
	CHECK(put(fd, 0) == 0 && ready(fd) == POLLOUT);
	close(fd);
}

/* A vector is written piece by piece; what is read into no memory is lost. */
static void test_pieces(void)
{
	static void *volatile nowhere = (void *)8;
	int fd = eventfd(5, EFD_NONBLOCK);
	uint64_t value[2] = {3, 4};
	struct iovec iov[2] = {{&value[0], 8}, {&value[1], 8}};

	FAILS(read(fd, nowhere, 8), EFAULT);
	FAILS(read(fd, value, 8), EAGAIN);
	CHECK(writev(fd, iov, 2) == 16 && take(fd) == 7);
	value[1] = UINT64_MAX;
	CHECK(writev(fd, iov, 2) == 8 && take(fd) == 3);
	value[1] = UINT64_MAX - 1;
	CHECK(writev(fd, iov, 2) == 8 && take(fd) == 3);
	iov[0].iov_len = 4;
	iov[1] = (struct iovec){(char *)value + 4, 4};
	FAILS(writev(fd, iov, 2), EINVAL);
	CHECK(put(fd, 6) == 0 && readv(fd, iov, 2) == 8 && value[0] == 6);
	iov[0].iov_len = 8;
	FAILS(pwritev2(fd, iov, 1, -1, RWF_NOWAIT), EOPNOTSUPP);
	CHECK(pwritev2(fd, iov, 1, -1, RWF_HIPRI) == 8);
	CHECK(preadv2(fd, iov, 1, -1, RWF_NOWAIT) == 8);
	close(fd);
}

static void test_semaphore(void)
{
	int fd = eventfd(2, EFD_SEMAPHORE | EFD_NONBLOCK);
	uint64_t value;

	CHECK(take(fd) == 1 && take(fd) == 1);
	FAILS(read(fd, &value, 8), EAGAIN);
	CHECK(put(fd, 3) == 0 && take(fd) == 1 && ready(fd) == (POLLIN | POLLOUT));
	close(fd);
}

static void test_waiting(void)
{
	int fd = eventfd(0, EFD_SEMAPHORE);
	pid_t pids[3];

	for (int i = 0; i < 3; i++) {
		pids[i] = fork();
		if (!pids[i])
			_exit((int)take(fd));
		await_sleep(pids[i]);
	}
	CHECK(put(fd, 3) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(status_of(pids[i]) == 1 << 8);
	CHECK(put(fd, UINT64_MAX - 1) == 0);
	pid_t writer = fork();
	if (!writer)
		_exit(put(fd, 2) ? 1 : 0);
	await_sleep(writer);
	CHECK(take(fd) == 1);
	await_sleep(writer); /* room for one only */
	CHECK(take(fd) == 1 && status_of(writer) == 0);
	close(fd);
}

static void test_edges(void)
{
	int fd = eventfd(0, 0), e = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET}, got;

	CHECK(epoll_ctl(e, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(epoll_wait(e, &got, 1, 0) == 1 && got.events == EPOLLOUT);
	CHECK(epoll_wait(e, &got, 1, 0) == 0);
	CHECK(put(fd, 1) == 0 && epoll_wait(e, &got, 1, 0) == 1);
	CHECK(got.events == (EPOLLIN | EPOLLOUT));
	CHECK(put(fd, 1) == 0 && epoll_wait(e, &got, 1, 0) == 1); /* each write is an edge */
	CHECK(take(fd) == 2 && epoll_wait(e, &got, 1, 0) == 1 && got.events == EPOLLOUT);
	close(fd);
	close(e);
}

int main(void)
{
	test_counting();
	test_pieces();
	test_semaphore();
	test_waiting();
	test_edges();
	printf("eventfd ok\n");
	return 0;
}
