/*
 * Slots, ids, and the end of tasks and processes.  Owns PROCT's counters and the task slots'
 * state; who is whose child is kept by wait.c.
 *
 * A slot is free when it was never used, or when its task is dead and the tracer has seen the
 * kernel task gone.  Which slot a task gets is not visible to the app and not part of any order.
 */
#include "process.h"
#include "mm.h"
#include "signal.h"
#include "spin.h"
#include "syscall_nr.h"
#include "../syscall-table/files.h"
#include "../syscall-table/ipc.h"
#include "../syscall-table/seccomp.h"
#include "../syscall-table/wait.h"

#define KEY_VFORK 0x70010001

static bool id_in_use(u32 id)
{
	if (id < 2 || proc_find_pid(id) != NONE || proc_find_tid(NONE, id) != NULL)
		return true;
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == id || proc_at(p)->sid == id)
			return true;
	}
	return false;
}

u32 id_next(void)
{
	u32 id = PROCT->next_id;

	/* Only after a wrap can an id be taken: ids grow. */
	while (PROCT->wrapped && id_in_use(id))
		id++;
	PROCT->next_id = id + 1;
	if (PROCT->next_id >= PID_MAX) {
		PROCT->next_id = 300;
		PROCT->wrapped = 1;
	}
	return id;
}

static bool slot_free(const struct task *t)
{
	return t->state == TASK_FREE ||
	       (t->state == TASK_DEAD && __atomic_load_n(&t->host_gone, __ATOMIC_ACQUIRE));
}

static void slot_init(struct task *t, u32 index, u32 proc)
{
	u64 stack = (u64)t + TASK_SLOT_SIZE;

	memset(t, 0, sizeof(*t));
	t->self = t;
	t->stack = stack;
	t->index = index;
	t->proc = proc;
	t->next_thread = NONE;
	t->clone_child = NONE;
	t->vfork_child = NONE;
	t->state = TASK_LIVE;
	seccomp_arm(t);
}

long task_create(u32 proc, struct task **ret_task)
{
	for (u32 i = 0; i < TASK_SLOTS_MAX; i++) {
		struct task *t = task_at(i);

		if (!slot_free(t))
			continue;
		slot_init(t, i, proc);
		PROCT->nlive_tasks++;
		*ret_task = t;
		return 0;
	}
	return -EAGAIN;
}

void task_abandon(struct task *t)
{
	t->state = TASK_FREE;
	PROCT->nlive_tasks--;
}

long proc_create(u32 *ret_proc)
{
	for (u32 i = PROC_INIT + 1; i < PROCS_MAX; i++) {
		struct proc *p = proc_at(i);

		if (p->state != PROC_FREE)
			continue;
		memset(p, 0, sizeof(*p));
		p->state = PROC_LIVE;
		p->vfork_parent = NONE;
		p->threads = NONE;
		PROCT->nlive_procs++;
		*ret_proc = i;
		return 0;
	}
	return -EAGAIN;
}

/* Takes the task out of its process's list and ends it in the books. */
static void task_close(struct task *t)
{
	struct proc *p = proc_of(t);
	u32 *link = &p->threads;

	while (*link != t->index)
		link = &task_at(*link)->next_thread;
	*link = t->next_thread;
	p->nthreads--;
	p->events_ended += t->events;
	signal_release(t);
	seccomp_release(t);
	spin_forget(t);
	if (t->ipc_waiter || t->sem_undo)
		ipc_task_gone(t);
	sched_task_remove(SCHED, t->index);
	t->state = TASK_DEAD;
	PROCT->nlive_tasks--;
}

/* What the kernel would do at the end of a task with its CLEARTID word and robust list. */
static void task_last_words(struct task *t)
{
	u32 zero = 0;

	if (t->robust_list != 0)
		futex_exit_robust(t);
	if (t->clear_child_tid != 0 && user_put(t->clear_child_tid, zero) == 0)
		futex_wake_word(t, t->clear_child_tid, 1);
	t->clear_child_tid = 0;
}

void proc_release_vfork(struct task *t)
{
	struct proc *p = proc_of(t);

	if (p->vfork_parent == NONE)
		return;
	struct task *parent = task_at(p->vfork_parent);
	p->vfork_parent = NONE;
	parent->vfork_child = NONE;
	sched_key_wake(SCHED, (struct sched_key){KEY_VFORK, parent->index}, 1, ~0u, t->index);
}

static void proc_close(struct task *t)
{
	struct proc *p = proc_of(t);

	files_release(t);
	proc_release_vfork(t);
	mm_put(p->mm);
	/* The index is reused after the first process is reaped. */
	if (t->proc == PROC_INIT + 1 && !HEAD->root_exited) {
		HEAD->exit_status = p->status;
		HEAD->root_exited = 1;
	}
	PROCT->nlive_procs--;
	proc_became_zombie(t->proc);
}

bool task_end(struct task *t, bool group)
{
	struct proc *p = proc_of(t);

	task_last_words(t);
	if (group) {
		for (u32 i = p->threads; i != NONE;) {
			struct task *other = task_at(i);

			i = other->next_thread;
			if (other != t)
				task_close(other);
		}
	}
	bool last = p->nthreads == 1;
	u32 self = t->index;
	if (last)
		proc_close(t);
	task_close(task_at(self));
	return last;
}

void proc_terminate(u32 proc, int wait_status)
{
	struct proc *p = proc_at(proc);

	if (p->exiting)
		return;
	p->exiting = 1;
	p->status = wait_status;
	signal_recalc_proc(proc);
	for (u32 i = p->threads; i != NONE; i = task_at(i)->next_thread)
		sched_task_wake(SCHED, i, SCHED_WOKEN_SIGNAL, SCHED_NONE);
}

void proc_kill_other_threads(struct task *t)
{
	struct proc *p = proc_of(t);

	for (u32 i = p->threads; i != NONE;) {
		struct task *other = task_at(i);

		i = other->next_thread;
		if (other != t)
			task_close(other);
	}
	/* After exec the thread group's leader is the one that called it, under the group's id. */
	t->tid = p->pid;
	p->leader = t->index;
}
