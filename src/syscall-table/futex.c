/*
 * Futexes, emulated on the scheduler's wait keys: FIFO queues per word, timeouts in virtual time.
 *
 * A word in a shared mapping is named by the mapped object and offset, any other by address space
 * and address; so FUTEX_PRIVATE_FLAG needs no rule of its own, except that it skips the look-up of
 * the mapping, as in Linux.
 */
#include <asm/mman.h>
#include <linux/futex.h>
#include "../shim/event.h"
#include "../shim/mm.h"
#include "../shim/process.h"
#include "../shim/signal.h"
#include "syscall_handlers.h"

#define KEY_PRIVATE (1ull << 63)

#define SECOND_NS 1000000000ull

/*
 * Of a word that others may share, Linux looks the page up, to write it if the call will; one of
 * nobody else's that cannot change is none for a futex.
 */
static bool is_there(const struct task *t, u64 addr, bool write)
{
	const struct vma *v = vma_find(mm_of(t), addr);

	if (v == NULL)
		return false;
	return v->prot & (write || v->file == 0 ? PROT_WRITE : PROT_READ);
}

static long futex_key(struct task *t, u64 addr, bool private, bool write, struct sched_key *ret)
{
	u64 object, offset;

	if (addr & 3)
		return -EINVAL;
	if (addr >= APP_ADDR_MAX)
		return -EFAULT;
	if (!private && !is_there(t, addr, write))
		return -EFAULT;
	if (!private && mm_shared_object(t, addr, &object, &offset))
		*ret = (struct sched_key){object, offset};
	else
		*ret = (struct sched_key){KEY_PRIVATE | proc_of(t)->mm, addr};
	return 0;
}

/* Reads the timeout of a wait: relative to now or absolute; SCHED_NEVER without one. */
static long wait_deadline(struct task *t, u64 addr, int op, bool realtime, u64 *ret)
{
	s64 ts[2];

	*ret = SCHED_NEVER;
	if (addr == 0)
		return 0;
	if (user_get(ts, addr) < 0)
		return -EFAULT;
	digest_bytes(t, ts, sizeof(ts));
	if (ts[0] < 0 || ts[1] < 0 || ts[1] >= (s64)SECOND_NS)
		return -EINVAL;
	if (ts[0] > 8000000000)
		return 0;
	u64 ns = (u64)ts[0] * SECOND_NS + (u64)ts[1];
	if (op == FUTEX_WAIT)
		*ret = now_ns() + ns;
	else
		*ret = realtime ? ns : ns + clock_monotonic_base();
	return 0;
}

/* What a wait that was interrupted needs to go on. */
struct futex_waiting {
	u64 addr;
	u64 deadline;
	u32 expected, bits;
	u64 private;
};
_Static_assert(sizeof(struct futex_waiting) == 4 * sizeof(u64), "what a restart keeps");

static long futex_wait_restart(struct task *t, struct frame *f, const u64 *args);

static long wait_until(struct task *t, const struct futex_waiting *w)
{
	struct sched_key key;
	u64 args[4];
	u32 value;
	u64 deadline = w->deadline;
	long error = futex_key(t, w->addr, w->private, false, &key);

	if (error < 0)
		return error;
	if (user_get(value, w->addr) < 0)
		return -EFAULT;
	if (value != w->expected)
		return -EAGAIN;
	if (deadline <= now_ns())
		return -ETIMEDOUT;
	if (sched_wait_add(SCHED, t->index, key, w->bits, 0) < 0)
		return -ENOMEM;
	switch (turn_park(t, deadline)) {
	case SCHED_WOKEN_KEY:
		return 0;
	case SCHED_TIMEOUT:
		return -ETIMEDOUT;
	default:
		break;
	}
	if (deadline == SCHED_NEVER)
		return -ERESTARTSYS;
	memcpy(args, w, sizeof(args));
	return signal_set_restart(t, futex_wait_restart, args[0], args[1], args[2], args[3]);
}

static long futex_wait_restart(struct task *t, struct frame *f, const u64 *args)
{
	struct futex_waiting w;

	(void)f;
	memcpy(&w, args, sizeof(w));
	return wait_until(t, &w);
}

static long futex_wait(struct task *t, struct frame *f, int op, bool private, bool realtime)
{
	struct futex_waiting w = {
		.addr = f->arg[0],
		.expected = (u32)f->arg[2],
		.bits = op == FUTEX_WAIT_BITSET ? (u32)f->arg[5] : FUTEX_BITSET_MATCH_ANY,
		.private = private,
	};

	long error = wait_deadline(t, f->arg[3], op, realtime, &w.deadline);
	if (error < 0)
		return error;
	if (realtime && op == FUTEX_WAIT)
		return -ENOSYS;
	return w.bits == 0 ? -EINVAL : wait_until(t, &w);
}

static long futex_requeue(struct task *t, struct frame *f, bool private, bool compare)
{
	struct sched_key from, to = {0};
	u32 value;

	if ((s32)f->arg[2] < 0 || (s32)f->arg[3] < 0)
		return -EINVAL;
	long error = futex_key(t, f->arg[0], private, false, &from);
	if (error == 0)
		error = futex_key(t, f->arg[4], private, true, &to);
	if (error < 0)
		return error;
	if (compare) {
		if (user_get(value, f->arg[0]) < 0)
			return -EFAULT;
		if (value != (u32)f->arg[5])
			return -EAGAIN;
	}
	u32 woken = sched_key_wake(SCHED, from, (u32)f->arg[2], ~0u, t->index);
	u32 moved = sched_key_requeue(SCHED, from, to, (u32)f->arg[3]);
	return woken + moved;
}

static bool wake_op_compare(u32 old, u32 cmp, u32 arg)
{
	switch (cmp) {
	case FUTEX_OP_CMP_EQ:
		return old == arg;
	case FUTEX_OP_CMP_NE:
		return old != arg;
	case FUTEX_OP_CMP_LT:
		return (s32)old < (s32)arg;
	case FUTEX_OP_CMP_LE:
		return (s32)old <= (s32)arg;
	case FUTEX_OP_CMP_GT:
		return (s32)old > (s32)arg;
	default:
		return (s32)old >= (s32)arg;
	}
}

static u32 wake_op_value(u32 old, u32 op, u32 arg)
{
	switch (op) {
	case FUTEX_OP_SET:
		return arg;
	case FUTEX_OP_ADD:
		return old + arg;
	case FUTEX_OP_OR:
		return old | arg;
	case FUTEX_OP_ANDN:
		return old & ~arg;
	default:
		return old ^ arg;
	}
}

static u32 sign_extend12(u32 v)
{
	return (u32)((s32)(v << 20) >> 20);
}

/* Linux counts after it woke one. */
static u32 wake_count(u64 arg)
{
	s32 count = (s32)arg;

	return count <= 0 ? 1 : (u32)count;
}

static long futex_wake_op(struct task *t, struct frame *f, bool private)
{
	struct sched_key key, key2 = {0};
	u32 code = (u32)f->arg[5], old;
	u32 op = code >> 28 & 7, cmp = code >> 24 & 15;
	u32 arg = sign_extend12(code >> 12 & 0xfff), cmp_arg = sign_extend12(code & 0xfff);
	long error = futex_key(t, f->arg[0], private, false, &key);

	if (error == 0)
		error = futex_key(t, f->arg[4], private, true, &key2);
	if (error < 0)
		return error;
	if (op > FUTEX_OP_XOR)
		return -ENOSYS;
	if (code >> 31)
		arg = 1u << (arg & 31);
	if (user_get(old, f->arg[4]) < 0)
		return -EFAULT;
	u32 value = wake_op_value(old, op, arg);
	if (user_put(f->arg[4], value) < 0)
		return -EFAULT;
	/* As Linux, which finds that out when the operation is done. */
	if (cmp > FUTEX_OP_CMP_GE)
		return -ENOSYS;
	u32 woken = sched_key_wake(SCHED, key, wake_count(f->arg[2]), ~0u, t->index);
	if (wake_op_compare(old, cmp, cmp_arg))
		woken += sched_key_wake(SCHED, key2, wake_count(f->arg[3]), ~0u, t->index);
	return woken;
}

static long futex_wake(struct task *t, struct frame *f, u32 bits, bool private)
{
	struct sched_key key;

	if (bits == 0)
		return -EINVAL;
	long error = futex_key(t, f->arg[0], private, false, &key);
	if (error < 0)
		return error;
	return sched_key_wake(SCHED, key, wake_count(f->arg[2]), bits, t->index);
}

long sys_futex(struct task *t, struct frame *f)
{
	/* FUTEX_WAIT is refused behind a look at its timeout. */
	const u64 may_be_realtime = 1ull << FUTEX_WAIT | 1ull << FUTEX_WAIT_BITSET |
				    1ull << FUTEX_WAIT_REQUEUE_PI | 1ull << FUTEX_LOCK_PI2;
	u32 op = (u32)f->arg[1] & FUTEX_CMD_MASK;
	bool private = f->arg[1] & FUTEX_PRIVATE_FLAG, realtime = f->arg[1] & FUTEX_CLOCK_REALTIME;

	if (realtime && (op >= 64 || !(may_be_realtime >> op & 1)))
		return -ENOSYS;

	switch (op) {
	case FUTEX_WAIT:
	case FUTEX_WAIT_BITSET:
		return futex_wait(t, f, op, private, realtime);
	case FUTEX_WAKE:
		return futex_wake(t, f, FUTEX_BITSET_MATCH_ANY, private);
	case FUTEX_WAKE_BITSET:
		return futex_wake(t, f, (u32)f->arg[5], private);
	case FUTEX_REQUEUE:
		return futex_requeue(t, f, private, false);
	case FUTEX_CMP_REQUEUE:
		return futex_requeue(t, f, private, true);
	case FUTEX_WAKE_OP:
		return futex_wake_op(t, f, private);
	default:
		HEAD->refused_count[202]++;
		return -ENOSYS;
	}
}

void futex_wake_word(struct task *t, u64 addr, u32 n)
{
	struct sched_key key;

	if (futex_key(t, addr, false, false, &key) == 0)
		sched_key_wake(SCHED, key, n, ~0u, t->index);
}

/* Entries of a robust list say in their lowest bit that the futex is one of priorities. */
#define ROBUST_PI 1ull

/*
 * One entry of a robust list (kernel/futex/core.c, handle_futex_death); false ends the walk.  The
 * pending one may be released already, but who waits for it not yet woken.
 */
static bool robust_death(struct task *t, u64 word, bool pi, bool pending)
{
	u32 value;

	if (word % sizeof(value) != 0 || user_get(value, word) < 0)
		return false;
	u32 owner = value & FUTEX_TID_MASK;
	if (pending && !pi && owner == 0)
		futex_wake_word(t, word, 1);
	if (owner != t->tid)
		return true;
	u32 dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
	if (user_put(word, dead) < 0)
		return false;
	if (!pi && value & FUTEX_WAITERS)
		futex_wake_word(t, word, 1);
	return true;
}

void futex_exit_robust(struct task *t)
{
	struct {
		u64 next;
		u64 offset;
		u64 pending;
	} head;

	if (user_get(head, t->robust_list) < 0)
		return;
	u64 entry = head.next, pending = head.pending & ~ROBUST_PI;
	for (int i = 0; i < 2048 && (entry & ~ROBUST_PI) != t->robust_list; i++) {
		u64 next, at = entry & ~ROBUST_PI;
		bool more = user_get(next, at) == 0;

		if (at != pending && !robust_death(t, at + head.offset, entry & ROBUST_PI, false))
			return;
		if (!more)
			return;
		entry = next;
	}
	if (pending != 0)
		robust_death(t, pending + head.offset, head.pending & ROBUST_PI, true);
}
