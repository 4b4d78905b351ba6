/*
 * Purpose: canonical paths, and each path into the image once.
 * Owns: the set of paths recorded, and the resolved form of directories by the text they were
 * named with.
 * Invariants: an entry's path has no symlink before its last component at the time of the walk; of
 * a path, entries of one class only are recorded, each stronger than the one before; nothing
 * at or below a path recorded as absent is recorded.
 */
#include "image_walk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "keymap.h"

/* As the kernel: more links than this are a loop. */
#define LINKS_MAX 40

#define DIRECTORY_BYTES 4096 /* as vnode_stat */

enum seen_class { SEEN_ABSENT = 1, SEEN_LINK, SEEN_DIR, SEEN_FILE };

struct image_walk {
	struct image_sink *sink;
	image_asks_fn inside, changed;
	struct keymap *seen;	    /* canonical path to class << 8 | kind */
	struct keymap *folders;	    /* path as it was named to an offset in `canonical` */
	struct evlog_buf canonical; /* strings, NUL-ended */
};

/* A walk under way: `place` is done, `rest` is still to go. */
struct way {
	struct image_place *place;
	char rest[2 * EVLOG_PATH_MAX + 2];
	int links;
};

int image_walk_create(struct image_sink *sink, image_asks_fn inside, image_asks_fn changed,
		      struct image_walk **ret_walk)
{
	struct image_walk *walk = calloc(1, sizeof(*walk));

	if (!walk)
		return -ENOMEM;
	walk->sink = sink;
	walk->inside = inside;
	walk->changed = changed;
	if (keymap_create(&walk->seen) || keymap_create(&walk->folders)) {
		image_walk_destroy(walk);
		return -ENOMEM;
	}
	*ret_walk = walk;
	return 0;
}

void image_walk_destroy(struct image_walk *walk)
{
	if (!walk)
		return;
	keymap_destroy(walk->seen);
	keymap_destroy(walk->folders);
	evlog_buf_finish(&walk->canonical);
	free(walk);
}

bool image_walk_error_is_of_path(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EACCES || error == -ELOOP ||
	       error == -ENAMETOOLONG || error == -EPERM;
}

static unsigned int seen_value(enum image_kind kind, unsigned int mode)
{
	enum seen_class class = SEEN_FILE;

	if (kind == IMAGE_ABSENT)
		class = SEEN_ABSENT;
	else if (kind == IMAGE_SYMLINK)
		class = SEEN_LINK;
	else if (kind == IMAGE_DIR || kind == IMAGE_LISTING || S_ISDIR(mode))
		class = SEEN_DIR;
	return (unsigned int)class << 8 | (unsigned int)kind;
}

/* "/" is the empty place while we walk, and "/" in the image. */
static const char *place_name(const struct image_place *place)
{
	return place->len ? place->path : "/";
}

static unsigned int seen_get(const struct image_walk *walk, const struct image_place *place)
{
	const char *name = place_name(place);
	uint64_t value;

	return keymap_get(walk->seen, name, strlen(name), &value) ? (unsigned int)value : 0;
}

bool image_walk_wants(const struct image_walk *walk, const struct image_place *place,
		      enum image_kind kind, unsigned int mode)
{
	unsigned int before = seen_get(walk, place);
	unsigned int now = seen_value(kind, mode);

	if (place->inside_len)
		return false;
	return !before || (before >> 8 == now >> 8 && before < now);
}

int image_walk_mark(struct image_walk *walk, const struct image_place *place, enum image_kind kind,
		    unsigned int mode)
{
	const char *name = place_name(place);

	return keymap_put(walk->seen, name, strlen(name), seen_value(kind, mode));
}

int image_walk_record(struct image_walk *walk, const struct image_place *place,
		      struct image_entry *entry)
{
	int ret;

	if (!image_walk_wants(walk, place, entry->kind, entry->mode))
		return 0;
	ret = image_walk_mark(walk, place, entry->kind, entry->mode);
	if (ret)
		return ret;
	entry->path = place_name(place);
	return image_sink_entry(walk->sink, entry);
}

/*
 * The id the container saw. Recorded by root: the host's. Else its user namespace knows only the
 * caller's own id; every other shows as the overflow id, which the shim takes for root (vnode.c has
 * the same rule).
 */
static uint32_t id_seen(uint32_t id, uint32_t own)
{
	return getauxval(AT_EUID) == 0 || id == own ? id : 0;
}

void image_entry_from_stat(struct image_entry *entry, const struct stat *st)
{
	entry->mode = st->st_mode;
	/* Without system calls: this runs for every file. */
	entry->uid = id_seen(st->st_uid, (uint32_t)getauxval(AT_EUID));
	entry->gid = id_seen(st->st_gid, (uint32_t)getauxval(AT_EGID));
	entry->nlink = (uint32_t)st->st_nlink;
	/* Of a directory it is the file system's own business, and the container sees no other. */
	entry->size_bytes = S_ISDIR(st->st_mode) ? DIRECTORY_BYTES : (uint64_t)st->st_size;
	entry->mtime_sec = st->st_mtim.tv_sec;
	entry->mtime_nsec = (uint32_t)st->st_mtim.tv_nsec;
	entry->rdev = st->st_rdev;
	entry->dev = st->st_dev;
	entry->ino = st->st_ino;
}

/* Field by field: zeroing the 12 KB of a place and a way costs more than a cached look-up. */
static void place_start(struct image_place *place)
{
	place->len = 0;
	place->path[0] = 0;
	place->inside_len = 0;
	place->seen = false;
}

static void way_start(struct way *way, struct image_place *place, const char *rest, size_t len)
{
	way->place = place;
	way->links = 0;
	memcpy(way->rest, rest, len);
	way->rest[len] = 0;
}

/* Reads a link's target; `target` has EVLOG_PATH_MAX + 1 bytes. */
static int read_target(const struct image_place *place, char *target)
{
	ssize_t len = readlink(place->path, target, EVLOG_PATH_MAX);

	if (len <= 0)
		return len < 0 ? -errno : -ENOENT;
	target[len] = 0;
	return 0;
}

static int record_link(struct image_walk *walk, const struct image_place *place,
		       const struct stat *st, const char *target)
{
	struct image_entry entry = {.kind = IMAGE_SYMLINK, .target = target};

	image_entry_from_stat(&entry, st);
	return image_walk_record(walk, place, &entry);
}

int image_walk_record_stat(struct image_walk *walk, const struct image_place *place,
			   const struct stat *st)
{
	struct image_entry entry = {.kind = S_ISDIR(st->st_mode) ? IMAGE_DIR : IMAGE_PLACEHOLDER};
	char target[EVLOG_PATH_MAX + 1];
	int ret;

	if (S_ISLNK(st->st_mode)) {
		ret = read_target(place, target);
		return ret ? ret : record_link(walk, place, st, target);
	}
	image_entry_from_stat(&entry, st);
	if (S_ISREG(st->st_mode) && walk->changed != NULL && walk->changed(st->st_dev, st->st_ino))
		entry.flags = IMAGE_FLAG_LATE;
	return image_walk_record(walk, place, &entry);
}

/* The way ends here: absent, or not to be looked at. Returns what the kernel said. */
static int record_failure(struct image_walk *walk, const struct image_place *place, int error)
{
	struct image_entry entry = {.kind = IMAGE_ABSENT};
	int ret;

	if (error != -ENOENT && error != -ENOTDIR) {
		entry.kind = IMAGE_DENIED;
		entry.error = -error;
	}
	ret = image_walk_record(walk, place, &entry);
	return ret ? ret : error;
}

static int place_push(struct image_place *place, const char *name, size_t len)
{
	if (place->len + 1 + len > EVLOG_PATH_MAX || len > 255)
		return -ENAMETOOLONG;
	place->path[place->len] = '/';
	memcpy(place->path + place->len + 1, name, len);
	place->len += 1 + len;
	place->path[place->len] = 0;
	place->seen = false;
	return 0;
}

static void place_pop(struct image_place *place)
{
	while (place->len && place->path[place->len - 1] != '/')
		place->len--;
	if (place->len)
		place->len--;
	place->path[place->len] = 0;
	place->seen = false;
	if (place->len < place->inside_len)
		place->inside_len = 0;
}

/* Goes on with a link's target in place of the link. */
static int way_follow(struct image_walk *walk, struct way *way, const struct stat *st)
{
	char target[EVLOG_PATH_MAX + 1];
	size_t len;
	int ret = read_target(way->place, target);

	if (ret)
		return ret;
	ret = record_link(walk, way->place, st, target);
	if (ret)
		return ret;
	len = strlen(target);
	if (++way->links > LINKS_MAX)
		return -ELOOP;
	if (len + 1 + strlen(way->rest) >= sizeof(way->rest))
		return -ENAMETOOLONG;
	memmove(way->rest + len + 1, way->rest, strlen(way->rest) + 1);
	memcpy(way->rest, target, len);
	way->rest[len] = '/';
	place_pop(way->place);
	if (target[0] == '/')
		place_start(way->place);
	return 0;
}

/* The place just pushed: is it there, a directory, a link? `last`: it may be anything. */
static int way_enter(struct image_walk *walk, struct way *way, bool last)
{
	struct image_place *place = way->place;
	unsigned int class = seen_get(walk, place) >> 8;
	int ret;

	if (class == SEEN_DIR || (class == SEEN_FILE && last))
		return 0;
	if (class == SEEN_ABSENT && !place->inside_len)
		place->inside_len = place->len;
	if (lstat(place->path, &place->st))
		return record_failure(walk, place, -errno);
	if (!place->inside_len && walk->inside != NULL &&
	    walk->inside(place->st.st_dev, place->st.st_ino))
		place->inside_len = place->len;
	if (S_ISLNK(place->st.st_mode))
		return way_follow(walk, way, &place->st);
	place->seen = true;
	if (last && !S_ISDIR(place->st.st_mode))
		return 0;
	ret = image_walk_record_stat(walk, place, &place->st);
	if (ret)
		return ret;
	return S_ISDIR(place->st.st_mode) ? 0 : -ENOTDIR;
}

/* Takes the next component off the rest. False if there is none. */
static bool way_next(struct way *way, char name[EVLOG_PATH_MAX + 1], size_t *ret_len)
{
	size_t skip = strspn(way->rest, "/");
	size_t len = strcspn(way->rest + skip, "/");

	if (!len || len > EVLOG_PATH_MAX)
		return false;
	memcpy(name, way->rest + skip, len);
	name[len] = 0;
	memmove(way->rest, way->rest + skip + len, strlen(way->rest + skip + len) + 1);
	*ret_len = len;
	return true;
}

static bool way_at_end(const struct way *way)
{
	return !way->rest[strspn(way->rest, "/")];
}

static int record_root(struct image_walk *walk)
{
	struct image_place root;
	struct stat st;

	place_start(&root);
	if (seen_get(walk, &root))
		return 0;
	if (lstat("/", &st))
		return -errno;
	return image_walk_record_stat(walk, &root, &st);
}

/* Walks all of the rest; `to_folder`: the end has to be a directory. */
static int way_walk(struct image_walk *walk, struct way *way, bool to_folder)
{
	char name[EVLOG_PATH_MAX + 1];
	size_t len;
	int ret = record_root(walk);

	while (!ret && way_next(way, name, &len)) {
		if (!strcmp(name, "."))
			continue;
		if (!strcmp(name, "..")) {
			place_pop(way->place);
			continue;
		}
		ret = place_push(way->place, name, len);
		if (!ret)
			ret = way_enter(walk, way, !to_folder && way_at_end(way));
	}
	return ret;
}

/* Sets the place to the folder of this name, from memory or by walking there. */
static int folder_resolve(struct image_walk *walk, const char *name, size_t len,
			  struct image_place *place)
{
	struct way way;
	uint64_t offset;
	int ret;

	place_start(place);
	if (keymap_get(walk->folders, name, len, &offset)) {
		strcpy(place->path, (const char *)walk->canonical.data + offset);
		place->len = strlen(place->path);
		return 0;
	}
	way_start(&way, place, name, len);
	ret = way_walk(walk, &way, true);
	/* What was born inside may change, so the way through it is walked each time. */
	if (ret || place->inside_len)
		return ret;
	offset = walk->canonical.len;
	evlog_put(&walk->canonical, place->path, place->len + 1);
	if (walk->canonical.error)
		return -ENOMEM;
	return keymap_put(walk->folders, name, len, offset);
}

int image_walk_resolve(struct image_walk *walk, const char *path, bool follow,
		       struct image_place *ret_place)
{
	size_t len = strlen(path);
	const char *name;
	struct way way;
	int ret;

	if (path[0] != '/' || len > EVLOG_PATH_MAX)
		return len > EVLOG_PATH_MAX ? -ENAMETOOLONG : -ENOENT;
	while (len > 1 && path[len - 1] == '/')
		len--;
	name = memrchr(path, '/', len);
	name++;
	ret = folder_resolve(walk, path, (size_t)(name - path), ret_place);
	if (ret)
		return ret;
	way_start(&way, ret_place, name, len - (size_t)(name - path));
	if (follow || !strcmp(way.rest, ".") || !strcmp(way.rest, "..") || !way.rest[0])
		return way_walk(walk, &way, false);
	return place_push(ret_place, way.rest, strlen(way.rest));
}

bool image_walk_had_file(const struct image_walk *walk, const char *path,
			 struct image_place *ret_place)
{
	const char *slash = strrchr(path, '/');
	uint64_t offset;

	place_start(ret_place);
	if (!slash || !slash[1] || strlen(path) > EVLOG_PATH_MAX)
		return false;
	/* One that nothing was named by has no links in it. */
	memcpy(ret_place->path, path, (size_t)(slash - path));
	ret_place->path[slash - path] = 0;
	if (keymap_get(walk->folders, path, (size_t)(slash + 1 - path), &offset))
		strcpy(ret_place->path, (const char *)walk->canonical.data + offset);
	ret_place->len = strlen(ret_place->path);
	return !place_push(ret_place, slash + 1, strlen(slash + 1)) &&
	       seen_get(walk, ret_place) >> 8 == SEEN_FILE;
}
