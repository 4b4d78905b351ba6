/*
 * The names under which files are announced to the capture thread, which looks at them a moment
 * later: the text the app gave, as long as that must lead there; else the name that the kernel's
 * walk came to, without links, those on the way being announced one by one.
 */
#ifndef SHADOW_CAPTURE_NAME_H
#define SHADOW_CAPTURE_NAME_H

#include "capture.h"

/*
 * What the first `n` bytes of the name stand for, which lead to that vnode (0: it is not known).
 * While the text leads it is that, from the directory that it starts from.  Later, that it leads to
 * this file: which it does by the same way, as long as no link and no directory loses its name or
 * gets another.  A way with ".." in it (strict) holds until names change.
 */
u64 announced_key(const struct path *p, u32 n, u32 vnode, bool strict);

/* What is not there: until links are made or names moved.  Strict, where ".." or a link was on the
 * way: or until directories are made. */
u64 announced_failure_key(const struct path *p, bool strict);

/* Whether the text leads: not if the container's own links, or directories that it has moved, may
 * be on the way, or those that it has made are left by "..". */
bool announced_plainly(const struct path *p);

/* Whether the walk (path_lead) could not tell: then the text is the best there is.  Where what was
 * walked along may not be searched by the task, the tracer may be allowed to. */
bool announced_unknown(long led, const struct path_end *end);

/* Writes the name (FILE_ABS_MAX bytes) for a record of that kind; its length, or 0: it leads to
 * nothing of the image. */
u32 announced_name(const struct path *p, u32 kind, char *abs);
/* The same of what the first `n` bytes of the name lead to, and whether its strict key counts:
 * there was a ".." on the way, or it could not be walked along; and of the directory that holds the
 * last component. */
u32 announced_part(const struct path *p, u32 n, u32 kind, char *abs, bool *ret_strict);
u32 announced_parent(const struct path *p, u32 kind, char *abs);

#endif
