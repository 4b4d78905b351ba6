/*
 * SEED COUNT: random families of processes that fork, exit, are killed, stop and go on, and random
 * waits for them, printed by numbers of birth. Each change is awaited with waitid(WNOWAIT) before
 * the next step, so that the order is the same on bare Linux.
 */
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define SLOTS 24

enum state { FREE, RUNS, STOPPED, DEAD };

struct member {
	enum state state;
	pid_t pid;
	int number; /* of birth */
	int parent; /* slot, or -1: ours */
	int exit_signal;
	int command[2]; /* pipe it listens to */
};

static struct member members[SLOTS];
static int answer[2];
static int births;
static uint64_t seed;

static unsigned below(unsigned n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (unsigned)(seed >> 33) % n;
}

/* ---- the members ---- */

static pid_t fork_with(int exit_signal)
{
	return (pid_t)syscall(SYS_clone, exit_signal, NULL, NULL, NULL, 0);
}

/* Obeys until it is told to end: 'x' and a code, or 'f' and a slot for a child of its own. */
static void member_run(int slot)
{
	unsigned char c[2];

	for (;;) {
		if (read(members[slot].command[0], c, 2) != 2)
			_exit(100);
		if (c[0] == 'x')
			_exit(c[1]);
		pid_t child = fork();
		if (child == 0) {
			slot = c[1];
			continue;
		}
		if (write(answer[1], &child, sizeof(child)) != sizeof(child))
			_exit(101);
	}
}

static void tell(int slot, char what, int value)
{
	unsigned char c[2] = {(unsigned char)what, (unsigned char)value};

	CHECK(write(members[slot].command[1], c, 2) == 2);
}

/* A slot in that state whose parent we are (or any); -1 if there is none. */
static int pick(enum state state)
{
	unsigned first = below(SLOTS);

	for (unsigned i = 0; i < SLOTS; i++) {
		int slot = (int)((first + i) % SLOTS);

		if (members[slot].state == state && (state == FREE || members[slot].parent == -1))
			return slot;
	}
	return -1;
}

static void member_born(int slot, pid_t pid, int parent, int exit_signal)
{
	CHECK(pid > 0);
	members[slot].state = RUNS;
	members[slot].pid = pid;
	members[slot].number = births++;
	members[slot].parent = parent;
	members[slot].exit_signal = exit_signal;
}

static int number_of(pid_t pid)
{
	for (int i = 0; i < SLOTS; i++) {
		if (members[i].state != FREE && members[i].pid == pid)
			return members[i].number;
	}
	return -1;
}

static void reaped(pid_t pid)
{
	for (int i = 0; i < SLOTS; i++) {
		if (members[i].state == DEAD && members[i].pid == pid) {
			members[i].state = FREE;
			return;
		}
	}
	CHECK(!"reaped an unknown or living one");
}

static void await(int slot, int what)
{
	siginfo_t info;

	CHECK(waitid(P_PID, (id_t)members[slot].pid, &info, what | WNOWAIT | __WALL) == 0);
}

/* It is a zombie now, and its children are ours. */
static void died(int slot)
{
	await(slot, WEXITED);
	members[slot].state = DEAD;
	for (int i = 0; i < SLOTS; i++) {
		if (members[i].state != FREE && members[i].parent == slot) {
			members[i].parent = -1;
			members[i].exit_signal = SIGCHLD;
		}
	}
}

/* ---- steps ---- */

static void step_fork(void)
{
	static const int signals[] = {SIGCHLD, SIGCHLD, SIGCHLD, 0, SIGUSR1};
	int slot = pick(FREE), exit_signal = signals[below(5)];

	if (slot < 0)
		return;
	fflush(stdout);
	pid_t child = fork_with(exit_signal);
	if (child == 0)
		member_run(slot);
	member_born(slot, child, -1, exit_signal);
	printf("fork %d signal %d\n", members[slot].number, exit_signal);
}

static void step_grandchild(void)
{
	int parent = pick(RUNS), slot = pick(FREE);
	pid_t child;

	if (parent < 0 || slot < 0)
		return;
	tell(parent, 'f', slot);
	CHECK(read(answer[0], &child, sizeof(child)) == sizeof(child));
	member_born(slot, child, parent, SIGCHLD);
	printf("fork %d by %d\n", members[slot].number, members[parent].number);
}

static void step_exit(void)
{
	int slot = pick(RUNS), code = (int)below(256);

	if (slot < 0)
		return;
	tell(slot, 'x', code);
	died(slot);
	printf("exit %d %d\n", members[slot].number, code);
}

static void step_kill(void)
{
	const int signals[] = {SIGKILL, SIGTERM, SIGHUP, SIGALRM, SIGRTMIN + 3};
	int slot = pick(below(3) == 0 ? STOPPED : RUNS), sig = signals[below(5)];

	if (slot < 0)
		return;
	if (members[slot].state == STOPPED)
		sig = SIGKILL;
	CHECK(kill(members[slot].pid, sig) == 0);
	died(slot);
	printf("kill %d %d\n", members[slot].number, sig);
}

static void step_stop(void)
{
	int slot = pick(RUNS);

	if (slot < 0)
		return;
	CHECK(kill(members[slot].pid, SIGSTOP) == 0);
	await(slot, WSTOPPED);
	members[slot].state = STOPPED;
	printf("stop %d\n", members[slot].number);
}

static void step_continue(void)
{
	int slot = pick(STOPPED);

	if (slot < 0)
		return;
	CHECK(kill(members[slot].pid, SIGCONT) == 0);
	await(slot, WCONTINUED);
	members[slot].state = RUNS;
	printf("continue %d\n", members[slot].number);
}

static pid_t some_pid(void)
{
	enum state states[] = {RUNS, STOPPED, DEAD};
	int slot = pick(states[below(3)]);

	return slot < 0 ? 4000000 : members[slot].pid;
}

static void step_group(void)
{
	pid_t pid = some_pid(), group = below(2) ? some_pid() : getpgrp();
	int result = setpgid(pid, group);

	printf("group %d in %d: %d %s\n", number_of(pid), number_of(group), result,
	       result < 0 ? strerror(errno) : "");
}

static void step_signal_nothing(void)
{
	pid_t pid = some_pid();
	int one = kill(pid, 0), all = kill(-pid, 0), group = getpgid(pid);

	printf("look %d: %d %d %d\n", number_of(pid), one, all,
	       group == getpgrp() ? -2 : number_of(group));
}

static unsigned some_of(const unsigned *set, unsigned n)
{
	unsigned options = 0;

	for (unsigned i = 0; i < n; i++)
		options |= below(3) == 0 ? set[i] : 0;
	return options;
}

static void step_wait4(void)
{
	static const unsigned set[] = {WUNTRACED, WCONTINUED, __WALL, __WCLONE, __WNOTHREAD};
	unsigned options = some_of(set, 5) | WNOHANG;
	pid_t which[] = {-1, -1, 0, some_pid(), -some_pid()}, pid = which[below(5)];
	int status = -1;
	pid_t result = wait4(pid, &status, (int)options, NULL);

	printf("wait4 %x: %d %s %x\n", options, result > 0 ? number_of(result) : (int)result,
	       result < 0 ? strerror(errno) : "", (unsigned)status);
	if (result > 0 && (WIFEXITED(status) || WIFSIGNALED(status)))
		reaped(result);
}

static void step_waitid(void)
{
	static const unsigned set[] = {WSTOPPED, WCONTINUED, WEXITED, __WALL, __WCLONE, WNOWAIT};
	unsigned options = some_of(set, 6) | WNOHANG, kind = below(4);
	static const idtype_t types[] = {P_ALL, P_PID, P_PGID, P_ALL};
	siginfo_t info;

	memset(&info, 0, sizeof(info));
	int result = waitid(types[kind], (id_t)some_pid(), &info, (int)options);
	int number = result == 0 && info.si_pid != 0 ? number_of(info.si_pid) : -1;

	printf("waitid %d %x: %d %s %d %d %d\n", types[kind], options, result,
	       result < 0 ? strerror(errno) : "", number, info.si_code, info.si_status);
	if (number >= 0 && !(options & WNOWAIT) &&
	    (info.si_code == CLD_EXITED || info.si_code == CLD_KILLED ||
	     info.si_code == CLD_DUMPED))
		reaped(info.si_pid);
}

static void finish(void)
{
	int status;
	pid_t pid;

	for (int i = 0; i < SLOTS; i++) {
		for (int k = 0; k < SLOTS; k++) {
			if ((members[k].state == RUNS || members[k].state == STOPPED) &&
			    members[k].parent == -1) {
				CHECK(kill(members[k].pid, SIGKILL) == 0);
				died(k);
			}
		}
	}
	while ((pid = waitpid(-1, &status, __WALL)) > 0) {
		printf("last %d %x\n", number_of(pid), (unsigned)status);
		reaped(pid);
	}
	CHECK(errno == ECHILD);
}

int main(int argc, char **argv)
{
	static void (*const steps[])(void) = {
		step_fork,  step_fork,	 step_fork,	      step_grandchild, step_exit,
		step_kill,  step_stop,	 step_stop,	      step_continue,   step_continue,
		step_group, step_group,	 step_signal_nothing, step_wait4,      step_wait4,
		step_wait4, step_waitid, step_waitid,	      step_waitid,
	};

	setvbuf(stdout, NULL, _IOLBF, 0);
	CHECK(argc == 3);
	seed = strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15u + 1;
	/* Below a parent in another group of the session: so ours is never orphaned. */
	pid_t child = fork();
	int status;
	if (child != 0)
		return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
	CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && pipe(answer) == 0);
	signal(SIGUSR1, SIG_IGN);
	setpgid(0, 0);
	for (int i = 0; i < SLOTS; i++)
		CHECK(pipe(members[i].command) == 0);
	for (int i = atoi(argv[2]); i > 0; i--)
		steps[below(sizeof(steps) / sizeof(steps[0]))]();
	finish();
	return 0;
}
