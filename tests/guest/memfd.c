/*
 * memfd_create and seals: what each seal forbids, to descriptors, mappings and modes; what is
 * shared with children; names.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE		   4096ul
#define FAILS(call, error) CHECK((errno = 0, (long)(call) == -1) && errno == (error))
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC	16u
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20
#endif

static int make(unsigned int flags)
{
	int fd = memfd_create("some name", flags);

	CHECK(fd >= 0 && ftruncate(fd, 2 * (off_t)PAGE) == 0);
	CHECK(pwrite(fd, "contents", 8, 0) == 8);
	return fd;
}

static char *map(int fd, int prot, int flags)
{
	return mmap(NULL, PAGE, prot, flags, fd, 0);
}

static void test_create(void)
{
	char longest[251], link[64], name[300] = "";
	struct stat st;

	memset(longest, 'n', 250);
	longest[250] = 0;
	FAILS(memfd_create(longest, 0), EINVAL);
	longest[249] = 0;
	int fd = memfd_create(longest, 0);
	CHECK(fd >= 0 && close(fd) == 0);
	FAILS(memfd_create("x", 0x80), EINVAL);
	FAILS(memfd_create("x", MFD_EXEC | MFD_NOEXEC_SEAL), EINVAL);
	FAILS(memfd_create((char *)8, 0), EFAULT);
	fd = memfd_create("", MFD_CLOEXEC);
	CHECK(fd >= 0 && fcntl(fd, F_GETFD) == FD_CLOEXEC && close(fd) == 0);
	fd = make(0);
	CHECK(fcntl(fd, F_GETFD) == 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDWR);
	CHECK(fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0777) && st.st_nlink == 0);
	CHECK(st.st_size == 2 * (off_t)PAGE && st.st_uid == geteuid());
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CHECK(readlink(link, name, sizeof(name)) > 0);
	CHECK(strcmp(name, "/memfd:some name (deleted)") == 0);
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_SEAL);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	close(fd);
}

static void test_size(void)
{
	int fd = make(MFD_ALLOW_SEALING);

	CHECK(fcntl(fd, F_GET_SEALS) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
	      fcntl(fd, F_GET_SEALS) == F_SEAL_SHRINK);
	FAILS(ftruncate(fd, PAGE), EPERM);
	CHECK(ftruncate(fd, 3 * (off_t)PAGE) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0);
	FAILS(ftruncate(fd, 4 * (off_t)PAGE), EPERM);
	FAILS(pwrite(fd, "x", 1, 3 * (off_t)PAGE), EPERM);
	FAILS(fallocate(fd, 0, 0, 4 * (off_t)PAGE), EPERM);
	CHECK(pwrite(fd, "xyz", 3, 3 * (off_t)PAGE - 1) == 1); /* up to the end it goes */
	CHECK(lseek(fd, 0, SEEK_END) == 3 * (off_t)PAGE);
	CHECK(ftruncate(fd, 3 * (off_t)PAGE) == 0);
	FAILS(fcntl(fd, F_ADD_SEALS, 0x1000), EINVAL);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL) == 0);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EPERM);
	CHECK(fcntl(fd, F_GET_SEALS) == (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL));
	close(fd);
}

static void test_write(void)
{
	int fd = make(MFD_ALLOW_SEALING);
	char *a = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), *b;

	strcpy(a, "mapped");
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY);
	pid_t pid = fork();
	if (!pid) {
		pause();
		_exit(1);
	}
	CHECK(munmap(a, PAGE) == 0);
	FAILS(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), EBUSY); /* the child's mapping */
	CHECK(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	FAILS(write(fd, "x", 1), EPERM);
	FAILS(pwrite(fd, "x", 1, 0), EPERM);
	FAILS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, PAGE), EPERM);
	FAILS(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM);
	a = map(fd, PROT_READ, MAP_SHARED);
	CHECK(a != MAP_FAILED && strcmp(a, "mapped") == 0);
	FAILS(mprotect(a, PAGE, PROT_READ | PROT_WRITE), EACCES);
	b = map(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	CHECK(b != MAP_FAILED);
	b[0] = 'M';
	CHECK(a[0] == 'm');
	CHECK(ftruncate(fd, 5 * (off_t)PAGE) == 0 && lseek(fd, 0, SEEK_END) == 5 * (off_t)PAGE);
	CHECK(munmap(a, PAGE) == 0 && munmap(b, PAGE) == 0);
	close(fd);
}

/* Mappings that are there may go on. */
static void test_future_write(void)
{
	int fd = make(MFD_ALLOW_SEALING);
	char *a = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED);

	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE) == 0);
	strcpy(a, "still");
	FAILS(write(fd, "x", 1), EPERM);
	FAILS(map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), EPERM);
	char *b = map(fd, PROT_READ, MAP_SHARED);
	CHECK(b != MAP_FAILED && strcmp(b, "still") == 0);
	FAILS(mprotect(b, PAGE, PROT_READ | PROT_WRITE), EACCES);
	CHECK(munmap(a, PAGE) == 0 && munmap(b, PAGE) == 0);
	close(fd);
}

static void test_exec(void)
{
	int fd = make(MFD_NOEXEC_SEAL);
	struct stat st;

	CHECK(fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0666));
	CHECK(fcntl(fd, F_GET_SEALS) == F_SEAL_EXEC);
	FAILS(fchmod(fd, 0777), EPERM);
	CHECK(fchmod(fd, 0600) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW) == 0); /* it may be sealed further */
	CHECK(write(fd, "x", 1) == 1);
	close(fd);
	fd = make(MFD_EXEC | MFD_ALLOW_SEALING);
	CHECK(fstat(fd, &st) == 0 && st.st_mode == (S_IFREG | 0777) && fcntl(fd, F_GET_SEALS) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_EXEC) == 0);
	FAILS(write(fd, "x", 1), EPERM); /* a program: it may not change at all */
	FAILS(fchmod(fd, 0666), EPERM);
	CHECK(fcntl(fd, F_GET_SEALS) & F_SEAL_EXEC);
	close(fd);
}

static void test_others(void)
{
	int pipes[2], fd = open("memfd.txt", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int reader = open("memfd.txt", O_RDONLY);

	CHECK(pipe(pipes) == 0 && fd >= 0 && reader >= 0);
	FAILS(fcntl(pipes[0], F_GET_SEALS), EINVAL);
	FAILS(fcntl(900, F_GET_SEALS), EBADF);
	FAILS(fcntl(reader, F_ADD_SEALS, F_SEAL_GROW), EPERM);
	CHECK(unlink("memfd.txt") == 0);
	close(fd);
	close(reader);
}

/* A child shares file, seals and offset. */
static void test_child(void)
{
	int fd = make(MFD_ALLOW_SEALING), status;
	char *a = map(fd, PROT_READ | PROT_WRITE, MAP_SHARED), text[9] = "";
	pid_t pid = fork();

	if (!pid) {
		strcpy(a, "from it");
		CHECK(lseek(fd, 5, SEEK_SET) == 5);
		CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(strcmp(a, "from it") == 0 && fcntl(fd, F_GET_SEALS) == F_SEAL_SHRINK);
	CHECK(read(fd, text, 2) == 2 && strcmp(text, "it") == 0);
	CHECK(munmap(a, PAGE) == 0 && close(fd) == 0);
}

int main(void)
{
	test_create();
	test_size();
	test_write();
	test_future_write();
	test_exec();
	test_others();
	test_child();
	printf("memfd ok\n");
	return 0;
}
