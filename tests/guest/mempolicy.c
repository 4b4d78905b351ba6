/*
 * Memory policies: which modes and nodes may be set, what is told of them, who inherits them.  Of
 * nodes only 0 is there for certain, and 63 is not.
 */
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define PAGE		   4096ul
#define FAILS(call, error) CHECK((call) == -1 && errno == (error))

static long set(int mode, unsigned long nodes)
{
	return syscall(SYS_set_mempolicy, mode, &nodes, 65);
}

static long told(unsigned long *nodes, void *at, unsigned long flags)
{
	unsigned long words[16];
	int mode = -1;

	memset(words, 0xff, sizeof(words));
	if (syscall(SYS_get_mempolicy, &mode, words, 1024, at, flags))
		return -1;
	for (int i = 1; i < 16; i++)
		CHECK(words[i] == 0);
	*nodes = words[0];
	return mode;
}

static void check_task(void)
{
	unsigned long nodes, other = 1ul << 63;
	int status;

	CHECK(told(&nodes, NULL, 0) == MPOL_DEFAULT && nodes == 0);
	CHECK(set(MPOL_BIND, 1) == 0 && told(&nodes, NULL, 0) == MPOL_BIND && nodes == 1);
	pid_t child = fork();
	if (child == 0)
		_exit(told(&nodes, NULL, 0) != MPOL_BIND || nodes != 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	FAILS(set(MPOL_BIND, 0), EINVAL);
	FAILS(set(MPOL_INTERLEAVE, other), EINVAL);
	FAILS(set(MPOL_DEFAULT, 1), EINVAL);
	FAILS(set(MPOL_LOCAL, 1), EINVAL);
	FAILS(set(100, 1), EINVAL);
	FAILS(set(MPOL_BIND | MPOL_F_STATIC_NODES | MPOL_F_RELATIVE_NODES, 1), EINVAL);
	FAILS(set(MPOL_INTERLEAVE | MPOL_F_NUMA_BALANCING, 1), EINVAL);
	FAILS(set(MPOL_PREFERRED | MPOL_F_STATIC_NODES, 0), EINVAL);
	FAILS(syscall(SYS_set_mempolicy, MPOL_BIND, 8, 65), EFAULT);
	FAILS(syscall(SYS_set_mempolicy, MPOL_BIND, &nodes, 0), EINVAL);
	CHECK(told(&nodes, NULL, 0) == MPOL_BIND && nodes == 1);
	CHECK(set(MPOL_BIND | MPOL_F_STATIC_NODES, 1 | other) == 0);
	CHECK(told(&nodes, NULL, 0) == (MPOL_BIND | MPOL_F_STATIC_NODES) && nodes == (1 | other));
	CHECK(set(MPOL_PREFERRED, 0) == 0);
	CHECK(told(&nodes, NULL, 0) == MPOL_LOCAL && nodes == 0);
	FAILS(told(&nodes, NULL, MPOL_F_NODE), EINVAL);
	CHECK(set(MPOL_INTERLEAVE, 1) == 0 && told(&nodes, NULL, MPOL_F_NODE) == 0);
	CHECK(set(MPOL_DEFAULT, 0) == 0 && told(&nodes, NULL, 0) == MPOL_DEFAULT);
}

static void check_ranges(void)
{
	unsigned long nodes = 1;
	char *at = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(at != MAP_FAILED && munmap(at + 2 * PAGE, PAGE) == 0);
	CHECK(syscall(SYS_mbind, at, 2 * PAGE, MPOL_BIND, &nodes, 65, MPOL_MF_STRICT) == 0);
	CHECK(syscall(SYS_mbind, at, 2 * PAGE, MPOL_DEFAULT, NULL, 0, 0) == 0);
	FAILS(syscall(SYS_mbind, at, 3 * PAGE, MPOL_BIND, &nodes, 65, 0), EFAULT);
	CHECK(syscall(SYS_mbind, at + PAGE, 2 * PAGE, MPOL_DEFAULT, NULL, 0, 0) == 0);
	FAILS(syscall(SYS_mbind, at + 2 * PAGE, PAGE, MPOL_DEFAULT, NULL, 0, 0), EFAULT);
	FAILS(syscall(SYS_mbind, at + 1, PAGE, MPOL_BIND, &nodes, 65, 0), EINVAL);
	FAILS(syscall(SYS_mbind, at, PAGE, MPOL_BIND, &nodes, 65, 64), EINVAL);
	FAILS(syscall(SYS_mbind, at, PAGE, MPOL_BIND, NULL, 0, 0), EINVAL);
	FAILS(syscall(SYS_mbind, at, PAGE, MPOL_BIND, 8, 65, 0), EFAULT);
	CHECK(told(&nodes, at, MPOL_F_ADDR) == MPOL_DEFAULT && nodes == 0);
	CHECK(told(&nodes, at, MPOL_F_ADDR | MPOL_F_NODE) == 0);
	FAILS(told(&nodes, at + 2 * PAGE, MPOL_F_ADDR), EFAULT);
	FAILS(told(&nodes, at, 0), EINVAL);
	FAILS(told(&nodes, NULL, MPOL_F_MEMS_ALLOWED | MPOL_F_NODE), EINVAL);
	CHECK(told(&nodes, NULL, MPOL_F_MEMS_ALLOWED) == 0 && nodes & 1);
	FAILS(syscall(SYS_get_mempolicy, NULL, &nodes, 0, NULL, 0), EINVAL);
	FAILS(syscall(SYS_get_mempolicy, 8, NULL, 0, NULL, 0), EFAULT);
}

int main(void)
{
	check_task();
	check_ranges();
	printf("mempolicy ok\n");
	return 0;
}
