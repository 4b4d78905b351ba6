/*
 * One traced task of the container, stopped: registers, memory, requests.  A tracee address has its
 * own type, so that it is never taken for a pointer of the tracer.
 */
#ifndef SHADOW_TRACER_TRACEE_H
#define SHADOW_TRACER_TRACEE_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

typedef struct {
	uint64_t value;
} tracee_addr;

static inline tracee_addr tracee_address(uint64_t value)
{
	return (tracee_addr){value};
}

/* What a raw wait status means; see tracee_event_of. */
enum tracee_event_kind {
	TRACEE_EXITED,	/* the kernel task is gone; value: wait status */
	TRACEE_SECCOMP, /* a call outside the call page: an upcall or a site */
	TRACEE_BIRTH,	/* it has made a task */
	TRACEE_EXEC,	/* it executes the shim anew */
	TRACEE_SIGNAL,	/* a signal is about to be delivered; value: number */
	TRACEE_STARTED, /* first stop of a new task, or a group stop */
	TRACEE_OTHER,
};

struct tracee_event {
	enum tracee_event_kind kind;
	int value;
};

/* Turns a wait status (waitpid with __WALL) into a typed value. */
struct tracee_event tracee_event_of(int wait_status);

/* All: task stopped under ptrace; 0 or a negative errno (-ESRCH: it vanished). */
int tracee_regs_get(pid_t tid, struct user_regs_struct *ret_regs);
int tracee_regs_set(pid_t tid, const struct user_regs_struct *regs);
int tracee_continue(pid_t tid);
int tracee_message(pid_t tid, unsigned long *ret_message);
int tracee_siginfo(pid_t tid, siginfo_t *ret_info);
/* Floating point and vector state, as XSAVE has it: its size, -E2BIG if that is more than `size`.
 */
int tracee_extended(pid_t tid, void *ret_state, size_t size);

/* Executes one instruction, which is no breakpoint.  -ECANCELED: the task stopped for another
 * reason or ended, *ret_status. */
int tracee_step(pid_t tid, int *ret_status);

/* Running tasks: a stop follows, as of TRACEE_STARTED, unless another comes first. */
int tracee_interrupt(pid_t tid);

/* Reads exactly size bytes; -EFAULT if not all of them are there. */
int tracee_read(pid_t tid, tracee_addr from, void *to, size_t size);

/* Writes also to read-only and executable private pages (they become the process's own). */
int tracee_write(pid_t tid, tracee_addr to, const void *from, size_t size);

#endif
