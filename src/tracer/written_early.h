/*
 * A folder in which names change, looked at beside the running container, when the container is
 * mostly done with it (docs/decisions/0007).  In the end it holds for what the container did not
 * touch since.
 */
#ifndef SHADOW_TRACER_WRITTEN_EARLY_H
#define SHADOW_TRACER_WRITTEN_EARLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../log/evlog_format.h"

struct early;

/* What may still be hashed early. */
struct early_budget {
	uint64_t files, bytes;
	bool plain_mounts; /* nothing is mounted over a file */
};

/* A regular file in the folder. */
struct early_found {
	char *path; /* of the struct early */
	const char *name;
	uint64_t dev, ino, size_bytes;
	const uint8_t *hash; /* all zeros: not hashed */
	uint32_t vnode;
	bool holds; /* else only the name does */
};

/* NULL if the folder cannot be looked at now. */
struct early *early_look(const char *path, struct early_budget *budget);

/* How many files there are. */
size_t early_count(const struct early *early);

/* In the end: whether names and folder are still those. */
bool early_holds(const struct early *early, int folder_fd);

/* File `i`, sorted by name; false behind the last. */
bool early_at(const struct early *early, size_t i, struct early_found *ret_found);

/* NULL is allowed. */
void early_destroy(struct early *early);

#endif
