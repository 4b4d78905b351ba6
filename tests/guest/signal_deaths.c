/*
 * Of which signal a process dies that is sent several: of the first that is fatal at once, not of
 * the lowest number, nor of a SIGKILL that comes later.
 */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define MOST 4

enum state { PLAIN, BLOCKED, STOPPED, IN_THREAD };

static const struct {
	enum state state;
	int sent[MOST]; /* 0: no more */
} cases[] = {
	{PLAIN, {SIGTERM, SIGHUP}},
	{PLAIN, {SIGTERM, SIGKILL}},
	{PLAIN, {SIGTERM, SIGQUIT}},
	{PLAIN, {SIGTERM, SIGSTOP}},
	{PLAIN, {SIGUSR1, SIGTERM, SIGHUP}},
	{PLAIN, {64, 34, SIGTERM, SIGUSR1}},
	{PLAIN, {SIGCHLD, SIGCONT, SIGTERM, SIGINT}},
	{BLOCKED, {SIGTERM, SIGHUP}},
	{BLOCKED, {SIGTERM, SIGKILL}},
	{BLOCKED, {SIGTERM, SIGQUIT}},
	{BLOCKED, {64, 34, SIGTERM, SIGUSR1}},
	{STOPPED, {SIGTERM, SIGHUP, SIGCONT}},
	{STOPPED, {SIGTERM, SIGKILL}},
	{IN_THREAD, {SIGTERM, SIGHUP}},
	{IN_THREAD, {SIGTERM, SIGKILL}},
};

static sigset_t all;
static int go[2], ready[2];

static void *wait_unblocked(void *arg)
{
	sigset_t none;

	(void)arg;
	sigemptyset(&none);
	pthread_sigmask(SIG_SETMASK, &none, NULL);
	CHECK(write(ready[1], "", 1) == 1);
	for (;;)
		pause();
}

static void child(enum state state)
{
	pthread_t thread;
	char byte;

	close(go[1]);
	if (state == BLOCKED || state == IN_THREAD)
		sigprocmask(SIG_BLOCK, &all, NULL);
	if (state == IN_THREAD)
		CHECK(pthread_create(&thread, NULL, wait_unblocked, NULL) == 0);
	else
		CHECK(write(ready[1], "", 1) == 1);
	CHECK(read(go[0], &byte, 1) == 0);
	sigprocmask(SIG_UNBLOCK, &all, NULL);
	for (;;)
		pause();
}

static pid_t start(void)
{
	CHECK(pipe(go) == 0 && pipe(ready) == 0);
	fflush(stdout);
	pid_t pid = fork();

	CHECK(pid >= 0);
	return pid;
}

static void child_is_ready(void)
{
	char byte;

	close(go[0]);
	CHECK(read(ready[0], &byte, 1) == 1);
}

static void end(const char *what, pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	if (WIFSIGNALED(status))
		printf("%s: killed by %d\n", what, WTERMSIG(status));
	else
		printf("%s: status %x\n", what, (unsigned)status);
}

static void order(enum state state, const int *sent)
{
	static const char *const names[] = {"plain", "blocked", "stopped", "in a thread"};
	pid_t pid = start();
	siginfo_t info;

	if (pid == 0)
		child(state);
	child_is_ready();
	if (state == STOPPED)
		CHECK(kill(pid, SIGSTOP) == 0 && waitid(P_PID, (id_t)pid, &info, WSTOPPED) == 0);
	for (int i = 0; i < MOST && sent[i] != 0; i++) {
		printf("%d ", sent[i]);
		CHECK(kill(pid, sent[i]) == 0);
	}
	close(go[1]);
	end(names[state], pid);
	close(ready[0]);
	close(ready[1]);
}

/* What is waited for is not fatal if it was blocked before. */
static void awaited(bool is_blocked)
{
	pid_t pid = start();
	sigset_t set;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	if (pid == 0) {
		if (is_blocked)
			sigprocmask(SIG_BLOCK, &set, NULL);
		CHECK(write(ready[1], "", 1) == 1);
		CHECK(sigwait(&set, &sig) == 0);
		_exit(sig);
	}
	child_is_ready();
	CHECK(kill(pid, SIGTERM) == 0);
	end(is_blocked ? "awaited, blocked" : "awaited", pid);
}

/* Who waits for its vfork child hears of nothing but its death. */
static void in_vfork(void)
{
	pid_t pid = start();
	char byte;

	if (pid == 0) {
		close(go[1]);
		if (vfork() == 0) {		  // NOLINT: what is tested
			kill(getppid(), SIGTERM); // NOLINT
			_exit((int)read(go[0], &byte, 1));
		}
		_exit(7);
	}
	close(go[0]);
	end("in vfork", pid);
	close(go[1]);
}

int main(void)
{
	sigfillset(&all);
	for (unsigned i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		order(cases[i].state, cases[i].sent);
	awaited(true);
	awaited(false);
	in_vfork();
	printf("signal_deaths ok\n");
	return 0;
}
