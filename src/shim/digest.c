/*
 * Hashing of the bytes an event read or wrote.  hash_bytes is XXH64 (public specification of
 * xxHash), so that the tools can compute the same with the library.
 */
#include "digest.h"
#include "shim.h"

static u64 read64(const u8 *p)
{
	u64 v;

	__builtin_memcpy(&v, p, 8);
	return v;
}

static u64 read32(const u8 *p)
{
	u32 v;

	__builtin_memcpy(&v, p, 4);
	return v;
}

static u64 merge_lane(u64 h, u64 lane)
{
	return (h ^ digest_round(0, lane)) * DIGEST_P1 + DIGEST_P4;
}

static u64 hash_stripes(u64 seed, const u8 **pp, const u8 *end)
{
	u64 v1 = seed + DIGEST_P1 + DIGEST_P2, v2 = seed + DIGEST_P2, v3 = seed,
	    v4 = seed - DIGEST_P1;
	const u8 *p = *pp;

	for (; end - p >= 32; p += 32) {
		v1 = digest_round(v1, read64(p));
		v2 = digest_round(v2, read64(p + 8));
		v3 = digest_round(v3, read64(p + 16));
		v4 = digest_round(v4, read64(p + 24));
	}
	*pp = p;
	u64 h = digest_rotl(v1, 1) + digest_rotl(v2, 7) + digest_rotl(v3, 12) + digest_rotl(v4, 18);
	h = merge_lane(h, v1);
	h = merge_lane(h, v2);
	h = merge_lane(h, v3);
	return merge_lane(h, v4);
}

u64 hash_bytes(u64 seed, const void *data, u64 len)
{
	const u8 *p = data, *end = p + len;
	u64 h = len >= 32 ? hash_stripes(seed, &p, end) : seed + DIGEST_P5;

	h += len;
	for (; end - p >= 8; p += 8)
		h = digest_rotl(h ^ digest_round(0, read64(p)), 27) * DIGEST_P1 + DIGEST_P4;
	if (end - p >= 4) {
		h = digest_rotl(h ^ read32(p) * DIGEST_P1, 23) * DIGEST_P2 + DIGEST_P3;
		p += 4;
	}
	for (; p < end; p++)
		h = digest_rotl(h ^ *p * DIGEST_P5, 11) * DIGEST_P1;
	h = (h ^ h >> 33) * DIGEST_P2;
	h = (h ^ h >> 29) * DIGEST_P3;
	return h ^ h >> 32;
}

void digest_u64(struct task *t, u64 value)
{
	t->digest_out = digest_merge(t->digest_out, value);
}

void digest_bytes(struct task *t, const void *p, u64 len)
{
	digest_u64(t, hash_bytes(t->digest_out, p, len));
}

void digest_user(struct task *t, u64 addr, u64 len)
{
	digest_bytes(t, (const void *)addr, len);
}
