/*
 * Process descriptors: what they may name, polling for the end, waitid, signals by them in all
 * scopes, clone and clone3 with CLONE_PIDFD, and that they never name a later process.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD O_EXCL
#endif
#define PIDFD_SIGNAL_THREAD	   1
#define PIDFD_SIGNAL_THREAD_GROUP  2
#define PIDFD_SIGNAL_PROCESS_GROUP 4

static int pidfd_open(pid_t pid, unsigned flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static int pidfd_send(int fd, int sig, siginfo_t *info, unsigned flags)
{
	return (int)syscall(SYS_pidfd_send_signal, fd, sig, info, flags);
}

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

/* A child that ends with `code` once `gate` is closed. */
static pid_t child_at(int gate[2], int code)
{
	char byte;
	pid_t child;

	CHECK(pipe2(gate, O_CLOEXEC) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) == 0 ? code : 99);
	}
	close(gate[0]);
	return child;
}

static short polled(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN | POLLOUT};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void check_open(void)
{
	char byte;
	int fd = pidfd_open(getpid(), 0);

	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK((fcntl(fd, F_GETFL) & (O_ACCMODE | O_NONBLOCK)) == O_RDWR);
	CHECK(fails(read(fd, &byte, 1), EINVAL) && fails(write(fd, &byte, 1), EINVAL));
	CHECK(polled(fd) == 0);
	CHECK(close(fd) == 0);
	CHECK((fd = pidfd_open(getpid(), O_NONBLOCK)) >= 0 && fcntl(fd, F_GETFL) & O_NONBLOCK);
	close(fd);
	CHECK(fails(pidfd_open(0, 0), EINVAL) && fails(pidfd_open(-1, 0), EINVAL));
	CHECK(fails(pidfd_open(getpid(), 1), EINVAL));
	CHECK(fails(pidfd_open(4000000, 0), ESRCH));
}

static void check_poll(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int gate[2], fd, queue = epoll_create1(0);
	pid_t child = child_at(gate, 7);
	siginfo_t info;

	CHECK((fd = pidfd_open(child, 0)) >= 0 && polled(fd) == 0);
	CHECK(epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) == 0);
	CHECK(epoll_wait(queue, &event, 1, 0) == 0);
	close(gate[1]);
	CHECK(epoll_wait(queue, &event, 1, -1) == 1 && event.events == EPOLLIN);
	CHECK(polled(fd) == POLLIN);
	CHECK(pidfd_send(fd, SIGKILL, NULL, 0) == 0); /* a zombie takes everything */
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == child);
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 7);
	CHECK(polled(fd) == (POLLIN | POLLHUP));
	CHECK(fails(pidfd_send(fd, 0, NULL, 0), ESRCH));
	CHECK(fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD));
	close(fd);
	close(queue);
}

static void check_waitid(void)
{
	int gate[2], fd, null = open("/dev/null", O_RDONLY);
	siginfo_t info = {.si_pid = 1};
	pid_t child = child_at(gate, 0);

	CHECK((fd = pidfd_open(child, O_NONBLOCK)) >= 0);
	CHECK(fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN));
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
	CHECK(fails(waitid(P_PIDFD, (id_t)null, &info, WEXITED), EBADF));
	CHECK(fails(waitid(P_PIDFD, 1000, &info, WEXITED), EBADF));
	CHECK(fails(waitid(P_PIDFD, (id_t)-1, &info, WEXITED), EINVAL));
	close(gate[1]);
	CHECK(waitpid(child, NULL, 0) == child);
	close(fd);
	CHECK((fd = pidfd_open(getpid(), 0)) >= 0);
	CHECK(fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD));
	close(fd);
	close(null);
}

static volatile struct {
	int code, value;
	pid_t pid;
} seen;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	seen.code = info->si_code;
	seen.value = info->si_value.sival_int;
	seen.pid = info->si_pid;
}

static void check_signals(void)
{
	struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO};
	siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_QUEUE};
	int fd = pidfd_open(getpid(), 0), gate[2], status, other;
	pid_t child;

	sigaction(SIGUSR1, &action, NULL);
	CHECK(pidfd_send(fd, SIGUSR1, NULL, 0) == 0);
	CHECK(seen.code == SI_USER && seen.pid == getpid());
	info.si_value.sival_int = 42;
	CHECK(pidfd_send(fd, SIGUSR1, &info, 0) == 0);
	CHECK(seen.code == SI_QUEUE && seen.value == 42);
	CHECK(fails(pidfd_send(fd, SIGUSR2, &info, 0), EINVAL));
	CHECK(fails(pidfd_send(fd, 65, NULL, 0), EINVAL) && pidfd_send(fd, 0, NULL, 0) == 0);
	CHECK(fails(pidfd_send(fd, 0, NULL, 8), EINVAL));
	CHECK(fails(pidfd_send(0, 0, NULL, 0), EBADF) && fails(pidfd_send(999, 0, NULL, 0), EBADF));
	/* The directory of a process below /proc stands for it. */
	seen.code = 99;
	CHECK((other = open("/proc/self", O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK(pidfd_send(other, SIGUSR1, NULL, 0) == 0 && seen.code == SI_USER);
	CHECK(close(other) == 0 && (other = open("/proc/self/fd", O_RDONLY)) >= 0);
	CHECK(fails(pidfd_send(other, 0, NULL, 0), EBADF) && close(other) == 0);
	child = child_at(gate, 0);
	CHECK((other = pidfd_open(child, 0)) >= 0);
	info.si_code = SI_USER;
	CHECK(fails(pidfd_send(other, SIGUSR1, &info, 0), EPERM));
	CHECK(pidfd_send(other, SIGTERM, NULL, 0) == 0);
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
	close(gate[1]);
	close(other);
	close(fd);
}

static void check_scopes(void)
{
	int fd = pidfd_open(getpid(), 0), status;
	pid_t child = fork();

	CHECK(fails(pidfd_send(fd, 0, NULL, PIDFD_SIGNAL_THREAD | PIDFD_SIGNAL_THREAD_GROUP),
		    EINVAL));
	if (child == 0) {
		setpgid(0, 0);
		fd = pidfd_open(getpid(), 0);
		CHECK(pidfd_send(fd, SIGUSR1, NULL, PIDFD_SIGNAL_THREAD) == 0);
		CHECK(seen.code == SI_TKILL);
		CHECK(pidfd_send(fd, SIGUSR1, NULL, PIDFD_SIGNAL_THREAD_GROUP) == 0);
		CHECK(seen.code == SI_USER);
		CHECK(pidfd_send(fd, SIGUSR1, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0);
		CHECK(pidfd_send(fd, SIGKILL, NULL, PIDFD_SIGNAL_PROCESS_GROUP) == 0);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	close(fd);
}

static int ends[2];
static pid_t thread_id;

static void *wait_for_end(void *arg)
{
	char byte;

	thread_id = (pid_t)syscall(SYS_gettid);
	CHECK(write(*(int *)arg, "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	return NULL;
}

static void check_threads(void)
{
	int ready[2], fd;
	struct pollfd p;
	pthread_t thread;
	siginfo_t info;
	char byte;

	CHECK(pipe(ends) == 0 && pipe(ready) == 0);
	CHECK(pthread_create(&thread, NULL, wait_for_end, &ready[1]) == 0);
	CHECK(read(ready[0], &byte, 1) == 1);
	CHECK(fails(pidfd_open(thread_id, 0), ENOENT));
	CHECK((fd = pidfd_open(thread_id, PIDFD_THREAD)) >= 0 && polled(fd) == 0);
	CHECK(fails(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD) || errno == EINVAL);
	CHECK(write(ends[1], "x", 1) == 1);
	p = (struct pollfd){.fd = fd, .events = POLLIN};
	CHECK(poll(&p, 1, -1) == 1 && p.revents & POLLIN);
	CHECK(pthread_join(thread, NULL) == 0);
	close(fd);
	close(ready[0]);
	close(ready[1]);
	close(ends[0]);
	close(ends[1]);
}

/* The first thread of a process is there until that is reaped, whoever names it. */
static void check_first_thread(void)
{
	siginfo_t info;
	int gate[2], fd, directory = open("/proc/self", O_PATH);
	pid_t child = child_at(gate, 5);

	CHECK((fd = pidfd_open(child, PIDFD_THREAD)) >= 0);
	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | PIDFD_THREAD));
	CHECK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED | WNOHANG) == 0);
	CHECK(polled(fd) == 0 && close(gate[1]) == 0);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(polled(fd) == POLLIN && pidfd_send(fd, 0, NULL, 0) == 0);
	CHECK(waitid((idtype_t)P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 5);
	CHECK(polled(fd) == (POLLIN | POLLHUP) && fails(pidfd_send(fd, 0, NULL, 0), ESRCH));
	/* Older kernels know no numbers for oneself. */
	bool self = pidfd_send(-10000, 0, NULL, 0) == 0;
	CHECK((pidfd_send(-10001, 0, NULL, 0) == 0) == self && (self || errno == EBADF));
	CHECK(fails(pidfd_send(-10002, 0, NULL, 0), EBADF));
	CHECK(directory >= 0 && fails(pidfd_send(directory, 0, NULL, 0), EBADF));
	CHECK(close(fd) == 0 && close(directory) == 0);
}

static void check_clone(void)
{
	int fd = -1, gate[2];
	struct clone_args args = {
		.flags = CLONE_PIDFD, .exit_signal = SIGCHLD, .pidfd = (unsigned long)&fd};
	siginfo_t info;
	char byte;
	pid_t child;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	CHECK(child >= 0);
	if (child == 0) {
		/* The child has no such descriptor. */
		close(gate[1]);
		_exit(fd == -1 && read(gate[0], &byte, 1) == 0 ? 3 : 4);
	}
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && polled(fd) == 0);
	close(gate[1]);
	close(gate[0]);
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0);
	CHECK(info.si_pid == child && info.si_status == 3);
	close(fd);
	child = (pid_t)syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, NULL, &fd, NULL, 0);
	CHECK(child >= 0);
	if (child == 0)
		_exit(5);
	CHECK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED) == 0 && info.si_status == 5);
	close(fd);
	CHECK(fails(
		syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, &fd, NULL, 0),
		EINVAL));
	args.pidfd = 16;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EFAULT));
}

static int getfd(int fd, int target, unsigned flags)
{
	return (int)syscall(SYS_pidfd_getfd, fd, target, flags);
}

/* A child with a descriptor that the parent has no number for. */
static pid_t child_with(int pair[2], int gate[2], int ids)
{
	int inside[2];
	char byte;
	pid_t child;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0 && pipe2(gate, O_CLOEXEC) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		close(gate[1]);
		CHECK(pipe(inside) == 0 && dup2(inside[0], 100) == 100 &&
		      dup2(inside[1], 101) == 101);
		CHECK(!ids || (setresgid(77, 77, 77) == 0 && setresuid(77, 77, 77) == 0));
		CHECK(write(pair[1], "r", 1) == 1 && read(gate[0], &byte, 1) == 0);
		_exit(0);
	}
	close(gate[0]);
	CHECK(read(pair[0], &byte, 1) == 1);
	return child;
}

static void check_getfd(void)
{
	int pair[2], gate[2], status;
	char bytes[3] = {0};
	pid_t child = child_with(pair, gate, 0);
	int fd = pidfd_open(child, 0), out, in;

	CHECK(fails(getfd(fd, 100, 1), EINVAL) && fails(getfd(-1, 100, 1), EINVAL));
	CHECK(fails(getfd(-1, 100, 0), EBADF) && fails(getfd(pair[0], 100, 0), EBADF));
	CHECK(fails(getfd(fd, 99, 0), EBADF) && fails(getfd(fd, -1, 0), EBADF));
	CHECK((in = getfd(fd, 100, 0)) >= 0 && (out = getfd(fd, 101, 0)) >= 0);
	CHECK(fcntl(in, F_GETFD) == FD_CLOEXEC && write(out, "abc", 3) == 3);
	CHECK(read(in, bytes, 3) == 3 && memcmp(bytes, "abc", 3) == 0);
	/* One description: its flags are the child's, too; it outlives the child. */
	CHECK(fcntl(in, F_SETFL, O_NONBLOCK) == 0 && close(in) == 0);
	CHECK((in = getfd(fd, 100, 0)) >= 0 && fails(read(in, bytes, 1), EAGAIN));
	close(gate[1]);
	CHECK(poll(&(struct pollfd){.fd = fd, .events = POLLIN}, 1, -1) == 1);
	CHECK(fails(getfd(fd, 100, 0), ESRCH) && waitpid(child, &status, 0) == child);
	CHECK(status == 0 && fails(getfd(fd, 100, 0), ESRCH) && close(fd) == 0);
	CHECK(write(out, "z", 1) == 1 && read(in, bytes, 1) == 1 && close(out) == 0);
	CHECK(read(in, bytes, 1) == 0 && close(in) == 0 && close(pair[0]) == 0);
	close(pair[1]);
	/* One's own. */
	CHECK(pipe(pair) == 0 && (fd = pidfd_open(getpid(), 0)) >= 0);
	CHECK((out = getfd(fd, pair[1], 0)) >= 0 && write(out, "y", 1) == 1);
	CHECK(read(pair[0], bytes, 1) == 1 && bytes[0] == 'y');
	close(out);
	close(fd);
	close(pair[0]);
	close(pair[1]);
}

/* Whose ids are others may not. */
static void check_getfd_ids(void)
{
	int pair[2], gate[2], status;

	if (geteuid() != 0)
		return;
	pid_t child = child_with(pair, gate, 1), other = fork();
	CHECK(other >= 0);
	if (other == 0) {
		close(gate[1]);
		int fd = pidfd_open(child, 0);
		CHECK(getfd(fd, 100, 0) >= 0 && setresgid(78, 78, 78) == 0);
		CHECK(setresuid(78, 78, 78) == 0 && fails(getfd(fd, 100, 0), EPERM));
		CHECK(fails(getfd(fd, 99, 0), EPERM));
		_exit(0);
	}
	CHECK(waitpid(other, &status, 0) == other && status == 0);
	close(gate[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	check_open();
	check_poll();
	check_waitid();
	check_signals();
	check_scopes();
	check_threads();
	check_first_thread();
	check_clone();
	check_getfd();
	check_getfd_ids();
	puts("ok");
	return 0;
}
