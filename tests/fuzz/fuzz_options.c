/*
 * Fuzzes the command lines of the tools.  The first byte chooses the tool; the words are what is
 * between NULs.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define WORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[WORDS_MAX + 2] = {(char[]){"tool"}};
	char *text = malloc(size + 1);
	int argc = 1;

	if (text == NULL || size == 0) {
		free(text);
		return 0;
	}
	memcpy(text, data, size);
	text[size] = '\0';
	for (char *at = text + 1; at < text + size && argc <= WORDS_MAX; at += strlen(at) + 1)
		argv[argc++] = at;
	if (data[0] & 1)
		options_trace(argc, argv);
	else
		options_replay(argc, argv);
	free(text);
	return 0;
}
