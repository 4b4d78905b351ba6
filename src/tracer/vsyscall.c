/*
 * See vsyscall.h.  Owns, from a call's stop to its return, a breakpoint in the caller's code: no
 * other task runs meanwhile, since this one holds the turn.
 */
#include "vsyscall.h"

#include "container.h"
#include "tracee.h"

/* arch/x86/include/uapi/asm/vsyscall.h: three entries, 1 KiB apart. */
#define VSYSCALL_BASE  0xffffffffff600000ull
#define VSYSCALL_END   0xffffffffff601000ull
#define VSYSCALL_ENTRY 1024
#define BREAKPOINT     0xcc

static const uint16_t numbers[] = {96 /* gettimeofday */, 201 /* time */, 309 /* getcpu */};

bool vsyscall_is_at(uint64_t address)
{
	return address >= VSYSCALL_BASE && address < VSYSCALL_END;
}

/* Into the shim with call `nr`, which ends at `after`. */
static void into_shim(struct container *c, struct user_regs_struct *regs, uint64_t nr,
		      uint64_t after)
{
	regs->rcx = regs->r11 = after;
	regs->rax = nr;
	regs->rip = c->shim.entry;
	regs->orig_rax = (unsigned long long)-1;
}

bool vsyscall_enter(struct container *c, struct container_task *e, struct user_regs_struct *regs,
		    bool trapped)
{
	const uint8_t breakpoint = BREAKPOINT;
	uint64_t entry = (regs->rip - VSYSCALL_BASE) / VSYSCALL_ENTRY, after;

	if (entry >= sizeof(numbers) / sizeof(numbers[0]) || regs->rip % VSYSCALL_ENTRY != 0 ||
	    tracee_read(e->tid, tracee_address(regs->rsp), &after, sizeof(after)) < 0)
		return false;
	if (!trapped) {
		regs->rsp += sizeof(after);
		into_shim(c, regs, numbers[entry], after);
		return true;
	}
	if (tracee_read(e->tid, tracee_address(after), &e->vsyscall_byte, 1) < 0 ||
	    tracee_write(e->tid, tracee_address(after), &breakpoint, 1) < 0)
		return false;
	e->vsyscall_nr = numbers[entry];
	e->vsyscall_after = after;
	/* No call: the kernel only returns. */
	regs->orig_rax = (unsigned long long)-1;
	return true;
}

bool vsyscall_return(struct container *c, struct container_task *e, struct user_regs_struct *regs)
{
	uint64_t after = e->vsyscall_after;

	if (after == 0 || regs->rip != after + 1)
		return false;
	e->vsyscall_after = 0;
	if (tracee_write(e->tid, tracee_address(after), &e->vsyscall_byte, 1) < 0)
		return false;
	into_shim(c, regs, e->vsyscall_nr, after);
	return true;
}
