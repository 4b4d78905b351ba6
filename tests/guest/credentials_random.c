/*
 * credentials_random SEED COUNT: COUNT processes, each of which makes some random changes to its
 * ids, groups, capabilities and what goes with them, shows all of it after each, and executes a
 * copy of this program, with set-id bits or without, which shows what became of it; the same on
 * bare Linux.
 *
 * Run by root it drops CAP_SYS_RESOURCE first, which not every host gives to root.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define CAPS	   (CAP_LAST_CAP + 1)
#define PATH_ROOM  64
#define FOLDER	   "credentials_random.tmp"
#define GROUPS_ASK 70
#define STEPS	   14

struct caps {
	unsigned long effective, permitted, inheritable;
};

static const struct program {
	const char *name;
	int uid, gid;
	mode_t mode;
} programs[] = {
	{"plain", 0, 0, 0755},	     {"uid", 1001, 1003, 04755}, {"gid", 1001, 1003, 02755},
	{"both", 1002, 0, 06755},    {"root", 0, 0, 06755},	 {"unread", 0, 0, 0711},
	{"lock", 1001, 1002, 02745}, {"plain", 0, 0, 0755},
};
#define PROGRAMS (sizeof(programs) / sizeof(*programs))

static uint64_t state;

static unsigned random_below(unsigned limit)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(state >> 33) % limit;
}

static int random_id(void)
{
	static const int ids[] = {0, 0, -1, -1, 1000, 1001, 1002, 1003, 65534};

	return ids[random_below(sizeof(ids) / sizeof(*ids))];
}

static void result(const char *name, long r)
{
	if (r < 0)
		printf("%s = %s", name, strerrorname_np(errno));
	else
		printf("%s = %ld", name, r);
}

/* ---- what there is to see ---- */

static void caps_get(struct caps *ret)
{
	struct __user_cap_header_struct head = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2];

	CHECK(syscall(SYS_capget, &head, data) == 0);
	ret->effective = data[0].effective | (unsigned long)data[1].effective << 32;
	ret->permitted = data[0].permitted | (unsigned long)data[1].permitted << 32;
	ret->inheritable = data[0].inheritable | (unsigned long)data[1].inheritable << 32;
}

static long caps_set(const struct caps *caps, unsigned version, int pid)
{
	struct __user_cap_header_struct head = {version, pid};
	struct __user_cap_data_struct data[2] = {
		{(unsigned)caps->effective, (unsigned)caps->permitted, (unsigned)caps->inheritable},
		{(unsigned)(caps->effective >> 32), (unsigned)(caps->permitted >> 32),
		 (unsigned)(caps->inheritable >> 32)}};

	return syscall(SYS_capset, &head, data);
}

static void show_ids(void)
{
	int r, e, s;

	CHECK(syscall(SYS_getresuid, &r, &e, &s) == 0);
	printf(" u %d %d %d %ld", r, e, s, syscall(SYS_setfsuid, -1));
	CHECK(syscall(SYS_getresgid, &r, &e, &s) == 0);
	printf(" g %d %d %d %ld", r, e, s, syscall(SYS_setfsgid, -1));
}

/* What nobody gave up is the host's: only root can give up CAP_SYS_RESOURCE. */
static unsigned long bounding_set(void)
{
	unsigned long set = 0;

	for (int i = 0; i < CAPS; i++)
		set |= (unsigned long)prctl(PR_CAPBSET_READ, i) << i;
	return set & ~(1ul << CAP_SYS_RESOURCE);
}

static void show(void)
{
	unsigned long ambient = 0;
	int death = -1;
	struct caps caps;

	caps_get(&caps);
	for (int i = 0; i < CAPS; i++)
		ambient |= (unsigned long)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0)
			   << i;
	CHECK(prctl(PR_GET_PDEATHSIG, &death) == 0);
	show_ids();
	printf(" e %lx p %lx i %lx b %lx a %lx", caps.effective, caps.permitted, caps.inheritable,
	       bounding_set(), ambient);
	printf(" secure %x dumpable %d nnp %d death %d\n", (unsigned)prctl(PR_GET_SECUREBITS),
	       prctl(PR_GET_DUMPABLE), prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0), death);
}

static int show_after_exec(void)
{
	struct rlimit stack;

	CHECK(getrlimit(RLIMIT_STACK, &stack) == 0);
	printf("executed AT_SECURE %lu personality %x stack %lx", getauxval(AT_SECURE),
	       (unsigned)personality(0xffffffff), (unsigned long)stack.rlim_cur);
	show();
	return 0;
}

/* ---- changes ---- */

static void do_id(void)
{
	static const struct {
		const char *name;
		long nr;
	} calls[] = {
		{"setuid", SYS_setuid},	      {"setgid", SYS_setgid},
		{"setreuid", SYS_setreuid},   {"setregid", SYS_setregid},
		{"setresuid", SYS_setresuid}, {"setresuid", SYS_setresuid},
		{"setresuid", SYS_setresuid}, {"setresgid", SYS_setresgid},
		{"setresgid", SYS_setresgid}, {"setfsuid", SYS_setfsuid},
		{"setfsuid", SYS_setfsuid},   {"setfsgid", SYS_setfsgid},
	};
	unsigned which = random_below(sizeof(calls) / sizeof(*calls));
	int a = random_id(), b = random_id(), c = random_id();

	result(calls[which].name, syscall(calls[which].nr, a, b, c));
	printf(" (%d %d %d)", a, b, c);
}

static unsigned long random_caps(void)
{
	unsigned long some = 0, all = (1ul << CAPS) - 1;

	for (int i = 0; i < CAPS; i++)
		some |= (unsigned long)(random_below(4) == 0) << i;
	switch (random_below(5)) {
	case 0:
		return some;
	case 1:
		return some | 1ul << CAP_SETUID | 1ul << CAP_SETGID | 1ul << CAP_SETPCAP;
	case 2:
		return ~0ul;
	case 3:
		return 0;
	default:
		return all & ~some;
	}
}

static void do_capset(void)
{
	static const unsigned versions[] = {_LINUX_CAPABILITY_VERSION_1, 0x99};
	unsigned version =
		random_below(20) ? _LINUX_CAPABILITY_VERSION_3 : versions[random_below(2)];
	int pid = random_below(20) ? 0 : random_below(2) ? getpid() : 1;
	struct caps caps;

	caps_get(&caps);
	switch (random_below(6)) {
	case 0:
		caps.effective &= random_caps();
		break;
	case 1:
		caps.effective = caps.permitted & random_caps();
		break;
	case 2:
		caps.permitted &= random_caps();
		caps.effective &= caps.permitted;
		break;
	case 3:
		caps.inheritable = random_caps();
		break;
	case 4:
		caps.inheritable = caps.permitted & random_caps();
		break;
	default:
		caps = (struct caps){random_caps(), random_caps(), random_caps()};
	}
	result("capset", caps_set(&caps, version, pid));
}

static void do_groups(void)
{
	unsigned groups[GROUPS_ASK];
	int n = (int)random_below(6), room = random_below(4) ? GROUPS_ASK : (int)random_below(4);

	for (int i = 0; i < n; i++)
		groups[i] = random_below(30) ? random_below(2000) : ~0u;
	result("setgroups", syscall(SYS_setgroups, n, groups));
	long r = syscall(SYS_getgroups, room, groups);
	result(" getgroups", getuid() == 0 ? r : 0);
	for (long i = 0; i < r && room && getuid() == 0; i++)
		printf(" %u", groups[i]);
}

static void do_secure(void)
{
	unsigned bits = random_below(256);
	int keep = (int)random_below(3);

	bits &= random_below(256);
	bits &= random_below(256);
	if (random_below(2))
		result("securebits", prctl(PR_SET_SECUREBITS, bits));
	else
		result("keepcaps", prctl(PR_SET_KEEPCAPS, keep));
	printf(" %x %d", bits, keep);
}

static void do_bounding(void)
{
	unsigned cap = random_below(CAPS + 2);

	result("drop", prctl(PR_CAPBSET_DROP, cap));
	printf(" %u", cap);
}

static void do_ambient(void)
{
	unsigned how = random_below(6),
		 cap = how == PR_CAP_AMBIENT_CLEAR_ALL ? 0 : random_below(CAPS + 2);

	result("ambient", prctl(PR_CAP_AMBIENT, how, cap, 0, 0));
	printf(" %u %u", how, cap);
}

static void do_process(void)
{
	struct rlimit stack;

	switch (random_below(6)) {
	case 0:
		result("dumpable", prctl(PR_SET_DUMPABLE, random_below(3)));
		break;
	case 1:
		result("pdeathsig", prctl(PR_SET_PDEATHSIG, random_below(66)));
		break;
	case 2:
		if (random_below(4) == 0)
			result("no_new_privs", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
		break;
	case 3:
		result("personality", personality(ADDR_NO_RANDOMIZE));
		break;
	default:
		CHECK(getrlimit(RLIMIT_STACK, &stack) == 0);
		stack.rlim_cur = random_below(2) ? 16 << 20 : 4 << 20;
		result("stack", setrlimit(RLIMIT_STACK, &stack));
	}
}

static void (*const changes[])(void) = {
	do_id,	   do_id,     do_id,	 do_id,	      do_id,	  do_id,      do_capset,
	do_capset, do_groups, do_secure, do_bounding, do_ambient, do_ambient, do_process,
};
#define CHANGES (sizeof(changes) / sizeof(*changes))

/* ---- processes ---- */

static void program_path(char *to, const char *name)
{
	snprintf(to, PATH_ROOM, FOLDER "/%s", name);
}

static void program_make(const struct program *program)
{
	static char buffer[1 << 16];
	char path[PATH_ROOM];
	int from = open("/proc/self/exe", O_RDONLY), to;
	ssize_t n;

	program_path(path, program->name);
	unlink(path);
	to = open(path, O_WRONLY | O_CREAT | O_EXCL, 0700);
	CHECK(from >= 0 && to >= 0);
	while ((n = read(from, buffer, sizeof(buffer))) > 0)
		CHECK(write(to, buffer, (size_t)n) == n);
	close(from);
	close(to);
	if (geteuid() == 0)
		CHECK(chown(path, (uid_t)program->uid, (gid_t)program->gid) == 0);
	CHECK(chmod(path, program->mode) == 0);
}

static void child(void)
{
	char path[PATH_ROOM];
	char *argv[] = {path, NULL};
	const struct program *program = &programs[random_below(PROGRAMS)];

	for (unsigned steps = random_below(STEPS); steps > 0; steps--) {
		changes[random_below(CHANGES)]();
		show();
	}
	printf("execute %s\n", program->name);
	fflush(stdout);
	program_path(path, program->name);
	execv(path, argv);
	result("execute", -1);
	printf("\n");
	fflush(stdout);
	_exit(0);
}

static void give_up_resource(void)
{
	struct caps caps;
	unsigned long bit = 1ul << CAP_SYS_RESOURCE;

	if (geteuid() != 0)
		return;
	prctl(PR_CAPBSET_DROP, CAP_SYS_RESOURCE);
	caps_get(&caps);
	caps = (struct caps){caps.effective & ~bit, caps.permitted & ~bit, 0};
	CHECK(caps_set(&caps, _LINUX_CAPABILITY_VERSION_3, 0) == 0);
}

int main(int argc, char **argv)
{
	if (argc < 3)
		return show_after_exec();
	uint64_t seed = strtoul(argv[1], NULL, 10);
	long count = atol(argv[2]);

	setvbuf(stdout, NULL, _IOFBF, 1 << 16);
	umask(022);
	give_up_resource();
	CHECK(mkdir(FOLDER, 0755) == 0);
	for (unsigned i = 0; i < PROGRAMS; i++)
		program_make(&programs[i]);
	for (long i = 0; i < count; i++) {
		/* A directory that is shared makes set-id bits unsafe. */
		int flags = SIGCHLD | (i % 7 == 3 ? CLONE_FS : 0), status;

		state = seed * 1000003 + (uint64_t)i;
		printf("process %ld\n", i);
		fflush(stdout);
		long pid = syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
		CHECK(pid >= 0);
		if (pid == 0)
			child();
		CHECK(waitpid((pid_t)pid, &status, 0) == pid && status == 0);
	}
	for (unsigned i = 0; i < PROGRAMS; i++) {
		char path[PATH_ROOM];
		program_path(path, programs[i].name);
		unlink(path);
	}
	CHECK(rmdir(FOLDER) == 0);
	printf("credentials_random ok\n");
	return 0;
}
