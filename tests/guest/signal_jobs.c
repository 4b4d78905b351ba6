/*
 * Signals between processes: stops and continuing as their parents see them, orphaned process
 * groups, signals to a group, what fork and exec keep, children nobody waits for, timers of cpu
 * time, stopping a process of several threads.
 */
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static volatile sig_atomic_t seen, last_code, last_status;
static int talk[2];

static void note(int number, siginfo_t *info, void *context)
{
	(void)context;
	seen = seen + 1;
	last_code = info->si_code;
	last_status = number == SIGCHLD ? info->si_status : number;
}

static void tell(int number, siginfo_t *info, void *context)
{
	char letter = number == SIGHUP ? 'h' : number == SIGCONT ? 'c' : 'u';

	(void)info;
	(void)context;
	CHECK(write(talk[1], &letter, 1) == 1);
}

static void install(int number, void (*handler)(int, siginfo_t *, void *), int flags)
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = flags | SA_SIGINFO};

	CHECK(sigaction(number, &action, NULL) == 0);
}

static char hear(void)
{
	char letter;

	CHECK(read(talk[0], &letter, 1) == 1);
	return letter;
}

static void check_stop(void)
{
	int status, told[2];
	pid_t child;
	char letter = 'e';
	struct rusage usage;

	install(SIGCHLD, note, SA_RESTART);
	seen = 0;
	CHECK(pipe(told) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		raise(SIGSTOP);
		_exit(read(told[0], &letter, 1) == 1 ? 5
						     : 1); /* not before its stop's end was seen */
	}
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	CHECK(seen == 1 && last_code == CLD_STOPPED && last_status == SIGSTOP);
	CHECK(waitpid(child, &status, WUNTRACED | WNOHANG) == 0);
	install(SIGCHLD, note, SA_RESTART | SA_NOCLDSTOP);
	siginfo_t info = {.si_pid = 1};
	CHECK(waitid(P_PID, (id_t)child, &info, WCONTINUED | WNOHANG) == 0 && info.si_pid == 0);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(waitid(P_PID, (id_t)child, &info, WCONTINUED) == 0);
	CHECK(info.si_pid == child && info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
	CHECK(write(told[1], &letter, 1) == 1);
	CHECK(wait4(child, &status, 0, &usage) == child && WEXITSTATUS(status) == 5);
	CHECK(close(told[0]) == 0 && close(told[1]) == 0);
	CHECK(usage.ru_maxrss > 0 && seen == 2 && last_code == CLD_EXITED && last_status == 5);
}

static void *stop_process(void *unused)
{
	(void)unused;
	kill(getpid(), SIGTSTP);
	return NULL;
}

/* Runs in a group of its own, below a parent of the session: not orphaned. */
static void stopped_threads(void)
{
	pthread_t thread;

	CHECK(setpgid(0, 0) == 0);
	CHECK(pthread_create(&thread, NULL, stop_process, NULL) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	_exit(6);
}

static void check_stop_threads(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		stopped_threads();
	CHECK(waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status));
	CHECK(WSTOPSIG(status) == SIGTSTP && kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 6);
	CHECK((child = fork()) >= 0);
	if (child == 0)
		stopped_threads();
	CHECK(waitpid(child, &status, WUNTRACED) == child && kill(child, SIGKILL) == 0);
	CHECK(waitpid(child, &status, 0) == child && WTERMSIG(status) == SIGKILL);
}

/* The stopped one's parent, of another group, goes: SIGHUP and SIGCONT follow. */
static void check_orphans(void)
{
	pid_t child, grandchild;
	int status;

	CHECK((child = fork()) >= 0);
	if (child == 0) {
		CHECK((grandchild = fork()) >= 0);
		if (grandchild == 0) {
			CHECK(setpgid(0, 0) == 0);
			install(SIGHUP, tell, 0);
			install(SIGCONT, tell, 0);
			raise(SIGSTOP);
			_exit(0);
		}
		CHECK(waitpid(grandchild, &status, WUNTRACED) == grandchild);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	char first = hear(), second = hear();
	CHECK((first == 'c' && second == 'h') || (first == 'h' && second == 'c'));
}

static void check_group(void)
{
	pid_t leader, member;
	int status;

	CHECK((leader = fork()) >= 0);
	if (leader == 0) {
		CHECK(setpgid(0, 0) == 0);
		install(SIGUSR1, tell, 0);
		CHECK((member = fork()) >= 0);
		if (member == 0) {
			pause();
			_exit(0);
		}
		usleep(10000);
		CHECK(kill(0, SIGUSR1) == 0 && waitpid(member, NULL, 0) == member);
		CHECK(setsid() == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK(hear() == 'u' && hear() == 'u' && waitpid(leader, &status, 0) == leader);
	CHECK(status == 0 && kill(-leader, 0) == -1 && errno == ESRCH);
	CHECK((leader = fork()) >= 0);
	if (leader == 0) {
		CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
		CHECK(setpgid(0, 0) == -1 && errno == EPERM);
		_exit(0);
	}
	CHECK(setpgid(leader, 1 << 22) == -1 && waitpid(leader, &status, 0) == leader);
	CHECK(status == 0);
}

/* After exec: ignored and blocked signals and pending ones stay, handlers do not. */
static int after_exec(void)
{
	struct sigaction action;
	sigset_t set;

	CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGTERM));
	CHECK(!sigismember(&set, SIGINT));
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGTERM));
	return 0;
}

static void check_inheritance(char *self)
{
	char *again[] = {self, (char *)"exec", NULL};
	int status;
	sigset_t set, pending;
	pid_t child;

	install(SIGUSR1, note, SA_ONSTACK);
	CHECK(signal(SIGUSR2, SIG_IGN) != SIG_ERR);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	CHECK(sigprocmask(SIG_BLOCK, &set, NULL) == 0 && raise(SIGTERM) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		CHECK(sigpending(&pending) == 0 && !sigismember(&pending, SIGTERM));
		CHECK(raise(SIGTERM) == 0);
		execv(self, again);
		_exit(1);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(sigwaitinfo(&set, NULL) == SIGTERM);
	CHECK(sigprocmask(SIG_UNBLOCK, &set, NULL) == 0);
}

static void check_unwaited(void)
{
	CHECK(signal(SIGCHLD, SIG_IGN) != SIG_ERR);
	for (int i = 0; i < 3; i++) {
		if (fork() == 0)
			_exit(i);
	}
	CHECK(wait(NULL) == -1 && errno == ECHILD);
	install(SIGCHLD, note, SA_NOCLDWAIT | SA_RESTART);
	seen = 0;
	if (fork() == 0)
		_exit(7);
	CHECK(wait(NULL) == -1 && errno == ECHILD && seen == 1);
	CHECK(signal(SIGCHLD, SIG_DFL) != SIG_ERR);
}

static void check_cpu_timers(void)
{
	struct itimerval timer = {{0, 2000}, {0, 2000}}, left;

	install(SIGVTALRM, note, SA_RESTART);
	install(SIGPROF, note, SA_RESTART);
	seen = 0;
	CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0);
	while (seen < 3)
		getppid();
	CHECK(last_status == SIGPROF && getitimer(ITIMER_PROF, &left) == 0);
	CHECK(left.it_interval.tv_usec == 2000);
	timer = (struct itimerval){{0, 0}, {0, 0}};
	CHECK(setitimer(ITIMER_PROF, &timer, NULL) == 0);
	timer.it_value.tv_usec = 1000;
	seen = 0;
	CHECK(setitimer(ITIMER_VIRTUAL, &timer, NULL) == 0);
	for (volatile long i = 0; seen == 0; i++)
		if (i % 10 == 0)
			getppid();
	CHECK(last_status == SIGVTALRM);
}

int main(int argc, char **argv)
{
	if (argc > 1)
		return after_exec();
	CHECK(pipe(talk) == 0);
	check_stop();
	check_stop_threads();
	check_orphans();
	check_group();
	check_inheritance(argv[0]);
	check_unwaited();
	check_cpu_timers();
	printf("signal jobs ok\n");
	return 0;
}
