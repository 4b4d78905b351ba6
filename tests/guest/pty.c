/*
 * Pseudo terminals: names and the lock, lines and single bytes, waiting for them, both sides'
 * ends, sessions with their foreground, keys that send signals, hang-up, packet mode, sizes.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

struct pair {
	int master, slave;
	char name[64];
};

static volatile sig_atomic_t got[65];

static void note(int sig)
{
	got[sig]++;
}

static struct pair pair_open(int flags)
{
	struct pair p;

	CHECK((p.master = posix_openpt(O_RDWR | O_NOCTTY | flags)) >= 0);
	CHECK(grantpt(p.master) == 0 && unlockpt(p.master) == 0);
	CHECK(ptsname_r(p.master, p.name, sizeof(p.name)) == 0);
	CHECK((p.slave = open(p.name, O_RDWR | O_NOCTTY | flags)) >= 0);
	return p;
}

static void pair_close(struct pair *p)
{
	CHECK(close(p->slave) == 0 && close(p->master) == 0);
}

static void settings(int fd, tcflag_t local_on, tcflag_t local_off, int vmin, int vtime)
{
	struct termios s;

	CHECK(tcgetattr(fd, &s) == 0);
	s.c_lflag = (s.c_lflag | local_on) & ~local_off;
	s.c_cc[VMIN] = (cc_t)vmin;
	s.c_cc[VTIME] = (cc_t)vtime;
	CHECK(tcsetattr(fd, TCSANOW, &s) == 0);
}

static short ready(int fd, int timeout)
{
	struct pollfd p = {fd, POLLIN | POLLOUT | POLLPRI, 0};

	CHECK(poll(&p, 1, timeout) >= 0);
	return p.revents;
}

/* Waits for exactly these bytes from the descriptor. */
static void expect(int fd, const char *bytes)
{
	size_t want = strlen(bytes), have = 0;
	char buf[512];

	while (have < want) {
		long n = read(fd, buf + have, want - have);
		CHECK(n > 0);
		have += (size_t)n;
	}
	CHECK(memcmp(buf, bytes, want) == 0);
}

static void type(int master, const char *keys)
{
	CHECK(write(master, keys, strlen(keys)) == (long)strlen(keys));
}

/* ---- names ---- */

static void check_names(void)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), number, locked, other;
	char name[64], self[64];
	struct stat a, b;

	CHECK(master >= 0 && isatty(master) && ioctl(master, TIOCGPTN, &number) == 0);
	snprintf(name, sizeof(name), "/dev/pts/%d", number);
	CHECK(strcmp(ptsname(master), name) == 0);
	CHECK(ioctl(master, TIOCGPTLCK, &locked) == 0 && locked == 1);
	CHECK(open(name, O_RDWR | O_NOCTTY) == -1 && errno == EIO);
	CHECK(unlockpt(master) == 0);
	int slave = open(name, O_RDWR | O_NOCTTY);
	CHECK(slave >= 0 && fstat(slave, &a) == 0 && stat(name, &b) == 0);
	CHECK(a.st_ino == b.st_ino && a.st_dev == b.st_dev && S_ISCHR(a.st_mode));
	CHECK(major(a.st_rdev) == 136 && minor(a.st_rdev) == (unsigned)number);
	CHECK(a.st_uid == getuid());
	CHECK(fstat(master, &a) == 0 && a.st_rdev == makedev(5, 2));
	CHECK(ttyname_r(slave, self, sizeof(self)) == 0 && strcmp(self, name) == 0);
	CHECK(ioctl(slave, TIOCGPTN, &number) == -1 && errno == ENOTTY);
	CHECK((other = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY)) >= 0);
	CHECK(write(other, "x\n", 2) == 2);
	expect(master, "x\r\n");
	CHECK(lseek(slave, 0, SEEK_CUR) == -1 && errno == ESPIPE);
	CHECK(ioctl(slave, TIOCMGET, &number) == -1 && errno == ENOTTY);
	CHECK(ioctl(slave, TIOCGETD, &number) == 0 && number == 0);
	number = 29;
	CHECK(ioctl(slave, TIOCSETD, &number) == -1 && errno == EINVAL);
	CHECK(close(other) == 0 && close(master) == 0);
	CHECK(stat(name, &b) == -1 && errno == ENOENT);
	CHECK(read(slave, self, 1) == 0 && write(slave, "x", 1) == -1 && errno == EIO);
	CHECK(ready(slave, -1) & POLLHUP && tcgetattr(slave, (struct termios *)self) == -1);
	CHECK(errno == EIO && close(slave) == 0);
}

/* ---- both sides' ends ---- */

static void check_ends(void)
{
	struct pair p = pair_open(0);
	char byte;

	CHECK(write(p.slave, "rest", 4) == 4 && close(p.slave) == 0);
	expect(p.master, "rest");
	CHECK(read(p.master, &byte, 1) == -1 && errno == EIO);
	CHECK(ready(p.master, -1) & POLLHUP);
	type(p.master, "wai");
	CHECK((p.slave = open(p.name, O_RDWR | O_NOCTTY)) >= 0);
	CHECK(!(ready(p.master, 0) & POLLHUP));
	type(p.master, "ting\n");
	expect(p.slave, "waiting\n");
	expect(p.master, "waiting\r\n");
	pair_close(&p);
}

/* ---- waiting ---- */

/* A child that types `keys` on its master after each byte that comes through the pipe. */
static pid_t typist(int master, int start, const char *keys)
{
	pid_t pid = fork();
	char byte;

	CHECK(pid >= 0);
	if (pid)
		return pid;
	for (; *keys; keys++)
		CHECK(read(start, &byte, 1) == 1 && write(master, keys, 1) == 1);
	_exit(0);
}

static void check_waiting(void)
{
	struct pair p = pair_open(0);
	int start[2], status;
	char buf[16];

	CHECK(pipe(start) == 0);
	settings(p.slave, 0, ICANON | ECHO, 3, 0);
	pid_t pid = typist(p.master, start[0], "abcdef");
	CHECK(write(start[1], "......", 6) == 6);
	CHECK(read(p.slave, buf, sizeof(buf)) >= 3 && buf[2] == 'c');
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	settings(p.slave, 0, 0, 0, 0);
	while (read(p.slave, buf, sizeof(buf)) > 0)
		;
	settings(p.slave, 0, 0, 0, 1);
	CHECK(read(p.slave, buf, sizeof(buf)) == 0);
	type(p.master, "q");
	CHECK(read(p.slave, buf, sizeof(buf)) == 1 && buf[0] == 'q');
	settings(p.slave, 0, 0, 5, 1);
	type(p.master, "yz");
	CHECK(read(p.slave, buf, sizeof(buf)) == 2 && buf[1] == 'z');
	settings(p.slave, 0, 0, 4, 0);
	type(p.master, "yz");
	CHECK(!(ready(p.slave, 0) & POLLIN));
	CHECK(close(start[0]) == 0 && close(start[1]) == 0);
	pair_close(&p);
}

static void check_interrupted(void)
{
	struct sigaction action = {.sa_handler = note};
	struct pair p = pair_open(0);
	char byte;

	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	alarm(1);
	CHECK(read(p.slave, &byte, 1) == -1 && errno == EINTR && got[SIGALRM] == 1);
	alarm(1);
	CHECK(read(p.master, &byte, 1) == -1 && errno == EINTR && got[SIGALRM] == 2);
	pair_close(&p);
}

/* More than fits goes on when some of it was read. */
static void check_full(void)
{
	struct pair p = pair_open(O_NONBLOCK);
	static char bytes[65536];
	long sum = 0, n;
	int status;

	settings(p.slave, 0, ICANON | ECHO, 1, 0);
	while ((n = write(p.slave, bytes, 1000)) > 0)
		sum += n;
	CHECK(n == -1 && errno == EAGAIN && sum > 4096 && !(ready(p.slave, 0) & POLLOUT));
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(fcntl(p.slave, F_SETFL, O_RDWR) == 0);
		_exit(write(p.slave, bytes, sizeof(bytes)) == sizeof(bytes) ? 0 : 1);
	}
	CHECK(fcntl(p.master, F_SETFL, O_RDWR) == 0);
	for (sum += sizeof(bytes); sum > 0; sum -= n)
		CHECK((n = read(p.master, bytes, sizeof(bytes))) > 0);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	pair_close(&p);
}

/* Two writes that are longer than fits come out one after the other. */
static void check_two_writers(void)
{
	struct pair p = pair_open(0);
	static char bytes[131072];
	long have = 0, n;
	int changes = 0;

	settings(p.slave, 0, ICANON | ECHO, 1, 0);
	for (int i = 0; i < 2; i++) {
		pid_t pid = fork();
		CHECK(pid >= 0);
		if (pid)
			continue;
		memset(bytes, 'a' + i, sizeof(bytes));
		_exit(write(p.slave, bytes, 65536) == 65536 ? 0 : 1);
	}
	for (; have < 131072; have += n)
		CHECK((n = read(p.master, bytes + have, sizeof(bytes) - (size_t)have)) > 0);
	for (long i = 1; i < 131072; i++)
		changes += bytes[i] != bytes[i - 1];
	CHECK(changes == 1 && wait(NULL) > 0 && wait(NULL) > 0);
	pair_close(&p);
}

static void check_epoll(void)
{
	struct epoll_event want = {.events = EPOLLIN | EPOLLET}, event;
	struct pair p = pair_open(0);
	int poller = epoll_create1(0);

	CHECK(poller >= 0 && epoll_ctl(poller, EPOLL_CTL_ADD, p.slave, &want) == 0);
	type(p.master, "part");
	CHECK(!(ready(p.slave, 0) & POLLIN));
	type(p.master, "ial\n");
	CHECK(epoll_wait(poller, &event, 1, -1) == 1 && event.events == EPOLLIN);
	CHECK(epoll_wait(poller, &event, 1, 0) == 0);
	expect(p.slave, "partial\n");
	CHECK(close(poller) == 0);
	pair_close(&p);
}

/* ---- sessions ---- */

/* What the leader of a session of its own says through its status, with the slave as terminal. */
static pid_t leader_start(struct pair *p, int (*run)(struct pair *))
{
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid)
		return pid;
	CHECK(setsid() == getpid() && open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	CHECK(close(p->slave) == 0 && (p->slave = open(p->name, O_RDWR)) >= 0);
	CHECK(close(p->master) == 0);
	_exit(run(p));
}

static int leader_status(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

static int run_basics(struct pair *p)
{
	int sid, own = open("/dev/tty", O_RDWR);
	struct stat st;

	CHECK(own >= 0 && tcgetpgrp(own) == getpid() && tcgetsid(p->slave) == getsid(0));
	CHECK(ioctl(p->slave, TIOCGSID, &sid) == 0 && sid == getpid());
	CHECK(fstat(own, &st) == 0 && st.st_rdev == makedev(5, 0));
	CHECK(tcsetpgrp(own, getpid() + 100000) == -1 && (errno == ESRCH || errno == EPERM));
	CHECK(ioctl(own, TIOCSCTTY, 0) == 0);
	CHECK(write(own, "own\n", 4) == 4 && close(own) == 0);
	CHECK(signal(SIGHUP, SIG_IGN) != SIG_ERR && ioctl(p->slave, TIOCNOTTY) == 0);
	CHECK(open("/dev/tty", O_RDWR) == -1 && errno == ENXIO);
	CHECK(tcgetpgrp(p->slave) == -1 && errno == ENOTTY);
	CHECK(ioctl(p->slave, TIOCSCTTY, 0) == 0 && tcgetpgrp(p->slave) == getpid());
	return 0;
}

static int run_keys(struct pair *p)
{
	struct sigaction action = {.sa_handler = note};
	sigset_t block, old;

	sigemptyset(&block);
	for (int i = 0; i < 3; i++) {
		static const int signals[] = {SIGINT, SIGQUIT, SIGTSTP};
		sigaddset(&block, signals[i]);
		CHECK(sigaction(signals[i], &action, NULL) == 0);
	}
	CHECK(sigprocmask(SIG_BLOCK, &block, &old) == 0);
	CHECK(write(p->slave, "ready\n", 6) == 6);
	while (!got[SIGINT] || !got[SIGQUIT] || !got[SIGTSTP])
		sigsuspend(&old);
	return 0;
}

/* A background group of the session is stopped when it reads, or writes under TOSTOP. */
static int run_background(struct pair *p)
{
	char byte;
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(setpgid(0, 0) == 0);
		CHECK(read(p->slave, &byte, 1) == 1 && byte == 'k');
		settings(p->slave, 0, 0, 1, 0);
		CHECK(write(p->slave, "w", 1) == 1);
		_exit(5);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(WSTOPSIG(status) == SIGTTIN);
	CHECK(tcsetpgrp(p->slave, pid) == 0 && tcgetpgrp(p->slave) == pid);
	CHECK(signal(SIGTTOU, SIG_IGN) != SIG_ERR);
	settings(p->slave, TOSTOP, ICANON | ECHO, 1, 0);
	CHECK(write(p->slave, "k?", 2) == 2 && kill(-pid, SIGCONT) == 0);
	/* It is in front, reads, and changes the settings; then it is put back. */
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 5);
	CHECK(tcsetpgrp(p->slave, getpid()) == 0);
	pid = fork();
	CHECK(pid >= 0);
	if (pid == 0) {
		CHECK(signal(SIGTTOU, SIG_DFL) != SIG_ERR && setpgid(0, 0) == 0);
		_exit(write(p->slave, "v", 1) == 1 ? 6 : 1);
	}
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status));
	CHECK(WSTOPSIG(status) == SIGTTOU && kill(pid, SIGKILL) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WTERMSIG(status) == SIGKILL);
	return 0;
}

static int run_hang_up(struct pair *p)
{
	struct sigaction action = {.sa_handler = note};
	char byte;

	CHECK(sigaction(SIGHUP, &action, NULL) == 0 && sigaction(SIGCONT, &action, NULL) == 0);
	CHECK(write(p->slave, "ready\n", 6) == 6);
	long n = read(p->slave, &byte, 1);
	CHECK(n == 0 || (n == -1 && (errno == EINTR || errno == EIO)));
	CHECK(got[SIGHUP] == 1 && got[SIGCONT] == 1);
	CHECK(read(p->slave, &byte, 1) == 0 && open("/dev/tty", O_RDWR) == -1);
	return errno == ENXIO ? 9 : 1;
}

static int run_size(struct pair *p)
{
	struct sigaction action = {.sa_handler = note};
	struct winsize size;
	sigset_t block, old;

	sigemptyset(&block);
	sigaddset(&block, SIGWINCH);
	CHECK(sigprocmask(SIG_BLOCK, &block, &old) == 0);
	CHECK(sigaction(SIGWINCH, &action, NULL) == 0 && write(p->slave, "ready\n", 6) == 6);
	while (!got[SIGWINCH])
		sigsuspend(&old);
	CHECK(ioctl(p->slave, TIOCGWINSZ, &size) == 0);
	return size.ws_row == 40 && size.ws_col == 120 ? 0 : 1;
}

static void check_sessions(void)
{
	struct winsize size = {.ws_row = 40, .ws_col = 120};
	struct pair p = pair_open(0);
	pid_t pid = leader_start(&p, run_basics);

	expect(p.master, "own\r\n");
	CHECK(leader_status(pid) == 0);
	pid = leader_start(&p, run_keys);
	expect(p.master, "ready\r\n");
	CHECK(tcgetpgrp(p.master) == pid);
	type(p.master, "\x03");
	expect(p.master, "^C");
	type(p.master, "\x1c");
	expect(p.master, "^\\");
	type(p.master, "\x1a");
	expect(p.master, "^Z");
	CHECK(leader_status(pid) == 0);
	pid = leader_start(&p, run_background);
	expect(p.master, "k?");
	type(p.master, "k");
	expect(p.master, "w");
	CHECK(leader_status(pid) == 0);
	settings(p.slave, ICANON | ECHO, TOSTOP, 1, 0);
	pid = leader_start(&p, run_size);
	expect(p.master, "ready\r\n");
	CHECK(ioctl(p.master, TIOCSWINSZ, &size) == 0 && leader_status(pid) == 0);
	pid = leader_start(&p, run_hang_up);
	expect(p.master, "ready\r\n");
	pair_close(&p);
	CHECK(WEXITSTATUS(leader_status(pid)) == 9);
}

/* The leader ends: who was in front is told, and the terminal is free for another session. */
static int run_short(struct pair *p)
{
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	if (fork() == 0) {
		CHECK(sigwait(&set, &sig) == 0 && sig == SIGHUP);
		CHECK(write(p->slave, "told\n", 5) == 5);
		_exit(0);
	}
	return 0;
}

static void check_leader_end(void)
{
	struct pair p = pair_open(0);
	pid_t pid = leader_start(&p, run_short);

	CHECK(leader_status(pid) == 0);
	expect(p.master, "told\r\n");
	pid = leader_start(&p, run_basics);
	expect(p.master, "own\r\n");
	CHECK(leader_status(pid) == 0);
	pair_close(&p);
}

/* ---- echo ---- */

static void skip(int fd, size_t count)
{
	char buf[512];

	while (count > 0) {
		long n = read(fd, buf, count < sizeof(buf) ? count : sizeof(buf));
		CHECK(n > 0);
		count -= (size_t)n;
	}
}

/* A line is shown again whose echo is longer than the kernel's buffer for it: each time it stops
 * where it wants to stop, but a round of the buffer too early. */
static void check_long_echo(void)
{
	enum { KEYS = 4000, BUFFER = 4096 };
	struct pair p = pair_open(0);
	char keys[KEYS];

	memset(keys, 1, sizeof(keys));
	CHECK(write(p.master, keys, sizeof(keys)) == KEYS);
	skip(p.master, 2 * sizeof(keys));
	type(p.master, "\x12");
	skip(p.master, 2 * sizeof(keys) + 3 - BUFFER);
	type(p.master, "\n");
	skip(p.master, 3808);
	type(p.master, "abc\n");
	expect(p.master, "abc\r\n");
	pair_close(&p);
}

/* ---- packet mode ---- */

static void check_packets(void)
{
	struct pair p = pair_open(0);
	unsigned char buf[64];
	int on = 1;

	CHECK(ioctl(p.master, TIOCPKT, &on) == 0);
	CHECK(write(p.slave, "abc", 3) == 3 && read(p.master, buf, sizeof(buf)) == 4);
	CHECK(memcmp(buf, "\0abc", 4) == 0);
	CHECK(tcflow(p.slave, TCOOFF) == 0 && ready(p.master, -1) & POLLPRI);
	CHECK(read(p.master, buf, sizeof(buf)) == 1 && buf[0] == TIOCPKT_STOP);
	CHECK(!(ready(p.slave, 0) & POLLOUT));
	CHECK(tcflow(p.slave, TCOON) == 0 && tcflush(p.slave, TCIFLUSH) == 0);
	CHECK(read(p.master, buf, sizeof(buf)) == 1);
	CHECK(buf[0] == (TIOCPKT_START | TIOCPKT_FLUSHREAD));
	pair_close(&p);
}

int main(void)
{
	check_names();
	check_ends();
	check_waiting();
	check_interrupted();
	check_full();
	check_two_writers();
	check_epoll();
	check_sessions();
	check_leader_end();
	check_long_echo();
	check_packets();
	return 0;
}
