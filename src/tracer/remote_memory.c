/*
 * See remote_memory.h.  Owns nothing beyond a call.
 *
 * By /proc/TID/mem, which needs neither the other task stopped nor a system call that a container
 * around us may lack.
 */
#include "remote_memory.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "../shim/task.h"
#include "../syscall-table/process_vm.h"

/* The request, wherever the program says it is; NULL if one cannot be there. */
static struct remote_copy *request_at(uint64_t address)
{
	const uint64_t low = REGION_BASE + REGION_HEAP_OFF, high = low + REGION_HEAP_SIZE;

	if (address < low || address > high - sizeof(struct remote_copy) || address % 8 != 0)
		return NULL;
	return (struct remote_copy *)address; /* NOLINT(performance-no-int-to-ptr) */
}

static uint64_t copy_all(int fd, bool write, uint64_t address, uint8_t *bytes, uint64_t size)
{
	uint64_t done = 0;

	while (done < size) {
		off_t at = (off_t)(address + done);
		ssize_t n = write ? pwrite(fd, bytes + done, size - done, at)
				  : pread(fd, bytes + done, size - done, at);
		if (n <= 0)
			break;
		done += (uint64_t)n;
	}
	return done;
}

void remote_memory_copy(const struct container *c, uint64_t address)
{
	struct remote_copy *r = request_at(address);
	char path[40];

	if (r == NULL)
		return;
	r->moved = 0;
	uint64_t size = r->size, from = r->address;
	uint32_t slot = r->slot;
	bool write = r->write != 0;
	pid_t tid = slot < TASK_SLOTS_MAX ? container_host_tid(c, slot) : 0;
	if (tid == 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
	int fd = open(path, (write ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	if (fd < 0)
		return;
	r->moved = copy_all(fd, write, from, r->bytes, size < REMOTE_BYTES ? size : REMOTE_BYTES);
	close(fd);
}
