/*
 * Payloads of the sections that carry plain values, to bytes and back. Byte tables are in
 * docs/log-format.md. Decoders return NULL or what is wrong (a static string); on failure they own
 * nothing and their results are untouched. Strings and bytes in a result point into the payload,
 * arrays are owned by the result.
 */
#ifndef SHADOW_LOG_EVLOG_CODEC_H
#define SHADOW_LOG_EVLOG_CODEC_H

#include "evlog_types.h"
#include "evlog_wire.h"

void evlog_header_encode(struct evlog_buf *buf, const struct evlog_header *header);
const char *evlog_header_decode(const void *payload, size_t size, struct evlog_header *ret_header);
void evlog_header_finish(struct evlog_header *header);

void evlog_pairs_encode(struct evlog_buf *buf, const struct evlog_pairs *pairs);
const char *evlog_pairs_decode(const void *payload, size_t size, struct evlog_pairs *ret_pairs);
void evlog_pairs_finish(struct evlog_pairs *pairs);

/* The value of a key, or NULL. */
const char *evlog_pairs_find(const struct evlog_pairs *pairs, const char *key);

void evlog_epoch_encode(struct evlog_buf *buf, const struct evlog_epoch *epoch);
const char *evlog_epoch_decode(const void *payload, size_t size, struct evlog_epoch *ret_epoch);
void evlog_epoch_free_inputs(struct evlog_epoch *epoch);

void evlog_output_encode(struct evlog_buf *buf, const struct evlog_output *output);

/* Decodes all outputs of a payload into an array the caller frees with free(3). */
const char *evlog_outputs_decode(const void *payload, size_t size,
				 struct evlog_output **ret_outputs, size_t *ret_count);

void evlog_end_encode(struct evlog_buf *buf, const struct evlog_end *end, uint64_t index_offset);
const char *evlog_end_decode(const void *payload, size_t size, struct evlog_end *ret_end,
			     uint64_t *ret_index_offset);

#endif
