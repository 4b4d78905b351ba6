/* The report for people, from its JSON, so that the two cannot say different things. */
#include "compare.h"

#include <ctype.h>
#include <string.h>

#include "inspect/look.h"

#define IMAGE_SHOWN 20 /* differences of the image; --json has all */

static const char *string_of(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s != NULL ? s : "";
}

static void print_value(const json_t *value, FILE *out)
{
	const char *key;
	json_t *inner;
	size_t i;

	if (json_is_string(value)) {
		fputs(json_string_value(value), out);
	} else if (json_is_null(value)) {
		fputs("(none)", out);
	} else if (json_is_array(value)) {
		json_array_foreach(value, i, inner)
		{
			fputs(i > 0 ? " " : "", out);
			json_dumpf(inner, out, JSON_ENCODE_ANY);
		}
	} else if (json_is_object(value)) {
		const char *between = "";

		json_object_foreach((json_t *)value, key, inner)
		{
			fprintf(out, "%s%s ", between, key);
			print_value(inner, out);
			between = ", ";
		}
	} else {
		json_dumpf(value, out, JSON_ENCODE_ANY);
	}
}

static void print_sides(const json_t *item, FILE *out)
{
	fputs("  a: ", out);
	print_value(json_object_get(item, "a"), out);
	fputs("\n  b: ", out);
	print_value(json_object_get(item, "b"), out);
	fputc('\n', out);
}

static void print_pair(const char *name, const json_t *item, FILE *out)
{
	fprintf(out, "%s:\n", name);
	print_sides(item, out);
}

static void print_named(const char *name, const json_t *list, FILE *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		fprintf(out, "%s: %s\n", name, string_of(item, "name"));
		print_sides(item, out);
	}
}

static void print_byte(const json_t *value, FILE *out)
{
	int byte = (int)json_integer_value(value);

	if (!json_is_integer(value))
		fputs("end of file", out);
	else if (byte < 0x80 && isprint(byte))
		fprintf(out, "0x%02x '%c'", (unsigned)byte, byte);
	else
		fprintf(out, "0x%02x", (unsigned)byte);
}

static void print_offset(const json_t *item, FILE *out)
{
	const json_t *offset = json_object_get(item, "offset");

	if (offset == NULL)
		return;
	fprintf(out, "  first at byte %lld", (long long)json_integer_value(offset));
	if (json_object_get(item, "byte_a") != NULL) {
		fputs(": ", out);
		print_byte(json_object_get(item, "byte_a"), out);
		fputs(" against ", out);
		print_byte(json_object_get(item, "byte_b"), out);
	}
	fputc('\n', out);
}

static void print_image(const char *name, const json_t *list, FILE *out)
{
	const json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (i == IMAGE_SHOWN) {
			fprintf(out, "%s: %zu more\n", name, json_array_size(list) - i);
			return;
		}
		fprintf(out, "%s: %s: %s\n", name, string_of(item, "path"),
			string_of(item, "what"));
		print_sides(item, out);
		print_offset(item, out);
	}
}

static void print_looked_at(const char *name, const json_t *both, FILE *out)
{
	static const char *const sides[] = {"a", "b"};
	const json_t *path;
	size_t i;

	(void)name;
	for (int k = 0; k < 2; k++) {
		json_array_foreach(json_object_get(both, sides[k]), i, path)
		{
			if (i == IMAGE_SHOWN)
				break;
			fprintf(out, "only %s looked at %s\n", sides[k], json_string_value(path));
		}
	}
}

static void print_epoch(const char *name, const json_t *item, FILE *out)
{
	fprintf(out, "%s: number %lld is the first that differs: %s\n", name,
		(long long)json_integer_value(json_object_get(item, "number")),
		string_of(item, "what"));
	print_sides(item, out);
	print_offset(item, out);
}

static void print_digests(const char *name, const json_t *item, FILE *out)
{
	fprintf(out, "%s: equal up to event %lld\n", name,
		(long long)json_integer_value(json_object_get(item, "equal_events")));
	print_sides(item, out);
}

static void print_event_side(const char *name, const json_t *look, FILE *out)
{
	const char *line = string_of(json_object_get(look, "event"), "text");

	fprintf(out, "  %s: %s\n", name, json_is_null(look) ? "(the run was over)" : line);
	look_print_stack(look, 4, out);
}

static void print_addresses(const json_t *event, FILE *out)
{
	const json_t *both = json_object_get(event, "addresses");

	if (both == NULL)
		return;
	fprintf(out, "  addresses differ from event %lld on:\n",
		(long long)json_integer_value(json_object_get(event, "addresses_from")));
	fprintf(out, "    a: %s\n", string_of(json_object_get(both, "a"), "text"));
	fprintf(out, "    b: %s\n", string_of(json_object_get(both, "b"), "text"));
}

static void print_event(const char *name, const json_t *event, FILE *out)
{
	json_int_t number = json_integer_value(json_object_get(event, "number"));
	const json_t *item;
	size_t i;

	if (number == 0) {
		fprintf(out, "%s: none differs%s\n", name,
			json_object_get(event, "addresses") != NULL ? " but in addresses" : "");
		print_addresses(event, out);
		return;
	}
	fprintf(out, "%s: %lld is the first that differs", name, (long long)number);
	json_array_foreach(json_object_get(event, "differs"), i, item)
		fprintf(out, "%s%s", i == 0 ? ": " : ", ", json_string_value(item));
	fputc('\n', out);
	print_addresses(event, out);
	json_array_foreach(json_object_get(event, "before"), i, item)
		fprintf(out, "     %s\n", json_string_value(item));
	print_event_side("a", json_object_get(event, "a"), out);
	print_event_side("b", json_object_get(event, "b"), out);
}

static void print_agreement(const char *name, const json_t *item, FILE *out)
{
	const json_t *epoch = json_object_get(item, "epoch");
	const char *ends = string_of(item, "ends");

	fprintf(out, "%s: up to event %lld", name,
		(long long)json_integer_value(json_object_get(item, "event")));
	if (json_is_integer(epoch))
		fprintf(out, ", the end of epoch %lld", (long long)json_integer_value(epoch));
	fprintf(out, ", where %s end%s\n", ends, strcmp(ends, "both") == 0 ? "" : "s");
}

static void print_text(const char *name, const json_t *text, FILE *out)
{
	fprintf(out, "%s: %s\n", name, json_string_value(text));
}

void compare_print(const json_t *report, FILE *out)
{
	static const struct {
		const char *key;
		void (*print)(const char *name, const json_t *value, FILE *out);
	} parts[] = {
		{"arguments", print_pair},    {"folder", print_pair},
		{"environment", print_named}, {"configuration", print_named},
		{"image", print_image},	      {"epochs", print_epoch},
		{"digests", print_digests},   {"event", print_event},
		{"problem", print_text},      {"looked_at", print_looked_at},
		{"outputs", print_named},     {"status", print_pair},
		{"end", print_pair},	      {"events", print_pair},
		{"agree", print_agreement},
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++) {
		const json_t *value = json_object_get(report, parts[i].key);

		if (value != NULL)
			parts[i].print(parts[i].key, value, out);
	}
}
