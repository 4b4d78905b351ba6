/*
 * A bounds-checked view of one event record (event_record.h).
 *
 * A record comes from a ring the container can write, or from a log anybody can have made: nothing
 * in it is trusted. Once event_decode has accepted it, every item a view gives lies inside the
 * record. A view points into the caller's bytes and is good as long as they are.
 */
#ifndef SHADOW_EVENT_DECODE_H
#define SHADOW_EVENT_DECODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event_record.h"

struct event_view {
	struct event_record head; /* a copy: the bytes need no alignment */
	const uint8_t *items;	  /* the items' bytes, inside the caller's record */
	size_t items_bytes;
	size_t items_count;
};

struct event_item_view {
	struct event_item head;
	const uint8_t *bytes; /* head.stored_bytes of them */
};

/*
 * Checks the record at the start of `bytes`, of which size_bytes may be read. The record's own
 * length is ret_view->head.size_bytes: the next one starts there.
 *
 * 0; -ENODATA: it reaches beyond size_bytes (a reader may come back with more); -EBADMSG: not a
 * record: a size out of bounds or not a multiple of 8, an unknown number, an item of unknown kind,
 * for an argument above 5, out of bounds, or storing more bytes than it claims to have had.
 * System call numbers are not checked against the table: records of later versions can be listed.
 */
int event_decode(const void *bytes, size_t size_bytes, struct event_view *ret_view);

/* The item number `index`, from 0: false if there is none, ret_item untouched. */
bool event_item_at(const struct event_view *view, size_t index, struct event_item_view *ret_item);

/* The first item of that kind for argument `arg`: false if there is none, ret_item untouched. */
bool event_item_find(const struct event_view *view, unsigned int arg, enum event_item_kind kind,
		     struct event_item_view *ret_item);

#endif
