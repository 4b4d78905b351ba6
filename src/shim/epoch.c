/*
 * Taking an epoch: the tracer, asked by an upcall, has written number, timestamp, seed and inputs;
 * here they become state of the container and part of the digest.
 */
#include "event.h"
#include "signal.h"
#include "../syscall-table/files.h"

static void input_apply(const struct epoch_input *in)
{
	switch (in->kind) {
	case INPUT_DATA:
		channel_append(in->channel, in->bytes, in->size_bytes);
		break;
	case INPUT_EOF:
		channel_eof(in->channel);
		break;
	case INPUT_CLOSE:
		stream_close_input(in->channel, in->bytes, in->size_bytes);
		break;
	case INPUT_SIGNAL:
		signal_from_outside((int)in->channel);
		break;
	default:
		shim_bug("input of an unknown kind", in->kind);
	}
}

static void fold(u64 word)
{
	HEAD->digest = digest_merge(HEAD->digest, word);
}

static void inputs_apply(void)
{
	const struct inbox *inbox = INBOX;
	u64 at = 0;

	for (u32 i = 0; i < inbox->count; i++) {
		const struct epoch_input *in = (const struct epoch_input *)(inbox->bytes + at);

		fold((u64)in->kind << 32 | in->channel);
		fold(hash_bytes(in->size_bytes, in->bytes, in->size_bytes));
		input_apply(in);
		at += sizeof(*in) + ((in->size_bytes + 7ull) & ~7ull);
	}
}

void epoch_take(u32 reason)
{
	struct region_head *h = HEAD;

	h->request.reason = reason;
	h->request.deadline_ns = h->next_timer_ns;
	upcall(UPCALL_EPOCH, reason, 0, 0);
	if (h->epoch_time_ns > h->now_ns)
		h->now_ns = h->epoch_time_ns;
	FILES->stream_cost = 0;
	h->epoch_first_event = h->events;
	h->epoch_end_event = h->events + h->config.epoch_events;
	fold(h->epoch_number);
	fold(h->epoch_time_ns);
	fold(hash_bytes(0, h->epoch_seed, sizeof(h->epoch_seed)));
	inputs_apply();
}
