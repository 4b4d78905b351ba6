/* See json_text.h. */
#include "json_text.h"

#include <stdlib.h>
#include <string.h>

json_t *json_text(const char *text)
{
	json_t *value = text != NULL ? json_string(text) : NULL;

	if (value != NULL || text == NULL)
		return value;
	char *copy = strdup(text);
	for (char *p = copy; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p >= 0x80)
			*p = '?';
	}
	value = copy != NULL ? json_string(copy) : NULL;
	free(copy);
	return value;
}
