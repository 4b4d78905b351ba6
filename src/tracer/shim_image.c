/* See shim_image.h.  The file and the addresses are built in (shim/embed_shim.py). */
#include "shim_image.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

extern const uint8_t shim_blob_start[], shim_blob_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size > 0) {
		ssize_t n = write(fd, bytes, size);

		if (n < 0)
			return -errno;
		bytes += n;
		size -= (size_t)n;
	}
	return 0;
}

int shim_image_memfd(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("shadow-shim", flags | MFD_EXEC), error;

	/* Kernels before 6.3 do not know MFD_EXEC. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("shadow-shim", flags);
	if (fd < 0)
		return -errno;
	/* Two symbols of one section. */
	/* cppcheck-suppress comparePointers */
	error = write_all(fd, shim_blob_start, (size_t)(shim_blob_end - shim_blob_start));
	if (error == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}
