/*
 * Ids and capabilities: the setuid family and what root loses by it, keepcaps, securebits, the
 * bounding and ambient sets, capset, groups, what exec makes of it, and who may do what to whom.
 * Started by an ordinary user it checks what such a one can do.
 */
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <signal.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "children.h"

#define OTHER 1234
#define ALL   ((2ull << CAP_CHECKPOINT_RESTORE) - 1)

struct caps {
	unsigned long long effective, permitted, inheritable;
};

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

static struct caps caps_get(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2];

	CHECK(syscall(SYS_capget, &header, d) == 0);
	return (struct caps){d[0].effective | (unsigned long long)d[1].effective << 32,
			     d[0].permitted | (unsigned long long)d[1].permitted << 32,
			     d[0].inheritable | (unsigned long long)d[1].inheritable << 32};
}

static int caps_set(struct caps c)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct d[2] = {
		{(unsigned)c.effective, (unsigned)c.permitted, (unsigned)c.inheritable},
		{(unsigned)(c.effective >> 32), (unsigned)(c.permitted >> 32),
		 (unsigned)(c.inheritable >> 32)}};

	return (int)syscall(SYS_capset, &header, d);
}

static int ids_are(uid_t r, uid_t e, uid_t s)
{
	uid_t ids[3];

	CHECK(getresuid(&ids[0], &ids[1], &ids[2]) == 0);
	return ids[0] == r && ids[1] == e && ids[2] == s;
}

/* In a process of its own, since nothing of it can be undone. */
/* ---- as anybody ---- */

static void check_versions(void)
{
	struct __user_cap_header_struct header = {.version = 1};
	struct __user_cap_data_struct d[2];

	CHECK(syscall(SYS_capget, &header, NULL) == 0);
	CHECK(header.version == _LINUX_CAPABILITY_VERSION_3);
	header.version = 1;
	CHECK(fails(syscall(SYS_capget, &header, d), EINVAL));
	header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_1, 0};
	CHECK(syscall(SYS_capget, &header, d) == 0);
	header = (struct __user_cap_header_struct){_LINUX_CAPABILITY_VERSION_3, -1};
	CHECK(fails(syscall(SYS_capget, &header, d), EINVAL));
	header.pid = 4000000;
	CHECK(fails(syscall(SYS_capget, &header, d), ESRCH));
	header.pid = getppid();
	CHECK(fails(syscall(SYS_capset, &header, d), EPERM));
	header.pid = getpid();
	CHECK(syscall(SYS_capget, &header, d) == 0);
	CHECK(prctl(PR_CAPBSET_READ, CAP_KILL) == 1);
	CHECK(fails(prctl(PR_CAPBSET_READ, 64), EINVAL));
}

static void check_ambient(void)
{
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_KILL, 0, 0) == 0);
	CHECK(fails(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM));
	CHECK(fails(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 1, 0), EINVAL));
	CHECK(fails(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, 64, 0, 0), EINVAL));
	CHECK(fails(prctl(PR_CAP_AMBIENT, 9, CAP_KILL, 0, 0), EINVAL));
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) == 0);
	CHECK(fails(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 1, 0, 0), EINVAL));
}

static void check_invalid(void)
{
	gid_t groups[64];

	CHECK(fails(syscall(SYS_setuid, -1), EINVAL) && fails(syscall(SYS_setgid, -1), EINVAL));
	CHECK(syscall(SYS_setresuid, -1, -1, -1) == 0 && syscall(SYS_setreuid, -1, -1) == 0);
	CHECK(setfsuid((uid_t)-1) == (int)geteuid() && setfsgid((gid_t)-1) == (int)getegid());
	int n = getgroups(0, groups);
	CHECK(n >= 0 && fails(syscall(SYS_getgroups, -1, groups), EINVAL));
	CHECK(n == 0 || n > 64 || getgroups(n, groups) == n);
	CHECK(fails(prctl(PR_SET_KEEPCAPS, 2), EINVAL) && prctl(PR_GET_KEEPCAPS) == 0);
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && prctl(PR_GET_KEEPCAPS) == 1);
	CHECK(prctl(PR_GET_SECUREBITS) == SECBIT_KEEP_CAPS);
	CHECK(prctl(PR_SET_KEEPCAPS, 0) == 0 && prctl(PR_GET_SECUREBITS) == 0);
}

static void check_user(void)
{
	uid_t own = getuid();
	gid_t group = getgid();
	struct caps c = caps_get();

	CHECK(c.effective == 0 && c.permitted == 0);
	CHECK(fails(setuid(own + 1), EPERM) && fails(setgid(group + 1), EPERM));
	CHECK(fails(setreuid(own + 1, (uid_t)-1), EPERM) && fails(setreuid((uid_t)-1, 0), EPERM));
	CHECK(fails(setresuid(0, (uid_t)-1, (uid_t)-1), EPERM) && setresuid(own, own, own) == 0);
	CHECK(setuid(own) == 0 && setgid(group) == 0 && setfsuid(0) == (int)own);
	CHECK(setfsuid(own) == (int)own && fails(setgroups(1, &group), EPERM));
	CHECK(fails(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM));
	CHECK(fails(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT), EPERM));
	c.inheritable = 1;
	CHECK(fails(caps_set(c), EPERM));
	c = (struct caps){1, 0, 0};
	CHECK(fails(caps_set(c), EPERM));
	CHECK(fails(nice(-1), EPERM) || errno == EACCES);
	CHECK(fails(kill(1, 0), EPERM) && fails(kill(1, SIGTERM), EPERM));
}

/* ---- as root ---- */

static void check_setuid(void)
{
	CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && prctl(PR_GET_DUMPABLE) == 1);
	CHECK(setuid(OTHER) == 0 && ids_are(OTHER, OTHER, OTHER));
	struct caps c = caps_get();
	CHECK(c.effective == 0 && c.permitted == 0 && prctl(PR_GET_DUMPABLE) == 0);
	int sig = -1;
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == 0);
	CHECK(fails(setuid(0), EPERM) && fails(setgroups(0, NULL), EPERM));
	CHECK(fails(kill(getppid(), 0), EPERM));
	CHECK(fails(setpriority(PRIO_PROCESS, 0, -1), EACCES));
	CHECK(setpriority(PRIO_PROCESS, 0, 5) == 0 && getpriority(PRIO_PROCESS, 0) == 5);
	CHECK(fails(setpriority(PRIO_PROCESS, 0, 4), EACCES));
	CHECK(fails(setpriority(PRIO_PROCESS, (id_t)getppid(), 7), EPERM));
}

static void check_seteuid(void)
{
	CHECK(seteuid(OTHER) == 0 && ids_are(0, OTHER, 0));
	struct caps c = caps_get();
	CHECK(c.effective == 0 && c.permitted == ALL);
	CHECK(fails(setgid(OTHER), EPERM));
	CHECK(seteuid(0) == 0 && caps_get().effective == ALL);
	CHECK(setreuid(OTHER, (uid_t)-1) == 0 && ids_are(OTHER, 0, 0));
	CHECK(setreuid((uid_t)-1, OTHER) == 0 && ids_are(OTHER, OTHER, 0));
	CHECK(caps_get().effective == 0 && caps_get().permitted == ALL);
	CHECK(setreuid(0, (uid_t)-1) == -1 && errno == EPERM); /* not the saved one */
	CHECK(setresuid((uid_t)-1, 0, (uid_t)-1) == 0 && caps_get().effective == ALL);
	CHECK(setresuid(1, 2, 3) == 0 && ids_are(1, 2, 3) && caps_get().permitted == 0);
	CHECK(setuid(3) == 0 && ids_are(1, 3, 3) && fails(setuid(2), EPERM));
	CHECK(setreuid(3, 1) == 0 && ids_are(3, 1, 1));
}

static void check_fsuid(void)
{
	unsigned long long files = 1ull << CAP_CHOWN | 1ull << CAP_DAC_OVERRIDE |
				   1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER |
				   1ull << CAP_FSETID | 1ull << CAP_LINUX_IMMUTABLE |
				   1ull << CAP_MKNOD | 1ull << CAP_MAC_OVERRIDE;

	CHECK(setfsuid(OTHER) == 0 && setfsuid((uid_t)-1) == OTHER);
	CHECK(caps_get().effective == (ALL & ~files) && caps_get().permitted == ALL);
	CHECK(setfsuid(0) == OTHER && caps_get().effective == ALL);
	CHECK(setfsgid(OTHER) == 0 && setfsgid(0) == OTHER);
}

static void check_keepcaps(void)
{
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(OTHER, OTHER, OTHER) == 0);
	struct caps c = caps_get();
	CHECK(c.effective == 0 && c.permitted == ALL);
	c.effective = 1ull << CAP_SETUID;
	CHECK(caps_set(c) == 0 && setresuid(7, 8, 9) == 0 && ids_are(7, 8, 9));
	CHECK(caps_get().permitted == ALL);
}

static void check_securebits(void)
{
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED) ==
	      0);
	CHECK(fails(prctl(PR_SET_SECUREBITS, 0), EPERM));
	CHECK(fails(prctl(PR_SET_SECUREBITS, 1 << 30), EPERM));
	CHECK(setuid(OTHER) == 0 && caps_get().effective == ALL);
	CHECK(setuid(0) == 0);
	CHECK(prctl(PR_SET_SECUREBITS, (SECBIT_NO_SETUID_FIXUP | SECBIT_NO_SETUID_FIXUP_LOCKED |
					SECBIT_KEEP_CAPS_LOCKED)) == 0);
	CHECK(fails(prctl(PR_SET_KEEPCAPS, 1), EPERM));
}

static void check_capset(void)
{
	struct caps c = {ALL, ALL, 0};

	c.effective &= ~(1ull << CAP_KILL);
	CHECK(caps_set(c) == 0 && caps_get().effective == c.effective);
	c.permitted &= ~(1ull << CAP_KILL);
	CHECK(caps_set(c) == 0 && caps_get().permitted == c.permitted);
	c.permitted = ALL;
	CHECK(fails(caps_set(c), EPERM));
	c.permitted = ALL & ~(1ull << CAP_KILL);
	c.inheritable = 1ull << CAP_KILL;
	CHECK(caps_set(c) == 0); /* SETPCAP, and it is in the bounding set */
	CHECK(prctl(PR_CAPBSET_DROP, CAP_CHOWN) == 0 && prctl(PR_CAPBSET_READ, CAP_CHOWN) == 0);
	c.inheritable |= 1ull << CAP_CHOWN;
	CHECK(fails(caps_set(c), EPERM));
	CHECK(fails(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0), EPERM));
	c.inheritable = 1ull << CAP_FOWNER;
	CHECK(caps_set(c) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_FOWNER, 0, 0) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_FOWNER, 0, 0) == 1);
	c.inheritable = 0;
	CHECK(caps_set(c) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_FOWNER, 0, 0) == 0);
}

/* Without capabilities root is like anybody else. */
static void check_bare_root(void)
{
	CHECK(caps_set((struct caps){0, 0, 0}) == 0);
	CHECK(fails(setuid(OTHER), EPERM) && fails(setgroups(0, NULL), EPERM));
	CHECK(fails(sethostname("x", 1), EPERM) && fails(chroot("/"), EPERM));
	CHECK(fails(setpriority(PRIO_PROCESS, 0, -1), EACCES));
	CHECK(fails(prctl(PR_CAPBSET_DROP, CAP_KILL), EPERM));
	CHECK(kill(getppid(), 0) == 0); /* the same user's */
}

/* The root there is, is taken from whoever may; what is wrong with a name is told to all. */
static void check_root(void)
{
	CHECK(mkdir("credentials.dir", 0700) == 0 && fails(chroot("credentials.none"), ENOENT));
	CHECK(fails(chroot("/proc/self/exe"), ENOTDIR) && fails(chroot((char *)1), EFAULT));
	CHECK(fails(chroot(""), ENOENT) && chroot("/") == 0 && chroot("/..") == 0);
	CHECK(chroot("/proc/self/root") == 0);
	pid_t child = fork();
	int status;
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(setuid(OTHER) == 0 && fails(chroot("/"), EPERM));
		CHECK(fails(chroot("credentials.dir"), EACCES) && fails(chroot("x"), ENOENT));
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(rmdir("credentials.dir") == 0);
}

/* Another user's private file, by what is in force. */
static void check_files(void)
{
	const char *path = "credentials.tmp";
	struct caps c = {0, ALL, 0};

	CHECK(close(open(path, O_CREAT | O_WRONLY, 0600)) == 0 && chown(path, OTHER, OTHER) == 0);
	CHECK(caps_set(c) == 0);
	CHECK(fails(open(path, O_RDONLY), EACCES) && fails(chmod(path, 0644), EPERM));
	CHECK(fails(chown(path, 0, 0), EPERM));
	c.effective = 1ull << CAP_DAC_READ_SEARCH;
	CHECK(caps_set(c) == 0 && close(open(path, O_RDONLY)) == 0);
	CHECK(fails(open(path, O_WRONLY), EACCES));
	c.effective = 1ull << CAP_DAC_OVERRIDE;
	CHECK(caps_set(c) == 0 && close(open(path, O_RDWR)) == 0 &&
	      fails(access(path, X_OK), EACCES));
	c.effective = 1ull << CAP_FOWNER;
	CHECK(caps_set(c) == 0 && chmod(path, 0640) == 0 && fails(chown(path, 0, 0), EPERM));
	c.effective = 1ull << CAP_CHOWN;
	CHECK(caps_set(c) == 0 && chown(path, 0, 0) == 0 && unlink(path) == 0);
}

static const char *many_path;

static void is_member(void)
{
	CHECK(getgroups(0, NULL) == 65 && setgid(OTHER) == 0 && setuid(OTHER) == 0);
	CHECK(access(many_path, R_OK) == 0 && fails(access(many_path, W_OK), EACCES));
}

static void is_no_member(void)
{
	CHECK(setgid(OTHER) == 0 && setuid(OTHER) == 0 && fails(access(many_path, R_OK), EACCES));
}

/* As many as Linux takes, in any order; each counts. */
static void check_many_groups(void)
{
	static gid_t groups[65537], got[65536];
	const char *path = "credentials.tmp";

	for (unsigned i = 0; i < 65537; i++)
		groups[i] = 100000 + i * 7919 % 65536;
	CHECK(fails(setgroups(65537, groups), EINVAL) && setgroups(65536, groups) == 0);
	CHECK(getgroups(0, NULL) == 65536 && fails(getgroups(65535, got), EINVAL));
	CHECK(getgroups(65536, got) == 65536);
	for (unsigned i = 0; i < 65536; i++)
		CHECK(got[i] == 100000 + i);
	CHECK(setgroups(65, groups) == 0 && getgroups(65536, got) == 65);
	CHECK(close(open(path, O_CREAT | O_WRONLY, 0040)) == 0 && chown(path, 0, groups[64]) == 0);
	many_path = path;
	in_child(is_member);
	CHECK(chown(path, 0, groups[65]) == 0);
	in_child(is_no_member);
	CHECK(unlink(path) == 0);
}

static void check_groups(void)
{
	gid_t groups[] = {30, 10, 20}, got[3];

	CHECK(setgroups(3, groups) == 0 && getgroups(3, got) == 3);
	CHECK(got[0] == 10 && got[1] == 20 && got[2] == 30);
	CHECK(fails(getgroups(2, got), EINVAL) && setgroups(0, NULL) == 0);
	CHECK(getgroups(0, NULL) == 0);
	groups[0] = (gid_t)-1;
	CHECK(fails(setgroups(1, groups), EINVAL));
}

/* By what the kernel knows, as the way to it may be closed to whom we become. */
static const char self[] = "/proc/self/exe";

/* What a program has after exec: run as "after-exec WHAT". */
static void exec_as(const char *what)
{
	execl(self, self, "after-exec", what, NULL);
	CHECK(!"exec");
}

static void exec_root(void)
{
	CHECK(prctl(PR_CAPBSET_DROP, CAP_KILL) == 0);
	exec_as("bounded");
}

static void exec_user(void)
{
	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setresuid(OTHER, OTHER, 0) == 0);
	exec_as("nothing");
}

static void exec_ambient(void)
{
	struct caps c = {1ull << CAP_KILL, ALL, 1ull << CAP_KILL};

	CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0 && setuid(OTHER) == 0 && caps_set(c) == 0);
	CHECK(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_KILL, 0, 0) == 0);
	exec_as("ambient");
}

static void exec_noroot(void)
{
	CHECK(prctl(PR_SET_SECUREBITS, SECBIT_NOROOT) == 0);
	exec_as("noroot");
}

static int after_exec(const char *what)
{
	struct caps c = caps_get();

	if (strcmp(what, "bounded") == 0)
		CHECK(c.permitted == (ALL & ~(1ull << CAP_KILL)) && c.effective == c.permitted);
	if (strcmp(what, "nothing") == 0)
		CHECK(c.permitted == 0 && ids_are(OTHER, OTHER, OTHER) &&
		      prctl(PR_GET_KEEPCAPS) == 0);
	if (strcmp(what, "ambient") == 0)
		CHECK(c.permitted == 1ull << CAP_KILL && c.effective == c.permitted &&
		      kill(getppid(), 0) == 0);
	if (strcmp(what, "noroot") == 0)
		CHECK(c.permitted == 0 && geteuid() == 0);
	CHECK(prctl(PR_GET_DUMPABLE) == 1);
	return 0;
}

/* A signal from the same user's other process, and across users. */
static void check_kill(void)
{
	int gate[2], status;
	char byte;
	pid_t child;

	CHECK(pipe2(gate, O_CLOEXEC) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		close(gate[0]);
		setresuid(OTHER, OTHER, 77);
		write(gate[1], "x", 1);
		pause();
	}
	CHECK(read(gate[0], &byte, 1) == 1);
	CHECK(setresuid(5, 6, 0) == 0 && fails(kill(child, 0), EPERM));
	CHECK(seteuid(0) == 0 && setresuid(5, 77, 0) == 0);
	CHECK(kill(child, SIGTERM) == 0); /* its saved id */
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGTERM);
}

int main(int argc, char **argv)
{
	if (argc == 3)
		return after_exec(argv[2]);
	in_child(check_versions);
	in_child(check_ambient);
	in_child(check_invalid);
	if (geteuid() != 0) {
		in_child(check_user);
	} else if (caps_get().permitted == ALL) {
		in_child(check_setuid);
		in_child(check_seteuid);
		in_child(check_fsuid);
		in_child(check_keepcaps);
		in_child(check_securebits);
		in_child(check_capset);
		in_child(check_bare_root);
		in_child(check_root);
		in_child(check_files);
		in_child(check_groups);
		in_child(check_many_groups);
		in_child(exec_root);
		in_child(exec_user);
		in_child(exec_ambient);
		in_child(exec_noroot);
		in_child(check_kill);
	}
	puts("ok");
	return 0;
}
