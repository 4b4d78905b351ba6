/* Moving bytes between tasks of the container, for process_vm_readv and its twin. */
#ifndef SHADOW_REMOTE_MEMORY_H
#define SHADOW_REMOTE_MEMORY_H

#include "container.h"

/* Carries out the struct remote_copy at that address of the region; which may be anything. */
void remote_memory_copy(const struct container *c, uint64_t address);

#endif
