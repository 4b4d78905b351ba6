/*
 * See source_local.h.  Stamps are virtual (the container's own time) so that the same inputs give
 * the same run however slowly they arrive; real time decides only whether a deadline passes first.
 * Seeds are SHA-256 of the configured seed and the epoch's number.
 */
#include "source_local.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../base/sha256.h"
#include "output.h"

/* The only state outside the object: what signal handlers may touch. */
#define SIGNALS_MAX 32
/*
 * A second signal, or so long without an answer, ends the container at its next event; a third, or
 * so long without an event, anywhere.
 */
#define ANSWER_SECONDS 5
#define EVENT_SECONDS  1
#define TOLD_TO_END    2
#define TOLD_AGAIN     3
static volatile sig_atomic_t pending[SIGNALS_MAX], any_pending, signals_seen;
static volatile uint32_t answers_before;
static volatile uint32_t *volatile early_epoch; /* of the region while there is one, or NULL */

/* The container has acted on a signal since the first that still counts came: run a handler, or
 * what the kernel does by default.  Ignoring and blocking are no answers; in a replay nobody is
 * asked. */
static bool answered(void)
{
	return early_epoch != NULL && !HEAD->config.replay && HEAD->answers != answers_before;
}

static void on_signal(int sig)
{
	volatile uint32_t *early = early_epoch;

	pending[sig] = 1;
	any_pending = 1;
	if (answered())
		signals_seen = 0;
	if (signals_seen == 0) {
		answers_before = early != NULL ? HEAD->answers : 0;
		alarm(ANSWER_SECONDS);
	}
	if (++signals_seen == TOLD_TO_END)
		alarm(EVENT_SECONDS);
	if (early != NULL)
		*early = 1;
}

static void on_alarm(int sig)
{
	volatile uint32_t *early = early_epoch;

	(void)sig;
	if (answered()) {
		signals_seen = 0;
		return;
	}
	signals_seen = signals_seen < TOLD_TO_END ? TOLD_TO_END : TOLD_AGAIN;
	if (signals_seen == TOLD_TO_END)
		alarm(EVENT_SECONDS);
	if (early != NULL)
		*early = 1;
}

static bool told_to_end(void)
{
	return signals_seen >= TOLD_TO_END;
}

/* A replay has no epochs of ours to end at. */
static bool interrupted(struct epoch_source *base)
{
	(void)base;
	return signals_seen >= (HEAD->config.replay ? TOLD_TO_END : TOLD_AGAIN);
}

static void seed_of(uint64_t number, uint8_t out[32])
{
	uint8_t text[40];

	memcpy(text, HEAD->config.seed, 32);
	memcpy(text + 32, &number, 8);
	sha256_of(text, sizeof(text), out);
}

static uint8_t *input_add(uint32_t kind, uint32_t channel, uint32_t size)
{
	struct epoch_input *in = (struct epoch_input *)(INBOX->bytes + INBOX->used_bytes);

	*in = (struct epoch_input){channel, kind, size, 0};
	INBOX->used_bytes += (uint32_t)sizeof(*in) + ((size + 7) & ~7u);
	INBOX->count++;
	return in->bytes;
}

static void take_signals(void)
{
	HEAD->early_epoch = 0;
	if (!any_pending)
		return;
	any_pending = 0;
	for (int sig = 1; sig < SIGNALS_MAX; sig++) {
		if (pending[sig])
			input_add(INPUT_SIGNAL, (uint32_t)sig, 0);
		pending[sig] = 0;
	}
}

static void take_closed(void)
{
	for (uint32_t stream = 1; stream <= 2; stream++) {
		uint32_t error = (uint32_t)output_closed(stream);

		if (error != 0)
			memcpy(input_add(INPUT_CLOSE, stream, sizeof(error)), &error,
			       sizeof(error));
	}
}

static int64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static bool is_disturbed(void)
{
	return any_pending || told_to_end();
}

#define STDIN_CHUNK 0x40000u

/*
 * Reads until the reader has what it asked for (a pipe: so that chunking does not show), a line
 * (a terminal), the end, a signal, or the deadline in real time.
 */
static int read_stdin(struct source_local *s, uint64_t want, uint64_t timeout_ns)
{
	static uint8_t bytes[STDIN_CHUNK];
	bool tty = HEAD->config.stdio[0].kind == STDIO_TTY;
	int64_t until =
		timeout_ns > INT64_MAX / 2 ? INT64_MAX : monotonic_ns() + (int64_t)timeout_ns;
	size_t have = 0;

	if (want > sizeof(bytes))
		want = sizeof(bytes);
	if (want == 0)
		want = 1;
	while (have < want && !is_disturbed()) {
		struct pollfd p = {0, POLLIN, 0};
		int64_t left = until - monotonic_ns();

		if (left <= 0)
			break;
		int ms = until == INT64_MAX ? -1 : (int)(left / 1000000 + 1);
		if (poll(&p, 1, ms) <= 0)
			continue;
		ssize_t n = read(0, bytes + have, want - have);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			s->stdin_open = false;
			break;
		}
		have += (size_t)n;
		if (tty)
			break;
	}
	if (have > 0)
		memcpy(input_add(INPUT_DATA, 0, (uint32_t)have), bytes, have);
	if (!s->stdin_open)
		input_add(INPUT_EOF, 0, 0);
	return 0;
}

static void wait_for_signal(void)
{
	while (!is_disturbed()) {
		struct pollfd none = {-1, 0, 0};
		poll(&none, 1, 50);
	}
}

static int next(struct epoch_source *base, struct container *c, uint32_t reason)
{
	struct source_local *s = (struct source_local *)base;
	struct region_head *h = HEAD;
	const struct epoch_request request = h->request;
	uint64_t timeout = UINT64_MAX;

	if (told_to_end())
		return -EINTR;
	INBOX->count = INBOX->used_bytes = 0;
	if (reason == EPOCH_QUIESCENT) {
		if (request.deadline_ns != UINT64_MAX)
			timeout = request.deadline_ns > h->now_ns ? request.deadline_ns - h->now_ns
								  : 0;
		if (request.wants_stdin && s->stdin_open)
			read_stdin(s, request.stdin_want_bytes, timeout);
		else if (timeout == UINT64_MAX)
			wait_for_signal();
		if (told_to_end())
			return -EINTR;
	}
	take_signals();
	/* Who writes without end hears of it at the next epoch. */
	output_drain(c);
	take_closed();
	h->epoch_number++;
	h->epoch_time_ns = reason == EPOCH_START ? h->config.start_time_ns : h->now_ns;
	if (reason == EPOCH_QUIESCENT && INBOX->count == 0 && timeout != UINT64_MAX)
		h->epoch_time_ns = request.deadline_ns;
	seed_of(h->epoch_number, h->epoch_seed);
	h->chain_count = 0;
	return 0;
}

void source_local_init(struct source_local *source)
{
	static const int forwarded[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = on_signal};

	*source = (struct source_local){{next, interrupted}, true};
	early_epoch = &HEAD->early_epoch;
	for (size_t i = 0; i < sizeof(forwarded) / sizeof(*forwarded); i++) {
		struct sigaction before;

		/* nohup, or a shell that put us in the background: not meant for us. */
		sigaction(forwarded[i], NULL, &before);
		if (before.sa_handler != SIG_IGN)
			sigaction(forwarded[i], &action, NULL);
	}
	action.sa_handler = on_alarm;
	sigaction(SIGALRM, &action, NULL);
	action.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &action, NULL);
}

void source_local_finish(void)
{
	early_epoch = NULL;
}
