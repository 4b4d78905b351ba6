/*
 * The rings between the shim and the tracer: every record that is published comes out once, whole
 * and in order, for any sizes and however far behind the consumer is; what is reserved or held is
 * not seen, and a ring is empty to the one exactly when nothing is left in it to the other.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "check.h"
#include "shim/rings.h"

#define SIZE	  RING_CAPTURE_SIZE /* the smallest of the three */
#define RECORDS	  200000u
#define BYTES_MAX (RING_RECORD_MAX - sizeof(struct ring_record))

/* Of the producer and the consumer of one run. */
struct run {
	struct ring *ring;
	uint64_t random;
	uint32_t put, taken, published;
	uint32_t size_max;
};

static uint64_t draw(uint64_t *state, uint64_t below)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (*state >> 33) % below;
}

/* A function of the record's number, so that the consumer knows it: mostly short. */
static uint32_t size_of(const struct run *run, uint32_t number)
{
	uint64_t state = number * 0x9e3779b97f4a7c15u + run->size_max;
	uint64_t rare = draw(&state, 64);

	return (uint32_t)draw(&state, rare == 0 ? run->size_max + 1 : 1 + run->size_max / 32);
}

static void fill(struct ring_record *rec, uint32_t number)
{
	rec->what = number;
	memset(rec->bytes, (int)(number % 251), rec->size);
}

static bool is_whole(const struct ring_record *rec, uint32_t size, const struct run *run)
{
	if (rec->what != run->taken || size != size_of(run, run->taken))
		return false;
	for (uint32_t i = 0; i < size; i++) {
		if (rec->bytes[i] != run->taken % 251)
			return false;
	}
	return true;
}

/* At most so many; false if there was something wrong. */
static bool take(struct run *run, uint64_t most)
{
	struct ring *r = run->ring;
	uint64_t head = r->head;
	uint32_t size;
	bool bad = false;

	for (; most > 0; most--) {
		const struct ring_record *rec = ring_peek(r, SIZE, head, &size, &head, &bad);
		if (rec == NULL)
			return !bad && ring_is_empty(r);
		if (!is_whole(rec, size, run))
			return false;
		run->taken++;
		__atomic_store_n(&r->head, head, __ATOMIC_RELEASE);
	}
	return true;
}

/* The next record, if there is room; sometimes it is held back, as a look is (capture.c). */
static bool put(struct run *run)
{
	struct ring *r = run->ring;

	ring_publish_held(r);
	run->published = run->put;
	struct ring_record *rec = ring_reserve(r, SIZE, size_of(run, run->put));
	if (rec == NULL)
		return false;
	CHECK((uint8_t *)rec + ring_need(rec->size) <= r->bytes + SIZE);
	fill(rec, run->put);
	/* The consumer may look at any time. */
	if (draw(&run->random, 16) == 0)
		CHECK(take(run, 1 + draw(&run->random, 2)));
	run->put++;
	if (draw(&run->random, 3) == 0) {
		ring_hold(r, rec);
	} else {
		ring_publish(r, rec);
		run->published = run->put;
	}
	return true;
}

static struct ring *ring_new(void)
{
	struct ring *r = aligned_alloc(4096, sizeof(*r) + SIZE + 4096 - sizeof(*r) % 4096);

	if (r == NULL)
		abort();
	memset(r, 0, sizeof(*r));
	return r;
}

/* One thread: the consumer looks once in `slow` times, for as many as that. */
static void test_model(uint32_t size_max, uint64_t slow)
{
	struct run run = {.ring = ring_new(), .random = slow, .size_max = size_max};
	uint32_t full = 0;

	while (run.put < RECORDS / 4 && failures == 0) {
		if (!put(&run)) {
			full++;
			CHECK(run.taken < run.published);
			CHECK(take(&run, 1 + draw(&run.random, slow)));
		}
		if (draw(&run.random, slow) == 0)
			CHECK(take(&run, draw(&run.random, 2 * slow)));
		CHECK(run.taken <= run.published);
	}
	ring_publish_held(run.ring);
	CHECK(take(&run, RECORDS));
	CHECK(run.taken == run.put && ring_is_empty(run.ring));
	/* Who is far behind meets a full ring. */
	CHECK(size_max < 300 || slow < 100000 || full > 0);
	free(run.ring);
}

/* A consumer that keeps up sees the same few pages over and over. */
static void test_lap(void)
{
	struct run run = {.ring = ring_new(), .size_max = 4096};
	struct ring *r = run.ring;

	for (uint32_t i = 0; i < RECORDS / 4 && failures == 0; i++) {
		struct ring_record *rec = ring_reserve(r, SIZE, size_of(&run, i));
		fill(rec, i);
		ring_publish(r, rec);
		CHECK((uint8_t *)rec < r->bytes + RING_LAP + 2 * 4096);
		CHECK(take(&run, 2));
	}
	free(r);
}

static void *consumer(void *arg)
{
	struct run *run = arg;
	bool good = true;

	while (run->taken < RECORDS && good) {
		bool bad = false;
		uint32_t size;
		uint64_t next;
		if (ring_peek(run->ring, SIZE, run->ring->head, &size, &next, &bad) != NULL)
			good = take(run, 1);
		good = good && !bad;
	}
	return good ? run : NULL;
}

/* Two threads, as it is. */
static void test_threads(void)
{
	struct run producer = {.ring = ring_new(), .size_max = BYTES_MAX / 8};
	struct run other = producer;
	pthread_t thread;
	void *good = NULL;

	CHECK(pthread_create(&thread, NULL, consumer, &other) == 0);
	while (producer.put < RECORDS && pthread_tryjoin_np(thread, &good) != 0) {
		struct ring_record *rec =
			ring_reserve(producer.ring, SIZE, size_of(&producer, producer.put));
		if (rec == NULL)
			continue;
		fill(rec, producer.put++);
		ring_publish(producer.ring, rec);
	}
	if (producer.put == RECORDS)
		pthread_join(thread, &good);
	CHECK(good == &other);
	free(producer.ring);
}

int main(void)
{
	static const uint32_t sizes[] = {8, 300, 4096, BYTES_MAX};
	static const uint64_t slow[] = {1, 3, 50, 1000, 1000000};

	for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		for (size_t k = 0; k < sizeof(slow) / sizeof(*slow); k++)
			test_model(sizes[i], slow[k]);
	}
	test_lap();
	test_threads();
	return failures != 0;
}
