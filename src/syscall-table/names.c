/*
 * Making and removing names: mkdir, mknod, symlink, link, unlink, rmdir, and readlink.
 *
 * The host carries each out; the books follow: a made file gets a fresh vnode, a removed name is
 * taken from its vnode, the directory's times move.  In a recording the directory's old listing and
 * what is destroyed are captured first.
 */
#include "credentials.h"
#include "lookup.h"
#include "notify.h"

static u32 masked_mode(struct task *t, u32 mode)
{
	return mode & ~FILES->fs[proc_of(t)->fs].umask;
}

/* For calls that change names: special names cannot be changed. */
static long name_begin(struct task *t, const struct path *p, u32 *ret_parent)
{
	return p->special ? -EACCES : entry_change_begin(t, p, ret_parent);
}

/* Slashes behind a name that is to be no directory: it is there, or it is none. */
static long slash_check(struct task *t, struct path *p)
{
	struct stat st;
	u32 vnode;

	if (!p->slash || p->special)
		return 0;
	long r = lookup(t, p, AT_SYMLINK_NOFOLLOW, &st, &vnode);
	return r == LOOKUP_SPECIAL ? 0 : r < 0 ? r : -EEXIST;
}

static long name_in(struct task *t, s32 dirfd, u64 user, struct path *p, u32 *ret_parent)
{
	long r = path_in(t, dirfd, user, PATH_ENTRY, p);

	return r < 0 ? r : name_begin(t, p, ret_parent);
}

/* The host has made `p`: its vnode. */
static void made(struct task *t, const struct path *p, u32 mode, u32 parent)
{
	struct stat st;

	if (path_host_stat(p, AT_SYMLINK_NOFOLLOW, &st) == 0)
		born_vnode(t, &st, mode, parent);
	notify_entry(parent, p, (st.st_mode & S_IFMT) == S_IFDIR ? IN_CREATE | IN_ISDIR : IN_CREATE,
		     0);
}

/* A failed creation: -EEXIST tells that something is there, which a recording must know. */
static long make_failed(struct task *t, struct path *p, long error)
{
	struct stat st;
	u32 vnode;

	if (error == -EEXIST)
		lookup(t, p, AT_SYMLINK_NOFOLLOW, &st, &vnode);
	return error;
}

/* No name can be made there: an existing one still is EEXIST, and /proc has no others. */
static long begin_failed(struct task *t, struct path *p, long error)
{
	struct vstat seen;
	struct stat st;
	u32 vnode;

	if (error == -EACCES && lookup(t, p, AT_SYMLINK_NOFOLLOW, &st, &vnode) == 0)
		return -EEXIST;
	if (p->special && special_stat(t, p->abs, false, &seen) == 0)
		return -EEXIST;
	if (p->special)
		return strncmp(p->abs, "/proc", 5) ? error : -ENOENT;
	return error;
}

static long make_dir(struct task *t, s32 dirfd, u64 user, u32 mode)
{
	struct path p;
	u32 parent;

	long r = name_in(t, dirfd, user, &p, &parent);
	if (r == -EACCES)
		return begin_failed(t, &p, r);
	if (r < 0)
		return r;
	mode = masked_mode(t, mode & 01777);
	r = SYS3(NR_mkdirat, p.dirfd, p.name, HEAD->config.replay ? mode | 0700 : mode);
	if (r < 0)
		return make_failed(t, &p, r);
	made(t, &p, mode, parent);
	FILES->made_generation++;
	return 0;
}

long sys_mkdir(struct task *t, struct frame *f)
{
	return make_dir(t, AT_FDCWD, f->arg[0], (u32)f->arg[1]);
}

long sys_mkdirat(struct task *t, struct frame *f)
{
	return make_dir(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2]);
}

long node_make(struct task *t, struct path *p, u32 mode)
{
	u32 parent, type = mode & S_IFMT;

	long r = slash_check(t, p);
	if (!r)
		r = name_begin(t, p, &parent);
	if (r < 0)
		return r == -EACCES ? begin_failed(t, p, r) : r;
	if (type == S_IFCHR || type == S_IFBLK) {
		HEAD->refused_count[NR_mknod]++;
		return -EPERM;
	}
	if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	mode = masked_mode(t, mode & 07777);
	r = SYS4(NR_mknodat, p->dirfd, p->name, host_mode(mode) | type, 0);
	if (r < 0)
		return make_failed(t, p, r);
	made(t, p, mode, parent);
	return 0;
}

static long make_node(struct task *t, s32 dirfd, u64 user, u32 mode)
{
	struct path p;
	long r = path_in(t, dirfd, user, PATH_ENTRY, &p);

	return r < 0 ? r : node_make(t, &p, mode);
}

long sys_mknod(struct task *t, struct frame *f)
{
	return make_node(t, AT_FDCWD, f->arg[0], (u32)f->arg[1]);
}

long sys_mknodat(struct task *t, struct frame *f)
{
	return make_node(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2]);
}

static long make_symlink(struct task *t, u64 user_target, s32 dirfd, u64 user)
{
	char target[FILE_PATH_MAX];
	struct path p;
	u32 parent;

	long n = user_string_in(target, user_target, sizeof(target));
	if (n < 0)
		return n;
	if (!n)
		return -ENOENT;
	digest_bytes(t, target, (u64)n + 1);
	long r = path_in(t, dirfd, user, PATH_ENTRY, &p);
	if (!r)
		r = slash_check(t, &p);
	if (r < 0)
		return r;
	r = name_begin(t, &p, &parent);
	if (r < 0)
		return r == -EACCES ? begin_failed(t, &p, r) : r;
	r = SYS3(NR_symlinkat, target, p.dirfd, p.name);
	if (r < 0)
		return make_failed(t, &p, r);
	made(t, &p, 0777, parent);
	path_linked();
	return 0;
}

long sys_symlink(struct task *t, struct frame *f)
{
	return make_symlink(t, f->arg[0], AT_FDCWD, f->arg[1]);
}

long sys_symlinkat(struct task *t, struct frame *f)
{
	return make_symlink(t, f->arg[0], (s32)f->arg[1], f->arg[2]);
}

/* What a link below /proc leads to gets a name: the way out of a file made with O_TMPFILE. */
static long link_special(struct task *t, struct path *p, struct stat *st, u32 *vnode, u32 *flags)
{
	u32 fd;

	long r = special_target(t, p, st, vnode, &fd);
	if (r != SPECIAL_FD)
		return r;
	const struct ofd *o = fd_get(t, fd);
	*vnode = o->vnode;
	if (!o->vnode)
		return LOOKUP_SPECIAL;
	p->dirfd = (s32)fd;
	p->name[0] = '\0';
	p->len = 0;
	p->is_empty = true;
	*flags = AT_EMPTY_PATH;
	return 0;
}

static long make_link(struct task *t, s32 from_fd, u64 from, s32 to_fd, u64 to, u32 flags)
{
	struct path a, b;
	struct stat st;
	u32 vnode, parent;

	if (flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
		return -EINVAL;
	u32 at_flags = flags & AT_SYMLINK_FOLLOW ? 0 : AT_SYMLINK_NOFOLLOW;
	long r = path_in(t, from_fd, from, path_flags(at_flags | (flags & AT_EMPTY_PATH)), &a);
	if (!r)
		r = lookup(t, &a, at_flags, &st, &vnode);
	if (r == LOOKUP_SPECIAL && flags & AT_SYMLINK_FOLLOW)
		r = link_special(t, &a, &st, &vnode, &flags);
	if (r)
		return r < 0 ? r : -EXDEV;
	r = path_in(t, to_fd, to, PATH_ENTRY, &b);
	if (!r)
		r = slash_check(t, &b);
	if (r < 0)
		return r;
	r = name_begin(t, &b, &parent);
	if (r < 0)
		return r == -EACCES ? begin_failed(t, &b, r) : r;
	struct vnode *v = vnode_at(vnode);
	if ((v->mode & S_IFMT) == S_IFDIR)
		return path_host_stat(&b, AT_SYMLINK_NOFOLLOW, &st) ? -EPERM
								    : make_failed(t, &b, -EEXIST);
	if (!a.is_empty)
		capture_before_change(&a, &st, vnode, true);
	r = SYS5(NR_linkat, a.dirfd, a.name, b.dirfd, b.name, flags);
	if (r < 0)
		return make_failed(t, &b, r);
	v->nlink++;
	path_moved(vnode, 0);
	v->flags = (v->flags | VNODE_MOVED) & ~(u32)(VNODE_GONE | VNODE_NAMELESS);
	capture_named(&b, vnode);
	vnode_touch_meta(v);
	vnode_touch(vnode_at(parent));
	notify_self(vnode, IN_ATTRIB);
	notify_entry(parent, &b, IN_CREATE, 0);
	return 0;
}

long sys_link(struct task *t, struct frame *f)
{
	return make_link(t, AT_FDCWD, f->arg[0], AT_FDCWD, f->arg[1], 0);
}

long sys_linkat(struct task *t, struct frame *f)
{
	return make_link(t, (s32)f->arg[0], f->arg[1], (s32)f->arg[2], f->arg[3], (u32)f->arg[4]);
}

/* In a directory with the sticky bit only its owner or the file's may remove a name. */
static long sticky_check(struct task *t, u32 parent, u32 vnode)
{
	const struct vnode *dir = vnode_at(parent), *v = vnode_at(vnode);
	u32 uid = proc_of(t)->fsuid;

	if (!(dir->mode & S_ISVTX) || uid == dir->uid || uid == v->uid ||
	    vnode_capable(t, v, CAP_FOWNER))
		return 0;
	return -EPERM;
}

static long remove_name(struct task *t, s32 dirfd, u64 user, u32 flags)
{
	struct path p;
	struct stat st = {0};
	u32 vnode = 0, parent = 0;

	if (flags & ~(u32)AT_REMOVEDIR)
		return -EINVAL;
	long r = path_in(t, dirfd, user, PATH_ENTRY, &p);
	if (!r)
		r = lookup(t, &p, AT_SYMLINK_NOFOLLOW, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		r = -EACCES;
	if (!r && p.slash && (st.st_mode & S_IFMT) != S_IFDIR)
		r = -ENOTDIR;
	if (!r)
		r = entry_change_begin(t, &p, &parent);
	if (!r)
		r = sticky_check(t, parent, vnode);
	if (r < 0)
		return r;
	/* The bytes of a file that nobody read and that has no other name are gone unseen. */
	bool seen = st.st_nlink > 1 || vnode_at(vnode)->opens;
	capture_before_change(&p, &st, vnode, seen && (st.st_mode & S_IFMT) == S_IFREG);
	r = SYS3(NR_unlinkat, p.dirfd, p.name, flags);
	if (r == -ENOTEMPTY)
		capture_not_empty(&p, vnode);
	if (r < 0)
		return r;
	path_removed(st.st_mode);
	bool dir = (st.st_mode & S_IFMT) == S_IFDIR;
	if (!dir)
		notify_self(vnode, IN_ATTRIB);
	bool kept = notify_on() && notify_name_lost(&p, vnode, parent);
	vnode_unlinked(vnode);
	if (notify_on() && !kept)
		notify_unnamed(vnode);
	vnode_touch(vnode_at(parent));
	notify_entry(parent, &p, dir ? IN_DELETE | IN_ISDIR : IN_DELETE, 0);
	return 0;
}

long sys_unlink(struct task *t, struct frame *f)
{
	return remove_name(t, AT_FDCWD, f->arg[0], 0);
}

long sys_rmdir(struct task *t, struct frame *f)
{
	return remove_name(t, AT_FDCWD, f->arg[0], AT_REMOVEDIR);
}

long sys_unlinkat(struct task *t, struct frame *f)
{
	return remove_name(t, (s32)f->arg[0], f->arg[1], (u32)f->arg[2]);
}

/* A link of /proc that is open itself (link_open); what else has no vnode is no link. */
static long open_link_of(struct task *t, const struct ofd *o, char *to, u32 size)
{
	long r = special_readlink(t, o->path, to, size);

	return r == -EINVAL ? -ENOENT : r;
}

static long link_of(struct task *t, struct path *p, char *to, u32 size)
{
	const struct ofd *o = p->is_empty ? fd_get(t, (u32)p->dirfd) : NULL;
	struct stat st;
	u32 vnode;

	if (o && o->kind == OFD_PATH && !o->vnode)
		return open_link_of(t, o, to, size);
	long r = lookup(t, p, AT_SYMLINK_NOFOLLOW, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		return special_readlink(t, p->abs, to, size);
	return r ? r : SYS4(NR_readlinkat, p->dirfd, p->name, to, size);
}

static long read_link(struct task *t, s32 dirfd, u64 user, u64 out, s64 size)
{
	struct path p;
	char target[FILE_PATH_MAX];

	if (size <= 0)
		return -EINVAL;
	long r = path_in(t, dirfd, user, PATH_EMPTY_OK | PATH_NOFOLLOW, &p);
	if (r < 0)
		return r;
	if (p.is_empty && p.dirfd == AT_FDCWD)
		return -ENOENT;
	r = link_of(t, &p, target, sizeof(target));
	if (r < 0)
		return r;
	if (r > size)
		r = size;
	digest_bytes(t, target, (u64)r);
	return user_copy_out(out, target, (u64)r) ? -EFAULT : r;
}

long sys_readlink(struct task *t, struct frame *f)
{
	return read_link(t, AT_FDCWD, f->arg[0], f->arg[1], (s32)f->arg[2]);
}

long sys_readlinkat(struct task *t, struct frame *f)
{
	return read_link(t, (s32)f->arg[0], f->arg[1], f->arg[2], (s32)f->arg[3]);
}
