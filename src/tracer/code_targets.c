/*
 * Where code may be jumped into, by what its file shows.
 *
 * Two sets of offsets, a bit each.  "Computed" ones are entries of jump tables and pointers;
 * "relative" ones are what four bytes behind anything like the opcode of a branch or a lea lead to.
 * Both are supersets: nothing is decoded, every offset is tried.  Each is made when first asked for
 * and serves all plans for the code after that, so a large file costs one pass (libLLVM, 100 MB:
 * 0.1 s a set), not one for each window tried.
 *
 * Owns the sets.  Invariant: nothing outside the given ranges is read, and the time is linear in
 * their size.
 */
#include "code_targets.h"

#include <emmintrin.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Four bytes at `offset` from the beginning of the code, wherever the file has them, or NULL. */
static const uint8_t *word_at(const struct code_view *code, const struct code_data *data,
			      size_t data_count, int64_t offset)
{
	for (size_t i = 0; i < data_count; i++) {
		uint64_t at = (uint64_t)offset - (uint64_t)data[i].offset;

		if (data[i].size >= 4 && at <= data[i].size - 4)
			return data[i].bytes + at;
	}
	if (code->size >= 4 && (uint64_t)offset <= code->size - 4)
		return code->bytes + offset;
	return NULL;
}

/* Read a table, as code_table_entries; its targets are set in `bits` unless that is NULL. */
static size_t read_table(const struct code_view *code, const struct code_data *data,
			 size_t data_count, int64_t table, uint8_t *bits)
{
	size_t count = 0;

	for (;; count++) {
		const uint8_t *word = word_at(code, data, data_count, table + 4 * (int64_t)count);
		uint64_t target;
		int32_t entry;

		if (!word)
			break;
		memcpy(&entry, word, sizeof(entry));
		target = (uint64_t)table + (uint64_t)(int64_t)entry;
		if (target >= code->size)
			break;
		if (bits)
			bits[target / 8] |= (uint8_t)(1u << target % 8);
	}
	return count;
}

size_t code_table_entries(const struct code_view *code, const struct code_data *data,
			  size_t data_count, int64_t table)
{
	return read_table(code, data, data_count, table, NULL);
}

/* The pointers in [bytes, bytes + size). */
static void find_pointers(const struct code_view *code, uint64_t linked, const uint8_t *bytes,
			  size_t size, uint8_t *bits)
{
	/* they are aligned to 8, but for packed structures and what begins askew in the file */
	for (size_t at = -(uintptr_t)bytes % 4; at + 8 <= size; at += 4) {
		uint64_t target;

		memcpy(&target, bytes + at, sizeof(target));
		target -= linked;
		if (target < code->size)
			bits[target / 8] |= (uint8_t)(1u << target % 8);
	}
}

/*
 * The tables that leas name; the bytes of a lea are looked for anywhere, without decoding.  Tables
 * of a real file together have fewer entries than the file has bytes.
 */
static int find_tables(const struct code_view *code, const struct code_data *data,
		       size_t data_count, uint8_t *bits)
{
	size_t entries = 0, most = code->size;

	for (size_t i = 0; i < data_count; i++)
		most += data[i].size;
	for (size_t at = 0; at + 6 <= code->size; at++) {
		const uint8_t *lea = code->bytes + at;
		int32_t relative;

		if (lea[0] != 0x8d || (lea[1] & 0xc7) != 0x05)
			continue;
		memcpy(&relative, lea + 2, sizeof(relative));
		entries += read_table(code, data, data_count, (int64_t)at + 6 + relative, bits);
		if (entries > most)
			return -E2BIG;
	}
	return 0;
}

static int find_computed(const struct code_view *code, const struct code_data *data,
			 size_t data_count, uint64_t linked, uint8_t *bits)
{
	find_pointers(code, linked, code->bytes, code->size, bits);
	for (size_t i = 0; i < data_count; i++)
		find_pointers(code, linked, data[i].bytes, data[i].size, bits);
	return find_tables(code, data, data_count, bits);
}

static __m128i equal(__m128i bytes, uint8_t mask, uint8_t value)
{
	return _mm_cmpeq_epi8(_mm_and_si128(bytes, _mm_set1_epi8((char)mask)),
			      _mm_set1_epi8((char)value));
}

/*
 * Bit i is set if bytes[i] may be the last byte of an opcode that a displacement follows: call,
 * jmp; jcc; lea x(%rip); xbegin.  Reads bytes[-1] to bytes[15].
 */
static unsigned match_opcodes(const uint8_t *bytes)
{
	__m128i before = _mm_loadu_si128((const __m128i *)(bytes - 1));
	__m128i last = _mm_loadu_si128((const __m128i *)bytes);
	__m128i jcc = _mm_and_si128(equal(before, 0xff, 0x0f), equal(last, 0xf0, 0x80));
	__m128i lea = _mm_and_si128(equal(before, 0xff, 0x8d), equal(last, 0xc7, 0x05));
	__m128i xbegin = _mm_and_si128(equal(before, 0xff, 0xc7), equal(last, 0xff, 0xf8));
	__m128i any = _mm_or_si128(equal(last, 0xfe, 0xe8), _mm_or_si128(jcc, lea));

	return (unsigned)_mm_movemask_epi8(_mm_or_si128(any, xbegin));
}

/* The same with what is before the beginning and behind the end as zeros. */
static unsigned match_edge(const struct code_view *code, size_t base)
{
	uint8_t copy[17] = {base > 0 ? code->bytes[base - 1] : 0};
	size_t left = code->size - base;

	memcpy(copy + 1, code->bytes + base, left < 16 ? left : 16);
	return match_opcodes(copy + 1);
}

static void find_relative(const struct code_view *code, uint8_t *bits)
{
	for (size_t base = 0; base < code->size; base += 16) {
		unsigned mask = base == 0 || code->size - base < 16
					? match_edge(code, base)
					: match_opcodes(code->bytes + base);

		for (; mask; mask &= mask - 1) {
			size_t at = base + (size_t)__builtin_ctz(mask) + 1;
			uint32_t target;

			if (at > code->size || code->size - at < sizeof(target))
				break;
			memcpy(&target, code->bytes + at, sizeof(target));
			target += (uint32_t)at + 4;
			if (target < code->size)
				bits[target / 8] |= (uint8_t)(1u << target % 8);
		}
	}
}

static uint8_t *bits_create(const struct code_view *code)
{
	return calloc(code->size / 8 + 1, 1);
}

int code_targets_find_computed(struct code_targets *targets, const struct code_view *code,
			       const struct code_data *data, size_t data_count, uint64_t linked)
{
	if (targets->computed || targets->error)
		return targets->error;
	targets->computed = bits_create(code);
	targets->error = targets->computed
				 ? find_computed(code, data, data_count, linked, targets->computed)
				 : -ENOMEM;
	return targets->error;
}

bool code_targets_computed(const struct code_targets *targets, size_t offset)
{
	return targets->computed[offset / 8] >> offset % 8 & 1;
}

bool code_targets_relative(struct code_targets *targets, const struct code_view *code, size_t begin,
			   size_t end)
{
	if (!targets->relative) {
		targets->relative = bits_create(code);
		if (!targets->relative)
			return true;
		find_relative(code, targets->relative);
	}
	for (size_t at = begin; at < end; at++) {
		if (targets->relative[at / 8] >> at % 8 & 1)
			return true;
	}
	return false;
}

void code_targets_finish(struct code_targets *targets)
{
	free(targets->computed);
	free(targets->relative);
	*targets = (struct code_targets){0};
}
