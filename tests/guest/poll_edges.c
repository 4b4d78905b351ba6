/*
 * The poll family in detail: the order of ready descriptors, edges, items that go with their file,
 * what epoll_ctl refuses, several threads in epoll_wait, time limits and signals.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

#define PIPES 3

static int in[PIPES], out[PIPES];

static void pipes_open(void)
{
	for (int i = 0; i < PIPES; i++) {
		int ends[2];

		CHECK(pipe2(ends, O_NONBLOCK) == 0);
		in[i] = ends[0];
		out[i] = ends[1];
	}
}

static void pipes_close(void)
{
	for (int i = 0; i < PIPES; i++)
		CHECK(close(in[i]) == 0 && close(out[i]) == 0);
}

static int control(int ep, int op, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = {events, {.u64 = data}};

	return epoll_ctl(ep, op, fd, &event);
}

/* The data of the next `max` events as decimal digits. */
static int take(int ep, int max)
{
	struct epoll_event events[8];
	int got = epoll_wait(ep, events, max, 0), digits = 0;

	for (int i = 0; i < got; i++)
		digits = digits * 10 + (int)events[i].data.u64;
	return digits;
}

static void check_order(void)
{
	int ep = epoll_create(1);
	char byte;

	pipes_open();
	for (int i = 0; i < PIPES; i++)
		CHECK(control(ep, EPOLL_CTL_ADD, in[i], EPOLLIN, (uint64_t)i + 1) == 0);
	CHECK(write(out[2], "x", 1) == 1 && write(out[0], "x", 1) == 1 &&
	      write(out[1], "x", 1) == 1);
	CHECK(take(ep, 8) == 312 && take(ep, 1) == 3 && take(ep, 1) == 1 && take(ep, 2) == 23);
	CHECK(read(in[2], &byte, 1) == 1 && take(ep, 8) == 12);
	CHECK(control(ep, EPOLL_CTL_MOD, in[0], EPOLLIN | EPOLLET, 4) == 0);
	CHECK(take(ep, 8) == 42 && take(ep, 8) == 2);
	CHECK(write(out[0], "x", 1) == 1 && take(ep, 8) == 24 && take(ep, 8) == 2);
	close(ep);
	pipes_close();
}

/* Items go with the last number of their file, whichever that is. */
static void check_vanish(void)
{
	int ep = epoll_create1(0);

	pipes_open();
	int copy = dup(in[0]);
	CHECK(control(ep, EPOLL_CTL_ADD, in[0], EPOLLIN, 1) == 0);
	CHECK(control(ep, EPOLL_CTL_ADD, copy, EPOLLIN, 2) == 0);
	CHECK(write(out[0], "x", 1) == 1 && take(ep, 8) == 21);
	CHECK(close(in[0]) == 0 && take(ep, 8) == 21);
	CHECK(control(ep, EPOLL_CTL_DEL, in[0], 0, 0) == -1 && errno == EBADF);
	CHECK(close(copy) == 0 && take(ep, 8) == 0);
	CHECK(dup2(in[1], in[0]) == in[0]);
	CHECK(control(ep, EPOLL_CTL_ADD, in[0], EPOLLIN, 5) == 0);
	CHECK(take(ep, 8) == 0 && write(out[1], "x", 1) == 1 && take(ep, 8) == 5);
	close(ep);
	pipes_close();
}

static void check_refusals(void)
{
	int ep = epoll_create1(0), inner = epoll_create1(0), chain[6];
	int file = open("plain", O_RDWR | O_CREAT, 0600), null = open("/dev/null", O_RDONLY);
	struct epoll_event event;

	pipes_open();
	CHECK(control(ep, EPOLL_CTL_ADD, file, EPOLLIN, 0) == -1 && errno == EPERM);
	CHECK(control(ep, EPOLL_CTL_ADD, null, EPOLLIN, 0) == -1 && errno == EPERM);
	CHECK(control(ep, EPOLL_CTL_ADD, ep, EPOLLIN, 0) == -1 && errno == EINVAL);
	CHECK(control(in[0], EPOLL_CTL_ADD, in[1], EPOLLIN, 0) == -1 && errno == EINVAL);
	CHECK(control(ep, EPOLL_CTL_MOD, in[0], EPOLLIN, 0) == -1 && errno == ENOENT);
	CHECK(control(ep, 9, in[0], EPOLLIN, 0) == -1 && errno == EINVAL);
	CHECK(control(ep, EPOLL_CTL_ADD, 900, EPOLLIN, 0) == -1 && errno == EBADF);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, in[0], bad_address) == -1 && errno == EFAULT);
	CHECK(control(ep, EPOLL_CTL_ADD, inner, EPOLLIN, 0) == 0);
	CHECK(control(inner, EPOLL_CTL_ADD, ep, EPOLLIN, 0) == -1 && errno == ELOOP);
	CHECK(control(ep, EPOLL_CTL_ADD, in[0], EPOLLIN | EPOLLEXCLUSIVE, 7) == 0);
	CHECK(control(ep, EPOLL_CTL_MOD, in[0], EPOLLIN, 7) == -1 && errno == EINVAL);
	CHECK(control(ep, EPOLL_CTL_ADD, in[1], EPOLLEXCLUSIVE | EPOLLONESHOT, 7) == -1);
	CHECK(write(out[0], "x", 1) == 1 && take(ep, 8) == 7);
	CHECK(epoll_wait(ep, &event, 0, 0) == -1 && errno == EINVAL);
	CHECK(epoll_wait(in[0], &event, 1, 0) == -1 && errno == EINVAL);
	CHECK(epoll_wait(900, &event, 1, 0) == -1 && errno == EBADF);
	CHECK(epoll_wait(ep, bad_address, 1, 0) == -1 && errno == EFAULT && take(ep, 8) == 7);
	CHECK(epoll_create(0) == -1 && errno == EINVAL && epoll_create1(1) == -1);
	for (int i = 0; i < 6; i++)
		chain[i] = epoll_create1(0);
	int made = 0;
	while (made < 5 && control(chain[made + 1], EPOLL_CTL_ADD, chain[made], EPOLLIN, 0) == 0)
		made++;
	printf("nested %d\n", made);
	for (int i = 0; i < 6; i++)
		close(chain[i]);
	CHECK(close(file) == 0 && unlink("plain") == 0);
	close(null);
	close(inner);
	close(ep);
	pipes_close();
}

/* Edges for writers: only when a full pipe has room again. */
static void check_edges(void)
{
	static char block[65536];
	int ep = epoll_create1(0), counter = eventfd(0, EFD_NONBLOCK);
	uint64_t value = 1;

	pipes_open();
	CHECK(control(ep, EPOLL_CTL_ADD, out[0], EPOLLOUT | EPOLLET, 1) == 0);
	CHECK(take(ep, 8) == 1 && take(ep, 8) == 0);
	CHECK(write(out[0], block, 65536) == 65536 && take(ep, 8) == 0);
	CHECK(read(in[0], block, 8192) == 8192 && take(ep, 8) == 1);
	CHECK(read(in[0], block, 8192) == 8192 && take(ep, 8) == 0);
	CHECK(close(in[0]) == 0 && (in[0] = dup(in[1])) >= 0 && take(ep, 8) == 1);
	CHECK(control(ep, EPOLL_CTL_ADD, counter, EPOLLIN | EPOLLET, 2) == 0 && take(ep, 8) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(write(counter, &value, 8) == 8 && take(ep, 8) == 2 && take(ep, 8) == 0);
	CHECK(read(counter, &value, 8) == 8 && value == 3 && take(ep, 8) == 0);
	close(ep);
	close(counter);
	pipes_close();
}

static int shared;

static void *wait_one(void *unused)
{
	struct epoll_event event;
	char byte;

	(void)unused;
	CHECK(epoll_wait(shared, &event, 1, -1) == 1);
	CHECK(read((int)event.data.u64, &byte, 1) == 1);
	return NULL;
}

static void check_threads(void)
{
	pthread_t threads[PIPES];

	shared = epoll_create1(0);
	pipes_open();
	for (int i = 0; i < PIPES; i++) {
		CHECK(control(shared, EPOLL_CTL_ADD, in[i], EPOLLIN | EPOLLET, (uint64_t)in[i]) ==
		      0);
		CHECK(pthread_create(&threads[i], NULL, wait_one, NULL) == 0);
	}
	usleep(20000);
	for (int i = 0; i < PIPES; i++)
		CHECK(write(out[i], "x", 1) == 1);
	for (int i = 0; i < PIPES; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	close(shared);
	pipes_close();
}

static void on_signal(int number)
{
	(void)number;
}

static void check_limits(void)
{
	struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	struct timespec limit = {0, 5000000}, wrong = {0, 1000000000};
	struct timeval second = {1, 0};
	struct epoll_event event;
	int ep = epoll_create1(0);
	sigset_t blocked, none;
	fd_set set;

	pipes_open();
	sigemptyset(&none);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGUSR1);
	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	CHECK(sigprocmask(SIG_BLOCK, &blocked, NULL) == 0 && raise(SIGUSR1) == 0);
	CHECK(epoll_pwait(ep, &event, 1, 5, NULL) == 0);
	CHECK(epoll_pwait(ep, &event, 1, -1, &none) == -1 && errno == EINTR);
	CHECK(syscall(SYS_epoll_pwait2, ep, &event, 1, &limit, NULL, 8) == 0);
	CHECK(syscall(SYS_epoll_pwait2, ep, &event, 1, &wrong, NULL, 8) == -1 && errno == EINVAL);
	CHECK(ppoll(NULL, 0, &wrong, NULL) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_ppoll, NULL, 0, NULL, &none, 4) == -1 && errno == EINVAL);
	CHECK(raise(SIGUSR1) == 0 && pselect(0, NULL, NULL, NULL, NULL, &none) == -1);
	CHECK(errno == EINTR && sigprocmask(SIG_UNBLOCK, &blocked, NULL) == 0);
	FD_ZERO(&set);
	FD_SET(60, &set);
	CHECK(select(61, &set, NULL, NULL, NULL) == -1 && errno == EBADF);
	FD_ZERO(&set);
	FD_SET(in[0], &set);
	CHECK(write(out[0], "x", 1) == 1);
	CHECK(select(in[0] + 1, &set, NULL, NULL, &second) == 1);
	CHECK((second.tv_sec == 1 || second.tv_usec > 500000) &&
	      select(-1, NULL, NULL, NULL, NULL) == -1);
	CHECK(poll(bad_address, 1, 0) == -1 && errno == EFAULT);
	CHECK(poll(bad_address, 100000000, 0) == -1 && errno == EINVAL);
	close(ep);
	pipes_close();
}

/* A stopped and continued poll goes on with its old time limit. */
static void check_stopped(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(poll(NULL, 0, 60) != 0);
	usleep(10000);
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
	CHECK(WIFSTOPPED(status) && kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- a number is closed while a call waits ---- */

static int closing[2];
static short closed_told;

static void *poll_closing(void *unused)
{
	struct pollfd fd = {closing[0], POLLIN, 0};

	CHECK(poll(&fd, 1, 200) >= 0);
	closed_told = fd.revents;
	return unused;
}

static void *select_closing(void *unused)
{
	struct timeval limit = {0, 200000};
	fd_set in_set, out_set, except;

	FD_ZERO(&in_set);
	FD_SET(closing[0], &in_set);
	out_set = except = in_set;
	CHECK(select(closing[0] + 1, &in_set, &out_set, &except, &limit) >= 0);
	closed_told = (short)(FD_ISSET(closing[0], &in_set) | FD_ISSET(closing[0], &out_set) << 1 |
			      FD_ISSET(closing[0], &except) << 2);
	return unused;
}

/* The call keeps the file, but looks at the number: nobody's, or somebody else's. */
static void check_closed(void *(*wait)(void *unused), bool other, short told)
{
	int others[2];
	pthread_t thread;

	CHECK(pipe(closing) == 0 && pipe(others) == 0 && write(others[1], "x", 1) == 1);
	CHECK(pthread_create(&thread, NULL, wait, NULL) == 0);
	usleep(50000);
	CHECK(other ? dup2(others[0], closing[0]) == closing[0] : close(closing[0]) == 0);
	CHECK(write(closing[1], "x", 1) == 1);
	CHECK(pthread_join(thread, NULL) == 0 && closed_told == told);
	CHECK(write(closing[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(close(closing[1]) == 0 && close(others[0]) == 0 && close(others[1]) == 0);
	if (other)
		close(closing[0]);
}

/* What it keeps goes with the task, too. */
static void check_closed_killed(bool by_exec)
{
	int note[2];
	char byte;
	pthread_t thread;

	CHECK(pipe(closing) == 0 && pipe2(note, O_CLOEXEC) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(pthread_create(&thread, NULL, poll_closing, NULL) == 0);
		usleep(50000);
		close(closing[0]);
		if (by_exec)
			execl("/bin/sleep", "sleep", "1000", NULL);
		CHECK(write(note[1], "x", 1) == 1);
		pause();
	}
	CHECK(close(closing[0]) == 0 && close(note[1]) == 0);
	CHECK(read(note[0], &byte, 1) == !by_exec);
	CHECK(by_exec || (kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid));
	CHECK(write(closing[1], "x", 1) == -1 && errno == EPIPE);
	CHECK(!by_exec || (kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid));
	CHECK(close(closing[1]) == 0 && close(note[0]) == 0);
}

int main(void)
{
	check_order();
	check_vanish();
	check_refusals();
	check_edges();
	check_threads();
	check_limits();
	check_stopped();
	signal(SIGPIPE, SIG_IGN);
	check_closed(poll_closing, false, POLLNVAL);
	check_closed(poll_closing, true, POLLIN);
	check_closed(select_closing, false, 7);
	check_closed(select_closing, true, 1);
	check_closed_killed(false);
	check_closed_killed(true);
	printf("poll edges ok\n");
	return 0;
}
