/*
 * limits_random SEED COUNT MODE: random calls about resource limits, nice values, policies,
 * processors and input and output priorities, of this process and four others of several users,
 * as root without CAP_SYS_RESOURCE (MODE 0), as somebody else (1), with root's effective id only
 * (2), without it (3); the same on bare Linux.
 */
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define OTHERS	    4
#define LIMITS	    16
#define RESET	    0x40000000
#define FLAG_RESET  1
#define FLAG_POLICY 8
#define FLAG_PARAMS 16

struct attributes {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
	uint32_t least, most;
	char more[16];
};

static uint64_t state;
static pid_t others[OTHERS];
static int gate[2], uid;

static unsigned random_below(unsigned limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static bool rarely(void)
{
	return random_below(30) == 0;
}

static void result(const char *name, long r)
{
	if (r < 0)
		printf("%s = %s", name, strerrorname_np(errno));
	else
		printf("%s = %ld", name, r);
}

/* One of the others mostly; how it is called in the output. */
static pid_t somebody(int *ret_name)
{
	unsigned which = random_below(24);

	*ret_name = (int)which % OTHERS;
	if (which < 22)
		return others[*ret_name];
	*ret_name = which == 22 ? -1 : 9;
	return which == 22 ? -1 : 4190000;
}

/* ---- limits ---- */

/* Nothing that would stop this program. */
static rlim_t at_least(unsigned which)
{
	static const rlim_t least[LIMITS] = {
		[RLIMIT_CPU] = 1000,	    [RLIMIT_FSIZE] = 1ul << 30, [RLIMIT_DATA] = 1ul << 32,
		[RLIMIT_STACK] = 1ul << 32, [RLIMIT_NPROC] = 100,	[RLIMIT_NOFILE] = 100,
		[RLIMIT_AS] = 1ul << 32,
	};

	return which < LIMITS ? least[which] : 0;
}

static rlim_t random_limit(unsigned which)
{
	static const rlim_t values[] = {0,    1,	2,	   100,
					1000, 4096,	1ul << 20, 1ul << 32,
					~0ul, ~0ul - 1, 1ul << 63, (1ul << 63) - 1};
	rlim_t value = values[random_below(sizeof(values) / sizeof(*values))];

	if (which == RLIMIT_NOFILE && value > 1000)
		return 1000;
	if (which == RLIMIT_FSIZE && value > 1ul << 62)
		return ~0ul; /* others would end all writing */
	return value > at_least(which) ? value : at_least(which);
}

/* What everybody starts with, here as there. */
static void limits_begin(void)
{
	static const rlim_t begin[LIMITS] = {
		[RLIMIT_RSS] = 1000,	  [RLIMIT_NPROC] = 500,	     [RLIMIT_NOFILE] = 900,
		[RLIMIT_LOCKS] = 1000,	  [RLIMIT_MEMLOCK] = 100000, [RLIMIT_SIGPENDING] = 300,
		[RLIMIT_MSGQUEUE] = 8000, [RLIMIT_RTTIME] = 1000,
	};

	for (unsigned i = 0; i < LIMITS; i++) {
		struct rlimit limit = {begin[i], begin[i]};

		if (at_least(i) < 1000)
			CHECK(setrlimit((__rlimit_resource_t)i, &limit) == 0);
	}
}

static void do_limit(void)
{
	struct rlimit new = {0, 0}, old = {7, 7};
	unsigned which = random_below(LIMITS + 1);
	int name = 8;
	pid_t pid = random_below(4) ? somebody(&name) : random_below(2) ? 0 : getpid();
	long r;

	new.rlim_cur = random_limit(which);
	new.rlim_max = random_below(3) ? random_limit(which) : new.rlim_cur;
	switch (random_below(5)) {
	case 0:
		r = syscall(SYS_getrlimit, which, rarely() ? (void *)8 : &old);
		break;
	case 1:
		r = syscall(SYS_setrlimit, which, rarely() ? (void *)8 : &new);
		break;
	default:
		r = syscall(SYS_prlimit64, pid, which, random_below(3) ? &new : NULL,
			    rarely()	      ? (void *)8
			    : random_below(3) ? &old
					      : NULL);
	}
	result("limit", r);
	printf(" (%d %u %lx %lx) was %lx %lx\n", name, which, new.rlim_cur, new.rlim_max,
	       old.rlim_cur, old.rlim_max);
}

/* ---- importance ---- */

static void show(void)
{
	for (int i = 0; i < OTHERS; i++) {
		struct attributes a = {0};
		int priority = -1;
		long policy = syscall(SYS_sched_getscheduler, others[i]);

		CHECK(syscall(SYS_sched_getparam, others[i], &priority) == 0);
		CHECK(syscall(SYS_sched_getattr, others[i], &a, 56, 0) == 0);
		printf(" [%lx %d nice %ld io %ld: %u %lx %d %u]", policy, priority,
		       syscall(SYS_getpriority, PRIO_PROCESS, others[i]),
		       syscall(SYS_ioprio_get, 1, others[i]), a.policy, a.flags, a.nice,
		       a.priority);
	}
	printf("\n");
}

static int random_policy(void)
{
	static const int policies[] = {0, 0, 3, 5, 1, 2, 4, 8, -1};

	return policies[random_below(sizeof(policies) / sizeof(*policies))];
}

static int random_priority(int policy)
{
	if ((policy & 15) == SCHED_FIFO || (policy & 15) == SCHED_RR)
		return rarely() ? 100 : 1 + (int)random_below(99);
	return random_below(6) ? 0 : (int)random_below(102);
}

static void do_nice(void)
{
	int name, nice = (int)random_below(50) - 25;
	pid_t pid = somebody(&name);

	result("nice", syscall(SYS_setpriority, rarely() ? 3 : PRIO_PROCESS, pid, nice));
	printf(" (%d %d)", name, nice);
	show();
}

static void do_policy(void)
{
	int name, policy = random_policy() | (random_below(5) ? 0 : RESET);
	pid_t pid = somebody(&name);
	int priority = random_priority(policy);

	if (random_below(3))
		result("policy",
		       syscall(SYS_sched_setscheduler, pid, policy, rarely() ? NULL : &priority));
	else
		result("parameter", syscall(SYS_sched_setparam, pid, &priority));
	printf(" (%d %x %d)", name, policy, priority);
	show();
}

static void do_attributes(void)
{
	static const uint32_t sizes[] = {48, 56, 48, 56, 0, 47, 60, 72, 4097};
	static const uint64_t flags[] = {
		0, 0, 0, FLAG_RESET, FLAG_POLICY, FLAG_PARAMS, FLAG_POLICY | FLAG_PARAMS, 0x100};
	struct attributes a = {.size = sizes[random_below(9)],
			       .policy = (uint32_t)random_policy(),
			       .flags = flags[random_below(8)],
			       .nice = (int)random_below(50) - 25};
	int name;
	pid_t pid = somebody(&name);

	a.priority = (uint32_t)random_priority((int)a.policy);
	a.more[3] = rarely();
	result("attributes", syscall(SYS_sched_setattr, pid, &a, rarely()));
	printf(" (%d %d %lx %d %u) size %u", name, (int)a.policy, a.flags, a.nice, a.priority,
	       a.size);
	show();
}

static void do_io(void)
{
	static const unsigned classes[] = {0, 0, 2, 2, 3, 1, 4, 7};
	unsigned value = classes[random_below(8)] << 13 | (random_below(3) ? random_below(8) : 0);
	int name;
	pid_t pid = somebody(&name);

	result("io", syscall(SYS_ioprio_set, rarely() ? 4 : 1, pid, value));
	printf(" (%d %x)", name, value);
	show();
}

static void do_processors(void)
{
	unsigned long mask[16] = {random_below(4)}, got[16] = {0};
	unsigned size = random_below(3) ? 8 : random_below(20);
	int name;
	pid_t pid = somebody(&name);

	result("processors", syscall(SYS_sched_setaffinity, pid, size, mask));
	printf(" (%d %lx %u)", name, mask[0], size);
	if (syscall(SYS_sched_getaffinity, pid, sizeof(got), got) > 0)
		printf(" %lx", got[0] & 1);
	printf("\n");
}

static void do_groups(void)
{
	int policy = (int)random_below(8) - 1;

	if (policy == 7)
		policy = 8;
	result("least", syscall(SYS_sched_get_priority_min, policy));
	result(" most", syscall(SYS_sched_get_priority_max, policy));
	result(" group", syscall(SYS_getpriority, PRIO_PGRP, others[0]));
	result(" user", syscall(SYS_getpriority, PRIO_USER, uid));
	result(" io", syscall(SYS_ioprio_get, 2, others[0]));
	printf(" (%d)\n", policy);
}

static void (*const calls[])(void) = {
	do_limit, do_limit,	 do_limit,	do_nice,       do_policy,
	do_io,	  do_attributes, do_attributes, do_processors, do_groups,
};

/* ---- processes ---- */

static void other_begin(int which, int ready)
{
	char byte;

	close(gate[1]);
	CHECK(setpgid(0, which == 0 ? 0 : others[0]) == 0);
	if (geteuid() == 0) {
		CHECK(setresgid(uid, uid, uid) == 0);
		CHECK(setresuid(which >= 2 ? uid : -1, which % 2 ? uid : -1,
				which == 3 ? uid : -1) == 0);
	}
	close(ready);
	_exit(read(gate[0], &byte, 1) != 0);
}

static void others_begin(void)
{
	CHECK(pipe(gate) == 0);
	for (int i = 0; i < OTHERS; i++) {
		int ready[2];
		char byte;

		CHECK(pipe(ready) == 0);
		others[i] = fork();
		CHECK(others[i] >= 0);
		if (others[i] == 0)
			other_begin(i, ready[1]);
		close(ready[1]);
		CHECK(read(ready[0], &byte, 1) == 0 && close(ready[0]) == 0);
	}
}

/* Not every host gives it to root. */
static void give_up_resource(void)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct caps[2];

	CHECK(syscall(SYS_capget, &head, caps) == 0);
	caps[0].effective &= ~(1u << CAP_SYS_RESOURCE);
	caps[0].permitted &= ~(1u << CAP_SYS_RESOURCE);
	CHECK(syscall(SYS_capset, &head, caps) == 0);
}

static void become(int mode)
{
	if (geteuid() != 0)
		return;
	if (mode == 1)
		CHECK(setresgid(uid, uid, uid) == 0 && setresuid(uid, uid, uid) == 0);
	if (mode == 2)
		CHECK(setresuid(uid, 0, uid) == 0);
	if (mode == 3)
		CHECK(setresuid(0, uid, 0) == 0);
}

int main(int argc, char **argv)
{
	int mode = argc > 3 ? atoi(argv[3]) : 0, status;
	long count = argc > 2 ? atol(argv[2]) : 1000;

	state = argc > 1 ? strtoul(argv[1], NULL, 10) : 1;
	uid = 21000 + mode;
	limits_begin();
	give_up_resource();
	others_begin();
	become(mode);
	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	for (long i = 0; i < count; i++)
		calls[random_below(sizeof(calls) / sizeof(*calls))]();
	close(gate[1]);
	for (int i = 0; i < OTHERS; i++)
		CHECK(waitpid(others[i], &status, 0) == others[i] && status == 0);
	printf("limits_random ok\n");
	return 0;
}
