/*
 * The shim as the tools carry it: bytes, the addresses the tracer steers tasks to, and the files
 * that a task executes it from.
 */
#ifndef SHADOW_TRACER_SHIM_IMAGE_H
#define SHADOW_TRACER_SHIM_IMAGE_H

#include <stdint.h>

struct shim_symbols {
	uint64_t entry, insn_entry, fault_entry;
	uint64_t usercopy_begin, usercopy_end, usercopy_fault;
	uint64_t boot, boot_size, boot_offset; /* see entry.S */
};

extern const struct shim_symbols shim_blob_symbols;

/* Where the shim is in the file that we are in, in bytes; 0: it is not known. */
uint64_t shim_image_offset(void);

/* Both close-on-exec. */
struct shim_files {
	int text; /* the shim is mapped from it (SHIM_FD_TEXT) */
	int boot; /* does that when it is executed (SHIM_FD_SHIM): a sealed memfd */
};

/* By system calls alone.  0 or a negative errno: of memfd_create(2), write(2), fcntl(2). */
int shim_image_open(uint64_t offset, struct shim_files *ret_files);

#endif
