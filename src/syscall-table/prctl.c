/*
 * prctl, as a table: what an option means, or how it is refused.
 *
 * What is of no consequence inside (timer slack, machine checks, huge pages) is remembered and
 * shown.  Options of other processors, and of kernels without the feature, are -EINVAL as there;
 * those that Linux would carry out and we do not are counted and named as refused.
 */
#include <linux/prctl.h>
#include "../shim/mm.h"
#include "../shim/process.h"
#include "credentials.h"
#include "priority.h"
#include "seccomp.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"

#define TIMER_SLACK_NS 50000 /* what every process starts with */
#define SIGNALS_MAX    64

/* `arg` is the call's second argument and what follows. */
typedef long prctl_fn(struct task *t, const u64 *arg);

static bool has_more(const u64 *arg, u32 from)
{
	for (u32 i = from; i < 4; i++) {
		if (arg[i] != 0)
			return true;
	}
	return false;
}

static long put_word(struct task *t, u64 addr, u32 word)
{
	if (user_put(addr, word) < 0)
		return -EFAULT;
	digest_u64(t, word);
	return 0;
}

/* ---- names ---- */

static long name_get(struct task *t, const u64 *arg)
{
	if (user_copy_out(arg[0], t->comm, sizeof(t->comm)) < 0)
		return -EFAULT;
	digest_bytes(t, t->comm, sizeof(t->comm));
	return 0;
}

static long name_set(struct task *t, const u64 *arg)
{
	char name[sizeof(t->comm)];

	memset(name, 0, sizeof(name));
	if (user_string_in(name, arg[0], sizeof(name) - 1) == -EFAULT)
		return -EFAULT;
	name[sizeof(name) - 1] = '\0';
	memcpy(t->comm, name, sizeof(name));
	digest_bytes(t, name, sizeof(name));
	return 0;
}

/* ---- parents and children ---- */

static long pdeathsig_get(struct task *t, const u64 *arg)
{
	return put_word(t, arg[0], t->pdeathsig);
}

static long pdeathsig_set(struct task *t, const u64 *arg)
{
	if (arg[0] > SIGNALS_MAX)
		return -EINVAL;
	t->pdeathsig = (u32)arg[0];
	return 0;
}

static long subreaper_get(struct task *t, const u64 *arg)
{
	return put_word(t, arg[0], proc_of(t)->subreaper);
}

static long subreaper_set(struct task *t, const u64 *arg)
{
	proc_of(t)->subreaper = arg[0] != 0;
	return 0;
}

static long tid_address_get(struct task *t, const u64 *arg)
{
	if (user_put(arg[0], t->clear_child_tid) < 0)
		return -EFAULT;
	digest_u64(t, t->clear_child_tid);
	return 0;
}

/* ---- privileges ---- */

static long dumpable_get(struct task *t, const u64 *arg)
{
	(void)arg;
	return mm_of(t)->dumpable;
}

static long dumpable_set(struct task *t, const u64 *arg)
{
	if (arg[0] > 1)
		return -EINVAL;
	mm_of(t)->dumpable = (u32)arg[0];
	return 0;
}

static long no_new_privs_get(struct task *t, const u64 *arg)
{
	return has_more(arg, 0) ? -EINVAL : (long)proc_of(t)->no_new_privs;
}

static long no_new_privs_set(struct task *t, const u64 *arg)
{
	if (arg[0] != 1 || has_more(arg, 1))
		return -EINVAL;
	proc_of(t)->no_new_privs = 1;
	return 0;
}

static long seccomp_get(struct task *t, const u64 *arg)
{
	(void)arg;
	return (long)t->seccomp_mode;
}

static long seccomp_set(struct task *t, const u64 *arg)
{
	return seccomp_prctl(t, arg[0], arg[1]);
}

/* ---- what has no consequences ---- */

u64 priority_slack_ns(const struct task *t)
{
	const struct priority *p = priority_of(t);

	if (p->timer_slack_ns != 0)
		return p->timer_slack_ns;
	return p->default_slack_ns != 0 ? p->default_slack_ns : TIMER_SLACK_NS;
}

static long slack_get(struct task *t, const u64 *arg)
{
	(void)arg;
	return (long)priority_slack_ns(t);
}

static long slack_set(struct task *t, const u64 *arg)
{
	priority_of(t)->timer_slack_ns = arg[0];
	return 0;
}

static long huge_pages_get(struct task *t, const u64 *arg)
{
	return has_more(arg, 0) ? -EINVAL : (long)proc_of(t)->no_huge_pages;
}

static long huge_pages_set(struct task *t, const u64 *arg)
{
	if (has_more(arg, 1))
		return -EINVAL;
	proc_of(t)->no_huge_pages = arg[0] != 0;
	return 0;
}

static long mce_kill_get(struct task *t, const u64 *arg)
{
	u32 kept = priority_of(t)->mce_kill;

	if (has_more(arg, 0))
		return -EINVAL;
	return kept != 0 ? (long)kept - 1 : PR_MCE_KILL_DEFAULT;
}

static long mce_kill_set(struct task *t, const u64 *arg)
{
	if (has_more(arg, 2))
		return -EINVAL;
	if (arg[0] == PR_MCE_KILL_CLEAR && arg[1] == 0)
		priority_of(t)->mce_kill = 0;
	else if (arg[0] == PR_MCE_KILL_SET && arg[1] <= PR_MCE_KILL_DEFAULT)
		priority_of(t)->mce_kill = arg[1] == PR_MCE_KILL_DEFAULT ? 0 : (u32)arg[1] + 1;
	else
		return -EINVAL;
	return 0;
}

/* Only the one way of counting there is. */
static long timing_get(struct task *t, const u64 *arg)
{
	(void)t;
	(void)arg;
	return PR_TIMING_STATISTICAL;
}

static long timing_set(struct task *t, const u64 *arg)
{
	(void)t;
	return arg[0] != PR_TIMING_STATISTICAL ? -EINVAL : 0;
}

/* Time stamps work; nobody is told of ours. */
static long tsc_get(struct task *t, const u64 *arg)
{
	return put_word(t, arg[0], PR_TSC_ENABLE);
}

static long tsc_set(struct task *t, const u64 *arg)
{
	(void)t;
	if (arg[0] == PR_TSC_ENABLE)
		return 0;
	HEAD->refused_count[NR_prctl]++;
	return -EINVAL;
}

/* As on a processor that is not affected: see /proc/self/status. */
static long speculation_get(struct task *t, const u64 *arg)
{
	(void)t;
	if (has_more(arg, 1))
		return -EINVAL;
	return arg[0] <= PR_SPEC_L1D_FLUSH ? PR_SPEC_NOT_AFFECTED : -ENODEV;
}

static long speculation_set(struct task *t, const u64 *arg)
{
	(void)t;
	if (has_more(arg, 2))
		return -EINVAL;
	return arg[0] <= PR_SPEC_L1D_FLUSH ? -ENXIO : -ENODEV;
}

static long nothing(struct task *t, const u64 *arg)
{
	(void)t;
	(void)arg;
	return 0;
}

static long mdwe_get(struct task *t, const u64 *arg)
{
	(void)t;
	return has_more(arg, 0) ? -EINVAL : 0;
}

static long invalid(struct task *t, const u64 *arg)
{
	(void)t;
	(void)arg;
	return -EINVAL;
}

/* ---- refused ---- */

static long not_permitted(struct task *t, const u64 *arg)
{
	(void)t;
	(void)arg;
	HEAD->refused_count[NR_prctl]++;
	return -EPERM;
}

static long not_here(struct task *t, const u64 *arg)
{
	(void)t;
	(void)arg;
	HEAD->refused_count[NR_prctl]++;
	return -EINVAL;
}

struct prctl_option {
	u32 option;
	prctl_fn *fn;
};

/* Numbers that headers we build with may lack. */
#define MDWE_SET	 65
#define MDWE_GET	 66
#define MEMORY_MERGE_SET 67
#define MEMORY_MERGE_GET 68
#define GET_AUXV	 0x41555856

static const struct prctl_option options[] = {
	{PR_SET_PDEATHSIG, pdeathsig_set},
	{PR_GET_PDEATHSIG, pdeathsig_get},
	{PR_GET_DUMPABLE, dumpable_get},
	{PR_SET_DUMPABLE, dumpable_set},
	{PR_GET_UNALIGN, invalid}, /* other processors have it */
	{PR_SET_UNALIGN, invalid},
	{PR_GET_KEEPCAPS, prctl_keepcaps_get},
	{PR_SET_KEEPCAPS, prctl_keepcaps_set},
	{PR_GET_TIMING, timing_get},
	{PR_SET_TIMING, timing_set},
	{PR_SET_NAME, name_set},
	{PR_GET_NAME, name_get},
	{PR_GET_SECCOMP, seccomp_get},
	{PR_SET_SECCOMP, seccomp_set},
	{PR_CAPBSET_READ, prctl_capbset_read},
	{PR_CAPBSET_DROP, prctl_capbset_drop},
	{PR_GET_TSC, tsc_get},
	{PR_SET_TSC, tsc_set},
	{PR_GET_SECUREBITS, prctl_securebits_get},
	{PR_SET_SECUREBITS, prctl_securebits_set},
	{PR_SET_TIMERSLACK, slack_set},
	{PR_GET_TIMERSLACK, slack_get},
	{PR_TASK_PERF_EVENTS_DISABLE, nothing}, /* there are none */
	{PR_TASK_PERF_EVENTS_ENABLE, nothing},
	{PR_MCE_KILL, mce_kill_set},
	{PR_MCE_KILL_GET, mce_kill_get},
	{PR_SET_MM, not_permitted}, /* the shim keeps these addresses */
	{PR_SET_PTRACER, nothing},
	{PR_SET_CHILD_SUBREAPER, subreaper_set},
	{PR_GET_CHILD_SUBREAPER, subreaper_get},
	{PR_SET_NO_NEW_PRIVS, no_new_privs_set},
	{PR_GET_NO_NEW_PRIVS, no_new_privs_get},
	{PR_GET_TID_ADDRESS, tid_address_get},
	{PR_SET_THP_DISABLE, huge_pages_set},
	{PR_GET_THP_DISABLE, huge_pages_get},
	{PR_CAP_AMBIENT, prctl_ambient},
	{PR_GET_SPECULATION_CTRL, speculation_get},
	{PR_SET_SPECULATION_CTRL, speculation_set},
	{PR_SET_IO_FLUSHER, not_permitted},
	{PR_GET_IO_FLUSHER, not_permitted},
	{PR_SET_SYSCALL_USER_DISPATCH, not_here}, /* would come before the shim */
	{PR_SCHED_CORE, invalid},		  /* as a kernel without core scheduling */
	{MDWE_SET, not_here},			  /* code is written and executed all the same */
	{MDWE_GET, mdwe_get},
	{MEMORY_MERGE_SET, invalid}, /* as a kernel without merging */
	{MEMORY_MERGE_GET, invalid},
	{PR_SET_VMA, invalid}, /* as a kernel without names of anonymous memory */
	{GET_AUXV, invalid},   /* younger than the kernel we claim to be */
};

long sys_prctl(struct task *t, struct frame *f)
{
	for (u32 i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		if (options[i].option == (u32)f->arg[0])
			return options[i].fn(t, f->arg + 1);
	}
	return not_here(t, NULL);
}
