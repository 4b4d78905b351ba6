/*
 * chroot: what a name means below another root, for every family of calls that takes one; who has
 * the root; ways out that Linux leaves open.  As root, who may.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define OTHER 1234

static char jail[PATH_MAX]; /* its name outside */

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_CREAT | O_TRUNC | O_WRONLY, 0644);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text) && close(fd) == 0);
}

static bool holds_fd(int fd, const char *text)
{
	char got[100] = "";

	return fd >= 0 && read(fd, got, sizeof(got) - 1) >= 0 && close(fd) == 0 &&
	       strcmp(got, text) == 0;
}

static bool holds(const char *path, const char *text)
{
	return holds_fd(open(path, O_RDONLY), text);
}

static bool is_link_to(const char *path, const char *target)
{
	char got[PATH_MAX] = "";

	return readlink(path, got, sizeof(got) - 1) >= 0 && strcmp(got, target) == 0;
}

/* getcwd of the kernel, which says where it is not below the root. */
static bool is_at(const char *cwd)
{
	char got[PATH_MAX + 20];

	return syscall(SYS_getcwd, got, sizeof(got)) == (long)strlen(cwd) + 1 &&
	       strcmp(got, cwd) == 0;
}

/* In a process of its own. */
static void apart(void (*check)(void))
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		check();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void enter(void)
{
	CHECK(chroot("jail") == 0 && chdir("/") == 0);
}

static void make(void)
{
	umask(022);
	CHECK(mkdir("jail", 0755) == 0 && mkdir("jail/etc", 0755) == 0 &&
	      mkdir("jail/d", 0755) == 0);
	CHECK(mkdir("jail/d/e", 0755) == 0 && mkdir("outside", 0755) == 0);
	CHECK(realpath("jail", jail) != NULL);
	put("jail/etc/name", "inner");
	put("outside/name", "outer");
	put("jail/d/file", "file");
	CHECK(symlink("/etc/name", "jail/absolute") == 0 &&
	      symlink("../../../etc", "jail/d/up") == 0);
	CHECK(symlink("/d/", "jail/slashed") == 0 && symlink("loop", "jail/loop") == 0);
	CHECK(symlink("/made", "jail/dangling") == 0 && symlink("absolute", "jail/twice") == 0);
	CHECK(symlink("d/file/", "jail/filedir") == 0);
}

static void check_names(void)
{
	struct stat a, b;

	enter();
	CHECK(is_at("/") && holds("/etc/name", "inner") && holds("etc/name", "inner"));
	CHECK(holds("absolute", "inner") && holds("/twice", "inner") &&
	      holds("d/up/name", "inner"));
	CHECK(holds("/../../etc/name", "inner") && holds("../etc/./name", "inner"));
	CHECK(holds("d/e/../../../../etc/name", "inner") && holds("slashed/file", "file"));
	CHECK(fails(open("/outside/name", O_RDONLY), ENOENT) &&
	      fails(open(jail, O_RDONLY), ENOENT));
	CHECK(fails(open("loop", O_RDONLY), ELOOP) && fails(open("loop/x", O_RDONLY), ELOOP));
	CHECK(fails(open("none/../etc/name", O_RDONLY), ENOENT));
	CHECK(fails(open("etc/name/../name", O_RDONLY), ENOTDIR));
	CHECK(fails(open("etc/name/", O_RDONLY), ENOTDIR) &&
	      fails(open("etc/name/.", O_RDONLY), ENOTDIR));
	CHECK(fails(open("filedir", O_RDONLY), ENOTDIR));
	CHECK(fails(open("absolute", O_RDONLY | O_NOFOLLOW), ELOOP));
	CHECK(stat("/", &a) == 0 && stat("/..", &b) == 0 && a.st_ino == b.st_ino);
	CHECK(stat(".", &b) == 0 && a.st_ino == b.st_ino && stat("d/../..", &b) == 0 &&
	      a.st_ino == b.st_ino);
	CHECK(lstat("absolute", &a) == 0 && S_ISLNK(a.st_mode) && a.st_size == 9);
	CHECK(lstat("slashed/", &a) == 0 && S_ISDIR(a.st_mode));
	CHECK(fails(lstat("absolute/", &a), ENOTDIR));
	CHECK(stat("absolute", &a) == 0 && S_ISREG(a.st_mode) && a.st_size == 5);
	CHECK(is_link_to("absolute", "/etc/name") && fails(readlink("etc/name", jail, 1), EINVAL));
	CHECK(access("absolute", R_OK) == 0 && fails(access("dangling", F_OK), ENOENT));
	CHECK(fails(open("", O_RDONLY), ENOENT) && fails(open("/proc/self/exe", O_RDONLY), ENOENT));
	CHECK(fails(open("/dev/null", O_RDONLY), ENOENT) && fails(stat("/sys", &a), ENOENT));
}

static void check_changes(void)
{
	struct stat st;

	enter();
	put("dangling", "made"); /* where the link leads, below the root */
	CHECK(holds("/made", "made") && is_link_to("/dangling", "/made"));
	CHECK(fails(open("dangling", O_CREAT | O_EXCL | O_WRONLY, 0600), EEXIST));
	CHECK(unlink("/made") == 0 && fails(open("dangling", O_RDONLY), ENOENT));
	CHECK(mkdir("/new/", 0700) == 0 && fails(mkdir("dangling", 0700), EEXIST));
	CHECK(fails(mkdir("/", 0700), EEXIST) && fails(mkdir("..", 0700), EEXIST));
	CHECK(fails(rmdir("/"), EBUSY) && fails(rmdir("new/."), EINVAL) &&
	      fails(rmdir("new/.."), ENOTEMPTY));
	CHECK(fails(unlink("/"), EISDIR) && fails(rename("/", "/x"), EBUSY));
	CHECK(fails(rename("d/.", "x"), EBUSY) && fails(rename("d", "etc/.."), EBUSY));
	CHECK(fails(rename("d/..", "none/x"), ENOENT) && fails(rename("none", "/"), EBUSY));
	CHECK(rename("/new", "../d/new") == 0 && stat("d/new", &st) == 0 &&
	      fails(stat("new", &st), ENOENT));
	CHECK(rmdir("slashed/new") == 0 && symlink("/etc", "/link") == 0 && unlink("/link") == 0);
	CHECK(link("/absolute", "/other") == 0 && is_link_to("other", "/etc/name") &&
	      unlink("other") == 0);
	CHECK(linkat(AT_FDCWD, "absolute", AT_FDCWD, "other", AT_SYMLINK_FOLLOW) == 0);
	CHECK(holds("other", "inner") && unlink("/../other") == 0);
	CHECK(chmod("absolute", 0600) == 0 && stat("etc/name", &st) == 0 &&
	      (st.st_mode & 07777) == 0600);
	CHECK(truncate("/absolute", 3) == 0 && holds("etc/name", "inn"));
	CHECK(lchown("absolute", OTHER, OTHER) == 0 && lstat("absolute", &st) == 0 &&
	      st.st_uid == OTHER);
	CHECK(stat("absolute", &st) == 0 && st.st_uid == 0);
	CHECK(mknod("/fifo", S_IFIFO | 0600, 0) == 0 && stat("fifo", &st) == 0 &&
	      S_ISFIFO(st.st_mode));
	CHECK(unlink("fifo") == 0);
	CHECK(chmod("absolute", 0644) == 0);
	put("etc/name", "inner");
}

static void check_cwd(void)
{
	CHECK(chdir("outside") == 0 && chroot("../jail") == 0);
	char expected[PATH_MAX + 20];
	snprintf(expected, sizeof(expected), "(unreachable)%s", jail);
	strcpy(strrchr(expected, '/'), "/outside");
	CHECK(is_at(expected) && holds("name", "outer") && holds("/etc/name", "inner"));
	/* What is outside of the root has no end but the true root. */
	CHECK(holds("../outside/name", "outer") && holds("../jail/etc/name", "inner"));
	CHECK(holds("../jail/../etc/name", "inner"));
	CHECK(chdir("/d/e") == 0 && is_at("/d/e") && chdir("../../..") == 0 && is_at("/"));
	CHECK(chdir("slashed/e") == 0 && is_at("/d/e") && fails(chdir("/outside"), ENOENT));
	CHECK(fails(chdir("/etc/name"), ENOTDIR) && is_at("/d/e"));
	char small[4];
	CHECK(fails(syscall(SYS_getcwd, small, sizeof(small)), ERANGE));
}

/* A descriptor from before leads out; another chroot below does, too. */
static void check_ways_out(void)
{
	struct stat root, now;
	int top = open("/", O_RDONLY | O_DIRECTORY), here = open(".", O_RDONLY | O_DIRECTORY);

	CHECK(top >= 0 && here >= 0 && fstat(top, &root) == 0);
	enter();
	CHECK(holds_fd(openat(here, "outside/name", O_RDONLY), "outer"));
	CHECK(holds_fd(openat(here, "/etc/name", O_RDONLY), "inner"));
	CHECK(holds_fd(openat(here, "jail/absolute", O_RDONLY), "inner"));
	CHECK(holds_fd(openat(here, "jail/../../etc/name", O_RDONLY), "inner"));
	CHECK(fchdir(here) == 0 && holds("outside/name", "outer"));
	CHECK(chroot(".") == 0 && is_at("/") && holds("/outside/name", "outer"));
	CHECK(holds("/jail/etc/name", "inner"));
	CHECK(fchdir(top) == 0 && chroot(".") == 0 && stat("/", &now) == 0 &&
	      now.st_ino == root.st_ino);
	CHECK(close(open("/proc/self/stat", O_RDONLY)) == 0 &&
	      close(open("/dev/null", O_RDWR)) == 0);
	strcat(jail, "/etc/name");
	CHECK(holds(jail, "inner"));
}

static void check_nested(void)
{
	enter();
	CHECK(chdir("d") == 0 && chroot("e") == 0);
	/* The classic way: from a working directory that the second root has left outside. */
	for (int i = 0; i < 64; i++)
		CHECK(chdir("..") == 0);
	CHECK(chroot(".") == 0 && holds("/proc/self/comm", "chroot\n"));
}

static void check_proc(void)
{
	char path[PATH_MAX], line[PATH_MAX];
	int proc = open("/proc", O_RDONLY | O_DIRECTORY);
	int outer = open("outside/name", O_RDONLY), inner = open("jail/d/file", O_RDONLY);

	CHECK(proc >= 0 && outer >= 0 && inner >= 0);
	CHECK(is_link_to("/proc/self/root", "/"));
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		enter();
		CHECK(fchdir(proc) == 0 && is_link_to("self/root", "/") &&
		      is_link_to("self/cwd", "/proc"));
		snprintf(path, sizeof(path), "self/fd/%d", inner);
		CHECK(is_link_to(path, "/d/file") && holds(path, "file"));
		snprintf(path, sizeof(path), "self/fd/%d", outer);
		snprintf(line, sizeof(line), "%s", jail);
		strcpy(strrchr(line, '/'), "/outside/name");
		CHECK(is_link_to(path, line) && holds(path, "outer"));
		CHECK(holds("self/root/etc/name", "inner") && holds("self/root/absolute", "inner"));
		/* From outside: as the other has it. */
		snprintf(path, sizeof(path), "%d/root", (int)getppid());
		CHECK(is_link_to(path, "/"));
		char *all = malloc(1 << 16);
		int fd = open("self/mountinfo", O_RDONLY);
		CHECK(fd >= 0 && read(fd, all, 1 << 16) == 0 && close(fd) == 0);
		free(all);
		pause();
	}
	snprintf(path, sizeof(path), "/proc/%d/root", (int)child);
	while (!is_link_to(path, jail))
		sched_yield();
	strcat(path, "/etc/name");
	CHECK(holds(path, "inner"));
	snprintf(path, sizeof(path), "/proc/%d/root/absolute", (int)child);
	CHECK(fails(open(path, O_RDONLY), ENOENT)); /* a link of ours: below our root */
	CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
	close(proc);
	close(outer);
	close(inner);
}

static int enter_and_end(void *arg)
{
	(void)arg;
	enter();
	return 0;
}

static void check_still_inside(void)
{
	CHECK(is_at("/") && holds("/etc/name", "inner") && chroot("d") == 0);
}

/* fork copies, CLONE_FS shares, unshare ends that. */
static void check_sharing(void)
{
	static char stack[64 << 10] __attribute__((aligned(16)));
	int status;

	apart(enter);
	CHECK(holds("/proc/self/comm", "chroot\n"));
	pid_t child =
		clone(enter_and_end, stack + sizeof(stack), CLONE_FS | CLONE_VM | SIGCHLD, NULL);
	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
	CHECK(is_at("/") && holds("/etc/name", "inner"));
	CHECK(unshare(CLONE_FS) == 0);
	apart(check_still_inside);
}

static void copy(const char *from, const char *to)
{
	static char bytes[1 << 16];
	int in = open(from, O_RDONLY), out = open(to, O_CREAT | O_TRUNC | O_WRONLY, 0755);
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		CHECK(write(out, bytes, (size_t)n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* A file that is mapped, to where the loader looks for it. */
static void copy_mapped(const char *path)
{
	char to[PATH_MAX + 20];
	const char *name = strrchr(path, '/') + 1;

	if (strncmp(name, "ld-linux", 8) == 0)
		snprintf(to, sizeof(to), "jail/lib64/%s", name);
	else if (strstr(name, ".so") != NULL)
		snprintf(to, sizeof(to), "jail/lib/x86_64-linux-gnu/%s", name);
	else
		snprintf(to, sizeof(to), "jail/bin/program");
	copy(path, to);
}

/* Program, loader and libraries of another root. */
static void check_exec(void)
{
	char line[PATH_MAX + 100];
	FILE *maps = fopen("/proc/self/maps", "re");

	CHECK(maps != NULL && mkdir("jail/lib64", 0755) == 0 && mkdir("jail/lib", 0755) == 0);
	CHECK(mkdir("jail/lib/x86_64-linux-gnu", 0755) == 0 && mkdir("jail/bin", 0755) == 0);
	while (fgets(line, sizeof(line), maps) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		char *path = strchr(line, '/');
		if (path != NULL && strstr(line, " 00000000 ") != NULL)
			copy_mapped(path);
	}
	CHECK(fclose(maps) == 0 && symlink("/bin/program", "jail/run") == 0);
	put("jail/script", "#!/run script\n");
	CHECK(chmod("jail/script", 0755) == 0);
	int proc = open("/proc", O_RDONLY | O_DIRECTORY), status;
	CHECK(proc >= 0);
	for (int i = 0; i < 2; i++) {
		pid_t child = fork();
		CHECK(child >= 0);
		if (child == 0) {
			enter();
			snprintf(line, sizeof(line), "%d", proc);
			execl(i == 0 ? "/run" : "script", i == 0 ? "inside" : "x", line, NULL);
			_exit(1);
		}
		CHECK(waitpid(child, &status, 0) == child && status == 0);
	}
	close(proc);
}

/* What was executed there. */
static int inside(int proc)
{
	char line[200];

	CHECK(fchdir(proc) == 0 && is_link_to("self/exe", "/bin/program"));
	int fd = open("self/maps", O_RDONLY);
	CHECK(fd >= 0 && read(fd, line, sizeof(line) - 1) > 0);
	line[sizeof(line) - 1] = '\0';
	CHECK(strstr(line, " /bin/program\n") != NULL);
	return 0;
}

/* The other has got as far as this, too. */
static void meet(int fd)
{
	char c = 0;

	CHECK(write(fd, &c, 1) == 1 && read(fd, &c, 1) == 1);
}

static void root_moves(int fd)
{
	CHECK(chroot("moved/a") == 0 && holds("/name", "of a"));
	meet(fd);
	meet(fd);
	CHECK(holds("/name", "of a") && fails(open("/other", O_RDONLY), ENOENT));
	meet(fd);
	meet(fd);
	CHECK(fails(open("/name", O_RDONLY), ENOENT));
	_exit(0);
}

/* The root is the directory, whatever its name is, and whoever has that now. */
static void check_moved(void)
{
	int ends[2], status;

	CHECK(mkdir("moved", 0755) == 0 && mkdir("moved/a", 0755) == 0);
	put("moved/a/name", "of a");
	CHECK(symlink("moved", "tolink") == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		root_moves(ends[0]);
	meet(ends[1]);
	CHECK(rename("tolink/a", "moved/b") == 0 && mkdir("moved/a", 0755) == 0);
	put("moved/a/other", "another");
	meet(ends[1]);
	meet(ends[1]);
	CHECK(unlink("moved/b/name") == 0 && rmdir("moved/b") == 0 && mkdir("moved/b", 0755) == 0);
	put("moved/b/name", "of another");
	meet(ends[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(ends[0]);
	close(ends[1]);
}

static void check_sockets(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX, .sun_path = "/socket"};
	int s = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0);

	int i = inotify_init1(IN_NONBLOCK);
	char event[sizeof(struct inotify_event) + 32];

	enter();
	CHECK(i >= 0 && inotify_add_watch(i, "/", IN_CREATE) > 0);
	CHECK(s >= 0 && c >= 0 && bind(s, (struct sockaddr *)&a, sizeof(a)) == 0 &&
	      listen(s, 1) == 0);
	CHECK(read(i, event, sizeof(event)) > 0 &&
	      strcmp(((struct inotify_event *)event)->name, "socket") == 0);
	CHECK(connect(c, (struct sockaddr *)&a, sizeof(a)) == 0 && unlink("socket") == 0);
}

static void check_listing(void)
{
	struct dirent *e;
	int names = 0;

	enter();
	DIR *d = opendir("/slashed");
	CHECK(d != NULL);
	while ((e = readdir(d)) != NULL)
		names += strcmp(e->d_name, "file") == 0 || strcmp(e->d_name, "up") == 0;
	CHECK(names == 2 && closedir(d) == 0);
}

/* A root where nothing is, and which is none of the host's. */
static void check_special(void)
{
	CHECK(chroot("/proc/self/fdinfo") == 0 && chdir("/") != 77);
	CHECK(fails(open("/etc/passwd", O_RDONLY), ENOENT));
	CHECK(fails(open("/../../etc/passwd", O_RDONLY), ENOENT) &&
	      fails(mkdir("/x", 0700), ENOENT));
}

/* What chroot itself says. */
static void check_errors(void)
{
	CHECK(fails(chroot("none"), ENOENT) && fails(chroot("outside/name"), ENOTDIR));
	CHECK(fails(chroot("jail/loop"), ELOOP) && fails(chroot((char *)1), EFAULT));
	CHECK(mkdir("closed", 0700) == 0 && setgroups(0, NULL) == 0);
	CHECK(setgid(OTHER) == 0 && setuid(OTHER) == 0);
	CHECK(fails(chroot("jail"), EPERM) && fails(chroot("none"), ENOENT));
	CHECK(fails(chroot("closed"), EACCES) && holds("jail/etc/name", "inner"));
}

/* Another user below the root needs no right to the way there. */
static void check_user(void)
{
	enter();
	CHECK(setgid(OTHER) == 0 && setuid(OTHER) == 0 && fails(chroot("d"), EPERM));
	CHECK(holds("/etc/name", "inner") && fails(open("/etc/none", O_RDONLY), ENOENT));
	CHECK(fails(open("/etc/name", O_WRONLY), EACCES) && fails(mkdir("/x", 0700), EACCES));
}

static void remove_all(void)
{
	CHECK(system("rm -rf jail outside moved tolink closed") == 0);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return inside(atoi(argv[argc - 1]));
	make();
	if (geteuid() != 0) {
		CHECK(fails(chroot("jail"), EPERM) && fails(chroot("none"), ENOENT));
		remove_all();
		puts("ok");
		return 0;
	}
	apart(check_names);
	apart(check_changes);
	apart(check_cwd);
	apart(check_ways_out);
	apart(check_nested);
	check_proc();
	apart(check_sharing);
	check_exec();
	check_moved();
	apart(check_sockets);
	apart(check_listing);
	apart(check_special);
	apart(check_errors);
	apart(check_user);
	remove_all();
	puts("ok");
	return 0;
}
