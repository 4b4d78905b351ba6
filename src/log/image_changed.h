/* The paths that an outside writer changed while they were taken: the first hundred, and how many.
 */
#ifndef SHADOW_LOG_IMAGE_CHANGED_H
#define SHADOW_LOG_IMAGE_CHANGED_H

#include <stddef.h>
#include <stdint.h>

#define IMAGE_CHANGED_KEPT 100

struct image_changed {
	uint64_t count;
	size_t kept;
	char *paths[IMAGE_CHANGED_KEPT];
};

void image_changed_note(struct image_changed *changed, const char *path);
void image_changed_finish(struct image_changed *changed);

#endif
