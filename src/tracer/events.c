/* See events.h.  A record is copied before anybody looks at it: the program can change the ring. */
#include "events.h"

#include <string.h>

#include "../shim/rings.h"

void events_drain(events_fn fn, void *arg)
{
	static _Alignas(8) uint8_t copy[RING_RECORD_MAX];
	const struct ring_record *rec;
	uint32_t size;
	uint64_t head = EVENTS_RING->head;
	bool bad = false;

	while ((rec = ring_peek(EVENTS_RING, RING_EVENTS_SIZE, head, &size, &head, &bad)) != NULL) {
		if (size <= sizeof(copy)) {
			memcpy(copy, rec->bytes, size);
			fn(arg, copy, size);
		}
		__atomic_store_n(&EVENTS_RING->head, head, __ATOMIC_RELEASE);
	}
}
