/* Writing a new file from its start, with holes where there are only zeros. */
#ifndef SHADOW_LOG_SPARSE_WRITE_H
#define SHADOW_LOG_SPARSE_WRITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* {.fd = FD}: an empty file at offset 0, or anything that write(2) takes. */
struct sparse_write {
	int fd;
	uint64_t hole_bytes; /* skipped and not yet followed by anything */
};

/* Zeros are left out in pieces of this size. */
#define SPARSE_PIECE 0x10000

/* The next bytes. A file that cannot seek gets all of them. 0 or a negative errno. */
int sparse_write(struct sparse_write *to, const uint8_t *bytes, size_t size);

/* A hole at the end. */
int sparse_write_end(struct sparse_write *to);

/* Whether all bytes are 0. */
bool bytes_are_zero(const uint8_t *bytes, size_t size);

#endif
