/* See shim_image.h.  The shim and the addresses are built in (shim/embed_shim.py). */
#include "shim_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../shim/shim_abi.h"

#define PAGE 4096

/* An ELF file of one segment, which begins behind the first page. */
extern const uint8_t shim_blob_start[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

struct place {
	uint64_t address;
	uint64_t offset; /* in our file; 0: not known */
};

static int find_place(struct dl_phdr_info *info, size_t size, void *arg)
{
	struct place *place = arg;

	(void)size;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const ElfW(Phdr) *p = &info->dlpi_phdr[i];
		uint64_t start = info->dlpi_addr + p->p_vaddr;

		if (p->p_type == PT_LOAD && place->address >= start &&
		    place->address - start < p->p_filesz)
			place->offset = p->p_offset + (place->address - start);
	}
	return place->offset != 0;
}

uint64_t shim_image_offset(void)
{
	struct place place = {(uint64_t)(uintptr_t)shim_blob_start + PAGE, 0};

	dl_iterate_phdr(find_place, &place);
	return place.offset % PAGE == 0 ? place.offset : 0;
}

static Elf64_Phdr blob_segment(void)
{
	Elf64_Ehdr head;
	Elf64_Phdr segment;

	memcpy(&head, shim_blob_start, sizeof(head));
	memcpy(&segment, shim_blob_start + head.e_phoff, sizeof(segment));
	return segment;
}

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

static int sealed_memfd(const uint8_t *bytes, size_t size)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("shadow-shim", flags | MFD_EXEC);

	/* Kernels before 6.3 do not know MFD_EXEC. */
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create("shadow-shim", flags);
	if (fd < 0)
		return -errno;
	int error = write_all(fd, bytes, size);
	if (error == 0 &&
	    fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
		error = -errno;
	if (error < 0) {
		close(fd);
		return error;
	}
	return fd;
}

/* Our own file, or -1: it may not be read; or it is another, as we were started as an argument of
 * the dynamic linker's. */
static int own_file(uint64_t offset)
{
	int fd = offset != 0 ? open("/proc/self/exe", O_RDONLY | O_CLOEXEC) : -1;
	uint8_t page[PAGE];

	if (fd < 0 || (pread(fd, page, PAGE, (off_t)offset) == PAGE &&
		       memcmp(page, shim_blob_start + PAGE, PAGE) == 0))
		return fd;
	close(fd);
	return -1;
}

/* The header, and the first page of the shim, which maps the rest. */
static int boot_memfd(uint64_t offset)
{
	Elf64_Phdr segment = blob_segment();
	uint64_t size = segment.p_filesz;
	uint8_t file[2 * PAGE];
	Elf64_Ehdr head;

	memcpy(file, shim_blob_start, sizeof(file));
	memcpy(&head, file, sizeof(head));
	head.e_entry = shim_blob_symbols.boot;
	head.e_shoff = head.e_shnum = head.e_shstrndx = 0;
	segment.p_filesz = segment.p_memsz = PAGE;
	memcpy(file + head.e_phoff, &segment, sizeof(segment));
	memcpy(file, &head, sizeof(head));
	memcpy(file + PAGE + (shim_blob_symbols.boot_size - SHIM_BASE), &size, sizeof(size));
	memcpy(file + PAGE + (shim_blob_symbols.boot_offset - SHIM_BASE), &offset, sizeof(offset));
	return sealed_memfd(file, sizeof(file));
}

int shim_image_open(uint64_t offset, struct shim_files *ret_files)
{
	ret_files->text = own_file(offset);
	if (ret_files->text < 0) {
		offset = PAGE;
		ret_files->text = sealed_memfd(shim_blob_start, PAGE + blob_segment().p_filesz);
	}
	if (ret_files->text < 0)
		return ret_files->text;
	ret_files->boot = boot_memfd(offset);
	return ret_files->boot < 0 ? ret_files->boot : 0;
}
