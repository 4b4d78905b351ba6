/*
 * The queues of armed timers, and what is common to all timers.
 *
 * Owns SIGNALS->timers.  A timer of cpu time is looked at no later than its clock could have
 * reached it with nothing else running (cpu time never grows faster than virtual time), and then
 * planned again if it has not.  When everything is parked, time jumps to timers of wall time only:
 * cpu clocks stand still.
 *
 * Invariants: entries[place - 1] is the timer, for each armed one; none is before its parent in
 * the array.  A container without timers has no arrays and pays two comparisons whenever the next
 * deadline is computed.
 */
#include "../shim/event.h"
#include "../shim/signal.h"
#include "timer.h"

#define SECOND_NS     1000000000ull
#define SECONDS_LIMIT (TIMER_NEVER_NS / SECOND_NS)
#define QUEUE_FIRST   16

static struct timer_queue *queue_of(const struct timer *timer)
{
	return clock_is_cpu(&timer->clock) ? &SIGNALS->timers.cpu : &SIGNALS->timers.wall;
}

/* ---- the heap ---- */

static bool comes_before(const struct timer *a, const struct timer *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

static void place(struct timer_queue *q, u32 at, struct timer *timer)
{
	q->entries[at] = timer;
	timer->place = at + 1;
}

static void sift_up(struct timer_queue *q, u32 at, struct timer *timer)
{
	while (at > 0 && comes_before(timer, q->entries[(at - 1) / 2])) {
		place(q, at, q->entries[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	place(q, at, timer);
}

static void sift_down(struct timer_queue *q, u32 at, struct timer *timer)
{
	for (u32 down; (down = 2 * at + 1) < q->count; at = down) {
		if (down + 1 < q->count && comes_before(q->entries[down + 1], q->entries[down]))
			down++;
		if (!comes_before(q->entries[down], timer))
			break;
		place(q, at, q->entries[down]);
	}
	place(q, at, timer);
}

static void queue_grow(struct timer_queue *q)
{
	u32 capacity = q->capacity ? 2 * q->capacity : QUEUE_FIRST;
	struct timer **entries = heap_alloc_unset(capacity * sizeof(*entries));

	if (q->count)
		memcpy(entries, q->entries, q->count * sizeof(*entries));
	heap_free(q->entries);
	q->entries = entries;
	q->capacity = capacity;
}

static void queue_add(struct timer_queue *q, struct timer *timer)
{
	if (q->count == q->capacity)
		queue_grow(q);
	timer->order = ++SIGNALS->timers.armed;
	sift_up(q, q->count++, timer);
}

static void queue_remove(struct timer_queue *q, struct timer *timer)
{
	u32 at = timer->place - 1;
	struct timer *last = q->entries[--q->count];

	timer->place = 0;
	if (last == timer)
		return;
	if (at > 0 && comes_before(last, q->entries[(at - 1) / 2]))
		sift_up(q, at, last);
	else
		sift_down(q, at, last);
}

static u64 queue_next_ns(const struct timer_queue *q)
{
	return q->count ? q->entries[0]->at_ns : SCHED_NEVER;
}

/* ---- arming ---- */

/* When it is looked at, in virtual time. */
static u64 look_at_ns(const struct timer *timer)
{
	u64 deadline = timer->deadline_ns;

	if (deadline >= TIMER_NEVER_NS)
		return SCHED_NEVER;
	if (timer->clock.kind == CLOCK_KIND_WALL)
		return deadline;
	if (timer->clock.kind == CLOCK_KIND_BOOT)
		return deadline + clock_monotonic_base();
	return now_ns() + timer_left_ns(timer);
}

void timer_arm(struct timer *timer)
{
	struct timer_queue *q = queue_of(timer);

	if (timer_is_armed(timer))
		queue_remove(q, timer);
	timer->at_ns = look_at_ns(timer);
	queue_add(q, timer);
	turn_timer_changed();
}

void timer_disarm(struct timer *timer)
{
	if (!timer_is_armed(timer))
		return;
	queue_remove(queue_of(timer), timer);
	turn_timer_changed();
}

/* ---- what is due ---- */

static void (*const due[TIMER_USES])(struct timer *timer) = {
	[TIMER_OF_PROC] = itimer_due,	  [TIMER_OF_POSIX] = posix_timer_due,
	[TIMER_OF_FD] = timerfd_due,	  [TIMER_OF_SLEEP] = sleep_due,
	[TIMER_OF_LIMIT] = cpu_limit_due,
};

u64 signal_next_timer(void)
{
	return queue_next_ns(&SIGNALS->timers.wall);
}

u64 signal_next_check(void)
{
	u64 wall = queue_next_ns(&SIGNALS->timers.wall), cpu = queue_next_ns(&SIGNALS->timers.cpu);

	return wall < cpu ? wall : cpu;
}

static struct timer *take_first(struct timer_queue *q)
{
	struct timer *timer = q->entries[0];

	queue_remove(q, timer);
	return timer;
}

static void cpu_timer_look(struct timer *timer)
{
	u64 shown;

	/* What counts a clock that is gone is never due. */
	if (!clock_now(&timer->clock, &shown))
		return;
	if (shown < timer->deadline_ns)
		timer_arm(timer);
	else
		due[timer->use](timer);
}

void signal_expire_timers(u64 now)
{
	struct timers *all = &SIGNALS->timers;

	while (queue_next_ns(&all->wall) <= now) {
		struct timer *timer = take_first(&all->wall);
		due[timer->use](timer);
	}
	while (queue_next_ns(&all->cpu) <= now)
		cpu_timer_look(take_first(&all->cpu));
}

/* ---- times ---- */

u64 timer_clock_ns(const struct timer *timer)
{
	u64 shown;

	return clock_now(&timer->clock, &shown) ? shown : 0;
}

u64 timer_left_ns(const struct timer *timer)
{
	u64 shown = timer_clock_ns(timer);

	return timer->deadline_ns > shown ? timer->deadline_ns - shown : 0;
}

u64 timer_forward(struct timer *timer)
{
	u64 shown = timer_clock_ns(timer);

	if (shown < timer->deadline_ns)
		return 0;
	u64 periods = (shown - timer->deadline_ns) / timer->interval_ns + 1;
	timer->deadline_ns = timer_add_ns(timer->deadline_ns, periods * timer->interval_ns);
	return periods;
}

u64 timer_add_ns(u64 a, u64 b)
{
	return a + b < TIMER_NEVER_NS ? a + b : TIMER_NEVER_NS;
}

/* The kernel's struct itimerspec. */
struct app_spec {
	s64 interval_sec, interval_nsec, value_sec, value_nsec;
};

static bool is_time(s64 sec, s64 nsec)
{
	return sec >= 0 && nsec >= 0 && nsec < (s64)SECOND_NS;
}

static u64 to_ns(s64 sec, s64 nsec)
{
	return (u64)sec < SECONDS_LIMIT ? (u64)sec * SECOND_NS + (u64)nsec : TIMER_NEVER_NS;
}

long timer_spec_in(struct task *t, u64 addr, struct timer_spec *ret)
{
	struct app_spec spec;

	if (user_get(spec, addr) < 0)
		return -EFAULT;
	digest_bytes(t, &spec, sizeof(spec));
	if (!is_time(spec.interval_sec, spec.interval_nsec) ||
	    !is_time(spec.value_sec, spec.value_nsec))
		return -EINVAL;
	ret->interval_ns = to_ns(spec.interval_sec, spec.interval_nsec);
	ret->value_ns = to_ns(spec.value_sec, spec.value_nsec);
	return 0;
}

long timer_spec_out(struct task *t, u64 addr, const struct timer_spec *spec)
{
	struct app_spec out = {
		(s64)(spec->interval_ns / SECOND_NS),
		(s64)(spec->interval_ns % SECOND_NS),
		(s64)(spec->value_ns / SECOND_NS),
		(s64)(spec->value_ns % SECOND_NS),
	};

	if (user_put(addr, out) < 0)
		return -EFAULT;
	digest_bytes(t, &out, sizeof(out));
	return 0;
}
