/*
 * What is done to an open FIFO is not done to whatever file of the host holds its descriptor. Only
 * times are changed here, lest a failure do harm.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "check.h"

int main(void)
{
	struct timespec times[2] = {{.tv_sec = 1234}, {.tv_sec = 5678}};
	struct stat st;

	CHECK(mkfifo("held.fifo", 0600) == 0);
	int fd = open("held.fifo", O_RDWR);
	CHECK(fd >= 0 && futimens(fd, times) == 0);
	CHECK(fstat(fd, &st) == 0 && st.st_mtim.tv_sec == 5678 && S_ISFIFO(st.st_mode));
	CHECK(stat("/", &st) == 0 && st.st_mtim.tv_sec != 5678);
	CHECK(unlink("held.fifo") == 0);
	printf("held ok\n");
	return 0;
}
