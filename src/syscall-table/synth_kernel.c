/*
 * /proc: what a kernel tells of its own work.  There is none here that a program could have caused
 * or could tell: interrupts, pages and pressure are those of a machine at rest.
 */
#include "../shim/mm.h"
#include "synth.h"

static void make_interrupts(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_string(out, "    ");
	for (u32 i = 0; i < HEAD->config.cpus; i++)
		text_add(out, "       CPU%u", i);
	text_string(out, "\n");
}

static void make_softirqs(const struct synth_ctx *c, struct synth_text *out)
{
	static const char *const names[] = {"HI",	"TIMER",   "NET_TX", "NET_RX",	"BLOCK",
					    "IRQ_POLL", "TASKLET", "SCHED",  "HRTIMER", "RCU"};

	make_interrupts(c, out);
	for (u32 i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		text_add(out, "%s:", names[i]);
		text_pad(out, 12);
		for (u32 cpu = 0; cpu < HEAD->config.cpus; cpu++)
			text_add(out, " %10u", 0);
		text_string(out, "\n");
	}
}

/* The figures that meminfo has too, in pages, and counts of what never happened. */
static void make_vmstat(const struct synth_ctx *c, struct synth_text *out)
{
	static const char zeros[] =
		"nr_dirty 0\nnr_writeback 0\nnr_unstable 0\nnr_shmem 0\nnr_mlock 0\npgpgin 0\n"
		"pgpgout 0\npswpin 0\npswpout 0\npgalloc_normal 0\npgfree 0\npgfault 0\n"
		"pgmajfault 0\npgsteal_kswapd 0\npgsteal_direct 0\npgscan_kswapd 0\n"
		"pgscan_direct 0\noom_kill 0\n";
	u64 pages = HEAD->config.memory_bytes / MM_PAGE;

	(void)c;
	text_add(out, "nr_free_pages %lu\nnr_anon_pages %lu\nnr_mapped %lu\n", pages / 2,
		 pages / 16, pages / 64);
	text_add(out, "nr_file_pages %lu\nnr_slab_reclaimable %lu\nnr_page_table_pages %lu\n",
		 pages / 4 + pages / 64, pages / 64, pages / 1024);
	text_string(out, zeros);
}

static void make_zoneinfo(const struct synth_ctx *c, struct synth_text *out)
{
	u64 pages = HEAD->config.memory_bytes / MM_PAGE;

	(void)c;
	text_add(out, "Node 0, zone   Normal\n  pages free     %lu\n", pages / 2);
	text_add(out,
		 "        min      0\n        low      0\n        high     0\n"
		 "        spanned  %lu\n        present  %lu\n        managed  %lu\n",
		 pages, pages, pages);
}

static const char drivers_text[] =
	"/dev/tty             /dev/tty        5       0 system:/dev/tty\n"
	"/dev/ptmx            /dev/ptmx       5       2 system\n"
	"pty_slave            /dev/pts      136 0-1048575 pty:slave\n"
	"pty_master           /dev/ptm      128 0-1048575 pty:master\n";
static const char pressure_text[] = "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
				    "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n";

const struct synth_node synth_kernel_nodes[] = {
	NODE_TEXT("/interrupts", make_interrupts),
	NODE_TEXT("/softirqs", make_softirqs),
	NODE_TEXT("/vmstat", make_vmstat),
	NODE_TEXT("/zoneinfo", make_zoneinfo),
	NODE_FIXED("/execdomains", "0-0\tLinux           \t[kernel]\n"),
	NODE_FIXED("/consoles", ""),
	NODE_FIXED("/fb", ""),
	NODE_FIXED("/misc", ""),
	NODE_DIR("/pressure"),
	NODE_FIXED("/pressure/cpu", pressure_text),
	NODE_FIXED("/pressure/io", pressure_text),
	NODE_FIXED("/pressure/memory", pressure_text),
	NODE_DIR("/tty"),
	NODE_FIXED("/tty/drivers", drivers_text),
	NODE_REFUSED("/kmsg", 0400, EPERM),
	NODE_REFUSED("/kcore", 0400, EPERM),
	NODE_REFUSED("/sysrq-trigger", 0200, EACCES),
	{.path = NULL},
};
