/*
 * exec: errors and their order, scripts and interpreters that are scripts, arguments that are none
 * or too many, descriptors that close and that stay, fexecve of a deleted file, what a new
 * program inherits, and exec from a thread with others running. Works in its folder.
 */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

extern char **environ;

static const char *self;
static char *empty[] = {NULL};

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

static void put_file(const char *path, const char *text, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	CHECK(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	CHECK(fchmod(fd, mode) == 0 && close(fd) == 0);
}

static int status_of(pid_t child)
{
	int status;

	CHECK(child >= 0 && waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int run(const char *path, char *const argv[], char *const envp[])
{
	pid_t child = fork();

	if (child == 0) {
		execve(path, argv, envp);
		_exit(errno);
	}
	return status_of(child);
}

static int run_self(char *what, char *more)
{
	char *argv[] = {(char *)self, what, more, NULL};

	return run(self, argv, environ);
}

/* ---- errors ---- */

static void check_errors(void)
{
	char *argv[] = {"x", NULL}, long_name[5000];

	put_file("plain.tmp", "hello", 0644);
	put_file("text.tmp", "hello", 0755);
	put_file("empty.tmp", "", 0755);
	CHECK(run("none.tmp", argv, empty) == ENOENT && run("", argv, empty) == ENOENT);
	CHECK(run("plain.tmp", argv, empty) == EACCES && run(".", argv, empty) == EACCES);
	CHECK(run("plain.tmp/x", argv, empty) == ENOTDIR);
	CHECK(run("text.tmp", argv, empty) == ENOEXEC && run("empty.tmp", argv, empty) == ENOEXEC);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = 0;
	CHECK(run(long_name, argv, empty) == ENAMETOOLONG);
	long_name[300] = 0;
	CHECK(run(long_name, argv, empty) == ENAMETOOLONG);
	CHECK(fails(syscall(SYS_execve, 16, argv, empty), EFAULT));
	CHECK(fails(syscall(SYS_execve, self, 16, empty), EFAULT));
	CHECK(symlink("loop.tmp", "loop.tmp") == 0 && run("loop.tmp", argv, empty) == ELOOP);
	CHECK(fails(execveat(AT_FDCWD, self, argv, empty, 1), EINVAL));
	CHECK(fails(execveat(999, "x", argv, empty, 0), EBADF));
	CHECK(fails(execveat(999, "", argv, empty, AT_EMPTY_PATH), EBADF));
	CHECK(fails(execveat(AT_FDCWD, "loop.tmp", argv, empty, AT_SYMLINK_NOFOLLOW), ELOOP));
}

/* ---- scripts ---- */

static void check_scripts(void)
{
	char *argv[] = {"zero", "one", NULL};

	put_file("arg.tmp", "#!/bin/sh -eu  \ntest \"$0\" = ./arg.tmp; exit 5\n", 0755);
	CHECK(run("./arg.tmp", argv, empty) == 5);
	put_file("a.tmp",
		 "#! /bin/sh\ntest $# = 2 && test $1 = ./b.tmp && test $2 = one && exit 6\n", 0755);
	put_file("b.tmp", "#!./a.tmp", 0755);
	CHECK(run("./b.tmp", argv, empty) == 6);
	put_file("gone.tmp", "#!/none/such\n", 0755);
	CHECK(run("./gone.tmp", argv, empty) == ENOENT);
	put_file("dir.tmp", "#!/\n", 0755);
	CHECK(run("./dir.tmp", argv, empty) == EACCES);
	put_file("nothing.tmp", "#!\n", 0755);
	CHECK(run("./nothing.tmp", argv, empty) == ENOEXEC);
	put_file("self.tmp", "#!./self.tmp\n", 0755);
	CHECK(run("./self.tmp", argv, empty) == ELOOP);
	put_file("c1.tmp", "#!/bin/sh\nexit 7\n", 0755);
	put_file("c2.tmp", "#!./c1.tmp\n", 0755);
	put_file("c3.tmp", "#!./c2.tmp\n", 0755);
	put_file("c4.tmp", "#!./c3.tmp\n", 0755);
	put_file("c5.tmp", "#!./c4.tmp\n", 0755);
	put_file("c6.tmp", "#!./c5.tmp\n", 0755);
	CHECK(run("./c4.tmp", argv, empty) == 7 && run("./c5.tmp", argv, empty) == 7);
	CHECK(run("./c6.tmp", argv, empty) == ELOOP);
}

/* ---- arguments ---- */

static void check_arguments(void)
{
	size_t size = 128 << 10;
	char *big = malloc(size + 1);
	char *one[] = {"x", big, NULL};
	char *many[200];

	CHECK(run(self, empty, environ) == 0); /* argc is 1 all the same */
	CHECK(run(self, NULL, environ) == 0);
	memset(big, 'x', size);
	big[size] = 0;
	CHECK(run("/bin/true", one, empty) == E2BIG);
	big[size - 1] = 0;
	CHECK(run("/bin/true", one, empty) == 0);
	for (int i = 0; i < 199; i++)
		many[i] = big;
	many[199] = NULL;
	CHECK(run("/bin/true", many, empty) == E2BIG && run("/bin/true", one, many) == E2BIG);
	many[10] = NULL;
	CHECK(run("/bin/true", many, empty) == 0);
	free(big);
}

/* ---- what stays ---- */

static void check_descriptors(void)
{
	int stays = open("/dev/null", O_RDONLY), goes = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char numbers[32];

	snprintf(numbers, sizeof(numbers), "%d %d", stays, goes);
	CHECK(run_self("descriptors", numbers) == 0);
	close(stays);
	close(goes);
}

static int after_descriptors(const char *numbers)
{
	int stays, goes;

	CHECK(sscanf(numbers, "%d %d", &stays, &goes) == 2);
	CHECK(fcntl(stays, F_GETFD) == 0 && fails(fcntl(goes, F_GETFD), EBADF));
	return 0;
}

static void on_signal(int sig)
{
	(void)sig;
}

/* Mask, ignored signals, pending ones, limits, name, nice value, alarm. */
static void check_inherited(void)
{
	pid_t child = fork();
	sigset_t set;

	if (child == 0) {
		struct rlimit limit = {50, 60};

		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigaddset(&set, SIGUSR2);
		sigprocmask(SIG_BLOCK, &set, NULL);
		signal(SIGUSR2, on_signal);
		signal(SIGHUP, SIG_IGN);
		raise(SIGUSR1);
		CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0 &&
		      setpriority(PRIO_PROCESS, 0, 3) == 0);
		CHECK(prctl(PR_SET_NAME, "another") == 0);
		umask(027);
		CHECK(prctl(PR_SET_PDEATHSIG, SIGTERM) == 0 && prctl(PR_SET_DUMPABLE, 0) == 0);
		CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0 && prctl(PR_SET_TIMERSLACK, 777) == 0);
		alarm(1000);
		char *argv[] = {(char *)self, "inherited", NULL};
		execve(self, argv, environ);
		_exit(99);
	}
	CHECK(status_of(child) == 0);
}

static int after_inherited(void)
{
	struct sigaction action;
	struct rlimit limit;
	sigset_t set;
	char name[16];
	int sig;

	CHECK(sigprocmask(SIG_BLOCK, NULL, &set) == 0 && sigismember(&set, SIGUSR1));
	CHECK(sigpending(&set) == 0 && sigismember(&set, SIGUSR1) && !sigismember(&set, SIGUSR2));
	CHECK(sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN);
	CHECK(sigaction(SIGUSR2, NULL, &action) == 0 && action.sa_handler == SIG_DFL);
	CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == 50);
	CHECK(getpriority(PRIO_PROCESS, 0) == 3 && umask(0) == 027 && alarm(0) > 900);
	CHECK(prctl(PR_GET_NAME, name) == 0 && strcmp(name, "exec_edges") == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &sig) == 0 && sig == SIGTERM && prctl(PR_GET_DUMPABLE) == 1);
	CHECK(prctl(PR_GET_CHILD_SUBREAPER, &sig) == 0 && sig == 1);
	CHECK(prctl(PR_GET_TIMERSLACK) == 777);
	return 0;
}

/* ---- by descriptor ---- */

static void check_fexecve(void)
{
	char *argv[] = {"named", "execfn", "/dev/fd/", NULL};
	int fd = open(self, O_RDONLY | O_CLOEXEC), script;
	pid_t child = fork();

	if (child == 0) {
		fexecve(fd, argv, environ);
		_exit(99);
	}
	CHECK(status_of(child) == 0);
	/* It is gone by name, but not by descriptor. */
	put_file("deleted.tmp", "#!/bin/sh\nexit 11\n", 0755);
	CHECK((script = open("deleted.tmp", O_RDONLY)) >= 0 && unlink("deleted.tmp") == 0);
	child = fork();
	if (child == 0) {
		fexecve(script, argv, environ);
		_exit(99);
	}
	CHECK(status_of(child) == 11);
	CHECK(fcntl(script, F_SETFD, FD_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		/* The interpreter could not open it. */
		fexecve(script, argv, environ);
		_exit(errno + 100);
	}
	CHECK(status_of(child) == ENOENT + 100);
	close(script);
	close(fd);
	argv[2] = (char *)self;
	CHECK(run(self, argv, environ) == 0);
}

static int after_execfn(const char *begin)
{
	const char *name = (const char *)getauxval(AT_EXECFN);

	CHECK(strncmp(name, begin, strlen(begin)) == 0);
	return 0;
}

/* ---- threads ---- */

static int go[2];

static void *wait_for_ever(void *unused)
{
	char byte;

	CHECK(read(go[0], &byte, 1) == 1);
	return unused;
}

static void *exec_in_thread(void *text)
{
	char *argv[] = {(char *)self, "alone", text, NULL};

	execve(self, argv, environ);
	_exit(99);
}

static void check_threads(void)
{
	pthread_t thread;
	char text[32];
	pid_t child;

	CHECK(pipe2(go, O_CLOEXEC) == 0);
	child = fork();
	if (child == 0) {
		snprintf(text, sizeof(text), "%d", getpid());
		for (int i = 0; i < 4; i++)
			CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
		CHECK(pthread_create(&thread, NULL, exec_in_thread, text) == 0);
		wait_for_ever(NULL);
	}
	CHECK(status_of(child) == 0);
	/* One that fails leaves all as it was. */
	child = fork();
	if (child == 0) {
		CHECK(pthread_create(&thread, NULL, wait_for_ever, NULL) == 0);
		CHECK(fails(execve("none.tmp", empty, empty), ENOENT));
		CHECK(write(go[1], "x", 1) == 1 && pthread_join(thread, NULL) == 0);
		_exit(0);
	}
	CHECK(status_of(child) == 0);
	close(go[0]);
	close(go[1]);
}

static int after_alone(const char *pid)
{
	CHECK(getpid() == atoi(pid) && syscall(SYS_gettid) == getpid());
	CHECK(fails(wait(NULL), ECHILD));
	return 0;
}

static void remove_all(void)
{
	CHECK(system("rm -f ./*.tmp") == 0);
}

static int after_exec(int argc, char **argv)
{
	if (argc < 2)
		return argc == 1 ? 0 : 1;
	if (strcmp(argv[1], "descriptors") == 0)
		return after_descriptors(argv[2]);
	if (strcmp(argv[1], "inherited") == 0)
		return after_inherited();
	if (strcmp(argv[1], "execfn") == 0)
		return after_execfn(argv[2]);
	return after_alone(argv[2]);
}

int main(int argc, char **argv)
{
	self = argv[0];
	if (argc != 2 || strcmp(argv[1], "all") != 0)
		return after_exec(argc, argv);
	check_errors();
	check_scripts();
	check_arguments();
	check_descriptors();
	check_inherited();
	check_fexecve();
	check_threads();
	remove_all();
	puts("ok");
	return 0;
}
