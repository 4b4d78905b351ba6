/*
 * Fuzzes the decoder of event records and the two printers behind it.
 */
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "syscall-table/event_decode.h"
#include "syscall-table/event_print.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static FILE *nowhere;
	struct event_view view;
	json_t *json;

	if (!nowhere)
		nowhere = fopen("/dev/null", "w");
	while (event_decode(data, size, &view) == 0) {
		event_print(nowhere, &view, EVENT_STRING_MAX);
		if (event_to_json(&view, &json) == 0)
			json_decref(json);
		data += view.head.size_bytes;
		size -= view.head.size_bytes;
	}
	return 0;
}
