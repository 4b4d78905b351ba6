/*
 * Who runs next, and who wakes whom: pure policy over one struct sched in the shared region.
 *
 * Freestanding, makes no system call, knows no pointers of its callers. The caller performs what
 * is decided here: it parks the old holder's thread and lets the picked one run. Calls need no
 * lock: only the holder of the turn makes them, or who took over a free turn (the tracer after an
 * exit, or when all tasks are parked).
 *
 *	free --sched_task_add--> RUNNABLE --sched_turn_pick--> RUNNING (holds the turn)
 *	                          ^    ^                        |    |
 *	                          |    +----sched_turn_yield----+    | sched_task_park
 *	                          |                                  v
 *	                          +--sched_key_wake, sched_task_wake-- PARKED
 *	                             sched_deadline_expire
 *	any of them --sched_task_remove--> free
 *
 * A call in the wrong state is a broken invariant: SCHED_BUG (sched_limits.h), which does not
 * return. So is a task index that is out of range or free, unless said otherwise.
 */
#ifndef SHADOW_SCHEDULER_H
#define SHADOW_SCHEDULER_H

#include <stdbool.h>
#include <stdint.h>

#include "sched_heap.h"
#include "sched_limits.h"
#include "sched_wait.h"

/* Which policy orders the tasks; an index, not a pointer, since processes map code elsewhere. */
enum sched_policy_id {
	SCHED_POLICY_EXCLUSIVE, /* one task at a time: sched_exclusive.c */
	SCHED_POLICY_COUNT
};

enum sched_state {
	SCHED_STATE_FREE, /* zero */
	SCHED_STATE_RUNNABLE,
	SCHED_STATE_RUNNING,
	SCHED_STATE_PARKED,
	SCHED_STATE_WAKING /* only inside sched_key_wake */
};

/* Why a task was woken. Callers of sched_task_wake may number their own from SCHED_WOKEN_OWN. */
enum sched_reason { SCHED_WOKEN_KEY, SCHED_TIMEOUT, SCHED_WOKEN_SIGNAL, SCHED_WOKEN_OWN };

/* A cache line each, so that indexing is a shift and tasks share no line. */
struct sched_task {
	_Alignas(64) uint64_t clock; /* logical clock: its events, raised by wakes */
	uint64_t wake_cookie;
	uint32_t wake_reason;
	uint32_t number;
	uint32_t wake_next; /* chain inside sched_key_wake */
};

struct sched {
	struct sched_task tasks[SCHED_TASKS_MAX]; /* first, as it wants the alignment */
	uint64_t slice_left;			  /* events the holder may still do */
	uint64_t slice_events;
	uint64_t last_clock; /* clock of the last holder, for wakes while nobody holds the turn */
	struct sched_heap runnable;  /* by (logical clock, task number); without the holder */
	struct sched_heap deadlines; /* of parked tasks, by (deadline, task number) */
	struct sched_waits waits;
	uint32_t policy;
	uint32_t holder;  /* SCHED_NONE while the turn is free */
	uint32_t newborn; /* runs before all others; SCHED_NONE */
	uint32_t task_count, parked_count;
	uint8_t state[SCHED_TASKS_MAX];
};

/*
 * Makes `s` an empty scheduler: no tasks, free turn. `state` and `waits.bucket` are zero, as they
 * are in new memory, which is not touched; nothing depends on what the rest held.
 * A turn lasts `slice_events` events if other tasks are runnable; 0 means without limit.
 */
void sched_init(struct sched *s, enum sched_policy_id policy, uint64_t slice_events);

/*
 * Adds the task with the free index `task`, runnable. `number` (its tid) breaks ties and must be
 * unique among living tasks. With a parent it starts at the parent's clock and is the next one
 * picked, whatever its clock (of several the youngest), for the rest of the slice: the parent
 * yields or parks after this.
 * With SCHED_NONE it starts at the current clock and has no precedence.
 */
void sched_task_add(struct sched *s, uint32_t task, uint32_t number, uint32_t parent);

/*
 * Removes a task in any state, with its wait nodes and its deadline. If it held the turn, the
 * turn is free: whoever finishes the exit picks.
 */
void sched_task_remove(struct sched *s, uint32_t task);

/* Slow path of sched_event. */
bool sched_slice_end(struct sched *s, uint32_t task);

/*
 * Charges one event to `task`, the holder. Returns true if its slice is used up and another task
 * comes before it: then sched_turn_release and sched_turn_pick are due. A holder that would
 * be picked again goes on with a new slice. The index is not checked: this is the fast path of
 * every call, 2 memory operations.
 */
static inline bool sched_event(struct sched *s, uint32_t task)
{
	s->tasks[task].clock++;
	if (__builtin_expect(--s->slice_left != 0, 1))
		return false;
	return sched_slice_end(s, task);
}

/*
 * The holder gives the turn back and stays runnable, with its clock as it is: at the end of its
 * slice, or so that its child comes first.
 */
void sched_turn_release(struct sched *s, uint32_t task);

/*
 * The same by its own wish (sched_yield): its clock is raised past that of the task that comes
 * next, so that another runnable task, if there is one, gets the turn. After a birth the child
 * comes next and the clock stays.
 */
void sched_turn_yield(struct sched *s, uint32_t task);

/*
 * Gives the free turn to the next runnable task and begins its slice (a newborn one goes on with
 * the slice under way). -SCHED_EAGAIN if no task is runnable: the container waits for a deadline or
 * for input. SCHED_BUG if the turn is held.
 */
int sched_turn_pick(struct sched *s, uint32_t *ret_task);

/*
 * Links a wait node: `task`, the holder, will wait on `key` once it parks; it may have many.
 * A wake reaches it if it shares a bit with `bits`, and leaves it `cookie`. -SCHED_ENOSPC if no
 * node is left: the task keeps the nodes it has, until sched_wait_clear or the end of its park.
 */
int sched_wait_add(struct sched *s, uint32_t task, struct sched_key key, uint32_t bits,
		   uint64_t cookie);

/* Drops the nodes of `task`, the holder, which will not park after all. */
void sched_wait_clear(struct sched *s, uint32_t task);

/*
 * Parks the holder: the turn is free. It sleeps until a wake on one of its keys, sched_task_wake,
 * or its deadline (virtual ns; SCHED_NEVER). Parking a task twice, or one without the turn, is a
 * SCHED_BUG.
 */
void sched_task_park(struct sched *s, uint32_t task, uint64_t deadline_ns);

/*
 * Wakes up to `max` tasks waiting on `key` with a bit in common with `bits`, oldest first; each
 * counts once however many nodes it has there. A woken task is runnable, all its nodes and its
 * deadline are gone, its clock is at least that of `waker` (SCHED_NONE: of the current or last
 * holder), its reason is SCHED_WOKEN_KEY, its cookie that of the oldest node that was reached.
 * Returns how many were woken; an unknown key wakes nobody. The reached tasks must be parked:
 * the holder may not wake a key it has just put itself on.
 */
uint32_t sched_key_wake(struct sched *s, struct sched_key key, uint32_t max, uint32_t bits,
			uint32_t waker);

/*
 * Moves the oldest `max` nodes on `from` behind those on `to`, keeping their order, bits and
 * cookies. Returns how many; if the keys are equal nothing moves, but they count.
 */
uint32_t sched_key_requeue(struct sched *s, struct sched_key from, struct sched_key to,
			   uint32_t max);

/* Number of wait nodes on `key` (a task counts as often as it has nodes there). */
uint32_t sched_key_waiters(const struct sched *s, struct sched_key key);

/*
 * Wakes `task` if it is parked, whatever it waits for, with `reason` and cookie 0; its clock as
 * in sched_key_wake. Returns false, changing nothing, if it is in another state.
 */
bool sched_task_wake(struct sched *s, uint32_t task, uint32_t reason, uint32_t waker);

/*
 * Wakes every parked task whose deadline is at or before `now_ns` with SCHED_TIMEOUT, by
 * (deadline, task number). Clocks as for a waker of SCHED_NONE. Returns how many.
 */
uint32_t sched_deadline_expire(struct sched *s, uint64_t now_ns);

/* The earliest deadline of a parked task, or SCHED_NEVER. O(1). */
static inline uint64_t sched_deadline_next_ns(const struct sched *s)
{
	const struct sched_heap_entry *top = sched_heap_top(&s->deadlines);

	return top ? top->key : SCHED_NEVER;
}

/* The holder of the turn, or SCHED_NONE. */
static inline uint32_t sched_turn_holder(const struct sched *s)
{
	return s->holder;
}

/* The current clock: the holder's, or the last holder's while the turn is free. */
uint64_t sched_clock(const struct sched *s);

/* State of any index below SCHED_TASKS_MAX. */
enum sched_state sched_task_state(const struct sched *s, uint32_t task);

/* Logical clock of a task. */
uint64_t sched_task_clock(const struct sched *s, uint32_t task);

/* enum sched_reason, or the caller's own, of the last wake; valid after the first one. */
uint32_t sched_task_wake_reason(const struct sched *s, uint32_t task);

/* Cookie of the node the last wake reached; 0 unless the reason is SCHED_WOKEN_KEY. */
uint64_t sched_task_wake_cookie(const struct sched *s, uint32_t task);

/* Tasks in all; those that wait for the turn (without the holder); those that are parked. */
static inline uint32_t sched_task_count(const struct sched *s)
{
	return s->task_count;
}

static inline uint32_t sched_runnable_count(const struct sched *s)
{
	return s->runnable.count;
}

static inline uint32_t sched_parked_count(const struct sched *s)
{
	return s->parked_count;
}

/* True if every task is parked: nothing runs and nothing could. */
static inline bool sched_is_quiescent(const struct sched *s)
{
	return s->holder == SCHED_NONE && s->runnable.count == 0;
}

#endif
