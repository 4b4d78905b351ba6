/*
 * Bounds-checked reading of ELF files.
 *
 * Formats: System V gABI chapters 4 and 5; .eh_frame_hdr: LSB core, 10.6.2. Only the form of its
 * table that linkers write is read (pairs of 4-byte offsets from the section).
 *
 * Owns nothing. Invariant: every read goes through image_at, which checks it against the size;
 * fields are copied, never dereferenced in place, since nothing promises alignment.
 */
#include "elf_image.h"

#include <elf.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Pointer encodings of .eh_frame_hdr (DW_EH_PE_*). */
#define ENCODING_UDATA4		0x03
#define ENCODING_DATAREL_SDATA4 0x3b
#define UNWIND_HEADER_SIZE	12u
#define UNWIND_ENTRY_SIZE	8u

struct start_list {
	uint32_t *starts;
	size_t count;
	size_t room;
};

/* `size` bytes at `offset` of the file, or NULL. */
static const uint8_t *image_at(const struct elf_image *image, uint64_t offset, uint64_t size)
{
	if (offset > image->size || size > image->size - offset)
		return NULL;
	return image->bytes + offset;
}

/* Append to one of the two lists of segments. */
static int add_segment(const struct elf_image *image, const Elf64_Phdr *header,
		       struct elf_segment *list, size_t *count)
{
	struct elf_segment segment = {
		.file_offset = header->p_offset,
		.file_size = header->p_filesz,
		.address = header->p_vaddr,
	};

	if (!image_at(image, segment.file_offset, segment.file_size) ||
	    segment.address + segment.file_size < segment.address)
		return -EBADMSG;
	if (segment.file_size > UINT32_MAX || *count == ELF_IMAGE_SEGMENTS_MAX)
		return -E2BIG;
	list[(*count)++] = segment;
	return 0;
}

static int add_program_header(struct elf_image *image, const Elf64_Phdr *header)
{
	if (header->p_type == PT_LOAD && header->p_filesz) {
		if (header->p_flags & PF_X)
			return add_segment(image, header, image->segments, &image->segment_count);
		return add_segment(image, header, image->data, &image->data_count);
	}
	if (header->p_type != PT_GNU_EH_FRAME)
		return 0;
	if (!image_at(image, header->p_offset, header->p_filesz))
		return -EBADMSG;
	image->unwind_offset = header->p_offset;
	image->unwind_size = header->p_filesz;
	image->unwind_address = header->p_vaddr;
	return 0;
}

static bool header_is_ours(const Elf64_Ehdr *header)
{
	return !memcmp(header->e_ident, ELFMAG, SELFMAG) &&
	       header->e_ident[EI_CLASS] == ELFCLASS64 && header->e_ident[EI_DATA] == ELFDATA2LSB &&
	       header->e_machine == EM_X86_64 &&
	       (header->e_type == ET_EXEC || header->e_type == ET_DYN);
}

/* The program headers, where they lie in the file. */
static int find_headers(const struct elf_image *image, const uint8_t **ret_table, size_t *ret_count)
{
	Elf64_Ehdr header;

	if (image->size < sizeof(header))
		return -ENOEXEC;
	memcpy(&header, image->bytes, sizeof(header));
	if (!header_is_ours(&header))
		return -ENOEXEC;
	if (header.e_phnum && header.e_phentsize != sizeof(Elf64_Phdr))
		return -EBADMSG;
	*ret_table = image_at(image, header.e_phoff, (uint64_t)header.e_phnum * sizeof(Elf64_Phdr));
	*ret_count = header.e_phnum;
	return *ret_table ? 0 : -EBADMSG;
}

static Elf64_Phdr header_at(const uint8_t *table, size_t i)
{
	Elf64_Phdr header;

	memcpy(&header, table + i * sizeof(header), sizeof(header));
	return header;
}

/* The table of sections, or NULL. */
static const uint8_t *find_sections(const struct elf_image *image, size_t *ret_count)
{
	Elf64_Ehdr header;

	memcpy(&header, image->bytes, sizeof(header));
	*ret_count = header.e_shnum;
	if (header.e_shentsize != sizeof(Elf64_Shdr))
		return NULL;
	return image_at(image, header.e_shoff, (uint64_t)header.e_shnum * sizeof(Elf64_Shdr));
}

static Elf64_Shdr section_at(const uint8_t *table, size_t i)
{
	Elf64_Shdr section;

	memcpy(&section, table + i * sizeof(section), sizeof(section));
	return section;
}

/* Linkers make a handful of them; of a file with more than there is room for, all may be code. */
static void find_code(struct elf_image *image)
{
	size_t count, n = 0;
	const uint8_t *table = find_sections(image, &count);

	for (size_t i = 0; table && i < count; i++) {
		Elf64_Shdr section = section_at(table, i);

		if (!(section.sh_flags & SHF_EXECINSTR) || section.sh_type == SHT_NOBITS ||
		    !image_at(image, section.sh_offset, section.sh_size))
			continue;
		if (n == ELF_IMAGE_CODE_MAX)
			return;
		image->code[n++] =
			(struct elf_range){section.sh_offset, section.sh_offset + section.sh_size};
	}
	image->code_count = n;
}

int elf_image_parse(const void *bytes, size_t size, struct elf_image *ret_image)
{
	struct elf_image image = {.bytes = bytes, .size = size};
	const uint8_t *table;
	size_t count;
	int r = find_headers(&image, &table, &count);

	for (size_t i = 0; r == 0 && i < count; i++) {
		Elf64_Phdr header = header_at(table, i);

		r = add_program_header(&image, &header);
	}
	if (r < 0)
		return r;
	find_code(&image);
	*ret_image = image;
	return 0;
}

int elf_image_headers(const void *bytes, size_t size, Elf64_Phdr *ret_headers, size_t max)
{
	const struct elf_image image = {.bytes = bytes, .size = size};
	const uint8_t *table;
	size_t count;
	int r = find_headers(&image, &table, &count);

	if (r < 0)
		return r;
	if (count > max)
		count = max;
	for (size_t i = 0; i < count; i++)
		ret_headers[i] = header_at(table, i);
	return (int)count;
}

/* Room for `count` more. The counts come from sizes within the file, so they are bounded by it. */
static int list_reserve(struct start_list *list, size_t count)
{
	uint32_t *starts;

	if (list->room - list->count >= count)
		return 0;
	starts = realloc(list->starts, (list->count + count) * sizeof(*starts));
	if (!starts)
		return -ENOMEM;
	list->starts = starts;
	list->room = list->count + count;
	return 0;
}

/* Take an address, if it lies in the segment; room was reserved. */
static void list_take(struct start_list *list, const struct elf_segment *segment, uint64_t address)
{
	if (address - segment->address < segment->file_size)
		list->starts[list->count++] = (uint32_t)(address - segment->address);
}

static int take_unwind_table(const struct elf_image *image, const struct elf_segment *segment,
			     struct start_list *list)
{
	const uint8_t *table = image_at(image, image->unwind_offset, image->unwind_size);
	uint32_t count;
	int r;

	if (!table || image->unwind_size < UNWIND_HEADER_SIZE || table[0] != 1 ||
	    table[2] != ENCODING_UDATA4 || table[3] != ENCODING_DATAREL_SDATA4)
		return 0;
	memcpy(&count, table + 8, sizeof(count));
	if (count > (image->unwind_size - UNWIND_HEADER_SIZE) / UNWIND_ENTRY_SIZE)
		return 0;
	r = list_reserve(list, count);
	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		int32_t offset;

		memcpy(&offset, table + UNWIND_HEADER_SIZE + i * UNWIND_ENTRY_SIZE, sizeof(offset));
		list_take(list, segment, image->unwind_address + (uint64_t)(int64_t)offset);
	}
	return 0;
}

static int take_symbols(const struct elf_image *image, const struct elf_segment *segment,
			const Elf64_Shdr *section, struct start_list *list)
{
	const uint8_t *symbols = image_at(image, section->sh_offset, section->sh_size);
	size_t count = symbols ? section->sh_size / sizeof(Elf64_Sym) : 0;
	int r = list_reserve(list, count);

	if (r < 0)
		return r;
	for (size_t i = 0; i < count; i++) {
		Elf64_Sym symbol;

		memcpy(&symbol, symbols + i * sizeof(symbol), sizeof(symbol));
		if (ELF64_ST_TYPE(symbol.st_info) == STT_FUNC && symbol.st_shndx != SHN_UNDEF)
			list_take(list, segment, symbol.st_value);
	}
	return 0;
}

/* Symbols of the first table of each kind: a hostile file could name the same one many times. */
static int take_symbol_tables(const struct elf_image *image, const struct elf_segment *segment,
			      struct start_list *list)
{
	bool seen_static = false;
	bool seen_dynamic = false;
	size_t sections;
	const uint8_t *table = find_sections(image, &sections);

	for (size_t i = 0; table && i < sections; i++) {
		Elf64_Shdr section = section_at(table, i);
		bool *seen;
		int r;

		if (section.sh_type != SHT_SYMTAB && section.sh_type != SHT_DYNSYM)
			continue;
		seen = section.sh_type == SHT_SYMTAB ? &seen_static : &seen_dynamic;
		if (*seen)
			continue;
		*seen = true;
		r = take_symbols(image, segment, &section, list);
		if (r < 0)
			return r;
	}
	return 0;
}

static int compare_starts(const void *left, const void *right)
{
	uint32_t a, b;

	memcpy(&a, left, sizeof(a));
	memcpy(&b, right, sizeof(b));
	return a < b ? -1 : a > b;
}

/* Sort unless sorted already, as linkers leave it; drop duplicates. */
static void list_normalise(struct start_list *list)
{
	bool sorted = true;
	size_t kept = 0;

	for (size_t i = 1; i < list->count && sorted; i++)
		sorted = list->starts[i - 1] <= list->starts[i];
	if (!sorted)
		qsort(list->starts, list->count, sizeof(*list->starts), compare_starts);
	for (size_t i = 0; i < list->count; i++)
		if (!kept || list->starts[kept - 1] != list->starts[i])
			list->starts[kept++] = list->starts[i];
	list->count = kept;
}

int elf_image_function_starts(const struct elf_image *image, size_t index, uint32_t **ret_starts,
			      size_t *ret_count)
{
	struct start_list list = {0};
	const struct elf_segment *segment;
	int r;

	if (index >= image->segment_count)
		return -EINVAL;
	segment = &image->segments[index];
	r = take_unwind_table(image, segment, &list);
	if (r == 0 && !list.count)
		r = take_symbol_tables(image, segment, &list);
	if (r < 0 || !list.count) {
		free(list.starts);
		list.starts = NULL;
		if (r < 0)
			return r;
	}
	list_normalise(&list);
	*ret_starts = list.starts;
	*ret_count = list.count;
	return 0;
}
