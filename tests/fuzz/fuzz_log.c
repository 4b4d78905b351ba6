/*
 * Fuzzes the reader of logs: opening, and everything that can be asked of what was opened. An input
 * whose last byte is even has its checksums made right first, or nothing would get past them.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "log/evlog_reader.h"
#include "log/evlog_section.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int ignore_image(void *arg, const struct image_entry *entry)
{
	(void)arg;
	(void)entry;
	return 0;
}

static int ignore_events(void *arg, uint64_t epoch, const uint8_t *records, size_t size)
{
	(void)arg;
	(void)epoch;
	(void)records;
	(void)size;
	return 0;
}

static void read_all(struct evlog_reader *reader)
{
	struct evlog_raw_section section;
	struct evlog_epoch epoch;

	evlog_reader_image_each(reader, ignore_image, NULL);
	evlog_reader_events_each(reader, ignore_events, NULL);
	for (size_t i = 0; i < evlog_reader_section_count(reader); i++)
		evlog_reader_section_read(reader, i, &section);
	for (uint64_t i = 0; i < evlog_reader_epoch_count(reader); i++) {
		uint32_t *values;
		size_t count;

		if (evlog_reader_epoch_read(reader, i, &epoch) == 0)
			evlog_reader_epoch_finish(&epoch);
		if (evlog_reader_chain_read(reader, i, &values, &count) == 0)
			free(values);
	}
}

static uint32_t number_at(const uint8_t *bytes)
{
	uint32_t value;

	memcpy(&value, bytes, sizeof(value));
	return value;
}

static void repair(uint8_t *bytes, size_t size)
{
	uint64_t at = 0, sum;

	while (at + EVLOG_SECTION_HEADER_SIZE <= size) {
		uint8_t *header = bytes + at;
		uint64_t contents = (uint64_t)number_at(header + 20) + number_at(header + 24);

		at += EVLOG_SECTION_HEADER_SIZE;
		if (contents > size - at)
			contents = size - at;
		sum = evlog_section_checksum(bytes + at, contents, NULL, 0);
		memcpy(header + 32, &sum, sizeof(sum));
		sum = evlog_section_checksum(header, 40, NULL, 0);
		memcpy(header + 40, &sum, sizeof(sum));
		at += contents;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct evlog_reader *reader;
	struct evlog_damage damage;
	int fd = memfd_create("log", MFD_CLOEXEC);

	uint8_t *bytes = malloc(size + 1);

	if (bytes == NULL)
		abort();
	memcpy(bytes, data, size);
	if (size != 0 && data[size - 1] % 2 == 0)
		repair(bytes, size);
	if (fd < 0 || write(fd, bytes, size) != (ssize_t)size)
		abort();
	free(bytes);
	if (evlog_reader_open_fd(fd, &damage, &reader) == 0) {
		read_all(reader);
		evlog_reader_destroy(reader);
	}
	return 0;
}
