/*
 * shadow-replay: re-executes a log and verifies it, or tells what is in it.
 */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "event_print.h"
#include "log/evlog_reader.h"
#include "tracer/session.h"

const char *argp_program_version = "shadow-replay " SHADOW_VERSION;

enum option_key { KEY_JSON = 256, KEY_STATS, KEY_PERTURB };

struct arguments {
	const char *log, *command;
	bool json, stats, quiet;
	uint32_t perturb;
};

static const struct argp_option options[] = {
	{"json", KEY_JSON, NULL, 0, "Print info, events and figures as JSON", 0},
	{"stats", KEY_STATS, NULL, 0, "Print events by call, and the final digest", 0},
	{"perturb", KEY_PERTURB, "SEED", 0, "Random delays in the tracer: for tests", 0},
	{"quiet", 'q', NULL, 0, "No messages but errors", 0},
	{0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
	struct arguments *a = state->input;

	switch (key) {
	case KEY_JSON:
		a->json = true;
		return 0;
	case KEY_STATS:
		a->stats = true;
		return 0;
	case KEY_PERTURB:
		a->perturb = (uint32_t)strtoul(arg, NULL, 10);
		return 0;
	case 'q':
		a->quiet = true;
		return 0;
	case ARGP_KEY_ARG:
		if (state->arg_num == 0)
			a->log = arg;
		else if (state->arg_num == 1 &&
			 (strcmp(arg, "info") == 0 || strcmp(arg, "events") == 0))
			a->command = arg;
		else
			argp_error(state, "'%s': the command is info or events", arg);
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "no log given");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static const char doc[] = "Re-executes a log of shadow-trace record, verifies it and prints the "
			  "program's output.\v"
			  "Commands:\n"
			  "  info     what the log holds\n"
			  "  events   every event of the run\n\n"
			  "Exit status: the recorded one; 125 for a divergence and for a log that is "
			  "damaged or incomplete.";

/* ---- info ---- */

static json_t *strings_json(const struct evlog_strings *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->count; i++)
		json_array_append_new(list, json_string_nocheck(s->at[i]));
	return list;
}

static json_t *pairs_json(const struct evlog_pairs *p)
{
	json_t *object = json_object();

	for (size_t i = 0; i < p->pair_count; i++)
		json_object_set_new_nocheck(object, p->at[2 * i],
					    json_string_nocheck(p->at[2 * i + 1]));
	return object;
}

static const char *state_name(const struct evlog_reader *r)
{
	static const char *const names[] = {"whole", "incomplete", "damaged"};

	return names[evlog_reader_state(r)];
}

static void info_json(const struct evlog_reader *r)
{
	const struct evlog_header *h = evlog_reader_header(r);
	const struct evlog_end *end = evlog_reader_end(r);
	json_t *o = json_object();

	json_object_set_new(o, "argv", strings_json(&h->argv));
	json_object_set_new(o, "env", strings_json(&h->env));
	json_object_set_new(o, "cwd", json_string_nocheck(h->cwd));
	json_object_set_new(o, "config", pairs_json(&h->config));
	json_object_set_new(o, "host", pairs_json(evlog_reader_host(r)));
	json_object_set_new(o, "state", json_string(state_name(r)));
	json_object_set_new(o, "epochs", json_integer((json_int_t)evlog_reader_epoch_count(r)));
	if (end != NULL) {
		char digest[20];
		snprintf(digest, sizeof(digest), "%016" PRIx64, end->digest);
		json_object_set_new(o, "events", json_integer((json_int_t)end->events));
		json_object_set_new(o, "digest", json_string(digest));
		json_object_set_new(o, "wait_status", json_integer(end->status));
	}
	json_dumpf(o, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(o);
}

static void info_text(const struct evlog_reader *r)
{
	const struct evlog_header *h = evlog_reader_header(r);
	const struct evlog_pairs *host = evlog_reader_host(r);
	const struct evlog_end *end = evlog_reader_end(r);

	printf("command    ");
	for (size_t i = 0; i < h->argv.count; i++)
		printf(" %s", h->argv.at[i]);
	printf("\nfolder      %s\nenvironment %zu variables\n", h->cwd, h->env.count);
	for (size_t i = 0; i < h->config.pair_count; i++)
		printf("%-14s %s\n", h->config.at[2 * i], h->config.at[2 * i + 1]);
	for (size_t i = 0; i < host->pair_count; i++)
		printf("host %-9s %s\n", host->at[2 * i], host->at[2 * i + 1]);
	printf("log         %s, %" PRIu64 " epochs\n", state_name(r), evlog_reader_epoch_count(r));
	if (end != NULL)
		printf("end         %" PRIu64 " events, digest %016" PRIx64 ", status 0x%x\n",
		       end->events, end->digest, end->status);
}

/* ---- events ---- */

struct event_output {
	bool json;
};

static void print_event(void *arg, const void *record, size_t size)
{
	const struct event_output *out = arg;
	struct event_view view;
	json_t *o;

	if (event_decode(record, size, &view) < 0)
		return;
	if (!out->json) {
		event_print(stdout, &view, 64);
		putchar('\n');
	} else if (event_to_json(&view, &o) == 0) {
		json_dumpf(o, stdout, JSON_COMPACT);
		putchar('\n');
		json_decref(o);
	}
}

static int print_kept(void *arg, uint64_t epoch, const uint8_t *records, size_t size)
{
	(void)epoch;
	while (size >= sizeof(struct event_record)) {
		uint32_t n = ((const struct event_record *)(const void *)records)->size_bytes;

		if (n < sizeof(struct event_record) || n > size)
			return -EBADMSG;
		print_event(arg, records, n);
		records += n;
		size -= n;
	}
	return 0;
}

static int events(struct evlog_reader *r, const struct arguments *a,
		  const struct session_options *o)
{
	struct event_output out = {a->json};
	struct session_options traced = *o;
	struct session_result result;

	if (evlog_reader_has_events(r)) {
		int error = evlog_reader_events_each(r, print_kept, &out);
		if (error < 0)
			fprintf(stderr, "shadow-replay: %s: %s\n", a->log, strerror(-error));
		return error < 0 ? 125 : 0;
	}
	traced.trace_events = true;
	traced.mute = true;
	session_replay(r, &traced, print_event, &out, &result);
	return result.status == 125 ? 125 : 0;
}

static struct evlog_reader *open_log(const char *path)
{
	struct evlog_damage damage = {0};
	struct evlog_reader *r;
	int error = evlog_reader_open(path, &damage, &r);

	if (error == 0)
		return r;
	if (error == -EBADMSG)
		fprintf(stderr, "shadow-replay: %s: %s: %s, at byte %" PRIu64 "\n", path,
			damage.section, damage.what, damage.offset);
	else
		fprintf(stderr, "shadow-replay: %s: %s\n", path, strerror(-error));
	return NULL;
}

int main(int argc, char **argv)
{
	struct argp argp = {options, parse_option, "LOG [info|events]", doc, NULL, NULL, NULL};
	struct arguments a = {0};
	struct session_options o = {.tool = "shadow-replay"};
	struct session_result result;
	int status = 0;

	argp_err_exit_status = 125;
	argp_parse(&argp, argc, argv, 0, NULL, &a);
	o.quiet = a.quiet;
	o.perturb = a.perturb;
	struct evlog_reader *r = open_log(a.log);
	if (r == NULL)
		return 125;
	if (a.command == NULL) {
		session_replay(r, &o, NULL, NULL, &result);
		status = result.status;
		if (a.stats && result.events != 0)
			session_stats(&result, a.json, stderr);
	} else if (strcmp(a.command, "events") == 0) {
		status = events(r, &a, &o);
	} else if (a.json) {
		info_json(r);
	} else {
		info_text(r);
	}
	evlog_reader_destroy(r);
	return status;
}
