/* See image_changed.h.  Owns copies of the paths. */
#include "image_changed.h"

#include <stdlib.h>
#include <string.h>

void image_changed_note(struct image_changed *changed, const char *path)
{
	changed->count++;
	if (changed->kept == IMAGE_CHANGED_KEPT)
		return;
	changed->paths[changed->kept] = strdup(path);
	if (changed->paths[changed->kept])
		changed->kept++;
}

void image_changed_finish(struct image_changed *changed)
{
	for (size_t i = 0; i < changed->kept; i++)
		free(changed->paths[i]);
}
