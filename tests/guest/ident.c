/*
 * What the container says of machine, user and limits: printed, so that the runs are compared,
 * and checked against itself.
 */
#include <sched.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sysinfo.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>
#include "check.h"

static void print_machine(void)
{
	struct utsname names;
	struct sysinfo info;
	cpu_set_t cpus;

	CHECK(uname(&names) == 0);
	printf("uname %s %s %s %s %s\n", names.sysname, names.nodename, names.release,
	       names.version, names.machine);
	CHECK(sysinfo(&info) == 0);
	printf("memory %lu of %lu procs %d uptime %ld load %lu\n", info.freeram, info.totalram,
	       info.procs, info.uptime, info.loads[0]);
	CHECK(sched_getaffinity(0, sizeof(cpus), &cpus) == 0);
	printf("cpus %d online %ld configured %ld here %d\n", CPU_COUNT(&cpus),
	       sysconf(_SC_NPROCESSORS_ONLN), sysconf(_SC_NPROCESSORS_CONF), sched_getcpu());
	CHECK(CPU_COUNT(&cpus) == sysconf(_SC_NPROCESSORS_ONLN));
}

static void print_user(void)
{
	gid_t groups[64];
	int count = getgroups(64, groups);

	printf("ids %d %d %d %d umask", getuid(), geteuid(), getgid(), getegid());
	mode_t mask = umask(022);
	CHECK(umask(mask) == 022);
	printf(" %o groups", mask);
	for (int i = 0; i < count; i++)
		printf(" %d", groups[i]);
	printf("\npid %d ppid %d pgid %d sid %d\n", getpid(), getppid(), getpgrp(), getsid(0));
}

static void print_limits(void)
{
	struct rlimit limit;

	for (int i = 0; i < RLIM_NLIMITS; i++) {
		CHECK(getrlimit(i, &limit) == 0);
		printf("%ld/%ld ", (long)limit.rlim_cur, (long)limit.rlim_max);
	}
	printf("\n");
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > 2);
	limit.rlim_cur = limit.rlim_max / 2;
	CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	CHECK(dup2(0, (int)limit.rlim_cur) == -1 && errno == EBADF);
	printf("nice %d policy %d\n", getpriority(PRIO_PROCESS, 0), sched_getscheduler(0));
}

static void print_start(void)
{
	printf("hwcap %lx hwcap2 %lx page %lu clktck %lu sigstk %lu vdso %lx execfn %s\n",
	       getauxval(AT_HWCAP), getauxval(AT_HWCAP2), getauxval(AT_PAGESZ),
	       getauxval(AT_CLKTCK), getauxval(AT_MINSIGSTKSZ), getauxval(AT_SYSINFO_EHDR),
	       (const char *)getauxval(AT_EXECFN) ? "known" : "-");
}

static void print_text(const char *path)
{
	char line[512];
	FILE *f = fopen(path, "r");

	printf("%s:", path);
	while (f && fgets(line, sizeof(line), f))
		printf(" %s", line);
	printf("%s\n", f ? "" : " -");
	if (f)
		fclose(f);
}

static void print_files(void)
{
	static const char *const paths[] = {
		"/proc/self/stat", "/proc/self/status",	   "/proc/self/cmdline",
		"/proc/meminfo",   "/proc/cpuinfo",	   "/proc/stat",
		"/proc/uptime",	   "/proc/loadavg",	   "/proc/sys/kernel/hostname",
		"/proc/self/maps", "/proc/self/mountinfo", "/sys/devices/system/cpu/online"};

	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++)
		print_text(paths[i]);
}

int main(void)
{
	char name[16] = "";

	print_machine();
	print_user();
	print_limits();
	print_start();
	CHECK(prctl(PR_SET_NAME, "renamed") == 0 && prctl(PR_GET_NAME, name) == 0);
	CHECK(strcmp(name, "renamed") == 0);
	CHECK(setpgid(0, 0) == 0 || errno == EPERM);
	print_files();
	return 0;
}
