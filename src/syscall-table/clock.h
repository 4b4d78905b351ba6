/* The clocks that an id of clock_gettime and its like can name, and what they show. */
#ifndef SHADOW_CLOCK_H
#define SHADOW_CLOCK_H

#include "../shim/shim_abi.h"
#include "../shim/task.h"

enum clock_kind {
	CLOCK_KIND_WALL, /* since 1970; as there are no leap seconds inside, TAI too */
	CLOCK_KIND_BOOT, /* since the container's boot; it never sleeps, so all of these are one */
	CLOCK_KIND_PROC, /* cpu time of a process */
	CLOCK_KIND_THREAD,
};

/* What else an id is good for. */
enum clock_use {
	CLOCK_HIDDEN = 1, /* needs an RTC to be read, and there is none */
	CLOCK_TIMES = 2,  /* timer_create */
	CLOCK_SLEEPS = 4, /* clock_nanosleep */
	CLOCK_FILES = 8,  /* timerfd_create */
	CLOCK_COARSE = 16 /* ticks */
};

struct clock {
	u32 kind;
	u32 use;  /* enum clock_use */
	u32 proc; /* of a cpu clock */
	u32 id;	  /* pid or tid of a cpu clock */
};

#define CLOCK_TICK_NS 4000000 /* what coarse clocks count */

/*
 * The clock of that id, as t sees it.  Those of cpu time of any process can be read, but of the
 * caller's alone if it names a thread.  -EINVAL: there is none, or a process that is not there.
 */
long clock_find(struct task *t, s32 id, struct clock *ret);

/* The same for a use (enum clock_use); -EOPNOTSUPP: it cannot be used so. */
long clock_find_for(struct task *t, s32 id, u32 use, struct clock *ret);

/* To read a clock a thread may name its process by its own id: the id that names it by the
 * process's.
 */
s32 clock_id_read(const struct task *t, s32 id);

/* What it shows now; false if the process or thread is no more. */
bool clock_now(const struct clock *c, u64 *ret_ns);

static inline bool clock_is_cpu(const struct clock *c)
{
	return c->kind >= CLOCK_KIND_PROC;
}

#endif
