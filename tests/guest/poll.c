/*
 * poll, ppoll, select, pselect and epoll on pipes, eventfds and regular files: ready sets, time
 * limits, hang-ups, level and edge triggering, one shot, nested sets, waking a waiting thread.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static int ends[2];

static void *write_later(void *unused)
{
	(void)unused;
	usleep(30000);
	CHECK(write(ends[1], "x", 1) == 1);
	return NULL;
}

static void check_poll(void)
{
	struct pollfd fds[3] = {{ends[0], POLLIN, 0}, {ends[1], POLLOUT, 0}, {-1, POLLIN, 0}};
	struct pollfd bad = {999, POLLIN, 0};
	pthread_t thread;
	char byte;

	CHECK(poll(fds, 3, 0) == 1 && fds[0].revents == 0 && fds[1].revents == POLLOUT);
	CHECK(poll(&fds[0], 1, 20) == 0);
	CHECK(poll(&bad, 1, -1) == 1 && bad.revents == POLLNVAL);
	CHECK(pthread_create(&thread, NULL, write_later, NULL) == 0);
	CHECK(poll(&fds[0], 1, -1) == 1 && fds[0].revents == POLLIN);
	CHECK(read(ends[0], &byte, 1) == 1 && pthread_join(thread, NULL) == 0);
	int file = open("file", O_RDWR | O_CREAT, 0600);
	struct pollfd regular = {file, POLLIN | POLLOUT, 0};
	CHECK(poll(&regular, 1, -1) == 1 && regular.revents == (POLLIN | POLLOUT));
	CHECK(close(file) == 0 && unlink("file") == 0);
}

static void check_select(void)
{
	struct timeval limit = {0, 20000};
	fd_set in, out;
	char byte;

	FD_ZERO(&in);
	FD_ZERO(&out);
	FD_SET(ends[0], &in);
	CHECK(select(ends[0] + 1, &in, NULL, NULL, &limit) == 0 && !FD_ISSET(ends[0], &in));
	CHECK(limit.tv_sec == 0 && limit.tv_usec == 0);
	FD_SET(ends[0], &in);
	FD_SET(ends[1], &out);
	CHECK(write(ends[1], "x", 1) == 1);
	CHECK(select(ends[1] + 1, &in, &out, NULL, NULL) == 2);
	CHECK(FD_ISSET(ends[0], &in) && FD_ISSET(ends[1], &out));
	CHECK(read(ends[0], &byte, 1) == 1);
	struct timespec short_limit = {0, 1000000};
	CHECK(pselect(0, NULL, NULL, NULL, &short_limit, NULL) == 0);
}

static void check_hangup(void)
{
	int pair[2];
	struct pollfd fd;
	char byte;

	CHECK(pipe(pair) == 0 && write(pair[1], "x", 1) == 1 && close(pair[1]) == 0);
	fd = (struct pollfd){pair[0], POLLIN, 0};
	CHECK(poll(&fd, 1, -1) == 1 && fd.revents == (POLLIN | POLLHUP));
	CHECK(read(pair[0], &byte, 1) == 1);
	CHECK(poll(&fd, 1, -1) == 1 && fd.revents == POLLHUP && close(pair[0]) == 0);
	CHECK(pipe(pair) == 0 && close(pair[0]) == 0);
	fd = (struct pollfd){pair[1], POLLOUT, 0};
	CHECK(poll(&fd, 1, -1) == 1 && fd.revents == (POLLOUT | POLLERR) && close(pair[1]) == 0);
}

static void set(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {events, {.u64 = data}};

	CHECK(epoll_ctl(ep, op, fd, &event) == 0);
}

static void check_epoll(void)
{
	struct epoll_event events[4];
	int ep = epoll_create1(EPOLL_CLOEXEC);
	char byte;

	CHECK(ep >= 0);
	set(ep, EPOLL_CTL_ADD, ends[0], EPOLLIN, 10);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &events[0]) == -1 && errno == EEXIST);
	CHECK(epoll_wait(ep, events, 4, 10) == 0);
	CHECK(write(ends[1], "xy", 2) == 2);
	for (int i = 0; i < 2; i++)
		CHECK(epoll_wait(ep, events, 4, -1) == 1 && events[0].data.u64 == 10);
	set(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLET, 11);
	CHECK(epoll_wait(ep, events, 4, -1) == 1 && events[0].data.u64 == 11);
	CHECK(epoll_wait(ep, events, 4, 0) == 0);
	CHECK(write(ends[1], "z", 1) == 1 && epoll_wait(ep, events, 4, 0) == 1);
	set(ep, EPOLL_CTL_MOD, ends[0], EPOLLIN | EPOLLONESHOT, 12);
	CHECK(epoll_wait(ep, events, 4, 0) == 1 && epoll_wait(ep, events, 4, 0) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(read(ends[0], &byte, 1) == 1);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_DEL, ends[0], NULL) == -1 && errno == ENOENT);
	CHECK(close(ep) == 0);
}

/* An epoll is readable itself, and a thread waiting in it is woken by a write. */
static void check_nested(void)
{
	struct epoll_event event;
	int inner = epoll_create1(0), outer = epoll_create1(0), counter = eventfd(0, 0);
	struct pollfd fd = {outer, POLLIN, 0};
	pthread_t thread;
	uint64_t one = 1;
	char byte;

	set(inner, EPOLL_CTL_ADD, counter, EPOLLIN, 1);
	set(inner, EPOLL_CTL_ADD, ends[0], EPOLLIN, 2);
	set(outer, EPOLL_CTL_ADD, inner, EPOLLIN, 3);
	CHECK(poll(&fd, 1, 0) == 0);
	CHECK(pthread_create(&thread, NULL, write_later, NULL) == 0);
	CHECK(epoll_wait(outer, &event, 1, -1) == 1 && event.data.u64 == 3);
	CHECK(epoll_wait(inner, &event, 1, 0) == 1 && event.data.u64 == 2);
	CHECK(read(ends[0], &byte, 1) == 1 && pthread_join(thread, NULL) == 0);
	CHECK(write(counter, &one, 8) == 8 && poll(&fd, 1, 0) == 1);
	CHECK(epoll_wait(inner, &event, 1, 0) == 1 && event.data.u64 == 1);
	close(inner);
	close(outer);
	close(counter);
}

static void ignore(int number)
{
	(void)number;
}

static void check_signals(void)
{
	struct sigaction action = {.sa_handler = ignore};
	struct timespec limit = {0, 10000000};
	sigset_t set_blocked, none;

	sigemptyset(&none);
	sigemptyset(&set_blocked);
	sigaddset(&set_blocked, SIGUSR1);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &set_blocked, NULL) == 0 && raise(SIGUSR1) == 0);
	CHECK(ppoll(NULL, 0, &limit, NULL) == 0);
	CHECK(ppoll(NULL, 0, &limit, &none) == -1 && errno == EINTR);
	CHECK(ppoll(NULL, 0, &limit, &none) == 0);
}

int main(void)
{
	CHECK(pipe(ends) == 0);
	check_poll();
	check_select();
	check_hangup();
	check_epoll();
	check_nested();
	check_signals();
	printf("poll ok\n");
	return 0;
}
