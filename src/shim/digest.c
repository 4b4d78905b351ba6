/*
 * Hashing of the bytes an event read or wrote, and of paths.  A step multiplies two words that
 * depend on data and folds the 128 bits of the product (docs/decisions/0015): 16 bytes a
 * multiplication, of which six go on side by side.
 *
 * Results never leave the container and its log, where they are compared with results of the same
 * build alone.
 */
#include "digest.h"
#include "shim.h"

#define LANES 6
#define OTHER 0x589965cc75374cc3u /* half of its bits are set */
#define BLOCK (LANES * 2 * sizeof(u64))

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

static u64 fold(u64 a, u64 b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (u64)product ^ (u64)(product >> 64);
}

static u64 step(u64 h, const u8 *p, u64 secret)
{
	return fold(read64(p) ^ secret, read64(p + 8) ^ h);
}

/* Up to 16 bytes in two words. */
static void short_words(const u8 *p, u64 len, u64 *ret_a, u64 *ret_b)
{
	if (len >= 8) {
		*ret_a = read64(p);
		*ret_b = read64(p + len - 8);
	} else if (len >= 4) {
		*ret_a = read32(p);
		*ret_b = read32(p + len - 4);
	} else {
		*ret_a = len ? (u64)p[0] << 16 | (u64)p[len / 2] << 8 | p[len - 1] : 0;
		*ret_b = 0;
	}
}

static u64 whole_blocks(u64 h, const u8 **pp, const u8 *end)
{
	static const u64 secret[LANES] = {DIGEST_P1,	     DIGEST_P2,		DIGEST_P3,
					  DIGEST_P1 ^ OTHER, DIGEST_P2 ^ OTHER, DIGEST_P3 ^ OTHER};
	u64 a = h, b = h, c = h, d = h, e = h, f = h;
	const u8 *p = *pp;

	for (; (u64)(end - p) > BLOCK; p += BLOCK) {
		a = step(a, p, secret[0]);
		b = step(b, p + 16, secret[1]);
		c = step(c, p + 32, secret[2]);
		d = step(d, p + 48, secret[3]);
		e = step(e, p + 64, secret[4]);
		f = step(f, p + 80, secret[5]);
	}
	*pp = p;
	return a ^ digest_rotl(b, 11) ^ digest_rotl(c, 21) ^ digest_rotl(d, 32) ^
	       digest_rotl(e, 42) ^ digest_rotl(f, 53);
}

u64 hash_bytes(u64 seed, const void *data, u64 len)
{
	const u8 *p = data, *end = p + len;
	u64 h = fold(seed ^ DIGEST_P3, DIGEST_P1), a, b;

	if (len > BLOCK)
		h = whole_blocks(h, &p, end);
	for (; end - p > 16; p += 16)
		h = step(h, p, DIGEST_P4);
	if (len > 16) {
		a = read64(end - 16);
		b = read64(end - 8);
	} else {
		short_words(p, len, &a, &b);
	}
	return fold(fold(a ^ DIGEST_P2, b ^ h) ^ len, h ^ DIGEST_P5);
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
