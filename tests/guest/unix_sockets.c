/*
 * AF_UNIX sockets with names and messages: paths, abstract names, backlog, datagrams, sequenced
 * packets, credentials, peeks; errno and edges as Linux has them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PATH_OFFSET offsetof(struct sockaddr_un, sun_path)

static char buf[300000];

static socklen_t name_of(struct sockaddr_un *a, const char *text, size_t size)
{
	memset(a, 0, sizeof(*a));
	a->sun_family = AF_UNIX;
	memcpy(a->sun_path, text, size);
	return (socklen_t)(PATH_OFFSET + size);
}

static int bind_to(int fd, const char *text, size_t size)
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, text, size);

	return bind(fd, (struct sockaddr *)&a, len);
}

static int connect_to(int fd, const char *text, size_t size)
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, text, size);

	return connect(fd, (struct sockaddr *)&a, len);
}

static ssize_t send_to(int fd, const char *text, size_t size, const char *bytes, size_t n)
{
	struct sockaddr_un a;
	socklen_t len = name_of(&a, text, size);

	return sendto(fd, bytes, n, MSG_DONTWAIT, (struct sockaddr *)&a, len);
}

static int open_socket(int type)
{
	int fd = socket(AF_UNIX, type, 0);

	CHECK(fd >= 0);
	return fd;
}

#define PATH(text)	   text, strlen(text)
#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

/* What getsockname or getpeername says: its length, the bytes in buf. */
static socklen_t shown(int (*get)(int, struct sockaddr *, socklen_t *), int fd)
{
	socklen_t len = sizeof(struct sockaddr_un);

	CHECK(get(fd, (struct sockaddr *)buf, &len) == 0);
	return len;
}

static short poll_now(int fd)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLRDHUP | POLLPRI, 0};

	CHECK(poll(&p, 1, 0) >= 0);
	return p.revents;
}

static void check_paths(void)
{
	struct sockaddr_un a;
	struct stat st;

	umask(022);
	int l = open_socket(SOCK_STREAM), c = open_socket(SOCK_STREAM);
	FAILS(bind_to(l, PATH("none/s")), ENOENT);
	FAILS(listen(l, 1), EINVAL);
	FAILS(connect_to(c, PATH("sock")), ENOENT);
	CHECK(bind_to(l, PATH("sock")) == 0);
	CHECK(lstat("sock", &st) == 0 && st.st_mode == (S_IFSOCK | 0755) && st.st_size == 0);
	CHECK(shown(getsockname, l) == PATH_OFFSET + 5 && strcmp(buf + PATH_OFFSET, "sock") == 0);
	FAILS(bind_to(c, PATH("sock")), EADDRINUSE);
	FAILS(bind_to(l, PATH("sock")), EADDRINUSE);
	FAILS(bind_to(l, PATH("other")), EINVAL);
	FAILS(connect_to(c, PATH("sock")), ECONNREFUSED);
	FAILS(open("sock", O_RDWR), ENXIO);
	CHECK(listen(l, 5) == 0);
	FAILS(connect(c, (struct sockaddr *)&a, 1), EINVAL);
	name_of(&a, PATH("sock"));
	a.sun_family = AF_INET;
	FAILS(connect(c, (struct sockaddr *)&a, PATH_OFFSET + 4), EINVAL);
	CHECK(connect_to(c, PATH("./sock")) == 0);
	FAILS(connect_to(c, PATH("sock")), EISCONN);
	CHECK(shown(getpeername, c) == PATH_OFFSET + 5);
	CHECK(shown(getsockname, c) == PATH_OFFSET);
	socklen_t len = sizeof(a);
	int s = accept4(l, (struct sockaddr *)&a, &len, SOCK_CLOEXEC);
	CHECK(s >= 0 && len == PATH_OFFSET && a.sun_family == AF_UNIX);
	CHECK(shown(getsockname, s) == PATH_OFFSET + 5);
	CHECK(write(c, "hi", 2) == 2 && read(s, buf, 10) == 2);
	CHECK(mkdir("dir", 0755) == 0 && rename("sock", "dir/moved") == 0);
	int c2 = open_socket(SOCK_STREAM);
	FAILS(connect_to(c2, PATH("sock")), ENOENT);
	CHECK(symlink("dir/moved", "link") == 0 && connect_to(c2, PATH("link")) == 0);
	FAILS(bind_to(open_socket(SOCK_STREAM), PATH("link")), EADDRINUSE);
	int d = open_socket(SOCK_DGRAM);
	FAILS(connect_to(d, PATH("link")), EPROTOTYPE);
	FAILS(connect_to(d, PATH("dir")), ECONNREFUSED);
	close(d);
	/* The inode stays when the socket has gone. */
	CHECK(close(l) == 0);
	FAILS(connect_to(open_socket(SOCK_STREAM), PATH("dir/moved")), ECONNREFUSED);
	FAILS(read(c2, buf, 1), ECONNRESET);
	CHECK(mknod("made", S_IFSOCK | 0600, 0) == 0);
	FAILS(connect_to(open_socket(SOCK_STREAM), PATH("made")), ECONNREFUSED);
	CHECK(unlink("dir/moved") == 0 && rmdir("dir") == 0 && unlink("link") == 0);
	CHECK(unlink("made") == 0);
	FAILS(unlink("other"), ENOENT);
	close(c);
	close(s);
	close(c2);
}

/* fchmod of a socket is the mode of the inode it gets, and of no other. */
static void check_mode(void)
{
	int fd = open_socket(SOCK_STREAM);
	struct stat st;
	char name[64];

	CHECK(fchmod(fd, 0640) == 0 && bind_to(fd, PATH("mode")) == 0);
	CHECK(stat("mode", &st) == 0 && st.st_mode == (S_IFSOCK | 0640));
	CHECK(chmod("mode", 0600) == 0 && fstat(fd, &st) == 0);
	CHECK(st.st_mode == (S_IFSOCK | 0640) && unlink("mode") == 0);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	FAILS(open(name, O_RDWR), ENXIO);
	close(fd);
}

/* chdir moves what relative names mean; a name in a socket's own path stays as it was given. */
static void check_relative(void)
{
	int l = open_socket(SOCK_STREAM), c = open_socket(SOCK_STREAM);

	CHECK(mkdir("sub", 0755) == 0 && bind_to(l, PATH("sub/s")) == 0 && listen(l, 0) == 0);
	CHECK(chdir("sub") == 0 && connect_to(c, PATH("s")) == 0 && chdir("..") == 0);
	CHECK(shown(getpeername, c) == PATH_OFFSET + 6);
	CHECK(unlink("sub/s") == 0 && rmdir("sub") == 0);
	close(l);
	CHECK(shown(getpeername, c) == PATH_OFFSET + 6);
	close(c);
}

static void check_abstract(void)
{
	int a = open_socket(SOCK_STREAM), b = open_socket(SOCK_STREAM), d = open_socket(SOCK_DGRAM);

	CHECK(bind_to(a, "\0name\0x", 7) == 0);
	CHECK(shown(getsockname, a) == PATH_OFFSET + 7);
	CHECK(memcmp(buf + PATH_OFFSET, "\0name\0x", 7) == 0);
	FAILS(bind_to(b, "\0name\0x", 7), EADDRINUSE);
	CHECK(bind_to(b, "\0name\0y", 7) == 0 && bind_to(d, "\0name\0x", 7) == 0);
	CHECK(listen(a, 1) == 0);
	FAILS(connect_to(b, "\0name", 5), ECONNREFUSED);
	CHECK(connect_to(b, "\0name\0x", 7) == 0);
	close(a);
	a = open_socket(SOCK_STREAM);
	CHECK(bind_to(a, "\0name\0x", 7) == 0);
	close(a);
	close(b);
	close(d);
	a = open_socket(SOCK_DGRAM);
	CHECK(bind_to(a, "", 0) == 0 && shown(getsockname, a) == PATH_OFFSET + 6);
	CHECK(buf[PATH_OFFSET] == 0 && bind_to(a, "", 0) == 0);
	close(a);
}

/* A listener takes one connection more than it asked for, then connects wait. */
/* The line of /proc/net/unix that ends with `name`, from its flags on; 0: there is none. */
static int listed(const char *name, char *flags)
{
	char line[512], path[256];
	FILE *f = fopen("/proc/net/unix", "r");
	int found = 0;

	CHECK(f);
	CHECK(fgets(line, sizeof(line), f));
	CHECK(!strcmp(line, "Num       RefCount Protocol Flags    Type St Inode Path\n"));
	while (!found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %*s %31[0-9A-F ] %255s", flags, path) == 2 &&
			!strcmp(path, name);
	fclose(f);
	return found;
}

static void check_listing(void)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	unsigned long ino;
	struct stat st;
	char flags[32];

	CHECK(!listed("@a-check@of-names", flags));
	memcpy(a.sun_path, "\0a-check\0of-names", 18);
	CHECK(bind(fd, (struct sockaddr *)&a, 2 + 17) == 0 && fstat(fd, &st) == 0);
	CHECK(listed("@a-check@of-names", flags));
	CHECK(sscanf(flags, "00000000 0001 01 %lu", &ino) == 1 && ino == st.st_ino);
	CHECK(listen(fd, 1) == 0 && listed("@a-check@of-names", flags));
	CHECK(!strncmp(flags, "00010000 0001 01 ", 17));
	close(fd);
	CHECK(!listed("@a-check@of-names", flags));
}

static void check_backlog(void)
{
	int l = open_socket(SOCK_STREAM), c[4], status;

	CHECK(bind_to(l, "\0backlog", 8) == 0 && listen(l, 1) == 0);
	for (int i = 0; i < 4; i++)
		c[i] = open_socket(SOCK_STREAM | SOCK_NONBLOCK);
	CHECK(connect_to(c[0], "\0backlog", 8) == 0 && connect_to(c[1], "\0backlog", 8) == 0);
	FAILS(connect_to(c[2], "\0backlog", 8), EAGAIN);
	CHECK(poll_now(l) == POLLIN && poll_now(c[2]) == (POLLOUT | POLLHUP));
	pid_t child = fork();
	if (child == 0) {
		fcntl(c[2], F_SETFL, 0);
		_exit(connect_to(c[2], "\0backlog", 8) != 0 || write(c[2], "late", 4) != 4);
	}
	CHECK(write(c[0], "0", 1) == 1 && write(c[1], "1", 1) == 1);
	usleep(20000);
	for (int i = 0; i < 3; i++) {
		int s = accept(l, NULL, NULL);
		CHECK(s >= 0 && read(s, buf, 10) == (i < 2 ? 1 : 4));
		CHECK(i == 2 || buf[0] == '0' + i);
		close(s);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	fcntl(l, F_SETFL, O_NONBLOCK);
	FAILS(accept(l, NULL, NULL), EAGAIN);
	CHECK(shutdown(l, SHUT_RD) == 0);
	FAILS(connect_to(c[3], "\0backlog", 8), ECONNREFUSED);
	FAILS(accept(c[3], NULL, NULL), EINVAL);
	int d = open_socket(SOCK_DGRAM);
	FAILS(accept(d, NULL, NULL), EOPNOTSUPP);
	FAILS(listen(d, 1), EOPNOTSUPP);
	FAILS(ioctl(l, FIONREAD, buf), EINVAL);
	close(d);
	close(l);
	for (int i = 0; i < 4; i++)
		close(c[i]);
}

static char state_of(pid_t pid)
{
	char path[64], text[512] = "";

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	int fd = open(path, O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && close(fd) == 0);
	return strrchr(text, ')')[2];
}

/* Several processes in accept are served in the order they came, which is not that of their birth.
 */
static void check_accept_order(void)
{
	static const int order[] = {1, 2, 0};
	int l = open_socket(SOCK_STREAM), status;
	volatile char *page =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	volatile char *go = page, *there = page + 8, *served = page + 16;
	pid_t children[3];

	CHECK(bind_to(l, "\0order", 6) == 0 && listen(l, 10) == 0);
	for (int i = 0; i < 3; i++) {
		children[i] = fork();
		if (children[i] == 0) {
			while (!go[i])
				usleep(1000);
			there[i] = 1;
			int s = accept(l, NULL, NULL);
			_exit(s < 0 || read(s, (char *)&served[i], 1) != 1);
		}
	}
	for (int i = 0; i < 3; i++) {
		go[order[i]] = 1;
		while (!there[order[i]] || state_of(children[order[i]]) != 'S')
			usleep(1000);
	}
	for (int i = 0; i < 3; i++) {
		int c = open_socket(SOCK_STREAM);
		char text = (char)('a' + i);
		CHECK(connect_to(c, "\0order", 6) == 0 && write(c, &text, 1) == 1);
		close(c);
		CHECK(waitpid(children[order[i]], &status, 0) == children[order[i]] && status == 0);
		CHECK(served[order[i]] == text);
	}
	munmap((void *)page, 4096);
	close(l);
}

static void check_killed_waiter(void)
{
	int l = open_socket(SOCK_STREAM), c = open_socket(SOCK_STREAM), status;
	pid_t first, second;

	CHECK(bind_to(l, "\0killed", 7) == 0 && listen(l, 10) == 0);
	if ((first = fork()) == 0)
		_exit(accept(l, NULL, NULL) < 0);
	usleep(20000);
	if ((second = fork()) == 0)
		_exit(accept(l, NULL, NULL) < 0);
	usleep(20000);
	CHECK(kill(first, SIGKILL) == 0);
	/* Were it still dying, Linux might wake it in place of the second. */
	CHECK(waitpid(first, &status, 0) == first && WIFSIGNALED(status));
	CHECK(connect_to(c, "\0killed", 7) == 0);
	CHECK(waitpid(second, &status, 0) == second && status == 0);
	close(l);
	close(c);
}

static void check_dgram(void)
{
	struct sockaddr_un a;
	socklen_t len = sizeof(a);
	int s = open_socket(SOCK_DGRAM), c = open_socket(SOCK_DGRAM), waiting, n;

	CHECK(bind_to(s, PATH("d")) == 0);
	FAILS(send(c, "x", 1, 0), ENOTCONN);
	FAILS(send_to(c, PATH("none"), "x", 1), ENOENT);
	CHECK(send_to(c, PATH("d"), "one", 3) == 3);
	CHECK(recvfrom(s, buf, 100, 0, (struct sockaddr *)&a, &len) == 3 && len == 0);
	CHECK(bind_to(c, "\0c", 2) == 0 && send_to(c, PATH("d"), "", 0) == 0);
	len = sizeof(a);
	CHECK(recvfrom(s, buf, 100, 0, (struct sockaddr *)&a, &len) == 0);
	CHECK(len == PATH_OFFSET + 2 && memcmp(a.sun_path, "\0c", 2) == 0);
	CHECK(send_to(c, PATH("d"), "long", 4) == 4 && send_to(c, PATH("d"), "next", 4) == 4);
	CHECK(ioctl(s, FIONREAD, &waiting) == 0 && waiting == 4);
	CHECK(recv(s, buf, 2, MSG_PEEK | MSG_TRUNC) == 4 && recv(s, buf, 2, 0) == 2);
	CHECK(recv(s, buf, 100, 0) == 4 && memcmp(buf, "next", 4) == 0);
	FAILS(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	FAILS(send_to(c, PATH("d"), buf, 212992), EMSGSIZE);
	/* Eleven fit into a stranger's queue. */
	CHECK(poll_now(c) == POLLOUT && connect_to(c, PATH("d")) == 0);
	for (n = 0; send(c, "m", 1, MSG_DONTWAIT) == 1; n++)
		continue;
	CHECK(errno == EAGAIN && n == 11 && poll_now(c) == 0 && poll_now(s) == (POLLIN | POLLOUT));
	CHECK(recv(s, buf, 1, 0) == 1 && poll_now(c) == POLLOUT);
	/* A connected socket is sent to by its peer alone. */
	int other = open_socket(SOCK_DGRAM);
	CHECK(connect_to(s, "\0c", 2) == 0);
	FAILS(send_to(other, PATH("d"), "x", 1), EPERM);
	FAILS(connect_to(other, PATH("d")), EPERM);
	a.sun_family = AF_UNSPEC;
	CHECK(connect(s, (struct sockaddr *)&a, sizeof(a)) == 0);
	FAILS(recv(c, buf, 1, MSG_DONTWAIT), ECONNRESET);
	FAILS(recv(c, buf, 1, MSG_DONTWAIT), EAGAIN);
	FAILS(getpeername(s, (struct sockaddr *)&a, &len), ENOTCONN);
	close(s);
	CHECK(shown(getpeername, c) == PATH_OFFSET + 2);
	FAILS(send(c, "x", 1, 0), ECONNREFUSED);
	FAILS(send(c, "x", 1, 0), ENOTCONN);
	CHECK(unlink("d") == 0);
	close(c);
	close(other);
}

/* A sender that waits for room goes on when there is some; one whose receiver ends is told. */
static void check_dgram_waits(void)
{
	int s = open_socket(SOCK_DGRAM), c = open_socket(SOCK_DGRAM), status;

	CHECK(bind_to(s, "\0w", 2) == 0 && connect_to(c, "\0w", 2) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(s);
		for (int i = 0; i < 12; i++)
			CHECK(send(c, "m", 1, 0) == 1);
		CHECK(send(c, "m", 1, 0) == -1 && errno == ECONNREFUSED);
		_exit(0);
	}
	usleep(20000);
	CHECK(recv(s, buf, 1, 0) == 1);
	usleep(20000);
	close(s);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	close(c);
}

static void check_seqpacket(void)
{
	int l = open_socket(SOCK_SEQPACKET), c = open_socket(SOCK_SEQPACKET), waiting;

	FAILS(send(c, "x", 1, 0), ENOTCONN);
	FAILS(recv(c, buf, 1, 0), ENOTCONN);
	CHECK(bind_to(l, "\0seq", 4) == 0 && listen(l, 3) == 0 && connect_to(c, "\0seq", 4) == 0);
	int s = accept(l, NULL, NULL);
	CHECK(s >= 0 && write(c, "first", 5) == 5 && write(c, "", 0) == 0);
	CHECK(send(c, "second", 6, MSG_EOR) == 6);
	CHECK(ioctl(s, FIONREAD, &waiting) == 0 && waiting == 11);
	CHECK(recv(s, buf, 3, MSG_TRUNC) == 5 && recv(s, buf, 100, 0) == 0);
	CHECK(recv(s, buf, 100, MSG_WAITALL) == 6);
	FAILS(recv(s, buf, 100, MSG_DONTWAIT), EAGAIN);
	CHECK(write(c, "unread", 6) == 6 && write(s, "back", 4) == 4 && close(s) == 0);
	CHECK(poll_now(c) == (POLLIN | POLLOUT | POLLERR | POLLHUP | POLLRDHUP));
	FAILS(recv(c, buf, 100, 0), ECONNRESET);
	CHECK(recv(c, buf, 100, 0) == 4 && recv(c, buf, 100, 0) == 0);
	FAILS(write(c, "x", 1), EPIPE);
	close(c);
	close(l);
}

/* ---- credentials ---- */

static ssize_t receive_cred(int fd, struct ucred *ret, int flags)
{
	_Alignas(8) char control[CMSG_SPACE(sizeof(*ret))];
	struct iovec iov = {buf, 100};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	ssize_t n = recvmsg(fd, &h, flags);
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);

	memset(ret, 0x55, sizeof(*ret));
	if (n < 0)
		return n;
	CHECK(h.msg_flags == 0);
	if (c) {
		CHECK(c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS);
		CHECK(c->cmsg_len == CMSG_LEN(sizeof(*ret)));
		memcpy(ret, CMSG_DATA(c), sizeof(*ret));
	}
	return n;
}

static ssize_t send_cred(int fd, pid_t pid, uid_t uid)
{
	_Alignas(8) char control[CMSG_SPACE(sizeof(struct ucred))];
	struct iovec iov = {buf, 1};
	struct msghdr h = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = control,
			   .msg_controllen = sizeof(control)};
	struct cmsghdr *c = CMSG_FIRSTHDR(&h);
	struct ucred cred = {pid, uid, getgid()};

	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_CREDENTIALS;
	c->cmsg_len = CMSG_LEN(sizeof(cred));
	memcpy(CMSG_DATA(c), &cred, sizeof(cred));
	return sendmsg(fd, &h, 0);
}

static void check_credentials(int type)
{
	int p[2], on = 1, status;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	CHECK(socketpair(AF_UNIX, type, 0, p) == 0);
	CHECK(getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && len == sizeof(cred));
	CHECK(cred.pid == getpid() && cred.uid == geteuid() && cred.gid == getegid());
	CHECK(write(p[0], "a", 1) == 1);
	CHECK(setsockopt(p[1], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(write(p[0], "b", 1) == 1);
		CHECK(send_cred(p[0], getpid(), getuid()) == 1);
		if (getuid() != 0)
			FAILS(send_cred(p[0], getppid(), getuid()), EPERM);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(write(p[0], "c", 1) == 1 && send_cred(p[0], getpid(), getuid()) == 1);
	CHECK(receive_cred(p[1], &cred, MSG_PEEK) == 1 && cred.pid == 0 && cred.uid == 65534);
	CHECK(receive_cred(p[1], &cred, 0) == 1 && cred.pid == 0 && cred.gid == 65534);
	/* A stream glues what one sender sent, and no more. */
	CHECK(receive_cred(p[1], &cred, 0) == (type == SOCK_STREAM ? 2 : 1) && cred.pid == child);
	if (type != SOCK_STREAM)
		CHECK(receive_cred(p[1], &cred, 0) == 1 && cred.pid == child);
	CHECK(receive_cred(p[1], &cred, 0) == (type == SOCK_STREAM ? 2 : 1));
	CHECK(cred.pid == getpid() && cred.uid == getuid() && cred.gid == getgid());
	close(p[0]);
	close(p[1]);
}

static void check_peer_credentials(void)
{
	int l = open_socket(SOCK_STREAM), c = open_socket(SOCK_STREAM), status;
	struct ucred cred;
	socklen_t len = sizeof(cred);

	CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
	CHECK(cred.pid == 0 && cred.uid == (uid_t)-1 && cred.gid == (gid_t)-1);
	FAILS(getsockopt(c, SOL_SOCKET, SO_PEERGROUPS, buf, &len), ENODATA);
	CHECK(bind_to(l, "\0cred", 5) == 0 && listen(l, 1) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(connect_to(c, "\0cred", 5) == 0);
		CHECK(getsockopt(c, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0);
		_exit(cred.pid != getppid());
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	int s = accept(l, NULL, NULL);
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0 && cred.pid == child);
	gid_t own[64], groups[64];
	int count = getgroups(64, own);
	len = sizeof(groups);
	CHECK(getsockopt(s, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0);
	CHECK(len == (socklen_t)count * sizeof(gid_t) && memcmp(own, groups, len) == 0);
	close(l);
	close(c);
	close(s);
}

/* ---- peeks ---- */

static void check_peek_off(int type)
{
	int p[2], at = 0;
	socklen_t len = sizeof(at);

	CHECK(socketpair(AF_UNIX, type | SOCK_NONBLOCK, 0, p) == 0);
	CHECK(setsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &at, sizeof(at)) == 0);
	CHECK(write(p[0], "abcd", 4) == 4 && write(p[0], "efgh", 4) == 4);
	CHECK(recv(p[1], buf, 2, MSG_PEEK) == 2 && memcmp(buf, "ab", 2) == 0);
	CHECK(recv(p[1], buf, 2, MSG_PEEK) == 2 && memcmp(buf, "cd", 2) == 0);
	CHECK(recv(p[1], buf, 3, MSG_PEEK) == 3 && memcmp(buf, "efg", 3) == 0);
	CHECK(getsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &at, &len) == 0 && at == 7);
	CHECK(recv(p[1], buf, 4, 0) == 4 && memcmp(buf, "abcd", 4) == 0);
	CHECK(getsockopt(p[1], SOL_SOCKET, SO_PEEK_OFF, &at, &len) == 0 && at == 3);
	CHECK(recv(p[1], buf, 4, MSG_PEEK) == 1 && buf[0] == 'h');
	close(p[0]);
	close(p[1]);
}

static void check_mmsg(void)
{
	struct mmsghdr m[4] = {0};
	struct iovec iov[4];
	struct timespec limit = {1, 0};
	char bytes[4][8];
	int p[2];

	CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, p) == 0);
	for (int i = 0; i < 4; i++) {
		snprintf(bytes[i], 8, "m%d", i);
		iov[i] = (struct iovec){bytes[i], (size_t)i + 1};
		m[i].msg_hdr.msg_iov = &iov[i];
		m[i].msg_hdr.msg_iovlen = 1;
	}
	CHECK(sendmmsg(p[0], m, 4, 0) == 4 && m[3].msg_len == 4);
	for (int i = 0; i < 4; i++)
		iov[i].iov_len = 8;
	CHECK(recvmmsg(p[1], m, 3, 0, NULL) == 3 && m[2].msg_len == 3);
	CHECK(recvmmsg(p[1], m, 4, MSG_WAITFORONE, &limit) == 1 && m[0].msg_len == 4);
	FAILS(recvmmsg(p[1], m, 4, MSG_DONTWAIT, NULL), EAGAIN);
	limit.tv_nsec = 1000000000;
	FAILS(recvmmsg(p[1], m, 4, 0, &limit), EINVAL);
	close(p[0]);
	FAILS(sendmmsg(p[1], m, 2, 0), ECONNREFUSED);
	close(p[1]);
}

static void check_epoll(void)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET}, got[4];
	int ep = epoll_create1(0), p[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, p) == 0);
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, p[0], &e) == 0 && epoll_wait(ep, got, 4, 0) == 0);
	CHECK(write(p[1], "a", 1) == 1 && epoll_wait(ep, got, 4, 0) == 1);
	CHECK(got[0].events == EPOLLIN && epoll_wait(ep, got, 4, 0) == 0);
	CHECK(write(p[1], "b", 1) == 1 && epoll_wait(ep, got, 4, 0) == 1);
	e.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLONESHOT;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e) == 0 && epoll_wait(ep, got, 4, 0) == 1);
	CHECK(got[0].events == (EPOLLIN | EPOLLOUT) && epoll_wait(ep, got, 4, 0) == 0);
	e.events = EPOLLIN | EPOLLRDHUP;
	CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, p[0], &e) == 0 && close(p[1]) == 0);
	CHECK(epoll_wait(ep, got, 4, 0) == 1);
	CHECK(got[0].events == (EPOLLIN | EPOLLRDHUP | EPOLLHUP));
	close(p[0]);
	CHECK(epoll_wait(ep, got, 4, 0) == 0);
	close(ep);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_paths();
	check_mode();
	check_relative();
	check_abstract();
	check_listing();
	check_backlog();
	check_accept_order();
	check_killed_waiter();
	check_dgram();
	check_dgram_waits();
	check_seqpacket();
	check_credentials(SOCK_STREAM);
	check_credentials(SOCK_DGRAM);
	check_credentials(SOCK_SEQPACKET);
	check_peer_credentials();
	check_peek_off(SOCK_STREAM);
	check_peek_off(SOCK_DGRAM);
	check_mmsg();
	check_epoll();
	printf("unix sockets ok\n");
	return 0;
}
