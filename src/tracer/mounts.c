/*
 * See mounts.h.  Owns nothing beyond a call.
 */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdio.h>
#include <unistd.h>

#define MOUNT_TEXT_MAX 8192

/* O_PATH asks no file system, which may be somebody's who does not answer. */
static bool is_folder(int root, const char *path)
{
	while (*path == '/')
		path++;
	int fd = openat(root, *path != '\0' ? path : ".",
			O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		close(fd);
	/* What another mount hides is not there. */
	return fd >= 0 || errno == ENOENT;
}

static bool all_folders(FILE *mounts, int root)
{
	char text[MOUNT_TEXT_MAX];
	struct mntent entry;

	while (getmntent_r(mounts, &entry, text, sizeof(text)) != NULL) {
		if (!is_folder(root, entry.mnt_dir))
			return false;
	}
	return true;
}

bool mounts_cover_files(pid_t tid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root", (int)tid);
	int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	snprintf(path, sizeof(path), "/proc/%d/mounts", (int)tid);
	FILE *mounts = root < 0 ? NULL : setmntent(path, "re");
	bool folders = mounts != NULL && all_folders(mounts, root);

	if (mounts != NULL)
		endmntent(mounts);
	if (root >= 0)
		close(root);
	return !folders;
}
