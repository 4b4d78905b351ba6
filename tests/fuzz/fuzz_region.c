/*
 * Fuzzes the tracer's half of the shared region: the region is filled by the input, then everything
 * the tracer does with it is done.  Nothing may be read or written outside the region and the
 * tracer's own memory, and nothing may go on for ever.
 *
 * The input is a row of stores: {u8 place, u24 offset, u8 size, bytes}.  Requests to the traced
 * task are answered here: its registers lead to slot 0, its memory reads as a pattern.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "log/image_capture.h"
#include "shim/code_pages.h"
#include "shim/exec_load.h"
#include "shim/mm.h"
#include "shim/patch_table.h"
#include "shim/rings.h"
#include "syscall-table/files.h"
#include "syscall-table/vnode.h"
#include "tracer/capture_feed.h"
#include "tracer/events.h"
#include "tracer/output.h"
#include "tracer/patcher.h"
#include "tracer/tracee.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CODE_ADDRESS 0x7f0000001000ull

/* Where stores may begin. */
static const uint64_t places[] = {
	REGION_HEAD_OFF,
	REGION_SCAN_OFF,
	REGION_INBOX_OFF,
	REGION_FILES_OFF,
	VNODES_OFF,
	REGION_PROC_OFF,
	REGION_MM_OFF,
	REGION_MM_OFF + offsetof(struct mm_table, mms),
	REGION_MM_OFF + offsetof(struct mm_table, mms) + offsetof(struct mm, exec),
	REGION_PATCH_OFF,
	REGION_PATCH_OFF + offsetof(struct patch_table, files),
	REGION_PATCH_OFF + offsetof(struct patch_table, pool),
	RING_OUTPUT_OFF,
	RING_CAPTURE_OFF,
	RING_EVENTS_OFF,
	REGION_TASK_OFF,
	REGION_HEAP_OFF,
};

/* ---- the traced task ---- */

int tracee_regs_get(pid_t tid, struct user_regs_struct *ret_regs)
{
	(void)tid;
	memset(ret_regs, 0, sizeof(*ret_regs));
	ret_regs->gs_base = REGION_BASE + REGION_TASK_OFF;
	return 0;
}

int tracee_read(pid_t tid, tracee_addr from, void *to, size_t size)
{
	static const uint8_t pattern[] = {0xb8, 1,    0,    0,	  0,	0x0f, 0x05, 0x48,
					  0x3d, 0,    0xf0, 0xff, 0xff, 0x0f, 0xa2, 0x0f,
					  0xc7, 0xf0, 0xc3, 0xcc, 0x90, 0x90};

	(void)tid;
	if (from.value < 4096 || size > 1 << 13)
		return -EFAULT;
	for (size_t i = 0; i < size; i++) {
		size_t at = (from.value + i) % 1024;

		((uint8_t *)to)[i] = at < sizeof(pattern) ? pattern[at] : 0x90;
	}
	return 0;
}

int tracee_write(pid_t tid, tracee_addr to, const void *from, size_t size)
{
	volatile uint8_t sum = 0;

	(void)tid;
	(void)to;
	for (size_t i = 0; i < size; i++)
		sum = sum ^ ((const uint8_t *)from)[i];
	return 0;
}

/* ---- where what comes out goes ---- */

static volatile size_t taken;

int image_capture_submit(struct image_capture *capture, const struct image_request *request)
{
	(void)capture;
	taken += strlen(request->path);
	return request->path[0] == '/' ? 0 : -EINVAL;
}

int image_capture_drain(struct image_capture *capture)
{
	(void)capture;
	return 0;
}

int image_capture_drain_names(struct image_capture *capture)
{
	(void)capture;
	return 0;
}

int written_note(struct written *written, uint32_t kind, const char *path, uint64_t names)
{
	(void)written;
	(void)names;
	taken += kind + strlen(path);
	return 0;
}

int written_grows(struct written *written, const char *path, uint64_t dev, uint64_t ino)
{
	(void)dev;
	(void)ino;
	return written_note(written, 0, path, 0);
}

/* A record may ask for the whole tree below "/": that is the host's, and takes seconds. */
static bool under_test;
DIR *__real_opendir(const char *path);
DIR *__wrap_opendir(const char *path);
DIR *__wrap_opendir(const char *path)
{
	if (!under_test)
		return __real_opendir(path);
	errno = ENOENT;
	return NULL;
}

static void on_bytes(void *data, uint32_t stream, const void *bytes, size_t size)
{
	(void)data;
	for (size_t i = 0; i < size; i++)
		taken += stream + ((const uint8_t *)bytes)[i];
}

static void on_record(void *arg, const void *record, size_t size)
{
	on_bytes(arg, 0, record, size);
}

/* ---- one input ---- */

static void region_prepare(void)
{
	static void *region;

	if (region != NULL) {
		madvise(region, REGION_SIZE, MADV_DONTNEED);
		return;
	}
	/* No cache. */
	unsetenv("HOME");
	unsetenv("XDG_CACHE_HOME");
	region = mmap((void *)REGION_BASE, REGION_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (region == MAP_FAILED)
		abort();
}

static void region_fill(const uint8_t *data, size_t size)
{
	while (size > 5) {
		uint64_t place = places[data[0] % (sizeof(places) / sizeof(*places))];
		uint32_t offset = (uint32_t)(data[1] | data[2] << 8 | data[3] << 16);
		size_t n = data[4] < size - 5 ? data[4] : size - 5;

		memcpy((void *)(REGION_BASE + place + offset), data + 5, n);
		data += 5 + n;
		size -= 5 + n;
	}
}

static void use_patcher(void)
{
	struct shim_symbols shim = {.entry = 0x7e8000001000, .insn_entry = 0x7e8000001100};
	const struct task *t = task_at(0);
	struct patcher *p;

	if (patcher_create(&shim, &p) < 0)
		abort();
	for (uint32_t i = 0; i < 2; i++) {
		struct mm_exec *exec = &mm_at(0)->exec[i];

		patcher_scan(p, 1, i, CODE_ADDRESS, 64);
		patcher_scan(p, 1, exec->patch_file, exec->start, exec->end - exec->start);
		for (uint64_t at = 0; at < 8; at++) {
			patcher_site(p, 1, t, exec->start + at);
			patcher_site(p, 1, t, CODE_ADDRESS + at);
		}
		patcher_classify(1, t, exec->start);
		patcher_classify(1, t, exec->base + 3);
		patcher_original(t, exec->stub);
		patcher_original(t, exec->stub + 40);
	}
	patcher_scan_page(1, CODE_ADDRESS & ~4095ull);
	patcher_destroy(p);
}

static void use_rings(void)
{
	struct output_sink sink = {NULL, on_bytes, true};
	struct capture_feed *feed;
	cpu_set_t cpus;

	sched_getaffinity(0, sizeof(cpus), &cpus);
	if (output_start(&sink, &cpus) < 0)
		abort();
	output_first(NULL);
	output_drain(NULL);
	output_stop(NULL);
	events_drain(on_record, NULL);
	if (capture_feed_create(NULL, NULL, &cpus, &feed) < 0)
		abort();
	capture_feed_sync(feed, CAPTURE_SYNC_CONTENTS);
	capture_feed_destroy(feed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	region_prepare();
	region_fill(data, size);
	under_test = true;
	use_patcher();
	use_rings();
	under_test = false;
	for (uint64_t ino = 0; ino < 4; ino++)
		taken += vnode_find(ino, ino);
	return 0;
}
