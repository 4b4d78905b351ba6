/*
 * Where the locks of an object are kept: at the vnode of what has one, else in a place of the
 * object's own, made for its first lock.
 *
 * What is one object is what is one inode in Linux: a pipe or socket is one of its own, devices and
 * texts of /proc are one by name, and all eventfds, epolls, timers and their like are the same.
 *
 * Invariants: a place has locks, except in the midst of a call; who waits for one of its locks
 * waits for a lock that is held, so places without locks are nobody's.
 */
#include "ipc.h"
#include "lock_place.h"
#include "lookup.h"

enum identity { BY_KIND, BY_STATE, BY_PATH, BY_STREAM };

static const struct {
	u8 identity;
	u8 like; /* the kind that stands for all that are one */
} kinds[OFD_KIND_COUNT] = {
	[OFD_SYNTH_FILE] = {BY_PATH, OFD_PATH},	  [OFD_SYNTH_DIR] = {BY_PATH, OFD_PATH},
	[OFD_NULL] = {BY_PATH, OFD_PATH},	  [OFD_ZERO] = {BY_PATH, OFD_PATH},
	[OFD_FULL] = {BY_PATH, OFD_PATH},	  [OFD_RANDOM] = {BY_PATH, OFD_PATH},
	[OFD_PTY_MASTER] = {BY_PATH, OFD_PATH},	  [OFD_PTY_SLAVE] = {BY_PATH, OFD_PATH},
	[OFD_STREAM_OUT] = {BY_STREAM, OFD_PATH}, [OFD_CHANNEL_IN] = {BY_STREAM, OFD_PATH},
	[OFD_STREAM_NULL] = {BY_PATH, OFD_PATH},  [OFD_PIPE_READ] = {BY_STATE, OFD_FIFO},
	[OFD_PIPE_WRITE] = {BY_STATE, OFD_FIFO},  [OFD_FIFO] = {BY_STATE, OFD_FIFO},
	[OFD_SOCKET] = {BY_STATE, OFD_SOCKET},	  [OFD_MQUEUE] = {BY_STATE, OFD_MQUEUE},
	[OFD_EVENTFD] = {BY_KIND, OFD_EVENTFD},	  [OFD_EPOLL] = {BY_KIND, OFD_EVENTFD},
	[OFD_TIMERFD] = {BY_KIND, OFD_EVENTFD},	  [OFD_SIGNALFD] = {BY_KIND, OFD_EVENTFD},
	[OFD_INOTIFY] = {BY_KIND, OFD_EVENTFD},	  [OFD_PIDFD] = {BY_KIND, OFD_EVENTFD},
};

/* Standard streams: all that are the caller's terminal are one. */
static u64 id_of_stream(const struct ofd *o)
{
	if (o->path)
		return o->path_hash;
	return HEAD->config.stdio[o->object].kind == STDIO_TTY ? ~0ull : o->object;
}

static u64 id_of(const struct ofd *o)
{
	switch (kinds[o->kind].identity) {
	case BY_STATE:
		return (u64)o->state;
	case BY_PATH:
		return o->path_hash;
	case BY_STREAM:
		return id_of_stream(o);
	default:
		return 0;
	}
}

static struct lock_place *find(const struct ofd *o)
{
	struct lock_place *p = IPC->lock_places;

	while (p && (p->kind != kinds[o->kind].like || p->id != id_of(o)))
		p = p->next;
	return p;
}

struct file_lock **lock_place_find(const struct ofd *o)
{
	if (o->vnode)
		return &vnode_at(o->vnode)->locks;
	struct lock_place *p = IPC->lock_places ? find(o) : NULL;
	return p ? &p->locks : NULL;
}

struct file_lock **lock_place_get(struct task *t, struct ofd *o, u32 fd)
{
	struct file_lock **there = lock_place_find(o);
	struct vstat st;

	if (there)
		return there;
	struct lock_place *p = heap_alloc(sizeof(*p));
	if (fd_stat(t, o, fd, &st) == 0) {
		p->dev = (u32)st.dev;
		p->ino = st.ino;
	}
	p->kind = kinds[o->kind].like;
	p->id = id_of(o);
	p->next = IPC->lock_places;
	IPC->lock_places = p;
	return &p->locks;
}

void lock_places_trim(void)
{
	for (struct lock_place **at = &IPC->lock_places, *p; (p = *at);) {
		if (p->locks) {
			at = &p->next;
			continue;
		}
		*at = p->next;
		heap_free(p);
	}
}
