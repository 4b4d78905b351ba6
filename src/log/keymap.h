/*
 * A map from byte strings to a 64-bit number. Only grows.
 */
#ifndef SHADOW_LOG_KEYMAP_H
#define SHADOW_LOG_KEYMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keymap;

/* -ENOMEM. */
int keymap_create(struct keymap **ret_map);

/* NULL is allowed. */
void keymap_destroy(struct keymap *map);

/* Sets the value of a key, which is copied. -ENOMEM, and the map is as before. */
int keymap_put(struct keymap *map, const void *key, size_t size, uint64_t value);

/* The value of a key, which becomes `value` if the key is new: *ret_value. -ENOMEM, and the map is
 * as before. */
int keymap_get_or_put(struct keymap *map, const void *key, size_t size, uint64_t value,
		      uint64_t *ret_value);

/* False if the key is not there. */
bool keymap_get(const struct keymap *map, const void *key, size_t size, uint64_t *ret_value);

size_t keymap_count(const struct keymap *map);

#endif
