/*
 * The container's random numbers: ChaCha20 (RFC 8439 block function) keyed by the epoch's seed,
 * with a block counter that restarts at every epoch.  Owns the generator state in the region.
 */
#include "shim.h"

struct generator {
	u64 epoch;   /* the epoch the key is of, plus one */
	u64 counter; /* blocks made in this epoch */
	u32 used;    /* bytes of `block` given out */
	u8 block[64];
};

#define GENERATOR REGION_AT(struct generator, REGION_GENERATOR_OFF)

static u32 rotl32(u32 x, int r)
{
	return x << r | x >> (32 - r);
}

static void quarter(u32 *a, u32 *b, u32 *c, u32 *d)
{
	*a += *b;
	*d = rotl32(*d ^ *a, 16);
	*c += *d;
	*b = rotl32(*b ^ *c, 12);
	*a += *b;
	*d = rotl32(*d ^ *a, 8);
	*c += *d;
	*b = rotl32(*b ^ *c, 7);
}

static void chacha_block(const u8 key[32], u64 counter, u8 out[64])
{
	u32 in[16] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	u32 x[16];

	memcpy(in + 4, key, 32);
	in[12] = (u32)counter;
	in[13] = (u32)(counter >> 32);
	memcpy(x, in, sizeof(x));
	for (int i = 0; i < 10; i++) {
		quarter(&x[0], &x[4], &x[8], &x[12]);
		quarter(&x[1], &x[5], &x[9], &x[13]);
		quarter(&x[2], &x[6], &x[10], &x[14]);
		quarter(&x[3], &x[7], &x[11], &x[15]);
		quarter(&x[0], &x[5], &x[10], &x[15]);
		quarter(&x[1], &x[6], &x[11], &x[12]);
		quarter(&x[2], &x[7], &x[8], &x[13]);
		quarter(&x[3], &x[4], &x[9], &x[14]);
	}
	for (int i = 0; i < 16; i++)
		x[i] += in[i];
	memcpy(out, x, 64);
}

static void next_block(struct generator *g)
{
	if (g->epoch != HEAD->epoch_number + 1) {
		g->epoch = HEAD->epoch_number + 1;
		g->counter = 0;
	}
	chacha_block(HEAD->epoch_seed, g->counter++, g->block);
	g->used = 0;
}

void random_fill(void *to, u64 len)
{
	struct generator *g = GENERATOR;
	u8 *out = to;

	while (len > 0) {
		if (g->used >= 64 || g->epoch != HEAD->epoch_number + 1)
			next_block(g);
		u64 n = 64 - g->used < len ? 64 - g->used : len;
		memcpy(out, g->block + g->used, n);
		g->used += (u32)n;
		out += n;
		len -= n;
	}
}
