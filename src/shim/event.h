/* The begin and end of an event, and the rare work between events.  See event.c. */
#ifndef SHADOW_EVENT_H
#define SHADOW_EVENT_H

#include "digest.h"
#include "shim.h"

static inline void event_begin(struct task *t, struct frame *f)
{
	HEAD->now_ns += HEAD->config.time_step_ns;
	t->frame = f;
	t->digest_out = 0;
	t->parked = 0;
}

/*
 * Counts the event and folds it: word is the hash of number, arguments and result.  True if there
 * is rare work (event_slow): a chain value, an epoch, a timer, the end of the slice, tracing.
 */
static inline bool event_fold(struct task *t, u64 word, bool *ret_slice_over)
{
	struct region_head *h = HEAD;

	h->digest = digest_merge(h->digest, word ^ digest_rotl(t->digest_out, 17) ^ (u64)t->tid << 40);
	t->events++;
	*ret_slice_over = sched_event(SCHED, t->index);
	return (++h->events >= h->next_check) | *ret_slice_over;
}

/* The rare work.  May pass the turn on and wait for it. */
void event_slow(struct task *t, bool slice_over);

/* turn.c: the slice is used up: gives the turn away and waits for it. */
void turn_release(struct task *t);

/* Recomputes when dispatch must leave the fast path; after a deadline or epoch end changed. */
void turn_timer_changed(void);

/* Writes the event to the event ring; called only if config.trace_events. */
void event_trace(struct task *t, struct frame *f, s64 nr, long result);

/* Asks for the next epoch and applies it; the container is quiescent or at the epoch's end. */
void epoch_take(u32 reason);

#endif
