/*
 * See unwind_table.h.  Records of .eh_frame follow each other: u32 length, u32 id, ...; id 0 is a
 * CIE, else it is the distance back to the FDE's CIE.  Source: Linux Standard Base Core 5.0, 10.6.
 * Understood is the one encoding of addresses that compilers use there.
 */
#include "unwind_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define EH_FRAME_MOST (64u << 20)
#define SECTIONS_MOST 4096
#define ENC_PCREL_S4  0x1b
#define FDE_CODE_OFF  8 /* of the code address in an FDE */
#define ENC_SIZE_MASK 0x07

struct eh_frame {
	uint64_t address;
	size_t size;
	uint8_t *bytes;
};

static uint32_t u32_at(const struct eh_frame *f, size_t at)
{
	uint32_t value;

	memcpy(&value, f->bytes + at, sizeof(value));
	return value;
}

/* ---- finding it: by the file's section headers, which are not in memory ---- */

static int find_section(int fd, uint64_t *ret_address, uint64_t *ret_size)
{
	Elf64_Ehdr e;
	Elf64_Shdr s, names;
	char name[10];

	if (pread(fd, &e, sizeof(e), 0) != sizeof(e) || e.e_shentsize != sizeof(s) ||
	    e.e_shnum > SECTIONS_MOST || e.e_shstrndx >= e.e_shnum ||
	    pread(fd, &names, sizeof(names), (off_t)(e.e_shoff + e.e_shstrndx * sizeof(s))) !=
		    sizeof(names))
		return -ENOENT;
	for (unsigned i = 0; i < e.e_shnum; i++) {
		if (pread(fd, &s, sizeof(s), (off_t)(e.e_shoff + i * sizeof(s))) != sizeof(s))
			return -ENOENT;
		if (pread(fd, name, sizeof(name), (off_t)(names.sh_offset + s.sh_name)) !=
			    sizeof(name) ||
		    memcmp(name, ".eh_frame", sizeof(name)) != 0)
			continue;
		*ret_address = s.sh_addr;
		*ret_size = s.sh_size;
		return 0;
	}
	return -ENOENT;
}

static int read_section(const struct task_view *view, const struct task_object *object,
			struct eh_frame *f)
{
	uint64_t address, size;
	int fd = task_view_file(view, object->first);

	if (fd < 0)
		return fd;
	int error = find_section(fd, &address, &size);
	close(fd);
	if (error < 0)
		return error;
	if (size < 8 || size > EH_FRAME_MOST)
		return -EBADMSG;
	*f = (struct eh_frame){object->bias + address, size, malloc(size)};
	if (f->bytes == NULL)
		return -ENOMEM;
	return task_view_read(view, f->address, f->bytes, size) ? 0 : -EFAULT;
}

/* ---- reading it ---- */

static size_t skip_leb(const struct eh_frame *f, size_t at)
{
	while (at < f->size && f->bytes[at] & 0x80)
		at++;
	return at + 1;
}

static size_t encoded_size(uint8_t encoding)
{
	return (encoding & ENC_SIZE_MASK) == 2 ? 2 : (encoding & ENC_SIZE_MASK) == 3 ? 4 : 8;
}

/* The encoding of code addresses in FDEs of the CIE there; 0xff if it is none that can be read. */
static uint8_t cie_encoding(const struct eh_frame *f, size_t cie)
{
	size_t letter = cie + 9, at = letter;

	if (cie + 16 > f->size || u32_at(f, cie + 4) != 0 || f->bytes[letter] != 'z')
		return 0xff;
	at += strnlen((const char *)f->bytes + at, f->size - at) + 1;
	at = skip_leb(f, skip_leb(f, at)); /* alignment factors */
	at = skip_leb(f, skip_leb(f, at)); /* return register, size of what follows */
	for (letter++; at < f->size && f->bytes[letter] != '\0'; letter++) {
		if (f->bytes[letter] == 'R')
			return f->bytes[at];
		if (f->bytes[letter] == 'P')
			at += 1 + encoded_size(f->bytes[at]);
		else if (f->bytes[letter] == 'L')
			at++;
	}
	return 0xff;
}

static bool add_fde(const struct eh_frame *f, size_t at, struct unwind_table *table)
{
	uint32_t back = u32_at(f, at + 4);

	if (back > at + 4 || cie_encoding(f, at + 4 - back) != ENC_PCREL_S4)
		return false;
	int64_t code = (int64_t)at + FDE_CODE_OFF + (int32_t)u32_at(f, at + FDE_CODE_OFF);
	if (code < INT32_MIN || code > INT32_MAX)
		return false;
	table->entries[table->count++] = (struct unwind_entry){(int32_t)code, (int32_t)at};
	return true;
}

static int by_code(const void *a, const void *b)
{
	int32_t x = ((const struct unwind_entry *)a)->code;
	int32_t y = ((const struct unwind_entry *)b)->code;

	return x < y ? -1 : x > y;
}

static int read_entries(const struct eh_frame *f, struct unwind_table *table)
{
	/* The least FDE has 16 bytes. */
	table->entries = malloc((f->size / 16 + 1) * sizeof(*table->entries));
	if (table->entries == NULL)
		return -ENOMEM;
	for (size_t at = 0; at + 12 <= f->size;) {
		uint32_t length = u32_at(f, at);

		if (length == 0)
			break;
		if (length < 12 || length > f->size - at - 4)
			return -EBADMSG;
		if (u32_at(f, at + 4) != 0 && !add_fde(f, at, table))
			return -EBADMSG;
		at += 4 + (size_t)length;
	}
	qsort(table->entries, table->count, sizeof(*table->entries), by_code);
	return table->count > 0 ? 0 : -ENOENT;
}

int unwind_table_make(const struct task_view *view, const struct task_object *object,
		      struct unwind_table *ret_table)
{
	struct eh_frame f = {0};
	int error = read_section(view, object, &f);
	struct unwind_table table = {.base = f.address};

	if (error == 0)
		error = read_entries(&f, &table);
	free(f.bytes);
	if (error == 0)
		*ret_table = table;
	else
		free(table.entries);
	return error;
}
