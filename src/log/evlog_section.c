/*
 * Purpose: framing. The one place that knows the 48 bytes before every section.
 * Owns: nothing.
 * Invariant: a finished log is a sequence of zstd and skippable frames, so `zstd -t` accepts it;
 * every byte of it is covered by a checksum: the header's own, or the one over its contents.
 */
#include "evlog_section.h"

#include <endian.h>
#include <errno.h>
#include <string.h>

#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

#define QUOTE(x)  #x
#define NUMBER(x) QUOTE(x)

const char evlog_newer_version[] = "of a newer format; this tool reads up to version " NUMBER(
	EVLOG_FORMAT_VERSION) ", a newer shadow is needed";

static const struct {
	const char *name;
	uint32_t limit;
} section_types[EVLOG_SECTION_TYPES] = {
	[EVLOG_SECTION_HEADER] = {"header", EVLOG_SMALL_LIMIT},
	[EVLOG_SECTION_HOST] = {"host", EVLOG_MIB},
	[EVLOG_SECTION_IMAGE] = {"image", EVLOG_LARGE_LIMIT},
	[EVLOG_SECTION_BLOBS] = {"blobs", EVLOG_SMALL_LIMIT},
	[EVLOG_SECTION_EPOCH] = {"epoch", EVLOG_LARGE_LIMIT},
	[EVLOG_SECTION_CHAIN] = {"chain", EVLOG_SMALL_LIMIT},
	[EVLOG_SECTION_EVENTS] = {"events", EVLOG_SMALL_LIMIT},
	[EVLOG_SECTION_OUTPUTS] = {"outputs", EVLOG_LARGE_LIMIT},
	[EVLOG_SECTION_INDEX] = {"index", EVLOG_LARGE_LIMIT},
	[EVLOG_SECTION_END] = {"end", 4096},
};

const char *evlog_section_name(unsigned int type)
{
	if (type >= EVLOG_SECTION_TYPES || !section_types[type].name)
		return "unknown";
	return section_types[type].name;
}

uint32_t evlog_section_limit(enum evlog_section_type type)
{
	return section_types[type].limit;
}

uint64_t evlog_section_checksum(const void *first, size_t first_size, const void *second,
				size_t second_size)
{
	XXH64_state_t state;

	XXH64_reset(&state, 0);
	if (first_size)
		XXH64_update(&state, first, first_size);
	if (second_size)
		XXH64_update(&state, second, second_size);
	return XXH64_digest(&state);
}

static void store_u32(uint8_t *at, uint32_t value)
{
	value = htole32(value);
	memcpy(at, &value, sizeof(value));
}

static void store_u64(uint8_t *at, uint64_t value)
{
	value = htole64(value);
	memcpy(at, &value, sizeof(value));
}

void evlog_section_encode(const struct evlog_section *section,
			  uint8_t ret_bytes[EVLOG_SECTION_HEADER_SIZE])
{
	uint32_t frame = EVLOG_SECTION_HEADER_SIZE - EVLOG_SKIPPABLE_FRAME_SIZE;

	store_u32(ret_bytes, EVLOG_SKIPPABLE_MAGIC);
	store_u32(ret_bytes + 4, frame + section->inline_size);
	store_u32(ret_bytes + 8, EVLOG_SECTION_MAGIC);
	ret_bytes[12] = (uint8_t)section->type;
	ret_bytes[13] = EVLOG_FORMAT_VERSION;
	ret_bytes[14] = 0;
	ret_bytes[15] = 0;
	store_u32(ret_bytes + 16, section->sequence);
	store_u32(ret_bytes + 20, section->inline_size);
	store_u32(ret_bytes + 24, section->packed_size);
	store_u32(ret_bytes + 28, section->raw_size);
	store_u64(ret_bytes + 32, section->checksum);
	store_u64(ret_bytes + 40, XXH64(ret_bytes, 40, 0));
}

static const char *section_check(const struct evlog_section *section, uint32_t frame_size)
{
	if (section->type >= EVLOG_SECTION_TYPES || !section_types[section->type].name)
		return "unknown type of section";
	if (section->inline_size > section_types[section->type].limit ||
	    section->raw_size > section_types[section->type].limit)
		return "larger than its type allows";
	if (frame_size !=
	    EVLOG_SECTION_HEADER_SIZE - EVLOG_SKIPPABLE_FRAME_SIZE + section->inline_size)
		return "sizes do not agree";
	/* A packed section may not grow by more than zstd's own worst case. */
	if (section->packed_size > ZSTD_COMPRESSBOUND((size_t)section->raw_size))
		return "packed larger than raw";
	if (!section->packed_size != !section->raw_size)
		return "packed and raw size do not agree";
	return NULL;
}

const char *evlog_section_decode(const uint8_t bytes[EVLOG_SECTION_HEADER_SIZE],
				 struct evlog_section *ret_section)
{
	struct evlog_cursor cursor = evlog_cursor_make(bytes, EVLOG_SECTION_HEADER_SIZE);
	uint32_t frame_magic = evlog_get_u32(&cursor);
	uint32_t frame_size = evlog_get_u32(&cursor);
	uint32_t magic = evlog_get_u32(&cursor);
	struct evlog_section section = {.type = evlog_get_u8(&cursor)};
	uint8_t version = evlog_get_u8(&cursor);
	uint32_t flags = evlog_get_u8(&cursor);
	const char *what;

	flags |= evlog_get_u8(&cursor);
	section.sequence = evlog_get_u32(&cursor);
	section.inline_size = evlog_get_u32(&cursor);
	section.packed_size = evlog_get_u32(&cursor);
	section.raw_size = evlog_get_u32(&cursor);
	section.checksum = evlog_get_u64(&cursor);
	if (frame_magic != EVLOG_SKIPPABLE_MAGIC || magic != EVLOG_SECTION_MAGIC)
		return "no section starts here";
	if (evlog_get_u64(&cursor) != XXH64(bytes, 40, 0))
		return "checksum of the section header is wrong";
	if (version > EVLOG_FORMAT_VERSION)
		return evlog_newer_version;
	if (version < EVLOG_FORMAT_LEAST || flags)
		return "unsupported version";
	what = section_check(&section, frame_size);
	if (what)
		return what;
	*ret_section = section;
	return NULL;
}

int evlog_section_pack(ZSTD_CCtx *cctx, int level, const void *raw, size_t size,
		       struct evlog_buf *out)
{
	size_t bound = ZSTD_compressBound(size);
	uint8_t *room = evlog_buf_room(out, bound);
	size_t packed;

	if (!room || !cctx)
		return -ENOMEM;
	packed = ZSTD_compressCCtx(cctx, room, bound, raw, size, level);
	if (ZSTD_isError(packed))
		return -EIO;
	out->len += packed;
	return 0;
}

int evlog_section_unpack(ZSTD_DCtx *dctx, const void *packed, size_t packed_size, void *out,
			 size_t raw_size)
{
	size_t got;

	if (ZSTD_getFrameContentSize(packed, packed_size) != raw_size)
		return -EBADMSG;
	if (ZSTD_findFrameCompressedSize(packed, packed_size) != packed_size)
		return -EBADMSG;
	got = ZSTD_decompressDCtx(dctx, out, raw_size, packed, packed_size);
	return got == raw_size ? 0 : -EBADMSG;
}
