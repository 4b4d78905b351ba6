/*
 * See written_grow.h.  Owns the open files and their hashes so far.
 *
 * Invariant: `sha` is that of the first `hashed` bytes, as long as the vnode's `rewrites` are what
 * they were before the first was read.
 */
#include "written_grow.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../syscall-table/vnode.h"
#include "output_hash.h"
#include "written.h"

struct growing {
	int fd; /* -1: it has to be read whole */
	uint64_t dev, ino, hashed;
	uint32_t vnode, rewrites;
	struct sha256_ctx sha;
};

static bool is_valid(const struct growing *g)
{
	const struct vnode *v = &VNODES->slots[g->vnode];

	return g->fd >= 0 && v->dev == g->dev && v->host_ino == g->ino &&
	       !(v->flags & (VNODE_MAPPED | VNODE_GONE)) &&
	       __atomic_load_n(&v->rewrites, __ATOMIC_ACQUIRE) == g->rewrites;
}

/* A file that is gone would hold its space. */
static void give_up(struct growing *g)
{
	if (g->fd >= 0)
		close(g->fd);
	g->fd = -1;
}

static int open_file(const char *path, uint64_t dev, uint64_t ino)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	if (fd >= 0 && (fstat(fd, &st) < 0 || st.st_dev != dev || st.st_ino != ino)) {
		close(fd);
		return -1;
	}
	return fd;
}

void growing_add(struct growing_files *all, const char *path, uint64_t dev, uint64_t ino)
{
	uint32_t vnode = vnode_find(dev, ino);
	struct growing *g = all->count < GROWING_MAX && vnode != 0 ? malloc(sizeof(*g)) : NULL;

	if (g == NULL)
		return;
	*g = (struct growing){
		.fd = open_file(path, dev, ino), .dev = dev, .ino = ino, .vnode = vnode};
	g->rewrites = __atomic_load_n(&VNODES->slots[vnode].rewrites, __ATOMIC_ACQUIRE);
	sha256_init(&g->sha);
	all->files[all->count++] = g;
}

bool growing_advance(struct growing_files *all)
{
	bool any = false;

	for (unsigned i = 0; i < all->count; i++) {
		struct growing *g = all->files[i];
		uint64_t end = __atomic_load_n(&VNODES->slots[g->vnode].size, __ATOMIC_ACQUIRE);

		if (!is_valid(g) || end > WRITTEN_HASH_BYTES_MAX) {
			give_up(g);
			continue;
		}
		if (end > g->hashed + GROWING_STEP)
			end = g->hashed + GROWING_STEP;
		if (output_hash_range(g->fd, g->hashed, end, &g->sha, &g->hashed) < 0)
			give_up(g);
		any = true;
	}
	return any;
}

bool growing_hash(struct growing_files *all, uint64_t dev, uint64_t ino, struct evlog_output *out)
{
	struct growing *g = NULL;
	struct stat st;

	for (unsigned i = 0; i < all->count && g == NULL; i++) {
		if (all->files[i]->dev == dev && all->files[i]->ino == ino)
			g = all->files[i];
	}
	if (g == NULL || !is_valid(g) || fstat(g->fd, &st) < 0 ||
	    (uint64_t)st.st_size < g->hashed ||
	    output_hash_range(g->fd, g->hashed, UINT64_MAX, &g->sha, &g->hashed) < 0)
		return false;
	sha256_digest(&g->sha, EVLOG_HASH_SIZE, out->hash);
	out->size_bytes = g->hashed;
	give_up(g);
	return true;
}

void growing_finish(struct growing_files *all)
{
	for (unsigned i = 0; i < all->count; i++) {
		give_up(all->files[i]);
		free(all->files[i]);
	}
	all->count = 0;
}
