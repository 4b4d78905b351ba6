/*
 * Turns decoded event records into text and JSON.
 *
 * Owns the printer's rows: one for every system call (generated from syscalls.tbl), one for every
 * other kind of event. Invariant: everything recorded reaches the output through arg_print or the
 * bounds of an item view, and as quoted text, so a hostile log cannot make a line look like two.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <string.h>

#include "arg_print.h"
#include "event_print.h"
#include "syscall_nr.h"
#include "syscall_row.h"

#define ERRNO_MAX 4095

struct print_row {
	const char *name;
	uint8_t nargs;
	uint8_t flags; /* enum syscall_flag */
	uint8_t kinds[6];
};

static const struct print_row syscall_rows[SYSCALL_NR_END] = {
#include "syscall_rows.inc"
};

/* Events that are not system calls, by the negated number. */
static const struct print_row other_rows[] = {
	[-EVENT_RDTSC] = {"rdtsc", 0, SYSCALL_ADDRESS, {0}},
	[-EVENT_RDTSCP] = {"rdtscp", 0, SYSCALL_ADDRESS, {0}},
	[-EVENT_CPUID] = {"cpuid", 2, SYSCALL_NORETURN, {ARG_HEX, ARG_HEX}},
	[-EVENT_RDRAND] = {"rdrand", 1, SYSCALL_ADDRESS, {ARG_UINT}},
	[-EVENT_RDSEED] = {"rdseed", 1, SYSCALL_ADDRESS, {ARG_UINT}},
	[-EVENT_XGETBV] = {"xgetbv", 1, SYSCALL_ADDRESS, {ARG_UINT}},
	[-EVENT_RDPID] = {"rdpid", 0, SYSCALL_ADDRESS, {0}},
	[-EVENT_XBEGIN] = {"xbegin", 0, SYSCALL_ADDRESS, {0}},
	[-EVENT_SIGNAL] = {"signal", 4, 0, {ARG_SIGNAL, ARG_INT, ARG_PTR, ARG_HEX}},
	[-EVENT_VSYSCALL] = {"vsyscall", 3, 0, {ARG_UINT, ARG_PTR, ARG_PTR}},
	[-EVENT_SPIN] = {"spin", 1, SYSCALL_NORETURN, {ARG_PTR}},
	[-EVENT_YIELD] = {"yield_point", 1, SYSCALL_NORETURN, {ARG_PTR}},
	[-EVENT_PAUSE] = {"pause_insn", 0, SYSCALL_NORETURN, {0}},
};

/* What a number without a row looks like: a log of a later version may have them. */
static const struct print_row unknown_row = {
	NULL, 6, 0, {ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX, ARG_HEX}};

static const struct print_row *find_row(int32_t nr)
{
	const struct print_row *row = NULL;

	if (nr >= 0 && nr < SYSCALL_NR_END)
		row = &syscall_rows[nr];
	else if (nr < 0 && nr >= EVENT_NR_LEAST)
		row = &other_rows[-nr];
	return row && row->name ? row : &unknown_row;
}

const char *event_name(int32_t nr)
{
	return find_row(nr)->name;
}

bool event_arg_takes(int32_t nr, unsigned int arg, enum event_takes what)
{
	const struct print_row *row = find_row(nr);
	uint8_t kind = arg < row->nargs ? row->kinds[arg] : (uint8_t)ARG_INT;

	if (what == EVENT_TAKES_PATH)
		return kind == ARG_PATH;
	return kind == ARG_FD || kind == ARG_DIRFD;
}

bool event_takes(int32_t nr, enum event_takes what)
{
	unsigned int i;

	for (i = 0; i < 6; i++) {
		if (event_arg_takes(nr, i, what))
			return true;
	}
	return false;
}

/* How many arguments a futex operation looks at. */
static unsigned int futex_args(uint64_t op)
{
	switch (op & FUTEX_CMD_MASK) {
	case FUTEX_WAKE:
		return 3;
	case FUTEX_WAIT:
	case FUTEX_LOCK_PI:
		return 4;
	case FUTEX_REQUEUE:
		return 5;
	default:
		return 6;
	}
}

static bool fcntl_takes_arg(uint64_t command)
{
	switch ((int)command) {
	case F_GETFD:
	case F_GETFL:
	case F_GETOWN:
	case F_GETSIG:
	case F_GETLEASE:
	case F_GETPIPE_SZ:
	case F_GET_SEALS:
		return false;
	default:
		return true;
	}
}

/* The arguments that mean something: some calls ignore the last ones, by what an earlier says. */
static unsigned int args_used(const struct event_view *event, const struct print_row *row)
{
	const uint64_t *args = event->head.args;
	unsigned int i;

	for (i = 0; i < row->nargs; i++) {
		if (row->kinds[i] == ARG_OPEN_MODE && !(args[i - 1] & (O_CREAT | __O_TMPFILE)))
			return i;
		if (row->kinds[i] == ARG_FCNTL_ARG && !fcntl_takes_arg(args[i - 1]))
			return i;
		if (row->kinds[i] == ARG_FUTEX_OP)
			return futex_args(args[i]);
	}
	return row->nargs;
}

unsigned int event_args_used(const struct event_view *event)
{
	return args_used(event, find_row(event->head.nr));
}

bool event_arg_is_address(const struct event_view *event, unsigned int arg)
{
	const struct print_row *row = find_row(event->head.nr);

	if (arg >= row->nargs || row == &unknown_row)
		return false;
	return row->kinds[arg] == ARG_PTR ||
	       arg_flow((enum arg_kind)row->kinds[arg]) != FLOW_SCALAR;
}

bool event_result_is_address(const struct event_view *event)
{
	return event->head.nr >= 0 && find_row(event->head.nr)->flags & SYSCALL_ADDRESS;
}

size_t event_arg_struct(const struct event_view *event, unsigned int arg,
			enum event_item_kind *ret_kind)
{
	const struct print_row *row = find_row(event->head.nr);
	unsigned int kind = arg < row->nargs ? row->kinds[arg] : ARG_INT;
	bool out = arg_flow((enum arg_kind)kind) == FLOW_OUT;

	if (arg >= args_used(event, row) || event->head.args[arg] == 0 ||
	    (out && event->head.result < 0))
		return 0;
	*ret_kind = out ? EVENT_ITEM_OUT : EVENT_ITEM_IN;
	return arg_struct_size((enum arg_kind)kind);
}

static bool is_error(const struct event_view *event)
{
	return (event->head.nr >= 0 || event->head.nr == EVENT_VSYSCALL) &&
	       event->head.result < 0 && event->head.result >= -ERRNO_MAX;
}

static void print_error(FILE *out, int error)
{
	const char *name = strerrorname_np(error);

	if (name)
		fprintf(out, "-1 %s (%s)", name, strerrordesc_np(error));
	else
		fprintf(out, "-1 (error %d)", error);
}

static void print_result(FILE *out, const struct event_view *event, const struct print_row *row)
{
	fputs(" = ", out);
	if (event->head.flags & EVENT_NO_RESULT || row->flags & SYSCALL_NORETURN)
		fputc('?', out);
	else if (is_error(event))
		print_error(out, (int)-event->head.result);
	else if (row->flags & SYSCALL_ADDRESS)
		fprintf(out, event->head.result ? "%#" PRIx64 : "%" PRIx64,
			(uint64_t)event->head.result);
	else
		fprintf(out, "%" PRId64, event->head.result);
	if (event->head.flags & EVENT_REFUSED)
		fputs(" (refused)", out);
}

static void print_signal(FILE *out, const struct event_view *event)
{
	const uint64_t *args = event->head.args;

	fputs("--- ", out);
	arg_print_signal(out, (int)args[0]);
	fprintf(out, " {si_code=%d, pid_or_address=%#" PRIx64 ", handler=", (int)args[1], args[3]);
	if (args[2])
		fprintf(out, "%#" PRIx64 "} ---", args[2]);
	else
		fputs("SIG_DFL} ---", out);
}

/* What cpuid answered stands in the arguments after the two it was asked with. */
static void print_cpuid_answer(FILE *out, const struct event_view *event)
{
	const uint64_t *args = event->head.args;

	fprintf(out, " = {eax=%#" PRIx64 ", ebx=%#" PRIx64 ", ecx=%#" PRIx64 ", edx=%#" PRIx64 "}",
		args[2], args[3], args[4], args[5]);
}

static void print_call(FILE *out, const struct event_view *event, size_t string_max)
{
	const struct print_row *row = find_row(event->head.nr);
	unsigned int nargs = args_used(event, row);
	unsigned int i;

	if (row->name)
		fputs(row->name, out);
	else
		fprintf(out, "syscall_%" PRId32, event->head.nr);
	fputc('(', out);
	for (i = 0; i < nargs; i++) {
		fputs(i ? ", " : "", out);
		arg_print(out, event, i, row->kinds[i], string_max);
	}
	fputc(')', out);
	if (event->head.nr == EVENT_CPUID)
		print_cpuid_answer(out, event);
	else
		print_result(out, event, row);
}

int event_print(FILE *out, const struct event_view *event, size_t string_max)
{
	fprintf(out, "%" PRIu64 " %" PRIu32 " ", event->head.number, event->head.task);
	if (event->head.nr == EVENT_SIGNAL)
		print_signal(out, event);
	else
		print_call(out, event, string_max);
	fputc('\n', out);
	return ferror(out) ? -EIO : 0;
}

/* One argument as text, a new string; NULL without memory. */
static json_t *arg_to_json(const struct event_view *event, unsigned int arg, enum arg_kind kind)
{
	char *text = NULL;
	size_t size_bytes = 0;
	FILE *out = open_memstream(&text, &size_bytes);
	json_t *json = NULL;

	if (!out)
		return NULL;
	arg_print(out, event, arg, kind, EVENT_STRING_MAX);
	if (!fclose(out))
		json = json_stringn(text, size_bytes);
	free(text);
	return json;
}

static json_t *args_to_json(const struct event_view *event)
{
	const struct print_row *row = find_row(event->head.nr);
	unsigned int nargs = args_used(event, row);
	json_t *array = json_array();
	unsigned int i;

	for (i = 0; i < nargs; i++) {
		if (json_array_append_new(array, arg_to_json(event, i, row->kinds[i])))
			break;
	}
	if (i == nargs)
		return array;
	json_decref(array);
	return NULL;
}

static json_t *raw_to_json(const struct event_view *event)
{
	const uint64_t *args = event->head.args;

	return json_pack("[o, o, o, o, o, o]", json_sprintf("%#" PRIx64, args[0]),
			 json_sprintf("%#" PRIx64, args[1]), json_sprintf("%#" PRIx64, args[2]),
			 json_sprintf("%#" PRIx64, args[3]), json_sprintf("%#" PRIx64, args[4]),
			 json_sprintf("%#" PRIx64, args[5]));
}

static json_t *flags_to_json(const struct event_view *event)
{
	static const struct {
		uint32_t flag;
		const char *name;
	} names[] = {
		{EVENT_PARKED, "parked"},
		{EVENT_REFUSED, "refused"},
		{EVENT_ITEMS_CUT, "items_cut"},
	};
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (event->head.flags & names[i].flag &&
		    json_array_append_new(array, json_string(names[i].name))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *hex_to_json(const uint8_t *bytes, size_t size_bytes)
{
	static const char digits[] = "0123456789abcdef";
	char *text = malloc(2 * size_bytes + 1);
	json_t *json;
	size_t i;

	if (!text)
		return NULL;
	for (i = 0; i < size_bytes; i++) {
		text[2 * i] = digits[bytes[i] >> 4];
		text[2 * i + 1] = digits[bytes[i] & 15];
	}
	json = json_stringn(text, 2 * size_bytes);
	free(text);
	return json;
}

static json_t *item_to_json(const struct event_item_view *item)
{
	static const char *const kinds[] = {
		[EVENT_ITEM_STRING] = "string", [EVENT_ITEM_STRINGS] = "strings",
		[EVENT_ITEM_IN] = "in",		[EVENT_ITEM_OUT] = "out",
		[EVENT_ITEM_ORIGIN] = "origin", [EVENT_ITEM_ADDRESS] = "address",
		[EVENT_ITEM_PARTS] = "parts",	[EVENT_ITEM_CONTROL] = "control",
	};

	return json_pack("{s:i, s:s, s:I, s:o}", "arg", item->head.arg, "kind",
			 kinds[item->head.kind], "full_bytes", (json_int_t)item->head.full_bytes,
			 "data", hex_to_json(item->bytes, item->head.stored_bytes));
}

static json_t *items_to_json(const struct event_view *event)
{
	struct event_item_view item;
	json_t *array = json_array();
	size_t i;

	for (i = 0; event_item_at(event, i, &item); i++) {
		if (json_array_append_new(array, item_to_json(&item))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static int add_result(json_t *json, const struct event_view *event)
{
	const struct print_row *row = find_row(event->head.nr);

	if (event->head.flags & EVENT_NO_RESULT || row->flags & SYSCALL_NORETURN)
		return 0;
	if (is_error(event)) {
		const char *name = strerrorname_np((int)-event->head.result);

		if (json_object_set_new(json, "error", json_string(name ? name : "unknown")))
			return -ENOMEM;
	}
	return json_object_set_new(json, "result", json_integer(event->head.result)) ? -ENOMEM : 0;
}

int event_to_json(const struct event_view *event, json_t **ret_json)
{
	const struct event_record *head = &event->head;
	const char *name = event_name(head->nr);
	json_t *json;

	json = json_pack("{s:I, s:I, s:I, s:i, s:s*, s:o, s:o, s:o, s:o, s:o}", "number",
			 (json_int_t)head->number, "task", (json_int_t)head->task, "time_ns",
			 (json_int_t)head->time_ns, "nr", (int)head->nr, "name", name, "args",
			 args_to_json(event), "raw", raw_to_json(event), "flags",
			 flags_to_json(event), "digest", json_sprintf("%016" PRIx64, head->digest),
			 "items", items_to_json(event));
	if (!json)
		return -ENOMEM;
	if (add_result(json, event) < 0) {
		json_decref(json);
		return -ENOMEM;
	}
	*ret_json = json;
	return 0;
}
