/*
 * Working directories, roots and umasks (struct fs_info, shared by CLONE_FS), and the first
 * process's descriptors.
 *
 * A root of chroot is in the books alone (path_walk.c).
 *
 * The kernel has the working directory too (it resolves relative paths for us); its umask is 0, so
 * that a created file gets exactly the mode we say.
 */
#include <asm/stat.h>
#include "credentials.h"
#include "lookup.h"
#include "socket.h"
#include "tty.h"

#define UNREACHABLE "(unreachable)" /* a working directory outside of the root */

static struct fs_info *fs_of(const struct task *t)
{
	return &FILES->fs[proc_of(t)->fs];
}

u32 fs_root_length(const struct task *t, const char *abs)
{
	return proc_root_length(proc_of(t), abs);
}

u32 proc_root_length(const struct proc *p, const char *abs)
{
	const char *root = FILES->fs[p->fs].root;
	u32 len = root ? (u32)strlen(root) : 0;

	return len && !strncmp(abs, root, len) && (!abs[len] || abs[len] == '/') ? len : 0;
}

const char *fs_shown(const struct task *t, const char *abs)
{
	const char *shown = abs + fs_root_length(t, abs);

	return *shown ? shown : "/";
}

static u32 fs_take(void)
{
	for (u32 i = 1; i < FDTABLES_MAX; i++) {
		if (!FILES->fs[i].refs) {
			FILES->fs[i].refs = 1;
			return i;
		}
	}
	shim_bug("no fs slot left", 0);
}

u32 fs_clone(u32 fs)
{
	u32 copy = fs_take();
	struct fs_info *to = &FILES->fs[copy], *from = &FILES->fs[fs];

	to->umask = from->umask;
	to->vnode = from->vnode;
	to->cwd = heap_strdup(from->cwd);
	to->cwd_hash = from->cwd_hash;
	to->root = from->root ? heap_strdup(from->root) : NULL;
	to->root_vnode = from->root_vnode;
	vnode_open(to->vnode);
	vnode_open(to->root_vnode);
	return copy;
}

u32 fs_share(u32 fs)
{
	FILES->fs[fs].refs++;
	return fs;
}

bool fs_is_shared(u32 fs)
{
	return FILES->fs[fs].refs > 1;
}

void fs_unshare(struct task *t)
{
	struct proc *p = proc_of(t);
	u32 old = p->fs;

	if (FILES->fs[old].refs == 1)
		return;
	p->fs = fs_clone(old);
	FILES->fs[old].refs--;
}

void fs_release(u32 fs)
{
	struct fs_info *s = &FILES->fs[fs];

	if (--s->refs)
		return;
	vnode_close(s->vnode);
	vnode_close(s->root_vnode);
	heap_free(s->cwd);
	heap_free(s->root);
	s->cwd = s->root = NULL;
	s->root_vnode = 0;
}

/* The kernel's working directory has changed: asks it which that is, links resolved. */
static void cwd_update(struct fs_info *fs)
{
	char abs[FILE_PATH_MAX];
	struct stat st;

	long n = SYS2(NR_getcwd, abs, sizeof(abs));
	if (n <= 0 || abs[0] != '/')
		memcpy(abs, "/", 2);
	u32 old = fs->vnode;
	fs->vnode = SYS4(NR_newfstatat, AT_FDCWD, ".", &st, 0) == 0 ? vnode_of(&st) : 0;
	vnode_open(fs->vnode);
	vnode_close(old);
	heap_free(fs->cwd);
	fs->cwd = heap_strdup(abs);
	fs->cwd_hash = hash_bytes(0, abs, strlen(abs));
}

static long dir_admit(struct task *t, u32 vnode)
{
	const struct vnode *v = vnode_at(vnode);

	if ((v->mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	return vnode_permission(t, v, 1, false);
}

static long chdir_to(struct task *t, const struct path *p, u32 vnode)
{
	long r = dir_admit(t, vnode);

	if (!r)
		r = SYS1(NR_chdir, p->name);
	if (!r)
		cwd_update(fs_of(t));
	return r;
}

/* On the host there are only the empty directories /proc, /sys and /dev themselves. */
static long chdir_empty(struct task *t, const char *abs)
{
	if (SYS1(NR_chdir, abs) < 0)
		return -EACCES;
	cwd_update(fs_of(t));
	return 0;
}

static long chdir_fd(struct task *t, u32 fd)
{
	const struct ofd *o = fd_get(t, fd);

	if (!o->vnode)
		return o->kind == OFD_SYNTH_DIR ? chdir_empty(t, o->path) : -ENOTDIR;
	long r = dir_admit(t, o->vnode);
	if (!r)
		r = SYS1(NR_fchdir, fd);
	if (!r)
		cwd_update(fs_of(t));
	return r;
}

static long chdir_special(struct task *t, struct path *p)
{
	struct stat st;
	u32 vnode = 0, fd = 0;

	long r = special_target(t, p, &st, &vnode, &fd);
	if (r == SPECIAL_FD)
		return chdir_fd(t, fd);
	if (r != LOOKUP_SPECIAL)
		return r < 0 ? r : chdir_to(t, p, vnode);
	struct vstat seen;
	r = special_stat(t, p->abs, true, &seen);
	if (r < 0)
		return r;
	if ((seen.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	return chdir_empty(t, p->abs);
}

long sys_chdir(struct task *t, struct frame *f)
{
	struct path p;
	struct stat st;
	u32 vnode = 0;

	long r = path_in(t, AT_FDCWD, f->arg[0], 0, &p);
	if (!r)
		r = lookup(t, &p, 0, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		return chdir_special(t, &p);
	return r < 0 ? r : chdir_to(t, &p, vnode);
}

long sys_fchdir(struct task *t, struct frame *f)
{
	return fd_get(t, (u32)f->arg[0]) ? chdir_fd(t, (u32)f->arg[0]) : -EBADF;
}

long sys_getcwd(struct task *t, struct frame *f)
{
	const struct fs_info *fs = fs_of(t);
	bool outside = fs->root && !fs_root_length(t, fs->cwd);
	char shown[FILE_PATH_MAX + sizeof(UNREACHABLE)];
	u64 len = 0;

	if (fs->vnode && vnode_at(fs->vnode)->flags & VNODE_GONE)
		return -ENOENT;
	str_format(shown, sizeof(shown), &len, outside ? UNREACHABLE "%s" : "%s",
		   fs_shown(t, fs->cwd));
	if (f->arg[1] < ++len)
		return -ERANGE;
	digest_bytes(t, shown, len);
	return user_copy_out(f->arg[0], shown, len) ? -EFAULT : (long)len;
}

long sys_umask(struct task *t, struct frame *f)
{
	struct fs_info *fs = fs_of(t);
	u32 old = fs->umask;

	fs->umask = (u32)f->arg[0] & 0777;
	return old;
}

/* 0 if a directory that may be entered; then *ret is what stat says of it. */
static long root_admit(struct task *t, struct path *p, struct vstat *ret)
{
	long r = path_stat(t, p, 0, ret);
	if (r < 0)
		return r;
	const struct vnode seen = {.mode = ret->mode, .uid = ret->uid, .gid = ret->gid};

	if ((seen.mode & S_IFMT) != S_IFDIR)
		return -ENOTDIR;
	r = vnode_permission(t, &seen, 1, false);
	if (r < 0)
		return r;
	return capable(t, CAP_SYS_CHROOT) ? 0 : -EPERM;
}

static void root_set(struct fs_info *fs, const char *name, u32 vnode)
{
	u32 old = fs->root_vnode;

	heap_free(fs->root);
	fs->root = name[1] ? heap_strdup(name) : NULL;
	fs->root_vnode = fs->root ? vnode : 0;
	vnode_open(fs->root_vnode);
	vnode_close(old);
	FILES->was_rooted |= fs->root != NULL;
}

/* The kernel has opened the directory: the name it has without links. */
static long root_opened(struct task *t, s32 fd)
{
	char name[FILE_PATH_MAX];
	struct stat st;

	long r = path_of_fd(fd, name);
	if (r < 0 || (r = SYS2(NR_fstat, fd, &st)) < 0)
		return r;
	root_set(fs_of(t), name, vnode_of(&st));
	return 0;
}

static long root_enter(struct task *t, const struct path *p)
{
	long fd = SYS4(NR_openat, p->dirfd, p->name, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);

	if (fd < 0)
		return fd;
	long r = root_opened(t, (s32)fd);
	SYS1(NR_close, fd);
	return r;
}

/* By way of a link below /proc, or a directory there. */
static long root_enter_special(struct task *t, struct path *p)
{
	struct stat st;
	u32 vnode = 0, fd = 0;

	long r = special_target(t, p, &st, &vnode, &fd);
	if (r == LOOKUP_SPECIAL) {
		root_set(fs_of(t), p->abs, 0);
		return 0;
	}
	if (r != SPECIAL_FD)
		return r < 0 ? r : root_enter(t, p);
	const struct ofd *o = fd_get(t, fd);
	if (o->vnode)
		return root_opened(t, (s32)fd);
	root_set(fs_of(t), o->path, 0);
	return 0;
}

long sys_chroot(struct task *t, struct frame *f)
{
	struct vstat new = {0};
	struct path p;

	long r = path_in(t, AT_FDCWD, f->arg[0], 0, &p);
	if (!r)
		r = root_admit(t, &p, &new);
	if (r < 0)
		return r;
	return p.special ? root_enter_special(t, &p) : root_enter(t, &p);
}

/* The books and the kernel descriptor of that very number. */
static void init_number(struct task *t, u32 fd, u32 ofd, u32 from)
{
	SYS3(NR_dup3, from, fd, 0);
	FILES->tables[proc_of(t)->files].fd[fd] = ofd;
	FILES->heads[proc_of(t)->files].top = fd + 1;
}

/*
 * A file that is written through the descriptor shows the time of the start, as if it had been
 * truncated then: its own is that of the caller's shell.  One without a name is nobody else's.
 */
static void init_file(struct ofd *o, const struct region_stdio *s, u32 fd)
{
	struct stat st;

	SHIM_ASSERT(SYS2(NR_fstat, SHIM_FD_STDIO + fd, &st) == 0);
	u32 index = vnode_of(&st);
	struct vnode *v = vnode_at(index);
	if ((s->flags & O_ACCMODE) != O_RDONLY) {
		v->flags |= VNODE_STREAM;
		v->mtime_ns = v->ctime_ns = v->atime_ns = v->btime_ns =
			(s64)HEAD->config.start_time_ns;
	}
	if (!s->path[0]) {
		v->mode = S_IFREG | 0600;
		v->uid = HEAD->config.uid;
		v->gid = HEAD->config.gid;
		v->nlink = 0;
		v->flags |= VNODE_GONE | VNODE_BORN_INSIDE;
	}
	ofd_set_vnode(o, index);
	ofd_set_writes(o);
	if (s->path[0])
		ofd_set_path(o, s->path);
}

static void init_stdio(struct task *t, u32 fd)
{
	static const u32 kinds[STDIO_KINDS][2] = {
		[STDIO_NULL] = {OFD_NULL, OFD_STREAM_NULL},
		[STDIO_FILE] = {OFD_HOST_FILE, OFD_HOST_FILE},
		[STDIO_PIPE] = {OFD_CHANNEL_IN, OFD_STREAM_OUT},
		[STDIO_TTY] = {OFD_CHANNEL_IN, OFD_STREAM_OUT},
		[STDIO_FULL] = {OFD_FULL, OFD_FULL},
	};
	const struct region_stdio *s = &HEAD->config.stdio[fd];
	u32 kind = s->kind < STDIO_KINDS ? kinds[s->kind][fd > 0] : OFD_FREE;

	if (kind == OFD_FREE) {
		SYS1(NR_close, fd);
		return;
	}
	long r = ofd_create(kind, s->flags);
	SHIM_ASSERT(r > 0);
	struct ofd *o = ofd_at((u32)r);
	o->object = fd;
	if (s->kind == STDIO_NULL || s->kind == STDIO_FULL)
		ofd_set_path(o, s->kind == STDIO_NULL ? "/dev/null" : "/dev/full");
	if (kind == OFD_HOST_FILE)
		init_file(o, s, fd);
	/* Of one open file description there are two here, so that it is known which stream was
	 * meant; the offset is the kernel's, and one. */
	init_number(t, fd, (u32)r, kind == OFD_HOST_FILE ? SHIM_FD_STDIO + fd : SHIM_FD_HOLDER);
}

void files_init_first(struct task *t)
{
	struct proc *p = proc_of(t);

	p->files = 1;
	FILES->heads[1].refs = 1;
	p->fs = fs_take();
	fs_of(t)->umask = HEAD->config.umask & 0777;
	SYS1(NR_umask, 0);
	tty_init_outside(t);
	for (u32 fd = 0; fd < 3; fd++)
		init_stdio(t, fd);
	unix_carrier_init();
	cwd_update(fs_of(t));
}
