/*
 * Names of one file.  A replay has to make them hard links of each other again, even of those that
 * the container only saw in a listing: the inode number there is that of the file.
 */
#ifndef SHADOW_LOG_IMAGE_LINKS_H
#define SHADOW_LOG_IMAGE_LINKS_H

#include <stdint.h>

#include "evlog_wire.h"
#include "image_walk.h"

struct image_links;

/* The walk must outlive it. -ENOMEM. */
int image_links_create(struct image_walk *walk, struct image_links **ret_links);

/* NULL is allowed. */
void image_links_destroy(struct image_links *links);

/* A file with several names was recorded.  -ENOMEM or the writer's error. */
int image_links_recorded(struct image_links *links, uint64_t dev, uint64_t ino);

/* The listing of a folder was: `files` as image_listing_read() gives them.  Likewise. */
int image_links_listed(struct image_links *links, const struct image_place *folder, uint64_t dev,
		       const struct evlog_buf *files);

#endif
