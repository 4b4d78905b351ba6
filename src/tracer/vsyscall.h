/*
 * Calls through the vsyscall page, which old programs make instead of a `syscall` instruction.  The
 * kernel lets nobody redirect one, so the task is caught where it returns to and goes into the shim
 * from there, as if the call had been made by the caller.
 */
#ifndef SHADOW_TRACER_VSYSCALL_H
#define SHADOW_TRACER_VSYSCALL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/user.h>

struct container;
struct container_task;

/* Whether the address is in the page. */
bool vsyscall_is_at(uint64_t address);

/*
 * The task stopped at such a call: by the seccomp filter (`trapped`), or because this kernel has no
 * such page and it faulted.  False if it is none of the three calls or cannot be caught; else the
 * registers in *regs are to be set and the task continued.
 */
bool vsyscall_enter(struct container *c, struct container_task *e, struct user_regs_struct *regs,
		    bool trapped);

/* The task stopped at a breakpoint.  True if it was this file's: as above. */
bool vsyscall_return(struct container *c, struct container_task *e, struct user_regs_struct *regs);

#endif
