/*
 * /proc/PID/mounts and its relatives: the container's mounts, which never change.
 *
 * A process with a root of its own is told of those below it, as in Linux.
 */
#include "synth.h"

struct mount {
	const char *source, *place, *type;
	const char *options, *own;    /* of the mount; of the file system in mountinfo, NULL: rw */
	u32 id, parent, major, minor; /* the device numbers are those that stat gives */
};

static const struct mount mounts[] = {
	{"shadow", "/", "tmpfs", "rw,relatime", NULL, 21, 1, 8, 1},
	{"proc", "/proc", "proc", "rw,nosuid,nodev,noexec,relatime", NULL, 22, 21, 0, 7},
	{"sysfs", "/sys", "sysfs", "ro,nosuid,nodev,noexec,relatime", "ro", 23, 21, 0, 6},
	{"cgroup", "/sys/fs/cgroup", "cgroup2", "ro,nosuid,nodev,noexec,relatime", NULL, 26, 23, 0,
	 23},
	{"dev", "/dev", "devtmpfs", "rw,nosuid", NULL, 24, 21, 0, 5},
	{"devpts", "/dev/pts", "devpts", "rw,nosuid,noexec,relatime",
	 "rw,gid=5,mode=620,ptmxmode=666", 27, 24, 0, 24},
	{"shm", "/dev/shm", "tmpfs", "rw,nosuid,nodev", NULL, 25, 24, 8, 1},
};
#define MOUNTS (sizeof(mounts) / sizeof(mounts[0]))

/* What the process knows the place as; NULL: it is out of its reach. */
static const char *place_of(const struct synth_ctx *c, const struct mount *m)
{
	const struct proc *p = proc_at(c->proc);

	if (p->state != PROC_LIVE || c->proc == PROC_INIT || !FILES->fs[p->fs].root)
		return m->place;
	u32 length = proc_root_length(p, m->place);
	if (!length)
		return NULL;
	return m->place[length] ? m->place + length : "/";
}

static void put_mount(const struct mount *m, const char *place, struct synth_text *out)
{
	text_add(out, "%s %s %s %s%s 0 0\n", m->source, place, m->type, m->options,
		 m->own ? m->own + 2 : "");
}

static void put_info(const struct mount *m, const char *place, struct synth_text *out)
{
	text_add(out, "%u %u %u:%u / %s %s - %s %s %s\n", m->id, m->parent, m->major, m->minor,
		 place, m->options, m->type, m->source, m->own ? m->own : "rw");
}

static void put_stats(const struct mount *m, const char *place, struct synth_text *out)
{
	text_add(out, "device %s mounted on %s with fstype %s\n", m->source, place, m->type);
}

static void put_all(const struct synth_ctx *c, struct synth_text *out,
		    void (*put)(const struct mount *m, const char *place, struct synth_text *out))
{
	for (u32 i = 0; i < MOUNTS; i++) {
		const char *place = place_of(c, &mounts[i]);
		if (place)
			put(&mounts[i], place, out);
	}
}

static void make_mounts(const struct synth_ctx *c, struct synth_text *out)
{
	put_all(c, out, put_mount);
}

static void make_mountinfo(const struct synth_ctx *c, struct synth_text *out)
{
	put_all(c, out, put_info);
}

static void make_mountstats(const struct synth_ctx *c, struct synth_text *out)
{
	put_all(c, out, put_stats);
}

/* A zombie is in no namespace any more. */
const struct synth_node synth_mount_nodes[] = {
	{.path = "/mounts", .type = SYNTH_TEXT, .gone = EINVAL, .make = make_mounts},
	{.path = "/mountinfo", .type = SYNTH_TEXT, .gone = EINVAL, .make = make_mountinfo},
	{.path = "/mountstats",
	 .type = SYNTH_TEXT,
	 .mode = 0400,
	 .gone = EINVAL,
	 .make = make_mountstats},
	{.path = NULL},
};
