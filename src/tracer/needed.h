/*
 * What a program is about to load, before it runs: its interpreter and the libraries it names.  A
 * guess as to where those are; what is not found where libraries usually are is left out.
 */
#ifndef SHADOW_TRACER_NEEDED_H
#define SHADOW_TRACER_NEEDED_H

#include <stddef.h>

#define NEEDED_PATH_MAX 256
#define NEEDED_MAX	16

struct needed {
	char interpreter[NEEDED_PATH_MAX]; /* "": it wants none */
	char libraries[NEEDED_MAX][NEEDED_PATH_MAX];
	size_t count;
};

/* `fd`: the program, open for reading.  Of a file that is no ELF64 x86-64 program nothing is found;
 * the file is hostile and may change meanwhile. */
void needed_find(int fd, struct needed *ret_needed);

#endif
