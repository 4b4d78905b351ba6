/*
 * Writes a log. Every call may be made from any thread; calls are taken one after another.
 */
#ifndef SHADOW_LOG_EVLOG_WRITER_H
#define SHADOW_LOG_EVLOG_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "evlog_types.h"
#include "evlog_wire.h"

struct evlog_writer;

/*
 * Makes the log at `path` (mode 0600), with header and host sections in it. It is written under a
 * hidden name in the same folder and renamed before this returns: so a log that was there stays
 * as it was if anything here fails, a reader of the old one keeps it, and a recorder killed later
 * leaves a log that can be read to its last whole epoch.
 *
 * `host` (kernel, tool version, hostname, date) is kept and never compared.
 *
 * Errors: -EEXIST if something other than a regular file is there, -EISDIR for a folder; what
 * open(2), write(2) and rename(2) return; -ENOMEM; -E2BIG if header or host exceed
 * their limit.
 */
int evlog_writer_create(const char *path, const struct evlog_header *header,
			const struct evlog_pairs *host, struct evlog_writer **ret_writer);

/* The descriptor of the log (owned by the writer): its (dev, ino) is what the container may not
 * see. */
int evlog_writer_fd(const struct evlog_writer *writer);

/*
 * The appends below return 0 or the first error the writer met, which stays: -ENOMEM, -E2BIG for a
 * value larger than a section may be, -EINVAL for a value no reader would take, or what write(2)
 * returned (-ENOSPC, -EFBIG, -EIO).
 */

/*
 * Appends an epoch, after the chain values and event records of the one before, and hands
 * everything to the kernel, so that kill -9 takes nothing of it away. Precondition: every blob
 * the epochs before need is in the log (image_capture_flush()). Numbers count from 0 without gap.
 * The first, which needs none, may come while the pieces of a blob are appended: it goes out when
 * they are.
 */
int evlog_writer_epoch_append(struct evlog_writer *writer, const struct evlog_epoch *epoch);

/* Chain values of the epoch appended last: one per 256 events. */
int evlog_writer_chain_append(struct evlog_writer *writer, const uint32_t *values, size_t count);

/* Event records of the epoch appended last, whole ones only; opaque here. */
int evlog_writer_events_append(struct evlog_writer *writer, const void *records, size_t size);

/* Size and hash of an output stream or written file; goes out at evlog_writer_finish(). */
int evlog_writer_output_append(struct evlog_writer *writer, const struct evlog_output *output);

/* The caller has appended all outputs: packs them, while the image may still grow.
 * evlog_writer_finish() does it, if it was not done. */
int evlog_writer_outputs_end(struct evlog_writer *writer);

/*
 * Appends a section that was made elsewhere (image and blobs, by image_sink; or a section copied
 * from a reader). `packed` is one zstd frame of `raw_size` bytes, or NULL and both sizes 0.
 */
int evlog_writer_section_append(struct evlog_writer *writer, enum evlog_section_type type,
				const struct evlog_buf *inline_bytes,
				const struct evlog_buf *packed, size_t raw_size);

/* Between the two the pieces of one blob are appended, by one thread. */
void evlog_writer_pieces_begin(struct evlog_writer *writer);
void evlog_writer_pieces_end(struct evlog_writer *writer);

/* The same, where evlog_section_checksum() of both is known. */
int evlog_writer_summed_append(struct evlog_writer *writer, enum evlog_section_type type,
			       const struct evlog_buf *inline_bytes, const struct evlog_buf *packed,
			       size_t raw_size, uint64_t checksum);

/* The same from bytes that are not packed yet. */
int evlog_writer_payload_append(struct evlog_writer *writer, enum evlog_section_type type,
				const void *payload, size_t size);

/* Bytes of the log so far. */
uint64_t evlog_writer_size_bytes(struct evlog_writer *writer);

/*
 * Ends the log: outputs, index, end record; after that it is whole. `end->epochs` is filled in
 * here. The writer stays to be destroyed. Errors as above, of this call or any before.
 */
int evlog_writer_finish(struct evlog_writer *writer, const struct evlog_end *end);

/* Closes and frees. Without evlog_writer_finish() the log is left incomplete. NULL is allowed. */
void evlog_writer_destroy(struct evlog_writer *writer);

#endif
