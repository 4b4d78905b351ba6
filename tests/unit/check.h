/* A test that goes on behind a check that fails, and fails in the end. */
#ifndef SHADOW_TEST_CHECK_H
#define SHADOW_TEST_CHECK_H

#include <stdio.h>

static int failures;

#define CHECK(condition)                                                                \
	do {                                                                            \
		if (!(condition)) {                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition); \
			failures++;                                                     \
		}                                                                       \
	} while (0)

#endif
