/* Pairs of records, and what of them counts as a difference. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "inspect/event_compare.h"
#include "syscall_nr.h"

#define STACK_A 0x7fffffffd460
#define STACK_B 0x7fffffffd470

struct draft {
	struct event_record head;
	uint8_t items[256];
};

static struct draft draft(int32_t nr, int64_t result, uint64_t a, uint64_t b, uint64_t c)
{
	return (struct draft){.head = {.size_bytes = sizeof(struct event_record),
				       .task = 2,
				       .number = 7,
				       .nr = nr,
				       .result = result,
				       .args = {a, b, c}}};
}

static void add(struct draft *d, uint8_t arg, uint8_t kind, const char *text, uint32_t full)
{
	struct event_item item = {arg, kind, (uint16_t)strlen(text), full};
	uint8_t *to = (uint8_t *)d + d->head.size_bytes;

	memcpy(to, &item, sizeof(item));
	memcpy(to + sizeof(item), text, strlen(text));
	d->head.size_bytes += (uint32_t)(sizeof(item) + ((strlen(text) + 7) & ~7ul));
}

static struct event_comparison compare(const struct draft *a, const struct draft *b)
{
	struct event_view x, y;

	CHECK(event_decode(a, sizeof(*a), &x) == 0);
	CHECK(event_decode(b, sizeof(*b), &y) == 0);
	return event_compare(&x, &y);
}

static void equal_ones(void)
{
	struct draft a = draft(NR_close, 0, 3, 0, 0), b = a;

	CHECK(compare(&a, &b).what == 0);
	b.head.time_ns = 5; /* not looked at */
	b.head.flags = EVENT_PARKED;
	CHECK(compare(&a, &b).what == 0);
	b.head.digest = 1;
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_UNKEPT);
	/* Where the task comes from is its maker's event. */
	b = a;
	add(&a, 0, EVENT_ITEM_ORIGIN, "one", 3);
	add(&b, 0, EVENT_ITEM_ORIGIN, "two", 3);
	CHECK(compare(&a, &b).what == 0);
}

static void values(void)
{
	struct draft a = draft(NR_lseek, 1, 3, 1, SEEK_SET), b = draft(NR_lseek, 2, 3, 2, SEEK_SET);
	struct event_comparison c = compare(&a, &b);

	CHECK(c.what == (EVENT_DIFFERS_ARGUMENT | EVENT_DIFFERS_RESULT) && c.arg == 1);
	b = a;
	b.head.task = 3;
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_TASK);
	b.head.nr = NR_close;
	CHECK(compare(&a, &b).what == (EVENT_DIFFERS_TASK | EVENT_DIFFERS_CALL));
}

static void addresses(void)
{
	struct draft a = draft(NR_read, 4, 3, STACK_A, 4), b = draft(NR_read, 4, 3, STACK_B, 4);

	CHECK(compare(&a, &b).what == EVENT_DIFFERS_ADDRESS);
	b.head.args[1] = 0; /* NULL is no address */
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_ARGUMENT);
	a = draft(NR_brk, STACK_A, 0, 0, 0);
	b = draft(NR_brk, STACK_B, 0, 0, 0);
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_ADDRESS);
	b.head.result = -12;
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_RESULT);
	/* What only looks like an address is one only where the call takes one. */
	a = draft(NR_lseek, 0, 3, STACK_A, SEEK_SET);
	b = draft(NR_lseek, 0, 3, STACK_B, SEEK_SET);
	CHECK(compare(&a, &b).what == EVENT_DIFFERS_ARGUMENT);
}

static void data(void)
{
	struct draft a = draft(NR_read, 8, 3, STACK_A, 8), b = a;
	struct event_comparison c;

	add(&a, 1, EVENT_ITEM_OUT, "some text", 9);
	add(&b, 1, EVENT_ITEM_OUT, "some teXt", 9);
	b.head.digest = 1; /* follows from it */
	c = compare(&a, &b);
	CHECK(c.what == EVENT_DIFFERS_DATA && c.data_arg == 1 && c.data_offset == 7);
	a = b = draft(NR_openat, 3, (uint64_t)AT_FDCWD, STACK_A, O_RDONLY);
	b.head.args[1] = STACK_B;
	add(&a, 1, EVENT_ITEM_STRING, "one", 3);
	add(&b, 1, EVENT_ITEM_STRING, "two", 3);
	c = compare(&a, &b);
	CHECK(c.what == (EVENT_DIFFERS_STRING | EVENT_DIFFERS_ADDRESS) && c.arg == 1);
}

/* The subleaf is what was left in the register; the answer counts. */
static void cpuid(void)
{
	struct draft a = draft(EVENT_CPUID, 0, 1, 0xffffd460, 5);
	struct draft b = draft(EVENT_CPUID, 1, 1, 0xffffd470, 5);

	CHECK(compare(&a, &b).what == EVENT_DIFFERS_ADDRESS);
	b.head.args[4] = 1;
	CHECK(compare(&a, &b).what == (EVENT_DIFFERS_ADDRESS | EVENT_DIFFERS_RESULT));
}

static void offsets(void)
{
	CHECK(bytes_differ_at((const uint8_t *)"abc", 3, (const uint8_t *)"abd", 3) == 2);
	CHECK(bytes_differ_at((const uint8_t *)"abc", 3, (const uint8_t *)"ab", 2) == 2);
	CHECK(bytes_differ_at((const uint8_t *)"abc", 3, (const uint8_t *)"abc", 3) == 3);
	CHECK(bytes_differ_at(NULL, 0, NULL, 0) == 0);
}

int main(void)
{
	equal_ones();
	values();
	addresses();
	data();
	cpuid();
	offsets();
	return failures != 0;
}
