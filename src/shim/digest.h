/*
 * The running hash of everything that happened: XXH64's arithmetic on 64-bit words in general
 * registers.  An event folds to one word from independent products (short dependency chain), and
 * that word into the running value.
 */
#ifndef SHADOW_DIGEST_H
#define SHADOW_DIGEST_H

#include "shim_abi.h"

#define DIGEST_P1 0x9e3779b185ebca87ull
#define DIGEST_P2 0xc2b2ae3d27d4eb4full
#define DIGEST_P3 0x165667b19e3779f9ull
#define DIGEST_P4 0x85ebca77c2b2ae63ull
#define DIGEST_P5 0x27d4eb2f165667c5ull

static inline u64 digest_rotl(u64 x, int r)
{
	return x << r | x >> (64 - r);
}

/* Folds an event's word into the running digest. */
static inline u64 digest_merge(u64 digest, u64 word)
{
	return digest_rotl(digest ^ (word * DIGEST_P2), 27) * DIGEST_P1 + DIGEST_P4;
}

#endif
