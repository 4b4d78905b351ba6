/*
 * The per-user cache of what scanning and planning found, so that libc is scanned once and not in
 * every container.  An entry counts only for the same bytes of the file, mapped the same way, and
 * the same build of ours.
 */
#ifndef SHADOW_TRACER_PATCH_CACHE_H
#define SHADOW_TRACER_PATCH_CACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../shim/patch_table.h"

struct patch_cache;

/* 0; -ENOTSUP: this build has no id; or an error of cache_folder_open. */
int patch_cache_open(struct patch_cache **ret_cache);
void patch_cache_close(struct patch_cache *cache);

/* The name of the entry for a mapping: `file` is the whole file, of key->size bytes; of the key
 * only what the mapping shows of it counts. */
void patch_cache_name(const void *file, const struct patch_key *key, char ret_name[64]);

/*
 * The name known for this very state of the file, so that its bytes need not be looked at.  A file
 * changed within the last 2 s is not kept: its timestamps need not show the next change.
 */
bool patch_cache_alias(struct patch_cache *cache, const struct patch_key *key, char ret_name[64]);
void patch_cache_alias_store(struct patch_cache *cache, const struct patch_key *key,
			     const char *name);

/*
 * Appends the entry's patches to the (empty) patch file and gives the sites known to be hopeless
 * (to be freed by the caller).  False, with nothing done, if there is no right entry.
 */
bool patch_cache_load(struct patch_cache *cache, const char *name, struct patch_file *file,
		      uint32_t **ret_dead_sites, size_t *ret_dead_count);

/* Stores what is known of a patch file now. */
void patch_cache_store(struct patch_cache *cache, const char *name, const struct patch_file *file,
		       const uint32_t *dead_sites, size_t dead_count);

#endif
