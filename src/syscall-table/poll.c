/*
 * poll, ppoll, select, pselect6: all four make a list of entries, wait on the keys of all of them
 * and look again after each wake.
 *
 * As in Linux (fs/select.c) a call waits for the descriptions its numbers named at its start, and
 * keeps them until it ends, but looks at what the numbers name at the time.
 *
 * Invariant: task.polled is not 0 exactly while the task's call has references.
 */
#include "ready.h"
#include "time_limit.h"
#include "../shim/signal.h"

#define POLL_ENTRIES_MAX APP_FD_MAX /* the largest RLIMIT_NOFILE of the container */
#define POLL_ALWAYS_TOLD (POLLERR | POLLHUP)
#define POLL_CHUNK	 32u
#define RLIMIT_OF_FILES	 7

/* Which answers of a file count for which set (fs/select.c). */
#define SELECT_IN     (POLLRDNORM | POLLRDBAND | POLLIN | POLLHUP | POLLERR)
#define SELECT_OUT    (POLLWRBAND | POLLWRNORM | POLLOUT | POLLERR)
#define SELECT_EXCEPT POLLPRI
#define SELECT_WORDS  (APP_FD_MAX / 64)

struct pollfd_user {
	s32 fd;
	u16 events, revents;
};
_Static_assert(sizeof(struct pollfd_user) == 8, "kernel layout");

struct poll_entry {
	u32 fd;
	u32 ofd; /* waited for; 0: nothing */
	u32 want, got;
};

/* On the stack of the task, which may never return: see poll_task_gone. */
struct poll_list {
	struct poll_entry *entries;
	u32 count;
};

static void entry_init(struct task *t, struct poll_entry *e, u32 fd, u32 want)
{
	struct ofd *o = fd_get_io(t, fd);

	e->fd = fd;
	e->want = want;
	e->ofd = o ? ofd_index(o) : 0;
}

/* Negative numbers are left out. */
static u32 entry_now(struct task *t, const struct poll_entry *e)
{
	struct ofd *o = fd_get_io(t, e->fd);

	if (!o)
		return (s32)e->fd < 0 ? 0 : POLLNVAL;
	return ready_now(t, o) & e->want;
}

/* Looks at all entries; how many have something to tell. */
static long entries_check(struct task *t, const struct poll_list *l)
{
	long ready = 0;

	for (u32 i = 0; i < l->count; i++) {
		l->entries[i].got = entry_now(t, &l->entries[i]);
		ready += l->entries[i].got != 0;
	}
	return ready;
}

static void entries_hold(struct task *t, const struct poll_list *l)
{
	t->polled = (u64)l;
	for (u32 i = 0; i < l->count; i++) {
		if (l->entries[i].ofd)
			ofd_hold(ofd_at(l->entries[i].ofd));
	}
}

void poll_task_gone(struct task *t)
{
	const struct poll_list *l = (const struct poll_list *)t->polled;

	t->polled = 0;
	for (u32 i = 0; l && i < l->count; i++) {
		if (l->entries[i].ofd)
			ofd_put(ofd_at(l->entries[i].ofd));
	}
}

static long entries_wait(struct task *t, const struct poll_list *l, u64 deadline)
{
	for (u32 i = 0; i < l->count; i++) {
		const struct poll_entry *e = &l->entries[i];
		struct ofd *o = ofd_at(e->ofd);
		const struct file_ops *ops = file_ops_of(e->ofd ? o->kind : OFD_FREE);
		if (!ops->poll_key)
			continue;
		if (sched_wait_add(SCHED, t->index, ops->poll_key(o), e->want, 0) < 0) {
			sched_wait_clear(SCHED, t->index);
			return -ENOMEM;
		}
	}
	turn_park(t, deadline);
	return 0;
}

/* Number of ready entries, 0 at the deadline, -ERESTARTNOHAND. */
static long entries_run(struct task *t, struct poll_entry *entries, u32 n, u64 deadline)
{
	const struct poll_list l = {entries, n};
	long r = 0;

	for (;;) {
		r = r ? r : entries_check(t, &l);
		if (!r && signal_pending(t))
			r = -ERESTARTNOHAND;
		if (r || now_ns() >= deadline)
			break;
		if (!t->polled)
			entries_hold(t, &l);
		r = entries_wait(t, &l, deadline);
	}
	poll_task_gone(t);
	return r;
}

/* ---- poll ---- */

static long pollfds_in(struct task *t, u64 user, u32 n, struct poll_entry *entries)
{
	struct pollfd_user chunk[POLL_CHUNK];

	for (u32 i = 0; i < n; i += POLL_CHUNK) {
		u32 count = n - i < POLL_CHUNK ? n - i : POLL_CHUNK;
		if (user_copy_in(chunk, user + i * sizeof(*chunk), count * sizeof(*chunk)))
			return -EFAULT;
		for (u32 k = 0; k < count; k++) {
			/* An output, whatever the app left there. */
			chunk[k].revents = 0;
			entry_init(t, &entries[i + k], (u32)chunk[k].fd,
				   chunk[k].events | POLL_ALWAYS_TOLD);
		}
		digest_bytes(t, chunk, count * sizeof(*chunk));
	}
	return 0;
}

static long pollfds_out(struct task *t, u64 user, u32 n, const struct poll_entry *entries)
{
	for (u32 i = 0; i < n; i++) {
		u16 revents = (u16)entries[i].got;
		u64 at = user + i * sizeof(struct pollfd_user);
		if (user_put(at + offsetof(struct pollfd_user, revents), revents))
			return -EFAULT;
		digest_u64(t, revents);
	}
	return 0;
}

static long poll_run(struct task *t, u64 user, u32 n, u64 deadline)
{
	struct poll_entry entries[POLL_ENTRIES_MAX];

	if (n > proc_of(t)->rlimits[RLIMIT_OF_FILES][0] || n > POLL_ENTRIES_MAX)
		return -EINVAL;
	long r = pollfds_in(t, user, n, entries);
	if (r < 0)
		return r;
	long ready = entries_run(t, entries, n, deadline);
	/* As Linux: the answers are written after an interruption too. */
	r = pollfds_out(t, user, n, entries);
	return r < 0 ? r : ready;
}

/* poll goes on with its old deadline after a signal that no handler saw. */
static long poll_restart(struct task *t, struct frame *f, const u64 *args)
{
	(void)f;
	long r = poll_run(t, args[0], (u32)args[1], args[2]);

	if (r != -ERESTARTNOHAND)
		return r;
	return signal_set_restart(t, poll_restart, args[0], args[1], args[2], 0);
}

long sys_poll(struct task *t, struct frame *f)
{
	struct time_limit limit = time_limit_ms((s32)f->arg[2]);
	u64 args[4] = {f->arg[0], (u32)f->arg[1], limit.deadline_ns, 0};

	return poll_restart(t, f, args);
}

long sys_ppoll(struct task *t, struct frame *f)
{
	struct time_limit limit;

	long r = time_limit_in(t, f->arg[2], LIMIT_NANO, &limit);
	if (!r)
		r = signal_mask_begin(t, f->arg[3], f->arg[4]);
	if (r < 0)
		return r;
	r = poll_run(t, f->arg[0], (u32)f->arg[1], limit.deadline_ns);
	signal_mask_end(t, r);
	return time_limit_out(t, &limit, r);
}

/* ---- select ---- */

enum { SET_IN, SET_OUT, SET_EXCEPT, SETS };

static const u32 events_of_set[SETS] = {SELECT_IN, SELECT_OUT, SELECT_EXCEPT};

struct fd_sets {
	u64 bits[SETS][SELECT_WORDS];
};

static long sets_in(struct task *t, const u64 *user, u64 size, struct fd_sets *ret)
{
	memset(ret, 0, sizeof(*ret));
	for (u32 s = 0; s < SETS; s++) {
		if (user[s] && user_copy_in(ret->bits[s], user[s], size))
			return -EFAULT;
		digest_bytes(t, ret->bits[s], size);
	}
	return 0;
}

static long sets_out(struct task *t, const u64 *user, u64 size, const struct fd_sets *sets)
{
	for (u32 s = 0; s < SETS; s++) {
		if (user[s] && user_copy_out(user[s], sets->bits[s], size))
			return -EFAULT;
		digest_bytes(t, sets->bits[s], size);
	}
	return 0;
}

static bool set_has(const u64 *set, u32 fd)
{
	return set[fd / 64] >> fd % 64 & 1;
}

/* One entry for every number in any set.  -EBADF if one is not open. */
static long sets_entries(struct task *t, const struct fd_sets *sets, u32 n,
			 struct poll_entry *entries, u32 *ret_count)
{
	u32 count = 0;

	for (u32 fd = 0; fd < n; fd++) {
		u32 want = 0;
		for (u32 s = 0; s < SETS; s++)
			want |= set_has(sets->bits[s], fd) ? events_of_set[s] : 0;
		if (!want)
			continue;
		entry_init(t, &entries[count], fd, want);
		if (!entries[count++].ofd)
			return -EBADF;
	}
	*ret_count = count;
	return 0;
}

/* Leaves in the sets what is ready; how many bits that is. */
static long sets_result(struct fd_sets *sets, const struct poll_entry *entries, u32 n)
{
	struct fd_sets given = *sets;
	long bits = 0;

	memset(sets, 0, sizeof(*sets));
	for (u32 i = 0; i < n; i++) {
		u32 fd = entries[i].fd;
		for (u32 s = 0; s < SETS; s++) {
			u32 events = events_of_set[s] | POLLNVAL;
			if (!set_has(given.bits[s], fd) || !(entries[i].got & events))
				continue;
			sets->bits[s][fd / 64] |= 1ull << fd % 64;
			bits++;
		}
	}
	return bits;
}

static long select_run(struct task *t, struct frame *f, u64 deadline)
{
	struct poll_entry entries[POLL_ENTRIES_MAX];
	struct fd_sets sets;
	s32 n = (s32)f->arg[0];
	u32 count;

	if (n < 0)
		return -EINVAL;
	if (n > APP_FD_MAX)
		n = APP_FD_MAX;
	u64 size = ((u64)n + 63) / 64 * 8;
	long r = sets_in(t, &f->arg[1], size, &sets);
	if (!r)
		r = sets_entries(t, &sets, (u32)n, entries, &count);
	if (!r)
		r = entries_run(t, entries, count, deadline);
	if (r < 0)
		return r;
	long bits = sets_result(&sets, entries, count);
	r = sets_out(t, &f->arg[1], size, &sets);
	return r < 0 ? r : bits;
}

long sys_select(struct task *t, struct frame *f)
{
	struct time_limit limit;

	long r = time_limit_in(t, f->arg[4], LIMIT_MICRO, &limit);
	if (r < 0)
		return r;
	r = select_run(t, f, limit.deadline_ns);
	return time_limit_out(t, &limit, r);
}

long sys_pselect6(struct task *t, struct frame *f)
{
	struct {
		u64 mask, size;
	} sig = {0, 0};
	struct time_limit limit;

	if (f->arg[5] && user_get(sig, f->arg[5]))
		return -EFAULT;
	digest_bytes(t, &sig, sizeof(sig));
	long r = time_limit_in(t, f->arg[4], LIMIT_NANO, &limit);
	if (!r)
		r = signal_mask_begin(t, sig.mask, sig.size);
	if (r < 0)
		return r;
	r = select_run(t, f, limit.deadline_ns);
	signal_mask_end(t, r);
	return time_limit_out(t, &limit, r);
}
