/*
 * The C half of the start of a task (clone) and of a freshly executed process.  Both run on the
 * task's shim stack, with the frame they return through at its top.
 */
#include <linux/futex.h>

#include "event.h"
#include "exec_load.h"
#include "filter.h"
#include "mm.h"
#include "process.h"
#include "signal.h"
#include "syscall_nr.h"
#include "../syscall-table/credentials.h"
#include "../syscall-table/files.h"
#include "../syscall-table/wait.h"

void shim_child_start(struct task *t, struct frame *f);
void shim_exec_start(struct task *t, struct frame *f);

/* The parent has filled the frame; the child waits for its first turn. */
void shim_child_start(struct task *t, struct frame *f)
{
	turn_wait_first(t);
	if (t->child_set_tid != 0) {
		user_put(t->child_set_tid, t->tid);
		t->child_set_tid = 0;
	}
	if (signal_pending(t)) {
		signal_deliver(t, f, 0);
		if (proc_of(t)->exiting)
			turn_exit(t, true);
	}
}

/* Our init: the parent of orphans, with the limits that the first process starts with, too. */
static void init_process(struct proc *init)
{
	init->state = PROC_LIVE;
	init->pid = init->pgid = init->sid = 1;
	init->threads = NONE;
	limits_init(init);
}

/* The container's first task: makes the first process around slot 0. */
static void first_process(struct task *t)
{
	const struct region_config *c = &HEAD->config;
	struct task *same;
	u32 index;

	init_process(&PROCT->procs[PROC_INIT]);
	PROCT->next_id = 2;
	PROCT->procs_used = PROC_INIT + 1;
	PROCT->dead_first = PROCT->dead_last = NONE;
	u64 request = t->exec_request;
	SHIM_ASSERT(proc_create(&index) == 0 && index == PROC_INIT + 1);
	SHIM_ASSERT(task_create(index, &same) == 0 && same == t);
	t->exec_request = request;
	struct proc *p = proc_at(index);
	p->pid = p->pgid = p->sid = t->tid = id_next();
	p->parent = PROC_INIT;
	p->leader = t->index;
	p->exit_signal = SIG_CHLD;
	p->uid = p->suid = c->uid;
	p->euid = p->fsuid = c->euid;
	p->gid = p->sgid = c->gid;
	p->egid = p->fsgid = c->egid;
	limits_init(p);
	credentials_init(p);
	p->start_time_ns = now_ns();
	sched_init(SCHED, SCHED_POLICY_EXCLUSIVE, c->slice_events);
	sched_task_add(SCHED, t->index, t->tid, SCHED_NONE);
	u32 picked;
	SHIM_ASSERT(sched_turn_pick(SCHED, &picked) == 0 && picked == t->index);
	t->turn = 1;
	task_enter(t);
	signal_first(t);
	vnode_init();
	files_init_first(t);
}

/* Up to here the tracer is busy with other things. */
static void wait_for_tracer(void)
{
	while (!__atomic_load_n(&HEAD->traced, __ATOMIC_ACQUIRE))
		SYS4(NR_futex, &HEAD->traced, FUTEX_WAIT, 0, NULL);
}

void shim_exec_start(struct task *t, struct frame *f)
{
	memset(f, 0, sizeof(*f));
	f->nr = ~0ull;
	if (HEAD->epoch_number == 0 && PROCT->next_id == 0) {
		long error = filter_install();
		if (error < 0) {
			HEAD->filter_error = (u32)-error;
			SYS1(NR_exit_group, 125);
		}
		first_process(t);
		wait_for_tracer();
		epoch_take(EPOCH_START);
		turn_timer_changed();
		error = exec_first(t, f);
		if (error < 0) {
			HEAD->first_error = (u32)-error;
			upcall(UPCALL_END, 0, 0, 0);
		}
		return;
	}
	if (exec_load(t, f) < 0) {
		proc_terminate(t->proc, SIG_KILL);
		turn_exit(t, true);
	}
	if (signal_pending(t)) {
		signal_deliver(t, f, 0);
		if (proc_of(t)->exiting)
			turn_exit(t, true);
	}
}
