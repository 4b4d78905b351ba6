/*
 * Signals: handlers with and without restart, masks, pending sets, alternate stacks, siginfo,
 * faults and a way out of them, sigsuspend, sigtimedwait, alarm and interval timers, a signal to
 * one thread, ignored and default actions, SIGPIPE, SIGCHLD, queued real-time signals.
 */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t seen, last_signal, last_value;
static volatile pid_t seen_by;
static sigjmp_buf way_out;
static char alternate[65536];
static volatile int on_alternate;

static void note(int number)
{
	seen++;
	last_signal = number;
	seen_by = gettid();
}

static void note_info(int number, siginfo_t *info, void *context)
{
	char here;

	(void)context;
	note(number);
	last_value = info->si_value.sival_int;
	on_alternate = &here > alternate && &here < alternate + sizeof(alternate);
}

static void jump(int number)
{
	siglongjmp(way_out, number);
}

static void install(int number, void (*handler)(int), int flags)
{
	struct sigaction action = {.sa_handler = handler, .sa_flags = flags};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static void install_info(int number, int flags)
{
	struct sigaction action = {.sa_sigaction = note_info, .sa_flags = flags | SA_SIGINFO};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static void check_mask(void)
{
	sigset_t set, old, pending;

	install(SIGUSR1, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && !sigismember(&old, SIGUSR1));
	CHECK(raise(SIGUSR1) == 0 && raise(SIGUSR1) == 0 && seen == 0);
	CHECK(sigpending(&pending) == 0 && sigismember(&pending, SIGUSR1));
	CHECK(sigsuspend(&old) == -1 && errno == EINTR && seen == 1);
	CHECK(raise(SIGUSR1) == 0 && sigprocmask(SIG_SETMASK, &old, NULL) == 0 && seen == 2);
	seen = 0;
}

static void check_queue(void)
{
	union sigval value;
	sigset_t set, old;
	siginfo_t info;
	struct timespec limit = {0, 10000000};

	install_info(SIGRTMIN, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0);
	for (value.sival_int = 5; value.sival_int < 8; value.sival_int++)
		CHECK(sigqueue(getpid(), SIGRTMIN, value) == 0);
	CHECK(sigtimedwait(&set, &info, &limit) == SIGRTMIN && info.si_value.sival_int == 5);
	CHECK(info.si_code == SI_QUEUE && info.si_pid == getpid());
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && seen == 2 && last_value == 7);
	CHECK(sigtimedwait(&set, &info, &limit) == -1 && errno == EAGAIN);
	seen = 0;
}

static void check_stack(void)
{
	stack_t stack = {.ss_sp = alternate, .ss_size = sizeof(alternate)}, none;

	CHECK(sigaltstack(&stack, NULL) == 0 && sigaltstack(NULL, &none) == 0);
	CHECK(none.ss_sp == alternate && none.ss_flags == 0);
	install_info(SIGUSR2, SA_ONSTACK);
	CHECK(raise(SIGUSR2) == 0 && seen == 1 && on_alternate);
	install_info(SIGUSR2, SA_RESETHAND | SA_NODEFER);
	CHECK(raise(SIGUSR2) == 0 && seen == 2 && !on_alternate);
	struct sigaction now;
	CHECK(sigaction(SIGUSR2, NULL, &now) == 0 && now.sa_handler == SIG_DFL);
	seen = 0;
}

static void check_faults(void)
{
	volatile int zero = 0;
	int number;

	install(SIGSEGV, jump, 0);
	install(SIGBUS, jump, 0);
	install(SIGFPE, jump, 0);
	install(SIGILL, jump, 0);
	install(SIGTRAP, jump, 0);
	for (int i = 0; i < 3; i++) {
		number = sigsetjmp(way_out, 1);
		if (number == 0)
			*(volatile int *)16 = i;
		CHECK(number == SIGSEGV);
	}
	number = sigsetjmp(way_out, 1);
	if (number == 0)
		zero = 77 / zero;
	CHECK(number == SIGFPE);
	number = sigsetjmp(way_out, 1);
	if (number == 0)
		__asm__ volatile("ud2");
	CHECK(number == SIGILL);
	number = sigsetjmp(way_out, 1);
	if (number == 0)
		__asm__ volatile("int3");
	CHECK(number == SIGTRAP);
}

static void check_interrupts(void)
{
	struct itimerval timer = {{0, 0}, {0, 20000}};
	int ends[2];
	char byte;

	CHECK(pipe(ends) == 0);
	install(SIGALRM, note, 0);
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(read(ends[0], &byte, 1) == -1 && errno == EINTR && seen == 1);
	CHECK(alarm(1) == 0 && pause() == -1 && errno == EINTR && seen == 2);
	CHECK(alarm(100) == 0 && alarm(0) == 100);
	struct timespec longer = {5, 0}, rest = {0, 0};
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(nanosleep(&longer, &rest) == -1 && errno == EINTR && rest.tv_sec == 4);
	install(SIGALRM, note, SA_RESTART);
	timer.it_interval.tv_usec = 10000;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	pid_t child = fork();
	if (child == 0) {
		usleep(200000);
		_exit(write(ends[1], "x", 1) != 1);
	}
	CHECK(read(ends[0], &byte, 1) == 1 && seen > 5);
	timer.it_value.tv_usec = 0;
	CHECK(setitimer(ITIMER_REAL, &timer, NULL) == 0);
	CHECK(waitpid(child, NULL, 0) == child);
	seen = 0;
}

static void *sleeper(void *unused)
{
	(void)unused;
	while (seen == 0)
		usleep(1000);
	CHECK(seen_by == gettid());
	return NULL;
}

static void check_threads(void)
{
	pthread_t thread;

	CHECK(pthread_create(&thread, NULL, sleeper, NULL) == 0);
	CHECK(pthread_kill(thread, SIGUSR1) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && seen == 1);
	CHECK(syscall(SYS_tgkill, getpid(), 1 << 22, SIGUSR1) == -1 && errno == ESRCH);
	seen = 0;
}

static void check_children(void)
{
	int ends[2], status;
	sigset_t set, old;
	pid_t child;

	install(SIGCHLD, note, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	CHECK(sigprocmask(SIG_BLOCK, &set, &old) == 0 && (child = fork()) >= 0);
	if (child == 0)
		_exit(0);
	CHECK(sigsuspend(&old) == -1 && last_signal == SIGCHLD);
	CHECK(sigprocmask(SIG_SETMASK, &old, NULL) == 0 && waitpid(child, &status, 0) == child);
	install(SIGCHLD, SIG_DFL, 0);
	CHECK(pipe(ends) == 0 && close(ends[0]) == 0);
	install(SIGPIPE, SIG_IGN, 0);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE);
	install(SIGPIPE, note, 0);
	CHECK(write(ends[1], "x", 1) == -1 && errno == EPIPE && last_signal == SIGPIPE);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		install(SIGTERM, SIG_DFL, 0);
		pause();
	}
	usleep(10000);
	CHECK(kill(child, 0) == 0 && kill(child, SIGTERM) == 0);
	CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	CHECK(WTERMSIG(status) == SIGTERM && kill(child, 0) == -1 && errno == ESRCH);
}

int main(void)
{
	check_mask();
	check_queue();
	check_stack();
	check_faults();
	check_interrupts();
	check_threads();
	check_children();
	printf("signals ok\n");
	fflush(stdout);
	install(SIGSEGV, SIG_DFL, 0);
	return raise(SIGSEGV);
}
