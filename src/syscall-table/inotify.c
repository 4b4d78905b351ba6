/*
 * inotify: descriptors that tell of changes of files, their watches and their queues.
 *
 * All events come from the container's own calls (notify.c): what other programs of the host do to
 * the same files is no input, and is not told.  Watches hang at vnodes, which are marked
 * VNODE_WATCHED; a vnode that goes takes them along.
 *
 * Invariants: every watch is in the list of its instance and, if it has a vnode, in one bucket;
 * FILES->notify.watches counts those with a vnode; an event that says the same as the last one
 * queued is dropped; behind `max` events there is one IN_Q_OVERFLOW at most.
 */
#include <asm/ioctls.h>
#include <asm/stat.h>
#include <linux/fs.h>
#include "lookup.h"
#include "notify.h"
#include "ready.h"
#include "synth.h"

#define QUEUE_MAX     16384u /* /proc/sys/fs/inotify */
#define INSTANCES_MAX 128u   /* likewise */
#define WATCHES_MAX   65536u /* likewise */
#define KNOWN_BITS                                                                               \
	(IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | \
	 IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)
#define KEPT_BITS (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)

struct queued {
	struct queued *next;
	struct inotify_event event; /* as read, the name behind it, padded to its size */
};

struct inotify {
	struct queued *first, *last;
	struct inotify_watch *watches;
	u64 bytes; /* of all events */
	u32 count;
	u32 ofd;
	s32 last_wd;
	bool overflowed; /* IN_Q_OVERFLOW is in the queue */
};

static struct inotify *inotify_of(const struct ofd *o)
{
	return o->state;
}

static struct sched_key inotify_key(struct ofd *o)
{
	return (struct sched_key){KEY_OFD, ofd_index(o)};
}

/* ---- the queue ---- */

/* Length of a name as it stands in an event. */
static u32 padded(const char *name)
{
	u32 unit = sizeof(struct inotify_event);

	return name ? ((u32)strlen(name) + unit) / unit * unit : 0;
}

static bool says_the_same(const struct queued *q, s32 wd, u32 mask, const char *name)
{
	return q->event.wd == wd && q->event.mask == mask && q->event.len == padded(name) &&
	       (!name || !strcmp(q->event.name, name));
}

static void append(struct inotify *n, s32 wd, u32 mask, const char *name, u32 cookie)
{
	u32 len = padded(name);
	struct queued *q = heap_alloc(sizeof(*q) + len);

	q->event.wd = wd;
	q->event.mask = mask;
	q->event.cookie = cookie;
	q->event.len = len;
	if (name)
		memcpy(q->event.name, name, strlen(name));
	*(n->last ? &n->last->next : &n->first) = q;
	n->last = q;
	n->count++;
	n->bytes += sizeof(q->event) + len;
	ready_changed(inotify_key(ofd_at(n->ofd)), POLLIN | POLLRDNORM);
}

static void queue(struct inotify *n, s32 wd, u32 mask, const char *name, u32 cookie)
{
	if (n->count >= QUEUE_MAX) {
		if (!n->overflowed)
			append(n, -1, IN_Q_OVERFLOW, NULL, 0);
		n->overflowed = true;
	} else if (!n->last || !says_the_same(n->last, wd, mask, name)) {
		append(n, wd, mask, name, cookie);
	}
}

static void drop_first(struct inotify *n)
{
	struct queued *q = n->first;

	n->first = q->next;
	if (!n->first)
		n->last = NULL;
	n->count--;
	n->bytes -= sizeof(q->event) + q->event.len;
	if (q->event.mask & IN_Q_OVERFLOW)
		n->overflowed = false;
	heap_free(q);
}

/* ---- watches ---- */

static struct inotify_watch **bucket_of(u32 vnode)
{
	return &FILES->notify.bucket[vnode % NOTIFY_BUCKETS];
}

struct inotify_watch *inotify_watch_next(u32 vnode, struct inotify_watch *from)
{
	struct inotify_watch *w = from ? from->next_here : *bucket_of(vnode);

	while (w && w->vnode != vnode)
		w = w->next_here;
	return w;
}

static void watch_link(struct inotify_watch *w)
{
	struct inotify_watch **bucket = bucket_of(w->vnode);

	w->next_here = *bucket;
	*bucket = w;
	FILES->notify.watches++;
	vnode_at(w->vnode)->flags |= VNODE_WATCHED;
	/* The directory may not have been known before. */
	FILES->notify.generation++;
}

static void watch_unlink(struct inotify_watch *w)
{
	struct inotify_watch **at = bucket_of(w->vnode);

	while (*at != w)
		at = &(*at)->next_here;
	*at = w->next_here;
	FILES->notify.watches--;
	if (!inotify_watch_next(w->vnode, NULL))
		vnode_at(w->vnode)->flags &= ~(u32)VNODE_WATCHED;
}

static void watch_free(struct inotify_watch *w)
{
	struct inotify_watch **at = &w->owner->watches;

	if (w->vnode)
		watch_unlink(w);
	while (*at != w)
		at = &(*at)->next_owned;
	*at = w->next_owned;
	FILES->notify.placed--;
	heap_free(w);
}

void inotify_watch_end(struct inotify_watch *w)
{
	struct inotify *n = w->owner;
	s32 wd = w->wd;

	watch_free(w);
	queue(n, wd, IN_IGNORED, NULL, 0);
}

void inotify_tell(struct inotify_watch *w, u32 mask, const char *name, u32 cookie)
{
	queue(w->owner, w->wd, mask, name, cookie);
	if (w->mask & IN_ONESHOT)
		inotify_watch_end(w);
}

static struct inotify_watch *watch_find(const struct inotify *n, u32 vnode, u64 special)
{
	struct inotify_watch *w = n->watches;

	while (w && (w->vnode != vnode || w->special != special))
		w = w->next_owned;
	return w;
}

static long watch_create(struct inotify *n, u32 vnode, u64 special, u32 mask)
{
	if (FILES->notify.placed >= WATCHES_MAX)
		return -ENOSPC;
	struct inotify_watch *w = heap_alloc(sizeof(*w));
	w->owner = n;
	w->vnode = vnode;
	w->special = special;
	w->mask = mask & KEPT_BITS;
	w->wd = ++n->last_wd;
	w->next_owned = n->watches;
	n->watches = w;
	FILES->notify.placed++;
	if (vnode)
		watch_link(w);
	return w->wd;
}

static long watch_set(struct inotify *n, u32 vnode, u64 special, u32 mask)
{
	struct inotify_watch *w = watch_find(n, vnode, special);

	if (!w)
		return watch_create(n, vnode, special, mask);
	if (mask & IN_MASK_CREATE)
		return -EEXIST;
	w->mask = (mask & IN_MASK_ADD ? w->mask : 0) | (mask & KEPT_BITS);
	return w->wd;
}

/* ---- as a file ---- */

static long take(struct task *t, struct inotify *n, const struct file_io *io)
{
	u64 done = 0;

	while (n->first) {
		u64 size = sizeof(n->first->event) + n->first->event.len;
		if (size > io->total - done)
			break;
		long r = io_give(t, io, done, &n->first->event, size);
		drop_first(n);
		if (r < 0)
			return r;
		done += size;
	}
	return done ? (long)done : -EINVAL;
}

static long inotify_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	struct inotify *n = inotify_of(o);
	long r = 0;

	if (io->offset >= 0)
		return -ESPIPE;
	if (n->first)
		return take(t, n, io);
	if (io->nowait)
		return -EAGAIN;
	park_hold_begin(t, o);
	while (!r && !n->first)
		r = ready_wait(t, inotify_key(o), POLLIN);
	if (!r)
		r = take(t, n, io);
	park_hold_end(t, o);
	return r;
}

static u32 inotify_poll(struct task *t, struct ofd *o)
{
	(void)t;
	return inotify_of(o)->first ? POLLIN | POLLRDNORM : 0;
}

/* As Linux: it may be sought, and stays where it is. */
static long inotify_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	(void)t;
	(void)o;
	(void)fd;
	(void)offset;
	return whence <= SEEK_HOLE ? 0 : -EINVAL;
}

static long inotify_ioctl(struct task *t, struct ofd *o, u32 fd, u32 request, u64 arg)
{
	s32 bytes = (s32)inotify_of(o)->bytes;

	(void)fd;
	if (request != FIONREAD)
		return -ENOTTY;
	digest_u64(t, (u64)bytes);
	return user_put(arg, bytes) ? -EFAULT : 0;
}

static void inotify_release(struct ofd *o)
{
	struct inotify *n = inotify_of(o);

	while (n->watches)
		watch_free(n->watches);
	while (n->first)
		drop_first(n);
	heap_free(n);
	FILES->notify.instances--;
}

/* Without handles, as of a file system that has none: nor has name_to_handle_at. */
static void watch_info(const struct inotify_watch *w, struct synth_text *out)
{
	u64 ino = w->vnode ? vnode_at(w->vnode)->ino : 1;

	text_add(out, "inotify wd:%x ino:%lx sdev:%x mask:%x ignored_mask:0 \n", (u32)w->wd, ino,
		 w->vnode ? 0x800001u : DEV_OF_DEVICES, w->mask);
}

static void inotify_info(struct ofd *o, struct synth_text *out)
{
	for (const struct inotify_watch *w = inotify_of(o)->watches; w; w = w->next_owned)
		watch_info(w, out);
}

const struct file_ops inotify_ops = {
	.info = inotify_info,
	.read = inotify_read,
	.by_piece = FILE_READ_BY_PIECE,
	.poll = inotify_poll,
	.poll_key = inotify_key,
	.seek = inotify_seek,
	.ioctl = inotify_ioctl,
	.release = inotify_release,
};

/* ---- the calls ---- */

static long inotify_open(struct task *t, u32 flags)
{
	if (flags & ~(u32)(O_CLOEXEC | O_NONBLOCK))
		return -EINVAL;
	if (FILES->notify.instances >= INSTANCES_MAX)
		return -EMFILE;
	long index = ofd_create(OFD_INOTIFY, O_RDONLY | (flags & O_NONBLOCK));
	if (index < 0)
		return index;
	struct inotify *n = heap_alloc(sizeof(*n));
	n->ofd = (u32)index;
	ofd_at((u32)index)->state = n;
	FILES->notify.instances++;
	return fd_install(t, (u32)index, flags);
}

long sys_inotify_init(struct task *t, struct frame *f)
{
	(void)f;
	return inotify_open(t, 0);
}

long sys_inotify_init1(struct task *t, struct frame *f)
{
	return inotify_open(t, (u32)f->arg[0]);
}

static long instance(struct task *t, u64 fd, struct inotify **ret)
{
	struct ofd *o = fd_get_io(t, (u32)fd);

	if (!o)
		return -EBADF;
	if (o->kind != OFD_INOTIFY)
		return -EINVAL;
	*ret = inotify_of(o);
	return 0;
}

/* Below /proc, /sys and /dev nothing happens; but a name that is there can be watched. */
static long watch_special(struct inotify *n, const struct path *p, u32 mask)
{
	struct vstat st;

	long r = special_stat(current(), p->abs, !(mask & IN_DONT_FOLLOW), &st);
	if (r < 0)
		return r;
	if (mask & IN_ONLYDIR && (st.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	return watch_set(n, 0, hash_bytes(0, p->abs, strlen(p->abs)), mask);
}

long sys_inotify_add_watch(struct task *t, struct frame *f)
{
	u32 mask = (u32)f->arg[2], vnode = 0;
	u32 at_flags = mask & IN_DONT_FOLLOW ? AT_SYMLINK_NOFOLLOW : 0;
	struct inotify *n;
	struct path p;
	struct stat st;

	if (mask & ~KNOWN_BITS || !mask)
		return -EINVAL;
	if (!fd_get_io(t, (u32)f->arg[0]))
		return -EBADF;
	if ((mask & (IN_MASK_ADD | IN_MASK_CREATE)) == (IN_MASK_ADD | IN_MASK_CREATE))
		return -EINVAL;
	long r = instance(t, f->arg[0], &n);
	if (!r)
		r = path_in(t, AT_FDCWD, f->arg[1], path_flags(at_flags), &p);
	if (!r)
		r = lookup(t, &p, at_flags, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		return watch_special(n, &p, mask);
	if (!r && mask & IN_ONLYDIR && (st.st_mode & S_IFMT) != S_IFDIR)
		r = -ENOTDIR;
	if (!r)
		r = vnode_permission(t, vnode_at(vnode), 4, false);
	return r < 0 ? r : watch_set(n, vnode, 0, mask);
}

long sys_inotify_rm_watch(struct task *t, struct frame *f)
{
	struct inotify *n;

	long r = instance(t, f->arg[0], &n);
	if (r < 0)
		return r;
	struct inotify_watch *w = n->watches;
	while (w && w->wd != (s32)f->arg[1])
		w = w->next_owned;
	if (!w)
		return -EINVAL;
	inotify_watch_end(w);
	return 0;
}
