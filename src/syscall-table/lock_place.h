/* Where the locks of an object are kept: see lock_place.c. */
#ifndef SHADOW_LOCK_PLACE_H
#define SHADOW_LOCK_PLACE_H

#include "files.h"

struct file_lock;

/* What has no vnode and was locked; heap, in IPC->lock_places while it has locks. */
struct lock_place {
	struct lock_place *next;
	u64 id;
	u32 kind;
	u32 dev; /* as fstat tells */
	u64 ino;
	struct file_lock *locks;
};

/* The locks of what a description names; NULL: it has none. */
struct file_lock **lock_place_find(const struct ofd *o);
/* The same, to which one is about to be added. */
struct file_lock **lock_place_get(struct task *t, struct ofd *o, u32 fd);
/* Locks were released: places without any are no more. */
void lock_places_trim(void);

#endif
