/*
 * What /proc says of descriptors that are no files, file systems as statfs tells them apart, and
 * the names of terminals as files: modes, owners, /dev/pts/ptmx.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <mqueue.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "check.h"

#define OTHER 1234

static char text[8192];

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

/* Behind what is said of every descriptor: the flags are checked, its place is not. */
static const char *info(int fd, unsigned flags)
{
	char path[64], line[64];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	int f = open(path, O_RDONLY);
	CHECK(f >= 0);
	ssize_t n = read(f, text, sizeof(text) - 1);
	CHECK(n > 0 && close(f) == 0);
	text[n] = '\0';
	snprintf(line, sizeof(line), "\nflags:\t0%o\nmnt_id:\t", flags);
	CHECK(strncmp(text, "pos:\t0\n", 7) == 0 && strstr(text, line) != NULL);
	struct stat st;
	CHECK(fstat(fd, &st) == 0);
	snprintf(line, sizeof(line), "\nino:\t%lu\n", (unsigned long)st.st_ino);
	CHECK(strstr(text, line) != NULL);
	const char *end = strstr(text, line) + strlen(line) - 1;
	return end + 1;
}

static void check_eventfd(void)
{
	int a = eventfd(0x1f, 0), b = eventfd(1, EFD_SEMAPHORE | EFD_CLOEXEC | EFD_NONBLOCK);
	unsigned long long count;
	int id, other, semaphore;

	CHECK(sscanf(info(a, O_RDWR), "eventfd-count: %16llx\neventfd-id: %d\n", &count, &id) == 2);
	CHECK(count == 0x1f &&
	      strncmp(strstr(text, "eventfd-count"), "eventfd-count:               1f\n", 32) == 0);
	const char *more = info(b, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	CHECK(sscanf(more, "eventfd-count: %16llx\neventfd-id: %d\neventfd-semaphore: %d\n", &count,
		     &other, &semaphore) == 3);
	CHECK(count == 1 && id != other && semaphore == 1);
	close(a);
	close(b);
}

static void check_timerfd(void)
{
	int t = timerfd_create(CLOCK_MONOTONIC, 0);
	struct itimerspec i = {{1, 2}, {1u << 30, 5}};
	long sec;

	CHECK(strcmp(info(t, O_RDWR), "clockid: 1\nticks: 0\nsettime flags: 00\nit_value: (0, "
				      "0)\nit_interval: (0, 0)\n") == 0);
	CHECK(timerfd_settime(t, TFD_TIMER_ABSTIME, &i, NULL) == 0);
	CHECK(strstr(info(t, O_RDWR), "clockid: 1\nticks: 0\nsettime flags: 01\nit_value: (") ==
	      strstr(text, "clockid"));
	CHECK(sscanf(strstr(text, "it_value"), "it_value: (%ld, ", &sec) == 1 && sec > 0 &&
	      sec < 1 << 30);
	CHECK(strstr(text, ")\nit_interval: (1, 2)\n") != NULL);
	i = (struct itimerspec){{0, 0}, {0, 1}};
	CHECK(timerfd_settime(t, 0, &i, NULL) == 0 && usleep(2000) == 0);
	CHECK(strcmp(info(t, O_RDWR), "clockid: 1\nticks: 1\nsettime flags: 00\nit_value: (0, "
				      "0)\nit_interval: (0, 0)\n") == 0);
	close(t);
	t = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK);
	CHECK(strncmp(info(t, O_RDWR | O_NONBLOCK), "clockid: 0\n", 11) == 0);
	close(t);
}

static void check_signalfd(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGRTMAX);
	int s = signalfd(-1, &set, 0);
	CHECK(strcmp(info(s, O_RDWR), "sigmask:\t8000000000000200\n") == 0);
	close(s);
}

/* Which of two items comes first is nobody's business. */
static void check_epoll(void)
{
	int ep = epoll_create1(0), e = eventfd(1, 0), p[2];
	struct epoll_event ev = {EPOLLIN, {.u64 = 0x1234}};
	char line[100];

	CHECK(pipe(p) == 0 && epoll_ctl(ep, EPOLL_CTL_ADD, e, &ev) == 0);
	ev = (struct epoll_event){EPOLLOUT | EPOLLET | EPOLLONESHOT, {.u64 = UINT64_MAX}};
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[1], &ev) == 0);
	const char *more = info(ep, O_RDWR);
	snprintf(line, sizeof(line),
		 "tfd: %8d events:       19 data:             1234  pos:0 ino:", e);
	CHECK(strstr(more, line) != NULL);
	snprintf(line, sizeof(line),
		 "tfd: %8d events: c000001c data: ffffffffffffffff  pos:0 ino:", p[1]);
	CHECK(strstr(more, line) != NULL && strstr(more, " sdev:") != NULL);
	CHECK(epoll_wait(ep, &ev, 1, 0) == 1 && epoll_ctl(ep, EPOLL_CTL_DEL, e, NULL) == 0);
	more = info(ep, O_RDWR);
	CHECK(strchr(more, '\n') == more + strlen(more) - 1);
	close(ep);
	close(e);
	close(p[0]);
	close(p[1]);
}

static void check_inotify(void)
{
	int in = inotify_init1(IN_NONBLOCK);
	struct stat st;
	unsigned long ino;
	unsigned mask;

	CHECK(*info(in, O_NONBLOCK) == '\0' && stat(".", &st) == 0);
	CHECK(inotify_add_watch(in, ".", IN_CREATE | IN_EXCL_UNLINK) == 1);
	CHECK(sscanf(info(in, O_NONBLOCK), "inotify wd:1 ino:%lx sdev:%*x mask:%x ignored_mask:0 ",
		     &ino, &mask) == 2);
	CHECK(ino == st.st_ino && mask == (IN_CREATE | IN_EXCL_UNLINK));
	CHECK(inotify_add_watch(in, "/", IN_ALL_EVENTS | IN_ONLYDIR) == 2);
	CHECK(strncmp(info(in, O_NONBLOCK), "inotify wd:2 ", 13) == 0 &&
	      strstr(text, " mask:fff ignored_mask:0 ") != NULL);
	close(in);
}

static void check_pidfd(void)
{
	char line[64];
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(0);
	int fd = (int)syscall(SYS_pidfd_open, child, 0);
	CHECK(fd >= 0);
	snprintf(line, sizeof(line), "Pid:\t%d\nNSpid:\t%d\n", (int)child, (int)child);
	CHECK(strcmp(info(fd, O_RDWR | O_CLOEXEC), line) == 0);
	CHECK(waitpid(child, NULL, 0) == child);
	CHECK(strncmp(info(fd, O_RDWR | O_CLOEXEC), "Pid:\t-1\n", 8) == 0);
	close(fd);
}

static bool is_of(const char *path, unsigned type)
{
	struct statfs s;

	return statfs(path, &s) == 0 && (unsigned)s.f_type == type && s.f_bsize == 4096 &&
	       s.f_namelen == 255 && s.f_flags & 0x20;
}

static bool is_fd_of(int fd, unsigned type)
{
	struct statfs s;

	return fstatfs(fd, &s) == 0 && (unsigned)s.f_type == type && s.f_blocks == 0 &&
	       close(fd) == 0;
}

static void check_statfs(void)
{
	struct statfs s;
	int p[2];

	CHECK(is_of("/proc", 0x9fa0) && is_of("/proc/self/stat", 0x9fa0) &&
	      is_of("/sys", 0x62656572));
	CHECK(is_of("/dev/shm", 0x01021994) && is_of("/dev/null", 0x01021994));
	CHECK(is_of("/dev/pts", 0x1cd1) && fails(statfs("/proc/none", &s), ENOENT));
	CHECK(fails(statfs("/proc/self/stat/x", &s), ENOTDIR) && fails(fstatfs(-1, &s), EBADF));
	CHECK(fails(statfs("/proc", (struct statfs *)1), EFAULT) &&
	      fails(statfs((char *)1, &s), EFAULT));
	CHECK(is_fd_of(open("/proc/self/status", O_RDONLY), 0x9fa0));
	CHECK(is_fd_of(open("/proc", O_RDONLY | O_DIRECTORY), 0x9fa0));
	CHECK(is_fd_of(open("/sys", O_PATH), 0x62656572));
	CHECK(pipe(p) == 0 && is_fd_of(p[0], 0x50495045) && is_fd_of(p[1], 0x50495045));
	CHECK(is_fd_of(socket(AF_UNIX, SOCK_STREAM, 0), 0x534f434b));
	CHECK(is_fd_of(eventfd(0, 0), 0x09041934) && is_fd_of(epoll_create1(0), 0x09041934));
}

static void check_terminal(const char *ptmx)
{
	char path[64];
	struct stat st, by_name;
	int unlock = 0, master = open(ptmx, O_RDWR | O_NOCTTY), number;

	CHECK(master >= 0 && ioctl(master, TIOCGPTN, &number) == 0 &&
	      ioctl(master, TIOCSPTLCK, &unlock) == 0);
	snprintf(path, sizeof(path), "/dev/pts/%d", number);
	int slave = open(path, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && fstat(slave, &st) == 0 && st.st_uid == geteuid());
	CHECK(chmod(path, 0600) == 0 && stat(path, &st) == 0 && st.st_mode == (S_IFCHR | 0600));
	CHECK(fchmod(slave, 0622) == 0 && stat(path, &st) == 0 && st.st_mode == (S_IFCHR | 0622));
	CHECK(fstat(slave, &by_name) == 0 && by_name.st_mode == st.st_mode &&
	      by_name.st_ino == st.st_ino);
	CHECK(chown(path, (uid_t)-1, getegid()) == 0 && stat(path, &st) == 0 &&
	      st.st_gid == getegid());
	if (geteuid() == 0) {
		CHECK(fchown(slave, OTHER, OTHER) == 0 && stat(path, &st) == 0);
		CHECK(st.st_uid == OTHER && st.st_gid == OTHER && st.st_mode == (S_IFCHR | 0622));
		CHECK(seteuid(OTHER + 1) == 0 && fails(chmod(path, 0600), EPERM));
		CHECK(fails(open(path, O_RDONLY | O_NOCTTY), EACCES));
		CHECK(fails(chown(path, 0, 0), EPERM) && seteuid(0) == 0);
	}
	struct statfs s;
	CHECK(fstatfs(slave, &s) == 0 && s.f_type == 0x1cd1);
	close(slave);
	close(master);
	CHECK(fails(chmod(path, 0600), ENOENT) || number == 0);
}

static void check_ptmx(void)
{
	struct stat st;

	CHECK(stat("/dev/pts/ptmx", &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0x502 &&
	      st.st_ino == 2);
	CHECK(fails(open("/dev/pts/ptmx", O_RDONLY | O_DIRECTORY), ENOTDIR));
}

/* Names are shown without the links that led to them, as of now. */
static void check_names(void)
{
	char here[4096], want[4200], got[4200], path[64];

	CHECK(getcwd(here, sizeof(here)) != NULL && mkdir("real", 0755) == 0 &&
	      symlink("real", "way") == 0);
	int fd = open("way/file", O_CREAT | O_RDWR, 0600);
	CHECK(fd >= 0 && ftruncate(fd, 4096) == 0);
	void *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	snprintf(want, sizeof(want), "%s/real/file", here);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ssize_t n = readlink(path, got, sizeof(got));
	CHECK(n == (ssize_t)strlen(want) && memcmp(got, want, (size_t)n) == 0);
	FILE *maps = fopen("/proc/self/maps", "re");
	int found = 0, libraries = 0;
	while (fgets(got, sizeof(got), maps) != NULL) {
		found += strstr(got, " /") != NULL &&
			 strncmp(strstr(got, " /") + 1, want, strlen(want)) == 0;
		char *name = strchr(got, '/');
		if (name == NULL)
			continue;
		name[strcspn(name, "\n")] = '\0';
		char *real = realpath(name, NULL);
		libraries += real != NULL && strcmp(real, name) == 0;
		CHECK(real == NULL || strcmp(real, name) == 0);
		free(real);
	}
	CHECK(found == 1 && libraries > 3 && fclose(maps) == 0);
	munmap(map, 4096);
	CHECK(close(fd) == 0 && unlink("real/file") == 0 && unlink("way") == 0 &&
	      rmdir("real") == 0);
}

/* O_PATH is nothing but a name, of which the directory's names go on. */
static void check_by_path(void)
{
	static const char *const names[] = {"/proc/self", "/proc/self/status", "/sys", "/dev/null"};
	char buf[512];

	for (int i = 0; i < 4; i++) {
		int fd = open(names[i], O_PATH | O_RDWR | O_TRUNC);
		CHECK(fd >= 0 && fcntl(fd, F_GETFL) == O_PATH);
		CHECK(fails(read(fd, buf, 1), EBADF) && fails(fchmod(fd, 0600), EBADF));
		CHECK(fails(syscall(SYS_getdents64, fd, buf, sizeof(buf)), EBADF));
		CHECK(fails(ioctl(fd, FIONREAD, buf), EBADF) && fails(lseek(fd, 0, 0), EBADF));
		CHECK(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED);
		CHECK(errno == EBADF && fails(fcntl(fd, F_SETFL, 0), EBADF) && close(fd) == 0);
	}
	int top = open(names[0], O_PATH | O_DIRECTORY), below = openat(top, "status", O_RDONLY);
	CHECK(top >= 0 && below >= 0 && read(below, buf, 1) == 1);
	CHECK(close(below) == 0 && close(top) == 0);
}

int main(void)
{
	check_names();
	check_by_path();
	check_eventfd();
	check_timerfd();
	check_signalfd();
	check_epoll();
	check_inotify();
	check_pidfd();
	check_statfs();
	check_ptmx();
	check_terminal("/dev/ptmx");
	if (access("/dev/pts/ptmx", R_OK | W_OK) == 0)
		check_terminal("/dev/pts/ptmx");
	puts("ok");
	return 0;
}
