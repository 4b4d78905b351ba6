/* From the capture ring to the image: the consumer of CAPTURE_RING. */
#ifndef SHADOW_TRACER_CAPTURE_FEED_H
#define SHADOW_TRACER_CAPTURE_FEED_H

#include "../log/image_capture.h"
#include "written.h"

struct capture_feed;

/* Starts a thread, on `cpus`, that hands what the shim announces to `capture`, and what comes out
 * of the run to `written`.  0 or a negative errno. */
int capture_feed_create(struct image_capture *capture, struct written *written,
			const cpu_set_t *cpus, struct capture_feed **ret_feed);

/* Takes what is in the ring now, then waits until all of it is captured. */
void capture_feed_sync(struct capture_feed *feed, uint32_t how);

/* The container is stopped anyway: has what it announced so far taken, if there is anything. */
void capture_feed_poke(struct capture_feed *feed);

/* The container has ended: takes what is left; nothing is submitted any more when this returns. */
void capture_feed_end(struct capture_feed *feed);

/* Waits for the thread too. */
void capture_feed_destroy(struct capture_feed *feed);

/* The first error of submitting, or 0. */
int capture_feed_error(const struct capture_feed *feed);

/* When the container has ended: what it may have changed itself. */
struct image_recheck capture_feed_recheck(void);

#endif
