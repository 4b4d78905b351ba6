/*
 * Descriptors of the file "wanted" and of others, in all the ways they come and go.  It reads YES
 * bytes of the first and NO bytes of all else, so that a list of calls by path can be checked.
 */
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

enum { YES = 77, NO = 78 };

extern char **environ;

static char bytes[NO];

static void yes(int fd)
{
	CHECK(read(fd, bytes, YES) >= 0);
}

static void no(int fd)
{
	read(fd, bytes, NO);
}

static int wanted(int flags)
{
	int fd = open("wanted", O_RDONLY | flags);

	CHECK(fd >= 0);
	return fd;
}

static void wait_for(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* What this program is after exec: reads its second argument's descriptors, and not its third's. */
static int after_exec(char **argv)
{
	for (const char *c = argv[2]; *c != '\0'; c++)
		yes(*c - '0');
	for (const char *c = argv[3]; *c != '\0'; c++)
		no(*c - '0');
	return 0;
}

static char *again[] = {(char[]){"descriptors"}, (char[]){"exec"}, NULL, NULL, NULL};

static void *exec_again(void *arg)
{
	(void)arg;
	execv("/proc/self/exe", again);
	_exit(1);
}

/* Up to 9. */
static char digit(int fd)
{
	CHECK(fd > 2 && fd < 10);
	return (char)('0' + fd);
}

static void in_one_process(void)
{
	int fd = wanted(0), other = open("other", O_RDONLY), up = open(".", O_PATH);
	int ends[2];

	CHECK(other >= 0 && up >= 0 && pipe(ends) == 0);
	yes(fd);
	no(other);
	int copy = dup(fd), below = openat(up, "wanted", O_RDONLY);
	yes(copy);
	yes(below);
	CHECK(dup2(fd, other) == other && dup2(ends[0], copy) == copy);
	yes(other);
	CHECK(write(ends[1], bytes, 1) == 1);
	no(copy);
	int high = fcntl(fd, F_DUPFD, 100);
	yes(high);
	struct stat st;
	CHECK(fstat(high, &st) == 0 && lseek(high, 0, SEEK_SET) == 0);
	CHECK(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, high, 0) != MAP_FAILED);
	CHECK(close(high) == 0);
	no(high);
	CHECK(close_range((unsigned)fd, ~0u, 0) == 0);
	no(fd);
	no(below);
}

static void over_exec(void)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC};
	int stays = wanted(0), goes = wanted(O_CLOEXEC), late = wanted(0);
	int modern = (int)syscall(SYS_openat2, AT_FDCWD, "wanted", &how, sizeof(how));
	int back = wanted(O_CLOEXEC);
	char kept[] = {digit(stays), digit(back), '\0'};
	char gone[] = {digit(goes), digit(late), digit(modern), '\0'};
	pthread_t thread;

	CHECK(ioctl(late, FIOCLEX) == 0 && fcntl(back, F_SETFD, 0) == 0);
	again[2] = kept;
	again[3] = gone;
	pid_t pid = fork();
	if (pid == 0)
		exec_again(NULL);
	wait_for(pid);
	/* The thread becomes the process. */
	pid = fork();
	if (pid == 0) {
		CHECK(pthread_create(&thread, NULL, exec_again, NULL) == 0);
		pthread_join(thread, NULL);
	}
	wait_for(pid);
	/* In memory that is shared with the parent. */
	CHECK(posix_spawn(&pid, "/proc/self/exe", NULL, NULL, again, environ) == 0);
	wait_for(pid);
	yes(goes);
	CHECK(close_range(3, ~0u, 0) == 0);
}

static pid_t clone_with(uint64_t flags)
{
	struct clone_args args = {.flags = flags, .exit_signal = SIGCHLD};

	return (pid_t)syscall(SYS_clone3, &args, sizeof(args));
}

static void *open_wanted(void *ret_fd)
{
	*(int *)ret_fd = wanted(0);
	return NULL;
}

static void shared_or_not(void)
{
	int fd = wanted(0), opened = -1;
	pthread_t thread;

	pid_t pid = clone_with(0);
	if (pid == 0) {
		yes(fd);
		close(fd);
		no(fd);
		_exit(0);
	}
	wait_for(pid);
	yes(fd);
	pid = clone_with(CLONE_FILES);
	if (pid == 0) {
		close(fd);
		wanted(0);
		wanted(0);
		_exit(0);
	}
	wait_for(pid);
	yes(fd);
	yes(fd + 1);
	pid = clone_with(CLONE_FILES);
	if (pid == 0) {
		CHECK(close_range((unsigned)fd, (unsigned)fd, CLOSE_RANGE_UNSHARE) == 0);
		no(fd);
		_exit(0);
	}
	wait_for(pid);
	yes(fd);
	CHECK(pthread_create(&thread, NULL, open_wanted, &opened) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	yes(opened);
	pid = vfork();
	if (pid == 0) {
		close(opened);
		no(opened);
		_exit(0);
	}
	wait_for(pid);
	yes(opened);
}

int main(int argc, char **argv)
{
	if (argc == 4)
		return after_exec(argv);
	no(STDIN_FILENO);
	in_one_process();
	over_exec();
	shared_or_not();
	return 0;
}
