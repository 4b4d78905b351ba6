/*
 * What all sessions have in common; see session.h.  Owns, for its duration, the container, the
 * output thread, the hashes of the output and, as the case may be, the recorder or the replay's
 * root.
 *
 *	run, record: prepare -> configure -> launch -> local epochs -> end -> finish the log
 *	replay:      configure from the header -> unpack the image -> epochs of the log -> compare
 *
 * A container occupies fixed addresses, so there is one session at a time in a process.
 */
#include "session_parts.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "caller.h"
#include "cpu_baseline.h"
#include "output.h"
#include "progress.h"

void session_say(const struct session *s, const char *format, ...)
{
	va_list ap;

	progress_clear();
	fprintf(stderr, "%s: ", s->options->tool);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

int session_told(const struct session *s, int error)
{
	if (error < 0)
		session_say(s, "%s", s->container.message);
	return error;
}

/* ---- what the container tells while it runs ---- */

static void on_output(void *data, uint32_t stream, const void *bytes, size_t size)
{
	struct stream_hash *hash = &((struct session *)data)->streams[stream - 1];

	sha256_update(&hash->sha, size, bytes);
	hash->size_bytes += size;
}

static void on_event(void *data, const void *record, size_t size)
{
	struct session *s = data;

	if (s->recorder != NULL)
		recorder_event(s->recorder, record, size);
	if (s->event_fn != NULL)
		s->event_fn(s->event_arg, record, size);
	if (s->options->probe != NULL && !s->options->probe->event(s->options->probe, record, size))
		s->container.enough = true;
}

static void on_stopped(void *data, struct container *c, pid_t tid, bool asked)
{
	struct session *s = data;
	const struct session_probe *probe = s->options->probe;

	(void)c;
	if (probe != NULL)
		probe->stopped(probe, tid, asked);
}

static void on_events_drain(void *data, struct container *c)
{
	(void)c;
	events_drain(on_event, data);
}

/* Once, when the log cannot be written any more: the container ends, or goes on without it. */
static void log_check(struct session *s, struct container *c)
{
	int error = s->recorder != NULL ? recorder_error(s->recorder) : 0;

	if (error == 0 || s->log_lost)
		return;
	s->log_lost = true;
	session_say(s, "cannot write the log %s: %s; it ends at event %" PRIu64 "%s",
		    s->options->log_path, strerror(-error), recorder_last_event(s->recorder),
		    s->options->log_optional ? ", the program goes on" : "");
	HEAD->config.capture = 0;
	if (s->options->log_optional || c->ended)
		return;
	c->ended = true;
	c->end = CONTAINER_STOPPED;
	snprintf(c->message, sizeof(c->message),
		 "the program was ended, as its log is incomplete (--on-log-error=continue lets it "
		 "go on)");
}

static void on_epoch_end(void *data, struct container *c)
{
	struct session *s = data;

	on_events_drain(data, c);
	if (s->recorder != NULL)
		recorder_epoch_end(s->recorder);
}

static void on_epoch_begin(void *data, struct container *c)
{
	struct session *s = data;

	if (s->recorder != NULL) {
		/* The log never runs ahead of what the user has seen. */
		output_drain(c);
		recorder_epoch_begin(s->recorder);
		log_check(s, c);
	}
	if (!s->progress)
		return;
	if (s->reader != NULL)
		progress_show("%s: epoch %" PRIu64 " of %" PRIu64, s->options->tool,
			      HEAD->epoch_number, evlog_reader_epoch_count(s->reader));
	else
		progress_show("%s: %" PRIu64 " events", s->options->tool, HEAD->events);
}

static void on_capture_sync(void *data, uint32_t how)
{
	struct session *s = data;

	if (s->recorder != NULL) {
		recorder_capture_sync(s->recorder, how);
		log_check(s, &s->container);
	}
}

/* What a short program uses is captured while it runs, not after its end. */
static void on_each_stop(void *data)
{
	struct session *s = data;

	if (s->recorder != NULL)
		recorder_stopped(s->recorder);
}

static void on_deadlock(void *data, struct container *c)
{
	struct session *s = data;

	(void)c;
	if (!s->options->quiet)
		session_say(s, "all tasks wait, and only a signal from outside can change that");
}

static void on_long_turn(void *data, const char *text)
{
	struct session *s = data;

	if (!s->options->quiet)
		session_say(s, "%s", text);
}

/* ---- begin and end ---- */

uint64_t session_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

int session_begin(struct session *s, const struct session_options *options,
		  struct session_result *result)
{
	memset(s, 0, sizeof(*s));
	memset(result, 0, sizeof(*result));
	s->phase_begun = session_now_ns();
	result->status = OUR_FAILURE;
	s->options = options;
	s->result = result;
	s->root.fd = -1;
	s->progress = !options->quiet && progress_wanted();
	caller_fill_stdio();
	/* A limit of file sizes is told as an error. */
	signal(SIGXFSZ, SIG_IGN);
	for (int i = 0; i < 2; i++)
		sha256_init(&s->streams[i].sha);
	int error = session_told(s, container_create(&s->container));
	s->created = error == 0;
	s->container.cwd = options->cwd;
	s->container.observer = (struct container_observer){
		.data = s,
		.epoch_end = on_epoch_end,
		.epoch_begin = on_epoch_begin,
		.capture_sync = on_capture_sync,
		.events_drain = on_events_drain,
		.stopped = on_stopped,
		.deadlock = on_deadlock,
		.long_turn = on_long_turn,
		.each_stop = on_each_stop,
	};
	return error;
}

/* The phase ends now. */
static void phase_end(struct session *s, enum session_phase phase)
{
	uint64_t now = session_now_ns();

	s->result->phase_ns[phase] += now - s->phase_begun;
	s->phase_begun = now;
}

void session_end(struct session *s)
{
	phase_end(s, PHASE_FINISH);
	progress_clear();
	recorder_destroy(s->recorder);
	source_local_finish();
	if (s->created)
		container_destroy(&s->container);
	uint64_t begun = session_now_ns();
	replay_root_remove(&s->root);
	s->result->image_ns += session_now_ns() - begun;
	phase_end(s, PHASE_END);
}

void session_configure(struct session *s)
{
	struct region_config *c = &HEAD->config;

	c->perturb = s->options->perturb;
	s->container.perturb = s->options->perturb;
	HEAD->perturb_state = s->options->perturb;
	c->trace_events = s->options->trace_events;
	if (s->options->probe != NULL) {
		HEAD->probe = s->options->probe->what;
		c->trace_events = c->trace_events || HEAD->probe.trace_from == 1;
	}
	strcpy(c->hostname, "shadow");
	HEAD->now_ns = c->start_time_ns;
	HEAD->next_timer_ns = UINT64_MAX;
}

int session_prepare(struct session *s)
{
	caller_processors(&s->container.all, &s->container.beside);
	return session_told(s, container_prepare(&s->container));
}

/* The threads of ours, while the first task executes the shim. */
static int start_threads(struct session *s)
{
	struct output_sink sink = {s, on_output, s->options->mute};
	int error = output_start(&sink, &s->container.others);

	if (error == 0 && s->recorder != NULL)
		error = recorder_begin(s->recorder, &s->container.others);
	if (error < 0)
		session_say(s, "cannot start a thread%s: %s", error == -EAGAIN ? PROCESS_LIMIT : "",
			    strerror(-error));
	return error;
}

static int launch(struct session *s)
{
	int error = container_made(&s->container);

	phase_end(s, PHASE_PREPARE);
	if (error == 0)
		error = container_launch(&s->container);
	if (session_told(s, error) == 0)
		error = start_threads(s);
	phase_end(s, PHASE_LAUNCH);
	return error;
}

int session_execute(struct session *s)
{
	struct container *c = &s->container;
	int error = launch(s);

	if (error == 0) {
		/* With the container, which stops for us. */
		sched_setaffinity(0, sizeof(c->one), &c->one);
		container_run(c);
	}
	phase_end(s, PHASE_RUN);
	/* The kernel takes it down while we finish: beside us, but not where a recorder's threads
	 * are busy. */
	bool busy = error == 0 && s->recorder != NULL && !recorder_is_idle(s->recorder);
	container_end_at(c, busy ? &c->all : &c->others);
	container_kill(c);
	if (s->recorder == NULL)
		sched_setaffinity(0, sizeof(c->all), &c->all);
	output_stop(c);
	on_events_drain(s, c);
	return error;
}

void session_take_figures(struct session *s)
{
	struct session_result *r = s->result;

	r->digest = HEAD->digest;
	r->events = HEAD->events;
	r->trapped = HEAD->trapped_events;
	memcpy(r->call_count, HEAD->call_count, sizeof(r->call_count));
	memcpy(r->call_trapped, HEAD->call_trapped, sizeof(r->call_trapped));
	memcpy(r->refused, HEAD->refused_count, sizeof(r->refused));
	for (int i = 0; i < 2; i++)
		sha256_digest(&s->streams[i].sha, sizeof(r->output_hash[i]), r->output_hash[i]);
}

void session_check_outputs(struct session *s)
{
	uint32_t stream;
	int error = output_error(&stream);

	if (error == 0)
		return;
	session_say(s, "cannot write to %s: %s", stream == 1 ? "stdout" : "stderr",
		    strerror(-error));
	s->result->status = OUR_FAILURE;
}

int session_status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static int start_failure_status(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG
		       ? NOT_FOUND
		       : NOT_EXECUTABLE;
}

bool session_end_kind(const struct session *s, enum evlog_end_kind *ret_kind)
{
	bool early = HEAD->request.reason == EPOCH_EARLY;
	const struct {
		enum container_end end;
		enum evlog_end_kind kind;
	} ends[] = {
		{CONTAINER_ENDED, EVLOG_END_EXIT},
		{CONTAINER_DEADLOCK, EVLOG_END_DEADLOCK},
		{CONTAINER_REFUSED, EVLOG_END_REFUSED},
		{CONTAINER_TOLD, early ? EVLOG_END_OUTSIDE_EARLY : EVLOG_END_OUTSIDE},
	};

	for (size_t i = 0; i < sizeof(ends) / sizeof(*ends) && s->container.ended; i++) {
		if (ends[i].end == s->container.end) {
			*ret_kind = ends[i].kind;
			return true;
		}
	}
	return false;
}

int session_end_wait_status(enum evlog_end_kind kind)
{
	return kind == EVLOG_END_EXIT ? HEAD->exit_status : OUR_FAILURE << 8;
}

int session_end_status(struct session *s)
{
	struct container *c = &s->container;

	if (c->end == CONTAINER_ENDED)
		return session_status_of(HEAD->exit_status);
	if (c->end == CONTAINER_NO_START) {
		session_say(s, "%s: %s", s->options->argv[0], c->message);
		return start_failure_status((int)HEAD->first_error);
	}
	session_say(s, "%s", c->message[0] != '\0' ? c->message : "ended in an unknown way");
	return OUR_FAILURE;
}

int session_check_baseline(const struct session *s)
{
	char lacks[512];

	if (!cpu_baseline_missing(&HEAD->config.cpu, lacks, sizeof(lacks)))
		return 0;
	session_say(s, "this machine lacks what the processor baseline %s %s: %s",
		    cpu_baseline_name(&HEAD->config.cpu),
		    s->reader != NULL ? "of the log needs" : "needs; choose a lower one with --cpu",
		    lacks);
	return -ENOTSUP;
}

/* Which has ended, and the region is not needed any more. */
void session_take_down(void *arg)
{
	struct session *s = arg;

	/* The handlers of signals do not look into the region any more. */
	source_local_finish();
	container_destroy(&s->container);
	s->created = false;
}
