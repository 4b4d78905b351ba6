/*
 * Memory: anonymous and file mappings, private and shared, fixed ones over others, protection and
 * its faults, mremap in place and moved, brk, madvise, mincore, shared pages across fork, a file
 * grown under a mapping, code written at run time.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE 4096UL

static sigjmp_buf way_out;

static void jump(int number)
{
	siglongjmp(way_out, number);
}

static char *map(size_t size, int protection, int flags, int fd)
{
	char *at = mmap(NULL, size, protection, flags, fd, 0);

	CHECK(at != MAP_FAILED);
	return at;
}

static int fault_of(volatile char *at, int store)
{
	int number = sigsetjmp(way_out, 1);

	if (number == 0) {
		if (store)
			*at = 1;
		else
			(void)*at;
	}
	return number;
}

static void check_anonymous(void)
{
	char *at = map(16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	at[0] = at[15 * PAGE] = 1;
	CHECK(mprotect(at + PAGE, PAGE, PROT_NONE) == 0);
	CHECK(fault_of(at + PAGE, 0) == SIGSEGV && fault_of(at + 2 * PAGE, 1) == 0);
	CHECK(munmap(at + 4 * PAGE, PAGE) == 0 && fault_of(at + 4 * PAGE, 1) == SIGSEGV);
	CHECK(mmap(at + 4 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == at + 4 * PAGE);
	CHECK(fault_of(at + 4 * PAGE, 0) == 0 && fault_of(at + 4 * PAGE, 1) == SIGSEGV);
	CHECK(mmap(at, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) ==
		      MAP_FAILED &&
	      errno == EEXIST);
	CHECK(madvise(at, PAGE, MADV_DONTNEED) == 0 && at[0] == 0);
	CHECK(munmap(at, 16 * PAGE) == 0);
	CHECK(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED);
	CHECK(errno == EINVAL && munmap(at + 1, PAGE) == -1 && errno == EINVAL);
}

static void check_remap(void)
{
	char *at = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1), *moved;

	at[0] = 'a';
	at[PAGE] = 'b';
	CHECK(mremap(at, 4 * PAGE, 2 * PAGE, 0) == at && fault_of(at + 2 * PAGE, 0) == SIGSEGV);
	CHECK((moved = mremap(at, 2 * PAGE, 600 * PAGE, MREMAP_MAYMOVE)) != MAP_FAILED);
	CHECK(moved[0] == 'a' && moved[PAGE] == 'b' && moved[599 * PAGE] == 0);
	CHECK(munmap(moved, 600 * PAGE) == 0);
}

static void check_files(void)
{
	char text[16];
	int fd = open("mapped", O_RDWR | O_CREAT, 0600);

	CHECK(fd >= 0 && ftruncate(fd, 2 * PAGE) == 0 && pwrite(fd, "begin", 5, 0) == 5);
	char *shared = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	char *own = map(2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd);
	CHECK(memcmp(shared, "begin", 5) == 0 && memcmp(own, "begin", 5) == 0);
	memcpy(shared + PAGE, "through", 8);
	own[0] = 'X';
	CHECK(pread(fd, text, 8, PAGE) == 8 && strcmp(text, "through") == 0);
	CHECK(pread(fd, text, 5, 0) == 5 && text[0] == 'b' && msync(shared, PAGE, MS_SYNC) == 0);
	CHECK(ftruncate(fd, PAGE) == 0 && fault_of(shared + PAGE, 0) == SIGBUS);
	CHECK(ftruncate(fd, 2 * PAGE) == 0 && shared[PAGE] == 0);
	int reader = open("mapped", O_RDONLY);
	CHECK(mmap(NULL, PAGE, PROT_WRITE, MAP_SHARED, reader, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, 999, 0) == MAP_FAILED && errno == EBADF);
	CHECK(close(fd) == 0 && close(reader) == 0 && unlink("mapped") == 0 && shared[0] == 'b');
	CHECK(munmap(shared, 2 * PAGE) == 0 && munmap(own, 2 * PAGE) == 0);
}

static void check_sharing(void)
{
	int status, memfd = memfd_create("x", MFD_CLOEXEC);
	char *anonymous = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1);

	CHECK(memfd >= 0 && ftruncate(memfd, PAGE) == 0);
	char *named = map(PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memfd);
	char *own = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	pid_t child = fork();
	if (child == 0) {
		anonymous[0] = named[0] = own[0] = 'c';
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(anonymous[0] == 'c' && named[0] == 'c' && own[0] == 0);
	CHECK(close(memfd) == 0 && munmap(named, PAGE) == 0 && munmap(anonymous, PAGE) == 0);
}

static void check_break(void)
{
	char *first = sbrk(0), *grown;

	CHECK(sbrk(40 * PAGE) == first);
	grown = sbrk(0);
	CHECK(grown == first + 40 * PAGE);
	first[0] = grown[-1] = 1;
	CHECK(sbrk(-20 * (long)PAGE) == grown && sbrk(20 * PAGE) == grown - 20 * PAGE);
	CHECK(grown[-1] == 0);
	/* Not to where something is: a page stays between. */
	char *end = (char *)(((unsigned long)grown + PAGE - 1) & ~(PAGE - 1));
	char *wall = mmap(end + 4 * PAGE, PAGE, PROT_READ,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(wall == end + 4 * PAGE && brk(end + 3 * PAGE) == 0);
	CHECK(brk(wall) == -1 && errno == ENOMEM && munmap(wall, PAGE) == 0);
	CHECK(brk(wall) == 0 && brk(grown) == 0);
}

/* Code made at run time, with a system call in it that no patch has seen. */
static void check_code(void)
{
	static const unsigned char code[] = {0xb8, SYS_getpid, 0, 0, 0, 0x0f, 0x05, 0xc3};
	char *at = map(PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	memcpy(at, code, sizeof(code));
	CHECK(mprotect(at, PAGE, PROT_READ | PROT_EXEC) == 0);
	for (int i = 0; i < 5; i++)
		CHECK(((int (*)(void))(void *)at)() == getpid());
	CHECK(munmap(at, PAGE) == 0);
}

static long locked_kb(void)
{
	static char text[8192];
	int fd = open("/proc/self/status", O_RDONLY);

	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && close(fd) == 0);
	return atol(strstr(text, "VmLck:") + 6);
}

/* What is locked from now on is so in this process, not in its children. */
static void check_lock_future(void)
{
	int status;

	CHECK(mlockall(MCL_FUTURE) == 0 && locked_kb() == 0);
	char *at = map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	CHECK(locked_kb() == 12);
	pid_t child = fork();
	if (child == 0) {
		map(3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
		_exit((int)locked_kb());
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(munlock(at + PAGE, PAGE) == 0 && locked_kb() == 8);
	/* It is one mapping again, which can move. */
	CHECK(munlockall() == 0 && locked_kb() == 0);
	at = mremap(at, 3 * PAGE, 5 * PAGE, MREMAP_MAYMOVE);
	CHECK(at != MAP_FAILED && munmap(at, 5 * PAGE) == 0);
}

static void check_rest(void)
{
	unsigned char resident[4];
	char *at = map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);

	CHECK(mincore(at, 4 * PAGE, resident) == 0);
	/* As far as there is something; nothing of it is above all addresses. */
	CHECK(munmap(at + 2 * PAGE, PAGE) == 0);
	memset(resident, 0xff, sizeof(resident));
	CHECK(mincore(at, 4 * PAGE, resident) == -1 && errno == ENOMEM);
	CHECK(resident[1] <= 1 && resident[2] == 0xff);
	CHECK(mincore(at, 4 * PAGE, (unsigned char *)8) == -1 && errno == EFAULT);
	CHECK(mincore((void *)-PAGE, 2 * PAGE, resident) == -1 && errno == ENOMEM);
	CHECK(mmap(at + 2 * PAGE, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1,
		   0) == at + 2 * PAGE);
	CHECK(mlock(at, PAGE) == 0 && munlock(at, PAGE) == 0);
	CHECK(madvise(at, PAGE, MADV_WILLNEED) == 0 && madvise(at, PAGE, 9999) == -1);
	CHECK(errno == EINVAL && munmap(at, 4 * PAGE) == 0);
	CHECK(syscall(SYS_write, 1, 8, 1) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_open, 8, O_RDONLY) == -1 && errno == EFAULT);
}

int main(void)
{
	signal(SIGSEGV, jump);
	signal(SIGBUS, jump);
	check_anonymous();
	check_remap();
	check_files();
	check_sharing();
	check_break();
	check_code();
	check_lock_future();
	check_rest();
	printf("memory ok\n");
	return 0;
}
