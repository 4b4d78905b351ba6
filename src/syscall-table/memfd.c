/*
 * Files without names (memfd_create), and seals.  Rules: mm/memfd.c of Linux.
 *
 * Which seals a file has is in its vnode, whatever the host's kernel knows; those that forbid to
 * write or to change the size are set on the host's file as well, which then refuses it.
 */
#include <asm/stat.h>
#include <linux/memfd.h>
#include "../shim/mm.h"
#include "files.h"
#include "wait.h"

#define NAME_ROOM   250 /* longest name, with its NUL */
#define PREFIX_ROOM 32
#define NAP_NS	    100000 /* between two looks whether the host has finished */
#define NAPS_MAX    100000
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 8u
#define MFD_EXEC	16u
#endif
#define FLAGS_KNOWN    (MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_HUGETLB | MFD_NOEXEC_SEAL | MFD_EXEC)
#define SEALS_OF_BYTES (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)
#define SEALS_ALL      (SEALS_OF_BYTES | F_SEAL_SEAL | F_SEAL_EXEC)

u32 vnode_seals(const struct vnode *v)
{
	return v->flags >> VNODE_SEALS_SHIFT & SEALS_ALL;
}

static void seals_set(struct vnode *v, u32 seals)
{
	v->flags |= seals << VNODE_SEALS_SHIFT;
}

/* Whether a mapping of any process can, or could be made to, write the file. */
static bool is_mapped_writable(u32 vnode)
{
	const u8 want = VMA_SHARED | VMA_MAYWRITE;

	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		const struct mm *mm = proc_at(p)->state == PROC_LIVE ? mm_at(proc_at(p)->mm) : NULL;
		for (u32 i = 0; mm && i < mm->count; i++) {
			const struct vma *v = vma_at(mm, i);
			if ((v->flags & want) == want && v->file &&
			    ((struct mm_file *)v->file)->vnode == vnode)
				return true;
		}
	}
	return false;
}

/* The host may still be taking down the memory of a process that has ended: that is waited for. */
static void host_seal(u32 fd, u32 seals)
{
	u64 nap[2] = {0, NAP_NS};

	for (u32 i = 0; SYS3(NR_fcntl, fd, F_ADD_SEALS, seals) == -EBUSY; i++) {
		if (i == NAPS_MAX)
			shim_host_failed("the host keeps a mapping of a process that has ended");
		SYS2(NR_nanosleep, nap, 0);
	}
}

static long seals_add(struct ofd *o, u32 fd, u32 seals)
{
	struct vnode *v = vnode_at(o->vnode);

	if ((o->flags & O_ACCMODE) == O_RDONLY)
		return -EPERM;
	if (seals & ~SEALS_ALL || !(v->flags & VNODE_MEMFD))
		return -EINVAL;
	if (vnode_seals(v) & F_SEAL_SEAL)
		return -EPERM;
	/* A program that may no longer change its mode may not change either. */
	if (seals & F_SEAL_EXEC && v->mode & 0111)
		seals |= SEALS_OF_BYTES;
	if (seals & F_SEAL_WRITE && !(vnode_seals(v) & F_SEAL_WRITE) &&
	    is_mapped_writable(o->vnode))
		return -EBUSY;
	host_seal(fd, seals & SEALS_OF_BYTES);
	seals_set(v, seals);
	return 0;
}

long memfd_fcntl(struct ofd *o, u32 fd, u32 request, u64 arg)
{
	if (request == F_ADD_SEALS)
		return seals_add(o, fd, (u32)arg);
	if (request != F_GET_SEALS || !(vnode_at(o->vnode)->flags & VNODE_MEMFD))
		return -EINVAL;
	return vnode_seals(vnode_at(o->vnode));
}

/* The host's file can always be sealed; whether the app may do it is in the books. */
static long make_file(const char *name, u32 flags, u32 *ret_ofd)
{
	struct stat st;
	char path[NAME_ROOM + PREFIX_ROOM];
	u64 len = 0;

	long fd = SYS2(NR_memfd_create, name, MFD_ALLOW_SEALING | (flags & MFD_CLOEXEC));
	if (fd < 0)
		return fd;
	SHIM_ASSERT(SYS2(NR_fstat, fd, &st) == 0);
	long o = ofd_create(OFD_HOST_FILE, O_RDWR | O_LARGEFILE);
	if (o < 0) {
		SYS1(NR_close, fd);
		return o;
	}
	str_format(path, sizeof(path), &len, "/memfd:%s (deleted)", name);
	ofd_set_path(ofd_at((u32)o), path);
	const struct proc *p = proc_of(current());
	u32 mode = S_IFREG | (flags & MFD_NOEXEC_SEAL ? 0666 : 0777);
	ofd_set_vnode(ofd_at((u32)o), vnode_born(&st, mode, p->fsuid, p->fsgid));
	*ret_ofd = (u32)o;
	return fd;
}

static u32 first_seals(u32 flags)
{
	if (flags & MFD_NOEXEC_SEAL)
		return F_SEAL_EXEC;
	return flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL;
}

long sys_memfd_create(struct task *t, struct frame *f)
{
	char name[NAME_ROOM];
	u32 flags = (u32)f->arg[1], ofd;

	if (flags & ~FLAGS_KNOWN || (flags & MFD_EXEC && flags & MFD_NOEXEC_SEAL))
		return -EINVAL;
	long n = user_string_in(name, f->arg[0], sizeof(name));
	if (n < 0)
		return n == -ENAMETOOLONG ? -EINVAL : n;
	digest_bytes(t, name, (u64)n);
	if (flags & MFD_HUGETLB)
		return -ENOSYS;
	long fd = make_file(name, flags, &ofd);
	if (fd < 0)
		return fd;
	struct vnode *v = vnode_at(ofd_at(ofd)->vnode);
	v->flags |= VNODE_MEMFD;
	seals_set(v, first_seals(flags));
	return fd_install_host(t, fd, ofd, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}
