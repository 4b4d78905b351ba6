/*
 * personality: READ_IMPLIES_EXEC makes code of what is read, until the next program; what is
 * remembered.  And what Linux says of a deadline to whoever may not have one.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <grp.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

#define PAGE  4096
#define OTHER 1234

static bool fails(long r, int error)
{
	return r == -1 && errno == error;
}

/* The protection that /proc/self/maps shows of an address. */
static const char *shown(const void *at)
{
	static char perms[5];
	unsigned long start, end;
	char line[4200], now[5];
	FILE *maps = fopen("/proc/self/maps", "re");

	CHECK(maps != NULL);
	perms[0] = '\0';
	while (fgets(line, sizeof(line), maps) != NULL) {
		CHECK(sscanf(line, "%lx-%lx %4s", &start, &end, now) == 3);
		if ((uintptr_t)at >= start && (uintptr_t)at < end)
			strcpy(perms, now);
	}
	fclose(maps);
	return perms;
}

static bool is_shown(const void *at, const char *perms)
{
	return strcmp(shown(at), perms) == 0;
}

static void *map(int prot)
{
	void *p = mmap(NULL, PAGE, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static const unsigned char seven[] = {0xb8, 7, 0, 0, 0, 0xc3}; /* mov $7,%eax; ret */

static void check_exec(char *self)
{
	char *plain = map(PROT_READ | PROT_WRITE);

	CHECK(is_shown(plain, "rw-p") && personality(0xffffffff) == 0);
	CHECK(personality(READ_IMPLIES_EXEC) == 0 && personality(0xffffffff) == READ_IMPLIES_EXEC);
	char *code = map(PROT_READ | PROT_WRITE), *hidden = map(PROT_WRITE), *none = map(PROT_NONE);
	CHECK(is_shown(code, "rwxp") && is_shown(none, "---p") && is_shown(hidden, "-w-p"));
	CHECK(is_shown(plain, "rw-p") && mprotect(none, PAGE, PROT_READ) == 0 &&
	      is_shown(none, "r-xp"));
	memcpy(code, seven, sizeof(seven));
	CHECK(((int (*)(void))(uintptr_t)code)() == 7);
	CHECK(mprotect(plain, PAGE, PROT_READ | PROT_WRITE) == 0 && is_shown(plain, "rwxp"));
	CHECK(mprotect(plain, PAGE, PROT_WRITE) == 0 && is_shown(plain, "-w-p"));
	int fd = open(self, O_RDONLY);
	char *file = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	CHECK(file != MAP_FAILED && is_shown(file, "r-xp") && close(fd) == 0);
	char text[20] = "";
	fd = open("/proc/self/personality", O_RDONLY);
	CHECK(fd >= 0 && read(fd, text, sizeof(text) - 1) == 9 && strcmp(text, "00400000\n") == 0);
	close(fd);
	char *top = sbrk(64 << 10);
	CHECK(top != (char *)-1 && is_shown(top + (32 << 10), "rwxp"));
}

static void check_next_program(char *self)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(personality(0xffffffff) == READ_IMPLIES_EXEC &&
		      personality(READ_IMPLIES_EXEC | ADDR_NO_RANDOMIZE) >= 0);
		execl(self, self, "next", NULL);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static int next_program(void)
{
	CHECK(personality(0xffffffff) == ADDR_NO_RANDOMIZE);
	CHECK(is_shown(map(PROT_READ | PROT_WRITE), "rw-p"));
	return 0;
}

/* SCHED_DEADLINE: figures that make no sense first, then the right to it. */
struct attributes {
	unsigned size, policy;
	unsigned long flags;
	int nice;
	unsigned priority;
	unsigned long runtime, deadline, period;
};

static long set(unsigned long flags, unsigned priority, unsigned long runtime,
		unsigned long deadline, unsigned long period)
{
	struct attributes a = {sizeof(a), SCHED_DEADLINE, flags,    0,
			       priority,  runtime,	  deadline, period};

	return syscall(SYS_sched_setattr, 0, &a, 0);
}

static void check_deadline(void)
{
	if (geteuid() == 0)
		CHECK(setgroups(0, NULL) == 0 && setgid(OTHER) == 0 && setuid(OTHER) == 0);
	CHECK(fails(set(0, 0, 0, 0, 0), EINVAL) && fails(set(0, 0, 1000000, 0, 0), EINVAL));
	CHECK(fails(set(0, 0, 1023, 1000000, 0), EINVAL) &&
	      fails(set(0, 0, 2000000, 1000000, 0), EINVAL));
	CHECK(fails(set(0, 0, 500000, 2000000, 1000000), EINVAL) &&
	      fails(set(0, 1, 500000, 1000000, 0), EINVAL));
	CHECK(fails(set(0, 0, 500000, 1ul << 63, 0), EINVAL) &&
	      fails(set(0, 0, 5000, 10000, 0), EINVAL));
	CHECK(fails(set(0, 0, 5000, 10000, 5000000000), EINVAL) &&
	      fails(set(1u << 20, 0, 5000, 10000, 0), EINVAL));
	CHECK(fails(set(0, 0, 500000, 1000000, 0), EPERM) &&
	      fails(set(0, 0, 500000, 1000000, 2000000), EPERM));
	CHECK(fails(set(2, 0, 500000, 1000000, 1000000), EPERM) &&
	      fails(set(1, 0, 1024, 1024, 100000), EPERM));
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return next_program();
	check_exec(argv[0]);
	check_next_program(argv[0]);
	check_deadline();
	puts("ok");
	return 0;
}
