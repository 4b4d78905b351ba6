/* Of the programs that make random calls: numbers that follow from the seed, sums of bytes. */
#ifndef GUEST_DRAW_H
#define GUEST_DRAW_H

static unsigned long state; /* the seed, at first */

static inline unsigned pick(unsigned below)
{
	state = state * 6364136223846793005ul + 1442695040888963407ul;
	return (unsigned)(state >> 33) % below;
}

static inline unsigned long pick64(void)
{
	unsigned long bits = 0;

	/* pick has 31 of them. */
	for (int i = 0; i < 3; i++)
		bits = bits << 22 ^ pick(1u << 31);
	return bits;
}

static inline unsigned sum_of(const char *bytes, long n)
{
	unsigned s = 0;

	for (long i = 0; i < n; i++)
		s = s * 31 + (unsigned char)bytes[i];
	return s;
}

#endif
