/*
 * See spin_watch.h.
 *
 *	timer --> tick: no event since the last one, and the holder of the turn used its processor
 *	          in user mode meanwhile --> asked to stop --> stopped: sampled, perhaps examined
 *
 * A sample is the registers alone (20 us).  Two equal samples are a reason to examine a task at
 * length: a computation never shows the same registers twice, a fixed point soon does.  Without
 *that reason a task is examined only briefly, and only as long as such examinations that found
 *nothing have cost less than a thousandth of the time.  Asking a task to stop can shorten a system
 *call, so only one that computes is asked.
 */
#include "spin_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <time.h>
#include <unistd.h>

#include "../scheduler/scheduler.h"
#include "../shim/code_pages.h"
#include "container.h"
#include "patch_plan.h"
#include "patcher.h"
#include "spin_access.h"
#include "spin_bare.h"
#include "spin_cycle.h"
#include "spin_place.h"
#include "tracee.h"

#define MS 1000000ull

#define TICK_NS	     (10 * MS)
#define TICK_SLOW_NS (40 * MS) /* where events have come without a pause for long */
#define BUSY_TICKS   50
#define LOOK_MOST_NS (60 * MS) /* between two looks, of the task's processor time */
#define SAMPLES	     128
#define STEPS_BRIEF  72
#define STEPS_LONG   20000
#define STEPS_PAUSE  2048 /* of a loop that pauses; its length decides, so never the time */
#define STEPS_SHIM   4096 /* out of it */
#define PLACES	     6000 /* executed for a report */
/* What examinations that find nothing may cost: this much, and a thousandth of the time. */
#define COST_FREE_NS  (2 * MS)
#define COST_FRACTION 1000
#define REPORT_NS     (2000 * MS)

#define TRAPS	      256 /* tasks that have one, at most */
#define TRAPS_USELESS 100 /* so many, and it is cleared */
#define USELESS_EXAM  20  /* an examination that found nothing counts as so many */

#define XSTATE_IN_USE	  512 /* XSTATE_BV, Intel SDM vol. 1, 13.4.2 */
#define XSTATE_IN_USE_END 520

#define WATCH_SIGNAL SIGVTALRM
#define SCHED_AT     ((const struct sched *)(REGION_BASE + REGION_SCHED_OFF))

/*
 * Who spins once will do so again, most often at the same place.  A breakpoint register is set to
 * it, which the program cannot see, so that the next time is found after two rounds, not after some
 * ten milliseconds.  One that does not pay is cleared.  The other threads of the process get it,
 * too, and so do those to come: until one of theirs does not pay.
 */
struct spin_trap {
	pid_t tid; /* 0: not in use */
	uint64_t address;
	uint64_t sample, events; /* at the last trap */
	unsigned useless;	 /* traps since the last one that paid */
};

struct spin_watch {
	timer_t timer;
	bool has_timer;
	unsigned busy_ticks; /* in a row, with events between them */
	sigset_t signals;
	uint64_t events, now_ns; /* of the container, at the last tick */
	uint64_t begun_ns;	 /* real time */
	/* The silence under way: since when in processor time of its task, and when to look next.
	 */
	bool silent;
	uint64_t silent_from_ns, look_at_ns, used_ns;
	pid_t asked; /* has been asked to stop; 0: nobody */
	uint64_t samples[SAMPLES];
	unsigned sample_count;
	unsigned long_left; /* equal samples that do not count: a long examination found nothing */
	unsigned long_penalty;
	uint64_t cost_ns; /* of examinations that found nothing */
	bool reported;
	struct spin_trap traps[TRAPS];
	uint32_t common_proc; /* whose threads get a trap without having been looked at; NONE */
	uint64_t common_address;
};

static volatile sig_atomic_t ticked;

static void on_tick(int sig)
{
	(void)sig;
	ticked = 1;
}

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void tick_every(const struct spin_watch *w, uint64_t ns)
{
	const struct itimerspec every = {{0, (long)ns}, {0, (long)ns}};

	if (w->has_timer)
		timer_settime(w->timer, 0, &every, NULL);
}

int spin_watch_create(struct spin_watch **ret_watch)
{
	struct spin_watch *w = calloc(1, sizeof(*w));
	struct sigaction action = {.sa_handler = on_tick};
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = WATCH_SIGNAL};

	if (w == NULL)
		return -ENOMEM;
	sigemptyset(&w->signals);
	sigaddset(&w->signals, WATCH_SIGNAL);
	spin_watch_wait_end(w);
	sigaction(WATCH_SIGNAL, &action, NULL);
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	w->has_timer = timer_create(CLOCK_MONOTONIC, &event, &w->timer) == 0;
	tick_every(w, TICK_NS);
	w->begun_ns = monotonic_ns();
	w->common_proc = NONE;
	*ret_watch = w;
	return 0;
}

void spin_watch_destroy(struct spin_watch *w)
{
	if (w == NULL)
		return;
	if (w->has_timer)
		timer_delete(w->timer);
	free(w);
}

void spin_watch_wait_begin(struct spin_watch *w)
{
	sigprocmask(SIG_UNBLOCK, &w->signals, NULL);
}

void spin_watch_wait_end(struct spin_watch *w)
{
	sigprocmask(SIG_BLOCK, &w->signals, NULL);
}

/* ---- who, and whether it computes ---- */

/* Time in user mode of a task that is running or ready to run; false for one that is not. */
static bool user_time_ns(pid_t tid, uint64_t *ret_ns)
{
	char path[64], text[512], state;
	unsigned long long ticks;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = '\0';
	const char *rest = strrchr(text, ')');
	if (rest == NULL ||
	    sscanf(rest, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu", &state, &ticks) != 2)
		return false;
	*ret_ns = ticks * 1000000000ull / (unsigned long)sysconf(_SC_CLK_TCK);
	return state == 'R';
}

/* ---- when to look ---- */

/* Whether nothing has begun or ended in the container since the last tick. */
static bool is_silent(struct spin_watch *w)
{
	uint64_t events = __atomic_load_n(&HEAD->events, __ATOMIC_RELAXED);
	uint64_t now = __atomic_load_n(&HEAD->now_ns, __ATOMIC_RELAXED);
	bool same = w->events == events && w->now_ns == now;

	w->events = events;
	w->now_ns = now;
	return same;
}

static void silence_begin(struct spin_watch *w, uint64_t used_ns)
{
	w->silent = true;
	w->silent_from_ns = used_ns;
	w->look_at_ns = used_ns + 1;
	w->sample_count = 0;
}

/* The next look is due after a part of what the silence has lasted. */
static void look_later(struct spin_watch *w)
{
	uint64_t wait = (w->used_ns - w->silent_from_ns) / 4;

	w->look_at_ns = w->used_ns + (wait < LOOK_MOST_NS ? wait : LOOK_MOST_NS) + 1;
}

void spin_watch_tick(struct spin_watch *w, struct container *c)
{
	uint32_t slot = __atomic_load_n(&SCHED_AT->holder, __ATOMIC_RELAXED);

	if (!ticked)
		return;
	ticked = 0;
	if (!is_silent(w) || slot >= TASK_SLOTS_MAX) {
		w->silent = false;
		if (++w->busy_ticks == BUSY_TICKS)
			tick_every(w, TICK_SLOW_NS);
		return;
	}
	if (w->busy_ticks >= BUSY_TICKS)
		tick_every(w, TICK_NS);
	w->busy_ticks = 0;
	pid_t tid = container_host_tid(c, slot);
	if (tid == 0 || !user_time_ns(tid, &w->used_ns))
		return;
	if (!w->silent)
		silence_begin(w, w->used_ns);
	else if (w->used_ns >= w->look_at_ns && tracee_interrupt(tid) == 0)
		w->asked = tid;
}

/* ---- the examination ---- */

struct looked_at {
	struct spin_watch *watch;
	struct spin_bare *bare; /* where pauses are executed as such; or NULL */
	pid_t tid;
	const struct task *task;
	struct spin_decoder *decoder;
	int status; /* of the stop that ended the examination */
	uint64_t places[PLACES];
	unsigned place_count; /* executed, at most PLACES */
};

static bool in_shim(uint64_t address)
{
	return address >= SHIM_BASE && address < SHIM_LIMIT;
}

/* Code that the program may write is memory whose change may end the loop. */
static bool may_be_written(const struct task *t, uint64_t address)
{
	const struct mm *mm = t->proc < PROCS_MAX ? mm_at(proc_at(t->proc)->mm) : NULL;

	return mm == NULL || code_page_is_shown(mm, page_down(address));
}

static struct spin_range instruction(uint64_t address, const uint8_t *bytes, size_t size)
{
	struct insn insn;

	return (struct spin_range){address,
				   insn_decode(bytes, size, &insn) == 0 ? insn.length : size};
}

static int accesses(void *data, const struct user_regs_struct *regs,
		    struct spin_range ranges[SPIN_ACCESSES_MAX])
{
	struct looked_at *l = data;
	uint8_t bytes[16];
	size_t size = sizeof(bytes);

	/* Stepped by the shim or by the program itself: the trap belongs to them. */
	if (regs->eflags & FLAG_TF)
		return -EPERM;
	if (in_shim(regs->rip) || patcher_original(l->task, regs->rip) != regs->rip)
		return -EPERM;
	if (l->bare != NULL && spin_bare_make(l->bare, regs->rip) < 0)
		return -E2BIG;
	if (l->place_count < PLACES)
		l->places[l->place_count++] = regs->rip;
	while (size > 0 && tracee_read(l->tid, tracee_address(regs->rip), bytes, size) < 0)
		size--;
	if (size == 0)
		return -EFAULT;
	int count = spin_decoder_accesses(l->decoder, bytes, size, regs, ranges);
	if (count < 0 || !may_be_written(l->task, regs->rip))
		return count;
	if (count == SPIN_ACCESSES_MAX)
		return -E2BIG;
	ranges[count] = instruction(regs->rip, bytes, size);
	return count + 1;
}

/* A stop that was asked for by an earlier tick comes too late to be of use. */
static bool is_late_stop(struct looked_at *l)
{
	bool late = l->watch->asked == l->tid && tracee_event_of(l->status).kind == TRACEE_STARTED;

	l->watch->asked = late ? 0 : l->watch->asked;
	return late;
}

static int step(void *data, struct user_regs_struct *regs)
{
	struct looked_at *l = data;
	int error = tracee_step(l->tid, &l->status);

	if (error == -ECANCELED && is_late_stop(l))
		error = tracee_step(l->tid, &l->status);
	if (error == 0)
		l->status = 0;
	return error < 0 ? error : tracee_regs_get(l->tid, regs);
}

static int read_memory(void *data, uint64_t addr, void *to, size_t size)
{
	struct looked_at *l = data;

	return in_shim(addr) ? -EFAULT : tracee_read(l->tid, tracee_address(addr), to, size);
}

/* Which components are in use may change without any of their values: the processor keeps it, for
 * its own convenience.  The kernel fills in those that are not. */
static int extended(void *data, uint8_t state[SPIN_EXTENDED_MAX])
{
	int size = tracee_extended(((struct looked_at *)data)->tid, state, SPIN_EXTENDED_MAX);

	if (size >= XSTATE_IN_USE_END)
		memset(state + XSTATE_IN_USE, 0, XSTATE_IN_USE_END - XSTATE_IN_USE);
	return size;
}

static bool may_rest(void *data, uint64_t rip)
{
	const struct looked_at *l = data;

	return l->bare == NULL || !spin_bare_is_inside(l->bare, rip);
}

/* ---- whether to examine ---- */

static uint64_t sample_of(const struct user_regs_struct *r)
{
	const uint64_t all[] = {r->rip, r->rsp, r->rax, r->rbx, r->rcx, r->rdx,
				r->rsi, r->rdi, r->rbp, r->r8,	r->r9,	r->r10,
				r->r11, r->r12, r->r13, r->r14, r->r15};
	uint64_t hash = 0;

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		hash = (hash ^ all[i]) * 0x9e3779b97f4a7c15ull ^ hash >> 29;
	return hash;
}

static bool was_here_before(struct spin_watch *w, const struct user_regs_struct *regs)
{
	uint64_t sample = sample_of(regs);
	unsigned count = w->sample_count < SAMPLES ? w->sample_count : SAMPLES;
	bool found = false;

	for (unsigned i = 0; i < count; i++)
		found = found || w->samples[i] == sample;
	w->samples[w->sample_count++ % SAMPLES] = sample;
	return found;
}

static unsigned steps_due(struct spin_watch *w, const struct user_regs_struct *regs)
{
	bool again = was_here_before(w, regs);

	if (again && w->long_left == 0)
		return STEPS_LONG;
	if (again)
		w->long_left--;
	uint64_t may_cost = COST_FREE_NS + (monotonic_ns() - w->begun_ns) / COST_FRACTION;
	return w->cost_ns < may_cost ? STEPS_BRIEF : 0;
}

static void found_nothing(struct spin_watch *w, unsigned steps, uint64_t begun_ns)
{
	w->cost_ns += monotonic_ns() - begun_ns;
	if (steps != STEPS_LONG)
		return;
	/* Such as a loop that counts in memory: its registers recur. */
	w->long_penalty = w->long_penalty * 2 + 1;
	w->long_left = w->long_penalty;
}

/* ---- the park ---- */

static void hand_over(const struct container *c, struct task *t, const struct spin_cycle *cycle,
		      struct user_regs_struct *regs)
{
	SPIN->found_count = cycle->range_count;
	memcpy(SPIN->found, cycle->ranges, cycle->range_count * sizeof(*cycle->ranges));
	t->resume = regs->rip;
	t->code = CODE_SPIN;
	regs->rip = c->shim.fault_entry;
}

/* ---- traps ---- */

#define DEBUG_OFFSET(n)	  offsetof(struct user, u_debugreg[n])
#define DEBUG_EXECUTE_DR0 1 /* in DR7: DR0 is an instruction's address, for this task */

static bool trap_enable(pid_t tid, bool on)
{
	return ptrace(PTRACE_POKEUSER, tid, DEBUG_OFFSET(7), on ? DEBUG_EXECUTE_DR0 : 0) == 0;
}

static struct spin_trap *trap_of(struct spin_watch *w, pid_t tid)
{
	for (size_t i = 0; i < TRAPS; i++) {
		if (w->traps[i].tid == tid)
			return &w->traps[i];
	}
	return NULL;
}

/* Task `tid`, stopped, is parked at `address`. */
static void trap_set(struct spin_watch *w, pid_t tid, uint64_t address)
{
	struct spin_trap *trap = trap_of(w, tid);

	if (trap == NULL)
		trap = trap_of(w, 0);
	if (trap == NULL)
		trap = &w->traps[(size_t)tid % TRAPS];
	*trap = (struct spin_trap){.tid = tid, .address = address};
	trap_enable(tid, false);
	if (ptrace(PTRACE_POKEUSER, tid, DEBUG_OFFSET(0), address) != 0 || !trap_enable(tid, true))
		trap->tid = 0;
}

static void trap_useless(struct spin_watch *w, struct spin_trap *trap, unsigned count)
{
	trap->useless += count;
	if (trap->useless < TRAPS_USELESS)
		return;
	trap_enable(trap->tid, false);
	trap->tid = 0;
	if (trap->address == w->common_address)
		w->common_proc = NONE;
}

/*
 * Task `l`, stopped, spins at `address`: so may the other threads of its process.  It holds the
 * turn, so they wait for theirs in the shim, which can be interrupted; they stop before they go on.
 */
static void trap_others(struct spin_watch *w, const struct container *c, const struct looked_at *l,
			uint64_t address)
{
	if (w->common_proc == l->task->proc && w->common_address == address)
		return;
	w->common_proc = l->task->proc;
	w->common_address = address;
	for (size_t i = 0; i < CONTAINER_TASK_TABLE; i++) {
		const struct container_task *e = &c->tasks[i];

		if (e->tid > 0 && e->tid != l->tid && !e->gone && e->slot < TASK_SLOTS_MAX &&
		    task_at(e->slot)->proc == w->common_proc && trap_of(w, e->tid) == NULL)
			tracee_interrupt(e->tid);
	}
}

/* Thread `tid` has stopped, for that reason or because it is new. */
static void trap_common(struct spin_watch *w, const struct container *c, pid_t tid)
{
	const struct container_task *e = NULL;

	if (w->common_proc != NONE && trap_of(w, tid) == NULL && trap_of(w, 0) != NULL)
		e = container_task_get((struct container *)c, tid);
	if (e != NULL && e->slot < TASK_SLOTS_MAX && task_at(e->slot)->proc == w->common_proc)
		trap_set(w, tid, w->common_address);
}

/* Whether the task is at the same place again as at the last trap, and nothing was between. */
static bool trap_again(struct spin_trap *trap, const struct user_regs_struct *regs)
{
	uint64_t sample = sample_of(regs);
	bool again = trap->sample == sample && trap->events == HEAD->events;

	trap->sample = sample;
	trap->events = HEAD->events;
	return again;
}

/* Without the trap, as a step onto its place would count as one that changed nothing. */
static int examine(struct spin_watch *w, struct looked_at *l, struct user_regs_struct *regs,
		   unsigned budget, struct spin_cycle *ret_cycle)
{
	const struct spin_machine machine = {
		.accesses = accesses,
		.step = step,
		.read = read_memory,
		.extended = extended,
		.may_rest = may_rest,
		.data = l,
	};
	struct spin_trap *trap = trap_of(w, l->tid);
	int error = spin_decoder_create(&l->decoder);

	if (error < 0)
		return error;
	if (trap != NULL)
		trap_enable(l->tid, false);
	error = spin_cycle_find(&machine, regs, budget, ret_cycle);
	if (trap != NULL && l->status == 0)
		trap_enable(l->tid, true);
	spin_decoder_destroy(l->decoder);
	return error;
}

/* ---- the report ---- */

/* A task that nobody waits for may compute as long as it likes. */
static bool others_wait(void)
{
	return SCHED_AT->runnable.count != 0 || HEAD->next_timer_ns != UINT64_MAX;
}

static int place_order(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

/* Whether a yield point there can do without a breakpoint. */
static bool is_movable(const struct looked_at *l, uint64_t address)
{
	uint8_t bytes[INSN_LENGTH_MAX];
	struct insn insn;

	return tracee_read(l->tid, tracee_address(address), bytes, sizeof(bytes)) == 0 &&
	       insn_decode(bytes, sizeof(bytes), &insn) == 0 && patch_can_yield(&insn);
}

/* Of the instructions executed more than once the least that is good for a yield point, or else the
 * least: that is most often where a loop begins, and in the program rather than in a library. */
static uint64_t loop_start(struct looked_at *l, const struct user_regs_struct *regs)
{
	uint64_t least = 0;

	qsort(l->places, l->place_count, sizeof(*l->places), place_order);
	for (unsigned i = 1; i < l->place_count; i++) {
		if (l->places[i] != l->places[i - 1] || (i > 1 && l->places[i] == l->places[i - 2]))
			continue;
		if (is_movable(l, l->places[i]))
			return l->places[i];
		least = least == 0 ? l->places[i] : least;
	}
	return least != 0 ? least : regs->rip;
}

static bool report_due(const struct spin_watch *w, const struct container *c)
{
	return !w->reported && w->used_ns - w->silent_from_ns >= REPORT_NS && others_wait() &&
	       c->observer.long_turn != NULL;
}

static void report(struct spin_watch *w, struct container *c, struct looked_at *l,
		   const struct user_regs_struct *regs)
{
	char text[2 * SPIN_PLACE_MAX + 300];
	struct spin_place place;

	w->reported = true;
	spin_place_find(c->patcher, l->tid, l->task, loop_start(l, regs), &place);
	snprintf(text, sizeof(text),
		 "task %u has computed for %u s without a system call while others wait, at "
		 "%s%s%s%s",
		 l->task->tid, (unsigned)(REPORT_NS / (1000 * MS)), place.text,
		 place.point[0] != '\0' ? ": if it waits for them there, --yield-at " : "",
		 place.point, place.point[0] != '\0' ? " lets them run" : "");
	c->observer.long_turn(c->observer.data, text);
}

static enum spin_verdict look(struct spin_watch *w, struct container *c, struct looked_at *l,
			      struct user_regs_struct *regs)
{
	bool told = report_due(w, c);
	unsigned steps = told ? PLACES : steps_due(w, regs);
	uint64_t begun_ns = monotonic_ns();
	struct spin_cycle cycle;

	if (steps != 0 && examine(w, l, regs, steps, &cycle) == 0) {
		hand_over(c, task_at(l->task->index), &cycle, regs);
		trap_set(w, l->tid, cycle.regs.rip);
		trap_others(w, c, l, cycle.regs.rip);
		w->silent = false;
		return SPIN_PARKS;
	}
	if (steps != 0)
		found_nothing(w, steps, begun_ns);
	if (l->status != 0)
		return SPIN_DISTURBED;
	if (told)
		report(w, c, l, regs);
	return SPIN_NO;
}

enum spin_verdict spin_watch_stopped(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *ret_regs, int *ret_status)
{
	if (tid != w->asked) {
		trap_common(w, c, tid);
		return SPIN_NOT_ASKED;
	}
	w->asked = 0;
	look_later(w);
	if (!is_silent(w) || tracee_regs_get(tid, ret_regs) < 0 || in_shim(ret_regs->rip))
		return SPIN_NOT_ASKED;
	uint32_t slot = container_slot_of(ret_regs->gs_base);
	if (slot == NONE)
		return SPIN_NOT_ASKED;
	struct looked_at l = {.watch = w, .tid = tid, .task = task_at(slot)};
	enum spin_verdict verdict = look(w, c, &l, ret_regs);
	*ret_status = l.status;
	return verdict;
}

enum spin_verdict spin_watch_trapped(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *regs, int *ret_status)
{
	struct spin_trap *trap = trap_of(w, tid);
	uint32_t slot = container_slot_of(regs->gs_base);
	struct spin_cycle cycle;

	/* Another task has its place among the traps. */
	if (trap == NULL)
		trap_enable(tid, false);
	if (trap == NULL || slot == NONE || trap->address != regs->rip)
		return SPIN_NO;
	if (!trap_again(trap, regs)) {
		trap_useless(w, trap, 1);
		return SPIN_NO;
	}
	struct looked_at l = {.watch = w, .tid = tid, .task = task_at(slot)};
	bool found = examine(w, &l, regs, STEPS_BRIEF, &cycle) == 0;

	*ret_status = l.status;
	if (l.status != 0)
		return SPIN_DISTURBED;
	if (!found) {
		trap_useless(w, trap, USELESS_EXAM);
		return SPIN_NO;
	}
	hand_over(c, task_at(slot), &cycle, regs);
	trap->useless = 0;
	return SPIN_PARKS;
}

/* ---- tasks that only pause ---- */

/* Goes on until the task executes its own code at its own place. */
static int leave_shim(struct looked_at *l, struct user_regs_struct *regs)
{
	int error = 0;

	for (unsigned i = 0; error == 0; i++) {
		if (!in_shim(regs->rip) && !patcher_in_stub(l->task, regs->rip))
			return 0;
		error = i < STEPS_SHIM ? step(l, regs) : -EAGAIN;
	}
	return error;
}

enum spin_verdict spin_watch_pausing(struct spin_watch *w, struct container *c, pid_t tid,
				     struct user_regs_struct *regs, int *ret_status)
{
	uint32_t slot = container_slot_of(regs->gs_base);
	struct spin_cycle cycle;

	if (slot == NONE)
		return SPIN_NO;
	struct spin_bare bare = {.tid = tid, .task = task_at(slot)};
	struct looked_at l = {.watch = w, .bare = &bare, .tid = tid, .task = task_at(slot)};
	int error = leave_shim(&l, regs);
	if (error == 0)
		error = examine(w, &l, regs, STEPS_PAUSE, &cycle);
	*ret_status = l.status;
	spin_bare_end(&bare, regs);
	if (l.status != 0)
		return SPIN_DISTURBED;
	if (error != 0)
		return SPIN_NO;
	hand_over(c, task_at(slot), &cycle, regs);
	return SPIN_PARKS;
}
