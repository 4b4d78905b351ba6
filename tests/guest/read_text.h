/* A file that is read to its end in one go, as those of /proc are. */
#ifndef GUEST_READ_TEXT_H
#define GUEST_READ_TEXT_H

#include <fcntl.h>
#include <unistd.h>

#include "check.h"

/* As much as `size` has room for, NUL-ended. */
static inline void read_text(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	size_t n = 0;
	ssize_t r;

	CHECK(fd >= 0);
	while ((r = read(fd, text + n, size - 1 - n)) > 0)
		n += (size_t)r;
	text[n] = '\0';
	close(fd);
}

#endif
