/*
 * /proc/PID: the memory of a process in detail.
 *
 * Resident is what is mapped and can be reached, private unless it is a file's or shared, clean
 * unless it could be written: residence itself is the host's business (synth_pid.c).  Memory as a
 * file, page numbers and the marks of written pages are refused: they would show the host's pages,
 * or reach the shim's own memory.
 */
#include <linux/mman.h>
#include "../shim/mm.h"
#include "synth.h"

#define STACK_SHOWN_BYTES (132u << 10) /* as synth_pid.c */

/* The figures of one mapping, or the sum of many. */
struct pages {
	u64 resident, shared_clean, private_clean, private_dirty, anonymous, locked;
};

static struct pages pages_of(const struct vma *v)
{
	u64 size = v->prot ? v->end - v->start : 0;
	struct pages p = {0};

	if (v->kind == VMA_STACK && size > STACK_SHOWN_BYTES)
		size = STACK_SHOWN_BYTES;
	p.resident = size;
	if (v->flags & VMA_SHARED)
		p.shared_clean = size;
	else if (v->prot & PROT_WRITE)
		p.private_dirty = p.anonymous = size;
	else
		p.private_clean = size;
	p.locked = v->flags & VMA_LOCKED ? size : 0;
	return p;
}

static void pages_add(struct pages *sum, struct pages more)
{
	sum->resident += more.resident;
	sum->shared_clean += more.shared_clean;
	sum->private_clean += more.private_clean;
	sum->private_dirty += more.private_dirty;
	sum->anonymous += more.anonymous;
	sum->locked += more.locked;
}

static void put_kb(struct synth_text *out, const char *name, u64 bytes)
{
	text_string(out, name);
	text_pad(out, 16);
	text_add(out, "%8lu kB\n", bytes / 1024);
}

static void put_pages(struct synth_text *out, const struct pages *p, bool is_sum)
{
	static const char *const zeros[] = {
		"KSM:",		  "LazyFree:",	     "AnonHugePages:",	 "ShmemPmdMapped:",
		"FilePmdMapped:", "Shared_Hugetlb:", "Private_Hugetlb:", "Swap:",
		"SwapPss:"};

	put_kb(out, "Rss:", p->resident);
	put_kb(out, "Pss:", p->resident);
	put_kb(out, "Pss_Dirty:", p->private_dirty);
	if (is_sum) {
		put_kb(out, "Pss_Anon:", p->anonymous);
		put_kb(out, "Pss_File:", p->resident - p->anonymous);
		put_kb(out, "Pss_Shmem:", 0);
	}
	put_kb(out, "Shared_Clean:", p->shared_clean);
	put_kb(out, "Shared_Dirty:", 0);
	put_kb(out, "Private_Clean:", p->private_clean);
	put_kb(out, "Private_Dirty:", p->private_dirty);
	put_kb(out, "Referenced:", p->resident);
	put_kb(out, "Anonymous:", p->anonymous);
	for (u32 i = 0; i < sizeof(zeros) / sizeof(zeros[0]); i++)
		put_kb(out, zeros[i], 0);
	put_kb(out, "Locked:", p->locked);
}

/* Two letters each, as Documentation/filesystems/proc.rst lists them. */
static void put_flags(struct synth_text *out, const struct vma *v)
{
	bool shared = v->flags & VMA_SHARED;
	const struct {
		bool holds;
		const char *letters;
	} flags[] = {
		{v->prot & PROT_READ, "rd "},
		{v->prot & PROT_WRITE, "wr "},
		{v->prot & PROT_EXEC, "ex "},
		{shared, "sh "},
		{true, "mr "},
		{!shared || v->flags & VMA_MAYWRITE, "mw "},
		{true, "me "},
		{shared, "ms "},
		{v->kind == VMA_STACK, "gd "},
		{v->flags & VMA_LOCKED, "lo "},
		{v->flags & VMA_DONTFORK, "dc "},
		{!shared && v->prot & PROT_WRITE, "ac "},
	};

	text_string(out, "VmFlags: ");
	for (u32 i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
		if (flags[i].holds)
			text_string(out, flags[i].letters);
	}
	text_string(out, "\n");
}

static void make_smaps(const struct synth_ctx *c, struct synth_text *out)
{
	const struct mm *mm = synth_memory(c);

	for (u32 i = 0; mm && i < mm->count; i++) {
		const struct vma *v = synth_vma(mm, i);
		if (!v)
			continue;
		struct pages p = pages_of(v);
		synth_put_vma(c, out, v);
		put_kb(out, "Size:", v->end - v->start);
		put_kb(out, "KernelPageSize:", MM_PAGE);
		put_kb(out, "MMUPageSize:", MM_PAGE);
		put_pages(out, &p, false);
		text_string(out, "THPeligible:           0\n");
		put_flags(out, v);
	}
}

static void make_smaps_rollup(const struct synth_ctx *c, struct synth_text *out)
{
	const struct mm *mm = synth_memory(c);
	u64 start = 0, end = 0;
	struct pages sum = {0};

	for (u32 i = 0; mm && i < mm->count; i++) {
		const struct vma *v = synth_vma(mm, i);
		if (!v)
			continue;
		start = start ? start : v->start;
		end = v->end;
		pages_add(&sum, pages_of(v));
	}
	if (!mm)
		return;
	text_add(out, "%08lx-%08lx ---p 00000000 00:00 0 ", start, end);
	text_pad(out, 73);
	text_string(out, "[rollup]\n");
	put_pages(out, &sum, true);
}

/* The vector the program was started with, its end included. */
static void make_auxv(const struct synth_ctx *c, struct synth_text *out)
{
	const struct mm *mm = synth_memory(c);

	if (mm)
		text_bytes(out, mm->auxv, mm->auxv_words * sizeof(u64));
}

const struct synth_node synth_memory_nodes[] = {
	NODE_LOOKS("/smaps", make_smaps),
	{.path = "/smaps_rollup",
	 .type = SYNTH_TEXT,
	 .gone = ESRCH,
	 .looks = true,
	 .make = make_smaps_rollup},
	{.path = "/auxv",
	 .type = SYNTH_TEXT,
	 .gone = ESRCH,
	 .mode = 0400,
	 .flat = true,
	 .make = make_auxv},
	NODE_REFUSED("/mem", 0600, EACCES),
	NODE_REFUSED("/pagemap", 0400, EACCES),
	NODE_REFUSED("/clear_refs", 0200, EACCES),
	{.path = NULL},
};
