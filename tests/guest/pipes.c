/*
 * Pipes and eventfds: capacity and its change, partial and atomic writes, non-blocking ends, end
 * of file, many writers, FIONREAD, descriptors handed on and duplicated, named pipes.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static char big[1 << 20];

static void check_capacity(void)
{
	int ends[2], ready;

	CHECK(pipe2(ends, O_NONBLOCK) == 0);
	CHECK(read(ends[0], big, 1) == -1 && errno == EAGAIN);
	CHECK(fcntl(ends[1], F_GETPIPE_SZ) == 65536);
	CHECK(write(ends[1], big, sizeof(big)) == 65536);
	CHECK(write(ends[1], big, 1) == -1 && errno == EAGAIN);
	CHECK(ioctl(ends[0], FIONREAD, &ready) == 0 && ready == 65536);
	CHECK(read(ends[0], big, 4096) == 4096 && write(ends[1], big, 4096) == 4096);
	CHECK(fcntl(ends[1], F_SETPIPE_SZ, 1 << 18) == 1 << 18);
	CHECK(write(ends[1], big, 1 << 18) == (1 << 18) - 65536);
	close(ends[1]);
	CHECK(read(ends[0], big, sizeof(big)) == 1 << 18);
	CHECK(read(ends[0], big, 1) == 0);
	close(ends[0]);
}

static void *drain(void *end)
{
	long sum = 0, got;

	while ((got = read(*(int *)end, big, 777)) > 0)
		sum += got;
	return (void *)sum;
}

/* A write longer than the pipe goes on while a reader takes from it. */
static void check_long_write(void)
{
	static char data[300000];
	pthread_t thread;
	void *sum;
	int ends[2];

	CHECK(pipe(ends) == 0);
	CHECK(pthread_create(&thread, NULL, drain, &ends[0]) == 0);
	CHECK(write(ends[1], data, sizeof(data)) == sizeof(data));
	close(ends[1]);
	CHECK(pthread_join(thread, &sum) == 0 && (long)sum == sizeof(data));
	close(ends[0]);
}

/* Writes of up to PIPE_BUF bytes are never mixed. */
static void check_atomic(void)
{
	char record[512];
	int ends[2], counts[4] = {0};

	CHECK(pipe(ends) == 0);
	for (int i = 0; i < 4; i++) {
		if (fork() == 0) {
			memset(record, 'a' + i, sizeof(record));
			for (int k = 0; k < 200; k++)
				CHECK(write(ends[1], record, sizeof(record)) == sizeof(record));
			_exit(0);
		}
	}
	close(ends[1]);
	while (read(ends[0], record, sizeof(record)) == sizeof(record)) {
		for (size_t k = 1; k < sizeof(record); k++)
			CHECK(record[k] == record[0]);
		counts[record[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		CHECK(counts[i] == 200 && wait(NULL) > 0);
	close(ends[0]);
}

static void check_vectors(void)
{
	char a[3], b[5];
	struct iovec out[] = {{"abc", 3}, {NULL, 0}, {"defgh", 5}}, in[] = {{a, 3}, {b, 5}};
	int ends[2], other;

	CHECK(pipe(ends) == 0);
	CHECK(writev(ends[1], out, 3) == 8 && readv(ends[0], in, 2) == 8);
	CHECK(memcmp(a, "abc", 3) == 0 && memcmp(b, "defgh", 5) == 0);
	CHECK(lseek(ends[0], 0, SEEK_SET) == -1 && errno == ESPIPE);
	CHECK((other = dup(ends[1])) >= 0 && close(ends[1]) == 0);
	CHECK(write(other, "x", 1) == 1 && close(other) == 0);
	CHECK(read(ends[0], a, 3) == 1 && read(ends[0], a, 3) == 0);
	CHECK(read(ends[0], (void *)8, 0) == 0 && write(ends[0], "x", 1) == -1 && errno == EBADF);
	close(ends[0]);
}

static void check_eventfd(void)
{
	uint64_t value = 5;
	int fd = eventfd(2, EFD_NONBLOCK), lock = eventfd(3, EFD_SEMAPHORE | EFD_NONBLOCK);

	CHECK(fd >= 0 && write(fd, &value, 8) == 8);
	CHECK(read(fd, &value, 8) == 8 && value == 7);
	CHECK(read(fd, &value, 8) == -1 && errno == EAGAIN);
	CHECK(read(fd, &value, 4) == -1 && errno == EINVAL);
	value = UINT64_MAX;
	CHECK(write(fd, &value, 8) == -1 && errno == EINVAL);
	for (int i = 0; i < 3; i++)
		CHECK(read(lock, &value, 8) == 8 && value == 1);
	CHECK(read(lock, &value, 8) == -1 && errno == EAGAIN);
	close(fd);
	close(lock);
}

static void check_fifo(void)
{
	char text[8];
	int fd, status;
	pid_t child;

	CHECK(mkfifo("fifo", 0600) == 0);
	CHECK(open("fifo", O_WRONLY | O_NONBLOCK) == -1 && errno == ENXIO);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		fd = open("fifo", O_WRONLY);
		_exit(write(fd, "through", 8) != 8);
	}
	CHECK((fd = open("fifo", O_RDONLY)) >= 0);
	CHECK(read(fd, text, 8) == 8 && strcmp(text, "through") == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(read(fd, text, 8) == 0 && close(fd) == 0 && unlink("fifo") == 0);
}

int main(void)
{
	signal(SIGPIPE, SIG_IGN);
	check_capacity();
	check_long_write();
	check_atomic();
	check_vectors();
	check_eventfd();
	check_fifo();
	printf("pipes ok\n");
	return 0;
}
