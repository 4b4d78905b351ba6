/*
 * Controlling terminals: who may take one, through which side and with which rights, who hears of
 * its being given up, what may be put in the foreground; and speeds, which other settings lack.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>
/* <termios.h> has other names for the same. */
#include <asm/termbits.h>
#include "check.h"

#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static char name[64];
static int master, slave;
static volatile sig_atomic_t own[65]; /* signals of which this process was the sender */

static void note(int sig, siginfo_t *info, void *context)
{
	(void)context;
	own[sig] += info->si_code == SI_USER && info->si_pid == getpid();
}

static int foreground(int fd)
{
	int pgrp = -1;

	return ioctl(fd, TIOCGPGRP, &pgrp) ? -1 : pgrp;
}

static int put_foreground(int fd, int pgrp)
{
	return ioctl(fd, TIOCSPGRP, &pgrp);
}

static void check_none(void)
{
	FAILS(ioctl(slave, TIOCSPGRP, (void *)8), EFAULT);
	FAILS(put_foreground(slave, -3), EINVAL);
	FAILS(put_foreground(slave, getpid()), ENOTTY);
	FAILS(ioctl(slave, TIOCNOTTY), ENOTTY);
	FAILS(foreground(slave), ENOTTY);
	CHECK(foreground(master) == 0);
}

/* The leader hears of it from itself. */
static void give_up(void)
{
	int hang_ups = own[SIGHUP], continued = own[SIGCONT];

	CHECK(ioctl(slave, TIOCNOTTY) == 0);
	CHECK(own[SIGHUP] == hang_ups + 1 && own[SIGCONT] == continued + 1);
}

static void check_taking(void)
{
	int writer = open(name, O_WRONLY | O_NOCTTY);

	CHECK(writer >= 0);
	if (geteuid() == 0) {
		CHECK(ioctl(writer, TIOCSCTTY, 0) == 0);
		give_up();
	} else {
		FAILS(ioctl(writer, TIOCSCTTY, 0), EPERM);
	}
	/* Through the master it is the slave that is taken. */
	CHECK(ioctl(master, TIOCSCTTY, 0) == 0 && foreground(slave) == getpid());
	FAILS(ioctl(master, TIOCNOTTY), ENOTTY);
	give_up();
	CHECK(ioctl(slave, TIOCSCTTY, 0) == 0 && ioctl(slave, TIOCSCTTY, 0) == 0);
	CHECK(close(writer) == 0);
}

static void check_foreground(void)
{
	int hold[2];
	char c;

	CHECK(pipe(hold) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(hold[1]);
		_exit(read(hold[0], &c, 1) != 0);
	}
	FAILS(put_foreground(slave, 0x3fffff), ESRCH);
	FAILS(put_foreground(slave, 0), ESRCH);
	FAILS(put_foreground(slave, getppid()), EPERM);
	/* A process that leads no group may be named. */
	CHECK(put_foreground(slave, child) == 0 && foreground(slave) == child);
	CHECK(signal(SIGTTOU, SIG_IGN) != SIG_ERR && put_foreground(slave, getpid()) == 0);
	CHECK(close(hold[1]) == 0 && wait(NULL) == child && close(hold[0]) == 0);
}

static void set_speed(unsigned code, unsigned out, unsigned in)
{
	struct termios2 s;

	CHECK(ioctl(slave, TCGETS2, &s) == 0);
	s.c_cflag = (s.c_cflag & ~(unsigned)(CBAUD | CIBAUD)) | code;
	s.c_ospeed = out;
	s.c_ispeed = in;
	CHECK(ioctl(slave, TCSETS2, &s) == 0);
}

static bool has_speed(unsigned out, unsigned in)
{
	struct termios2 s;

	CHECK(ioctl(slave, TCGETS2, &s) == 0);
	return s.c_ospeed == out && s.c_ispeed == in;
}

static void check_speeds(void)
{
	set_speed(B9600, 1234, 77);
	CHECK(has_speed(9600, 9600));
	set_speed(BOTHER, 1234, 77);
	CHECK(has_speed(1234, 1234));
	set_speed(BOTHER | BOTHER << IBSHIFT, 1234, 77);
	CHECK(has_speed(1234, 77));
	set_speed(B0 | B300 << IBSHIFT, 1234, 77);
	CHECK(has_speed(0, 300));
}

static void check_exclusive(void)
{
	int on = -1;

	CHECK(ioctl(slave, TIOCEXCL) == 0 && ioctl(slave, TIOCGEXCL, &on) == 0 && on == 1);
	CHECK(ioctl(master, TIOCGEXCL, &on) == 0 && on == 0);
	CHECK(ioctl(slave, TIOCNXCL) == 0);
}

static void run(void)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};

	FAILS(ioctl(slave, TIOCSCTTY, 0), EPERM);
	CHECK(sigaction(SIGHUP, &action, NULL) == 0 && sigaction(SIGCONT, &action, NULL) == 0);
	CHECK(setsid() == getpid());
	check_none();
	check_taking();
	check_foreground();
	check_speeds();
	check_exclusive();
}

static void check_as(unsigned user)
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		CHECK(geteuid() == user || setuid(user) == 0);
		CHECK((master = posix_openpt(O_RDWR | O_NOCTTY)) >= 0 && !unlockpt(master));
		CHECK(ptsname_r(master, name, sizeof(name)) == 0);
		CHECK((slave = open(name, O_RDWR | O_NOCTTY)) >= 0);
		run();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

int main(void)
{
	check_as(geteuid());
	if (geteuid() == 0)
		check_as(61234);
	printf("tty job ok\n");
	return 0;
}
