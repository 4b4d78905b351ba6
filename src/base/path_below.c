/*
 * See path_below.h.  Invariant: every object is reached by single components, each opened from the
 * folder above it with O_NOFOLLOW; ".." is none of them.
 */
#include "path_below.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* The next component of a path, without slashes; false at its end or if it is none to follow. */
static bool component(const char **path, char name[PATH_BELOW_NAME_MAX])
{
	const char *at = *path + strspn(*path, "/");
	size_t n = strcspn(at, "/");

	*path = at + n;
	if (n == 0 || n >= PATH_BELOW_NAME_MAX)
		return false;
	memcpy(name, at, n);
	name[n] = '\0';
	return strcmp(name, "..") != 0;
}

static bool at_end(const char *path)
{
	return path[strspn(path, "/")] == '\0';
}

/* One step down, instead of `fd`, which is closed. */
static int step(int fd, const char *name, bool make)
{
	int below = -1, error = 0;

	if (make && mkdirat(fd, name, 0755) < 0 && errno != EEXIST)
		error = -errno;
	if (error == 0)
		below = openat(fd, name, FOLDER_FLAGS);
	if (error == 0 && below < 0)
		error = -errno;
	close(fd);
	return error < 0 ? error : below;
}

int path_below_open(int root_fd, const char *path, bool make, char last[PATH_BELOW_NAME_MAX])
{
	bool root = at_end(path);

	if (root)
		strcpy(last, ".");
	else if (!component(&path, last))
		return -EINVAL;
	int fd = fcntl(root_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	while (!at_end(path)) {
		fd = step(fd, last, make);
		if (fd < 0)
			return fd;
		if (!component(&path, last)) {
			close(fd);
			return -EINVAL;
		}
	}
	return fd;
}

int path_below_create(int root_fd, const char *path, unsigned mode)
{
	char last[PATH_BELOW_NAME_MAX];
	int dir = path_below_open(root_fd, path, true, last);

	if (dir < 0)
		return dir;
	int fd = -EISDIR;
	if (unlinkat(dir, last, 0) == 0 || errno == ENOENT) {
		fd = openat(dir, last, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		fd = fd < 0 ? -errno : fd;
	} else {
		fd = -errno;
	}
	close(dir);
	if (fd >= 0 && fchmod(fd, mode) < 0) {
		int error = -errno;
		close(fd);
		return error;
	}
	return fd;
}
