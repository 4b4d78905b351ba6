/*
 * Address spaces as the app believes them to be.
 *
 * The shim chooses every address, so it keeps its own list of mappings; the kernel is only ever
 * called with MAP_FIXED.  `proc->mm` names one; threads and vfork children share it, fork copies
 * it, exec makes a new one.  The kernel's address space is changed only by the process itself:
 * functions that take a task act on both the books and the kernel of the current process.
 *
 * The tracer reads struct mm (mm->exec, to find the mapping of a trapped site, and the VMA array):
 * it uses mm_at and mm_exec_find, and checks count and addresses of the array before following it.
 */
#ifndef SHADOW_MM_H
#define SHADOW_MM_H

#include "shim_abi.h"
#include "task.h"

#define MM_PAGE	      4096ul
#define MM_HUGE_PAGE  0x200000ul
#define MMS_MAX	      4224 /* processes, and some for programs being exchanged */
#define MM_EXEC_MAX   1024
#define MM_AUXV_WORDS 64
#define MM_VMAS_MAX   65530 /* vm.max_map_count */

/* As large a stack as fits above the mappings, with the gap Linux keeps in front of it. */
#define MM_STACK_MAX (APP_STACK_TOP - APP_MMAP_TOP - 0x100000)

enum vma_kind {
	VMA_FILE,
	VMA_ANON,
	VMA_HEAP,
	VMA_STACK,
	VMA_STUB /* ours: to the app a hole that cannot be mapped; not in /proc/PID/maps */
};

enum vma_flag {
	VMA_SHARED = 1,
	VMA_MAYWRITE = 2, /* a shared file mapping whose descriptor could write */
	VMA_LOCKED = 4,
	VMA_DONTFORK = 8,
	VMA_TOUCHED = 16, /* a private file mapping that was writable once: its bytes may be new */
	VMA_SEGMENT = 32, /* System V shared memory: never one with a neighbour */
};

/* What a mapping shows: a file, or the identity of shared anonymous memory (vnode 0). */
struct mm_file {
	u32 refs;
	u32 vnode;
	u64 id;					/* of shared anonymous memory, unique; else 0 */
	u64 path;				/* heap string, or 0 */
	u64 path_is_real;			/* it has no links in it; see synth_pid.c */
	u64 dev, ino, size, mtime_ns, ctime_ns; /* the host's: key of patches only */
	u64 base;    /* where it begins in the file that is mapped: not 0 in SHIM_FD_REGION only */
	u64 writes;  /* of a description that counts in the vnode's `writers` */
	u64 segment; /* address of a struct shm_segment (sysv_shm.c), or 0 */
};

struct vma {
	u64 start, end;
	u64 file_off;
	u64 file; /* address of a struct mm_file, or 0 */
	u8 prot;
	u8 kind;
	u8 flags;
	u8 pad[5];
};

/* An executable private mapping of a file. [start, end) is what is left of it. */
struct mm_exec {
	u64 base; /* where the mapping began: offsets of patches count from here */
	u64 start, end;
	u64 stub; /* its stub area of PATCH_STUB_SIZE bytes */
	u32 patch_file;
	u32 applied; /* patches of the file that this process has for certain */
};

struct mm {
	u32 refs;     /* processes; 0: free */
	u32 count;    /* VMAs */
	u32 capacity; /* of the array */
	u32 nexec;
	u64 vmas;			   /* heap address of the sorted array of struct vma */
	u64 full_low, full_high, full_len; /* vma_choose: between these is no gap of full_len */
	u64 total_bytes, locked_bytes;
	u64 brk_start, brk;
	u64 stack_top;
	u64 arg_start, arg_end, env_start, env_end;
	u64 entry;
	u64 code_pages, code_sites; /* heap arrays: see code_pages.h */
	u32 code_page_count, code_page_room, code_site_count, code_site_room;
	u32 membarrier; /* commands registered */
	u32 dumpable;	/* PR_SET_DUMPABLE: whose memory others may look at */
	u32 front;	/* places of the array's block before it */
	u32 lock_future;
	u32 auxv_words;
	u32 exe;		 /* vnode of the program, counted as run; 0: none yet */
	u64 auxv[MM_AUXV_WORDS]; /* as the program got it */
	struct mm_exec exec[MM_EXEC_MAX];
};

struct mm_table {
	u64 next_id; /* of shared anonymous memory */
	u32 first_free;
	u32 pad;
	struct mm mms[MMS_MAX];
};
_Static_assert(sizeof(struct mm_table) <= 0xf000000, "exec_load.h uses what is behind");

#define MMT REGION_AT(struct mm_table, REGION_MM_OFF)

/* Both halves: the address space of that index, NULL if out of range. */
static inline struct mm *mm_at(u32 index)
{
	return index < MMS_MAX ? &MMT->mms[index] : NULL;
}

/* Both halves: the executable mapping that holds addr, or NULL. */
static inline struct mm_exec *mm_exec_find(struct mm *mm, u64 addr)
{
	u32 n = mm->nexec < MM_EXEC_MAX ? mm->nexec : MM_EXEC_MAX;

	for (u32 i = 0; i < n; i++) {
		if (addr >= mm->exec[i].start && addr < mm->exec[i].end)
			return &mm->exec[i];
	}
	return NULL;
}

static inline u64 page_down(u64 addr)
{
	return addr & ~(MM_PAGE - 1);
}

static inline u64 page_up(u64 addr)
{
	return (addr + MM_PAGE - 1) & ~(MM_PAGE - 1);
}

/* Whether the app may have something at [start, end): not empty, and clear of the shim. */
static inline bool mm_is_app_range(u64 start, u64 end)
{
	return start >= APP_MIN_ADDR && start < end && end <= APP_ADDR_MAX &&
	       (end <= SHIM_BASE || start >= SHIM_LIMIT);
}

/* ---- life (mm.c) ---- */

static inline struct mm *mm_of(const struct task *t)
{
	return mm_at(proc_at(t->proc)->mm);
}

/* An empty one with one reference. */
u32 mm_create(void);
/* fork: a copy with one reference, without what MADV_DONTFORK excluded. */
u32 mm_clone(u32 mm);
/* vfork, CLONE_VM: one reference more; returns mm. */
u32 mm_get(u32 mm);
/* A process is gone or executes another program. */
void mm_put(u32 mm);

/* ---- the list of mappings (vma.c): books only ---- */

/* Index of the first VMA that ends above addr; mm->count if none. */
u32 vma_lower(const struct mm *mm, u64 addr);
/* VMA number i < mm->count, in order of addresses. */
struct vma *vma_at(const struct mm *mm, u32 i);
/* The VMA that holds addr, or NULL. */
struct vma *vma_find(const struct mm *mm, u64 addr);
/* Makes [start, end) what `proto` says (file_off counts from start), or a hole for NULL.  Splits
 * and merges; references to files are counted here. */
void vma_set(struct mm *mm, u64 start, u64 end, const struct vma *proto);
bool vma_range_is_free(const struct mm *mm, u64 start, u64 end);
/* Whether the app has all of it mapped; stub areas are holes. */
bool vma_range_is_mapped(const struct mm *mm, u64 start, u64 end);
/* Gives the list's memory back; what the VMAs refer to was let go before. */
void vma_free(struct mm *mm);
/* Where [start, end) stops being mapped for the app: end if it is as a whole. */
u64 vma_mapped_until(const struct mm *mm, u64 start, u64 end);
/* The highest (lowest for vma_choose_low) free aligned address in [low, high) for len bytes; 0 if
 * there is none. */
u64 vma_choose(struct mm *mm, u64 len, u64 align, u64 low, u64 high);
u64 vma_choose_low(const struct mm *mm, u64 len, u64 low, u64 high);
/* sysv_shm.c: a VMA with VMA_SEGMENT came, or is about to go. */
void segment_attached(const struct vma *v);
void segment_detached(const struct vma *v);
/* Whether so many bytes from addr in such a VMA are the segment's. */
bool segment_holds(const struct vma *v, u64 addr, u64 len);
/* References to files of mappings; NULL is fine. */
void mm_file_hold(struct mm_file *file);
void mm_file_put(struct mm_file *file);

/* ---- books and kernel (mm.c) ---- */

/* A file for mappings from an open descriptor: path is copied, vnode (0: none) is counted. NULL
 * when the host cannot say what the descriptor is. */
struct mm_file *mm_file_create(int fd, u32 vnode, const char *path);
/* The identity of a new piece of shared anonymous memory. */
struct mm_file *mm_file_create_anon(void);

/*
 * Chooses the address of a new mapping of len bytes (page multiple) as mmap does: the hint if it is
 * free, low addresses for MAP_32BIT, else top-down.  -ENOMEM.
 */
long mm_place(struct mm *mm, u64 hint, u64 len, u32 map_flags);

/*
 * Maps `want` (start, end, prot, kind, flags, file, file_off) there, replacing what was there; fd
 * is the descriptor for VMA_FILE with a vnode, else ignored.  Executable code is handled.  0 or a
 * negative errno: the range is then empty.
 */
long mm_map(struct task *t, const struct vma *want, int fd);
/* Empties the range; stub areas of mappings that stay are left alone. */
long mm_unmap(struct task *t, u64 start, u64 end);
/* Changes the protection of the part that is mapped, up to the first hole: -ENOMEM then, -EACCES
 * when a shared file was not opened for it. */
long mm_protect(struct task *t, u64 start, u64 end, u32 prot);
/* Whether the process may map `bytes` more: RLIMIT_AS. */
bool mm_fits(const struct task *t, u64 bytes);
/* Whether it may have `bytes` more of its own to write in: RLIMIT_DATA. */
bool mm_fits_data(const struct task *t, u64 bytes);
/* What counts as such. */
static inline bool vma_is_data(const struct vma *v)
{
	return v->prot & 2 /* PROT_WRITE */ && !(v->flags & VMA_SHARED) && v->kind < VMA_STACK;
}
/* Whether it may have `bytes` more of locked memory: RLIMIT_MEMLOCK. */
bool mm_fits_locked(const struct task *t, u64 bytes);

/* The stack limit of the process is now that many bytes: the stack's mapping grows if there is
 * room (our stacks are mapped whole, not grown by faults). */
void mm_stack_limit(struct task *t, u64 limit_bytes);

/*
 * For futexes: true if addr is in memory shared between address spaces; then two numbers that are
 * the same for the same byte in all of them.
 */
bool mm_shared_object(const struct task *t, u64 addr, u64 *ret_object, u64 *ret_offset);

#endif
