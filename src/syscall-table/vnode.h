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
#define VNODE_HEADS_MIN	   4096u
#define VNODE_FIRST_INO	   1000
#define VNODE_PRELOADS	   (1u << 20) /* power of two */
#define VNODE_PRELOADS_MIN 1024u
#define VNODE_DEV	   0x801 /* st_dev of every host file */

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
	VNODE_GROWS = 32768,	 /* `end` and `rewrites` are kept */
	VNODE_METADATA = 256,	 /* its mode, owner or times were changed; what they were is safe */
	VNODE_UNSEEN = 512,	 /* stood in a listing: only its number is known so far */
};
/* Names that lead to it now say nothing about the image. */
#define VNODE_NOT_IMAGE (VNODE_BORN_INSIDE | VNODE_MOVED)
/* A regular file that came out of the run. */
#define VNODE_OUTPUT (VNODE_BORN_INSIDE | VNODE_MOVED | VNODE_WRITTEN)

static inline bool vnode_is_output(u32 flags)
{
	return flags & VNODE_OUTPUT && !(flags & VNODE_STREAM);
}

struct vnode {
	u64 dev, host_ino; /* the host's: key only */
	u64 ino;	   /* virtual */
	u64 rdev;	   /* of a device */
	u32 mode, uid, gid, nlink;
	s64 mtime_ns, ctime_ns, atime_ns, btime_ns;
	u32 flags;
	u32 opens;	/* descriptions and working directories that name it */
	u32 next;	/* in its hash chain, or in the free list; 0 ends */
	u32 fifo;	/* of the pipe family: index of its pipe plus 1 */
	u32 open_error; /* opening it fails with this (a replay of a file the host denied) */
	u32 singles;	/* of a directory: names in it that were captured for a change each */
	u32 rewrites;	/* changes of contents other than by writing behind `end` */
	u64 end;	/* written up to here; without VNODE_GROWS: so many bytes, anywhere */
	u32 changes;	/* of its contents by calls */
	u32 looks;	/* how often the host was asked about it or opened it; see vnode_quiet */
	struct file_lock *locks; /* of lock.c, heap */
};

/* What the tracer knows of a file it unpacked for a replay. ino 0: empty entry. */
struct vnode_preload {
	u64 dev, host_ino;
	s64 mtime_ns;
	u32 mode, uid, gid, nlink;
	u32 open_error; /* errno, or 0 */
	u32 pad;
	u64 rdev;
};

struct vnode_table {
	u64 next_ino;
	u32 count; /* slots ever used; slot 0 is never used */
	u32 free_list;
	u32 head_mask;
	u32 hashed;
	u32 *heads;	   /* heap array of head_mask + 1 chain heads */
	u64 preload_count; /* written by the tracer before the first instruction */
	u64 preload_mask;  /* likewise; of so many entries plus 1, so that few pages are touched */
	struct vnode slots[VNODES_MAX];
	struct vnode_preload preload[VNODE_PRELOADS];
};

/* One answer for stat, lstat, fstat and statx. */
struct vstat {
	u64 dev, ino, rdev, size, blocks;
	u32 mode, uid, gid, nlink, blksize;
	s64 mtime_ns, ctime_ns, atime_ns, btime_ns;
};

static inline u64 vnode_hash(u64 dev, u64 ino)
{
	u64 h = (ino + dev * 0x9e3779b97f4a7c15u) * 0xff51afd7ed558ccdu;
	return h ^ h >> 32;
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

/*
 * Both sides: the index of the vnode of a host file, or 0.  Follows nothing out of the region and
 * no chain without end, whatever the table holds: the tracer calls it while the container runs.
 */
static inline u32 vnode_find(u64 dev, u64 host_ino)
{
	const struct vnode_table *table = VNODES;
	u64 heads = (u64)table->heads, mask = table->head_mask;

	if (heads < REGION_BASE + REGION_HEAP_OFF || heads % 4 != 0 || mask >= VNODES_MAX ||
	    heads > REGION_BASE + REGION_HEAP_OFF + REGION_HEAP_SIZE - 4 * VNODES_MAX)
		return 0;
	u32 i = ((const u32 *)heads)[vnode_hash(dev, host_ino) & mask];
	for (u32 steps = 0; i && i < VNODES_MAX && steps < VNODES_MAX; steps++) {
		const struct vnode *v = &table->slots[i];
		if (v->host_ino == host_ino && v->dev == dev)
			return i;
		i = v->next;
	}
	return 0;
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

struct stat; /* the kernel's, <asm/stat.h> */

void vnode_init(void);
struct vnode *vnode_at(u32 index);
/* The vnode of a host file, made at its first sight from `st`. */
u32 vnode_of(const struct stat *st);
/* The same for a name of a listing that was not looked at: `type` is the listing's DT_*, replaced by
 * the one to show. */
u32 vnode_listed(u64 dev, u64 ino, u32 *type);
/* What it would be, without making it: no inode number is used up. */
void vnode_peek(const struct stat *st, struct vnode *ret);
/* A file the container has just created: a fresh vnode even if the host reuses the number. */
u32 vnode_born(const struct stat *st, u32 mode, u32 uid, u32 gid);
/* A description or cwd starts or stops naming it. */
void vnode_open(u32 index);
void vnode_close(u32 index);
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

#endif
