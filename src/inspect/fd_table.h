/*
 * A descriptor table, as far as it is of interest which path each descriptor was opened by.  Tables
 * are shared (CLONE_FILES), and so are paths (dup, fork): both are counted.
 */
#ifndef SHADOW_INSPECT_FD_TABLE_H
#define SHADOW_INSPECT_FD_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* An open file description. */
struct opened {
	unsigned refs;
	char path[];
};

struct fd_entry {
	struct opened *opened; /* NULL: none that is known */
	bool cloexec;
};

struct fd_table {
	unsigned refs;
	unsigned count;
	struct fd_entry *entries; /* by descriptor */
};

/* `path` of that many bytes, behind `folder` and a slash unless that is NULL.  NULL for want of
 * memory. */
struct opened *opened_create(const char *folder, const char *path, size_t path_size);

/* One reference more; NULL gives NULL. */
struct opened *opened_hold(struct opened *opened);

/* An empty one, or a copy (of NULL: an empty one), with one reference.  NULL for want of memory. */
struct fd_table *fd_table_create(void);
struct fd_table *fd_table_copy(const struct fd_table *from);

/* One reference less; NULL is allowed. */
void fd_table_put(struct fd_table *table);

/* NULL where nothing is known; good until the table is changed.  `table` may be NULL. */
struct fd_entry *fd_table_at(const struct fd_table *table, uint32_t fd);

/* The descriptor is this from now on, or nothing that is known (NULL).  Takes the reference, also
 * on failure.  Numbers that the container does not have, from APP_FD_MAX on, are left out. 0 or
 * -ENOMEM. */
int fd_table_set(struct fd_table *table, uint32_t fd, struct opened *opened, bool cloexec);

/* Nothing is known of the entry any more. */
void fd_entry_drop(struct fd_entry *entry);

#endif
