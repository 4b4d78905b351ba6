/*
 * Fuzzes what the tracer does with a program's file: headers, function starts, and the search for
 * listed instructions in its code.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tracer/elf_image.h"
#include "tracer/insn_scan.h"
#include "tracer/needed.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(const uint8_t *bytes, size_t size, const uint32_t *starts, size_t count)
{
	struct code_view code = {bytes, size, starts, count};
	struct insn_site *sites;
	size_t found;

	if (insn_scan(&code, INSN_SET_ALL, &sites, &found) == 0)
		free(sites);
}

static void find_needed(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct needed needed;

	if (fd < 0)
		fd = memfd_create("program", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		abort();
	needed_find(fd, &needed);
	for (size_t i = 0; i < needed.count; i++) {
		if (needed.libraries[i][0] != '/' || strlen(needed.libraries[i]) >= NEEDED_PATH_MAX)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image;
	uint32_t *starts;
	size_t count;

	scan(data, size, NULL, 0);
	find_needed(data, size);
	if (elf_image_parse(data, size, &image) < 0)
		return 0;
	for (size_t i = 0; i < image.segment_count; i++) {
		const struct elf_segment *segment = &image.segments[i];

		if (elf_image_function_starts(&image, i, &starts, &count) < 0)
			continue;
		scan(data + segment->file_offset, segment->file_size, starts, count);
		free(starts);
	}
	return 0;
}
