/*
 * Fuzzes what the tracer does with a program's file: headers, function starts, and the search for
 * listed instructions in its code.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tracer/elf_image.h"
#include "tracer/insn_scan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void scan(const uint8_t *bytes, size_t size, const uint32_t *starts, size_t count)
{
	struct code_view code = {bytes, size, starts, count};
	struct insn_site *sites;
	size_t found;

	if (insn_scan(&code, INSN_SET_ALL, &sites, &found) == 0)
		free(sites);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image;
	uint32_t *starts;
	size_t count;

	const char *interpreter;

	scan(data, size, NULL, 0);
	if (elf_image_interpreter(data, size, &interpreter) == 0 && strlen(interpreter) >= size)
		abort();
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
