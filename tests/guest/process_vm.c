/*
 * process_vm_readv and process_vm_writev: how vectors are cut into each other, what may be reached,
 * how far a call gets that meets a hole on either side, errors in Linux's order, who may.
 */
#define _GNU_SOURCE
#include <grp.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE  4096
#define OTHER 1234

/* Of the child: pages 0 to 2, a hole, a page that is read only, one that is neither. */
static char *area;
static volatile int flag;

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

static ssize_t get(pid_t pid, void *to, size_t size, const void *from, size_t from_size)
{
	struct iovec local = {to, size}, remote = {(void *)from, from_size};

	return process_vm_readv(pid, &local, 1, &remote, 1, 0);
}

static ssize_t put(pid_t pid, const void *from, size_t size, void *to, size_t to_size)
{
	struct iovec local = {(void *)from, size}, remote = {to, to_size};

	return process_vm_writev(pid, &local, 1, &remote, 1, 0);
}

static void lay_out(void)
{
	area = mmap(NULL, 6 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(area != MAP_FAILED && munmap(area + 3 * PAGE, PAGE) == 0);
	CHECK(mprotect(area + 4 * PAGE, PAGE, PROT_READ) == 0);
	CHECK(mprotect(area + 5 * PAGE, PAGE, PROT_NONE) == 0);
	for (int i = 0; i < 3 * PAGE; i++)
		area[i] = (char)(i % 251);
}

static void meet(int fd)
{
	char c = 0;

	CHECK(write(fd, &c, 1) == 1 && read(fd, &c, 1) == 1);
}

static pid_t start(int (*run)(int fd), int *ret_fd)
{
	int ends[2];

	CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(ends[1]);
		_exit(run(ends[0]));
	}
	close(ends[0]);
	*ret_fd = ends[1];
	return child;
}

static void finish(pid_t child, int fd)
{
	int status;

	close(fd);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* Changes what it has, so that it is not the parent's. */
static int holder(int fd)
{
	char c;

	for (int i = 0; i < 3 * PAGE; i++)
		area[i] ^= 0x55;
	meet(fd);
	return read(fd, &c, 1) == 0 ? 0 : 1;
}

static void check_reads(pid_t pid)
{
	static char to[4 * PAGE];

	CHECK(get(pid, to, 100, area + 50, 100) == 100);
	for (int i = 0; i < 100; i++)
		CHECK(to[i] == (char)((char)((i + 50) % 251) ^ 0x55));
	/* The shorter side counts. */
	CHECK(get(pid, to, 10, area, 100) == 10 && get(pid, to, 100, area, 10) == 10);
	/* Up to the hole, to what may not be read, and from there. */
	CHECK(get(pid, to, 4 * PAGE, area, 4 * PAGE) == 3 * PAGE);
	CHECK(get(pid, to, 100, area + 3 * PAGE - 60, 100) == 60);
	CHECK(fails(get(pid, to, 1, area + 3 * PAGE, 1), EFAULT));
	CHECK(get(pid, to, 2 * PAGE, area + 4 * PAGE, 2 * PAGE) == PAGE);
	CHECK(fails(get(pid, to, 1, area + 5 * PAGE, 1), EFAULT));
	CHECK(fails(get(pid, to, 1, NULL, 1), EFAULT) &&
	      fails(get(pid, to, 1, (void *)-PAGE, 1), EFAULT));
	/* One's own side: what fits before it ends. */
	CHECK(get(pid, area + 3 * PAGE - 30, 100, area, 100) == 30);
	CHECK(fails(get(pid, area + 3 * PAGE, 1, area, 1), EFAULT));
	CHECK(fails(get(pid, area + 4 * PAGE, 1, area, 1), EFAULT));
	CHECK(fails(get(pid, (void *)-PAGE, 1, area, 1), EFAULT));
	for (int i = 0; i < 30; i++)
		area[3 * PAGE - 30 + i] = (char)((3 * PAGE - 30 + i) % 251);
}

static void check_vectors(pid_t pid)
{
	char a[10], b[20], c[40];
	struct iovec local[] = {{a, 10}, {NULL, 0}, {b, 20}, {c, 40}};
	struct iovec remote[] = {
		{area + 1000, 25}, {NULL, 0}, {area + 2000, 30}, {area + 3 * PAGE, 5}, {area, 9}};

	CHECK(process_vm_readv(pid, local, 4, remote, 5, 0) == 55);
	for (int i = 0; i < 55; i++) {
		int at = i < 25 ? 1000 + i : 2000 + i - 25;
		char got = i < 10 ? a[i] : i < 30 ? b[i - 10] : c[i - 30];
		CHECK(got == (char)((char)(at % 251) ^ 0x55));
	}
	CHECK(process_vm_readv(pid, local, 4, remote, 3, 0) == 55);
	CHECK(process_vm_readv(pid, local, 1, remote, 5, 0) == 10);
	CHECK(process_vm_readv(pid, local + 1, 1, remote, 5, 0) == 0);
	CHECK(process_vm_readv(pid, local, 0, remote, 5, 0) == 0);
	CHECK(process_vm_readv(pid, local, 4, remote, 0, 0) == 0);
	CHECK(process_vm_readv(pid, local, 4, remote + 1, 1, 0) == 0);
}

static void check_writes(pid_t pid)
{
	char text[] = "written", got[8];

	CHECK(put(pid, text, 8, area + PAGE - 3, 8) == 8 &&
	      get(pid, got, 8, area + PAGE - 3, 8) == 8);
	CHECK(memcmp(text, got, 8) == 0 && memcmp(area + PAGE - 3, text, 8) != 0);
	CHECK(put(pid, text, 8, area + 3 * PAGE - 2, 8) == 2);
	CHECK(fails(put(pid, text, 8, area + 4 * PAGE, 8), EFAULT));
	CHECK(fails(put(pid, text, 8, area + 3 * PAGE, 8), EFAULT));
	CHECK(fails(put(pid, area + 5 * PAGE, 8, area, 8), EFAULT));
	CHECK(put(pid, area + 3 * PAGE - 4, 8, area, 8) == 4);
	/* From what is read only, and more than a pipe or a buffer holds. */
	CHECK(put(pid, area + 4 * PAGE, 8, area, 8) == 8);
}

static void check_errors(pid_t pid)
{
	static struct iovec many[UIO_MAXIOV + 1];
	char c;
	struct iovec one = {&c, 1}, remote = {area, 1}, negative = {area, (size_t)-1};

	CHECK(fails(process_vm_readv(pid, &one, 1, &remote, 1, 1), EINVAL));
	CHECK(fails(process_vm_readv(pid, many, UIO_MAXIOV + 1, &remote, 1, 0), EINVAL));
	CHECK(fails(process_vm_readv(pid, &one, 1, many, UIO_MAXIOV + 1, 0), EINVAL));
	CHECK(process_vm_readv(pid, &one, 1, many, UIO_MAXIOV, 0) == 0);
	CHECK(fails(process_vm_readv(pid, &negative, 1, &remote, 1, 0), EINVAL));
	CHECK(fails(process_vm_readv(pid, &one, 1, &negative, 1, 0), EINVAL));
	CHECK(fails(process_vm_readv(pid, (void *)1, 1, &remote, 1, 0), EFAULT));
	CHECK(fails(process_vm_readv(pid, &one, 1, (void *)1, 1, 0), EFAULT));
	/* Vectors come first, and an empty one before the process is looked for. */
	CHECK(fails(process_vm_readv(99999, &one, 1, &remote, 1, 0), ESRCH));
	CHECK(fails(process_vm_readv(0, &one, 1, &remote, 1, 0), ESRCH));
	CHECK(fails(process_vm_readv(-1, &one, 1, &remote, 1, 0), ESRCH));
	CHECK(process_vm_readv(99999, &one, 0, &remote, 1, 0) == 0);
	CHECK(process_vm_readv(99999, &one, 1, many, 3, 0) == 0);
	CHECK(fails(process_vm_readv(99999, &one, 1, (void *)1, 1, 0), EFAULT));
	CHECK(process_vm_readv(99999, many, 2, (void *)1, 1, 0) == 0);
}

static void check_self(void)
{
	char got[200];

	CHECK(get(getpid(), got, 200, area + 3 * PAGE - 100, 200) == 100);
	CHECK(memcmp(got, area + 3 * PAGE - 100, 100) == 0);
	CHECK(put(getpid(), "self", 4, got, 4) == 4 && memcmp(got, "self", 4) == 0);
	CHECK(fails(get(getpid(), got, 1, area + 3 * PAGE, 1), EFAULT));
	CHECK(fails(put(getpid(), got, 1, area + 4 * PAGE, 1), EFAULT));
	/* The program's own code, read twice. */
	char code[2][4096];
	CHECK(get(getpid(), code[0], 4096, (void *)((uintptr_t)getppid & ~4095ul), 4096) == 4096);
	getppid();
	CHECK(get(getpid(), code[1], 4096, (void *)((uintptr_t)getppid & ~4095ul), 4096) == 4096);
	CHECK(memcmp(code[0], code[1], 4096) == 0);
}

/* Waits in a loop without calls. */
static int spinner(int fd)
{
	meet(fd);
	while (flag == 0)
		;
	return flag == 7 ? 0 : 1;
}

static void check_spinner(void)
{
	int fd, seven = 7, now = 1, status;
	pid_t child = start(spinner, &fd);

	meet(fd);
	for (int i = 0; i < 100; i++)
		CHECK(get(child, &now, sizeof(now), (void *)&flag, sizeof(now)) == 4 && now == 0);
	CHECK(usleep(1000) == 0);
	CHECK(put(child, &seven, sizeof(seven), (void *)&flag, sizeof(seven)) == 4);
	CHECK(waitpid(child, &status, 0) == child && status == 0 && flag == 0);
	close(fd);
}

static int hidden(int fd)
{
	char c;

	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0);
	meet(fd);
	return read(fd, &c, 1) == 0 ? 0 : 1;
}

static int try_as_other(int fd)
{
	char c;
	pid_t victim;

	CHECK(read(fd, &victim, sizeof(victim)) == sizeof(victim));
	CHECK(get(victim, &c, 1, area, 1) == 1); /* as root */
	CHECK(setgroups(0, NULL) == 0 && setgid(OTHER) == 0 && setuid(OTHER) == 0);
	CHECK(fails(get(victim, &c, 1, area, 1), EPERM) &&
	      fails(put(victim, &c, 1, area, 1), EPERM));
	return get(getpid(), &c, 1, area, 1) == 1 ? 0 : 1;
}

static void check_rights(pid_t holder_pid)
{
	int fd;
	char c;
	pid_t child = start(hidden, &fd);

	meet(fd);
	if (geteuid() == 0)
		CHECK(get(child, &c, 1, area, 1) == 1);
	else
		CHECK(fails(get(child, &c, 1, area, 1), EPERM));
	finish(child, fd);
	if (geteuid() != 0)
		return;
	child = start(try_as_other, &fd);
	CHECK(write(fd, &holder_pid, sizeof(holder_pid)) == sizeof(holder_pid));
	finish(child, fd);
}

static void check_zombie(void)
{
	siginfo_t info;
	char c;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(0);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(fails(get(child, &c, 1, area, 1), ESRCH) && waitpid(child, NULL, 0) == child);
	CHECK(fails(get(child, &c, 1, area, 1), ESRCH));
}

static void check_large(void)
{
	size_t size = 3 << 20;
	char *here = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	char *there = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd;

	CHECK(here != MAP_FAILED && there != MAP_FAILED);
	pid_t child = start(holder, &fd);
	meet(fd);
	for (size_t i = 0; i < size; i++)
		here[i] = (char)(i * 7 >> 3);
	CHECK(put(child, here, size, there, size) == (ssize_t)size && there[1000] == 0);
	CHECK(get(child, there, size, there, size) == (ssize_t)size);
	CHECK(memcmp(here, there, size) == 0);
	finish(child, fd);
	munmap(here, size);
	munmap(there, size);
}

int main(void)
{
	int fd;

	lay_out();
	pid_t child = start(holder, &fd);
	meet(fd);
	check_reads(child);
	check_vectors(child);
	check_errors(child);
	check_rights(child);
	check_writes(child);
	finish(child, fd);
	check_self();
	check_zombie();
	check_spinner();
	check_large();
	puts("ok");
	return 0;
}
