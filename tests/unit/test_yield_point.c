/* Yield points: as options and logs name them, which files they are in, and how they are planned.
 */
#include <errno.h>
#include <string.h>

#include "check.h"
#include "tracer/patch_plan.h"
#include "tracer/yield_point.h"

static int parse(const char *text, struct region_yield *ret)
{
	return yield_point_parse(text, strlen(text), ret);
}

static void test_text(void)
{
	static const char *const wrong[] = {"",	   "a",	   "+1",   "a+",    "a+0x",
					    "a+g", "a+-1", "a+1 ", "a,b+1", "a+11111111111111111"};
	struct region_yield y;
	char text[YIELD_TEXT_MAX];

	CHECK(parse("libc.so.6+96120", &y) == 0);
	CHECK(strcmp(y.object, "libc.so.6") == 0 && y.address == 0x96120);
	CHECK(parse("/usr/lib/libstdc++.so+0xFF", &y) == 0);
	CHECK(strcmp(y.object, "/usr/lib/libstdc++.so") == 0 && y.address == 0xff);
	yield_point_print(&y, text);
	CHECK(strcmp(text, "/usr/lib/libstdc++.so+0xff") == 0);
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK(parse(wrong[i], &y) == -EINVAL);
}

static void test_list(void)
{
	struct region_config config = {0};

	CHECK(yield_points_parse("a+0x1,b+0x2", &config) == 0 && config.yield_count == 2);
	CHECK(strcmp(config.yields[1].object, "b") == 0 && config.yields[1].address == 2);
	CHECK(yield_points_parse("a+1,,b+2", &config) == -EINVAL);
	config.yield_count = YIELD_POINTS_MAX;
	CHECK(yield_points_parse("a+0x1", &config) == -EINVAL);
}

static void test_object(void)
{
	struct region_yield y;

	CHECK(parse("prog+1", &y) == 0);
	CHECK(yield_point_is_in(&y, "/home/me/prog") && !yield_point_is_in(&y, "/home/prog/me"));
	CHECK(parse("/bin/prog+1", &y) == 0);
	CHECK(yield_point_is_in(&y, "/bin/prog") && !yield_point_is_in(&y, "/usr/bin/prog"));
}

static int plan(const uint8_t *bytes, size_t size, struct patch_plan *ret)
{
	const struct patch_request request = {.code = {.bytes = bytes, .size = size},
					      .code_address = 0x400000,
					      .stub_address = 0x500000,
					      .stub_room = 0x1000};

	return patch_plan_yield(&request, ret);
}

static void test_plan(void)
{
	static const uint8_t inc[] = {0x48, 0xff, 0x05, 0x10, 0, 0, 0, 0x90}; /* incq 16(%rip) */
	static const uint8_t jne[] = {0x75, 0xf1}, tsc[] = {0x0f, 0x31},
			     call[] = {0xe8, 0, 0, 0, 0};
	struct patch_plan p;
	int32_t displacement;

	CHECK(plan(inc, sizeof(inc), &p) == 0 && p.kind == PATCH_DIRECT);
	CHECK(p.write_count == 1 && p.writes[0].address == 0x400000 && p.writes[0].size == 5);
	CHECK(p.resume_address == 0x400007 && memcmp(p.stub, inc, 3) == 0);
	memcpy(&displacement, p.stub + 3, 4);
	CHECK(0x500007 + (int64_t)displacement == 0x400017);
	CHECK(plan(jne, sizeof(jne), &p) == 0 && p.kind == PATCH_INT3 && p.stub_size == 0);
	CHECK(plan(call, sizeof(call), &p) == 0 && p.kind == PATCH_INT3);
	CHECK(p.writes[0].bytes[0] == 0xcc && p.writes[0].size == 1);
	CHECK(plan(tsc, sizeof(tsc), &p) == -EINVAL);
}

int main(void)
{
	test_text();
	test_list();
	test_object();
	test_plan();
	return failures != 0;
}
