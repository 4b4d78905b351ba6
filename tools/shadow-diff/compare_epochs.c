/*
 * Epochs and digests: see compare.h.  Nothing is executed: digests of epochs, and the chain values
 * between them, tell to 256 events how far the runs are equal.  Where an incomplete log ends, the
 * record that follows still has the digest of its last whole epoch.
 */
#include "compare.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/event_compare.h"
#include "shim/shim_abi.h"

struct epochs {
	const struct log_pair *logs;
	json_t *report;
	uint64_t equal; /* events up to here are the same */
	bool differ;	/* and those behind it are not */
};

static json_t *input_json(const struct evlog_epoch *e, size_t i)
{
	static const char *const kinds[EVLOG_INPUT_KINDS] = {
		[EVLOG_INPUT_OPEN] = "open",	 [EVLOG_INPUT_DATA] = "data",
		[EVLOG_INPUT_EOF] = "eof",	 [EVLOG_INPUT_CLOSE] = "close",
		[EVLOG_INPUT_SIGNAL] = "signal", [EVLOG_INPUT_FILE] = "file"};

	if (i >= e->input_count)
		return json_null();
	const struct evlog_input *in = &e->inputs[i];
	const char *kind = in->kind < EVLOG_INPUT_KINDS ? kinds[in->kind] : NULL;
	return json_pack("{s:I, s:s*, s:I}", "channel", (json_int_t)in->channel, "kind", kind,
			 "bytes", (json_int_t)in->size_bytes);
}

static bool inputs_equal(const struct evlog_input *a, const struct evlog_input *b)
{
	return a->channel == b->channel && a->kind == b->kind && a->size_bytes == b->size_bytes &&
	       (a->size_bytes == 0 || memcmp(a->bytes, b->bytes, a->size_bytes) == 0);
}

static json_t *compare_inputs(const struct evlog_epoch *a, const struct evlog_epoch *b)
{
	size_t i = 0;

	while (i < a->input_count && i < b->input_count &&
	       inputs_equal(&a->inputs[i], &b->inputs[i]))
		i++;
	if (i == a->input_count && i == b->input_count)
		return NULL;
	json_t *item = json_pack("{s:s, s:I, s:o, s:o}", "what", "input", "input", (json_int_t)i,
				 "a", input_json(a, i), "b", input_json(b, i));
	if (i < a->input_count && i < b->input_count)
		json_object_set_new(item, "offset",
				    json_integer((json_int_t)bytes_differ_at(
					    a->inputs[i].bytes, a->inputs[i].size_bytes,
					    b->inputs[i].bytes, b->inputs[i].size_bytes)));
	return item;
}

/* What was delivered differs: the item that says so, or NULL. */
static json_t *compare_delivered(const struct evlog_epoch *a, const struct evlog_epoch *b)
{
	if (a->delivered_at != b->delivered_at)
		return json_pack("{s:s, s:I, s:I}", "what", "event it was delivered at", "a",
				 (json_int_t)a->delivered_at, "b", (json_int_t)b->delivered_at);
	if (memcmp(a->seed, b->seed, sizeof(a->seed)) != 0)
		return json_pack("{s:s, s:o, s:o}", "what", "seed", "a", compare_hash(a->seed), "b",
				 compare_hash(b->seed));
	if (a->timestamp_ns != b->timestamp_ns)
		return json_pack("{s:s, s:I, s:I}", "what", "time", "a",
				 (json_int_t)a->timestamp_ns, "b", (json_int_t)b->timestamp_ns);
	return compare_inputs(a, b);
}

static int compare_chains(struct epochs *e, const struct evlog_epoch *epoch)
{
	uint32_t *values[2] = {NULL, NULL};
	size_t count[2] = {0, 0}, i = 0;
	int error = 0;

	for (int k = 0; k < 2 && error == 0; k++)
		error = evlog_reader_chain_read(e->logs->reader[k], epoch->number, &values[k],
						&count[k]);
	while (error == 0 && i < count[0] && i < count[1] && values[0][i] == values[1][i])
		i++;
	uint64_t at = (epoch->delivered_at / CHAIN_EVENTS + i) * CHAIN_EVENTS;
	if (at > e->equal)
		e->equal = at;
	e->differ = e->differ || i < count[0] || i < count[1];
	free(values[0]);
	free(values[1]);
	return error;
}

static int compare_epoch(struct epochs *e, const struct evlog_epoch *a, const struct evlog_epoch *b)
{
	json_t *item = compare_delivered(a, b);

	if (item != NULL) {
		json_object_set_new(item, "number", json_integer((json_int_t)a->number));
		json_object_set_new(e->report, "epochs", item);
	}
	e->differ = item != NULL || (a->number > 0 && a->digest != b->digest);
	if (a->delivered_at == b->delivered_at && a->digest == b->digest)
		e->equal = a->delivered_at;
	return e->differ ? 0 : compare_chains(e, a);
}

/* How the epoch before ended alone: this one is not whole in both logs. */
static int compare_end_before(struct epochs *e, const struct evlog_epoch *a,
			      const struct evlog_epoch *b)
{
	e->differ = a->number > 0 && (a->delivered_at != b->delivered_at || a->digest != b->digest);
	if (!e->differ)
		e->equal = a->delivered_at;
	return 0;
}

typedef int compare_fn(struct epochs *e, const struct evlog_epoch *a, const struct evlog_epoch *b);

static int next_epoch(struct epochs *e, uint64_t number, compare_fn *compare)
{
	struct evlog_epoch a, b;
	int error = evlog_reader_epoch_read(e->logs->reader[0], number, &a);

	if (error < 0)
		return error;
	error = evlog_reader_epoch_read(e->logs->reader[1], number, &b);
	if (error == 0) {
		error = compare(e, &a, &b);
		evlog_reader_epoch_finish(&b);
	}
	evlog_reader_epoch_finish(&a);
	return error;
}

static bool ends_differ(const struct log_pair *logs)
{
	const struct evlog_end *a = evlog_reader_end(logs->reader[0]);
	const struct evlog_end *b = evlog_reader_end(logs->reader[1]);

	return a->digest != b->digest || a->events != b->events || a->epochs != b->epochs;
}

/* What follows the `count` epochs that are whole in both logs. */
static int compare_behind(struct epochs *e, uint64_t count)
{
	if (compare_last_event(e->logs) == UINT64_MAX) {
		e->differ = ends_differ(e->logs);
		return 0;
	}
	for (int i = 0; i < 2; i++) {
		/* Without whole epochs there is nothing to differ; a run that ended is another. */
		if (evlog_reader_epoch_count(e->logs->reader[i]) == count) {
			e->differ = count > 0;
			return 0;
		}
	}
	return next_epoch(e, count, compare_end_before);
}

static json_t *digest_of(struct evlog_reader *reader)
{
	const struct evlog_end *end = evlog_reader_end(reader);

	return end != NULL ? json_sprintf("%016" PRIx64, end->digest) : json_null();
}

int compare_epochs(const struct log_pair *logs, json_t *report)
{
	struct epochs e = {.logs = logs, .report = report};
	uint64_t count = logs->extent[0].epochs;
	int error = 0;

	if (logs->extent[1].epochs < count)
		count = logs->extent[1].epochs;
	for (uint64_t n = 0; n < count && !e.differ && error == 0; n++)
		error = next_epoch(&e, n, compare_epoch);
	if (error == 0 && !e.differ)
		error = compare_behind(&e, count);
	if (error == 0 && e.differ)
		json_object_set_new(report, "digests",
				    json_pack("{s:I, s:o, s:o}", "equal_events",
					      (json_int_t)e.equal, "a", digest_of(logs->reader[0]),
					      "b", digest_of(logs->reader[1])));
	return error;
}
