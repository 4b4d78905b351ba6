/*
 * Fuzzes the payloads of a log behind their checksums: the first byte chooses the kind.
 */
#include <stdint.h>
#include <stdlib.h>

#include "log/evlog_codec.h"
#include "log/image_entry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode_image(const uint8_t *data, size_t size)
{
	struct evlog_cursor cursor = evlog_cursor_make(data, size);
	struct image_entry entry;
	const char *name;
	uint8_t type;

	while (evlog_cursor_left(&cursor) && !image_entry_decode(&cursor, &entry)) {
		size_t at = 0;

		while (entry.kind == IMAGE_LISTING && image_names_next(&entry, &at, &name, &type))
			;
	}
}

static void decode_outputs(const uint8_t *data, size_t size)
{
	struct evlog_output *outputs;
	size_t count;

	if (!evlog_outputs_decode(data, size, &outputs, &count))
		free(outputs);
}

static void decode_values(unsigned int kind, const uint8_t *data, size_t size)
{
	struct evlog_header header;
	struct evlog_pairs pairs;
	struct evlog_epoch epoch;
	struct evlog_end end;
	uint64_t index;

	if (kind == 0 && !evlog_header_decode(data, size, &header))
		evlog_header_finish(&header);
	if (kind == 1 && !evlog_pairs_decode(data, size, &pairs))
		evlog_pairs_finish(&pairs);
	if (kind == 2 && !evlog_epoch_decode(data, size, &epoch))
		evlog_epoch_free_inputs(&epoch);
	if (kind == 3)
		evlog_end_decode(data, size, &end, &index);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	switch (data[0] % 6) {
	case 4:
		decode_image(data + 1, size - 1);
		break;
	case 5:
		decode_outputs(data + 1, size - 1);
		break;
	default:
		decode_values(data[0] % 6, data + 1, size - 1);
	}
	return 0;
}
