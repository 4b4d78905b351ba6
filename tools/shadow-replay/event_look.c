/*
 * See event_look.h.  Each look is another re-execution, in a process of its own.
 *
 * A divergence is known to a range of 256 events by its chain values.  A log that holds its events
 * names the one; without them the last events of the re-execution are all that can be shown.
 */
#include "event_look.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "inspect/event_line.h"
#include "inspect/event_search.h"
#include "inspect/look.h"

#define OUR_FAILURE 125

static void say(const struct session_options *o, const char *what)
{
	fprintf(stderr, "%s: %s\n", o->tool, what);
}

/* Whether the run can get to the event; says so if not. */
static bool within(struct evlog_reader *reader, const struct session_options *o, uint64_t event)
{
	const struct evlog_end *end = evlog_reader_end(reader);

	if (event != 0 && (end == NULL || event <= end->events))
		return true;
	fprintf(stderr, "%s: there is no event %" PRIu64 ": they are numbered 1 to %" PRIu64 "\n",
		o->tool, event, end != NULL ? end->events : UINT64_MAX);
	return false;
}

/* ---- --until ---- */

struct until {
	struct session_probe probe;
	char *line;
};

static bool until_event(const struct session_probe *probe, const void *record, size_t size)
{
	struct until *u = (struct until *)probe;
	struct event_view view;

	free(u->line);
	u->line = event_decode(record, size, &view) == 0 ? event_line(&view) : NULL;
	return true;
}

static void until_stopped(const struct session_probe *probe, pid_t tid, bool asked)
{
	(void)probe, (void)tid, (void)asked;
}

int event_look_until(struct evlog_reader *reader, const struct session_options *options,
		     uint64_t event, struct session_result *ret_result)
{
	struct session_options o = *options;
	struct until until = {.probe = {.what = {.trace_from = event, .stop_at = event},
					.event = until_event,
					.stopped = until_stopped}};

	if (!within(reader, options, event))
		return OUR_FAILURE;
	o.probe = &until.probe;
	session_replay(reader, &o, NULL, NULL, ret_result);
	if (ret_result->stopped && !options->quiet)
		fprintf(stderr, "%s: stopped after event %s\n", o.tool,
			until.line != NULL ? until.line : "");
	free(until.line);
	return ret_result->status;
}

/* ---- backtrace ---- */

int event_look_backtrace(struct evlog_reader *reader, const struct session_options *options,
			 uint64_t event, bool json)
{
	struct rerun_result result;
	json_t *look;

	if (!within(reader, options, event))
		return OUR_FAILURE;
	int error = look_at(options->tool, reader, event, event, &result, &look);
	if (error < 0) {
		say(options, strerror(-error));
		return OUR_FAILURE;
	}
	if (!result.stopped) {
		fprintf(stderr, "%s\n", result.said);
	} else if (json) {
		json_dumpf(look, stdout, JSON_INDENT(1));
		putchar('\n');
	} else {
		look_print(look, 0, stdout);
	}
	json_decref(look);
	return result.stopped ? 0 : OUR_FAILURE;
}

/* ---- divergence ---- */

static void show_last(struct evlog_reader *reader, const struct session_options *o,
		      const struct session_result *result)
{
	struct rerun_result again;
	json_t *look;
	int error = look_at(o->tool, reader, 0, result->events, &again, &look);

	if (error < 0) {
		say(o, strerror(-error));
		return;
	}
	/* It ended by itself, and no task was left to look at. */
	if (again.diverged && json_object_get(look, "task") == NULL) {
		struct rerun_result last;
		json_t *better;

		if (look_at(o->tool, reader, again.events, again.events, &last, &better) == 0) {
			json_decref(look);
			look = better;
		}
	}
	fprintf(stderr,
		"  The log does not hold its events (record --trace-events), so the first that "
		"differs\n  is known no nearer.  Last events of the re-execution:\n");
	look_print(look, 2, stderr);
	if (!again.diverged || again.events != result->events)
		fprintf(stderr, "  (The second re-execution took another course: %s)\n",
			again.said[0] != '\0' ? again.said : "it did not diverge");
	json_decref(look);
}

/* The kept event against the one that was executed. */
static void show_first(struct evlog_reader *reader, const struct session_options *o,
		       const struct event_difference *d)
{
	struct rerun_result again;
	json_t *look = NULL;
	int error = d->look[1] != NULL
			    ? look_at(o->tool, reader, d->number, d->number, &again, &look)
			    : 0;

	if (error < 0)
		say(o, strerror(-error));
	event_difference_print(d, "recorded", NULL, "re-executed", look, stderr);
	json_decref(look);
}

void event_look_divergence(struct evlog_reader *reader, const struct session_options *options,
			   const struct session_result *result)
{
	struct event_difference d;

	if (!evlog_reader_has_events(reader)) {
		show_last(reader, options, result);
		return;
	}
	int error = event_search_kept(options->tool, reader, &d);
	if (error < 0)
		say(options, strerror(-error));
	else if (d.number == 0)
		fprintf(stderr, "  Each event is as it was kept; what differs is no event.\n");
	else
		show_first(reader, options, &d);
	event_difference_finish(&d);
}
