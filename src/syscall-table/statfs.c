/*
 * statfs and fstatfs: which file system a file is in, told by its st_dev.
 *
 * The host's are one, of a fixed size: its types, free counts and ids are its own business.  Those
 * that the container keeps in its books are what they are in Linux, without blocks.
 */
#include <asm/statfs.h>
#include "lookup.h"

#define FLAG_VALID    0x20
#define FLAG_NOSUID   0x2
#define FLAG_NODEV    0x4
#define FLAG_NOEXEC   0x8
#define FLAG_RDONLY   0x1
#define FLAG_RELATIME 0x1000

#define TMPFS_MAGIC 0x01021994

/* As synth_mounts.c has them, and those that are mounted nowhere. */
static const struct file_system {
	u64 dev;
	u32 magic, flags;
} file_systems[] = {
	{DEV_OF_PROC, 0x9fa0, FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC | FLAG_RELATIME},
	{DEV_OF_SYS, 0x62656572,
	 FLAG_RDONLY | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC | FLAG_RELATIME},
	{DEV_OF_CGROUP, 0x63677270,
	 FLAG_RDONLY | FLAG_NOSUID | FLAG_NODEV | FLAG_NOEXEC | FLAG_RELATIME},
	{DEV_OF_DEVICES, TMPFS_MAGIC, FLAG_NOSUID},
	{DEV_OF_PTS, 0x1cd1, FLAG_NOSUID | FLAG_NOEXEC | FLAG_RELATIME},
	{DEV_OF_PIPES, 0x50495045, 0},
	{DEV_OF_SOCKETS, 0x534f434b, 0},
	{DEV_OF_QUEUES, 0x19800202, 0},
	{DEV_OF_NAMESPACES, 0x6e736673, 0},
	{DEV_OF_ANONYMOUS, 0x09041934, 0},
};
#define FILE_SYSTEMS (sizeof(file_systems) / sizeof(file_systems[0]))

static void host_statfs(struct statfs *s)
{
	s->f_type = TMPFS_MAGIC;
	s->f_blocks = 0x1000000; /* 64 GiB */
	s->f_bfree = s->f_bavail = 0x800000;
	s->f_files = 0x1000000;
	s->f_ffree = 0x800000;
	s->f_flags = FLAG_VALID;
}

static long put_statfs(struct task *t, u64 user, const struct vstat *of)
{
	struct statfs s;

	memset(&s, 0, sizeof(s));
	s.f_bsize = s.f_frsize = 4096;
	s.f_namelen = 255;
	for (u32 i = 0; i < FILE_SYSTEMS; i++) {
		if (file_systems[i].dev != of->dev)
			continue;
		s.f_type = file_systems[i].magic;
		s.f_flags = FLAG_VALID | file_systems[i].flags;
	}
	if (!s.f_type)
		host_statfs(&s);
	digest_bytes(t, &s, sizeof(s));
	return user_put(user, s) ? -EFAULT : 0;
}

long sys_statfs(struct task *t, struct frame *f)
{
	struct vstat v;

	long r = stat_at(t, AT_FDCWD, f->arg[0], 0, &v);
	return r < 0 ? r : put_statfs(t, f->arg[1], &v);
}

long sys_fstatfs(struct task *t, struct frame *f)
{
	struct ofd *o = fd_get(t, (u32)f->arg[0]);
	struct vstat v;

	if (!o)
		return -EBADF;
	long r = fd_stat(t, o, (u32)f->arg[0], &v);
	return r < 0 ? r : put_statfs(t, f->arg[1], &v);
}
