/*
 * Large files, hashed beside the running container while they grow (VNODE_GROWS).  In the end only
 * what came since is read, if the container wrote nowhere but at their ends.
 */
#ifndef SHADOW_TRACER_WRITTEN_GROW_H
#define SHADOW_TRACER_WRITTEN_GROW_H

#include <stdbool.h>
#include <stdint.h>

#include "../log/evlog_types.h"

#define GROWING_MAX  16
#define GROWING_STEP (16u << 20) /* bytes of a file in one go, so that the end need not wait */

struct growing;

/* Zeros before the first; growing_finish at the end. */
struct growing_files {
	struct growing *files[GROWING_MAX];
	unsigned count;
};

/* Opens the file if it is (dev, ino), and if there is room. */
void growing_add(struct growing_files *all, const char *path, uint64_t dev, uint64_t ino);

/* Hashes what has come since the last time; false: none is left that can grow. */
bool growing_advance(struct growing_files *all);

/* When the container has ended: size and hash of the file, or false if it has to be read whole.
 * Once for each file. */
bool growing_hash(struct growing_files *all, uint64_t dev, uint64_t ino, struct evlog_output *out);

void growing_finish(struct growing_files *all);

#endif
