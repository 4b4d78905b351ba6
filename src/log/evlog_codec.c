/*
 * Purpose: the payloads of header, host, epoch, outputs and end sections.
 * Owns: the pointer arrays it makes while decoding; never the bytes they point to.
 * Invariant: no array is sized by a count from the log before the payload is known to be long
 * enough to hold that many elements.
 */
#include "evlog_codec.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "evlog_section.h"

static const char malformed[] = "malformed contents";
static const char no_memory[] = "not enough memory to read it";

/* Of the smallest encoding of each element, in bytes. */
#define STRING_MIN 5
#define INPUT_MIN  9
#define OUTPUT_MIN (1 + STRING_MIN + 8)

/* In the kind of an output: no hash follows, it is all zeros. */
#define NO_HASH 0x80

static void put_strings(struct evlog_buf *buf, const char *const *at, size_t count)
{
	evlog_put_u32(buf, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		evlog_put_string(buf, at[i]);
}

/* Reads a count and as many strings, `per` of them for each counted element. */
static const char *get_strings(struct evlog_cursor *cursor, size_t per, const char ***ret_at,
			       size_t *ret_count)
{
	size_t count = evlog_get_u32(cursor);
	const char **at;
	size_t total;

	if (cursor->failed || count > evlog_cursor_left(cursor) / (STRING_MIN * per))
		return malformed;
	total = count * per;
	at = calloc(total + 1, sizeof(*at));
	if (!at)
		return no_memory;
	for (size_t i = 0; i < total; i++)
		at[i] = evlog_get_string(cursor);
	if (cursor->failed) {
		free(at);
		return malformed;
	}
	*ret_at = at;
	*ret_count = count;
	return NULL;
}

static const char *get_pairs(struct evlog_cursor *cursor, struct evlog_pairs *ret_pairs)
{
	struct evlog_pairs pairs;
	const char *what = get_strings(cursor, 2, &pairs.at, &pairs.pair_count);
	const char *before;

	if (what)
		return what;
	before = pairs.at[0];
	for (size_t i = 1; i < pairs.pair_count; i++) {
		const char *key = pairs.at[2 * i];

		if (!before || !key || strcmp(before, key) >= 0) {
			evlog_pairs_finish(&pairs);
			return "keys are not sorted";
		}
		before = key;
	}
	*ret_pairs = pairs;
	return NULL;
}

static int pair_compare(const void *left, const void *right)
{
	return strcmp(*(const char *const *)left, *(const char *const *)right);
}

static void put_pairs(struct evlog_buf *buf, const struct evlog_pairs *pairs)
{
	size_t pair_size = 2 * sizeof(*pairs->at);
	const char **sorted = calloc(pairs->pair_count + 1, pair_size);

	if (!sorted) {
		buf->error = -ENOMEM;
		return;
	}
	if (pairs->pair_count) {
		memcpy(sorted, pairs->at, pairs->pair_count * pair_size);
		qsort(sorted, pairs->pair_count, pair_size, pair_compare);
	}
	evlog_put_u32(buf, (uint32_t)pairs->pair_count);
	for (size_t i = 0; i < 2 * pairs->pair_count; i++)
		evlog_put_string(buf, sorted[i]);
	free(sorted);
}

void evlog_header_encode(struct evlog_buf *buf, const struct evlog_header *header)
{
	evlog_put_u32(buf, EVLOG_FORMAT_VERSION);
	evlog_put_string(buf, header->cwd);
	put_strings(buf, header->argv.at, header->argv.count);
	put_strings(buf, header->env.at, header->env.count);
	put_pairs(buf, &header->config);
}

const char *evlog_header_decode(const void *payload, size_t size, struct evlog_header *ret_header)
{
	struct evlog_cursor cursor = evlog_cursor_make(payload, size);
	struct evlog_header header = {0};
	uint32_t version = evlog_get_u32(&cursor);
	const char *what;

	if (!cursor.failed && version > EVLOG_FORMAT_VERSION)
		return evlog_newer_version;
	if (!cursor.failed && version < EVLOG_FORMAT_LEAST)
		return "unsupported format version";
	header.cwd = evlog_get_string(&cursor);
	what = get_strings(&cursor, 1, &header.argv.at, &header.argv.count);
	if (!what)
		what = get_strings(&cursor, 1, &header.env.at, &header.env.count);
	if (!what)
		what = get_pairs(&cursor, &header.config);
	if (!what && (!evlog_cursor_done(&cursor) || !header.argv.count || header.cwd[0] != '/'))
		what = malformed;
	if (what) {
		evlog_header_finish(&header);
		return what;
	}
	*ret_header = header;
	return NULL;
}

void evlog_header_finish(struct evlog_header *header)
{
	free(header->argv.at);
	free(header->env.at);
	free(header->config.at);
	*header = (struct evlog_header){0};
}

void evlog_pairs_encode(struct evlog_buf *buf, const struct evlog_pairs *pairs)
{
	put_pairs(buf, pairs);
}

const char *evlog_pairs_decode(const void *payload, size_t size, struct evlog_pairs *ret_pairs)
{
	struct evlog_cursor cursor = evlog_cursor_make(payload, size);
	struct evlog_pairs pairs;
	const char *what = get_pairs(&cursor, &pairs);

	if (what)
		return what;
	if (!evlog_cursor_done(&cursor)) {
		evlog_pairs_finish(&pairs);
		return malformed;
	}
	*ret_pairs = pairs;
	return NULL;
}

void evlog_pairs_finish(struct evlog_pairs *pairs)
{
	free(pairs->at);
	*pairs = (struct evlog_pairs){0};
}

const char *evlog_pairs_find(const struct evlog_pairs *pairs, const char *key)
{
	for (size_t i = 0; i < pairs->pair_count; i++) {
		if (!strcmp(pairs->at[2 * i], key))
			return pairs->at[2 * i + 1];
	}
	return NULL;
}

void evlog_epoch_encode(struct evlog_buf *buf, const struct evlog_epoch *epoch)
{
	evlog_put_u64(buf, epoch->number);
	evlog_put_u64(buf, epoch->timestamp_ns);
	evlog_put_u64(buf, epoch->delivered_at);
	evlog_put_u64(buf, epoch->digest);
	evlog_put(buf, epoch->seed, EVLOG_SEED_SIZE);
	evlog_put_u32(buf, epoch->flags);
	evlog_put_u32(buf, (uint32_t)epoch->input_count);
	for (size_t i = 0; i < epoch->input_count; i++) {
		const struct evlog_input *input = &epoch->inputs[i];

		evlog_put_u32(buf, input->channel);
		evlog_put_u8(buf, (uint8_t)input->kind);
		evlog_put_u32(buf, input->size_bytes);
		evlog_put(buf, input->bytes, input->size_bytes);
	}
}

static bool get_input(struct evlog_cursor *cursor, struct evlog_input *ret_input)
{
	ret_input->channel = evlog_get_u32(cursor);
	ret_input->kind = evlog_get_u8(cursor);
	ret_input->size_bytes = evlog_get_u32(cursor);
	ret_input->bytes = evlog_get(cursor, ret_input->size_bytes);
	return !cursor->failed && ret_input->kind >= EVLOG_INPUT_OPEN &&
	       ret_input->kind < EVLOG_INPUT_KINDS;
}

const char *evlog_epoch_decode(const void *payload, size_t size, struct evlog_epoch *ret_epoch)
{
	struct evlog_cursor cursor = evlog_cursor_make(payload, size);
	struct evlog_epoch epoch = {0};
	struct evlog_input *inputs;

	epoch.number = evlog_get_u64(&cursor);
	epoch.timestamp_ns = evlog_get_u64(&cursor);
	epoch.delivered_at = evlog_get_u64(&cursor);
	epoch.digest = evlog_get_u64(&cursor);
	evlog_get_copy(&cursor, epoch.seed, EVLOG_SEED_SIZE);
	epoch.flags = evlog_get_u32(&cursor);
	epoch.input_count = evlog_get_u32(&cursor);
	if (cursor.failed || epoch.input_count > evlog_cursor_left(&cursor) / INPUT_MIN)
		return malformed;
	inputs = calloc(epoch.input_count + 1, sizeof(*inputs));
	if (!inputs)
		return no_memory;
	for (size_t i = 0; i < epoch.input_count; i++) {
		if (!get_input(&cursor, &inputs[i]))
			cursor.failed = true;
	}
	if (!evlog_cursor_done(&cursor)) {
		free(inputs);
		return malformed;
	}
	epoch.inputs = inputs;
	*ret_epoch = epoch;
	return NULL;
}

void evlog_epoch_free_inputs(struct evlog_epoch *epoch)
{
	free((void *)epoch->inputs);
	epoch->inputs = NULL;
	epoch->input_count = 0;
}

void evlog_output_encode(struct evlog_buf *buf, const struct evlog_output *output)
{
	bool hashed = evlog_output_is_hashed(output);

	evlog_put_u8(buf, (uint8_t)(output->kind | (hashed ? 0 : NO_HASH)));
	evlog_put_u64(buf, output->size_bytes);
	if (hashed)
		evlog_put(buf, output->hash, EVLOG_HASH_SIZE);
	evlog_put_string(buf, output->name);
}

static void get_output(struct evlog_cursor *cursor, struct evlog_output *ret_output)
{
	uint8_t kind = evlog_get_u8(cursor);

	ret_output->kind = kind & ~NO_HASH;
	ret_output->size_bytes = evlog_get_u64(cursor);
	if (!(kind & NO_HASH))
		evlog_get_copy(cursor, ret_output->hash, EVLOG_HASH_SIZE);
	ret_output->name = evlog_get_string(cursor);
	if (ret_output->kind < EVLOG_OUTPUT_STREAM || ret_output->kind >= EVLOG_OUTPUT_KINDS)
		cursor->failed = true;
}

const char *evlog_outputs_decode(const void *payload, size_t size,
				 struct evlog_output **ret_outputs, size_t *ret_count)
{
	struct evlog_cursor cursor = evlog_cursor_make(payload, size);
	struct evlog_output *outputs = calloc(size / OUTPUT_MIN + 1, sizeof(*outputs));
	size_t count = 0;

	if (!outputs)
		return no_memory;
	while (!cursor.failed && evlog_cursor_left(&cursor) >= OUTPUT_MIN)
		get_output(&cursor, &outputs[count++]);
	if (!evlog_cursor_done(&cursor)) {
		free(outputs);
		return malformed;
	}
	*ret_outputs = outputs;
	*ret_count = count;
	return NULL;
}

void evlog_end_encode(struct evlog_buf *buf, const struct evlog_end *end, uint64_t index_offset)
{
	evlog_put_u32(buf, (uint32_t)end->status);
	evlog_put_u32(buf, (uint32_t)end->kind);
	evlog_put_u64(buf, end->events);
	evlog_put_u64(buf, end->epochs);
	evlog_put_u64(buf, end->digest);
	evlog_put_u64(buf, index_offset);
}

const char *evlog_end_decode(const void *payload, size_t size, struct evlog_end *ret_end,
			     uint64_t *ret_index_offset)
{
	struct evlog_cursor cursor = evlog_cursor_make(payload, size);
	struct evlog_end end = {.status = (int32_t)evlog_get_u32(&cursor)};
	uint64_t index_offset;

	uint32_t kind = evlog_get_u32(&cursor);
	end.events = evlog_get_u64(&cursor);
	end.epochs = evlog_get_u64(&cursor);
	end.digest = evlog_get_u64(&cursor);
	index_offset = evlog_get_u64(&cursor);
	if (!evlog_cursor_done(&cursor) || kind >= EVLOG_END_KINDS)
		return malformed;
	end.kind = (enum evlog_end_kind)kind;
	*ret_end = end;
	*ret_index_offset = index_offset;
	return NULL;
}
