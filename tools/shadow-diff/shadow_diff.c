/*
 * shadow-diff A B: what two logs differ in, from what the runs were given to the first event.
 *
 * Exit status as diff(1): 0 equal, 1 different, 2 trouble.  When, where and with which version they
 * were recorded is never compared.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "compare.h"

#define TOOL "shadow-diff"

enum status { EQUAL = 0, DIFFERENT = 1, TROUBLE = 2 };
enum option_key { KEY_JSON = 0x100 };

struct command {
	const char *path[2];
	int count;
	bool json, quiet;
};

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "the differences as one JSON object", 0},
	{"quiet", 'q', NULL, 0, "the exit status alone; nothing is executed", 0},
	{0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
	struct command *c = state->input;

	switch (key) {
	case KEY_JSON:
		c->json = true;
		return 0;
	case 'q':
		c->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (c->count == 2)
			argp_error(state, "two logs are compared, not more");
		else
			c->path[c->count++] = arg;
		return 0;
	case ARGP_KEY_END:
		if (c->count < 2)
			argp_error(state, "which two logs?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int say(const char *path, const char *what)
{
	fprintf(stderr, TOOL ": %s: %s\n", path, what);
	return TROUBLE;
}

static int say_damage(const char *path, const char *how, const struct evlog_damage *damage)
{
	fprintf(stderr, TOOL ": %s: %s: %s: %s (at byte %" PRIu64 ")\n", path, how, damage->section,
		damage->what, damage->offset);
	return TROUBLE;
}

static int open_log(const char *path, struct evlog_reader **ret_reader)
{
	struct evlog_damage damage = {0};
	int error = evlog_reader_open(path, &damage, ret_reader);

	if (error == -EBADMSG && damage.what != NULL)
		return say_damage(path, "not a log", &damage);
	if (error < 0)
		return say(path, strerror(-error));
	enum evlog_state state = evlog_reader_state(*ret_reader);
	if (state == EVLOG_WHOLE)
		return EQUAL;
	return say_damage(path, state == EVLOG_TRUNCATED ? "incomplete log" : "damaged log",
			  evlog_reader_damage(*ret_reader));
}

/* ---- the comparison ---- */

static int compare(const struct command *c, const struct log_pair *logs, json_t *report)
{
	int error = compare_header(logs, report);

	if (error == 0)
		error = compare_image(logs, report);
	if (error == 0)
		error = compare_epochs(logs, report);
	if (error == 0)
		error = compare_end(logs, report);
	if (error == 0 && !c->quiet)
		error = compare_events(logs, TOOL, report);
	return error;
}

/* Paths that one run alone looked at make no difference unless something else does. */
static bool differs(const json_t *report)
{
	return json_object_size(report) > (json_object_get(report, "looked_at") != NULL ? 1 : 0);
}

static void show(const struct command *c, json_t *report, bool different)
{
	if (c->quiet)
		return;
	if (c->json) {
		json_object_set_new(report, "equal", json_boolean(!different));
		json_dumpf(report, stdout, JSON_INDENT(1));
		putchar('\n');
	} else if (different) {
		printf("a: %s\nb: %s\n", c->path[0], c->path[1]);
		compare_print(report, stdout);
	}
}

static int compare_and_show(const struct command *c, const struct log_pair *logs)
{
	json_t *report = json_object();
	int error = compare(c, logs, report);
	bool different = differs(report);

	if (error < 0)
		fprintf(stderr, TOOL ": %s\n",
			error == -EPIPE ? "a re-execution ended without a word" : strerror(-error));
	if (error == 0)
		show(c, report, different);
	bool trouble = error < 0 || json_object_get(report, "problem") != NULL;
	json_decref(report);
	if (fflush(stdout) != 0)
		return say("standard output", strerror(errno));
	return trouble ? TROUBLE : different ? DIFFERENT : EQUAL;
}

int main(int argc, char **argv)
{
	static const struct argp argp = {options,
					 parse,
					 "A B",
					 "what two recorded runs differ in\v"
					 "Arguments, environment, configuration and files are "
					 "compared first, then what came "
					 "in while they ran; if the runs differ, both are "
					 "re-executed to the first event that "
					 "does, and shown there with their stacks.\n"
					 "Exit status: 0 equal, 1 different, 2 trouble.",
					 NULL,
					 NULL,
					 NULL};
	struct command c = {.count = 0};
	struct log_pair logs = {{NULL, NULL}};
	int status = EQUAL;

	argp_program_version = TOOL " " SHADOW_VERSION;
	argp_err_exit_status = TROUBLE;
	argv[0] = (char[]){TOOL};
	argp_parse(&argp, argc, argv, 0, NULL, &c);
	for (int i = 0; i < 2; i++) {
		int opened = open_log(c.path[i], &logs.reader[i]);

		status = opened > status ? opened : status;
	}
	if (status == EQUAL)
		status = compare_and_show(&c, &logs);
	evlog_reader_destroy(logs.reader[0]);
	evlog_reader_destroy(logs.reader[1]);
	return status;
}
