/*
 * The scheduler's common part: the states of tasks, the turn, parking and waking.
 *
 * It owns struct sched and keeps these invariants:
 *  - a task is RUNNING if and only if it is `holder`; no task or one holds the turn;
 *  - a task is in the runnable heap if and only if it is RUNNABLE, and its clock does not change
 *    while it is (the heap holds a copy);
 *  - a task is in the deadline heap only while PARKED, and has wait nodes only while PARKED or,
 *    on its way there, RUNNING.
 * Who is picked is the policy's affair (sched_policy.h; the one there is: sched_exclusive.c).
 *
 * Nothing here depends on anything but the sequence of calls since sched_init: not on addresses,
 * on old memory contents (but see sched_init), or on which indices the tasks have.
 */
#include "sched_policy.h"
#include "scheduler.h"

static const struct sched_policy *policy_of(const struct sched *s)
{
	static const struct sched_policy *const policies[SCHED_POLICY_COUNT] = {
		[SCHED_POLICY_EXCLUSIVE] = &sched_exclusive,
	};

	if (s->policy >= SCHED_POLICY_COUNT)
		SCHED_BUG(SCHED_NONE, "unknown policy");
	return policies[s->policy];
}

/* Stops unless `task` is a valid index in state `state`. */
static void state_require(const struct sched *s, uint32_t task, enum sched_state state,
			  const char *what)
{
	if (task >= SCHED_TASKS_MAX || s->state[task] != state)
		SCHED_BUG(task, what);
}

/* Stops unless `task` holds the turn. */
static void holder_require(const struct sched *s, uint32_t task, const char *what)
{
	state_require(s, task, SCHED_STATE_RUNNING, what);
	if (s->holder != task)
		SCHED_BUG(task, what);
}

/* Stops unless `task` is a living task. */
static void alive_require(const struct sched *s, uint32_t task)
{
	if (task >= SCHED_TASKS_MAX || s->state[task] == SCHED_STATE_FREE)
		SCHED_BUG(task, "no such task");
}

void sched_init(struct sched *s, enum sched_policy_id policy, uint64_t slice_events)
{
	/* 2^64 events are 5,000 years at 100 million a second. */
	s->slice_events = slice_events ? slice_events : UINT64_MAX;
	s->slice_left = s->slice_events;
	s->last_clock = 0;
	s->policy = policy;
	s->holder = SCHED_NONE;
	s->newborn = SCHED_NONE;
	s->task_count = 0;
	s->parked_count = 0;
	sched_heap_init(&s->runnable);
	sched_heap_init(&s->deadlines);
	sched_waits_init(&s->waits);
}

uint64_t sched_clock(const struct sched *s)
{
	if (s->holder == SCHED_NONE)
		return s->last_clock;
	holder_require(s, s->holder, "holder does not run");
	return s->tasks[s->holder].clock;
}

/* The clock a woken or new task is raised to. */
static uint64_t clock_of(const struct sched *s, uint32_t task)
{
	if (task == SCHED_NONE)
		return sched_clock(s);
	alive_require(s, task);
	return s->tasks[task].clock;
}

void sched_task_add(struct sched *s, uint32_t task, uint32_t number, uint32_t parent)
{
	struct sched_task *t;

	state_require(s, task, SCHED_STATE_FREE, "added task exists");
	t = &s->tasks[task];
	t->clock = clock_of(s, parent);
	t->number = number;
	t->wake_reason = SCHED_WOKEN_KEY;
	t->wake_cookie = 0;
	sched_waits_task_init(&s->waits, task);
	s->state[task] = SCHED_STATE_RUNNABLE;
	s->task_count++;
	policy_of(s)->ready(s, task, parent != SCHED_NONE);
}

/* The holder lets go of the turn. */
static void turn_free(struct sched *s)
{
	s->last_clock = s->tasks[s->holder].clock;
	s->holder = SCHED_NONE;
}

/* A parked task no longer waits for anything. */
static void park_end(struct sched *s, uint32_t task)
{
	sched_waits_clear(&s->waits, task);
	sched_heap_remove(&s->deadlines, task);
	s->parked_count--;
}

void sched_task_remove(struct sched *s, uint32_t task)
{
	alive_require(s, task);
	switch (s->state[task]) {
	case SCHED_STATE_RUNNABLE:
		policy_of(s)->unready(s, task);
		break;
	case SCHED_STATE_RUNNING:
		holder_require(s, task, "removed task runs without the turn");
		sched_waits_clear(&s->waits, task);
		turn_free(s);
		break;
	case SCHED_STATE_PARKED:
		park_end(s, task);
		break;
	default:
		SCHED_BUG(task, "removed task in no proper state");
	}
	s->state[task] = SCHED_STATE_FREE;
	s->task_count--;
}

bool sched_slice_end(struct sched *s, uint32_t task)
{
	holder_require(s, task, "event of a task without the turn");
	return policy_of(s)->slice_end(s, task);
}

void sched_turn_release(struct sched *s, uint32_t task)
{
	holder_require(s, task, "turn released by a task that does not hold it");
	turn_free(s);
	s->state[task] = SCHED_STATE_RUNNABLE;
	policy_of(s)->ready(s, task, false);
}

void sched_turn_yield(struct sched *s, uint32_t task)
{
	holder_require(s, task, "turn yielded by a task that does not hold it");
	policy_of(s)->yield(s, task);
	sched_turn_release(s, task);
}

int sched_turn_pick(struct sched *s, uint32_t *ret_task)
{
	uint32_t task;
	int r;

	if (s->holder != SCHED_NONE)
		SCHED_BUG(s->holder, "pick while the turn is held");
	r = policy_of(s)->pick(s, &task);
	if (r < 0)
		return r;
	state_require(s, task, SCHED_STATE_RUNNABLE, "picked task is not runnable");
	s->state[task] = SCHED_STATE_RUNNING;
	s->holder = task;
	*ret_task = task;
	return 0;
}

int sched_wait_add(struct sched *s, uint32_t task, struct sched_key key, uint32_t bits,
		   uint64_t cookie)
{
	holder_require(s, task, "wait of a task without the turn");
	return sched_waits_add(&s->waits, task, key, bits, cookie);
}

void sched_wait_clear(struct sched *s, uint32_t task)
{
	holder_require(s, task, "wait cleared by a task without the turn");
	sched_waits_clear(&s->waits, task);
}

void sched_task_park(struct sched *s, uint32_t task, uint64_t deadline_ns)
{
	holder_require(s, task, "park of a task that is parked or has no turn");
	turn_free(s);
	s->state[task] = SCHED_STATE_PARKED;
	s->parked_count++;
	if (deadline_ns != SCHED_NEVER)
		sched_heap_insert(&s->deadlines, task, deadline_ns, s->tasks[task].number);
}

/* Makes a parked task runnable, at `clock` at least. */
static void task_unpark(struct sched *s, uint32_t task, uint32_t reason, uint64_t cookie,
			uint64_t clock)
{
	struct sched_task *t = &s->tasks[task];

	park_end(s, task);
	t->wake_reason = reason;
	t->wake_cookie = cookie;
	if (t->clock < clock)
		t->clock = clock;
	s->state[task] = SCHED_STATE_RUNNABLE;
	policy_of(s)->ready(s, task, false);
}

/*
 * Chains the tasks a wake reaches, and notes their cookies. They are woken only afterwards: that
 * takes out all nodes of a task, which may be the next ones of this very queue.
 */
static uint32_t wake_collect(struct sched *s, struct sched_key key, uint32_t max, uint32_t bits,
			     uint32_t *ret_first)
{
	uint32_t *link = ret_first, count = 0, steps = 0;
	uint32_t index = sched_waits_first(&s->waits, key);

	while (index != SCHED_NONE && count < max) {
		const struct sched_node *node = sched_waits_node(&s->waits, index);
		uint32_t task = node->task;

		if (steps++ >= SCHED_NODES_MAX)
			SCHED_BUG(task, "wait queue is a ring");
		index = node->next;
		if (!(node->bits & bits) || s->state[task] == SCHED_STATE_WAKING)
			continue;
		state_require(s, task, SCHED_STATE_PARKED, "wake of a task that is not parked");
		s->state[task] = SCHED_STATE_WAKING;
		s->tasks[task].wake_cookie = node->cookie;
		*link = task;
		link = &s->tasks[task].wake_next;
		count++;
	}
	*link = SCHED_NONE;
	return count;
}

uint32_t sched_key_wake(struct sched *s, struct sched_key key, uint32_t max, uint32_t bits,
			uint32_t waker)
{
	uint64_t clock = clock_of(s, waker);
	uint32_t task, count = wake_collect(s, key, max, bits, &task);

	for (uint32_t left = count; left > 0; left--) {
		uint32_t next;

		state_require(s, task, SCHED_STATE_WAKING, "chain of woken tasks damaged");
		next = s->tasks[task].wake_next;
		task_unpark(s, task, SCHED_WOKEN_KEY, s->tasks[task].wake_cookie, clock);
		task = next;
	}
	return count;
}

uint32_t sched_key_requeue(struct sched *s, struct sched_key from, struct sched_key to,
			   uint32_t max)
{
	return sched_waits_requeue(&s->waits, from, to, max);
}

uint32_t sched_key_waiters(const struct sched *s, struct sched_key key)
{
	return sched_waits_count(&s->waits, key);
}

bool sched_task_wake(struct sched *s, uint32_t task, uint32_t reason, uint32_t waker)
{
	alive_require(s, task);
	if (s->state[task] != SCHED_STATE_PARKED)
		return false;
	task_unpark(s, task, reason, 0, clock_of(s, waker));
	return true;
}

uint32_t sched_deadline_expire(struct sched *s, uint64_t now_ns)
{
	const struct sched_heap_entry *top;
	uint32_t count = 0;

	while ((top = sched_heap_top(&s->deadlines)) && top->key <= now_ns) {
		state_require(s, top->task, SCHED_STATE_PARKED, "deadline of a task not parked");
		task_unpark(s, top->task, SCHED_TIMEOUT, 0, sched_clock(s));
		count++;
	}
	return count;
}

enum sched_state sched_task_state(const struct sched *s, uint32_t task)
{
	if (task >= SCHED_TASKS_MAX)
		SCHED_BUG(task, "task index out of range");
	return (enum sched_state)s->state[task];
}

uint64_t sched_task_clock(const struct sched *s, uint32_t task)
{
	alive_require(s, task);
	return s->tasks[task].clock;
}

uint32_t sched_task_wake_reason(const struct sched *s, uint32_t task)
{
	alive_require(s, task);
	return s->tasks[task].wake_reason;
}

uint64_t sched_task_wake_cookie(const struct sched *s, uint32_t task)
{
	alive_require(s, task);
	return s->tasks[task].wake_cookie;
}
