/*
 * Executing a program: what is carried from execve over the kernel's exec of the shim to the start
 * code, and the loading itself.
 *
 *	execve		exec_resolve opens program and interpreter and checks everything;
 *			point of no return; kernel exec of the shim
 *	start code	exec_load maps them, builds the stack, sets the registers
 *	first program	the tracer fills struct exec_first; exec_first does both in one go
 */
#ifndef SHADOW_EXEC_LOAD_H
#define SHADOW_EXEC_LOAD_H

#include "shim.h"
#include "mm.h"

#define EXEC_STRINGS_MAX   0x200000 /* argv and envp with their pointers: a quarter of 8 MiB */
#define EXEC_STRING_MAX	   0x20000  /* one string with its NUL */
#define EXEC_PATH_MAX	   4096
#define EXEC_PHDRS_MAX	   73 /* what fits a page, as in Linux */
#define EXEC_SCRIPT_LEVELS 5

/* The strings of argv or envp, one behind the other, each with its NUL. */
struct exec_strings {
	char *bytes; /* heap */
	u64 len;
	u64 capacity;
	u32 count;
	u32 pad;
};

/* A file that will be mapped. */
struct exec_image {
	int fd;	   /* -1: none */
	u32 vnode; /* counted as run, or 0 */
	u32 phnum;
	u32 is_dyn; /* ET_DYN: can be placed */
	u32 mode, uid, gid;
	u32 is_hidden; /* who executes it may not read it */
	u64 entry;
	u64 phoff;
	u64 low, high; /* page bounds of all segments */
	u64 align;     /* largest alignment of a segment */
	u64 end;       /* end of the last byte of memory: where brk starts */
	u64 phdrs;     /* heap array of phnum Elf64_Phdr */
	u64 path;      /* heap string: absolute */
};

/* In the heap, from execve until exec_load has used it up. */
struct exec_request {
	struct exec_image program, interp;
	struct exec_strings args, env;
	char *execfn; /* heap: the name as given, for AT_EXECFN */
	u32 stack_exec;
	u32 is_secure; /* AT_SECURE */
	char comm[16];
};

/*
 * The first program, filled in by the tracer before the container starts: `bytes` holds the path
 * (as typed: with a slash, or already found in PATH), then argc strings of argv, then envc of
 * envp, each with its NUL.  The working directory is the kernel's.
 */
struct exec_first {
	u32 argc, envc;
	u64 len; /* of bytes; at most EXEC_FIRST_BYTES */
	char bytes[];
};
#define REGION_EXEC_FIRST_OFF (REGION_MM_OFF + 0xf800000)
#define EXEC_FIRST_BYTES      0x400000
#define EXEC_FIRST	      REGION_AT(struct exec_first, REGION_EXEC_FIRST_OFF)

/* Appends a string of len bytes and a NUL; -E2BIG beyond the limits. */
long exec_strings_add(struct exec_strings *s, const char *string, u64 len);

/* Releases what a request holds: strings, files, itself. NULL is fine. */
void exec_request_free(struct exec_request *r);

/*
 * Opens and checks what path names, following `#!` lines (which change r->args), and the ELF
 * interpreter; r->args and r->env hold argv and envp.  path is in the shim's memory.  0, -ENOENT,
 * -EACCES, -ENOEXEC, -ELIBBAD, -ELOOP, -E2BIG and the errors of opening, as execve(2).
 */
long exec_resolve(struct task *t, int dirfd, const char *path, int at_flags,
		  struct exec_request *r);

/* The process becomes who it is as one that runs the program. */
void exec_commit_ids(struct task *t, struct exec_request *r);

/*
 * The start code after the kernel's exec: empties the address space, maps what t->exec_request
 * says, builds the stack, sets f to the first instruction, frees the request.  0, or a negative
 * errno when the host had no memory: then the process must end with SIGKILL.
 */
long exec_load(struct task *t, struct frame *f);

/* The same for the first program, from EXEC_FIRST: resolves it too.  Errors of exec_resolve. */
long exec_first(struct task *t, struct frame *f);

#endif
