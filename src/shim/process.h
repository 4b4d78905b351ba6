/* Birth and death of tasks and processes; see process.c. */
#ifndef SHADOW_PROCESS_H
#define SHADOW_PROCESS_H

#include "shim.h"

/* A fresh slot with its shim stack, or -EAGAIN. */
long task_create(u32 proc, struct task **ret_task);
/* Enters the task, whose tid is set, as the youngest of its process. */
void task_enter(struct task *t);
/* A fresh entry in the table of processes, or -EAGAIN. */
long proc_create(u32 *ret_proc);
/* Gives the entry back: nothing names the process any more. */
void proc_free(u32 proc);
/*
 * Adds to the process's count what the task did since it was told last.  Due when a task gives the
 * turn away: proc_cpu_ns looks at no task but the current one.
 */
void task_tell_events(struct task *t);
/* The next free id for a task or process. */
u32 id_next(void);
/* Whether something has the id: a process, a task, a group, a session. */
bool id_in_use(u32 id);
/* One is taken out of turn: id_next will have to step over it. */
void id_taken(u32 id);

/*
 * The books of a task's end: exit events of memory (CLEARTID), the process's end if it was the
 * last or `group`, parent notified.  True if the whole kernel process must end.
 */
bool task_end(struct task *t, bool group);

/* Marks the process as ending with that wait status; its tasks end as they get the turn. */
void proc_terminate(u32 proc, int wait_status);
/* Before exec: ends all other threads in the books (the kernel ends them at its exec). */
void proc_kill_other_threads(struct task *t);
/* A vfork child has got its own memory or is gone: its parent goes on. */
void proc_release_vfork(struct task *t);

/* turn.c: a new task waits for its first turn. */
void turn_wait_first(struct task *t);

/* limits.c: the resource limits every container starts with. */
void limits_init(struct proc *p);
/* Whether RLIMIT_NPROC lets the task's user have one more. */
bool limits_allow_task(const struct task *t);
/* Whether the task's files are limited in size (RLIMIT_FSIZE); how many bytes may be written from
 * `begin` on: if none, SIGXFSZ has been sent. */
bool limits_file_size(const struct task *t);
u64 limits_file_room(struct task *t, u64 begin);

/* The task leaves its memory, by its end or by exec: its robust futexes are marked, and the word of
 * CLEARTID is cleared if others still see the memory (kernel/fork.c, mm_release). */
void task_leave_memory(struct task *t);

/* futex.c: wakes up to n waiters of the word in the address space of t. */
void futex_wake_word(struct task *t, u64 addr, u32 n);
/* futex.c: marks the task's robust mutexes as ownerless and wakes a waiter each. */
void futex_exit_robust(struct task *t);

#endif
