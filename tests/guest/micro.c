/*
 * micro read|getppid|clock N: one system call N times.
 */
#include <fcntl.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

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
