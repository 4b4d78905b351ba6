/*
 * Opening a program for execve, and texts and directories of the shim.
 */
#include <asm/stat.h>
#include "lookup.h"
#include "notify.h"
#include "reopen.h"

/* Moves the descriptor out of the app's numbers: it must outlive the kernel's exec. */
static long move_up(long fd)
{
	long high = SYS3(NR_fcntl, fd, F_DUPFD, SHIM_FD_BASE + SHIM_FD_COUNT);

	SYS1(NR_close, fd);
	return high;
}

static long exec_admit(struct task *t, const struct path *p, const struct stat *st, u32 vnode)
{
	const struct vnode *v = vnode_at(vnode);

	if (!p->is_empty)
		capture_path(p, (v->mode & S_IFMT) == S_IFREG ? CAPTURE_CONTENT : CAPTURE_METADATA,
			     st, vnode);
	if ((v->mode & S_IFMT) != S_IFREG)
		return -EACCES;
	return vnode_permission(t, v, 1, false);
}

static long exec_finish(struct task *t, const struct path *p, long fd, struct exec_file *ret)
{
	char abs[FILE_ABS_MAX];
	struct stat st;

	SHIM_ASSERT(SYS2(NR_fstat, fd, &st) == 0);
	u32 vnode = vnode_of(&st);
	long r = exec_admit(t, p, &st, vnode);
	if (!r)
		r = vnode_run_begin(vnode);
	if (r < 0) {
		SYS1(NR_close, fd);
		return r;
	}
	fd = move_up(fd);
	if (fd < 0) {
		vnode_run_end(vnode);
		return fd;
	}
	u32 len = path_absolute(p, abs);
	if (len >= FILE_PATH_MAX)
		len = FILE_PATH_MAX - 1;
	memcpy(ret->path, abs, len);
	ret->path[len] = '\0';
	if (!p->is_empty)
		path_real(ret->path);
	ret->fd = (int)fd;
	ret->vnode = vnode;
	ret->mode = vnode_at(vnode)->mode;
	ret->uid = vnode_at(vnode)->uid;
	ret->gid = vnode_at(vnode)->gid;
	ret->size = (u64)st.st_size;
	/* Linux closes a program when it has ended; the image of it keeps it open. */
	notify_path(p, 0, vnode, IN_OPEN);
	notify_path(p, 0, vnode, IN_ACCESS);
	notify_path(p, 0, vnode, IN_CLOSE_NOWRITE);
	return 0;
}

/* The program once more, which has no name: as by a descriptor of it. */
static long exec_itself(struct task *t, struct path *p, long *ret_fd)
{
	long r = path_set(t, AT_FDCWD, "", PATH_EMPTY_OK, p);

	p->base = (const char *)proc_of(t)->exe_path;
	*ret_fd = host_reopen(t, t->proc, SHIM_FD_EXE, O_RDONLY | O_CLOEXEC);
	return *ret_fd < 0 ? *ret_fd : r;
}

/* /proc/self/exe and the like: where the link leads. */
static long exec_special(struct task *t, struct path *p, long *ret_fd)
{
	struct stat st;
	u32 vnode, fd;

	if (special_is_own_program(t, p->abs))
		return exec_itself(t, p, ret_fd);
	long r = special_target(t, p, &st, &vnode, &fd);
	if (r == SPECIAL_FD)
		return path_set(t, (s32)fd, "", PATH_EMPTY_OK, p);
	return r == LOOKUP_SPECIAL ? -EACCES : r;
}

/* What a descriptor names, whatever that was opened for: by its name, or if there is none any more
 * the host's descriptor, which becomes *ret_fd. */
static long exec_descriptor(struct task *t, struct path *p, long *ret_fd)
{
	const struct ofd *o = fd_get(t, (u32)p->dirfd);

	if (!o || !o->vnode)
		return -EACCES;
	if (!file_has_name(t, o, p)) {
		*ret_fd = host_reopen(t, t->proc, (u32)p->dirfd, O_RDONLY | O_CLOEXEC);
		return *ret_fd < 0 ? *ret_fd : 0;
	}
	return (vnode_at(o->vnode)->mode & S_IFMT) == S_IFLNK ? -ELOOP : 0;
}

static long exec_by_name(struct task *t, struct path *p, int at_flags, struct exec_file *ret)
{
	u32 nofollow = at_flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
	struct stat st;
	u32 vnode;

	long r =
		SYS4(NR_openat, p->dirfd, p->name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | nofollow, 0);
	if (r >= 0 && path_search_denied(t, p, !nofollow)) {
		SYS1(NR_close, r);
		return -EACCES;
	}
	if (r >= 0)
		return exec_finish(t, p, r, ret);
	if (r == -EACCES && lookup(t, p, 0, &st, &vnode) == 0) {
		capture_denied(p, &st, vnode, r);
		return r;
	}
	return r == -ENXIO ? -EACCES : lookup_failed(t, p, r);
}

long file_open_exec(struct task *t, int dirfd, const char *path, int at_flags,
		    struct exec_file *ret)
{
	struct path p;
	long fd = -1;

	long r = path_set(t, dirfd, path, path_flags((u32)at_flags), &p);
	if (r >= 0 && p.special)
		r = exec_special(t, &p, &fd);
	if (r >= 0 && fd < 0 && p.is_empty)
		r = exec_descriptor(t, &p, &fd);
	if (r < 0)
		return r;
	return fd >= 0 ? exec_finish(t, &p, fd, ret) : exec_by_name(t, &p, at_flags, ret);
}

long file_install_synth_dir(struct task *t, const char *abs, u32 flags)
{
	u32 kept = O_DIRECTORY | O_NOFOLLOW;
	long o = ofd_create(OFD_SYNTH_DIR, flags & O_PATH
						   ? flags & (kept | O_PATH)
						   : (flags & (kept | O_NONBLOCK)) | O_LARGEFILE);

	if (o < 0)
		return o;
	ofd_set_path(ofd_at((u32)o), abs);
	return fd_install(t, (u32)o, flags);
}
