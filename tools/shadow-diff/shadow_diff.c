/*
 * shadow-diff A B: what two logs differ in, from what the runs were given to the first event.
 *
 * Exit status as diff(1): 0 equal, 1 different, 2 trouble.  When, where and with which version they
 * were recorded is never compared.  An incomplete log (its recorder was killed) is compared to the
 * end of its last whole epoch, as far as a replay goes; a damaged one is trouble.
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
	if (evlog_reader_state(*ret_reader) != EVLOG_DAMAGED)
		return EQUAL;
	return say_damage(path, "damaged log", evlog_reader_damage(*ret_reader));
}

/* In the words of shadow-replay. */
static void tell_incomplete(const struct command *c, const json_t *report)
{
	static const char *const sides[2] = {"a", "b"};
	const json_t *incomplete = json_object_get(report, "incomplete");
	const char *section, *what;
	json_int_t byte, event;

	for (int i = 0; i < 2 && !c->quiet; i++) {
		if (json_unpack(json_object_get(incomplete, sides[i]), "{s:s, s:s, s:I, s:I}",
				"section", &section, "what", &what, "byte", &byte, "event",
				&event) == 0)
			fprintf(stderr,
				TOOL ": %s: the log is incomplete: %s: %s, at byte %lld; compared "
				     "%lld events, to the end of its last whole epoch\n",
				c->path[i], section, what, (long long)byte, (long long)event);
	}
}

/* ---- the comparison ---- */

static bool streams_equal(FILE *a, FILE *b)
{
	static char bytes[2][0x10000];
	size_t size;

	do {
		size = fread(bytes[0], 1, sizeof(bytes[0]), a);
		if (fread(bytes[1], 1, sizeof(bytes[1]), b) != size ||
		    memcmp(bytes[0], bytes[1], size) != 0)
			return false;
	} while (size > 0);
	return !ferror(a) && !ferror(b);
}

/* What tells that two incomplete logs are the same run: of no other pair is the rest known. */
static bool same_bytes(const struct command *c)
{
	FILE *a = fopen(c->path[0], "re"), *b = fopen(c->path[1], "re");
	bool same = a != NULL && b != NULL && streams_equal(a, b);

	if (a != NULL)
		fclose(a);
	if (b != NULL)
		fclose(b);
	return same;
}

static int compare(const struct command *c, struct log_pair *logs, json_t *report)
{
	int error = compare_extents(logs);

	if (error == 0) {
		compare_incomplete(logs, report);
		tell_incomplete(c, report);
		error = compare_header(logs, report);
	}
	if (error == 0)
		error = compare_image(logs, report);
	if (error == 0)
		error = compare_epochs(logs, report);
	if (error == 0)
		error = compare_end(logs, report);
	if (error == 0 && !c->quiet)
		error = compare_events(logs, TOOL, report);
	if (error == 0 && !same_bytes(c))
		compare_agreement(logs, report);
	return error;
}

/* Paths that one run alone looked at make no difference unless something else does; nor does it by
 * itself that a log is incomplete. */
static bool differs(const json_t *report)
{
	static const char *const notes[] = {"looked_at", "incomplete"};
	size_t count = json_object_size(report);

	for (size_t i = 0; i < sizeof(notes) / sizeof(*notes); i++)
		count -= json_object_get(report, notes[i]) != NULL;
	return count > 0;
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

static int compare_and_show(const struct command *c, struct log_pair *logs)
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
					 "A log that is incomplete, as its recorder was killed, is "
					 "compared up to its last "
					 "whole epoch; if nothing differs up to there, the logs "
					 "agree that far, and are "
					 "different.\n"
					 "Exit status: 0 equal, 1 different, 2 trouble.",
					 NULL,
					 NULL,
					 NULL};
	struct command c = {.count = 0};
	struct log_pair logs = {.reader = {NULL, NULL}};
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
