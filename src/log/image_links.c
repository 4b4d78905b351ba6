/*
 * Purpose: finds names in listings that are other names of a file, and records these names too, as
 * if they had been looked at.
 * Owns: a map from (dev, ino) to the name seen first, and those names.
 *
 * Invariant: a number whose value is RECORDED is that of an entry of the image; any other value is
 * where the only name seen so far stands, which is in a listing only.
 */
#include "image_links.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "keymap.h"

#define RECORDED 0

struct image_links {
	struct image_walk *walk;
	struct keymap *first;	/* RECORDED, or where the name starts, plus 1 */
	struct evlog_buf names; /* paths, each with its NUL */
};

struct file_key {
	uint64_t dev, ino;
};

int image_links_create(struct image_walk *walk, struct image_links **ret_links)
{
	struct image_links *links = calloc(1, sizeof(*links));

	if (!links)
		return -ENOMEM;
	links->walk = walk;
	if (keymap_create(&links->first)) {
		free(links);
		return -ENOMEM;
	}
	*ret_links = links;
	return 0;
}

void image_links_destroy(struct image_links *links)
{
	if (!links)
		return;
	keymap_destroy(links->first);
	evlog_buf_finish(&links->names);
	free(links);
}

/* `late`: another name of the file says what it was at first. */
static int record(struct image_links *links, const char *path, const struct file_key *key,
		  bool late)
{
	struct image_entry entry = {.kind = IMAGE_PLACEHOLDER};
	struct image_place place = {.len = strlen(path)};
	struct stat st;

	/* It is gone, or another file's by now: somebody outside did that. */
	if (lstat(path, &st) || st.st_dev != key->dev || st.st_ino != key->ino)
		return 0;
	memcpy(place.path, path, place.len + 1);
	entry.flags = late ? IMAGE_FLAG_LATE : 0;
	image_entry_from_stat(&entry, &st);
	return image_walk_record(links->walk, &place, &entry);
}

int image_links_recorded(struct image_links *links, uint64_t dev, uint64_t ino)
{
	struct file_key key = {dev, ino};
	uint64_t at = RECORDED;
	int ret = 0;

	if (keymap_get(links->first, &key, sizeof(key), &at) && at == RECORDED)
		return 0;
	if (at != RECORDED)
		ret = record(links, (const char *)links->names.data + at - 1, &key, true);
	return ret ? ret : keymap_put(links->first, &key, sizeof(key), RECORDED);
}

static int listed(struct image_links *links, const char *path, const struct file_key *key)
{
	uint64_t next = links->names.len + 1, at;
	int ret = keymap_get_or_put(links->first, key, sizeof(*key), next, &at);

	if (ret)
		return ret;
	if (at == next) {
		evlog_put(&links->names, path, strlen(path) + 1);
		return links->names.error;
	}
	if (at != RECORDED) {
		ret = record(links, (const char *)links->names.data + at - 1, key, false);
		if (!ret)
			ret = keymap_put(links->first, key, sizeof(*key), RECORDED);
	}
	return ret ? ret : record(links, path, key, true);
}

int image_links_listed(struct image_links *links, const struct image_place *folder, uint64_t dev,
		       const struct evlog_buf *files)
{
	char path[EVLOG_PATH_MAX + 1];
	struct file_key key = {dev, 0};
	int ret = 0;

	memcpy(path, folder->path, folder->len);
	path[folder->len] = '/';
	for (size_t at = 0; at < files->len && !ret;) {
		const char *name = (const char *)files->data + at + sizeof(key.ino);
		size_t size = strlen(name) + 1;
		memcpy(&key.ino, files->data + at, sizeof(key.ino));
		at += sizeof(key.ino) + size;
		if (folder->len + 1 + size > sizeof(path))
			continue;
		memcpy(path + folder->len + 1, name, size);
		ret = listed(links, path, &key);
	}
	return ret;
}
