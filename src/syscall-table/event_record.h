/*
 * The binary record of one event, as the shim writes it into the event ring and the log keeps it.
 *
 * Freestanding. All numbers are little-endian, as the machine has them. A record is one
 * struct event_record, followed by items until size_bytes is used up:
 *
 *	offset	size	field of an item
 *	0	1	arg: the argument it belongs to, 0..5
 *	1	1	kind: enum event_item_kind
 *	2	2	stored_bytes: bytes that follow
 *	4	4	full_bytes: bytes the call read or wrote there; more than stored when cut
 *short 8	..	the bytes, padded with zeros to a multiple of 8
 *
 * Structures, where they are kept, are the kernel's bytes (in struct msghdr addresses are 0);
 *syscalls.tbl says what an argument is, and which are kept. Records hold container state only: the
 *same event has the same bytes in every run.
 */
#ifndef SHADOW_EVENT_RECORD_H
#define SHADOW_EVENT_RECORD_H

#include <stdint.h>

/*
 * Bounds that a writer keeps and a reader enforces. 16 KiB hold two full paths and a generous
 * piece of a buffer.
 */
#define EVENT_RECORD_MAX_BYTES 16384
#define EVENT_ITEMS_MAX	       16

/* Numbers below 0 are events that are not system calls. The values are part of the log format. */
enum event_nr {
	EVENT_RDTSC = -1,  /* result: the counter */
	EVENT_RDTSCP = -2, /* result: the counter */
	EVENT_CPUID = -3,  /* args: leaf, subleaf, then eax, ebx, ecx, edx as answered */
	EVENT_RDRAND = -4, /* args: operand bytes; result: the value */
	EVENT_RDSEED = -5, /* args: operand bytes; result: the value */
	EVENT_XGETBV = -6, /* args: register number; result: the value */
	EVENT_RDPID = -7,  /* result: the processor's number */
	EVENT_XBEGIN = -8, /* result: the abort status */
	EVENT_SIGNAL =
		-9, /* args: signal, si_code, handler (0: default action), si_pid or address */
	EVENT_VSYSCALL = -10, /* args: NR_ of the call it stands for, its two arguments */
	EVENT_SPIN = -11,     /* args: address; a spinning task was parked */
	EVENT_YIELD = -12,    /* args: address; a configured yield point gave up the turn */
	EVENT_PAUSE = -13,    /* gave up the turn, too */
};
#define EVENT_NR_LEAST EVENT_PAUSE

enum event_flag {
	EVENT_PARKED = 1,    /* the task was parked in between */
	EVENT_NO_RESULT = 2, /* exit, a replaced program: `result` means nothing */
	EVENT_REFUSED = 4,   /* the table refused it */
	EVENT_ITEMS_CUT = 8, /* items were left out: no room in EVENT_RECORD_MAX_BYTES */
};

enum event_item_kind {
	EVENT_ITEM_STRING = 1,	/* a path or other string, without its NUL */
	EVENT_ITEM_STRINGS = 2, /* argv, envp: strings, each with its NUL */
	EVENT_ITEM_IN = 3,	/* bytes the call read */
	EVENT_ITEM_OUT = 4,	/* bytes the call wrote */
	EVENT_ITEM_ORIGIN = 5,	/* struct event_origin, of a task's first event; arg: 0 */
	/* Of what a vector or struct msghdr points to. */
	EVENT_ITEM_ADDRESS = 6, /* the other side's address */
	EVENT_ITEM_PARTS = 7,	/* the bytes of the vector's pieces, one after the other */
	EVENT_ITEM_CONTROL = 8, /* control messages */
};
#define EVENT_ITEM_LAST EVENT_ITEM_CONTROL

/* Where a task comes from.  Its maker's clone may be an event later than its own first one, or
 * none: the maker was killed, or replaced by exec, before it returned. */
struct event_origin {
	uint32_t process;      /* the number of its process */
	uint32_t maker;	       /* of the process that cloned that one; 0: it is the first */
	uint32_t shares_files; /* it began with its maker's descriptor table, not a copy */
	uint32_t zero;
};

struct event_record {
	uint32_t size_bytes; /* record and items, a multiple of 8 */
	uint32_t task;	     /* the container's number of the task */
	uint64_t number;     /* global event number */
	uint64_t time_ns;    /* virtual time after the event, since 1970 */
	int32_t nr;	     /* system call number, or enum event_nr */
	uint32_t flags;	     /* enum event_flag */
	int64_t result;	     /* rax, negative errno included */
	uint64_t args[6];    /* registers at entry; unused ones are 0 */
	uint64_t digest;     /* the running hash, this event folded in */
};

struct event_item {
	uint8_t arg;
	uint8_t kind;
	uint16_t stored_bytes;
	uint32_t full_bytes;
};

_Static_assert(sizeof(struct event_record) == 96, "part of the log format");
_Static_assert(sizeof(struct event_item) == 8, "part of the log format");
_Static_assert(sizeof(struct event_origin) == 16, "part of the log format");

#endif
