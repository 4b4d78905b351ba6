/*
 * Files written with holes have the same bytes as without, in whatever pieces they come; zeros take
 * no room; what cannot seek gets all bytes.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"
#include "log/sparse_write.h"

#define SIZE (40 * SPARSE_PIECE + 123)

static void write_in_pieces(int fd, const uint8_t *bytes, size_t size, size_t piece)
{
	struct sparse_write to = {.fd = fd};

	for (size_t at = 0; at < size; at += piece)
		CHECK(!sparse_write(&to, bytes + at, size - at < piece ? size - at : piece));
	CHECK(!sparse_write_end(&to));
}

static void check_file(const uint8_t *bytes, size_t size, size_t piece, size_t most)
{
	int fd = memfd_create("sparse", 0);
	uint8_t *got = malloc(size + 1);
	struct stat st;

	write_in_pieces(fd, bytes, size, piece);
	CHECK(!fstat(fd, &st) && st.st_size == (off_t)size);
	CHECK((size_t)st.st_blocks * 512 <= most);
	CHECK(pread(fd, got, size + 1, 0) == (ssize_t)size && !memcmp(got, bytes, size));
	free(got);
	close(fd);
}

/* A pipe takes zeros as any bytes. */
static void check_pipe(void)
{
	static uint8_t zeros[SPARSE_PIECE], got[SPARSE_PIECE];
	int ends[2];

	CHECK(!pipe(ends));
	write_in_pieces(ends[1], zeros, sizeof(zeros) - 4096, 10000);
	close(ends[1]);
	size_t have = 0;
	for (ssize_t n; (n = read(ends[0], got + have, sizeof(got) - have)) > 0;)
		have += (size_t)n;
	CHECK(have == sizeof(zeros) - 4096);
	close(ends[0]);
}

int main(void)
{
	static uint8_t bytes[SIZE];
	static const size_t pieces[] = {SPARSE_PIECE, 3 * SPARSE_PIECE, 1 << 20, SIZE};

	for (size_t i = 0; i < sizeof(pieces) / sizeof(*pieces); i++) {
		memset(bytes, 0, sizeof(bytes));
		check_file(bytes, SIZE, pieces[i], SPARSE_PIECE);
		check_file(bytes, 2 * SPARSE_PIECE, pieces[i], 0);
		bytes[20 * SPARSE_PIECE] = 1;
		check_file(bytes, SIZE, pieces[i], 2 * SPARSE_PIECE);
		bytes[0] = bytes[SIZE - 1] = 2;
		check_file(bytes, SIZE, pieces[i], 3 * SPARSE_PIECE);
	}
	check_file(bytes, 0, 1, 0);
	CHECK(bytes_are_zero(bytes + 1, 1000) && !bytes_are_zero(bytes, 1000));
	check_pipe();
	return failures ? 1 : 0;
}
