/*
 * Code that is not a file's: what a program writes into memory and then executes.
 *
 * Instructions that cannot be made to trap (cpuid, rdrand, ...) must be found in it, and it may
 * change at any time.  So a watched mapping is never writable and executable at once for the
 * kernel: a page of it is *hidden* (no PROT_EXEC, whatever else the app asked for) until it is
 * executed; then it is scanned, breakpoints replace what was found, and it is *shown* (PROT_EXEC,
 * no PROT_WRITE) until it is written.  A store into the very page it stands in is executed alone,
 * with both.  The faults this makes are not events: natively there are none.
 *
 * The tracer reads struct mm's code_sites and code_pages: it uses code_site_find and
 * code_page_is_shown.
 */
#ifndef SHADOW_CODE_PAGES_H
#define SHADOW_CODE_PAGES_H

#include "mm.h"

/* A breakpoint of ours. */
struct code_site {
	u64 addr;
	u32 code;     /* INSN_CODE of the instruction it stands for */
	u32 original; /* the byte it replaced */
};

#define CODE_SITES_MAX 65536

/* What UPCALL_SCAN_ANON found in one page. */
#define CODE_SCAN_MAX 256
struct code_scan {
	u32 count;
	u32 failed; /* negative errno: the page cannot be scanned */
	struct code_site sites[CODE_SCAN_MAX];
};
#define CODE_SCAN REGION_AT(struct code_scan, REGION_SCAN_OFF)
_Static_assert(REGION_SCAN_OFF + sizeof(struct code_scan) <= REGION_SPIN_OFF, "region map");

/* Both halves: the breakpoint at addr, or NULL.  Checks what it follows. */
static inline const struct code_site *code_site_find(const struct mm *mm, u64 addr)
{
	u64 at = __atomic_load_n(&mm->code_sites, __ATOMIC_RELAXED);
	u32 count = __atomic_load_n(&mm->code_site_count, __ATOMIC_RELAXED);
	u64 heap = REGION_BASE + REGION_HEAP_OFF, bytes = count * sizeof(struct code_site);
	const struct code_site *sites = (const struct code_site *)at;

	if (count > CODE_SITES_MAX || at < heap || at % 8 != 0 ||
	    at - heap > REGION_HEAP_SIZE - bytes)
		return NULL;
	for (u32 i = 0; i < count; i++) {
		if (sites[i].addr == addr)
			return &sites[i];
	}
	return NULL;
}

/* Both halves: whether the page at addr is watched, and may be executed now.  As above. */
static inline bool code_page_is_shown(const struct mm *mm, u64 addr)
{
	u64 at = __atomic_load_n(&mm->code_pages, __ATOMIC_RELAXED);
	u32 low = 0, high = __atomic_load_n(&mm->code_page_count, __ATOMIC_RELAXED);
	u64 heap = REGION_BASE + REGION_HEAP_OFF, bytes = high * sizeof(u64);
	const u64 *pages = (const u64 *)at;

	if (high == 0 || at < heap || at % 8 != 0 || at - heap > REGION_HEAP_SIZE - bytes)
		return false;
	while (low < high) {
		u32 middle = low + (high - low) / 2;

		if (pages[middle] == addr)
			return true;
		if (pages[middle] < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

#ifdef SHADOW_SHIM
struct frame;

/* Whether the mapping is watched. */
bool code_is_watched(const struct vma *v);

/* What may be executed can be read, too, as on processors without protection keys: on others the
 * kernel would see to it that it cannot. */
u32 code_readable(u32 prot);

/* What the kernel is asked for when the mapping is made or changed: its pages are hidden then. */
u32 code_kernel_prot(const struct vma *v);

/*
 * A fault of the app, described by t->fault_*.  True if it was one of those made here: the page was
 * shown or hidden, and the app goes on with `f`.
 */
bool code_fault(struct task *t, struct frame *f);

/* Before the pages of [start, end) change other than by the app's own stores: hides those shown. */
void code_hide(struct mm *mm, u64 start, u64 end);

/* The range is about to be unmapped or replaced: what was shown of it is forgotten. */
void code_forget(struct mm *mm, u64 start, u64 end);

/* Before the shim or the kernel stores into [addr, addr + len) for the app.  True if a page was
 * hidden, so that a store that failed is worth another try. */
bool code_expose(struct mm *mm, u64 addr, u64 len);

/* code_original.c: bytes that were read from [addr, addr + len) are made what they would be without
 * breakpoints and patches of ours. */
void code_original(struct mm *mm, u64 addr, u8 *bytes, u64 len);

/* A copy for a fork; the end of an address space. */
void code_clone(const struct mm *from, struct mm *to);
void code_free(struct mm *mm);
#endif

#endif
