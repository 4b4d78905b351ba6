/*
 * Executable file mappings: their stub areas, and the patches the table knows for them.
 *
 * Owns mm->exec and the shim's side of REGION_PATCH.  Invariants: every entry of mm->exec has its
 * stub area mapped, within reach of a 32-bit displacement, whether or not a patch exists (else
 * addresses would tell what was patched); entries are disjoint; entries cut from one mapping share
 * its stub area, which goes with the last of them.  Code is written through user_copy_out, because
 * the file may have been cut short behind the mapping.
 */
#include <asm/errno.h>
#include <linux/mman.h>

#include "code_pages.h"
#include "patch_table.h"
#include "shim.h"
#include "syscall_nr.h"

/* Farther than this a jump from one end of the mapping might not reach the other end of the stubs.
 */
#define REACH 0x7fff0000ul

/* ---- the table ---- */

static u32 bucket_of(const struct patch_key *key)
{
	return hash_bytes(0, key, sizeof(*key)) % PATCH_BUCKETS;
}

/* The patch file of that key, made if it is new; NONE when the table is full. */
static u32 patch_file_get(const struct patch_key *key)
{
	u32 *head = &PATCHES->buckets[bucket_of(key)];
	struct patch_file *file;

	for (u32 link = *head; link != 0; link = PATCHES->files[link - 1].chain) {
		file = &PATCHES->files[link - 1];
		if (!file->stale && memcmp(&file->key, key, sizeof(*key)) == 0)
			return link - 1;
	}
	if (PATCHES->file_count == PATCH_FILES_MAX)
		return NONE;
	file = &PATCHES->files[PATCHES->file_count];
	memset(file, 0, sizeof(*file));
	file->key = *key;
	file->chain = *head;
	*head = ++PATCHES->file_count;
	return *head - 1;
}

/* ---- stub areas ---- */

/* The nearest gap for a stub area, below the mapping if there is one: what lies above it differs
 * more between processes, and the distance is part of the key. */
static u64 stub_place(struct mm *mm, u64 start, u64 end)
{
	u64 low = end > REACH ? end - REACH : 0;
	u64 high = start + REACH, addr;

	if (low < APP_MIN_ADDR)
		low = APP_MIN_ADDR;
	if (start >= SHIM_LIMIT && low < SHIM_LIMIT)
		low = SHIM_LIMIT;
	if (high > APP_ADDR_MAX)
		high = APP_ADDR_MAX;
	if (start < SHIM_BASE && high > SHIM_BASE)
		high = SHIM_BASE;
	addr = low < start ? vma_choose(mm, PATCH_STUB_SIZE, MM_PAGE, low, start) : 0;
	return addr != 0 ? addr : vma_choose_low(mm, PATCH_STUB_SIZE, end, high);
}

static long stub_map(struct mm *mm, u64 stub, u32 prot)
{
	struct vma v = {.start = stub, .end = stub + PATCH_STUB_SIZE, .kind = VMA_STUB};
	long r = SYS6(NR_mmap, stub, PATCH_STUB_SIZE, prot,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1l, 0);

	if (r < 0)
		return r;
	v.prot = PROT_READ | PROT_EXEC;
	vma_set(mm, v.start, v.end, &v);
	return 0;
}

static void stub_drop(struct mm *mm, u64 stub)
{
	for (u32 i = 0; i < mm->nexec; i++) {
		if (mm->exec[i].stub == stub)
			return;
	}
	SYS2(NR_munmap, stub, PATCH_STUB_SIZE);
	vma_set(mm, stub, stub + PATCH_STUB_SIZE, NULL);
}

/* ---- patches ---- */

static bool is_sane(const struct mm_exec *e, const struct patch *p)
{
	if (p->nwrites == 0 || p->nwrites > PATCH_WRITES || p->stub_len > PATCH_STUB_MAX ||
	    p->stub_off + (u64)p->stub_len > PATCH_STUB_SIZE)
		return false;
	for (u32 i = 0; i < p->nwrites; i++) {
		if (p->writes[i].len > PATCH_WRITE_MAX ||
		    p->writes[i].off + (u64)p->writes[i].len > e->end - e->base)
			return false;
	}
	return true;
}

/* Whether the mapping holds what the patch expects, or the patch itself already. */
static bool fits(const struct mm_exec *e, const struct patch *p)
{
	u8 now[PATCH_WRITE_MAX];

	if (!is_sane(e, p))
		return false;
	for (u32 i = 0; i < p->nwrites; i++) {
		const struct patch_write *w = &p->writes[i];
		if (user_copy_in(now, e->base + w->off, w->len) < 0 ||
		    (memcmp(now, w->orig, w->len) != 0 && memcmp(now, w->bytes, w->len) != 0))
			return false;
	}
	return true;
}

static bool all_fit(const struct mm_exec *e, const struct patch_file *file)
{
	for (const struct patch *p = patch_at(PATCHES, file->first); p != NULL;
	     p = patch_at(PATCHES, p->next)) {
		if (!fits(e, p))
			return false;
	}
	return true;
}

static void write_stubs(const struct mm_exec *e, const struct patch_file *file)
{
	for (const struct patch *p = patch_at(PATCHES, file->first); p != NULL;
	     p = patch_at(PATCHES, p->next))
		user_copy_out(e->stub + p->stub_off, p->stub, p->stub_len);
}

static void write_sites(const struct mm_exec *e, const struct patch_file *file)
{
	for (const struct patch *p = patch_at(PATCHES, file->first); p != NULL;
	     p = patch_at(PATCHES, p->next)) {
		for (u32 i = 0; i < p->nwrites; i++)
			user_copy_out(e->base + p->writes[i].off, p->writes[i].bytes,
				      p->writes[i].len);
	}
}

/* Gives the kernel's mappings of the entry the protection of the books again. */
static void restore_prot(const struct mm *mm, const struct mm_exec *e)
{
	for (u32 i = vma_lower(mm, e->start); i < mm->count && vma_at(mm, i)->start < e->end; i++) {
		const struct vma *v = vma_at(mm, i);
		u64 start = v->start > e->start ? v->start : e->start;
		u64 end = v->end < e->end ? v->end : e->end;
		SYS3(NR_mprotect, start, end - start, code_kernel_prot(v));
	}
}

/* Writes all patches of the entry's file; the caller has seen that they fit. */
static void apply(const struct mm *mm, const struct mm_exec *e, const struct patch_file *file)
{
	SYS3(NR_mprotect, e->stub, PATCH_STUB_SIZE, PROT_READ | PROT_WRITE);
	write_stubs(e, file);
	SYS3(NR_mprotect, e->stub, PATCH_STUB_SIZE, PROT_READ | PROT_EXEC);
	SYS3(NR_mprotect, e->start, e->end - e->start, PROT_READ | PROT_WRITE);
	write_sites(e, file);
	restore_prot(mm, e);
}

/* ---- entries ---- */

/* The part of a mapping that has file behind it; pages beyond the end cannot be read. */
static u64 end_of_code(u64 start, u64 end, const struct mm_file *file, u64 file_off)
{
	u64 bytes = file->size > file_off ? page_up(file->size - file_off) : 0;

	return bytes < end - start ? start + bytes : end;
}

/* Finds the entry's patch file, has it scanned; a stale one is given up for a new one. */
static long learn(struct mm_exec *e, const struct patch_key *key)
{
	for (;;) {
		struct patch_file *file;
		e->patch_file = patch_file_get(key);
		if (e->patch_file == NONE)
			return -ENOMEM;
		file = &PATCHES->files[e->patch_file];
		if (!file->scanned) {
			upcall(UPCALL_MAP_EXEC, e->patch_file, e->start, e->end - e->start);
			file->scanned = 1;
			return all_fit(e, file) ? 0 : -ENOMEM;
		}
		if (all_fit(e, file))
			return 0;
		file->stale = 1;
	}
}

/* Learns and applies the patches of a new entry whose stub area is mapped. */
static long prepare(struct mm *mm, struct mm_exec *e, const struct patch_key *key)
{
	const struct patch_file *file;
	long r = learn(e, key);

	if (r < 0)
		return r;
	file = &PATCHES->files[e->patch_file];
	if (file->count != 0)
		apply(mm, e, file);
	e->applied = file->count;
	return 0;
}

/* Where the first entry in (addr, end) begins, or end. */
static u64 next_entry(const struct mm *mm, u64 addr, u64 end)
{
	for (u32 i = 0; i < mm->nexec; i++) {
		if (mm->exec[i].start > addr && mm->exec[i].start < end)
			end = mm->exec[i].start;
	}
	return end;
}

/* The range is known in part: each piece of the rest becomes an entry of its own. */
static long add_rest(struct task *t, u64 start, u64 end, const struct mm_file *file, u64 file_off)
{
	long r = 0;

	for (u64 at = start; r == 0 && at < end;) {
		const struct mm_exec *known = mm_exec_find(mm_of(t), at);
		u64 stop = known != NULL ? known->end : next_entry(mm_of(t), at, end);

		if (known == NULL)
			r = patch_exec_add(t, at, stop, file, file_off + (at - start));
		at = stop;
	}
	return r;
}

long patch_exec_add(struct task *t, u64 start, u64 end, const struct mm_file *file, u64 file_off)
{
	struct mm *mm = mm_of(t);
	struct mm_exec e = {.base = start, .start = start};

	e.end = end_of_code(start, end, file, file_off);
	if (e.end == e.start || patch_exec_covers(mm, e.start, e.end))
		return 0;
	if (patch_exec_overlaps(mm, e.start, e.end))
		return add_rest(t, e.start, e.end, file, file_off);
	e.stub = stub_place(mm, start, end);
	if (e.stub == 0 || mm->nexec == MM_EXEC_MAX ||
	    stub_map(mm, e.stub, PROT_READ | PROT_EXEC) < 0)
		return -ENOMEM;
	struct patch_key key = {.dev = file->dev,
				.ino = file->ino,
				.size = file->size,
				.mtime_ns = file->mtime_ns,
				.ctime_ns = file->ctime_ns,
				.file_off = file_off,
				.length = e.end - e.start,
				.distance = (s64)(e.stub - start)};
	if (prepare(mm, &e, &key) < 0) {
		stub_drop(mm, e.stub);
		return -ENOMEM;
	}
	mm->exec[mm->nexec++] = e;
	return 0;
}

void patch_exec_refresh(struct task *t, u64 start, u64 end)
{
	struct mm *mm = mm_of(t);

	for (u32 i = 0; i < mm->nexec; i++) {
		const struct mm_exec *e = &mm->exec[i];
		const struct patch_file *file = &PATCHES->files[e->patch_file];
		if (e->start < end && e->end > start && file->count != 0 && all_fit(e, file))
			apply(mm, e, file);
	}
}

void patch_exec_catch_up(struct task *t)
{
	struct mm *mm = mm_of(t);

	for (u32 i = 0; i < mm->nexec; i++) {
		struct mm_exec *e = &mm->exec[i];
		const struct patch_file *file = &PATCHES->files[e->patch_file];
		if (e->applied == file->count)
			continue;
		if (all_fit(e, file))
			apply(mm, e, file);
		e->applied = file->count;
	}
}

/* Takes [start, end) out of entry i. True if the entry is gone and another took its place. */
static bool entry_cut(struct mm *mm, u32 i, u64 start, u64 end)
{
	struct mm_exec *e = &mm->exec[i];
	u64 stub = e->stub;

	if (start <= e->start && end >= e->end) {
		*e = mm->exec[--mm->nexec];
		stub_drop(mm, stub);
		return true;
	}
	if (start > e->start && end < e->end && mm->nexec < MM_EXEC_MAX) {
		mm->exec[mm->nexec] = *e;
		mm->exec[mm->nexec++].start = end;
	}
	if (start <= e->start)
		e->start = end;
	else
		e->end = start;
	return false;
}

void patch_exec_remove(struct mm *mm, u64 start, u64 end)
{
	for (u32 i = 0; i < mm->nexec;) {
		const struct mm_exec *e = &mm->exec[i];
		if (e->start >= end || e->end <= start || !entry_cut(mm, i, start, end))
			i++;
	}
}

/* Whether an entry outside of [start, end), even in part, uses that stub area. */
static bool stub_is_used(const struct mm *mm, u64 stub, u64 start, u64 end)
{
	for (u32 i = 0; i < mm->nexec; i++) {
		const struct mm_exec *e = &mm->exec[i];
		if (e->stub == stub && (e->start < start || e->end > end))
			return true;
	}
	return false;
}

bool patch_stub_blocks(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = vma_lower(mm, start); i < mm->count; i++) {
		const struct vma *v = vma_at(mm, i);
		if (v->start >= end)
			break;
		if (v->kind == VMA_STUB && stub_is_used(mm, v->start, start, end))
			return true;
	}
	return false;
}

bool patch_exec_overlaps(const struct mm *mm, u64 start, u64 end)
{
	for (u32 i = 0; i < mm->nexec; i++) {
		if (mm->exec[i].start < end && mm->exec[i].end > start)
			return true;
	}
	return false;
}

bool patch_exec_covers(const struct mm *mm, u64 start, u64 end)
{
	u64 covered = 0;

	for (u32 i = 0; i < mm->nexec; i++) {
		const struct mm_exec *e = &mm->exec[i];
		u64 from = e->start > start ? e->start : start, to = e->end < end ? e->end : end;
		if (from < to)
			covered += to - from;
	}
	return covered == end - start;
}

u64 patch_resume(struct task *t, u64 rip)
{
	const struct mm_exec *e = mm_exec_find(mm_of(t), rip);
	u64 off;

	if (e == NULL)
		return rip;
	off = rip - e->base;
	for (const struct patch *p = patch_at(PATCHES, PATCHES->files[e->patch_file].first);
	     p != NULL; p = patch_at(PATCHES, p->next)) {
		u8 now[PATCH_WRITE_MAX];
		const struct patch_write *w;
		if (off < p->window_start || off >= p->window_end || !is_sane(e, p))
			continue;
		w = &p->writes[p->nwrites - 1];
		/* known to the table is not yet written into this process */
		if (user_copy_in(now, e->base + w->off, w->len) == 0 &&
		    memcmp(now, w->bytes, w->len) == 0)
			return e->stub + p->stub_off + p->window_stub;
	}
	return rip;
}
