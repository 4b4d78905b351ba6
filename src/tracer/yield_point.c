/* See yield_point.h.  What is parsed may come from a log. */
#include "yield_point.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_hex(const char *text, size_t size)
{
	return size > 0 && size <= 16 && strspn(text, "0123456789abcdefABCDEF") >= size;
}

int yield_point_parse(const char *text, size_t size, struct region_yield *ret_point)
{
	const char *plus = memrchr(text, '+', size);
	size_t name = plus != NULL ? (size_t)(plus - text) : 0;

	if (name == 0 || name >= YIELD_OBJECT_MAX || memchr(text, ',', size) != NULL)
		return -EINVAL;
	const char *digits = plus + 1;
	if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X'))
		digits += 2;
	if (text + size < digits || !is_hex(digits, (size_t)(text + size - digits)))
		return -EINVAL;
	memset(ret_point, 0, sizeof(*ret_point));
	memcpy(ret_point->object, text, name);
	ret_point->address = strtoull(digits, NULL, 16);
	return 0;
}

void yield_point_print(const struct region_yield *point, char text[YIELD_TEXT_MAX])
{
	snprintf(text, YIELD_TEXT_MAX, "%s+0x%" PRIx64, point->object, point->address);
}

int yield_points_parse(const char *text, struct region_config *config)
{
	int error = 0;

	while (error == 0 && *text != '\0') {
		size_t size = strcspn(text, ",");

		if (config->yield_count == YIELD_POINTS_MAX)
			return -EINVAL;
		error = yield_point_parse(text, size, &config->yields[config->yield_count++]);
		text += size + (text[size] == ',');
	}
	return error;
}

bool yield_point_is_in(const struct region_yield *point, const char *path)
{
	const char *last = strrchr(path, '/');

	if (strchr(point->object, '/') == NULL && last != NULL)
		path = last + 1;
	return strcmp(point->object, path) == 0;
}
