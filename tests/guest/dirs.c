/*
 * Directories: making, removing, renaming in all forms, listings with removal while reading and
 * seeking, links, the working directory and what becomes of it, paths relative to descriptors,
 * directories as seen through /proc/self.
 */
#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define ENTRIES 300

static void touch(const char *path)
{
	int fd = open(path, O_CREAT | O_WRONLY, 0644);

	CHECK(fd >= 0 && close(fd) == 0);
}

static int exists(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

static void check_making(void)
{
	CHECK(mkdir("a", 0755) == 0 && mkdir("a", 0755) == -1 && errno == EEXIST);
	CHECK(mkdir("x/y", 0755) == -1 && errno == ENOENT && mkdir("a/b", 0700) == 0);
	CHECK(rmdir("a") == -1 && errno == ENOTEMPTY && unlink("a") == -1 && errno == EISDIR);
	touch("a/f");
	CHECK(rmdir("a/f") == -1 && errno == ENOTDIR && unlink("a/f") == 0 && rmdir("a/b") == 0);
	CHECK(rmdir("a") == 0 && rmdir("a") == -1 && errno == ENOENT);
}

static void check_renaming(void)
{
	touch("f");
	touch("g");
	CHECK(mkdir("d", 0755) == 0 && mkdir("e", 0755) == 0);
	CHECK(rename("f", "g") == 0 && !exists("f") && rename("g", "d") == -1 && errno == EISDIR);
	CHECK(rename("d", "g") == -1 && errno == ENOTDIR && rename("d", "e") == 0 && !exists("d"));
	CHECK(rename("e", "e/x") == -1 && errno == EINVAL);
	touch("h");
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "g", AT_FDCWD, "h", 1) == -1 && errno == EEXIST);
	CHECK(syscall(SYS_renameat2, AT_FDCWD, "g", AT_FDCWD, "e", 2) == 0);
	struct stat st;
	CHECK(stat("g", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(rmdir("g") == 0 && unlink("e") == 0 && unlink("h") == 0);
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static void check_listing(void)
{
	struct dirent **list, *entry;
	char path[32];
	int seen = 0, kept = 0;
	DIR *dir;

	CHECK(mkdir("many", 0755) == 0 && chdir("many") == 0);
	for (int i = 0; i < ENTRIES; i++) {
		snprintf(path, sizeof(path), "entry%d", i);
		touch(path);
	}
	CHECK(scandir(".", &list, NULL, by_name) == ENTRIES + 2 &&
	      strcmp(list[0]->d_name, ".") == 0);
	CHECK((dir = opendir(".")));
	long start = telldir(dir);
	while ((entry = readdir(dir))) {
		struct stat st;

		CHECK(lstat(entry->d_name, &st) == 0);
		CHECK(entry->d_name[0] == '.' ||
		      (st.st_ino == entry->d_ino && entry->d_type == DT_REG));
		seen++;
	}
	CHECK(seen == ENTRIES + 2);
	seekdir(dir, start);
	for (seen = 0; (entry = readdir(dir)); seen++)
		if (entry->d_name[0] != '.' && unlink(entry->d_name) == 0)
			kept++;
	CHECK(kept == ENTRIES && seen == ENTRIES + 2);
	rewinddir(dir);
	for (seen = 0; readdir(dir); seen++)
		;
	CHECK(seen == 2 && closedir(dir) == 0 && chdir("..") == 0 && rmdir("many") == 0);
}

static void check_links(void)
{
	char target[PATH_MAX];

	touch("f");
	CHECK(symlink("f", "s") == 0 && readlink("s", target, sizeof(target)) == 1);
	CHECK(readlink("s", target, 0) == -1 && errno == EINVAL && target[0] == 'f');
	CHECK(readlink("f", target, 9) == -1 && errno == EINVAL);
	CHECK(linkat(AT_FDCWD, "s", AT_FDCWD, "h", AT_SYMLINK_FOLLOW) == 0 && link("f", "h") == -1);
	CHECK(errno == EEXIST && unlink("f") == 0 && access("s", F_OK) == -1 && exists("h"));
	CHECK(unlink("s") == 0 && unlink("h") == 0);
}

static void check_working(void)
{
	char before[PATH_MAX], now[PATH_MAX];

	CHECK(getcwd(before, sizeof(before)) && getcwd(now, 1) == NULL && errno == ERANGE);
	CHECK(mkdir("w", 0755) == 0 && symlink("w", "v") == 0 && chdir("v") == 0);
	CHECK(getcwd(now, sizeof(now)) && strcmp(now + strlen(now) - 2, "/w") == 0);
	touch("in");
	int dir = open("..", O_RDONLY | O_DIRECTORY);
	CHECK(dir >= 0 && faccessat(dir, "w/in", F_OK, 0) == 0 && unlinkat(dir, "w/in", 0) == 0);
	CHECK(mkdirat(dir, "u", 0755) == 0 && renameat(dir, "w", dir, "t") == 0);
	CHECK(getcwd(now, sizeof(now)) && strcmp(now + strlen(now) - 2, "/t") == 0);
	CHECK(rmdir("../t") == 0 && getcwd(now, sizeof(now)) == NULL && errno == ENOENT);
	CHECK(open("new", O_CREAT | O_WRONLY, 0600) == -1 && errno == ENOENT && fchdir(dir) == 0);
	CHECK(getcwd(now, sizeof(now)) && strcmp(now, before) == 0 && unlink("v") == 0);
	CHECK(unlinkat(dir, "u", AT_REMOVEDIR) == 0 && close(dir) == 0);
	CHECK(openat(dir, "x", O_RDONLY) == -1 && errno == EBADF);
}

static void check_proc(void)
{
	char target[PATH_MAX], cwd[PATH_MAX], path[64];
	ssize_t length;
	int fd;

	CHECK(getcwd(cwd, sizeof(cwd)) && (length = readlink("/proc/self/cwd", target, 999)) > 0);
	CHECK((size_t)length == strlen(cwd) && memcmp(target, cwd, length) == 0);
	touch("p");
	CHECK((fd = open("p", O_RDONLY)) >= 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	CHECK((length = readlink(path, target, 999)) > 2 && target[length - 1] == 'p');
	int again = open(path, O_RDONLY);
	CHECK(again >= 0 && close(again) == 0 && close(fd) == 0 && unlink("p") == 0);
	CHECK((length = readlink("/proc/self", target, 999)) > 0);
	target[length] = 0;
	CHECK(atoi(target) == getpid());
}

int main(void)
{
	check_making();
	check_renaming();
	check_listing();
	check_links();
	check_working();
	check_proc();
	printf("dirs ok\n");
	return 0;
}
