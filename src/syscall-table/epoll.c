/*
 * epoll: items in the order of becoming ready, as Linux keeps them (fs/eventpoll.c).
 *
 * An item hangs in the list of its epoll, in the table of watches (ready.c), through which it is
 * told of changes, and, while it may have something to tell, in the epoll's ready list.  A wait
 * takes items from the front, looks whether they are really ready, and puts level-triggered ones
 * back at the end.
 *
 * Invariants: an item exists only while both its epoll and the description it watches do; nesting
 * has no circles and at most EP_NESTS_MAX levels, so telling outer epolls ends.
 */
#include <linux/eventpoll.h>
#include "lookup.h"
#include "ready.h"
#include "time_limit.h"
#include "../shim/signal.h"
#include "synth.h"

#define EP_NESTS_MAX  4
#define EP_EVENTS_MAX (0x7fffffff / (s32)sizeof(struct epoll_event))
/* What stays of the events of a one-shot item that has fired: it is deaf until modified. */
#define EP_PRIVATE (EPOLLWAKEUP | EPOLLONESHOT | EPOLLET | EPOLLEXCLUSIVE)
#define EP_EXCL_OK \
	(EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET | EPOLLEXCLUSIVE)
#define EP_POLLBITS 0xffffu

struct epoll_item {
	struct watch watch; /* first: found again by its address */
	struct epoll *ep;
	struct epoll_item *prev, *next;		    /* in the epoll */
	struct epoll_item *ready_prev, *ready_next; /* in its ready list */
	bool is_ready;				    /* hangs there */
	u32 fd;
	u32 events;
	u64 data;
};

/* Heap; in `state` of its description. */
struct epoll {
	struct epoll_item *items; /* newest first */
	struct epoll_item *ready_first, *ready_last;
	u32 ofd;
	u32 announced; /* items on what is told of its waiters */
};

static struct epoll *epoll_of(const struct ofd *o)
{
	return o->state;
}

struct sched_key epoll_key(const struct ofd *o)
{
	return (struct sched_key){KEY_OFD, ofd_index(o)};
}

/* ---- the ready list ---- */

static void ready_append(struct epoll_item *i)
{
	struct epoll *ep = i->ep;

	i->is_ready = true;
	i->ready_next = NULL;
	i->ready_prev = ep->ready_last;
	if (ep->ready_last)
		ep->ready_last->ready_next = i;
	else
		ep->ready_first = i;
	ep->ready_last = i;
}

static void ready_remove(struct epoll_item *i)
{
	struct epoll *ep = i->ep;

	if (!i->is_ready)
		return;
	*(i->ready_prev ? &i->ready_prev->ready_next : &ep->ready_first) = i->ready_next;
	*(i->ready_next ? &i->ready_next->ready_prev : &ep->ready_last) = i->ready_prev;
	i->is_ready = false;
}

/* One of those in epoll_wait, as Linux: who finds more than it takes wakes the next. */
static void wake_one(const struct epoll *ep)
{
	sched_key_wake(SCHED, epoll_key(ofd_at(ep->ofd)), 1, READY_BIT_EPOLL, SCHED_NONE);
}

static void item_became_ready(struct epoll_item *i)
{
	if (!i->is_ready)
		ready_append(i);
	wake_one(i->ep);
	ready_changed(epoll_key(ofd_at(i->ep->ofd)), POLLIN | POLLRDNORM);
}

void epoll_watch_changed(struct watch *w, u32 events)
{
	struct epoll_item *i = (struct epoll_item *)w;

	if (i->events & events & EP_POLLBITS)
		item_became_ready(i);
}

/* The events the app asked for that hold now. */
static u32 item_now(struct task *t, const struct epoll_item *i)
{
	if (!(i->events & EP_POLLBITS))
		return 0;
	return ready_now(t, ofd_at(i->watch.ofd)) & i->events & EP_POLLBITS;
}

static void item_check(struct task *t, struct epoll_item *i)
{
	if (item_now(t, i))
		item_became_ready(i);
}

/* Standard input, of which nothing comes before somebody waits, and epolls, which may have it. */
static bool is_announced(const struct epoll_item *i)
{
	u32 kind = ofd_at(i->watch.ofd)->kind;

	return kind == OFD_CHANNEL_IN || kind == OFD_EPOLL;
}

static void item_destroy(struct epoll_item *i)
{
	i->ep->announced -= is_announced(i);
	ready_remove(i);
	watch_remove(&i->watch);
	*(i->prev ? &i->prev->next : &i->ep->items) = i->next;
	if (i->next)
		i->next->prev = i->prev;
	heap_free(i);
}

/* ---- as a file ---- */

static u32 epoll_poll(struct task *t, struct ofd *o)
{
	struct epoll_item *next;

	for (struct epoll_item *i = epoll_of(o)->ready_first; i; i = next) {
		next = i->ready_next;
		if (item_now(t, i))
			return POLLIN | POLLRDNORM;
		ready_remove(i);
	}
	return 0;
}

/* Bytes of stdin come only if somebody waits for them: the current task does, through the epoll. */
static struct sched_key epoll_poll_key(struct ofd *o)
{
	struct epoll_item *i = epoll_of(o)->announced ? epoll_of(o)->items : NULL;

	for (; i; i = i->next) {
		struct ofd *of = ofd_at(i->watch.ofd);
		if (!is_announced(i) || !(i->events & EP_POLLBITS))
			continue;
		sched_wait_add(SCHED, current()->index, file_ops_of(of->kind)->poll_key(of), POLLIN,
			       0);
	}
	return epoll_key(o);
}

static void epoll_release(struct ofd *o)
{
	struct epoll *ep = epoll_of(o);

	while (ep->items)
		item_destroy(ep->items);
	heap_free(ep);
}

/* Where a file is, as the kernel has device numbers: 20 bits of minor. */
static u64 device_inside(u64 dev)
{
	return (dev >> 8 & 0xfff) << 20 | (dev & 0xff);
}

static void item_info(const struct epoll_item *i, struct synth_text *out)
{
	struct ofd *o = ofd_at(i->watch.ofd);
	struct vstat st;

	if (fd_stat(current(), o, i->fd, &st) < 0)
		return;
	text_add(out, "tfd: %8d events: %8x data: %16lx  pos:%lu ino:%lx sdev:%lx\n", (s32)i->fd,
		 i->events, i->data, 0ul, st.ino, device_inside(st.dev));
}

static void epoll_info(struct ofd *o, struct synth_text *out)
{
	for (const struct epoll_item *i = epoll_of(o)->items; i; i = i->next)
		item_info(i, out);
}

const struct file_ops epoll_ops = {
	.info = epoll_info,
	.poll = epoll_poll,
	.poll_key = epoll_poll_key,
	.seek_stays = true,
	.release = epoll_release,
};

void epoll_forget(struct ofd *o)
{
	struct watch *next;

	if (!READY->watches)
		return;
	for (struct watch *w = watch_first(watch_key(o)); w; w = next) {
		next = w->next;
		if (w->ofd == ofd_index(o))
			item_destroy((struct epoll_item *)w);
	}
}

static long epoll_open(struct task *t, u32 flags)
{
	long index = ofd_create(OFD_EPOLL, O_RDWR);

	if (index < 0)
		return index;
	struct epoll *ep = heap_alloc(sizeof(*ep));
	ep->ofd = (u32)index;
	ofd_at((u32)index)->state = ep;
	return fd_install(t, (u32)index, flags);
}

long sys_epoll_create(struct task *t, struct frame *f)
{
	return (s32)f->arg[0] <= 0 ? -EINVAL : epoll_open(t, 0);
}

long sys_epoll_create1(struct task *t, struct frame *f)
{
	u32 flags = (u32)f->arg[0];

	return flags & ~(u32)EPOLL_CLOEXEC ? -EINVAL : epoll_open(t, flags);
}

/* ---- epoll_ctl ---- */

/* Files whose readiness never changes are refused. */
static bool can_be_watched(const struct ofd *o)
{
	switch (o->kind) {
	case OFD_HOST_FILE:
	case OFD_HOST_DIR:
	case OFD_SYNTH_FILE:
	case OFD_SYNTH_DIR:
	case OFD_NULL:
	case OFD_ZERO:
	case OFD_FULL:
		return false;
	default:
		return true;
	}
}

static struct epoll_item *item_find(const struct epoll *ep, struct ofd *o, u32 fd)
{
	for (struct watch *w = watch_first(watch_key(o)); w; w = w->next) {
		struct epoll_item *i = (struct epoll_item *)w;
		if (i->ep == ep && i->fd == fd && w->ofd == ofd_index(o))
			return i;
	}
	return NULL;
}

/* Levels of epolls inside this one; more than EP_NESTS_MAX if `wanted` is among them. */
static u32 levels_inside(const struct epoll *ep, const struct epoll *wanted, u32 depth)
{
	u32 most = 0;

	for (const struct epoll_item *i = ep->items; i; i = i->next) {
		const struct ofd *o = ofd_at(i->watch.ofd);
		if (o->kind != OFD_EPOLL)
			continue;
		if (epoll_of(o) == wanted || depth > EP_NESTS_MAX)
			return EP_NESTS_MAX + 1;
		u32 levels = 1 + levels_inside(epoll_of(o), wanted, depth + 1);
		most = levels > most ? levels : most;
	}
	return most;
}

/* Levels of epolls that this one is inside of. */
static u32 levels_outside(const struct epoll *ep)
{
	struct sched_key key = epoll_key(ofd_at(ep->ofd));
	u32 most = 0;

	for (struct watch *w = watch_first(key); w; w = w->next) {
		if (!watch_has_key(w, key))
			continue;
		u32 levels = 1 + levels_outside(((struct epoll_item *)w)->ep);
		most = levels > most ? levels : most;
	}
	return most;
}

static long item_add(struct task *t, struct epoll *ep, struct ofd *o, u32 fd,
		     const struct epoll_event *event)
{
	if (o->kind == OFD_EPOLL &&
	    levels_inside(epoll_of(o), ep, 0) + 1 + levels_outside(ep) > EP_NESTS_MAX)
		return -ELOOP;
	struct epoll_item *i = heap_alloc(sizeof(*i));
	i->ep = ep;
	i->fd = fd;
	i->events = event->events | EPOLLERR | EPOLLHUP;
	i->data = event->data;
	i->next = ep->items;
	if (ep->items)
		ep->items->prev = i;
	ep->items = i;
	watch_add(&i->watch, o);
	ep->announced += is_announced(i);
	item_check(t, i);
	return 0;
}

static long item_modify(struct task *t, struct epoll_item *i, const struct epoll_event *event)
{
	if (i->events & EPOLLEXCLUSIVE)
		return -EINVAL;
	i->events = event->events | EPOLLERR | EPOLLHUP;
	i->data = event->data;
	item_check(t, i);
	return 0;
}

/* Where EPOLLEXCLUSIVE is allowed.  All epolls of a file are told nevertheless, as they may. */
static bool exclusive_is_wrong(const struct epoll_event *event, s32 op, const struct ofd *o)
{
	if (!(event->events & EPOLLEXCLUSIVE))
		return false;
	return op == EPOLL_CTL_MOD ||
	       (op == EPOLL_CTL_ADD && (o->kind == OFD_EPOLL || event->events & ~EP_EXCL_OK));
}

static long item_control(struct task *t, struct epoll *ep, struct ofd *o, struct frame *f,
			 const struct epoll_event *event)
{
	u32 fd = (u32)f->arg[2];
	struct epoll_item *i = item_find(ep, o, fd);

	switch ((s32)f->arg[1]) {
	case EPOLL_CTL_ADD:
		return i ? -EEXIST : item_add(t, ep, o, fd, event);
	case EPOLL_CTL_DEL:
		if (!i)
			return -ENOENT;
		item_destroy(i);
		return 0;
	case EPOLL_CTL_MOD:
		return i ? item_modify(t, i, event) : -ENOENT;
	default:
		return -EINVAL;
	}
}

long sys_epoll_ctl(struct task *t, struct frame *f)
{
	struct epoll_event event = {0, 0};
	s32 op = (s32)f->arg[1];

	if (op != EPOLL_CTL_DEL) {
		if (user_get(event, f->arg[3]))
			return -EFAULT;
		digest_bytes(t, &event, sizeof(event));
	}
	struct ofd *of = fd_get_io(t, (u32)f->arg[0]), *o = fd_get_io(t, (u32)f->arg[2]);
	if (!of || !o)
		return -EBADF;
	if (!can_be_watched(o))
		return -EPERM;
	if (of == o || of->kind != OFD_EPOLL || exclusive_is_wrong(&event, op, o))
		return -EINVAL;
	return item_control(t, epoll_of(of), o, f, &event);
}

/* ---- epoll_wait ---- */

/* One event to the app's memory: 1, 0 if the item has nothing to tell, -EFAULT. */
static long item_tell(struct task *t, struct epoll_item *i, u64 user)
{
	struct epoll_event event = {item_now(t, i), i->data};

	if (!event.events)
		return 0;
	if (user_put(user, event))
		return -EFAULT;
	digest_bytes(t, &event, sizeof(event));
	return 1;
}

/*
 * Takes up to `max` events from the front of the ready list.  Level-triggered items go back to its
 * end, but are not looked at twice: `last` is the last one that was there at the start.
 */
static long take_events(struct task *t, struct epoll *ep, u64 user, s32 max)
{
	struct epoll_item *last = ep->ready_last, *i = NULL;
	long done = 0;

	while (ep->ready_first && i != last && done < max) {
		i = ep->ready_first;
		long r = item_tell(t, i, user + (u64)done * sizeof(struct epoll_event));
		if (r < 0)
			return done ? done : r;
		ready_remove(i);
		if (!r)
			continue;
		done++;
		if (i->events & EPOLLONESHOT)
			i->events &= EP_PRIVATE;
		else if (!(i->events & EPOLLET))
			ready_append(i);
	}
	if (ep->ready_first)
		wake_one(ep);
	return done;
}

static long epoll_park(struct task *t, struct ofd *o, u64 deadline)
{
	if (sched_wait_add(SCHED, t->index, epoll_poll_key(o), READY_BIT_EPOLL, 0) < 0) {
		sched_wait_clear(SCHED, t->index);
		return -ENOMEM;
	}
	turn_park(t, deadline);
	return 0;
}

static long epoll_run(struct task *t, struct ofd *o, u64 user, s32 max, u64 deadline)
{
	for (;;) {
		long r = take_events(t, epoll_of(o), user, max);
		if (r)
			return r;
		if (now_ns() >= deadline)
			return 0;
		if (signal_pending(t))
			return -EINTR;
		r = epoll_park(t, o, deadline);
		if (r < 0)
			return r;
	}
}

static long epoll_wait(struct task *t, struct frame *f, u64 deadline)
{
	s32 max = (s32)f->arg[2];

	if (max <= 0 || max > EP_EVENTS_MAX)
		return -EINVAL;
	struct ofd *o = fd_get_io(t, (u32)f->arg[0]);
	if (!o)
		return -EBADF;
	if (o->kind != OFD_EPOLL)
		return -EINVAL;
	long r = take_events(t, epoll_of(o), f->arg[1], max);
	if (r || now_ns() >= deadline)
		return r;
	park_hold_begin(t, o);
	r = epoll_run(t, o, f->arg[1], max, deadline);
	park_hold_end(t, o);
	return r;
}

static long epoll_wait_masked(struct task *t, struct frame *f, u64 deadline)
{
	long r = signal_mask_begin(t, f->arg[4], f->arg[5]);

	if (r < 0)
		return r;
	r = epoll_wait(t, f, deadline);
	signal_mask_end(t, r);
	return r;
}

long sys_epoll_wait(struct task *t, struct frame *f)
{
	return epoll_wait(t, f, time_limit_ms((s32)f->arg[3]).deadline_ns);
}

long sys_epoll_pwait(struct task *t, struct frame *f)
{
	return epoll_wait_masked(t, f, time_limit_ms((s32)f->arg[3]).deadline_ns);
}

long sys_epoll_pwait2(struct task *t, struct frame *f)
{
	struct time_limit limit;

	long r = time_limit_in(t, f->arg[3], LIMIT_NANO, &limit);
	return r < 0 ? r : epoll_wait_masked(t, f, limit.deadline_ns);
}
