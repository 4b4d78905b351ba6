/*
 * See doctor.h.  A table of checks, each tried for real, in a child where it would change us: what
 * a sandbox answers is found out by asking it.  Remedies are src/tracer/remedy.c's.
 */
#include "doctor.h"

#include <argp.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/openat2.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cache_folder.h"
#include "shim/shim_abi.h"
#include "tracer/cpu_baseline.h"
#include "tracer/remedy.h"

/* Since Linux 6.3; newer than Debian 12's headers. */
#ifndef MFD_EXEC
#define MFD_EXEC 0x10u
#endif

#define USAGE_ERROR    125
#define FOUND_SIZE     160
#define KERNEL_LEAST   512 /* 5.12: mount_setattr, which a chroot needs; 100 * major + minor */
#define FREE_LEAST_MIB 256 /* a log's image of a small program is 4 MiB, of a compiler 100 */

/* A check finds something out and says whether it is right: 0 or a negative errno. */
struct check {
	const char *name;
	int (*probe)(char *found);
	enum need need; /* NEED_COUNT: the remedy is `remedy` */
	bool optional;
	const char *remedy;
};

/* ---- helpers ---- */

/* What a child answers with: 0 or its errno as exit status. */
static int child_answer(pid_t pid)
{
	int status;

	if (pid < 0)
		return -errno;
	while (waitpid(pid, &status, __WALL) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -EPERM;
}

static int in_child(int (*probe)(void))
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(probe() < 0 ? errno : 0);
	return child_answer(pid);
}

static unsigned long user_flag(void)
{
	return geteuid() != 0 ? CLONE_NEWUSER : 0;
}

static int namespace_probe(unsigned long flags)
{
	pid_t pid =
		(pid_t)syscall(SYS_clone, user_flag() | flags | SIGCHLD, NULL, NULL, NULL, NULL);

	if (pid == 0)
		_exit(0);
	return child_answer(pid);
}

/* ---- the machine ---- */

static int probe_kernel(char *found)
{
	int major = 0, minor = 0;
	struct utsname u;

	uname(&u);
	snprintf(found, FOUND_SIZE, "%s %.100s", u.sysname, u.release);
	if (sscanf(u.release, "%d.%d", &major, &minor) != 2)
		return -ENOSYS;
	return major * 100 + minor >= KERNEL_LEAST ? 0 : -ENOSYS;
}

static int probe_processor(char *found)
{
	unsigned level = cpu_baseline_machine_level();

	snprintf(found, FOUND_SIZE, "x86-64-v%u; replays logs of x86-64-v1%s%s", level,
		 level > 1 ? " to v" : "",
		 level == 3   ? "3"
		 : level == 2 ? "2"
			      : "");
	return 0;
}

/* What is recorded on a v3 processor (avx2, bmi2, fma, xsavec) is replayed on one. */
static int probe_processor_v3(char *found)
{
	(void)found;
	return cpu_baseline_machine_level() >= 3 ? 0 : -ENOTSUP;
}

static int probe_proc(char *found)
{
	(void)found;
	return access("/proc/self/status", R_OK) < 0 ? -errno : 0;
}

/* ---- memory ---- */

static int probe_memfd(char *found)
{
	int fd = memfd_create("shadow-doctor", MFD_CLOEXEC);

	(void)found;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

struct tiny_program {
	Elf64_Ehdr head;
	Elf64_Phdr segment;
	uint8_t code[9];
};

/* A program that does nothing but exit(0). */
static void tiny_program_make(struct tiny_program *p)
{
	static const uint8_t code[] = {0xb8, 60, 0, 0, 0, 0x31, 0xff, 0x0f, 0x05};
	const uint64_t base = 0x10000;

	*p = (struct tiny_program){
		.head = {.e_ident = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64, ELFDATA2LSB,
				     EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_version = EV_CURRENT,
			 .e_entry = base + offsetof(struct tiny_program, code),
			 .e_phoff = offsetof(struct tiny_program, segment),
			 .e_ehsize = sizeof(Elf64_Ehdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 1},
		.segment = {.p_type = PT_LOAD,
			    .p_flags = PF_R | PF_X,
			    .p_vaddr = base,
			    .p_filesz = sizeof(*p),
			    .p_memsz = sizeof(*p),
			    .p_align = 4096},
	};
	memcpy(p->code, code, sizeof(code));
}

static int tiny_program_run(void)
{
	char *argv[] = {(char[]){"tiny"}, NULL}, *envp[] = {NULL};
	struct tiny_program program;
	int fd = memfd_create("shadow-doctor", MFD_CLOEXEC | MFD_EXEC);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("shadow-doctor", MFD_CLOEXEC);
	tiny_program_make(&program);
	if (fd < 0 || write(fd, &program, sizeof(program)) != (ssize_t)sizeof(program))
		return -1;
	return (int)syscall(SYS_execveat, fd, "", argv, envp, AT_EMPTY_PATH);
}

static int probe_memfd_exec(char *found)
{
	(void)found;
	return in_child(tiny_program_run);
}

static int probe_file_size(char *found)
{
	int fd = memfd_create("shadow-doctor", MFD_CLOEXEC);
	int error = fd >= 0 && ftruncate(fd, REGION_SIZE) < 0 ? -errno : 0;

	if (fd < 0)
		snprintf(found, FOUND_SIZE, "not tried, for want of a memory file");
	if (fd >= 0)
		close(fd);
	return error;
}

static int probe_address_space(char *found)
{
	void *at = mmap((void *)REGION_BASE, REGION_SIZE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	(void)found;
	if (at == MAP_FAILED)
		return -errno;
	munmap(at, REGION_SIZE);
	return 0;
}

static int probe_files(char *found)
{
	struct rlimit r;

	getrlimit(RLIMIT_NOFILE, &r);
	snprintf(found, FOUND_SIZE, "up to %llu", (unsigned long long)r.rlim_max);
	return r.rlim_max < SHIM_FD_BASE + SHIM_FD_COUNT + 16 ? -EMFILE : 0;
}

/* ---- namespaces ---- */

static int probe_user(char *found)
{
	if (geteuid() == 0)
		snprintf(found, FOUND_SIZE, "root needs none");
	return geteuid() == 0 ? 0 : namespace_probe(0);
}

static int probe_pid(char *found)
{
	(void)found;
	return namespace_probe(CLONE_NEWPID);
}

static int probe_mnt(char *found)
{
	(void)found;
	return namespace_probe(CLONE_NEWNS);
}

static int probe_uts(char *found)
{
	(void)found;
	return namespace_probe(CLONE_NEWUTS);
}

static int probe_ipc(char *found)
{
	(void)found;
	return namespace_probe(CLONE_NEWIPC);
}

/* In a chroot "/" is no mount point; then /proc has to be one. */
static int mount_in_child(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 &&
	    (errno != EINVAL || mount(NULL, "/proc", NULL, MS_PRIVATE, NULL) < 0))
		return -1;
	return mount("shadow", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
}

static int probe_mount(char *found)
{
	pid_t pid = (pid_t)syscall(SYS_clone, user_flag() | CLONE_NEWNS | SIGCHLD, NULL, NULL, NULL,
				   NULL);

	(void)found;
	if (pid == 0)
		_exit(mount_in_child() < 0 ? errno : 0);
	return child_answer(pid);
}

/* ---- tracing ---- */

/* A child that waits until `go` is closed, then does `act`; seized with the options. */
static int traced_child(int (*act)(void), unsigned long options, int *ret_go, pid_t *ret_pid)
{
	int go[2];
	char byte;

	*ret_go = *ret_pid = -1;
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0) {
		close(go[1]);
		if (read(go[0], &byte, 1) < 0)
			_exit(EIO);
		_exit(act() < 0 ? errno : 0);
	}
	int error = pid < 0 ? -errno : 0;
	close(go[0]);
	if (error == 0 && ptrace(PTRACE_SEIZE, pid, NULL, options) < 0)
		error = -errno;
	*ret_go = go[1];
	*ret_pid = pid;
	return error;
}

static int do_nothing(void)
{
	return 0;
}

static int probe_ptrace(char *found)
{
	pid_t pid;
	int go, error = traced_child(do_nothing, PTRACE_O_EXITKILL, &go, &pid);

	(void)found;
	if (pid > 0) {
		close(go);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
	}
	return error;
}

static int call_traced(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {sizeof(code) / sizeof(*code), code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) < 0)
		return -1;
	syscall(SYS_getppid);
	/* Nobody stopped us there. */
	errno = ENOSYS;
	return -1;
}

static int seccomp_stop(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, __WALL) < 0)
		return -errno;
	if (WIFEXITED(status))
		return -WEXITSTATUS(status);
	return status >> 8 == (SIGTRAP | PTRACE_EVENT_SECCOMP << 8) ? 0 : -EIO;
}

static int probe_seccomp(char *found)
{
	unsigned long options = PTRACE_O_EXITKILL | PTRACE_O_TRACESECCOMP;
	pid_t pid;
	int go, error = traced_child(call_traced, options, &go, &pid);

	(void)found;
	if (pid <= 0)
		return error;
	close(go);
	/* Without ptrace it still tells whether the filter can be had. */
	if (error < 0)
		error = child_answer(pid) == -ENOSYS ? 0 : error;
	else
		error = seccomp_stop(pid);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, __WALL);
	return error;
}

static int probe_read_memory(char *found)
{
	char from = 1, to = 0;
	struct iovec local = {&to, 1}, remote = {&from, 1};

	(void)found;
	return process_vm_readv(getpid(), &local, 1, &remote, 1, 0) == 1 ? 0 : -errno;
}

static int trap_tsc(void)
{
	return prctl(PR_SET_TSC, PR_TSC_SIGSEGV, 0, 0, 0);
}

static int probe_tsc(char *found)
{
	(void)found;
	return in_child(trap_tsc);
}

static int close_none(void)
{
	return (int)syscall(SYS_close_range, ~0u, ~0u, 0);
}

static int probe_close_range(char *found)
{
	(void)found;
	return in_child(close_none);
}

static int probe_openat2(char *found)
{
	struct open_how how = {.flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT};
	int fd = (int)syscall(SYS_openat2, AT_FDCWD, ".", &how, sizeof(how));

	(void)found;
	if (fd < 0)
		return -errno;
	close(fd);
	return 0;
}

/* ---- folders ---- */

static int folder_probe(const char *path, char *found)
{
	struct statvfs fs;

	if (statvfs(path, &fs) < 0)
		return -errno;
	unsigned long long free_mib = fs.f_bavail * (unsigned long long)fs.f_frsize >> 20;
	snprintf(found, FOUND_SIZE, "%.100s, %llu MiB free", path, free_mib);
	if (access(path, W_OK | X_OK) < 0)
		return -errno;
	return free_mib < FREE_LEAST_MIB ? -ENOSPC : 0;
}

static int probe_tmp(char *found)
{
	const char *tmp = getenv("TMPDIR");

	return folder_probe(tmp != NULL && tmp[0] == '/' ? tmp : "/tmp", found);
}

static int probe_cache(char *found)
{
	const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	struct cache_folder *cache;
	char path[FOUND_SIZE];
	int error = cache_folder_open(NULL, "blobs", 1ull << 40, &cache);

	if (error < 0)
		return error;
	cache_folder_close(cache);
	snprintf(path, sizeof(path), "%.100s%s/shadow",
		 base != NULL && base[0] == '/' ? base : home,
		 base != NULL && base[0] == '/' ? "" : "/.cache");
	return folder_probe(path, found);
}

/* ---- the table, and printing ---- */

static const struct check checks[] = {
	{"kernel", probe_kernel, NEED_COUNT, false, "Linux 5.12 or newer is needed"},
	{"processor", probe_processor, NEED_COUNT, false, NULL},
	{"replay of x86-64-v3", probe_processor_v3, NEED_COUNT, true,
	 "logs recorded on a processor with avx2, bmi2 and fma need one"},
	{"proc", probe_proc, NEED_PROC, false, NULL},
	{"memory file", probe_memfd, NEED_MEMFD, false, NULL},
	{"executable memory file", probe_memfd_exec, NEED_MEMFD_EXEC, false, NULL},
	{"file size limit", probe_file_size, NEED_FILE_SIZE, false, NULL},
	{"address space", probe_address_space, NEED_ADDRESS_SPACE, false, NULL},
	{"open files", probe_files, NEED_FILES, false, NULL},
	{"user namespace", probe_user, NEED_NAMESPACES, false, NULL},
	{"pid namespace", probe_pid, NEED_NAMESPACES, false, NULL},
	{"mount namespace", probe_mnt, NEED_NAMESPACES, false, NULL},
	{"uts namespace", probe_uts, NEED_NAMESPACES, false, NULL},
	{"ipc namespace", probe_ipc, NEED_NAMESPACES, false, NULL},
	{"mounts", probe_mount, NEED_MOUNT, false, NULL},
	{"ptrace", probe_ptrace, NEED_PTRACE, false, NULL},
	{"seccomp", probe_seccomp, NEED_SECCOMP, false, NULL},
	{"memory of other processes", probe_read_memory, NEED_READ_MEMORY, true, NULL},
	{"time stamp traps", probe_tsc, NEED_TSC, false, NULL},
	{"close_range", probe_close_range, NEED_CLOSE_RANGE, false, NULL},
	{"openat2", probe_openat2, NEED_OPENAT2, true, NULL},
	{"temporary folder", probe_tmp, NEED_COUNT, false,
	 "replay unpacks there: make room, or set TMPDIR to a folder you can write to"},
	{"cache folder", probe_cache, NEED_COUNT, true,
	 "without it every start scans and packs anew: make ~/.cache yours, or set XDG_CACHE_HOME"},
};

struct outcome {
	int error;
	char found[FOUND_SIZE], remedy[400];
};

static void examine(const struct check *check, struct outcome *ret)
{
	*ret = (struct outcome){0};
	ret->error = check->probe(ret->found);
	if (ret->error < 0 && check->need != NEED_COUNT)
		remedy_text(check->need, -ret->error, ret->remedy, sizeof(ret->remedy));
	else if (ret->error < 0)
		snprintf(ret->remedy, sizeof(ret->remedy), "%s", check->remedy);
}

static void print_line(const struct check *check, const struct outcome *o)
{
	const char *state = o->error == 0     ? "ok"
			    : check->optional ? "missing, optional"
					      : "missing";

	printf("%s: %s", check->name, state);
	if (o->found[0] != '\0')
		printf(" (%s)", o->found);
	if (o->error < 0)
		printf(": %s: %s", strerror(-o->error), o->remedy);
	putchar('\n');
}

static json_t *json_of(const struct check *check, const struct outcome *o)
{
	return json_pack("{s:s, s:b, s:b, s:s, s:s, s:s}", "check", check->name, "ok",
			 o->error == 0, "needed", !check->optional, "found", o->found, "error",
			 o->error == 0 ? "" : strerror(-o->error), "remedy", o->remedy);
}

static bool examine_all(json_t *list)
{
	bool good = true;

	for (size_t i = 0; i < sizeof(checks) / sizeof(*checks); i++) {
		struct outcome o;

		examine(&checks[i], &o);
		good = good && (o.error == 0 || checks[i].optional);
		if (list != NULL)
			json_array_append_new(list, json_of(&checks[i], &o));
		else
			print_line(&checks[i], &o);
		fflush(stdout);
	}
	return good;
}

static int examine_json(void)
{
	json_t *list = json_array();
	bool good = examine_all(list);
	json_t *all = json_pack("{s:b, s:o}", "ok", good, "checks", list);

	json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return good ? 0 : 1;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	if (key == 'j')
		*(bool *)state->input = true;
	else if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is no option of doctor", arg);
	else
		return ARGP_ERR_UNKNOWN;
	return 0;
}

int doctor_main(int argc, char **argv)
{
	static const struct argp_option options[] = {
		{"json", 'j', NULL, 0, "an object with a list of the checks", 0}, {0}};
	static const struct argp argp = {options,
					 parse,
					 NULL,
					 "say whether this machine has what a container "
					 "needs\vExit status: 0 if it has, 1 if "
					 "not.",
					 NULL,
					 NULL,
					 NULL};
	bool json = false;

	if (argp_parse(&argp, argc, argv, 0, NULL, &json) != 0)
		return USAGE_ERROR;
	signal(SIGXFSZ, SIG_IGN);
	if (json)
		return examine_json();
	return examine_all(NULL) ? 0 : 1;
}
