/*
 * Opening a program for execve, and opening again what a descriptor names.
 */
#include <asm/stat.h>
#include "lookup.h"
#include "notify.h"
#include "pty.h"

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

/* /proc/self/exe and the like: what the link says is run. */
static long exec_special(struct task *t, struct path *p)
{
	char target[FILE_PATH_MAX];

	long n = special_readlink(t, p->abs, target, sizeof(target) - 1);
	if (n < 0)
		return n == -ENOENT ? n : -EACCES;
	target[n] = '\0';
	n = path_set(t, AT_FDCWD, target, 0, p);
	return n < 0 ? n : p->special ? -EACCES : 0;
}

long file_open_exec(struct task *t, int dirfd, const char *path, int at_flags,
		    struct exec_file *ret)
{
	struct path p;
	struct stat st;
	u32 vnode;
	bool nofollow = at_flags & AT_SYMLINK_NOFOLLOW;

	long r = path_set(t, dirfd, path, at_flags & AT_EMPTY_PATH ? PATH_EMPTY_OK : 0, &p);
	if (r < 0)
		return r;
	if (p.special && (r = exec_special(t, &p)) < 0)
		return r;
	if (p.is_empty) {
		r = SYS3(NR_fcntl, dirfd, F_DUPFD_CLOEXEC, 0);
		return r < 0 ? r : exec_finish(t, &p, r, ret);
	}
	r = SYS4(NR_openat, p.dirfd, p.name,
		 O_RDONLY | O_CLOEXEC | O_NONBLOCK | (nofollow ? O_NOFOLLOW : 0), 0);
	if (r >= 0)
		return exec_finish(t, &p, r, ret);
	if (r == -EACCES && lookup(t, &p, 0, &st, &vnode) == 0) {
		capture_denied(&p, &st, vnode, r);
		return r;
	}
	return r == -ENXIO ? -EACCES : lookup_failed(t, &p, r);
}

long file_reopen(struct task *t, u32 fd, u32 flags)
{
	struct ofd *o = fd_get(t, fd);
	struct path p;
	struct stat st;
	u32 vnode;

	if (!o)
		return -ENOENT;
	if (o->kind == OFD_PTY_MASTER || o->kind == OFD_PTY_SLAVE)
		return pty_reopen(t, o, flags);
	if (o->kind == OFD_SOCKET)
		return -ENXIO;
	bool by_path = (o->kind == OFD_HOST_FILE || o->kind == OFD_HOST_DIR) && o->path &&
		       o->vnode && vnode_at(o->vnode)->nlink;
	if (!by_path)
		return fd_duplicate(t, fd, 0, flags);
	u32 stream = o->kind == OFD_HOST_FILE ? o->object : 0;
	long r = path_set(t, AT_FDCWD, o->path, 0, &p);
	/* The name may be another file's by now. */
	if (r >= 0 && (lookup(t, &p, 0, &st, &vnode) || vnode != o->vnode))
		return fd_duplicate(t, fd, 0, flags);
	if (r >= 0)
		r = open_path(t, &p, flags & ~(u32)O_NOFOLLOW, 0);
	/* /dev/stdout is stdout, where its bytes go into a file, too. */
	if (r >= 0 && stream)
		fd_get(t, (u32)r)->object = stream;
	return r;
}

long file_install_text(struct task *t, const char *abs, const char *text, u64 len, u32 flags)
{
	long fd = SYS2(NR_memfd_create, "text", flags & O_CLOEXEC ? 1 : 0);

	if (fd < 0)
		return fd;
	for (u64 done = 0; done < len;) {
		long n = SYS3(NR_write, fd, text + done, len - done);
		SHIM_ASSERT(n > 0);
		done += (u64)n;
	}
	SYS3(NR_lseek, fd, 0, 0);
	long o = ofd_create(OFD_SYNTH_FILE, flags & (O_ACCMODE | O_NONBLOCK | O_NOFOLLOW));
	if (o < 0) {
		SYS1(NR_close, fd);
		return o;
	}
	ofd_set_path(ofd_at((u32)o), abs);
	return fd_install_host(t, fd, (u32)o, flags);
}

long file_install_synth_dir(struct task *t, const char *abs, u32 flags)
{
	long o = ofd_create(OFD_SYNTH_DIR, flags & (O_NONBLOCK | O_DIRECTORY | O_NOFOLLOW));

	if (o < 0)
		return o;
	ofd_set_path(ofd_at((u32)o), abs);
	return fd_install(t, (u32)o, flags);
}
