/*
 * The shim's moves, comparisons and lengths, at each length and place, against the C library's.
 */
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strlen
#undef strchr

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"

#define LENGTHS 300

/* string.c is compiled with these names. */
void *shim_memcpy(void *to, const void *from, size_t n);
void *shim_memmove(void *to, const void *from, size_t n);
void *shim_memset(void *to, int c, size_t n);
int shim_memcmp(const void *a, const void *b, size_t n);
size_t shim_strlen(const char *s);
char *shim_strchr(const char *s, int c);

static void check_copies(const uint8_t *source, size_t from, size_t to, size_t len)
{
	uint8_t ours[1024], expected[1024];

	memcpy(ours, source, sizeof(ours));
	memcpy(expected, source, sizeof(expected));
	shim_memmove(ours + to, ours + from, len);
	memmove(expected + to, expected + from, len);
	CHECK(memcmp(ours, expected, sizeof(ours)) == 0);
	shim_memcpy(ours + to, source + from, len);
	memcpy(expected + to, source + from, len);
	CHECK(memcmp(ours, expected, sizeof(ours)) == 0);
	CHECK(shim_memcmp(ours + to, source + from, len) == 0);
	shim_memset(ours + to, (int)len + 200, len);
	memset(expected + to, (int)len + 200, len);
	CHECK(memcmp(ours, expected, sizeof(ours)) == 0);
}

static int sign(int n)
{
	return (n > 0) - (n < 0);
}

static void test_strings(const uint8_t *source)
{
	char text[512];

	for (size_t len = 0; len < LENGTHS; len++) {
		for (size_t shift = 0; shift < 20; shift++)
			check_copies(source, 100 + shift, 100 + len % 23, len);
		for (size_t at = 0; at < 9; at++) {
			memset(text, '\x80', sizeof(text));
			text[at + len] = '\0';
			CHECK(shim_strlen(text + at) == len);
			CHECK(shim_strchr(text + at, '.') == NULL);
			if (len >= 2)
				text[at + len / 2] = text[at + len * 3 / 4] = '.';
			CHECK(shim_strchr(text + at, '.') == strchr(text + at, '.'));
			CHECK(shim_strchr(text + at, '\0') == text + at + len);
			memset(text, '\1', sizeof(text));
			text[at + len] = '\0';
			CHECK(shim_strlen(text + at) == len);
		}
		uint8_t other[LENGTHS + 1];
		for (size_t at = 0; at < len; at++) {
			memcpy(other, source, sizeof(other));
			other[at] = (uint8_t)(other[at] + 129);
			CHECK(sign(shim_memcmp(other, source, len)) ==
			      sign(memcmp(other, source, len)));
		}
	}
}

int main(void)
{
	static uint8_t bytes[1024];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)(i * 37 + i / 256 * 11);
	test_strings(bytes);
	return failures != 0;
}
