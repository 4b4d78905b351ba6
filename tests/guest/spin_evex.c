/*
 * Two threads hand a turn to and fro in loops that read it by instructions with an EVEX prefix; by
 * others where the processor has none.
 */
#include <immintrin.h>
#include <pthread.h>

#include "check.h"

#define ROUNDS 100
#define WORDS  16

static volatile int words[WORDS] __attribute__((aligned(64)));

__attribute__((target("avx512f"))) static void wait_vector(int value)
{
	__m512i all;

	do
		__asm__ volatile("vmovdqu32 (%1), %0" : "=v"(all) : "r"(words) : "memory");
	while (_mm512_reduce_max_epi32(all) != value);
}

static void wait_scalar(int value)
{
	while (words[(value / 2 * 7 + value % 2) % WORDS] != value)
		continue;
}

static void (*wait_for)(int value) = wait_scalar;

static void set(int value)
{
	words[(value / 2 * 7 + value % 2) % WORDS] = value;
}

static void *other(void *arg)
{
	for (int i = 0; i < ROUNDS; i++) {
		wait_for(2 * i + 1);
		set(2 * i + 2);
	}
	return arg;
}

int main(void)
{
	pthread_t thread;

	if (__builtin_cpu_supports("avx512f"))
		wait_for = wait_vector;
	CHECK(pthread_create(&thread, NULL, other, NULL) == 0);
	for (int i = 0; i < ROUNDS; i++) {
		set(2 * i + 1);
		wait_for(2 * i + 2);
	}
	CHECK(pthread_join(thread, NULL) == 0);
	puts("ok");
	return 0;
}
