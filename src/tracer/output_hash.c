/* See output_hash.h. */
#include "output_hash.h"

#include <errno.h>
#include <unistd.h>

#define READ_BYTES 0x10000

int output_hash_range(int fd, uint64_t offset, uint64_t end, struct sha256_ctx *sha,
		      uint64_t *size_bytes)
{
	uint8_t bytes[READ_BYTES];

	while (offset < end) {
		size_t want = end - offset < READ_BYTES ? end - offset : READ_BYTES;
		ssize_t n = pread(fd, bytes, want, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		sha256_update(sha, (size_t)n, bytes);
		offset += (uint64_t)n;
		*size_bytes += (uint64_t)n;
	}
	return 0;
}

int output_hash(int fd, uint64_t end, uint8_t ret_hash[EVLOG_HASH_SIZE], uint64_t *ret_size_bytes)
{
	struct sha256_ctx sha;

	*ret_size_bytes = 0;
	sha256_init(&sha);
	int error = output_hash_range(fd, 0, end, &sha, ret_size_bytes);
	if (error == 0)
		sha256_digest(&sha, EVLOG_HASH_SIZE, ret_hash);
	return error;
}
