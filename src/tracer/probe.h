/*
 * Looking into a replay: which of its events are wanted, and where it is to stop so that the task
 * can be looked at.
 */
#ifndef SHADOW_TRACER_PROBE_H
#define SHADOW_TRACER_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "../shim/shim_abi.h"

struct session_probe {
	struct region_probe what;
	/* One traced event, as of events_fn; false: no more is wanted, and the session ends soon.
	 */
	bool (*event)(const struct session_probe *probe, const void *record, size_t size);
	/*
	 * The session ends behind this event: `asked`, at what.stop_at, else because the run
	 * differs from the recorded one.  Task `tid` is stopped in the shim with its event over;
	 * the last event has been handed out, if it was traced.
	 */
	void (*stopped)(const struct session_probe *probe, pid_t tid, bool asked);
};

#endif
