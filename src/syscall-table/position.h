/*
 * Where descriptions of regular files stand and how large the files are, as far as the container's
 * own calls tell: as long as they do, the host need not be asked.
 *
 * What others write to a file at the same time is no input; it is seen when the host is asked for
 * the size anyway.
 */
#ifndef SHADOW_POSITION_H
#define SHADOW_POSITION_H

#include "files.h"

/* A new description, at the start of a file of so many bytes. */
void position_opened(struct ofd *o, u64 size);
/* A call moved it there; an errno: not at all. */
void position_moved(struct ofd *o, long at);
void position_read(struct ofd *o, u64 size);
/* A read of so many bytes at the offset (-1: the position) gives nothing. */
bool position_is_end(const struct ofd *o, s64 offset, u64 size);

/* Where a write at `offset` (-1: at the position) has to begin; -1: not known. */
s64 position_of_write(const struct ofd *o, s64 offset);
/* So many bytes were written, beginning at `begin`. */
void position_wrote(struct ofd *o, s64 offset, s64 begin, u64 size);

/* The size of the file was set. */
void size_set(struct vnode *v, u64 size);
/* The host says so: if the books do not, somebody else writes to the file. */
void size_seen(struct vnode *v, u64 size);
/* A call may have changed it. */
void size_doubted(struct vnode *v);
/* The size as fstat shows it; false: the host knows. */
bool size_shown(struct ofd *o, u64 *ret_size);

#endif
