/*
 * Which watches an event of a file concerns: those of the file, and those of the directory that has
 * its name (notify.h).
 *
 * The books have no tree of names.  So the directory of an open file is found by the path it was
 * opened by, links at its end resolved: that costs calls of the kernel, made only while something
 * is watched, and their answers are kept until the container changes links or directories.  Files
 * without a name (memfd, O_TMPFILE) have no directory.
 *
 * Two things are told earlier than by Linux: that a file is closed which is still mapped, and that
 * a program is, which is executed.
 */
#include <asm/stat.h>
#include "notify.h"

#define LINKS_MAX 40
#define PATHS	  (&FILES->notify.paths)

/* ---- where a file is ---- */

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The vnode of the directory of an absolute path, if the container knows it. */
static u32 directory_of(const char *abs)
{
	char *dir = PATHS->dir;
	struct stat st;
	u64 len = (u64)(last_component(abs) - abs);

	if (len >= FILE_PATH_MAX)
		return 0;
	memcpy(dir, abs, len);
	dir[len] = '\0';
	if (SYS4(NR_newfstatat, AT_FDCWD, dir, &st, 0) < 0)
		return 0;
	return vnode_find(st.st_dev, st.st_ino);
}

static bool leads_to(const char *abs, u32 vnode)
{
	struct stat st;

	return SYS4(NR_newfstatat, AT_FDCWD, abs, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       vnode_find(st.st_dev, st.st_ino) == vnode;
}

/* Walks along a path from PATHS->ahead to PATHS->behind. */
struct walk {
	char *behind, *ahead;
	u64 len; /* of behind */
};

static void walk_back(struct walk *w)
{
	while (w->len && w->behind[--w->len] != '/')
		;
	w->behind[w->len] = '\0';
}

/* If what is behind ends in a link: what it leads to is ahead, before `rest`.  True if so. */
static bool walk_link(struct walk *w, const char *rest)
{
	char *target = PATHS->target, *joined = PATHS->joined;
	u64 len = strlen(rest);

	long n = SYS4(NR_readlinkat, AT_FDCWD, w->behind, target, FILE_PATH_MAX - 1);
	if (n <= 0 || (u64)n + 1 + len >= FILE_ABS_MAX)
		return false;
	memcpy(joined, target, (u64)n);
	joined[n] = '/';
	memcpy(joined + n + 1, rest, len + 1); /* NOLINT(bugprone-not-null-terminated-result) */
	memcpy(w->ahead, joined, (u64)n + len + 2);
	w->len = target[0] == '/' ? 0 : w->len;
	if (target[0] != '/')
		walk_back(w);
	w->behind[w->len] = '\0';
	return true;
}

/* One component on; links are followed, the last one only if `follow`. */
static void walk_step(struct walk *w, bool follow, u32 *links)
{
	const char *name = w->ahead;
	u64 n = 0;

	while (*name == '/')
		name++;
	while (name[n] && name[n] != '/')
		n++;
	const char *rest = name + n;
	if (n == 2 && name[0] == '.' && name[1] == '.') {
		walk_back(w);
	} else if (n && !(n == 1 && name[0] == '.') && w->len + n + 2 < FILE_ABS_MAX) {
		w->behind[w->len] = '/';
		memcpy(w->behind + w->len + 1, name, n);
		w->len += n + 1;
		w->behind[w->len] = '\0';
		if ((follow || *rest) && *links < LINKS_MAX && walk_link(w, rest)) {
			++*links;
			return;
		}
	}
	memmove(w->ahead, rest, strlen(rest) + 1);
}

/* Makes an absolute path one without links. */
static void canonical(char *abs, bool follow)
{
	struct walk w = {PATHS->behind, PATHS->ahead, 0};
	u32 links = 0;

	w.behind[0] = '\0';
	memcpy(w.ahead, abs, strlen(abs) + 1);
	while (w.ahead[0])
		walk_step(&w, follow, &links);
	memcpy(abs, w.behind, w.len + 1);
}

/* The name of a file that was opened by a path, or was before it lost it. */
static void name_of(char *abs, bool follow, u32 vnode)
{
	char *behind_links = PATHS->linked;

	memcpy(behind_links, abs, strlen(abs) + 1);
	canonical(behind_links, follow);
	if (leads_to(behind_links, vnode))
		memcpy(abs, behind_links, strlen(behind_links) + 1);
	else
		canonical(abs, false);
}

static void find_place(char *abs, bool follow, u32 vnode, struct notify_place *ret)
{
	name_of(abs, follow, vnode);
	const char *name = last_component(abs);
	u64 len = strlen(name);
	if (!len || len >= sizeof(ret->name))
		return;
	memcpy(ret->name, name, len + 1);
	ret->dir = directory_of(abs);
}

/* The directory (0: none that is watched) and the name in it.  Good until the next call. */
static const struct notify_place *place_of(const char *path, bool follow, u32 vnode)
{
	struct notify_state *n = &FILES->notify;
	char *abs = PATHS->opened;
	u64 len = strlen(path);
	u64 key = hash_bytes(FILES->path_generation + n->generation, path, len);

	key = (key ^ vnode * 2 ^ follow) | 1;
	struct notify_place *place = &n->places[key >> 32 & (NOTIFY_PLACES - 1)];
	if (place->key == key)
		return place;
	*place = (struct notify_place){.key = key};
	if (len < FILE_ABS_MAX) {
		memcpy(abs, path, len + 1);
		find_place(abs, follow, vnode, place);
	}
	return place;
}

/* ---- telling ---- */

static u32 with_type(u32 vnode, u32 mask)
{
	bool dir = (vnode_at(vnode)->mode & S_IFMT) == S_IFDIR;

	return dir ? mask | IN_ISDIR : mask;
}

static void tell_all(u32 vnode, u32 mask, const char *name, u32 cookie, bool unlinked)
{
	struct inotify_watch *w, *next;

	if (!(vnode_at(vnode)->flags & VNODE_WATCHED))
		return;
	for (w = inotify_watch_next(vnode, NULL); w; w = next) {
		next = inotify_watch_next(vnode, w);
		if (w->mask & mask & IN_ALL_EVENTS && !(unlinked && w->mask & IN_EXCL_UNLINK))
			inotify_tell(w, mask, name, cookie);
	}
}

static void tell_both(const char *path, bool follow, u32 vnode, u32 mask, bool unlinked)
{
	u32 flags = vnode_at(vnode)->flags;

	mask = with_type(vnode, mask);
	if (path && !(flags & VNODE_NAMELESS)) {
		const struct notify_place *place = place_of(path, follow, vnode);
		if (place->dir)
			tell_all(place->dir, mask, place->name, 0, unlinked);
	}
	tell_all(vnode, mask, NULL, 0, unlinked);
}

void notify_settle(struct ofd *o)
{
	char *abs = PATHS->opened;

	if (!o->path)
		return;
	memcpy(abs, o->path, strlen(o->path) + 1);
	name_of(abs, !(o->flags & O_NOFOLLOW), o->vnode);
	if (strcmp(abs, o->path) != 0)
		ofd_set_path(o, abs);
}

void notify_made(const struct ofd *o)
{
	if (!o->path || vnode_at(o->vnode)->flags & VNODE_NAMELESS)
		return;
	const struct notify_place *place = place_of(o->path, !(o->flags & O_NOFOLLOW), o->vnode);
	if (place->dir)
		tell_all(place->dir, IN_CREATE, place->name, 0, false);
}

/* What goes through a FIFO is told to who watches it, but not to its directory. */
static bool is_traffic(u32 vnode, u32 mask)
{
	return mask & (IN_ACCESS | IN_MODIFY) && (vnode_at(vnode)->mode & S_IFMT) == S_IFIFO;
}

/* By its former name; what else has the number of the directory now is another one. */
static void tell_lost(const struct ofd *o, u32 mask, bool excluded)
{
	const struct vnode *dir = vnode_at(o->lost_dir);

	if (dir->ino == o->lost_ino && !is_traffic(o->vnode, mask))
		tell_all(o->lost_dir, with_type(o->vnode, mask), last_component(o->path), 0,
			 excluded);
	tell_all(o->vnode, with_type(o->vnode, mask), NULL, 0, excluded);
}

/* `excluded`: what IN_EXCL_UNLINK is about. */
static void tell_of(const struct ofd *o, u32 mask, bool excluded)
{
	const char *path = is_traffic(o->vnode, mask) ? NULL : o->path;

	if (o->lost_dir)
		tell_lost(o, mask, excluded);
	else
		tell_both(path, !(o->flags & O_NOFOLLOW), o->vnode, mask,
			  excluded && vnode_at(o->vnode)->flags & VNODE_GONE);
}

void notify_opened_now(struct ofd *o, u32 mask)
{
	/* O_PATH opens nothing. */
	if (o->vnode && o->kind != OFD_PATH)
		tell_of(o, mask, true);
}

void notify_changed_now(struct ofd *o, u32 mask)
{
	if (o->vnode)
		tell_of(o, mask, false);
}

bool notify_name_lost(const struct path *p, u32 vnode, u32 dir)
{
	char *abs = PATHS->named;
	bool found = false;

	path_absolute(p, abs);
	canonical(abs, false);
	for (u32 i = 1; i <= FILES->ofd_used; i++) {
		struct ofd *o = ofd_at(i);
		if (o->kind == OFD_FREE || o->vnode != vnode || o->lost_dir || !o->path ||
		    strcmp(o->path, abs) != 0)
			continue;
		o->lost_dir = dir;
		o->lost_ino = vnode_at(dir)->ino;
		found = true;
	}
	return found;
}

void notify_canonical(char *abs)
{
	canonical(abs, false);
}

void notify_path_now(const struct path *p, u32 at_flags, u32 vnode, u32 mask)
{
	char *abs = PATHS->named;

	path_absolute(p, abs);
	tell_both(abs, !(at_flags & AT_SYMLINK_NOFOLLOW), vnode, mask, false);
}

void notify_self_now(u32 vnode, u32 mask)
{
	tell_all(vnode, mask, NULL, 0, false);
}

void notify_entry_now(u32 dir, const struct path *p, u32 mask, u32 cookie)
{
	char *abs = PATHS->named;

	path_absolute(p, abs);
	tell_all(dir, mask, last_component(abs), cookie, false);
}

u32 notify_cookie(void)
{
	return ++FILES->notify.cookie;
}

void notify_unnamed(u32 vnode)
{
	u32 flags = vnode_at(vnode)->flags;

	if (flags & VNODE_WATCHED && flags & VNODE_GONE)
		notify_gone(vnode);
}

void notify_gone(u32 vnode)
{
	struct inotify_watch *w, *next;

	tell_all(vnode, IN_DELETE_SELF, NULL, 0, false);
	for (w = inotify_watch_next(vnode, NULL); w; w = next) {
		next = inotify_watch_next(vnode, w);
		inotify_watch_end(w);
	}
}
