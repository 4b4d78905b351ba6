/*
 * open and its relatives: which file, whether it was created, who may, and what the descriptor is.
 *
 * The host opens every regular file and directory for us, always O_NONBLOCK (a FIFO or device must
 * not hang us) and never with O_TRUNC (old contents may have to be captured first).  Whether a call
 * created a file must be known: so creation is always O_EXCL.
 */
#include <linux/openat2.h>
#include "file_kinds.h"
#include "position.h"
#include "lookup.h"
#include "notify.h"

#define HOST_OPEN_FLAGS \
	(O_ACCMODE | O_APPEND | O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC | O_LARGEFILE)
#define FLAG_TMPFILE (__O_TMPFILE)
/* What F_GETFL shows of the flags of open. */
#define SHOWN_FLAGS                                                                        \
	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_DSYNC | __O_SYNC | O_DIRECT | O_DIRECTORY | \
	 O_NOFOLLOW | O_NOATIME | O_PATH | __O_TMPFILE)

/* To the container the name is free, to the host it is not. */
#define OPENS_LOG "the program writes where its own log lies: give another -o"

struct opening {
	struct path *p;
	u32 flags, mode;
	bool created;
	u32 parent; /* vnode of the directory, if the file was created in it and it is known */
};

u32 host_mode(u32 mode)
{
	/* In a replay everything belongs to whoever replays, who must get at it again. */
	return HEAD->config.replay ? mode | 0600 : mode;
}

u32 born_vnode(struct task *t, const struct stat *st, u32 mode, u32 parent)
{
	const struct proc *p = proc_of(t);
	u32 gid = p->fsgid;

	if (parent) {
		struct vnode *dir = vnode_at(parent);
		if (dir->mode & S_ISGID) {
			gid = dir->gid;
			if ((st->st_mode & S_IFMT) == S_IFDIR)
				mode |= S_ISGID;
		}
		vnode_touch(dir);
	}
	return vnode_born(st, mode, p->fsuid, gid);
}

long entry_change_begin(struct task *t, const struct path *p, u32 *ret_parent)
{
	u32 parent;
	long r = lookup_parent(t, p, &parent);

	if (r < 0)
		return r;
	if (path_stands_in(vnode_at(parent)->dev))
		return -EACCES;
	if (path_search_denied(t, p, false))
		return -EACCES;
	r = vnode_permission(t, vnode_at(parent), 3, false);
	if (r < 0)
		return r;
	capture_before_entry(p, parent);
	*ret_parent = parent;
	return 0;
}

static long host_open(const struct opening *o, u32 extra, u32 mode)
{
	u32 flags = (o->flags & HOST_OPEN_FLAGS) | extra;

	if (!(flags & O_PATH))
		flags |= O_NONBLOCK;
	return SYS4(NR_openat, o->p->dirfd, o->p->name, flags, mode);
}

static u32 masked_mode(struct task *t, u32 mode)
{
	return mode & 07777 & ~FILES->fs[proc_of(t)->fs].umask;
}

/* With O_CREAT, what is there.  To the kernel a slash behind what a link leads to comes first. */
static long open_there(const struct opening *o)
{
	long fd = host_open(o, 0, 0);

	return fd == -ELOOP || fd == -ENOTDIR ? host_open(o, O_CREAT, 0) : fd;
}

/* With O_CREAT.  The host descriptor or an error. */
static long open_create(struct task *t, struct opening *o)
{
	u32 parent, excl = o->flags & O_EXCL;
	long fd;

	long r = path_parent(o->p, &parent);
	if (r < 0)
		return r;
	capture_parent(o->p, parent);
	if (path_stands_in(vnode_at(parent)->dev))
		return -ENOENT;
	if (path_search_denied(t, o->p, !(excl || o->flags & O_NOFOLLOW)))
		return -EACCES;
	bool denied = vnode_permission(t, vnode_at(parent), 3, false) < 0;
	u32 kept = VNODE_NOT_IMAGE | VNODE_CAPTURED;
	bool first_look = HEAD->config.capture && !(vnode_at(parent)->flags & kept);
	if (excl && (first_look || denied)) {
		struct stat st;
		u32 vnode;
		if (lookup(t, o->p, AT_SYMLINK_NOFOLLOW, &st, &vnode) == 0)
			return -EEXIST;
	} else if (first_look || denied) {
		fd = open_there(o);
		if (fd != -ENOENT)
			return fd;
	}
	if (denied)
		return -EACCES;
	capture_before_entry(o->p, parent);
	o->parent = parent;
	o->created = true;
	u32 mode = host_mode(masked_mode(t, o->mode));
	fd = host_open(o, O_CREAT | O_EXCL, mode);
	if (fd != -EEXIST || excl)
		return fd;
	o->created = false;
	fd = open_there(o);
	if (fd != -ENOENT)
		return fd;
	/* A dangling symbolic link: the file is made where it points, if that is the host's. */
	if (path_follow_special(t, o->p, 0))
		return -ENOENT;
	capture_dangling(o->p);
	o->created = true;
	o->parent = 0;
	return host_open(o, O_CREAT, mode);
}

static u32 want_of(u32 flags)
{
	static const u32 want[4] = {4, 2, 6, 6};

	return want[flags & O_ACCMODE] | (flags & O_TRUNC ? 2 : 0);
}

static long truncate_opened(struct task *t, struct opening *o, long fd, u32 vnode,
			    const struct stat *st)
{
	(void)t;
	capture_before_change(o->p, st, vnode, false);
	if (st->st_size) {
		long writable = fd;
		if ((o->flags & O_ACCMODE) == O_RDONLY)
			writable =
				SYS4(NR_openat, o->p->dirfd, o->p->name, O_WRONLY | O_CLOEXEC, 0);
		long r = writable < 0 ? writable : SYS2(NR_ftruncate, writable, 0);
		if (writable >= 0 && writable != fd)
			SYS1(NR_close, writable);
		if (r < 0)
			return r;
	}
	capture_cut(vnode);
	vnode_touch(vnode_at(vnode));
	return 0;
}

/* An existing file was opened: may the process, and what does the recording need of it. */
static long admit(struct task *t, struct opening *o, long fd, u32 vnode, const struct stat *st)
{
	const struct vnode *v = vnode_at(vnode);
	u32 type = v->mode & S_IFMT;

	if (o->flags & O_PATH) {
		capture_path(o->p, type == S_IFLNK ? CAPTURE_LINK : CAPTURE_METADATA, st, vnode);
		return 0;
	}
	if (type != S_IFREG && type != S_IFDIR && type != S_IFIFO)
		return -ENXIO;
	if (type == S_IFDIR && want_of(o->flags) & 2)
		return -EISDIR;
	if (v->open_error)
		return -(long)v->open_error;
	long r = vnode_permission(t, v, want_of(o->flags), false);
	if (r < 0) {
		capture_path(o->p, CAPTURE_METADATA, st, vnode);
		return r;
	}
	bool reads = (o->flags & O_ACCMODE) != O_WRONLY && !(o->flags & O_TRUNC);
	capture_path(o->p, type == S_IFREG && reads ? CAPTURE_CONTENT : CAPTURE_METADATA, st,
		     vnode);
	if (want_of(o->flags) & 2 && vnode_is_run(vnode))
		return -ETXTBSY;
	if (o->flags & O_TRUNC && type == S_IFREG)
		return truncate_opened(t, o, fd, vnode, st);
	return 0;
}

/* A FIFO: inside it is a pipe of ours, and nobody outside can be on its other end. */
static long install_fifo(struct task *t, struct opening *o, long fd, u32 vnode)
{
	char abs[FILE_ABS_MAX];

	if (fd >= 0)
		SYS1(NR_close, fd);
	if (!(vnode_at(vnode)->flags & VNODE_BORN_INSIDE))
		return -ENXIO;
	path_absolute(o->p, abs);
	long r = fifo_open(t, vnode, o->flags);
	if (r < 0)
		return r;
	ofd_set_path(ofd_at((u32)r), abs);
	if (notify_on())
		notify_settle(ofd_at((u32)r));
	notify_opened(ofd_at((u32)r), IN_OPEN);
	return fd_install(t, (u32)r, o->flags);
}

static u32 kind_of(u32 flags, u32 type)
{
	if (flags & O_PATH)
		return OFD_PATH;
	return type == S_IFDIR ? OFD_HOST_DIR : OFD_HOST_FILE;
}

static long open_failed(struct task *t, struct opening *o, long error);

static void opened(const struct opening *o, struct ofd *f)
{
	if (!notify_on())
		return;
	notify_settle(f);
	if (o->created)
		notify_made(f);
	notify_opened(f, IN_OPEN);
	if (!o->created && o->flags & O_TRUNC && f->kind == OFD_HOST_FILE)
		notify_changed(f, IN_MODIFY);
}

/* The host has opened it: books, checks, number. */
static long install(struct task *t, struct opening *o, long fd)
{
	char abs[FILE_ABS_MAX];
	struct stat st;
	u32 vnode;

	bool known = !o->created && lookup_again(o->p, o->flags & O_NOFOLLOW, &st);
	long r = known ? 0 : SYS2(NR_fstat, fd, &st);
	SHIM_ASSERT(r == 0);
	if (path_stands_in(st.st_dev)) {
		SYS1(NR_close, fd);
		return open_failed(t, o, -ENOENT);
	}
	if (stat_is_log(&st)) {
		SYS1(NR_close, fd);
		if (o->flags & O_CREAT)
			shim_host_failed(OPENS_LOG);
		return open_failed(t, o, -ENOENT);
	}
	if (o->created) {
		vnode = born_vnode(t, &st, masked_mode(t, o->mode), o->parent);
		if (!o->parent && st.st_nlink)
			capture_made(o->p);
	} else {
		vnode = vnode_of(&st);
		r = admit(t, o, fd, vnode, &st);
	}
	if (r < 0) {
		SYS1(NR_close, fd);
		return r;
	}
	if ((st.st_mode & S_IFMT) == S_IFIFO && !(o->flags & O_PATH))
		return install_fifo(t, o, fd, vnode);
	r = ofd_create(kind_of(o->flags, st.st_mode & S_IFMT),
		       (o->flags & SHOWN_FLAGS) | (o->flags & O_PATH ? 0 : O_LARGEFILE));
	if (r < 0) {
		SYS1(NR_close, fd);
		return r;
	}
	path_absolute(o->p, abs);
	ofd_set_path(ofd_at((u32)r), abs);
	ofd_set_vnode(ofd_at((u32)r), vnode);
	ofd_set_writes(ofd_at((u32)r));
	if (ofd_at((u32)r)->kind == OFD_HOST_FILE)
		position_opened(ofd_at((u32)r), o->flags & O_TRUNC ? 0 : (u64)st.st_size);
	opened(o, ofd_at((u32)r));
	return fd_install_host(t, fd, (u32)r, o->flags);
}

/* What runs outside is no input: only what the container itself runs may not be written. */
static long host_runs(struct task *t, const struct opening *o, u32 vnode)
{
	long r = vnode_permission(t, vnode_at(vnode), want_of(o->flags), false);

	if (!r && !vnode_is_run(vnode))
		shim_host_failed("the program writes to a file that runs outside the container");
	return r < 0 ? r : -ETXTBSY;
}

static long open_failed(struct task *t, struct opening *o, long error)
{
	struct path *p = o->p;
	struct stat st;
	u32 vnode;

	bool excl = (o->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	if (p->special) /* open_create has found out */
		return special_open(t, p->abs, o->flags, o->mode);
	if (path_search_denied(t, p, !(excl || o->flags & O_NOFOLLOW))) {
		capture_failure(p, error);
		return -EACCES;
	}
	bool nofollow = o->flags & O_NOFOLLOW || excl;
	if (error == -ENOENT && path_follow_special(t, p, nofollow ? PATH_NOFOLLOW : 0))
		return special_open(t, p->abs, o->flags, o->mode);
	if (error == -ENOENT)
		return lookup_failed(t, p, error);
	/* It is there, or something on the way is: what it is decides. */
	nofollow |= error == -EEXIST;
	long r = lookup(t, p, nofollow ? AT_SYMLINK_NOFOLLOW : 0, &st, &vnode);
	if (r == 0 && error == -ENXIO && (st.st_mode & S_IFMT) == S_IFIFO)
		return install_fifo(t, o, -1, vnode);
	if (r == 0 && error == -EACCES)
		capture_denied(p, &st, vnode, error);
	if (r == 0 && error == -ETXTBSY)
		return host_runs(t, o, vnode);
	if (r == -ENOENT && error == -EEXIST)
		shim_host_failed(OPENS_LOG);
	return error;
}

/* Files that are made have no slash behind their names; what leads there is looked at first. */
static long open_slashed(struct task *t, const struct path *p, u32 flags)
{
	u32 parent;

	long r = p->special ? 0 : lookup_parent(t, p, &parent);
	if (r < 0)
		return r;
	if (path_search_denied(t, p, false))
		return -EACCES;
	return flags & O_EXCL && !path_is_entry(p) ? -EEXIST : -EISDIR;
}

long open_path(struct task *t, struct path *p, u32 flags, u32 mode)
{
	struct opening o = {.p = p, .flags = flags, .mode = mode};
	long fd;

	if (p->slash)
		return open_slashed(t, p, flags);
	if (p->special)
		return special_open(t, p->abs, flags, mode);
	if (flags & O_PATH)
		o.flags = flags & (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if ((flags & (O_CREAT | O_DIRECTORY)) == (O_CREAT | O_DIRECTORY) &&
	    !(flags & (O_PATH | FLAG_TMPFILE)))
		return -EINVAL;
	if (o.flags & FLAG_TMPFILE) {
		if (path_search_denied(t, p, true))
			return -EACCES;
		o.created = true;
		fd = host_open(&o, O_TMPFILE, host_mode(masked_mode(t, mode)));
	} else if (o.flags & O_CREAT) {
		fd = open_create(t, &o);
	} else {
		fd = host_open(&o, 0, 0);
	}
	if (fd >= 0 && !o.created && path_search_denied(t, p, !(o.flags & O_NOFOLLOW))) {
		SYS1(NR_close, fd);
		fd = -EACCES;
	}
	return fd < 0 ? open_failed(t, &o, fd) : install(t, &o, fd);
}

static long open_within(struct task *t, s32 dirfd, u64 user, u32 flags, u32 mode, u32 resolve)
{
	struct path p;

	bool makes = flags & O_CREAT && !(flags & O_PATH);
	bool link_meant = flags & O_NOFOLLOW || (makes && flags & O_EXCL);
	u32 last = (link_meant ? PATH_NOFOLLOW : 0) | (makes ? PATH_CREATE : 0);
	long r = path_in(t, dirfd, user, last | resolve, &p);
	/* Before anything is looked for, made or emptied; a name that is none comes first. */
	if (!fd_has_room(t) && r != -EFAULT && r != -ENAMETOOLONG && r != -ENOENT)
		r = -EMFILE;
	return r < 0 ? r : open_path(t, &p, flags, mode);
}

static long open_user(struct task *t, s32 dirfd, u64 user, u32 flags, u32 mode)
{
	return open_within(t, dirfd, user, flags, mode, 0);
}

long sys_open(struct task *t, struct frame *f)
{
	return open_user(t, AT_FDCWD, f->arg[0], (u32)f->arg[1], (u32)f->arg[2]);
}

long sys_openat(struct task *t, struct frame *f)
{
	return open_user(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2], (u32)f->arg[3]);
}

long sys_creat(struct task *t, struct frame *f)
{
	return open_user(t, AT_FDCWD, f->arg[0], O_CREAT | O_WRONLY | O_TRUNC, (u32)f->arg[1]);
}

/* Everything openat2 knows; openat ignores what it does not. */
#define VALID_FLAGS                                                                             \
	(O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | __O_SYNC | \
	 O_DSYNC | FASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME |     \
	 O_CLOEXEC | O_PATH | __O_TMPFILE)
#define VALID_RESOLVE                                                                      \
	(RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | \
	 RESOLVE_IN_ROOT | RESOLVE_CACHED)
#define HOW_MAX 4096 /* a page */

/* fs/open.c, build_open_flags */
static long how_check(const struct open_how *how)
{
	u64 scopes = RESOLVE_BENEATH | RESOLVE_IN_ROOT;
	bool makes = how->flags & (O_CREAT | FLAG_TMPFILE);

	if (how->flags & ~(u64)VALID_FLAGS || how->resolve & ~(u64)VALID_RESOLVE ||
	    (how->resolve & scopes) == scopes)
		return -EINVAL;
	if (makes ? how->mode & ~07777ull : how->mode)
		return -EINVAL;
	if ((how->flags & (O_DIRECTORY | O_CREAT)) == (O_DIRECTORY | O_CREAT))
		return -EINVAL;
	if (how->flags & FLAG_TMPFILE &&
	    ((how->flags & O_TMPFILE) != O_TMPFILE || (how->flags & O_ACCMODE) == O_RDONLY))
		return -EINVAL;
	if (how->flags & O_PATH &&
	    how->flags & ~(u64)(O_DIRECTORY | O_NOFOLLOW | O_PATH | O_CLOEXEC))
		return -EINVAL;
	/* What is in no cache is EAGAIN, and we have none. */
	return how->resolve & RESOLVE_CACHED ? -EAGAIN : 0;
}

static u32 resolve_flags(u64 resolve)
{
	return (resolve & RESOLVE_NO_SYMLINKS ? PATH_NO_LINKS : 0) |
	       (resolve & RESOLVE_NO_XDEV ? PATH_NO_XDEV : 0) |
	       (resolve & RESOLVE_BENEATH ? PATH_BENEATH : 0) |
	       (resolve & RESOLVE_IN_ROOT ? PATH_IN_ROOT : 0) |
	       (resolve & RESOLVE_NO_MAGICLINKS ? PATH_NO_MAGIC : 0);
}

/* Members that we do not know must be zero. */
static long how_rest(u64 user, u64 size)
{
	char byte;

	for (u64 i = sizeof(struct open_how); i < size; i++) {
		if (user_get(byte, user + i))
			return -EFAULT;
		if (byte)
			return -E2BIG;
	}
	return 0;
}

long sys_openat2(struct task *t, struct frame *f)
{
	struct open_how how;

	if (f->arg[3] < sizeof(how))
		return -EINVAL;
	if (f->arg[3] > HOW_MAX)
		return -E2BIG;
	long r = how_rest(f->arg[2], f->arg[3]);
	if (r < 0)
		return r;
	if (user_get(how, f->arg[2]))
		return -EFAULT;
	digest_bytes(t, &how, sizeof(how));
	r = how_check(&how);
	if (r < 0)
		return r;
	r = open_within(t, (s32)f->arg[0], f->arg[1], (u32)how.flags, (u32)how.mode,
			resolve_flags(how.resolve));
	/* By restricted ways nothing of ours is reached. */
	if (r == -ENOSYS)
		HEAD->refused_count[NR_openat2]++;
	return r;
}
