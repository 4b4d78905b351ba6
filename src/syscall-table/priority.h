/*
 * What a program says of the importance of its tasks: nice values, policies, processors, input and
 * output. All of it is remembered and shown; the scheduler goes by none of it.
 */
#ifndef SHADOW_PRIORITY_H
#define SHADOW_PRIORITY_H

#include "../shim/shim.h"

#define AFFINITY_WORDS 16 /* 1,024 processors */

/* Of a task, by its slot; all zero at first. */
struct priority {
	s32 nice;
	u32 policy, rt_priority, reset_on_fork;
	u32 ioprio;
	u32 mce_kill;		      /* PR_MCE_KILL_*, plus 1; 0: the default */
	u64 timer_slack_ns;	      /* 0: the default */
	u64 default_slack_ns;	      /* its maker's; 0: what every process starts with */
	u64 affinity[AFFINITY_WORDS]; /* all zero: all processors */
};

#define REGION_PRIORITY_OFF (REGION_PROC_OFF + 0xa000000)
#define PRIORITIES	    REGION_AT(struct priority, REGION_PRIORITY_OFF)
_Static_assert(REGION_PRIORITY_OFF + sizeof(struct priority) * TASK_SLOTS_MAX <= REGION_MM_OFF,
	       "fits");

static inline struct priority *priority_of(const struct task *t)
{
	return &PRIORITIES[t->index];
}

/* The processors it may run on, AFFINITY_WORDS words. */
void priority_affinity(const struct priority *of, u64 *ret_mask);
u64 priority_slack_ns(const struct task *t);

/* A new task's, from its maker's. */
void priority_inherit(const struct task *t, const struct task *child);

#endif
