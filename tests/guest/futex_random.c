/*
 * futex_random SEED COUNT: random futex calls of a single thread, results and words printed: what
 * is compared, what an operation does to memory, which of several errors is told.  Nobody waits.
 */
#include <linux/futex.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>
#include "check.h"

#define WORDS 4

static uint64_t state;
static uint32_t *words, *read_only;

static uint32_t below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32_t)(state >> 33) % n;
}

/* Mostly a word; else one that is not aligned, cannot be written, or is not there. */
static void *place(void)
{
	switch (below(24)) {
	case 0:
		return (char *)words + 1 + below(3);
	case 1:
		return read_only;
	case 2:
		return NULL;
	case 3:
		return (void *)(uintptr_t)0x10000;
	default:
		return words + below(WORDS);
	}
}

static uint32_t number(void)
{
	static const uint32_t odd[] = {0, 1, 2, 0x7fffffff, 0x80000000, 0xffffffff, 0xfff, 0x800};

	return below(4) ? below(4) : odd[below(8)];
}

/* What the word holds, mostly. */
static uint32_t expected(const void *at)
{
	int is_word = at >= (void *)words && at < (void *)(words + WORDS);

	return is_word && (uintptr_t)at % 4 == 0 && below(3) ? *(const uint32_t *)at : number();
}

static uint32_t operation(void)
{
	uint32_t argument = below(3) ? below(40) : below(4096);

	return below(18) << 28 | below(7) << 24 | argument << 12 |
	       (below(3) ? below(4) : below(4096));
}

/* A limit that has passed, or is no time at all; NULL only where nothing is waited for. */
static struct timespec *limit(struct timespec *ts)
{
	static const struct timespec some[] = {{0, 0}, {0, 1}, {0, 1000000000}, {-1, 0}, {0, -1}};

	*ts = some[below(5)];
	return ts;
}

static long call(void)
{
	static const int waits[] = {FUTEX_WAIT, FUTEX_WAIT_BITSET},
			 flags[] = {0, FUTEX_PRIVATE_FLAG, FUTEX_PRIVATE_FLAG,
				    FUTEX_CLOCK_REALTIME};
	struct timespec ts;
	void *at = place(), *other = place();
	int flag = flags[below(4)], op;
	uint32_t bits = below(4) ? below(4) : 0xffffffff;

	switch (below(6)) {
	case 0:
		op = (below(2) ? FUTEX_WAKE : FUTEX_WAKE_BITSET) | flag;
		return syscall(SYS_futex, at, op, number(), NULL, NULL, bits);
	case 1:
		op = waits[below(2)] | flag;
		return syscall(SYS_futex, at, op, expected(at), limit(&ts), NULL, bits);
	case 2:
		return syscall(SYS_futex, at, FUTEX_REQUEUE | flag, number(), (long)(int)number(),
			       other, 0);
	case 3:
		return syscall(SYS_futex, at, FUTEX_CMP_REQUEUE | flag, number(),
			       (long)(int)number(), other, expected(at));
	default:
		return syscall(SYS_futex, at, FUTEX_WAKE_OP | flag, number(), (long)(int)number(),
			       other, operation());
	}
}

int main(int argc, char **argv)
{
	long count = argc > 2 ? atol(argv[2]) : 1000;

	state = argc > 1 ? strtoull(argv[1], NULL, 0) * 0x9e3779b97f4a7c15u + 1 : 1;
	words = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(words != MAP_FAILED);
	read_only = words + 1024;
	CHECK(mprotect(read_only, 4096, PROT_READ) == 0);
	for (long i = 0; i < count; i++) {
		errno = 0;
		long r = call();
		printf("%ld %ld %d %x %x %x %x\n", i, r, errno, words[0], words[1], words[2],
		       words[3]);
	}
	return 0;
}
