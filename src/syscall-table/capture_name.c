/*
 * The names under which files are announced.  See capture_name.h.
 *
 * Invariant: a name that was announced leads the tracer to the same file until it is waited for,
 * whatever the container does.  Through directories that the container makes a link of the image
 * may lead by "..": so they go only when what was announced since was looked at (leads_through).
 */
#include "capture_name.h"

/* No other keys that are of the same text: path_missing_key. */
#define KEY_SALT 0x8ebc6af09c88c6e3u
#define OF_MOVED 0x9e3779b97f4a7c15u
#define OF_MADE	 0x165667b19e3779f9u
#define OF_VNODE 0xd6e8feb86659fd93u

static u64 text_key(const struct path *p, u32 n)
{
	return hash_bytes(p->base_hash ^ KEY_SALT, p->name, n) ^ path_base_key(p);
}

u64 announced_key(const struct path *p, u32 n, u32 vnode, bool strict)
{
	u64 moved = FILES->path_generation, key = text_key(p, n);
	const struct vnode *v = vnode_at(vnode);

	if (!moved)
		return key;
	/* To what has more than one name, or lost one, the way may be another. */
	bool one = (v->mode & S_IFMT) == S_IFDIR || !(v->flags & (VNODE_CAPTURED | VNODE_MOVED));
	if (!vnode || !one || strict)
		return key + moved * OF_MOVED;
	moved -= FILES->removed_dirs + FILES->made_links;
	return ~key + moved * OF_MOVED + v->ino * OF_VNODE;
}

u64 announced_failure_key(const struct path *p, bool strict)
{
	u64 moved = FILES->path_generation, key = text_key(p, p->len) ^ OF_MADE;

	if (strict)
		return ~key + moved * OF_MOVED + FILES->made_generation * OF_MADE;
	return key + (moved - FILES->removed_dirs) * OF_MOVED;
}

bool announced_plainly(const struct path *p)
{
	if (FILES->path_generation || !FILES->made_generation)
		return !FILES->path_generation;
	return !path_has_dots(p->name) && (p->name[0] == '/' || !path_has_dots(p->base));
}

/* Where it came out is looked for at the end: it may be what the container has made. */
static bool is_out(u32 kind)
{
	return kind >= CAPTURE_OUT_FILE;
}

bool announced_unknown(long led, const struct path_end *end)
{
	if (led < 0)
		return led != -ENOENT && led != -ENOSYS && led != -ELOOP;
	return !end->type && end->error == -EACCES;
}

static u32 led_name(const struct path *p, u32 n, u32 kind, char *abs, bool *ret_strict)
{
	bool follow = kind != CAPTURE_LINK && kind != CAPTURE_TREE && kind != CAPTURE_OUT_TREE;
	struct path_end *end = heap_alloc_aside(sizeof(*end));
	long led = path_lead(p, n, follow ? 0 : PATH_NOFOLLOW, end);
	u32 len = 0;

	if (announced_unknown(led, end)) {
		len = path_absolute_of(p, n, abs);
	} else if (led >= 0 && (!end->inside || is_out(kind))) {
		len = (u32)strlen(end->abs);
		memcpy(abs, end->abs, len + 1);
	}
	*ret_strict = end->dots || announced_unknown(led, end);
	heap_free(end);
	return len;
}

u32 announced_part(const struct path *p, u32 n, u32 kind, char *abs, bool *ret_strict)
{
	*ret_strict = false;
	/* The directory that moves may be on the way of its new name's text. */
	if (!announced_plainly(p) || kind == CAPTURE_OUT_TREE)
		return led_name(p, n, kind, abs, ret_strict);
	if (FILES->made_generation)
		FILES->leads_through = true;
	return path_absolute_of(p, n, abs);
}

u32 announced_name(const struct path *p, u32 kind, char *abs)
{
	bool strict;

	return announced_part(p, p->len, kind, abs, &strict);
}

u32 announced_parent(const struct path *p, u32 kind, char *abs)
{
	bool strict;

	return announced_part(p, path_parent_length(p), kind, abs, &strict);
}
