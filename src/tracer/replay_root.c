/*
 * See replay_root.h.
 *
 * Invariant: nothing outside the folder is touched, whatever the log says: every path taken from it
 * is walked component by component, no link followed, ".." refused (base/path_below.h).  It is
 * removed the same way, since the program may have left links, and folders without permissions.
 *
 * Who uses a folder holds a lock on it.  One that nobody holds was left by a replay that was
 * killed; the next one removes it.
 */
#include "replay_root.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "../base/path_below.h"
#include "../log/image_unpack.h"
#include "../syscall-table/vnode.h"
#include "mounts.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
/* The deepest tree that is removed: a program can nest deeper than we have descriptors. */
#define DEPTH_MAX 1000
#define PREFIX	  "shadow-replay-root-"
#define STALE_MAX 16 /* folders that are removed on the way */
#define TRIES_MAX 16

static int preload(void *arg, const struct image_entry *entry, uint64_t dev, uint64_t ino)
{
	struct vnode_preload *p = vnode_preload_slot(VNODES, dev, ino);

	(void)arg;
	if (p == NULL)
		return -ENOSPC;
	if (p->host_ino == 0)
		VNODES->preload_count++;
	/* Names of one file say the same; more than there are does no harm. */
	VNODES->preload_devices += S_ISCHR(entry->mode) || S_ISBLK(entry->mode);
	*p = (struct vnode_preload){
		.dev = dev,
		.host_ino = ino,
		.mtime_ns = entry->mtime_sec * 1000000000 + entry->mtime_nsec,
		.mode = entry->mode,
		.uid = entry->uid,
		.gid = entry->gid,
		.nlink = entry->nlink,
		.rdev = entry->rdev,
		.open_error = entry->kind == IMAGE_DENIED ? (uint32_t)entry->error : 0,
	};
	return 0;
}

/* What the image as a whole says. */
static void note_entries(const struct image_tree *tree, struct replay_root *root)
{
	for (size_t i = 0; tree != NULL && i < image_tree_count(tree); i++) {
		const struct image_entry *entry = image_tree_at(tree, i);

		if (entry->flags & IMAGE_FLAG_CHANGED && root->changed[0] == '\0')
			snprintf(root->changed, sizeof(root->changed), "%s", entry->path);
	}
}

/* Twice as many entries as files. */
static void preload_size(size_t files)
{
	uint64_t entries = VNODE_PRELOADS_MIN;

	while (entries < 2 * files && entries < VNODE_PRELOADS)
		entries *= 2;
	VNODES->preload_mask = entries - 1;
}

int replay_root_fill(struct evlog_reader *reader, struct replay_root *root)
{
	struct image_tree *tree = NULL;
	int error = image_tree_load(reader, &tree), fd = root->fd;

	note_entries(tree, root);
	if (error == 0)
		preload_size(image_tree_count(tree));
	/* Whatever is masked, we make something in the folders. */
	mode_t mask = umask(0);
	if (error == 0)
		error = image_unpack(reader, tree, fd, 0, preload, NULL);
	umask(mask);
	image_tree_destroy(tree);
	return error;
}

static int make_folders(int root_fd, const char *path)
{
	char last[PATH_BELOW_NAME_MAX];
	int fd = path_below_open(root_fd, path, true, last);

	if (fd < 0)
		return fd;
	int error = mkdirat(fd, last, 0755) < 0 && errno != EEXIST ? -errno : 0;
	close(fd);
	return error;
}

static int make_needed(int root_fd, const char *cwd, const char *mounts)
{
	char path[PATH_MAX];
	int error = make_folders(root_fd, cwd);

	while (error == 0 && mounts != NULL && mounts_next(&mounts, path, sizeof(path)))
		error = make_folders(root_fd, path);
	return error;
}

static const char *temporary_folder(void)
{
	const char *tmp = getenv("TMPDIR");

	return tmp != NULL && tmp[0] == '/' && strlen(tmp) < 200 ? tmp : "/tmp";
}

/* Whether it is ours: another replay may have taken it for one that was left. */
static bool lock(int fd)
{
	struct stat st;

	if (flock(fd, LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK)
		return false;
	return fstat(fd, &st) == 0 && st.st_nlink != 0;
}

/* The descriptor of a new folder, or a negative errno; -EAGAIN: it is somebody's already. */
static int make_root(struct replay_root *root)
{
	snprintf(root->path, sizeof(root->path), "%s/" PREFIX "XXXXXX", temporary_folder());
	if (mkdtemp(root->path) == NULL) {
		root->path[0] = '\0';
		return -errno;
	}
	/* The container's "/" is for everybody; where it lies, mkdtemp's name is protection enough.
	 */
	int fd = chmod(root->path, 0755) < 0 ? -1 : open(root->path, FOLDER_FLAGS);
	if (fd < 0)
		return errno == ENOENT ? -EAGAIN : -errno;
	if (lock(fd))
		return fd;
	close(fd);
	return -EAGAIN;
}

int replay_root_make(const char *cwd, const char *mounts, struct replay_root *root)
{
	root->fd = -EAGAIN;
	for (int i = 0; i < TRIES_MAX && root->fd == -EAGAIN; i++)
		root->fd = make_root(root);
	if (root->fd < 0)
		return root->fd;
	mode_t mask = umask(0);
	int error = make_needed(root->fd, cwd, mounts);
	umask(mask);
	return error;
}

int replay_root_open(const struct replay_root *root, const char *path, int flags)
{
	char last[PATH_BELOW_NAME_MAX];
	int dir = path_below_open(root->fd, path, false, last);

	if (dir < 0)
		return dir;
	int fd = openat(dir, last, flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	int error = fd < 0 ? -errno : fd;
	close(dir);
	return error;
}

static void remove_inside(int fd, int depth);

static void remove_folder(int parent, const char *name, int depth)
{
	int fd = openat(parent, name, FOLDER_FLAGS);

	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
		fd = openat(parent, name, FOLDER_FLAGS);
	if (fd >= 0) {
		fchmod(fd, 0700);
		remove_inside(fd, depth + 1);
	}
	unlinkat(parent, name, AT_REMOVEDIR);
}

/* Takes the descriptor over. */
static void remove_inside(int fd, int depth)
{
	DIR *dir = depth < DEPTH_MAX ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir)) != NULL) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (unlinkat(fd, name, 0) < 0)
			remove_folder(fd, name, depth);
	}
	closedir(dir);
}

static void remove_if_left(int parent, const char *name)
{
	int fd = openat(parent, name, FOLDER_FLAGS);
	struct stat st;

	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_uid == geteuid() && flock(fd, LOCK_EX | LOCK_NB) == 0)
		remove_folder(parent, name, 0);
	close(fd);
}

static void remove_left(void)
{
	DIR *dir = opendir(temporary_folder());
	const struct dirent *entry;

	for (int i = 0; dir != NULL && i < STALE_MAX && (entry = readdir(dir)) != NULL;) {
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0)
			continue;
		remove_if_left(dirfd(dir), entry->d_name);
		i++;
	}
	if (dir != NULL)
		closedir(dir);
}

void replay_root_remove(struct replay_root *root)
{
	if (root->path[0] == '\0')
		return;
	/* Before its lock is let go, nobody else takes it. */
	remove_folder(AT_FDCWD, root->path, 0);
	if (root->fd >= 0)
		close(root->fd);
	*root = (struct replay_root){.fd = -1};
	remove_left();
}
