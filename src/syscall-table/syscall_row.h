/*
 * A row of the system call table as the shim sees it.
 *
 * Freestanding: used inside the container, by the tracer for its figures, and by tests. The rows
 * are generated from syscalls.tbl (gen_table.py), so is every name used here:
 *
 *	syscall_nr.h		enum { NR_read, ... }, SYSCALL_NR_END
 *	syscall_handlers.h	prototypes of the handlers
 *	syscall_dispatch.inc	designated initialisers: [NR_read] = { .handler = sys_read, ... },
 *	syscall_names.inc	designated initialisers: [NR_read] = "read",
 *
 * A table is made by
 *
 *	static const struct syscall_row rows[SYSCALL_NR_END] = {
 *	#include "syscall_dispatch.inc"
 *	};
 *
 * Numbers between the assigned ranges are rows of zeros: SYSCALL_UNASSIGNED.
 */
#ifndef SHADOW_SYSCALL_ROW_H
#define SHADOW_SYSCALL_ROW_H

#include <stdint.h>

struct task;
struct frame;

/* Carries out one call: the value for rax, or a negative errno. */
typedef long syscall_handler(struct task *t, struct frame *f);

enum syscall_class {
	SYSCALL_UNASSIGNED, /* no such call in Linux 6.18: -ENOSYS */
	SYSCALL_VIRTUAL,    /* answered wholly in the shim */
	SYSCALL_HOST,	    /* carried out by the kernel, normalised by the shim */
	SYSCALL_REFUSED,    /* answered with `error`, counted, named once at the end */
};

enum syscall_flag {
	SYSCALL_PARKS = 1,    /* may park the task before it returns */
	SYSCALL_NORETURN = 2, /* the caller does not exist afterwards */
	SYSCALL_FRAME = 4,    /* on success the handler has set the frame's registers, rax too */
	SYSCALL_QUIET = 8,    /* every libc probes for it: refused without being reported */
	SYSCALL_ADDRESS = 16, /* the result is an address */
};

/* `len_arg` of a row whose buf_in_args hold as many bytes as the call returns, or are none. */
#define SYSCALL_LEN_RESULT 7

/* Bit n of a mask stands for argument n, from 0. */
struct syscall_row {
	syscall_handler *handler; /* 0: unassigned or refused, answered with -error */
	uint8_t nargs;		  /* scalars the digest folds, 0..6 */
	uint8_t class;		  /* enum syscall_class */
	uint8_t flags;		  /* enum syscall_flag */
	uint8_t error;		  /* errno of a refused call, else 0 */
	uint8_t path_args;	  /* arguments that point to a path or another string */
	uint8_t buf_in_args;	  /* arguments that point to bytes read by the call, see len_arg */
	uint8_t buf_out_args;	  /* arguments that point to bytes written: as many as it returns */
	uint8_t len_arg; /* the argument that is the length of buf_in_args, or SYSCALL_LEN_RESULT */
	uint8_t len_unit; /* it counts things of so many bytes */
	uint8_t len_head; /* bytes in front that it does not count, of what is written too */
};

#endif
