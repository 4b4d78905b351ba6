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
#define OF_FILE	  (IN_ACCESS | IN_MODIFY | IN_CLOSE_WRITE | IN_CLOSE_NOWRITE | IN_OPEN)

/* ---- where a file is ---- */

static const char *last_component(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

/* The vnode of the directory of an absolute path, if the container knows it. */
static u32 directory_of(const char *abs)
{
	char dir[FILE_PATH_MAX];
	struct stat st;
	u64 len = (u64)(last_component(abs) - abs);

	if (len >= sizeof(dir))
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

/* Replaces a link by what it leads to, one step; false if it is none. */
static bool follow_link(char *abs)
{
	char target[FILE_PATH_MAX], dir[FILE_ABS_MAX];

	long n = SYS4(NR_readlinkat, AT_FDCWD, abs, target, sizeof(target) - 1);
	if (n <= 0)
		return false;
	target[n] = '\0';
	u64 len = target[0] == '/' ? 0 : (u64)(last_component(abs) - abs);
	if (len + (u64)n >= FILE_PATH_MAX)
		return false;
	memcpy(dir, abs, len);
	memcpy(dir + len, target, (u64)n + 1);
	memcpy(abs, dir, len + (u64)n + 1);
	return true;
}

/* Through links at the end of the path, if they lead to the file. */
static void follow_links(char *abs, u32 vnode)
{
	char at[FILE_ABS_MAX];

	memcpy(at, abs, strlen(abs) + 1);
	for (u32 i = 0; i < LINKS_MAX && follow_link(at); i++)
		;
	if (leads_to(at, vnode))
		memcpy(abs, at, strlen(at) + 1);
}

static bool is_dots(const char *name)
{
	return !*name || (name[0] == '.' && (!name[1] || (name[1] == '.' && !name[2])));
}

static void find_place(char *abs, bool follow, u32 vnode, struct notify_place *ret)
{
	char normal[FILE_ABS_MAX];

	if (is_dots(last_component(abs))) {
		path_normalise("", abs, normal);
		if (is_dots(last_component(normal)) || !leads_to(normal, vnode))
			return;
		memcpy(abs, normal, strlen(normal) + 1);
	} else if (follow) {
		follow_links(abs, vnode);
	}
	const char *name = last_component(abs);
	u64 len = strlen(name);
	if (len >= sizeof(ret->name))
		return;
	memcpy(ret->name, name, len + 1);
	ret->dir = directory_of(abs);
}

/* The directory (0: none that is watched) and the name in it.  Good until the next call. */
static const struct notify_place *place_of(const char *path, bool follow, u32 vnode)
{
	struct notify_state *n = &FILES->notify;
	char abs[FILE_ABS_MAX];
	u64 len = strlen(path);
	u64 key = hash_bytes(FILES->path_generation + n->generation, path, len);

	key = (key ^ vnode * 2 ^ follow) | 1;
	struct notify_place *place = &n->places[key >> 32 & (NOTIFY_PLACES - 1)];
	if (place->key == key)
		return place;
	*place = (struct notify_place){.key = key};
	if (len < sizeof(abs)) {
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

static void tell_both(const char *path, bool follow, u32 vnode, u32 mask)
{
	u32 flags = vnode_at(vnode)->flags;
	bool unlinked = mask & OF_FILE && flags & VNODE_GONE;

	mask = with_type(vnode, mask);
	if (path && !(flags & VNODE_NAMELESS)) {
		const struct notify_place *place = place_of(path, follow, vnode);
		if (place->dir)
			tell_all(place->dir, mask, place->name, 0, unlinked);
	}
	tell_all(vnode, mask, NULL, 0, unlinked);
}

void notify_made(const struct ofd *o)
{
	if (!o->path || vnode_at(o->vnode)->flags & VNODE_NAMELESS)
		return;
	const struct notify_place *place = place_of(o->path, !(o->flags & O_NOFOLLOW), o->vnode);
	if (place->dir)
		tell_all(place->dir, IN_CREATE, place->name, 0, false);
}

/* FIFOs are opened and closed, but what goes through them is told nobody. */
static bool is_silent(const struct ofd *o, u32 mask)
{
	if (o->kind == OFD_PATH)
		return !(mask & IN_ATTRIB);
	return mask & (IN_ACCESS | IN_MODIFY) && o->kind != OFD_HOST_FILE &&
	       o->kind != OFD_HOST_DIR;
}

void notify_opened_now(struct ofd *o, u32 mask)
{
	if (o->vnode && !is_silent(o, mask))
		tell_both(o->path, !(o->flags & O_NOFOLLOW), o->vnode, mask);
}

void notify_path_now(const struct path *p, u32 at_flags, u32 vnode, u32 mask)
{
	char abs[FILE_ABS_MAX];

	path_absolute(p, abs);
	tell_both(abs, !(at_flags & AT_SYMLINK_NOFOLLOW), vnode, mask);
}

void notify_self_now(u32 vnode, u32 mask)
{
	tell_all(vnode, mask, NULL, 0, false);
}

void notify_entry_now(u32 dir, const struct path *p, u32 mask, u32 cookie)
{
	char abs[FILE_ABS_MAX];

	path_absolute(p, abs);
	tell_all(dir, mask, last_component(abs), cookie, false);
}

u32 notify_cookie(void)
{
	return ++FILES->notify.cookie;
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
