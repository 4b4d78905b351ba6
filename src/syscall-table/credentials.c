/*
 * User and group ids, capabilities, securebits: all from the process table.  Nothing of it is given
 * to the kernel.
 *
 * Owns struct proc's ids, groups, cap_* and securebits.  Rules are those of kernel/sys.c and
 * security/commoncap.c.  A process that changes who it is, is no longer dumpable, as there.
 */
#include <linux/personality.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/securebits.h>
#include <linux/stat.h>
#include "credentials.h"
#include "../shim/event.h"
#include "../shim/exec_load.h"
#include "../shim/mm.h"
#include "files.h"
#include "syscall_handlers.h"
#include "wait.h"

#define GROUPS_MAX	  65536 /* as Linux: NGROUPS_MAX */
#define STACK_LIMIT_USUAL (8ull << 20)

/* What of the capabilities setfsuid takes and gives. */
#define CAPS_OF_FILES                                                            \
	(1ull << CAP_CHOWN | 1ull << CAP_MKNOD | 1ull << CAP_DAC_OVERRIDE |      \
	 1ull << CAP_DAC_READ_SEARCH | 1ull << CAP_FOWNER | 1ull << CAP_FSETID | \
	 1ull << CAP_LINUX_IMMUTABLE | 1ull << CAP_MAC_OVERRIDE)

bool may_look_into(const struct task *t, u32 proc)
{
	const struct proc *own = proc_of(t), *p = proc_at(proc);

	if (t->proc == proc || capable(t, CAP_SYS_PTRACE))
		return true;
	/* A zombie has no memory any more. */
	return (p->state != PROC_LIVE || mm_at(p->mm)->dumpable) && own->uid == p->uid &&
	       own->uid == p->euid && own->uid == p->suid && own->gid == p->gid &&
	       own->gid == p->egid && own->gid == p->sgid &&
	       !(p->cap_permitted & ~own->cap_permitted);
}

/* Puts ids[at] where it belongs among those below it in the heap of n. */
static void sift_down(u32 *ids, u32 at, u32 n)
{
	for (u32 big; (big = at * 2 + 1) < n; at = big) {
		if (big + 1 < n && ids[big] < ids[big + 1])
			big++;
		if (ids[at] >= ids[big])
			return;
		u32 swap = ids[at];
		ids[at] = ids[big];
		ids[big] = swap;
	}
}

static void ids_sort(u32 *ids, u32 n)
{
	for (u32 i = n / 2; i > 0; i--)
		sift_down(ids, i - 1, n);
	for (u32 left = n; left > 1; left--) {
		u32 swap = ids[0];
		ids[0] = ids[left - 1];
		ids[left - 1] = swap;
		sift_down(ids, 0, left - 1);
	}
}

/* The kernel keeps them sorted, and shows them so.  Takes `ids` of the heap over. */
static void groups_set(struct proc *p, u32 *ids, u32 n)
{
	ids_sort(ids, n);
	heap_free((void *)p->groups);
	p->groups = n ? (u64)ids : 0;
	p->ngroups = n;
	FILES->search_generation++;
	if (!n)
		heap_free(ids);
}

void credentials_init(struct proc *p)
{
	const struct region_config *c = &HEAD->config;
	u64 all = p->euid == 0 ? CAPS_ALL : 0;
	u64 size = c->ngroups * sizeof(*c->groups);
	u32 *ids = heap_alloc_unset(size + sizeof(*ids));

	p->cap_effective = p->cap_permitted = all;
	p->cap_bounding = CAPS_ALL;
	memcpy(ids, c->groups, size);
	groups_set(p, ids, c->ngroups);
}

bool in_group(const struct proc *p, u32 gid, u32 own)
{
	const u32 *ids = (const u32 *)p->groups;
	u32 low = 0, high = p->ngroups;

	while (low < high) {
		u32 middle = low + (high - low) / 2;
		if (ids[middle] < gid)
			low = middle + 1;
		else
			high = middle;
	}
	return gid == own || (low < p->ngroups && ids[low] == gid);
}

static bool is_secure(const struct proc *p, u32 bit)
{
	return p->securebits >> bit & 1;
}

/* ---- execve ---- */

/* What of a process execve decides anew. */
struct exec_ids {
	u32 euid, egid;
	u64 permitted, ambient;
	bool is_effective; /* what is permitted is in effect, too */
	bool is_changed;   /* the ids are not those of before */
};

/* Whether a set-id bit counts: bprm_fill_uid. */
static bool sets_uid(const struct proc *p, u32 mode)
{
	return !p->no_new_privs && mode & S_ISUID;
}

/* Without the right to execute the bit of the group once meant a kind of lock. */
static bool sets_gid(const struct proc *p, u32 mode)
{
	return !p->no_new_privs && mode & S_ISGID && mode & S_IXGRP;
}

/* What the program's bits, or being root, make of the process. */
static struct exec_ids ids_of_program(const struct proc *p, const struct exec_image *program)
{
	struct exec_ids new = {
		.euid = sets_uid(p, program->mode) ? program->uid : p->euid,
		.egid = sets_gid(p, program->mode) ? program->gid : p->egid,
		.ambient = p->cap_ambient,
	};

	if (!is_secure(p, SECURE_NOROOT) && (new.euid == 0 || p->uid == 0)) {
		new.permitted = p->cap_bounding | p->cap_inheritable;
		new.is_effective = new.euid == 0;
	}
	new.is_changed = new.euid != p->euid || !in_group(p, new.egid, p->fsgid);
	return new;
}

/* Who may get no privileges by it: under no_new_privs, or with a directory others can change. */
static bool is_unsafe(const struct proc *p)
{
	return p->no_new_privs || fs_is_shared(p->fs);
}

static bool gains(const struct proc *p, const struct exec_ids *new)
{
	return new->permitted & ~p->cap_permitted;
}

static void ids_downgrade(const struct task *t, struct exec_ids *new)
{
	const struct proc *p = proc_of(t);

	if (!capable(t, CAP_SETUID) || p->no_new_privs) {
		new->euid = p->uid;
		new->egid = p->gid;
	}
	new->permitted &= p->cap_permitted;
}

/* Whether libraries must not trust the environment. */
static bool is_elevated(const struct proc *p, const struct exec_ids *new)
{
	bool by_caps = new->is_effective || new->permitted & ~new->ambient;

	return new->is_changed || new->euid != p->uid || new->egid != p->gid ||
	       (p->uid != 0 && by_caps);
}

static void ids_commit(struct task *t, const struct exec_ids *new, bool is_hidden)
{
	struct proc *p = proc_of(t);
	bool is_plain = p->euid == p->uid && p->egid == p->gid && !is_hidden;
	bool is_other = new->euid != p->euid || new->egid != p->egid || new->euid != p->fsuid ||
			new->egid != p->fsgid || gains(p, new);

	p->euid = p->suid = p->fsuid = new->euid;
	p->egid = p->sgid = p->fsgid = new->egid;
	p->cap_permitted = new->permitted;
	p->cap_ambient = new->ambient;
	p->cap_effective = new->is_effective ? new->permitted : new->ambient;
	p->securebits &= ~(u32)SECBIT_KEEP_CAPS;
	mm_at(p->mm)->dumpable = is_plain && !is_other;
	if (is_other)
		t->pdeathsig = 0;
}

/* As begin_new_exec, where the environment is not to be trusted. */
static void exec_cautiously(struct task *t)
{
	u64 *stack_limit = &proc_of(t)->rlimits[RLIMIT_STACK][0];

	t->pdeathsig = 0;
	if (*stack_limit > STACK_LIMIT_USUAL)
		*stack_limit = STACK_LIMIT_USUAL;
}

bool credentials_exec(struct task *t, const struct exec_image *program, bool is_hidden)
{
	struct proc *p = proc_of(t);
	struct exec_ids new = ids_of_program(p, program);

	p->personality &= ~(u32)READ_IMPLIES_EXEC; /* as every 64-bit program begins */
	if (gains(p, &new) || sets_uid(p, program->mode) || sets_gid(p, program->mode))
		p->personality &= ~(u32)PER_CLEAR_ON_SETID;
	if (is_unsafe(p) && (new.is_changed || gains(p, &new)))
		ids_downgrade(t, &new);
	if (new.is_changed)
		new.ambient = 0;
	new.permitted |= new.ambient;
	bool elevated = is_elevated(p, &new);

	ids_commit(t, &new, is_hidden);
	if (elevated)
		exec_cautiously(t);
	return elevated;
}

/* ---- setting ids ---- */

/* The ids of one sort, of a process. */
struct ids {
	u32 *real, *effective, *saved, *fs;
	bool privileged;
};

static struct ids user_ids(const struct task *t)
{
	struct proc *p = proc_of(t);

	return (struct ids){&p->uid, &p->euid, &p->suid, &p->fsuid, capable(t, CAP_SETUID)};
}

static struct ids group_ids(const struct task *t)
{
	struct proc *p = proc_of(t);

	return (struct ids){&p->gid, &p->egid, &p->sgid, &p->fsgid, capable(t, CAP_SETGID)};
}

/* What the user ids were before they changed. */
struct old_users {
	u32 uid, euid, suid;
};

/* Root that becomes somebody else loses capabilities, and gets them back. */
static void fix_capabilities(struct proc *p, const struct old_users *old)
{
	if (is_secure(p, SECURE_NO_SETUID_FIXUP))
		return;
	if ((old->uid == 0 || old->euid == 0 || old->suid == 0) && p->uid != 0 && p->euid != 0 &&
	    p->suid != 0) {
		if (!is_secure(p, SECURE_KEEP_CAPS))
			p->cap_permitted = p->cap_effective = 0;
		p->cap_ambient = 0;
	}
	if (old->euid == 0 && p->euid != 0)
		p->cap_effective = 0;
	if (old->euid != 0 && p->euid == 0)
		p->cap_effective = p->cap_permitted;
}

/* Others may neither look into it nor have it signalled any more. */
static void lose_trust(struct task *t)
{
	mm_of(t)->dumpable = 0;
	t->pdeathsig = 0;
}

/* Sets what is not NONE. */
static void ids_set(struct task *t, const struct ids *ids, u32 real, u32 effective, u32 saved)
{
	struct proc *p = proc_of(t);
	struct old_users old = {p->uid, p->euid, p->suid};
	u32 acting = *ids->effective, fs = *ids->fs;

	*ids->real = real != NONE ? real : *ids->real;
	*ids->effective = effective != NONE ? effective : *ids->effective;
	*ids->saved = saved != NONE ? saved : *ids->saved;
	*ids->fs = *ids->effective;
	fix_capabilities(p, &old);
	if (*ids->effective != acting || *ids->fs != fs)
		lose_trust(t);
}

static bool one_of(u32 id, u32 a, u32 b, u32 c)
{
	return id == NONE || id == a || id == b || id == c;
}

static bool is_or_none(u32 id, u32 now)
{
	return id == NONE || id == now;
}

static long set_id(struct task *t, const struct ids *ids, u32 id)
{
	if (id == NONE)
		return -EINVAL;
	if (ids->privileged)
		ids_set(t, ids, id, id, id);
	else if (id == *ids->real || id == *ids->saved)
		ids_set(t, ids, NONE, id, NONE);
	else
		return -EPERM;
	return 0;
}

static long set_re(struct task *t, const struct ids *ids, u32 real, u32 effective)
{
	u32 r = *ids->real, e = *ids->effective, s = *ids->saved;
	bool moves = real != NONE || (effective != NONE && effective != r);

	if (!ids->privileged && (!one_of(real, r, e, e) || !one_of(effective, r, e, s)))
		return -EPERM;
	ids_set(t, ids, real, effective, !moves ? NONE : effective != NONE ? effective : e);
	return 0;
}

static long set_res(struct task *t, const struct ids *ids, const u64 *want)
{
	u32 r = *ids->real, e = *ids->effective, s = *ids->saved;

	for (int i = 0; i < 3 && !ids->privileged; i++) {
		if (!one_of((u32)want[i], r, e, s))
			return -EPERM;
	}
	/* Then the id for files stays, too. */
	if (is_or_none((u32)want[0], r) && is_or_none((u32)want[2], s) &&
	    ((u32)want[1] == NONE || ((u32)want[1] == e && e == *ids->fs)))
		return 0;
	ids_set(t, ids, (u32)want[0], (u32)want[1], (u32)want[2]);
	return 0;
}

long sys_setuid(struct task *t, struct frame *f)
{
	struct ids ids = user_ids(t);

	return set_id(t, &ids, (u32)f->arg[0]);
}

long sys_setgid(struct task *t, struct frame *f)
{
	struct ids ids = group_ids(t);

	return set_id(t, &ids, (u32)f->arg[0]);
}

long sys_setreuid(struct task *t, struct frame *f)
{
	struct ids ids = user_ids(t);

	return set_re(t, &ids, (u32)f->arg[0], (u32)f->arg[1]);
}

long sys_setregid(struct task *t, struct frame *f)
{
	struct ids ids = group_ids(t);

	return set_re(t, &ids, (u32)f->arg[0], (u32)f->arg[1]);
}

long sys_setresuid(struct task *t, struct frame *f)
{
	struct ids ids = user_ids(t);

	return set_res(t, &ids, f->arg);
}

long sys_setresgid(struct task *t, struct frame *f)
{
	struct ids ids = group_ids(t);

	return set_res(t, &ids, f->arg);
}

/* Capabilities over files go and come with root's file id. */
static void fix_file_capabilities(struct proc *p, u32 old)
{
	if (is_secure(p, SECURE_NO_SETUID_FIXUP))
		return;
	if (old == 0 && p->fsuid != 0)
		p->cap_effective &= ~CAPS_OF_FILES;
	if (old != 0 && p->fsuid == 0)
		p->cap_effective |= p->cap_permitted & CAPS_OF_FILES;
}

static u32 set_fs(struct task *t, const struct ids *ids, u32 id)
{
	u32 old = *ids->fs;

	if (id == NONE || (!ids->privileged && id != old &&
			   !one_of(id, *ids->real, *ids->effective, *ids->saved)))
		return old;
	*ids->fs = id;
	if (id != old)
		lose_trust(t);
	return old;
}

long sys_setfsuid(struct task *t, struct frame *f)
{
	struct ids ids = user_ids(t);
	u32 old = set_fs(t, &ids, (u32)f->arg[0]);

	fix_file_capabilities(proc_of(t), old);
	return old;
}

long sys_setfsgid(struct task *t, struct frame *f)
{
	struct ids ids = group_ids(t);

	return set_fs(t, &ids, (u32)f->arg[0]);
}

/* ---- asking for ids ---- */

long sys_getuid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->uid;
}

long sys_geteuid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->euid;
}

long sys_getgid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->gid;
}

long sys_getegid(struct task *t, struct frame *f)
{
	(void)f;
	return proc_of(t)->egid;
}

static long put_three(struct task *t, const struct frame *f, u32 a, u32 b, u32 c)
{
	digest_u64(t, a);
	digest_u64(t, (u64)b << 32 | c);
	if (user_put(f->arg[0], a) < 0 || user_put(f->arg[1], b) < 0 || user_put(f->arg[2], c) < 0)
		return -EFAULT;
	return 0;
}

long sys_getresuid(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);

	return put_three(t, f, p->uid, p->euid, p->suid);
}

long sys_getresgid(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);

	return put_three(t, f, p->gid, p->egid, p->sgid);
}

/* ---- groups ---- */

static long put_bytes(struct task *t, u64 addr, const void *from, u64 size)
{
	if (user_copy_out(addr, from, size) < 0)
		return -EFAULT;
	digest_bytes(t, from, size);
	return 0;
}

long sys_getgroups(struct task *t, struct frame *f)
{
	const struct proc *p = proc_of(t);
	s32 room = (s32)f->arg[0];

	if (room < 0 || (room != 0 && room < (s32)p->ngroups))
		return -EINVAL;
	if (room != 0 && put_bytes(t, f->arg[1], (void *)p->groups, p->ngroups * 4ull) < 0)
		return -EFAULT;
	return p->ngroups;
}

static bool are_ids(const u32 *ids, u32 n)
{
	for (u32 i = 0; i < n; i++) {
		if (ids[i] == NONE)
			return false;
	}
	return true;
}

long sys_setgroups(struct task *t, struct frame *f)
{
	u32 n = (u32)f->arg[0];

	if (!capable(t, CAP_SETGID))
		return -EPERM;
	if (n > GROUPS_MAX)
		return -EINVAL;
	u32 *ids = heap_alloc_unset((n + 1ull) * sizeof(*ids));
	long r = user_copy_in(ids, f->arg[1], n * sizeof(*ids)) < 0 ? -EFAULT : 0;
	if (!r)
		digest_bytes(t, ids, n * sizeof(*ids));
	if (!r && !are_ids(ids, n))
		r = -EINVAL;
	if (r < 0)
		heap_free(ids);
	else
		groups_set(proc_of(t), ids, n);
	return r;
}

/* ---- capabilities ---- */

struct cap_header {
	u32 version;
	s32 pid;
};

struct cap_data {
	u32 effective, permitted, inheritable;
};

/* How many words of each set the version has; another one is answered with ours. */
static long header_in(struct task *t, u64 addr, struct cap_header *ret, u32 *ret_words)
{
	if (user_get(ret->version, addr) < 0)
		return -EFAULT;
	digest_u64(t, ret->version);
	switch (ret->version) {
	case _LINUX_CAPABILITY_VERSION_1:
		*ret_words = _LINUX_CAPABILITY_U32S_1;
		break;
	case _LINUX_CAPABILITY_VERSION_2:
	case _LINUX_CAPABILITY_VERSION_3:
		*ret_words = _LINUX_CAPABILITY_U32S_3;
		break;
	default:
		ret->version = _LINUX_CAPABILITY_VERSION_3;
		return user_put(addr, ret->version) < 0 ? -EFAULT : -EINVAL;
	}
	if (user_copy_in(ret, addr, sizeof(*ret)) < 0)
		return -EFAULT;
	digest_u64(t, (u64)ret->pid);
	return 0;
}

static const struct proc *named_proc(const struct task *t, s32 pid)
{
	const struct task *named = pid == 0 ? t : proc_find_tid(NONE, (u32)pid);
	u32 proc = named != NULL ? named->proc : proc_find_pid((u32)pid);

	return proc != NONE ? proc_at(proc) : NULL;
}

long sys_capget(struct task *t, struct frame *f)
{
	struct cap_data data[2];
	struct cap_header h;
	u32 words;
	long error = header_in(t, f->arg[0], &h, &words);

	if (error != 0 || f->arg[1] == 0)
		return error == -EINVAL && f->arg[1] == 0 ? 0 : error;
	if (h.pid < 0)
		return -EINVAL;
	const struct proc *p = named_proc(t, h.pid);

	if (p == NULL)
		return -ESRCH;
	for (u32 i = 0; i < 2; i++)
		data[i] = (struct cap_data){(u32)(p->cap_effective >> 32 * i),
					    (u32)(p->cap_permitted >> 32 * i),
					    (u32)(p->cap_inheritable >> 32 * i)};
	return put_bytes(t, f->arg[1], data, words * sizeof(data[0]));
}

static bool is_subset(u64 a, u64 of)
{
	return (a & ~of) == 0;
}

static long caps_set(struct task *t, u64 effective, u64 permitted, u64 inheritable)
{
	struct proc *p = proc_of(t);

	if (!capable(t, CAP_SETPCAP) &&
	    !is_subset(inheritable, p->cap_inheritable | p->cap_permitted))
		return -EPERM;
	if (!is_subset(inheritable, p->cap_inheritable | p->cap_bounding) ||
	    !is_subset(permitted, p->cap_permitted) || !is_subset(effective, permitted))
		return -EPERM;
	p->cap_effective = effective;
	p->cap_permitted = permitted;
	p->cap_inheritable = inheritable;
	p->cap_ambient &= permitted & inheritable;
	return 0;
}

long sys_capset(struct task *t, struct frame *f)
{
	struct cap_data data[2] = {{0, 0, 0}, {0, 0, 0}};
	struct cap_header h;
	u32 words;
	long error = header_in(t, f->arg[0], &h, &words);

	if (error != 0)
		return error;
	if (h.pid != 0 && (u32)h.pid != t->tid)
		return -EPERM;
	if (user_copy_in(data, f->arg[1], words * sizeof(data[0])) < 0)
		return -EFAULT;
	digest_bytes(t, data, sizeof(data));
	return caps_set(t, (data[0].effective | (u64)data[1].effective << 32) & CAPS_ALL,
			(data[0].permitted | (u64)data[1].permitted << 32) & CAPS_ALL,
			(data[0].inheritable | (u64)data[1].inheritable << 32) & CAPS_ALL);
}

/* ---- prctl ---- */

long prctl_capbset_read(struct task *t, const u64 *arg)
{
	return arg[0] > CAP_LAST_CAP ? -EINVAL : (long)(proc_of(t)->cap_bounding >> arg[0] & 1);
}

long prctl_capbset_drop(struct task *t, const u64 *arg)
{
	if (!capable(t, CAP_SETPCAP))
		return -EPERM;
	if (arg[0] > CAP_LAST_CAP)
		return -EINVAL;
	proc_of(t)->cap_bounding &= ~(1ull << arg[0]);
	return 0;
}

long prctl_keepcaps_get(struct task *t, const u64 *arg)
{
	(void)arg;
	return is_secure(proc_of(t), SECURE_KEEP_CAPS);
}

long prctl_keepcaps_set(struct task *t, const u64 *arg)
{
	struct proc *p = proc_of(t);

	if (arg[0] > 1)
		return -EINVAL;
	if (is_secure(p, SECURE_KEEP_CAPS_LOCKED))
		return -EPERM;
	p->securebits &= ~(u32)SECBIT_KEEP_CAPS;
	p->securebits |= arg[0] ? SECBIT_KEEP_CAPS : 0;
	return 0;
}

long prctl_securebits_get(struct task *t, const u64 *arg)
{
	(void)arg;
	return proc_of(t)->securebits;
}

long prctl_securebits_set(struct task *t, const u64 *arg)
{
	struct proc *p = proc_of(t);
	u64 locks = p->securebits & SECURE_ALL_LOCKS;

	if (locks >> 1 & (p->securebits ^ arg[0]) || locks & ~arg[0] ||
	    arg[0] & ~(u64)(SECURE_ALL_BITS | SECURE_ALL_LOCKS) || !capable(t, CAP_SETPCAP))
		return -EPERM;
	p->securebits = (u32)arg[0];
	return 0;
}

static long ambient_raise(struct proc *p, u64 bit)
{
	if (!(p->cap_permitted & p->cap_inheritable & bit) ||
	    is_secure(p, SECURE_NO_CAP_AMBIENT_RAISE))
		return -EPERM;
	p->cap_ambient |= bit;
	return 0;
}

long prctl_ambient(struct task *t, const u64 *arg)
{
	struct proc *p = proc_of(t);

	if (arg[0] == PR_CAP_AMBIENT_CLEAR_ALL) {
		if (arg[1] | arg[2] | arg[3])
			return -EINVAL;
		p->cap_ambient = 0;
		return 0;
	}
	if (arg[1] > CAP_LAST_CAP || arg[2] | arg[3])
		return -EINVAL;
	switch (arg[0]) {
	case PR_CAP_AMBIENT_IS_SET:
		return p->cap_ambient >> arg[1] & 1;
	case PR_CAP_AMBIENT_RAISE:
		return ambient_raise(p, 1ull << arg[1]);
	case PR_CAP_AMBIENT_LOWER:
		p->cap_ambient &= ~(1ull << arg[1]);
		return 0;
	default:
		return -EINVAL;
	}
}
