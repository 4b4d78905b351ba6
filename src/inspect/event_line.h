/* The line of an event, as event_print writes it, without its end. */
#ifndef SHADOW_INSPECT_EVENT_LINE_H
#define SHADOW_INSPECT_EVENT_LINE_H

#include <jansson.h>

#include "../syscall-table/event_decode.h"

/* NULL for want of memory.  The caller frees it. */
char *event_line(const struct event_view *view);
json_t *event_line_json(const struct event_view *view);

/* event_to_json, and its line as `text`; NULL for want of memory. */
json_t *event_line_and_json(const struct event_view *view);

#endif
