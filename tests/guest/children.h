/* Of the children of a guest program: how they ended, and that they wait. */
#ifndef SHADOW_GUEST_CHILDREN_H
#define SHADOW_GUEST_CHILDREN_H

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"

static inline int status_of(pid_t pid)
{
	int status;

	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* `check` in a process of its own. */
static inline void in_child(void (*check)(void))
{
	pid_t child = fork();

	CHECK(child >= 0);
	if (child == 0) {
		check();
		_exit(0);
	}
	CHECK(status_of(child) == 0);
}

/* `what` in a process of somebody else's; its status. */
static inline int as_somebody(void (*what)(int arg), int arg)
{
	pid_t pid = fork();

	if (pid == 0) {
		if (setgid(1234) || setuid(1234))
			_exit(77);
		what(arg);
		_exit(0);
	}
	return status_of(pid);
}

static inline void await_sleep(pid_t pid)
{
	char path[64], state = 0;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	while (state != 'S') {
		FILE *stat = fopen(path, "r");
		CHECK(stat && fscanf(stat, "%*d (%*[^)]) %c", &state) == 1);
		fclose(stat);
		usleep(1000);
	}
}

#endif
