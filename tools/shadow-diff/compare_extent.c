/* How far the logs go, and what is left to say where one of them is incomplete: see compare.h. */
#include "compare.h"

static const char *const sides[2] = {"a", "b"};

/* The record behind the last whole epoch still says where that one ended. */
static int take_extent(struct evlog_reader *reader, struct log_extent *ret)
{
	struct log_extent extent = {evlog_reader_epochs_whole(reader), UINT64_MAX};
	struct evlog_epoch epoch;
	int error = 0;

	if (evlog_reader_state(reader) != EVLOG_WHOLE)
		extent.events = 0;
	if (extent.epochs < evlog_reader_epoch_count(reader)) {
		error = evlog_reader_epoch_read(reader, extent.epochs, &epoch);
		if (error < 0)
			return error;
		extent.events = epoch.delivered_at;
		evlog_reader_epoch_finish(&epoch);
	}
	*ret = extent;
	return 0;
}

int compare_extents(struct log_pair *logs)
{
	int error = take_extent(logs->reader[0], &logs->extent[0]);

	return error < 0 ? error : take_extent(logs->reader[1], &logs->extent[1]);
}

/* Below 0: log a ends first.  0: they end at the same place. */
static int compare_ends(const struct log_pair *logs)
{
	const struct log_extent *a = &logs->extent[0], *b = &logs->extent[1];

	if (a->events != b->events)
		return a->events < b->events ? -1 : 1;
	return a->epochs < b->epochs ? -1 : a->epochs > b->epochs;
}

uint64_t compare_last_event(const struct log_pair *logs)
{
	return logs->extent[compare_ends(logs) > 0].events;
}

static json_t *epoch_json(const struct log_extent *extent)
{
	return extent->epochs > 0 ? json_integer((json_int_t)extent->epochs - 1) : json_null();
}

static json_t *incomplete_json(const struct log_pair *logs, int side)
{
	const struct evlog_damage *damage = evlog_reader_damage(logs->reader[side]);

	if (logs->extent[side].events == UINT64_MAX)
		return json_null();
	return json_pack("{s:I, s:o, s:s, s:s, s:I}", "event",
			 (json_int_t)logs->extent[side].events, "epoch",
			 epoch_json(&logs->extent[side]), "section", damage->section, "what",
			 damage->what, "byte", (json_int_t)damage->offset);
}

void compare_incomplete(const struct log_pair *logs, json_t *report)
{
	if (compare_last_event(logs) != UINT64_MAX)
		json_object_set_new(report, "incomplete",
				    json_pack("{s:o, s:o}", sides[0], incomplete_json(logs, 0),
					      sides[1], incomplete_json(logs, 1)));
}

void compare_agreement(const struct log_pair *logs, json_t *report)
{
	int order = compare_ends(logs), side = order > 0;
	const struct log_extent *extent = &logs->extent[side];
	json_t *event = json_object_get(report, "event");

	if (extent->events == UINT64_MAX || json_object_get(report, "epochs") != NULL ||
	    json_object_get(report, "problem") != NULL ||
	    json_integer_value(json_object_get(event, "number")) != 0)
		return;
	json_object_set_new(report, "agree",
			    json_pack("{s:I, s:o, s:s}", "event", (json_int_t)extent->events,
				      "epoch", epoch_json(extent), "ends",
				      order == 0 ? "both" : sides[side]));
}
