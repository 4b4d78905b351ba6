/*
 * See verify.h.  Each run is a process of its own, because a container occupies fixed addresses and
 * the process's signal handlers; results come back through shared memory.
 *
 * Standard input is put aside once: a file is rewound, anything else is kept in a memory file and
 * fed to both runs through a pipe.
 */
#include "verify.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct input {
	int spool;   /* memory file, or -1: descriptor 0 is used as it is */
	off_t start; /* of a regular file; -1: not seekable */
};

static void say(const struct session_options *o, const char *what)
{
	fprintf(stderr, "%s: --verify: %s\n", o->tool, what);
}

static bool write_all(int fd, const char *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		size -= (size_t)n;
	}
	return true;
}

static int copy_all(int from, int to)
{
	static char bytes[65536];

	for (;;) {
		ssize_t n = read(from, bytes, sizeof(bytes));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : 0;
		if (!write_all(to, bytes, (size_t)n))
			return -errno;
	}
}

static int input_take(struct input *in)
{
	struct stat st;

	*in = (struct input){-1, -1};
	if (fstat(0, &st) < 0 || (S_ISCHR(st.st_mode) && !isatty(0)))
		return 0;
	if (S_ISREG(st.st_mode)) {
		in->start = lseek(0, 0, SEEK_CUR);
		return 0;
	}
	in->spool = memfd_create("shadow-stdin", MFD_CLOEXEC);
	return in->spool < 0 ? -errno : copy_all(0, in->spool);
}

/* A process that writes what was kept into a pipe, whose other end becomes descriptor 0. */
static pid_t feed(const struct input *in)
{
	int ends[2];

	if (pipe(ends) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		lseek(in->spool, 0, SEEK_SET);
		_exit(copy_all(in->spool, ends[1]) < 0);
	}
	close(ends[1]);
	if (pid > 0)
		dup2(ends[0], 0);
	close(ends[0]);
	return pid;
}

static _Noreturn void child(const struct session_options *options, struct session_result *result)
{
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	session_run(options, result);
	fflush(NULL);
	_exit(0);
}

static int wait_for(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return status == 0 ? 0 : -EPIPE;
}

static int run_once(const struct session_options *options, const struct input *in,
		    struct session_result *result)
{
	pid_t feeder = 0;

	if (in->start >= 0 && lseek(0, in->start, SEEK_SET) < 0)
		return -errno;
	if (in->spool >= 0 && (feeder = feed(in)) < 0)
		return -errno;
	result->status = 125;
	pid_t pid = fork();
	if (pid == 0)
		child(options, result);
	int error = pid < 0 ? -errno : wait_for(pid);
	if (feeder > 0) {
		/* It may still hold bytes the program never read. */
		kill(feeder, SIGKILL);
		wait_for(feeder);
	}
	return error;
}

static void compare(const struct session_options *o, struct session_result results[2])
{
	const struct session_result *a = &results[0], *b = &results[1];

	if (a->status == b->status && a->digest == b->digest && a->events == b->events &&
	    memcmp(a->output_hash, b->output_hash, sizeof(a->output_hash)) == 0)
		return;
	fprintf(stderr,
		"%s: --verify: the runs differ: status %d and %d, events %" PRIu64 " and %" PRIu64
		", digest %016" PRIx64 " and %016" PRIx64 "%s\n",
		o->tool, a->status, b->status, a->events, b->events, a->digest, b->digest,
		memcmp(a->output_hash, b->output_hash, sizeof(a->output_hash)) != 0
			? ", and the output"
			: "");
	results[0].status = 125;
}

static int run_both(const struct session_options *options, struct session_result results[2])
{
	struct session_options first = *options, second = *options;
	struct input in;
	int error = input_take(&in);

	/* The second run must find and leave the outputs as the first did. */
	first.no_files = second.no_files = true;
	second.mute = second.quiet = true;
	if (error == 0)
		error = run_once(&first, &in, &results[0]);
	if (error == 0)
		error = run_once(&second, &in, &results[1]);
	if (in.spool >= 0)
		close(in.spool);
	return error;
}

void verify_run(const struct session_options *options, struct session_result *ret_result)
{
	size_t size = 2 * sizeof(struct session_result);
	struct session_result *results =
		mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	memset(ret_result, 0, sizeof(*ret_result));
	ret_result->status = 125;
	if (results == MAP_FAILED) {
		say(options, strerror(errno));
		return;
	}
	/* A terminal sends these to the runs as well. */
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	int error = run_both(options, results);
	if (error < 0)
		say(options, strerror(-error));
	else
		compare(options, results);
	*ret_result = results[0];
	if (error < 0)
		ret_result->status = 125;
	munmap(results, size);
}
