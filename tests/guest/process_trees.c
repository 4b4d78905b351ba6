/*
 * Families of processes: which child a wait finds and in which order, whose child it is among a
 * process's threads, what SIGCHLD tells, zombies, orphans and orphaned groups, groups and sessions,
 * what clone accepts, unshare and kcmp. Ordered by pipes and waitid(WNOWAIT), never by time.
 */
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/sched.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/sem.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

static void await_death(pid_t child)
{
	siginfo_t info;

	CHECK(waitid(P_PID, (id_t)child, &info, WEXITED | WNOWAIT | __WALL) == 0);
}

struct gate {
	int fd[2];
};

static struct gate gate_make(void)
{
	struct gate g;

	CHECK(pipe2(g.fd, O_CLOEXEC) == 0);
	return g;
}

/* Waits until `n` others have passed. */
static void gate_wait(const struct gate *g, int n)
{
	char byte;

	while (n-- > 0)
		CHECK(read(g->fd[0], &byte, 1) == 1);
}

static void gate_pass(const struct gate *g)
{
	CHECK(write(g->fd[1], "x", 1) == 1);
}

static void gate_end(const struct gate *g)
{
	close(g->fd[0]);
	close(g->fd[1]);
}

/* A child that waits for the gate and then ends with `code`. */
static pid_t child_behind(const struct gate *g, int code)
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		gate_wait(g, 1);
		_exit(code);
	}
	return child;
}

/* ---- order ---- */

static void check_order(void)
{
	struct gate g[3];
	pid_t child[3];
	int status;

	for (int i = 0; i < 3; i++) {
		g[i] = gate_make();
		child[i] = child_behind(&g[i], i);
	}
	CHECK(waitpid(-1, &status, WNOHANG) == 0);
	for (int i = 2; i >= 0; i--) {
		gate_pass(&g[i]);
		await_death(child[i]);
	}
	/* The first born, not the first to die. */
	for (int i = 0; i < 3; i++) {
		CHECK(waitpid(-1, &status, 0) == child[i] && status == i << 8);
		gate_end(&g[i]);
	}
	CHECK(fails(waitpid(-1, &status, WNOHANG), ECHILD));
}

/* A stopped child counts as much as a dead one. */
static void check_stops(void)
{
	struct gate g = gate_make();
	siginfo_t info;
	int status;
	pid_t a = child_behind(&g, 1), b = fork();

	CHECK(b >= 0);
	if (b == 0)
		_exit(2);
	await_death(b);
	CHECK(kill(a, SIGSTOP) == 0);
	CHECK(waitid(P_PID, (id_t)a, &info, WSTOPPED | WNOWAIT) == 0);
	CHECK(info.si_code == CLD_STOPPED && info.si_status == SIGSTOP);
	CHECK(waitid(P_ALL, 0, &info, WSTOPPED | WEXITED | WNOWAIT) == 0 && info.si_pid == a);
	CHECK(waitpid(-1, &status, WUNTRACED) == a && WIFSTOPPED(status));
	CHECK(waitpid(a, &status, WUNTRACED | WNOHANG) == 0);
	CHECK(kill(a, SIGCONT) == 0);
	CHECK(waitid(P_PID, (id_t)a, &info, WCONTINUED | WNOWAIT) == 0);
	CHECK(info.si_code == CLD_CONTINUED && info.si_status == SIGCONT);
	CHECK(waitpid(a, &status, WCONTINUED) == a && WIFCONTINUED(status));
	CHECK(waitpid(a, &status, WCONTINUED | WNOHANG) == 0);
	CHECK(fails(waitid(P_PID, (id_t)b, &info, WSTOPPED), ECHILD));
	gate_pass(&g);
	CHECK(waitpid(-1, &status, 0) > 0 && waitpid(-1, &status, 0) > 0);
	gate_end(&g);
}

static void check_groups_of_waits(void)
{
	struct gate g = gate_make();
	siginfo_t info;
	int status;
	pid_t a = child_behind(&g, 1), b = child_behind(&g, 2);

	CHECK(setpgid(a, a) == 0 && setpgid(b, a) == 0);
	CHECK(fails(waitpid(0, &status, WNOHANG), ECHILD));
	CHECK(waitpid(-a, &status, WNOHANG) == 0);
	CHECK(fails(waitpid(-b, &status, WNOHANG), ECHILD));
	info.si_pid = 1;
	CHECK(waitid(P_PGID, (id_t)a, &info, WEXITED | WNOHANG) == 0 && info.si_pid == 0);
	gate_pass(&g);
	gate_pass(&g);
	CHECK(waitpid(-a, &status, 0) > 0 && waitid(P_PGID, (id_t)a, &info, WEXITED) == 0);
	CHECK(fails(waitpid(-a, &status, 0), ECHILD));
	CHECK(fails(waitid(P_PGID, (id_t)-1, &info, WEXITED), EINVAL));
	CHECK(fails(waitid(P_PID, 0, &info, WEXITED), EINVAL));
	CHECK(fails(waitid(9, 0, &info, WEXITED), EINVAL));
	CHECK(fails(waitid(P_ALL, 0, &info, 0), EINVAL));
	CHECK(fails(waitid(P_ALL, 0, &info, WEXITED | 0x100), EINVAL));
	CHECK(fails(waitpid(-1, &status, WNOWAIT), EINVAL));
	CHECK(fails(waitpid((pid_t)0x80000000, &status, 0), ESRCH));
	gate_end(&g);
}

/* ---- children of clone, of threads ---- */

static void check_clone_children(void)
{
	int status;
	pid_t child = (pid_t)syscall(SYS_clone, 0, NULL, NULL, NULL, 0);

	CHECK(child >= 0);
	if (child == 0)
		_exit(6);
	CHECK(fails(waitpid(-1, &status, 0), ECHILD));
	CHECK(waitpid(-1, &status, __WCLONE) == child && WEXITSTATUS(status) == 6);
	signal(SIGUSR2, SIG_IGN);
	child = (pid_t)syscall(SYS_clone, SIGUSR2, NULL, NULL, NULL, 0);
	CHECK(child >= 0);
	if (child == 0)
		_exit(7);
	CHECK(fails(waitpid(-1, &status, 0), ECHILD));
	CHECK(waitpid(-1, &status, __WALL) == child && WEXITSTATUS(status) == 7);
	/* A child of our own parent, whom it tells as we would. */
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		pid_t sibling = (pid_t)syscall(SYS_clone, CLONE_PARENT, NULL, NULL, NULL, 0);

		if (sibling == 0)
			_exit(8);
		_exit(fails(waitpid(sibling, &status, __WALL), ECHILD) ? 9 : 10);
	}
	int sum = 0;
	for (int i = 0; i < 2; i++) {
		CHECK(wait(&status) > 0);
		sum += WEXITSTATUS(status);
	}
	CHECK(sum == 17);
	signal(SIGUSR2, SIG_DFL);
}

static struct gate thread_go, thread_done;
static pid_t thread_child;

static void *fork_in_thread(void *gate)
{
	thread_child = child_behind(gate, 3);
	gate_pass(&thread_done);
	gate_wait(&thread_go, 1);
	return NULL;
}

static void check_threads(void)
{
	struct gate g = gate_make();
	pthread_t thread;
	int status;

	thread_go = gate_make();
	thread_done = gate_make();
	CHECK(pthread_create(&thread, NULL, fork_in_thread, &g) == 0);
	gate_wait(&thread_done, 1);
	pid_t own = child_behind(&g, 4);
	CHECK(waitpid(-1, &status, WNOHANG) == 0);
	CHECK(fails(waitpid(thread_child, &status, WNOHANG | __WNOTHREAD), ECHILD));
	CHECK(waitpid(own, &status, WNOHANG | __WNOTHREAD) == 0);
	gate_pass(&g);
	gate_pass(&g);
	await_death(own);
	await_death(thread_child);
	/* One's own comes first, though the other is older. */
	siginfo_t info;
	CHECK(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT) == 0 && info.si_pid == own);
	gate_pass(&thread_go);
	CHECK(pthread_join(thread, NULL) == 0);
	/* It has been handed over, and so is the youngest. */
	CHECK(waitpid(-1, &status, __WNOTHREAD) == own);
	CHECK(waitpid(-1, &status, __WNOTHREAD) == thread_child && WEXITSTATUS(status) == 3);
	gate_end(&g);
	gate_end(&thread_go);
	gate_end(&thread_done);
}

/* The signal of the parent's death comes when the thread ends that made the child. */
static void *fork_mourner(void *gate)
{
	thread_child = fork();
	if (thread_child == 0) {
		CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0);
		gate_pass(gate);
		for (;;)
			pause();
	}
	gate_wait(gate, 1);
	return NULL;
}

static void check_pdeathsig(void)
{
	struct gate g = gate_make();
	pthread_t thread;
	int status;

	CHECK(fails(prctl(PR_SET_PDEATHSIG, 65), EINVAL));
	CHECK(pthread_create(&thread, NULL, fork_mourner, &g) == 0);
	CHECK(pthread_join(thread, NULL) == 0);
	CHECK(waitpid(thread_child, &status, 0) == thread_child);
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
	gate_end(&g);
}

/* ---- SIGCHLD ---- */

static volatile sig_atomic_t told, told_pid, told_status, told_code, told_uid;

static void on_child(int sig, siginfo_t *info, void *context)
{
	(void)sig;
	(void)context;
	told++;
	told_pid = info->si_pid;
	told_uid = (int)info->si_uid;
	told_status = info->si_status;
	told_code = info->si_code;
}

static void handle_child(int flags)
{
	struct sigaction action = {.sa_sigaction = on_child, .sa_flags = SA_SIGINFO | flags};

	CHECK(sigaction(SIGCHLD, &action, NULL) == 0);
	told = 0;
}

/* A stop and its end are told a moment after a wait may have found them. */
static void await_told(int count)
{
	sigset_t set, old;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	while (told < count)
		sigsuspend(&old);
	sigprocmask(SIG_SETMASK, &old, NULL);
	CHECK(told == count);
}

static void check_told(void)
{
	sigset_t set, old;
	pid_t child[3];
	int status;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, &old);
	handle_child(0);
	for (int i = 0; i < 3; i++) {
		if ((child[i] = fork()) == 0)
			_exit(20 + i);
		await_death(child[i]);
	}
	CHECK(told == 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	/* Three became one, which tells of the first. */
	CHECK(told == 1 && told_pid == child[0] && told_status == 20 && told_code == CLD_EXITED);
	CHECK((uid_t)told_uid == getuid());
	for (int i = 0; i < 3; i++)
		CHECK(wait(&status) == child[i]);
	if ((child[0] = fork()) == 0)
		raise(SIGKILL);
	CHECK(waitpid(child[0], &status, 0) == child[0]);
	CHECK(told == 2 && told_code == CLD_KILLED && told_status == SIGKILL);
	signal(SIGCHLD, SIG_DFL);
}

static void check_stop_told(void)
{
	struct gate g = gate_make();
	int status;
	pid_t child = child_behind(&g, 0);

	handle_child(SA_RESTART);
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
	await_told(1);
	CHECK(told_code == CLD_STOPPED); /* a wait before it takes the status away */
	CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
	await_told(2);
	CHECK(told_code == CLD_CONTINUED && told_status == SIGCONT);
	handle_child(SA_NOCLDSTOP | SA_RESTART);
	CHECK(kill(child, SIGSTOP) == 0 && waitpid(child, &status, WUNTRACED) == child);
	CHECK(kill(child, SIGCONT) == 0 && waitpid(child, &status, WCONTINUED) == child);
	CHECK(told == 0);
	gate_pass(&g);
	CHECK(waitpid(child, &status, 0) == child && told == 1);
	signal(SIGCHLD, SIG_DFL);
	gate_end(&g);
}

/* Nobody waits for these: they leave no zombies, and a wait ends when all are gone. */
static void check_unwanted(void)
{
	struct gate g = gate_make();
	int status;
	pid_t child;

	signal(SIGCHLD, SIG_IGN);
	child = child_behind(&g, 0);
	child_behind(&g, 0);
	gate_pass(&g);
	gate_pass(&g);
	CHECK(fails(waitpid(-1, &status, 0), ECHILD) && fails(kill(child, 0), ESRCH));
	handle_child(SA_NOCLDWAIT | SA_RESTART);
	child = child_behind(&g, 0);
	gate_pass(&g);
	CHECK(fails(waitpid(child, &status, 0), ECHILD) && told == 1 && told_pid == child);
	signal(SIGCHLD, SIG_DFL);
	gate_end(&g);
}

/* ---- zombies and orphans ---- */

static void check_zombie(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0)
		_exit(0);
	await_death(child);
	CHECK(kill(child, 0) == 0 && kill(child, SIGKILL) == 0 && getpgid(child) == getpgrp());
	CHECK(getsid(child) == getsid(0) && syscall(SYS_tgkill, child, child, 0) == 0);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(fails(kill(child, 0), ESRCH) && fails(getpgid(child), ESRCH));
	CHECK(fails(getsid(child), ESRCH) && fails(setpgid(child, 0), ESRCH));
}

static void check_reparenting(void)
{
	struct gate up = gate_make(), down = gate_make();
	int status, reaper;
	pid_t child, orphan;

	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0 && reaper == 1);
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(prctl(PR_GET_CHILD_SUBREAPER, &reaper) == 0 && reaper == 0);
		orphan = fork();
		if (orphan == 0) {
			gate_wait(&down, 1);
			_exit(getppid() == 0 ? 1 : 30);
		}
		CHECK(write(up.fd[1], &orphan, sizeof(orphan)) == sizeof(orphan));
		_exit(31);
	}
	CHECK(read(up.fd[0], &orphan, sizeof(orphan)) == sizeof(orphan));
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 31);
	CHECK(waitpid(orphan, &status, WNOHANG) == 0);
	gate_pass(&down);
	CHECK(waitpid(-1, &status, 0) == orphan && WEXITSTATUS(status) == 30);
	/* A zombie is inherited, too. */
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		orphan = fork();
		if (orphan == 0)
			_exit(32);
		await_death(orphan);
		_exit(33);
	}
	CHECK(wait(&status) == child && wait(&status) > 0 && WEXITSTATUS(status) == 32);
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 0) == 0);
	gate_end(&up);
	gate_end(&down);
}

static volatile sig_atomic_t hung_up, continued;

static void on_hang_up(int sig)
{
	hung_up += sig == SIGHUP;
	continued += sig == SIGCONT;
}

/* A stopped member of a group that becomes orphaned is hung up and goes on. */
static void check_orphaned_group(void)
{
	struct gate g = gate_make(), told_us = gate_make();
	int status;
	pid_t middle = fork(), low;

	CHECK(middle >= 0);
	if (middle == 0) {
		setpgid(0, 0);
		low = fork();
		if (low == 0) {
			setpgid(0, 0);
			signal(SIGHUP, on_hang_up);
			signal(SIGCONT, on_hang_up);
			gate_pass(&told_us);
			raise(SIGSTOP);
			CHECK(hung_up == 1 && continued == 1);
			/* Now nobody could let it go on: the terminal's stops do nothing. */
			raise(SIGTSTP);
			gate_pass(&g);
			_exit(0);
		}
		CHECK(waitpid(low, &status, WUNTRACED) == low && WIFSTOPPED(status));
		_exit(0);
	}
	CHECK(waitpid(middle, &status, 0) == middle && status == 0);
	gate_wait(&told_us, 1);
	gate_wait(&g, 1);
	gate_end(&g);
	gate_end(&told_us);
}

/* ---- groups and sessions ---- */

static void check_setpgid(void)
{
	struct gate g = gate_make(), ready = gate_make();
	int status;
	pid_t child = child_behind(&g, 0), leader;

	CHECK(setpgid(child, child) == 0 && getpgid(child) == child);
	CHECK(setpgid(child, getpgrp()) == 0 && getpgid(child) == getpgrp());
	CHECK(fails(setpgid(child, child + 100000), EPERM));
	CHECK(fails(setpgid(child, -1), EINVAL));
	CHECK(fails(setpgid(getppid(), 0), ESRCH) && fails(setpgid(4000000, 0), ESRCH));
	leader = fork();
	CHECK(leader >= 0);
	if (leader == 0) {
		CHECK(setsid() == getpid() && getsid(0) == getpid() && getpgrp() == getpid());
		CHECK(fails(setsid(), EPERM) && fails(setpgid(0, 0), EPERM));
		gate_pass(&ready);
		gate_wait(&g, 1);
		_exit(0);
	}
	gate_wait(&ready, 1);
	CHECK(fails(setpgid(leader, 0), EPERM) && fails(setpgid(child, leader), EPERM));
	gate_pass(&g);
	gate_pass(&g);
	CHECK(wait(&status) > 0 && wait(&status) > 0);
	/* After exec it is no longer ours to move. */
	child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		dup2(g.fd[0], 0);
		dup2(ready.fd[1], 1);
		execl("/bin/sh", "sh", "-c", "echo; read x", NULL);
	}
	gate_wait(&ready, 1);
	CHECK(fails(setpgid(child, child), EACCES));
	CHECK(write(g.fd[1], "\n", 1) == 1 && waitpid(child, &status, 0) == child);
	gate_end(&g);
	gate_end(&ready);
}

/* A group outlives its leader, whose number stays taken. */
static void check_leaderless(void)
{
	struct gate g = gate_make(), ready = gate_make();
	int status;
	pid_t leader = fork(), member;

	CHECK(leader >= 0);
	if (leader == 0) {
		setpgid(0, 0);
		gate_pass(&ready);
		gate_wait(&g, 1);
		_exit(0);
	}
	gate_wait(&ready, 1);
	member = child_behind(&g, 0);
	CHECK(setpgid(member, leader) == 0);
	CHECK(kill(leader, SIGKILL) == 0 && waitpid(leader, &status, 0) == leader);
	CHECK(kill(-leader, 0) == 0 && getpgid(member) == leader);
	CHECK(fails(kill(leader, 0), ESRCH));
	CHECK(kill(-leader, SIGTERM) == 0 && waitpid(-leader, &status, 0) == member);
	CHECK(WTERMSIG(status) == SIGTERM && fails(kill(-leader, 0), ESRCH));
	gate_end(&g);
	gate_end(&ready);
}

/* ---- what signals do, shared by two processes ---- */

static volatile int handled;

static void on_shared(int sig)
{
	handled = sig;
}

static int set_and_end(void *arg)
{
	(void)arg;
	CHECK(fails(unshare(CLONE_SIGHAND), EINVAL));
	CHECK(signal(SIGUSR1, on_shared) == SIG_DFL && signal(SIGUSR2, SIG_IGN) == SIG_DFL);
	CHECK(raise(SIGUSR1) == 0 && handled == SIGUSR1);
	handled = 0;
	return 3;
}

static int set_and_exec(void *arg)
{
	(void)arg;
	CHECK(signal(SIGUSR2, on_shared) == SIG_IGN);
	execl("/bin/true", "true", NULL);
	return 1;
}

static void check_shared_handlers(void)
{
	static char stack[65536] __attribute__((aligned(16)));
	int flags = CLONE_VM | CLONE_SIGHAND | SIGCHLD, status;
	struct sigaction now;

	pid_t pid = clone(set_and_end, stack + sizeof(stack), flags, NULL);
	CHECK(waitpid(pid, &status, 0) == pid && status == 3 << 8);
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == on_shared);
	CHECK(raise(SIGUSR2) == 0 && raise(SIGUSR1) == 0 && handled == SIGUSR1);
	CHECK(unshare(CLONE_SIGHAND) == 0); /* alone again */
	/* exec takes a copy, and sets only that to the default. */
	pid = clone(set_and_exec, stack + sizeof(stack), flags, NULL);
	CHECK(waitpid(pid, &status, 0) == pid && status == 0);
	CHECK(sigaction(SIGUSR1, NULL, &now) == 0 && now.sa_handler == on_shared);
	CHECK(raise(SIGUSR2) == 0 && handled == SIGUSR2);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

/* ---- clone's flags ---- */

static void check_flags(void)
{
	struct clone_args args = {.flags = CLONE_DETACHED, .exit_signal = SIGCHLD};
	char stack[64];

	CHECK(fails(syscall(SYS_clone, CLONE_SIGHAND, stack, 0, 0, 0), EINVAL));
	CHECK(fails(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, stack, 0, 0, 0), EINVAL));
	CHECK(fails(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS, 0, 0, 0, 0), EINVAL));
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.flags = 0;
	args.exit_signal = 65;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.exit_signal = SIGCHLD;
	CHECK(fails(syscall(SYS_clone3, &args, 8), EINVAL));
	CHECK(fails(syscall(SYS_clone3, &args, 1 << 20), E2BIG));
	CHECK(fails(syscall(SYS_clone3, 16, sizeof(args)), EFAULT));
	args.stack_size = 4096;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.stack_size = 0;
	args.flags = CLONE_PARENT;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.flags = CLONE_VM | CLONE_SIGHAND | CLONE_CLEAR_SIGHAND;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.flags = 1ull << 40;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
	args.flags = 0;
	args.set_tid_size = 1;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
}

static void check_clear_handlers(void)
{
	struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
	struct sigaction action;
	int status;
	pid_t child;

	signal(SIGUSR1, on_hang_up);
	signal(SIGUSR2, SIG_IGN);
	child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(sigaction(SIGUSR1, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
		CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
		_exit(0);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	signal(SIGUSR1, SIG_DFL);
	signal(SIGUSR2, SIG_DFL);
}

static void check_set_tid(void)
{
	pid_t wanted = 32700; /* below every limit; perhaps taken, outside */
	struct clone_args args = {
		.exit_signal = SIGCHLD, .set_tid = (unsigned long)&wanted, .set_tid_size = 1};
	int status;
	pid_t child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	if (geteuid() != 0) {
		CHECK(fails(child, EPERM));
		return;
	}
	while (fails(child, EEXIST)) {
		wanted--;
		child = (pid_t)syscall(SYS_clone3, &args, sizeof(args));
	}
	if (child == 0)
		_exit(getpid() == wanted ? 0 : 1);
	CHECK(child == wanted && waitpid(child, &status, 0) == child && status == 0);
	wanted = getpid();
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EEXIST));
	wanted = 0;
	CHECK(fails(syscall(SYS_clone3, &args, sizeof(args)), EINVAL));
}

/* ---- sharing ---- */

static void check_unshare(void)
{
	struct gate g = gate_make();
	int status, fd = open("/dev/null", O_RDONLY);
	pid_t child;

	CHECK(unshare(0) == 0 && fails(unshare(1), EINVAL) && unshare(CLONE_FS) == 0);
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | CLONE_FS | SIGCHLD, NULL, NULL, NULL, 0);
	CHECK(child >= 0);
	if (child == 0) {
		CHECK(unshare(CLONE_FILES | CLONE_FS) == 0);
		umask(0);
		_exit(close(fd) == 0 ? 0 : 1);
	}
	umask(022);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(fcntl(fd, F_GETFD) == 0 && umask(022) == 022);
	/* Without it both close the same. */
	child = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, 0);
	CHECK(child >= 0);
	if (child == 0)
		_exit(close(fd) == 0 ? 0 : 1);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(fails(fcntl(fd, F_GETFD), EBADF));
	gate_end(&g);
}

static long kcmp(pid_t a, pid_t b, int type, unsigned long x, unsigned long y)
{
	return syscall(SYS_kcmp, a, b, type, x, y);
}

/* From now on this process has a list of what its end undoes. */
static void undo_something(void)
{
	struct sembuf one = {.sem_op = 1, .sem_flg = SEM_UNDO};
	int set = semget(IPC_PRIVATE, 1, 0600);

	CHECK(set >= 0 && semop(set, &one, 1) == 0 && semctl(set, 0, IPC_RMID) == 0);
}

static void check_kcmp(void)
{
	struct gate g = gate_make();
	pid_t own = getpid(), child = child_behind(&g, 0);
	int status, one = open("/dev/null", O_RDONLY), two = open("/dev/null", O_RDONLY);
	int copy = dup(one);

	CHECK(kcmp(own, own, KCMP_FILE, (unsigned)one, (unsigned)copy) == 0);
	long order = kcmp(own, own, KCMP_FILE, (unsigned)one, (unsigned)two);
	CHECK(order == 1 || order == 2);
	CHECK(kcmp(own, own, KCMP_FILE, (unsigned)two, (unsigned)one) == 3 - order);
	CHECK(kcmp(own, child, KCMP_FILE, (unsigned)g.fd[0], (unsigned)g.fd[0]) == 0);
	CHECK(kcmp(own, own, KCMP_VM, 0, 0) == 0 && kcmp(own, child, KCMP_VM, 0, 0) > 0);
	CHECK(kcmp(own, child, KCMP_FILES, 0, 0) > 0 && kcmp(own, child, KCMP_FS, 0, 0) > 0);
	CHECK(kcmp(own, child, KCMP_SIGHAND, 0, 0) > 0);
	undo_something();
	CHECK(kcmp(own, own, KCMP_SYSVSEM, 0, 0) == 0 && kcmp(own, child, KCMP_SYSVSEM, 0, 0) > 0);
	CHECK(fails(kcmp(own, own, KCMP_FILE, (unsigned)one, 999), EBADF));
	CHECK(fails(kcmp(own, 4000001, KCMP_VM, 0, 0), ESRCH));
	CHECK(fails(kcmp(own, own, 99, 0, 0), EINVAL));
	gate_pass(&g);
	CHECK(waitpid(child, &status, 0) == child);
	gate_end(&g);
	close(one);
	close(two);
	close(copy);
}

static void check_personality(void)
{
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		unsigned old = (unsigned)personality(0xffffffff);

		CHECK((unsigned)personality(old | ADDR_NO_RANDOMIZE) == old);
		CHECK((unsigned)personality(0xffffffff) == (old | ADDR_NO_RANDOMIZE));
		execl("/bin/sh", "sh", "-c", "exit 12", NULL);
	}
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 12);
}

/* The end of all while some wait: a pipe, a child, a lock. */
static void *wait_for_ever(void *gate)
{
	gate_wait(gate, 1);
	return NULL;
}

static void check_exit_group(void)
{
	struct gate g = gate_make();
	pthread_t thread;
	int status;
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

		pthread_mutex_lock(&lock);
		for (int i = 0; i < 5; i++)
			CHECK(pthread_create(&thread, NULL, wait_for_ever, &g) == 0);
		_exit(13);
	}
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 13);
	gate_end(&g);
}

int main(void)
{
	check_order();
	check_stops();
	check_groups_of_waits();
	check_clone_children();
	check_threads();
	check_pdeathsig();
	check_told();
	check_stop_told();
	check_unwanted();
	check_zombie();
	check_reparenting();
	check_orphaned_group();
	check_setpgid();
	check_leaderless();
	check_flags();
	check_shared_handlers();
	check_clear_handlers();
	check_set_tid();
	check_unshare();
	check_kcmp();
	check_personality();
	check_exit_group();
	puts("ok");
	return 0;
}
