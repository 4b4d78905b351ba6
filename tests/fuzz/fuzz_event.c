/*
 * Fuzzes the decoder of event records, the two printers behind it, and what follows descriptors
 * through events.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "inspect/fd_paths.h"
#include "syscall-table/event_decode.h"
#include "syscall-table/event_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void follow(struct fd_paths *paths, const struct event_view *event)
{
	fd_paths_enter(paths, event);
	for (unsigned i = 0; i < 6; i++)
		fd_paths_find(paths, event->head.task, (int)event->head.args[i]);
	fd_paths_leave(paths, event);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char *const stdio[3] = {"/in", NULL, "/out"};
	static FILE *nowhere;
	struct fd_paths *paths;
	struct event_view view;
	json_t *json;

	if (fd_paths_create(stdio, &paths) < 0)
		return 0;
	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	while (event_decode(data, size, &view) == 0) {
		event_print(nowhere, &view, EVENT_STRING_MAX);
		if (event_to_json(&view, &json) == 0)
			json_decref(json);
		follow(paths, &view);
		data += view.head.size_bytes;
		size -= view.head.size_bytes;
	}
	fd_paths_destroy(paths);
	return 0;
}
