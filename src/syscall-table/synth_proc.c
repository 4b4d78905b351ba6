/*
 * /proc but for the processes: the machine and the kernel as the container shows them.
 *
 * The machine is the one that CPUID (insn.c), sysinfo and uname (ident.c) tell of: config.cpus
 * processors of 1 GHz, config.memory_bytes of memory, half of it free, booted 1000 s before the
 * start.  Formats: Documentation/filesystems/proc.rst of Linux 6.1.
 */
#include "../shim/mm.h"
#include "synth.h"
#include "wait.h"

#define SECOND_NS  1000000000ul
#define KIB	   1024
#define CPU_FAMILY 6
#define CPU_MODEL  60 /* as leaf 1 of CPUID in insn.c, and the rest alike */

/* ---- the machine ---- */

/* In the kernel's order, as in the table. */
static void put_flags(struct synth_text *out)
{
	static const struct {
		u8 word, bit;
		char name[22];
	} features[] = {
#define CPU_FEATURE(word, bit, name, level) {word, bit, name},
#include "../shim/cpu_features.def"
#undef CPU_FEATURE
	};
	const struct region_cpu *cpu = &HEAD->config.cpu;

	for (u32 i = 0; i < sizeof(features) / sizeof(*features); i++) {
		if (features[i].name[0] && cpu->words[features[i].word] >> features[i].bit & 1)
			text_add(out, "%s ", features[i].name);
	}
	text_string(out, HEAD->config.cpus > 1 ? "ht constant_tsc nonstop_tsc"
					       : "constant_tsc nonstop_tsc");
}

static void put_cpu(struct synth_text *out, u32 cpu)
{
	u32 cpus = HEAD->config.cpus;

	text_add(out, "processor\t: %u\nvendor_id\t: GenuineIntel\ncpu family\t: %u\n", cpu,
		 CPU_FAMILY);
	text_add(out, "model\t\t: %u\nmodel name\t: %s\nstepping\t: 3\n", CPU_MODEL,
		 SYNTH_CPU_MODEL);
	text_add(out, "cpu MHz\t\t: 1000.000\ncache size\t: 8192 KB\nphysical id\t: 0\n");
	text_add(out, "siblings\t: %u\ncore id\t\t: %u\ncpu cores\t: %u\n", cpus, cpu, cpus);
	text_add(out, "apicid\t\t: %u\ninitial apicid\t: %u\nfpu\t\t: yes\n", cpu, cpu);
	text_add(out, "fpu_exception\t: yes\ncpuid level\t: 13\nwp\t\t: yes\nflags\t\t: ");
	put_flags(out);
	text_add(out, "\nbugs\t\t:\nbogomips\t: 2000.00\nclflush size\t: 64\n");
	text_add(out, "cache_alignment\t: 64\naddress sizes\t: 48 bits physical, 48 bits "
		      "virtual\npower management:\n\n");
}

static void make_cpuinfo(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	for (u32 i = 0; i < HEAD->config.cpus; i++)
		put_cpu(out, i);
}

static void put_memory(struct synth_text *out, const char *name, u64 bytes)
{
	text_add(out, "%s:", name);
	text_pad(out, 16);
	text_add(out, "%8lu kB\n", bytes / KIB);
}

static void make_meminfo(const struct synth_ctx *c, struct synth_text *out)
{
	u64 total = HEAD->config.memory_bytes;
	const struct {
		const char *name;
		u64 bytes;
	} lines[] = {
		{"MemTotal", total},
		{"MemFree", total / 2},
		{"MemAvailable", total / 4 * 3},
		{"Buffers", total / 64},
		{"Cached", total / 4},
		{"SwapCached", 0},
		{"Active", total / 8},
		{"Inactive", total / 8},
		{"Unevictable", 0},
		{"Mlocked", 0},
		{"SwapTotal", 0},
		{"SwapFree", 0},
		{"Dirty", 0},
		{"Writeback", 0},
		{"AnonPages", total / 16},
		{"Mapped", total / 64},
		{"Shmem", 0},
		{"KReclaimable", total / 64},
		{"Slab", total / 64},
		{"SReclaimable", total / 64},
		{"SUnreclaim", 0},
		{"PageTables", total / 1024},
		{"CommitLimit", total},
		{"Committed_AS", total / 4},
		{"VmallocTotal", 0x1ffffffffc00},
		{"VmallocUsed", 0},
		{"AnonHugePages", 0},
	};

	(void)c;
	for (u32 i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		put_memory(out, lines[i].name, lines[i].bytes);
	text_add(out, "HugePages_Total:       0\nHugePages_Free:        0\n"
		      "HugePages_Rsvd:        0\nHugePages_Surp:        0\n"
		      "Hugepagesize:       2048 kB\nHugetlb:               0 kB\n");
}

/* Ticks the processors were busy and idle: each event is a step of work. */
static void cpu_ticks(u64 *ret_busy, u64 *ret_idle)
{
	u64 all = (now_ns() - clock_monotonic_base()) * HEAD->config.cpus;
	u64 busy = HEAD->events * HEAD->config.time_step_ns;

	busy = busy < all ? busy : all;
	*ret_busy = busy / SYNTH_TICK_NS;
	*ret_idle = (all - busy) / SYNTH_TICK_NS;
}

static void make_stat(const struct synth_ctx *c, struct synth_text *out)
{
	u32 cpus = HEAD->config.cpus;
	u64 busy, idle;

	(void)c;
	cpu_ticks(&busy, &idle);
	text_add(out, "cpu  %lu 0 0 %lu 0 0 0 0 0 0\n", busy, idle);
	for (u32 i = 0; i < cpus; i++)
		text_add(out, "cpu%u %lu 0 0 %lu 0 0 0 0 0 0\n", i, busy / cpus, idle / cpus);
	text_add(out, "intr 0\nctxt %lu\nbtime %lu\nprocesses %u\n", HEAD->events,
		 clock_monotonic_base() / SECOND_NS, PROCT->next_id - 1);
	text_add(out, "procs_running 1\nprocs_blocked 0\nsoftirq 0 0 0 0 0 0 0 0 0 0 0\n");
}

static void make_uptime(const struct synth_ctx *c, struct synth_text *out)
{
	u64 up = (now_ns() - clock_monotonic_base()) / SYNTH_TICK_NS, busy, idle;

	(void)c;
	cpu_ticks(&busy, &idle);
	text_add(out, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
}

static void make_loadavg(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "0.00 0.00 0.00 1/%u %u\n", PROCT->nlive_tasks, PROCT->next_id - 1);
}

/* ---- the rest ---- */

static void make_self(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u", proc_of(c->t)->pid);
}

static void make_thread_self(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u/task/%u", proc_of(c->t)->pid, c->t->tid);
}

static const char devices_text[] =
	"Character devices:\n  1 mem\n  5 /dev/tty\n  5 /dev/ptmx\n128 ptm\n136 pts\n\n"
	"Block devices:\n  8 sd\n";
static const char filesystems_text[] = "nodev\tsysfs\nnodev\ttmpfs\nnodev\tproc\nnodev\tcgroup2\n"
				       "nodev\tdevtmpfs\nnodev\tpipefs\nnodev\tdevpts\n";

const struct synth_node synth_proc_nodes[] = {
	NODE_DIR(""),
	NODE_DIR("/#P"),
	{.path = "/self", .type = SYNTH_LINK, .make = make_self},
	{.path = "/thread-self", .type = SYNTH_LINK, .make = make_thread_self},
	NODE_TEXT("/cpuinfo", make_cpuinfo),
	NODE_TEXT("/meminfo", make_meminfo),
	NODE_TEXT("/stat", make_stat),
	NODE_TEXT("/uptime", make_uptime),
	NODE_TEXT("/loadavg", make_loadavg),
	NODE_FIXED("/diskstats", ""),
	NODE_FIXED("/version",
		   "Linux version " SYNTH_RELEASE " (shadow@shadow) " SYNTH_VERSION "\n"),
	NODE_FIXED("/cmdline", "shadow\n"),
	NODE_FIXED("/filesystems", filesystems_text),
	NODE_LINK("/mounts", "self/mounts"),
	NODE_LINK("/net", "self/net"),
	NODE_FIXED("/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"),
	NODE_FIXED("/partitions", "major minor  #blocks  name\n\n"),
	NODE_FIXED("/devices", devices_text),
	NODE_FIXED("/modules", ""),
	NODE_FIXED("/cgroups", "#subsys_name\thierarchy\tnum_cgroups\tenabled\n"),
	NODE_DIR("/sys"),
	{.path = NULL},
};
