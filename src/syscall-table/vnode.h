/*
 * What the container believes of a file, keyed by the host's (device, inode).
 *
 * The host's numbers, owners and times are never shown: inode numbers count up by first sight,
 * mode, owner and times are taken over at first sight (from the host, or in a replay from the
 * table the tracer filled) and from then on are the container's own.  Only the type, the size and
 * the contents are asked of the host each time.
 *
 * The tracer reads this table too (capture: which files were born inside): it checks every index.
 */
#ifndef SHADOW_VNODE_H
#define SHADOW_VNODE_H

#include "../shim/shim_abi.h"
#include "../shim/task.h"

#define VNODES_OFF	   (REGION_FILES_OFF + 0x4000000)
#define VNODES_MAX	   (1u << 20)
#define VNODE_TABLE_MIN	   1024u /* power of two */
#define VNODE_FIRST_INO	   1000
#define VNODE_PRELOADS	   (1u << 20) /* power of two */
#define VNODE_PRELOADS_MIN 1024u
#define VNODE_DEV	   0x801 /* st_dev of every host file */

/* st_dev of what the container keeps in its books alone; statfs.c says what these are. */
enum book_dev {
	DEV_OF_NAMESPACES = 4,
	DEV_OF_DEVICES = 5,
	DEV_OF_SYS = 6,
	DEV_OF_PROC = 7,
	DEV_OF_SOCKETS = 8,
	DEV_OF_PIPES = 13, /* and of the standard streams that are pipes */
	DEV_OF_ANONYMOUS = 14,
	DEV_OF_QUEUES = 18,
	DEV_OF_CGROUP = 23,
	DEV_OF_PTS = 24
};

enum vnode_flag {
	VNODE_BORN_INSIDE = 1,	 /* made by the container: never part of the image */
	VNODE_ANNOUNCED = 2,	 /* its contents were announced to the capture thread */
	VNODE_CAPTURED = 4,	 /* its contents, if they matter, are safe: it may be destroyed */
	VNODE_LISTED = 8,	 /* a directory whose listing was announced; CAPTURED: is safe */
	VNODE_WRITTEN = 16,	 /* the container changed its contents */
	VNODE_MOVED = 32,	 /* got another name by the container, after it was captured */
	VNODE_GONE = 64,	 /* no name left; freed with the last description */
	VNODE_NAMES_TOLD = 4096, /* a directory: announced that names in it change */
	VNODE_MAPPED = 8192,	 /* its contents could change without a system call */
	VNODE_STREAM = 16384,	 /* the caller's stdout or stderr: an output of its own */
	VNODE_NAMES_SAFE = 128,	 /* a directory: what each name in it was is captured */
	VNODE_GROWS = 32768,	 /* `rewrites` are counted */
	VNODE_METADATA = 256,	 /* its mode, owner or times were changed; what they were is safe */
	VNODE_SIZED = 1024,	 /* `size` is that of the file */
	VNODE_WATCHED = 65536,	 /* inotify watches hang at it */
	VNODE_NAMELESS = 131072, /* was made without a name and never got one */
	VNODE_RENAMED = 262144,	 /* of its names it is not known which the container gave it */
	VNODE_UNSEEN = 512,	 /* stood in a listing: only its number is known so far */
	VNODE_MEMFD =
		1 << 30, /* of memfd_create; the six bits from VNODE_SEALS_SHIFT are its seals */
};
#define VNODE_SEALS_SHIFT 24
/* Names that lead to it now say nothing about the image. */
#define VNODE_NOT_IMAGE (VNODE_BORN_INSIDE | VNODE_MOVED)
/* A regular file that came out of the run. */
#define VNODE_OUTPUT (VNODE_BORN_INSIDE | VNODE_MOVED | VNODE_WRITTEN)

static inline bool vnode_is_output(u32 flags)
{
	return flags & VNODE_OUTPUT && !(flags & VNODE_STREAM);
}

/* What the tracer asks for lies in the first of its two cache lines. */
struct vnode {
	_Alignas(64) u64 dev;
	u64 host_ino; /* with dev: the host's, key only */
	u64 ino;      /* virtual */
	s64 ctime_ns;
	u64 size; /* with VNODE_SIZED: see position.h */
	u32 mode, uid;
	u32 flags;
	u32 opens;   /* descriptions and working directories that name it */
	u32 looks;   /* how often the host was asked about it or opened it; see vnode_quiet */
	u32 changes; /* of its contents by calls */
	s64 mtime_ns, atime_ns, btime_ns;
	u32 gid, nlink;
	u32 rdev;	/* of a device */
	u32 fifo;	/* of the pipe family: index of its pipe plus 1 */
	u32 open_error; /* opening it fails with this (a replay of a file the host denied) */
	u32 singles;	/* of a directory: names in it that were captured for a change each */
	u32 rewrites;	/* changes of contents other than by writing behind `size` */
	union {
		u32 next_free; /* in the free list; 0 ends */
		s32 writers;   /* in use: descriptions that write; below 0: programs that run it */
	};
	struct file_lock *locks; /* of lock.c, heap */
};
_Static_assert(sizeof(struct vnode) == 128, "two cache lines");

/* What the tracer knows of a file it unpacked for a replay. ino 0: empty entry. */
struct vnode_preload {
	u64 dev, host_ino;
	s64 mtime_ns;
	u32 mode, uid, gid, nlink;
	u32 open_error; /* errno, or 0 */
	u32 pad;
	u64 rdev;
};

/*
 * Open addressing, so that a slot is touched only when it is the one.  An entry is the low half of
 * the key's hash above the slot's index; index 0: was one, goes on.  The tracer looks while the
 * shim writes: so entries never move, and an index whose place another has taken is not given back
 * while the tracer may be looking.
 */
struct vnode_index {
	u64 mask;
	struct vnode_index *retired; /* another one to be given back */
	u64 pad[4];		     /* with the head of the block in the heap: a cache line */
	u64 entries[];		     /* mask + 1; 0: ends a search */
};

/* Lines of the cache come in pairs.  The tracer looks at the second pair and writes the third while
 * the shim writes the first. */
struct vnode_table {
	u64 next_ino;
	u32 count; /* slots ever used; slot 0 is never used */
	u32 free_list;
	u32 hashed, used; /* entries that lead to a slot; that are not 0 */
	u64 pad0[13];

	struct vnode_index *index; /* heap */
	u64 preload_count;	   /* written by the tracer before the first instruction */
	u64 preload_mask; /* likewise; of so many entries plus 1, so that few pages are touched */
	u64 preload_devices; /* likewise: how many of them are devices */
	u64 pad1[12];

	u32 readers; /* threads of the tracer that are looking */
	u32 pad2[31];

	struct vnode slots[VNODES_MAX];
	struct vnode_preload preload[VNODE_PRELOADS];
};
_Static_assert(offsetof(struct vnode_table, index) == 128, "a pair of lines");
_Static_assert(offsetof(struct vnode_table, slots) == 384, "three pairs of lines");

/* One answer for stat, lstat, fstat and statx. */
struct vstat {
	u64 dev, ino, rdev, size, blocks;
	u32 mode, uid, gid, nlink, blksize;
	s64 mtime_ns, ctime_ns, atime_ns, btime_ns;
};

/* Files that were made one after another mostly have numbers one after another, and are asked for
 * so: their entries share a cache line. */
static inline u64 vnode_hash(u64 dev, u64 ino)
{
	u64 h = (ino / 8 + dev * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	return ((h ^ h >> 32) & ~7ull) | ino % 8;
}

/* Both sides: where the entry of a file in the preload table is, or would be put. */
static inline struct vnode_preload *vnode_preload_slot(struct vnode_table *table, u64 dev, u64 ino)
{
	u32 mask = (u32)table->preload_mask & (VNODE_PRELOADS - 1);
	u32 i = vnode_hash(dev, ino) & mask;

	for (u32 probes = 0; probes <= mask; probes++) {
		struct vnode_preload *p = &table->preload[i];
		if (!p->host_ino || (p->host_ino == ino && p->dev == dev))
			return p;
		i = (i + 1) & mask;
	}
	return NULL;
}

#define VNODES REGION_AT(struct vnode_table, VNODES_OFF)
_Static_assert(VNODES_OFF + sizeof(struct vnode_table) <= REGION_PROC_OFF, "fits");

/* Whether the index lies where one can, whatever the program has written there. */
static inline bool vnode_index_fits(u64 at)
{
	const u64 low = REGION_BASE + REGION_HEAP_OFF, high = low + REGION_HEAP_SIZE;

	return at >= low && at <= high - sizeof(struct vnode_index) && at % sizeof(u64) == 0;
}

/*
 * Both sides: the index of the vnode of a host file, or 0.  Follows nothing out of the region and
 * searches no further than the table, whatever it holds: the tracer calls it while the container
 * runs.
 */
static inline u32 vnode_search(const struct vnode_index *index, u64 dev, u64 host_ino)
{
	const struct vnode_table *table = VNODES;

	if (!vnode_index_fits((u64)index))
		return 0;
	u64 mask = index->mask, tag = (u32)vnode_hash(dev, host_ino);
	u64 room = REGION_BASE + REGION_HEAP_OFF + REGION_HEAP_SIZE - (u64)index->entries;
	if (mask >= VNODES_MAX * 2 || mask >= room / sizeof(u64))
		return 0;
	for (u64 i = tag & mask, steps = 0; steps <= mask; i = (i + 1) & mask, steps++) {
		u64 e = __atomic_load_n(&index->entries[i], __ATOMIC_ACQUIRE);
		u32 slot = (u32)e;
		if (!e)
			return 0;
		if (e >> 32 == tag && slot && slot < VNODES_MAX &&
		    table->slots[slot].host_ino == host_ino && table->slots[slot].dev == dev)
			return slot;
	}
	return 0;
}

static inline u32 vnode_find(u64 dev, u64 host_ino)
{
#ifdef SHADOW_SHIM
	return vnode_search(VNODES->index, dev, host_ino);
#else
	__atomic_fetch_add(&VNODES->readers, 1, __ATOMIC_SEQ_CST);
	u32 i = vnode_search(__atomic_load_n(&VNODES->index, __ATOMIC_SEQ_CST), dev, host_ino);
	__atomic_fetch_sub(&VNODES->readers, 1, __ATOMIC_SEQ_CST);
	return i;
#endif
}

/*
 * The tracer's side: a stamp of the vnode of a host file, 0 while the container has it open or
 * mapped, or knows it not.  As long as vnode_quiet says true of the stamp, nothing in the container
 * has asked the host about that file or read it since.
 */
static inline u64 vnode_stamp(u64 dev, u64 host_ino)
{
	u32 i = vnode_find(dev, host_ino);
	const struct vnode *v = &VNODES->slots[i];
	/* Before `opens`: opening counts as a look too. */
	u32 looks = __atomic_load_n(&v->looks, __ATOMIC_SEQ_CST);

	return i && !__atomic_load_n(&v->opens, __ATOMIC_SEQ_CST) ? (u64)i << 32 | looks : 0;
}

static inline bool vnode_quiet(u64 stamp)
{
	u32 i = (u32)(stamp >> 32);

	return i && i < VNODES_MAX && VNODES->slots[i].looks == (u32)stamp;
}

/* The tracer's side: whether the container has made or moved the file. */
static inline bool vnode_is_inside(u64 dev, u64 host_ino)
{
	u32 i = vnode_find(dev, host_ino);

	return i && VNODES->slots[i].flags & VNODE_NOT_IMAGE;
}

/* The same: whether it has changed it, after what it was had been captured. */
static inline bool vnode_is_changed(u64 dev, u64 host_ino)
{
	u32 i = vnode_find(dev, host_ino);

	return i && VNODES->slots[i].flags & (VNODE_CAPTURED | VNODE_METADATA);
}

struct stat; /* the kernel's, <asm/stat.h> */

void vnode_init(void);
struct vnode *vnode_at(u32 index);
/* The vnode of a host file, made at its first sight from `st`. */
u32 vnode_of(const struct stat *st);
/* The same for a name of a listing that was not looked at: `type` is the listing's DT_*, replaced
 * by the one to show. */
u32 vnode_listed(u64 dev, u64 ino, u32 *type);
/* What it would be, without making it: no inode number is used up. */
void vnode_peek(const struct stat *st, struct vnode *ret);
/* A file the container has just created: a fresh vnode even if the host reuses the number. */
u32 vnode_born(const struct stat *st, u32 mode, u32 uid, u32 gid);
/* A description or cwd starts or stops naming it. */
void vnode_open(u32 index);
void vnode_close(u32 index);
/*
 * A file is either written or run, as by Linux's i_writecount: descriptions opened for writing, and
 * mappings of such, on one side; address spaces of the program, and an execve under way, on the
 * other.  Each names the vnode, too.  -ETXTBSY if it is written; running it after vnode_is_run
 * cannot fail.  Index 0 has no end.
 */
bool vnode_is_run(u32 index);
long vnode_run_begin(u32 index);
void vnode_run_end(u32 index);
void vnode_write_begin(u32 index);
void vnode_write_end(u32 index);
/* It lost a name; without a name and without users it is forgotten. */
void vnode_unlinked(u32 index);
/* Its contents (mtime, ctime) or its metadata (ctime) changed now; vnode_wrote: its contents, and
 * the caller sees to `rewrites`. */
void vnode_touch(struct vnode *v);
void vnode_wrote(struct vnode *v);
void vnode_touch_meta(struct vnode *v);
/* Fills ret from the vnode and, for type, size and device number, from the host's answer. */
void vnode_stat(u32 index, const struct stat *st, struct vstat *ret);
/* want: bits 4 read, 2 write, 1 execute or search, by the effective (or real) ids of the task's
 * process. 0 or -EACCES. */
long vnode_permission(struct task *t, const struct vnode *v, u32 want, bool real_ids);
/* Whether the task has a capability over the file. */
bool vnode_capable(const struct task *t, const struct vnode *v, u32 cap);
/* memfd.c: the F_SEAL_* of a file; 0 for what cannot be sealed. */
u32 vnode_seals(const struct vnode *v);

#endif
