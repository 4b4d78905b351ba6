/*
 * Purpose: one entry for each path of an image.
 * Owns: the entries and copies of their strings.
 * Invariants: entries are sorted and unique; of several for a path the first decides what it is,
 * and a later one of the same class only adds (contents, names); every FILE has a blob of its size,
 * unless the log names files only.
 */
#include "image_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "evlog_scan.h"
#include "keymap.h"

#define TREE_BYTES_MAX (1024ull * EVLOG_MIB)

struct image_tree {
	struct image_entry *entries;
	size_t count;
	struct keymap *by_path; /* to an index: of arrival, and after sorting of `entries` */
	uint64_t bytes;
	struct evlog_reader *reader; /* while loading */
};

static bool is_dir(const struct image_entry *entry)
{
	return S_ISDIR(entry->mode);
}

/* Does `later` say more of the same object than `before`? */
static bool adds(const struct image_entry *before, const struct image_entry *later)
{
	if (before->kind == IMAGE_ABSENT || before->kind == IMAGE_SYMLINK ||
	    later->kind == IMAGE_ABSENT || later->kind == IMAGE_SYMLINK)
		return false;
	return is_dir(before) == is_dir(later) && later->kind > before->kind;
}

static void entry_free(struct image_entry *entry)
{
	free((void *)entry->path);
	free((void *)entry->target);
	free((void *)entry->names);
}

static int entry_copy(struct image_entry *copy, const struct image_entry *entry)
{
	*copy = *entry;
	copy->path = strdup(entry->path);
	copy->target = entry->target ? strdup(entry->target) : NULL;
	copy->names = entry->names ? malloc(entry->names_size + 1) : NULL;
	if (!copy->path || (entry->target && !copy->target) || (entry->names && !copy->names)) {
		entry_free(copy);
		return -ENOMEM;
	}
	if (entry->names)
		memcpy((void *)copy->names, entry->names, entry->names_size);
	return 0;
}

static int damaged(struct image_tree *tree, const char *what)
{
	return evlog_scan_damaged(tree->reader, EVLOG_DAMAGED,
				  tree->reader->sections[tree->reader->loaded.section].offset,
				  "image", what);
}

static int entry_check(struct image_tree *tree, const struct image_entry *entry)
{
	uint64_t size;

	tree->bytes += sizeof(*entry) + strlen(entry->path) + entry->names_size;
	if (tree->bytes > TREE_BYTES_MAX)
		return damaged(tree, "larger than 1 GiB");
	if (entry->kind != IMAGE_FILE || evlog_reader_by_name(tree->reader))
		return 0;
	/* Behind the last whole epoch of a log that stops, contents may be missing. */
	if (!evlog_reader_blob_find(tree->reader, entry->hash, &size, NULL))
		return evlog_reader_state(tree->reader) == EVLOG_WHOLE
			       ? damaged(tree, "the contents of a file are missing")
			       : 1;
	return size == entry->size_bytes ? 0
					 : damaged(tree, "a file and its contents differ in size");
}

static int entry_add(struct image_tree *tree, const struct image_entry *entry)
{
	struct image_entry *grown;
	int ret;

	if (!(tree->count & (tree->count - 1))) {
		grown = realloc(tree->entries,
				(tree->count ? tree->count * 2 : 1) * sizeof(*grown));
		if (!grown)
			return -ENOMEM;
		tree->entries = grown;
	}
	ret = entry_copy(&tree->entries[tree->count], entry);
	if (ret)
		return ret;
	tree->count++;
	return keymap_put(tree->by_path, entry->path, strlen(entry->path), tree->count - 1);
}

/* What a later entry adds are contents or names; by then the container may have changed the rest.
 */
static void keep_first(struct image_entry *later, const struct image_entry *first)
{
	if (!(first->mode & S_IFMT))
		return;
	later->mode = first->mode;
	later->uid = first->uid;
	later->gid = first->gid;
	later->nlink = first->nlink;
	later->mtime_sec = first->mtime_sec;
	later->mtime_nsec = first->mtime_nsec;
}

static int tree_take(void *arg, const struct image_entry *entry)
{
	struct image_tree *tree = arg;
	struct image_entry copy;
	uint8_t changed;
	uint64_t i;
	int ret = entry_check(tree, entry);

	if (ret)
		return ret > 0 ? 0 : ret;
	if (!keymap_get(tree->by_path, entry->path, strlen(entry->path), &i))
		return entry_add(tree, entry);
	changed = (tree->entries[i].flags | entry->flags) & IMAGE_FLAG_CHANGED;
	if (!adds(&tree->entries[i], entry)) {
		tree->entries[i].flags |= changed;
		return 0;
	}
	ret = entry_copy(&copy, entry);
	if (ret)
		return ret;
	copy.flags |= changed;
	keep_first(&copy, &tree->entries[i]);
	entry_free(&tree->entries[i]);
	tree->entries[i] = copy;
	return 0;
}

/* By component: '/' sorts before every other byte, so that a folder's contents stand together. */
static int entry_compare(const void *left, const void *right)
{
	const char *a = ((const struct image_entry *)left)->path;
	const char *b = ((const struct image_entry *)right)->path;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (!*a || !*b)
		return (*a != 0) - (*b != 0);
	if (*a == '/' || *b == '/')
		return *a == '/' ? -1 : 1;
	return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
}

static int tree_sort(struct image_tree *tree)
{
	int ret = 0;

	if (tree->count)
		qsort(tree->entries, tree->count, sizeof(*tree->entries), entry_compare);
	for (size_t i = 0; !ret && i < tree->count; i++)
		ret = keymap_put(tree->by_path, tree->entries[i].path,
				 strlen(tree->entries[i].path), i);
	return ret;
}

int image_tree_load(struct evlog_reader *reader, struct image_tree **ret_tree)
{
	struct image_tree *tree = calloc(1, sizeof(*tree));
	int ret;

	if (!tree)
		return -ENOMEM;
	tree->reader = reader;
	ret = keymap_create(&tree->by_path);
	if (!ret)
		ret = evlog_reader_image_each(reader, tree_take, tree);
	if (!ret)
		ret = tree_sort(tree);
	tree->reader = NULL;
	if (ret) {
		image_tree_destroy(tree);
		return ret;
	}
	*ret_tree = tree;
	return 0;
}

void image_tree_destroy(struct image_tree *tree)
{
	if (!tree)
		return;
	for (size_t i = 0; i < tree->count; i++)
		entry_free(&tree->entries[i]);
	free(tree->entries);
	keymap_destroy(tree->by_path);
	free(tree);
}

size_t image_tree_count(const struct image_tree *tree)
{
	return tree->count;
}

const struct image_entry *image_tree_at(const struct image_tree *tree, size_t i)
{
	return i < tree->count ? &tree->entries[i] : NULL;
}

const struct image_entry *image_tree_find(const struct image_tree *tree, const char *path)
{
	uint64_t i;

	if (!keymap_get(tree->by_path, path, strlen(path), &i))
		return NULL;
	return &tree->entries[i];
}
