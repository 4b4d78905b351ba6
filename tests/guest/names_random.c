/*
 * names_random SEED CALLS: random calls on names that lead through a tree that was there before,
 * which tests/e2e/names-random makes: links, folders that the calls make, move and remove,
 * descriptors and working directories whose names have changed since, "..".  What each came to is
 * printed.
 */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define FOLDERS	     4
#define NAME_MAX_LEN 512

static char top[256];
static int top_fd, folders[FOLDERS];

/* Of one to three components. */
static const char *name(void)
{
	static const char *const parts[] = {"a",   "b",	   "m",	   "img", "img2",
					    "lnk", "dang", "loop", "f",	  "dl"};
	static char names[2][NAME_MAX_LEN];
	static unsigned turn;
	char *to = names[turn++ % 2];
	size_t len = 0;

	if (pick(5) == 0)
		len += (size_t)sprintf(to, "%s/", top);
	for (unsigned left = 1 + pick(3); left > 0; left--) {
		const char *part = pick(7) == 0	   ? ".."
				   : pick(20) == 0 ? "."
						   : parts[pick(sizeof(parts) / sizeof(*parts))];
		len += (size_t)sprintf(to + len, "%s%s", part, left > 1 ? "/" : "");
	}
	if (pick(12) == 0)
		sprintf(to + len, "/");
	return to;
}

static int from(void)
{
	return pick(3) != 0 ? AT_FDCWD : folders[pick(FOLDERS)];
}

static void told(const char *call, const char *of, long r)
{
	printf("%s %s: %s\n", call, of, r < 0 ? strerrorname_np(errno) : "done");
}

static void do_stat(void)
{
	int dir = from(), flags = pick(3) == 0 ? AT_SYMLINK_NOFOLLOW : 0;
	const char *n = name();
	struct stat st = {0};
	int r = fstatat(dir, n, &st, flags);

	printf("%o ", st.st_mode & S_IFMT);
	told(flags != 0 ? "lstat" : "stat", n, r);
}

static void do_read(void)
{
	int dir = from();
	const char *n = name();
	int fd = openat(dir, n, O_RDONLY | O_NONBLOCK);
	char text[64];

	told("open", n, fd);
	if (fd < 0)
		return;
	ssize_t len = read(fd, text, sizeof(text));
	printf(" '%.*s'\n", len < 0 ? 0 : (int)len, text);
	close(fd);
}

static void do_list(void)
{
	int dir = from();
	const char *n = name();
	struct dirent **names;
	int count = scandirat(dir, n, &names, NULL, alphasort);

	told("list", n, count);
	for (int i = 0; i < count; i++) {
		printf(" %s", names[i]->d_name);
		free(names[i]);
	}
	if (count >= 0) {
		free(names);
		puts("");
	}
}

static void do_write(void)
{
	static const int ways[] = {O_CREAT, O_CREAT | O_EXCL, O_APPEND, O_TRUNC};
	int dir = from(), way = ways[pick(4)];
	const char *n = name();
	int fd = openat(dir, n, O_WRONLY | O_NONBLOCK | way, 0644);

	told("write", n, fd);
	if (fd < 0)
		return;
	if (pick(3) != 0)
		CHECK(write(fd, n, strlen(n)) > 0);
	close(fd);
}

static void do_mkdir(void)
{
	int dir = from();
	const char *n = name();

	told("mkdir", n, mkdirat(dir, n, 0755));
}

static void do_symlink(void)
{
	int dir = from();
	const char *target = name(), *n = name();

	printf("%s at ", target);
	told("symlink", n, symlinkat(target, dir, n));
}

static void do_link(void)
{
	int dir = from();
	const char *a = name(), *b = name();

	printf("%s to ", a);
	told("link", b, linkat(dir, a, AT_FDCWD, b, 0));
}

static void do_rename(void)
{
	int dir = from();
	const char *a = name(), *b = name();

	printf("%s to ", a);
	told("rename", b, renameat(dir, a, AT_FDCWD, b));
}

static void do_remove(void)
{
	int dir = from(), flags = pick(3) != 0 ? AT_REMOVEDIR : 0;
	const char *n = name();

	told(flags != 0 ? "rmdir" : "unlink", n, unlinkat(dir, n, flags));
}

static void do_truncate(void)
{
	const char *n = name();

	told("truncate", n, truncate(n, pick(2)));
}

/* Descriptors keep their folders, whatever becomes of the names. */
static void do_keep(void)
{
	int dir = from();
	const char *n = name();
	int fd = openat(dir, n, O_RDONLY | O_DIRECTORY);

	told("keep", n, fd);
	if (fd >= 0)
		CHECK(dup2(fd, folders[pick(FOLDERS)]) >= 0 && close(fd) == 0);
}

/* Never above the tree for good: there the calls would meet what others do. */
static void come_back(void)
{
	char here[4096];

	if (getcwd(here, sizeof(here)) == NULL || strncmp(here, top, strlen(top)) != 0)
		CHECK(fchdir(top_fd) == 0);
}

static void do_chdir(void)
{
	const char *n = name();

	told("chdir", n, pick(2) == 0 ? chdir(n) : fchdir(folders[pick(FOLDERS)]));
	come_back();
}

static void run(unsigned long calls);

static void do_fork(void)
{
	if (pick(4) != 0)
		return;
	fflush(stdout);
	pid_t child = fork();
	if (child == 0) {
		run(15);
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(child, NULL, 0) == child);
}

static void run(unsigned long calls)
{
	static void (*const kinds[])(void) = {
		do_stat,   do_stat,   do_stat,	do_stat,    do_read,	do_read,
		do_read,   do_list,   do_write, do_write,   do_mkdir,	do_mkdir,
		do_remove, do_remove, do_link,	do_symlink, do_rename,	do_rename,
		do_keep,   do_chdir,  do_chdir, do_fork,    do_truncate};

	for (unsigned long i = 0; i < calls; i++)
		kinds[pick(sizeof(kinds) / sizeof(*kinds))]();
}

int main(int argc, char **argv)
{
	CHECK(argc == 3 && getcwd(top, sizeof(top)) != NULL);
	state = strtoul(argv[1], NULL, 10);
	top_fd = open(".", O_RDONLY | O_DIRECTORY);
	for (int i = 0; i < FOLDERS; i++)
		folders[i] = dup(top_fd);
	run(strtoul(argv[2], NULL, 10));
	return 0;
}
