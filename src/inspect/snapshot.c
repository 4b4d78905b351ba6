/* See snapshot.h. */
#include "snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "code_list.h"
#include "../base/json_text.h"
#include "../syscall-table/event_print.h"
#include "code_place.h"
#include "event_line.h"
#include "stack_walk.h"

#define BUFFER_MOST   0x400000 /* bytes of a buffer that are read again */
#define TIME_LIMIT_S  30
#define SNAPSHOT_MOST (64u << 20)

static void set(json_t *object, const char *key, json_t *value)
{
	if (value != NULL)
		json_object_set_new(object, key, value);
}

static json_t *hex64(uint64_t value)
{
	return json_sprintf("%#" PRIx64, value);
}

static json_t *registers(const struct frame *f)
{
	const struct {
		const char *name;
		uint64_t value;
	} all[] = {
		{"rip", f->rip},    {"rsp", f->rsp},	   {"rbp", f->rbp},    {"rax", f->rax},
		{"rdi", f->arg[0]}, {"rsi", f->arg[1]},	   {"rdx", f->arg[2]}, {"r10", f->arg[3]},
		{"r8", f->arg[4]},  {"r9", f->arg[5]},	   {"rbx", f->rbx},    {"rcx", f->rcx},
		{"r11", f->r11},    {"r12", f->r12},	   {"r13", f->r13},    {"r14", f->r14},
		{"r15", f->r15},    {"rflags", f->rflags},
	};
	json_t *object = json_object();

	for (size_t i = 0; i < sizeof(all) / sizeof(*all); i++)
		set(object, all[i].name, hex64(all[i].value));
	return object;
}

static json_t *frame_json(const struct code_place *place, uint64_t address, uint64_t looked_up)
{
	json_t *object = json_object();

	set(object, "address", hex64(address));
	set(object, "function", json_text(place->function));
	if (place->function != NULL)
		set(object, "offset", json_integer((json_int_t)(address - place->function_start)));
	set(object, "file", json_text(place->file));
	if (place->file != NULL)
		set(object, "line", json_integer(place->line));
	set(object, "object", json_text(place->object));
	if (place->object != NULL && place->object_off != 0)
		set(object, "object_offset", hex64(place->object_off + (address - looked_up)));
	return object;
}

/* A caller goes on behind its call, which may be the last of its function: the call is looked up,
 * one byte before; so is a system call. */
static void add_code(struct task_view *view, bool faulted, json_t *out)
{
	struct stack_frame frames[STACK_FRAMES_MAX];
	size_t count = stack_walk(view, frames);
	json_t *backtrace = json_array();
	struct code_places *places;
	struct code_place place;

	frames[0].exact = faulted;
	if (code_places_create(view, &places) < 0) {
		json_decref(backtrace);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		uint64_t at = frames[i].address, lookup = at - !frames[i].exact;

		code_place_find(places, lookup, &place);
		json_array_append_new(backtrace, frame_json(&place, at, lookup));
		if (i == 0)
			set(out, "code", code_list(view, &place, at, faulted));
	}
	set(out, "backtrace", backtrace);
	code_places_destroy(places);
}

static json_t *hexadecimal(const uint8_t *bytes, size_t size)
{
	static const char digits[] = "0123456789abcdef";
	char *out = malloc(2 * size + 1);

	for (size_t i = 0; out != NULL && i < size; i++) {
		out[2 * i] = digits[bytes[i] >> 4];
		out[2 * i + 1] = digits[bytes[i] & 15];
	}
	json_t *value = out != NULL ? json_stringn(out, 2 * size) : NULL;
	free(out);
	return value;
}

static json_t *buffer_json(unsigned arg, unsigned kind, const uint8_t *bytes, size_t size)
{
	return json_pack("{s:i, s:s, s:o}", "arg", (int)arg, "kind",
			 kind == EVENT_ITEM_IN ? "in" : "out", "data", hexadecimal(bytes, size));
}

static void add_buffer(const struct task_view *view, const struct event_item_view *item,
		       uint64_t address, json_t *list)
{
	static uint8_t bytes[BUFFER_MOST];
	uint32_t size = item->head.full_bytes;

	if (size <= sizeof(bytes) && task_view_read(view, address, bytes, size))
		json_array_append_new(list,
				      buffer_json(item->head.arg, item->head.kind, bytes, size));
}

/* ---- structures: the event's record is made anew, with them ---- */

struct fuller_record {
	size_t size;
	_Alignas(8) uint8_t bytes[EVENT_RECORD_MAX_BYTES];
};

static void add_struct(const struct task_view *view, const struct event_view *event, unsigned arg,
		       struct fuller_record *record, json_t *list)
{
	enum event_item_kind kind = EVENT_ITEM_IN;
	size_t size = event_arg_struct(event, arg, &kind), padded = (size + 7) & ~(size_t)7;
	struct event_item item = {(uint8_t)arg, (uint8_t)kind, (uint16_t)size, (uint32_t)size};
	uint8_t *to = record->bytes + record->size;

	if (size == 0 || record->size + sizeof(item) + padded > sizeof(record->bytes) ||
	    !task_view_read(view, event->head.args[arg], to + sizeof(item), size))
		return;
	memcpy(to, &item, sizeof(item));
	record->size += sizeof(item) + padded;
	json_array_append_new(list, buffer_json(arg, kind, to + sizeof(item), size));
}

static void add_structs(const struct task_view *view, const struct event_view *event, json_t *list,
			json_t *out)
{
	static struct fuller_record record;
	struct event_record head = event->head;
	struct event_view fuller;

	record.size = sizeof(head) + event->items_bytes;
	memcpy(record.bytes + sizeof(head), event->items, event->items_bytes);
	for (unsigned i = 0; i < 6; i++)
		add_struct(view, event, i, &record, list);
	head.size_bytes = (uint32_t)record.size;
	memcpy(record.bytes, &head, sizeof(head));
	if (event_decode(record.bytes, record.size, &fuller) == 0)
		set(out, "text", event_line_json(&fuller));
}

static json_t *buffers(const struct task_view *view, const struct event_view *event)
{
	json_t *list = json_array();
	struct event_item_view item;

	for (size_t i = 0; event_item_at(event, i, &item); i++) {
		bool plain = item.head.kind == EVENT_ITEM_IN || item.head.kind == EVENT_ITEM_OUT;
		if (plain && item.head.full_bytes > item.head.stored_bytes)
			add_buffer(view, &item, event->head.args[item.head.arg], list);
	}
	return list;
}

static json_t *make(struct task_view *view, const struct event_view *event)
{
	json_t *out = json_object();

	set(out, "task", json_integer(view->number));
	set(out, "registers", registers(&view->frame));
	add_code(view, event != NULL && event->head.nr == EVENT_SIGNAL, out);
	if (event == NULL)
		return out;
	json_t *list = buffers(view, event);
	add_structs(view, event, list, out);
	set(out, "buffers", list);
	return out;
}

static _Noreturn void worker(int fd, struct task_view *view, const struct event_view *event)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGALRM, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	alarm(TIME_LIMIT_S);
	_exit(json_dumpfd(make(view, event), fd, JSON_COMPACT) < 0);
}

/* Up to size bytes, or to the end. */
static size_t read_most(int fd, char *to, size_t size)
{
	size_t have = 0;
	ssize_t n;

	while (have < size && (n = read(fd, to + have, size - have)) != 0) {
		if (n > 0)
			have += (size_t)n;
		else if (errno != EINTR)
			break;
	}
	return have;
}

/* What a worker writes, up to a limit; the parser alone judges whether it is all. */
static json_t *read_all(int fd)
{
	/* Address space only, until it is written to. */
	char *bytes = malloc(SNAPSHOT_MOST);
	size_t size = bytes != NULL ? read_most(fd, bytes, SNAPSHOT_MOST) : 0;
	json_t *value = bytes != NULL ? json_loadb(bytes, size, 0, NULL) : NULL;

	free(bytes);
	close(fd);
	return value;
}

static json_t *problem(const char *what, int error)
{
	json_t *object = json_object();

	set(object, "problem", json_sprintf("%s: %s", what, strerror(error)));
	return object;
}

/* The snapshot of a worker, or NULL. */
static json_t *ask_worker(struct task_view *view, const struct event_view *event)
{
	json_t *value = NULL;
	int ends[2];

	if (pipe(ends) < 0)
		return problem("pipe", errno);
	pid_t pid = fork();
	if (pid == 0) {
		close(ends[0]);
		worker(ends[1], view, event);
	}
	close(ends[1]);
	if (pid > 0) {
		value = read_all(ends[0]);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	} else {
		close(ends[0]);
	}
	return value;
}

json_t *snapshot_take(pid_t tid, const struct event_view *event)
{
	struct task_view view;
	int error = task_view_open(tid, &view);

	if (error < 0)
		return problem("the task cannot be read", -error);
	json_t *value = ask_worker(&view, event);
	task_view_close(&view);
	return value != NULL ? value : problem("its stack", EIO);
}
