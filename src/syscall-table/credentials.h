/*
 * Who a process is and what it may do: ids, groups, capabilities, all of them virtual.
 *
 * They are the process's, not a thread's: libraries set them for all threads, one after the other.
 */
#ifndef SHADOW_CREDENTIALS_H
#define SHADOW_CREDENTIALS_H

#include <asm/errno.h>
#include <linux/capability.h>
#include "../shim/shim.h"

#define CAPS_ALL ((2ull << CAP_LAST_CAP) - 1)

/* Whether the current task's process has the capability. */
static inline bool capable(const struct task *t, u32 cap)
{
	return proc_of(t)->cap_effective >> cap & 1;
}

/* Whether the task may look into a process: by its real ids, kernel/ptrace.c of Linux. */
bool may_look_into(const struct task *t, u32 proc);

/* The first process's capabilities, from its ids. */
void credentials_init(struct proc *p);

/* Whether the process has the group, `own` being that which it acts as. */
bool in_group(const struct proc *p, u32 gid, u32 own);

struct exec_image;

/*
 * execve, past the point of no return: ids and capabilities become those of a process that runs
 * the program, whose set-id bits count (capabilities of files do not).  `is_hidden`: the process
 * may not read it.  Whether it gained by that, so that libraries must be careful (AT_SECURE).
 */
bool credentials_exec(struct task *t, const struct exec_image *program, bool is_hidden);

/* prctl's options that are about capabilities. */
long prctl_capbset_read(struct task *t, const u64 *arg);
long prctl_capbset_drop(struct task *t, const u64 *arg);
long prctl_keepcaps_get(struct task *t, const u64 *arg);
long prctl_keepcaps_set(struct task *t, const u64 *arg);
long prctl_securebits_get(struct task *t, const u64 *arg);
long prctl_securebits_set(struct task *t, const u64 *arg);
long prctl_ambient(struct task *t, const u64 *arg);

#endif
