/*
 * inotify: which call tells what, to whom and in which order; what is dropped, merged and lost;
 * errors, masks and waiting. Prints all events it gets.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))
#define QUEUE_MAX	   16384

static const char *const names[] = {
	"ACCESS",     "MODIFY",	  "ATTRIB", "CLOSE_WRITE", "CLOSE_NOWRITE", "OPEN",
	"MOVED_FROM", "MOVED_TO", "CREATE", "DELETE",	   "DELETE_SELF",   "MOVE_SELF",
};
/* Volatile: compilers refuse calls with addresses they know to be wrong. */
static void *volatile bad_address = (void *)8;

static char buf[1 << 20];
static int in;

static void put_event(const struct inotify_event *e, unsigned cookie)
{
	printf(" %d", e->wd);
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (e->mask & 1u << i)
			printf(":%s", names[i]);
	printf("%s%s%s%s", e->mask & IN_ISDIR ? ":DIR" : "", e->mask & IN_IGNORED ? ":IGNORED" : "",
	       e->mask & IN_Q_OVERFLOW ? ":OVERFLOW" : "", e->len ? "=" : "");
	printf("%s", e->len ? e->name : "");
	if (e->cookie)
		printf(e->cookie == cookie ? "#same" : "#");
	if (e->len)
		printf("(%u)", e->len);
}

static void show(const char *what)
{
	unsigned cookie = 0;
	ssize_t n = read(in, buf, sizeof(buf));

	CHECK(n >= 0 || errno == EAGAIN);
	printf("%s:", what);
	for (ssize_t at = 0; at < n;) {
		struct inotify_event e, *full = (struct inotify_event *)(buf + at);
		memcpy(&e, full, sizeof(e));
		put_event(full, cookie);
		cookie = e.cookie;
		at += (ssize_t)(sizeof(e) + e.len);
	}
	puts("");
}

static void make(const char *name, int mode)
{
	int fd = open(name, O_CREAT | O_WRONLY, mode);

	CHECK(fd >= 0 && write(fd, "hello\n", 6) == 6 && close(fd) == 0);
}

static void touch(const char *name, int flags)
{
	int fd = open(name, flags, 0600);

	CHECK(fd >= 0 && close(fd) == 0);
}

static void check_open_files(void)
{
	int fd, out, dir, ends[2];
	char byte[16];
	struct iovec iov = {byte, 4}, none = {byte, 0};

	touch("W/l", O_RDONLY);
	show("through a link");
	touch("W/f", O_WRONLY | O_TRUNC);
	show("truncated");
	touch("W/n", O_WRONLY | O_TRUNC | O_CREAT);
	touch("W/n", O_WRONLY | O_CREAT);
	show("created, opened");
	touch("W/dangling", O_WRONLY | O_CREAT);
	show("created through a link");
	touch("W/f", O_PATH);
	CHECK(open("W/none", O_RDONLY) == -1 && open("W/f", O_CREAT | O_EXCL, 0600) == -1);
	CHECK(access("W/f", R_OK) == 0 && readlink("W/l", byte, 9) > 0);
	show("nothing");
	make("W/f", 0);
	show("written");
	CHECK((fd = open("W/f", O_RDWR)) >= 0 && (out = open("W/n", O_RDWR)) >= 0);
	CHECK(read(fd, byte, 2) == 2 && read(fd, byte, 2) == 2 && pread(fd, byte, 1, 0) == 1);
	show("reads");
	CHECK(read(fd, byte, 9) == 2 && read(fd, byte, 9) == 0 && pread(fd, byte, 2, 90) == 0);
	show("rest and end");
	CHECK(readv(fd, &iov, 1) == 0 && preadv(fd, &iov, 1, 0) == 4);
	show("vector at the end");
	CHECK(readv(fd, &none, 1) == 0 && write(fd, byte, 0) == 0 && writev(fd, &none, 1) == 0);
	show("empty");
	CHECK(write(fd, "x", 1) == 1 && pwrite(fd, "x", 1, 0) == 1 && writev(fd, &iov, 1) == 4);
	show("writes");
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && sendfile(out, fd, NULL, 3) == 3);
	show("sendfile");
	CHECK(copy_file_range(fd, NULL, out, NULL, 3, 0) == 3);
	show("copy_file_range");
	CHECK(pipe(ends) == 0 && lseek(fd, 0, SEEK_SET) == 0);
	CHECK(splice(fd, NULL, ends[1], NULL, 4, 0) == 4);
	CHECK(splice(ends[0], NULL, out, NULL, 4, 0) == 4);
	show("splice");
	CHECK(ftruncate(fd, 3) == 0 && ftruncate(fd, 3) == 0 && fallocate(out, 0, 0, 100) == 0);
	show("sizes");
	CHECK(fchmod(fd, 0600) == 0 && futimens(fd, NULL) == 0 && fchown(fd, -1, -1) == 0);
	show("metadata");
	CHECK(dup2(fd, 90) == 90 && close(fd) == 0);
	show("one of two closed");
	CHECK(close(90) == 0 && close(out) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
	show("closed");
	CHECK((dir = open("W/d", O_RDONLY)) >= 0 && syscall(217, dir, buf, 4096) > 0);
	CHECK(syscall(217, dir, buf, 4096) == 0 && close(dir) == 0);
	show("directory");
	touch("W/d/../f", O_RDONLY);
	touch("W/d/..", O_RDONLY);
	touch("W/./d/.", O_RDONLY);
	show("roundabout");
}

static void check_names(void)
{
	int fd;

	CHECK(chmod("W/l", 0640) == 0 && chmod("W", 0700) == 0 && chmod("W/d", 0700) == 0);
	show("chmod");
	struct timespec one[2] = {{5, 0}, {0, UTIME_OMIT}}, other[2] = {{0, UTIME_OMIT}, {5, 0}};
	struct timespec both[2] = {{5, 0}, {5, 0}}, no[2] = {{0, UTIME_OMIT}, {0, UTIME_OMIT}};
	CHECK(utimensat(AT_FDCWD, "W/f", one, 0) == 0 && utimensat(AT_FDCWD, "W/n", other, 0) == 0);
	CHECK(utimensat(AT_FDCWD, "W/l", both, AT_SYMLINK_NOFOLLOW) == 0);
	CHECK(utimensat(AT_FDCWD, "W/l", no, 0) == 0);
	show("times");
	CHECK(chown("W/f", -1, -1) == 0 && chown("W/f", getuid(), -1) == 0);
	show("chown");
	CHECK(truncate("W/l", 3) == 0 && truncate("W/f", 3) == 0);
	show("truncate");
	CHECK(link("W/f", "W/f2") == 0 && symlink("f", "W/f3") == 0 && mkdir("W/q", 0700) == 0);
	CHECK(mkdir("W/d/deep", 0700) == 0 && mkfifo("W/fifo", 0600) == 0);
	CHECK(mknod("W/node", S_IFREG | 0600, 0) == 0 && mkdir("W/q", 0700) == -1);
	show("made");
	CHECK((fd = open("W/fifo", O_RDWR)) >= 0 && write(fd, "xx", 2) == 2);
	CHECK(read(fd, buf, 1) == 1 && close(fd) == 0);
	show("fifo");
	CHECK(rename("W/f", "W/g") == 0);
	show("renamed");
	CHECK(rename("W/g", "W/d/g") == 0 && rename("W/d/g", "W/f") == 0);
	show("out and in");
	CHECK(rename("W/q", "W/q2") == 0 && rename("W/n", "W/node") == 0);
	show("directory, over a file");
	CHECK(rename("W/f", "W/f2") == 0);
	show("two names of one file");
	CHECK(renameat2(AT_FDCWD, "W/f", AT_FDCWD, "W/q2", RENAME_EXCHANGE) == 0);
	show("exchanged");
	CHECK(rmdir("W/f") == 0 && unlink("W/f3") == 0 && unlink("W/q2") == 0);
	show("removed");
	make("W/u", 0600);
	show("new");
	CHECK((fd = open("W/u", O_RDWR)) >= 0 && unlink("W/u") == 0 && write(fd, "x", 1) == 1);
	CHECK(close(fd) == 0);
	show("unlinked while open");
	CHECK((fd = open("W/f2", O_RDWR)) >= 0 && rename("W/f2", "W/d/moved") == 0);
	CHECK(write(fd, "x", 1) == 1 && rename("W/d/moved", "W/f") == 0 && write(fd, "x", 1) == 1);
	CHECK(close(fd) == 0);
	show("moved while open");
	CHECK((fd = open("W/t", O_RDWR)) >= 0);
	char *map = mmap(NULL, 6, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	map[0] = 'H';
	CHECK(munmap(map, 6) == 0 && close(fd) == 0);
	show("mapped");
}

static void check_self(void)
{
	int fd, file = inotify_add_watch(in, "W/t", IN_ALL_EVENTS);
	int dir = inotify_add_watch(in, "W/d", IN_ALL_EVENTS);

	printf("watches %d %d\n", file, dir);
	touch("W/t", O_WRONLY);
	CHECK(chmod("W/t", 0700) == 0 && link("W/t", "W/tt") == 0);
	show("file and directory");
	touch("W/d/x", O_CREAT | O_WRONLY);
	CHECK(chmod("W/d", 0755) == 0);
	show("in both directories");
	CHECK(rename("W/t", "W/t2") == 0 && rename("W/d", "W/d2") == 0);
	show("moved");
	touch("W/d2/x", O_RDONLY);
	show("in a moved directory");
	CHECK(inotify_add_watch(in, "W/d2/deep", IN_ALL_EVENTS) == 4);
	CHECK(rmdir("W/d2/deep") == 0 && unlink("W/tt") == 0);
	show("removed");
	CHECK((fd = open("W/t2", O_RDONLY)) >= 0 && unlink("W/t2") == 0);
	show("unlinked");
	CHECK(close(fd) == 0);
	show("last close");
	CHECK(inotify_add_watch(in, "W/f", IN_ALL_EVENTS) == 5 && rename("W/d2/x", "W/f") == 0);
	show("replaced");
	CHECK(mkdir("W/d2/e", 0700) == 0 && mkdir("W/d2/w", 0700) == 0);
	CHECK(inotify_add_watch(in, "W/d2/e", IN_ALL_EVENTS) == 6);
	CHECK(rename("W/d2/w", "W/d2/e") == 0);
	show("replaced directory");
}

static void check_masks(void)
{
	int fd, d = inotify_add_watch(in, "W/d2", IN_ATTRIB | IN_ONESHOT);

	CHECK(chmod("W/d2", 0700) == 0 && chmod("W/d2", 0711) == 0);
	printf("oneshot %d\n", d);
	show("oneshot");
	FAILS(inotify_rm_watch(in, d), EINVAL);
	CHECK(inotify_rm_watch(in, 1) == 0);
	show("taken away");
	make("W/e", 0600);
	int w = inotify_add_watch(in, "W/e", IN_MODIFY | IN_EXCL_UNLINK);
	CHECK((fd = open("W/e", O_RDWR)) >= 0 && write(fd, "q", 1) == 1);
	show("before");
	CHECK(unlink("W/e") == 0 && write(fd, "q", 1) == 1);
	show("excluded");
	CHECK(close(fd) == 0);
	show("gone");
	make("W/e", 0600);
	CHECK(inotify_add_watch(in, "W/e", IN_OPEN) == w + 1);
	CHECK(inotify_add_watch(in, "W/e", IN_CLOSE | IN_MASK_ADD) == w + 1);
	touch("W/e", O_RDONLY);
	show("added");
	CHECK(inotify_add_watch(in, "W/e", IN_CLOSE) == w + 1);
	touch("W/e", O_RDONLY);
	show("instead");
	FAILS(inotify_add_watch(in, "W/e", IN_OPEN | IN_MASK_CREATE), EEXIST);
	FAILS(inotify_add_watch(in, "W/e", IN_OPEN | IN_MASK_CREATE | IN_MASK_ADD), EINVAL);
	FAILS(inotify_add_watch(in, "W/e", IN_OPEN | IN_ONLYDIR), ENOTDIR);
	CHECK(symlink("e", "W/to") == 0);
	CHECK(inotify_add_watch(in, "W/to", IN_OPEN | IN_DONT_FOLLOW | IN_ATTRIB) == w + 2);
	CHECK(inotify_add_watch(in, "W/to", IN_OPEN | IN_CLOSE) == w + 1);
	touch("W/to", O_RDONLY);
	CHECK(fchownat(AT_FDCWD, "W/to", getuid(), -1, AT_SYMLINK_NOFOLLOW) == 0);
	show("a link itself");
	CHECK(inotify_add_watch(in, "/proc", IN_ALL_EVENTS) == w + 3);
	CHECK(inotify_rm_watch(in, w + 3) == 0 && inotify_rm_watch(in, w + 2) == 0);
	CHECK(inotify_rm_watch(in, w + 1) == 0);
	show("all taken away");
}

static void check_errors(void)
{
	int file = open("W/e", O_RDONLY);

	FAILS(inotify_init1(1), EINVAL);
	FAILS(inotify_add_watch(in, "W", 0), EINVAL);
	FAILS(inotify_add_watch(in, "W", 0x100000), EINVAL);
	FAILS(inotify_add_watch(999, "W", IN_OPEN), EBADF);
	FAILS(inotify_add_watch(file, "W", IN_OPEN), EINVAL);
	FAILS(inotify_add_watch(in, "W/none", IN_OPEN), ENOENT);
	FAILS(inotify_add_watch(in, "W/e/x", IN_OPEN), ENOTDIR);
	FAILS(inotify_add_watch(in, "", IN_OPEN), ENOENT);
	FAILS(inotify_add_watch(in, bad_address, IN_OPEN), EFAULT);
	FAILS(inotify_rm_watch(999, 1), EBADF);
	FAILS(inotify_rm_watch(file, 1), EINVAL);
	FAILS(inotify_rm_watch(in, 1), EINVAL);
	FAILS(write(in, "x", 1), EBADF);
	FAILS(read(in, buf, 100), EAGAIN);
	CHECK(lseek(in, 5, SEEK_SET) == 0);
	FAILS(pread(in, buf, 100, 0), ESPIPE);
	CHECK(fcntl(in, F_GETFL) == (O_RDONLY | O_NONBLOCK) && fcntl(in, F_GETFD) == FD_CLOEXEC);
	close(file);
}

/* A vector is read piece by piece. */
static void check_pieces(void)
{
	struct iovec iov[2] = {{buf, 20}, {buf + 20, 100}};

	close(in);
	in = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(in, "W", IN_CREATE) == 1);
	touch("W/p1", O_CREAT | O_WRONLY);
	touch("W/p2", O_CREAT | O_WRONLY);
	FAILS(readv(in, iov, 2), EINVAL);
	iov[0].iov_len = 40;
	FAILS(preadv2(in, iov, 2, -1, RWF_NOWAIT), EOPNOTSUPP);
	CHECK(readv(in, iov, 2) == 32);
	iov[0].iov_len = 32;
	CHECK(readv(in, iov, 2) == 32);
	FAILS(readv(in, iov, 2), EAGAIN);
	CHECK(unlink("W/p1") == 0 && unlink("W/p2") == 0);
}

static int bytes_waiting(void)
{
	int n = -1;

	CHECK(ioctl(in, FIONREAD, &n) == 0);
	return n;
}

static void check_queue(void)
{
	struct pollfd p = {in, POLLIN | POLLOUT, 0};
	struct epoll_event e = {EPOLLIN | EPOLLET, {0}};
	int ep = epoll_create1(0),
	    w = inotify_add_watch(in, "W", IN_CREATE | IN_DELETE | IN_ATTRIB);

	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, in, &e) == 0 && epoll_wait(ep, &e, 1, 0) == 0);
	CHECK(poll(&p, 1, 0) == 0 && bytes_waiting() == 0);
	make("W/a", 0600);
	make("W/seventeen_letters", 0600);
	CHECK(poll(&p, 1, 0) == 1 && p.revents == POLLIN && epoll_wait(ep, &e, 1, 0) == 1);
	CHECK(epoll_wait(ep, &e, 1, 0) == 0 && bytes_waiting() == 32 + 48);
	FAILS(read(in, buf, 31), EINVAL);
	CHECK(read(in, buf, 40) == 32 && bytes_waiting() == 48 && read(in, buf, 79) == 48);
	CHECK(poll(&p, 1, 0) == 0);
	/* The same again is told once, another in between is not forgotten. */
	for (int i = 0; i < 3; i++)
		CHECK(chmod("W/a", 0600) == 0);
	CHECK(chmod("W", 0755) == 0 && chmod("W/a", 0600) == 0);
	show("merged");
	FAILS((chmod("W/a", 0600), read(in, bad_address, 100)), EFAULT);
	show("lost");
	for (int i = 0; i < QUEUE_MAX + 10; i++)
		CHECK(chmod(i % 2 ? "W/a" : "W", 0755) == 0);
	CHECK(bytes_waiting() == QUEUE_MAX / 2 * (16 + 32) + 16);
	ssize_t n = read(in, buf, sizeof(buf));
	CHECK(n == QUEUE_MAX / 2 * (16 + 32) + 16);
	struct inotify_event *last = (struct inotify_event *)(buf + n - 16);
	CHECK(last->wd == -1 && last->mask == IN_Q_OVERFLOW && last->len == 0);
	CHECK(chmod("W/a", 0600) == 0);
	show("after the overflow");
	CHECK(inotify_rm_watch(in, w) == 0);
	show("ignored");
	close(ep);
}

static void on_signal(int number)
{
	(void)number;
}

static void check_waiting(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	int w = inotify_add_watch(in, "W", IN_CREATE);
	pid_t parent = getpid();

	CHECK(fcntl(in, F_SETFL, 0) == 0 && sigaction(SIGUSR1, &action, NULL) == 0);
	pid_t child = fork();
	if (!child) {
		usleep(20000);
		make("W/by_another", 0600);
		_exit(0);
	}
	show("waited");
	CHECK(waitpid(child, NULL, 0) == child);
	child = fork();
	if (!child) {
		usleep(20000);
		kill(parent, SIGUSR1);
		_exit(0);
	}
	FAILS(read(in, buf, 100), EINTR);
	CHECK(waitpid(child, NULL, 0) == child && fcntl(in, F_SETFL, O_NONBLOCK) == 0);
	/* What a process leaves open is closed when it ends. */
	CHECK(inotify_add_watch(in, "W", IN_CLOSE) == w);
	child = fork();
	if (!child)
		_exit(open("W/a", O_RDONLY) < 0);
	CHECK(waitpid(child, NULL, 0) == child);
	show("closed by its end");
	CHECK(inotify_rm_watch(in, w) == 0);
	show("ignored");
}

/* Two instances, one watching what the other does; and a new one starts anew. */
static void check_instances(void)
{
	int other = inotify_init(), old = in;

	CHECK(inotify_add_watch(other, "W", IN_OPEN) == 1);
	CHECK(inotify_add_watch(other, "W/a", IN_OPEN) == 2);
	int w = inotify_add_watch(in, "W/a", IN_OPEN | IN_CLOSE);
	touch("W/a", O_RDONLY);
	show("old");
	in = other;
	show("new");
	CHECK(unlink("W/a") == 0 && fcntl(other, F_SETFL, O_NONBLOCK) == 0);
	show("new");
	in = old;
	show("old");
	CHECK(close(other) == 0 && close(in) == 0 && w > 1);
	in = inotify_init1(IN_NONBLOCK);
	CHECK(inotify_add_watch(in, "W", IN_ALL_EVENTS | IN_ONLYDIR) == 1);
	show("fresh");
}

int main(void)
{
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	CHECK(mkdir("W", 0755) == 0 && mkdir("W/d", 0755) == 0);
	make("W/f", 0600);
	make("W/t", 0600);
	CHECK(symlink("f", "W/l") == 0 && symlink("behind", "W/dangling") == 0);
	in = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	CHECK(in >= 0 && inotify_add_watch(in, "W", IN_ALL_EVENTS) == 1);
	check_open_files();
	check_names();
	check_self();
	check_masks();
	check_errors();
	check_queue();
	check_waiting();
	check_instances();
	check_pieces();
	return 0;
}
