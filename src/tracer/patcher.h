/*
 * Code patching: what the shim asks when a file's code is first mapped, and what happens when a
 * site traps.  Plans come from patch_plan, findings from insn_scan; known patches live in the
 * region's patch table, from which the shim applies them to later mappings.
 */
#ifndef SHADOW_TRACER_PATCHER_H
#define SHADOW_TRACER_PATCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "../shim/shim_abi.h"
#include "shim_image.h"

struct patcher;
struct task;

/* 0 or -ENOMEM.  Owns copies and mappings of code until patcher_destroy. */
int patcher_create(const struct shim_symbols *shim, struct patcher **ret_patcher);
void patcher_destroy(struct patcher *p);

/*
 * 0, or the first error after which what the program sees is not certain any more: code could not
 * be looked at for want of memory, or was written in part.  To be asked after each call below.
 */
int patcher_error(const struct patcher *p);

/* What became of a yield point. */
enum yield_state { YIELD_NOT_MAPPED, YIELD_PLACED, YIELD_IMPOSSIBLE };

/* Takes the configuration's yield points over, before the first task runs. */
void patcher_yields_set(struct patcher *p, const struct region_config *config);

/* The first yield point that is in that state, or NULL.  After YIELD_IMPOSSIBLE (no instruction
 * starts there, or one that is an event by itself) patcher_error is -ENOEXEC. */
const struct region_yield *patcher_yield_in(const struct patcher *p, enum yield_state state);

/* Whether a breakpoint of the task at `address` is a yield point; then the byte it replaced. */
bool patcher_yield_at(const struct task *t, uint64_t address, uint8_t *ret_byte);

/* The object that holds the code at `address` of the task, which may run, and the address as
 * linked.  False if it is no file's.  The path lives as long as the patcher. */
bool patcher_place(struct patcher *p, pid_t tid, const struct task *t, uint64_t address,
		   const char **ret_path, uint64_t *ret_linked);

/*
 * UPCALL_MAP_EXEC: the bytes [address, +length) of the stopped task `tid` are the code of patch
 * file `index`, seen for the first time.  Scans them for listed instructions and appends patches.
 */
void patcher_scan(struct patcher *p, pid_t tid, uint32_t index, uint64_t address, uint64_t length);

/*
 * UPCALL_SCAN_ANON: a page of the stopped task that holds no file's code is about to be executed.
 * Fills CODE_SCAN with the instructions in it that need a breakpoint.
 */
void patcher_scan_page(pid_t tid, uint64_t page);

/*
 * A `syscall` at `site` of the stopped task trapped.  Patches it in that process and enters the
 * patch into the table if that can be done.  Returns where the app goes on after the call: the
 * address behind the site, or the tail of a stub.
 */
uint64_t patcher_site(struct patcher *p, pid_t tid, const struct task *t, uint64_t site);

/*
 * The listed instruction at `address` of the task (original bytes, if a breakpoint of ours stands
 * there): its INSN_CODE, or -ENOENT if there is none.
 */
int patcher_classify(pid_t tid, const struct task *t, uint64_t address);

/*
 * The address the app would be at if nothing were moved, for a task stopped at `address`: in the
 * tail of a stub that of the instruction moved there, else the address itself. A fault is to be
 * shown at it (resuming there is turned back by the shim's patch_resume).
 */
uint64_t patcher_original(const struct task *t, uint64_t address);

bool patcher_in_stub(const struct task *t, uint64_t address);

/* The bytes that make a pause an event, and what they replaced. */
struct patched_pause {
	uint64_t begin;
	size_t size;
	uint8_t original[8], patched[8];
	uint64_t stub; /* the instructions from `begin` up to the pause stand there, */
	uint64_t tail, tail_end, tail_to; /* and these at tail_to */
};

/* The one whose bytes cover `address`; false if there is none. */
bool patcher_pause_at(const struct task *t, uint64_t address, struct patched_pause *ret);

#endif
