/*
 * Purpose: the sets the image needs (paths seen, files read, contents known).
 * Owns: copies of the keys, in one growing byte area, so that 5,000 keys are a few allocations.
 * Invariants: open addressing with linear probing, at most three quarters full; a slot with hash 0
 * is free.  Slots are small and what a key has is with the key: most slots looked at are others'.
 */
#include "keymap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <xxhash.h>

#include "evlog_wire.h"

#define KEYMAP_FIRST_SLOTS 256

struct slot {
	uint64_t hash;
	size_t at; /* of a struct head in `keys` */
};

/* Before each key. */
struct head {
	uint64_t value;
	size_t size;
};

struct keymap {
	struct slot *slots;
	size_t slot_count;
	size_t used;
	uint64_t seed; /* random: the keys of a hostile log shall not choose their slots */
	struct evlog_buf keys;
};

int keymap_create(struct keymap **ret_map)
{
	struct keymap *map = calloc(1, sizeof(*map));

	if (!map)
		return -ENOMEM;
	map->slot_count = KEYMAP_FIRST_SLOTS;
	map->slots = calloc(map->slot_count, sizeof(*map->slots));
	if (!map->slots) {
		free(map);
		return -ENOMEM;
	}
	if (getrandom(&map->seed, sizeof(map->seed), GRND_NONBLOCK) < 0)
		map->seed = (uint64_t)(uintptr_t)map;
	*ret_map = map;
	return 0;
}

void keymap_destroy(struct keymap *map)
{
	if (!map)
		return;
	evlog_buf_finish(&map->keys);
	free(map->slots);
	free(map);
}

static uint64_t key_hash(const struct keymap *map, const void *key, size_t size)
{
	uint64_t hash = XXH64(key, size, map->seed);

	return hash ? hash : 1;
}

static struct head head_of(const struct keymap *map, const struct slot *slot)
{
	struct head head;

	memcpy(&head, map->keys.data + slot->at, sizeof(head));
	return head;
}

/* The slot that holds the key, or the free one where it would go. */
static struct slot *slot_find(const struct keymap *map, uint64_t hash, const void *key, size_t size)
{
	size_t mask = map->slot_count - 1;
	size_t i = hash & mask;

	for (;; i = (i + 1) & mask) {
		struct slot *slot = &map->slots[i];

		if (!slot->hash)
			return slot;
		if (slot->hash == hash && head_of(map, slot).size == size &&
		    !memcmp(map->keys.data + slot->at + sizeof(struct head), key, size))
			return slot;
	}
}

static int map_grow(struct keymap *map)
{
	size_t mask = map->slot_count * 2 - 1;
	struct slot *slots = calloc(mask + 1, sizeof(*slots));

	if (!slots)
		return -ENOMEM;
	for (size_t i = 0; i < map->slot_count; i++) {
		size_t at = map->slots[i].hash & mask;

		if (!map->slots[i].hash)
			continue;
		while (slots[at].hash)
			at = (at + 1) & mask;
		slots[at] = map->slots[i];
	}
	free(map->slots);
	map->slots = slots;
	map->slot_count = mask + 1;
	return 0;
}

/* The key's slot, made with `value` if it is new; NULL without memory. */
static struct slot *slot_get(struct keymap *map, const void *key, size_t size, uint64_t value,
			     bool *ret_new)
{
	const struct head head = {value, size};
	uint64_t hash = key_hash(map, key, size);
	size_t at = map->keys.len;
	struct slot *slot;

	if (map->used >= map->slot_count / 4 * 3 && map_grow(map))
		return NULL;
	slot = slot_find(map, hash, key, size);
	*ret_new = !slot->hash;
	if (slot->hash)
		return slot;
	evlog_put(&map->keys, &head, sizeof(head));
	evlog_put(&map->keys, key, size);
	if (map->keys.error)
		return NULL;
	*slot = (struct slot){hash, at};
	map->used++;
	return slot;
}

int keymap_put(struct keymap *map, const void *key, size_t size, uint64_t value)
{
	const struct head head = {value, size};
	bool is_new;
	struct slot *slot = slot_get(map, key, size, value, &is_new);

	if (!slot)
		return -ENOMEM;
	if (!is_new)
		memcpy(map->keys.data + slot->at, &head, sizeof(head));
	return 0;
}

int keymap_get_or_put(struct keymap *map, const void *key, size_t size, uint64_t value,
		      uint64_t *ret_value)
{
	bool is_new;
	const struct slot *slot = slot_get(map, key, size, value, &is_new);

	if (!slot)
		return -ENOMEM;
	*ret_value = head_of(map, slot).value;
	return 0;
}

bool keymap_get(const struct keymap *map, const void *key, size_t size, uint64_t *ret_value)
{
	const struct slot *slot = slot_find(map, key_hash(map, key, size), key, size);

	if (!slot->hash)
		return false;
	*ret_value = head_of(map, slot).value;
	return true;
}

size_t keymap_count(const struct keymap *map)
{
	return map->used;
}
