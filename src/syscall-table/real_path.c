/*
 * The name that a file has without links on the way, as /proc shows it of what is executed.
 *
 * The kernel that opened the file knows it, but says it only in a /proc that the container has not.
 * So the links are read one by one; they are those that opening the path has just gone through, so
 * a replay has them too.
 */
#include "path.h"

#define LINK_HOPS_MAX 40 /* as Linux: MAXSYMLINKS */

struct walk {
	char done[FILE_ABS_MAX]; /* without links; "" is the root */
	char left[FILE_ABS_MAX]; /* what follows */
	char link[FILE_PATH_MAX];
	u32 hops;
};

static void drop_last(char *path)
{
	char *slash = strrchr(path, '/');

	if (slash)
		*slash = '\0';
}

/* done is a link with that target: it is replaced by it. */
static bool follow(struct walk *w, long length, const char *rest)
{
	char joined[FILE_PATH_MAX];
	u64 n = 0;

	w->link[length] = '\0';
	if (++w->hops > LINK_HOPS_MAX || (u64)length + strlen(rest) + 2 > sizeof(joined))
		return false;
	str_format(joined, sizeof(joined), &n, "%s", w->link);
	str_format(joined, sizeof(joined), &n, "/%s", rest);
	memcpy(w->left, joined, n + 1);
	if (w->link[0] == '/')
		w->done[0] = '\0';
	else
		drop_last(w->done);
	return true;
}

/* Takes the first component of left, of n bytes.  False if it leads nowhere. */
static bool step(struct walk *w, u32 n)
{
	const char *rest = w->left + n;
	u64 len = strlen(w->done);

	if (n == 2 && !strncmp(w->left, "..", 2)) {
		drop_last(w->done);
	} else if (n > 1 || w->left[0] != '.') {
		if (len + n + 2 > FILE_PATH_MAX)
			return false;
		w->done[len] = '/';
		memcpy(w->done + len + 1, w->left, n);
		w->done[len + 1 + n] = '\0';
		long r = SYS4(NR_readlinkat, AT_FDCWD, w->done, w->link, sizeof(w->link) - 1);
		if (r > 0)
			return follow(w, r, rest);
	}
	memmove(w->left, rest, strlen(rest) + 1);
	return true;
}

static bool walk_all(struct walk *w)
{
	for (;;) {
		u32 slashes = 0, n = 0;
		while (w->left[slashes] == '/')
			slashes++;
		memmove(w->left, w->left + slashes, strlen(w->left + slashes) + 1);
		if (!w->left[0])
			return true;
		while (w->left[n] && w->left[n] != '/')
			n++;
		if (!step(w, n))
			return false;
	}
}

void path_real(char *abs)
{
	struct walk *w = heap_alloc(sizeof(*w));

	memcpy(w->left, abs, strlen(abs) + 1);
	if (abs[0] == '/' && walk_all(w) && w->done[0])
		memcpy(abs, w->done, strlen(w->done) + 1);
	heap_free(w);
}
