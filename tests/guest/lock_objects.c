/*
 * Locks on what is no file: pipes, FIFOs, sockets, terminals, devices, eventfds. flock and record
 * locks work there as they do on files: conflicts, waiting, interruption, what closing releases.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>

#include "check.h"
#include "children.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static int record(int fd, int command, short type, short whence, off_t start, off_t len)
{
	struct flock l = {.l_type = type, .l_whence = whence, .l_start = start, .l_len = len};

	return fcntl(fd, command, &l);
}

static int set(int fd, short type, off_t start, off_t len)
{
	return record(fd, F_SETLK, type, SEEK_SET, start, len);
}

/* Two descriptions of one object, both for reading and writing. */
struct object {
	const char *name;
	int a, b;
};

static int by_fd(int fd)
{
	char name[64];

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	return open(name, O_RDWR);
}

static struct object a_pipe(void)
{
	int ends[2];

	CHECK(pipe(ends) == 0);
	struct object o = {"pipe", by_fd(ends[0]), by_fd(ends[1])};
	close(ends[0]);
	close(ends[1]);
	return o;
}

static struct object a_fifo(void)
{
	CHECK(mkfifo("locked-fifo", 0600) == 0);
	struct object o = {"fifo", open("locked-fifo", O_RDWR), open("locked-fifo", O_RDWR)};
	unlink("locked-fifo");
	return o;
}

static struct object a_terminal(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);

	CHECK(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	const char *name = ptsname(master);
	return (struct object){"terminal", open(name, O_RDWR | O_NOCTTY),
			       open(name, O_RDWR | O_NOCTTY)};
}

/* ---- flock ---- */

static void nothing(int sig)
{
	(void)sig;
}

static void test_flock(struct object o)
{
	CHECK(flock(o.a, LOCK_EX) == 0);
	FAILS(flock(o.b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(o.a, LOCK_SH) == 0 && flock(o.b, LOCK_SH | LOCK_NB) == 0);
	FAILS(flock(o.a, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	/* Who cannot get another lock has lost the one it had. */
	CHECK(flock(o.b, LOCK_EX | LOCK_NB) == 0);
	/* Who waits gets it, or a signal comes first. */
	pid_t pid = fork();
	if (pid == 0)
		_exit(flock(o.a, LOCK_EX) == 0 ? 3 : errno);
	await_sleep(pid);
	CHECK(flock(o.b, LOCK_UN) == 0 && status_of(pid) == 3 << 8);
	FAILS(flock(o.b, LOCK_SH | LOCK_NB), EWOULDBLOCK); /* the description's, not the child's */
	pid = fork();
	if (pid == 0)
		_exit(flock(o.b, LOCK_EX) == 0 ? 3 : errno);
	await_sleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	CHECK(flock(o.a, LOCK_UN) == 0 && flock(o.b, LOCK_EX | LOCK_NB) == 0);
	CHECK(flock(o.b, LOCK_UN) == 0 && flock(o.b, LOCK_UN) == 0);
}

/* The last close of the description releases it. */
static void test_flock_closed(struct object o)
{
	int other = dup(o.a), ends[2];
	char byte;

	CHECK(flock(o.a, LOCK_EX) == 0 && close(other) == 0 && pipe(ends) == 0);
	FAILS(flock(o.b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	pid_t pid = fork();
	if (pid == 0)
		_exit(close(ends[1]) == 0 && read(ends[0], &byte, 1) == 0 ? 4 : 1);
	CHECK(close(o.a) == 0);
	FAILS(flock(o.b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0 && status_of(pid) == 4 << 8);
	CHECK(flock(o.b, LOCK_EX | LOCK_NB) == 0 && close(o.b) == 0);
}

/* ---- record locks ---- */

/* What another process is told stands in the way. */
static struct flock seen(int fd, short type, off_t start, off_t len)
{
	struct flock *l =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();

	if (pid == 0) {
		*l = (struct flock){.l_type = type, .l_start = start, .l_len = len};
		_exit(fcntl(fd, F_GETLK, l) ? errno : 0);
	}
	CHECK(status_of(pid) == 0);
	struct flock copy = *l;
	munmap(l, 4096);
	return copy;
}

static void test_records(int fd)
{
	CHECK(set(fd, F_WRLCK, 10, 10) == 0 && set(fd, F_RDLCK, 15, 10) == 0);
	struct flock l = seen(fd, F_WRLCK, 12, 100);
	CHECK(l.l_type == F_WRLCK && l.l_start == 10 && l.l_len == 5 && l.l_pid == getpid());
	l = seen(fd, F_RDLCK, 15, 100);
	CHECK(l.l_type == F_UNLCK);
	pid_t pid = fork();
	if (pid == 0) {
		FAILS(set(fd, F_WRLCK, 24, 1), EAGAIN);
		CHECK(set(fd, F_RDLCK, 24, 1) == 0 && set(fd, F_WRLCK, 25, 0) == 0);
		_exit(record(fd, F_SETLKW, F_WRLCK, SEEK_SET, 0, 0) == 0 ? 5 : errno);
	}
	await_sleep(pid);
	CHECK(set(fd, F_UNLCK, 0, 0) == 0 && status_of(pid) == 5 << 8);
	CHECK(set(fd, F_WRLCK, 0, 0) == 0);
	pid = fork();
	if (pid == 0)
		_exit(record(fd, F_SETLKW, F_RDLCK, SEEK_SET, 3, 1) == 0 ? 5 : errno);
	await_sleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	/* Closing any descriptor of the object releases what the process has there. */
	CHECK(close(dup(fd)) == 0 && seen(fd, F_WRLCK, 0, 0).l_type == F_UNLCK);
	FAILS(record(fd, F_SETLK, F_WRLCK, SEEK_END, -1, 1), EINVAL); /* it has no size */
	CHECK(record(fd, F_SETLK, F_WRLCK, SEEK_CUR, 7, 1) == 0);
	CHECK(seen(fd, F_RDLCK, 0, 0).l_start == 7 && set(fd, F_UNLCK, 7, 1) == 0);
}

static void test_owned(struct object o)
{
	struct flock l = {.l_type = F_WRLCK, .l_len = 10};

	CHECK(fcntl(o.a, F_OFD_SETLK, &l) == 0);
	FAILS(fcntl(o.b, F_OFD_SETLK, &l), EAGAIN);
	FAILS(set(o.b, F_RDLCK, 9, 1), EAGAIN);
	CHECK(fcntl(o.b, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == -1);
	CHECK(flock(o.b, LOCK_EX | LOCK_NB) == 0 && flock(o.b, LOCK_UN) == 0);
	pid_t pid = fork();
	l = (struct flock){.l_type = F_RDLCK, .l_len = 3};
	if (pid == 0)
		_exit(fcntl(o.b, F_OFD_SETLKW, &l) == 0 ? 6 : errno);
	await_sleep(pid);
	l.l_type = F_UNLCK;
	CHECK(fcntl(o.a, F_OFD_SETLK, &l) == 0 && status_of(pid) == 6 << 8);
	FAILS(set(o.a, F_WRLCK, 0, 1), EAGAIN);
	l = (struct flock){.l_type = F_UNLCK};
	CHECK(fcntl(o.a, F_OFD_SETLK, &l) == 0 && fcntl(o.b, F_OFD_SETLK, &l) == 0);
}

static void test_circle(struct object o)
{
	CHECK(set(o.a, F_WRLCK, 0, 1) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(set(o.b, F_WRLCK, 1, 1) == 0);
		_exit(record(o.b, F_SETLKW, F_WRLCK, SEEK_SET, 0, 1) ? errno : 0);
	}
	await_sleep(pid);
	FAILS(record(o.a, F_SETLKW, F_WRLCK, SEEK_SET, 1, 1), EDEADLK);
	CHECK(set(o.a, F_UNLCK, 0, 0) == 0 && status_of(pid) == 0);
}

/* ---- which objects are one, what access is needed ---- */

static void test_ends(void)
{
	int ends[2], pair[2], other[2];

	CHECK(pipe(ends) == 0 && pipe(other) == 0);
	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	CHECK(flock(ends[0], LOCK_EX) == 0 && flock(other[0], LOCK_EX) == 0);
	FAILS(flock(ends[1], LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(pair[0], LOCK_EX) == 0 && flock(pair[1], LOCK_EX | LOCK_NB) == 0);
	FAILS(set(ends[0], F_WRLCK, 0, 0), EBADF);
	FAILS(set(ends[1], F_RDLCK, 0, 0), EBADF);
	CHECK(set(ends[0], F_RDLCK, 0, 0) == 0 && set(ends[1], F_WRLCK, 5, 0) == 0);
	CHECK(seen(ends[0], F_WRLCK, 0, 0).l_type == F_RDLCK);
	CHECK(close(ends[1]) == 0 && seen(ends[0], F_WRLCK, 0, 0).l_type == F_UNLCK);
	test_records(pair[0]);
	close(ends[0]), close(other[0]), close(other[1]), close(pair[0]), close(pair[1]);
}

/* What others on the machine may lock too: only shared. */
static void test_shared(void)
{
	int null = open("/dev/null", O_RDWR), again = open("/dev/null", O_RDONLY);
	int zero = open("/dev/zero", O_RDWR), event = eventfd(0, 0), poll = epoll_create1(0);

	CHECK(flock(null, LOCK_SH) == 0);
	FAILS(flock(again, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(zero, LOCK_SH) == 0 && flock(event, LOCK_SH) == 0);
	/* Whatever has no inode of its own is one. */
	FAILS(flock(poll, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	FAILS(flock(timerfd_create(CLOCK_MONOTONIC, 0), LOCK_EX | LOCK_NB), EWOULDBLOCK);
	FAILS(set(inotify_init1(0), F_WRLCK, 0, 0), EBADF);
	CHECK(set(event, F_RDLCK, 0, 1) == 0 && seen(poll, F_WRLCK, 0, 0).l_type == F_RDLCK);
	CHECK(close(poll) == 0 && flock(null, LOCK_UN) == 0 && flock(event, LOCK_UN) == 0);
	int text = open("/proc/self/status", O_RDONLY), same = open("/proc/self/status", O_RDONLY);
	CHECK(flock(text, LOCK_EX) == 0);
	FAILS(flock(same, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(close(text) == 0 && flock(same, LOCK_SH | LOCK_NB) == 0 && close(same) == 0);
	close(null), close(again), close(zero), close(event);
}

/* /proc/locks tells of them by the inode that stat shows. */
static void test_told(struct object o)
{
	char want[64], line[200];
	struct stat st;
	int found = 0;

	CHECK(fstat(o.a, &st) == 0 && set(o.a, F_WRLCK, 3, 4) == 0);
	snprintf(want, sizeof(want), ":%lu 3 6\n", (unsigned long)st.st_ino);
	FILE *locks = fopen("/proc/locks", "r");
	CHECK(locks != NULL);
	while (fgets(line, sizeof(line), locks) != NULL)
		found += strstr(line, want) != NULL && strstr(line, "POSIX  ADVISORY  WRITE");
	CHECK(fclose(locks) == 0 && found == 1 && set(o.a, F_UNLCK, 0, 0) == 0);
}

int main(void)
{
	struct object (*const make[])(void) = {a_pipe, a_fifo, a_terminal};
	struct sigaction action = {.sa_handler = nothing};

	sigaction(SIGUSR1, &action, NULL);
	for (size_t i = 0; i < sizeof(make) / sizeof(*make); i++) {
		struct object o = make[i]();
		CHECK(o.a >= 0 && o.b >= 0);
		test_flock(o);
		test_records(o.a);
		test_owned(o);
		test_circle(o);
		test_told(o);
		test_flock_closed(o);
		printf("%s: ok\n", o.name);
		fflush(stdout);
	}
	test_ends();
	test_shared();
	puts("lock-objects: ok");
	return 0;
}
