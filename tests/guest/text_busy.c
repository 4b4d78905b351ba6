/*
 * A program that runs is not opened for writing, one that is open for writing does not run:
 * ETXTBSY in both directions, between processes, by scripts, interpreters, links and mappings.
 */
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

#define COPY   "busy.tmp"
#define SCRIPT "busy.sh"

static int fails(long result, int error)
{
	return result == -1 && errno == error;
}

static void copy(int in, const char *to)
{
	static char bytes[1 << 16];
	int out = open(to, O_WRONLY | O_CREAT, 0755);
	ssize_t n;

	CHECK(in >= 0 && out >= 0);
	while ((n = read(in, bytes, sizeof(bytes))) > 0)
		CHECK(write(out, bytes, (size_t)n) == n);
	CHECK(n == 0 && close(in) == 0 && close(out) == 0);
}

/* The errno that executing gives, 0 if it runs.  The program ends as its stdin does. */
static int run(const char *path, int fd)
{
	int gate[2], status;

	CHECK(pipe2(gate, O_CLOEXEC) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		char *args[] = {"busy", "wait", NULL}, *none[] = {NULL};
		dup2(gate[0], 0);
		if (path)
			execve(path, args, none);
		else
			syscall(SYS_execveat, fd, "", args, none, AT_EMPTY_PATH);
		_exit(errno);
	}
	close(gate[0]);
	close(gate[1]);
	CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* A process that runs the program until the returned pipe is closed. */
static pid_t start(const char *path, int *ret_gate)
{
	int gate[2], ready[2];
	char byte;

	CHECK(pipe2(gate, O_CLOEXEC) == 0 && pipe2(ready, O_CLOEXEC) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		dup2(gate[0], 0);
		dup2(ready[1], 1);
		execl(path, "busy", "wait", (char *)NULL);
		_exit(100);
	}
	close(gate[0]);
	close(ready[1]);
	CHECK(read(ready[0], &byte, 1) == 1);
	close(ready[0]);
	*ret_gate = gate[1];
	return child;
}

static void stop(pid_t child, int gate)
{
	int status;

	close(gate);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
}

static void check_writers_stop_exec(void)
{
	int fd = open(COPY, O_RDONLY);

	CHECK(fd >= 0 && run(COPY, -1) == 0 && run(NULL, fd) == 0 && close(fd) == 0);
	CHECK((fd = open(COPY, O_RDWR)) >= 0 && run(COPY, -1) == ETXTBSY);
	CHECK(run(NULL, fd) == ETXTBSY);
	int other = dup(fd);
	CHECK(close(fd) == 0 && run(COPY, -1) == ETXTBSY && chmod(COPY, 0644) == 0);
	CHECK(run(COPY, -1) == EACCES && chmod(COPY, 0755) == 0);
	/* Another name is the same file. */
	CHECK(link(COPY, "busy.link") == 0 && run("busy.link", -1) == ETXTBSY);
	CHECK(close(other) == 0 && run("busy.link", -1) == 0 && unlink("busy.link") == 0);
	CHECK((fd = open(COPY, O_WRONLY | O_APPEND)) >= 0 && run(COPY, -1) == ETXTBSY);
	CHECK(close(fd) == 0 && run(COPY, -1) == 0);
	CHECK((fd = open(COPY, O_PATH)) >= 0 && run(COPY, -1) == 0 && close(fd) == 0);
}

/* A mapping keeps the description. */
static void check_mappings(void)
{
	int fd = open(COPY, O_RDWR);
	char *p = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 0);

	CHECK(fd >= 0 && p != MAP_FAILED && close(fd) == 0 && run(COPY, -1) == ETXTBSY);
	CHECK(munmap(p, 4096) == 0 && run(COPY, -1) == ETXTBSY);
	CHECK(munmap(p + 4096, 4096) == 0 && run(COPY, -1) == 0);
	fd = open(COPY, O_RDONLY);
	CHECK((p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0)) != MAP_FAILED);
	CHECK(close(fd) == 0 && run(COPY, -1) == 0 && munmap(p, 4096) == 0);
}

static void check_running_stops_writers(void)
{
	int gate, fd;
	pid_t child = start(COPY, &gate);

	CHECK(fails(open(COPY, O_WRONLY), ETXTBSY) && fails(open(COPY, O_RDWR), ETXTBSY));
	CHECK(fails(open(COPY, O_WRONLY | O_CREAT, 0755), ETXTBSY));
	CHECK(fails(open(COPY, O_WRONLY | O_CREAT | O_EXCL, 0755), EEXIST));
	CHECK(fails(open(COPY, O_RDONLY | O_TRUNC), ETXTBSY));
	CHECK(fails(truncate(COPY, 10), ETXTBSY) && fails(truncate(COPY, -1), EINVAL));
	CHECK((fd = open(COPY, O_RDONLY)) >= 0 && close(fd) == 0);
	CHECK(run(COPY, -1) == 0 && fails(open(COPY, O_RDWR), ETXTBSY));
	/* Its metadata and names are nobody's concern. */
	CHECK(chmod(COPY, 0755) == 0 && rename(COPY, "busy.moved") == 0);
	CHECK(fails(open("busy.moved", O_RDWR), ETXTBSY) && rename("busy.moved", COPY) == 0);
	stop(child, gate);
	CHECK((fd = open(COPY, O_RDWR)) >= 0 && close(fd) == 0);
}

static void check_two(void)
{
	int gates[2], fd;
	pid_t a = start(COPY, &gates[0]), b = start(COPY, &gates[1]);

	stop(a, gates[0]);
	CHECK(fails(open(COPY, O_RDWR), ETXTBSY));
	stop(b, gates[1]);
	CHECK((fd = open(COPY, O_RDWR)) >= 0 && close(fd) == 0);
}

static void write_script(const char *interp)
{
	char line[64];
	int fd = open(SCRIPT, O_WRONLY | O_CREAT | O_TRUNC, 0755);
	int n = snprintf(line, sizeof(line), "#!%s wait\n", interp);

	CHECK(fd >= 0 && write(fd, line, (size_t)n) == n && close(fd) == 0);
}

static void check_scripts(void)
{
	int gate, fd;

	write_script(COPY);
	CHECK(run(SCRIPT, -1) == 0 && (fd = open(SCRIPT, O_WRONLY)) >= 0);
	CHECK(run(SCRIPT, -1) == ETXTBSY && close(fd) == 0 && (fd = open(COPY, O_RDWR)) >= 0);
	CHECK(run(SCRIPT, -1) == ETXTBSY && close(fd) == 0);
	/* What runs is the interpreter. */
	pid_t child = start(SCRIPT, &gate);
	CHECK((fd = open(SCRIPT, O_WRONLY)) >= 0 && close(fd) == 0);
	CHECK(fails(open(COPY, O_RDWR), ETXTBSY));
	stop(child, gate);
	CHECK(unlink(SCRIPT) == 0);
}

/* A child has the program too, until it executes another or ends. */
static void check_children(void)
{
	int status, fd;
	char *again[] = {"busy", "tree", NULL};
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		execv(COPY, again);
		_exit(100);
	}
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK((fd = open(COPY, O_RDWR)) >= 0 && close(fd) == 0);
}

/* As COPY: the parent's child runs it as well. */
static int tree(void)
{
	int gate[2], status, fd;
	char byte;

	CHECK(fails(open(COPY, O_RDWR), ETXTBSY) && pipe(gate) == 0);
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0) {
		close(gate[1]);
		CHECK(read(gate[0], &byte, 1) == 0 && fails(open(COPY, O_RDWR), ETXTBSY));
		_exit(0);
	}
	close(gate[1]);
	CHECK(waitpid(child, &status, 0) == child && status == 0);
	CHECK(fails(open(COPY, O_RDWR), ETXTBSY));
	/* A file that was unlinked runs on, a new one of its name is another. */
	int self = open(COPY, O_RDONLY);
	CHECK(unlink(COPY) == 0 && (fd = open(COPY, O_RDWR | O_CREAT, 0755)) >= 0);
	CHECK(close(fd) == 0 && unlink(COPY) == 0);
	copy(self, COPY);
	return 0;
}

int main(int argc, char **argv)
{
	char byte = 0;

	if (argc > 1 && strcmp(argv[1], "tree") == 0)
		return tree();
	if (argc > 1) {
		if (write(1, "", 1) == 1)
			return read(0, &byte, 1) != 0;
		return 1;
	}
	unlink(COPY);
	copy(open("/proc/self/exe", O_RDONLY), COPY);
	check_writers_stop_exec();
	check_mappings();
	check_running_stops_writers();
	check_two();
	check_scripts();
	check_children();
	CHECK(unlink(COPY) == 0);
	puts("text busy: ok");
	return 0;
}
