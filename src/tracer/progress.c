/* See progress.h.  Owns the knowledge of whether a line stands on the terminal, and since when. */
#include "progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

static bool shown;
static time_t shown_at;

bool progress_wanted(void)
{
	return isatty(2) && !isatty(1);
}

void progress_show(const char *format, ...)
{
	struct timespec now;
	va_list ap;

	clock_gettime(CLOCK_MONOTONIC, &now);
	if (shown_at == now.tv_sec)
		return;
	shown_at = now.tv_sec;
	shown = true;
	fprintf(stderr, "\r\033[K");
	va_start(ap, format);
	vfprintf(stderr, format, ap);
	va_end(ap);
	fflush(stderr);
}

void progress_clear(void)
{
	if (shown)
		fprintf(stderr, "\r\033[K");
	shown = false;
}
