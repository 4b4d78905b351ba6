/*
 * /proc, /sys and /dev: that they agree with what the system calls say, links through them,
 * threads and children, and what cannot be written or found.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char text[65536];

/* The whole text of a file, NUL-terminated; its length. */
static long read_text(const char *path)
{
	long length = 0, n;
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	while ((n = read(fd, text + length, sizeof(text) - 1 - (size_t)length)) > 0)
		length += n;
	CHECK(n == 0 && close(fd) == 0);
	text[length] = '\0';
	return length;
}

/* The number behind `name` at the start of a line of the last text. */
static long number_after(const char *name)
{
	const char *at = strstr(text, name);

	CHECK(at != NULL && (at == text || at[-1] == '\n'));
	return strtol(at + strlen(name), NULL, 10);
}

/* Entries of a directory, each of which must be there. */
static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	struct stat st;
	int count = 0;

	CHECK(dir != NULL);
	while ((entry = readdir(dir)) != NULL) {
		CHECK(fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0);
		count += entry->d_name[0] != '.';
	}
	CHECK(closedir(dir) == 0);
	return count;
}

static void check_self(void)
{
	char path[64];

	read_text("/proc/self/status");
	CHECK(number_after("Pid:") == getpid() && number_after("PPid:") == getppid());
	CHECK(number_after("Uid:") == (long)getuid() && number_after("Threads:") == 1);
	snprintf(path, sizeof(path), "/proc/%d/stat", getpid());
	read_text(path);
	CHECK(strtol(text, NULL, 10) == getpid() && strstr(text, " (proc) R ") != NULL);
	CHECK(read_text("/proc/self/comm") == 5 && strcmp(text, "proc\n") == 0);
	CHECK(read_text("/proc/self/cmdline") > 4 && strcmp(text + strlen(text) - 4, "proc") == 0);
	CHECK(read_text("/proc/thread-self/stat") > 0 && strtol(text, NULL, 10) == gettid());
	CHECK(readlink("/proc/self/exe", text, sizeof(text)) > 4);
}

/* Some code of ours, the stack, and nothing else than mappings in order. */
static void check_maps(void)
{
	unsigned long code = (unsigned long)&check_maps, stack = (unsigned long)&code;
	unsigned long from, to, last = 0;
	int found = 0;

	read_text("/proc/self/maps");
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		CHECK(sscanf(line, "%lx-%lx", &from, &to) == 2 && last <= from && from < to);
		found += (from <= code && code < to) + (from <= stack && stack < to);
		last = to;
	}
	CHECK(found == 2);
}

static void *thread_main(void *unused)
{
	char path[64];
	struct stat st;

	(void)unused;
	CHECK(count_entries("/proc/self/task") == 2);
	snprintf(path, sizeof(path), "/proc/self/task/%d/comm", gettid());
	CHECK(pthread_setname_np(pthread_self(), "second") == 0);
	CHECK(read_text(path) == 7 && strcmp(text, "second\n") == 0);
	snprintf(path, sizeof(path), "/proc/self/task/%d/task", gettid());
	CHECK(stat(path, &st) == -1 && errno == ENOENT);
	return NULL;
}

static void check_threads(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, thread_main, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(read_text("/proc/self/comm") == 5 && strcmp(text, "proc\n") == 0);
}

static void check_child(void)
{
	siginfo_t info;
	char path[64];
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(3);
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	read_text(path);
	CHECK(strtol(text, NULL, 10) == pid && strstr(text, " (proc) Z ") != NULL);
	snprintf(path, sizeof(path), "/proc/%d/exe", pid);
	CHECK(readlink(path, text, sizeof(text)) == -1 && errno == ENOENT);
	CHECK(waitpid(pid, NULL, 0) == pid && access(path, F_OK) == -1 && errno == ENOENT);
}

static void check_descriptors(void)
{
	char path[64], target[PATH_MAX];
	struct stat a, b;
	int before = count_entries("/proc/self/fd"), fd = open("/dev/null", O_WRONLY);

	CHECK(fd >= 0 && count_entries("/dev/fd") == before + 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(readlink(path, target, sizeof(target)) == 9 && memcmp(target, "/dev/null", 9) == 0);
	CHECK(stat(path, &a) == 0 && S_ISCHR(a.st_mode) && a.st_rdev == 0x103);
	CHECK(lstat(path, &b) == 0 && S_ISLNK(b.st_mode) && (b.st_mode & 0777) == 0300);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	read_text(path);
	CHECK(number_after("pos:") == 0 && (strtol(strstr(text, "flags:") + 6, NULL, 8) & 3) == 1);
	CHECK(close(fd) == 0 && open(path, O_RDONLY) == -1 && errno == ENOENT);
	CHECK(stat("/proc/self/root", &a) == 0 && stat("/", &b) == 0 && a.st_ino == b.st_ino);
}

/* Through a link of /proc to a file of ours, and back into /proc. */
static void check_links(void)
{
	int fd, dir;

	CHECK((fd = open("/proc/self/cwd/made", O_CREAT | O_EXCL | O_WRONLY, 0600)) >= 0);
	CHECK(write(fd, "x", 1) == 1 && close(fd) == 0 && read_text("made") == 1);
	CHECK(symlink("/proc/self/comm", "name") == 0 && read_text("name") == 5);
	CHECK(read_text("/proc/self/cwd/name") == 5 && read_text("/proc/self/root/proc/stat") > 0);
	CHECK(symlink("/proc/self/cwd/round", "round") == 0);
	CHECK(open("round", O_RDONLY) == -1 && errno == ELOOP);
	CHECK(open("/proc/self/exe", O_RDONLY | O_NOFOLLOW) == -1 && errno == ELOOP);
	CHECK(unlink("made") == 0 && unlink("name") == 0 && unlink("round") == 0);
	CHECK((dir = open("/proc/self", O_RDONLY | O_DIRECTORY)) >= 0);
	CHECK((fd = openat(dir, "comm", O_RDONLY)) >= 0 && close(fd) == 0 && close(dir) == 0);
}

static void check_refusals(void)
{
	CHECK(open("/proc/none", O_RDONLY) == -1 && errno == ENOENT);
	CHECK(open("/proc/version/x", O_RDONLY) == -1 && errno == ENOTDIR);
	CHECK(open("/proc/self", O_RDWR) == -1 && errno == EISDIR);
	CHECK(open("/proc/version", O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
	CHECK(open("/proc/version", O_RDONLY | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK(readlink("/proc/version", text, 9) == -1 && errno == EINVAL);
	CHECK(access("/proc/self/status", R_OK) == 0 && access("/proc/self/fd", X_OK) == 0);
}

static void check_machine(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	struct stat st;

	CHECK(read_text("/sys/devices/system/cpu/online") >= 2 && text[0] == '0');
	CHECK(read_text("/proc/cpuinfo") > 0 && number_after("processor\t:") == 0 && cpus > 0);
	read_text("/proc/meminfo");
	CHECK(number_after("MemTotal:") / 4 == sysconf(_SC_PHYS_PAGES));
	CHECK(stat("/dev/urandom", &st) == 0 && st.st_rdev == 0x109 && S_ISCHR(st.st_mode));
	CHECK(read_text("/proc/net/dev") > 0 && strstr(text, "    lo:") != NULL);
	CHECK(count_entries("/sys/class/net/lo") > 4);
	CHECK(count_entries("/dev") > 8 && count_entries("/proc/sys") >= 4);
	CHECK(read_text("/proc/sys/kernel/random/uuid") == 37 && text[14] == '4');
}

/* The sizes of the mappings are those of maps; the sum of a figure is what the roll-up says. */
static void check_smaps(void)
{
	unsigned long from, to, size, private_dirty = 0;
	char kind;

	read_text("/proc/self/smaps");
	for (const char *line = text; *line; line = strchr(line, '\n') + 1) {
		if (sscanf(line, "%lx-%lx %c", &from, &to, &kind) == 3 && line[0] != 'D')
			CHECK(sscanf(strchr(line, '\n'), " Size: %lu", &size) == 1 &&
			      size == (to - from) / 1024);
		if (sscanf(line, "Private_Dirty: %lu", &size) == 1)
			private_dirty += size;
	}
	read_text("/proc/self/smaps_rollup");
	CHECK(strstr(text, "[rollup]\n") && strstr(text, "\nPrivate_Dirty:") && private_dirty > 0);
}

/* The vector that the program found on its stack. */
static void check_auxv(void)
{
	unsigned long *pair = (unsigned long *)text;
	long length = read_text("/proc/self/auxv");

	CHECK(length > 0 && length % 16 == 0);
	/* The C library has a word of its own for the processor's features. */
	for (; pair[0] != AT_NULL; pair += 2)
		CHECK(pair[0] == AT_HWCAP || getauxval(pair[0]) == pair[1]);
}

static void write_text(const char *path, const char *bytes, int error)
{
	int fd = open(path, O_WRONLY);
	long n = fd < 0 ? -1 : write(fd, bytes, strlen(bytes));

	CHECK(error ? n == -1 && errno == error : n == (long)strlen(bytes));
	if (fd >= 0)
		CHECK(close(fd) == 0);
}

/* What is remembered, by children too. */
static void check_remembered(void)
{
	int status;

	write_text("/proc/self/oom_score_adj", "300\n", 0);
	CHECK(read_text("/proc/self/oom_score_adj") == 4 && strcmp(text, "300\n") == 0);
	write_text("/proc/self/oom_score_adj", "1001", EINVAL);
	write_text("/proc/self/oom_score_adj", "many", EINVAL);
	if (fork() == 0) {
		read_text("/proc/self/oom_score_adj");
		write_text("/proc/self/oom_score_adj", "400", 0);
		_exit(strtol(text, NULL, 10) == 300 ? 0 : 1);
	}
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(read_text("/proc/self/oom_score_adj") == 4 && strcmp(text, "300\n") == 0);
	write_text("/proc/self/comm", "renamed longer than fifteen", 0);
	CHECK(read_text("/proc/self/comm") == 16 && strcmp(text, "renamed longer \n") == 0);
	write_text("/proc/self/comm", "proc", 0);
}

/* Namespaces can be told apart by their links; a parked task shows its call. */
static void check_state(void)
{
	char target[64];
	int ready[2], pid;

	memset(target, 0, sizeof(target));
	CHECK(readlink("/proc/self/ns/uts", target, sizeof(target)) > 6);
	CHECK(strncmp(target, "uts:[", 5) == 0 && target[strlen(target) - 1] == ']');
	CHECK(count_entries("/proc/self/ns") >= 8);
	CHECK(pipe(ready) == 0 && (pid = fork()) >= 0);
	if (pid == 0)
		_exit(read(ready[0], target, 1) == 1 ? 0 : 1);
	snprintf(target, sizeof(target), "/proc/self/task/%d/children", getpid());
	read_text(target);
	CHECK(strtol(text, NULL, 10) == pid);
	CHECK(write(ready[1], "x", 1) == 1 && waitpid(pid, &pid, 0) > 0 && pid == 0);
}

/* A program knows where it lies, whatever links led to it. */
static void check_exe(char *self)
{
	char real[PATH_MAX], *argv[] = {"./linked", self, NULL};
	int status;

	CHECK(realpath(self, real) != NULL && symlink(real, "target") == 0);
	CHECK(mkdir("around", 0700) == 0 && symlink("around/../target", "linked") == 0);
	if (fork() == 0)
		execv("around/.././linked", argv);
	CHECK(wait(&status) > 0 && status == 0);
	CHECK(unlink("linked") == 0 && unlink("target") == 0 && rmdir("around") == 0);
}

/* The program again, by a link: 0 if /proc/self/exe is what the link leads to. */
static int is_linked(const char *self)
{
	char real[PATH_MAX], shown[PATH_MAX] = "";

	CHECK(realpath(self, real) != NULL && readlink("/proc/self/exe", shown, PATH_MAX - 1) > 0);
	return strcmp(real, shown) != 0;
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return is_linked(argv[1]);
	check_exe(argv[0]);
	check_smaps();
	check_auxv();
	check_remembered();
	check_state();
	check_self();
	check_maps();
	check_threads();
	check_child();
	check_descriptors();
	check_links();
	check_refusals();
	check_machine();
	return 0;
}
