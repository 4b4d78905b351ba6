/*
 * Random scripts for the scheduler. Each is run twice, on two structs at different addresses
 * whose memory is dirty in different ways (once filled with a pattern, then with the rests of
 * earlier scripts), and must take the same course; and every step is compared with a reference
 * model that keeps plain arrays and searches them from end to end.
 *
 *	test_sched_random [SEED [SCRIPTS]]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "scheduler/scheduler.h"

#define KEYS	    7
#define MODEL_NODES 4096

static uint64_t script_seed;
static unsigned script_step;

_Noreturn static void fail(const char *what, int line)
{
	fprintf(stderr,
		"test_sched_random: line %d: %s\n  rerun: test_sched_random %llu 1 (step %u)\n",
		line, what, (unsigned long long)script_seed, script_step);
	exit(1);
}

_Noreturn void sched_bug(uint32_t task, const char *what)
{
	fprintf(stderr, "SCHED_BUG, task %u: ", task);
	fail(what, 0);
}

#define CHECK(...)                                    \
	do {                                          \
		if (!(__VA_ARGS__))                   \
			fail(#__VA_ARGS__, __LINE__); \
	} while (0)

/* xorshift64*: the same everywhere, unlike rand(). */
static uint64_t random_next(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * 0x2545f4914f6cdd1du;
}

static uint32_t random_below(uint64_t *state, uint32_t limit)
{
	return (uint32_t)((random_next(state) >> 32) % limit);
}

/* The reference model. */

struct model_task {
	enum sched_state state;
	uint32_t number, reason;
	uint64_t clock, deadline, cookie;
};

struct model_node {
	uint32_t task, key, bits;
	uint64_t cookie;
};

struct model {
	struct model_task task[SCHED_TASKS_MAX];
	uint32_t tasks;			     /* indices in use are below */
	struct model_node node[MODEL_NODES]; /* oldest first, of all keys together */
	uint32_t nodes;
	uint32_t holder, newborn;
	uint64_t last_clock, slice, slice_left;
};

static void model_init(struct model *m, uint32_t tasks, uint64_t slice)
{
	memset(m, 0, sizeof(*m));
	m->tasks = tasks;
	m->holder = m->newborn = SCHED_NONE;
	m->slice = m->slice_left = slice;
}

static uint64_t model_clock(const struct model *m, uint32_t task)
{
	if (task == SCHED_NONE)
		task = m->holder;
	return task == SCHED_NONE ? m->last_clock : m->task[task].clock;
}

static void model_node_remove(struct model *m, uint32_t at)
{
	m->nodes--;
	memmove(&m->node[at], &m->node[at + 1], (m->nodes - at) * sizeof(m->node[0]));
}

static void model_nodes_clear(struct model *m, uint32_t task)
{
	for (uint32_t i = m->nodes; i-- > 0;)
		if (m->node[i].task == task)
			model_node_remove(m, i);
}

static void model_unpark(struct model *m, uint32_t task, uint32_t reason, uint64_t cookie,
			 uint64_t clock)
{
	struct model_task *t = &m->task[task];

	model_nodes_clear(m, task);
	t->state = SCHED_STATE_RUNNABLE;
	t->reason = reason;
	t->cookie = cookie;
	t->deadline = SCHED_NEVER;
	if (t->clock < clock)
		t->clock = clock;
}

static uint32_t model_wake(struct model *m, uint32_t key, uint32_t max, uint32_t bits,
			   uint32_t waker)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->nodes && count < max;) {
		struct model_node n = m->node[i];

		if (n.key != key || !(n.bits & bits)) {
			i++;
			continue;
		}
		model_unpark(m, n.task, SCHED_WOKEN_KEY, n.cookie, model_clock(m, waker));
		count++;
		i = 0; /* nodes before this one may be gone */
	}
	return count;
}

static uint32_t model_requeue(struct model *m, uint32_t from, uint32_t to, uint32_t max)
{
	uint32_t count = 0, end = m->nodes;

	for (uint32_t i = 0; i < end && count < max;) {
		struct model_node n = m->node[i];

		if (n.key != from) {
			i++;
			continue;
		}
		count++;
		if (from == to) {
			i++;
			continue;
		}
		model_node_remove(m, i);
		n.key = to;
		m->node[m->nodes++] = n;
		end--;
	}
	return count;
}

static uint32_t model_waiters(const struct model *m, uint32_t key)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->nodes; i++)
		count += m->node[i].key == key;
	return count;
}

static bool model_before(const struct model_task *a, const struct model_task *b)
{
	return a->clock < b->clock || (a->clock == b->clock && a->number < b->number);
}

/* The runnable task with the least (clock, number), or SCHED_NONE. */
static uint32_t model_least(const struct model *m)
{
	uint32_t best = SCHED_NONE;

	for (uint32_t i = 0; i < m->tasks; i++) {
		if (m->task[i].state != SCHED_STATE_RUNNABLE)
			continue;
		if (best == SCHED_NONE || model_before(&m->task[i], &m->task[best]))
			best = i;
	}
	return best;
}

/* True if the holder would be picked again. */
static bool model_stays(const struct model *m)
{
	uint32_t next = model_least(m);

	if (m->newborn != SCHED_NONE)
		return false;
	return next == SCHED_NONE || model_before(&m->task[m->holder], &m->task[next]);
}

static bool model_event(struct model *m)
{
	m->task[m->holder].clock++;
	if (--m->slice_left > 0)
		return false;
	if (model_stays(m)) {
		m->slice_left = m->slice;
		return false;
	}
	m->slice_left = 1;
	return true;
}

static void model_turn_free(struct model *m, enum sched_state state)
{
	m->last_clock = m->task[m->holder].clock;
	m->task[m->holder].state = state;
	m->holder = SCHED_NONE;
}

static void model_yield(struct model *m)
{
	uint32_t next = model_least(m);

	if (next != SCHED_NONE && model_stays(m))
		m->task[m->holder].clock = m->task[next].clock + 1;
	model_turn_free(m, SCHED_STATE_RUNNABLE);
}

static uint32_t model_pick(struct model *m)
{
	uint32_t next = m->newborn == SCHED_NONE ? model_least(m) : m->newborn;

	if (next == SCHED_NONE)
		return next;
	if (m->newborn == SCHED_NONE)
		m->slice_left = m->slice;
	m->newborn = SCHED_NONE;
	m->task[next].state = SCHED_STATE_RUNNING;
	m->holder = next;
	return next;
}

static void model_add(struct model *m, uint32_t task, uint32_t number, uint32_t parent)
{
	struct model_task *t = &m->task[task];

	t->clock = model_clock(m, parent);
	t->number = number;
	t->deadline = SCHED_NEVER;
	t->reason = SCHED_WOKEN_KEY;
	t->cookie = 0;
	t->state = SCHED_STATE_RUNNABLE;
	if (parent != SCHED_NONE)
		m->newborn = task;
}

static void model_remove(struct model *m, uint32_t task)
{
	model_nodes_clear(m, task);
	if (m->holder == task)
		model_turn_free(m, SCHED_STATE_FREE);
	m->task[task].state = SCHED_STATE_FREE;
	m->task[task].deadline = SCHED_NEVER;
	if (m->newborn == task)
		m->newborn = SCHED_NONE;
}

static uint64_t model_next_deadline(const struct model *m)
{
	uint64_t next = SCHED_NEVER;

	for (uint32_t i = 0; i < m->tasks; i++)
		if (m->task[i].state == SCHED_STATE_PARKED && m->task[i].deadline < next)
			next = m->task[i].deadline;
	return next;
}

static uint32_t model_expire(struct model *m, uint64_t now)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->tasks; i++) {
		struct model_task *t = &m->task[i];

		if (t->state != SCHED_STATE_PARKED || t->deadline == SCHED_NEVER ||
		    t->deadline > now)
			continue;
		model_unpark(m, i, SCHED_TIMEOUT, 0, model_clock(m, SCHED_NONE));
		count++;
	}
	return count;
}

/* The scripts. */

struct run {
	struct sched *s;
	struct model *m;
	uint64_t random;
	uint64_t now;
	uint64_t course; /* folds everything the scheduler answered */
	uint32_t next_number;
};

static void course_fold(struct run *r, uint64_t value)
{
	r->course = (r->course ^ value) * 0x100000001b3u;
	r->course ^= r->course >> 29;
}

/* Objects and addresses, one of them different in each half only. */
static struct sched_key key_of(uint32_t key)
{
	return (struct sched_key){key / 2, 0x7f0000000000u + 8ul * (key % 3)};
}

/* A task in `state`, or SCHED_NONE. */
static uint32_t task_in(struct run *r, enum sched_state state)
{
	uint32_t from = random_below(&r->random, r->m->tasks);

	for (uint32_t i = 0; i < r->m->tasks; i++) {
		uint32_t task = (from + i) % r->m->tasks;

		if (r->m->task[task].state == state)
			return task;
	}
	return SCHED_NONE;
}

static uint32_t any_max(struct run *r)
{
	return random_below(&r->random, 3) ? random_below(&r->random, 4) : UINT32_MAX;
}

static uint32_t any_bits(struct run *r)
{
	return random_below(&r->random, 2) ? UINT32_MAX : random_below(&r->random, 8);
}

static uint32_t any_waker(struct run *r)
{
	return random_below(&r->random, 2) ? r->m->holder : SCHED_NONE;
}

static void step_event(struct run *r)
{
	for (uint32_t left = 1 + random_below(&r->random, 12); left > 0; left--) {
		bool over = sched_event(r->s, r->m->holder);

		CHECK(over == model_event(r->m));
		if (over && random_below(&r->random, 4)) {
			sched_turn_release(r->s, r->m->holder);
			model_turn_free(r->m, SCHED_STATE_RUNNABLE);
			return;
		}
	}
}

static void step_park(struct run *r)
{
	static const uint32_t counts[] = {0, 1, 1, 1, 2, 3, 6};
	uint32_t holder = r->m->holder, kind = random_below(&r->random, 8);
	uint32_t count = counts[random_below(&r->random, 7)];
	uint64_t deadline = SCHED_NEVER;

	while (count-- > 0 && r->m->nodes < MODEL_NODES) {
		uint32_t key = random_below(&r->random, KEYS), bits = any_bits(r);
		uint64_t cookie = random_next(&r->random);

		CHECK(sched_wait_add(r->s, holder, key_of(key), bits, cookie) == 0);
		r->m->node[r->m->nodes++] = (struct model_node){holder, key, bits, cookie};
	}
	if (kind == 0) {
		sched_wait_clear(r->s, holder);
		model_nodes_clear(r->m, holder);
		return;
	}
	if (kind < 4)
		deadline = r->now + random_below(&r->random, 40);
	sched_task_park(r->s, holder, deadline);
	model_turn_free(r->m, SCHED_STATE_PARKED);
	r->m->task[holder].deadline = deadline;
}

static void step_yield(struct run *r)
{
	sched_turn_yield(r->s, r->m->holder);
	model_yield(r->m);
}

static void step_wake(struct run *r)
{
	uint32_t key = random_below(&r->random, KEYS), max = any_max(r), bits = any_bits(r);
	uint32_t waker = any_waker(r);
	uint32_t woken = sched_key_wake(r->s, key_of(key), max, bits, waker);

	CHECK(woken == model_wake(r->m, key, max, bits, waker));
	course_fold(r, woken);
}

static void step_requeue(struct run *r)
{
	uint32_t from = random_below(&r->random, KEYS), to = random_below(&r->random, KEYS);
	uint32_t max = any_max(r);
	uint32_t moved = sched_key_requeue(r->s, key_of(from), key_of(to), max);

	CHECK(moved == model_requeue(r->m, from, to, max));
	course_fold(r, moved);
}

static void step_signal(struct run *r)
{
	uint32_t task =
		task_in(r, random_below(&r->random, 4) ? SCHED_STATE_PARKED : SCHED_STATE_RUNNABLE);
	uint32_t reason = SCHED_WOKEN_SIGNAL + random_below(&r->random, 3), waker = any_waker(r);
	bool parked;

	if (task == SCHED_NONE)
		return;
	parked = r->m->task[task].state == SCHED_STATE_PARKED;
	CHECK(sched_task_wake(r->s, task, reason, waker) == parked);
	if (parked)
		model_unpark(r->m, task, reason, 0, model_clock(r->m, waker));
}

static void step_time(struct run *r)
{
	uint32_t woken;

	r->now += random_below(&r->random, 25);
	woken = sched_deadline_expire(r->s, r->now);
	CHECK(woken == model_expire(r->m, r->now));
	course_fold(r, woken);
}

static void step_birth(struct run *r)
{
	uint32_t task = task_in(r, SCHED_STATE_FREE);
	uint32_t parent = random_below(&r->random, 4) ? r->m->holder : SCHED_NONE;

	if (task == SCHED_NONE)
		return;
	sched_task_add(r->s, task, r->next_number, parent);
	model_add(r->m, task, r->next_number++, parent);
	if (r->m->holder != SCHED_NONE && random_below(&r->random, 8))
		step_yield(r);
}

static void step_exit(struct run *r)
{
	static const enum sched_state states[] = {SCHED_STATE_RUNNABLE, SCHED_STATE_RUNNING,
						  SCHED_STATE_RUNNING, SCHED_STATE_PARKED};
	uint32_t task = task_in(r, states[random_below(&r->random, 4)]);

	if (task == SCHED_NONE)
		return;
	sched_task_remove(r->s, task);
	model_remove(r->m, task);
}

static void step_pick(struct run *r)
{
	uint32_t task = SCHED_NONE;
	int result = sched_turn_pick(r->s, &task);

	CHECK(task == model_pick(r->m));
	CHECK(result == (task == SCHED_NONE ? -SCHED_EAGAIN : 0));
	course_fold(r, task);
	if (task == SCHED_NONE && sched_deadline_next_ns(r->s) != SCHED_NEVER)
		r->now = sched_deadline_next_ns(r->s);
}

/* Steps that need no holder come first. */
static void (*const steps[])(struct run *) = {
	step_time, step_wake,	 step_signal, step_exit,  step_birth,
	step_wake, step_requeue, step_yield,  step_park,  step_park,
	step_park, step_event,	 step_event,  step_event, step_event,
};

#define STEPS		(sizeof(steps) / sizeof(steps[0]))
#define STEPS_NO_HOLDER 5

/* What can be asked without changing anything. */
static void run_compare(struct run *r)
{
	uint32_t counts[SCHED_STATE_WAKING] = {0}, key = random_below(&r->random, KEYS);

	for (uint32_t i = 0; i < r->m->tasks; i++) {
		const struct model_task *t = &r->m->task[i];

		counts[t->state]++;
		CHECK(sched_task_state(r->s, i) == t->state);
		if (t->state == SCHED_STATE_FREE)
			continue;
		CHECK(sched_task_clock(r->s, i) == t->clock);
		CHECK(sched_task_wake_reason(r->s, i) == t->reason);
		CHECK(sched_task_wake_cookie(r->s, i) == t->cookie);
	}
	CHECK(sched_turn_holder(r->s) == r->m->holder);
	CHECK(sched_clock(r->s) == model_clock(r->m, SCHED_NONE));
	CHECK(sched_task_count(r->s) == r->m->tasks - counts[SCHED_STATE_FREE]);
	CHECK(sched_runnable_count(r->s) == counts[SCHED_STATE_RUNNABLE]);
	CHECK(sched_parked_count(r->s) == counts[SCHED_STATE_PARKED]);
	CHECK(sched_deadline_next_ns(r->s) == model_next_deadline(r->m));
	CHECK(sched_key_waiters(r->s, key_of(key)) == model_waiters(r->m, key));
	CHECK(r->s->waits.nodes_live == r->m->nodes);
	course_fold(r, sched_clock(r->s));
}

/* One script; returns the digest of its course. */
static uint64_t run_script(struct sched *s, struct model *m, uint64_t seed)
{
	struct run r = {.s = s, .m = m, .random = seed, .course = 1, .next_number = 1};
	bool big = random_below(&r.random, 100) == 0;
	uint32_t tasks = 1 + random_below(&r.random, big ? SCHED_TASKS_MAX : 24);
	uint32_t slice = 1 + random_below(&r.random, 30);

	memset(s->state, 0, sizeof(s->state));
	memset(s->waits.bucket, 0, sizeof(s->waits.bucket));
	sched_init(s, SCHED_POLICY_EXCLUSIVE, slice);
	model_init(m, tasks, slice);
	for (uint32_t i = 0; i < tasks && (big || i == 0); i++) {
		sched_task_add(s, i, r.next_number, SCHED_NONE);
		model_add(m, i, r.next_number++, SCHED_NONE);
	}
	for (script_step = 0; script_step < 400; script_step++) {
		if (m->holder == SCHED_NONE && random_below(&r.random, 5))
			step_pick(&r);
		else if (m->holder == SCHED_NONE)
			steps[random_below(&r.random, STEPS_NO_HOLDER)](&r);
		else
			steps[random_below(&r.random, STEPS)](&r);
		if (!big || script_step % 50 == 49)
			run_compare(&r);
	}
	return r.course;
}

int main(int argc, char **argv)
{
	uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20250101;
	unsigned scripts = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 0) : 4000;
	struct sched *first = malloc(sizeof(*first)), *second = malloc(sizeof(*second));
	struct model *m = malloc(sizeof(*m));

	CHECK(first && second && m);
	printf("test_sched_random: seed %llu, %u scripts\n", (unsigned long long)seed, scripts);
	memset(first, 0x00, sizeof(*first));
	memset(second, 0xa5, sizeof(*second));
	for (unsigned i = 0; i < scripts; i++) {
		uint64_t course;

		script_seed = seed + i ? seed + i : 1; /* the generator stays at 0 */
		course = run_script(first, m, script_seed);
		/* Other rests in the memory of the second: a script in between. */
		run_script(second, m, ~script_seed);
		CHECK(run_script(second, m, script_seed) == course);
	}
	free(first);
	free(second);
	free(m);
	return 0;
}
