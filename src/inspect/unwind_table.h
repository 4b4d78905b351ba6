/*
 * The search table of an object's call frame information, sorted by code address: what
 * .eh_frame_hdr is.  Statically linked programs have none, so it is made of their .eh_frame.
 */
#ifndef SHADOW_INSPECT_UNWIND_TABLE_H
#define SHADOW_INSPECT_UNWIND_TABLE_H

#include "task_view.h"

/* Both relative to the table's base. */
struct unwind_entry {
	int32_t code, fde;
};

struct unwind_table {
	uint64_t base; /* an address of the task */
	size_t count;
	struct unwind_entry *entries; /* sorted by code */
};

/* Makes the table of an object that has none.  0; -ENOENT: it has no .eh_frame; -EBADMSG: one that
 * is not understood; else another negative errno.  The caller frees the entries. */
int unwind_table_make(const struct task_view *view, const struct task_object *object,
		      struct unwind_table *ret_table);

#endif
