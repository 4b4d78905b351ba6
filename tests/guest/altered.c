/*
 * altered FILE OTHER: one of each thing a digest covers, driven by texts that tests/e2e/altered
 * edits in a log: an argument (lseek's offset), a result (whether OTHER is there), bytes read,
 * bytes written, output.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "check.h"

static volatile char argument[] = "ARGUMENT-0001", written[] = "WRITTEN-0001",
		     said[] = "SAID-0001\n";

int main(int argc, char **argv)
{
	char text[64];
	int fd;

	CHECK(argc == 3 && (fd = open(argv[1], O_RDONLY)) >= 0);
	CHECK(lseek(fd, argument[12] - '0', SEEK_SET) >= 0);
	CHECK(lseek(fd, 0, SEEK_SET) == 0 && read(fd, text, sizeof(text)) >= 0 && close(fd) == 0);
	(void)access(argv[2], F_OK);
	CHECK((fd = open("out", O_CREAT | O_WRONLY | O_TRUNC, 0600)) >= 0);
	CHECK(write(fd, (const char *)written, sizeof(written) - 1) == sizeof(written) - 1);
	CHECK(close(fd) == 0 && read(0, text, sizeof(text)) >= 0);
	CHECK(write(1, (const char *)said, sizeof(said) - 1) == sizeof(said) - 1);
	return 0;
}
