/*
 * Who wants to know of changes of files is told here: notify.c decides which watches an event
 * concerns, inotify.c owns them and what was told.
 *
 * Every handler that opens, reads, changes, names or closes a file calls one of these, after it has
 * done it, in the order in which Linux tells.  As long as nothing is watched that costs one load.
 */
#ifndef SHADOW_NOTIFY_H
#define SHADOW_NOTIFY_H

#include <linux/inotify.h>
#include "path.h"

/* Something is watched. */
static inline bool notify_on(void)
{
	return __builtin_expect(FILES->notify.watches != 0, 0);
}

/* Of an open file: IN_OPEN, IN_ACCESS, IN_MODIFY, IN_CLOSE_*; also to the directory that has the
 * name it was opened by. */
void notify_opened_now(struct ofd *o, u32 mask);
/* The same of what is changed through a description but not by reading or writing. */
void notify_changed_now(struct ofd *o, u32 mask);
/* The same of a file that a path led to (AT_SYMLINK_NOFOLLOW in at_flags: not through a link). */
void notify_path_now(const struct path *p, u32 at_flags, u32 vnode, u32 mask);
/* Only to who watches the file itself: IN_ATTRIB of a link count, IN_MOVE_SELF. */
void notify_self_now(u32 vnode, u32 mask);
/* A description that was opened through a link keeps the name behind it from now on: the link may
 * lead elsewhere later. */
void notify_settle(struct ofd *o);
/* IN_CREATE of a file that was opened as it was made. */
void notify_made(const struct ofd *o);
/* Of the last component of a path, to the directory: IN_CREATE and so on. */
void notify_entry_now(u32 dir, const struct path *p, u32 mask, u32 cookie);

static inline void notify_opened(struct ofd *o, u32 mask)
{
	if (notify_on())
		notify_opened_now(o, mask);
}

static inline void notify_changed(struct ofd *o, u32 mask)
{
	if (notify_on())
		notify_changed_now(o, mask);
}

static inline void notify_path(const struct path *p, u32 at_flags, u32 vnode, u32 mask)
{
	if (notify_on())
		notify_path_now(p, at_flags, vnode, mask);
}

static inline void notify_self(u32 vnode, u32 mask)
{
	if (notify_on())
		notify_self_now(vnode, mask);
}

static inline void notify_entry(u32 dir, const struct path *p, u32 mask, u32 cookie)
{
	if (notify_on() && dir)
		notify_entry_now(dir, p, mask, cookie);
}

/* Makes an absolute path one without links, but for its last component. */
void notify_canonical(char *abs);
/*
 * The last component of a path is no name of the file any more: descriptions that were opened by it
 * keep it.  False if there is none, so that a file without other names is gone for who watches it.
 */
bool notify_name_lost(const struct path *p, u32 vnode, u32 dir);
/* What joins both halves of a rename. */
u32 notify_cookie(void);
/* Nobody has the file open by the name it has just lost: if that was the last one, it is gone as
 * far as Linux tells. */
void notify_unnamed(u32 vnode);
/* A watched file is gone for good: IN_DELETE_SELF, and the watches go with it. */
void notify_gone(u32 vnode);

/* ---- inotify.c ---- */

struct inotify;

struct inotify_watch {
	struct inotify_watch *next_here;  /* in the bucket of its vnode */
	struct inotify_watch *next_owned; /* of its instance */
	struct inotify *owner;
	u32 vnode;   /* 0: of a special name, where nothing ever happens */
	u32 mask;    /* IN_ALL_EVENTS, IN_EXCL_UNLINK, IN_ONESHOT */
	u64 special; /* key of such a name */
	s32 wd;
};

/* The watches of a vnode, from `from` on (NULL: from the first), or NULL. */
struct inotify_watch *inotify_watch_next(u32 vnode, struct inotify_watch *from);
/* Queues an event for the owner of a watch; the watch may be gone afterwards (IN_ONESHOT). */
void inotify_tell(struct inotify_watch *w, u32 mask, const char *name, u32 cookie);
/* Removes a watch: IN_IGNORED. */
void inotify_watch_end(struct inotify_watch *w);

#endif
