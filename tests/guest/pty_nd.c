/*
 * Prints what a pseudo terminal of bare Linux answers differently from run to run: how the other
 * side cuts what is written to it, how much fits, how echo and output are mixed.
 */
#include <fcntl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>
#include "check.h"

#define LINES 300

static int master, slave;

static void open_pair(void)
{
	CHECK((master = posix_openpt(O_RDWR | O_NOCTTY)) >= 0);
	CHECK(grantpt(master) == 0 && unlockpt(master) == 0);
	CHECK((slave = open(ptsname(master), O_RDWR | O_NOCTTY)) >= 0);
}

/* A child prints lines while they are typed. */
static void mixed(void)
{
	char buf[4096];
	long n;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (pid == 0) {
		for (int i = 0; i < LINES; i++)
			CHECK(write(slave, "an output line\n", 15) == 15);
		_exit(0);
	}
	for (int i = 0; i < LINES; i++) {
		CHECK(write(master, "typed\n", 6) == 6);
		n = read(master, buf, sizeof(buf));
		printf("%ld %.*s|\n", n, (int)n, buf);
	}
	CHECK(close(slave) == 0);
	while ((n = read(master, buf, sizeof(buf))) > 0)
		printf("%ld\n", n);
	CHECK(waitpid(pid, NULL, 0) == pid && close(master) == 0);
}

static void capacity(int chunk)
{
	static char bytes[65536];
	struct termios raw;
	long n, sum = 0;

	open_pair();
	CHECK(tcgetattr(slave, &raw) == 0);
	cfmakeraw(&raw);
	CHECK(tcsetattr(slave, TCSANOW, &raw) == 0 && fcntl(slave, F_SETFL, O_NONBLOCK) == 0);
	while ((n = write(slave, bytes, (size_t)chunk)) > 0)
		sum += n;
	printf("%d: %ld fit\n", chunk, sum);
	CHECK(close(slave) == 0 && close(master) == 0);
}

int main(void)
{
	open_pair();
	mixed();
	capacity(1);
	capacity(100);
	capacity(3000);
	capacity(65536);
	return 0;
}
