/*
 * Virtual signals: who has which signal pending, who handles it and how.
 *
 * The kernel of the host takes no part: its mask blocks everything but faults, its dispositions
 * stay default.  State per process (dispositions, shared queue, interval timers, stop state) lies
 * at REGION_SIGNAL_OFF, state per task (mask, own queue, alternate stack) in task.private_area.
 * Rules are those of Linux (signal(7), kernel/signal.c); where Linux leaves a choice, the choice
 * is a function of container state: a process's signal goes to its main thread unless that blocks
 * it, then to the oldest thread that does not.
 *
 * All functions are called by the holder of the turn.
 *
 * Calls that park and are interrupted return one of the internal codes below, never -EINTR (unless
 * Linux never restarts them): signal_deliver and signal_finish_result make EINTR or a restart of
 * it, by the rules of signal(7).
 */
#ifndef SHADOW_SIGNAL_H
#define SHADOW_SIGNAL_H

#include <linux/errno.h>

#include "shim_abi.h"
#include "task.h"
#include "../syscall-table/timer.h"

/* Kernel-internal results of an interrupted call (include/linux/errno.h). */
#define ERESTARTSYS    512 /* restarted under SA_RESTART: read, write, wait, futex */
#define ERESTARTNOINTR 513 /* always restarted: clone, fork */
#define ERESTARTNOHAND 514 /* EINTR if a handler ran: poll, select, pause, sigsuspend */
#define ERESTART_RESTARTBLOCK                                              \
	516 /* the same, but goes on through signal_set_restart: nanosleep \
	     */

enum signal_number {
	SIG_HUP = 1,
	SIG_INT,
	SIG_QUIT,
	SIG_ILL,
	SIG_TRAP,
	SIG_ABRT,
	SIG_BUS,
	SIG_FPE,
	SIG_KILL,
	SIG_USR1,
	SIG_SEGV,
	SIG_USR2,
	SIG_PIPE,
	SIG_ALRM,
	SIG_TERM,
	SIG_STKFLT,
	SIG_CHLD,
	SIG_CONT,
	SIG_STOP,
	SIG_TSTP,
	SIG_TTIN,
	SIG_TTOU,
	SIG_URG,
	SIG_XCPU,
	SIG_XFSZ,
	SIG_VTALRM,
	SIG_PROF,
	SIG_WINCH,
	SIG_IO,
	SIG_PWR,
	SIG_SYS,
	SIG_RTMIN,
	SIG_MAX = 64
};

#define SIG_BIT(sig)	(1ull << ((sig)-1))
#define SIG_UNBLOCKABLE (SIG_BIT(SIG_KILL) | SIG_BIT(SIG_STOP))
/* Whose default action dumps core. */
#define SIG_DUMPS_CORE                                                                  \
	(SIG_BIT(SIG_QUIT) | SIG_BIT(SIG_ILL) | SIG_BIT(SIG_TRAP) | SIG_BIT(SIG_ABRT) | \
	 SIG_BIT(SIG_BUS) | SIG_BIT(SIG_FPE) | SIG_BIT(SIG_SEGV) | SIG_BIT(SIG_XCPU) |  \
	 SIG_BIT(SIG_XFSZ) | SIG_BIT(SIG_SYS))
#define SIG_HANDLER_DFL 0ull
#define SIG_HANDLER_IGN 1ull

#define SIG_SS_ONSTACK	  1u
#define SIG_SS_DISABLE	  2u
#define SIG_SS_AUTODISARM 0x80000000u

#define SIG_SA_NOCLDSTOP 0x00000001ull
#define SIG_SA_NOCLDWAIT 0x00000002ull
#define SIG_SA_SIGINFO	 0x00000004ull
#define SIG_SA_RESTORER	 0x04000000ull
#define SIG_SA_ONSTACK	 0x08000000ull
#define SIG_SA_RESTART	 0x10000000ull
#define SIG_SA_NODEFER	 0x40000000ull
#define SIG_SA_RESETHAND 0x80000000ull

/* si_code values */
#define SIG_SI_USER   0
#define SIG_SI_KERNEL 0x80
#define SIG_SI_QUEUE  -1
#define SIG_SI_TIMER  -2
#define SIG_SI_TKILL  -6
enum signal_cld {
	CLD_IS_EXITED = 1,
	CLD_IS_KILLED,
	CLD_IS_DUMPED,
	CLD_IS_TRAPPED,
	CLD_IS_STOPPED,
	CLD_IS_CONTINUED
};

/* The kernel's siginfo of x86-64. */
struct k_siginfo {
	s32 signo, error, code, pad;
	union {
		struct {
			s32 pid; /* or a timer's number */
			union {
				u32 uid;
				s32 overrun; /* of a timer */
			};
			union {
				u64 value; /* of sigqueue, a timer */
				struct {
					s32 status, pad;
					s64 utime, stime; /* clock ticks */
				} child;
			};
		};
		u64 addr; /* of a fault */
		struct {
			s64 band;
			s32 fd;
		} poll; /* of SIGIO */
		struct {
			u64 addr;
			s32 nr;
			u32 arch;
		} call; /* of SIGSYS */
		u8 raw[112];
	};
};
_Static_assert(sizeof(struct k_siginfo) == 128, "kernel layout");

/* The kernel's struct sigaction of x86-64. */
struct k_sigaction {
	u64 handler, flags, restorer, mask;
};
_Static_assert(sizeof(struct k_sigaction) == 32, "kernel layout");

/* How many queued signals and timers are charged to a user (RLIMIT_SIGPENDING); heap memory. */
struct signal_user {
	struct signal_user *next;
	u32 uid, count;
};

/* A signal waiting to be taken; heap memory, oldest first. */
struct signal_node {
	struct signal_node *next;
	struct signal_user *user;  /* charged with it; NULL: nobody */
	struct posix_timer *timer; /* whose signal it is, or NULL */
	bool is_void;		   /* of a timer that was set or deleted since: nobody takes it */
	struct k_siginfo info;
};

struct signal_queue {
	u64 pending; /* SIG_BIT of what the list holds, and of what was sent beyond the limit */
	struct signal_node *first, *last;
};

/* Continues a call that was interrupted and is resumed by restart_syscall; see signal_set_restart.
 */
typedef long signal_restart_fn(struct task *t, struct frame *f, const u64 *args);

enum signal_task_flag {
	SIGNAL_HAS_SAVED = 1, /* saved_mask is to be restored at the end of the call */
	SIGNAL_DEAF = 2,      /* parked where only death may wake it: stop, vfork */
	SIGNAL_STOPPING = 8,  /* its process stops and this task has yet to park */
	SIGNAL_STOPPED = 16,  /* parked in a stop */
};

/* The signal state of a task: its private_area. */
struct signal_task {
	u64 attention; /* not zero: signal_deliver has something to do, or the process exits */
	u64 mask;
	u64 saved_mask;
	u64 waiting; /* set of sigtimedwait while it is parked */
	struct signal_queue queue;
	struct timer sleep; /* on a cpu clock */
	u64 alt_sp, alt_size;
	u32 alt_flags;
	u32 flags;
	u64 trapno, err, cr2; /* of the last fault: they show in every later frame, as in Linux */
	signal_restart_fn *restart;
	u64 restart_args[4];
};
_Static_assert(sizeof(struct signal_task) <= sizeof(((struct task *)0)->private_area), "fits");

static inline struct signal_task *signal_task_of(struct task *t)
{
	return (struct signal_task *)t->private_area;
}

enum signal_itimer { ITIMER_OF_REAL, ITIMER_OF_VIRTUAL, ITIMER_OF_PROF, ITIMERS };

#define POSIX_TIMER_BUCKETS 64

/* The signal state of a process. */
/* In the heap: what signals do, of all processes that share it (CLONE_SIGHAND). */
struct signal_actions {
	u64 refs;
	struct k_sigaction at[SIG_MAX]; /* by signal - 1 */
};

struct signal_proc {
	struct signal_queue queue; /* shared by its threads */
	struct timer itimers[ITIMERS];
	struct timer cpu_limit;		   /* RLIMIT_CPU */
	struct posix_timer **posix_timers; /* buckets by number, in the heap; NULL: none yet */
	u32 timer_number;		   /* of the next POSIX timer */
	u32 stop_signal;  /* not zero: the process is stopped or stopping, by this signal */
	u32 stop_waiting; /* tasks that have yet to park before the stop is complete */
	struct signal_actions *actions;
};

struct signal_state {
	struct signal_actions no_actions; /* of our init, and of who has ended */
	struct timers timers;
	struct signal_user *users; /* who have something queued */
	u32 root_pgid;		   /* process group of the container's first process */
	u32 signalfds;		   /* signal descriptors alive */
	u32 nqueued;		   /* signal nodes alive */
	u32 lost; /* a signal was sent beyond a limit: it is pending without a node */
	struct signal_proc procs[PROCS_MAX];
};
#define SIGNALS REGION_AT(struct signal_state, REGION_SIGNAL_OFF)
_Static_assert(sizeof(struct signal_state) <= REGION_FILES_OFF - REGION_SIGNAL_OFF, "fits");

static inline struct signal_proc *signal_proc_of(const struct task *t)
{
	return &SIGNALS->procs[t->proc];
}

static inline struct k_sigaction *signal_action(u32 proc, int sig)
{
	return &SIGNALS->procs[proc].actions->at[sig - 1];
}

/*
 * A signal is to be taken (or a stop obeyed) by signal_deliver, or the process is exiting.  One
 * load: cheap enough for every event.
 */
static inline bool signal_pending(const struct task *t)
{
	return t->private_area[0] != 0;
}

/*
 * ---- for dispatch (signal_deliver.c) ----
 */

/*
 * At the end of an event, after the turn was given away if the slice was used up, when
 * signal_pending: takes every deliverable signal and acts on it.  `result` is the result of the
 * call (internal restart codes allowed); sets f->rax, and rip/resume for a handler or a restart.
 * May park (stop) and thus pass the turn on.  When the process is to die it is only marked
 * (proc_terminate) and this returns: the caller ends the task.
 */
void signal_deliver(struct task *t, struct frame *f, long result);

/*
 * For a call that ended with an internal restart code although nothing is pending: arranges the
 * restart (f->rip, f->resume) and returns the value for f->rax.  Other results are returned as
 * they are.
 */
long signal_finish_result(struct task *t, struct frame *f, long result);

/*
 * A fault of the app's own code, described by t->fault_*; `f` are its registers at the fault.
 * Builds the handler's frame or marks the process for death; then the caller goes on as after
 * signal_deliver.  f->rax is not touched as for a call's result.
 */
void signal_fault(struct task *t, struct frame *f);

/* ---- sending (signal_queue.c) ---- */

/*
 * Sends to a process, or to one task.  `info` is copied (its signo is set); NULL means "from the
 * current task, as by kill".  Signal 0 sends nothing.  Ignored signals vanish, pending standard
 * ones coalesce.  Init, zombies and exiting processes swallow everything.  Beyond RLIMIT_SIGPENDING
 * of the target the result is -EAGAIN for a realtime signal that is not kill's, and others lose
 * their siginfo; else 0.
 */
long signal_send_proc(u32 proc, int sig, const struct k_siginfo *info);
long signal_send_task(u32 task, int sig, const struct k_siginfo *info);

/*
 * The signal of a POSIX timer, to a process, or to one of its tasks (`target`).  The node that is
 * queued is left in *ret_node.  False: nobody is to hear it.
 */
bool signal_send_timer(struct posix_timer *timer, u32 proc, struct task *target,
		       const struct k_siginfo *info, struct signal_node **ret_node);

/*
 * Charges the user of `proc` with one more queued signal or timer; NULL if that would be more than
 * RLIMIT_SIGPENDING, unless `over`.  signal_uncharge takes it back (NULL is fine).
 */
struct signal_user *signal_charge(u32 proc, bool over);
void signal_uncharge(struct signal_user *user);
/* How many are charged to the user of `proc`. */
u32 signal_charged(u32 proc);

/* As signal_send_proc with si_code SI_KERNEL: for timers, hang-ups, the terminal. */
void signal_send_kernel(u32 proc, int sig);

/* The same for all members of process group `pgid`, in order of birth. */
void signal_send_group(u32 pgid, int sig);

/*
 * A signal the current task caused itself and cannot refuse: if blocked or ignored it becomes the
 * default action, death.
 */
void signal_force(struct task *t, int sig, const struct k_siginfo *info);

/* The same after a general protection fault, as of a jump to no address at all; `err` is its error
 * code. */
void signal_force_protection(struct task *t, u64 err);
/* Whether a jump there is one: else the processor faults before it has gone there. */
static inline bool signal_may_resume(u64 rip)
{
	return (u64)((s64)(rip << 16) >> 16) == rip;
}

/* SIGSEGV without an address, for a frame that cannot be built or read. */
void signal_force_segv(struct task *t);

/* A signal that came in with an epoch: to the process group of the first process, or, if it is a
 * terminal's, to that in the foreground of the caller's. */
void signal_from_outside(int sig);

/* ---- masks (signal_queue.c) ---- */

/* Replaces the mask (KILL and STOP stay unblocked) and looks again at what is pending. */
void signal_set_mask(struct task *t, u64 mask);

/*
 * Temporary mask of ppoll, pselect, epoll_pwait, sigsuspend: `addr` is the app's sigset (0: none,
 * then nothing happens), `size` its size.  -EINVAL for a size that is not 8, -EFAULT.
 * Every path of the call after success ends with signal_mask_end.
 */
long signal_mask_begin(struct task *t, u64 addr, u64 size);

/* Puts the old mask back, unless `result` is an interruption: then signal_deliver does it. */
void signal_mask_end(struct task *t, long result);

/*
 * Makes the task deaf to all but the death of its process, while it is parked where signals must
 * not wake it (vfork, a stop).
 */
void signal_set_deaf(struct task *t, bool deaf);

/* Computes t's attention word (signal_pending) again. */
void signal_recalc(struct task *t);

/* Every task of the process looks for pending death: called after proc.exiting was set. */
void signal_recalc_proc(u32 proc);

/*
 * Remembers how restart_syscall continues the current call, which then returns
 * -ERESTART_RESTARTBLOCK.  `fn` gets the four arguments back.
 */
long signal_set_restart(struct task *t, signal_restart_fn *fn, u64 a, u64 b, u64 c, u64 d);

/* Whether the disposition of the process makes the signal vanish (ignored, or so by default). */
bool signal_is_ignored(u32 proc, int sig);

/* Drops the pending signals of `set`, of the process and all its threads; whether there were any.
 */
bool signal_flush(u32 proc, u64 set);

/* Takes a pending signal out of `set` (own queue first, lowest number first); 0 if none. */
int signal_take(struct task *t, u64 set, struct k_siginfo *ret_info);

/* ---- life (signal_queue.c) ---- */

/* The first process of the container; its slot, proc and thread list are filled in. */
void signal_first(struct task *t);
/*
 * fork, vfork: `child` is the only thread of a new process, whose pid, pgid, sid, parent and
 * thread list are filled in.  Copies dispositions (`share`: they are one with the parent's), mask
 * and altstack; nothing is pending.
 */
void signal_fork(struct task *parent, struct task *child, bool share);
/* clone(CLONE_VM), which shares the stacks: the child has no alternate one. */
void signal_altstack_forget(struct task *child);
/* clone(CLONE_THREAD): mask is inherited, altstack is not, nothing is pending. */
void signal_thread(struct task *parent, struct task *child);
/* execve: handlers become default, ignored stays ignored, altstack goes; pending and mask stay. */
void signal_exec(struct task *t);
/* CLONE_CLEAR_SIGHAND: the same for the dispositions only. */
void signal_clear_handlers(u32 proc);
/* Whether other processes share the dispositions. */
bool signal_actions_are_shared(u32 proc);
/* The task ends: its own queue is dropped, and what it was to take goes to another thread. */
void signal_release(struct task *t);
/* The process became a zombie: shared queue and timers go. */
void signal_release_proc(u32 proc);

/* Whether the parent of a zombie wants no SIGCHLD zombies: ignored, or SA_NOCLDWAIT. */
bool signal_child_ignored(u32 proc);

/* ---- stops (signal_deliver.c) ---- */

/* t no longer keeps the stop of its process from being complete: it has parked, or ended. */
void signal_leave_stop(struct task *t);
/* SIGCONT: ends a stop that is complete or under way; its tasks go on. */
void signal_end_stop(u32 proc);

/* ---- timers (timer.c) ---- */

/* Virtual time of the next timer to which time may jump when all tasks are parked; UINT64_MAX. */
u64 signal_next_timer(void);
/* The same with cpu-time timers: time must not run past it unchecked (it may be early). */
u64 signal_next_check(void);
/* Fires every timer whose time has come. */
void signal_expire_timers(u64 now_ns);
/* Virtual cpu time of a process: events of its tasks, living and ended, times the step (process.c).
 */
u64 proc_cpu_ns(u32 proc);

/* ---- timers by kind (itimer.c, posix_timer.c) ---- */

/* RLIMIT_CPU of a process was set, or inherited (cpu_limit.c). */
void cpu_limit_changed(u32 proc);
/* The process has taken a SIGALRM: a repeating ITIMER_REAL goes on. */
void itimer_alarm_taken(u32 proc);
/* The process ends: its interval timers are disarmed. */
void itimers_drop(u32 proc);
/* Its signal was taken: `info` is told of overruns, a repeating timer goes on. */
void posix_timer_taken(struct posix_timer *timer, struct k_siginfo *info);
/* Its signal went from the queue untaken: as it is ignored, or for good. */
void posix_timer_dropped(struct posix_timer *timer, bool for_good);
/* Signal `sig` of the process is no longer ignored. */
void posix_timers_unignored(u32 proc, int sig);
/* exec, exit: deletes the POSIX timers of a process. */
void posix_timers_drop(u32 proc);

/* ---- what a siginfo says (signal_info.c) ---- */

enum signal_info_layout {
	SIGNAL_INFO_KILL,  /* pid, uid */
	SIGNAL_INFO_QUEUE, /* pid, uid, value */
	SIGNAL_INFO_TIMER, /* number, overrun, value */
	SIGNAL_INFO_POLL,
	SIGNAL_INFO_FAULT, /* addr */
	SIGNAL_INFO_CHILD,
	SIGNAL_INFO_CALL
};

enum signal_info_layout signal_info_layout(const struct k_siginfo *info);
/* Whether Linux knows a siginfo of this signal and code; others may hold anything. */
bool signal_info_known(const struct k_siginfo *info);

/* ---- signal descriptors (signalfd.c) ---- */

/* A signal was sent to the process: whoever waits on a signal descriptor looks. */
void signalfd_notify(u32 proc);

/* ---- frames (signal_frame.c) ---- */

/*
 * Builds the frame of a handler on the app's stack or alternate stack, as the kernel does, and
 * points f at the handler.  `mask` is what sigreturn restores.  -EFAULT if the stack is not there.
 */
long signal_frame_build(struct task *t, struct frame *f, const struct k_sigaction *action,
			const struct k_siginfo *info, u64 mask);
/* rt_sigreturn: restores everything from the frame at f->rsp - 8.  -EFAULT if it is not a frame. */
long signal_frame_restore(struct task *t, struct frame *f);
/* Changes the alternate stack as sigaltstack does; `sp` is the app's stack pointer. */
long signal_altstack_set(struct task *t, u64 ss_sp, u32 ss_flags, u64 ss_size, u64 sp);
/* ss_flags as sigaltstack reports them. */
u32 signal_altstack_flags(struct task *t, u64 sp);

#endif
