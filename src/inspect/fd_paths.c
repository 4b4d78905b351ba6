/*
 * See fd_paths.h.  Processes have descriptor tables, which they may share; threads have their
 * process's, as in the container.
 *
 * Where a task comes from says the first event it has itself (struct event_origin); a clone's event
 * counts only if it is earlier, as that of a child which waits in its first call.
 *
 * A log is hostile: whatever it says of tasks, each is looked up by its number, and a path is no
 * longer than PATH_MAX.
 */
#include "fd_paths.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "fd_table.h"
#include "syscall_nr.h"

/* The one that has its process's number stands for the process, too. */
struct fd_task {
	uint32_t number, process;
	bool early;		/* its maker's clone came before its first event */
	unsigned threads;	/* of a process: those that have not ended */
	struct fd_table *table; /* of a process; NULL: it has ended */
};

struct fd_paths {
	struct fd_table *first; /* of the first task, until it comes */
	struct fd_task *tasks;	/* sorted by number */
	size_t count, room;
};

/* ---- tasks ---- */

/* Where the task is, or belongs. */
static size_t task_index(const struct fd_paths *paths, uint32_t number)
{
	size_t low = 0, high = paths->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (paths->tasks[mid].number < number)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct fd_task *task_find(const struct fd_paths *paths, uint32_t number)
{
	size_t i = task_index(paths, number);

	return i < paths->count && paths->tasks[i].number == number ? &paths->tasks[i] : NULL;
}

static struct fd_task *process_of(const struct fd_paths *paths, uint32_t number)
{
	const struct fd_task *task = task_find(paths, number);

	return task != NULL ? task_find(paths, task->process) : NULL;
}

/* Makes room for the task, all zeros but its number; one that had it before is gone, since numbers
 * come again.  NULL for want of memory. */
static struct fd_task *task_add(struct fd_paths *paths, uint32_t number)
{
	struct fd_task *task = task_find(paths, number);
	size_t i = task_index(paths, number);

	if (task != NULL) {
		fd_table_put(task->table);
	} else {
		if (paths->count == paths->room) {
			size_t room = paths->room != 0 ? 2 * paths->room : 16;
			struct fd_task *more = realloc(paths->tasks, room * sizeof(*more));

			if (more == NULL)
				return NULL;
			paths->tasks = more;
			paths->room = room;
		}
		task = &paths->tasks[i];
		memmove(task + 1, task, (paths->count++ - i) * sizeof(*task));
	}
	*task = (struct fd_task){.number = number};
	return task;
}

/* Takes the reference; NULL is want of memory. */
static int process_add(struct fd_paths *paths, uint32_t number, struct fd_table *table)
{
	struct fd_task *process = table != NULL ? task_add(paths, number) : NULL;

	if (process == NULL) {
		fd_table_put(table);
		return -ENOMEM;
	}
	process->process = number;
	process->threads = 1;
	process->table = table;
	return 0;
}

static int thread_add(struct fd_paths *paths, uint32_t number, uint32_t process)
{
	struct fd_task *thread = task_add(paths, number);

	if (thread == NULL)
		return -ENOMEM;
	thread->process = process;
	struct fd_task *of = task_find(paths, process);
	if (of != NULL)
		of->threads++;
	return 0;
}

static int child_add(struct fd_paths *paths, uint32_t number, uint32_t maker, bool shares)
{
	const struct fd_task *of = task_find(paths, maker);
	struct fd_table *table = of != NULL ? of->table : NULL;

	if (table != NULL && shares)
		table->refs++;
	else
		table = fd_table_copy(table);
	return process_add(paths, number, table);
}

static int table_own(struct fd_task *process)
{
	struct fd_table *own = fd_table_copy(process->table);

	if (own == NULL)
		return -ENOMEM;
	fd_table_put(process->table);
	process->table = own;
	return 0;
}

static void process_end(struct fd_task *process)
{
	fd_table_put(process->table);
	process->table = NULL;
}

/* ---- what calls do that have succeeded ---- */

typedef int effect_fn(struct fd_task *process, const struct event_view *event);

/* The first 8 bytes of a structure the call read: its flags.  0 if the event does not hold it. */
static uint64_t struct_flags(const struct event_view *event, unsigned arg)
{
	struct event_item_view item;
	uint64_t flags = 0;

	if (event_item_find(event, arg, EVENT_ITEM_IN, &item) &&
	    item.head.stored_bytes >= sizeof(flags))
		memcpy(&flags, item.bytes, sizeof(flags));
	return flags;
}

static int do_open(struct fd_task *process, const struct event_view *event, uint32_t dirfd,
		   unsigned path_arg, uint64_t flags)
{
	const struct fd_entry *folder = fd_table_at(process->table, dirfd);
	const char *below = folder != NULL && folder->opened != NULL ? folder->opened->path : NULL;
	struct event_item_view path;
	struct opened *opened = NULL;

	if (event_item_find(event, path_arg, EVENT_ITEM_STRING, &path)) {
		const char *text = (const char *)path.bytes;
		size_t size = strnlen(text, path.head.stored_bytes);

		if (size > 0 && text[0] == '/')
			below = NULL;
		if (size + (below != NULL ? strlen(below) : 0) < PATH_MAX) {
			opened = opened_create(below, text, size);
			if (opened == NULL)
				return -ENOMEM;
		}
	}
	return fd_table_set(process->table, (uint32_t)event->head.result, opened,
			    flags & O_CLOEXEC);
}

static int after_open(struct fd_task *process, const struct event_view *event)
{
	return do_open(process, event, (uint32_t)AT_FDCWD, 0, event->head.args[1]);
}

static int after_creat(struct fd_task *process, const struct event_view *event)
{
	return do_open(process, event, (uint32_t)AT_FDCWD, 0, 0);
}

static int after_openat(struct fd_task *process, const struct event_view *event)
{
	return do_open(process, event, (uint32_t)event->head.args[0], 1, event->head.args[2]);
}

static int after_openat2(struct fd_task *process, const struct event_view *event)
{
	return do_open(process, event, (uint32_t)event->head.args[0], 1, struct_flags(event, 2));
}

static int do_dup(struct fd_task *process, const struct event_view *event, bool cloexec)
{
	const struct fd_entry *from = fd_table_at(process->table, (uint32_t)event->head.args[0]);
	struct opened *opened = from != NULL ? opened_hold(from->opened) : NULL;

	return fd_table_set(process->table, (uint32_t)event->head.result, opened, cloexec);
}

static int after_dup(struct fd_task *process, const struct event_view *event)
{
	return do_dup(process, event, false);
}

static int after_dup2(struct fd_task *process, const struct event_view *event)
{
	if ((uint32_t)event->head.args[0] == (uint32_t)event->head.args[1])
		return 0;
	return do_dup(process, event, false);
}

static int after_dup3(struct fd_task *process, const struct event_view *event)
{
	return do_dup(process, event, event->head.args[2] & O_CLOEXEC);
}

static void set_cloexec(struct fd_task *process, uint32_t fd, bool on)
{
	struct fd_entry *entry = fd_table_at(process->table, fd);

	if (entry != NULL)
		entry->cloexec = on;
}

static int after_fcntl(struct fd_task *process, const struct event_view *event)
{
	switch ((int)event->head.args[1]) {
	case F_DUPFD:
		return do_dup(process, event, false);
	case F_DUPFD_CLOEXEC:
		return do_dup(process, event, true);
	case F_SETFD:
		set_cloexec(process, (uint32_t)event->head.args[0],
			    event->head.args[2] & FD_CLOEXEC);
		return 0;
	default:
		return 0;
	}
}

static int after_ioctl(struct fd_task *process, const struct event_view *event)
{
	uint32_t request = (uint32_t)event->head.args[1];

	if (request == FIOCLEX || request == FIONCLEX)
		set_cloexec(process, (uint32_t)event->head.args[0], request == FIOCLEX);
	return 0;
}

static int after_close(struct fd_task *process, const struct event_view *event)
{
	return fd_table_set(process->table, (uint32_t)event->head.args[0], NULL, false);
}

static int after_close_range(struct fd_task *process, const struct event_view *event)
{
	uint32_t first = (uint32_t)event->head.args[0], last = (uint32_t)event->head.args[1];
	uint32_t flags = (uint32_t)event->head.args[2];
	int error = flags & CLOSE_RANGE_UNSHARE ? table_own(process) : 0;

	if (error < 0)
		return error;
	for (uint32_t fd = first; fd <= last && fd < process->table->count; fd++) {
		if (flags & CLOSE_RANGE_CLOEXEC)
			process->table->entries[fd].cloexec = true;
		else
			fd_entry_drop(&process->table->entries[fd]);
	}
	return 0;
}

/* The thread that calls exec is all that is left of its process, and gets its number. */
static int after_exec(struct fd_task *process, const struct event_view *event)
{
	int error = table_own(process);

	(void)event;
	if (error < 0)
		return error;
	process->threads = 1;
	for (unsigned fd = 0; fd < process->table->count; fd++) {
		if (process->table->entries[fd].cloexec)
			fd_entry_drop(&process->table->entries[fd]);
	}
	return 0;
}

static int after_exit(struct fd_task *process, const struct event_view *event)
{
	(void)event;
	if (process->threads-- <= 1)
		process_end(process);
	return 0;
}

static int after_exit_group(struct fd_task *process, const struct event_view *event)
{
	(void)event;
	process_end(process);
	return 0;
}

static effect_fn *const effects[SYSCALL_NR_END] = {
	[NR_open] = after_open,
	[NR_creat] = after_creat,
	[NR_openat] = after_openat,
	[NR_openat2] = after_openat2,
	[NR_dup] = after_dup,
	[NR_dup2] = after_dup2,
	[NR_dup3] = after_dup3,
	[NR_fcntl] = after_fcntl,
	[NR_ioctl] = after_ioctl,
	[NR_close] = after_close,
	[NR_close_range] = after_close_range,
	[NR_execve] = after_exec,
	[NR_execveat] = after_exec,
	[NR_exit] = after_exit,
	[NR_exit_group] = after_exit_group,
};

/* ---- events ---- */

/* Kept events of earlier versions lack origins: of such a task nothing is known. */
static struct event_origin origin_of(const struct event_view *event)
{
	struct event_origin origin = {.process = event->head.task};
	struct event_item_view item;

	if (event_item_find(event, 0, EVENT_ITEM_ORIGIN, &item) &&
	    item.head.stored_bytes >= sizeof(origin))
		memcpy(&origin, item.bytes, sizeof(origin));
	return origin;
}

int fd_paths_enter(struct fd_paths *paths, const struct event_view *event)
{
	uint32_t number = event->head.task;
	struct fd_task *task = task_find(paths, number);
	struct fd_table *first = paths->first;
	struct event_item_view item;

	if (first != NULL) {
		paths->first = NULL;
		return process_add(paths, number, first);
	}
	if (task != NULL && (task->early || !event_item_find(event, 0, EVENT_ITEM_ORIGIN, &item))) {
		task->early = false;
		return 0;
	}
	struct event_origin origin = origin_of(event);
	if (origin.process != number)
		return thread_add(paths, number, origin.process);
	return child_add(paths, number, origin.maker, origin.shares_files);
}

static uint64_t clone_flags(const struct event_view *event)
{
	if (event->head.nr == NR_clone)
		return event->head.args[0];
	return event->head.nr == NR_clone3 ? struct_flags(event, 0) : 0;
}

/* Of a child that had an event all is known. */
static int add_early(struct fd_paths *paths, const struct fd_task *process,
		     const struct event_view *event)
{
	uint32_t child = (uint32_t)event->head.result, maker = process->number;
	uint64_t flags = clone_flags(event);

	if (child == 0 || task_find(paths, child) != NULL)
		return 0;
	int error = flags & CLONE_THREAD ? thread_add(paths, child, maker)
					 : child_add(paths, child, maker, flags & CLONE_FILES);
	if (error == 0)
		task_find(paths, child)->early = true;
	return error;
}

static bool is_clone(int32_t nr)
{
	return nr == NR_clone || nr == NR_clone3 || nr == NR_fork || nr == NR_vfork;
}

int fd_paths_leave(struct fd_paths *paths, const struct event_view *event)
{
	struct fd_task *process = process_of(paths, event->head.task);
	int32_t nr = event->head.nr;

	if (process == NULL || process->table == NULL || event->head.result < 0 || nr < 0 ||
	    nr >= SYSCALL_NR_END)
		return 0;
	if (is_clone(nr))
		return add_early(paths, process, event);
	return effects[nr] != NULL ? effects[nr](process, event) : 0;
}

const char *fd_paths_find(const struct fd_paths *paths, uint32_t task, int fd)
{
	const struct fd_task *process = process_of(paths, task);
	const struct fd_entry *entry =
		process != NULL ? fd_table_at(process->table, (uint32_t)fd) : NULL;

	return entry != NULL && entry->opened != NULL ? entry->opened->path : NULL;
}

/* ---- the whole ---- */

static int open_stdio(struct fd_table *table, const char *const stdio[3])
{
	for (uint32_t fd = 0; fd < 3; fd++) {
		struct opened *opened = stdio[fd] != NULL
						? opened_create(NULL, stdio[fd], strlen(stdio[fd]))
						: NULL;

		if (stdio[fd] != NULL &&
		    (opened == NULL || fd_table_set(table, fd, opened, false) < 0))
			return -ENOMEM;
	}
	return 0;
}

int fd_paths_create(const char *const stdio[3], struct fd_paths **ret_paths)
{
	struct fd_paths *paths = calloc(1, sizeof(*paths));

	if (paths == NULL)
		return -ENOMEM;
	paths->first = fd_table_create();
	if (paths->first == NULL || open_stdio(paths->first, stdio) < 0) {
		fd_paths_destroy(paths);
		return -ENOMEM;
	}
	*ret_paths = paths;
	return 0;
}

void fd_paths_destroy(struct fd_paths *paths)
{
	if (paths == NULL)
		return;
	for (size_t i = 0; i < paths->count; i++)
		fd_table_put(paths->tasks[i].table);
	fd_table_put(paths->first);
	free(paths->tasks);
	free(paths);
}
