/*
 * shadow-trace pack LOG: puts the contents of the files into a log that was recorded with
 * --no-image.  The new log is written beside the old one and takes its place when it is complete.
 */
#include "pack.h"

#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log/image_pack.h"

#define TOOL	    "shadow-trace"
#define OUR_FAILURE 125

static error_t parse(int key, char *arg, struct argp_state *state)
{
	const char **log = state->input;

	switch (key) {
	case ARGP_KEY_ARG:
		if (*log != NULL)
			argp_error(state, "one log at a time");
		*log = arg;
		return 0;
	case ARGP_KEY_NO_ARGS:
		argp_error(state, "which log?");
		return 0;
	default:
		return ARGP_ERR_UNKNOWN;
	}
}

static int say(const char *log, const char *what)
{
	fprintf(stderr, TOOL ": %s: %s\n", log, what);
	return OUR_FAILURE;
}

static int say_damage(const char *log, const struct evlog_damage *damage)
{
	fprintf(stderr, TOOL ": %s: %s: %s (at byte %" PRIu64 ")\n", log, damage->section,
		damage->what, damage->offset);
	return OUR_FAILURE;
}

static int say_error(const char *log, struct evlog_reader *reader, int error)
{
	const char *why, *path = evlog_reader_differs(reader, &why);

	if (error == -ESTALE && path != NULL) {
		fprintf(stderr, TOOL ": %s: %s is not what was recorded: %s\n", log, path, why);
		return OUR_FAILURE;
	}
	if (error == -EBADMSG)
		return say_damage(log, evlog_reader_damage(reader));
	return say(log, strerror(-error));
}

/* Packs into a file beside the log, and renames it over. */
static int replace(const char *log, struct evlog_reader *reader)
{
	char path[PATH_MAX], fresh[PATH_MAX + 32];

	if (realpath(log, path) == NULL)
		return say(log, strerror(errno));
	snprintf(fresh, sizeof(fresh), "%s.pack-%d", path, (int)getpid());
	int error = image_pack(reader, fresh);
	if (error == 0 && rename(fresh, path) < 0) {
		error = -errno;
		unlink(fresh);
	}
	return error == 0 ? 0 : say_error(log, reader, error);
}

static int pack(const char *log, struct evlog_reader *reader)
{
	if (evlog_reader_state(reader) != EVLOG_WHOLE)
		return say_damage(log, evlog_reader_damage(reader));
	if (!evlog_reader_by_name(reader)) {
		fprintf(stderr, TOOL ": %s: already holds its files; nothing to do\n", log);
		return 0;
	}
	return replace(log, reader);
}

int pack_main(int argc, char **argv)
{
	static const struct argp argp = {
		NULL,
		parse,
		"LOG",
		"put the contents of the files into a log recorded with --no-image\v"
		"The files must still be what they were; the first that is not is named, and the "
		"log stays as it is.",
		NULL,
		NULL,
		NULL};
	struct evlog_damage damage = {0};
	struct evlog_reader *reader;
	const char *log = NULL;

	argp_parse(&argp, argc, argv, 0, NULL, &log);
	int error = evlog_reader_open(log, &damage, &reader);
	if (error == -EBADMSG && damage.what != NULL)
		return say_damage(log, &damage);
	if (error < 0)
		return say(log, strerror(-error));
	int status = pack(log, reader);
	evlog_reader_destroy(reader);
	return status;
}
