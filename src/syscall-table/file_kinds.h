/* The operations of the kinds of files this family implements itself: see files.h. */
#ifndef SHADOW_FILE_KINDS_H
#define SHADOW_FILE_KINDS_H

#include "files.h"

extern const struct file_ops host_file_ops, synth_file_ops, path_ops;  /* read_write.c */
extern const struct file_ops host_dir_ops, synth_dir_ops;	       /* directory.c */
extern const struct file_ops null_ops, zero_ops, full_ops, random_ops; /* device.c */
extern const struct file_ops stream_out_ops, stream_null_ops;	       /* stream.c */
extern const struct file_ops channel_in_ops;			       /* channel.c */

/* A description of a regular file is new, and the file has so many bytes. */
void host_file_opened(struct ofd *o, u64 size);
/* So many bytes were read at its position; its position was moved otherwise. */
void host_file_read(struct ofd *o, u64 size);
void host_file_moved(struct ofd *o);
/* All that open saw of the file was read and nobody has changed it: a read gives nothing more, and
 * the host need not be asked. */
bool host_file_at_end(const struct ofd *o);

#endif
