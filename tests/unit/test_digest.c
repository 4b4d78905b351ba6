/*
 * hash_bytes: each bit, the length, the order and the seed count, and paths as programs have them
 * do not collide.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "../../src/shim/shim.h"
#include "check.h"

#define LENGTHS 300
#define PATHS	2000000

static int compare(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void check_distinct(uint64_t *hashes, size_t count)
{
	size_t same = 0;

	qsort(hashes, count, sizeof(*hashes), compare);
	for (size_t i = 1; i < count; i++)
		same += hashes[i] == hashes[i - 1];
	CHECK(same == 0);
}

static void fill(uint8_t *bytes, size_t size)
{
	uint64_t x = 88172645463325252u;

	for (size_t i = 0; i < size; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		bytes[i] = (uint8_t)(x >> 32);
	}
}

/* The bytes, each of them with one bit turned, and two seeds: of each length. */
static void test_bits(const uint8_t *source)
{
	static uint64_t hashes[LENGTHS * (LENGTHS * 4 + 3)];
	uint8_t bytes[LENGTHS];
	size_t count = 0;

	memcpy(bytes, source, sizeof(bytes));
	for (size_t len = 0; len < LENGTHS; len++) {
		for (uint64_t seed = 0; seed < 3; seed++)
			hashes[count++] = hash_bytes(seed, bytes, len);
		for (size_t bit = 0; bit < len * 8; bit += 2 + len % 3) {
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
			hashes[count++] = hash_bytes(0, bytes, len);
			bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
	}
	check_distinct(hashes, count);
}

/* Two words changing places anywhere, and a run of zeros of each length. */
static void test_order(const uint8_t *source)
{
	static uint64_t hashes[32 * 32 + LENGTHS];
	size_t count = 0;

	for (size_t i = 0; i < 32; i++) {
		for (size_t j = i + 1; j < 32; j++) {
			uint8_t bytes[32 * 8];

			memcpy(bytes, source, sizeof(bytes));
			memcpy(bytes + i * 8, source + j * 8, 8);
			memcpy(bytes + j * 8, source + i * 8, 8);
			hashes[count++] = hash_bytes(0, bytes, sizeof(bytes));
		}
	}
	uint8_t zeros[LENGTHS] = {0};
	for (size_t len = 0; len < LENGTHS; len++)
		hashes[count++] = hash_bytes(0, zeros, len);
	check_distinct(hashes, count);
}

/* As keys of paths are made: the directory's hash is the seed.  The upper half must do, too: tables
 * take their places from some of the bits. */
static void test_paths(void)
{
	uint64_t *hashes = malloc(PATHS * sizeof(*hashes));
	unsigned buckets[1024] = {0}, most = 0;
	char name[64];

	for (size_t i = 0; i < PATHS; i++) {
		int n = snprintf(name, sizeof(name), "include/d%zu/file%zu.h", i / 1000, i % 1000);
		uint64_t base = hash_bytes(0, "/usr", 4);

		hashes[i] = hash_bytes(i & 1 ? base : 0, name, (size_t)n);
		buckets[hashes[i] >> 16 & 1023]++;
	}
	for (size_t i = 0; i < 1024; i++)
		most = buckets[i] > most ? buckets[i] : most;
	CHECK(most < PATHS / 1024 * 5 / 4);
	check_distinct(hashes, PATHS);
	free(hashes);
}

int main(void)
{
	static uint8_t bytes[1024];

	fill(bytes, sizeof(bytes));
	test_bits(bytes);
	test_order(bytes);
	test_paths();
	return failures != 0;
}
