/*
 * Resource limits: asking and setting them, also another process's; cpu time (SIGXCPU, then death),
 * tasks (EAGAIN for all but root), stack, memory, descriptors; nice values, policies, affinities
 * and io priorities that are remembered and inherited.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "children.h"

#define OTHER 54321

#ifndef SCHED_RESET_ON_FORK
#define SCHED_RESET_ON_FORK 0x40000000
#endif

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

static struct rlimit limit_of(int resource)
{
	struct rlimit r;

	CHECK(getrlimit(resource, &r) == 0);
	return r;
}

static void limit_set(int resource, rlim_t soft, rlim_t hard)
{
	struct rlimit r = {soft, hard};

	CHECK(setrlimit(resource, &r) == 0);
}

/* ---- the calls ---- */

static void check_calls(void)
{
	struct rlimit r = {20, 10}, old;

	CHECK(fails(setrlimit(RLIMIT_NOFILE, &r), EINVAL) && fails(getrlimit(99, &r), EINVAL));
	CHECK(fails(syscall(SYS_setrlimit, RLIMIT_NOFILE, 8), EFAULT));
	CHECK(fails(syscall(SYS_prlimit64, 4000000, RLIMIT_NOFILE, NULL, &r), ESRCH));
	CHECK(fails(syscall(SYS_prlimit64, 0, 16, NULL, &r), EINVAL));
	r = (struct rlimit){64, 100};
	CHECK(prlimit(0, RLIMIT_NOFILE, &r, &old) == 0 && old.rlim_cur >= 64);
	CHECK(limit_of(RLIMIT_NOFILE).rlim_cur == 64 && limit_of(RLIMIT_NOFILE).rlim_max == 100);
	CHECK(fails(dup2(0, 64), EBADF) && dup2(0, 63) == 63);
	r.rlim_max = 101;
	/* Root may, unless it is that of a user namespace only. */
	CHECK(geteuid() == 0 || fails(setrlimit(RLIMIT_NOFILE, &r), EPERM));
}

/* Of another process: the same user's, or with the capability. */
static void check_others(void)
{
	struct rlimit r = {7, 8};
	int gate[2], status;
	char byte;
	pid_t child;

	CHECK(pipe(gate) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		close(gate[1]);
		CHECK(read(gate[0], &byte, 1) == 0);
		_exit(limit_of(RLIMIT_CORE).rlim_cur == 0 && limit_of(RLIMIT_MSGQUEUE).rlim_cur == 7
			      ? 0
			      : 1);
	}
	CHECK(prlimit(child, RLIMIT_MSGQUEUE, &r, NULL) == 0);
	CHECK(prlimit(child, RLIMIT_MSGQUEUE, NULL, &r) == 0 && r.rlim_max == 8);
	r = (struct rlimit){0, 0};
	CHECK(prlimit(child, RLIMIT_CORE, &r, NULL) == 0);
	if (geteuid() == 0) {
		CHECK(setresuid(OTHER, OTHER, 0) == 0);
		CHECK(fails(prlimit(child, RLIMIT_CORE, NULL, &r), EPERM));
		CHECK(seteuid(0) == 0);
	} else {
		CHECK(fails(prlimit(1, RLIMIT_CORE, NULL, &r), EPERM));
	}
	close(gate[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

/* ---- cpu time ---- */

static volatile sig_atomic_t over;

static void on_limit(int sig)
{
	(void)sig;
	over++;
}

static void burn_until_over(void)
{
	signal(SIGXCPU, on_limit);
	limit_set(RLIMIT_CPU, 1, 10);
	while (!over)
		getppid();
	struct rusage use;
	CHECK(getrusage(RUSAGE_SELF, &use) == 0);
	CHECK(use.ru_utime.tv_sec + use.ru_stime.tv_sec >= 1 ||
	      use.ru_utime.tv_usec + use.ru_stime.tv_usec > 500000);
}

static void check_cpu(void)
{
	int status;
	pid_t child;

	in_child(burn_until_over);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		limit_set(RLIMIT_CPU, 1, 1);
		signal(SIGXCPU, SIG_IGN);
		for (;;)
			getppid();
	}
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(WTERMSIG(status) == SIGKILL);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		limit_set(RLIMIT_CPU, 1, RLIM_INFINITY);
		for (;;)
			getppid();
	}
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGXCPU);
}

/* ---- tasks ---- */

static void *nothing(void *arg)
{
	return arg;
}

static void spawn_to_limit(void)
{
	pthread_t thread;
	int status;

	limit_set(RLIMIT_NPROC, 1, 1);
	if (geteuid() == 0) {
		/* Root has none. */
		CHECK(pthread_create(&thread, NULL, nothing, NULL) == 0);
		CHECK(pthread_join(thread, NULL) == 0);
		CHECK(setresuid(OTHER, OTHER, OTHER) == 0);
	}
	/* The user's one task is this one. */
	CHECK(fails(fork(), EAGAIN));
	CHECK(pthread_create(&thread, NULL, nothing, NULL) == EAGAIN);
	CHECK(fails(waitpid(-1, &status, 0), ECHILD));
}

/* A zombie counts until it is waited for. */
static void count_zombies(void)
{
	siginfo_t info;
	pid_t child;

	if (geteuid() != 0)
		return; /* the user may have others */
	CHECK(setresuid(OTHER + 1, OTHER + 1, OTHER + 1) == 0);
	limit_set(RLIMIT_NPROC, 2, 2);
	CHECK((child = fork()) >= 0);
	if (child == 0)
		_exit(0);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(fails(fork(), EAGAIN));
	CHECK(waitpid(child, NULL, 0) == child && (child = fork()) >= 0);
	if (child == 0)
		_exit(0);
	CHECK(waitpid(child, NULL, 0) == child);
}

/* ---- memory ---- */

static void check_memory(void)
{
	size_t size = 64 << 20;

	limit_set(RLIMIT_AS, 512 << 20, 512 << 20);
	void *p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p, size) == 0);
	CHECK(mmap(NULL, (size_t)1 << 30, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
	      MAP_FAILED);
	CHECK(errno == ENOMEM);
	/* What is replaced does not count beside what replaces it. */
	p = mmap(NULL, 300 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED);
	CHECK(mmap(p, 300 << 20, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	CHECK(munmap(p, 300 << 20) == 0);
	limit_set(RLIMIT_DATA, 16 << 20, 1 << 30);
	CHECK(sbrk(32 << 20) == (void *)-1 && errno == ENOMEM);
	/* What one may write is data, unless it is shared. */
	CHECK(fails((long)mmap(NULL, size, PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
		    ENOMEM));
	p = mmap(NULL, size, PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && munmap(p, size) == 0);
	p = mmap(NULL, size, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(p != MAP_FAILED && fails(mprotect(p, size, PROT_READ | PROT_WRITE), ENOMEM));
	CHECK(mprotect(p, 4 << 20, PROT_READ | PROT_WRITE) == 0);
	CHECK(mremap(p, 4 << 20, 40 << 20, MREMAP_MAYMOVE) == MAP_FAILED && errno == ENOMEM);
	CHECK(munmap(p, size) == 0);
	limit_set(RLIMIT_DATA, 1 << 20, 1 << 20);
	CHECK(sbrk(2 << 20) == (void *)-1 && errno == ENOMEM);
}

/* ---- files ---- */

static void check_file_size(void)
{
	struct stat st;
	char bytes[100] = {0};
	int fd = open("limits.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0);
	over = 0;
	signal(SIGXFSZ, on_limit);
	limit_set(RLIMIT_FSIZE, 150, 150);
	CHECK(write(fd, bytes, 100) == 100 && write(fd, bytes, 100) == 50 && over == 0);
	CHECK(fails(write(fd, bytes, 100), EFBIG) && over == 1);
	CHECK(write(fd, bytes, 0) == 0 && fails(pwrite(fd, bytes, 1, 150), EFBIG) && over == 2);
	CHECK(pwrite(fd, bytes, 100, 149) == 1 && over == 2);
	CHECK(ftruncate(fd, 150) == 0 && fails(ftruncate(fd, 151), EFBIG) && over == 3);
	CHECK(fails(truncate("limits.tmp", 200), EFBIG) && over == 4);
	CHECK(fstat(fd, &st) == 0 && st.st_size == 150 && unlink("limits.tmp") == 0);
	signal(SIGXFSZ, SIG_DFL);
	CHECK(ftruncate(fd, 10) == 0);
	pid_t child = fork();
	int status;
	CHECK(child >= 0);
	if (child == 0)
		_exit(pwrite(fd, bytes, 1, 1000) < 0);
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGXFSZ);
}

/* Calls that write or make room without write. */
static void check_file_room(void)
{
	char bytes[300] = {0};
	int in = open("limits.in", O_RDWR | O_CREAT | O_TRUNC, 0600), ends[2];
	int fd = open("limits.tmp", O_RDWR | O_CREAT | O_TRUNC, 0600);
	int keep = FALLOC_FL_KEEP_SIZE;
	off_t from = 0, to = 140;

	CHECK(fd >= 0 && write(in, bytes, 300) == 300 && pipe(ends) == 0);
	over = 0;
	signal(SIGXFSZ, on_limit);
	limit_set(RLIMIT_FSIZE, 150, 150);
	CHECK(fallocate(fd, 0, 100, 50) == 0 && fails(fallocate(fd, 0, 0, 151), EFBIG));
	/* (Beyond the limit, but not to grow: tmpfs says no, ext4 does not.) */
	CHECK(over == 1 && fallocate(fd, keep, 0, 150) == 0 && over == 1);
	CHECK(fails(fallocate(fd, 0, 100, 100), EFBIG) && over == 2 && ftruncate(fd, 0) == 0);
	/* sendfile and splice write what fits, then the rest; copy_file_range is cut first. */
	CHECK(lseek(in, 0, SEEK_SET) == 0 && lseek(fd, 100, SEEK_SET) == 100);
	CHECK(sendfile(fd, in, NULL, 100) == 50 && over == 3 && lseek(in, 0, SEEK_CUR) == 50);
	CHECK(fails(sendfile(fd, in, NULL, 100), EFBIG) && over == 4);
	CHECK(copy_file_range(in, &from, fd, &to, 100, 0) == 10 && over == 4 && from == 10);
	CHECK(to == 150 && fails(copy_file_range(in, &from, fd, &to, 0, 0), EFBIG) && over == 5);
	from = 300;
	CHECK(fails(copy_file_range(in, &from, fd, &to, 9, 0), EFBIG) && over == 6);
	CHECK(sendfile(fd, in, &from, 9) == 0 && over == 6 && write(ends[1], bytes, 120) == 120);
	to = 100;
	CHECK(splice(ends[0], NULL, fd, &to, 100, 0) == 50 && over == 7 && to == 150);
	CHECK(fails(splice(ends[0], NULL, fd, &to, 100, 0), EFBIG) && over == 8);
	to = 0;
	CHECK(splice(ends[0], NULL, fd, &to, 100, 0) == 70 && over == 8);
	CHECK(close(fd) == 0 && close(in) == 0 && close(ends[0]) == 0 && close(ends[1]) == 0);
	CHECK(unlink("limits.tmp") == 0 && unlink("limits.in") == 0);
}

/* Without a number for it nothing is opened, made or emptied, whatever the name. */
static void check_no_descriptor(void)
{
	char byte[2];
	int fd = open("limits.tmp", O_CREAT | O_RDWR, 0600);

	CHECK(fd >= 0 && write(fd, "x", 1) == 1);
	limit_set(RLIMIT_NOFILE, (rlim_t)fd + 1, (rlim_t)fd + 1);
	CHECK(fails(open("limits.tmp", O_RDWR | O_TRUNC), EMFILE));
	CHECK(fails(open("limits.new", O_CREAT | O_RDWR, 0600), EMFILE));
	CHECK(fails(open("limits.new", O_RDONLY), EMFILE) &&
	      fails(open("/dev/null", O_RDONLY), EMFILE));
	CHECK(fails(open((char *)8, O_RDONLY), EFAULT) && fails(open("", O_RDONLY), ENOENT));
	CHECK(pread(fd, byte, 2, 0) == 1 && fails(access("limits.new", F_OK), ENOENT));
	CHECK(unlink("limits.tmp") == 0);
}

/* Sessions opened by PAM (su, login, cron) begin with the limits of init. */
static void check_init(void)
{
	char line[256];
	int unlimited = 0;
	FILE *f = fopen("/proc/1/limits", "re");

	CHECK(f != NULL);
	while (fgets(line, sizeof(line), f) != NULL)
		unlimited += strncmp(line, "Max cpu time              unlimited", 35) == 0;
	CHECK(unlimited == 1 && fclose(f) == 0);
}

/* ---- importance ---- */

static int niceness(int which, id_t who)
{
	errno = 0;
	return getpriority(which, who);
}

static void check_nice(void)
{
	int gate[2], status;
	char byte;
	pid_t child;

	CHECK(niceness(PRIO_PROCESS, 0) == 0 && setpriority(PRIO_PROCESS, 0, 2) == 0);
	CHECK(niceness(PRIO_PROCESS, (id_t)getpid()) == 2);
	CHECK(setpriority(PRIO_PROCESS, 0, 100) == 0 && niceness(PRIO_PROCESS, 0) == 19);
	CHECK(fails(getpriority(3, 0), EINVAL) && fails(setpriority(3, 0, 0), EINVAL));
	CHECK(fails(getpriority(PRIO_PROCESS, 4000000), ESRCH));
	CHECK(niceness(PRIO_PROCESS, 1) != -1 || errno == 0); /* there is an init */
	CHECK(fails(setpriority(PRIO_PGRP, 4000000, 0), ESRCH));
	CHECK(setpgid(0, 0) == 0 && pipe(gate) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		close(gate[1]);
		CHECK(read(gate[0], &byte, 1) == 0);
		_exit(0);
	}
	CHECK(niceness(PRIO_PROCESS, (id_t)child) == 19 && niceness(PRIO_PGRP, 0) == 19);
	if (geteuid() == 0) {
		CHECK(setpriority(PRIO_PROCESS, (id_t)child, -7) == 0);
		CHECK(niceness(PRIO_PGRP, 0) == -7 && niceness(PRIO_PROCESS, 0) == 19);
		CHECK(setpriority(PRIO_PGRP, 0, 4) == 0 &&
		      niceness(PRIO_PROCESS, (id_t)child) == 4);
		CHECK(nice(-30) == -20 && niceness(PRIO_PROCESS, 0) == -20);
	} else {
		CHECK(fails(setpriority(PRIO_PROCESS, 0, 18), EACCES));
	}
	close(gate[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static int policy_set(int policy, int priority)
{
	struct sched_param param = {.sched_priority = priority};

	return sched_setscheduler(0, policy, &param);
}

static void check_policies(void)
{
	struct sched_param param;
	int status;

	CHECK(sched_getscheduler(0) == SCHED_OTHER && sched_getparam(0, &param) == 0);
	CHECK(param.sched_priority == 0 && policy_set(SCHED_BATCH, 0) == 0);
	CHECK(sched_getscheduler(0) == SCHED_BATCH && fails(policy_set(SCHED_BATCH, 1), EINVAL));
	CHECK(fails(policy_set(4, 0), EINVAL) && fails(policy_set(99, 0), EINVAL));
	CHECK(fails(policy_set(SCHED_FIFO, 0), EINVAL) && fails(policy_set(SCHED_RR, 100), EINVAL));
	CHECK(sched_getscheduler(1) >= 0 && sched_getparam(1, &param) == 0);
	CHECK(fails(sched_getscheduler(4000000), ESRCH) && fails(sched_getscheduler(-1), EINVAL));
	CHECK(sched_get_priority_max(SCHED_RR) == 99 && sched_get_priority_min(SCHED_RR) == 1);
	CHECK(sched_get_priority_max(SCHED_IDLE) == 0 && fails(sched_get_priority_max(4), EINVAL));
	if (geteuid() != 0) {
		CHECK(fails(policy_set(SCHED_FIFO, 1), EPERM));
		return;
	}
	CHECK(policy_set(SCHED_FIFO, 5) == 0 && sched_getscheduler(0) == SCHED_FIFO);
	param.sched_priority = 6;
	CHECK(sched_setparam(0, &param) == 0 && sched_getparam(0, &param) == 0);
	CHECK(param.sched_priority == 6 && policy_set(SCHED_RR | SCHED_RESET_ON_FORK, 7) == 0);
	CHECK(sched_getscheduler(0) == (SCHED_RR | SCHED_RESET_ON_FORK));
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(sched_getscheduler(0));
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(policy_set(SCHED_OTHER, 0) == 0);
}

static void check_attributes(void)
{
	struct {
		unsigned size, policy;
		unsigned long long flags;
		int nice;
		unsigned priority;
		unsigned long long runtime, deadline, period;
		unsigned min, max;
	} attr;

	CHECK(syscall(SYS_sched_getattr, 0, &attr, 48, 0) == 0 && attr.size == 48);
	CHECK(attr.policy == SCHED_OTHER && attr.nice == 0 && attr.priority == 0 &&
	      attr.flags == 0);
	CHECK(fails(syscall(SYS_sched_getattr, 0, &attr, 47, 0), EINVAL));
	CHECK(fails(syscall(SYS_sched_getattr, 0, &attr, 48, 1), EINVAL));
	CHECK(fails(syscall(SYS_sched_getattr, 0, NULL, 48, 0), EINVAL));
	memset(&attr, 0, sizeof(attr));
	attr.size = 48;
	attr.nice = 5;
	CHECK(syscall(SYS_sched_setattr, 0, &attr, 0) == 0 && niceness(PRIO_PROCESS, 0) == 5);
	attr.size = 47;
	CHECK(fails(syscall(SYS_sched_setattr, 0, &attr, 0), E2BIG) && attr.size >= 48);
	attr.size = 48;
	attr.flags = 1ull << 20;
	CHECK(fails(syscall(SYS_sched_setattr, 0, &attr, 0), EINVAL));
}

static void check_affinity(void)
{
	cpu_set_t all, one;
	int status;
	pid_t child;

	CHECK(sched_getaffinity(0, sizeof(all), &all) == 0 && CPU_COUNT(&all) >= 1);
	CPU_ZERO(&one);
	for (int i = 0; CPU_COUNT(&one) == 0; i++) {
		if (CPU_ISSET(i, &all))
			CPU_SET(i, &one);
	}
	CHECK(sched_setaffinity(0, sizeof(one), &one) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		CHECK(sched_getaffinity(0, sizeof(all), &all) == 0);
		_exit(CPU_EQUAL(&all, &one) ? 0 : 1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CPU_ZERO(&one);
	CHECK(fails(sched_setaffinity(0, sizeof(one), &one), EINVAL));
	CHECK(fails(syscall(SYS_sched_getaffinity, 0, 3, &one), EINVAL));
	CHECK(fails(sched_getaffinity(4000000, sizeof(one), &one), ESRCH));
	CHECK(sched_setaffinity(0, sizeof(all), &all) == 0);
}

static void check_ioprio(void)
{
	int status;
	pid_t child;

	CHECK(syscall(SYS_ioprio_get, 1, 1) >= 0);
	CHECK(fails(syscall(SYS_ioprio_get, 0, 0), EINVAL) &&
	      fails(syscall(SYS_ioprio_get, 1, 4000000), ESRCH));
	CHECK(syscall(SYS_ioprio_set, 1, 0, 2 << 13 | 6) == 0);
	CHECK(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6) && (child = fork()) >= 0);
	if (child == 0)
		_exit(syscall(SYS_ioprio_get, 1, 0) == (2 << 13 | 6) ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(fails(syscall(SYS_ioprio_set, 1, 0, 0 << 13 | 1), EINVAL));
	CHECK(fails(syscall(SYS_ioprio_set, 1, 0, 4 << 13), EINVAL));
	CHECK(syscall(SYS_ioprio_set, 1, 0, 3 << 13) == 0);
}

/* ---- prctl ---- */

static void check_prctl(void)
{
	int value;
	char name[16];

	CHECK(prctl(PR_GET_TIMERSLACK) == 50000 && prctl(PR_SET_TIMERSLACK, 123) == 0);
	CHECK(prctl(PR_GET_TIMERSLACK) == 123 && prctl(PR_SET_TIMERSLACK, 0) == 0);
	CHECK(prctl(PR_GET_TIMERSLACK) == 50000);
	CHECK(prctl(PR_GET_TIMING) == PR_TIMING_STATISTICAL);
	CHECK(fails(prctl(PR_SET_TIMING, PR_TIMING_TIMESTAMP), EINVAL));
	CHECK(prctl(PR_SET_NAME, "0123456789abcdefgh") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "0123456789abcde") == 0 && fails(prctl(PR_SET_NAME, 16), EFAULT));
	CHECK(prctl(PR_GET_DUMPABLE) == 1 && fails(prctl(PR_SET_DUMPABLE, 2), EINVAL));
	CHECK(prctl(PR_SET_DUMPABLE, 0) == 0 && prctl(PR_GET_DUMPABLE) == 0);
	CHECK(prctl(PR_SET_DUMPABLE, 1) == 0);
	CHECK(fails(prctl(PR_SET_NO_NEW_PRIVS, 0, 0, 0, 0), EINVAL));
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	CHECK(fails(prctl(PR_GET_NO_NEW_PRIVS, 1, 0, 0, 0), EINVAL));
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_DEFAULT);
	CHECK(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0);
	CHECK(prctl(PR_MCE_KILL_GET, 0, 0, 0, 0) == PR_MCE_KILL_EARLY);
	CHECK(fails(prctl(PR_MCE_KILL, 5, 0, 0, 0), EINVAL));
	CHECK(prctl(PR_GET_TSC, &value) == 0 && value == PR_TSC_ENABLE);
	CHECK(fails(prctl(PR_GET_UNALIGN, &value), EINVAL) && fails(prctl(12345), EINVAL));
	CHECK(fails(prctl(PR_GET_SPECULATION_CTRL, 99, 0, 0, 0), ENODEV));
	CHECK(fails(prctl(PR_GET_SPECULATION_CTRL, 0, 1, 0, 0), EINVAL));
	CHECK(fails(prctl(PR_SET_PDEATHSIG, 65), EINVAL));
	CHECK(prctl(PR_TASK_PERF_EVENTS_DISABLE) == 0 && prctl(PR_TASK_PERF_EVENTS_ENABLE) == 0);
}

int main(void)
{
	in_child(check_calls);
	in_child(check_others);
	check_cpu();
	if (geteuid() == 0) {
		in_child(spawn_to_limit);
		in_child(count_zombies);
	}
	in_child(check_memory);
	in_child(check_file_size);
	in_child(check_file_room);
	in_child(check_no_descriptor);
	in_child(check_init);
	in_child(check_nice);
	in_child(check_policies);
	in_child(check_attributes);
	in_child(check_affinity);
	in_child(check_ioprio);
	in_child(check_prctl);
	puts("ok");
	return 0;
}
