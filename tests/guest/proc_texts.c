/*
 * Texts of /proc that are read again, and again when their process has ended; what they say of
 * priorities, processors, names and threads; namespaces as files.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define OTHER 1234

static char text[65536], path[64];

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

static int opened(int pid, const char *name)
{
	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0);
	return fd;
}

/* What reading on gives. */
static const char *on(int fd)
{
	ssize_t n = read(fd, text, sizeof(text) - 1);

	CHECK(n >= 0);
	text[n] = '\0';
	return text;
}

static const char *again(int fd)
{
	CHECK(lseek(fd, 0, SEEK_SET) == 0);
	return on(fd);
}

static const char *text_of(int pid, const char *name)
{
	int fd = opened(pid, name);

	on(fd);
	close(fd);
	return text;
}

static bool has_line(int pid, const char *name, const char *line)
{
	const char *at = strstr(text_of(pid, name), line);

	return at != NULL && (at == text || at[-1] == '\n');
}

/* Field `number` of stat, counted from 1, as proc(5) does; from 3 on. */
static long field(int pid, int number)
{
	const char *s = strrchr(text_of(pid, "stat"), ')') + 1;

	for (int i = 3; i < number; i++)
		s = strchr(s + 1, ' ');
	return atol(s);
}

/* A child that has ended and was not waited for. */
static int zombie(const char *name)
{
	siginfo_t info;
	int pid = fork();

	if (!pid) {
		prctl(PR_SET_NAME, name);
		_exit(5);
	}
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	return pid;
}

static int entries(int pid, const char *name)
{
	int n = 0;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	DIR *d = opendir(path);
	CHECK(d != NULL);
	for (const struct dirent *e; (e = readdir(d));)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ---- read again ---- */

static void check_news(void)
{
	char some[8] = "", *volatile nowhere = NULL;
	int fd = opened(getpid(), "comm");

	prctl(PR_SET_NAME, "first");
	CHECK(strcmp(on(fd), "first\n") == 0 && *on(fd) == '\0');
	prctl(PR_SET_NAME, "second");
	CHECK(*on(fd) == '\0' && strcmp(again(fd), "second\n") == 0);
	prctl(PR_SET_NAME, "and the third");
	CHECK(pread(fd, some, 3, 4) == 3 && strcmp(some, "the") == 0);
	CHECK(pread(fd, some, 7, 0) == 7 && memcmp(some, "and the", 7) == 0);
	CHECK(strcmp(on(fd), " third\n") == 0);
	CHECK(pread(fd, some, 7, 14) == 0 && pread(fd, some, 7, 100) == 0);
	CHECK(fails(pread(fd, some, 7, -1), EINVAL));
	CHECK(fails(pread(fd, nowhere, 7, 0), EFAULT) && strcmp(again(fd), "and the third\n") == 0);
	/* Parts of one text, byte by byte, are not mixed with those of the next. */
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, some, 1) == 1);
	prctl(PR_SET_NAME, "XXXXXXXXXXXXX");
	CHECK(strcmp(on(fd), "nd the third\n") == 0 && strcmp(again(fd), "XXXXXXXXXXXXX\n") == 0);
	close(fd);
}

static void check_shared(void)
{
	int fd = opened(getpid(), "comm"), copy = dup(fd), pid = fork();

	if (!pid) {
		CHECK(read(copy, text, 3) == 3);
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid && lseek(fd, 0, SEEK_CUR) == 3);
	CHECK(strcmp(on(fd), "XXXXXXXXXX\n") == 0);
	close(fd);
	close(copy);
}

/* Whether a text can be copied at all differs by version. */
static void check_copied(void)
{
	int fd = opened(getpid(), "comm"), p[2];
	off_t at = 4;

	prctl(PR_SET_NAME, "to be copied");
	CHECK(pipe(p) == 0);
	if (fails(sendfile(p[1], fd, NULL, 100), EINVAL))
		return;
	CHECK(read(p[0], text, 100) == 13);
	CHECK(memcmp(text, "to be copied\n", 13) == 0 && lseek(fd, 0, SEEK_CUR) == 13);
	prctl(PR_SET_NAME, "12345 789");
	CHECK(sendfile(p[1], fd, &at, 100) == 6 && at == 10 && read(p[0], text, 100) == 6);
	CHECK(memcmp(text, "5 789\n", 6) == 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && splice(fd, NULL, p[1], NULL, 100, 0) == 10);
	CHECK(read(p[0], text, 100) == 10 && memcmp(text, "12345 789\n", 10) == 0);
	close(fd);
	close(p[0]);
	close(p[1]);
}

static void check_gone(void)
{
	int p[2], pid;
	char byte;

	CHECK(pipe(p) == 0);
	pid = fork();
	if (!pid) {
		close(p[1]);
		_exit((int)read(p[0], &byte, 1));
	}
	int stat_fd = opened(pid, "stat"), maps = opened(pid, "maps"), late = opened(pid, "status");
	CHECK(strchr(on(stat_fd), ')')[2] != 'Z' && strstr(on(maps), "[stack]") != NULL);
	close(p[1]);
	siginfo_t info;
	CHECK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == 0);
	CHECK(strchr(again(stat_fd), ')')[2] == 'Z' && *again(maps) == '\0');
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(*on(stat_fd) == '\0');
	CHECK(lseek(stat_fd, 0, SEEK_SET) == 0 && fails(read(stat_fd, text, 100), ESRCH));
	CHECK(fails(read(late, text, 100), ESRCH));
	close(p[0]);
	close(stat_fd);
	close(maps);
	close(late);
}

static void check_seeks(void)
{
	int fd = opened(getpid(), "status"), flat = opened(getpid(), "auxv");

	CHECK(fails(lseek(fd, 0, SEEK_END), EINVAL) && fails(lseek(fd, 0, SEEK_DATA), EINVAL));
	CHECK(lseek(fd, 1 << 20, SEEK_SET) == 1 << 20 && *on(fd) == '\0');
	CHECK(fails(lseek(fd, -1, SEEK_SET), EINVAL) && lseek(flat, 0, SEEK_END) == 0);
	CHECK(fails(lseek(flat, 0, SEEK_HOLE), ENXIO));
	CHECK(mmap(NULL, 1, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == ENODEV);
	CHECK(fails(open("/proc/self/status", O_RDONLY | O_DIRECT), EINVAL));
	CHECK(fails(open("/proc", O_TMPFILE | O_RDWR, 0600), geteuid() ? EACCES : EOPNOTSUPP));
	close(fd);
	close(flat);
	flat = open("/sys/devices/system/cpu/online", O_RDONLY);
	CHECK(flat >= 0 && lseek(flat, -6, SEEK_END) == 4090 && *on(flat) == '\0');
	CHECK(again(flat)[0] == '0' && lseek(flat, 5, SEEK_HOLE) == 4096);
	close(flat);
}

/* ---- what they say ---- */

static void check_names(void)
{
	int fd = open("/proc/self/comm", O_RDWR), pid = zombie("a\\b\nc d");

	CHECK(strncmp(text_of(pid, "comm"), "a\\b\nc d\n", 9) == 0);
	CHECK(has_line(pid, "status", "Name:\ta\\\\b\\nc d\n"));
	CHECK(waitpid(pid, NULL, 0) == pid);
	CHECK(write(fd, "hello\n", 6) == 6 && strcmp(again(fd), "hello\n\n") == 0);
	CHECK(write(fd, "a name too long for it\n", 23) == 23);
	CHECK(strcmp(again(fd), "a name too long\n") == 0);
	CHECK(fails(pwrite(fd, "x", 1, 0), ESPIPE) && fails(fchmod(fd, 0600), EPERM));
	close(fd);
}

static void check_priority(void)
{
	struct sched_param none = {0};
	cpu_set_t last, all;
	char line[64];
	int cpu = 0;

	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 &&
	      sched_setscheduler(0, SCHED_BATCH, &none) == 0);
	CHECK(field(getpid(), 18) == 25 && field(getpid(), 19) == 5);
	CHECK(field(getpid(), 40) == 0 && field(getpid(), 41) == SCHED_BATCH);
	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
	for (int i = 0; i < CPU_SETSIZE; i++)
		cpu = CPU_ISSET(i, &all) ? i : cpu;
	CPU_ZERO(&last);
	CPU_SET(cpu, &last);
	CHECK(sched_setaffinity(0, sizeof(last), &last) == 0);
	snprintf(line, sizeof(line), "Cpus_allowed_list:\t%d\n", cpu);
	CHECK(has_line(getpid(), "status", line));
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
	CHECK(prctl(PR_SET_TIMERSLACK, 1234) == 0);
	CHECK(strcmp(text_of(getpid(), "timerslack_ns"), "1234\n") == 0);
}

static bool oom_takes(const char *number, ssize_t result)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY);
	ssize_t r = write(fd, number, strlen(number));

	close(fd);
	return r == result;
}

/* Without privilege, from a value that a privileged one has set. */
static void check_oom(void)
{
	int pid = fork();

	if (!pid) {
		CHECK(oom_takes("500", 3));
		CHECK(geteuid() != 0 || setresuid(OTHER, OTHER, OTHER) == 0);
		CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
		CHECK(oom_takes("600", 3) && oom_takes(" 0x226 \n", 8));
		CHECK(strcmp(text_of(getpid(), "oom_score_adj"), "550\n") == 0);
		CHECK(oom_takes("-1000", -1) && errno == EACCES);
		CHECK(oom_takes("1001", -1) && errno == EINVAL);
		CHECK(oom_takes("1 2", -1) && errno == EINVAL);
		/* No more than 12 bytes are looked at: octal 1130. */
		CHECK(oom_takes("00000000113099", 12));
		CHECK(strcmp(text_of(getpid(), "oom_score_adj"), "600\n") == 0);
		_exit(0);
	}
	int status;
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

/* Addresses are told to who may look into the process, that there is code to all. */
static void check_addresses(void)
{
	int me = getpid(), status, pid = fork();

	if (!pid) {
		CHECK(geteuid() != 0 || setresgid(OTHER, OTHER, OTHER) == 0);
		bool other = geteuid() == 0 && setresuid(OTHER, OTHER, OTHER) == 0;
		CHECK(other == (field(me, 26) == 1 && field(me, 27) == 1 && field(me, 28) == 0));
		for (int i = 47; i <= 51; i++)
			CHECK(other == (field(me, i) == 0));
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	int z = zombie("z");
	CHECK(field(z, 26) == 0 && field(z, 52) == 5 << 8 && waitpid(z, NULL, 0) == z);
}

/* ---- threads ---- */

static int ends[2];
static int thread_id;

static void *wait_for_end(void *arg)
{
	char byte;

	thread_id = (int)syscall(SYS_gettid);
	CHECK(write(ends[1], "", 1) == 1);
	CHECK(read(*(int *)arg, &byte, 1) == 1);
	return NULL;
}

static unsigned long links_of(int pid)
{
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	CHECK(stat(path, &st) == 0);
	return st.st_nlink;
}

/* Of a zombie. */
static void check_left(int pid)
{
	static const struct {
		const char *name;
		int error;
	} gone[] = {{"mounts", EINVAL},	    {"mountinfo", EINVAL}, {"root", ENOENT},
		    {"exe", ENOENT},	    {"cwd", ENOENT},	   {"ns/net", ENOENT},
		    {"smaps_rollup", ESRCH}};
	struct stat st;

	for (size_t i = 0; i < sizeof(gone) / sizeof(gone[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, gone[i].name);
		CHECK(fails(open(path, O_RDONLY), gone[i].error));
		CHECK(lstat(path, &st) == 0 && (!S_ISLNK(st.st_mode) || stat(path, &st) == -1));
		CHECK(!S_ISLNK(st.st_mode) || fails(readlink(path, text, 10), ENOENT));
	}
	snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
	CHECK(stat(path, &st) == 0 && strstr(text_of(pid, "status"), "Umask") == NULL);
}

static void check_threads(void)
{
	int stop[2];
	char line[32], byte;
	pthread_t thread;

	CHECK(pipe(ends) == 0 && pipe(stop) == 0 && links_of(getpid()) == 3);
	CHECK(pthread_create(&thread, NULL, wait_for_end, &stop[0]) == 0);
	CHECK(read(ends[0], &byte, 1) == 1 && links_of(getpid()) == 4);
	/* A thread's number is as good as a process's, but shown nowhere. */
	snprintf(line, sizeof(line), "Pid:\t%d\n", thread_id);
	CHECK(has_line(thread_id, "status", line));
	snprintf(line, sizeof(line), "Tgid:\t%d\n", getpid());
	CHECK(has_line(thread_id, "status", line) && entries(thread_id, "task") == 2);
	CHECK(entries(getpid(), "task") == 2);
	CHECK(write(stop[1], "", 1) == 1 && pthread_join(thread, NULL) == 0);
	int pid = zombie("z");
	CHECK(entries(pid, "task") == 1 && links_of(pid) == 3);
	CHECK(geteuid() || entries(pid, "fd") == 0);
	snprintf(line, sizeof(line), "task/%d/stat", pid);
	CHECK(atoi(text_of(pid, line)) == pid && strstr(text, "(z) Z ") != NULL);
	check_left(pid);
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void check_namespace(void)
{
	char name[64] = "", want[64];
	struct stat st;

	CHECK(readlink("/proc/self/ns/net", name, sizeof(name) - 1) > 0);
	CHECK(stat("/proc/self/ns/net", &st) == 0 && st.st_mode == (S_IFREG | 0444));
	snprintf(want, sizeof(want), "net:[%lu]", (unsigned long)st.st_ino);
	CHECK(strcmp(name, want) == 0 && st.st_size == 0 && st.st_uid == 0);
	CHECK(access("/proc/self/ns/net", R_OK) == 0);
	CHECK(fails(stat("/proc/self/ns/net/", &st), ENOTDIR));
	CHECK(fails(chdir("/proc/self/ns/net"), ENOTDIR));
}

static void check_link(const char *name)
{
	int fd = open(name, O_PATH | O_NOFOLLOW);
	char link[16];
	struct stat st, same;

	CHECK(fd >= 0 && fstat(fd, &st) == 0 && S_ISLNK(st.st_mode));
	CHECK(lstat(name, &same) == 0 && st.st_ino == same.st_ino);
	CHECK(readlinkat(fd, "", link, sizeof(link)) == readlink(name, text, sizeof(link)));
	CHECK(memcmp(link, text, 1) == 0 && fails(read(fd, text, 1), EBADF));
	CHECK(fails(openat(fd, "x", O_RDONLY), ENOTDIR) && fails(fchdir(fd), ENOTDIR));
	CHECK(fails(open(name, O_PATH | O_NOFOLLOW | O_DIRECTORY), ENOTDIR));
	CHECK(fails(open(name, O_RDONLY | O_NOFOLLOW), ELOOP));
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK(fails(open(path, O_RDONLY), ELOOP) && readlink(path, text, sizeof(text)) > 0);
	close(fd);
}

int main(void)
{
	check_news();
	check_shared();
	check_copied();
	check_gone();
	check_seeks();
	check_names();
	check_priority();
	check_oom();
	check_addresses();
	check_threads();
	check_namespace();
	check_link("/proc/self");
	check_link("/proc/self/cwd");
	check_link("/proc/self/exe");
	check_link("/proc/self/fd/1");
	check_link("/proc/self/ns/net");
	puts("ok");
	return 0;
}
