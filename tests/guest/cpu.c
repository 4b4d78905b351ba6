/*
 * The processor as a program is shown it: every leaf of CPUID, extended control register, auxiliary
 * vector. Natively the number of the processor it runs on is among it. What is shown can be used:
 * the widest vectors survive a signal handler that uses them too.
 */
#include <cpuid.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/auxv.h>
#include "check.h"

static void print_leaf(unsigned leaf, unsigned sub)
{
	unsigned a, b, c, d;

	__cpuid_count(leaf, sub, a, b, c, d);
	if (a | b | c | d)
		printf("%08x.%u: %08x %08x %08x %08x\n", leaf, sub, a, b, c, d);
}

static void print_leaves(unsigned first)
{
	unsigned last = __get_cpuid_max(first, NULL);

	for (unsigned leaf = first; leaf <= last && leaf < first + 0x30; leaf++) {
		for (unsigned sub = 0; sub < 9; sub++)
			print_leaf(leaf, sub);
	}
}

/* As ld.so and compilers decide it. */
static int level(void)
{
	__builtin_cpu_init();
	if (!__builtin_cpu_supports("sse4.2") || !__builtin_cpu_supports("popcnt"))
		return 1;
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
			       __builtin_cpu_supports("fma")
		       ? 3
		       : 2;
}

#define WIDE_BYTES 64

/* Fills the highest vector register of the processor that is shown, and reads it again. */
static void wide_set(const uint8_t *bytes)
{
	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vmovdqu64 %0, %%zmm31\n\tkmovw %%eax, %%k5"
				 :
				 : "m"(*(const uint8_t(*)[WIDE_BYTES])bytes), "a"(bytes[0] * 257));
	else if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vmovdqu %0, %%ymm15" : : "m"(*(const uint8_t(*)[32])bytes));
	else
		__asm__ volatile("movdqu %0, %%xmm15" : : "m"(*(const uint8_t(*)[16])bytes));
}

static unsigned wide_get(uint8_t *bytes)
{
	unsigned mask = 0;

	if (__builtin_cpu_supports("avx512f"))
		__asm__ volatile("vmovdqu64 %%zmm31, %0\n\tkmovw %%k5, %1"
				 : "=m"(*(uint8_t(*)[WIDE_BYTES])bytes), "=r"(mask));
	else if (__builtin_cpu_supports("avx"))
		__asm__ volatile("vmovdqu %%ymm15, %0" : "=m"(*(uint8_t(*)[32])bytes));
	else
		__asm__ volatile("movdqu %%xmm15, %0" : "=m"(*(uint8_t(*)[16])bytes));
	return mask;
}

static void on_signal(int number)
{
	uint8_t zeros[WIDE_BYTES] = {0}, found[WIDE_BYTES] = {1};

	CHECK(number == SIGUSR1);
	/* A handler starts with empty registers. */
	CHECK(wide_get(found) == 0 && memcmp(found, zeros, 16) == 0);
	memset(found, 0xee, sizeof(found));
	wide_set(found);
}

static void check_wide(void)
{
	uint8_t set[WIDE_BYTES] = {0}, got[WIDE_BYTES] = {0};
	size_t bytes = __builtin_cpu_supports("avx512f") ? 64
		       : __builtin_cpu_supports("avx")	 ? 32
							 : 16;

	for (size_t i = 0; i < bytes; i++)
		set[i] = (uint8_t)(i * 3 + 1);
	signal(SIGUSR1, on_signal);
	wide_set(set);
	raise(SIGUSR1);
	unsigned mask = wide_get(got);
	CHECK(memcmp(set, got, sizeof(set)) == 0);
	CHECK(bytes < 64 || mask == 257);
	printf("vectors of %zu bytes survive\n", bytes);
}

int main(void)
{
	unsigned a, b, c, d;

	print_leaves(0);
	print_leaves(0x80000000);
	__cpuid(1, a, b, c, d);
	if (c & bit_OSXSAVE) {
		__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
		printf("xcr0 %x%08x\n", d, a);
	}
	printf("level %d hwcap %lx hwcap2 %lx minimal signal stack %lu\n", level(),
	       getauxval(AT_HWCAP), getauxval(AT_HWCAP2), getauxval(AT_MINSIGSTKSZ));
	check_wide();
	return 0;
}
