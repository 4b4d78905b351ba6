/*
 * Descriptors, open file descriptions, working directories: what every family that implements a
 * kind of file needs.
 *
 * Descriptor numbers are the kernel's: each number the app holds is really open, objects of the
 * shim as duplicates of SHIM_FD_HOLDER.  The books here say what a number means: fdtable[fd] names
 * an ofd (open file description), whose kind chooses a `struct file_ops`.
 *
 * Everything is reached under the turn: no locks.  Pointers returned stay valid until the handler
 * parks (another task may close the descriptor meanwhile: take a reference with ofd_hold, or look
 * it up again after the park).
 */
#ifndef SHADOW_FILES_H
#define SHADOW_FILES_H

#include <asm/errno.h>
#include <asm/poll.h>
#include <asm/termbits.h>
#include <asm/termios.h>
#include <linux/fcntl.h>
#include <linux/stat.h>
#include "../shim/shim.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "vnode.h"

#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x20 /* since Linux 6.3 */
#endif

#define FILE_PATH_MAX 4096 /* PATH_MAX: a path handed in, with its NUL */
#define FILE_ABS_MAX  8192 /* working directory, slash and such a path */

enum ofd_kind {
	OFD_FREE,
	OFD_HOST_FILE, /* a regular file of the host; the kernel keeps the offset */
	OFD_HOST_DIR,
	OFD_PATH,	/* O_PATH on anything */
	OFD_SYNTH_FILE, /* synthesised text, kept in a memfd while it is read (synth_file.c) */
	OFD_SYNTH_DIR,	/* a directory below /proc, /sys or /dev: `path` says which */
	OFD_NULL,
	OFD_ZERO,
	OFD_FULL,
	OFD_RANDOM,
	OFD_PIDFD,
	OFD_STREAM_OUT,	 /* stdout (object 1) or stderr (object 2) */
	OFD_STREAM_NULL, /* the same, where it is /dev/null */
	OFD_CHANNEL_IN,	 /* stdin, when it is not a regular file; /dev/tty */
	OFD_PIPE_READ,
	OFD_PIPE_WRITE,
	OFD_FIFO, /* a FIFO opened for both */
	OFD_PTY_MASTER,
	OFD_PTY_SLAVE,
	OFD_EVENTFD,
	OFD_EPOLL,
	OFD_TIMERFD,
	OFD_SIGNALFD,
	OFD_SOCKET,
	OFD_INOTIFY,
	OFD_MQUEUE,
	OFD_KIND_COUNT
};

/*
 * An open file description.  Its index is its name; index 0 is never used.  `refs` counts the
 * descriptors (of all tables) that name it and ofd_hold calls.
 */
struct ofd {
	u32 kind;
	u32 flags; /* O_ACCMODE and the status flags as F_GETFL shows them */
	u32 refs;
	u32 vnode;  /* index of its vnode; 0 for none; counted in the vnode's `opens` */
	u32 object; /* of the kind's own: pipe index and so on */
	u32 next_free;
	u64 path_hash;	/* base of the keys of paths relative to it */
	char *path;	/* heap string, absolute, or NULL */
	void *state;	/* of the kind's own, heap: directory snapshot */
	u64 private[2]; /* of the kind's own */
	/* While files are watched: the name it was opened by is gone from this directory (0: it is
	 * not), `path` still says which; a vnode, and its inode number as a check. */
	u32 lost_dir;
	u32 writes; /* it is one of its vnode's `writers` */
	u64 lost_ino;
};

#define OFDS_MAX       65536u
#define FDTABLES_MAX   (PROCS_MAX + 1) /* index 0 is never used */
#define FD_CLOEXEC_BIT 0x80000000u
#define FD_OFD	       0x7fffffffu

/* Per number: the ofd's index (0: closed) and FD_CLOEXEC_BIT. */
struct fdtable {
	u32 fd[APP_FD_MAX];
};

/* refs: processes that share it, 0: free.  top: no number from here on is in use. */
struct fdtable_head {
	u32 refs, top;
};

/* Working directory, root and umask, shared by CLONE_FS. */
struct fs_info {
	u32 refs;
	u32 umask;
	u32 vnode;
	u32 root_vnode; /* 0: none, or below /proc, /sys or /dev */
	char *cwd;	/* heap string, absolute */
	u64 cwd_hash;
	char *root; /* of chroot: heap string, absolute, without links; NULL: the container's */
};

/* What stdin has got so far and nobody has read. */
struct channel {
	u8 *bytes; /* heap */
	u64 start, end, capacity;
	bool eof;
};

struct tty_ops;
struct synth_text;

/* A terminal as its settings have it: see tty.h. */
struct tty {
	struct termios2 termios;
	struct winsize size;
	u32 sid;  /* the session it controls; 0: none */
	u32 pgrp; /* of that session, the group in the foreground */
	u32 rdev;
	bool exclusive;
	const struct tty_ops *ops; /* NULL: the caller's terminal */
};

/* Paths announced to the capture thread: open-addressed set of keys; see capture.c. */
struct capture_set {
	u64 *entries; /* heap; 0: empty */
	u32 mask, count;
	bool forgot; /* it was begun anew */
};

#define NOT_SPECIAL_SLOTS 1024u /* power of two */
#define SEARCHED_SLOTS	  256
#define PARENT_SLOTS	  64u /* power of two */
#define MISSING_SLOTS	  16u /* power of two */
#define LEAD_SLOTS	  64u /* power of two */

/* The directory a path prefix names. */
struct known_parent {
	u64 key;
	u32 vnode;
};

/* Where a path prefix leads, without links (path_lead). */
struct known_lead {
	u64 key;
	u64 inside_len;
	char *abs; /* heap; "" is the root */
};

/* The record that is held back in the capture ring (ring_hold), and the key of its path. */
struct held_look {
	u64 key;
	struct ring_record *record;
};

/* What the host said of the regular file that was looked at by name last: see lookup_again. */
struct last_look {
	u64 event; /* HEAD->events then */
	u64 key;
	u64 followed; /* a last link was not the file itself */
	u64 st[18];   /* struct stat */
};

/* Of the device that was listed last: whether d_ino is what stat says. */
struct listed_device {
	u64 dev;
	u32 is_trusted;
};

/* Who watches files: notify.h. */
#define NOTIFY_BUCKETS 64u
#define NOTIFY_PLACES  16u /* power of two */

/* The directory an open file has its name in, as of a key of its path. */
struct notify_place {
	u64 key;
	u32 dir; /* vnode; 0: none that is known */
	char name[256];
};

/* Paths under way.  Not on the stack, which is small in the shim: nothing that uses them parks. */
struct notify_paths {
	char named[FILE_ABS_MAX];  /* as a call has named it */
	char opened[FILE_ABS_MAX]; /* of a description */
	char linked[FILE_ABS_MAX]; /* the same, behind links */
	/* A walk along a path: what is behind is free of links, "." and "..", what is ahead not. */
	char behind[FILE_ABS_MAX], ahead[FILE_ABS_MAX];
	char target[FILE_PATH_MAX], joined[FILE_ABS_MAX];
	char dir[FILE_PATH_MAX];
	char old[FILE_ABS_MAX], new[FILE_ABS_MAX]; /* of a rename */
};

struct notify_state {
	u32 watches;   /* of vnodes */
	u32 instances; /* a container has one user's limits */
	u32 cookie;
	u32 placed; /* watches of all instances */
	u64 generation;
	struct inotify_watch *bucket[NOTIFY_BUCKETS];
	struct notify_place places[NOTIFY_PLACES];
	struct notify_paths paths;
};

struct files_state {
	u32 ofd_used, ofd_free;
	u32 stream_error[4]; /* errno of writes, once the reader has gone */
	u64 stream_cost;     /* of what went to streams in this epoch: see stream.c */
	struct channel stdin_channel;
	struct tty tty;	  /* the terminal behind stdin, stdout and stderr, if they are one */
	struct pty *ptys; /* by number */
	struct capture_set captured;
	struct held_look held_look;
	struct last_look last_look;
	/*
	 * What paths are known to lead to: those that are no links to special names, and
	 * directories.  Void when the container makes links or moves or removes directories.
	 */
	u64 not_special[NOT_SPECIAL_SLOTS];
	struct known_parent parents[PARENT_SLOTS];
	u64 missing[MISSING_SLOTS]; /* path_missing_key of directories that there are none of */
	u64 path_generation;
	/* How often by a directory that was removed, and by a link that was made; and directories
	 * that have moved. */
	u64 removed_dirs, made_links, moved_dirs;
	u64 made_generation; /* directories have been made */
	bool leads_through;  /* what is announced may lead through some of them */
	bool has_late;	     /* other names of changed files were announced, and not waited for */
	bool has_renamed; /* files of the image that have several names got some by the container */
	struct known_lead leads[LEAD_SLOTS];
	u64 searched[SEARCHED_SLOTS]; /* path_search.c */
	u64 search_generation;	      /* modes of directories, or groups, have changed */
	u64 was_rooted;		      /* some task has, or had, a root of its own */
	struct listed_device listed;
	struct notify_state notify;
	struct fdtable_head heads[FDTABLES_MAX];
	struct fs_info fs[FDTABLES_MAX];
	struct ofd ofds[OFDS_MAX];
	_Alignas(4096) struct fdtable tables[FDTABLES_MAX];
};
#define FILES REGION_AT(struct files_state, REGION_FILES_OFF)
_Static_assert(sizeof(struct files_state) <= VNODES_OFF - REGION_FILES_OFF, "room before vnodes");

/* Bytes of the app an operation fills or takes: one entry for read, several for readv. */
struct user_iov {
	u64 base;
	u64 len;
};

#define FILE_IOV_MAX 1024

struct file_io {
	const struct user_iov *iov;
	u32 count;
	u32 fd;	     /* the number the app used: what the kernel is called with */
	u64 total;   /* sum of the lengths, at most FILE_IO_MAX */
	s64 offset;  /* of pread and pwrite; -1: the description's position */
	bool nowait; /* O_NONBLOCK, or RWF_NOWAIT */
	bool append; /* a file of the host, at its end whatever the offset */
	bool inside; /* iov is memory of the shim (sendfile), not of the app */
};

/* Copies `size` bytes between the operation's memory, from its byte `at` on, and the shim, and
 * folds them into the digest.  0 or -EFAULT. */
long io_take(struct task *t, const struct file_io *io, u64 at, void *to, u64 size);
long io_give(struct task *t, const struct file_io *io, u64 at, const void *from, u64 size);
/* io_take without the digest. */
long io_peek(const struct file_io *io, u64 at, void *to, u64 size);
#define FILE_IO_MAX 0x7ffff000u

/* Takes a vector of the app's in, `iov` having room for FILE_IOV_MAX: its total is cut at
 * FILE_IO_MAX as the kernel does.  0, -EINVAL, -EFAULT. */
long io_vector_in(struct task *t, u64 user, u64 count, struct user_iov *iov, u64 *ret_total);

/*
 * What a kind of file does.  A NULL member means: read and write EINVAL, poll always readable and
 * writable, seek ESPIPE, ioctl ENOTTY, fcntl EINVAL, stat: an anonymous inode.
 */
struct file_ops {
	/* Bytes moved, or a negative errno.  May park; folds what it moved (digest_user). */
	long (*read)(struct task *t, struct ofd *o, const struct file_io *io);
	long (*write)(struct task *t, struct ofd *o, const struct file_io *io);
	/* POLLIN, POLLOUT... that hold now. */
	u32 (*poll)(struct task *t, struct ofd *o);
	/* The key that is woken when the answer of `poll` may have changed. */
	struct sched_key (*poll_key)(struct ofd *o);
	long (*seek)(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence);
	long (*ioctl)(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg);
	/* Requests that fd.c does not know (F_GETPIPE_SZ and the like). */
	long (*fcntl)(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg);
	long (*stat)(struct task *t, struct ofd *o, u32 fd, struct vstat *ret);
	/* lseek is taken and moves nothing, as on the kernel's anonymous inodes; pread is ESPIPE.
	 */
	bool seek_stays;
	/* One of its descriptors is closed. */
	void (*flush)(struct task *t, struct ofd *o);
	/* The last reference went: wake the other side, free the object. */
	void (*release)(struct ofd *o);
	/* What /proc/PID/fdinfo says of it besides: lines of text. */
	void (*info)(struct ofd *o, struct synth_text *out);
	/* enum file_splice: what splice and sendfile may do with it.  Such reads and writes are
	 * `inside`, and return -EAGAIN instead of parking if told so. */
	u32 splices;
	/* enum file_piece: a vector is as many reads (writes), without flags. */
	u32 by_piece;
};

enum file_piece { FILE_READ_BY_PIECE = 1, FILE_WRITE_BY_PIECE = 2 };
enum file_splice { FILE_SPLICE_IN = 1, FILE_SPLICE_OUT = 2 };

/* The operations of a kind; never NULL. */
const struct file_ops *file_ops_of(u32 kind);

/* Defined by the families that own the kinds. */
extern const struct file_ops pipe_read_ops, pipe_write_ops, fifo_ops, eventfd_ops, epoll_ops,
	inotify_ops, timerfd_ops, signalfd_ops, mqueue_ops;
extern const struct file_ops socket_file_ops;

/* Kinds of wait keys of this family: struct sched_key {kind, object}. */
enum file_key_kind {
	KEY_OFD = 0x4f460001, /* object: ofd index; woken at any change of readiness */
	KEY_STDIN,	      /* object: 0 */
	KEY_STREAM,	      /* object: stream; its reader vanished */
	KEY_SIGNALS,	      /* object: pid; a signal was sent to it, or to a task of it */
	KEY_PTY_MASTER,	      /* object: number of the pseudo terminal */
	KEY_PTY_SLAVE,
};

/* ---- open file descriptions and descriptors (fd.c) ---- */

/* A fresh description with one reference (for fd_install or ofd_put); `flags` as ofd.flags.
 * -ENFILE when all are in use. */
long ofd_create(u32 kind, u32 flags);
struct ofd *ofd_at(u32 index);
u32 ofd_index(const struct ofd *o);
void ofd_hold(struct ofd *o);
/* Drops a reference; the last one calls release and frees path, state and locks. */
void ofd_put(struct ofd *o);
/* Gives the description its absolute path (copied) and the hash of it. */
void ofd_set_path(struct ofd *o, const char *abs);
/* Gives the description its vnode and counts it there. */
void ofd_set_vnode(struct ofd *o, u32 vnode);
/* Opened by name: as long as it is open for writing, its file does not run. */
void ofd_set_writes(struct ofd *o);

/* What the task's descriptor names; NULL: EBADF. */
static inline struct ofd *fd_get(struct task *t, u32 fd)
{
	u32 index = fd < APP_FD_MAX ? FILES->tables[proc_of(t)->files].fd[fd] & FD_OFD : 0;

	return index ? &FILES->ofds[index] : NULL;
}

/* The same, for calls that do not take O_PATH descriptors. */
static inline struct ofd *fd_get_io(struct task *t, u32 fd)
{
	struct ofd *o = fd_get(t, fd);

	return o && !(o->flags & O_PATH) ? o : NULL;
}

/* Gives description `ofd` (whose reference it takes over, also on failure) the lowest free number
 * by duplicating SHIM_FD_HOLDER.  flags: O_CLOEXEC or 0.  The number, or -EMFILE. */
long fd_install(struct task *t, u32 ofd, u32 flags);
/* The same for a number that the kernel has already opened; closes it on failure. */
long fd_install_host(struct task *t, long fd, u32 ofd, u32 flags);
/* Another number, at least `from`, for the description of an open descriptor. */
long fd_duplicate(struct task *t, u32 fd, u32 from, u32 flags);
/* Whether fd_install would find a number. */
bool fd_has_room(struct task *t);
/* Closes a number, in the kernel too.  0 or -EBADF. */
long fd_close(struct task *t, u32 fd);

/* ---- life of processes (fd.c, fs.c) ----
 * clone.c copies (fork) or shares (CLONE_FILES, CLONE_FS) the index of the parent's process;
 * the value goes to proc->files and proc->fs of the child. */
u32 files_clone(u32 files);
u32 files_share(u32 files);
/* An own table in place of a shared one, in the books only; the same for working directories. */
void files_unshare(struct task *t);
void fs_unshare(struct task *t);
/* execve: an own table if it was shared, and without the close-on-exec descriptors; the kernel
 * closes the real ones itself. */
void files_exec(struct task *t);
/* The process ends: every descriptor is put (pipes see their ends close), cwd is dropped. */
void files_release(struct task *t);

u32 fs_clone(u32 fs);
u32 fs_share(u32 fs);
bool fs_is_shared(u32 fs);
void fs_release(u32 fs);

/* Once, for the first process: tables, descriptors 0 to 2 as config.stdio_kind says, cwd, umask. */
void files_init_first(struct task *t);

/* How many bytes of the absolute path are the task's root; 0 if that is the container's, or the
 * path is not below it. */
u32 fs_root_length(const struct task *t, const char *abs);
u32 proc_root_length(const struct proc *p, const char *abs);
/* The name that the task knows an absolute path by: a part of it, or "/".  What is not below its
 * root is shown as it is, as by d_path of Linux. */
const char *fs_shown(const struct task *t, const char *abs);

/* ---- for execve and mmap (open.c, capture.c) ---- */

/* A program or interpreter opened for execve. */
struct exec_file {
	int fd; /* above the app's numbers, without close-on-exec; the caller closes it */
	u32 vnode;
	u32 mode, uid, gid; /* virtual: set-uid bits and the like */
	u64 size;
	char path[FILE_PATH_MAX]; /* absolute; "" plus description for a descriptor without path */
};

/* Opens what execve would run: path is in the shim's memory and already folded into the digest.
 * at_flags: AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW.  -EACCES when it is no regular file or the process
 * may not execute it; -ENOENT, -ENOTDIR, -ELOOP, -ENAMETOOLONG, -EBADF as execve(2). */
long file_open_exec(struct task *t, int dirfd, const char *path, int at_flags,
		    struct exec_file *ret);

/* To be called before the contents of a description's file can change in a way that we do not see
 * (a writable shared mapping): saves the old contents in a recording.  fd: its number.  0. */
long file_before_write(struct task *t, u32 ofd, s32 fd);

/* ---- FIFOs (implemented with the pipes) ---- */

/* Opens the in-container FIFO of a vnode: flags as open(2); returns the index of a new ofd with one
 * reference (kind PIPE_READ, PIPE_WRITE or FIFO) or a negative errno; may park until the other side
 * is there. */
long fifo_open(struct task *t, u32 vnode, u32 flags);

/* ---- names below /proc, /sys and /dev (implemented in synth*.c) ----
 * `abs` is absolute and lexically normal (no ".", "..", "//"). */

/* The new descriptor (installed), or a negative errno. */
long synth_open(struct task *t, const char *abs, u32 flags, u32 mode);
long synth_stat(struct task *t, const char *abs, bool follow, struct vstat *ret);
/* Writes at most `size` bytes, no NUL; the length, -EINVAL when it is no link. */
long synth_readlink(struct task *t, const char *abs, char *to, u32 size);
/* What was written to an open text (OFD_SYNTH_FILE): `len`, or a negative errno. */
long synth_write(struct task *t, const char *abs, const char *bytes, u64 len);
/* Adds the entries of the directory (without "." and "..") with dir_add. */
struct dir_list;
long synth_list(struct task *t, const char *abs, struct dir_list *list);

/* directory.c: one entry more; copies the name. type: DT_*. */
void dir_add(struct dir_list *list, const char *name, u64 ino, u32 type);

/* For synth_open: a description of a text, of the process that is called `birth` (0: of none); its
 * number or an error. */
long file_install_text(struct task *t, const char *abs, u64 birth, u32 flags);
/* For synth_open of a directory. */
long file_install_synth_dir(struct task *t, const char *abs, u32 flags);

/* ---- streams and channels (stream.c): called when an epoch is delivered ---- */

/* The reader of stdout (1) or stderr (2) has gone: writes fail from now on, with the errno that
 * `bytes` hold as a u32, or EPIPE (and SIGPIPE). */
void stream_close_input(u32 stream, const u8 *bytes, u32 size);
/* What was written to a regular file that is stdout or stderr, for the tracer: hashed, and in a
 * replay shown.  `size` bytes of the operation, which are folded already. */
void stream_copy(u32 stream, const struct file_io *io, u64 size);
/* Input of the epoch for a channel (0: stdin; others are ignored), and its end. */
void channel_append(u32 channel, const void *bytes, u64 size);
void channel_eof(u32 channel);
/* A task is parked until a channel brings something: the container waits for an epoch in real
 * time. */
bool channel_waited(void);

/* mqueue.c: the name of the POSIX message queue that is open; NULL: it has none any more. */
const char *mqueue_name(const struct ofd *o);
/* A fresh description becomes another one of the queue of `of`. */
void mqueue_attach(struct ofd *o, const struct ofd *of);

/* memfd.c: F_ADD_SEALS and F_GET_SEALS of a host file; -EINVAL for other requests. */
long memfd_fcntl(struct ofd *o, u32 fd, u32 request, u64 arg);

/* ---- locks (lock.c) ---- */
void locks_drop_ofd(struct ofd *o);
void locks_drop_files(u32 files, const struct ofd *o);

#endif
