/*
 * The tree of processes: who lives, in which order they were born, whose child is whose, and what
 * a parent has yet to hear of its children.
 *
 * The links are kept apart from struct proc because walks over all processes (kill, wait, process
 * groups) would otherwise touch a page for each.
 */
#ifndef SHADOW_WAIT_H
#define SHADOW_WAIT_H

#include "../shim/ids.h"
#include "../shim/shim_abi.h"
#include "../shim/task.h"

/* Peak resident memory as rusage shows it, in KiB: a fixed figure, as real use depends on the host.
 */
#define RUSAGE_MAXRSS_KB 8192

/* Wait status words (wait(2)). */
#define WAIT_EXITED(code)      (((code)&0xff) << 8)
#define WAIT_KILLED(sig, core) ((sig) | ((core) ? 0x80 : 0))
#define WAIT_STOPPED(sig)      (((sig) << 8) | 0x7f)
#define WAIT_CONTINUED	       0xffff

/* Enters a new process (parent, pid, state set) as the youngest; called by signal_fork/_first. */
void proc_tree_add(u32 proc);

/* Walks all processes but init, zombies included, in order of birth; NONE at the end. */
u32 proc_tree_first(void);
u32 proc_tree_next(u32 proc);

/*
 * The last task of `proc` has ended; proc.status holds its wait status.  Makes it a zombie, hands
 * its children to the next subreaper or init, hangs up process groups that became orphaned with
 * stopped members, and tells the parent.  If nobody will wait for it, it is reaped at once.
 */
void proc_became_zombie(u32 proc);

/* The task, which has left its process, had children: others take them over. */
void proc_tree_task_ends(const struct task *t);

/* Removes a zombie for good: its index becomes free. */
void proc_reap(u32 proc);

/* A process stopped (by `sig`) or, with 0, continued: tells the parent (SIGCHLD, wait). */
void proc_tell_stop(u32 proc, int sig);

/*
 * Whether no member of the group has a parent in another group of the same session (POSIX orphaned
 * process group), leaving process `ignored` (or NONE) out of account.
 */
bool pgrp_is_orphaned(u32 pgid, u32 ignored);

#endif
