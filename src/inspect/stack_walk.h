/* The call stack of a stopped task. */
#ifndef SHADOW_INSPECT_STACK_WALK_H
#define SHADOW_INSPECT_STACK_WALK_H

#include "task_view.h"

#define STACK_FRAMES_MAX 64

struct stack_frame {
	uint64_t address;
	bool exact; /* the place itself, as of a signal's; else it is behind a call */
};

/*
 * The frames of the stack, innermost first: the task's own, then where each caller goes on.
 * Ends early where there is nothing to go by.  How many, at most STACK_FRAMES_MAX.
 */
size_t stack_walk(struct task_view *view, struct stack_frame ret_frames[STACK_FRAMES_MAX]);

#endif
