/*
 * See stats.h.  Owns the names of the calls, generated from syscalls.tbl.  A figure of a number
 * without a name is shown by its number: programs call what they like.
 */
#include "stats.h"

#include <inttypes.h>

#include "../syscall-table/arg_print.h"
#include "../syscall-table/syscall_row.h"
#include "syscall_nr.h"

struct stats_row {
	const char *name;
	uint8_t nargs;
	uint8_t flags; /* enum syscall_flag */
	uint8_t kinds[6];
};

static const struct stats_row rows[SESSION_CALLS] = {
#include "syscall_rows.inc"
};

_Static_assert(SYSCALL_NR_END <= SESSION_CALLS, "every call has its figures");

static const char *name_of(int nr, char buf[16])
{
	if (rows[nr].name != NULL)
		return rows[nr].name;
	snprintf(buf, 16, "call %d", nr);
	return buf;
}

static const char *const phase_names[PHASE_COUNT] = {"prepare", "launch", "run", "finish", "end"};

static void print_json(const struct session_result *r, FILE *out)
{
	const char *comma = "";
	char buf[16];

	fprintf(out,
		"{\"digest\": \"%016" PRIx64 "\", \"events\": %" PRIu64 ", \"trapped\": %" PRIu64
		", \"image_ns\": %" PRIu64 ", \"phase_ns\": {",
		r->digest, r->events, r->trapped, r->image_ns);
	for (int i = 0; i < PHASE_COUNT; i++)
		fprintf(out, "%s\"%s\": %" PRIu64, i ? ", " : "", phase_names[i], r->phase_ns[i]);
	fprintf(out, "}, \"by_call\": {");
	for (int i = 0; i < SESSION_CALLS; i++) {
		if (r->call_count[i] == 0)
			continue;
		fprintf(out, "%s\"%s\": {\"events\": %u, \"trapped\": %u, \"refused\": %u}", comma,
			name_of(i, buf), r->call_count[i], r->call_trapped[i], r->refused[i]);
		comma = ", ";
	}
	fprintf(out, "}}\n");
}

static void print_table(const struct session_result *r, FILE *out)
{
	char buf[16];

	fprintf(out, "%-24s %12s %12s %12s\n", "call", "in the shim", "trapped", "refused");
	for (int i = 0; i < SESSION_CALLS; i++) {
		if (r->call_count[i] != 0)
			fprintf(out, "%-24s %12u %12u %12u\n", name_of(i, buf),
				r->call_count[i] - r->call_trapped[i], r->call_trapped[i],
				r->refused[i]);
	}
	fprintf(out, "%-24s %12" PRIu64 " %12" PRIu64 "\n", "all, with instructions",
		r->events - r->trapped, r->trapped);
	fprintf(out, "events %" PRIu64 ", digest %016" PRIx64 "\nmilliseconds:", r->events,
		r->digest);
	for (int i = 0; i < PHASE_COUNT; i++)
		fprintf(out, "%s %s %.1f", i ? "," : "", phase_names[i],
			(double)r->phase_ns[i] / 1e6);
	fprintf(out, "\n");
}

void stats_print(const struct session_result *result, bool json, FILE *out)
{
	if (json)
		print_json(result, out);
	else
		print_table(result, out);
}

void stats_print_refused(const struct session_result *result, const char *tool, FILE *out)
{
	char buf[16];

	for (int i = 0; i < SESSION_CALLS; i++) {
		uint32_t times = result->refused[i];

		if (times != 0 && !(rows[i].flags & SYSCALL_QUIET))
			fprintf(out, "%s: refused: %s, %u time%s\n", tool, name_of(i, buf), times,
				times == 1 ? "" : "s");
	}
}
