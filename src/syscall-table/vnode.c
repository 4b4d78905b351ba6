/*
 * The table of vnodes: what the container believes of each file it has seen.
 *
 * Owns VNODES.  Invariants: a slot is in the index exactly if it has host_ino != 0; a vnode without
 * a name (VNODE_GONE) leaves the index when its last user does, because the host may use the inode
 * number again from then on.  Virtual inode numbers are never used twice.
 */
#include <asm/stat.h>
#include "credentials.h"
#include "files.h"
#include "notify.h"

#define NS_PER_SEC 1000000000ll
#define ENTRY_GONE (1ull << 32)

static struct vnode_index *index_make(u64 size)
{
	struct vnode_index *index = heap_alloc(sizeof(*index) + size * sizeof(u64));

	index->mask = size - 1;
	return index;
}

void vnode_init(void)
{
	struct vnode_table *v = VNODES;

	v->index = index_make(VNODE_TABLE_MIN);
	v->next_ino = VNODE_FIRST_INO;
	v->count = 1;
}

struct vnode *vnode_at(u32 index)
{
	return &VNODES->slots[index];
}

static void index_put(struct vnode_index *index, u64 entry)
{
	u64 i = entry >> 32 & index->mask;

	while (index->entries[i])
		i = (i + 1) & index->mask;
	__atomic_store_n(&index->entries[i], entry, __ATOMIC_RELEASE);
}

static void retired_free(struct vnode_index *index)
{
	while (index->retired) {
		struct vnode_index *gone = index->retired;
		index->retired = gone->retired;
		heap_free(gone);
	}
}

/* Three quarters are used: one that is at most half full takes its place. */
static void index_renew(void)
{
	struct vnode_table *table = VNODES;
	struct vnode_index *old = table->index;
	u64 size = old->mask + 1;

	struct vnode_index *index = index_make(table->hashed > size / 2 ? size * 2 : size);
	for (u64 i = 0; i < size; i++) {
		if ((u32)old->entries[i])
			index_put(index, old->entries[i]);
	}
	table->used = table->hashed;
	index->retired = old;
	__atomic_store_n(&table->index, index, __ATOMIC_SEQ_CST);
	if (!__atomic_load_n(&table->readers, __ATOMIC_SEQ_CST))
		retired_free(index);
}

static void hash_add(u32 slot)
{
	struct vnode_table *table = VNODES;
	const struct vnode *v = vnode_at(slot);

	if (table->used > table->index->mask / 4 * 3)
		index_renew();
	index_put(table->index, (u64)(u32)vnode_hash(v->dev, v->host_ino) << 32 | slot);
	table->hashed++;
	table->used++;
}

static void hash_remove(u32 slot)
{
	struct vnode *v = vnode_at(slot);
	struct vnode_index *index = VNODES->index;

	if (!v->host_ino)
		return;
	u64 i = vnode_hash(v->dev, v->host_ino) & index->mask;
	while ((u32)index->entries[i] != slot)
		i = (i + 1) & index->mask;
	index->entries[i] = ENTRY_GONE;
	VNODES->hashed--;
	v->host_ino = 0;
}

static u32 slot_take(u64 dev, u64 ino)
{
	struct vnode_table *table = VNODES;
	u32 i = table->free_list;

	if (i) {
		table->free_list = table->slots[i].next_free;
	} else {
		SHIM_ASSERT(table->count < VNODES_MAX);
		i = table->count++;
	}
	struct vnode *v = &table->slots[i];
	u32 looks = v->looks; /* a stamp of the slot's former file stays void */
	memset(v, 0, sizeof(*v));
	v->looks = looks + 1;
	v->dev = dev;
	v->host_ino = ino;
	v->ino = table->next_ino++;
	hash_add(i);
	return i;
}

static void slot_release(u32 index)
{
	if (vnode_at(index)->flags & VNODE_WATCHED)
		notify_gone(index);
	hash_remove(index);
	vnode_at(index)->next_free = VNODES->free_list;
	VNODES->free_list = index;
}

/*
 * An image file shows its own mtime, but none later than the container's start.  A directory that
 * was not made inside shows a fixed time: its own changes whenever anybody makes a file in it, and
 * programs look at every folder on the way to theirs (docs/decisions/0005).
 */
#define DIRECTORY_TIME_NS (946684800 * NS_PER_SEC) /* 2000-01-01 */

static void set_image_times(struct vnode *v, s64 mtime_ns)
{
	s64 start = (s64)HEAD->config.start_time_ns;

	if ((v->mode & S_IFMT) == S_IFDIR)
		mtime_ns = DIRECTORY_TIME_NS;

	v->mtime_ns = mtime_ns < start ? mtime_ns : start;
	v->ctime_ns = v->atime_ns = v->btime_ns = v->mtime_ns;
}

/* Without privileges our user namespace knows only the caller's own id; the kernel shows all others
 * as the overflow id, which is taken for root (image_walk.c has the same rule). */
static u32 id_seen(u32 id, u32 own)
{
	if (!HEAD->config.own_ids_only)
		return id;
	if (own == OVERFLOW_ID && id == OWN_ID_ALIAS)
		return own;
	return id == OVERFLOW_ID ? 0 : id;
}

/* What the tracer said of a file (replay), or NULL. */
static const struct vnode_preload *preload_of(u64 dev, u64 ino)
{
	const struct vnode_preload *p = NULL;

	if (VNODES->preload_count)
		p = vnode_preload_slot(VNODES, dev, ino);
	return p && p->host_ino ? p : NULL;
}

/* A replay cannot make devices, so that there they are empty files. */
static bool is_device(const struct vnode_preload *p)
{
	return (p->mode & S_IFMT) == S_IFCHR || (p->mode & S_IFMT) == S_IFBLK;
}

/* Metadata at first sight: what the tracer said of it, else the host's. */
static void set_first_sight(struct vnode *v, const struct stat *st)
{
	const struct vnode_preload *p = preload_of(st->st_dev, st->st_ino);

	v->flags &= ~(u32)VNODE_UNSEEN;
	if (p) {
		v->mode = ((is_device(p) ? p->mode : st->st_mode) & S_IFMT) | (p->mode & 07777);
		v->rdev = (u32)p->rdev;
		v->uid = p->uid;
		v->gid = p->gid;
		v->nlink = p->nlink;
		v->open_error = p->open_error;
		set_image_times(v, p->mtime_ns);
		return;
	}
	v->mode = st->st_mode;
	v->rdev = (u32)st->st_rdev;
	v->uid = id_seen(st->st_uid, HEAD->config.uid);
	v->gid = id_seen(st->st_gid, HEAD->config.gid);
	v->nlink = (u32)st->st_nlink;
	set_image_times(v, (s64)st->st_mtime * NS_PER_SEC + (s64)st->st_mtime_nsec);
}

u32 vnode_of(const struct stat *st)
{
	u32 i = vnode_find(st->st_dev, st->st_ino);

	if (!i) {
		i = slot_take(st->st_dev, st->st_ino);
		set_first_sight(vnode_at(i), st);
	} else if (vnode_at(i)->flags & VNODE_UNSEEN) {
		set_first_sight(vnode_at(i), st);
	}
	vnode_at(i)->looks++;
	return i;
}

u32 vnode_listed(u64 dev, u64 ino, u32 *type)
{
	const struct vnode_preload *p = VNODES->preload_devices ? preload_of(dev, ino) : NULL;
	u32 i = vnode_find(dev, ino);

	if (p && is_device(p))
		*type = p->mode >> 12;
	if (!i) {
		i = slot_take(dev, ino);
		vnode_at(i)->flags = VNODE_UNSEEN;
	}
	return i;
}

void vnode_peek(const struct stat *st, struct vnode *ret)
{
	u32 i = vnode_find(st->st_dev, st->st_ino);

	if (i && !(vnode_at(i)->flags & VNODE_UNSEEN)) {
		*ret = *vnode_at(i);
		return;
	}
	memset(ret, 0, sizeof(*ret));
	set_first_sight(ret, st);
}

u32 vnode_born(const struct stat *st, u32 mode, u32 uid, u32 gid)
{
	u32 stale = vnode_find(st->st_dev, st->st_ino);

	if (stale && vnode_at(stale)->opens)
		hash_remove(stale);
	else if (stale)
		slot_release(stale);
	u32 i = slot_take(st->st_dev, st->st_ino);
	struct vnode *v = vnode_at(i);
	v->flags = VNODE_BORN_INSIDE | (st->st_nlink ? 0 : VNODE_GONE | VNODE_NAMELESS);
	v->mode = (st->st_mode & S_IFMT) | (mode & 07777);
	v->uid = uid;
	v->gid = gid;
	v->nlink = (u32)st->st_nlink;
	v->mtime_ns = v->ctime_ns = v->atime_ns = v->btime_ns = (s64)now_ns();
	return i;
}

void vnode_open(u32 index)
{
	if (!index)
		return;
	vnode_at(index)->looks++;
	vnode_at(index)->opens++;
}

void vnode_close(u32 index)
{
	struct vnode *v = vnode_at(index);

	if (!index)
		return;
	v->opens--;
	if (!v->opens && (v->flags & VNODE_GONE || !v->host_ino))
		slot_release(index);
}

bool vnode_is_run(u32 index)
{
	return vnode_at(index)->writers < 0;
}

void vnode_write_begin(u32 index)
{
	vnode_at(index)->writers++;
	vnode_open(index);
}

void vnode_write_end(u32 index)
{
	vnode_at(index)->writers--;
	vnode_close(index);
}

long vnode_run_begin(u32 index)
{
	if (vnode_at(index)->writers > 0)
		return -ETXTBSY;
	vnode_at(index)->writers--;
	vnode_open(index);
	return 0;
}

void vnode_run_end(u32 index)
{
	if (!index)
		return;
	vnode_at(index)->writers++;
	vnode_close(index);
}

void vnode_unlinked(u32 index)
{
	struct vnode *v = vnode_at(index);

	v->ctime_ns = (s64)now_ns();
	if (v->nlink)
		v->nlink--;
	if (v->nlink && (v->mode & S_IFMT) != S_IFDIR)
		return;
	v->nlink = 0;
	v->flags |= VNODE_GONE;
	if (!v->opens)
		slot_release(index);
}

void vnode_wrote(struct vnode *v)
{
	v->mtime_ns = v->ctime_ns = (s64)now_ns();
	v->flags |= VNODE_WRITTEN;
	v->changes++;
}

void vnode_touch(struct vnode *v)
{
	vnode_wrote(v);
	v->rewrites++;
}

void vnode_touch_meta(struct vnode *v)
{
	v->ctime_ns = (s64)now_ns();
}

void vnode_stat(u32 index, const struct stat *st, struct vstat *ret)
{
	const struct vnode *v = vnode_at(index);
	bool dir = (v->mode & S_IFMT) == S_IFDIR;

	ret->dev = VNODE_DEV;
	ret->ino = v->ino;
	ret->rdev = v->rdev;
	/* Sizes and link counts of directories are the file system's own business. */
	ret->size = dir ? 4096 : (u64)st->st_size;
	ret->blocks = (ret->size + 4095) / 4096 * 8;
	ret->blksize = 4096;
	ret->mode = v->mode;
	ret->uid = v->uid;
	ret->gid = v->gid;
	ret->nlink = dir ? 1 : v->nlink;
	ret->mtime_ns = v->mtime_ns;
	ret->ctime_ns = v->ctime_ns;
	ret->atime_ns = v->atime_ns;
	ret->btime_ns = v->btime_ns;
}

/* access() asks what the real user could do. */
static u64 acting_caps(const struct proc *p, bool real_ids)
{
	if (!real_ids)
		return p->cap_effective;
	return p->uid ? 0 : p->cap_permitted;
}

/* Capabilities of a user namespace hold for files whose owner and group it has. */
static bool is_governed(const struct vnode *v)
{
	return !HEAD->config.partial_root || (v->uid != OVERFLOW_ID && v->gid != OVERFLOW_ID);
}

bool vnode_capable(const struct task *t, const struct vnode *v, u32 cap)
{
	return capable(t, cap) && is_governed(v);
}

/* Whether capabilities give what the mode does not: fs/namei.c, generic_permission. */
static bool overrides(u64 caps, const struct vnode *v, u32 want)
{
	bool dir = (v->mode & S_IFMT) == S_IFDIR;

	if (!is_governed(v))
		return false;
	if (caps >> CAP_DAC_READ_SEARCH & 1 && (dir ? !(want & 2) : want == 4))
		return true;
	return caps >> CAP_DAC_OVERRIDE & 1 && (dir || !(want & 1) || v->mode & 0111);
}

long vnode_permission(struct task *t, const struct vnode *v, u32 want, bool real_ids)
{
	const struct proc *p = proc_of(t);
	u32 uid = real_ids ? p->uid : p->fsuid, gid = real_ids ? p->gid : p->fsgid;
	u32 granted = v->mode & 7;

	if (uid == v->uid)
		granted = v->mode >> 6 & 7;
	else if (in_group(p, v->gid, gid))
		granted = v->mode >> 3 & 7;
	return want & ~granted && !overrides(acting_caps(p, real_ids), v, want) ? -EACCES : 0;
}
