/*
 * Purpose: appends sections to a log file.
 * Owns: the file, the bytes not yet written, chain values and events of the epoch under way,
 * the outputs and the index.
 *
 *	create: hidden file, header, host, rename --> open --epoch_append--> open
 *	                                               |--finish: outputs, index, end--> finished
 *	any failed write --> failed: every later call returns the first error
 *
 * A write that fails may have written a part: the file is cut back to the sections before it, so
 * that a full disk leaves what a kill at that moment would.
 *
 * Invariants: sections are numbered in file order; chain and event sections of an epoch stand
 * between it and the next; after evlog_writer_epoch_append() nothing is left in our memory.
 */
#include "evlog_writer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>

#include "evlog_codec.h"
#include "evlog_section.h"

/* Of the small sections: header, epochs, index. 3 packs an environment a fifth smaller than 1, and
 * they are too few for its time to count. */
#define LEVEL_SMALL 1
/* Bytes of chain values or events after which a section is made of them. */
#define GATHER_BYTES (256 * 1024)
/* Bytes of finished sections after which they are written. */
#define WRITE_BYTES (64 * 1024)

static const struct evlog_buf nothing;

struct evlog_writer {
	pthread_mutex_t lock;
	bool pieces; /* of a blob are being appended */
	pthread_cond_t pieces_end;
	int fd;
	int error; /* the first one, for good */
	bool finished;
	uint32_t sequence;
	uint64_t offset;  /* of the next section */
	uint64_t written; /* bytes of whole sections in the file */
	uint64_t epoch_count;
	pthread_mutex_t packing;  /* guards cctx; taken behind `lock` or without it */
	ZSTD_CCtx *cctx;	  /* NULL: nothing was packed yet */
	struct evlog_buf pending; /* finished sections, not written yet */
	struct evlog_buf packed;  /* scratch */
	struct evlog_buf payload; /* scratch */
	struct evlog_buf first;	  /* the first epoch, until the pieces are appended */
	struct evlog_buf chain;
	struct evlog_buf events;
	struct evlog_buf outputs, outputs_packed;
	bool outputs_ended;
	struct evlog_buf index;
};

static int write_all(int fd, const uint8_t *bytes, size_t size)
{
	while (size) {
		ssize_t done = write(fd, bytes, size);

		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0)
			return -errno;
		bytes += done;
		size -= (size_t)done;
	}
	return 0;
}

static void fail(struct evlog_writer *writer, int error)
{
	if (!writer->error)
		writer->error = error;
}

/* What is pending, and `behind` it. */
static void write_out(struct evlog_writer *writer, const struct evlog_buf *behind)
{
	if (writer->pending.error)
		fail(writer, writer->pending.error);
	if (!writer->error) {
		int ret = write_all(writer->fd, writer->pending.data, writer->pending.len);

		if (!ret)
			ret = write_all(writer->fd, behind->data, behind->len);
		fail(writer, ret);
		/* Without success it is a log that stops inside a section: as good. */
		if (ret && ftruncate(writer->fd, (off_t)writer->written))
			ret = -errno;
		if (!ret)
			writer->written += writer->pending.len + behind->len;
	}
	writer->pending.len = 0;
}

static void pending_write(struct evlog_writer *writer)
{
	write_out(writer, &nothing);
}

/* Frames one section; `inline_bytes` and `packed` may be empty.  `checksum`: of both. */
static void summed_put(struct evlog_writer *writer, enum evlog_section_type type,
		       const struct evlog_buf *inline_bytes, const struct evlog_buf *packed,
		       size_t raw_size, uint64_t checksum)
{
	struct evlog_section section = {
		.type = type, .sequence = writer->sequence, .checksum = checksum};
	uint8_t header[EVLOG_SECTION_HEADER_SIZE];
	uint32_t limit = evlog_section_limit(type);
	uint64_t start = writer->offset;
	bool large = packed->len >= WRITE_BYTES;

	if (inline_bytes->error || packed->error)
		fail(writer, -ENOMEM);
	if (inline_bytes->len > limit || raw_size > limit)
		fail(writer, -E2BIG);
	if (writer->error)
		return;
	section.inline_size = (uint32_t)inline_bytes->len;
	section.packed_size = (uint32_t)packed->len;
	section.raw_size = (uint32_t)raw_size;
	evlog_section_encode(&section, header);
	evlog_put(&writer->pending, header, sizeof(header));
	evlog_put(&writer->pending, inline_bytes->data, inline_bytes->len);
	if (!large)
		evlog_put(&writer->pending, packed->data, packed->len);
	writer->offset += sizeof(header) + inline_bytes->len + packed->len;
	writer->sequence++;
	/* Last: the inline bytes may be those of the index itself. */
	evlog_put_u8(&writer->index, (uint8_t)type);
	evlog_put_u64(&writer->index, start);
	/* What is large is written from where it is. */
	if (large || writer->pending.len >= WRITE_BYTES)
		write_out(writer, large ? packed : &nothing);
}

static void section_put(struct evlog_writer *writer, enum evlog_section_type type,
			const struct evlog_buf *inline_bytes, const struct evlog_buf *packed,
			size_t raw_size)
{
	uint64_t checksum = evlog_section_checksum(inline_bytes->data, inline_bytes->len,
						   packed->data, packed->len);

	summed_put(writer, type, inline_bytes, packed, raw_size, checksum);
}

/* A payload goes inline if it is small or does not shrink, else into the zstd frame: then it is in
 * `packed`, which else is empty. */
static int payload_pack(struct evlog_writer *writer, const struct evlog_buf *payload,
			struct evlog_buf *packed)
{
	int ret;

	packed->len = 0;
	if (payload->error || payload->len < EVLOG_PACK_MIN)
		return payload->error;
	pthread_mutex_lock(&writer->packing);
	if (!writer->cctx)
		writer->cctx = ZSTD_createCCtx();
	ret = evlog_section_pack(writer->cctx, LEVEL_SMALL, payload->data, payload->len, packed);
	pthread_mutex_unlock(&writer->packing);
	if (packed->len >= payload->len)
		packed->len = 0;
	return ret;
}

static void packed_put(struct evlog_writer *writer, enum evlog_section_type type,
		       const struct evlog_buf *payload, const struct evlog_buf *packed)
{
	if (writer->error)
		return;
	if (packed->len)
		section_put(writer, type, &nothing, packed, payload->len);
	else
		section_put(writer, type, payload, &nothing, 0);
}

static void payload_put(struct evlog_writer *writer, enum evlog_section_type type,
			const struct evlog_buf *payload)
{
	if (!writer->error)
		fail(writer, payload_pack(writer, payload, &writer->packed));
	packed_put(writer, type, payload, &writer->packed);
}

/* What was gathered for the epoch under way; each section starts with the epoch's number. */
static void gathered_put(struct evlog_writer *writer, enum evlog_section_type type,
			 struct evlog_buf *gathered)
{
	if (gathered->len > sizeof(uint64_t) || gathered->error)
		payload_put(writer, type, gathered);
	gathered->len = 0;
}

static void gather(struct evlog_writer *writer, enum evlog_section_type type,
		   struct evlog_buf *gathered, const void *bytes, size_t size)
{
	if (!writer->epoch_count)
		fail(writer, -EINVAL);
	while (writer->first.len && gathered->len + size > GATHER_BYTES)
		pthread_cond_wait(&writer->pieces_end, &writer->lock);
	if (gathered->len + size > GATHER_BYTES)
		gathered_put(writer, type, gathered);
	if (!gathered->len)
		evlog_put_u64(gathered, writer->epoch_count - 1);
	evlog_put(gathered, bytes, size);
}

static int create_hidden(const char *path, char hidden[PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	int folder = slash ? (int)(slash - path + 1) : 0;
	uint64_t random;
	int fd = -EEXIST;

	for (int attempt = 0; attempt < 100 && fd == -EEXIST; attempt++) {
		if (getrandom(&random, sizeof(random), 0) != sizeof(random))
			return -errno;
		if (snprintf(hidden, PATH_MAX, "%.*s.%.200s.%08x", folder, path, path + folder,
			     (unsigned int)random) >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = open(hidden, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
		fd = fd < 0 ? -errno : fd;
	}
	return fd;
}

static int write_start(struct evlog_writer *writer, const struct evlog_header *header,
		       const struct evlog_pairs *host)
{
	evlog_header_encode(&writer->payload, header);
	payload_put(writer, EVLOG_SECTION_HEADER, &writer->payload);
	writer->payload.len = 0;
	evlog_pairs_encode(&writer->payload, host);
	payload_put(writer, EVLOG_SECTION_HOST, &writer->payload);
	pending_write(writer);
	return writer->error;
}

/* rename(2) would put the log in the place of whatever is there: of a device or a FIFO too. */
static int check_place(const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0;
	return S_ISDIR(st.st_mode) ? -EISDIR : -EEXIST;
}

/* The hidden file becomes the log only with a readable start. */
static int open_file(struct evlog_writer *writer, const char *path,
		     const struct evlog_header *header, const struct evlog_pairs *host)
{
	char hidden[PATH_MAX];
	int ret = check_place(path);

	if (ret)
		return ret;
	writer->fd = create_hidden(path, hidden);
	if (writer->fd < 0)
		return writer->fd;
	ret = write_start(writer, header, host);
	if (!ret && rename(hidden, path))
		ret = -errno;
	if (ret)
		unlink(hidden);
	return ret;
}

int evlog_writer_create(const char *path, const struct evlog_header *header,
			const struct evlog_pairs *host, struct evlog_writer **ret_writer)
{
	struct evlog_writer *writer = calloc(1, sizeof(*writer));
	int ret;

	if (!writer)
		return -ENOMEM;
	writer->fd = -1;
	pthread_mutex_init(&writer->lock, NULL);
	pthread_mutex_init(&writer->packing, NULL);
	pthread_cond_init(&writer->pieces_end, NULL);
	ret = open_file(writer, path, header, host);
	if (ret) {
		evlog_writer_destroy(writer);
		return ret;
	}
	*ret_writer = writer;
	return 0;
}

int evlog_writer_fd(const struct evlog_writer *writer)
{
	return writer->fd;
}

static int unlock(struct evlog_writer *writer)
{
	int error = writer->error;

	pthread_mutex_unlock(&writer->lock);
	return error;
}

static void epoch_put(struct evlog_writer *writer, const struct evlog_buf *payload)
{
	payload_put(writer, EVLOG_SECTION_EPOCH, payload);
	pending_write(writer);
}

int evlog_writer_epoch_append(struct evlog_writer *writer, const struct evlog_epoch *epoch)
{
	pthread_mutex_lock(&writer->lock);
	if (epoch->number != writer->epoch_count || writer->finished ||
	    (writer->pieces && writer->epoch_count))
		fail(writer, -EINVAL);
	if (writer->pieces) {
		evlog_epoch_encode(&writer->first, epoch);
	} else {
		gathered_put(writer, EVLOG_SECTION_CHAIN, &writer->chain);
		gathered_put(writer, EVLOG_SECTION_EVENTS, &writer->events);
		writer->payload.len = 0;
		evlog_epoch_encode(&writer->payload, epoch);
		epoch_put(writer, &writer->payload);
	}
	writer->epoch_count++;
	return unlock(writer);
}

void evlog_writer_pieces_begin(struct evlog_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->pieces = true;
	pthread_mutex_unlock(&writer->lock);
}

void evlog_writer_pieces_end(struct evlog_writer *writer)
{
	pthread_mutex_lock(&writer->lock);
	writer->pieces = false;
	if (writer->first.len || writer->first.error)
		epoch_put(writer, &writer->first);
	writer->first.len = 0;
	pthread_mutex_unlock(&writer->lock);
	pthread_cond_signal(&writer->pieces_end);
}

int evlog_writer_chain_append(struct evlog_writer *writer, const uint32_t *values, size_t count)
{
	pthread_mutex_lock(&writer->lock);
	for (size_t i = 0; i < count; i++) {
		uint8_t bytes[4] = {(uint8_t)values[i], (uint8_t)(values[i] >> 8),
				    (uint8_t)(values[i] >> 16), (uint8_t)(values[i] >> 24)};

		gather(writer, EVLOG_SECTION_CHAIN, &writer->chain, bytes, sizeof(bytes));
	}
	return unlock(writer);
}

int evlog_writer_events_append(struct evlog_writer *writer, const void *records, size_t size)
{
	pthread_mutex_lock(&writer->lock);
	gather(writer, EVLOG_SECTION_EVENTS, &writer->events, records, size);
	return unlock(writer);
}

int evlog_writer_output_append(struct evlog_writer *writer, const struct evlog_output *output)
{
	pthread_mutex_lock(&writer->lock);
	if (writer->outputs_ended)
		fail(writer, -EINVAL);
	evlog_output_encode(&writer->outputs, output);
	return unlock(writer);
}

int evlog_writer_outputs_end(struct evlog_writer *writer)
{
	/* Beside whoever else writes: the outputs are the caller's. */
	int ret = payload_pack(writer, &writer->outputs, &writer->outputs_packed);

	pthread_mutex_lock(&writer->lock);
	fail(writer, ret);
	writer->outputs_ended = true;
	return unlock(writer);
}

int evlog_writer_section_append(struct evlog_writer *writer, enum evlog_section_type type,
				const struct evlog_buf *inline_bytes,
				const struct evlog_buf *packed, size_t raw_size)
{
	pthread_mutex_lock(&writer->lock);
	section_put(writer, type, inline_bytes, packed != NULL ? packed : &nothing, raw_size);
	return unlock(writer);
}

int evlog_writer_summed_append(struct evlog_writer *writer, enum evlog_section_type type,
			       const struct evlog_buf *inline_bytes, const struct evlog_buf *packed,
			       size_t raw_size, uint64_t checksum)
{
	pthread_mutex_lock(&writer->lock);
	summed_put(writer, type, inline_bytes, packed, raw_size, checksum);
	return unlock(writer);
}

int evlog_writer_payload_append(struct evlog_writer *writer, enum evlog_section_type type,
				const void *payload, size_t size)
{
	struct evlog_buf copy = {0};
	int ret;

	evlog_put(&copy, payload, size);
	pthread_mutex_lock(&writer->lock);
	payload_put(writer, type, &copy);
	ret = unlock(writer);
	evlog_buf_finish(&copy);
	return ret;
}

uint64_t evlog_writer_size_bytes(struct evlog_writer *writer)
{
	uint64_t size;

	pthread_mutex_lock(&writer->lock);
	size = writer->offset;
	pthread_mutex_unlock(&writer->lock);
	return size;
}

int evlog_writer_finish(struct evlog_writer *writer, const struct evlog_end *end)
{
	struct evlog_end last = *end;
	uint64_t index_offset;

	pthread_mutex_lock(&writer->lock);
	if (writer->finished)
		fail(writer, -EINVAL);
	gathered_put(writer, EVLOG_SECTION_CHAIN, &writer->chain);
	gathered_put(writer, EVLOG_SECTION_EVENTS, &writer->events);
	if (writer->outputs_ended)
		packed_put(writer, EVLOG_SECTION_OUTPUTS, &writer->outputs,
			   &writer->outputs_packed);
	else
		payload_put(writer, EVLOG_SECTION_OUTPUTS, &writer->outputs);
	index_offset = writer->offset;
	payload_put(writer, EVLOG_SECTION_INDEX, &writer->index);
	last.epochs = writer->epoch_count;
	writer->payload.len = 0;
	evlog_end_encode(&writer->payload, &last, index_offset);
	payload_put(writer, EVLOG_SECTION_END, &writer->payload);
	pending_write(writer);
	writer->finished = true;
	return unlock(writer);
}

void evlog_writer_destroy(struct evlog_writer *writer)
{
	if (!writer)
		return;
	if (writer->fd >= 0) {
		pending_write(writer);
		close(writer->fd);
	}
	evlog_buf_finish(&writer->pending);
	evlog_buf_finish(&writer->packed);
	evlog_buf_finish(&writer->payload);
	evlog_buf_finish(&writer->first);
	evlog_buf_finish(&writer->chain);
	evlog_buf_finish(&writer->events);
	evlog_buf_finish(&writer->outputs);
	evlog_buf_finish(&writer->outputs_packed);
	evlog_buf_finish(&writer->index);
	ZSTD_freeCCtx(writer->cctx);
	pthread_cond_destroy(&writer->pieces_end);
	pthread_mutex_destroy(&writer->lock);
	pthread_mutex_destroy(&writer->packing);
	free(writer);
}
