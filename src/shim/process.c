/*
 * Slots, ids, and the end of tasks and processes.  Owns PROCT's counters and the task slots'
 * state; who is whose child is kept by wait.c.
 *
 * A slot is free when it was never used, or when its task is dead and the tracer has seen the
 * kernel task gone.  Which slot a task gets is not visible to the app and not part of any order;
 * whether it gets one follows from the number of living tasks alone.
 */
#include "process.h"
#include "exec_load.h"
#include "ids.h"
#include "mm.h"
#include "signal.h"
#include "spin.h"
#include "syscall_nr.h"
#include "../syscall-table/files.h"
#include "../syscall-table/pidfd.h"
#include "../syscall-table/ipc.h"
#include "../syscall-table/ready.h"
#include "../syscall-table/seccomp.h"
#include "../syscall-table/tty.h"
#include "../syscall-table/wait.h"

#define KEY_VFORK 0x70010001

bool id_in_use(u32 id)
{
	if (id < 2 || proc_find_pid(id) != NONE || proc_find_tid(NONE, id) != NULL)
		return true;
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (proc_at(p)->pgid == id || proc_at(p)->sid == id)
			return true;
	}
	return false;
}

void id_taken(u32 id)
{
	if (id >= PROCT->next_id)
		PROCT->wrapped = 1;
}

u32 id_next(void)
{
	u32 id = PROCT->next_id;

	/* Only after a wrap, or if one was asked for, can an id be taken: ids grow. */
	while (PROCT->wrapped && id_in_use(id))
		id++;
	PROCT->next_id = id + 1;
	if (PROCT->next_id >= PID_MAX) {
		PROCT->next_id = 300;
		PROCT->wrapped = 1;
	}
	return id;
}

/* ---- slots ---- */

static void slot_died(struct task *t)
{
	t->state = TASK_DEAD;
	t->next_thread = NONE;
	if (PROCT->dead_first == NONE)
		PROCT->dead_first = t->index;
	else
		task_at(PROCT->dead_last)->next_thread = t->index;
	PROCT->dead_last = t->index;
}

/* The slot that died first if the kernel has finished with it; else that is asked last next time.
 */
static u32 slot_again(void)
{
	u32 slot = PROCT->dead_first;

	if (slot == NONE)
		return NONE;
	struct task *t = task_at(slot);

	PROCT->dead_first = t->next_thread;
	if (__atomic_load_n(&t->host_gone, __ATOMIC_ACQUIRE))
		return slot;
	slot_died(t);
	return NONE;
}

/*
 * There are twice as many slots as tasks, and a dead task keeps its own only for a while, or as
 * the main thread of a living process: so one comes free, though perhaps not yet.
 */
static u32 slot_take(void)
{
	u64 pause[2] = {0, 100000};
	u32 slot = slot_again();

	if (slot == NONE && PROCT->slots_used < TASK_SLOTS_MAX)
		return PROCT->slots_used++;
	for (u32 tries = 0; slot == NONE; tries++) {
		if (tries % TASK_SLOTS_MAX == TASK_SLOTS_MAX - 1)
			SYS2(NR_nanosleep, pause, 0);
		slot = slot_again();
	}
	return slot;
}

static void slot_init(struct task *t, u32 index, u32 proc)
{
	memset(t, 0, sizeof(*t));
	t->self = t;
	t->stack = task_stack_top(t);
	t->index = index;
	t->proc = proc;
	t->next_thread = t->prev_thread = NONE;
	t->clone_child = NONE;
	t->vfork_child = NONE;
	t->state = TASK_LIVE;
	seccomp_arm(t);
}

long task_create(u32 proc, struct task **ret_task)
{
	u32 index;

	if (PROCT->nlive_tasks >= TASKS_MAX)
		return -EAGAIN;
	index = slot_take();
	slot_init(task_at(index), index, proc);
	PROCT->nlive_tasks++;
	*ret_task = task_at(index);
	return 0;
}

void task_enter(struct task *t)
{
	struct proc *p = proc_of(t);

	t->birth = ++PROCT->births;
	t->prev_thread = p->threads_last;
	if (p->threads_last == NONE)
		p->threads = t->index;
	else
		task_at(p->threads_last)->next_thread = t->index;
	p->threads_last = t->index;
	p->nthreads++;
	ids_add_task(t);
}

static void task_leave(struct task *t)
{
	struct proc *p = proc_of(t);

	if (t->tid == p->pid)
		memcpy(p->comm, t->comm, sizeof(p->comm));
	if (t->prev_thread == NONE)
		p->threads = t->next_thread;
	else
		task_at(t->prev_thread)->next_thread = t->next_thread;
	if (t->next_thread == NONE)
		p->threads_last = t->prev_thread;
	else
		task_at(t->next_thread)->prev_thread = t->prev_thread;
	p->nthreads--;
	ids_remove_task(t);
}

/* ---- processes ---- */

long proc_create(u32 *ret_proc)
{
	u32 index = PROCT->procs_free;

	if (index == PROC_INIT && PROCT->procs_used == PROCS_MAX)
		return -EAGAIN;
	if (index == PROC_INIT)
		index = PROCT->procs_used++;
	else
		PROCT->procs_free = proc_at(index)->parent;
	struct proc *p = proc_at(index);

	memset(p, 0, sizeof(*p));
	p->state = PROC_LIVE;
	p->vfork_parent = NONE;
	p->threads = p->threads_last = NONE;
	PROCT->nlive_procs++;
	*ret_proc = index;
	return 0;
}

void proc_free(u32 proc)
{
	proc_at(proc)->state = PROC_FREE;
	proc_at(proc)->parent = PROCT->procs_free;
	PROCT->procs_free = proc;
}

/* ---- cpu time ---- */

void task_tell_events(struct task *t)
{
	proc_of(t)->events += t->events - t->events_told;
	t->events_told = t->events;
}

u64 proc_cpu_ns(u32 proc)
{
	const struct task *t = current();
	u64 untold = t->proc == proc ? t->events - t->events_told : 0;

	return (proc_at(proc)->events + untold) * HEAD->config.time_step_ns;
}

/* ---- ends ---- */

static bool others_see_memory(const struct task *t)
{
	return proc_of(t)->nthreads > 1 || mm_of(t)->refs > 1;
}

void task_leave_memory(struct task *t)
{
	u32 zero = 0;

	if (t->robust_list != 0)
		futex_exit_robust(t);
	if (t->clear_child_tid != 0 && others_see_memory(t) &&
	    user_put(t->clear_child_tid, zero) == 0)
		futex_wake_word(t, t->clear_child_tid, 1);
	t->clear_child_tid = t->robust_list = t->robust_len = 0;
}

/* What others hear of a task's end by memory and semaphores.  Nothing is left for a second time. */
static void task_last_words(struct task *t)
{
	task_leave_memory(t);
	if (t->ipc_waiter || t->sem_undo)
		ipc_task_gone(t);
}

/* Its slot will be somebody else's, whom the child must not take for its maker. */
static void vfork_forget(struct task *t)
{
	if (t->vfork_child != NONE)
		proc_at(t->vfork_child)->vfork_parent = NONE;
	t->vfork_child = NONE;
}

/* Takes the task, of the current one's process, out of the list and ends it in the books. */
static void task_close(struct task *t)
{
	task_last_words(t);
	vfork_forget(t);
	poll_task_gone(t);
	task_leave(t);
	task_tell_events(t);
	proc_tree_task_ends(t);
	signal_release(t);
	seccomp_release(t);
	exec_request_free((struct exec_request *)t->exec_request);
	t->exec_request = 0;
	spin_forget(t);
	sched_task_remove(SCHED, t->index);
	slot_died(t);
	pidfd_changed(t->birth);
	PROCT->nlive_tasks--;
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
	tty_job_exit(t->proc);
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

static void close_others(struct task *t)
{
	for (u32 i = proc_of(t)->threads; i != NONE;) {
		struct task *other = task_at(i);

		i = other->next_thread;
		if (other != t)
			task_close(other);
	}
}

bool task_end(struct task *t, bool group)
{
	struct proc *p = proc_of(t);

	task_last_words(t);
	if (group)
		close_others(t);
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

	close_others(t);
	/* After exec the thread group's leader is the one that called it, under the group's id. */
	ids_remove_task(t);
	t->tid = p->pid;
	ids_add_task(t);
	p->leader = t->index;
}
