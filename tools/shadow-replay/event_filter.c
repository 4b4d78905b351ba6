/* See event_filter.h.  Calls are looked up once, when the option is read: an event costs one load.
 */
#include "event_filter.h"

#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "syscall-table/event_print.h"

#define REPEATS_MAX 8u
#define ITEM_MAX    256

static const char bad_call[] = "no call, set or regular expression";

/* Sets of calls that no kind of argument tells, by their names; as strace has them. */
static const struct {
	const char *name, *pattern;
} sets[] = {
	{"%process", "^(fork|vfork|clone3?|execveat|execve|exit|exit_group|wait4|waitid|kill|tkill|"
		     "tgkill|rt_sigqueueinfo|rt_tgsigqueueinfo|pidfd_.*|unshare|setns)$"},
	{"%signal",
	 "^(rt_sig.*|sig.*|kill|tkill|tgkill|pause|signalfd4?|pidfd_send_signal|alarm)$"},
	{"%memory", "^(brk|mmap|munmap|mprotect|mremap|madvise|mincore|msync|mlock.*|munlock.*|"
		    "pkey_.*|mbind|membarrier|memfd_.*|process_madvise|mseal|remap_file_pages)$"},
	{"%time", "^(clock_.*|gettimeofday|settimeofday|time|times|nanosleep|.*itimer|timer_.*|"
		  "timerfd_.*|alarm|adjtimex|rdtscp?|vsyscall)$"},
	{"%network", "^(socket|socketpair|bind|listen|accept4?|connect|shutdown|getsockname|"
		     "getpeername|sendto|recvfrom|sendm?msg|recvm?msg|[gs]etsockopt)$"},
};

void event_filter_init(struct event_filter *filter)
{
	memset(filter, 0, sizeof(*filter));
	filter->last = UINT64_MAX;
}

static bool is_file_call(int32_t nr)
{
	return event_takes(nr, EVENT_TAKES_PATH);
}

static bool is_desc_call(int32_t nr)
{
	return event_takes(nr, EVENT_TAKES_DESCRIPTOR);
}

static bool is_instruction(int32_t nr)
{
	return nr < 0 && event_name(nr) != NULL && strcmp(event_name(nr), "signal") != 0;
}

static bool is_any(int32_t nr)
{
	(void)nr;
	return true;
}

/* Selects what `is` says, or whose name the expression finds; false if there is nothing. */
static bool select_calls(bool *calls, bool (*is)(int32_t nr), const regex_t *regex)
{
	bool any = false;

	for (int32_t nr = EVENT_FILTER_NR_LEAST; nr < EVENT_FILTER_NR_BEHIND; nr++) {
		const char *name = event_name(nr);
		bool found =
			is != NULL ? is(nr) : name != NULL && regexec(regex, name, 0, NULL, 0) == 0;

		calls[nr - EVENT_FILTER_NR_LEAST] |= found;
		any |= found;
	}
	return any;
}

/* The C library's compiler doubles what a "+" repeats, and copies what braces do: each of many is
 * memory without end.  No name of a call takes that many. */
static bool is_costly(const char *pattern)
{
	unsigned plus = 0;

	for (; *pattern != '\0'; pattern++) {
		plus += *pattern == '+';
		if (*pattern == '{' || plus > REPEATS_MAX)
			return true;
	}
	return false;
}

static bool select_pattern(bool *calls, const char *pattern)
{
	regex_t regex;

	if (is_costly(pattern) || regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool any = select_calls(calls, NULL, &regex);
	regfree(&regex);
	return any;
}

static bool select_name(bool *calls, const char *item)
{
	bool any = false;

	for (int32_t nr = EVENT_FILTER_NR_LEAST; nr < EVENT_FILTER_NR_BEHIND; nr++) {
		const char *name = event_name(nr);

		if (name != NULL && strcmp(name, item) == 0)
			any = calls[nr - EVENT_FILTER_NR_LEAST] = true;
	}
	return any;
}

static bool select_item(bool *calls, const char *item)
{
	static const struct {
		const char *name;
		bool (*is)(int32_t nr);
	} kinds[] = {
		{"%file", is_file_call},
		{"%desc", is_desc_call},
		{"%instr", is_instruction},
		{"all", is_any},
	};

	if (strcmp(item, "none") == 0)
		return true;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(item, kinds[i].name) == 0)
			return select_calls(calls, kinds[i].is, NULL);
	}
	for (size_t i = 0; i < sizeof(sets) / sizeof(sets[0]); i++) {
		if (strcmp(item, sets[i].name) == 0)
			return select_pattern(calls, sets[i].pattern);
	}
	return item[0] == '/' ? select_pattern(calls, item + 1) : select_name(calls, item);
}

const char *event_filter_calls(struct event_filter *filter, const char *text)
{
	bool calls[EVENT_FILTER_NR_BEHIND - EVENT_FILTER_NR_LEAST] = {false};
	char item[ITEM_MAX];

	if (strncmp(text, "trace=", 6) == 0)
		text += 6;
	bool others = text[0] == '!';
	for (text += others;; text++) {
		size_t n = strcspn(text, ",");

		snprintf(item, sizeof(item), "%.*s", (int)n, text);
		if (n == 0 || n >= sizeof(item) || !select_item(calls, item))
			return bad_call;
		text += n;
		if (*text == '\0')
			break;
	}
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		filter->calls[i] |= calls[i] != others;
	filter->by_call = true;
	filter->others |= others;
	return NULL;
}

/* A number up to `end`; false if there is none. */
static bool number(const char *text, const char *end, uint64_t *ret)
{
	char *stop;

	errno = 0;
	uint64_t value = strtoull(text, &stop, 10);
	if (*text < '0' || *text > '9' || stop != end || errno != 0)
		return false;
	*ret = value;
	return true;
}

const char *event_filter_task(struct event_filter *filter, const char *text)
{
	uint64_t task;

	if (!number(text, text + strlen(text), &task) || task > UINT32_MAX)
		return "no number of a task";
	if (filter->task_count == EVENT_FILTER_LIST_MAX)
		return "one task too many";
	filter->tasks[filter->task_count++] = (uint32_t)task;
	return NULL;
}

const char *event_filter_path(struct event_filter *filter, const char *text)
{
	if (text[0] == '\0')
		return "no path";
	if (filter->path_count == EVENT_FILTER_LIST_MAX)
		return "one path too many";
	filter->paths[filter->path_count++] = text;
	return NULL;
}

const char *event_filter_range(struct event_filter *filter, const char *text)
{
	const char *dots = strstr(text, ".."), *end = text + strlen(text);
	uint64_t first = 0, last = UINT64_MAX;
	bool good;

	if (dots == NULL) {
		good = number(text, end, &first);
		last = first;
	} else {
		good = (dots == text || number(text, dots, &first)) &&
		       (dots + 2 == end || number(dots + 2, end, &last)) && end - text > 2;
	}
	if (!good || first > last)
		return "no range like 10..20, 10.., ..20 or 10";
	filter->first = first;
	filter->last = last;
	return NULL;
}

static bool passes_task(const struct event_filter *filter, uint32_t task)
{
	for (unsigned i = 0; i < filter->task_count; i++) {
		if (filter->tasks[i] == task)
			return true;
	}
	return filter->task_count == 0;
}

static bool passes_call(const struct event_filter *filter, int32_t nr)
{
	if (!filter->by_call)
		return true;
	if (nr < EVENT_FILTER_NR_LEAST || nr >= EVENT_FILTER_NR_BEHIND)
		return filter->others;
	return filter->calls[nr - EVENT_FILTER_NR_LEAST];
}

/* `path` of `size` bytes is no string: it comes from a log. */
static bool path_is(const char *wanted, const char *path, size_t size)
{
	size_t n = strlen(wanted);

	while (n > 1 && wanted[n - 1] == '/')
		n--;
	if (size < n)
		return false;
	if (wanted[0] == '/')
		return memcmp(path, wanted, n) == 0 && (size == n || n == 1 || path[n] == '/');
	return memcmp(path + size - n, wanted, n) == 0 && (size == n || path[size - n - 1] == '/');
}

static bool has_path(const struct event_view *event, const char *wanted)
{
	struct event_item_view item;

	for (unsigned i = 0; event_item_at(event, i, &item); i++) {
		size_t size = strnlen((const char *)item.bytes, item.head.stored_bytes);

		if (item.head.kind == EVENT_ITEM_STRING &&
		    path_is(wanted, (const char *)item.bytes, size))
			return true;
	}
	return false;
}

static bool has_descriptor(const struct event_view *event, const char *wanted,
			   const struct fd_paths *paths)
{
	for (unsigned i = 0; i < 6; i++) {
		const char *path =
			event_arg_takes(event->head.nr, i, EVENT_TAKES_DESCRIPTOR)
				? fd_paths_find(paths, event->head.task, (int)event->head.args[i])
				: NULL;

		if (path != NULL && path_is(wanted, path, strlen(path)))
			return true;
	}
	return false;
}

static bool passes_path(const struct event_filter *filter, const struct event_view *event,
			const struct fd_paths *paths)
{
	if (filter->path_count == 0)
		return true;
	for (unsigned i = 0; i < filter->path_count; i++) {
		if ((event_takes(event->head.nr, EVENT_TAKES_PATH) &&
		     has_path(event, filter->paths[i])) ||
		    has_descriptor(event, filter->paths[i], paths))
			return true;
	}
	return false;
}

bool event_filter_passes(const struct event_filter *filter, const struct event_view *event,
			 const struct fd_paths *paths)
{
	return event->head.number >= filter->first && event->head.number <= filter->last &&
	       passes_task(filter, event->head.task) && passes_call(filter, event->head.nr) &&
	       passes_path(filter, event, paths);
}
