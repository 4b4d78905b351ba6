/* How the runs ended: see compare.h. */
#include "compare.h"

#include <string.h>
#include <sys/wait.h>

#include "base/json_text.h"

json_t *compare_hash(const uint8_t hash[EVLOG_HASH_SIZE])
{
	char out[2 * EVLOG_HASH_SIZE + 1] = "";

	for (size_t i = 0; i < EVLOG_HASH_SIZE; i++)
		snprintf(out + 2 * i, 3, "%02x", hash[i]);
	return json_string(out);
}

static const struct evlog_output *output_find(struct evlog_reader *reader,
					      const struct evlog_output *like)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(reader, &count);

	for (size_t i = 0; i < count; i++) {
		if (outputs[i].kind == like->kind && strcmp(outputs[i].name, like->name) == 0)
			return &outputs[i];
	}
	return NULL;
}

static json_t *output_json(const struct evlog_output *o)
{
	if (o == NULL)
		return json_null();
	return json_pack("{s:I, s:o}", "bytes", (json_int_t)o->size_bytes, "sha256",
			 compare_hash(o->hash));
}

static bool outputs_equal(const struct evlog_output *a, const struct evlog_output *b)
{
	return a != NULL && b != NULL && a->size_bytes == b->size_bytes &&
	       memcmp(a->hash, b->hash, sizeof(a->hash)) == 0;
}

/* Outputs of log `from`; those that both have are seen to with the first. */
static void compare_outputs(const struct log_pair *logs, int from, json_t *list)
{
	size_t count;
	const struct evlog_output *outputs = evlog_reader_outputs(logs->reader[from], &count);

	for (size_t i = 0; i < count; i++) {
		const struct evlog_output *other = output_find(logs->reader[!from], &outputs[i]);
		const struct evlog_output *a = from == 0 ? &outputs[i] : other;
		const struct evlog_output *b = from == 0 ? other : &outputs[i];

		if (outputs_equal(a, b) || (from == 1 && other != NULL))
			continue;
		json_array_append_new(list, json_pack("{s:o, s:o, s:o}", "name",
						      json_text(outputs[i].name), "a",
						      output_json(a), "b", output_json(b)));
	}
}

static int exit_status(int32_t status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int compare_end(const struct log_pair *logs, json_t *report)
{
	const struct evlog_end *a = evlog_reader_end(logs->reader[0]);
	const struct evlog_end *b = evlog_reader_end(logs->reader[1]);
	json_t *list = json_array();

	if (a == NULL || b == NULL) {
		json_decref(list);
		return 0;
	}
	compare_outputs(logs, 0, list);
	compare_outputs(logs, 1, list);
	if (json_array_size(list) > 0)
		json_object_set(report, "outputs", list);
	json_decref(list);
	const char *kinds[2] = {evlog_end_kind_name(a->kind), evlog_end_kind_name(b->kind)};
	if (strcmp(kinds[0], kinds[1]) != 0)
		json_object_set_new(report, "end",
				    json_pack("{s:s, s:s}", "a", kinds[0], "b", kinds[1]));
	if (a->status != b->status)
		json_object_set_new(report, "status",
				    json_pack("{s:i, s:i}", "a", exit_status(a->status), "b",
					      exit_status(b->status)));
	if (a->events != b->events)
		json_object_set_new(report, "events",
				    json_pack("{s:I, s:I}", "a", (json_int_t)a->events, "b",
					      (json_int_t)b->events));
	return 0;
}
