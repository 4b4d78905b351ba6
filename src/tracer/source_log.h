/* The epochs of a log: the source of a replay. */
#ifndef SHADOW_TRACER_SOURCE_LOG_H
#define SHADOW_TRACER_SOURCE_LOG_H

#include "../log/evlog_reader.h"
#include "container.h"
#include "source_local.h"

struct source_log {
	struct epoch_source base;
	struct source_local signals; /* only its handling of the tool's signals is used */
	struct evlog_reader *reader;
	char divergence[128]; /* where the run left the log, or "" */
};

/*
 * Hands out the epochs of the log, with the chain values recorded for them in EXPECT.  Before each
 * it compares digest and event number with those recorded: -EILSEQ ends the container as diverged.
 * -ENODATA: there is no further whole epoch; the last of a log that just stops is none, because
 * files it used may be missing.  `source` and the reader must live as long as the container.
 */
void source_log_init(struct source_log *source, struct evlog_reader *reader);

#endif
