/* See look.h. */
#include "look.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "event_line.h"

struct gathering {
	json_t *lines; /* of the last events, the newest at the end */
	json_t *event; /* the last one */
	json_t *look;  /* the snapshot */
};

static void take_event(struct gathering *g, const void *bytes, size_t size)
{
	struct event_view view;

	if (event_decode(bytes, size, &view) < 0)
		return;
	json_decref(g->event);
	g->event = event_line_and_json(&view);
	json_array_append_new(g->lines, event_line_json(&view));
	if (json_array_size(g->lines) > LOOK_BEFORE + 1)
		json_array_remove(g->lines, 0);
}

static int gather(struct rerun *run, struct gathering *g, struct rerun_result *result)
{
	enum rerun_kind kind;
	const void *bytes;
	size_t size;
	int error;

	while ((error = rerun_next(run, &kind, &bytes, &size)) == 0) {
		if (kind == RERUN_EVENT) {
			take_event(g, bytes, size);
		} else if (kind == RERUN_SNAPSHOT) {
			json_decref(g->look);
			g->look = json_loadb(bytes, size, 0, NULL);
		} else if (size == sizeof(*result)) {
			memcpy(result, bytes, sizeof(*result));
			return 0;
		}
	}
	return error;
}

static json_t *assemble(struct gathering *g)
{
	json_t *look = json_object();

	if (g->event != NULL)
		json_array_remove(g->lines, json_array_size(g->lines) - 1);
	json_object_set(look, "event", g->event != NULL ? g->event : json_null());
	json_object_set(look, "before", g->lines);
	if (json_is_object(g->look))
		json_object_update(look, g->look);
	/* A stop at the event knows more of it than its record. */
	json_t *text = json_object_get(look, "text");
	if (text != NULL && g->event != NULL)
		json_object_set(g->event, "text", text);
	json_object_del(look, "text");
	return look;
}

int look_at(const char *tool, struct evlog_reader *reader, uint64_t event, uint64_t near,
	    struct rerun_result *ret_result, json_t **ret_look)
{
	uint64_t last = event != 0 ? event : near;
	struct rerun_options options = {
		.tool = tool,
		.reader = reader,
		.what = {.trace_from = last > LOOK_BEFORE ? last - LOOK_BEFORE : 1,
			 .stop_at = event},
		.snapshot = true,
	};
	struct gathering g = {.lines = json_array()};
	struct rerun run;
	int error = rerun_start(&options, &run);

	if (error == 0) {
		error = gather(&run, &g, ret_result);
		rerun_finish(&run);
	}
	if (error == 0)
		*ret_look = assemble(&g);
	json_decref(g.lines);
	json_decref(g.event);
	json_decref(g.look);
	return error;
}

/* ---- text ---- */

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

/* "#0 0x401136 main+0x1c at prog.c:12 (/bin/prog+0x1136)" */
static void print_frame(const json_t *frame, size_t number, int indent, FILE *out)
{
	json_int_t line = json_integer_value(json_object_get(frame, "line"));

	fprintf(out, "%*s#%-2zu %s", indent, "", number, string_of(frame, "address"));
	if (json_object_get(frame, "function") != NULL)
		fprintf(out, " %s+%#llx", string_of(frame, "function"),
			(unsigned long long)json_integer_value(json_object_get(frame, "offset")));
	if (json_object_get(frame, "file") != NULL)
		fprintf(out, " at %s:%" JSON_INTEGER_FORMAT, string_of(frame, "file"), line);
	if (json_object_get(frame, "object") != NULL) {
		const char *off = string_of(frame, "object_offset");

		fprintf(out, " (%s%s%s)", string_of(frame, "object"), *off ? "+" : "", off);
	}
	fputc('\n', out);
}

void look_print_stack(const json_t *look, int indent, FILE *out)
{
	json_t *item;
	size_t i;

	json_array_foreach(json_object_get(look, "backtrace"), i, item)
		print_frame(item, i, indent, out);
	if (json_array_size(json_object_get(look, "code")) > 0)
		fprintf(out, "%*scode:\n", indent, "");
	json_array_foreach(json_object_get(look, "code"), i, item)
		fprintf(out, "%*s%s %s  %s\n", indent, "",
			json_is_true(json_object_get(item, "here")) ? "=>" : "  ",
			string_of(item, "address"), string_of(item, "text"));
	if (json_object_get(look, "problem") != NULL)
		fprintf(out, "%*s(%s)\n", indent, "", string_of(look, "problem"));
}

void look_print(const json_t *look, int indent, FILE *out)
{
	json_t *line;
	size_t i;

	json_array_foreach(json_object_get(look, "before"), i, line)
		fprintf(out, "%*s   %s\n", indent, "", json_string_value(line));
	fprintf(out, "%*s=> %s\n", indent, "", string_of(json_object_get(look, "event"), "text"));
	if (json_object_get(look, "task") != NULL)
		fprintf(out, "%*s   stack of task %lld there:\n", indent, "",
			(long long)json_integer_value(json_object_get(look, "task")));
	look_print_stack(look, indent + 3, out);
}
