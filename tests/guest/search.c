/*
 * Directories that may not be searched, on the way of every call that takes a path: by the ids, the
 * groups and the capabilities of who asks, through links, from open directories, and after their
 * modes change.  Prints results, the same on bare Linux.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define OTHER 20001
#define GROUP 20002

/* Names below the tree; d is the directory whose mode and owner change. */
static const char *const paths[] = {
	"d/f",	    "d/none",	"d/sub/f", "d/sub/..", "d/.",	     "d/..",	  "d/../f",
	"d",	    "d/",	"in/f",	   "in/none",  "deep/f",     "deep/none", "d/link",
	"d/none/x", "none/d/f", "f/x",	   "d/f/x",    "d/sub/none", "out",	  "d/fifo",
};
#define PATHS (sizeof(paths) / sizeof(*paths))

static void put(const char *what, const char *path, long result)
{
	int error = errno;

	printf("%s %s %s\n", what, path, result < 0 ? strerrorname_np(error) : "ok");
}

static void put_fd(const char *what, const char *path, int fd)
{
	put(what, path, fd);
	if (fd >= 0)
		close(fd);
}

/* What changes nothing. */
static void look(int dir, const char *path)
{
	struct statfs fs;
	struct stat st;
	char text[64];

	put("stat", path, fstatat(dir, path, &st, 0));
	put("lstat", path, fstatat(dir, path, &st, AT_SYMLINK_NOFOLLOW));
	put_fd("open", path, openat(dir, path, O_RDONLY | O_NONBLOCK));
	put_fd("write", path, openat(dir, path, O_WRONLY | O_NONBLOCK));
	put_fd("truncate", path, openat(dir, path, O_WRONLY | O_TRUNC | O_NONBLOCK));
	put_fd("path", path, openat(dir, path, O_PATH | O_NOFOLLOW));
	put_fd("dir", path, openat(dir, path, O_RDONLY | O_DIRECTORY));
	put_fd("exclusive", path, openat(dir, path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0));
	put("access", path, faccessat(dir, path, F_OK, 0));
	put("link", path, readlinkat(dir, path, text, sizeof(text)));
	put("statfs", path, dir == AT_FDCWD ? statfs(path, &fs) : 0);
	if (!strstr(path, "..") && !strstr(path, "/."))
		put("chmod", path, fchmodat(dir, path, 0600, 0));
	put("times", path, utimensat(dir, path, NULL, 0));
	if (dir == AT_FDCWD)
		put("execute", path, execl(path, path, NULL));
}

/* What would make, remove or move: tried where it must fail, or is undone. */
static void change(int dir, const char *path)
{
	if (mkdirat(dir, path, 0700) == 0)
		CHECK(unlinkat(dir, path, AT_REMOVEDIR) == 0);
	put("mkdir", path, mkdirat(dir, path, 0700));
	put("rmdir", path, unlinkat(dir, path, AT_REMOVEDIR));
	put("symlink", path, symlinkat("x", dir, path));
	put("hardlink", path, linkat(dir, "f", dir, path, 0));
	put("rename", path, renameat(dir, path, dir, "none/none"));
	put("onto", path, renameat(dir, "none", dir, path));
	put("exchange", path, renameat2(dir, path, dir, "d/none2", RENAME_EXCHANGE));
}

static void make_file(const char *path)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1 && fchmod(fd, 0644) == 0 && close(fd) == 0);
}

static void make_tree(void)
{
	umask(0);
	CHECK(system("chmod -R 777 tree 2>/dev/null; rm -rf tree") >= 0);
	CHECK(mkdir("tree", 0755) == 0 && chdir("tree") == 0 && mkdir("d", 0755) == 0);
	CHECK(mkdir("d/sub", 0755) == 0 && mkfifo("d/fifo", 0644) == 0);
	make_file("f");
	make_file("d/f");
	make_file("d/sub/f");
	CHECK(symlink("d", "in") == 0 && symlink("in/sub", "deep") == 0);
	CHECK(symlink("f", "d/link") == 0 && symlink("d/sub/../f", "out") == 0);
}

static const struct who {
	const char *name;
	int uid, gid, extra; /* extra: a supplementary group, or 0 */
} people[] = {
	{"root", 0, 0, 0},
	{"other", OTHER, OTHER, 0},
	{"member", OTHER, GROUP, 0},
	{"supplementary", OTHER, OTHER, GROUP},
};

static void become(const struct who *who)
{
	gid_t group = (gid_t)who->extra;

	if (geteuid() != 0)
		return;
	CHECK(setgroups(group != 0, &group) == 0);
	CHECK(setresgid((gid_t)who->gid, (gid_t)who->gid, (gid_t)who->gid) == 0);
	CHECK(setresuid((uid_t)who->uid, (uid_t)who->uid, (uid_t)who->uid) == 0);
}

static void ask(const struct who *who, int inside)
{
	int status;

	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		become(who);
		for (size_t i = 0; i < PATHS; i++) {
			look(AT_FDCWD, paths[i]);
			change(AT_FDCWD, paths[i]);
		}
		/* From an open directory, whatever lies above it. */
		look(inside, "f");
		look(inside, "../f");
		change(inside, "none");
		put("fchdir", "d/sub", fchdir(inside));
		look(AT_FDCWD, "f");
		look(AT_FDCWD, "../f");
		exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	static const mode_t modes[] = {0755, 0700, 0750, 0744, 0600, 0711, 0677, 0755};
	bool root = geteuid() == 0;

	make_tree();
	int inside = open("d/sub", O_RDONLY | O_DIRECTORY);
	CHECK(inside >= 0);
	for (size_t m = 0; m < sizeof(modes) / sizeof(*modes); m++) {
		CHECK(chmod("d", modes[m]) == 0 && (!root || chown("d", 0, GROUP) == 0));
		for (size_t i = 0; i < (root ? sizeof(people) / sizeof(*people) : 1); i++) {
			printf("== %o %s\n", modes[m], root ? people[i].name : "own");
			ask(&people[i], inside);
		}
	}
	if (root) {
		printf("== other's own\n");
		CHECK(chown("d", OTHER, GROUP) == 0 && chmod("d", 0077) == 0);
		ask(&people[1], inside);
		ask(&people[2], inside);
	}
	CHECK(chmod("d", 0755) == 0 && chdir("..") == 0 && system("rm -rf tree") == 0);
	return 0;
}
