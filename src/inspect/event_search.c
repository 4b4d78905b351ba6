/*
 * See event_search.h.  Two streams of events are compared as they come, so the search ends soon
 * after the first difference, and nothing is kept but the last few events.
 */
#include "event_search.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event_compare.h"
#include "event_line.h"
#include "look.h"

#define UNKEPT_WORDS "bytes it read or wrote, by their hash"

struct feed {
	struct rerun run;
	bool over;
	struct rerun_result result;
};

struct search {
	struct event_difference *found;
	/* Lines are made only when they are shown: what is kept are records. */
	uint8_t last[LOOK_BEFORE][EVENT_RECORD_MAX_BYTES];
	uint64_t count; /* events that were equal */
};

/* The next event of a re-execution: 1, 0 at its end, a negative errno. */
static int feed_next(struct feed *f, struct event_view *ret_view)
{
	enum rerun_kind kind;
	const void *bytes;
	size_t size;

	while (!f->over) {
		int error = rerun_next(&f->run, &kind, &bytes, &size);

		if (error < 0)
			return error;
		if (kind == RERUN_EVENT) {
			error = event_decode(bytes, size, ret_view);
			return error < 0 ? -EBADMSG : 1;
		}
		if (kind == RERUN_END && size == sizeof(f->result)) {
			memcpy(&f->result, bytes, size);
			f->over = true;
		}
	}
	return 0;
}

/* ---- in words ---- */

static void add_words(const struct event_comparison *c, json_t *list)
{
	static const struct {
		unsigned what;
		const char *words;
	} all[] = {
		{EVENT_DIFFERS_TASK, "task"},
		{EVENT_DIFFERS_CALL, "call"},
		{EVENT_DIFFERS_RESULT, "result"},
		{EVENT_DIFFERS_UNKEPT, UNKEPT_WORDS},
	};

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++) {
		if (c->what & all[i].what)
			json_array_append_new(list, json_string(all[i].words));
	}
	if (c->what & (EVENT_DIFFERS_ARGUMENT | EVENT_DIFFERS_STRING))
		json_array_append_new(list, json_sprintf("argument %u", c->arg + 1));
	if (c->what & EVENT_DIFFERS_DATA)
		json_array_append_new(list, json_sprintf("data at byte %llu",
							 (unsigned long long)c->data_offset));
}

/* ---- the search ---- */

static void take_before(struct search *s)
{
	uint64_t from = s->count > LOOK_BEFORE ? s->count - LOOK_BEFORE : 0;
	struct event_view view;

	s->found->before = json_array();
	for (uint64_t i = from; i < s->count; i++) {
		char *line =
			event_decode(s->last[i % LOOK_BEFORE], EVENT_RECORD_MAX_BYTES, &view) == 0
				? event_line(&view)
				: NULL;
		json_array_append_new(s->found->before, json_string(line != NULL ? line : ""));
		free(line);
	}
}

static void remember(struct search *s, const struct event_view *view)
{
	uint8_t *to = s->last[s->count++ % LOOK_BEFORE];

	memcpy(to, &view->head, sizeof(view->head));
	memcpy(to + sizeof(view->head), view->items, view->items_bytes);
}

/* An event of each run, or NULL where one is over.  True if the search ends here. */
static bool compare_pair(struct search *s, const struct event_view *a, const struct event_view *b)
{
	struct event_difference *d = s->found;
	struct event_comparison c = {0};

	if (a != NULL && b != NULL) {
		c = event_compare(a, b);
		if (c.what == EVENT_DIFFERS_ADDRESS && d->addresses_from == 0) {
			d->addresses_from = a->head.number;
			d->addresses[0] = event_line_and_json(a);
			d->addresses[1] = event_line_and_json(b);
		}
		if ((c.what & ~(unsigned)EVENT_DIFFERS_ADDRESS) == 0) {
			remember(s, a);
			return false;
		}
	}
	d->number = a != NULL ? a->head.number : b->head.number;
	d->look[0] = a != NULL ? event_line_and_json(a) : NULL;
	d->look[1] = b != NULL ? event_line_and_json(b) : NULL;
	d->differs = json_array();
	add_words(&c, d->differs);
	take_before(s);
	return true;
}

static void take_problem(const struct feed *f, struct event_difference *d)
{
	if (f->over && f->result.said[0] != '\0' && d->problem[0] == '\0')
		memcpy(d->problem, f->result.said, sizeof(d->problem));
}

static int feed_start(const char *tool, struct evlog_reader *reader, struct region_probe what,
		      const struct rerun *other, struct feed *f)
{
	struct rerun_options options = {
		.tool = tool, .reader = reader, .other = other, .what = what};

	return rerun_start(&options, &f->run);
}

static int search_two(struct feed f[2], struct search *s)
{
	struct event_view a, b;

	for (;;) {
		int more_a = feed_next(&f[0], &a), more_b = feed_next(&f[1], &b);

		if (more_a < 0 || more_b < 0)
			return more_a < 0 ? more_a : more_b;
		if (more_a == 0 && more_b == 0)
			return 0;
		if (compare_pair(s, more_a ? &a : NULL, more_b ? &b : NULL))
			return 0;
	}
}

int event_search_two(const char *tool, struct evlog_reader *const readers[2], uint64_t equal,
		     uint64_t last, struct event_difference *ret)
{
	struct search *s = calloc(1, sizeof(*s));
	struct feed *f = calloc(2, sizeof(*f));
	struct region_probe what = {.trace_from = equal > LOOK_BEFORE ? equal - LOOK_BEFORE + 1 : 1,
				    .stop_at = last != UINT64_MAX ? last : 0,
				    .contents = true};
	int error = s != NULL && f != NULL ? 0 : -ENOMEM;

	*ret = (struct event_difference){0};
	for (int i = 0; i < 2 && error == 0; i++)
		error = feed_start(tool, readers[i], what, i > 0 ? &f[0].run : NULL, &f[i]);
	if (error == 0) {
		s->found = ret;
		error = search_two(f, s);
	}
	for (int i = 0; i < 2 && f != NULL; i++) {
		take_problem(&f[i], ret);
		rerun_finish(&f[i].run);
	}
	free(f);
	free(s);
	return error;
}

/* ---- against kept events ---- */

struct kept {
	struct feed feed;
	struct search search;
};

/* evlog_events_fn: 1 ends the walk. */
static int kept_events(void *arg, uint64_t epoch, const uint8_t *records, size_t size)
{
	struct kept *k = arg;
	struct event_view a, b;

	(void)epoch;
	while (size > 0) {
		int more = event_decode(records, size, &a) < 0 ? -EBADMSG : feed_next(&k->feed, &b);
		if (more < 0)
			return more;
		if (compare_pair(&k->search, &a, more ? &b : NULL))
			return 1;
		records += a.head.size_bytes;
		size -= a.head.size_bytes;
	}
	return 0;
}

int event_search_kept(const char *tool, struct evlog_reader *reader, struct event_difference *ret)
{
	struct kept *k = calloc(1, sizeof(*k));
	struct event_view b;

	*ret = (struct event_difference){0};
	if (k == NULL)
		return -ENOMEM;
	k->search.found = ret;
	int error =
		feed_start(tool, reader, (struct region_probe){.trace_from = 1}, NULL, &k->feed);
	if (error == 0)
		error = evlog_reader_events_each(reader, kept_events, k);
	/* It goes on where the kept ones end. */
	if (error == 0 && (error = feed_next(&k->feed, &b)) > 0)
		compare_pair(&k->search, NULL, &b);
	rerun_finish(&k->feed.run);
	free(k);
	return error < 0 ? error : 0;
}

void event_difference_finish(struct event_difference *d)
{
	for (int i = 0; i < 2; i++) {
		json_decref(d->look[i]);
		json_decref(d->addresses[i]);
	}
	json_decref(d->before);
	json_decref(d->differs);
	*d = (struct event_difference){0};
}

/* ---- more of the data ---- */

/* Whether two buffers of one argument differ; then says where. */
static bool refine(struct event_difference *d, const json_t *x, const json_t *y)
{
	const char *a = json_string_value(json_object_get(x, "data"));
	const char *b = json_string_value(json_object_get(y, "data"));
	json_t *arg = json_object_get(x, "arg");

	if (a == NULL || b == NULL || !json_equal(arg, json_object_get(y, "arg")) ||
	    strcmp(a, b) == 0)
		return false;
	uint64_t at = bytes_differ_at((const uint8_t *)a, strlen(a), (const uint8_t *)b, strlen(b));
	at /= 2;
	json_array_clear(d->differs);
	json_array_append_new(d->differs,
			      json_sprintf("data at byte %llu: %.2s against %.2s",
					   (unsigned long long)at, a + 2 * at, b + 2 * at));
	return true;
}

void event_difference_refine(struct event_difference *d, const json_t *look_a, const json_t *look_b)
{
	const char *words = json_string_value(json_array_get(d->differs, 0));
	const json_t *b = json_object_get(look_b, "buffers"), *x;
	size_t i;

	if (json_array_size(d->differs) != 1 || strcmp(words, UNKEPT_WORDS) != 0)
		return;
	json_array_foreach(json_object_get(look_a, "buffers"), i, x)
	{
		if (refine(d, x, json_array_get(b, i)))
			return;
	}
}

/* ---- text ---- */

static void print_side(const char *name, const json_t *event, const json_t *look, FILE *out)
{
	const char *line = json_string_value(json_object_get(event, "text"));

	fprintf(out, "  %s:\n    %s\n", name, line != NULL ? line : "(it had ended)");
	if (look != NULL)
		look_print_stack(look, 6, out);
}

void event_difference_print(const struct event_difference *d, const char *name_a,
			    const json_t *look_a, const char *name_b, const json_t *look_b,
			    FILE *out)
{
	json_t *item;
	size_t i;

	fprintf(out, "  first differing event: %llu", (unsigned long long)d->number);
	json_array_foreach(d->differs, i, item)
		fprintf(out, "%s%s", i == 0 ? ": " : ", ", json_string_value(item));
	fputc('\n', out);
	if (d->addresses_from != 0) {
		fprintf(out, "  (from event %llu on, addresses differ)\n",
			(unsigned long long)d->addresses_from);
	}
	if (json_array_size(d->before) > 0)
		fprintf(out, "  before it, in both:\n");
	json_array_foreach(d->before, i, item) fprintf(out, "    %s\n", json_string_value(item));
	print_side(name_a, d->look[0], look_a, out);
	print_side(name_b, d->look[1], look_b, out);
}
