/* SHA-256 of bytes at hand.  Nettle's, since it is fast and costs a program's start nothing; for
 * bytes that come in pieces, use its sha256_init, _update, _digest. */
#ifndef SHADOW_BASE_SHA256_H
#define SHADOW_BASE_SHA256_H

#include <nettle/sha2.h>
#include <stddef.h>
#include <stdint.h>

static inline void sha256_of(const void *bytes, size_t size, uint8_t out[SHA256_DIGEST_SIZE])
{
	struct sha256_ctx sha;

	sha256_init(&sha);
	sha256_update(&sha, size, bytes);
	sha256_digest(&sha, SHA256_DIGEST_SIZE, out);
}

#endif
