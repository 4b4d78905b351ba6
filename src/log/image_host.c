/* See image_host.h.  Owns nothing; contents are hashed as they are copied, so that no other process
 * can change them in between. */
#include "image_host.h"

#include <errno.h>
#include <fcntl.h>
#include <nettle/sha2.h>
#include <string.h>
#include <unistd.h>

#include "sparse_write.h"

#define COPY_BYTES 0x10000 /* on the stack: what is thread-local costs every thread */

static int differs(struct evlog_reader *reader, const struct image_entry *entry, const char *why)
{
	evlog_reader_note_differs(reader, entry->path, why);
	return -ESTALE;
}

/* Not blocking: by now it may be a FIFO. */
int image_host_open(struct evlog_reader *reader, const struct image_entry *entry,
		    struct stat *ret_st)
{
	int fd = open(entry->path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	const char *why = NULL;

	if (fd < 0)
		return differs(reader, entry,
			       errno == ENOENT || errno == ENOTDIR ? "it is gone"
								   : "it cannot be opened");
	if (fstat(fd, ret_st) < 0 || !S_ISREG(ret_st->st_mode))
		why = "it is no regular file";
	else if ((uint64_t)ret_st->st_size != entry->size_bytes)
		why = "it has another size";
	if (why == NULL)
		return fd;
	close(fd);
	return differs(reader, entry, why);
}

static int copy(int from, struct sparse_write *to, struct sha256_ctx *sha)
{
	uint8_t bytes[COPY_BYTES];
	ssize_t n;
	int error = 0;

	while (error == 0 && (n = read(from, bytes, sizeof(bytes))) != 0) {
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n < 0)
			continue;
		sha256_update(sha, (size_t)n, bytes);
		error = sparse_write(to, bytes, (size_t)n);
	}
	return error != 0 ? error : sparse_write_end(to);
}

int image_host_copy(struct evlog_reader *reader, const struct image_entry *entry, int fd)
{
	struct sparse_write to = {.fd = fd};
	uint8_t hash[EVLOG_HASH_SIZE];
	struct sha256_ctx sha;
	struct stat st;

	if (entry->size_bytes == 0)
		return 0;
	int from = image_host_open(reader, entry, &st);
	if (from < 0)
		return from;
	sha256_init(&sha);
	int error = copy(from, &to, &sha);
	close(from);
	if (error < 0)
		return error;
	sha256_digest(&sha, sizeof(hash), hash);
	if (memcmp(hash, entry->hash, sizeof(hash)) != 0)
		return differs(reader, entry, "it has other contents");
	return 0;
}
