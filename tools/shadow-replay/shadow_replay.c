/*
 * shadow-replay LOG [info | events | files | outputs | backtrace EVENT]: runs a recorded program
 * again and verifies it, or shows what is in its log.  Re-executing is src/tracer/session.c.
 *
 * Exit status: the recorded one; 125 for a divergence, a log that is damaged or incomplete, and
 * failures of ours.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "event_look.h"
#include "log_files.h"
#include "inspect/file_place.h"
#include "log_show.h"
#include "tracer/session.h"
#include "tracer/stats.h"

#define TOOL	    "shadow-replay"
#define OUR_FAILURE 125

enum option_key {
	KEY_STATS = 0x100,
	KEY_JSON,
	KEY_PERTURB,
	KEY_TASK,
	KEY_PATH,
	KEY_RANGE,
	KEY_EXTRACT,
	KEY_TO,
	KEY_FILES_TO,
	KEY_UNTIL,
};

enum what { REPLAY, INFO, EVENTS, FILES, OUTPUTS, BACKTRACE, WHATS };

static const char *const what_names[WHATS] = {"",      "info",	  "events",
					      "files", "outputs", "backtrace"};

struct command {
	struct session_options session;
	const char *log;
	enum what what;
	bool stats, json, filtered;
	struct event_filter filter;
	const char *extract, *to;
	uint64_t event; /* of backtrace; of --until, 0: none */
};

static const struct argp_option options[] = {
	{"stats", KEY_STATS, NULL, 0, "at the end, events by call on stderr", 0},
	{"json", KEY_JSON, NULL, 0, "info, events, files, outputs, backtrace and --stats as JSON",
	 0},
	{"task", KEY_TASK, "N", 0, "events: those of this task", 0},
	{"calls", 'e', "CALLS", 0,
	 "events: of these calls, as strace's -e: names, %file, %desc, %process, %signal, %memory, "
	 "%time, %network, %instr, /REGEX, with commas; ! before them takes all others",
	 0},
	{"path", KEY_PATH, "PATH", 0,
	 "events: that have this path, or one below it, as an argument, or a descriptor that was "
	 "opened by it; a relative PATH: the end of one",
	 0},
	{"range", KEY_RANGE, "A..B", 0, "events: with these numbers; A.., ..B and A do too", 0},
	{"extract", KEY_EXTRACT, "PATH|all", 0, "files: copy this, and what is below it, to --to",
	 0},
	{"to", KEY_TO, "DIR", 0, "files --extract: where to (the current folder)", 0},
	{"files-to", KEY_FILES_TO, "DIR", 0,
	 "after a replay, copy the files the program wrote below DIR", 0},
	{"until", KEY_UNTIL, "EVENT", 0, "stop after that event, with the output so far", 0},
	{"perturb", KEY_PERTURB, "SEED", 0, "random delays, for tests", 0},
	{"quiet", 'q', NULL, 0, "say nothing but why it failed", 0},
	{"verbose", 'v', NULL, 0, "say more", 0},
	{0},
};

static void take_event(struct argp_state *state, struct command *c, const char *arg)
{
	char *end;

	errno = 0;
	c->event = strtoull(arg, &end, 10);
	if (*arg < '0' || *arg > '9' || *end != '\0' || errno != 0 || c->event == 0)
		argp_error(state, "'%s' is no number of an event", arg);
}

static void take_argument(struct argp_state *state, struct command *c, const char *arg)
{
	if (c->log == NULL) {
		c->log = arg;
		return;
	}
	for (int what = INFO; c->what == REPLAY && what < WHATS; what++) {
		if (strcmp(arg, what_names[what]) == 0) {
			c->what = (enum what)what;
			return;
		}
	}
	if (c->what == BACKTRACE && c->event == 0)
		take_event(state, c, arg);
	else
		argp_error(state, "'%s' is none of info, events, files, outputs and backtrace",
			   arg);
}

static void take_filter(struct argp_state *state, struct command *c, int key, const char *arg)
{
	static const struct {
		int key;
		const char *name;
		const char *(*add)(struct event_filter *filter, const char *text);
	} filters[] = {
		{KEY_TASK, "--task", event_filter_task},
		{'e', "-e", event_filter_calls},
		{KEY_PATH, "--path", event_filter_path},
		{KEY_RANGE, "--range", event_filter_range},
	};

	c->filtered = true;
	for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
		const char *bad = filters[i].key == key ? filters[i].add(&c->filter, arg) : NULL;

		if (bad != NULL)
			argp_error(state, "%s: '%s' is %s", filters[i].name, arg, bad);
	}
}

/* Options that would do nothing are errors. */
static void check(struct argp_state *state, const struct command *c)
{
	if (c->filtered && c->what != EVENTS)
		argp_error(state, "--task, -e, --path and --range go with events");
	if (c->extract != NULL && c->what != FILES)
		argp_error(state, "--extract goes with files");
	if (c->to != NULL && c->extract == NULL)
		argp_error(state, "--to goes with --extract");
	if (c->session.files_to != NULL && c->what != REPLAY)
		argp_error(state, "--files-to goes with a replay");
	if (c->what == BACKTRACE && c->event == 0)
		argp_error(state, "backtrace of which event?");
	if (c->what != BACKTRACE && c->what != REPLAY && c->event != 0)
		argp_error(state, "--until goes with a replay alone");
}

static void take_perturb(struct argp_state *state, struct command *c, const char *arg)
{
	char *end;
	unsigned long value = strtoul(arg, &end, 10);

	if (*arg < '0' || *arg > '9' || *end != '\0' || value > UINT32_MAX)
		argp_error(state, "--perturb: '%s' is no number from 0 to 4294967295", arg);
	c->session.perturb = (uint32_t)value;
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;

	switch (key) {
	case KEY_STATS:
		c->stats = true;
		return 0;
	case KEY_JSON:
		c->json = true;
		return 0;
	case KEY_UNTIL:
		take_event(state, c, arg);
		return 0;
	case KEY_PERTURB:
		take_perturb(state, c, arg);
		return 0;
	case KEY_TASK:
	case 'e':
	case KEY_PATH:
	case KEY_RANGE:
		take_filter(state, c, key, arg);
		return 0;
	case KEY_EXTRACT:
		c->extract = arg;
		return 0;
	case KEY_TO:
		c->to = arg;
		return 0;
	case KEY_FILES_TO:
		c->session.files_to = arg;
		return 0;
	case ARGP_KEY_END:
		check(state, c);
		return 0;
	case 'q':
		c->session.quiet = true;
		return 0;
	case 'v':
		c->session.verbose = true;
		return 0;
	case ARGP_KEY_ARG:
		take_argument(state, c, arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which log?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int say(const struct command *c, const char *what)
{
	fprintf(stderr, TOOL ": %s: %s\n", c->log, what);
	return OUR_FAILURE;
}

/* Ends info and events, which print to stdout: 0, or a status and, unless its reader has gone, a
 * line. */
static int end_printing(const struct command *c, int error)
{
	int unwritten = log_show_flush(stdout);

	if (unwritten == -EPIPE)
		return 128 + SIGPIPE;
	if (unwritten < 0)
		return fprintf(stderr, TOOL ": cannot write to stdout: %s\n", strerror(-unwritten)),
		       OUR_FAILURE;
	return error < 0 ? say(c, strerror(-error)) : 0;
}

static int say_damage(const struct command *c, const char *how, const struct evlog_damage *damage)
{
	fprintf(stderr, TOOL ": %s: %s: %s: %s (at byte %" PRIu64 ")\n", c->log, how,
		damage->section, damage->what, damage->offset);
	return OUR_FAILURE;
}

/* 0 if the log is whole, else 125 after a line that says what is wrong with it. */
static int tell_state(const struct command *c, struct evlog_reader *reader)
{
	enum evlog_state state = evlog_reader_state(reader);

	if (state == EVLOG_WHOLE)
		return 0;
	return say_damage(c, state == EVLOG_TRUNCATED ? "incomplete log" : "damaged log",
			  evlog_reader_damage(reader));
}

/* After something was shown of the log: 0, or 125 with a line. */
static int shown(const struct command *c, struct evlog_reader *reader, int error)
{
	if (error == -EBADMSG)
		return say_damage(c, "damaged log", evlog_reader_damage(reader));
	int status = end_printing(c, error);
	return status != 0 ? status : tell_state(c, reader);
}

static int info(struct command *c, struct evlog_reader *reader)
{
	return shown(c, reader, log_show_info(reader, c->json, stdout));
}

static int outputs(struct command *c, struct evlog_reader *reader)
{
	return shown(c, reader, log_outputs_list(reader, c->json, stdout));
}

static int extract_failed(const struct command *c, const char *path, int error)
{
	const char *why = strerror(-error);

	if (error == -ENOENT && strcmp(path, c->extract) == 0)
		why = "not in the image of this log";
	if (error == -EINVAL)
		why = "not an absolute path without '..'";
	fprintf(stderr, TOOL ": %s: %s: %s\n", c->log, path, why);
	return OUR_FAILURE;
}

static int extract(struct command *c, struct evlog_reader *reader)
{
	struct log_extract done;
	int error = log_files_extract(reader, c->extract, c->to != NULL ? c->to : ".", &done);

	if (error < 0 && error != -EBADMSG) {
		/* What is missing may be what is damaged. */
		tell_state(c, reader);
		return extract_failed(c, done.path, error);
	}
	if (done.without > 0 && !c->session.quiet)
		fprintf(stderr, TOOL ": %" PRIu64 " files left out: the log has only their names\n",
			done.without);
	return shown(c, reader, error);
}

static int files(struct command *c, struct evlog_reader *reader)
{
	if (c->extract != NULL)
		return extract(c, reader);
	return shown(c, reader, log_files_list(reader, c->json, stdout));
}

static int kept_event(void *arg, uint64_t epoch, const uint8_t *records, size_t size)
{
	struct event_show *show = arg;

	(void)epoch;
	event_show(show, records, size);
	return show->error;
}

static void executed_event(void *arg, const void *record, size_t size)
{
	event_show(arg, record, size);
}

static int events(struct command *c, struct evlog_reader *reader)
{
	struct event_show show;
	struct session_result result;

	event_show_init(&show, stdout, c->json, &c->filter, reader);
	if (evlog_reader_has_events(reader)) {
		int error = evlog_reader_events_each(reader, kept_event, &show);
		event_show_finish(&show);
		int status = end_printing(c, error != 0 ? error : show.error);
		return status != 0 ? status : tell_state(c, reader);
	}
	c->session.trace_events = c->session.mute = true;
	session_replay(reader, &c->session, executed_event, &show, &result);
	event_show_finish(&show);
	int status = end_printing(c, show.error);
	if (status != 0)
		return status;
	return result.status == OUR_FAILURE && !result.as_recorded ? OUR_FAILURE : 0;
}

static int replay(struct command *c, struct evlog_reader *reader)
{
	static struct session_result result;

	if (c->event != 0)
		result.status = event_look_until(reader, &c->session, c->event, &result);
	else
		session_replay(reader, &c->session, NULL, NULL, &result);
	if (result.diverged && !c->session.quiet)
		event_look_divergence(reader, &c->session, &result);
	if (c->stats)
		stats_print(&result, c->json, stderr);
	return result.status;
}

static int backtrace(struct command *c, struct evlog_reader *reader)
{
	return event_look_backtrace(reader, &c->session, c->event, c->json);
}

static int act(struct command *c)
{
	static int (*const acts[WHATS])(struct command * c, struct evlog_reader * reader) = {
		replay, info, events, files, outputs, backtrace};
	struct evlog_damage damage = {0};
	struct evlog_reader *reader;
	int error = evlog_reader_open(c->log, &damage, &reader);
	int status;

	if (error == -EBADMSG && damage.what != NULL)
		return say_damage(c, "not a log", &damage);
	if (error < 0)
		return say(c, strerror(-error));
	status = acts[c->what](c, reader);
	evlog_reader_destroy(reader);
	return status;
}

/* What shadow-trace asks for a message of its own: `code-place FILE ADDRESS`. */
static bool is_code_place(int argc, char **argv)
{
	return argc == 4 && strcmp(argv[1], "code-place") == 0;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {
		options,
		parse,
		"LOG [info|events|files|outputs|backtrace EVENT]",
		"run a recorded program again, and verify it\v"
		"LOG alone: the recorded stdout, stderr and status; 125 if the run differs from "
		"the recorded one, or the log is damaged or incomplete.\n"
		"  info     what is in the log\n"
		"  events   every event, a line each\n"
		"  files    what its image holds: kind, mode, size, SHA-256, path\n"
		"  outputs  what came out: kind, size, SHA-256, name; - is not hashed\n"
		"  backtrace EVENT  the stack of the task at that event",
		NULL,
		NULL,
		NULL};
	struct command c = {.session.tool = TOOL};

	if (is_code_place(argc, argv))
		return file_place_print(argv[2], strtoull(argv[3], NULL, 16), stdout);
	/* A write beyond the limit of file sizes shall fail, not end the tool without a word. */
	signal(SIGXFSZ, SIG_IGN);
	/* A reader that leaves early must not leave a replay's folder behind. */
	signal(SIGPIPE, SIG_IGN);
	event_filter_init(&c.filter);
	argp_program_version = TOOL " " SHADOW_VERSION;
	argp_err_exit_status = OUR_FAILURE;
	argv[0] = (char[]){TOOL};
	int error = argp_parse(&argp, argc, argv, 0, NULL, &c);
	if (error != 0) {
		fprintf(stderr, TOOL ": the options: %s\n", strerror(error));
		return OUR_FAILURE;
	}
	return act(&c);
}
