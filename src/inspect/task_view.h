/*
 * A task of a replay, stopped at an event (session_probe.stopped): its registers as the app had
 * them, its memory, and what is mapped where.
 */
#ifndef SHADOW_INSPECT_TASK_VIEW_H
#define SHADOW_INSPECT_TASK_VIEW_H

#include <elf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "../shim/shim_abi.h"

#define TASK_OBJECT_PHDRS 32

struct task_mapping {
	uint64_t start, end, file_off;
	uint64_t dev, ino, size_bytes; /* of its file on the host; ino 0: not known */
	char *path;		       /* inside the container; NULL: no file */
};

struct task_view {
	pid_t tid;	 /* on the host */
	uint32_t number; /* the container's */
	int memory;	 /* /proc/TID/mem */
	int root;	 /* its root folder */
	struct frame frame;
	struct task_mapping *maps; /* sorted */
	size_t map_count;
};

/* An ELF file the task has mapped, as its memory shows it. */
struct task_object {
	const struct task_mapping *first; /* of its mappings: holds its headers */
	uint64_t bias;			  /* address in memory less address as linked */
	uint64_t end;			  /* of its last segment, in memory */
	Elf64_Phdr phdrs[TASK_OBJECT_PHDRS];
	size_t phdr_count;
};

/* Precondition: `tid` is stopped under ptrace by the caller; a view can then be used in a child of
 * its.  0, or a negative errno (-EBADMSG: the
 * region makes no sense).  task_view_close() is due after success. */
int task_view_open(pid_t tid, struct task_view *ret_view);
void task_view_close(struct task_view *view);

/* Exactly size bytes, or false. */
bool task_view_read(const struct task_view *view, uint64_t address, void *to, size_t size);

/* The mapping that holds the address, or NULL. */
const struct task_mapping *task_view_mapping(const struct task_view *view, uint64_t address);

/* The object whose segments hold the address; false if it is in none. */
bool task_view_object(const struct task_view *view, uint64_t address, struct task_object *ret);

/* Opens the file of a mapping in the task's own root: the descriptor, or a negative errno (-ESTALE:
 * another file is there by now). */
int task_view_file(const struct task_view *view, const struct task_mapping *map);

/* Opens a path in the task's root, no link leading out of it. */
int task_view_path(const struct task_view *view, const char *path);

#endif
