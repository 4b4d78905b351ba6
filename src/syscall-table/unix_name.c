/*
 * Names of AF_UNIX sockets: paths, abstract names, and those that a socket gets by itself.
 *
 * Owns READY->unix_bound, the list of sockets a name leads to.  A path is a socket inode that the
 * host makes (mknod), so stat, ls, chmod and unlink are as for any file; which socket it leads to
 * is known by its vnode.  Sockets of the host have a vnode that no socket of the container has:
 * they are refused, named.  Abstract names never leave the container; those of different types are
 * different, as in Linux.
 */
#include <asm/stat.h>
#include "lookup.h"
#include "unix_socket.h"

#define AUTOBIND_LEN   6u /* a NUL and five digits */
#define AUTOBIND_NAMES 0x100000u

/* ---- names ---- */

static struct unix_name *name_create(const u8 *path, u32 size)
{
	struct unix_name *n = heap_alloc_unset(sizeof(*n) + size);

	n->refs = 1;
	n->len = UNIX_ADDR_MIN + size;
	n->hash = hash_bytes(0, path, size);
	memcpy(n->bytes, path, size);
	return n;
}

struct unix_name *unix_name_hold(struct unix_name *n)
{
	if (n)
		n->refs++;
	return n;
}

void unix_name_put(struct unix_name *n)
{
	if (n && !--n->refs)
		heap_free(n);
}

void unix_name_show(const struct unix_name *n, struct socket_address *ret)
{
	ret->family = AF_UNIX;
	ret->len = n ? n->len : UNIX_ADDR_MIN;
	if (n)
		memcpy(ret->bytes + UNIX_ADDR_MIN, n->bytes, n->len - UNIX_ADDR_MIN);
}

/* net/unix/af_unix.c, unix_validate_addr. */
static long address_check(const struct socket_address *a)
{
	bool good = a->len > UNIX_ADDR_MIN && a->len <= UNIX_ADDR_MIN + UNIX_PATH_MAX;

	return good && a->family == AF_UNIX ? 0 : -EINVAL;
}

static bool is_abstract(const struct socket_address *a)
{
	return a->bytes[UNIX_ADDR_MIN] == 0;
}

/* The path of an address, which need not end with a NUL; its length with one. */
static u32 path_of(const struct socket_address *a, char *ret)
{
	u32 size = a->len - UNIX_ADDR_MIN;

	memcpy(ret, a->bytes + UNIX_ADDR_MIN, size);
	ret[size] = '\0';
	return (u32)strlen(ret) + 1;
}

/* ---- who has which ---- */

static void bound_add(struct unix_socket *u, struct unix_name *n, u32 vnode)
{
	u->name = n;
	u->vnode = vnode;
	u->is_bound = true;
	u->bound_next = READY->unix_bound;
	READY->unix_bound = u;
}

void unix_unbind(struct unix_socket *u)
{
	struct unix_socket **at = &READY->unix_bound;

	if (u->is_bound) {
		while (*at != u)
			at = &(*at)->bound_next;
		*at = u->bound_next;
		vnode_close(u->vnode);
	}
	unix_name_put(u->name);
	u->name = NULL;
	u->is_bound = false;
}

static struct unix_socket *find_abstract(const u8 *name, u32 size, u32 type)
{
	struct unix_socket *u = READY->unix_bound;
	u64 hash = hash_bytes(0, name, size);

	for (; u; u = u->bound_next) {
		if (u->name->hash == hash && !u->vnode && u->s.type == type &&
		    u->name->len == UNIX_ADDR_MIN + size && memcmp(u->name->bytes, name, size) == 0)
			return u;
	}
	return NULL;
}

static struct unix_socket *find_vnode(u32 vnode)
{
	struct unix_socket *u = READY->unix_bound;

	while (u && u->vnode != vnode)
		u = u->bound_next;
	return u;
}

/* ---- bind ---- */

/* A socket inode at the path, of the socket's own mode; an open vnode. */
static long node_create(struct task *t, const char *name, u32 mode, u32 *ret_vnode)
{
	struct path p;
	struct stat st;

	long r = path_set(t, AT_FDCWD, name, PATH_ENTRY, &p);
	if (!r)
		r = node_make(t, &p, S_IFSOCK | mode);
	if (!r)
		r = lookup(t, &p, AT_SYMLINK_NOFOLLOW, &st, ret_vnode);
	if (r)
		return r == -EEXIST ? -EADDRINUSE : r;
	vnode_open(*ret_vnode);
	return 0;
}

/* What bind says of a path to a socket that has a name already. */
static long bound_already(struct task *t, const char *name)
{
	struct path p;
	struct stat st;
	u32 vnode;

	long r = path_set(t, AT_FDCWD, name, PATH_NOFOLLOW, &p);
	if (!r)
		r = lookup(t, &p, AT_SYMLINK_NOFOLLOW, &st, &vnode);
	return r ? -EINVAL : -EADDRINUSE;
}

static long bind_path(struct task *t, struct unix_socket *u, const struct socket_address *a)
{
	char name[UNIX_PATH_MAX + 1];
	u32 size = path_of(a, name), vnode;

	if (u->name)
		return bound_already(t, name);
	long r = node_create(t, name, u->s.mode, &vnode);
	if (!r)
		bound_add(u, name_create((u8 *)name, size), vnode);
	return r;
}

static long bind_abstract(struct unix_socket *u, const u8 *name, u32 size)
{
	if (u->name)
		return -EINVAL;
	if (find_abstract(name, size, u->s.type))
		return -EADDRINUSE;
	bound_add(u, name_create(name, size), 0);
	return 0;
}

/* Linux draws a random number; here it is the next one that is free. */
long unix_autobind(struct task *t, struct unix_socket *u)
{
	char name[AUTOBIND_LEN + 1] = "";
	size_t len = 0;
	long r = -EADDRINUSE;

	(void)t;
	if (u->name)
		return 0;
	for (u32 tries = 0; r == -EADDRINUSE && tries < AUTOBIND_NAMES; tries++) {
		u32 number = READY->unix_autobind++ % AUTOBIND_NAMES;
		len = 1;
		for (int shift = 16; shift >= 0; shift -= 4)
			name[len++] = "0123456789abcdef"[number >> shift & 15];
		r = bind_abstract(u, (u8 *)name, AUTOBIND_LEN);
	}
	return r == -EADDRINUSE ? -ENOSPC : r;
}

long unix_bind(struct task *t, struct socket *s, const struct socket_address *a)
{
	if (a->len == UNIX_ADDR_MIN && a->family == AF_UNIX)
		return unix_autobind(t, unix_of(s));
	long r = address_check(a);
	if (r < 0)
		return r;
	if (is_abstract(a))
		return bind_abstract(unix_of(s), a->bytes + UNIX_ADDR_MIN, a->len - UNIX_ADDR_MIN);
	return bind_path(t, unix_of(s), a);
}

/* ---- lookup ---- */

static long vnode_socket(struct task *t, u32 vnode, u32 type, struct unix_socket **ret)
{
	const struct vnode *v = vnode_at(vnode);

	if (vnode_permission(t, v, 2, false) < 0)
		return -EACCES;
	if ((v->mode & S_IFMT) != S_IFSOCK)
		return -ECONNREFUSED;
	*ret = find_vnode(vnode);
	/* Whoever listens there is outside: channels to that do not exist. */
	if (!*ret && !(v->flags & VNODE_BORN_INSIDE))
		HEAD->refused_count[NR_connect]++;
	if (!*ret)
		return -ECONNREFUSED;
	return (*ret)->s.type == type ? 0 : -EPROTOTYPE;
}

static long find_path(struct task *t, const struct socket_address *a, u32 type,
		      struct unix_socket **ret)
{
	char name[UNIX_PATH_MAX + 1];
	struct vstat special;
	struct path p;
	struct stat st;
	u32 vnode = 0;

	path_of(a, name);
	long r = path_set(t, AT_FDCWD, name, 0, &p);
	if (!r)
		r = lookup(t, &p, 0, &st, &vnode);
	if (r < 0)
		return r;
	if (r != LOOKUP_SPECIAL)
		return vnode_socket(t, vnode, type, ret);
	/* Below /proc, /sys and /dev there are no sockets. */
	r = special_stat(t, p.abs, true, &special);
	return r < 0 ? r : -ECONNREFUSED;
}

long unix_find(struct task *t, const struct socket_address *a, u32 type, struct unix_socket **ret)
{
	long r = address_check(a);

	if (r < 0)
		return r;
	if (!is_abstract(a))
		return find_path(t, a, type, ret);
	*ret = find_abstract(a->bytes + UNIX_ADDR_MIN, a->len - UNIX_ADDR_MIN, type);
	return *ret ? 0 : -ECONNREFUSED;
}
