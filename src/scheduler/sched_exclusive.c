/*
 * The exclusive policy: exactly one task runs at a time.
 *
 * The holder of the turn keeps it until it parks, exits, yields or used its slice of events; the
 * next one is the runnable task with the least (logical clock, task number). Holding on for long
 * is what makes it cheap: between two hand-overs (about 2 us) lie thousands of events at no cost
 * but a counter. Always taking the least clock is what makes it fair: a clock counts events, so
 * who had fewer goes first, and nobody waits for longer than the others need to catch up.
 *
 * Three rules keep the clocks close together, so that catching up stays short:
 *  - A woken task's clock is raised to its waker's (scheduler.c). Otherwise who slept through a
 *    million events could spin through a million before anyone else got the turn. For the same
 *    reason a timeout or input raises it to the clock of the current or last holder.
 *  - A child starts at its parent's clock, and runs first: programs are tuned to a child that is
 *    there when fork returns, and it often goes straight to exec or to waiting for work. It runs
 *    on what is left of its parent's slice: children that go on making children would otherwise
 *    keep everybody else from running for ever.
 *  - Who yields wants others to run: its clock is raised to one past the next task's. With the
 *    plain rule a loop on sched_yield would go round for a whole slice before it gave way.
 *
 * All of it is a function of the calls made, so of container state: the heap's order is total, and
 * neither time, nor addresses, nor the number of processors comes in. A hand-over costs
 * O(log runnable tasks), an event O(1).
 */
#include "sched_policy.h"

/* Whether `task`, which holds the turn, would be picked again if it gave the turn back. */
static bool exclusive_is_first(const struct sched *s, uint32_t task)
{
	const struct sched_heap_entry *next = sched_heap_top(&s->runnable);
	struct sched_heap_entry own = {
		.key = s->tasks[task].clock, .number = s->tasks[task].number, .task = task};

	return s->newborn == SCHED_NONE && (!next || sched_heap_before(&own, next));
}

static void exclusive_ready(struct sched *s, uint32_t task, bool newborn)
{
	sched_heap_insert(&s->runnable, task, s->tasks[task].clock, s->tasks[task].number);
	if (newborn)
		s->newborn = task;
}

static void exclusive_unready(struct sched *s, uint32_t task)
{
	if (!sched_heap_remove(&s->runnable, task))
		SCHED_BUG(task, "runnable task not in its heap");
	if (s->newborn == task)
		s->newborn = SCHED_NONE;
}

static bool exclusive_slice_end(struct sched *s, uint32_t task)
{
	if (exclusive_is_first(s, task)) {
		sched_slice_begin(s);
		return false;
	}
	s->slice_left = 1; /* so that the next event asks again, if the caller has to go on */
	return true;
}

static void exclusive_yield(struct sched *s, uint32_t task)
{
	const struct sched_heap_entry *next = sched_heap_top(&s->runnable);

	if (next && exclusive_is_first(s, task))
		s->tasks[task].clock = next->key + 1;
}

static int exclusive_pick(struct sched *s, uint32_t *ret_task)
{
	const struct sched_heap_entry *next = sched_heap_top(&s->runnable);
	uint32_t task;

	if (!next)
		return -SCHED_EAGAIN;
	task = s->newborn;
	if (task == SCHED_NONE) {
		task = next->task;
		sched_slice_begin(s);
	}
	exclusive_unready(s, task);
	*ret_task = task;
	return 0;
}

const struct sched_policy sched_exclusive = {
	.ready = exclusive_ready,
	.unready = exclusive_unready,
	.slice_end = exclusive_slice_end,
	.yield = exclusive_yield,
	.pick = exclusive_pick,
};
