/*
 * chroot_random SEED COUNT: random calls on random names in random trees of folders and links,
 * below a root and, by descriptors, from outside of it; prints what each comes to.  As root, who
 * may.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

static uint64_t state;

static unsigned draw(unsigned n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % n;
}

static const char *const parts[] = {"a", "b", "c",  "d",  "f", "g", "l",
				    "m", "n", "..", "..", ".", "o"};

/* Of one to five components, with what may stand around them. */
static const char *name(void)
{
	static char names[2][200];
	static unsigned turn;
	char *to = names[turn ^= 1];
	size_t len = 0;

	if (draw(3) == 0)
		len += (size_t)sprintf(to, draw(6) == 0 ? "//" : "/");
	for (unsigned left = 1 + draw(5); left > 0; left--)
		len += (size_t)sprintf(to + len, "%s%s",
				       parts[draw(sizeof(parts) / sizeof(*parts))],
				       left > 1 ? draw(8) == 0 ? "//" : "/" : "");
	if (draw(8) == 0)
		sprintf(to + len, "/");
	return to;
}

/* Files are told apart by their sizes, folders by their modes. */
static unsigned made;

static void told(const char *call, const char *of, long r)
{
	printf("%s %s: %s\n", call, of, r < 0 ? strerrorname_np(errno) : "ok");
}

static void told_stat(const char *call, const char *of, long r, const struct stat *st)
{
	if (r < 0)
		told(call, of, r);
	else
		printf("%s %s: %o %ld\n", call, of, st->st_mode,
		       S_ISDIR(st->st_mode) ? 0 : (long)st->st_size);
}

static int from; /* what names begin at */

static void do_stat(void)
{
	struct stat st;
	const char *n = name();
	int flags = draw(2) == 0 ? AT_SYMLINK_NOFOLLOW : 0;

	told_stat(flags != 0 ? "lstat" : "stat", n, fstatat(from, n, &st, flags), &st);
}

static void do_open(void)
{
	static const int ways[] = {O_RDONLY, O_RDONLY | O_NOFOLLOW, O_RDONLY | O_DIRECTORY,
				   O_PATH,   O_PATH | O_NOFOLLOW,   O_WRONLY};
	struct stat st;
	const char *n = name();
	int fd = openat(from, n, ways[draw(6)]);

	told_stat("open", n, fd < 0 ? -1 : fstat(fd, &st), &st);
	if (fd >= 0)
		close(fd);
}

static void do_create(void)
{
	const char *n = name();
	int fd =
		openat(from, n, O_WRONLY | O_CREAT | (draw(2) == 0 ? O_EXCL : 0), 0600 + made % 64);

	told("create", n, fd);
	if (fd >= 0)
		CHECK(ftruncate(fd, ++made) == 0 && close(fd) == 0);
}

static void do_mkdir(void)
{
	const char *n = name();

	told("mkdir", n, mkdirat(from, n, 0700 + made++ % 64));
}

static void do_symlink(void)
{
	const char *target = name(), *n = name();

	printf("%s at ", target);
	told("symlink", n, symlinkat(target, from, n));
}

static void do_readlink(void)
{
	char to[200];
	const char *n = name();
	ssize_t r = readlinkat(from, n, to, sizeof(to));

	if (r >= 0)
		printf("readlink %s: %.*s\n", n, (int)r, to);
	else
		told("readlink", n, r);
}

static void do_remove(void)
{
	const char *n = name();
	int flags = draw(3) == 0 ? AT_REMOVEDIR : 0;

	told(flags != 0 ? "rmdir" : "unlink", n, unlinkat(from, n, flags));
}

static void do_rename(void)
{
	const char *a = name(), *b = name();
	unsigned flags = draw(6) == 0 ? RENAME_EXCHANGE : draw(5) == 0 ? RENAME_NOREPLACE : 0;

	printf("%s to ", a);
	told("rename", b, renameat2(from, a, from, b, flags));
}

static void do_link(void)
{
	const char *a = name(), *b = name();

	printf("%s to ", a);
	told("link", b, linkat(from, a, from, b, draw(2) == 0 ? AT_SYMLINK_FOLLOW : 0));
}

static void do_chdir(void)
{
	char cwd[5000];
	const char *n = name();

	told("chdir", n, chdir(n));
	long r = syscall(SYS_getcwd, cwd, sizeof(cwd));
	const char *shown = r > 0 && strncmp(cwd, "(unreachable)", 13) == 0 ? "outside" : cwd;
	told("at", r > 0 ? shown : "?", r);
}

static void do_change(void)
{
	const char *n = name();

	told("chmod", n, fchmodat(from, n, 0600 + draw(64), 0));
	n = name();
	told("truncate", n, truncate(n, ++made));
	n = name();
	told("access", n, faccessat(from, n, F_OK, 0));
}

int main(int argc, char **argv)
{
	static void (*const calls[])(void) = {
		do_stat,   do_stat,   do_open,	do_open,    do_create,	do_create,
		do_mkdir,  do_mkdir,  do_mkdir, do_symlink, do_symlink, do_readlink,
		do_remove, do_rename, do_link,	do_chdir,   do_change};

	CHECK(argc == 3);
	state = strtoull(argv[1], NULL, 10);
	umask(0);
	CHECK(mkdir("chroot_random.tmp", 0755) == 0 && mkdir("chroot_random.tmp/a", 0755) == 0);
	CHECK(mkdir("chroot_random.tmp/root", 0755) == 0 && chdir("chroot_random.tmp") == 0);
	int outside = open(".", O_PATH | O_DIRECTORY),
	    inside = open("root", O_RDONLY | O_DIRECTORY);
	CHECK(outside >= 0 && inside >= 0);
	bool may = chroot("root") == 0;
	CHECK(may ? chdir("/") == 0 : geteuid() != 0);
	for (long i = may ? atol(argv[2]) : 0; i > 0; i--) {
		from = draw(4) == 0 ? inside : AT_FDCWD;
		calls[draw(sizeof(calls) / sizeof(*calls))]();
		if (draw(50) == 0)
			CHECK(fchdir(inside) == 0);
	}
	puts("end");
	return 0;
}
