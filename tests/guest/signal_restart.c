/*
 * What becomes of each call that waits when a signal comes: a handler without and with SA_RESTART,
 * and a stop with no handler at all.  One line a call: whether it was interrupted or waited on, and
 * how it ended when it was let go.  As signal(7) has it.
 *
 * Nothing depends on time: the parent looks at the child's state before each step.
 */
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static struct {
	atomic_int word, handled, error;
	atomic_long result;
} * shared;

static int ends[2], event_fd, timer_fd, lock_fd;
static pid_t child;
static struct timespec far = {1000, 0};

static void note(int number)
{
	if (number == SIGUSR1)
		shared->handled++;
}

/* ---- the calls, and what lets them go ---- */

static long do_read(void)
{
	char byte;

	return read(ends[0], &byte, 1);
}

static void let_read(void)
{
	CHECK(write(ends[1], "x", 1) == 1);
}

static void fill(void)
{
	static char zeros[65536];

	CHECK(write(ends[1], zeros, sizeof(zeros)) == sizeof(zeros));
}

static long do_write(void)
{
	return write(ends[1], "x", 1);
}

static void let_write(void)
{
	char bytes[8192];

	CHECK(read(ends[0], bytes, sizeof(bytes)) == sizeof(bytes));
}

static long do_futex(void)
{
	return syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long do_futex_limit(void)
{
	return syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, &far, NULL, 0);
}

static long do_futex_until(void)
{
	struct timespec at;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
	at.tv_sec += 1000;
	return syscall(SYS_futex, &shared->word, FUTEX_WAIT_BITSET, 0, &at, NULL, 1);
}

static void let_futex(void)
{
	CHECK(syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0) == 1);
}

static long do_nanosleep(void)
{
	return syscall(SYS_nanosleep, &far, NULL);
}

static long do_clock_nanosleep(void)
{
	return syscall(SYS_clock_nanosleep, CLOCK_REALTIME, 0, &far, NULL);
}

static long do_sleep_until(void)
{
	struct timespec at;

	CHECK(clock_gettime(CLOCK_MONOTONIC, &at) == 0);
	at.tv_sec += 1000;
	return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL);
}

static long do_pause(void)
{
	return pause();
}

static long do_sigsuspend(void)
{
	sigset_t none;

	sigemptyset(&none);
	return sigsuspend(&none);
}

static void let_by_signal(void)
{
	CHECK(kill(child, SIGUSR2) == 0);
}

static long do_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	return sigtimedwait(&set, NULL, &far);
}

static void let_urgent(void)
{
	CHECK(kill(child, SIGURG) == 0);
}

static long do_poll(void)
{
	struct pollfd p = {ends[0], POLLIN, 0};

	return poll(&p, 1, 1000000);
}

static long do_ppoll(void)
{
	struct pollfd p = {ends[0], POLLIN, 0};
	sigset_t none;

	sigemptyset(&none);
	return ppoll(&p, 1, &far, &none);
}

static long do_select(void)
{
	struct timeval limit = {1000, 0};
	fd_set set;

	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return select(ends[0] + 1, &set, NULL, NULL, &limit);
}

static long do_pselect(void)
{
	sigset_t none;
	fd_set set;

	sigemptyset(&none);
	FD_ZERO(&set);
	FD_SET(ends[0], &set);
	return pselect(ends[0] + 1, &set, NULL, NULL, &far, &none);
}

static long do_epoll(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(0);

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event) == 0);
	return epoll_wait(ep, &event, 1, 1000000);
}

static long do_epoll_pwait(void)
{
	struct epoll_event event = {.events = EPOLLIN};
	int ep = epoll_create1(0);
	sigset_t none;

	sigemptyset(&none);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, ends[0], &event) == 0);
	return epoll_pwait(ep, &event, 1, -1, &none);
}

static long do_eventfd(void)
{
	eventfd_t value;

	return read(event_fd, &value, sizeof(value));
}

static void let_eventfd(void)
{
	CHECK(eventfd_write(event_fd, 1) == 0);
}

static long do_timerfd(void)
{
	uint64_t value;

	return read(timer_fd, &value, sizeof(value));
}

static void let_timerfd(void)
{
	struct itimerspec soon = {{0, 0}, {0, 1}};

	CHECK(timerfd_settime(timer_fd, 0, &soon, NULL) == 0);
}

static long do_signalfd(void)
{
	struct signalfd_siginfo record;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGURG);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	int fd = signalfd(-1, &set, 0);
	return read(fd, &record, sizeof(record));
}

static long do_wait(void)
{
	pid_t grandchild = fork();

	if (grandchild == 0) {
		char byte;

		signal(SIGUSR1, SIG_IGN);
		CHECK(close(ends[1]) == 0);
		_exit(read(ends[0], &byte, 1) != 1);
	}
	return waitpid(grandchild, NULL, 0) == grandchild ? 0 : -1;
}

static long do_waitid(void)
{
	pid_t grandchild = fork();

	if (grandchild == 0) {
		char byte;

		CHECK(close(ends[1]) == 0);
		_exit(read(ends[0], &byte, 1) != 1);
	}
	return waitid(P_PID, (id_t)grandchild, NULL, WEXITED);
}

static long do_open(void)
{
	return open("fifo", O_RDONLY) >= 0 ? 0 : -1;
}

static void let_open(void)
{
	int fd = open("fifo", O_WRONLY);

	CHECK(fd >= 0 && close(fd) == 0);
}

static void take_flock(void)
{
	CHECK((lock_fd = open("lock", O_CREAT | O_RDWR, 0600)) >= 0);
	CHECK(flock(lock_fd, LOCK_EX) == 0);
}

static long do_flock(void)
{
	int fd = open("lock", O_RDWR);

	return flock(fd, LOCK_EX);
}

static void let_lock(void)
{
	CHECK(flock(lock_fd, LOCK_UN) == 0);
}

static void take_record(void)
{
	struct flock lock = {.l_type = F_WRLCK};

	CHECK((lock_fd = open("lock", O_CREAT | O_RDWR, 0600)) >= 0);
	CHECK(fcntl(lock_fd, F_SETLK, &lock) == 0);
}

static long do_record(void)
{
	struct flock lock = {.l_type = F_WRLCK};

	return fcntl(lock_fd, F_SETLKW, &lock);
}

static void let_record(void)
{
	struct flock lock = {.l_type = F_UNLCK};

	CHECK(fcntl(lock_fd, F_SETLK, &lock) == 0);
}

static const struct {
	const char *name;
	void (*before)(void); /* in the parent */
	long (*call)(void);
	void (*let_go)(void);
} calls[] = {
	{"read", NULL, do_read, let_read},
	{"write", fill, do_write, let_write},
	{"open", NULL, do_open, let_open},
	{"flock", take_flock, do_flock, let_lock},
	{"fcntl", take_record, do_record, let_record},
	{"eventfd", NULL, do_eventfd, let_eventfd},
	{"timerfd", NULL, do_timerfd, let_timerfd},
	{"signalfd", NULL, do_signalfd, let_urgent},
	{"futex", NULL, do_futex, let_futex},
	{"futex, limit", NULL, do_futex_limit, let_futex},
	{"futex, until", NULL, do_futex_until, let_futex},
	{"wait4", NULL, do_wait, let_read},
	{"waitid", NULL, do_waitid, let_read},
	{"nanosleep", NULL, do_nanosleep, let_by_signal},
	{"clock_nanosleep", NULL, do_clock_nanosleep, let_by_signal},
	{"clock_nanosleep, until", NULL, do_sleep_until, let_by_signal},
	{"pause", NULL, do_pause, let_by_signal},
	{"rt_sigsuspend", NULL, do_sigsuspend, let_by_signal},
	{"rt_sigtimedwait", NULL, do_sigtimedwait, let_urgent},
	{"poll", NULL, do_poll, let_read},
	{"ppoll", NULL, do_ppoll, let_read},
	{"select", NULL, do_select, let_read},
	{"pselect6", NULL, do_pselect, let_read},
	{"epoll_wait", NULL, do_epoll, let_read},
	{"epoll_pwait", NULL, do_epoll_pwait, let_read},
};

/* ---- the trial ---- */

enum mode { HANDLER, RESTARTING, STOP, MODES };

static char state_of(pid_t pid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0 && close(fd) == 0);
	text[n] = 0;
	CHECK((end = strrchr(text, ')')) != NULL);
	return end[2];
}

/* Until the child sleeps or has ended; the state. */
static char settle(void)
{
	char state;

	while ((state = state_of(child)) != 'S' && state != 'Z')
		sched_yield();
	return state;
}

static void begin(void)
{
	shared->word = shared->handled = 0;
	CHECK(pipe(ends) == 0 && (event_fd = eventfd(0, 0)) >= 0);
	CHECK((timer_fd = timerfd_create(CLOCK_MONOTONIC, 0)) >= 0);
}

static void run_child(size_t call, enum mode mode)
{
	struct sigaction action = {.sa_handler = note,
				   .sa_flags = mode == RESTARTING ? SA_RESTART : 0};

	CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
	action.sa_flags = 0;
	CHECK(sigaction(SIGUSR2, &action, NULL) == 0);
	long r = calls[call].call();
	shared->error = r < 0 ? errno : 0;
	shared->result = r;
	_exit(0);
}

static void disturb(enum mode mode)
{
	int status;

	if (mode == STOP) {
		CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
		CHECK(WIFSTOPPED(status) && kill(child, SIGCONT) == 0);
		CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
		return;
	}
	CHECK(kill(child, SIGUSR1) == 0);
	while (!shared->handled)
		sched_yield();
}

static void try(size_t call, enum mode mode)
{
	static const char *const names[] = {"handler", "restart", "stop"};

	begin();
	if (calls[call].before)
		calls[call].before();
	CHECK((child = fork()) >= 0);
	if (child == 0)
		run_child(call, mode);
	CHECK(settle() == 'S');
	disturb(mode);
	bool waits = settle() == 'S';
	if (waits)
		calls[call].let_go();
	else
		CHECK(write(ends[1], "x", calls[call].before == NULL) >= 0);
	CHECK(waitpid(child, NULL, 0) == child);
	printf(" %s %s%ld %s", names[mode], waits ? "waits " : "", (long)shared->result,
	       shared->error ? strerrorname_np(shared->error) : "");
	close(ends[0]);
	close(ends[1]);
	close(event_fd);
	close(timer_fd);
	if (lock_fd)
		close(lock_fd);
	lock_fd = 0;
}

int main(void)
{
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED && mkfifo("fifo", 0600) == 0);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
		printf("%s:", calls[i].name);
		for (int mode = 0; mode < MODES; mode++)
			try(i, (enum mode)mode);
		printf("\n");
		fflush(stdout);
	}
	CHECK(unlink("fifo") == 0 && unlink("lock") == 0);
	printf("signal_restart ok\n");
	return 0;
}
