/*
 * inotify: thousands of random calls on a small tree, with watches that come and go; every event is
 * printed.  The order of the calls is fixed by the seed, so Linux prints the same.
 *
 *	inotify_random SEED CALLS
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define OPEN_MAX 6

static int in, fds[OPEN_MAX];
static char buf[1 << 16];

/* A path of the tree, which may be there or not. */
static const char *any(void)
{
	static const char *const dirs[] = {"", "d/", "e/", "d/s/", "l/", "d/../e/", "./d/"};
	static const char *const names[] = {"a", "b", "c", "d", "e", "s", "l", "k"};
	static char paths[2][32];
	static unsigned turn;
	char *path = paths[turn++ % 2];

	snprintf(path, 32, "T/%s%s", dirs[pick(7)], names[pick(8)]);
	return path;
}

static void show(void)
{
	static unsigned cookie;
	ssize_t n = read(in, buf, sizeof(buf));

	CHECK(n >= 0 || errno == EAGAIN);
	for (ssize_t at = 0; at < n;) {
		const struct inotify_event *e = (const struct inotify_event *)(buf + at);
		printf(" %d:%x%s%s", e->wd, e->mask, e->len ? "=" : "", e->len ? e->name : "");
		if (e->cookie)
			printf(e->cookie == cookie ? "#" : "*");
		cookie = e->cookie;
		at += (ssize_t)(sizeof(*e) + e->len);
	}
	puts("");
}

static void say(const char *what, const char *path, long result)
{
	printf("%s %s %ld %d", what, path, result < 0 ? -1 : result, result < 0 ? errno : 0);
	show();
}

static void do_open(void)
{
	static const int flags[] = {O_RDONLY,
				    O_RDWR,
				    O_RDWR | O_CREAT,
				    O_WRONLY | O_CREAT | O_TRUNC,
				    O_RDONLY | O_NOFOLLOW,
				    O_RDWR | O_CREAT | O_EXCL,
				    O_PATH,
				    O_RDONLY | O_DIRECTORY,
				    O_RDWR | O_TRUNC};
	unsigned i = pick(OPEN_MAX);
	const char *path = any();

	if (fds[i] >= 0)
		say("close", "", close(fds[i]));
	fds[i] = open(path, flags[pick(9)] | O_NONBLOCK, 0600);
	say("open", path, fds[i] < 0 ? -1 : 0);
}

static void do_file(void)
{
	int fd = fds[pick(OPEN_MAX)];
	struct iovec iov = {buf, pick(3)};

	switch (pick(9)) {
	case 0:
		say("read", "", read(fd, buf, pick(4)));
		break;
	case 1:
		say("write", "", write(fd, "hello", pick(4)));
		break;
	case 2:
		say("readv", "", readv(fd, &iov, 1));
		break;
	case 3:
		say("writev", "", writev(fd, &iov, 1));
		break;
	case 4:
		say("cut", "", ftruncate(fd, pick(9)));
		break;
	case 5:
		say("fchmod", "", fchmod(fd, 0600 | pick(64)));
		break;
	case 6:
		say("copy", "", copy_file_range(fd, NULL, fds[pick(OPEN_MAX)], NULL, pick(4), 0));
		break;
	case 7:
		say("seek", "", lseek(fd, 0, SEEK_SET));
		break;
	default:
		say("times", "", futimens(fd, NULL));
	}
}

static void do_name(void)
{
	const char *path = any(), *other = any();

	switch (pick(10)) {
	case 0:
		say("mkdir", path, mkdir(path, 0755));
		break;
	case 1:
		say("unlink", path, unlink(path));
		break;
	case 2:
		say("rmdir", path, rmdir(path));
		break;
	case 3:
		say("link", path, link(other, path));
		break;
	case 4:
		say("symlink", path, symlink(pick(2) ? "a" : "../d", path));
		break;
	case 5:
	case 6:
		say("rename", path, rename(other, path));
		break;
	case 7:
		say("exchange", path,
		    renameat2(AT_FDCWD, other, AT_FDCWD, path, pick(2) ? RENAME_EXCHANGE : 1));
		break;
	case 8:
		say("mkfifo", path, mkfifo(path, 0600));
		break;
	default:
		say("mknod", path, mknod(path, S_IFREG | 0600, 0));
	}
}

static void do_metadata(void)
{
	struct timespec times[2] = {{pick(9), pick(3) ? 0 : UTIME_OMIT},
				    {pick(9), pick(3) ? 0 : UTIME_OMIT}};
	const char *path = any();

	switch (pick(4)) {
	case 0:
		say("chmod", path, chmod(path, 0700 | pick(64)));
		break;
	case 1:
		say("chown", path, lchown(path, pick(2) ? getuid() : (uid_t)-1, -1));
		break;
	case 2:
		say("truncate", path, truncate(path, pick(5)));
		break;
	default:
		say("utimes", path,
		    utimensat(AT_FDCWD, path, times, pick(2) ? AT_SYMLINK_NOFOLLOW : 0));
	}
}

static void do_watch(void)
{
	static const unsigned flags[] = {0,
					 0,
					 IN_ONLYDIR,
					 IN_DONT_FOLLOW,
					 IN_EXCL_UNLINK,
					 IN_MASK_ADD,
					 IN_MASK_CREATE,
					 IN_ONESHOT};
	const char *path = any();
	unsigned mask = pick(2) ? IN_ALL_EVENTS : pick(IN_ALL_EVENTS + 1);

	if (pick(4))
		say("watch", path, inotify_add_watch(in, path, mask | flags[pick(8)]));
	else
		say("unwatch", "", inotify_rm_watch(in, (int)pick(40)));
}

int main(int argc, char **argv)
{
	static void (*const calls[])(void) = {do_open, do_open, do_file,     do_file, do_file,
					      do_name, do_name, do_metadata, do_watch};

	if (argc != 3)
		return 2;
	state = strtoul(argv[1], NULL, 10);
	umask(0);
	signal(SIGPIPE, SIG_IGN);
	in = inotify_init1(IN_NONBLOCK);
	CHECK(in >= 0 && mkdir("T", 0755) == 0 && mkdir("T/d", 0755) == 0);
	CHECK(mkdir("T/e", 0755) == 0 && mkdir("T/d/s", 0755) == 0 && symlink("d", "T/l") == 0);
	for (int i = 0; i < OPEN_MAX; i++)
		fds[i] = -1;
	CHECK(inotify_add_watch(in, "T", IN_ALL_EVENTS) == 1);
	CHECK(inotify_add_watch(in, "T/d", IN_ALL_EVENTS) == 2);
	for (unsigned long n = strtoul(argv[2], NULL, 10); n > 0; n--)
		calls[pick(sizeof(calls) / sizeof(calls[0]))]();
	CHECK(system("chmod -R u+rwx T && rm -rf T") == 0);
	return 0;
}
