/*
 * The first differing event: see compare.h.  Both logs are re-executed twice: side by side until
 * their events differ, then each to that event, where its task is looked at.
 *
 *	event { number, differs: [words], addresses_from, addresses: { a, b }, before: [lines],
 *		a: { event, backtrace, code, ... } or null, b: likewise }
 *
 * number is 0 if no event differs in more than addresses.
 */
#include "compare.h"

#include <string.h>

#include "base/json_text.h"
#include "inspect/event_search.h"
#include "inspect/look.h"

/* The events are those of the search: they were compared. */
static int look(const struct log_pair *logs, const char *tool, const struct event_difference *d,
		int side, json_t **ret_look)
{
	struct rerun_result result;

	*ret_look = NULL;
	if (d->look[side] == NULL)
		return 0;
	int error = look_at(tool, logs->reader[side], d->number, d->number, &result, ret_look);
	if (error == 0 && !result.stopped)
		json_object_set_new(*ret_look, "problem", json_text(result.said));
	return error;
}

static json_t *or_null(json_t *value)
{
	return value != NULL ? json_incref(value) : json_null();
}

static json_t *difference_json(const struct event_difference *d, json_t *look_a, json_t *look_b)
{
	json_t *event = json_object();

	json_object_set_new(event, "number", json_integer((json_int_t)d->number));
	if (d->addresses_from != 0) {
		json_object_set_new(event, "addresses_from",
				    json_integer((json_int_t)d->addresses_from));
		json_object_set_new(
			event, "addresses",
			json_pack("{s:O, s:O}", "a", d->addresses[0], "b", d->addresses[1]));
	}
	if (d->number == 0)
		return event;
	json_object_set(event, "differs", d->differs);
	json_object_set(event, "before", d->before);
	json_object_set_new(event, "a", or_null(look_a));
	json_object_set_new(event, "b", or_null(look_b));
	return event;
}

static int look_at_both(const struct log_pair *logs, const char *tool, struct event_difference *d,
			json_t *report)
{
	json_t *look_a = NULL, *look_b = NULL;
	int error = look(logs, tool, d, 0, &look_a);

	if (error == 0)
		error = look(logs, tool, d, 1, &look_b);
	if (error == 0) {
		event_difference_refine(d, look_a, look_b);
		json_object_set_new(report, "event", difference_json(d, look_a, look_b));
	}
	json_decref(look_a);
	json_decref(look_b);
	return error;
}

int compare_events(const struct log_pair *logs, const char *tool, json_t *report)
{
	const json_t *digests = json_object_get(report, "digests");
	uint64_t last = compare_last_event(logs);
	struct event_difference d;

	if (digests == NULL || last == 0)
		return 0;
	uint64_t equal = (uint64_t)json_integer_value(json_object_get(digests, "equal_events"));
	int error = event_search_two(tool, logs->reader, equal, last, &d);
	if (d.problem[0] != '\0')
		json_object_set_new(report, "problem", json_text(d.problem));
	if (error == 0)
		error = look_at_both(logs, tool, &d, report);
	event_difference_finish(&d);
	return error;
}
