/* The container as an object; see container.h.  Launching is launch.c, the loop is loop.c. */
#include "container.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../shim/exec_load.h"
#include "patcher.h"
#include "remedy.h"

#define TASKS_BYTES (CONTAINER_TASK_TABLE * sizeof(struct container_task))

static int fail(struct container *c, const char *what)
{
	int error = errno;

	snprintf(c->message, sizeof(c->message), "%s: %s", what, strerror(error));
	return -error;
}

static int fail_need(struct container *c, enum need need, const char *what)
{
	char text[300];
	int error = errno;

	remedy_text(need, error, text, sizeof(text));
	snprintf(c->message, sizeof(c->message), "%s: %s (%s)", what, strerror(error), text);
	return -error;
}

static int region_create(struct container *c)
{
	c->region_fd = memfd_create("shadow-region", MFD_CLOEXEC);
	if (c->region_fd < 0)
		return fail_need(c, NEED_MEMFD, "cannot create the shared region (memfd_create)");
	if (ftruncate(c->region_fd, REGION_SIZE) < 0)
		return fail_need(c, NEED_FILE_SIZE, "cannot size the shared region");
	void *at = mmap((void *)REGION_BASE, REGION_SIZE, PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_NORESERVE | MAP_FIXED_NOREPLACE, c->region_fd, 0);
	if (at == MAP_FAILED)
		return fail_need(c, NEED_ADDRESS_SPACE, "cannot map the shared region");
	return 0;
}

int container_create(struct container *c)
{
	memset(c, 0, sizeof(*c));
	c->region_fd = c->init_socket = c->report_fd = -1;
	c->stdio_fd[0] = c->stdio_fd[1] = c->stdio_fd[2] = -1;
	/* Most of it is never touched. */
	c->tasks =
		mmap(NULL, TASKS_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (c->tasks == MAP_FAILED)
		return fail(c, "cannot start");
	int error = region_create(c);

	if (error < 0)
		return error;
	c->shim = shim_blob_symbols;
	c->shim_offset = shim_image_offset();
	error = patcher_create(&c->shim, &c->patcher);
	if (error < 0) {
		errno = -error;
		return fail(c, "cannot prepare the shim");
	}
	HEAD->config.abi_version = SHIM_ABI_VERSION;
	/* What the shim's first instructions need of the first slot; the shim fills in the rest. */
	task_at(0)->self = task_at(0);
	task_at(0)->stack = task_stack_top(task_at(0));
	return 0;
}

static int first_add(struct exec_first *first, const char *s)
{
	size_t n = strlen(s) + 1;

	if (first->len + n > EXEC_FIRST_BYTES)
		return -E2BIG;
	memcpy(first->bytes + first->len, s, n);
	first->len += n;
	return 0;
}

int container_program(struct container *c, const char *path, char *const argv[], char *const envp[])
{
	struct exec_first *first = EXEC_FIRST;
	int error;

	(void)c;
	memset(first, 0, sizeof(*first));
	error = first_add(first, path);
	for (; error == 0 && *argv != NULL; argv++, first->argc++)
		error = first_add(first, *argv);
	for (; error == 0 && *envp != NULL; envp++, first->envc++)
		error = first_add(first, *envp);
	return error;
}

static uint32_t bucket(pid_t tid)
{
	return (uint32_t)tid * 2654435761u % CONTAINER_TASK_TABLE;
}

struct container_task *container_task_get(struct container *c, pid_t tid)
{
	for (uint32_t i = bucket(tid), n = 0; n < CONTAINER_TASK_TABLE; n++) {
		struct container_task *e = &c->tasks[(i + n) % CONTAINER_TASK_TABLE];

		if (e->tid == tid)
			return e;
		if (e->tid == 0)
			return NULL;
	}
	return NULL;
}

void container_task_put(struct container *c, pid_t tid, uint32_t slot)
{
	struct container_task *e = container_task_get(c, tid);

	for (uint32_t i = bucket(tid), n = 0; e == NULL && n < CONTAINER_TASK_TABLE; n++) {
		struct container_task *at = &c->tasks[(i + n) % CONTAINER_TASK_TABLE];

		if (at->tid <= 0)
			e = at;
	}
	if (e != NULL)
		*e = (struct container_task){.tid = tid, .slot = slot};
}

pid_t container_host_tid(const struct container *c, uint32_t slot)
{
	for (uint32_t i = 0; i < CONTAINER_TASK_TABLE; i++) {
		const struct container_task *e = &c->tasks[i];

		if (e->tid > 0 && e->slot == slot && !e->gone)
			return e->tid;
	}
	return 0;
}

/* Marks before a free entry are not needed: so those of long runs do not fill the table. */
void container_task_drop(struct container *c, struct container_task *entry)
{
	uint32_t i = (uint32_t)(entry - c->tasks);

	entry->tid = -1;
	if (c->tasks[(i + 1) % CONTAINER_TASK_TABLE].tid != 0)
		return;
	while (c->tasks[i].tid == -1) {
		c->tasks[i].tid = 0;
		i = (i + CONTAINER_TASK_TABLE - 1) % CONTAINER_TASK_TABLE;
	}
}

uint32_t container_slot_of(uint64_t gs_base)
{
	return task_slot_of(gs_base);
}

void container_perturb(struct container *c)
{
	if (c->perturb == 0)
		return;
	c->perturb = c->perturb * 6364136223846793005ull + 1442695040888963407ull;
	uint64_t r = c->perturb >> 33;
	if (r % 3 == 0) {
		struct timespec delay = {0, (long)(r % 200000)};
		nanosleep(&delay, NULL);
	}
}

void container_end_at(struct container *c, const cpu_set_t *cpus)
{
	/* Its end, which takes the namespaces down, goes where we wait for it. */
	if (c->init > 0)
		sched_setaffinity(c->init, sizeof(c->one), &c->one);
	if (c->first > 0 && container_task_get(c, c->first) != NULL)
		sched_setaffinity(c->first, sizeof(*cpus), cpus);
}

void container_kill(struct container *c)
{
	if (c->init <= 0)
		return;
	kill(c->init, SIGKILL);
	/* The first task is most often the last: it need not wait until init has its turn. */
	if (c->first > 0 && container_task_get(c, c->first) != NULL)
		kill(c->first, SIGKILL);
}

void container_reap(struct container *c)
{
	int status;
	pid_t pid;

	while (c->init > 0 && (pid = waitpid(-1, &status, __WALL | WNOHANG)) > 0) {
		if (!WIFEXITED(status) && !WIFSIGNALED(status))
			continue;
		/* Their numbers may be others' from now on. */
		if (pid == c->init)
			c->init = 0;
		if (pid == c->first)
			c->first = 0;
	}
}

void container_destroy(struct container *c)
{
	container_kill(c);
	munmap(c->tasks, TASKS_BYTES);
	if (c->patcher != NULL)
		patcher_destroy(c->patcher);
	munmap((void *)REGION_BASE, REGION_SIZE);
	close(c->region_fd);
	if (c->init_socket >= 0)
		close(c->init_socket);
	if (c->report_fd >= 0)
		close(c->report_fd);
	while (c->init > 0 && (waitpid(-1, NULL, __WALL) > 0 || errno == EINTR))
		continue;
}
