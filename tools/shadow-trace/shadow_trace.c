/*
 * shadow-trace: runs a program in a deterministic container, or records it.
 *
 * Options, and what the two commands have in common; the work is src/tracer/session.c.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "tracer/session.h"

const char *argp_program_version = "shadow-trace " SHADOW_VERSION;

#define DEFAULT_RUN_TIME_S 2000000000ull

enum option_key {
	KEY_SEED = 256,
	KEY_TIME,
	KEY_TIME_STEP,
	KEY_EPOCH_EVENTS,
	KEY_SLICE,
	KEY_ENV,
	KEY_CLEAN_ENV,
	KEY_CHDIR,
	KEY_CPUS,
	KEY_MEMORY,
	KEY_STATS,
	KEY_JSON,
	KEY_TRACE_EVENTS,
	KEY_PERTURB,
	KEY_VERIFY,
};

struct arguments {
	struct session_options session;
	bool record, time_given, clean_env, stats, json, verify;
	const char *chdir;
	char **env_add;
	size_t env_add_count;
	char **program;
};

static const struct argp_option options[] = {
	{"seed", KEY_SEED, "N", 0, "Seed of the random numbers (default 0)", 0},
	{"time", KEY_TIME, "TIME", 0,
	 "Start time: now, @SECONDS or RFC 3339 (default: now for record, @2000000000 for run)", 0},
	{"time-step", KEY_TIME_STEP, "NS", 0, "Virtual time per event (default 1000)", 0},
	{"epoch-events", KEY_EPOCH_EVENTS, "N", 0, "Events of an epoch (default 1048576)", 0},
	{"slice", KEY_SLICE, "N", 0, "Events of a turn (default 2000)", 0},
	{"env", KEY_ENV, "K=V", 0, "Set an environment variable", 0},
	{"clean-env", KEY_CLEAN_ENV, NULL, 0, "Start with an empty environment", 0},
	{"chdir", KEY_CHDIR, "DIR", 0, "Start in this folder", 0},
	{"cpus", KEY_CPUS, "N", 0, "Processors the program sees (default 2)", 0},
	{"memory", KEY_MEMORY, "BYTES", 0, "Memory it sees; K, M, G (default 4G)", 0},
	{"output", 'o', "FILE", 0, "record: the log (default log.zst)", 1},
	{"trace-events", KEY_TRACE_EVENTS, NULL, 0, "record: keep every event in the log", 1},
	{"stats", KEY_STATS, NULL, 0, "Print events by call, and the final digest", 2},
	{"json", KEY_JSON, NULL, 0, "Print them as JSON", 2},
	{"perturb", KEY_PERTURB, "SEED", 0, "Random delays in the tracer: for tests", 2},
	{"verify", KEY_VERIFY, NULL, 0, "run: run twice and compare", 2},
	{"quiet", 'q', NULL, 0, "No messages but errors", 2},
	{"verbose", 'v', NULL, 0, "More messages", 2},
	{0},
};

static uint64_t number(struct argp_state *state, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	uint64_t v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno != 0 || *end != '\0' || v < least || v > most)
		argp_error(state, "'%s' is not a number from %" PRIu64 " to %" PRIu64, text, least,
			   most);
	return v;
}

static uint64_t bytes(struct argp_state *state, const char *text)
{
	char *end;
	uint64_t v = strtoull(text, &end, 10);
	unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == text || (shift != 0 ? end[1] : end[0]) != '\0' || v == 0 || v >= 1ull << 34)
		argp_error(state, "'%s' is no size (a number, with K, M or G)", text);
	return v << shift;
}

static uint64_t time_of(struct argp_state *state, const char *text)
{
	struct timespec now;
	struct tm tm = {0};
	const char *end;

	if (strcmp(text, "now") == 0) {
		clock_gettime(CLOCK_REALTIME, &now);
		return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	}
	if (text[0] == '@')
		return number(state, text + 1, 1, 9000000000ull) * 1000000000u;
	end = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	if (end == NULL || (strcmp(end, "Z") != 0 && strcmp(end, "+00:00") != 0)) {
		argp_error(state, "'%s' is no time: now, @SECONDS or 2031-05-06T07:08:09Z", text);
		return 0;
	}
	return (uint64_t)timegm(&tm) * 1000000000u;
}

static void env_add(struct arguments *a, struct argp_state *state, char *text)
{
	if (strchr(text, '=') == NULL)
		argp_error(state, "--env takes NAME=VALUE");
	a->env_add = realloc(a->env_add, (a->env_add_count + 1) * sizeof(*a->env_add));
	a->env_add[a->env_add_count++] = text;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;
	struct session_options *o = &a->session;

	switch (key) {
	case KEY_SEED:
		o->seed = number(state, arg, 0, UINT64_MAX);
		return 0;
	case KEY_TIME:
		o->start_time_ns = time_of(state, arg);
		a->time_given = true;
		return 0;
	case KEY_TIME_STEP:
		o->time_step_ns = number(state, arg, 1, 1ull << 40);
		return 0;
	case KEY_EPOCH_EVENTS:
		o->epoch_events = number(state, arg, 1, (uint64_t)CHAIN_MAX * CHAIN_EVENTS);
		return 0;
	case KEY_SLICE:
		o->slice_events = number(state, arg, 1, UINT32_MAX);
		return 0;
	case KEY_ENV:
		env_add(a, state, arg);
		return 0;
	case KEY_CLEAN_ENV:
		a->clean_env = true;
		return 0;
	case KEY_CHDIR:
		a->chdir = arg;
		return 0;
	case KEY_CPUS:
		o->cpus = (uint32_t)number(state, arg, 1, 255);
		return 0;
	case KEY_MEMORY:
		o->memory_bytes = bytes(state, arg);
		return 0;
	case KEY_STATS:
		a->stats = true;
		return 0;
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_TRACE_EVENTS:
		o->trace_events = true;
		return 0;
	case KEY_PERTURB:
		o->perturb = (uint32_t)number(state, arg, 1, UINT32_MAX);
		return 0;
	case KEY_VERIFY:
		a->verify = true;
		return 0;
	case 'o':
		o->log_path = arg;
		return 0;
	case 'q':
		o->quiet = true;
		return 0;
	case 'v':
		o->verbose = true;
		return 0;
	case ARGP_KEY_ARGS:
		a->program = state->argv + state->next;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no program given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

/* The caller's environment unless clean, with --env on top. */
static char **make_env(const struct arguments *a)
{
	size_t n = 0, count = 0;

	while (!a->clean_env && environ[n] != NULL)
		n++;
	char **env = calloc(n + a->env_add_count + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	memcpy(env, environ, n * sizeof(*env));
	count = n;
	for (size_t i = 0; i < a->env_add_count; i++) {
		size_t name = strcspn(a->env_add[i], "=") + 1, k = 0;

		while (k < count && strncmp(env[k], a->env_add[i], name) != 0)
			k++;
		env[k] = a->env_add[i];
		if (k == count)
			count++;
	}
	return env;
}

/* Runs a second time, silently, and compares. */
static int verify(const struct session_options *o, const struct session_result *first)
{
	struct session_options again = *o;
	struct session_result second;

	again.mute = true;
	again.quiet = true;
	session_run(&again, &second);
	if (second.digest == first->digest && second.status == first->status &&
	    memcmp(second.output_hash, first->output_hash, sizeof(second.output_hash)) == 0)
		return first->status;
	fprintf(stderr,
		"%s: two runs differ: digest %016" PRIx64 " and %016" PRIx64 ", status %d and %d\n",
		o->tool, first->digest, second.digest, first->status, second.status);
	return 125;
}

static const char doc[] =
	"Runs PROG deterministically: same program, files and inputs give the same run.\v"
	"Commands:\n"
	"  run      deterministic execution, no log\n"
	"  record   the same, keeping what entered in a log for shadow-replay\n\n"
	"Exit status: the program's, 128+n for a signal; 125 a failure of shadow-trace, 126 PROG is "
	"not executable, 127 not found.";

static void usage_error(const char *what)
{
	fprintf(stderr, "shadow-trace: %s (see shadow-trace --help)\n", what);
	exit(125);
}

int main(int argc, char **argv)
{
	struct argp argp = {options, parse_option, "run|record [--] PROG [ARG...]", doc, NULL, NULL,
			    NULL};
	struct arguments a = {.session = {
				      .tool = "shadow-trace",
				      .time_step_ns = 1000,
				      .epoch_events = 1048576,
				      .slice_events = 2000,
				      .cpus = 2,
				      .memory_bytes = 4ull << 30,
			      }};
	struct session_result result;
	char cwd[4096];

	argp_err_exit_status = 125;
	if (argc > 1 && (strcmp(argv[1], "run") == 0 || strcmp(argv[1], "record") == 0)) {
		a.record = strcmp(argv[1], "record") == 0;
		argv[1] = (char *)(uintptr_t) "shadow-trace";
		argc--;
		argv++;
	} else if (argc < 2 || argv[1][0] != '-') {
		usage_error("the first argument is run or record");
	}
	argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &a);
	if (a.chdir != NULL && chdir(a.chdir) < 0) {
		fprintf(stderr, "shadow-trace: %s: %s\n", a.chdir, strerror(errno));
		return 125;
	}
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		usage_error("the current folder is gone");
	if (a.record && a.session.log_path == NULL)
		a.session.log_path = "log.zst";
	if (!a.record && a.session.log_path != NULL)
		usage_error("--output goes with record");
	if (!a.time_given) {
		struct timespec now;
		clock_gettime(CLOCK_REALTIME, &now);
		a.session.start_time_ns = a.record ? (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec
						   : DEFAULT_RUN_TIME_S * 1000000000u;
	}
	a.session.cwd = cwd;
	a.session.argv = a.program;
	a.session.env = make_env(&a);
	if (a.session.env == NULL)
		usage_error("out of memory");
	session_run(&a.session, &result);
	if (a.stats && result.events != 0)
		session_stats(&result, a.json, stderr);
	int status = result.status;
	if (a.verify && result.events != 0)
		status = verify(&a.session, &result);
	free((void *)(uintptr_t)a.session.env);
	free(a.env_add);
	return status;
}
