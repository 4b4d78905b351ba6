/*
 * /proc/sys: the settings of the kernel.  Limits are the container's own, the rest what Linux 6.1
 * has by default; none can be changed, as in a container whose /proc/sys is read-only.
 */
#include "../shim/mm.h"
#include "pty.h"
#include "synth.h"

static void make_hostname(const struct synth_ctx *c, struct synth_text *out)
{
	(void)c;
	text_add(out, "%s\n", HEAD->config.hostname);
}

static void put_uuid(struct synth_text *out, u8 *bytes)
{
	bytes[6] = (u8)((bytes[6] & 0x0f) | 0x40); /* version 4: random */
	bytes[8] = (u8)((bytes[8] & 0x3f) | 0x80);
	for (u32 i = 0; i < 16; i++) {
		bool dash = i == 4 || i == 6 || i == 8 || i == 10;
		text_add(out, dash ? "-%02x" : "%02x", bytes[i]);
	}
	text_add(out, "\n");
}

static void make_uuid(const struct synth_ctx *c, struct synth_text *out)
{
	u8 bytes[16];

	(void)c;
	random_fill(bytes, sizeof(bytes));
	put_uuid(out, bytes);
}

/* One for the whole run, and not a draw from the stream: reading it changes nothing. */
static void make_boot_id(const struct synth_ctx *c, struct synth_text *out)
{
	const struct region_config *config = &HEAD->config;
	u64 words[2];
	u8 bytes[16];

	(void)c;
	words[0] = hash_bytes(1, config->seed, sizeof(config->seed));
	words[1] = hash_bytes(2, config->seed, sizeof(config->seed));
	memcpy(bytes, words, sizeof(bytes));
	put_uuid(out, bytes);
}

/* A setting whose value is one of our limits. */
#define NUMBER_NODE(name, value)                                                   \
	static void make_##name(const struct synth_ctx *c, struct synth_text *out) \
	{                                                                          \
		(void)c;                                                           \
		text_add(out, "%lu\n", (u64)(value));                              \
	}
NUMBER_NODE(pid_max, PID_MAX)
NUMBER_NODE(threads_max, TASKS_MAX)
NUMBER_NODE(max_map_count, MM_VMAS_MAX)
NUMBER_NODE(mmap_min_addr, APP_MIN_ADDR)
NUMBER_NODE(file_max, OFDS_MAX)
NUMBER_NODE(nr_open, APP_FD_MAX)
NUMBER_NODE(pty_max, PTY_MAX)
NUMBER_NODE(pty_nr, pty_count())
/* 4 percent of memory, in items of 160 bytes: fs/eventpoll.c. */
NUMBER_NODE(max_user_watches, HEAD->config.memory_bytes / 25 / 160)

static void make_file_nr(const struct synth_ctx *c, struct synth_text *out)
{
	u32 open = 0;

	(void)c;
	for (u32 i = 1; i <= FILES->ofd_used; i++)
		open += ofd_at(i)->kind != OFD_FREE;
	text_add(out, "%u\t0\t%u\n", open, OFDS_MAX);
}

#define SETTING(name, contents) NODE_FIXED_AS(name, 0644, contents)
#define SETTING_OF(name, function)                                                   \
	{                                                                            \
		.path = (name), .type = SYNTH_TEXT, .mode = 0644, .make = (function) \
	}

const struct synth_node synth_sysctl_nodes[] = {
	NODE_DIR("/kernel"),
	NODE_FIXED("/kernel/osrelease", SYNTH_RELEASE "\n"),
	NODE_FIXED("/kernel/ostype", SYNTH_OSTYPE "\n"),
	NODE_FIXED("/kernel/version", SYNTH_VERSION "\n"),
	SETTING_OF("/kernel/hostname", make_hostname),
	SETTING("/kernel/domainname", "(none)\n"),
	SETTING_OF("/kernel/pid_max", make_pid_max),
	NODE_FIXED("/kernel/ngroups_max", "65536\n"),
	NODE_FIXED("/kernel/cap_last_cap", "40\n"),
	SETTING_OF("/kernel/threads-max", make_threads_max),
	SETTING("/kernel/overflowuid", "65534\n"),
	SETTING("/kernel/overflowgid", "65534\n"),
	SETTING("/kernel/randomize_va_space", "0\n"),
	SETTING("/kernel/core_pattern", "core\n"),
	SETTING("/kernel/core_uses_pid", "0\n"),
	SETTING("/kernel/core_pipe_limit", "0\n"),
	SETTING("/kernel/ctrl-alt-del", "0\n"),
	SETTING("/kernel/dmesg_restrict", "1\n"),
	SETTING("/kernel/kptr_restrict", "1\n"),
	SETTING("/kernel/panic", "0\n"),
	SETTING("/kernel/panic_on_oops", "0\n"),
	SETTING("/kernel/perf_event_paranoid", "3\n"),
	SETTING("/kernel/print-fatal-signals", "0\n"),
	SETTING("/kernel/printk", "4\t4\t1\t7\n"),
	SETTING("/kernel/sched_autogroup_enabled", "0\n"),
	SETTING("/kernel/sched_child_runs_first", "1\n"),
	SETTING("/kernel/sched_rr_timeslice_ms", "100\n"),
	SETTING("/kernel/sched_rt_period_us", "1000000\n"),
	SETTING("/kernel/sched_rt_runtime_us", "950000\n"),
	SETTING("/kernel/sysrq", "0\n"),
	SETTING("/kernel/tainted", "0\n"),
	SETTING("/kernel/unprivileged_bpf_disabled", "2\n"),
	NODE_DIR("/kernel/pty"),
	SETTING_OF("/kernel/pty/max", make_pty_max),
	NODE_TEXT("/kernel/pty/nr", make_pty_nr),
	SETTING("/kernel/pty/reserve", "1024\n"),
	NODE_DIR("/kernel/random"),
	NODE_TEXT("/kernel/random/boot_id", make_boot_id),
	NODE_TEXT("/kernel/random/uuid", make_uuid),
	NODE_FIXED("/kernel/random/entropy_avail", "256\n"),
	NODE_FIXED("/kernel/random/poolsize", "256\n"),
	SETTING("/kernel/random/urandom_min_reseed_secs", "60\n"),
	SETTING("/kernel/random/write_wakeup_threshold", "256\n"),
	NODE_DIR("/kernel/seccomp"),
	NODE_FIXED("/kernel/seccomp/actions_avail",
		   "kill_process kill_thread trap errno trace log allow\n"),
	SETTING("/kernel/seccomp/actions_logged",
		"kill_process kill_thread trap errno trace log\n"),
	NODE_DIR("/vm"),
	SETTING("/vm/admin_reserve_kbytes", "8192\n"),
	SETTING("/vm/dirty_background_ratio", "10\n"),
	SETTING("/vm/dirty_expire_centisecs", "3000\n"),
	SETTING("/vm/dirty_ratio", "20\n"),
	SETTING("/vm/dirty_writeback_centisecs", "500\n"),
	SETTING("/vm/legacy_va_layout", "0\n"),
	SETTING_OF("/vm/max_map_count", make_max_map_count),
	SETTING_OF("/vm/mmap_min_addr", make_mmap_min_addr),
	SETTING("/vm/nr_hugepages", "0\n"),
	SETTING("/vm/nr_overcommit_hugepages", "0\n"),
	SETTING("/vm/oom_kill_allocating_task", "0\n"),
	SETTING("/vm/overcommit_kbytes", "0\n"),
	SETTING("/vm/overcommit_memory", "0\n"),
	SETTING("/vm/overcommit_ratio", "50\n"),
	SETTING("/vm/page-cluster", "3\n"),
	SETTING("/vm/panic_on_oom", "0\n"),
	SETTING("/vm/swappiness", "60\n"),
	SETTING("/vm/unprivileged_userfaultfd", "0\n"),
	SETTING("/vm/user_reserve_kbytes", "131072\n"),
	SETTING("/vm/vfs_cache_pressure", "100\n"),
	NODE_DIR("/fs"),
	SETTING("/fs/dir-notify-enable", "0\n"),
	NODE_DIR("/fs/epoll"),
	SETTING_OF("/fs/epoll/max_user_watches", make_max_user_watches),
	SETTING_OF("/fs/file-max", make_file_max),
	NODE_TEXT("/fs/file-nr", make_file_nr),
	NODE_DIR("/fs/inotify"),
	SETTING("/fs/inotify/max_queued_events", "16384\n"),
	SETTING("/fs/inotify/max_user_instances", "128\n"),
	SETTING("/fs/inotify/max_user_watches", "65536\n"),
	SETTING("/fs/lease-break-time", "45\n"),
	SETTING("/fs/leases-enable", "0\n"),
	SETTING_OF("/fs/nr_open", make_nr_open),
	SETTING("/fs/overflowgid", "65534\n"),
	SETTING("/fs/overflowuid", "65534\n"),
	SETTING("/fs/pipe-max-size", "1048576\n"),
	SETTING("/fs/pipe-user-pages-hard", "0\n"),
	SETTING("/fs/pipe-user-pages-soft", "16384\n"),
	SETTING("/fs/suid_dumpable", "0\n"),
	NODE_DIR("/net"),
	NODE_DIR("/net/core"),
	SETTING("/net/core/somaxconn", "4096\n"),
	{.path = NULL},
};
