/* What an event's record holds of the app's memory: see event_memory.c. */
#ifndef SHADOW_EVENT_MEMORY_H
#define SHADOW_EVENT_MEMORY_H

#include "shim.h"
#include "../syscall-table/syscall_row.h"

#define EVENT_ITEM_BYTES 1024 /* an item holds so many of the bytes, at most */
/* The most that event_memory puts into a record. */
#define EVENT_MEMORY_MAX (6 * (sizeof(struct event_item) + EVENT_ITEM_BYTES))

/* Adds the items of a call that has returned; their size. */
u32 event_memory(u8 *at, s64 nr, const struct syscall_row *row, const struct frame *f, long result);

#endif
