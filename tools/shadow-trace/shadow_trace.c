/*
 * shadow-trace run | record: the options of the command line, and what is printed at the end.
 * Everything else is src/tracer/session.c.
 *
 * Owns the argument and environment lists handed to the program.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "doctor.h"
#include "tracer/cpu_baseline.h"
#include "tracer/session.h"
#include "tracer/stats.h"
#include "pack.h"
#include "tracer/yield_point.h"
#include "verify.h"

#define TOOL		   "shadow-trace"
#define OUR_FAILURE	   125
#define NS_PER_SEC	   1000000000ull
#define RUN_START_SECONDS  2000000000ull /* files lie in its past, cached bytecode stays valid */
#define TIME_MOST_SECONDS  (INT64_MAX / NS_PER_SEC / 2) /* 2116-02-20: the clocks never wrap */
#define TIME_STEP_NS	   1000
#define SLICE_EVENTS	   2000
#define EPOCH_EVENTS	   1048576
#define CPUS_MAX	   255
#define MEMORY_LEAST_BYTES (16ull << 20)

enum option_key {
	KEY_SEED = 0x100,
	KEY_TIME,
	KEY_TIME_STEP,
	KEY_EPOCH_EVENTS,
	KEY_SLICE,
	KEY_ENV,
	KEY_CLEAN_ENV,
	KEY_CHDIR,
	KEY_CPU,
	KEY_CPUS,
	KEY_MEMORY,
	KEY_STATS,
	KEY_JSON,
	KEY_TRACE_EVENTS,
	KEY_PERTURB,
	KEY_VERIFY,
	KEY_NO_IMAGE,
	KEY_ON_LOG_ERROR,
	KEY_YIELD_AT,
};

struct command {
	struct session_options session;
	bool record, stats, json, verify, clean_env;
	const char *chdir_to;
	const char *log;
	char **set; /* of --env, in order */
	size_t set_count;
};

static const struct argp_option options[] = {
	{"seed", KEY_SEED, "N", 0, "what all randomness follows from (0)", 0},
	{"time", KEY_TIME, "WHEN", 0,
	 "start of the virtual time: now, @SECONDS or an RFC 3339 date (run: @2000000000, record: "
	 "now)",
	 0},
	{"time-step", KEY_TIME_STEP, "NS", 0, "by which each event moves the clocks (1000)", 0},
	{"epoch-events", KEY_EPOCH_EVENTS, "N", 0, "events after which an epoch is due (1048576)",
	 0},
	{"slice", KEY_SLICE, "N", 0, "events of a task's turn (2000)", 0},
	{"env", KEY_ENV, "K=V", 0, "set a variable for the program", 0},
	{"clean-env", KEY_CLEAN_ENV, NULL, 0, "hand over nothing of the environment but --env", 0},
	{"chdir", KEY_CHDIR, "DIR", 0, "run the program in DIR", 0},
	{"cpu", KEY_CPU, "BASELINE", 0,
	 "features the program is shown: x86-64-v1, -v2, -v3, or native, all of this machine's "
	 "that "
	 "are the same each time (x86-64-v3, or what the machine has below it)",
	 0},
	{"cpus", KEY_CPUS, "N", 0, "processors the program is told of (2)", 0},
	{"memory", KEY_MEMORY, "SIZE", 0, "memory the program is told of (4G)", 0},
	{"stats", KEY_STATS, NULL, 0,
	 "at the end, events by call and where the time went on stderr", 0},
	{"json", KEY_JSON, NULL, 0, "the same as a JSON object", 0},
	{"trace-events", KEY_TRACE_EVENTS, NULL, 0, "keep every event in the log", 0},
	{"perturb", KEY_PERTURB, "SEED", 0, "random delays, for tests; the program must not notice",
	 0},
	{"verify", KEY_VERIFY, NULL, 0,
	 "run twice and compare (run); what the first run wrote is there for the second", 0},
	{"no-image", KEY_NO_IMAGE, NULL, 0,
	 "record files by name and hash only; replay needs them as they were, or pack", 0},
	{"on-log-error", KEY_ON_LOG_ERROR, "WHAT", 0,
	 "when the log cannot be written (disk full): stop the program, or continue without (stop)",
	 0},
	{"yield-at", KEY_YIELD_AT, "OBJECT+OFFSET", 0,
	 "let other tasks run behind this instruction: for loops that wait for them and change "
	 "something in each round; OBJECT is a path or its last part, OFFSET the hexadecimal "
	 "address "
	 "that objdump -d shows; may be given 16 times",
	 0},
	{"quiet", 'q', NULL, 0, "say nothing of refused calls", 0},
	{"verbose", 'v', NULL, 0, "say more", 0},
	{"output", 'o', "LOG", 0, "where the log goes (record: log.zst)", 0},
	{0},
};

static const char top_help[] =
	"run a program deterministically, or record it\v"
	"  run     deterministic execution, no log\n"
	"  record  the same, with a log for shadow-replay\n"
	"  pack    put the files into a log recorded with --no-image\n"
	"  doctor  says whether this machine has what a container needs\n\n"
	"shadow-trace run --help lists the options.\n\n"
	"The exit status is the program's, 128+n for signal n; 125 a failure "
	"of ours, 126 not executable, 127 not found.\n\n"
	"SIGINT, SIGTERM, SIGHUP and SIGQUIT go to the program. If it does not act on one, "
	"the second ends it, or 5 seconds do.";

/* A number with nothing behind it; the tool ends with a usage line if it is none. */
static uint64_t number(struct argp_state *state, const char *what, const char *text, uint64_t least,
		       uint64_t most)
{
	char *end;

	errno = 0;
	uint64_t value = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || *end != '\0' || errno != 0 || value < least ||
	    value > most)
		argp_error(state, "--%s: '%s' is no number from %" PRIu64 " to %" PRIu64, what,
			   text, least, most);
	return value;
}

static uint64_t memory_bytes(struct argp_state *state, const char *text)
{
	static const char units[] = "KMGT";
	char digits[24];
	size_t n = strlen(text);
	unsigned shift = 0;

	if (n > 0 && text[n - 1] != '\0' && strchr(units, text[n - 1]) != NULL)
		shift = 10 * (unsigned)(strchr(units, text[--n]) - units + 1);
	snprintf(digits, sizeof(digits), "%.*s", (int)n, text);
	uint64_t count = number(state, "memory", digits, 1, UINT64_MAX >> (shift + 17));
	if (count << shift < MEMORY_LEAST_BYTES)
		argp_error(state, "--memory: at least 16M");
	return count << shift;
}

/* "+02:00", "-05:30" or "Z": the seconds east, or -1 in *ret_bad. */
static long zone_seconds(const char *text, bool *ret_bad)
{
	int hours, minutes, used = 0;

	if ((*text == 'Z' || *text == 'z') && text[1] == '\0')
		return 0;
	*ret_bad = (*text != '+' && *text != '-') ||
		   sscanf(text + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 ||
		   text[6] != '\0';
	if (*ret_bad)
		return 0;
	*ret_bad = hours > 23 || minutes > 59;
	if (*ret_bad)
		return 0;
	long seconds = hours * 3600L + minutes * 60L;
	return *text == '-' ? -seconds : seconds;
}

static uint64_t date_ns(struct argp_state *state, const char *text)
{
	struct tm tm = {0};
	uint64_t fraction_ns = 0;
	bool bad = false;
	const char *at = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);

	if (at != NULL && *at == '.') {
		uint64_t digit_ns = NS_PER_SEC;

		for (at++; *at >= '0' && *at <= '9'; at++)
			fraction_ns += (uint64_t)(*at - '0') * (digit_ns /= 10);
	}
	long east = at != NULL ? zone_seconds(at, &bad) : 0;
	int day = tm.tm_mday;
	time_t seconds = at != NULL && !bad ? timegm(&tm) - east : -1;
	/* timegm makes the 3rd of March of the 31st of February. */
	if (seconds < 0 || (uint64_t)seconds > TIME_MOST_SECONDS || tm.tm_mday != day)
		argp_error(state,
			   "--time: '%s' is not now, @SECONDS or a date like "
			   "2030-01-31T12:00:00Z",
			   text);
	return (uint64_t)seconds * NS_PER_SEC + fraction_ns;
}

static uint64_t time_ns(struct argp_state *state, const char *text)
{
	struct timespec ts;

	if (text[0] == '@')
		return number(state, "time", text + 1, 0, TIME_MOST_SECONDS) * NS_PER_SEC;
	if (strcmp(text, "now") != 0)
		return date_ns(state, text);
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_SEC + (uint64_t)ts.tv_nsec;
}

static void env_set(struct argp_state *state, struct command *c, char *text)
{
	if (strchr(text, '=') == NULL || text[0] == '=')
		argp_error(state, "--env: '%s' is not NAME=VALUE", text);
	c->set[c->set_count++] = text;
}

/* The first argument is the program; what follows it is not looked at. */
static void take_program(struct argp_state *state, struct command *c)
{
	c->session.argv = &state->argv[state->next - 1];
	state->next = state->argc;
}

static const char *baseline(struct argp_state *state, const char *name)
{
	struct region_cpu cpu;

	if (cpu_baseline_named(name, &cpu) < 0)
		argp_error(state,
			   "--cpu: '%s' is none of x86-64-v1, x86-64-v2, x86-64-v3 and native",
			   name);
	return name;
}

static bool parse_number(struct argp_state *state, struct session_options *s, int key,
			 const char *arg)
{
	switch (key) {
	case KEY_SEED:
		s->seed = number(state, "seed", arg, 0, UINT64_MAX);
		return true;
	case KEY_TIME:
		s->start_time_ns = time_ns(state, arg);
		return true;
	case KEY_TIME_STEP:
		s->time_step_ns = number(state, "time-step", arg, 1, NS_PER_SEC);
		return true;
	case KEY_EPOCH_EVENTS:
		s->epoch_events =
			number(state, "epoch-events", arg, 1, (uint64_t)CHAIN_MAX * CHAIN_EVENTS);
		return true;
	case KEY_SLICE:
		s->slice_events = number(state, "slice", arg, 1, INT64_MAX);
		return true;
	case KEY_CPU:
		s->cpu = baseline(state, arg);
		return true;
	case KEY_CPUS:
		s->cpus = (uint32_t)number(state, "cpus", arg, 1, CPUS_MAX);
		return true;
	case KEY_MEMORY:
		s->memory_bytes = memory_bytes(state, arg);
		return true;
	case KEY_PERTURB:
		s->perturb = (uint32_t)number(state, "perturb", arg, 0, UINT32_MAX);
		return true;
	default:
		return false;
	}
}

static bool parse_flag(struct command *c, int key)
{
	switch (key) {
	case KEY_CLEAN_ENV:
		c->clean_env = true;
		return true;
	case KEY_STATS:
		c->stats = true;
		return true;
	case KEY_JSON:
		c->json = true;
		return true;
	case KEY_TRACE_EVENTS:
		c->session.trace_events = true;
		return true;
	case KEY_VERIFY:
		c->verify = true;
		return true;
	case KEY_NO_IMAGE:
		c->session.names_only = true;
		return true;
	case 'q':
		c->session.quiet = true;
		return true;
	case 'v':
		c->session.verbose = true;
		return true;
	default:
		return false;
	}
}

static void take_on_log_error(struct argp_state *state, struct command *c, const char *text)
{
	c->session.log_optional = strcmp(text, "continue") == 0;
	if (!c->record)
		argp_error(state, "--on-log-error is an option of record");
	if (!c->session.log_optional && strcmp(text, "stop") != 0)
		argp_error(state, "--on-log-error: '%s' is neither stop nor continue", text);
}

static void take_yield(struct argp_state *state, struct session_options *s, const char *text)
{
	if (s->yield_count == YIELD_POINTS_MAX)
		argp_error(state, "--yield-at: at most %d", YIELD_POINTS_MAX);
	if (yield_point_parse(text, strlen(text), &s->yields[s->yield_count]) < 0)
		argp_error(state, "--yield-at: '%s' is not OBJECT+OFFSET", text);
	s->yield_count++;
}

static void check(struct argp_state *state, const struct command *c)
{
	if (c->session.argv == NULL)
		argp_error(state, "no program given");
	if (c->verify && c->record)
		argp_error(state, "--verify is an option of run");
	if (c->log != NULL && !c->record)
		argp_error(state, "-o is an option of record");
	if (c->session.names_only && !c->record)
		argp_error(state, "--no-image is an option of record");
	if (c->json && !c->stats)
		argp_error(state, "--json goes with --stats");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;

	if (parse_flag(c, key) || parse_number(state, &c->session, key, arg))
		return 0;
	switch (key) {
	case KEY_ENV:
		env_set(state, c, arg);
		return 0;
	case KEY_ON_LOG_ERROR:
		take_on_log_error(state, c, arg);
		return 0;
	case KEY_YIELD_AT:
		take_yield(state, &c->session, arg);
		return 0;
	case KEY_CHDIR:
		c->chdir_to = arg;
		return 0;
	case 'o':
		c->log = arg;
		return 0;
	case ARGP_KEY_ARG:
		take_program(state, c);
		return 0;
	case ARGP_KEY_END:
		check(state, c);
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static error_t parse_top(int key, char *arg, struct argp_state *state)
{
	if (key == ARGP_KEY_ARG)
		argp_error(state, "'%s' is none of run, record, pack, doctor", arg);
	if (key == ARGP_KEY_NO_ARGS)
		argp_error(state, "run, record, pack or doctor?");
	return ARGP_ERR_UNKNOWN;
}

static bool same_name(const char *a, const char *b)
{
	size_t n = strcspn(a, "=");

	return n == strcspn(b, "=") && strncmp(a, b, n) == 0;
}

/* Adds a variable, or puts it in the place of one of its name. */
static void env_put(char **env, size_t *count, char *text)
{
	for (size_t i = 0; i < *count; i++) {
		if (same_name(env[i], text)) {
			env[i] = text;
			return;
		}
	}
	env[(*count)++] = text;
}

static char **env_make(const struct command *c)
{
	size_t count = 0, n = 0;

	while (!c->clean_env && environ[n] != NULL)
		n++;
	char **env = calloc(n + c->set_count + 1, sizeof(*env));
	if (env == NULL)
		return NULL;
	for (; count < n; count++)
		env[count] = environ[count];
	for (size_t i = 0; i < c->set_count; i++)
		env_put(env, &count, c->set[i]);
	return env;
}

static int fail(const char *what)
{
	fprintf(stderr, TOOL ": %s: %s\n", what, strerror(errno));
	return -1;
}

/* The log lies in the caller's folder, whatever --chdir says. */
static int paths_make(struct command *c)
{
	static char cwd[PATH_MAX], log[2 * PATH_MAX];
	const char *name = c->log != NULL ? c->log : "log.zst";

	if (c->record) {
		if (name[0] != '/' && getcwd(cwd, sizeof(cwd)) == NULL)
			return fail("the current folder");
		snprintf(log, sizeof(log), "%s%s%s", name[0] == '/' ? "" : cwd,
			 name[0] == '/' ? "" : "/", name);
		c->session.log_path = log;
	}
	if (c->chdir_to != NULL && chdir(c->chdir_to) < 0)
		return fail(c->chdir_to);
	if (getcwd(cwd, sizeof(cwd)) == NULL)
		return fail("the current folder");
	c->session.cwd = cwd;
	return 0;
}

static void defaults(struct command *c)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	c->session = (struct session_options){
		.tool = TOOL,
		.start_time_ns = c->record
					 ? (uint64_t)now.tv_sec * NS_PER_SEC + (uint64_t)now.tv_nsec
					 : RUN_START_SECONDS * NS_PER_SEC,
		.time_step_ns = TIME_STEP_NS,
		.epoch_events = EPOCH_EVENTS,
		.slice_events = SLICE_EVENTS,
		.cpus = 2,
		.memory_bytes = 4ull << 30,
	};
}

static int run(struct command *c)
{
	static struct session_result result;

	if (paths_make(c) < 0)
		return OUR_FAILURE;
	c->session.env = env_make(c);
	if (c->session.env == NULL)
		return fail("the environment"), OUR_FAILURE;
	if (c->verify)
		verify_run(&c->session, &result);
	else
		session_run(&c->session, &result);
	if (c->stats)
		stats_print(&result, c->json, stderr);
	if (c->session.verbose)
		fprintf(stderr,
			TOOL ": %" PRIu64 " events, %" PRIu64 " trapped, digest %016" PRIx64 "\n",
			result.events, result.trapped, result.digest);
	free((void *)c->session.env);
	return result.status;
}

int main(int argc, char **argv)
{
	static const struct argp command_argp = {options,
						 parse,
						 "-- PROG [ARGS...]",
						 "run a program in a deterministic container",
						 NULL,
						 NULL,
						 NULL};
	static const struct argp top_argp = {NULL,
					     parse_top,
					     "run|record [OPTIONS] -- PROG [ARGS...]\n"
					     "pack LOG\ndoctor [--json]",
					     top_help,
					     NULL,
					     NULL,
					     NULL};
	struct command c = {0};

	/* A write beyond the limit of file sizes shall fail, not end the tool without a word. */
	signal(SIGXFSZ, SIG_IGN);
	argp_program_version = TOOL " " SHADOW_VERSION;
	argp_err_exit_status = OUR_FAILURE;
	argv[0] = (char[]){TOOL};
	if (argc >= 2 && strcmp(argv[1], "pack") == 0) {
		argv[1] = argv[0];
		return pack_main(argc - 1, argv + 1);
	}
	if (argc >= 2 && strcmp(argv[1], "doctor") == 0) {
		argv[1] = argv[0];
		return doctor_main(argc - 1, argv + 1);
	}
	if (argc < 2 || (strcmp(argv[1], "run") != 0 && strcmp(argv[1], "record") != 0)) {
		argp_parse(&top_argp, argc, argv, ARGP_IN_ORDER, NULL, NULL);
		return OUR_FAILURE;
	}
	c.record = strcmp(argv[1], "record") == 0;
	argv[1] = argv[0];
	c.set = calloc((size_t)argc, sizeof(*c.set));
	if (c.set == NULL)
		return fail("memory"), OUR_FAILURE;
	defaults(&c);
	errno = argp_parse(&command_argp, argc - 1, argv + 1, ARGP_IN_ORDER, NULL, &c);
	if (errno != 0)
		return fail("the options"), OUR_FAILURE;
	int status = run(&c);
	free(c.set);
	return status;
}
