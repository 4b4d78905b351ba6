/*
 * What a task looks like behind an event, as JSON:
 *
 *	task		its number
 *	registers	{ rip: "0x...", ... } as the app had them
 *	backtrace	innermost first: { address, function, offset, file, line, object,
 *			object_offset }, of which those not known are absent
 *	code		as code_list() has it
 *	buffers		what the event's record had no room for, and structures, of which
 *			records hold few: { arg, kind, data: hexadecimal }
 *	text		the event's line with these structures
 *	problem		why the rest is not there
 */
#ifndef SHADOW_INSPECT_SNAPSHOT_H
#define SHADOW_INSPECT_SNAPSHOT_H

#include <jansson.h>

#include "../syscall-table/event_decode.h"
#include "task_view.h"

/*
 * Precondition: `tid` is stopped as of session_probe.stopped; `event` is its event, or NULL.  The
 * work is done in a process of its own, under a time limit: the task's memory and files are
 * hostile, and so may be what they do to the libraries that read them.  A new reference; never NULL
 * but for want of memory.
 */
json_t *snapshot_take(pid_t tid, const struct event_view *event);

#endif
