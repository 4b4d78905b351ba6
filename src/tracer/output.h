/* What the container writes to its stdout and stderr, on its way to ours. */
#ifndef SHADOW_TRACER_OUTPUT_H
#define SHADOW_TRACER_OUTPUT_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct container;

/* Where output goes besides the descriptors: hashing, the log; data and size as written. */
struct output_sink {
	void *data;
	void (*write)(void *data, uint32_t stream, const void *bytes, size_t size);
	bool mute; /* nothing goes to the descriptors */
};

/*
 * From here on the output ring is emptied into descriptors 1 and 2, if need be by a thread on
 * `cpus`.  A reader that is gone (EPIPE, and other errors) is remembered: see output_closed.
 * -ENOMEM.
 */
int output_start(const struct output_sink *sink, const cpu_set_t *cpus);

/* There is something, and no thread to write it: writes it if it is the first and that takes no
 * waiting, else starts the thread.  Many programs write once. */
void output_first(struct container *c);

/* Waits until everything in the ring is written. */
void output_drain(struct container *c);

/* Drains and ends the thread. */
void output_stop(struct container *c);

/* The errno of writing to the stream (1 or 2) if that has failed since the last time it was asked,
 * or 0; its reader has gone, mostly. */
int output_closed(uint32_t stream);

/*
 * 0, or the negative errno by which output was lost, of *ret_stream: a full disk, not a reader that
 * is gone.  To the program such a stream is closed, so that it need not run on for nothing.
 */
int output_error(uint32_t *ret_stream);

#endif
