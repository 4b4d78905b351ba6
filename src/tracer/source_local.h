/* The local epoch source: channels of this machine, as they arrive. */
#ifndef SHADOW_TRACER_SOURCE_LOCAL_H
#define SHADOW_TRACER_SOURCE_LOCAL_H

#include "container.h"

/*
 * For run and record.  Reads descriptor 0 when a task waits for it; forwards SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT of the tool as inputs; a second one within, or 5 s without the container taking
 * it, ends the container.  `source` must live as long as the container.
 */
struct source_local {
	struct epoch_source base;
	bool stdin_open;
};
void source_local_init(struct source_local *source);

/* Before the container goes: signals touch it no more. */
void source_local_finish(void);

#endif
