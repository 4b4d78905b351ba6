/*
 * Decodes event records.
 *
 * Owns nothing. Invariant: all bounds are checked once, in event_decode; the other functions walk
 * items that have passed it. Everything is copied out with memcpy, because ring and log give no
 * alignment.
 */
#include <errno.h>
#include <string.h>

#include "event_decode.h"

static size_t padded(size_t size_bytes)
{
	return (size_bytes + 7) & ~(size_t)7;
}

/* Bytes the item at `bytes` takes, 0 if it is not a valid one within `left`. */
static size_t item_size(const uint8_t *bytes, size_t left)
{
	struct event_item item;
	size_t size_bytes;

	if (left < sizeof(item))
		return 0;
	memcpy(&item, bytes, sizeof(item));
	if (item.arg > 5 || item.kind < EVENT_ITEM_STRING || item.kind > EVENT_ITEM_LAST)
		return 0;
	if (item.stored_bytes > item.full_bytes)
		return 0;
	size_bytes = sizeof(item) + padded(item.stored_bytes);
	return size_bytes <= left ? size_bytes : 0;
}

static int count_items(struct event_view *view)
{
	size_t offset = 0;

	while (offset < view->items_bytes) {
		size_t size_bytes = item_size(view->items + offset, view->items_bytes - offset);

		if (!size_bytes || view->items_count == EVENT_ITEMS_MAX)
			return -EBADMSG;
		offset += size_bytes;
		view->items_count++;
	}
	return 0;
}

int event_decode(const void *bytes, size_t size_bytes, struct event_view *ret_view)
{
	struct event_view view = {0};
	int ret;

	if (size_bytes < sizeof(view.head))
		return -ENODATA;
	memcpy(&view.head, bytes, sizeof(view.head));
	if (view.head.size_bytes < sizeof(view.head) ||
	    view.head.size_bytes > EVENT_RECORD_MAX_BYTES || view.head.size_bytes % 8)
		return -EBADMSG;
	if (view.head.nr < EVENT_NR_LEAST)
		return -EBADMSG;
	if (view.head.size_bytes > size_bytes)
		return -ENODATA;
	view.items = (const uint8_t *)bytes + sizeof(view.head);
	view.items_bytes = view.head.size_bytes - sizeof(view.head);
	ret = count_items(&view);
	if (ret < 0)
		return ret;
	*ret_view = view;
	return 0;
}

bool event_item_at(const struct event_view *view, size_t index, struct event_item_view *ret_item)
{
	const uint8_t *bytes = view->items;
	struct event_item item;

	if (index >= view->items_count)
		return false;
	for (;;) {
		memcpy(&item, bytes, sizeof(item));
		if (index-- == 0)
			break;
		bytes += sizeof(item) + padded(item.stored_bytes);
	}
	*ret_item = (struct event_item_view){.head = item, .bytes = bytes + sizeof(item)};
	return true;
}

bool event_item_find(const struct event_view *view, unsigned int arg, enum event_item_kind kind,
		     struct event_item_view *ret_item)
{
	struct event_item_view item;
	size_t i;

	for (i = 0; event_item_at(view, i, &item); i++) {
		if (item.head.arg == arg && item.head.kind == kind) {
			*ret_item = item;
			return true;
		}
	}
	return false;
}
