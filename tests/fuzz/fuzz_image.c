/*
 * Fuzzes unpacking: a sound log is made of hostile image entries, a hostile directory of blobs and
 * contents, and unpacked into a folder of a tmpfs.  Nothing may appear beside that folder.
 *
 * The input: {u16 size, image entries}, {u16 size, directory of blobs}, contents.
 */
#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "log/evlog_codec.h"
#include "log/evlog_reader.h"
#include "log/evlog_section.h"
#include "log/image_tree.h"
#include "log/image_unpack.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define BYTES_MAX (1u << 20)

static char place[] = "/dev/shm/shadow-fuzz-XXXXXX";

struct log_bytes {
	struct evlog_buf bytes;
	uint32_t sequence;
};

static void put_section(struct log_bytes *log, enum evlog_section_type type, const uint8_t *bytes,
			size_t size, const uint8_t *raw, size_t raw_size)
{
	struct evlog_buf packed = {0};
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	uint8_t header[EVLOG_SECTION_HEADER_SIZE];
	struct evlog_section section = {.type = type,
					.sequence = log->sequence++,
					.inline_size = (uint32_t)size,
					.raw_size = (uint32_t)raw_size};

	if (raw_size != 0 && evlog_section_pack(cctx, 1, raw, raw_size, &packed) < 0)
		abort();
	section.packed_size = (uint32_t)packed.len;
	section.checksum = evlog_section_checksum(bytes, size, packed.data, packed.len);
	evlog_section_encode(&section, header);
	evlog_put(&log->bytes, header, sizeof(header));
	evlog_put(&log->bytes, bytes, size);
	evlog_put(&log->bytes, packed.data, packed.len);
	evlog_buf_finish(&packed);
	ZSTD_freeCCtx(cctx);
}

static void put_start(struct log_bytes *log)
{
	static const char *const argv[] = {"p"};
	struct evlog_header header = {.argv = {(const char **)(uintptr_t)argv, 1}, .cwd = "/"};
	struct evlog_pairs none = {0};
	struct evlog_buf payload = {0};

	evlog_header_encode(&payload, &header);
	put_section(log, EVLOG_SECTION_HEADER, payload.data, payload.len, NULL, 0);
	payload.len = 0;
	evlog_pairs_encode(&payload, &none);
	put_section(log, EVLOG_SECTION_HOST, payload.data, payload.len, NULL, 0);
	evlog_buf_finish(&payload);
}

/* The next part of the input. */
static const uint8_t *part(const uint8_t **data, size_t *size, size_t *ret_size)
{
	const uint8_t *at = *data + 2;
	size_t left = *size >= 2 ? *size - 2 : 0;
	size_t want = *size >= 2 ? (size_t)((*data)[0] | (*data)[1] << 8) : 0;

	*ret_size = want < left ? want : left;
	*data += *size >= 2 ? 2 + *ret_size : 0;
	*size = *size >= 2 ? left - *ret_size : *size;
	return *ret_size != 0 ? at : (const uint8_t *)"";
}

static struct evlog_reader *log_open(const uint8_t *data, size_t size)
{
	struct log_bytes log = {0};
	struct evlog_reader *reader = NULL;
	size_t image_size, directory_size;
	const uint8_t *image = part(&data, &size, &image_size);
	const uint8_t *directory = part(&data, &size, &directory_size);
	int fd = memfd_create("log", MFD_CLOEXEC);

	put_start(&log);
	put_section(&log, EVLOG_SECTION_BLOBS, directory, directory_size, data, size);
	put_section(&log, EVLOG_SECTION_IMAGE, image, image_size, NULL, 0);
	if (fd < 0 || write(fd, log.bytes.data, log.bytes.len) != (ssize_t)log.bytes.len)
		abort();
	evlog_buf_finish(&log.bytes);
	return evlog_reader_open_fd(fd, NULL, &reader) == 0 ? reader : NULL;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	if (remove(path) < 0)
		abort();
	return 0;
}

static int note_entry(void *arg, const struct image_entry *entry, uint64_t dev, uint64_t ino)
{
	(void)arg;
	(void)dev;
	return entry->path[0] == '/' && ino != 0 ? 0 : -1;
}

/* Beside the folder "root" there is "witness", and nothing else; it is as it was. */
static void check_outside(void)
{
	DIR *dir = opendir(place);
	const struct dirent *entry;
	char path[64];
	struct stat st;

	while ((entry = readdir(dir)) != NULL) {
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
		    strcmp(entry->d_name, "root") != 0 && strcmp(entry->d_name, "witness") != 0)
			abort();
	}
	closedir(dir);
	snprintf(path, sizeof(path), "%s/witness", place);
	if (stat(path, &st) < 0 || st.st_size != 0 || st.st_nlink != 1 ||
	    (st.st_mode & 0777) != 0600)
		abort();
}

static void unpack(struct evlog_reader *reader)
{
	struct image_tree *tree;
	char root[64];

	snprintf(root, sizeof(root), "%s/root", place);
	if (mkdir(root, 0700) < 0)
		abort();
	int fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (image_tree_load(reader, &tree) == 0) {
		image_unpack(reader, tree, fd, BYTES_MAX, note_entry, NULL);
		image_tree_destroy(tree);
	}
	close(fd);
	check_outside();
	nftw(root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void place_remove(void)
{
	nftw(place, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void place_make(void)
{
	static bool made;
	char path[64];

	if (made)
		return;
	made = true;
	if (mkdtemp(place) == NULL)
		abort();
	atexit(place_remove);
	snprintf(path, sizeof(path), "%s/witness", place);
	close(open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evlog_reader *reader;

	place_make();
	reader = log_open(data, size);
	if (reader != NULL) {
		unpack(reader);
		evlog_reader_destroy(reader);
	}
	return 0;
}
