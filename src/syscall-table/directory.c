/*
 * Reading directories: a snapshot, sorted by name, taken at the first read after open or rewind.
 *
 * The snapshot lies in the heap at ofd.state; the position (ofd.private[0]) is an index into it,
 * and d_off is the index of the next entry.  Inode numbers are given in sorted order.  d_ino and
 * d_type are the file system's word only: at a mount point or on an overlay they are not what stat
 * says, so that there each entry is looked at with lstat.
 */
#include <asm/stat.h>
#include <asm/statfs.h>
#include <linux/fs.h>
#include "capture.h"
#include "file_kinds.h"
#include "listing.h"
#include "notify.h"

#define DT_OF_UNKNOWN 0
#define DT_OF_DIR     4
#define DT_OF_REG     8
#define DT_OF_LNK     10
#define READ_CHUNK    0x8000u

struct dir_entry {
	u64 order; /* what sorts, as far as it tells: order_of */
	u64 ino;
	u32 name; /* offset into names */
	u32 type;
};

struct dir_list {
	u32 count, capacity;
	u32 names_used, names_size;
	struct dir_entry *entries; /* heap */
	char *names;		   /* heap */
};

/* The kernel's two record formats. */
struct dirent64 {
	u64 d_ino;
	s64 d_off;
	u16 d_reclen;
	u8 d_type;
	char d_name[];
} __attribute__((packed));
#define DIRENT64_HEAD 19u
#define DIRENT_HEAD   18u

static void grow(void **block, u32 used, u32 size)
{
	void *bigger = heap_alloc(size);

	memcpy(bigger, *block, used);
	heap_free(*block);
	*block = bigger;
}

/* "." and ".." first, then by bytes. */
static int rank(const char *name)
{
	if (name[0] != '.')
		return 2;
	return !name[1] ? 0 : name[1] == '.' && !name[2] ? 1 : 2;
}

/* Most names differ in their first bytes. */
static u64 order_of(const char *name)
{
	u64 order = 0;
	int r = rank(name);

	if (r < 2)
		return (u64)r;
	for (int shift = 56; shift >= 0 && *name; shift -= 8)
		order |= (u64)(u8)*name++ << shift;
	return order;
}

void dir_add(struct dir_list *list, const char *name, u64 ino, u32 type)
{
	u32 len = (u32)strlen(name) + 1;

	if (list->count == list->capacity) {
		list->capacity = list->capacity ? list->capacity * 2 : 32;
		grow((void **)&list->entries, list->count * (u32)sizeof(struct dir_entry),
		     list->capacity * (u32)sizeof(struct dir_entry));
	}
	while (list->names_used + len > list->names_size) {
		list->names_size = list->names_size ? list->names_size * 2 : 1024;
		grow((void **)&list->names, list->names_used, list->names_size);
	}
	struct dir_entry *e = &list->entries[list->count++];
	e->order = order_of(name);
	e->ino = ino;
	e->type = type;
	e->name = list->names_used;
	memcpy(list->names + list->names_used, name, len);
	list->names_used += len;
}

static void list_free(struct dir_list *list)
{
	if (!list)
		return;
	heap_free(list->entries);
	heap_free(list->names);
	heap_free(list);
}

static bool before(const struct dir_list *l, const struct dir_entry *a, const struct dir_entry *b)
{
	return a->order != b->order ? a->order < b->order
				    : strcmp(l->names + a->name, l->names + b->name) < 0;
}

static void sift_down(struct dir_list *l, u32 at, u32 count)
{
	struct dir_entry *e = l->entries;

	for (;;) {
		u32 big = at * 2 + 1;
		if (big >= count)
			return;
		if (big + 1 < count && before(l, &e[big], &e[big + 1]))
			big++;
		if (!before(l, &e[at], &e[big]))
			return;
		struct dir_entry swap = e[at];
		e[at] = e[big];
		e[big] = swap;
		at = big;
	}
}

static void list_sort(struct dir_list *l)
{
	for (u32 i = l->count / 2; i > 0; i--)
		sift_down(l, i - 1, l->count);
	for (u32 n = l->count; n > 1; n--) {
		struct dir_entry swap = l->entries[0];
		l->entries[0] = l->entries[n - 1];
		l->entries[n - 1] = swap;
		sift_down(l, 0, n - 1);
	}
}

/* Names of the host directory, unsorted, without inode numbers. */
static long read_names(u32 fd, struct dir_list *l)
{
	u8 *buf = heap_alloc_unset(READ_CHUNK);
	long n;

	SYS3(NR_lseek, fd, 0, SEEK_SET);
	while ((n = SYS3(NR_getdents64, fd, buf, READ_CHUNK)) > 0) {
		for (long at = 0; at < n;) {
			const struct dirent64 *d = (const struct dirent64 *)(buf + at);
			dir_add(l, d->d_name, d->d_ino, d->d_type);
			at += d->d_reclen;
		}
	}
	heap_free(buf);
	return n;
}

/* ".." may be outside of a replay's image: a first sight here would spend a number on one side
 * only. */
static u64 ino_of_dots(const char *name, const struct stat *st, u64 own_ino)
{
	u32 known = rank(name) ? vnode_find(st->st_dev, st->st_ino) : 0;

	return known ? vnode_at(known)->ino : own_ino;
}

static bool is_trusted(u32 fd)
{
	struct statfs fs;

	if (!HEAD->file_mounts)
		upcall(UPCALL_MOUNTS, 0, 0, 0);
	if (HEAD->file_mounts != FILE_MOUNTS_NONE || SYS2(NR_fstatfs, fd, &fs) < 0)
		return false;
	return listing_has_numbers((unsigned long)fs.f_type);
}

/* Whether the numbers in the directory are those of stat, but for what is mounted over folders. */
static bool numbers_are_trusted(u32 fd, const struct vnode *dir)
{
	struct listed_device *last = &FILES->listed;

	if (last->dev != dir->dev)
		*last = (struct listed_device){dir->dev, is_trusted(fd)};
	return last->is_trusted;
}

static void identify(struct task *t, u32 fd, struct dir_list *l, const struct vnode *dir)
{
	bool searchable = vnode_permission(t, dir, 1, false) == 0;
	bool trusted = searchable && numbers_are_trusted(fd, dir);
	struct stat st;
	u32 kept = 0;

	for (u32 i = 0; i < l->count; i++) {
		struct dir_entry *e = &l->entries[kept++];

		*e = l->entries[i];
		const char *name = l->names + e->name;
		if (trusted && (e->type == DT_OF_REG || e->type == DT_OF_LNK) &&
		    !is_log(dir->dev, e->ino)) {
			e->ino = vnode_at(vnode_listed(dir->dev, e->ino, &e->type))->ino;
			continue;
		}
		/* Names of a directory that may be read but not searched are all there is. */
		e->ino = 1;
		if (!searchable || SYS4(NR_newfstatat, fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (stat_is_log(&st)) {
			kept--;
			continue;
		}
		e->type = st.st_mode >> 12 & 017;
		if (rank(name) < 2) {
			e->ino = ino_of_dots(name, &st, dir->ino);
			continue;
		}
		const struct vnode *v = vnode_at(vnode_of(&st));
		e->ino = v->ino;
		e->type = v->mode >> 12 & 017;
	}
	l->count = kept;
}

static long snapshot(struct task *t, struct ofd *o, u32 fd)
{
	struct dir_list *l = heap_alloc(sizeof(*l));
	long r = 0;

	list_free(o->state);
	o->state = l;
	if (o->kind == OFD_SYNTH_DIR) {
		dir_add(l, ".", 1, DT_OF_DIR);
		dir_add(l, "..", 1, DT_OF_DIR);
		r = synth_list(t, o->path, l);
		list_sort(l);
	} else {
		capture_list(o, fd);
		r = read_names(fd, l);
		list_sort(l);
		identify(t, fd, l, vnode_at(o->vnode));
	}
	o->private[0] = 0;
	return r < 0 ? r : 0;
}

/* Writes one entry in the old or the new format; its length. */
static u32 put_entry(u8 *to, const struct dir_list *l, u32 i, bool old)
{
	const struct dir_entry *e = &l->entries[i];
	const char *name = l->names + e->name;
	u32 len = (u32)strlen(name) + 1;
	u32 size = ((old ? DIRENT_HEAD + 1 : DIRENT64_HEAD) + len + 7) & ~7u;
	struct dirent64 *d = (struct dirent64 *)to;

	memset(to, 0, size);
	d->d_ino = e->ino;
	d->d_off = i + 1;
	d->d_reclen = (u16)size;
	if (!old)
		d->d_type = (u8)e->type;
	memcpy(to + (old ? DIRENT_HEAD : DIRENT64_HEAD), name, len);
	if (old)
		to[size - 1] = (u8)e->type;
	return size;
}

static long list_entries(struct task *t, struct ofd *o, u64 out, u64 size, bool old)
{
	const struct dir_list *l = o->state;
	_Alignas(8) u8 record[320];
	u64 done = 0, i;

	for (i = o->private[0]; i < l->count; i++) {
		u32 n = put_entry(record, l, (u32)i, old);
		if (done + n > size)
			break;
		if (user_copy_out(out + done, record, n))
			return -EFAULT;
		digest_bytes(t, record, n);
		done += n;
	}
	if (!done && i < l->count)
		return -EINVAL;
	o->private[0] = i;
	return (long)done;
}

static long list_call(struct task *t, struct frame *f, bool old)
{
	u32 fd = (u32)f->arg[0];
	struct ofd *o = fd_get_io(t, fd);

	if (!o)
		return -EBADF;
	if (o->kind != OFD_HOST_DIR && o->kind != OFD_SYNTH_DIR)
		return -ENOTDIR;
	if (o->vnode && vnode_at(o->vnode)->flags & VNODE_GONE)
		return -ENOENT;
	if (!o->state || (!o->private[0] && o->private[1])) {
		long r = snapshot(t, o, fd);
		o->private[1] = 0;
		if (r < 0)
			return r;
	}
	long r = list_entries(t, o, f->arg[1], (u32)f->arg[2], old);
	notify_opened(o, IN_ACCESS);
	return r;
}

long sys_getdents64(struct task *t, struct frame *f)
{
	return list_call(t, f, false);
}

long sys_getdents(struct task *t, struct frame *f)
{
	return list_call(t, f, true);
}

/* private[1]: rewound, so the next read looks at the directory again. */
static long dir_seek(struct task *t, struct ofd *o, u32 fd, s64 offset, u32 whence)
{
	(void)t;
	(void)fd;
	if (whence == SEEK_CUR)
		offset += (s64)o->private[0];
	else if (whence != SEEK_SET)
		return -EINVAL;
	if (offset < 0)
		return -EINVAL;
	o->private[0] = (u64)offset;
	o->private[1] = !offset;
	return offset;
}

static long dir_read(struct task *t, struct ofd *o, const struct file_io *io)
{
	(void)t;
	(void)o;
	(void)io;
	return -EISDIR;
}

static long host_dir_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	struct stat st;

	(void)t;
	long r = SYS2(NR_fstat, fd, &st);
	if (r >= 0)
		vnode_stat(o->vnode, &st, ret);
	return r;
}

static long synth_dir_stat(struct task *t, struct ofd *o, u32 fd, struct vstat *ret)
{
	(void)fd;
	return synth_stat(t, o->path, true, ret);
}

static void dir_release(struct ofd *o)
{
	list_free(o->state);
}

const struct file_ops host_dir_ops = {
	.read = dir_read,
	.seek = dir_seek,
	.stat = host_dir_stat,
	.release = dir_release,
};

const struct file_ops synth_dir_ops = {
	.read = dir_read,
	.seek = dir_seek,
	.stat = synth_dir_stat,
	.release = dir_release,
};
