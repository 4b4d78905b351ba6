/*
 * Made-up events, and by which path the descriptor of each read was opened: "task:path ".
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/close_range.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "check.h"
#include "inspect/fd_paths.h"
#include "syscall_nr.h"

static struct fd_paths *paths;
static char noted[4096];

static void begin(const char *in, const char *out, const char *err)
{
	const char *const stdio[3] = {in, out, err};

	noted[0] = '\0';
	CHECK(fd_paths_create(stdio, &paths) == 0);
}

static void finish(const char *wanted)
{
	if (strcmp(noted, wanted) != 0) {
		fprintf(stderr, "wanted: %s\nnoted:  %s\n", wanted, noted);
		failures++;
	}
	fd_paths_destroy(paths);
}

static void note(const struct event_view *event)
{
	const char *path = fd_paths_find(paths, event->head.task, (int)event->head.args[0]);
	size_t used = strlen(noted);

	snprintf(noted + used, sizeof(noted) - used, "%u:%s ", event->head.task,
		 path != NULL ? path : "-");
}

/* An event, with `size` bytes of an item for argument `arg` if there are any. */
static void take(uint32_t task, int32_t nr, int64_t result, uint64_t a, uint64_t b, uint64_t c,
		 uint8_t arg, enum event_item_kind kind, const void *bytes, size_t size)
{
	static _Alignas(8) uint8_t record[EVENT_RECORD_MAX_BYTES];
	struct event_record head = {.size_bytes = sizeof(head),
				    .task = task,
				    .nr = nr,
				    .result = result,
				    .args = {a, b, c}};
	struct event_item item = {arg, (uint8_t)kind, (uint16_t)size, (uint32_t)size};
	struct event_view view;

	memset(record, 0, sizeof(record));
	if (size > 0) {
		memcpy(record + sizeof(head), &item, sizeof(item));
		memcpy(record + sizeof(head) + sizeof(item), bytes, size);
		head.size_bytes += (uint32_t)(sizeof(item) + ((size + 7) & ~7ul));
	}
	memcpy(record, &head, sizeof(head));
	CHECK(event_decode(record, sizeof(record), &view) == 0);
	CHECK(fd_paths_enter(paths, &view) == 0);
	if (nr == NR_read)
		note(&view);
	CHECK(fd_paths_leave(paths, &view) == 0);
}

static void call(uint32_t task, int32_t nr, int64_t result, uint64_t a, uint64_t b, uint64_t c)
{
	take(task, nr, result, a, b, c, 0, EVENT_ITEM_IN, NULL, 0);
}

static void open_in(uint32_t task, int dirfd, const char *path, int flags, int64_t fd)
{
	take(task, NR_openat, fd, (uint64_t)dirfd, 0x1000, (uint64_t)flags, 1, EVENT_ITEM_STRING,
	     path, strlen(path));
}

static void open_path(uint32_t task, const char *path, int flags, int64_t fd)
{
	open_in(task, AT_FDCWD, path, flags, fd);
}

static void use(uint32_t task, int fd)
{
	call(task, NR_read, 0, (uint64_t)fd, 0x1000, 1);
}

/* The first event of a task. */
static void use_first(uint32_t task, int fd, uint32_t process, uint32_t maker, bool shares)
{
	struct event_origin origin = {process, maker, shares, 0};

	take(task, NR_read, 0, (uint64_t)fd, 0x1000, 1, 0, EVENT_ITEM_ORIGIN, &origin,
	     sizeof(origin));
}

static void clone3_with(uint32_t task, uint64_t flags, int64_t child)
{
	const uint64_t args[8] = {flags};

	take(task, NR_clone3, child, 0x1000, sizeof(args), 0, 0, EVENT_ITEM_IN, args, sizeof(args));
}

static void opening(void)
{
	const uint64_t how[3] = {O_CLOEXEC};

	begin("/in", NULL, "/err");
	use(2, 0);
	use(2, 1);
	use(2, 2);
	open_path(2, "/a", O_RDONLY, 3);
	open_path(2, "/b", O_RDONLY, -ENOENT);
	take(2, NR_open, 4, 0x1000, O_RDONLY, 0, 0, EVENT_ITEM_STRING, "b", 1);
	take(2, NR_creat, 5, 0x1000, 0644, 0, 0, EVENT_ITEM_STRING, "c", 1);
	take(2, NR_openat2, 6, 3, 0x1000, 0x2000, 1, EVENT_ITEM_STRING, "d", 1);
	take(2, NR_openat2, 7, 3, 0x1000, 0x2000, 2, EVENT_ITEM_IN, how, 24);
	for (int fd = 3; fd < 8; fd++)
		use(2, fd);
	/* Relative to a descriptor; absolute all the same; to one that is not known. */
	open_in(2, 3, "x/y", O_RDONLY, 8);
	open_in(2, 8, "z", O_RDONLY, 9);
	open_in(2, 3, "/w", O_RDONLY, 10);
	open_in(2, 77, "v", O_RDONLY, 11);
	for (int fd = 8; fd < 12; fd++)
		use(2, fd);
	call(2, NR_close, 0, 3, 0, 0);
	use(2, 3);
	use(2, -1);
	use(2, 1 << 30);
	finish("2:/in 2:- 2:/err 2:/a 2:b 2:c 2:/a/d 2:- 2:/a/x/y 2:/a/x/y/z 2:/w 2:v 2:- 2:- "
	       "2:- ");
}

static void duplicates(void)
{
	begin(NULL, NULL, NULL);
	open_path(2, "/a", O_RDONLY, 3);
	open_path(2, "/b", O_RDONLY, 4);
	call(2, NR_dup, 5, 3, 0, 0);
	call(2, NR_dup2, 4, 3, 4, 0);
	call(2, NR_dup2, 3, 3, 3, 0);
	call(2, NR_dup3, 6, 3, 6, O_CLOEXEC);
	call(2, NR_fcntl, 10, 3, F_DUPFD, 10);
	call(2, NR_fcntl, 11, 3, F_DUPFD_CLOEXEC, 10);
	call(2, NR_fcntl, 0, 3, F_GETFL, 0);
	call(2, NR_close, 0, 3, 0, 0);
	use(2, 3);
	use(2, 4);
	use(2, 5);
	use(2, 6);
	use(2, 10);
	use(2, 11);
	/* What it was is gone where nothing known takes its place. */
	call(2, NR_dup2, 5, 1, 5, 0);
	call(2, NR_dup2, -EBADF, 99, 4, 0);
	use(2, 5);
	use(2, 4);
	finish("2:- 2:/a 2:/a 2:/a 2:/a 2:/a 2:- 2:/a ");
}

static void close_on_exec(void)
{
	const uint64_t how[3] = {O_CLOEXEC};

	begin(NULL, NULL, NULL);
	open_path(2, "/a", O_RDONLY, 3);
	open_path(2, "/b", O_CLOEXEC, 4);
	call(2, NR_dup, 5, 4, 0, 0);
	call(2, NR_dup3, 6, 3, 6, O_CLOEXEC);
	call(2, NR_fcntl, 7, 3, F_DUPFD_CLOEXEC, 0);
	call(2, NR_dup, 8, 3, 0, 0);
	call(2, NR_fcntl, 0, 8, F_SETFD, FD_CLOEXEC);
	call(2, NR_dup, 9, 3, 0, 0);
	call(2, NR_ioctl, 0, 9, FIOCLEX, 0);
	call(2, NR_dup3, 10, 3, 10, O_CLOEXEC);
	call(2, NR_fcntl, 0, 10, F_SETFD, 0);
	call(2, NR_dup3, 11, 3, 11, O_CLOEXEC);
	call(2, NR_ioctl, 0, 11, FIONCLEX, 0);
	call(2, NR_close_range, 0, 3, 3, CLOSE_RANGE_CLOEXEC);
	take(2, NR_openat2, 12, 0, 0x1000, 0x2000, 2, EVENT_ITEM_IN, how, 24);
	call(2, NR_execve, -ENOENT, 0, 0, 0);
	use(2, 4);
	call(2, NR_execve, 0, 0, 0, 0);
	for (int fd = 3; fd < 12; fd++)
		use(2, fd);
	call(2, NR_close_range, 0, 5, 10, 0);
	use(2, 5);
	use(2, 10);
	use(2, 11);
	call(2, NR_close_range, 0, 0, UINT32_MAX, 0);
	use(2, 11);
	finish("2:/b 2:- 2:- 2:/b 2:- 2:- 2:- 2:- 2:/a 2:/a 2:- 2:- 2:/a 2:- ");
}

/* Mostly the child runs before its maker's call is over. */
static void forks(void)
{
	begin(NULL, NULL, NULL);
	open_path(2, "/a", O_RDONLY, 3);
	use_first(3, 3, 3, 2, false);
	call(3, NR_close, 0, 3, 0, 0);
	open_path(3, "/b", O_RDONLY, 4);
	use(3, 3);
	use(3, 4);
	call(2, NR_fork, 3, 0, 0, 0);
	use(2, 3);
	use(2, 4);
	use(3, 4);
	/* One that waits in its first call while its maker goes on. */
	call(2, NR_vfork, -EAGAIN, 0, 0, 0);
	call(2, NR_fork, 4, 0, 0, 0);
	call(2, NR_close, 0, 3, 0, 0);
	use_first(4, 3, 4, 2, false);
	use(2, 3);
	/* Children of children. */
	use_first(5, 3, 5, 4, false);
	use_first(6, 3, 6, 5, false);
	call(5, NR_fork, 6, 0, 0, 0);
	call(4, NR_fork, 5, 0, 0, 0);
	use(6, 3);
	finish("3:/a 3:- 3:/b 2:/a 2:- 3:/b 4:/a 2:- 5:/a 6:/a 6:/a ");
}

static void shared(void)
{
	begin(NULL, NULL, NULL);
	open_path(2, "/a", O_RDONLY, 3);
	use_first(3, 3, 2, 0, false);
	open_path(3, "/b", O_RDONLY, 4);
	clone3_with(2, CLONE_VM | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD, 3);
	use(2, 4);
	call(2, NR_close, 0, 3, 0, 0);
	use(3, 3);
	/* A process that shares them, until it wants its own; one that does not. */
	call(2, NR_clone, 4, CLONE_FILES, 0, 0);
	use_first(4, 4, 4, 2, true);
	open_path(4, "/c", O_RDONLY, 5);
	use(2, 5);
	call(4, NR_close_range, 0, 4, 4, CLOSE_RANGE_UNSHARE);
	use(4, 4);
	use(2, 4);
	clone3_with(2, CLONE_VM | CLONE_VFORK, 5);
	call(5, NR_close, 0, 4, 0, 0);
	use(3, 4);
	use_first(6, 4, 6, 2, true);
	call(6, NR_close, 0, 5, 0, 0);
	use(3, 5);
	/* The end of one is not the end of what they share. */
	call(2, NR_exit, 0, 0, 0, 0);
	use(3, 4);
	call(3, NR_exit, 0, 0, 0, 0);
	use(3, 4);
	use(6, 4);
	call(6, NR_exit_group, 0, 0, 0, 0);
	use(6, 4);
	finish("3:/a 2:/b 3:- 4:/b 2:/c 4:- 2:/b 3:/b 6:/b 3:- 3:/b 3:- 6:/b 6:- ");
}

/* The thread that calls exec has the number of its process from then on.  Its maker's clone was not
 * over yet, so it never is. */
static void exec_of_a_thread(void)
{
	begin(NULL, NULL, NULL);
	open_path(2, "/a", O_RDONLY, 3);
	open_path(2, "/b", O_CLOEXEC, 4);
	use_first(4, 4, 4, 2, true);
	use_first(3, 4, 2, 0, false);
	call(3, NR_execve, 0, 0, 0, 0);
	use(2, 3);
	use(2, 4);
	use(4, 4); /* another process, which shared them */
	use_first(5, 3, 2, 0, false);
	call(2, NR_exit, 0, 0, 0, 0);
	use(5, 3);
	finish("4:/b 3:/b 2:/a 2:- 4:/b 5:/a 5:/a ");
}

/* Whatever a log says. */
static void hostile(void)
{
	char longest[PATH_MAX];

	begin("/in", NULL, NULL);
	use(2, 0);
	use(9, 0);
	use_first(10, 0, 11, 0, false);
	use_first(12, 0, 12, 12, true);
	use_first(13, 0, 13, 77, true);
	use_first(2, 0, 9, 0, false);
	call(2, NR_fork, 2, 0, 0, 0);
	call(2, NR_exit, 0, 0, 0, 0);
	call(2, NR_exit, 0, 0, 0, 0);
	use_first(9, 0, 2, 0, false);
	use(2, 0);
	finish("2:/in 9:- 10:- 12:- 13:- 2:- 9:- 2:- ");

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	begin(NULL, NULL, NULL);
	take(2, NR_open, 3, 0, 0, 0, 0, EVENT_ITEM_STRING, longest, PATH_MAX - 1);
	open_in(2, 3, "y", O_RDONLY, 4);
	open_path(2, "/far", O_RDONLY, 1 << 20);
	take(2, NR_open, 5, 0, 0, 0, 0, EVENT_ITEM_STRING, "cut\0short", 9);
	use(2, 4);
	use(2, 1 << 20);
	use(2, 5);
	finish("2:- 2:- 2:cut ");

	/* Numbers of tasks come again. */
	begin("/in", NULL, NULL);
	use(2, 0);
	use_first(3, 0, 3, 2, false);
	call(2, NR_close, 0, 0, 0, 0);
	use_first(3, 0, 3, 2, false);
	finish("2:/in 3:/in 3:- ");
	fd_paths_destroy(NULL);
}

int main(void)
{
	opening();
	duplicates();
	close_on_exec();
	forks();
	shared();
	exec_of_a_thread();
	hostile();
	return failures != 0;
}
