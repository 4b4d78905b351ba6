/*
 * Purpose: copies a log section by section, and puts before each section of image entries the
 * contents that those name.
 * Owns, while it runs: the writer, a sink, a taker of contents, the set of hashes that are in.
 *
 * Invariant: contents get into the log only if they have the recorded hash, or the log is given up.
 */
#include "image_pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evlog_writer.h"
#include "image_content.h"
#include "image_host.h"
#include "image_sink.h"
#include "keymap.h"

struct pack {
	struct evlog_reader *reader;
	struct evlog_writer *writer;
	struct image_sink *sink;
	struct image_content *content;
	struct keymap *hashes;
	uint64_t epochs;
};

/* The configuration without the key that says that contents are missing. */
static int writer_create(struct pack *pack, const char *path)
{
	struct evlog_header header = *evlog_reader_header(pack->reader);
	size_t count = 0;
	const char **pairs = calloc(2 * header.config.pair_count + 1, sizeof(*pairs));

	if (pairs == NULL)
		return -ENOMEM;
	for (size_t i = 0; i < header.config.pair_count; i++) {
		if (strcmp(header.config.at[2 * i], EVLOG_KEY_IMAGE) == 0)
			continue;
		pairs[2 * count] = header.config.at[2 * i];
		pairs[2 * count + 1] = header.config.at[2 * i + 1];
		count++;
	}
	header.config = (struct evlog_pairs){pairs, count};
	int error =
		evlog_writer_create(path, &header, evlog_reader_host(pack->reader), &pack->writer);
	free((void *)pairs);
	return error;
}

/* Nothing is asked of the host: it may have been an output of the run itself. */
static int take_empty(struct pack *pack, const struct image_entry *entry)
{
	int error = image_sink_blob(pack->sink, entry->hash, "", 0);

	return error != 0 ? error : keymap_put(pack->hashes, entry->hash, EVLOG_HASH_SIZE, 1);
}

static int take_contents(struct pack *pack, const struct image_entry *entry)
{
	uint8_t hash[EVLOG_HASH_SIZE];
	uint64_t size, known;
	struct stat st;
	bool moved;

	if (keymap_get(pack->hashes, entry->hash, sizeof(hash), &known))
		return 0;
	if (entry->size_bytes == 0)
		return take_empty(pack, entry);
	int fd = image_host_open(pack->reader, entry, &st);
	if (fd < 0)
		return fd;
	int error = image_content_take(pack->content, fd, &st, &size, hash, &moved);
	close(fd);
	if (error < 0)
		return error;
	if (memcmp(hash, entry->hash, sizeof(hash)) != 0) {
		evlog_reader_note_differs(pack->reader, entry->path, "it has other contents");
		return -ESTALE;
	}
	return keymap_put(pack->hashes, hash, sizeof(hash), 1);
}

static int copy_payload(struct pack *pack, const struct evlog_raw_section *section)
{
	bool packed = section->raw_size != 0;

	return evlog_writer_payload_append(pack->writer, section->type,
					   packed ? section->raw : section->inline_bytes,
					   packed ? section->raw_size : section->inline_size);
}

static int copy_image(struct pack *pack, const struct evlog_raw_section *section)
{
	struct evlog_cursor cursor =
		section->raw_size != 0
			? evlog_cursor_make(section->raw, section->raw_size)
			: evlog_cursor_make(section->inline_bytes, section->inline_size);
	struct image_entry entry;
	int error = 0;

	while (error == 0 && evlog_cursor_left(&cursor)) {
		if (image_entry_decode(&cursor, &entry) != NULL)
			return -EBADMSG;
		if (entry.kind == IMAGE_FILE)
			error = take_contents(pack, &entry);
	}
	if (error == 0)
		error = image_sink_flush(pack->sink);
	return error != 0 ? error : copy_payload(pack, section);
}

static int copy_epoch(struct pack *pack, const struct evlog_raw_section *section)
{
	struct evlog_epoch epoch;
	uint32_t *values;
	size_t count;
	uint64_t number = pack->epochs++;
	int error = evlog_reader_epoch_read(pack->reader, number, &epoch);

	(void)section;
	if (error != 0)
		return error;
	error = evlog_writer_epoch_append(pack->writer, &epoch);
	evlog_reader_epoch_finish(&epoch);
	if (error == 0)
		error = evlog_reader_chain_read(pack->reader, number, &values, &count);
	if (error != 0)
		return error;
	error = evlog_writer_chain_append(pack->writer, values, count);
	free(values);
	return error;
}

/* Sections without a function are made anew by the writer. */
static int (*const copies[EVLOG_SECTION_TYPES])(struct pack *pack,
						const struct evlog_raw_section *section) = {
	[EVLOG_SECTION_IMAGE] = copy_image,
	[EVLOG_SECTION_EPOCH] = copy_epoch,
	[EVLOG_SECTION_EVENTS] = copy_payload,
};

static int copy_sections(struct pack *pack)
{
	size_t count = evlog_reader_section_count(pack->reader);
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++) {
		struct evlog_raw_section section;

		error = evlog_reader_section_read(pack->reader, i, &section);
		if (error == 0 && copies[section.type] != NULL)
			error = copies[section.type](pack, &section);
	}
	return error;
}

static int copy_end(struct pack *pack)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(pack->reader, &count);
	int error = 0;

	for (size_t i = 0; error == 0 && i < count; i++)
		error = evlog_writer_output_append(pack->writer, &outputs[i]);
	return error != 0 ? error
			  : evlog_writer_finish(pack->writer, evlog_reader_end(pack->reader));
}

static int run(struct pack *pack)
{
	int error = image_sink_create(pack->writer, &pack->sink);

	if (error == 0)
		error = image_content_create(pack->sink, false, NULL, &pack->content);
	if (error == 0)
		error = keymap_create(&pack->hashes);
	if (error == 0)
		error = copy_sections(pack);
	return error != 0 ? error : copy_end(pack);
}

int image_pack(struct evlog_reader *reader, const char *path)
{
	struct pack pack = {.reader = reader};
	int error = writer_create(&pack, path);

	if (error != 0)
		return error;
	error = run(&pack);
	image_content_destroy(pack.content);
	image_sink_destroy(pack.sink);
	keymap_destroy(pack.hashes);
	evlog_writer_destroy(pack.writer);
	if (error != 0)
		unlink(path);
	return error;
}
