/*
 * Where every event passes: a system call through its row of the table, a listed instruction, a
 * fault.  Folds the event, charges it, then does the rare work and delivers signals.
 *
 * Invariant: whether the event came through a patched site or a stop of the tracer cannot be told
 * from anything done here.
 */
#include "code_pages.h"
#include "event.h"
#include "insn.h"
#include "signal.h"
#include "spin.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "../syscall-table/syscall_row.h"
#include "../syscall-table/event_record.h"
#include "../syscall-table/scarce.h"
#include "../syscall-table/seccomp.h"
#include "../tracer/insn_kind.h"

static const struct syscall_row rows[SYSCALL_NR_END] = {
#include "syscall_dispatch.inc"
};

/* The row of a call for event_trace; NULL for numbers beyond the table. */
const struct syscall_row *syscall_row_of(u64 nr);

const struct syscall_row *syscall_row_of(u64 nr)
{
	return nr < SYSCALL_NR_END ? &rows[nr] : NULL;
}

static long refuse(const struct syscall_row *row, u64 nr)
{
	if (nr < 512)
		HEAD->refused_count[nr]++;
	return row != NULL && row->error != 0 ? -(long)row->error : -ENOSYS;
}

static void take_signals(struct task *t, struct frame *f, long result)
{
	signal_deliver(t, f, result);
	if (proc_of(t)->exiting)
		turn_exit(t, true);
}

/* The event up to its signals; whoever calls it takes these. */
static inline void event_close(struct task *t, struct frame *f, s64 nr, long result, u64 word)
{
	bool slice_over;
	bool rare = event_fold(t, event_word(word, nr, result), &slice_over);

	if (__builtin_expect(HEAD->config.trace_events, 0))
		event_trace(t, f, nr, result);
	if (__builtin_expect(rare, 0))
		event_slow(t, slice_over);
}

static void event_finish(struct task *t, struct frame *f, s64 nr, long result, u64 word)
{
	event_close(t, f, nr, result, word);
	if (__builtin_expect(signal_pending(t), 0))
		take_signals(t, f, result);
	else if (__builtin_expect((u64)(result + ERESTART_RESTARTBLOCK) <= 4, 0))
		f->rax = (u64)signal_finish_result(t, f, result);
}

static inline __attribute__((always_inline)) void call_row(struct task *t, struct frame *f, u64 nr)
{
	const struct syscall_row *row = &rows[nr];
	long result;

	event_begin(t, f);
	HEAD->call_count[nr]++;
	if (row->handler != 0)
		result = row->handler(t, f);
	else
		result = refuse(row, nr);
	if (!(row->flags & SYSCALL_FRAME) || result < 0)
		f->rax = (u64)result;
	event_finish(t, f, (s64)nr, result, event_args_word(f->arg, row->nargs));
}

static void call_unknown(struct task *t, struct frame *f, u64 nr)
{
	event_begin(t, f);
	if (nr < 512)
		HEAD->call_count[nr]++;
	f->rax = (u64)refuse(NULL, nr);
	event_finish(t, f, (s64)nr, (long)f->rax, event_args_word(f->arg, 0));
}

/*
 * A filter of the app's own forbids the call.  Its result is never one of an interrupted call's
 * internal codes, though it may be the same number.
 */
static void call_denied(struct task *t, struct frame *f, u64 nr, u32 verdict)
{
	unsigned nargs = nr < SYSCALL_NR_END ? rows[nr].nargs : 0;

	event_begin(t, f);
	if (nr < 512)
		HEAD->call_count[nr]++;
	long result = seccomp_deny(t, f, verdict);
	event_close(t, f, (s64)nr, result, event_args_word(f->arg, nargs));
	if (signal_pending(t))
		take_signals(t, f, 0);
}

/* There is no memory for the call. */
static void call_scarce(struct task *t, struct frame *f, u64 nr, long error)
{
	event_begin(t, f);
	HEAD->call_count[nr]++;
	f->rax = (u64)error;
	event_finish(t, f, (s64)nr, error, event_args_word(f->arg, rows[nr].nargs));
}

/* Every call of a task under filters or while memory is scarce, and of the others those beyond the
 * table. */
static __attribute__((noinline)) void call_checked(struct task *t, struct frame *f)
{
	u64 nr = f->nr;
	u32 verdict = seccomp_verdict(t, f);
	long error = heap_scarce() ? scarce_error(t, f) : 0;

	if (!seccomp_allows(verdict))
		call_denied(t, f, nr, verdict);
	else if (error < 0)
		call_scarce(t, f, nr, error);
	else if (nr < SYSCALL_NR_END)
		call_row(t, f, nr);
	else
		call_unknown(t, f, nr);
}

void shim_dispatch(struct frame *f);

void shim_dispatch(struct frame *f)
{
	struct task *t = current();
	u64 nr = f->nr;

	/* calls_end is in the task so that filters, and looking for memory, cost nothing where
	 * there are none, and enough: seccomp.c. */
	if (__builtin_expect(nr < t->calls_end, 1))
		call_row(t, f, nr);
	else
		call_checked(t, f);
}

void shim_dispatch_insn(struct frame *f);

void shim_dispatch_insn(struct frame *f)
{
	struct task *t = current();

	u32 code = (u32)f->nr;

	f->nr = ~0ull; /* not a call: nothing to restart */
	if ((code & 0xff) == CODE_FAULT) {
		f->rflags |= t->fault_tf;
		if (code_fault(t, f))
			return;
	}
	event_begin(t, f);
	if ((code & 0xff) == CODE_FAULT) {
		signal_fault(t, f);
		event_finish(t, f, EVENT_SIGNAL, 0, t->fault_signal);
		return;
	}
	if ((code & 0xff) == CODE_SPIN) {
		digest_bytes(t, f, offsetof(struct frame, resume));
		spin_park(t);
		event_finish(t, f, EVENT_SPIN, 0, 0);
		return;
	}
	if (INSN_CODE_KIND(code) == INSN_YIELD) {
		digest_u64(t, f->rip);
		turn_yield_idle(t);
		event_finish(t, f, EVENT_YIELD, 0, 0);
		return;
	}
	if (INSN_CODE_KIND(code) == INSN_PAUSE) {
		bool look = turn_pause(t);
		event_finish(t, f, EVENT_PAUSE, 0, 0);
		if (look)
			upcall(UPCALL_SPIN_LOOK, 0, 0, 0);
		return;
	}
	u64 word = 0;
	s64 event = insn_emulate(t, f, code, &word);
	event_finish(t, f, event, (long)word, 0);
}

void shim_bug(const char *what, u64 detail)
{
	size_t len = 0;

	str_format(HEAD->bug_text, sizeof(HEAD->bug_text), &len, "%s (%lu)", what, detail);
	upcall(UPCALL_BUG, detail, 0, 0);
	for (;;)
		SYS1(231, 125);
}

void shim_host_failed(const char *what)
{
	size_t len = 0;

	str_format(HEAD->bug_text, sizeof(HEAD->bug_text), &len, "%s", what);
	upcall(UPCALL_HOST_FAILED, 0, 0, 0);
	for (;;)
		SYS1(231, 125);
}

void sched_bug(uint32_t task, const char *what)
{
	shim_bug(what, task);
}
