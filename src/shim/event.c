/*
 * What happens between events, all of it a function of the container's state: chain values every
 * CHAIN_EVENTS events, the epoch's end, due timers, the end of a slice.
 *
 * Invariant: HEAD->next_check is never later than the next of these.
 */
#include "event.h"
#include "signal.h"
#include "spin.h"

static void chain_append(void)
{
	struct region_head *h = HEAD;
	u32 value = (u32)(h->digest ^ h->digest >> 32);

	SHIM_ASSERT(h->chain_count < CHAIN_MAX);
	CHAIN[h->chain_count] = value;
	if (h->config.replay && h->chain_count < h->expect_count &&
	    EXPECT[h->chain_count] != value) {
		h->chain_count++;
		upcall(UPCALL_DIVERGED, h->events, 0, 0);
	}
	h->chain_count++;
}

static u64 next_deadline(void)
{
	u64 parked = sched_deadline_next_ns(SCHED), timer = signal_next_check();

	return parked < timer ? parked : timer;
}

/* The next event after which the probe has something to do, if that is before `check`. */
static u64 probe_check(const struct region_head *h, u64 check)
{
	const struct region_probe *p = &h->probe;

	if (p->trace_from != 0 && h->events < p->trace_from - 1 && p->trace_from - 1 < check)
		check = p->trace_from - 1;
	if (p->stop_at != 0 && p->stop_at < check)
		check = p->stop_at;
	return check;
}

/* Comes before anything else is done about the event, which so shows as it was. */
static void probe_act(struct region_head *h)
{
	const struct region_probe *p = &h->probe;

	if (p->trace_from != 0 && h->events >= p->trace_from - 1)
		h->config.trace_events = 1;
	if (p->stop_at != 0 && h->events >= p->stop_at)
		upcall(UPCALL_STOP, h->events, 0, 0);
}

void turn_timer_changed(void)
{
	struct region_head *h = HEAD;
	u64 check = (h->events / CHAIN_EVENTS + 1) * CHAIN_EVENTS;
	u64 deadline = next_deadline();

	if (h->epoch_end_event < check)
		check = h->epoch_end_event;
	h->next_timer_ns = deadline;
	if (deadline != SCHED_NEVER) {
		u64 away = deadline > h->now_ns ? deadline - h->now_ns : 0;
		u64 at = h->events + (away + h->config.time_step_ns - 1) / h->config.time_step_ns;

		if (at < check)
			check = at;
	}
	h->next_check = probe_check(h, check);
}

/* Looked at with each chain value, so that an input need not wait for a long epoch's end. */
static bool early_epoch_due(void)
{
	const struct region_head *h = HEAD;

	if (h->config.replay)
		return h->early_epoch_at == h->events;
	return __atomic_load_n(&h->early_epoch, __ATOMIC_RELAXED) != 0;
}

void event_slow(struct task *t, bool slice_over)
{
	struct region_head *h = HEAD;

	probe_act(h);
	if (h->events % CHAIN_EVENTS == 0) {
		chain_append();
		spin_wake_changed(true);
	}
	if (h->events >= h->epoch_end_event)
		epoch_take(EPOCH_EVENTS);
	else if (h->events % CHAIN_EVENTS == 0 && early_epoch_due())
		epoch_take(EPOCH_EARLY);
	if (h->now_ns >= h->next_timer_ns) {
		sched_deadline_expire(SCHED, h->now_ns);
		signal_expire_timers(h->now_ns);
	}
	turn_timer_changed();
	if (slice_over)
		turn_release(t);
}

void event_last(struct task *t, struct frame *f, s64 nr, u64 word)
{
	bool slice_over;

	event_fold(t, word, &slice_over);
	if (HEAD->config.trace_events)
		event_trace(t, f, nr, 0);
	event_slow(t, false);
}
