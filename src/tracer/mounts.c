/*
 * See mounts.h.  Owns nothing beyond a call.  mountinfo: proc_pid_mountinfo(5).
 */
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MOUNT_TEXT_MAX 8192

/* Below what every container has its own of. */
static bool is_covered(const char *path)
{
	static const char *const own[] = {"/proc", "/sys", "/dev"};

	for (size_t i = 0; i < sizeof(own) / sizeof(*own); i++) {
		size_t len = strlen(own[i]);

		if (strncmp(path, own[i], len) == 0 && (path[len] == '\0' || path[len] == '/'))
			return true;
	}
	return false;
}

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
		if (!is_covered(entry.mnt_dir) && !is_folder(root, entry.mnt_dir))
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

/* ---- what is recorded ---- */

static bool is_octal(const char *s)
{
	return s[0] >= '0' && s[0] <= '3' && s[1] >= '0' && s[1] <= '7' && s[2] >= '0' &&
	       s[2] <= '7';
}

bool mounts_next(const char **text, char *ret_path, size_t size)
{
	const char *s = *text;
	size_t len = 0;

	while (*s == ' ')
		s++;
	for (; *s != '\0' && *s != ' '; s++) {
		if (len + 1 == size)
			return false;
		bool escaped = *s == '\\' && is_octal(s + 1);
		ret_path[len++] =
			escaped ? (char)((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0')) : *s;
		s += escaped ? 3 : 0;
	}
	ret_path[len] = '\0';
	*text = s;
	return ret_path[0] == '/';
}

/* What is at the path, if that is the mount `id` and not one that hides it, as of S_IFMT; else 0.
 */
static mode_t type_of(const char *escaped, unsigned long long id)
{
	char path[PATH_MAX];
	struct statx st;

	if (!mounts_next(&escaped, path, sizeof(path)) ||
	    statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC,
		  STATX_TYPE | STATX_MNT_ID, &st) < 0 ||
	    st.stx_mnt_id != id)
		return 0;
	return st.stx_mode & S_IFMT;
}

/* One of mountinfo's lines: its path if it is to be listed, or NULL. */
static const char *path_to_list(char *line, bool *cover_files)
{
	char *rest = line, *id = strsep(&rest, " "), *path = NULL;

	for (int field = 2; field <= 5; field++)
		path = strsep(&rest, " ");
	if (path == NULL || strcmp(path, "/") == 0 || is_covered(path))
		return NULL;
	mode_t type = type_of(path, strtoull(id, NULL, 10));
	*cover_files = *cover_files || (type != 0 && !S_ISDIR(type));
	return S_ISDIR(type) ? path : NULL;
}

char *mounts_list(bool *ret_cover_files)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, *text = NULL;
	size_t room = 0, size;
	FILE *list = open_memstream(&text, &size);

	*ret_cover_files = mounts == NULL;
	while (list != NULL && mounts != NULL && getline(&line, &room, mounts) >= 0) {
		const char *path = path_to_list(line, ret_cover_files);

		if (path != NULL)
			fprintf(list, "%s%s", ftell(list) != 0 ? " " : "", path);
	}
	free(line);
	if (mounts != NULL)
		fclose(mounts);
	if (list == NULL || fclose(list) != 0) {
		free(text);
		return NULL;
	}
	return text;
}
