/*
 * Controlling terminals: whose a terminal is, which group is in its foreground, and who is told
 * when it goes.
 *
 * A session has one terminal, a terminal one session: tty->sid is 0, or the session whose members
 * have it as proc->ctty (those that gave it up do not).  Rules: drivers/tty/tty_jobctrl.c.
 */
#include "../shim/signal.h"
#include "credentials.h"
#include "signal_send.h"
#include "tty.h"
#include "wait.h"

static bool is_leader(const struct proc *p)
{
	return p->pid == p->sid;
}

static bool is_refused(struct task *t, int sig)
{
	return signal_task_of(t)->mask & SIG_BIT(sig) ||
	       signal_action(t->proc, sig)->handler == SIG_HANDLER_IGN;
}

long tty_job_check(struct task *t, const struct tty *tty, int sig)
{
	const struct proc *p = proc_of(t);

	if (p->ctty != tty || !tty->pgrp || p->pgid == tty->pgrp)
		return 0;
	if (is_refused(t, sig))
		return sig == SIG_TTIN ? -EIO : 0;
	if (pgrp_is_orphaned(p->pgid, NONE))
		return -EIO;
	signal_send_group(p->pgid, sig);
	return -ERESTARTSYS;
}

static void take(struct task *t, struct tty *tty)
{
	struct proc *p = proc_of(t);

	tty->sid = p->sid;
	tty->pgrp = p->pgid;
	p->ctty = tty;
	p->hung_pgrp = 0;
}

void tty_job_open(struct task *t, struct tty *tty, u32 flags)
{
	const struct proc *p = proc_of(t);

	/* Who may only write gets no rights over those who read. */
	if (flags & O_NOCTTY || (flags & O_ACCMODE) == O_WRONLY)
		return;
	if (is_leader(p) && !p->ctty && !tty->sid)
		take(t, tty);
}

/* Nobody of the session has a terminal any more. */
static void session_clear(u32 sid)
{
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		if (proc_at(i)->sid == sid)
			proc_at(i)->ctty = NULL;
	}
}

long tty_job_take(struct task *t, struct tty *tty, bool may_read, u64 steal)
{
	const struct proc *p = proc_of(t);

	if (is_leader(p) && tty->sid == p->sid)
		return 0;
	if (!is_leader(p) || p->ctty)
		return -EPERM;
	if ((!may_read || tty->sid) && !capable(t, CAP_SYS_ADMIN))
		return -EPERM;
	if (tty->sid && steal != 1)
		return -EPERM;
	if (tty->sid)
		session_clear(tty->sid);
	take(t, tty);
	return 0;
}

/* A leader gives up the terminal of its session. */
static void session_leave(const struct proc *p, struct tty *tty)
{
	session_clear(p->sid);
	tty->sid = tty->pgrp = 0;
}

long tty_job_leave(struct task *t, struct tty *tty)
{
	struct proc *p = proc_of(t);
	u32 pgrp = tty->pgrp;

	if (p->ctty != tty)
		return -ENOTTY;
	if (is_leader(p)) {
		if (pgrp) {
			signal_to_group(t, pgrp, SIG_HUP, NULL);
			signal_to_group(t, pgrp, SIG_CONT, NULL);
		}
		session_leave(p, tty);
	}
	p->ctty = NULL;
	return 0;
}

/* The session of a group, or of a task, which may found one; 0: there is neither. */
static u32 session_of(u32 id)
{
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		if (proc_at(i)->pgid == id)
			return proc_at(i)->sid;
	}
	const struct task *named = proc_find_tid(NONE, id);
	u32 proc = named ? named->proc : proc_find_pid(id);

	return proc != NONE ? proc_at(proc)->sid : 0;
}

long tty_job_set_pgrp(struct task *t, struct tty *tty, u32 pgrp)
{
	u32 sid = session_of(pgrp);

	if (!sid)
		return -ESRCH;
	if (sid != proc_of(t)->sid)
		return -EPERM;
	tty->pgrp = pgrp;
	return 0;
}

void tty_job_hang_up(struct tty *tty)
{
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		struct proc *p = proc_at(i);
		if (p->ctty == tty)
			p->ctty = NULL;
		if (!tty->sid || p->sid != tty->sid || !is_leader(p))
			continue;
		p->hung_pgrp = tty->pgrp;
		signal_send_kernel(i, SIG_HUP);
		signal_send_kernel(i, SIG_CONT);
	}
	tty->sid = tty->pgrp = 0;
}

void tty_job_forget(struct proc *p)
{
	p->ctty = NULL;
	p->hung_pgrp = 0;
}

/* The caller's terminal outlives its program: natively its leader is the caller's shell. */
void tty_job_exit(u32 proc)
{
	struct proc *p = proc_at(proc);
	struct tty *tty = p->ctty;
	u32 pgrp = tty ? tty->pgrp : p->hung_pgrp;

	if (!is_leader(p) || tty == &FILES->tty)
		return;
	if (pgrp)
		signal_send_group(pgrp, SIG_HUP);
	if (pgrp && !tty)
		signal_send_group(pgrp, SIG_CONT);
	if (tty)
		session_leave(p, tty);
}
