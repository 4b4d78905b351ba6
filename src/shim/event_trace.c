/*
 * Keeps an event in the event ring: its registers, result and, as the table says, the strings and
 * bytes it read or wrote (event_record.h).  Only with --trace-events, so speed is no concern; the
 * record is built from state of the app as it is at the end of the event.
 */
#include "event.h"
#include "event_memory.h"
#include "rings.h"
#include "signal.h"
#include "syscall_nr.h"
#include "../syscall-table/event_record.h"
#include "../syscall-table/syscall_row.h"

const struct syscall_row *syscall_row_of(u64 nr);

static u32 origin_add(u8 *at, const struct task *t)
{
	const struct proc *p = proc_of(t);
	struct event_origin origin = {p->pid, p->maker, p->shares_files, 0};

	*(struct event_item *)at =
		(struct event_item){0, EVENT_ITEM_ORIGIN, sizeof(origin), sizeof(origin)};
	memcpy(at + sizeof(struct event_item), &origin, sizeof(origin));
	return sizeof(struct event_item) + sizeof(origin);
}

/* What was asked stands in the result (leaf, subleaf), the answer in the registers. */
static void cpuid_args(struct event_record *r, const struct frame *f, u64 asked)
{
	r->args[0] = asked >> 32;
	r->args[1] = asked & 0xffffffff;
	r->args[2] = f->rax;
	r->args[3] = f->rbx;
	r->args[4] = f->rcx;
	r->args[5] = f->arg[2];
}

/* Its action is what it was made: who is deaf to a fault has none (signal_force). */
static void fault_args(struct event_record *r, const struct task *t)
{
	r->args[0] = t->fault_signal;
	r->args[1] = (u64)(s64)t->fault_code;
	r->args[2] = signal_action(t->proc, (int)t->fault_signal)->handler;
	r->args[3] = t->fault_addr;
}

void event_trace(struct task *t, struct frame *f, s64 nr, long result)
{
	const struct syscall_row *row = nr >= 0 ? syscall_row_of((u64)nr) : NULL;
	const u32 max = sizeof(struct event_record) + EVENT_MEMORY_MAX + sizeof(struct event_item) +
			sizeof(struct event_origin);
	struct ring_record *rec;

	while ((rec = ring_reserve(EVENTS_RING, RING_EVENTS_SIZE, max)) == NULL)
		upcall(UPCALL_DRAIN, RING_EVENTS, 0, 0);
	struct event_record *r = (struct event_record *)rec->bytes;
	memset(r, 0, sizeof(*r));
	r->task = t->tid;
	r->number = HEAD->events;
	r->time_ns = HEAD->now_ns;
	r->nr = (s32)nr;
	r->flags = t->parked ? EVENT_PARKED : 0;
	r->result = result;
	r->digest = HEAD->probe.contents ? t->digest_out : HEAD->digest;
	u32 size = sizeof(*r);
	if (nr == EVENT_CPUID)
		cpuid_args(r, f, (u64)result);
	if (nr == EVENT_SIGNAL)
		fault_args(r, t);
	if (nr == EVENT_SPIN || nr == EVENT_YIELD)
		r->args[0] = f->rip;
	if (row != NULL) {
		for (u8 i = 0; i < row->nargs; i++)
			r->args[i] = f->arg[i];
		if (row->class == SYSCALL_REFUSED)
			r->flags |= EVENT_REFUSED;
		if (row->flags & SYSCALL_NORETURN)
			r->flags |= EVENT_NO_RESULT;
		size += event_memory((u8 *)(r + 1), nr, row, f, result);
	}
	if (t->events == 1)
		size += origin_add((u8 *)r + size, t);
	r->size_bytes = size;
	rec->size = size;
	rec->what = 0;
	ring_publish(EVENTS_RING, rec);
}
