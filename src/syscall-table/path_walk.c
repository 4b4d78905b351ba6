/*
 * Walking along a path link by link, where the kernel's own walk does not do: for the name that a
 * file has without links (path_real), and for a task whose root is not the container's
 * (path_rooted).
 *
 * A root of chroot(2) is the container's alone: the kernel keeps the one there is, so that every
 * name in the books, in the image and for the tracer means the same for all tasks, a replay and a
 * user without privileges included.  A path of a task with such a root is walked here, "/" and ".."
 * ending at it, and goes on as the name without links that it leads to.  Links are announced as
 * they are passed; what a name is that is not there, or no directory, the kernel says.
 *
 * openat2 with restrictions is walked here, too, and the path then opened as any.
 *
 * What /proc, /sys and /dev hold is a matter of names: from there on the walk is lexical, and links
 * are synth.c's.
 */
#include <asm/statfs.h>
#include "capture.h"

#define PATH_NAMES    (PATH_ENTRY | PATH_CREATE)
#define LINK_HOPS_MAX 40 /* as Linux: MAXSYMLINKS */

struct walk {
	const char *root; /* "/", and no ".." leads out of it; "" is the container's */
	u32 keeps;	  /* PATH_NOFOLLOW, PATH_NAMES: the last component */
	u32 hops;
	u64 dev;    /* of what was looked at last */
	u32 vnode;  /* likewise; 0: none */
	u32 type;   /* S_IFMT of done, where path_rooted has looked; 0: none that is known */
	bool slash; /* a directory is asked for */
	bool knows_root;
	bool leads;	/* path_lead: what the file systems are does not matter */
	bool dots;	/* a ".." was on the way */
	u64 inside_len; /* that much of done is something the container has made or moved; or 0 */
	long missing;	/* errno of what was looked at last, and could not be */
	u64 mount;	/* in which it began (PATH_NO_XDEV) */
	char done[FILE_ABS_MAX]; /* without links; "" is the container's root */
	char left[FILE_ABS_MAX]; /* what follows */
	char link[FILE_PATH_MAX];
};

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

static void outside_again(struct walk *w)
{
	if (strlen(w->done) < w->inside_len)
		w->inside_len = 0;
}

static bool is_at_root(const struct walk *w)
{
	return !strcmp(w->done, w->root);
}

static void step_up(struct walk *w)
{
	if (!is_at_root(w))
		drop_last(w->done);
	outside_again(w);
}

static bool append(struct walk *w, const char *name, u64 n)
{
	u64 len = strlen(w->done);

	if (len + n + 2 > FILE_PATH_MAX)
		return false;
	w->done[len] = '/';
	memcpy(w->done + len + 1, name, n);
	w->done[len + 1 + n] = '\0';
	return true;
}

/* done is a link with a target of that length, which takes its place; `rest` is left, further on.
 */
static long follow(struct walk *w, long length, const char *rest)
{
	u64 n = strlen(rest);

	w->link[length] = '\0';
	if (++w->hops > LINK_HOPS_MAX || w->keeps & PATH_NO_LINKS)
		return -ELOOP;
	if (w->link[0] == '/' && w->keeps & PATH_BENEATH)
		return -EXDEV;
	if ((u64)length + n + 1 > FILE_PATH_MAX)
		return -ENAMETOOLONG;
	memmove(w->left + length, rest, n + 1);
	memcpy(w->left, w->link, (u64)length);
	if (w->link[0] == '/')
		memcpy(w->done, w->root, strlen(w->root) + 1);
	else
		drop_last(w->done);
	outside_again(w);
	return 0;
}

static u32 slashes_of(const char *s)
{
	u32 n = 0;

	while (s[n] == '/')
		n++;
	return n;
}

/* Drops slashes in front of what is left; the length of its first component. */
static u32 component(struct walk *w)
{
	u32 slashes = slashes_of(w->left), n = 0;

	w->slash |= slashes != 0;
	memmove(w->left, w->left + slashes, strlen(w->left + slashes) + 1);
	while (w->left[n] && w->left[n] != '/')
		n++;
	return n;
}

static void pass(struct walk *w, u32 n)
{
	memmove(w->left, w->left + n, strlen(w->left + n) + 1);
}

static bool is_dot(const char *name, u32 n)
{
	return n == 1 && name[0] == '.';
}

static bool is_dots(const char *name, u32 n)
{
	return n == 2 && name[0] == '.' && name[1] == '.';
}

/* ---- the name without links ---- */

static bool is_kept(const struct walk *w, const char *rest);

/* Takes the first component of left, of n bytes.  False if it leads nowhere. */
static bool real_step(struct walk *w, u32 n)
{
	if (is_dots(w->left, n)) {
		step_up(w);
	} else if (!is_dot(w->left, n)) {
		if (!append(w, w->left, n))
			return false;
		long r = is_kept(w, w->left + n) ? 0
						 : SYS4(NR_readlinkat, AT_FDCWD, w->done, w->link,
							sizeof(w->link) - 1);
		if (r > 0)
			return follow(w, r, w->left + n) == 0;
	}
	pass(w, n);
	return true;
}

void path_real(char *abs)
{
	struct walk *w = heap_alloc_unset(sizeof(*w));
	bool leads = abs[0] == '/';
	u32 n;

	w->root = "";
	w->keeps = 0;
	w->hops = 0;
	w->inside_len = 0;
	w->slash = false;
	w->done[0] = '\0';
	memcpy(w->left, abs, strlen(abs) + 1);
	while (leads && (n = component(w)) != 0)
		leads = real_step(w, n);
	if (leads && w->done[0])
		memcpy(abs, w->done, strlen(w->done) + 1);
	heap_free(w);
}

long path_visit(const char *root, const char *start, const char *name, u32 flags,
		long (*visit)(void *arg, const char *dir), void *arg)
{
	struct walk *w = heap_alloc_unset(sizeof(*w));
	bool leads = true;
	long r = 0;
	u32 n;

	w->root = root;
	w->keeps = flags;
	w->hops = 0;
	w->inside_len = 0;
	w->slash = false;
	memcpy(w->done, start, strlen(start) + 1);
	memcpy(w->left, name, strlen(name) + 1);
	while (!r && leads && (n = component(w)) != 0) {
		r = visit(arg, w->done[0] ? w->done : "/");
		leads = !r && real_step(w, n);
	}
	heap_free(w);
	return r;
}

bool path_real_of(const char *abs, u32 vnode, char *ret)
{
	u64 len = strlen(abs);
	struct stat st;

	if (!vnode || abs[0] != '/' || len >= FILE_PATH_MAX)
		return false;
	memcpy(ret, abs, len + 1);
	path_real(ret);
	return SYS4(NR_newfstatat, AT_FDCWD, ret, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
	       vnode_find(st.st_dev, st.st_ino) == vnode;
}

/* ---- below a root ---- */

/* Whether the name that the kernel gives is that of what is open, and not one with a note behind it
 * that there is none any more. */
static bool is_name_of(const char *abs, s32 fd)
{
	static const char note[] = " (deleted)";
	u64 len = strlen(abs), n = sizeof(note) - 1;
	struct stat st, of_fd;

	if (len < n || strcmp(abs + len - n, note) != 0)
		return true;
	return SYS4(NR_newfstatat, AT_FDCWD, abs, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
	       SYS2(NR_fstat, fd, &of_fd) >= 0 && st.st_dev == of_fd.st_dev &&
	       st.st_ino == of_fd.st_ino;
}

/* The kernel alone knows where it is by now: what it was opened by may have moved.  Not by fchdir
 * and getcwd: the directory, or that of now, need not be searchable. */
long path_of_fd(s32 fd, char *ret)
{
	char link[40];
	u64 n = 0;

	if (fd == AT_FDCWD) {
		long r = SYS2(NR_getcwd, ret, FILE_PATH_MAX);
		return r < 0 ? r : ret[0] == '/' ? 0 : -ENOENT;
	}
	str_format(link, sizeof(link), &n, "thread-self/fd/%d", fd);
	long len = SYS4(NR_readlinkat, SHIM_FD_PROC, link, ret, FILE_PATH_MAX - 1);
	if (len < 0)
		return len;
	ret[len] = '\0';
	return ret[0] == '/' && is_name_of(ret, fd) ? 0 : -ENOENT;
}

/* Whether the last component, which done ends with, is meant as it is. */
static bool is_kept(const struct walk *w, const char *rest)
{
	u32 slashes = slashes_of(rest);

	if (rest[slashes])
		return false;
	return w->keeps & PATH_ENTRY || (w->keeps & PATH_NOFOLLOW && !slashes);
}

/* Whether the container has made or moved it, or what it is in. */
static bool is_inside(struct walk *w, const struct stat *st)
{
	u32 vnode = vnode_find(st->st_dev, st->st_ino);

	w->vnode = vnode;
	if (!w->inside_len && vnode && vnode_at(vnode)->flags & VNODE_NOT_IMAGE)
		w->inside_len = strlen(w->done);
	return w->inside_len;
}

/*
 * A /proc, /sys and their like that somebody has mounted there are the host's: nothing of them may
 * be seen.
 */
static void check_file_system(const char *abs)
{
	static const long kernels[] = {0x9fa0, 0x62656572, 0x27e0eb, 0x63677270, 0x1cd1};
	struct statfs fs;

	if (SYS2(NR_statfs, abs, &fs) < 0)
		return;
	for (u32 i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		if (fs.f_type == kernels[i])
			shim_host_failed(
				"the program goes into a /proc, /sys or /dev/pts of the "
				"host that is mounted below its root (chroot): unmount it");
	}
}

/* Which mount the name is in, links not followed: to be compared only.  0: it is not there. */
static u64 mount_of(const char *abs)
{
	struct statx st = {0};

	SYS5(NR_statx, AT_FDCWD, abs[0] ? abs : "/", AT_SYMLINK_NOFOLLOW, STATX_MNT_ID, &st);
	return st.stx_mnt_id;
}

/* With PATH_NO_XDEV: is done, by whatever way, where the walk began? */
static long stay(const struct walk *w)
{
	return w->keeps & PATH_NO_XDEV && mount_of(w->done) != w->mount ? -EXDEV : 0;
}

/*
 * An absolute link led to the root.  Linux compares with the root that the walk knows of, and it
 * knows none before it came by ".." or began there (nd_jump_root).
 */
static long jump(struct walk *w)
{
	long r = w->keeps & PATH_NO_XDEV && !w->knows_root ? -EXDEV : stay(w);

	w->knows_root = true;
	return r;
}

/* done has got a component: what it is.  1 if it was a link, and is followed. */
static long look(struct walk *w, const char *rest)
{
	struct stat st;
	long n;

	w->type = 0;
	w->missing = 0;
	if (path_is_special(w->done))
		return w->keeps & PATH_NO_XDEV ? -EXDEV : w->keeps & PATH_RESOLVE ? -ENOSYS : 0;
	w->missing = SYS4(NR_newfstatat, AT_FDCWD, w->done, &st, AT_SYMLINK_NOFOLLOW);
	if (w->missing < 0)
		return 0;
	n = stay(w);
	if (n < 0)
		return n;
	bool inside = is_inside(w, &st);
	if (st.st_dev != w->dev && !w->leads)
		check_file_system(w->done);
	w->dev = st.st_dev;
	w->type = st.st_mode & S_IFMT;
	if (w->type != S_IFLNK || is_kept(w, rest))
		return 0;
	n = SYS4(NR_readlinkat, AT_FDCWD, w->done, w->link, sizeof(w->link) - 1);
	if (n <= 0)
		return n ? n : -ENOENT;
	if (!inside)
		capture_passed(w->done, &st);
	w->type = S_IFDIR;
	n = follow(w, n, rest);
	if (n >= 0 && w->link[0] == '/')
		n = jump(w);
	return n < 0 ? n : 1;
}

/* Nothing is behind done but an errno, which is the kernel's to say. */
static bool is_end(const struct walk *w)
{
	return w->type != S_IFDIR && !path_is_special(w->done);
}

/* Takes the first component of left, of n bytes. */
static long rooted_step(struct walk *w, u32 n)
{
	bool dots = is_dots(w->left, n);

	w->slash = dots || is_dot(w->left, n);
	if (dots) {
		w->dots = true;
		if (w->keeps & PATH_BENEATH && is_at_root(w))
			return -EXDEV;
		if (w->type == S_IFDIR && !w->inside_len && w->done[0])
			capture_passed(w->done, NULL);
		step_up(w);
		w->type = S_IFDIR;
		w->knows_root = true;
		long r = stay(w);
		if (r < 0)
			return r;
	} else if (!w->slash) {
		if (!append(w, w->left, n))
			return -ENAMETOOLONG;
		long r = look(w, w->left + n);
		if (r)
			return r < 0 ? r : 0;
	}
	pass(w, n);
	return 0;
}

/* "." and ".." as names to be made or removed: an errno of the kernel's, too, unless it is ours. */
static bool is_no_entry(const struct walk *w, u32 n)
{
	const char *rest = w->left + n;
	bool dots = is_dots(w->left, n);

	if (dots && w->keeps & PATH_BENEATH && is_at_root(w))
		return false;
	return w->keeps & PATH_NAMES && (is_dot(w->left, n) || dots) && !rest[slashes_of(rest)];
}

/* Walks all of left, or up to where it leads nowhere. */
static long rooted_walk(struct walk *w)
{
	long r = 0;
	u32 n;

	w->type = S_IFDIR;
	while (!r && (n = component(w)) != 0 && !is_end(w) && !is_no_entry(w, n))
		r = rooted_step(w, n);
	return r;
}

/* What the walk came to, as a path from the container's root. */
static long rooted_result(const struct walk *w, struct path *p)
{
	u64 n = 0;

	if (strlen(w->done) + strlen(w->left) + 2 > FILE_PATH_MAX)
		return -ENAMETOOLONG;
	str_format(p->name, FILE_PATH_MAX, &n, "%s", w->done);
	if (w->left[0] || w->slash || !n)
		str_format(p->name, FILE_PATH_MAX, &n, "/%s", w->left);
	p->len = (u32)n;
	p->dirfd = AT_FDCWD;
	p->base = "";
	p->base_hash = 0;
	p->base_vnode = 0;
	p->special = path_is_special(w->done);
	if (p->special)
		path_normalise("", p->name, p->abs);
	return 0;
}

/* A walk begins in what the container has moved, or in what is in that: no more is of the image. */
static void look_at_start(struct walk *w)
{
	struct stat st;
	char *at = w->done;

	while (HEAD->config.capture && FILES->moved_dirs && *at && !w->inside_len) {
		char *end = strchr(at + 1, '/');
		if (end)
			*end = '\0';
		if (SYS4(NR_newfstatat, AT_FDCWD, w->done, &st, AT_SYMLINK_NOFOLLOW) >= 0)
			is_inside(w, &st);
		at += strlen(at);
		if (end)
			*end = '/';
	}
}

long path_rooted(struct path *p, const char *root, const char *start, u32 flags)
{
	struct walk *w = heap_alloc_unset(sizeof(*w));
	long r;

	w->root = root;
	w->keeps = flags;
	w->hops = 0;
	w->dev = 0;
	w->leads = false;
	w->inside_len = 0;
	w->knows_root = p->name[0] == '/' || flags & (PATH_BENEATH | PATH_IN_ROOT);
	w->mount = flags & PATH_NO_XDEV ? mount_of(start) : 0;
	w->slash = false;
	memcpy(w->done, start, strlen(start) + 1);
	memcpy(w->left, p->name, p->len + 1);
	look_at_start(w);
	/* The root is nobody's entry: the kernel says that of its own, too. */
	bool is_root = flags & PATH_NAMES && !p->name[slashes_of(p->name)];
	if (is_root)
		w->done[0] = '\0';
	r = rooted_walk(w);
	if (!r)
		r = rooted_result(w, p);
	heap_free(w);
	return r;
}

/* ---- where a path leads, for the image ---- */

/* Behind the first component of the name, if that is ".."; NULL if not. */
static const char *behind_dots(const char *name)
{
	while (name[0] == '.' && name[1] == '/')
		name += 1 + slashes_of(name + 1);
	if (!is_dots(name, 2) || (name[2] && name[2] != '/'))
		return NULL;
	return name + 2 + slashes_of(name + 2);
}

/* A directory that has been removed leads back by "..": `*name` begins behind what does. */
static long gone_start(s32 dirfd, const char **name, char *start)
{
	static const char ups[] = "../../../../../../../..";
	const char *rest = *name;
	long r = -ENOENT;

	for (u32 n = 2; r == -ENOENT && n < sizeof(ups); n += 3) {
		const char *next = behind_dots(rest);
		char way[sizeof(ups)];
		if (!next)
			break;
		rest = next;
		memcpy(way, ups, n);
		way[n] = '\0';
		long fd = SYS4(NR_openat, dirfd, way, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
		if (fd < 0)
			return fd;
		r = path_of_fd((s32)fd, start);
		SYS1(NR_close, fd);
	}
	*name = rest;
	return r;
}

#define LEAD_SALT 0xa0761d6478bd642fu

/*
 * Where it is kept what the first `n` bytes of the name lead to: as long as names lead where they
 * did, or, of where it starts alone, until directories move.  NULL: it cannot be kept.
 */
static struct known_lead *lead_slot(const struct path *p, u32 n, u64 *ret_key)
{
	bool starts = p->name[0] != '/';
	const struct vnode *base = vnode_at(p->base_vnode);
	u64 names = n ? FILES->path_generation : FILES->moved_dirs;

	if (starts &&
	    (!p->base_vnode || base->flags & VNODE_GONE || (base->mode & S_IFMT) != S_IFDIR))
		return NULL;
	u64 parts[] = {starts ? base->ino : 0, names, hash_bytes(n != 0, p->name, n)};
	*ret_key = hash_bytes(LEAD_SALT, parts, sizeof(parts)) | 1;
	return &FILES->leads[*ret_key >> 32 & (LEAD_SLOTS - 1)];
}

static bool lead_known(struct walk *w, const struct path *p, u32 n)
{
	u64 key;
	const struct known_lead *known = lead_slot(p, n, &key);

	if (!known || known->key != key)
		return false;
	memcpy(w->done, known->abs, strlen(known->abs) + 1);
	w->inside_len = known->inside_len;
	w->type = S_IFDIR;
	return true;
}

static void lead_keep(const struct walk *w, const struct path *p, u32 n)
{
	u64 key, size = strlen(w->done) + 1;
	struct known_lead *known = lead_slot(p, n, &key);

	if (!known || w->dots || w->type != S_IFDIR || path_is_special(w->done))
		return;
	heap_free(known->abs);
	*known = (struct known_lead){key, w->inside_len, heap_alloc_aside(size)};
	memcpy(known->abs, w->done, size);
}

/* Whether the walk came to a directory, from which it can go on. */
static bool has_arrived(const struct walk *w)
{
	return !w->left[0] && !is_end(w);
}

static long lead_on(struct walk *w, const char *name, u32 n)
{
	memcpy(w->left, name, n);
	w->left[n] = '\0';
	return rooted_walk(w);
}

/* To where a name starts. */
static long lead_to_start(struct walk *w, const struct path *p)
{
	w->type = S_IFDIR;
	if (p->name[0] == '/' || lead_known(w, p, 0))
		return 0;
	long r = path_of_fd(p->dirfd, w->left);
	if (r >= 0)
		r = rooted_walk(w);
	if (r >= 0 && has_arrived(w))
		lead_keep(w, p, 0);
	return r;
}

/* To the directory that the first `n` bytes of the name are. */
static long lead_to_folder(struct walk *w, const struct path *p, u32 n)
{
	if (n && lead_known(w, p, n))
		return 0;
	long r = lead_to_start(w, p);
	if (r < 0 || !has_arrived(w) || !n)
		return r;
	r = lead_on(w, p->name, n);
	if (r >= 0 && has_arrived(w))
		lead_keep(w, p, n);
	return r;
}

static long lead_from_gone(struct walk *w, const struct path *p, u32 len)
{
	const char *name = w->link;
	u64 n;

	memcpy(w->link, p->name, len);
	w->link[len] = '\0';
	long r = gone_start(p->dirfd, &name, w->left);
	if (r < 0)
		return r;
	n = strlen(w->left);
	w->dots = true;
	str_format(w->left, sizeof(w->left), &n, *name ? "/%s" : "%s", name);
	return rooted_walk(w);
}

static long lead(struct walk *w, const struct path *p, u32 len, u32 flags)
{
	u32 n = len && p->name[len - 1] == '/' ? len : path_folder_length(p->name, len);
	long r = lead_to_folder(w, p, n);

	w->keeps = flags;
	if (r == -ENOENT && p->name[0] != '/')
		return lead_from_gone(w, p, len);
	return r < 0 || !has_arrived(w) ? r : lead_on(w, p->name + n, len - n);
}

long path_lead(const struct path *p, u32 len, u32 flags, struct path_end *ret)
{
	struct walk *w = heap_alloc_aside(sizeof(*w));

	w->root = "";
	w->leads = w->knows_root = true;
	long r = lead(w, p, len, flags);
	if (r >= 0 && path_is_special(w->done))
		r = -ENOSYS;
	ret->type = w->type;
	ret->error = w->missing;
	ret->inside = w->inside_len;
	ret->vnode = w->vnode;
	ret->below_inside = w->inside_len && w->inside_len < strlen(w->done);
	ret->dots = w->dots || path_has_dots(w->left) || path_has_dots(p->name);
	memcpy(ret->abs, w->done[0] ? w->done : "/", strlen(w->done) + 1 + !w->done[0]);
	heap_free(w);
	return r;
}
