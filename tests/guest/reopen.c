/*
 * Opening again what a descriptor names, by way of /proc/PID/fd: a description of its own, of the
 * same object, whether that has a name or not; what of it runs or is sealed; objects that are no
 * files.
 */
#include <dirent.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))

static const char *name_of(pid_t pid, int fd)
{
	static char name[64];

	snprintf(name, sizeof(name), "/proc/%d/fd/%d", (int)pid, fd);
	return name;
}

static int again(int fd, int flags)
{
	return open(name_of(getpid(), fd), flags, 0600);
}

static int flags_of(int fd)
{
	return fcntl(fd, F_GETFL) & ~(O_LARGEFILE | 0100000);
}

static off_t size_of(int fd)
{
	struct stat st;

	CHECK(fstat(fd, &st) == 0);
	return st.st_size;
}

/* ---- files ---- */

enum how { NAMED, MEMFD, TMPFILE, UNLINKED, RENAMED, REPLACED, HOWS };

static int make(enum how how)
{
	int fd;

	if (how == MEMFD)
		return memfd_create("file", MFD_ALLOW_SEALING);
	if (how == TMPFILE)
		return open(".", O_TMPFILE | O_RDWR, 0600);
	CHECK((fd = open("file", O_RDWR | O_CREAT | O_TRUNC, 0600)) >= 0);
	if (how == UNLINKED || how == REPLACED)
		CHECK(unlink("file") == 0);
	if (how == RENAMED)
		CHECK(rename("file", "moved") == 0);
	if (how != NAMED && how != UNLINKED)
		CHECK(close(open("file", O_WRONLY | O_CREAT | O_TRUNC, 0600)) == 0);
	return fd;
}

static void check_same(int a, int b)
{
	struct stat x, y;

	CHECK(fstat(a, &x) == 0 && fstat(b, &y) == 0);
	CHECK(x.st_ino == y.st_ino && x.st_dev == y.st_dev && x.st_nlink == y.st_nlink);
}

static void check_offsets(int fd)
{
	char text[8] = "";
	int other = again(fd, O_RDONLY | O_NONBLOCK), appends = again(fd, O_WRONLY | O_APPEND);

	CHECK(other >= 0 && appends >= 0);
	check_same(fd, other);
	CHECK(flags_of(other) == (O_RDONLY | O_NONBLOCK) &&
	      flags_of(appends) == (O_WRONLY | O_APPEND));
	CHECK(lseek(fd, 0, SEEK_CUR) == 6 && lseek(other, 0, SEEK_CUR) == 0);
	CHECK(read(other, text, 3) == 3 && strcmp(text, "abc") == 0);
	CHECK(lseek(fd, 0, SEEK_CUR) == 6 && lseek(other, 0, SEEK_CUR) == 3);
	FAILS(write(other, "x", 1), EBADF);
	FAILS(read(appends, text, 1), EBADF);
	CHECK(write(appends, "gh", 2) == 2 && size_of(fd) == 8);
	CHECK(fcntl(other, F_SETFL, O_APPEND) == 0 && flags_of(fd) == (flags_of(fd) & ~O_APPEND));
	CHECK(fcntl(again(fd, O_RDWR | O_CLOEXEC), F_GETFD) == FD_CLOEXEC);
	CHECK(close(other) == 0 && close(appends) == 0 && lseek(fd, 0, SEEK_CUR) == 6);
}

static void check_sizes(int fd)
{
	int other;

	CHECK(truncate(name_of(getpid(), fd), 3) == 0 && size_of(fd) == 3);
	CHECK((other = again(fd, O_RDONLY)) >= 0 && close(other) == 0 && size_of(fd) == 3);
	FAILS(truncate(name_of(getpid(), fd), -1), EINVAL);
	CHECK(ftruncate(fd, 9) == 0 && (other = again(fd, O_WRONLY | O_TRUNC)) >= 0);
	CHECK(size_of(fd) == 0 && write(fd, "xy", 2) == 2 && size_of(other) == 8);
	CHECK(close(other) == 0 && (other = again(fd, O_RDONLY | O_TRUNC)) >= 0 &&
	      size_of(fd) == 0);
	CHECK(close(other) == 0);
}

static void check_refusals(int fd)
{
	FAILS(again(fd, O_RDWR | O_CREAT | O_EXCL), EEXIST);
	FAILS(again(fd, O_RDONLY | O_DIRECTORY), ENOTDIR);
	FAILS(again(fd, O_RDONLY | O_NOFOLLOW), ELOOP);
	int other = again(fd, O_RDWR | O_CREAT);
	CHECK(other >= 0 && close(other) == 0);
	/* An O_PATH descriptor leads on. */
	CHECK((other = again(fd, O_PATH)) >= 0);
	FAILS(write(other, "x", 1), EBADF);
	int opened = again(other, O_RDWR);
	CHECK(opened >= 0 && pwrite(opened, "from path", 9, 0) == 9 && size_of(fd) == 9);
	CHECK(truncate(name_of(getpid(), other), 4) == 0 && size_of(fd) == 4);
	CHECK(close(other) == 0 && close(opened) == 0);
}

static void test_files(void)
{
	for (enum how how = NAMED; how < HOWS; how++) {
		int fd = make(how);

		CHECK(fd >= 0 && write(fd, "abcdef", 6) == 6);
		check_offsets(fd);
		check_sizes(fd);
		check_refusals(fd);
		CHECK(close(fd) == 0);
		FAILS(again(fd, O_RDONLY), ENOENT);
	}
	CHECK(unlink("file") == 0 && unlink("moved") == 0);
}

/* Modes count, the first description's access does not. */
static void test_modes(void)
{
	bool root = geteuid() == 0;
	int fd = open(".", O_TMPFILE | O_RDWR, 0);

	CHECK(fd >= 0 && (again(fd, O_RDONLY) >= 0) == root && (again(fd, O_WRONLY) >= 0) == root);
	CHECK(fchmod(fd, 0200) == 0 && (again(fd, O_RDONLY) >= 0) == root);
	CHECK(again(fd, O_WRONLY) >= 0 && (truncate(name_of(getpid(), fd), 0) == 0));
	CHECK(close(fd) == 0);
	fd = open("read", O_RDONLY | O_CREAT, 0600);
	CHECK(fd >= 0 && unlink("read") == 0);
	int other = again(fd, O_RDWR);
	CHECK(other >= 0 && write(other, "late", 4) == 4 && size_of(fd) == 4);
	CHECK(close(fd) == 0 && close(other) == 0);
}

static void test_seals(void)
{
	int fd = make(MEMFD), other;

	CHECK(write(fd, "sealed", 6) == 6 && fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	FAILS(again(fd, O_RDWR | O_TRUNC), EPERM);
	FAILS(truncate(name_of(getpid(), fd), 1), EPERM);
	CHECK(truncate(name_of(getpid(), fd), 7) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0 && (other = again(fd, O_RDWR)) >= 0);
	FAILS(write(other, "x", 1), EPERM);
	CHECK(fcntl(other, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_WRITE) && close(other) == 0);
	CHECK((other = again(fd, O_RDONLY)) >= 0);
	FAILS(fcntl(other, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK(close(other) == 0 && close(fd) == 0);
}

static void test_folder(void)
{
	CHECK(mkdir("folder", 0700) == 0);
	int fd = open("folder", O_RDONLY), other;
	CHECK(fd >= 0 && rmdir("folder") == 0);
	CHECK((other = again(fd, O_RDONLY | O_DIRECTORY)) >= 0);
	check_same(fd, other);
	DIR *dir = fdopendir(other);
	CHECK(dir != NULL && readdir(dir) == NULL && closedir(dir) == 0);
	FAILS(again(fd, O_WRONLY), EISDIR);
	FAILS(again(fd, O_RDONLY | O_TRUNC), EISDIR);
	FAILS(again(fd, O_RDONLY | O_CREAT), EISDIR);
	CHECK(close(fd) == 0);
}

/* ---- other processes ---- */

static void test_others(void)
{
	int up[2], down[2];
	char byte, text[8] = "";

	CHECK(pipe(up) == 0 && pipe(down) == 0);
	pid_t pid = fork();
	if (pid == 0) {
		int fd = dup2(make(MEMFD), 70), ends[2];
		CHECK(fd == 70 && write(fd, "theirs", 6) == 6 && pipe(ends) == 0);
		CHECK(dup2(ends[0], 71) == 71 && write(up[1], "x", 1) == 1);
		CHECK(read(down[0], &byte, 1) == 1 && read(fd, text, 7) == 1 && text[0] == '!');
		CHECK(read(71, text, 7) == 4 && strcmp(text, "pipe") == 0);
		_exit(3);
	}
	CHECK(read(up[0], &byte, 1) == 1);
	int fd = open(name_of(pid, 70), O_RDWR), end = open(name_of(pid, 71), O_WRONLY), status;
	CHECK(fd >= 0 && end >= 0 && read(fd, text, 7) == 6 && strcmp(text, "theirs") == 0);
	CHECK(write(fd, "!", 1) == 1 && write(end, "pipe", 4) == 4);
	FAILS(open(name_of(pid, 72), O_RDONLY), ENOENT);
	CHECK(write(down[1], "x", 1) == 1 && waitpid(pid, &status, 0) == pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 3);
	CHECK(lseek(fd, 0, SEEK_CUR) == 7 && close(fd) == 0 && close(end) == 0);
	FAILS(open(name_of(pid, 70), O_RDONLY), ENOENT);
	close(up[0]), close(up[1]), close(down[0]), close(down[1]);
}

/* ---- programs ---- */

static int program(void)
{
	char bytes[4096];
	int from = open("/proc/self/exe", O_RDONLY), to = memfd_create("program", 0);
	ssize_t n;

	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		CHECK(write(to, bytes, (size_t)n) == n);
	CHECK(close(from) == 0);
	return to;
}

/* By the descriptor, and by its name. */
static pid_t run(int fd, bool by_name, int in)
{
	char number[16], *argv[] = {"program", "run", number, NULL}, *envp[] = {NULL};

	snprintf(number, sizeof(number), "%d", in);
	pid_t pid = fork();
	if (pid == 0) {
		if (by_name)
			execve(name_of(getpid(), fd), argv, envp);
		else
			fexecve(fd, argv, envp);
		_exit(errno == ETXTBSY ? 26 : 1);
	}
	return pid;
}

static int status_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void test_programs(void)
{
	int fd = program(), ends[2], out[2], only;
	char byte;

	CHECK(pipe(ends) == 0 && pipe(out) == 0);
	for (int by_name = 0; by_name < 2; by_name++) {
		CHECK(dup2(out[1], 90) == 90);
		pid_t pid = run(fd, by_name, ends[0]);
		CHECK(read(out[0], &byte, 1) == 1);
		FAILS(again(fd, O_WRONLY), ETXTBSY);
		FAILS(again(fd, O_RDONLY | O_TRUNC), ETXTBSY);
		FAILS(truncate(name_of(getpid(), fd), 0), ETXTBSY);
		CHECK(write(ends[1], "x", 1) == 1 && status_of(pid) == 7);
		/* What is open for writing does not run, what memfd_create gave does not count. */
		CHECK((only = again(fd, O_WRONLY)) >= 0 && status_of(run(fd, by_name, 0)) == 26);
		CHECK(status_of(run(only, by_name, 0)) == 26 && close(only) == 0);
		CHECK((only = again(fd, O_PATH)) >= 0);
		pid = run(only, by_name, ends[0]);
		CHECK(read(out[0], &byte, 1) == 1 && write(ends[1], "x", 1) == 1);
		CHECK(status_of(pid) == 7 && close(only) == 0);
	}
	CHECK(fchmod(fd, 0600) == 0 && status_of(run(fd, true, 0)) == 1);
	close(ends[0]), close(ends[1]), close(out[0]), close(out[1]), close(90), close(fd);
}

/* What runs is opened and run again, though nothing leads to it but /proc/self/exe. */
static void check_itself(const char *link)
{
	char *argv[] = {"program", "last", (char *)link, NULL}, *envp[] = {NULL}, magic[4];
	char target[4200] = "";
	struct stat st, same;

	CHECK(readlink("/proc/self/exe", target, sizeof(target) - 1) > 0);
	CHECK(strcmp(target, link) == 0);
	int fd = open("/proc/self/exe", O_RDONLY);
	CHECK(fd >= 0 && read(fd, magic, 4) == 4 && memcmp(magic, "\177ELF", 4) == 0);
	CHECK(fstat(fd, &st) == 0 && stat("/proc/self/exe", &same) == 0);
	CHECK(st.st_ino == same.st_ino && st.st_size == same.st_size && st.st_nlink == 0);
	CHECK(close(fd) == 0);
	FAILS(open("/proc/self/exe", O_RDWR), ETXTBSY);
	FAILS(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW), ELOOP);
	execve("/proc/self/exe", argv, envp);
	CHECK(!"run again");
}

#define MEMFD_LINK "/memfd:program (deleted)"

static int be_program(const char *role, const char *arg)
{
	char byte, target[4200] = "";

	if (strcmp(role, "last") == 0) {
		CHECK(readlink("/proc/self/exe", target, sizeof(target) - 1) > 0);
		return strcmp(target, arg) == 0 ? 7 : 1;
	}
	if (strcmp(role, "gone") == 0) {
		CHECK(unlink(arg) == 0);
		snprintf(target, sizeof(target), "%s (deleted)", arg);
		check_itself(target);
	}
	CHECK(write(90, "x", 1) == 1 && read(atoi(arg), &byte, 1) == 1);
	check_itself(MEMFD_LINK);
	return 1;
}

/* A program that removes itself. */
static void test_gone(void)
{
	char bytes[4096], name[4200];
	int from = program(), to = open("gone-program", O_WRONLY | O_CREAT, 0700);
	ssize_t n;

	CHECK(from >= 0 && to >= 0 && lseek(from, 0, SEEK_SET) == 0);
	while ((n = read(from, bytes, sizeof(bytes))) > 0)
		CHECK(write(to, bytes, (size_t)n) == n);
	CHECK(close(from) == 0 && close(to) == 0 && getcwd(name, 4096) != NULL);
	strcat(name, "/gone-program");
	pid_t pid = fork();
	if (pid == 0) {
		execl(name, "program", "gone", name, NULL);
		_exit(1);
	}
	CHECK(status_of(pid) == 7);
}

/* ---- what is no file ---- */

static void test_pipes(void)
{
	char text[8] = "";
	int ends[2];

	CHECK(pipe(ends) == 0);
	/* The other side by way of this one. */
	int out = again(ends[0], O_WRONLY | O_NONBLOCK), in = again(ends[1], O_RDONLY);
	CHECK(out >= 0 && in >= 0 && flags_of(out) == (O_WRONLY | O_NONBLOCK));
	CHECK(flags_of(ends[0]) == O_RDONLY && write(out, "abc", 3) == 3);
	CHECK(read(in, text, 2) == 2 && read(ends[0], text + 2, 2) == 1 && !strcmp(text, "abc"));
	CHECK(close(ends[1]) == 0 && write(out, "d", 1) == 1 && read(in, text, 8) == 1);
	CHECK(close(out) == 0 && read(in, text, 8) == 0);
	/* Nobody is waited for. */
	CHECK((out = again(in, O_WRONLY)) >= 0 && close(in) == 0 && write(out, "e", 1) == 1);
	struct pollfd p = {.fd = ends[0], .events = POLLIN};
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN && close(out) == 0);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLHUP));
	int both = again(ends[0], O_RDWR);
	CHECK(both >= 0 && read(both, text, 1) == 1 && write(both, "fg", 2) == 2);
	CHECK(read(ends[0], text, 8) == 2 && close(ends[0]) == 0);
	FAILS(again(both, O_RDONLY | O_DIRECT), EINVAL);
	FAILS(again(both, O_RDONLY | O_DIRECTORY), ENOTDIR);
	CHECK(close(both) == 0);
}

static void test_fifo(void)
{
	char text[4];

	CHECK(mkfifo("fifo", 0600) == 0);
	int fd = open("fifo", O_RDWR);
	CHECK(fd >= 0 && unlink("fifo") == 0);
	int in = again(fd, O_RDONLY), out = again(fd, O_WRONLY);
	CHECK(in >= 0 && out >= 0 && close(fd) == 0);
	CHECK(write(out, "x", 1) == 1 && read(in, text, 4) == 1 && close(in) == 0);
	FAILS(again(out, O_WRONLY | O_NONBLOCK), ENXIO);
	CHECK(close(out) == 0);
}

static void test_objects(void)
{
	int pair[2], fds[6], null = open("/dev/null", O_RDWR | O_APPEND);

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
	fds[0] = pair[0];
	fds[1] = pair[1];
	fds[2] = eventfd(0, 0);
	fds[3] = epoll_create1(0);
	fds[4] = timerfd_create(CLOCK_MONOTONIC, 0);
	fds[5] = -1;
	for (int i = 0; fds[i] >= 0; i++) {
		FAILS(again(fds[i], O_RDWR), i < 2 || geteuid() == 0 ? ENXIO : EACCES);
		FAILS(again(fds[i], O_RDONLY | O_DIRECTORY), ENOTDIR);
		CHECK(close(fds[i]) == 0);
	}
	int other = again(null, O_RDONLY);
	CHECK(other >= 0 && flags_of(other) == O_RDONLY && flags_of(null) == (O_RDWR | O_APPEND));
	FAILS(again(null, O_RDONLY | O_DIRECT), EINVAL);
	CHECK(close(other) == 0 && close(null) == 0);
}

static void test_queue(void)
{
	struct mq_attr attr = {.mq_maxmsg = 2, .mq_msgsize = 8};
	char text[8];
	mqd_t q = mq_open("/shadow-reopen", O_RDWR | O_CREAT, 0600, &attr);

	CHECK(q >= 0 && mq_unlink("/shadow-reopen") == 0);
	int other = again(q, O_RDONLY | O_NONBLOCK);
	CHECK(other >= 0 && mq_send(q, "hi", 2, 0) == 0 && mq_receive(other, text, 8, NULL) == 2);
	FAILS(mq_receive(other, text, 8, NULL), EAGAIN);
	FAILS(mq_send(other, "x", 1, 0), EBADF);
	CHECK(mq_close(q) == 0 && mq_getattr(other, &attr) == 0 && attr.mq_maxmsg == 2);
	CHECK(mq_close(other) == 0);
}

int main(int argc, char **argv)
{
	if (argc > 2)
		return be_program(argv[1], argv[2]);
	test_files();
	test_modes();
	test_seals();
	test_folder();
	test_others();
	test_programs();
	test_gone();
	test_pipes();
	test_fifo();
	test_objects();
	test_queue();
	puts("reopen: ok");
	return 0;
}
