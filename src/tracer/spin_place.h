/* Where a task spins or computes, for people. */
#ifndef SHADOW_TRACER_SPIN_PLACE_H
#define SHADOW_TRACER_SPIN_PLACE_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct patcher;
struct task;

#define SPIN_PLACE_MAX 400

struct spin_place {
	char point[SPIN_PLACE_MAX]; /* as --yield-at takes it; "" if the code is no file's */
	char text[SPIN_PLACE_MAX];  /* function, source file and line, else the point, or address */
};

/* Task `t`, on the host `tid`, at `address` of its. */
void spin_place_find(struct patcher *p, pid_t tid, const struct task *t, uint64_t address,
		     struct spin_place *ret_place);

#endif
