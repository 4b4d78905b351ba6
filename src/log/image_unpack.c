/*
 * Purpose: the image back onto a disk.
 * Owns: descriptors of the folder worked in last and of a hard link's other folder.
 *
 * Three passes: directories by path; files in the order of their contents in the log, so that each
 * section is unpacked once; then symbolic links and names that were only listed. As links come
 * last, no path on the way can be one, and O_NOFOLLOW refuses those that a hostile log would need.
 *
 * Invariant: every object is made relative to a folder that was reached from `dir_fd` by single
 * components, each a real directory; image_path_valid() has excluded "..".
 */
#include "image_unpack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "image_host.h"
#include "keymap.h"

#define BYTES_MAX_DEFAULT (64ull << 30)
/* What a listed link points to whose target nobody read. */
#define TARGET_NOT_READ "not-in-the-image"

struct folder {
	int fd; /* -1: none */
	size_t len;
	char path[EVLOG_PATH_MAX + 1];
};

struct unpack {
	struct evlog_reader *reader;
	const struct image_tree *tree;
	int dir_fd;
	uint64_t bytes_left;
	image_unpack_fn fn;
	void *arg;
	struct folder folder;
	struct folder other;
	struct keymap *links; /* (dev, ino) to an index of the tree: the entry that says most */
	struct keymap *made;  /* (dev, ino) to an index of the tree: its first name */
};

struct link_key {
	uint64_t dev, ino;
};

static bool is_file(const struct image_entry *entry)
{
	if (entry->kind == IMAGE_DENIED)
		return (entry->mode & S_IFMT) && !S_ISDIR(entry->mode);
	return entry->kind == IMAGE_FILE || entry->kind == IMAGE_PLACEHOLDER;
}

static bool is_folder(const struct image_entry *entry)
{
	return entry->kind == IMAGE_DIR || entry->kind == IMAGE_LISTING ||
	       (entry->kind == IMAGE_DENIED && S_ISDIR(entry->mode));
}

static mode_t open_mode(const struct image_entry *entry)
{
	mode_t mode = (entry->mode & 0777) | 0600;

	return is_folder(entry) || (mode & 0111) ? mode | 0100 : mode;
}

/* The bytes before the last component, and that component. */
static size_t split(const char *path, const char **ret_name)
{
	const char *slash = strrchr(path, '/');

	*ret_name = slash + 1;
	return (size_t)(slash - path);
}

/* One step down, into a directory that is made if it is not there. */
static int step(int fd, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int next = openat(fd, name, flags);

	/* The container's own folders may be in the making beside us. */
	if (next < 0 && errno == ENOENT && (!mkdirat(fd, name, 0700) || errno == EEXIST))
		next = openat(fd, name, flags);
	if (next < 0)
		return errno == ELOOP || errno == ENOTDIR ? -EBADMSG : -errno;
	return next;
}

/* Opens the folder whose path is the first `len` bytes of a valid path; 0 is the root. */
static int folder_open(struct unpack *unpack, struct folder *folder, const char *path, size_t len)
{
	char name[256];
	size_t at = 0;
	int fd, next;

	if (folder->fd >= 0 && folder->len == len && !memcmp(folder->path, path, len))
		return 0;
	fd = fcntl(unpack->dir_fd, F_DUPFD_CLOEXEC, 0);
	while (fd >= 0 && at < len) {
		size_t size = strcspn(path + at + 1, "/");

		memcpy(name, path + at + 1, size);
		name[size] = 0;
		next = step(fd, name);
		close(fd);
		if (next < 0)
			return next;
		fd = next;
		at += 1 + size;
	}
	if (fd < 0)
		return -errno;
	if (folder->fd >= 0)
		close(folder->fd);
	folder->fd = fd;
	folder->len = len;
	memcpy(folder->path, path, len);
	return 0;
}

static int report(struct unpack *unpack, const struct image_entry *entry, const struct stat *st)
{
	return unpack->fn ? unpack->fn(unpack->arg, entry, st->st_dev, st->st_ino) : 0;
}

static int make_folder(struct unpack *unpack, const struct image_entry *entry)
{
	size_t len = entry->path[1] ? strlen(entry->path) : 0;
	struct stat st;
	int ret = folder_open(unpack, &unpack->folder, entry->path, len);

	if (ret)
		return ret;
	if (fchmod(unpack->folder.fd, open_mode(entry)) || fstat(unpack->folder.fd, &st))
		return -errno;
	return report(unpack, entry, &st);
}

static int make_folders(struct unpack *unpack)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < image_tree_count(unpack->tree); i++) {
		const struct image_entry *entry = image_tree_at(unpack->tree, i);

		if (is_folder(entry))
			ret = make_folder(unpack, entry);
	}
	return ret;
}

static int fill(struct unpack *unpack, const struct image_entry *entry, int fd)
{
	if (entry->kind == IMAGE_FILE) {
		if (entry->size_bytes > unpack->bytes_left)
			return -EFBIG;
		unpack->bytes_left -= entry->size_bytes;
		return evlog_reader_by_name(unpack->reader)
			       ? image_host_copy(unpack->reader, entry, fd)
			       : evlog_reader_blob_copy(unpack->reader, entry->hash, fd);
	}
	/* Its size is virtual in any case; a file system that has no room for it is good enough. */
	if (S_ISREG(entry->mode) && ftruncate(fd, (off_t)entry->size_bytes) && errno != EFBIG)
		return -errno;
	return 0;
}

/* FIFOs and sockets may be made by anybody. */
static bool is_node(mode_t type)
{
	return type == S_IFIFO || type == S_IFSOCK;
}

static int make_node(struct unpack *unpack, const struct image_entry *entry, const char *name)
{
	struct stat st;

	if (mknodat(unpack->folder.fd, name, (entry->mode & S_IFMT) | 0600, 0))
		return errno == EEXIST || errno == ENOTDIR ? -EBADMSG : -errno;
	if (fstatat(unpack->folder.fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return report(unpack, entry, &st);
}

static int make_new(struct unpack *unpack, const struct image_entry *entry,
		    const struct image_entry *contents, const char *name)
{
	int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd, ret;

	if (is_node(contents->mode & S_IFMT))
		return make_node(unpack, contents, name);
	fd = openat(unpack->folder.fd, name, flags, 0600);
	if (fd < 0)
		return errno == EEXIST || errno == ENOTDIR ? -EBADMSG : -errno;
	if (entry->flags & IMAGE_FLAG_LATE)
		entry = contents;
	ret = fill(unpack, contents, fd);
	if (!ret && (fchmod(fd, open_mode(entry)) || fstat(fd, &st)))
		ret = -errno;
	close(fd);
	return ret ? ret : report(unpack, entry, &st);
}

static int make_link(struct unpack *unpack, const struct image_entry *entry,
		     const struct image_entry *first, const char *name)
{
	const char *first_name;
	size_t len = split(first->path, &first_name);
	struct stat st;
	int ret = folder_open(unpack, &unpack->other, first->path, len);

	if (ret)
		return ret;
	if (linkat(unpack->other.fd, first_name, unpack->folder.fd, name, 0))
		return errno == EEXIST ? -EBADMSG : -errno;
	if (fstatat(unpack->folder.fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return entry->flags & IMAGE_FLAG_LATE ? 0 : report(unpack, entry, &st);
}

static int make_file(struct unpack *unpack, size_t i)
{
	const struct image_entry *entry = image_tree_at(unpack->tree, i);
	const struct image_entry *contents = entry;
	struct link_key key = {entry->dev, entry->ino};
	const char *name;
	size_t len = split(entry->path, &name);
	uint64_t other;
	int ret = folder_open(unpack, &unpack->folder, entry->path, len);

	if (ret)
		return ret;
	if (!key.ino)
		return make_new(unpack, entry, entry, name);
	if (keymap_get(unpack->made, &key, sizeof(key), &other))
		return make_link(unpack, entry, image_tree_at(unpack->tree, other), name);
	if (keymap_get(unpack->links, &key, sizeof(key), &other))
		contents = image_tree_at(unpack->tree, other);
	if (keymap_put(unpack->made, &key, sizeof(key), i))
		return -ENOMEM;
	return make_new(unpack, entry, contents, name);
}

struct ordered {
	uint64_t order;
	size_t i;
};

static int ordered_compare(const void *left, const void *right)
{
	const struct ordered *a = left, *b = right;

	if (a->order != b->order)
		return a->order < b->order ? -1 : 1;
	return (a->i > b->i) - (a->i < b->i);
}

static bool says_more(const struct image_entry *a, const struct image_entry *b)
{
	bool a_late = a->flags & IMAGE_FLAG_LATE, b_late = b->flags & IMAGE_FLAG_LATE;

	return a_late != b_late ? b_late : a->kind >= b->kind;
}

/* Of the names of one file, the entry that says most has its contents. */
static int note_link(struct unpack *unpack, const struct image_entry *entry, size_t i)
{
	struct link_key key = {entry->dev, entry->ino};
	uint64_t other;

	if (!key.ino)
		return 0;
	if (keymap_get(unpack->links, &key, sizeof(key), &other) &&
	    says_more(image_tree_at(unpack->tree, other), entry))
		return 0;
	return keymap_put(unpack->links, &key, sizeof(key), i);
}

static int make_files(struct unpack *unpack)
{
	size_t count = image_tree_count(unpack->tree);
	struct ordered *files = calloc(count + 1, sizeof(*files));
	size_t used = 0;
	int ret = files ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < count; i++) {
		const struct image_entry *entry = image_tree_at(unpack->tree, i);

		if (!is_file(entry))
			continue;
		files[used] = (struct ordered){.i = i};
		if (entry->kind == IMAGE_FILE)
			evlog_reader_blob_find(unpack->reader, entry->hash, NULL,
					       &files[used].order);
		used++;
		ret = note_link(unpack, entry, i);
	}
	if (used)
		qsort(files, used, sizeof(*files), ordered_compare);
	for (size_t i = 0; !ret && i < used; i++)
		ret = make_file(unpack, files[i].i);
	free(files);
	return ret;
}

static int make_symlink(struct unpack *unpack, const struct image_entry *entry)
{
	const char *name;
	size_t len = split(entry->path, &name);
	struct stat st;
	int ret = folder_open(unpack, &unpack->folder, entry->path, len);

	if (ret)
		return ret;
	if (symlinkat(entry->target, unpack->folder.fd, name))
		return errno == EEXIST ? -EBADMSG : -errno;
	if (fstatat(unpack->folder.fd, name, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	return report(unpack, entry, &st);
}

/* What readdir(3) said is all that is known of it. */
static int report_device(struct unpack *unpack, const char *path, uint8_t type, int file)
{
	struct image_entry entry = {
		.kind = IMAGE_PLACEHOLDER, .path = path, .mode = DTTOIF(type) | 0600, .nlink = 1};
	struct stat st;

	return fstat(file, &st) ? -errno : report(unpack, &entry, &st);
}

/* A name that was seen in a listing only. */
static int make_listed(struct unpack *unpack, const char *path, const char *name, uint8_t type)
{
	int fd = unpack->folder.fd, file, ret;

	if (type == DT_DIR)
		return mkdirat(fd, name, 0700) ? -errno : 0;
	if (type == DT_LNK)
		return symlinkat(TARGET_NOT_READ, fd, name) ? -errno : 0;
	if (type == DT_FIFO || type == DT_SOCK)
		return mknodat(fd, name, DTTOIF(type) | 0600, 0) ? -errno : 0;
	file = openat(fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (file < 0)
		return -errno;
	ret = type == DT_CHR || type == DT_BLK ? report_device(unpack, path, type, file) : 0;
	close(file);
	return ret;
}

/* Of a name that could not even be looked at there is nothing but the listing. */
static bool is_made(const struct image_entry *entry)
{
	return entry && (entry->kind != IMAGE_DENIED || entry->mode & S_IFMT);
}

static int make_names(struct unpack *unpack, const struct image_entry *entry)
{
	size_t len = entry->path[1] ? strlen(entry->path) : 0;
	char path[EVLOG_PATH_MAX + 1 + 256 + 1];
	const char *name;
	size_t at = 0;
	uint8_t type;
	int ret = folder_open(unpack, &unpack->folder, entry->path, len);

	memcpy(path, entry->path, len);
	path[len] = '/';
	while (!ret && image_names_next(entry, &at, &name, &type)) {
		strcpy(path + len + 1, name);
		if (is_made(image_tree_find(unpack->tree, path)))
			continue;
		ret = make_listed(unpack, path, name, type);
		/* A folder that had to be made for something below it. */
		if (ret == -EEXIST)
			ret = 0;
	}
	return ret;
}

static int make_rest(struct unpack *unpack)
{
	size_t count = image_tree_count(unpack->tree);
	int ret = 0;

	for (size_t i = 0; !ret && i < count; i++) {
		const struct image_entry *entry = image_tree_at(unpack->tree, i);

		if (entry->kind == IMAGE_LISTING)
			ret = make_names(unpack, entry);
		else if (entry->kind == IMAGE_SYMLINK)
			ret = make_symlink(unpack, entry);
	}
	return ret;
}

/* The root can only be a directory; image_path_valid() lets "/" be anything. */
static bool root_valid(const struct image_tree *tree)
{
	const struct image_entry *root = image_tree_find(tree, "/");

	return !root || is_folder(root);
}

/*
 * A small log can name large contents many times: what it would take is counted before anything is
 * written, so that a bomb does not fill the disk first.
 */
static int room_check(const struct unpack *unpack)
{
	uint64_t need_bytes = 0;
	struct statvfs fs;

	for (size_t i = 0; i < image_tree_count(unpack->tree); i++) {
		const struct image_entry *entry = image_tree_at(unpack->tree, i);

		if (entry->kind != IMAGE_FILE || entry->nlink > 1)
			continue;
		if (entry->size_bytes > unpack->bytes_left - need_bytes)
			return -EFBIG;
		need_bytes += entry->size_bytes;
	}
	if (fstatvfs(unpack->dir_fd, &fs))
		return -errno;
	return need_bytes > (uint64_t)fs.f_bavail * fs.f_frsize ? -ENOSPC : 0;
}

static int unpack_all(struct unpack *unpack)
{
	int ret = root_valid(unpack->tree) ? 0 : -EBADMSG;

	if (!ret)
		ret = room_check(unpack);

	if (!ret && (keymap_create(&unpack->links) || keymap_create(&unpack->made)))
		ret = -ENOMEM;
	if (!ret)
		ret = make_folders(unpack);
	if (!ret)
		ret = make_files(unpack);
	return ret ? ret : make_rest(unpack);
}

int image_unpack(struct evlog_reader *reader, const struct image_tree *tree, int dir_fd,
		 uint64_t bytes_max, image_unpack_fn fn, void *arg)
{
	struct unpack *unpack = calloc(1, sizeof(*unpack));
	int ret;

	if (!unpack)
		return -ENOMEM;
	*unpack = (struct unpack){
		.reader = reader,
		.tree = tree,
		.dir_fd = dir_fd,
		.bytes_left = bytes_max ? bytes_max : BYTES_MAX_DEFAULT,
		.fn = fn,
		.arg = arg,
		.folder.fd = -1,
		.other.fd = -1,
	};
	ret = unpack_all(unpack);
	if (unpack->folder.fd >= 0)
		close(unpack->folder.fd);
	if (unpack->other.fd >= 0)
		close(unpack->other.fd);
	keymap_destroy(unpack->links);
	keymap_destroy(unpack->made);
	free(unpack);
	return ret;
}
