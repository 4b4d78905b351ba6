/*
 * Announcements to the capture thread: which files, directories and absences a recorded run
 * depends on, in the order of their first use.  See capture.h and rings.h.
 *
 * Owns the set of announced paths (a hash set of 64-bit keys in the heap: a collision would leave
 * a file out of the image, at odds of n^2 / 2^61).  The low bits of an entry say what was
 * announced.
 */
#include <linux/fs.h>
#include "capture.h"
#include "capture_name.h"

#define SET_MIN	    512u
#define SET_MAX	    (1u << 21) /* a program may run for years */
#define DONE_BASIC  1u	       /* metadata, absence, link, failed lookup */
#define DONE_BYTES  2u
#define DONE_STRICT 4u /* nothing, but that its strict key counts */
#define DONE_MASK   7ull

#define NAME_SALT 0x2d358dccaa6c78a5u /* keys of names without links */
#define OWN_SALT  0x8bb84b93962eacc9u /* of those that files of the image were given */

#define SET (&FILES->captured)

static u64 *set_slot(u64 *entries, u32 mask, u64 key)
{
	u32 i = (u32)(key >> 16) & mask;

	while (entries[i] && (entries[i] & ~DONE_MASK) != key)
		i = (i + 1) & mask;
	return &entries[i];
}

/* What is forgotten is announced again, and then the tracer knows it. */
static void set_grow(void)
{
	if (SET->mask >= SET_MAX - 1) {
		memset(SET->entries, 0, (SET->mask + 1ull) * sizeof(u64));
		SET->count = 0;
		SET->forgot = true;
		return;
	}
	u32 mask = SET->entries ? SET->mask * 2 + 1 : SET_MIN - 1;
	u64 *entries = heap_alloc_aside((mask + 1ull) * sizeof(u64));

	for (u32 i = 0; SET->entries && i <= SET->mask; i++) {
		u64 e = SET->entries[i];
		if (e)
			*set_slot(entries, mask, e & ~DONE_MASK) = e;
	}
	heap_free(SET->entries);
	SET->entries = entries;
	SET->mask = mask;
}

/* Marks the key as announced; false if it was already. */
static bool set_add(u64 key, u32 done)
{
	if (!SET->entries || SET->count > SET->mask / 4 * 3)
		set_grow();
	key = (key | 1ull << 63) & ~DONE_MASK;
	u64 *slot = set_slot(SET->entries, SET->mask, key);
	if (*slot & done)
		return false;
	if (!*slot)
		SET->count++;
	*slot = *slot | key | done | DONE_BASIC;
	return true;
}

/* What was announced of it. */
static u32 set_get(u64 key)
{
	key = (key | 1ull << 63) & ~DONE_MASK;
	return SET->entries ? (u32)(*set_slot(SET->entries, SET->mask, key) & DONE_MASK) : 0;
}

static void fill(struct capture_record *r, const struct stat *st)
{
	memset(r, 0, sizeof(*r));
	if (!st)
		return;
	r->dev = st->st_dev;
	r->ino = st->st_ino;
	r->size_bytes = (u64)st->st_size;
	r->rdev = st->st_rdev;
	r->mtime_ns = (s64)(st->st_mtime * 1000000000ull + st->st_mtime_nsec);
	r->ctime_ns = (s64)(st->st_ctime * 1000000000ull + st->st_ctime_nsec);
	r->mode = st->st_mode;
	r->uid = st->st_uid;
	r->gid = st->st_gid;
	r->nlink = (u32)st->st_nlink;
}

static struct ring_record *put_record(u32 kind, const char *abs, u32 len, const struct stat *st,
				      u32 error)
{
	u32 size = (u32)sizeof(struct capture_record) + len + 1;
	struct ring_record *rec;

	ring_publish_held(CAPTURE_RING);
	while (!(rec = ring_reserve(CAPTURE_RING, RING_CAPTURE_SIZE, size)))
		upcall(UPCALL_DRAIN, RING_CAPTURE, 0, 0);
	struct capture_record *r = (struct capture_record *)rec->bytes;
	rec->what = kind;
	fill(r, st);
	r->error = error;
	r->path_bytes = len + 1;
	memcpy(r->path, abs, len + 1);
	return rec;
}

static void announce(u32 kind, const char *abs, u32 len, const struct stat *st, u32 error)
{
	ring_publish(CAPTURE_RING, put_record(kind, abs, len, st, error));
	ring_wake(CAPTURE_RING);
	FILES->has_late |= kind == CAPTURE_LATE && (!st || st->st_nlink > 1);
}

static void announce_path(u32 kind, const struct path *p, const struct stat *st, u32 error)
{
	char abs[FILE_ABS_MAX];
	u32 len = announced_name(p, kind, abs);

	if (len)
		announce(kind, abs, len, st, error);
}

/* A use of what the first `n` bytes of the name lead to. */
struct use {
	const struct path *p;
	u32 n, vnode;
	u32 kind, done;
	u64 key;
};

/* False if it was announced already. */
static bool use_is_new(struct use *u)
{
	u->key = announced_key(u->p, u->n, u->vnode, false);
	if (set_get(u->key) & DONE_STRICT)
		u->key = announced_key(u->p, u->n, u->vnode, true);
	return set_add(u->key, u->done);
}

/* What a name without links leads to stays: what would be something else the container has moved.
 */
static bool name_is_new(u32 kind, const char *abs, u32 len)
{
	return set_add(hash_bytes(NAME_SALT + kind, abs, len), DONE_BASIC);
}

/* Its name; the length, or 0: nothing is to be announced. */
static u32 use_name(struct use *u, char *abs)
{
	bool strict;
	u32 len = announced_part(u->p, u->n, u->kind, abs, &strict);

	if (strict) {
		set_add(announced_key(u->p, u->n, u->vnode, false), DONE_STRICT);
		u->key = announced_key(u->p, u->n, u->vnode, true);
		set_add(u->key, u->done);
	}
	if (strict || announced_plainly(u->p))
		return len;
	return len && name_is_new(u->kind, abs, len) ? len : 0;
}

/*
 * Most files are looked at and then opened, and the record that says so says all of the one before
 * it: so a look is held back until something else is announced or the tracer asks.
 */
static void announce_use(struct use *u, const struct stat *st)
{
	char abs[FILE_ABS_MAX];
	u32 len = use_name(u, abs);

	if (!len)
		return;
	if (u->kind != CAPTURE_METADATA) {
		announce(u->kind, abs, len, st, 0);
		return;
	}
	struct ring_record *rec = put_record(CAPTURE_METADATA, abs, len, st, 0);
	ring_hold(CAPTURE_RING, rec);
	FILES->held_look = (struct held_look){u->key, rec};
}

static bool is_same(const struct capture_record *r, const struct stat *st)
{
	struct capture_record now;

	fill(&now, st);
	return !memcmp(&now, r, offsetof(struct capture_record, error));
}

/* Makes an opening of a look that is held back, if it is the same file's. */
static bool look_became_opening(u32 kind, const struct stat *st, u64 key)
{
	struct ring_record *rec = FILES->held_look.record;

	if (!CAPTURE_RING->held || FILES->held_look.key != key ||
	    !is_same((const struct capture_record *)rec->bytes, st))
		return false;
	rec->what = kind;
	ring_publish_held(CAPTURE_RING);
	ring_wake(CAPTURE_RING);
	return true;
}

static bool not_image(u32 vnode)
{
	return vnode && vnode_at(vnode)->flags & VNODE_NOT_IMAGE;
}

/* By the first `n` bytes of the name links of the image may have led to what is not of the image,
 * or is known by another name.  The directory that a name starts from is known. */
static void announce_way(const struct path *p, u32 n, u32 vnode)
{
	struct use way = {p, n, vnode, CAPTURE_WALK, DONE_BASIC, 0};

	if (n && use_is_new(&way))
		announce_use(&way, NULL);
}

void capture_parent(const struct path *p, u32 vnode)
{
	if (HEAD->config.capture)
		announce_way(p, path_parent_length(p), vnode);
}

static bool is_bytes(u32 kind)
{
	return kind == CAPTURE_CONTENT || kind == CAPTURE_UNREAD;
}

/* A regular file of the image that has got names by the container, and may have others. */
static bool has_other_names(const struct vnode *v)
{
	u32 no = VNODE_BORN_INSIDE | VNODE_RENAMED;

	return (v->mode & S_IFMT) == S_IFREG && v->nlink > 1 && !(v->flags & no) && !SET->forgot;
}

static u64 own_key(const char *abs)
{
	return hash_bytes(OWN_SALT, abs, strlen(abs));
}

/* Where a walk came to such a file: by a name of the image's? */
static bool is_other_name(const struct path_end *end)
{
	return end->type == S_IFREG && end->vnode && !end->below_inside &&
	       has_other_names(vnode_at(end->vnode)) && !set_get(own_key(end->abs));
}

/* Announces a name of such a file, if it is one of the image. */
static void announce_other_name(const struct path *p, const struct stat *st, u32 vnode)
{
	struct use use = {p, p->len, vnode, CAPTURE_LATE, DONE_BYTES, 0};

	if (!use_is_new(&use))
		return;
	struct path_end *end = heap_alloc_aside(sizeof(*end));
	if (path_lead(p, p->len, 0, end) >= 0 && is_other_name(end))
		announce(CAPTURE_LATE, end->abs, (u32)strlen(end->abs), st, 0);
	heap_free(end);
}

void capture_named(const struct path *p, u32 vnode)
{
	struct vnode *v = vnode_at(vnode);

	if (!HEAD->config.capture || (v->mode & S_IFMT) != S_IFREG || v->flags & VNODE_BORN_INSIDE)
		return;
	struct path_end *end = heap_alloc_aside(sizeof(*end));
	long led = path_lead(p, p->len, PATH_NOFOLLOW, end);
	FILES->has_renamed |= v->nlink > 1;
	if (led < 0 || end->type != S_IFREG)
		v->flags |= VNODE_RENAMED;
	else
		set_add(own_key(end->abs), DONE_BASIC);
	heap_free(end);
}

void capture_path(const struct path *p, u32 kind, const struct stat *st, u32 vnode)
{
	if (!HEAD->config.capture)
		return;
	if (not_image(vnode) && has_other_names(vnode_at(vnode)))
		announce_other_name(p, st, vnode);
	if (not_image(vnode)) {
		announce_way(p, kind == CAPTURE_LINK ? path_parent_length(p) : p->len, vnode);
		return;
	}
	/* By now another name says what it was; this one is just another. */
	if (vnode && (st->st_mode & S_IFMT) == S_IFREG && vnode_at(vnode)->flags & VNODE_CAPTURED)
		kind = CAPTURE_LATE;
	struct use use = {p, p->len, vnode, kind, is_bytes(kind) ? DONE_BYTES : DONE_BASIC, 0};
	if (use_is_new(&use) && !(is_bytes(kind) && look_became_opening(kind, st, use.key)))
		announce_use(&use, st);
	if (is_bytes(kind) && vnode)
		vnode_at(vnode)->flags |= VNODE_ANNOUNCED;
}

void capture_passed(const char *abs, const struct stat *st)
{
	u32 len = (u32)strlen(abs), kind = st ? CAPTURE_LINK : CAPTURE_WALK;

	if (HEAD->config.capture && name_is_new(kind, abs, len))
		announce(kind, abs, len, st, 0);
}

static void sync(enum capture_sync how)
{
	upcall(UPCALL_CAPTURE_SYNC, how, 0, 0);
	FILES->leads_through = false;
	FILES->has_late = false;
}

static bool is_link(s32 dirfd, const char *name)
{
	struct stat st;

	return SYS4(NR_newfstatat, dirfd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
	       (st.st_mode & S_IFMT) == S_IFLNK;
}

/* What the links on the way point to is absent; it may be made in a moment. */
static void announce_dangling(const struct path *p)
{
	announce_path(CAPTURE_WALK, p, NULL, ENOENT);
	sync(CAPTURE_SYNC_NAMES);
}

/* "x/" and "x/." follow a link that "x" is. */
static bool asks_behind(const struct path *p)
{
	char last = p->name[p->len - 1];

	return last == '/' || last == '.';
}

/*
 * What does not exist is announced by its first missing component, so that the tracer need not
 * find out how far the path led at this moment: by then the container may have made some of it.
 * What else is looked for below that is announced with it.  True if it may be missing elsewhere
 * once a directory is made.
 */
static bool announce_absent(const struct path *p)
{
	char abs[FILE_ABS_MAX];
	struct stat st = {0};
	u32 len = path_absolute(p, abs), cut = len;
	u64 key = path_missing_key(p);

	for (;;) {
		u32 end = cut;
		while (end > 1 && abs[end - 1] != '/')
			end--;
		if (end <= 1)
			break;
		abs[end - 1] = '\0';
		long r = SYS4(NR_newfstatat, AT_FDCWD, abs, &st, 0);
		abs[end - 1] = '/';
		if (r >= 0)
			break;
		cut = end - 1;
		abs[cut] = '\0';
	}
	/* abs[0..cut) is the first missing component's path; st is its parent unless that is "/".
	 */
	u32 end = cut;
	if ((cut < len || asks_behind(p)) && is_link(AT_FDCWD, abs)) {
		announce_dangling(p);
		return true;
	}
	if (cut < len && key)
		set_add(key, DONE_BASIC);
	while (end > 1 && abs[end - 1] != '/')
		end--;
	abs[cut] = '\0';
	if (end <= 1 || !not_image(vnode_find(st.st_dev, st.st_ino)))
		announce(CAPTURE_ABSENT, abs, cut, NULL, 0);
	return path_has_dots(p->name);
}

/* The same where the text does not say where: how far it leads is found out at once. */
static bool announce_end(const struct path *p)
{
	struct path_end *end = heap_alloc_aside(sizeof(*end));
	long led = path_lead(p, p->len, 0, end);

	if (announced_unknown(led, end))
		announce(CAPTURE_WALK, end->abs, path_absolute(p, end->abs), NULL, 0);
	else if (led >= 0 && end->inside && is_other_name(end))
		announce(CAPTURE_LATE, end->abs, (u32)strlen(end->abs), NULL, 0);
	else if (led >= 0 && !end->inside)
		announce(!end->type && end->error == -ENOENT ? CAPTURE_ABSENT : CAPTURE_WALK,
			 end->abs, (u32)strlen(end->abs), NULL, 0);
	bool elsewhere = led < 0 || end->dots || end->error != -ENOENT;
	heap_free(end);
	return elsewhere;
}

/* True if a directory that is made may have it fail otherwise. */
static bool announce_failure(const struct path *p, long error)
{
	if (!announced_plainly(p) || (error == -ENOTDIR && FILES->has_renamed))
		return announce_end(p);
	if (error != -ENOENT) {
		announce_path(CAPTURE_WALK, p, NULL, (u32)-error);
		return true;
	}
	if (!is_link(p->dirfd, p->name))
		return announce_absent(p);
	announce_dangling(p);
	return true;
}

void capture_failure(const struct path *p, long error)
{
	if (!HEAD->config.capture || p->special || p->is_empty)
		return;
	/* What it is once it is there is another matter. */
	u64 key = announced_failure_key(p, false), strict = announced_failure_key(p, true);
	if ((error == -ENOENT && set_get(key)) || !set_add(strict, DONE_BASIC))
		return;
	if (error == -ENOENT && set_get(path_missing_key(p)))
		return;
	if (!announce_failure(p, error) && error == -ENOENT)
		set_add(key, DONE_BASIC);
}

void capture_denied(const struct path *p, const struct stat *st, u32 vnode, long error)
{
	struct use use = {p, p->len, vnode, CAPTURE_DENIED, DONE_BYTES, 0};

	if (HEAD->config.capture && !not_image(vnode) && use_is_new(&use))
		announce_path(CAPTURE_DENIED, p, st, (u32)-error);
}

static void announce_listing(struct vnode *v, const char *abs)
{
	if (v->flags & (VNODE_NOT_IMAGE | VNODE_LISTED))
		return;
	v->flags |= VNODE_LISTED;
	announce(CAPTURE_LISTING, abs, (u32)strlen(abs), NULL, 0);
}

/* What it was opened by may lead elsewhere by now. */
static void announce_opened(struct vnode *v, const char *path, u32 fd)
{
	struct path here = {.dirfd = (s32)fd, .base = path, .base_vnode = (u32)(v - vnode_at(0))};
	char abs[FILE_ABS_MAX];

	if (announced_name(&here, CAPTURE_LISTING, abs))
		announce_listing(v, abs);
}

void capture_list(struct ofd *o, u32 fd)
{
	struct vnode *v = vnode_at(o->vnode);

	if (HEAD->config.capture && o->vnode && o->path &&
	    !(v->flags & (VNODE_NOT_IMAGE | VNODE_LISTED)))
		announce_opened(v, o->path, fd);
}

void capture_not_empty(const struct path *p, u32 vnode)
{
	char abs[FILE_ABS_MAX];

	if (HEAD->config.capture && !not_image(vnode) && announced_name(p, CAPTURE_LISTING, abs))
		announce_listing(vnode_at(vnode), abs);
}

void capture_before_entry(const struct path *p, u32 parent)
{
	struct vnode *v = vnode_at(parent);
	bool safe = v->flags & (VNODE_NOT_IMAGE | VNODE_CAPTURED);
	char abs[FILE_ABS_MAX];

	if (!HEAD->config.capture || (safe && v->flags & VNODE_NAMES_TOLD))
		return;
	u32 len = announced_parent(p, CAPTURE_OUT_FOLDER, abs);
	if (len && !(v->flags & VNODE_NAMES_TOLD))
		announce(CAPTURE_OUT_FOLDER, abs, len, NULL, 0);
	v->flags |= VNODE_NAMES_TOLD;
	if (safe)
		return;
	if (announced_parent(p, CAPTURE_LISTING, abs))
		announce_listing(v, abs);
	v->flags |= VNODE_CAPTURED;
	sync(CAPTURE_SYNC_NAMES);
}

#define SINGLES_MAX 4

/*
 * What a name was has to be known before it changes.  One stop of the tracer for each would make
 * rm -r several times slower, so after a few all names of the folder are looked at in one go.
 */
static void sync_name(const struct path *p)
{
	char abs[FILE_ABS_MAX];
	u32 parent = path_parent_seen(p);

	if (!parent) {
		sync(CAPTURE_SYNC_NAMES);
		return;
	}
	struct vnode *v = vnode_at(parent);
	if (v->flags & VNODE_NAMES_SAFE)
		return;
	if (v->singles++ >= SINGLES_MAX) {
		u32 len = announced_parent(p, CAPTURE_FOLDER, abs);
		if (len)
			announce(CAPTURE_FOLDER, abs, len, NULL, 0);
		v->flags |= VNODE_NAMES_SAFE;
	}
	sync(CAPTURE_SYNC_NAMES);
}

/* Through a directory that the container has made, a link of the image may lead by "..". */
static void before_inside(const struct vnode *v)
{
	if ((v->mode & S_IFMT) == S_IFDIR && FILES->leads_through)
		sync(CAPTURE_SYNC_NAMES);
}

void capture_before_change(const struct path *p, const struct stat *st, u32 vnode, bool content)
{
	struct vnode *v = vnode_at(vnode);

	if (!HEAD->config.capture)
		return;
	/* Each name is told: that the file itself is safe says nothing about the others. */
	if ((v->mode & S_IFMT) == S_IFREG && !(v->flags & VNODE_BORN_INSIDE))
		announce_path(CAPTURE_OUT_FILE, p, NULL, 0);
	/* One of them may be about to go. */
	if (FILES->has_late && (v->mode & S_IFMT) == S_IFREG)
		sync(CAPTURE_SYNC_NAMES);
	if (v->flags & VNODE_CAPTURED)
		return;
	if (v->flags & VNODE_NOT_IMAGE) {
		before_inside(v);
		return;
	}
	if ((v->mode & S_IFMT) == S_IFDIR) {
		capture_path(p, CAPTURE_METADATA, st, vnode);
		sync_name(p);
		return;
	}
	if ((v->mode & S_IFMT) != S_IFREG) {
		capture_path(p, CAPTURE_LINK, st, vnode);
		sync(CAPTURE_SYNC_NAMES);
	} else if (content || v->flags & VNODE_ANNOUNCED) {
		capture_path(p, CAPTURE_UNREAD, st, vnode);
		sync(CAPTURE_SYNC_CONTENTS);
	} else {
		/* It may fail, and leave the bytes to be seen. */
		capture_path(p, CAPTURE_METADATA, st, vnode);
		sync_name(p);
		return;
	}
	v->flags |= VNODE_CAPTURED;
}

void capture_cut(u32 vnode)
{
	if (HEAD->config.capture)
		vnode_at(vnode)->flags |= VNODE_CAPTURED;
}

void capture_before_metadata(u32 vnode)
{
	struct vnode *v = vnode_at(vnode);

	if (!HEAD->config.capture || v->flags & (VNODE_NOT_IMAGE | VNODE_CAPTURED))
		return;
	if (v->flags & VNODE_ANNOUNCED)
		sync(CAPTURE_SYNC_CONTENTS);
	else if (!(v->flags & VNODE_METADATA))
		sync(CAPTURE_SYNC_NAMES);
	v->flags |= VNODE_METADATA;
}

void capture_before_move(const struct path *p, const struct stat *st, u32 vnode)
{
	if (!HEAD->config.capture)
		return;
	if (not_image(vnode)) {
		before_inside(vnode_at(vnode));
		return;
	}
	announce_path(CAPTURE_TREE, p, st, 0);
	sync(CAPTURE_SYNC_NAMES);
}

void capture_dangling(const struct path *p)
{
	if (!HEAD->config.capture)
		return;
	/* What is found there a moment later is no part of the image. */
	if (announced_plainly(p))
		announce_dangling(p);
	else
		announce_end(p);
}

void capture_made(const struct path *p)
{
	if (HEAD->config.capture)
		announce_path(CAPTURE_OUT_FILE, p, NULL, 0);
}

void capture_new_place(const struct path *p, u32 vnode)
{
	if (HEAD->config.capture && (vnode_at(vnode)->mode & S_IFMT) == S_IFDIR)
		announce_path(CAPTURE_OUT_TREE, p, NULL, 0);
}

/* A name that leads to the file now: by the one that it was opened by another may be reached, or
 * nothing.  Its length; 0: none that is known. */
static u32 name_of_open(const struct ofd *o, s32 fd, char *abs, struct stat *ret)
{
	if (fd >= 0 && path_of_fd(fd, abs) == 0 && SYS2(NR_fstat, fd, ret) == 0)
		return (u32)strlen(abs);
	if (!o->path || SYS4(NR_newfstatat, AT_FDCWD, o->path, ret, 0) < 0 ||
	    vnode_find(ret->st_dev, ret->st_ino) != o->vnode)
		return 0;
	memcpy(abs, o->path, strlen(o->path) + 1);
	return (u32)strlen(abs);
}

void capture_before_write(struct ofd *o, s32 fd)
{
	struct vnode *v = vnode_at(o->vnode);
	char abs[FILE_ABS_MAX];
	struct stat st;

	if (!HEAD->config.capture || !o->vnode)
		return;
	v->flags |= VNODE_WRITTEN;
	if (v->flags & (VNODE_NOT_IMAGE | VNODE_CAPTURED))
		return;
	u32 len = name_of_open(o, fd, abs, &st);
	if (len)
		announce(CAPTURE_OUT_FILE, abs, len, NULL, 0);
	/* If it was opened for writing alone, its bytes were not announced. */
	if (len && !(v->flags & VNODE_ANNOUNCED))
		announce(CAPTURE_UNREAD, abs, len, &st, 0);
	sync(CAPTURE_SYNC_CONTENTS);
	v->flags |= VNODE_ANNOUNCED | VNODE_CAPTURED;
}

#define GROWS_FROM (1u << 20)

/* From here on the tracer reads what lies before the vnode's size; what is written there counts as
 * a rewrite. */
static void grows(struct vnode *v, const struct ofd *o, u32 fd)
{
	char abs[FILE_ABS_MAX];
	struct stat st;

	if (!o->path)
		return;
	v->flags |= VNODE_GROWS;
	u32 len = name_of_open(o, (s32)fd, abs, &st);
	if (len)
		announce(CAPTURE_OUT_GROWS, abs, len, &st, 0);
}

void capture_wrote(struct ofd *o, u32 fd, s64 begin, u64 size)
{
	struct vnode *v = vnode_at(o->vnode);
	bool appends = v->flags & VNODE_SIZED && begin >= 0 && (u64)begin >= v->size;

	if (!HEAD->config.capture || v->flags & VNODE_STREAM)
		return;
	if (v->flags & VNODE_GROWS)
		v->rewrites += !appends;
	else if (appends && (u64)begin + size >= GROWS_FROM)
		grows(v, o, fd);
}

long file_before_write(struct task *t, u32 ofd, s32 fd)
{
	struct ofd *o = ofd_at(ofd);

	(void)t;
	capture_before_write(o, fd);
	if (o->vnode)
		vnode_at(o->vnode)->flags |= VNODE_MAPPED;
	return 0;
}
