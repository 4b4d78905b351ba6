/*
 * /dev: numbers and modes of the devices, reading, writing, mapping, seeking, polling and ioctl on
 * them, links to the standard streams, and what has no name there.
 */
#include <dirent.h>
#include <fcntl.h>
#include <linux/random.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

static const struct device {
	const char *path;
	unsigned major, minor;
} devices[] = {{"/dev/null", 1, 3},   {"/dev/zero", 1, 5},    {"/dev/full", 1, 7},
	       {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0},
	       {"/dev/ptmx", 5, 2}};
#define DEVICES (int)(sizeof(devices) / sizeof(devices[0]))

static void check_number(const struct device *d)
{
	struct stat st, by_path;

	int fd = open(d->path, O_PATH);
	CHECK(fd >= 0 && fstat(fd, &st) == 0 && stat(d->path, &by_path) == 0);
	CHECK(S_ISCHR(st.st_mode) && st.st_rdev == makedev(d->major, d->minor));
	CHECK(st.st_ino == by_path.st_ino && (st.st_mode & 0666) == 0666 && st.st_size == 0);
	CHECK(read(fd, &st, 1) == -1 && errno == EBADF && close(fd) == 0);
	CHECK(open(d->path, O_RDONLY | O_DIRECTORY) == -1 && errno == ENOTDIR);
	CHECK(open(d->path, O_RDWR | O_CREAT | O_EXCL, 0600) == -1 && errno == EEXIST);
	CHECK(readlink(d->path, (char *)&st, sizeof(st)) == -1 && errno == EINVAL);
}

/* How many bytes a read and a write of 100 move; a negative errno. */
static void check_transfer(const char *path, long want_read, long want_written)
{
	struct pollfd p = {.events = POLLIN | POLLOUT};
	struct termios s;
	char buf[100];

	int fd = open(path, O_RDWR);
	CHECK(fd >= 0);
	CHECK(read(fd, buf, sizeof(buf)) == want_read);
	long n = write(fd, buf, sizeof(buf));
	CHECK(want_written < 0 ? n == -1 && errno == -want_written : n == want_written);
	CHECK((write(fd, buf, 0) == 0) == (want_written >= 0) && lseek(fd, 0, SEEK_CUR) == 0);
	CHECK(pread(fd, buf, 10, 5) == (want_read ? 10 : 0));
	CHECK(tcgetattr(fd, &s) == -1 && (errno == ENOTTY || errno == EINVAL));
	p.fd = fd;
	CHECK(poll(&p, 1, 0) == 1 && p.revents == (POLLIN | POLLOUT));
	CHECK(ftruncate(fd, 0) == -1 && errno == EINVAL && close(fd) == 0);
}

static void check_zeros(void)
{
	char buf[64], other[64];
	struct iovec parts[2] = {{buf, 10}, {buf + 20, 10}};
	int fd = open("/dev/zero", O_RDWR);

	memset(buf, 'x', sizeof(buf));
	CHECK(readv(fd, parts, 2) == 20 && buf[9] == 0 && buf[10] == 'x' && buf[20] == 0);
	char *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(map != MAP_FAILED && map[0] == 0 && map[8191] == 0);
	map[5] = 1;
	CHECK(munmap(map, 8192) == 0 && close(fd) == 0);
	fd = open("/dev/urandom", O_RDONLY);
	CHECK(read(fd, buf, 64) == 64 && read(fd, other, 64) == 64 && memcmp(buf, other, 64));
	CHECK(close(fd) == 0);
}

static void check_entropy(void)
{
	int bits = -1, fd = open("/dev/urandom", O_RDONLY);

	CHECK(ioctl(fd, RNDGETENTCNT, &bits) == 0 && bits > 0 && bits <= 256);
	CHECK(ioctl(fd, TCGETS, &bits) == -1 && close(fd) == 0);
}

static void check_links(void)
{
	char path[64], text[16];
	struct stat a, b;
	int ends[2];

	CHECK(pipe(ends) == 0 && write(ends[1], "through", 7) == 7);
	snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	CHECK(stat(path, &a) == 0 && fstat(ends[0], &b) == 0 && a.st_ino == b.st_ino);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text)) == 7 && close(fd) == 0);
	CHECK(dup2(ends[0], 0) == 0 && stat("/dev/stdin", &a) == 0 && a.st_ino == b.st_ino);
	CHECK(lstat("/dev/stdin", &a) == 0 && S_ISLNK(a.st_mode));
	CHECK(close(ends[0]) == 0 && close(ends[1]) == 0);
	CHECK(stat(path, &a) == -1 && errno == ENOENT);
}

static void check_names(void)
{
	struct stat st;
	int fd;

	CHECK(stat("/dev/none", &st) == -1 && errno == ENOENT);
	CHECK(stat("/dev/null/x", &st) == -1 && errno == ENOTDIR);
	CHECK(open("/dev/pts/4095", O_RDWR) == -1 && errno == ENOENT);
	CHECK(stat("/dev/pts", &st) == 0 && S_ISDIR(st.st_mode));
	CHECK(stat("/dev/shm", &st) == 0 && S_ISDIR(st.st_mode) && st.st_mode & S_ISVTX);
	CHECK((fd = open("/dev/shm/devices", O_RDWR | O_CREAT | O_EXCL, 0600)) >= 0);
	CHECK(write(fd, "x", 1) == 1 && close(fd) == 0 && unlink("/dev/shm/devices") == 0);
}

int main(void)
{
	for (int i = 0; i < DEVICES; i++)
		check_number(&devices[i]);
	check_transfer("/dev/null", 0, 100);
	check_transfer("/dev/zero", 100, 100);
	check_transfer("/dev/full", 100, -ENOSPC);
	check_zeros();
	check_entropy();
	check_links();
	check_names();
	return 0;
}
