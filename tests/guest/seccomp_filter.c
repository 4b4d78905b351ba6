/*
 * The program's own seccomp filters: what is refused, every action, several filters at once,
 * inheritance by fork, exec and threads, and the strict mode.  Each check that installs something
 * runs in a child of its own.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define LENGTH(a)   (sizeof(a) / sizeof(*(a)))
#define WORD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define RETURN(k)   BPF_STMT(BPF_RET | BPF_K, k)

static const char *self;

static long install(unsigned flags, struct sock_filter *program, size_t length)
{
	struct sock_fprog f = {.len = (unsigned short)length, .filter = program};

	return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &f);
}

/* From now on call `nr` gets `action`; all others are allowed. */
static void forbid_by(unsigned flags, unsigned nr, unsigned action)
{
	struct sock_filter program[] = {WORD(nr), BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
					RETURN(action), RETURN(SECCOMP_RET_ALLOW)};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(flags, program, LENGTH(program)) == 0);
}

static void forbid(unsigned nr, unsigned action)
{
	forbid_by(0, nr, action);
}

static int status_of(void (*body)(void))
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		struct rlimit none = {0, 0};

		setrlimit(RLIMIT_CORE, &none);
		body();
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static int killed_by(void (*body)(void))
{
	int status = status_of(body);

	return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static void passes(const char *name, void (*body)(void))
{
	CHECK(status_of(body) == 0);
	printf("%s ok\n", name);
}

/* ---- what is refused ---- */

static void check_arguments(void)
{
	struct sock_filter allow[] = {RETURN(SECCOMP_RET_ALLOW)};
	struct sock_filter endless[] = {BPF_STMT(BPF_LD | BPF_IMM, 0)};
	struct sock_filter beyond[] = {BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 64), allow[0]};
	struct sock_filter modulo[] = {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), allow[0]};
	struct sock_filter unset[] = {BPF_STMT(BPF_LD | BPF_MEM, 1), allow[0]};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(0, allow, 0) == -1 && errno == EINVAL);
	CHECK(install(0, allow, 4097) == -1 && errno == EINVAL);
	CHECK(install(0, endless, 1) == -1 && errno == EINVAL);
	CHECK(install(0, beyond, 2) == -1 && errno == EINVAL);
	CHECK(install(0, modulo, 2) == -1 && errno == EINVAL);
	CHECK(install(0, unset, 2) == -1 && errno == EINVAL);
	CHECK(install(0, (void *)8, 1) == -1 && errno == EFAULT);
	CHECK(install(0x8000, allow, 1) == -1 && errno == EINVAL);
	CHECK(install(SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV, allow, 1) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, 8) == -1 && errno == EFAULT);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, 0) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_seccomp, 77, 0, 0) == -1 && errno == EINVAL);
	CHECK(prctl(PR_SET_SECCOMP, 77, 0, 0, 0) == -1 && errno == EINVAL);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
}

static void check_privilege(void)
{
	struct sock_filter allow[] = {RETURN(SECCOMP_RET_ALLOW)};

	if (geteuid() == 0)
		CHECK(setresuid(1, 1, 1) == 0);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 0);
	CHECK(install(0, allow, 1) == -1 && errno == EACCES);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 2, 0, 0, 0) == -1 && errno == EINVAL);
	CHECK(install(0, allow, 1) == -1 && errno == EACCES);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(0, allow, 1) == 0);
}

static long available(unsigned action)
{
	return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, &action);
}

static void check_available(void)
{
	CHECK(available(SECCOMP_RET_KILL_PROCESS) == 0 && available(SECCOMP_RET_KILL_THREAD) == 0);
	CHECK(available(SECCOMP_RET_TRAP) == 0 && available(SECCOMP_RET_ERRNO) == 0);
	CHECK(available(SECCOMP_RET_TRACE) == 0 && available(SECCOMP_RET_LOG) == 0);
	CHECK(available(SECCOMP_RET_ALLOW) == 0);
	CHECK(available(0x12340000) == -1 && errno == EOPNOTSUPP);
	CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 1, 0) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0, 8) == -1 && errno == EFAULT);
}

/* Filters of a task add up to a limit. */
static void check_too_many(void)
{
	static struct sock_filter program[4096];
	int n = 0;

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	for (size_t i = 0; i < LENGTH(program); i++)
		program[i] = (struct sock_filter)RETURN(SECCOMP_RET_ALLOW);
	while (install(0, program, LENGTH(program)) == 0)
		n++;
	CHECK(errno == ENOMEM && n > 2 && n < 9);
}

/* ---- actions ---- */

static void check_errno(void)
{
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	for (int i = 0; i < 3; i++)
		CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV);
	CHECK(syscall(SYS_getpid) == getpid());
	forbid(SYS_getuid, SECCOMP_RET_ERRNO);
	CHECK(syscall(SYS_getuid) == 0);
	forbid(SYS_getgid, SECCOMP_RET_ERRNO | 0xffff);
	CHECK(syscall(SYS_getgid) == -1 && errno == 4095);
	/* The number of a restart inside the kernel, but a result like any other here. */
	forbid(SYS_gettid, SECCOMP_RET_ERRNO | 512);
	CHECK(syscall(SYS_gettid) == -1 && errno == 512);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2);
}

static void check_clock(void)
{
	struct timespec ts;

	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) == 0);
	forbid(SYS_clock_gettime, SECCOMP_RET_ERRNO | ENOTTY);
	CHECK(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts) == -1 && errno == ENOTTY);
	CHECK(syscall(SYS_clock_gettime, CLOCK_REALTIME, &ts) == -1 && errno == ENOTTY);
}

static void check_unknown_numbers(void)
{
	CHECK(syscall(500) == -1 && errno == ENOSYS);
	forbid(500, SECCOMP_RET_ERRNO | EXDEV);
	CHECK(syscall(500) == -1 && errno == EXDEV);
	CHECK(syscall(501) == -1 && errno == ENOSYS);
	CHECK(syscall(-1) == -1 && errno == ENOSYS);
	forbid((unsigned)-1, SECCOMP_RET_ERRNO | EXDEV);
	CHECK(syscall(-1) == -1 && errno == EXDEV);
}

static void check_nobody_answers(void)
{
	forbid(SYS_getppid, SECCOMP_RET_TRACE | 5);
	CHECK(syscall(SYS_getppid) == -1 && errno == ENOSYS);
	forbid(SYS_getuid, SECCOMP_RET_USER_NOTIF);
	CHECK(syscall(SYS_getuid) == -1 && errno == ENOSYS);
	forbid(SYS_getgid, SECCOMP_RET_LOG);
	CHECK(syscall(SYS_getgid) >= 0);
}

static void kill_process(void)
{
	forbid(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	signal(SIGSYS, SIG_IGN);
	syscall(SYS_getppid);
}

static void kill_only_thread(void)
{
	forbid(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void unknown_action(void)
{
	forbid(SYS_getppid, 0x00010000);
	syscall(SYS_getppid);
}

static void divide_by_zero(void)
{
	struct sock_filter program[] = {BPF_STMT(BPF_LD | BPF_IMM, 1),
					BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
					RETURN(SECCOMP_RET_ALLOW)};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	install(0, program, LENGTH(program));
	syscall(SYS_getppid);
}

static void trap_unhandled(void)
{
	forbid(SYS_getppid, SECCOMP_RET_TRAP);
	syscall(SYS_getppid);
}

static volatile sig_atomic_t trapped;

static void on_sigsys(int sig, siginfo_t *info, void *context)
{
	ucontext_t *u = context;
	greg_t *regs = u->uc_mcontext.gregs;

	trapped++;
	CHECK(sig == SIGSYS && info->si_code == 1 && info->si_errno == 77);
	CHECK(info->si_syscall == SYS_getppid && info->si_arch == AUDIT_ARCH_X86_64);
	CHECK(info->si_call_addr == (void *)regs[REG_RIP]);
	CHECK(regs[REG_RAX] == SYS_getppid && regs[REG_RDI] == 11 && regs[REG_RSI] == 22);
	regs[REG_RAX] = 4242;
}

static void handle_sigsys(void)
{
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};

	CHECK(sigaction(SIGSYS, &action, NULL) == 0);
}

static void check_trap(void)
{
	handle_sigsys();
	forbid(SYS_getppid, SECCOMP_RET_TRAP | 77);
	for (int i = 0; i < 3; i++)
		CHECK(syscall(SYS_getppid, 11, 22) == 4242);
	CHECK(trapped == 3);
}

static void trap_blocked(void)
{
	sigset_t set;

	handle_sigsys();
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0);
	forbid(SYS_getppid, SECCOMP_RET_TRAP | 77);
	syscall(SYS_getppid, 11, 22);
}

static void check_deaths(void)
{
	CHECK(killed_by(kill_process) == SIGSYS);
	CHECK(killed_by(kill_only_thread) == SIGSYS);
	CHECK(killed_by(unknown_action) == SIGSYS);
	CHECK(killed_by(divide_by_zero) == SIGSYS);
	CHECK(killed_by(trap_unhandled) == SIGSYS);
	CHECK(killed_by(trap_blocked) == SIGSYS);
	printf("deaths ok\n");
}

/* ---- what a program sees of a call ---- */

static void check_data(void)
{
	struct sock_filter program[] = {
		WORD(nr),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 9),
		WORD(arch),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 8),
		WORD(args[0]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x55667788, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0]) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0x11223344, 0, 4),
		WORD(args[5]),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 0, 2),
		RETURN(SECCOMP_RET_ERRNO | EXDEV),
		RETURN(SECCOMP_RET_ALLOW),
		RETURN(SECCOMP_RET_ERRNO | ENOTTY),
	};

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(0, program, LENGTH(program)) == 0);
	CHECK(syscall(SYS_getppid, 0x1122334455667788, 2, 3, 4, 5, 6) == -1 && errno == EXDEV);
	CHECK(syscall(SYS_getppid, 0x1122334455667788, 2, 3, 4, 5, 7) == -1 && errno == ENOTTY);
	CHECK(syscall(SYS_getppid, 0x55667788, 2, 3, 4, 5, 6) == -1 && errno == ENOTTY);
}

/*
 * getpid by our own instruction.  Code without gaps lies around it and a jump leads to it, so that
 * Shadow has to move what follows.  ret_behind is how far behind own_code the filter is to see it;
 * a symbol there would be a place where one could jump to.
 */
static __attribute__((noinline)) long own_getpid(unsigned *ret_behind)
{
	long result, filled = 0;

	__asm__ volatile(".globl own_code\n"
			 "own_code:\n\t"
			 ".rept 40\n\tlea 1(%1), %1\n\t.endr\n\t"
			 "mov $2f - own_code, %2\n\t"
			 "mov %3, %%eax\n\t"
			 "jmp 1f\n"
			 "1:\n\t"
			 "syscall\n"
			 "2:\n\t"
			 "cmp $-4095, %%rax\n\t"
			 ".rept 40\n\tlea 1(%1), %1\n\t.endr"
			 : "=&a"(result), "+d"(filled), "=&b"(*ret_behind)
			 : "i"(SYS_getpid)
			 : "rcx", "r11", "cc", "memory");
	CHECK(filled == 80);
	return result;
}

extern const char own_code[];

static void check_address(void)
{
	unsigned behind;
	long pid = own_getpid(&behind);
	unsigned long site = (unsigned long)own_code + behind;
	struct sock_filter program[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)site, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer) + 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)(site >> 32), 0, 1),
		RETURN(SECCOMP_RET_ERRNO | EXDEV),
		RETURN(SECCOMP_RET_ALLOW),
	};

	CHECK(pid == getpid());
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(0, program, LENGTH(program)) == 0);
	for (int i = 0; i < 3; i++)
		CHECK(own_getpid(&behind) == -EXDEV);
	CHECK(syscall(SYS_getpid) == getpid());
}

/* ---- several filters ---- */

static void check_severest(void)
{
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | 1);
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | 2);
	CHECK(syscall(SYS_getppid) == -1 && errno == 2);
	forbid(SYS_getppid, SECCOMP_RET_TRACE);
	CHECK(syscall(SYS_getppid) == -1 && errno == 2);
	forbid(SYS_getppid, SECCOMP_RET_LOG);
	CHECK(syscall(SYS_getppid) == -1 && errno == 2);
	handle_sigsys();
	forbid(SYS_getppid, SECCOMP_RET_TRAP | 77);
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | 3);
	CHECK(syscall(SYS_getppid, 11, 22) == 4242);
}

static void severest_kills(void)
{
	handle_sigsys();
	forbid(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	forbid(SYS_getppid, SECCOMP_RET_TRAP | 77);
	syscall(SYS_getppid, 11, 22);
}

static void check_status_file(void)
{
	char text[8192], *line;
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t n = read(fd, text, sizeof(text) - 1);

	CHECK(n > 0);
	text[n] = '\0';
	close(fd);
	line = strstr(text, "\nSeccomp:");
	CHECK(line != NULL && strncmp(line, "\nSeccomp:\t0\n", 12) == 0);
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | 1);
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | 1);
	fd = open("/proc/self/status", O_RDONLY);
	n = read(fd, text, sizeof(text) - 1);
	CHECK(n > 0);
	text[n] = '\0';
	CHECK(strstr(text, "\nNoNewPrivs:\t1\n") && strstr(text, "\nSeccomp:\t2\n"));
	line = strstr(text, "\nSeccomp_filters:"); /* since Linux 5.9 */
	CHECK(line == NULL || strncmp(line, "\nSeccomp_filters:\t2\n", 20) == 0);
}

/* ---- inheritance ---- */

static void check_fork(void)
{
	pid_t child;
	int status;

	forbid(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV);
		forbid(SYS_getuid, SECCOMP_RET_ERRNO | EXDEV);
		CHECK(syscall(SYS_getuid) == -1 && errno == EXDEV);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(syscall(SYS_getuid) >= 0);
}

static void check_exec(void)
{
	pid_t child;
	int status;

	forbid(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK((child = vfork()) >= 0);
	if (child == 0) {
		execl(self, self, "executed", NULL);
		_exit(99);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static int executed(void)
{
	CHECK(syscall(SYS_getppid) == -1 && errno == EXDEV);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 2);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	return 0;
}

/* ---- threads ---- */

static pthread_barrier_t before, after;
static long other_tid;

static void *look_around(void *filter_own)
{
	other_tid = syscall(SYS_gettid);
	if (filter_own)
		forbid(SYS_getgid, SECCOMP_RET_ERRNO | EXDEV);
	pthread_barrier_wait(&before);
	pthread_barrier_wait(&after);
	return (void *)syscall(SYS_getppid);
}

static pthread_t beside(void *filter_own)
{
	pthread_t thread;

	pthread_barrier_init(&before, NULL, 2);
	pthread_barrier_init(&after, NULL, 2);
	CHECK(pthread_create(&thread, NULL, look_around, filter_own) == 0);
	pthread_barrier_wait(&before);
	return thread;
}

static void *result_of(pthread_t thread)
{
	void *result;

	pthread_barrier_wait(&after);
	CHECK(pthread_join(thread, &result) == 0);
	return result;
}

/* A new thread takes the filters over, an old one does not, unless they are synchronized. */
static void check_threads(void)
{
	pthread_t old = beside(NULL), young;

	forbid(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK((long)result_of(old) > 0);
	young = beside(NULL);
	CHECK(result_of(young) == (void *)-1);
	young = beside(NULL);
	forbid_by(SECCOMP_FILTER_FLAG_TSYNC, SYS_getuid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK(result_of(young) == (void *)-1);
}

static void check_synchronized(void)
{
	pthread_t old = beside(NULL);

	forbid_by(SECCOMP_FILTER_FLAG_TSYNC, SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK(result_of(old) == (void *)-1);
}

static void check_not_synchronized(void)
{
	struct sock_filter allow[] = {RETURN(SECCOMP_RET_ALLOW)};
	pthread_t old = beside((void *)1);

	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(install(SECCOMP_FILTER_FLAG_TSYNC, allow, 1) == other_tid);
	CHECK(install(SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_TSYNC_ESRCH, allow, 1) ==
		      -1 &&
	      errno == ESRCH);
	CHECK(prctl(PR_GET_SECCOMP, 0, 0, 0, 0) == 0);
	CHECK((long)result_of(old) > 0);
}

static void *die_alone(void *unused)
{
	(void)unused;
	forbid(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
	_exit(1);
}

static void check_kill_thread(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, die_alone, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(syscall(SYS_getppid) > 0);
}

static void *die_together(void *unused)
{
	(void)unused;
	forbid(SYS_getppid, SECCOMP_RET_KILL_PROCESS);
	forbid(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
	return NULL;
}

static void kill_from_thread(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, die_together, NULL) == 0);
	pthread_join(thread, NULL);
}

static void *end_with_5(void *unused)
{
	(void)unused;
	for (int i = 0; i < 20; i++)
		usleep(1000);
	syscall(SYS_exit, 5);
	return NULL;
}

/* The main thread is killed, the other ends later by itself: the last end counts. */
static void kill_main_thread(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, end_with_5, NULL) == 0);
	forbid(SYS_getppid, SECCOMP_RET_KILL_THREAD);
	syscall(SYS_getppid);
}

static void check_thread_deaths(void)
{
	CHECK(killed_by(kill_from_thread) == SIGSYS);
	CHECK(status_of(kill_main_thread) == 5 << 8);
	printf("thread deaths ok\n");
}

/* ---- the strict mode ---- */

static void strict_allowed(void)
{
	int ends[2];
	char byte = 0;

	CHECK(pipe(ends) == 0);
	CHECK(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 0, 0) == 0);
	if (write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1 && byte == 'x')
		syscall(SYS_exit, 23);
	syscall(SYS_exit, 24);
}

static void strict_forbidden(void)
{
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
	syscall(SYS_getppid);
	syscall(SYS_exit, 0);
}

static void strict_clock(void)
{
	struct timespec ts;

	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == 0);
	syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &ts);
	syscall(SYS_exit, 0);
}

static void filter_then_strict(void)
{
	forbid(SYS_getppid, SECCOMP_RET_ERRNO | EXDEV);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT, 0, 0, 0) == -1 && errno == EINVAL);
}

static void check_strict(void)
{
	int status = status_of(strict_allowed);

	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 23);
	CHECK(killed_by(strict_forbidden) == SIGKILL);
	CHECK(killed_by(strict_clock) == SIGKILL);
	CHECK(status_of(filter_then_strict) == 0);
	printf("strict ok\n");
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc > 1 && strcmp(argv[1], "executed") == 0)
		return executed();
	setvbuf(stdout, NULL, _IONBF, 0);
	passes("arguments", check_arguments);
	passes("privilege", check_privilege);
	passes("available", check_available);
	passes("too many", check_too_many);
	passes("errno", check_errno);
	passes("clock", check_clock);
	passes("unknown numbers", check_unknown_numbers);
	passes("nobody answers", check_nobody_answers);
	passes("trap", check_trap);
	check_deaths();
	passes("data", check_data);
	passes("address", check_address);
	passes("severest", check_severest);
	CHECK(killed_by(severest_kills) == SIGSYS);
	passes("status file", check_status_file);
	passes("fork", check_fork);
	passes("exec", check_exec);
	passes("threads", check_threads);
	passes("synchronized", check_synchronized);
	passes("not synchronized", check_not_synchronized);
	passes("kill thread", check_kill_thread);
	check_thread_deaths();
	check_strict();
	return 0;
}
