/*
 * Signals for readiness: owners, signals and O_ASYNC, on pipes, their ends and other files; who
 * gets which signal with which details.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

static volatile sig_atomic_t count, code, band, fd_told;
static int ends[2];

static void on_signal(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	count++;
	code = info->si_code;
	band = (int)info->si_band;
	fd_told = info->si_fd;
}

/* Signals since the last call. */
static int told(void)
{
	int n = count;

	count = 0;
	return n;
}

static void check_values(int fd)
{
	struct f_owner_ex ex = {F_OWNER_TID, gettid()};

	CHECK(fcntl(fd, F_GETOWN) == 0 && fcntl(fd, F_GETSIG) == 0);
	CHECK(fcntl(fd, F_SETOWN, getpid()) == 0 && fcntl(fd, F_GETOWN) == getpid());
	CHECK(fcntl(fd, F_SETOWN, -getpgrp()) == 0 && fcntl(fd, F_GETOWN) == -getpgrp());
	CHECK(fcntl(fd, F_SETOWN_EX, &ex) == 0 && fcntl(fd, F_GETOWN) == gettid());
	CHECK(fcntl(fd, F_GETOWN_EX, &ex) == 0 && ex.type == F_OWNER_TID && ex.pid == gettid());
	FAILS(fcntl(fd, F_SETOWN, 4000000), ESRCH);
	FAILS(fcntl(fd, F_SETOWN, -4000000), ESRCH);
	ex.type = 3;
	FAILS(fcntl(fd, F_SETOWN_EX, &ex), EINVAL);
	FAILS(fcntl(fd, F_SETOWN_EX, bad_address), EFAULT);
	FAILS(fcntl(fd, F_GETOWN_EX, bad_address), EFAULT);
	CHECK(fcntl(fd, F_GETOWN) == gettid());
	CHECK(fcntl(fd, F_SETSIG, SIGRTMIN) == 0 && fcntl(fd, F_GETSIG) == SIGRTMIN);
	FAILS(fcntl(fd, F_SETSIG, 65), EINVAL);
	CHECK(fcntl(fd, F_SETSIG, 0) == 0 && fcntl(fd, F_SETOWN, 0) == 0);
	CHECK(fcntl(fd, F_GETOWN) == 0);
}

static void check_pipe(void)
{
	char byte = 'x';
	int on = 1;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	check_values(ends[0]);
	/* Nobody owns it. */
	CHECK(fcntl(ends[0], F_SETFL, O_ASYNC | O_NONBLOCK) == 0);
	CHECK(fcntl(ends[0], F_GETFL) == (O_RDONLY | O_ASYNC | O_NONBLOCK));
	CHECK(write(ends[1], "x", 1) == 1 && told() == 0);
	CHECK(fcntl(ends[0], F_SETOWN, getpid()) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && told() == 1 && code == SI_KERNEL);
	/* With details. */
	CHECK(fcntl(ends[0], F_SETSIG, SIGIO) == 0 && write(ends[1], "x", 1) == 1 && told() == 1);
	CHECK(code == POLL_IN && band == (POLLIN | POLLRDNORM) && fd_told == ends[0]);
	CHECK(read(ends[0], &byte, 1) == 1 && told() == 0);
	/* The other end, by ioctl, another signal. */
	CHECK(ioctl(ends[1], FIOASYNC, &on) == 0 && fcntl(ends[1], F_SETOWN, getpid()) == 0);
	CHECK(fcntl(ends[1], F_SETSIG, SIGRTMIN) == 0);
	CHECK(read(ends[0], &byte, 1) == 1 && told() == 1 && code == POLL_OUT);
	CHECK(band == (POLLOUT | POLLWRNORM | POLLWRBAND) && fd_told == ends[1]);
	on = 0;
	CHECK(ioctl(ends[1], FIOASYNC, &on) == 0 && read(ends[0], &byte, 1) == 1 && told() == 0);
	CHECK(fcntl(ends[1], F_GETFL) == (O_WRONLY | O_NONBLOCK));
	FAILS(ioctl(ends[1], FIOASYNC, bad_address), EFAULT);
	/* The end of the writers. */
	CHECK(close(ends[1]) == 0 && told() == 1 && code == POLL_IN);
	CHECK(close(ends[0]) == 0);
}

/* Another process, the group, one that is gone. */
static void check_owners(void)
{
	int status, go[2];
	char byte;

	CHECK(pipe(ends) == 0 && pipe(go) == 0);
	CHECK(fcntl(ends[0], F_SETFL, O_ASYNC) == 0);
	pid_t child = fork();
	if (!child) {
		close(go[0]);
		close(go[1]);
		while (!count)
			usleep(1000);
		_exit(count);
	}
	CHECK(fcntl(ends[0], F_SETOWN, child) == 0 && write(ends[1], "x", 1) == 1);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1 && told() == 0);
	CHECK(fcntl(ends[0], F_GETOWN) == 0 && write(ends[1], "x", 1) == 1 && told() == 0);
	child = fork();
	if (!child) {
		close(go[1]);
		CHECK(read(go[0], &byte, 1) == 0);
		_exit(count);
	}
	CHECK(setpgid(child, child) == 0 && fcntl(ends[0], F_SETOWN, -child) == 0);
	CHECK(write(ends[1], "x", 1) == 1 && told() == 0 && close(go[1]) == 0);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 1);
	close(ends[0]);
	close(ends[1]);
	close(go[0]);
}

static void check_others(void)
{
	int pair[2], in = inotify_init(), on = 1;
	char byte;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(ioctl(pair[0], FIOASYNC, &on) == 0 && fcntl(pair[0], F_SETOWN, getpid()) == 0);
	CHECK(write(pair[1], "x", 1) == 1 && told() == 1 && read(pair[0], &byte, 1) == 1);
	CHECK(told() == 0 && close(pair[0]) == 0 && close(pair[1]) == 0);
	CHECK(fcntl(in, F_SETFL, O_ASYNC) == 0 && fcntl(in, F_SETOWN, getpid()) == 0);
	int file = open("watched", O_RDWR | O_CREAT, 0600);
	CHECK(inotify_add_watch(in, "watched", IN_MODIFY) == 1 && write(file, "x", 1) == 1);
	CHECK(told() == 1 && close(in) == 0);
	/* Files that are always ready have owners, too, and nothing to tell. */
	check_values(file);
	CHECK(fcntl(file, F_SETFL, O_ASYNC) == 0 && (fcntl(file, F_GETFL) & O_ASYNC) == 0);
	FAILS(ioctl(file, FIOASYNC, &on), ENOTTY);
	CHECK(fcntl(file, F_GETLEASE) == F_UNLCK && close(file) == 0 && unlink("watched") == 0);
}

int main(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_RESTART};

	CHECK(sigaction(SIGIO, &action, NULL) == 0 && sigaction(SIGRTMIN, &action, NULL) == 0);
	check_pipe();
	check_owners();
	check_others();
	puts("signals ok");
	return 0;
}
