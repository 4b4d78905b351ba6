/*
 * Tasks and processes as both halves see them.
 *
 * A slot is the task's private shim stack and above it struct task.  Slots are found by GS base.
 * The slot of a dead task is reused only after the tracer saw the kernel task gone (host_gone),
 * because a dying task still runs on its shim stack.
 */
#ifndef SHADOW_TASK_H
#define SHADOW_TASK_H

#include "shim_abi.h"

#define NONE 0xffffffffu

/* Where struct task begins in its page, at least: below it the part of the stack most calls use. */
#define TASK_IN_PAGE 0x800

enum task_state { TASK_FREE, TASK_LIVE, TASK_DEAD };

struct task {
	struct task *self;
	u64 user_rsp;
	u64 stack; /* top of the shim stack */
	u64 resume;
	u64 r11;
	u64 code;

	u32 turn;  /* futex word: 1 when the task holds the turn */
	u32 index; /* slot */
	u32 state;
	u32 host_gone; /* set by the tracer: the kernel has finished the last user of this slot */
	u32 tid;       /* virtual */
	u32 proc;      /* index into PROCS */
	u32 next_thread, prev_thread; /* list of the threads of a process; of dead slots */
	u32 clone_child;     /* slot of the child this task is creating: the tracer reads it */
	u32 born_trapped;    /* the current event came through a tracer stop */
	u32 parked;	     /* the current event parked the task */
	u64 events;	     /* of this task: its virtual cpu time in steps */
	u64 birth;	     /* which task it is: never the same twice */
	u64 events_told;     /* of these, how many are in its process's count */
	u64 digest_out;	     /* hash of the bytes read, written and returned in the current event */
	u64 calls_end;	     /* calls below are made without further questions: all, or 0 */
	u64 fast_clocks;     /* clocks below may be read the short way; see seccomp.c for both */
	u64 clear_child_tid; /* app address, or 0 */
	u64 robust_list;
	u64 robust_len;
	u64 gs_app;	  /* the app's own idea of GS base */
	u32 vfork_child;  /* this task waits for that proc to exec or exit; NONE if none */
	u32 fault_signal; /* written by the tracer with a fault: signal, code, address, trapno, err
			   */
	s32 fault_code;
	u32 fault_trapno;
	u64 fault_addr;
	u64 fault_err;
	u64 fault_tf;	  /* FLAG_TF as it was: the shim itself is not stepped */
	u64 exec_request; /* heap address of struct exec_request, between execve and the shim's
			     start */
	char comm[16];
	u64 private_area[64]; /* of the signal part, see signal.h */
	struct frame *frame;  /* the frame of the current event */
	u64 child_set_tid;    /* app address where a new task writes its tid itself, or 0 */
	u64 step_page;	      /* page that is executed and stored into: see code_pages.c; or 0 */
	struct seccomp_filter *seccomp_filter; /* the youngest of the app's own filters, or NULL */
	u64 seccomp_mode;		       /* SECCOMP_MODE_* */
	u64 spin;	 /* heap address of struct spinner while it spins, parked; or 0 */
	u64 spin_turn;	 /* of its last wait in a loop: see spin.c */
	u64 spin_events; /* its events when that ended */
	u64 ipc_waiter;	 /* heap: its place in a queue of ipc.h or mqueue.h while it waits, or 0 */
	u64 polled;	 /* on its stack: what poll or select keeps open while it waits, or 0 */
	u64 sem_undo;	 /* heap: what semop is to undo at its end, or 0; see sysv_sem.c */
	u32 pdeathsig;	 /* sent when the thread that made its process ends; 0: none */
	u32 made_children; /* some living process was made by this task */
	u32 policy;	   /* of memory: mode and flags; see mempolicy.c */
	u64 policy_nodes;
};
_Static_assert(sizeof(struct task) + TASK_IN_PAGE + 15 * 64 <= 0x1000, "one page");
_Static_assert(offsetof(struct task, self) == TASK_SELF, "entry.S");
_Static_assert(offsetof(struct task, user_rsp) == TASK_USER_RSP, "entry.S");
_Static_assert(offsetof(struct task, stack) == TASK_STACK, "entry.S");
_Static_assert(offsetof(struct task, resume) == TASK_RESUME, "entry.S");
_Static_assert(offsetof(struct task, r11) == TASK_R11, "entry.S");
_Static_assert(offsetof(struct task, code) == TASK_CODE, "entry.S");

/*
 * Where struct task lies behind the first slot's start.  Not at the same place of each slot:
 * caches choose their sets by the low bits of an address, and what every turn touches of a
 * thousand tasks would all fall into the same few.  So it takes one of 16 lines of one of 16 pages.
 */
static inline u64 task_offset(u32 index)
{
	u64 page = index % 16, line = index / 16 % 16;

	return (u64)index * TASK_SLOT_SIZE + TASK_SLOT_HEAD - 0x1000 + page * 0x1000 +
	       TASK_IN_PAGE + line * 64;
}

static inline struct task *task_at(u32 index)
{
	return REGION_AT(struct task, REGION_TASK_OFF + task_offset(index));
}

/* The top of its shim stack. */
static inline u64 task_stack_top(const struct task *t)
{
	return (u64)t;
}

/* The slot of the struct task at `address`, or NONE. */
static inline u32 task_slot_of(u64 address)
{
	u64 first = REGION_BASE + REGION_TASK_OFF, slot = (address - first) / TASK_SLOT_SIZE;

	if (address < first || slot >= TASK_SLOTS_MAX || address != (u64)task_at((u32)slot))
		return NONE;
	return (u32)slot;
}

#define PROCS_MAX 4096

enum proc_state { PROC_FREE, PROC_LIVE, PROC_ZOMBIE };

struct proc {
	u32 state;
	u32 pid, pgid, sid;
	u64 birth;		   /* which process it is: never the same twice */
	u32 parent;		   /* index; PROC_INIT for orphans */
	u32 leader;		   /* slot of the group leader while it lives */
	u32 threads, threads_last; /* live threads, oldest first: slots */
	u32 nthreads;
	u32 mm;		/* index into the address spaces; shared by vfork children */
	u32 files;	/* index into the descriptor tables */
	u32 fs;		/* index of cwd and umask */
	u32 exiting;	/* exit_group or a fatal signal is under way: every task of it must exit */
	s32 status;	/* wait status once a zombie (or stopped/continued state, see signal.h) */
	u32 exec_count; /* has it called execve since fork (setpgid cares) */
	u32 vfork_parent; /* slot of the task parked until exec or exit; NONE */
	u32 exit_signal;
	u32 uid, euid, suid, fsuid, gid, egid, sgid, fsgid;
	u32 ngroups;
	u64 groups; /* heap: ngroups ids, sorted; 0 if there are none */
	u64 start_time_ns;
	u64 exe_path; /* heap string: absolute path of the program */
	u64 cmdline;  /* heap blob: NUL-separated */
	u32 cmdline_len;
	u32 no_new_privs, subreaper;
	u32 no_huge_pages, personality, securebits;
	u64 cap_effective, cap_permitted, cap_inheritable, cap_bounding, cap_ambient;
	u64 events;		 /* of its tasks, as of their last turns: see proc_cpu_ns */
	u64 utime_ns, cutime_ns; /* virtual cpu time: own events, waited-for children's */
	u64 environ_blob;
	u32 environ_len;
	u32 maker;	  /* pid of the process that cloned it, 0: ours */
	u32 shares_files; /* whether it began with that one's descriptor table, not a copy */
	s32 oom_score_adj;
	struct tty *ctty;      /* its controlling terminal, or NULL: see tty_job.c */
	u32 hung_pgrp;	       /* of a session's leader: the group in front when that was hung up */
	s32 oom_score_adj_min; /* how low it may be set without privilege */
	char comm[16];	       /* of its first thread, once that has ended */
	u64 rlimits[16][2];
};

struct proc_table {
	u32 next_id; /* next pid or tid to try; ids grow, then wrap at PID_MAX */
	u32 nlive_tasks;
	u32 nlive_procs, nzombies;
	u32 wrapped;		    /* ids have started again: some may be in use */
	u32 slots_used;		    /* slots from here on were never used */
	u32 dead_first, dead_last;  /* slots of dead tasks, by next_thread, oldest first; or NONE */
	u64 births;		    /* of tasks and processes so far */
	u32 procs_used, procs_free; /* the same for processes; the free ones by `parent`, 0 ends */
	struct proc procs[PROCS_MAX];
};
#define PROCT	  REGION_AT(struct proc_table, REGION_PROC_OFF)
#define PROC_INIT 0 /* index 0 stands for our init, pid 1 */
#define PID_MAX	  4194304

static inline struct proc *proc_at(u32 index)
{
	return &PROCT->procs[index];
}

#endif
