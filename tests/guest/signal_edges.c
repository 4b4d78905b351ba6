/*
 * Signals at the edges: faults that cannot be handled, frames that cannot be built or are made up,
 * ways out of parked calls, cancelled threads, order and targets of many signals, siginfo of what
 * the kernel sends, atomic masks, real-time queues.
 */
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t seen, order[70];
static volatile siginfo_t last;
static sigjmp_buf way_out;
static int *volatile nowhere = (int *)16;

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	order[seen % 70] = number;
	seen = seen + 1;
	last = *info;
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static void mask(int how, int a, int b)
{
	sigset_t set;

	sigemptyset(&set);
	for (int i = a; i <= b; i++)
		sigaddset(&set, i);
	CHECK(pthread_sigmask(how, &set, NULL) == 0);
}

/* The status of a child that runs `body`. */
static int status_of(void (*body)(void))
{
	pid_t child = fork();
	int status;

	CHECK(child >= 0);
	if (child == 0) {
		body();
		_exit(99);
	}
	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static bool dies_of(int number, void (*body)(void))
{
	int status = status_of(body);

	return WIFSIGNALED(status) && WTERMSIG(status) == number && !WCOREDUMP(status);
}

/* ---- faults ---- */

static void fault(void)
{
	*nowhere = 1;
}

static void fault_blocked(void)
{
	install(SIGSEGV, note, 0);
	mask(SIG_BLOCK, SIGSEGV, SIGSEGV);
	fault();
}

static void fault_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	fault();
}

static void fault_again(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	fault();
}

static void fault_in_handler(void)
{
	install(SIGSEGV, fault_again, 0);
	fault();
}

static volatile int depth;

static void fault_deeper(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	if (++depth == 4)
		_exit(7);
	fault();
}

static void fault_nested(void)
{
	install(SIGSEGV, fault_deeper, SA_NODEFER);
	fault();
}

/* Sent by a process, an ignored one vanishes. */
static void sent_ignored(void)
{
	signal(SIGSEGV, SIG_IGN);
	raise(SIGSEGV);
	_exit(8);
}

static void no_stack(void)
{
	stack_t gone = {.ss_sp = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
			.ss_size = 65536};

	CHECK(sigaltstack(&gone, NULL) == 0);
	install(SIGUSR1, note, SA_ONSTACK);
	raise(SIGUSR1);
}

static void made_up_frame(void)
{
	__asm__ volatile("mov $16, %%rsp\n\tmov $15, %%eax\n\tsyscall" : : : "memory");
}

static char zeros[4096];

static void empty_frame(void)
{
	__asm__ volatile("mov %0, %%rsp\n\tmov $15, %%eax\n\tsyscall"
			 :
			 : "r"(zeros + 2048)
			 : "memory");
}

static void odd_context(int number, siginfo_t *info, void *context)
{
	ucontext_t *c = context;

	(void)number;
	(void)info;
	c->uc_mcontext.gregs[REG_RIP] = (greg_t)1 << 62;
}

static void return_to_nowhere(void)
{
	install(SIGUSR1, odd_context, 0);
	raise(SIGUSR1);
}

static void abort_handled(void)
{
	install(SIGABRT, note, 0);
	abort();
}

static void check_deaths(void)
{
	struct rlimit none = {0, 0};

	CHECK(setrlimit(RLIMIT_CORE, &none) == 0);
	CHECK(dies_of(SIGSEGV, fault) && dies_of(SIGSEGV, fault_blocked));
	CHECK(dies_of(SIGSEGV, fault_ignored) && dies_of(SIGSEGV, fault_in_handler));
	CHECK(WEXITSTATUS(status_of(fault_nested)) == 7);
	CHECK(WEXITSTATUS(status_of(sent_ignored)) == 8);
	CHECK(dies_of(SIGSEGV, no_stack) && dies_of(SIGSEGV, made_up_frame));
	CHECK(dies_of(SIGSEGV, empty_frame) && dies_of(SIGSEGV, return_to_nowhere));
	CHECK(dies_of(SIGABRT, abort_handled));
}

/* An instruction that traps under the container, where SIGSEGV is blocked or ignored. */
static void check_trapped(void)
{
	struct sigaction action;

	install(SIGSEGV, note, 0);
	mask(SIG_BLOCK, SIGSEGV, SIGSEGV);
	seen = 0;
	__asm__ volatile("rdtsc" : : : "eax", "edx");
	CHECK(sigaction(SIGSEGV, NULL, &action) == 0 && action.sa_sigaction == note);
	CHECK(raise(SIGSEGV) == 0 && seen == 0);
	mask(SIG_UNBLOCK, SIGSEGV, SIGSEGV);
	CHECK(seen == 1 && signal(SIGSEGV, SIG_IGN) != SIG_ERR);
	__asm__ volatile("rdtsc" : : : "eax", "edx");
	CHECK(sigaction(SIGSEGV, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(raise(SIGSEGV) == 0 && signal(SIGSEGV, SIG_DFL) == SIG_IGN);
}

/* ---- ways out ---- */

static void jump(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	siglongjmp(way_out, number);
}

static void alarm_in(long usec)
{
	struct itimerval soon = {{0, 0}, {0, usec}};

	CHECK(setitimer(ITIMER_REAL, &soon, NULL) == 0);
}

static void wait_somehow(int how, int fd)
{
	struct pollfd p = {fd, POLLIN, 0};
	struct timespec far = {1000, 0};
	int word = 0;
	char byte;

	switch (how) {
	case 0:
		CHECK(read(fd, &byte, 1) == 1);
		break;
	case 1:
		poll(&p, 1, -1);
		break;
	case 2:
		nanosleep(&far, NULL);
		break;
	case 3:
		syscall(SYS_futex, &word, 0, 0, NULL, NULL, 0);
		break;
	case 4:
		pause();
		break;
	default:
		clock_nanosleep(CLOCK_PROCESS_CPUTIME_ID, 0, &far, NULL);
	}
}

/* Out of a parked call, again and again: nothing is left behind. */
static void check_jumps(void)
{
	int ends[2];
	char byte;

	CHECK(pipe(ends) == 0);
	install(SIGALRM, jump, SA_RESTART);
	for (volatile int i = 0; i < 60; i++) {
		int number = sigsetjmp(way_out, 1);

		if (number == 0) {
			alarm_in(500);
			wait_somehow(i % 6, ends[0]);
			CHECK(false);
		}
		CHECK(number == SIGALRM);
	}
	CHECK(write(ends[1], "x", 1) == 1 && read(ends[0], &byte, 1) == 1);
	close(ends[0]);
	close(ends[1]);
}

static int cancel_ends[2];
static volatile int cleaned;

static void clean(void *unused)
{
	(void)unused;
	cleaned++;
}

static void *cancelled(void *how)
{
	pthread_cleanup_push(clean, NULL);
	wait_somehow((int)(intptr_t)how, cancel_ends[0]);
	pthread_cleanup_pop(0);
	return NULL;
}

static void check_cancel(void)
{
	static const int how[] = {0, 1, 2, 4};
	pthread_t thread;
	void *result;

	CHECK(pipe(cancel_ends) == 0);
	for (int i = 0; i < 4; i++) {
		CHECK(pthread_create(&thread, NULL, cancelled, (void *)(intptr_t)how[i]) == 0);
		CHECK(pthread_cancel(thread) == 0 && pthread_join(thread, &result) == 0);
		CHECK(result == PTHREAD_CANCELED && cleaned == i + 1);
	}
}

/* ---- order and targets ---- */

static void check_order(void)
{
	union sigval value;

	mask(SIG_BLOCK, SIGRTMIN, SIGRTMAX);
	mask(SIG_BLOCK, SIGUSR1, SIGUSR1);
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++)
		install(i, note, 0);
	install(SIGUSR1, note, 0);
	int count = SIGRTMAX - SIGRTMIN + 1;
	for (int i = 0; i < count; i++) {
		value.sival_int = i;
		CHECK(sigqueue(getpid(), SIGRTMIN + i * 17 % count, value) == 0);
	}
	CHECK(raise(SIGUSR1) == 0);
	seen = 0;
	/* One handler after the other: each blocks all others. */
	sigset_t all, old;
	sigfillset(&all);
	for (int i = SIGUSR1; i <= SIGRTMAX; i = i == SIGUSR1 ? SIGRTMIN : i + 1) {
		struct sigaction action;

		CHECK(sigaction(i, NULL, &action) == 0);
		action.sa_mask = all;
		CHECK(sigaction(i, &action, NULL) == 0);
	}
	sigemptyset(&all);
	CHECK(pthread_sigmask(SIG_SETMASK, &all, &old) == 0);
	CHECK(seen == count + 1 && last.si_code == SI_QUEUE);
	bool rising = true;
	for (int i = 1; i < seen; i++)
		rising = rising && order[i] > order[i - 1];
	CHECK(rising && order[seen - 1] == SIGRTMAX);
}

#define WAITERS 4
static pthread_barrier_t started;
static volatile int taken[WAITERS];

static void *waiter(void *which)
{
	sigset_t set;
	siginfo_t info;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN + 1);
	pthread_barrier_wait(&started);
	/* As Linux has it: one that was woken and finds it taken by another is interrupted. */
	while (sigwaitinfo(&set, &info) == -1)
		CHECK(errno == EINTR);
	taken[(intptr_t)which] = info.si_value.sival_int;
	return NULL;
}

/* Several wait for a signal of the process: each one is taken by one of them. */
static void check_waiters(void)
{
	pthread_t threads[WAITERS];
	union sigval value;
	int sum = 0;

	mask(SIG_BLOCK, SIGRTMIN + 1, SIGRTMIN + 1);
	CHECK(pthread_barrier_init(&started, NULL, WAITERS + 1) == 0);
	for (intptr_t i = 0; i < WAITERS; i++)
		CHECK(pthread_create(&threads[i], NULL, waiter, (void *)i) == 0);
	pthread_barrier_wait(&started);
	for (value.sival_int = 1; value.sival_int < 1 << WAITERS; value.sival_int *= 2)
		CHECK(sigqueue(getpid(), SIGRTMIN + 1, value) == 0);
	for (int i = 0; i < WAITERS; i++) {
		CHECK(pthread_join(threads[i], NULL) == 0);
		sum += taken[i];
	}
	CHECK(sum == (1 << WAITERS) - 1);
}

static volatile pid_t handled_by;
static volatile int stop;

static void who(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	handled_by = gettid();
}

static void *open_thread(void *unused)
{
	mask(SIG_UNBLOCK, SIGUSR2, SIGUSR2);
	pthread_barrier_wait(&started);
	while (!stop)
		usleep(100);
	CHECK(handled_by == gettid());
	return unused;
}

/* To the only thread that does not block it. */
static void check_target(void)
{
	pthread_t thread;

	install(SIGUSR2, who, 0);
	mask(SIG_BLOCK, SIGUSR2, SIGUSR2);
	CHECK(pthread_barrier_init(&started, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, open_thread, NULL) == 0);
	pthread_barrier_wait(&started);
	CHECK(kill(getpid(), SIGUSR2) == 0);
	while (!handled_by)
		usleep(100);
	stop = 1;
	CHECK(pthread_join(thread, NULL) == 0);
}

/* ---- what the dead leave ---- */

static pthread_mutex_t *robust;

static void *lock_and_end(void *unused)
{
	CHECK(pthread_mutex_lock(robust) == 0);
	pthread_barrier_wait(&started);
	return unused;
}

static void lock_and_die(void)
{
	CHECK(pthread_mutex_lock(robust) == 0);
	raise(SIGKILL);
}

static void take_over(void)
{
	CHECK(pthread_mutex_lock(robust) == EOWNERDEAD);
	CHECK(pthread_mutex_consistent(robust) == 0 && pthread_mutex_unlock(robust) == 0);
}

/* A robust mutex tells of the thread or process that died with it, also to one that waits. */
static void check_robust(void)
{
	pthread_mutexattr_t kind;
	pthread_t thread;

	robust = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(robust != MAP_FAILED && pthread_mutexattr_init(&kind) == 0);
	CHECK(pthread_mutexattr_setrobust(&kind, PTHREAD_MUTEX_ROBUST) == 0);
	CHECK(pthread_mutexattr_setpshared(&kind, PTHREAD_PROCESS_SHARED) == 0);
	CHECK(pthread_mutex_init(robust, &kind) == 0);
	CHECK(pthread_barrier_init(&started, NULL, 2) == 0);
	CHECK(pthread_create(&thread, NULL, lock_and_end, NULL) == 0);
	pthread_barrier_wait(&started);
	take_over();
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(dies_of(SIGKILL, lock_and_die));
	take_over();
	CHECK(pthread_mutex_lock(robust) == 0 && pthread_mutex_unlock(robust) == 0);
}

/* ---- what the kernel says ---- */

static void check_infos(void)
{
	int ends[2];

	install(SIGPIPE, note, 0);
	CHECK(pipe(ends) == 0 && close(ends[0]) == 0 && write(ends[1], "x", 1) == -1);
	CHECK(last.si_signo == SIGPIPE && last.si_code == SI_USER && last.si_pid == getpid());
	CHECK(last.si_uid == getuid() && close(ends[1]) == 0);
	install(SIGALRM, note, 0);
	alarm_in(500);
	CHECK(pause() == -1 && last.si_code == SI_KERNEL && last.si_pid == 0);
	install(SIGCHLD, note, SA_RESTART);
	pid_t child = fork();
	if (child == 0)
		_exit(raise(SIGKILL));
	CHECK(waitpid(child, NULL, 0) == child && last.si_code == CLD_KILLED);
	CHECK(last.si_status == SIGKILL && last.si_pid == child && last.si_uid == getuid());
	signal(SIGCHLD, SIG_DFL);
	CHECK(syscall(SYS_tkill, gettid(), SIGPIPE) == 0 && last.si_code == SI_TKILL);
	int word = 0;
	CHECK(syscall(SYS_futex, &word, 99, 0, NULL, NULL, 0) == -1 && errno == ENOSYS);
}

/* A mask is in force for the wait and no longer. */
static void check_masks(void)
{
	struct epoll_event event;
	struct timespec none = {0, 0};
	sigset_t open_set, now;
	int ep = epoll_create1(0);

	install(SIGUSR1, note, 0);
	mask(SIG_BLOCK, SIGUSR1, SIGUSR1);
	sigemptyset(&open_set);
	for (int how = 0; how < 4; how++) {
		seen = 0;
		CHECK(raise(SIGUSR1) == 0 && seen == 0);
		int r = how == 0   ? ppoll(NULL, 0, NULL, &open_set)
			: how == 1 ? pselect(0, NULL, NULL, NULL, NULL, &open_set)
			: how == 2 ? epoll_pwait(ep, &event, 1, -1, &open_set)
				   : sigsuspend(&open_set);
		CHECK(r == -1 && errno == EINTR && seen == 1);
		CHECK(pthread_sigmask(SIG_BLOCK, NULL, &now) == 0 && sigismember(&now, SIGUSR1));
	}
	/* Nothing to wait for, and nothing comes: still it is looked for. */
	seen = 0;
	CHECK(raise(SIGUSR1) == 0);
	int r = ppoll(NULL, 0, &none, &open_set);
	CHECK((r == 0 || errno == EINTR) && seen == (r == -1));
	CHECK(syscall(SYS_ppoll, NULL, 0, &none, &open_set, 4) == -1 && errno == EINVAL);
	mask(SIG_UNBLOCK, SIGUSR1, SIGUSR1);
	close(ep);
}

static void check_flags(void)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESETHAND};

	/* RESETHAND keeps the flags and the mask, and says so at once. */
	CHECK(sigaction(SIGURG, &action, NULL) == 0 && raise(SIGURG) == 0);
	CHECK(sigaction(SIGURG, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(action.sa_flags & SA_SIGINFO && raise(SIGURG) == 0);
	CHECK(sigaction(SIGKILL, &action, NULL) == -1 && errno == EINVAL);
	CHECK(sigaction(SIGSTOP, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
}

int main(void)
{
	check_deaths();
	check_trapped();
	check_jumps();
	check_cancel();
	check_order();
	check_waiters();
	check_target();
	check_robust();
	check_infos();
	check_masks();
	check_flags();
	printf("signal edges ok\n");
	return 0;
}
