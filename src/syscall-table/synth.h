/*
 * /proc, /sys and /dev as tables: what a row is, and what generators of text may use.
 *
 * A row is a path pattern below the root of its table, the type of what is there, and where its
 * text comes from.  Text is a function of the container's state and configuration only.  The
 * public functions (synth_open and so on) are in files.h.
 */
#ifndef SHADOW_SYNTH_H
#define SHADOW_SYNTH_H

#include "files.h"

/*
 * What the numbers in a path mean.  proc is NONE, task NULL where the path has none, or one of a
 * process that has no threads any more.
 */
struct synth_ctx {
	struct task *t;	   /* who asks */
	u32 proc;	   /* #P: index of the process; PROC_INIT for /proc/1 */
	struct task *task; /* #T: a thread of it */
	u32 fd;		   /* #F: an open descriptor of it */
	u32 cpu;	   /* #C: below config.cpus */
	u32 cache;	   /* #I: below SYNTH_CACHES */
	u32 terminal;	   /* #Y: of /dev/pts */
	bool outer;	   /* paths as the container has them, not as t's root shows them */
};

#define SYNTH_CACHES 4 /* as CPUID leaf 4 tells: L1 data, L1 code, L2, L3 */

/* Text being built, in the heap; whoever began it frees bytes. */
struct synth_text {
	char *bytes;
	size_t len, cap;
};

enum synth_type { SYNTH_DIR = 1, SYNTH_TEXT, SYNTH_LINK, SYNTH_DEVICE };

/*
 * path: components after the table's root, each a name or one of #P #T #F #C #I, or #Y (the
 * number of a terminal); "" is the root itself.  Text and link targets come from `make`, or are
 * `fixed`. `write` takes what is written to a text; without it a text cannot be opened for writing.
 * `refused` is the errno of every open.  What `looks` forbids: to open a text, to go through a
 * directory, and to read or follow a link.
 */
struct synth_node {
	const char *path;
	u32 type;
	u32 mode; /* permission bits; 0: 0444 for a text, 0555 for a directory, 0777 for a link */
	u32 rdev; /* of a device */
	u32 refused;
	u32 gone;	     /* the errno that a zombie has instead: of opening a text, of a link */
	bool is_fd;	     /* the link is a descriptor */
	bool is_ns;	     /* the link is a namespace: to be read only */
	bool counts_threads; /* the directory has a link for each, as a program may ask */
	bool flat;   /* it has an end to seek from, where stat says (all of /sys and /proc/sys have)
		      */
	bool is_exe; /* the link is the program of a process */
	bool looks;  /* only for who may look into the process: EACCES to others */
	const char *fixed;
	void (*make)(const struct synth_ctx *c, struct synth_text *out);
	long (*write)(const struct synth_ctx *c, const char *bytes, u64 len);
};

/* The usual rows. */
#define NODE_DIR(name)                            \
	{                                         \
		.path = (name), .type = SYNTH_DIR \
	}
#define NODE_TEXT(name, function)                                      \
	{                                                              \
		.path = (name), .type = SYNTH_TEXT, .make = (function) \
	}
#define NODE_FIXED(name, contents)                                      \
	{                                                               \
		.path = (name), .type = SYNTH_TEXT, .fixed = (contents) \
	}
#define NODE_LOOKS(name, function)                                                     \
	{                                                                              \
		.path = (name), .type = SYNTH_TEXT, .looks = true, .make = (function), \
	}
/* The same with other permission bits than 0444. */
#define NODE_FIXED_AS(name, bits, contents)                                             \
	{                                                                               \
		.path = (name), .type = SYNTH_TEXT, .mode = (bits), .fixed = (contents) \
	}
/* A file that is there, but that nobody here may open. */
#define NODE_REFUSED(name, bits, error)                                                \
	{                                                                              \
		.path = (name), .type = SYNTH_TEXT, .mode = (bits), .refused = (error) \
	}
#define NODE_LINK(name, target)                                       \
	{                                                             \
		.path = (name), .type = SYNTH_LINK, .fixed = (target) \
	}

/* The rows; each table ends with a NULL path. */
extern const struct synth_node synth_proc_nodes[]; /* below /proc */
extern const struct synth_node synth_task_nodes[]; /* below /proc/#P only */
extern const struct synth_node synth_pid_nodes[];  /* below /proc/#P and /proc/#P/task/#T */
extern const struct synth_node synth_memory_nodes[], synth_state_nodes[];
extern const struct synth_node synth_mount_nodes[];	/* the same */
extern const struct synth_node synth_thread_nodes[];	/* below /proc/#P/task/#T only */
extern const struct synth_node synth_kernel_nodes[];	/* below /proc: what ours never does */
extern const struct synth_node synth_sysctl_nodes[];	/* below /proc/sys */
extern const struct synth_node synth_ipc_nodes[];	/* below /proc */
extern const struct synth_node synth_net_nodes[];	/* below /proc/#P and its tasks */
extern const struct synth_node synth_snmp_nodes[];	/* the same */
extern const struct synth_node synth_socket_nodes[];	/* the same */
extern const struct synth_node synth_net_settings[];	/* below /proc/sys */
extern const struct synth_node synth_interface_nodes[]; /* below /sys */
extern const struct synth_node synth_sys_nodes[];	/* below /sys */
extern const struct synth_node synth_cgroup_nodes[];	/* below /sys/fs/cgroup */
extern const struct synth_node synth_dev_nodes[];	/* below /dev */

#define SYNTH_PTS_RDEV (136 << 8) /* /dev/pts/0: the terminal behind the standard streams */

/* What uname says too: one kernel, whoever asks. */
#define SYNTH_OSTYPE	"Linux"
#define SYNTH_RELEASE	"6.1.0-shadow"
#define SYNTH_VERSION	"#1 SMP Shadow"
#define SYNTH_CPU_MODEL "Shadow deterministic x86-64 processor" /* as CPUID says */
#define SYNTH_TICK_NS	10000000ul				/* 100 ticks a second */

/* Makes room for `more` bytes and a NUL behind the text. */
void text_room(struct synth_text *out, size_t more);
/* Appends a piece; format as str_format.  At most TEXT_PIECE bytes: longer strings by text_string.
 */
#define TEXT_PIECE 512
#define text_add(out, ...)                                                      \
	do {                                                                    \
		text_room((out), TEXT_PIECE);                                   \
		str_format((out)->bytes, (out)->cap, &(out)->len, __VA_ARGS__); \
	} while (0)
void text_string(struct synth_text *out, const char *s);
void text_bytes(struct synth_text *out, const void *bytes, u64 len);
/* An absolute path of the container's files, as the reader knows it. */
void text_path(const struct synth_ctx *c, struct synth_text *out, const char *abs);
/* Spaces up to the given column of the last line. */
void text_pad(struct synth_text *out, size_t column);
/* All processors as a list ("0-1") and as a mask of 32-bit groups ("3"). */
void text_cpu_list(struct synth_text *out);
void text_cpu_mask(struct synth_text *out);
/* The same of some processors: AFFINITY_WORDS words. */
void text_some_cpus_list(struct synth_text *out, const u64 *mask);
void text_some_cpus_mask(struct synth_text *out, const u64 *mask);

/* synth_pid.c: the address space of #P, NULL if it has none; its thread #T, or the one that stands
 * for it; a mapping as a line of maps. */
struct mm;
struct vma;
struct mm *synth_memory(const struct synth_ctx *c);
struct task *synth_thread(const struct synth_ctx *c);
void synth_put_vma(const struct synth_ctx *c, struct synth_text *out, const struct vma *v);
/* The mappings as the app knows them: number i, or NULL for one of ours. */
const struct vma *synth_vma(const struct mm *mm, u32 i);
/* The priority as the kernel counts it, 0 the highest, 120 the usual; and the policy. */
s32 synth_prio(const struct synth_ctx *c, u32 *ret_policy);
/* The name ps shows; `ret_name` has 16 bytes. */
void synth_name(const struct synth_ctx *c, char *ret_name);

/* synth_pid.c: permission bits of the link of #F: 0500 for reading, 0300 for writing. */
u32 synth_fd_mode(const struct synth_ctx *c);

/*
 * The text of what was opened by this canonical path when the process it is of, if any, had this
 * birth.  -ESRCH if that process is gone, -ENOENT if what the path named is.  out->bytes: in the
 * heap.
 */
long synth_text_of(struct task *t, const char *abs, u64 birth, struct synth_text *out);

/* Whether SEEK_END means something: not to most of /proc, as to Linux's sequential files. */
bool synth_has_end(struct task *t, const char *abs);

/*
 * What is written to an open text of /proc: path as ofd.path, bytes of the shim.  `len` when it is
 * taken, -EINVAL for bytes that make no sense, -ESRCH when the process is gone, -EACCES when the
 * text cannot be written.
 */
long synth_write(struct task *t, const char *abs, const char *bytes, u64 len);

#endif
