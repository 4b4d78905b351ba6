/*
 * The code of one executable file mapping as it is before any patch.
 *
 * Owns the file mapped read-only, if it can be opened and is the one the mapping shows, else a copy
 * of the process's bytes from the time of the first mapping.  The file is opened when its bytes are
 * asked for, since a mapping whose patches are all known never needs them.
 */
#include "code_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/mm.h"
#include "elf_image.h"
#include "tracee.h"

#define PATH_BYTES 4096

/* The path of the file mapped at `address`, as the region has it. */
static bool mapped_path(const struct task *t, uint64_t address, char *path, size_t size)
{
	struct proc *proc = t->proc < PROCS_MAX ? proc_at(t->proc) : NULL;
	struct mm *mm = proc != NULL ? mm_at(proc->mm) : NULL;
	uint64_t heap = REGION_BASE + REGION_HEAP_OFF, end = heap + REGION_HEAP_SIZE;

	if (mm == NULL)
		return false;
	uint64_t list = __atomic_load_n(&mm->vmas, __ATOMIC_RELAXED);
	uint32_t count = __atomic_load_n(&mm->count, __ATOMIC_RELAXED);
	if (list < heap || list % 8 != 0 || count > MM_VMAS_MAX ||
	    list > end - count * sizeof(struct vma))
		return false;
	const struct vma *vmas = (const struct vma *)list;
	for (uint32_t i = 0; i < count; i++) {
		if (address < vmas[i].start || address >= vmas[i].end)
			continue;
		uint64_t file = __atomic_load_n(&vmas[i].file, __ATOMIC_RELAXED);
		if (file < heap || file % 8 != 0 || file > end - sizeof(struct mm_file))
			return false;
		uint64_t name =
			__atomic_load_n(&((const struct mm_file *)file)->path, __ATOMIC_RELAXED);
		if (name < heap || name > end - size)
			return false;
		memcpy(path, (const char *)name, size);
		path[size - 1] = '\0';
		return path[0] == '/';
	}
	return false;
}

/* Opens a path as the task sees it: absolute links on the way start at its root, not at ours. */
static int open_in_root(pid_t tid, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			       .resolve = RESOLVE_IN_ROOT};
	char root[64];

	snprintf(root, sizeof(root), "/proc/%d/root", (int)tid);
	int root_fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return -errno;
	int fd = (int)syscall(SYS_openat2, root_fd, path, &how, sizeof(how));
	int error = errno;
	close(root_fd);
	return fd < 0 ? -error : fd;
}

static uint64_t time_ns(const struct timespec *ts)
{
	return (uint64_t)ts->tv_sec * 1000000000u + (uint64_t)ts->tv_nsec;
}

/* The very state of the file that was mapped. */
static bool is_same(int fd, const struct patch_key *key)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_dev == key->dev &&
	       st.st_ino == key->ino && (uint64_t)st.st_size == key->size &&
	       time_ns(&st.st_mtim) == key->mtime_ns && time_ns(&st.st_ctim) == key->ctime_ns;
}

static bool map_file(struct code_file *f, pid_t tid)
{
	int fd = f->path != NULL ? open_in_root(tid, f->path) : -ENOENT;
	void *map = MAP_FAILED;

	if (fd < 0)
		return false;
	if (is_same(fd, &f->key))
		map = mmap(NULL, f->key.size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
	close(fd);
	if (map == MAP_FAILED)
		return false;
	f->map = map;
	f->view.bytes = (const uint8_t *)map + f->key.file_off;
	f->view.size = f->key.length < f->key.size - f->key.file_off
			       ? f->key.length
			       : f->key.size - f->key.file_off;
	return true;
}

/* The segments beside the code, in which its jump tables are. */
static void view_data(struct code_file *f, const struct elf_image *image)
{
	for (size_t i = 0; i < image->data_count; i++) {
		const struct elf_segment *s = &image->data[i];

		f->data[i] = (struct code_data){image->bytes + s->file_offset, s->file_size,
						(int64_t)(s->address - f->linked)};
	}
	f->data_count = image->data_count;
}

int code_file_parse(struct code_file *f)
{
	struct elf_image image;
	uint64_t off = f->key.file_off;
	size_t count = 0;

	if (f->parsed || f->map == NULL)
		return 0;
	f->parsed = true;
	if (elf_image_parse(f->map, f->key.size, &image) < 0)
		return 0;
	memcpy(f->code, image.code, sizeof(f->code));
	f->code_count = image.code_count;
	for (size_t i = 0; i < image.segment_count; i++) {
		const struct elf_segment *s = &image.segments[i];

		if (s->file_offset < off || s->file_offset >= off + f->view.size)
			continue;
		int error = elf_image_function_starts(&image, i, &f->starts, &count);
		if (error < 0)
			return error == -ENOMEM ? error : 0;
		for (size_t k = 0; k < count; k++)
			f->starts[k] += (uint32_t)(s->file_offset - off);
		f->view.starts = f->starts;
		f->view.start_count = count;
		f->linked = s->address - (s->file_offset - off);
		view_data(f, &image);
		return 0;
	}
	return 0;
}

bool code_file_is_code(const struct code_file *f, uint64_t offset)
{
	uint64_t at = f->key.file_off + offset;

	for (size_t i = 0; i < f->code_count; i++) {
		if (at >= f->code[i].begin && at < f->code[i].end)
			return true;
	}
	return f->code_count == 0;
}

struct code_file *code_file_create(const struct task *t, const struct patch_key *key,
				   uint64_t address)
{
	struct code_file *f = calloc(1, sizeof(*f));
	char path[PATH_BYTES];

	if (f == NULL)
		return NULL;
	f->key = *key;
	if (mapped_path(t, address, path, sizeof(path)))
		f->path = strdup(path);
	return f;
}

bool code_file_open(struct code_file *f, pid_t tid)
{
	if (f->view.bytes == NULL && !f->lost)
		f->lost = !map_file(f, tid);
	return f->view.bytes != NULL;
}

int code_file_copy(struct code_file *f, pid_t tid, uint64_t address, uint64_t length)
{
	uint8_t *copy = malloc(length);
	int error =
		copy == NULL ? -ENOMEM : tracee_read(tid, tracee_address(address), copy, length);

	f->lost = error < 0;
	if (error < 0) {
		free(copy);
		return error;
	}
	f->copy = copy;
	f->view.bytes = copy;
	f->view.size = length;
	return 0;
}

void code_file_destroy(struct code_file *f)
{
	free(f->starts);
	code_targets_finish(&f->targets);
	free(f->copy);
	free(f->path);
	if (f->map != NULL)
		munmap(f->map, f->key.size);
	free(f);
}
