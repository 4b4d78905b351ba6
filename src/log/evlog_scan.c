/*
 * Purpose: the one pass that decides what of a log is right.
 * Owns: nothing; it fills a struct evlog_reader.
 *
 *	header -> host -> { image | blobs | epoch | chain | events }* -> outputs -> index -> end
 *
 * Invariants: sections come in the order above and numbered; nothing is allocated by a size from
 * the file before that size was checked against the file's length and the type's limit; an epoch
 * counts only if every blob the image entries before it name precedes it, or the log names files
 *only; the first thing that is not right ends the pass, and what was found before stays valid.
 */
#include "evlog_scan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "evlog_codec.h"

static const char no_memory[] = "not enough memory to read it";
static const char malformed[] = "malformed contents";

int evlog_scan_damaged(struct evlog_reader *reader, enum evlog_state state, uint64_t offset,
		       const char *section, const char *what)
{
	reader->state = state;
	reader->damage = (struct evlog_damage){offset, section, what};
	return -EBADMSG;
}

static int read_exact(int fd, uint8_t *bytes, size_t size, uint64_t offset)
{
	while (size) {
		ssize_t done = pread(fd, bytes, size, (off_t)offset);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		if (!done)
			return -EBADMSG;
		bytes += done;
		offset += (uint64_t)done;
		size -= (size_t)done;
	}
	return 0;
}

static int load_damaged(struct evlog_reader *reader, size_t i, const char *what)
{
	return evlog_scan_damaged(reader, EVLOG_DAMAGED, reader->sections[i].offset,
				  evlog_section_name(reader->sections[i].header.type), what);
}

/* The bytes in the file, checked against the section's checksum. */
static int load_file_bytes(struct evlog_reader *reader, size_t i)
{
	const struct evlog_section *header = &reader->sections[i].header;
	struct evlog_buf *file = &reader->loaded.file;
	size_t size = (size_t)header->inline_size + header->packed_size;
	int ret;

	file->len = 0;
	if (!evlog_buf_room(file, size))
		return -ENOMEM;
	ret = read_exact(reader->fd, file->data, size,
			 reader->sections[i].offset + EVLOG_SECTION_HEADER_SIZE);
	if (ret)
		return ret == -EBADMSG ? load_damaged(reader, i, "the file became shorter") : ret;
	file->len = size;
	if (evlog_section_checksum(file->data, size, NULL, 0) != header->checksum)
		return load_damaged(reader, i, "checksum of the contents is wrong");
	return 0;
}

static int load_raw_bytes(struct evlog_reader *reader, size_t i)
{
	const struct evlog_section *header = &reader->sections[i].header;
	struct evlog_buf *raw = &reader->loaded.raw;

	raw->len = 0;
	if (!header->raw_size)
		return 0;
	if (!evlog_buf_room(raw, header->raw_size))
		return -ENOMEM;
	if (evlog_section_unpack(reader->dctx, reader->loaded.file.data + header->inline_size,
				 header->packed_size, raw->data, header->raw_size))
		return load_damaged(reader, i, "cannot be unpacked");
	raw->len = header->raw_size;
	return 0;
}

/* `raw`: the packed bytes are unpacked too. */
static int load(struct evlog_reader *reader, size_t i, bool raw)
{
	int ret = load_file_bytes(reader, i);

	if (!ret && raw)
		ret = load_raw_bytes(reader, i);
	reader->loaded.section = i;
	reader->loaded.valid = !ret && raw;
	return ret;
}

int evlog_scan_load(struct evlog_reader *reader, size_t i)
{
	if (reader->loaded.valid && reader->loaded.section == i)
		return 0;
	return load(reader, i, true);
}

struct evlog_cursor evlog_scan_payload(const struct evlog_reader *reader)
{
	const struct evlog_section *header = &reader->sections[reader->loaded.section].header;

	if (header->raw_size)
		return evlog_cursor_make(reader->loaded.raw.data, header->raw_size);
	return evlog_cursor_make(reader->loaded.file.data, header->inline_size);
}

/* Makes room for one more element; arrays grow by doubling at powers of two. */
static void *array_grow(void *array, size_t count, size_t element_size)
{
	void *grown;

	if (count & (count - 1))
		return array;
	grown = realloc(array, (count ? count * 2 : 1) * element_size);
	return grown;
}

#define ARRAY_ADD(array, count)                                                \
	({                                                                     \
		void *grown_ = array_grow((array), (count), sizeof(*(array))); \
		if (grown_)                                                    \
			(array) = grown_;                                      \
		grown_ ? &(array)[(count)++] : NULL;                           \
	})

/* Keeps the payload beyond the next load, for values that point into it: with the buffer it is in.
 */
static struct evlog_cursor payload_keep(struct evlog_reader *reader, struct evlog_buf *keep)
{
	struct evlog_cursor payload = evlog_scan_payload(reader);
	bool raw = reader->sections[reader->loaded.section].header.raw_size != 0;
	struct evlog_buf *loaded = raw ? &reader->loaded.raw : &reader->loaded.file;

	*keep = *loaded;
	*loaded = (struct evlog_buf){0};
	reader->loaded.valid = false;
	return payload;
}

static const char *scan_header(struct evlog_reader *reader)
{
	struct evlog_cursor at = payload_keep(reader, &reader->header_bytes);
	const char *what = evlog_header_decode(at.at, evlog_cursor_left(&at), &reader->header);
	const char *image = what ? NULL : evlog_pairs_find(&reader->header.config, EVLOG_KEY_IMAGE);

	reader->by_name = image && !strcmp(image, EVLOG_IMAGE_NAMES);
	return what;
}

static const char *scan_host(struct evlog_reader *reader)
{
	struct evlog_cursor at = payload_keep(reader, &reader->host_bytes);

	return evlog_pairs_decode(at.at, evlog_cursor_left(&at), &reader->host);
}

/* The blob with this hash, made if it is new; NULL without memory. */
static struct scan_blob *blob_get(struct evlog_reader *reader, const uint8_t *hash)
{
	struct scan_blob *blob;
	uint64_t i;

	if (keymap_get_or_put(reader->blob_by_hash, hash, EVLOG_HASH_SIZE, reader->blob_count, &i))
		return NULL;
	if (i < reader->blob_count)
		return &reader->blobs[i];
	blob = ARRAY_ADD(reader->blobs, reader->blob_count);
	if (blob) {
		*blob = (struct scan_blob){0};
		reader->blobs_missing++;
	}
	return blob;
}

static const char *scan_image(struct evlog_reader *reader)
{
	struct evlog_cursor cursor = evlog_scan_payload(reader);
	struct image_entry entry;
	const char *what = NULL;

	while (!what && evlog_cursor_left(&cursor)) {
		what = image_entry_decode(&cursor, &entry);
		if (!what && entry.kind == IMAGE_FILE && !reader->by_name &&
		    !blob_get(reader, entry.hash))
			what = no_memory;
	}
	return what;
}

static const char *blob_define(struct evlog_reader *reader, const uint8_t *hash, uint64_t size,
			       size_t first_part)
{
	struct scan_blob *blob = blob_get(reader, hash);

	if (!blob)
		return no_memory;
	/* Two equal files may both have been in flight; the first one counts. */
	if (blob->known)
		return NULL;
	*blob = (struct scan_blob){size, first_part, reader->part_count - first_part, true};
	reader->blobs_missing--;
	return NULL;
}

/* The next `size` bytes of the section as a part. */
static const char *part_take(struct evlog_reader *reader, uint32_t size, uint32_t *used,
			     struct scan_part *ret_part)
{
	if (size > reader->sections[reader->loaded.section].header.raw_size - *used)
		return "a blob is outside its section";
	*ret_part = (struct scan_part){reader->loaded.section, *used, size};
	*used += size;
	return NULL;
}

static const char *part_add(struct evlog_reader *reader, const struct scan_part *part)
{
	struct scan_part *to = ARRAY_ADD(reader->parts, reader->part_count);

	if (!to)
		return no_memory;
	*to = *part;
	return NULL;
}

static const char *scan_whole(struct evlog_reader *reader, struct evlog_cursor *cursor,
			      uint32_t *used)
{
	const uint8_t *hash = evlog_get(cursor, EVLOG_HASH_SIZE);
	uint32_t size = evlog_get_u32(cursor);
	size_t first_part = reader->part_count;
	struct scan_part part;
	const char *what;

	if (cursor->failed)
		return malformed;
	what = part_take(reader, size, used, &part);
	if (!what)
		what = part_add(reader, &part);
	return what ? what : blob_define(reader, hash, size, first_part);
}

static const char *scan_chunk(struct evlog_reader *reader, struct evlog_cursor *cursor,
			      uint32_t *used)
{
	uint32_t size = evlog_get_u32(cursor);
	struct scan_part part, *to;
	const char *what;

	if (cursor->failed)
		return malformed;
	if (!reader->blob_open) {
		reader->blob_open = true;
		reader->open_count = 0;
		reader->open_size = 0;
	}
	what = part_take(reader, size, used, &part);
	if (what)
		return what;
	to = ARRAY_ADD(reader->open_parts, reader->open_count);
	if (!to)
		return no_memory;
	*to = part;
	reader->open_size += size;
	return NULL;
}

static const char *scan_last(struct evlog_reader *reader, struct evlog_cursor *cursor,
			     uint32_t *used)
{
	const uint8_t *hash = evlog_get(cursor, EVLOG_HASH_SIZE);
	uint64_t size = evlog_get_u64(cursor);
	size_t first_part = reader->part_count;
	const char *what = NULL;

	(void)used;
	if (cursor->failed || !reader->blob_open || size != reader->open_size)
		return malformed;
	reader->blob_open = false;
	for (size_t i = 0; !what && i < reader->open_count; i++)
		what = part_add(reader, &reader->open_parts[i]);
	return what ? what : blob_define(reader, hash, size, first_part);
}

static const char *scan_blobs(struct evlog_reader *reader)
{
	static const char *(*const records[])(struct evlog_reader *, struct evlog_cursor *,
					      uint32_t *) = {
		[EVLOG_BLOB_WHOLE] = scan_whole,
		[EVLOG_BLOB_CHUNK] = scan_chunk,
		[EVLOG_BLOB_LAST] = scan_last,
	};
	const struct evlog_section *header = &reader->sections[reader->loaded.section].header;
	struct evlog_cursor cursor =
		evlog_cursor_make(reader->loaded.file.data, header->inline_size);
	const char *what = NULL;
	uint32_t used = 0;

	while (!what && evlog_cursor_left(&cursor)) {
		uint8_t kind = evlog_get_u8(&cursor);

		if (kind < EVLOG_BLOB_WHOLE || kind > EVLOG_BLOB_LAST)
			return "unknown kind of blob record";
		what = records[kind](reader, &cursor, &used);
	}
	if (!what && used != header->raw_size)
		return "bytes that belong to no blob";
	return what;
}

static const char *scan_epoch(struct evlog_reader *reader)
{
	struct evlog_cursor payload = evlog_scan_payload(reader);
	uint64_t before =
		reader->epoch_count ? reader->epochs[reader->epoch_count - 1].delivered_at : 0;
	struct scan_epoch *slot;
	struct evlog_epoch epoch;
	const char *what = evlog_epoch_decode(payload.at, evlog_cursor_left(&payload), &epoch);

	if (what)
		return what;
	evlog_epoch_free_inputs(&epoch);
	if (epoch.number != reader->epoch_count || epoch.delivered_at < before)
		return "epochs are not in order";
	if (reader->blobs_missing || reader->blob_open)
		return "a blob it needs is missing";
	slot = ARRAY_ADD(reader->epochs, reader->epoch_count);
	if (!slot)
		return no_memory;
	*slot = (struct scan_epoch){reader->loaded.section, epoch.delivered_at};
	return NULL;
}

/* Chain and event sections start with the number of the epoch they belong to: the last one. */
static const char *scan_gathered(struct evlog_reader *reader)
{
	struct evlog_cursor cursor = evlog_scan_payload(reader);
	uint64_t number = evlog_get_u64(&cursor);

	if (cursor.failed || number + 1 != reader->epoch_count || number == UINT64_MAX)
		return malformed;
	return NULL;
}

static const char *scan_chain(struct evlog_reader *reader)
{
	struct evlog_cursor cursor = evlog_scan_payload(reader);

	if (evlog_cursor_left(&cursor) % sizeof(uint32_t))
		return malformed;
	return scan_gathered(reader);
}

static const char *scan_events(struct evlog_reader *reader)
{
	reader->has_events = true;
	return scan_gathered(reader);
}

static const char *scan_outputs(struct evlog_reader *reader)
{
	struct evlog_cursor at = payload_keep(reader, &reader->output_bytes);

	if (reader->blobs_missing || reader->blob_open)
		return "a blob the image needs is missing";
	return evlog_outputs_decode(at.at, evlog_cursor_left(&at), &reader->outputs,
				    &reader->output_count);
}

static const char *scan_index(struct evlog_reader *reader)
{
	struct evlog_cursor cursor = evlog_scan_payload(reader);

	reader->index_offset = reader->sections[reader->loaded.section].offset;
	for (size_t i = 0; i + 1 < reader->section_count; i++) {
		uint8_t type = evlog_get_u8(&cursor);

		if (evlog_get_u64(&cursor) != reader->sections[i].offset ||
		    type != (uint8_t)reader->sections[i].header.type)
			return "does not agree with the file";
	}
	return evlog_cursor_done(&cursor) ? NULL : "does not agree with the file";
}

static const char *scan_end(struct evlog_reader *reader)
{
	struct evlog_cursor payload = evlog_scan_payload(reader);
	uint64_t index_offset;
	const char *what = evlog_end_decode(payload.at, evlog_cursor_left(&payload), &reader->end,
					    &index_offset);

	if (what)
		return what;
	if (index_offset != reader->index_offset || reader->end.epochs != reader->epoch_count)
		return "does not agree with the file";
	reader->ended = true;
	return NULL;
}

/* `stage` never decreases along the file; only the sections of stage 2 may repeat. */
static const struct {
	int stage;
	const char *(*scan)(struct evlog_reader *reader);
} section_scans[EVLOG_SECTION_TYPES] = {
	[EVLOG_SECTION_HEADER] = {0, scan_header}, [EVLOG_SECTION_HOST] = {1, scan_host},
	[EVLOG_SECTION_IMAGE] = {2, scan_image},   [EVLOG_SECTION_BLOBS] = {2, scan_blobs},
	[EVLOG_SECTION_EPOCH] = {2, scan_epoch},   [EVLOG_SECTION_CHAIN] = {2, scan_chain},
	[EVLOG_SECTION_EVENTS] = {2, scan_events}, [EVLOG_SECTION_OUTPUTS] = {3, scan_outputs},
	[EVLOG_SECTION_INDEX] = {4, scan_index},   [EVLOG_SECTION_END] = {5, scan_end},
};

static const char *order_check(const struct evlog_reader *reader,
			       const struct evlog_section *header)
{
	int stage = section_scans[header->type].stage;
	int before = -1;

	if (reader->section_count)
		before = section_scans[reader->sections[reader->section_count - 1].header.type]
				 .stage;
	if (header->sequence != reader->section_count)
		return "sections are missing or out of order";
	if (stage == before + 1 || (stage == 2 && before == 2) || (stage == 3 && before == 1))
		return NULL;
	return "sections are missing or out of order";
}

/* Reads a section header. 1: there is one. 0: damage was noted. */
static int section_begin(struct evlog_reader *reader, uint64_t offset,
			 struct evlog_section *ret_header)
{
	uint8_t bytes[EVLOG_SECTION_HEADER_SIZE];
	uint64_t left = reader->size_bytes - offset;
	const char *what;
	int ret;

	if (left < sizeof(bytes)) {
		evlog_scan_damaged(reader, EVLOG_TRUNCATED, offset, "file",
				   "it stops inside a section");
		return 0;
	}
	ret = read_exact(reader->fd, bytes, sizeof(bytes), offset);
	if (ret)
		return ret;
	what = evlog_section_decode(bytes, ret_header);
	if (what) {
		evlog_scan_damaged(reader, EVLOG_DAMAGED, offset, evlog_section_name(bytes[12]),
				   what);
		return 0;
	}
	if (left - sizeof(bytes) < (uint64_t)ret_header->inline_size + ret_header->packed_size) {
		evlog_scan_damaged(reader, EVLOG_TRUNCATED, offset,
				   evlog_section_name(ret_header->type),
				   "it stops inside this section");
		return 0;
	}
	return 1;
}

/* Takes one section in. 1: it is right. 0: damage was noted. */
static int section_take(struct evlog_reader *reader, uint64_t offset,
			const struct evlog_section *header)
{
	const char *what = order_check(reader, header);
	struct scan_section *section;
	int ret;

	if (what) {
		evlog_scan_damaged(reader, EVLOG_DAMAGED, offset, evlog_section_name(header->type),
				   what);
		return 0;
	}
	section = ARRAY_ADD(reader->sections, reader->section_count);
	if (!section)
		return -ENOMEM;
	*section = (struct scan_section){offset, *header};
	/* What a checksum vouches for need not be unpacked to be counted. */
	ret = load(reader, reader->section_count - 1, header->type != EVLOG_SECTION_BLOBS);
	if (!ret) {
		what = section_scans[header->type].scan(reader);
		if (what && !strcmp(what, no_memory))
			ret = -ENOMEM;
		else if (what)
			ret = load_damaged(reader, reader->section_count - 1, what);
	}
	if (ret) {
		reader->section_count--;
		reader->loaded.valid = false;
	}
	return ret == -EBADMSG ? 0 : ret ? ret : 1;
}

/* All bytes have been read: is anything behind the end, or is there no end? */
static void ending_check(struct evlog_reader *reader, uint64_t offset)
{
	if (!reader->ended)
		evlog_scan_damaged(reader, EVLOG_TRUNCATED, offset, "file", "it has no end record");
	else if (offset < reader->size_bytes)
		evlog_scan_damaged(reader, EVLOG_DAMAGED, offset, "file",
				   "there are bytes behind the end record");
}

int evlog_scan(struct evlog_reader *reader)
{
	struct evlog_section header = {.type = EVLOG_SECTION_HEADER};
	uint64_t offset = 0;
	int ret;

	while (offset < reader->size_bytes && !reader->ended) {
		ret = section_begin(reader, offset, &header);
		if (ret > 0)
			ret = section_take(reader, offset, &header);
		if (ret <= 0)
			return ret;
		offset += EVLOG_SECTION_HEADER_SIZE + header.inline_size + header.packed_size;
	}
	ending_check(reader, offset);
	return 0;
}
