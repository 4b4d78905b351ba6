/*
 * The names under which files are announced to the capture thread, which looks at them a moment
 * later: the text the app gave, as long as that must lead there; else the name that the kernel's
 * walk came to, without links, those on the way being announced one by one.
 */
#ifndef SHADOW_CAPTURE_NAME_H
#define SHADOW_CAPTURE_NAME_H

#include "capture.h"

/*
 * What the path stands for: its text, for as long as no text has got to mean another file (what was
 * announced of it then holds no more), and the directory that it starts from.
 */
u64 announced_key(const struct path *p);
/* The same of the first `n` bytes of the name. */
u64 announced_key_of(const struct path *p, u32 n);
/* The same for what is not there: a directory that is made may lead elsewhere by "..". */
u64 announced_failure_key(const struct path *p);

/* Whether the text leads: not if the container's own links, or directories that it has moved, may
 * be on the way, or those that it has made are left by "..". */
bool announced_plainly(const struct path *p);

/* Whether the walk (path_lead) could not tell: then the text is the best there is.  Where what was
 * walked along may not be searched by the task, the tracer may be allowed to. */
bool announced_unknown(long led, const struct path_end *end);

/* Writes the name (FILE_ABS_MAX bytes) for a record of that kind; its length, or 0: it leads to
 * nothing of the image. */
u32 announced_name(const struct path *p, u32 kind, char *abs);
/* The same of what the first `n` bytes of the name lead to; and of the directory that holds the
 * last component. */
u32 announced_part(const struct path *p, u32 n, u32 kind, char *abs);
u32 announced_parent(const struct path *p, u32 kind, char *abs);

#endif
