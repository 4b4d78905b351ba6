/*
 * The scheduler's rules, one short made-up run each. The randomized comparison with a reference
 * model is test_sched_random.c.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/scheduler.h"

#define ANY UINT32_MAX

static const struct sched_key key_x = {1, 0x1000}, key_y = {1, 0x2000}, key_z = {2, 0x1000};
static struct sched *s;
static jmp_buf bug_jump;
static int bug_expected;

_Noreturn void sched_bug(uint32_t task, const char *what)
{
	if (bug_expected)
		longjmp(bug_jump, 1);
	fprintf(stderr, "test_sched: unexpected SCHED_BUG: %s (task %u)\n", what, task);
	exit(1);
}

#define CHECK(...)                                                                        \
	do {                                                                              \
		if (!(__VA_ARGS__)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #__VA_ARGS__); \
			exit(1);                                                          \
		}                                                                         \
	} while (0)

/* The statement must end in SCHED_BUG. */
#define CHECK_BUG(statement)                                   \
	do {                                                   \
		bug_expected = 1;                              \
		if (setjmp(bug_jump) == 0) {                   \
			statement;                             \
			bug_expected = 0;                      \
			CHECK(!"no SCHED_BUG in " #statement); \
		}                                              \
		bug_expected = 0;                              \
	} while (0)

/* Tasks 0..count-1 with numbers 100.., all at clock 0 and runnable. */
static void start(uint32_t count, uint64_t slice)
{
	memset(s, 0xa5, sizeof(*s));
	memset(s->state, 0, sizeof(s->state));
	memset(s->waits.bucket, 0, sizeof(s->waits.bucket));
	sched_init(s, SCHED_POLICY_EXCLUSIVE, slice);
	for (uint32_t i = 0; i < count; i++)
		sched_task_add(s, i, 100 + i, SCHED_NONE);
}

static uint32_t pick(void)
{
	uint32_t task = SCHED_NONE;

	CHECK(sched_turn_pick(s, &task) == 0);
	CHECK(sched_turn_holder(s) == task);
	return task;
}

/* The holder waits on `key` and parks; cookie is 10 + its index. */
static void park_on(struct sched_key key)
{
	uint32_t task = sched_turn_holder(s);

	CHECK(sched_wait_add(s, task, key, ANY, 10 + task) == 0);
	sched_task_park(s, task, SCHED_NEVER);
}

static void events(uint32_t task, int count)
{
	while (count-- > 0)
		sched_event(s, task);
}

static void test_least_clock_first(void)
{
	start(3, 0);
	CHECK(sched_runnable_count(s) == 3 && sched_task_count(s) == 3);
	CHECK(pick() == 0);
	events(0, 5);
	sched_turn_release(s, 0);
	CHECK(pick() == 1);
	events(1, 2);
	sched_turn_release(s, 1);
	CHECK(pick() == 2);
	events(2, 3);
	sched_turn_release(s, 2);
	CHECK(pick() == 1); /* clocks 5, 2, 3 */
	CHECK(sched_task_clock(s, 1) == 2 && sched_clock(s) == 2);
}

static void test_number_breaks_ties(void)
{
	start(0, 0);
	sched_task_add(s, 7, 30, SCHED_NONE);
	sched_task_add(s, 3, 20, SCHED_NONE);
	sched_task_add(s, 5, 10, SCHED_NONE);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(pick() == (uint32_t[]){5, 3, 7}[i]);
		park_on(key_x);
	}
}

static void test_fifo_wake(void)
{
	start(5, 0);
	CHECK(pick() == 0); /* clocks 4, 3, 2, 1: FIFO order is not clock order */
	sched_turn_release(s, 0);
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(pick() == i);
		events(i, 4 - (int)i);
		park_on(key_x);
	}
	CHECK(pick() == 4);
	CHECK(sched_key_waiters(s, key_x) == 4 && sched_parked_count(s) == 4);
	CHECK(sched_key_wake(s, key_y, ANY, ANY, 4) == 0);
	CHECK(sched_key_wake(s, key_x, 0, ANY, 4) == 0);
	CHECK(sched_key_wake(s, key_x, 2, ANY, 4) == 2);
	CHECK(sched_task_state(s, 0) == SCHED_STATE_RUNNABLE);
	CHECK(sched_task_state(s, 1) == SCHED_STATE_RUNNABLE);
	CHECK(sched_task_state(s, 2) == SCHED_STATE_PARKED);
	CHECK(sched_task_wake_reason(s, 0) == SCHED_WOKEN_KEY);
	CHECK(sched_task_wake_cookie(s, 1) == 11);
	CHECK(sched_key_wake(s, key_x, ANY, ANY, 4) == 2);
	CHECK(sched_key_waiters(s, key_x) == 0 && sched_parked_count(s) == 0);
}

static void test_bits(void)
{
	start(4, 0);
	for (uint32_t i = 0; i < 3; i++) {
		CHECK(pick() == i);
		CHECK(sched_wait_add(s, i, key_x, 1u << i, i) == 0);
		sched_task_park(s, i, SCHED_NEVER);
	}
	CHECK(pick() == 3);
	CHECK(sched_key_wake(s, key_x, ANY, 8, 3) == 0);
	CHECK(sched_key_wake(s, key_x, 1, 6, 3) == 1);
	CHECK(sched_task_state(s, 1) == SCHED_STATE_RUNNABLE);
	CHECK(sched_key_wake(s, key_x, ANY, 5, 3) == 2);
}

static void test_requeue(void)
{
	start(6, 0);
	for (uint32_t i = 0; i < 5; i++) {
		CHECK(pick() == i);
		park_on(i == 0 ? key_y : key_x);
	}
	CHECK(pick() == 5);
	CHECK(sched_key_requeue(s, key_x, key_x, 3) == 3);
	CHECK(sched_key_requeue(s, key_z, key_y, 3) == 0);
	CHECK(sched_key_requeue(s, key_x, key_y, 2) == 2); /* y: 0 1 2, x: 3 4 */
	CHECK(sched_key_waiters(s, key_x) == 2 && sched_key_waiters(s, key_y) == 3);
	CHECK(sched_key_requeue(s, key_x, key_z, ANY) == 2);
	CHECK(sched_key_requeue(s, key_y, key_z, 1) == 1); /* z: 3 4 0 */
	for (uint32_t i = 0; i < 3; i++) {
		uint32_t task = (uint32_t[]){3, 4, 0}[i];

		CHECK(sched_key_wake(s, key_z, 1, ANY, 5) == 1);
		CHECK(sched_task_state(s, task) == SCHED_STATE_RUNNABLE);
		CHECK(sched_task_wake_cookie(s, task) == 10 + task);
	}
	CHECK(sched_key_wake(s, key_y, 1, ANY, 5) == 1);
	CHECK(sched_task_state(s, 1) == SCHED_STATE_RUNNABLE);
}

static void test_timeouts(void)
{
	uint32_t task;

	start(4, 0);
	for (uint32_t i = 0; i < 4; i++) {
		CHECK(pick() == i);
		if (i == 2)
			CHECK(sched_wait_add(s, i, key_x, ANY, 1) == 0);
		sched_task_park(s, i, (uint64_t[]){300, 100, 200, 100}[i]);
	}
	CHECK(sched_is_quiescent(s));
	CHECK(sched_turn_pick(s, &task) == -SCHED_EAGAIN);
	CHECK(sched_deadline_next_ns(s) == 100);
	CHECK(sched_deadline_expire(s, 99) == 0);
	CHECK(sched_deadline_expire(s, 100) == 2);
	CHECK(sched_deadline_next_ns(s) == 200);
	CHECK(pick() == 1);
	CHECK(sched_task_wake_reason(s, 1) == SCHED_TIMEOUT);
	/* A key wake cancels the deadline, a deadline the key. */
	CHECK(sched_key_wake(s, key_x, 1, ANY, 1) == 1);
	CHECK(sched_deadline_next_ns(s) == 300);
	CHECK(sched_wait_add(s, 1, key_x, ANY, 1) == 0);
	sched_task_park(s, 1, 250);
	CHECK(sched_deadline_expire(s, 260) == 1);
	CHECK(sched_key_waiters(s, key_x) == 0);
	CHECK(sched_task_wake_cookie(s, 1) == 0);
	CHECK(sched_deadline_expire(s, UINT64_MAX - 1) == 1);
	CHECK(sched_deadline_next_ns(s) == SCHED_NEVER);
}

static void test_many_keys(void)
{
	start(2, 0);
	CHECK(pick() == 0);
	CHECK(sched_wait_add(s, 0, key_x, 1, 1) == 0);
	CHECK(sched_wait_add(s, 0, key_y, ANY, 2) == 0);
	CHECK(sched_wait_add(s, 0, key_x, 2, 3) == 0); /* twice on one key */
	CHECK(sched_key_waiters(s, key_x) == 2);
	sched_task_park(s, 0, 1000);
	CHECK(pick() == 1);
	CHECK(sched_key_wake(s, key_x, ANY, 2, 1) == 1); /* skips the first node, counts once */
	CHECK(sched_task_wake_cookie(s, 0) == 3);
	CHECK(sched_key_waiters(s, key_x) == 0 && sched_key_waiters(s, key_y) == 0);
	CHECK(sched_key_wake(s, key_y, ANY, ANY, 1) == 0);
	CHECK(sched_deadline_next_ns(s) == SCHED_NEVER);
	park_on(key_z);
	CHECK(pick() == 0);
	CHECK(sched_wait_add(s, 0, key_x, ANY, 1) == 0);
	sched_wait_clear(s, 0);
	CHECK(sched_key_waiters(s, key_x) == 0);
}

static void test_nodes_run_out(void)
{
	start(2, 0);
	CHECK(pick() == 0);
	for (uint64_t i = 0; i < SCHED_NODES_MAX; i++)
		CHECK(sched_wait_add(s, 0, (struct sched_key){3, i << 12}, ANY, i) == 0);
	CHECK(sched_wait_add(s, 0, key_x, ANY, 0) == -SCHED_ENOSPC);
	/* A requeue needs a queue more than there are nodes for a moment. */
	CHECK(sched_key_requeue(s, (struct sched_key){3, 0}, key_x, 1) == 1);
	sched_task_park(s, 0, SCHED_NEVER);
	CHECK(pick() == 1);
	CHECK(sched_key_wake(s, (struct sched_key){3, 77 << 12}, 1, ANY, 1) == 1);
	CHECK(sched_task_wake_cookie(s, 0) == 77);
	CHECK(s->waits.nodes_live == 0);
	park_on(key_x);
	CHECK(pick() == 0);
}

static void test_slice(void)
{
	start(2, 3);
	CHECK(pick() == 0);
	CHECK(!sched_event(s, 0) && !sched_event(s, 0));
	CHECK(sched_event(s, 0)); /* 3 events, and task 1 is behind */
	CHECK(sched_event(s, 0)); /* still so */
	sched_turn_release(s, 0);
	CHECK(pick() == 1);
	CHECK(!sched_event(s, 1) && !sched_event(s, 1));
	CHECK(!sched_event(s, 1)); /* 3 is before 4: it would be picked again */
	CHECK(!sched_event(s, 1) && !sched_event(s, 1));
	CHECK(sched_event(s, 1));
	park_on(key_x);
	CHECK(pick() == 0);
	for (int i = 0; i < 1000; i++)
		CHECK(!sched_event(s, 0)); /* alone */
}

static void test_child_first(void)
{
	start(1, 0);
	CHECK(pick() == 0);
	events(0, 50);
	sched_task_add(s, 1, 200, 0);
	CHECK(sched_task_clock(s, 1) == 50);
	sched_turn_yield(s, 0);
	CHECK(pick() == 1);
	CHECK(sched_task_clock(s, 0) == 50); /* the parent lost nothing */
	events(1, 1);
	sched_task_add(s, 2, 201, 1);
	sched_task_park(s, 1, SCHED_NEVER); /* as for vfork */
	CHECK(pick() == 2);		    /* clock 51, before the first task's 50 */
	sched_task_add(s, 3, 202, 2);
	sched_task_remove(s, 3); /* a child that never came to be */
	sched_turn_release(s, 2);
	CHECK(pick() == 0);
}

/* Children that have children and end: whoever else wants to run does, after a slice. */
static void test_chain_of_births(void)
{
	start(2, 100);
	CHECK(pick() == 0);
	for (uint32_t child = 2, parent = 0;; parent = child++) {
		CHECK(child < 30);
		if (sched_event(s, parent)) {
			sched_turn_release(s, parent);
			break;
		}
		events(parent, 3);
		sched_task_add(s, child, 200 + child, parent);
		sched_task_remove(s, parent);
		CHECK(pick() == child);
	}
	CHECK(pick() == 1);
}

static void test_clock_of_a_wake(void)
{
	start(3, 0);
	CHECK(pick() == 0);
	events(0, 20);
	park_on(key_x);
	CHECK(pick() == 1);
	park_on(key_x);
	CHECK(pick() == 2);
	events(2, 10);
	CHECK(sched_key_wake(s, key_x, ANY, ANY, 2) == 2);
	CHECK(sched_task_clock(s, 0) == 20 && sched_task_clock(s, 1) == 10);
	park_on(key_x);
	CHECK(pick() == 1);
	sched_task_park(s, 1, 5);
	CHECK(pick() == 0);
	events(0, 5);
	park_on(key_x);
	/* Nobody holds the turn: the last holder's clock counts. */
	CHECK(sched_clock(s) == 25);
	CHECK(sched_deadline_expire(s, 5) == 1);
	CHECK(sched_task_clock(s, 1) == 25);
	CHECK(sched_task_wake(s, 2, SCHED_WOKEN_SIGNAL, SCHED_NONE));
	CHECK(sched_task_clock(s, 2) == 25);
	CHECK(sched_task_wake_reason(s, 2) == SCHED_WOKEN_SIGNAL);
	CHECK(!sched_task_wake(s, 2, SCHED_WOKEN_OWN, SCHED_NONE));
	CHECK(sched_task_wake_reason(s, 2) == SCHED_WOKEN_SIGNAL);
	CHECK(sched_key_waiters(s, key_x) == 1);
}

static void test_yield(void)
{
	start(2, 0);
	CHECK(pick() == 0);
	sched_turn_yield(s, 0);
	CHECK(pick() == 1); /* though task 0 is before it by number */
	events(1, 100);
	sched_turn_yield(s, 1);
	CHECK(pick() == 0);
	events(0, 1);
	sched_turn_yield(s, 0); /* 100 events behind, and still gives way */
	CHECK(pick() == 1);
	park_on(key_x);
	CHECK(pick() == 0);
	sched_turn_yield(s, 0); /* alone */
	CHECK(pick() == 0);
}

static void test_exit(void)
{
	start(4, 0);
	CHECK(pick() == 0);
	CHECK(sched_wait_add(s, 0, key_x, ANY, 0) == 0);
	CHECK(sched_wait_add(s, 0, key_y, ANY, 0) == 0);
	sched_task_park(s, 0, 10);
	CHECK(pick() == 1);
	sched_task_remove(s, 0); /* parked */
	CHECK(sched_key_waiters(s, key_x) == 0 && sched_deadline_next_ns(s) == SCHED_NEVER);
	sched_task_remove(s, 2); /* runnable */
	CHECK(sched_task_count(s) == 2 && sched_parked_count(s) == 0);
	events(1, 9);
	sched_task_remove(s, 1); /* the holder: the turn is free */
	CHECK(sched_turn_holder(s) == SCHED_NONE);
	CHECK(sched_clock(s) == 9);
	CHECK(pick() == 3);
	sched_task_add(s, 1, 300, 3); /* the index again */
	CHECK(sched_task_state(s, 1) == SCHED_STATE_RUNNABLE);
	sched_task_remove(s, 3);
	CHECK(pick() == 1);
	sched_task_remove(s, 1);
	CHECK(sched_is_quiescent(s) && sched_task_count(s) == 0);
	CHECK(s->waits.nodes_live == 0);
}

static void test_misuse(void)
{
	start(2, 0);
	CHECK_BUG(sched_task_park(s, 0, SCHED_NEVER)); /* no turn */
	CHECK(pick() == 0);
	CHECK_BUG(pick());				/* held */
	CHECK_BUG(sched_task_add(s, 0, 1, SCHED_NONE)); /* exists */
	CHECK_BUG(sched_task_add(s, SCHED_TASKS_MAX, 1, SCHED_NONE));
	CHECK_BUG(sched_turn_yield(s, 1));
	CHECK_BUG(sched_wait_add(s, 1, key_x, ANY, 0));
	CHECK_BUG(sched_task_clock(s, 9));
	CHECK_BUG(sched_task_wake(s, 9, 0, SCHED_NONE));
	CHECK_BUG(sched_key_wake(s, key_x, 1, ANY, 9));
	CHECK(sched_wait_add(s, 0, key_x, ANY, 0) == 0);
	CHECK_BUG(sched_key_wake(s, key_x, 1, ANY, 0)); /* itself */
	sched_task_park(s, 0, SCHED_NEVER);
	CHECK_BUG(sched_task_park(s, 0, SCHED_NEVER)); /* twice */
}

/* Overwrites a few words where the structures have their data. */
static void damage(uint32_t *seed)
{
	uint32_t *const places[] = {
		&s->holder,
		s->runnable.pos,
		&s->runnable.count,
		(uint32_t *)s->runnable.entry,
		&s->deadlines.count,
		(uint32_t *)s->deadlines.entry,
		s->waits.task_nodes,
		(uint32_t *)s->waits.nodes,
		(uint32_t *)s->waits.queues,
		&s->waits.nodes_live,
	};
	static const uint32_t lengths[] = {4, 8, 1, 32, 1, 24, 8, 96, 24, 5};

	for (uint32_t left = 1 + *seed % 3; left > 0; left--) {
		uint32_t where, value;

		where = (*seed = *seed * 1664525u + 1013904223u) >> 8;
		value = (*seed = *seed * 1664525u + 1013904223u) >> 8;
		places[where % 10][(where >> 4) % lengths[where % 10]] =
			value & 1 ? value : (value >> 1) % 16;
	}
}

/* The memory is the program's to overwrite: whatever it holds, a call ends, and within bounds. */
static void test_damaged_memory(void)
{
	static uint32_t seed = 12345;

	for (volatile int round = 0; round < 5000; round++) {
		start(8, 5);
		for (uint32_t i = 0; i < 6; i++) {
			uint32_t task = pick();

			CHECK(sched_wait_add(s, task, i % 2 ? key_x : key_y, ANY, i) == 0);
			CHECK(sched_wait_add(s, task, key_z, ANY, i) == 0);
			sched_task_park(s, task, i * 10ul);
		}
		damage(&seed);
		bug_expected = 1;
		if (setjmp(bug_jump) == 0) {
			uint32_t task;

			sched_deadline_expire(s, 20);
			sched_key_requeue(s, key_x, key_y, 2);
			sched_key_wake(s, key_z, 1, ANY, SCHED_NONE);
			sched_key_wake(s, key_y, ANY, ANY, SCHED_NONE);
			while (sched_turn_pick(s, &task) == 0)
				sched_task_remove(s, task);
		}
		bug_expected = 0;
	}
}

int main(void)
{
	s = malloc(sizeof(*s));
	CHECK(s);
	test_least_clock_first();
	test_number_breaks_ties();
	test_fifo_wake();
	test_bits();
	test_requeue();
	test_timeouts();
	test_many_keys();
	test_nodes_run_out();
	test_slice();
	test_child_first();
	test_chain_of_births();
	test_clock_of_a_wake();
	test_yield();
	test_exit();
	test_misuse();
	test_damaged_memory();
	free(s);
	return 0;
}
