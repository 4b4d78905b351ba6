/*
 * The image of a log by path: its entries merged, so that each path is there once.
 */
#ifndef SHADOW_LOG_IMAGE_TREE_H
#define SHADOW_LOG_IMAGE_TREE_H

#include <stddef.h>

#include "evlog_reader.h"

struct image_tree;

/* Loads the image. The reader may be destroyed before the tree.
 * -EBADMSG: an entry does not agree with its blob, or entries take more than 1 GiB; see
 * evlog_reader_damage(). -ENOMEM, -EIO. */
int image_tree_load(struct evlog_reader *reader, struct image_tree **ret_tree);

/* NULL is allowed. */
void image_tree_destroy(struct image_tree *tree);

/* Entries are sorted by path, a directory before what is in it. They live as long as the tree. */
size_t image_tree_count(const struct image_tree *tree);
const struct image_entry *image_tree_at(const struct image_tree *tree, size_t i);

/* The entry of a path (absolute, normalised), or NULL. */
const struct image_entry *image_tree_find(const struct image_tree *tree, const char *path);

#endif
