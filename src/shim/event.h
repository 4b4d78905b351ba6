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
static inline void event_fold_in(struct region_head *h, struct task *t, u64 out, u64 word)
{
	h->digest = digest_merge(h->digest, word ^ digest_rotl(out, 17) ^ (u64)t->tid << 40);
	t->events++;
	h->events++;
}

static inline bool event_fold(struct task *t, u64 word, bool *ret_slice_over)
{
	struct region_head *h = HEAD;

	event_fold_in(h, t, t->digest_out, word);
	*ret_slice_over = sched_event(SCHED, t->index);
	return (h->events >= h->next_check) | *ret_slice_over;
}

/* Hash of a call's first nargs arguments. */
static inline u64 event_args_word(const u64 *a, unsigned nargs)
{
	u64 word = 0;

	switch (nargs) {
	case 6:
		word += a[5] * 0xff51afd7ed558ccdull;
		__attribute__((fallthrough));
	case 5:
		word ^= a[4] * 0xc4ceb9fe1a85ec53ull;
		__attribute__((fallthrough));
	case 4:
		word += a[3] * 0x9fb21c651e98df25ull;
		__attribute__((fallthrough));
	case 3:
		word ^= a[2] * DIGEST_P5;
		__attribute__((fallthrough));
	case 2:
		word += a[1] * DIGEST_P4;
		__attribute__((fallthrough));
	case 1:
		word ^= a[0] * DIGEST_P3;
		__attribute__((fallthrough));
	default:
		return word;
	}
}

/* What event_fold takes: arguments, result and number together. */
static inline u64 event_word(u64 args_word, s64 nr, long result)
{
	return digest_merge(args_word, (u64)result) ^ (u64)nr * DIGEST_P1;
}

/*
 * The whole end of an event that is the last of its task: folds `word`, traces, does the rare work.
 * The caller gives the turn away, so the end of a slice means nothing more.
 */
void event_last(struct task *t, struct frame *f, s64 nr, u64 word);

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
