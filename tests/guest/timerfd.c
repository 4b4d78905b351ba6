/*
 * Timer descriptors: arguments, reading and its edges, ticks, what they tell, poll and epoll,
 * waiting readers, signals and closing, what fork, dup and exec share.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "times.h"

#define SET_TICKS _IOW('T', 0, uint64_t) /* TFD_IOC_SET_TICKS */

static volatile sig_atomic_t seen;
static void *volatile nowhere = (void *)16;

static int make(int flags)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, flags);

	CHECK(fd >= 0);
	return fd;
}

static void arm(int fd, long value, long interval)
{
	struct itimerspec new = {spec(interval), spec(value)};

	CHECK(timerfd_settime(fd, 0, &new, NULL) == 0);
}

static struct itimerspec state(int fd)
{
	struct itimerspec now;

	CHECK(timerfd_gettime(fd, &now) == 0);
	return now;
}

static uint64_t ticks(int fd)
{
	uint64_t value;

	CHECK(read(fd, &value, sizeof(value)) == sizeof(value));
	return value;
}

static short ready(int fd, int timeout)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};

	CHECK(poll(&p, 1, timeout) >= 0);
	return p.revents;
}

static void note(int number)
{
	(void)number;
	seen = seen + 1;
}

static void check_create(void)
{
	static const struct {
		clockid_t clock;
		bool good;
	} clocks[] = {{CLOCK_REALTIME, true},
		      {CLOCK_MONOTONIC, true},
		      {CLOCK_BOOTTIME, true},
		      {CLOCK_TAI, false},
		      {CLOCK_MONOTONIC_RAW, false},
		      {CLOCK_REALTIME_COARSE, false},
		      {CLOCK_PROCESS_CPUTIME_ID, false},
		      {CLOCK_THREAD_CPUTIME_ID, false},
		      {-1, false},
		      {-5, false},
		      {99, false}};
	struct stat st;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++) {
		int fd = timerfd_create(clocks[i].clock, 0);
		CHECK(clocks[i].good ? fd >= 0 : fd == -1 && errno == EINVAL);
		if (fd >= 0)
			close(fd);
	}
	CHECK(timerfd_create(CLOCK_MONOTONIC, 1) == -1 && errno == EINVAL);
	int fd = make(TFD_NONBLOCK | TFD_CLOEXEC);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600 && st.st_size == 0);
	char name[64], to[64] = "";
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(readlink(name, to, sizeof(to)) > 0 && strcmp(to, "anon_inode:[timerfd]") == 0);
	close(fd);
}

static void check_arguments(void)
{
	struct itimerspec bad = {{0, 0}, {0, SECOND}}, good = {{0, 0}, {1000, 0}}, old;
	int fd = make(TFD_NONBLOCK), other = dup(0);
	uint64_t value[4];

	CHECK(timerfd_settime(fd, 0, &bad, NULL) == -1 && errno == EINVAL);
	bad = (struct itimerspec){{0, -1}, {0, 1}};
	CHECK(timerfd_settime(fd, 0, &bad, NULL) == -1 && errno == EINVAL);
	CHECK(timerfd_settime(fd, 4, &good, NULL) == -1 && errno == EINVAL);
	CHECK(timerfd_settime(other, 0, &good, NULL) == -1 && errno == EINVAL);
	CHECK(timerfd_gettime(other, &old) == -1 && errno == EINVAL && close(other) == 0);
	CHECK(timerfd_settime(other, 0, &good, NULL) == -1 && errno == EBADF);
	CHECK(timerfd_gettime(other, &old) == -1 && errno == EBADF);
	CHECK(timerfd_settime(fd, 0, (struct itimerspec *)16, NULL) == -1 && errno == EFAULT);
	CHECK(timerfd_settime(fd, 0, &good, (struct itimerspec *)16) == -1 && errno == EFAULT);
	CHECK(state(fd).it_value.tv_sec >= 999);
	CHECK(timerfd_gettime(fd, (struct itimerspec *)16) == -1 && errno == EFAULT);
	CHECK(read(fd, value, 7) == -1 && errno == EINVAL);
	CHECK(read(fd, value, 8) == -1 && errno == EAGAIN);
	CHECK(write(fd, value, 8) == -1 && errno == EINVAL);
	CHECK(pread(fd, value, 8, 0) == -1 && errno == ESPIPE);
	CHECK(lseek(fd, 5, SEEK_SET) == 0 && lseek(fd, 5, 99) == -1 && errno == EINVAL);
	CHECK(ioctl(fd, FIONREAD, value) == -1 && errno == ENOTTY);
	close(fd);
}

static void check_ticks(void)
{
	struct itimerspec old, past = {{0, 0}, {0, 1}}, slow = {{100, 0}, {0, 1}};
	uint64_t value[4] = {0, 0, 0, 0};
	int fd = make(0);

	CHECK(ns_of(state(fd).it_value) == 0 && ns_of(state(fd).it_interval) == 0);
	long before = clock_ns(CLOCK_MONOTONIC);
	arm(fd, 3000000, 0);
	CHECK(read(fd, value, sizeof(value)) == 8 && value[0] == 1 && value[1] == 0);
	CHECK(clock_ns(CLOCK_MONOTONIC) - before >= 3000000);
	CHECK(ns_of(state(fd).it_value) == 0);
	/* Those of the past are counted when they are read. */
	before = clock_ns(CLOCK_MONOTONIC);
	arm(fd, 1000000, 1000000);
	usleep(20000);
	uint64_t many = ticks(fd);
	CHECK(many >= 20 && many <= (uint64_t)(clock_ns(CLOCK_MONOTONIC) - before) / 1000000);
	usleep(3000);
	/* Asking does not take them. */
	CHECK(ns_of(state(fd).it_value) <= 1000000 && state(fd).it_interval.tv_nsec == 1000000);
	CHECK(ticks(fd) >= 3);
	/* Setting does. */
	usleep(3000);
	CHECK(timerfd_settime(fd, 0, &slow, &old) == 0 && ns_of(old.it_value) <= 1000000);
	CHECK(old.it_interval.tv_nsec == 1000000 && ticks(fd) == 1);
	CHECK(state(fd).it_value.tv_sec == 99 && state(fd).it_interval.tv_sec == 100);
	arm(fd, 0, 5);
	CHECK(ns_of(state(fd).it_value) == 0 && state(fd).it_interval.tv_nsec == 5);
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &past, NULL) == 0);
	CHECK(ticks(fd) == 1);
	/* Ticks that cannot be told are gone. */
	arm(fd, 1, 0);
	CHECK(ready(fd, -1) == POLLIN);
	CHECK(read(fd, nowhere, 8) == -1 && errno == EFAULT);
	CHECK(fcntl(fd, F_SETFL, O_NONBLOCK) == 0);
	CHECK(read(fd, value, 8) == -1 && errno == EAGAIN);
	close(fd);
}

/* Wall time, to the second to come. */
static void check_wall(void)
{
	int fd = timerfd_create(CLOCK_REALTIME, 0);
	long at = clock_ns(CLOCK_REALTIME) / SECOND + 1;
	struct itimerspec next = {{0, 0}, {at, 0}};

	CHECK(fd >= 0);
	CHECK(timerfd_settime(fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &next, NULL) == 0);
	CHECK(ticks(fd) == 1 && clock_ns(CLOCK_REALTIME) >= at * SECOND);
	close(fd);
}

static void check_poll(void)
{
	int fd = make(0), ep = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u64 = 3}, got[2];

	CHECK(ready(fd, 0) == 0);
	arm(fd, 2000000, 0);
	CHECK(ready(fd, 1) == 0 || ready(fd, 0) == POLLIN);
	CHECK(ready(fd, 5000) == POLLIN && ticks(fd) == 1 && ready(fd, 0) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, got, 2, 0) == 0);
	arm(fd, 2000000, 2000000);
	CHECK(epoll_wait(ep, got, 2, 5000) == 1 && got[0].data.u64 == 3);
	CHECK(got[0].events == EPOLLIN && epoll_wait(ep, got, 2, 20) == 0);
	/* Edge-triggered, and not read: the timer stands. */
	CHECK(ticks(fd) >= 9 && epoll_wait(ep, got, 2, 5000) == 1);
	/* A level stays until it is read. */
	event.events = EPOLLIN;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0);
	CHECK(epoll_wait(ep, got, 2, 5000) == 1 && epoll_wait(ep, got, 2, 0) == 1);
	arm(fd, 0, 0);
	CHECK(epoll_wait(ep, got, 2, 0) == 0);
	/* Closed, it tells nothing more. */
	arm(fd, 1000000, 1000000);
	close(fd);
	CHECK(epoll_wait(ep, got, 2, 5) == 0);
	close(ep);
}

/* Many in one epoll are due in their order. */
static void check_order(void)
{
	struct epoll_event event = {.events = EPOLLIN}, got;
	int fds[50], ep = epoll_create1(0);
	long start = clock_ns(CLOCK_MONOTONIC) + 20000000;

	for (int i = 0; i < 50; i++) {
		struct itimerspec at = {{0, 0}, spec(start + (i * 17 % 50) * 1000000L)};

		fds[i] = make(0);
		event.data.u32 = (uint32_t)(i * 17 % 50);
		CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[i], &event) == 0);
		CHECK(timerfd_settime(fds[i], TFD_TIMER_ABSTIME, &at, NULL) == 0);
	}
	for (uint32_t i = 0; i < 50; i++) {
		CHECK(epoll_wait(ep, &got, 1, 5000) == 1 && got.data.u32 == i);
		for (int k = 0; k < 50; k++)
			if ((uint32_t)(k * 17 % 50) == i)
				CHECK(ticks(fds[k]) == 1);
	}
	for (int i = 0; i < 50; i++)
		close(fds[i]);
	close(ep);
}

static void check_interrupted(void)
{
	struct sigaction action = {.sa_handler = note};
	struct itimerval soon = {{0, 0}, {0, 5000}};
	int fd = make(0);
	uint64_t value;

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(read(fd, &value, 8) == -1 && errno == EINTR && seen == 1);
	action.sa_flags = SA_RESTART;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	arm(fd, 20000000, 0);
	CHECK(read(fd, &value, 8) == 8 && value == 1 && seen == 2);
	close(fd);
}

static int shared;

static void *reader(void *unused)
{
	uint64_t value;

	CHECK(read(shared, &value, 8) == 8 && value >= 1);
	return unused;
}

/* Several wait: each tick is taken once. */
static void check_readers(void)
{
	pthread_t threads[4];

	shared = make(0);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_create(&threads[i], NULL, reader, NULL) == 0);
	arm(shared, 1000000, 1000000);
	for (int i = 0; i < 4; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	close(shared);
}

static int after_exec(int fd)
{
	CHECK(state(fd).it_value.tv_sec >= 900);
	CHECK(fcntl(fd + 1, F_GETFD) == -1 && errno == EBADF);
	return 0;
}

static void check_processes(char *self)
{
	int fd = make(0), closed = make(TFD_CLOEXEC), status, twin;
	char number[16], *again[] = {self, number, NULL};
	pid_t child;

	CHECK(closed == fd + 1 && (twin = dup(fd)) >= 0);
	snprintf(number, sizeof(number), "%d", fd);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		arm(fd, 1000000, 0);
		_exit(0);
	}
	/* What the child set is what the parent waits for. */
	CHECK(ticks(twin) == 1 && waitpid(child, &status, 0) == child && status == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		arm(fd, 1000 * SECOND, 0);
		execv(self, again);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(state(twin).it_value.tv_sec >= 900);
	close(fd);
	close(closed);
	close(twin);
}

/* As a checkpoint is restored: ticks as if so many periods had passed. */
static void check_set_ticks(void)
{
	int fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), bytes;
	struct itimerspec later = {.it_value = {.tv_sec = 1000}};
	struct pollfd poller = {.fd = fd, .events = POLLIN};
	uint64_t ticks = 7, got = 0;

	CHECK(ioctl(fd, FIONREAD, &bytes) == -1 && errno == ENOTTY);
	CHECK(ioctl(fd, SET_TICKS, NULL) == -1 && errno == EFAULT);
	ticks = 0;
	CHECK(ioctl(fd, SET_TICKS, &ticks) == -1 && errno == EINVAL);
	CHECK(poll(&poller, 1, 0) == 0);
	ticks = 7;
	CHECK(ioctl(fd, SET_TICKS, &ticks) == 0 && poll(&poller, 1, 0) == 1);
	CHECK(read(fd, &got, sizeof(got)) == sizeof(got) && got == 7);
	CHECK(read(fd, &got, sizeof(got)) == -1 && errno == EAGAIN);
	CHECK(ioctl(fd, SET_TICKS, &ticks) == 0 && timerfd_settime(fd, 0, &later, NULL) == 0);
	CHECK(read(fd, &got, sizeof(got)) == -1 && errno == EAGAIN);
	close(fd);
}

/* Who may not wake the machine can neither make one of an alarm clock nor set it. */
static void check_alarm_clocks(void)
{
	struct itimerspec later = {.it_value = {.tv_sec = 1000}}, now;
	int fd = timerfd_create(CLOCK_BOOTTIME_ALARM, 0), status;

	if (fd < 0) {
		CHECK(errno == EPERM);
		return;
	}
	CHECK(timerfd_settime(fd, 0, &later, NULL) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(setuid(65534) == 0);
		CHECK(timerfd_create(CLOCK_REALTIME_ALARM, 0) == -1 && errno == EPERM);
		CHECK(timerfd_create(CLOCK_REALTIME_ALARM, 1) == -1 && errno == EINVAL);
		CHECK(timerfd_settime(fd, 0, &later, NULL) == -1 && errno == EPERM);
		CHECK(timerfd_settime(fd, 8, &later, NULL) == -1 && errno == EINVAL);
		CHECK(timerfd_gettime(fd, &now) == 0 && now.it_value.tv_sec > 900);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	close(fd);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return after_exec(atoi(argv[1]));
	check_create();
	check_arguments();
	check_ticks();
	check_wall();
	check_poll();
	check_order();
	check_interrupted();
	check_readers();
	check_set_ticks();
	check_alarm_clocks();
	check_processes(argv[0]);
	printf("timerfd ok\n");
	return 0;
}
