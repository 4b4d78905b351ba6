/*
 * System V shared memory.  Rules: ipc/shm.c of Linux.
 *
 * The bytes of a segment are a range of the region's own file, which every process has open as
 * SHIM_FD_REGION, behind the part that is mapped as the region; so any process can map them,
 * and nothing has a name.  Ranges are never used twice: offsets of a file are plenty.
 *
 * A segment is a struct mm_file of the books (mm.h) with a reference of its own.  A VMA of one has
 * VMA_SEGMENT, and vma.c tells of every one that comes and goes (segment_attached, _detached): like
 * Linux we count VMAs, not calls.  The segment is destroyed when it was removed and none is left.
 */
#include <asm/shmbuf.h>
#include <linux/falloc.h>
#include <linux/mman.h>
#include "../shim/mm.h"
#include "credentials.h"
#include "ipc.h"
#include "synth.h"

#define SHM_MAX_BYTES (~0ul - (1ul << 24))
#define SHM_SEGMENTS  4096u

/* <linux/shm.h> wants the libc. */
#define SHM_RDONLY    010000u
#define SHM_RND	      020000u
#define SHM_REMAP     040000u
#define SHM_EXEC      0100000u
#define SHM_HUGETLB   04000u
#define SHM_NORESERVE 010000u
#define SHM_DEST      01000u
#define SHM_LOCKED    02000u
enum { SHM_LOCK = 11, SHM_UNLOCK, SHM_STAT, SHM_INFO, SHM_STAT_ANY };

#define LIMIT_MEMLOCK 8 /* RLIMIT_MEMLOCK */

struct shm_info {
	s32 used_ids, pad;
	u64 total, resident, swapped, swap_attempts, swap_successes;
};

struct shm_segment {
	struct ipc_object ipc; /* first */
	struct mm_file *file;
	u64 size;
	u64 attached; /* VMAs */
	s64 atime, dtime, ctime;
	s32 cpid, lpid;
	u32 locker; /* with SHM_LOCKED: the user it counts for */
};

static u64 pages_of(const struct shm_segment *s)
{
	return page_up(s->size) / MM_PAGE;
}

static struct shm_segment *segment_of(const struct vma *v)
{
	return (struct shm_segment *)((struct mm_file *)v->file)->segment;
}

static struct shm_segment *find(s32 id)
{
	return (struct shm_segment *)ipc_find(IPC_SHM, id);
}

/* ---- life ---- */

static void destroy(struct shm_segment *s)
{
	IPC->shm_pages -= pages_of(s);
	ipc_remove(IPC_SHM, &s->ipc);
	SYS4(NR_fallocate, SHIM_FD_REGION, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
	     s->file->base, page_up(s->size));
	mm_file_put(s->file);
	heap_free(s);
}

void segment_attached(const struct vma *v)
{
	struct shm_segment *s = segment_of(v);

	s->attached++;
	s->atime = ipc_now();
	s->lpid = (s32)proc_of(current())->pid;
}

void segment_detached(const struct vma *v)
{
	struct shm_segment *s = segment_of(v);

	s->attached--;
	s->dtime = ipc_now();
	s->lpid = (s32)proc_of(current())->pid;
	if (!s->attached && s->ipc.mode & SHM_DEST)
		destroy(s);
}

bool segment_holds(const struct vma *v, u64 addr, u64 len)
{
	u64 from = v->file_off + (addr - v->start), size = page_up(segment_of(v)->size);

	return from <= size && len <= size - from;
}

static void put_name(struct mm_file *file, s32 key)
{
	char name[24];
	u64 len = 0;

	str_format(name, sizeof(name), &len, "/SYSV%08x", (u32)key);
	file->path = (u64)heap_strdup(name);
}

static long make(struct task *t, const struct ipc_get *get, struct ipc_object **ret)
{
	u64 bytes = page_up(get->size), offset = REGION_SIZE + IPC->shm_next;

	if (get->size == 0 || get->size > SHM_MAX_BYTES)
		return -EINVAL;
	if (bytes < get->size)
		return -ENOSPC;
	if (get->flags & SHM_HUGETLB ||
	    (bytes > HEAD->config.memory_bytes && !(get->flags & SHM_NORESERVE)) ||
	    bytes > APP_ADDR_MAX)
		return -ENOMEM;
	if (SYS2(NR_ftruncate, SHIM_FD_REGION, offset + bytes) < 0)
		shim_host_failed("the host has no room for shared memory");
	struct shm_segment *s = heap_alloc(sizeof(*s));
	s->size = get->size;
	s->ctime = ipc_now();
	s->cpid = (s32)proc_of(t)->pid;
	s->file = mm_file_create_anon();
	s->file->base = offset;
	s->file->segment = (u64)s;
	put_name(s->file, get->key);
	IPC->shm_next += bytes;
	IPC->shm_pages += bytes / MM_PAGE;
	*ret = &s->ipc;
	return 0;
}

static void unmake(struct ipc_object *o)
{
	struct shm_segment *s = (struct shm_segment *)o;

	IPC->shm_pages -= pages_of(s);
	mm_file_put(s->file);
	heap_free(s);
}

static long suits(const struct ipc_object *o, const struct ipc_get *get)
{
	return ((const struct shm_segment *)o)->size < get->size ? -EINVAL : 0;
}

long sys_shmget(struct task *t, struct frame *f)
{
	struct ipc_get get = {
		.class = IPC_SHM,
		.limit = SHM_SEGMENTS,
		.key = (s32)f->arg[0],
		.size = f->arg[1],
		.flags = (u32)f->arg[2],
		.make = make,
		.unmake = unmake,
		.suits = suits,
	};

	return ipc_get(t, &get);
}

/* ---- attaching ---- */

static long check_address(u64 addr, u32 flags)
{
	if (addr & (MM_PAGE - 1) && !(flags & SHM_RND))
		return -EINVAL;
	return !page_down(addr) && flags & SHM_REMAP ? -EINVAL : 0;
}

/* Only 0 is any place, what is rounded down to it is not. */
static long place(struct task *t, u64 wanted, u64 bytes, u32 flags)
{
	u64 addr = page_down(wanted);
	struct mm *mm = mm_of(t);

	if (!wanted)
		return mm_place(mm, 0, bytes, 0);
	if (addr + bytes < addr)
		return -EINVAL;
	if (!(flags & SHM_REMAP) && addr + bytes <= APP_ADDR_MAX &&
	    !vma_range_is_free(mm, addr, addr + bytes))
		return -EINVAL;
	if (addr < APP_MIN_ADDR)
		return -EPERM;
	return mm_is_app_range(addr, addr + bytes) ? (long)addr : -ENOMEM;
}

/* What others can write cannot be watched: code in a segment is refused, as in any shared mapping.
 */
static long check_exec(u32 flags)
{
	if (!(flags & SHM_EXEC))
		return 0;
	HEAD->refused_count[NR_shmat]++;
	return -EACCES;
}

static long attach(struct task *t, struct shm_segment *s, u64 want, u32 flags)
{
	bool writable = !(flags & SHM_RDONLY), locked = mm_of(t)->lock_future;
	struct vma v = {.kind = VMA_FILE, .flags = VMA_SHARED | VMA_SEGMENT};
	u64 bytes = page_up(s->size);

	if (!mm_fits(t, bytes))
		return -ENOMEM;
	long addr = place(t, want, bytes, flags);
	if (addr >= 0 && locked && !mm_fits_locked(t, bytes))
		addr = -EAGAIN;
	if (addr < 0)
		return addr;
	v.start = (u64)addr;
	v.end = v.start + bytes;
	v.prot = PROT_READ | (writable ? PROT_WRITE : 0);
	v.flags |= writable ? VMA_MAYWRITE : 0;
	v.flags |= locked ? VMA_LOCKED : 0;
	v.file = (u64)s->file;
	/* What is replaced may be its last attachment. */
	s->attached++;
	if (flags & SHM_REMAP)
		mm_unmap(t, v.start, v.end);
	long r = mm_map(t, &v, SHIM_FD_REGION);
	if (!--s->attached && s->ipc.mode & SHM_DEST)
		destroy(s);
	return r < 0 ? r : addr;
}

long sys_shmat(struct task *t, struct frame *f)
{
	u32 flags = (u32)f->arg[2];

	if ((s32)f->arg[0] < 0)
		return -EINVAL;
	long r = check_address(f->arg[1], flags);
	if (r < 0)
		return r;
	struct shm_segment *s = find((s32)f->arg[0]);
	if (!s)
		return -EINVAL;
	u32 asked = IPC_READ | (flags & SHM_RDONLY ? 0 : IPC_WRITE);
	if (!ipc_permits(t, &s->ipc, asked))
		return -EACCES;
	r = check_exec(flags);
	return r < 0 ? r : attach(t, s, f->arg[1], flags);
}

/* Whether the VMA shows what an attachment at `addr` would show there. */
static bool is_part(const struct vma *v, u64 addr)
{
	return v->flags & VMA_SEGMENT && v->start >= addr && v->start - addr == v->file_off;
}

/* The first VMA of an attachment at `addr`, which may have lost its beginning. */
static const struct vma *first_part(const struct mm *mm, u64 addr)
{
	for (u32 i = vma_lower(mm, addr); i < mm->count; i++) {
		if (is_part(vma_at(mm, i), addr))
			return vma_at(mm, i);
	}
	return NULL;
}

long sys_shmdt(struct task *t, struct frame *f)
{
	const struct mm *mm = mm_of(t);
	u64 addr = f->arg[0];

	if (addr & (MM_PAGE - 1))
		return -EINVAL;
	const struct vma *first = first_part(mm, addr);
	if (!first)
		return -EINVAL;
	u64 file = first->file, at = first->start, end = addr + page_up(segment_of(first)->size);
	while (at < end) {
		u32 i = vma_lower(mm, at);
		if (i == mm->count || vma_at(mm, i)->start >= end)
			break;
		struct vma v = *vma_at(mm, i);
		if (v.file == file && is_part(&v, addr))
			mm_unmap(t, v.start, v.end);
		at = v.end;
	}
	return 0;
}

/* ---- shmctl ---- */

static long stat(struct task *t, s32 id, u32 cmd, u64 user)
{
	bool by_index = cmd != IPC_STAT;
	struct shmid64_ds ds = {0};
	struct ipc_object *o;

	long r = ipc_find_stat(t, IPC_SHM, id, by_index, cmd == SHM_STAT_ANY, &o);
	if (r < 0)
		return r;
	const struct shm_segment *s = (struct shm_segment *)o;
	ipc_perm_get(o, &ds.shm_perm);
	ds.shm_segsz = s->size;
	ds.shm_atime = s->atime;
	ds.shm_dtime = s->dtime;
	ds.shm_ctime = s->ctime;
	ds.shm_cpid = s->cpid;
	ds.shm_lpid = s->lpid;
	ds.shm_nattch = s->attached;
	r = ipc_give(t, user, &ds, sizeof(ds));
	return r < 0 ? r : by_index ? o->id : 0;
}

static long limits(struct task *t, u64 user)
{
	struct shminfo64 info = {
		.shmmax = SHM_MAX_BYTES,
		.shmmin = 1,
		.shmmni = SHM_SEGMENTS,
		.shmseg = SHM_SEGMENTS,
		.shmall = SHM_MAX_BYTES,
	};

	long r = ipc_give(t, user, &info, sizeof(info));
	return r < 0 ? r : (long)ipc_index_max(IPC_SHM);
}

/* Every page is resident, as mincore has it. */
static long usage(struct task *t, u64 user)
{
	struct shm_info info = {
		.used_ids = (s32)IPC->ids[IPC_SHM].used,
		.total = IPC->shm_pages,
		.resident = IPC->shm_pages,
	};

	long r = ipc_give(t, user, &info, sizeof(info));
	return r < 0 ? r : (long)ipc_index_max(IPC_SHM);
}

static long set(struct task *t, s32 id, u64 user)
{
	struct shmid64_ds ds;
	struct ipc_object *o;

	long r = ipc_take(t, &ds, user, sizeof(ds));
	if (r == 0)
		r = ipc_find_owned(t, IPC_SHM, id, &o);
	if (r == 0)
		r = ipc_perm_set(o, &ds.shm_perm);
	if (r == 0)
		((struct shm_segment *)o)->ctime = ipc_now();
	return r;
}

/* Attached memory lives on, without a key. */
static long remove(struct task *t, s32 id)
{
	struct ipc_object *o;

	long r = ipc_find_owned(t, IPC_SHM, id, &o);
	if (r < 0)
		return r;
	if (!((struct shm_segment *)o)->attached) {
		destroy((struct shm_segment *)o);
		return 0;
	}
	o->mode |= SHM_DEST;
	o->key = IPC_PRIVATE;
	return 0;
}

/* What the segments take that a user has locked. */
static u64 locked_by(u32 uid)
{
	u64 bytes = 0;

	for (u32 i = 0; i < IPC->ids[IPC_SHM].capacity; i++) {
		const struct ipc_object *o = ipc_at(IPC_SHM, (s32)i);
		const struct shm_segment *s = (const struct shm_segment *)o;
		if (o && o->mode & SHM_LOCKED && s->locker == uid)
			bytes += page_up(s->size);
	}
	return bytes;
}

/* Locking is only counted, as that of mappings is. */
static long lock(struct task *t, s32 id, bool on)
{
	const struct proc *p = proc_of(t);
	struct ipc_object *o = ipc_find(IPC_SHM, id);

	if (!o)
		return -EINVAL;
	u64 limit = p->rlimits[LIMIT_MEMLOCK][0];
	bool free = capable(t, CAP_IPC_LOCK);
	if (!free && ((p->euid != o->uid && p->euid != o->cuid) || (on && !limit)))
		return -EPERM;
	struct shm_segment *s = (struct shm_segment *)o;
	if (!on == !(o->mode & SHM_LOCKED))
		return 0;
	if (!free && on && locked_by(p->uid) + page_up(s->size) > page_down(limit))
		return -ENOMEM;
	s->locker = p->uid;
	o->mode = on ? o->mode | SHM_LOCKED : o->mode & ~SHM_LOCKED;
	return 0;
}

long sys_shmctl(struct task *t, struct frame *f)
{
	s32 id = (s32)f->arg[0], cmd = (s32)f->arg[1];
	u64 user = f->arg[2];

	if (cmd < 0 || id < 0)
		return -EINVAL;
	switch (cmd) {
	case IPC_INFO:
		return limits(t, user);
	case SHM_INFO:
		return usage(t, user);
	case IPC_STAT:
	case SHM_STAT:
	case SHM_STAT_ANY:
		return stat(t, id, (u32)cmd, user);
	case IPC_SET:
		return set(t, id, user);
	case IPC_RMID:
		return remove(t, id);
	case SHM_LOCK:
	case SHM_UNLOCK:
		return lock(t, id, cmd == SHM_LOCK);
	default:
		return -EINVAL;
	}
}

/* ---- /proc/sysvipc/shm ---- */

static void put_segment(struct synth_text *out, const struct shm_segment *s)
{
	const struct ipc_object *o = &s->ipc;
	u64 bytes = page_up(s->size);

	text_add(out, "%10d %10d  %4o %21lu %5d %5d  %5lu %5u %5u %5u %5u", o->key, o->id, o->mode,
		 s->size, s->cpid, s->lpid, s->attached, o->uid, o->gid, o->cuid, o->cgid);
	text_add(out, " %10lu %10lu %10lu %21lu %21lu\n", (u64)s->atime, (u64)s->dtime,
		 (u64)s->ctime, bytes, 0ul);
}

void shm_make_text(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "       key      shmid perms                  size  cpid  lpid nattch"
			 "   uid   gid  cuid  cgid      atime      dtime      ctime"
			 "                   rss                  swap\n");
	for (u32 i = 0; i < IPC->ids[IPC_SHM].capacity; i++) {
		const struct ipc_object *o = ipc_at(IPC_SHM, (s32)i);
		if (o)
			put_segment(out, (const struct shm_segment *)o);
	}
}
