/* SHA-256 of files that came out of a run. */
#ifndef SHADOW_TRACER_OUTPUT_HASH_H
#define SHADOW_TRACER_OUTPUT_HASH_H

#include <nettle/sha2.h>
#include <stdint.h>

#include "../log/evlog_format.h"

/* Hashes the bytes from `offset` up to `end`, or to the end of the file if that comes first; adds
 * their number to *size_bytes.  0, or what pread(2) returned. */
int output_hash_range(int fd, uint64_t offset, uint64_t end, struct sha256_ctx *sha,
		      uint64_t *size_bytes);

/* SHA-256 and number of a file's bytes, up to `end` at most.  0, or what pread(2) returned. */
int output_hash(int fd, uint64_t end, uint8_t ret_hash[EVLOG_HASH_SIZE], uint64_t *ret_size_bytes);

#endif
