/*
 * Signal descriptors: arguments, records of every source, several at once and their order, whose
 * signals are read, poll and epoll, waiting readers, change of the set, fork and threads.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t seen;
static void *volatile nowhere = (void *)16;

static void note(int number)
{
	(void)number;
	seen = seen + 1;
}

static sigset_t set_of(int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, a);
	if (b)
		sigaddset(&set, b);
	return set;
}

static int make(int a, int b, int flags)
{
	sigset_t set = set_of(a, b);
	int fd = signalfd(-1, &set, flags);

	CHECK(fd >= 0);
	return fd;
}

static struct signalfd_siginfo take(int fd)
{
	struct signalfd_siginfo r;

	memset(&r, 0xff, sizeof(r));
	CHECK(read(fd, &r, sizeof(r)) == sizeof(r));
	return r;
}

static bool is_empty(int fd)
{
	struct signalfd_siginfo r;
	struct pollfd p = {fd, POLLIN | POLLOUT, 0};

	return poll(&p, 1, 0) == 0 && read(fd, &r, sizeof(r)) == -1 && errno == EAGAIN;
}

static void block(int how, int a, int b)
{
	sigset_t set = set_of(a, b);

	CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

static long raw_signalfd(int fd, const void *set, size_t size, int flags)
{
	return syscall(SYS_signalfd4, fd, set, size, flags);
}

static void check_arguments(void)
{
	sigset_t set = set_of(SIGUSR1, SIGUSR2);
	struct signalfd_siginfo r;
	struct stat st;
	int fd = make(SIGUSR1, SIGUSR2, SFD_NONBLOCK | SFD_CLOEXEC), other = dup(0);

	CHECK(fcntl(fd, F_GETFL) == (O_RDWR | O_NONBLOCK) && fcntl(fd, F_GETFD) == FD_CLOEXEC);
	CHECK(raw_signalfd(-1, &set, 4, 0) == -1 && errno == EINVAL);
	CHECK(raw_signalfd(-1, (void *)16, 8, 1) == -1 && errno == EFAULT);
	CHECK(raw_signalfd(-1, &set, 8, 1) == -1 && errno == EINVAL);
	CHECK(raw_signalfd(other, &set, 8, 0) == -1 && errno == EINVAL && close(other) == 0);
	CHECK(raw_signalfd(other, &set, 8, 0) == -1 && errno == EBADF);
	CHECK(raw_signalfd(-2, &set, 8, 0) == -1 && errno == EBADF);
	CHECK(raw_signalfd(fd, &set, 8, SFD_NONBLOCK) == fd);
	CHECK(read(fd, &r, sizeof(r) - 1) == -1 && errno == EINVAL);
	CHECK(read(fd, &r, 0) == -1 && errno == EINVAL);
	CHECK(write(fd, &r, sizeof(r)) == -1 && errno == EINVAL);
	CHECK(pread(fd, &r, sizeof(r), 0) == -1 && errno == ESPIPE && lseek(fd, 1, 0) == 0);
	CHECK(fstat(fd, &st) == 0 && (st.st_mode & 07777) == 0600);
	char name[64], to[64] = "";
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	CHECK(readlink(name, to, sizeof(to)) > 0 && strcmp(to, "anon_inode:[signalfd]") == 0);
	CHECK(is_empty(fd) && syscall(SYS_signalfd, -1, &set, 8) == fd + 1 && close(fd + 1) == 0);
	close(fd);
}

static void check_sources(void)
{
	int fd = make(SIGUSR1, SIGCHLD, SFD_NONBLOCK), alarm_fd = make(SIGALRM, SIGRTMIN + 1, 0);
	union sigval value = {.sival_int = -5};
	struct signalfd_siginfo r;
	int status, timer;

	block(SIG_BLOCK, SIGUSR1, SIGCHLD);
	block(SIG_BLOCK, SIGALRM, SIGRTMIN + 1);
	CHECK(kill(getpid(), SIGUSR1) == 0);
	r = take(fd);
	CHECK(r.ssi_signo == SIGUSR1 && r.ssi_code == SI_USER && r.ssi_pid == (uint32_t)getpid());
	CHECK(r.ssi_uid == getuid() && r.ssi_errno == 0 && r.ssi_int == 0 && r.ssi_fd == 0);
	CHECK(syscall(SYS_tkill, gettid(), SIGUSR1) == 0);
	r = take(fd);
	CHECK(r.ssi_code == SI_TKILL && r.ssi_pid == (uint32_t)getpid());
	CHECK(sigqueue(getpid(), SIGUSR1, value) == 0);
	r = take(fd);
	CHECK(r.ssi_code == SI_QUEUE && r.ssi_int == -5 && (int)r.ssi_ptr == -5);
	pid_t child = fork();
	if (child == 0)
		_exit(3);
	CHECK(waitpid(child, &status, 0) == child);
	r = take(fd);
	CHECK(r.ssi_signo == SIGCHLD && r.ssi_code == CLD_EXITED && r.ssi_status == 3);
	CHECK(r.ssi_pid == (uint32_t)child && is_empty(fd));
	struct itimerval soon = {{0, 0}, {0, 1000}};
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	r = take(alarm_fd);
	CHECK(r.ssi_signo == SIGALRM && r.ssi_code == SI_KERNEL && r.ssi_pid == 0);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN + 1};
	struct itimerspec every = {{0, 1000000}, {0, 1000000}};
	event.sigev_value.sival_int = 44;
	CHECK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer) == 0);
	CHECK(syscall(SYS_timer_settime, timer, 0, &every, NULL) == 0);
	usleep(5000);
	r = take(alarm_fd);
	CHECK(r.ssi_code == SI_TIMER && r.ssi_tid == (uint32_t)timer && r.ssi_int == 44);
	CHECK(r.ssi_overrun >= 3 && take(alarm_fd).ssi_signo == (uint32_t)SIGRTMIN + 1);
	CHECK(syscall(SYS_timer_delete, timer) == 0);
	close(fd);
	close(alarm_fd);
}

/* Lowest number first, own before those of the process, as many as there is room for. */
static void check_several(void)
{
	int fd = make(SIGRTMIN + 2, SIGUSR1, SFD_NONBLOCK);
	struct signalfd_siginfo r[8];
	union sigval value;

	block(SIG_BLOCK, SIGRTMIN + 2, SIGUSR1);
	for (value.sival_int = 0; value.sival_int < 3; value.sival_int++)
		CHECK(sigqueue(getpid(), SIGRTMIN + 2, value) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && kill(getpid(), SIGUSR1) == 0);
	CHECK(syscall(SYS_tkill, gettid(), SIGRTMIN + 2) == 0);
	CHECK(read(fd, r, 2 * sizeof(*r) + 5) == 2 * sizeof(*r));
	CHECK(r[0].ssi_code == SI_TKILL && r[1].ssi_signo == SIGUSR1);
	CHECK(read(fd, r, sizeof(r)) == 3 * sizeof(*r) && r[0].ssi_int == 0 && r[2].ssi_int == 2);
	CHECK(is_empty(fd));
	/* What cannot be told is lost. */
	CHECK(kill(getpid(), SIGUSR1) == 0 && read(fd, nowhere, sizeof(*r)) == -1);
	CHECK(errno == EFAULT && is_empty(fd));
	/* KILL and STOP are never in the set. */
	sigset_t all;
	sigfillset(&all);
	CHECK(signalfd(fd, &all, 0) == fd && is_empty(fd));
	close(fd);
}

static void check_change(void)
{
	int fd = make(SIGUSR1, 0, SFD_NONBLOCK), twin = dup(fd);
	sigset_t set = set_of(SIGUSR2, 0);

	block(SIG_BLOCK, SIGUSR1, SIGUSR2);
	CHECK(kill(getpid(), SIGUSR2) == 0 && is_empty(twin));
	CHECK(signalfd(fd, &set, 0) == fd && take(twin).ssi_signo == SIGUSR2);
	CHECK(kill(getpid(), SIGUSR1) == 0 && is_empty(fd));
	sigset_t pending;
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	set = set_of(SIGUSR1, 0);
	CHECK(signalfd(twin, &set, 0) == twin && take(fd).ssi_signo == SIGUSR1);
	close(fd);
	close(twin);
}

static void check_poll(void)
{
	int fd = make(SIGUSR1, 0, SFD_NONBLOCK), ep = epoll_create1(0);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET, .data.u32 = 4}, got;
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDNORM, 0};
	pid_t child;

	block(SIG_BLOCK, SIGUSR1, 0);
	CHECK((child = fork()) >= 0);
	if (child == 0)
		_exit(kill(getppid(), SIGUSR1));
	CHECK(poll(&p, 1, 10000) == 1 && p.revents == POLLIN);
	CHECK(take(fd).ssi_pid == (uint32_t)child && waitpid(child, NULL, 0) == child);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && epoll_wait(ep, &got, 1, 0) == 1);
	CHECK(got.data.u32 == 4 && got.events == EPOLLIN && epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && epoll_wait(ep, &got, 1, 0) == 0);
	CHECK(take(fd).ssi_signo == SIGUSR1 && is_empty(fd));
	/* Level: ready until somebody takes it, be it another way. */
	event.events = EPOLLIN;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0 && kill(getpid(), SIGUSR1) == 0);
	CHECK(epoll_wait(ep, &got, 1, 0) == 1 && epoll_wait(ep, &got, 1, 0) == 1);
	sigset_t set = set_of(SIGUSR1, 0);
	CHECK(sigwaitinfo(&set, NULL) == SIGUSR1 && epoll_wait(ep, &got, 1, 0) == 0);
	close(ep);
	close(fd);
}

/* An unblocked signal in the set: whoever waits for it reads it, with no handler run. */
static void check_unblocked(void)
{
	int fd = make(SIGUSR1, 0, 0);
	struct sigaction action = {.sa_handler = note};
	struct itimerval soon = {{0, 0}, {0, 5000}};
	struct signalfd_siginfo r;

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0 && sigaction(SIGALRM, &action, NULL) == 0);
	block(SIG_UNBLOCK, SIGUSR1, SIGALRM);
	seen = 0;
	CHECK(kill(getpid(), SIGUSR1) == 0 && seen == 1);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	CHECK(read(fd, &r, sizeof(r)) == -1 && errno == EINTR && seen == 2);
	action.sa_flags = SA_RESTART;
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	block(SIG_BLOCK, SIGUSR1, 0);
	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		usleep(50000);
		_exit(kill(getppid(), SIGUSR1));
	}
	CHECK(take(fd).ssi_pid == (uint32_t)child && seen == 3);
	CHECK(waitpid(child, NULL, 0) == child);
	close(fd);
}

/* Inherited: the child reads its own signals, whoever made the descriptor. */
static void check_fork(void)
{
	int fd = make(SIGUSR1, 0, SFD_NONBLOCK), status;
	pid_t child;

	block(SIG_BLOCK, SIGUSR1, 0);
	CHECK(kill(getpid(), SIGUSR1) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		CHECK(is_empty(fd) && kill(getpid(), SIGUSR1) == 0);
		CHECK(take(fd).ssi_pid == (uint32_t)getpid() && is_empty(fd));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(take(fd).ssi_pid == (uint32_t)getpid() && is_empty(fd));
	close(fd);
}

static int shared;
static pthread_barrier_t turn;

static void *other(void *unused)
{
	/* Those sent to the main thread are not this one's. */
	pthread_barrier_wait(&turn);
	CHECK(is_empty(shared));
	pthread_barrier_wait(&turn);
	pthread_barrier_wait(&turn);
	/* Those of the process are anybody's. */
	CHECK(take(shared).ssi_code == SI_USER && is_empty(shared));
	return unused;
}

static void *waiter(void *unused)
{
	CHECK(take(shared).ssi_signo == SIGUSR2);
	return unused;
}

static void check_threads(void)
{
	pthread_t thread, waiters[3];

	block(SIG_BLOCK, SIGUSR1, SIGUSR2);
	shared = make(SIGUSR1, 0, SFD_NONBLOCK);
	CHECK(pthread_barrier_init(&turn, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
	CHECK(syscall(SYS_tkill, gettid(), SIGUSR1) == 0);
	pthread_barrier_wait(&turn);
	pthread_barrier_wait(&turn);
	CHECK(take(shared).ssi_code == SI_TKILL && kill(getpid(), SIGUSR1) == 0);
	pthread_barrier_wait(&turn);
	CHECK(pthread_join(thread, NULL) == 0 && close(shared) == 0);
	/* Several wait: each signal goes to one. */
	shared = make(SIGUSR2, 0, 0);
	for (int i = 0; i < 3; i++)
		CHECK(pthread_create(&waiters[i], NULL, waiter, NULL) == 0);
	for (int i = 0; i < 3; i++) {
		sigset_t pending;

		CHECK(kill(getpid(), SIGUSR2) == 0);
		do
			CHECK(sigpending(&pending) == 0 && sched_yield() == 0);
		while (sigismember(&pending, SIGUSR2));
	}
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(waiters[i], NULL) == 0);
	close(shared);
}

/* Until SIGTERM comes from outside, through epoll. */
static int wait_outside(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int fd = make(SIGTERM, 0, 0), ep = epoll_create1(0);

	block(SIG_BLOCK, SIGTERM, 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
	printf("ready\n");
	fflush(stdout);
	CHECK(epoll_wait(ep, &event, 1, -1) == 1);
	printf("got %d\n", (int)take(fd).ssi_signo);
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return wait_outside();
	check_arguments();
	check_sources();
	check_several();
	check_change();
	check_poll();
	check_unblocked();
	check_fork();
	check_threads();
	printf("signalfd ok\n");
	return 0;
}
