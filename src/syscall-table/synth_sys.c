/*
 * /sys and /dev: the processors as programs look for them, and the names of the devices.
 *
 * The topology is the one that CPUID leaf 4 (insn.c) tells: one package, a core per processor,
 * private L1 and L2, a shared L3.  What the devices do is in device.c.
 */
#include "priority.h"
#include "synth.h"

#define MAJOR_MEM	   1
#define MAJOR_TTY	   5
#define RDEV(major, minor) ((major) << 8 | (minor))

static void line_end(struct synth_text *out)
{
	text_add(out, "\n");
}

static void make_cpu_list(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_cpu_list(out);
	line_end(out);
}

static void make_cpu_mask(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_cpu_mask(out);
	line_end(out);
}

static void make_kernel_max(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%u\n", HEAD->config.cpus - 1);
}

static void make_own_number(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u\n", c->cpu);
}

static void make_own_mask(const struct synth_ctx *c, struct synth_text *out)
{
	u64 mask[AFFINITY_WORDS] = {0};

	mask[c->cpu / 64] = 1ull << c->cpu % 64;
	text_some_cpus_mask(out, mask);
	line_end(out);
}

/* ---- caches ---- */

struct cache {
	const char *type;
	u32 level, size_kib, ways, sets;
	bool shared;
};

static const struct cache caches[SYNTH_CACHES] = {
	{"Data", 1, 32, 8, 64, false},
	{"Instruction", 1, 32, 8, 64, false},
	{"Unified", 2, 256, 8, 512, false},
	{"Unified", 3, 8192, 16, 8192, true},
};

static void make_cache_type(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%s\n", caches[c->cache].type);
}

static void make_cache_level(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u\n", caches[c->cache].level);
}

static void make_cache_size(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%uK\n", caches[c->cache].size_kib);
}

static void make_cache_ways(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u\n", caches[c->cache].ways);
}

static void make_cache_sets(const struct synth_ctx *c, struct synth_text *out)
{
	text_add(out, "%u\n", caches[c->cache].sets);
}

static void make_cache_cpu_list(const struct synth_ctx *c, struct synth_text *out)
{
	(caches[c->cache].shared ? make_cpu_list : make_own_number)(c, out);
}

static void make_cache_cpu_mask(const struct synth_ctx *c, struct synth_text *out)
{
	(caches[c->cache].shared ? make_cpu_mask : make_own_mask)(c, out);
}

/* As /proc/meminfo. */
static void make_node_memory(const struct synth_ctx *c, struct synth_text *out)
{
	u64 kib = HEAD->config.memory_bytes / 1024;

	(void)c;
	text_add(out, "Node 0 MemTotal:       %8lu kB\nNode 0 MemFree:        %8lu kB\n", kib,
		 kib / 2);
	text_add(out, "Node 0 MemUsed:        %8lu kB\n", kib - kib / 2);
}

static const char numastat_text[] = "numa_hit 0\nnuma_miss 0\nnuma_foreign 0\n"
				    "interleave_hit 0\nlocal_node 0\nother_node 0\n";

#define CPU   "/devices/system/cpu"
#define TOPO  CPU "/cpu#C/topology"
#define CACHE CPU "/cpu#C/cache/index#I"
#define NODE  "/devices/system/node"
#define THP   "/kernel/mm/transparent_hugepage"
#define HUGE  "/kernel/mm/hugepages/hugepages-2048kB"

const struct synth_node synth_sys_nodes[] = {
	NODE_DIR(""),
	NODE_DIR("/block"),
	NODE_DIR("/bus"),
	NODE_DIR("/class"),
	NODE_DIR("/class/block"),
	NODE_DIR("/class/mem"),
	NODE_DIR("/class/tty"),
	NODE_DIR("/dev"),
	NODE_DIR("/dev/block"),
	NODE_DIR("/dev/char"),
	NODE_DIR("/firmware"),
	NODE_DIR("/module"),
	NODE_DIR("/devices"),
	NODE_DIR("/devices/system"),
	NODE_DIR(CPU),
	NODE_TEXT(CPU "/online", make_cpu_list),
	NODE_TEXT(CPU "/possible", make_cpu_list),
	NODE_TEXT(CPU "/present", make_cpu_list),
	NODE_FIXED(CPU "/offline", "\n"),
	NODE_FIXED(CPU "/isolated", "\n"),
	NODE_TEXT(CPU "/kernel_max", make_kernel_max),
	NODE_DIR(CPU "/cpu#C"),
	NODE_FIXED(CPU "/cpu#C/online", "1\n"),
	NODE_DIR(TOPO),
	NODE_TEXT(TOPO "/core_id", make_own_number),
	NODE_FIXED(TOPO "/physical_package_id", "0\n"),
	NODE_FIXED(TOPO "/die_id", "0\n"),
	NODE_TEXT(TOPO "/thread_siblings", make_own_mask),
	NODE_TEXT(TOPO "/thread_siblings_list", make_own_number),
	NODE_TEXT(TOPO "/core_cpus", make_own_mask),
	NODE_TEXT(TOPO "/core_cpus_list", make_own_number),
	NODE_TEXT(TOPO "/core_siblings", make_cpu_mask),
	NODE_TEXT(TOPO "/core_siblings_list", make_cpu_list),
	NODE_TEXT(TOPO "/package_cpus", make_cpu_mask),
	NODE_TEXT(TOPO "/package_cpus_list", make_cpu_list),
	NODE_DIR(CPU "/cpu#C/cache"),
	NODE_DIR(CACHE),
	NODE_TEXT(CACHE "/type", make_cache_type),
	NODE_TEXT(CACHE "/level", make_cache_level),
	NODE_TEXT(CACHE "/size", make_cache_size),
	NODE_TEXT(CACHE "/ways_of_associativity", make_cache_ways),
	NODE_TEXT(CACHE "/number_of_sets", make_cache_sets),
	NODE_FIXED(CACHE "/coherency_line_size", "64\n"),
	NODE_FIXED(CACHE "/physical_line_partition", "1\n"),
	NODE_TEXT(CACHE "/shared_cpu_list", make_cache_cpu_list),
	NODE_TEXT(CACHE "/shared_cpu_map", make_cache_cpu_mask),
	NODE_DIR(CPU "/smt"),
	NODE_FIXED(CPU "/smt/active", "0\n"),
	NODE_FIXED(CPU "/smt/control", "notsupported\n"),
	NODE_DIR(NODE),
	NODE_FIXED(NODE "/online", "0\n"),
	NODE_FIXED(NODE "/possible", "0\n"),
	NODE_FIXED(NODE "/has_cpu", "0\n"),
	NODE_FIXED(NODE "/has_memory", "0\n"),
	NODE_DIR(NODE "/node0"),
	NODE_TEXT(NODE "/node0/cpulist", make_cpu_list),
	NODE_TEXT(NODE "/node0/cpumap", make_cpu_mask),
	NODE_FIXED(NODE "/node0/distance", "10\n"),
	NODE_TEXT(NODE "/node0/meminfo", make_node_memory),
	NODE_FIXED(NODE "/node0/numastat", numastat_text),
	NODE_DIR("/fs"),
	NODE_DIR("/fs/cgroup"),
	NODE_DIR("/kernel"),
	NODE_DIR("/kernel/mm"),
	NODE_DIR(THP),
	NODE_FIXED(THP "/enabled", "always [madvise] never\n"),
	NODE_FIXED(THP "/defrag", "always defer defer+madvise [madvise] never\n"),
	NODE_FIXED(THP "/hpage_pmd_size", "2097152\n"),
	NODE_FIXED(THP "/shmem_enabled", "always within_size advise [never] deny force\n"),
	NODE_FIXED(THP "/use_zero_page", "1\n"),
	NODE_DIR("/kernel/mm/hugepages"),
	NODE_DIR(HUGE),
	NODE_FIXED(HUGE "/free_hugepages", "0\n"),
	NODE_FIXED(HUGE "/nr_hugepages", "0\n"),
	NODE_FIXED(HUGE "/nr_overcommit_hugepages", "0\n"),
	NODE_FIXED(HUGE "/resv_hugepages", "0\n"),
	NODE_FIXED(HUGE "/surplus_hugepages", "0\n"),
	{.path = NULL},
};

#define DEVICE(name, major, minor)                                               \
	{                                                                        \
		.path = (name), .type = SYNTH_DEVICE, .rdev = RDEV(major, minor) \
	}

const struct synth_node synth_dev_nodes[] = {
	{.path = "", .type = SYNTH_DIR, .mode = 0755},
	DEVICE("/null", MAJOR_MEM, 3),
	DEVICE("/zero", MAJOR_MEM, 5),
	DEVICE("/full", MAJOR_MEM, 7),
	DEVICE("/random", MAJOR_MEM, 8),
	DEVICE("/urandom", MAJOR_MEM, 9),
	DEVICE("/tty", MAJOR_TTY, 0),
	DEVICE("/ptmx", MAJOR_TTY, 2),
	{.path = "/pts", .type = SYNTH_DIR, .mode = 0755},
	DEVICE("/pts/ptmx", MAJOR_TTY, 2),
	{.path = "/pts/#Y", .type = SYNTH_DEVICE, .mode = 0620, .rdev = SYNTH_PTS_RDEV},
	NODE_LINK("/fd", "/proc/self/fd"),
	NODE_LINK("/stdin", "/proc/self/fd/0"),
	NODE_LINK("/stdout", "/proc/self/fd/1"),
	NODE_LINK("/stderr", "/proc/self/fd/2"),
	/* Its contents are the host's private tmpfs: only its name comes from here. */
	{.path = "/shm", .type = SYNTH_DIR, .mode = 01777},
	{.path = NULL},
};
