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
