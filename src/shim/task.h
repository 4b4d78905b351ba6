/*
 * Tasks and processes as both halves see them.
 *
 * A slot is struct task at its start and the task's private shim stack at its end.  Slots are
 * found by GS base.  The slot of a dead task is reused only after the tracer saw the kernel task
 * gone (host_gone), because a dying task still runs on its shim stack.
 */
#ifndef SHADOW_TASK_H
#define SHADOW_TASK_H

#include "shim_abi.h"

#define NONE 0xffffffffu

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
	u32 host_gone;	 /* set by the tracer: the kernel has finished the last user of this slot */
	u32 tid;	 /* virtual */
	u32 proc;	 /* index into PROCS */
	u32 next_thread; /* list of the threads of a process */
	u32 clone_child; /* slot of the child this task is creating: the tracer reads it */
	u32 born_trapped;    /* the current event came through a tracer stop */
	u32 parked;	     /* the current event parked the task */
	u64 events;	     /* of this task: its virtual cpu time in steps */
	u64 digest_out;	     /* hash of the bytes read, written and returned in the current event */
	u64 calls_end;	     /* calls below need no look at filters: all of the table, or 0 */
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
	u64 spin;	/* heap address of struct spinner while it spins, parked; or 0 */
	u64 ipc_waiter; /* heap: its place in a queue of ipc.h or mqueue.h while it waits, or 0 */
	u64 sem_undo;	/* heap: what semop is to undo at its end, or 0; see sysv_sem.c */
};
_Static_assert(offsetof(struct task, self) == TASK_SELF, "entry.S");
_Static_assert(offsetof(struct task, user_rsp) == TASK_USER_RSP, "entry.S");
_Static_assert(offsetof(struct task, stack) == TASK_STACK, "entry.S");
_Static_assert(offsetof(struct task, resume) == TASK_RESUME, "entry.S");
_Static_assert(offsetof(struct task, r11) == TASK_R11, "entry.S");
_Static_assert(offsetof(struct task, code) == TASK_CODE, "entry.S");

static inline struct task *task_at(u32 index)
{
	return REGION_AT(struct task, REGION_TASK_OFF + (u64)index * TASK_SLOT_SIZE);
}

#define PROCS_MAX 4096

enum proc_state { PROC_FREE, PROC_LIVE, PROC_ZOMBIE };

struct proc {
	u32 state;
	u32 pid, pgid, sid;
	u32 parent;  /* index; PROC_INIT for orphans */
	u32 leader;  /* slot of the group leader while it lives */
	u32 threads; /* first live thread: slot */
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
	u32 groups[64];
	u64 start_time_ns;
	u64 exe_path; /* heap string: absolute path of the program */
	u64 cmdline;  /* heap blob: NUL-separated */
	u32 cmdline_len;
	u32 dumpable, no_new_privs, pdeathsig, subreaper;
	u64 events_ended;	 /* events of its ended tasks */
	u64 utime_ns, cutime_ns; /* virtual cpu time: own events, waited-for children's */
	u64 environ_blob;
	u32 environ_len;
	u32 maker;	  /* pid of the process that cloned it, 0: ours */
	u32 shares_files; /* whether it began with that one's descriptor table, not a copy */
	s32 oom_score_adj;
	u64 rlimits[16][2];
};

struct proc_table {
	u32 next_id; /* next pid or tid to try; ids grow, then wrap at PID_MAX */
	u32 nlive_tasks;
	u32 nlive_procs;
	u32 wrapped; /* ids have started again: some may be in use */
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
