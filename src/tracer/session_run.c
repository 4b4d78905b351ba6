/*
 * run and record; see session.h.  The program is what the caller names, its configuration the
 * caller's options, its epochs local; a recording's log ends as the container does.
 */
#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caller.h"
#include "config_pairs.h"
#include "cpu_baseline.h"
#include "patcher.h"
#include "session_parts.h"
#include "stats.h"

#define PROGRAM_MAX 8192

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

static int configure(struct session *s)
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
	int error = caller_configure(c, o->no_files);
	if (error < 0) {
		session_say(s,
			    "you are in more supplementary groups than the %d that are supported",
			    CONFIG_GROUPS_MAX);
		return error;
	}
	session_configure(s);
	c->capture = o->log_path != NULL;
	for (int fd = 0; fd < 3; fd++) {
		if (c->stdio[fd].kind == STDIO_FILE)
			s->container.stdio_fd[fd] = fd;
	}
	return 0;
}

static int record_start(struct session *s, const char *program)
{
	const struct session_options *o = s->options;
	struct recorder_options options = {o->log_path, o->argv, o->env,       o->cwd,
					   program,	o->seed, o->names_only};

	if (o->log_path == NULL)
		return 0;
	int error = recorder_create(&options, &s->recorder);
	if (error == -EEXIST)
		session_say(s, "cannot write the log %s: it is no regular file", o->log_path);
	else if (error < 0)
		session_say(s, "cannot write the log %s: %s", o->log_path, strerror(-error));
	return error;
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
	recorder_look(s->recorder, session_end_wait_status(kind), kind, outputs);
	container_reap(&s->container);
	recorder_finish(s->recorder);
	session_take_down(s);
	int error = recorder_wait(s->recorder);
	if (error < 0 && !s->log_lost)
		session_say(s, "cannot finish the log %s: %s; it ends at event %" PRIu64,
			    s->options->log_path, strerror(-error),
			    recorder_last_event(s->recorder));
	if (error < 0 && !s->options->log_optional)
		r->status = OUR_FAILURE;
	if (error == 0 && !recorder_log_is_at(s->recorder, s->options->log_path)) {
		session_say(s, "the log %s was removed or replaced while it was recorded",
			    s->options->log_path);
		r->status = OUR_FAILURE;
	}
	for (size_t i = 0; (path = recorder_changed_path(s->recorder, i)) != NULL; i++) {
		if (!s->options->quiet)
			session_say(s, "%s was changed by someone outside while it was recorded",
				    path);
	}
	if (s->options->verbose)
		session_say(s, "%s: %" PRIu64 " bytes", s->options->log_path,
			    recorder_size_bytes(s->recorder));
}

/* A log of a program that never ran says nothing. */
static void record_end(struct session *s)
{
	enum evlog_end_kind kind;

	if (s->recorder == NULL)
		return;
	if (s->created && HEAD->events != 0 && session_end_kind(s, &kind))
		record_finish(s, kind);
	else if (s->container.end == CONTAINER_NO_START || !s->container.ended ||
		 (HEAD->events == 0 && !s->log_lost))
		unlink(s->options->log_path);
	else if (!s->log_lost)
		session_say(s, "the log %s ends at event %" PRIu64, s->options->log_path,
			    recorder_last_event(s->recorder));
}

/* A yield point that was never placed is most often a slip of the pen. */
static void check_yields(const struct session *s)
{
	const struct region_yield *y = patcher_yield_in(s->container.patcher, YIELD_NOT_MAPPED);

	if (y != NULL && !s->options->quiet && s->container.end == CONTAINER_ENDED)
		session_say(s,
			    "--yield-at %s+0x%" PRIx64 ": the program has executed no such object",
			    y->object, y->address);
}

static void run(struct session *s, const char *program)
{
	const struct session_options *o = s->options;

	if (session_prepare(s) < 0 || configure(s) < 0)
		return;
	/* What nobody named is what the machine has. */
	if ((o->cpu != NULL && session_check_baseline(s) < 0) ||
	    session_told(s, container_mount(&s->container, true)) < 0)
		return;
	source_local_init(&s->local);
	s->container.source = &s->local.base;
	if (container_program(&s->container, program, o->argv, o->env) < 0) {
		session_say(s, "the arguments and the environment are too large");
		return;
	}
	if (record_start(s, program) < 0)
		return;
	if (session_execute(s) == 0) {
		s->result->status = session_end_status(s);
		session_take_figures(s);
		session_check_outputs(s);
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
	/* A thread's first allocation would make it an arena of its own. */
	mallopt(M_ARENA_MAX, 1);
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
			session_say(&s, "%s: not found", options->argv[0]);
			ret_result->status = NOT_FOUND;
		}
	}
	session_end(&s);
}
