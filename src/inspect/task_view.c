/*
 * See task_view.h.  The mappings are copied from the shim's books, each pointer and count checked:
 * the program can have written there.  Headers of objects are read from memory, so that a file that
 * was replaced since does not matter.
 */
#include "task_view.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../shim/mm.h"
#include "../tracer/container.h"
#include "../tracer/patcher.h"
#include "../tracer/tracee.h"

#define HEAP_FIRST (REGION_BASE + REGION_HEAP_OFF)
#define HEAP_END   (HEAP_FIRST + REGION_HEAP_SIZE)
#define PATH_MOST  4096

static bool in_heap(uint64_t address, uint64_t size)
{
	return address >= HEAP_FIRST && address % 8 == 0 && address <= HEAP_END - size;
}

static int take_file(uint64_t address, struct task_mapping *map)
{
	const struct mm_file *file = (const struct mm_file *)address;

	if (!in_heap(address, sizeof(*file)) || !in_heap(file->path, PATH_MOST))
		return 0;
	map->path = strndup((const char *)file->path, PATH_MOST - 1);
	map->dev = file->dev;
	map->ino = file->ino;
	map->size_bytes = file->size;
	return map->path != NULL ? 0 : -ENOMEM;
}

static int take_mappings(const struct mm *mm, struct task_view *view)
{
	uint32_t count = mm->count;
	const struct vma *vmas = (const struct vma *)mm->vmas;
	int error = 0;

	if (count > MM_VMAS_MAX || !in_heap(mm->vmas, count * sizeof(*vmas)))
		return -EBADMSG;
	view->maps = calloc(count + 1ul, sizeof(*view->maps));
	if (view->maps == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count && error == 0; i++) {
		struct task_mapping *map = &view->maps[view->map_count++];

		*map = (struct task_mapping){
			.start = vmas[i].start, .end = vmas[i].end, .file_off = vmas[i].file_off};
		if (vmas[i].kind == VMA_FILE)
			error = take_file(vmas[i].file, map);
	}
	return error;
}

static int take_frame(const struct task *t, struct task_view *view)
{
	uint64_t top = task_stack_top(t), at = (uint64_t)t->frame;

	if (at < top - (TASK_SLOT_HEAD - 0x1000) || at > top - FRAME_SIZE || at % 8 != 0)
		return -EBADMSG;
	memcpy(&view->frame, (const void *)at, sizeof(view->frame));
	/* Behind an emulated instruction it may be in a stub, where the following ones were moved.
	 */
	view->frame.rip = patcher_original(t, view->frame.rip);
	return 0;
}

static int take_task(struct task_view *view)
{
	struct user_regs_struct regs;
	int error = tracee_regs_get(view->tid, &regs);
	uint32_t slot = error == 0 ? container_slot_of(regs.gs_base) : NONE;

	if (slot == NONE)
		return error < 0 ? error : -EBADMSG;
	const struct task *t = task_at(slot);
	const struct proc *p = t->proc < PROCS_MAX ? proc_at(t->proc) : NULL;
	const struct mm *mm = p != NULL ? mm_at(p->mm) : NULL;
	view->number = t->tid;
	if (mm == NULL)
		return -EBADMSG;
	error = take_frame(t, view);
	return error < 0 ? error : take_mappings(mm, view);
}

int task_view_open(pid_t tid, struct task_view *ret_view)
{
	char path[64];

	*ret_view = (struct task_view){.tid = tid, .memory = -1, .root = -1};
	int error = take_task(ret_view);
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)tid);
	if (error == 0 && (ret_view->memory = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		error = -errno;
	snprintf(path, sizeof(path), "/proc/%d/root", (int)tid);
	if (error == 0 && (ret_view->root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC)) < 0)
		error = -errno;
	if (error < 0)
		task_view_close(ret_view);
	return error;
}

void task_view_close(struct task_view *view)
{
	for (size_t i = 0; i < view->map_count; i++)
		free(view->maps[i].path);
	free(view->maps);
	if (view->memory >= 0)
		close(view->memory);
	if (view->root >= 0)
		close(view->root);
	*view = (struct task_view){.memory = -1, .root = -1};
}

bool task_view_read(const struct task_view *view, uint64_t address, void *to, size_t size)
{
	return address <= APP_ADDR_MAX &&
	       pread(view->memory, to, size, (off_t)address) == (ssize_t)size;
}

const struct task_mapping *task_view_mapping(const struct task_view *view, uint64_t address)
{
	for (size_t i = 0; i < view->map_count; i++) {
		if (address >= view->maps[i].start && address < view->maps[i].end)
			return &view->maps[i];
	}
	return NULL;
}

/* The nearest mapping of the same file's beginning at or below `map`. */
static const struct task_mapping *first_of(const struct task_view *view,
					   const struct task_mapping *map)
{
	if (map == NULL || map->path == NULL)
		return NULL;
	for (const struct task_mapping *at = map; at >= view->maps; at--) {
		if (at->path != NULL && at->file_off == 0 && strcmp(at->path, map->path) == 0)
			return at;
	}
	return NULL;
}

static bool read_headers(const struct task_view *view, struct task_object *object)
{
	uint64_t base = object->first->start;
	Elf64_Ehdr e;

	if (!task_view_read(view, base, &e, sizeof(e)) || memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 ||
	    e.e_ident[EI_CLASS] != ELFCLASS64 || e.e_phentsize != sizeof(Elf64_Phdr) ||
	    e.e_phnum > TASK_OBJECT_PHDRS || e.e_phoff > 0x1000)
		return false;
	object->phdr_count = e.e_phnum;
	return task_view_read(view, base + e.e_phoff, object->phdrs,
			      e.e_phnum * sizeof(object->phdrs[0]));
}

bool task_view_object(const struct task_view *view, uint64_t address, struct task_object *ret)
{
	struct task_object object = {.first = first_of(view, task_view_mapping(view, address))};
	bool loaded = false;

	if (object.first == NULL || !read_headers(view, &object))
		return false;
	for (size_t i = 0; i < object.phdr_count; i++) {
		const Elf64_Phdr *p = &object.phdrs[i];

		if (p->p_type != PT_LOAD)
			continue;
		if (!loaded)
			object.bias = object.first->start - (p->p_vaddr - p->p_offset);
		loaded = true;
		object.end = object.bias + p->p_vaddr + p->p_memsz;
	}
	if (!loaded || address >= object.end)
		return false;
	*ret = object;
	return true;
}

int task_view_path(const struct task_view *view, const char *path)
{
	struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			       .resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS};
	int fd = (int)syscall(SYS_openat2, view->root, path, &how, sizeof(how));

	return fd < 0 ? -errno : fd;
}

int task_view_file(const struct task_view *view, const struct task_mapping *map)
{
	struct stat st;
	int fd = map->path != NULL ? task_view_path(view, map->path) : -ENOENT;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
	    (map->ino == 0 || (st.st_ino == map->ino && st.st_dev == map->dev &&
			       (uint64_t)st.st_size == map->size_bytes)))
		return fd;
	close(fd);
	return -ESTALE;
}
