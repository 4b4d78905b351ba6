/* From the event ring (--trace-events) to whoever wants the records. */
#ifndef SHADOW_TRACER_EVENTS_H
#define SHADOW_TRACER_EVENTS_H

#include <stddef.h>

/* Gets one event record (event_record.h) as the container wrote it: unchecked, at most
 * RING_RECORD_MAX bytes, 8-aligned. */
typedef void (*events_fn)(void *arg, const void *record, size_t size);

/*
 * Empties the ring.  Called by the wait loop while the container is stopped at an upcall, and once
 * it has ended: the ring has no other consumer.
 */
void events_drain(events_fn fn, void *arg);

#endif
