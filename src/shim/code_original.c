/*
 * Code as it was before instructions in it were replaced (code_pages.h, patch_table.h).
 */
#include "code_pages.h"
#include "patch_table.h"
#include "shim.h"

/* Of bytes that were read from [addr, addr + len): those at `at` were `orig`. */
static void put_back(u64 addr, u8 *bytes, u64 len, u64 at, const u8 *orig, u32 count)
{
	for (u32 i = 0; i < count; i++) {
		if (at + i >= addr && at + i < addr + len)
			bytes[at + i - addr] = orig[i];
	}
}

static void patch_undo(const struct mm_exec *e, const struct patch *p, u64 addr, u8 *bytes, u64 len)
{
	for (u32 i = p->nwrites < PATCH_WRITES ? p->nwrites : PATCH_WRITES; i > 0; i--) {
		const struct patch_write *w = &p->writes[i - 1];
		u32 count = w->len < PATCH_WRITE_MAX ? w->len : PATCH_WRITE_MAX;
		u64 at = e->base + w->off;
		if (at >= e->start && at + count <= e->end)
			put_back(addr, bytes, len, at, w->orig, count);
	}
}

void code_original(struct mm *mm, u64 addr, u8 *bytes, u64 len)
{
	const struct code_site *sites = (const struct code_site *)mm->code_sites;

	for (u32 i = 0; i < mm->code_site_count; i++) {
		u8 original = (u8)sites[i].original;
		put_back(addr, bytes, len, sites[i].addr, &original, 1);
	}
	for (u32 i = 0; i < mm->nexec; i++) {
		const struct mm_exec *e = &mm->exec[i];
		const struct patch_file *file = patch_file_at(PATCHES, e->patch_file);
		if (e->start >= addr + len || e->end <= addr || !file || file->stale)
			continue;
		for (const struct patch *p = patch_at(PATCHES, file->first); p;
		     p = patch_at(PATCHES, p->next))
			patch_undo(e, p, addr, bytes, len);
	}
}
