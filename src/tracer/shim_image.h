/* The shim as the tools carry it: bytes and the addresses the tracer steers tasks to. */
#ifndef SHADOW_TRACER_SHIM_IMAGE_H
#define SHADOW_TRACER_SHIM_IMAGE_H

#include <stdint.h>

struct shim_symbols {
	uint64_t entry, insn_entry, fault_entry;
	uint64_t call_page_return;
	uint64_t usercopy_begin, usercopy_end, usercopy_fault;
};

extern const struct shim_symbols shim_blob_symbols;

/* A sealed memfd with the shim (close-on-exec), or a negative errno. */
int shim_image_memfd(void);

#endif
