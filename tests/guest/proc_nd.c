/*
 * Prints what bare Linux answers differently from run to run, or from one machine to another, below
 * /proc, /sys and /dev: every text that can be read, every link, every entry's type, number and
 * times.  A process of its own is shown as well, asleep and with a pipe and threads.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define SHOWN_MAX 65536
#define DEPTH_MAX 8

static void show_text(const char *path)
{
	static char bytes[SHOWN_MAX];
	int fd = open(path, O_RDONLY | O_NONBLOCK);
	long n;

	if (fd < 0) {
		printf("  errno %d\n", errno);
		return;
	}
	n = read(fd, bytes, sizeof(bytes));
	printf("  %ld bytes", n);
	for (long i = 0; i < n; i++)
		putchar(bytes[i] ? bytes[i] : '|');
	printf("\n");
	CHECK(close(fd) == 0);
}

static void show_link(const char *path)
{
	char target[PATH_MAX];
	long n = readlink(path, target, sizeof(target));

	printf("  -> %.*s\n", n < 0 ? 1 : (int)n, n < 0 ? "?" : target);
}

static void show(const char *path, int depth);

static void show_below(const char *path, int depth)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	char below[PATH_MAX];

	while (dir && (entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
		printf("%s ino %lu type %u\n", below, entry->d_ino, entry->d_type);
		show(below, depth + 1);
	}
	if (dir)
		CHECK(closedir(dir) == 0);
}

static void show(const char *path, int depth)
{
	struct stat st;

	if (lstat(path, &st) != 0) {
		printf("%s errno %d\n", path, errno);
		return;
	}
	printf("%s mode %o of %u:%u size %ld links %ld rdev %x m %ld.%09ld\n", path, st.st_mode,
	       st.st_uid, st.st_gid, (long)st.st_size, (long)st.st_nlink, (unsigned)st.st_rdev,
	       (long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
	if (S_ISREG(st.st_mode))
		show_text(path);
	else if (S_ISLNK(st.st_mode))
		show_link(path);
	else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
		show_below(path, depth);
}

static void *sleeper(void *fd)
{
	char byte;

	return read(*(int *)fd, &byte, 1) < 0 ? NULL : fd;
}

/* A process that waits, with a second thread that waits too. */
static pid_t start_child(int reader)
{
	pthread_t thread;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(pthread_create(&thread, NULL, sleeper, &reader) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		_exit(0);
	}
	return pid;
}

int main(void)
{
	static const char *const roots[] = {"/proc", "/sys", "/dev"};
	static const char *const files[] = {"/proc/uptime",  "/proc/stat",
					    "/proc/meminfo", "/proc/loadavg",
					    "/proc/cpuinfo", "/proc/sys/kernel/random/uuid",
					    "/proc/version", "/proc/sys/kernel/random/boot_id"};
	char path[64];
	int ends[2];

	CHECK(pipe(ends) == 0);
	pid_t pid = start_child(ends[0]);
	for (int i = 0; i < 8; i++)
		show(files[i], 0);
	snprintf(path, sizeof(path), "/proc/%d", pid);
	show(path, 0);
	show("/proc/self/", 0);
	/* All there is would take minutes where it is a real machine's. */
	for (int i = 0; i < 3 && getenv("PROC_ND_ALL"); i++)
		show(roots[i], 0);
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	return 0;
}
