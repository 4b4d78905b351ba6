/*
 * Descriptors: thousands of random calls of one process that copy, close, ask and change them, and
 * lock what they name, none of which waits, each result printed.  The order of the calls is fixed
 *by the seed, so Linux prints the same.
 *
 *	fcntl_random SEED CALLS
 */
#include <fcntl.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>
#include "check.h"
#include "draw.h"

#define FIRST 3
#define LAST  20 /* numbers that are used */

static int any(void)
{
	return pick(50) ? FIRST + (int)pick(LAST - FIRST) : -1;
}

static void say(const char *what, int fd, long result)
{
	printf("%s %d: %ld %d\n", what, fd, result, result < 0 ? errno : 0);
}

static void do_open(int fd)
{
	static const int flags[] = {O_RDONLY,
				    O_WRONLY,
				    O_RDWR,
				    O_RDWR | O_APPEND,
				    O_RDWR | O_CLOEXEC,
				    O_RDONLY | O_NONBLOCK,
				    O_PATH};
	char name[] = {'f', (char)('0' + pick(3)), 0};
	int ends[2];

	(void)fd;
	if (pick(4))
		say("open", 0, open(name, flags[pick(7)]));
	else if (pick(3))
		say("pipe", 0, pipe2(ends, pick(2) ? O_CLOEXEC : O_NONBLOCK));
	else
		say("sockets", 0, socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
}

static void do_copy(int fd)
{
	int to = any();

	switch (pick(5)) {
	case 0:
		say("dup", fd, dup(fd));
		break;
	case 1:
		say("dup2", fd, dup2(fd, to));
		break;
	case 2:
		say("dup3", fd, dup3(fd, to, pick(2) ? O_CLOEXEC : (int)pick(2)));
		break;
	case 3:
		say("dupfd", fd, fcntl(fd, F_DUPFD, (int)pick(LAST)));
		break;
	default:
		say("dupfd", fd, fcntl(fd, F_DUPFD_CLOEXEC, to));
	}
}

static void do_close(int fd)
{
	if (pick(8))
		say("close", fd, close(fd));
	else
		say("range", fd,
		    close_range((unsigned)fd, (unsigned)fd + pick(3), pick(2) ? 4 : 0));
}

static void do_flags(int fd)
{
	static const int flags[] = {0,
				    O_APPEND,
				    O_NONBLOCK,
				    O_NOATIME,
				    O_APPEND | O_NONBLOCK,
				    O_ASYNC,
				    O_RDWR | O_CREAT | O_TRUNC};
	int on = (int)pick(2);

	switch (pick(6)) {
	case 0:
		say("set fd", fd, fcntl(fd, F_SETFD, (int)pick(4)));
		break;
	case 1:
		say("set fl", fd, fcntl(fd, F_SETFL, flags[pick(7)]));
		break;
	case 2:
		say("cloex", fd, ioctl(fd, pick(2) ? FIOCLEX : FIONCLEX));
		break;
	case 3:
		say("nbio", fd, ioctl(fd, FIONBIO, &on));
		break;
	case 4:
		say("async", fd, ioctl(fd, FIOASYNC, &on));
		break;
	default:
		say("lseek", fd, lseek(fd, pick(100), (int)pick(3)));
	}
	say("get fd", fd, fcntl(fd, F_GETFD));
	say("get fl", fd, fcntl(fd, F_GETFL));
}

static void do_lock(int fd)
{
	static const int commands[] = {F_SETLK,	    F_SETLK, F_OFD_SETLK,
				       F_OFD_SETLK, F_GETLK, F_OFD_GETLK};
	static const short types[] = {F_RDLCK, F_WRLCK, F_UNLCK};
	struct flock l = {.l_type = types[pick(3)],
			  .l_whence = (short)pick(3),
			  .l_start = pick(60),
			  .l_len = (long)pick(30) - 5};
	int command = commands[pick(6)];

	if (!pick(30))
		l.l_type = 7;
	printf("%d %d %ld %ld ", l.l_type, l.l_whence, (long)l.l_start, (long)l.l_len);
	say("lock", fd, fcntl(fd, command, &l));
	if (command == F_GETLK || command == F_OFD_GETLK)
		printf("%d %d %ld %ld %d\n", l.l_type, l.l_whence, (long)l.l_start, (long)l.l_len,
		       l.l_pid == getpid() ? 1 : l.l_pid);
}

static void do_flock(int fd)
{
	static const int how[] = {LOCK_SH, LOCK_EX, LOCK_UN, LOCK_SH, LOCK_EX, 0};

	say("flock", fd, flock(fd, how[pick(6)] | LOCK_NB));
}

static void do_owner(int fd)
{
	static const int owners[] = {0, 1000000, -1000000};
	struct f_owner_ex ex = {(int)pick(4), pick(2) ? getpid() : 0};

	switch (pick(5)) {
	case 0:
		say("own", fd, fcntl(fd, F_SETOWN, pick(2) ? getpid() : owners[pick(3)]));
		break;
	case 1:
		say("own ex", fd, fcntl(fd, F_SETOWN_EX, &ex));
		break;
	case 2:
		say("sig", fd, fcntl(fd, F_SETSIG, pick(70)));
		break;
	case 3:
		say("get sig", fd, fcntl(fd, F_GETSIG));
		break;
	default:
		say("lease", fd, fcntl(fd, F_GETLEASE));
	}
	int owner = fcntl(fd, F_GETOWN);
	say("owner", fd, owner == getpid() ? 1 : owner == -getpid() ? -1 : owner);
}

/* A file of a tmpfs has one seal, which forbids others: as good as the answer of other file
 * systems, that there are none. */
static int wrong_result(int fd, int command)
{
	int result = fcntl(fd, command, 0);
	struct statfs fs;
	struct stat st;

	if (command != F_GET_SEALS || result != F_SEAL_SEAL)
		return result;
	CHECK(fstat(fd, &st) == 0 && S_ISREG(st.st_mode));
	CHECK(fstatfs(fd, &fs) == 0 && fs.f_type == TMPFS_MAGIC);
	errno = EINVAL;
	return -1;
}

static void do_wrong(int fd)
{
	static const int commands[] = {F_GETPIPE_SZ, F_SETPIPE_SZ, F_GET_SEALS, 999, -1, F_GETLK};

	say("wrong", fd, wrong_result(fd, commands[pick(6)]));
}

static void do_limit(int fd)
{
	struct rlimit limit = {LAST + pick(3), 1024};

	(void)fd;
	say("limit", 0, setrlimit(RLIMIT_NOFILE, &limit));
}

int main(int argc, char **argv)
{
	static void (*const calls[])(int) = {do_open,  do_open,	 do_copy,  do_copy, do_close,
					     do_flags, do_lock,	 do_lock,  do_lock, do_flock,
					     do_flags, do_owner, do_wrong, do_limit};

	if (argc != 3)
		return 2;
	state = strtoul(argv[1], NULL, 10);
	setpgid(0, 0);
	CHECK(close_range(FIRST, ~0u, 0) == 0);
	for (int i = 0; i < 3; i++) {
		char name[] = {'f', (char)('0' + i), 0};
		int fd = open(name, O_CREAT | O_RDWR, 0600);
		CHECK(fd == FIRST && write(fd, "hello world", 11) == 11 && close(fd) == 0);
	}
	for (int i = 1; i <= SIGRTMAX; i++)
		if (i != SIGKILL && i != SIGSTOP && (i < 32 || i >= SIGRTMIN))
			signal(i, SIG_IGN);
	for (unsigned long n = strtoul(argv[2], NULL, 10); n > 0; n--)
		calls[pick(sizeof(calls) / sizeof(calls[0]))](any());
	return 0;
}
