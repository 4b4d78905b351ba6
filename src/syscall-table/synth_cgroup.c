/*
 * /sys/fs/cgroup: the one control group the container is in, version 2, as at the root of a cgroup
 * namespace: no limit but the machine's own, which is the container's.
 */
#include "../shim/signal.h"
#include "synth.h"
#include "wait.h"

#define MICROSECOND_NS 1000u

static void make_procs(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "1\n");
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i))
		text_add(out, "%u\n", proc_at(i)->pid);
}

static void make_threads(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "1\n");
	for (u32 i = proc_tree_first(); i != NONE; i = proc_tree_next(i)) {
		if (proc_at(i)->state != PROC_LIVE)
			continue;
		for (u32 k = proc_at(i)->threads; k != NONE; k = task_at(k)->next_thread)
			text_add(out, "%u\n", task_at(k)->tid);
	}
}

/* As in /proc/meminfo: what is neither free nor cache. */
static void make_memory_current(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%lu\n", HEAD->config.memory_bytes / 2);
}

static void make_memory_stat(const struct synth_ctx *c, struct synth_text *out)
{
	u64 total = HEAD->config.memory_bytes;

	(void)c;
	text_add(out, "anon %lu\nfile %lu\nkernel_stack 0\nslab %lu\nshmem 0\n", total / 16,
		 total / 4, total / 64);
	text_add(out,
		 "file_mapped %lu\nfile_dirty 0\nfile_writeback 0\ninactive_anon 0\n"
		 "active_anon %lu\ninactive_file %lu\nactive_file %lu\nunevictable 0\n"
		 "pgfault 0\npgmajfault 0\n",
		 total / 64, total / 16, total / 8, total / 8);
}

static void make_cpu_stat(const struct synth_ctx *c, struct synth_text *out)
{
	u64 used = HEAD->events * HEAD->config.time_step_ns / MICROSECOND_NS;

	(void)c;
	text_add(out,
		 "usage_usec %lu\nuser_usec %lu\nsystem_usec 0\nnr_periods 0\n"
		 "nr_throttled 0\nthrottled_usec 0\n",
		 used, used);
}

static void make_pids_current(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%u\n", PROCT->nlive_tasks + 1);
}

static void make_cpus(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_cpu_list(out);
	text_string(out, "\n");
}

const struct synth_node synth_cgroup_nodes[] = {
	NODE_FIXED("/cgroup.controllers", "cpuset cpu io memory pids\n"),
	NODE_FIXED("/cgroup.events", "populated 1\nfrozen 0\n"),
	NODE_TEXT("/cgroup.procs", make_procs),
	NODE_FIXED("/cgroup.stat", "nr_descendants 0\nnr_dying_descendants 0\n"),
	NODE_FIXED("/cgroup.subtree_control", ""),
	NODE_TEXT("/cgroup.threads", make_threads),
	NODE_FIXED("/cgroup.type", "domain\n"),
	NODE_FIXED("/cpu.max", "max 100000\n"),
	NODE_TEXT("/cpu.stat", make_cpu_stat),
	NODE_FIXED("/cpu.weight", "100\n"),
	NODE_TEXT("/cpuset.cpus.effective", make_cpus),
	NODE_FIXED("/cpuset.mems.effective", "0\n"),
	NODE_FIXED("/io.stat", ""),
	NODE_TEXT("/memory.current", make_memory_current),
	NODE_FIXED("/memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\noom_group_kill 0\n"),
	NODE_FIXED("/memory.high", "max\n"),
	NODE_FIXED("/memory.low", "0\n"),
	NODE_FIXED("/memory.max", "max\n"),
	NODE_FIXED("/memory.min", "0\n"),
	NODE_TEXT("/memory.stat", make_memory_stat),
	NODE_FIXED("/memory.swap.current", "0\n"),
	NODE_FIXED("/memory.swap.max", "max\n"),
	NODE_TEXT("/pids.current", make_pids_current),
	NODE_FIXED("/pids.max", "max\n"),
	{.path = NULL},
};
