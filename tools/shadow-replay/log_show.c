/*
 * See log_show.h.  Both forms of `info` come from one JSON object, so that they cannot say
 * different things.  Strings of a log that are not UTF-8 are shown with their bytes replaced.
 */
#include "log_show.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "base/json_text.h"
#include "syscall-table/event_print.h"

static json_t *list(const struct evlog_strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strings->count; i++)
		json_array_append_new(array, json_text(strings->at[i]));
	return array;
}

static json_t *pairs(const struct evlog_pairs *p)
{
	json_t *object = json_object();

	for (size_t i = 0; i < p->pair_count; i++)
		json_object_set_new(object, p->at[2 * i], json_text(p->at[2 * i + 1]));
	return object;
}

static int count_entry(void *arg, const struct image_entry *entry)
{
	uint64_t *counts = arg;

	if (entry->kind < IMAGE_KINDS)
		counts[entry->kind]++;
	if (entry->kind == IMAGE_FILE)
		counts[0] += entry->size_bytes;
	return 0;
}

static int add_image(struct evlog_reader *reader, json_t *info)
{
	static const char *const names[IMAGE_KINDS] = {"bytes",	      "absent",	      "symlinks",
						       "directories", "placeholders", "denied",
						       "listings",    "files"};
	uint64_t counts[IMAGE_KINDS] = {0};
	int error = evlog_reader_image_each(reader, count_entry, counts);
	json_t *image = json_object();

	for (int i = 0; i < IMAGE_KINDS; i++)
		json_object_set_new(image, names[i], json_integer((json_int_t)counts[i]));
	json_object_set_new(info, "image", image);
	return error;
}

static json_t *hexadecimal(const uint8_t *bytes, size_t size)
{
	char out[2 * EVLOG_HASH_SIZE + 1] = "";

	for (size_t i = 0; i < size && i < EVLOG_HASH_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
	return json_string(out);
}

json_t *log_show_output(const struct evlog_output *output)
{
	static const char *const kinds[EVLOG_OUTPUT_KINDS] = {"", "stream", "file", "removed"};
	static const uint8_t none[EVLOG_HASH_SIZE];
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(kinds[output->kind]));
	json_object_set_new(o, "name", json_text(output->name));
	json_object_set_new(o, "bytes", json_integer((json_int_t)output->size_bytes));
	if (memcmp(output->hash, none, sizeof(none)) != 0)
		json_object_set_new(o, "sha256", hexadecimal(output->hash, EVLOG_HASH_SIZE));
	return o;
}

static void add_outputs(struct evlog_reader *reader, json_t *info)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(reader, &count);
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, log_show_output(&outputs[i]));
	json_object_set_new(info, "outputs", array);
}

static int exit_status(int32_t status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void add_end(struct evlog_reader *reader, json_t *info)
{
	const struct evlog_end *end = evlog_reader_end(reader);
	char digest[17];

	if (end == NULL)
		return;
	snprintf(digest, sizeof(digest), "%016" PRIx64, end->digest);
	if (end->kind != EVLOG_END_EXIT)
		json_object_set_new(info, "end", json_string(evlog_end_kind_name(end->kind)));
	json_object_set_new(info, "status", json_integer(exit_status(end->status)));
	json_object_set_new(info, "events", json_integer((json_int_t)end->events));
	json_object_set_new(info, "digest", json_string(digest));
}

static const char *state_name(enum evlog_state state)
{
	return state == EVLOG_WHOLE ? "whole" : state == EVLOG_TRUNCATED ? "incomplete" : "damaged";
}

static int info_make(struct evlog_reader *reader, json_t *info)
{
	const struct evlog_header *header = evlog_reader_header(reader);
	int error;

	json_object_set_new(info, "log", json_string(state_name(evlog_reader_state(reader))));
	json_object_set_new(info, "command", list(&header->argv));
	json_object_set_new(info, "folder", json_text(header->cwd));
	json_object_set_new(info, "environment", list(&header->env));
	json_object_set_new(info, "configuration", pairs(&header->config));
	json_object_set_new(info, "host", pairs(evlog_reader_host(reader)));
	error = add_image(reader, info);
	json_object_set_new(info, "epochs",
			    json_integer((json_int_t)evlog_reader_epoch_count(reader)));
	json_object_set_new(info, "events_kept", json_boolean(evlog_reader_has_events(reader)));
	add_outputs(reader, info);
	add_end(reader, info);
	return error;
}

static void print_scalar(const json_t *value, FILE *out)
{
	if (json_is_string(value))
		fprintf(out, "%s", json_string_value(value));
	else
		json_dumpf(value, out, JSON_ENCODE_ANY | JSON_COMPACT);
}

/* One line a value; what is inside a group stands indented below its name. */
static void print_value(const char *name, json_t *value, FILE *out)
{
	const char *key;
	json_t *inner;
	size_t i;

	fprintf(out, "%s:", name);
	if (json_is_object(value)) {
		fprintf(out, "\n");
		json_object_foreach(value, key, inner)
		{
			fprintf(out, "  %-16s ", key);
			print_scalar(inner, out);
			fprintf(out, "\n");
		}
		return;
	}
	json_array_foreach(value, i, inner)
	{
		fprintf(out, "\n  ");
		print_scalar(inner, out);
	}
	if (!json_is_array(value)) {
		fprintf(out, " ");
		print_scalar(value, out);
	}
	fprintf(out, "\n");
}

int log_show_flush(FILE *out)
{
	/* stdio does not keep why a write failed; one more is told the same. */
	bool failed = ferror(out) != 0;

	errno = EIO;
	if (failed && fputc('\n', out) != EOF)
		fflush(out);
	return fflush(out) != 0 || failed ? -errno : 0;
}

int log_show_info(struct evlog_reader *reader, bool json, FILE *out)
{
	json_t *info = json_object(), *value;
	const char *name;

	if (info == NULL)
		return -ENOMEM;
	int error = info_make(reader, info);
	if (json) {
		json_dumpf(info, out, JSON_INDENT(1));
		fprintf(out, "\n");
	} else {
		json_object_foreach(info, name, value) print_value(name, value, out);
	}
	json_decref(info);
	return error != 0 ? error : log_show_flush(out);
}

static int show_one(struct event_show *show, const struct event_view *view)
{
	json_t *object;

	if (!show->json)
		return event_print(show->out, view, EVENT_STRING_MAX);
	int error = event_to_json(view, &object);
	if (error < 0)
		return error;
	json_dumpf(object, show->out, JSON_COMPACT);
	fputc('\n', show->out);
	json_decref(object);
	return ferror(show->out) ? -EIO : 0;
}

static int show_if_passes(struct event_show *show, const struct event_view *view)
{
	int error = show->paths != NULL ? fd_paths_enter(show->paths, view) : 0;

	if (error == 0 && event_filter_passes(show->filter, view, show->paths)) {
		errno = EIO;
		error = show_one(show, view);
		if (error == -EIO)
			error = -errno; /* why the stream failed just now */
	}
	if (error == 0 && show->paths != NULL)
		error = fd_paths_leave(show->paths, view);
	return error;
}

void event_show_init(struct event_show *show, FILE *out, bool json,
		     const struct event_filter *filter, const struct evlog_reader *reader)
{
	const char *const stdio[3] = {evlog_reader_config(reader, "stdin-path"),
				      evlog_reader_config(reader, "stdout-path"),
				      evlog_reader_config(reader, "stderr-path")};

	*show = (struct event_show){.out = out, .json = json, .filter = filter};
	if (filter->path_count > 0)
		show->error = fd_paths_create(stdio, &show->paths);
}

void event_show(struct event_show *show, const void *bytes, size_t size)
{
	const uint8_t *at = bytes;
	struct event_view view;

	while (size > 0 && show->error == 0) {
		show->error = event_decode(at, size, &view);
		if (show->error == -ENODATA)
			show->error = -EBADMSG;
		if (show->error < 0)
			return;
		show->error = show_if_passes(show, &view);
		at += view.head.size_bytes;
		size -= view.head.size_bytes;
	}
}

void event_show_finish(struct event_show *show)
{
	fd_paths_destroy(show->paths);
	show->paths = NULL;
}
