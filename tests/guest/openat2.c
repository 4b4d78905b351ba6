/*
 * openat2 in all combinations: paths with links, "..", slashes, absolute and relative, from several
 * directories, under every restriction of resolution and with several flags.  Prints what came of
 * each, the same on bare Linux; and checks the arguments themselves.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

static const char *const paths[] = {
	"file",
	"sub/file",
	"./sub/../file",
	"../outside",
	"sub/../../outside",
	"link",
	"link/",
	"sublink/file",
	"up/outside",
	"sub/up",
	"sub/up/file",
	"absolute",
	"absolute/file",
	"loop",
	"dangling",
	"none",
	"none/file",
	"file/",
	"file/none",
	"sub",
	"sub/",
	"sub/.",
	"sub/..",
	".",
	"..",
	"/",
	"/file",
	"/../file",
	"/sub/rooted",
	"sub/rooted",
	"deep/a/b",
	"deep/a/b/back",
	"sub/made",
	"sub/madelink",
	"//sub//file",
	"sub/loop",
	"sub/none/..",
	"sublink",
	"sublink/../up",
	"sub/chain",
};
static const struct {
	uint64_t flags;
	mode_t mode;
} ways[] = {{O_RDONLY, 0},
	    {O_PATH | O_NOFOLLOW, 0},
	    {O_RDONLY | O_DIRECTORY, 0},
	    {O_RDWR | O_CREAT, 0600},
	    {O_RDWR | O_CREAT | O_EXCL, 0640},
	    {O_WRONLY | O_TRUNC | O_NOFOLLOW, 0}};
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Who comes to ".." while anybody on the machine renames or mounts is to ask again (openat2(2)). */
static int open2(int dir, const char *path, uint64_t flags, uint64_t mode, uint64_t resolve)
{
	struct open_how how = {flags, mode, resolve};
	int fd;

	do
		fd = (int)syscall(SYS_openat2, dir, path, &how, sizeof(how));
	while (fd < 0 && errno == EAGAIN && !(resolve & RESOLVE_CACHED));
	return fd;
}

static void make_file(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, name, strlen(name)) == (ssize_t)strlen(name) && close(fd) == 0);
}

static void make_link(const char *target, const char *name)
{
	unlink(name);
	CHECK(symlink(target, name) == 0);
}

/* The tree, whose place has a name of its own wherever this runs. */
static void make_tree(void)
{
	char here[4096];

	mkdir("tree", 0700);
	make_file("outside");
	CHECK(chdir("tree") == 0 && getcwd(here, sizeof(here)) != NULL);
	for (unsigned i = 0; i < 4; i++)
		mkdir((const char *const[]){"sub", "deep", "deep/a", "deep/a/b"}[i], 0700);
	make_file("file");
	make_file("sub/file");
	make_link("file", "link");
	make_link("sub", "sublink");
	make_link("..", "up");
	make_link("../", "sub/up");
	make_link(here, "absolute");
	make_link("loop", "loop");
	make_link("../loop", "sub/loop");
	make_link("sub/made", "dangling");
	make_link("/file", "sub/rooted");
	make_link("../../../file", "deep/a/b/back");
	make_link("made", "sub/madelink");
	make_link("../sublink/../link", "sub/chain");
}

static void restore_tree(void)
{
	unlink("sub/made");
	unlink("none");
	make_file("file");
	make_file("sub/file");
	CHECK(chdir("..") == 0);
	make_file("outside");
	CHECK(chdir("tree") == 0);
}

/* What was opened, without what differs from place to place. */
static void show(int fd, const char *path, unsigned way, uint64_t resolve, char dir)
{
	int error = errno;
	char text[16] = "";
	struct stat st = {0};

	printf("%c %s %u %lx: ", dir, path, way, (unsigned long)resolve);
	if (fd < 0) {
		printf("%s\n", strerrorname_np(error));
		return;
	}
	CHECK(fstat(fd, &st) == 0);
	if (S_ISREG(st.st_mode))
		(void)!pread(fd, text, sizeof(text) - 1, 0);
	printf("%o %ld %s\n", st.st_mode, S_ISREG(st.st_mode) ? (long)st.st_size : 0L, text);
	close(fd);
}

/* Without a restriction, and beneath nothing, "/" is the machine's own. */
static bool is_ours(const char *path, uint64_t resolve)
{
	bool leaves = path[0] == '/' || strstr(path, "rooted") != NULL;

	return !leaves || resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT);
}

static void show_all(int dir, char name)
{
	for (uint64_t resolve = 0; resolve < 32; resolve++) {
		if ((resolve & RESOLVE_BENEATH) && (resolve & RESOLVE_IN_ROOT))
			continue;
		for (unsigned way = 0; way < COUNT(ways); way++) {
			for (unsigned i = 0; i < COUNT(paths); i++) {
				if (!is_ours(paths[i], resolve))
					continue;
				int fd = open2(dir, paths[i], ways[way].flags, ways[way].mode,
					       resolve);
				show(fd, paths[i], way, resolve, name);
				if (way >= 3 && fd >= 0)
					restore_tree();
			}
		}
	}
}

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

static void check_arguments(void)
{
	struct {
		struct open_how how;
		uint64_t more;
	} large = {{O_RDONLY, 0, 0}, 0};
	int scopes = RESOLVE_BENEATH | RESOLVE_IN_ROOT;

	CHECK(syscall(SYS_openat2, AT_FDCWD, "file", &large, sizeof(large)) >= 0);
	large.more = 1;
	CHECK(fails(syscall(SYS_openat2, AT_FDCWD, "file", &large, sizeof(large)), E2BIG));
	CHECK(fails(syscall(SYS_openat2, AT_FDCWD, "file", &large, 23), EINVAL));
	CHECK(fails(syscall(SYS_openat2, AT_FDCWD, "file", NULL, 24), EFAULT));
	CHECK(fails(open2(AT_FDCWD, "file", 1u << 31, 0, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "file", 1ull << 40, 0, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "file", O_RDONLY, 0600, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "file", O_CREAT | O_RDWR, 010000, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "file", O_PATH | O_RDWR, 0, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, ".", 020000000 | O_RDWR, 0600, 0), EINVAL));
	CHECK(fails(open2(AT_FDCWD, ".", O_TMPFILE, 0600, 0), EINVAL));
	CHECK(open2(AT_FDCWD, ".", O_TMPFILE | O_RDWR, 0600, RESOLVE_BENEATH) >= 0);
	CHECK(fails(open2(AT_FDCWD, "file", O_RDONLY, 0, scopes), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "file", O_RDONLY, 0, 64), EINVAL));
	CHECK(fails(open2(AT_FDCWD, "", O_RDONLY, 0, RESOLVE_BENEATH), ENOENT));
	CHECK(fails(open2(900, "file", O_RDONLY, 0, RESOLVE_BENEATH), EBADF));
	int fd = open("file", O_RDONLY);
	CHECK(fails(open2(fd, "file", O_RDONLY, 0, RESOLVE_BENEATH), ENOTDIR));
	CHECK(fails(open2(fd, "/proc/self/fd/0", O_RDONLY, 0, RESOLVE_NO_SYMLINKS), ELOOP) ||
	      errno == ENOSYS);
}

int main(void)
{
	make_tree();
	check_arguments();
	show_all(AT_FDCWD, '.');
	show_all(open("sub", O_RDONLY | O_DIRECTORY), 's');
	show_all(open("deep/a", O_PATH), 'd');
	return 0;
}
