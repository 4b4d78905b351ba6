/*
 * File locks: record locks and what closing does to them, their OFD form, flock; what F_GETLK
 * tells, who waits and is served, circles of waiters, interruption.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"
#include "children.h"
#include "read_text.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static int file;

static struct flock range(short type, off_t start, off_t len)
{
	return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
}

static int set(int fd, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	return fcntl(fd, F_SETLK, &l);
}

static int wait_for(int fd, short type, off_t start, off_t len)
{
	struct flock l = range(type, start, len);

	return fcntl(fd, F_SETLKW, &l);
}

/* What another process is told stands in the way of a lock. */
static struct flock seen(short type, off_t start, off_t len)
{
	struct flock *l =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct flock copy;
	pid_t pid = fork();

	if (!pid) {
		*l = range(type, start, len);
		_exit(fcntl(file, F_GETLK, l) ? errno : 0);
	}
	CHECK(status_of(pid) == 0);
	copy = *l;
	munmap(l, 4096);
	return copy;
}

static int is_range(struct flock l, short type, off_t start, off_t len)
{
	return l.l_type == type && l.l_whence == SEEK_SET && l.l_start == start && l.l_len == len &&
	       l.l_pid == getpid();
}

static void test_ranges(void)
{
	CHECK(set(file, F_WRLCK, 10, 10) == 0 && set(file, F_WRLCK, 20, 10) == 0);
	CHECK(is_range(seen(F_RDLCK, 0, 0), F_WRLCK, 10, 20)); /* neighbours are one */
	CHECK(set(file, F_RDLCK, 15, 10) == 0);
	CHECK(is_range(seen(F_WRLCK, 16, 1), F_RDLCK, 15, 10));
	CHECK(is_range(seen(F_RDLCK, 12, 100), F_WRLCK, 10, 5));
	CHECK(is_range(seen(F_RDLCK, 15, 100), F_WRLCK, 25, 5));
	CHECK(set(file, F_UNLCK, 12, 3) == 0);
	CHECK(is_range(seen(F_WRLCK, 0, 0), F_WRLCK, 10, 2));
	CHECK(is_range(seen(F_WRLCK, 12, 0), F_RDLCK, 15, 10));
	CHECK(seen(F_WRLCK, 12, 3).l_type == F_UNLCK && seen(F_WRLCK, 30, 0).l_type == F_UNLCK);
	CHECK(set(file, F_WRLCK, 0, 0) == 0); /* to the end, wherever that will be */
	CHECK(is_range(seen(F_RDLCK, 1000000, 1), F_WRLCK, 0, 0));
	CHECK(set(file, F_UNLCK, 5, 1) == 0);
	CHECK(is_range(seen(F_RDLCK, 6, 0), F_WRLCK, 6, 0));
	CHECK(set(file, F_UNLCK, 0, 0) == 0 && seen(F_WRLCK, 0, 0).l_type == F_UNLCK);
	CHECK(lseek(file, 100, SEEK_SET) == 100);
	struct flock l = {.l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = 5, .l_len = -10};
	CHECK(fcntl(file, F_SETLK, &l) == 0 && is_range(seen(F_RDLCK, 0, 0), F_WRLCK, 95, 10));
	l = (struct flock){.l_type = F_UNLCK, .l_whence = SEEK_END, .l_start = -1, .l_len = 0};
	CHECK(fcntl(file, F_SETLK, &l) == 0 && seen(F_RDLCK, 0, 0).l_type == F_UNLCK);
	l = range(F_WRLCK, 3, 4);
	CHECK(fcntl(file, F_GETLK, &l) == 0 && l.l_type == F_UNLCK && l.l_start == 3);
}

static void test_errors(const char *path)
{
	struct flock l = range(F_WRLCK, 0, 0);
	int reader = open(path, O_RDONLY), writer = open(path, O_WRONLY);

	FAILS(fcntl(reader, F_SETLK, &l), EBADF);
	CHECK(fcntl(reader, F_GETLK, &l) == 0);
	FAILS(set(writer, F_RDLCK, 0, 0), EBADF);
	FAILS(set(file, 77, 0, 0), EINVAL);
	FAILS(set(file, F_WRLCK, -1, 0), EINVAL);
	FAILS(set(file, F_WRLCK, 5, -6), EINVAL);
	FAILS(set(file, F_WRLCK, 0x7fffffffffffffff, 2), EOVERFLOW);
	CHECK(lseek(file, 10, SEEK_SET) == 10);
	l = (struct flock){F_WRLCK, SEEK_CUR, 0x7fffffffffffffff, 0, 0};
	FAILS(fcntl(file, F_SETLK, &l), EOVERFLOW);
	l = (struct flock){.l_type = F_WRLCK, .l_whence = 7};
	FAILS(fcntl(file, F_SETLK, &l), EINVAL);
	FAILS(fcntl(file, F_SETLK, (void *)8), EFAULT);
	FAILS(fcntl(900, F_SETLK, &l), EBADF);
	l = range(F_UNLCK, 0, 0);
	FAILS(fcntl(file, F_GETLK, &l), EINVAL);
	l = range(F_WRLCK, 0, 0);
	l.l_pid = 1;
	FAILS(fcntl(file, F_OFD_SETLK, &l), EINVAL);
	FAILS(fcntl(file, F_OFD_GETLK, &l), EINVAL);
	FAILS(flock(file, 0), EINVAL);
	FAILS(flock(file, LOCK_SH | LOCK_EX), EINVAL);
	FAILS(flock(900, LOCK_SH), EBADF);
	close(reader);
	close(writer);
}

/* Record locks are the process's: a child has none, and closing any descriptor drops them. */
static void test_owners(const char *path)
{
	CHECK(set(file, F_WRLCK, 0, 10) == 0);
	pid_t pid = fork();
	if (!pid) {
		FAILS(set(file, F_RDLCK, 9, 1), EAGAIN);
		CHECK(set(file, F_RDLCK, 10, 1) == 0);
		close(file);
		_exit(0);
	}
	CHECK(status_of(pid) == 0 && seen(F_RDLCK, 0, 0).l_type == F_WRLCK);
	int other = open(path, O_RDWR);
	CHECK(set(other, F_WRLCK, 5, 100) == 0); /* no conflict with oneself */
	CHECK(is_range(seen(F_RDLCK, 0, 0), F_WRLCK, 0, 105));
	close(other);
	CHECK(seen(F_RDLCK, 0, 0).l_type == F_UNLCK);
	CHECK(set(file, F_WRLCK, 0, 10) == 0);
	close(dup(file));
	CHECK(seen(F_RDLCK, 0, 0).l_type == F_UNLCK);
	CHECK(set(file, F_WRLCK, 0, 10) == 0);
	pid = fork();
	if (!pid) {
		if (!fork()) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		wait(NULL);
		_exit(0);
	}
	CHECK(status_of(pid) == 0 && seen(F_RDLCK, 0, 0).l_type == F_WRLCK);
	CHECK(set(file, F_UNLCK, 0, 0) == 0);
}

/* /proc/locks has a line with `what`, that ends with `range`. */
static void check_told(const char *what, const char *range)
{
	static char text[1 << 20];

	read_text("/proc/locks", text, sizeof(text));
	for (char *at = text; (at = strstr(at, what)); at++) {
		char *end = strchr(at, '\n') + 1;
		if (strncmp(end - strlen(range), range, strlen(range)) == 0)
			return;
	}
	fprintf(stderr, "no %s...%s in:\n%s", what, range, text);
	exit(1);
}

static void test_text(const char *path)
{
	char want[200];

	CHECK(set(file, F_RDLCK, 10, 10) == 0 && set(file, F_WRLCK, 30, 0) == 0);
	pid_t pid = fork();
	if (!pid)
		_exit(wait_for(file, F_WRLCK, 12, 3) ? errno : 0);
	await_sleep(pid);
	snprintf(want, sizeof(want), ": POSIX  ADVISORY  READ %d ", getpid());
	check_told(want, " 10 19\n");
	snprintf(want, sizeof(want), ": POSIX  ADVISORY  WRITE %d ", getpid());
	check_told(want, " 30 EOF\n");
	snprintf(want, sizeof(want), ": -> POSIX  ADVISORY  WRITE %d ", pid);
	check_told(want, " 12 14\n");
	CHECK(set(file, F_UNLCK, 0, 0) == 0 && status_of(pid) == 0);
	int fd = open(path, O_RDONLY);
	struct flock l = range(F_RDLCK, 1, 1);
	CHECK(flock(fd, LOCK_SH) == 0 && fcntl(fd, F_OFD_SETLK, &l) == 0);
	snprintf(want, sizeof(want), ": FLOCK  ADVISORY  READ %d ", getpid());
	check_told(want, " 0 EOF\n");
	check_told(": OFDLCK ADVISORY  READ -1 ", " 1 1\n");
	close(fd);
}

/* Children wait for the whole file, one after the other, and note their numbers. */
static void test_order(const char *path, int how)
{
	int *log = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct flock l = range(F_WRLCK, 0, 0);
	int own = open(path, O_RDWR);
	pid_t pids[4];

	CHECK(how ? flock(own, LOCK_EX) == 0 : fcntl(own, F_OFD_SETLK, &l) == 0);
	for (int i = 0; i < 4; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			close(own);
			int fd = open(path, O_RDWR);
			int r = how ? flock(fd, LOCK_EX) : fcntl(fd, F_OFD_SETLKW, &l);
			log[++log[0]] = i;
			_exit(r ? errno : 0);
		}
		await_sleep(pids[i]);
	}
	close(own);
	for (int i = 0; i < 4; i++)
		CHECK(status_of(pids[i]) == 0);
	for (int i = 0; i < 4; i++)
		CHECK(log[i + 1] == i);
}

static void nothing(int signal)
{
	(void)signal;
}

static void test_interruption(void)
{
	struct sigaction action = {.sa_handler = nothing};

	sigaction(SIGUSR1, &action, NULL);
	CHECK(set(file, F_WRLCK, 0, 10) == 0);
	pid_t pid = fork();
	if (!pid)
		_exit(wait_for(file, F_WRLCK, 5, 1) ? errno : 0);
	await_sleep(pid);
	CHECK(kill(pid, SIGUSR1) == 0 && status_of(pid) == EINTR << 8);
	pid = fork();
	if (!pid)
		_exit(wait_for(file, F_WRLCK, 5, 1) ? errno : 0);
	await_sleep(pid);
	CHECK(set(file, F_UNLCK, 0, 5) == 0);
	await_sleep(pid); /* still in the way */
	CHECK(set(file, F_RDLCK, 5, 5) == 0);
	await_sleep(pid);
	CHECK(kill(pid, SIGKILL) == 0 && status_of(pid) == SIGKILL);
	pid = fork();
	if (!pid)
		_exit(wait_for(file, F_RDLCK, 0, 20) ? errno : 0);
	CHECK(status_of(pid) == 0); /* readers get on */
	CHECK(set(file, F_UNLCK, 0, 0) == 0);
}

/* Two processes that wait for each other: the second is refused; so are three in a circle. */
static void test_circles(void)
{
	CHECK(set(file, F_WRLCK, 0, 1) == 0);
	pid_t pid = fork();
	if (!pid) {
		CHECK(set(file, F_WRLCK, 1, 1) == 0);
		_exit(wait_for(file, F_WRLCK, 0, 1) ? errno : 0);
	}
	await_sleep(pid);
	FAILS(wait_for(file, F_WRLCK, 1, 1), EDEADLK);
	FAILS(set(file, F_WRLCK, 1, 1), EAGAIN);
	pid_t third = fork();
	if (!third) {
		CHECK(set(file, F_WRLCK, 2, 1) == 0);
		_exit(wait_for(file, F_WRLCK, 1, 1) ? errno : 0);
	}
	await_sleep(third);
	FAILS(wait_for(file, F_WRLCK, 2, 1), EDEADLK);
	CHECK(set(file, F_UNLCK, 0, 0) == 0);
	CHECK(status_of(pid) == 0 && status_of(third) == 0);
	CHECK(set(file, F_WRLCK, 0, 3) == 0 && set(file, F_UNLCK, 0, 0) == 0);
}

static void test_ofd(const char *path)
{
	int a = open(path, O_RDWR), b = open(path, O_RDWR);
	struct flock l = range(F_WRLCK, 0, 10);

	CHECK(fcntl(a, F_OFD_SETLK, &l) == 0);
	FAILS(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	FAILS(set(b, F_WRLCK, 9, 1), EAGAIN); /* a process's own is another owner, too */
	CHECK(fcntl(b, F_OFD_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == -1);
	l = range(F_RDLCK, 5, 1);
	CHECK(fcntl(b, F_GETLK, &l) == 0 && l.l_type == F_WRLCK && l.l_pid == -1);
	close(dup(a)); /* another descriptor of it is left */
	l = range(F_RDLCK, 0, 10);
	FAILS(fcntl(b, F_OFD_SETLK, &l), EAGAIN);
	pid_t pid = fork();
	if (!pid) {
		CHECK(fcntl(a, F_OFD_SETLK, &l) ==
		      0); /* the description is shared, so is the lock */
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	CHECK(fcntl(b, F_OFD_SETLK, &l) == 0);
	CHECK(set(file, F_RDLCK, 0, 10) == 0);
	FAILS(set(file, F_WRLCK, 0, 10), EAGAIN);
	close(a);
	close(b); /* and with it the record lock */
	CHECK(set(file, F_WRLCK, 0, 10) == 0 && set(file, F_UNLCK, 0, 0) == 0);
}

static void test_flock(const char *path)
{
	int a = open(path, O_RDONLY), b = open(path, O_RDONLY), c = open(path, O_RDONLY);

	CHECK(flock(a, LOCK_SH) == 0 && flock(b, LOCK_SH | LOCK_NB) == 0);
	FAILS(flock(c, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	FAILS(flock(a, LOCK_EX | LOCK_NB), EWOULDBLOCK); /* and what it had is lost */
	CHECK(flock(b, LOCK_EX | LOCK_NB) == 0);
	CHECK(flock(b, LOCK_EX) == 0);
	FAILS(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(set(file, F_WRLCK, 0, 0) == 0); /* the other kind of lock */
	int copy = dup(b);
	close(b);
	FAILS(flock(a, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	CHECK(flock(copy, LOCK_UN) == 0 && flock(a, LOCK_EX | LOCK_NB) == 0);
	pid_t pid = fork();
	if (!pid)
		_exit(flock(a, LOCK_SH) ? errno : 0); /* of the description: no conflict */
	CHECK(status_of(pid) == 0 && flock(c, LOCK_SH | LOCK_NB) == 0);
	close(a);
	close(c);
	close(copy);
	CHECK(set(file, F_UNLCK, 0, 0) == 0);
}

static void *lock_it(void *arg)
{
	CHECK(wait_for(*(int *)arg, F_WRLCK, 0, 1) == -1 && errno == EBADF);
	return NULL;
}

/* A descriptor that is closed while another thread waits: it gets no lock. */
static void test_closed(const char *path)
{
	int fd = open(path, O_RDWR), ready[2];
	char byte;
	pthread_t thread;

	CHECK(pipe(ready) == 0);
	pid_t pid = fork();
	if (!pid) {
		close(ready[1]);
		CHECK(set(file, F_WRLCK, 0, 1) == 0);
		CHECK(read(ready[0], &byte, 1) == 0);
		_exit(0);
	}
	while (seen(F_WRLCK, 0, 1).l_type == F_UNLCK)
		usleep(1000);
	CHECK(pthread_create(&thread, NULL, lock_it, &fd) == 0);
	usleep(20000);
	close(fd);
	close(ready[1]);
	CHECK(status_of(pid) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(seen(F_WRLCK, 0, 1).l_type == F_UNLCK);
}

static void *wait_for_lock(void *number)
{
	struct flock l = {.l_type = F_WRLCK};

	fcntl(*(int *)number, F_SETLKW, &l);
	return NULL;
}

/* Who waits on a number that is closed has no lock when its process ends as the lock comes free. */
static void test_closed_end(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		int held = open(path, O_RDWR), waits = open(path, O_RDWR);
		struct flock l = {.l_type = F_WRLCK};
		pthread_t thread;
		close(file);
		CHECK(fcntl(held, F_OFD_SETLK, &l) == 0);
		CHECK(pthread_create(&thread, NULL, wait_for_lock, &waits) == 0);
		usleep(10000);
		close(waits);
		close(held);
		_exit(0);
	}
	CHECK(status_of(pid) == 0);
	struct flock l = {.l_type = F_WRLCK};
	CHECK(fcntl(file, F_SETLK, &l) == 0);
	l.l_type = F_UNLCK;
	CHECK(fcntl(file, F_SETLK, &l) == 0);
}

int main(void)
{
	const char *path = "locks.txt";

	file = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(file >= 0 && write(file, "0123456789", 10) == 10);
	test_ranges();
	test_errors(path);
	test_owners(path);
	test_text(path);
	test_order(path, 0);
	test_order(path, 1);
	test_interruption();
	test_circles();
	test_ofd(path);
	test_flock(path);
	test_closed(path);
	test_closed_end(path);
	CHECK(unlink(path) == 0);
	printf("locks ok\n");
	return 0;
}
