/* See sparse_write.h. */
#include "sparse_write.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

bool bytes_are_zero(const uint8_t *bytes, size_t size)
{
	return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

/* The hole becomes part of the file by what is written behind it. */
static int skip(struct sparse_write *to)
{
	if (to->hole_bytes > 0 && lseek(to->fd, (off_t)to->hole_bytes, SEEK_CUR) < 0)
		return -errno;
	to->hole_bytes = 0;
	return 0;
}

static bool can_seek(const struct sparse_write *to)
{
	return to->hole_bytes > 0 || lseek(to->fd, 0, SEEK_CUR) >= 0;
}

int sparse_write(struct sparse_write *to, const uint8_t *bytes, size_t size)
{
	int error = 0;

	while (error == 0 && size > 0) {
		size_t n = size < SPARSE_PIECE ? size : SPARSE_PIECE;

		if (n == SPARSE_PIECE && bytes_are_zero(bytes, n) && can_seek(to)) {
			to->hole_bytes += n;
		} else {
			error = skip(to);
			if (error == 0)
				error = write_all(to->fd, bytes, n);
		}
		bytes += n;
		size -= n;
	}
	return error;
}

int sparse_write_end(struct sparse_write *to)
{
	if (to->hole_bytes == 0)
		return 0;
	int error = skip(to);
	off_t end = error == 0 ? lseek(to->fd, 0, SEEK_CUR) : -1;
	return error != 0 ? error : end < 0 || ftruncate(to->fd, end) < 0 ? -errno : 0;
}
