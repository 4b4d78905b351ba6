/* See event_line.h. */
#include "event_line.h"

#include <stdlib.h>

#include "../syscall-table/event_print.h"

char *event_line(const struct event_view *view)
{
	char *line = NULL;
	size_t size;
	FILE *out = open_memstream(&line, &size);

	if (out == NULL)
		return NULL;
	event_print(out, view, EVENT_STRING_MAX);
	fclose(out);
	if (line != NULL && size > 0 && line[size - 1] == '\n')
		line[size - 1] = '\0';
	return line;
}

/* Printed lines are quoted but for names of a hostile log. */
json_t *event_line_json(const struct event_view *view)
{
	char *line = event_line(view);
	json_t *value = line != NULL ? json_string(line) : NULL;

	free(line);
	return value;
}

json_t *event_line_and_json(const struct event_view *view)
{
	json_t *object;

	if (event_to_json(view, &object) < 0)
		return NULL;
	json_object_set_new(object, "text", event_line_json(view));
	return object;
}
