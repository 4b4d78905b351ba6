/*
 * Descriptors and open file descriptions: the books, their life over fork, exec and exit, and the
 * calls dup, dup2, dup3, close, close_range.
 *
 * Owns FILES->ofds, tables and heads.  Invariants: a number is in a table exactly if it is open in
 * the kernel's table of the processes that share it; an ofd is free exactly if refs is 0.  Index 0
 * of both means none.
 */
#include <linux/close_range.h>
#include "files.h"
#include "pidfd.h"
#include "file_kinds.h"
#include "ipc.h"
#include "notify.h"
#include "ready.h"
#include "socket.h"

#define RLIMIT_OF_FILES 7

static const struct file_ops no_ops;

static const struct file_ops *const ops_of_kind[OFD_KIND_COUNT] = {
	[OFD_HOST_FILE] = &host_file_ops,
	[OFD_HOST_DIR] = &host_dir_ops,
	[OFD_PATH] = &path_ops,
	[OFD_SYNTH_FILE] = &synth_file_ops,
	[OFD_SYNTH_DIR] = &synth_dir_ops,
	[OFD_NULL] = &null_ops,
	[OFD_ZERO] = &zero_ops,
	[OFD_FULL] = &full_ops,
	[OFD_RANDOM] = &random_ops,
	[OFD_STREAM_OUT] = &stream_out_ops,
	[OFD_STREAM_NULL] = &stream_null_ops,
	[OFD_CHANNEL_IN] = &channel_in_ops,
	[OFD_PIPE_READ] = &pipe_read_ops,
	[OFD_PIPE_WRITE] = &pipe_write_ops,
	[OFD_FIFO] = &fifo_ops,
	[OFD_PTY_MASTER] = &pty_master_ops,
	[OFD_PTY_SLAVE] = &pty_slave_ops,
	[OFD_EVENTFD] = &eventfd_ops,
	[OFD_PIDFD] = &pidfd_ops,
	[OFD_EPOLL] = &epoll_ops,
	[OFD_INOTIFY] = &inotify_ops,
	[OFD_TIMERFD] = &timerfd_ops,
	[OFD_SIGNALFD] = &signalfd_ops,
	[OFD_MQUEUE] = &mqueue_ops,
	[OFD_SOCKET] = &socket_file_ops,
};

const struct file_ops *file_ops_of(u32 kind)
{
	const struct file_ops *ops = kind < OFD_KIND_COUNT ? ops_of_kind[kind] : NULL;

	return ops ? ops : &no_ops;
}

struct ofd *ofd_at(u32 index)
{
	return &FILES->ofds[index];
}

u32 ofd_index(const struct ofd *o)
{
	return (u32)(o - FILES->ofds);
}

long ofd_create(u32 kind, u32 flags)
{
	u32 i = FILES->ofd_free;

	if (i) {
		FILES->ofd_free = ofd_at(i)->next_free;
	} else {
		if (FILES->ofd_used + 1 >= OFDS_MAX)
			return -ENFILE;
		i = ++FILES->ofd_used;
	}
	struct ofd *o = ofd_at(i);
	memset(o, 0, sizeof(*o));
	o->kind = kind;
	o->flags = flags;
	o->refs = 1;
	return i;
}

void ofd_hold(struct ofd *o)
{
	o->refs++;
}

void ofd_put(struct ofd *o)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	if (--o->refs) {
		if (o->kind == OFD_SOCKET)
			socket_reference_gone(o);
		return;
	}
	epoll_forget(o);
	async_forget(o);
	notify_opened(o, (o->flags & O_ACCMODE) == O_RDONLY ? IN_CLOSE_NOWRITE : IN_CLOSE_WRITE);
	locks_drop_ofd(o);
	if (ops->release)
		ops->release(o);
	if (o->writes)
		vnode_write_end(o->vnode);
	vnode_close(o->vnode);
	heap_free(o->path);
	o->kind = OFD_FREE;
	o->next_free = FILES->ofd_free;
	FILES->ofd_free = ofd_index(o);
}

void ofd_set_path(struct ofd *o, const char *abs)
{
	u64 len = strlen(abs);

	heap_free(o->path);
	o->path = heap_alloc_unset(len + 1);
	memcpy(o->path, abs, len + 1);
	/* Nothing is relative to a file. */
	if (o->kind != OFD_HOST_FILE)
		o->path_hash = hash_bytes(0, abs, len);
}

void ofd_set_vnode(struct ofd *o, u32 vnode)
{
	o->vnode = vnode;
	vnode_open(vnode);
}

void ofd_set_writes(struct ofd *o)
{
	u32 access = o->flags & O_ACCMODE;

	o->writes = o->kind == OFD_HOST_FILE && (access == O_WRONLY || access == O_RDWR);
	if (o->writes)
		vnode_write_begin(o->vnode);
}

/* Numbers from here on are beyond the process's limit. */
static u32 fd_limit(struct task *t)
{
	u64 soft = proc_of(t)->rlimits[RLIMIT_OF_FILES][0];

	return soft < APP_FD_MAX ? (u32)soft : APP_FD_MAX;
}

bool fd_has_room(struct task *t)
{
	u32 files = proc_of(t)->files, limit = fd_limit(t), fd = 0;

	if (FILES->heads[files].top < limit)
		return true;
	while (fd < limit && FILES->tables[files].fd[fd])
		fd++;
	return fd < limit;
}

static void fd_set(struct task *t, u32 fd, u32 ofd, u32 flags)
{
	u32 files = proc_of(t)->files;

	FILES->tables[files].fd[fd] = ofd | (flags & O_CLOEXEC ? FD_CLOEXEC_BIT : 0);
	if (fd >= FILES->heads[files].top)
		FILES->heads[files].top = fd + 1;
}

long fd_install_host(struct task *t, long fd, u32 ofd, u32 flags)
{
	if (fd >= 0 && (u64)fd >= fd_limit(t)) {
		SYS1(NR_close, fd);
		fd = -EMFILE;
	}
	if (fd < 0) {
		ofd_put(ofd_at(ofd));
		return fd;
	}
	fd_set(t, (u32)fd, ofd, flags);
	return fd;
}

static long dup_cmd(u32 flags)
{
	return flags & O_CLOEXEC ? F_DUPFD_CLOEXEC : F_DUPFD;
}

long fd_install(struct task *t, u32 ofd, u32 flags)
{
	return fd_install_host(t, SYS3(NR_fcntl, SHIM_FD_HOLDER, dup_cmd(flags), 0), ofd, flags);
}

long fd_duplicate(struct task *t, u32 fd, u32 from, u32 flags)
{
	struct ofd *o = fd_get(t, fd);

	if (!o)
		return -EBADF;
	if (from >= fd_limit(t))
		return -EINVAL;
	ofd_hold(o);
	return fd_install_host(t, SYS3(NR_fcntl, fd, dup_cmd(flags), from), ofd_index(o), flags);
}

/* Takes the number out of the books only. */
static void fd_forget(struct task *t, u32 fd)
{
	u32 files = proc_of(t)->files;
	u32 *slot = &FILES->tables[files].fd[fd];
	struct ofd *o = ofd_at(*slot & FD_OFD);

	*slot = 0;
	while (FILES->heads[files].top > 0 && !FILES->tables[files].fd[FILES->heads[files].top - 1])
		FILES->heads[files].top--;
	/* POSIX: closing any descriptor of a file drops all record locks the process has on it. */
	if (!(o->flags & O_PATH) &&
	    (o->vnode ? vnode_at(o->vnode)->locks != NULL : IPC->lock_places != NULL))
		locks_drop_files(files, o);
	if (file_ops_of(o->kind)->flush)
		file_ops_of(o->kind)->flush(t, o);
	ofd_put(o);
}

long fd_close(struct task *t, u32 fd)
{
	if (!fd_get(t, fd))
		return -EBADF;
	SYS1(NR_close, fd);
	fd_forget(t, fd);
	return 0;
}

long sys_close(struct task *t, struct frame *f)
{
	return fd_close(t, (u32)f->arg[0]);
}

long sys_dup(struct task *t, struct frame *f)
{
	return fd_duplicate(t, (u32)f->arg[0], 0, 0);
}

static long dup_onto(struct task *t, u32 old, u32 new, u32 flags)
{
	struct ofd *o = fd_get(t, old);

	if (!o || new >= fd_limit(t))
		return -EBADF;
	long r = SYS3(NR_dup3, old, new, flags & O_CLOEXEC);
	if (r < 0)
		return r;
	ofd_hold(o);
	if (fd_get(t, new))
		fd_forget(t, new);
	fd_set(t, new, ofd_index(o), flags);
	return new;
}

long sys_dup2(struct task *t, struct frame *f)
{
	u32 old = (u32)f->arg[0], new = (u32)f->arg[1];

	if (old == new)
		return fd_get(t, old) ? (long)new : -EBADF;
	return dup_onto(t, old, new, 0);
}

long sys_dup3(struct task *t, struct frame *f)
{
	u32 old = (u32)f->arg[0], new = (u32)f->arg[1], flags = (u32)f->arg[2];

	if (flags & ~(u32)O_CLOEXEC || old == new)
		return -EINVAL;
	return dup_onto(t, old, new, flags);
}

static u32 table_take(void)
{
	for (u32 i = 1; i < FDTABLES_MAX; i++) {
		if (!FILES->heads[i].refs) {
			FILES->heads[i].refs = 1;
			FILES->heads[i].top = 0;
			return i;
		}
	}
	shim_bug("no descriptor table left", 0);
}

u32 files_clone(u32 files)
{
	u32 copy = table_take(), top = FILES->heads[files].top;

	for (u32 fd = 0; fd < top; fd++) {
		u32 entry = FILES->tables[files].fd[fd];
		FILES->tables[copy].fd[fd] = entry;
		if (entry)
			ofd_hold(ofd_at(entry & FD_OFD));
	}
	FILES->heads[copy].top = top;
	return copy;
}

u32 files_share(u32 files)
{
	FILES->heads[files].refs++;
	return files;
}

void files_unshare(struct task *t)
{
	struct proc *p = proc_of(t);
	u32 old = p->files;

	if (FILES->heads[old].refs == 1)
		return;
	p->files = files_clone(old);
	FILES->heads[old].refs--;
}

void files_exec(struct task *t)
{
	files_unshare(t);
	u32 files = proc_of(t)->files;

	park_holds_drop(t->proc);
	for (u32 fd = 0; fd < FILES->heads[files].top; fd++) {
		if (FILES->tables[files].fd[fd] & FD_CLOEXEC_BIT)
			fd_forget(t, fd);
	}
}

void files_release(struct task *t)
{
	u32 files = proc_of(t)->files;

	park_holds_drop(t->proc);
	if (FILES->heads[files].refs == 1) {
		for (u32 fd = 0; fd < FILES->heads[files].top; fd++) {
			if (FILES->tables[files].fd[fd])
				fd_forget(t, fd);
		}
	}
	FILES->heads[files].refs--;
	fs_release(proc_of(t)->fs);
}

static void range_cloexec(struct task *t, u32 first, u32 last)
{
	for (u32 fd = first; fd <= last; fd++) {
		if (fd_get(t, fd)) {
			SYS3(NR_fcntl, fd, F_SETFD, FD_CLOEXEC);
			FILES->tables[proc_of(t)->files].fd[fd] |= FD_CLOEXEC_BIT;
		}
	}
}

long sys_close_range(struct task *t, struct frame *f)
{
	u32 first = (u32)f->arg[0], last = (u32)f->arg[1], flags = (u32)f->arg[2];

	if (flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC) || first > last)
		return -EINVAL;
	if (flags & CLOSE_RANGE_UNSHARE && FILES->heads[proc_of(t)->files].refs > 1) {
		/* Nothing but an unshared kernel table would fit the books. */
		long r = SYS3(NR_close_range, ~0u, ~0u, CLOSE_RANGE_UNSHARE);
		if (r < 0)
			return r;
		files_unshare(t);
	}
	u32 top = FILES->heads[proc_of(t)->files].top;
	if (!top || first >= top)
		return 0;
	if (last >= top)
		last = top - 1;
	if (flags & CLOSE_RANGE_CLOEXEC) {
		range_cloexec(t, first, last);
		return 0;
	}
	for (u32 fd = first; fd <= last; fd++)
		fd_close(t, fd);
	return 0;
}
