/*
 * The code of one executable file mapping as it is before any patch, and what its file tells of it.
 */
#ifndef SHADOW_TRACER_CODE_FILE_H
#define SHADOW_TRACER_CODE_FILE_H

#include <stdbool.h>
#include <sys/types.h>

#include "../shim/patch_table.h"
#include "code_targets.h"
#include "elf_image.h"

struct task;

struct code_file {
	struct patch_key key;
	struct code_view view; /* bytes NULL until code_file_open or _copy */
	struct code_data data[ELF_IMAGE_SEGMENTS_MAX]; /* the file's other segments, if mapped */
	size_t data_count;
	struct elf_range code[ELF_IMAGE_CODE_MAX]; /* of the file, see elf_image.h; if parsed */
	size_t code_count;
	uint64_t linked; /* address of the view's first byte as linked */
	struct code_targets targets;
	bool parsed; /* function starts and data are known, if there are any */
	bool lost;   /* there are no bytes to be had */
	char *path;  /* as the container has it, or NULL */
	uint32_t *starts;
	void *map; /* of the whole file, or NULL */
	uint8_t *copy;
};

/* For the mapping of `key` at `address` of the task's process.  NULL without memory. */
struct code_file *code_file_create(const struct task *t, const struct patch_key *key,
				   uint64_t address);
void code_file_destroy(struct code_file *f);

/* The view is there, from the file as a task of its container names it.  False if the file cannot
 * be opened, or is another by now. */
bool code_file_open(struct code_file *f, pid_t tid);

/* The same from the process's bytes, which nobody has patched yet.  0, -ENOMEM, or the error of
 * reading them. */
int code_file_copy(struct code_file *f, pid_t tid, uint64_t address, uint64_t length);

/* Function starts, from the segment the mapping lies in.  Needed for plans alone; the file is open.
 */
int code_file_parse(struct code_file *f); /* 0 or -ENOMEM */

/* False if the file, which was parsed, says that what is there in the view is no code. */
bool code_file_is_code(const struct code_file *f, uint64_t offset);

#endif
