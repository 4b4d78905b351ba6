/*
 * See needed.h.  Formats: System V gABI chapters 4 and 5.  Owns nothing; invariant: whatever the
 * file says, no more is read of it than the arrays here hold.
 */
#include "needed.h"

#include <elf.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf_image.h"

#define HEAD_BYTES  4096 /* of a file: its headers */
#define HEADERS_MAX 64
#define DYNAMIC_MAX 256

/* Where most systems have their libraries. */
static const char *const folders[] = {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/lib",
				      "/lib/x86_64-linux-gnu",	   "/lib64",	 "/lib"};

struct file {
	int fd;
	Elf64_Phdr headers[HEADERS_MAX];
	size_t header_count;
};

static size_t read_some(int fd, void *to, size_t size, uint64_t offset)
{
	ssize_t n = offset <= INT64_MAX ? pread(fd, to, size, (off_t)offset) : -1;

	return n < 0 ? 0 : (size_t)n;
}

/* A string of the file; false if it is not ended within NEEDED_PATH_MAX. */
static bool read_string(int fd, uint64_t offset, char to[NEEDED_PATH_MAX])
{
	return memchr(to, '\0', read_some(fd, to, NEEDED_PATH_MAX, offset)) != NULL;
}

static const Elf64_Phdr *header_of(const struct file *f, uint32_t type)
{
	for (size_t i = 0; i < f->header_count; i++) {
		if (f->headers[i].p_type == type)
			return &f->headers[i];
	}
	return NULL;
}

/* Where in the file an address is, or UINT64_MAX. */
static uint64_t offset_of(const struct file *f, uint64_t address)
{
	for (size_t i = 0; i < f->header_count; i++) {
		const Elf64_Phdr *h = &f->headers[i];

		if (h->p_type == PT_LOAD && address - h->p_vaddr < h->p_filesz)
			return h->p_offset + (address - h->p_vaddr);
	}
	return UINT64_MAX;
}

static bool is_there(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

static void add_library(struct needed *n, const char *name)
{
	char *path = n->libraries[n->count];

	for (size_t i = 0; i < sizeof(folders) / sizeof(*folders); i++) {
		int size = snprintf(path, NEEDED_PATH_MAX, "%s/%s", folders[i], name);

		if (size < NEEDED_PATH_MAX && is_there(path)) {
			n->count++;
			return;
		}
	}
}

static void find_libraries(const struct file *f, struct needed *n)
{
	const Elf64_Phdr *header = header_of(f, PT_DYNAMIC);
	Elf64_Dyn dynamic[DYNAMIC_MAX];
	uint64_t strings = UINT64_MAX;
	char name[NEEDED_PATH_MAX];

	if (header == NULL)
		return;
	size_t size = header->p_filesz < sizeof(dynamic) ? header->p_filesz : sizeof(dynamic);
	size_t count = read_some(f->fd, dynamic, size, header->p_offset) / sizeof(*dynamic);
	for (size_t i = 0; i < count; i++) {
		if (dynamic[i].d_tag == DT_STRTAB)
			strings = offset_of(f, dynamic[i].d_un.d_ptr);
	}
	for (size_t i = 0; strings != UINT64_MAX && i < count && n->count < NEEDED_MAX; i++) {
		if (dynamic[i].d_tag == DT_NEEDED &&
		    read_string(f->fd, strings + dynamic[i].d_un.d_val, name) &&
		    strchr(name, '/') == NULL)
			add_library(n, name);
	}
}

void needed_find(int fd, struct needed *ret_needed)
{
	struct file f = {.fd = fd};
	uint8_t head[HEAD_BYTES];
	size_t size = read_some(fd, head, sizeof(head), 0);
	int count = elf_image_headers(head, size, f.headers, HEADERS_MAX);

	ret_needed->interpreter[0] = '\0';
	ret_needed->count = 0;
	if (count < 0)
		return;
	f.header_count = (size_t)count;
	const Elf64_Phdr *interpreter = header_of(&f, PT_INTERP);
	if (interpreter == NULL)
		return;
	if (!read_string(fd, interpreter->p_offset, ret_needed->interpreter) ||
	    ret_needed->interpreter[0] != '/')
		ret_needed->interpreter[0] = '\0';
	find_libraries(&f, ret_needed);
}
