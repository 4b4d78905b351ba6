/* What differs between two events of the same number. */
#ifndef SHADOW_INSPECT_EVENT_COMPARE_H
#define SHADOW_INSPECT_EVENT_COMPARE_H

#include "../syscall-table/event_decode.h"

enum event_differs {
	EVENT_DIFFERS_TASK = 1,
	EVENT_DIFFERS_CALL = 2,
	EVENT_DIFFERS_ARGUMENT = 4, /* its value, no address */
	EVENT_DIFFERS_STRING = 8,
	EVENT_DIFFERS_RESULT = 16,
	EVENT_DIFFERS_DATA = 32,
	EVENT_DIFFERS_UNKEPT = 64,   /* bytes it moved, but none that the record holds */
	EVENT_DIFFERS_ADDRESS = 128, /* where something is in memory, not what it is */
};

struct event_comparison {
	unsigned what;		/* enum event_differs */
	unsigned arg, data_arg; /* the first argument that differs; whose data do */
	uint64_t data_offset;	/* of the first byte that differs in it */
};

/*
 * Virtual time and scheduling (EVENT_PARKED) are not looked at.  The digest fields must mean the
 * same: either runs that were equal so far, or the events' own (struct region_probe).
 */
struct event_comparison event_compare(const struct event_view *a, const struct event_view *b);

/* The offset of the first byte that differs, also where the shorter one ends; `size` of both if
 * they are equal. */
uint64_t bytes_differ_at(const uint8_t *a, uint64_t size_a, const uint8_t *b, uint64_t size_b);

#endif
