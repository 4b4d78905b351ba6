#include <ctype.h>
#include "all.h"

char *text_upper(const char *text)
{
	char *copy = strdup(text);

	for (char *at = copy; *at; at++)
		*at = (char)toupper((unsigned char)*at);
	return copy;
}
