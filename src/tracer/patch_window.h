/* Which instructions around a site a jump to the stub may take the place of. */
#ifndef SHADOW_TRACER_PATCH_WINDOW_H
#define SHADOW_TRACER_PATCH_WINDOW_H

#include "patch_near.h"

/* Instructions [begin, end), moved except for the site. The site is covered or lies at the end. */
struct window {
	size_t begin;
	size_t end;
	bool covers_site;
};

/*
 * The best window: moving nothing; heads only, leaving the site intact for jumps onto it, where it
 * traps; heads over the site; tails, as few heads with them as will do.  -ENOENT: there is none;
 * -ENOMEM.
 */
int window_find(struct near *near, struct window *ret_window);

#endif
