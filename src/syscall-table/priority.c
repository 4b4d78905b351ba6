/*
 * nice, sched_*, ioprio_*: accepted, refused and remembered as Linux does, without effect.
 *
 * Owns the table of struct priority.  Rules are those of kernel/sched/syscalls.c, kernel/sys.c and
 * block/ioprio.c.
 */
#include <linux/resource.h>
#include <linux/sched.h>
#include "credentials.h"
#include "priority.h"
#include "syscall_handlers.h"
#include "syscall_nr.h"
#include "wait.h"

#define POLICY_OTHER	0u
#define RT_PRIORITY_MAX 99u
#define NICE_LEAST	(-20)
#define NICE_MOST	19

/* sched_rr_get_interval: what Linux has for SCHED_RR, and a slice for the others. */
#define RR_INTERVAL_NS	  100000000
#define OTHER_INTERVAL_NS 4000000

void priority_inherit(const struct task *t, const struct task *child)
{
	struct priority *p = priority_of(child);

	*p = *priority_of(t);
	if (p->timer_slack_ns != 0)
		p->default_slack_ns = p->timer_slack_ns;
	p->timer_slack_ns = 0;
	if (!p->reset_on_fork)
		return;
	p->reset_on_fork = 0;
	if (p->policy == SCHED_FIFO || p->policy == SCHED_RR) {
		p->policy = POLICY_OTHER;
		p->rt_priority = 0;
		p->nice = 0;
	} else if (p->nice < 0) {
		p->nice = 0;
	}
}

static long put_bytes(struct task *t, u64 addr, const void *from, u64 size)
{
	if (user_copy_out(addr, from, size) < 0)
		return -EFAULT;
	digest_bytes(t, from, size);
	return 0;
}

static struct task *task_or_self(struct task *t, u64 tid)
{
	return (u32)tid == 0 ? t : proc_find_tid(NONE, (u32)tid);
}

/* Our init is no task of the books. It shows what it was born with, and nobody may change that. */
static bool is_init(u32 tid)
{
	return tid == proc_at(PROC_INIT)->pid;
}

/* What `tid` shows; NULL: there is no such task. */
static const struct priority *priority_shown(struct task *t, u64 tid)
{
	static const struct priority of_init;
	const struct task *of = task_or_self(t, tid);

	return of != NULL ? priority_of(of) : is_init((u32)tid) ? &of_init : NULL;
}

static long nobody_to_change(u64 tid)
{
	return is_init((u32)tid) ? -EPERM : -ESRCH;
}

/* Whether the caller may change it: its own user's, or anybody's. */
static bool may_change(const struct task *t, const struct task *of)
{
	const struct proc *own = proc_of(t), *p = proc_of(of);

	return own->euid == p->euid || own->euid == p->uid || capable(t, CAP_SYS_NICE);
}

/* Nobody changes those who may do more than he (cap_safe_nice). */
static bool is_safe(const struct task *t, const struct task *of)
{
	return !(proc_of(of)->cap_permitted & ~proc_of(t)->cap_permitted) ||
	       capable(t, CAP_SYS_NICE);
}

static bool may_be_nice(const struct task *t, const struct task *of, s32 nice)
{
	return capable(t, CAP_SYS_NICE) || (u64)(20 - nice) <= proc_of(of)->rlimits[RLIMIT_NICE][0];
}

long sys_sched_yield(struct task *t, struct frame *f)
{
	(void)f;
	turn_yield_idle(t);
	return 0;
}

/* ---- processors ---- */

static u32 cpu_words(void)
{
	return (HEAD->config.cpus + 63) / 64;
}

static u64 all_cpus(u32 word)
{
	u32 cpus = HEAD->config.cpus, first = word * 64;

	if (cpus <= first)
		return 0;
	return cpus - first >= 64 ? ~0ull : (1ull << (cpus - first)) - 1;
}

void priority_affinity(const struct priority *of, u64 *ret_mask)
{
	bool is_set = false;

	for (u32 i = 0; i < AFFINITY_WORDS; i++) {
		ret_mask[i] = of->affinity[i];
		is_set |= ret_mask[i] != 0;
	}
	for (u32 i = 0; i < AFFINITY_WORDS && !is_set; i++)
		ret_mask[i] = all_cpus(i);
}

long sys_sched_getaffinity(struct task *t, struct frame *f)
{
	const struct priority *of = priority_shown(t, f->arg[0]);
	u64 mask[AFFINITY_WORDS], size = cpu_words() * 8ull;

	if ((u32)f->arg[1] * 8ull < HEAD->config.cpus || f->arg[1] & 7)
		return -EINVAL;
	if (of == NULL)
		return -ESRCH;
	priority_affinity(of, mask);
	return put_bytes(t, f->arg[2], mask, size) < 0 ? -EFAULT : (long)size;
}

long sys_sched_setaffinity(struct task *t, struct frame *f)
{
	const struct task *of = task_or_self(t, f->arg[0]);
	u64 mask[AFFINITY_WORDS] = {0}, some = 0;
	u64 size = (u32)f->arg[1] < sizeof(mask) ? (u32)f->arg[1] : sizeof(mask);

	if (user_copy_in(mask, f->arg[2], size) < 0)
		return -EFAULT;
	digest_bytes(t, mask, size);
	if (of == NULL)
		return nobody_to_change(f->arg[0]);
	if (!may_change(t, of) || !is_safe(t, of))
		return -EPERM;
	for (u32 i = 0; i < AFFINITY_WORDS; i++)
		some |= mask[i] &= all_cpus(i);
	if (some == 0)
		return -EINVAL;
	memcpy(priority_of(of)->affinity, mask, sizeof(mask));
	return 0;
}

/* ---- policies ---- */

struct policy_request {
	u32 policy, priority;
	s32 nice;
	bool reset_on_fork, sets_nice;
	bool keeps; /* all but reset_on_fork is only checked */
};

static bool is_rt(u32 policy)
{
	return policy == SCHED_FIFO || policy == SCHED_RR;
}

/* Those with nice values. */
static bool is_fair(u32 policy)
{
	return policy == POLICY_OTHER || policy == SCHED_BATCH;
}

static bool is_policy(u32 policy)
{
	return policy <= SCHED_IDLE && policy != 4 && policy != SCHED_DEADLINE;
}

/* What needs CAP_SYS_NICE: __sched_setscheduler, user_check_sched_setscheduler. */
static bool is_allowed(const struct task *t, const struct task *of, const struct policy_request *r)
{
	const struct priority *old = priority_of(of);
	u64 rt_limit = proc_of(of)->rlimits[RLIMIT_RTPRIO][0];

	if (capable(t, CAP_SYS_NICE))
		return true;
	if (is_fair(r->policy) && r->sets_nice && r->nice < old->nice &&
	    !may_be_nice(t, of, r->nice))
		return false;
	if (is_rt(r->policy) && ((r->policy != old->policy && rt_limit == 0) ||
				 (r->priority > old->rt_priority && r->priority > rt_limit)))
		return false;
	if (old->policy == SCHED_IDLE && r->policy != SCHED_IDLE && !may_be_nice(t, of, old->nice))
		return false;
	return may_change(t, of) && !(old->reset_on_fork && !r->reset_on_fork);
}

static long policy_set(const struct task *t, const struct task *of, const struct policy_request *r)
{
	struct priority *p = priority_of(of);

	if (!is_policy(r->policy) || r->priority > RT_PRIORITY_MAX ||
	    is_rt(r->policy) != (r->priority != 0))
		return -EINVAL;
	if (!is_allowed(t, of, r) || !is_safe(t, of))
		return -EPERM;
	p->reset_on_fork = r->reset_on_fork;
	if (r->keeps)
		return 0;
	p->policy = r->policy;
	p->rt_priority = r->priority;
	if (r->sets_nice && is_fair(r->policy))
		p->nice = r->nice;
	return 0;
}

static long param_in(struct task *t, u64 addr, u32 *ret_priority)
{
	if (addr == 0)
		return -EINVAL;
	if (user_get(*ret_priority, addr) < 0)
		return -EFAULT;
	digest_u64(t, *ret_priority);
	return 0;
}

long sys_sched_setscheduler(struct task *t, struct frame *f)
{
	const struct task *of = task_or_self(t, f->arg[0]);
	u32 policy = (u32)f->arg[1];
	struct policy_request r = {
		.policy = policy & ~(u32)SCHED_RESET_ON_FORK,
		.reset_on_fork = policy & SCHED_RESET_ON_FORK,
	};

	if ((s32)policy < 0 || (s32)f->arg[0] < 0)
		return -EINVAL;
	long error = param_in(t, f->arg[2], &r.priority);

	if (error < 0)
		return error;
	return of == NULL ? nobody_to_change(f->arg[0]) : policy_set(t, of, &r);
}

long sys_sched_setparam(struct task *t, struct frame *f)
{
	const struct task *of = task_or_self(t, f->arg[0]);
	struct policy_request r = {.policy = 0};

	if ((s32)f->arg[0] < 0)
		return -EINVAL;
	long error = param_in(t, f->arg[1], &r.priority);

	if (error < 0)
		return error;
	if (of == NULL)
		return nobody_to_change(f->arg[0]);
	r.policy = priority_of(of)->policy;
	r.reset_on_fork = priority_of(of)->reset_on_fork;
	return policy_set(t, of, &r);
}

long sys_sched_getparam(struct task *t, struct frame *f)
{
	const struct priority *of = priority_shown(t, f->arg[0]);

	if (f->arg[1] == 0 || (s32)f->arg[0] < 0)
		return -EINVAL;
	if (of == NULL)
		return -ESRCH;
	return put_bytes(t, f->arg[1], &of->rt_priority, 4);
}

long sys_sched_getscheduler(struct task *t, struct frame *f)
{
	const struct priority *of = priority_shown(t, f->arg[0]);

	if ((s32)f->arg[0] < 0)
		return -EINVAL;
	if (of == NULL)
		return -ESRCH;
	return of->policy | (of->reset_on_fork ? SCHED_RESET_ON_FORK : 0);
}

static long priority_bound(u64 policy, long of_rt)
{
	if (is_rt((u32)policy))
		return of_rt;
	return is_policy((u32)policy) || (u32)policy == SCHED_DEADLINE ? 0 : -EINVAL;
}

long sys_sched_get_priority_max(struct task *t, struct frame *f)
{
	(void)t;
	return priority_bound(f->arg[0], RT_PRIORITY_MAX);
}

long sys_sched_get_priority_min(struct task *t, struct frame *f)
{
	(void)t;
	return priority_bound(f->arg[0], 1);
}

long sys_sched_rr_get_interval(struct task *t, struct frame *f)
{
	const struct priority *of = priority_shown(t, f->arg[0]);
	s64 slice[2] = {0, OTHER_INTERVAL_NS};

	if ((s32)f->arg[0] < 0)
		return -EINVAL;
	if (of == NULL)
		return -ESRCH;
	if (is_rt(of->policy))
		slice[1] = of->policy == SCHED_RR ? RR_INTERVAL_NS : 0;
	return put_bytes(t, f->arg[1], slice, sizeof(slice));
}

/* The kernel's struct sched_attr: its first version, and the one with utilization clamps. */
struct sched_attributes {
	u32 size, policy;
	u64 flags;
	s32 nice;
	u32 priority;
	u64 runtime, deadline, period;
	u32 util_min, util_max;
};
#define ATTRIBUTES_FIRST 48
_Static_assert(sizeof(struct sched_attributes) == 56, "kernel layout");

/* Of sched_attr.flags. */
#define ATTR_RESET_ON_FORK 0x01u
#define ATTR_RECLAIM	   0x02u /* of deadlines */
#define ATTR_OVERRUN	   0x04u /* likewise */
#define ATTR_KEEP_POLICY   0x08u
#define ATTR_KEEP_PARAMS   0x10u
#define ATTR_KNOWN \
	(ATTR_RESET_ON_FORK | ATTR_RECLAIM | ATTR_OVERRUN | ATTR_KEEP_POLICY | ATTR_KEEP_PARAMS)

long sys_sched_getattr(struct task *t, struct frame *f)
{
	const struct priority *of = priority_shown(t, f->arg[0]);
	u32 size = (u32)f->arg[2];

	if (f->arg[1] == 0 || (s32)f->arg[0] < 0 || size < ATTRIBUTES_FIRST || size > 4096 ||
	    (u32)f->arg[3] != 0)
		return -EINVAL;
	if (of == NULL)
		return -ESRCH;
	struct sched_attributes attr = {
		.size = size < sizeof(attr) ? size : sizeof(attr),
		.policy = of->policy,
		.flags = of->reset_on_fork ? ATTR_RESET_ON_FORK : 0,
		.nice = is_rt(of->policy) ? 0 : of->nice,
		.priority = of->rt_priority,
	};

	return put_bytes(t, f->arg[1], &attr, attr.size);
}

/* A larger structure than ours is fine if the rest is zero. */
static long attr_in(struct task *t, u64 addr, struct sched_attributes *ret)
{
	u8 more;

	memset(ret, 0, sizeof(*ret));
	if (user_get(ret->size, addr) < 0)
		return -EFAULT;
	u32 size = ret->size == 0 ? ATTRIBUTES_FIRST : ret->size;

	if (size < ATTRIBUTES_FIRST || size > 4096)
		goto too_big;
	if (user_copy_in(ret, addr, size < sizeof(*ret) ? size : sizeof(*ret)) < 0)
		return -EFAULT;
	digest_bytes(t, ret, sizeof(*ret));
	for (u32 at = sizeof(*ret); at < size; at++) {
		if (user_get(more, addr + at) < 0)
			return -EFAULT;
		if (more != 0)
			goto too_big;
	}
	return 0;
too_big:
	size = sizeof(*ret);
	return user_put(addr, size) < 0 ? -EFAULT : -E2BIG;
}

/* What Linux says of a deadline's figures first: kernel/sched/deadline.c, __checkparam_dl. */
#define RUNTIME_LEAST 1024u	   /* ns, DL_SCALE */
#define PERIOD_LEAST  100000u	   /* ns; sched_deadline_period_min_us */
#define PERIOD_MOST   4194304000ul /* likewise */

static bool is_deadline(const struct sched_attributes *a)
{
	u64 period = a->period != 0 ? a->period : a->deadline;

	return a->priority == 0 && a->deadline != 0 && a->runtime >= RUNTIME_LEAST &&
	       (s64)a->deadline >= 0 && (s64)a->period >= 0 && a->runtime <= a->deadline &&
	       a->deadline <= period && period >= PERIOD_LEAST && period <= PERIOD_MOST;
}

long sys_sched_setattr(struct task *t, struct frame *f)
{
	const struct task *of = task_or_self(t, f->arg[0]);
	struct sched_attributes attr;

	if (f->arg[1] == 0 || (s32)f->arg[0] < 0 || (u32)f->arg[2] != 0)
		return -EINVAL;
	long error = attr_in(t, f->arg[1], &attr);

	if (error < 0)
		return error;
	if ((s32)attr.policy < 0)
		return -EINVAL;
	if (of == NULL)
		return nobody_to_change(f->arg[0]);
	if (attr.flags & ~(u64)ATTR_KNOWN)
		return -EINVAL;
	/* A deadline would have to be met: so nobody has the right to it. */
	if (attr.policy == SCHED_DEADLINE && !(attr.flags & ATTR_KEEP_POLICY)) {
		if (!is_deadline(&attr))
			return -EINVAL;
		HEAD->refused_count[NR_sched_setattr] += capable(t, CAP_SYS_NICE);
		return -EPERM;
	}
	const struct priority *p = priority_of(of);
	bool keep_params = attr.flags & ATTR_KEEP_PARAMS;
	bool keep_policy = attr.flags & ATTR_KEEP_POLICY;
	struct policy_request r = {
		.policy = keep_policy ? p->policy : attr.policy,
		/* Linux keeps the one parameter that the policy in force has. */
		.priority = keep_params && is_rt(p->policy) ? p->rt_priority : attr.priority,
		.nice = attr.nice < NICE_LEAST	? NICE_LEAST
			: attr.nice > NICE_MOST ? NICE_MOST
						: attr.nice,
		.reset_on_fork = keep_policy ? p->reset_on_fork : attr.flags & ATTR_RESET_ON_FORK,
		.sets_nice = !keep_params || is_rt(p->policy),
		.keeps = keep_params,
	};

	return policy_set(t, of, &r);
}

/* ---- groups of tasks: getpriority, ioprio ---- */

enum sort { OF_PROCESS, OF_GROUP, OF_USER };

/* Does it to a task; a negative errno or a value. */
typedef long each_fn(const struct task *t, const struct task *of, long value);

/* The result so far and that for one task more, as one. */
typedef long join_fn(long so_far, long one);

struct each {
	const struct task *t;
	each_fn *one;
	join_fn *join;
	long value, result;
};

static bool is_meant(const struct task *t, u32 proc, u32 sort, u32 who)
{
	const struct proc *own = proc_of(t), *p = proc_at(proc);

	if (sort == OF_GROUP)
		return p->pgid == (who != 0 ? who : own->pgid);
	return p->uid == (who != 0 ? who : own->uid);
}

static void each_task(struct each *e, u32 sort, u32 who)
{
	if (sort == OF_PROCESS) {
		const struct task *of = who != 0 ? proc_find_tid(NONE, who) : e->t;

		if (of != NULL)
			e->result = e->join(e->result, e->one(e->t, of, e->value));
		return;
	}
	for (u32 p = proc_tree_first(); p != NONE; p = proc_tree_next(p)) {
		if (!is_meant(e->t, p, sort, who))
			continue;
		for (u32 i = proc_at(p)->threads; i != NONE; i = task_at(i)->next_thread)
			e->result = e->join(e->result, e->one(e->t, task_at(i), e->value));
	}
}

/* The answer of each_task, where there is only init to ask or to change. */
static long init_instead(long result, u32 sort, u64 who, long of_init)
{
	return result == -ESRCH && sort == OF_PROCESS && is_init((u32)who) ? of_init : result;
}

static long greater(long so_far, long one)
{
	return one > so_far ? one : so_far;
}

static long nice_get(const struct task *t, const struct task *of, long value)
{
	(void)t;
	(void)value;
	return 20 - priority_of(of)->nice;
}

static long nice_set(const struct task *t, const struct task *of, long value)
{
	const struct proc *own = proc_of(t), *p = proc_of(of);

	if (p->uid != own->euid && p->euid != own->euid && !capable(t, CAP_SYS_NICE))
		return -EPERM;
	if (value < priority_of(of)->nice && !may_be_nice(t, of, (s32)value))
		return -EACCES;
	if (!is_safe(t, of))
		return -EPERM;
	priority_of(of)->nice = (s32)value;
	return 0;
}

/* Of several errors the last; success if nothing failed. */
static long last_error(long so_far, long one)
{
	if (so_far == -ESRCH)
		return one;
	return one != 0 ? one : so_far;
}

long sys_getpriority(struct task *t, struct frame *f)
{
	struct each e = {.t = t, .one = nice_get, .join = greater, .result = -ESRCH};

	if ((u32)f->arg[0] > PRIO_USER)
		return -EINVAL;
	each_task(&e, (u32)f->arg[0], (u32)f->arg[1]);
	return init_instead(e.result, (u32)f->arg[0], f->arg[1], 20);
}

long sys_setpriority(struct task *t, struct frame *f)
{
	s32 nice = (s32)f->arg[2];
	struct each e = {.t = t, .one = nice_set, .join = last_error, .result = -ESRCH};

	if ((u32)f->arg[0] > PRIO_USER)
		return -EINVAL;
	e.value = nice < NICE_LEAST ? NICE_LEAST : nice > NICE_MOST ? NICE_MOST : nice;
	each_task(&e, (u32)f->arg[0], (u32)f->arg[1]);
	return init_instead(e.result, (u32)f->arg[0], f->arg[1], -EPERM);
}

/* ---- ioprio ---- */

#define IOPRIO_CLASS(value) ((u32)(value) >> 13 & 7)
#define IOPRIO_DATA(value)  ((u32)(value)&0x1fff)
#define IOPRIO_LEVEL(value) ((u32)(value)&7)
#define IOPRIO_NICE_STEP    5u

enum io_class { IO_NONE, IO_RT, IO_BE, IO_IDLE };

static u32 io_of(u32 class, u32 level)
{
	return class << 13 | level;
}

static long io_check(const struct task *t, u32 value)
{
	switch (IOPRIO_CLASS(value)) {
	case IO_RT:
		return capable(t, CAP_SYS_ADMIN) || capable(t, CAP_SYS_NICE) ? 0 : -EPERM;
	case IO_BE:
	case IO_IDLE:
		return 0;
	case IO_NONE:
		return IOPRIO_LEVEL(value) != 0 ? -EINVAL : 0;
	default:
		return -EINVAL;
	}
}

static long io_set(const struct task *t, const struct task *of, long value)
{
	const struct proc *own = proc_of(t), *p = proc_of(of);

	if (p->uid != own->euid && p->uid != own->uid && !capable(t, CAP_SYS_NICE))
		return -EPERM;
	if (!is_safe(t, of))
		return -EPERM;
	priority_of(of)->ioprio = (u32)value;
	return 0;
}

static long io_get(const struct task *t, const struct task *of, long value)
{
	(void)t;
	(void)value;
	return priority_of(of)->ioprio;
}

/* Of several the one in force counts: what was never set follows from policy and nice value. */
static long io_get_in_force(const struct task *t, const struct task *of, long value)
{
	const struct priority *p = priority_of(of);
	u32 class = is_rt(p->policy) ? IO_RT : p->policy == SCHED_IDLE ? IO_IDLE : IO_BE;

	(void)t;
	(void)value;
	if (IOPRIO_CLASS(p->ioprio) != IO_NONE)
		return p->ioprio;
	return io_of(class, (u32)(p->nice - NICE_LEAST) / IOPRIO_NICE_STEP);
}

/* The more important: the lower. */
static long better(long so_far, long one)
{
	return so_far == -ESRCH || one < so_far ? one : so_far;
}

long sys_ioprio_get(struct task *t, struct frame *f)
{
	bool of_one = (u32)f->arg[0] - 1 == OF_PROCESS;
	struct each e = {
		.t = t, .one = of_one ? io_get : io_get_in_force, .join = better, .result = -ESRCH};

	if ((u32)f->arg[0] - 1 > OF_USER)
		return -EINVAL;
	each_task(&e, (u32)f->arg[0] - 1, (u32)f->arg[1]);
	return init_instead(e.result, (u32)f->arg[0] - 1, f->arg[1], 0);
}

long sys_ioprio_set(struct task *t, struct frame *f)
{
	struct each e = {.t = t, .one = io_set, .join = last_error, .result = -ESRCH};
	long error = io_check(t, (u32)f->arg[2]);

	if (error < 0)
		return error;
	if ((u32)f->arg[0] - 1 > OF_USER)
		return -EINVAL;
	e.value = (u32)f->arg[2];
	each_task(&e, (u32)f->arg[0] - 1, (u32)f->arg[1]);
	return init_instead(e.result, (u32)f->arg[0] - 1, f->arg[1], -EPERM);
}
