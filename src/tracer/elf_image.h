/*
 * What the tracer needs of an ELF64 file: its segments, where functions start, and what is code.
 * The file is hostile: everything is checked against its size.
 */
#ifndef SHADOW_TRACER_ELF_IMAGE_H
#define SHADOW_TRACER_ELF_IMAGE_H

#include <elf.h>
#include <stddef.h>
#include <stdint.h>

#define ELF_IMAGE_SEGMENTS_MAX 16
#define ELF_IMAGE_CODE_MAX     64

/* A PT_LOAD segment. file_offset + file_size lies within the file. */
struct elf_segment {
	uint64_t file_offset;
	uint64_t file_size;
	uint64_t address; /* as linked */
};

/* Bytes of the file: [begin, end). */
struct elf_range {
	uint64_t begin, end;
};

/* A parsed file; a plain value that borrows the bytes. */
struct elf_image {
	const uint8_t *bytes;
	size_t size;
	struct elf_segment segments[ELF_IMAGE_SEGMENTS_MAX]; /* the executable ones */
	size_t segment_count;
	struct elf_segment data[ELF_IMAGE_SEGMENTS_MAX]; /* the others that have bytes */
	size_t data_count;
	/* The sections of code: an executable segment can hold tables and constants beside them.
	 * None: the file does not tell. */
	struct elf_range code[ELF_IMAGE_CODE_MAX];
	size_t code_count;
	uint64_t unwind_offset; /* of .eh_frame_hdr in the file */
	uint64_t unwind_size;	/* 0 if there is none */
	uint64_t unwind_address;
};

/*
 * Parse an ELF file of `size` bytes, which must stay mapped while *ret_image is used.
 * Returns 0, -ENOEXEC if it is no ELF64 x86-64 program or shared object, -EBADMSG if its headers
 * are out of bounds or contradict each other, -E2BIG for too many segments or one of 4 GiB.
 */
int elf_image_parse(const void *bytes, size_t size, struct elf_image *ret_image);

/*
 * The program headers of a file of which the first `size` bytes are given, `max` at most.
 * Returns their number; -ENOEXEC or -EBADMSG as elf_image_parse, also if they are further behind.
 */
int elf_image_headers(const void *bytes, size_t size, Elf64_Phdr *ret_headers, size_t max);

/*
 * Function starts within executable segment `index`, ascending, without duplicates, as offsets
 * from the beginning of the segment: from the table in .eh_frame_hdr, else from function symbols.
 * The table is only believed where it is in bounds; a file without either gives none.
 * Returns 0 with *ret_starts (to be freed by the caller; NULL if none) and *ret_count, -EINVAL for
 * a bad index, or -ENOMEM.
 */
int elf_image_function_starts(const struct elf_image *image, size_t index, uint32_t **ret_starts,
			      size_t *ret_count);

#endif
