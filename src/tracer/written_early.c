/*
 * See written_early.h.  Owns the names and what was seen of the files.
 *
 * Invariant: what is kept of a file is its state at its vnode's ctime, or the ctime is 0: it has to
 * be looked at again.
 */
#include "written_early.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "../log/evlog_wire.h"
#include "../shim/rings.h"
#include "../syscall-table/listing.h"
#include "../syscall-table/vnode.h"
#include "output_hash.h"

struct early_file {
	char *path; /* in `paths` */
	uint64_t ino, size_bytes;
	int64_t ctime_ns;
	uint32_t vnode;
	uint8_t hash[EVLOG_HASH_SIZE];
};

struct early {
	uint64_t dev, ino;
	int64_t ctime_ns, now_ns; /* in virtual time */
	uint32_t vnode;
	bool numbered;	/* its names have the numbers of stat */
	size_t name_at; /* in each path */
	struct early_file *files;
	size_t count, room;
	struct evlog_buf paths; /* one after another with their NULs */
};

/*
 * The ctime in the shim's books, if what is looked at from now on is that state or a later one with
 * another ctime; else 0.  A call that is going on has the time of now, or of when the folder was
 * opened (asked for each file, the shim would wait for the line its counters are in).
 */
static int64_t settled_ctime(const struct early *e, uint32_t vnode, uint64_t ino)
{
	const struct vnode *v = &VNODES->slots[vnode];
	int64_t ctime = __atomic_load_n(&v->ctime_ns, __ATOMIC_SEQ_CST);

	bool known = vnode != 0 && v->dev == e->dev && v->host_ino == ino;

	return known && ctime < e->now_ns ? ctime : 0;
}

/* Nothing was touched since. */
static bool still_holds(uint32_t vnode, uint64_t dev, uint64_t ino, int64_t ctime_ns)
{
	const struct vnode *v = &VNODES->slots[vnode];

	return ctime_ns != 0 && v->dev == dev && v->host_ino == ino && v->ctime_ns == ctime_ns;
}

static bool add(struct early *e, const char *folder, const struct dirent *entry)
{
	if (e->count == e->room) {
		size_t room = e->room * 2 + 64;
		struct early_file *more = realloc(e->files, room * sizeof(*more));

		if (more == NULL)
			return false;
		e->files = more;
		e->room = room;
	}
	e->files[e->count++] = (struct early_file){.ino = entry->d_ino};
	evlog_put(&e->paths, folder, e->name_at - 1);
	evlog_put(&e->paths, "/", 1);
	evlog_put(&e->paths, entry->d_name, strlen(entry->d_name) + 1);
	return e->paths.error == 0;
}

/* The paths are complete, so that they stay where they are. */
static void point_to_paths(struct early *e)
{
	char *path = (char *)e->paths.data;

	for (size_t i = 0; i < e->count; i++, path += strlen(path) + 1)
		e->files[i].path = path;
}

static bool list(struct early *e, const char *folder, DIR *dir)
{
	const struct dirent *entry;

	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_type == DT_UNKNOWN ||
		    (entry->d_type == DT_REG && !add(e, folder, entry)))
			return false;
	}
	return true;
}

static int compare(const void *left, const void *right)
{
	const struct early_file *a = left, *b = right;

	return strcmp(a->path, b->path);
}

static bool is_same(const struct early *e, const struct early_file *f, const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_dev == e->dev && st->st_ino == f->ino;
}

/* Its size and hash; false if there is another file by now, or it cannot be read. */
static bool hash(const struct early *e, struct early_file *f, int folder_fd)
{
	int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	int fd = openat(folder_fd, f->path + e->name_at, flags);
	struct stat st;
	bool done = fd >= 0 && fstat(fd, &st) == 0 && is_same(e, f, &st) &&
		    output_hash(fd, UINT64_MAX, f->hash, &f->size_bytes) == 0;

	if (fd >= 0)
		close(fd);
	return done;
}

/* From the shim's books, if they tell. */
static bool take_size(const struct early *e, struct early_file *f, int folder_fd)
{
	const struct vnode *v = &VNODES->slots[f->vnode];
	struct stat st;

	if (e->numbered && v->flags & VNODE_SIZED) {
		f->size_bytes = __atomic_load_n(&v->size, __ATOMIC_ACQUIRE);
		return true;
	}
	if (fstatat(folder_fd, f->path + e->name_at, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !is_same(e, f, &st))
		return false;
	f->size_bytes = (uint64_t)st.st_size;
	return true;
}

/* What does not come out of the run is not hashed. */
static void look_at(const struct early *e, struct early_file *f, int folder_fd,
		    struct early_budget *budget)
{
	f->vnode = vnode_find(e->dev, f->ino);
	uint32_t flags = VNODES->slots[f->vnode].flags;
	int64_t ctime = settled_ctime(e, f->vnode, f->ino);

	if (ctime == 0 || !vnode_is_output(flags) || flags & VNODE_MAPPED ||
	    !take_size(e, f, folder_fd))
		return;
	if (budget->files > 0 && f->size_bytes <= budget->bytes) {
		if (!hash(e, f, folder_fd))
			return;
		budget->files--;
		budget->bytes -= f->size_bytes < budget->bytes ? f->size_bytes : budget->bytes;
	}
	f->ctime_ns = ctime;
}

static bool fill(struct early *e, const char *path, int fd, DIR *dir, struct early_budget *budget)
{
	struct statfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	e->numbered = budget->plain_mounts && fstatfs(fd, &fs) == 0 &&
		      listing_has_numbers((unsigned long)fs.f_type);
	e->dev = st.st_dev;
	e->ino = st.st_ino;
	e->vnode = vnode_find(e->dev, e->ino);
	e->now_ns = (int64_t)__atomic_load_n(&HEAD->now_ns, __ATOMIC_SEQ_CST);
	e->ctime_ns = settled_ctime(e, e->vnode, e->ino);
	if (path[1] == '\0')
		path = "";
	e->name_at = strlen(path) + 1;
	if (e->ctime_ns == 0 || !list(e, path, dir))
		return false;
	point_to_paths(e);
	if (e->count != 0)
		qsort(e->files, e->count, sizeof(*e->files), compare);
	for (size_t i = 0; i < e->count; i++)
		look_at(e, &e->files[i], fd, budget);
	return true;
}

struct early *early_look(const char *path, struct early_budget *budget)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct early *e = calloc(1, sizeof(*e));

	if (dir == NULL || e == NULL || !fill(e, path, fd, dir, budget)) {
		early_destroy(e);
		e = NULL;
	}
	if (dir != NULL)
		closedir(dir);
	else if (fd >= 0)
		close(fd);
	return e;
}

size_t early_count(const struct early *e)
{
	return e->count;
}

bool early_holds(const struct early *e, int folder_fd)
{
	struct stat st;

	return fstat(folder_fd, &st) == 0 && st.st_dev == e->dev && st.st_ino == e->ino &&
	       still_holds(e->vnode, e->dev, e->ino, e->ctime_ns);
}

bool early_at(const struct early *e, size_t i, struct early_found *ret_found)
{
	if (i >= e->count)
		return false;
	const struct early_file *f = &e->files[i];
	*ret_found = (struct early_found){
		.path = f->path,
		.name = f->path + e->name_at,
		.dev = e->dev,
		.ino = f->ino,
		.size_bytes = f->size_bytes,
		.hash = f->hash,
		.vnode = f->vnode,
		.holds = still_holds(f->vnode, e->dev, f->ino, f->ctime_ns) &&
			 !(VNODES->slots[f->vnode].flags & VNODE_MAPPED),
	};
	return true;
}

void early_destroy(struct early *e)
{
	if (e == NULL)
		return;
	evlog_buf_finish(&e->paths);
	free(e->files);
	free(e);
}
