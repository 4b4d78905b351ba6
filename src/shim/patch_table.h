/*
 * The patch table: what is known of executable file mappings, so that each is scanned once and a
 * later mapping of the same bytes starts patched.  Both halves see it: the tracer appends, the shim
 * applies.
 *
 * A patch file is one executable private mapping of a file, named by everything its patches depend
 * on: the file's identity, the mapped part of it, and the distance from the mapping to its stub
 * area.  With that distance in the key the bytes are the same at any address: they refer to mapping
 * and stub area only relative to themselves; the one absolute address is the shim's entry.
 *
 * The key holds numbers of the host and none of them reaches the app.  Patches carry the bytes they
 * replace; a patch file one of whose patches does not fit the bytes found is stale and not used.
 *
 * The region is hostile to the tracer: patch_file_at, patch_at and patch_append check every index,
 * and walks are bounded by patch_count_of: a list may lead in a circle.
 */
#ifndef SHADOW_PATCH_TABLE_H
#define SHADOW_PATCH_TABLE_H

#include "shim_abi.h"

#define PATCH_STUB_SIZE 0x10000 /* bytes of a stub area */
#define PATCH_STUB_MAX	128	/* bytes of one stub */
#define PATCH_WRITE_MAX 8
#define PATCH_WRITES	2
#define PATCH_FILES_MAX 16384
#define PATCH_POOL_MAX	0x100000
#define PATCH_BUCKETS	4096

/* One store into the code: offset from the start of the mapping. */
struct patch_write {
	u32 off;
	u8 len;
	u8 bytes[PATCH_WRITE_MAX]; /* the new bytes */
	u8 orig[PATCH_WRITE_MAX];  /* what must be there before */
	u8 pad[3];
};

/*
 * One patched site.  Writes are applied in order.  A moved window: code that was interrupted at an
 * original address in [window_start, window_end) goes on at stub_off + window_stub in the stub
 * area; equal bounds mean that nothing was moved behind the site.
 */
struct patch {
	u32 next; /* pool index plus 1; 0 ends the list */
	u32 site_off;
	u32 window_start, window_end; /* offsets in the mapping */
	u32 stub_off;		      /* offset in the stub area */
	u16 window_stub;	      /* offset in the stub */
	u8 stub_len;
	u8 nwrites;
	u16 is_yield; /* a yield point of the configuration, no listed instruction */
	u16 is_pause;
	struct patch_write writes[PATCH_WRITES];
	u8 stub[PATCH_STUB_MAX];
};

struct patch_key {
	u64 dev, ino, size, mtime_ns, ctime_ns; /* of the file, by the host */
	u64 file_off, length;			/* of the mapping; length as executable mapping */
	s64 distance;				/* stub area minus start of the mapping */
};

struct patch_file {
	struct patch_key key;
	u32 chain;	 /* next in its bucket: index plus 1 */
	u32 scanned;	 /* set by the shim after UPCALL_MAP_EXEC returned */
	u32 stale;	 /* a patch did not fit: never used again */
	u32 count;	 /* patches in the list */
	u32 first, last; /* pool index plus 1 */
	u32 stub_used;	 /* bytes of the stub area handed out; whoever appends moves it on */
	u32 pad;
};

struct patch_table {
	u32 file_count;
	u32 patch_count;
	u32 buckets[PATCH_BUCKETS]; /* index plus 1 */
	struct patch_file files[PATCH_FILES_MAX];
	struct patch pool[PATCH_POOL_MAX];
};
_Static_assert(sizeof(struct patch_table) <= REGION_RING_OFF - REGION_PATCH_OFF, "region map");

#define PATCHES REGION_AT(struct patch_table, REGION_PATCH_OFF)

/* The patch file of that index; NULL if there is none. */
static inline struct patch_file *patch_file_at(struct patch_table *table, u32 index)
{
	return index < PATCH_FILES_MAX && index < table->file_count ? &table->files[index] : NULL;
}

/* The patch a link (`first`, `next`) names; NULL at the end of a list or for a bad link. */
static inline struct patch *patch_at(struct patch_table *table, u32 link)
{
	return link != 0 && link <= PATCH_POOL_MAX ? &table->pool[link - 1] : NULL;
}

/* How many patches the file's list has, at most as many as there are. */
static inline u32 patch_count_of(const struct patch_file *file)
{
	u32 count = __atomic_load_n(&file->count, __ATOMIC_RELAXED);

	return count < PATCH_POOL_MAX ? count : PATCH_POOL_MAX;
}

/* The patch of the site at that offset of the mapping, or NULL. */
static inline struct patch *patch_find(struct patch_table *table, const struct patch_file *file,
				       u32 site_off)
{
	struct patch *p = patch_at(table, file->first);

	for (u32 left = patch_count_of(file); p != NULL && left != 0; left--) {
		if (p->site_off == site_off)
			return p;
		p = patch_at(table, p->next);
	}
	return NULL;
}

/*
 * Appends a copy of `patch` to the file's list.  Holder of the turn, or the tracer while the task
 * that holds it is stopped.  NULL if the pool is full or the links are damaged.
 */
static inline struct patch *patch_append(struct patch_table *table, struct patch_file *file,
					 const struct patch *patch)
{
	u32 used = __atomic_load_n(&table->patch_count, __ATOMIC_RELAXED), link = used + 1;
	struct patch *tail = patch_at(table, file->last), *to;

	if (used >= PATCH_POOL_MAX || (file->count != 0 && tail == NULL))
		return NULL;
	to = &table->pool[link - 1];
	*to = *patch;
	to->next = 0;
	if (file->count == 0)
		file->first = link;
	else
		tail->next = link;
	file->last = link;
	file->count++;
	table->patch_count = link;
	return to;
}

#ifdef SHADOW_SHIM
#include "mm.h"

/*
 * The range [start, end) of the address space has just become an executable private mapping of
 * `file` from file_off: reserves its stub area, has it scanned if its bytes were never seen,
 * applies the patches known and leaves it with its protection.  0, or -ENOMEM when no stub area
 * fits or mm->exec is full (the mapping stays, the caller decides).
 */
long patch_exec_add(struct task *t, u64 start, u64 end, const struct mm_file *file, u64 file_off);

/* Brings the patches back after the kernel dropped changed pages in [start, end). */
void patch_exec_refresh(struct task *t, u64 start, u64 end);

/* Before a fork: applies what other processes have learnt since, so that a child does not learn the
 * same again and again. */
void patch_exec_catch_up(struct task *t);

/* The range is about to be unmapped or replaced: executable mappings in it end, stub areas without
 * a mapping are unmapped. */
void patch_exec_remove(struct mm *mm, u64 start, u64 end);

/* Whether a stub area in [start, end) would outlive the removal of that range. */
bool patch_stub_blocks(const struct mm *mm, u64 start, u64 end);

/* Whether every byte of [start, end) belongs to an executable mapping known here. */
bool patch_exec_covers(const struct mm *mm, u64 start, u64 end);

/* Whether any byte of it does. */
bool patch_exec_overlaps(const struct mm *mm, u64 start, u64 end);

/*
 * Where execution at the original address rip really goes on: inside a window that was moved into
 * a stub, in the tail of the stub; else rip itself.
 */
u64 patch_resume(struct task *t, u64 rip);
#endif

#endif
