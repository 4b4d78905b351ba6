/*
 * What processes share and pass on: timer slack, alternate stacks, whether memory may be looked
 * at, many groups; and whom a signal by a process descriptor to a group reaches.
 */
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define TO_THREAD  1
#define TO_GROUP   4
#define MANY	   65536
#define STACK_SIZE 65536
#define OTHER	   1234

static char stack[STACK_SIZE], child_stack[STACK_SIZE];
static uint32_t groups[MANY + 1];

static bool fails(long result, int error)
{
	return result == -1 && errno == error;
}

static void succeeds(pid_t child)
{
	int status;

	CHECK(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

/* The default is what the maker had, not what the first process had. */
static void check_slack(void)
{
	CHECK(prctl(PR_SET_TIMERSLACK, 1234) == 0);
	pid_t child = fork();
	if (child == 0) {
		CHECK(prctl(PR_GET_TIMERSLACK) == 1234 && prctl(PR_SET_TIMERSLACK, 5) == 0);
		CHECK(prctl(PR_GET_TIMERSLACK) == 5 && prctl(PR_SET_TIMERSLACK, 0) == 0);
		_exit(prctl(PR_GET_TIMERSLACK) != 1234);
	}
	succeeds(child);
	CHECK(prctl(PR_SET_TIMERSLACK, -2l) == 0);
	CHECK(syscall(SYS_prctl, PR_GET_TIMERSLACK) == -1 && errno == 2);
	CHECK(prctl(PR_SET_TIMERSLACK, 0) == 0 && prctl(PR_GET_TIMERSLACK) == 50000);
}

static int has_stack(void *expected)
{
	stack_t now;

	return sigaltstack(NULL, &now) != 0 || (now.ss_flags != SS_DISABLE) != (expected != NULL);
}

static void check_alternate_stack(void)
{
	stack_t own = {.ss_sp = stack, .ss_size = STACK_SIZE};

	CHECK(sigaltstack(&own, NULL) == 0);
	succeeds(clone(has_stack, child_stack + STACK_SIZE, CLONE_VM | SIGCHLD, NULL));
	succeeds(clone(has_stack, child_stack + STACK_SIZE, SIGCHLD, &own));
	succeeds(
		clone(has_stack, child_stack + STACK_SIZE, CLONE_VM | CLONE_VFORK | SIGCHLD, &own));
}

static int becomes_other(void *unused)
{
	(void)unused;
	return (int)syscall(SYS_setuid, OTHER);
}

/* It is the memory that may be looked at, or not. */
static void check_dumpable(void)
{
	if (geteuid() != 0)
		return;
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	succeeds(clone(becomes_other, child_stack + STACK_SIZE, SIGCHLD, NULL));
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	succeeds(clone(becomes_other, child_stack + STACK_SIZE, CLONE_VM | SIGCHLD, NULL));
	CHECK(prctl(PR_GET_DUMPABLE) == 0 && prctl(PR_SET_DUMPABLE, 1) == 0);
}

static void check_groups(void)
{
	if (geteuid() != 0)
		return;
	for (uint32_t i = 0; i <= MANY; i++)
		groups[i] = i * 7919 % 65537;
	CHECK(fails(syscall(SYS_setgroups, MANY + 1, groups), EINVAL));
	CHECK(syscall(SYS_setgroups, MANY, groups) == 0);
	pid_t child = fork();
	if (child == 0) {
		memset(groups, 0, sizeof(groups));
		CHECK(syscall(SYS_getgroups, MANY, groups) == MANY && groups[0] == 0);
		for (uint32_t i = 1; i < MANY; i++)
			CHECK(groups[i] > groups[i - 1]);
		_exit(0);
	}
	succeeds(child);
	CHECK(syscall(SYS_setgroups, 0, NULL) == 0 && getgroups(0, NULL) == 0);
}

/* ---- groups by descriptor ---- */

static pid_t member(pid_t group, int gate[2])
{
	char byte;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		close(gate[1]);
		_exit(read(gate[0], &byte, 1) != 0);
	}
	CHECK(setpgid(child, group) == 0);
	return child;
}

static long send_by(int fd, int number, siginfo_t *info, int scope)
{
	return syscall(SYS_pidfd_send_signal, fd, number, info, scope);
}

/* The group is the one the process made, and may outlive it. */
static void check_group_signals(void)
{
	siginfo_t fake = {.si_signo = SIGURG, .si_code = SI_USER};
	int gate[2], status;

	CHECK(pipe(gate) == 0);
	pid_t leader = member(0, gate), other = member(leader, gate);
	int of_leader = (int)syscall(SYS_pidfd_open, leader, 0);
	int of_other = (int)syscall(SYS_pidfd_open, other, 0);
	int of_self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	CHECK(send_by(of_leader, 0, NULL, TO_GROUP) == 0);
	CHECK(fails(send_by(of_other, 0, NULL, TO_GROUP), ESRCH));
	CHECK(send_by(of_self, SIGURG, &fake, 0) == 0);
	CHECK(send_by(of_self, SIGURG, &fake, TO_THREAD) == 0);
	CHECK(fails(send_by(of_self, SIGURG, &fake, TO_GROUP), EPERM));
	CHECK(kill(leader, SIGKILL) == 0 && waitpid(leader, &status, 0) == leader);
	CHECK(fails(send_by(of_leader, 0, NULL, 0), ESRCH));
	CHECK(send_by(of_leader, SIGURG, NULL, TO_GROUP) == 0);
	close(gate[1]);
	succeeds(other);
	CHECK(fails(send_by(of_leader, 0, NULL, TO_GROUP), ESRCH));
}

/* ---- what /proc tells of others ---- */

static int owner_of(pid_t pid, const char *name)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	CHECK(lstat(path, &st) == 0);
	return (int)st.st_uid;
}

/* Who may not be looked at, and the dead, show what they have as root's; a forked child shows the
 * environment it was forked with. */
static const char *of(pid_t pid, const char *name)
{
	static char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return path;
}

/* By a process that may not look into `pid`. */
static void check_looks(pid_t pid)
{
	static const char *const closed[] = {"maps", "smaps", "smaps_rollup", "environ",
					     "cwd",  "exe",   "root",	      "fdinfo",
					     "fd",   "fd/0",  "ns/pid"};
	static const char *const links[] = {"exe", "cwd", "root", "fd/0", "ns/pid"};
	struct stat st;
	char text[8];

	CHECK(geteuid() != 0 || setresuid(20002, 20002, 20002) == 0);
	for (size_t i = 0; i < sizeof(closed) / sizeof(*closed); i++)
		CHECK(fails(open(of(pid, closed[i]), O_RDONLY), EACCES));
	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		CHECK(fails(readlink(of(pid, links[i]), text, sizeof(text)), EACCES));
	CHECK(fails(stat(of(pid, "cwd"), &st), EACCES) && lstat(of(pid, "cwd"), &st) == 0);
	CHECK(fails(chdir(of(pid, "cwd")), EACCES));
	CHECK(fails(lstat(of(pid, "fd/0"), &st), EACCES));
	CHECK(fails(lstat(of(pid, "fdinfo/0"), &st), EACCES));
	CHECK(open(of(pid, "status"), O_RDONLY) >= 0 && open(of(pid, "stat"), O_RDONLY) >= 0);
	CHECK(lstat("/proc/self/fd/0", &st) == 0 && open("/proc/self/maps", O_RDONLY) >= 0);
}

static void check_proc(void)
{
	char byte, path[64];
	int gate[2], uid = (int)geteuid();

	CHECK(pipe(gate) == 0);
	pid_t child = fork();
	if (child == 0) {
		close(gate[1]);
		CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && read(gate[0], &byte, 1) == 1);
		CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
		int fd = open("/proc/self/environ", O_RDONLY);
		CHECK(fd >= 0 && read(fd, path, sizeof(path)) > 0);
		_exit(0);
	}
	CHECK(child > 0 && owner_of(getpid(), "status") == uid);
	while (owner_of(child, "status") != 0)
		sched_yield();
	CHECK(owner_of(child, ".") == uid && owner_of(child, "fd") == 0);
	pid_t looker = fork();
	if (looker == 0) {
		check_looks(child);
		_exit(0);
	}
	succeeds(looker);
	CHECK(write(gate[1], "", 1) == 1);
	siginfo_t info;
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(owner_of(child, "status") == 0 && owner_of(child, ".") == uid);
	succeeds(child);
}

int main(void)
{
	check_proc();
	check_slack();
	check_alternate_stack();
	check_dumpable();
	check_groups();
	check_group_signals();
	printf("inherited ok\n");
	return 0;
}
