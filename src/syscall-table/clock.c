/*
 * Clock ids: fixed ones, and those below 0 that name the cpu time of a process or a thread.  All
 * clocks show virtual time.  Owns nothing.
 */
#include <asm/errno.h>
#include <linux/time.h>
#include "../shim/shim.h"
#include "../shim/signal.h"
#include "clock.h"
#include "wait.h"

/* ~pid << 3 | per-thread << 2 | which; 3 for which names a descriptor of a clock device. */
#define ID_THREAD     4
#define ID_WHICH      3
#define ID_WHICH_TICK 1 /* up to here the tick is what counts them in Linux */
#define ID_BITS	      3
#define ID_BITS_MASK  7

static const struct clock by_id[] = {
	[CLOCK_REALTIME] = {CLOCK_KIND_WALL, CLOCK_TIMES | CLOCK_SLEEPS | CLOCK_FILES, 0, 0},
	[CLOCK_MONOTONIC] = {CLOCK_KIND_BOOT, CLOCK_TIMES | CLOCK_SLEEPS | CLOCK_FILES, 0, 0},
	[CLOCK_PROCESS_CPUTIME_ID] = {CLOCK_KIND_PROC, CLOCK_TIMES | CLOCK_SLEEPS, 0, 0},
	[CLOCK_THREAD_CPUTIME_ID] = {CLOCK_KIND_THREAD, CLOCK_TIMES, 0, 0},
	[CLOCK_MONOTONIC_RAW] = {CLOCK_KIND_BOOT, 0, 0, 0},
	[CLOCK_REALTIME_COARSE] = {CLOCK_KIND_WALL, CLOCK_COARSE, 0, 0},
	[CLOCK_MONOTONIC_COARSE] = {CLOCK_KIND_BOOT, CLOCK_COARSE, 0, 0},
	[CLOCK_BOOTTIME] = {CLOCK_KIND_BOOT, CLOCK_TIMES | CLOCK_SLEEPS | CLOCK_FILES, 0, 0},
	[CLOCK_REALTIME_ALARM] = {CLOCK_KIND_WALL, CLOCK_HIDDEN | CLOCK_FILES, 0, 0},
	[CLOCK_BOOTTIME_ALARM] = {CLOCK_KIND_BOOT, CLOCK_HIDDEN | CLOCK_FILES, 0, 0},
	[CLOCK_TAI] = {CLOCK_KIND_WALL, CLOCK_TIMES | CLOCK_SLEEPS, 0, 0},
};
#define CLOCK_SGI_CYCLE_ID 10 /* number 10 is none any more */

static long cpu_clock(struct task *t, s32 id, struct clock *ret)
{
	u32 pid = ~(u32)(id >> ID_BITS);
	bool thread = id & ID_THREAD;

	ret->kind = thread ? CLOCK_KIND_THREAD : CLOCK_KIND_PROC;
	ret->use = CLOCK_TIMES | CLOCK_SLEEPS;
	if ((id & ID_WHICH) <= ID_WHICH_TICK)
		ret->use |= CLOCK_COARSE;
	ret->proc = t->proc;
	ret->id = pid != 0 ? pid : thread ? t->tid : proc_of(t)->pid;
	if (pid == 0)
		return 0;
	if (thread)
		return proc_find_tid(t->proc, pid) != NULL ? 0 : -EINVAL;
	ret->proc = proc_find_pid(pid);
	return ret->proc != NONE ? 0 : -EINVAL;
}

s32 clock_id_read(const struct task *t, s32 id)
{
	bool own = (id & ~ID_WHICH) == (s32)(~t->tid << ID_BITS);

	return own ? (s32)(~proc_of(t)->pid << ID_BITS) | (id & ID_WHICH) : id;
}

long clock_find(struct task *t, s32 id, struct clock *ret)
{
	if (id < 0)
		return (id & ID_WHICH) == ID_WHICH ? -EINVAL : cpu_clock(t, id, ret);
	if ((u32)id >= sizeof(by_id) / sizeof(*by_id) || id == CLOCK_SGI_CYCLE_ID)
		return -EINVAL;
	*ret = by_id[id];
	ret->proc = t->proc;
	ret->id = ret->kind == CLOCK_KIND_THREAD ? t->tid : proc_of(t)->pid;
	return 0;
}

static bool is_device(s32 id)
{
	return id < 0 && (id & ID_BITS_MASK) == ID_WHICH;
}

long clock_find_for(struct task *t, s32 id, u32 use, struct clock *ret)
{
	long error = clock_find(t, id, ret);

	if (error < 0)
		return is_device(id) ? -EOPNOTSUPP : error;
	return ret->use & use ? 0 : -EOPNOTSUPP;
}

bool clock_now(const struct clock *c, u64 *ret_ns)
{
	const struct task *thread;

	switch (c->kind) {
	case CLOCK_KIND_WALL:
		*ret_ns = now_ns();
		return true;
	case CLOCK_KIND_BOOT:
		*ret_ns = now_ns() - clock_monotonic_base();
		return true;
	case CLOCK_KIND_PROC:
		*ret_ns = proc_cpu_ns(c->proc);
		return proc_at(c->proc)->state != PROC_FREE && proc_at(c->proc)->pid == c->id;
	default:
		thread = proc_find_tid(c->proc, c->id);
		*ret_ns = thread != NULL ? thread->events * HEAD->config.time_step_ns : 0;
		return thread != NULL;
	}
}
