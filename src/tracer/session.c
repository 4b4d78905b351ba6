/*
 * One run of a container; see session.h.  Owns, for its duration, the container, the output thread,
 * the hashes of the output and, as the case may be, the recorder or the replay's root.
 *
 *	run, record: prepare -> configure -> launch -> local epochs -> end -> finish the log
 *	replay:      configure from the header -> unpack the image -> epochs of the log -> compare
 *
 * A container occupies fixed addresses, so there is one session at a time in a process.
 */
#include "session.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <malloc.h>
#include <nettle/sha2.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "caller.h"
#include "config_pairs.h"
#include "cpu_baseline.h"
#include "output.h"
#include "patcher.h"
#include "progress.h"
#include "recorder.h"
#include "replay_outputs.h"
#include "replay_root.h"
#include "source_local.h"
#include "source_log.h"
#include "stats.h"

#define OUR_FAILURE    125
#define NOT_EXECUTABLE 126
#define NOT_FOUND      127
#define PROGRAM_MAX    8192
#define PROCESS_LIMIT  " (is the limit of processes reached?)"

struct stream_hash {
	struct sha256_ctx sha;
	uint64_t size_bytes;
};

struct session {
	const struct session_options *options;
	struct session_result *result;
	struct container container;
	bool created;		       /* the container is there */
	struct stream_hash streams[2]; /* stdout, stderr */
	struct recorder *recorder;     /* record */
	struct evlog_reader *reader;   /* replay */
	struct replay_root root;
	struct source_local local;
	struct source_log from_log;
	events_fn event_fn; /* or NULL */
	void *event_arg;
	bool progress;
	bool log_lost; /* the log could not be written on; said */
	uint64_t phase_begun;
	cpu_set_t one, others; /* processors: see caller_processors */
};

static void say(const struct session *s, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static void say(const struct session *s, const char *format, ...)
{
	va_list ap;

	progress_clear();
	fprintf(stderr, "%s: ", s->options->tool);
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fputc('\n', stderr);
}

/* The result of a step of the container's, which says itself what went wrong. */
static int told(const struct session *s, int error)
{
	if (error < 0)
		say(s, "%s", s->container.message);
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
	say(s, "cannot write the log %s: %s; it ends at event %" PRIu64 "%s", s->options->log_path,
	    strerror(-error), recorder_last_event(s->recorder),
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
		say(s, "all tasks wait, and only a signal from outside can change that");
}

static void on_long_turn(void *data, const char *text)
{
	struct session *s = data;

	if (!s->options->quiet)
		say(s, "%s", text);
}

/* A yield point that was never placed is most often a slip of the pen. */
static void check_yields(const struct session *s)
{
	const struct region_yield *y = patcher_yield_in(s->container.patcher, YIELD_NOT_MAPPED);

	if (y != NULL && !s->options->quiet && s->container.end == CONTAINER_ENDED)
		say(s, "--yield-at %s+0x%" PRIx64 ": the program has executed no such object",
		    y->object, y->address);
}

/* ---- begin and end ---- */

static uint64_t monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int session_begin(struct session *s, const struct session_options *options,
			 struct session_result *result)
{
	memset(s, 0, sizeof(*s));
	memset(result, 0, sizeof(*result));
	s->phase_begun = monotonic_ns();
	result->status = OUR_FAILURE;
	s->options = options;
	s->result = result;
	s->root.fd = -1;
	s->progress = !options->quiet && progress_wanted();
	caller_fill_stdio();
	/* A limit of file sizes is told as an error. */
	signal(SIGXFSZ, SIG_IGN);
	caller_processors(&s->one, &s->others);
	for (int i = 0; i < 2; i++)
		sha256_init(&s->streams[i].sha);
	int error = told(s, container_create(&s->container));
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
	uint64_t now = monotonic_ns();

	s->result->phase_ns[phase] += now - s->phase_begun;
	s->phase_begun = now;
}

static void session_end(struct session *s)
{
	phase_end(s, PHASE_FINISH);
	progress_clear();
	recorder_destroy(s->recorder);
	source_local_finish();
	if (s->created)
		container_destroy(&s->container);
	uint64_t begun = monotonic_ns();
	replay_root_remove(&s->root);
	s->result->image_ns += monotonic_ns() - begun;
	phase_end(s, PHASE_END);
}

/* What does not belong to the recorded configuration, or follows from it. */
static void configure_rest(struct session *s)
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

/* Has the container made, beside what is still to be done before it runs. */
static int prepare(struct session *s)
{
	s->container.cpus = s->one;
	s->container.others = s->others;
	return told(s, container_prepare(&s->container));
}

/* Launches and runs; the container has ended when this returns.  0 or a negative errno. */
static int execute(struct session *s)
{
	struct output_sink sink = {s, on_output, s->options->mute};

	int error = output_start(&sink, &s->others);
	if (error < 0) {
		say(s, "cannot start a thread%s: %s", error == -EAGAIN ? PROCESS_LIMIT : "",
		    strerror(-error));
		return error;
	}
	/* With the container, which stops for us. */
	sched_setaffinity(0, sizeof(s->one), &s->one);
	error = container_made(&s->container);
	phase_end(s, PHASE_PREPARE);
	if (error == 0 && s->recorder != NULL)
		recorder_begin(s->recorder);
	if (error == 0)
		error = container_launch(&s->container);
	phase_end(s, PHASE_LAUNCH);
	if (told(s, error) == 0)
		container_run(&s->container);
	phase_end(s, PHASE_RUN);
	/* The kernel takes it down while we finish: on any processor, but beside a recorder's
	 * threads on this one. */
	container_kill(&s->container);
	if (s->recorder == NULL)
		container_anywhere(&s->container, 0);
	output_stop(&s->container);
	on_events_drain(s, &s->container);
	return error;
}

static void take_figures(struct session *s)
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

/* Bytes that reached nobody are a failure of ours, whatever the program made of it. */
static void check_outputs(struct session *s)
{
	uint32_t stream;
	int error = output_error(&stream);

	if (error == 0)
		return;
	say(s, "cannot write to %s: %s", stream == 1 ? "stdout" : "stderr", strerror(-error));
	s->result->status = OUR_FAILURE;
}

static int status_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static int start_failure_status(int error)
{
	return error == ENOENT || error == ENOTDIR || error == ELOOP || error == ENAMETOOLONG
		       ? NOT_FOUND
		       : NOT_EXECUTABLE;
}

/* What the log says of the end, if it is one that a replay comes to. */
static bool end_kind(const struct session *s, enum evlog_end_kind *ret_kind)
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

/* The status of such an end, as wait(2) gives it. */
static int end_wait_status(enum evlog_end_kind kind)
{
	return kind == EVLOG_END_EXIT ? HEAD->exit_status : OUR_FAILURE << 8;
}

static int end_status(struct session *s)
{
	struct container *c = &s->container;

	if (c->end == CONTAINER_ENDED)
		return status_of(HEAD->exit_status);
	if (c->end == CONTAINER_NO_START) {
		say(s, "%s: %s", s->options->argv[0], c->message);
		return start_failure_status((int)HEAD->first_error);
	}
	say(s, "%s", c->message[0] != '\0' ? c->message : "ended in an unknown way");
	return OUR_FAILURE;
}

/* ---- run and record ---- */

/* PROG by PATH, as execvp: the first executable file of that name, else NULL. */
static const char *find_program(const char *name, char *buf, size_t size)
{
	const char *path = getenv("PATH");
	struct stat st;

	if (strchr(name, '/') != NULL)
		return name;
	if (path == NULL)
		path = "/bin:/usr/bin";
	while (*path != '\0') {
		size_t n = strcspn(path, ":");

		snprintf(buf, size, "%.*s%s%s", (int)n, path, n != 0 ? "/" : "", name);
		if (stat(buf, &st) == 0 && S_ISREG(st.st_mode) && access(buf, X_OK) == 0)
			return buf;
		path += n + (path[n] == ':');
	}
	return NULL;
}

static void configure(struct session *s)
{
	const struct session_options *o = s->options;
	struct region_config *c = &HEAD->config;

	c->time_step_ns = o->time_step_ns;
	c->slice_events = o->slice_events;
	c->epoch_events = o->epoch_events;
	c->cpus = o->cpus;
	c->memory_bytes = o->memory_bytes;
	c->start_time_ns = o->start_time_ns;
	c->yield_count = o->yield_count;
	memcpy(c->yields, o->yields, sizeof(c->yields));
	config_seed(o->seed, c->seed);
	/* The tool has looked at the name. */
	cpu_baseline_named(o->cpu, &c->cpu);
	caller_configure(c, o->no_files);
	configure_rest(s);
	for (int fd = 0; fd < 3; fd++) {
		if (c->stdio[fd].kind == STDIO_FILE)
			s->container.stdio_fd[fd] = fd;
	}
}

static int baseline_check(const struct session *s)
{
	char lacks[512];

	if (!cpu_baseline_missing(&HEAD->config.cpu, lacks, sizeof(lacks)))
		return 0;
	say(s, "this machine lacks what the processor baseline %s %s: %s",
	    cpu_baseline_name(&HEAD->config.cpu),
	    s->reader != NULL ? "of the log needs" : "needs; choose a lower one with --cpu", lacks);
	return -ENOTSUP;
}

static int record_start(struct session *s, const char *program)
{
	const struct session_options *o = s->options;
	struct recorder_options options = {o->log_path, o->argv, o->env,	o->cwd,
					   program,	o->seed, o->names_only, &s->others};

	if (o->log_path == NULL)
		return 0;
	int error = recorder_create(&options, &s->recorder);
	if (error == -EEXIST)
		say(s, "cannot write the log %s: it is no regular file", o->log_path);
	else if (error == -EAGAIN)
		say(s, "cannot start a thread" PROCESS_LIMIT ": %s", strerror(-error));
	else if (error < 0)
		say(s, "cannot write the log %s: %s", o->log_path, strerror(-error));
	return error;
}

/* Which has ended, and the region is not needed any more. */
static void take_down(void *arg)
{
	struct session *s = arg;

	/* The handlers of signals do not look into the region any more. */
	source_local_finish();
	container_destroy(&s->container);
	s->created = false;
}

/* The container is taken down while the end of the log is written.  The program can have renamed
 * another file over the log, which it does not see. */
static void record_finish(struct session *s, enum evlog_end_kind kind)
{
	struct session_result *r = s->result;
	struct recorder_output outputs[2] = {
		{"stdout", s->streams[0].size_bytes, {0}},
		{"stderr", s->streams[1].size_bytes, {0}},
	};
	const char *path;

	for (int i = 0; i < 2; i++)
		memcpy(outputs[i].hash, r->output_hash[i], sizeof(outputs[i].hash));
	recorder_look(s->recorder, end_wait_status(kind), kind, outputs);
	container_reap(&s->container);
	recorder_finish(s->recorder);
	take_down(s);
	int error = recorder_wait(s->recorder);
	if (error < 0 && !s->log_lost)
		say(s, "cannot finish the log %s: %s; it ends at event %" PRIu64,
		    s->options->log_path, strerror(-error), recorder_last_event(s->recorder));
	if (error < 0 && !s->options->log_optional)
		r->status = OUR_FAILURE;
	if (error == 0 && !recorder_log_is_at(s->recorder, s->options->log_path)) {
		say(s, "the log %s was removed or replaced while it was recorded",
		    s->options->log_path);
		r->status = OUR_FAILURE;
	}
	for (size_t i = 0; (path = recorder_changed_path(s->recorder, i)) != NULL; i++) {
		if (!s->options->quiet)
			say(s, "%s was changed by someone outside while it was recorded", path);
	}
	if (s->options->verbose)
		say(s, "%s: %" PRIu64 " bytes", s->options->log_path,
		    recorder_size_bytes(s->recorder));
}

/* A log of a program that never ran says nothing. */
static void record_end(struct session *s)
{
	enum evlog_end_kind kind;

	if (s->recorder == NULL)
		return;
	if (s->created && HEAD->events != 0 && end_kind(s, &kind))
		record_finish(s, kind);
	else if (s->container.end == CONTAINER_NO_START || !s->container.ended ||
		 (HEAD->events == 0 && !s->log_lost))
		unlink(s->options->log_path);
	else if (!s->log_lost)
		say(s, "the log %s ends at event %" PRIu64, s->options->log_path,
		    recorder_last_event(s->recorder));
}

static void run(struct session *s, const char *program)
{
	const struct session_options *o = s->options;

	if (prepare(s) < 0)
		return;
	configure(s);
	/* What nobody named is what the machine has. */
	if ((o->cpu != NULL && baseline_check(s) < 0) ||
	    told(s, container_mount(&s->container)) < 0)
		return;
	source_local_init(&s->local);
	s->container.source = &s->local.base;
	if (container_program(&s->container, program, o->argv, o->env) < 0) {
		say(s, "the arguments and the environment are too large");
		return;
	}
	if (record_start(s, program) < 0)
		return;
	if (execute(s) == 0) {
		s->result->status = end_status(s);
		take_figures(s);
		check_outputs(s);
		check_yields(s);
		if (!o->quiet)
			stats_print_refused(s->result, o->tool, stderr);
	}
	record_end(s);
}

/* Memory once taken stays: given back and taken anew, each page of it is cleared again. */
static void memory_stays(void)
{
	mallopt(M_MMAP_THRESHOLD, 8 << 20);
	mallopt(M_TRIM_THRESHOLD, 64 << 20);
	mallopt(M_TOP_PAD, 1 << 20);
}

void session_run(const struct session_options *options, struct session_result *ret_result)
{
	static struct session s;
	char buf[PROGRAM_MAX];
	const char *program = find_program(options->argv[0], buf, sizeof(buf));

	memory_stays();
	if (session_begin(&s, options, ret_result) == 0) {
		if (program != NULL) {
			run(&s, program);
		} else {
			say(&s, "%s: not found", options->argv[0]);
			ret_result->status = NOT_FOUND;
		}
	}
	session_end(&s);
}

/* ---- replay ---- */

static void say_not_rebuilt(const struct session *s, int error)
{
	const struct evlog_damage *d = evlog_reader_damage(s->reader);
	const char *why, *path = evlog_reader_differs(s->reader, &why);

	if (error == -ESTALE && path != NULL)
		say(s, "%s is not what was recorded, and the log holds no contents: %s", path, why);
	else
		say(s, "cannot rebuild the files of the log: %s%s",
		    error == -EBADMSG && d->what != NULL ? d->what : strerror(-error),
		    error == -ENOSPC  ? " (TMPDIR=FOLDER puts them elsewhere)"
		    : error == -EFBIG ? " (64 GiB are the limit)"
				      : "");
}

/* The container is made while the image is unpacked into its root. */
static int rebuild(struct session *s)
{
	int error = replay_root_make(s->options->cwd, &s->root);

	if (error < 0) {
		say_not_rebuilt(s, error);
		return error;
	}
	s->container.root = s->root.path;
	error = prepare(s);
	if (error == 0)
		error = told(s, container_mount(&s->container));
	if (error < 0)
		return error;
	uint64_t begun = monotonic_ns();
	error = replay_root_fill(s->reader, &s->root);
	s->result->image_ns = monotonic_ns() - begun;
	if (error < 0)
		say_not_rebuilt(s, error);
	return error;
}

/* A recorded regular file comes from the image, at the offset it stood at. */
static int stdio_open_one(struct session *s, const struct region_stdio *from)
{
	int fd;

	if (from->path[0] != '\0') {
		fd = replay_root_open(&s->root, from->path, (int)from->flags);
	} else {
		fd = memfd_create("stdio", MFD_CLOEXEC);
		fd = fd < 0 ? -errno : fd;
	}
	if (fd >= 0 && lseek(fd, (off_t)from->offset, SEEK_SET) < 0) {
		close(fd);
		fd = -ESPIPE;
	}
	return fd;
}

static int not_whole(const struct session *s)
{
	const struct evlog_damage *damage = evlog_reader_damage(s->reader);
	bool damaged = evlog_reader_state(s->reader) == EVLOG_DAMAGED;

	say(s,
	    "the log is %s: %s: %s, at byte %" PRIu64 "; replayed %" PRIu64
	    " events, to the end of its last whole epoch",
	    damaged ? "damaged" : "incomplete", damage->section, damage->what, damage->offset,
	    HEAD->events);
	return OUR_FAILURE;
}

static int stdio_open(struct session *s)
{
	static const char *const names[] = {"input", "output", "error"};

	for (int fd = 0; fd < 3; fd++) {
		const struct region_stdio *from = &HEAD->config.stdio[fd];

		if (from->kind != STDIO_FILE)
			continue;
		s->container.stdio_fd[fd] = from->same != (uint32_t)fd
						    ? s->container.stdio_fd[from->same]
						    : stdio_open_one(s, from);
		if (s->container.stdio_fd[fd] < 0) {
			if (evlog_reader_state(s->reader) != EVLOG_WHOLE)
				not_whole(s);
			else
				say(s, "the file on standard %s is not in the log", names[fd]);
			return s->container.stdio_fd[fd];
		}
	}
	return 0;
}

static int replay_prepare(struct session *s)
{
	const char *bad;
	int error = config_pairs_parse(s->reader, &HEAD->config, &bad);

	if (error < 0) {
		say(s, "the log's configuration is not understood: %s", bad);
		return error;
	}
	configure_rest(s);
	HEAD->config.replay = 1;
	error = baseline_check(s);
	if (error == 0)
		error = rebuild(s);
	return error < 0 ? error : stdio_open(s);
}

static bool outputs_equal(const struct session *s)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(s->reader, &count);

	for (size_t i = 0; i < count; i++) {
		if (outputs[i].kind != EVLOG_OUTPUT_STREAM)
			continue;
		int k = strcmp(outputs[i].name, "stdout") == 0 ? 0 : 1;
		if (outputs[i].size_bytes != s->streams[k].size_bytes ||
		    memcmp(outputs[i].hash, s->result->output_hash[k], sizeof(outputs[i].hash)) !=
			    0)
			return false;
	}
	return true;
}

/* The chain value of the last 256 events, or the digest of an epoch, is another. */
static int diverged(const struct session *s)
{
	uint64_t last = HEAD->events - HEAD->events % CHAIN_EVENTS;

	s->result->diverged = true;
	if (s->from_log.divergence[0] != '\0')
		say(s, "diverged %s", s->from_log.divergence);
	else
		say(s, "diverged in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64 ")",
		    last >= CHAIN_EVENTS ? last - CHAIN_EVENTS + 1 : 1, HEAD->events,
		    HEAD->epoch_number - 1);
	return OUR_FAILURE;
}

/* The container has ended at an event, in this way: as the log says? */
static int compare_end(struct session *s, enum evlog_end_kind kind)
{
	const struct evlog_end *end = evlog_reader_end(s->reader);
	int status = end_wait_status(kind);

	s->result->diverged = true; /* until all is compared */
	if (end->events != HEAD->events || end->digest != HEAD->digest) {
		say(s,
		    "diverged in events %" PRIu64 "..%" PRIu64 " (epoch %" PRIu64
		    "): it ended after %" PRIu64 " events, recorded %" PRIu64,
		    HEAD->epoch_first_event + 1, HEAD->events, HEAD->epoch_number - 1, HEAD->events,
		    end->events);
		return OUR_FAILURE;
	}
	if (end->status != status || end->kind != kind || end->epochs != HEAD->epoch_number) {
		say(s, "diverged at the end: %s, status %d, recorded %s, status %d",
		    evlog_end_kind_name(kind), status_of(status), evlog_end_kind_name(end->kind),
		    status_of(end->status));
		return OUR_FAILURE;
	}
	if (!outputs_equal(s)) {
		say(s, "diverged: the output differs from the recorded one");
		return OUR_FAILURE;
	}
	s->result->diverged = false;
	s->result->as_recorded = true;
	if (kind != EVLOG_END_EXIT && !s->options->quiet)
		say(s, "%s", s->container.message);
	return status_of(status);
}

/* Final contents of what the program wrote; only a run that ended as recorded is asked. */
static int compare_files(struct session *s)
{
	const char *path = "", *what = "";
	int error = replay_outputs_compare(s->reader, &s->root, take_down, s, &path, &what);

	if (error == -EILSEQ)
		say(s, "diverged: the written file %s %s", path, what);
	else if (error < 0)
		say(s, "cannot compare the written file %s: %s", path, strerror(-error));
	return error;
}

static int files_copy(const struct session *s)
{
	const char *path = s->options->files_to;
	int error = 0, fd = -1;

	if (mkdir(path, 0777) == 0 || errno == EEXIST)
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	error = fd < 0 ? -errno : replay_outputs_copy(s->reader, &s->root, fd, &path);
	if (error < 0)
		say(s, "--files-to: %s: %s", path, strerror(-error));
	if (fd >= 0)
		close(fd);
	return error;
}

/* What the program left in the root: compared, and copied out if that is wanted. */
static int replay_files(struct session *s, int status)
{
	enum evlog_end_kind kind;
	bool ended = end_kind(s, &kind); /* the region is taken down meanwhile */

	if (s->result->as_recorded && compare_files(s) < 0) {
		s->result->as_recorded = false;
		status = OUR_FAILURE;
	}
	if (s->options->files_to != NULL && ended && files_copy(s) < 0)
		status = OUR_FAILURE;
	return status;
}

/* The log has no more epochs because the run was told to end there. */
static void take_told_end(struct session *s)
{
	const struct evlog_end *end = evlog_reader_end(s->reader);
	struct container *c = &s->container;

	if (c->end != CONTAINER_NO_EPOCH || evlog_reader_state(s->reader) != EVLOG_WHOLE ||
	    (end->kind != EVLOG_END_OUTSIDE && end->kind != EVLOG_END_OUTSIDE_EARLY))
		return;
	c->end = CONTAINER_TOLD;
	strcpy(c->message, "ended from outside");
}

static int replay_status(struct session *s)
{
	enum evlog_end_kind kind;

	take_told_end(s);
	if (s->container.end == CONTAINER_PROBED) {
		s->result->stopped = true;
		return 0;
	}
	if (s->container.end == CONTAINER_DIVERGED)
		return diverged(s);
	if (evlog_reader_state(s->reader) != EVLOG_WHOLE)
		return not_whole(s);
	if (s->container.end == CONTAINER_NO_EPOCH) {
		s->result->diverged = true;
		say(s, "diverged after event %" PRIu64 ": the recorded run had ended there",
		    HEAD->events);
		return OUR_FAILURE;
	}
	return end_kind(s, &kind) ? compare_end(s, kind) : end_status(s);
}

static void replay(struct session *s)
{
	const struct session_options *o = s->options;
	const char *program = evlog_reader_config(s->reader, "program");

	source_log_init(&s->from_log, s->reader);
	s->container.source = &s->from_log.base;
	if (replay_prepare(s) < 0)
		return;
	if (container_program(&s->container, program != NULL ? program : o->argv[0], o->argv,
			      o->env) < 0) {
		say(s, "the arguments and the environment are too large");
		return;
	}
	if (execute(s) == 0) {
		take_figures(s);
		s->result->status = replay_files(s, replay_status(s));
		if (s->result->status == OUR_FAILURE && !s->result->as_recorded &&
		    s->root.changed[0] != '\0')
			say(s, "%s was changed by someone outside while it was recorded",
			    s->root.changed);
		check_outputs(s);
	}
}

/* A list of the header, with a NULL at its end as main() has it. */
static char **list_make(const struct evlog_strings *strings)
{
	char **list = calloc(strings->count + 1, sizeof(*list));

	if (list != NULL)
		memcpy(list, strings->at, strings->count * sizeof(*list));
	return list;
}

void session_replay(struct evlog_reader *reader, const struct session_options *options,
		    events_fn fn, void *arg, struct session_result *ret_result)
{
	static struct session s;
	const struct evlog_header *header = evlog_reader_header(reader);
	struct session_options o = *options;
	char **argv = list_make(&header->argv), **env = list_make(&header->env);

	o.argv = argv;
	o.env = env;
	o.cwd = header->cwd;
	int error = session_begin(&s, &o, ret_result);
	if (error == 0 && (argv == NULL || env == NULL)) {
		say(&s, "not enough memory for the arguments and the environment");
	} else if (error == 0) {
		s.reader = reader;
		s.event_fn = fn;
		s.event_arg = arg;
		replay(&s);
	}
	session_end(&s);
	free(argv);
	free(env);
}
