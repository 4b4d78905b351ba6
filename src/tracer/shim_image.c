/* See shim_image.h.  The file is ours, built in: its structure is trusted. */
#include "shim_image.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

extern const uint8_t shim_blob_start[], shim_blob_end[];

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010u
#endif

static uint64_t symbol(const Elf64_Sym *syms, size_t count, const char *names, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names + syms[i].st_name, name) == 0)
			return syms[i].st_value;
	}
	return 0;
}

int shim_image_symbols(struct shim_symbols *ret)
{
	const Elf64_Ehdr *eh = (const Elf64_Ehdr *)(const void *)shim_blob_start;
	const Elf64_Shdr *sh = (const Elf64_Shdr *)(const void *)(shim_blob_start + eh->e_shoff);

	for (int i = 0; i < eh->e_shnum; i++) {
		if (sh[i].sh_type != SHT_SYMTAB)
			continue;
		const Elf64_Sym *syms =
			(const Elf64_Sym *)(const void *)(shim_blob_start + sh[i].sh_offset);
		const char *names = (const char *)shim_blob_start + sh[sh[i].sh_link].sh_offset;
		size_t n = sh[i].sh_size / sizeof(*syms);

		*ret = (struct shim_symbols){
			.entry = symbol(syms, n, names, "shim_entry"),
			.insn_entry = symbol(syms, n, names, "shim_insn_entry"),
			.fault_entry = symbol(syms, n, names, "shim_fault_entry"),
			.call_page_return = symbol(syms, n, names, "call_page_return"),
			.usercopy_begin = symbol(syms, n, names, "usercopy_begin"),
			.usercopy_end = symbol(syms, n, names, "usercopy_end"),
			.usercopy_fault = symbol(syms, n, names, "usercopy_fault"),
		};
		return ret->entry && ret->insn_entry && ret->fault_entry && ret->usercopy_fault
			       ? 0
			       : -ENOEXEC;
	}
	return -ENOEXEC;
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
