/*
 * Little-endian encoding into a growing buffer, and decoding with bounds. Both are sticky: after
 * the first failure every further step does nothing, and is checked once at the end.
 */
#ifndef SHADOW_LOG_EVLOG_WIRE_H
#define SHADOW_LOG_EVLOG_WIRE_H

#include <endian.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Zeroed is an empty buffer. */
struct evlog_buf {
	uint8_t *data;
	size_t len;
	size_t cap;
	int error; /* 0 or -ENOMEM, for good */
};

/* Frees the bytes; the buffer is then empty again. */
void evlog_buf_finish(struct evlog_buf *buf);

/* Makes room for `size` more bytes and returns where they go, without counting them in `len`;
 * NULL when out of memory. Valid until the next call that adds. */
uint8_t *evlog_buf_room(struct evlog_buf *buf, size_t size);

void evlog_put(struct evlog_buf *buf, const void *bytes, size_t size);
void evlog_put_u8(struct evlog_buf *buf, uint8_t value);
void evlog_put_u32(struct evlog_buf *buf, uint32_t value);
void evlog_put_u64(struct evlog_buf *buf, uint64_t value);

/* u32 length without the NUL, the bytes, a NUL: so the reader can point into the payload. */
void evlog_put_string(struct evlog_buf *buf, const char *string);

struct evlog_cursor {
	const uint8_t *at;
	const uint8_t *end;
	bool failed;
};

struct evlog_cursor evlog_cursor_make(const void *bytes, size_t size);

static inline size_t evlog_cursor_left(const struct evlog_cursor *cursor)
{
	return (size_t)(cursor->end - cursor->at);
}

/* `size` bytes inside the payload, or NULL and the cursor has failed. */
static inline const uint8_t *evlog_get(struct evlog_cursor *cursor, size_t size)
{
	const uint8_t *at = cursor->at;

	if (cursor->failed || size > evlog_cursor_left(cursor)) {
		cursor->failed = true;
		return NULL;
	}
	cursor->at += size;
	return at;
}

/* Copies, or fills with zeros when the cursor has failed. */
static inline void evlog_get_copy(struct evlog_cursor *cursor, void *out, size_t size)
{
	const uint8_t *bytes = evlog_get(cursor, size);

	if (bytes)
		memcpy(out, bytes, size);
	else
		memset(out, 0, size);
}

static inline uint8_t evlog_get_u8(struct evlog_cursor *cursor)
{
	uint8_t value;

	evlog_get_copy(cursor, &value, sizeof(value));
	return value;
}

static inline uint32_t evlog_get_u32(struct evlog_cursor *cursor)
{
	uint32_t value;

	evlog_get_copy(cursor, &value, sizeof(value));
	return le32toh(value);
}

static inline uint64_t evlog_get_u64(struct evlog_cursor *cursor)
{
	uint64_t value;

	evlog_get_copy(cursor, &value, sizeof(value));
	return le64toh(value);
}

/* A string inside the payload, NUL at its end and nowhere else; "" when the cursor has failed. */
static inline const char *evlog_get_string(struct evlog_cursor *cursor)
{
	uint32_t len = evlog_get_u32(cursor);
	const uint8_t *bytes = evlog_get(cursor, (size_t)len + 1);

	if (!bytes || memchr(bytes, 0, (size_t)len + 1) != bytes + len) {
		cursor->failed = true;
		return "";
	}
	return (const char *)bytes;
}

/* True when nothing failed and nothing is left over. */
static inline bool evlog_cursor_done(const struct evlog_cursor *cursor)
{
	return !cursor->failed && cursor->at == cursor->end;
}

#endif
