/*
 * Looking paths up.  See lookup.h.
 */
#include "lookup.h"
#include "position.h"

long lookup_failed(struct task *t, const struct path *p, long error)
{
	capture_failure(p, error);
	return path_search_error(t, p, error);
}

long lookup_parent(struct task *t, const struct path *p, u32 *ret_vnode)
{
	long r = path_parent(p, ret_vnode);

	if (r < 0)
		return lookup_failed(t, p, r);
	capture_parent(p, *ret_vnode);
	return 0;
}

long lookup(struct task *t, struct path *p, u32 at_flags, struct stat *ret_st, u32 *ret_vnode)
{
	if (p->special)
		return LOOKUP_SPECIAL;
	long r = path_host_stat(p, at_flags, ret_st);
	if ((r == -ENOENT || (r == 0 && path_stands_in(ret_st->st_dev))) &&
	    path_follow_special(t, p, path_flags(at_flags)))
		return LOOKUP_SPECIAL;
	if (r >= 0 && path_search_denied(t, p, !(at_flags & AT_SYMLINK_NOFOLLOW)))
		r = -EACCES;
	if (r < 0)
		return lookup_failed(t, p, r);
	u32 v = vnode_of(ret_st);
	size_seen(vnode_at(v), (u64)ret_st->st_size);
	bool link = (ret_st->st_mode & S_IFMT) == S_IFLNK;
	bool born = vnode_at(v)->flags & VNODE_NOT_IMAGE && at_flags & AT_SYMLINK_NOFOLLOW;
	if (!p->is_empty)
		capture_path(p, link || born ? CAPTURE_LINK : CAPTURE_METADATA, ret_st, v);
	*ret_vnode = v;
	return 0;
}

long fd_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	const struct file_ops *ops = file_ops_of(o->kind);

	memset(ret, 0, sizeof(*ret));
	if (ops->stat)
		return ops->stat(t, o, fd, ret);
	/* As the kernel's anonymous inodes: eventfd, epoll. */
	ret->dev = DEV_OF_ANONYMOUS;
	ret->ino = 9;
	ret->mode = 0600;
	ret->blksize = 4096;
	ret->nlink = 1;
	return 0;
}

_Static_assert(sizeof(((struct last_look *)0)->st) == sizeof(struct stat), "of the kernel");

static u64 look_key(const struct path *p)
{
	return path_key(p) ^ path_base_key(p);
}

static void look_keep(const struct path *p, u32 at_flags, const struct stat *st)
{
	struct last_look *look = &FILES->last_look;

	if (p->is_empty || (st->st_mode & S_IFMT) != S_IFREG)
		return;
	look->event = HEAD->events;
	look->key = look_key(p);
	look->followed = !(at_flags & AT_SYMLINK_NOFOLLOW);
	memcpy(look->st, st, sizeof(look->st));
}

bool lookup_again(const struct path *p, bool nofollow, struct stat *ret_st)
{
	const struct last_look *look = &FILES->last_look;

	if (look->event + 1 != HEAD->events || (nofollow && look->followed) ||
	    look->key != look_key(p))
		return false;
	memcpy(ret_st, look->st, sizeof(look->st));
	return true;
}

long path_stat(struct task *t, struct path *p, u32 at_flags, struct vstat *ret)
{
	struct stat st = {0};
	u32 vnode = 0;

	if (p->is_empty && p->dirfd != AT_FDCWD)
		return fd_stat(t, fd_get(t, (u32)p->dirfd), (u32)p->dirfd, ret);
	long r = lookup(t, p, at_flags, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		return special_stat(t, p->abs, !(at_flags & AT_SYMLINK_NOFOLLOW), ret);
	if (r < 0)
		return r;
	look_keep(p, at_flags, &st);
	vnode_stat(vnode, &st, ret);
	return 0;
}
