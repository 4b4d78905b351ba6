/* See event_compare.h. */
#include "event_compare.h"

#include <string.h>

#include "../syscall-table/event_print.h"

/* Below it is no address of a program's: numbers and small constants passed as pointers. */
#define ADDRESS_LEAST 0x10000u

uint64_t bytes_differ_at(const uint8_t *a, uint64_t size_a, const uint8_t *b, uint64_t size_b)
{
	uint64_t size = size_a < size_b ? size_a : size_b;

	for (uint64_t i = 0; i < size; i++) {
		if (a[i] != b[i])
			return i;
	}
	return size;
}

static bool both_addresses(uint64_t a, uint64_t b)
{
	return a >= ADDRESS_LEAST && b >= ADDRESS_LEAST && a <= INT64_MAX && b <= INT64_MAX;
}

/* cpuid's subleaf is whatever was in the register, where the leaf has none. */
static bool may_be_address(const struct event_view *event, unsigned arg)
{
	return event_arg_is_address(event, arg) || (event->head.nr == EVENT_CPUID && arg == 1);
}

static void compare_args(const struct event_view *a, const struct event_view *b,
			 struct event_comparison *c)
{
	unsigned used = event_args_used(a);

	for (unsigned i = 0; i < used && i < 6; i++) {
		uint64_t x = a->head.args[i], y = b->head.args[i];

		if (x == y)
			continue;
		if (may_be_address(a, i) && both_addresses(x, y)) {
			c->what |= EVENT_DIFFERS_ADDRESS;
			continue;
		}
		if (!(c->what & EVENT_DIFFERS_ARGUMENT))
			c->arg = i;
		c->what |= EVENT_DIFFERS_ARGUMENT;
	}
}

static void compare_result(const struct event_view *a, const struct event_view *b,
			   struct event_comparison *c)
{
	uint64_t x = (uint64_t)a->head.result, y = (uint64_t)b->head.result;

	if (a->head.nr == EVENT_CPUID) {
		if (memcmp(a->head.args + 2, b->head.args + 2, 4 * sizeof(x)) != 0)
			c->what |= EVENT_DIFFERS_RESULT;
		return;
	}
	if (x == y || (a->head.flags & b->head.flags & EVENT_NO_RESULT))
		return;
	if (event_result_is_address(a) && both_addresses(x, y))
		c->what |= EVENT_DIFFERS_ADDRESS;
	else
		c->what |= EVENT_DIFFERS_RESULT;
}

static void compare_item(const struct event_item_view *x, const struct event_item_view *y,
			 struct event_comparison *c)
{
	uint64_t size_x = x->head.stored_bytes, size_y = y->head.stored_bytes;
	uint64_t at = bytes_differ_at(x->bytes, size_x, y->bytes, size_y);

	if (at == size_x && at == size_y && x->head.full_bytes == y->head.full_bytes)
		return;
	if (x->head.kind <= EVENT_ITEM_STRINGS) {
		if (!(c->what & (EVENT_DIFFERS_STRING | EVENT_DIFFERS_ARGUMENT)))
			c->arg = x->head.arg;
		c->what |= EVENT_DIFFERS_STRING;
	} else if (!(c->what & EVENT_DIFFERS_DATA)) {
		c->what |= EVENT_DIFFERS_DATA;
		c->data_arg = x->head.arg;
		c->data_offset = at;
	}
}

static void compare_items(const struct event_view *a, const struct event_view *b,
			  struct event_comparison *c)
{
	struct event_item_view x, y;

	for (size_t i = 0; event_item_at(a, i, &x); i++) {
		/* Of the clone that made the task, not of this event. */
		if (x.head.kind == EVENT_ITEM_ORIGIN)
			continue;
		if (event_item_find(b, x.head.arg, (enum event_item_kind)x.head.kind, &y))
			compare_item(&x, &y, c);
	}
}

struct event_comparison event_compare(const struct event_view *a, const struct event_view *b)
{
	struct event_comparison c = {0};

	if (a->head.task != b->head.task)
		c.what |= EVENT_DIFFERS_TASK;
	if (a->head.nr != b->head.nr) {
		c.what |= EVENT_DIFFERS_CALL;
		return c;
	}
	compare_args(a, b, &c);
	compare_result(a, b, &c);
	compare_items(a, b, &c);
	if (c.what == 0 && a->head.digest != b->head.digest)
		c.what = EVENT_DIFFERS_UNKEPT;
	return c;
}
