/* Command line, environment, configuration: see compare.h. */
#include "compare.h"

#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

static json_t *text_or_null(const char *s)
{
	return s != NULL ? json_text(s) : json_null();
}

static json_t *list(const struct evlog_strings *strings)
{
	json_t *array = json_array();

	for (size_t i = 0; i < strings->count; i++)
		json_array_append_new(array, json_text(strings->at[i]));
	return array;
}

static bool lists_equal(const struct evlog_strings *a, const struct evlog_strings *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->at[i], b->at[i]) != 0)
			return false;
	}
	return true;
}

static void add(json_t *array, const char *name, const char *a, const char *b)
{
	json_array_append_new(array, json_pack("{s:o, s:o, s:o}", "name", json_text(name), "a",
					       text_or_null(a), "b", text_or_null(b)));
}

/* ---- the environment: by name, though nothing forbids strings without one, or one twice ---- */

static size_t name_size(const char *variable)
{
	return strcspn(variable, "=");
}

/* The value of that occurrence of a name, or NULL. */
static const char *value_of(const struct evlog_strings *env, const char *variable, size_t nth)
{
	size_t n = name_size(variable);

	for (size_t i = 0; i < env->count; i++) {
		const char *v = env->at[i];

		if (name_size(v) == n && memcmp(v, variable, n) == 0 && nth-- == 0)
			return v[n] == '=' ? v + n + 1 : v + n;
	}
	return NULL;
}

/* How often the name of variable i came before it. */
static size_t nth_of(const struct evlog_strings *env, size_t i)
{
	size_t n = name_size(env->at[i]), nth = 0;

	for (size_t k = 0; k < i; k++)
		nth += name_size(env->at[k]) == n && memcmp(env->at[k], env->at[i], n) == 0;
	return nth;
}

/* Variables of x against y: those that differ, or with `missing` only those that y lacks. */
static void compare_variables(const struct evlog_strings *x, const struct evlog_strings *y,
			      bool missing, json_t *array)
{
	for (size_t i = 0; i < x->count; i++) {
		size_t nth = nth_of(x, i);
		const char *in_x = value_of(x, x->at[i], nth), *in_y = value_of(y, x->at[i], nth);
		char *name = strndup(x->at[i], name_size(x->at[i]));

		if (name != NULL && missing && in_y == NULL)
			add(array, name, NULL, in_x);
		else if (name != NULL && !missing && (in_y == NULL || strcmp(in_x, in_y) != 0))
			add(array, name, in_x, in_y);
		free(name);
	}
}

static void compare_environment(const struct evlog_strings *a, const struct evlog_strings *b,
				json_t *report)
{
	json_t *array = json_array();

	if (lists_equal(a, b)) {
		json_decref(array);
		return;
	}
	compare_variables(a, b, false, array);
	compare_variables(b, a, true, array);
	if (json_array_size(array) == 0)
		add(array, "(the order of the variables)", "", "");
	json_object_set_new(report, "environment", array);
}

/* ---- the configuration: keys are sorted ---- */

static void compare_configuration(const struct evlog_pairs *a, const struct evlog_pairs *b,
				  json_t *report)
{
	json_t *array = json_array();
	size_t i = 0, k = 0;

	while (i < a->pair_count || k < b->pair_count) {
		int order = i == a->pair_count	 ? 1
			    : k == b->pair_count ? -1
						 : strcmp(a->at[2 * i], b->at[2 * k]);
		const char *in_a = order <= 0 ? a->at[2 * i + 1] : NULL;
		const char *in_b = order >= 0 ? b->at[2 * k + 1] : NULL;

		if (in_a == NULL || in_b == NULL || strcmp(in_a, in_b) != 0)
			add(array, in_a != NULL ? a->at[2 * i] : b->at[2 * k], in_a, in_b);
		i += order <= 0;
		k += order >= 0;
	}
	if (json_array_size(array) > 0)
		json_object_set(report, "configuration", array);
	json_decref(array);
}

int compare_header(const struct log_pair *logs, json_t *report)
{
	const struct evlog_header *a = evlog_reader_header(logs->reader[0]);
	const struct evlog_header *b = evlog_reader_header(logs->reader[1]);

	if (!lists_equal(&a->argv, &b->argv))
		json_object_set_new(
			report, "arguments",
			json_pack("{s:o, s:o}", "a", list(&a->argv), "b", list(&b->argv)));
	if (strcmp(a->cwd, b->cwd) != 0)
		json_object_set_new(
			report, "folder",
			json_pack("{s:o, s:o}", "a", json_text(a->cwd), "b", json_text(b->cwd)));
	compare_environment(&a->env, &b->env, report);
	compare_configuration(&a->config, &b->config, report);
	return 0;
}
