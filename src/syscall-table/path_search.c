/*
 * Whether the directories on the way along a path may be searched.  The host judges that only for
 * tasks that act under the ids it knows: not for those that have changed theirs, and not in a
 * replay.  What was found is remembered by directory and by who asks, until names or modes of
 * directories change.
 */
#include <linux/capability.h>
#include "capture.h"
#include "credentials.h"

static bool is_root(const struct task *t)
{
	return !proc_of(t)->fsuid && capable(t, CAP_DAC_OVERRIDE) && !HEAD->config.partial_root;
}

/* While it was recorded; or is, or would be. */
static bool recorder_judges(const struct task *t)
{
	return is_root(t) || proc_of(t)->fsuid == HEAD->config.euid;
}

static bool host_judges(const struct task *t)
{
	return HEAD->config.replay ? is_root(t) : recorder_judges(t);
}

struct asking {
	struct task *t;
	u32 known; /* vnode of the first directory, or 0 */
};

/* A replay must find it as it is.  What the recorder's host denies we do not get to see. */
static void announce(struct task *t, const char *dir, const struct stat *st)
{
	struct path seen = {.dirfd = AT_FDCWD, .len = (u32)strlen(dir), .base = ""};

	if (recorder_judges(t) || seen.len >= FILE_PATH_MAX)
		return;
	memcpy(seen.name, dir, seen.len + 1);
	capture_path(&seen, CAPTURE_METADATA, st, vnode_of(st));
}

/* 1: it may not be searched. */
static long judge(void *arg, const char *dir)
{
	struct asking *a = arg;
	struct stat st;
	struct vnode v;

	if (a->known) {
		const struct vnode *known = vnode_at(a->known);
		a->known = 0;
		return vnode_permission(a->t, known, 1, false) < 0;
	}
	long r = SYS4(NR_newfstatat, AT_FDCWD, dir, &st, 0);
	if (r < 0)
		return r;
	vnode_peek(&st, &v);
	if ((v.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	if (vnode_permission(a->t, &v, 1, false) >= 0)
		return 0;
	announce(a->t, dir, &st);
	return 1;
}

/* To the last component; with `follow`, to what it is a link to, too. */
static bool walk_denied(struct task *t, const struct path *p, bool follow)
{
	const char *root = FILES->fs[proc_of(t)->fs].root;
	struct asking asking = {t, p->base_vnode};
	u32 skip = 0;

	root = root ? root : "";
	const char *start = p->base[1] ? p->base : "";
	/* What lies above the task's root is not on the way. */
	if (p->name[0] == '/') {
		skip = fs_root_length(t, p->name);
		start = skip ? root : "";
	}
	return path_visit(skip ? root : "", start, p->name + skip, follow ? 0 : PATH_NOFOLLOW,
			  judge, &asking) > 0;
}

/* Names the directory of the last component, and who asks.  0: it has no name. */
static u64 search_key(const struct task *t, const struct path *p)
{
	const struct proc *who = proc_of(t);

	if (p->name[0] != '/' && !p->base[0])
		return 0;
	u64 parts[] = {path_parent_key(p), who->fsuid | (u64)who->fsgid << 32,
		       who->cap_effective, who->groups,
		       who->ngroups,	   FILES->search_generation};
	u64 key = hash_bytes(0, parts, sizeof(parts));
	return key ? key : 1;
}

static bool way_denied(struct task *t, const struct path *p)
{
	u64 key = search_key(t, p), *known = &FILES->searched[key % SEARCHED_SLOTS];

	if (key && *known == key)
		return false;
	if (walk_denied(t, p, false))
		return true;
	if (key)
		*known = key;
	return false;
}

bool path_search_denied(struct task *t, const struct path *p, bool follow)
{
	if (p->special || p->is_empty || host_judges(t))
		return false;
	return way_denied(t, p) || (follow && path_is_link(p) && walk_denied(t, p, true));
}

long path_search_error(struct task *t, const struct path *p, long error)
{
	return path_search_denied(t, p, true) ? -EACCES : error;
}
