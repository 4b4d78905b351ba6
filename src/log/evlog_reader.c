/*
 * Purpose: gives out what evlog_scan() found to be right.
 * Owns: the file, one unpacked section at a time, and the values that point into kept sections.
 * Invariants: results come only from sections the scan accepted, and each is checked again when it
 * is loaded again, so a file that changes meanwhile is damage too.
 */
#include "evlog_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <nettle/sha2.h>

#include "evlog_codec.h"
#include "evlog_scan.h"
#include "sparse_write.h"

static int reader_start(struct evlog_reader *reader)
{
	struct stat st;
	int ret;

	if (fstat(reader->fd, &st))
		return -errno;
	if (!S_ISREG(st.st_mode))
		return evlog_scan_damaged(reader, EVLOG_DAMAGED, 0, "file",
					  "it is not a regular file");
	reader->size_bytes = (uint64_t)st.st_size;
	reader->dctx = ZSTD_createDCtx();
	if (!reader->dctx || keymap_create(&reader->blob_by_hash))
		return -ENOMEM;
	ret = evlog_scan(reader);
	/* Without header and host there is nothing to be said about a log. */
	return !ret && reader->section_count < 2 ? -EBADMSG : ret;
}

int evlog_reader_open_fd(int fd, struct evlog_damage *ret_damage, struct evlog_reader **ret_reader)
{
	struct evlog_reader *reader = calloc(1, sizeof(*reader));
	int ret;

	if (!reader) {
		close(fd);
		return -ENOMEM;
	}
	reader->fd = fd;
	ret = reader_start(reader);
	if (ret) {
		if (ret_damage)
			*ret_damage = reader->damage;
		evlog_reader_destroy(reader);
		return ret;
	}
	*ret_reader = reader;
	return 0;
}

int evlog_reader_open(const char *path, struct evlog_damage *ret_damage,
		      struct evlog_reader **ret_reader)
{
	/* Not blocking: the path may name a FIFO, which is refused once it is open. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	return fd < 0 ? -errno : evlog_reader_open_fd(fd, ret_damage, ret_reader);
}

void evlog_reader_destroy(struct evlog_reader *reader)
{
	if (!reader)
		return;
	close(reader->fd);
	ZSTD_freeDCtx(reader->dctx);
	keymap_destroy(reader->blob_by_hash);
	evlog_header_finish(&reader->header);
	evlog_pairs_finish(&reader->host);
	evlog_buf_finish(&reader->loaded.file);
	evlog_buf_finish(&reader->loaded.raw);
	evlog_buf_finish(&reader->header_bytes);
	evlog_buf_finish(&reader->host_bytes);
	evlog_buf_finish(&reader->output_bytes);
	free(reader->differs);
	free(reader->outputs);
	free(reader->sections);
	free(reader->epochs);
	free(reader->parts);
	free(reader->open_parts);
	free(reader->blobs);
	free(reader);
}

enum evlog_state evlog_reader_state(const struct evlog_reader *reader)
{
	return reader->state;
}

const struct evlog_damage *evlog_reader_damage(const struct evlog_reader *reader)
{
	return &reader->damage;
}

const struct evlog_header *evlog_reader_header(const struct evlog_reader *reader)
{
	return &reader->header;
}

const struct evlog_pairs *evlog_reader_host(const struct evlog_reader *reader)
{
	return &reader->host;
}

const char *evlog_reader_config(const struct evlog_reader *reader, const char *key)
{
	return evlog_pairs_find(&reader->header.config, key);
}

uint64_t evlog_reader_epoch_count(const struct evlog_reader *reader)
{
	return reader->epoch_count;
}

uint64_t evlog_reader_epochs_whole(const struct evlog_reader *reader)
{
	bool cut = reader->epoch_count > 0 && evlog_reader_state(reader) != EVLOG_WHOLE;

	return reader->epoch_count - cut;
}

/* One allocation: the inputs, then the payload their bytes are in. */
static int epoch_own(struct evlog_epoch *epoch, const uint8_t *payload, size_t size)
{
	size_t inputs_size = epoch->input_count * sizeof(*epoch->inputs);
	struct evlog_input *inputs = malloc(inputs_size + size);

	if (!inputs)
		return -ENOMEM;
	if (inputs_size)
		memcpy(inputs, epoch->inputs, inputs_size);
	memcpy((uint8_t *)inputs + inputs_size, payload, size);
	for (size_t i = 0; i < epoch->input_count; i++)
		inputs[i].bytes = (uint8_t *)inputs + inputs_size + (inputs[i].bytes - payload);
	evlog_epoch_free_inputs(epoch);
	epoch->inputs = inputs;
	return 0;
}

int evlog_reader_epoch_read(struct evlog_reader *reader, uint64_t number,
			    struct evlog_epoch *ret_epoch)
{
	struct evlog_cursor payload;
	struct evlog_epoch epoch;
	size_t count;
	int ret;

	if (number >= reader->epoch_count)
		return -EINVAL;
	ret = evlog_scan_load(reader, reader->epochs[number].section);
	if (ret)
		return ret;
	payload = evlog_scan_payload(reader);
	if (evlog_epoch_decode(payload.at, evlog_cursor_left(&payload), &epoch))
		return -ENOMEM;
	count = epoch.input_count;
	ret = epoch_own(&epoch, payload.at, evlog_cursor_left(&payload));
	if (ret) {
		evlog_epoch_free_inputs(&epoch);
		return ret;
	}
	epoch.input_count = count;
	*ret_epoch = epoch;
	return 0;
}

void evlog_reader_epoch_finish(struct evlog_epoch *epoch)
{
	evlog_epoch_free_inputs(epoch);
}

/* The sections that belong to an epoch stand between it and the next. */
static size_t epoch_last_section(const struct evlog_reader *reader, uint64_t number)
{
	return number + 1 < reader->epoch_count ? reader->epochs[number + 1].section
						: reader->section_count;
}

static int chain_append(struct evlog_reader *reader, size_t section, struct evlog_buf *out)
{
	struct evlog_cursor payload;
	int ret = evlog_scan_load(reader, section);

	if (ret)
		return ret;
	payload = evlog_scan_payload(reader);
	evlog_get_u64(&payload);
	while (evlog_cursor_left(&payload)) {
		uint32_t value = evlog_get_u32(&payload);

		evlog_put(out, &value, sizeof(value));
	}
	return out->error;
}

int evlog_reader_chain_read(struct evlog_reader *reader, uint64_t number, uint32_t **ret_values,
			    size_t *ret_count)
{
	struct evlog_buf out = {0};
	int ret = 0;

	if (number >= reader->epoch_count)
		return -EINVAL;
	if (!evlog_buf_room(&out, sizeof(uint32_t)))
		return -ENOMEM;
	for (size_t i = reader->epochs[number].section;
	     !ret && i < epoch_last_section(reader, number); i++) {
		if (reader->sections[i].header.type == EVLOG_SECTION_CHAIN)
			ret = chain_append(reader, i, &out);
	}
	if (ret) {
		evlog_buf_finish(&out);
		return ret;
	}
	*ret_values = (uint32_t *)(void *)out.data;
	*ret_count = out.len / sizeof(uint32_t);
	return 0;
}

int evlog_reader_events_each(struct evlog_reader *reader, evlog_events_fn fn, void *arg)
{
	struct evlog_cursor payload;
	uint64_t epoch;
	int ret = 0;

	for (size_t i = 0; !ret && i < reader->section_count; i++) {
		if (reader->sections[i].header.type != EVLOG_SECTION_EVENTS)
			continue;
		ret = evlog_scan_load(reader, i);
		if (ret)
			return ret;
		payload = evlog_scan_payload(reader);
		epoch = evlog_get_u64(&payload);
		ret = fn(arg, epoch, payload.at, evlog_cursor_left(&payload));
	}
	return ret;
}

bool evlog_reader_has_events(const struct evlog_reader *reader)
{
	return reader->has_events;
}

/* `fn` may load other sections, so the entries are taken from a copy. */
static int image_section_each(struct evlog_reader *reader, evlog_image_fn fn, void *arg)
{
	struct evlog_cursor payload = evlog_scan_payload(reader);
	struct evlog_buf copy = {0};
	struct evlog_cursor cursor;
	struct image_entry entry;
	int ret = 0;

	evlog_put(&copy, payload.at, evlog_cursor_left(&payload));
	if (copy.error)
		return copy.error;
	cursor = evlog_cursor_make(copy.data, copy.len);
	while (!ret && evlog_cursor_left(&cursor)) {
		/* The scan decoded the same bytes, and their checksum is still right. */
		ret = image_entry_decode(&cursor, &entry) ? -EBADMSG : fn(arg, &entry);
	}
	evlog_buf_finish(&copy);
	return ret;
}

int evlog_reader_image_each(struct evlog_reader *reader, evlog_image_fn fn, void *arg)
{
	int ret = 0;

	for (size_t i = 0; !ret && i < reader->section_count; i++) {
		if (reader->sections[i].header.type != EVLOG_SECTION_IMAGE)
			continue;
		ret = evlog_scan_load(reader, i);
		if (!ret)
			ret = image_section_each(reader, fn, arg);
	}
	return ret;
}

const struct evlog_output *evlog_reader_outputs(const struct evlog_reader *reader,
						size_t *ret_count)
{
	bool whole = reader->state == EVLOG_WHOLE;

	*ret_count = whole ? reader->output_count : 0;
	return whole ? reader->outputs : NULL;
}

const char *evlog_end_kind_name(enum evlog_end_kind kind)
{
	static const char *const names[EVLOG_END_KINDS] = {
		[EVLOG_END_EXIT] = "exit",
		[EVLOG_END_DEADLOCK] = "deadlock",
		[EVLOG_END_REFUSED] = "refused instruction",
		[EVLOG_END_OUTSIDE] = "outside",
		[EVLOG_END_OUTSIDE_EARLY] = "outside",
	};

	return names[kind];
}

const struct evlog_end *evlog_reader_end(const struct evlog_reader *reader)
{
	return reader->state == EVLOG_WHOLE ? &reader->end : NULL;
}

static const struct scan_blob *blob_find(const struct evlog_reader *reader, const uint8_t *hash)
{
	uint64_t i;

	if (!keymap_get(reader->blob_by_hash, hash, EVLOG_HASH_SIZE, &i))
		return NULL;
	return reader->blobs[i].known ? &reader->blobs[i] : NULL;
}

bool evlog_reader_blob_find(const struct evlog_reader *reader, const uint8_t hash[EVLOG_HASH_SIZE],
			    uint64_t *ret_size_bytes, uint64_t *ret_order)
{
	const struct scan_blob *blob = blob_find(reader, hash);

	if (!blob)
		return false;
	if (ret_size_bytes)
		*ret_size_bytes = blob->size_bytes;
	if (ret_order)
		*ret_order = blob->first_part;
	return true;
}

static int part_copy(struct evlog_reader *reader, const struct scan_part *part,
		     struct sparse_write *to, struct sha256_ctx *sha)
{
	int ret = evlog_scan_load(reader, part->section);

	if (ret || !part->size)
		return ret;
	sha256_update(sha, part->size, reader->loaded.raw.data + part->offset);
	return sparse_write(to, reader->loaded.raw.data + part->offset, part->size);
}

static int blob_copy(struct evlog_reader *reader, const struct scan_blob *blob, const uint8_t *hash,
		     int fd)
{
	const struct scan_section *section =
		&reader->sections[reader->parts[blob->first_part].section];
	struct sparse_write to = {.fd = fd};
	uint8_t got[EVLOG_HASH_SIZE];
	struct sha256_ctx sha;
	int ret = 0;

	sha256_init(&sha);
	for (size_t i = 0; !ret && i < blob->part_count; i++)
		ret = part_copy(reader, &reader->parts[blob->first_part + i], &to, &sha);
	if (!ret)
		ret = sparse_write_end(&to);
	if (ret)
		return ret;
	sha256_digest(&sha, sizeof(got), got);
	if (memcmp(got, hash, sizeof(got)))
		return evlog_scan_damaged(reader, EVLOG_DAMAGED, section->offset, "blobs",
					  "contents do not have the hash they are named by");
	return 0;
}

int evlog_reader_blob_copy(struct evlog_reader *reader, const uint8_t hash[EVLOG_HASH_SIZE], int fd)
{
	const struct scan_blob *blob = blob_find(reader, hash);

	return blob ? blob_copy(reader, blob, hash, fd) : -ENOENT;
}

bool evlog_reader_by_name(const struct evlog_reader *reader)
{
	return reader->by_name;
}

const char *evlog_reader_differs(const struct evlog_reader *reader, const char **ret_why)
{
	*ret_why = reader->differs_why;
	return reader->differs;
}

void evlog_reader_note_differs(struct evlog_reader *reader, const char *path, const char *why)
{
	if (reader->differs)
		return;
	reader->differs = strdup(path);
	reader->differs_why = why;
}

size_t evlog_reader_section_count(const struct evlog_reader *reader)
{
	return reader->section_count;
}

int evlog_reader_section_read(struct evlog_reader *reader, size_t i,
			      struct evlog_raw_section *ret_section)
{
	const struct scan_section *section;
	int ret;

	if (i >= reader->section_count)
		return -EINVAL;
	ret = evlog_scan_load(reader, i);
	if (ret)
		return ret;
	section = &reader->sections[i];
	*ret_section = (struct evlog_raw_section){
		.type = section->header.type,
		.offset = section->offset,
		.inline_bytes = reader->loaded.file.data,
		.inline_size = section->header.inline_size,
		.raw = reader->loaded.raw.data,
		.raw_size = section->header.raw_size,
	};
	return 0;
}
