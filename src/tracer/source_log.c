/*
 * See source_log.h.  The log is hostile: counts and sizes are checked against the region's buffers
 * before anything is copied.
 */
#include "source_log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What happened in the epoch before must be what was recorded. */
static int compare(struct source_log *source, const struct evlog_epoch *epoch)
{
	if (epoch->number == 0 ||
	    (epoch->digest == HEAD->digest && epoch->delivered_at == HEAD->events))
		return 0;
	if (epoch->delivered_at == HEAD->events)
		snprintf(source->divergence, sizeof(source->divergence),
			 "in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64 ")",
			 HEAD->epoch_first_event + 1, HEAD->events, epoch->number - 1);
	else
		snprintf(source->divergence, sizeof(source->divergence),
			 "in epoch %" PRIu64 ": it ends at event %" PRIu64 ", recorded %" PRIu64,
			 epoch->number - 1, HEAD->events, epoch->delivered_at);
	return -EILSEQ;
}

static int inbox_fill(const struct evlog_epoch *epoch)
{
	INBOX->count = INBOX->used_bytes = 0;
	for (size_t i = 0; i < epoch->input_count; i++) {
		const struct evlog_input *from = &epoch->inputs[i];
		uint64_t need = sizeof(struct epoch_input) + ((from->size_bytes + 7ull) & ~7ull);

		if (offsetof(struct inbox, bytes) + INBOX->used_bytes + need > INBOX_BYTES)
			return -EBADMSG;
		struct epoch_input *in = (struct epoch_input *)(INBOX->bytes + INBOX->used_bytes);
		*in = (struct epoch_input){from->channel, (uint32_t)from->kind, from->size_bytes,
					   0};
		memcpy(in->bytes, from->bytes, from->size_bytes);
		INBOX->used_bytes += (uint32_t)need;
		INBOX->count++;
	}
	return 0;
}

static int expect(struct evlog_reader *reader, uint64_t number)
{
	uint32_t *values;
	size_t count;
	int error = evlog_reader_chain_read(reader, number, &values, &count);

	if (error < 0)
		return error;
	if (count > CHAIN_MAX)
		error = -EBADMSG;
	else
		memcpy(EXPECT, values, count * sizeof(*values));
	free(values);
	HEAD->expect_count = error == 0 ? (uint32_t)count : 0;
	return error;
}

/* Has the shim take epoch `number`, or that at which the run was told to end, where it was taken,
 * if that was early. */
static int announce_early(struct evlog_reader *reader, uint64_t number)
{
	struct evlog_epoch epoch;

	const struct evlog_end *end = evlog_reader_end(reader);

	HEAD->early_epoch_at = 0;
	if (number >= evlog_reader_epoch_count(reader)) {
		if (end != NULL && end->kind == EVLOG_END_OUTSIDE_EARLY)
			HEAD->early_epoch_at = end->events;
		return 0;
	}
	int error = evlog_reader_epoch_read(reader, number, &epoch);
	if (error < 0)
		return error;
	if (epoch.flags & EVLOG_EPOCH_EARLY)
		HEAD->early_epoch_at = epoch.delivered_at;
	evlog_reader_epoch_finish(&epoch);
	return 0;
}

static int deliver(struct source_log *source, const struct evlog_epoch *epoch)
{
	int error = compare(source, epoch);

	if (error == 0)
		error = inbox_fill(epoch);
	if (error == 0)
		error = expect(source->reader, epoch->number);
	if (error < 0)
		return error;
	HEAD->epoch_time_ns = epoch->timestamp_ns;
	memcpy(HEAD->epoch_seed, epoch->seed, sizeof(epoch->seed));
	HEAD->chain_count = 0;
	HEAD->epoch_number = epoch->number + 1;
	return announce_early(source->reader, epoch->number + 1);
}

/*
 * The log stops here.  The epoch record it stops behind still says how the one before it ended.
 */
static int log_ends(struct source_log *source, uint64_t number)
{
	struct evlog_epoch epoch;

	if (number >= evlog_reader_epoch_count(source->reader))
		return -ENODATA;
	int error = evlog_reader_epoch_read(source->reader, number, &epoch);
	if (error == 0) {
		error = compare(source, &epoch);
		evlog_reader_epoch_finish(&epoch);
	}
	return error == 0 ? -ENODATA : error;
}

static int next(struct epoch_source *base, struct container *c, uint32_t reason)
{
	struct source_log *source = (struct source_log *)base;
	uint64_t number = HEAD->epoch_number;
	struct evlog_epoch epoch;

	(void)c;
	(void)reason;
	if (number >= evlog_reader_epochs_whole(source->reader))
		return log_ends(source, number);
	int error = evlog_reader_epoch_read(source->reader, number, &epoch);
	if (error < 0)
		return error;
	error = deliver(source, &epoch);
	evlog_reader_epoch_finish(&epoch);
	return error;
}

static bool interrupted(struct epoch_source *base)
{
	struct source_log *source = (struct source_log *)base;

	return source->signals.base.interrupted(&source->signals.base);
}

void source_log_init(struct source_log *source, struct evlog_reader *reader)
{
	*source = (struct source_log){.base = {next, interrupted}, .reader = reader};
	source_local_init(&source->signals);
}
