/*
 * micro read|getppid|clock N: one system call N times; micro exchange N: a byte to another process
 * and back, over a pair of sockets, N times.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static long exchange(long n)
{
	char byte = 1;
	int ends[2];
	long sum = 0;

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	if (fork() == 0) {
		close(ends[0]);
		while (read(ends[1], &byte, 1) == 1)
			CHECK(write(ends[1], &byte, 1) == 1);
		_exit(0);
	}
	close(ends[1]);
	for (long i = 0; i < n; i++)
		sum += write(ends[0], &byte, 1) + read(ends[0], &byte, 1);
	close(ends[0]);
	CHECK(wait(NULL) > 0);
	return sum;
}

int main(int argc, char **argv)
{
	struct timespec ts;
	long sum = 0, n;
	char byte;

	CHECK(argc == 3);
	n = atol(argv[2]);
	if (strcmp(argv[1], "read") == 0) {
		int fd = open("/dev/zero", O_RDONLY);

		for (long i = 0; i < n; i++)
			sum += read(fd, &byte, 1);
	} else if (strcmp(argv[1], "exchange") == 0) {
		sum = exchange(n);
	} else if (strcmp(argv[1], "getppid") == 0) {
		for (long i = 0; i < n; i++)
			sum += syscall(SYS_getppid) != -1;
	} else {
		for (long i = 0; i < n; i++)
			sum += clock_gettime(CLOCK_MONOTONIC, &ts) == 0;
	}
	printf("%s %ld\n", argv[1], sum);
	return 0;
}
