/*
 * log_edit IN OUT OLD NEW: copies a log with every OLD replaced by NEW, of equal length, in the
 * contents and names of files and in recorded inputs; hashes and checksums are made right again. So
 * OUT is a sound log of a run that did not happen, which replay has to notice. Status 0 if anything
 * was replaced.
 *
 * Contents first: which blobs change, and what their hashes become. Then section by section, in
 * the order of the log; what the writer makes itself (header, index, end) is not copied. Chain
 * values, digests and output hashes stay those of the run that did happen.
 *
 * log_edit IN OUT --output NAME hash | removed: nothing but the hash of that output is another, or
 * it is said to have been removed.
 *
 * log_edit IN OUT --config KEY VALUE: the same log with another value in its configuration.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "base/sha256.h"
#include "log/evlog_reader.h"
#include "log/evlog_writer.h"

#define CHANGES_MAX 64

struct change {
	uint8_t old[EVLOG_HASH_SIZE], new[EVLOG_HASH_SIZE];
};

struct edit {
	struct evlog_reader *reader;
	struct evlog_writer *writer;
	const uint8_t *old, *new;
	const char *output; /* the one to be edited, or NULL */
	bool removed;
	size_t length, places, change_count;
	struct change changes[CHANGES_MAX];
};

static void check(int error, const char *what)
{
	if (error < 0) {
		fprintf(stderr, "log_edit: %s: %s\n", what, strerror(-error));
		exit(2);
	}
}

static void *get_memory(size_t size)
{
	void *at = calloc(1, size ? size : 1);

	check(at ? 0 : -ENOMEM, "memory");
	return at;
}

/* Replaces in place; returns how often. */
static size_t replace(uint8_t *bytes, size_t size, const uint8_t *old, const uint8_t *new,
		      size_t length)
{
	size_t count = 0;
	uint8_t *at = bytes;

	while ((at = memmem(at, size - (size_t)(at - bytes), old, length))) {
		memcpy(at, new, length);
		at += length;
		count++;
	}
	return count;
}

static int note_blob(void *arg, const struct image_entry *entry)
{
	struct edit *edit = arg;
	struct stat st;
	int fd;

	if (entry->kind != IMAGE_FILE)
		return 0;
	fd = memfd_create("blob", MFD_CLOEXEC);
	check(fd < 0 ? -errno : 0, "memfd_create");
	check(evlog_reader_blob_copy(edit->reader, entry->hash, fd), entry->path);
	check(fstat(fd, &st) ? -errno : 0, "fstat");
	uint8_t *bytes = get_memory((size_t)st.st_size);
	check(pread(fd, bytes, (size_t)st.st_size, 0) == st.st_size ? 0 : -EIO, "pread");
	close(fd);
	if (replace(bytes, (size_t)st.st_size, edit->old, edit->new, edit->length)) {
		struct change *change = &edit->changes[edit->change_count++];

		check(edit->change_count < CHANGES_MAX ? 0 : -ENOSPC, "too many changed files");
		memcpy(change->old, entry->hash, EVLOG_HASH_SIZE);
		sha256_of(bytes, (size_t)st.st_size, change->new);
		printf("changed %s\n", entry->path);
	}
	free(bytes);
	return 0;
}

/* A copy of the bytes with text and hashes replaced. */
static struct evlog_buf edited(struct edit *edit, const uint8_t *bytes, size_t size)
{
	struct evlog_buf copy = {get_memory(size), size, size, 0};

	if (size)
		memcpy(copy.data, bytes, size);
	edit->places += replace(copy.data, size, edit->old, edit->new, edit->length);
	for (size_t i = 0; i < edit->change_count; i++)
		replace(copy.data, size, edit->changes[i].old, edit->changes[i].new,
			EVLOG_HASH_SIZE);
	return copy;
}

static struct evlog_buf packed(const struct evlog_buf *raw)
{
	size_t room = ZSTD_compressBound(raw->len);
	struct evlog_buf frame = {get_memory(room), 0, room, 0};

	frame.len = ZSTD_compress(frame.data, room, raw->data, raw->len, 1);
	check(ZSTD_isError(frame.len) ? -EIO : 0, "ZSTD_compress");
	return frame;
}

static void copy_section(struct edit *edit, const struct evlog_raw_section *section)
{
	struct evlog_buf inline_bytes = edited(edit, section->inline_bytes, section->inline_size);
	struct evlog_buf raw = edited(edit, section->raw, section->raw_size);
	struct evlog_buf frame = {0};

	if (raw.len)
		frame = packed(&raw);
	check(evlog_writer_section_append(edit->writer, section->type, &inline_bytes,
					  raw.len ? &frame : NULL, raw.len),
	      "section");
	evlog_buf_finish(&inline_bytes);
	evlog_buf_finish(&raw);
	evlog_buf_finish(&frame);
}

/* An epoch with its inputs edited, and the chain values that follow it. */
static void copy_epoch(struct edit *edit, uint64_t number)
{
	struct evlog_epoch epoch;
	struct evlog_input *inputs;
	uint32_t *values;
	size_t count;

	check(evlog_reader_epoch_read(edit->reader, number, &epoch), "epoch");
	inputs = get_memory(epoch.input_count * sizeof(*inputs));
	for (size_t i = 0; i < epoch.input_count; i++) {
		uint8_t *bytes = get_memory(epoch.inputs[i].size_bytes);

		inputs[i] = epoch.inputs[i];
		if (inputs[i].size_bytes)
			memcpy(bytes, inputs[i].bytes, inputs[i].size_bytes);
		edit->places +=
			replace(bytes, inputs[i].size_bytes, edit->old, edit->new, edit->length);
		inputs[i].bytes = bytes;
	}
	struct evlog_epoch changed = epoch;
	changed.inputs = inputs;
	check(evlog_writer_epoch_append(edit->writer, &changed), "epoch");
	for (size_t i = 0; i < epoch.input_count; i++)
		free((void *)inputs[i].bytes);
	free(inputs);
	evlog_reader_epoch_finish(&epoch);
	check(evlog_reader_chain_read(edit->reader, number, &values, &count), "chain");
	check(evlog_writer_chain_append(edit->writer, values, count), "chain");
	free(values);
}

static void copy_output(struct edit *edit, struct evlog_output output)
{
	if (edit->output && strcmp(output.name, edit->output) == 0) {
		edit->places++;
		if (edit->removed)
			output.kind = EVLOG_OUTPUT_REMOVED;
		output.hash[0] ^= 1;
	}
	check(evlog_writer_output_append(edit->writer, &output), "output");
}

static void copy_log(struct edit *edit)
{
	struct evlog_raw_section section;
	uint64_t epoch = 0;
	size_t count;

	for (size_t i = 0; i < evlog_reader_section_count(edit->reader); i++) {
		check(evlog_reader_section_read(edit->reader, i, &section), "section");
		if (section.type == EVLOG_SECTION_EPOCH)
			copy_epoch(edit, epoch++);
		else if (section.type == EVLOG_SECTION_IMAGE ||
			 section.type == EVLOG_SECTION_BLOBS ||
			 section.type == EVLOG_SECTION_EVENTS)
			copy_section(edit, &section);
	}
	const struct evlog_output *outputs = evlog_reader_outputs(edit->reader, &count);
	for (size_t i = 0; i < count; i++)
		copy_output(edit, outputs[i]);
	check(evlog_writer_finish(edit->writer, evlog_reader_end(edit->reader)), "end");
}

/* The header with VALUE for KEY. */
static struct evlog_header reconfigured(struct edit *edit, const char *key, const char *value)
{
	struct evlog_header header = *evlog_reader_header(edit->reader);
	size_t count = header.config.pair_count;
	const char **at = get_memory(2 * count * sizeof(*at));

	memcpy(at, header.config.at, 2 * count * sizeof(*at));
	for (size_t i = 0; i < count; i++) {
		if (strcmp(at[2 * i], key) != 0)
			continue;
		at[2 * i + 1] = value;
		edit->places++;
	}
	header.config.at = at;
	return header;
}

int main(int argc, char **argv)
{
	static struct edit edit;
	struct evlog_damage damage = {0};
	const char *key = "", *value = "";

	if (argc == 6 && !strcmp(argv[3], "--config")) {
		key = argv[4];
		value = argv[5];
		argv[3] = argv[4] = "\xff no text of any log \xff";
	} else if (argc == 6 && !strcmp(argv[3], "--output")) {
		edit.output = argv[4];
		edit.removed = !strcmp(argv[5], "removed");
		argv[3] = argv[4] = "\xff no text of any log \xff";
	} else if (argc != 5 || strlen(argv[3]) != strlen(argv[4]) || !*argv[3]) {
		fprintf(stderr, "usage: log_edit IN OUT OLD NEW, the last two of equal length\n");
		return 2;
	}
	edit.old = (const uint8_t *)argv[3];
	edit.new = (const uint8_t *)argv[4];
	edit.length = strlen(argv[3]);
	check(evlog_reader_open(argv[1], &damage, &edit.reader), argv[1]);
	check(evlog_reader_state(edit.reader) == EVLOG_WHOLE ? 0 : -EBADMSG, argv[1]);
	check(evlog_reader_image_each(edit.reader, note_blob, &edit), "image");
	struct evlog_header header = reconfigured(&edit, key, value);
	check(evlog_writer_create(argv[2], &header, evlog_reader_host(edit.reader), &edit.writer),
	      argv[2]);
	copy_log(&edit);
	free((void *)header.config.at);
	evlog_writer_destroy(edit.writer);
	evlog_reader_destroy(edit.reader);
	printf("%zu places changed\n", edit.places);
	return edit.places ? 0 : 1;
}
