/*
 * Opening again what a descriptor names, by way of /proc/PID/fd/N, /dev/fd/N and /dev/stdin: a new
 * description of the same object, with flags and permissions of its own.
 *
 * What has a name is opened by it.  A file of the host that has none (any more) is opened by the
 * host's own link to the descriptor, which SHIM_FD_PROC leads to.  Objects of the shim get another
 * description; those that Linux keeps in no file system that opens (sockets, eventfds...) are
 * ENXIO.
 */
#include <asm/stat.h>
#include "../shim/mm.h"
#include "file_kinds.h"
#include "lookup.h"
#include "notify.h"
#include "pipe.h"
#include "position.h"
#include "pty.h"
#include "reopen.h"
#include "tty.h"

/* What the host is told, and what F_GETFL shows besides. */
#define HOST_FLAGS (O_ACCMODE | O_APPEND | O_DIRECTORY | O_PATH | O_CLOEXEC | O_LARGEFILE)
#define SHOWN_FLAGS                                                                        \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | __O_SYNC | O_DIRECT | O_DIRECTORY | \
	 O_NOATIME | O_PATH)

struct reopening {
	struct ofd *o;
	u32 proc, fd, flags;
};

long host_reopen(struct task *t, u32 proc, u32 fd, u32 flags)
{
	char name[40];
	size_t len = 0;

	if (proc == t->proc) {
		str_format(name, sizeof(name), &len, "self");
	} else {
		upcall(UPCALL_HOST_TID, proc_at(proc)->threads, 0, 0);
		str_format(name, sizeof(name), &len, "%u", HEAD->host_tid);
	}
	str_format(name, sizeof(name), &len, "/fd/%u", fd);
	long r = SYS4(NR_openat, SHIM_FD_PROC, name, flags | O_NONBLOCK, 0);
	/* The descriptor is there: it is /proc that is not what it should be. */
	if (r == -ENOENT || r == -ESRCH)
		shim_host_failed("the host's /proc does not show our descriptors");
	return r;
}

static u32 want_of(u32 flags)
{
	static const u32 want[4] = {4, 2, 6, 6};

	return want[flags & O_ACCMODE] | (flags & O_TRUNC ? 2 : 0);
}

/* fs/namei.c, do_open and may_open. */
static long admit(struct task *t, const struct vnode *v, u32 vnode, u32 flags)
{
	u32 type = v->mode & S_IFMT, want = want_of(flags);

	if (flags & O_PATH)
		return flags & O_DIRECTORY && type != S_IFDIR ? -ENOTDIR : 0;
	if (type == S_IFDIR && (flags & O_CREAT || (want & 2 && !(flags & __O_TMPFILE))))
		return -EISDIR;
	if (type != S_IFDIR && flags & O_DIRECTORY)
		return -ENOTDIR;
	if (type == S_IFLNK)
		return -ELOOP;
	long r = vnode_permission(t, v, want, false);
	if (r < 0)
		return r;
	if (type == S_IFSOCK || flags & __O_TMPFILE)
		return type == S_IFSOCK ? -ENXIO : -ENOENT;
	return want & 2 && vnode && vnode_is_run(vnode) ? -ETXTBSY : 0;
}

/* ---- files of the host ---- */

static u32 kind_of(u32 flags, u32 type)
{
	if (flags & O_PATH)
		return OFD_PATH;
	return type == S_IFDIR ? OFD_HOST_DIR : OFD_HOST_FILE;
}

static void opened(struct ofd *o, bool truncated)
{
	if (!notify_on())
		return;
	notify_settle(o);
	notify_opened(o, IN_OPEN);
	if (truncated)
		notify_changed(o, IN_MODIFY);
}

/* The host has opened it. */
static long install(struct task *t, const struct reopening *r, long fd)
{
	u32 type = vnode_at(r->o->vnode)->mode & S_IFMT;
	bool truncated = type == S_IFREG && r->flags & O_TRUNC && !(r->flags & O_PATH);
	struct stat st;

	SHIM_ASSERT(SYS2(NR_fstat, fd, &st) == 0);
	long index = ofd_create(kind_of(r->flags, type),
				(r->flags & SHOWN_FLAGS) | (r->flags & O_PATH ? 0 : O_LARGEFILE));
	if (index < 0) {
		SYS1(NR_close, fd);
		return index;
	}
	struct ofd *o = ofd_at((u32)index);
	if (r->o->path)
		ofd_set_path(o, r->o->path);
	ofd_set_vnode(o, r->o->vnode);
	ofd_set_writes(o);
	if (truncated)
		vnode_touch(vnode_at(o->vnode));
	if (o->kind == OFD_HOST_FILE) {
		position_opened(o, (u64)st.st_size);
		o->object = r->o->object;
	}
	opened(o, truncated);
	return fd_install_host(t, fd, (u32)index, r->flags);
}

/* Whatever happens to `r->o` while an opener of the other side is awaited. */
static long reopen_fifo(struct task *t, const struct reopening *r)
{
	char path[FILE_PATH_MAX] = "";

	if (r->flags & O_DIRECT)
		return -EINVAL;
	if (r->o->path && strlen(r->o->path) < sizeof(path))
		memcpy(path, r->o->path, strlen(r->o->path) + 1);
	u32 flags = r->flags;
	long index = fifo_open(t, r->o->vnode, flags);
	if (index < 0)
		return index;
	ofd_set_path(ofd_at((u32)index), path);
	opened(ofd_at((u32)index), false);
	return fd_install(t, (u32)index, flags);
}

static long reopen_nameless(struct task *t, const struct reopening *r)
{
	const struct vnode *v = vnode_at(r->o->vnode);
	u32 type = v->mode & S_IFMT, flags = r->flags & HOST_FLAGS;

	long error = admit(t, v, r->o->vnode, r->flags);
	if (error < 0)
		return error;
	if (type == S_IFIFO && !(flags & O_PATH))
		return reopen_fifo(t, r);
	/* The kernel truncates, who may have to be asked first. */
	if (type == S_IFREG && r->flags & O_TRUNC && !(flags & O_PATH)) {
		capture_before_write(r->o, r->proc == t->proc ? (s32)r->fd : -1);
		flags |= O_TRUNC;
	}
	long fd = host_reopen(t, r->proc, r->fd, flags);
	return fd < 0 ? fd : install(t, r, fd);
}

bool file_has_name(struct task *t, const struct ofd *o, struct path *p)
{
	bool link = (vnode_at(o->vnode)->mode & S_IFMT) == S_IFLNK;
	struct path named;
	struct stat st;
	u32 vnode;

	if (!o->path || !vnode_at(o->vnode)->nlink)
		return false;
	/* The name may be another file's by now. */
	if (path_set(t, AT_FDCWD, o->path, PATH_OUTER | (link ? PATH_NOFOLLOW : 0), &named) < 0 ||
	    named.special || lookup(t, &named, link ? AT_SYMLINK_NOFOLLOW : 0, &st, &vnode) != 0 ||
	    vnode != o->vnode)
		return false;
	*p = named;
	return true;
}

/* ---- programs ---- */

static u32 program_of(u32 proc)
{
	return mm_at(proc_at(proc)->mm)->exe;
}

bool program_is_nameless(struct task *t, u32 proc)
{
	const struct ofd like = {.vnode = program_of(proc),
				 .path = (char *)proc_at(proc)->exe_path};
	struct path p;

	return like.vnode && !file_has_name(t, &like, &p);
}

long program_reopen(struct task *t, u32 proc, u32 flags)
{
	struct ofd like = {.kind = OFD_HOST_FILE,
			   .vnode = program_of(proc),
			   .path = (char *)proc_at(proc)->exe_path};

	return reopen_nameless(t, &(struct reopening){&like, proc, SHIM_FD_EXE, flags});
}

void program_stat(struct task *t, struct vstat *ret)
{
	struct stat st;

	SHIM_ASSERT(SYS2(NR_fstat, SHIM_FD_EXE, &st) == 0);
	vnode_stat(program_of(t->proc), &st, ret);
}

/* ---- what has a name ---- */

/* Of a link that is open itself (link_open) that is meant, not what it leads to. */
static long reopen_named(struct task *t, const struct reopening *r)
{
	u32 link = r->o->kind == OFD_PATH ? r->o->flags & O_NOFOLLOW : 0;

	return r->o->path ? special_open(t, r->o->path, r->flags | link, 0) : -ENXIO;
}

static long reopen_file(struct task *t, const struct reopening *r)
{
	u32 stream = r->o->kind == OFD_HOST_FILE ? r->o->object : 0;
	struct path p;

	/* O_PATH on a name of /dev, /proc or /sys. */
	if (!r->o->vnode)
		return reopen_named(t, r);
	if (!file_has_name(t, r->o, &p))
		return reopen_nameless(t, r);
	if ((vnode_at(r->o->vnode)->mode & S_IFMT) == S_IFLNK)
		return r->flags & O_PATH ? open_path(t, &p, r->flags | O_NOFOLLOW, 0) : -ELOOP;
	long fd = open_path(t, &p, r->flags, 0);
	/* /dev/stdout is stdout, where its bytes go into a file, too. */
	if (fd >= 0 && stream)
		fd_get(t, (u32)fd)->object = stream;
	return fd;
}

/* ---- objects of the shim ---- */

/* Another description of what `r` names, not yet attached to it. */
static long describe(const struct reopening *r, u32 kind)
{
	return ofd_create(kind, (r->flags & (O_ACCMODE | O_APPEND | O_NONBLOCK | O_NOATIME)) |
					O_LARGEFILE);
}

static long refuse(void)
{
	HEAD->refused_count[NR_openat]++;
	return -EACCES;
}

/* What has no directory that it is in, opened as a file of that mode and owner. */
static long admit_object(struct task *t, const struct reopening *r, u32 mode, u32 uid, u32 gid)
{
	struct vnode v = {.mode = mode, .uid = uid, .gid = gid};

	/* A name without an object behind it, which nothing could be done with. */
	if (r->flags & O_PATH)
		return refuse();
	long error = admit(t, &v, 0, r->flags);
	return !error && r->flags & O_DIRECT ? -EINVAL : error;
}

/*
 * The other side of a pipe to the outside is not here: neither can its bytes be read, nor bytes be
 * put in front of its reader.
 */
static long reopen_stdio(struct task *t, const struct reopening *r)
{
	static const u32 other[2] = {O_WRONLY, O_RDONLY};
	bool out = r->o->kind != OFD_CHANNEL_IN;
	struct vstat st = {0};

	stdio_stat(r->o->object, &st);
	long error = admit_object(t, r, st.mode, st.uid, st.gid);
	if (error < 0)
		return error;
	if ((st.mode & S_IFMT) == S_IFIFO && (r->flags & O_ACCMODE) == other[out])
		return refuse();
	long index = describe(r, r->o->kind);
	if (index < 0)
		return index;
	ofd_at((u32)index)->object = r->o->object;
	if (r->o->path)
		ofd_set_path(ofd_at((u32)index), r->o->path);
	return fd_install(t, (u32)index, r->flags);
}

static long reopen_pipe(struct task *t, const struct reopening *r)
{
	static const u32 kinds[] = {OFD_PIPE_READ, OFD_PIPE_WRITE, OFD_FIFO};
	struct pipe *p = pipe_of(r->o);

	if (p->vnode)
		return reopen_file(t, r);
	long error = admit_object(t, r, S_IFIFO | 0600, p->uid, p->gid);
	u32 mode = r->flags & O_ACCMODE;
	if (error < 0 || mode == O_ACCMODE)
		return error < 0 ? error : -EINVAL;
	long index = describe(r, kinds[mode]);
	if (index < 0)
		return index;
	pipe_attach(p, ofd_at((u32)index));
	return fd_install(t, (u32)index, r->flags);
}

static long reopen_pty(struct task *t, const struct reopening *r)
{
	return pty_reopen(t, r->o, r->flags);
}

static long reopen_queue(struct task *t, const struct reopening *r)
{
	struct vstat st = {0};

	file_ops_of(OFD_MQUEUE)->stat(t, r->o, r->fd, &st);
	long error = admit_object(t, r, st.mode, st.uid, st.gid);
	if (error < 0)
		return error;
	long index = describe(r, OFD_MQUEUE);
	if (index < 0)
		return index;
	mqueue_attach(ofd_at((u32)index), r->o);
	return fd_install(t, (u32)index, r->flags);
}

static long (*const of_kind[OFD_KIND_COUNT])(struct task *t, const struct reopening *r) = {
	[OFD_HOST_FILE] = reopen_file,	  [OFD_HOST_DIR] = reopen_file,
	[OFD_PATH] = reopen_file,	  [OFD_SYNTH_FILE] = reopen_named,
	[OFD_SYNTH_DIR] = reopen_named,	  [OFD_NULL] = reopen_named,
	[OFD_ZERO] = reopen_named,	  [OFD_FULL] = reopen_named,
	[OFD_RANDOM] = reopen_named,	  [OFD_STREAM_OUT] = reopen_stdio,
	[OFD_STREAM_NULL] = reopen_stdio, [OFD_CHANNEL_IN] = reopen_stdio,
	[OFD_PIPE_READ] = reopen_pipe,	  [OFD_PIPE_WRITE] = reopen_pipe,
	[OFD_FIFO] = reopen_pipe,	  [OFD_PTY_MASTER] = reopen_pty,
	[OFD_PTY_SLAVE] = reopen_pty,	  [OFD_MQUEUE] = reopen_queue,
};

long file_reopen(struct task *t, u32 proc, u32 fd, u32 flags)
{
	u32 index = fd < APP_FD_MAX ? FILES->tables[proc_at(proc)->files].fd[fd] & FD_OFD : 0;
	struct reopening r = {ofd_at(index), proc, fd, flags};

	if (!index)
		return -ENOENT;
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	if (flags & O_NOFOLLOW)
		return -ELOOP;
	if (of_kind[r.o->kind])
		return of_kind[r.o->kind](t, &r);
	/* Of sockets everybody may ask it, of what shares the one nameless inode only root. */
	u32 mode = r.o->kind == OFD_SOCKET ? S_IFSOCK | 0777 : 0600;
	long error = admit_object(t, &r, mode, 0, 0);
	return error < 0 && error != -EINVAL ? error : -ENXIO;
}
