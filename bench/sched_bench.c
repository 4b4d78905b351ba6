/*
 * What the scheduler's decisions cost, without the hand-over that performs them: ns per event,
 * per wake + park + pick, per sleep + expiry + pick, and per yield + pick, with 10 and with 1,000
 * tasks. The cost with 1,000 should be about that with 10: heaps are O(log n), the rest O(1).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "scheduler/scheduler.h"

#define EVENTS 200000000u
#define ROUNDS 2000000u

_Noreturn void sched_bug(uint32_t task, const char *what)
{
	fprintf(stderr, "sched_bench: SCHED_BUG: %s (task %u)\n", what, task);
	exit(1);
}

static double now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static uint32_t pick(struct sched *s)
{
	uint32_t task;

	if (sched_turn_pick(s, &task) < 0)
		sched_bug(SCHED_NONE, "nothing runnable");
	return task;
}

static struct sched_key key_of(uint32_t task)
{
	return (struct sched_key){1, 0x7f0000000000u + 64ul * task};
}

static void start(struct sched *s, uint32_t tasks, uint64_t slice)
{
	memset(s, 0, sizeof(*s));
	sched_init(s, SCHED_POLICY_EXCLUSIVE, slice);
	for (uint32_t i = 0; i < tasks; i++)
		sched_task_add(s, i, i + 1, SCHED_NONE);
}

/* All tasks compute; a slice is 10,000 events. */
static double bench_event(struct sched *s, uint32_t tasks)
{
	double begin;
	uint32_t task;

	start(s, tasks, 10000);
	task = pick(s);
	begin = now_ns();
	for (uint32_t i = 0; i < EVENTS; i++) {
		if (sched_event(s, task)) {
			sched_turn_release(s, task);
			task = pick(s);
		}
		__asm__ volatile("" ::: "memory"); /* an event is a call, not a loop to fold */
	}
	return (now_ns() - begin) / EVENTS;
}

/* A token goes round: each wakes the next task, and parks on its own key; all others sleep. */
static double bench_wake(struct sched *s, uint32_t tasks)
{
	double begin;

	start(s, tasks, 10000);
	for (uint32_t i = 0; i + 1 < tasks; i++) {
		uint32_t task = pick(s);

		sched_wait_add(s, task, key_of(task), UINT32_MAX, 0);
		sched_task_park(s, task, SCHED_NEVER);
	}
	pick(s);
	begin = now_ns();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t task = sched_turn_holder(s);

		sched_event(s, task);
		sched_key_wake(s, key_of((task + 1) % tasks), 1, UINT32_MAX, task);
		sched_wait_add(s, task, key_of(task), UINT32_MAX, 0);
		sched_task_park(s, task, SCHED_NEVER);
		pick(s);
	}
	return (now_ns() - begin) / ROUNDS;
}

/* All tasks sleep for different times; virtual time jumps from deadline to deadline. */
static double bench_sleep(struct sched *s, uint32_t tasks)
{
	double begin = now_ns();
	uint64_t now = 0;

	start(s, tasks, 10000);
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t task;

		if (sched_is_quiescent(s)) {
			now = sched_deadline_next_ns(s);
			sched_deadline_expire(s, now);
		}
		task = pick(s);
		sched_event(s, task);
		sched_task_park(s, task, now + 1000 + task * 7919ul % 5000);
	}
	return (now_ns() - begin) / ROUNDS;
}

/* All tasks are runnable and yield in turn. */
static double bench_yield(struct sched *s, uint32_t tasks)
{
	double begin;

	start(s, tasks, 10000);
	begin = now_ns();
	for (uint32_t i = 0; i < ROUNDS; i++) {
		uint32_t task = pick(s);

		sched_event(s, task);
		sched_turn_yield(s, task);
	}
	return (now_ns() - begin) / ROUNDS;
}

int main(void)
{
	struct sched *s = calloc(1, sizeof(*s));

	if (!s)
		return 1;
	printf("%8s %10s %16s %17s %12s\n", "tasks", "event", "wake+park+pick", "sleep+expire+pick",
	       "yield+pick");
	for (uint32_t tasks = 10; tasks <= 1000; tasks *= 100)
		printf("%8u %7.2f ns %13.1f ns %14.1f ns %9.1f ns\n", tasks, bench_event(s, tasks),
		       bench_wake(s, tasks), bench_sleep(s, tasks), bench_yield(s, tasks));
	free(s);
	return 0;
}
