/*
 * The wait loop: every stop of a task of the container, turned into a typed event and answered.
 *
 *	seccomp stop in the shim     upcall: answered here, the task goes on behind it
 *	seccomp stop elsewhere       a site: patched; the task goes on in the shim's entry
 *	fault in the shim's copies   goes on at their error return
 *	fault elsewhere              a listed instruction (rdtsc, a breakpoint of ours) or the app's
 *	                             own: the shim is told through the slot
 *	birth, exec, exit            the books of host tasks
 *
 * An ordinary system call does not come here.
 */
#include "container.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "../shim/mm.h"
#include "../shim/rings.h"
#include "../shim/spin.h"
#include "insn_kind.h"
#include "insn_scan.h"
#include "insn_write.h"
#include "mounts.h"
#include "output.h"
#include "patcher.h"
#include "remote_memory.h"
#include "spin_place.h"
#include "spin_watch.h"
#include "tracee.h"
#include "vsyscall.h"

#define SYSCALL_BYTES 0x050f
#define BREAKPOINT    0xcc

static void end_with(struct container *c, enum container_end end, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void end_with(struct container *c, enum container_end end, const char *format, ...)
{
	va_list ap;

	if (c->ended)
		return;
	c->ended = true;
	c->end = end;
	va_start(ap, format);
	vsnprintf(c->message, sizeof(c->message), format, ap);
	va_end(ap);
}

/*
 * A request to a stopped task that fails: -ESRCH means that somebody killed it at this stop, and
 * its end is about to be told; anything else leaves a task that would wait for us for ever.
 */
static bool good(struct container *c, pid_t tid, int error, const char *request)
{
	if (error < 0 && error != -ESRCH)
		end_with(c, CONTAINER_BUG, "cannot trace task %d any more: %s: %s", (int)tid,
			 request, strerror(-error));
	return error == 0;
}

static void resume(struct container *c, pid_t tid)
{
	good(c, tid, tracee_continue(tid), "PTRACE_CONT");
}

/* Goes on with these registers. */
static void resume_with(struct container *c, pid_t tid, const struct user_regs_struct *regs)
{
	if (good(c, tid, tracee_regs_set(tid, regs), "PTRACE_SETREGS"))
		resume(c, tid);
}

static bool regs_of(struct container *c, pid_t tid, struct user_regs_struct *ret_regs)
{
	return good(c, tid, tracee_regs_get(tid, ret_regs), "PTRACE_GETREGS");
}

static bool message_of(struct container *c, pid_t tid, unsigned long *ret_message)
{
	return good(c, tid, tracee_message(tid, ret_message), "PTRACE_GETEVENTMSG");
}

static struct task *task_of(const struct user_regs_struct *regs)
{
	uint32_t slot = container_slot_of(regs->gs_base);

	return slot != NONE ? task_at(slot) : NULL;
}

static bool in_shim(uint64_t address)
{
	return address >= SHIM_BASE && address < REGION_BASE;
}

/* The last chance to look at the task: it does not go on. */
static void end_stopped(struct container *c, pid_t tid, enum container_end end)
{
	if (c->ended)
		return;
	if (c->observer.events_drain != NULL)
		c->observer.events_drain(c->observer.data, c);
	if (c->observer.stopped != NULL)
		c->observer.stopped(c->observer.data, c, tid, end == CONTAINER_PROBED);
	end_with(c, end, "%s", "");
}

static void take_epoch(struct container *c, pid_t tid, uint32_t reason)
{
	if (c->observer.epoch_end != NULL && HEAD->epoch_number != 0)
		c->observer.epoch_end(c->observer.data, c);
	int error = c->source->next(c->source, c, reason);

	if (error == -ENODATA)
		end_stopped(c, tid, CONTAINER_NO_EPOCH);
	else if (error == -EILSEQ)
		end_stopped(c, tid, CONTAINER_DIVERGED);
	else if (error == -EINTR)
		end_with(c, CONTAINER_TOLD, "ended from outside");
	else if (error < 0)
		end_with(c, CONTAINER_BUG, "epoch source: %s", strerror(-error));
	else if (c->observer.epoch_begin != NULL)
		c->observer.epoch_begin(c->observer.data, c);
}

static void on_end(struct container *c)
{
	if (HEAD->first_error != 0)
		end_with(c, CONTAINER_NO_START, "%s", strerror((int)HEAD->first_error));
	else
		end_with(c, CONTAINER_ENDED, "%s", "");
}

static void on_drain(struct container *c, uint64_t ring, bool first)
{
	if (ring == RING_OUTPUT && first)
		output_first(c);
	else if (ring == RING_OUTPUT)
		output_drain(c);
	else if (ring == RING_CAPTURE && c->observer.capture_sync != NULL)
		c->observer.capture_sync(c->observer.data, CAPTURE_SYNC_RING);
	else if (ring == RING_EVENTS && c->observer.events_drain != NULL)
		c->observer.events_drain(c->observer.data, c);
}

/* Code that could not be looked at may hold what would show the host. */
static void check_patcher(struct container *c)
{
	const struct region_yield *bad = patcher_yield_in(c->patcher, YIELD_IMPOSSIBLE);

	if (bad != NULL)
		end_with(c, CONTAINER_STOPPED,
			 "--yield-at %s+0x%" PRIx64
			 ": no instruction starts there, or one that is an event by itself",
			 bad->object, bad->address);
	else if (patcher_error(c->patcher) < 0)
		end_with(c, CONTAINER_BUG, "cannot examine or patch the program's code: %s",
			 strerror(-patcher_error(c->patcher)));
}

/* The memory of a spinning task, for a task that cannot look at it. */
static void spin_peek(struct container *c, uint64_t slot, uint64_t address, uint64_t size)
{
	pid_t tid = slot < TASK_SLOTS_MAX ? container_host_tid(c, (uint32_t)slot) : 0;

	SPIN->peek_failed = tid == 0 || size > SPIN_BYTES_MAX ||
			    tracee_read(tid, tracee_address(address), SPIN->peeked, size) < 0;
}

/* A parked spinning task that can be named, or NULL. */
static const struct task *find_spinner(const struct container *c, pid_t *ret_tid)
{
	for (uint32_t i = 0; i < CONTAINER_TASK_TABLE; i++) {
		const struct container_task *e = &c->tasks[i];

		if (e->tid <= 0 || e->gone || e->slot >= TASK_SLOTS_MAX ||
		    task_at(e->slot)->spin == 0 || task_at(e->slot)->state != TASK_LIVE)
			continue;
		*ret_tid = e->tid;
		return task_at(e->slot);
	}
	return NULL;
}

static void end_deadlock(struct container *c)
{
	pid_t tid;
	const struct task *t = find_spinner(c, &tid);
	struct spin_place place = {.text = ""};

	if (t != NULL)
		spin_place_find(c->patcher, tid, t, t->resume, &place);
	end_with(c, CONTAINER_DEADLOCK, "deadlock: all tasks wait, and nothing can wake them%s%s",
		 t != NULL ? "; one spins at " : "", place.text);
}

static void on_upcall(struct container *c, pid_t tid, const struct user_regs_struct *regs)
{
	char text[sizeof(HEAD->bug_text)];

	switch (regs->orig_rax) {
	case UPCALL_MAP_EXEC:
		patcher_scan(c->patcher, tid, (uint32_t)regs->rdi, regs->rsi, regs->rdx);
		check_patcher(c);
		break;
	case UPCALL_SCAN_ANON:
		patcher_scan_page(tid, regs->rdi);
		break;
	case UPCALL_EPOCH:
		take_epoch(c, tid, (uint32_t)regs->rdi);
		break;
	case UPCALL_DIVERGED:
		end_stopped(c, tid, CONTAINER_DIVERGED);
		break;
	case UPCALL_SPIN_LOOK: /* behind this: on_seccomp */
		break;
	case UPCALL_SPIN_PEEK:
		spin_peek(c, regs->rdi, regs->rsi, regs->rdx);
		break;
	case UPCALL_STOP:
		end_stopped(c, tid, CONTAINER_PROBED);
		break;
	case UPCALL_DEADLOCK:
		if (regs->rdi == 0)
			end_deadlock(c);
		else if (c->observer.deadlock != NULL)
			c->observer.deadlock(c->observer.data, c);
		break;
	case UPCALL_DRAIN:
		on_drain(c, regs->rdi, regs->rsi != 0);
		break;
	case UPCALL_MOUNTS:
		HEAD->file_mounts = mounts_cover_files(tid) ? FILE_MOUNTS_SOME : FILE_MOUNTS_NONE;
		break;
	case UPCALL_HOST_TID:
		HEAD->host_tid = (uint32_t)container_host_tid(c, (uint32_t)regs->rdi);
		break;
	case UPCALL_REMOTE:
		remote_memory_copy(c, regs->rdi);
		break;
	case UPCALL_CAPTURE_SYNC:
		if (c->observer.capture_sync != NULL)
			c->observer.capture_sync(c->observer.data, (uint32_t)regs->rdi);
		break;
	case UPCALL_END:
		on_end(c);
		break;
	case UPCALL_REFUSED_INSN:
		end_with(c, CONTAINER_REFUSED,
			 "the program executed %s at 0x%llx, which is not supported: the answer "
			 "would be the host's",
			 insn_kind_name(INSN_CODE_KIND((unsigned)regs->rdi)), regs->rsi);
		break;
	case UPCALL_HOST_FAILED:
		memcpy(text, HEAD->bug_text, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		end_with(c, CONTAINER_STOPPED, "%s", text);
		break;
	default:
		memcpy(text, HEAD->bug_text, sizeof(text));
		text[sizeof(text) - 1] = '\0';
		end_with(c, CONTAINER_BUG, "broken invariant in the shim: %s", text);
	}
}

/* Exceptions of the processor, and what the error code of a page fault says. */
enum {
	TRAP_DIVIDE,
	TRAP_DEBUG,
	TRAP_INT3 = 3,
	TRAP_OPCODE = 6,
	TRAP_STACK = 12,
	TRAP_PROTECTION,
	TRAP_PAGE,
	TRAP_X87 = 16,
	TRAP_ALIGN,
	TRAP_SSE = 19,
	FAULT_WRITE = 2,
	FAULT_USER = 4,
	FAULT_FETCH = 16,
	X87_ES = 0x80,
};

/*
 * Bits of a page fault's error code, but for that of presence.  The kernel does not tell a tracer
 * whether it was a write; the instruction does.  One that goes on in a page that may not be
 * executed fails at that page's first byte.
 */
static uint64_t fault_access(pid_t tid, const struct user_regs_struct *regs, uint64_t addr)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	size_t size = sizeof(bytes);
	struct insn insn;

	while (size > 1 && tracee_read(tid, tracee_address(regs->rip), bytes, size) < 0)
		size--;
	int error = insn_decode(bytes, size, &insn);
	size_t length = error == 0 ? insn.length : sizeof(bytes);
	if (addr == regs->rip || (addr % MM_PAGE == 0 && addr - regs->rip < length))
		return FAULT_USER | FAULT_FETCH;
	bool write = error == 0 && insn_writes(bytes, &insn, regs, addr);
	return FAULT_USER | (write ? FAULT_WRITE : 0);
}

/* Unmasked exceptions of the x87 come late, with the bit ES; those of SSE do not set it. */
static bool is_x87(pid_t tid)
{
	struct user_fpregs_struct fpu;

	return ptrace(PTRACE_GETFPREGS, tid, 0, &fpu) == 0 && fpu.swd & X87_ES;
}

/* Which exception of the processor it was: the kernel tells no tracer. */
static uint32_t fault_trap(pid_t tid, const siginfo_t *info)
{
	bool by_kernel = info->si_code == SI_KERNEL;

	switch (info->si_signo) {
	case SIGFPE:
		return info->si_code == FPE_INTDIV ? TRAP_DIVIDE
		       : is_x87(tid)		   ? TRAP_X87
						   : TRAP_SSE;
	case SIGILL:
		return TRAP_OPCODE;
	case SIGTRAP:
		return by_kernel ? TRAP_INT3 : TRAP_DEBUG;
	case SIGBUS:
		return by_kernel		     ? TRAP_STACK
		       : info->si_code == BUS_ADRALN ? TRAP_ALIGN
						     : TRAP_PAGE;
	default:
		return by_kernel ? TRAP_PROTECTION : TRAP_PAGE;
	}
}

/* Hands a fault to the shim, which makes the app's signal of it. */
static void send_fault(struct container *c, pid_t tid, struct task *t,
		       struct user_regs_struct *regs, const siginfo_t *info)
{
	int sig = info->si_signo;

	t->fault_signal = (u32)sig;
	t->fault_code = info->si_code;
	t->fault_addr = (u64)info->si_addr;
	t->fault_trapno = fault_trap(tid, info);
	t->fault_err = t->fault_trapno == TRAP_PAGE ? fault_access(tid, regs, t->fault_addr) : 0;
	t->fault_tf = regs->eflags & FLAG_TF;
	regs->eflags &= ~(unsigned long long)FLAG_TF;
	t->resume = patcher_original(t, regs->rip);
	t->code = CODE_FAULT;
	regs->rip = c->shim.fault_entry;
	resume_with(c, tid, regs);
}

static void count_trapped(uint64_t nr)
{
	HEAD->trapped_events++;
	if (nr < 512)
		HEAD->call_trapped[nr]++;
}

static bool try_vsyscall(struct container *c, pid_t tid, struct user_regs_struct *regs,
			 bool trapped)
{
	struct container_task *e = container_task_get(c, tid);

	if (e == NULL || !vsyscall_enter(c, e, regs, trapped))
		return false;
	if (!trapped)
		count_trapped(regs->rax);
	resume_with(c, tid, regs);
	return true;
}

/* A breakpoint where a call through the vsyscall page returns to. */
static bool try_vsyscall_return(struct container *c, pid_t tid, struct user_regs_struct *regs)
{
	struct container_task *e = container_task_get(c, tid);

	if (e == NULL || !vsyscall_return(c, e, regs))
		return false;
	count_trapped(regs->rax);
	resume_with(c, tid, regs);
	return true;
}

static void on_site(struct container *c, pid_t tid, struct user_regs_struct *regs)
{
	struct task *t = task_of(regs);
	uint16_t insn = 0;

	if (t == NULL) {
		end_with(c, CONTAINER_BUG, "a system call of a task that is in no slot");
		return;
	}
	uint64_t site = regs->rip - 2;
	if (vsyscall_is_at(regs->rip) && try_vsyscall(c, tid, regs, true))
		return;
	if (tracee_read(tid, tracee_address(site), &insn, 2) < 0 || insn != SYSCALL_BYTES) {
		/* int 0x80 or sysenter: 32-bit calls do not exist here. */
		siginfo_t info = {.si_signo = SIGSYS, .si_code = SI_KERNEL};

		regs->orig_rax = (unsigned long long)-1;
		send_fault(c, tid, t, regs, &info);
		return;
	}
	count_trapped(regs->orig_rax);
	regs->r11 = patcher_site(c->patcher, tid, t, site);
	check_patcher(c);
	regs->rax = regs->orig_rax;
	regs->rip = c->shim.entry;
	regs->orig_rax = (unsigned long long)-1;
	resume_with(c, tid, regs);
}

static void after_look(struct container *c, pid_t tid, enum spin_verdict verdict,
		       const struct user_regs_struct *regs, int status);

/* The rest of its way out of the shim belongs to the look. */
static void look_at_pausing(struct container *c, pid_t tid, struct user_regs_struct *regs)
{
	int status = 0;

	if (!good(c, tid, tracee_regs_set(tid, regs), "PTRACE_SETREGS"))
		return;
	enum spin_verdict verdict = spin_watch_pausing(c->spin_watch, c, tid, regs, &status);
	after_look(c, tid, verdict, regs, status);
}

static void on_seccomp(struct container *c, pid_t tid)
{
	struct user_regs_struct regs;

	if (!regs_of(c, tid, &regs))
		return;
	if (regs.orig_rax >= UPCALL_BASE && regs.orig_rax < UPCALL_LIMIT && in_shim(regs.rip)) {
		bool look = regs.orig_rax == UPCALL_SPIN_LOOK;

		on_upcall(c, tid, &regs);
		if (c->enough)
			end_with(c, CONTAINER_PROBED, "%s", "");
		if (c->ended)
			return;
		regs.orig_rax = (unsigned long long)-1;
		regs.rax = 0;
		if (look)
			look_at_pausing(c, tid, &regs);
		else
			resume_with(c, tid, &regs);
		return;
	}
	on_site(c, tid, &regs);
}

/* A listed instruction that trapped by itself or through our breakpoint. */
static bool try_insn(struct container *c, pid_t tid, struct task *t, struct user_regs_struct *regs,
		     int sig)
{
	uint64_t address = sig == SIGTRAP ? regs->rip - 1 : regs->rip;
	int code = patcher_classify(tid, t, address);

	if (code < 0)
		return false;
	unsigned kind = INSN_CODE_KIND((unsigned)code);
	if (sig == SIGSEGV && kind != INSN_RDTSC && kind != INSN_RDTSCP)
		return false;
	HEAD->trapped_events++;
	t->r11 = regs->r11;
	t->resume = address + INSN_CODE_LENGTH((unsigned)code);
	t->code = (unsigned)code;
	regs->rip = c->shim.insn_entry;
	resume_with(c, tid, regs);
	return true;
}

/* An instruction that is made to trap faults; a breakpoint is the kernel's SIGTRAP (a single step
 * is not). */
static bool may_be_insn(const siginfo_t *info)
{
	return info->si_signo == SIGSEGV ||
	       (info->si_signo == SIGTRAP && info->si_code == SI_KERNEL);
}

static void on_stop(struct container *c, pid_t tid, int status);

/* The breakpoint of a yield point: its instruction is executed, then the shim is told. */
static bool try_yield(struct container *c, pid_t tid, struct task *t, struct user_regs_struct *regs)
{
	tracee_addr address = tracee_address(regs->rip - 1);
	uint8_t byte, breakpoint = BREAKPOINT;
	int status = 0;

	if (t == NULL || !patcher_yield_at(t, address.value, &byte))
		return false;
	regs->rip--;
	if (!good(c, tid, tracee_regs_set(tid, regs), "PTRACE_SETREGS") ||
	    !good(c, tid, tracee_write(tid, address, &byte, 1), "PTRACE_POKEDATA"))
		return true;
	int error = tracee_step(tid, &status);
	/* Also before a fault is told, or the task's end, which nothing can be written after. */
	tracee_write(tid, address, &breakpoint, 1);
	if (error == -ECANCELED) {
		on_stop(c, tid, status);
		return true;
	}
	HEAD->trapped_events++;
	if (!good(c, tid, error, "PTRACE_SINGLESTEP") || !regs_of(c, tid, regs))
		return true;
	t->resume = regs->rip;
	t->code = INSN_YIELD;
	regs->rip = c->shim.fault_entry;
	resume_with(c, tid, regs);
	return true;
}

/* What becomes of a task that was looked at because it may spin. */
static void after_look(struct container *c, pid_t tid, enum spin_verdict verdict,
		       const struct user_regs_struct *regs, int status)
{
	switch (verdict) {
	case SPIN_PARKS:
		resume_with(c, tid, regs);
		break;
	case SPIN_DISTURBED:
		on_stop(c, tid, status);
		break;
	case SPIN_NOT_ASKED:
	case SPIN_NO:
		resume(c, tid);
		break;
	}
}

/* A new task, or one that was asked to stop because it may spin. */
static void on_started(struct container *c, pid_t tid)
{
	struct user_regs_struct regs;
	int status = 0;

	enum spin_verdict verdict = spin_watch_stopped(c->spin_watch, c, tid, &regs, &status);
	after_look(c, tid, verdict, &regs, status);
}

static void on_signal(struct container *c, pid_t tid, int sig)
{
	struct user_regs_struct regs;

	if (sig != SIGSEGV && sig != SIGBUS && sig != SIGFPE && sig != SIGILL && sig != SIGTRAP) {
		resume(c, tid);
		return;
	}
	if (!regs_of(c, tid, &regs))
		return;
	siginfo_t info = {.si_signo = sig};
	if (!good(c, tid, tracee_siginfo(tid, &info), "PTRACE_GETSIGINFO"))
		return;
	if (sig == SIGTRAP && info.si_code == TRAP_HWBKPT) {
		int status = 0;
		enum spin_verdict verdict =
			spin_watch_trapped(c->spin_watch, c, tid, &regs, &status);

		after_look(c, tid, verdict, &regs, status);
		return;
	}
	struct task *t = task_of(&regs);
	if (info.si_code <= 0) {
		/* Inside, signals are the shim's: the kernel sends none for a program. */
		end_with(c, CONTAINER_STOPPED, "task %u got signal %d from outside",
			 t != NULL ? t->tid : 0, sig);
		return;
	}
	if (sig == SIGTRAP && try_vsyscall_return(c, tid, &regs))
		return;
	if (sig == SIGTRAP && info.si_code == SI_KERNEL && try_yield(c, tid, t, &regs))
		return;
	if (sig == SIGSEGV && vsyscall_is_at(regs.rip) && try_vsyscall(c, tid, &regs, false))
		return;
	if (regs.rip >= c->shim.usercopy_begin && regs.rip < c->shim.usercopy_end) {
		regs.rip = c->shim.usercopy_fault;
		resume_with(c, tid, &regs);
	} else if (t == NULL || in_shim(regs.rip)) {
		end_with(c, CONTAINER_BUG, "signal %d in the shim at 0x%llx, address %p", sig,
			 regs.rip, info.si_addr);
	} else if (!may_be_insn(&info) || !try_insn(c, tid, t, &regs, sig)) {
		send_fault(c, tid, t, &regs, &info);
	}
}

static void on_birth(struct container *c, pid_t parent)
{
	struct container_task *p = container_task_get(c, parent);
	unsigned long child;

	if (message_of(c, parent, &child) && p != NULL && p->slot < TASK_SLOTS_MAX) {
		uint32_t slot = task_at(p->slot)->clone_child;
		struct container_task *early = container_task_get(c, (pid_t)child);

		if (early != NULL && early->gone) {
			container_task_drop(c, early);
			if (slot < TASK_SLOTS_MAX && task_at(slot)->state == TASK_LIVE)
				end_with(c, CONTAINER_STOPPED, "task %u was killed from outside",
					 task_at(slot)->tid);
			if (slot < TASK_SLOTS_MAX)
				__atomic_store_n(&task_at(slot)->host_gone, 1, __ATOMIC_RELEASE);
		} else if (slot < TASK_SLOTS_MAX) {
			container_task_put(c, (pid_t)child, slot);
		}
	}
	resume(c, parent);
}

/* An exec by a thread that is not the leader takes the leader's id over. */
static void on_exec(struct container *c, pid_t tid)
{
	unsigned long former;
	struct container_task *old;

	if (message_of(c, tid, &former) && (pid_t)former != tid &&
	    (old = container_task_get(c, (pid_t)former)) != NULL) {
		struct container_task *leader = container_task_get(c, tid);
		uint32_t slot = old->slot;

		if (leader != NULL && leader->slot < TASK_SLOTS_MAX)
			__atomic_store_n(&task_at(leader->slot)->host_gone, 1, __ATOMIC_RELEASE);
		container_task_drop(c, old);
		container_task_put(c, tid, slot);
	}
	resume(c, tid);
}

/* Killed from outside, or by the kernel for want of memory: the container ends where it is. */
static void vanished(struct container *c, const char *who, int status)
{
	if (WIFSIGNALED(status))
		end_with(c, CONTAINER_STOPPED, "%s was killed from outside (signal %d)", who,
			 WTERMSIG(status));
	else
		end_with(c, CONTAINER_BUG, "%s ended unforeseen (status %d)", who,
			 WEXITSTATUS(status));
}

/* Before the shim's first instruction: it says why, or was killed. */
static void never_started(struct container *c, int status)
{
	if (container_first_report(c) < 0) {
		c->ended = true;
		c->end = CONTAINER_BUG;
	} else {
		vanished(c, "the first task", status);
	}
}

/*
 * Whether the task's end leaves nobody who could go on: it lived, or it was killed on its way from
 * its exit event to the kernel's exit, where it passes the turn on.
 */
static bool breaks(const struct task *t, int status)
{
	if (t->state != TASK_DEAD)
		return t->state == TASK_LIVE;
	return WIFSIGNALED(status) && t->proc < PROCS_MAX && proc_at(t->proc)->nthreads == 0;
}

static void on_exit_of(struct container *c, pid_t tid, int status)
{
	struct container_task *e = container_task_get(c, tid);
	char who[32];

	if (tid == c->init) {
		c->init = 0;
		vanished(c, "the container's init", status);
		return;
	}
	if (e == NULL) {
		container_task_put(c, tid, NONE);
		if ((e = container_task_get(c, tid)) != NULL)
			e->gone = true;
		return;
	}
	if (e->slot < TASK_SLOTS_MAX) {
		struct task *t = task_at(e->slot);

		if (breaks(t, status)) {
			snprintf(who, sizeof(who), "task %u", t->tid);
			vanished(c, who, status);
		} else if (t->state == TASK_FREE) {
			never_started(c, status);
		}
		__atomic_store_n(&t->host_gone, 1, __ATOMIC_RELEASE);
	}
	container_task_drop(c, e);
}

static void on_stop(struct container *c, pid_t tid, int status)
{
	struct tracee_event e = tracee_event_of(status);

	if (e.kind != TRACEE_EXITED)
		container_perturb(c);
	if (c->coming && tid == c->first && e.kind != TRACEE_EXITED &&
	    !good(c, tid, container_arrived(c), "PTRACE_SETOPTIONS"))
		return;
	if (c->observer.each_stop != NULL)
		c->observer.each_stop(c->observer.data);
	switch (e.kind) {
	case TRACEE_EXITED:
		on_exit_of(c, tid, e.value);
		break;
	case TRACEE_SECCOMP:
		on_seccomp(c, tid);
		break;
	case TRACEE_BIRTH:
		on_birth(c, tid);
		break;
	case TRACEE_EXEC:
		on_exec(c, tid);
		break;
	case TRACEE_SIGNAL:
		on_signal(c, tid, e.value);
		break;
	case TRACEE_STARTED:
		on_started(c, tid);
		break;
	case TRACEE_OTHER:
		resume(c, tid);
		break;
	}
}

static void between_waits(struct container *c)
{
	spin_watch_tick(c->spin_watch, c);
	if (c->source->interrupted != NULL && c->source->interrupted(c->source))
		end_with(c, CONTAINER_STOPPED, "ended from outside");
}

void container_run(struct container *c)
{
	if (spin_watch_create(&c->spin_watch) < 0) {
		end_with(c, CONTAINER_BUG, "not enough memory");
		return;
	}
	while (!c->ended) {
		int status;

		spin_watch_wait_begin(c->spin_watch);
		pid_t tid = waitpid(-1, &status, __WALL);
		int error = errno;
		spin_watch_wait_end(c->spin_watch);
		if (tid > 0)
			on_stop(c, tid, status);
		else if (error == EINTR)
			between_waits(c);
		else
			end_with(c, CONTAINER_BUG, "waitpid: %s", strerror(error));
	}
	spin_watch_destroy(c->spin_watch);
	c->spin_watch = NULL;
	output_drain(c);
}
