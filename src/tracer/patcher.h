/*
 * Code patching: what the shim asks when a file's code is first mapped, and what happens when a
 * site traps.  Plans come from patch_plan, findings from insn_scan; known patches live in the
 * region's patch table, from which the shim applies them to later mappings.
 */
#ifndef SHADOW_TRACER_PATCHER_H
#define SHADOW_TRACER_PATCHER_H

#include <stdint.h>
#include <sys/types.h>

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

#endif
