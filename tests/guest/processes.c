/*
 * Processes: fork, vfork, posix_spawn, exec (also from a second thread, and failing), wait in
 * its forms, exit statuses, orphans, process groups, a death that closes a pipe, many children.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

extern char **environ;

static int wait_status(pid_t child)
{
	int status;

	CHECK(waitpid(child, &status, 0) == child);
	return status;
}

static void check_fork(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(getppid() == getpgrp() ? 11 : 12);
	int status = wait_status(child);
	CHECK(WIFEXITED(status) && (WEXITSTATUS(status) == 11 || WEXITSTATUS(status) == 12));
	CHECK(waitpid(-1, &status, 0) == -1 && errno == ECHILD);
	CHECK((child = fork()) >= 0);
	if (child == 0)
		abort();
	status = wait_status(child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void check_vfork(void)
{
	volatile int shared = 0;
	pid_t child = vfork();

	CHECK(child >= 0);
	if (child == 0) {
		shared = 1;
		execl("/bin/sh", "sh", "-c", "exit 9", NULL);
		_exit(127);
	}
	CHECK(shared == 1);
	CHECK(WEXITSTATUS(wait_status(child)) == 9);
	child = vfork();
	CHECK(child >= 0);
	if (child == 0) {
		execl("/nonexistent", "x", NULL);
		shared = errno;
		_exit(4);
	}
	CHECK(shared == ENOENT && WEXITSTATUS(wait_status(child)) == 4);
}

#define MAKERS 16

struct vforks {
	int hold[2], left[2], start[2], go[2];
	volatile int let_go, early;
};

/* Ends when somebody closes the other end of `ends`. */
static void await_end(const int *ends)
{
	char byte;

	close(ends[1]);
	CHECK(read(ends[0], &byte, 1) == 0);
}

/* Is killed while it waits for its child, which goes on. */
static pid_t leave_vfork_child(struct vforks *v)
{
	pid_t pid = fork();
	char byte;

	if (pid == 0) {
		close(v->left[0]);
		if (vfork() == 0) { // NOLINT: what is tested
			CHECK(write(v->left[1], "", 1) == 1);
			await_end(v->hold); // NOLINT
			_exit(0);
		}
		_exit(1);
	}
	close(v->left[1]);
	CHECK(read(v->left[0], &byte, 1) == 1);
	return pid;
}

static pid_t start_maker(struct vforks *v)
{
	pid_t pid = fork();

	if (pid != 0)
		return pid;
	close(v->hold[1]);
	close(v->go[1]);
	await_end(v->start);
	if (vfork() == 0) { // NOLINT: what is tested
		char byte;
		_exit((int)read(v->go[0], &byte, 1)); // NOLINT
	}
	v->early += !v->let_go;
	_exit(0);
}

/* Who waits for its vfork child waits for its own, whoever was there before it. */
static void check_vfork_killed(void)
{
	struct vforks *v =
		mmap(NULL, sizeof(*v), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[MAKERS];
	char byte;

	CHECK(pipe(v->hold) == 0 && pipe(v->left) == 0);
	pid_t killed = leave_vfork_child(v);
	CHECK(pipe(v->start) == 0 && pipe(v->go) == 0);
	CHECK(kill(killed, SIGKILL) == 0 && wait_status(killed) == SIGKILL);
	for (int i = 0; i < MAKERS; i++)
		CHECK((pid[i] = start_maker(v)) > 0);
	close(v->start[0]);
	close(v->start[1]);
	usleep(10000);
	close(v->hold[1]);
	CHECK(read(v->left[0], &byte, 1) == 0);
	usleep(10000);
	v->let_go = 1;
	close(v->go[1]);
	for (int i = 0; i < MAKERS; i++)
		CHECK(wait_status(pid[i]) == 0);
	CHECK(v->early == 0);
	close(v->hold[0]);
	close(v->left[0]);
	close(v->go[0]);
	munmap(v, sizeof(*v));
}

static void check_spawn(void)
{
	char *argv[] = {"sh", "-c", "test \"$(cat)\" = hello", NULL};
	posix_spawn_file_actions_t actions;
	int ends[2];
	pid_t child;

	CHECK(pipe2(ends, O_CLOEXEC) == 0);
	CHECK(posix_spawn_file_actions_init(&actions) == 0);
	CHECK(posix_spawn_file_actions_adddup2(&actions, ends[0], 0) == 0);
	CHECK(posix_spawn(&child, "/bin/sh", &actions, NULL, argv, environ) == 0);
	CHECK(write(ends[1], "hello", 5) == 5 && close(ends[1]) == 0 && close(ends[0]) == 0);
	CHECK(WEXITSTATUS(wait_status(child)) == 0);
	CHECK(posix_spawn(&child, "/nonexistent", NULL, NULL, argv, environ) == ENOENT);
	posix_spawn_file_actions_destroy(&actions);
}

static void *exec_here(void *unused)
{
	(void)unused;
	execl("/bin/sh", "sh", "-c", "exit 21", NULL);
	return NULL;
}

/* exec from a thread that is not the first: the others vanish, the pid stays. */
static void check_thread_exec(void)
{
	pid_t child = fork();
	pthread_t thread;

	CHECK(child >= 0);
	if (child == 0) {
		pthread_create(&thread, NULL, exec_here, NULL);
		pause();
	}
	CHECK(WEXITSTATUS(wait_status(child)) == 21);
}

static void check_waits(void)
{
	siginfo_t info;
	int status, gate[2];
	char byte;
	pid_t child;

	CHECK(pipe(gate) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		close(gate[1]);
		_exit((int)read(gate[0], &byte, 1) + 30);
	}
	close(gate[0]);
	CHECK(waitpid(child, &status, WNOHANG) == 0);
	close(gate[1]);
	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT) == 0);
	CHECK(info.si_pid == child && info.si_code == CLD_EXITED && info.si_status == 30);
	CHECK(WEXITSTATUS(wait_status(child)) == 30);
	CHECK(waitid(P_ALL, 0, &info, WEXITED) == -1 && errno == ECHILD);
}

static void check_stops(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		raise(SIGSTOP);
		_exit(5);
	}
	CHECK(waitpid(child, &status, WUNTRACED) == child);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	CHECK(kill(child, SIGCONT) == 0);
	CHECK(waitpid(child, &status, WCONTINUED) == child && WIFCONTINUED(status));
	CHECK(WEXITSTATUS(wait_status(child)) == 5);
}

/* The grandchild of a dead child belongs to the subreaper; its end closes the pipe. */
static void check_orphans(void)
{
	int ends[2], status;
	char byte;
	pid_t child;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	CHECK(pipe(ends) == 0 && (child = fork()) >= 0);
	if (child == 0) {
		if (fork() == 0) {
			usleep(20000);
			_exit(8);
		}
		_exit(0);
	}
	close(ends[1]);
	CHECK(WEXITSTATUS(wait_status(child)) == 0);
	CHECK(read(ends[0], &byte, 1) == 0);
	CHECK(waitpid(-1, &status, 0) > 0 && WEXITSTATUS(status) == 8);
}

static void check_groups(void)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		CHECK(setpgid(0, 0) == 0 && getpgrp() == getpid());
		_exit(0);
	}
	CHECK(WEXITSTATUS(wait_status(child)) == 0);
	CHECK((child = fork()) >= 0);
	if (child == 0) {
		CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
		_exit(0);
	}
	CHECK(WEXITSTATUS(wait_status(child)) == 0);
}

static void check_many(void)
{
	int sum = 0, status;

	for (int i = 0; i < 60; i++) {
		pid_t child = fork();

		CHECK(child >= 0);
		if (child == 0)
			_exit(i);
	}
	while (waitpid(-1, &status, 0) > 0)
		sum += WEXITSTATUS(status);
	CHECK(sum == 60 * 59 / 2 && errno == ECHILD);
}

/* Every child at once has the next and ends: their first parent gets to run all the same. */
static void check_chain(void)
{
	volatile int *stop =
		mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int ends[2];
	char bytes[5];

	CHECK(stop != MAP_FAILED && pipe(ends) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		while (*stop == 0 && write(ends[1], "x", 1) == 1) {
			for (int i = 0; i < 100; i++)
				getppid(); /* or there would be a thousand of them at once */
			if (fork() > 0)
				_exit(0);
		}
		_exit(0);
	}
	close(ends[1]);
	for (int n = 0; n < 5;)
		n += (int)read(ends[0], bytes, sizeof(bytes));
	*stop = 1;
	CHECK(WEXITSTATUS(wait_status(child)) == 0);
	while (read(ends[0], bytes, sizeof(bytes)) > 0)
		continue;
	close(ends[0]);
	munmap((void *)stop, 4096);
}

static int clone_body(void *value)
{
	*(int *)value = 77;
	_exit(6);
}

static void check_clone(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int value = 0;
	pid_t child = clone(clone_body, stack + sizeof(stack), CLONE_VM | SIGCHLD, &value);

	CHECK(child > 0 && WEXITSTATUS(wait_status(child)) == 6 && value == 77);
}

int main(void)
{
	check_fork();
	check_vfork();
	check_vfork_killed();
	check_spawn();
	check_thread_exec();
	check_waits();
	check_stops();
	check_groups();
	check_many();
	check_chain();
	check_clone();
	check_orphans();
	printf("processes ok\n");
	return 0;
}
