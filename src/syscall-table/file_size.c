/*
 * The size of files and their way to the disk: truncate, ftruncate, fallocate; fsync and its
 * family, which succeed at once (what the container wrote is in the host's page cache, and how long
 * the disk takes is nobody's business inside).
 */
#include <linux/falloc.h>
#include "lookup.h"
#include "notify.h"
#include "pipe.h"
#include "position.h"
#include "process.h"
#include "reopen.h"

#define FALLOC_KNOWN (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)
#define ZERO_CHUNK   0x10000u

/* By way of a link below /proc.  Of a descriptor whose file has a name, that counts; else `p` is
 * empty, and starts from the descriptor. */
static long truncate_special(struct task *t, struct path *p, struct stat *st, u32 *vnode)
{
	u32 fd;

	long r = special_target(t, p, st, vnode, &fd);
	if (r != SPECIAL_FD)
		return r;
	const struct ofd *o = fd_get(t, fd);
	if (!o->vnode)
		return LOOKUP_SPECIAL;
	r = file_has_name(t, o, p) ? 0 : path_set(t, (s32)fd, "", PATH_EMPTY_OK, p);
	*vnode = o->vnode;
	return r < 0 ? r : SYS2(NR_fstat, fd, st);
}

static long host_truncate(struct task *t, const struct path *p, s64 size)
{
	if (!p->is_empty)
		return SYS2(NR_truncate, p->name, size);
	capture_before_write(fd_get(t, (u32)p->dirfd), p->dirfd);
	long fd = host_reopen(t, t->proc, (u32)p->dirfd, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return fd;
	long r = SYS2(NR_ftruncate, fd, size);
	SYS1(NR_close, fd);
	return r;
}

static bool may_grow(struct task *t, u64 size, u64 to)
{
	return to <= size || !limits_file_size(t) || limits_file_room(t, to - 1) != 0;
}

long sys_truncate(struct task *t, struct frame *f)
{
	struct path p;
	struct stat st;
	u32 vnode;
	s64 size = (s64)f->arg[1];

	long r = path_in(t, AT_FDCWD, f->arg[0], 0, &p);
	if (!r && size < 0)
		r = -EINVAL;
	if (!r)
		r = lookup(t, &p, 0, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		r = truncate_special(t, &p, &st, &vnode);
	if (r)
		return r < 0 ? r : -EINVAL;
	struct vnode *v = vnode_at(vnode);
	if ((v->mode & S_IFMT) != S_IFREG)
		return (v->mode & S_IFMT) == S_IFDIR ? -EISDIR : -EINVAL;
	r = vnode_permission(t, v, 2, false);
	if (r < 0)
		return r;
	if (vnode_is_run(vnode))
		return -ETXTBSY;
	if (!may_grow(t, (u64)st.st_size, (u64)size))
		return -EFBIG;
	if (!p.is_empty)
		capture_before_change(&p, &st, vnode, size > 0);
	r = host_truncate(t, &p, size);
	if (!r) {
		capture_cut(vnode);
		vnode_touch(v);
		size_set(v, (u64)size);
		if (p.is_empty)
			notify_changed(fd_get(t, (u32)p.dirfd), IN_MODIFY);
		else
			notify_path(&p, 0, vnode, IN_MODIFY);
	}
	return r;
}

/* A host file opened for writing, or an errno. */
static long writable_file(struct task *t, u32 fd, struct ofd **ret)
{
	struct ofd *o = fd_get_io(t, fd);

	if (!o)
		return -EBADF;
	if (o->kind != OFD_HOST_FILE)
		return -EINVAL;
	*ret = o;
	return (o->flags & O_ACCMODE) == O_RDONLY ? -EINVAL : 0;
}

long sys_ftruncate(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0];
	struct ofd *o;
	struct stat st;

	long r = writable_file(t, fd, &o);
	if (r >= 0 && limits_file_size(t))
		r = SYS2(NR_fstat, fd, &st) < 0 || may_grow(t, (u64)st.st_size, f->arg[1]) ? 0
											   : -EFBIG;
	if (r < 0)
		return r;
	capture_before_write(o, (s32)fd);
	r = SYS2(NR_ftruncate, fd, f->arg[1]);
	if (!r) {
		vnode_touch(vnode_at(o->vnode));
		size_set(vnode_at(o->vnode), f->arg[1]);
		notify_changed(o, IN_MODIFY);
	}
	return r;
}

/* Writes zeros over what there is of the range. */
static long zero_range(u32 fd, u64 at, u64 end)
{
	u8 *zeros = heap_alloc(ZERO_CHUNK);
	long r = 0;

	while (at < end && r >= 0) {
		u64 n = end - at < ZERO_CHUNK ? end - at : ZERO_CHUNK;
		r = SYS4(NR_pwrite64, fd, zeros, n, at);
		at += n;
	}
	heap_free(zeros);
	return r < 0 ? r : 0;
}

static long allocate(struct task *t, struct vnode *v, u32 fd, u32 mode, u64 at, u64 len)
{
	struct stat st;

	long r = SYS2(NR_fstat, fd, &st);
	if (r < 0)
		return r;
	u64 size = (u64)st.st_size, end = at + len;
	if (!(mode & FALLOC_FL_KEEP_SIZE) && !may_grow(t, size, end))
		return -EFBIG;
	if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE) && at < size) {
		r = zero_range(fd, at, end < size ? end : size);
		if (r < 0)
			return r;
	}
	if (mode & FALLOC_FL_KEEP_SIZE || end <= size)
		return 0;
	r = SYS2(NR_ftruncate, fd, end);
	if (!r)
		size_set(v, end);
	return r;
}

long sys_fallocate(struct task *t, struct frame *f)
{
	u32 fd = (u32)f->arg[0], mode = (u32)f->arg[1];
	s64 at = (s64)f->arg[2], len = (s64)f->arg[3];
	struct ofd *o = fd_get_io(t, fd);

	if (!o || (o->flags & O_ACCMODE) == O_RDONLY)
		return -EBADF;
	if (at < 0 || len <= 0)
		return -EINVAL;
	bool punch = mode & FALLOC_FL_PUNCH_HOLE;
	if (mode & ~(u32)FALLOC_KNOWN || (punch && !(mode & FALLOC_FL_KEEP_SIZE)))
		return -EOPNOTSUPP;
	if (at + len < 0)
		return -EFBIG;
	if (o->kind != OFD_HOST_FILE)
		return o->kind == OFD_PIPE_WRITE || o->kind == OFD_PIPE_READ ? -ESPIPE : -ENODEV;
	capture_before_write(o, (s32)fd);
	long r = allocate(t, vnode_at(o->vnode), fd, mode, (u64)at, (u64)len);
	if (!r) {
		vnode_touch(vnode_at(o->vnode));
		notify_opened(o, IN_MODIFY);
	}
	return r;
}

/* Calls that only concern the disk or the cache: the descriptor is checked, nothing is done. */
static long disk_call(struct task *t, u32 fd, long not_a_file)
{
	struct ofd *o = fd_get_io(t, fd);

	if (!o)
		return -EBADF;
	bool file =
		o->kind == OFD_HOST_FILE || o->kind == OFD_HOST_DIR || o->kind == OFD_SYNTH_FILE;
	return file ? 0 : not_a_file;
}

long sys_fsync(struct task *t, struct frame *f)
{
	return disk_call(t, (u32)f->arg[0], -EINVAL);
}

long sys_fdatasync(struct task *t, struct frame *f)
{
	return disk_call(t, (u32)f->arg[0], -EINVAL);
}

long sys_sync(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	return 0;
}

long sys_syncfs(struct task *t, struct frame *f)
{
	return disk_call(t, (u32)f->arg[0], 0);
}

long sys_sync_file_range(struct task *t, struct frame *f)
{
	return disk_call(t, (u32)f->arg[0], -ESPIPE);
}

long sys_fadvise64(struct task *t, struct frame *f)
{
	const struct ofd *o = fd_get_io(t, (u32)f->arg[0]);

	if (!o)
		return -EBADF;
	if (is_pipe(o))
		return -ESPIPE;
	return f->arg[3] > 5 ? -EINVAL : 0;
}

long sys_readahead(struct task *t, struct frame *f)
{
	return disk_call(t, (u32)f->arg[0], -EINVAL);
}
