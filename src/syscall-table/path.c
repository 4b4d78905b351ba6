/*
 * Path arguments.  See path.h.
 *
 * The kernel gets our copy, never the app's pointer: another process that shares the memory must
 * not be able to change a path between the check and the use.
 */
#include <asm/stat.h>
#include "credentials.h"
#include "notify.h"
#include "path.h"

/* Ends of a directory prefix while a path is being built or walked. */
static bool is_end(char c)
{
	return c == '\0' || c == '/';
}

static bool starts_below(const char *abs, const char *dir, u32 len)
{
	return !strncmp(abs, dir, len) && is_end(abs[len]);
}

bool path_is_special(const char *abs)
{
	if (starts_below(abs, "/proc", 5) || starts_below(abs, "/sys", 4))
		return true;
	return starts_below(abs, "/dev", 4) && !starts_below(abs, "/dev/shm", 8);
}

/* Appends the components of `name` to the normal path to[0..len). */
static u32 append_normal(char *to, u32 len, const char *name)
{
	while (*name) {
		u32 n = 0;

		while (*name == '/')
			name++;
		while (!is_end(name[n]))
			n++;
		if (n == 2 && name[0] == '.' && name[1] == '.') {
			while (len && to[--len] != '/')
				;
		} else if (n && !(n == 1 && name[0] == '.') && len + n + 2 < FILE_ABS_MAX) {
			to[len++] = '/';
			memcpy(to + len, name, n);
			len += n;
		}
		name += n;
	}
	return len;
}

u32 path_normalise(const char *base, const char *name, char *to)
{
	u32 len = name[0] == '/' ? 0 : append_normal(to, 0, base);

	len = append_normal(to, len, name);
	if (!len)
		to[len++] = '/';
	to[len] = '\0';
	return len;
}

static bool special_initial(const char *abs)
{
	return abs[0] == '/' && (abs[1] == 'p' || abs[1] == 's' || abs[1] == 'd');
}

bool path_has_dots(const char *text)
{
	for (const char *at = strchr(text, '.'); at; at = strchr(at + 1, '.')) {
		if (at[1] == '.')
			return true;
	}
	return false;
}

/* Cheap: false only if no lexical reading of the path can be special. */
static bool may_be_special(const struct path *p)
{
	const char *n = p->name;

	if (p->base[0] && special_initial(p->base))
		return true;
	if (n[0] == '/' && (special_initial(n) || n[1] == '/' || n[1] == '.'))
		return true;
	return path_has_dots(n) || (p->base[0] == '/' && !p->base[1]);
}

static long set_base(struct task *t, s32 dirfd, struct path *p)
{
	const struct fs_info *fs = &FILES->fs[proc_of(t)->fs];
	const struct ofd *o;

	if (dirfd == AT_FDCWD) {
		p->base = fs->cwd;
		p->base_hash = fs->cwd_hash;
		p->base_vnode = fs->vnode;
		return 0;
	}
	o = fd_get(t, (u32)dirfd);
	if (!o)
		return -EBADF;
	/* The kernel would take the holder of one of our objects for a directory. */
	bool named = o->kind == OFD_PATH && o->vnode; /* else a device, or a link */
	if (!p->is_empty && o->kind != OFD_HOST_DIR && !named && o->kind != OFD_SYNTH_DIR)
		return -ENOTDIR;
	p->base = o->path ? o->path : "";
	p->base_hash = o->path_hash;
	p->base_vnode = o->vnode;
	return 0;
}

/* "x/", "x/." and "x/.." mean a directory, whatever links it takes to get there. */
static bool means_directory(const char *name)
{
	const char *last = strrchr(name, '/');

	last = last ? last + 1 : name;
	return !*last || !strcmp(last, ".") || !strcmp(last, "..");
}

/* A name that leads out of one of our directories: the kernel must not start from its holder. */
static long leave_special(struct path *p)
{
	u64 len = strlen(p->abs);

	if (len >= FILE_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(p->name, p->abs, len + 1);
	p->len = (u32)len;
	p->dirfd = AT_FDCWD;
	p->base = "";
	p->base_hash = 0;
	p->base_vnode = 0;
	return 0;
}

/* Whether the path is one of ours. */
static long classify(struct path *p)
{
	u32 len = path_normalise(p->base, p->name, p->abs);

	p->special = path_is_special(p->abs);
	if (p->special && means_directory(p->name) && len + 1 < FILE_ABS_MAX)
		memcpy(p->abs + len, "/", 2);
	return !p->special && p->base[0] && path_is_special(p->base) ? leave_special(p) : 0;
}

/*
 * Step by step a program can go deeper than PATH_MAX, where a file has no name by which the image
 * could keep it.  That is refused, in a replay as in the recording.
 */
static bool is_too_deep(struct path *p)
{
	return p->base[0] && strlen(p->base) + 1 + p->len >= FILE_PATH_MAX &&
	       path_normalise(p->base, p->name, p->abs) >= FILE_PATH_MAX;
}

/* Where a relative name starts, without links ("" for the container's root); to be searched. */
static long start_of(s32 dirfd, char *ret)
{
	struct stat st;
	long r = path_of_fd(dirfd, ret);

	if (r >= 0)
		r = SYS4(NR_newfstatat, dirfd, ".", &st, 0);
	if (r >= 0 && !ret[1])
		ret[0] = '\0';
	return r;
}

/* Of a task with a root of its own. */
static long finish_rooted(struct task *t, s32 dirfd, u32 flags, struct path *p)
{
	const struct fs_info *fs = &FILES->fs[proc_of(t)->fs];
	char start[FILE_PATH_MAX];
	long r = 0;

	if (p->name[0] == '/') {
		const char *at = flags & PATH_OUTER ? "" : fs->root;
		/* What has its name now is another directory. */
		if (fs->root_vnode && vnode_at(fs->root_vnode)->flags & VNODE_GONE)
			return -ENOENT;
		return path_rooted(p, fs->root, at, flags);
	}
	r = set_base(t, dirfd, p);
	if (r < 0)
		return r;
	if (path_is_special(p->base))
		return path_rooted(p, fs->root, p->base, flags);
	r = start_of(dirfd, start);
	return r < 0 ? r : path_rooted(p, fs->root, start, flags);
}

/* With PATH_RESOLVE. */
static long finish_resolved(struct task *t, s32 dirfd, u32 flags, struct path *p)
{
	const char *root = FILES->fs[proc_of(t)->fs].root;
	bool absolute = p->name[0] == '/', scoped = flags & (PATH_BENEATH | PATH_IN_ROOT);
	char start[FILE_PATH_MAX];

	root = root ? root : "";
	if (absolute && flags & PATH_BENEATH)
		return -EXDEV;
	if (absolute && !scoped)
		return path_rooted(p, root, root, flags);
	long r = set_base(t, dirfd, p);
	if (r < 0)
		return r;
	if (path_is_special(p->base))
		return -ENOSYS;
	r = start_of(dirfd, start);
	if (r < 0)
		return r;
	return path_rooted(p, scoped ? start : root, start, flags);
}

/* Whether there were any; "/" itself is left. */
static bool drop_slashes(struct path *p)
{
	u32 len = p->len;

	while (len > 1 && p->name[len - 1] == '/')
		len--;
	bool any = len < p->len && (len > 1 || p->name[0] != '/');
	if (any) {
		p->len = len;
		p->name[len] = '\0';
	}
	return any;
}

static long finish(struct task *t, s32 dirfd, u32 flags, struct path *p)
{
	p->dirfd = dirfd;
	p->special = false;
	p->base = "";
	p->base_hash = 0;
	p->base_vnode = 0;
	p->is_empty = !p->len;
	p->slash = flags & (PATH_ENTRY | PATH_CREATE) && drop_slashes(p);
	if (p->slash)
		flags |= PATH_ENTRY;
	if (p->is_empty && !(flags & PATH_EMPTY_OK))
		return -ENOENT;
	if (flags & PATH_RESOLVE)
		return finish_resolved(t, dirfd, flags, p);
	if (!p->is_empty && FILES->fs[proc_of(t)->fs].root)
		return finish_rooted(t, dirfd, flags, p);
	if (p->name[0] != '/') {
		long r = set_base(t, dirfd, p);
		if (r < 0)
			return r;
		if (is_too_deep(p))
			return -ENAMETOOLONG;
	}
	return !p->is_empty && may_be_special(p) ? classify(p) : 0;
}

long path_in(struct task *t, s32 dirfd, u64 user, u32 flags, struct path *ret)
{
	long n = user_string_in(ret->name, user, FILE_PATH_MAX);

	if (n < 0)
		return n;
	ret->len = (u32)n;
	digest_bytes(t, ret->name, (u64)n + 1);
	return finish(t, dirfd, flags, ret);
}

long path_set(struct task *t, s32 dirfd, const char *name, u32 flags, struct path *ret)
{
	u64 n = strlen(name);

	if (n >= FILE_PATH_MAX)
		return -ENAMETOOLONG;
	memcpy(ret->name, name, n + 1);
	ret->len = (u32)n;
	return finish(t, dirfd, flags, ret);
}

/* Appends components as they are, ".." included. */
static u32 append_plain(char *to, u32 len, const char *name, const char *end)
{
	while (name < end) {
		u32 n = 0;

		while (name < end && *name == '/')
			name++;
		while (name + n < end && name[n] != '/')
			n++;
		if (n && !(n == 1 && name[0] == '.') && len + n + 2 < FILE_ABS_MAX) {
			to[len++] = '/';
			memcpy(to + len, name, n);
			len += n;
		}
		name += n;
	}
	return len;
}

u32 path_absolute_of(const struct path *p, u32 n, char *to)
{
	u32 len = 0;

	if (p->name[0] != '/') {
		len = (u32)strlen(p->base);
		memcpy(to, p->base, len);
		if (len == 1)
			len = 0;
	}
	len = append_plain(to, len, p->name, p->name + n);
	if (!len)
		to[len++] = '/';
	to[len] = '\0';
	return len;
}

u32 path_absolute(const struct path *p, char *to)
{
	return path_absolute_of(p, p->len, to);
}

u64 path_key(const struct path *p)
{
	return hash_bytes(p->base_hash, p->name, p->len);
}

static bool is_of_type(u32 vnode, u32 type)
{
	return vnode && (vnode_at(vnode)->mode & S_IFMT) == type;
}

static bool leads_on(u32 vnode)
{
	return vnode && !is_of_type(vnode, S_IFREG);
}

void path_moved(u32 vnode, u32 other)
{
	/* Names of watched files are kept without links. */
	if (leads_on(vnode) || leads_on(other) || notify_on())
		FILES->path_generation++;
	if (is_of_type(vnode, S_IFDIR) || is_of_type(other, S_IFDIR))
		FILES->moved_dirs++;
}

void path_removed(u32 mode)
{
	bool dir = (mode & S_IFMT) == S_IFDIR;

	FILES->path_generation += dir || (mode & S_IFMT) == S_IFLNK;
	FILES->removed_dirs += dir;
}

void path_linked(void)
{
	FILES->path_generation++;
	FILES->made_links++;
}

bool path_is_entry(const struct path *p)
{
	const char *last = p->name + p->len;

	while (last > p->name && last[-1] == '/')
		last--;
	u64 n = 0;
	while (last > p->name && last[-1] != '/') {
		last--;
		n++;
	}
	return n > 2 || (n && strncmp(last, "..", n) != 0);
}

bool is_log(u64 dev, u64 ino)
{
	const struct region_config *c = &HEAD->config;

	return c->log_ino && ino == c->log_ino && dev == c->log_dev;
}

bool stat_is_log(const struct stat *st)
{
	return is_log(st->st_dev, st->st_ino);
}

long path_host_stat(const struct path *p, u32 at_flags, struct stat *ret)
{
	if (p->is_empty)
		at_flags |= AT_EMPTY_PATH;
	long r = SYS4(NR_newfstatat, p->dirfd, p->name, ret, at_flags);
	return r == 0 && stat_is_log(ret) ? -ENOENT : r;
}

u32 path_folder_length(const char *name, u32 n)
{
	while (n > 1 && name[n - 1] == '/')
		n--;
	while (n && name[n - 1] != '/')
		n--;
	return n;
}

u32 path_parent_length(const struct path *p)
{
	return path_folder_length(p->name, p->len);
}

static u64 in_generation(u64 key)
{
	return key + FILES->path_generation * 0x9e3779b97f4a7c15u;
}

/* Where it is kept which directory the first n bytes of the name lead to; NULL if they need not
 * lead to the same one the next time. */
static struct known_parent *parent_slot(const struct path *p, u32 n, u64 *ret_key)
{
	if (p->name[0] != '/' && !p->base[0])
		return NULL;
	/* Nor if it may not be searched any more: where the host judges that, it is asked again. */
	*ret_key = in_generation(hash_bytes(p->base_hash, p->name, n)) + FILES->search_generation;
	return &FILES->parents[*ret_key >> 32 & (PARENT_SLOTS - 1)];
}

/* Of the first n bytes of the name. */
static long parent_stat(const struct path *p, u32 n, struct stat *ret)
{
	char prefix[FILE_PATH_MAX];

	memcpy(prefix, p->name, n);
	prefix[n] = '\0';
	return SYS4(NR_newfstatat, p->dirfd, n ? prefix : ".", ret, 0);
}

/* Its vnode without asking the host; 0: not known. */
static u32 parent_known(const struct path *p, u32 n)
{
	u64 key;

	if (!n && p->base_vnode)
		return p->base_vnode;
	const struct known_parent *known = parent_slot(p, n, &key);
	return known && known->key == key ? known->vnode : 0;
}

long path_parent(const struct path *p, u32 *ret_vnode)
{
	u32 n = path_parent_length(p);
	struct stat st;
	u64 key;

	*ret_vnode = parent_known(p, n);
	if (*ret_vnode)
		return 0;
	long r = parent_stat(p, n, &st);
	if (r < 0)
		return r;
	*ret_vnode = vnode_of(&st);
	struct known_parent *known = parent_slot(p, n, &key);
	if (known)
		*known = (struct known_parent){key, *ret_vnode};
	return 0;
}

u32 path_parent_seen(const struct path *p)
{
	u32 n = path_parent_length(p), vnode = parent_known(p, n);
	struct stat st;

	if (!vnode && parent_stat(p, n, &st) == 0)
		vnode = vnode_find(st.st_dev, st.st_ino);
	return vnode;
}

u64 path_parent_key(const struct path *p)
{
	return in_generation(hash_bytes(p->base_hash, p->name, path_parent_length(p)));
}

/* Libraries are looked for in vain again and again: the kernel is asked once a path. */
static u64 *not_special_slot(const struct path *p, u32 flags, u64 *ret_key)
{
	*ret_key = in_generation(path_key(p)) + flags;
	return &FILES->not_special[*ret_key >> 32 & (NOT_SPECIAL_SLOTS - 1)];
}

bool path_stands_in(u64 dev)
{
	return dev == HEAD->config.stand_in_dev;
}

bool path_is_link(const struct path *p)
{
	char byte;

	return SYS4(NR_readlinkat, p->dirfd, p->name, &byte, 1) > 0;
}

/* Whether a link, in the last place or on the way, may have led below /proc, /sys or /dev.
 * *ret_missing: there is no directory that could hold the last component. */
static bool may_be_led(const struct path *p, u32 flags, bool *ret_missing)
{
	u32 parent;

	*ret_missing = false;
	if (p->name[p->len - 1] == '/')
		return true;
	if (!(flags & PATH_NOFOLLOW) && path_is_link(p))
		return true;
	long r = path_parent(p, &parent);
	*ret_missing = r == -ENOENT;
	return r < 0 ? r == -ENOENT : path_stands_in(vnode_at(parent)->dev);
}

u64 path_missing_key(const struct path *p)
{
	if (!path_is_entry(p) || !path_parent_length(p) || (p->name[0] != '/' && !p->base_vnode))
		return 0;
	return (path_parent_key(p) ^ path_base_key(p)) +
	       FILES->made_generation * 0x165667b19e3779f9u;
}

static u64 *missing_slot(u64 key)
{
	return &FILES->missing[key >> 32 & (MISSING_SLOTS - 1)];
}

static bool parent_is_missing(const struct path *p)
{
	u64 key = path_missing_key(p);

	return key && *missing_slot(key) == key;
}

/* Makes p what it leads to without links, if that is special.  0, or a negative errno: that is not
 * known. */
static long walk_to_special(struct path *p, u32 flags)
{
	struct path *to = heap_alloc_unset(sizeof(*to));
	char start[FILE_PATH_MAX] = "";

	memcpy(to, p, sizeof(*to));
	long r = p->name[0] == '/' ? 0 : start_of(p->dirfd, start);
	if (r >= 0)
		r = path_rooted(to, "", start, flags);
	if (r >= 0 && to->special)
		memcpy(p, to, sizeof(*p));
	heap_free(to);
	return r;
}

bool path_follow_special(struct task *t, struct path *p, u32 flags)
{
	u64 key, *known = not_special_slot(p, flags, &key);
	bool missing = false;
	long r = 0;

	/* Of a task with a root of its own links have been followed. */
	if (*known == key || p->is_empty || FILES->fs[proc_of(t)->fs].root || parent_is_missing(p))
		return false;
	if (may_be_led(p, flags, &missing))
		r = walk_to_special(p, flags);
	if (p->special)
		return true;
	if (!missing)
		*known = key;
	else if (r >= 0 && (key = path_missing_key(p)))
		*missing_slot(key) = key;
	return false;
}
