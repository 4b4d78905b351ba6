/* Memory of another address space, which only the tracer reaches: what both halves see. */
#ifndef SHADOW_PROCESS_VM_H
#define SHADOW_PROCESS_VM_H

#include "../shim/shim_abi.h"

#define REMOTE_BYTES 0x10000u

/* In the heap; UPCALL_REMOTE with its address carries it out. */
struct remote_copy {
	u32 slot;  /* of a live task of the process */
	u32 write; /* into the process, else out of it */
	u64 address, size;
	u64 moved; /* ret: bytes, up to the first that cannot be reached */
	u8 bytes[REMOTE_BYTES];
};

#endif
