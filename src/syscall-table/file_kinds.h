/* The operations of the kinds of files this family implements itself: see files.h. */
#ifndef SHADOW_FILE_KINDS_H
#define SHADOW_FILE_KINDS_H

#include "files.h"

extern const struct file_ops host_file_ops, path_ops; /* read_write.c */
extern const struct file_ops synth_file_ops;
u32 file_always_ready(struct task *t, struct ofd *o);
extern const struct file_ops host_dir_ops, synth_dir_ops;	       /* directory.c */
extern const struct file_ops null_ops, zero_ops, full_ops, random_ops; /* device.c */
extern const struct file_ops stream_out_ops, stream_null_ops;	       /* stream.c */
extern const struct file_ops channel_in_ops;			       /* channel.c */
extern const struct file_ops pty_master_ops, pty_slave_ops;	       /* pty.c */

#endif
