/*
 * /proc, /sys and /dev: paths to rows, rows to descriptors, stat answers, links and listings.
 *
 * Owns nothing: an open text is read through synth_file.c, an open directory is only its path.  A
 * path is resolved component by component, because links lead from here into the host's files
 * (/proc/self/cwd/x) and back; each hop is counted, so that no chain of links is endless. Paths are
 * made canonical before they are kept: /proc/self at the time of the open is a number.
 */
#include <asm/stat.h>
#include "../shim/mm.h"
#include "lookup.h"
#include "credentials.h"
#include "priority.h"
#include "pty.h"
#include "reopen.h"
#include "synth.h"
#include "tty.h"
#include "wait.h"

#define LINK_HOPS_MAX 40 /* as Linux: MAXSYMLINKS */
#define INO_MASK      0x7fffffffu
#define DT_OF_CHR     2
#define DT_OF_DIR     4
#define DT_OF_REG     8
#define DT_OF_LNK     10

static const struct {
	const char *root;
	const struct synth_node *nodes;
} tables[] = {
	{"/proc", synth_proc_nodes},
	{"/proc/#P", synth_task_nodes},
	{"/proc/#P", synth_pid_nodes},
	{"/proc/#P/task/#T", synth_pid_nodes},
	{"/proc/#P", synth_mount_nodes},
	{"/proc/#P/task/#T", synth_mount_nodes},
	{"/proc/#P", synth_memory_nodes},
	{"/proc/#P/task/#T", synth_memory_nodes},
	{"/proc/#P/task/#T", synth_thread_nodes},
	{"/proc/#P", synth_state_nodes},
	{"/proc/#P/task/#T", synth_state_nodes},
	{"/proc", synth_kernel_nodes},
	{"/proc/sys", synth_sysctl_nodes},
	{"/proc", synth_ipc_nodes},
	{"/proc/#P", synth_net_nodes},
	{"/proc/#P/task/#T", synth_net_nodes},
	{"/proc/#P", synth_socket_nodes},
	{"/proc/#P/task/#T", synth_socket_nodes},
	{"/proc/#P", synth_snmp_nodes},
	{"/proc/#P/task/#T", synth_snmp_nodes},
	{"/proc/sys", synth_net_settings},
	{"/sys", synth_interface_nodes},
	{"/sys", synth_sys_nodes},
	{"/sys/fs/cgroup", synth_cgroup_nodes},
	{"/dev", synth_dev_nodes},
};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

/* st_dev of each; as in /proc/self/mountinfo.  Inner ones come first. */
static const struct {
	const char *root;
	u32 len;
	u32 dev;
	u64 text_size; /* what stat says of a text */
} trees[] = {{"/proc", 5, DEV_OF_PROC, 0},
	     {"/sys/fs/cgroup", 14, DEV_OF_CGROUP, 0},
	     {"/sys", 4, DEV_OF_SYS, 4096},
	     {"/dev/pts", 8, DEV_OF_PTS, 0},
	     {"/dev", 4, DEV_OF_DEVICES, 0}};

/* What a path leads to: a row, or (outside) a host file that was looked up. */
struct found {
	const struct synth_node *node;
	struct synth_ctx ctx;
	u32 hops;
	bool is_dir;	   /* asked for with a slash at the end */
	bool opens;	   /* asked for by open */
	char *abs;	   /* heap, FILE_ABS_MAX bytes: canonical */
	struct path *path; /* heap; NULL unless outside */
	struct stat st;	   /* if outside and looked_up is 0 */
	u32 vnode;
	long looked_up;
};

#define FOUND_NODE    0
#define FOUND_OUTSIDE 1
#define FOUND_AGAIN   2

/* ---- text ---- */

void text_room(struct synth_text *out, size_t more)
{
	size_t want = out->len + more + 1;

	if (want <= out->cap)
		return;
	if (want < out->cap * 2)
		want = out->cap * 2;
	char *bigger = heap_alloc(want);
	if (out->bytes)
		memcpy(bigger, out->bytes, out->len);
	heap_free(out->bytes);
	out->bytes = bigger;
	out->cap = want;
	bigger[out->len] = '\0';
}

void text_bytes(struct synth_text *out, const void *bytes, u64 len)
{
	text_room(out, len);
	memcpy(out->bytes + out->len, bytes, len);
	out->len += len;
	out->bytes[out->len] = '\0';
}

void text_string(struct synth_text *out, const char *s)
{
	text_bytes(out, s, strlen(s));
}

void text_path(const struct synth_ctx *c, struct synth_text *out, const char *abs)
{
	text_string(out, c->outer ? abs : fs_shown(c->t, abs));
}

void text_pad(struct synth_text *out, size_t column)
{
	size_t begin = out->len;

	while (begin > 0 && out->bytes[begin - 1] != '\n')
		begin--;
	while (out->len - begin < column)
		text_bytes(out, " ", 1);
}

static bool has_cpu(const u64 *mask, u32 cpu)
{
	return cpu < AFFINITY_WORDS * 64 && mask[cpu / 64] >> cpu % 64 & 1;
}

void text_some_cpus_list(struct synth_text *out, const u64 *mask)
{
	const char *comma = "";

	for (u32 first = 0; first < HEAD->config.cpus; first++) {
		u32 last = first;
		if (!has_cpu(mask, first))
			continue;
		while (has_cpu(mask, last + 1))
			last++;
		text_add(out, last > first ? "%s%u-%u" : "%s%u", comma, first, last);
		comma = ",";
		first = last;
	}
}

/* Groups of 32, the highest first, as wide as there are processors. */
void text_some_cpus_mask(struct synth_text *out, const u64 *mask)
{
	u32 groups = (HEAD->config.cpus + 31) / 32;

	for (u32 i = groups; i-- > 0;) {
		u32 bits = (u32)(mask[i / 2] >> i % 2 * 32);
		text_add(out, i + 1 == groups ? "%x" : ",%08x", bits);
	}
}

void text_cpu_list(struct synth_text *out)
{
	static const struct priority anywhere;
	u64 mask[AFFINITY_WORDS];

	priority_affinity(&anywhere, mask);
	text_some_cpus_list(out, mask);
}

void text_cpu_mask(struct synth_text *out)
{
	static const struct priority anywhere;
	u64 mask[AFFINITY_WORDS];

	priority_affinity(&anywhere, mask);
	text_some_cpus_mask(out, mask);
}

static void node_text(const struct synth_node *n, const struct synth_ctx *c, struct synth_text *out)
{
	text_room(out, TEXT_PIECE);
	if (n->make)
		n->make(c, out);
	else if (n->fixed)
		text_string(out, n->fixed);
}

/* ---- patterns ---- */

static u32 component_length(const char *s)
{
	u32 n = 0;

	while (s[n] && s[n] != '/')
		n++;
	return n;
}

/* A decimal number without leading zeros, of `len` digits. */
static bool number_of(const char *s, u32 len, u32 *ret_value)
{
	u32 value = 0;

	if (!len || len > 9 || (s[0] == '0' && len > 1))
		return false;
	for (u32 i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return false;
		value = value * 10 + (u32)(s[i] - '0');
	}
	*ret_value = value;
	return true;
}

static bool has_fds(u32 proc)
{
	return proc != NONE && proc != PROC_INIT && proc_at(proc)->state == PROC_LIVE;
}

static bool is_open(u32 proc, u32 fd)
{
	return has_fds(proc) && fd < APP_FD_MAX && FILES->tables[proc_at(proc)->files].fd[fd];
}

/* A process goes by the numbers of its other threads, too, but is not listed by them. */
static bool process_fits(struct synth_ctx *c, u32 value)
{
	c->proc = proc_find_pid(value);
	c->task = c->proc == NONE ? proc_find_tid(NONE, value) : NULL;
	if (c->task)
		c->proc = c->task->proc;
	return c->proc != NONE;
}

/* Of what has no threads in the books, zombies and init, the one it has to the app. */
static bool is_last_thread(u32 proc, u32 tid)
{
	return !has_fds(proc) && proc_at(proc)->pid == tid;
}

static bool number_fits(struct synth_ctx *c, char kind, u32 value)
{
	switch (kind) {
	case 'P':
		return process_fits(c, value);
	case 'T':
		c->task = has_fds(c->proc) ? proc_find_tid(c->proc, value) : NULL;
		return c->task != NULL || is_last_thread(c->proc, value);
	case 'F':
		c->fd = value;
		return is_open(c->proc, value);
	case 'C':
		c->cpu = value;
		return value < HEAD->config.cpus;
	case 'I':
		c->cache = value;
		return value < SYNTH_CACHES;
	case 'Y':
		c->terminal = value;
		return pty_find(value) || (value == 0 && stdio_tty() != NONE);
	default:
		return false;
	}
}

/*
 * A component of a pattern may have a number behind a name (cpu#C); `name` has `len` bytes.
 */
static bool component_fits(struct synth_ctx *c, const char *pattern, const char *name, u32 len)
{
	u32 want = component_length(pattern), same = 0, value;

	while (same < want && pattern[same] != '#')
		same++;
	if (len < same || strncmp(pattern, name, same) != 0)
		return false;
	if (same == want)
		return len == want;
	return number_of(name + same, len - same, &value) &&
	       number_fits(c, pattern[same + 1], value);
}

/* Walks both along as long as both have components; false where they differ. */
static bool walk(struct synth_ctx *c, const char **pattern, const char **abs)
{
	while (**pattern && **abs) {
		u32 len = component_length(*abs + 1);
		if (!component_fits(c, *pattern + 1, *abs + 1, len))
			return false;
		*pattern += 1 + component_length(*pattern + 1);
		*abs += 1 + len;
	}
	return true;
}

static void ctx_init(struct synth_ctx *c, struct task *t)
{
	memset(c, 0, sizeof(*c));
	c->t = t;
	c->proc = NONE;
}

/* The table's root is a prefix of the path: what follows it. */
static const char *below_root(struct synth_ctx *c, u32 table, const char *abs)
{
	const char *pattern = tables[table].root;

	return walk(c, &pattern, &abs) && !*pattern ? abs : NULL;
}

static const struct synth_node *node_find(struct task *t, const char *abs, struct synth_ctx *ret)
{
	for (u32 i = 0; i < TABLES; i++) {
		ctx_init(ret, t);
		const char *rest = below_root(ret, i, abs);
		for (const struct synth_node *n = tables[i].nodes; rest && n->path; n++) {
			const char *pattern = n->path, *left = rest;
			if (walk(ret, &pattern, &left) && !*pattern && !*left)
				return n;
		}
	}
	return NULL;
}

/* ---- resolution ---- */

/*
 * What a link leads to, from the container's root on.  A text of ours is a name as any other, below
 * the task's own root; of a process's file or directory that is meant itself, whatever the root:
 * but the way on from there is walked below the root, so nothing of this part may be a link.
 */
static void link_target(struct found *f, struct synth_text *target)
{
	const char *root = FILES->fs[proc_of(f->ctx.t)->fs].root;
	char real[FILE_PATH_MAX];

	f->ctx.outer = true;
	if (root && f->node->fixed && f->node->fixed[0] == '/')
		text_string(target, root);
	node_text(f->node, &f->ctx, target);
	if (!root || f->node->fixed || target->bytes[0] != '/' || target->len >= sizeof(real))
		return;
	memcpy(real, target->bytes, target->len + 1);
	path_real(real);
	target->len = 0;
	text_string(target, real);
}

static long permission(struct task *t, const struct found *f, u32 want);

static bool may_look(const struct found *f)
{
	return !f->node->looks || may_look_into(f->ctx.t, f->ctx.proc);
}

/* 0, or the errno of what its process has no more. */
static long gone(const struct found *f)
{
	bool ended = f->ctx.proc != NONE && proc_at(f->ctx.proc)->state == PROC_ZOMBIE;

	return ended ? -(long)f->node->gone : 0;
}

/* Goes through a directory: one's own descriptors in any case (proc_fd_permission). */
static long enter(struct task *t, const struct found *f)
{
	bool is_open = !f->node->mode && !f->node->looks;

	if (is_open || f->ctx.proc == t->proc)
		return 0;
	return may_look(f) ? permission(t, f, 1) : -EACCES;
}

/* f->abs up to `end` is a link: puts its target in place of it. */
static long expand(struct found *f, u32 end)
{
	struct synth_text target = {0};
	char *base = heap_alloc(FILE_ABS_MAX);
	long r = FOUND_AGAIN;
	u32 dir = end;

	if (gone(f) || !may_look(f)) {
		heap_free(base);
		return gone(f) ? gone(f) : -EACCES;
	}
	link_target(f, &target);
	while (dir > 0 && f->abs[dir - 1] != '/')
		dir--;
	memcpy(base, f->abs, dir);
	/* The program of a process that has none left: a zombie, init. */
	if (!target.len)
		r = -ENOENT;
	/* A number's target without a path (pipe:[5]) is no place to go to. */
	else if (f->node->is_ns || (f->node->is_fd && target.bytes[0] != '/'))
		r = f->abs[end] || f->is_dir ? -ENOTDIR : -EACCES;
	text_string(&target, f->abs + end);
	if (r > 0 && target.len >= FILE_PATH_MAX)
		r = -ENAMETOOLONG;
	if (r > 0)
		path_normalise(base, target.bytes, f->abs);
	heap_free(base);
	heap_free(target.bytes);
	return r;
}

/* The descriptor of a link /proc/self/fd/N is meant itself, not its name; to who opens it, that of
 * another process, too.  So is a program that has no name any more, and a namespace to who only
 * looks at it. */
static bool is_object_meant(const struct found *f)
{
	if (f->node->is_ns)
		return !f->is_dir && !f->opens;
	if (f->is_dir || !(f->opens || f->ctx.proc == f->ctx.t->proc))
		return false;
	return f->node->is_fd || (f->node->is_exe && program_is_nameless(f->ctx.t, f->ctx.proc));
}

/* One walk over f->abs: FOUND_NODE, FOUND_AGAIN after a link was expanded, or an errno. */
static long resolve_walk(struct task *t, struct found *f, bool follow)
{
	for (u32 end = 1;; end++) {
		end += component_length(f->abs + end);
		char after = f->abs[end];
		f->abs[end] = '\0';
		f->node = node_find(t, f->abs, &f->ctx);
		f->abs[end] = after;
		if (!f->node)
			return -ENOENT;
		if (f->node->type == SYNTH_LINK && (after || (follow && !is_object_meant(f))))
			return expand(f, end);
		if (!after)
			return FOUND_NODE;
		if (f->node->type != SYNTH_DIR)
			return -ENOTDIR;
		long r = enter(t, f);
		if (r < 0)
			return r;
	}
}

/* f->abs has left the tables: FOUND_OUTSIDE, or FOUND_AGAIN if the file is a link back. */
static long resolve_outside(struct task *t, struct found *f, bool follow)
{
	if (!f->path)
		f->path = heap_alloc(sizeof(*f->path));
	long r = path_set(t, AT_FDCWD, f->abs, PATH_OUTER | (follow ? 0 : PATH_NOFOLLOW), f->path);
	if (r < 0)
		return r;
	r = lookup(t, f->path, follow ? 0 : AT_SYMLINK_NOFOLLOW, &f->st, &f->vnode);
	if (r != LOOKUP_SPECIAL) {
		f->looked_up = r;
		return FOUND_OUTSIDE;
	}
	memcpy(f->abs, f->path->abs, strlen(f->path->abs) + 1);
	return FOUND_AGAIN;
}

/*
 * Finds what an absolute normal path means.  FOUND_NODE, FOUND_OUTSIDE, or a negative errno; in any
 * case found_release is due.  follow: a link in the last place too.  A path that ends in a slash
 * is a directory, or a link to one.
 */
static long resolve_for(struct task *t, const char *abs, bool follow, bool opens, struct found *f)
{
	u64 len = strlen(abs);
	long r = FOUND_AGAIN;

	memset(f, 0, sizeof(*f));
	f->opens = opens;
	f->is_dir = len > 1 && abs[len - 1] == '/';
	f->abs = heap_alloc(FILE_ABS_MAX);
	memcpy(f->abs, abs, f->is_dir ? len - 1 : len);
	follow |= f->is_dir;
	while (r == FOUND_AGAIN) {
		if (f->hops++ > LINK_HOPS_MAX)
			return -ELOOP;
		r = path_is_special(f->abs) ? resolve_walk(t, f, follow)
					    : resolve_outside(t, f, follow);
	}
	bool other = r == FOUND_NODE && f->node->type != SYNTH_DIR;
	return f->is_dir && other ? -ENOTDIR : r;
}

static long resolve(struct task *t, const char *abs, bool follow, struct found *f)
{
	return resolve_for(t, abs, follow, false, f);
}

static void found_release(struct found *f)
{
	heap_free(f->abs);
	heap_free(f->path);
}

long special_target(struct task *t, struct path *p, struct stat *ret_st, u32 *ret_vnode,
		    u32 *ret_fd)
{
	struct found f;

	long r = resolve(t, p->abs, true, &f);
	if (r == FOUND_OUTSIDE) {
		r = f.looked_up;
		*p = *f.path;
		*ret_st = f.st;
		*ret_vnode = f.vnode;
	} else if (r == FOUND_NODE) {
		r = f.node->is_fd && is_object_meant(&f) ? SPECIAL_FD : LOOKUP_SPECIAL;
		*ret_fd = f.ctx.fd;
		memcpy(p->abs, f.abs, strlen(f.abs) + 1);
	}
	found_release(&f);
	return r;
}

bool special_is_own_program(struct task *t, const char *abs)
{
	struct found f;

	bool is = resolve(t, abs, true, &f) == FOUND_NODE && f.node->is_exe;
	found_release(&f);
	return is;
}

/* ---- attributes ---- */

static u32 mode_of(const struct synth_node *n, const struct synth_ctx *c)
{
	static const u32 usual[] = {[SYNTH_DIR] = S_IFDIR | 0555,
				    [SYNTH_TEXT] = S_IFREG | 0444,
				    [SYNTH_LINK] = S_IFLNK | 0777,
				    [SYNTH_DEVICE] = S_IFCHR | 0666};
	u32 mode = n->mode;

	if (n->is_fd)
		mode = synth_fd_mode(c);
	return mode ? (usual[n->type] & S_IFMT) | mode : usual[n->type];
}

static u64 ino_of(const char *abs)
{
	u64 ino = hash_bytes(0, abs, strlen(abs)) & INO_MASK;

	return ino ? ino : 1;
}

/*
 * Whether what a process has is root's (task_dump_owner): of one whose memory nobody may look at,
 * and of one without memory, all but what everybody may search.
 */
static bool is_of_root(const struct proc *p, u32 mode)
{
	if (mode == (S_IFDIR | 0555))
		return false;
	return p->state != PROC_LIVE || !mm_at(p->mm)->dumpable;
}

static u32 threads_of(u32 proc)
{
	return has_fds(proc) ? proc_at(proc)->nthreads : 1;
}

static void stat_node(const struct found *f, struct vstat *ret)
{
	const struct synth_node *n = f->node;
	u32 tree = 0;

	memset(ret, 0, sizeof(*ret));
	/* What fstat says of the stream, so that the two are known to be the same terminal. */
	if (n->rdev == SYNTH_PTS_RDEV) {
		const struct pty *p = pty_find(f->ctx.terminal);
		if (p)
			pty_stat(p, ret);
		else
			stdio_stat(stdio_tty(), ret);
		return;
	}
	while (strncmp(f->abs, trees[tree].root, trees[tree].len) != 0)
		tree++;
	ret->dev = trees[tree].dev;
	ret->ino = ino_of(f->abs);
	ret->mode = mode_of(n, &f->ctx);
	ret->rdev = n->rdev;
	ret->nlink = n->counts_threads ? 2 + threads_of(f->ctx.proc) : 1;
	ret->blksize = 4096;
	if (n->type == SYNTH_TEXT)
		ret->size = trees[tree].text_size;
	else if (n->type == SYNTH_LINK && n->fixed)
		ret->size = strlen(n->fixed);
	else if (n->is_fd)
		ret->size = 64; /* as Linux has it */
	if (f->ctx.proc != NONE && !is_of_root(proc_at(f->ctx.proc), ret->mode)) {
		ret->uid = proc_at(f->ctx.proc)->euid;
		ret->gid = proc_at(f->ctx.proc)->egid;
	}
	ret->mtime_ns = ret->ctime_ns = ret->atime_ns = ret->btime_ns =
		(s64)HEAD->config.start_time_ns;
}

/* want: as vnode_permission. */
static long permission(struct task *t, const struct found *f, u32 want)
{
	struct vnode v = {0};
	struct vstat st;

	stat_node(f, &st);
	v.mode = st.mode;
	v.uid = st.uid;
	v.gid = st.gid;
	return vnode_permission(t, &v, want, false);
}

/* ---- open ---- */

static u64 birth_of(const struct synth_ctx *c)
{
	return c->proc == NONE ? 0 : proc_at(c->proc)->birth;
}

static long open_text(struct task *t, const struct found *f, u32 flags)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY || flags & O_TRUNC;

	if (flags & O_DIRECTORY)
		return -ENOTDIR;
	if (flags & O_DIRECT && !(flags & O_PATH))
		return -EINVAL;
	if (f->node->refused && !(flags & O_PATH))
		return -(long)f->node->refused;
	if (writes && !f->node->write)
		return -EACCES;
	u32 want = (flags & O_ACCMODE) == O_WRONLY ? 0 : 4;
	long r = permission(t, f, want | (writes ? 2 : 0));
	if (!r && !may_look(f))
		r = -EACCES;
	if (!r)
		r = gone(f);
	if (r < 0 && !(flags & O_PATH))
		return r;
	return file_install_text(t, f->abs, birth_of(&f->ctx), flags);
}

static long open_dir(struct task *t, const struct found *f, u32 flags)
{
	bool nameless = (flags & O_TMPFILE) == O_TMPFILE && !(flags & O_PATH);
	long r = nameless ? permission(t, f, 3) : 0;

	if (nameless)
		return r < 0 ? r : -EOPNOTSUPP;
	if ((flags & O_ACCMODE) != O_RDONLY || flags & O_CREAT)
		return -EISDIR;
	r = flags & O_PATH ? 0 : permission(t, f, 4);
	if (!r && !(flags & O_PATH) && !may_look(f))
		r = -EACCES;
	return r < 0 ? r : file_install_synth_dir(t, f->abs, flags);
}

/* Devices are opened under their own names: whoever came by another one is sent there. */
static long open_device(struct task *t, const struct found *f, const char *asked, u32 flags)
{
	static const u32 wants[] = {4, 2, 6, 6};

	if (f->node->rdev == SYNTH_PTS_RDEV) {
		long r = permission(t, f, flags & O_PATH ? 0 : wants[flags & O_ACCMODE]);
		return r < 0 ? r : terminal_open(t, f->abs, f->ctx.terminal, flags);
	}
	if (!strcmp(asked, f->abs))
		return -ENXIO;
	return special_open(t, f->abs, flags, 0);
}

static long open_node(struct task *t, const struct found *f, const char *asked, u32 flags)
{
	if ((flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL))
		return -EEXIST;
	switch (f->node->type) {
	case SYNTH_DIR:
		return open_dir(t, f, flags);
	case SYNTH_TEXT:
		return open_text(t, f, flags);
	case SYNTH_DEVICE:
		return open_device(t, f, asked, flags);
	default:
		if (flags & O_PATH && flags & O_NOFOLLOW)
			return link_open(t, f->abs, flags);
		if (!is_object_meant(f) || flags & O_NOFOLLOW)
			return -ELOOP;
		if (!may_look(f))
			return -EACCES;
		return f->node->is_exe ? program_reopen(t, f->ctx.proc, flags)
				       : file_reopen(t, f->ctx.proc, f->ctx.fd, flags);
	}
}

long synth_open(struct task *t, const char *abs, u32 flags, u32 mode)
{
	bool link_meant = flags & O_NOFOLLOW || (flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
	struct found f;

	long r = resolve_for(t, abs, !link_meant, true, &f);
	if (r == FOUND_NODE)
		r = open_node(t, &f, abs, flags);
	else if (r == FOUND_OUTSIDE)
		r = open_path(t, f.path, flags, mode);
	found_release(&f);
	return r;
}

/* ---- stat, readlink, list, write ---- */

/* What the link leads to: a file of nsfs, known by the number in its name. */
static long stat_namespace(const struct found *f, struct vstat *ret)
{
	const char *digits = strchr(f->node->fixed, '[') + 1;
	u32 ino = 0;

	if (gone(f) || !may_look(f))
		return gone(f) ? gone(f) : -EACCES;
	while (*digits != ']')
		ino = ino * 10 + (u32)(*digits++ - '0');
	stat_node(f, ret);
	ret->dev = DEV_OF_NAMESPACES;
	ret->ino = ino;
	ret->mode = S_IFREG | 0444;
	ret->size = ret->uid = ret->gid = 0;
	return 0;
}

long synth_stat(struct task *t, const char *abs, bool follow, struct vstat *ret)
{
	struct found f;

	long r = resolve(t, abs, follow, &f);
	if (r == FOUND_OUTSIDE) {
		r = f.looked_up;
		if (r == 0)
			vnode_stat(f.vnode, &f.st, ret);
	} else if (r == FOUND_NODE && follow && f.node->is_ns) {
		r = stat_namespace(&f, ret);
	} else if (r == FOUND_NODE && follow && f.node->is_exe) {
		program_stat(t, ret);
	} else if (r == FOUND_NODE && follow && f.node->type == SYNTH_LINK) {
		r = fd_stat(t, fd_get(t, f.ctx.fd), f.ctx.fd, ret);
	} else if (r == FOUND_NODE) {
		stat_node(&f, ret);
	}
	found_release(&f);
	return r;
}

static long link_text(const struct found *f, char *to, u32 size)
{
	struct synth_text target = {0};

	if (f->node->type != SYNTH_LINK)
		return -EINVAL;
	if (gone(f) || !may_look(f))
		return gone(f) ? gone(f) : -EACCES;
	node_text(f->node, &f->ctx, &target);
	u64 n = target.len < size ? target.len : size;
	memcpy(to, target.bytes, n);
	heap_free(target.bytes);
	/* As in expand. */
	return n ? (long)n : -ENOENT;
}

long synth_readlink(struct task *t, const char *abs, char *to, u32 size)
{
	struct found f;

	long r = resolve(t, abs, false, &f);
	if (r == FOUND_NODE) {
		r = link_text(&f, to, size);
	} else if (r == FOUND_OUTSIDE) {
		r = f.looked_up;
		if (r == 0)
			r = SYS4(NR_readlinkat, AT_FDCWD, f.path->name, to, size);
	}
	found_release(&f);
	return r;
}

static void add_entry(struct task *t, struct dir_list *list, const char *dir, const char *name,
		      u32 type)
{
	static const u32 dt[] = {[SYNTH_DIR] = DT_OF_DIR,
				 [SYNTH_TEXT] = DT_OF_REG,
				 [SYNTH_LINK] = DT_OF_LNK,
				 [SYNTH_DEVICE] = DT_OF_CHR};
	struct synth_text abs = {0};

	text_string(&abs, dir);
	text_add(&abs, "/%s", name);
	u64 ino = ino_of(abs.bytes);
	struct vstat st;
	if (type == SYNTH_DEVICE && special_stat(t, abs.bytes, false, &st) == 0)
		ino = st.ino;
	dir_add(list, name, ino, dt[type]);
	heap_free(abs.bytes);
}

/* Numbers of these kinds count from 0. */
static u32 number_limit(char kind)
{
	switch (kind) {
	case 'F':
		return APP_FD_MAX;
	case 'C':
		return HEAD->config.cpus;
	case 'I':
		return SYNTH_CACHES;
	default:
		return PTY_MAX;
	}
}

/* The first number of the kind that is at least `from` in the kind's own order, as a position:
 * NONE at the end. */
static u32 number_next(const struct synth_ctx *c, char kind, u32 position, u32 *ret_value)
{
	u32 i = position;

	switch (kind) {
	case 'P':
		if (position == NONE)
			i = PROC_INIT;
		else
			i = position == PROC_INIT ? proc_tree_first() : proc_tree_next(position);
		*ret_value = i == NONE ? 0 : proc_at(i)->pid;
		return i;
	case 'T':
		if (!has_fds(c->proc)) {
			*ret_value = proc_at(c->proc)->pid;
			return position == NONE ? 0 : NONE;
		}
		i = position == NONE ? proc_at(c->proc)->threads : task_at(position)->next_thread;
		*ret_value = i == NONE ? 0 : task_at(i)->tid;
		return i;
	case 'F':
		for (i++; i < APP_FD_MAX && !is_open(c->proc, i);)
			i++;
		break;
	case 'Y':
		i++;
		if (i > 0 || stdio_tty() == NONE)
			i = pty_next(i);
		break;
	default:
		i++;
	}
	*ret_value = i;
	return i < number_limit(kind) ? i : NONE;
}

/* All entries that a pattern component (#P, cpu#C) stands for. */
static void add_numbers(struct dir_list *list, const struct synth_ctx *c, const char *dir,
			const char *pattern, u32 type)
{
	const char *mark = strchr(pattern, '#');
	u32 value;

	for (u32 i = NONE; (i = number_next(c, mark[1], i, &value)) != NONE;) {
		char name[40];
		size_t len = 0;
		str_format(name, sizeof(name), &len, "%s", pattern);
		len = (size_t)(mark - pattern);
		str_format(name, sizeof(name), &len, "%u", value);
		add_entry(c->t, list, dir, name, type);
	}
}

static void list_table(struct task *t, const char *dir, u32 table, struct dir_list *list)
{
	struct synth_ctx c;

	ctx_init(&c, t);
	const char *rest = below_root(&c, table, dir);
	for (const struct synth_node *n = tables[table].nodes; rest && n->path; n++) {
		const char *pattern = n->path, *left = rest;
		if (!walk(&c, &pattern, &left) || *left || !*pattern || strchr(pattern + 1, '/'))
			continue;
		if (strchr(pattern, '#'))
			add_numbers(list, &c, dir, pattern + 1, n->type);
		else
			add_entry(t, list, dir, pattern + 1, n->type);
	}
}

long synth_list(struct task *t, const char *abs, struct dir_list *list)
{
	struct found f;

	long r = resolve(t, abs, true, &f);
	if (r == FOUND_NODE && f.node->type != SYNTH_DIR)
		r = -ENOTDIR;
	for (u32 i = 0; r == FOUND_NODE && i < TABLES; i++)
		list_table(t, f.abs, i, list);
	found_release(&f);
	return r > 0 ? -ENOTDIR : r;
}

long synth_write(struct task *t, const char *abs, const char *bytes, u64 len)
{
	struct found f;

	long r = resolve(t, abs, true, &f);
	if (r == -ENOENT)
		r = -ESRCH;
	if (r >= 0)
		r = r == FOUND_NODE && f.node->write ? f.node->write(&f.ctx, bytes, len) : -EACCES;
	found_release(&f);
	return r;
}

/* Of a process there may be another one by now that has the same number. */
static bool is_gone(struct task *t, const char *abs, u64 birth)
{
	const char *pattern = "/proc/#P";
	struct synth_ctx c;

	ctx_init(&c, t);
	return birth && (!walk(&c, &pattern, &abs) || birth_of(&c) != birth);
}

long synth_text_of(struct task *t, const char *abs, u64 birth, struct synth_text *out)
{
	struct synth_ctx c;
	const struct synth_node *n = node_find(t, abs, &c);

	if (is_gone(t, abs, birth))
		return -ESRCH;
	if (!n)
		return -ENOENT;
	node_text(n, &c, out);
	return 0;
}

bool synth_has_end(struct task *t, const char *abs)
{
	struct synth_ctx c;

	if (strncmp(abs, "/sys/", 5) == 0 || strncmp(abs, "/proc/sys/", 10) == 0)
		return true;
	const struct synth_node *n = node_find(t, abs, &c);
	return n && n->flat;
}
