/*
 * Code written by programs; see code_pages.h.
 *
 * Owns mm->code_pages, the sorted addresses of the pages shown, and mm->code_sites, the breakpoints
 * in them.  Both are short: programs execute few pages they wrote.
 *
 * Invariants: a page is in code_pages exactly if the kernel lets it be executed; a breakpoint
 * stands in a shown page and nowhere else, so what the app writes or reads through a system call,
 * and what a fork copies, never mixes with one unseen.  (A load from a shown page does see it.)
 */
#include <asm/errno.h>
#include <linux/mman.h>

#include "code_pages.h"
#include "insn.h"
#include "patch_table.h"
#include "shim.h"
#include "syscall_nr.h"

#define BREAKPOINT     0xcc
#define SIGSEGV_NR     11
#define SIGTRAP_NR     5
#define SEGV_ACCERR_NR 2
#define INSN_MAX       15

static u64 *pages_of(const struct mm *mm)
{
	return (u64 *)mm->code_pages;
}

static struct code_site *sites_of(const struct mm *mm)
{
	return (struct code_site *)mm->code_sites;
}

bool code_is_watched(const struct vma *v)
{
	if (!(v->prot & PROT_EXEC) || v->kind == VMA_STUB)
		return false;
	return v->kind != VMA_FILE || v->flags & VMA_TOUCHED;
}

u32 code_readable(u32 prot)
{
	return prot & PROT_EXEC ? prot | PROT_READ : prot;
}

u32 code_kernel_prot(const struct vma *v)
{
	u32 prot = code_readable(v->prot);

	return code_is_watched(v) ? prot & ~(u32)PROT_EXEC : prot;
}

/* ---- the two lists ---- */

/* Makes room for one more element of an array in the heap. */
static u64 array_reserve(u64 array, u32 count, u32 *room, u64 element)
{
	if (count < *room)
		return array;
	u32 more = *room != 0 ? *room * 2 : 64;
	void *bigger = heap_alloc_unset(more * element);
	if (count != 0)
		memcpy(bigger, (const void *)array, count * element);
	heap_free((void *)array);
	*room = more;
	return (u64)bigger;
}

/* Index of the first page shown that is not below addr. */
static u32 page_lower(const struct mm *mm, u64 addr)
{
	u32 i = 0;

	while (i < mm->code_page_count && pages_of(mm)[i] < addr)
		i++;
	return i;
}

static void page_add(struct mm *mm, u64 page)
{
	u32 at = page_lower(mm, page);

	mm->code_pages = array_reserve(mm->code_pages, mm->code_page_count, &mm->code_page_room,
				       sizeof(u64));
	u64 *pages = pages_of(mm);
	for (u32 i = mm->code_page_count; i > at; i--)
		pages[i] = pages[i - 1];
	pages[at] = page;
	mm->code_page_count++;
}

static void site_add(struct mm *mm, const struct code_site *site)
{
	SHIM_ASSERT(mm->code_site_count < CODE_SITES_MAX);
	mm->code_sites = array_reserve(mm->code_sites, mm->code_site_count, &mm->code_site_room,
				       sizeof(*site));
	sites_of(mm)[mm->code_site_count++] = *site;
}

/* Takes the breakpoints in [start, end) off the list, and out of the code if `restore`. */
static void sites_drop(struct mm *mm, u64 start, u64 end, bool restore)
{
	struct code_site *sites = sites_of(mm);
	u32 kept = 0;

	for (u32 i = 0; i < mm->code_site_count; i++) {
		u8 original = (u8)sites[i].original;
		if (sites[i].addr < start || sites[i].addr >= end)
			sites[kept++] = sites[i];
		else if (restore)
			user_copy_out_raw(sites[i].addr, &original, 1);
	}
	mm->code_site_count = kept;
}

void code_forget(struct mm *mm, u64 start, u64 end)
{
	u32 first = page_lower(mm, start), last = page_lower(mm, end);

	if (first == last)
		return;
	sites_drop(mm, start, end, false);
	for (u32 i = last; i < mm->code_page_count; i++)
		pages_of(mm)[first + i - last] = pages_of(mm)[i];
	mm->code_page_count -= last - first;
}

/* ---- hiding ---- */

/* Takes breakpoints out of a page and leaves it with `prot`. */
static void page_hide(struct mm *mm, u64 page, u32 prot)
{
	SYS3(NR_mprotect, page, MM_PAGE, PROT_READ | PROT_WRITE);
	sites_drop(mm, page, page + MM_PAGE, true);
	code_forget(mm, page, page + MM_PAGE);
	SYS3(NR_mprotect, page, MM_PAGE, prot);
}

void code_hide(struct mm *mm, u64 start, u64 end)
{
	u32 i;

	while ((i = page_lower(mm, start)) < mm->code_page_count && pages_of(mm)[i] < end) {
		u64 page = pages_of(mm)[i];
		page_hide(mm, page, code_kernel_prot(vma_find(mm, page)));
	}
}

bool code_expose(struct mm *mm, u64 addr, u64 len)
{
	bool any = false;
	u32 i = mm->code_page_count != 0 ? page_lower(mm, page_down(addr)) : 0;

	while (i < mm->code_page_count && pages_of(mm)[i] < addr + len) {
		u64 page = pages_of(mm)[i];
		const struct vma *v = vma_find(mm, page);
		if (v->prot & PROT_WRITE) {
			page_hide(mm, page, code_kernel_prot(v));
			any = true;
		} else {
			i++;
		}
	}
	return any;
}

/* ---- showing ---- */

/* A breakpoint at the site, if its first byte is in this page or in one that is shown already. */
static void site_plant(struct mm *mm, u64 page, const struct code_site *found)
{
	const u8 breakpoint = BREAKPOINT;
	struct code_site site = *found;
	u64 home = page_down(site.addr);
	bool other = home != page;
	u8 original;

	if (other && !code_page_is_shown(mm, home))
		return; /* found again when that page is shown */
	if (code_site_find(mm, site.addr) != NULL || user_get(original, site.addr))
		return;
	site.original = original;
	if (other)
		SYS3(NR_mprotect, home, MM_PAGE, PROT_READ | PROT_WRITE);
	user_copy_out_raw(site.addr, &breakpoint, 1);
	if (other)
		SYS3(NR_mprotect, home, MM_PAGE, PROT_READ | PROT_EXEC);
	site_add(mm, &site);
}

static void page_show(struct mm *mm, u64 page)
{
	CODE_SCAN->count = CODE_SCAN->failed = 0;
	upcall(UPCALL_SCAN_ANON, page, MM_PAGE, 0);
	SHIM_ASSERT(!CODE_SCAN->failed && CODE_SCAN->count <= CODE_SCAN_MAX);
	page_add(mm, page);
	if (CODE_SCAN->count != 0)
		SYS3(NR_mprotect, page, MM_PAGE, PROT_READ | PROT_WRITE);
	for (u32 i = 0; i < CODE_SCAN->count; i++)
		site_plant(mm, page, &CODE_SCAN->sites[i]);
	SYS3(NR_mprotect, page, MM_PAGE, PROT_READ | PROT_EXEC);
}

/* ---- faults ---- */

/* The store that was let through alone has been executed, or has met another fault. */
static bool step_end(struct task *t, struct frame *f)
{
	struct mm *mm = mm_of(t);
	const struct vma *v = vma_find(mm, t->step_page);

	f->rflags &= ~(u64)FLAG_TF;
	if (v != NULL)
		SYS3(NR_mprotect, t->step_page, MM_PAGE, code_kernel_prot(v));
	t->step_page = 0;
	return t->fault_signal == SIGTRAP_NR;
}

/* An instruction may store into the page it is in: it is executed with the page writable. */
static void step_begin(struct task *t, struct frame *f, u64 page)
{
	page_hide(mm_of(t), page, PROT_READ | PROT_WRITE | PROT_EXEC);
	t->step_page = page;
	f->rflags |= FLAG_TF;
}

/* Whether the instruction at rip has bytes at addr. */
static bool is_fetch(u64 rip, u64 addr)
{
	return addr == rip || (addr > rip && addr - rip < INSN_MAX && page_down(addr) == addr);
}

static bool page_fault(struct task *t, struct frame *f)
{
	u64 addr = t->fault_addr, page = page_down(addr);
	struct mm *mm = mm_of(t);
	const struct vma *v = vma_find(mm, addr);

	if (v == NULL || !code_is_watched(v))
		return false;
	if (!code_page_is_shown(mm, page)) {
		if (!is_fetch(f->rip, addr))
			return false;
		page_show(mm, page);
		return true;
	}
	if (!(v->prot & PROT_WRITE))
		return false;
	if (page_down(f->rip) == page || page_down(f->rip + INSN_MAX - 1) == page)
		step_begin(t, f, page);
	else
		page_hide(mm, page, code_kernel_prot(v));
	return true;
}

bool code_fault(struct task *t, struct frame *f)
{
	bool ours = t->step_page != 0 && step_end(t, f);

	if (!ours && t->fault_signal == SIGSEGV_NR && t->fault_code == SEGV_ACCERR_NR)
		ours = page_fault(t, f);
	if (ours)
		f->resume = patch_resume(t, f->rip);
	return ours;
}

/* ---- stores of ours ---- */

long user_copy_out_again(u64 to, const void *from, u64 len)
{
	return code_expose(mm_of(current()), to, len) ? user_copy_out_raw(to, from, len) : -EFAULT;
}

long user_zero_again(u64 to, u64 len)
{
	return code_expose(mm_of(current()), to, len) ? user_zero_raw(to, len) : -EFAULT;
}

long user_put_pair_again(u64 to, u64 a, u64 b)
{
	return code_expose(mm_of(current()), to, 16) ? user_put_pair_raw(to, a, b) : -EFAULT;
}

/* ---- life ---- */

static u64 array_copy(u64 array, u32 count, u64 element)
{
	if (count == 0)
		return 0;
	void *copy = heap_alloc_unset(count * element);
	memcpy(copy, (const void *)array, count * element);
	return (u64)copy;
}

void code_clone(const struct mm *from, struct mm *to)
{
	to->code_pages = array_copy(from->code_pages, from->code_page_count, sizeof(u64));
	to->code_page_room = from->code_page_count;
	to->code_sites =
		array_copy(from->code_sites, from->code_site_count, sizeof(struct code_site));
	to->code_site_room = from->code_site_count;
}

void code_free(struct mm *mm)
{
	heap_free((void *)mm->code_pages);
	heap_free((void *)mm->code_sites);
	mm->code_pages = mm->code_sites = 0;
	mm->code_page_count = mm->code_page_room = 0;
	mm->code_site_count = mm->code_site_room = 0;
}
