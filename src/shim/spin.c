/*
 * Parks spinning tasks and finds out when their loops would go on otherwise; see spin.h.
 *
 * Owns the list of parked spinning tasks.  A task is in it exactly as long as it is parked and
 * nobody has seen its memory changed; its entry (task->spin) lives until it runs again or ends.
 *
 * Of many whose memory has changed one is woken at a time: the one that waits longest.  If it is
 * the one that can go on (a lock's next owner), the others mostly need not look: a spin lock is
 * taken again when they are looked at, and who has the next ticket is the next to be woken.  A task
 * that was woken and makes no event before it is back waits on, and keeps its turn.
 */
#include "spin.h"

#include <linux/mman.h>

#include "mm.h"
#include "shim.h"
#include "signal.h"

#define SIGNALS_FORWARDED 4

/* What the memory held, by the ranges the tracer found; false if it is not there any more. */
static bool take_bytes(struct spinner *s)
{
	u64 used = 0;

	for (u32 i = 0; i < s->count; i++) {
		const struct spin_range *r = &s->ranges[i];

		SHIM_ASSERT(r->size <= SPIN_BYTES_MAX - used);
		if (user_copy_in(s->bytes + used, r->addr, r->size) < 0)
			return false;
		used += r->size;
	}
	return true;
}

/* A private page of a file shows what others write to the file until it is written to. */
static bool is_shared_at(const struct mm *mm, u64 addr)
{
	const struct vma *v = vma_find(mm, addr);

	if (v == NULL)
		return false;
	return v->flags & VMA_SHARED || (v->kind == VMA_FILE && !(v->flags & VMA_TOUCHED));
}

/* A range is no longer than a page, so its ends tell of all of it. */
static bool is_shared(const struct mm *mm, const struct spinner *s)
{
	for (u32 i = 0; i < s->count; i++) {
		const struct spin_range *r = &s->ranges[i];

		if (is_shared_at(mm, r->addr) || is_shared_at(mm, r->addr + r->size - 1))
			return true;
	}
	return false;
}

/* Who waits longest comes first, however often it was woken for nothing. */
static void insert(struct spinner *s)
{
	struct spinner **link = &SPIN->first;

	while (*link != NULL && (*link)->turn <= s->turn)
		link = &(*link)->next;
	s->next = *link;
	*link = s;
}

static void unlink(struct spinner *s)
{
	for (struct spinner **link = &SPIN->first; *link != NULL; link = &(*link)->next) {
		if (*link == s) {
			*link = s->next;
			return;
		}
	}
}

void spin_forget(struct task *t)
{
	struct spinner *s = (struct spinner *)t->spin;

	if (s == NULL)
		return;
	unlink(s);
	heap_free(s);
	t->spin = 0;
}

void spin_park(struct task *t)
{
	struct spinner *s = heap_alloc_aside(sizeof(*s));

	SHIM_ASSERT(SPIN->found_count <= SPIN_RANGES_MAX);
	s->task = t->index;
	s->mm = proc_of(t)->mm;
	s->count = SPIN->found_count;
	memcpy(s->ranges, SPIN->found, s->count * sizeof(*s->ranges));
	SHIM_ASSERT(take_bytes(s));
	s->shared = is_shared(mm_at(s->mm), s);
	t->spin = (u64)s;
	if (t->spin_turn == 0 || t->events != t->spin_events + 1)
		t->spin_turn = ++SPIN->turns;
	s->turn = t->spin_turn;
	insert(s);
	turn_park(t, SCHED_NEVER);
	spin_forget(t);
	t->spin_events = t->events;
}

/* The bytes now, of the task's own address space or, through the tracer, of another. */
static const u8 *bytes_now(const struct spinner *s, const struct spin_range *r, bool near, u8 *buf)
{
	if (near)
		return user_copy_in(buf, r->addr, r->size) < 0 ? NULL : buf;
	upcall(UPCALL_SPIN_PEEK, s->task, r->addr, r->size);
	return SPIN->peek_failed ? NULL : SPIN->peeked;
}

/* Memory that is gone counts as changed: the task finds that out by itself. */
static bool has_changed(const struct spinner *s, bool near)
{
	u8 buf[SPIN_BYTES_MAX];
	u64 used = 0;

	for (u32 i = 0; i < s->count; i++) {
		const u8 *now = bytes_now(s, &s->ranges[i], near, buf);

		if (now == NULL || memcmp(now, s->bytes + used, s->ranges[i].size) != 0)
			return true;
		used += s->ranges[i].size;
	}
	return false;
}

static bool is_due(const struct spinner *s, bool far)
{
	bool near = proc_of(current())->mm == s->mm;

	return (near || (far && s->shared)) && has_changed(s, near);
}

bool spin_wake_changed(bool far)
{
	struct spinner **link = &SPIN->first;

	while (*link != NULL && !is_due(*link, far))
		link = &(*link)->next;
	if (*link == NULL)
		return false;
	struct spinner *s = *link;
	*link = s->next;
	sched_task_wake(SCHED, s->task, SCHED_WOKEN_OWN, SCHED_NONE);
	return true;
}

static bool is_code(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = vma_lower(mm, start); i < mm->count && vma_at(mm, i)->start < end; i++) {
		if (vma_at(mm, i)->prot & PROT_EXEC)
			return true;
	}
	return false;
}

static bool touches(const struct spinner *s, u64 start, u64 end)
{
	for (u32 i = 0; i < s->count; i++) {
		if (s->ranges[i].addr < end && start < s->ranges[i].addr + s->ranges[i].size)
			return true;
	}
	return false;
}

/* Makes those of an address space runnable; all of them, or whose loop touches [start, end). */
static void wake_in(const struct mm *mm, bool all, u64 start, u64 end)
{
	struct spinner **link = &SPIN->first;

	while (*link != NULL) {
		struct spinner *s = *link;

		if (mm_at(s->mm) != mm || (!all && !touches(s, start, end))) {
			link = &s->next;
			continue;
		}
		*link = s->next;
		sched_task_wake(SCHED, s->task, SCHED_WOKEN_OWN, SCHED_NONE);
	}
}

void spin_code_changes(const struct mm *mm, u64 start, u64 end)
{
	if (SPIN->first != NULL && is_code(mm, start, end))
		wake_in(mm, true, start, end);
}

void spin_memory_changes(const struct mm *mm, u64 start, u64 end)
{
	wake_in(mm, false, start, end);
}

/* Whether the clock goes on while the task spins; see spin_charge. */
static bool drives(const struct task *t, const struct clock *clock)
{
	if (clock->kind == CLOCK_KIND_PROC)
		return t->proc == clock->proc;
	return t->tid == clock->id && t->events != 0;
}

static bool is_driven(const struct clock *clock)
{
	const struct spinner *s = SPIN->first;

	while (s != NULL && !drives(task_at(s->task), clock))
		s = s->next;
	return s != NULL;
}

u64 spin_cpu_deadline(void)
{
	const struct timer_queue *q = &SIGNALS->timers.cpu;
	u64 least = SCHED_NEVER;

	for (u32 i = 0; SPIN->first != NULL && i < q->count; i++) {
		u64 at = now_ns() + timer_left_ns(q->entries[i]);

		if (is_driven(&q->entries[i]->clock) && at < least)
			least = at;
	}
	return least;
}

/* A task's first event is known by its number, so who has made none yet stays at none. */
void spin_charge(u64 ns)
{
	u64 step = HEAD->config.time_step_ns, steps = (ns + step - 1) / step;

	for (const struct spinner *s = SPIN->first; s != NULL; s = s->next) {
		struct task *t = task_at(s->task);

		proc_of(t)->events += steps;
		if (t->events == 0)
			continue;
		t->events += steps;
		t->events_told += steps;
	}
}

bool spin_waits_for_signal(void)
{
	static const u8 forwarded[SIGNALS_FORWARDED] = {1, 2, 3, 15}; /* HUP INT QUIT TERM */

	for (const struct spinner *s = SPIN->first; s != NULL; s = s->next) {
		const struct task *t = task_at(s->task);

		for (u32 i = 0; i < SIGNALS_FORWARDED; i++) {
			u64 handler = signal_action(t->proc, forwarded[i])->handler;

			if (handler != SIG_HANDLER_DFL && handler != SIG_HANDLER_IGN)
				return true;
		}
	}
	return false;
}
