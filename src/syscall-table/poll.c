/*
 * poll, ppoll, select, pselect6: descriptors are asked for their readiness; if none is ready the
 * task waits on the keys of all of them and asks again when woken.  Time-outs are virtual.
 */
#include <linux/poll.h>
#include "../shim/signal.h"
#include "files.h"
#include "syscall_handlers.h"

#define SECOND_NS 1000000000ull

static u32 events_of(struct task *t, const struct pollfd *p)
{
	if (p->fd < 0)
		return 0;
	struct ofd *o = fd_get_io(t, (u32)p->fd);
	if (o == NULL)
		return POLLNVAL;
	const struct file_ops *ops = file_ops_of(o->kind);
	u32 events = ops->poll != NULL ? ops->poll(t, o) : POLLIN | POLLOUT | POLLRDNORM | POLLWRNORM;
	return events & ((u32)(u16)p->events | POLLERR | POLLHUP);
}

static u32 ask_all(struct task *t, struct pollfd *fds, u32 n)
{
	u32 ready = 0;

	for (u32 i = 0; i < n; i++) {
		fds[i].revents = (short)events_of(t, &fds[i]);
		ready += fds[i].revents != 0;
	}
	return ready;
}

static long wait_all(struct task *t, const struct pollfd *fds, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		struct ofd *o = fds[i].fd < 0 ? NULL : fd_get_io(t, (u32)fds[i].fd);
		const struct file_ops *ops = o != NULL ? file_ops_of(o->kind) : NULL;

		if (ops == NULL || ops->poll_key == NULL)
			continue;
		if (sched_wait_add(SCHED, t->index, ops->poll_key(o), ~0u, 0) < 0) {
			sched_wait_clear(SCHED, t->index);
			return -ENOMEM;
		}
	}
	return 0;
}

/* Number of ready descriptors, 0 at the deadline, -ERESTARTNOHAND when interrupted. */
static long poll_until(struct task *t, struct pollfd *fds, u32 n, u64 deadline)
{
	for (;;) {
		u32 ready = ask_all(t, fds, n);

		if (ready != 0 || deadline <= now_ns())
			return ready;
		long r = wait_all(t, fds, n);
		if (r < 0)
			return r;
		if (turn_park(t, deadline) == -EINTR)
			return -ERESTARTNOHAND;
	}
}

static u64 deadline_after(u64 ns)
{
	return now_ns() + ns < ns ? SCHED_NEVER : now_ns() + ns;
}

/* Reads a timeout of two words; unit: ns in one of the second word.  SCHED_NEVER without one. */
static long get_deadline(struct task *t, u64 addr, u64 unit, u64 *ret)
{
	s64 v[2];

	*ret = SCHED_NEVER;
	if (addr == 0)
		return 0;
	if (user_get(v, addr) < 0)
		return -EFAULT;
	digest_bytes(t, v, sizeof(v));
	if (v[0] < 0 || v[1] < 0 || (unit == 1 && v[1] >= (s64)SECOND_NS))
		return -EINVAL;
	if (v[0] < 8000000000)
		*ret = deadline_after((u64)v[0] * SECOND_NS + (u64)v[1] * unit);
	return 0;
}

/* Linux writes back what is left of the timeout. */
static void put_rest(struct task *t, u64 addr, u64 unit, u64 deadline)
{
	if (addr == 0 || deadline == SCHED_NEVER)
		return;
	u64 rest = deadline > now_ns() ? deadline - now_ns() : 0;
	s64 v[2] = {(s64)(rest / SECOND_NS), (s64)(rest % SECOND_NS / unit)};
	if (user_put(addr, v) == 0)
		digest_bytes(t, v, sizeof(v));
}

static long poll_call(struct task *t, u64 addr, u64 n, u64 deadline)
{
	if (n > APP_FD_MAX)
		return -EINVAL;
	struct pollfd *fds = heap_alloc(n * sizeof(*fds) + 1);
	long r = user_copy_in(fds, addr, n * sizeof(*fds));
	if (r == 0) {
		digest_bytes(t, fds, n * sizeof(*fds));
		r = poll_until(t, fds, (u32)n, deadline);
	}
	if (r >= 0) {
		digest_bytes(t, fds, n * sizeof(*fds));
		if (user_copy_out(addr, fds, n * sizeof(*fds)) < 0)
			r = -EFAULT;
	}
	heap_free(fds);
	return r;
}

long sys_poll(struct task *t, struct frame *f)
{
	s32 ms = (s32)f->arg[2];

	return poll_call(t, f->arg[0], (u32)f->arg[1],
			 ms < 0 ? SCHED_NEVER : deadline_after((u64)ms * 1000000));
}

long sys_ppoll(struct task *t, struct frame *f)
{
	u64 deadline;
	long r = get_deadline(t, f->arg[2], 1, &deadline);

	if (r == 0)
		r = signal_mask_begin(t, f->arg[3], f->arg[4]);
	if (r < 0)
		return r;
	r = poll_call(t, f->arg[0], (u32)f->arg[1], deadline);
	put_rest(t, f->arg[2], 1, deadline);
	signal_mask_end(t, r);
	return r;
}

/* ---- select ---- */

#define SET_WORDS (APP_FD_MAX / 64)

struct sets {
	u64 set[3][SET_WORDS]; /* read, write, exceptional */
};

static const u32 select_events[3] = {POLLIN | POLLRDNORM | POLLHUP | POLLERR,
				     POLLOUT | POLLWRNORM | POLLERR, POLLPRI};

static bool in_set(const struct sets *s, int which, u32 fd)
{
	return s->set[which][fd / 64] >> (fd % 64) & 1;
}

static long sets_in(struct task *t, struct sets *s, u32 n, const u64 *addr)
{
	u64 bytes = (n + 63) / 64 * 8;

	memset(s, 0, sizeof(*s));
	for (int i = 0; i < 3; i++) {
		if (addr[i] == 0)
			continue;
		if (user_copy_in(s->set[i], addr[i], bytes) < 0)
			return -EFAULT;
		digest_bytes(t, s->set[i], bytes);
	}
	return 0;
}

static u32 sets_to_fds(const struct sets *s, u32 n, struct pollfd *fds)
{
	u32 count = 0;

	for (u32 fd = 0; fd < n; fd++) {
		u32 events = 0;

		for (int i = 0; i < 3; i++)
			events |= in_set(s, i, fd) ? select_events[i] : 0;
		if (events != 0)
			fds[count++] = (struct pollfd){(int)fd, (short)events, 0};
	}
	return count;
}

/* Number of bits set in the answer. */
static long fds_to_sets(const struct sets *want, struct sets *ret, const struct pollfd *fds, u32 n)
{
	long bits = 0;

	memset(ret, 0, sizeof(*ret));
	for (u32 i = 0; i < n; i++) {
		u32 fd = (u32)fds[i].fd;

		for (int k = 0; k < 3; k++) {
			if (!in_set(want, k, fd) || !((u32)(u16)fds[i].revents & select_events[k]))
				continue;
			ret->set[k][fd / 64] |= 1ull << (fd % 64);
			bits++;
		}
	}
	return bits;
}

static long select_run(struct task *t, const struct sets *want, struct sets *ret, u32 n,
		       struct pollfd *fds, u64 deadline)
{
	u32 count = sets_to_fds(want, n, fds);

	for (u32 i = 0; i < count; i++) {
		if (fd_get_io(t, (u32)fds[i].fd) == NULL)
			return -EBADF;
	}
	long r = poll_until(t, fds, count, deadline);
	return r < 0 ? r : fds_to_sets(want, ret, fds, count);
}

static long select_call(struct task *t, u64 nfds, const u64 *addr, u64 deadline)
{
	struct sets want, have;
	u32 n = nfds > APP_FD_MAX ? APP_FD_MAX : (u32)nfds;

	if ((s32)nfds < 0)
		return -EINVAL;
	long r = sets_in(t, &want, n, addr);
	if (r < 0)
		return r;
	struct pollfd *fds = heap_alloc(n * sizeof(*fds) + 1);
	r = select_run(t, &want, &have, n, fds, deadline);
	heap_free(fds);
	for (int i = 0; i < 3 && r >= 0; i++) {
		u64 bytes = (n + 63) / 64 * 8;

		if (addr[i] == 0)
			continue;
		digest_bytes(t, have.set[i], bytes);
		if (user_copy_out(addr[i], have.set[i], bytes) < 0)
			r = -EFAULT;
	}
	return r;
}

long sys_select(struct task *t, struct frame *f)
{
	u64 deadline;
	long r = get_deadline(t, f->arg[4], 1000, &deadline);

	if (r < 0)
		return r;
	r = select_call(t, f->arg[0], f->arg + 1, deadline);
	put_rest(t, f->arg[4], 1000, deadline);
	return r;
}

long sys_pselect6(struct task *t, struct frame *f)
{
	u64 mask[2] = {0, 0}, deadline;
	long r = get_deadline(t, f->arg[4], 1, &deadline);

	if (r == 0 && f->arg[5] != 0)
		r = user_get(mask, f->arg[5]);
	if (r == 0)
		r = signal_mask_begin(t, mask[0], mask[1]);
	if (r < 0)
		return r;
	r = select_call(t, f->arg[0], f->arg + 1, deadline);
	put_rest(t, f->arg[4], 1, deadline);
	signal_mask_end(t, r);
	return r;
}
