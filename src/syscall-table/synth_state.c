/*
 * /proc/PID: what the kernel keeps of a process beside its memory: scheduling, the call under way,
 * namespaces, children, and the figures that are only remembered.
 *
 * There is one namespace of each kind, and no user or login session but the container's.  Stacks of
 * the kernel are refused: they are the host's.
 */
#include "../shim/signal.h"
#include "credentials.h"
#include "priority.h"
#include "synth.h"
#include "wait.h"

#define OOM_MIN	 (-1000)
#define OOM_MAX	 1000
#define OOM_TEXT 13 /* as many bytes, but for a NUL, are looked at */

/* ---- the out-of-memory figure: remembered, and inherited by fork; nothing comes of it ---- */

static void make_oom_score_adj(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%d\n", proc_at(c->proc)->oom_score_adj);
}

/* 0 while there is memory left, more by the adjustment: fs/proc/base.c, proc_oom_score. */
static void make_oom_score(const struct synth_ctx *c, struct synth_text *out)
{
	s32 points = OOM_MAX + proc_at(c->proc)->oom_score_adj;

	text_add(out, "%d\n", c->proc == PROC_INIT ? 0 : points * 2 / 3);
}

static bool is_space(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static u32 digit_of(char c)
{
	if (c >= '0' && c <= '9')
		return (u32)(c - '0');
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? (u32)(c - 'a') + 10 : 16;
}

/* As C has it: 0x and 0 begin other bases. */
static u32 base_of(const char **s)
{
	if ((*s)[0] != '0')
		return 10;
	if (((*s)[1] | 0x20) != 'x' || digit_of((*s)[2]) > 15)
		return 8;
	*s += 2;
	return 16;
}

/* A number with a sign perhaps, and white space around it. */
static bool number_in(const char *s, s32 *ret_value)
{
	s32 value = 0;

	while (is_space(*s))
		s++;
	bool minus = *s == '-';
	s += *s == '-' || *s == '+';
	u32 base = base_of(&s);
	const char *begin = s;
	for (; digit_of(*s) < base && value <= OOM_MAX; s++)
		value = value * (s32)base + (s32)digit_of(*s);
	*ret_value = minus ? -value : value;
	const char *end = s;
	while (is_space(*s))
		s++;
	return end > begin && (!*s || value > OOM_MAX);
}

/* Only who is privileged goes below what a privileged one has set: fs/proc/base.c. */
static long write_oom_score_adj(const struct synth_ctx *c, const char *bytes, u64 len)
{
	struct proc *p = proc_at(c->proc);
	bool privileged = capable(c->t, CAP_SYS_RESOURCE);
	char text[OOM_TEXT] = {0};
	s32 value;

	len = len < OOM_TEXT - 1 ? len : OOM_TEXT - 1;
	memcpy(text, bytes, len);
	if (!number_in(text, &value) || value < OOM_MIN || value > OOM_MAX)
		return -EINVAL;
	if (value < p->oom_score_adj_min && !privileged)
		return -EACCES;
	p->oom_score_adj = value;
	if (privileged)
		p->oom_score_adj_min = value;
	return (long)len;
}

/* ---- scheduling ---- */

static u64 cpu_ns(const struct synth_ctx *c)
{
	if (c->proc == PROC_INIT)
		return 0;
	return c->task ? c->task->events * HEAD->config.time_step_ns : proc_cpu_ns(c->proc);
}

static void make_sched(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	u64 ns = cpu_ns(c);
	char name[16];
	u32 policy;
	s32 prio = synth_prio(c, &policy);

	synth_name(c, name);
	text_add(out, "%s (%u, #threads: %u)\n", name, c->task ? c->task->tid : p->pid,
		 p->nthreads ? p->nthreads : 1);
	text_string(out, "---------------------------------------------------------"
			 "----------\n");
	text_add(out, "se.sum_exec_runtime                          : %13lu.%06lu\n", ns / 1000000,
		 ns % 1000000);
	text_string(out, "se.nr_migrations                             :                    0\n"
			 "nr_switches                                  :                    0\n"
			 "nr_voluntary_switches                        :                    0\n"
			 "nr_involuntary_switches                      :                    0\n");
	text_add(out, "policy                                       : %20u\n", policy);
	text_add(out, "prio                                         : %20d\n", prio);
}

static void make_schedstat(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%lu 0 0\n", cpu_ns(c));
}

/* Of a zombie as of a kernel thread, that sleeps as it likes. */
static void make_slack(const struct synth_ctx *c, struct synth_text *out)
{
	const struct task *thread = synth_thread(c);

	text_add(out, "%lu\n", thread ? priority_slack_ns(thread) : 0);
}

/* ---- the call under way ---- */

static void make_syscall(const struct synth_ctx *c, struct synth_text *out)
{
	const struct task *thread = synth_thread(c);

	if (!thread)
		return;
	if (SCHED->state[thread->index] != SCHED_STATE_PARKED || !thread->frame) {
		text_string(out, "running\n");
		return;
	}
	const struct frame *f = thread->frame;
	text_add(out, "%ld", (long)f->nr);
	for (u32 i = 0; i < 6; i++)
		text_add(out, " 0x%lx", f->arg[i]);
	text_add(out, " 0x%lx 0x%lx\n", f->rsp, f->rip);
}

/* ---- children: in order of birth; all are those of the process's first thread ---- */

static void make_children(const struct synth_ctx *c, struct synth_text *out)
{
	if (c->task && c->task->tid != proc_at(c->proc)->pid)
		return;
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		if (proc_at(i)->parent == c->proc)
			text_add(out, "%u ", proc_at(i)->pid);
	}
}

/* ---- rows ---- */

#define NODE_NS(name, target, of_zombie)                                               \
	{                                                                              \
		.path = "/ns/" name, .type = SYNTH_LINK, .is_ns = true, .looks = true, \
		.gone = (of_zombie), .fixed = (target)                                 \
	}

/* The numbers are those that the first namespaces of every kernel have. */
static void make_personality(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%08x\n", proc_at(c->proc)->personality);
}

const struct synth_node synth_state_nodes[] = {
	{.path = "/oom_score_adj",
	 .type = SYNTH_TEXT,
	 .mode = 0644,
	 .flat = true,
	 .make = make_oom_score_adj,
	 .write = write_oom_score_adj},
	NODE_TEXT("/oom_score", make_oom_score),
	{.path = "/sched", .type = SYNTH_TEXT, .mode = 0644, .make = make_sched},
	NODE_TEXT("/schedstat", make_schedstat),
	{.path = "/syscall", .type = SYNTH_TEXT, .mode = 0400, .make = make_syscall},
	NODE_FIXED("/wchan", "0"),
	NODE_REFUSED("/stack", 0400, EACCES),
	{.path = "/personality", .type = SYNTH_TEXT, .mode = 0400, .make = make_personality},
	{.path = "/coredump_filter",
	 .type = SYNTH_TEXT,
	 .mode = 0644,
	 .flat = true,
	 .fixed = "00000033\n"},
	{.path = "/timerslack_ns", .type = SYNTH_TEXT, .mode = 0666, .make = make_slack},
	{.path = "/loginuid",
	 .type = SYNTH_TEXT,
	 .mode = 0644,
	 .flat = true,
	 .fixed = "4294967295"},
	{.path = "/sessionid", .type = SYNTH_TEXT, .flat = true, .fixed = "4294967295"},
	NODE_FIXED("/cpuset", "/\n"),
	NODE_FIXED_AS("/uid_map", 0644, "         0          0 4294967295\n"),
	NODE_FIXED_AS("/gid_map", 0644, "         0          0 4294967295\n"),
	NODE_FIXED_AS("/projid_map", 0644, "         0          0 4294967295\n"),
	NODE_FIXED_AS("/setgroups", 0644, "allow\n"),
	NODE_FIXED_AS("/timens_offsets", 0644,
		      "monotonic           0         0\nboottime            0         0\n"),
	{.path = "/ns", .type = SYNTH_DIR, .mode = 0511},
	NODE_NS("cgroup", "cgroup:[4026531835]", ENOENT),
	NODE_NS("ipc", "ipc:[4026531839]", ENOENT),
	NODE_NS("mnt", "mnt:[4026531841]", ENOENT),
	NODE_NS("net", "net:[4026531840]", ENOENT),
	NODE_NS("pid", "pid:[4026531836]", 0),
	NODE_NS("pid_for_children", "pid:[4026531836]", ENOENT),
	NODE_NS("time", "time:[4026531834]", ENOENT),
	NODE_NS("time_for_children", "time:[4026531834]", ENOENT),
	NODE_NS("user", "user:[4026531837]", 0),
	NODE_NS("uts", "uts:[4026531838]", ENOENT),
	{.path = NULL},
};

const struct synth_node synth_thread_nodes[] = {
	NODE_TEXT("/children", make_children),
	{.path = NULL},
};
