/* See fd_table.h. */
#include "fd_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "../shim/shim_abi.h"

struct opened *opened_create(const char *folder, const char *path, size_t path_size)
{
	size_t folder_size = folder != NULL ? strlen(folder) + 1 : 0;
	struct opened *o = malloc(sizeof(*o) + folder_size + path_size + 1);

	if (o == NULL)
		return NULL;
	o->refs = 1;
	if (folder != NULL) {
		memcpy(o->path, folder, folder_size - 1);
		o->path[folder_size - 1] = '/';
	}
	memcpy(o->path + folder_size, path, path_size);
	o->path[folder_size + path_size] = '\0';
	return o;
}

struct opened *opened_hold(struct opened *o)
{
	if (o != NULL)
		o->refs++;
	return o;
}

static void opened_put(struct opened *o)
{
	if (o != NULL && --o->refs == 0)
		free(o);
}

struct fd_table *fd_table_create(void)
{
	struct fd_table *table = calloc(1, sizeof(*table));

	if (table != NULL)
		table->refs = 1;
	return table;
}

void fd_table_put(struct fd_table *table)
{
	if (table == NULL || --table->refs > 0)
		return;
	for (unsigned fd = 0; fd < table->count; fd++)
		opened_put(table->entries[fd].opened);
	free(table->entries);
	free(table);
}

struct fd_table *fd_table_copy(const struct fd_table *from)
{
	struct fd_table *table = fd_table_create();

	if (table == NULL || from == NULL || from->count == 0)
		return table;
	table->entries = calloc(from->count, sizeof(*table->entries));
	if (table->entries == NULL) {
		fd_table_put(table);
		return NULL;
	}
	table->count = from->count;
	for (unsigned fd = 0; fd < from->count; fd++) {
		table->entries[fd] = from->entries[fd];
		opened_hold(table->entries[fd].opened);
	}
	return table;
}

struct fd_entry *fd_table_at(const struct fd_table *table, uint32_t fd)
{
	return table != NULL && fd < table->count ? &table->entries[fd] : NULL;
}

void fd_entry_drop(struct fd_entry *entry)
{
	opened_put(entry->opened);
	*entry = (struct fd_entry){0};
}

static int table_grow(struct fd_table *table, unsigned count)
{
	struct fd_entry *more = realloc(table->entries, count * sizeof(*more));

	if (more == NULL)
		return -ENOMEM;
	memset(more + table->count, 0, (count - table->count) * sizeof(*more));
	table->entries = more;
	table->count = count;
	return 0;
}

int fd_table_set(struct fd_table *table, uint32_t fd, struct opened *opened, bool cloexec)
{
	struct fd_entry *entry = fd_table_at(table, fd);
	int error = 0;

	if (entry == NULL && opened != NULL && fd < APP_FD_MAX) {
		error = table_grow(table, fd + 1);
		entry = fd_table_at(table, fd);
	}
	if (entry == NULL) {
		opened_put(opened);
		return error;
	}
	fd_entry_drop(entry);
	*entry = (struct fd_entry){opened, cloexec};
	return 0;
}
