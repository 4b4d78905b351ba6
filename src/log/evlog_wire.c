/*
 * Purpose: the byte order and the bounds of everything in a log, in one place.
 * Owns: the memory of a struct evlog_buf. A cursor owns nothing and points into a payload.
 * Invariants: at <= end in every cursor; len <= cap in every buffer; failure is sticky.
 */
#include "evlog_wire.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

void evlog_buf_finish(struct evlog_buf *buf)
{
	free(buf->data);
	*buf = (struct evlog_buf){0};
}

uint8_t *evlog_buf_room(struct evlog_buf *buf, size_t size)
{
	size_t cap = buf->cap ? buf->cap : 256;
	uint8_t *data;

	if (buf->error)
		return NULL;
	if (buf->data && size <= buf->cap - buf->len)
		return buf->data + buf->len;
	while (cap - buf->len < size && cap <= SIZE_MAX / 4)
		cap *= 2;
	data = cap - buf->len < size ? NULL : realloc(buf->data, cap);
	if (!data) {
		buf->error = -ENOMEM;
		return NULL;
	}
	buf->data = data;
	buf->cap = cap;
	return data + buf->len;
}

void evlog_put(struct evlog_buf *buf, const void *bytes, size_t size)
{
	uint8_t *room = evlog_buf_room(buf, size);

	if (!room || !size)
		return;
	memcpy(room, bytes, size);
	buf->len += size;
}

void evlog_put_u8(struct evlog_buf *buf, uint8_t value)
{
	evlog_put(buf, &value, sizeof(value));
}

void evlog_put_u32(struct evlog_buf *buf, uint32_t value)
{
	value = htole32(value);
	evlog_put(buf, &value, sizeof(value));
}

void evlog_put_u64(struct evlog_buf *buf, uint64_t value)
{
	value = htole64(value);
	evlog_put(buf, &value, sizeof(value));
}

void evlog_put_string(struct evlog_buf *buf, const char *string)
{
	size_t len = strlen(string);

	if (len >= UINT32_MAX) {
		buf->error = -ENOMEM;
		return;
	}
	evlog_put_u32(buf, (uint32_t)len);
	evlog_put(buf, string, len + 1);
}

struct evlog_cursor evlog_cursor_make(const void *bytes, size_t size)
{
	static const uint8_t nothing;
	const uint8_t *at = size ? bytes : &nothing;

	return (struct evlog_cursor){.at = at, .end = at + size};
}
