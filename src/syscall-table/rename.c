/*
 * rename, renameat, renameat2: the host renames, the books follow: what was replaced lost a name,
 * both directories' times move, and paths of descriptors and working directories below a renamed
 * directory are rewritten.
 */
#include <linux/fs.h>
#include "credentials.h"
#include "lookup.h"
#include "notify.h"

struct renaming {
	struct path from, to;
	struct stat from_st, to_st;
	u32 from_vnode, to_vnode; /* to_vnode 0: nothing there */
	u32 from_dir, to_dir;
	u32 flags;
};

/* Gives the string that lies at or below `old` the prefix `new` instead; true if it did. */
static bool repath(char **path, const char *old, const char *new)
{
	u64 old_len = strlen(old), new_len = strlen(new);

	if (!*path || strncmp(*path, old, old_len) || ((*path)[old_len] && (*path)[old_len] != '/'))
		return false;
	u64 rest = strlen(*path + old_len);
	char *fresh = heap_alloc(new_len + rest + 1);
	memcpy(fresh, new, new_len); /* NOLINT(bugprone-not-null-terminated-result): rest follows */
	memcpy(fresh + new_len, *path + old_len, rest + 1);
	heap_free(*path);
	*path = fresh;
	return true;
}

/* Of a description: a name that another file had before is not that of this one. */
static bool repath_ofd(struct ofd *o, u32 vnode, const char *old, const char *new)
{
	if (!o->path || o->lost_dir || (o->vnode != vnode && !strcmp(o->path, old)) ||
	    !repath(&o->path, old, new))
		return false;
	o->path_hash = hash_bytes(0, o->path, strlen(o->path));
	return true;
}

/* While files are watched paths of descriptions have no links in them, and roots never have: asked
 * before a link moves. */
static bool paths_are_real(void)
{
	return notify_on() || FILES->was_rooted;
}

static void paths_before(const struct renaming *r)
{
	if (!paths_are_real())
		return;
	path_absolute(&r->from, FILES->notify.paths.old);
	path_absolute(&r->to, FILES->notify.paths.new);
	notify_canonical(FILES->notify.paths.old);
	notify_canonical(FILES->notify.paths.new);
}

static void paths_after(const struct renaming *r)
{
	if (paths_are_real())
		return;
	path_normalise(r->from.base, r->from.name, FILES->notify.paths.old);
	path_normalise(r->to.base, r->to.name, FILES->notify.paths.new);
}

static void repath_all(const struct renaming *r)
{
	const char *old = FILES->notify.paths.old, *new = FILES->notify.paths.new;
	bool both = r->flags & RENAME_EXCHANGE;

	for (u32 i = 1; i <= FILES->ofd_used; i++) {
		struct ofd *o = ofd_at(i);
		if (o->kind != OFD_FREE && !repath_ofd(o, r->from_vnode, old, new) && both)
			repath_ofd(o, r->to_vnode, new, old);
	}
	for (u32 i = 1; i < FDTABLES_MAX; i++) {
		struct fs_info *fs = &FILES->fs[i];
		if (fs->refs && !repath(&fs->root, old, new) && both)
			repath(&fs->root, new, old);
		if (fs->refs &&
		    (repath(&fs->cwd, old, new) || (both && repath(&fs->cwd, new, old))))
			fs->cwd_hash = hash_bytes(0, fs->cwd, strlen(fs->cwd));
		/* Slots are taken lowest first: an unused one with none behind it was never used.
		 */
		if (!fs->refs && !fs->cwd_hash)
			break;
	}
}

static long sticky_check(struct task *t, u32 dir, u32 vnode)
{
	const struct vnode *d = vnode_at(dir);
	u32 uid = proc_of(t)->fsuid;

	if (!vnode || !(d->mode & S_ISVTX) || uid == d->uid || uid == vnode_at(vnode)->uid ||
	    vnode_capable(t, vnode_at(vnode), CAP_FOWNER))
		return 0;
	return -EPERM;
}

/* The target before the rename: -EEXIST with NOREPLACE. */
static long look_at_target(struct task *t, struct renaming *r)
{
	long e = lookup(t, &r->to, AT_SYMLINK_NOFOLLOW, &r->to_st, &r->to_vnode);

	if (e == -ENOENT && !(r->flags & RENAME_EXCHANGE)) {
		r->to_vnode = 0;
		return 0;
	}
	return e == 0 && r->flags & RENAME_NOREPLACE ? -EEXIST : e;
}

/* Only directories have slashes behind their names. */
static long slash_check(const struct renaming *r)
{
	bool from_dir = (r->from_st.st_mode & S_IFMT) == S_IFDIR;
	bool to_dir = r->to_vnode && (r->to_st.st_mode & S_IFMT) == S_IFDIR;
	bool to_may = r->flags & RENAME_EXCHANGE ? to_dir : from_dir;

	return (r->from.slash && !from_dir) || (r->to.slash && !to_may) ? -ENOTDIR : 0;
}

static void capture_moved(const struct path *p, const struct stat *st, u32 vnode)
{
	if ((st->st_mode & S_IFMT) == S_IFDIR)
		capture_before_move(p, st, vnode);
	else
		capture_before_change(p, st, vnode, true);
}

/* What is replaced: its bytes matter only if somebody still has it, by name or description. */
static void capture_target(const struct renaming *r)
{
	if (!r->to_vnode || r->to_vnode == r->from_vnode)
		return;
	if (r->flags & RENAME_EXCHANGE)
		capture_moved(&r->to, &r->to_st, r->to_vnode);
	else
		capture_before_change(&r->to, &r->to_st, r->to_vnode,
				      r->to_st.st_nlink > 1 || vnode_at(r->to_vnode)->opens);
}

static void capture_both(const struct renaming *r)
{
	capture_moved(&r->from, &r->from_st, r->from_vnode);
	capture_target(r);
	capture_new_place(&r->to, r->from_vnode);
	if (r->flags & RENAME_EXCHANGE)
		capture_new_place(&r->from, r->to_vnode);
}

static u32 with_type(const struct vnode *v, u32 mask)
{
	return (v->mode & S_IFMT) == S_IFDIR ? mask | IN_ISDIR : mask;
}

static void moved(u32 vnode, u32 from_dir, const struct path *from, u32 to_dir,
		  const struct path *to)
{
	const struct vnode *v = vnode_at(vnode);
	u32 cookie = notify_cookie();

	notify_entry(from_dir, from, with_type(v, IN_MOVED_FROM), cookie);
	notify_entry(to_dir, to, with_type(v, IN_MOVED_TO), cookie);
}

/* Before what was replaced is forgotten. */
static void rename_told(const struct renaming *r)
{
	if (!notify_on())
		return;
	moved(r->from_vnode, r->from_dir, &r->from, r->to_dir, &r->to);
	if (r->to_vnode && !(r->flags & RENAME_EXCHANGE))
		notify_self(r->to_vnode, with_type(vnode_at(r->to_vnode), IN_ATTRIB));
	notify_self(r->from_vnode, IN_MOVE_SELF);
	if (!r->to_vnode || !(r->flags & RENAME_EXCHANGE))
		return;
	moved(r->to_vnode, r->to_dir, &r->to, r->from_dir, &r->from);
	notify_self(r->to_vnode, IN_MOVE_SELF);
}

static void rename_books(struct renaming *r)
{
	struct vnode *from = vnode_at(r->from_vnode);

	if (r->to_vnode == r->from_vnode)
		return; /* two names of one file: rename does nothing */
	rename_told(r);
	path_moved(r->from_vnode, r->to_vnode);
	capture_named(&r->to, r->from_vnode);
	if (r->to_vnode && r->flags & RENAME_EXCHANGE)
		capture_named(&r->from, r->to_vnode);
	if (r->to_vnode && r->flags & RENAME_EXCHANGE) {
		vnode_at(r->to_vnode)->flags |= VNODE_MOVED;
		vnode_touch_meta(vnode_at(r->to_vnode));
	} else if (r->to_vnode) {
		bool kept = notify_on() && notify_name_lost(&r->to, r->to_vnode, r->to_dir);
		vnode_unlinked(r->to_vnode);
		if (notify_on() && !kept)
			notify_unnamed(r->to_vnode);
	}
	from->flags |= VNODE_MOVED;
	vnode_touch_meta(from);
	vnode_touch(vnode_at(r->from_dir));
	vnode_touch(vnode_at(r->to_dir));
	/* Files keep paths in descriptions as well: /proc/self/fd shows them. */
	if (from->opens || (from->mode & S_IFMT) == S_IFDIR || r->flags & RENAME_EXCHANGE) {
		paths_after(r);
		repath_all(r);
	}
}

static long go_to(struct task *t, const struct path *p, u32 *ret_dir)
{
	long e = lookup_parent(t, p, ret_dir);

	if (e < 0)
		return e;
	return path_search_denied(t, p, false) ? -EACCES
					       : vnode_permission(t, vnode_at(*ret_dir), 1, false);
}

/* Two names of one file are left as they are, whoever asks. */
static bool is_same(struct task *t, struct renaming *r)
{
	return r->from_vnode && !(r->flags & RENAME_NOREPLACE) &&
	       lookup(t, &r->to, AT_SYMLINK_NOFOLLOW, &r->to_st, &r->to_vnode) == 0 &&
	       r->to_vnode == r->from_vnode;
}

static long rename_run(struct task *t, struct renaming *r)
{
	/* path_in has set both. */
	/* cppcheck-suppress ctuuninitvar */
	if (r->from.special || r->to.special)
		return -EACCES;
	/* Linux goes to both directories first. */
	long e = go_to(t, &r->from, &r->from_dir);
	if (!e)
		e = go_to(t, &r->to, &r->to_dir);
	if (e < 0)
		return e;
	if (!path_is_entry(&r->from))
		return -EBUSY;
	if (!path_is_entry(&r->to))
		return r->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
	r->from_vnode = 0;
	e = lookup(t, &r->from, AT_SYMLINK_NOFOLLOW, &r->from_st, &r->from_vnode);
	if (!e)
		e = entry_change_begin(t, &r->from, &r->from_dir);
	if (!e)
		e = entry_change_begin(t, &r->to, &r->to_dir);
	if (e == -EACCES && is_same(t, r))
		return 0;
	if (!e)
		e = look_at_target(t, r);
	if (!e)
		e = slash_check(r);
	if (!e)
		e = sticky_check(t, r->from_dir, r->from_vnode);
	if (!e)
		e = sticky_check(t, r->to_dir, r->to_vnode);
	if (e)
		return e < 0 ? e : -EACCES;
	capture_both(r);
	paths_before(r);
	e = SYS5(NR_renameat2, r->from.dirfd, r->from.name, r->to.dirfd, r->to.name, r->flags);
	if (e == -ENOTEMPTY)
		capture_not_empty(&r->to, r->to_vnode);
	if (e)
		return e;
	rename_books(r);
	return 0;
}

static long rename_user(struct task *t, s32 from_fd, u64 from, s32 to_fd, u64 to, u32 flags)
{
	struct renaming r; /* big: set as it is used */

	if (flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL;
	r.flags = flags;
	long e = path_in(t, from_fd, from, PATH_ENTRY, &r.from);
	if (e < 0)
		return e;
	e = path_in(t, to_fd, to, PATH_ENTRY, &r.to);
	/* It was walked along already, which Linux does with the other one first. */
	long first = e == -ELOOP ? path_parent(&r.from, &r.from_dir) : 0;
	if (first < 0)
		e = first;
	return e < 0 ? e : rename_run(t, &r);
}

long sys_rename(struct task *t, struct frame *f)
{
	return rename_user(t, AT_FDCWD, f->arg[0], AT_FDCWD, f->arg[1], 0);
}

long sys_renameat(struct task *t, struct frame *f)
{
	return rename_user(t, (s32)f->arg[0], f->arg[1], (s32)f->arg[2], f->arg[3], 0);
}

long sys_renameat2(struct task *t, struct frame *f)
{
	return rename_user(t, (s32)f->arg[0], f->arg[1], (s32)f->arg[2], f->arg[3], (u32)f->arg[4]);
}
