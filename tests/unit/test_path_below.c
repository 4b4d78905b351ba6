/* Paths taken below a folder: what is made where, and that nothing leads out of it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "base/path_below.h"

static int root;

static int open_below(const char *path, bool make, char last[PATH_BELOW_NAME_MAX])
{
	int fd = path_below_open(root, path, make, last);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static int create(const char *path)
{
	int fd = path_below_create(root, path, 0640);

	if (fd >= 0)
		close(fd);
	return fd < 0 ? fd : 0;
}

static void test_open(void)
{
	char last[PATH_BELOW_NAME_MAX], path[600];

	CHECK(open_below("/", false, last) == 0 && strcmp(last, ".") == 0);
	CHECK(open_below("", false, last) == 0 && strcmp(last, ".") == 0);
	CHECK(open_below("/a", false, last) == 0 && strcmp(last, "a") == 0);
	CHECK(open_below("/a/b", false, last) == -ENOENT);
	CHECK(open_below("//a//b//c/", true, last) == 0 && strcmp(last, "c") == 0);
	CHECK(faccessat(root, "a/b", F_OK, 0) == 0);
	CHECK(faccessat(root, "a/b/c", F_OK, 0) < 0);
	CHECK(open_below("..", true, last) == -EINVAL);
	CHECK(open_below("/../x", true, last) == -EINVAL);
	CHECK(open_below("/a/../../x", true, last) == -EINVAL);
	CHECK(open_below("/a/b/..", true, last) == -EINVAL);
	CHECK(open_below("/a/..b/c", true, last) == 0);
	snprintf(path, sizeof(path), "/a/%0255d", 1);
	CHECK(open_below(path, true, last) == 0 && strlen(last) == 255);
	snprintf(path, sizeof(path), "/a/%0256d", 1);
	CHECK(open_below(path, true, last) == -EINVAL);
}

/* `outside` is a folder with a file `file` of 4 bytes. */
static void test_links(const char *outside)
{
	char last[PATH_BELOW_NAME_MAX], target[600];
	struct stat st;

	CHECK(symlinkat(outside, root, "link") == 0);
	CHECK(open_below("/link/file", false, last) < 0);
	CHECK(open_below("/link/below/file", true, last) < 0);
	CHECK(create("/link/file") < 0);
	snprintf(target, sizeof(target), "%s/file", outside);
	CHECK(symlinkat(target, root, "to-file") == 0);
	CHECK(create("/to-file") == 0);
	CHECK(fstatat(root, "to-file", &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode));
	CHECK(stat(target, &st) == 0 && st.st_size == 4);
}

static void test_create(void)
{
	struct stat st;

	CHECK(create("/new/folder/file") == 0);
	CHECK(create("/new/folder/file") == 0);
	CHECK(fstatat(root, "new/folder/file", &st, 0) == 0 && (st.st_mode & 07777) == 0640);
	CHECK(create("/new/folder") < 0);
	CHECK(create("/new/folder/file/below") < 0);
	CHECK(create("/") < 0);
}

int main(void)
{
	char base[] = "/tmp/test-path-below-XXXXXX", path[64], command[96];
	int fd;

	if (mkdtemp(base) == NULL || chdir(base) < 0 || mkdir("root", 0700) < 0 ||
	    mkdir("outside", 0700) < 0)
		return 1;
	fd = open("outside/file", O_WRONLY | O_CREAT, 0600);
	if (fd < 0 || write(fd, "mine", 4) != 4 || close(fd) < 0)
		return 1;
	snprintf(path, sizeof(path), "%s/outside", base);
	root = open("root", O_RDONLY | O_DIRECTORY);
	test_open();
	test_links(path);
	test_create();
	close(root);
	snprintf(command, sizeof(command), "rm -rf %s", base);
	return system(command) != 0 || failures != 0;
}
