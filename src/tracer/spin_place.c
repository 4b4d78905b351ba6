/*
 * See spin_place.h.  Functions and lines are libdw's business, which this library does without, so
 * that tools without it start fast: shadow-replay, which lies beside us, is asked.  Without it the
 * message is only poorer.
 */
#include "spin_place.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "patcher.h"

#define TIME_LIMIT_S 10

/* The tool in the folder of this one. */
static bool tool_path(char path[PATH_MAX])
{
	static const char name[] = "shadow-replay";
	ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof(name));

	if (n <= 0)
		return false;
	path[n] = '\0';
	strcpy(strrchr(path, '/') + 1, name);
	return true;
}

static _Noreturn void ask(int out, const char *file, uint64_t address)
{
	char path[PATH_MAX], number[32];
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	alarm(TIME_LIMIT_S);
	snprintf(number, sizeof(number), "%#" PRIx64, address);
	if (tool_path(path) && dup2(out, STDOUT_FILENO) >= 0)
		execl(path, path, "code-place", file, number, (char *)NULL);
	_exit(1);
}

/* What the tool says, or "". */
static void read_answer(pid_t tid, const char *object, uint64_t address, char *text, size_t size)
{
	char file[PATH_MAX + 40];
	size_t have = 0;
	ssize_t n;
	int ends[2];

	text[0] = '\0';
	snprintf(file, sizeof(file), "/proc/%d/root%s", (int)tid, object);
	if (pipe(ends) < 0)
		return;
	pid_t pid = fork();
	if (pid == 0)
		ask(ends[1], file, address);
	close(ends[1]);
	while (pid > 0 && have < size - 1 && (n = read(ends[0], text + have, size - 1 - have)) != 0)
		have += n > 0 ? (size_t)n : 0;
	text[have] = '\0';
	close(ends[0]);
	while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
}

void spin_place_find(struct patcher *p, pid_t tid, const struct task *t, uint64_t address,
		     struct spin_place *ret_place)
{
	const char *object;
	uint64_t linked;

	ret_place->point[0] = '\0';
	snprintf(ret_place->text, sizeof(ret_place->text), "0x%" PRIx64, address);
	if (!patcher_place(p, tid, t, address, &object, &linked))
		return;
	snprintf(ret_place->point, sizeof(ret_place->point), "%.200s+0x%" PRIx64,
		 strrchr(object, '/') + 1, linked);
	read_answer(tid, object, linked, ret_place->text, sizeof(ret_place->text));
	if (ret_place->text[0] == '\0')
		strcpy(ret_place->text, ret_place->point);
}
