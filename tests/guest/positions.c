/*
 * Positions and sizes: thousands of random calls on a few files through many descriptions (shared,
 * appending, read-only, of two processes), each result printed; a file's name is looked at through
 * the path as well.  The order of the calls is fixed by the seed, so Linux prints the same.
 *
 *	positions SEED CALLS
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define FILES	    3
#define DESCRIPTORS 10
#define BYTES_MAX   5000

static char bytes[BYTES_MAX];
static int fds[DESCRIPTORS];

static const char *name(unsigned i)
{
	static const char *const names[FILES] = {"p0", "p1", "p2"};

	return names[i];
}

static void fill(unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		bytes[i] = (char)('a' + pick(26));
}

static void say(const char *what, long result)
{
	printf("%s %ld %d\n", what, result, result < 0 ? errno : 0);
}

static void open_one(unsigned at)
{
	static const int flags[] = {O_RDONLY,	       O_RDWR,
				    O_RDWR | O_CREAT,  O_WRONLY,
				    O_RDWR | O_APPEND, O_RDWR | O_CREAT | O_TRUNC};
	const char *path = name(pick(FILES));
	char link[64];

	/* Or what is open is opened again, whether it has a name or not. */
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fds[pick(DESCRIPTORS)]);
	int fd = open(pick(3) ? path : link, flags[pick(6)], 0644);

	say("open", fd < 0 ? -1 : 0);
	if (fd < 0)
		return;
	if (fds[at] >= 0)
		close(fds[at]);
	fds[at] = fd;
}

static void read_one(int fd)
{
	unsigned n = pick(4) ? pick(BYTES_MAX) : BYTES_MAX;
	struct iovec iov[] = {{bytes, n / 3}, {bytes + n / 3, n - n / 3}};
	long r;

	switch (pick(4)) {
	case 0:
		r = pread(fd, bytes, n, pick(9000));
		break;
	case 1:
		r = readv(fd, iov, 2);
		break;
	default:
		r = read(fd, bytes, n);
	}
	printf("read %ld %u\n", r, r > 0 ? sum_of(bytes, r) : 0);
}

static void write_one(int fd)
{
	unsigned n = pick(pick(2) ? BYTES_MAX : 20);

	struct iovec iov = {bytes, n};

	fill(n);
	switch (pick(6)) {
	case 0:
	case 1:
		say("pwrite", pwrite(fd, bytes, n, pick(9000)));
		break;
	case 2:
		say("append", pwritev2(fd, &iov, 1, pick(2) ? (off_t)pick(9000) : -1, RWF_APPEND));
		break;
	default:
		say("write", write(fd, bytes, n));
	}
}

/* Linux sends pages, not what was in them: from a file to itself that is anything. */
static int is_same(int a, int b)
{
	struct stat x, y;

	return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_ino == y.st_ino;
}

static void copy_one(int in, int out)
{
	off_t at = pick(6000);
	off_t *from = pick(2) ? &at : NULL;
	unsigned n = pick(8000);

	if (!is_same(in, out) && pick(2))
		say("sendfile", sendfile(out, in, from, n));
	else
		say("copy", copy_file_range(in, from, out, NULL, n, 0));
	printf("from %ld\n", (long)at);
}

static void size_one(int fd)
{
	unsigned n = pick(12000);

	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	switch (pick(5)) {
	case 0:
		say("truncate", truncate(name(pick(FILES)), n));
		break;
	case 4:
		say("truncate", truncate(link, n));
		break;
	case 1:
		say("allocate",
		    fallocate(fd, pick(2) ? FALLOC_FL_KEEP_SIZE : 0, n, 1 + pick(3000)));
		break;
	default:
		say("ftruncate", ftruncate(fd, n));
	}
}

static void name_one(void)
{
	unsigned a = pick(FILES), b = pick(FILES);

	switch (pick(3)) {
	case 0:
		say("unlink", unlink(name(a)));
		break;
	case 1:
		say("rename", rename(name(a), name(b)));
		break;
	default:
		say("link", link(name(a), name(b)));
	}
}

/* At an address that cannot be written to, only a read that finds something fails. */
static void read_nowhere(int fd)
{
	char *gone = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	say("fault", read(fd, gone, 100));
	say("high", read(fd, (void *)0xffff800000000000, 100));
	say("round", read(fd, (void *)0xfffffffffffff000, 0x2000));
	say("far", pread(fd, bytes, 100, INT64_MAX - 10));
	/* Behind its end a file grows by that. */
	say("from nowhere", write(fd, gone, 100));
	munmap(gone, 4096);
}

static void in_child(int fd)
{
	pid_t pid = fork();

	if (pid == 0) {
		read_one(fd);
		write_one(fd);
		say("seek", lseek(fd, pick(5000), SEEK_SET));
		fflush(stdout);
		_exit(0);
	}
	CHECK(waitpid(pid, NULL, 0) == pid);
}

static void look(int fd)
{
	struct stat st;

	if (fstat(fd, &st) == 0)
		printf("size %ld links %ld\n", (long)st.st_size, (long)st.st_nlink);
	if (lstat(name(pick(FILES)), &st) == 0)
		printf("path %ld\n", (long)st.st_size);
}

static void step(void)
{
	static const int whences[] = {SEEK_SET, SEEK_CUR, SEEK_END};
	unsigned at = pick(DESCRIPTORS), other = pick(DESCRIPTORS);
	int fd = fds[at];

	switch (pick(14)) {
	case 0:
		open_one(at);
		break;
	case 1:
		if (fds[other] >= 0 && other != at)
			say("dup", dup2(fd, fds[other]) < 0 ? -1 : 0);
		break;
	case 2:
		say("seek", lseek(fd, (long)pick(8000) - 1000, whences[pick(3)]));
		break;
	case 3:
		size_one(fd);
		break;
	case 4:
		copy_one(fd, fds[other]);
		break;
	case 5:
		name_one();
		break;
	case 6:
		read_nowhere(fd);
		break;
	case 7:
		if (pick(10) == 0)
			in_child(fd);
		break;
	case 8:
	case 9:
		look(fd);
		break;
	case 10:
		write_one(fd);
		break;
	default:
		read_one(fd);
	}
}

int main(int argc, char **argv)
{
	CHECK(argc == 3);
	state = strtoul(argv[1], NULL, 10);
	for (int i = 0; i < DESCRIPTORS; i++)
		fds[i] = -1;
	for (int i = 0; i < DESCRIPTORS; i++)
		while (fds[i] < 0)
			open_one((unsigned)i);
	for (long i = strtol(argv[2], NULL, 10); i > 0; i--) {
		step();
		fflush(stdout);
	}
	return 0;
}
