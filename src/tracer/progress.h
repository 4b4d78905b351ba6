/* A line on the terminal that says how far a run has come; none when nobody looks. */
#ifndef SHADOW_TRACER_PROGRESS_H
#define SHADOW_TRACER_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Whether to show any: stderr is a terminal, and the program's output does not go to one, where the
 * line would run into it.
 */
bool progress_wanted(void);

/* Writes over the line of before, at most once a second.  printf's format. */
void progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Clears the line, if there is one. */
void progress_clear(void);

#endif
