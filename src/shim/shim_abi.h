/*
 * What shim and tracer both see: the address map, the header of the shared region, the task slot,
 * the saved registers, and the upcalls.  Freestanding.
 *
 * Everything here is position-dependent on purpose: the region has the same address in every
 * process of the container and in the tracer.  The tracer treats it as hostile: it checks every
 * index and length it takes from it.
 */
#ifndef SHADOW_SHIM_ABI_H
#define SHADOW_SHIM_ABI_H

#define SHIM_ABI_VERSION 1

/*
 * The address map.  The shim's addresses lie below the range where the kernel randomises mmap
 * bases (so that the tracer can map the region at the same place), inside what sanitizers treat as
 * high application memory, and clear of Go's arenas.
 */
#define SHIM_BASE      0x7e8000000000
#define REGION_BASE    0x7e9000000000
#define REGION_SIZE    0x001000000000 /* 64 GiB of address space; only touched pages exist */
#define SHIM_LIMIT     0x7eb000000000 /* nothing of the app from SHIM_BASE to here */
#define APP_MIN_ADDR   0x10000
#define APP_PIE_BASE   0x555555554000
#define APP_MMAP_LOW   0x7f0000000000
#define APP_MMAP_TOP   0x7ffff7fff000
#define APP_STACK_TOP  0x7ffffffff000
#define APP_STACK_SIZE 0x800000
#define APP_ADDR_MAX   0x7ffffffff000

/* Where the parts of the region lie.  Each part's struct is declared in its own header. */
/*
 * The hot words of head, scheduler and task slots lie at different offsets within their pages:
 * processors guess by the low 12 bits of an address which store a load must wait for.
 */
#define REGION_HEAD_OFF	     0x000000400
#define REGION_SCAN_OFF	     0x000040000
#define REGION_SPIN_OFF	     0x000060000
#define REGION_GENERATOR_OFF 0x000080000
#define REGION_SCHED_OFF     0x000100240
#define REGION_CHAIN_OFF     0x002000000 /* uint32_t chain values of the current epoch */
#define REGION_EXPECT_OFF    0x002800000 /* uint32_t expected ones (replay) */
#define REGION_INBOX_OFF     0x002c00000 /* inputs of the epoch being delivered */
#define REGION_SIGNAL_OFF    0x003000000
#define REGION_FILES_OFF     0x010000000 /* descriptor tables, ofds, vnodes */
#define REGION_PROC_OFF	     0x040000000
#define REGION_IPC_OFF	     0x046000000 /* System V objects, POSIX message queues */
#define REGION_MM_OFF	     0x050000000
#define REGION_PATCH_OFF     0x060000000
#define REGION_RING_OFF	     0x070000000 /* output, capture and event rings */
#define REGION_TASK_OFF	     0x100000000
#define REGION_HEAP_OFF	     0x200000000
#define REGION_HEAP_SIZE     0xc00000000

/* Descriptors of our own; the app's (virtual) RLIMIT_NOFILE is APP_FD_MAX. */
#define APP_FD_MAX     1024
#define SHIM_FD_BASE   1024
#define SHIM_FD_REGION (SHIM_FD_BASE + 0) /* the region's memfd */
#define SHIM_FD_SHIM   (SHIM_FD_BASE + 1) /* what execve really executes: see shim_boot */
#define SHIM_FD_HOLDER \
	(SHIM_FD_BASE + 2) /* O_PATH; its duplicates hold the numbers of our objects */
#define SHIM_FD_STDIO (SHIM_FD_BASE + 3) /* three: stdin, stdout, stderr that are regular files */
/* Two ends: where descriptors in flight between processes are kept, see unix_rights.c. */
#define SHIM_FD_CARRIER (SHIM_FD_BASE + 6)
#define SHIM_FD_PROC	(SHIM_FD_BASE + 8)  /* O_PATH: the host's /proc, see reopen.c */
#define SHIM_FD_EXE	(SHIM_FD_BASE + 9)  /* the process's program */
#define SHIM_FD_TEXT	(SHIM_FD_BASE + 10) /* the tracer's own file, which the shim is in */
#define SHIM_FD_COUNT	11

/*
 * Task slots: twice as many as tasks, since a slot is not free before the kernel has finished its
 * last user.  A slot's struct task and the top of its shim stack, right below, share a page: see
 * task_offset in task.h.
 */
#define TASK_SLOT_SIZE 0x40000
#define TASK_SLOTS_MAX 8192
#define TASK_SLOT_HEAD 0x20000 /* least size of the shim stack */
#define TASKS_MAX      4096

/* Offsets into struct task that entry.S uses; checked by static assertions in task.h. */
#define TASK_SELF     0
#define TASK_USER_RSP 8
#define TASK_STACK    16
#define TASK_RESUME   24
#define TASK_R11      32
#define TASK_CODE     40

#define FRAME_SIZE 160

/* Upcalls: `syscall` with these numbers outside the call page stops at the tracer. */
#define UPCALL_BASE 0x5ad0000

#ifndef __ASSEMBLER__
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu_features.h"

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t s32;
typedef int64_t s64;

#define REGION_AT(type, off) ((type *)(REGION_BASE + (off)))

/*
 * The app's registers as saved on the task's shim stack.  For a system call rcx equals rip and
 * r11 equals rflags, as the kernel leaves them.  `resume` is where execution goes on: rip, or the
 * tail of a stub that holds moved instructions.  After a handler changed rip (signals, exec), it
 * sets resume to the same value.
 */
struct frame {
	u64 r15, r14, r13, r12, rbx, rbp;
	u64 arg[6]; /* rdi rsi rdx r10 r8 r9 */
	u64 rax, rcx, r11, rip, rflags, rsp, resume;
	u64 nr; /* orig_rax: the call's number, or EVENT_* (negative) for an instruction */
};
_Static_assert(sizeof(struct frame) == FRAME_SIZE, "entry.S builds this frame");

enum upcall {
	UPCALL_MAP_EXEC =
		UPCALL_BASE, /* (patch file index, address, length): scan it, fill patches */
	UPCALL_SCAN_ANON, /* (page): code that is no file's is about to be executed: fill CODE_SCAN
			   */
	UPCALL_EPOCH,	  /* (reason): take the next epoch; returns when it is delivered */
	UPCALL_DIVERGED,  /* (): the chain value differs from the expected one; never returns */
	UPCALL_DEADLOCK,  /* (waits for a signal): all parked, no deadline, no channel waited on */
	UPCALL_DRAIN,	  /* (ring, first): a ring is full, returns when there is room; first: it
			   * has something, and RING_NOBODY looks */
	UPCALL_MOUNTS,	  /* (): fill HEAD->file_mounts */
	UPCALL_CAPTURE_SYNC, /* (enum capture_sync): returns when what is announced is captured */
	UPCALL_END,	     /* (): the last task has exited; end record state is in the head */
	UPCALL_BUG,	     /* (code, detail): broken invariant; never returns */
	UPCALL_REFUSED_INSN, /* (kind): never returns */
	UPCALL_HOST_FAILED,  /* (): the host failed, as bug_text says; never returns */
	UPCALL_SPIN_PEEK,    /* (slot, address, size): fill SPIN->peeked */
	UPCALL_SPIN_LOOK, /* (): nobody does anything but pause; look at this task behind the event
			   */
	UPCALL_STOP,	  /* (event): the event asked for in HEAD->probe is over; never returns */
	UPCALL_HOST_TID,  /* (slot): fill HEAD->host_tid */
	UPCALL_REMOTE,	  /* (address of a struct remote_copy): carry it out */
	UPCALL_LIMIT
};

/* How far: ring emptied; also all files open, so that names may change; also all bytes read. */
enum capture_sync { CAPTURE_SYNC_RING, CAPTURE_SYNC_NAMES, CAPTURE_SYNC_CONTENTS };

/* EPOCH_EARLY: between two events, because the source has something urgent. */
enum epoch_reason { EPOCH_QUIESCENT = 1, EPOCH_EVENTS = 2, EPOCH_START = 3, EPOCH_EARLY = 4 };

/* What an epoch source is told to wait for when the container is quiescent. */
struct epoch_request {
	u32 reason;
	u32 wants_stdin;      /* a task waits for input on stdin */
	u64 stdin_want_bytes; /* bytes beyond those buffered that let the reader go on */
	u64 deadline_ns;      /* earliest virtual deadline, or UINT64_MAX */
};

#define STDIO_PATH_MAX 4096

/* One of descriptors 0 to 2 as the container gets it. */
struct region_stdio {
	u32 kind;  /* enum stdio_kind */
	u32 flags; /* of open(2): O_ACCMODE, O_APPEND */
	u32 same;  /* a lesser number with the same open file description; else its own */
	u32 pad;
	u64 offset;		   /* of a file */
	char path[STDIO_PATH_MAX]; /* of a file: absolute, or "" if it has no name inside */
};

#define YIELD_POINTS_MAX 16
#define YIELD_OBJECT_MAX 200

/* An instruction behind which a task gives up its turn. */
struct region_yield {
	u64 address; /* as linked */
	char object[YIELD_OBJECT_MAX];
};

/* Of the caller; Linux has up to 65536, which a container can give itself. */
#define CONFIG_GROUPS_MAX 1024

/* Configuration, fixed before the first instruction of the container. */
struct region_config {
	u64 abi_version;
	u64 time_step_ns;
	u64 slice_events;
	u64 epoch_events;
	u32 cpus;
	u32 perturb; /* not zero: random delays at hand-overs, seeded with this */
	u64 memory_bytes;
	u64 start_time_ns;
	u8 seed[32];
	u32 uid, euid, gid, egid; /* virtual ids */
	u32 ngroups;
	u32 umask;
	u32 trace_events;	/* keep every event in the event ring */
	u32 replay;		/* compare chain values with the expected ones */
	u32 partial_root;	/* the caller is root of a user namespace that lacks most ids */
	u32 capture;		/* files used are announced in the capture ring (record) */
	u32 tty_rows, tty_cols; /* of the terminal, if one of stdio is one */
	u32 own_ids_only;	/* our user namespace maps the caller's ids alone */
	u64 log_dev, log_ino;	/* record: the log, which the container does not see; or 0 */
	u64 stand_in_dev;	/* st_dev of the tmpfs that stands for /proc, /dev and /sys */
	char hostname[65];
	struct region_stdio stdio[3];
	struct region_cpu cpu; /* the baseline */
	u64 yield_count;
	struct region_yield yields[YIELD_POINTS_MAX];
	u32 groups[CONFIG_GROUPS_MAX];
};

/* Ids in a user namespace that maps the caller's alone: what the kernel shows for all others, and
 * what stands for the caller's own if he is that id. */
#define OVERFLOW_ID  65534u
#define OWN_ID_ALIAS 1u

enum stdio_kind {
	STDIO_CLOSED,
	STDIO_NULL,
	STDIO_FILE, /* a regular file: the caller's own descriptor */
	STDIO_PIPE, /* whatever else: bytes in by epochs, bytes out by the ring */
	STDIO_TTY,
	STDIO_FULL, /* /dev/full */
	STDIO_KINDS
};

/*
 * What a replay is to show of its events.  No part of the configuration: nothing the app can see
 * depends on it, and events are as fast as ever until the first of these is due.
 */
struct region_probe {
	u64 trace_from; /* the first event that is traced; 0: as config.trace_events says */
	u64 stop_at;	/* UPCALL_STOP behind this event; 0: never */
	u64 contents;	/* a record's digest is the hash of the event's own bytes */
};

/* Whether something is mounted over a file, whose name in a listing then has another's number. */
enum file_mounts { FILE_MOUNTS_UNKNOWN, FILE_MOUNTS_NONE, FILE_MOUNTS_SOME };

/* The head of the region: counters and digests. */
struct region_head {
	u64 now_ns;	/* virtual time; grows by time_step_ns an event */
	u64 digest;	/* running hash of all events */
	u64 events;	/* events so far */
	u64 next_check; /* event number at which dispatch leaves the fast path */
	u64 epoch_number;
	u64 epoch_first_event;
	u64 epoch_end_event; /* take an epoch at this event */
	u64 epoch_time_ns;
	u8 epoch_seed[32];
	u32 chain_count;    /* values in the chain buffer */
	u32 expect_count;   /* values in the expected buffer; 0: not known (last, partial epoch) */
	u64 trapped_events; /* of `events`, how many came through a stop of the tracer; not digested
			     */
	u64 early_epoch_at; /* replay: the event after which an epoch was taken early, or 0 */
	u32 early_epoch;    /* run, record: set by the tracer: take one soon */
	u32 answers;	    /* run, record: signals from outside that were acted on */
	struct epoch_request request;
	u64 ended;	 /* the last task is gone */
	s32 exit_status; /* of the first task, as wait() gives it */
	u32 root_exited;
	u64 bug[2];
	char bug_text[128];
	u64 perturb_state;
	u64 yields;	   /* sched_yield, yield points and pauses so far */
	u64 yields_idle;   /* of these in a row, with no other event between them: turn.c */
	u64 yields_others; /* other events, at the last of them */
	u64 pause_looks;   /* UPCALL_SPIN_LOOK since then */
	u64 next_timer_ns; /* earliest virtual deadline of a park or a timer */
	u32 first_error;   /* the first program could not be started: errno */
	u32 filter_error;  /* the filter could not be installed: errno */
	u32 traced;	   /* a futex: the tracer has the first task, which may call it */
	u32 file_mounts;   /* enum file_mounts; mounts do not change while a container runs */
	u32 host_tid;	   /* the host's number of the task that was asked for; 0: none */
	struct region_config config;
	u32 refused_count[512]; /* by call number: how often a call was refused */
	u32 call_count[512];	/* by call number */
	u32 call_trapped[512];
	struct region_probe probe;
};
#define HEAD REGION_AT(struct region_head, REGION_HEAD_OFF)

/*
 * The inputs of one epoch: count records of {u32 channel, u32 kind, u32 size_bytes, u32 0, bytes
 * padded to 8}.  Written by the tracer while the task that asked for the epoch is stopped.
 */
enum input_kind { INPUT_OPEN = 1, INPUT_DATA, INPUT_EOF, INPUT_CLOSE, INPUT_SIGNAL, INPUT_FILE };
struct epoch_input {
	u32 channel;
	u32 kind;
	u32 size_bytes;
	u32 pad;
	u8 bytes[];
};
struct inbox {
	u32 count;
	u32 used_bytes;
	u8 bytes[];
};
#define INBOX_BYTES 0x3f0000
#define INBOX	    REGION_AT(struct inbox, REGION_INBOX_OFF)

#define FLAG_TF 0x100 /* of rflags: trap after the next instruction */

/* In struct task.code: the tracer sends a fault, not an instruction. */
#define CODE_FAULT 0xfe
/* There: the task spins, and is at the canonical place of its loop. */
#define CODE_SPIN 0xfd

#define CHAIN_EVENTS 256
#define CHAIN_MAX    0x100000 /* bounds --epoch-events at 256 Mi events */
#define CHAIN	     REGION_AT(u32, REGION_CHAIN_OFF)
#define EXPECT	     REGION_AT(u32, REGION_EXPECT_OFF)

#endif /* __ASSEMBLER__ */
#endif
