/*
 * versions N FILE: N system calls, and in the middle of them a read of FILE; then says what it was
 * compiled as, and the variable SAY.  For tests that look for the first difference of two runs:
 * each has a function of its own.
 */
#include <fcntl.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "check.h"

static void __attribute__((noinline)) middle(const char *path)
{
	static char bytes[4000];
	int fd = open(path, O_RDONLY);

	CHECK(fd >= 0);
	CHECK(pread(fd, bytes, sizeof(bytes), 1) >= 0); /* middle's line */
	CHECK(close(fd) == 0);
}

static void __attribute__((noinline)) say(const char *text)
{
	CHECK(write(1, text, strlen(text)) >= 0); /* say's line */
}

static void __attribute__((noinline)) say_version(void)
{
	say("version " VERSION "\n");
}

static void __attribute__((noinline)) say_variable(void)
{
	say(getenv("SAY") != NULL ? getenv("SAY") : "nothing");
}

int main(int argc, char **argv)
{
	long sum = 0, n;

	CHECK(argc == 3);
	n = atol(argv[1]);
	for (long i = 0; i < n; i++) {
		if (i == n / 2)
			middle(argv[2]);
		sum += syscall(SYS_getppid) == -1;
	}
	say_version();
	say_variable();
	return sum != 0;
}
