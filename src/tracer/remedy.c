/*
 * See remedy.h.  A table of causes: for each need, conditions that can be looked up and the remedy
 * for each; the first that holds is told.  The last of a need holds always.
 */
#include "remedy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define USERNS_CLONE "/proc/sys/kernel/unprivileged_userns_clone"
#define USERNS_MAX   "/proc/sys/user/max_user_namespaces"
#define APPARMOR     "/proc/sys/kernel/apparmor_restrict_unprivileged_userns"
#define YAMA	     "/proc/sys/kernel/yama/ptrace_scope"
#define MEMFD_NOEXEC "/proc/sys/vm/memfd_noexec"

long remedy_sysctl(const char *path)
{
	FILE *file = fopen(path, "re");
	long value = -1;

	if (file == NULL)
		return -1;
	if (fscanf(file, "%ld", &value) != 1)
		value = -1;
	fclose(file);
	return value;
}

/* The number behind `key` in /proc/self/status, or -1. */
static long status_field(const char *key)
{
	FILE *file = fopen("/proc/self/status", "re");
	char line[256];
	long value = -1;

	while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
		if (strncmp(line, key, strlen(key)) == 0)
			value = strtol(line + strlen(key), NULL, 0);
	}
	if (file != NULL)
		fclose(file);
	return value;
}

static bool is_root(int error)
{
	(void)error;
	return geteuid() == 0;
}

static bool userns_off(int error)
{
	return error == EPERM && remedy_sysctl(USERNS_CLONE) == 0;
}

static bool userns_full(int error)
{
	return error == ENOSPC || error == EUSERS || remedy_sysctl(USERNS_MAX) == 0;
}

static bool apparmor_userns(int error)
{
	return (error == EPERM || error == EACCES) && remedy_sysctl(APPARMOR) == 1;
}

static bool processes_full(int error)
{
	return error == EAGAIN;
}

/* The kernel makes no user namespaces for somebody whose root is no mount point. */
static bool in_chroot(int error)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[4096], point[2048];
	bool found = file == NULL;

	while (!found && fgets(line, sizeof(line), file) != NULL)
		found = sscanf(line, "%*s %*s %*s %*s %2047s", point) == 1 &&
			strcmp(point, "/") == 0;
	if (file != NULL)
		fclose(file);
	return error == EPERM && !found;
}

static bool in_filter(int error)
{
	return (error == EPERM || error == ENOSYS || error == EACCES) &&
	       status_field("Seccomp:") == 2;
}

static bool yama_admin(int error)
{
	(void)error;
	return remedy_sysctl(YAMA) == 2;
}

static bool yama_off(int error)
{
	(void)error;
	return remedy_sysctl(YAMA) == 3;
}

static bool is_traced(int error)
{
	(void)error;
	return status_field("TracerPid:") > 0;
}

static bool memfd_noexec(int error)
{
	(void)error;
	return remedy_sysctl(MEMFD_NOEXEC) > 0;
}

static bool limited(int resource)
{
	struct rlimit r;

	return getrlimit(resource, &r) == 0 && r.rlim_cur != RLIM_INFINITY;
}

static bool address_space_limited(int error)
{
	(void)error;
	return limited(RLIMIT_AS);
}

static bool always(int error)
{
	(void)error;
	return true;
}

static bool unknown_call(int error)
{
	return error == ENOSYS || error == EINVAL;
}

#define OUTER                                                                         \
	"a seccomp filter around us forbids it; in a container of docker or podman: " \
	"--security-opt seccomp=unconfined"

static const struct {
	enum need need;
	bool (*holds)(int error);
	const char *text;
} remedies[] = {
	{NEED_NAMESPACES, processes_full, "too many processes; raise the limit: ulimit -u"},
	{NEED_NAMESPACES, in_filter, OUTER},
	{NEED_NAMESPACES, is_root,
	 "root lacks CAP_SYS_ADMIN here; in a container of docker or podman: --cap-add SYS_ADMIN"},
	{NEED_NAMESPACES, in_chroot,
	 "users cannot make user namespaces in a chroot; run it as root there, or outside"},
	{NEED_NAMESPACES, userns_off,
	 "user namespaces are for root only; as root: sysctl kernel.unprivileged_userns_clone=1"},
	{NEED_NAMESPACES, apparmor_userns,
	 "AppArmor restricts user namespaces; as root: sysctl "
	 "kernel.apparmor_restrict_unprivileged_userns=0"},
	{NEED_NAMESPACES, userns_full,
	 "no more user namespaces are allowed; as root: sysctl user.max_user_namespaces=15000"},
	{NEED_NAMESPACES, unknown_call,
	 "the kernel lacks namespaces (CONFIG_USER_NS, CONFIG_PID_NS)"},
	{NEED_NAMESPACES, always,
	 "user namespaces are not allowed here (in a chroot they never are); run it as root"},
	{NEED_ID_MAP, apparmor_userns,
	 "AppArmor restricts user namespaces; as root: sysctl "
	 "kernel.apparmor_restrict_unprivileged_userns=0"},
	{NEED_ID_MAP, always, "is /proc mounted, and writable?"},
	{NEED_PTRACE, in_filter, OUTER ", or --cap-add SYS_PTRACE"},
	{NEED_PTRACE, yama_off,
	 "kernel.yama.ptrace_scope is 3, which only a reboot changes: set it to 1 in "
	 "/etc/sysctl.d"},
	{NEED_PTRACE, yama_admin,
	 "kernel.yama.ptrace_scope is 2; as root: sysctl kernel.yama.ptrace_scope=1"},
	{NEED_PTRACE, is_traced, "a debugger or strace -f has taken our children already"},
	{NEED_PTRACE, unknown_call, "the kernel lacks ptrace, or a sandbox hides it"},
	{NEED_PTRACE, always, "a sandbox or security module forbids ptrace"},
	{NEED_SECCOMP, in_filter, OUTER},
	{NEED_SECCOMP, unknown_call,
	 "the kernel lacks seccomp filters (CONFIG_SECCOMP_FILTER), or a sandbox hides them"},
	{NEED_SECCOMP, always, "a sandbox or security module forbids seccomp"},
	{NEED_TSC, in_filter, OUTER},
	{NEED_TSC, always, "prctl(PR_SET_TSC) is needed; a sandbox forbids it"},
	{NEED_MOUNT, in_filter, OUTER " --cap-add SYS_ADMIN"},
	{NEED_MOUNT, always,
	 "a security module forbids it; in docker: --security-opt apparmor=unconfined"},
	{NEED_PROC, always, "mount -t proc proc /proc"},
	{NEED_MEMFD, in_filter, OUTER},
	{NEED_MEMFD, always, "memory files (memfd_create) are needed"},
	{NEED_MEMFD_EXEC, memfd_noexec, "as root: sysctl vm.memfd_noexec=0"},
	{NEED_MEMFD_EXEC, in_filter, OUTER},
	{NEED_MEMFD_EXEC, always, "memory files must be executable"},
	{NEED_ADDRESS_SPACE, address_space_limited, "64 GiB of it are needed: ulimit -v unlimited"},
	{NEED_ADDRESS_SPACE, always, "64 GiB of it are needed: sysctl vm.overcommit_memory=0 or 1"},
	{NEED_FILE_SIZE, always, "a limit of file sizes: ulimit -f unlimited"},
	{NEED_FILES, always, "raise the hard limit of open files: ulimit -Hn 4096"},
	{NEED_READ_MEMORY, in_filter, OUTER ", or --cap-add SYS_PTRACE"},
	{NEED_READ_MEMORY, always, "the kernel lacks CONFIG_CROSS_MEMORY_ATTACH"},
	{NEED_OPENAT2, in_filter, OUTER},
	{NEED_OPENAT2, always, "Linux 5.12 or newer is needed"},
	{NEED_CLOSE_RANGE, in_filter, OUTER},
	{NEED_CLOSE_RANGE, always, "Linux 5.12 or newer is needed"},
};

void remedy_text(enum need need, int error, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t i = 0; i < sizeof(remedies) / sizeof(*remedies); i++) {
		if (remedies[i].need != need || !remedies[i].holds(error))
			continue;
		snprintf(text, size, "%s", remedies[i].text);
		return;
	}
}
