/* shadow-trace run --verify: the same program twice. */
#ifndef SHADOW_TRACE_VERIFY_H
#define SHADOW_TRACE_VERIFY_H

#include "tracer/session.h"

/*
 * Runs twice, the second time without showing the output, and compares digests, statuses and
 * outputs.  ret_result is that of the first run; its status is 125, and a line on stderr says so,
 * if they differ.  Standard input that is no file is read to its end first.
 */
void verify_run(const struct session_options *options, struct session_result *ret_result);

#endif
