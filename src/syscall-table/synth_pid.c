/*
 * /proc/PID and /proc/PID/task/TID: processes as the books of the container know them.
 *
 * Another process is shown from the same books as one's own: nothing asks the kernel, nothing
 * reads another process's memory.  Zombies and init have neither memory nor descriptors; init has
 * no task either.  Resident memory is what is mapped and can be reached, because real residence is
 * the host's business.  Formats: Documentation/filesystems/proc.rst and fs/proc of Linux 6.1.
 */
#include <linux/mman.h>
#include "../shim/mm.h"
#include "../shim/signal.h"
#include "credentials.h"
#include "seccomp.h"
#include "ipc.h"
#include "lookup.h"
#include "priority.h"
#include "synth.h"
#include "wait.h"

#define STACK_SHOWN_BYTES (132u << 10) /* of the stack's mapping, which is there as a whole */
#define MAPS_NAME_COLUMN  73
#define LIMIT_INFINITY	  (~0ul)
#define COMM_MAX	  16
#define RLIMIT_OF_RSS	  5
#define RLIMIT_OF_SIGNALS 11

/* ---- who is meant ---- */

static bool is_live(const struct synth_ctx *c)
{
	return c->proc != PROC_INIT && proc_at(c->proc)->state == PROC_LIVE;
}

/* The thread that stands for the path: its own, else the leader, else the first that is left. */
struct task *synth_thread(const struct synth_ctx *c)
{
	const struct proc *p = proc_at(c->proc);

	if (c->task || !is_live(c))
		return c->task;
	struct task *leader = proc_find_tid(c->proc, p->pid);
	return leader || p->threads == NONE ? leader : task_at(p->threads);
}

struct mm *synth_memory(const struct synth_ctx *c)
{
	return is_live(c) ? mm_at(proc_at(c->proc)->mm) : NULL;
}

/* The 15 characters that ps shows, also of a zombie. */
void synth_name(const struct synth_ctx *c, char *ret_name)
{
	const struct task *thread = synth_thread(c);
	const char *name = c->proc == PROC_INIT ? "init" : proc_at(c->proc)->comm;
	u32 n = 0;

	if (thread)
		name = thread->comm;
	for (; n < COMM_MAX - 1 && name[n]; n++)
		ret_name[n] = name[n];
	ret_name[n] = '\0';
}

static char state_of(const struct synth_ctx *c)
{
	struct task *thread = synth_thread(c);

	if (c->proc == PROC_INIT)
		return 'S';
	if (!thread)
		return 'Z';
	if (signal_task_of(thread)->flags & SIGNAL_STOPPED)
		return 'T';
	bool waits = SCHED->state[thread->index] == SCHED_STATE_PARKED && thread->spin == 0;
	return waits ? 'S' : 'R';
}

static u64 cpu_ticks(const struct synth_ctx *c)
{
	if (c->proc == PROC_INIT)
		return 0;
	if (c->task)
		return c->task->events * HEAD->config.time_step_ns / SYNTH_TICK_NS;
	return proc_cpu_ns(c->proc) / SYNTH_TICK_NS;
}

/* Strings of the app with a newline in them must not look like two lines; what stands for one may
 * begin with a backslash that needs another (NULL: it needs none). */
static void put_escaped(struct synth_text *out, const char *s, const char *newline,
			const char *backslash)
{
	text_room(out, strlen(s) * 4);
	for (; *s; s++) {
		if (*s == '\n')
			text_string(out, newline);
		else if (*s == '\\' && backslash)
			text_string(out, backslash);
		else
			text_bytes(out, s, 1);
	}
}

/* ---- memory ---- */

struct usage {
	u64 total, resident, data, stack, text, library, shared;
	u64 code_start, code_end;
};

static void usage_add(struct usage *u, const struct vma *v, const char *exe)
{
	u64 size = v->end - v->start;
	const struct mm_file *file = (const struct mm_file *)v->file;
	bool of_file = v->kind == VMA_FILE && file;

	u->total += size;
	if (v->kind == VMA_STACK) {
		u->stack += size;
		u->resident += size < STACK_SHOWN_BYTES ? size : STACK_SHOWN_BYTES;
		return;
	}
	if (v->prot)
		u->resident += size;
	if (of_file || v->flags & VMA_SHARED)
		u->shared += v->prot ? size : 0;
	if (v->prot & PROT_WRITE && !(v->flags & VMA_SHARED))
		u->data += size;
	if (!(v->prot & PROT_EXEC) || !of_file)
		return;
	if (!exe || !file->path || strcmp((char *)file->path, exe) != 0) {
		u->library += size;
		return;
	}
	u->text += size;
	if (!u->code_start)
		u->code_start = v->start;
	u->code_end = v->end;
}

static struct usage usage_of(const struct synth_ctx *c)
{
	const struct mm *mm = synth_memory(c);
	struct usage u = {0};

	for (u32 i = 0; mm && i < mm->count; i++) {
		const struct vma *v = vma_at(mm, i);
		if (v->kind != VMA_STUB)
			usage_add(&u, v, (char *)proc_at(c->proc)->exe_path);
	}
	return u;
}

/* The name of what is mapped, which Linux shows without the links that led there. */
static const char *file_name(struct mm_file *file)
{
	char real[FILE_PATH_MAX];

	if (!file->path_is_real && path_real_of((char *)file->path, file->vnode, real)) {
		heap_free((char *)file->path);
		file->path = (u64)heap_strdup(real);
	}
	file->path_is_real = 1;
	return (char *)file->path;
}

static void put_vma_name(const struct synth_ctx *c, struct synth_text *out, const struct vma *v)
{
	struct mm_file *file = (struct mm_file *)v->file;

	if (v->kind == VMA_HEAP || v->kind == VMA_STACK) {
		text_pad(out, MAPS_NAME_COLUMN);
		text_string(out, v->kind == VMA_HEAP ? "[heap]" : "[stack]");
	} else if (file) {
		text_pad(out, MAPS_NAME_COLUMN);
		bool named = file->path && (file->vnode || v->flags & VMA_SEGMENT);
		const char *path = named ? file_name(file) : "/dev/zero (deleted)";
		bool gone = v->flags & VMA_SEGMENT ||
			    (file->vnode && vnode_at(file->vnode)->flags & VNODE_GONE &&
			     strncmp(path, "/memfd:", 7) != 0);
		put_escaped(out, file->vnode ? fs_shown(c->t, path) : path, "\\012", NULL);
		if (gone)
			text_string(out, " (deleted)");
	}
}

/* The inode number of memory without a file: of a segment its id, as in Linux. */
static u64 segment_or_id(const struct vma *v)
{
	const struct mm_file *file = (const struct mm_file *)v->file;

	return v->flags & VMA_SEGMENT ? (u64)((struct ipc_object *)file->segment)->id : file->id;
}

void synth_put_vma(const struct synth_ctx *c, struct synth_text *out, const struct vma *v)
{
	const struct mm_file *file = (const struct mm_file *)v->file;
	u64 ino = !file ? 0 : file->vnode ? vnode_at(file->vnode)->ino : segment_or_id(v);

	text_add(out, "%08lx-%08lx %c%c%c%c %08lx ", v->start, v->end,
		 v->prot & PROT_READ ? 'r' : '-', v->prot & PROT_WRITE ? 'w' : '-',
		 v->prot & PROT_EXEC ? 'x' : '-', v->flags & VMA_SHARED ? 's' : 'p',
		 file ? v->file_off : 0);
	text_add(out, "%s %lu ", !file ? "00:00" : file->vnode ? "08:01" : "00:01", ino);
	put_vma_name(c, out, v);
	text_add(out, "\n");
}

const struct vma *synth_vma(const struct mm *mm, u32 i)
{
	const struct vma *v = vma_at(mm, i);

	return v->kind == VMA_STUB ? NULL : v;
}

static void make_maps(const struct synth_ctx *c, struct synth_text *out)
{
	const struct mm *mm = synth_memory(c);

	for (u32 i = 0; mm && i < mm->count; i++) {
		if (synth_vma(mm, i))
			synth_put_vma(c, out, synth_vma(mm, i));
	}
}

static void make_statm(const struct synth_ctx *c, struct synth_text *out)
{
	struct usage u = usage_of(c);

	text_add(out, "%lu %lu %lu %lu 0 %lu 0\n", u.total / MM_PAGE, u.resident / MM_PAGE,
		 u.shared / MM_PAGE, u.text / MM_PAGE, (u.data + u.stack) / MM_PAGE);
}

/* ---- strings of the process ---- */

static void make_cmdline(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);

	if (is_live(c) && p->cmdline)
		text_bytes(out, (void *)p->cmdline, p->cmdline_len);
}

/* A fork keeps no copy of the environment: its own memory still has it. */
static void make_environ(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	const struct mm *mm = synth_memory(c);

	if (!mm)
		return;
	if (p->environ_blob) {
		text_bytes(out, (void *)p->environ_blob, p->environ_len);
		return;
	}
	u64 len = mm->env_end - mm->env_start;
	if (c->proc != c->t->proc || mm->env_end < mm->env_start || len > APP_STACK_SIZE)
		return;
	text_room(out, len);
	if (user_copy_in(out->bytes + out->len, mm->env_start, len) == 0) {
		out->len += len;
		out->bytes[out->len] = '\0';
	}
}

static void make_comm(const struct synth_ctx *c, struct synth_text *out)
{
	char name[COMM_MAX];

	synth_name(c, name);
	text_add(out, "%s\n", name);
}

/* Only the threads of one's own process can be renamed, as in Linux. */
static long write_comm(const struct synth_ctx *c, const char *bytes, u64 len)
{
	struct task *thread = synth_thread(c);
	u32 n = 0;

	if (c->proc != c->t->proc || !thread)
		return -EINVAL;
	memset(thread->comm, 0, sizeof(thread->comm));
	for (; n < len && n < COMM_MAX - 1 && bytes[n]; n++)
		thread->comm[n] = bytes[n];
	return (long)len;
}

static void make_exe(const struct synth_ctx *c, struct synth_text *out)
{
	if (!is_live(c) || !proc_at(c->proc)->exe_path)
		return;
	const char *path = (char *)proc_at(c->proc)->exe_path;
	text_path(c, out, path);
	if (vnode_at(mm_at(proc_at(c->proc)->mm)->exe)->flags & VNODE_GONE &&
	    strncmp(path, "/memfd:", 7) != 0)
		text_string(out, " (deleted)");
}

static void make_cwd(const struct synth_ctx *c, struct synth_text *out)
{
	const struct fs_info *fs;

	if (!is_live(c))
		return;
	fs = &FILES->fs[proc_at(c->proc)->fs];
	text_path(c, out, fs->cwd);
	if (fs->vnode && vnode_at(fs->vnode)->flags & VNODE_GONE)
		text_string(out, " (deleted)");
}

static void make_root(const struct synth_ctx *c, struct synth_text *out)
{
	const char *root = is_live(c) ? FILES->fs[proc_at(c->proc)->fs].root : NULL;

	text_path(c, out, root ? root : "/");
}

/* ---- stat and status ---- */

struct signal_sets {
	u64 pending, shared, blocked, ignored, caught;
};

static struct signal_sets signals_of(const struct synth_ctx *c)
{
	struct signal_sets s = {0};
	struct task *thread = synth_thread(c);

	if (!thread)
		return s;
	const struct signal_proc *p = &SIGNALS->procs[c->proc];
	s.pending = signal_task_of(thread)->queue.pending;
	s.shared = p->queue.pending;
	s.blocked = signal_task_of(thread)->mask;
	for (u32 i = 0; i < SIG_MAX; i++) {
		if (p->actions->at[i].handler == SIG_HANDLER_IGN)
			s.ignored |= SIG_BIT(i + 1);
		else if (p->actions->at[i].handler != SIG_HANDLER_DFL)
			s.caught |= SIG_BIT(i + 1);
	}
	return s;
}

static u32 parent_pid(const struct synth_ctx *c)
{
	return c->proc == PROC_INIT ? 0 : proc_at(proc_at(c->proc)->parent)->pid;
}

static u32 id_of(const struct synth_ctx *c)
{
	return c->task ? c->task->tid : proc_at(c->proc)->pid;
}

/* What is told of a task's priority; a zombie's is forgotten. */
static const struct priority *priority_told(const struct synth_ctx *c)
{
	static const struct priority usual;
	const struct task *thread = synth_thread(c);

	return thread ? priority_of(thread) : &usual;
}

s32 synth_prio(const struct synth_ctx *c, u32 *ret_policy)
{
	const struct priority *p = priority_told(c);

	*ret_policy = p->policy;
	return p->rt_priority ? 99 - (s32)p->rt_priority : 120 + p->nice;
}

/* Fields 1 to 22 of stat: who, whose, and how long. */
static void put_stat_who(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	u64 begin = p->start_time_ns, boot = clock_monotonic_base();
	char name[COMM_MAX];
	u32 policy;

	synth_name(c, name);
	text_add(out, "%u (%s) %c %u %u %u %u %d 4194304 0 0 0 0 ", id_of(c), name, state_of(c),
		 parent_pid(c), p->pgid, p->sid, p->ctty ? p->ctty->rdev : 0,
		 p->ctty ? (s32)p->ctty->pgrp : -1);
	text_add(out, "%lu 0 %lu 0 %d %d %u 0 %lu ", cpu_ticks(c), p->cutime_ns / SYNTH_TICK_NS,
		 synth_prio(c, &policy) - 100, priority_told(c)->nice, is_live(c) ? p->nthreads : 1,
		 begin > boot ? (begin - boot) / SYNTH_TICK_NS : 0);
}

/* Fields 26 to 28: where its code and stack are, if there is any, which all may know. */
static void put_stat_code(const struct synth_ctx *c, struct synth_text *out, bool looks)
{
	const struct mm *mm = synth_memory(c);
	struct usage u = usage_of(c);

	if (mm && looks)
		text_add(out, "%lu %lu %lu ", u.code_start, u.code_end, mm->stack_top);
	else
		text_add(out, mm ? "1 1 0 " : "0 0 0 ");
}

/* Fields 45 to 52: addresses, and how it ended. */
static void put_stat_end(const struct synth_ctx *c, struct synth_text *out, bool looks)
{
	const struct proc *p = proc_at(c->proc);
	const struct mm *mm = synth_memory(c);

	if (mm && looks)
		text_add(out, "0 0 %lu %lu %lu %lu %lu ", mm->brk_start, mm->arg_start, mm->arg_end,
			 mm->env_start, mm->env_end);
	else
		text_add(out, "0 0 0 0 0 0 0 ");
	text_add(out, "%u\n", p->state == PROC_ZOMBIE && looks ? (u32)p->status : 0);
}

static void make_stat(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	struct signal_sets s = signals_of(c);
	struct usage u = usage_of(c);
	bool looks = may_look_into(c->t, c->proc);

	put_stat_who(c, out);
	text_add(out, "%lu %lu %lu ", u.total, u.resident / MM_PAGE,
		 is_live(c) ? p->rlimits[RLIMIT_OF_RSS][0] : LIMIT_INFINITY);
	put_stat_code(c, out, looks);
	text_add(out, "0 0 ");
	text_add(out, "%lu %lu %lu %lu 0 0 0 ", s.pending & 0x7fffffff, s.blocked & 0x7fffffff,
		 s.ignored & 0x7fffffff, s.caught & 0x7fffffff);
	text_add(out, "%u 0 %u %u 0 0 0 ", p->exit_signal, priority_told(c)->rt_priority,
		 priority_told(c)->policy);
	put_stat_end(c, out, looks);
}

static void put_kb(struct synth_text *out, const char *name, u64 bytes)
{
	text_add(out, "%s:\t%8lu kB\n", name, bytes / 1024);
}

static void put_status_memory(const struct synth_ctx *c, struct synth_text *out)
{
	struct usage u = usage_of(c);

	put_kb(out, "VmPeak", u.total);
	put_kb(out, "VmSize", u.total);
	put_kb(out, "VmLck", synth_memory(c)->locked_bytes);
	put_kb(out, "VmPin", 0);
	put_kb(out, "VmHWM", u.resident);
	put_kb(out, "VmRSS", u.resident);
	put_kb(out, "RssAnon", u.resident - u.shared);
	put_kb(out, "RssFile", u.shared);
	put_kb(out, "RssShmem", 0);
	put_kb(out, "VmData", u.data);
	put_kb(out, "VmStk", STACK_SHOWN_BYTES);
	put_kb(out, "VmExe", u.text);
	put_kb(out, "VmLib", u.library);
	put_kb(out, "VmPTE", u.total / 512);
	put_kb(out, "VmSwap", 0);
	put_kb(out, "HugetlbPages", 0);
	text_add(out, "CoreDumping:\t0\nTHP_enabled:\t1\n");
}

static void put_status_ids(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);

	text_add(out, "Tgid:\t%u\nNgid:\t0\nPid:\t%u\nPPid:\t%u\nTracerPid:\t0\n", p->pid, id_of(c),
		 parent_pid(c));
	text_add(out, "Uid:\t%u\t%u\t%u\t%u\n", p->uid, p->euid, p->suid, p->fsuid);
	text_add(out, "Gid:\t%u\t%u\t%u\t%u\n", p->gid, p->egid, p->sgid, p->fsgid);
	text_add(out, "FDSize:\t%u\nGroups:\t", is_live(c) ? 256 : 0);
	for (u32 i = 0; i < p->ngroups; i++)
		text_add(out, "%u ", ((u32 *)p->groups)[i]);
	text_add(out, "\nNStgid:\t%u\nNSpid:\t%u\nNSpgid:\t%u\nNSsid:\t%u\n", p->pid, id_of(c),
		 p->pgid, p->sid);
}

static void put_status_signals(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	struct signal_sets s = signals_of(c);

	text_add(out, "Threads:\t%u\nSigQ:\t%u/%lu\n", is_live(c) ? p->nthreads : 1,
		 signal_charged(c->proc), p->rlimits[RLIMIT_OF_SIGNALS][0]);
	text_add(out, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", s.pending, s.shared,
		 s.blocked);
	text_add(out, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", s.ignored, s.caught);
}

static void put_status_rest(const struct synth_ctx *c, struct synth_text *out)
{
	const struct proc *p = proc_at(c->proc);
	const struct task *thread = synth_thread(c);
	u64 cpus[AFFINITY_WORDS];

	text_add(out, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n", p->cap_inheritable,
		 p->cap_permitted, p->cap_effective);
	text_add(out, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%u\n", p->cap_bounding,
		 p->cap_ambient, p->no_new_privs);
	text_add(out, "Seccomp:\t%lu\nSeccomp_filters:\t%u\n", thread ? thread->seccomp_mode : 0,
		 thread ? seccomp_count(thread) : 0);
	text_add(out, "Speculation_Store_Bypass:\tnot vulnerable\n"
		      "SpeculationIndirectBranch:\tnot affected\nCpus_allowed:\t");
	priority_affinity(priority_told(c), cpus);
	text_some_cpus_mask(out, cpus);
	text_add(out, "\nCpus_allowed_list:\t");
	text_some_cpus_list(out, cpus);
	text_add(out, "\nMems_allowed:\t1\nMems_allowed_list:\t0\n");
	text_add(out, "voluntary_ctxt_switches:\t0\nnonvoluntary_ctxt_switches:\t0\n");
}

static const char *state_word(char state)
{
	switch (state) {
	case 'R':
		return "running";
	case 'T':
		return "stopped";
	case 'Z':
		return "zombie";
	default:
		return "sleeping";
	}
}

static void make_status(const struct synth_ctx *c, struct synth_text *out)
{
	char name[COMM_MAX], state = state_of(c);
	u32 umask = is_live(c) ? FILES->fs[proc_at(c->proc)->fs].umask : 0;

	synth_name(c, name);
	text_add(out, "Name:\t");
	put_escaped(out, name, "\\n", "\\\\");
	text_add(out, "\n");
	if (is_live(c) || c->proc == PROC_INIT)
		text_add(out, "Umask:\t0%u%u%u\n", umask >> 6 & 7, umask >> 3 & 7, umask & 7);
	text_add(out, "State:\t%c (%s)\n", state, state_word(state));
	put_status_ids(c, out);
	if (synth_memory(c))
		put_status_memory(c, out);
	put_status_signals(c, out);
	put_status_rest(c, out);
}

/* ---- limits, io ---- */

static void put_limit(struct synth_text *out, u64 value, size_t column)
{
	if (value == LIMIT_INFINITY)
		text_add(out, "unlimited");
	else
		text_add(out, "%lu", value);
	text_pad(out, column);
}

static void make_limits(const struct synth_ctx *c, struct synth_text *out)
{
	static const char *const lines[16][2] = {
		{"Max cpu time", "seconds"},	 {"Max file size", "bytes"},
		{"Max data size", "bytes"},	 {"Max stack size", "bytes"},
		{"Max core file size", "bytes"}, {"Max resident set", "bytes"},
		{"Max processes", "processes"},	 {"Max open files", "files"},
		{"Max locked memory", "bytes"},	 {"Max address space", "bytes"},
		{"Max file locks", "locks"},	 {"Max pending signals", "signals"},
		{"Max msgqueue size", "bytes"},	 {"Max nice priority", ""},
		{"Max realtime priority", ""},	 {"Max realtime timeout", "us"},
	};
	const struct proc *p = proc_at(c->proc);

	text_add(out, "Limit                     Soft Limit           Hard Limit           "
		      "Units     \n");
	for (u32 i = 0; i < 16; i++) {
		text_string(out, lines[i][0]);
		text_pad(out, 26);
		put_limit(out, p->rlimits[i][0], 47);
		put_limit(out, p->rlimits[i][1], 68);
		text_string(out, lines[i][1]);
		text_pad(out, 78);
		text_string(out, "\n");
	}
}

static const char io_text[] = "rchar: 0\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\n"
			      "write_bytes: 0\ncancelled_write_bytes: 0\n";

/* ---- descriptors ---- */

static struct ofd *ofd_of(const struct synth_ctx *c)
{
	return ofd_at(FILES->tables[proc_at(c->proc)->files].fd[c->fd] & FD_OFD);
}

/* The inode number that fstat gives: names of pipes are made of it. */
static u64 ino_of(const struct synth_ctx *c, struct ofd *o)
{
	struct vstat st;

	if (o->vnode)
		return vnode_at(o->vnode)->ino;
	return fd_stat(c->t, o, c->fd, &st) < 0 ? 0 : st.ino;
}

/* Standard streams have no path: what they are is in the configuration. */
static void put_stdio_target(const struct synth_ctx *c, struct ofd *o, struct synth_text *out)
{
	u32 stream = o->kind == OFD_STREAM_OUT ? o->object : 0;

	if (HEAD->config.stdio[stream].kind == STDIO_TTY)
		text_string(out, "/dev/pts/0");
	else
		text_add(out, "pipe:[%lu]", ino_of(c, o));
}

static void put_path_target(const struct synth_ctx *c, struct ofd *o, struct synth_text *out)
{
	char real[FILE_PATH_MAX];

	text_path(c, out, path_real_of(o->path, o->vnode, real) ? real : o->path);
	if (o->vnode && vnode_at(o->vnode)->flags & VNODE_GONE &&
	    strncmp(o->path, "/memfd:", 7) != 0)
		text_string(out, " (deleted)");
}

/* Kinds of files that have no name anywhere. */
static const char *const anon_names[OFD_KIND_COUNT] = {
	[OFD_PIDFD] = "[pidfd]",   [OFD_EVENTFD] = "[eventfd]", [OFD_EPOLL] = "[eventpoll]",
	[OFD_INOTIFY] = "inotify", [OFD_TIMERFD] = "[timerfd]", [OFD_SIGNALFD] = "[signalfd]",
};

static void put_mqueue_target(const struct ofd *o, struct synth_text *out)
{
	const char *name = mqueue_name(o);

	text_string(out, "/");
	text_string(out, name ? name : "(deleted)");
}

static void put_fd_target(const struct synth_ctx *c, struct synth_text *out)
{
	struct ofd *o = ofd_of(c);

	if (anon_names[o->kind])
		text_add(out, "anon_inode:%s", anon_names[o->kind]);
	else if (o->kind == OFD_SOCKET)
		text_add(out, "socket:[%lu]", ino_of(c, o));
	else if (o->kind == OFD_MQUEUE)
		put_mqueue_target(o, out);
	else if (o->path)
		put_path_target(c, o, out);
	else if (o->kind == OFD_NULL)
		text_string(out, "/dev/null");
	else if (o->kind == OFD_HOST_FILE)
		text_string(out, "/stdio (deleted)"); /* a file that has no name inside */
	else
		put_stdio_target(c, o, out);
}

u32 synth_fd_mode(const struct synth_ctx *c)
{
	static const u32 by_access[] = {0500, 0300, 0700, 0700};

	return by_access[ofd_of(c)->flags & O_ACCMODE];
}

static void put_octal(struct synth_text *out, u32 value)
{
	for (int shift = 30; shift >= 0; shift -= 3) {
		if (value >> shift || !shift)
			text_add(out, "%u", value >> shift & 7);
	}
}

/* The kernel knows the position of a file, but only of our own descriptors; of others' the books.
 */
static u64 position_of(const struct synth_ctx *c, const struct ofd *o)
{
	bool kernels = o->kind == OFD_HOST_FILE || o->kind == OFD_SYNTH_FILE;

	if (!kernels)
		return o->kind == OFD_HOST_DIR || o->kind == OFD_SYNTH_DIR ? o->private[0] : 0;
	if (c->proc != c->t->proc)
		return o->private[0] ? o->private[0] - 1 : 0;
	long at = SYS3(NR_lseek, c->fd, 0, 1);
	return at > 0 ? (u64)at : 0;
}

static void make_fdinfo(const struct synth_ctx *c, struct synth_text *out)
{
	struct ofd *o = ofd_of(c);
	u32 entry = FILES->tables[proc_at(c->proc)->files].fd[c->fd];

	text_add(out, "pos:\t%lu\nflags:\t0", position_of(c, o));
	put_octal(out, o->flags | (entry & FD_CLOEXEC_BIT ? O_CLOEXEC : 0));
	text_add(out, "\nmnt_id:\t21\nino:\t%lu\n", ino_of(c, o));
	if (file_ops_of(o->kind)->info)
		file_ops_of(o->kind)->info(o, out);
}

/* ---- rows ---- */

const struct synth_node synth_task_nodes[] = {
	{.path = "/task", .type = SYNTH_DIR, .counts_threads = true},
	NODE_DIR("/task/#T"),
	{.path = NULL},
};

const struct synth_node synth_pid_nodes[] = {
	{.path = "/cmdline", .type = SYNTH_TEXT, .flat = true, .make = make_cmdline},
	{.path = "/comm", .type = SYNTH_TEXT, .mode = 0644, .make = make_comm, .write = write_comm},
	{.path = "/environ",
	 .type = SYNTH_TEXT,
	 .gone = ESRCH,
	 .mode = 0400,
	 .flat = true,
	 .make = make_environ},
	{.path = "/exe", .type = SYNTH_LINK, .is_exe = true, .looks = true, .make = make_exe},
	{.path = "/cwd", .type = SYNTH_LINK, .looks = true, .make = make_cwd},
	{.path = "/root", .type = SYNTH_LINK, .gone = ENOENT, .looks = true, .make = make_root},
	{.path = "/fd", .type = SYNTH_DIR, .mode = 0500},
	{.path = "/fd/#F", .type = SYNTH_LINK, .is_fd = true, .looks = true, .make = put_fd_target},
	{.path = "/fdinfo", .type = SYNTH_DIR, .looks = true},
	NODE_TEXT("/fdinfo/#F", make_fdinfo),
	NODE_LOOKS("/maps", make_maps),
	NODE_TEXT("/stat", make_stat),
	NODE_TEXT("/statm", make_statm),
	NODE_TEXT("/status", make_status),
	NODE_TEXT("/limits", make_limits),
	NODE_FIXED("/cgroup", "0::/\n"),
	{.path = "/io", .type = SYNTH_TEXT, .mode = 0400, .fixed = io_text},
	{.path = NULL},
};
