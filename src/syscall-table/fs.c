/*
 * Working directories and umasks (struct fs_info, shared by CLONE_FS), and the first process's
 * descriptors.
 *
 * The kernel has the working directory too (it resolves relative paths for us); its umask is 0, so
 * that a created file gets exactly the mode we say.
 */
#include <asm/stat.h>
#include "lookup.h"

static struct fs_info *fs_of(const struct task *t)
{
	return &FILES->fs[proc_of(t)->fs];
}

const char *fs_cwd(struct task *t)
{
	return fs_of(t)->cwd;
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
	vnode_open(to->vnode);
	return copy;
}

u32 fs_share(u32 fs)
{
	FILES->fs[fs].refs++;
	return fs;
}

void fs_release(u32 fs)
{
	struct fs_info *s = &FILES->fs[fs];

	if (--s->refs)
		return;
	vnode_close(s->vnode);
	heap_free(s->cwd);
	s->cwd = NULL;
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

/* On the host there are only the empty directories /proc, /sys and /dev themselves. */
static long chdir_special(struct task *t, const struct path *p)
{
	if (SYS1(NR_chdir, p->abs) < 0)
		return -EACCES;
	cwd_update(fs_of(t));
	return 0;
}

long sys_chdir(struct task *t, struct frame *f)
{
	struct path p;
	struct stat st;
	u32 vnode;

	long r = path_in(t, AT_FDCWD, f->arg[0], 0, &p);
	if (!r)
		r = lookup(t, &p, 0, &st, &vnode);
	if (r == LOOKUP_SPECIAL)
		return chdir_special(t, &p);
	if (!r)
		r = dir_admit(t, vnode);
	if (!r)
		r = SYS1(NR_chdir, p.name);
	if (!r)
		cwd_update(fs_of(t));
	return r;
}

long sys_fchdir(struct task *t, struct frame *f)
{
	struct ofd *o = fd_get(t, (u32)f->arg[0]);

	if (!o)
		return -EBADF;
	if (!o->vnode)
		return o->kind == OFD_SYNTH_DIR ? -EACCES : -ENOTDIR;
	long r = dir_admit(t, o->vnode);
	if (!r)
		r = SYS1(NR_fchdir, f->arg[0]);
	if (!r)
		cwd_update(fs_of(t));
	return r;
}

long sys_getcwd(struct task *t, struct frame *f)
{
	const struct fs_info *fs = fs_of(t);
	u64 len = strlen(fs->cwd) + 1;

	if (fs->vnode && vnode_at(fs->vnode)->flags & VNODE_GONE)
		return -ENOENT;
	if (f->arg[1] < len)
		return -ERANGE;
	digest_bytes(t, fs->cwd, len);
	return user_copy_out(f->arg[0], fs->cwd, len) ? -EFAULT : (long)len;
}

long sys_umask(struct task *t, struct frame *f)
{
	struct fs_info *fs = fs_of(t);
	u32 old = fs->umask;

	fs->umask = (u32)f->arg[0] & 0777;
	return old;
}

/* Another root would move /proc, /sys and /dev out of the places where the shim answers them. */
long sys_chroot(struct task *t, struct frame *f)
{
	(void)t;
	(void)f;
	HEAD->refused_count[NR_chroot]++;
	return -EPERM;
}

/* A kernel descriptor of that very number: the holder's, replaced below where it must be. */
static void init_number(struct task *t, u32 fd, u32 kind, u32 flags, u32 object)
{
	long o = ofd_create(kind, flags);

	SHIM_ASSERT(o > 0);
	ofd_at((u32)o)->object = object;
	SYS3(NR_dup3, kind == OFD_HOST_FILE ? SHIM_FD_STDIN : SHIM_FD_HOLDER, fd, 0);
	FILES->tables[proc_of(t)->files].fd[fd] = (u32)o;
	FILES->heads[proc_of(t)->files].top = fd + 1;
	if (kind == OFD_NULL)
		ofd_set_path(ofd_at((u32)o), "/dev/null");
	if (kind == OFD_HOST_FILE) {
		struct stat st;
		SHIM_ASSERT(SYS2(NR_fstat, fd, &st) == 0);
		ofd_set_vnode(ofd_at((u32)o), vnode_of(&st));
	}
}

static void init_stdin(struct task *t)
{
	switch (HEAD->config.stdio_kind[0]) {
	case STDIO_CLOSED:
		SYS1(NR_close, 0);
		break;
	case STDIO_NULL:
		init_number(t, 0, OFD_NULL, O_RDONLY | O_LARGEFILE, 0);
		break;
	case STDIO_FILE:
		init_number(t, 0, OFD_HOST_FILE, O_RDONLY | O_LARGEFILE, 0);
		break;
	default:
		init_number(t, 0, OFD_CHANNEL_IN, O_RDONLY, 0);
	}
}

void files_init_first(struct task *t)
{
	struct proc *p = proc_of(t);

	p->files = 1;
	FILES->heads[1].refs = 1;
	p->fs = fs_take();
	fs_of(t)->umask = HEAD->config.umask & 0777;
	SYS1(NR_umask, 0);
	init_stdin(t);
	for (u32 fd = 1; fd < 3; fd++) {
		if (HEAD->config.stdio_kind[fd] == STDIO_CLOSED)
			SYS1(NR_close, fd);
		else
			init_number(t, fd, OFD_STREAM_OUT, O_WRONLY, fd);
	}
	cwd_update(fs_of(t));
}
