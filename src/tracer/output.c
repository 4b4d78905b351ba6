/*
 * The output thread; see output.h.  The consumer of OUTPUT_RING.  output_drain is called by the
 * wait loop only.
 */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "../shim/rings.h"
#include "container.h"
#include "poller.h"

#define FIRSTS_MAX 8 /* a stop of the task each; more are worth a thread */

static struct {
	struct poller *poller;
	atomic_int closed[3], told[3]; /* closed: the errno of the failed write */
	struct output_sink sink;
	int firsts;	      /* how often output_first was called */
	pthread_mutex_t lock; /* one consumer at a time */
} output = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void write_out(uint32_t stream, const uint8_t *bytes, size_t size)
{
	while (size > 0 && !output.closed[stream] && !output.sink.mute) {
		ssize_t n = write((int)stream, bytes, size);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			struct timespec delay = {0, 1000000};
			nanosleep(&delay, NULL);
			continue;
		}
		if (n < 0) {
			output.closed[stream] = errno;
			return;
		}
		bytes += n;
		size -= (size_t)n;
	}
}

/* Takes what is there; true if there was anything. */
static bool empty_ring(void *arg)
{
	static uint8_t copy[RING_RECORD_MAX];
	uint32_t size;
	bool bad = false, any = false;
	const struct ring_record *rec;

	(void)arg;
	pthread_mutex_lock(&output.lock);
	uint64_t head = OUTPUT_RING->head;
	while ((rec = ring_peek(OUTPUT_RING, RING_OUTPUT_SIZE, head, &size, &head, &bad)) != NULL) {
		uint32_t stream = rec->what & ~STREAM_COPY;
		bool written = rec->what & STREAM_COPY && !HEAD->config.replay;

		if (size <= sizeof(copy) && (stream == 1 || stream == 2)) {
			memcpy(copy, rec->bytes, size);
			if (output.sink.write != NULL)
				output.sink.write(output.sink.data, stream, copy, size);
			if (!written)
				write_out(stream, copy, size);
		}
		__atomic_store_n(&OUTPUT_RING->head, head, __ATOMIC_RELEASE);
		any = true;
	}
	pthread_mutex_unlock(&output.lock);
	return any;
}

int output_start(const struct output_sink *sink, const cpu_set_t *cpus)
{
	output.sink = *sink;
	output.firsts = 0;
	return poller_create(OUTPUT_RING, empty_ring, NULL, cpus, &output.poller);
}

/* Whether so many bytes can be written there at once, so that nobody waits for a reader. */
static bool takes(int fd, uint64_t size)
{
	struct pollfd p = {.fd = fd, .events = POLLOUT};
	struct stat st;

	if (fstat(fd, &st) < 0)
		return false;
	if (S_ISREG(st.st_mode) || (S_ISCHR(st.st_mode) && st.st_rdev == makedev(1, 3)))
		return true;
	return size <= PIPE_BUF && poll(&p, 1, 0) == 1 && p.revents == POLLOUT;
}

void output_first(struct container *c)
{
	uint64_t size = OUTPUT_RING->tail - OUTPUT_RING->head;
	bool direct = output.firsts < FIRSTS_MAX && takes(1, size) && takes(2, size);

	output.firsts++;
	/* Without a thread it is for us in any case. */
	if (direct || poller_start(output.poller) < 0)
		output_drain(c);
}

void output_drain(struct container *c)
{
	(void)c;
	empty_ring(NULL);
}

void output_stop(struct container *c)
{
	output_drain(c);
	poller_destroy(output.poller);
	output.poller = NULL;
	output_drain(c);
}

int output_closed(uint32_t stream)
{
	if (stream > 2 || !output.closed[stream] || output.told[stream])
		return 0;
	output.told[stream] = 1;
	return output.closed[stream];
}

int output_error(uint32_t *ret_stream)
{
	for (uint32_t stream = 1; stream <= 2; stream++) {
		int error = output.closed[stream];

		/* What the program has been told is its own affair. */
		if (error && error != EPIPE && !output.told[stream]) {
			*ret_stream = stream;
			return -error;
		}
	}
	return 0;
}
