/*
 * Announcing the files a recorded run depends on to the tracer's capture thread.
 *
 * Nothing here changes what the app sees: all functions do nothing unless config.capture.
 */
#ifndef SHADOW_CAPTURE_H
#define SHADOW_CAPTURE_H

#include <asm/stat.h>
#include "../shim/rings.h"
#include "path.h"

/* The path was looked up and is the file `st` (NULL: see enum capture_kind) of that vnode (0:
 * none): announced once per path and kind of use; of what is not of the image only the way there,
 * with CAPTURE_LINK but for the last component. */
void capture_path(const struct path *p, u32 kind, const struct stat *st, u32 vnode);

/* A link of the image on the way of a path that is walked along, or (NULL) a directory that ".."
 * leads out of again: its own path has no links. */
void capture_passed(const char *abs, const struct stat *st);

/* The directory that holds the last component is there (its vnode); what the name is may not
 * matter. */
void capture_parent(const struct path *p, u32 vnode);

/* The path could not be looked up. */
void capture_failure(const struct path *p, long error);

/* The path is a symbolic link, and a file is about to be made where it leads. */
void capture_dangling(const struct path *p);

/* The path is there, but opening it fails on the host. */
void capture_denied(const struct path *p, const struct stat *st, u32 vnode, long error);

/* A directory (description) is about to be listed. */
void capture_list(struct ofd *o, u32 fd);

/* The directory was found not to be empty. */
void capture_not_empty(const struct path *p, u32 vnode);

/*
 * The container is about to change the file: what the image needs of it is announced and safe when
 * this returns.  content: its old bytes can be seen later (false when they are cut or unlinked
 * without having been read).  One load when there is nothing to do.
 */
void capture_before_change(const struct path *p, const struct stat *st, u32 vnode, bool content);
/* fd: a descriptor of it that the task has, or -1. */
void capture_before_write(struct ofd *o, s32 fd);
/* The file was cut to nothing, or as it was announced. */
void capture_cut(u32 vnode);

/* So many bytes were written, beginning at `begin` or (-1) who knows where; before position_wrote.
 */
void capture_wrote(struct ofd *o, u32 fd, s64 begin, u64 size);

/* The container is about to change mode, owner or times of a file.  A read of its contents under
 * way is waited for too: to the reader the change would look like an outside writer's. */
void capture_before_metadata(u32 vnode);

/* The container is about to change the names in the directory that holds the path. */
void capture_before_entry(const struct path *p, u32 parent);

/* The directory is about to be renamed: everything below it is captured. */
void capture_before_move(const struct path *p, const struct stat *st, u32 vnode);

/*
 * What came out of the run is found at its end in the directories whose names changed
 * (capture_before_entry), and by these: a file made without its directory being known, and a
 * directory that is about to get the name `p`, while that still leads there.
 */
void capture_made(const struct path *p);

/* The container has given the file the name `p`, by which it is no other name of an image's. */
void capture_named(const struct path *p, u32 vnode);

void capture_new_place(const struct path *p, u32 vnode);

#endif
