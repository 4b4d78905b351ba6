/*
 * Which process or task an id names: a hash table, so that kill, wait and their like cost the same
 * however many tasks there are.
 *
 * A process has its id from its birth until it is reaped, a task until its end.  The id of a
 * process and of its main thread are the same number.
 */
#ifndef SHADOW_IDS_H
#define SHADOW_IDS_H

#include "task.h"

/* Enters, and takes out, a process under its pid. */
void ids_add_proc(u32 proc);
void ids_remove_proc(u32 proc);

/* The same for a task under its tid, which stays as it is meanwhile. */
void ids_add_task(const struct task *t);
void ids_remove_task(const struct task *t);

/* The process with that pid (zombies included; PROC_INIT for 1), or NONE. */
u32 proc_find_pid(u32 pid);

/* The live task of `proc` with that tid, or NULL; with NONE for proc, of any process. */
struct task *proc_find_tid(u32 proc, u32 tid);

#endif
